"""Real processes through submitit's local executor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.errors import ClusterError, JobFailed
from cluster.job.interrupt import SIGNALS
from cluster.launch import local as submit
from cluster.launch.local import run_inline, submit_local
from cluster.profile.load import load_profile
from cluster.run.run_folder import RunFolder
from jobs.work.call import JobCall

ROOT = Path(__file__).resolve().parents[3]
FOLLOW = """
import sys, pathlib
from cluster.profile.load import load_profile
from cluster.run.run_folder import RunFolder
from cluster.launch.local import submit_local
from jobs.work.call import JobCall
run, told = RunFolder(pathlib.Path(sys.argv[1])), {'ready': sys.argv[2], sys.argv[3]: 2}
call = JobCall('tests.jobs.echo', {'act': 'wait', **told})
print('RESULT', submit_local(call, run, load_profile('local', ['cluster.tasks=2'])), flush=True)
"""


@pytest.fixture
def run(tmp_path):
    return RunFolder.at(tmp_path / 'it\'s "a" $HOME', "a 'b'", 1, "00000001")


@pytest.fixture(autouse=True)
def handlers_come_back():
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGCONT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def two(*more):
    return load_profile("local", ["cluster.tasks=2", "cluster.cpus=4", *more])


def echo(**config):
    return JobCall("tests.jobs.echo", config)


def test_two_processes_get_their_ranks_one_port_and_the_code_of_this_checkout(
    run, capfd, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a2b,MIG-3c")
    monkeypatch.setenv("RANK", "7")
    told = submit_local(echo(), run, two())
    assert (told["rank"], told["world"]) == (0, 2)
    assert told["port"] == int(told["MASTER_PORT"])
    assert told["OMP_NUM_THREADS"] == "2"
    assert told["CUDA_VISIBLE_DEVICES"] == "GPU-1a2b,MIG-3c"
    assert told["path"][0] == str(ROOT)
    assert told["cwd"] == str(tmp_path)
    assert capfd.readouterr().out == "rank 0 of 2: tell\n"
    logs = sorted(path.name.split("_", 1)[1] for path in run.slurm.glob("*/*.out"))
    assert logs == ["0_log.out", "1_log.out"]


def test_gpus_are_as_visible_as_to_the_launcher(run, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert submit_local(echo(), run, load_profile("local"))["CUDA_VISIBLE_DEVICES"] is None


def test_error_of_a_rank_is_told_and_the_waiting_one_is_ended(run, tmp_path):
    with pytest.raises(
        JobFailed, match=r"rank 1 of 2 failed: RuntimeError: rank 1 broke\n  in two lines\n"
    ) as told:
        submit_local(echo(act="raise", dies=1, ready=str(tmp_path)), run, two(), grace_s=1)
    assert "whole log: " in str(told.value)
    assert "echo.py" in str(told.value)
    (log,) = run.slurm.rglob("*_0_log.out")
    assert "successful completion" not in log.read_text(), "it did not wait for the end by itself"


def test_killed_rank_is_told_and_the_waiting_one_is_ended(run, tmp_path):
    with pytest.raises(JobFailed, match="rank 1 of 2 failed: it died without a word"):
        submit_local(echo(act="killed", dies=1, ready=str(tmp_path)), run, two(), grace_s=0.5)


def test_the_loss_of_a_rank_is_told_without_the_traceback_of_the_one_that_lost_it(run, tmp_path, capfd):
    Path(tmp_path, "1").touch()
    with pytest.raises(JobFailed, match="rank 1 of 2 failed: it died without a word") as told:
        submit_local(echo(act="killed", dies=1, ready=str(tmp_path), loses=True), run, two())
    assert "Traceback" not in str(told.value) + capfd.readouterr().out


def test_of_two_that_left_nothing_the_one_that_was_killed_is_named(run, tmp_path):
    told = {"act": "killed", "dies": 1, "ready": str(tmp_path), "leaves": True}
    Path(tmp_path, "1").touch()
    with pytest.raises(JobFailed, match="rank 1 of 2 failed: it died without a word"):
        submit_local(echo(**told), run, two())


def test_mistake_found_by_the_job_reads_like_one_found_before(run, capfd):
    with pytest.raises(ClusterError, match=r"^no such data: give\n  another$") as told:
        submit_local(echo(act="mistake"), run, load_profile("local"))
    assert not isinstance(told.value, JobFailed)
    assert capfd.readouterr().out == "rank 0 of 1: mistake\n"


def follow(run, ready, manner=""):
    ready.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", FOLLOW, str(run.path), str(ready), manner],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while len(list(ready.iterdir())) < 2:
        assert time.monotonic() < end
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    return process


def job_processes(ready):
    """Living processes that were told of `ready`, by their folder of logs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(ready.parent).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signal_to_the_launcher_ends_the_job_at_a_safe_point(run, tmp_path, number):
    process = follow(run, tmp_path / "ready")
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert f"{number.name}: the job stops at the next safe point" in output
    assert f"RESULT {{'interrupted': '{number.name}'}}" in output


def test_ctrl_c_in_a_terminal_reaches_all_and_still_ends_at_a_safe_point(run, tmp_path):
    process = follow(run, tmp_path / "ready", "slow_s")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "RESULT {'interrupted': 'SIGINT'}" in output


def test_second_ctrl_c_ends_a_job_that_does_not_listen(run, tmp_path):
    process = follow(run, tmp_path / "ready", "deaf")
    process.send_signal(signal.SIGINT)
    assert any("SIGINT: the job stops at the next safe point" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert not any(line.startswith("RESULT") for line in output.splitlines())  # a traceback may quote it
    assert "KeyboardInterrupt" in output
    assert job_processes(tmp_path / "ready") == []


def test_inline_runs_in_this_process(monkeypatch):
    for name in (
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "GROUP_RANK",
        "MASTER_ADDR",
        "MASTER_PORT",
    ):
        monkeypatch.setenv(name, "9")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert run_inline(echo())["world"] == 1
    assert os.environ["RANK"] == "0"


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ("", ""),
        (
            'Traceback:\n  File "a", line 1, in f\n    x()\n    ^^^\nValueError: a\n  b\n',
            "ValueError: a\n  b",
        ),
        ('A\n  File "a"\n    x\nKeyError: 1\n\nDuring\n\nT\n  File "b"\n    y\nm.E: 2\n', "m.E: 2"),
    ],
)
def test_last_message_is_the_exception(trace, message):
    assert submit._last_message(trace) == message
