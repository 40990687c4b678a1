"""Items with options: longest first, in batches, each option in the tokens that training would give it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from layalign.evaluation.likelihood import Likelihood, log_likelihoods
from layalign.evaluation.questions import Readers
from tests.layalign.evaluation.test_generate import DECODER, ENCODER


@dataclass(frozen=True)
class Choice:
    id: str
    source: str
    prompt: str
    options: tuple[str, ...]
    language: str = "sw"


class Counter:
    """Judges an option by its first token; remembers its batches."""

    device = torch.device("cpu")

    def __init__(self, fits: int = 1000):
        self.fits, self.seen = fits, []

    def likelihoods(self, batch, options, at_once):
        if len(options) > self.fits:
            raise torch.cuda.OutOfMemoryError("too large")
        self.seen.append((batch.source_ids.shape[1], at_once))
        return [[Likelihood(-float(ids[0]), len(ids), False) for ids in own] for own in options]


ITEMS = [
    Choice(f"x-{n}", "Q " + "1 " * (n + 1), "A", ("0", "1 2", "the answer")[: 1 + n % 3]) for n in range(7)
]


def readers(**changes) -> Readers:
    return Readers(**{"encoder": ENCODER, "decoder": DECODER, "max_source": 50, "text": True} | changes)


def judged(model, items=ITEMS, **options):
    options = {"batch_size": 3} | options
    return [one for batch in log_likelihoods(model, items, readers(), **options) for one in batch]


def test_every_option_is_judged_longest_item_first():
    model = Counter()
    found = judged(model)
    assert [one.item.id for one in found] == [f"x-{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    for one in found:
        ids = [DECODER(option, add_special_tokens=False)["input_ids"] for option in one.item.options]
        assert one.options == tuple(Likelihood(-float(own[0]), len(own), False) for own in ids)
    assert [at_once for _, at_once in model.seen] == [3, 3, 1]


def test_memory_that_runs_out_halves_the_batch():
    model = Counter(fits=2)
    assert len(judged(model, batch_size=5)) == 7
    assert [at_once for _, at_once in model.seen] == [2, 2, 2, 1]
    with pytest.raises(torch.cuda.OutOfMemoryError):
        judged(Counter(fits=0))


def test_it_stops_before_a_batch_when_told():
    stops = iter([False, True])
    assert len(judged(Counter(), should_stop=lambda: next(stops))) == 3


def test_an_option_without_a_token_is_refused():
    with pytest.raises(ValueError, match="no token of the option ''"):
        judged(Counter(), [Choice("a", "Q", "A", ("0", ""))])


def test_what_was_cut_is_told():
    found = log_likelihoods(Counter(), ITEMS, readers(max_source=5), batch_size=9)
    assert {one.item.id: one.truncated for batch in found for one in batch}["x-6"]


def blank_writing(replacement: str) -> PreTrainedTokenizerFast:
    """As SentencePiece writes words: with a blank in front, also of the first (`always`), or where there is one."""
    words = {word: i for i, word in enumerate(["<unk>", "</s>", "A", "▁A", "▁", "▁▁", "▁▁A"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=replacement, split=False)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize(("scheme", "option", "token"), [
    ("always", "A", "▁A"), ("always", " A", "▁A"), ("never", "A", "A"), ("never", " A", "▁A"),
])  # fmt: skip
def test_a_blank_in_front_is_one_blank(scheme, option, token):
    """Also where the tokenizer puts one there itself, as Llama 2's does."""
    tokenizer = blank_writing(scheme)
    seen = []

    class Watching(Counter):
        def likelihoods(self, batch, options, at_once):
            seen.extend(options)
            return super().likelihoods(batch, options, at_once)

    own = readers(decoder=tokenizer)
    list(log_likelihoods(Watching(), [Choice("a", "Q", "A", (option,))], own, batch_size=1))
    assert [tokenizer.convert_ids_to_tokens(ids) for ids in seen[0]] == [[token]]
