"""What counts for a work of a process: all since its job began, of a further one what lies after the one before."""

from __future__ import annotations

import time

import pytest

from cluster.job import clock
from cluster.quantities import epoch_s


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(clock, "_at_work_until", [])
    monkeypatch.delenv("SLURM_JOB_START_TIME", raising=False)


def begin_of_a_work() -> float:
    with clock.counted() as began:
        return epoch_s(began) or 0.0


def test_the_first_work_counts_from_the_begin_of_the_process_and_the_next_from_the_end_of_it():
    before = time.time()
    first = begin_of_a_work()
    assert first < before
    assert before - 0.1 <= begin_of_a_work() <= time.time()


def test_on_slurm_it_counts_from_the_begin_of_the_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_START_TIME", "1700000000")
    assert begin_of_a_work() == 1700000000


@pytest.mark.parametrize("told", ["", "0", "Unknown", "9999999999", "-1", "1e3"])
def test_what_cannot_be_the_begin_of_the_job_is_not_believed(told, monkeypatch):
    plain = begin_of_a_work()
    monkeypatch.setattr(clock, "_at_work_until", [])
    monkeypatch.setenv("SLURM_JOB_START_TIME", told)
    assert begin_of_a_work() == pytest.approx(plain, abs=0.1)


def test_work_that_fails_has_ended_too():
    with pytest.raises(ValueError, match="broken"), clock.counted():
        raise ValueError("broken")
    assert time.time() - begin_of_a_work() < 5
