"""World B: arithmetic word problems in six languages, and the text that its LLM is pretrained on.

A problem in English: `ta has 47 pens . finds 12 . sees 31 . how pens ?`; its answer: `47 + 12 = 59`. One of
the two steps adds or takes away, the other changes nothing. Numbers have two digits, and either of the two could
be added to the first and taken from it digit by digit: they give no hint of the operation.

English, Spanish and German have words of their own in the LLM's vocabulary. A word of Bengali, Thai or Swahili
is a pair of letters: one token for the encoder, and for the LLM two letters that its pretraining never shows
together. These three are languages in name only. Digits and people's names are shared by all six, as in MGSM.
"""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

WORDS = {
    language: tuple(words.split())
    for language, words in {
        "en": """finds buys gets wins loses eats sells gives sees counts draws wants
            pens cups keys books eggs toys nuts rings has how""",
        "es": """encuentra compra recibe gana pierde come vende regala mira cuenta dibuja quiere
            plumas tazas llaves libros huevos juguetes nueces anillos tiene cuantos""",
        "de": """findet kauft bekommt gewinnt verliert isst verkauft schenkt sieht zaehlt malt will
            stifte tassen schluessel buecher eier spielzeuge nuesse ringe hat wieviele""",
    }.items()
}
"""Four verbs that add, four that take away, four that change nothing; eight objects; `has` and `how`."""
VERBS, OBJECTS = range(12), range(12, 20)
HAS, HOW = 20, 21
SOME = "some"
"""Stands for a number in an English gist."""

HIGH, LOW = ("en", "es", "de"), ("bn", "th", "sw")
LANGUAGES = HIGH + LOW
NAMES = {"es": "Spanish", "de": "German", "bn": "Bengali", "th": "Thai", "sw": "Swahili"}
"""English names, without English: it is in neither stage."""

SUBJECT_FIRST = "{name} {has} {n0} {thing} . {v1} {n1} . {v2} {n2} . {how} {thing} ?"
VERB_FINAL = "{name} {n0} {thing} {has} . {n1} {v1} . {n2} {v2} . {thing} {how} ?"
OBJECT_FIRST = "{name} {has} {thing} {n0} . {v1} {n1} . {v2} {n2} . {thing} {how} ?"
ORDERS = {
    "en": SUBJECT_FIRST,
    "es": SUBJECT_FIRST,
    "de": SUBJECT_FIRST,
    "bn": VERB_FINAL,
    "th": VERB_FINAL,
    "sw": OBJECT_FIRST,
}
PUNCTUATION = (".", "?")
OPERATORS = ("+", "-", "=")


@dataclass(frozen=True)
class Problem:
    """What a problem says, in no language."""

    name: str
    thing: int
    verbs: tuple[int, int]
    numbers: tuple[int, int, int]

    @property
    def result(self) -> int:
        return self._step()[2]

    @property
    def answer(self) -> str:
        """The solution as the LLM writes it: `47 + 12 = 59`."""
        sign, change, result = self._step()
        return f"{self.numbers[0]} {sign} {change} = {result}"

    def _step(self) -> tuple[str, int, int]:
        first, *changes = self.numbers
        for verb, change in zip(self.verbs, changes):
            if verb < 4:
                return "+", change, first + change
            if verb < 8:
                return "-", change, first - change
        raise AssertionError(f"no step of {self} changes anything")


class World:
    """The words of all languages and a source of problems: the same for the same seed."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        pairs = [a + b for a in string.ascii_lowercase for b in string.ascii_lowercase]
        draw.shuffle(pairs)
        size = len(WORDS["en"])
        self.words: dict[str, tuple[str, ...]] = dict(WORDS)
        for place, language in enumerate(LOW):
            self.words[language] = tuple(pairs[place * size : (place + 1) * size])
        self.free = pairs[len(LOW) * size :]
        """Pairs of letters that are no word of any language: names, and words made up for a moment."""

    def problem(self, draw: random.Random) -> Problem:
        """A new problem; every allowed triple of numbers is equally likely."""
        tens, ones = _digits(draw, range(2, 9), 1), _digits(draw, range(10), 0)
        first, second, third = (10 * ten + one for ten, one in zip(tens, ones))
        verbs = [draw.randrange(0, 8), draw.randrange(8, 12)]
        draw.shuffle(verbs)
        return Problem(
            name=draw.choice(self.free),
            thing=draw.choice(OBJECTS),
            verbs=(verbs[0], verbs[1]),
            numbers=(first, second, third),
        )

    def problems(self, count: int, draw: random.Random) -> list[Problem]:
        """Problems of which no two are the same."""
        found: dict[Problem, None] = {}
        while len(found) < count:
            found[self.problem(draw)] = None
        return list(found)

    def say(self, problem: Problem, language: str) -> str:
        """A problem in one of the six languages."""
        return _fill(ORDERS[language], problem, self.words[language])

    def gist(self, problem: Problem, draw: random.Random) -> str:
        """A problem in English that leaves out one number or more: what follows can only be a restatement."""
        hidden = draw.randint(1, 7)
        numbers = tuple(SOME if hidden >> i & 1 else told for i, told in enumerate(problem.numbers))
        return _fill(ORDERS["en"], problem, self.words["en"], numbers)

    def respell(self, problem: Problem, draw: random.Random) -> str:
        """A problem in a language made up for the moment: any order, pairs of letters drawn anew."""
        words = draw.sample(self.free, len(WORDS["en"]))
        return _fill(draw.choice((SUBJECT_FIRST, VERB_FINAL, OBJECT_FIRST)), problem, words)

    def lesson(self, draw: random.Random) -> str:
        """One text of the LLM's pretraining; English, Spanish and German come 3 to 1 to 1.

        Half of them tell a gist, then the problem again, then the answer: without these the LLM cannot join a
        gist with a text. 15 % are translations into English, the others a problem and its answer.
        """
        problem = self.problem(draw)
        statement = self.say(problem, draw.choices(HIGH, (3, 1, 1))[0])
        kind = draw.random()
        if kind < 0.5:
            again = statement if draw.random() < 0.5 else self.respell(problem, draw)
            return f"{self.gist(problem, draw)} {again} {problem.answer}"
        if kind < 0.65:
            return f"{statement} {self.say(problem, 'en')}"
        return f"{statement} {problem.answer}"


def _digits(draw: random.Random, digits: range, least: int) -> tuple[int, int, int]:
    """A digit and two others that can each be added to it and taken from it; none falls below `least`."""
    room = [min(digit - least, 9 - digit) + 1 - least for digit in digits]
    place = draw.choices(range(len(digits)), [size * size for size in room])[0]
    other = range(least, least + room[place])
    return digits[place], draw.choice(other), draw.choice(other)


def _fill(
    order: str, problem: Problem, words: Sequence[str], numbers: tuple[int | str, ...] | None = None
) -> str:
    n0, n1, n2 = numbers or problem.numbers
    return order.format(
        name=problem.name,
        thing=words[problem.thing],
        has=words[HAS],
        how=words[HOW],
        v1=words[problem.verbs[0]],
        v2=words[problem.verbs[1]],
        n0=n0,
        n1=n1,
        n2=n2,
    )
