"""What broken trainings leave behind: the diagnosis in `FAILED`, and what each rank printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RANKS = 8
START = """\
submitit INFO (2026-11-24 08:00:00,000) - Starting with JobEnvironment(job_id={job}, hostname={node}, \
local_rank={local}(4), node=0(2), global_rank={rank}({ranks}))
submitit INFO (2026-11-24 08:00:00,001) - Loading pickle: {job}_submitted.pkl
"""
STEP = "step {step}/{total}  loss {loss:.4f}  lr 2.90e-05  {speed:,.0f} tokens/s  left 7:12:40"


@dataclass(frozen=True)
class Breakage:
    """One way to break.

    Attributes:
        kind: name of it.
        reason: first line of the diagnosis, `{...}` to be filled in.
        advice: its last line.
        rank: that fails first; -1 is none of them.
        error: its traceback, as Python prints it.
        others: what the other ranks die of.
        state: what Slurm says of the job, with the exit code.
        cause: of the event `interrupted`, where Slurm ended the job.
    """

    kind: str
    reason: str
    advice: str
    rank: int = -1
    error: str = ""
    others: str = ""
    state: tuple[str, str] = ("FAILED", "1:0")
    cause: str = ""


FRAMES = """\
Traceback (most recent call last):
  File "/localscratch/me.{job}.0/code/jobs/call.py", line 55, in _work_as_unit
    result = self._work(interrupts)
  File "/localscratch/me.{job}.0/code/jobs/train.py", line 44, in run
    result = fit(
  File "/localscratch/me.{job}.0/code/layalign/training/fit.py", line 88, in _loop
    record = train_step(run)
  File "/localscratch/me.{job}.0/code/layalign/training/step.py", line 100, in train_step
    loss = run.engine.backward(batch.to(run.processes.device), scale, last=number == len(share))
"""
PEER = (
    FRAMES
    + """\
torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1250, remote process exited or there was a \
network error, NCCL version 2.21.5
ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.
"""
)
WATCHDOG = """\
[rank{rank}]:[E1124 09:14:22.118] ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught collective \
operation timeout: WorkNCCL(SeqNum=48213, OpType=ALLREDUCE, NumelIn=33572448, NumelOut=33572448, \
Timeout(ms)=600000) ran for 600042 milliseconds before timing out.
[rank{rank}]:[E1124 09:14:22.240] ProcessGroupNCCL.cpp:1785] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Exception \
(either an error or timeout) detected by watchdog at work: 48213, last enqueued NCCL work: 48213, last completed NCCL \
work: 48212.
"""
SAME = "give the same launch command again: it goes on from the last checkpoint"

BREAKAGES = (
    Breakage(
        "gpu memory",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 1.95 GiB. GPU 0 has a total capacity of 39.39 GiB of "
        "which 1.02 GiB is free. Including non-PyTorch memory, this process has 38.36 GiB memory in use.",
        "the GPU's memory is too small: give the same launch command again with -o training.micro_batch=4; nothing is "
        "lost",
        3,
        FRAMES
        + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.95 GiB. GPU 0 has a total capacity of 39.39 "
        "GiB of which 1.02 GiB is free. Including non-PyTorch memory, this process has 38.36 GiB memory in use.\n",
        PEER,
    ),
    Breakage(
        "host memory",
        "out of memory: job {job}",
        f"ask for more memory (-o cluster.mem=64G), or lower training.micro_batch; then {SAME}",
        5,
        "",
        PEER,
        ("OUT_OF_MEMORY", "0:125"),
        "out of memory",
    ),
    Breakage(
        "nccl time-out",
        "DistBackendError: [Rank 6] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=48213, "
        "OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600042 milliseconds before timing out; no sign of rank 2 "
        "(node {other})",
        f"leave the node out (-o cluster.extra=[--exclude={{other}}]), then {SAME}",
        6,
        WATCHDOG,
        WATCHDOG,
    ),
    Breakage(
        "missing file",
        "there is no data file query_translation/metamath_615k.json below /home/me/scratch/data; check --data or "
        "LAYALIGN_DATA",
        f"mend what the message says, then {SAME}",
        0,
        """\
Traceback (most recent call last):
  File "/localscratch/me.{job}.0/code/layalign/data/files.py", line 31, in locate
    raise ValueError(message)
cluster.errors.ClusterError: there is no data file query_translation/metamath_615k.json below /home/me/scratch/data; \
check --data or LAYALIGN_DATA
""",
        PEER,
    ),
    Breakage(
        "disk quota",
        "OSError: [Errno 122] Disk quota exceeded: '/home/me/scratch/runs/{run}/checkpoints/.1f0c9aa2be11.tmp'",
        f"make room (python launch.py clean), then {SAME}",
        0,
        FRAMES.replace("train_step(run)", "_save(run, is_best)")
        + "OSError: [Errno 122] Disk quota exceeded: "
        "'/home/me/scratch/runs/{run}/checkpoints/.1f0c9aa2be11.tmp'\n",
        PEER,
    ),
    Breakage(
        "walltime",
        "3 starts without progress: each ended before the next checkpoint",
        f"give each unit more time (--time), or save more often (-o training.save_every=...); then {SAME}",
        state=("TIMEOUT", "0:0"),
        cause="walltime",
    ),
    Breakage(
        "not a number",
        "the loss is nan in step {step}, rows [118, 40277] of the training data: nothing was saved, the last "
        "checkpoint is from before; look at these rows, or lower training.lr",
        f"mend what the message says, then {SAME}",
        1,
        FRAMES
        + "layalign.training.step.TrainingDiverged: the loss is nan in step {step}, rows [118, 40277] of the "
        "training data: nothing was saved, the last checkpoint is from before; look at these rows, or lower "
        "training.lr\n",
        FRAMES
        + "layalign.training.step.TrainingDiverged: the loss is nan in step {step}, rows [118, 40277] of the "
        "training data: nothing was saved, the last checkpoint is from before; look at these rows, or lower "
        "training.lr\n",
    ),
)
"""All but the last two can be on any rank; what happens before a start (account, dependency) is in the queue alone."""


def log_of(rank: int, facts: dict[str, Any], breakage: Breakage | None) -> str:
    """What one rank of a unit printed.

    Args:
        rank: it.
        facts: `job`, `run`, `node`, `other`, `step`, `total`, `loss`, `speed`.
        breakage: what ended it, if it did not end well.
    """
    facts = {**facts, "rank": rank, "local": rank % 4, "ranks": RANKS}
    lines = [START.format(**facts)]
    if rank == 0:
        first = max(1, int(facts["step"]) - 100)
        steps = range(first - first % 20, int(facts["step"]), 20)
        lines += [STEP.format(**{**facts, "step": step}) + "\n" for step in steps if step]
    if breakage and breakage.rank >= 0:
        text = breakage.error if rank == breakage.rank else breakage.others
        lines.append(text.format(**facts))
    if breakage and breakage.kind == "host memory" and rank == 0:
        lines.append(
            f"slurmstepd: error: Detected 1 oom_kill event in StepId={facts['job']}.0. Some of the step tasks have "
            "been OOM Killed.\n"
            f"srun: error: {facts['other']}: task 5: Out Of Memory\n"
        )
    if breakage and breakage.kind == "walltime" and rank == 0:
        lines.append(
            f"slurmstepd: error: *** STEP {facts['job']}.0 ON {facts['node']} CANCELLED AT 2026-11-24T20:00:12 DUE TO "
            "TIME LIMIT ***\n"
        )
    return "".join(lines)


def diagnosis_of(breakage: Breakage, facts: dict[str, Any]) -> str:
    """What `FAILED` holds, in the form of `cluster.job.causes.diagnosis`."""
    from cluster.job.causes import diagnosis

    rank = max(breakage.rank, 0)
    where = {"exit code": breakage.state[1].partition(":")[0], "nodes": f"{facts['node']},{facts['other']}"}
    if breakage.rank >= 0:
        where = {"exit code": "1", "where": f"rank {rank} of {facts['unit']}, nodes {facts['node']}"}
    log = log_of(rank, facts, breakage)
    told = [line for line in log.splitlines() if line and not line.startswith("submitit")]
    reason, advice = breakage.reason.format(**facts), breakage.advice.format(**facts)
    return diagnosis(reason, {**where, "log": facts["log"]}, told[-15:], advice)
