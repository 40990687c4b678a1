"""What the README shows is run: each command of its blocks, in its order, with the words that a reader fills in."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.sandbox import sandbox as slurm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RUN = "mini-layalign-s2"
SUITE = {"make test"}
"""What runs these very tests."""
ANYWHERE = [
    ("train --stage all --recipe math --dry-run", 2, "prefetch"),
    (
        "train --cluster narval --stage all --account def-prof --time 3h --hours 9 --dry-run",
        2,
        "3 units of 3 h",
    ),
    ("ablate --grid ablations.yaml --cluster narval --account def-prof", 2, "needs the data folder"),
    ("prefetch --grid encoders", 2, "could not be fetched"),
]
"""Words after `launch.py`, exit status, and something it prints: without models, data, network and Slurm."""
ON_ONE_MACHINE = [
    ("train --stage all --recipe mini", 0, "done: "),
    ("evaluate --run mini-layalign --benchmark mini", 0, "results: "),
    ("status", 0, "mini-layalign"),
    ("why RUN", 0, "mini-layalign"),
    ("logs RUN --errors", 0, "no process of "),
    ("efficiency", 0, "in all"),
    ("results RUN RUN --benchmark mgsm --rule official --out FOLDER", 2, "mgsm"),
    ("clean", 0, "nothing"),
    ("keep --to FOLDER", 0, "copied and read back"),
    ("export RUN --to run.tar", 0, "run.tar"),
    ("import run.tar --runs FOLDER", 0, "mini-layalign-s2"),
]
ON_A_SANDBOX = [
    ("sandbox up", 0, "node1"),
    ("train --cluster sandbox --stage all --recipe mini", 0, "queued: job"),
    ("ablate --grid ablations --cluster sandbox --throttle 2 --yes", 0, "queued: job"),
    ("watch --grid mini-ablations", 0, "mini-ablations"),
    ("pipeline --recipe mini --cluster sandbox --yes", 0, "mini"),
    ("missing", 0, "mini-ablations"),
    ("missing --submit", 0, ""),
    ("cancel mini-ablations --cluster sandbox", 2, "add --yes"),
    ("retry --failed --more-mem", 0, ""),
    ("results mini-ablations", 0, "LayAlign"),
    ("sandbox down", 0, "removed"),
]


def blocks(kind: str = "") -> list[str]:
    return [text for found, text in re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL) if found == kind]


def commands() -> list[str]:
    """Lines of the README's blocks that a reader types, without their comments."""
    lines = [line.partition("  #")[0].strip() for text in blocks() for line in text.splitlines()]
    return [line for line in lines if line.startswith(("python ", "make ", ". "))]


def shell(command: str, folder: Path) -> tuple[int, str]:
    """Run a line as it stands, in the checkout, with all that it writes in `folder`."""
    verb = next((word for word in command.split()[2:] if word.isalpha()), "")
    filled = {"RUN": RUN, "FOLDER": str(folder / f"{verb}-to")}
    for word, value in filled.items():
        command = re.sub(rf"\b{word}\b", value, command)
    command = command.replace("run.tar", str(folder / "run.tar")).replace(
        "/dev/shm/layalign-sandbox", sandbox(folder)
    )
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LAYALIGN_RUNS": str(folder / "runs"),
        "LAYALIGN_SANDBOX": sandbox(folder),
        "HF_HOME": str(folder / "hub"),
        "HF_ENDPOINT": "http://127.0.0.1:9",  # nothing is downloaded
    }
    ran = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


def sandbox(folder: Path) -> str:
    return f"/dev/shm/layalign-readme-{folder.name}"


def run_all(expected, folder: Path) -> None:
    shown = commands()
    for words, status, text in expected:
        line = f"python launch.py {words}"
        assert line in shown, f"the README shows no {line}"
        got, printed = shell(line, folder)
        assert (got, text in printed) == (status, True), f"{line}\n{printed}"


def test_every_command_of_the_readme_is_run_by_a_test():
    tried = {f"python launch.py {words}" for words, _, _ in [*ANYWHERE, *ON_ONE_MACHINE, *ON_A_SANDBOX]}
    others = {line for line in commands() if not line.startswith("python ")}
    assert others == {*SUITE, "make demo", next(line for line in others if "squeue" in line)}
    assert set(commands()) == tried | others


def test_what_is_shown_without_models_tells_what_is_missing(tmp_path):
    run_all(ANYWHERE, tmp_path)


def test_the_readme_begins_with_a_command_within_one_screen():
    assert (
        README.splitlines().index(
            "make demo    # both stages of three methods in a miniature world, their table and plots"
        )
        < 24
    )


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_what_is_shown_for_one_machine_works(tmp_path):
    status, printed = shell("make demo", tmp_path)
    assert status == 0, printed
    assert "layalign" in printed
    run_all(ON_ONE_MACHINE, tmp_path)
    (bridge,) = (tmp_path / "runs").glob("mini-layalign-s2-*/bridge")
    (code,) = blocks("python")
    code = re.sub(r'"runs/mini-layalign-s2-\w+/bridge"', repr(str(bridge)), code)
    told, printed = shell(f"python -c {shlex.quote(code)}", tmp_path)
    assert told == 0, printed


@pytest.mark.slow
@pytest.mark.slurm
@pytest.mark.timeout(1500)
def test_what_is_shown_for_a_sandbox_works(tmp_path):
    lacking = slurm.missing()
    if lacking:
        pytest.skip(f"no Slurm to test on: {lacking}")
    watched = next(line for line in commands() if "squeue" in line)
    try:
        run_all(ON_A_SANDBOX[:-2], tmp_path)
        assert "mini" in shell(watched, tmp_path)[1]
        wait_until_idle(watched, tmp_path)
        run_all(ON_A_SANDBOX[-2:], tmp_path)
    finally:
        shell("python launch.py sandbox down", tmp_path)


def wait_until_idle(watched: str, folder: Path) -> None:
    shell(f'{watched.partition(";")[0]}; until [ -z "$(squeue -h)" ]; do sleep 1; done', folder)
