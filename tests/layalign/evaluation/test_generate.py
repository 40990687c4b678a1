from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from layalign.evaluation.benchmarks import Item
from layalign.evaluation.generate import answer_items, remaining, shard
from layalign.evaluation.likelihood import Likelihood
from layalign.evaluation.scoring import STRICT_VERSION

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "the", "answer", "is", ":", "Q", "A", *"0123456789"]


def tokenizer(ends: bool) -> PreTrainedTokenizerFast:
    """Words and single digits; `ends` puts </s> behind the text, as mT5 does."""
    backend = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    split = pre_tokenizers.Split(Regex(r"\d|[^\d\s]+"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.WhitespaceSplit()])
    if ends:
        backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


ENCODER, DECODER = tokenizer(ends=True), tokenizer(ends=False)
DIGIT = WORDS.index("0")


class Adder:
    """Answers the sum, modulo ten, of the digits that the encoder reads; remembers its batches."""

    device = torch.device("cpu")

    def __init__(self, fits: int = 1000):
        self.fits = fits
        self.batches = []

    def answer(self, batch, max_new_tokens):
        if len(batch.source_ids) > self.fits:
            raise torch.cuda.OutOfMemoryError("too large")
        self.batches.append(batch)
        assert not torch.is_grad_enabled()
        said = []
        for ids, mask in zip(batch.source_ids, batch.source_mask):
            total = int((ids - DIGIT)[mask.bool() & (ids >= DIGIT)].sum()) % 10
            said.append([4, 5, 6, 7, DIGIT + total, 2])
        longest = torch.tensor(said)
        return torch.nn.functional.pad(longest, (0, 2))[:, :max_new_tokens]


def item(number: int, *, gold: float | None = None) -> Item:
    digits = [(number * 7 + place) % 10 for place in range(1 + number % 5)]
    question = "Q " + " ".join(map(str, digits))
    gold = float(sum(digits) % 10) if gold is None else gold
    return Item(f"mini-sw-{number:04d}", "sw", question, f"{question} A", gold)


ITEMS = [item(number) for number in range(23)]


def run(model, items=ITEMS, *, should_stop=lambda: False, **changes):
    records = []
    options = {"batch_size": 4, "max_new_tokens": 16, "max_source": 50, "text": True} | changes
    finished = answer_items(
        model, items, ENCODER, DECODER, on_batch=records.extend, should_stop=should_stop, **options
    )
    return finished, records


def test_every_item_is_answered_and_scored_by_both_rules():
    finished, records = run(Adder())
    assert finished
    assert sorted(record["id"] for record in records) == [item.id for item in ITEMS]
    assert all(record["strict_correct"] and record["official_correct"] for record in records)
    first = next(record for record in records if record["id"] == ITEMS[0].id)
    assert first == {
        "id": "mini-sw-0000",
        "language": "sw",
        "question": ITEMS[0].question,
        "gold": 0.0,
        "output": "the answer is : 0",
        "strict": 0.0,
        "strict_correct": True,
        "official": 0.0,
        "official_correct": True,
        "rule": STRICT_VERSION,
        "tokens": 5,
        "finish": "stop",
        "truncated": False,
    }


def test_a_wrong_answer_counts_as_wrong():
    records = run(Adder(), [item(3, gold=99)])[1]
    assert not records[0]["strict_correct"]
    assert not records[0]["official_correct"]


def test_no_number_is_right_by_the_official_rule_only():
    records = run(Adder(), [item(3, gold=0)], max_new_tokens=3)[1]
    assert records[0]["output"] == "the answer is"
    assert (records[0]["strict"], records[0]["strict_correct"]) == (None, False)
    assert (records[0]["official"], records[0]["official_correct"]) == (0.0, True)
    assert (records[0]["tokens"], records[0]["finish"]) == (3, "length")


def test_the_longest_come_first_padded_as_in_training():
    model = Adder()
    run(model)
    widths = [batch.source_ids.shape[1] for batch in model.batches]
    assert widths == sorted(widths, reverse=True)
    mixed = next(batch for batch in model.batches if not batch.prompt_mask.all())
    assert all(row.tolist() == sorted(row.tolist()) for row in mixed.prompt_mask)
    assert all(row.tolist() == sorted(row.tolist(), reverse=True) for row in mixed.source_mask)
    assert 2 in mixed.source_ids[0]  # the encoder's own end token
    assert 2 not in mixed.prompt_ids
    assert mixed.target_ids.shape == (4, 0)


def test_without_text_the_llm_reads_no_prompt():
    model = Adder()
    run(model, text=False)
    assert all(batch.prompt_ids.shape[1] == 0 for batch in model.batches)


def test_a_cut_prompt_is_told():
    model = Adder()
    records = run(model, [item(0), item(4)], max_prompt=5)[1]
    assert {record["id"]: record["truncated"] for record in records} == {
        "mini-sw-0000": False,
        "mini-sw-0004": True,
    }
    assert model.batches[0].prompt_ids.shape[1] == 5


def test_a_cut_source_is_told():
    records = run(Adder(), [item(0), item(4)], max_source=4)[1]
    assert {record["id"]: record["truncated"] for record in records} == {
        "mini-sw-0000": False,
        "mini-sw-0004": True,
    }


def test_an_interrupted_evaluation_goes_on_to_the_same_records():
    whole = run(Adder())[1]
    answers = iter([False, False, True])
    finished, before = run(Adder(), should_stop=lambda: next(answers))
    assert not finished
    assert len(before) == 8
    left = remaining(ITEMS, [record["id"] for record in before])
    finished, after = run(Adder(), left)
    assert finished
    assert before + after == whole


def test_nothing_left_is_finished():
    assert run(Adder(), remaining(ITEMS, {item.id for item in ITEMS})) == (True, [])


def test_out_of_memory_halves_the_batch():
    model = Adder(fits=3)
    finished, records = run(model, batch_size=16)
    assert finished
    assert sorted(record["id"] for record in records) == [item.id for item in ITEMS]
    assert {len(batch.source_ids) for batch in model.batches} <= {1, 2}


def test_an_item_that_does_not_fit_is_an_error():
    with pytest.raises(torch.cuda.OutOfMemoryError):
        run(Adder(fits=0))


def test_another_error_is_not_swallowed():
    class Broken(Adder):
        def answer(self, batch, max_new_tokens):
            raise RuntimeError("no memory for excuses")

    with pytest.raises(RuntimeError, match="excuses"):
        run(Broken())


def test_records_are_plain_json():
    records = run(Adder())[1]
    assert json.loads(json.dumps(records, allow_nan=False)) == records


@pytest.mark.parametrize("processes", [1, 2, 3, 30])
def test_shards_share_the_items_evenly(processes):
    shards = [shard(ITEMS, rank, processes) for rank in range(processes)]
    assert sorted((item for share in shards for item in share), key=lambda item: item.id) == ITEMS
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    work = [sum(len(item.source) + len(item.prompt) for item in share) for share in shards]
    assert max(work) - min(work) <= max(len(item.source) + len(item.prompt) for item in ITEMS)
    assert shards == [shard(ITEMS[::-1], rank, processes) for rank in range(processes)]


class Chooser(Adder):
    """Finds the option whose tokens sum to the most the most likely; remembers what it was asked."""

    def __init__(self, fits: int = 1000):
        super().__init__(fits)
        self.options = []

    def likelihoods(self, batch, options, at_once):
        assert len(options) == len(batch.source_ids) == at_once
        self.options += options
        return [[Likelihood(float(sum(ids)), len(ids), greedy=False) for ids in own] for own in options]


def test_the_most_likely_option_is_kept_beside_what_was_answered():
    items = [
        Item("t-sw-0001", "sw", "Q 1", "Q 1 A", "2", ("1", "2")),
        Item("t-sw-0002", "sw", "Q 2", "Q 2 A", "9 9", ("9 9", "2")),
        Item("t-sw-0003", "sw", "Q 3", "Q 3 A", "4", ("3 4", "4 3")),
    ]
    model = Chooser(fits=2)
    _, records = run(model, items)
    told = {record["id"]: (record["likelihood"], record["likelihood_correct"]) for record in records}
    assert told == {"t-sw-0001": ("2", True), "t-sw-0002": ("9 9", True), "t-sw-0003": ("3 4", False)}
    assert len(model.options) == 3
    assert all(len(record["log_likelihoods"]) == 2 for record in records)
    assert all(json.dumps(record) for record in records)


def test_an_item_without_options_is_asked_for_no_likelihood():
    _, records = run(Adder())
    assert not any("likelihood" in record for record in records)
