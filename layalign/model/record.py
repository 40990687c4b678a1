"""What a bridge keeps of what it was trained on: which frozen models, how they compute, what the tokenizers write.

`bridge/backbones.json` and `checkpoints/backbones.json`, with which whoever loads the bridge or goes on with its
training compares (`layalign.model.comparison`).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import tokenizers as tokenizers_library
import torch
import transformers
from torch import nn
from transformers import PreTrainedModel

from layalign.config import ModelConfig
from layalign.data.files import writing
from layalign.data.tokenise import encode_sources, encode_texts
from layalign.families import text_config
from layalign.model.frozen import folder_of
from layalign.model.probe import (
    check_embeddings,
    check_numbers,
    check_start,
    decoder_values,
    digest,
    embedding_scale,
    encoder_values,
)
from layalign.model.sentences import fixed_sentences
from layalign.model.tokenizers import Tokenizers

RECORD = "backbones.json"
VERSION = 1
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}
"""From the narrowest: weights in one can be compared with those in a wider one."""
NO_ARITHMETIC = re.compile(
    r"^_|dropout|^initializer|^output_|_token_ids?$|2(id|label)$|version|dtype$"
    r"|^(architectures|auto_map|use_cache|max_position_embeddings|task_specific_params|problem_type|tokenizer_class)$"
)
"""Keys of a config that change with who saves it, or nothing that a frozen model computes."""
PARTS = {"encoder": "the encoder", "decoder": "the LLM"}


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A frozen model as it was loaded."""

    name: str
    """Folder or hub name, as the recipe gives it."""
    revision: str | None
    commit: str | None
    """Of the hub, where it comes from there."""
    folder: str | None
    """Where its files lay."""
    kind: str
    """Model type of its config."""
    precision: str
    weights: str
    """`probe.digest` in that precision."""
    values: tuple[float, ...]
    """`probe.encoder_values` or `probe.decoder_values`."""
    scale: float | None = None
    """`probe.embedding_scale` of the LLM."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """What of its `config.json` decides how it computes."""

    @property
    def title(self) -> str:
        """Name, commit and place, for messages."""
        at = self.commit or self.revision
        place = f", in {self.folder}" if self.folder and self.folder != self.name else ""
        return f"{self.name}{f' at {at}' if at else ''} ({self.kind}{place})"


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A fixed sentence and its ids, as training gives them to the models; None where a tokenizer refuses it."""

    language: str
    text: str
    limit: int | None
    """Tokens after which the encoder's are cut; None is nowhere."""
    encoder: tuple[int, ...] | None
    decoder: tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that is kept."""

    versions: Mapping[str, str]
    encoder: Backbone | None
    """None where nothing reads it."""
    decoder: Backbone
    bos: int | None
    """Id that stands before every input of the LLM."""
    end: int | None
    """Id that answers end with in training."""
    sentences: tuple[Sentence, ...]
    still: str | None = None
    """Digest of what of the bridge is not trained, in the record of a training; None if all of it is."""

    def parts(self) -> dict[str, Backbone]:
        """The frozen models by their keys in `PARTS`."""
        return {part: one for part in PARTS if (one := getattr(self, part)) is not None}

    def write(self, folder: Path) -> None:
        """Put it into a folder, whole or not at all.

        Raises:
            OSError: it cannot be written; the error names the file.
        """
        draft = folder / f".{RECORD}-{os.getpid()}"
        told = {"version": VERSION, **dataclasses.asdict(self)}
        with writing(draft), draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps(told, ensure_ascii=False))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / RECORD)


class Recorded(Protocol):
    """What of a model is recorded."""

    origin: ModelConfig | None
    encoder: nn.Module | None
    decoder: PreTrainedModel
    backbones: dict[str, Backbone]
    """The frozen models as `examine` found them; none where they were not loaded from files."""


def read_record(folder: Path) -> Record | None:
    """The record in a folder; None in one that an older version wrote.

    Raises:
        ValueError: it is damaged, or of a newer version.
    """
    path = folder / RECORD
    try:
        told = json.loads(path.read_bytes())
        version = told.pop("version")
        if version == VERSION:
            parts = {
                part: Backbone(**{**told[part], "values": tuple(told[part]["values"])})
                for part in PARTS
                if told[part] is not None
            }
            sentences = tuple(Sentence(**_tuples(sentence)) for sentence in told["sentences"])
            return Record(**{**told, **parts, "sentences": sentences})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}): copy the folder again, or train anew") from None
    raise ValueError(f"{path} is of format {version}, this code reads {VERSION}: use the code that wrote it")


def examine(config: ModelConfig, encoder: nn.Module | None, decoder: PreTrainedModel) -> dict[str, Backbone]:
    """Try the frozen models, and describe them. They are whole: before any engine cuts them up.

    Raises:
        ValueError: weights or logits that are not numbers, or an LLM that embeddings do not serve.
    """
    found = {}
    if encoder is not None:
        check_numbers(encoder, f"the encoder {config.encoder}")
        values = encoder_values(encoder)
        found["encoder"] = _backbone(
            encoder, config.encoder, config.encoder_revision, config.precision, values
        )
    check_numbers(decoder, f"the LLM {config.decoder}")
    check_start(decoder)
    check_embeddings(decoder)
    described = _backbone(
        decoder, config.decoder, config.decoder_revision, config.precision, decoder_values(decoder)
    )
    found["decoder"] = dataclasses.replace(described, scale=float(f"{embedding_scale(decoder):.6g}"))
    return found


def record_of(model: Recorded, tokenizers: Tokenizers) -> Record:
    """The record of a model, whose backbones are as `examine` found them."""
    bos = model.decoder.config.bos_token_id
    return Record(
        versions=versions(),
        encoder=model.backbones.get("encoder"),
        decoder=model.backbones["decoder"],
        bos=bos,
        end=tokenizers.decoder.eos_token_id,
        sentences=tuple(written(tokenizers, *sentence) for sentence in fixed_sentences()),
    )


def versions() -> dict[str, str]:
    """The libraries that decide tokens and numbers."""
    libraries = {"transformers": transformers, "tokenizers": tokenizers_library, "torch": torch}
    return {name: str(library.__version__) for name, library in libraries.items()}


def written(tokenizers: Tokenizers, language: str, text: str, limit: int | None) -> Sentence:
    """A sentence in the ids that training makes of it."""
    try:
        encoder = tuple(encode_sources([text], [language], tokenizers.encoder, limit or sys.maxsize)[0][0])
    except ValueError:  # a language that it does not know, or no token at all
        encoder = None
    decoder = tuple(encode_texts([text], tokenizers.decoder, sys.maxsize)[0][0])
    return Sentence(language=language, text=text, limit=limit, encoder=encoder, decoder=decoder)


def _backbone(
    module: nn.Module, name: str, revision: str | None, precision: str, values: tuple[float, ...]
) -> Backbone:
    config: Any = module.config
    folder = folder_of(name, revision)
    commit = folder.name if folder and folder.parent.name == "snapshots" else None
    return Backbone(
        name=name,
        revision=revision,
        commit=commit,
        folder=str(folder) if folder else None,
        kind=config.model_type,
        precision=precision,
        weights=digest(module, DTYPES[precision]),
        values=values,
        config=_arithmetic(folder),
    )


def _arithmetic(folder: Path | None) -> dict[str, Any]:
    """Keys of the `config.json` in a folder that decide what a model computes, as they stand there."""
    if folder is None:
        return {}
    told = text_config(json.loads((folder / "config.json").read_bytes()))
    return {key: value for key, value in told.items() if value is not None and not NO_ARITHMETIC.search(key)}


def _tuples(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
