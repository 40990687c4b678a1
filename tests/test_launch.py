"""The front door, with small recipes of its own and jobs that only write down what they were told."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import types
from pathlib import Path

import pytest

import launch
from cluster.files import read_jsonl
from cluster.job.interrupt import SIGNALS
from cluster.run.run_folder import RunFolder, all_runs
from jobs.cell.cell import Worklist
from layalign.evaluation.benchmarks import find_benchmark
from layalign.languages import language
from tests.login import at_home, empty_recipe

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGCONT)}
    at_home(tmp_path, monkeypatch)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def recipe(tmp_path):
    return empty_recipe(tmp_path, "tiny one")


class Job(types.ModuleType):
    """Stands in for `jobs.work.train` and `jobs.work.evaluate`: remembers its configs, and ends as it is told."""

    def __init__(self):
        super().__init__("job")
        self.told = []
        self.interrupted = None
        self.mistake = None

    def run(self, config, interrupts):
        self.told.append(config)
        if self.mistake:
            raise ValueError(self.mistake)
        folder = RunFolder(Path(config["run"]))
        folder.start()
        if self.interrupted:
            return {"interrupted": self.interrupted}
        folder.bridge.mkdir(exist_ok=True)
        (folder.bridge / "bridge.safetensors").write_bytes(b"weights")
        folder.finish()
        return {}


class Slot(types.ModuleType):
    """Stands in for `jobs.grid.slot`: remembers its cells and what is told of their runs, and says that all is done."""

    def __init__(self, told):
        super().__init__("slot")
        self.told = told

    def run(self, config, interrupts):
        worklist = Worklist.read(Path(config["list"]))
        for cell in worklist.cells:
            cell.folder.path.mkdir(parents=True, exist_ok=True)
            cell.folder.finish(items=cell.items, max_new_tokens=cell.max_new_tokens)
        self.told.append({"cells": worklist.cells, **next(iter(worklist.runs.values()))})
        return {}


@pytest.fixture
def job(monkeypatch):
    job = Job()
    monkeypatch.setitem(sys.modules, "jobs.work.train", job)
    monkeypatch.setitem(sys.modules, "jobs.grid.slot", Slot(job.told))
    return job


@pytest.fixture
def benchmarks(tmp_path):
    """Questions of two benchmarks in ten languages, 300 and 7 in each."""
    for name, number in (("mgsm", 300), ("msvamp", 7)):
        benchmark = find_benchmark(name)
        (tmp_path / "data" / name).mkdir()
        for code in benchmark.languages:
            line = '{"m_query": "How many?", "response": "8.0"}' if name == "msvamp" else "How many?\t8"
            file = benchmark.files[0].format(code=code, name=language(code).name)
            (tmp_path / "data" / name / file).write_text(f"{line}\n" * number)


@pytest.fixture
def go(recipe, capsys):
    """Run a command on the recipe, inline; gives its status and what it printed."""

    def go(command, *words, data="data", base=("--inline",)):
        if "--run" not in words and "--recipe" not in words:
            words = ("--recipe", str(recipe), *words)
        status = launch.main([command, *(["--data", data] if data else []), *words, *base])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


def test_stage_all_runs_both_and_the_second_starts_from_the_first(go, job, tmp_path):
    status, printed = go("train", "--stage", "all")
    assert status == 0
    first, second = job.told
    assert (first["config"]["stage"], second["config"]["stage"]) == (1, 2)
    assert first["parent"] is None
    assert second["parent"] == str(Path(first["run"], "bridge"))
    assert second["config"]["training"]["lr"] == 2e-3
    assert first["data"] == str(tmp_path / "data")
    assert f"done: {second['run']}" in printed
    assert RunFolder(Path(first["run"])).read_config() == first["config"]


def test_second_time_says_where_it_is_and_does_nothing(go, job):
    go("train", "--stage", "1")
    status, printed = go("train", "--stage", "1")
    assert (status, len(job.told)) == (0, 1)
    assert f"already done: {job.told[0]['run']}" in printed


def test_force_makes_it_anew_and_keeps_the_old(go, job, tmp_path):
    go("train", "--stage", "1")
    status, printed = go("train", "--stage", "1", "--force")
    assert (status, len(job.told)) == (0, 2)
    assert "moved aside: " in printed
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert len(all_runs(tmp_path / "runs")) == 1


def test_interrupted_run_goes_on_in_its_folder_and_stage_2_waits(go, job):
    job.interrupted = "SIGUSR1"
    status, printed = go("train", "--stage", "all")
    assert (status, len(job.told)) == (130, 1)
    assert "interrupted by SIGUSR1; to go on: python launch.py train" in printed
    assert job.told[0]["command"] == printed.partition("to go on: ")[2].strip()
    job.interrupted = None
    assert go("train", "--stage", "all")[0] == 0
    assert [config["run"] for config in job.told[:2]] == [job.told[0]["run"]] * 2
    assert len(read_jsonl(RunFolder(Path(job.told[0]["run"])).starts)) == 2


def test_stage_2_without_stage_1_gives_the_command_that_makes_it(go, job, recipe):
    words = ("-o", "training.lr=1e-4", "seed=3", "--name", "it's", "--tasks", "1")
    status, printed = go("train", "--stage", "2", *words)
    assert status == 2
    assert "which has not been run; first run: python launch.py train" in printed
    assert not job.told
    command = shlex.split(printed.partition("first run: ")[2])
    assert launch.main([*command[2:], "--inline"]) == 0
    assert go("train", "--stage", "2", *words)[0] == 0


def test_stage_2_after_an_interrupted_stage_1_says_so(go, job):
    job.interrupted = "SIGTERM"
    go("train", "--stage", "1")
    assert "which is not finished (interrupted)" in go("train", "--stage", "2")[1]


def test_dry_run_tells_all_and_writes_nothing(go, job, tmp_path):
    status, printed = go("train", "--stage", "all", "--dry-run", "--tasks", "2", base=())
    assert status == 0
    assert "stage 1 of tiny one" in printed
    assert "stage 2 of tiny one" in printed
    assert "lr 0.002" in printed
    assert "local: processes 2" in printed
    assert not (tmp_path / "runs").exists()


def test_dry_run_tells_what_would_refuse_it(go, tmp_path):
    status, printed = go("train", "--stage", "2", "--dry-run", "-o", "model.encoder=google/none", data=None)
    assert status == 2
    assert "stage 2 starts from the weights of stage 1" in printed
    assert (
        "model google/none at main: all files; where there is internet: python launch.py prefetch" in printed
    )
    assert "--recipe mini" in printed
    assert "there is no data folder" in printed


def test_recipe_math_is_the_default_and_names_the_models_that_are_missing(go, capsys):
    status = launch.main(["train", "--stage", "1", "--data", "data"])
    printed = capsys.readouterr().err
    assert status == 2
    assert "model google/mt5-xl at main: all files; model meta-math/MetaMath-7B-V1.0 at main: all" in printed
    assert "--recipe mini" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "training.learning=1"), "unknown key training.learning"),
        (("-o", "trainin.lr=1"), "did you mean training"),
        (("-o", "training.lr=fast"), "training.lr is 'fast': it must be a number"),
        (("-o", "training.lr"), "not of the form"),
        (("-o", "cluster.task=2"), "did you mean cluster.tasks?"),
        (("--tasks", "0"), "at least 1"),
        (("--cluster", "lokal"), "did you mean local?"),
        (("--recipe", "maths"), "did you mean math?"),
        (("--recipe", "no/such.yaml"), "no/such.yaml cannot be read"),
        (("--name", "a/b"), "cannot name a run"),
        (("-o", "data.languages=[Swahilli]"), "Swahili"),
        (("-o", "data.path=none"), "does not exist"),
        (("-o", "model.method=llm", "model.text=true"), "has nothing to train"),
        (("-o", "training.init=nowhere"), "training.init is 'nowhere': no such folder"),
        (("--data", "nowhere"), "nowhere does not exist; name another with --data or LAYALIGN_DATA"),
        (("--runs", "tiny.yaml"), "cannot be written: Not a directory"),
        (("--tasks", "2"), "--inline is this one process, but cluster.tasks is 2"),
    ],
)
def test_mistakes_are_told_in_plain_words(go, job, words, message):
    status, printed = go("train", "--stage", "1", *words)
    assert status == 2
    assert message in printed
    assert printed.startswith("error: ")
    assert "Traceback" not in printed
    assert not job.told


def test_run_that_is_worked_on_is_refused(go, job):
    job.interrupted = "SIGTERM"
    go("train", "--stage", "1")
    run = RunFolder(Path(job.told[0]["run"]))
    with run.lease():
        for words in ((), ("--force",)):
            status, printed = go("train", "--stage", "1", *words)
            assert status == 2
            assert "is being worked on by process" in printed


def test_run_that_is_evaluated_is_not_evaluated_twice_at_once(go, job):
    go("train", "--stage", "all")
    with RunFolder(Path(job.told[1]["run"])).lease():
        status, printed = go("evaluate")
    assert status == 2
    assert "is being worked on by process" in printed


def test_mistake_that_the_job_finds_has_no_traceback(go, job):
    job.mistake = "the data has no rows"
    status, printed = go("train", "--stage", "1")
    assert status == 2
    assert printed.endswith("error: the data has no rows\n")


def test_evaluate_takes_the_config_of_the_run(go, job, benchmarks):
    go("train", "--stage", "all")
    words = ("--benchmark", "mgsm,msvamp", "--languages", "sw,de", "--limit", "5")
    status, printed = go("evaluate", "--run", "tiny one-layalign", *words)
    told = job.told[-1]
    assert status == 0
    assert told["run"] == job.told[1]["run"]
    asked = [(cell.benchmark, cell.language, cell.shard, cell.items) for cell in told["cells"]]
    assert asked == [(name, code, 0, 5) for name in ("mgsm", "msvamp") for code in ("sw", "de")]
    assert told["config"] == {
        **job.told[1]["config"],
        "evaluation": {**job.told[1]["config"]["evaluation"], "limit": 5},
    }
    assert f"results: {told['run']}" in printed


def test_evaluate_by_recipe_finds_its_run(go, job, benchmarks):
    assert "has not been trained; first run: python launch.py train" in go("evaluate")[1]
    go("train", "--stage", "all")
    assert go("evaluate")[0] == 0
    assert (job.told[-1]["run"], len(job.told[-1]["cells"])) == (job.told[1]["run"], 20)
    assert {(cell.shard, cell.items) for cell in job.told[-1]["cells"]} == {(0, 250), (1, 50)}


def test_what_is_answered_is_not_asked_again(go, job, benchmarks):
    go("train", "--stage", "all")
    go("evaluate", "--limit", "5")
    go("evaluate", "--limit", "5")
    assert len(job.told) == 3
    go("evaluate", "--limit", "6", "--languages", "sw")
    assert [cell.language for cell in job.told[-1]["cells"]] == ["sw"]


def test_bare_llm_is_evaluated_without_training(go, job, benchmarks):
    assert go("evaluate", "-o", "model.method=llm")[0] == 0
    assert job.told[0]["config"]["model"]["method"] == "llm"
    assert RunFolder(Path(job.told[0]["run"])).config.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--run", "tinny one"), "did you mean tiny one-layalign-s2-"),
        (("--run", "tiny one-layalign", "--benchmark", "mgms"), "did you mean mgsm?"),
        (("--run", "tiny one-layalign", "-o", "training.lr=1"), "the overrides would make another run"),
        (("--run", "tiny one-layalign", "--recipe", "math"), "leave one out"),
    ],
)
def test_mistakes_of_evaluate_are_told(go, job, words, message):
    go("train", "--stage", "all")
    status, printed = go("evaluate", *words)
    assert status == 2
    assert message in printed
    assert len(job.told) == 2


def test_limit_is_at_least_one(go, job, capsys):
    with pytest.raises(SystemExit):
        go("evaluate", "--limit", "0")
    assert "--limit: 0 is no number of items" in capsys.readouterr().err


def test_evaluate_of_an_unfinished_run_says_so(go, job):
    job.interrupted = "SIGTERM"
    go("train", "--stage", "1")
    assert "is not finished (interrupted)" in go("evaluate", "--run", "tiny one-layalign")[1]


def test_a_dry_run_of_a_grid_that_goes_on_here_only_names_what_is_to_be_done(go, job, benchmarks, capsys):
    go("train", "--stage", "all")
    go("evaluate", "--benchmark", "msvamp", "--languages", "sw")
    cell = job.told[-1]["cells"][0]
    cell.folder.done.unlink()
    for words in (["missing", "--submit"], ["retry", "--failed"]):
        if words[0] == "retry":
            cell.folder.fail("KeyError: 'x'\n")
        assert launch.main([*words, "--dry-run"]) == 0
        assert f"to be done here: {cell.name}" in capsys.readouterr().out
    assert len(job.told) == 3
    assert cell.folder.failed.exists()
    assert launch.main(["retry", "--failed", "--inline", "--yes"]) == 0
    assert len(job.told) == 4


def test_cluster_without_profile_is_local(go):
    os.environ["CC_CLUSTER"] = "no such cluster"
    assert "local: processes 1" in go("train", "--stage", "1", "--dry-run")[1]


def test_the_sandbox_is_named_where_there_is_none(go, monkeypatch, tmp_path):
    monkeypatch.setenv("LAYALIGN_SANDBOX", str(tmp_path / "none"))
    monkeypatch.delenv("SLURM_CONF", raising=False)
    status, printed = go("train", "--stage", "1", "--cluster", "sandbox")
    assert status == 2
    assert "there is no sandbox in" in printed
    assert "launch.py sandbox up" in printed


def test_a_dry_run_of_answers_tells_of_answers_alone(go, job, benchmarks):
    go("train", "--stage", "all")
    words = (
        "evaluate",
        "--run",
        "tiny one-layalign-s2",
        "--benchmark",
        "msvamp",
        "--languages",
        "sw",
        "--dry-run",
    )
    status, printed = go(*words, "--limit", "3", "-o", "evaluation.max_new_tokens=9")
    assert status == 0
    assert (
        "  answers      msvamp, the first 3 of each language; at most 9 tokens each, 32 at once\n" in printed
    )
    assert not {"training", "checkpoints", "starts"} & {
        line.split()[0] for line in printed.splitlines() if line
    }
