"""Plain data to dataclasses and back, strictly: a key or a type that does not fit is an error that names it."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

DEEPEST, LARGEST = 50, 1 << 20
"""Collections within one another in a YAML file, and values in all with every `*name` written out, are fewer."""


def nearest_page(name: str, shipped: Iterable[str] = ()) -> str | None:
    """The YAML file in the folder of `name`, or the one of those `shipped`, that is called most like it, if any is."""
    beside = {page.stem: str(page) for page in sorted(Path(name).expanduser().parent.glob("*.y*ml"))}
    known = {**{one: one for one in shipped}, **beside}
    near = nearest(Path(name).stem, known)
    return known[near] if near else None


def read_mapping(path: Path, kind: str) -> dict[str, Any]:
    """A YAML file as plain data; `kind` is what the file is, for messages.

    Raises:
        ValueError: no such file, no YAML, a key that stands twice, or no mapping at its top.
    """
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        near = nearest_page(str(path)) if isinstance(error, FileNotFoundError) else None
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"{kind} {path} cannot be read: {error.strerror}{hint}") from None
    except ValueError as error:
        raise ValueError(f"{kind} {path} is no valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{kind} {path} holds {type(values).__name__}, not keys and values")
    return values


def read_yaml(text: str) -> Any:
    """Plain data of a YAML text.

    Raises:
        ValueError: it is none, or has a value that is not what its form or tag says (`2026-13-01`, `!!int x`).
    """
    import yaml

    try:
        check_size(yaml.parse(text, Loader=loader()))
        return yaml.load(text, Loader=loader())
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (TypeError, KeyError, AttributeError) as error:  # as PyYAML's constructors fail
        raise ValueError(f"a value is not what its tag says ({error!r})") from None


def check_size(events: Iterable[Any]) -> None:
    """Refuse a tree that would break who reads or prints it: too deep for the parser in C, or grown by `*names`.

    Args:
        events: of YAML, as its parser gives them.

    Raises:
        ValueError: it is one.
    """
    import yaml

    sizes, within = dict[str, int](), [("", 0)]
    for event in events:
        size, anchor = 1, getattr(event, "anchor", None) or ""
        if isinstance(event, yaml.CollectionStartEvent):
            within.append((anchor, 0))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = within.pop()
        elif isinstance(event, yaml.AliasEvent):
            size = LARGEST if any(anchor == one for one, _ in within) else sizes.get(anchor, 1)
        sizes[anchor] = size
        within[-1] = within[-1][0], within[-1][1] + size
        if len(within) > DEEPEST or within[-1][1] >= LARGEST:
            raise ValueError(
                f"it has more than {LARGEST} values, or {DEEPEST} collections within one another"
            )


@functools.cache
def loader() -> Any:
    """YAML's safe loader, in C where there is one, that refuses a key that stands twice in a mapping."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            own = [key for key, _ in node.value]
            made = super().construct_mapping(node, deep)
            seen = set()
            for key in own:
                merge = key.tag == "tag:yaml.org,2002:merge"
                value = key.value if merge else self.construct_object(key, deep=True)
                if value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(value)
            return made

    return Loader


def plain(value: Any) -> Any:
    """Tuples as lists, so that JSON, YAML and memory agree."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def nested(keys: list[str], value: Any) -> dict[str, Any]:
    """`value` below its keys: `[a, b]` gives `{a: {b: value}}`."""
    for key in reversed(keys):
        value = {key: value}
    return value


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mappings inside them merged too."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(inner, value) if both else value  # type: ignore[arg-type]
    return merged


def build(cls: type, values: Any, where: str) -> Any:
    """A dataclass from plain data; `where` is the path of keys that leads here, for messages.

    Raises:
        ValueError: an unknown or missing key, or a wrong type.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where.rstrip('.') or 'the file'} is {values!r}: it must be keys and values")
    hints = _hints(cls)
    known = {f.name: f for f in fields(cls)}
    for key in values:
        if key not in known:
            near = nearest(str(key), known)
            hint = f"did you mean {where}{near}?" if near else f"valid keys: {', '.join(known)}"
            raise ValueError(f"unknown key {where}{key}; {hint}")
    missing = [name for name, f in known.items() if _required(f) and name not in values]
    if missing:
        raise ValueError(f"{where}{missing[0]} is missing: it must be set")
    return cls(**{key: _convert(hints[key], value, f"{where}{key}") for key, value in values.items()})


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that is most like `word`, if any is."""
    known = list(words)
    lower = {one.lower(): one for one in reversed(known)}
    near = difflib.get_close_matches(word.lower(), lower, n=1)
    return lower[near[0]] if near else None


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: Any, where: str) -> Any:
    """One value as its type hint says, or an error that names key, value and type."""
    if dataclasses.is_dataclass(hint):
        return build(hint, value, f"{where}.")  # type: ignore[arg-type]
    if hint is Any:
        return value
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = next((option for option in args if dataclasses.is_dataclass(option)), None)
        if inner and isinstance(value, Mapping):  # what is wrong inside is told, not that it is none of these
            return _convert(inner, value, where)
        for option in args:
            try:
                return _convert(option, value, where)
            except ValueError:
                continue
    elif hint is type(None):
        if value is None:
            return None
    elif origin is Literal:
        if any(value == option and type(value) is type(option) for option in args):
            return value
    elif origin is tuple:
        items = _listed(value, args[0])
        if isinstance(items, list | tuple):
            kinds = [args[0]] * len(items) if args[-1] is Ellipsis else list(args)
            if len(kinds) == len(items):
                places = (
                    [f"{where}[{at}]" for at in range(len(kinds))] if items is value else [where] * len(items)
                )
                return tuple(map(_convert, kinds, items, places))
    elif origin is dict:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {key: _convert(args[1], inner, f"{where}.{key}") for key, inner in value.items()}
    elif hint is float:
        return _number(value, where)
    elif type(value) is hint:
        return value
    raise ValueError(f"{where} is {value!r}: it must be {describe(hint)}")


def _listed(value: Any, kind: Any) -> Any:
    """A list as it stands, a single value as a list of one, and `am, ha` as it is typed on a command line."""
    if isinstance(value, str) and "," in value:
        parts = [part.strip() for part in value.split(",") if part.strip()]
        return [int(part) if kind is int and part.isdecimal() else part for part in parts]
    return [value] if isinstance(value, str | int | float) else value


def _number(value: Any, where: str) -> float:
    """YAML 1.1 reads `1e-4` as a string: take it for the number that was meant."""
    try:
        if (
            isinstance(value, int | float | str)
            and not isinstance(value, bool)
            and math.isfinite(float(value))
        ):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{where} is {value!r}: it must be a number")


def describe(hint: Any) -> str:
    """A type in the words of who writes YAML: `a whole number or null`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in args)
    if origin is Literal:
        return "one of " * (len(args) > 1) + ", ".join(map(str, args))
    if origin is tuple:
        return f"a list of {describe(args[0])}"
    if dataclasses.is_dataclass(hint):
        return "keys and values"
    if origin is dict:
        return f"keys, which are text, each with {describe(args[1])}"
    names = {
        type(None): "null",
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        dict: "keys and values",
    }
    return names.get(hint, str(hint))
