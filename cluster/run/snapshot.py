"""The code of a job: one archive for each distinct tree, shared by all runs, unpacked on the job's nodes.

A job changes directory into what it unpacked, because the working directory precedes PYTHONPATH.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cluster.files import sha256_of, write_atomic
from cluster.permissions import is_shared
from cluster.provenance import COMMIT, ROOT, commit_of, sources, tree_of
from cluster.secret import first_secret

UNPACK = (
    '[ -O "$1" ] && exit; [ "$(sha256sum < "$2")" = "$3  -" ] || '
    '{ echo "code archive $2 is damaged or gone: give the same command again, which writes it anew" >&2; exit 1; }; '
    "draft=$1.$SLURMD_NODENAME; "
    'rm -rf "$draft" && mkdir -p "$draft" && tar -xf "$2" --no-same-owner -C "$draft" || exit 1; '
    'mv -T "$draft" "$1" 2> /dev/null || rm -rf "$draft"; [ -O "$1" ]'
)
"""Takes the folder, the archive and its SHA-256. Whole or not at all, also where several nodes share the disk.
What another user has unpacked is not run."""
FOLDER = ".code"
UNPACKED = "code-"
"""How the name of an unpacked archive begins."""


def code_folder(runs: Path) -> Path:
    """Where the code of all jobs is kept, below the folder of all runs."""
    return runs / FOLDER


@dataclass(frozen=True)
class Snapshot:
    """The code as it was when a job was submitted, uncommitted changes included."""

    archive: Path
    tree: str
    """Hash of the code (`cluster.provenance.tree_hash`)."""
    commit: str | None
    dirty: bool | None
    """Whether it differs from the commit."""
    files: dict[str, bytes]

    @classmethod
    def of(cls, runs: Path, root: Path = ROOT) -> Snapshot:
        """The code below `root`, to be kept below the folder of all runs. Writes nothing."""
        files = sources(root)
        tree = tree_of(files)
        return cls(code_folder(runs) / f"{tree}.tar", tree, *commit_of(root), files)

    def write(self) -> None:
        """Make the archive unless it is there, as it was written.

        Then it is young again, so that neither purge nor `clean` takes it.
        """
        with contextlib.suppress(FileNotFoundError):
            if sha256_of(self.archive) == self.checksum:
                with contextlib.suppress(PermissionError):  # another user's, who shares the folder
                    os.utime(self.archive)
                return
        self.archive.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.archive, self._tar())

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the archive, as it has to be."""
        return hashlib.sha256(self._tar()).hexdigest()

    @cached_property
    def secret(self) -> str:
        """Why the code may not be copied, as it holds a secret; empty if it holds none."""
        return first_secret(self.files)

    def lines(self, nodes: int) -> list[str]:
        """Shell lines of a job that unpack the archive on each of its nodes and change directory into it.

        On the node's own disk; where a site gives none, once beside the archive: in a group's folder for each user.
        """
        each = (
            f"srun --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 --cpus-per-task=1 "
            if nodes > 1
            else ""
        )
        of_user = ".$(id -u)" if is_shared(self.archive.parents[1]) else ""
        lines = [
            f"code=${{SLURM_TMPDIR:-{shlex.quote(str(self.archive.parent))}}}/{UNPACKED}{self.tree}{of_user}",
            f'{each}bash -c {shlex.quote(UNPACK)} unpack "$code" '
            f"{shlex.quote(str(self.archive))} {self.checksum} || exit 1",
            'cd "$code" || exit 1',
        ]
        if self.commit:
            lines.append(f"export {COMMIT}={self.commit}{'+' * bool(self.dirty)}")
        return lines

    def _tar(self) -> bytes:
        """The same bytes for the same tree, on every machine."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in self.files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = 0o755 if os.path.splitext(name)[1] == ".sh" else 0o644
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()
