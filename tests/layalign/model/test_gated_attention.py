"""The FlashAttention path: on a GPU the kernel itself, elsewhere what is handed to it."""

import pytest
import torch
from transformers import AttentionInterface

from layalign.model import gated_attention
from tests.layalign.model.test_architectures import LLMS, make, make_batch

pytestmark = pytest.mark.core


def test_the_flash_path_names_the_kernel_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed to see under which name the kernel is asked for; sdpa computes in its place."""
    model, batch = make(), make_batch()
    expected = model.loss(batch, 64)[0].item()
    names, sdpa = [], AttentionInterface()["sdpa"]

    def kernel(module, query, key, value, mask, **kwargs):
        names.append(module.config._attn_implementation)
        module.num_key_value_groups = query.shape[1] // key.shape[1]
        return sdpa(module, query, key, value, mask, is_causal=module.is_causal, **kwargs)

    monkeypatch.setitem(gated_attention.AttentionInterface._global_mapping, "flash_attention_2", kernel)
    model.decoder.config._attn_implementation = "layalign_flash_attention_2"
    monkeypatch.setitem(
        gated_attention.AttentionMaskInterface._global_mapping,
        "layalign_flash_attention_2",
        gated_attention.AttentionMaskInterface()["sdpa"],
    )
    assert model.loss(batch, 64)[0].item() == pytest.approx(expected, rel=1e-6)
    assert set(names) == {"flash_attention_2"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_flash_attention_equals_sdpa_in_bf16() -> None:
    losses = []
    for attention in ("sdpa", "flash_attention_2"):
        model = make(attention=attention).to("cuda", torch.bfloat16)
        losses.append(model.loss(make_batch().to("cuda"), 64)[0].item())
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)


@pytest.mark.parametrize("decoder", [name for name in LLMS if name != "phi-3-128k"])
def test_cross_keys_are_the_layers_own_without_their_turn(
    decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At position 0 nothing is turned: what a layer makes of its own input for itself is what it makes of states."""
    model = make(decoder).decoder.eval()
    seen: list[tuple[torch.nn.Module, torch.Tensor, torch.Tensor]] = []
    inputs: list[torch.Tensor] = []
    own = gated_attention.gated_attention

    def watch(module, query, key, value, mask, **kwargs):
        seen.append((module, key, value))
        return own(module, query, key, value, mask, base="eager", **kwargs)

    monkeypatch.setitem(gated_attention.AttentionInterface._global_mapping, "layalign_eager", watch)
    model.config._attn_implementation = "layalign_eager"
    for module in filter(gated_attention.is_attention, model.modules()):
        module.register_forward_pre_hook(
            lambda _, args, kwargs: inputs.append(kwargs.get("hidden_states", args[0] if args else None)),
            with_kwargs=True,
        )
    ids = torch.randint(3, 80, (2, 5))
    model(input_ids=ids, position_ids=torch.zeros_like(ids), use_cache=False)
    assert len(seen) == len(inputs) == 3
    for (module, key, value), hidden in zip(seen, inputs):
        keys, values = gated_attention.keys_values(module, torch.stack([hidden, hidden]))
        torch.testing.assert_close(keys, key)
        torch.testing.assert_close(values, value)
