"""The two tokenizers of the miniature, in HF format: one text, two ways to cut it.

Both take the longest piece they know from the left (WordPiece; `##` marks a piece inside a word). The LLM
knows English, Spanish and German words, digits and letters: `47` is `4 7`, a word of another language is spelled.
The encoder knows every word and every number whole and spells only the names of people.
"""

from __future__ import annotations

import string
from itertools import chain

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from layalign.mini.world import HIGH, LANGUAGES, OPERATORS, PUNCTUATION, SOME, World

INSIDE = "##"
LETTERS = [*string.ascii_lowercase, *(INSIDE + letter for letter in string.ascii_lowercase)]


def decoder_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """The LLM's: `<s>` stands before a text, pads on the left."""
    words = chain.from_iterable(world.words[language] for language in HIGH)
    pieces = [*PUNCTUATION, *OPERATORS, *string.digits, *LETTERS, *words, SOME]
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = _tokenizer(pieces, special, "<s> $A")
    # A digit is the same token wherever it stands: with two, the small LLM learns to copy tens but not units.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [tokenizer.pre_tokenizer, pre_tokenizers.Digits(individual_digits=True)]
    )
    between_digits = decoders.Replace(Regex(r"(?<=\d) (?=\d)"), "")
    tokenizer.decoder = decoders.Sequence([tokenizer.decoder, decoders.Fuse(), between_digits])
    return _fast(tokenizer, special, "left")


def encoder_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """The encoder's: `</s>` stands after a text, pads on the right."""
    words = chain.from_iterable(world.words[language] for language in LANGUAGES)
    numbers = map(str, range(10, 100))
    pieces = [*PUNCTUATION, *LETTERS, *numbers, *words]
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return _fast(_tokenizer(pieces, special, "$A </s>"), special, "right")


def _tokenizer(pieces: list[str], special: dict[str, str], template: str) -> Tokenizer:
    assert len(set(pieces)) == len(pieces), "a piece stands twice in the vocabulary"
    vocabulary = {piece: place for place, piece in enumerate([*special.values(), *pieces])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>", continuing_subword_prefix=INSIDE))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(prefix=INSIDE, cleanup=False)
    marks = [(mark, vocabulary[mark]) for mark in ("<s>", "</s>") if mark in vocabulary]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=marks)
    return tokenizer


def _fast(tokenizer: Tokenizer, special: dict[str, str], padding_side: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        padding_side=padding_side,
        clean_up_tokenization_spaces=False,
        model_max_length=256,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )
