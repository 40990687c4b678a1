"""What a unit does around its work, with Slurm's commands replaced by scripts that say what a test wants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.files import read_jsonl
from cluster.job.causes import FINAL
from cluster.job.interrupt import Interrupts
from cluster.job.lifecycle import UnitLifecycle, record_failure, settle
from cluster.run.run_folder import RunFolder
from tests.cluster.job.test_causes import fake_sacct
from tests.cluster.job.test_unit import TERMS, unit

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name in ("scontrol", "squeue"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    run = RunFolder.at(tmp_path / "runs", "math", 1, "00000001")
    run.create({})
    return run


def life(run, number=0, *, kind="train", rank=0, told=None, interrupts=None, **environ):
    environ = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_PROCID": str(rank), **environ}
    found = unit(told or {}, SUBMITIT_FOLDER=str(run.slurm), **environ)
    return UnitLifecycle(found, run, kind, interrupts or Interrupts())


def of(run, kind):
    return [event for event in read_jsonl(run.events) if event["event"] == kind]


def die(run, number, state, tmp_path, log="", **environ):
    """A unit that begins to work and ends without a word."""
    with life(run, number, **environ).working():
        (run.slurm / f"14_{number}_0_log.out").write_text(log)
    fake_sacct(tmp_path, f"14_{number}|{state}|0:9|n|c")


@pytest.mark.parametrize(
    ("state", "cause"), [("NODE_FAIL", "node failure"), ("PREEMPTED", "preemption"), ("FAILED", "killed")]
)
def test_next_unit_finds_out_what_became_of_the_one_before_and_goes_on(run, tmp_path, state, cause):
    die(run, 0, state, tmp_path)
    with life(run, 1).working():
        pass
    (event,) = of(run, "interrupted")
    assert (event["cause"], event["state"], event["job"], event["unit"]) == (cause, state, "14_0", 0)
    assert not run.failed.exists()


@pytest.mark.parametrize(("state", "cause"), [("OUT_OF_MEMORY", "out of memory"), ("CANCELLED", "cancelled")])
def test_next_unit_stops_the_chain_where_going_on_is_no_use(run, tmp_path, state, cause):
    assert cause in FINAL
    die(run, 0, state, tmp_path, log="step 7\nslurmstepd: error: the end\n")
    with (
        pytest.raises(SystemExit, match=f"unit 2 of 5, job 14_1 does not go on: {cause}"),
        life(run, 1).working(),
    ):
        raise AssertionError
    told = run.failed.read_text()
    assert told.startswith(f"{cause}: job 14_0\n")
    assert "slurmstepd: error: the end" in told
    assert "next: " in told
    with pytest.raises(SystemExit, match="unit 3 of 5, job 14_2 does not start"):
        life(run, 2).over()


CANCELS = "#!/bin/sh\necho JobState=COMPLETING Reason=None Restarts=0 ExitCode=0:0\n"


@pytest.mark.parametrize(
    ("accounting", "cause"),
    [
        ("CANCELLED by 1000|0:0", "cancelled"),
        ("FAILED|0:9", "killed"),
        ("COMPLETED|0:0", "killed"),
        ("NODE_FAIL|0:0", "node failure"),
        ("PREEMPTED|0:0", "preemption"),
        ("RUNNING|0:0", "cancelled"),
        (None, "cancelled"),
    ],
)
def test_only_what_was_cancelled_is_cancelled(run, tmp_path, accounting, cause):
    (tmp_path / "scontrol").write_text(CANCELS)
    fake_sacct(tmp_path, *([f"14_0|{accounting}|n|c"] if accounting else []))
    interrupts = Interrupts()
    interrupts._note(signal.SIGTERM, None)
    interrupts._note_continued(signal.SIGCONT, None)
    one = life(run, told={"scontrol": True}, interrupts=interrupts)
    with one.working():
        one.ended({"step": 7, "interrupted": "SIGTERM"})
    assert [event["cause"] for event in of(run, "interrupted")] == [cause]
    assert run.failed.exists() == (cause == "cancelled")


@pytest.mark.parametrize(("rows", "cause"), [([], "cancelled"), (["14_0|NODE_FAIL|1:0|n|c"], "node failure")])
def test_where_accounting_says_nothing_the_cancel_that_was_recorded_counts(run, tmp_path, rows, cause):
    with life(run).working():
        pass
    run.event("cancelled", jobs=["14"], uid=0)
    fake_sacct(tmp_path, *rows)
    assert settle(run) == cause
    run.forgive()
    with life(run, SLURM_JOB_NAME="math-s1", SLURM_ARRAY_JOB_ID="20").working():
        assert of(run, "started")[-1]["name"] == "math-s1"
    assert settle(run) == "killed"  # a cancel before this start is not its end


def test_new_submission_goes_on_after_a_cancelled_one(run, tmp_path):
    die(run, 0, "CANCELLED", tmp_path)
    with life(run, 0, SLURM_ARRAY_JOB_ID="20").working():
        pass
    assert of(run, "interrupted")[0]["cause"] == "cancelled"
    assert not run.failed.exists()


def test_launcher_finds_out_too(run, tmp_path):
    die(run, 0, "CANCELLED", tmp_path)
    assert settle(run) == "cancelled"
    assert settle(run) is None
    assert run.state() == "cancelled"


def test_restart_reads_its_own_part_of_a_log_that_goes_on(run, tmp_path):
    log = run.slurm / "15_0_log.out"
    environ = {"SLURM_ARRAY_JOB_ID": "", "SLURM_JOB_ID": "15", "SLURM_ARRAY_TASK_MAX": "0"}
    fake_sacct(tmp_path, "15|REQUEUED|0:0|n|c", "15|REQUEUED|0:0|n|c")
    for restart, text in enumerate(["srun: error: node2: task 1: Killed\n", "all is well\n"]):
        with life(run, told={"requeue": True}, SLURM_RESTART_COUNT=str(restart), **environ).working():
            log.write_text((log.read_text() if restart else "") + text)
    with life(run, told={"requeue": True}, SLURM_RESTART_COUNT="2", **environ).working():
        pass
    assert [event["cause"] for event in of(run, "interrupted")] == ["killed", "requeue"]


def test_starts_without_progress_stop_the_chain(run, tmp_path):
    for number in range(2):
        die(run, number, "NODE_FAIL", tmp_path)
    with life(run, 2).working():
        run.event("saved", step=5)
    fake_sacct(tmp_path, "14_2|TIMEOUT|0:0|n|c")
    for number in (3, 4, 5):
        die(run, number, "NODE_FAIL", tmp_path)
    with pytest.raises(SystemExit, match="3 starts without progress"), life(run, 6).working():
        raise AssertionError
    assert "node failure, node failure, node failure" in run.failed.read_text()


def interrupted(run, number, signal="SIGTERM", **more):
    interrupts = Interrupts()
    interrupts.cause, interrupts.time = signal, 0.0
    found = life(run, number, interrupts=interrupts, **more)
    result = {"step": 5, "total": 9, "interrupted": signal}
    with found.working():
        found.ended(result)
    found.go_on(result)


def test_unit_in_the_middle_leaves_the_rest_to_the_next(run):
    interrupted(run, 1)
    (event,) = of(run, "interrupted")
    assert (event["cause"], event["step"], event["signal"]) == ("scancel --signal", 5, "SIGTERM")
    assert run.lease().living_holder() is None


def test_last_unit_fails_and_leaves_the_run_as_it_is(run):
    with pytest.raises(SystemExit, match=r"5 of 9 steps; submit again with more units"):
        interrupted(run, 4)
    assert not run.failed.exists()


def test_requeue_that_is_refused_is_told(run):
    with pytest.raises(SystemExit, match="Slurm does not requeue this job"):
        interrupted(run, 0, told={"requeue": True})


def test_requeue_is_asked_for_when_the_lease_is_free(run, tmp_path):
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\n[ $1 = requeue ] && ls {run.leases} > {tmp_path}/"$2"\n')
    interrupted(run, 2, told={"requeue": True})
    assert (tmp_path / "14_2").exists()


def test_first_error_is_kept_whichever_rank_it_is_of(run):
    record_failure(run, "train", RuntimeError("Connection closed by peer"), life(run).unit)
    assert not run.failed.exists()
    record_failure(run, "train", KeyError("weight"), life(run, rank=3).unit)
    record_failure(run, "train", ClusterError("another"), life(run, rank=1).unit)
    assert run.reason() == "KeyError: 'weight'"
    assert of(run, "failed")[0]["rank"] == 3
    assert "exit code: 1" in run.failed.read_text()


def test_what_helps_is_told(run):
    record_failure(run, "train", MemoryError(), life(run).unit, "take less")
    assert "next: take less" in run.failed.read_text()


def test_slots_of_one_wave_are_one_submission_whatever_their_arrays(run, tmp_path):
    wave = {"told": {"wave": "abc"}}
    with life(run, 0, **wave).working():
        pass
    fake_sacct(tmp_path, "14_0|OUT_OF_MEMORY|0:125|n|c")
    later = life(run, 1, SLURM_ARRAY_JOB_ID="20", **wave)
    with pytest.raises(SystemExit, match="does not go on: out of memory"), later.working():
        raise AssertionError
    assert run.reason() == "out of memory: job 14_0"


def test_a_cell_has_a_life_as_a_run_has(run, tmp_path):
    cell = run.cell("mgsm", "sw", 0)
    cell.path.mkdir(parents=True)
    first = UnitLifecycle(life(run, 0).unit, cell, "evaluate", Interrupts())
    with first.working():
        record_failure(cell, "evaluate", KeyError("x"), first.unit)
    assert cell.reason() == "KeyError: 'x'"
    assert not run.failed.exists()
    with pytest.raises(SystemExit, match="KeyError"):
        first.over()


def test_unit_of_a_finished_run_ends_at_once_and_imports_nothing_heavy(run, tmp_path):
    run.finish()
    code = (
        "import sys; from jobs.work.call import JobCall\n"
        f"print(JobCall('train', {{'run': {str(run.path)!r}, 'terms': {TERMS}}})())\n"
        "assert not {'torch', 'transformers', 'datasets', 'submitit'} & set(sys.modules)"
    )
    environ = {**os.environ, "SLURM_JOB_ID": "15", "SUBMITIT_FOLDER": str(run.slurm)}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "nothing to do" in ran.stdout


def test_unit_whose_job_breaks_leaves_a_reason_and_a_status(run):
    told = {"run": str(run.path), "terms": TERMS, "act": "raise", "dies": 0}
    code = f"from jobs.work.call import JobCall; JobCall('tests.jobs.echo', {told})()"
    environ = {**os.environ, "SLURM_JOB_ID": "15", "SUBMITIT_FOLDER": str(run.slurm), "SLURM_NTASKS": "1"}
    environ |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "n1"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "rank 0 broke" in ran.stderr
    assert of(run, "failed")[0]["reason"] == "RuntimeError: rank 0 broke"
