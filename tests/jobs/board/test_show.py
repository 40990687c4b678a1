from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len
from rich.console import Console

from cluster.run.state import State
from cluster.slurm.queue import Look
from jobs.board.drawing import Board, Fold, fold
from jobs.board.lines import age, clip, clock, fit, left
from jobs.board.rows import GridLine, Row, Status
from jobs.board.show import PATIENT, picture
from tests.jobs.synthetic import make_runs

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_800_000_000.0
RUNNING = Row(
    run="math-s2-00000001",
    title="math-s2",
    state="running",
    note="saved 3,000",
    time=NOW - 20,
    unit=2,
    units=4,
    step=3120,
    total=6258,
    loss=0.4321,
    tokens_per_s=11_250.4,
    eta_s=7 * 3600 + 300,
    gpu_mb=31 * 1024,
    gpu_total_mb=40 * 1024,
    gpu_util=93,
    rss_mb=9 * 1024,
    restarts=1,
)


def rows(**counts):
    return [
        Row(run=f"{state}{n}", title=f"{state}{n}", state=state)
        for state in State
        for n in range(counts.get(state, 0))
    ]


def status(*shown, **more):
    look = Look((), NOW - 12)
    given = {"grids": (), "look": look, "unasked": "", "time": NOW - 2, **more}
    return Status(rows=tuple(shown), **given)


def text(drawn, width, **more):
    """The board as plain lines."""
    console = Console(width=width, file=io.StringIO(), legacy_windows=False)
    console.print(Board(drawn, NOW, **more))
    return console.file.getvalue().splitlines()


# One row.


def test_columns_appear_by_importance():
    def heads(width):
        return text(status(RUNNING), width)[3].split()

    assert heads(80) == ["state", "run", "%", "left", "note", "age"]
    assert heads(100) == ["state", "run", "%", "loss", "left", "note", "age"]
    assert heads(120) == ["state", "run", "progress", "unit", "loss", "tok/s", "left", "note", "age"]
    assert heads(140) == [*heads(120)[:7], "GPU", "RAM", "note", "age"]


def test_all_that_is_known_of_a_run_stands_in_its_row():
    row = text(status(RUNNING), 140)[4]
    assert re.sub(r" +", " ", row) == (
        "● running math-s2 ━━━╌╌╌╌╌ 3,120/6,258 2/4 ↻1 0.432 11,250 7h05 31/40G 93% 9.0G saved 3,000 20s"
    )
    assert "49%" in text(status(RUNNING), 80)[4].split()


def test_a_terminal_without_unicode_gets_ascii():
    console = Console(width=140, file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    grid = GridLine(name="abl", states={"done": 3, "new": 1}, gpu_hours=5.0)
    console.print(Board(status(RUNNING, *rows(failed=1, done=3), grids=(grid,)), NOW, height=9))
    console.file.seek(0)
    assert "###----- 3,120/6,258" in console.file.read()


@pytest.mark.parametrize("width", [40, 80, 100, 120, 140, 200])
def test_no_line_is_wider_than_the_terminal(width):
    odd = Row(
        run="r", title="数学-línea-" + "x" * 60, state="failed", note="a\nb\tc\x1b[31m" + "数" * 90, time=0.0
    )
    grid = GridLine(name="g" * 99, states={"done": 5, "failed": 1, "queued": 9_000}, gpu_hours=12_345.0)
    drawn = status(
        odd, RUNNING, *rows(queued=3), grids=(grid,), warnings=("w" * 300 + ": python launch.py keep x",)
    )
    lines = text(drawn, width, footer="q" * 300)
    assert max(cell_len(line) for line in lines) <= width
    assert not any("\x1b" in line or "\t" in line for line in lines)


def test_what_waits_says_until_when_and_why_before_all_else():
    waits = Row(run="r", title="r", state="queued", note="waits for room", start=NOW + 3600, unit=3, units=4)
    line = text(status(waits), 120)[4]
    assert line.rstrip().endswith(f"starts ~{clock(NOW + 3600, NOW)}, unit 3/4, waits for room")


def test_a_failure_has_room_for_its_reason_and_silence_is_told():
    reason = "OSError: [Errno 122] Disk quota exceeded: '/home/me/scratch/x'"
    broken = Row(run="r", title="r", state="failed", note=reason, step=5, total=10, loss=1.0)
    assert reason in text(status(broken), 120)[4]
    silent = Row(run="r", title="r", state="running", note="saved 5", silent=True, time=NOW - 1300)
    assert "no sign of life for 22m, saved 5" in text(status(silent), 120)[4]


# The head.


def test_the_head_tells_how_old_everything_is():
    assert text(status(RUNNING), 80)[0].split() == ["1", "run", "files", "2s", "ago,", "queue", "12s", "ago"]
    old = Look((), NOW - 180, "slurm_load_jobs error: Unable to contact slurm controller")
    lines = text(status(RUNNING, look=old), 90)
    assert lines[1].startswith(
        "files 2s ago, queue 3m ago, squeue does not answer: slurm_load_jobs error: Unable"
    )
    assert text(status(RUNNING, look=Look(), unasked="no Slurm here"), 80)[0].endswith("no Slurm here")
    asked = text(status(RUNNING, look=Look()), 100)[0]
    assert asked.endswith("squeue was asked and has not answered yet")


def test_a_grid_is_a_bar_in_which_every_state_is_seen():
    grid = GridLine(
        name="abl", states={"done": 500, "failed": 1, "running": 9, "queued": 490}, gpu_hours=1234.5
    )
    board = Board(status(grids=(grid,)), NOW)
    name, _, *bar = board._grid(grid, 120)
    assert name == ("abl", "bold")
    lengths = {style: len(part) for part, style in bar[:7]}
    assert (lengths["green"], lengths["red"], lengths["cyan"]) == (15, 1, 1)
    assert sum(len(part) for part, _ in bar[:7]) == 30
    line = text(status(grids=(grid,)), 120)[2]
    assert line.endswith("500/1,000 cells  ✗ 1  ● 9  ○ 490  1,234 GPU-h")


# What does not fit.


def shape(shown):
    return [(row.state, row.count) if isinstance(row, Fold) else row.state for row in shown]


def test_what_fits_is_shown_whole():
    every = rows(failed=2, running=3, done=4)
    assert fold(every, 9, tuple(State)) == every
    assert fold(every, None, tuple(State)) == every


def test_what_is_done_goes_first_and_one_line_says_how_many():
    every = rows(failed=2, running=3, done=40)
    assert shape(fold(every, 9, tuple(State))) == [
        *["failed"] * 2,
        *["running"] * 3,
        *["done"] * 3,
        ("done", 37),
    ]
    assert shape(fold(every, 6, tuple(State))) == [*["failed"] * 2, *["running"] * 3, ("done", 40)]


def test_the_rest_keeps_two_rows_and_failed_and_running_share_what_is_left():
    every = rows(failed=30, running=90, queued=200, new=50, done=400)
    shown = fold(every, 30, tuple(State))
    assert len(shown) == 30
    assert shape(shown) == [
        *(*["failed"] * 10, ("failed", 20)),
        *(*["running"] * 11, ("running", 79)),
        *("queued", "queued", ("queued", 198)),
        *("new", "new", ("new", 48)),
        ("done", 400),
    ]
    few = shape(fold(rows(failed=30, running=4, done=9), 20, tuple(State)))
    assert few == [*["failed"] * 14, ("failed", 16), *["running"] * 4, ("done", 9)]


def test_every_row_is_shown_or_counted_whatever_the_room():
    every = rows(failed=7, running=5, interrupted=2, blocked=9, queued=40, new=3, cancelled=2, done=60)
    for room in range(140):
        shown = fold(every, room, tuple(State))
        assert sum(row.count if isinstance(row, Fold) else 1 for row in shown) == len(every)
        assert all(row.count > 1 for row in shown if isinstance(row, Fold))
        if room > 27:
            assert len(shown) <= room


def test_status_folds_no_failed_and_no_running_rows():
    shown = shape(fold(rows(failed=50, running=50, done=50), 10, PATIENT))
    assert shown == [*["failed"] * 50, *["running"] * 50, ("done", 50)]


def test_a_fold_says_how_to_see_it_and_the_board_keeps_to_its_height():
    lines = text(status(*rows(running=30, done=300)), 80, height=24, footer="q quits")
    assert len(lines) == 24
    assert lines[-2] == "✓ 300 more done: python launch.py status --state done"
    assert lines[-1] == "q quits"


# Times and text.


def test_times_take_few_characters():
    assert [age(s) for s in (0, 89, 90, 3600, 7200, 86400, 200_000)] == [
        "0s",
        "89s",
        "2m",
        "60m",
        "2h",
        "24h",
        "2d",
    ]
    assert [left(s) for s in (20, 90, 3599, 3660, 200_000)] == ["20s", "2m", "1h00", "1h01", "2d 7h"]
    noon = NOW - NOW % 86400 + 43200
    assert re.fullmatch(r"\d\d:\d\d", clock(noon + 60, noon))
    assert re.fullmatch(r"[A-Z][a-z]{2} \d\d:\d\d", clock(noon + 86400, noon))
    assert re.fullmatch(r"\d+ [A-Z][a-z]{2}", clock(noon + 30 * 86400, noon))


def test_text_is_cut_to_its_cells():
    assert fit("abc", 5) == "abc  "
    assert fit("abc", 5, right=True) == "  abc"
    assert fit("abcdef", 5) == "abcd…"
    assert clip("数学数学", 5) == "数学…"
    assert fit("states-first8-seed12-s2 msvamp", 20, middle=True) == "states-f…2-s2 msvamp"


# The commands.


@pytest.fixture
def made(tmp_path, slurm):
    made = make_runs(tmp_path / "runs", 26)
    made.write_answers(slurm.folder)
    return made


def launch(*words, **environ):
    command = [sys.executable, str(ROOT / "launch.py"), *words]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_status_into_a_pipe_is_plain_and_whole(made, slurm):
    ran = launch("status", "--runs", str(made.root))
    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout
    for name in made.states:
        assert name.rpartition("-")[0] in ran.stdout
    assert "more done" not in ran.stdout
    assert [line.split()[0] for line in slurm.lines("asked")] == ["squeue", "sacct"]
    launch("status", "--runs", str(made.root), "--grid", "ablations")
    assert len(slurm.lines("asked")) == 2


def test_status_draws_a_picture_that_loads_nothing(made, tmp_path):
    path = tmp_path / "board.svg"
    ran = launch("status", "--runs", str(made.root), "--svg", str(path))
    assert ran.stdout.endswith(f"picture: {path}\n")
    drawn = path.read_text()
    ElementTree.fromstring(drawn)
    assert "@font-face" not in drawn
    assert "url(http" not in drawn
    assert "python&#160;launch.py&#160;status" in drawn or "python launch.py status" in drawn
    ran = launch("status", "--runs", str(made.root), "--svg", str(tmp_path / "no" / "board.svg"))
    assert (ran.returncode, ran.stderr.startswith("error: the picture")) == (2, True)


def test_a_picture_is_as_high_as_it_should_be():
    drawn = picture(status(RUNNING, *rows(done=500)), NOW, "title", lines=12)
    assert len(set(re.findall(r'<text class="[^"]*" x="[^"]*" y="([^"]*)"', drawn))) <= 13


def test_mistakes_are_told_in_a_line(tmp_path):
    ran = launch("status", "--runs", str(tmp_path / "none"))
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert ran.stderr.startswith(f"error: there is no folder of runs {tmp_path}/none: make a run with train")


def test_watch_without_a_terminal_shows_once_and_says_so(made):
    ran = launch("watch", "--runs", str(made.root))
    assert ran.returncode == 0
    assert ran.stderr == "this is no terminal: shown once\n"
    assert "26 runs" in ran.stdout


class Terminal:
    """A terminal of 120 x 40 with `launch.py watch` in it."""

    def __init__(self, root, *words):
        self.main, self.side = pty.openpty()
        ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.before = termios.tcgetattr(self.side)
        command = [sys.executable, str(ROOT / "launch.py"), "watch", "--runs", str(root), *words]
        environ = {**os.environ, "TERM": "xterm-256color"}
        environ.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            command, stdin=self.side, stdout=self.side, stderr=self.side, env=environ, start_new_session=True
        )
        self.seen = ""

    def read_until(self, text, patience_s=60):
        deadline = time.monotonic() + patience_s
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.main], [], [], 0.2)[0]:
                self.seen += os.read(self.main, 65536).decode(errors="replace")

    def end(self):
        code = self.process.wait(60)
        while select.select([self.main], [], [], 0.2)[0]:
            self.seen += os.read(self.main, 65536).decode(errors="replace")
        return code

    def is_sane(self):
        """The modes are as they were, the cursor is shown, and the first screen is back."""
        assert termios.tcgetattr(self.side) == self.before
        assert self.seen.rindex("\x1b[?25h") > self.seen.rindex("\x1b[?25l")
        assert self.seen.rindex("\x1b[?1049l") > self.seen.rindex("\x1b[?1049h")
        return True


@pytest.fixture
def terminal(made):
    terminal = Terminal(made.root)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.main)
    os.close(terminal.side)


def test_watch_draws_and_ends_with_q(terminal):
    terminal.read_until("q quits")
    assert "26 runs" in terminal.seen
    assert "\x1b[?1049h" in terminal.seen
    os.write(terminal.main, b"xq")
    assert terminal.end() == 0
    assert terminal.is_sane()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_watch_ends_with_a_signal_and_leaves_the_terminal_sane(terminal, sent, code):
    terminal.read_until("q quits")
    terminal.process.send_signal(sent)
    assert terminal.end() == code
    assert "Traceback" not in terminal.seen
    assert terminal.is_sane()


def test_watch_shows_what_changes(terminal, made):
    terminal.read_until("q quits")
    waiting = (name for name, state in made.states.items() if state not in ("done", "running", "failed"))
    name = next(name for name in waiting if (made.root / name).is_dir())
    (made.root / name / "FAILED").write_text("the cat has eaten it\n")
    terminal.read_until("the cat has eaten it")
    os.write(terminal.main, b"q")
    assert terminal.end() == 0


def test_watch_that_cannot_go_on_says_why_on_a_sane_terminal(made):
    terminal = Terminal(made.root, "--grid", "none")
    assert terminal.end() == 2
    assert "error: there is no grid 'none'" in terminal.seen
    assert terminal.is_sane()
