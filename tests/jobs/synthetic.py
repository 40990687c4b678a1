"""A folder of synthetic runs in every state, with what squeue and sacct would say of them.

    python -m tests.jobs.synthetic FOLDER [COUNT]

makes one by hand, with `queue` and `accounting` (for `tests/cluster/fake_slurm.py`) beside the runs.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from tests.jobs.synthetic_logs import BREAKAGES, diagnosis_of
from tests.jobs.synthetic_work import STEPS, TOKENS, TREE, Writer, log_folder

LABELS = {  # of the paper's tables 4, 5, 7, 8, 10 and 2
    "layalign": "LayAlign",
    "no-adapter": "w/o Adapter",
    "no-llm-input": "w/o LLM Input",
    "no-aligner": "w/o Layer-Wise Aligner",
    "encoder-mgpt": "mGPT",
    "encoder-xglm": "XGLM",
    "encoder-nllb": "NLLB",
    "states-last": "LayAlign-LR",
    "states-mean": "mean",
    "states-first8": "first 8",
    "states-last8": "last 8",
    "dynamic-gate": "LayAlign (Dgate)",
    "layalign-plus": "LayAlign+",
    "mindmerger-plus": "MindMerger+",
    "langbridge": "LangBridge",
}
GRIDS = {"ablations": tuple(LABELS)[:4], "states": tuple(LABELS)[7:11]}
"""Which variants belong to which grid; the others were submitted one by one."""
LANGUAGES = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
BENCHMARKS = {"mgsm": (1, 250), "msvamp": (4, 250)}
"""Shards of a language, and items of a shard."""
REASONS = (
    "Priority",
    "Resources",
    "AssocGrpGRESMinutes",
    "QOSMaxJobsPerUserLimit",
    "ReqNodeNotAvail, Reserved for maintenance",
    "InvalidAccount",
    "BeginTime",
)
SCENARIOS = (  # of stage 1 and stage 2
    ("done", "evaluated"),
    ("done", "evaluated"),
    ("done", "evaluated"),
    ("done", "answering"),
    ("done", "running"),
    ("running", "waiting"),
    ("queued", "waiting"),
    ("done", "failed"),
    ("failed", "blocked"),
    ("done", "interrupted"),
    ("done", "lost"),
    ("cancelled", "new"),
    ("new", "new"),
)
EXPECTED = {"evaluated": "done", "answering": "done", "waiting": "queued", "lost": "interrupted"}
"""State of a run that was submitted alone, where it is not named as its scenario."""
UNTOUCHED = ("new", "queued", "waiting", "cancelled", "blocked")
"""Scenarios in which a grid's run has no folder yet."""


@dataclass
class Synthetic:
    """What was made."""

    root: Path
    """Folder of all runs."""
    queue_rows: list[str] = field(default_factory=list)
    """Lines of squeue, in the format of `cluster.slurm.queue.SQUEUE`."""
    accounting_rows: list[str] = field(default_factory=list)
    """Lines of sacct, in the format of `cluster.slurm.queue.SACCT`."""
    states: dict[str, str] = field(default_factory=dict)
    """What status should say of each run, by the name of its folder."""
    kinds: dict[str, str] = field(default_factory=dict)
    """`Breakage.kind` of the runs that have failed."""

    def write_answers(self, folder: Path) -> None:
        """Let the commands of `fake_slurm` in a folder answer with these rows."""
        (folder / "queue").write_text("".join(f"{row}\n" for row in self.queue_rows))
        (folder / "accounting").write_text("".join(f"{row}\n" for row in self.accounting_rows))


def make_runs(root: Path, count: int = 300, seed: int = 0, now: datetime | None = None) -> Synthetic:
    """Make `count` runs below `root`, as if they had been worked on until `now` (default: the present)."""
    maker = _Maker(Synthetic(root), random.Random(seed), now or datetime.now(UTC))
    root.mkdir(parents=True, exist_ok=True)
    order = [SCENARIOS[number % len(SCENARIOS)] for number in range((count + 1) // 2)]
    maker.write.random.shuffle(order)
    variants = list(LABELS)
    for number, scenario in enumerate(order):
        variant, run_seed = variants[number % len(variants)], number // len(variants)
        maker.pair(variant, run_seed, scenario[: count - 2 * number])
    for name in GRIDS:
        maker.grid(name)
    return maker.made


class _Maker:
    """Gives every run its ending, and keeps what the scheduler would know."""

    def __init__(self, made: Synthetic, chance: random.Random, now: datetime) -> None:
        self.made, self.write = made, Writer(chance, now)
        self.job, self.failures, self.gone = 5210000, 0, 0
        self.grids = {name: GridFolder(made.root, name) for name in GRIDS}
        self.points: dict[str, list[dict[str, Any]]] = {name: [] for name in GRIDS}
        self.cells: dict[str, list[dict[str, Any]]] = {name: [] for name in GRIDS}
        self.arrays = {(name, kind): self.next_job() for name in GRIDS for kind in ("train", "evaluate")}
        self.busy = dict.fromkeys(self.arrays.values(), 0)
        """Slots that work, of each array."""

    def next_job(self) -> int:
        self.job += self.write.random.randint(1, 9)
        return self.job

    def next_gone(self) -> int:
        """Number of a slot that is over."""
        self.gone += 1
        return 500 + self.gone

    def pair(self, variant: str, seed: int, scenario: tuple[str, ...]) -> None:
        """The stages of a variant with one seed."""
        grid = next((name for name, members in GRIDS.items() if variant in members), None)
        runs: list[RunFolder] = []
        for stage, ending in enumerate(scenario, start=1):
            signature = hashlib.sha256(f"{variant} {seed} {stage}".encode()).hexdigest()[:8]
            run = RunFolder.at(self.made.root, f"{variant}-seed{seed}", stage, signature)
            state = EXPECTED.get(ending, ending)
            if grid and state in (
                "new",
                "interrupted",
                "cancelled",
            ):  # a slot of the array will take it up
                state = "queued"
            self.made.states[run.path.name] = state
            if not (ending == "new" or (grid and ending in UNTOUCHED)):
                self.write.folder(run, seed)
                self.live(run, ending, grid, runs)
            elif not grid:
                self.write.folder(run, seed)
            runs.append(run)
        if grid:
            told = {str(run.stage): str(run.path) for run in runs}
            point = {"label": LABELS[variant], "seed": seed, "overrides": [f"seed={seed}"], "runs": told}
            self.points[grid].append({**point, "evaluated": str(runs[-1].path)})
            self.list_cells(grid, runs)

    def live(self, run: RunFolder, ending: str, grid: str | None, parents: list[RunFolder]) -> None:
        if grid:
            getattr(self, ending)(run, self.arrays[grid, "train"], 1, grid)
            return
        job, units = self.next_job(), self.write.random.choice((1, 3, 3, 4))
        name = f"{run.name}-s{run.stage}"
        told = self.write.record(name, job, units, run.slurm / f"{name}-{job:08x}.sh", (2, 4))
        waits = [_last(parent) for parent in parents if not parent.done.exists()]
        run.submission.write_text(
            json.dumps({**told, "dependency": f"afterok:{waits[0]}" if waits else None})
        )
        getattr(self, ending)(run, job, units, None)

    def history(
        self,
        run: RunFolder,
        job: int,
        units: int,
        grid: str | None,
        step: int,
        quiet_h: float,
        at_work: bool = False,
    ) -> dict[str, Any]:
        """Starts of the first `units` of the run's chain, or one in a slot of the grid."""
        chain = not grid and json.loads(run.submission.read_text())["units"] > 1
        elements = [f"{job}_{number}" for number in range(units)] if chain else [str(job)]
        if grid:
            elements = [f"{job}_{self.busy[job] if at_work else self.next_gone()}"]
        folder = log_folder(run, self.grids[grid] if grid else None)
        return self.write.history(run, elements, folder, step, quiet_h)

    # What scheduler and accounting know.

    def row(self, run: RunFolder, job: int, end: str, state: str, reason: str, start: str = "N/A") -> None:
        told = json.loads(run.submission.read_text())
        fields = (f"{job}{end}", str(job), state, reason, told["name"], told["script"], start)
        self.made.queue_rows.append("\t".join(fields))

    def pending(self, run: RunFolder, job: int, units: int, reason: str, start: str = "N/A") -> None:
        self.row(run, job, f"_[0-{units - 1}%1]" if units > 1 else "", "PENDING", reason, start)

    def ended(self, run: RunFolder, element: str, state: str, exit_code: str) -> None:
        name = f"{run.name}-s{run.stage}"
        line = (element, state, exit_code, name, f"sbatch --parsable {run.slurm}/{name}.sh")
        self.made.accounting_rows.append("\t".join(line))

    # Fates, by the names that SCENARIOS uses.

    def done(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        step, quiet = STEPS[run.stage], self.write.random.uniform(2, 1300)
        facts = self.history(run, job, min(units, 2), grid, step, quiet)
        run.bridge.mkdir()
        (run.bridge / "bridge.safetensors").write_bytes(b"\0" * 64)
        self.write.event(run, quiet, "finished", step=step)
        run.done.write_text(json.dumps({"time": self.write.ago(quiet), "step": step}))
        self.write.touch(run.done, quiet)
        self.write.logs(run, facts, None, step)

    def evaluated(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        self.done(run, job, units, grid)
        for benchmark, language, shard, items in _shares() if grid else ():
            element = f"{self.arrays[grid, 'evaluate']}_0"
            self.write.answers(run.cell(benchmark, language, shard), element, items, items, broken=False)

    def answering(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        """Some of the answers are there; one share has failed; in a grid two are being given."""
        self.done(run, job, units, grid)
        for number, (benchmark, language, shard, items) in enumerate(
            _shares()[:22] if grid else _shares()[:7]
        ):
            array, broken = self.arrays[grid, "evaluate"] if grid else 0, number == 6
            answered = self.write.random.randint(40, items - 40) if broken or number >= 20 else items
            element = f"{array}_{self.busy.get(array, 0)}"
            self.write.answers(run.cell(benchmark, language, shard), element, items, answered, broken)
            if grid and number >= 20:
                self.busy[array] += 1

    def running(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        unit, quiet = self.write.random.randrange(units), self.write.random.uniform(0.0005, 0.008)
        step = self.write.random.randint(400, STEPS[run.stage] - 200)
        facts = self.history(run, job, unit + 1, grid, step, quiet, at_work=True)
        self.write.lease(run, facts, 5, released=False)
        self.write.logs(run, facts, None, step)
        if grid:
            self.busy[job] += 1
            return
        self.row(run, job, f"_{unit}" if units > 1 else "", "RUNNING", "None", self.write.local(5))
        if unit + 1 < units:
            rest = f"{unit + 1}-{units - 1}" if unit + 2 < units else f"{unit + 1}"
            self.row(run, job, f"_[{rest}%1]", "PENDING", "JobArrayTaskLimit")

    def queued(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        reason = REASONS[len(self.made.queue_rows) % len(REASONS)]
        known = reason in ("Priority", "Resources")
        self.pending(run, job, units, reason, self.write.local(-(job % 30) - 0.2) if known else "N/A")

    def waiting(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        self.pending(run, job, units, "Dependency")

    def blocked(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        self.pending(run, job, units, "DependencyNeverSatisfied")

    def failed(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        breakage = BREAKAGES[self.failures % len(BREAKAGES)]
        self.failures += 1
        quiet = self.write.random.uniform(1, 60)
        step = 0 if breakage.kind == "missing file" else self.write.random.randint(300, STEPS[run.stage] // 2)
        facts = self.history(
            run, job, 3 if breakage.kind == "walltime" and units > 2 else 1, grid, step, quiet
        )
        text = diagnosis_of(breakage, self.write.logs(run, facts, breakage, step))
        if breakage.cause:
            state, exit_code = breakage.state
            told = {"cause": breakage.cause, "signal": None, "state": state, "exit": exit_code}
            self.write.event(run, quiet, "interrupted", **told, **facts)
        run.failed.write_text(text)
        self.write.touch(run.failed, quiet)
        rank = {"rank": breakage.rank} if breakage.rank >= 0 else {}
        self.write.event(run, quiet, "failed", reason=text.partition("\n")[0], **facts, **rank)
        self.ended(run, facts["job"], *breakage.state)
        self.made.kinds[run.path.name] = breakage.kind

    def interrupted(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        quiet, step = self.write.random.uniform(3, 30), STEPS[run.stage] // 2
        facts = self.history(run, job, 1, grid, step, quiet)
        told = {"cause": "walltime", "signal": "SIGUSR2", "step": step}
        self.write.event(run, quiet, "interrupted", **told, **facts)
        self.ended(run, facts["job"], "TIMEOUT", "0:0")

    def lost(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        facts = self.history(run, job, 1, grid, STEPS[run.stage] // 3, 2.5)
        self.write.lease(run, facts, 5, released=False)
        self.ended(run, facts["job"], "NODE_FAIL", "1:0")

    def cancelled(self, run: RunFolder, job: int, units: int, grid: str | None) -> None:
        self.write.event(run, 60, "submitted", job=str(job), units=units, tree=TREE)
        self.ended(run, str(job), "CANCELLED by 1001", "0:0")

    # The grids.

    def list_cells(self, grid: str, runs: list[RunFolder]) -> None:
        before: list[str] = []
        blank = {"benchmark": "", "language": "", "shard": 0, "items": 0, "max_new_tokens": 0}
        for run in runs:
            self.cells[grid].append({"job": "train", "run": str(run.path), "needs": before, **blank})
            before = [str(run.path)]
        for benchmark, language, shard, items in _shares() if len(runs) == len(STEPS) else ():
            share = {"benchmark": benchmark, "language": language, "shard": shard, "items": items}
            cell = {"job": "evaluate", "run": before[0], "needs": before, "max_new_tokens": TOKENS}
            self.cells[grid].append({**cell, **share})

    def grid(self, name: str) -> None:
        folder = self.grids[name]
        folder.create()
        every = folder.write_list({"cells": self.cells[name], "runs": {}})
        wanted = {"name": name, "recipe": "math", "points": self.points[name], "benchmarks": list(BENCHMARKS)}
        wanted |= {"languages": None, "paper": {}, "list": every.name}
        folder.wanted.write_text(json.dumps(wanted))
        for kind, shape in (("train", (2, 4)), ("evaluate", (1, 1))):
            cells = [cell for cell in self.cells[name] if cell["job"] == kind]
            array = self.arrays[name, kind]
            busy, title = self.busy[array], f"{name}-{kind}"
            script = folder.slurm / f"{title}-{array:08x}.sh"
            told = self.write.record(title, array, busy + 12, script, shape)
            listed = folder.write_list({"cells": cells, "runs": {}}).name
            (folder.arrays / f"{array:012x}.json").write_text(json.dumps({**told, "cells": listed}))
            slots = [(f"{array}_{slot}", "RUNNING", "None", self.write.local(5)) for slot in range(busy)]
            slots.append((f"{array}_[{busy}-{busy + 11}%8]", "PENDING", "JobArrayTaskLimit", "N/A"))
            for element, state, reason, start in slots:
                fields = (element, str(array), state, reason, title, str(script), start)
                self.made.queue_rows.append("\t".join(fields))


def _last(run: RunFolder) -> str:
    """The job that has to end well for a run to be done."""
    told = json.loads(run.submission.read_text())
    return f"{told['job']}_{told['units'] - 1}" if told["units"] > 1 else told["job"]


def _shares() -> list[tuple[str, str, int, int]]:
    """Benchmark, language, shard and items of each share of an evaluation."""
    return [
        (name, language, shard, items)
        for name, (shards, items) in BENCHMARKS.items()
        for language in LANGUAGES
        for shard in range(shards)
    ]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    result = make_runs(target / "runs", *(int(word) for word in sys.argv[2:3]))
    result.write_answers(target)
    print(f"{len(result.states)} runs in {result.root}")
