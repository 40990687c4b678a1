"""How much room a folder has: of its file system, and of the quotas that the Alliance's `diskusage_report` tells."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cluster.commands import ask
from cluster.errors import ClusterError

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
AMOUNT = r"(\d{1,15}(?:\.\d{0,15})?)\s*([kKMGTP]?)(i?)B?"
ROW = re.compile(rf"^\s*(/\S+)\s+\((\w+) (\S+)\)\s+{AMOUNT}\s*/\s*{AMOUNT}\s+{AMOUNT}\s*/\s*{AMOUNT}\s*$")

FULL = 0.9
"""Share of a quota from which on it is told of."""


@dataclass(frozen=True)
class Quota:
    """One row of `diskusage_report`."""

    mount: str
    kind: str
    """`user` or `project`."""
    owner: str
    used: int
    """Bytes."""
    most: int
    files: int
    most_files: int

    @property
    def name(self) -> str:
        """`/project (project def-prof)`, as the report writes it."""
        return f"{self.mount} ({self.kind} {self.owner})"


def parse_quotas(report: str) -> list[Quota]:
    """The rows of `diskusage_report`, such as `/scratch (user me)   148GiB/ 500GiB   418K/ 500K`."""
    found = []
    for line in report.splitlines():
        match = ROW.match(line)
        if match:
            mount, kind, owner, *rest = match.groups()
            amounts = [_amount(*rest[at : at + 3]) for at in range(0, 12, 3)]
            found.append(Quota(mount, kind, owner, *amounts))
    return found


def read_quotas() -> list[Quota]:
    """The user's quotas; none where the site has no such command, or where it fails."""
    return parse_quotas(ask("diskusage_report") or "")


def full_notes(quotas: list[Quota]) -> list[str]:
    """What to tell of quotas that are nearly full, the fullest first: what writes there fails at once when they are."""
    found = []
    for quota in quotas:
        files = f"{quota.files:,} of {quota.most_files:,} files"
        for share, told in (
            (quota.files / quota.most_files if quota.most_files else 0, files),
            (
                quota.used / quota.most if quota.most else 0,
                f"{quota.used / 1e9:,.0f} of {quota.most / 1e9:,.0f} GB",
            ),
        ):
            if share >= FULL:
                whose = " of the whole group" if quota.kind == "project" else ""
                found.append(
                    (-share, f"quota of {quota.name}: {told}{whose}, {share:.0%}; jobs fail where it is full")
                )
    return [text for _, text in sorted(found)]


def quota_of(folder: Path, quotas: list[Quota]) -> Quota | None:
    """The quota that a folder counts against: of its mount, and of the project in its path."""
    real = folder.resolve()
    for quota in quotas:
        inside = real.is_relative_to(quota.mount) or folder.is_relative_to(quota.mount)
        if inside and (quota.kind != "project" or quota.owner in (*real.parts, *folder.parts)):
            return quota
    return None


def check_room(
    folder: Path,
    size: int,
    files: int,
    quotas: list[Quota],
    advice: str = "set HF_HOME to another file system",
) -> None:
    """Refuse to write more than there is room for.

    Args:
        folder: will be written; it, or a folder above it, exists.
        size: bytes.
        files: files and folders.
        quotas: of the user.
        advice: how another place is chosen.

    Raises:
        ClusterError: too little room, on the file system or under the quota.
    """
    place = folder
    while not place.exists():
        place = place.parent
    disk = os.statvfs(place)
    rooms = [("the file system", disk.f_bavail * disk.f_frsize, disk.f_favail if disk.f_files else None)]
    quota = quota_of(place, quotas)
    if quota:
        rooms.append((f"the quota of {quota.name}", quota.most - quota.used, quota.most_files - quota.files))
    for name, free, free_files in rooms:
        if size > free:
            raise ClusterError(
                f"{folder} needs {size / 1e9:.1f} GB more and {name} has {max(free, 0) / 1e9:.1f} GB left: "
                f"make room, or {advice}"
            )
        if free_files is not None and files > free_files:
            raise ClusterError(
                f"{folder} needs {files} files more and {name} has {max(free_files, 0)} left: "
                f"remove some, or {advice}"
            )


def _amount(number: str, unit: str, binary: str) -> int:
    """`148GiB` in bytes, `418K` as a number of files."""
    return round(float(number) * (BINARY if binary else UNITS)[unit.lower()])
