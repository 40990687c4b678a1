"""Whose job an id is: ids come again when a controller's counter starts anew, and every cluster has its own.

Accounting and squeue are believed about an id only as far as name, script and time agree; of another cluster's job
nothing is said here but where it is.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from datetime import datetime, timedelta

import pytest

from cluster.errors import ClusterError
from cluster.files import CHECKSUM
from cluster.job.causes import ending_of
from cluster.job.race import new_rival, submission_state_of_run
from cluster.run.grid_folder import GridFolder
from cluster.run.lease import SILENCE_S, Holder, Lease
from cluster.run.run_folder import RunFolder
from cluster.slurm import client
from cluster.slurm.accounting import parse_usage
from cluster.slurm.queue import EndedJob, Look, job_is_alive
from cluster.slurm.submission import (
    IN_FLIGHT,
    Elsewhere,
    Submission,
    Unsettled,
    own_rows,
    recorded,
    submission_state,
)
from tests.cluster.fake_slurm import holder
from tests.cluster.slurm.test_submission import row, submitted

CONFIG = "Configuration data as of 2026-11-27T10:00:00\nAccountingStorageType = x\nClusterName             = {name}\n"


def local(**ago):
    """A time of Slurm's, so long ago."""
    return f"{datetime.now() - timedelta(**ago):%Y-%m-%dT%H:%M:%S}"


@pytest.fixture
def here(slurm):
    """Lets the controller say which cluster this is."""

    def say(name):
        path = slurm.folder / "scontrol"
        path.write_text(f'#!/bin/sh\necho "scontrol $*" >> {slurm.folder}/asked\ncat {slurm.folder}/config\n')
        path.chmod(0o755)
        slurm.set("config", CONFIG.format(name=name))
        client._cluster_of.cache_clear()

    yield say
    client._cluster_of.cache_clear()


def ended(job="7", name="a", command="sbatch --parsable /r/a.sh", submit=""):
    return EndedJob(job, job.partition("_")[0], "FAILED", "1:0", name, command, submit)


@pytest.mark.parametrize(
    ("row", "ours"),
    [
        (ended(), True),
        (ended("7_2"), True),
        (ended("8"), False),
        (ended(name="vasp", command="sbatch vasp.sh"), False),
        (ended(name="vasp", command=""), False),
        (ended(command=""), True),
        (ended(command="", submit=local(minutes=-60)), True),
        (ended(command="", submit=local(days=400)), False),
        (ended(command="sbatch /tmp/wrapped.sh", submit=local(minutes=-60)), True),  # of a site's wrapper
        (ended(command="sbatch /tmp/wrapped.sh", submit=local(days=400)), False),
        (ended(name="renamed"), True),  # scontrol update JobName
        (ended(name="", command=""), True),  # a site that keeps neither
    ],
)
def test_a_row_of_accounting_is_ours_by_script_name_and_time(row, ours):
    assert submitted("7").owns(row) == ours
    kept = own_rows([row, ended("9", name="earlier")], [submitted("7")])
    assert [one.id for one in kept] == [row.id] * (ours or row.id == "8") + ["9"]


def test_sacct_is_asked_for_name_line_and_time_also_of_usage():
    told = "|".join(["7", "FAILED", "1:0", "5", "10", "", "", "", "1", "1", "", "n1", "x", "y", ""])
    (usage,) = parse_usage(f"{told}|2026-11-25T08:00:00|a|sbatch --wrap=a|b\n")
    assert (usage.submit, usage.name, usage.command) == ("2026-11-25T08:00:00", "a", "sbatch --wrap=a|b")
    assert not submitted("7").owns(usage)
    assert submitted("7").owns(replace(usage, submit=local(minutes=-60)))


def test_how_a_start_ended_is_read_of_its_own_job_after_ids_began_anew(slurm):
    rows = ["14_0\tCANCELLED by 0\t0:15\tvasp\t\t2024-01-01T00:00:00", "14_0\tNODE_FAIL\t1:0\ttiny-s2\t\t"]
    slurm.set("accounting", "\n".join(rows) + "\n")
    assert ending_of("14_0", 0, looks=1, name="tiny-s2").state == "NODE_FAIL"
    assert ending_of("14_0", 0, looks=1).state == "CANCELLED"  # an event of an earlier version has no name


@pytest.mark.parametrize(
    ("facts", "named", "alive"),
    [
        ({}, "a", True),
        ({"name": "a"}, "a", True),
        ({"name": "tiny-s2"}, "a", None),
        ({"name": "a"}, "", True),
    ],
)
def test_a_row_of_squeue_is_the_holders_by_its_name(slurm, facts, named, alive):
    slurm.set("queue", row("7", name=named) + "\n")
    assert job_is_alive(holder("7", **facts)) is alive
    assert Look.now().job_is_alive(holder("7", **facts)) is alive
    assert bool(Look.now().rows_of(holder("7", **facts))) is bool(alive)  # `cancel` takes what is surely its


def test_the_name_of_this_cluster_is_asked_for_once_and_a_job_knows_it(slurm, here, monkeypatch):
    here("narval")
    assert [client.this_cluster() for _ in range(3)] == ["narval"] * 3
    assert slurm.lines("asked") == ["scontrol show config"]
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "fir")
    assert client.this_cluster() == "narval"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert client.this_cluster() == "fir"


@pytest.mark.parametrize(
    ("cluster", "ours", "answer"),
    [("narval", "narval", False), (None, "narval", False), ("fir", "narval", None), ("fir", None, None)],
)
def test_of_another_clusters_job_squeues_silence_is_no_proof(slurm, here, tmp_path, cluster, ours, answer):
    """In a folder that two clusters share, or that was copied; `None` is a controller that does not say its name."""
    if ours:
        here(ours)
    facts = {"cluster": cluster} if cluster else {}
    assert job_is_alive(holder("7", **facts)) is answer
    assert Look.now().job_is_alive(holder("7", **facts)) is answer
    folder = tmp_path / "lease"
    folder.mkdir()
    (folder / "000001.json").write_text(json.dumps(asdict(holder("7", **facts))))
    asking = Lease(folder, tmp_path / "heartbeat.json", "the run", job_is_alive=job_is_alive)
    assert (asking.living_holder() is None) is (answer is False)
    os.utime(folder / "000001.json", (time.time() - SILENCE_S - 60,) * 2)
    assert asking.living_holder() is None


def test_a_row_here_keeps_no_other_clusters_holder_alive(slurm, here):
    here("narval")
    slurm.set("queue", row("7") + "\n")
    assert Look.now().rows_of(holder("7", cluster="fir")) == []
    assert Look.now().job_is_alive(holder("7", cluster="fir")) is None


@pytest.mark.parametrize(
    ("facts", "environ", "elsewhere"),
    [
        ({"cluster": "narval"}, "fir", ""),
        ({"cluster": "fir"}, "fir", "fir"),
        ({"profile": "fir"}, "narval", "fir"),  # a record of an earlier version
        ({"profile": "narval"}, "narval", ""),
        ({"profile": "ours"}, "narval", ""),  # the user's own name for it
        ({"profile": "sandbox"}, "narval", ""),
        ({"profile": "fir"}, "", ""),
        ({"profile": "fir"}, "elsewhere", ""),
    ],
)
def test_which_cluster_a_submission_is_of(slurm, here, monkeypatch, facts, environ, elsewhere):
    here("narval")
    monkeypatch.setenv("CC_CLUSTER", environ)
    assert replace(submitted("7"), **facts).elsewhere == elsewhere


def test_a_submission_of_another_cluster_is_neither_seen_here_nor_sent_again(slurm, here, tmp_path):
    here("narval")
    slurm.set("queue", row("7", script="/r/b.sh") + "\n")  # here 7 is another one of the same name
    slurm.set("accounting", "7\tFAILED\t1:0\ta\t\t\n")
    record = tmp_path / "submission.json"
    there = replace(submitted("7"), cluster="fir")
    there.write(record)
    assert there.rows(Look.now()) == []
    assert there.may_be_queued(Look(time=1.0))
    assert not there.owns(ended())
    with pytest.raises(Elsewhere, match=f"a was submitted on fir on .* as job 7, .* delete {record}"):
        submission_state(record)
    replace(there, job=None).write(record)
    with pytest.raises(Elsewhere, match="never recorded"):
        recorded(record)
    replace(there, time=submitted("7", age=timedelta(days=31)).time).write(record)  # no job lasts as long
    assert not submission_state(record).alive


def test_a_rival_on_another_cluster_counts_too(slurm, here, tmp_path):
    here("narval")
    run = RunFolder.at(tmp_path, "tiny", 1, "1a2b3c4d")
    run.create({})
    submitted("7").write(run.submission)
    replace(submitted("8"), cluster="fir").write(new_rival(run))
    with pytest.raises(Elsewhere, match="on fir"):
        submission_state_of_run(run)


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        (["7\tFAILED\t1:0\ta\t\t{now}"], True),
        (["7\tCOMPLETED\t0:0\ta\t\t"], True),  # a site that does not say when
        (["7\tFAILED\t1:0\ta\t\t{old}"], False),
        (["7\tFAILED\t1:0\ta\tsbatch other.sh\t{now}"], False),
        (["7\tFAILED\t1:0\tb\t\t{now}"], False),
        ([], False),
    ],
)
def test_a_lost_id_that_accounting_can_name_only_by_time_is_asked_about(slurm, tmp_path, rows, refused):
    sent = IN_FLIGHT + timedelta(minutes=1)
    times = {"now": local(seconds=sent.total_seconds() - 2), "old": local(days=2)}
    slurm.set("accounting", "".join(f"{one.format(**times)}\n" for one in rows))
    record = tmp_path / "submission.json"
    submitted(None, age=sent).write(record)
    if not refused:
        assert recorded(record) is None
        return
    with pytest.raises(Unsettled, match=rf"has of that name and time job 7 \(.*sacct -j 7.*delete {record}"):
        recorded(record)


def test_records_of_the_version_before_are_read(tmp_path):
    record = tmp_path / "submission.json"
    submitted("7").write(record)
    told = json.loads(record.read_text())
    record.write_text(json.dumps({key: told[key] for key in told if key not in ("cluster", CHECKSUM)}))
    assert Submission.read(record).cluster is None
    told = asdict(holder("7"))
    assert Holder(**{key: told[key] for key in told if key != "name"}).name is None
    assert issubclass(Elsewhere, ClusterError)
    assert GridFolder(tmp_path, "g").records() == []
