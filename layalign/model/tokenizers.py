"""Tokenizers of the two backbones: opened, and refused where they do not serve their model."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from layalign.config import ModelConfig
from layalign.data.tokenise import encode_texts
from layalign.data.unknown import count_unknown
from layalign.model.frozen import is_of_machine, path_of, read_config
from layalign.model.sentences import SENTENCES

FEWEST = 4
"""Tokens beside the special ones that a vocabulary has at least; the smallest real one has 256, for bytes."""
MARKS = ("bos", "eos", "pad", "unk", "sep", "cls")
"""Special tokens that stand in every batch."""


@dataclass(frozen=True)
class Tokenizers:
    """Tokenizers of both backbones."""

    encoder: PreTrainedTokenizerBase
    decoder: PreTrainedTokenizerBase

    @property
    def pads(self) -> tuple[int, int]:
        """Padding ids of encoder and LLM; where a tokenizer has none, its end token (padding is masked)."""
        return _pad_id(self.encoder), _pad_id(self.decoder)


def load_tokenizers(config: ModelConfig) -> Tokenizers:
    """Tokenizers of the two backbones.

    Raises:
        ValueError: a model without a tokenizer, one that has no end token, that can write next to nothing, or whose
            ids the model has no embedding for.
    """
    encoder = _tokenizer(config.encoder, config.encoder_revision)
    decoder = _tokenizer(config.decoder, config.decoder_revision)
    bos = read_config(config.decoder, config.decoder_revision).get_text_config().bos_token_id
    if bos is not None and decoder.bos_token_id not in (None, bos):
        warnings.warn(
            f"{config.decoder}: config.json and tokenizer name different start tokens ({bos} and "
            f"{decoder.bos_token_id}); {bos} stands before every input, in training and evaluation alike",
            stacklevel=2,
        )
    return Tokenizers(encoder, decoder)


def _tokenizer(name: str, revision: str | None) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, checked against the model."""
    tokenizer = open_tokenizer(name, revision)
    rows = read_config(name, revision).get_text_config().vocab_size
    check_rows(tokenizer, rows, name)
    return tokenizer


def open_tokenizer(name: str, revision: str | None) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder or of a hub name.

    Raises:
        ValueError: there is none, or one that does not serve.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(path_of(name), revision=revision)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if is_of_machine(error):
            raise
        said = (str(error).splitlines() or [repr(error)])[0]
        raise ValueError(f"{name} has no tokenizer that can be loaded: {said}") from None
    if tokenizer.eos_token_id is None and tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer of {name} has neither an end nor a padding token")
    check_vocabulary(tokenizer, name)
    return tokenizer


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuse a tokenizer that was opened empty: transformers 5 does that where a file of another format is missing.

    Raises:
        ValueError: it has next to no tokens, makes the same of every sentence, or names a special token that it lacks.
    """
    known = tokenizer.get_vocab()
    for mark in MARKS:
        token = getattr(tokenizer, f"{mark}_token")
        if token is not None and token not in known:
            raise ValueError(
                f"the tokenizer of {name} names {token!r} as its {mark}_token, which is not in its vocabulary: name "
                "one that is, in tokenizer_config.json"
            )
    special = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    ordinary = len(known.keys() - special)
    written = encode_texts(list(SENTENCES.values()), tokenizer, sys.maxsize)[0]
    silent = all(count_unknown(tokenizer, ids) == len(ids) for ids in written)
    if ordinary >= FEWEST and not silent and len({tuple(ids) for ids in written}) > 1:
        return
    what = f"it has {ordinary} ordinary tokens" if ordinary < FEWEST else "it can write none of them"
    raise ValueError(
        f"the tokenizer of {name} ({type(tokenizer).__name__}) makes the same of different sentences: {what}. Its "
        "folder lacks the vocabulary in a form that this version of transformers reads: put a tokenizer.json there "
        "(saved by a version that opens it whole)"
    )


def check_rows(tokenizer: PreTrainedTokenizerBase, rows: int, name: str) -> None:
    """Refuse a tokenizer with ids that the model has no embedding for, such as a `[PAD]` added without resizing.

    Special tokens that stand only where a text spells them out are let be: some published tokenizers have such
    (gemma-3-1b's image token). Where a text does, `limits.check_id` refuses it.

    Raises:
        ValueError: naming the tokens.
    """
    special = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    marks = {getattr(tokenizer, f"{mark}_token") for mark in MARKS}
    beyond = {
        token: place
        for token, place in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if place >= rows and (token in marks or token not in special)
    }
    if beyond:
        shown = ", ".join(f"{token!r} is {place}" for token, place in list(beyond.items())[:3])
        more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
        raise ValueError(
            f"the tokenizer of {name} has ids beyond the model's embedding of {rows} rows (0 to {rows - 1}): {shown}"
            f"{more}. It was added without resizing the embedding: resize it (resize_token_embeddings) and save the "
            "model again, or take the token out of the tokenizer, e.g. set pad_token to the end token"
        )


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    assert pad is not None
    return int(pad)
