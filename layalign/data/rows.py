"""Rows: what a reader makes of each line or object of a file, and how one with named fields becomes a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from layalign.data.faults import Fault
from layalign.languages import Language, find, unknown_hint

LANGUAGE = "{language}"
"""Stands for any code or name of the row's language in the name of a column or of a configuration."""


class Row(NamedTuple):
    """A row and where it stands."""

    path: Path
    line: int
    language: Language
    source: str
    target: str
    prompt: str | None = None
    group: str | None = None
    targets: Path | None = None
    """The file that the target stands in, where that is another one."""


class Blank(NamedTuple):
    """A line without anything, which is no row."""

    path: Path
    line: int


Found = Row | Fault | Blank


class Fields(NamedTuple):
    """What a file calls the parts of a row; `translation.sw` and `answers.0` reach into objects and lists."""

    source: str
    target: str
    language: str = "language"
    prompt: str | None = None
    group: str | None = None


def named_row(
    path: Path, line: int, record: Mapping[str, Any], fields: Fields, languages: Sequence[Language]
) -> Row | Fault:
    """A row of a file with named fields.

    Args:
        path: of the file.
        line: of the record.
        record: its fields.
        fields: what they are called.
        languages: those asked for; where it is one, a record need not say its language.
    """
    try:
        entry = _language(record, fields.language, languages)
        source = _needed(record, fields.source, fields, entry)
        target = _needed(record, fields.target, fields, entry)
        prompt = _text(record, fields.prompt, entry) if fields.prompt else None
        group = _group(record, fields.group) if fields.group else None
    except _BadField as error:
        return Fault(path, line, *error.args)
    return Row(path, line, entry, source, target, prompt, group)


class _BadField(Exception):
    """What is wrong with a field, and the rule."""


def _language(record: Mapping[str, Any], key: str, languages: Sequence[Language]) -> Language:
    spoken = _text(record, key, None)
    if spoken is None and len(languages) > 1:
        raise _BadField(f"no `{key}`", "it may be left out only where one language is read")
    entry = languages[0] if spoken is None else find(spoken)
    if entry is None:
        raise _BadField(f"unknown language {spoken!r}", unknown_hint(str(spoken)))
    return entry


def _needed(record: Mapping[str, Any], key: str, fields: Fields, entry: Language) -> str:
    value = _text(record, key, entry)
    if value is None:
        has = ", ".join(f"`{name}`" for name in record) or "nothing"
        rule = f"a row has the texts `{fields.source}` and `{fields.target}`, this one has {has}" + (
            "; data.columns=[SOURCE,TARGET] names others" if fields.prompt else ""
        )
        raise _BadField(f"no `{key}`", rule)
    return value


def _text(record: Mapping[str, Any], key: str, entry: Language | None) -> str | None:
    """A field, or None where the record has none."""
    value = _value(record, key, entry)
    if value is not None and not isinstance(value, str):
        raise _BadField(f"`{key}` is {value!r}"[:80], "it must be text")
    return value


def _group(record: Mapping[str, Any], key: str) -> str | None:
    """A name or a number."""
    value = _value(record, key, None)
    return str(value) if type(value) is int else _text(record, key, None)


def _value(record: Mapping[str, Any], key: str, entry: Language | None) -> Any:
    """What a name leads to: a field of that very name, or step by step through objects and lists."""
    if key in record:
        return record[key]
    value: Any = record
    for part in key.split("."):
        if isinstance(value, Mapping):
            named = [k for k in value if entry and find(str(k)) is entry] if part == LANGUAGE else [part]
            value = value.get(named[0]) if named else None
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
