"""Small runs in one state each, as their files would tell of them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from cluster.profile.resources import Resources
from cluster.run.run_folder import RunFolder
from cluster.run.work_folder import WorkFolder

START = "submitit INFO (now) - Starting with JobEnvironment(job_id={job}, hostname={node}, local_rank=0(1))\n"
CONFIG = {
    "name": "math",
    "stage": 1,
    "training": {"lr": 4.0e-5, "micro_batch": 8, "save_every": 500},
    "evaluation": {"batch_size": 32},
}
ASKED: dict[str, Any] = {
    "nodes": 2,
    "tasks_per_node": 2,
    "gpus_per_node": 2,
    "gpu": "a100",
    "cpus_per_task": 12,
    "mem_mb": 65536,
    "time_min": 720,
    "units": 3,
    "account": "def-prof",
    "mail": None,
}


def ago(minutes: float) -> str:
    """A record's time."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="milliseconds")


@dataclass
class Story:
    """A run, and what is added to its files.

    Args:
        root: folder of all runs.
        stage: of the run.
        name: of the run.
        signature: of the run.
    """

    root: Path
    stage: int = 1
    name: str = "math"
    signature: str = "00000001"
    run: RunFolder = field(init=False)

    def __post_init__(self) -> None:
        self.run = RunFolder.at(self.root, self.name, self.stage, self.signature)
        self.run.slurm.mkdir(parents=True)
        self.run.config.write_text(yaml.safe_dump({**CONFIG, "stage": self.stage}))

    @property
    def folder(self) -> str:
        return self.run.path.name

    def submitted(
        self, job: str = "14", dependency: str | None = None, profile: str = "narval", **asked: Any
    ) -> Story:
        """Its chain was put into the queue."""
        script = self.run.slurm / f"{self.name}-{job}.sh"
        script.write_text("#!/bin/bash\n")
        told = {
            "job": job, "name": f"{self.name}-s{self.stage}", "script": str(script), "units": asked.get("units", 3),
            "time": ago(600), "profile": profile, "resources": asdict(Resources(**{**ASKED, **asked})),
            "dependency": dependency, "tree": "t", "archive": "a", "commit": "c", "dirty": False,
        }  # fmt: skip
        self.run.submission.write_text(json.dumps(told))
        return self

    def queued(self, slurm: Any, element: str, state: str, reason: str, start: str = "N/A") -> Story:
        """What squeue says of it, beside what it says already."""
        told = json.loads(self.run.submission.read_text())
        row = "\t".join([element, told["job"], state, reason, told["name"], told["script"], start])
        slurm.set("queue", "\n".join([*slurm.lines("queue"), row]) + "\n")
        return self

    def event(self, kind: str, minutes: float = 60, work: WorkFolder | None = None, /, **facts: Any) -> Story:
        """Something happened so many minutes ago."""
        work = work or self.run
        work.path.mkdir(parents=True, exist_ok=True)
        with work.events.open("a") as file:
            file.write(json.dumps({"time": ago(minutes), "event": kind, **facts}) + "\n")
        return self

    def started(
        self, minutes: float = 90, job: str = "14_0", nodes: str = "ng1,ng2", work: WorkFolder | None = None,
        log: Path | None = None, begin: int = 0, processes: int = 4, unit: int = 0,
    ) -> Story:  # fmt: skip
        """A unit has begun to work."""
        work = work or self.run
        log = log or self.run.slurm / f"{job}_0_log.out"
        facts = {
            "kind": "train",
            "submission": job.partition("_")[0],
            "job": job,
            "unit": unit,
            "restart": 0,
            "nodes": nodes,
        }
        self.event("started", minutes, work, **facts, log=str(log), log_from=begin)
        with work.starts.open("a") as file:
            file.write(
                json.dumps({"time": ago(minutes), "processes": processes, "device": "cuda:0", **facts}) + "\n"
            )
        return self

    def printed(
        self, texts: dict[int, str], job: str = "14_0", minutes: dict[int, float] | None = None
    ) -> Story:
        """What each rank printed; ranks 0 and 1 are on the first node."""
        for rank, text in texts.items():
            path = self.run.slurm / f"{job}_{rank}_log.out"
            path.write_text(START.format(job=job, node=f"ng{1 + rank // 2}") + text)
            if minutes:
                os.utime(path, (time.time() - 60 * minutes.get(rank, 0),) * 2)
        return self

    def trained(self, step: int, total: int = 1000, seconds: float = 2.0) -> Story:
        """Its metrics up to a step."""
        records = [
            {"step": n, "total": total, "loss": 1.0, "seconds": seconds, "tokens_per_s": 1e4, "eta_s": 0.0}
            for n in range(max(1, step - 60), step + 1)
        ]
        self.run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
        return self

    def held(self, job: str, minutes_silent: float = 0.0, work: WorkFolder | None = None) -> Story:
        """A process on another machine has its lease, and gave a sign of life so many minutes ago."""
        work = work or self.run
        work.leases.mkdir(parents=True)
        who = {"host": "ng1", "pid": 4711, "started": 1, "boot": "b", "namespace": "n"}
        path = work.leases / "000001.json"
        path.write_text(
            json.dumps({**who, "since": ago(minutes_silent + 60), "job": job, "unit": 0, "released": False})
        )
        work.heartbeat.write_text(json.dumps({"time": ago(minutes_silent), "step": 7}))
        for file in (path, work.heartbeat):
            os.utime(file, (time.time() - 60 * minutes_silent,) * 2)
        return self

    def failed(self, text: str, minutes: float = 30, work: WorkFolder | None = None, **facts: Any) -> Story:
        """It has failed, and says why."""
        work = work or self.run
        self.event("failed", minutes, work, reason=text.partition("\n")[0], **facts)
        work.failed.write_text(text)
        return self
