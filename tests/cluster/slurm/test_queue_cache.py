from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.slurm import queue_cache
from cluster.slurm.queue_cache import QueueCache, forget
from cluster.slurm.queued_job import QueuedJob
from tests.cluster.fake_slurm import holder

ROOT = Path(__file__).resolve().parents[3]
RUNNING = "12_0\t12\tRUNNING\tNone\tmath-s1\t/r/a.sh\t2026-11-21T09:50:41\n"
WAITING = "12_[1-3%1]\t12\tPENDING\tJobArrayTaskLimit\tmath-s1\t/r/a.sh\tN/A\n"


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when told to."""

    class Clock:
        now = 1_000_000.0
        answer_s = 0.0

        def time(self):
            return self.now

        def monotonic(self):
            self.now += self.answer_s
            return self.now

    clock = Clock()
    monkeypatch.setattr(queue_cache, "time", clock)
    return clock


def asked(slurm, what="squeue"):
    return sum(line.startswith(what) for line in slurm.lines("asked"))


def test_many_looks_of_many_processes_are_one_question(slurm, tmp_path):
    slurm.set("queue", RUNNING + WAITING)
    looks = [QueueCache(tmp_path).look() for _ in range(20)]
    assert asked(slurm) == 1
    assert all(look == looks[0] for look in looks)
    assert looks[0].jobs[0] == QueuedJob(*RUNNING.strip().split("\t"))
    code = (
        "import sys; from pathlib import Path; from cluster.slurm.queue_cache import QueueCache\n"
        "print(QueueCache(Path(sys.argv[1])).look().jobs)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == str(looks[0].jobs)
    assert asked(slurm) == 1


def test_the_queue_is_asked_anew_after_a_minute(slurm, tmp_path, clock):
    seen = QueueCache(tmp_path)
    assert seen.look().jobs == ()
    slurm.set("queue", RUNNING)
    clock.now += 59
    assert seen.look().jobs == ()
    clock.now += 2
    assert [job.id for job in seen.look().jobs] == ["12_0"]
    assert asked(slurm) == 2


def test_a_sandbox_may_be_asked_every_two_seconds(slurm, tmp_path, clock):
    seen = QueueCache(tmp_path, queue_cache.SANDBOX_S)
    for _ in range(3):
        seen.look()
        clock.now += 2.1
    assert asked(slurm) == 3


def test_forgetting_has_the_next_look_ask_also_in_a_process_that_looked_before(slurm, tmp_path):
    watching = QueueCache(tmp_path)
    watching.look()
    slurm.set("queue", RUNNING)
    forget(tmp_path)
    assert [job.id for job in watching.look().jobs] == ["12_0"]
    forget(tmp_path)
    forget(tmp_path)  # that there is nothing to forget is no mistake


def test_a_silent_controller_is_asked_ever_more_seldom_and_the_last_answer_stays(slurm, tmp_path, clock):
    slurm.set("queue", RUNNING)
    seen = QueueCache(tmp_path)
    first = seen.look()
    slurm.set("silent")
    gaps, last = [], clock.now
    for _ in range(180):
        clock.now += 20
        before = asked(slurm)
        look = seen.look()
        if asked(slurm) > before:
            gaps.append(clock.now - last)
            last = clock.now
    assert gaps == [60, 120, 240, 480, 600, 600, 600, 600]
    assert look.jobs == first.jobs
    assert look.time == first.time
    assert look.fault == "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    slurm.forget("silent")
    clock.now += 600
    assert seen.look().fault == ""
    clock.now += 60
    seen.look()
    assert asked(slurm) == len(gaps) + 3


def test_a_slow_answer_counts_and_doubles_the_interval(slurm, tmp_path, clock):
    slurm.set("queue", RUNNING)
    clock.answer_s = 6
    seen = QueueCache(tmp_path)
    assert seen.look().jobs
    clock.now += 100
    seen.look()
    assert asked(slurm) == 1
    clock.now += 21
    clock.answer_s = 0
    seen.look()
    clock.now += 61
    seen.look()
    assert asked(slurm) == 3


def test_without_slurm_there_is_nothing_to_look_at(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    look = QueueCache(tmp_path).look()
    assert (look.jobs, look.time, look.fault) == ((), None, "")
    assert look.job_is_alive(holder("12")) is None
    assert QueueCache(tmp_path).ended(["12"]) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_torn_or_of_another_form_is_asked_for_anew(slurm, tmp_path):
    slurm.set("queue", RUNNING)
    seen = QueueCache(tmp_path)
    seen.look()
    paths = [seen.folder / f"{name}.json" for name in ("squeue", "squeue-asked")]
    for number, path in enumerate((*paths, *paths)):
        whole = path.read_text()
        path.write_text(whole[:20] if number < 2 else json.dumps({**json.loads(whole), "of": ["%i", ""]}))
        forget(tmp_path)
        assert [job.id for job in QueueCache(tmp_path).look().jobs] == ["12_0"]
    assert asked(slurm) == 5


def test_another_slurm_has_answers_of_its_own(slurm, tmp_path, monkeypatch):
    slurm.set("queue", RUNNING)
    QueueCache(tmp_path).look()
    monkeypatch.setenv("SLURM_CONF", "/dev/shm/sandbox/etc/slurm.conf")
    slurm.set("queue", WAITING)
    assert [job.id for job in QueueCache(tmp_path).look().jobs] == ["12_[1-3%1]"]


def test_a_folder_that_cannot_be_written_is_remembered_by_the_process(slurm, tmp_path):
    slurm.set("queue", RUNNING)
    seen = QueueCache(tmp_path / "nowhere")
    assert [seen.look().jobs[0].id for _ in range(3)] == ["12_0"] * 3
    assert asked(slurm) == 1


def test_many_at_once_leave_a_whole_file(slurm, tmp_path):
    slurm.set("queue", RUNNING + WAITING)

    def look(number):
        seen = QueueCache(tmp_path, every_s=0.0)
        seen.ended([f"{number}"])
        return len(seen.look().jobs)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(24))) == {2}
    names = ["sacct-asked.json", "sacct.json", "squeue-asked.json", "squeue.json"]
    assert sorted(path.name for path in QueueCache(tmp_path).folder.iterdir()) == names


def test_a_look_knows_who_lives_unless_the_sign_is_younger(slurm, tmp_path):
    slurm.set("queue", RUNNING + WAITING)
    look = QueueCache(tmp_path).look()
    assert look.job_is_alive(holder("12_0")) is True
    assert look.job_is_alive(holder("12_1")) is False
    assert look.job_is_alive(holder("13")) is False
    assert look.job_is_alive(holder("12_1"), sign=time.time() + 1) is None  # it may have begun since
    assert [job.id for job in look.by_job["12"]] == ["12_0", "12_[1-3%1]"]


def test_a_life_is_believed_for_a_minute_and_a_death_looked_up_by_id(slurm, clock):
    slurm.set("queue", RUNNING + WAITING)
    seen = QueueCache()
    assert seen.job_is_alive(holder("12_0")) is True
    assert seen.job_is_alive(holder("12_1")) is False
    slurm.set("queue", "")
    assert seen.job_is_alive(holder("12_0")) is True  # believed
    assert [line.split()[-1].partition("=")[0] for line in slurm.lines("asked")] == ["--user", "--jobs"]
    clock.now += 61
    assert seen.job_is_alive(holder("12_0")) is False
    slurm.set("queue", RUNNING)  # it is back: requeued
    assert seen.job_is_alive(holder("12_0")) is True
    slurm.set("silent")
    assert seen.job_is_alive(holder("12_1")) is None


def test_how_jobs_ended_is_one_question_and_kept(slurm, tmp_path, clock):
    rows = ["12_0\tTIMEOUT\t0:0\tmath-s1\tx", "12_1\tNODE_FAIL\t1:0\tmath-s1\tx", "14\tRUNNING\t0:0\tmath\tx"]
    slurm.set("accounting", "\n".join(rows) + "\n")
    found = QueueCache(tmp_path).ended(["12_0", "12", "14", "15", "12_0"])
    assert {job: row.state for job, row in found.items()} == {
        "12_0": "TIMEOUT",
        "12": "NODE_FAIL",
        "14": "RUNNING",
    }
    assert [line.split()[-1] for line in slurm.lines("asked")] == ["--jobs=12_0,12,14,15"]
    assert QueueCache(tmp_path).ended(["12", "15"])["12"].exit == "1:0"
    assert asked(slurm, "sacct") == 1
    clock.now += 61
    QueueCache(tmp_path).ended(["12_0", "14", "15"])  # what is still said to run may have ended by now
    assert [line.split()[-1] for line in slurm.lines("asked")][1:] == ["--jobs=14"]
    clock.now += 600
    QueueCache(tmp_path).ended(["12_0", "15"])  # accounting lags: what it did not know it may know later
    assert [line.split()[-1] for line in slurm.lines("asked")][2:] == ["--jobs=15"]


def test_accounting_that_does_not_answer_is_left_alone_for_longer_and_longer(slurm, tmp_path, clock):
    seen = QueueCache(tmp_path)
    for _ in range(60):
        assert seen.ended(["12"]) == {}
        clock.now += 10
    assert asked(slurm, "sacct") == 3  # at 0, 120 and 360 s


def test_the_file_is_of_the_user_alone(slurm, tmp_path, monkeypatch):
    slurm.set("queue", RUNNING)
    QueueCache(tmp_path).look()
    monkeypatch.setattr("getpass.getuser", lambda: "another")
    slurm.set("queue", WAITING)
    assert [job.id for job in QueueCache(tmp_path).look().jobs] == ["12_[1-3%1]"]
