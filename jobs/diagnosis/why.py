"""What keeps a run from going on, on one screen: what happened, what tells so, and the next step."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.escapes import without_escapes
from cluster.logs.read import LogPart
from cluster.quantities import human_time
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.state import Cause, State
from cluster.slurm.queue import Look
from jobs.board.signs import Standing
from jobs.board.state import SILENT_S
from jobs.diagnosis.attempts import short_name, why
from jobs.diagnosis.clues import best_clue
from jobs.diagnosis.evidence import Diagnosis, Inquiry, ago, progress, shortened
from jobs.diagnosis.failures import (
    advice_of,
    failed,
    more_time,
    slot_broke,
    stalled,
    stopped,
    suspect_rows,
    who,
)
from jobs.diagnosis.pace import moment
from jobs.diagnosis.standing import standing_of
from jobs.diagnosis.waiting import never_submitted, not_whole, parent_failed, suspended, waiting

if TYPE_CHECKING:
    from rich.console import RenderableType

MARKS = {State.DONE: "green", State.RUNNING: "green", State.QUEUED: "yellow", State.NEW: "yellow"}


def show_why(work: RunFolder | CellFolder) -> None:
    """Tell what keeps a run, or a cell of its evaluation, from going on."""
    from rich.console import Console

    Console(highlight=False).print(draw(work, diagnose(work)))


def diagnose(work: RunFolder | CellFolder, look: Look | None = None) -> Diagnosis:
    """What has become of some work; asks squeue (unless `look` has) and sacct once at most."""
    inquiry = Inquiry(work, look)
    stands = standing_of(inquiry)
    found = _diagnosed(inquiry, stands)
    return replace(found, state=stands.state)


def _diagnosed(inquiry: Inquiry, stands: Standing) -> Diagnosis:
    work = inquiry.work
    if stands.state is State.DONE:
        return _done(inquiry)
    if inquiry.holder:
        return _running(inquiry)
    if work.failed.exists():
        return failed(inquiry)
    if inquiry.rows:
        return waiting(inquiry)
    blocked = parent_failed(inquiry)
    if blocked:
        return blocked
    if stands.cause == Cause.RESULT_LOST or work.is_done():
        return not_whole(inquiry, stands.note)
    here = work.starts.exists() and stands.state is State.INTERRUPTED  # on this machine, by no job
    began = inquiry.attempt or (inquiry.accounted and inquiry.accounted.began) or here
    return stopped(inquiry) if began else slot_broke(inquiry) or never_submitted(inquiry)


def draw(work: RunFolder | CellFolder, found: Diagnosis) -> RenderableType:
    """A diagnosis for the terminal."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble((work.title, "bold"), "  ", (found.state, f"bold {MARKS.get(found.state, 'red')}"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("what", Text.assemble((found.cause, "bold"), f": {without_escapes(found.told)}"))
    for name, text in found.evidence:
        table.add_row(name, Text(without_escapes(text)))
    for at, text in enumerate(found.advice):
        table.add_row("" if at else "next", Text(without_escapes(text), style="cyan" if at == 0 else ""))
    return Group(head, Padding(table, (0, 0, 0, 2)))


def _done(inquiry: Inquiry) -> Diagnosis:
    """Over; of a run also whether its evaluation has stopped."""
    work, outcome = inquiry.work, inquiry.work.outcome()
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in outcome.items() if key != "time")
    evidence = [("finished", f"{ago(outcome['time'])}; {facts}")] if outcome.get("time") else []
    cells = inquiry.run.all_cells() if isinstance(work, RunFolder) else []
    broken = [cell for cell in cells if cell.failed.exists() and not cell.is_done()]
    if not broken:
        left = sum(not cell.is_done() for cell in cells)
        open_cells = (
            f"; of its evaluation {len(cells) - left} of {len(cells)} begun shares are answered"
            if cells
            else ""
        )
        return Diagnosis(State.DONE, Cause.NOTHING, f"it is done{open_cells}", evidence, [])
    first = failed(Inquiry(broken[0], inquiry.look))
    told = f"it is trained, but {len(broken)} of {len(cells)} shares of its evaluation have failed, first: {first.told}"
    evidence += [("share", cell.path.parent.name + "/" + cell.path.name) for cell in broken[:5]]
    return Diagnosis(
        State.DONE,
        Cause.EVALUATION_FAILED,
        told,
        [*evidence, *first.evidence],
        [why(broken[0]), *first.advice],
    )


def _running(inquiry: Inquiry) -> Diagnosis:
    """Somebody works on it: how far it is, whether it is silent, and whether its time will do."""
    holder, work = inquiry.holder, inquiry.work
    assert holder
    job = f"job {holder.job}, " if holder.job else ""
    evidence = [
        ("worker", f"{job}process {holder.pid} on {holder.host}, since {ago(holder.since)}"),
        *progress(inquiry),
    ]
    last = max(LogPart(work.heartbeat).modified(), moment(holder.since).timestamp())
    silence = max(0.0, time.time() - last)
    evidence.append(("last sign", f"{human_time(silence / 60)} ago"))
    name = short_name(work)
    if still := suspended(inquiry):
        evidence.append(("queue", still[0]))
        return Diagnosis(
            State.RUNNING, Cause.SUSPENDED, still[1], evidence, [f"scontrol show job {holder.job}"]
        )
    if silence < SILENT_S:
        told = "it runs" + (f", about {human_time(inquiry.pace.left_min)} are left" if inquiry.pace else "")
        short, advice = _time_left(inquiry)
        cause = Cause.SHORT if short else Cause.NOTHING
        return Diagnosis(State.RUNNING, cause, told, [*evidence, *short], advice)
    attempt = inquiry.attempt
    found = stalled(inquiry, attempt) if attempt else []
    evidence += suspect_rows(found)
    told = f"no sign of life for {human_time(silence / 60)}" + (f": {who(found)}" if found else "")
    clue = best_clue(inquiry) if attempt else None
    advice = advice_of(inquiry, clue) if clue else []
    if clue:
        evidence.append(("says", shortened(clue.finding.line)))
        told += f"; {clue.finding.told()}"
    stop = f"scancel {holder.job}" if holder.job else f"kill {holder.pid} on {holder.host}"
    advice += [
        f"python launch.py logs {name}: whether it still loads or prepares data",
        f"if it hangs: {stop}; {inquiry.again()}",
    ]
    return Diagnosis(State.RUNNING, Cause.SILENT, told, evidence, advice)


def _time_left(inquiry: Inquiry) -> tuple[list[tuple[str, str]], list[str]]:
    """Whether the units that are left do the steps that are left."""
    submission = next((one for one in inquiry.submissions if not one.cells), None)
    attempt, pace = inquiry.attempt, inquiry.pace
    if not submission or not attempt or not pace or not attempt.time:
        return [], []
    minutes = submission.resources.time_min
    spent = (time.time() - moment(attempt.time).timestamp()) / 60
    now = max(0, int((minutes - spent) * 60 / pace.step_s))
    able = now + (submission.units - attempt.unit - 1) * pace.steps_in(minutes)
    if able >= pace.rest:
        return [], []
    told = f"the time left does about {able} of the {pace.rest} steps left"
    return [("walltime", told)], [f"once it has ended: {text}" for text in more_time(inquiry)[:1]]
