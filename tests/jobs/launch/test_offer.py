"""A dry run is an offer: what, how long, at what cost in all, and what stands in the way, before anything is queued."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

import launch
from cluster.files import read_record
from cluster.slurm.answer_cache import AnswerCache
from cluster.slurm.limits import user
from layalign.evaluation.benchmarks import find_benchmark
from tests.login import at_home, empty_recipe


@pytest.fixture
def go(tmp_path, monkeypatch, capsys):
    at_home(tmp_path, monkeypatch)
    recipe = empty_recipe(tmp_path)
    (tmp_path / "data" / "mgsm").mkdir()
    for code in find_benchmark("mgsm").languages:
        (tmp_path / "data" / "mgsm" / f"mgsm_{code}.tsv").write_text("How many?\t8\n")

    def go(command, *words):
        common = ("--cluster", "narval", "--recipe", str(recipe), "--data", str(tmp_path / "data"))
        status = launch.main([command, *common, "--account", "def-prof", *words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return go


def command(slurm, name, *lines):
    body = "".join(f"echo '{line}'\n" for line in lines)
    (slurm.folder / name).write_text(f'#!/bin/bash\necho "{name} $*" >> {slurm.folder}/asked\n{body}')
    (slurm.folder / name).chmod(0o755)


def test_both_stages_and_all_units_are_added_up_and_explained(go, slurm, tmp_path):
    status, told, _ = go("train", "--stage", "all", "--time", "3h", "--hours", "9", "--dry-run")
    lines = told.splitlines()
    assert status == 0
    assert lines[0] == "offer: train stage 1 and 2 of tiny on Narval, 159 nodes of 4 A100-40GB"
    assert lines[1].split(None, 2)[2] == "8 jobs, at most 192 GPU-hours, charged to def-prof"
    assert "9 h for each stage: asked = 3 units of 3 h, 1 spare" in told
    assert "3 h of a unit: asked; in partitions of up to 3 h" in told
    assert "496G of a node: default, the fair share" in told
    assert "#!/bin/bash" not in told
    assert not (tmp_path / "runs").exists()


def test_what_nobody_asked_for_is_called_a_default(go, slurm):
    _, told, _ = go("train", "--stage", "1", "--dry-run")
    assert "1 d of a unit: default, as neither --time nor --hours is given" in told
    assert "1 unit for the stage: default" in told
    assert "at most 192 GPU-hours" in told.splitlines()[1]


def test_hundreds_of_units_are_asked_about(go, slurm, tmp_path):
    words = ("train", "--stage", "1", "--time", "3h", "--hours", "300")
    status, told, _ = go(*words, "--dry-run")
    assert (status, "asks          whether so many are meant" in told) == (0, True)
    status, _, wrong = go(*words)
    assert (status, slurm.lines("calls"), (tmp_path / "runs").exists()) == (2, [], False)
    assert "to submit 110 jobs, at most 2,640 GPU-hours" in wrong
    assert "add --yes" in wrong
    status, _, loud = go(*words, "--yes")
    assert (status, len(slurm.lines("calls"))) == (0, 1)
    assert "warning: 110 jobs, at most 2,640 GPU-hours" in loud


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_what_has_no_room_in_the_queue_is_refused(go, slurm, tmp_path, option):
    slurm.set("queue", "7_[0-996%1]\t7\tPENDING\tPriority\tx\t/x.sh\tN/A\n")
    status, _, wrong = go("train", "--stage", "all", "--units", "2", *option)
    assert (status, slurm.lines("calls"), (tmp_path / "runs").exists()) == (2, [], False)
    assert "4 jobs more: the most of one user on narval" in wrong
    assert "997 are there, so that 3 can be added" in wrong
    assert go("train", "--stage", "1", "--units", "3", *option)[0] == 0


def test_a_limit_of_the_account_counts_too(go, slurm):
    command(slurm, "sacctmgr", f"def-prof_gpu|{user()}|3|")
    slurm.set("queue", "7\t7\tPENDING\tPriority\tx\t/x.sh\tN/A\n")
    status, _, wrong = go("train", "--stage", "all", "--units", "2")
    assert (status, slurm.lines("calls")) == (2, [])
    assert "your MaxSubmitJobs under def-prof (sacctmgr) is 3 jobs" in wrong


def test_a_dry_run_refuses_the_account_that_the_run_would(go, slurm):
    command(slurm, "sacctmgr", f"def-prof_gpu|{user()}|3|")
    for option in ((), ("--dry-run",)):
        status, _, wrong = go("train", "--stage", "1", "--account", "def-porf", *option)
        assert (status, "the nearest is --account def-prof" in wrong) == (2, True)


def test_outages_shares_and_quotas_are_told(go, slurm, tmp_path):
    soon = datetime.now(UTC) + timedelta(hours=30)
    lines = [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        f"DTSTART:{soon:%Y%m%dT%H%M%SZ}",
        "DURATION:PT9H",
        "SUMMARY:[Narval] Power",
    ]
    (tmp_path / "outages.ics").write_text("\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR"]))
    command(slurm, "sacctmgr", f"def-prof_gpu|{user()}||", f"rrg-prof_gpu|{user()}||")
    command(slurm, "sshare", "def-prof_gpu|me|0.1|1", "rrg-prof_gpu|me|0.4|1")
    command(slurm, "diskusage_report", "  /project (project def-prof)   148GiB/ 1000GiB   498K/ 500K")
    words = ("train", "--stage", "1", "--time", "2d", "--outages", str(tmp_path / "outages.ics"))
    _, told, _ = go(*words, "--dry-run")
    notes = [line for line in told.splitlines() if line.startswith("  note")]
    assert re.search(
        r"planned outage, .*\[Narval\] Power; a unit of 2 d would run into it.* --time 29h could", notes[0]
    )
    assert "fair share: rrg-prof 0.4, def-prof 0.1; the best is --account rrg-prof" in notes[1]
    assert (
        "quota of /project (project def-prof): 498,000 of 500,000 files of the whole group, 100%" in notes[2]
    )
    assert not (tmp_path / "runs").exists()
    asked = [line.split()[0] for line in slurm.lines("asked")]
    assert {name: asked.count(name) for name in ("squeue", "sshare", "diskusage_report")} == {
        "squeue": 1,
        "sshare": 1,
        "diskusage_report": 1,
    }


def test_a_calendar_that_does_not_answer_blocks_nobody(go, slurm):
    began = time.monotonic()
    status, told, _ = go("train", "--stage", "1", "--dry-run", "--outages", "http://127.0.0.1:9/x.ics")
    assert (status, time.monotonic() - began < 60) == (0, True)
    assert "planned outages are not known: http://127.0.0.1:9/x.ics cannot be read" in told


def test_another_cluster_is_not_taken_for_the_one_that_is_named(go, slurm, tmp_path):
    os.environ["CC_CLUSTER"] = "fir"
    status, _, wrong = go("train", "--stage", "1")
    assert (status, slurm.lines("calls"), (tmp_path / "runs").exists()) == (2, [], False)
    assert "this machine is of fir, not of narval" in wrong
    status, told, _ = go("train", "--stage", "1", "--dry-run")
    assert (status, "this machine is of fir, not of narval" in told) == (0, True)


@pytest.mark.parametrize(
    "words", [["train", "--stage", "1"], ["pipeline", "--yes"], ["evaluate", "-o", "model.method=llm"]]
)
def test_a_machine_without_slurm_says_so_and_keeps_nothing(go, tmp_path, monkeypatch, words):
    monkeypatch.setenv("PATH", "/nonexistent")
    before = sorted(path.name for path in tmp_path.iterdir())
    status, _, wrong = go(*words)
    assert status == 2
    assert "squeue" in wrong or "there is no sbatch here" in wrong
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_refusals_stand_behind_the_offer_in_one_file(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)
    words = ["train", "--stage", "1", "--cluster", "narval", "--account", "def-prof", "--dry-run"]
    ran = subprocess.run(
        [sys.executable, launch.__file__, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stdout.startswith("offer: ")
    assert ran.stdout.rindex("starts from") < ran.stdout.index("\nerror: ")


def test_answers_are_asked_for_seldom_and_a_dry_run_keeps_none(tmp_path):
    asked: list[str] = []

    def question():
        asked.append("?")
        return "answer"

    for write, number in ((False, 2), (True, 3)):
        cache = AnswerCache(root=tmp_path, write=write)
        assert [cache.ask("x", question, "me").text for _ in range(2)] == ["answer"] * 2
        assert len(asked) == number
    (path,) = tmp_path.glob(".queue-*/x.json")
    assert read_record(path)["text"] == "answer"
    assert cache.ask("x", lambda: None, "somebody").text is None
    path.write_text("{")
    assert cache.ask("x", question, "me").text == "answer"
