"""A Python that has its packages loaded behaves as one that is started."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.warm import Python
from tests.world import until

NESTED = """
import os, subprocess, sys
print("torch" in sys.modules, sys.argv[1:], os.environ["A"], os.getcwd(), flush=True)
code = "import os, sys; print(os.getppid(), os.environ.get('A'), open('/proc/self/environ').read().count('B=2'))"
own = {**os.environ, "ROOM": "small"}
child = subprocess.run(["env", "-u", "A", "B=2", sys.executable, "-u", "-c", code], env=own, stdout=subprocess.PIPE)
print(child.stdout == f"{os.getpid()} None 1\\n".encode(), child.returncode)
real = subprocess.run(["/bin/sh", "-c", "echo $A; exit 4"], stdout=subprocess.PIPE)
print(real.stdout, real.returncode)
"""


def start(folder: Path, code: str, *words: str) -> Python:
    return Python("-c", code, *words, cwd=folder, env={"A": "1", "PATH": os.environ["PATH"]})


def test_it_has_its_words_folder_and_environment_and_so_has_what_it_starts(tmp_path):
    process = start(tmp_path, NESTED, "x", "y z")
    assert process.wait() == 0, process.told
    assert process.told.splitlines() == [f"True ['x', 'y z'] 1 {tmp_path}", "True 0", "b'1\\n' 4"]


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("import sys; sys.exit('a mistake')", 1, "a mistake\n"),
        ("import atexit; atexit.register(print, 'the end')", 0, "the end\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import threading; threading.Timer(0.01, print, ['late']).start()", 0, "late\n"),
    ],
)
def test_it_ends_as_it_should(tmp_path, code, status, said):
    process = start(tmp_path, code)
    assert (process.wait(), process.told) == (status, said)


def test_an_error_is_told(tmp_path):
    process = start(tmp_path, "1 / 0")
    assert process.wait() == 1
    assert process.told.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_signals_end_it_or_reach_its_handler(tmp_path, number):
    process = start(tmp_path, "import time; print('there', flush=True); time.sleep(60)")
    until(lambda: process.told)
    process.send_signal(number)
    assert process.wait() == -number
    handled = f"signal.signal({int(number)}, lambda *_: os._exit(9))"
    process = start(
        tmp_path, f"import os, signal, time; {handled}; print('there', flush=True); time.sleep(60)"
    )
    until(lambda: process.told)
    process.send_signal(number)
    assert process.wait() == 9
