"""Rules of a config that span fields or bound a number. Imports no torch."""

from __future__ import annotations

from functools import reduce
from typing import Any

from layalign.methods import LEARNED, Bridge

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
    if data.replay is not None:
        _check_replay(data.replay)
    if training.init_checksum is not None and config.weights is None:
        raise ValueError(
            f"training.init_checksum is set, but training.init is {training.init!r}, no folder: leave it out"
        )
    last = config.last_stage
    _require(1 <= config.stage <= last, "stage", config.stage, f"must be one of the recipe's, 1 to {last}")
    _check_states(config.model.encoder_states, bridge)
    _check_lora(bridge, training)


def _check_states(states: Any, bridge: Bridge) -> None:
    """Refuse encoder states that nothing would read as they are told."""
    if states is None:
        return
    learned = states in LEARNED
    if bridge.aligner == "none" and not learned:
        raise ValueError("model.encoder_states is set, but the method has no aligner to read them")
    if learned and not bridge.reads_encoder:
        raise ValueError(f"model.encoder_states is {states}, but nothing of the method reads the encoder")
    if learned and bridge.compat == "official":
        raise ValueError(
            f"model.encoder_states is {states}, which the official code does not have: leave model.compat out"
        )


def _check_lora(bridge: Bridge, training: Any) -> None:
    """Refuse low-rank weights that there cannot be, and what cannot be done with them.

    What a recipe tells of them is nothing to a method that has none: one recipe serves a grid of methods.
    """
    rank, alpha, share, modules = (
        bridge.lora_rank, bridge.lora_alpha, bridge.lora_dropout, bridge.lora_modules,
    )  # fmt: skip
    _require(rank >= 1, "model.lora_rank", rank, "must be at least 1")
    _require(alpha > 0, "model.lora_alpha", alpha, "must be above 0")
    _require(0 <= share < 1, "model.lora_dropout", share, "is a share, 0 to below 1")
    _require(len(modules) > 0, "model.lora_modules", modules, "must name a linear layer of the LLM")
    unlike = bridge.lora != "none" or bridge.encoder_states == "token_softmax"
    if unlike and training.engine == "deepspeed" and training.zero_stage == 3:
        what = (
            f"model.lora is {bridge.lora}"
            if bridge.lora != "none"
            else "model.encoder_states is token_softmax"
        )
        raise ValueError(
            f"training.zero_stage is 3, which cuts up weights that {what} reads whole: set training.zero_stage=2, or "
            "training.engine=auto"
        )


def _check_replay(replay: Any) -> None:
    """Raises ValueError where a `data.replay` is impossible."""
    _require(0 < replay.share < 1, "data.replay.share", replay.share, "must be above 0 and below 1")
    _require(bool(replay.languages), "data.replay.languages", replay.languages, "must name a language")
    for key, least in (("limit", 1), ("dev", 0)):
        value = getattr(replay, key)
        _require(value is None or value >= least, f"data.replay.{key}", value, f"must be at least {least}")


def _value(config: Any, key: str) -> Any:
    return reduce(getattr, key.split("."), config)


def _require(holds: bool, key: str, value: Any, rule: str) -> None:
    if not holds:
        raise ValueError(f"{key} is {value!r}: it {rule}")
