"""Parity with the official code, whose outputs on random weights stand in tests/golden (its README says how)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, MT5Config

from layalign.data.batch import Batch
from layalign.methods import bridge_of
from layalign.model.decoder import build_decoder
from layalign.model.encoder import build_encoder
from layalign.model.layalign import LayAlign
from layalign.model.official import GATE, NAMES, read_official
from layalign.model.store import put_weights

pytestmark = pytest.mark.core
GOLDEN = Path(__file__).parents[2] / "golden"
CASES = ("translation", "task", "task_ragged", "task_encpad")


class Golden:
    """One fixture: the official weights in our model, its inputs and its outputs."""

    def __init__(self, name: str) -> None:
        self.folder = GOLDEN / name
        self.meta = json.loads((self.folder / "meta.json").read_text())
        self.told = load_file(self.folder / "fixture.safetensors")

    def model(self, compat: str, stage: int) -> LayAlign:
        meta = self.meta
        encoder = build_encoder(MT5Config(**meta["mt_config"]))
        decoder = build_decoder(LlamaConfig(**meta["llm_config"]))
        state = {k: v.float() for k, v in load_file(self.folder / "official_state.safetensors").items()}
        load_encoder_state(encoder, state)
        decoder.load_state_dict(decoder_state(state), strict=True)
        bridge = bridge_of(
            "layalign",
            stage,
            {
                "aligner": meta["structure"].lower(),
                "encoder_states": tuple(meta["encoder_layers"]),
                "decoder_layers": tuple(meta["language_layers"]),
                "compat": compat,
            },
        )
        model = LayAlign(encoder, decoder, bridge)
        put_weights(model, read_official(self.folder / "official_state.safetensors"), str(self.folder))
        return model

    def batch(self, case: str) -> Batch:
        source = "_padded" if case == "task_encpad" or case.startswith("single") else ""
        kind = "full" if case in ("translation", "task") else "ragged"
        keys = [f"input_ids_mt{source}", f"attention_mask_mt{source}"]
        keys += [f"{part}_{kind}_{what}" for part in ("prompt", "labels") for what in ("ids", "mask")]
        values = [self.told[key] for key in keys]
        if case.startswith("single"):
            row = int(case.removeprefix("single"))
            values = [value[row : row + 1] for value in values]
        return Batch(*values)

    def gradients(self, case: str) -> dict[str, torch.Tensor]:
        """Official gradients of a case under our names, the gates of all layers as the one vector they are."""
        start = f"{case}.grad."
        told = {key.removeprefix(start): value for key, value in self.told.items() if key.startswith(start)}
        gates = {int(m[1]): value.squeeze() for key, value in told.items() if (m := GATE.search(key))}
        found = {NAMES[key]: value.squeeze() for key, value in told.items() if not GATE.search(key)}
        return {**found, "gates.value": torch.stack([gates[layer] for layer in sorted(gates)])}


def load_encoder_state(encoder: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    own = {k.removeprefix("encoder_mt."): v for k, v in state.items() if k.startswith("encoder_mt.")}
    encoder.encoder.load_state_dict(own, strict=True)


def decoder_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    own = {}
    for key, value in state.items():
        if key.startswith("model_llm.model.") and not GATE.search(key):
            own[key.removeprefix("model_llm.model.").replace(".self_attn.model.", ".self_attn.")] = value
    return own


def loss_and_gradients(model: LayAlign, batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    total, tokens = model.loss(batch, chunk=5)
    (total / tokens).backward()
    return (total / tokens).item(), {name: p.grad for name, p in model.trainable().items()}


def assert_gradients(ours: dict[str, torch.Tensor], official: dict[str, torch.Tensor]) -> None:
    for name, expected in official.items():
        difference = torch.linalg.norm(ours[name].squeeze() - expected)
        assert difference <= 1e-4 * torch.linalg.norm(expected), name


@pytest.mark.parametrize("fixture", ["tiny", "mlp"])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_compat_gives_the_official_loss_and_gradients(fixture: str, case: str, recompute: bool) -> None:
    golden = Golden(fixture)
    model = golden.model("official", stage=1 if case == "translation" else 2)
    model.recompute_cross = recompute
    loss, gradients = loss_and_gradients(model, golden.batch(case))
    assert loss == pytest.approx(golden.told[f"{case}.loss"].item(), abs=1e-5)
    assert_gradients(gradients, golden.gradients(case))


@pytest.mark.parametrize("fixture", ["tiny", "mlp"])
@pytest.mark.parametrize("case", CASES)
def test_compat_generates_the_official_text(fixture: str, case: str) -> None:
    golden = Golden(fixture)
    model = golden.model("official", stage=1 if case == "translation" else 2)
    assert_generates(model, golden.batch(case), golden.told[f"{case}.generated"])


@pytest.mark.parametrize("fixture", ["tiny", "mlp"])
def test_a_batch_gives_what_its_rows_give_alone(fixture: str) -> None:
    golden = Golden(fixture)
    model = golden.model("none", stage=2)
    loss, _ = loss_and_gradients(model, golden.batch("task_encpad"))
    weights = golden.told["labels_ragged_mask"].sum(1).double()
    alone = torch.stack([golden.told[f"single{row}.loss"].double().squeeze() for row in range(3)])
    assert loss == pytest.approx((alone @ weights / weights.sum()).item(), abs=1e-5)
    for row in range(3):
        single, gradients = loss_and_gradients(model, golden.batch(f"single{row}"))
        assert single == pytest.approx(alone[row].item(), abs=1e-5)
        assert_gradients(gradients, golden.gradients(f"single{row}"))
        assert_generates(model, golden.batch(f"single{row}"), golden.told[f"single{row}.generated"])
    together = torch.cat([golden.told[f"single{row}.generated"] for row in range(3)])
    assert_generates(model, golden.batch("task_encpad"), together)


def assert_generates(model: LayAlign, batch: Batch, expected: torch.Tensor) -> None:
    prompt = Batch(
        batch.source_ids, batch.source_mask, batch.prompt_ids, batch.prompt_mask,
        batch.target_ids[:, :0], batch.target_mask[:, :0],
    )  # fmt: skip
    new = model.answer(prompt, max_new_tokens=expected.shape[1], eos_token_id=2, pad_token_id=2)
    padded = torch.full_like(expected, 2)
    padded[:, : new.shape[1]] = new
    assert padded.tolist() == expected.tolist()
