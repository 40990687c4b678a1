"""docs/COMMANDS.md, made from the parser and the documents: `python -m jobs.cli.command_page` writes it."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from jobs.cli import documents
from jobs.cli.command_table import COMMANDS, GROUPS
from jobs.cli.json_output import SCHEMA
from jobs.cli.list_command import field_texts
from jobs.cli.parser import EXITS, PROGRAM, command_parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "COMMANDS.md"
HEAD = f"""\
# Commands

Made from the parser by `python -m jobs.cli.command_page`; a test holds it up to date. `{PROGRAM} help COMMAND` tells
the same. `./launch.py` is the same program, run by the `python3` that is found first.

Where a command takes a name of a run, a cell or a grid, the beginning of one will do if it begins no other; a whole
name comes before what it begins. A run goes by its folder (or the path of that), its signature (or the first four
digits of one), or its name with or without the stage. A cell is the run and its share: `math-layalign mgsm/sw-0`. A
grid of which only the miniature twin was made stands for that.
"""
COMPLETION = """\
## Completion

bash, zsh and fish complete commands, options and names of runs and grids for `./launch.py` once the package
[argcomplete](https://pypi.org/project/argcomplete) is installed beside it (`python -m pip install argcomplete`) and
the shell was told: `eval "$(./launch.py completion bash)"`, likewise `zsh`; `./launch.py completion fish | source`. The
line for the shell's start-up file is at the head of what is printed. What is typed as `python launch.py` is completed
as any argument of `python` is: type `./launch.py` for this.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, _exits()]
    for group in GROUPS:
        parts.append(f"## {group.capitalize()}\n")
        parts += [_command(name) for name, command in COMMANDS.items() if command.group == group]
    return "\n".join([*parts, COMPLETION, *_documents()])


def _exits() -> str:
    lines = [f"| {status} | {told} |" for status, told in EXITS.items()]
    return "\n".join(["## Exit status\n", "| status | what it means |", "| ---: | --- |", *lines, ""])


def _command(name: str) -> str:
    """A section: what it does, two examples, and its options in their groups."""
    command, parser = COMMANDS[name], command_parser(name)
    lines = [f"### {name}\n", f"{command.help[0].upper()}{command.help[1:]}.\n", "```"]
    lines += [f"{PROGRAM} {name} {example}".rstrip() for example in command.examples]
    lines.append("```\n")
    for title, actions in parser.groups().items():
        lines += [*([f"{title}:\n"] if title else []), *map(_option, actions), ""]
    return "\n".join(lines)


def _option(action: argparse.Action) -> str:
    words = list(action.option_strings) or [str(action.metavar or action.dest)]
    choices = "|".join(map(str, action.choices)) if action.choices and not action.metavar else ""
    value = choices or action.metavar or ""
    shown = ", ".join(
        f"`{word} {value}`" if action.option_strings and value else f"`{word}`" for word in words
    )
    return f"- {shown}: {action.help}{' (required)' if action.required and action.option_strings else ''}"


def _documents() -> Iterator[str]:
    """What `--json` prints, field by field."""
    yield (
        "## JSON\n\n"
        f"With `--json` a command prints one object. `schema` is {SCHEMA}: a key may be added without a new number, "
        "and none\nis renamed or taken away. What is not known is null. Errors go to stderr as ever.\n"
    )
    texts = _texts()
    for command, document in documents.DOCUMENTS.items():
        yield f"### {command} --json\n\n" + "\n".join(_fields(document, "", texts)) + "\n"


def _texts() -> Mapping[str, str]:
    """The docstrings of the fields of all documents."""
    return field_texts(
        *(
            ROOT / path
            for path in (
                "jobs/cli/documents.py",
                "jobs/board/rows.py",
                "jobs/data/report.py",
                "jobs/recipe/checked.py",
            )
        )
    )


def _fields(cls: type, indent: str, texts: Mapping[str, str]) -> Iterable[str]:
    """A line for each field, those of what it holds below it."""
    types = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        told = " ".join(texts.get(f"{cls.__name__}.{field.name}", "").split())
        inner = _held(types[field.name])
        yield f"{indent}- `{field.name}` ({_type(types[field.name])}){f': {told}' if told else ''}"
        if inner:
            yield from _fields(inner, f"{indent}  ", texts)


def _held(kind: Any) -> type | None:
    """The dataclass that a field holds, alone or in a list."""
    every = (kind, *typing.get_args(kind))
    return next((one for one in every if isinstance(one, type) and dataclasses.is_dataclass(one)), None)


def _type(kind: Any) -> str:
    """A type in JSON's words."""
    held = [one for one in typing.get_args(kind) if one is not Ellipsis]
    origin = typing.get_origin(kind)
    if origin is tuple:
        return f"list of {_type(held[0])}"
    words = tuple(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()
    if origin is typing.Literal or words:
        return " | ".join(f'"{one}"' for one in (*held, *words))
    if held and type(None) in held:
        return " | ".join(_type(one) for one in held)
    plain = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
    return plain.get(kind, "object")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
