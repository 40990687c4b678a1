"""What jobs asked for and used, as accounting tells it: one `sacct` for any number of jobs.

Fields: slurm.schedmd.com/sacct.html, "Job Accounting Fields". Seen on Slurm 22.05: the row of a job has no MaxRSS,
its steps have; a job whose step ran out of memory is itself FAILED; `ReqMem` is that of all nodes; a job that was
requeued has a row, with steps of its own, for each start; `CANCELLED by 1000` names who did it, and plain
CANCELLED with no node is a job that never began.
"""

from __future__ import annotations

import getpass
import pwd
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cluster.quantities import duration_s, memory_mb
from cluster.slurm import client

FIELDS = (
    *("JobID", "State", "ExitCode", "ElapsedRaw", "TimelimitRaw", "AllocTRES", "MaxRSS", "TotalCPU"),
    *("AllocCPUS", "NNodes", "NTasks", "NodeList", "Start", "End", "TRESUsageInMax"),
    *("Submit", "JobName", "SubmitLine"),
)
NEEDED = FIELDS.index("Submit")
"""So many fields every row has; what tells whose job it is may be missing, and the last may have anything in it."""
SACCT = ("--duplicates", "--noheader", "--parsable2", f"--format={','.join(FIELDS)}")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One start of one job."""

    id: str
    """`12` or `12_3`."""
    state: str
    """OUT_OF_MEMORY also where only a step says so."""
    by: str
    """Who cancelled it; empty if nobody did."""
    exit: str
    """Status and signal: `0:9`."""
    elapsed_s: int
    limit_min: int | None
    cpus: int
    nodes: int
    gpus: int
    mem_mb: float | None
    """Memory asked for, of all nodes."""
    node_list: str
    start: str
    """Local time, as Slurm writes it."""
    end: str
    used_mb: float | None = None
    """Most memory of a node: of the largest step, its largest process times its processes on a node."""
    cpu_s: float = 0.0
    gpu_mb: float | None = None
    """Most memory of a GPU, where the site records it."""
    steps: list[str] = field(default_factory=list)
    """States of its steps."""
    submit: str = ""
    """When it was submitted, or requeued: local time, as Slurm writes it."""
    name: str = ""
    command: str = ""
    """The line that submitted it; empty where Slurm does not keep it."""

    @property
    def began(self) -> bool:
        """Whether it ever ran."""
        return not self.node_list.startswith("None") and self.start not in ("", "Unknown", "None")


def usage(jobs: Iterable[str]) -> list[Usage] | None:
    """What accounting knows of jobs, all their elements and starts, in its order; None: there is none, or no answer.

    Args:
        jobs: ids; that of an array stands for all its elements.
    """
    ids = ",".join(dict.fromkeys(jobs))
    if not ids:
        return []
    told = client.ask("sacct", *SACCT, f"--jobs={ids}")
    return None if told is None else parse_usage(told)


def parse_usage(text: str) -> list[Usage]:
    """The rows of sacct: each job, with what its steps say folded into it."""
    found: list[Usage] = []
    for line in text.split("\n"):  # names may have other ends of lines in them
        cells = line.split("|", len(FIELDS) - 1)
        if len(cells) < NEEDED:
            continue
        row = dict(zip(FIELDS, cells))
        job, dot, _ = row["JobID"].partition(".")
        if not dot:
            found.append(_job(row))
            continue
        at = next((n for n in reversed(range(len(found))) if found[n].id == job), None)
        if at is not None:
            found[at] = _with_step(found[at], row)
    return found


def user_name(uid: str) -> str:
    """Who has a number, `you` for the caller; the number where nobody has it here."""
    try:
        name = pwd.getpwuid(int(uid)).pw_name
    except (KeyError, ValueError):
        return uid if not uid.isdecimal() else f"user {uid}"
    return "you" if name == getpass.getuser() else name


def told_name(name: str) -> str:
    """A job's name; empty where accounting does not know it: `allocation` is its own word for a job that it heard of
    only when that was over (seen on 22.05 of jobs that never began)."""
    return "" if name == "allocation" else name


def _job(row: dict[str, str]) -> Usage:
    state, _, by = row["State"].partition(" by ")
    tres = _tres(row["AllocTRES"])
    return Usage(
        id=row["JobID"],
        state=state,
        by=user_name(by) if by else "",
        exit=row["ExitCode"],
        elapsed_s=_whole(row["ElapsedRaw"]) or 0,
        limit_min=_whole(row["TimelimitRaw"]),
        cpus=_whole(row["AllocCPUS"]) or 0,
        nodes=_whole(row["NNodes"]) or 1,
        gpus=_whole(tres.get("gres/gpu", "")) or 0,
        mem_mb=memory_mb(tres.get("mem", "")),
        node_list=row["NodeList"],
        start=row["Start"],
        end=row["End"],
        cpu_s=duration_s(row["TotalCPU"]) or 0.0,
        submit=row.get("Submit", ""),
        name=told_name(row.get("JobName", "")),
        command=row.get("SubmitLine", ""),
    )


def _with_step(job: Usage, row: dict[str, str]) -> Usage:
    state = row["State"].partition(" ")[0]
    largest, nodes = memory_mb(row["MaxRSS"]), _whole(row["NNodes"]) or 1
    on_node = largest and largest * -(-(_whole(row["NTasks"]) or 1) // nodes)
    gpu = memory_mb(_tres(row["TRESUsageInMax"]).get("gres/gpumem", ""))
    return replace(
        job,
        state=state if state == "OUT_OF_MEMORY" else job.state,
        used_mb=max(filter(None, (job.used_mb, on_node)), default=None),
        gpu_mb=max(filter(None, (job.gpu_mb, gpu)), default=None),
        steps=[*job.steps, state],
    )


def _tres(text: str) -> dict[str, str]:
    """`cpu=4,gres/gpu=4,mem=1000M` by name."""
    return dict(part.partition("=")[::2] for part in text.split(",") if "=" in part)


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None
