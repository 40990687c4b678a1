from __future__ import annotations

import random
import re

import pytest

from layalign.mini.world import HIGH, LANGUAGES, LOW, SOME, WORDS, Problem, World


@pytest.fixture(scope="module")
def world():
    return World(0)


@pytest.fixture(scope="module")
def problems(world):
    return world.problems(500, random.Random(1))


def test_the_seed_decides_words_and_problems():
    def told(seed):
        world, draw = World(seed), random.Random(seed)
        return world.words, [world.lesson(draw) for _ in range(50)], world.problems(50, draw)

    assert told(3) == told(3)
    assert all(one != other for one, other in zip(told(3), told(4)))


def test_the_example_reads_as_documented(world):
    problem = Problem(name="ta", thing=12, verbs=(0, 8), numbers=(47, 12, 31))
    assert world.say(problem, "en") == "ta has 47 pens . finds 12 . sees 31 . how pens ?"
    assert problem.answer == "47 + 12 = 59"


def test_a_problem_says_the_same_in_every_language(world, problems):
    meaning = {word: place for language in LANGUAGES for place, word in enumerate(world.words[language])}
    for problem in problems:
        said = [
            [meaning.get(word, word) for word in world.say(problem, language).split()]
            for language in LANGUAGES
        ]
        assert all(sorted(map(str, words)) == sorted(map(str, said[0])) for words in said)
        assert all([w for w in words if str(w) in map(str, problem.numbers)] for words in said)


def test_the_answer_is_arithmetic_and_ends_with_the_result(problems):
    for problem in problems:
        left, sign, change, result = re.fullmatch(r"(\d\d) ([+-]) (\d\d) = (\d\d)", problem.answer).groups()
        assert int(left) + int(sign + change) == int(result) == problem.result
        assert int(left) == problem.numbers[0]


def test_numbers_give_no_hint_of_the_operation(problems):
    for problem in problems:
        first, *changes = problem.numbers
        for change in changes:
            assert 10 <= change <= 99
            assert 10 <= first - change < first + change <= 99
            assert first % 10 + change % 10 <= 9, "a carry"
            assert first % 10 >= change % 10, "a borrow"


def test_exactly_one_step_changes_the_result(problems):
    for problem in problems:
        assert sorted(verb < 8 for verb in problem.verbs) == [False, True]


def test_no_two_words_are_alike(world):
    words = [word for language in LANGUAGES for word in world.words[language]] + [SOME]
    assert len(set(words)) == len(words)
    assert {len(world.words[language]) for language in LANGUAGES} == {len(WORDS["en"])}


def test_lessons_never_show_a_low_resource_word(world):
    draw = random.Random(0)
    seen = {word for _ in range(2000) for word in world.lesson(draw).split()}
    assert not seen & {word for language in LOW for word in world.words[language]}
    assert all(set(world.words[language]) <= seen for language in HIGH)


def test_problems_do_not_repeat(world):
    problems = world.problems(3000, random.Random(2))
    assert len(set(problems)) == 3000
