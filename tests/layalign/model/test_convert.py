"""A converted encoder is the encoder: the same numbers from fewer bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, M2M100Config, M2M100Model, MT5ForConditionalGeneration

from layalign.config import ModelConfig
from layalign.model import convert
from layalign.model.encoder import load_encoder
from layalign.model.layalign import LayAlign
from tests.layalign.model.test_architectures import ENCODERS, SMALL
from tests.layalign.model.test_store import write_backbone

pytestmark = pytest.mark.core

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, which goes before the user's."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # as in jobs
    return tmp_path / "hub"


def put(hub: Path, name: str, model: torch.nn.Module) -> None:
    model.save_pretrained(hub / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT)


def whole_mt5() -> torch.nn.Module:
    torch.manual_seed(0)
    return MT5ForConditionalGeneration(
        AutoConfig.for_model("mt5", **ENCODERS["mt5"], decoder_start_token_id=0)
    )


def whole_m2m() -> torch.nn.Module:
    torch.manual_seed(0)
    return M2M100Model(M2M100Config(**ENCODERS["m2m_100"]))


@pytest.mark.parametrize("whole", [whole_mt5, whole_m2m])
def test_outputs_are_those_of_the_published_model(hub, whole):
    put(hub, "ours/encoder", whole())
    folder = convert.convert("ours/encoder", COMMIT)
    assert not [name for name in load_file(folder / "model.safetensors") if "decoder" in name]
    published = load_encoder("ours/encoder", COMMIT, torch.bfloat16)
    converted = convert.load_converted("ours/encoder", COMMIT, torch.bfloat16)
    assert converted is not None
    assert type(converted) is type(published)
    ids = torch.arange(3, 9)[None]
    outputs = [model.eval()(input_ids=ids, output_hidden_states=True) for model in (published, converted)]
    for one, other in zip(outputs[0].hidden_states, outputs[1].hidden_states):
        assert one.dtype == torch.bfloat16
        assert torch.equal(one, other)


def test_it_is_made_once_and_whole(hub, monkeypatch):
    put(hub, "ours/encoder", whole_mt5())
    with monkeypatch.context() as patch:
        patch.setattr(convert, "_check", lambda *models: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            convert.convert("ours/encoder", COMMIT)
    assert not list(hub.parent.glob("layalign/encoders/*")), "a half-made one leaves nothing behind"
    folder = convert.convert("ours/encoder", COMMIT)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert convert.convert("ours/encoder", COMMIT) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written


def test_model_is_built_from_it_without_the_original_weights(hub, tmp_path):
    put(hub, "ours/encoder", whole_mt5())
    convert.convert("ours/encoder", COMMIT)
    for weights in hub.rglob("model.safetensors"):
        weights.unlink()
    decoder = write_backbone(tmp_path / "dec", "llama", SMALL)
    config = ModelConfig(encoder="ours/encoder", encoder_revision=COMMIT, decoder=decoder, precision="bf16")
    assert LayAlign.build(config, config.bridge(2)).origin == config, (
        "a bridge goes on naming the published model"
    )


@pytest.mark.parametrize(
    ("revision", "dtype"), [(None, torch.bfloat16), ("main", torch.bfloat16), (COMMIT, torch.float32)]
)
def test_moving_branch_or_other_precision_is_read_as_published(hub, revision, dtype):
    put(hub, "ours/encoder", whole_mt5())
    convert.convert("ours/encoder", COMMIT)
    assert convert.load_converted("ours/encoder", revision, dtype) is None


def test_revision_that_is_no_commit_is_refused(hub):
    with pytest.raises(ValueError, match="its commit, 40 hexadecimal digits"):
        convert.convert("ours/encoder", "main")


def test_a_damaged_one_is_not_loaded_and_is_made_anew(hub, capsys):
    put(hub, "ours/encoder", whole_mt5())
    folder = convert.convert("ours/encoder", COMMIT)
    before = {name: value.clone() for name, value in load_file(folder / "model.safetensors").items()}
    for path in [path for path in folder.iterdir() if path.is_file()]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
        assert convert.load_converted("ours/encoder", COMMIT, torch.bfloat16) is None
        assert "is damaged" in capsys.readouterr().out
        assert convert.convert("ours/encoder", COMMIT) == folder
        after = load_file(folder / "model.safetensors")
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert convert.load_converted("ours/encoder", COMMIT, torch.bfloat16) is not None
