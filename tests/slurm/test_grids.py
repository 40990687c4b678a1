"""Grids through the queue of a real Slurm: from one command to the table, whatever happens in between."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cluster.files import read_jsonl
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder, all_runs
from cluster.slurm.submission import Submission
from jobs.cell.cell import Cell, wanted_cells
from layalign.evaluation.benchmarks import find_benchmark
from layalign.languages import language
from tests.slurm.chains import process_of
from tests.world import launch, write_recipe

pytestmark = pytest.mark.timeout(900)
VARIANTS = {
    "w/o Adapter": {"model.adapter": False},
    "w/o LLM Input": {"stages": {2: {"model.text": False}}},
    "w/o Layer-Wise Aligner": {"model.aligner": "none"},
    "w/o Translation Stage": {"stages": [2]},
    "w/o Task Stage": {"stages": {2: {"training.max_steps": 0}}},
    "MetaMath": {"model.method": "llm"},
    "LayAlign": None,
}
POINTS = 14
LANGUAGES = 6
ITEMS = 8


class Ablation:
    """A grid on the tiny world, in the sandbox."""

    def __init__(self, sandbox, world: Path, folder: Path) -> None:
        self.sandbox, self.base, self.data = sandbox, folder, world / "data"
        self.folder = GridFolder(folder / "runs", "parts")
        self.recipe = write_recipe(world, folder, epochs=6)
        self.write(VARIANTS)

    def write(self, variants: dict, **changes) -> None:
        told = {"name": "parts", "recipe": str(self.recipe), "variants": variants, "seeds": [0, 1], **changes}
        (self.base / "parts.yaml").write_text(yaml.safe_dump(told, sort_keys=False))

    def go(self, *words: str) -> str:
        """Run a command on the grid; what it printed."""
        environ = {name: self.sandbox.environ[name] for name in ("SLURM_CONF", "PATH")}
        told = launch(
            *words, "--cluster", "sandbox", "--yes", "--runs", self.folder.root, "--data", self.data,
            "--time", "15", cwd=self.base, **environ,
        )  # fmt: skip
        assert told.returncode == 0, told.told
        return told.told

    def ablate(self, *words: str) -> str:
        return self.go("ablate", "--grid", "parts.yaml", "--throttle", "4", *words)

    def arrays(self) -> list[Submission]:
        return [Submission.read(record) for record in self.folder.records()]

    def running(self, job: str) -> list[str]:
        """Elements of an array that run."""
        told = self.sandbox.run("squeue", "-h", "-j", job, "-t", "R", "-o", "%i", check=False).stdout
        return told.split()

    def cells(self) -> tuple[Cell, ...]:
        return wanted_cells(self.folder)

    def until_over(self, disturb: Callable[[], None] = lambda: None, seconds: float = 600) -> None:
        """Wait until nothing of the grid is in the queue."""
        end = time.monotonic() + seconds
        while self.sandbox.run(
            "squeue", "-h", "-n", ",".join({one.name for one in self.arrays()})
        ).stdout.strip():
            disturb()
            assert time.monotonic() < end, self.log()[-5000:]
            time.sleep(0.3)

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.slurm.glob("*_log.out")))


def finished(cell: Cell) -> int:
    return sum(event["event"] == "finished" for event in read_jsonl(cell.folder.events))


def started(cell: Cell) -> int:
    return sum(event["event"] == "started" for event in read_jsonl(cell.folder.events))


def causes(cell: Cell) -> list[str]:
    return [event["cause"] for event in read_jsonl(cell.folder.events) if event["event"] == "interrupted"]


class Disturbance:
    """A node loses its power while it trains, and a training on another is preempted."""

    def __init__(self, ablation: Ablation) -> None:
        self.ablation, self.sandbox = ablation, ablation.sandbox
        self.lost: str | None = None
        self.preempted: str | None = None
        self.back = False

    def __call__(self) -> None:
        if self.lost and not self.back and self.sandbox.nodes()[self.lost].startswith("down"):
            self.sandbox.start_node(self.lost)
            self.back = True
        if self.lost and self.preempted:
            return
        for run in all_runs(self.ablation.folder.root):
            begun = [event for event in read_jsonl(run.events) if event["event"] == "started"]
            steps = len(read_jsonl(run.metrics))
            if not begun or run.done.exists() or steps < 5 or begun[-1]["nodes"] == self.lost:
                continue
            node = begun[-1]["nodes"]
            if self.lost is None:
                self.lost = node
                self.sandbox.kill_node(node)
            elif self.preempted is None:
                self.preempted = node
                words = ("-w", node, "--exclusive", "--qos=urgent", "--time=1", "--wrap", "sleep 1")
                self.sandbox.submit(*words)
            return


def test_one_command_brings_a_grid_to_its_table_through_a_lost_node_and_a_preemption(
    sandbox, world, tmp_path
):
    ablation = Ablation(sandbox, world, tmp_path)
    printed = ablation.ablate()
    assert "trained once: 2 runs that serve 6 points" in printed
    disturbance = Disturbance(ablation)
    ablation.until_over(disturbance)
    assert disturbance.lost
    assert disturbance.preempted
    cells = ablation.cells()
    assert Counter(cell.job for cell in cells) == {"train": 6 + 12, "evaluate": POINTS * LANGUAGES}
    left = [f"{cell.name}: {cell.folder.reason()}" for cell in cells if not cell.done()]
    assert not left, f"{left}\n{ablation.log()[-8000:]}"
    assert {finished(cell) for cell in cells} == {1}
    happened = Counter(cause for cell in cells for cause in causes(cell))
    assert happened["node failure"] + happened["preemption"] + happened["killed"] >= 2, happened
    for cell in cells:
        assert started(cell) == 1 + len(causes(cell)), cell.name
        if cell.job == "evaluate":
            ids = [record["id"] for record in read_jsonl(cell.folder.answers)]
            assert len(ids) == len(set(ids)) == ITEMS
    report = ablation.folder.results / "report.html"
    assert "w/o Task Stage" in report.read_text()
    table = json.loads((ablation.folder.results / "results.json").read_text())
    assert table
    _is_desired_state(ablation)


def _is_desired_state(ablation: Ablation) -> None:
    """The same command again does what has changed, and nothing else."""
    before = len(ablation.arrays())
    assert "nothing to submit" in ablation.ablate()
    lost = ablation.cells()[-1]
    lost.folder.done.unlink()
    lost.folder.answers.unlink()
    ablation.ablate()
    ablation.until_over()
    assert lost.done()
    assert [finished(cell) for cell in ablation.cells()].count(2) == 1
    ablation.write({**VARIANTS, "LayAlign": {"training.weight_decay": 0.1}})
    assert "2 runs that serve 4 points" in ablation.ablate("--throttle", "1")
    new = {Path(cell.run).name for cell in ablation.cells() if not cell.done()}
    assert len(new) == 4
    assert all("layalign" in name for name in new)
    ablation.write({name: value for name, value in VARIANTS.items() if name != "LayAlign"})
    assert f"no longer wanted: {4 + 2 * LANGUAGES} cells" in ablation.ablate()
    ablation.until_over()
    assert not any(
        RunFolder(ablation.folder.root / name).done.exists() for name in new if name.find("-s2-") > 0
    )
    assert len(ablation.arrays()) > before


def questions(folder: Path) -> Path:
    """Two benchmarks in ten languages, a few questions in each."""
    for name in ("mgsm", "msvamp"):
        benchmark = find_benchmark(name)
        (folder / name).mkdir(parents=True)
        for code in benchmark.languages:
            asked = [f"{language(code).name} {number} pens" for number in range(ITEMS)]
            if name == "mgsm":
                text = "".join(f"{question}\t{number}\n" for number, question in enumerate(asked))
            else:
                records = [{"m_query": question, "response": "8.0"} for question in asked]
                text = "".join(json.dumps(record) + "\n" for record in records)
            file = benchmark.files[0].format(code=code, name=language(code).name)
            (folder / name / file).write_text(text)
    return folder


class Killer:
    """Kills processes of an evaluation at random, a few times."""

    def __init__(self, ablation: Ablation, times: int) -> None:
        self.ablation, self.times = ablation, times
        self.chance, self.killed = random.Random(0), 0

    def __call__(self) -> None:
        answers = sum(len(read_jsonl(cell.folder.answers)) for cell in self.ablation.cells())
        if self.killed == self.times or answers < 25 * (self.killed + 1):
            return
        jobs = [job for array in self.ablation.arrays() for job in self.ablation.running(array.job)]
        with contextlib.suppress(AssertionError, ProcessLookupError):
            job = self.ablation.sandbox.job(self.chance.choice(jobs or [""]))["JobId"]
            os.kill(process_of(job, rank=0), signal.SIGKILL)
            self.killed += 1


ANSWERS = ("-o", "evaluation.batch_size=1", "evaluation.max_new_tokens=48", "data.max_unknown=1")


def test_an_evaluation_whose_tasks_are_killed_at_random_answers_every_item_once(sandbox, world, tmp_path):
    ablation = Ablation(sandbox, world, tmp_path)
    ablation.data = questions(tmp_path / "data")
    ablation.write(
        {"MetaMath": {"model.method": "llm"}}, seeds=[0], evaluate={"benchmarks": ["mgsm", "msvamp"]}
    )
    ablation.ablate("--slots", "4", *ANSWERS)
    killer = Killer(ablation, 3)
    ablation.until_over(killer)
    for _ in range(3):
        if not all(cell.done() for cell in ablation.cells()):
            ablation.go("missing", "--submit", "parts")
            ablation.until_over(killer)
    assert killer.killed >= 2
    cells = ablation.cells()
    assert len(cells) == 20
    assert all(cell.done() for cell in cells), ablation.log()[-5000:]
    records = [record for cell in cells for record in read_jsonl(cell.folder.answers)]
    assert set(Counter(record["id"] for record in records).values()) == {1}
    assert len(records) == 20 * ITEMS
    (tmp_path / "alone").mkdir()
    told = launch(
        "evaluate", "--recipe", ablation.recipe, "-o", "model.method=llm", *ANSWERS, "--benchmark", "mgsm,msvamp",
        "--data", ablation.data, "--inline", "--cluster", "local", cwd=tmp_path / "alone",
    )  # fmt: skip
    assert told.returncode == 0, told.told
    (run,) = all_runs(tmp_path / "alone" / "runs")
    undisturbed = [
        record
        for name in ("mgsm", "msvamp")
        for cell in run.cells(name)
        for record in read_jsonl(cell.answers)
    ]
    assert {r["id"]: r["output"] for r in records} == {r["id"]: r["output"] for r in undisturbed}
    for name in ("mgsm", "msvamp"):
        ours, theirs = (
            json.loads((one.results / name / "table.json").read_text())["methods"]
            for one in (RunFolder(Path(cells[0].run)), run)
        )
        assert ours == theirs
