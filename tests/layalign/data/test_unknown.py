import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from layalign.data.unknown import count_unknown, unknown_id

pytestmark = pytest.mark.core


def words(**named):
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, "moja": 3, "mbili": 4}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    told = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"} | named
    return PreTrainedTokenizerFast(tokenizer_object=core, **told)


def in_bytes(**named):
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        ["moja"],
        trainers.BpeTrainer(special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, **named)


def count(tokenizer, text):
    return count_unknown(tokenizer, tokenizer(text)["input_ids"])


def test_what_is_not_in_the_vocabulary_is_counted():
    assert count(words(), "moja mbili") == 0
    assert count(words(), "moja ꕉꕜꕮ mbili ꔔꘋ") == 2


def test_two_questions_that_become_the_same_ids_are_unknown_throughout():
    tokenizer = words()
    one, other = (tokenizer(text)["input_ids"] for text in ("ꕉꕜꕮ ꔔꘋ", "ꖸ ꔰ"))
    assert one == other
    assert count_unknown(tokenizer, one) == len(one)


def test_a_padding_token_that_is_also_unknown_still_tells():
    assert count(words(pad_token="<unk>"), "moja ꕉ") == 1


@pytest.mark.parametrize("mark", ["eos_token", "bos_token"])
def test_a_byte_level_vocabulary_has_no_unknown_token_even_where_it_names_one(mark):
    assert count(in_bytes(), "ꕉꕜꕮ") == 0
    tokenizer = in_bytes(unk_token="<end>", **{mark: "<end>"})
    assert unknown_id(tokenizer) is None
    assert count_unknown(tokenizer, [*tokenizer("ꕉꕜꕮ")["input_ids"], tokenizer.unk_token_id]) == 0
