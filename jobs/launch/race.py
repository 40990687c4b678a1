"""`train --race gpu=a100,h100`: the same run asked for in several ways at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cluster.errors import ClusterError
from cluster.profile.load import SlurmProfile

KEYS = ("gpu", "account")
"""What alternatives may differ in."""


def rivals_of(profile: SlurmProfile, race: str | None) -> tuple[SlurmProfile, ...]:
    """The profile once for each alternative; alone where there is no race.

    Args:
        profile: of the cluster, with the user's wishes.
        race: `gpu=a100,h100` or `account=def-a,rrg-a`.

    Raises:
        ClusterError: another form, another key, or a single alternative.
    """
    if race is None:
        return (profile,)
    key, _, text = race.partition("=")
    values = list(dict.fromkeys(value.strip() for value in text.split(",") if value.strip()))
    if key not in KEYS or len(values) < 2:
        raise ClusterError(
            f"race {race!r}: it names one of {' and '.join(KEYS)} and two or more values of it; "
            "for example --race gpu=a100,h100"
        )
    if getattr(profile, key) is not None:
        raise ClusterError(
            f"race {race!r}: {key} is given already, as {getattr(profile, key)}: leave one out"
        )
    wishes: list[dict[str, Any]] = [{key: value} for value in values]
    return tuple(replace(profile, **wish) for wish in wishes)
