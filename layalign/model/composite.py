"""The config of the composite model."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class LayAlignConfig(PretrainedConfig):
    """Config of the composite: the LLM's stands for it wherever generation asks for sizes."""

    model_type = "layalign"

    def __init__(self, decoder: PretrainedConfig | None = None, **kwargs: Any) -> None:
        self._decoder = decoder or PretrainedConfig()  # first: the base class asks for the text config
        super().__init__(**kwargs)

    def get_text_config(self, *args: Any, **kwargs: Any) -> PretrainedConfig:
        """The LLM's config."""
        return self._decoder
