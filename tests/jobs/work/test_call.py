from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.job.interrupt import SIGNALS
from jobs.work.call import JobCall

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def handlers_come_back():
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGCONT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_pickle_holds_a_name_and_plain_data():
    blob = pickle.dumps(JobCall("train", {"run": "r"}))
    assert len(blob) < 120
    assert pickle.loads(blob) == JobCall("train", {"run": "r"})


def test_call_runs_the_module_of_its_name(monkeypatch):
    monkeypatch.setenv("MASTER_PORT", "1234")
    assert JobCall("tests.jobs.echo", {})()["rank"] == 0


def test_first_act_takes_over_the_signals():
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    JobCall("tests.jobs.echo", {})()
    os.kill(os.getpid(), signal.SIGUSR2)


def test_import_of_call_is_light():
    code = "import sys, jobs.work.call; assert not {'torch', 'submitit', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
