"""Cleaning, keeping and carrying runs; what is trained is only made to look so."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import yaml

import launch
from cluster.archive import write_archive
from cluster.files import read_jsonl, write_json_atomic
from cluster.grids import GridFolder
from cluster.parcel import Archive
from cluster.runs import all_runs, find_run
from jobs.cells import Cell, Worklist
from jobs.plan import load_recipe, plan_run
from tests.cluster.test_glance import row, submitted
from tests.jobs.synthetic import make_runs
from tests.test_layers import HEAVY, modules_after

ROOT = Path(__file__).resolve().parents[2]
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch, slurm):
    for name in (
        "LAYALIGN_RUNS",
        "LAYALIGN_DATA",
        "CC_CLUSTER",
        "SBATCH_ACCOUNT",
        "LAYALIGN_PROFILES",
        "SLURM_CONF",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.update(HOME=str(tmp_path / "home"), SCRATCH=str(tmp_path / "home" / "scratch"), USER="me")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def go(capsys):
    """Run a command; gives its status and what it printed."""

    def go(*words):
        status = launch.main([str(word) for word in words])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


@pytest.fixture
def recipe(tmp_path):
    data = {"reader": "jsonl", "path": "pairs.jsonl", "languages": ["sw"], "max_source": 8, "max_target": 8}
    values = {
        "name": "tiny",
        "model": {"encoder": str(tmp_path / "home" / "encoder"), "decoder": "org/decoder"},
        "data": data,
        "training": {"lr": 1e-3},
        "stages": {2: {"training": {"lr": 2e-3}}},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def make(recipe, tmp_path):
    """A run of a stage as its training, and an evaluation, leave it."""

    def make(stage=2, *overrides, done=True, root=tmp_path / "runs", name=None):
        plan = plan_run(load_recipe(str(recipe)), stage, list(overrides), root, name)
        run = plan.run
        run.create(plan.config.to_dict())
        run.start(kind="train")
        run.event("started", job="7", log=str(run.slurm / "7_0_log.out"), log_from=0, restart=0, nodes="n1")
        run.log_metrics({"step": 1, "loss": 2.5})
        write(run.checkpoints / "step-00000002" / "bridge.safetensors", b"w" * 300)
        write(run.slurm / "7_0_log.out", b"log")
        if done:
            write(run.bridge / "bridge.safetensors", bytes(range(256)) * 4)
            write(run.bridge / "bridge.json", b"{}")
            run.finish(step=2)
            answer(run)
        return run

    return make


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def answer(run):
    cell = run.cell("mgsm", "sw", 0)
    write(cell.answers, b'{"id": "mgsm-sw-0000"}\n')
    cell.finish(items=1, max_new_tokens=8, seconds=1.0)
    write(run.results / "mgsm" / "table.json", b"{}")


def make_grid(run, parent, name="g"):
    """A grid of one point with a shared stage 1."""
    grid = GridFolder(run.root, name)
    grid.create()
    cells = (
        Cell(job="train", run=str(parent.path)),
        Cell(job="train", run=str(run.path), needs=(str(parent.path),)),
    )
    told = {str(one.path): {"run": str(one.path), "data": "/home/me/data"} for one in (run, parent)}
    points = [{"label": "a", "runs": {"1": str(parent.path), "2": str(run.path)}, "evaluated": str(run.path)}]
    listed = grid.write_list(Worklist(cells=cells, runs=told).to_dict())
    write_json_atomic(grid.wanted, {"name": name, "points": points, "list": listed.name})
    return grid


def tree(folder):
    """Content by path of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


# ---- clean


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
    began = resource.getrusage(resource.RUSAGE_SELF)
    status, _ = go("clean", "--yes")
    spent = resource.getrusage(resource.RUSAGE_SELF)
    assert status == 0
    assert spent.ru_utime + spent.ru_stime - began.ru_utime - began.ru_stime < 10
    assert len(slurm.lines("asked")) == 1
    gone = {Path(name) for name in before.keys() - tree(made.root).keys()}
    touched = {made.root / path.parts[0] for path in gone if "checkpoints" in path.parts}
    assert touched
    assert {states[path] for path in touched} == {"done"}
    assert {path.suffix for path in gone if "checkpoints" not in path.parts} == {".tmp"}
    assert {states[made.root / path.parts[0]] for path in gone} == {"done", "failed"}
    assert {run.path: run.state() for run in all_runs(made.root)} == states
    assert go("clean", "--yes")[1].startswith("nothing that is safe to delete")


# ---- keep


def test_keep_makes_runs_that_can_be_read_and_copies_nothing_twice(go, make, tmp_path, monkeypatch):
    run, parent, half = make(), make(1), make(1, "seed=9", done=False)
    status, printed = go("keep", "--to", tmp_path / "kept")
    assert status == 0
    assert "copied and read back: 22 files" in printed
    assert f"results --runs {tmp_path / 'kept'}" in printed
    kept = find_run(tmp_path / "kept", run.path.name)
    assert kept.state() == "done"
    assert kept.read_config() == run.read_config()
    assert not (tmp_path / "kept" / half.path.name).exists()
    before = {path: path.stat().st_ino for path in (tmp_path / "kept").rglob("*")}
    original = {
        name: data
        for name, data in tree(run.path).items()
        if "checkpoints" not in name and "slurm" not in name
    }
    assert tree(kept.path) == original
    assert (
        "copied and read back: 0 files, 0 B; unchanged: 22 files" in go("keep", "--to", tmp_path / "kept")[1]
    )
    assert {path: path.stat().st_ino for path in (tmp_path / "kept").rglob("*")} == before
    write(run.results / "mgsm" / "table.json", b'{"new": 1}')
    assert "copied and read back: 1 file, 10 B; unchanged: 21 files" in go("keep", "--to", "kept")[1]
    assert (kept.results / "mgsm" / "table.json").read_bytes() == b'{"new": 1}'
    assert parent.checkpoints.exists()


def test_keep_of_a_grid_takes_its_runs_and_knows_their_new_place(go, make, tmp_path):
    grid = make_grid(make(), make(1))
    make(1, "seed=9")
    assert go("keep", "g", "--to", "kept")[0] == 0
    kept = GridFolder(tmp_path / "kept", "g")
    point = kept.read_wanted()["points"][0]
    assert point["evaluated"] == str(
        tmp_path / "kept" / Path(grid.read_wanted()["points"][0]["evaluated"]).name
    )
    assert {Path(path).is_dir() for path in point["runs"].values()} == {True}
    assert len(list((tmp_path / "kept").glob("*-s[12]-*"))) == 2
    assert "copied and read back: 0 files" in go("keep", "g", "--to", "kept")[1]


def test_keep_goes_to_the_project_storage_of_the_account(go, make, tmp_path, monkeypatch):
    run = make()
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    assert "whose project storage? give -o cluster.account=NAME" in go("keep", "--cluster", "narval")[1]
    words = ("keep", "--cluster", "narval", "-o", "cluster.account=def-prof")
    status, printed = go(*words)
    assert status == 2
    assert f"there is no project storage {tmp_path}/home/projects/def-prof here" in printed
    (tmp_path / "home/projects/def-prof").mkdir(parents=True)
    assert go(*words)[0] == 0
    assert (tmp_path / "home/projects/def-prof/layalign/me" / run.path.name / "DONE").exists()


def test_keep_without_project_storage_says_what_to_give(go, make):
    make()
    status, printed = go("keep", "--cluster", "local")
    assert status == 2
    assert printed == "error: local has no project storage: say where to keep runs with --to FOLDER\n"
    assert "lies in the folder of all runs" in go("keep", "--to", "runs/kept")[1]


def test_keep_refuses_what_the_quota_does_not_hold(go, make, slurm, tmp_path):
    make()
    report = slurm.folder / "diskusage_report"
    report.write_text(f"#!/bin/sh\necho '  {tmp_path} (user me)   1GiB/ 9GiB   490K/ 490K'\n")
    report.chmod(0o755)
    status, printed = go("keep", "--to", "kept")
    assert status == 2
    assert "has 0 left: remove some, or choose another place with --to" in printed
    assert not (tmp_path / "kept").exists()


def test_keep_tells_of_each_that_cannot_be_kept_and_keeps_the_others(go, make, tmp_path):
    run, parent, half = make(), make(1), make(1, "seed=9", done=False)
    (run.bridge / "bridge.safetensors").unlink()
    status, printed = go("keep", "--to", "kept")
    assert status == 1
    assert f"error: run {run.path.name} is not kept: it is done, but its bridge is gone" in printed
    assert (tmp_path / "kept" / parent.path.name / "DONE").exists()
    status, printed = go("keep", half.path.name, "--to", "kept")
    assert status == 1
    assert "is not kept: it is not done (interrupted)" in printed
    (parent.bridge / "link").symlink_to("bridge.json")
    assert "bridge/link is a link" in go("keep", parent.path.name, "--to", "kept")[1]


def test_keep_takes_answers_of_the_bare_llm(go, make, tmp_path):
    run = make(2, "model.method=llm", done=False)
    assert "0 runs and grids" in go("keep", "--to", "kept")[1]
    answer(run)
    assert go("keep", "--to", "kept")[0] == 0
    assert (tmp_path / "kept" / run.path.name / "results/mgsm/table.json").exists()


# ---- export and import


def carry(go, run, tmp_path, *words):
    """Export a run and import it below `there`."""
    status, printed = go("export", run.path.name, "--to", "a.tar", *words)
    assert status == 0, printed
    status, printed = go("import", "a.tar", "--runs", "there")
    assert status == 0, printed
    return find_run(tmp_path / "there", run.path.name)


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
    taken = find_run(tmp_path / "there", run.path.name)
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


def test_start_on_another_machine_is_accounted_for(go, make, tmp_path, slurm):
    from cluster.life import settle

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
    assert find_run(tmp_path / "there", run.path.name).state() == "done"


def forged(go, run, tmp_path, change=lambda files: files, **told):
    """An archive of a run with files and a manifest that were changed by somebody who knows how."""
    go("export", run.path.name, "--to", "honest.tar")
    archive = Archive(tmp_path / "honest.tar")
    (tmp_path / "files").mkdir()
    archive.unpack(tmp_path / "files", [], lambda size: None)
    about = json.loads(json.dumps(archive.manifest.about))
    about["runs"][0].update(told)
    files = {entry.path: (tmp_path / "files" / entry.path).read_bytes() for entry in archive.manifest.files}
    write_archive(tmp_path / "forged.tar", about, change(files), lambda size: None)
    status, printed = go("import", "forged.tar", "--runs", "there")
    assert status == 2
    assert not (tmp_path / "there").exists() or os.listdir(tmp_path / "there") == []
    return printed


def test_config_that_was_changed_does_not_have_the_signature(go, make, tmp_path):
    run = make(1)

    def change(files):
        name = f"{run.path.name}/config.yaml"
        return {**files, name: files[name].replace(b"lr: 0.001", b"lr: 0.002")}

    printed = forged(go, run, tmp_path, change)
    assert "its config has the signature " in printed
    assert f"here, not {run.signature}; import it with the code of commit" in printed


def test_parent_that_is_not_its_own_does_not_give_the_signature(go, make, tmp_path):
    run = make()
    make(1)
    assert "its config has the signature" in forged(go, run, tmp_path, parent="0" * 8)


def test_run_without_the_parent_of_its_stage_is_refused(go, make, tmp_path):
    run = make()
    make(1)
    assert "its config is of another stage than its name tells" in forged(go, run, tmp_path, parent=None)


@pytest.mark.parametrize(
    "path",
    ["submission.json", "slurm/x.sh", "lease/1.json", "results/mgsm/sw-0/lease/1.json", "bridge", "x.py"],
)
def test_file_that_export_never_writes_is_refused(go, make, tmp_path, path):
    run = make(1)
    printed = forged(go, run, tmp_path, lambda files: {f"{run.path.name}/{path}": b"{}", **files})
    assert f"'{run.path.name}/{path}' in it is no file that export writes" in printed


def test_file_of_another_run_is_refused(go, make, tmp_path):
    run = make(1)
    printed = forged(go, run, tmp_path, lambda files: {**files, "b-s1-00000001/config.yaml": b""})
    assert "'b-s1-00000001/config.yaml' in it is no file that export writes" in printed


@pytest.mark.parametrize(
    "told",
    [
        {"folder": "../a-s1-00000001"}, {"folder": "/a-s1-00000001"}, {"folder": "a"}, {"folder": 7}, {"parent": "x"},
        {"parent": 7}, {"signature": "00000000"}, {"more": 1}, {"folder": ".a-s1-00000001", "signature": "00000001"},
    ],
)  # fmt: skip
def test_manifest_that_tells_of_no_run_is_refused(go, make, tmp_path, told):
    assert "is not imported: its manifest tells of no run or grid" in forged(go, make(1), tmp_path, **told)


def test_run_without_its_bridge_or_config_is_refused(go, make, tmp_path):
    run = make(1)
    without = {f"{run.path.name}/bridge/bridge.safetensors"}
    printed = forged(go, run, tmp_path, lambda files: {name: files[name] for name in files.keys() - without})
    assert "it is said to be done, and its bridge is not there" in printed


def test_config_of_another_version_is_told_from_a_damaged_one(go, make, tmp_path):
    run = make(1)
    name = f"{run.path.name}/config.yaml"
    printed = forged(go, run, tmp_path, lambda files: {**files, name: files[name] + b"later: 1\n"})
    assert "unknown key later" in printed
    assert "import it with the code of commit" in printed


def test_config_is_never_more_than_data(go, make, tmp_path):
    run = make(1)
    evil = b"!!python/object/apply:os.system ['touch hacked']\n"
    printed = forged(go, run, tmp_path, lambda files: {**files, f"{run.path.name}/config.yaml": evil})
    assert "holds no config" in printed
    assert not (tmp_path / "hacked").exists()


def test_killed_import_leaves_a_draft_that_the_next_one_removes(go, make, tmp_path):
    run = make(1)
    go("export", run.path.name, "--to", "a.tar")
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "import cluster.parcel, jobs.keeping, launch\n"
        "jobs.keeping.check = lambda run, told: os.kill(os.getpid(), signal.SIGKILL)\n"
        "launch.main(['import', 'a.tar', '--runs', 'there'])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(ROOT)], cwd=tmp_path, check=False)
    assert ran.returncode == -signal.SIGKILL
    (draft,) = os.listdir(tmp_path / "there")
    assert draft.startswith(".import-")
    assert go("status", "--runs", "there")[0] == 0
    assert go("import", "a.tar", "--runs", "there")[0] == 0
    assert not list((tmp_path / "there").glob(".import-*"))
    assert find_run(tmp_path / "there", run.path.name).state() == "done"


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


def test_names_that_are_none_are_told_with_what_is_near(go, make):
    make_grid(make(), make(1), "ablations")
    assert "there is no run 'ablatins'" in go("export", "ablatins")[1]
    assert "or the grid ablations" in go("clean", "ablatins")[1]
    assert "there is no folder" in go("export", "ablations", "--to", "none/a.tar")[1]


def test_run_folder_comes_before_a_grid_of_its_name_and_a_grid_before_runs_of_one_name(go, make, tmp_path):
    run, parent = make(), make(1)
    make_grid(run, parent, run.path.name)
    make_grid(run, parent, "tiny-layalign")
    go("export", run.path.name, "--to", "run.tar")
    go("export", "tiny-layalign", "--to", "grid.tar")
    kinds = [Archive(tmp_path / name).manifest.about["kind"] for name in ("run.tar", "grid.tar")]
    assert kinds == ["run", "grid"]


def test_commands_load_nothing_heavy():
    assert not modules_after("import jobs.keeping, jobs.meter, jobs.named, jobs.carrying") & HEAVY
