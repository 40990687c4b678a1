"""ETTR under interruptions: a real training in a process of its own, ended again and again, and started anew.

    python -m benchmarks.ettr --out FOLDER [--step-s 1 --every 30 --times 4]

The steps sleep for `--step-s` seconds, as those of a large model would take; every `--every` seconds of steps the
process is ended by one kind of fault. An hour between interruptions is too long to wait for, so that what one costs is
measured (time to the first step, steps done again, checkpoints) and the ETTR of one interruption an hour follows from
it: that is a calculation. To show what it is worth, it is made for the rate of the measurement too, beside what was
measured there.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.world import tiny_plan
from cluster.files import read_jsonl
from cluster.run.run_folder import RunFolder
from jobs.reliability.ettr import EffectiveTime, effective_time
from jobs.reliability.starts import starts_of
from layalign.tabular import Column, Row, Table
from layalign.training.interval import best_interval

FAULTS = ("SIGKILL", "SIGTERM", "SIGUSR1")
WORKER = """
import json, sys
from jobs.work.call import JobCall
JobCall("benchmarks.slow_step", json.loads(sys.argv[1]))()
"""
HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came of one kind of fault."""

    fault: str
    time: EffectiveTime
    count: int
    lost_steps: int
    step_s: float
    save_s: float
    rest: float
    """Share of the time that went to nothing of the others: records, the loop."""

    def predicted(self, between_s: float, steps: int, step_s: float, lost: float) -> float:
        """ETTR by what was measured.

        Args:
            between_s: seconds of job from one interruption to the next.
            steps: between two checkpoints.
            step_s: seconds of a step.
            lost: steps that an interruption loses.
        """
        once_s = (self.time.first_step_s or 0.0) + lost * step_s
        saving = self.save_s / (steps * step_s + self.save_s)
        return (1 - once_s / between_s) * (1 - saving) * (1 - self.rest)


def measure(
    plan_told: dict[str, Any], run: RunFolder, fault: signal.Signals, every_s: float, times: int
) -> Measured:
    """End a training so many times, then let it finish."""
    for _ in range(times):
        process = _start(plan_told)
        _wait_for_steps(run, process)
        time.sleep(every_s)
        process.send_signal(fault)
        process.wait()
    if _start(plan_told).wait() != 0:
        raise SystemExit(f"{run.path} did not end well")
    told = effective_time(run)
    lost = [one for one in told.interruptions if one.cause in ("killed", fault.name)]
    saves = [seconds for start in starts_of(run) for seconds in start.saves if seconds is not None]
    steps = [record["seconds"] for record in read_jsonl(run.metrics) if "loss" in record]
    spent = (told.steps_s, told.dev_s, told.redone_s, told.saving_s, told.loading_s)
    wall_s = told.wall_s or 0.0
    return Measured(
        fault=fault.name,
        time=told,
        count=sum(one.count for one in lost),
        lost_steps=sum(one.lost_steps for one in lost),
        step_s=median(steps),
        save_s=median(saves),
        rest=max(0.0, 1 - sum(filter(None, spent)) / wall_s),
    )


def _start(told: dict[str, Any]) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps(told)], env=environ, stdout=subprocess.DEVNULL
    )


def _wait_for_steps(run: RunFolder, process: subprocess.Popen[bytes]) -> None:
    """Until a start has done a step."""
    before = run.metrics.stat().st_size if run.metrics.exists() else 0
    while not run.metrics.exists() or run.metrics.stat().st_size == before:
        if process.poll() is not None:
            raise SystemExit(f"{run.path}: its process ended with {process.returncode}")
        time.sleep(0.05)


def report(measured: Sequence[Measured], real_step_s: float) -> Table:
    """What was measured, the calculation for the same rate, and that for one interruption an hour."""
    numbers = (
        "stops",
        "hours",
        "step s",
        "1st step s",
        "save s",
        "lost steps each",
        "ETTR",
        "calculated",
        "at 1/hour",
    )
    rows = []
    for one in measured:
        lost = one.lost_steps / one.count
        between_s = (one.time.wall_s or 0.0) / (
            one.count + 1
        )  # the last start ends by itself, and loads as well
        steps = max(1, round(between_s / one.step_s / max(1, _saves_a_start(one))))
        hourly = best_interval(one.save_s, real_step_s, HOUR_S)
        hourly_lost = hourly / 2 if one.fault == "SIGKILL" else lost
        cells = [one.fault, str(one.count), f"{(one.time.wall_s or 0) / HOUR_S:.3f}", f"{one.step_s:.2f}"]
        cells += [
            f"{one.time.first_step_s or 0:.1f}",
            f"{one.save_s:.3f}",
            f"{lost:.1f}",
            f"{one.time.ettr or 0:.3f}",
        ]
        cells.append(f"{one.predicted(between_s, steps, one.step_s, lost * one.count / (one.count + 1)):.3f}")
        cells.append(f"{one.predicted(HOUR_S, hourly, real_step_s, hourly_lost):.4f}")
        rows.append(Row(cells))
    notes = [
        f"at 1/hour: steps of {real_step_s:g} s, checkpoints by save_every: auto, a kill loses half an interval"
    ]
    return Table([Column("fault"), *(Column(name, number=True) for name in numbers)], rows, notes)


def _saves_a_start(one: Measured) -> float:
    return (one.time.saving_s or 0.0) / one.save_s / (one.count + 1)


def main() -> None:
    """Measure each fault in turn and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="an empty folder, for world and runs")
    parser.add_argument("--step-s", type=float, default=1.0, help="seconds that a step sleeps")
    parser.add_argument("--real-step-s", type=float, default=2.0, help="seconds of a step in the calculation")
    parser.add_argument(
        "--every", type=float, default=30.0, help="seconds from a start's first step to its fault"
    )
    parser.add_argument("--times", type=int, default=4, help="faults of each kind")
    parser.add_argument("--faults", nargs="*", default=FAULTS, choices=FAULTS, help="signals")
    args = parser.parse_args()
    measured = []
    for number, name in enumerate(args.faults):
        steps = int((args.times + 1) * args.every / args.step_s)
        plan = tiny_plan(
            args.out, max_steps=steps, save_every="auto", eval_every=steps, lr=1e-3 + number * 1e-6
        )
        told = {**plan.told_to_train(None), "step_s": args.step_s}
        measured.append(measure(told, plan.run, signal.Signals[name], args.every, args.times))
    print(report(measured, args.real_step_s).markdown())


if __name__ == "__main__":
    main()
