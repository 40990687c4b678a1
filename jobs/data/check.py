"""A check of a data set: every row is read once, as a training or an evaluation would, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from jobs.data.report import DataReport, Found, RowCounts, Shown, TokenCounts
from jobs.recipe.checked import FileState, files_of
from layalign.config import DataConfig
from layalign.data.counts import KINDS
from layalign.data.left_out import LeftOut
from layalign.data.lengths import Lengths
from layalign.data.overlap import Questions
from layalign.data.repeats import Repeats
from layalign.data.sources import asked_languages
from layalign.data.survey import Survey, training_texts
from layalign.data.text import Text
from layalign.evaluation.benchmarks import Item, find_benchmark, read_benchmark
from layalign.training_sets import TrainingSet

CHUNK = 1000
"""Texts that are tokenised at a time."""
Measure = Callable[[Lengths, Sequence[Text], DataConfig], None]
"""Counts texts in tokens of the models that were chosen."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models in whose tokens is counted."""

    names: tuple[str, str]
    """Encoder and LLM."""
    measure: Measure


def check_training(
    name: str,
    data: DataConfig,
    folder: Path | None,
    *,
    text: bool,
    models: Models | None = None,
    against: Sequence[str] = (),
    page: TrainingSet | None = None,
) -> DataReport:
    """What there is in a training set.

    Args:
        name: how it is called.
        data: what is read, and the limits of what models read.
        folder: the data folder.
        text: whether the LLM reads the prompt as text too.
        models: in whose tokens lengths are counted; None leaves them out.
        against: benchmarks whose questions are looked for.
        page: whose data they are, if they are all of it.
    """
    known, compared, notes = questions_for(data, folder, against)
    survey, left_out = Survey(known), LeftOut()
    texts = training_texts(data, folder, text, left_out)
    lengths, obstacles = _read(texts, survey, models, data)
    obstacles += _refusals(lengths, data) if lengths else []
    rows = _rows(survey, left_out, [entry.code for entry in asked_languages(data)])
    return DataReport(
        name=name,
        kind="training",
        place=f"{data.path} ({data.reader})",
        rows=rows,
        tokens=_tokens(lengths, data),
        models=models.names if models else (),
        against=compared,
        overlaps=_overlaps(survey),
        shown=_shown(survey),
        notes=(*(page.notes if page else ()), *notes),
        findings=(
            *_findings(rows),
            *(_other_counts(rows, page.counts) if page and data.limit is None else ()),
        ),
        obstacles=tuple(obstacles),
        files=tuple(map(FileState.of, files_of(data, folder))),
    )


def check_benchmark(
    name: str, folder: Path | None, data: DataConfig | None = None, models: Models | None = None
) -> DataReport:
    """What there is in a benchmark; arguments as above, `data` has the limits of what models read."""
    items, notes = _items(name, folder, None)
    survey = Survey()
    texts = map(text_of_item, items)
    lengths, obstacles = _read(texts, survey, models, data)
    if not items:
        obstacles += notes
    rows = _rows(survey, LeftOut(), list(dict.fromkeys(item.language for item in items)))
    return DataReport(
        name=name,
        kind="benchmark",
        place=str(folder),
        rows=rows,
        tokens=tuple(one for one in _tokens(lengths, data) if one.kind != "target"),
        models=models.names if models else (),
        shown=_shown(survey),
        notes=(*find_benchmark(name).notes, *(notes if items else ())),
        findings=(*_findings(rows), *_other_counts(rows, _counts_of(name, rows))),
        obstacles=tuple(obstacles),
    )


def _counts_of(name: str, rows: Sequence[RowCounts]) -> dict[str, int]:
    """Items that the page of a benchmark says of each language."""
    known = find_benchmark(name)
    told = {row.language: known.count_of(row.language) for row in rows}
    files = len(known.instances) or 1
    return {code: count * files for code, count in told.items() if count is not None}


def questions_for(
    data: DataConfig, folder: Path | None, against: Sequence[str]
) -> tuple[Questions | None, tuple[str, ...], list[str]]:
    """Questions of benchmarks in the languages of a training set and in English, what was taken, and what was not."""
    codes = [*(entry.code for entry in asked_languages(data)), "en"]
    items, compared, notes, without = list[Item](), list[str](), list[str](), list[str]()
    for name in against:
        known = find_benchmark(name)
        wanted = [code for code in dict.fromkeys(codes) if code in known.languages + known.extra]
        found, missing = _items(name, folder, wanted)
        spoken = dict.fromkeys(item.language for item in found)
        items += found
        compared += [f"{name} ({', '.join(spoken)})"] if spoken else []
        notes += [f"not compared: {text}" for text in missing] if spoken else []
        without += [] if spoken or not wanted else [name]
    if without:
        notes.append(f"not compared: {', '.join(without)}, as the data folder has no files of them")
    return (Questions(map(text_of_item, items)) if items else None), tuple(compared), notes


def text_of_item(item: Item) -> Text:
    """An item as the models read it."""
    return Text(item.id, item.language, item.source, item.prompt, str(item.gold))


def _items(name: str, folder: Path | None, codes: Sequence[str] | None) -> tuple[list[Item], list[str]]:
    """The items of a benchmark, and why those of a language cannot be read."""
    known = find_benchmark(name)
    if folder is None:
        return [], [f"benchmark {name} needs the data folder: give --data FOLDER or set LAYALIGN_DATA"]
    items, missing = list[Item](), list[str]()
    for code in known.languages + known.extra if codes is None else codes:
        try:
            items += read_benchmark(name, folder, [code])
        except ValueError as error:
            missing.append(str(error))
    return items, missing if items else missing[:1]


def _read(
    texts: Iterable[Text], survey: Survey, models: Models | None, data: DataConfig | None
) -> tuple[Lengths | None, list[str]]:
    """Take every text into a survey and count its tokens; why some of them cannot be used."""
    lengths = Lengths() if models else None
    left, obstacles = iter(texts), list[str]()
    try:
        while chunk := list(islice(_each(left, survey), CHUNK)):
            if models and data and lengths is not None:
                models.measure(lengths, chunk, data)
    except ValueError as error:
        obstacles.append(str(error))
    return lengths, obstacles


def _each(texts: Iterator[Text], survey: Survey) -> Iterator[Text]:
    for text in texts:
        survey.add(text)
        yield text


def _refusals(lengths: Lengths, data: DataConfig) -> list[str]:
    try:
        lengths.check(data)
    except ValueError as error:
        return str(error).split("\n")
    return []


def _rows(survey: Survey, left_out: LeftOut, codes: Sequence[str]) -> tuple[RowCounts, ...]:
    blank = left_out.blank_by_language
    return tuple(
        RowCounts(
            language=code,
            rows=repeats.rows,
            blank=blank.get(code, 0),
            left_out=left_out.repeated[code],
            repeated_source=repeats.source,
            repeated_target=repeats.target,
            repeated_pairs=repeats.pairs,
            same=survey.found[code, True],
            near=survey.found[code, False],
        )
        for code in codes
        for repeats in [survey.repeats.of.get(code, Repeats())]
    )


def _tokens(lengths: Lengths | None, data: DataConfig | None) -> tuple[TokenCounts, ...]:
    if lengths is None or data is None:
        return ()
    limits = {"source": data.max_source, "prompt": data.max_prompt or 0, "target": data.max_target - 1}
    return tuple(
        TokenCounts(
            language=code, kind=kind, texts=tally.texts, median=spread.median, p95=spread.p95,
            longest=spread.longest, limit=limits[kind], cut=tally.cut, tokens=tally.tokens, unknown=tally.unknown,
        )
        for kind in KINDS
        for code, tally in lengths.of(kind).items()
        if (spread := lengths.of_language(kind, code))
    )  # fmt: skip


def _overlaps(survey: Survey) -> tuple[Found, ...]:
    return tuple(
        Found(
            where=text.where,
            side=side,
            question=match.question.where,
            same=match.same,
            share=round(match.share, 3),
            text=text.source if side == "source" else text.target,
        )
        for text, side, match in survey.overlaps
    )


def _shown(survey: Survey) -> tuple[Shown, ...]:
    return tuple(
        Shown(where=t.where, language=t.language, encoder=t.source, llm=t.prompt, target=t.target)
        for t in survey.sampled
    )


def _findings(rows: Sequence[RowCounts]) -> Iterator[str]:
    """What somebody should look into."""
    same, near = sum(row.same for row in rows), sum(row.near for row in rows)
    if same or near:
        yield f"questions of a benchmark stand in {same + near:,} rows: {same:,} the same, {near:,} nearly"
    again = [row for row in rows if row.repeated_source * 10 >= row.rows > 0]
    if again:
        listed = ", ".join(f"{row.language} {row.repeated_source:,} of {row.rows:,}" for row in again)
        yield f"sources repeat earlier ones: {listed}; data.deduplicate=source leaves them out"


def _other_counts(rows: Sequence[RowCounts], counts: dict[str, int]) -> Iterator[str]:
    for row in rows:
        there = row.rows + row.left_out + row.blank
        if there != counts.get(row.language, there):
            yield f"{row.language} has {there:,} rows, the page says {counts[row.language]:,}"
