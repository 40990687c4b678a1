"""What a training shows and records: lines or a bar on the terminal, metrics, trackers."""

from __future__ import annotations

import math
import sys
import time
from datetime import timedelta
from typing import Any

from cluster.job.unit import COMMENT_S, Unit
from cluster.run.run_folder import RunFolder
from jobs.work.trackers import trackers_for
from jobs.work.usage import usage
from layalign.config import TrainingConfig

BEATEN = ("step", "total", "loss", "tokens_per_s", "eta_s")
"""What a heartbeat tells of a step."""


class TrainingProgress:
    """Callbacks of `layalign.training.fit` that write into the run folder and tell the user."""

    def __init__(self, folder: RunFolder, config: TrainingConfig, unit: Unit | None) -> None:
        self.folder, self.config, self.unit = folder, config, unit
        self.commented = -math.inf
        self.trackers = trackers_for(folder, config)
        self.bar: Any = None
        self.task: Any = None

    def on_step(self, record: dict[str, Any]) -> None:
        """One optimizer step."""
        self.folder.log_metrics(record)
        self.folder.beat(**{key: record[key] for key in BEATEN}, **usage())
        for tracker in self.trackers:
            tracker.log(record)
        self._comment(record)
        if sys.stdout.isatty():
            self._draw(record)
        elif record["step"] % self.config.log_every == 0 or record["step"] in (1, record["total"]):
            print(_line(record), flush=True)

    def on_dev(self, record: dict[str, Any]) -> None:
        """One dev loss."""
        self.folder.log_metrics(record)
        for tracker in self.trackers:
            tracker.log(record)
        best = "  best so far" if record["best"] else ""
        self._say(
            f"step {record['step']}: dev loss {record['dev_loss']:.4f}, perplexity {record['dev_ppl']:.3f}{best}"
        )

    def on_event(self, kind: str, **facts: Any) -> None:
        """Resumed, saved, passed over a corrupt checkpoint, stopping."""
        self.folder.event(kind, **facts)
        if kind != "saved":
            self._say(
                f"{kind.replace('_', ' ')}: {', '.join(f'{key} {value}' for key, value in facts.items())}"
            )

    def close(self) -> None:
        """Leave the terminal and the trackers tidy."""
        if self.bar is not None:
            self.bar.stop()
        for tracker in self.trackers:
            tracker.close()

    def _comment(self, record: dict[str, Any]) -> None:
        """Let squeue show the progress, now and then; a cluster that does not allow it is not asked again."""
        now = time.monotonic()
        if self.unit is None or now - self.commented < COMMENT_S:
            return
        told = self.unit.set_comment(f"{self.folder.path.name}: {_line(record)}")
        self.commented = now if told else math.inf

    def _say(self, text: str) -> None:
        (self.bar.console.print if self.bar is not None else print)(text)
        sys.stdout.flush()

    def _draw(self, record: dict[str, Any]) -> None:
        """A bar, on a terminal only: in a log it would be noise."""
        if self.bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self.bar = Progress(
                TextColumn("step"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=record["total"])
        self.bar.update(self.task, completed=record["step"], description=_line(record).partition("  ")[2])


def _line(record: dict[str, Any]) -> str:
    eta = timedelta(seconds=round(record["eta_s"]))
    return (
        f"step {record['step']}/{record['total']}  loss {record['loss']:.4f}  lr {record['lr']:.2e}  "
        f"{record['tokens_per_s']:,.0f} tokens/s  left {eta}"
    )
