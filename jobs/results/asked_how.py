"""What of a benchmark was not asked as its page says, and what of it tokenizers cannot write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from jobs.cell.answers import unknown_in
from jobs.cell.asked import Asked, unlike_page
from jobs.cell.cell import Cell
from layalign.tasks.benchmark import Benchmark
from layalign.tasks.pages import carried


def unlike_pages(benchmark: Benchmark, asked: Iterable[tuple[str, Asked]]) -> str:
    """Files of another size than the page says, and answers to another page of this name."""
    told = dict.fromkeys(note for code, one in asked if (note := unlike_page(benchmark.name, code, one.of)))
    if any(one.page and one.page != carried([benchmark.name]) for _, one in asked):
        told[f"by another page {benchmark.page} than the one that is known here"] = None
    return "; ".join(told)


def unknown_share(cells: Iterable[Cell]) -> str:
    """What the tokenizers of a run cannot write of the questions, the most first."""
    lost, every = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for cell in cells:
        for kind, (some, tokens) in unknown_in(cell).items():
            lost[kind, cell.language] += some
            every[kind, cell.language] += tokens
    shares = sorted(
        ((100 * some / every[key], key) for key, some in lost.items() if every[key]), reverse=True
    )
    owners = {"source": "encoder", "prompt": "LLM"}
    return ", ".join(
        f"{share:.2g} % of the {owners.get(kind, kind)}'s tokens ({code})" for share, (kind, code) in shares
    )
