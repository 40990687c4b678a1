"""What a training does with its data, end to end: what it says, keeps and refuses, and how it goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from cluster.files import read_json, read_jsonl
from tests.jobs.work.test_train import events, folder, train, trajectory
from tests.older import launch_older, older, start_older  # noqa: F401
from tests.world import launch, write_recipe

LABELS = ("yes", "no", "maybe")


def own_recipe(world: Path, base: Path, rows: list[tuple[str, str]], epochs: int = 1, **data: object) -> Path:
    """A first stage on the tiny world's models and rows of its own; the mini LLM writes small letters only."""
    recipe = write_recipe(world, base, epochs)
    told = yaml.safe_load(recipe.read_text())
    written = [json.dumps({"src": source, "tgt": target}) for source, target in rows]
    (base / "rows.jsonl").write_text("\n".join(written) + "\n")
    told["stages"][1]["data"] = {
        "reader": "jsonl",
        "path": str(base / "rows.jsonl"),
        "languages": ["sw"],
        "max_source": 32,
        "max_target": 32,
        "dev": 10,
        **data,
    }
    recipe.write_text(yaml.safe_dump(told))
    return recipe


def words(number: int) -> str:
    """A number in letters."""
    return " ".join("abcdefghij"[int(digit)] for digit in str(number))


@pytest.fixture
def labels(world: Path, tmp_path: Path) -> Path:
    return own_recipe(world, tmp_path, [(words(n), LABELS[n % 3]) for n in range(150)], prompt="source")


def first_stage(recipe: Path, *overrides: str):
    return train(recipe, "--stage", "1", "--inline", *(("-o", *overrides) if overrides else ()))


def test_a_class_is_not_set_aside_and_the_run_says_what_was(labels):
    told = first_stage(labels)
    assert told.returncode == 0, told.told
    record = read_json(folder(labels, 1) / "data.json")
    assert record["rule"] == "question"
    assert record["split"]["dev"] == {"sw": 10}
    assert record["split"]["groups"] == 150
    kept = {label: train + dev for label, (train, dev) in record["split"]["answers"].items()}
    assert kept == dict.fromkeys(LABELS, 50)
    assert all(train > 40 for train, _ in record["split"]["answers"].values())
    assert "dev: 10 of 150 examples, 10 of 150 groups with the same source: sw 10; " in told.told
    assert record["source"]["sw"]["texts"] == 150
    assert record["source"]["sw"]["unknown"] == record["source"]["sw"]["cut"] == 0


def test_prompts_are_not_cut_with_the_sources(labels):
    text = ("model.text=true", "data.prompt=math", "data.max_unknown=1")
    told = first_stage(labels, *text)
    assert told.returncode == 0, told.told
    record = read_json(folder(labels, 1) / "data.json")
    assert record["prompt"]["sw"]["cut"] == 0
    assert record["prompt"]["sw"]["longest"] > 32


def test_prompts_that_would_lose_their_end_are_refused_unless_allowed(labels):
    text = ("model.text=true", "data.prompt=math", "data.max_unknown=1", "data.max_prompt=32")
    told = first_stage(labels, *text)
    assert told.returncode != 0
    assert "prompts are longer than data.max_prompt (32) and would lose their end" in told.told
    assert "sw 150 of 150; at most 1 % of a language's may (data.max_prompt_cut)" in told.told
    assert "set data.max_prompt=" in told.told
    told = first_stage(labels, *text, "data.max_prompt_cut=1")
    assert told.returncode == 0, told.told
    assert events(folder(labels, 1), "truncated")[0]["prompt"] == 150


def test_compat_official_cuts_prompts_where_the_official_code_does(labels):
    text = ("model.text=true", "data.prompt=math", "data.max_unknown=1", "model.compat=official")
    told = first_stage(labels, *text)
    assert told.returncode == 0, told.told
    assert "prompts longer than the limit and cut: sw 150 of 150" in told.told
    assert read_json(folder(labels, 1) / "data.json")["prompt"]["sw"]["tokens"] == 150 * 32


def test_a_language_that_cannot_be_written_is_refused(world, tmp_path):
    recipe = own_recipe(world, tmp_path, [(f"{'ꕉꕜꕮ'[n % 3]} {words(n)}", "yes") for n in range(50)])
    told = first_stage(recipe)
    assert told.returncode != 0
    assert "the encoder's tokenizer cannot write all of the sources (Swahili " in told.told
    assert "at most 5 % may be unknown (data.max_unknown)" in told.told
    told = first_stage(recipe, "data.max_unknown=0.5")
    assert told.returncode == 0, told.told
    assert "unknown tokens in sources: sw " in told.told


def test_a_run_does_not_go_on_with_other_data(labels):
    assert first_stage(labels).returncode == 0
    (folder(labels, 1) / "DONE").unlink()
    rows = labels.parent / "rows.jsonl"
    rows.write_text(rows.read_text().replace("maybe", "mabye"))
    told = first_stage(labels)
    assert told.returncode != 0
    assert "the data files are not those that run tiny-layalign-s1-" in told.told
    rows.write_text(rows.read_text().replace("mabye", "maybe"))
    assert first_stage(labels).returncode == 0


def test_an_evaluation_cuts_and_refuses_prompts_as_a_training_does(recipe, world):
    words = (
        "evaluate",
        "--recipe",
        recipe,
        "--data",
        world / "data",
        "--benchmark",
        "mini",
        "--cluster",
        "local",
    )
    switches = ("model.method=llm", "data.max_prompt=9")

    def evaluate(*more):
        return launch(*words, "--languages", "en", "--inline", "-o", *switches, *more, cwd=recipe.parent)

    told = evaluate()
    assert told.returncode != 0
    assert "prompts are longer than data.max_prompt (9) and would lose their end" in told.told
    told = evaluate("data.max_prompt_cut=1")
    assert told.returncode == 0, told.told
    answers = [
        r for path in recipe.parent.glob("runs/*/results/mini/en-0/answers.jsonl") for r in read_jsonl(path)
    ]
    assert {record["truncated"] for record in answers} == {True}


def last_loss(run: Path) -> float:
    return [record["loss"] for record in read_jsonl(run / "metrics.jsonl") if "loss" in record][-1]


@pytest.mark.slow
def test_a_run_of_before_keeps_its_prompts_and_its_dev_set(older, world, tmp_path):  # noqa: F811
    """Sources repeat and prompts are long: by the rules of now other rows would be set aside, and none cut."""
    rows = [(words(n % 60), f"{words(n)} {words(n + 7)}") for n in range(150)]
    recipe = own_recipe(world, tmp_path, rows, epochs=6, prompt="math")
    spoken = ("train", "--recipe", recipe, "--stage", "1", "--cluster", "local", "--inline")
    options = ("-o", "model.text=true", "training.save_every=5")
    status, printed = launch_older(older, *spoken, "--runs", tmp_path / "whole", *options, cwd=tmp_path)
    assert status == 0, printed
    process = start_older(older, *spoken, *options, cwd=tmp_path)
    end = time.monotonic() + 300
    while not list((tmp_path / "runs").glob("*-s1-*/checkpoints/step-00000010")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()
    run = folder(recipe, 1)
    assert not (run / "DONE").exists()
    told = launch(*spoken, *options, cwd=tmp_path)
    assert told.returncode == 0, told.told
    assert "and goes on so" in told.told
    whole = tmp_path / "whole" / run.name
    assert trajectory(run) == trajectory(whole)
    assert last_loss(run) == last_loss(whole)
    assert read_json(run / "data.json")["rule"] == "target"
    (run / "DONE").unlink()
    assert "and goes on so" in launch(*spoken, *options, cwd=tmp_path).told
    anew = launch(*spoken, "--runs", tmp_path / "anew", *options, "data.max_unknown=1", cwd=tmp_path)
    assert anew.returncode == 0, anew.told
    assert trajectory(tmp_path / "anew" / run.name) != trajectory(whole)
