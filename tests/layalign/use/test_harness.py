"""lm-evaluation-harness on a tiny run: the same answers and likelihoods as ours, item by item."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml

from layalign.use import load

pytest.importorskip("lm_eval")
ITEMS = 50


@pytest.fixture(scope="module")
def run(trained_folder: Path) -> Path:
    (found,) = trained_folder.glob("runs/tiny-layalign-s2-*")
    return found


@pytest.fixture(scope="module")
def samples(run, tmp_path_factory) -> dict:
    """What three tasks of local files came to, with every request."""
    folder, draw = tmp_path_factory.mktemp("tasks"), random.Random(0)
    words = ["tom", "a", "b", "c", "d", "1", "2", "3", "4"]
    items = [
        {
            "question": "tom " + " ".join(draw.choices(words, k=draw.randint(1, 7))),
            "choices": ["3", "how 3 .", "."],
            "label": draw.randint(0, 2),
        }
        for _ in range(ITEMS)
    ]
    (folder / "items.json").write_text("\n".join(map(json.dumps, items)))
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "items.json")}},
        "test_split": "test",
    }
    asked = {"doc_to_text": "{{question}}", "doc_to_target": "label"}
    for told in (
        {"task": "our_choice", "output_type": "multiple_choice", "doc_to_choice": "choices", **asked,
         "metric_list": [{"metric": "acc"}]},
        {"task": "our_text", "output_type": "generate_until", **asked, "metric_list": [{"metric": "exact_match"}],
         "generation_kwargs": {"until": ["?", "how"], "max_gen_toks": 16, "do_sample": False}},
        {"task": "our_roll", "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{question}}",
         "metric_list": [{"metric": "word_perplexity"}]},
    ):  # fmt: skip
        (folder / f"{told['task']}.yaml").write_text(yaml.safe_dump({**common, **told}))
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    import layalign.use.harness  # noqa: F401 (puts our model into the harness's table)

    return simple_evaluate(
        model="layalign", model_args=f"run={run}", tasks=["our_choice", "our_text", "our_roll"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False), log_samples=True, batch_size=8,
        bootstrap_iters=0,
    )["samples"]  # fmt: skip


def test_likelihoods_are_ours(samples, run):
    model = load(run)
    assert len(samples["our_choice"]) == ITEMS
    for sample in samples["our_choice"]:
        options = [f" {choice}" for choice in sample["doc"]["choices"]]
        (own,) = model.log_likelihoods([sample["doc"]["question"]], [options], prompt="source")
        told = [(float(total), str(greedy) == "True") for total, greedy in sample["filtered_resps"]]
        assert [total for total, _ in told] == pytest.approx([one.total for one in own], abs=1e-9)
        assert [greedy for _, greedy in told] == [one.greedy for one in own]


def test_answers_are_ours_up_to_their_stop_word(samples, run):
    model = load(run)
    questions = [sample["doc"]["question"] for sample in samples["our_text"]]
    own = model.generate(questions, prompt="source", max_new_tokens=16)
    cut = [text.partition("?")[0].partition("how")[0] for text in own]
    assert [sample["filtered_resps"][0] for sample in samples["our_text"]] == cut
    assert len(cut) == ITEMS


def test_whole_texts_are_judged_without_showing_them_to_the_encoder(samples, run):
    model = load(run)
    for sample in samples["our_roll"][:5]:
        asked = model.asked(["tom"], None, "source")[0]
        from dataclasses import replace

        blind = replace(asked, source="", prompt="", options=(sample["doc"]["question"],))
        assert float(sample["filtered_resps"][0]) == pytest.approx(
            model.judged([blind])[blind.id][0].total, abs=1e-9
        )
