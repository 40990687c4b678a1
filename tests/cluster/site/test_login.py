"""The first login sets up what is missing and never rewrites what stands there."""

from __future__ import annotations

import os
import pwd

import pytest

from cluster.errors import ClusterError
from cluster.profile.load import load_profile
from cluster.profile.profile_file import user_profile_path
from cluster.site.login import add_profile, first_login


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A home, and a Slurm of few words."""
    (tmp_path / "bin").mkdir()
    for name in ("scratch", "project"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    answer(tmp_path, "sinfo", "4|48|510000|gpu:a100:4|b1|7-00:00:00")
    answer(tmp_path, "scontrol", "MaxArraySize = 1001")
    places = {"SCRATCH": str(tmp_path / "scratch"), "PROJECT": str(tmp_path / "project")}
    return {"HOME": str(tmp_path), "CC_CLUSTER": "narval", **places}


ME = pwd.getpwuid(os.getuid()).pw_name


def answer(folder, command, *lines):
    path = folder / "bin" / command
    path.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    path.chmod(0o755)


def test_only_account_is_written_for_the_profile_to_read(site, tmp_path):
    answer(tmp_path, "sacctmgr", "Quota: 80 % of 5000 used", f"def-prof_cpu|{ME}", f"def-prof_gpu|{ME}")
    lines = first_login("narval", None, site)
    path = tmp_path / ".config" / "layalign" / "profiles.yaml"
    assert lines[:2] == ["accounts: def-prof", f"wrote: {path}: account def-prof on narval"]
    assert any(line.startswith("differs  limits.array") for line in lines), "the doctor has run"
    assert lines[-4:] == [line for line in lines if line.startswith("  ")]
    assert "--cluster narval --recipe math --stage all --dry-run" in lines[-1]
    assert load_profile("narval", (), site).account == "def-prof"


def test_several_accounts_are_left_to_the_user(site, tmp_path):
    answer(tmp_path, "sacctmgr", "12345", f"rrg-prof_gpu|{ME}", f"def-prof_gpu|{ME}")
    lines = first_login("narval", None, site)
    assert lines[0] == "accounts: def-prof, rrg-prof"
    assert "choose one in" in lines[1]
    assert load_profile("narval", (), site).account is None
    before = user_profile_path(site).read_text()
    first_login("narval", None, site)
    assert user_profile_path(site).read_text() == before, "the second time adds nothing"
    first_login("narval", "rrg-prof", site)
    assert user_profile_path(site).read_text().startswith(before)
    assert load_profile("narval", (), site).account == "rrg-prof"
    with pytest.raises(ClusterError, match="def-other is no account of yours; you have def-prof, rrg-prof"):
        first_login("narval", "def-other", site)


@pytest.mark.parametrize(
    "text", ["narval: {account: def-old}\n", "narval:\n  mail: me@example.org # mine", "fir: {}"]
)
def test_what_stands_in_the_file_stays(tmp_path, text):
    path = tmp_path / "profiles.yaml"
    path.write_text(text)
    [line] = add_profile(path, "narval", "def-new", ())
    assert path.read_text().startswith(text)
    if text.startswith("narval"):
        assert path.read_text() == text
        assert line.startswith("kept: ")
        assert ("account: def-new" in line) == ("account" not in text)
    else:
        assert path.read_text() == text + "\nnarval: {account: def-new}\n"


def test_machine_that_is_no_cluster_is_sent_to_the_miniature(site):
    lines = first_login("local", None, site)
    assert lines[-1].endswith("python launch.py train --cluster local --recipe mini --stage all --dry-run")
