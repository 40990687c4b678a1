"""How planning, submitting, watching and collecting grow with the cells of a grid.

    python -m tests.load FOLDER --world FOLDER [--sandbox ROOT] [CELLS ...]

makes a grid of so many cells in FOLDER and prints what each command took of the processor and of memory, and how often
it called Slurm. With a sandbox (`launch.py sandbox up`) its arrays are queued there, on hold; without one nothing is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import unittest.mock
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = (
    "Bengali",
    "Thai",
    "Swahili",
    "Japanese",
    "Chinese",
    "German",
    "French",
    "Russian",
    "Spanish",
    "English",
)
CODES = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
ITEMS = {"mgsm": 250, "msvamp": 1000}
MANY = 100
"""Points of which nobody waits for all answers to be made up."""
EACH = 51
"""Cells of a point: a training, ten shares of MGSM, forty of MSVAMP."""
USED = """
import json, os, pty, select, signal, sys, time
seconds = float(sys.argv[1])
child, terminal = pty.fork() if seconds else (os.fork(), None)
if not child:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell's background ignores
    os.execv(sys.argv[2], sys.argv[2:])
end = time.monotonic() + seconds
while (left := end - time.monotonic()) > 0:
    if select.select([terminal], [], [], left)[0]:
        os.read(terminal, 1 << 16)
if seconds:
    os.kill(child, signal.SIGINT)
_, status, used = os.wait4(child, 0)
told = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
print(json.dumps(told), file=sys.stderr)
"""
"""A small process that starts a command: what a large one starts has its memory for a moment."""
WATCH_S = float(os.environ.get("LAYALIGN_WATCH_S", "65"))
SLURM = ("sbatch", "squeue", "sacct", "scontrol", "scancel")


@dataclass
class Measured:
    """What a command took."""

    status: int
    cpu_s: float
    peak_mb: float
    calls: Counter[str]
    told: str

    def __str__(self) -> str:
        calls = (
            ", ".join(f"{count} {name}" for name, count in sorted(self.calls.items())) or "no call of Slurm"
        )
        return f"{self.cpu_s:6.1f} s of the processor, {self.peak_mb:6.0f} MB at most, {calls}"


class Load:
    """A grid of many cells, and the commands on it."""

    def __init__(
        self, folder: Path, cells: int, world: Path, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.folder, self.world, self.points = folder, world, max(1, round(cells / EACH))
        self.runs, self.bin, self.calls = folder / "runs", folder / "bin", folder / "calls"
        self.environ = {
            **os.environ,
            **environ,
            "OMP_NUM_THREADS": "1",
            "LAYALIGN_CACHE": str(folder / "cache"),
        }
        self.data = folder / "data"
        folder.mkdir(parents=True)
        self._write_data()
        self._write_grid()
        self._count_calls()

    def _write_data(self) -> None:
        for benchmark, items in ITEMS.items():
            (self.data / benchmark).mkdir(parents=True)
            for name, code in zip(LANGUAGES, CODES):
                pairs = [(f"question {n} of {code}", n) for n in range(items)]
                if benchmark == "mgsm":
                    path, lines = f"mgsm_{code}.tsv", [f"{question}\t{n}" for question, n in pairs]
                else:
                    path = f"test_{name}.json"
                    lines = [json.dumps({"m_query": question, "response": n}) for question, n in pairs]
                (self.data / benchmark / path).write_text("\n".join(lines) + "\n")

    def _write_grid(self) -> None:
        from tests.world import write_recipe

        recipe = write_recipe(self.world, self.folder)
        told = {
            "name": "load",
            "recipe": str(recipe),
            "variants": {"LayAlign": {"stages": [2]}},
            "seeds": list(range(self.points)),
            "evaluate": {"benchmarks": ["mgsm", "msvamp"]},
        }
        (self.folder / "load.yaml").write_text(yaml.safe_dump(told))

    def _count_calls(self) -> None:
        """Commands of Slurm that write down that they were called."""
        self.bin.mkdir()
        for name in SLURM:
            if real := shutil.which(name, path=self.environ["PATH"]):
                path = self.bin / name
                path.write_text(f'#!/bin/sh\necho {name} >> {self.calls}\nexec {real} "$@"\n')
                path.chmod(0o755)
        self.environ["PATH"] = f"{self.bin}:{self.environ['PATH']}"

    def run(self, *words: str, seconds: float | None = None) -> Measured:
        """A command, from a fresh start of Python to its end, or for so many seconds."""
        self.calls.unlink(missing_ok=True)
        out = self.folder / "told"
        command = [sys.executable, ROOT / "launch.py", *words, "--runs", self.runs]
        told = subprocess.run(
            [sys.executable, "-ISc", USED, str(seconds or 0), *command],
            cwd=self.folder, env=self.environ, stdout=out.open("w"), stderr=subprocess.PIPE, text=True, check=True,
        ).stderr  # fmt: skip
        used = json.loads(told.splitlines()[-1])
        calls = Counter(self.calls.read_text().split()) if self.calls.exists() else Counter[str]()
        return Measured(*used, calls, out.read_text(errors="replace") + told)

    def ablate(self, *words: str) -> Measured:
        held = (
            "-o",
            "cluster.extra=[--hold]",
            "--time",
            "60",
            "--data",
            str(self.data),
            "--cluster",
            "sandbox",
        )
        return self.run("ablate", "--grid", "load.yaml", *held, *words)

    def finish(self, share: float = 1.0) -> int:
        """Have cells answered, as if their jobs had run; the trainings are over. Nothing is synced."""
        with unittest.mock.patch("os.fsync"):
            return self._finish(share)

    def _finish(self, share: float) -> int:
        from cluster.run.grid_folder import GridFolder
        from jobs.cell.answers import Reading, outcome_of, read_answers
        from jobs.cell.asked import shares
        from jobs.cell.cell import wanted_cells

        asked = {(b, code): shares(b, code, self.data) for b in ITEMS for code in CODES}
        cells = wanted_cells(GridFolder(self.runs, "load"))
        for cell in cells[: round(share * len(cells))]:
            if cell.job == "train":
                cell.folder.bridge.mkdir(parents=True, exist_ok=True)
                (cell.folder.bridge / "bridge.safetensors").write_bytes(b"weights")
                cell.folder.finish(step=9)
                continue
            known = asked[cell.benchmark, cell.language][cell.shard]
            known.write(cell.folder)
            record = {
                "language": cell.language,
                "output": "#### 7",
                "strict": 7.0,
                "strict_correct": False,
                "rule": 2,
            }
            told = [
                {
                    "id": i.id,
                    "question": i.question,
                    "gold": i.gold,
                    "official": 7.0,
                    "official_correct": False,
                    **record,
                }
                for i in known.items[: cell.items]
            ]
            lines = "".join(json.dumps({**one, "max_new_tokens": cell.max_new_tokens}) + "\n" for one in told)
            cell.folder.answers.write_text(lines)
            reading = Reading(cell.max_new_tokens, known, known.questions, cell.setup)
            outcome = outcome_of(cell, reading, read_answers(cell.folder))
            cell.folder.finish(**outcome, **({"setup": cell.setup} if cell.setup else {}))
        return len(cells)


def look(load: Load) -> Iterable[tuple[str, Measured]]:
    """What a user asks of a grid."""
    yield "status", load.run("status")
    yield "status --grid", load.run("status", "--grid", "load")
    yield "missing", load.run("missing", "load", "--dry-run")
    yield "results", load.run("results", "load")
    yield f"watch, {WATCH_S:.0f} s", load.run("watch", "--grid", "load", seconds=WATCH_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("cells", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument(
        "--world", type=Path, required=True, help="tiny models and their data (layalign.mini.build)"
    )
    parser.add_argument("--sandbox", type=Path)
    asked = parser.parse_intermixed_args()
    environ = {}
    if asked.sandbox:
        from cluster.sandbox.sandbox import sandbox_environment

        environ = {**sandbox_environment(asked.sandbox), "LAYALIGN_SANDBOX": str(asked.sandbox)}
    for cells in asked.cells:
        load = Load(asked.folder / str(cells), cells, asked.world, environ)
        for name, measured in stages(load, bool(asked.sandbox)):
            print(f"{cells:6,} cells, {name:<28} {measured}", flush=True)
            if measured.status not in (0, 130):
                print(measured.told[-2000:], flush=True)


def stages(load: Load, queue: bool) -> Iterable[tuple[str, Measured]]:
    yield "ablate --dry-run", load.ablate("--dry-run")
    if queue:
        yield "ablate --yes", (done := load.ablate("--yes"))
        print("".join(f"{line}\n" for line in done.told.splitlines() if "array" in line or "queued" in line))
        yield "the same again", load.ablate("--yes")
        for name, measured in look(load):
            yield f"{name}, queued", measured
    else:
        plan(load)
    for done in (0.1, 1.0) if load.points < MANY else (0.1,):
        load.finish(done)
        for name, measured in look(load):
            yield f"{name}, {done:.0%} done", measured


def plan(load: Load) -> None:
    """Write the plan down as a submission does, where there is no queue."""
    from jobs.grid.desired import desired_grid
    from jobs.grid.grid_file import load_grid

    wanted = desired_grid(load_grid(str(load.folder / "load.yaml")), load.runs, load.data)
    wanted.write()
    for plan in wanted.plans().values():
        plan.run.create(plan.config.to_dict())


if __name__ == "__main__":
    main()
