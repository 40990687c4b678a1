"""From what is typed to one frozen request for each command."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
from pathlib import Path
from typing import get_type_hints

import pytest

from cluster.errors import ClusterError
from jobs.cli import requests
from jobs.cli.command_table import COMMANDS
from jobs.cli.options import INTERACTIVE, SHORT
from jobs.cli.parse import request_of
from jobs.cli.run_commands import words_to_train
from jobs.recipe.context import How, Where
from tests.world import ROOT

NOT_TYPED = {"answer_gpus", "more_memory"}
"""What a command says of a grid's arrays, not its user."""


def parser_of(command):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    COMMANDS[command].options(parser)
    return parser


def typed(command, *words):
    return request_of(
        getattr(requests, COMMANDS[command].request), vars(parser_of(command).parse_args(words))
    )


def fields(kind):
    """Names of the fields of a request and of what it is composed of, by the type that has them."""
    types = get_type_hints(kind)
    composed = [types[f.name] for f in dataclasses.fields(kind) if dataclasses.is_dataclass(types[f.name])]
    own = {f.name for f in dataclasses.fields(kind) if not dataclasses.is_dataclass(types[f.name])}
    return {kind: own} | {part: names for one in composed for part, names in fields(one).items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_reaches_the_request_and_nothing_else_is_needed(command):
    kind = getattr(requests, COMMANDS[command].request)
    options = {action.dest for action in parser_of(command)._actions} - {"help"}
    reached = {name for names in fields(kind).values() for name in names}
    short = options & set(SHORT) if "where" in get_type_hints(kind) else set()
    assert short in (set(), {"outages"}, set(INTERACTIVE), set(SHORT))  # `status` tells of outages alone
    assert options - short <= reached
    shared = reached - fields(kind)[kind]
    assert fields(kind)[kind] <= options
    assert shared - options - NOT_TYPED <= {"cluster", "overrides", "data", "runs", "task_pages", "yes"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_function_and_its_request_is_frozen(command):
    module = importlib.import_module(f"jobs.cli.{COMMANDS[command].module}")
    kind = getattr(requests, COMMANDS[command].request)
    hints = get_type_hints(getattr(module, f"{command}_command"))
    assert hints == {"request": kind, "return": int}
    for one in fields(kind):
        assert one.__dataclass_params__.frozen


def test_no_field_of_a_request_is_ignored():
    """Each own field of a request is read by a command, or by the request itself."""
    trees = [ast.parse(path.read_text()) for path in Path(ROOT, "jobs/cli").glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    read = {node.attr for node in nodes if getattr(node.value, "id", "") in ("request", "self")}
    for command in COMMANDS.values():
        kind = getattr(requests, command.request)
        assert {f.name for f in dataclasses.fields(kind)} <= read


def test_short_options_are_overrides_that_count_more():
    request = typed(
        "train", "--stage", "2", "--gpu", "a100", "-o", "cluster.gpu=h100", "training.lr=1e-4", "--tasks", "2"
    )
    assert request.where == Where(
        overrides=("cluster.gpu=h100", "training.lr=1e-4", "cluster.tasks=2", "cluster.gpu=a100")
    )
    assert request.where.split() == (
        ("cluster.gpu=h100", "cluster.tasks=2", "cluster.gpu=a100"),
        ("training.lr=1e-4",),
    )
    assert (request.how, request.stages((1, 2)), request.recipe) == (How(), (2,), "math")


def test_what_is_left_out_is_the_requests_own_default():
    assert typed("status") == requests.StatusRequest(where=Where())
    assert typed("sandbox", "up").nodes == 4
    assert typed("logs", "x").rank == 0
    assert typed("results", "a", "b", "--benchmark", "mgsm, msvamp").benchmarks == ("mgsm", "msvamp")
    assert typed("missing", "--per-gpu", "3").options.per_gpu == 3
    assert typed("missing").options.per_gpu == 1
    assert typed("demo", "--seeds", "0", "1").seeds == (0, 1)
    assert typed("export", "x", "--to", "~/a.tar").to == Path("~/a.tar").expanduser()
    assert typed("train", "--stage", "all", "--dry-run").how == How(dry_run=True)
    assert hash(typed("ablate", "--grid", "g"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate", "--run", "x", "--recipe", "mini"], "leave one out"),
        (["evaluate", "--run", "x", "--name", "y"], "leave one out"),
        (["prefetch", "--grid", "g", "--recipe", "mini"], "leave --recipe out"),
        (["retry"], "retry what"),
        (["cancel"], "cancel what"),
    ],
)
def test_what_makes_no_request_is_refused(words, told):
    with pytest.raises(ClusterError, match=told):
        typed(*words)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--cluster", "narval", "--account", "def-x", "--time", "3h", "-o", "seed=3", "training.lr=1e-4"],
        ["--recipe", "my recipe.yaml", "--name", "it's", "--data", "a b", "--runs", "~/runs"],
        [
            "--gpu",
            "a100",
            "-o",
            "cluster.gpu=h100",
            "data.languages=[sw, de]",
            "cluster.extra=[--x=y]",
            "--tasks",
            "2",
        ],
    ],
)
def test_the_command_that_is_told_to_a_user_asks_for_the_same(words):
    import shlex

    def profile_and_recipe(where):
        ours, recipe = where.split()
        return dict(text.split("=", 1) for text in ours), recipe

    request = typed("train", "--stage", "all", *words)
    told = shlex.split(words_to_train(request.where, request.recipe, request.name))
    assert told[:3] == ["python", "launch.py", "train"]
    again = typed("train", "--stage", "all", *told[3:])
    assert profile_and_recipe(again.where) == profile_and_recipe(request.where)
    same = dataclasses.replace(
        again, where=dataclasses.replace(again.where, overrides=request.where.overrides)
    )
    assert same == request


def test_script_is_of_a_dry_run():
    assert typed("train", "--stage", "1", "--dry-run", "--script").how == How(dry_run=True, script=True)
    with pytest.raises(ClusterError, match="add --dry-run"):
        typed("train", "--stage", "1", "--script")
