"""The methods as switches of one model. Light: imports no torch, so that a login node can read it.

Table 2 of the paper compares methods, Tables 4 and 6-11 vary one of them; both are values of `Bridge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Aligner = Literal["none", "linear", "silu", "mlp"]
Gate = Literal["static", "dynamic", "none"]
Compat = Literal["none", "official"]
Layers = str | tuple[int, ...]


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
    """Encoder states that the aligner mixes: `all`, `last`, `mean`, or a list of layers (Table 7)."""
    decoder_layers: Layers = "all"
    """LLM layers that have cross-attention: `all` or a list."""
    gate: Gate = "static"
    """One learned number per layer, one computed from each hidden state (Table 8), or none (fixed at 1)."""
    compat: Compat = "none"
    """`official` repeats the faults of the official code: encoder padding is attended, and training positions
    count left padding. For parity tests and imported checkpoints."""

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.adapter or self.aligner != "none"


METHODS: dict[str, dict[str, Any]] = {
    "llm": {"adapter": False, "aligner": "none", "text": (True, True)},
    "langbridge": {"adapter": True, "aligner": "none", "text": (False, False)},
    "mindmerger": {"adapter": True, "aligner": "none", "text": (False, True)},
    "layalign": {"adapter": True, "aligner": "linear", "text": (False, True)},
}
"""Switches of each method; `text` is a pair, stage 1 and stage 2."""


def bridge_of(method: str, stage: int, switches: dict[str, Any]) -> Bridge:
    """The bridge of a method in a stage, with every switch that is not None put over the method's own.

    Raises:
        ValueError: the method is unknown, or the switches leave the LLM without any input.
    """
    if method not in METHODS:
        raise ValueError(f"model.method is {method!r}; the methods are {', '.join(METHODS)}")
    values = {**METHODS[method], "text": METHODS[method]["text"][stage - 1]}
    values.update({key: value for key, value in switches.items() if value is not None})
    bridge = Bridge(**values)
    if not (bridge.text or bridge.trains):
        raise ValueError(
            f"stage {stage} of {method!r} gives the LLM no input: "
            "set model.text=true, or keep model.adapter or model.aligner"
        )
    return bridge
