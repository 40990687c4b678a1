"""`launch.py evaluate` on the tiny world: tables, and going on after every interruption."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from cluster.files import read_jsonl
from cluster.job.interrupt import Interrupts
from jobs.work.evaluate import Answerer, _loaded_once
from layalign.recipe import read_recipe, resolve
from tests.jobs.work.test_train import send
from tests.world import launch, until, write_recipe

ITEMS = 48


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """A recipe whose both stages are done, and the folder of its second."""
    recipe = write_recipe(world, tmp_path_factory.mktemp("trained"))
    told = launch(
        "train", "--recipe", recipe, "--stage", "all", "--runs", "runs", "--inline",
        "-o", "training.micro_batch=16", cwd=recipe.parent,
    )  # fmt: skip
    assert told.returncode == 0, told.told
    return recipe.parent


def evaluate(base: Path, world: Path, *words: str, **kwargs):
    return launch(
        "evaluate", "--run", "tiny-layalign", "--runs", "runs", "--data", world / "data", "--benchmark", "mini",
        "-o", "evaluation.batch_size=1", *words, cwd=base, **kwargs,
    )  # fmt: skip


def answers(base: Path) -> list[dict]:
    return [
        record
        for path in base.glob("runs/*-s2-*/results/mini/*/answers.jsonl")
        for record in read_jsonl(path)
    ]


def outputs(records: list[dict]) -> dict[str, str]:
    return {record["id"]: record["output"] for record in records}


def scores(base: Path) -> dict:
    (path,) = base.glob("runs/*-s2-*/results/mini/table.json")
    return json.loads(path.read_text())["methods"]


def clear(base: Path) -> None:
    for path in base.glob("runs/*-s2-*/results/mini"):
        shutil.rmtree(path)


@pytest.fixture(scope="module")
def undisturbed(trained, world):
    """Outputs and scores of an evaluation that nothing interrupts, in batches of another size."""
    told = evaluate(trained, world, "--inline", "-o", "evaluation.batch_size=48")
    assert told.returncode == 0, told.told
    assert "layalign" in told.told
    found = outputs(answers(trained))
    assert len(set(found.values())) > 4, "an answer that belongs to another item would be noticed"
    return found, scores(trained)


def test_tables_carry_their_origin(trained, world, undisturbed):
    (folder,) = trained.glob("runs/*-s2-*/results/mini")
    assert {path.name for path in folder.glob("table.*")} == {
        "table.json",
        "table.csv",
        "table.md",
        "table.tex",
    }
    told = json.loads((folder / "table.json").read_text())["provenance"]
    assert told["config"]["evaluation"]["max_new_tokens"] == 16
    assert told["packages"]["transformers"]
    assert "tree" in told
    assert len(undisturbed[0]) == ITEMS


@pytest.mark.parametrize(
    ("number", "before", "after"),
    [(signal.SIGKILL, 1, 1), (signal.SIGTERM, 2, 1), (signal.SIGUSR2, 1, 2)],
)
def test_an_interrupted_evaluation_goes_on_where_it_stopped(
    trained, world, undisturbed, number, before, after
):
    clear(trained)
    process = evaluate(trained, world, "--tasks", str(before), wait=False)
    until(lambda: process.poll() is not None or len(answers(trained)) >= 7 + before)
    send(number, process.pid)
    process.wait()
    assert process.returncode != 0
    assert 0 < len(answers(trained)) < ITEMS
    told = evaluate(trained, world, "--tasks", str(after))
    assert told.returncode == 0, told.told
    found = answers(trained)
    assert len(found) == ITEMS
    assert (outputs(found), scores(trained)) == undisturbed
    assert evaluate(trained, world, "--inline").returncode == 0
    assert len(answers(trained)) == ITEMS


def test_another_length_of_answer_is_another_evaluation(trained, world, undisturbed):
    told = evaluate(trained, world, "--inline", "--limit", "2", "-o", "evaluation.max_new_tokens=3")
    assert told.returncode == 0, told.told
    assert sum(record["max_new_tokens"] == 3 for record in answers(trained)) == 12


def test_the_bare_llm_needs_no_run(trained, world):
    told = launch(
        "evaluate", "--recipe", trained / "tiny.yaml", "--runs", "runs", "--data", world / "data", "--inline",
        "-o", "model.method=llm", cwd=trained,
    )  # fmt: skip
    assert told.returncode == 0, told.told
    assert list(trained.glob("runs/tiny-llm-s2-*/results/mini/table.md"))


def test_a_process_loads_tokenizers_once_whatever_runs_it_answers(world, tmp_path, monkeypatch):
    _loaded_once.cache_clear()  # of the tests before
    loaded, load = [], AutoTokenizer.from_pretrained
    monkeypatch.setattr(
        AutoTokenizer, "from_pretrained", lambda name, **told: loaded.append(name) or load(name, **told)
    )
    monkeypatch.setattr(
        "jobs.work.evaluate.settled_environment", lambda: None
    )  # of a job, not of these tests
    config = resolve(read_recipe(write_recipe(world, tmp_path)), 2, ["model.method=llm"])
    for answerer in (Answerer(Interrupts(), None), Answerer(Interrupts(), None)):
        for run, text in (("one", True), ("two", None)):
            model = dataclasses.replace(config.model, text=text)
            answerer._model(run, dataclasses.replace(config, model=model))
    assert sorted(loaded) == [str(world / "decoder"), str(world / "encoder")]
