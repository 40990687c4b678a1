"""ETTR under interruptions: a real training in a process of its own, ended again and again, and started anew.

    python -m benchmarks.ettr --out FOLDER [--step-s 1 --every 30 --times 4]

The steps sleep for `--step-s` seconds, as those of a large model would take; every `--every` seconds of steps the
process is ended by one kind of fault. An hour between interruptions is too long to wait for: the ETTR of one
interruption an hour is calculated from the time to the first step, that of a checkpoint, and the steps lost. To show
what the calculation is worth, it is made of the measurement too, beside the ETTR that was measured.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.world import tiny_plan
from cluster.files import read_jsonl
from cluster.run.run_folder import RunFolder
from jobs.reliability.ettr import EffectiveTime, effective_time
from jobs.reliability.starts import starts_of
from jobs.work.call import JobCall
from layalign.tabular import Column, Row, Table
from layalign.training.interval import best_interval

FAULTS = ("SIGKILL", "SIGTERM", "SIGUSR1")
HOUR_S = 3600.0
LOADS_S = (10.0, 30.0, 60.0, 90.0)
SAVES_S = (0.1, 0.5, 1.0, 3.0)
"""What is calculated for."""


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

    @property
    def calculated(self) -> float:
        """The ETTR by what was measured: loading, saving and lost steps taken apart, as for an hour below."""
        starts, wall_s = self.time.starts or 1, self.time.wall_s or 0.0
        once_s = (self.time.loading_s or 0.0) / starts + self.lost_steps / starts * self.step_s
        saving = (self.time.saving_s or 0.0) / wall_s
        return (1 - once_s / (wall_s / starts)) * (1 - saving) * (1 - self.rest)


def hourly(load_s: float, save_s: float, step_s: float, rest: float, killed: bool) -> float:
    """ETTR of one interruption in an hour of job, with `save_every: auto`.

    Args:
        load_s: seconds of a start to its first step.
        save_s: of a checkpoint.
        step_s: of a step.
        rest: share of the time that is neither step, checkpoint nor loading.
        killed: without a signal; half an interval is lost on average, else nothing.
    """
    steps = best_interval(save_s, step_s, HOUR_S)
    lost_s = steps * step_s / 2 if killed else 0.0
    return (1 - (load_s + lost_s) / HOUR_S) * (1 - save_s / (steps * step_s + save_s)) * (1 - rest)


def measure(
    plan_told: dict[str, Any], run: RunFolder, fault: signal.Signals, every_s: float, times: int
) -> Measured:
    """End a training so many times, then let it finish."""
    for _ in range(times):
        process = _start(plan_told)
        _wait_for_steps(run, process)
        time.sleep(every_s)
        os.kill(process.pid or 0, fault)
        process.join()
    last = _start(plan_told)
    last.join()
    if last.exitcode != 0:
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


def _start(told: dict[str, Any]) -> BaseProcess:
    """A process of its own that has the libraries already: importing them is not what is measured."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.slow_step", "jobs.work.train"])
    process = context.Process(target=_work, args=(told,))
    process.start()
    return process


def _work(told: dict[str, Any]) -> None:
    with Path(told["run"], "said.log").open("a") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        JobCall("benchmarks.slow_step", told)()


def _wait_for_steps(run: RunFolder, process: BaseProcess) -> None:
    """Until a start has done a step."""
    before = run.metrics.stat().st_size if run.metrics.exists() else 0
    while not run.metrics.exists() or run.metrics.stat().st_size == before:
        if process.exitcode is not None:
            raise SystemExit(f"{run.path}: its process ended with {process.exitcode}")
        time.sleep(0.05)


def report(measured: Sequence[Measured]) -> Table:
    """What was measured, and what the calculation makes of it."""
    numbers = (
        "stops",
        "wall s",
        "step s",
        "first step s",
        "save s",
        "lost steps",
        "rest",
        "ETTR",
        "calculated",
    )
    rows = []
    for one in measured:
        time_ = one.time
        cells = [one.fault, str(one.count), f"{time_.wall_s or 0:.0f}", f"{one.step_s:.2f}"]
        cells += [
            f"{time_.first_step_s or 0:.1f}",
            f"{one.save_s:.3f}",
            str(one.lost_steps),
            f"{one.rest:.2%}",
        ]
        rows.append(Row([*cells, f"{time_.ettr or 0:.3f}", f"{one.calculated:.3f}"]))
    return Table([Column("fault"), *(Column(name, number=True) for name in numbers)], rows)


def hourly_table(rest: float, step_s: float) -> Table:
    """One interruption an hour, for starts and checkpoints of several lengths."""
    rows = [
        Row([f"{load_s:g}", f"{save_s:g}", str(best_interval(save_s, step_s, HOUR_S)), *both])
        for load_s in LOADS_S
        for save_s in SAVES_S
        for both in [[f"{hourly(load_s, save_s, step_s, rest, killed):.4f}" for killed in (False, True)]]
    ]
    names = ("first step s", "save s", "auto: steps", "by a signal", "by kill -9")
    notes = [f"steps of {step_s:g} s; {rest:.2%} of the time goes to none of these, as measured"]
    return Table([Column(name, number=True) for name in names], rows, notes)


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
    print(report(measured).markdown())
    print(hourly_table(median(one.rest for one in measured), args.real_step_s).markdown())


if __name__ == "__main__":
    main()
