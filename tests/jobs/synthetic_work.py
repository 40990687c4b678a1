"""The files that jobs and launcher write, written without their care for crashes."""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cluster.files import read_jsonl
from cluster.profile.resources import Resources
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.work_folder import WorkFolder
from tests.jobs.synthetic_logs import RANKS, Breakage, log_of

STEPS = {1: 21024, 2: 6258}
"""Of each stage (MGSM's and MSVAMP's)."""
UNIT_H = 12
TREE = "5a1c9e02b7d4"
TOKENS = 512
BROKEN_SHARES = (
    "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.40 GiB.",
    "OSError: [Errno 122] Disk quota exceeded: 'answers.jsonl'",
    "benchmark mgsm has no file for {name}: looked for mgsm_{name}.tsv; check --data or LAYALIGN_DATA",
    "3 starts without progress: each ended before the next checkpoint",
)
"""Why an evaluation stops."""
CONFIG = """\
name: {name}
stage: {stage}
seed: {seed}
gpus: 8
model: {{encoder: google/mt5-xl, decoder: meta-math/MetaMath-7B-V1.0, method: layalign}}
training: {{batch_size: 128, epochs: 3, micro_batch: 8, save_every: 500}}
"""


class Writer:
    """What has become of runs, as if they had been worked on until `now`."""

    def __init__(self, chance: random.Random, now: datetime) -> None:
        self.random, self.now = chance, now

    def ago(self, hours: float) -> str:
        """A record's time."""
        return (self.now - timedelta(hours=hours)).isoformat(timespec="milliseconds")

    def local(self, hours: float) -> str:
        """A time as squeue prints it."""
        return f"{(self.now - timedelta(hours=hours)).astimezone():%Y-%m-%dT%H:%M:%S}"

    def touch(self, path: Path, hours: float) -> None:
        """Give a file its age."""
        seconds = (self.now - timedelta(hours=hours)).timestamp()
        os.utime(path, (seconds, seconds))

    def folder(self, run: RunFolder, seed: int) -> None:
        run.slurm.mkdir(parents=True)
        run.config.write_text(CONFIG.format(name=run.name, stage=run.stage, seed=seed))

    def record(self, name: str, job: int, units: int, script: Path, shape: tuple[int, int]) -> dict[str, Any]:
        """A `cluster.slurm.submission.Submission` as plain data; the shape is nodes and GPUs of each."""
        script.write_text("#!/bin/bash\n")
        asked = Resources(
            nodes=shape[0],
            tasks_per_node=shape[1],
            gpus_per_node=shape[1],
            gpu="a100",
            cpus_per_task=12,
            mem_mb=126976 * shape[1],
            time_min=UNIT_H * 60,
            units=units,
            account="def-prof",
            mail=None,
        )
        told = {"job": str(job), "name": name, "script": str(script), "units": units, "dependency": None}
        code = {"tree": TREE, "archive": f"/home/me/scratch/runs/.code/{TREE}.tar", "commit": "719d1b3"}
        return {
            **told, **code, "dirty": False, "time": self.ago(70)[:19] + "+00:00", "profile": "narval",
            "resources": asdict(asked),
        }  # fmt: skip

    def history(
        self, run: RunFolder, elements: list[str], log_folder: Path, step: int, quiet_h: float
    ) -> dict[str, Any]:
        """Units that came and went until `quiet_h` hours ago, the last without an end.

        Returns:
            What the last unit says of itself.
        """
        facts: dict[str, Any] = {}
        job, count = elements[0].partition("_")[0], len(elements)
        begun = quiet_h + count * UNIT_H
        events = [
            {"time": self.ago(begun + 2), "event": "submitted", "job": job, "units": count, "tree": TREE}
        ]
        starts = []
        for number, element in enumerate(elements):
            begun = quiet_h + (count - number) * UNIT_H * 0.99
            node, other = (f"ng{self.random.randint(10101, 31204)}" for _ in range(2))
            facts = {"kind": "train", "submission": job, "job": element, "unit": number, "restart": 0}
            facts["nodes"] = f"{node},{other}"
            log = {"log": str(log_folder / f"{element}_0_log.out"), "log_from": 0}
            starts.append(self.start(begun, processes=RANKS, **facts))
            events.append({"time": self.ago(begun), "event": "started", **facts, **log})
            before, reached = step * number // count, step * (number + 1) // count
            if number:
                events.append({"time": self.ago(begun - 0.1), "event": "resumed", "step": before})
            saved = reached - reached % 500
            events.append({"time": self.ago(begun - UNIT_H * 0.9), "event": "saved", "step": saved})
            if number + 1 < count:
                ended = {"cause": "walltime", "signal": "SIGUSR2", "step": reached}
                events.append(
                    {"time": self.ago(begun - UNIT_H * 0.98), "event": "interrupted", **ended, **facts}
                )
        run.events.write_text("".join(json.dumps(event) + "\n" for event in events))
        run.starts.write_text("".join(json.dumps(start) + "\n" for start in starts))
        self.progress(run, step, quiet_h)
        self.lease(run, facts, quiet_h, released=True)
        return facts

    def start(self, hours: float, **facts: Any) -> dict[str, Any]:
        """A record of `starts.jsonl`."""
        code = {"commit": "719d1b3", "dirty": False, "tree": TREE, "python": "3.11.5"}
        packages = {"torch": "2.6.0", "transformers": "4.57.1", "submitit": "1.5.3"}
        host = facts["nodes"].partition(",")[0]
        return {
            "time": self.ago(hours),
            **code,
            "packages": packages,
            "host": host,
            "device": "cuda:0",
            **facts,
        }

    def progress(self, run: RunFolder, step: int, quiet_h: float) -> None:
        """Metrics of the last steps, and the heartbeat."""
        total, speed = STEPS[run.stage], self.random.uniform(9_000, 14_000)
        records: list[dict[str, Any]] = []
        for at in range(max(20, step - 2000), step + 1, 20):
            loss = 0.55 + 2.6 / (1 + at / 300) + self.random.uniform(-0.03, 0.03)
            record = {"step": at, "total": total, "epoch": 3 * at // total, "loss": loss, "lr": 3e-5}
            rest = {"grad_norm": 0.8, "seconds": 1.5, "tokens_per_s": speed, "eta_s": (total - at) * 1.5}
            records.append({**record, **rest})
        if not records:
            return
        run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
        shown = {key: records[-1][key] for key in ("step", "total", "loss", "tokens_per_s", "eta_s")}
        memory = {"rss_mb": self.random.randint(7_000, 12_000), "peak_rss_mb": 12_400, "gpu_total_mb": 40_339}
        memory |= {"gpu_mb": self.random.randint(27_000, 38_000), "gpu_util": self.random.randint(81, 99)}
        run.heartbeat.write_text(json.dumps({"time": self.ago(quiet_h), **shown, **memory}))
        self.touch(run.heartbeat, quiet_h)

    def lease(self, work: WorkFolder, facts: dict[str, Any], hours: float, released: bool) -> None:
        """Who works, or has worked."""
        work.leases.mkdir(parents=True, exist_ok=True)
        host = facts["nodes"].partition(",")[0]
        who = {"host": host, "pid": 4711, "started": 1, "boot": "b", "namespace": "pid:[1]"}
        told = {
            **who,
            "since": self.ago(hours),
            "job": facts["job"],
            "unit": facts["unit"],
            "released": released,
        }
        path = work.leases / "000001.json"
        path.write_text(json.dumps(told))
        self.touch(path, hours)

    def event(self, work: WorkFolder, hours: float, kind: str, /, **facts: Any) -> None:
        with work.events.open("a") as file:
            file.write(json.dumps({"time": self.ago(hours), "event": kind, **facts}) + "\n")

    def logs(
        self, run: RunFolder, facts: dict[str, Any], breakage: Breakage | None, step: int
    ) -> dict[str, Any]:
        """Write what the ranks of the last unit printed. Returns what a diagnosis of it needs."""
        node, _, other = facts["nodes"].partition(",")
        begun = [event for event in read_jsonl(run.events) if event["event"] == "started"]
        path = Path(begun[-1]["log"])
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"job": facts["job"], "run": run.path.name, "node": node, "other": other, "log": str(path)}
        told |= {"step": step, "total": STEPS[run.stage], "loss": 0.7, "speed": 11_200}
        told["unit"] = f"unit {facts['unit'] + 1} of 3, job {facts['job']}"
        for rank in range(RANKS if breakage else 1):
            path.with_name(f"{facts['job']}_{rank}_log.out").write_text(log_of(rank, told, breakage))
        return told

    def answers(self, cell: CellFolder, element: str, items: int, answered: int, broken: bool) -> None:
        """A share of an evaluation: done where all is answered, failed where `broken`, else being worked on."""
        cell.path.mkdir(parents=True)
        job = element.partition("_")[0]
        facts = {
            "kind": "evaluate",
            "submission": job,
            "job": element,
            "unit": 0,
            "restart": 0,
            "nodes": "ng20101",
        }
        cell.starts.write_text(json.dumps(self.start(1.5, processes=1, **facts)) + "\n")
        progress = {
            "answered": answered,
            "items": items,
            "items_per_s": 1.3,
            "eta_s": (items - answered) / 1.3,
        }
        memory = {
            "rss_mb": 6_900,
            "peak_rss_mb": 7_000,
            "gpu_mb": 21_000,
            "gpu_total_mb": 40_339,
            "gpu_util": 93,
        }
        cell.heartbeat.write_text(json.dumps({"time": self.ago(0.005), **progress, **memory}))
        if answered == items:
            told = {"time": self.ago(1), "items": items, "max_new_tokens": TOKENS, "seconds": 190.0}
            cell.done.write_text(json.dumps(told))
        elif broken:
            reason = self.random.choice(BROKEN_SHARES).format(name=cell.language)
            cell.failed.write_text(f"{reason}\n  next: mend what the message says\n")
            hours = self.random.uniform(0.2, 40)
            cell.heartbeat.write_text(json.dumps({"time": self.ago(hours), **progress, **memory}))
            self.event(cell, hours, "failed", reason=reason)
        else:
            self.lease(cell, facts, 0.005, released=False)


def log_folder(run: RunFolder, grid: GridFolder | None) -> Path:
    """Where the logs of the jobs that train a run are."""
    return grid.slurm if grid else run.slurm
