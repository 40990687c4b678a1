"""What a command does on a login node; its Slurm only remembers what it was told."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

import launch
from cluster.files import read_jsonl, write_record
from cluster.job.race import alternatives
from cluster.run.grid_folder import all_grids
from cluster.run.lease import this_process
from cluster.run.run_folder import RunFolder, all_runs
from cluster.slurm.submission import Submission
from layalign.evaluation.benchmarks import find_benchmark
from tests.cluster.logs.test_pending_reasons import CODES
from tests.cluster.slurm.test_script import options
from tests.login import at_home, empty_recipe
from tests.test_layers import HEAVY, modules_after


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)


@pytest.fixture
def recipe(tmp_path):
    return empty_recipe(tmp_path)


@pytest.fixture
def go(recipe, tmp_path, capsys):
    """Run a command on the recipe; gives its status and what it printed."""

    def go(command, *words, cluster="narval", account="def-prof"):
        words = ("--cluster", cluster, "--recipe", str(recipe), "--data", str(tmp_path / "data"), *words)
        status = launch.main([command, *words, *(["--account", account] if account else [])])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


def runs(tmp_path):
    """The runs by stage."""
    return {run.stage: run for run in all_runs(tmp_path / "runs")}


def done(run):
    run.create({"name": "tiny"})
    run.finish()


def test_both_stages_are_queued_at_once_the_second_behind_the_first(go, slurm, tmp_path):
    status, printed = go("train", "--stage", "all", "--units", "3", "--time", "3h")
    assert status == 0
    one, two = (Submission.read(runs(tmp_path)[stage].submission) for stage in (1, 2))
    assert (one.dependency, two.dependency) == (None, "afterok:7_2")
    assert (two.job, two.units, two.resources.nodes) == ("8", 3, 2)
    assert "queued: job 8 tiny-layalign-s2, after afterok:7_2" in printed
    assert 'squeue --me -o "%.18i %.30j %.10T %.10M %k"' in printed
    assert "144 GPU-hours" not in printed
    assert "at most 72 GPU-hours, charged to def-prof" in printed
    assert one.tree == two.tree


def test_second_time_says_so_and_stops(go, slurm, tmp_path):
    go("train", "--stage", "all")
    status, printed = go("train", "--stage", "all")
    assert (status, len(slurm.lines("calls"))) == (0, 2)
    assert f"already queued: job 7 (PENDING, Priority), {runs(tmp_path)[1].path}" in printed
    assert "to take it back: scancel 8" in printed


def test_run_that_is_done_is_not_made_again(go, slurm, tmp_path):
    go("train", "--stage", "1")
    slurm.set("queue")
    runs(tmp_path)[1].finish()
    status, printed = go("train", "--stage", "all")
    assert status == 0
    assert "already done: " in printed
    assert Submission.read(runs(tmp_path)[2].submission).dependency is None


def test_stage_2_waits_for_a_stage_1_that_is_queued(go, slurm, tmp_path):
    assert "has not been run; first run" in go("train", "--stage", "2")[1]
    go("train", "--stage", "1")
    assert go("train", "--stage", "2")[0] == 0
    assert Submission.read(runs(tmp_path)[2].submission).dependency == "afterok:7"


def vanish(slurm, run, state):
    """The job of a run begins to work and ends without a word."""
    log = run.slurm / "7_0_log.out"
    log.write_text("step 8\n")
    facts = {"kind": "train", "submission": "7", "job": "7", "unit": 0, "restart": 0, "nodes": "n1"}
    run.event("started", **facts, log=str(log), log_from=0)
    slurm.set("queue")
    slurm.set("accounting", f"7\t{state}\t0:9\tname\t\n")
    slurm.set("asked")


@pytest.mark.parametrize(
    ("state", "cause", "told"),
    [
        ("CANCELLED by 0", "cancelled", "next: give the same launch command again"),
        ("NODE_FAIL", "node failure", "it goes on from its last checkpoint"),
    ],
)
def test_job_that_ended_without_a_word_is_told_of_before_the_next_is_queued(
    go, slurm, tmp_path, state, cause, told
):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    vanish(slurm, run, state)
    status, printed = go("train", "--stage", "1")
    assert status == 0
    assert cause in printed
    assert told in printed
    assert printed.index(cause) < printed.index("queued: job 8")
    assert [event["cause"] for event in read_jsonl(run.events) if event["event"] == "interrupted"] == [cause]
    assert not run.failed.exists()
    asked = [line.split()[0] for line in slurm.lines("asked")]
    assert asked.count("sacct") == 1
    assert cause not in go("train", "--stage", "1")[1]


@pytest.mark.parametrize("settings", [False, True])
def test_what_needs_a_change_is_queued_again_only_with_one(go, slurm, tmp_path, settings):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    vanish(slurm, run, "OUT_OF_MEMORY")
    for _ in range(2):
        status, printed = go("train", "--stage", "1")
        assert status == 2
        assert "out of memory" in printed
        assert f"python launch.py retry {run.path.name}" in printed
        assert run.failed.exists()
    change = ("-o", "training.micro_batch=1") if settings else ("--mem", "200G")
    status, printed = go("train", "--stage", "1", *change)
    assert status == 0, printed
    assert runs(tmp_path)[1].path == run.path
    assert not run.failed.exists()


def test_what_may_be_over_is_queued_again_by_the_same_command(go, slurm, tmp_path):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    for number in range(3):
        slurm.set("queue")
        run.fail("OSError: [Errno 122] Disk quota exceeded: '/scratch/a'\n")
        status, printed = go("train", "--stage", "1")
        assert status == (0 if number < 2 else 2), printed
    assert "3 times in a row without progress" in printed
    assert "python launch.py retry" in printed


def test_what_is_queued_of_a_run_takes_it_up_after_what_may_be_over(go, slurm, tmp_path):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    run.fail("OSError: [Errno 28] No space left on device\n")
    assert "taken up again by what is queued" in go("train", "--stage", "1")[1]
    assert not run.failed.exists()
    run.fail("KeyError: 'labels'\n")
    assert "what is queued ends at once: KeyError" in go("train", "--stage", "1")[1]
    assert run.failed.exists()
    assert len(slurm.lines("queue")) == 1


def test_no_command_submits_what_an_earlier_sbatch_may_still_bring(go, slurm, tmp_path, capsys):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    replace(Submission.read(run.submission), job=None).write(run.submission)
    slurm.set("queue")
    for words in (("--stage", "1"), ("--stage", "2"), ("--stage", "all"), ("--stage", "1", "--force")):
        status, printed = go("train", *words)
        assert (status, "may still be in flight" in printed) == (2, True)
    for words in (["retry", run.path.name], ["cancel", run.path.name]):
        assert launch.main([*words, "--yes", "--cluster", "narval"]) == 2
        assert "may still be in flight" in capsys.readouterr().err
    assert len(slurm.lines("calls")) == 1
    assert run.path.exists()
    assert launch.main(["status"]) == 0
    assert "queued" in capsys.readouterr().out


def test_looking_alone_records_nothing(go, slurm, tmp_path):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    vanish(slurm, run, "OUT_OF_MEMORY")
    before = run.events.read_text()
    for option in ("--dry-run", "--test-only"):
        assert go("train", "--stage", "1", option)[0] == 0
    assert run.events.read_text() == before
    with run.lease():  # somebody trains it on this machine meanwhile
        assert "is being worked on by" in go("train", "--stage", "1")[1]
    assert run.events.read_text() == before


def test_force_takes_a_waiting_job_back(go, slurm, tmp_path):
    go("train", "--stage", "1")
    status, printed = go("train", "--stage", "1", "--force")
    assert (status, slurm.lines("cancelled")) == (0, ["7"])
    assert "cancelled: job 7 (PENDING, Priority)" in printed
    assert "moved aside: " in printed
    assert Submission.read(runs(tmp_path)[1].submission).job == "8"


def test_force_does_not_touch_a_running_job(go, slurm):
    go("train", "--stage", "1")
    slurm.set("queue", "\n".join(slurm.lines("queue")).replace("PENDING", "RUNNING") + "\n")
    status, printed = go("train", "--stage", "1", "--force")
    assert status == 2
    assert "is running: job 7 (RUNNING); end it first: scancel 7" in printed
    assert "already running: job 7" in go("train", "--stage", "1")[1]
    assert len(slurm.lines("calls")) == 1


def test_job_that_can_never_start_is_replaced(go, slurm, tmp_path):
    go("train", "--stage", "all")
    rows = [line.replace("Priority", "DependencyNeverSatisfied") for line in slurm.lines("queue")]
    slurm.set("queue", rows[1] + "\n")
    status, printed = go("train", "--stage", "all")
    assert status == 0
    assert "cancelled: job 8 (PENDING, DependencyNeverSatisfied)" in printed
    assert Submission.read(runs(tmp_path)[2].submission).dependency == "afterok:9"


def test_every_obstacle_is_told_before_anything_is_queued(go, slurm, tmp_path):
    words = ("--gpus", "5", "-o", "model.encoder=google/none", "data.path=none.jsonl", "--time", "8d")
    status, printed = go("train", "--stage", "2", *words, account="def-other_gpu")
    assert status == 2
    for text in (
        "account def-other_gpu: jobs are submitted by the bare name",
        "stage 2 starts from the weights of stage 1",
        "not in the cache, and no folder: model google/none at main: all files",
        "none.jsonl",
        "5 x a100",
    ):
        assert text in printed
    assert not slurm.lines("calls")
    assert not (tmp_path / "runs").exists()


def test_folder_and_environment_that_nodes_cannot_use_are_refused(go, slurm, tmp_path):
    os.environ.update(PROJECT=str(tmp_path / "project"))
    status, printed = go("train", "--stage", "1", cluster="trillium")
    assert status == 2
    assert (
        "$HOME is read-only on the compute nodes of trillium; the nearest is --runs $SCRATCH/runs" in printed
    )
    assert "python launch.py env --cluster trillium --build" in printed


def test_laptop_is_told_what_is_missing_and_still_gets_the_script(go, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    status, printed = go(
        "train", "--stage", "all", "--dry-run", "--script", "-o", "model.encoder=google/none", account=None
    )
    assert status == 2
    assert "no account: there is no sacctmgr here that could say which are yours on narval" in printed
    assert "model google/none at main: all files" in printed
    assert printed.count("#!/bin/bash") == 2
    assert "--dependency=afterok:JOB-OF-STAGE-1" in printed
    assert "8, with 12 cores each" in printed
    assert not (tmp_path / "runs").exists()
    assert (
        "there is no sbatch here: give the command on a login node of narval"
        in go("train", "--stage", "1")[1]
    )


def test_laptop_with_a_copy_of_the_runs_asks_nobody(go, slurm, monkeypatch):
    go("train", "--stage", "all")
    monkeypatch.setenv("PATH", "")
    status, printed = go("train", "--stage", "all", "--dry-run", "--script")
    assert (status, printed.count("#!/bin/bash")) == (0, 2)


def test_nothing_is_queued_while_squeue_is_silent(go, slurm):
    go("train", "--stage", "all")
    slurm.set("silent")
    status, printed = go("train", "--stage", "all")
    assert (status, len(slurm.lines("calls"))) == (2, 2)
    assert "squeue does not answer" in printed


def test_dry_run_shows_exactly_what_is_submitted(go, slurm, tmp_path):
    assert "#!/bin/bash" not in go("train", "--stage", "1", "--dry-run")[1]
    status, printed = go("train", "--stage", "1", "--dry-run", "--script")
    assert (status, slurm.lines("calls")) == (0, [])
    go("train", "--stage", "1")
    (script,) = runs(tmp_path)[1].slurm.glob("*.sh")
    assert script.read_text() in printed


def test_dry_run_is_fast_and_light(recipe, tmp_path):
    words = ["train", "--stage", "all", "--dry-run", "--cluster", "narval", "--account", "def-prof"]
    words += ["--recipe", str(recipe), "--data", str(tmp_path / "data")]
    assert not modules_after(f"import launch; launch.main({words})") & (HEAVY - {"submitit"})
    command = (sys.executable, str(launch.ROOT / "launch.py"), *words)
    packages = (sys.executable, "-c", f"import {', '.join(launch.PACKAGES)}")
    assert worked_s(*command) < 4 * worked_s(*packages), (
        "of what its packages cost; torch is worth ten times that"
    )


def worked_s(*command):
    """The least that a command computes of three times, as a busy machine makes each of them work longer."""
    taken, cached = (
        [],
        {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=cached)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def test_controller_is_asked_and_nothing_queued(go, slurm, tmp_path):
    status, printed = go("train", "--stage", "all", "--test-only")
    assert status == 0
    assert printed.count("it would start at noon") == 2
    assert not slurm.lines("queue")
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def questions(tmp_path):
    """Three questions of MGSM in each of its languages."""
    (tmp_path / "data" / "mgsm").mkdir()
    for code in find_benchmark("mgsm").languages:
        (tmp_path / "data" / "mgsm" / f"mgsm_{code}.tsv").write_text("How many?\t8\n" * 3)


def evaluations(tmp_path):
    """What was submitted for the evaluation of the one run that is evaluated, array by array."""
    (grid,) = all_grids(tmp_path / "runs")
    return [Submission.read(record) for record in grid.records()]


def test_evaluation_takes_one_gpu_unless_more_are_asked_for(go, slurm, tmp_path, questions):
    go("train", "--stage", "all")
    assert go("evaluate", "--limit", "2")[0] == 0
    first, spare = evaluations(tmp_path)
    assert (first.name[-5:], first.dependency, spare.dependency) == (
        "-eval",
        "afterany:8",
        f"afterany:{first.job}",
    )
    assert (first.resources.tasks, first.resources.parallel) == (1, 1)
    assert "nothing to submit" in go("evaluate", "--limit", "2")[1]
    slurm.set("queue")
    runs(tmp_path)[2].finish()
    assert go("evaluate", "--gpus", "4")[0] == 0
    assert (evaluations(tmp_path)[2].resources.tasks, evaluations(tmp_path)[2].dependency) == (4, None)
    assert Submission.read(runs(tmp_path)[2].submission).job == "8"


def test_evaluation_takes_the_least_that_a_cluster_gives(go, tmp_path, recipe, slurm, questions):
    words = ("-o", "model.method=llm", "--dry-run", "--script", "--runs", str(tmp_path / "elsewhere"))
    printed = go("evaluate", *words, cluster="tamia", account="aip-prof")[1]
    assert options(printed[printed.index("#!/bin/bash") :])["ntasks-per-node"] == "4"


def test_evaluation_of_what_nobody_trains_is_refused(go, slurm, questions):
    status, printed = go("evaluate")
    assert status == 2
    assert "has not been trained; first run: python launch.py train" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--inline",), "--inline is this process, but narval has a queue"),
        (("--tasks", "2"), "each GPU has one process"),
        (("--cluster", "local", "--gpus", "2"), "local has none: name a cluster by --cluster"),
        (("--cluster", "local", "--test-only"), "--test-only asks a Slurm, and local has none"),
    ],
)
def test_options_of_the_other_kind_are_refused(go, slurm, words, message):
    status, printed = go("train", "--stage", "1", *words, account=None)
    assert status == 2
    assert message in printed


def test_lease_of_a_job_that_slurm_no_longer_knows_is_no_obstacle(go, slurm, tmp_path, monkeypatch):
    go("train", "--stage", "1")
    run = RunFolder(runs(tmp_path)[1].path)
    holder = run.lease(job="7")
    with holder:
        (path,) = run.leases.glob("*.json")
        write_record(path, {**asdict(holder.me), "boot": "another machine", "host": "node1"})
        status, printed = go("train", "--stage", "1", "--force")
        assert status == 2
        assert "is being worked on by process" in printed
        slurm.set("queue")
        assert go("train", "--stage", "1")[0] == 0


def test_a_race_is_one_run_asked_for_in_several_ways(go, slurm, tmp_path):
    words = ("--stage", "all", "--gpus", "4", "--race", "gpu=h100,l40s")
    status, printed = go("train", *words, cluster="killarney", account="aip-prof")
    assert status == 0, printed
    first, second = (runs(tmp_path)[stage] for stage in (1, 2))
    asked = [
        (one.job, one.resources.gpu, one.dependency) for run in (first, second) for one in alternatives(run)
    ]
    waits = "afterok:7?afterok:8"
    assert asked == [("7", "h100", None), ("8", "l40s", None), ("9", "h100", waits), ("10", "l40s", waits)]


RACE = ("--gpus", "4", "--race", "gpu=h100,l40s")


def leave(slurm, *jobs):
    """Jobs that the controller has forgotten."""
    rows = [row for row in slurm.lines("queue") if row.split("\t")[1] not in jobs]
    slurm.set("queue", "".join(f"{row}\n" for row in rows))


def test_a_rival_that_has_lost_is_waited_for_by_nobody(go, slurm, tmp_path):
    place = {"cluster": "killarney", "account": "aip-prof"}
    go("train", "--stage", "1", *RACE, **place)
    leave(slurm, "7")
    status, printed = go("train", "--stage", "2", *RACE, **place)
    assert status == 0, printed
    assert {one.dependency for one in alternatives(runs(tmp_path)[2])} == {"afterok:8"}


def test_a_run_whose_first_rival_has_left_is_still_queued(go, slurm, tmp_path):
    place = {"cluster": "killarney", "account": "aip-prof"}
    go("train", "--stage", "1", *RACE, **place)
    leave(slurm, "7")
    status, printed = go("train", "--stage", "1", *RACE, **place)
    assert (status, len(slurm.lines("calls"))) == (0, 2)
    assert "already queued: job 8" in printed
    assert "to take it back: scancel 8" in printed
    assert go("train", "--stage", "1", "--force", *RACE, **place)[0] == 0
    assert slurm.lines("cancelled") == ["8"]


def test_a_slot_at_work_is_not_recorded_as_dead_because_the_runs_own_job_is(go, slurm, tmp_path):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    facts = {"kind": "train", "submission": "9", "job": "9_0", "unit": 0, "restart": 0, "nodes": "n1"}
    run.event("started", **facts, log=str(run.slurm / "9_0_0_log.out"), log_from=0)
    run.leases.mkdir()
    told = {**asdict(this_process("9_0")), "host": "n1", "boot": "another machine"}
    (run.leases / "000001.json").write_text(json.dumps(told))
    slurm.set("queue", "9_0\t9\tRUNNING\tNone\tgrid-s1\t/grid.sh\tN/A\n")
    slurm.set("accounting", "9_0\tRUNNING\t0:0\tgrid-s1\t\n")
    status, printed = go("train", "--stage", "1")
    assert status == 2
    assert "is being worked on by process" in printed
    assert [event["event"] for event in read_jsonl(run.events)] == ["submitted", "started"]


@pytest.mark.parametrize("stage", ["2", "all"])
def test_what_would_wait_for_a_unit_that_is_gone_is_refused_before_anything_is_queued(go, slurm, stage):
    go("train", "--stage", "1", "--units", "3", "--time", "3h")
    script = slurm.lines("queue")[0].split("\t")[5]
    slurm.set("queue", f"7_0\t7\tRUNNING\tNone\ttiny-layalign-s1\t{script}\tN/A\n")
    status, printed = go("train", "--stage", stage)
    assert (status, len(slurm.lines("calls"))) == (2, 1)
    assert "whose last unit 7_2 is no longer in the queue (job 7_0 (RUNNING))" in printed
    slurm.set("queue", f"7_[1-2%1]\t7\tPENDING\tPriority\ttiny-layalign-s1\t{script}\tN/A\n")
    assert go("train", "--stage", stage)[0] == 0


def test_stage_2_is_not_queued_as_if_a_stage_1_that_vanished_were_done(go, slurm, tmp_path):
    slurm.set("mode", "accept-and-vanish")
    status, printed = go("train", "--stage", "all")
    assert (status, len(slurm.lines("calls"))) == (2, 1)
    one, two = (runs(tmp_path).get(stage) for stage in (1, 2))
    assert f"run {one.path.name}, which is not done" in printed
    assert f"python launch.py why {one.path.name}" in printed
    assert two is None
    one.finish()
    assert go("train", "--stage", "all")[0] == 0
    assert Submission.read(runs(tmp_path)[2].submission).dependency is None


def test_retry_waits_for_what_the_run_starts_from_or_takes_it_along(go, slurm, tmp_path, capsys):
    go("train", "--stage", "all")
    one, two = (runs(tmp_path)[stage] for stage in (1, 2))

    def retry():
        status = launch.main(["retry", two.path.name, "--cluster", "narval", "--yes"])
        return status, capsys.readouterr().err

    leave(slurm, "8")
    assert retry()[0] == 0
    assert Submission.read(two.submission).dependency == "afterok:7"
    leave(slurm, "7", "9")
    status, printed = retry()
    assert (status, len(slurm.lines("calls"))) == (0, 5), printed
    assert Submission.read(two.submission).dependency == f"afterok:{Submission.read(one.submission).job}"
    leave(slurm, "10", "11")
    one.finish()
    assert retry()[0] == 0
    assert Submission.read(two.submission).dependency is None


@pytest.mark.parametrize(
    ("race", "message"),
    [
        ("gpu=a100", "two or more values"),
        ("time=3h,12h", "one of gpu and account"),
        ("gpu=a100,h200", "narval has no GPU 'h200'"),
        ("account=def-a,def-b", "account is given already, as def-prof"),
    ],
)
def test_what_is_no_race_is_refused(go, slurm, race, message):
    status, printed = go("train", "--stage", "1", "--race", race)
    assert (status, slurm.lines("calls")) == (2, [])
    assert message in printed


NEVER = [
    code
    for code in CODES
    if re.search(r"Per(?:Job|Node)(?:Limit)?$", code)
    or code
    in (
        *(
            "AccountNotAllowed",
            "AssociationNotFound",
            "BadConstraints",
            "DeadLine",
            "InvalidAccount",
            "InvalidQOS",
        ),
        *(
            "MaxMemPerLimit",
            "PartitionTimeLimit",
            "QOSNotAllowed",
            "ReservationDeleted",
            "ReservationInvalid",
        ),
        *("AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit"),
    )
    or re.match(r"QOSMin", code)
]
"""Reasons that do not pass; the list is Slurm's own."""
TOLD_BY_THE_BOARD = ("DependencyNeverSatisfied",)


def waits_for(slurm, reason, state="PENDING"):
    """What is in the queue waits for another reason."""
    rows = [line.split("\t") for line in slurm.lines("queue")]
    slurm.set("queue", "".join("\t".join([*row[:2], state, reason, *row[4:]]) + "\n" for row in rows))


def test_what_is_queued_and_never_starts_is_no_reason_to_wait(go, slurm, tmp_path, capsys):
    """For every such reason of Slurm's list: nothing is sent twice, and nothing is called queued."""
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    for reason in NEVER:
        waits_for(slurm, reason)
        status, printed = go("train", "--stage", "1")
        assert (status, "already queued" in printed) == (2, False), reason
        assert f"(PENDING, {reason})" in printed
        assert "take it out of the queue, scancel 7, and give the same command again" in printed
    assert launch.main(["retry", run.path.name, "--yes"]) == 2
    assert "scancel 7" in capsys.readouterr().err
    assert len(slurm.lines("calls")) == 1
    waits_for(slurm, f"{NEVER[0]},Priority")
    assert "already queued" in go("train", "--stage", "1")[1]


def test_every_other_reason_of_slurms_list_is_one_to_wait(go, slurm):
    go("train", "--stage", "1")
    for reason in CODES:
        if reason in (*NEVER, *TOLD_BY_THE_BOARD):
            continue
        waits_for(slurm, reason)
        status, printed = go("train", "--stage", "1")
        assert (status, "already queued" in printed) == (0, True), reason
        assert ("\n  but " in printed) == bool(re.match(r"JobHeld|JobHoldMax", reason)), reason
    assert len(slurm.lines("calls")) == 1


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        ("PENDING", "job requeued in held state", "  but it was requeued and is held"),
        ("REQUEUE_HOLD", "JobHeldUser", "  but it was requeued and is held"),
        ("SPECIAL_EXIT", "None", "  but it ended with an exit status"),
        (
            "PENDING",
            "JobHeldUser",
            "  but you hold it back: it does not start until it is released: scontrol release 7",
        ),
        ("COMPLETING", "None", "already ending: job 7 (COMPLETING)"),
        ("STAGE_OUT", "None", "already ending: job 7 (STAGE_OUT)"),
        ("COMPLETING", "None", "  it is about to end: give the same command again once it has"),
        ("SIGNALING", "None", "already running: job 7 (SIGNALING)"),
        ("SUSPENDED", "None", "already running: job 7 (SUSPENDED)"),
        ("CONFIGURING", "None", "already running: job 7 (CONFIGURING)"),
        ("LAUNCH_FAILED", "None", "already queued: job 7 (LAUNCH_FAILED"),
    ],
)
def test_what_is_in_the_queue_is_told_as_what_it_is(go, slurm, state, reason, told):
    go("train", "--stage", "1")
    waits_for(slurm, reason, state)
    status, printed = go("train", "--stage", "1")
    assert (status, len(slurm.lines("calls"))) == (0, 1)
    assert told in printed


def test_a_job_that_squeue_still_shows_though_it_is_over_is_followed_by_the_next(go, slurm):
    go("train", "--stage", "1")
    waits_for(slurm, "TimeLimit", "TIMEOUT")
    status, printed = go("train", "--stage", "1")
    assert (status, len(slurm.lines("calls"))) == (0, 2), printed


def test_a_run_that_another_cluster_may_work_on_is_not_queued_here_too(
    go, slurm, tmp_path, monkeypatch, capsys
):
    go("train", "--stage", "1")
    run = runs(tmp_path)[1]
    slurm.set("queue")
    monkeypatch.setenv("CC_CLUSTER", "fir")
    for words in (("--stage", "1"), ("--stage", "2"), ("--stage", "all"), ("--stage", "1", "--force")):
        status, printed = go("train", *words, cluster="fir")
        assert (status, "was submitted on narval" in printed) == (2, True), words
    for words in (["retry", run.path.name], ["cancel", run.path.name]):
        assert launch.main([*words, "--yes", "--cluster", "fir"]) == 2
        assert "was submitted on narval" in capsys.readouterr().err
    assert len(slurm.lines("calls")) == 1
    run.submission.unlink()  # as the message says
    assert go("train", "--stage", "1", cluster="fir")[0] == 0


def test_cancel_records_itself_and_names_the_other_stage(go, slurm, tmp_path, capsys):
    go("train", "--stage", "all")
    one, two = runs(tmp_path)[1], runs(tmp_path)[2]
    assert launch.main(["cancel", "tiny-layalign", "--cluster", "narval", "--yes"]) == 0
    printed = capsys.readouterr().out
    assert slurm.lines("cancelled") == ["8"]
    told = "left in the queue: 7 name: PENDING, Priority; to cancel it too, name " + one.path.name
    assert told in printed
    assert read_jsonl(two.events)[-1]["event"] == "cancelled"
    assert read_jsonl(two.events)[-1]["jobs"] == ["8"]
    assert launch.main(["status", two.path.name]) == 0
    assert "cancelled by you" in capsys.readouterr().out
    assert launch.main(["why", two.path.name]) == 0
    assert "cancelled by you before it could start" in capsys.readouterr().out
    assert launch.main(["cancel", "tiny-layalign-s2", "--cluster", "narval", "--yes"]) == 0
    assert "left in the queue" not in capsys.readouterr().out  # a stage was named
    assert launch.main(["cancel", "tiny", "--cluster", "narval", "--yes"]) == 0
    assert told in capsys.readouterr().out
    assert launch.main(["cancel", one.path.name, "--cluster", "narval", "--yes"]) == 0
    assert slurm.lines("cancelled") == ["8", "7"]
    assert "is cancelled" not in go("train", "--stage", "all")[1]
