"""A YAML file of the user's that says what a cluster is: `--cluster FILE.yaml`, and `~/.config/layalign/profiles.yaml`.

What is made with such a file keeps its text: a run goes on, and is told of, though the file has moved or changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.profile.schema import WrongKey, line_of, mapping_of, read_text

SUFFIXES = (".yaml", ".yml")
OURS = {"local": "this machine", "sandbox": "the throwaway Slurm of this machine"}
"""Names of clusters that commands know by their name."""
SECTION = "cluster."
"""What keys of a profile begin with in overrides and messages."""


@dataclass(frozen=True)
class ProfileFile:
    """A file as it was read."""

    path: str
    """Where it was then, from the root."""
    text: str

    @property
    def name(self) -> str:
        """What the cluster is called: the file's name without its suffix."""
        return Path(self.path).stem

    @classmethod
    def read(cls, path: Path) -> ProfileFile:
        """The file at a path.

        Raises:
            ClusterError: it cannot be read, or a cluster cannot have its name.
        """
        path = path.expanduser().absolute()
        refuse_name(path)
        return cls(str(path), read_text(path))

    def latest(self) -> ProfileFile:
        """The file as it is now, or this where it has gone: what a user has mended counts, as in a named profile."""
        path = Path(self.path)
        return ProfileFile.read(path) if path.is_file() else self

    def mapping(self) -> dict[str, Any]:
        """What it holds.

        Raises:
            ClusterError: it is no YAML, or no mapping.
        """
        return mapping_of(self.text, self.path)

    @contextmanager
    def blamed(self, above: str = "") -> Iterator[None]:
        """A key that is wrong is told with this file and the line.

        Args:
            above: the keys that the profile stands below, with a final dot.
        """
        try:
            yield
        except WrongKey as error:
            key = error.key.removeprefix(SECTION.rstrip(".")).lstrip(".")
            line = line_of(self.text, above + key)
            told = re.sub(rf"\b{re.escape(SECTION)}(?=\w)", above, str(error))
            raise ClusterError(f"{self.path}{f':{line}' if line else ''}: {told}") from error


def refuse_name(path: Path) -> None:
    """Refuse (`ClusterError`) a file whose name no cluster can have."""
    if path.stem in OURS:
        raise ClusterError(
            f"{path}: the file names the cluster, and {path.stem} means {OURS[path.stem]}; rename it"
        )
    if path.suffix not in SUFFIXES or not re.fullmatch(r"\w[\w.-]*", path.stem, re.ASCII):
        raise ClusterError(
            f"{path}: the file names the cluster, so it must be NAME.yaml, with letters, digits, _, . and - alone "
            "in NAME; rename it"
        )


Cluster = str | ProfileFile
"""What a profile is loaded by: a name, or a file."""


def is_file_name(word: str) -> bool:
    """Whether `--cluster` means a file by it."""
    return "/" in word or word.endswith(SUFFIXES)


def word_of(cluster: Cluster) -> str:
    """How a cluster is typed after `--cluster`."""
    return cluster if isinstance(cluster, str) else cluster.path


def user_profile_path(environ: Mapping[str, str]) -> Path:
    """The user's own profiles; the file need not exist."""
    given = environ.get("LAYALIGN_PROFILES")
    config = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home(), ".config")
    return Path(given) if given else Path(config, "layalign", "profiles.yaml")


def user_file(environ: Mapping[str, str]) -> ProfileFile | None:
    """The user's own profiles, if there are any."""
    path = user_profile_path(environ)
    named = environ.get("LAYALIGN_PROFILES") or path.exists()
    return ProfileFile(str(path), read_text(path)) if named else None


def user_profiles(environ: Mapping[str, str]) -> dict[str, Any]:
    """What the user's own profiles say, by cluster."""
    file = user_file(environ)
    return file.mapping() if file else {}
