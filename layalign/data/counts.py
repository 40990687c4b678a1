"""What tokenising did to the texts of each language: how many were cut, and how much no tokenizer could write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from layalign.config import DataConfig
from layalign.data.left_out import LeftOut
from layalign.languages import language

Kind = Literal["source", "prompt", "target"]
KINDS: tuple[Kind, ...] = ("source", "prompt", "target")


@dataclass
class Tally:
    """Texts of one kind in one language."""

    texts: int = 0
    cut: int = 0
    """Texts that were longer than their limit."""
    longest: int = 0
    """Tokens of the longest one, before it was cut."""
    tokens: int = 0
    """Tokens of all, as they are used."""
    unknown: int = 0
    """Those of them that stand for what the tokenizer cannot write."""

    def add(self, whole: int, ids: Sequence[int], unknown: int) -> None:
        """One more text: its tokens before it was cut, those that are used, and how many of these are unknown."""
        self.texts += 1
        self.cut += len(ids) < whole
        self.longest = max(self.longest, whole)
        self.tokens += len(ids)
        self.unknown += unknown


@dataclass
class Counts:
    """Of a data set, by the codes of its languages."""

    source: dict[str, Tally] = field(default_factory=dict)
    prompt: dict[str, Tally] = field(default_factory=dict)
    """Empty where the LLM reads no text."""
    target: dict[str, Tally] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    """Rows that are blank on both sides, by the name of their file."""
    repeated: dict[str, int] = field(default_factory=dict)
    """Rows that `data.deduplicate` took out, by the code of their language."""

    def take(self, left_out: LeftOut) -> None:
        """Take over what a reader has left out."""
        self.passed_over, self.repeated = left_out.blank_by_file, dict(left_out.repeated)

    def of(self, kind: Kind) -> dict[str, Tally]:
        """The tallies of one kind."""
        told: dict[str, Tally] = getattr(self, kind)
        return told

    def add(
        self, kind: Kind, codes: Iterable[str], whole: Iterable[int], ids: Iterable[Sequence[int]],
        unknown: Callable[[Sequence[int]], int],
    ) -> None:  # fmt: skip
        """Count texts of one kind.

        Args:
            kind: of the texts.
            codes: language of each `[n]`.
            whole: tokens of each before it was cut `[n]`.
            ids: the tokens that are used `[n]`.
            unknown: how many of some tokens are unknown.
        """
        tallies = self.of(kind)
        for code, length, row in zip(codes, whole, ids):
            tallies.setdefault(code, Tally()).add(length, row, unknown(row))

    @property
    def cut(self) -> dict[str, int]:
        """Texts of each kind that were cut, all languages together."""
        return {kind: sum(tally.cut for tally in self.of(kind).values()) for kind in KINDS}

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Counts:
        """What `to_dict` told."""
        kinds = {kind: {code: Tally(**tally) for code, tally in told[kind].items()} for kind in KINDS}
        return cls(**kinds, passed_over=dict(told["passed_over"]), repeated=dict(told.get("repeated", {})))

    def told(self) -> list[str]:
        """Lines about what a user should know, none where all is whole."""
        lines = []
        if self.passed_over:
            lines.append(f"blank on both sides and passed over: {_listed(self.passed_over)}")
        if self.repeated:
            lines.append(f"repeated and left out (data.deduplicate): {_listed(self.repeated)}")
        for kind in KINDS:
            tallies = self.of(kind)
            cut = {code: f"{tally.cut} of {tally.texts}" for code, tally in tallies.items() if tally.cut}
            if cut:
                lines.append(f"{kind}s longer than the limit and cut: {_listed(cut)}")
            unknown = {code: _share(t.unknown, t.tokens) for code, t in tallies.items() if t.unknown}
            if unknown:
                lines.append(f"unknown tokens in {kind}s: {_listed(unknown)}")
        return lines

    @property
    def unknown(self) -> dict[str, list[int]]:
        """Unknown tokens and all tokens of each kind, all languages together, of kinds that have unknown ones."""
        every = {kind: list(self.of(kind).values()) for kind in KINDS}
        return {
            kind: [lost, sum(tally.tokens for tally in tallies)]
            for kind, tallies in every.items()
            if (lost := sum(tally.unknown for tally in tallies))
        }

    def check(self, data: DataConfig) -> None:
        """Refuse what would be learned wrongly.

        Args:
            data: with its limits.

        Raises:
            ValueError: prompts without their end, or texts that a tokenizer cannot write, beyond what is allowed.
        """
        found = [_refusal_of_cuts(self.prompt, data)] + [
            _refusal_of_unknown(kind, self.of(kind), data) for kind in KINDS
        ]
        if any(found):
            raise ValueError("\n".join(text for text in found if text))


def _refusal_of_cuts(tallies: Mapping[str, Tally], data: DataConfig) -> str:
    cut = {c: t for c, t in tallies.items() if t.cut > data.max_prompt_cut * t.texts}
    if not cut:
        return ""
    listed = _listed({code: f"{tally.cut} of {tally.texts}" for code, tally in cut.items()})
    longest = max(tally.longest for tally in cut.values())
    return (
        f"prompts are longer than data.max_prompt ({data.max_prompt}) and would lose their end, which asks for the "
        f"answer: {listed}; at most {_percent(data.max_prompt_cut)} of a language's may (data.max_prompt_cut); "
        f"the longest has {longest} tokens: set data.max_prompt={longest}"
    )


def _refusal_of_unknown(kind: Kind, tallies: Mapping[str, Tally], data: DataConfig) -> str:
    lost = {c: t for c, t in tallies.items() if t.unknown > data.max_unknown * t.tokens}
    if not lost:
        return ""
    owner = "the encoder's" if kind == "source" else "the LLM's"
    listed = _listed({language(code).name: _share(t.unknown, t.tokens) for code, t in lost.items()})
    return (
        f"{owner} tokenizer cannot write all of the {kind}s ({listed}): different texts become the same tokens; at "
        f"most {_percent(data.max_unknown)} may be unknown (data.max_unknown); leave the language out, or choose a "
        "model whose vocabulary has it"
    )


def _listed(told: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _share(part: int, whole: int) -> str:
    return f"{_percent(part / whole)} of {whole} tokens"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
