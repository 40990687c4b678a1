"""`launch.py train` end to end on the tiny world: the run folder, every interruption, every mistake."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cluster.files import read_jsonl
from tests.warm import children
from tests.world import launch, launch_anew, made_once, until, write_recipe

STEPS = 9
"""Of an epoch."""
EPOCHS = 4
"""Of a run that is interrupted in its second or third: what ends it comes with many steps to spare."""


def train(recipe: Path, *words: str, by=launch, **kwargs):
    return by(
        "train", "--recipe", recipe, "--runs", recipe.parent / "runs", *words, cwd=recipe.parent, **kwargs
    )


@pytest.fixture
def recipe(world, tmp_path):
    """One epoch per stage, two micro-batches per step."""
    return write_recipe(world, tmp_path, micro_batch=8)


def folder(recipe: Path, stage: int) -> Path:
    (found,) = (recipe.parent / "runs").glob(f"*-s{stage}-????????")
    return found


def events(run: Path, kind: str) -> list[dict]:
    return [event for event in read_jsonl(run / "events.jsonl") if event["event"] == kind]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(max(run.glob("checkpoints/step-*")) / "bridge.safetensors")


def trajectory(run: Path) -> dict[int, int]:
    """Digest of the samples of each step; of a replayed step the last one counts."""
    return {r["step"]: r["digest"] for r in read_jsonl(run / "metrics.jsonl") if "digest" in r}


def test_both_stages_leave_whole_run_folders_and_are_not_done_twice(recipe):
    told = train(recipe, "--stage", "all")
    assert told.returncode == 0, told.told
    for stage in (1, 2):
        run = folder(recipe, stage)
        for name in ("config.yaml", "starts.jsonl", "events.jsonl", "DONE", "bridge/bridge.safetensors"):
            assert (run / name).exists(), name
        assert [r["step"] for r in read_jsonl(run / "metrics.jsonl") if "loss" in r] == list(
            range(1, STEPS + 1)
        )
        (start,) = read_jsonl(run / "starts.jsonl")
        assert start["packages"]["torch"] == torch.__version__
        assert start["command"].startswith("python launch.py train ")
        assert start["command"].endswith("--stage all")
        assert len(list(run.glob("checkpoints/step-*"))) in (2, 3)
    assert f"step {STEPS}/{STEPS}" in told.told
    assert train(recipe, "--stage", "all").told.count("already done") == 2


def test_the_dev_loss_falls_and_the_best_is_handed_on(recipe):
    told = train(recipe, "--stage", "1", "--inline", "-o", "training.epochs=4", "training.select=best")
    assert told.returncode == 0, told.told
    losses = {
        r["step"]: r["dev_loss"] for r in read_jsonl(folder(recipe, 1) / "metrics.jsonl") if "dev_loss" in r
    }
    best = min(losses, key=losses.get)
    assert best > 7
    handed = load_file(folder(recipe, 1) / "bridge/bridge.safetensors")
    kept = load_file(folder(recipe, 1) / f"checkpoints/step-{best:08d}/bridge.safetensors")
    assert all(torch.equal(handed[name], kept[name].float()) for name in kept)


def test_a_stage_of_no_steps_hands_its_parents_weights_on(recipe):
    task = ("stages.2.training.max_steps=0", "stages.2.data.path=nowhere")
    told = train(recipe, "--stage", "all", "--inline", "-o", *task)
    assert told.returncode == 0, told.told
    first, second = (folder(recipe, stage) for stage in (1, 2))
    parents, handed = (load_file(run / "bridge/bridge.safetensors") for run in (first, second))
    assert parents.keys() == handed.keys()
    assert all(torch.equal(value, parents[name]) for name, value in handed.items())
    switches = [json.loads((run / "bridge/bridge.json").read_text())["bridge"] for run in (first, second)]
    assert [told["text"] for told in switches] == [False, True]
    assert json.loads((second / "DONE").read_text())["step"] == 0
    assert len(read_jsonl(second / "starts.jsonl")) == len(events(second, "finished")) == 1
    assert not (second / "checkpoints").exists()
    assert "already done" in train(recipe, "--stage", "2", "--inline", "-o", *task).told


def test_a_stage_of_no_steps_that_starts_from_nothing_has_the_weights_of_its_seed(recipe):
    alone = ("--stage", "2", "--inline", "-o", "training.init=none", "training.max_steps=0")
    assert train(recipe, *alone).returncode == 0
    assert (folder(recipe, 2) / "bridge/bridge.safetensors").exists()


def test_tensorboard_has_the_curves_when_asked(recipe):
    """From a fresh start, as nothing else here."""
    words = ("--stage", "1", "--inline", "-o", "training.tensorboard=true")
    told = train(recipe, *words, by=launch_anew)
    assert told.returncode == 0, told.stdout
    assert list(folder(recipe, 1).glob("trackers/tensorboard/events*"))


@pytest.fixture(scope="module")
def undisturbed(world, shared):
    """Weights and samples of both stages, trained by one process without interruption."""

    def make(place: Path) -> None:
        told = train(write_recipe(world, place, EPOCHS, micro_batch=8), "--stage", "all", "--inline")
        assert told.returncode == 0, told.told

    recipe = made_once(shared / "undisturbed", make) / "tiny.yaml"
    return {stage: (weights(folder(recipe, stage)), trajectory(folder(recipe, stage))) for stage in (1, 2)}


def on(tasks: int) -> tuple[str, ...]:
    """Words for a number of processes, each with two micro-batches per step."""
    return ("--stage", "all", "--tasks", str(tasks), "-o", f"training.micro_batch={8 // tasks}")


def interrupt(recipe: Path, number: signal.Signals, stage: int, step: int, tasks: int):
    """Train on `tasks` processes; send a signal when `stage` has done `step`."""
    process = train(recipe, *on(tasks), wait=False)

    def reached() -> bool:
        runs = list((recipe.parent / "runs").glob(f"*-s{stage}-*"))
        return bool(runs) and len(trajectory(runs[0])) >= step

    until(lambda: reached() or process.poll() is not None)
    send(number, process.pid)
    process.wait()
    return process


def send(number: signal.Signals, launcher: int) -> None:
    """SIGKILL to one process of a job, any other signal to all: directly, so that none is done before it comes."""
    processes = processes_of_the_job(launcher)
    for pid in processes[-1:] if number is signal.SIGKILL else processes:
        os.kill(pid, number)


def processes_of_the_job(launcher: int) -> list[int]:
    """Children of the controller that submitit's launcher started."""
    (controller,) = children(launcher)
    return children(controller)


EVERYDAY = [(signal.SIGKILL, 1, 13, 1, 1), (signal.SIGTERM, 2, 17, 2, 1), (signal.SIGUSR2, 1, 11, 1, 2)]
ALL = [
    (number, stage, 4 * stage + 5 * before + 2 * after, before, after)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR2)
    for stage in (1, 2)
    for before, after in ((1, 1), (2, 2), (2, 1), (1, 2))
]


def resumes(world, tmp_path, undisturbed, number, stage, step, before, after):
    recipe = write_recipe(world, tmp_path, EPOCHS, micro_batch=8)
    stopped = interrupt(recipe, number, stage, step, before)
    assert stopped.returncode != 0, stopped.told
    assert not (folder(recipe, stage) / "DONE").exists()
    told = train(recipe, *on(after))
    assert told.returncode == 0, told.told
    (resumed,) = events(folder(recipe, stage), "resumed")
    if number is signal.SIGKILL:
        assert step - 7 <= resumed["step"]
    else:
        assert events(folder(recipe, stage), "stopping")[0]["step"] == resumed["step"]
    for done in (1, 2):
        expected, samples = undisturbed[done]
        assert trajectory(folder(recipe, done)) == samples
        for name, value in weights(folder(recipe, done)).items():
            exact = before == after == 1
            assert (
                torch.equal(value, expected[name]) if exact else (value - expected[name]).abs().max() < 1e-9
            ), name


@pytest.mark.parametrize(("number", "stage", "step", "before", "after"), EVERYDAY)
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    world, tmp_path, undisturbed, number, stage, step, before, after
):
    resumes(world, tmp_path, undisturbed, number, stage, step, before, after)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "stage", "step", "before", "after"), ALL)
def test_every_interruption_on_any_number_of_processes(
    world, tmp_path, undisturbed, number, stage, step, before, after
):
    resumes(world, tmp_path, undisturbed, number, stage, step, before, after)


def test_a_second_start_on_a_run_is_refused_and_a_stale_lease_is_not(world, tmp_path):
    recipe = write_recipe(world, tmp_path, epochs=40)
    first = train(recipe, "--stage", "1", wait=False)
    until(lambda: list((tmp_path / "runs").glob("*-s1-*/metrics.jsonl")))
    second = train(recipe, "--stage", "1")
    assert second.returncode == 2
    assert "error: " in second.told
    assert "Traceback" not in second.told
    send(signal.SIGKILL, first.pid)
    first.wait()
    third = train(recipe, "--stage", "1", wait=False)
    starts = folder(recipe, 1) / "starts.jsonl"
    until(lambda: third.poll() is not None or len(read_jsonl(starts)) == 2)
    assert third.poll() is None
    third.send_signal(signal.SIGTERM)
    third.wait()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stage", "2"), "stage 1, run tiny"),
        (("--stage", "1", "-o", "trainin.lr=1"), "did you mean training?"),
        (("--stage", "1", "-o", "training.lr=fast"), "training.lr is 'fast': it must be a number"),
        (("--stage", "1", "-o", "model.encoder=nobody/nothing"), "--recipe mini"),
        (("--stage", "1", "-o", "data.path=nowhere"), "nowhere"),
        (("--stage", "1", "-o", "data.languages=[Klingon]"), "Klingon"),
        (("--stage", "1", "-o", "model.method=llm"), "nothing to train"),
        (("--stage", "1", "--runs", "/proc/runs"), "cannot be written"),
    ],
)
def test_a_mistake_is_told_in_a_line_and_nothing_is_started(recipe, words, said):
    told = train(recipe, *words)
    assert told.returncode == 2
    assert said in told.told
    assert "Traceback" not in told.told
    assert not list(recipe.parent.glob("runs/*/starts.jsonl"))


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(recipe):
    told = train(
        recipe, "--stage", "1", "-o", "training.lr=1e200", "training.clip=1e300", "training.save_every=1"
    )
    assert told.returncode != 0
    assert "in step" in told.told
    assert "rows [" in told.told
    assert (folder(recipe, 1) / "FAILED").exists()
    assert list(folder(recipe, 1).glob("checkpoints/step-*"))


def test_cut_sources_are_counted(recipe):
    told = train(recipe, "--stage", "1", "--inline", "-o", "data.max_source=8")
    assert told.returncode == 0, told.told
    assert events(folder(recipe, 1), "truncated")[0]["source"] > 0
    assert "longer than the limit and cut" in told.told
