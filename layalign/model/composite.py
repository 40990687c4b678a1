"""Two frozen models as one of transformers: what generation and the engines see of it, whatever joins the two."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from layalign.model.gated_attention import Cross, recomputed
from layalign.model.lora import switch_training


class LayAlignConfig(PretrainedConfig):
    """Config of the composite: the LLM's stands for it wherever generation asks for sizes."""

    model_type = "layalign"

    def __init__(self, decoder: PretrainedConfig | None = None, **kwargs: Any) -> None:
        self._decoder = decoder or PretrainedConfig()  # first: the base class asks for the text config
        super().__init__(**kwargs)

    def get_text_config(self, *args: Any, **kwargs: Any) -> PretrainedConfig:
        """The LLM's config."""
        return self._decoder


class Composite(PreTrainedModel, GenerationMixin):
    """A frozen encoder and a frozen LLM; its forward is the LLM's.

    Args:
        encoder: frozen from now on; None where nothing reads it.
        decoder: the LLM, likewise.
    """

    config_class = LayAlignConfig
    _supports_sdpa = True

    def __init__(self, encoder: nn.Module | None, decoder: PreTrainedModel) -> None:
        super().__init__(LayAlignConfig(decoder.config))
        self.encoder = encoder.requires_grad_(False) if encoder is not None else None
        self.decoder = decoder.requires_grad_(False)

    def train(self, mode: bool = True) -> Composite:
        """The frozen models never leave eval mode: their dropout stays off (the official code left it on).

        Low-rank weights in it do, and layers that can be recomputed in backward are told so by their own flag alone.
        """
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        self.decoder.eval()
        switch_training(self.decoder, mode)
        for module in self.decoder.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.training = mode
        return self

    def recompute_layers(self) -> None:
        """Compute the LLM's layers again in backward instead of keeping what is inside them."""
        for module in self.decoder.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.gradient_checkpointing = True
                module._gradient_checkpointing_func = recomputed  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cross: Cross | None = None,
        **kwargs: Any,
    ) -> Any:
        """The LLM's own forward with `cross` in its signature, so that `generate` passes it on."""
        return self.decoder(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cross=cross,
            **kwargs,
        )

    def get_input_embeddings(self) -> nn.Module:
        """The LLM's."""
        return self.decoder.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The LLM's."""
        return self.decoder.get_output_embeddings()

    def _autocast(self) -> AbstractContextManager[Any]:
        """bf16 arithmetic where the backbones are bf16; the bridge's weights stay fp32."""
        if self.decoder.dtype is torch.bfloat16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()
