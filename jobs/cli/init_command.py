"""A recipe, a grid or a cluster's profile to begin from: commented, accepted as it is, and never over another file."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cluster.docstrings import comment, commented
from cluster.errors import ClusterError
from cluster.files import write_new
from cluster.profile.profile_file import SUFFIXES, refuse_name
from jobs.cli.list_command import recipe_keys
from jobs.cli.requests import InitRequest

Ask = Callable[[str, str], str]
"""A question and what an empty answer means; the answer."""
METHODS = "mindmerger, layalign"


def init_command(request: InitRequest) -> int:
    """Write a file of a kind, and tell what to type with it."""
    path = request.path or Path(f"{request.kind}.yaml").absolute()
    if os.path.lexists(path):
        raise ClusterError(f"{path} is there already, and stays as it is: name another file, or move it away")
    if path.suffix not in SUFFIXES:
        raise ClusterError(f"{path}: the name must end in {SUFFIXES[0]}, so that commands know it for a file")
    if request.kind == "cluster":
        refuse_name(path)
    ask = _default if request.yes or not sys.stdin.isatty() else _asked
    try:
        {"recipe": _recipe, "grid": _grid, "cluster": _cluster}[request.kind](path, ask)
    except ValueError as error:
        raise ClusterError(f"{error}; nothing is written") from None
    name = shlex.quote(os.path.relpath(path))
    after = {
        "recipe": f"train --stage all --recipe {name} --dry-run",
        "grid": f"ablate --grid {name} --dry-run",
        "cluster": f"train --stage all --recipe mini --cluster {name} --dry-run",
    }
    print(f"wrote {name}; change it, then: python launch.py {after[request.kind]}")
    return 0


def _default(question: str, default: str) -> str:
    return default


def _asked(question: str, default: str) -> str:
    try:
        return input(f"{question} [{default}]: ").strip() or default
    except EOFError:
        return default


def _recipe(path: Path, ask: Ask) -> None:
    """One that is shipped, with what was answered in it."""
    from jobs.recipe.plan import load_recipe
    from layalign.languages import language
    from layalign.recipe import resolve, stages_of

    values = load_recipe(ask("recipe to begin from: mini (runs anywhere) or math (the paper's)", "mini"))
    values["name"] = ask("name of the runs", path.stem)
    model = values["model"]
    model["encoder"] = ask("encoder: a folder, or a name on the Hugging Face hub", model["encoder"])
    model["decoder"] = ask("LLM", model["decoder"])
    first = values["stages"][1]["data"]["languages"]
    names = [language(one).name for one in _commas(ask("languages to train on", ", ".join(first)))]
    for stage in values["stages"].values():
        stage["data"]["languages"] = names
    for stage in stages_of(values):
        resolve(values, stage, ())
    told = {key.name: f"{key.told} ({key.type})" if key.told else str(key.type) for key in recipe_keys()}
    head = comment("", f"A recipe: python launch.py train --stage all --recipe {path.name}")
    head += comment("", "Each key overlaid by that of its stage; further keys: python launch.py list keys")
    write_new(path, "\n".join([*head, *_mapping(values, "", "", told)]) + "\n")


def _mapping(values: Mapping[Any, Any], above: str, indent: str, told: Mapping[str, str]) -> Iterator[str]:
    """A mapping as YAML, with what is told of its keys the first time that they come; a stage's are the recipe's."""
    for key, value in values.items():
        name = re.sub(r"^stages\.(\d+\.)?", "", f"{above}{key}")
        if isinstance(value, Mapping):
            if not above:
                yield ""
            yield f"{indent}{key}:"
            yield from _mapping(value, f"{above}{key}.", f"{indent}  ", told)
        else:
            again = re.match(r"stages\.(?!1\.)\d+\.data", above)
            yield from commented(indent, f"{key}: {_value(value)}", "" if again else told.get(name, ""))


def _value(value: Any) -> str:
    """A value on one line of YAML."""
    import yaml

    told = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return told.removesuffix("\n").removesuffix("\n...")


def _grid(path: Path, ask: Ask) -> None:
    """Methods of a recipe beside each other."""
    from jobs.grid.grid_file import key_texts, load_grid

    recipe = ask("recipe: a name, or a YAML file", "mini")
    if recipe.endswith((".yaml", ".yml")) or "/" in recipe:
        recipe = os.path.relpath(os.path.expanduser(recipe), path.parent)
        recipe = recipe if "/" in recipe else f"./{recipe}"
    methods = _commas(ask("methods to compare", METHODS))
    seeds = _commas(ask("seeds", "0"))
    limit = ask("first questions of each language that are asked, or all", "100")
    told = key_texts()
    lines = comment("", f"A grid: python launch.py ablate --grid {path.name}")
    lines += commented("", f"title: {_value(' beside '.join(methods))}", "one line for people")
    lines += commented("", f"recipe: {_value(recipe)}", told["recipe"])
    lines += ["", *comment("", told["variants"]), "variants:"]
    lines += [f"  {_value(one)}: {{model.method: {_value(one)}}}" for one in methods]
    lines += ["", f"# axes: {{training.lr: [1.0e-3, 3.0e-3]}} # {told['axes']}"]
    lines += commented("", f"seeds: [{', '.join(seeds)}]", told["seeds"])
    limited = "" if limit == "all" else f"limit: {limit}"
    lines += commented("", f"evaluate: {{{limited}}}", told["evaluate"])
    write_new(path, "\n".join(lines) + "\n")
    try:
        load_grid(str(path))
    except ValueError:
        path.unlink()
        raise


def _cluster(path: Path, ask: Ask) -> None:
    """The Slurm of this machine, or what is answered about another."""
    from cluster.quantities import parse_memory
    from cluster.site.live import UNTYPED, Shape
    from cluster.site.own_profile import DAY_MIN, write_own_profile, write_profile_by_hand
    from cluster.slurm import client

    if client.ask("scontrol", "show", "config"):
        write_own_profile(path, os.environ)
        return
    word = ask("word for its GPUs in Slurm (sinfo -o %G), or none", "a100")
    number = "" if word == "none" else ask("GPUs of a node", "4")
    cores, memory = ask("CPU cores of a node", "32"), ask("memory of a node", "128G")
    partition = ask("partition that jobs name, or none", "none")
    for told in filter(None, (number, cores)):
        if not told.isdecimal() or int(told) < 1:
            raise ValueError(f"{told!r} is no number of them: it must be a whole number, at least 1")
    gpus = {UNTYPED if word == "gpu" else word: int(number)} if number else {}
    name = "" if partition == "none" else partition
    shape = Shape(1, int(cores), parse_memory(memory), gpus, name, DAY_MIN)
    write_profile_by_hand(path, shape, os.environ)


def _commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
