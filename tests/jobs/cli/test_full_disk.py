"""A disk, or its file table, that is full at any moment of a submission: told in a line, and nothing queued twice."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

import launch
from cluster.run.run_folder import all_runs
from layalign.evaluation.benchmarks import find_benchmark
from tests.login import at_home, empty_recipe

ROOMY = "mode=0700,size=64m,nr_inodes=10000"


def mount(options: str, folder: Path) -> None:
    words = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The folder of all runs, on a file system of its own."""
    at_home(tmp_path, monkeypatch)
    recipe = empty_recipe(tmp_path)
    (tmp_path / "data" / "mgsm").mkdir()
    for code in find_benchmark("mgsm").languages:
        (tmp_path / "data" / "mgsm" / f"mgsm_{code}.tsv").write_text("How many?\t8\n" * 26)
    told = {
        "name": "parts",
        "title": "What the parts are worth",
        "recipe": str(recipe),
        "variants": {"LayAlign": None, "MindMerger": {"model.method": "mindmerger"}},
        "seeds": [0],
        "evaluate": {"benchmarks": ["mgsm"], "languages": ["sw", "en"]},
    }
    (tmp_path / "parts.yaml").write_text(yaml.safe_dump(told))
    folder = tmp_path / "runs"
    folder.mkdir()
    mount(ROOMY, folder)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def go(tmp_path, capsys):
    def go(command, *words):
        where = ["--cluster", "narval", "--account", "def-prof", "--data", str(tmp_path / "data")]
        where += ["--yes"] if command == "ablate" else []
        status = launch.main([command, *words, *where])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return status, printed.out, printed.err

    return go


COMMANDS = {
    "train": lambda folder: ("train", "--stage", "all", "--recipe", str(folder / "tiny.yaml")),
    "ablate": lambda folder: ("ablate", "--grid", str(folder / "parts.yaml")),
}


def limit(runs: Path, kind: str, much: int) -> None:
    """Leave so many pages or entries of the file system."""
    if kind == "inodes":
        used = 10000 - int(subprocess.check_output(["df", "--output=iavail", runs]).split()[-1])
        options = f"size=64m,nr_inodes={used + much}"
    else:
        used = int(subprocess.check_output(["df", "--output=used", "-k", runs]).split()[-1])
        options = f"size={used + 4 * much}k,nr_inodes=10000"
    subprocess.run(["mount", "-o", f"remount,{options}", runs], check=True)


def queued(slurm) -> list[str]:
    """Names of the jobs that sbatch was given."""
    return sorted(Path(call.split()[-1]).name.rpartition("-")[0] for call in slurm.lines("calls"))


@pytest.mark.parametrize("kind", ["inodes", "pages"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_submission_that_met_a_full_disk_is_finished_by_the_same_command(
    kind, command, runs, go, slurm, tmp_path
):
    words = COMMANDS[command](tmp_path)
    assert go(*words)[0] == 0
    expected = queued(slurm)
    assert len(expected) > 1
    for much in (1, 2, 3, 5, 8, 12, 17, 23, 30, 38, 47, 60, 90, 140, 200):
        for path in runs.iterdir():
            subprocess.run(["rm", "-rf", path], check=True)
        slurm.set("calls")
        slurm.set("queue")
        limit(runs, kind, much)
        status, _, told = go(*words)
        if status:
            assert len(told.strip().splitlines()) <= 2, told
            assert "No space left" in told
            assert "same command" in told
        subprocess.run(["mount", "-o", f"remount,{ROOMY}", runs], check=True)
        status, _, told = go(*words)
        assert status == 0, told
        # A spare array, for what its first one leaves undone, may be missing behind one that was queued alone.
        assert Counter(queued(slurm)) <= Counter(expected), "twice"
        assert set(queued(slurm)) == set(expected)
        assert not list(runs.rglob(".*.tmp"))
    assert all_runs(runs)
