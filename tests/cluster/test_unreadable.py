"""A file that the system cannot read or write for a moment, as on a parallel file system in trouble, by real calls."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
READ = "from cluster.files import read_record; print(read_record({path!r}))"
CONFIG = "from cluster.run.run_folder import RunFolder; RunFolder({path!r}.parent).read_config()"
WRITE = "from cluster.files import write_record; write_record({path!r}, {{'a': 2}})"


def tampered(code: str, path: Path, inject: str, *only: str) -> str:
    """What Python says to some code whose calls of the system are tampered with (strace(1))."""
    code = "from pathlib import Path, PosixPath\n" + code.format(path=path)
    words = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        *only,
        "-e",
        f"inject={inject}",
        sys.executable,
        "-c",
        code,
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "record.json"
    path.write_text('{"a": 1}')
    return path


def test_a_file_that_was_replaced_while_it_was_opened_is_opened_again(record):
    assert tampered(READ, record, "openat:error=ESTALE:when=1..3", "-P", str(record)) == "{'a': 1}\n"


@pytest.mark.parametrize(("code", "name"), [(READ, "record.json"), (CONFIG, "config.yaml")])
@pytest.mark.parametrize("error", ["EIO", "ESTALE"])
def test_what_cannot_be_read_now_is_not_called_damaged_nor_to_be_deleted(tmp_path, code, name, error):
    path = tmp_path / "tiny-s1-0123abcd" / name
    path.parent.mkdir()
    path.write_text('{"a": 1}')
    told = tampered(code, path, f"openat:error={error}", "-P", str(path)).splitlines()[-1]
    assert told.startswith(f"cluster.files.UnreadableFile: {path} cannot be read: ")
    assert told.endswith(
        "the file system is in trouble: wait, and look at the site's status page; then give the same "
        "command again"
    )


@pytest.mark.parametrize("which", [1, 2])
def test_a_sync_that_fails_names_what_it_was_about(record, which):
    told = tampered(WRITE, record, f"fsync:error=EIO:when={which}").splitlines()[-1]
    assert told == f"OSError: [Errno 5] Input/output error: '{record if which == 1 else record.parent}'"
    assert record.read_text().startswith('{"a": 1}' if which == 1 else '{\n  "a": 2,')
    assert list(record.parent.iterdir()) == [record]
