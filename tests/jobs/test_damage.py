"""Whatever record of a run or grid is damaged: each command names it in a line, and shows and does all else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.cluster.test_records import submission
from tests.jobs.finished import go, make, make_grid, recipe, surroundings  # noqa: F401

CONTENTS = {
    "empty": "",
    "zeros": "\0" * 300,
    "list": "[]",
    "object": "{}",
    "numbers": json.dumps(dict.fromkeys(("job", "time", "resources", "list", "points", "cells", "runs"), 7)),
    "torn": '{"job": "14", "name": "ma',
}
KINDS = ("submission", "array", "rival", "lease", "heartbeat", "config", "plan", "list", "withdrawn", "cache")


@pytest.fixture
def world(make, slurm, tmp_path):  # noqa: F811
    """A run that is done and one that was submitted, in a grid; and one beside them."""
    open_run, parent, other = make(done=False), make(1), make(1, "seed=9", name="other")
    grid = make_grid(open_run, parent)
    told = submission(open_run.path)
    for record in (open_run.submission, open_run.rivals / "0.json"):
        record.parent.mkdir(exist_ok=True)
        replace(told, script=str(open_run.slurm / f"{record.stem}.sh")).write(record)
    listed = grid.wanted_list()
    array = grid.new_record()
    replace(told, job="15", script=str(grid.slurm / "x.sh"), cells=listed.name).write(array)
    grid.withdraw([])
    slurm.set("queue", "")
    slurm.set("accounting", "")
    with open_run.lease():
        pass
    open_run.beat(step=1, total=2)
    cache = open_run.root / ".queue-me" / "squeue.json"
    cache.parent.mkdir()
    lease = next(open_run.leases.glob("*.json"))
    files = dict(zip(KINDS, (open_run.submission, array, open_run.rivals / "0.json", lease, open_run.heartbeat,
                             open_run.config, grid.wanted, listed, grid.taken_back, cache)))  # fmt: skip
    return open_run, other, grid, files


def damage(path, content):
    """The record, and its copy."""
    path.write_text(content)
    for copy in path.parent.parent.glob(f"slurm/{path.name}"), path.parent.glob(f"slurm/{path.name}"):
        for one in copy:
            one.write_text(content)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", CONTENTS)
def test_every_command_survives_a_damaged_record(kind, content, world, go, recipe, tmp_path, monkeypatch):  # noqa: F811
    run, other, _, files = world
    damage(files[kind], CONTENTS[content])
    name, cluster = run.path.name, ("--cluster", "narval", "--account", "def-prof")
    (tmp_path / "g.yaml").write_text(json.dumps(GRID | {"recipe": str(recipe)}))
    for words in (
        ("status",),
        ("status", "--grid", "g"),
        ("why", name),
        ("logs", name),
        ("efficiency",),
        ("missing", "g", *cluster),
        ("missing", *cluster),
        ("retry", "--dry-run", *cluster, name),
        ("retry", "--dry-run", *cluster),
        ("results",),
        ("results", "g"),
        ("keep", "--to", "kept"),
        ("export", name, "--to", "a.tar"),
        ("export", other.path.name, "--to", "b.tar"),
        ("clean",),
        ("clean", "--yes"),
        ("train", "--recipe", str(recipe), "--stage", "2", "--dry-run", *cluster),
        ("ablate", "--grid", str(tmp_path / "g.yaml"), "--dry-run", *cluster),
        ("cancel", name, "--yes", *cluster[:2]),
        ("cancel", "g", "--yes", *cluster[:2]),
    ):
        monkeypatch.setattr("cluster.records._told", set())
        status, printed = go(*words)
        assert status in (0, 1, 2), (words, printed)
        assert "Traceback" not in printed
        if words == ("status",):
            assert other.name in printed
        if words[0] == "export" and other.path.name in words:
            assert status == 0, printed
    assert files[kind].exists(), "nothing that may be needed is deleted"


GRID = {"name": "g", "points": [{"label": "a", "overrides": []}], "benchmarks": ["mgsm"]}
