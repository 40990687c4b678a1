"""Records on disk as the dataclasses that they are in code: whole, of the right shape, or refused by name.

A command that shows many of them leaves a damaged one out, and says so once (`unless_damaged`).
"""

from __future__ import annotations

import functools
import math
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from cluster.files import CHECKSUM, DamagedFile, read_sealed

T = TypeVar("T")
P = ParamSpec("P")


def read_as(cls: type[T], path: Path, remedy: str) -> T | None:
    """The record in a file; None if there is no such file.

    A key that is not known is of a later version where the checksum holds, and ignored; elsewhere it is damage.

    Args:
        cls: a dataclass.
        path: of the file.
        remedy: what a user can do where it is damaged.

    Raises:
        DamagedFile: it is not what was written, or of another shape.
    """
    told = read_sealed(path, remedy)
    if told is None:
        return None
    names = {one.name for one in fields(cls)}  # type: ignore[arg-type]
    unknown = told.keys() - names - {CHECKSUM}
    try:
        if unknown and CHECKSUM not in told:
            raise ValueError(f"it has an unknown key {min(unknown)!r}")
        return typed(cls, {key: value for key, value in told.items() if key in names})
    except ValueError as error:
        raise DamagedFile(path, str(error), remedy) from None


def typed(cls: type[T], value: Any) -> T:
    """An instance of a dataclass from what JSON holds: each field of its own type, lists as tuples.

    Raises:
        ValueError: a key is unknown or missing, or a value is of another type.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"it holds {type(value).__name__} in place of {cls.__name__}")
    known = _fields(cls)  # type: ignore[arg-type]
    for key in value:
        if key not in known:
            raise ValueError(f"it has an unknown key {key!r}")
    for name, (one, _) in known.items():
        if name not in value and one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"it has no {name!r}")
    return cls(**{key: _convert(known[key][1], held, key) for key, held in value.items()})


def unless_damaged(read: Callable[P, T], *args: P.args, **more: P.kwargs) -> T | None:
    """What is read; None where that is damaged, which is told once for each file."""
    try:
        return read(*args, **more)
    except DamagedFile as damage:
        tell_damage(damage)
        return None


def tell_damage(damage: DamagedFile) -> None:
    """Name a damaged file in a line that goes before what is shown; once in a process."""
    if damage.path not in _told:
        _told.add(damage.path)
        print(f"left out: {damage}", file=sys.stderr, flush=True)


_told: set[Path] = set()


@functools.cache
def _fields(cls: type) -> dict[str, tuple[Field[Any], Any]]:
    hints = get_type_hints(cls)
    return {one.name: (one, hints[one.name]) for one in fields(cls)}


def _convert(kind: Any, value: Any, key: str) -> Any:
    """A value of JSON as the type of its field."""
    if type(value) is kind and kind is not float:  # most are texts, and boards read thousands
        return value
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        others = [arg for arg in get_args(kind) if arg is not type(None)]
        return (
            None if value is None and len(others) < len(get_args(kind)) else _convert(others[0], value, key)
        )
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(get_args(kind)[0], one, key) for one in value)
    if is_dataclass(kind):
        return typed(kind, value)  # type: ignore[arg-type]
    if not _is_of(kind, origin, value):
        raise ValueError(f"its {key} is {value!r}")
    return value


def _is_of(kind: Any, origin: Any, value: Any) -> bool:
    """Whether a scalar or mapping of JSON is of a field's type; `true` is no number."""
    if origin is Literal:
        return value in get_args(kind)
    if kind in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole or (kind is float and isinstance(value, float) and math.isfinite(value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, dict)
    return isinstance(kind, type) and isinstance(value, kind)
