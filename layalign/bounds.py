"""Rules of a config that span fields or bound a number. Imports no torch."""

from __future__ import annotations

from functools import reduce
from typing import Any

LEAST = {
    "gpus": 1,
    "data.max_source": 2,
    "data.max_target": 2,
    "data.max_prompt": 1,
    "data.limit": 1,
    "data.dev": 0,
    "training.epochs": 1,
    "training.max_steps": 0,
    "training.batch_size": 1,
    "training.window": 1,
    "training.micro_batch": 1,
    "training.save_every": 1,
    "training.eval_every": 1,
    "training.log_every": 1,
    "training.loss_chunk": 1,
    "evaluation.max_new_tokens": 1,
    "evaluation.batch_size": 1,
    "evaluation.limit": 1,
}
"""The least value of a key, where it is a number."""
SHARES = ("data.max_prompt_cut", "data.max_unknown")


def check(config: Any) -> None:
    """Raises ValueError with key, value and rule where a value is impossible, alone or beside another.

    Args:
        config: a `layalign.config.RunConfig`, which stands on this file.
    """
    bridge, training, data = config.bridge, config.training, config.data
    for key, least in LEAST.items():
        value = _value(config, key)
        rule = f"must be at least {least}" if least else "must not be negative"
        _require(value in (None, "auto") or value >= least, key, value, rule)
    for key in SHARES:
        value = _value(config, key)
        _require(0 <= value <= 1, key, value, "is a share, 0 to 1")
    _require(training.lr > 0, "training.lr", training.lr, "must be above 0")
    warmup = training.warmup
    _require(0 <= warmup < 1, "training.warmup", warmup, "is a share of the steps, 0 to 1")
    _require(bool(data.languages), "data.languages", data.languages, "must name a language")
    hub = data.reader == "hub"
    _require(hub or data.config is None, "data.config", data.config, "is of reader hub alone")
    _require(hub or data.split == "train", "data.split", data.split, "is of reader hub alone")
    if training.init_checksum is not None and config.weights is None:
        raise ValueError(
            f"training.init_checksum is set, but training.init is {training.init!r}, no folder: leave it out"
        )
    if bridge.aligner == "none" and config.model.encoder_states is not None:
        raise ValueError("model.encoder_states is set, but the method has no aligner to read them")


def _value(config: Any, key: str) -> Any:
    return reduce(getattr, key.split("."), config)


def _require(holds: bool, key: str, value: Any, rule: str) -> None:
    if not holds:
        raise ValueError(f"{key} is {value!r}: it {rule}")
