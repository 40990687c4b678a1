"""Endings with truth: jobs as they end on real clusters, made up after real shapes, with the cause and what helps.

`corpus/*.yaml` hold them, one file for each family; nothing of them is made by the code that they are to judge. The
keys of an ending, all but the first two optional:

    name     of it, unlike any other
    cause    the truth: a word of `why`, or several that are as good; `unsure` where nobody can know
    advice   patterns, each of which some of the advice has; `allowed` are kinds of foreign advice that do no harm
    says     patterns, each of which the whole diagnosis has
    site     profile of the cluster (narval); slurm  its version, for the reader
    noise    blocks of noise.yaml that every process prints at its start, late  those after its last step
    steps    how far it came; without it it never came to a step
    ranks    what processes print in the end, by rank; srun and the batch shell print to rank 0's log. `gone`: no logs
    raises   {rank, error}: a traceback, which that process also records in FAILED unless `recorded` is false
    peers    nccl or gloo: what the other ranks die of
    failed   what FAILED says; event  how the next start recorded this one's end
    beat     minutes after its start at which it gave its last sign of life; it ended after 60
    sacct    {job: "STATE exit", batch: ..., "0": ..., used: 31.9G, asked: 32G, began: false}, or none
    queue    {state, reason, hours}: it is in the queue still
    started  false: it broke before Python could record a start
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from cluster.slurm.accounting import FIELDS
from jobs.diagnosis import why
from jobs.diagnosis.evidence import Diagnosis
from tests.cluster.fake_slurm import FakeSlurm
from tests.jobs.stories import START, Story, ago

CORPUS = Path(__file__).with_name("corpus")
NODES = {
    "narval": ("ng10101", "ng10102"), "fir": ("fc10101", "fc10102"), "nibi": ("g1", "g2"),
    "rorqual": ("rg11101", "rg11102"), "killarney": ("kn001", "kn002"), "vulcan": ("rack01-01", "rack01-02"),
    "trillium": ("trig0001", "trig0002"), "tamia": ("tg10101", "tg10102"), "local": ("here", "here"),
}  # fmt: skip
RANKS = 4
FRAMES = (
    'Traceback (most recent call last):\n  File "/localscratch/me.14.0/code/jobs/work/train.py", line 44, in run\n'
    "    result = fit(\n"
)
PEERS = {
    "nccl": "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1250, remote process exited or "
    "there was a network error, NCCL version 2.21.5\nncclRemoteError: A call failed possibly due to a network error or "
    "a remote process exiting prematurely.\n",
    "gloo": "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer "
    "[10.80.49.14]:40722\n",
}
STEP = "step {step}/9000  loss 0.6102  lr 2.90e-05  11,200 tokens/s  left 7:12:40\n"
SAME = "give the same launch command again: it goes on from the last checkpoint"
ADVICE_OF = {
    r"env --cluster \S+ --build": {"wrong environment"},
    r"launch\.py prefetch": {
        *("model or data not in the cache", "no internet", "damaged file", "too many requests"),
        "no access to the model",
    },
    r"--more-mem|--mem\b": {"out of memory", "too little shared memory", "killed"},
    r"micro_batch=|batch_size=": {"out of GPU memory"},
    r"launch\.py clean|diskusage": {"disk quota exceeded", "no space left", "output file not written"},
    r"SOCKET_IFNAME": {"no network between nodes"},
    r"more --time|--units \d": {"walltime", "no progress"},
    r"--exclude=": {
        *("broken GPU", "GPU busy", "node failure", "crashed", "could not be started", "collective time-out"),
        *(
            "no network between nodes",
            "network failure",
            "killed",
            "lost another process",
            "CUDA error",
            "NCCL error",
            "locked memory",
        ),
        *("processes did not meet", "wrong environment", "file system trouble"),
    },
}
"""Advice that is right for these causes alone, and wrong for any other."""


@dataclass(frozen=True)
class Ending:
    """One way in which a job may end."""

    family: str
    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.told["name"])

    @property
    def causes(self) -> list[str]:
        """What is true of it; the first is what the table of `docs/DIAGNOSIS.md` lists it under."""
        cause = self.told["cause"]
        return [cause] if isinstance(cause, str) else cause

    @property
    def noisy(self) -> bool:
        """Whether harmless lines stand in its logs."""
        return bool(self.told.get("noise") or self.told.get("late"))

    @property
    def half(self) -> int:
        """1 or 2: the code was made with the endings of the first half in sight."""
        return 1 + hashlib.sha1(self.name.encode()).digest()[0] % 2

    @property
    def nodes(self) -> tuple[str, str]:
        return NODES[self.told.get("site", "narval")]


@dataclass(frozen=True)
class Verdict:
    """What was told of an ending, and whether it is right."""

    told: str
    right: bool
    fault: str = ""

    @property
    def wrong(self) -> bool:
        """It was told with confidence, and is not right. That it is not sure is no fault of this kind."""
        return not self.right and self.told != "unsure"


def endings() -> list[Ending]:
    """All of them, family by family."""
    files = sorted(path for path in CORPUS.glob("*.yaml") if path.stem != "noise")
    found = [Ending(path.stem, told) for path in files for told in yaml.safe_load(path.read_text())]
    assert len({ending.name for ending in found}) == len(found), "two endings have one name"
    return found


def judge(ending: Ending, found: Diagnosis) -> Verdict:
    """Compare a diagnosis with the truth."""
    cause = "unsure" if found.cause == "unknown" else found.cause
    text = "\n".join([found.cause, found.told, *(text for _, text in found.evidence), *found.advice])
    if cause not in ending.causes:
        return Verdict(cause, False, f"{cause} instead of {' or '.join(ending.causes)}: {found.told}")
    missing = [one for one in ending.told.get("says", []) if not re.search(one, text)]
    missing += [one for one in ending.told.get("advice", []) if not re.search(one, "\n".join(found.advice))]
    foreign = [
        pattern
        for pattern, causes in ADVICE_OF.items()
        if cause not in causes and pattern not in _allowed(ending) and _given(pattern, found.advice)
    ]
    fault = f"does not say {missing}" if missing else f"advises {foreign}" if foreign else ""
    return Verdict(cause, not fault, fault and f"{fault}: {found.told}; {found.advice}")


def _allowed(ending: Ending) -> list[str]:
    return [
        pattern for pattern in ADVICE_OF for one in ending.told.get("allowed", []) if re.search(pattern, one)
    ]


def _given(pattern: str, advice: list[str]) -> bool:
    return any(re.search(pattern, text) for text in advice)


def diagnosed(ending: Ending, root: Path, slurm: FakeSlurm) -> Diagnosis:
    """Make its files below a folder and have Slurm know of it, then ask `why`."""
    story = Story(root)
    told = ending.told
    _queue(story, ending, slurm)
    if told.get("steps"):
        story.trained(told["steps"], 9000)
    if told.get("started", True):
        begin = START.format(job="14_0", node=ending.nodes[0])  # what stands there when the start is recorded
        story.started(90, nodes=",".join(dict.fromkeys(ending.nodes)), begin=len(begin))
    if "beat" in told:
        story.run.heartbeat.write_text(json.dumps({"time": ago(90 - told["beat"]), "step": told["steps"]}))
    if told.get("ranks") != "gone":
        _logs(story, ending)
    if "event" in told:
        facts = {"job": "14_0", "restart": 0, "unit": 0, "nodes": ",".join(ending.nodes)}
        story.event("interrupted", 30, **told["event"], **facts)
    _failed(story, ending)
    return why.diagnose(story.run)


def _queue(story: Story, ending: Ending, slurm: FakeSlurm) -> None:
    """Its submission, and what squeue and sacct say."""
    site = ending.told.get("site", "narval")
    if site == "local":
        return
    story.submitted(profile=site)
    queue, rows = ending.told.get("queue"), ending.told.get("sacct", "none")
    if queue:
        start = datetime.now() - timedelta(hours=queue.get("hours", 0))
        element, reason = ("14_0", "None") if queue["state"] == "RUNNING" else ("14_[0-2%1]", queue["reason"])
        at = f"{start:%Y-%m-%dT%H:%M:%S}" if queue["state"] == "RUNNING" else "N/A"
        story.queued(slurm, element, queue["state"], reason, at)
    if rows != "none":
        slurm.set("accounting", "".join(_accounting(rows, ending)))


def _accounting(rows: Mapping[str, Any], ending: Ending) -> list[str]:
    """Lines of sacct: the job and its steps."""
    lines = []
    for name in ("job", "batch", "0"):
        if name not in rows:
            continue
        state, _, code = rows[name].rpartition(" ")
        began = rows.get("began", True)
        row = {
            "JobID": "14_0" if name == "job" else f"14_0.{name}", "State": state, "ExitCode": code,
            "TimelimitRaw": "720" if name == "job" else "", "ElapsedRaw": "3600",
            "AllocTRES": f"cpu=48,mem={rows.get('asked', '128G')},node=2",
            "MaxRSS": rows.get("used", "20G") if name == "0" else "", "TotalCPU": "10:00:00", "AllocCPUS": "48",
            "NNodes": "2" if began else "1", "NTasks": "2" if name == "0" else "", "NodeList": ",".join(ending.nodes),
            "Start": _local(90), "End": _local(30), "TRESUsageInMax": "",
            "Submit": _local(600), "JobName": "math-s1", "SubmitLine": "",
        }  # fmt: skip
        if not began:
            row |= {"NodeList": "None assigned", "Start": "None"}
        lines.append("|".join(row[field] for field in FIELDS if field in row) + "\n")
    return lines


def _local(minutes: float) -> str:
    """A time of Slurm's, so many minutes ago."""
    return f"{datetime.now() - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}"


def _logs(story: Story, ending: Ending) -> None:
    """What its processes have printed."""
    told, noise = ending.told, yaml.safe_load((CORPUS / "noise.yaml").read_text())
    begun, last = told.get("started", True), told.get("ranks", {})
    for rank in range(RANKS if begun else bool(last)):
        parts = [START.format(job="14_0", node=ending.nodes[rank // 2])] if begun else []
        parts += [noise[name] for name in told.get("noise", [])]
        if rank == 0 and "steps" in told:
            parts += [STEP.format(step=step) for step in range(1, told["steps"] + 1, 20)]
        parts += [noise[name] for name in told.get("late", [])]
        parts += _tracebacks(ending, rank)
        parts.append(last.get(rank, ""))
        (story.run.slurm / f"14_0_{rank}_log.out").write_text("".join(parts))


def _tracebacks(ending: Ending, rank: int) -> list[str]:
    """What a process says before it ends by an exception, its own or that it has lost another."""
    raises, peers = ending.told.get("raises"), ending.told.get("peers")
    if raises and raises["rank"] == rank:
        text = f"{FRAMES}{raises['error']}\n"
        return [text, _reason(ending) + "\n"] if ending.told.get("recorded", True) else [text]
    return [FRAMES + PEERS[peers]] if peers else []


def _reason(ending: Ending) -> str:
    """An exception as the record of a failure words it: the class without its module."""
    kind, colon, message = ending.told["raises"]["error"].partition(":")
    name = kind.rpartition(".")[2]
    return message.strip() if name == "ClusterError" else name + colon + message


def _failed(story: Story, ending: Ending) -> None:
    told = ending.told
    if told.get("failed"):
        story.failed(f"{told['failed']}\n  next: {SAME}\n", job="14_0")
    elif told.get("raises") and told.get("recorded", True):
        rank = told["raises"]["rank"]
        text = (
            f"{_reason(ending)}\n  exit code: 1\n  where: rank {rank} of job 14_0, nodes {','.join(ending.nodes)}\n"
            f"  next: mend what the message says, then {SAME}\n"
        )
        story.failed(text, rank=rank, job="14_0")
