"""What a start ran: the code, the versions, the machine. Imports none of the packages that it names."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("layalign", "cluster", "jobs", "envs", "launch.py", "pyproject.toml")
KINDS = (".py", ".yaml", ".sh", ".txt")
"""Endings of the files of a room that are code: all that a job needs."""
COMMIT = "LAYALIGN_COMMIT"
"""Variable that tells a job, whose snapshot has no git, its commit; `+` at its end stands for changes."""
PACKAGES = (
    "torch",
    "transformers",
    "datasets",
    "deepspeed",
    "safetensors",
    "sentencepiece",
    "submitit",
    "numpy",
)


def provenance(root: Path = ROOT) -> dict[str, Any]:
    """A record for `starts.jsonl` and for results, of plain data."""
    commit, dirty = commit_of(root)
    return {
        "commit": commit,
        "dirty": dirty,
        "tree": tree_hash(root),
        "python": platform.python_version(),
        "packages": _versions(),
        "host": socket.gethostname(),
    }


def commit_of(root: Path = ROOT) -> tuple[str | None, bool | None]:
    """The commit that the code is of, and whether it differs from it; without git what a launcher has told."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit:
        return commit, bool(_git(root, "status", "--porcelain", "--", *ROOMS))
    told = os.environ.get(COMMIT) if root == ROOT else None
    return (told.rstrip("+"), told.endswith("+")) if told else (None, None)


def tree_hash(root: Path = ROOT) -> str:
    """Hash of the code that can change a result: names and content of all sources. Needs no git."""
    return tree_of(sources(root))


def sources(root: Path = ROOT) -> dict[str, bytes]:
    """The code: content of each file by its path below `root`, in the order of the paths."""
    found = []
    for room in ROOMS:
        path = root / room
        found += [path] if path.is_file() else [p for p in path.rglob("*") if p.suffix in KINDS]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(found)}


def tree_of(files: dict[str, bytes]) -> str:
    """`tree_hash` of code that has been read."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    import importlib.metadata  # slow to import, and no command on a login node asks for versions

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _git(root: Path, *command: str) -> str | None:
    """What git says of the checkout at `root`; None without git, or if `root` only lies inside another one.

    It locks nothing: to refresh its index it would, and killed amid that leave a lock that stops the user's own git.
    """
    if not (root / ".git").exists():
        return None
    try:
        words = ["git", "--no-optional-locks", "-C", str(root), *command]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None
