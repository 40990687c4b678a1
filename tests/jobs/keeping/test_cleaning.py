"""Cleaning up after runs; what is trained is only made to look so."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder, all_runs
from tests.cluster.slurm.test_submission import row, submitted
from tests.jobs.finished import ROOT, answer, go, make, make_grid, recipe, surroundings, tree, write  # noqa: F401
from tests.jobs.synthetic import make_runs
from tests.test_layers import HEAVY, modules_after
from tests.timing import cpu_seconds

DAY = 24 * 3600


def test_clean_shows_asks_deletes_and_has_nothing_left_to_do(go, make, monkeypatch, slurm):
    run, parent = make(), make(1)
    kept = {name: data for name, data in tree(run.root).items() if "checkpoints" not in name}
    status, printed = go("clean")
    assert status == 0
    assert "checkpoints" in printed
    assert run.path.name in printed
    assert "in all: 6 files and folders, 600 B" in printed
    assert "nothing was deleted; to delete it, give the command again with --yes" in printed
    assert run.checkpoints.exists()
    assert len(slurm.lines("asked")) == 1
    assert go("clean", "--yes") == (
        0,
        printed.partition("nothing was")[0] + "deleted: 6 files and folders, 600 B\n",
    )
    assert tree(run.root) == kept
    assert go("clean", "--yes") == (0, f"nothing that is safe to delete below {run.root}\n")
    assert not parent.checkpoints.exists()


def test_clean_of_one_run_leaves_the_others(go, make):
    run, parent = make(), make(1)
    assert go("clean", run.path.name, "--yes")[0] == 0
    assert parent.checkpoints.exists()
    assert not run.checkpoints.exists()
    assert go("clean", "none")[0] == 2


def test_clean_of_a_grid_is_that_of_its_runs(go, make):
    grid = make_grid(make(), make(1))
    other = make(1, "seed=5")
    assert go("clean", "g", "--yes")[0] == 0
    assert [run.exists() for run in (*grid.root.glob("*/checkpoints"),)] == [True]
    assert other.checkpoints.exists()


@pytest.mark.parametrize(("typed", "deleted"), [("y", True), ("", False), ("no", False)])
def test_clean_asks_on_a_terminal_and_looks_again_after_the_answer(make, typed, deleted, slurm):
    run, other = make(), make(1)
    submitted("7").write(other.submission)
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, ROOT / "launch.py", "clean"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    shown = ""
    while "[y/N]" not in shown:
        shown += process.stdout.read(1)
    slurm.set("queue", row("7") + "\n")  # what was shown is needed by now
    os.write(main, f"{typed}\n".encode())
    process.communicate()
    assert process.returncode == 0
    assert "in all: 6 files" in shown
    assert run.checkpoints.exists() != deleted
    assert other.checkpoints.exists()


def test_clean_says_when_nobody_knows_what_is_queued(go, make, slurm):
    run, parent = make(), make(1)
    submitted("7").write(run.submission)
    slurm.set("silent")
    status, printed = go("clean", "--yes")
    assert status == 0
    assert printed.startswith("what was submitted is left alone: squeue does not answer")
    assert run.checkpoints.exists()
    assert not parent.checkpoints.exists()
    run.submission.unlink()
    assert "squeue" not in go("clean", "--yes")[1]


def test_clean_that_cannot_delete_says_so_and_goes_on(go, make, monkeypatch):
    run, parent = make(), make(1)
    rename = Path.rename

    def refuse(self, target):
        if self == run.checkpoints:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    status, printed = go("clean", "--yes")
    assert status == 1
    assert f"error: {run.checkpoints} cannot be deleted: Permission denied" in printed
    assert "deleted: 3 files and folders, 300 B" in printed
    assert not parent.checkpoints.exists()


def test_clean_of_runs_in_every_state_takes_nothing_that_is_needed(go, slurm, tmp_path, monkeypatch):
    made = make_runs(tmp_path / "runs", 78)
    made.write_answers(slurm.folder)
    for run in all_runs(made.root):
        write(run.checkpoints / "step-00000002" / "bridge.safetensors", b"w" * 300)
        if run.done.exists():
            write(run.bridge / "bridge.safetensors", b"w")
        old = write(run.path / ".0123456789ab.tmp", b"torn")
        os.utime(old, (time.time() - 2 * DAY,) * 2)
    before, states = tree(made.root), {run.path: run.state() for run in all_runs(made.root)}
    ended = []
    assert cpu_seconds(lambda: ended.append(go("clean", "--yes")[0])) < 10
    assert ended == [0]
    assert len(slurm.lines("asked")) == 1
    gone = {Path(name) for name in before.keys() - tree(made.root).keys()}
    touched = {made.root / path.parts[0] for path in gone if "checkpoints" in path.parts}
    assert touched
    assert {states[path] for path in touched} == {"done"}
    assert {path.suffix for path in gone if "checkpoints" not in path.parts} == {".tmp"}
    assert {states[made.root / path.parts[0]] for path in gone} == {"done", "failed"}
    assert {run.path: run.state() for run in all_runs(made.root)} == states
    assert go("clean", "--yes")[1].startswith("nothing that is safe to delete")


def test_commands_load_nothing_heavy():
    rooms = ("keep", "cleaning", "transfer", "carrying")
    assert not modules_after(f"import {', '.join(f'jobs.keeping.{name}' for name in rooms)}") & HEAVY


def test_clean_offers_runs_that_failed_with_nothing_saved_and_runs_that_never_began(
    go, make, slurm, tmp_path
):
    done = make()
    failed, kept, new, young = (
        RunFolder.at(done.root, name, 1, f"0000000{n}") for n, name in enumerate("abcd")
    )
    for run in (failed, kept, new, young):
        run.create({"name": run.name})
    failed.fail("KeyError: 'labels'\n")
    kept.fail("KeyError: 'labels'\n")
    write(kept.checkpoints / "step-00000002" / "bridge.safetensors", b"w")
    os.utime(new.path, (time.time() - 3600,) * 2)
    printed = go("clean", "--yes")[1]
    assert "failed runs" in printed
    assert "runs that never began" in printed
    assert [run.path.exists() for run in (failed, kept, new, young, done)] == [False, True, False, True, True]


def test_clean_leaves_what_is_queued_what_a_grid_wants_and_what_another_run_starts_from(go, make, slurm):
    done = make()
    queued, wanted, parent, child = (
        RunFolder.at(done.root, name, 1 + (name == "d"), f"0000000{n}") for n, name in enumerate("abcd")
    )
    for run in (queued, wanted, parent):
        run.create({"name": run.name})
        run.fail("KeyError: 'labels'\n")
    submitted("7").write(queued.submission)
    child.create({"name": "d"})
    write(child.checkpoints / "step-00000002" / "bridge.safetensors", b"w")
    replace(submitted("8"), told={"parent": str(parent.bridge)}).write(child.submission)
    grid = GridFolder(done.root, "g")
    grid.create()
    listed = grid.write_list({"cells": [{"job": "train", "run": str(wanted.path), "needs": []}], "runs": {}})
    grid.wanted.write_text(json.dumps({"name": "g", "points": [], "list": listed.name}))
    slurm.set("queue", row("7") + "\n")
    go("clean", "--yes")
    assert all(run.path.exists() for run in (queued, wanted, parent, child))
