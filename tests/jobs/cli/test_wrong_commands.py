"""Wrong commands: each is answered in two lines at most, ends as documented, and leaves nothing behind."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import launch
from cluster.errors import MISTAKE
from tests.jobs.finished import go, make, make_grid, recipe, surroundings, tree  # noqa: F401
from tests.world import ROOT

WRONG = [
    # Commands.
    ("", "needs a command"),
    ("trian --stage 1", "no command 'trian'; did you mean train?"),
    ("stauts", "did you mean status?"),
    ("result", "did you mean results?"),
    ("qqqq", "no command 'qqqq'"),
    ("help resluts", "did you mean results?"),
    ("Train --stage 1", "did you mean train?"),
    ("--recipe mini train", "stand after"),
    ("--versoin", "did you mean --version?"),
    # Options.
    ("train --stag 1", "train has no option --stag; did you mean --stage?"),
    ("train --stage=1 --recpie mini", "did you mean --recipe?"),
    ("train --stage 1 -x", "train has no option -x"),
    ("train", "train needs --stage"),
    ("train --stage", "--stage: expected one argument"),
    ("train --stage 3", "--stage is '3': it must be 1, 2 or all"),
    ("train --stage al", "did you mean all?"),
    ("train --stage 1 --dry-run --test-only", "not allowed with"),
    ("status --gpu a100", "status has no option --gpu; it is one of train, evaluate"),
    ("status --grids parts", "did you mean --grid?"),
    ("why", "why needs NAME"),
    ("logs a --rank -1", "--rank: -1 must be a whole number, at least 0"),
    ("logs a --rank one", "--rank: one must be a whole number"),
    ("evaluate --limit 0", "at least 1"),
    ("demo --seeds -1", "--seeds: -1 must be a whole number, at least 0"),
    ("demo --seeds -1h", "-1h"),
    ("demo --seeds", "--seeds"),
    ("sandbox", "sandbox needs up|down|status"),
    ("train --stage 1 --recipe mini -o data.languages=Swahilli", "did you mean Swahili"),
    ("sandbox sideways", "must be up, down or status"),
    ("list recipies", "did you mean recipes?"),
    ("completion powershell", "it must be bash, zsh or fish"),
    ("import", "import needs FILE"),
    ("import a.tar b.tar", "import takes no further words: b.tar"),
    ("results --rule strickt", "did you mean strict?"),
    # Values.
    ("train --stage 1 --recipe maths", "did you mean math?"),
    ("train --stage 1 --recipe tiny", "did you mean tiny.yaml?"),
    ("train --stage 1 --recipe tinny.yaml", "did you mean tiny.yaml?"),
    ("train --stage 1 --cluster narval --recipe ./tinny.yml", "did you mean tiny.yaml?"),
    ("ablate --grid tinny.yaml", "did you mean tiny.yaml?"),
    ("train --stage 1 --cluster narvall", "did you mean narval?"),
    ("train --stage 1 --cluster narval --time -3h", "time '-3h' is no time above 0"),
    ("train --stage 1 --cluster narval --time soon", "time 'soon' is no time"),
    ("train --stage 1 -o cluster.time=-3h", "time '-3h' is no time above 0"),
    ("train --stage 1 --cluster narval --mem much", "memory 'much' is no size"),
    ("train --stage 1 --cluster narval --hours -3", "it must be a number above 0"),
    ("train --stage 1 --tasks -1", "cluster.tasks"),
    ("train --stage 1 -o training.lr", "not of the form"),
    ("train --stage 1 -o trainin.lr=1", "did you mean training"),
    ("train --stage 1 -o training.lr=fast", "it must be a number"),
    ("train --stage 1 --recipe mini --runs note.txt/runs", "Not a directory"),
    ("demo --runs note.txt", "Not a directory"),
    ("pipeline --recipe mini --runs note.txt/runs --yes", "Not a directory"),
    ("status --runs note.txt/runs", "Not a directory"),
    ("import a.tar --runs note.txt", "Not a directory"),
    ("evaluate --run tiny-layalign --benchmark mgms", "did you mean mgsm?"),
    ("evaluate --run tiny-layalign --languages swahilli", "did you mean Swahili"),
    ("pipeline --recipe mini --benchmark mgms", "did you mean mgsm?"),
    ("ablate --grid ablatoins", "did you mean ablations?"),
    ("prefetch --grid ablations --recipe math", "leave --recipe out"),
    # Names.
    ("status --state borken", "there is no state 'borken'"),
    ("why tiny-layalgn", "did you mean tiny-layalign-s2-"),
    ("logs nothing-like-it", "there is no run or grid 'nothing-like-it'"),
    ("results partz", "did you mean the grid parts?"),
    ("missing pratz", "there is no grid 'pratz'"),
    ("retry", "retry what?"),
    ("retry nothing", "there is no run or grid 'nothing'"),
    ("cancel", "cancel what?"),
    ("cancel nothing --yes", "there is no run or grid 'nothing'"),
    ("export p", "'p' begins 2 names; give more of one: parts, parts-more"),
    ("export tiny-layalign mgsm/sw-0", "only a cell of tiny-layalign-s2-"),
    ("clean nothing --yes", "there is no run or grid"),
    ("keep nothing --to kept", "there is no run or grid"),
    ("evaluate --run parts", "only a grid"),
    ("status --json --svg a.svg", "leave one out"),
    ("results --json --out there", "leave one out"),
    ("missing --json --submit", "leave --csv and --submit out"),
    ("import none.tar", "No such file"),
    ("doctor --cluster local", "local"),
]
"""What was typed, and something that is told."""


@pytest.fixture
def world(make, tmp_path):
    """A trained run, two grids, and a file where somebody takes a folder to be."""
    first, second = make(1), make(2)
    for name in ("parts", "parts-more"):
        make_grid(second, first, name)
    (tmp_path / "note.txt").write_text("no folder")
    return tmp_path


def left(folder: Path) -> dict[str, bytes]:
    """All files, but for what the commands that stand in for Slurm's remember."""
    return {name: content for name, content in tree(folder).items() if not name.startswith("slurm/")}


def typed(words: list[str], capsys) -> tuple[int, str]:
    try:
        status = launch.main(words)
    except SystemExit as left:
        status = left.code
    printed = capsys.readouterr()
    assert not printed.out, printed.out
    return status, printed.err


@pytest.mark.parametrize(("words", "told"), WRONG, ids=lambda value: value.replace("/", "|") or "nothing")
def test_a_wrong_command_is_told_in_two_lines_and_leaves_nothing(world, slurm, capsys, words, told):
    before = left(world)
    status, printed = typed(words.split(), capsys)
    assert status == MISTAKE
    assert printed.startswith("error: ")
    assert told in printed
    assert len(printed.splitlines()) <= 2
    assert "usage" not in printed
    assert "Traceback" not in printed
    assert left(world) == before
    assert not [line for line in slurm.lines("asked") if not line.startswith(("squeue", "sacct"))]


def test_there_are_fifty_and_more():
    assert len({words for words, _ in WRONG}) >= 50


@pytest.mark.parametrize("words", ["trian", "train --stag 1", "status --state borken", "demo --seeds -1"])
def test_so_it_is_for_a_process(tmp_path, words):
    command = [sys.executable, str(ROOT / "launch.py"), *words.split()]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == MISTAKE
    assert not ran.stdout
    assert 1 <= len(ran.stderr.splitlines()) <= 2
    assert not left(tmp_path)
