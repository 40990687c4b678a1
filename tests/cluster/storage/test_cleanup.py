"""What is offered for deletion, and above all what is not."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.files import DamagedFile
from cluster.run.grid_folder import GridFolder, all_grids
from cluster.run.lease import this_process
from cluster.run.run_folder import RunFolder, all_runs
from cluster.run.snapshot import code_folder
from cluster.slurm.queue import Look
from cluster.slurm.queued_job import QueuedJob
from cluster.storage.cleanup import inits_of, removable_of_grid, removable_of_root, removable_of_run, remove
from tests.cluster.slurm.test_submission import row, submitted

DAY = 24 * 3600
TREE, OTHER = "a" * 16, "b" * 16


def write(path, text="x", age=0.0):
    """A file, written `age` days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    old(path, age)
    return path


def old(path, days):
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


@pytest.fixture
def make(tmp_path):
    """A run with everything that one may have."""

    def make(name="a", signature="00000001", done=True, root=tmp_path / "runs", init="previous"):
        run, holder = RunFolder.at(root, name, 1, signature), replace(this_process(), released=True)
        run.create({"name": name, "training": {"init": init}})
        run.start()
        run.event("started")
        run.log_metrics({"step": 1})
        write(run.checkpoints / "step-00000002" / "bridge.safetensors", "w" * 500)
        write(run.slurm / "7_0_log.out", "log", 90)
        write(run.path / ".0123456789ab.tmp", "torn", 2)
        for number in (1, 2, 3):
            write(run.leases / f"{number:06d}.json", json.dumps(asdict(holder)), 2)
        cell = run.cell("mgsm", "sw", 0)
        write(cell.answers, "{}\n")
        write(cell.path / ".0123456789ab.tmp", "torn", 2)
        if done:
            write(run.bridge / "bridge.safetensors", "w" * 100)
            run.finish(step=2)
        return run

    return make


def found(root, look=None):
    """The paths that are offered below `root`, each with its kind."""
    runs, grids = all_runs(root), all_grids(root)
    look, inits = look or Look(time=time.time()), inits_of(runs)
    removable = [one for run in runs for one in removable_of_run(run, look, inits)]
    removable += [one for grid in grids for one in removable_of_grid(grid)]
    removable += removable_of_root(root, runs, grids, look)
    return {one.path.relative_to(root).as_posix(): one.what for one in removable}


def tree(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_of_a_done_run_checkpoints_and_what_crashes_left_go_and_the_rest_stays(make):
    run = make()
    before = tree(run.path)
    write(run.path / ".fedcba987654.tmp", "being written")
    old(write(run.path / ".bridge-123" / "w").parent, 2)
    removable = list(removable_of_run(run, Look(time=time.time()), frozenset()))
    assert {one.path.relative_to(run.path).as_posix(): (one.what, one.files) for one in removable} == {
        "checkpoints": ("checkpoints", 3),
        ".bridge-123": ("unfinished files", 2),
        ".0123456789ab.tmp": ("unfinished files", 1),
        "results/mgsm/sw-0/.0123456789ab.tmp": ("unfinished files", 1),
        "lease/000001.json": ("former leases", 1),
        "lease/000002.json": ("former leases", 1),
    }
    assert removable[0].bytes == 500
    for one in removable:
        remove(one)
    gone = {name for name in before if name.startswith("checkpoints") or name.endswith(".tmp")}
    assert tree(run.path) == before - gone - {"lease/000001.json", "lease/000002.json"} | {
        ".fedcba987654.tmp"
    }
    assert run.state() == "done"
    assert list(removable_of_run(run, Look(time=time.time()), frozenset())) == []


def test_of_a_failed_run_the_checkpoints_stay(make):
    run = make(done=False)
    run.fail("broken")
    assert set(found(run.root).values()) == {"unfinished files", "former leases"}


@pytest.mark.parametrize("record", [True, False])
def test_of_a_run_that_is_new_interrupted_or_queued_nothing_goes(make, record):
    new = RunFolder.at(make(done=False).root, "b", 1, "00000002")
    new.create({})
    write(new.path / ".0123456789ab.tmp", age=2)
    run = make("c", "00000003")
    submitted("7").write(run.submission)
    assert "c-s1-00000003/checkpoints" in found(run.root)
    rows = Look((queued("7"),), time.time()) if record else Look(fault="silent")
    assert found(run.root, rows) == {}


def queued(job, state="PENDING"):
    return QueuedJob(*row(job, state).split("\t"))


def test_of_a_run_that_somebody_works_on_nothing_goes(make):
    run = make(done=False)
    with run.lease():
        assert found(run.root) == {}
    run.finish()
    write(run.bridge / "bridge.safetensors")
    with run.lease():  # its evaluation
        assert found(run.root) == {}
    assert "a-s1-00000001/checkpoints" in found(run.root)


def test_checkpoints_stay_where_the_bridge_is_gone_or_empty(make):
    run = make()
    write(run.bridge / "bridge.safetensors", "")
    assert "checkpoints" not in found(run.root).values()
    (run.bridge / "bridge.safetensors").unlink()
    assert "checkpoints" not in found(run.root).values()


def test_checkpoint_that_another_run_starts_from_stays(make, tmp_path):
    run = make()
    start = run.checkpoints / "step-00000002"
    (tmp_path / "by another name").symlink_to(run.root)
    make("b", "00000002", init=str(tmp_path / "by another name" / start.relative_to(run.root)))
    kinds = found(run.root)
    assert "a-s1-00000001/checkpoints" not in kinds
    assert "b-s1-00000002/checkpoints" in kinds


def test_checkpoints_that_are_a_link_stay(make, tmp_path):
    run = make()
    run.checkpoints.rename(tmp_path / "elsewhere")
    run.checkpoints.symlink_to(tmp_path / "elsewhere")
    assert "checkpoints" not in found(run.root).values()
    assert (tmp_path / "elsewhere" / "step-00000002").is_dir()


def test_code_goes_that_no_job_in_the_queue_runs(make):
    run = make()
    code = code_folder(run.root)
    for tree_ in (TREE, OTHER):
        write(code / f"{tree_}.tar", age=2)
        old(write(code / f"code-{tree_}" / "launch.py").parent, 2)
    old(write(code / f"code-{OTHER}.node1" / "launch.py").parent, 2)
    write(code / "cccccccccccccccc.tar")
    old(write(code / "code-cccccccccccccccc" / "launch.py").parent, 2)
    submitted("7", tree=TREE).write(run.submission)

    def offered(look):
        return {Path(path).name for path, kind in found(run.root, look).items() if kind == "code"}

    others = {f"{OTHER}.tar", f"code-{OTHER}", f"code-{OTHER}.node1"}
    assert offered(Look((queued("7"),), time.time())) == others
    assert offered(Look(fault="silent")) == others
    assert offered(Look(time=time.time())) == others | {f"{TREE}.tar", f"code-{TREE}"}
    grid = GridFolder(run.root, "g")
    grid.create()
    submitted("9", "/r/g.sh", tree=OTHER, cells="cells-1.json").write(grid.new_record())
    slot = QueuedJob(*row("9", "PENDING", "/r/g.sh").split("\t"))
    assert offered(Look((slot,), time.time())) == {f"{TREE}.tar", f"code-{TREE}"}


def test_work_lists_go_that_neither_plan_nor_submission_names(make):
    grid = GridFolder(make().root, "g")
    grid.create()
    lists = [old(grid.write_list({"cells": [], "runs": {}, "n": n}), 2) for n in range(4)]
    young = grid.write_list({"cells": [], "runs": {}})
    submitted("7", cells=lists[0].name).write(grid.new_record())
    write(grid.wanted, f'{{"list": "{lists[1].name}"}}')
    write(grid.path / ".0123456789ab.tmp", age=2)
    offered = {one.path.name: one.what for one in removable_of_grid(grid)}
    assert offered == {
        lists[2].name: "work lists", lists[3].name: "work lists", ".0123456789ab.tmp": "unfinished files",
    }  # fmt: skip
    assert young.name not in offered


def test_run_moved_aside_goes_when_what_took_its_place_has_come_as_far(make):
    first = make()
    aside = first.move_aside()
    long_ago = aside.rename(aside.with_name(f"{first.path.name}.replaced-20250101-000000"))
    assert "replaced runs" not in found(first.root).values()  # its place is empty
    make(done=False)
    assert "replaced runs" not in found(first.root).values()  # the new one is not done
    new = make()
    assert found(first.root)[long_ago.name] == "replaced runs"
    today = new.move_aside()
    make()
    assert today.name not in found(first.root)  # younger than a day


def test_drafts_of_imports_go_when_nobody_is_at_work_there(make):
    root = make().root
    old(write(root / ".import-1" / "content" / "w").parents[1], 2)
    write(root / ".import-2" / "content" / "w")
    write(root / ".gone-1" / "half" / "w")
    offered = found(root)
    assert offered[".import-1"] == offered[".gone-1"] == "unfinished files"
    assert ".import-2" not in offered


def test_deletion_that_was_stopped_is_finished_by_the_next(make, monkeypatch):
    run = make()
    (removable,) = [
        one for one in removable_of_run(run, Look(time=time.time()), frozenset()) if one.what == "checkpoints"
    ]
    monkeypatch.setattr("shutil.rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        remove(removable)
    monkeypatch.undo()
    assert not run.checkpoints.exists()  # gone for everybody else, whole
    (left,) = [
        one
        for one in removable_of_run(run, Look(time=time.time()), frozenset())
        if one.path.name.startswith(".gone-")
    ]
    remove(left)
    assert not list(run.path.glob(".gone-*"))


def test_what_is_gone_already_is_no_error_and_what_cannot_go_is(make, monkeypatch):
    run = make()
    removable = list(removable_of_run(run, Look(time=time.time()), frozenset()))
    for one in (*removable, *removable):
        remove(one)
    run = make("b", "00000002")
    (one, *_) = removable_of_run(run, Look(time=time.time()), frozenset())

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ClusterError, match="checkpoints cannot be deleted: Permission denied"):
        remove(one)


def test_what_killed_writers_left_beside_runs_goes_when_it_is_old(make):
    root = make().root
    for folder in (root, root / ".code", root / "grids"):
        write(folder / ".0123456789ab.tmp", age=2)
        write(folder / ".fedcba987654.tmp")
    offered = found(root)
    assert {name for name, what in offered.items() if what == "unfinished files"} >= {
        *(".0123456789ab.tmp", ".code/.0123456789ab.tmp", "grids/.0123456789ab.tmp"),
    }
    assert not [name for name in offered if "fedcba987654" in name]


@pytest.mark.parametrize("spoilt", ["", "[]", '{"job": 7}'])
def test_nothing_goes_that_a_job_may_need_whose_record_is_damaged(make, spoilt):
    run = make()
    old(write(run.root / ".code" / f"{OTHER}.tar"), 2)
    assert f".code/{OTHER}.tar" in found(run.root)
    run.submission.write_text(spoilt)
    with pytest.raises(DamagedFile):
        list(removable_of_run(run, Look(time=time.time()), frozenset()))
    left = list(removable_of_root(run.root, [run], [], Look(time=time.time())))
    assert not [one for one in left if one.what == "code"]
    run.submission.unlink()
    assert "checkpoints" not in {one.what for one in removable_of_run(run, Look(time=time.time()), None)}
