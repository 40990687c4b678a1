"""What the commands say with `--json`, one document for each; docs/COMMANDS.md has these fields and their texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.state import State
from cluster.site.doctor import Finding
from cluster.slurm.queue import Look
from jobs.board.rows import GridLine, Row, Status
from jobs.board.signs import Standing
from jobs.cell.cell import Cell
from jobs.cli.efficiency_document import EfficiencyDocument
from jobs.data.report import DataReport, PageEntry
from jobs.diagnosis.attempts import short_name
from jobs.diagnosis.of_grid import OPEN, standing
from jobs.diagnosis.why import diagnose


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that there is."""

    name: str
    """What is typed to mean it."""
    told: str
    """What it is, in a line."""
    type: str | None = None
    """Of a key of a recipe: what it may be; null for all else."""
    default: str | None = None
    """Of a key of a recipe, as YAML; null where there is none and a recipe has to say it."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that there is of a kind."""

    kind: str
    """The word behind `list`."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class ListDocument:
    """`list`."""

    listings: tuple[Listing, ...]
    """That of the kind that was named, or all."""


@dataclass(frozen=True, kw_only=True)
class StatusDocument:
    """`status`."""

    time: float
    """When the files were read, in seconds since 1970."""
    unasked: str
    """Why the queue was not asked; empty if it was."""
    rows: tuple[Row, ...]
    grids: tuple[GridLine, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a diagnosis is told from."""

    what: str
    found: str


@dataclass(frozen=True, kw_only=True)
class WorkDiagnosis:
    """What has become of a run or a cell."""

    name: str
    """As it may be typed."""
    state: State
    cause: str
    """In a few words, those of the board; of what waits for several reasons each of them."""
    told: str
    """In a sentence."""
    evidence: tuple[Evidence, ...]
    advice: tuple[str, ...]
    """The next step, the most likely first."""


@dataclass(frozen=True, kw_only=True)
class WhyDocument:
    """`why`."""

    grid: str | None
    """Name of the grid that was asked about; null for a run or a cell."""
    told: str | None
    """Of a grid: how many cells are in which state."""
    work: WorkDiagnosis | None
    """What was asked about, or the first of the grid that is broken or not done; null where all of it is done."""


@dataclass(frozen=True, kw_only=True)
class MissingCell:
    """A cell that is not done."""

    grid: str
    state: State
    cause: str
    """In a few words; of what waits for several reasons each of them."""
    job: str
    """train or evaluate"""
    run: str
    """Name of the run's folder."""
    benchmark: str
    language: str
    shard: int
    """Which share of the language's items, counted from 0."""
    items: int
    """Items of the share that are wanted."""
    reason: str
    """Why it failed; empty if it did not."""


@dataclass(frozen=True, kw_only=True)
class MissingDocument:
    """`missing`."""

    cells: tuple[MissingCell, ...]


@dataclass(frozen=True, kw_only=True)
class ResultsDocument:
    """`results`."""

    results: tuple[Mapping[str, Any], ...]
    """For each grid, and for the runs together, what `results.json` of `--out` holds."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One fact, as the profile has it and as the cluster does."""

    mark: str
    """ok, differs, or why it could not be told."""
    key: str
    """Key of the profile, or the name of what was looked at."""
    told: str


@dataclass(frozen=True, kw_only=True)
class DoctorDocument:
    """`doctor`."""

    cluster: str
    findings: tuple[Checked, ...]


@dataclass(frozen=True, kw_only=True)
class DataDocument:
    """`data`."""

    pages: tuple[PageEntry, ...]
    """All of `data list`, the one of `data show`; none otherwise."""
    broken: Mapping[str, str]
    """What is wrong with pages that cannot be used, by their names."""
    checks: tuple[DataReport, ...]
    """Of `data check`; none otherwise."""


DOCUMENTS = {
    "status": StatusDocument,
    "why": WhyDocument,
    "efficiency": EfficiencyDocument,
    "missing": MissingDocument,
    "results": ResultsDocument,
    "list": ListDocument,
    "doctor": DoctorDocument,
    "data": DataDocument,
}
"""By the command that has `--json`."""


def status_document(status: Status) -> StatusDocument:
    """The board."""
    return StatusDocument(
        time=status.time,
        unasked=status.unasked,
        rows=status.rows,
        grids=status.grids,
        warnings=status.warnings,
    )


def why_document(found: RunFolder | CellFolder | GridFolder) -> WhyDocument:
    """What keeps a run, a cell or a grid from going on; one look at the queue.

    Raises:
        ClusterError: a grid that was never submitted.
    """
    if not isinstance(found, GridFolder):
        return WhyDocument(grid=None, told=None, work=_diagnosed(found))
    stands = standing(found)
    work = stands.first(OPEN)
    return WhyDocument(
        grid=found.name, told=stands.told, work=_diagnosed(work, stands.look) if work else None
    )


def _diagnosed(work: RunFolder | CellFolder, look: Look | None = None) -> WorkDiagnosis:
    found = diagnose(work, look)
    return WorkDiagnosis(
        name=short_name(work),
        state=found.state,
        cause=found.cause,
        told=found.told,
        evidence=tuple(Evidence(what=what, found=text) for what, text in found.evidence),
        advice=tuple(found.advice),
    )


def missing_document(rows: Iterable[tuple[str, Cell, Standing]]) -> MissingDocument:
    """Cells that are not done: the grid, the cell and where it stands of each."""
    return MissingDocument(
        cells=tuple(
            MissingCell(
                grid=grid,
                state=stands.state,
                cause=stands.cause,
                job=cell.job,
                run=cell.run_name,
                benchmark=cell.benchmark,
                language=cell.language,
                shard=cell.shard,
                items=cell.items,
                reason=cell.folder.reason(),
            )
            for grid, cell, stands in rows
        )
    )


def doctor_document(cluster: str, findings: Iterable[Finding]) -> DoctorDocument:
    """What a comparison of a profile with its cluster has found."""
    told = tuple(Checked(mark=one.mark, key=one.key, told=one.text) for one in findings)
    return DoctorDocument(cluster=cluster, findings=told)
