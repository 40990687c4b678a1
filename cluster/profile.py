"""Facts of one cluster, read from `cluster/profiles/<name>.yaml`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError

PROFILES = Path(__file__).parent / "profiles"
SECTION = "cluster."


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where and how jobs run."""

    name: str
    executor: str
    """submitit's transport: `local`."""
    tasks: int
    """Processes of one job."""
    cpus: int | None = None
    """CPU cores of one job; None is all that the launcher may use."""

    def threads(self) -> int:
        """CPU threads for each process."""
        return max(1, (self.cpus or len(os.sched_getaffinity(0))) // self.tasks)


def profile_names() -> list[str]:
    """The clusters that have a profile."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def detect(environ: Mapping[str, str]) -> str:
    """The cluster that this machine belongs to: `$CC_CLUSTER` where it has a profile, else `local`."""
    name = environ.get("CC_CLUSTER", "")
    return name if name in profile_names() else "local"


def load_profile(name: str, overrides: Iterable[str] = ()) -> Profile:
    """The profile of a cluster with overrides such as `cluster.tasks=2` put over it.

    Raises:
        ClusterError: no such cluster, an unknown key (the nearest is named), or a wrong value.
    """
    import yaml

    if name not in profile_names():
        near = difflib.get_close_matches(name, profile_names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ClusterError(
            f"there is no cluster {name!r}; {hint}The clusters are: {', '.join(profile_names())}"
        )
    values = yaml.safe_load((PROFILES / f"{name}.yaml").read_text(encoding="utf-8"))
    for override in overrides:
        key, equals, value = override.removeprefix(SECTION).partition("=")
        if not equals:
            raise ClusterError(
                f"override {override!r} is not of the form cluster.key=value, e.g. cluster.tasks=2"
            )
        values[key.strip()] = yaml.safe_load(value)
    return _checked({"name": name, **values})


def split_overrides(overrides: Iterable[str]) -> tuple[list[str], list[str]]:
    """The overrides of the cluster's profile, and those of the recipe."""
    every = list(overrides)
    ours = [override for override in every if override.startswith(SECTION)]
    return ours, [override for override in every if override not in ours]


def _checked(values: dict[str, Any]) -> Profile:
    known = [f.name for f in fields(Profile)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {SECTION}{near[0]}?" if near else f"valid keys: {', '.join(known)}"
            raise ClusterError(f"unknown key {SECTION}{key}; {hint}")
    for key in ("tasks", "cpus"):
        value = values.get(key)
        if value is None and key == "cpus":
            continue
        if type(value) is not int or value < 1:
            raise ClusterError(f"{SECTION}{key} is {value!r}: it must be a whole number, at least 1")
    return Profile(**values)
