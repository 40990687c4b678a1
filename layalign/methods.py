"""The methods as switches of one model. Light: imports no torch, so that a login node can read it.

Table 2 of the paper compares methods, Tables 4 and 6-11 vary one of them; both are values of `Bridge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Aligner = Literal["none", "linear", "silu", "mlp"]
Gate = Literal["static", "dynamic", "none"]
Compat = Literal["none", "official"]
Lora = Literal["none", "lora", "dora"]
Train = Literal["bridge", "lora", "both"]
Layers = str | tuple[int, ...]
LATER = {"later": True}
"""Metadata of a field that came later: part of the signature unless it has its default, what runs before it had."""
LEARNED = ("softmax", "token_softmax")
"""Values of `encoder_states` that are weights to be learned."""


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """How the encoder reaches the LLM: what `layalign.model` builds.

    Widths and numbers of layers are not here: they are read from the two models.
    """

    adapter: bool
    """The last encoder state, through an MLP and followed by a separator, stands before the LLM's prompt."""
    aligner: Aligner
    """What gives each LLM layer its keys and values: `linear` (the paper), `silu` (LayAlign+, Table 10),
    `mlp` (the official code's `structure=MLP`), or `none` (no cross-attention)."""
    text: bool
    """The LLM also reads the prompt as text."""
    adapter_width: int | None = None
    """Hidden width of the adapter; None is twice the encoder width."""
    encoder_states: Layers = "all"
    """Encoder states that the aligner mixes: `all`, `last`, `mean`, or a list of layers (Table 7). `softmax` learns one
    weight per layer, `token_softmax` weights for each token (arXiv 2508.09091); without an aligner the adapter reads
    that mean in place of the last state."""
    decoder_layers: Layers = "all"
    """LLM layers that have cross-attention: `all` or a list."""
    gate: Gate = "static"
    """One learned number per layer, one computed from each hidden state (Table 8), or none (fixed at 1)."""
    compat: Compat = "none"
    """`official` repeats the faults of the official code: encoder padding is attended, and training positions
    count left padding. For parity tests and imported checkpoints."""
    lora: Lora = field(default="none", metadata=LATER)
    """Low-rank weights in the LLM, by peft: `lora` (arXiv 2106.09685), `dora` (arXiv 2402.09353), or `none`."""
    lora_modules: tuple[str, ...] = field(default=("q_proj", "v_proj"), metadata=LATER)
    """Linear layers of the LLM that have them, by the end of their names."""
    lora_rank: int = field(default=16, metadata=LATER)
    """Width of the two matrices beside each."""
    lora_alpha: float = field(default=32.0, metadata=LATER)
    """What they add is multiplied by alpha / rank."""
    lora_dropout: float = field(default=0.0, metadata=LATER)
    """Share of their input that training drops. Above 0, what is dropped depends on the number of processes and the
    size of micro-batches."""
    train: Train = field(default="bridge", metadata=LATER)
    """What a stage trains: the `bridge`, with the LLM as it is; `lora`, with the bridge as it is; or `both`."""

    @property
    def reads_encoder(self) -> bool:
        """Whether the encoder reaches the LLM."""
        return self.adapter or self.aligner != "none"

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.reads_encoder or self.lora != "none"


METHODS: dict[str, dict[str, Any]] = {
    "llm": {"adapter": False, "aligner": "none", "text": (True, True)},
    "langbridge": {"adapter": True, "aligner": "none", "text": (False, False)},
    "mindmerger": {"adapter": True, "aligner": "none", "text": (False, True)},
    "layalign": {"adapter": True, "aligner": "linear", "text": (False, True)},
    "merlin": {"adapter": True, "aligner": "none", "text": (False, True), "lora": "dora", "train": "lora"},
    "sft": {"adapter": False, "aligner": "none", "text": (True, True), "lora": "lora"},
}
"""Switches of each method. `text` is a pair: the first of several stages, and every other. LoRA and DoRA come in the
last stage; `train` is what that trains (none given: all there is), the stages before it train the bridge."""
_LORA = ("lora", "lora_modules", "lora_rank", "lora_alpha", "lora_dropout")


def bridge_of(method: str, stage: int, switches: Mapping[str, Any], last: int = 2) -> Bridge:
    """The bridge of a method in a stage, with every switch that is not None put over the method's own.

    Where a stage trains the bridge alone, the LLM is as it came: what is told of LoRA is of other stages.

    Args:
        method: a key of `METHODS`.
        stage: counted from 1.
        switches: fields of `Bridge`.
        last: the last stage of the recipe.

    Raises:
        ValueError: the method is unknown, or the switches contradict each other or leave the LLM without any input.
    """
    if method not in METHODS:
        raise ValueError(f"model.method is {method!r}; the methods are {', '.join(METHODS)}")
    own = METHODS[method]
    values = {**own, "text": own["text"][0 if stage == 1 < last else 1]}
    values.pop("train", None)
    values.update({key: value for key, value in switches.items() if value is not None})
    bridge = Bridge(**values)
    train = switches.get("train") or (_last_trains(bridge, own) if stage == last else "bridge")
    _check_train(bridge, train, told=switches.get("train") is not None, is_last=stage == last)
    unused = _LORA if train == "bridge" else ()
    bridge = Bridge(**{**{k: v for k, v in asdict(bridge).items() if k not in unused}, "train": train})
    asked = bridge.trains or stage == last  # nobody runs the others
    if asked and not (bridge.text or bridge.reads_encoder):
        raise ValueError(
            f"stage {stage} of {method!r} gives the LLM no input: "
            "set model.text=true, or keep model.adapter or model.aligner"
        )
    return bridge


def _last_trains(bridge: Bridge, own: Mapping[str, Any]) -> Train:
    """What the last stage trains where nobody has said it."""
    if bridge.lora == "none":
        return "bridge"
    return own.get("train", "both") if bridge.reads_encoder else "lora"


def _check_train(bridge: Bridge, train: Train, told: bool, is_last: bool) -> None:
    """Refuse a stage that trains what is not there, and LoRA that no stage trains."""
    if train != "bridge" and bridge.lora == "none":
        raise ValueError(
            f"model.train is {train}, but model.lora is none: set model.lora to lora or dora, or model.train=bridge"
        )
    if train == "both" and not bridge.reads_encoder:
        raise ValueError("model.train is both, but the method has no bridge: set model.train=lora")
    if told and train == "bridge" and bridge.lora != "none" and is_last:
        raise ValueError(
            f"model.train is bridge in the last stage, and model.lora is {bridge.lora}, which nothing then trains: "
            "set model.lora=none, or model.train to lora or both"
        )


def start_obstacle(before: Bridge, now: Bridge) -> str:
    """Why a stage cannot start from the weights of another's bridge; empty if it can.

    LoRA may come new; what was trained may not go, nor be put into other places.
    """
    changed = [
        f"model.{one.name} was {getattr(before, one.name)!r} and is {getattr(now, one.name)!r}"
        for one in fields(Bridge)
        if one.name in _LORA[:-1] and getattr(before, one.name) != getattr(now, one.name)
    ]
    if before.lora == "none" or not changed:
        return ""
    return f"LoRA that was trained cannot be kept: {'; '.join(changed)}; set them alike in both, model.train included"
