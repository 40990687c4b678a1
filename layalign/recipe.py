"""Recipes: YAML of a common part and the part of each stage becomes the config of one run. Imports no torch.

    name: math
    model: {encoder: google/mt5-xl, decoder: meta-math/MetaMath-7B-V1.0}
    training: {batch_size: 128}
    stages:
      1: {training: {lr: 4.0e-5}}
      2: {training: {lr: 3.0e-5}}

Keys and types are those of `layalign.config`; a key that is none of theirs is an error that names the nearest one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from layalign.config import RunConfig
from layalign.replay import ReplayConfig
from layalign.strict import merge, nested, read_mapping, read_yaml
from layalign.training_sets import SET, overlaid, with_replay


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe file as plain data.

    Raises:
        ValueError: no such file, no YAML, a key that stands twice, or no mapping at its top.
    """
    return read_mapping(path, "recipe")


def stages_of(recipe: Mapping[str, Any]) -> tuple[int, ...]:
    """The stages of a recipe in order, counted from 1; two where it does not say.

    Raises:
        ValueError: `stages` is no mapping of 1, 2, ... to keys and values.
    """
    told = recipe.get("stages") or {1: {}, 2: {}}
    if not isinstance(told, Mapping) or not all(isinstance(own, Mapping | None) for own in told.values()):
        raise ValueError(f"stages is {str(told)[:80]}: it must hold 1, 2, ..., each with keys and values")
    told = {1: {}, **told}  # the first may have nothing of its own
    if set(told) != set(range(1, len(told) + 1)):
        named = ", ".join(map(str, told))[:80]
        raise ValueError(f"stages has {named}: they must be the numbers from 1 to {len(told)}, none left out")
    return tuple(range(1, len(told) + 1))


def resolve(recipe: Mapping[str, Any], stage: int, overrides: Iterable[str] = ()) -> RunConfig:
    """The run of one stage: common part, the stage's part, then the overrides.

    Args:
        recipe: plain data as `read_recipe` gives it, or a run's own as `RunConfig.to_dict` does.
        stage: one of `stages_of` the recipe.
        overrides: `training.lr=1e-4` for every stage, `stages.1.training.lr=1e-4` for one.

    Raises:
        ValueError: as `RunConfig.from_dict`, no such stage, or an override without `=`.
    """
    common = {key: value for key, value in recipe.items() if key != "stages"}
    if "stage" not in common and stage not in stages_of(recipe):
        raise ValueError(
            f"there is no stage {stage} in the recipe; the stages are {_listed(stages_of(recipe)[-1])}"
        )
    last = common.get("last_stage", 2) if "stage" in common else stages_of(recipe)[-1]
    own = (recipe.get("stages") or {}).get(stage) or {}
    merged = merge(overlaid(overlaid({}, common), own), {"stage": stage, "last_stage": last})
    for override in sorted(overrides, key=names_no_set):  # what is read comes before its single keys
        key, value = parse_override(override)
        keys = key.split(".")
        if key in ("stage", "last_stage"):
            raise ValueError(
                f"override {override!r}: the command tells the stage, and the recipe how many there are"
            )
        if keys[0] == "stages" and len(keys) > 2:
            if keys[1] not in map(str, range(1, last + 1)):
                raise ValueError(
                    f"override {override!r} names stage {keys[1]!r}; the stages are {_listed(last)}"
                )
            if int(keys[1]) != stage:
                continue
            keys = keys[2:]
        merged = overlaid(merged, nested(keys, value))
    return RunConfig.from_dict(with_replay(merged, [f.name for f in fields(ReplayConfig)]))


def _listed(last: int) -> str:
    """`1, 2 and 3`."""
    *rest, end = map(str, range(1, last + 1))
    return f"{', '.join(rest)} and {end}" if rest else end


def names_no_set(override: str) -> bool:
    """Whether an override is none of those that name a training set."""
    return not override.partition("=")[0].strip().endswith(f".{SET}")


def parse_override(text: str) -> tuple[str, Any]:
    """`a.b=1e-4` as key and value, the value read as YAML (and `1e-4` as the number it is).

    Raises:
        ValueError: no `=`, or a value that is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"override {text!r} is not of the form section.key=value, e.g. training.lr=1e-4")
    try:
        return key.strip(), read_yaml(value)
    except ValueError as error:
        raise ValueError(f"the value of override {text[:80]!r} is no valid YAML: {error}") from None
