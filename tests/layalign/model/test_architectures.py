"""Every checked LLM and encoder type: batched = single, cached = uncached, beams, a step, save and load."""

import pytest
import torch
from transformers import AutoConfig, PretrainedConfig

from layalign import families
from layalign.data.batch import Batch
from layalign.methods import METHODS, Bridge, bridge_of
from layalign.model.decoder import build_decoder, logits
from layalign.model.encoder import build_encoder, encode
from layalign.model.layalign import LayAlign

pytestmark = pytest.mark.core

SMALL = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
DECODERS = {
    "llama": {},
    "mistral": {"sliding_window": 6},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma": {"head_dim": 16},
    "gemma2": {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8},
    "gemma3_text": {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8},
    "granite": {"logits_scaling": 2.0, "residual_multiplier": 0.7},
    "phi": {"qk_layernorm": True, "partial_rotary_factor": 0.5},
    "starcoder2": {"use_bias": True, "residual_dropout": 0.1},
    "smollm3": {"no_rope_layers": [1, 1, 0]},
    "glm4": {"head_dim": 8, "partial_rotary_factor": 0.5},
    "phi3": {"sliding_window": 6},
    "olmo2": {},
    "cohere": {"use_qk_norm": True, "logit_scale": 0.5},
    "cohere2": {
        "head_dim": 8,
        "sliding_window": 6,
        "logit_scale": 0.25,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    },
    "gemma3": {
        "text_config": {**SMALL, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8},
        "vision_config": {
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        "mm_tokens_per_image": 4,
    },
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 500000.0,
}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "rope_theta": 10000.0,
}
LLMS = {name: (name, sizes) for name, sizes in DECODERS.items()} | {
    "llama-3.1": ("llama", {"rope_parameters": LLAMA3}),
    "phi-3-128k": ("phi3", {"rope_parameters": LONGROPE, "original_max_position_embeddings": 64}),
    "qwen3-tied": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True, "bos_token_id": None}),
    "command-r": ("cohere", {"tie_word_embeddings": True}),
}
"""Name of each LLM of the matrix, its model type and its sizes: each type once, and what differs within some."""
T5 = {"vocab_size": 89, "d_model": 24, "d_kv": 6, "d_ff": 32, "num_layers": 3, "num_heads": 4}
BERT = {"vocab_size": 89, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3,
        "num_attention_heads": 4, "pad_token_id": 0}  # fmt: skip
ENCODERS = {
    "t5": T5,
    "mt5": T5,
    "umt5": T5,
    "m2m_100": {"vocab_size": 89, "d_model": 24, "encoder_layers": 3, "decoder_layers": 1,
                "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 32,
                "decoder_ffn_dim": 32, "pad_token_id": 0},
    "bert": BERT,
    "xlm-roberta": BERT,
    "xglm": {"vocab_size": 89, "d_model": 24, "num_layers": 3, "attention_heads": 4, "ffn_dim": 32,
             "pad_token_id": 0},
    "gpt2": {"vocab_size": 89, "n_embd": 24, "n_layer": 3, "n_head": 4},
    "llama": {**BERT, "num_key_value_heads": 2},
    "qwen2": {**BERT, "num_key_value_heads": 2},
    "mistral": {**BERT, "num_key_value_heads": 2},
    "modernbert": {**BERT, "local_attention": 4, "global_attn_every_n_layers": 3, "bos_token_id": 2, "cls_token_id": 2,
                   "eos_token_id": 1, "sep_token_id": 1},
    "eurobert": {**BERT, "num_key_value_heads": 4, "eos_token_id": 0, "bos_token_id": 1},
    "electra": {**BERT, "embedding_size": 12},
}  # fmt: skip
READERS = {name: (name, sizes) for name, sizes in ENCODERS.items()} | {
    "afriteva-v2": ("t5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "byt5": ("t5", {**T5, "vocab_size": 384, "num_decoder_layers": 1, "feed_forward_proj": "gated-gelu"}),
    "nllb-unscaled": ("m2m_100", {**ENCODERS["m2m_100"], "scale_embedding": False}),
    "afroxlmr": ("xlm-roberta", {**BERT, "pad_token_id": 1}),
}
"""The same of the encoders."""


def encoder_config(name: str) -> PretrainedConfig:
    kind, sizes = READERS[name]
    return AutoConfig.for_model(kind, **sizes)


def make(
    decoder: str = "llama", encoder: str = "mt5", bridge: Bridge | None = None, attention: str = "auto"
) -> LayAlign:
    torch.manual_seed(0)
    kind, sizes = LLMS[decoder]
    config = AutoConfig.for_model(kind, **SMALL | sizes)
    model = LayAlign(
        build_encoder(encoder_config(encoder)),
        build_decoder(config, attention),
        bridge or bridge_of("layalign", 2, {}),
    )
    with torch.no_grad():
        for name, value in model.trainable().items():
            if name.startswith("gates"):
                value.normal_(std=0.5)
    return model


def make_batch(seed: int = 0, answers: bool = True) -> Batch:
    """Three rows of different lengths on both sides."""
    generator = torch.Generator().manual_seed(seed)

    def padded(lengths: tuple[int, ...], left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.randint(3, 80, (3, max(lengths, default=0)), generator=generator)
        column = torch.arange(ids.shape[1])
        sizes = torch.tensor(lengths)[:, None]
        mask = (column >= ids.shape[1] - sizes) if left else (column < sizes)
        return ids * mask, mask.long()

    return Batch(
        *padded((4, 9, 6), False),
        *padded((7, 3, 5), True),
        *padded((5, 2, 8) if answers else (0, 0, 0), False),
    )


def row(batch: Batch, i: int) -> Batch:
    """One row without any padding."""

    def cut(ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        keep = mask[i].bool()
        return ids[i][keep][None], mask[i][keep][None]

    return Batch(
        *cut(batch.source_ids, batch.source_mask),
        *cut(batch.prompt_ids, batch.prompt_mask),
        *cut(batch.target_ids, batch.target_mask),
    )


def test_every_checked_type_is_in_the_matrix() -> None:
    assert set(DECODERS) == set(families.DECODERS)
    assert set(ENCODERS) == set(families.ENCODERS)


@pytest.mark.parametrize("decoder", LLMS)
def test_batched_loss_is_the_sum_of_its_rows(decoder: str) -> None:
    model, batch = make(decoder), make_batch()
    together, tokens = model.loss(batch, chunk=4)
    alone = [model.loss(row(batch, i), chunk=64) for i in range(3)]
    assert tokens == sum(n for _, n in alone)
    assert together.item() == pytest.approx(sum(loss.item() for loss, _ in alone), rel=1e-5)


@pytest.mark.parametrize("decoder", LLMS)
def test_output_layer_is_the_decoders_own(decoder: str) -> None:
    model = make(decoder)
    ids = torch.randint(3, 80, (2, 7))
    hidden = model.decoder.base_model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(logits(model.decoder, hidden), model.decoder(input_ids=ids).logits)


@pytest.mark.parametrize("decoder", LLMS)
def test_generation_batched_is_single_and_cached_is_uncached(decoder: str) -> None:
    model, batch = make(decoder), make_batch(answers=False)
    fixed = {"max_new_tokens": 8, "min_new_tokens": 8}
    cached = model.answer(batch, **fixed)
    assert cached.tolist() == model.answer(batch, use_cache=False, **fixed).tolist()
    for i in range(3):
        assert model.answer(row(batch, i), **fixed).tolist() == cached[i : i + 1].tolist()


@pytest.mark.parametrize("decoder", LLMS)
def test_beams_batched_are_single(decoder: str) -> None:
    model, batch = make(decoder), make_batch(answers=False)
    fixed = {"max_new_tokens": 6, "min_new_tokens": 6, "num_beams": 3}
    beams = model.answer(batch, **fixed)
    for i in range(3):
        assert model.answer(row(batch, i), **fixed).tolist() == beams[i : i + 1].tolist()


def test_sampling_is_seeded() -> None:
    model, batch = make(), make_batch(answers=False)
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(model.answer(batch, do_sample=True, max_new_tokens=8, min_new_tokens=8).tolist())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("decoder", LLMS)
def test_a_few_steps_lower_the_loss(decoder: str) -> None:
    model, batch = make(decoder), make_batch()
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    assert_learns(model, batch)
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)


def assert_learns(model: LayAlign, batch: Batch) -> None:
    optimizer = torch.optim.AdamW(model.trainable().values(), lr=1e-2)
    losses = []
    for _ in range(6):
        total, tokens = model.loss(batch, chunk=8)
        losses.append(total.item() / tokens)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("encoder", READERS)
def test_every_encoder_batches_and_learns(encoder: str) -> None:
    model, batch = make(encoder=encoder), make_batch()
    together, _ = model.loss(batch, chunk=64)
    alone = sum(model.loss(row(batch, i), chunk=64)[0].item() for i in range(3))
    assert together.item() == pytest.approx(alone, rel=1e-5)
    assert_learns(model, batch)


@pytest.mark.parametrize("encoder", READERS)
def test_states_of_an_encoder_are_its_embedding_and_each_layers(encoder: str) -> None:
    """As many as it has layers and one more; the last is the output, and what is only its norm is in no other."""
    model, batch = build_encoder(encoder_config(encoder)).eval(), make_batch()
    layers = model.config.num_hidden_layers
    picked = (*range(layers), layers)
    output, states = encode(model, batch.source_ids, batch.source_mask, picked)
    blocks = next(
        part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == layers
    )
    seen: list[torch.Tensor] = []
    for block in blocks:
        block.register_forward_hook(lambda _, args, out: seen.append(out if torch.is_tensor(out) else out[0]))
    blocks[0].register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
    )
    encode(model, batch.source_ids, batch.source_mask, None)
    assert len(states) == len(seen) == layers + 1
    for own, expected in zip(states[:-1], seen[:-1]):
        torch.testing.assert_close(own, expected)
    torch.testing.assert_close(states[-1], output)


@pytest.mark.parametrize("decoder", LLMS)
def test_recomputing_changes_no_gradient(decoder: str) -> None:
    batch, seen = make_batch(), []
    for recompute in (False, True):
        model = make(decoder).train()
        model.recompute_cross = recompute
        if recompute:
            model.recompute_layers()
        model.loss(batch, chunk=8)[0].backward()
        seen.append({name: p.grad for name, p in model.trainable().items()})
    for name, gradient in seen[0].items():
        torch.testing.assert_close(seen[1][name], gradient, msg=name)


@pytest.mark.parametrize(
    "switches",
    [
        {"aligner": "silu"}, {"aligner": "mlp"}, {"aligner": "none"}, {"adapter": False}, {"text": False},
        {"gate": "dynamic"}, {"gate": "none"}, {"encoder_states": "last"}, {"encoder_states": "mean"},
        {"encoder_states": (0, 2)}, {"decoder_layers": (1,)}, {"adapter_width": 7},
    ],
)  # fmt: skip
def test_every_variant_batches_and_learns(switches: dict) -> None:
    assert_batches_and_learns(bridge_of("layalign", 2, switches))


@pytest.mark.parametrize("method", [name for name in METHODS if bridge_of(name, 2, {}).trains])
def test_every_method_batches_and_learns(method: str) -> None:
    assert_batches_and_learns(bridge_of(method, 2, {}))


def assert_batches_and_learns(bridge: Bridge) -> None:
    batch = make_batch()
    model = make(bridge=bridge).train()
    model.recompute_cross = True
    together, _ = model.loss(batch, chunk=64)
    alone = sum(model.loss(row(batch, i), chunk=64)[0].item() for i in range(3))
    assert together.item() == pytest.approx(alone, rel=1e-5)
    assert_learns(model, batch)
    assert model.answer(make_batch(answers=False), max_new_tokens=3).shape[0] == 3


def test_zero_gates_leave_the_llm_alone() -> None:
    model, batch = make(), make_batch()
    without = make(bridge=bridge_of("layalign", 2, {"aligner": "none"}))
    without.adapter.load_state_dict(model.adapter.state_dict())
    with torch.no_grad():
        model.gates.value.zero_()
    assert model.loss(batch, chunk=64)[0].item() == without.loss(batch, chunk=64)[0].item()


def test_the_llm_alone_needs_no_encoder() -> None:
    decoder = build_decoder(AutoConfig.for_model("llama", **SMALL))
    model = LayAlign(None, decoder, bridge_of("llm", 2, {}))
    assert model.trainable() == {}
    only = row(make_batch(answers=False), 0)
    ids = torch.cat([torch.ones(1, 1, dtype=torch.long), only.prompt_ids], 1)
    own = decoder.generate(ids, max_new_tokens=5, do_sample=False)
    assert own[0, -5:].tolist() == model.answer(only, max_new_tokens=5)[0].tolist()


def test_unchecked_types_are_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match=r"'gpt_neox'.*llama, mistral"):
        build_decoder(AutoConfig.for_model("gpt_neox"))
    with pytest.raises(ValueError, match=r"'deberta-v2'.*t5, mt5"):
        build_encoder(AutoConfig.for_model("deberta-v2"))
    with pytest.raises(ValueError, match="reads in both directions"):
        build_decoder(AutoConfig.for_model("gemma3_text", use_bidirectional_attention=True))


@pytest.mark.parametrize(
    ("switches", "words"),
    [({"encoder_states": (0, 9)}, "states 0"), ({"decoder_layers": (3,)}, "layers 0 to 2")],
)
def test_layers_that_do_not_exist_are_refused(switches: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(bridge=bridge_of("layalign", 2, switches))


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_flash_attention_without_a_gpu_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="needs the flash_attn package and a GPU: use sdpa"):
        build_decoder(AutoConfig.for_model("llama", **SMALL), "flash_attention_2")


def test_capped_scores_are_refused_for_sdpa() -> None:
    with pytest.raises(ValueError, match="caps its scores: use eager"):
        build_decoder(AutoConfig.for_model("gemma2", **SMALL | DECODERS["gemma2"]), "sdpa")
