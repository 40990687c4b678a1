"""Gated cross-attention inside an unmodified Hugging Face decoder (section 3.3, eq. 6-7 of the paper).

`layalign_sdpa`, `layalign_eager` and `layalign_flash_attention_2` are entries of the transformers
`AttentionInterface`: each calls the attention it is named after and adds g_i * CA before `o_proj`. The query is
the layer's own, after its rotary embedding; the cross keys carry none. What a batch needs arrives as the keyword
argument `cross`, so no state is set on modules.

Shapes: B batch, T LLM tokens, S source tokens, N query heads, G key heads, H head width, K encoder states,
L adapted LLM layers, C encoder width, D LLM width.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, AttentionMaskInterface

from layalign.methods import Gate
from layalign.model.aligner import LayerWiseAligner

BASES = ("sdpa", "eager", "flash_attention_2")


recomputed = partial(checkpoint, use_reentrant=False, determinism_check="none")
"""`torch.utils.checkpoint`: called again in backward. Its check compares shapes, which ZeRO-3 takes away and gives back
between the two calls (DeepSpeed 0.18.1 fails on it)."""


class Gates(nn.Module):
    """How much of the cross-attention each adapted LLM layer takes: zero at the start.

    `static` is one number per layer (the paper), `dynamic` a linear function of each token's hidden state
    (Table 8; the paper does not give its form), `none` is fixed at 1.
    """

    def __init__(self, kind: Gate, decoder_layers: int, decoder_width: int) -> None:
        super().__init__()
        self.kind = kind
        if kind != "none":
            self.value = nn.Parameter(torch.zeros(decoder_layers))
        if kind == "dynamic":
            self.weight = nn.Parameter(torch.zeros(decoder_layers, decoder_width))

    def forward(self, row: int, hidden_BTD: Tensor | None) -> Tensor | float:
        """Gate of the `row`-th adapted layer: a number, or [B, T, 1, 1] when dynamic."""
        if self.kind == "none":
            return 1.0
        if self.kind == "static":
            return self.value[row]
        assert hidden_BTD is not None
        return (hidden_BTD @ self.weight[row].to(hidden_BTD.dtype) + self.value[row])[..., None, None]


@dataclass(eq=False)
class Cross:
    """What one batch gives the cross-attention of every layer."""

    states_KBSC: Tensor
    mask_BS: Tensor | None
    """True at source tokens; None attends padding too, as the official code does."""
    aligner: LayerWiseAligner
    gates: Gates
    rows: dict[int, int]
    """Adapted LLM layer -> its row in the aligner."""
    recompute: bool = False
    """Compute keys and values again in backward instead of keeping them."""
    cache: dict[int, tuple[Tensor, Tensor]] | None = None
    """Keys and values per layer, kept through one generation; None in training."""
    hidden_BTD: Tensor | None = field(default=None, repr=False)
    """Input of the attention that runs now, for dynamic gates."""

    def of_rows(self, rows_R: Tensor) -> Cross:
        """The same for some rows of the batch, each as often as it is named, once every layer's keys are kept."""
        assert self.cache is not None
        kept = {row: (keys[rows_R], values[rows_R]) for row, (keys, values) in self.cache.items()}
        mask_RS = None if self.mask_BS is None else self.mask_BS[rows_R]
        return replace(self, mask_BS=mask_RS, cache=kept)

    def attend(self, module: nn.Module, query_BNTH: Tensor, scaling: float | None) -> Tensor:
        """Gated cross-attention of one layer, [B, T, N, H]."""
        row = self.rows[module.layer_idx]  # type: ignore[index]
        if self.recompute and torch.is_grad_enabled():
            out = recomputed(self._attention, module, row, query_BNTH, scaling)
        else:
            out = self._attention(module, row, query_BNTH, scaling)
        return self.gates(row, self.hidden_BTD) * out

    def _attention(self, module: nn.Module, row: int, query_BNTH: Tensor, scaling: float | None) -> Tensor:
        keys_BGSH, values_BGSH = self._keys_values(module, row)
        beams = query_BNTH.shape[0] // keys_BGSH.shape[0]
        mask = None if self.mask_BS is None else self.mask_BS[:, None, None, :]
        if beams > 1:
            keys_BGSH, values_BGSH = (x.repeat_interleave(beams, dim=0) for x in (keys_BGSH, values_BGSH))
            mask = None if mask is None else mask.repeat_interleave(beams, dim=0)
        groups = query_BNTH.shape[1] // keys_BGSH.shape[1]
        if groups > 1:
            keys_BGSH, values_BGSH = (x.repeat_interleave(groups, dim=1) for x in (keys_BGSH, values_BGSH))
        keys_BGSH, values_BGSH = keys_BGSH.to(query_BNTH.dtype), values_BGSH.to(query_BNTH.dtype)
        out_BNTH = scaled_dot_product_attention(
            query_BNTH, keys_BGSH, values_BGSH, attn_mask=mask, scale=scaling
        )
        return out_BNTH.transpose(1, 2)

    def _keys_values(self, module: nn.Module, row: int) -> tuple[Tensor, Tensor]:
        if self.cache is not None and row in self.cache:
            return self.cache[row]
        pair = keys_values(module, self.aligner(self.states_KBSC, row))
        if self.cache is not None:
            self.cache[row] = pair
        return pair


def keys_values(module: Any, aligned_2BSD: Tensor) -> tuple[Tensor, Tensor]:
    """The layer's own frozen projections of the aligned states, keys and values: each [B, G, S, H]."""
    _, batch, length, _ = aligned_2BSD.shape
    shape = (batch, length, -1, module.head_dim)
    keys_BSD, values_BSD = _projected(module, aligned_2BSD)
    norm = getattr(module, "k_norm", None) or getattr(module, "k_layernorm", None)
    if norm is None:
        keys_BSGH = keys_BSD.view(shape)
    elif norm.weight.shape == keys_BSD.shape[-1:]:  # over all heads, as in OLMo-2
        keys_BSGH = norm(keys_BSD).view(shape)
    else:
        keys_BSGH = norm(keys_BSD.view(shape))
    return keys_BSGH.transpose(1, 2), values_BSD.view(shape).transpose(1, 2)


def _projected(module: Any, aligned_2BSD: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values, all heads in one, where a layer projects them apart, and where it projects all at once."""
    if not hasattr(module, "qkv_proj"):
        return module.k_proj(aligned_2BSD[0]), module.v_proj(aligned_2BSD[1])
    width = module.num_key_value_heads * module.head_dim
    # Phi-3's one matrix is called whole: ZeRO-3 gathers weights where their module is called.
    keys_BSX, values_BSX = module.qkv_proj(aligned_2BSD[0]), module.qkv_proj(aligned_2BSD[1])
    return keys_BSX[..., -2 * width : -width], values_BSX[..., -width:]


def is_attention(module: nn.Module) -> bool:
    """Whether a module of an LLM is the self-attention of a layer."""
    return hasattr(module, "layer_idx") and (hasattr(module, "k_proj") or hasattr(module, "qkv_proj"))


def gated_attention(
    module: nn.Module,
    query_BNTH: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    base: str,
    cross: Cross | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Self-attention as `base` computes it, plus the gated cross-attention where the layer has one.

    Signature and result are the `AttentionInterface`'s
    (https://huggingface.co/docs/transformers/attention_interface).
    """
    attend = AttentionInterface()[base] if base != "eager" else _eager(module)
    caller = _named(module, base) if base == "flash_attention_2" else module
    out_BTNH, weights = attend(caller, query_BNTH, key, value, attention_mask, scaling=scaling, **kwargs)
    if cross is not None and module.layer_idx in cross.rows:
        out_BTNH = out_BTNH + cross.attend(module, query_BNTH, scaling).to(out_BTNH.dtype)
    return out_BTNH, weights


def _eager(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """Every decoder's file has an eager attention of its own."""
    return sys.modules[type(module).__module__].eager_attention_forward


def _named(module: nn.Module, base: str) -> SimpleNamespace:
    """The module under the name of its base: FlashAttention imports its kernels by the name in the config."""
    return SimpleNamespace(
        config=SimpleNamespace(_attn_implementation=base),
        is_causal=module.is_causal,
        layer_idx=module.layer_idx,
        modules=module.modules,
    )


def remember_hidden(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Forward pre-hook of an attention module: hands its input to dynamic gates."""
    if kwargs.get("cross") is not None:
        kwargs["cross"].hidden_BTD = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]


def register() -> None:
    """Make the gated attentions known to transformers, with the masks of their bases.

    A name that has an attention but no mask entry silently gets no mask.
    """
    masks = AttentionMaskInterface()
    for base in BASES:
        AttentionInterface.register(f"layalign_{base}", partial(gated_attention, base=base))
        AttentionMaskInterface.register(f"layalign_{base}", masks[base])


register()
