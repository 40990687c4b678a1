"""Every command of Slurm hears an environment of ours, and none of its failures is an exception."""

from __future__ import annotations

import os
from typing import get_args

import pytest

from cluster.slurm import client

SET = {
    "SQUEUE_STATES": "RUNNING",
    "SQUEUE_FORMAT": "%i",
    "SQUEUE_USERS": "nobody",
    "SACCT_FORMAT": "jobid",
    "SACCT_FEDERATION": "1",
    "SACCTMGR_X": "1",
    "SCONTROL_ALL": "1",
    "SINFO_FORMAT": "%n",
    "SINFO_PARTITION": "x",
    "SCANCEL_STATE": "PENDING",
    "SSHARE_X": "1",
    "SPRIO_FORMAT": "x",
    "SALLOC_ACCOUNT": "x",
    "SBATCH_ACCOUNT": "y",
    "SBATCH_WAIT": "1",
    "SRUN_DEBUG": "z",
    "SLURM_TIME_FORMAT": "relative",
    "SLURM_CLUSTERS": "other",
    "SLURM_BITSTR_LEN": "31",
    "SLURM_CPU_BIND": "x",
    "SLURMD_NODENAME": "n1",
    "PMIX_RANK": "0",
    "PMI_FD": "3",
    "SUBMITIT_EXECUTOR": "slurm",
}
STAYS = {"SLURM_CONF": "/etc/slurm.conf", "HOME": "/home/me", "LAYALIGN_RUNS": "/runs", "SINFONIA": "x"}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Put a command of any name on the path, alone."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(name, body):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)

    return make


def test_what_is_set_for_slurm_is_forgotten_but_which_cluster_it_is():
    environ = {**SET, **STAYS}
    assert client.scrubbed(environ) == STAYS
    assert environ == {**SET, **STAYS}


@pytest.mark.parametrize("name", get_args(client.Command))
def test_no_command_hears_what_the_user_has_set_for_it(name, command, monkeypatch, tmp_path):
    for key, value in {**SET, **STAYS, "LANG": "fr_CA.UTF-8"}.items():
        monkeypatch.setenv(key, value)
    command(name, "/usr/bin/env")
    told = dict(line.partition("=")[::2] for line in client.run(name).out.splitlines())
    heard = {key: value for key, value in told.items() if key in SET}
    if name in client.STARTERS:  # their environment becomes the job's
        assert heard == {}
        assert "LC_ALL" not in told
    else:
        assert heard == {"SLURM_BITSTR_LEN": "0"}
        assert told["LC_ALL"] == "C"
    assert STAYS.items() <= told.items()


def test_an_answer_is_told_apart_from_silence(command):
    command("squeue", "echo here; echo there >&2; exit 3")
    answer = client.run("squeue")
    assert (answer.status, answer.out, answer.said, answer.fault, answer.ok) == (
        3,
        "here\n",
        "there",
        "",
        False,
    )
    assert client.ask("squeue") is None
    command("squeue", "exit 3")
    assert client.run("squeue").said == "exit status 3"
    command("sinfo", "printf 'caf\\xe9\\n'")
    assert client.ask("sinfo") == "caf\N{REPLACEMENT CHARACTER}\n"


def test_missing_slow_and_unusable_commands_are_failures_like_others(command, tmp_path):
    command("squeue", "exec /bin/sleep 5")
    answer = client.run("squeue", timeout_s=0.2)
    assert (answer.status, answer.fault) == (124, "slow")
    assert answer.said == "squeue timed out: no answer within 0 s"
    answer = client.run("sacct")
    assert (answer.status, answer.fault, answer.said) == (127, "missing", "there is no sacct on this machine")
    assert not client.installed("sacct")
    assert client.installed("squeue")
    (tmp_path / "sacct").write_text("not a program")
    (tmp_path / "sacct").chmod(0o755)
    assert client.run("sacct").fault == "missing"
    assert client.show("sinfo", environ=os.environ, cwd=tmp_path) == 127


def test_a_command_that_is_shown_gets_what_its_job_is_to_know(command, tmp_path, capfd):
    command("srun", "/usr/bin/env; /bin/pwd; exit 4")
    status = client.show("srun", environ={**os.environ, **SET, "HF_HUB_OFFLINE": "1"}, cwd=tmp_path)
    printed = capfd.readouterr().out.splitlines()
    assert status == 4
    assert "HF_HUB_OFFLINE=1" in printed
    assert str(tmp_path) in printed
    assert not [line for line in printed if line.partition("=")[0] in SET]
