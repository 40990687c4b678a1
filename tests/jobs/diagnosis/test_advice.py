"""What `why` advises leads on: typed as printed, it is accepted, and queues what is meant."""

from __future__ import annotations

import json
import re
import shlex

import pytest

import launch
from cluster.run.run_folder import all_runs
from cluster.slurm.submission import Submission
from jobs.cli.parser import parse
from tests.jobs.diagnosis.endings import Ending, diagnosed, endings
from tests.login import at_home, empty_recipe

COMMAND = re.compile(r"python launch\.py (?P<words>.+?)(?=: |; |, if |, or |$)")
BLANKS = {"RECIPE": "math", "NAME": "math"}
"""Words in advice that stand for one of the user's own."""
FIRST: dict[str, Ending] = {}
for one in endings():
    FIRST.setdefault(one.causes[0], one)


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)


def commands(advice):
    """The commands in some advice, as they would be typed."""
    for text in advice:
        for found in COMMAND.finditer(text):
            words = [BLANKS.get(word, word) for word in shlex.split(found["words"])]
            yield words


@pytest.mark.parametrize("ending", endings(), ids=lambda ending: ending.name)
def test_every_command_that_is_advised_parses(ending, tmp_path, slurm):
    found = diagnosed(ending, tmp_path / "runs", slurm)
    for words in commands(found.advice):
        name, _ = parse(words)
        assert name == words[0]


def real(root, tmp_path, slurm):
    """A training that was really submitted, as `Story` numbers its job."""
    recipe = empty_recipe(tmp_path, name="math")
    words = ["--recipe", str(recipe), "--data", str(tmp_path / "data"), "--runs", str(root)]
    assert (
        launch.main(
            ["train", *words, "--cluster", "narval", "--account", "def-prof", "--units", "3", "--stage", "1"]
        )
        == 0
    )
    return next(iter(sorted(root.glob("math-layalign-s1-*"))))


@pytest.mark.parametrize("cause", FIRST)
def test_what_is_advised_of_every_cause_queues_it_again(cause, tmp_path, slurm, capsys):
    ending = FIRST[cause]
    found = diagnosed(ending, tmp_path / "runs", slurm)
    retries = [words for words in commands(found.advice) if words[0] == "retry"]
    if not retries:
        return
    (run,) = all_runs(tmp_path / "runs")
    config = real(tmp_path / "real", tmp_path, slurm)
    before = Submission.read(config / "submission.json")
    signed = run.path.with_name(config.name)
    run.path.rename(signed)
    (signed / "config.yaml").write_text((config / "config.yaml").read_text())
    record = {**json.loads((signed / "submission.json").read_text()), "told": before.told}
    script = record["script"].replace(run.path.name, signed.name)
    (signed / "submission.json").write_text(json.dumps({**record, "script": script, "profile": "narval"}))
    text = (slurm.folder / "queue").read_text() if (slurm.folder / "queue").exists() else ""
    slurm.set("queue", "".join(f"{row}\n" for row in text.splitlines() if row.startswith("14")))
    capsys.readouterr()
    for words in retries:
        words = [signed.name if word == run.path.name else word for word in words]
        status = launch.main([*words, "--runs", str(tmp_path / "runs"), "--dry-run"])
        printed = capsys.readouterr()
        if "in the queue" in printed.err:  # advice says: once it is out of the queue
            assert ending.told.get("queue"), printed.err
            continue
        assert (status, "  asks for " in printed.out) == (0, True), (words, printed.out + printed.err)
