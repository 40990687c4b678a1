"""A bridge is only used with the models, libraries and tokenizers that it was trained with.

Weights are compared by content, so that the models may lie anywhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from torch import nn

from layalign.model.probe import DRIFT, digest, drift
from layalign.model.record import DTYPES, PARTS, Backbone, Record, Recorded, Sentence, versions, written
from layalign.model.tokenizers import Tokenizers

NEAR = 8
"""Ids that are shown on either side of the first that differs."""
ADVICE = "Use the models and the versions of then, or train anew"


def compare(told: Record, model: Recorded, tokenizers: Tokenizers, where: str) -> None:
    """Refuse models, libraries or tokenizers that are not those of a record.

    Args:
        told: the record.
        model: as it is loaded now.
        tokenizers: as they are opened now.
        where: what the record is of, for messages: `the bridge in FOLDER`.

    Raises:
        ValueError: naming what differs, with its value then and now.
    """
    since = f"Libraries then: {_listed(told.versions)}; now: {_listed(versions())}"
    for part, backbone in told.parts().items():
        if part in model.backbones:
            _compare_backbone(
                backbone, model.backbones[part], getattr(model, part), PARTS[part], where, since
            )
    marks = {
        "start": (told.bos, model.decoder.config.bos_token_id),
        "end": (told.end, tokenizers.decoder.eos_token_id),
    }
    for mark, (then, now) in marks.items():
        if then != now:
            raise ValueError(
                f"the {mark} token of the LLM was {then} when {where} was trained, and is {now} now: its config.json "
                f"or its tokenizer has changed. {since}. {ADVICE}"
            )
    for sentence in told.sentences:
        _compare_sentence(sentence, tokenizers, where, since)


def note_missing(where: str, kind: str) -> None:
    """Say that nothing can be compared, on standard error."""
    gemma = (
        ". If it was trained with a transformers older than 5.4, its soft tokens have another scale: train anew"
        if kind in ("gemma", "gemma2")
        else ""
    )
    warnings.warn(
        f"{where} keeps no record of its models and tokenizers, as an older version wrote it: whether they are the "
        f"same now is not checked{gemma}",
        stacklevel=2,
    )


def _compare_backbone(
    told: Backbone, now: Backbone, module: nn.Module, what: str, where: str, since: str
) -> None:
    begin = f"{what} is not the one that {where} was trained with: "
    end = f". Its files then: {told.title}; now: {now.title}. {since}. {ADVICE}"
    order = list(DTYPES)
    if order.index(told.precision) <= order.index(now.precision):
        weights = now.weights if told.precision == now.precision else digest(module, DTYPES[told.precision])
        if weights != told.weights:
            raise ValueError(f"{begin}its weights have the digest {weights}, not {told.weights}{end}")
    changed = [key for key in told.config.keys() & now.config.keys() if told.config[key] != now.config[key]]
    if changed:
        listed = ", ".join(
            f"{key} was {told.config[key]!r} and is {now.config[key]!r}" for key in sorted(changed)
        )
        raise ValueError(f"the config of {what} has changed since {where} was trained: {listed}{end}")
    if told.scale and now.scale and abs(now.scale / told.scale - 1) > 0.01:
        raise ValueError(
            f"{what} multiplies the embeddings of tokens by {now.scale:g}, and by {told.scale:g} when {where} was "
            f"trained: soft tokens would be off by that factor{end}"
        )
    if told.precision == now.precision and len(told.values) == len(now.values):
        apart, most = drift(told.values, now.values), DRIFT[told.precision]
        if not apart <= most:
            raise ValueError(
                f"{what} computes other numbers from the same weights and input than when {where} was trained: they "
                f"differ by {apart:.2g} of their spread, {most:g} is allowed{end}"
            )


def _compare_sentence(told: Sentence, tokenizers: Tokenizers, where: str, since: str) -> None:
    now = written(tokenizers, told.language, told.text, told.limit)
    for part, what in PARTS.items():
        then_ids, now_ids = getattr(told, part), getattr(now, part)
        if then_ids != now_ids:
            place = _first_difference(then_ids or (), now_ids or ())
            raise ValueError(
                f"the tokenizer of {what} writes otherwise than when {where} was trained: {told.text!r} "
                f"({told.language}) was {_ids(then_ids, place)} and is {_ids(now_ids, place)}, from token {place} on. "
                f"{since}. {ADVICE}"
            )


def _first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    same = (place for place, (a, b) in enumerate(zip(one, other)) if a != b)
    return next(same, min(len(one), len(other)))


def _ids(ids: Sequence[int] | None, place: int) -> str:
    """Ids around a place."""
    if ids is None:
        return "refused"
    begin, end = max(0, place - NEAR), place + NEAR
    shown = ", ".join(map(str, ids[begin:end]))
    return f"[{'..., ' if begin else ''}{shown}{', ...' if end < len(ids) else ''}]"


def _listed(named: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in named.items())
