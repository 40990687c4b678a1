"""What is asked: benchmark files as one list of items. Light: imports no torch.

Every benchmark lies below the data folder, in its own folder or below `evaluation/` as in the official tree:

    mgsm    mgsm_{code}.tsv, `question TAB answer` (https://github.com/google-research/url-nlp, mgsm/)
    msvamp  test_{Language}.json[l], one {"m_query", "response"} per line (https://github.com/microsoft/MathOctopus)
    mini    mini_{code}.tsv, as mgsm
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from layalign.data.files import lines
from layalign.languages import Language, language
from layalign.prompts import math_prompt
from layalign.strict import nearest

_GOLD = re.compile(r"-?\d{1,15}(\.\d+)?")
"""More digits than a float tells apart are no answer."""


@dataclass(frozen=True)
class Item:
    """One question."""

    id: str
    """Benchmark, language and line of the file: `mgsm-sw-0017`."""
    language: str
    """Its code."""
    source: str
    """What the encoder reads."""
    prompt: str
    """What the LLM reads."""
    gold: float
    """The right answer."""

    @property
    def question(self) -> str:
        """Fingerprint of all that is asked: twelve hexadecimal digits."""
        return hashlib.sha256(f"{self.source}\0{self.prompt}".encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One set of questions in several languages."""

    name: str
    languages: tuple[str, ...]
    """Codes of the languages that are averaged, in the paper's order."""
    extra: tuple[str, ...] = ()
    """Codes that are read when asked for, and never averaged."""
    files: tuple[str, ...]
    """Names that a language's file may have; `{code}` and `{name}` are the language's."""
    parse: Callable[[str], tuple[str, str]]
    """Question and answer of one line; ValueError says what the line should have been."""
    prompt: Callable[[str], str]
    """The LLM's text for a question."""


def read_benchmark(
    name: str,
    folder: Path | None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[Item]:
    """The items of a benchmark, language by language, in the order of the files.

    Args:
        name: a key of `BENCHMARKS`.
        folder: the data folder.
        languages: names or codes; None is all that the benchmark averages.
        limit: first items of each language; None is all.

    Raises:
        ValueError: unknown benchmark or language, no such file, or a line that is malformed.
    """
    benchmark = find_benchmark(name)
    if folder is None:
        raise ValueError(f"benchmark {name} needs the data folder: give --data FOLDER or set LAYALIGN_DATA")
    items = []
    for asked in languages or benchmark.languages:
        spoken = offered(benchmark, asked)
        items += _read_file(benchmark, spoken, _find_file(benchmark, spoken, folder))[:limit]
    return items


def benchmark_file(name: str, folder: Path, spoken: str) -> Path:
    """The file that holds a benchmark in a language.

    Raises:
        ValueError: unknown benchmark or language, or no such file.
    """
    benchmark = find_benchmark(name)
    return _find_file(benchmark, offered(benchmark, spoken), folder)


def find_benchmark(name: str) -> Benchmark:
    """A benchmark by its name.

    Raises:
        ValueError: there is none of that name; the nearest one is named.
    """
    if name not in BENCHMARKS:
        near = nearest(name, BENCHMARKS)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(BENCHMARKS)}"
        raise ValueError(f"unknown benchmark {name!r}; {hint}")
    return BENCHMARKS[name]


def offered(benchmark: Benchmark, asked: str) -> Language:
    """A language that a benchmark has, by its name or code.

    Raises:
        ValueError: it has none of that name.
    """
    spoken = language(asked)
    codes = benchmark.languages + benchmark.extra
    if spoken.code not in codes:
        raise ValueError(
            f"benchmark {benchmark.name} has no {spoken.name} ({spoken.code}); it has {', '.join(codes)}"
        )
    return spoken


def _find_file(benchmark: Benchmark, spoken: Language, folder: Path) -> Path:
    names = [pattern.format(code=spoken.code, name=spoken.name) for pattern in benchmark.files]
    places = [folder / benchmark.name, folder / "evaluation" / benchmark.name]
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    raise ValueError(
        f"benchmark {benchmark.name} has no file for {spoken.name}: looked for {' or '.join(names)} "
        f"in {places[0]} and {places[1]}; check --data or LAYALIGN_DATA"
    )


def _read_file(benchmark: Benchmark, spoken: Language, path: Path) -> list[Item]:
    """The items of one file; blank lines are no items."""
    items = []
    for number, line in lines(path):
        if not line.strip():
            continue
        try:
            question, answer = benchmark.parse(line)
            gold = _gold(answer)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        prompt = benchmark.prompt(question)
        items.append(
            Item(f"{benchmark.name}-{spoken.code}-{number:04d}", spoken.code, question, prompt, gold)
        )
    return items


def _gold(answer: str) -> float:
    """A whole or decimal number, with commas between thousands."""
    digits = answer.strip().replace(",", "")
    if not _GOLD.fullmatch(digits):
        raise ValueError(f"the answer is {answer[:60]!r}; it must be one number such as 18, 2,125 or 8.0")
    return float(digits)


def _parse_tsv(line: str) -> tuple[str, str]:
    question, *answers = line.split("\t")
    if len(answers) != 1 or not question.strip():
        raise ValueError(f"{line[:60]!r} is not `question TAB answer`")
    return question, answers[0]


def _parse_msvamp(line: str) -> tuple[str, str]:
    try:
        record = json.loads(line)
        question, answer = record["m_query"], record["response"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError(f'{line[:60]!r} is not one JSON object with "m_query" and "response"') from None
    if not isinstance(question, str) or not question.strip() or re.search("[\ud800-\udfff]", question):
        raise ValueError(f"{str(question)[:60]!r} is no question: m_query must be text")
    return question, str(answer)


def _bare(question: str) -> str:
    """The miniature world's LLM reads the question itself."""
    return question


_PAPER_LANGUAGES = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            name="mgsm",
            languages=_PAPER_LANGUAGES,
            extra=("te",),
            files=("mgsm_{code}.tsv",),
            parse=_parse_tsv,
            prompt=math_prompt,
        ),
        Benchmark(
            name="msvamp",
            languages=_PAPER_LANGUAGES,
            files=("test_{name}.jsonl", "test_{name}.json"),
            parse=_parse_msvamp,
            prompt=math_prompt,
        ),
        Benchmark(
            name="mini",
            languages=("bn", "th", "sw", "de", "es", "en"),
            files=("mini_{code}.tsv",),
            parse=_parse_tsv,
            prompt=_bare,
        ),
    )
}
"""By name."""
