from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.files import write_json_atomic
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from cluster.storage.portable import anonymous, grid_files, rewrite, run_files, settle_grid


@pytest.fixture
def run(tmp_path):
    run = RunFolder.at(tmp_path / "runs", "ünï", 1, "00000001")
    run.create({"name": "a"})
    run.event("started", log=str(run.slurm / "7_0_log.out"), note=f"in {Path.home()}/x")
    run.log_metrics({"step": 1})
    cell = run.cell("mgsm", "sw", 0)
    for path in (
        run.bridge / "b" / "weights",
        run.bridge / ".hidden",
        run.checkpoints / "step-1" / "weights",
        run.checkpoints / ".draft-step-2" / "weights",
        run.slurm / "7_0_log.out",
        run.submission,
        run.leases / "000001.json",
        run.heartbeat,
        run.trackers / "t",
        cell.answers,
        cell.leases / "000001.json",
        cell.heartbeat,
        run.results / "mgsm" / "table.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    cell.event("started", log=str(run.slurm / "7_0_log.out"))
    run.finish()
    return run


def test_what_is_carried_is_what_means_something_elsewhere_and_done_comes_last(run):
    names = [Path(name).relative_to(run.path.name).as_posix() for name in run_files(run)]
    assert names == [
        "config.yaml", "events.jsonl", "metrics.jsonl", "bridge/b/weights",
        "results/mgsm/table.json", "results/mgsm/sw-0/answers.jsonl", "results/mgsm/sw-0/events.jsonl", "DONE",
    ]  # fmt: skip
    more = {Path(name).relative_to(run.path.name).as_posix() for name in run_files(run, checkpoints=True)}
    assert more - set(names) == {"checkpoints/step-1/weights"}


def test_link_is_never_followed_nor_left_out_in_silence(run, tmp_path):
    (run.bridge / "b" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ClusterError, match=r"link is a link: put in its place what it names \(.*secret\)"):
        run_files(run)


def test_folder_that_lies_elsewhere_is_carried(run, tmp_path):
    run.bridge.rename(tmp_path / "big disk")
    run.bridge.symlink_to(tmp_path / "big disk")
    assert f"{run.path.name}/bridge/b/weights" in run_files(run)


def test_records_name_no_home_and_keep_what_they_tell(run):
    files = anonymous(run, run_files(run))
    events = [json.loads(line) for line in files[f"{run.path.name}/events.jsonl"].splitlines()]
    assert [(event["event"], event.get("log"), event.get("note")) for event in events] == [
        ("started", "slurm/7_0_log.out", "in ~/x"),
        ("finished", None, None),
    ]
    cell = files[f"{run.path.name}/results/mgsm/sw-0/events.jsonl"]
    assert json.loads(cell)["log"] == "slurm/7_0_log.out"
    assert str(run.root) not in "".join(
        content.decode() for content in files.values() if isinstance(content, bytes)
    )
    assert files[f"{run.path.name}/bridge/b/weights"] == run.bridge / "b" / "weights"


def test_cells_of_all_evaluations_are_found(run):
    assert [cell.path.name for cell in run.all_cells()] == ["sw-0"]


def test_every_text_is_rewritten():
    told = {"a": ["b", {"c": 1, "d": None}], "e": "f"}
    assert rewrite(told, str.upper) == {"A": ["B", {"C": 1, "D": None}], "E": "F"}


@pytest.fixture
def grid(run):
    grid = GridFolder(run.root, "g")
    grid.create()
    told = {str(run.path): {"run": str(run.path), "data": "/home/me/data", "parent": f"{run.path}/bridge"}}
    listed = grid.write_list({"cells": [{"run": str(run.path), "needs": [str(run.path)]}], "runs": told})
    grid.write_list({"cells": [], "runs": {}})
    points = [{"label": "/x", "runs": {"1": str(run.path)}, "evaluated": str(run.path)}]
    write_json_atomic(grid.wanted, {"name": "g", "points": points, "list": listed.name})
    grid.results.mkdir()
    (grid.results / "table.csv").write_text("a,b\n")
    return grid


def test_grid_moves_to_another_folder_of_all_runs(grid, tmp_path):
    files = grid_files(grid)
    listed = grid.read_wanted()["list"]
    assert list(files) == [f"grids/g/{listed}", "grids/g/results/table.csv", "grids/g/wanted.json"]
    text = b"".join(content for content in files.values() if isinstance(content, bytes)).decode()
    assert str(grid.root) not in text
    assert "/home/me" not in text
    draft = GridFolder(tmp_path / "draft", "g")
    draft.create()
    for name, content in files.items():
        if isinstance(content, bytes):
            (draft.root / name).write_bytes(content)
    settle_grid(draft, tmp_path / "new", tmp_path / "data")
    run = str(tmp_path / "new" / "ünï-s1-00000001")
    assert draft.read_wanted()["points"] == [{"label": "/x", "runs": {"1": run}, "evaluated": run}]
    told = json.loads((draft.path / listed).read_text())
    assert told["cells"] == [{"run": run, "needs": [run]}]
    assert told["runs"] == {run: {"run": run, "data": str(tmp_path / "data"), "parent": f"{run}/bridge"}}


def test_grid_that_is_kept_knows_its_new_place_and_its_data(grid, tmp_path):
    files = grid_files(grid, tmp_path / "kept")
    run = str(tmp_path / "kept" / "ünï-s1-00000001")
    told = json.loads(files[f"grids/g/{grid.read_wanted()['list']}"])
    assert told["runs"][run] == {"run": run, "data": "/home/me/data", "parent": f"{run}/bridge"}
    assert json.loads(files["grids/g/wanted.json"])["points"][0]["evaluated"] == run


@pytest.mark.parametrize(
    "path", ["{runs}", "{runs}/", "{runs}/../x", "{runs}/a/../../x", "{runs}//etc", "{runs}/."]
)
def test_grid_that_names_a_place_elsewhere_is_refused(tmp_path, path):
    grid = GridFolder(tmp_path, "g")
    grid.create()
    write_json_atomic(grid.wanted, {"points": [{"evaluated": path}]})
    with pytest.raises(ClusterError, match="which is no path below the folder of all runs"):
        settle_grid(grid, tmp_path / "new", None)


def test_grid_without_a_plan_is_refused(tmp_path):
    with pytest.raises(ClusterError, match="grid g has never been submitted"):
        grid_files(GridFolder(tmp_path, "g"))
