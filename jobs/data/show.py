"""What a check of a data set has found, on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from jobs.data.report import DataReport, PageEntry, RowCounts, TokenCounts
from layalign.data.counts import KINDS
from layalign.tabular import NONE, Column, Row, Table

LETTERS = 400
"""Letters of a text that is shown."""


def show_report(report: DataReport, console: Console) -> None:
    """Print it: rows, tokens, rows to look at, and at the end what is to be heeded."""
    print(f"{report.kind} {report.name}: {report.place}")
    _rows_table(report).show(console)
    if report.tokens:
        print(
            f"\ntokens: source in those of {report.models[0]}, prompt and target in those of {report.models[1]}"
        )
        _tokens_table(report).show(console)
    print(*_shown(report), *_overlaps(report), *_told(report), sep="\n")


def show_pages(entries: Sequence[PageEntry], broken: Mapping[str, str]) -> None:
    """All pages, two lines each, and what is wrong with those that cannot be used."""
    for one in entries:
        yours = f" (yours: {one.file}{', in place of ours' if one.replaces else ''})" if one.file else ""
        licence = f"; {one.licence}" if one.licence else ""
        print(f"{one.name:<18}{one.kind:<10} {' '.join(one.languages)}{licence}{yours}")
        print(f"{'':<18}{one.about}")
    print(*(f"broken: {told}" for told in broken.values()), sep="\n")
    print("all of one: python launch.py data show NAME")


def show_page(one: PageEntry) -> None:
    """The page as it stands, what is known of its faults, and what there is of its files."""
    print(one.text.rstrip())
    print(
        f"\n{one.name}: {one.kind}{', yours: ' + one.file if one.file else ''}, languages {' '.join(one.languages)}"
    )
    print(*(f"  read from   {place}" for place in one.looked_for), sep="\n")
    if one.counts:
        print(f"  rows        {', '.join(f'{code} {count:,}' for code, count in one.counts)}")
    print(*(f"  note        {text}" for text in one.notes), sep="\n")
    print(*(f"  not there   {text}" for text in one.missing), sep="\n")


def _rows_table(report: DataReport) -> Table:
    """A row for each language."""
    training = report.kind == "training"
    heads = ["rows", "blank", "left out", "source again", "target again", "pair again", "same", "near"]
    kept = heads if training else ["rows", "source again"]

    def cells(row: RowCounts) -> list[str]:
        counts = {
            "rows": row.rows, "blank": row.blank, "left out": row.left_out, "source again": row.repeated_source,
            "target again": row.repeated_target, "pair again": row.repeated_pairs, "same": row.same,
            "near": row.near,
        }  # fmt: skip
        untold = () if report.against else ("same", "near")
        return [NONE if head in untold else f"{counts[head]:,}" for head in kept]

    return Table(
        [Column("language", broken=False), *(Column(head, number=True) for head in kept)],
        [Row([row.language, *cells(row)]) for row in report.rows],
        notes=["again: has been said by an earlier row of the language, letter by letter"]
        + ([f"same, near: holds a question of {'; '.join(report.against)}"] if report.against else []),
    )


def _tokens_table(report: DataReport) -> Table:
    """A row for each language, three groups of columns for the kinds of text."""
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in report.tokens)]
    by_place = {(one.language, one.kind): one for one in report.tokens}
    heads = [head for kind in kinds for head in (kind, "cut", "unknown")]
    limits = ", ".join(
        f"{kind} {limit}"
        for kind in kinds
        for limit in {one.limit for one in report.tokens if one.kind == kind}
    )
    return Table(
        [Column("language", broken=False), *(Column(head, number=True) for head in heads)],
        [
            Row(
                [
                    row.language,
                    *(cell for kind in kinds for cell in _cells(by_place.get((row.language, kind)))),
                ]
            )
            for row in report.rows
        ],
        notes=[
            f"cut: longer than the limit ({limits}); unknown: tokens that stand for what cannot be written"
        ],
    )


def _cells(one: TokenCounts | None) -> tuple[str, str, str]:
    if one is None:
        return NONE, NONE, NONE
    return (
        f"{one.median}/{one.p95}/{one.longest}",
        _percent(one.cut, one.texts),
        _percent(one.unknown, one.tokens),
    )


def _percent(part: int, whole: int) -> str:
    return "0 %" if not part else f"{100 * part / whole:.2g} %"


def _shown(report: DataReport) -> Iterator[str]:
    """The rows that were drawn."""
    if report.shown:
        yield f"\n{len(report.shown)} rows drawn at random, as the models read them"
    for one in report.shown:
        yield f"- {one.where} ({one.language})"
        for what, text in (("encoder", one.encoder), ("LLM", one.llm), ("target", one.target)):
            yield _indented(what, text)


def _indented(what: str, text: str | None) -> str:
    told = "reads no text: the bridge alone" if text is None else repr(text[:LETTERS])[1:-1]
    more = f" … ({len(text):,} letters)" if text and len(text) > LETTERS else ""
    return f"    {what:<8} {told}{more}"


def _overlaps(report: DataReport) -> Iterator[str]:
    """Where questions of benchmarks stand."""
    if report.overlaps:
        yield "\nquestions of benchmarks in the rows (the first of them)"
    for one in report.overlaps:
        kind = "the same as" if one.same else f"{one.share:.0%} of"
        yield f"- {one.where}, {one.side}: {kind} {one.question}"
        yield f"    {textwrap.shorten(one.text, 160, placeholder=' …')}"


def _told(report: DataReport) -> Iterator[str]:
    yield ""
    yield from (f"note: {text}" for text in report.notes)
    yield from (f"finding: {text}" for text in report.findings)
    if report.sound and not report.findings:
        yield "nothing was found that stands in the way"
