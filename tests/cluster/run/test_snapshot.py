from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from cluster.provenance import ROOT, provenance, tree_hash
from cluster.run.snapshot import Snapshot

ENVIRON = {"PATH": os.environ["PATH"], "SLURMD_NODENAME": "n1"}


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "it's a checkout"
    for name, text in {
        "layalign/a.py": "a = 1\n",
        "layalign/__pycache__/a.pyc": "x",
        "jobs/recipes/r.yaml": "name: r\n",
        "envs/c.sh": "echo\n",
        "launch.py": "\n",
        "pyproject.toml": "\n",
        "README.md": "no code",
        "runs/big.bin": "no code",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def unpack(snapshot, tmp_path, **environ):
    """The folder that a job would work in."""
    script = "\n".join([*snapshot.lines(nodes=1), "pwd; echo $LAYALIGN_COMMIT"])
    environ = {**ENVIRON, "SLURM_TMPDIR": str(tmp_path / "disk"), **environ}
    ran = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()


def test_one_archive_for_each_tree(checkout, tmp_path):
    first = Snapshot.of(tmp_path / "my runs", checkout)
    first.write()
    written = first.archive.stat().st_ino
    Snapshot.of(tmp_path / "my runs", checkout).write()
    assert first.archive.stat().st_ino == written
    assert first.archive.name == f"{tree_hash(checkout)}.tar"
    (checkout / "layalign" / "a.py").write_text("a = 2\n")
    second = Snapshot.of(tmp_path / "my runs", checkout)
    second.write()
    assert {path.name for path in first.archive.parent.iterdir()} == {first.archive.name, second.archive.name}


def test_archive_depends_on_nothing_but_the_code(checkout, tmp_path):
    snapshot = Snapshot.of(tmp_path / "a", checkout)
    snapshot.write()
    os.utime(checkout / "launch.py", (1, 1))
    (checkout / "launch.py").chmod(0o700)
    again = Snapshot.of(tmp_path / "b", checkout)
    again.write()
    assert snapshot.archive.read_bytes() == again.archive.read_bytes()


def test_job_finds_the_code_and_no_more(checkout, tmp_path):
    snapshot = Snapshot.of(tmp_path / "my runs", checkout)
    snapshot.write()
    (checkout / "layalign" / "a.py").write_text("edited while queued\n")
    folder = unpack(snapshot, tmp_path)[0]
    assert folder == str(tmp_path / "disk" / f"code-{snapshot.tree}")
    found = {path.relative_to(folder).as_posix() for path in (tmp_path / "disk").rglob("*") if path.is_file()}
    assert found == set(snapshot.files)
    assert {"layalign/a.py", "jobs/recipes/r.yaml", "envs/c.sh", "launch.py", "pyproject.toml"} == found
    assert tree_hash(tmp_path / "disk" / f"code-{snapshot.tree}") == snapshot.tree
    assert os.access(f"{folder}/envs/c.sh", os.X_OK)


def test_nodes_that_share_a_disk_do_not_get_in_each_others_way(checkout, tmp_path):
    snapshot = Snapshot.of(tmp_path / "my runs", checkout)
    snapshot.write()
    script = "\n".join(snapshot.lines(nodes=1))
    started = [
        subprocess.Popen(
            ["bash", "-c", script],
            env={**ENVIRON, "SLURM_TMPDIR": str(tmp_path / "disk"), "SLURMD_NODENAME": f"n{n}"},
        )
        for n in range(6)
    ]
    assert [process.wait() for process in started] == [0] * 6
    assert [path.name for path in (tmp_path / "disk").iterdir()] == [f"code-{snapshot.tree}"]
    assert len(unpack(snapshot, tmp_path)) == 2


def test_site_without_local_disks_unpacks_once_beside_the_archive(checkout, tmp_path):
    snapshot = Snapshot.of(tmp_path / "it's my runs", checkout)
    snapshot.write()
    for _ in range(2):
        folder = unpack(snapshot, tmp_path, SLURM_TMPDIR="")[0]
        assert folder == str(snapshot.archive.parent / f"code-{snapshot.tree}")


def test_archive_that_is_used_again_is_young_again(checkout, tmp_path):
    snapshot = Snapshot.of(tmp_path / "my runs", checkout)
    snapshot.write()
    os.utime(snapshot.archive, (1e9, 1e9))
    number = snapshot.archive.stat().st_ino
    snapshot.write()
    assert snapshot.archive.stat().st_ino == number
    assert snapshot.archive.stat().st_mtime > 1.7e9


def test_without_an_archive_the_job_ends_at_once(checkout, tmp_path):
    snapshot = Snapshot.of(tmp_path / "my runs", checkout)
    with pytest.raises(subprocess.CalledProcessError):
        unpack(snapshot, tmp_path)


def test_commit_and_changes_travel_with_the_job(checkout, tmp_path, monkeypatch):
    snapshot = replace(Snapshot.of(tmp_path / "my runs", checkout), commit="a" * 40, dirty=True)
    snapshot.write()
    told = unpack(snapshot, tmp_path)[1]
    assert told == "a" * 40 + "+"
    monkeypatch.setenv("LAYALIGN_COMMIT", told)
    monkeypatch.setattr("cluster.provenance._git", lambda *_: None)
    record = provenance(ROOT)
    assert (record["commit"], record["dirty"]) == ("a" * 40, True)


def test_several_nodes_unpack_through_srun(checkout, tmp_path):
    snapshot = Snapshot.of(tmp_path, checkout)
    assert "srun" not in "".join(snapshot.lines(1))
    assert "srun --nodes=3 --ntasks=3 --ntasks-per-node=1 --cpus-per-task=1 bash -c" in snapshot.lines(3)[1]
