from __future__ import annotations

import os
import subprocess

import pytest

from cluster.provenance import commit_of, provenance, tree_hash


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "it's a checkout"
    (root / "layalign").mkdir(parents=True)
    (root / "layalign" / "a.py").write_text("a = 1\n")
    (root / "launch.py").write_text("\n")
    return root


def test_tree_hash_follows_the_code_and_nothing_else(checkout):
    before = tree_hash(checkout)
    (checkout / "layalign" / "__pycache__").mkdir()
    (checkout / "layalign" / "__pycache__" / "a.pyc").write_text("x")
    (checkout / "README.md").write_text("x")
    assert tree_hash(checkout) == before
    (checkout / "layalign" / "a.py").rename(checkout / "layalign" / "b.py")
    assert tree_hash(checkout) != before
    (checkout / "layalign" / "b.py").rename(checkout / "layalign" / "a.py")
    (checkout / "layalign" / "a.py").write_text("a = 2\n")
    assert tree_hash(checkout) != before


def test_code_without_git_has_no_commit(checkout):
    told = provenance(checkout)
    assert (told["commit"], told["dirty"]) == (None, None)
    assert told["packages"]["submitit"]


def commit(checkout):
    """All of it, as the first commit."""
    names = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init"], ["add", "."], ["commit", "-m", "x"]):
        subprocess.run(["git", "-C", str(checkout), *names, *words], check=True, capture_output=True)


def test_commit_and_changes_are_told(checkout):
    commit(checkout)
    assert len(provenance(checkout)["commit"]) == 40
    assert provenance(checkout)["dirty"] is False
    (checkout / "notes.txt").write_text("not code")
    assert provenance(checkout)["dirty"] is False
    (checkout / "launch.py").write_text("changed\n")
    assert provenance(checkout)["dirty"] is True
    nested = checkout / "layalign"
    assert provenance(nested)["commit"] is None


def test_asking_changes_nothing_of_the_checkout(checkout):
    commit(checkout)
    index = checkout / ".git" / "index"
    before = index.read_bytes()
    os.utime(checkout / "launch.py", (1, 1))
    assert commit_of(checkout)[1] is False
    assert (
        index.read_bytes() == before
    )  # to write it, git takes a lock, which it leaves behind if it is killed
