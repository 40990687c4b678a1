"""A training set as its page says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layalign.config import DataConfig
from layalign.languages import language
from layalign.strict import build
from layalign.training_sets import TrainingSet

NEEDED = ("reader", "path", "languages")
"""Keys of `data` that a page has; all others it may leave to the recipe."""
LEFT = {"max_source": 2, "max_target": 2}
"""Stand for what is left to the recipe, so that the rest can be checked."""


def training_set_of(name: str, values: Mapping[str, Any]) -> TrainingSet:
    """A training set from its page; its languages are known already.

    Raises:
        ValueError: an unknown key, a wrong type, or what does not fit together.
    """
    if values.get("name", name) != name:
        raise ValueError(f"name is {values['name']!r}, but the page is called {name}: leave one out")
    made: TrainingSet = build(TrainingSet, {**values, "name": name}, "")
    missing = [key for key in NEEDED if key not in made.data]
    if missing:
        raise ValueError(f"data.{missing[0]} is missing: a training set has {', '.join(NEEDED)}")
    data: DataConfig = build(DataConfig, {**LEFT, **made.data}, "data.")
    codes = [language(one).code for one in data.languages]
    strange = next((code for code in made.counts if code not in codes), None)
    if strange:
        raise ValueError(f"counts names {strange!r}, which is not among data.languages: {', '.join(codes)}")
    return made
