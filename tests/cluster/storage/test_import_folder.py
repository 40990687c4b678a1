from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.storage.import_folder import ImportFolder, import_folders, new_import_folder, place

ROOT = Path(__file__).resolve().parents[3]
KILLED = (
    "import os, signal, sys; from pathlib import Path; from cluster.storage.import_folder import new_import_folder\n"
    "with new_import_folder(Path(sys.argv[1])) as folder:\n"
    "    (folder.content / 'a').mkdir()\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
)


def test_draft_is_hidden_and_gone_in_the_end(tmp_path):
    root = tmp_path / "new" / "runs"
    with new_import_folder(root) as folder:
        (folder.content / "a").mkdir()
        (folder.content / "a" / "file").touch()
        assert [path.name[0] for path in root.iterdir()] == ["."]
        place(folder, root, ["a"])
    assert [path.relative_to(root).as_posix() for path in root.rglob("*")] == ["a", "a/file"]
    with pytest.raises(RuntimeError), new_import_folder(root):
        raise RuntimeError
    assert os.listdir(root) == ["a"]


def test_draft_of_a_killed_import_is_removed_by_the_next(tmp_path):
    ran = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert ran.returncode == -signal.SIGKILL
    (left,) = import_folders(tmp_path)
    assert left.abandoned()
    with new_import_folder(tmp_path):
        assert not left.path.exists()
    assert os.listdir(tmp_path) == []


def test_draft_of_a_living_import_stays(tmp_path):
    with new_import_folder(tmp_path) as first:
        with new_import_folder(tmp_path) as second:
            assert {one.path for one in import_folders(tmp_path)} == {first.path, second.path}
        assert first.content.is_dir()


def test_draft_without_a_lease_is_given_up_after_a_while(tmp_path):
    folder = ImportFolder(tmp_path / ".import-x")
    folder.path.mkdir()
    assert not folder.abandoned()
    os.utime(folder.path, (time.time() - 4000,) * 2)
    assert folder.abandoned()


def test_nothing_takes_the_place_of_what_is_there(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").touch()
    with new_import_folder(tmp_path) as folder:
        (folder.content / "a").mkdir()
        (folder.content / "a" / "file").touch()
        with pytest.raises(ClusterError, match="a cannot be made: Directory not empty"):
            place(folder, tmp_path, ["a"])
    assert os.listdir(tmp_path / "a") == ["mine"]


def test_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError, match="--runs FOLDER"), new_import_folder(tmp_path / "file" / "runs"):
        pass
