from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.recipe import meter as module
from jobs.recipe.meter import human_size, many, meter

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_940, "99.9 kB"), (99_960, "100 kB"), (134e6, "134 MB"),
        (999_499, "999 kB"), (999_500, "1.0 MB"), (3.4e9, "3.4 GB"), (1.2e12, "1.2 TB"), (9e15, "9000.0 TB"),
    ],
)  # fmt: skip
def test_size_for_people(size, text):
    assert human_size(size) == text


def test_number_of_things():
    assert [many(1, "file"), many(0, "file"), many(1200, "file")] == ["1 file", "0 files", "1,200 files"]
    assert many(2, "run or grid", "runs and grids") == "2 runs and grids"


def test_short_copy_says_nothing_and_a_long_one_a_line_now_and_then(capsys, monkeypatch):
    clock = iter(range(0, 1000, 4))
    with meter("keep", 5000) as tell:
        tell(1000)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with meter("keep", 5000) as tell:
        for _ in range(5):
            tell(1000)
    assert capsys.readouterr().err == "keep 3.0 kB of 5.0 kB\n"


def test_terminal_has_a_bar_that_is_gone_in_the_end():
    code = "from jobs.recipe.meter import meter\nwith meter('keep', 100) as tell: tell(60)"
    main, terminal = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=terminal, env=environ, check=True)
    shown = os.read(main, 10000).decode()
    assert "keep" in shown
    assert "60/100 bytes" in shown
    assert shown.endswith("\x1b[2K") or shown.rstrip().endswith("\x1b[2K")
