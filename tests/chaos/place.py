"""A grid in a folder of its own: started, disturbed, finished, and compared with one that nothing disturbed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from cluster.files import read_jsonl
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder, all_runs
from jobs.cell.answers import answers_of
from jobs.cell.cell import wanted_cells
from tests.chaos.processes import Command, family, kill
from tests.warm import ROOT, Python, running
from tests.world import launch, write_recipe

VARIANTS = {"LayAlign": None, "LLM": {"model.method": "llm"}}
REFUSED = re.compile(r"(/\S+?)[:,;]? is damaged(?!: it is missing)")
"""Files that are to be deleted, as is said of them."""
TRACEBACK = "Traceback (most recent"
RUNS_AGAIN = 5
"""The same command brings a grid to its end within so many starts."""
LONG_S = 900.0
ORPHANS_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What a grid has come to."""

    weights: Mapping[str, Mapping[str, torch.Tensor]]
    """Finished bridges, by the run's folder."""
    answers: Mapping[str, Mapping[str, str]]
    """What was answered, by cell and item."""
    table: str
    """Its numbers, as CSV."""


class Place:
    """A folder with a recipe, a grid of it and all that comes of it.

    Args:
        base: the folder, which is made.
        world: the tiny world.
        tasks: processes of each job.
    """

    def __init__(self, base: Path, world: Path, tasks: int = 1) -> None:
        self.base, self.world, self.tasks = base, world, tasks
        base.mkdir(parents=True, exist_ok=True)
        base.chmod(0o755)  # another user may be one of its faults
        write_recipe(world, base, micro_batch=min(8, 16 // tasks))
        told = {"name": "parts", "recipe": str(base / "tiny.yaml"), "variants": VARIANTS}
        told["evaluate"] = {"benchmarks": ["mini"], "languages": ["sw", "en"]}
        (base / "parts.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
        self.runs = base / "runs"
        self.said: list[str] = []
        """All that the commands have printed."""

    @property
    def grid(self) -> GridFolder:
        """Its folder."""
        return GridFolder(self.runs, "parts")

    def start(self, *changes: str) -> Command:
        """Give the command; it goes on in the background.

        Args:
            changes: of its process (`tests.chaos.inside`), in this order.
        """
        if not changes:
            return launch("ablate", *self._words(), cwd=self.base, wait=False, **self._environ)
        folder = next((one.removeprefix("tree=") for one in changes if one.startswith("tree=")), ROOT)
        code = f"import sys; from tests.chaos.inside import become; [become(word) for word in {changes!r}]; "
        code += f"import launch; assert launch.__file__ == {str(Path(folder, 'launch.py'))!r}; sys.exit(launch.main())"
        environ = {
            **os.environ,
            "LAYALIGN_CACHE": str(self.base / "cache"),
            "OMP_NUM_THREADS": "1",
            **self._environ,
        }
        return Python("-c", code, "ablate", *self._words(), cwd=self.base, env=environ)

    def ask(self, *words: str) -> int:
        """A command that only looks; its exit status."""
        return self.end(launch(*words, cwd=self.base, wait=False, **self._environ))

    def _words(self) -> list[str | Path]:
        words: list[str | Path] = [
            "--grid",
            self.base / "parts.yaml",
            "--runs",
            self.runs,
            "--data",
            self.world / "data",
            "--yes",
        ]
        return [*words, *self._where()]

    def _where(self) -> list[str]:
        """The words that tell where it runs."""
        return ["--cluster", "local", *(["--inline"] if self.tasks == 1 else ["--tasks", str(self.tasks)])]

    @property
    def _environ(self) -> dict[str, str]:
        return {"LAYALIGN_CHAOS": str(self.base)}

    def end(self, process: Command) -> int:
        """Wait for a command; keeps what it has said.

        Raises:
            TimeoutError: it hangs.
        """
        try:
            status = process.wait(LONG_S)
        except subprocess.TimeoutExpired:
            for pid in (*family(process.pid), process.pid):
                kill(pid, signal.SIGKILL)
            raise TimeoutError(f"no end within {LONG_S:g} s: {process.told[-600:]}") from None
        self.said.append(process.told)
        return status

    def finish(self) -> list[str]:
        """Give the same command until all is done, and follow what it says of damaged files.

        Returns:
            What is wrong: it does not come to its end.
        """
        for _ in range(RUNS_AGAIN):
            status = self.end(self.start())
            if status == 0:
                return []
            for name in REFUSED.findall(self.said[-1]):
                Path(name).unlink(missing_ok=True)
        return [f"not done after {RUNS_AGAIN} starts: {self.said[-1][-600:]}"]

    def progress(self) -> int:
        """Training steps and answers on disk."""
        files = (*self.runs.glob("*/metrics.jsonl"), *self.runs.glob("*/results/*/*/answers.jsonl"))
        return sum(path.read_bytes().count(b"\n") for path in files)

    def outcome(self) -> Outcome:
        """What is there at the end."""
        runs = [run for run in all_runs(self.runs) if (run.bridge / "bridge.safetensors").exists()]
        cells = [cell for cell in wanted_cells(self.grid) if cell.job == "evaluate"]
        answers = {cell.name: {one["id"]: one["output"] for one in answers_of([cell])} for cell in cells}
        (table,) = self.grid.results.glob("*.csv")
        return Outcome(
            {run.path.name: load_file(run.bridge / "bridge.safetensors") for run in runs},
            answers,
            "\n".join(line for line in table.read_text().splitlines() if not line.startswith("#")),
        )

    def violations(self, reference: Outcome, files_damaged: bool) -> list[str]:
        """What does not hold of a finished grid.

        Args:
            reference: of one on as many processes that nothing disturbed.
            files_damaged: answers may have been given anew; otherwise each was given once.
        """
        found = [*self._unlike(reference), *(f"left behind: {told}" for told in self._left())]
        if not files_damaged:
            for run in all_runs(self.runs):
                found += self._twice(run)
        found += [f"traceback: {told[at:][:2500]}" for told in self.said if (at := told.find(TRACEBACK)) >= 0]
        return found

    def clear(self) -> None:
        """Leave no disk mounted."""
        subprocess.run(["umount", "-l", self.runs], check=False, capture_output=True)

    def _unlike(self, reference: Outcome) -> Iterator[str]:
        ours = self.outcome()
        if ours.weights.keys() != reference.weights.keys():
            yield f"other runs: {sorted(ours.weights)}"
            return
        for name, weights in reference.weights.items():
            worst = max(
                float((ours.weights[name][key] - value).abs().max()) for key, value in weights.items()
            )
            if worst:
                yield f"{name}: a weight differs by {worst:g}"
        if ours.answers != reference.answers:
            yield "other answers"
        if ours.table != reference.table:
            yield f"another table:\n{ours.table}\ninstead of\n{reference.table}"

    def _twice(self, run: RunFolder) -> Iterator[str]:
        for cell in run.all_cells():
            ids = Counter(line["id"] for line in read_jsonl(cell.answers))
            if twice := [name for name, count in ids.items() if count > 1]:
                yield f"{cell.title}: {len(twice)} items answered twice"
        done = [event for event in read_jsonl(run.events) if event["event"] == "finished"]
        if len(done) > 1:
            yield f"{run.title} was completed {len(done)} times"

    def _left(self) -> Iterator[str]:
        """Processes that do not end: ranks that have lost their launcher may take a moment to notice."""
        deadline = time.monotonic() + ORPHANS_S
        while (left := list(self._processes())) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield from left

    def _processes(self) -> Iterator[str]:
        mark = f"LAYALIGN_CHAOS={self.base}\0".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes() and running(int(path.parent.name)):
                    command = (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    yield f"process {path.parent.name}: {command[-200:]}"
            except OSError:
                continue


def reach(place: Place, process: Command, point: int) -> bool:
    """Wait until a command has come to a point of its progress; False if it was over before."""
    deadline = time.monotonic() + LONG_S
    while process.poll() is None and time.monotonic() < deadline:
        if place.progress() >= point:
            return True
        time.sleep(0.01)
    return False


def plain(value: Any) -> str:
    """Of a path, without what differs from place to place."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "#", str(value))
