"""What is tried on a frozen model when it is loaded."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, MT5ForConditionalGeneration

from layalign.config import ModelConfig
from layalign.model import probe
from layalign.model.decoder import build_decoder, load_decoder
from layalign.model.encoder import load_encoder
from layalign.model.layalign import LayAlign
from tests.layalign.model.folders import edit_weights, write_decoder, write_encoder
from tests.layalign.model.test_architectures import DECODERS, SMALL

pytestmark = pytest.mark.core


def llm(kind: str = "llama", dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_decoder(AutoConfig.for_model(kind, **SMALL | DECODERS[kind])).to(dtype).eval()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", DECODERS)
def test_every_checked_llm_computes_the_same_from_tokens_and_their_embeddings(kind, dtype):
    probe.check_embeddings(llm(kind, dtype))


def scaling(times: float):
    """A library that multiplies the embeddings that it is given, and those alone."""

    def scale(_module, args, kwargs):
        if kwargs.get("inputs_embeds") is not None:
            kwargs["inputs_embeds"] = kwargs["inputs_embeds"] * times
        return args, kwargs

    return scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("times", [5.7, 0.5])
@pytest.mark.parametrize("kind", ["llama", "gemma2", "gemma3_text", "granite"])
def test_a_library_that_treats_given_embeddings_otherwise_is_refused(kind, times, dtype):
    model = llm(kind, dtype)
    model.base_model.register_forward_pre_hook(scaling(times), with_kwargs=True)
    with pytest.raises(
        ValueError, match=rf"LLM \({kind}\) computes other logits from the embeddings.*transformers 5"
    ):
        probe.check_embeddings(model)


def test_an_output_layer_that_is_not_ours_is_refused():
    model = llm()
    model.register_forward_hook(lambda _module, _args, out: out.__setitem__("logits", out.logits * 2) or out)
    with pytest.raises(ValueError, match="computes other logits"):
        probe.check_embeddings(model)


def test_what_gemma_multiplies_embeddings_by_is_known():
    assert probe.embedding_scale(llm("llama")) == pytest.approx(1)
    for kind in ("gemma", "gemma2", "gemma3_text"):
        assert probe.embedding_scale(llm(kind)) == pytest.approx(32**0.5)


BROKEN = {
    "nan": ("model.layers.1.mlp.up_proj.weight", float("nan")),
    "infinite": ("model.embed_tokens.weight", float("inf")),
    "minus": ("lm_head.weight", float("-inf")),
}


@pytest.mark.parametrize(("name", "value"), BROKEN.values(), ids=BROKEN)
def test_an_llm_with_weights_that_are_no_numbers_is_refused(tmp_path, name, value):
    def spoil(weights):
        weights[name][3, 5] = value
        return weights

    folder = edit_weights(write_decoder(tmp_path / "m"), spoil)
    config = ModelConfig(encoder="none", decoder=str(folder), method="llm", precision="bf16")
    with pytest.raises(ValueError, match=rf"the LLM {folder} has weights that are not numbers.*: {name}"):
        LayAlign.build(config, config.bridge(2))


def test_a_weight_too_large_for_its_type_is_refused(tmp_path):
    def enlarge(weights):
        weights["model.norm.weight"][0] = 3.4e38
        return weights

    folder = edit_weights(write_decoder(tmp_path / "m"), enlarge)
    config = ModelConfig(encoder="none", decoder=str(folder), method="llm", precision="bf16")
    with pytest.raises(ValueError, match="not numbers"):
        LayAlign.build(config, config.bridge(2))


def test_an_encoder_with_weights_that_are_no_numbers_is_refused(tmp_path):
    def spoil(weights):
        weights["encoder.final_layer_norm.weight"][0] = float("nan")
        return weights

    encoder = edit_weights(write_encoder(tmp_path / "e", "mt5", MT5ForConditionalGeneration), spoil)
    config = ModelConfig(encoder=str(encoder), decoder=str(write_decoder(tmp_path / "d")), precision="fp32")
    with pytest.raises(ValueError, match=r"the encoder .* not numbers.*encoder\.final_layer_norm\.weight"):
        LayAlign.build(config, config.bridge(2))


def test_numbers_that_overflow_on_the_way_are_refused():
    model = llm()
    with torch.no_grad():
        model.lm_head.weight.fill_(3e38)
    with pytest.raises(ValueError, match="logits that are not numbers"):
        probe.check_embeddings(model)


def test_a_digest_is_of_the_content_and_of_nothing_else(tmp_path):
    folder = write_decoder(tmp_path / "m")
    one = load_decoder(str(folder), None, torch.float32, "auto")
    before = probe.digest(one, torch.float32)
    one.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    for other in (tmp_path / "shards", folder):
        again = load_decoder(str(other), None, torch.float32, "auto")
        assert probe.digest(again, torch.float32) == before
    narrow = load_decoder(str(folder), None, torch.bfloat16, "auto")
    assert probe.digest(narrow, torch.bfloat16) == probe.digest(one, torch.bfloat16) != before
    assert probe.digest(one.double(), torch.bfloat16) == probe.digest(narrow, torch.bfloat16)


@pytest.mark.parametrize(
    "name", ["model.norm.weight", "model.layers.2.mlp.down_proj.weight", "lm_head.weight"]
)
def test_a_digest_tells_a_single_changed_number(tmp_path, name):
    model = llm()
    before = probe.digest(model, torch.float32)
    value = dict(model.named_parameters())[name].data.view(-1)
    kept, value[-1] = value[-1].item(), value[-1] * (1 + 1e-6) + 1e-9
    assert probe.digest(model, torch.float32) != before
    value[-1] = kept
    assert probe.digest(model, torch.float32) == before


def test_odd_sizes_and_offsets_have_digests():
    whole = torch.arange(29, dtype=torch.bfloat16)
    seen = set()
    for begin in range(4):
        module = torch.nn.Module()
        module.weight = torch.nn.Parameter(whole[begin:], requires_grad=False)
        copied = torch.nn.Module()
        copied.weight = torch.nn.Parameter(whole[begin:].clone(), requires_grad=False)
        assert probe.digest(module, torch.bfloat16) == probe.digest(copied, torch.bfloat16)
        seen.add(probe.digest(module, torch.bfloat16))
    assert len(seen) == 4


def test_values_are_the_same_in_two_loads_and_others_of_another_model(tmp_path):
    folder = write_encoder(tmp_path / "e", "mt5", MT5ForConditionalGeneration)
    one, two = (load_encoder(str(folder), None, torch.bfloat16) for _ in range(2))
    assert probe.drift(probe.encoder_values(one), probe.encoder_values(two)) == 0
    assert len(probe.encoder_values(one)) == probe.VALUES
    assert (
        probe.drift(probe.decoder_values(llm()), probe.decoder_values(llm("granite"))) > probe.DRIFT["bf16"]
    )


HOLES = {
    "layer": (lambda name, value: ".layers.1." in name and value.ndim == 2, r"one number: model\.layers\.1;"),
    "embedding": (lambda name, _: "embed_tokens" in name, r"one number: model\.embed_tokens\.weight;"),
    "all": (
        lambda _, value: value.ndim == 2,
        r"one number: model\.embed_tokens\.weight, model\.layers\.0.*and 2 more",
    ),
}


@pytest.mark.parametrize(("gone", "said"), HOLES.values(), ids=HOLES)
def test_a_file_with_a_hole_is_refused(tmp_path, gone, said):
    """As long as a whole one, with zeros for what was never copied."""
    folder = edit_weights(
        write_decoder(tmp_path / "m"), lambda w: {k: v * 0 if gone(k, v) else v for k, v in w.items()}
    )
    config = ModelConfig(encoder="none", decoder=str(folder), method="llm", precision="fp32")
    with pytest.raises(ValueError, match=said):
        LayAlign.build(config, config.bridge(2))


def test_single_matrices_of_zeros_and_a_row_of_types_are_no_hole():
    """Blocks that were inserted, and XLM-R's table of one type."""
    model = llm()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "norm.weight")):
                value.zero_()
    probe.check_numbers(model, "the LLM")
    types = torch.nn.Module()
    types.token_type_embeddings = torch.nn.Embedding.from_pretrained(torch.zeros(1, 8))
    probe.check_numbers(types, "the encoder")
