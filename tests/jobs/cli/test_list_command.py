"""`list`: what there is, one line each, as the code has it."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys

import pytest

from cluster.profile.load import profile_names
from jobs.cli.list_command import recipe_keys
from jobs.cli.options import KINDS
from jobs.grid.grid_file import grid_names
from jobs.recipe.plan import RECIPES, load_recipe
from layalign.data.sources import READERS
from layalign.evaluation.benchmarks import BENCHMARKS
from layalign.families import DECODERS, ENCODERS
from layalign.languages import LANGUAGES
from layalign.recipe import resolve
from tests.jobs.finished import go, make, make_grid, recipe, surroundings  # noqa: F401
from tests.world import ROOT

EVERY = {
    "recipes": sorted(path.stem for path in RECIPES.glob("*.yaml")),
    "grids": grid_names(),
    "models": {*ENCODERS, *DECODERS},
    "readers": READERS,
    "benchmarks": BENCHMARKS,
    "languages": [one.code for one in LANGUAGES],
    "clusters": profile_names({}),
}


@pytest.fixture
def listed(go):
    def listed(kind):
        status, printed = go("list", kind, "--json")
        assert status == 0
        (listing,) = json.loads(printed)["listings"]
        assert listing["kind"] == kind
        return {entry["name"]: entry for entry in listing["entries"]}

    return listed


@pytest.mark.parametrize("kind", EVERY)
def test_all_that_there_is_has_a_line(go, listed, kind):
    found = listed(kind)
    assert set(found) == set(EVERY[kind])
    assert all(entry["told"] for entry in found.values())
    lines = go("list", kind)[1].splitlines()
    assert [line.split()[0] for line in lines] == list(found)


def keys_of(values, before=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from keys_of(value, f"{before}{key}.")
        else:
            yield before + key, value


def test_every_key_of_a_recipe_has_type_default_and_a_line(listed):
    found = listed("keys")
    config = dict(keys_of(resolve(load_recipe("math"), 2).to_dict()))
    assert set(found) == set(config) - {"stage", "last_stage", "training.init_checksum"}
    for name, entry in found.items():
        assert entry["told"], f"{name} has no docstring"
        assert entry["type"]
    assert found["training.batch_size"]["default"] == "128"
    assert found["training.batch_size"]["type"] == "a whole number"
    assert found["training.lr"]["default"] is None
    assert found["data.dev"]["default"] == "0"
    assert found["model.gate"]["default"] == "null"


def test_without_a_kind_there_is_a_line_of_each(go):
    lines = go("list")[1].splitlines()
    assert [line.split()[0] for line in lines[: len(KINDS)]] == list(KINDS)
    assert "launch.py list KIND" in lines[-1]


def test_runs_and_grids_are_listed_with_what_became_of_them(go, make, listed):
    assert go("list", "runs") == (0, "there are no runs yet\n")
    first, second = make(1), make(2, done=False)
    make_grid(second, first, "parts")
    found = listed("runs")
    assert found["parts"]["told"] == "grid"
    assert found[first.path.name]["told"] == "run, done"
    assert found[second.path.name]["told"] == "run, interrupted"


@pytest.mark.parametrize("kind", ["keys", "readers"])
@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_is_wider_than_the_terminal(kind, columns):
    terminal, inside = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(columns)}
    with subprocess.Popen([sys.executable, ROOT / "launch.py", "list", kind], env=environ, stdout=inside):
        os.close(inside)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(terminal, 4096):
                shown += part
    os.close(terminal)
    lines = shown.decode().splitlines()
    assert max(map(len, lines)) <= columns
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == ([entry.name for entry in recipe_keys()] if kind == "keys" else list(READERS))
