"""Keeping runs where nothing is purged; what is trained is only made to look so."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

from pathlib import Path

from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from tests.jobs.finished import answer, go, make, make_grid, recipe, surroundings, tree, write  # noqa: F401


def test_keep_makes_runs_that_can_be_read_and_copies_nothing_twice(go, make, tmp_path, monkeypatch):
    run, parent, half = make(), make(1), make(1, "seed=9", done=False)
    status, printed = go("keep", "--to", tmp_path / "kept")
    assert status == 0
    assert "copied and read back: 22 files" in printed
    assert f"results --runs {tmp_path / 'kept'}" in printed
    kept = RunFolder(tmp_path / "kept" / run.path.name)
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
