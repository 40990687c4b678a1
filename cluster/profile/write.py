"""A profile as the YAML file that it could have been read from, each key with what the code's docstrings say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cluster.docstrings import comment, commented, field_texts, sentence
from cluster.profile.facts import Area, NodeKind
from cluster.profile.load import SlurmProfile

NOT_WRITTEN = ("name", "file", "replaces")
WISHES = ("account",)
"""What a user wants, as far as a new file names it."""


def profile_yaml(profile: SlurmProfile, head: str, notes: Mapping[str, str]) -> str:
    """The text of a file that `load_profile` reads as this profile.

    Args:
        profile: facts of a cluster.
        head: comment at its head.
        notes: by key (`hardware.kinds[0].partition`), what is to be said of its value instead of the docstring.
    """
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    shown = ("executor", "title", "login", *WISHES)
    others = [
        one.name
        for one in fields(profile)
        if one.name not in (*shown, *NOT_WRITTEN, *profile.sections())
        and getattr(profile, one.name) != one.default
    ]
    for name in (*shown, *others):
        told = _told(type(profile), name, name, notes)
        lines += commented("", f"{name}: {_scalar(getattr(profile, name))}", told)
    for name, section in profile.sections().items():
        lines += ["", f"{name}:", *_section(section, name, "  ", notes)]
    return "\n".join(lines) + "\n"


def _section(value: Any, path: str, indent: str, notes: Mapping[str, str]) -> Iterator[str]:
    for field in fields(value):
        inner, key = getattr(value, field.name), f"{path}.{field.name}"
        told = _told(type(value), field.name, key, notes)
        if inner and isinstance(inner, tuple) and is_dataclass(inner[0]):
            yield from comment(indent, told)
            yield f"{indent}{field.name}:"
            for at, one in enumerate(inner):
                yield from _item(one, f"{key}[{at}]", indent, notes)
        elif isinstance(inner, Area):
            yield from comment(indent, told)
            shown = ", ".join(f"{one.name}: {_scalar(getattr(inner, one.name))}" for one in fields(inner))
            yield f"{indent}{field.name}: {{{shown}}}"
        elif not (isinstance(value, NodeKind) and inner in (None, ()) and field.name in ("note", "slices")):
            yield from commented(indent, f"{field.name}: {_scalar(inner)}", told)


def _item(value: Any, path: str, indent: str, notes: Mapping[str, str]) -> Iterator[str]:
    """One of a list; what its keys mean is told at the first."""
    inner = f"{indent}    "
    lines = list(_section(value, path, inner, notes))
    first = next(at for at, line in enumerate(lines) if not line.startswith(f"{inner}#"))
    yield from lines[:first]
    yield f"{indent}  - {lines[first].strip()}"
    yield from lines[first + 1 :]


def _told(cls: type, name: str, key: str, notes: Mapping[str, str]) -> str:
    """What is said of a key: the note on its value, or the first sentence of its docstring and what it may be."""
    if key in notes:
        return notes[key]
    if re.search(r"\[[1-9]\d*\]", key) or name in ("source", "checked"):
        return ""
    told = next((text for one in cls.__mro__ if (text := _texts().get(f"{one.__name__}.{name}"))), "")
    kind = get_type_hints(cls)[name]
    words = " | ".join(get_args(kind)) if get_origin(kind) is Literal else ""
    return re.sub(r"\bNone\b", "unknown", "; ".join(filter(None, (words, sentence(told)))))


@cache
def _texts() -> dict[str, str]:
    here = Path(__file__).parent
    return field_texts(here / "facts.py", here / "load.py")


def _scalar(value: Any) -> str:
    """A value as YAML that `cluster.profile.schema` reads back."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    text = str(value)
    plain = text and text == text.strip() and not set(text) & set(":#{}[],&*!|>'\"%@`\\\n")
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return text if plain and text[0] not in "-?" else f'"{quoted}"'
