"""A training that replays another set: how many rows of it, and that a kill -9 changes nothing."""

from __future__ import annotations

import signal

import torch

from cluster.files import read_json
from tests.jobs.work.test_train import folder, send, train, trajectory, weights
from tests.world import until, write_recipe

SPOKEN = ["Spanish", "German", "Bengali", "Thai", "Swahili"]


def replaying(world, share=0.25, **more):
    told = {
        "reader": "math",
        "path": world / "math.jsonl",
        "languages": f"[{', '.join(SPOKEN)}]",
        "share": share,
        **more,
    }
    listed = ", ".join(f"{key}: {value}" for key, value in told.items())
    return ("--stage", "1", "-o", f"data.replay={{{listed}}}", "training.save_every=3")


def test_a_run_replays_a_share_and_ends_the_same_after_a_kill(world, tmp_path):
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = write_recipe(world, tmp_path / "whole", 3, micro_batch=8)
    assert train(whole, *replaying(world, dev=10), "--inline").returncode == 0
    told = read_json(folder(whole, 1) / "data.json")
    rows, trained = sum(told["replay"]["rows"].values()), sum(told["split"]["train"].values())
    assert abs(rows / (rows + trained) - 0.25) < 0.01
    assert len(told["files"]) == 11
    cut = write_recipe(world, tmp_path / "cut", 3, micro_batch=8)
    process = train(cut, *replaying(world, dev=10), wait=False)
    until(
        lambda: (
            list((tmp_path / "cut/runs").glob("*-s1-*/checkpoints/step-00000006"))
            or process.poll() is not None
        )
    )
    send(signal.SIGKILL, process.pid)
    process.wait()
    assert not (folder(cut, 1) / "DONE").exists()
    again = train(cut, *replaying(world, dev=10))
    assert again.returncode == 0, again.told
    assert trajectory(folder(cut, 1)) == trajectory(folder(whole, 1))
    for name, value in weights(folder(cut, 1)).items():
        assert torch.equal(value, weights(folder(whole, 1))[name]), name


def test_what_cannot_be_replayed_is_refused(world, recipe):
    told = train(recipe, *replaying(world, share=0.9), "--inline")
    assert told.returncode != 0
    assert "set data.replay.share to" in told.told
    missing = train(recipe, *replaying(world / "nowhere"), "--dry-run")
    assert missing.returncode == 2
    assert "nowhere/math.jsonl does not exist" in missing.told
