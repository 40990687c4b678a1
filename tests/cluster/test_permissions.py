from __future__ import annotations

import contextlib
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.permissions import (
    PRIVATE,
    SHARED,
    check_readable,
    check_writers,
    may_look_into,
    shell_check,
    umask,
    umask_of,
    writers_obstacle,
)

ROOT = Path(__file__).resolve().parents[2]
OTHER, GROUP = 54321, 54330
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture
def pickle(tmp_path):
    """A pickle below a private folder of all runs."""
    root = tmp_path / "it's my runs"
    with umask(PRIVATE):
        (root / "a-s1-00000000" / "slurm").mkdir(parents=True)
        path = root / "a-s1-00000000" / "slurm" / "call-0123456789ab-0.pkl"
        path.write_bytes(b"")
    root.chmod(0o700)
    return root, path


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o2755, 0o770, 0o1777, 0o777])
def test_only_a_folder_that_is_setgid_and_its_groups_to_write_is_shared(tmp_path, mode):
    tmp_path.chmod(mode)
    assert umask_of(tmp_path) == PRIVATE
    assert umask_of(tmp_path / "not yet") == PRIVATE
    tmp_path.chmod(0o2770)
    assert umask_of(tmp_path) == SHARED


def test_modes_are_those_of_the_folder_whatever_the_shell_says(tmp_path):
    before = os.umask(0o022)
    try:
        for mask, modes in ((PRIVATE, (0o700, 0o600)), (SHARED, (0o770, 0o660))):
            with contextlib.suppress(KeyError), umask(mask):
                (tmp_path / f"{mask}").mkdir()
                (tmp_path / f"{mask}" / "file").write_text("")
                raise KeyError
            found = (tmp_path / f"{mask}").stat().st_mode, (tmp_path / f"{mask}" / "file").stat().st_mode
            assert tuple(map(stat.S_IMODE, found)) == modes
        assert os.umask(0o022) == 0o022, "the user's own comes back"
    finally:
        os.umask(before)


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("mode", [0o702, 0o777, 0o1777])
def test_what_everybody_can_write_is_refused_with_the_command_that_ends_it(pickle, depth, mode):
    root, path = pickle
    place = [path, *path.parents][depth]
    place.chmod(mode)
    told = writers_obstacle(path, root)
    assert told.startswith(f"{place} can be written by others (mode 0{mode:o})")
    command = told.partition("end that first: ")[2].partition("; ")[0]
    assert shlex.split(command) == ["chmod", "go-w", str(place)]
    with pytest.raises(ClusterError, match="can be written by others"):
        check_writers(path, root)
    subprocess.run(command, shell=True, check=True)
    check_writers(path, root)


def test_every_place_is_named_at_once_and_what_is_above_is_not_ours_to_judge(pickle):
    root, path = pickle
    for place in (path, path.parent, root):
        place.chmod(0o777)
    root.parent.chmod(0o777)
    told = writers_obstacle(path, root)
    assert shlex.join(map(str, (path, path.parent, root))) in told
    assert shlex.quote(str(path.parents[1])) + " " not in told
    assert not writers_obstacle(root / "new" / "slurm", root / "new")


@as_root
def test_a_group_may_write_what_is_its_folder_and_nothing_else(pickle):
    root, path = pickle
    for place in (path, *path.parents[:3]):
        os.chown(place, 0, GROUP)
        place.chmod(0o770)
    assert "can be written by others" in writers_obstacle(path, root)
    for place in path.parents[:3]:
        place.chmod(0o2770)
    path.chmod(0o660)
    assert not writers_obstacle(path, root)
    os.chown(path.parent, 0, GROUP + 1)
    path.parent.chmod(0o2770)
    told = writers_obstacle(path, root)
    assert told.startswith(str(path.parent))
    assert "chmod o-w" not in told or "go-w" not in told
    os.chown(path.parent, 0, GROUP)
    path.parent.chmod(0o2777)
    assert f"chmod o-w {shlex.quote(str(path.parent))}" in writers_obstacle(path, root)


@as_root
@pytest.mark.parametrize("shared", [False, True])
def test_a_pickle_of_another_user_is_not_loaded_though_a_groups_folder_may_be_theirs(pickle, shared):
    root, path = pickle
    if shared:
        for place in path.parents[:3]:
            os.chown(place, OTHER, GROUP)
            place.chmod(0o2770)
        assert not writers_obstacle(path, root), "the call is mine"
    os.chown(path, OTHER, GROUP)
    told = writers_obstacle(path, root)
    assert told.startswith(f"{path} is user {OTHER}'s (mode 0600)")
    assert "--runs FOLDER" in told


@as_root
def test_a_private_folder_of_another_user_takes_no_pickle_of_mine(pickle):
    root, path = pickle
    os.chown(root, OTHER, OTHER)
    assert writers_obstacle(path.parent, root).startswith(f"{root} is user {OTHER}'s (mode 0700)")


def asked(path, root):
    """What the shell says of a pickle, and whether a job would go on."""
    script = f"{shell_check(path, root)}\necho loaded"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (ran.returncode == 0) == (ran.stdout == "loaded\n")
    assert ran.returncode in (0, 1)
    return ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o702, 0o720, 0o777, 0o1777, 0o770])
@pytest.mark.parametrize("group", [None, GROUP])
def test_the_shell_of_a_job_has_the_same_rule(pickle, depth, mode, group):
    root, path = pickle
    place = [path, *path.parents][depth]
    if group and os.getuid():
        pytest.skip("only root can give files away")
    if group:
        os.chown(place, -1, group)
    place.chmod(mode)
    loaded, said = asked(path, root)
    assert loaded == (not writers_obstacle(path, root))
    assert not loaded or not said
    assert loaded or said.startswith(
        f"{place} can be written by others (mode 0{mode:o}), and a job's call is a pickle"
    )


@as_root
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("group", [GROUP, GROUP + 1])
def test_the_shell_of_a_job_has_the_same_rule_for_groups_and_owners(pickle, shared, depth, group):
    root, path = pickle
    if shared:
        for place in path.parents[:3]:
            os.chown(place, 0, GROUP)
            place.chmod(0o2770)
    assert asked(path, root) == (True, "")
    place = [path, *path.parents][depth]
    if place == root:
        return
    os.chown(place, OTHER, group)
    place.chmod(0o2770)
    loaded, _ = asked(path, root)
    assert loaded == (not writers_obstacle(path, root)) == (shared and depth > 0 and group == GROUP)


def test_a_job_whose_call_is_gone_or_that_cannot_ask_does_not_go_on(pickle):
    root, path = pickle
    check = shell_check(path, root)
    ran = subprocess.run(["/bin/bash", "-c", f"PATH=\n{check}"], capture_output=True, check=False)
    assert ran.returncode == 1
    path.unlink()
    assert not asked(path, root)[0]


@as_root
def test_who_may_not_look_is_told_whose_it_is_and_nothing_is_taken_for_empty(tmp_path):
    code = f"""
import os, sys, pathlib
sys.path.insert(0, {str(ROOT)!r})
import cluster.permissions as p
os.setgroups([]); os.setgid({OTHER}); os.setuid({OTHER})
print(p.may_look_into(pathlib.Path(sys.argv[1])), p.may_look_into(pathlib.Path(sys.argv[1])))
for name in sys.argv[1:]:
    try:
        p.check_readable(pathlib.Path(name))
    except p.ClusterError as error:
        print(error)
"""
    top = tmp_path.parents[len(tmp_path.parents) - 3]  # pytest's own folder is private as well
    with umask(PRIVATE):
        (tmp_path / "runs").mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "runs"), "/tmp", "/nowhere/at/all"],
        capture_output=True,
        text=True,
        check=True,
    )
    first, *lines = ran.stdout.splitlines()
    assert first == "False False"
    assert len(ran.stderr.splitlines()) <= 1
    assert len(lines) == 1
    assert "root's and private (mode 0700): you may not look into it" in lines[0]
    assert lines[0].startswith(str(top))
    check_readable(tmp_path / "runs")
    assert may_look_into(tmp_path)
