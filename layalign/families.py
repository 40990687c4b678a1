"""Model types that have been checked, as `config.json` names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

Role = Literal["encoder", "decoder"]
ENCODERS = (
    "t5",
    "mt5",
    "umt5",
    "m2m_100",
    "bert",
    "xlm-roberta",
    "xglm",
    "gpt2",
    "llama",
    "qwen2",
    "mistral",
    "modernbert",
    "eurobert",
    "electra",
)
"""Encoders whose states have been tested to be those of the published model."""
DECODERS = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text",
    "gemma3", "granite", "phi", "phi3", "starcoder2", "smollm3", "glm4", "olmo2", "cohere", "cohere2",
)  # fmt: skip
"""LLMs on which batched = single, cached = uncached and beams have been tested."""
_USUAL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LINEAR: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(DECODERS, _USUAL),
    "phi": ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"),
    "starcoder2": (*_USUAL[:4], "c_fc", "c_proj"),
    "glm4": (*_USUAL[:4], "gate_up_proj", "down_proj"),
    "phi3": ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
}
"""Linear layers of each LLM, where LoRA may stand, by the end of their names."""


def modules_obstacle(model_type: str, modules: Iterable[str]) -> str | None:
    """The refusal of LoRA on layers that an LLM does not have; None if it has them all, or is none of the checked."""
    known = LINEAR.get(model_type)
    unknown = [name for name in modules if known and name not in known]
    if not (known and unknown):
        return None
    return f"model.lora_modules has {', '.join(unknown)}: the linear layers of a {model_type} are {', '.join(known)}"


TWO_HALVES = (
    "t5", "mt5", "umt5", "longt5", "switch_transformers", "m2m_100", "nllb-moe", "mbart", "bart", "marian", "t5gemma",
)  # fmt: skip
READERS = (
    "bert", "roberta", "xlm-roberta", "xlm-roberta-xl", "electra", "albert", "deberta", "deberta-v2", "modernbert",
    "eurobert", "rembert", "camembert",
)  # fmt: skip
RECURRENT = (
    "mamba", "mamba2", "falcon_mamba", "rwkv", "jamba", "bamba", "recurrent_gemma", "falcon_h1", "nemotron_h", "lfm2",
    "qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "granitemoehybrid", "olmo_hybrid", "minimax", "kimi_linear",
)  # fmt: skip
FUSED = ("gpt2", "gpt_neox", "gpt_bigcode", "bloom", "falcon", "mpt", "codegen", "dbrx")
SHARING = ("gemma3n", "gemma3n_text", "gemma4", "gemma4_text")
NO_LLM = {
    **dict.fromkeys(TWO_HALVES, "it has an encoder and a decoder of its own: name it as model.encoder"),
    **dict.fromkeys(READERS, "it reads in both directions and writes nothing: name it as model.encoder"),
    **dict.fromkeys(RECURRENT, "some of its layers have no attention, to which the cross-attention is added"),
    **dict.fromkeys(FUSED, "the projections of its attention are one, in an order of their own"),
    **dict.fromkeys(
        SHARING, "its layers share keys and values, and read the tokens themselves beside embeddings"
    ),
}
"""Why a model type cannot be the LLM, where more is known than that nobody has tried it."""


def type_obstacle(role: Role, config: Mapping[str, Any]) -> str | None:
    """The refusal of a model, by its config, that is of no checked type; None if it is of one."""
    known, what = (ENCODERS, "the encoder") if role == "encoder" else (DECODERS, "the LLM")
    kind = config.get("model_type")
    if kind in known:
        return _direction_obstacle(role, config)
    named = config.get("architectures")
    cls = f" ({named[0]})" if isinstance(named, list | tuple) and named else ""
    why = NO_LLM.get(str(kind)) if role == "decoder" else None
    reason = f": {why}" if why else ""
    checked = f"checked types: {', '.join(known)}"
    return f"{what}'s model type is {kind!r}{cls}, which has not been checked{reason}; {checked}"


def _direction_obstacle(role: Role, config: Mapping[str, Any]) -> str | None:
    """The refusal of an LLM that was made into an encoder, as EmbeddingGemma is of Gemma 3."""
    if role == "decoder" and text_config(config).get("use_bidirectional_attention"):
        return "the LLM reads in both directions (use_bidirectional_attention in its config.json) and writes nothing"
    return None


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config that tells the sizes of the LLM: Gemma 3's larger models, which also see, nest it."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def quantised_obstacle(name: str, config: Mapping[str, Any]) -> str | None:
    """The refusal of a model whose config says that its weights are quantised; None if it does not."""
    told = config.get("quantization_config")
    if told is None:
        return None
    method = told.get("quant_method") if isinstance(told, Mapping) else None
    return (
        f"{name} is quantised ({method or 'quantization_config in its config.json'}): its weights are no numbers that "
        "a bridge can be trained on; name the model that it was made from"
    )
