"""Scratch storage deletes what nobody has touched for long: when that would take a run.

docs.alliancecan.ca/wiki/Scratch_purging_policy: a file goes once both its access and its change (atime, ctime) are
older than the days of the profile.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cluster.errors import ClusterError
from cluster.profile.load import Profile, SlurmProfile
from cluster.run.run_folder import RunFolder

DAY_S = 86400.0
NOTICE_DAYS = 14
"""How long before it is told of."""


def purge_days(profile: Profile, root: Path, environ: Mapping[str, str]) -> int | None:
    """After how many days files below the folder of all runs are deleted; None: never, as far as is known.

    Args:
        profile: of the cluster.
        root: folder of all runs.
        environ: says where scratch storage is.
    """
    if not isinstance(profile, SlurmProfile) or not profile.storage.scratch.purge_days:
        return None
    try:
        scratch = profile.storage.scratch.folder(environ, profile.account)
    except ClusterError:  # a laptop
        return None
    inside = root.resolve().is_relative_to(scratch.resolve())
    return profile.storage.scratch.purge_days if inside else None


def days_left(run: RunFolder, days: int, now: float) -> float | None:
    """Days until the first file that matters of a run is deleted; None if it has none. No walk: a few files tell.

    Args:
        run: it.
        days: age at which files are deleted.
        now: seconds since 1970.
    """
    touched = [_touched(path) for path in _key_files(run)]
    known = [time for time in touched if time is not None]
    return days - (now - min(known)) / DAY_S if known else None


def purge_notice(runs: Iterable[RunFolder], days: int, now: float) -> str | None:
    """What to tell a user two weeks before the first of some runs is deleted; None before that.

    Args:
        runs: that nobody works on.
        days: age at which files are deleted.
        now: seconds since 1970.
    """
    left = [(days_left(run, days, now), run.path.name) for run in runs]
    soon = sorted((known, name) for known, name in left if known is not None and known < NOTICE_DAYS)
    if not soon:
        return None
    first, name = soon[0]
    what = f"{len(soon)} runs, the first is {name}," if len(soon) > 1 else f"run {name}"
    when = f"in {first:.0f} days" if first >= 1 else "any time now"
    one = f"python launch.py keep {name}"
    advice = (
        f"to save all that are done: python launch.py keep; this one: {one}"
        if len(soon) > 1
        else f"to save it: {one}"
    )
    return f"scratch deletes what is not touched for {days} days: {what} {when}; {advice}"


def _key_files(run: RunFolder) -> Iterable[Path]:
    """What makes a run a result: that it is done, its weights, and what it would go on from."""
    return (run.done, *_first_file(run.bridge), *_first_file(_newest(run.checkpoints)))


def _newest(folder: Path) -> Path | None:
    """The checkpoint of the highest step."""
    try:
        return folder / max(name for name in os.listdir(folder) if name.startswith("step-"))
    except (OSError, ValueError):
        return None


def _first_file(folder: Path | None) -> list[Path]:
    try:
        names = sorted(os.listdir(folder)) if folder else []
    except OSError:
        return []
    return [folder / names[0]] if folder and names else []


def _touched(path: Path) -> float | None:
    """When a file was last read or changed."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return max(facts.st_atime, facts.st_ctime)
