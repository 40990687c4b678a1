"""What is typed of a profile, `-o cluster.account=def-prof`, told from what is of the recipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cluster.errors import ClusterError
from cluster.profile.profile_file import SECTION
from cluster.profile.schema import read_yaml


def split_overrides(overrides: Iterable[str]) -> tuple[list[str], list[str]]:
    """The overrides of the cluster's profile, and those of the recipe."""
    every = list(overrides)
    ours = [override for override in every if override.startswith(SECTION)]
    return ours, [override for override in every if override not in ours]


def nested(text: str) -> dict[str, Any]:
    """`cluster.storage.scratch.path=/x` as nested sections."""
    key, equals, value = text.removeprefix(SECTION).partition("=")
    if not equals:
        raise ClusterError(f"override {text!r} is not of the form cluster.key=value, e.g. cluster.tasks=2")
    parsed: Any = read_yaml(value, text) if value.strip()[:1] in ("[", "{") else value.strip()
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return parsed
