"""Examples become tokens once: an Arrow file under a fingerprint of all that decides them, memory-mapped.

The source goes through the encoder's tokenizer with its special tokens; prompt and target through the LLM's
without (the model puts bos in front, the target ends in eos). A source, prompt or target beyond its limit is
cut at its end, as in the official code, and counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import datasets
import pyarrow
from transformers import PreTrainedTokenizerBase

from layalign.config import DataConfig
from layalign.data.sources import Example, checksums, read
from layalign.languages import language

Tokenizer = PreTrainedTokenizerBase
Ids = list[int]

VERSION = 1
"""Raise it whenever the tokens of the same text change: older caches are then left alone."""
CHUNK = 2000
"""Examples that are in memory as Python objects at one time."""
SCHEMA = pyarrow.schema(
    [
        *((name, pyarrow.list_(pyarrow.int32())) for name in ("source_ids", "prompt_ids", "target_ids")),
        ("language", pyarrow.string()),
        ("group", pyarrow.string()),
    ]
)
PROBE = "Tom has 5 pens. পাঁচ ห้า tano 五個 fünf пять ñ é"


@dataclass(frozen=True)
class Tokenised:
    """A tokenised data set."""

    dataset: datasets.Dataset
    """Columns `source_ids`, `prompt_ids`, `target_ids` (lists of int), `language` (code) and `group`."""
    truncated: dict[str, int]
    """How many of `source`, `prompt` and `target` were longer than their limit."""


def prepare(
    data: DataConfig,
    folder: Path | None,
    text: bool,
    encoder_tokenizer: Tokenizer,
    decoder_tokenizer: Tokenizer,
    cache: Path,
) -> Tokenised:
    """The tokens of a data set: from the cache if they are there, else read, tokenised and kept.

    Processes may call it at the same time, though each would do the work: let one go first.

    Args:
        data: what is read and where tokens are cut.
        folder: the data folder.
        text: whether the LLM reads the prompt as text; without, `prompt_ids` are empty.
        encoder_tokenizer: left set to the last language read, where it knows languages.
        decoder_tokenizer: must have an end-of-sequence token.
        cache: folder of all tokenised data sets, made if missing.

    Raises:
        ValueError: as `sources.read`, a model without a usable tokenizer, or a language that the encoder's
            tokenizer does not know.
    """
    check_tokenizer(encoder_tokenizer, "encoder")
    check_tokenizer(decoder_tokenizer, "LLM")
    if decoder_tokenizer.eos_token_id is None:
        raise ValueError(
            "the LLM's tokenizer has no eos token; answers must end in one, so set its eos_token"
        )
    set_language(encoder_tokenizer, language(data.languages[0]).code)
    done = cache / _fingerprint(data, folder, text, encoder_tokenizer, decoder_tokenizer)
    if not done.exists():
        truncated = {"source": 0, "prompt": 0, "target": 0}
        examples = read(data, folder, text)
        _write(done, _columns(examples, data, encoder_tokenizer, decoder_tokenizer, truncated), truncated)
    dataset = datasets.Dataset.from_file(str(done / "tokens.arrow"))
    return Tokenised(dataset, json.loads((done / "truncated.json").read_text()))


def check_tokenizer(tokenizer: Tokenizer | None, owner: str) -> None:
    """Raises ValueError where a model comes without a tokenizer or with an empty one."""
    if tokenizer is None or not len(tokenizer):
        raise ValueError(f"the {owner} has no tokenizer; its folder must hold one, e.g. tokenizer.json")


def set_language(tokenizer: Tokenizer, code: str) -> None:
    """Tell a tokenizer that puts the language in front of its text (NLLB's) which it is. Others are left alone.

    Raises:
        ValueError: the tokenizer does not know the language.
    """
    if not hasattr(tokenizer, "src_lang"):
        return
    spoken = language(code)
    if spoken.nllb is None or tokenizer.convert_tokens_to_ids(spoken.nllb) in (None, tokenizer.unk_token_id):
        raise ValueError(
            f"the encoder's tokenizer has no token for {spoken.name} ({spoken.nllb or 'no FLORES-200 code'}); "
            "take the language out, or choose another encoder"
        )
    tokenizer.src_lang = spoken.nllb


def encode_sources(
    texts: Sequence[str], codes: Sequence[str], tokenizer: Tokenizer, limit: int
) -> tuple[list[Ids], int]:
    """Tokens of what the encoder reads, with its special tokens, and how many texts were cut to `limit`.

    Args:
        texts: `[n]`.
        codes: the language of each.
        tokenizer: the encoder's. Its own truncation keeps the final special token.
        limit: most tokens, special ones included.

    Raises:
        ValueError: the tokenizer does not know a language, or makes nothing of a text.
    """
    ids: list[Ids] = [[]] * len(texts)
    cut = 0
    for code in dict.fromkeys(codes):
        set_language(tokenizer, code)
        places = [place for place, spoken in enumerate(codes) if spoken == code]
        for place, whole in zip(places, _ids([texts[place] for place in places], tokenizer)):
            if not whole:
                raise ValueError(f"the encoder's tokenizer makes no token of {texts[place]!r}; leave it out")
            ids[place] = whole
            if len(whole) > limit:
                cut += 1
                ids[place] = tokenizer(texts[place], truncation=True, max_length=limit)["input_ids"]
    return ids, cut


def encode_texts(texts: Sequence[str], tokenizer: Tokenizer, limit: int) -> tuple[list[Ids], int]:
    """Tokens of what the LLM reads, without special tokens, and how many texts were cut to `limit`."""
    whole = _ids(texts, tokenizer, add_special_tokens=False)
    return [ids[:limit] for ids in whole], sum(len(ids) > limit for ids in whole)


def _ids(texts: Sequence[str], tokenizer: Tokenizer, **options: Any) -> list[Ids]:
    told: list[Ids] = tokenizer(list(texts), return_attention_mask=False, verbose=False, **options)[
        "input_ids"
    ]
    return told


def _columns(
    examples: Iterator[Example],
    data: DataConfig,
    encoder_tokenizer: Tokenizer,
    decoder_tokenizer: Tokenizer,
    truncated: dict[str, int],
) -> Iterator[dict[str, list[Any]]]:
    """Columns of `CHUNK` examples after another; what was cut is added to `truncated`."""
    while chunk := list(islice(examples, CHUNK)):
        codes = [example.language for example in chunk]
        texts = [example.source for example in chunk]
        sources, cut = encode_sources(texts, codes, encoder_tokenizer, data.max_source)
        truncated["source"] += cut
        prompts: list[Ids] = [[]] * len(chunk)
        if asked := [example.prompt for example in chunk if example.prompt is not None]:
            prompts, cut = encode_texts(asked, decoder_tokenizer, data.max_prompt or data.max_source)
            truncated["prompt"] += cut
        answers = [example.target for example in chunk]
        targets, cut = encode_texts(answers, decoder_tokenizer, data.max_target - 1)
        truncated["target"] += cut
        yield {
            "source_ids": sources,
            "prompt_ids": prompts,
            "target_ids": [[*ids, decoder_tokenizer.eos_token_id] for ids in targets],
            "language": codes,
            "group": [example.group for example in chunk],
        }


def _write(done: Path, columns: Iterator[dict[str, list[Any]]], truncated: dict[str, int]) -> None:
    """Tokens and counts in a folder that appears whole or not at all; whoever is first wins.

    `truncated` is complete once all columns are drawn.
    """
    unfinished = done.with_name(f".{done.name}.{uuid4().hex}")
    unfinished.mkdir(parents=True)
    try:
        with (unfinished / "tokens.arrow").open("wb") as file:
            with pyarrow.ipc.new_stream(file, SCHEMA) as stream:
                for chunk in columns:
                    stream.write_batch(pyarrow.record_batch(chunk, schema=SCHEMA))
            _to_disk(file)
        with (unfinished / "truncated.json").open("wb") as file:
            file.write(json.dumps(truncated).encode())
            _to_disk(file)
        unfinished.rename(done)
    except OSError:
        if not done.exists():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _fingerprint(
    data: DataConfig,
    folder: Path | None,
    text: bool,
    encoder_tokenizer: Tokenizer,
    decoder_tokenizer: Tokenizer,
) -> str:
    """Hash of all that decides the tokens: where the files lie and how large the dev split is do not."""
    told = asdict(data)
    del told["path"], told["dev"]
    told["languages"] = [language(name).code for name in data.languages]
    told["files"] = checksums(data, folder)
    told["tokenizers"] = [_identity(encoder_tokenizer), _identity(decoder_tokenizer)]
    told["text"], told["version"] = text, VERSION
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _identity(tokenizer: Tokenizer) -> str:
    """Hash of what a tokenizer does: its rules (fast) or vocabulary (slow), and what it makes of a sentence."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        rules = json.dumps(sorted(tokenizer.get_vocab().items()))
    else:
        backend.no_truncation()
        backend.no_padding()
        rules = backend.to_str()
    probes = [tokenizer(PROBE, add_special_tokens=special)["input_ids"] for special in (True, False)]
    ends = [type(tokenizer).__name__, tokenizer.eos_token_id, tokenizer.truncation_side, probes]
    return hashlib.sha256((rules + json.dumps(ends)).encode()).hexdigest()
