"""Training sets that are known by name: what `data: {set: NAME}` of a recipe stands for.

Pages of YAML make them known (`layalign.tasks.pages`). A run's config holds the values of the page, never its name:
what a job reads does not depend on a page that may change meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from layalign.strict import merge, nearest

SET = "set"
"""The key of a recipe's `data` that names one."""
READING = ("reader", "path", "languages", "columns", "revision", "config", "split", "prompt")
"""Keys that say what is read: those of a set stand for themselves, and not beside what another layer says."""


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """Rows to learn from, as a page says where they are and how they are read."""

    name: str
    """The name of its page."""
    kind: Literal["training"] = "training"
    about: str = ""
    """What it holds and where it comes from, in a line."""
    licence: str = ""
    """Under which the data may be used."""
    notes: tuple[str, ...] = ()
    """Known faults, each a line."""
    declares: dict[str, Any] = field(default_factory=dict)
    """Languages that are not known yet, by code: `so: {name: Somali, nllb: som_Latn}`."""
    counts: dict[str, int] = field(default_factory=dict)
    """Rows of each language, by code, where they are known: other ones are told."""
    data: dict[str, Any]
    """Keys of a recipe's `data` with their values: `reader`, `path` and `languages` at least."""


SETS: dict[str, TrainingSet] = {}
"""By name."""


def find_set(name: str) -> TrainingSet:
    """A training set by its name.

    Raises:
        ValueError: there is none of that name; the nearest one is named.
    """
    if name not in SETS:
        near = nearest(name, SETS)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(SETS) or 'none'}"
        raise ValueError(f"unknown training set {name!r}; {hint}; `python launch.py data list` has all pages")
    return SETS[name]


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of a recipe over another: a set that `above` names takes the place of what `below` reads.

    Raises:
        ValueError: there is no such set, or its name is no text.
    """
    merged, data = merge(below, above), above.get("data")
    if not isinstance(data, Mapping) or SET not in data:
        return merged
    lower = below.get("data")
    kept = {key: value for key, value in (lower or {}).items() if key not in READING}
    return {**merged, "data": merge(kept, with_set(data, "data"))}


def with_replay(recipe: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """A recipe whose `data.replay` has the values of the set that it names, as far as they are among its known keys.

    Raises:
        ValueError: as `overlaid`.
    """
    data = recipe.get("data")
    replay = data.get("replay") if isinstance(data, Mapping) else None
    if not isinstance(replay, Mapping) or SET not in replay:
        return dict(recipe)
    told = with_set(replay, "data.replay")
    kept = {key: value for key, value in told.items() if key in known or key in replay}
    return {**recipe, "data": {**data, "replay": kept}}  # type: ignore[dict-item]


def with_set(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Keys of a `data` with the values of the set that they name below them.

    Raises:
        ValueError: as `overlaid`.
    """
    name = data[SET]
    if not isinstance(name, str):
        raise ValueError(f"{where}.{SET} is {name!r}: it must be the name of a training set")
    return merge(find_set(name).data, {key: value for key, value in data.items() if key != SET})
