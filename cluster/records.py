"""Records on disk as the dataclasses that they are in code: whole, of the right shape, or refused by name.

A command that shows many of them leaves a damaged one out, and says so once (`unless_damaged`).
"""

from __future__ import annotations

import functools
import math
import os
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from cluster.files import CHECKSUM, DamagedFile, read_sealed

LATE_S = (0.0, 0.1, 0.5, 1.0)
"""How long a name that another node has made is waited for."""
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
        return known_part(cls, told)
    except ValueError as error:
        raise DamagedFile(path, str(error), remedy) from None


def awaited(read: Callable[[], T | None], folder: Path) -> T | None:
    """What is read of a file that must be there; None if it is not.

    Another node may have made it, whose new names come late here: its folder is listed anew and the file looked for
    again, a few times.

    Args:
        read: gives None where there is no file.
        folder: of the file.
    """
    for wait_s in LATE_S:
        if (found := read()) is not None:
            return found
        time.sleep(wait_s)
        os.listdir(folder)
    return read()


def typed(cls: type[T], value: Any) -> T:
    """An instance of a dataclass from what JSON holds: each field of its own type, lists as tuples.

    Raises:
        ValueError: a key is unknown or missing, or a value is of another type.
    """
    known, needed = _fields(cls)  # type: ignore[arg-type]
    if not isinstance(value, Mapping):
        raise ValueError(f"it holds {type(value).__name__} in place of {cls.__name__}")
    if not value.keys() <= known.keys():
        raise ValueError(f"it has an unknown key {next(key for key in value if key not in known)!r}")
    if not needed <= value.keys():
        raise ValueError(f"it has no {min(needed - value.keys())!r}")
    return cls(**{key: known[key](held, key) for key, held in value.items()})


def known_part(cls: type[T], value: Mapping[str, Any]) -> T:
    """`typed` of the keys that a dataclass has; what else there is may be anything.

    Raises:
        ValueError: as `typed`.
    """
    known, _ = _fields(cls)  # type: ignore[arg-type]
    return typed(cls, {key: held for key, held in value.items() if key in known})


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


Converter = Callable[[Any, str], Any]
"""Makes of a value of JSON, under a key, one of a field's type. Boards read tens of thousands: each is made once."""


@functools.cache
def _fields(cls: Any) -> tuple[dict[str, Converter], frozenset[str]]:
    """The fields of a dataclass, and those that must be there."""
    hints, every = get_type_hints(cls), fields(cls)
    needed = (one.name for one in every if one.default is MISSING and one.default_factory is MISSING)
    return {one.name: _converter(hints[one.name]) for one in every}, frozenset(needed)


def _converter(kind: Any) -> Converter:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value, key: value
    if origin in (Union, types.UnionType):
        several = [_converter(arg) for arg in args if arg is not type(None)]
        inner = several[0] if len(several) == 1 else functools.partial(_any_of, several)
        if type(None) not in args:
            return inner
        return lambda value, key: None if value is None else inner(value, key)
    if origin is tuple:
        each = _converter(args[0])
        return lambda value, key: tuple([each(one, key) for one in _checked(list, value, key)])
    if is_dataclass(kind):
        return lambda value, key: typed(kind, value)  # type: ignore[arg-type]
    if kind is float:
        return _number
    if origin is Literal:
        return functools.partial(_one_of, args)
    plain = dict if isinstance(origin, type) and issubclass(origin, Mapping) else kind
    return functools.partial(_checked, plain)


def _any_of(converters: Sequence[Converter], value: Any, key: str) -> Any:
    """A value of one type of several."""
    for one in converters[:-1]:
        try:
            return one(value, key)
        except ValueError:
            continue
    return converters[-1](value, key)


def _checked(kind: type, value: Any, key: str) -> Any:
    """A value that is of a type itself: `true` is no number."""
    if type(value) is not kind:
        raise ValueError(f"its {key} is {value!r}")
    return value


def _number(value: Any, key: str) -> Any:
    if type(value) is float and math.isfinite(value):
        return value
    return _checked(int, value, key)


def _one_of(words: tuple[Any, ...], value: Any, key: str) -> Any:
    if value not in words:
        raise ValueError(f"its {key} is {value!r}")
    return value
