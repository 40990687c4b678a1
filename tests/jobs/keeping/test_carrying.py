"""Exporting and importing runs and grids; what is trained is only made to look so."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile

from cluster.files import read_jsonl
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from cluster.storage.unpack import Archive
from jobs.cell.cell import Worklist
from jobs.recipe.plan import load_recipe, plan_run
from tests.cluster.slurm.test_submission import row, submitted
from tests.jobs.finished import ROOT, go, make, make_grid, recipe, surroundings, tree, write  # noqa: F401


def carry(go, run, tmp_path, *words):
    """Export a run and import it below `there`."""
    status, printed = go("export", run.path.name, "--to", "a.tar", *words)
    assert status == 0, printed
    status, printed = go("import", "a.tar", "--runs", "there")
    assert status == 0, printed
    return RunFolder(tmp_path / "there" / run.path.name)


def test_run_comes_out_as_it_went_in(go, make, tmp_path):
    run, parent = make(), make(1)
    status, printed = go("export", run.path.name)
    assert status == 0
    assert printed.startswith(f"exported: {tmp_path}/{run.path.name}.tar, 11 files, ")
    assert f"starts from {parent.path.name}, which is not needed for it" in printed
    assert f"must be there too where it is imported:\n    {tmp_path}/home/encoder\n" in printed
    status, printed = go("import", f"{run.path.name}.tar", "--runs", "there")
    assert status == 0
    assert printed == (
        f"imported: {tmp_path}/there/{run.path.name}\n"
        f"  {run.path.name} starts from {parent.path.name}, which is not here, and not needed\n"
        f"  not here, and named by the config of {run.path.name}: {tmp_path}/home/encoder\n"
    )
    taken = RunFolder(tmp_path / "there" / run.path.name)
    ours, theirs = tree(run.path), tree(taken.path)
    assert ours.keys() - theirs.keys() == {
        "slurm/7_0_log.out", "checkpoints/step-00000002/bridge.safetensors",
    }  # fmt: skip
    assert [name for name in theirs if theirs[name] != ours[name]] == ["events.jsonl"]
    assert [event["event"] for event in read_jsonl(taken.events)] == ["started", "finished", "imported"]
    assert read_jsonl(taken.events)[-1]["parent"] == parent.signature
    assert taken.state() == "done"
    assert sorted(os.listdir(tmp_path / "there")) == [run.path.name]


def test_archive_names_no_home_outside_the_config_and_is_the_same_twice(go, make, tmp_path):
    run = make()
    make(1)
    for name in ("a.tar", "b.tar"):
        assert go("export", run.path.name, "--to", name)[0] == 0
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open("a.tar") as tar:
        naming = [m.name for m in tar if str(tmp_path).encode() in tar.extractfile(m).read()]
    assert naming == [f"{run.path.name}/config.yaml"]
    assert go("export", run.path.name, "--to", "a.tar") == (
        2, f"error: {tmp_path}/a.tar exists: name another file with --to, or remove it first\n",
    )  # fmt: skip


def test_imported_run_can_be_exported_again_without_its_parent(go, make, tmp_path):
    run = make()
    make(1)
    carry(go, run, tmp_path)
    assert go("export", run.path.name, "--runs", "there", "--to", "again.tar")[0] == 0
    assert go("import", "again.tar", "--runs", "third")[0] == 0
    theirs = {name: data for name, data in tree(tmp_path / "third").items() if "events" not in name}
    assert theirs == {name: data for name, data in tree(tmp_path / "there").items() if "events" not in name}


def test_imported_stage_1_is_the_parent_of_stage_2(go, make, recipe, tmp_path):
    parent = make(1)
    carry(go, parent, tmp_path)
    plan = plan_run(load_recipe(str(recipe)), 2, [], tmp_path / "there")
    assert plan.parent.path == tmp_path / "there" / parent.path.name
    assert plan.parent.done.exists()
    assert (plan.weights / "bridge.safetensors").read_bytes() == bytes(range(256)) * 4


def test_stage_2_whose_parent_nobody_knows_is_not_exported(go, make):
    run = make()
    status, printed = go("export", run.path.name)
    assert status == 2
    assert "or the run that it starts from is not known here; export it with the code that made it" in printed


def test_parent_that_was_moved_aside_is_still_known(go, make, tmp_path):
    run, parent = make(), make(1)
    parent.move_aside()
    assert carry(go, run, tmp_path).state() == "done"


def test_run_that_is_not_done_goes_with_checkpoints_only(go, make, tmp_path):
    run = make(1, done=False)
    status, printed = go("export", run.path.name)
    assert status == 2
    assert "is not done (interrupted): with --checkpoints it can be trained on elsewhere" in printed
    run.fail("broken: /home/me/x")
    taken = carry(go, run, tmp_path, "--checkpoints")
    assert taken.state() == "interrupted"
    assert (taken.checkpoints / "step-00000002" / "bridge.safetensors").read_bytes() == b"w" * 300


def test_run_that_never_came_to_a_checkpoint_is_told(go, make):
    run = make(1, done=False)
    for checkpoint in run.checkpoints.glob("step-*"):
        shutil.rmtree(checkpoint)
    (run.checkpoints / "backbones.json").write_text("{}")
    status, printed = go("export", run.path.name, "--checkpoints")
    assert status == 2
    assert "is not done, and has no checkpoint yet" in printed


def test_start_on_another_machine_is_accounted_for(go, make, tmp_path, slurm):
    from cluster.job.lifecycle import settle

    run = make(1, done=False)
    taken = carry(go, run, tmp_path, "--checkpoints")
    slurm.set("asked")
    assert settle(taken) is None
    assert slurm.lines("asked") == []  # nobody was asked about a job of another cluster


def test_run_at_work_or_in_the_queue_is_not_exported(go, make, slurm):
    run = make(1, done=False)
    with run.lease():
        assert "is being worked on by process" in go("export", run.path.name, "--checkpoints")[1]
    submitted("7").write(run.submission)
    slurm.set("queue", row("7", "PENDING") + "\n")
    assert "is in the queue, or may be: take it out" in go("export", run.path.name, "--checkpoints")[1]
    slurm.set("silent")
    assert "may be (squeue does not answer" in go("export", run.path.name, "--checkpoints")[1]
    run.submission.unlink()
    assert go("export", run.path.name, "--checkpoints")[0] == 0


def test_run_whose_evaluation_is_at_work_is_not_exported(go, make):
    run = make(1)
    with run.cell("mgsm", "sw", 0).lease():
        assert "cell mgsm/sw-0 of run" in go("export", run.path.name)[1]
    (run.bridge / "bridge.safetensors").unlink()
    (run.bridge / "bridge.json").unlink()
    run.bridge.rmdir()
    assert "is done, but its bridge is gone" in go("export", run.path.name)[1]


def test_what_is_there_already_is_told_apart(go, make, tmp_path):
    run = make(1)
    taken = carry(go, run, tmp_path)
    before = tree(tmp_path / "there")
    status, printed = go("import", "a.tar", "--runs", "there")
    assert status == 2
    assert "is there already, and it is the same run, file for file: nothing to do" in printed
    write(taken.bridge / "bridge.json", b"{ }")
    status, printed = go("import", "a.tar", "--runs", "there")
    assert status == 2
    assert "but 1 of 11 files differ, " in printed
    assert "bridge/bridge.json first; import elsewhere with --runs FOLDER" in printed
    assert {**tree(tmp_path / "there"), f"{run.path.name}/bridge/bridge.json": b"{}"} == before


def test_grid_goes_with_its_runs_and_all_paths_are_those_of_its_new_place(go, make, tmp_path, monkeypatch):
    run, parent = make(), make(1)
    grid = make_grid(run, parent)
    make(1, "seed=9")
    status, printed = go("export", "g")
    assert status == 0
    assert printed.startswith(f"exported: {tmp_path}/g.tar, 24 files")
    monkeypatch.setenv("LAYALIGN_DATA", str(tmp_path / "data"))
    status, printed = go("import", "g.tar", "--runs", "there")
    assert status == 0
    assert printed.count("imported: ") == 3
    taken = GridFolder(tmp_path / "there", "g")
    listed = Worklist.read(taken.path / taken.read_wanted()["list"])
    assert all(cell.done() and cell.ready() for cell in listed.cells)
    assert listed.runs[str(tmp_path / "there" / run.path.name)]["data"] == str(tmp_path / "data")
    assert "there is a grid" in go("import", "g.tar", "--runs", "there")[1]
    assert str(grid.root) not in json.dumps(taken.read_wanted())


def test_grid_goes_without_the_runs_that_are_not_done(go, make, tmp_path):
    run, parent = make(done=False), make(1)
    make_grid(run, parent)
    status, printed = go("export", "g")
    assert status == 0
    assert f"left out: run {run.path.name} is not done (interrupted)" in printed
    assert go("import", "g.tar", "--runs", "there")[0] == 0
    assert [path.name for path in (tmp_path / "there").glob("*-s*")] == [parent.path.name]
    with parent.lease():
        assert go("export", "g", "--to", "b.tar")[0] == 2


def test_grid_whose_import_was_stopped_halfway_goes_on(go, make, tmp_path):
    run, parent = make(), make(1)
    make_grid(run, parent)
    go("export", "g")
    go("export", parent.path.name, "--to", "parent.tar")
    go("import", "parent.tar", "--runs", "there")
    status, printed = go("import", "g.tar", "--runs", "there")
    assert status == 0
    assert f"already there, the same: {tmp_path}/there/{parent.path.name}" in printed
    assert RunFolder(tmp_path / "there" / run.path.name).state() == "done"


def test_killed_import_leaves_a_draft_that_the_next_one_removes(go, make, tmp_path):
    run = make(1)
    go("export", run.path.name, "--to", "a.tar")
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "import cluster.storage.unpack, jobs.keeping.transfer, launch\n"
        "jobs.keeping.transfer.check = lambda run, told: os.kill(os.getpid(), signal.SIGKILL)\n"
        "launch.main(['import', 'a.tar', '--runs', 'there'])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(ROOT)], cwd=tmp_path, check=False)
    assert ran.returncode == -signal.SIGKILL
    (draft,) = os.listdir(tmp_path / "there")
    assert draft.startswith(".import-")
    assert go("status", "--runs", "there")[0] == 0
    assert go("import", "a.tar", "--runs", "there")[0] == 0
    assert not list((tmp_path / "there").glob(".import-*"))
    assert RunFolder(tmp_path / "there" / run.path.name).state() == "done"


def test_import_on_a_full_disk_leaves_nothing(go, make, tmp_path):
    run = make(1)
    go("export", run.path.name, "--to", "a.tar")
    command = [sys.executable, ROOT / "launch.py", "import", "a.tar", "--runs", "there"]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (800, 800)),
    )
    assert ran.returncode == 2
    assert "File too large; nothing was imported" in ran.stderr
    assert os.listdir(tmp_path / "there") == []


def test_export_asks_slurm_once_for_any_number_of_runs(go, make, slurm):
    make_grid(make(), make(1))
    assert go("export", "g")[0] == 0
    assert len(slurm.lines("asked")) == 1


def test_names_that_are_none_are_told_with_what_is_near(go, make, tmp_path):
    make_grid(make(), make(1), "ablations")
    told = f"there is no run or grid 'ablatins' below {tmp_path}/runs; did you mean the grid ablations?"
    for command in ("export", "clean", "cancel", "retry", "results", "efficiency"):
        assert told in go(command, "ablatins")[1]
    assert told in go("keep", "ablatins", "--to", "kept")[1]
    assert "there is no folder" in go("export", "ablations", "--to", "none/a.tar")[1]


def test_run_folder_comes_before_a_grid_of_its_name_and_a_grid_before_runs_of_one_name(go, make, tmp_path):
    run, parent = make(), make(1)
    make_grid(run, parent, run.path.name)
    make_grid(run, parent, "tiny-layalign")
    go("export", run.path.name, "--to", "run.tar")
    go("export", "tiny-layalign", "--to", "grid.tar")
    kinds = [Archive(tmp_path / name).manifest.about["kind"] for name in ("run.tar", "grid.tar")]
    assert kinds == ["run", "grid"]
