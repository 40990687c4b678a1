"""W&B gets a run online where a job can do that by itself, and offline everywhere else."""

from __future__ import annotations

import sys
import types

import pytest

from cluster.run.run_folder import RunFolder
from jobs.work.trackers import WandB, wandb_mode


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_MODE": "online"}, "offline"),
        ({"WANDB_API_KEY": "x"}, "offline"),
        ({"WANDB_MODE": "offline", "WANDB_API_KEY": "x"}, "offline"),
        ({"WANDB_MODE": "online", "WANDB_API_KEY": "x"}, "online"),
    ],
)
def test_job_needs_a_way_out_and_a_key(environ, mode, tmp_path):
    assert wandb_mode({"HOME": str(tmp_path), **environ}) == mode


def test_key_of_a_login_counts(tmp_path):
    environ = {"HOME": str(tmp_path), "WANDB_MODE": "online"}
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password x\n")
    assert wandb_mode(environ) == "online"
    (tmp_path / ".netrc").write_text("machine\n")
    assert wandb_mode(environ) == "offline"


def test_run_lies_in_the_run_folder_under_its_signature(tmp_path, monkeypatch):
    told = {}
    wandb = types.SimpleNamespace(init=lambda **words: told.update(words))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.create({})
    WandB(run)
    assert (told["mode"], told["dir"], told["id"]) == ("offline", str(run.trackers), "00000001")
