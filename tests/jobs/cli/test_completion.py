"""What a shell completes: as argcomplete asks for it, in a process of its own, with a thousand runs."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import resource
import select
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import launch
from cluster.run.grid_folder import GridFolder
from jobs.cli.command_table import COMMANDS
from jobs.cli.completion import made
from tests.timing import slowness
from tests.world import ROOT

RUNS = 1000
SEVENTH = range(7, 256, 50)
"""Numbers of the runs that are called model7 and have two digits."""
LIMIT_S = 0.1
EMPTY = Path("/proc/self/fdinfo")
"""A folder without a file of a name that is asked for: files are offered where nothing else is known."""
INSTALLED = importlib.util.find_spec("argcomplete") is not None
needs_argcomplete = pytest.mark.skipif(not INSTALLED, reason="completion needs argcomplete")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("many") / "runs"
    for number in range(RUNS):
        (root / f"model{number % 50}-layalign-s{number % 2 + 1}-{number:08x}").mkdir(parents=True)
    for name in ("parts", "pairs"):
        GridFolder(root, name).create()
    (root / "model0-layalign-s1-00000000.replaced-20261127").mkdir()
    return root


def complete(line, runs, **environ):
    """What is offered behind a line, and the processor seconds that took."""
    told = {
        **os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line,
        "COMP_POINT": str(len(line.encode())), "COMP_TYPE": "9", "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'><=;|&(:",
        "LAYALIGN_RUNS": str(runs), **environ,
    }  # fmt: skip
    read, write = os.pipe()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [
        "bash",
        "-c",
        'exec "$@" 8>&"$0" 9>/dev/null',
        str(write),
        sys.executable,
        str(ROOT / "launch.py"),
    ]
    ran = subprocess.run(command, env=told, pass_fds=[write], capture_output=True, check=False, cwd=EMPTY)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.close(write)
    with os.fdopen(read) as pipe:
        found = pipe.read()
    assert not ran.stdout
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return [word.strip() for word in found.replace("\013", "\n").splitlines()], spent


@needs_argcomplete
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("./launch.py st", {"status"}),
        ("./launch.py pre", {"prefetch"}),
        ("./launch.py status --gr", {"--grid"}),
        ("./launch.py why pa", {"parts", "pairs"}),
        ("./launch.py status --grid pa", {"parts", "pairs"}),
        ("./launch.py retry parts pai", {"pairs"}),
        ("./launch.py evaluate --run model7-layalign-s2-000000", {f"model7-layalign-s2-{n:08x}" for n in SEVENTH}),
        ("./launch.py train --stage ", {"1", "2", "all"}),
        ("./launch.py train --recipe mini-merlin --stage ", {"1", "2", "3", "all"}),
        ("./launch.py train --recipe ma", {"math"}),
        ("./launch.py train --cluster n", {"narval", "nibi"}),
        ("./launch.py ablate --grid mini-a", {"mini-ablations"}),
        ("./launch.py list key", {"keys"}),
        ("./launch.py train --name mod", set()),
    ],
)  # fmt: skip
def test_a_shell_is_offered_what_may_come_next(runs, line, offered):
    assert set(complete(line, runs)[0]) == offered


@needs_argcomplete
def test_every_command_is_offered(runs):
    found, _ = complete("./launch.py ", runs)
    assert set(found) >= set(COMMANDS)


@needs_argcomplete
def test_other_folders_of_runs_are_looked_into(runs, tmp_path):
    GridFolder(tmp_path / "there", "elsewhere").create()
    assert complete(f"./launch.py why --runs {tmp_path}/there el", runs)[0] == ["elsewhere"]
    assert complete("./launch.py why x", tmp_path / "none")[0] == []


@needs_argcomplete
def test_it_answers_within_a_tenth_of_a_second_of_the_processor(runs):
    complete("./launch.py why m", runs)
    assert min(complete("./launch.py why m", runs)[1] for _ in range(5)) / slowness() < LIMIT_S


def printed_for(shell, capsys):
    assert launch.main(["completion", shell]) == 0
    return capsys.readouterr().out


@needs_argcomplete
@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")
@pytest.mark.parametrize("door", ["./launch.py", str(ROOT / "launch.py")])
def test_fish_itself_completes_by_any_path(runs, tmp_path, capsys, door):
    told = tmp_path / "told.fish"
    told.write_text(printed_for("fish", capsys))
    asked = "; ".join(f"complete -C '{door} {line}'" for line in ("st", "why pai", "train --recipe mat"))
    environ = {**os.environ, "LAYALIGN_RUNS": str(runs), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = ["fish", "--no-config", "-c", f"source {told}; {asked}"]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["status", "pairs", "math"]
    assert not ran.stderr


def typed(terminal, text, until):
    """Type into a terminal, and read on until something is shown."""
    os.write(terminal, text.encode())
    shown = ""
    while until not in shown and select.select([terminal], [], [], 30)[0]:
        shown += os.read(terminal, 4096).decode(errors="replace")
    assert until in shown, shown


@needs_argcomplete
@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh")
def test_zsh_itself_completes(runs, tmp_path, capsys):
    told = tmp_path / "told.zsh"
    told.write_text(printed_for("zsh", capsys))
    home = {"HOME": str(tmp_path), "TERM": "dumb", "LAYALIGN_RUNS": str(runs)}
    environ = {**os.environ, **home, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"],
        cwd=ROOT,
        env=environ,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    ) as zsh:
        typed(terminal, f"autoload -U compinit && compinit -u -D; source {told}; echo rea''dy\n", "ready")
        typed(terminal, "./launch.py help prefet\t", "prefetch")
        typed(terminal, "\x15./launch.py why pai\t", "pairs")
        typed(terminal, "\x15echo o''ver; exit\n", "over")
        assert zsh.wait(30) == 0
    os.close(terminal)
    os.close(inside)


@needs_argcomplete
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_for_a_start_up_file_is_at_the_head_and_works_from_anywhere(shell, tmp_path, capsys):
    printed = printed_for(shell, capsys)
    line = printed.splitlines()[1].removeprefix("#   ")
    command = re.sub(r'^eval "\$\((.*)\)"$', r"\1", line).removesuffix(" | source")
    ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == printed


@needs_argcomplete
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_told_to_complete_the_front_door(shell, capsys):
    assert launch.main(["completion", shell]) == 0
    assert "launch.py" in capsys.readouterr().out


@pytest.mark.skipif(INSTALLED, reason="argcomplete is installed")
def test_without_argcomplete_completion_says_how_to_get_it(runs, capsys):
    assert launch.main(["completion", "bash"]) == 2
    assert "pip install argcomplete" in capsys.readouterr().err
    assert complete("./launch.py st", runs)[0] == []


def test_names_are_those_of_grids_and_runs_the_short_ones_too(runs):
    typed = SimpleNamespace(runs=str(runs))
    assert set(made("pa", typed)) == {"parts", "pairs"}
    assert {"model0-layalign-s1", "model0-layalign-s1-00000000"} <= set(made("model0-", typed))
    assert all(name.startswith("model0-") and ".replaced" not in name for name in made("model0-", typed))
    assert made("", SimpleNamespace(runs=str(runs / "none"))) == []
