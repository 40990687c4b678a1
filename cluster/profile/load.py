"""Facts of one cluster, read from `cluster/profiles/<name>.yaml`, with the user's own file and overrides over them.

The user's file is `$LAYALIGN_PROFILES`, or `~/.config/layalign/profiles.yaml`: a section for each cluster, which
changes what it names, and clusters of the user's own, which can inherit:

    narval: {account: def-prof, mail: me@example.org}
    ours: {like: narval, account: prof, walltime: {longest: 2880}}
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from cluster.errors import ClusterError
from cluster.profile.facts import (
    Accounts,
    Continuation,
    Hardware,
    Limits,
    Network,
    Retired,
    Section,
    Software,
    Storage,
    Walltime,
)
from cluster.profile.schema import build, merge, nearest, read_mapping, read_yaml

PROFILES = Path(__file__).parents[1] / "profiles"
SECTION = "cluster."
WISHES = (
    "account",
    "mail",
    "time",
    "nodes",
    "gpus",
    "gpu",
    "cpus_per_task",
    "mem",
    "units",
    "hours",
    "extra",
)
"""Keys of a Slurm profile that say what a user wants, not what the cluster is."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where and how jobs run. This class alone is the machine in front of the user."""

    name: str
    executor: Literal["local", "slurm"]
    """submitit's transport."""
    tasks: int = 1
    """Processes of one job on this machine."""
    cpus: int | None = None
    """CPU cores of one job on this machine; None is all that the launcher may use."""

    def threads(self) -> int:
        """CPU threads for each process."""
        return max(1, (self.cpus or len(os.sched_getaffinity(0))) // self.tasks)


@dataclass(frozen=True, kw_only=True)
class SlurmProfile(Profile):
    """A cluster: its facts, and what the user wants of it."""

    title: str
    login: str | None
    """Name of the login node."""
    hardware: Hardware
    walltime: Walltime
    limits: Limits
    accounts: Accounts
    network: Network
    storage: Storage
    continuation: Continuation
    software: Software
    replaces: tuple[Retired, ...] = ()

    account: str | None = None
    mail: str | None = None
    time: str | None = None
    """Of one unit: 3h, 12:00:00, 1-12:00:00, or minutes."""
    nodes: int | None = None
    gpus: int | None = None
    """In all, instead of the recipe's."""
    gpu: str | None = None
    """Word for the GPU or slice."""
    cpus_per_task: int | None = None
    mem: str | None = None
    """Of a node: 64G, 64000M."""
    units: str | None = None
    """Jobs that share the run: a number, or `auto`."""
    hours: float | None = None
    """Estimate of the whole run, for `units: auto`."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch."""

    def sections(self) -> dict[str, Section]:
        """The facts by the name of their section."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, Section)}


def profile_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The clusters that have a profile, the user's own among them."""
    return sorted({path.stem for path in PROFILES.glob("*.yaml")} | set(_user_profiles(environ)))


def is_shipped(name: str) -> bool:
    """Whether a name is of a real cluster that has a file here, not of the user's own, nor of the sandbox."""
    return name not in ("local", "sandbox") and bool(name) and (PROFILES / f"{name}.yaml").is_file()


def detect(environ: Mapping[str, str]) -> str:
    """The cluster that this machine belongs to: `$CC_CLUSTER` where it has a profile, else `local`.

    Raises:
        ClusterError: the cluster has been retired; the message says where to go.
    """
    name = environ.get("CC_CLUSTER", "")
    if name in profile_names(environ):
        return name
    if name:
        _refuse_retired(name)
    return "local"


def load_profile(
    name: str, overrides: Iterable[str] = (), environ: Mapping[str, str] = os.environ
) -> Profile | SlurmProfile:
    """The profile of a cluster with the user's file and overrides such as `cluster.account=def-prof` over it.

    Raises:
        ClusterError: no such cluster, an unknown key (the nearest is named), or a wrong value.
    """
    user = _user_profiles(environ)
    known = profile_names(environ)
    if name not in known:
        _refuse_retired(name)
        near = nearest(name, known)
        hint = f"did you mean {near}? " if near else ""
        raise ClusterError(f"there is no cluster {name!r}; {hint}The clusters are: {', '.join(known)}")
    values = _values(name, user)
    if values.get("executor") == "slurm" and environ.get("SBATCH_ACCOUNT"):
        values.setdefault("account", environ["SBATCH_ACCOUNT"])
    for override in overrides:
        values = merge(values, _override(override))
    return _checked(name, values)


def slurm_only(profile: Profile) -> SlurmProfile:
    """The profile of a cluster that has Slurm.

    Raises:
        ClusterError: it is this machine's own.
    """
    if not isinstance(profile, SlurmProfile):
        raise ClusterError(
            f"{profile.name} is this machine, which has no Slurm: name a cluster with --cluster"
        )
    return profile


def split_overrides(overrides: Iterable[str]) -> tuple[list[str], list[str]]:
    """The overrides of the cluster's profile, and those of the recipe."""
    every = list(overrides)
    ours = [override for override in every if override.startswith(SECTION)]
    return ours, [override for override in every if override not in ours]


def _user_profiles(environ: Mapping[str, str]) -> dict[str, Any]:
    given = environ.get("LAYALIGN_PROFILES")
    config = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home(), ".config")
    path = Path(given) if given else Path(config, "layalign", "profiles.yaml")
    return read_mapping(path) if given or path.exists() else {}


def _values(name: str, user: Mapping[str, Any], heirs: tuple[str, ...] = ()) -> dict[str, Any]:
    """The keys of a profile as text: what it inherits, and the user's section over it."""
    ours = user.get(name) or {}
    if not isinstance(ours, dict):
        raise ClusterError(f"your profile {name!r} must be a section of `key: value` lines, not {ours!r}")
    like, own = ours.get("like"), {key: value for key, value in ours.items() if key != "like"}
    if not isinstance(like, str | None):
        raise ClusterError(f"your profile {name!r} is like {like!r}: it must be the name of a cluster")
    if like in (*heirs, name):
        raise ClusterError(f"your profile {name!r} is like {like!r}, which is like {name!r}: end the circle")
    if like:
        base = _values(like, user, (*heirs, name))
        base.pop("replaces", None)
        return merge(base, own)
    path = PROFILES / f"{name}.yaml"
    if path.exists():
        return merge(read_mapping(path), own)
    if heirs and name not in user:
        raise ClusterError(f"your profile {heirs[-1]!r} is like {name!r}, and there is no such cluster")
    if "executor" not in own:
        raise ClusterError(
            f"your profile {name!r} is no known cluster and says too little for a new one: add `like: narval`, or "
            f"the name of another cluster ({', '.join(sorted(p.stem for p in PROFILES.glob('*.yaml')))})"
        )
    return dict(own)


def _override(text: str) -> dict[str, Any]:
    """`cluster.storage.scratch.path=/x` as nested sections."""
    key, equals, value = text.removeprefix(SECTION).partition("=")
    if not equals:
        raise ClusterError(f"override {text!r} is not of the form cluster.key=value, e.g. cluster.tasks=2")
    parsed: Any = read_yaml(value, text) if value.strip()[:1] in ("[", "{") else value.strip()
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return parsed


def _checked(name: str, values: Mapping[str, Any]) -> Profile | SlurmProfile:
    if "name" in values:
        raise ClusterError(f"{SECTION}name is no setting: choose the cluster by --cluster {values['name']}")
    if values.get("executor") == "slurm":
        for key in ("tasks", "cpus"):
            if key in values:
                raise ClusterError(
                    f"{SECTION}{key} is for processes on this machine; on {name} each GPU has one process: "
                    "ask for --gpus, and for cluster.cpus_per_task"
                )
        profile: SlurmProfile = build(SlurmProfile, {"name": name, **values}, SECTION)
        _check_facts(profile)
        return profile
    for key in WISHES:
        if key in values:
            raise ClusterError(
                f"{SECTION}{key} is for a queue, and {name} has none: name a cluster by --cluster"
            )
    return build(Profile, {"name": name, **values}, SECTION)


def _check_facts(profile: SlurmProfile) -> None:
    """What the types alone do not say of a profile."""
    brackets = profile.walltime.brackets or ()
    if not profile.hardware.kinds:
        raise ClusterError(
            f"{SECTION}hardware.kinds is empty: {profile.name} needs at least one kind of node"
        )
    if list(brackets) != sorted(set(brackets)) or any(one > profile.walltime.longest for one in brackets):
        raise ClusterError(
            f"{SECTION}walltime.brackets is {list(brackets)}: minutes, rising, none above walltime.longest "
            f"({profile.walltime.longest})"
        )
    if profile.continuation.mode == "requeue" and not profile.continuation.requeue:
        raise ClusterError(
            f"{SECTION}continuation.mode is requeue, but {profile.name} is not known to allow it: take chain, or set "
            f"{SECTION}continuation.requeue=yes where `scontrol show config` says JobRequeue = 1 "
            f"{profile.continuation.cite()}"
        )


def _refuse_retired(name: str) -> None:
    for path in sorted(PROFILES.glob("*.yaml")):
        for old in read_mapping(path).get("replaces", ()):
            if old["name"] == name:
                raise ClusterError(
                    f"{name} is retired ({old['since']}): use --cluster {path.stem} ({old['source']}, {old['checked']})"
                )
