"""What a start ran: the code, the versions, the machine. Imports none of the packages that it names."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("layalign", "cluster", "jobs", "launch.py")
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
    return {
        "commit": _git(root, "rev-parse", "HEAD"),
        "dirty": _dirty(root),
        "tree": tree_hash(root),
        "python": platform.python_version(),
        "packages": _versions(),
        "host": socket.gethostname(),
    }


def tree_hash(root: Path = ROOT) -> str:
    """Hash of the code that can change a result: names and content of all sources. Needs no git."""
    digest = hashlib.sha256()
    for path in _sources(root):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _sources(root: Path) -> list[Path]:
    found = []
    for room in ROOMS:
        path = root / room
        found += [path] if path.is_file() else [p for p in path.rglob("*") if p.suffix in (".py", ".yaml")]
    return sorted(found)


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _dirty(root: Path) -> bool | None:
    """Whether the code differs from its commit; None without one."""
    changed = _git(root, "status", "--porcelain", "--", *ROOMS)
    return None if changed is None else bool(changed)


def _git(root: Path, *command: str) -> str | None:
    """What git says of the checkout at `root`; None without git, or if `root` only lies inside another one."""
    if not (root / ".git").exists():
        return None
    try:
        ran = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None
