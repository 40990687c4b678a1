"""Text of a YAML file becomes a tree of frozen dataclasses; what does not fit is an error that names the rule.

YAML's own guesses are kept out: every scalar is read as the text that stands there and converted by the type of
its field, so `12:00:00` is a time and never 43200, and `no` is what the field takes it for.
"""

from __future__ import annotations

import difflib
import functools
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cluster.errors import ClusterError

UNKNOWN = ("unknown", "none", "null", "")
"""Words for None: what no page says, or what a site does not have."""
MADE = "made"
"""In the metadata of a field that no file has: what reads the file puts it there."""
YES, NO = ("true", "yes"), ("false", "no")
DEEPEST, LARGEST = 50, 1 << 20
"""Collections within one another in a YAML file, and values in all with every `*name` written out, are fewer."""


class WrongKey(ClusterError):
    """A key of a profile that is unknown, missing or has a wrong value."""

    def __init__(self, key: str, told: str) -> None:
        super().__init__(told)
        self.key = key
        """As it stands in messages: `cluster.hardware.kinds[0].gpus`."""


def read_yaml(text: str, where: str) -> Any:
    """Mappings, lists and texts of a YAML document.

    Raises:
        ClusterError: it is no YAML, or has a key twice; `where` says whose it is.
    """
    import yaml

    try:
        check_size(yaml.parse(text, Loader=_loader()))
        return yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, ValueError) as error:
        raise ClusterError(f"{where} is no YAML: {' '.join(str(error).split())}") from error


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
def _loader() -> Any:
    """YAML's loader of texts, in C where there is one, that refuses a key that stands twice in a mapping."""
    import yaml

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            made = super().construct_mapping(node, deep)
            seen = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
            return made

    return Loader


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises:
        ClusterError: the file cannot be read, or holds something else.
    """
    return mapping_of(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ClusterError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ClusterError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ClusterError(f"{path} is no YAML: byte {error.start + 1} is not UTF-8") from error


def mapping_of(text: str, where: str) -> dict[str, Any]:
    """The mapping of a YAML document; an empty one is an empty mapping.

    Raises:
        ClusterError: it holds something else; `where` says whose it is.
    """
    values = read_yaml(text, where)
    if values and not isinstance(values, dict):
        raise ClusterError(f"{where} must hold `name: value` lines, not {type(values).__name__}")
    return values or {}


def line_of(text: str, key: str) -> int | None:
    """The line, from 1, where a key such as `hardware.kinds[0].gpus` begins; that of the last part that is there.

    None where nothing of it is.
    """
    import yaml

    node, line = yaml.compose(text, Loader=yaml.BaseLoader), None
    for part in re.findall(r"[^.\[\]]+", key):
        if isinstance(node, yaml.MappingNode):
            found = [(name, value) for name, value in node.value if name.value == part]
            line, node = (found[0][0].start_mark.line + 1, found[0][1]) if found else (line, None)
        elif isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
    return line


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, section by section; lists are replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def build(cls: type, values: Any, path: str) -> Any:
    """An instance of a dataclass.

    Args:
        cls: the dataclass.
        values: mapping of texts, lists and mappings.
        path: name of the section with its final dot, such as `cluster.walltime.`, for messages.

    Raises:
        ClusterError: an unknown key (the nearest is named), a missing key, a wrong value.
    """
    if not isinstance(values, Mapping):
        told = f"{path.rstrip('.')} is {values!r}: it must be a section of `key: value` lines"
        raise WrongKey(path.rstrip("."), told)
    known = {f.name: f for f in fields(cls) if not f.metadata.get(MADE)}
    for key in values:
        if key not in known:
            raise WrongKey(f"{path}{key}", f"unknown key {path}{key}; {_hint(str(key), known, path)}")
    for name, one in known.items():
        if name not in values and one.default is MISSING and one.default_factory is MISSING:
            raise WrongKey(path.rstrip("."), f"{path}{name} is missing; {_needed(cls, name)}")
    hints = get_type_hints(cls)
    return cls(**{key: _convert(hints[key], value, f"{path}{key}") for key, value in values.items()})


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that is most like `word`, if any is."""
    known = list(words)
    lower = {one.lower(): one for one in reversed(known)}
    near = difflib.get_close_matches(word.lower(), lower, n=1)
    return lower[near[0]] if near else None


def _needed(cls: type, name: str) -> str:
    """What can be done about a key that is missing."""
    if type(None) in get_args(get_type_hints(cls)[name]):
        return f"write `{name}: unknown` where nobody has said it"
    return f"it must be said: add a line `{name}: ...`"


def _hint(key: str, known: Iterable[str], path: str) -> str:
    near = nearest(key, known)
    return f"did you mean {path}{near}?" if near else f"valid keys: {', '.join(known)}"


def _convert(kind: Any, value: Any, path: str) -> Any:
    """A value as the type of its field."""
    if get_origin(kind) in (Union, types.UnionType):
        others = [arg for arg in get_args(kind) if arg is not type(None)]
        if len(others) < len(get_args(kind)) and isinstance(value, str) and value.lower() in UNKNOWN:
            return None
        assert len(others) == 1, f"{path}: a schema has one type besides None"
        return _convert(others[0], value, path)
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return build(kind, value, f"{path}.")
    if get_origin(kind) is tuple:
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise WrongKey(path, f"{path} is {value!r}: it must be a list")
        return tuple(_convert(get_args(kind)[0], one, f"{path}[{at}]") for at, one in enumerate(value))
    return _scalar(kind, value, path)


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, str):
        raise WrongKey(path, f"{path} is {value!r}: it must be one value")
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise WrongKey(path, f"{path} is {value!r}: it must be one of {', '.join(get_args(kind))}")
        return value
    if kind is bool:
        if value.lower() not in YES + NO:
            raise WrongKey(path, f"{path} is {value!r}: it must be yes or no")
        return value.lower() in YES
    if kind is int:
        if not re.fullmatch(r"\d{1,18}", value) or int(value) < 1:
            raise WrongKey(path, f"{path} is {value!r}: it must be a whole number, at least 1")
        return int(value)
    if kind is float:
        return _positive(value, path)
    assert kind is str, f"{path}: no rule for {kind}"
    return value


def _positive(value: str, path: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise WrongKey(path, f"{path} is {value!r}: it must be a number above 0")
    return number
