"""Lines of srun and of the nodes' daemons, of Slurm 22.05 to 25.05, and which of them is why a job ended."""

from __future__ import annotations

import pytest

from cluster.job.slurm_messages import (
    ABORTED,
    CANCELLED,
    CRASHED,
    EXITED,
    KILLED,
    NO_OUTPUT,
    NO_PROGRAM,
    NO_STEP,
    NODE_FAILURE,
    NOT_STARTED,
    OUT_OF_MEMORY,
    PREEMPTION,
    REQUEUE,
    WALLTIME,
    after_progress,
    ended_by,
    message_of,
    messages,
)

TIME = "slurmstepd: error: *** STEP 14.0 ON ng1 CANCELLED AT 2026-11-24T20:00:12 DUE TO TIME LIMIT ***"
SEGFAULT = "srun: error: ng2: task 3: Segmentation fault (core dumped)"
EXIT = "srun: error: ng1: tasks 0-1: Exited with exit code 1"
KILL = "srun: error: ng1: tasks 0-1: Killed"
ABORT = "srun: error: ng1: task 0: Aborted (core dumped)"
MEMORY = (
    "[2026-11-25T09:31:44.120] error: Detected 1 oom_kill event in StepId=14.0. Some of the step tasks have"
)
STEP = "slurmstepd: error: *** STEP 14.0 ON ng1 CANCELLED AT 2026-11-24T20:00:12 ***"
WAITS = "srun: Job 14 step creation temporarily disabled, retrying (Requested nodes are busy)"


@pytest.mark.parametrize(
    ("line", "kind", "node", "how"),
    [
        ("srun: error: ng11301: task 5: Out Of Memory", OUT_OF_MEMORY, "ng11301", ""),
        (
            "slurmstepd-n1: error: Detected 1 oom-kill event(s) in StepId=3.0. Some of your",
            OUT_OF_MEMORY,
            "",
            "",
        ),
        ("slurmstepd: error: Detected 2 oom-kill event(s) in step 37.batch cgroup.", OUT_OF_MEMORY, "", ""),
        ("Step 3.0 exceeded memory limit (434827264 > 104857600), being killed", OUT_OF_MEMORY, "", ""),
        (MEMORY, OUT_OF_MEMORY, "", ""),
        ("srun: error: Node failure on ng20304", NODE_FAILURE, "ng20304", ""),
        (TIME.replace("TIME LIMIT", "NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS"), NODE_FAILURE, "", ""),
        (TIME, WALLTIME, "", ""),
        (TIME.replace("slurmstepd: error:", "[2026-11-24T20:00:12.004] error:"), WALLTIME, "", ""),
        (TIME.replace("TIME LIMIT", "PREEMPTION"), PREEMPTION, "", ""),
        (TIME.replace("TIME LIMIT", "JOB REQUEUE"), REQUEUE, "", ""),
        (STEP.replace("STEP 14.0", "JOB 14"), CANCELLED, "", ""),
        ("*** JOB 14 ON n1 CANCELLED AT 2026-11-24T20:00:12 DUE to SIGNAL Terminated ***", CANCELLED, "", ""),
        (
            "srun: error: Unable to create step for job 7: Job/step already completing",
            NOT_STARTED,
            "",
            "completing",
        ),
        (
            "srun: error: Unable to confirm allocation for job 7: Invalid job id",
            NOT_STARTED,
            "",
            "Invalid job id",
        ),
        (
            "srun: error: Task launch for StepId=7.0 failed on node n2: Socket timed out",
            NOT_STARTED,
            "n2",
            "timed out",
        ),
        (
            "srun: error: Task launch for 7.0 failed on node n2: Job credential expired",
            NOT_STARTED,
            "n2",
            "expired",
        ),
        (
            "srun: error: Application launch failed: Communication connection failure",
            NOT_STARTED,
            "",
            "connection",
        ),
        ("srun: error: Munge encode failed: Failed to access socket", NOT_STARTED, "", "Munge encode failed"),
        (
            "srun: error: slurm_send_node_msg: x has authentication error",
            NOT_STARTED,
            "",
            "authentication error",
        ),
        ("slurmstepd: error: execve(): python: No such file or directory", NO_PROGRAM, "", "python"),
        (
            "[2026-11-25T08:00:09.1] error: _fork: execve(): /x/python: Permission denied",
            NO_PROGRAM,
            "",
            "/x/python",
        ),
        (
            "slurmstepd: error: Could not open stdout file /a/b.out: Disk quota exceeded",
            NO_OUTPUT,
            "",
            "quota",
        ),
        (WAITS, NO_STEP, "", "Requested nodes are busy"),
        (SEGFAULT, CRASHED, "ng2", "Segmentation fault"),
        ("srun: error: kn001: tasks 0,2-3: Bus error", CRASHED, "kn001", "Bus error"),
        (
            "3: srun: error: n1: task 3: Illegal instruction (core dumped)",
            CRASHED,
            "n1",
            "Illegal instruction",
        ),
        (ABORT, ABORTED, "ng1", "Aborted"),
        (KILL, KILLED, "ng1", "Killed"),
        (EXIT, EXITED, "ng1", "1"),
    ],
)
def test_a_line_is_told_for_what_it_is(line, kind, node, how):
    found = message_of(line)
    assert (found.kind, found.node, how in found.how) == (kind, node, True)


@pytest.mark.parametrize(
    "line",
    [
        "step 300/900  loss 0.5521  lr 2.9e-05  11,200 tokens/s  left 0:12:40",
        "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.",
        "caught CUDA Out Of Memory, trying a smaller batch",
        "    srun: error: ng2: task 3: Segmentation fault",  # a diagnosis quotes it
        STEP,
        "",
    ],
)
def test_what_says_nothing_of_an_end_is_no_message(line):
    assert message_of(line) is None


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([TIME, KILL], WALLTIME),
        ([KILL, TIME], WALLTIME),
        ([SEGFAULT, TIME], CRASHED),
        ([TIME, SEGFAULT], WALLTIME),
        ([EXIT, SEGFAULT], CRASHED),
        ([EXIT, KILL], EXITED),
        ([KILL, EXIT], KILLED),
        ([ABORT, KILL], ABORTED),
        ([EXIT, STEP, MEMORY], OUT_OF_MEMORY),
        ([TIME, "srun: error: Node failure on ng2"], NODE_FAILURE),
        ([WAITS, TIME], NO_STEP),
        ([WAITS, "srun: Step created for StepId=14.0", TIME], WALLTIME),
        ([STEP], None),
        ([], None),
    ],
)
def test_the_message_from_which_the_others_follow(lines, kind):
    found = ended_by(list(messages("\n".join(lines))))
    assert (found and found.kind) == kind


def test_of_two_lines_that_say_the_same_the_one_that_says_where():
    found = ended_by(list(messages(f"{MEMORY}\nsrun: error: ng2: tasks 2,5-6: Out Of Memory\n")))
    assert (found.node, found.ranks) == ("ng2", {2, 5, 6})


def test_what_stands_before_a_sign_of_progress_did_not_end_it():
    start = "submitit INFO (now) - Starting with JobEnvironment(job_id=14)\n"
    assert after_progress(f"{SEGFAULT}\n{start}") == ""
    assert after_progress(f"{start}a\nstep 20/900  loss 0.5  lr 1e-5\n{TIME}\n") == f"{TIME}\n"
    assert after_progress("a\nmgsm/sw-0 8/250  1.2 items/s  left 0:01:00\nb\n") == "b\n"
    assert after_progress("one\ntwo\n") == "one\ntwo\n"
