"""The switches, and the paper's parameter counts, on the meta device."""

import pytest
import torch
from transformers import LlamaConfig, MT5Config

from layalign.methods import bridge_of
from layalign.model.decoder import build_decoder
from layalign.model.encoder import build_encoder
from layalign.model.layalign import LayAlign

pytestmark = pytest.mark.core
ADAPTER, ALIGNER, GATES = 25_178_112, 8_394_304, 32


@pytest.mark.parametrize(
    ("method", "switches", "parameters"),
    [
        ("layalign", {}, 33_572_448),
        ("mindmerger", {}, ADAPTER),
        ("langbridge", {}, ADAPTER),
        ("layalign", {"adapter": False}, ALIGNER + GATES),
        ("layalign", {"aligner": "silu"}, ADAPTER + 12_590_656 + GATES),
        ("layalign", {"aligner": "mlp"}, ADAPTER + ALIGNER + 4096 * 4096 + 4096 + GATES),
        ("mindmerger", {"adapter_width": 3 * 2048}, 37_763_072),
        ("llm", {}, 0),
    ],
)
def test_parameters_of_mt5_xl_and_llama_7b_are_the_papers(
    method: str, switches: dict, parameters: int
) -> None:
    mt5_xl = MT5Config(d_model=2048, d_kv=64, d_ff=5120, num_layers=24, num_heads=32, vocab_size=250112)
    with torch.device("meta"):
        model = LayAlign(build_encoder(mt5_xl), build_decoder(LlamaConfig()), bridge_of(method, 2, switches))
    assert sum(p.numel() for p in model.trainable().values()) == parameters
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == parameters


def test_text_depends_on_the_stage() -> None:
    assert [bridge_of("layalign", stage, {}).text for stage in (1, 2)] == [False, True]
    assert [bridge_of("langbridge", stage, {}).text for stage in (1, 2)] == [False, False]


def test_an_unknown_method_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match="'layaling'; the methods are llm, langbridge"):
        bridge_of("layaling", 1, {})


def test_no_input_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="gives the LLM no input"):
        bridge_of("langbridge", 2, {"adapter": False})
