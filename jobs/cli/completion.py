"""What a shell completes: commands, options and, as they are when TAB is pressed, names of runs and grids.

The package argcomplete asks: it knows bash, zsh and fish, and what it completes is what the parser takes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jobs.cli.command_table import COMMANDS
from jobs.cli.parser import Parser, front_parser

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "recipe": ROOT / "jobs" / "recipes",
    "grid": ROOT / "jobs" / "grids",
    "cluster": ROOT / "cluster" / "profiles",
    "like": ROOT / "cluster" / "profiles",
}
"""Folders whose YAML files an option names, by the option."""
MADE = ("name", "names", "run")
"""What names runs and grids; a name that is given to something new is no such."""
NEW = ("train", "evaluate", "pipeline")
"""Commands whose `--name` is of something new."""


def answer_shell() -> None:
    """Tell a shell what may come next, and leave; nothing where argcomplete is not installed."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        os._exit(1)
    words = os.environ.get("COMP_LINE", "").split()
    parser = front_parser()
    commands = parser.add_subparsers(dest="command", parser_class=Parser)
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, allow_abbrev=False)
        if name in words:
            command.options(added)
            _complete(added, name)
    argcomplete.autocomplete(parser)


def _complete(parser: Parser, command: str) -> None:
    """Let the options of a command complete the names that they take."""
    for action in parser.actions():
        if action.dest in FILES and not (action.dest == "grid" and command in ("status", "watch")):
            action.completer = _Files(FILES[action.dest])  # type: ignore[attr-defined]
        elif action.dest in (*MADE, "grid") and not (action.dest == "name" and command in NEW):
            action.completer = made  # type: ignore[attr-defined]
        elif action.dest == "stage":
            action.completer = stages  # type: ignore[attr-defined]


def stages(prefix: str, parsed_args: Any, **_: Any) -> Iterable[str]:
    """The stages of the recipe that is typed, or of the usual one."""
    from jobs.cli.requests import DEFAULT_RECIPE
    from jobs.recipe.plan import load_recipe
    from layalign.recipe import stages_of

    with contextlib.suppress(ValueError):
        known = stages_of(load_recipe(getattr(parsed_args, "recipe", None) or DEFAULT_RECIPE))
        return [word for word in (*map(str, known), "all") if word.startswith(prefix)]
    return []


class _Files:
    """Names of the YAML files in a folder, or paths."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, prefix: str, **_: Any) -> Iterable[str]:
        from argcomplete.completers import FilesCompleter

        named = [path.stem for path in self.folder.glob("*.yaml") if path.stem.startswith(prefix)]
        return named or FilesCompleter(("yaml", "yml"))(prefix)


def made(prefix: str, parsed_args: Any, **_: Any) -> Iterable[str]:
    """Names of runs and grids that begin so: shorter ones where they are enough, as one listing of folders has them."""
    from cluster.run.folder_names import FOLDER, GRIDS, runs_root

    root = (
        Path(parsed_args.runs).expanduser() if getattr(parsed_args, "runs", None) else runs_root(os.environ)
    )
    found = dict[str, None]()
    for folder, whole in ((root / GRIDS, False), (root, True)):
        for name in _names_in(folder):
            match = FOLDER.fullmatch(name) if whole else None
            if match:
                found |= dict.fromkeys((f"{match['name']}-s{match['stage']}", name))
            elif not whole:
                found[name] = None
    return [name for name in found if name.startswith(prefix)]


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
