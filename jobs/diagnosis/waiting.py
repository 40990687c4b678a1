"""Why work does not run though nothing has failed: the queue's reasons in plain words, and what it waits for."""

from __future__ import annotations

import time
from datetime import datetime

from cluster.errors import ClusterError
from cluster.job.slurm_messages import BREAKS, NO_STEP, ended_by
from cluster.logs.pattern import Finding, find_pattern
from cluster.logs.pending_reasons import BUSY, REASONS
from cluster.logs.read import LogPart
from cluster.logs.slurm_patterns import meant
from cluster.profile.load import SlurmProfile, load_profile
from cluster.profile.profile_file import Cluster
from cluster.quantities import epoch_s, human_time
from cluster.run.state import STOPPED, Cause, State
from cluster.run.work_folder import cancels
from cluster.slurm.accounting import user_name
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import Submission
from jobs.board.state import SILENT_S
from jobs.diagnosis.attempts import short_name, why
from jobs.diagnosis.evidence import Diagnosis, Inquiry, ago, progress, shortened
from jobs.diagnosis.log_ends import LogEnds
from jobs.diagnosis.standing import needs, parents_of

LONG_S = 1800.0
"""Making an environment and loading modules may be slow, and say little."""


def waiting(inquiry: Inquiry) -> Diagnosis:
    """What is in the queue, and what the scheduler says of it."""
    held = [(submission, job) for submission, job in inquiry.rows if job.waits]
    if not held:
        submission, job = inquiry.rows[0]
        return _starting(inquiry, submission, job)
    submission, job = held[0]
    findings = [found for reason in job.reasons if (found := find_pattern(reason, REASONS))]
    blocked = parent_failed(inquiry)
    if blocked:
        return blocked
    parents = _parents(inquiry) if "Dependency" in job.reason or submission.cells else []
    reason = job.reason if job.state == "PENDING" else str(job)
    evidence = [("queue", f"job {job.id}, {reason or 'no reason yet'}"), *parents, *_asked(submission)]
    if (start := _expected(job)) is not None:
        evidence.append(("start", start))
    cause = ", ".join(dict.fromkeys(found.meaning.cause for found in findings))
    told = "; others of its elements: ".join(dict.fromkeys(found.told() for found in findings))
    if submission.cells and job.reasons == ("JobArrayTaskLimit",):
        cause, told = Cause.SLOT, _slots(inquiry)
    advice = dict.fromkeys(text for found in findings for text in _advice(inquiry, found, submission, job))
    return Diagnosis(State.QUEUED, cause, told, evidence, list(advice))


def parent_failed(inquiry: Inquiry) -> Diagnosis | None:
    """The run before this one has failed, so that this one cannot start."""
    for parent in needs(inquiry):
        stands = parents_of(inquiry)[parent.path.name]
        if stands.state in STOPPED:
            evidence = [("parent", parent.path.name), ("says", stands.note[:240])]
            how = "was cancelled" if stands.state is State.CANCELLED else "has failed"
            told = f"the run whose weights it starts from {how}: mend that one first"
            advice = [
                why(parent),
                f"then: {Inquiry(parent, inquiry.look).again()}; {inquiry.again()}",
            ]
            return Diagnosis(State.BLOCKED, Cause.PARENT, told, evidence, advice)
    return None


def not_whole(inquiry: Inquiry, fault: str) -> Diagnosis:
    """It was done once, and what it stands for is lost, or more of it is wanted now."""
    state, cause = State.INTERRUPTED, Cause.RESULT_LOST
    told = fault or "it was done, and more, or something else, is wanted of it now"
    return Diagnosis(state, cause, told, progress(inquiry), [inquiry.again()])


def never_submitted(inquiry: Inquiry) -> Diagnosis:
    """It has no job in the queue, and none has ever begun to work on it."""
    evidence = _parents(inquiry)
    if hidden := next((one for one in inquiry.submissions if one.may_be_queued(inquiry.look)), None):
        whose = (
            "" if hidden.ours else f" of {user_name(str(hidden.uid))}, whose jobs this Slurm may not show you"
        )
        whose = f" on {hidden.elsewhere}, which cannot be asked from here," if hidden.elsewhere else whose
        told = f"its job {hidden.job or hidden.name}{whose} was submitted, and may be in the queue: nobody can see now"
        evidence += [("squeue", shortened(inquiry.look.silence))] if inquiry.look.silence else []
        return Diagnosis(
            State.QUEUED, Cause.QUEUE_UNKNOWN, told, evidence, [f"in a minute: {why(inquiry.work)}"]
        )
    row, newest = inquiry.accounted, inquiry.submissions[0].job if inquiry.submissions else None
    grids = sorted({grid.name for grid, _ in inquiry.slots})
    if row and not row.began:
        by = f"was cancelled by {row.by}" if row.by else "left the queue"
        told = f"its job {row.id} {by} before it could start: somebody ended it, or what it waited for has failed"
        cancelled = row.state == "CANCELLED"
        state = State.CANCELLED if cancelled else State.INTERRUPTED
        cause = Cause.CANCELLED if cancelled else Cause.NEVER_STARTED
        return Diagnosis(state, cause, told, evidence, [inquiry.again()])
    if event := next((one for one in inquiry.events if cancels(one, newest)), None):
        told = f"its job {newest} was cancelled by {user_name(str(event.get('uid')))} before it could start"
        return Diagnosis(State.CANCELLED, Cause.CANCELLED, told, evidence, [inquiry.again()])
    if grids:
        told = f"no slot of grid {', '.join(grids)} is left that could take it"
        return Diagnosis(
            State.NEW, Cause.NOT_SUBMITTED, told, evidence, [f"python launch.py missing {grids[0]} --submit"]
        )
    if inquiry.submissions:
        told = f"its job {inquiry.submissions[0].job} has left the queue, and left neither a log nor a word"
        return Diagnosis(State.INTERRUPTED, Cause.NEVER_STARTED, told, evidence, [inquiry.again()])
    told = "no job was ever submitted for it"
    return Diagnosis(State.NEW, Cause.NOT_SUBMITTED, told, evidence, ["the launch command of its recipe"])


def _starting(inquiry: Inquiry, submission: Submission, job: QueuedJob) -> Diagnosis:
    """Its job runs, and has not taken it up: it makes its environment, or a slot works on something else."""
    evidence = [("queue", f"job {job.id}, {job.state}, since {job.start}"), *_asked(submission)]
    if (busy := find_pattern(job.state, BUSY)) and not submission.cells:
        return Diagnosis(
            State.RUNNING, busy.meaning.cause, busy.told(), evidence, _advice(inquiry, busy, submission, job)
        )
    if submission.cells:
        return Diagnosis(State.QUEUED, Cause.SLOT, _slots(inquiry), [*evidence, *_parents(inquiry)], [])
    log = inquiry.attempt.log if inquiry.attempt else inquiry.run.slurm
    name = short_name(inquiry.work)
    stuck = _stuck(inquiry, job)
    if stuck:
        return Diagnosis(
            State.RUNNING, *stuck, [*evidence, ("log", str(log))], [f"scancel {job.id}; {inquiry.again()}"]
        )
    told = "its job has begun, and makes its environment or loads modules"
    return Diagnosis(
        State.RUNNING,
        Cause.STARTING,
        told,
        [*evidence, ("log", str(log))],
        [f"python launch.py logs {name} --follow"],
    )


def suspended(inquiry: Inquiry) -> tuple[str, str] | None:
    """That the job at work stands still, as Slurm has suspended it: squeue's row, and what it means."""
    job = inquiry.holder.job if inquiry.holder else None
    row = next((row for _, row in inquiry.rows if row.id == job and not row.ending), None)
    busy = find_pattern(row.state, BUSY) if row else None
    still = row and busy and busy.meaning.cause == "suspended"
    return (f"job {job}, {row.state}", busy.told()) if row and busy and still else None


def _stuck(inquiry: Inquiry, job: QueuedJob) -> tuple[Cause, str] | None:
    """Cause and words, where its job has held nodes for so long that it will hardly begin any more."""
    attempt = inquiry.attempt
    if attempt is None:
        return None
    silent_s = time.time() - LogPart(attempt.log).modified()
    start = epoch_s(job.start)
    held_s = time.time() - start if start else silent_s
    if held_s < SILENT_S:
        return None
    ended = ended_by(LogEnds(attempt).told)
    lasted = f"{human_time(held_s / 60)} after its job began"
    if ended and ended.kind in (NO_STEP, *BREAKS):
        finding = meant(ended)
        return finding.meaning.cause, f"{finding.told()}; {lasted}"
    if silent_s < LONG_S:
        return None
    return (
        Cause.SILENT,
        f"{lasted} nothing works on it, and its log has said nothing for {human_time(silent_s / 60)}",
    )


def _parents(inquiry: Inquiry) -> list[tuple[str, str]]:
    """How far the runs are that must be done before."""
    rows = []
    for parent in needs(inquiry):
        if not parent.is_done():
            about = Inquiry(parent, inquiry.look)
            state, pace = parents_of(inquiry)[parent.path.name].state, about.pace
            far = (
                f", step {pace.step} of {pace.total}, about {human_time(pace.left_min)} left" if pace else ""
            )
            held = [] if state is State.RUNNING else about.rows[:1]
            queue = "".join(f", job {job.id} {job}" for _, job in held)
            rows.append(("waits for", f"{parent.path.name}: {state}{far}{queue}"))
    return rows


def _slots(inquiry: Inquiry) -> str:
    jobs = [(not job.waits, job.elements) for submission, job in inquiry.rows if submission.cells]
    busy = sum(count for runs, count in jobs if runs)
    held = sum(count for runs, count in jobs if not runs)
    grids = ", ".join(sorted({grid.name for grid, _ in inquiry.slots}))
    told = f"a cell of grid {grids}: {busy} slots run and {held} wait"
    return f"{told}; one takes it when it is free and what it needs is done"


def _asked(submission: Submission) -> list[tuple[str, str]]:
    """What the job asks for."""
    asked = submission.resources
    gpus = f"{asked.nodes} x {asked.gpus_per_node} {asked.gpu}" if asked.gpu else f"{asked.nodes} nodes"
    units = f"{asked.units} units of " if asked.units > 1 else ""
    account = f", account {asked.account}" if asked.account else ""
    told = f"{gpus}, {units}{human_time(asked.time_min)}{account}, submitted {ago(submission.time)}"
    return [("asked for", told)]


def _expected(job: QueuedJob) -> str | None:
    """When Slurm expects it to start."""
    start = epoch_s(job.start)
    left = (start - time.time()) / 60 if start else 0.0
    if not start or left <= 0:
        return None
    return f"{datetime.fromtimestamp(start):%Y-%m-%d %H:%M}, in {human_time(left)}, as Slurm expects now"


def _advice(inquiry: Inquiry, finding: Finding, submission: Submission, job: QueuedJob) -> list[str]:
    found = finding.advice({**inquiry.facts(), "job": job.job})
    return [shorter for text in found if (shorter := _bracketed(text, submission))]


def _bracketed(text: str, submission: Submission) -> str:
    """Advice to ask for less time, with the next shorter one; nothing where there is none."""
    if not text.startswith("a shorter --time with"):
        return text
    shorter = [one for one in brackets_of(submission.origin) if one < submission.resources.time_min]
    return (
        text.replace("a shorter --time", f"--time {human_time(shorter[-1]).replace(' ', '')}")
        if shorter
        else ""
    )


def brackets_of(cluster: Cluster) -> tuple[int, ...]:
    """The walltime brackets of a cluster in minutes; none where nobody knows."""
    try:
        known = load_profile(cluster)
    except ClusterError:
        return ()
    return known.walltime.brackets or () if isinstance(known, SlurmProfile) else ()
