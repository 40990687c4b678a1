from __future__ import annotations

import time

import pytest

from cluster.job import causes
from cluster.job.causes import (
    Ending,
    accounted,
    cause_of_ending,
    cause_of_signal,
    diagnosis,
    ending_of,
    lost_peer,
    tail,
)
from tests.cluster.job.test_unit import unit

STEP = "step 20/900  loss 0.5\n"
TIME = "slurmstepd: error: *** STEP 14.0 ON n1 CANCELLED AT 2026-11-24T20:00:12 DUE TO TIME LIMIT ***\n"
NOW = 1_000_000.0
TEXT = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(NOW))
SHOWN = {
    "JobState": "RUNNING",
    "Reason": "None",
    "Restarts": "0",
    "PreemptTime": "None",
    "TimeLimit": "01:00:00",
}


def shown(started_s_ago: float, **changes: str) -> dict[str, str]:
    start = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(NOW - started_s_ago))
    return {**SHOWN, "StartTime": start, **changes}


def ending(code: str, reason: str = "None") -> dict[str, str]:
    return shown(1000, JobState="COMPLETING", ExitCode=code, Reason=reason, EndTime=TEXT)


@pytest.mark.parametrize(
    ("signal", "continued", "says", "cause"),
    [
        ("SIGUSR2", False, shown(3600 - 120), "walltime"),
        ("SIGUSR2", False, shown(3600 - 190), "walltime"),
        ("SIGUSR2", False, shown(1000), "scancel --signal"),
        ("SIGUSR2", False, shown(1000, PreemptTime=TEXT), "preemption"),
        ("SIGTERM", True, shown(1000, PreemptTime=TEXT, EndTime=TEXT), "preemption"),
        ("SIGTERM", False, shown(1000), "scancel --signal"),
        ("SIGTERM", True, shown(1000), "killed"),
        ("SIGTERM", True, shown(1000, JobState="COMPLETING", EndTime=TEXT), "cancelled"),
        ("SIGTERM", True, shown(1000, JobState="COMPLETING", Restarts="1"), "requeue"),
        ("SIGTERM", True, shown(1000, JobState="COMPLETING", Reason="NodeDown"), "node failure"),
        ("SIGTERM", True, shown(3601, JobState="COMPLETING"), "walltime"),
        ("SIGTERM", True, shown(1000, JobState="FAILED", Reason="RaisedSignal:9(Killed)"), "killed"),
        ("SIGTERM", True, shown(1000, JobState="COMPLETING", Reason="NonZeroExitCode"), "killed"),
        ("SIGTERM", True, shown(1000, JobState="COMPLETING", Reason="OutOfMemory"), "out of memory"),
        ("SIGTERM", True, shown(1000, JobState="COMPLETING", Reason="TimeLimit"), "walltime"),
        (None, False, shown(1000), "scancel --signal"),
        # as Slurm 22.05 shows a job whose batch shell was killed, and one that was cancelled before and after its end
        ("SIGTERM", True, ending("0:9", "JobLaunchFailure"), "killed"),
        ("SIGTERM", True, ending("0:15", "JobLaunchFailure"), "killed"),
        ("SIGTERM", True, ending("137:0", "NonZeroExitCode"), "killed"),
        ("SIGTERM", True, ending("0:0"), "cancelled"),
        ("SIGTERM", True, ending("0:15"), "cancelled"),
        ("SIGTERM", True, shown(1000, JobState="CANCELLED", ExitCode="0:0"), "cancelled"),
        # the same where no reason is given: only what its script did not end by itself was cancelled
        ("SIGTERM", True, ending("0:9"), "killed"),
        ("SIGTERM", True, ending("1:0"), "killed"),
        ("SIGTERM", True, ending("143:0"), "killed"),
        ("SIGTERM", True, ending("0:11"), "crashed"),
        ("SIGTERM", True, ending("0:125"), "out of memory"),
        ("SIGTERM", True, shown(1000, JobState="FAILED", ExitCode="0:9"), "killed"),
        ("SIGTERM", True, shown(1000, JobState="FAILED", ExitCode="0:0"), "killed"),
        ("SIGTERM", True, shown(1000, JobState="COMPLETED", ExitCode="0:0"), "killed"),
        ("SIGTERM", True, shown(1000, JobState="NODE_FAIL", ExitCode="0:0"), "node failure"),
        ("SIGTERM", True, shown(1000, JobState="BOOT_FAIL"), "node failure"),
        ("SIGTERM", True, shown(1000, JobState="PREEMPTED", ExitCode="0:0"), "preemption"),
        ("SIGTERM", True, shown(1000, JobState="TIMEOUT", ExitCode="0:0"), "walltime"),
        ("SIGTERM", True, shown(1000, JobState="SUSPENDED"), "killed"),
        ("SIGTERM", False, shown(1000, JobState="SUSPENDED"), "scancel --signal"),
    ],
)
def test_signal_is_told_by_what_the_controller_says(signal, continued, says, cause):
    assert cause_of_signal(signal, NOW, continued, unit(), says) == cause


@pytest.mark.parametrize(
    ("signal", "continued", "left_s", "cause"),
    [
        ("SIGUSR2", False, 150, "walltime"),
        ("SIGUSR2", False, 1000, "preemption"),
        ("SIGTERM", True, 1000, "preemption"),
        ("SIGTERM", False, 1000, "scancel --signal"),
        ("SIGTERM", True, 0, "walltime"),
    ],
)
def test_without_the_controller_time_and_signal_decide(signal, continued, left_s, cause):
    found = unit(SLURM_JOB_END_TIME=str(NOW + left_s))
    assert cause_of_signal(signal, NOW, continued, found, None) == cause


@pytest.mark.parametrize(
    ("state", "log", "cause"),
    [
        ("TIMEOUT", "", "walltime"),
        ("PREEMPTED", "srun: error: node1: task 0: Killed", "preemption"),
        ("NODE_FAIL", "", "node failure"),
        ("CANCELLED", "", "cancelled"),
        ("OUT_OF_MEMORY", "", "out of memory"),
        ("REQUEUED", "", "requeue"),
        ("REQUEUED", "srun: error: node2: task 1: Killed", "killed"),
        ("REQUEUED", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=3.0.", "out of memory"),
        ("FAILED", "srun: error: node1: task 0: Out Of Memory", "out of memory"),
        ("FAILED", "Step 3.0 exceeded memory limit (434827264 > 104857600), being killed", "out of memory"),
        ("FAILED", "srun: error: Node failure on node2", "node failure"),
        ("FAILED", "srun: error: node2: task 3: Killed", "killed"),
        ("FAILED", "", "killed"),
        (None, "", "killed"),
        (None, TIME, "walltime"),
        (None, "srun: error: node2: task 3: Segmentation fault\n", "crashed"),
        (None, f"caught CUDA Out Of Memory, again with less\n{STEP}{TIME}", "walltime"),
        (None, f"srun: error: node2: task 1: Out Of Memory\n{STEP}", "killed"),
        (None, "*** JOB 14 ON n1 CANCELLED AT 2026-11-24T20:00:12 ***", "killed"),
        ("FAILED", f"srun: error: Node failure on node2\n{STEP}", "killed"),
    ],
)
def test_silent_end_is_told_by_accounting_and_log(state, log, cause):
    assert cause_of_ending(Ending(state, None), log) == cause


@pytest.mark.parametrize(
    ("state", "code", "kind", "how"),
    [
        ("TIMEOUT", "0:0", "walltime", ""),
        ("CANCELLED", "0:15", "cancelled", ""),
        ("FAILED", "0:9", "killed", "Killed"),
        ("FAILED", "137:0", "killed", "Killed"),
        ("FAILED", "139:0", "crashed", "Segmentation fault"),
        ("FAILED", "0:7", "crashed", "Bus error"),
        ("FAILED", "134:0", "aborted", "Aborted"),
        ("FAILED", "0:125", "out of memory", ""),
        ("FAILED", "0:53", "output file not written", "could not be opened"),
        ("FAILED", "0:54", "could not be started", "prolog"),
        ("FAILED", "1:0", "exited", "1"),
        ("FAILED", "255:0", "exited", "255"),
        ("FAILED", "168:0", "exited", "168"),
    ],
)
def test_what_accounting_says_is_one_more_message_of_slurms(state, code, kind, how):
    found = accounted(Ending(state, code))
    assert (found.kind, how in found.how) == (kind, True)


@pytest.mark.parametrize(
    ("state", "code"), [("COMPLETED", "0:0"), ("REQUEUED", "0:9"), (None, None), ("RUNNING", "")]
)
def test_accounting_that_says_nothing_of_an_end(state, code):
    assert accounted(Ending(state, code)) is None


def fake_sacct(folder, *rows: str) -> None:
    lines = "".join("\t".join(row.split("|")) + "\n" for row in rows)
    (folder / "rows").write_text(lines)
    (folder / "sacct").write_text(f"#!/bin/sh\ncat {folder}/rows\n")
    (folder / "sacct").chmod(0o755)


def test_each_start_of_a_job_has_its_own_end(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    fake_sacct(tmp_path, "14_2|NODE_FAIL|0:0|n|c", "14_2|CANCELLED by 0|0:15|n|c", "14_2|RUNNING|0:0|n|c")
    assert ending_of("14_2", 0, 0) == Ending("NODE_FAIL", "0:0")
    assert ending_of("14_2", 1, 0) == Ending("CANCELLED", "0:15")
    assert ending_of("14_2", 2, 0) == Ending(None, None)


@pytest.mark.parametrize(
    "state", ["RESIZING", "STOPPED", "SIGNALING", "CONFIGURING", "REQUEUE_HOLD", "SPECIAL_EXIT"]
)
def test_a_state_that_is_no_end_is_not_taken_for_one(tmp_path, monkeypatch, state):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    fake_sacct(tmp_path, f"14_2|{state}|0:0|n|c")
    assert ending_of("14_2", 0, 0) == Ending(None, None)


@pytest.mark.parametrize(
    ("state", "cause"), [("DEADLINE", "deadline"), ("BOOT_FAIL", "node failure"), ("REVOKED", "revoked")]
)
def test_rarer_ends_are_told_as_what_they_are(state, cause):
    assert cause_of_ending(Ending(state, "0:0"), "") == cause


def test_without_accounting_the_end_is_unknown_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(causes.time, "sleep", lambda seconds: pytest.fail(f"it waits {seconds} s"))
    assert ending_of("14_2", 0) == Ending(None, None)


class DistNetworkError(RuntimeError):
    """Of torch.distributed, by name."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error: Connection reset by peer"), True),
        (RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.1.1.2]:4000"), True),
        (RuntimeError("NCCL error: remote process exited or there was a network error"), True),
        (DistNetworkError("The client socket has failed to connect"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("Connection reset by peer"), False),
        (KeyError("x"), False),
    ],
)
def test_error_of_a_process_that_lost_another_is_not_the_first(error, told):
    assert lost_peer(error) == told


def test_a_group_of_exceptions_is_worded_with_the_first_in_it():
    assert causes.worded(KeyError("labels")) == "KeyError: 'labels'"
    group = ExceptionGroup("rows", [ValueError("no target"), KeyError("x")])
    assert causes.worded(group) == "ExceptionGroup: rows (2 sub-exceptions): ValueError: no target"


def test_diagnosis_fits_a_screen_and_begins_with_the_reason():
    log = "submitit INFO (now) - Starting\n" + "".join(f"step {n}\n\n" for n in range(100)) + "x" * 500
    told = diagnosis("out of memory: job 3", {"nodes": "n1"}, tail(log, 15), "ask for more")
    lines = told.splitlines()
    assert lines[0] == "out of memory: job 3"
    assert lines[-1] == "  next: ask for more"
    assert len(lines) == 19
    assert max(map(len, lines)) < 170
    assert "submitit" not in told
