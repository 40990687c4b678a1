"""What `--json` says: one object with the keys that docs/COMMANDS.md tells, whatever the state of things."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path

import pytest

import launch
from jobs.cli import documents
from jobs.cli.command_page import PAGE, page
from jobs.cli.command_table import COMMANDS
from jobs.cli.json_output import SCHEMA, print_json
from jobs.cli.parser import command_parser
from tests.jobs.synthetic import make_runs
from tests.jobs.synthetic_results import make_grid as make_answers

FROZEN = {
    "status": "time unasked rows grids warnings",
    "why": "grid told work",
    "missing": "cells",
    "results": "results",
    "list": "listings",
    "doctor": "cluster findings",
    "efficiency": "uses advice",
    "data": "pages broken checks",
}
"""Keys that scripts may count on: never fewer."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("synthetic") / "runs", 60)


@pytest.fixture
def say(made, slurm, capsys):
    made.write_answers(slurm.folder)

    def say(*words, runs=made.root):
        assert launch.main([*words, "--json", *(["--runs", str(runs)] if runs else [])]) == 0
        return json.loads(capsys.readouterr().out)

    return say


def check(said, kind):
    """The keys are those of the document, all the way down."""
    types = typing.get_type_hints(kind)
    assert set(said) == set(types), kind
    for name, value in said.items():
        inner = [
            one
            for one in (types[name], *typing.get_args(types[name]))
            if isinstance(one, type) and dataclasses.is_dataclass(one)
        ]
        if inner and value is not None:
            for one in value if isinstance(value, list) else [value]:
                check(one, inner[0])


def test_the_page_is_that_of_the_parser():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m jobs.cli.command_page writes it anew"


def test_every_command_with_json_has_a_document_and_no_other():
    with_json = {name for name in COMMANDS if "--json" in command_parser(name).options()}
    assert with_json == set(documents.DOCUMENTS) == set(FROZEN)


@pytest.mark.parametrize("command", FROZEN)
def test_no_key_is_taken_away(command):
    names = {field.name for field in dataclasses.fields(documents.DOCUMENTS[command])}
    assert names >= set(FROZEN[command].split())
    assert SCHEMA == 1


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["status", "ablations", "--state", "failed"],
        ["status", "--state", "cancelled"],
        ["why", "ablations"],
        ["missing", "ablations"],
        ["missing"],
        ["efficiency", "ablations"],
        ["list"],
        ["list", "keys"],
        ["list", "runs"],
    ],
    ids=" ".join,
)
def test_what_is_said_is_the_document(say, words):
    said = say(*words)
    assert said.pop("schema") == SCHEMA
    check(said, documents.DOCUMENTS[words[0]])


def test_why_of_every_run_is_the_document(say, made):
    for path in sorted(made.root.glob("*-s[12]-*")):
        said = say("why", path.name)
        assert said["work"]["name"] == path.name
        assert said["grid"] is None


def test_status_says_what_the_board_shows(say, made):
    rows = {row["run"]: row["state"] for row in say("status")["rows"] if not row["share"]}
    assert len(rows) > 40
    differing = {name for name, state in rows.items() if made.states.get(name, state) != state}
    assert not differing


def test_missing_says_what_the_list_says(say, made, capsys):
    cells = say("missing", "ablations")["cells"]
    launch.main(["missing", "ablations", "--runs", str(made.root)])
    lines = capsys.readouterr().out.splitlines()
    assert len(cells) == len(lines) - 1
    assert lines[1].startswith(f"ablations,{cells[0]['state']},{cells[0]['job']},{cells[0]['run']}")


def test_results_are_those_of_the_file(say, tmp_path, capsys):
    grid = make_answers(tmp_path / "runs", variants=("LayAlign", "MetaMath"), seeds=(0,), items=4)
    (said,) = say("results", grid.name, runs=grid.root)["results"]
    launch.main(["results", grid.name, "--runs", str(grid.root), "--out", str(tmp_path / "out")])
    capsys.readouterr()
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert said["numbers"] == written["numbers"]
    assert set(said) == set(written)
    (said,) = say("results", "math-layalign", runs=grid.root)["results"]
    assert said["numbers"]
    assert not list(grid.results.glob("*"))


def test_results_without_answers_say_so(say, tmp_path, capsys):
    codes = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
    none = {("LayAlign", 0, code): -1 for code in codes}
    grid = make_answers(tmp_path / "runs", variants=("LayAlign",), seeds=(0,), missing=none)
    for name, more in (
        (grid.name, "all 10 shares are missing"),
        ("math-layalign", "begin with evaluate --run"),
    ):
        assert launch.main(["results", name, "--runs", str(grid.root)]) == 0
        printed = capsys.readouterr().out
        assert f"there are no answers yet: {more}" in printed.splitlines()[1]
        assert "Avg" not in printed
        assert not [n for n in say("results", name, runs=grid.root)["results"][0]["numbers"] if n["total"]]


def test_doctor_says_its_findings(capsys, monkeypatch):
    from cluster.site import doctor

    found = [doctor.Finding("differs", "hardware.kinds[0].gpu", "a100, not v100")]
    monkeypatch.setattr(doctor, "examine", lambda *_: found)
    assert launch.main(["doctor", "--cluster", "narval", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["findings"] == [{"mark": "differs", "key": found[0].key, "told": found[0].text}]
    check({key: value for key, value in said.items() if key != "schema"}, documents.DoctorDocument)


def test_what_json_cannot_say_is_null(capsys):
    print_json(
        documents.ResultsDocument(results=({"a": float("nan"), "b": (1, Path("x")), "c": float("inf")},))
    )
    assert json.loads(capsys.readouterr().out)["results"] == [{"a": None, "b": [1, "x"], "c": None}]
