"""What lies in the Hugging Face cache, read from its folders: a login node answers at once.

Layout: huggingface.co/docs/huggingface_hub, "Understand caching" (`models--org--name/{refs,snapshots}`). The lock
beside it (`layalign/lock.json`) says which commit `prefetch` brought for a name and revision, and of which files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cluster.errors import ClusterError
from cluster.files import DamagedFile, read_record, write_record
from cluster.hub.model_files import model_faults
from cluster.profile.load import Profile, SlurmProfile
from cluster.records import tell_damage, typed

Kind = Literal["model", "dataset"]
BRANCH = "main"
COMMIT = re.compile(r"[0-9a-f]{40}")
FETCH_AGAIN = "delete it and give prefetch again, which writes it anew and fetches only what is missing"
CACHE_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")


@dataclass(frozen=True)
class Pin:
    """One commit of a model or data set."""

    commit: str
    files: dict[str, int] = field(default_factory=dict)
    """Name and size in bytes of each file that was fetched."""


def use_storage(profile: Profile, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that put the caches on the cluster's scratch storage, where the user has not chosen others.

    Returns:
        What is to be added to the environment, of the launcher and of its jobs.
    """
    if not isinstance(profile, SlurmProfile) or profile.storage.scratch.path == profile.storage.home.path:
        return {}
    try:
        scratch = profile.storage.scratch.folder(environ, profile.account)
    except ClusterError:  # a laptop, which only tells what it would do
        return {}
    chosen = (
        {}
        if any(environ.get(name) for name in CACHE_VARIABLES)
        else {"HF_HOME": str(scratch / "huggingface")}
    )
    return (
        chosen if environ.get("LAYALIGN_CACHE") else {**chosen, "LAYALIGN_CACHE": str(scratch / "layalign")}
    )


def hub_cache(environ: Mapping[str, str]) -> Path:
    """The cache of hub models that `environ` names, or the default one."""
    for variable in CACHE_VARIABLES[:2]:
        if environ.get(variable):
            return Path(environ[variable]).expanduser()
    if environ.get("HF_HOME"):
        return Path(environ["HF_HOME"]).expanduser() / "hub"
    home = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "huggingface" / "hub"


def lock_path(environ: Mapping[str, str]) -> Path:
    """The file that says what was fetched."""
    return hub_cache(environ).parent / "layalign" / "lock.json"


def read_pin(kind: Kind, name: str, revision: str | None, environ: Mapping[str, str]) -> Pin | None:
    """What `prefetch` brought for a name and revision (None is `main`)."""
    told = _read_lock(lock_path(environ)).get(kind, {}).get(name, {}).get(revision or BRANCH)
    return typed(Pin, told) if told else None


def write_pin(kind: Kind, name: str, revision: str | None, pin: Pin, environ: Mapping[str, str]) -> None:
    """Add to the lock, under the revision that was asked for and under the commit itself."""
    path = lock_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = _read_lock(path)
    except DamagedFile as damage:  # what was fetched before is looked at again when it is asked for
        tell_damage(damage)
        lock = {}
    told = {"commit": pin.commit, "files": pin.files}
    lock.setdefault(kind, {}).setdefault(name, {}).update({revision or BRANCH: told, pin.commit: told})
    write_record(path, lock)


def _read_lock(path: Path) -> dict[str, Any]:
    """Commits and files by kind, name and revision; empty before anything was fetched.

    Raises:
        DamagedFile: it is no such record.
    """
    lock = read_record(path, FETCH_AGAIN)
    if lock is None:
        return {}
    try:
        if not lock:
            raise ValueError("it names nothing")
        for names in lock.values():
            for revisions in names.values():
                for told in revisions.values():
                    typed(Pin, told)
    except (AttributeError, ValueError) as error:
        raise DamagedFile(path, str(error), FETCH_AGAIN) from None
    return lock


def snapshot(kind: Kind, name: str, revision: str | None, environ: Mapping[str, str]) -> Path:
    """The folder that holds, or would hold, a revision's files."""
    folder = hub_cache(environ) / f"{kind}s--{name.replace('/', '--')}"
    reference = folder / "refs" / (revision or BRANCH)
    commit = reference.read_text().strip() if reference.is_file() else revision or BRANCH
    return folder / "snapshots" / commit


def is_folder(name: str) -> bool:
    """Whether a recipe's name is a folder of this machine, which needs no hub."""
    return Path(name).expanduser().is_dir()


def missing_files(kind: Kind, name: str, revision: str | None, environ: Mapping[str, str]) -> list[str]:
    """What must still be fetched before a model or data set can be opened without the network.

    With a pin these are the files that it lists; without one all that a model needs is looked at.

    Args:
        kind: `model` or `dataset`.
        name: `organisation/name`.
        revision: branch, tag or commit; None is `main`.
    """
    pin = read_pin(kind, name, revision, environ)
    folder = snapshot(kind, name, pin.commit if pin else revision, environ)
    if pin:
        return [file for file, size in pin.files.items() if _size(folder / file) != size]
    if not folder.is_dir() or not any(folder.iterdir()):
        return ["all files"]
    return [] if kind == "dataset" else model_faults(folder)


def model_folder(name: str, revision: str | None, environ: Mapping[str, str]) -> Path:
    """Where a model lies: its own folder, or what is or would be its snapshot in the cache."""
    if is_folder(name):
        return Path(name).expanduser()
    pin = read_pin("model", name, revision, environ)
    return snapshot("model", name, pin.commit if pin else revision, environ)


def elsewhere(kind: Kind, name: str, revision: str | None, environ: Mapping[str, str]) -> Path | None:
    """The user's own cache, if a model or data set is whole there while `environ` names another cache."""
    bare = {name: value for name, value in environ.items() if name not in CACHE_VARIABLES}
    own = hub_cache(bare)
    if own == hub_cache(environ) or missing_files(kind, name, revision, bare):
        return None
    return own


def _size(path: Path) -> int | None:
    """Bytes of a file, the target of a link included; None if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return None
