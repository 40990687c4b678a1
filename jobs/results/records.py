"""Every number of results tables as plain data: CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from jobs.results.collect import Results
from jobs.results.figures import Figure
from jobs.results.rows import ResultTable
from layalign.evaluation.compare import Against
from layalign.evaluation.health import FAULTS
from layalign.evaluation.scoring import STRICT_VERSION
from layalign.tabular import Table, comments, told_lines


def to_csv(tables: Sequence[ResultTable], provenance: Mapping[str, Any]) -> str:
    """One line for each number, below the provenance as lines that begin with `#`."""
    records = [{**record, "by_seed": json.dumps(record["by_seed"])} for record in _records(tables)]
    headings = list(records[0]) if records else ["benchmark"]
    table = Table.of(headings, [list(record.values()) for record in records])
    return comments("#", told_lines(provenance)) + table.csv()


def to_json(results: Results, tables: Sequence[ResultTable], provenance: Mapping[str, Any]) -> str:
    """Every number, what is missing, and how the numbers came to be."""
    told = {
        "title": results.title,
        "provenance": dict(provenance),
        "code": [{"record": dict(made.record), "made": made.what} for made in results.made],
        "strict_rule": STRICT_VERSION,
        "files": {
            sheet.benchmark: {
                f"{method.label}, seed {answered.seed}": dict(answered.files)
                for method in sheet.methods
                for answered in method.answered
            }
            for sheet in results.sheets
        },
        "configs": {who: run.read_config() for who, run in results.configs.items()},
        "numbers": list(_records(tables)),
        "missing": [{**asdict(missing), "cell": asdict(missing.cell)} for missing in results.missing],
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _records(tables: Iterable[ResultTable]) -> Iterator[dict[str, Any]]:
    """Every number as plain data."""
    for table in tables:
        place = {"benchmark": table.sheet.title, "rule": table.rule}
        for row in table.rows:
            for column, figure in row.figures.items():
                here = {**place, "method": row.label, "column": column}
                ceiling = table.sheet.ceilings.get(row.label)
                told = {"llm_run": str(ceiling.method.answered[0].run.path.name) if ceiling else None}
                yield {**here, **_record(figure, table.sheet.reference.label), **told}


def _record(figure: Figure, reference: str) -> dict[str, Any]:
    versus = figure.versus
    return {
        "accuracy": figure.accuracy,
        "low": figure.low,
        "high": figure.high,
        "sd": figure.sd,
        "by_seed": dict(figure.by_seed),
        "correct": figure.correct,
        "total": figure.total,
        "missing": figure.missing,
        **{fault: figure.faults.get(fault) for fault in FAULTS},
        "healthy": figure.healthy,
        "healthy_total": figure.healthy_total,
        "paper": figure.paper,
        "difference": figure.gap,
        "reference": reference if versus else None,
        "versus": versus.mean if versus else None,
        "versus_low": versus.low if versus else None,
        "versus_high": versus.high if versus else None,
        "p": versus.p if versus else None,
        "test": versus.test if versus else None,
        "seed_noise": figure.noise,
        "within_seed_noise": figure.in_noise if figure.noise is not None and versus else None,
        "best": figure.best,
        "chance": figure.chance,
        "from_chance": figure.from_chance,
        **_against("llm", figure.alone),
        **_against("llm_english", figure.english),
    }


def _against(name: str, told: Against | None) -> dict[str, Any]:
    """What the LLM reaches without a bridge, and ours in percent of it, on the same items."""
    return {
        name: told.theirs if told else None,
        f"percent_of_{name}": told.percent if told else None,
        f"{name}_items": told.items if told else None,
    }
