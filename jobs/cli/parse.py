"""From what was typed to the request of a command."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from cluster.quantities import parse_memory, parse_time
from jobs.cli.options import SHORT

Request = TypeVar("Request")
QUANTITIES: Mapping[str, Callable[[str], Any]] = {"cluster.time": parse_time, "cluster.mem": parse_memory}
"""Overrides whose values are read when they are typed."""


def request_of(kind: type[Request], typed: Mapping[str, Any]) -> Request:
    """A request made of what was typed.

    Args:
        kind: one of `jobs.cli.requests`.
        typed: values by the names of the options; None is an option that was left out, and means the request's own
            default. The short options of a profile (`--gpu a100`) become overrides, which count more than others.

    Raises:
        ClusterError: options that exclude each other, nothing to work on, or a time or memory that is none.
    """
    short = [f"cluster.{name}={typed[name]}" for name in SHORT if typed.get(name) is not None]
    overrides = [*typed.get("overrides", ()), *short]
    for key, _, value in (text.partition("=") for text in overrides):
        if value and key in QUANTITIES:  # before all that else may stand in the way
            QUANTITIES[key](value)
    if "task_pages" in typed:
        _use_pages(typed)
    return _filled(kind, {**typed, "overrides": overrides})


def _use_pages(typed: Mapping[str, Any]) -> None:
    """Make the user's pages known, before anything is looked up by name.

    Raises:
        ValueError: the folder that was named is none.
    """
    named = typed["task_pages"] or os.environ.get("LAYALIGN_TASKS")
    data = typed.get("data") or os.environ.get("LAYALIGN_DATA")
    folder = Path(named or data or "", "" if named else "tasks").expanduser().absolute()
    if named or (data and folder.is_dir()):
        from layalign.tasks.pages import use_folder

        use_folder(folder)


def _filled(kind: type[Request], typed: Mapping[str, Any]) -> Request:
    types, values = get_type_hints(kind), dict[str, Any]()
    for name in (field.name for field in fields(kind)):  # type: ignore[arg-type]
        if is_dataclass(types[name]):
            values[name] = _filled(types[name], typed)
        elif typed.get(name) is not None:
            values[name] = tuple(typed[name]) if isinstance(typed[name], list) else typed[name]
    return kind(**values)
