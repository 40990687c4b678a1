"""Whether the same command takes up what has failed: by the cause, as it was recorded or as older records tell it."""

from __future__ import annotations

import errno
import os

import pytest

from cluster.job.lifecycle import record_failure
from cluster.logs.failure import STRIKES, failure_of, may_have_passed
from cluster.run.run_folder import RunFolder


@pytest.fixture
def run(tmp_path):
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.create({})
    return run


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"OSError: {OSError(code, os.strerror(code), '/scratch/a')}"
            for code in (errno.ENOSPC, errno.EDQUOT)
        ),
        *(
            f"OSError: {OSError(code, os.strerror(code))}"
            for code in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
        ),
        'SafetensorError: IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })',
        "run x: folder /scratch/x cannot be written: Disk quota exceeded; choose another place with --runs FOLDER",
        "DamagedFile: /runs/m-s2-1/data.json is damaged: it is missing; put it back from a copy, or give --force",
        "ConnectionError: Couldn't reach 'wiki' on the Hub (LocalEntryNotFoundError)",
        "HTTPError: 503 Server Error: Service Unavailable for url: https://huggingface.co/x",
        "HTTPError: 429 Client Error: Too Many Requests for url",
        "ConnectTimeout: timed out",
        "AcceleratorError: CUDA error: uncorrectable ECC error encountered",
        "cancelled: job 7_0",
        "node failure: job 7_0",
    ],
)
def test_what_may_be_over_is_taken_up(run, text):
    assert may_have_passed(text)
    run.fail(f"{text}\n  where: rank 0\n  next: x\n")  # as an earlier version wrote it
    assert failure_of(run).passing


@pytest.mark.parametrize(
    "text",
    [
        "out of memory: job 7_0",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "FloatingPointError: the loss is nan in step 12",
        "3 starts without progress: each ended before the next checkpoint",
        "KeyError: 'labels'",
        "data/x.sw:1: no example\n  last lines of the log:\n    OSError: [Errno 28] No space left on device",
        "",
    ],
)
def test_what_needs_a_change_is_not(run, text):
    assert not may_have_passed(text)
    run.fail(text)
    assert not failure_of(run).passing


def test_what_an_exception_was_raised_from_counts_where_it_says_nothing_itself():
    assert may_have_passed("RuntimeError: the writer broke", "OSError: [Errno 28] No space left on device")
    assert not may_have_passed("OutOfMemoryError: CUDA out of memory", "OSError: [Errno 28] No space left")


def test_what_is_recorded_counts_more_than_the_words(run):
    record_failure(run, "train", RuntimeError("odd"), None, passing=True)
    assert "\n  cause: passing\n" in run.failed.read_text()
    assert failure_of(run).passing
    run.forgive()
    record_failure(run, "train", OSError(28, "No space left on device"), None, passing=False)
    assert "\n  cause: needs a change\n" in run.failed.read_text()
    assert not failure_of(run).passing
    run.forgive()
    assert failure_of(run) is None


def strike(run):
    run.forgive()
    run.fail("OSError: [Errno 28] No space left on device")
    return failure_of(run)


def test_a_cause_that_strikes_again_and_again_needs_retry(run):
    assert [strike(run).passing for _ in range(STRIKES)] == [True] * (STRIKES - 1) + [False]
    assert f"{STRIKES} times in a row without progress" in failure_of(run).told()
    run.forgive(asked=True)
    assert strike(run).passing


def test_progress_ends_a_row(run):
    for step in range(2 * STRIKES):
        (run.checkpoints / f"step-{step + 1}").mkdir(parents=True)
        assert strike(run).passing


def test_events_of_an_earlier_version_are_no_row(run):
    for _ in range(STRIKES):
        run.event("failed", reason="OSError: [Errno 28] No space left on device")
        run.event("retried", reason="x")
    assert strike(run).passing
