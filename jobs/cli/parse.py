"""From what was typed to the request of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from jobs.cli.options import SHORT

Request = TypeVar("Request")


def request_of(kind: type[Request], typed: Mapping[str, Any]) -> Request:
    """A request made of what was typed.

    Args:
        kind: one of `jobs.cli.requests`.
        typed: values by the names of the options; None is an option that was left out, and means the request's own
            default. The short options of a profile (`--gpu a100`) become overrides, which count more than others.

    Raises:
        ClusterError: options that exclude each other, or nothing to work on.
    """
    short = [f"cluster.{name}={typed[name]}" for name in SHORT if typed.get(name) is not None]
    return _filled(kind, {**typed, "overrides": [*typed.get("overrides", ()), *short]})


def _filled(kind: type[Request], typed: Mapping[str, Any]) -> Request:
    types, values = get_type_hints(kind), dict[str, Any]()
    for name in (field.name for field in fields(kind)):  # type: ignore[arg-type]
        if is_dataclass(types[name]):
            values[name] = _filled(types[name], typed)
        elif typed.get(name) is not None:
            values[name] = tuple(typed[name]) if isinstance(typed[name], list) else typed[name]
    return kind(**values)
