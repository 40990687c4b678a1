"""`--help`, `help COMMAND`, `--version`: groups, examples that work, and the options of Slurm where they apply."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib

import pytest

import launch
from jobs.cli import requests
from jobs.cli.command_table import COMMANDS, GROUPS
from jobs.cli.options import SHORT
from jobs.cli.parse import request_of
from jobs.cli.parser import EXITS, command_parser, parse
from tests.jobs.finished import go, make, make_grid, recipe, surroundings, write  # noqa: F401
from tests.world import ROOT

ASK_SLURM = {"train", "evaluate", "pipeline", "ablate", "missing", "retry"}
"""Commands that put jobs into a queue."""
LONG = ("train --stage all", "evaluate", "pipeline --recipe mini", "demo")
"""Examples that train or answer: the README's, run by its own tests."""
WITHOUT = {
    "data check --recipe mini": (2, "is made when it is first used"),
    "train --stage 1 --cluster narval": (2, "not in the cache"),
    "pipeline --recipe math --cluster narval": (2, "needs the data folder"),
    "ablate --grid ablations --cluster narval": (2, "needs the data folder"),
    "retry --failed": (0, ""),
    "watch": (0, "mini-layalign"),
    "efficiency": (None, ""),
    "doctor": (2, "no Slurm answers here"),
    "env --cluster narval --build": (2, "the build failed"),
    "env": (0, "to build it"),
    "prefetch": (2, "could not be fetched"),
    "generate": (2, "there is no such folder"),
    "push mini-layalign-s2 --to me/mini-bridge --public --yes": (2, "log in first"),
    "sandbox": (None, ""),
    "completion": (None, ""),
}
"""Examples that need what a test has not: exit status and something that is told; None is not run here."""


def printed_by(words, capsys):
    with pytest.raises(SystemExit) as left:
        launch.main(words)
    assert left.value.code == 0
    return capsys.readouterr().out


def test_help_lists_every_command_in_its_group_and_the_exit_statuses(capsys):
    told = printed_by(["--help"], capsys)
    places = [told.index(f"\n{group}:\n") for group in GROUPS]
    assert places == sorted(places)
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.help)}$", told, re.MULTILINE)
    assert {command.group for command in COMMANDS.values()} == set(GROUPS)
    for status, text in EXITS.items():
        assert re.search(rf"^  {status} +{re.escape(text)}$", told, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_two_examples_that_make_requests(name, capsys):
    told = printed_by([name, "--help"], capsys)
    assert told == printed_by(["help", name], capsys)
    shown = re.findall(r"^  python launch\.py (.*)$", told.partition("\nexamples:\n")[2], re.MULTILINE)
    assert len(set(shown)) == 2
    for line in shown:
        words = shlex.split(line)
        assert words[0] == name
        assert request_of(getattr(requests, COMMANDS[name].request), parse(words)[1])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_of_slurm_stand_apart_and_only_where_they_apply(name):
    groups = command_parser(name).groups()
    apart = {action.dest for action in groups.get("Slurm", ())}
    others = {action.dest for title, actions in groups.items() if title != "Slurm" for action in actions}
    assert (set(SHORT) <= apart) == (name in ASK_SLURM)
    assert bool(apart) == (name in ASK_SLURM or name == "generate")
    assert not apart & others


@pytest.mark.parametrize("words", [["help"], ["help", "help"], ["-h"]])
def test_help_alone_is_that_of_all(words, capsys):
    assert printed_by(words, capsys) == printed_by(["--help"], capsys)


def test_version_tells_the_commit_too(capsys):
    told = printed_by(["--version"], capsys)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.fullmatch(rf"layalign {version}(, commit [0-9a-f]{{12}}( with changes)?)?\n", told)


def test_the_front_door_can_be_run_as_a_program(tmp_path):
    ran = subprocess.run(
        [ROOT / "launch.py", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0
    assert ran.stdout.startswith("usage: python launch.py COMMAND")
    assert (ROOT / "launch.py").read_text().startswith("#!/usr/bin/env python3\n")


def test_bare_make_lists_its_targets_and_makes_nothing(tmp_path):
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    ran = subprocess.run(["make"], cwd=tmp_path, capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in targets:
        assert re.search(rf"^make {target} +\S", ran.stdout, re.MULTILINE), target
    assert [path.name for path in tmp_path.iterdir() if path.name != "slurm"] == ["Makefile"]


def shown(command):
    return [f"{command} {example}".strip() for example in COMMANDS[command].examples]


@pytest.mark.parametrize("line", [line for name in COMMANDS for line in shown(name)])
def test_an_example_does_what_it_says(line, go, make, monkeypatch):
    if line.startswith(LONG):
        pytest.skip("trains or answers")
    status, told = next((found for begin, found in WITHOUT.items() if line.startswith(begin)), (0, ""))
    if status is None:
        pytest.skip("tried by its own tests")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    first, second = make(1, name="mini-layalign"), make(2, name="mini-layalign")
    write(second.cell("mini", "sw", 0).answers, b"")
    make_grid(second, first, "mini-ablations")
    for archive, run in (("run.tar", "mini-layalign-s2"), ("whole.tar", "mini-layalign-s1")):
        if line.startswith("import"):
            go("export", run, "--to", archive)
    got, printed = go(*shlex.split(line))
    assert (got, told in printed) == (status, True), printed


def test_the_parser_of_help_loads_no_command():
    code = "import sys, launch\ntry:\n launch.main(['--help'])\nexcept SystemExit:\n pass\n"
    code += "ours = ('jobs.', 'cluster.', 'layalign')\n"
    code += "print([name for name in sys.modules if name.startswith(ours)], file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {"jobs.cli", "jobs.cli.command_table", "jobs.cli.options", "jobs.cli.parser", "cluster.errors"}
    assert set(re.findall(r"'([\w.]+)'", ran.stderr)) == names
