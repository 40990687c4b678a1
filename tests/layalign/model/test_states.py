"""Learned means over the encoder's layers, beside plain loops that follow the papers' formulas."""

import pytest
import torch
from torch import Tensor, nn

from layalign.methods import bridge_of
from layalign.model.layalign import LayAlign
from layalign.model.states import GlobalSoftmax, TokenSoftmax
from tests.layalign.model.test_architectures import assert_batches_and_learns, make, make_batch

pytestmark = pytest.mark.core
L, B, S, C = 3, 2, 4, 8


@pytest.fixture
def states() -> Tensor:
    return torch.randn(L, B, S, C, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def mask() -> Tensor:
    return torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def test_parameters_are_those_of_the_papers() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in TokenSoftmax(24, 1024).parameters()) == 8_450_072
        assert sum(p.numel() for p in GlobalSoftmax(24).parameters()) == 24


def test_the_global_mean_is_the_papers(states: Tensor, mask: Tensor) -> None:
    mean = GlobalSoftmax(L)
    torch.testing.assert_close(mean(states, mask), states.mean(0))
    with torch.no_grad():
        mean.weight.copy_(torch.tensor([0.3, -1.0, 2.0]))
    exp = [torch.tensor(a).exp() for a in (0.3, -1.0, 2.0)]
    expected = sum(e / sum(exp) * states[i] for i, e in enumerate(exp))
    torch.testing.assert_close(mean(states, mask), expected)


def test_the_mean_of_each_token_is_the_papers(states: Tensor, mask: Tensor) -> None:
    mean = TokenSoftmax(L, C)
    with torch.no_grad():
        for value in mean.parameters():
            value.normal_(std=0.5)
    found = mean(states, mask)
    for b in range(B):
        for s in range(S):
            expected = _of_a_token(mean, states[:, b, s]) if mask[b, s] else torch.zeros(C)
            torch.testing.assert_close(found[b, s], expected, rtol=1e-4, atol=1e-5)


def _of_a_token(mean: TokenSoftmax, states_LC: Tensor) -> Tensor:
    """One post-norm transformer layer of one head, written out."""
    x = torch.stack([mean.first, *(states_LC[i] + mean.place[i] for i in range(L))])
    attention, layer = mean.layer.self_attn, mean.layer
    q, k, v = (x @ attention.in_proj_weight.T + attention.in_proj_bias).split(C, -1)
    attended = ((q @ k.T) / C**0.5).softmax(-1) @ v
    attended = attended @ attention.out_proj.weight.T + attention.out_proj.bias
    x = _norm(layer.norm1, x + attended)
    hidden = (x @ layer.linear1.weight.T + layer.linear1.bias).clamp(min=0)
    x = _norm(layer.norm2, x + hidden @ layer.linear2.weight.T + layer.linear2.bias)
    weight = (x[0] @ mean.score.weight.T + mean.score.bias).softmax(-1)
    return sum(weight[i] * states_LC[i] for i in range(L))


def _norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    spread = x.var(-1, unbiased=False, keepdim=True)
    return (x - x.mean(-1, keepdim=True)) / (spread + norm.eps).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("method", ["mindmerger", "layalign", "merlin"])
@pytest.mark.parametrize("choice", ["softmax", "token_softmax"])
def test_they_batch_and_learn(method: str, choice: str) -> None:
    assert_batches_and_learns(bridge_of(method, 1, {"encoder_states": choice, "text": True}))


@pytest.mark.parametrize("choice", ["softmax", "token_softmax"])
def test_the_adapter_reads_the_mean_of_the_outputs_of_all_layers(choice: str) -> None:
    model, batch = make(bridge=bridge_of("mindmerger", 2, {"encoder_states": choice})), make_batch()
    with torch.no_grad():
        for value in model.mean.parameters():
            value.normal_()
    hidden = model.encoder(
        input_ids=batch.source_ids, attention_mask=batch.source_mask, output_hidden_states=True
    ).hidden_states
    read = _heard(model, batch)
    torch.testing.assert_close(read, model.mean(torch.stack(hidden[1:]), batch.source_mask))
    model.loss(batch, 8)[0].backward()
    assert all(bool(p.grad.any()) for p in model.mean.parameters())


def _heard(model: LayAlign, batch) -> Tensor:
    seen: list[Tensor] = []
    hook = model.adapter.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model._read(batch)
    hook.remove()
    return seen[0]
