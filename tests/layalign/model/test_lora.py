"""LoRA and DoRA in the LLM: what trains, what is computed, and that plain peft opens what is saved."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, Gemma2Config, M2M100Config

from layalign import families
from layalign.config import ModelConfig
from layalign.methods import METHODS, Bridge, bridge_of
from layalign.model import store
from layalign.model.decoder import build_decoder
from layalign.model.encoder import build_encoder
from layalign.model.layalign import LayAlign
from layalign.model.probe import digest
from tests.layalign.model.test_architectures import DECODERS, ENCODERS, SMALL, make, make_batch, row
from tests.layalign.model.test_store import write_backbone

pytestmark = pytest.mark.core
KINDS = ("lora", "dora")


def moved(model: LayAlign, std: float = 0.3) -> LayAlign:
    """The same with every weight that trains somewhere else."""
    with torch.no_grad():
        for value in model.trainable().values():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(4)) * std)
    return model


@pytest.mark.parametrize(
    ("method", "stage", "switches", "parameters"),
    [
        ("merlin", 1, {}, 9_446_400),
        ("merlin", 2, {}, 9_446_400),
        ("merlin", 3, {}, 9_203_712),
        ("merlin", 3, {"lora": "lora"}, 8_945_664),
        ("merlin", 3, {"train": "both"}, 9_446_400 + 9_203_712),
        ("merlin", 3, {"lora": "none"}, 9_446_400),
        ("sft", 3, {}, 8_945_664),
        ("sft", 2, {}, 0),
        ("mindmerger", 3, {"lora": "lora"}, 9_446_400 + 8_945_664),
    ],
)
def test_parameters_of_nllb_600m_and_gemma_2_9b(
    method: str, stage: int, switches: dict, parameters: int
) -> None:
    nllb = M2M100Config(d_model=1024, encoder_layers=12, encoder_ffn_dim=4096, encoder_attention_heads=16)
    gemma = Gemma2Config(
        hidden_size=3584, num_hidden_layers=42, num_attention_heads=16, num_key_value_heads=8,
        head_dim=256, intermediate_size=14336,
    )  # fmt: skip
    with torch.device("meta"):
        bridge = bridge_of(method, stage, switches, last=3)
        model = LayAlign(build_encoder(nllb), build_decoder(gemma), bridge)
    assert sum(p.numel() for p in model.trainable().values()) == parameters
    assert {id(p) for p in model.parameters() if p.requires_grad} == {
        id(p) for p in model.trainable().values()
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoder", ["llama", "gemma2", "phi"])
def test_fresh_ones_change_nothing_and_moved_ones_are_computed_alike_everywhere(
    kind: str, decoder: str
) -> None:
    batch, asked = make_batch(), make_batch(answers=False)
    bridge = bridge_of("layalign", 2, {"lora": kind, "lora_modules": ("q_proj", "k_proj", "v_proj")})
    plain, model = make(decoder), make(decoder, bridge=bridge)
    model.load_state_dict(plain.state_dict(), strict=False)
    _same_weights(plain, model)
    torch.testing.assert_close(model.loss(batch, 64)[0], plain.loss(batch, 64)[0])
    together, _ = moved(model).loss(batch, 64)
    assert abs(together.item() - plain.loss(batch, 64)[0].item()) > 1e-3
    alone = sum(model.loss(row(batch, i), 64)[0].item() for i in range(3))
    assert together.item() == pytest.approx(alone, rel=1e-5)
    fixed = {"max_new_tokens": 6, "min_new_tokens": 6}
    cached = model.answer(asked, **fixed)
    assert cached.tolist() == model.answer(asked, use_cache=False, **fixed).tolist()
    assert cached.tolist() == [model.answer(row(asked, i), **fixed)[0].tolist() for i in range(3)]


def _same_weights(one: LayAlign, other: LayAlign) -> None:
    """What stands inside peft's layers too."""
    places = {name.replace(".base_layer", ""): value for name, value in other.named_parameters()}
    with torch.no_grad():
        for name, value in one.named_parameters():
            places[name].copy_(value)


@pytest.mark.parametrize(
    ("method", "switches", "parts"),
    [
        ("merlin", {}, {"lora"}),
        ("merlin", {"train": "both"}, {"adapter", "lora"}),
        ("sft", {}, {"lora"}),
        ("layalign", {"lora": "dora"}, {"adapter", "aligner", "gates", "lora"}),
        ("layalign", {"lora": "dora", "train": "lora"}, {"lora"}),
    ],
)
@pytest.mark.parametrize("recompute", [False, True])
def test_a_gradient_comes_to_what_is_trained_and_to_nothing_else(
    method: str, switches: dict, parts: set, recompute: bool
) -> None:
    model = make(bridge=bridge_of(method, 2, switches)).train()
    if recompute:
        model.recompute_layers()
    moved(model).loss(make_batch(), 8)[0].backward()
    given = {name for name, p in model.weights().items() if p.grad is not None and bool(p.grad.any())}
    assert {name.partition(".")[0] for name in given} == parts
    assert given == set(model.trainable()) == {n for n, p in model.weights().items() if p.grad is not None}
    assert not [name for name, p in model.named_parameters() if p.grad is not None and ".lora_" not in name
                and not name.startswith(("adapter", "aligner", "gates"))]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_the_papers_say(kind: str) -> None:
    """LoRA: W + alpha / r B A; DoRA: its columns of unit length, times the learned magnitudes."""
    from peft.tuners.lora import LoraLayer

    bridge = bridge_of("sft", 2, {"lora": kind, "lora_rank": 3, "lora_alpha": 7.0})
    model = moved(make(bridge=bridge))
    layers = [layer for layer in model.decoder.modules() if isinstance(layer, LoraLayer)]
    assert len(layers) == 2 * SMALL["num_hidden_layers"]
    x = torch.randn(5, SMALL["hidden_size"])
    for layer in layers:
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        weight = layer.base_layer.weight + 7.0 / 3 * b @ a
        if kind == "dora":
            length = layer.lora_magnitude_vector["default"].weight
            weight = length[:, None] * weight / weight.norm(dim=1, keepdim=True)
        torch.testing.assert_close(layer(x), nn.functional.linear(x, weight), rtol=1e-4, atol=1e-5)


def test_dropout_is_of_training_alone() -> None:
    model = moved(make(bridge=bridge_of("merlin", 2, {"lora_dropout": 0.5})))
    batch = make_batch()
    assert model.loss(batch, 64)[0].item() == model.loss(batch, 64)[0].item()
    model.train()
    assert model.loss(batch, 64)[0].item() != model.loss(batch, 64)[0].item()
    still = [m for m in model.decoder.modules() if m.training and not hasattr(m, "gradient_checkpointing")]
    assert {type(m).__module__.partition(".")[0] for m in still} <= {"peft", "torch"}
    model.eval()
    assert model.loss(batch, 64)[0].item() == model.loss(batch, 64)[0].item()


def test_weights_that_change_between_two_answers_are_seen() -> None:
    model, asked = make(bridge=bridge_of("merlin", 2, {})), make_batch(answers=False)
    fixed = {"max_new_tokens": 8, "min_new_tokens": 8}
    before = model.answer(asked, **fixed)
    now = moved(model, 3.0).answer(asked, **fixed)
    assert now.tolist() != before.tolist()
    assert now.tolist() == model.answer(asked, use_cache=False, **fixed).tolist()


def test_the_llm_as_published_has_one_digest_with_and_without_them() -> None:
    torch.manual_seed(0)
    decoder = build_decoder(AutoConfig.for_model("llama", **SMALL))
    before = digest(decoder, torch.float32)
    LayAlign(None, decoder, bridge_of("sft", 2, {}))
    assert digest(decoder, torch.float32) == before


@pytest.mark.parametrize("decoder", families.DECODERS)
def test_the_linear_layers_of_each_llm_are_known_without_it(decoder: str) -> None:
    model = build_decoder(AutoConfig.for_model(decoder, **SMALL | DECODERS[decoder]))
    linear = {name.rpartition(".")[2] for name, one in model.named_modules() if isinstance(one, nn.Linear)}
    assert linear - {"lm_head"} == set(families.LINEAR[decoder])


def test_layers_that_the_llm_lacks_are_named() -> None:
    with pytest.raises(ValueError, match=r"lora_modules has Wqkv: the linear layers of a llama are q_proj"):
        make(bridge=bridge_of("sft", 2, {"lora_modules": ("q_proj", "Wqkv")}))


@pytest.fixture
def config(tmp_path: Path) -> ModelConfig:
    torch.manual_seed(1)
    return ModelConfig(
        encoder=write_backbone(tmp_path / "enc", "mt5", ENCODERS["mt5"]),
        decoder=write_backbone(tmp_path / "dec", "llama", SMALL),
        method="merlin",
        precision="fp32",
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["merlin", "sft"])
def test_plain_peft_opens_what_is_saved_with_the_same_logits(
    tmp_path: Path, config: ModelConfig, kind: str, method: str
) -> None:
    from peft import PeftModel

    config = replace(config, method=method, lora=kind)
    model = moved(LayAlign.build(config, config.bridge(2)))
    model.save_pretrained(tmp_path / "bridge")
    plain = AutoModelForCausalLM.from_pretrained(config.decoder, dtype=torch.float32)
    opened = PeftModel.from_pretrained(plain, tmp_path / "bridge" / "lora")
    ids = torch.randint(3, 80, (2, 7))
    torch.testing.assert_close(opened(input_ids=ids).logits, model.decoder(input_ids=ids).logits)
    merged = opened.merge_and_unload()(input_ids=ids).logits
    torch.testing.assert_close(merged, model.decoder(input_ids=ids).logits, rtol=1e-3, atol=1e-4)
    again, batch = LayAlign.from_pretrained(tmp_path / "bridge"), make_batch()
    assert again.loss(batch, 64)[0].item() == model.loss(batch, 64)[0].item()
    assert set(load_file(tmp_path / "bridge" / store.WEIGHTS)) == set(model.weights())


def test_a_training_starts_from_a_bridge_without_them_and_an_answer_does_not(
    tmp_path: Path, config: ModelConfig
) -> None:
    moved(LayAlign.build(config, config.bridge(1))).save_pretrained(tmp_path / "bridge")
    model = LayAlign.build(config, config.bridge(2), seed=3)
    with pytest.raises(ValueError, match=r"it lacks .*lora_A"):
        store.load_weights(model, tmp_path / "bridge")
    store.load_weights(model, tmp_path / "bridge", start=True)
    first = load_file(tmp_path / "bridge" / store.WEIGHTS)
    assert all(torch.equal(value, model.weights()[name]) for name, value in first.items())


@pytest.mark.parametrize("file", store.ADAPTER_FILES)
def test_an_adapter_that_was_changed_is_refused(tmp_path: Path, config: ModelConfig, file: str) -> None:
    moved(LayAlign.build(config, config.bridge(2))).save_pretrained(tmp_path / "bridge")
    path = tmp_path / "bridge" / file
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"lora/adapter_\S+ has changed since it was written"):
        LayAlign.from_pretrained(tmp_path / "bridge")
    path.unlink()
    LayAlign.from_pretrained(tmp_path / "bridge")


def test_bf16_beside_them_stays_bf16_and_they_are_fp32(tmp_path: Path, config: ModelConfig) -> None:
    config = replace(config, precision="bf16")
    model = moved(LayAlign.build(config, config.bridge(2)))
    assert {p.dtype for p in model.trainable().values()} == {torch.float32}
    assert {p.dtype for n, p in model.decoder.named_parameters() if ".lora_" not in n} == {torch.bfloat16}
    model.train().loss(make_batch(), 8)[0].backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.trainable().values())
    assert model.eval().answer(make_batch(answers=False), max_new_tokens=3).shape[0] == 3


def test_every_method_says_what_each_stage_trains() -> None:
    told = {
        name: [f"{b.train} {b.lora}" for b in (bridge_of(name, stage, {}, last=4) for stage in (1, 2, 3, 4))]
        for name in METHODS
    }
    plain = ["bridge none"] * 4
    assert told == dict.fromkeys(("llm", "langbridge", "mindmerger", "layalign"), plain) | {
        "merlin": [*plain[:3], "lora dora"],
        "sft": [*plain[:3], "lora lora"],
    }


@pytest.mark.parametrize(
    ("method", "stage", "switches", "words"),
    [
        ("mindmerger", 2, {"train": "lora"}, "model.train is lora, but model.lora is none"),
        ("mindmerger", 1, {"train": "both"}, "model.train is both, but model.lora is none"),
        ("sft", 2, {"train": "both"}, "the method has no bridge"),
        ("merlin", 2, {"train": "bridge"}, "which nothing then trains"),
        ("merlin", 2, {"train": "bridge", "lora": "lora"}, "which nothing then trains"),
    ],
)
def test_a_stage_that_trains_what_is_not_there_is_refused(
    method: str, stage: int, switches: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        bridge_of(method, stage, switches)


def test_what_is_told_of_lora_is_nothing_to_the_stages_before() -> None:
    assert bridge_of("merlin", 1, {"lora_rank": 4, "lora": "lora"}) == bridge_of("mindmerger", 1, {})
    assert bridge_of("merlin", 2, {}, last=3) == bridge_of("mindmerger", 2, {})
    assert bridge_of("merlin", 2, {"train": "both"}, last=3).lora == "dora"
    assert bridge_of("mindmerger", 2, {}) == Bridge(adapter=True, aligner="none", text=True)
