"""Three stages of MERLIN end to end on the tiny world: killed in each, answered, on several processes, in a table."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from layalign.data.files import checksum
from tests.jobs.work.test_train import EPOCHS, events, folder, interrupt, on, train, trajectory, weights
from tests.world import launch, made_once, write_recipe

STAGES = (1, 2, 3)


@pytest.fixture(scope="module")
def undisturbed(world, shared):
    """Folder of a recipe whose three stages were trained by one process without interruption."""

    def make(place: Path) -> None:
        recipe = write_recipe(world, place, EPOCHS, micro_batch=8, shipped="mini-merlin")
        told = train(recipe, "--stage", "all", "--inline")
        assert told.returncode == 0, told.told

    return made_once(shared / "undisturbed-merlin", make)


def handed_on(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "bridge" / "bridge.safetensors")


def test_each_stage_starts_from_the_one_before_and_trains_its_own_part(undisturbed):
    first, second, third = (folder(undisturbed / "tiny.yaml", stage) for stage in STAGES)
    switches = [
        json.loads((run / "bridge/bridge.json").read_text())["bridge"] for run in (first, second, third)
    ]
    assert [(one["train"], one["lora"], one["text"]) for one in switches] == [
        ("bridge", "none", False), ("bridge", "none", True), ("lora", "dora", True),
    ]  # fmt: skip
    connector = handed_on(second)
    assert connector.keys() == handed_on(first).keys() == weights(second).keys()
    last = handed_on(third)
    assert all(torch.equal(value, last[name]) for name, value in connector.items())
    assert {name.partition(".")[0] for name in last.keys() - connector.keys()} == {"lora"}
    assert weights(third).keys() == last.keys() - connector.keys()
    assert all(bool(value.any()) for name, value in last.items() if "lora_B" in name)  # zero at the start


def resumes(world, tmp_path, undisturbed, number, stage, before, after):
    recipe = write_recipe(world, tmp_path, EPOCHS, micro_batch=8, shipped="mini-merlin")
    for done in range(1, stage):  # those are done
        shutil.copytree(
            found := folder(undisturbed / "tiny.yaml", done), tmp_path / "runs" / found.name, symlinks=True
        )
    stopped = interrupt(recipe, number, stage, 13, before)
    assert stopped.returncode != 0, stopped.told
    told = train(recipe, *on(after))
    assert told.returncode == 0, told.told
    assert events(folder(recipe, stage), "resumed")
    for done in STAGES:
        expected = folder(undisturbed / "tiny.yaml", done)
        assert trajectory(folder(recipe, done)) == trajectory(expected)
        for name, value in handed_on(folder(recipe, done)).items():
            apart = (value - handed_on(expected)[name]).abs().max()
            assert apart == 0 if before == after == 1 else apart < 1e-6, name


def test_a_kill_while_dora_trains_changes_nothing(world, tmp_path, undisturbed):
    resumes(world, tmp_path, undisturbed, signal.SIGKILL, 3, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("number", "before", "after"),
    [(signal.SIGKILL, 1, 1), (signal.SIGTERM, 1, 1), (signal.SIGKILL, 2, 1), (signal.SIGUSR2, 1, 2)],
)
def test_every_interruption_of_every_stage(world, tmp_path, undisturbed, number, stage, before, after):
    resumes(world, tmp_path, undisturbed, number, stage, before, after)


def test_a_connector_that_was_trained_anew_meanwhile_is_not_gone_on_with(world, tmp_path, undisturbed):
    recipe = tmp_path / "tiny.yaml"
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    third = folder(recipe, 3)
    (third / "DONE").unlink()
    shutil.rmtree(max(third.glob("checkpoints/step-*")))
    second = folder(recipe, 2) / "bridge" / "bridge.safetensors"
    model = {name: value + 1e-3 for name, value in load_file(second).items()}
    save_file(model, second)
    config = second.with_name("bridge.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), "sha256": checksum(second)}, indent=1))
    told = train(recipe, "--stage", "3", "--inline")
    assert told.returncode == 2, told.told
    assert "is not the one that it began with" in told.told


GRID = """
title: what DoRA adds
recipe: {recipe}
variants:
  MindMerger: {{model.method: mindmerger, stages: [1, 2]}}
  MERLIN:
  LoRA of the LLM alone: {{model.method: sft}}
evaluate: {{benchmarks: [mini], languages: [sw], limit: 4}}
"""


def test_merlin_stands_in_a_table_beside_mindmerger_and_shares_its_stages(undisturbed, world, tmp_path):
    """The connector's stages are those that were trained already; `sft` has one stage, the last."""
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    recipe = tmp_path / "tiny.yaml"
    grid = tmp_path / "adds.yaml"
    grid.write_text(GRID.format(recipe=recipe))
    told = launch(
        "ablate",
        "--grid",
        grid,
        "--runs",
        tmp_path / "runs",
        "--yes",
        "--inline",
        "--data",
        world / "data",
        cwd=tmp_path,
    )
    assert told.returncode == 0, told.told
    for label in ("MindMerger", "MERLIN", "LoRA of the LLM alone"):
        assert label in told.told
    stages = sorted(path.name.rpartition("-s")[2][0] for path in (tmp_path / "runs").glob("*-s?-????????"))
    assert stages == ["1", "2", "3", "3"]
    status = launch("status", "--runs", tmp_path / "runs", cwd=tmp_path)
    assert status.returncode == 0, status.told
