"""How some work stopped short of its end: the cause in what it wrote and printed, the evidence, what helps. Light."""

from __future__ import annotations

from pathlib import Path

from cluster.files import read_jsonl
from cluster.job.rendezvous import expand_nodes
from cluster.logs.error_patterns import EXCLUDE, SIGNS
from cluster.logs.pattern import Finding, fill, find_sign
from cluster.logs.read import LogPart, Trace
from cluster.logs.stalls import Suspect, suspects
from cluster.profile.rules import units_of
from cluster.quantities import human_time, short_time
from cluster.quota import quota_of, read_quotas
from jobs.diagnosis.attempts import Attempt, first_failure, short_name
from jobs.diagnosis.evidence import Diagnosis, Inquiry, accounting, ago, progress, shortened
from jobs.diagnosis.waiting import brackets_of

TAIL = 1 << 16
LOGS = 16
"""Ranks whose logs are searched."""
UNKNOWN = "it ended, and no event, no traceback and no sign in its logs says why"
ROOTS = tuple(sign for sign in SIGNS if not sign.symptom)
SYMPTOMS = tuple(sign for sign in SIGNS if sign.symptom)
BY_STATE = {
    "TIMEOUT": "walltime",
    "NODE_FAIL": "node failure",
    "BOOT_FAIL": "node failure",
    "OUT_OF_MEMORY": "out of memory",
    "PREEMPTED": "preemption",
    "CANCELLED": "cancelled",
    "DEADLINE": "deadline",
    "REVOKED": "revoked",
}


def failed(inquiry: Inquiry) -> Diagnosis:
    """It said why, or Slurm did: the first sign of a cause, in what failed first."""
    text = inquiry.work.failed.read_text(encoding="utf-8")
    failed = [event for event in inquiry.events if event["event"] == "failed"]
    evidence = [("when", ago(failed[-1]["time"]))] if failed else []
    return _explained(inquiry, text, "failed", evidence, text.rpartition("  next: ")[2].strip())


def stopped(inquiry: Inquiry) -> Diagnosis:
    """It was begun, is not over, and nothing of it is in the queue."""
    ends = [event for event in inquiry.events if event["event"] in ("interrupted", "started")]
    last, row = (ends[-1] if ends else {}), inquiry.accounted
    text, evidence = "", []
    if last.get("event") == "interrupted":
        text = f"{last['cause']}: job {last.get('job', '')}"
        evidence = [("when", ago(last["time"]))]
    elif row:
        text = f"{BY_STATE.get(row.state, 'ended')}: job {row.id}"
    if inquiry.look.silence:
        evidence.append(("squeue", shortened(inquiry.look.silence)))
    return _explained(inquiry, text, "interrupted", evidence, "")


def _explained(
    inquiry: Inquiry, text: str, state: str, evidence: list[tuple[str, str]], known: str
) -> Diagnosis:
    """Why it ended, from what is written down and from its logs.

    Args:
        inquiry: about it.
        text: what is written down, the reason in its first line.
        state: of it.
        evidence: so far.
        known: advice that is written down.
    """
    attempt, name = inquiry.attempt, short_name(inquiry.work)
    failure = first_failure(attempt) if attempt and attempt.ranks() else None
    finding = find_cause(attempt, text)
    cause, told = "an exception" if failure else "failed", shortened(text.partition("\n")[0])
    if not failure and state != "failed":
        cause, told = "unknown", UNKNOWN
    advice = [known] if known else [f"python launch.py logs {name} --errors", inquiry.again()]
    if finding:
        cause, told = finding.sign.cause, finding.told()
        evidence.append(("says", shortened(finding.line)))
        advice = finding.advice(inquiry.facts()) or advice
    elif failure:
        told = shortened(failure[1].errors[-1].partition("\n")[0])
        evidence.append(("where", failure[1].frame))
    if attempt:
        evidence.append(("process", _place(attempt, _rank(inquiry, attempt, failure, finding))))
    if finding and (finding.sign.symptom or cause in ("killed", "node failure")) and attempt:
        found = stalled(inquiry, attempt)
        evidence += suspect_rows(found)
        advice = _leave_out(found, attempt) + advice
        told += f"; {who(found)}" if found else ""
    row = inquiry.accounted
    if cause == "cancelled" and row and row.by:
        told = f"{row.by} cancelled it (job {row.id})"
    evidence += [*progress(inquiry), *accounting(inquiry), *_disk(cause, finding)]
    if cause == "walltime":
        advice = more_time(inquiry) or advice
    if attempt:
        evidence.append(("log", str(attempt.log) + ("" if attempt.log.exists() else " (gone)")))
    return Diagnosis(state, cause, told, evidence, list(dict.fromkeys(advice)))


def find_cause(attempt: Attempt | None, text: str) -> Finding | None:
    """The cause in what is written down, in the first traceback, or in the ends of the logs, in that order.

    What only follows from something elsewhere counts if there is nothing else. A traceback that is about more than a
    lost peer is the cause, whether the table knows it or not: the logs are not searched for another.
    """
    headline = text.partition("\n")[0]
    sources = [headline]
    if attempt and attempt.ranks():
        failure = first_failure(attempt)
        if failure:
            sources += ["\n".join(reversed(failure[1].errors))]
            if not failure[1].lost_peer and not find_sign(sources[-1], SYMPTOMS):
                return _best(sources)
        sources += [_end(attempt.part(rank)) for rank in attempt.ranks()[:LOGS]]
    return _best([*sources, text])


def _best(sources: list[str]) -> Finding | None:
    """The first cause; of what tells of the same one, that which tells most."""
    for signs in (ROOTS, SYMPTOMS):
        found = [finding for text in sources if (finding := find_sign(text, signs))]
        if found:
            same = [finding for finding in found if finding.sign.cause == found[0].sign.cause]
            return max(same, key=lambda finding: sum(map(bool, finding.groups.values())))
    return None


def _end(part: LogPart) -> str:
    begin, end = part.span()
    return part.read(max(begin, end - TAIL), end).decode(errors="replace")


def _rank(
    inquiry: Inquiry, attempt: Attempt, failure: tuple[int, Trace] | None, finding: Finding | None
) -> int:
    """Which process it was, by the surest sign there is."""
    told = [event["rank"] for event in inquiry.events if event["event"] == "failed" and "rank" in event]
    task = finding.groups.get("task", "").partition("-")[0].partition(",")[0] if finding else ""
    if task.isdecimal():
        return int(task)
    return told[-1] if told else failure[0] if failure else attempt.rank


def _place(attempt: Attempt, rank: int) -> str:
    node = attempt.node(rank) if rank in attempt.ranks() else ""
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
    if not finding or cause not in ("disk quota exceeded", "no space left"):
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
    longer = [one for one in brackets_of(submission.profile) if one > minutes and units_of(whole, one) == 1]
    if longer:
        advice.append(f"or with --time {short_time(longer[0])}: the rest takes {human_time(whole)} in one go")
    return advice
