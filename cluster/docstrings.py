"""What the code says of its own fields: the docstrings below them, for lists of keys and for files to begin from."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

WIDTH = 110
"""Of a file to begin from."""


def sentence(text: str) -> str:
    """The first sentence of a text, on one line and without its full stop."""
    whole = " ".join(text.split())
    return re.split(r"(?<=[^.])\.(?:\s+(?=[A-Z])|$)", whole, maxsplit=1)[0]


def field_texts(*paths: Path) -> dict[str, str]:
    """The docstrings below the fields of dataclasses, by `Class.field`."""
    found = dict[str, str]()
    for path in paths:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{name}": text for name, text in _texts_in(node)}
    return found


def _texts_in(node: ast.ClassDef) -> Iterable[tuple[str, str]]:
    """Fields of a class that a docstring follows, with it."""
    for field, after in zip(node.body, node.body[1:]):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            value = after.value if isinstance(after, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield field.target.id, value.value


def commented(indent: str, line: str, told: str) -> list[str]:
    """A line of YAML with what is told of it, beside it or, where that is long, above."""
    beside = f"{indent}{line} # {told}" if told else f"{indent}{line}"
    return [beside] if len(beside) <= WIDTH else [*comment(indent, told), f"{indent}{line}"]


def comment(indent: str, told: str) -> list[str]:
    """Lines of YAML that only tell."""
    begin = f"{indent}# "
    return textwrap.wrap(told, WIDTH, initial_indent=begin, subsequent_indent=begin)
