"""How some work stopped short of its end: the cause, the evidence, and what helps; or that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster.files import read_jsonl
from cluster.job.lifecycle import CHANGED
from cluster.job.rendezvous import expand_nodes
from cluster.logs.advice_words import ERRORS, EXCLUDE, GOES_ON
from cluster.logs.pattern import Finding, Meaning, Strength, fill
from cluster.logs.stalls import Suspect, suspects
from cluster.profile.rules import units_of
from cluster.quantities import human_time, short_time
from cluster.quota import quota_of, read_quotas
from cluster.run.run_folder import begun_here
from cluster.run.state import Cause, State
from cluster.slurm.accounting import Usage
from cluster.slurm.queue import UNDECIDED
from jobs.diagnosis.attempts import HEADING, LOG, Attempt, short_name
from jobs.diagnosis.clues import EXCEPTION, FAILED, Clue, Weight, best_clue, silence_s
from jobs.diagnosis.evidence import Diagnosis, Inquiry, accounting, ago, progress, shortened
from jobs.diagnosis.log_ends import LogEnds
from jobs.diagnosis.waiting import brackets_of

HUNG = Meaning(
    Cause.SILENT,
    "it hung: it gave no sign of life in the last {long} before its time was over",
    (ERRORS, GOES_ON),
    Strength.WAITED,
)
BROKEN = 4
"""Logs of an array's slots that are looked at, the latest ones."""
HEAD = 1 << 20
TAKEN = (HEADING.encode(), b" of them to be answered")
"""What a slot prints that has taken up a cell."""
NEARLY_ALL = 0.92
"""Of the memory that was asked for: who used more may have needed more than there was."""


def failed(inquiry: Inquiry) -> Diagnosis:
    """It has written down why, or the next start has."""
    text = inquiry.work.failed.read_text(encoding="utf-8")
    failed = [event for event in inquiry.events if event["event"] == "failed"]
    evidence = [("when", ago(failed[-1]["time"]))] if failed else []
    clue = best_clue(inquiry, text)
    assert clue, "what is written down is a clue"
    return _explained(inquiry, clue, State.FAILED, evidence, text.rpartition("  next: ")[2].strip())


def stopped(inquiry: Inquiry) -> Diagnosis:
    """It was begun, is not over, and nothing of it is in the queue."""
    ends = [event for event in inquiry.events if event["event"] in ("interrupted", "started")]
    evidence = [("when", ago(ends[-1]["time"]))] if ends and ends[-1]["event"] == "interrupted" else []
    if inquiry.look.silence:
        evidence.append(("squeue", shortened(inquiry.look.silence)))
    clue = best_clue(inquiry)
    if clue is None:
        return _unsure(inquiry, evidence)
    return _explained(inquiry, _hung(inquiry, clue) or clue, State.INTERRUPTED, evidence)


def slot_broke(inquiry: Inquiry) -> Diagnosis | None:
    """Why a slot that was to take it up broke before it took up anything, as where what it begins with is damaged."""
    for grid, submission in reversed(inquiry.slots):
        logs = [path for path in grid.slurm.glob(f"{submission.job}_*_log.out") if LOG.fullmatch(path.name)]
        for log in sorted(logs, key=lambda path: path.stat().st_mtime_ns)[: -BROKEN - 1 : -1]:
            said = log.read_bytes()[:HEAD]
            if any(mark in said for mark in TAKEN):
                continue
            job = log.name.partition("_0_log")[0]
            slot = Inquiry(inquiry.work, inquiry.look)
            slot.attempt = Attempt(work=inquiry.work, job=job, time="", nodes="", unit=0, log=log)
            clue = best_clue(slot)
            if clue and clue.weight >= Weight.SAID:
                evidence = [("array", f"job {job} of grid {grid.name} broke before it took up a cell")]
                found = _explained(slot, clue, State.NEW, evidence)
                again = f"python launch.py missing {grid.name} --submit"
                return replace(found, advice=list(dict.fromkeys([again, *found.advice])))
    return None


def _explained(
    inquiry: Inquiry, clue: Clue, state: State, evidence: list[tuple[str, str]], written: str = ""
) -> Diagnosis:
    """Why it ended.

    Args:
        inquiry: about it.
        clue: what counts most.
        state: of it.
        evidence: so far.
        written: advice that is written down, for what no table knows.
    """
    attempt, finding, told = inquiry.attempt, clue.finding, shortened(clue.finding.told())
    evidence.append(("says", shortened(finding.line)))
    if clue.trace and clue.trace.frame:
        evidence.append(("where", clue.trace.frame))
    advice = advice_of(inquiry, clue) or [inquiry.again()]
    if written and finding.meaning in (EXCEPTION, FAILED):
        advice = [written.replace(CHANGED, inquiry.again())]
    if attempt:
        evidence.append(("process", _place(inquiry, attempt, _rank(inquiry, attempt, clue))))
    if attempt and (finding.meaning.symptom or clue.cause in (Cause.KILLED, Cause.NODE_FAILURE)):
        found = stalled(inquiry, attempt)
        evidence += [
            ("srun", shortened(one.line)) for one in LogEnds(attempt).told[:2] if one.line != finding.line
        ]
        evidence += suspect_rows(found)
        advice = _leave_out(found, attempt) + advice
        told += f"; {who(found)}" if found else ""
    told, advice = _with_accounting(inquiry, clue, told, advice)
    evidence += [*progress(inquiry), *accounting(inquiry), *_disk(clue.cause, finding), *_log(attempt)]
    return Diagnosis(state, clue.cause, told, evidence, _distinct(advice))


def _distinct(advice: Sequence[str]) -> list[str]:
    """Each once, and none that another one begins with."""
    return [one for one in dict.fromkeys(advice) if not any(o != one and o.startswith(one) for o in advice)]


def _hung(inquiry: Inquiry, clue: Clue) -> Clue | None:
    """What is told instead of a time that was over, where it gave no sign of life for long before; else None."""
    silent_s = silence_s(inquiry)
    if clue.weight is not Weight.TIME or silent_s is None:
        return None
    silent = human_time(silent_s / 60)
    line = f"last sign of life {silent} before its time was over"
    return replace(clue, finding=Finding(HUNG, {"long": silent}, line))


def _with_accounting(inquiry: Inquiry, clue: Clue, told: str, advice: list[str]) -> tuple[str, list[str]]:
    """What is told and advised, with what accounting and the measured speed add to it."""
    row = inquiry.accounted
    if clue.cause is Cause.CANCELLED and row and row.by:
        return f"{row.by} cancelled it (job {row.id})", advice
    if clue.cause is Cause.KILLED and row and _nearly_all_memory(row):
        more = f"{inquiry.again()} --more-mem" if inquiry.queued else "ask for more memory of a node: --mem"
        return f"{told}; but nearly all the memory that it had asked for was used", [more, *advice]
    if clue.cause is Cause.WALLTIME:
        return told, more_time(inquiry) or advice
    return told, advice


def _unsure(inquiry: Inquiry, evidence: list[tuple[str, str]]) -> Diagnosis:
    """Nobody says why: how it ended, and the last lines that may be about an error."""
    attempt, row = inquiry.attempt, inquiry.accounted
    ends = LogEnds(attempt) if attempt else None
    evidence += [("srun", shortened(message.line)) for message in (ends.told if ends else [])[:1]]
    evidence += [
        ("last words", f"rank {rank}: {shortened(line)}") for rank, line in (ends.quotes() if ends else [])
    ]
    how = "it ended, and nobody says how"
    if begun_here(inquiry.work):
        how = "its process is gone without a word: killed (kill -9), out of memory (see dmesg), or the machine stopped"
    if row and row.state in UNDECIDED:
        how = f"job {row.id} is {row.state} in accounting still, though it is not in the queue"
    elif row:
        how = f"job {row.id} ended as {row.state}, exit {row.exit}"
    told = f"{how}; no record, no traceback and no known error among its last words says why"
    evidence += [*progress(inquiry), *accounting(inquiry), *_log(attempt)]
    advice = [f"python launch.py logs {short_name(inquiry.work)}: its last words", inquiry.again()]
    return Diagnosis(State.INTERRUPTED, Cause.UNKNOWN, told, evidence, advice)


def advice_of(inquiry: Inquiry, clue: Clue) -> list[str]:
    """What helps, with the node that it is about where that is one."""
    attempt, groups = inquiry.attempt, dict(clue.finding.groups)
    node = groups.pop("node", "")
    facts, row = inquiry.facts(), inquiry.accounted
    if not _single(node) and attempt and clue.rank is not None:
        node = _node(inquiry, attempt, clue.rank)
    node = node if _single(node) or not row else row.node_list
    known = {**facts, "node": node if _single(node) else facts["node"]}
    return Finding(clue.finding.meaning, groups, clue.finding.line).advice(known)


def _node(inquiry: Inquiry, attempt: Attempt, rank: int) -> str:
    """The node of a process: as its log tells, else as Slurm fills them one after the other."""
    if rank in attempt.ranks() and (told := attempt.node(rank)):
        return told
    own = next((one for one in inquiry.submissions if not one.cells), None)
    try:
        nodes = expand_nodes(attempt.nodes)
    except ValueError:
        return ""
    at = rank // own.resources.tasks_per_node if own else len(nodes)
    return nodes[at] if at < len(nodes) else ""


def _single(node: str) -> bool:
    """Whether it is one node, not none and not a list."""
    return bool(node) and not set(node) & set(",[")


def _nearly_all_memory(row: Usage) -> bool:
    return bool(row.mem_mb and row.used_mb and row.used_mb > NEARLY_ALL * row.mem_mb / row.nodes)


def _rank(inquiry: Inquiry, attempt: Attempt, clue: Clue) -> int:
    """Which process it was, by the surest sign there is."""
    told = [event["rank"] for event in inquiry.events if event["event"] == "failed" and "rank" in event]
    if clue.rank is not None:
        return clue.rank
    return told[-1] if told else attempt.rank


def _log(attempt: Attempt | None) -> list[tuple[str, str]]:
    return [("log", str(attempt.log) + ("" if attempt.log.exists() else " (gone)"))] if attempt else []


def _place(inquiry: Inquiry, attempt: Attempt, rank: int) -> str:
    node = _node(inquiry, attempt, rank)
    where = f" on {node}" if node else ""
    nodes = f", nodes {attempt.nodes}" if attempt.nodes and attempt.nodes != node else ""
    return f"rank {rank}{where}, job {attempt.job}{nodes}"


def stalled(inquiry: Inquiry, attempt: Attempt) -> list[Suspect]:
    """The processes that the others wait for."""
    starts = read_jsonl(attempt.work.starts)
    world = starts[-1].get("processes", 1) if starts else 1
    ranks = attempt.ranks()
    return suspects({rank: attempt.part(rank) for rank in ranks}, world if len(ranks) > 1 else 0)


def suspect_rows(found: list[Suspect]) -> list[tuple[str, str]]:
    return [("missing", f"rank {one.rank}{_on(one)} {one.why}") for one in found[:4]]


def who(found: list[Suspect]) -> str:
    return f"rank {found[0].rank}{_on(found[0])} is missing" + (
        f", and {len(found) - 1} more" if len(found) > 1 else ""
    )


def _on(suspect: Suspect) -> str:
    return f" on {suspect.node}" if suspect.node else ""


def _leave_out(found: list[Suspect], attempt: Attempt) -> list[str]:
    """How to do without the node that all the suspects are on, where others are not."""
    nodes = {one.node for one in found}
    try:
        others = set(expand_nodes(attempt.nodes)) - nodes
    except ValueError:
        others = set()
    return [fill(EXCLUDE, {"node": nodes.pop()})] if len(nodes) == 1 and "" not in nodes and others else []


def _disk(cause: str, finding: Finding | None) -> list[tuple[str, str]]:
    """The quota that is used up, where the site tells."""
    if not finding or cause not in (Cause.QUOTA, Cause.NO_SPACE):
        return []
    quotas = read_quotas()
    path = finding.groups.get("path", "")
    mine = quota_of(Path(path), quotas) if path else None
    full = (
        [mine]
        if mine
        else [one for one in quotas if one.used >= 0.97 * one.most or one.files >= 0.97 * one.most_files]
    )
    return [
        (
            "quota",
            f"{one.name}: {one.used / 1e9:.0f} of {one.most / 1e9:.0f} GB, {one.files} of {one.most_files} files",
        )
        for one in full
    ]


def more_time(inquiry: Inquiry) -> list[str]:
    """How many units, or how long a one, the rest takes at the speed that was measured."""
    pace = inquiry.pace
    submission = next(iter(inquiry.submissions), None)
    if not pace or not submission:
        return []
    minutes = submission.resources.time_min
    units, each = pace.units(minutes), pace.steps_in(minutes)
    told = f"at {pace.step_s:.2g} s a step a unit of {human_time(minutes)} does {each} steps, {pace.rest} are left"
    if units and units <= submission.units:
        return [f"{inquiry.again()}: {told}"]
    wish = f"--units {units}" if units else "a longer --time"
    advice = [f"give the launch command again with {wish}: {told}"]
    whole = pace.whole_min()
    longer = [one for one in brackets_of(submission.origin) if one > minutes and units_of(whole, one) == 1]
    if longer:
        advice.append(f"or with --time {short_time(longer[0])}: the rest takes {human_time(whole)} in one go")
    return advice
