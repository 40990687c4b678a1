from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.files import read_json
from cluster.storage.mirror import Store

ROOT = Path(__file__).resolve().parents[3]


def quiet(size):
    pass


@pytest.fixture
def files(tmp_path):
    """Two files on disk, and one that is only told."""
    folder = tmp_path / "runs/a-s1-00000001"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * 1000)
    (folder / "DONE").write_text("{}")
    return {"a/told": b"text", "a/weights": folder / "weights", "a/DONE": folder / "DONE"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "project" / "kept")


def keep(store, files, tell=quiet):
    order = store.order("a", files)
    store.copy(order, tell)
    return list(order.todo)


def test_everything_is_copied_then_only_what_changed_on_either_side(store, files):
    heard = []
    assert keep(store, files, heard.append) == ["a/told", "a/weights", "a/DONE"]
    assert sum(heard) == 1006
    assert (store.path / "a/weights").read_bytes() == b"w" * 1000
    assert keep(store, files) == []
    files["a/weights"].write_bytes(b"v" * 1000)
    assert keep(store, {**files, "a/told": b"next"}) == ["a/told", "a/weights"]
    assert (store.path / "a/weights").read_bytes() == b"v" * 1000
    (store.path / "a/DONE").write_text("spoilt")
    (store.path / "a/told").unlink()
    assert keep(store, {**files, "a/told": b"next"}) == ["a/told", "a/DONE"]
    assert (store.path / "a/DONE").read_text() == "{}"


def test_manifest_tells_sizes_and_checksums(store, files):
    keep(store, files)
    told = read_json(store.manifest("a"))["files"]
    assert list(told) == ["a/DONE", "a/told", "a/weights"]
    assert told["a/told"]["bytes"] == 4
    sha256sum = subprocess.run(
        ["sha256sum", store.path / "a/weights"], capture_output=True, text=True, check=True
    )
    assert told["a/weights"]["sha256"] == sha256sum.stdout.split()[0]


def test_what_the_original_has_lost_stays(store, files):
    keep(store, files)
    files["a/weights"].unlink()
    del files["a/weights"]
    assert keep(store, files) == []
    assert (store.path / "a/weights").read_bytes() == b"w" * 1000
    assert "a/weights" in read_json(store.manifest("a"))["files"]


def test_order_counts_bytes_and_new_folders(store, files):
    order = store.order("a", files)
    assert (order.bytes, order.folders) == (1006, 3)  # project, kept, a
    store.copy(order, quiet)
    assert (store.order("a", files).bytes, store.order("a", files).folders) == (0, 0)
    assert store.count() == 7  # a and its three, .kept and its one, the folder itself


def test_copy_that_reads_back_differently_takes_nobodys_place(store, files, monkeypatch):
    keep(store, files)
    files["a/weights"].write_bytes(b"new")
    fsync = os.fsync

    def rot(descriptor):
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.suffix == ".tmp":
            path.write_bytes(b"rot")

    monkeypatch.setattr(os, "fsync", rot)
    with pytest.raises(ClusterError, match="what was written is not what is read back"):
        keep(store, files)
    monkeypatch.undo()
    assert (store.path / "a/weights").read_bytes() == b"w" * 1000
    assert not list(store.path.rglob("*.tmp"))
    assert keep(store, files) == ["a/weights"]


def test_file_that_grows_while_it_is_read_ends_where_it_ended(store, tmp_path):
    records = tmp_path / "events.jsonl"
    records.write_text("{}\n")

    def grow(size):
        with records.open("a") as file:
            file.write("{}\n")

    keep(store, {"a/events": records}, grow)
    assert (store.path / "a/events").read_text() == "{}\n"
    assert keep(store, {"a/events": records}) == ["a/events"]
    assert (store.path / "a/events").read_text() == "{}\n{}\n"


def test_missing_original_and_unwritable_store_are_told(store, files):
    order = store.order("a", files)
    files["a/DONE"].unlink()
    with pytest.raises(ClusterError, match=r"a is not kept: .*DONE: No such file or directory; the same"):
        store.copy(order, quiet)
    blocked = Store(store.path / "a/told")  # a file
    with pytest.raises(ClusterError, match=r"a is not kept: .*Not a directory"):
        blocked.copy(blocked.order("a", {"a/told": b"x"}), quiet)


def test_full_disk_keeps_the_old_copy(store, tmp_path):
    keep(store, {"a/weights": b"old"})
    code = (
        "import resource, sys; from pathlib import Path; from cluster.storage.mirror import Store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "store = Store(Path(sys.argv[1]))\n"
        "files = {'a/first': b'1', 'a/weights': b'x' * 9000, 'a/DONE': b'{}'}\n"
        "store.copy(store.order('a', files), lambda size: None)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(store.path)], cwd=ROOT, capture_output=True, text=True
    )
    assert "a is not kept: " in ran.stderr
    assert "File too large; the same command goes on" in ran.stderr
    assert (store.path / "a/weights").read_bytes() == b"old"
    assert sorted(path.name for path in (store.path / "a").iterdir()) == ["first", "weights"]


def test_killed_in_the_middle_it_goes_on_and_done_comes_last(store):
    files = {"a/one": b"1" * 1000, "a/two": b"2" * 1000, "a/DONE": b"{}"}
    code = (
        "import os, signal, sys; from pathlib import Path; from cluster.storage.mirror import Store\n"
        "heard = []\n"
        "def tell(size):\n"
        "    heard.append(size)\n"
        "    if len(heard) == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store = Store(Path(sys.argv[1]))\n"
        "files = {'a/one': b'1' * 1000, 'a/two': b'2' * 1000, 'a/DONE': b'{}'}\n"
        "store.copy(store.order('a', files), tell)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(store.path)], cwd=ROOT, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert (store.path / "a/one").read_bytes() == files["a/one"]
    assert not (store.path / "a/two").exists()
    assert not (store.path / "a/DONE").exists()
    keep(store, files)
    assert (store.path / "a/DONE").read_bytes() == b"{}"
    assert keep(store, files) == []
