"""What `logs` shows: this run's part of the right log, the first error of all, and what is added while one looks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import launch
from cluster.files import write_json_atomic
from cluster.run.grid_folder import GridFolder
from jobs.diagnosis import logs as jobs_logs
from jobs.diagnosis.logs import Follower
from tests.jobs.stories import START, Story
from tests.timing import slowness
from tests.world import ROOT

ERROR = """\
Traceback (most recent call last):
  File "/code/jobs/train.py", line 44, in run
    fit()
KeyError: 'labels'
"""
PEER = """\
Traceback (most recent call last):
  File "/code/jobs/train.py", line 44, in run
    fit()
torch.distributed.DistBackendError: NCCL error: remote process exited or there was a network error
"""


@pytest.fixture
def story(tmp_path):
    return Story(tmp_path / "runs")


@pytest.fixture
def show(tmp_path, capsys):
    """`launch.py logs`; gives its status and what it printed."""

    def show(*words):
        status = launch.main(["logs", *words, "--runs", str(tmp_path / "runs")])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return show


def test_the_log_of_the_latest_start(story, show):
    story.started(90, "14_0").printed({0: "old\n"}, "14_0")
    story.started(30, "14_1").printed({0: "step 7\n", 1: "quiet\n"}, "14_1")
    status, printed = show("math")
    assert status == 0
    assert "job 14_1, rank 0 on ng1" in printed
    assert "step 7" in printed
    assert "old" not in printed
    assert "submitit" not in printed
    assert "quiet" in show("math", "--rank", "1")[1]


def test_a_rank_without_a_log_is_refused_with_those_that_have_one(story, show):
    story.started().printed({0: "", 1: ""})
    status, printed = show("math", "--rank", "7")
    assert status == 2
    assert "rank 7" in printed
    assert "2 ranks have, 0 to 1" in printed


def test_a_long_log_is_shown_by_its_end_and_says_how_to_see_all(story, show):
    story.started().printed({0: "".join(f"step {n}\n" for n in range(1000))})
    _, printed = show("math")
    assert "step 999" in printed
    assert "step 799" not in printed
    assert f"its last 200 lines; all of it: less {story.run.slurm}/14_0_0_log.out" in printed


def test_of_a_log_of_300_mb_only_the_end_is_read(story, tmp_path):
    path = story.started().run.slurm / "14_0_0_log.out"
    with path.open("wb") as file:
        file.truncate(300 * 2**20)
        file.seek(0, 2)
        file.write(b"\n" + b"step 7\n" * 500)
    code = (
        "import sys, launch\n"
        "launch.main(sys.argv[1:])\n"
        # not ru_maxrss, which a process inherits from the one that started it
        "print(*[line for line in open('/proc/self/status') if line.startswith('VmHWM')])\n"
        "print(*[line for line in open('/proc/self/io') if line.startswith('rchar')])\n"
    )
    words = ["logs", "math", "--runs", str(tmp_path / "runs")]
    ran = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = ran.stdout.splitlines()
    assert "step 7" in lines
    peak_kb = int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    read = int(next(line for line in lines if line.startswith("rchar")).split()[1])
    assert peak_kb < 150 * 1024
    assert read < 40 * 2**20


def test_later_units_of_what_is_over_have_nothing_to_say(story, show):
    story.started().printed({0: "step 1000\n"})
    story.printed({0: "unit 2 of 3: nothing to do\n"}, "14_1")
    write_json_atomic(story.run.done, {"step": 1000})
    assert "step 1000" in show("math")[1]


def test_a_job_that_broke_before_it_could_record_a_start(story, show):
    story.started(90).printed({0: "step 7\n"}, minutes={0: 60})
    story.printed({0: "error: environment on ng1: Python is 3.9\n"}, "14_1")
    assert "Python is 3.9" in show("math")[1]


def test_a_run_that_never_started_says_so(story, show):
    status, printed = show("math")
    assert status == 2
    assert "has printed nothing yet (new: not submitted): no job was ever submitted for it" in printed
    assert f"launch.py why {story.folder}" in printed


def test_what_is_done_has_no_errors_though_it_printed_to_a_terminal(story, show):
    write_json_atomic(story.run.done, {"step": 1000})
    status, printed = show("math", "--errors")
    assert status == 0
    assert "printed a traceback: it is done" in printed


def test_logs_that_were_cleaned_up(story, show):
    story.started()
    status, printed = show("math")
    assert status == 2
    assert "are gone" in printed


def test_a_job_of_this_machine(story, show):
    folder = story.run.new_job_folder()
    (folder / "4711_0_log.out").write_text(START.format(job=4711, node="here") + "step 7\n")
    (folder / "4711_1_log.out").write_text(START.format(job=4711, node="here") + ERROR)
    assert "job 4711, rank 0 on here" in show("math")[1]
    assert "KeyError: 'labels'" in show("math", "--errors")[1]


def test_the_first_error_is_that_of_the_rank_that_failed_first(story, show):
    story.started().printed({0: PEER, 1: PEER, 2: "step 7\n" + ERROR + "\n" + PEER, 3: PEER})
    story.failed("KeyError: 'labels'\n  next: mend it\n", rank=2, job="14_0")
    status, printed = show("math", "--errors")
    assert status == 0
    assert "rank 2 on ng2, the first to fail" in printed
    assert "KeyError: 'labels'" in printed
    assert "DistBackendError" not in printed
    assert "3 other ranks" in printed


def test_without_an_event_the_error_that_is_more_than_a_lost_peer(story, show):
    story.started().printed({0: PEER, 1: PEER, 2: PEER, 3: ERROR})
    printed = show("math", "--errors")[1]
    assert "rank 3 on ng2" in printed
    assert "KeyError" in printed


def test_of_several_errors_that_of_the_rank_that_fell_silent_first(story, show):
    story.started().printed(dict.fromkeys(range(3), ERROR), minutes={0: 1, 1: 9, 2: 2})
    assert "rank 1 on ng1" in show("math", "--errors")[1]


def test_lost_peers_are_shown_where_there_is_nothing_else(story, show):
    story.started().printed({0: PEER, 1: PEER})
    printed = show("math", "--errors")[1]
    assert "only lost another process" in printed
    assert "DistBackendError" in printed


def test_where_nobody_printed_a_traceback_the_diagnosis_is_shown(story, show):
    story.started().printed({0: PEER, 1: "step 7\n"})
    story.failed("out of memory: job 14_0\n  next: ask for more memory\n", rank=1, job="14_0")
    printed = show("math", "--errors")[1]
    assert "no process of job 14_0 printed a traceback" in printed
    assert "ask for more memory" in printed


NOISE = "Exception ignored in: <function f at 0x2b>\n" + ERROR
SEGFAULT = "srun: error: ng2: task 3: Segmentation fault (core dumped)\n"


@pytest.mark.parametrize(
    "text", [f"{NOISE}step 7\n{SEGFAULT}", f"{ERROR}step 7\n{SEGFAULT}", f"step 7\n{NOISE}{SEGFAULT}"]
)
def test_what_ended_no_process_is_no_error(story, show, text):
    story.started().printed({0: text, 1: "quiet\n"})
    printed = show("math", "--errors")[1]
    assert f"== {SEGFAULT}" in printed
    assert "no process of job 14_0 printed a traceback" in printed


def test_where_all_lost_somebody_it_is_shown_how_that_one_ended(story, show):
    story.started().printed({0: PEER + SEGFAULT, 1: PEER})
    printed = show("math", "--errors")[1]
    assert f"== {SEGFAULT}" in printed
    assert "only lost another process" in printed


# A slot's log holds several cells.


@pytest.fixture
def grid(tmp_path):
    grid = GridFolder(tmp_path / "runs", "ablations")
    grid.create()
    return grid


def test_of_a_slots_log_only_the_training_that_is_asked_for(tmp_path, grid, show):
    first, second = Story(tmp_path / "runs", name="a"), Story(tmp_path / "runs", name="b")
    logs, texts = {rank: grid.slurm / f"20_1_{rank}_log.out" for rank in (0, 1)}, {}
    for rank in logs:
        one = START.format(job="20_1", node="ng1") + f"\n== {first.folder}\nstep 1 of a, rank {rank}\n"
        texts[rank] = one, f"\n== {second.folder}\nstep 1 of b, rank {rank}\n{ERROR if rank else ''}"
        logs[rank].write_text("".join(texts[rank]))
    first.started(90, "20_1", log=logs[0], begin=len(START.format(job="20_1", node="ng1")))
    second.started(80, "20_1", log=logs[0], begin=len(texts[0][0]))
    _, printed = show("a")
    assert "step 1 of a, rank 0" in printed
    assert "of b" not in printed
    for rank in ("0", "1"):
        _, printed = show("b", "--rank", rank)
        assert f"step 1 of b, rank {rank}" in printed
        assert "of a" not in printed
    assert "KeyError" in show("b", "--errors")[1]
    assert "KeyError" not in show("a", "--errors")[1]


def test_of_a_slots_log_only_the_share_that_is_asked_for(tmp_path, grid, show):
    story = Story(tmp_path / "runs")
    log, cells, at = grid.slurm / "21_0_3_log.out", [], len("begin\n")
    log.write_text("begin\n" + "".join(f"answers in {code}\n" for code in ("bn", "sw", "th")))
    for code in ("bn", "sw", "th"):
        cell = story.run.cell("mgsm", code, 0)
        story.started(90 - at, "21_0", work=cell, log=log, begin=at)
        at += len(f"answers in {code}\n")
        told = {"benchmark": "mgsm", "language": code, "shard": 0, "items": 9, "max_new_tokens": 8}
        cells.append({"job": "evaluate", "run": str(story.run.path), "needs": [], **told})
    grid.write_list({"cells": cells, "runs": {}})
    for name in (f"{story.folder}/mgsm/sw-0", "math mgsm/sw-0", str(story.run.path / "results/mgsm/sw-0")):
        _, printed = show(name)
        assert "answers in sw" in printed
        assert "answers in bn" not in printed
        assert "answers in th" not in printed
        assert "rank 3" in printed
    assert "answers in th" in show("math")[1]  # of a run that evaluates, the share that was started last


# Following.


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(jobs_logs, "POLL_S", 0.01)


def test_follow_shows_what_a_writer_adds_until_the_run_is_done(story, show, quick):
    log = story.started().printed({0: "step 0\n"}).run.slurm / "14_0_0_log.out"

    def write():
        for n in range(1, 30):
            with log.open("a") as file:
                file.write(f"step {n}")
                file.flush()
                time.sleep(0.005)
                file.write("\n")
        write_json_atomic(story.run.done, {"step": 29})

    writer = threading.Thread(target=write)
    writer.start()
    status, printed = show("math", "--follow")
    writer.join()
    assert status == 0
    assert [line for line in printed.splitlines() if line.startswith("step")] == [
        f"step {n}" for n in range(30)
    ]


def test_follow_goes_on_with_the_log_of_the_next_start(story):
    story.started(90).printed({0: "step 1\nstep 2 is cut"})
    reader = Follower(story.run)
    assert list(reader.new())[2:] == ["step 1"]
    story.started(1, "14_1", unit=1).printed({0: "step 2\n"}, "14_1")
    told = list(reader.new())
    assert told[0] == "step 2 is cut"
    assert "job 14_1" in told[1]
    assert told[3:] == ["step 2"]
    assert list(reader.new()) == []


def test_follow_copes_with_a_log_that_is_cut_short(story):
    log = story.started().printed({0: "step 1\nstep 2\nstep 3\n"}).run.slurm / "14_0_0_log.out"
    reader = Follower(story.run)
    list(reader.new())
    log.write_text("step 1\n")
    assert list(reader.new()) == ["== the log was cut short: from its beginning", "step 1"]


def test_follow_begins_near_the_end_of_a_large_log(story):
    story.started().printed({0: "step 1\n" * 300_000 + "last\n"})
    told = list(Follower(story.run).new())
    assert len(told) < 300
    assert told[-1] == "last"


def test_follow_waits_for_the_first_start(story):
    reader = Follower(story.run)
    assert list(reader.new()) == []
    assert not reader.over()
    story.started().printed({0: "step 1\n"})
    assert list(reader.new())[-1] == "step 1"


def test_follow_ends_when_nothing_works_on_it_any_more(story, show, quick, monkeypatch, slurm):
    monkeypatch.setattr(jobs_logs, "ASK_S", 0.05)
    story.submitted().started().printed({0: "step 1\n"})
    status, printed = show("math", "--follow")
    assert status == 0
    assert "nothing works on it any more" in printed
    assert len(slurm.lines("asked")) == 1


def test_follow_is_quiet_in_between(story, tmp_path, quick):
    """A process that follows sleeps: it does next to nothing in a second."""
    story.started().printed({0: "step 1\n"})
    story.held("14_0")
    words = [
        sys.executable,
        str(ROOT / "launch.py"),
        "logs",
        "math",
        "--follow",
        "--runs",
        str(tmp_path / "runs"),
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        while process.stdout.readline() != "step 1\n":
            pass
        before = _cpu(process.pid)
        time.sleep(1.5)
        assert (_cpu(process.pid) - before) / slowness() < 0.3
    finally:
        process.terminate()
        process.communicate()


def _cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_events_without_a_log_are_no_starts(story, show):
    with story.run.events.open("w") as file:
        file.write(json.dumps({"time": "2026-11-25T00:00:00+00:00", "event": "started"}) + "\n")
    assert show("math")[0] == 2


def test_a_reader_who_has_seen_enough_is_no_error(story, tmp_path):
    story.started().printed({0: "step 7\n" * 5000})
    launched = f"'{sys.executable}' '{ROOT}/launch.py' logs math --runs '{tmp_path}/runs'"
    command = launched + " | head -1; echo ${PIPESTATUS[0]}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    assert ran.stdout.splitlines()[-1] == "0"
