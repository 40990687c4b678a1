"""Runs through the queue of a real Slurm, on nodes that have no network beyond the cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from cluster.files import read_jsonl
from cluster.job.race import alternatives
from cluster.provenance import ROOMS, tree_hash
from cluster.run.grid_folder import all_grids
from cluster.run.run_folder import RunFolder, all_runs
from cluster.slurm.submission import Submission, submission_state
from layalign.model.store import WEIGHTS
from tests.world import ROOT, launch, write_recipe

GRID = ("--gpus", "4", "--nodes", "2", "--time", "5")
ONE = ("--gpus", "1", "--time", "5")
COMMITS = {"encoder": "e" * 40, "decoder": "d" * 40}


@pytest.fixture
def go(sandbox, recipe, monkeypatch):
    """Run a command on the tiny world; gives its status and what it printed."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, sandbox.environ[name])

    def go(*words, cluster="sandbox", recipe=recipe, **environ):
        told = launch(*words, "--recipe", recipe, "--cluster", cluster, cwd=recipe.parent, **environ)
        return told.returncode, told.told

    return go


@pytest.fixture
def runs(recipe):
    """The runs so far, by stage."""
    return lambda: {run.stage: run for run in all_runs(recipe.parent / "runs")}


def train(go, *words):
    status, printed = go("train", *words)
    assert status == 0, printed
    return printed


def log(run):
    return "\n".join(path.read_text() for path in sorted(run.slurm.glob("*_0_log.out")))


def bridge(run):
    return load_file(run.bridge / WEIGHTS)


def held(*words):
    """Words of a job that waits until `scontrol release`."""
    return (*words, "-o", "cluster.extra=[--hold]")


def test_two_nodes_reach_the_weights_of_one_process(go, sandbox, world, runs, recipe):
    train(go, "--stage", "all", *GRID)
    status, printed = go("evaluate", "--data", world / "data", *ONE)
    assert status == 0, printed
    (grid,) = all_grids(recipe.parent / "runs")
    (record,) = grid.records()
    sandbox.wait(Submission.read(record).job, seconds=240)
    for run in runs().values():
        assert run.done.exists(), log(run)
        (start,) = read_jsonl(run.starts)[:1]
        assert (start["processes"], start["tree"]) == (4, Submission.read(run.submission).tree)
    assert list(runs()[2].results.glob("*/table.json")), log(runs()[2])
    train(go, "--stage", "2", *GRID)  # says that it is done
    local = train(
        lambda *words: go(*words, cluster="local"),
        "--stage",
        "all",
        "--inline",
        "--runs",
        recipe.parent / "alone",
    )
    assert "done: " in local
    for run in all_runs(recipe.parent / "alone"):
        ours, theirs = bridge(run), bridge(runs()[run.stage])
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert (value - theirs[name]).abs().max() < 1e-9, name


def test_a_queued_run_is_private_and_loads_no_call_that_others_can_write(go, sandbox, runs, recipe):
    train(go, "--stage", "1", "-o", "training.max_steps=2", *GRID)
    sandbox.wait(Submission.read(runs()[1].submission).job, seconds=240)
    run, root = runs()[1], recipe.parent / "runs"
    assert run.done.exists(), log(run)
    assert len(list(run.slurm.glob("*_log.out"))) == 4
    every = [path for path in (root, *root.rglob("*")) if not path.is_symlink()]
    assert {path.stat().st_mode & 0o7777 for path in every if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o7777 for path in every if path.is_file()} == {0o600}
    train(go, "--stage", "1", "--force", *held("-o", "training.max_steps=2", *ONE))
    job = Submission.read(run.submission).job
    run.slurm.chmod(0o733)
    sandbox.run("scontrol", "release", job)
    sandbox.wait(job, seconds=120)
    assert "can be written by others (mode 0733)" in log(run)
    assert "Loading pickle" not in log(run)
    assert not run.starts.exists()
    told = launch("why", run.path, cwd=recipe.parent)
    assert "not loaded where others can write" in " ".join(told.told.split()), told.told
    status, printed = go("train", "--stage", "1", "-o", "training.max_steps=2", *ONE)
    assert (status, f"chmod go-w {run.slurm}" in printed) == (2, True), printed


def test_two_nodes_lose_in_fp32_what_one_process_loses(go, sandbox, runs, recipe):
    words = ("--stage", "1", "-o", "model.precision=fp32", "training.max_steps=6")
    train(go, *words, *GRID)
    sandbox.wait(Submission.read(runs()[1].submission).job, seconds=240)
    train(lambda *words: go(*words, cluster="local"), *words, "--inline", "--runs", recipe.parent / "alone")
    (alone,) = all_runs(recipe.parent / "alone")
    ours, theirs = ([r["loss"] for r in read_jsonl(run.metrics) if "loss" in r] for run in (runs()[1], alone))
    assert len(ours) == 6, log(runs()[1])
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_job_runs_the_code_of_its_submission_whatever_is_edited_or_installed(
    go, sandbox, recipe, runs, tmp_path
):
    checkout, site = tmp_path / "checkout", tmp_path / "venv"
    for room in ROOMS:
        if (ROOT / room).is_dir():
            shutil.copytree(ROOT / room, checkout / room, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / room, checkout / room)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(site)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(site)}))
    (packages / "real.pth").write_text(sysconfig.get_path("purelib"))
    for decoy in ("cluster", "jobs", "layalign"):
        (packages / decoy).mkdir()
        (packages / decoy / "__init__.py").write_text("raise ImportError('decoy')")
    words = ["train", "--cluster", "sandbox", "--recipe", recipe, "--stage", "1", *held(*ONE)]
    environ = {**sandbox.environ, "LAYALIGN_CACHE": str(recipe.parent / "cache"), "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [site / "bin" / "python", checkout / "launch.py", *words],
        cwd=recipe.parent,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    before = tree_hash(checkout)
    for path in checkout.rglob("*.py"):
        path.write_text("raise SystemExit('edited while the job was queued')")
    run = runs()[1]
    job = Submission.read(run.submission).job
    sandbox.run("scontrol", "release", job)
    sandbox.wait(job, seconds=120)
    assert run.done.exists(), log(run)
    (start,) = read_jsonl(run.starts)
    assert start["tree"] == before


def test_nodes_without_network_work_from_the_cache_and_a_missing_file_is_refused(
    go, sandbox, world, tmp_path, runs
):
    told = yaml.safe_load(write_recipe(world, tmp_path).read_text())
    hub = tmp_path / "hub"
    for name, commit in COMMITS.items():
        folder = hub / f"models--tiny--{name}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(commit)
        shutil.copytree(told["model"][name], folder / "snapshots" / commit)
        told["model"][name] = f"tiny/{name}"
    path = tmp_path / "hub.yaml"
    path.write_text(yaml.safe_dump(told))
    words = (
        "train",
        "--stage",
        "1",
        "--gpus",
        "2",
        "--nodes",
        "2",
        "--time",
        "5",
        "-o",
        "training.max_steps=2",
    )
    config = hub / "models--tiny--decoder" / "snapshots" / COMMITS["decoder"] / "config.json"
    config.rename(tmp_path / "kept")
    status, printed = go(*words, recipe=path, HF_HUB_CACHE=str(hub))
    assert status == 2
    assert "model tiny/decoder at main: config.json" in printed
    assert not runs()
    (tmp_path / "kept").rename(config)
    status, printed = go(*words, recipe=path, HF_HUB_CACHE=str(hub))
    assert status == 0, printed
    run = runs()[1]
    sandbox.wait(Submission.read(run.submission).job, seconds=120)
    assert run.done.exists(), log(run)


def test_submission_is_not_doubled_and_is_found_again(go, sandbox, runs):
    train(go, "--stage", "all", *held(*ONE))
    run = runs()[1]
    submission = Submission.read(run.submission)
    assert f"already queued: job {submission.job} (PENDING, JobHeldUser)" in train(go, "--stage", "all", *ONE)
    lost = json.dumps({**json.loads(run.submission.read_text()), "job": None})
    run.submission.write_text(lost)
    assert f"already queued: job {submission.job}" in train(go, "--stage", "1", *ONE)
    assert Submission.read(run.submission) == submission
    assert len(sandbox.run("squeue", "-h").stdout.splitlines()) == 2
    sandbox.run("scontrol", "release", submission.job)  # accounting lists by time what could have run
    sandbox.wait(submission.job, "RUNNING")
    sandbox.run("scancel", "--user=root")
    sandbox.wait(submission.job)
    run.submission.write_text(lost)
    end = time.monotonic() + 20
    while not (standing := submission_state(run.submission)):  # accounting lags
        assert time.monotonic() < end
        time.sleep(0.5)
    assert (standing.submission, standing.jobs) == (submission, [])


def test_second_stage_waits_for_the_last_unit_of_the_first(go, sandbox, runs):
    train(go, "--stage", "all", *held(*ONE), "--units", "2")
    first, second = (Submission.read(runs()[stage].submission) for stage in (1, 2))
    assert second.dependency == f"afterok:{first.job}_1"
    assert sandbox.job(second.job)["Dependency"] == f"afterok:{first.job}_1(unfulfilled)"


def test_force_takes_a_waiting_job_back(go, sandbox, runs):
    train(go, "--stage", "1", *held(*ONE))
    job = Submission.read(runs()[1].submission).job
    assert f"cancelled: job {job}" in train(go, "--stage", "1", "--force", *held(*ONE))
    sandbox.wait(job, "CANCELLED")
    assert Submission.read(runs()[1].submission).job != job


def test_controller_says_when_the_script_would_start_or_why_not(go, sandbox, runs):
    printed = train(go, "--stage", "all", "--test-only", *GRID)
    assert printed.count("it would start at") == 2
    assert "using 4 processors on nodes node[1-2]" in printed
    status, printed = go("train", "--stage", "1", "--test-only", *ONE, "-o", "cluster.extra=[--qos=none]")
    assert status == 2
    assert "Slurm would refuse tiny-layalign-s1: " in printed
    assert "Invalid qos" in printed
    assert (
        "account def-none: yours on sandbox are"
        in go("train", "--stage", "1", *ONE, "--account", "def-none")[1]
    )
    assert not runs()


def test_refusal_leaves_a_run_that_can_be_submitted(go, sandbox, runs):
    status, printed = go("train", "--stage", "1", *ONE, "-o", "cluster.extra=[--qos=none]")
    assert status == 2
    assert "Slurm refuses tiny-layalign-s1: " in printed
    assert isinstance(runs()[1], RunFolder)
    train(go, "--stage", "1", *held(*ONE))


def test_the_first_of_a_race_has_the_run_and_the_second_stage_follows_whoever_won(go, sandbox, runs):
    printed = train(go, "--stage", "all", *ONE, "--race", "gpu=a100,a100_1g.5gb")
    assert printed.count("queued: job") == 4
    jobs = {one.job for stage in (1, 2) for one in alternatives(runs()[stage])}
    assert len(jobs) == 4
    for job in jobs:
        sandbox.wait(job, seconds=240)
    for run in runs().values():
        assert run.done.exists(), log(run)
        (won,) = [event for event in read_jsonl(run.events) if event["event"] == "won"]
        assert sandbox.job(won["job"])["JobState"] == "COMPLETED"
        (lost,) = won["cancelled"]
        assert sandbox.job(lost)["JobState"] == "CANCELLED"
        assert Submission.read(run.submission).job == won["job"]
        assert len(read_jsonl(run.starts)) == 1
