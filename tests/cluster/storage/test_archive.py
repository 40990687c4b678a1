"""Archives as export writes them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.storage.archive import MANIFEST, Entry, write_archive
from cluster.storage.unpack import Archive, differences

ROOT = Path(__file__).resolve().parents[3]
FILES = {"a-s1-00000001/config.yaml": b"name: a\n", "a-s1-00000001/bridge/w": bytes(range(256)) * 40}


def quiet(size):
    pass


def unpack(path, folder):
    archive = Archive(path)
    folder.mkdir()
    archive.unpack(folder, [], quiet)
    return archive


def tree(folder):
    """Content by path of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def entries(files):
    return tuple(Entry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items())


def test_what_comes_out_is_what_went_in(tmp_path):
    on_disk = tmp_path / "events"
    on_disk.write_bytes(b"x" * 5_000_000)
    names = {"ünï 数学-s1-00000001/" + "long" * 40 + "/" + "n" * 200: b"", "b/c": on_disk}
    heard = []
    written = write_archive(tmp_path / "a.tar", {"kind": "run"}, {**FILES, **names}, heard.append)
    read = unpack(tmp_path / "a.tar", tmp_path / "out")
    assert read.manifest == written
    assert read.manifest.about == {"kind": "run"}
    assert tree(tmp_path / "out") == {**FILES, next(iter(names)): b"", "b/c": on_disk.read_bytes()}
    assert sum(heard) == 2 * written.size == 2 * read.manifest.size
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "events", "out"]


def test_same_files_are_the_same_bytes_and_name_no_user(tmp_path):
    for name in ("a", "b"):
        write_archive(tmp_path / name, {"kind": "run"}, FILES, quiet)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with tarfile.open(tmp_path / "a") as tar:
        members = tar.getmembers()
    assert members[0].name == MANIFEST
    assert {(m.uid, m.uname, m.mtime, m.mode) for m in members} == {(0, "", 0, 0o644)}


def test_file_that_is_there_stays(tmp_path):
    target = tmp_path / "a.tar"
    target.write_text("mine")
    with pytest.raises(ClusterError, match=r"a.tar exists: name another file with --to, or remove it"):
        write_archive(target, {}, FILES, quiet)
    assert target.read_text() == "mine"


def test_file_that_appears_meanwhile_stays(tmp_path):
    target = tmp_path / "a.tar"
    with pytest.raises(ClusterError, match="exists by now"):
        write_archive(target, {}, FILES, lambda size: target.write_text("mine"))
    assert target.read_text() == "mine"
    assert os.listdir(tmp_path) == ["a.tar"]


def test_records_may_grow_while_they_are_read_and_other_changes_are_noticed(tmp_path):
    growing, changing = tmp_path / "events.jsonl", tmp_path / "weights"
    growing.write_text("{}\n")
    changing.write_text("old")

    def grow(size):
        with growing.open("a") as file:
            file.write("{}\n")

    written = write_archive(tmp_path / "a.tar", {}, {"x/e": growing}, grow)
    assert written.files[0].bytes == 3
    unpack(tmp_path / "a.tar", tmp_path / "out")
    assert tree(tmp_path / "out") == {"x/e": b"{}\n"}
    with pytest.raises(ClusterError, match="x/w was changed while it was read"):
        write_archive(tmp_path / "b.tar", {}, {"x/w": changing}, lambda size: changing.write_text("new"))
    assert not (tmp_path / "b.tar").exists()


def test_full_disk_leaves_nothing_and_says_so(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path; from cluster.storage.archive import write_archive\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "write_archive(Path(sys.argv[1]), {}, {'a': b'x' * 100000}, lambda size: None)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.tar")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ClusterError" in ran.stderr
    assert (
        "a.tar cannot be written: File too large; free space, or name another place with --to" in ran.stderr
    )
    assert os.listdir(tmp_path) == []


def test_killed_export_leaves_a_draft_that_a_later_one_removes(tmp_path):
    code = (
        "import os, sys, signal; from pathlib import Path; from cluster.storage.archive import write_archive\n"
        "heard = []\n"
        "def tell(size):\n"
        "    heard.append(size)\n"
        "    if sum(heard) > 1500: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_archive(Path(sys.argv[1]), {}, {'a': b'x' * 1000}, tell)\n"
    )
    target = tmp_path / "[a].tar"
    ran = subprocess.run([sys.executable, "-c", code, str(target)], cwd=ROOT, check=False)
    assert ran.returncode == -signal.SIGKILL
    (draft,) = os.listdir(tmp_path)
    assert draft.startswith(".[a].tar.")
    write_archive(target, {}, FILES, quiet)
    assert sorted(os.listdir(tmp_path)) == [draft, "[a].tar"]  # it might be of one that is at work
    target.unlink()
    os.utime(tmp_path / draft, (time.time() - 4000,) * 2)
    write_archive(target, {}, FILES, quiet)
    assert os.listdir(tmp_path) == ["[a].tar"]


def test_unpacking_takes_little_memory(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path; from cluster.storage.unpack import Archive\n"
        "from cluster.storage.archive import write_archive\n"
        "a, out = Path(sys.argv[1], 'a.tar'), Path(sys.argv[1], 'out'); out.mkdir()\n"
        "big = Path(sys.argv[1], 'big'); big.touch(); import os; os.truncate(big, 80_000_000)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "write_archive(a, {}, {'x/big': big}, lambda size: None)\n"
        "Archive(a).unpack(out, [], lambda size: None)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert int(ran.stdout) < 40_000  # kB, of 80 MB


def test_differences_are_told_and_records_may_have_grown(tmp_path):
    files = {"a/same": b"1", "a/longer": b"2", "a/e.jsonl": b"{}\n", "a/f.jsonl": b"{}\n", "a/gone": b""}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert differences(tmp_path, entries(files)) == []
    (tmp_path / "a/longer").write_bytes(b"22")
    (tmp_path / "a/e.jsonl").write_bytes(b"{}\n{}\n")
    (tmp_path / "a/f.jsonl").write_bytes(b"[]\n{}\n")
    (tmp_path / "a/gone").unlink()
    assert differences(tmp_path, entries(files)) == ["a/longer", "a/f.jsonl", "a/gone"]
