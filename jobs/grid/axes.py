"""The choices of a grid: axes, variants and exclusions of its file as labelled overrides."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cluster.profile.schema import nearest
from layalign.strict import read_yaml

VARIANT, SEED = "variant", "seed"
"""Names of what is no axis, in `exclude`."""
ELSEWHERE = {
    "seed": "seeds: [0, 1]",
    "stage": "stages: [2], the stages that are trained",
    "evaluation.benchmarks": "evaluate: {benchmarks: [...]}",
    "evaluation.limit": "evaluate: {limit: ...}",
}
"""Keys of a recipe that a grid sets in another place."""
_PLAIN = re.compile(r"[A-Za-z][\w./:-]*")


class Choice(NamedTuple):
    """One value of an axis, or one variant."""

    value: Any
    overrides: dict[str, str]
    """Text of each override by its key."""
    stages: tuple[int, ...] | None = None


Dimension = dict[str, Choice]
"""An axis, or all variants, by label."""


def require_known(word: Any, words: Iterable[str], where: str, what: str) -> None:
    """Refuse a word that is none of `words`, naming the nearest.

    Raises:
        ValueError: it is none of them; `where` and `what` say what was looked for.
    """
    known = list(dict.fromkeys(words))
    if word in known:
        return
    near = nearest(str(word), known)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"{where}: there is no {what} {word!r}; {hint}")


def require_distinct(values: tuple[Any, ...], where: str) -> None:
    """Refuse an empty list, and one that has a value twice.

    Raises:
        ValueError: it is one of these.
    """
    if not values:
        raise ValueError(f"{where} is empty: leave it out, or name at least one")
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{where} has {value!r} more than once")


def overrides(told: Any, where: str) -> dict[str, str]:
    """Overrides as texts by dotted key, from a mapping that is nested, dotted, or both.

    Raises:
        ValueError: no mapping, a key that stands twice or belongs elsewhere; `where` is the place in the file.
    """
    flat: dict[str, str] = {}
    for key, value in _flatten(told, "", where):
        bare = re.sub(r"^stages\.\w+\.", "", key)
        if bare in ELSEWHERE:
            raise ValueError(f"{where}: {key} is not set here, but as `{ELSEWHERE[bare]}`")
        if key in flat:
            raise ValueError(f"{where}: {key} stands twice, dotted and nested")
        flat[key] = f"{key}={_text(value, where)}"
    return flat


def _flatten(told: Any, prefix: str, where: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(told, dict) or (prefix and not told):
        raise ValueError(f"{where}: {prefix.rstrip('.') or 'it'} is {told!r}: it must be keys and values")
    for key, value in told.items():
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise ValueError(f"{where}: key {prefix}{key} is not text; quote it")
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.", where)
        else:
            yield f"{prefix}{key}", value


def _text(value: Any, where: str) -> str:
    """A value in the form that an override has on the command line."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and read_yaml(value) == value:
        return value
    try:
        return json.dumps(value)
    except TypeError:
        raise ValueError(
            f"{where}: {value!r} is no text, number, list, true, false or null; quote it"
        ) from None


def dimensions_of(
    axes: dict[Any, Any], variants: dict[Any, Any] | None, stages: Sequence[int] = (1, 2)
) -> dict[str, Dimension]:
    """Axes by key in the order of the file, then the variants.

    Raises:
        ValueError: there are none, or one has no label, value or override that can be used.
    """
    dimensions: dict[str, Dimension] = {}
    for key, values in axes.items():
        if not isinstance(key, str) or key in (VARIANT, SEED):
            raise ValueError(
                f"axes: {key!r} cannot be an axis; it is a key of the recipe, such as model.gate"
            )
        dimensions[key] = _axis(key, values, _short(key, axes))
    if variants is not None or not axes:
        dimensions[VARIANT] = _variants(variants or {}, stages)
    return dimensions


def _short(key: str, axes: Iterable[str]) -> str:
    """The end of a key that no other axis shares."""
    parts = key.split(".")
    for length in range(1, len(parts)):
        end = ".".join(parts[-length:])
        if not any(other != key and f".{other}".endswith(f".{end}") for other in axes):
            return end
    return key


def _axis(key: str, values: Any, short: str) -> Dimension:
    where = f"axes.{key}"
    if isinstance(values, list):
        named = [(f"{short}={_text(value, where)}", value) for value in values]
    elif isinstance(values, dict):
        named = [(_label(label, where), value) for label, value in values.items()]
    else:
        raise ValueError(f"{where} is {values!r}: it must be a list of values, or labels with a value each")
    require_distinct(tuple(label for label, _ in named), where)
    return {label: Choice(value, overrides({key: value}, where)) for label, value in named}


def _variants(told: dict[Any, Any], known: Sequence[int]) -> Dimension:
    if not told:
        raise ValueError("it has no points: give axes, variants or both")
    choices = {}
    for label, values in told.items():
        where = f"variant {_label(label, 'variants')!r}"
        own = dict(values) if isinstance(values, dict) else values or {}
        lists = isinstance(own, dict) and _lists_stages(own)
        stages = _stages(own.pop("stages"), where, known) if lists else None
        choices[label] = Choice(label, overrides(own, where), stages)
    return choices


def _lists_stages(told: dict[Any, Any]) -> bool:
    """Whether `stages` says which are trained; as a mapping it holds overrides by stage."""
    return "stages" in told and not isinstance(told["stages"], dict)


def _stages(told: Any, where: str, known: Sequence[int]) -> tuple[int, ...]:
    """The stages that a variant trains: some of the recipe's, each behind the one that it starts from."""
    runs = [list(known[first:end]) for first in range(len(known)) for end in range(first + 1, len(known) + 1)]
    if told == [] or (told in runs and all(type(stage) is int for stage in told)):
        return tuple(told)
    single = ", ".join(f"[{stage}]" for stage in known)
    raise ValueError(
        f"{where}: stages is {told!r}: it must be {single}, several of these in order with none left out between them "
        "(a stage of training.max_steps: 0 hands on what it starts from), or [] where nothing is trained"
    )


def _label(label: Any, where: str) -> str:
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"{where}: the label {label!r} is not text; quote it")
    return label


def exclusions(
    told: Iterable[dict[Any, Any]], dimensions: dict[str, Dimension], seeds: tuple[int, ...]
) -> list[dict[str, Any]]:
    """What is left out: labels by dimension, and by `seed`.

    Raises:
        ValueError: an axis or a value that the grid does not have.
    """
    seeded = {**dimensions, SEED: {str(seed): Choice(seed, {}) for seed in seeds}}
    found = []
    for number, entry in enumerate(told, 1):
        where = f"exclude, entry {number}"
        if not entry:
            raise ValueError(f"{where} is empty: it would leave out everything")
        labels = {}
        for key, value in entry.items():
            require_known(key, seeded, where, "axis")
            choices = seeded[key]
            equal = [label for label, choice in choices.items() if _equal(choice.value, value)]
            if not equal:
                require_known(value, choices, f"{where}, {key}", "value")
            labels[key] = equal[0] if equal else value
        found.append(labels)
    return found


class Row(NamedTuple):
    """A point before its recipe is looked at."""

    label: str
    seed: int
    overrides: tuple[str, ...]
    stages: tuple[int, ...] | None


def rows(
    common: dict[str, str],
    dimensions: dict[str, Dimension],
    seeds: tuple[int, ...],
    excluded: list[dict[str, Any]],
) -> Iterator[Row]:
    """Every combination that is not left out.

    Args:
        common: overrides below all others, as `overrides` gives them.
        dimensions: as `dimensions_of` gives them.
        seeds: the innermost dimension.
        excluded: as `exclusions` gives them.
    """
    for chosen in itertools.product(*(choices.items() for choices in dimensions.values())):
        labels = [label for label, _ in chosen]
        texts, stages = _joined(common, [choice for _, choice in chosen])
        for seed in seeds:
            assigned = {**dict(zip(dimensions, labels)), SEED: str(seed)}
            if not any(entry.items() <= assigned.items() for entry in excluded):
                yield Row(", ".join(labels), seed, (*texts, f"seed={seed}"), stages)


def _joined(common: dict[str, str], chosen: list[Choice]) -> tuple[list[str], tuple[int, ...] | None]:
    """Overrides, later ones in place of earlier ones of the same key, and the stages if they are told."""
    texts, stages = dict(common), None
    for choice in chosen:
        for key, text in choice.overrides.items():
            texts.pop(key, None)
            texts[key] = text
        stages = stages if choice.stages is None else choice.stages
    return list(texts.values()), stages


def _equal(one: Any, other: Any) -> bool:
    """Whether two values of YAML are the same: `true` is not 1."""
    return type(one) is type(other) and one == other
