"""Examples become tokens once: an Arrow file under a fingerprint of all that decides them, memory-mapped.

The source goes through the encoder's tokenizer with its special tokens; prompt and target through the LLM's
without (the model puts bos in front, the target ends in eos). A source, prompt or target beyond its limit is
cut at its end, as in the official code, and counted, and so is what a tokenizer cannot write.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import datasets
import pyarrow
from transformers import PreTrainedTokenizerBase

from layalign.config import PROMPT_TOKENS, DataConfig
from layalign.data import sums
from layalign.data.counts import Counts, Kind
from layalign.data.example import Example
from layalign.data.files import writing
from layalign.data.left_out import LeftOut
from layalign.data.sources import checksums, read
from layalign.data.spoken import set_language
from layalign.data.text import Text
from layalign.data.unknown import count_unknown
from layalign.languages import declarations, language

Tokenizer = PreTrainedTokenizerBase
Ids = list[int]

VERSION = 3
"""Raise it whenever the tokens of the same text, the columns or the files change: older caches are left alone."""
CHUNK = 2000
"""Examples that are in memory as Python objects at one time."""
GROUPING = ("group", "question", "answer", "place")
SCHEMA = pyarrow.schema(
    [
        *((name, pyarrow.list_(pyarrow.int32())) for name in ("source_ids", "prompt_ids", "target_ids")),
        *((name, pyarrow.string()) for name in ("language", *GROUPING[:3])),
        ("place", pyarrow.int32()),
    ]
)
LATER_KEYS = {"deduplicate": "none", "declares": None}
"""Keys of the config that came later, with the values that tokens of before have: those are found again."""
PROBE = "Tom has 5 pens. পাঁচ ห้า tano 五個 fünf пять ñ é"


@dataclass(frozen=True)
class Tokenised:
    """A tokenised data set."""

    dataset: datasets.Dataset
    """Columns `source_ids`, `prompt_ids`, `target_ids` (lists of int), `language` (code), `group`, `question`, `answer`
    and `place` as in `sources.Example`."""
    counts: Counts
    files: list[str]
    """SHA-256 of each file that was read."""

    @property
    def truncated(self) -> dict[str, int]:
        """How many of `source`, `prompt` and `target` were longer than their limit."""
        return self.counts.cut


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
    files = checksums(data, folder)
    done = cache / _fingerprint(data, files, text, encoder_tokenizer, decoder_tokenizer)
    if told := sums.fault(done, sealed=True):
        print(f"the tokens in {done} are damaged ({told}): they are made anew", flush=True)
    if told or not done.exists():
        counts, left_out = Counts(), LeftOut()
        examples = read(data, folder, text, left_out)
        _write(done, _columns(examples, data, encoder_tokenizer, decoder_tokenizer, counts), counts, left_out)
    dataset = datasets.Dataset.from_file(str(done / "tokens.arrow"))
    return Tokenised(dataset, Counts.from_dict(json.loads((done / "counts.json").read_text())), files)


def check_tokenizer(tokenizer: Tokenizer | None, owner: str) -> None:
    """Raises ValueError where a model comes without a tokenizer or with an empty one."""
    if tokenizer is None or not len(tokenizer):
        raise ValueError(f"the {owner} has no tokenizer; its folder must hold one, e.g. tokenizer.json")


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
    ids, whole = _sources(texts, codes, tokenizer, limit)
    return ids, sum(length > limit for length in whole)


def _sources(
    texts: Sequence[str], codes: Sequence[str], tokenizer: Tokenizer, limit: int
) -> tuple[list[Ids], list[int]]:
    """As `encode_sources`, with the number of tokens of each text before it was cut."""
    ids, lengths = [Ids()] * len(texts), [0] * len(texts)
    for code in dict.fromkeys(codes):
        set_language(tokenizer, code)
        places = [place for place, spoken in enumerate(codes) if spoken == code]
        for place, whole in zip(places, _ids([texts[place] for place in places], tokenizer)):
            if not whole:
                raise ValueError(f"the encoder's tokenizer makes no token of {texts[place]!r}; leave it out")
            ids[place], lengths[place] = whole, len(whole)
            if len(whole) > limit:
                ids[place] = tokenizer(texts[place], truncation=True, max_length=limit)["input_ids"]
    return ids, lengths


def encode_texts(texts: Sequence[str], tokenizer: Tokenizer, limit: int) -> tuple[list[Ids], int]:
    """Tokens of what the LLM reads, without special tokens, and how many texts were cut to `limit`."""
    whole = _ids(texts, tokenizer, add_special_tokens=False)
    return [ids[:limit] for ids in whole], sum(len(ids) > limit for ids in whole)


def count_questions(
    sources: Sequence[str],
    prompts: Sequence[str],
    codes: Sequence[str],
    data: DataConfig,
    encoder_tokenizer: Tokenizer,
    decoder_tokenizer: Tokenizer,
) -> Counts:
    """What becomes of questions that are to be answered, by the rule of training: of `[n]` sources and `[n]` prompts,
    or none where a model does not read them. Raises as `encode_sources`."""
    counts = Counts()
    _count_sources(counts, sources, codes, data, encoder_tokenizer)
    _count_texts(counts, "prompt", prompts, codes, data.max_prompt or PROMPT_TOKENS, decoder_tokenizer)
    return counts


def count_texts(
    counts: Counts,
    texts: Sequence[Text],
    data: DataConfig,
    encoder_tokenizer: Tokenizer,
    decoder_tokenizer: Tokenizer,
) -> None:
    """Count what becomes of rows of a training set or items of a benchmark, by the rule of training. Raises as
    `encode_sources`."""
    codes = [text.language for text in texts]
    _count_sources(counts, [text.source for text in texts], codes, data, encoder_tokenizer)
    asked = [text for text in texts if text.prompt is not None]
    prompts, spoken = [text.prompt or "" for text in asked], [text.language for text in asked]
    _count_texts(counts, "prompt", prompts, spoken, data.max_prompt or PROMPT_TOKENS, decoder_tokenizer)
    answers = [text.target for text in texts]
    _count_texts(counts, "target", answers, codes, data.max_target - 1, decoder_tokenizer)


def _count_sources(
    counts: Counts, texts: Sequence[str], codes: Sequence[str], data: DataConfig, tokenizer: Tokenizer
) -> list[Ids]:
    """Tokens of sources, counted."""
    ids, whole = _sources(texts, codes[: len(texts)], tokenizer, data.max_source)
    counts.add("source", codes, whole, ids, partial(count_unknown, tokenizer))
    return ids


def _count_texts(
    counts: Counts, kind: Kind, texts: Sequence[str], codes: Sequence[str], limit: int, tokenizer: Tokenizer
) -> list[Ids]:
    """Tokens of what the LLM reads, counted."""
    whole = _ids(texts, tokenizer, add_special_tokens=False) if texts else []
    if not all(whole):
        raise ValueError(f"the LLM's tokenizer makes no token of {texts[whole.index([])]!r}; leave it out")
    ids = [row[:limit] for row in whole]
    counts.add(kind, codes, map(len, whole), ids, partial(count_unknown, tokenizer))
    return ids


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
    counts: Counts,
) -> Iterator[dict[str, list[Any]]]:
    """Columns of `CHUNK` examples after another; what was cut and what is unknown is added to `counts`."""
    limits = data.max_prompt or PROMPT_TOKENS, data.max_target - 1
    while chunk := list(islice(examples, CHUNK)):
        codes = [example.language for example in chunk]
        sources = _count_sources(counts, [e.source for e in chunk], codes, data, encoder_tokenizer)
        asked = [example.prompt for example in chunk if example.prompt is not None]
        prompts = _count_texts(counts, "prompt", asked, codes, limits[0], decoder_tokenizer)
        answers = [example.target for example in chunk]
        targets = _count_texts(counts, "target", answers, codes, limits[1], decoder_tokenizer)
        yield {
            "source_ids": sources,
            "prompt_ids": prompts or [[]] * len(chunk),
            "target_ids": [[*ids, decoder_tokenizer.eos_token_id] for ids in targets],
            "language": codes,
            **{name: [getattr(example, name) for example in chunk] for name in GROUPING},
        }


def _write(done: Path, columns: Iterator[dict[str, list[Any]]], counts: Counts, left_out: LeftOut) -> None:
    """Tokens and counts in a folder that appears whole or not at all; whoever is first wins.

    `counts` and `left_out` are complete once all columns are drawn.
    """
    unfinished = done.with_name(f".{done.name}.{uuid4().hex}")
    unfinished.mkdir(parents=True)
    try:
        with writing(unfinished):
            with (
                (unfinished / "tokens.arrow").open("wb") as file,
                pyarrow.ipc.new_stream(file, SCHEMA) as stream,
            ):
                for chunk in columns:
                    stream.write_batch(pyarrow.record_batch(chunk, schema=SCHEMA))
            counts.take(left_out)
            (unfinished / "counts.json").write_text(json.dumps(counts.to_dict()))
        sums.seal(unfinished)
        sums.place(unfinished, done)
    except OSError:
        if not done.exists() or sums.fault(done, sealed=True):
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _fingerprint(
    data: DataConfig,
    files: list[str],
    text: bool,
    encoder_tokenizer: Tokenizer,
    decoder_tokenizer: Tokenizer,
) -> str:
    """Hash of all that decides the tokens: not where the files lie, how large the dev split is or what is refused."""
    told = asdict(data)
    for key in ("path", "dev", "max_prompt_cut", "max_unknown", "replay"):
        del told[key]
    told["languages"] = [language(name).code for name in data.languages]
    told["max_prompt"], told["files"] = data.max_prompt or PROMPT_TOKENS, files
    told["tokenizers"] = [_identity(encoder_tokenizer), _identity(decoder_tokenizer)]
    told["text"], told["version"] = text, VERSION
    told["declares"] = declarations(data.languages)
    for key, before in LATER_KEYS.items():
        if told.get(key) == before:
            told.pop(key, None)
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
