"""A bridge on disk is the bridge alone, and comes back whole."""

import contextlib
import errno
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, M2M100Config, M2M100Model, PreTrainedTokenizerFast

from layalign.config import ModelConfig
from layalign.model import store
from layalign.model.decoder import build_decoder
from layalign.model.encoder import build_encoder
from layalign.model.layalign import LayAlign
from layalign.model.official import NAMES, read_official
from tests.layalign.model.test_architectures import ENCODERS, SMALL, make_batch

pytestmark = pytest.mark.core


def write_backbone(folder: Path, kind: str, sizes: dict, tokenizer: bool = True) -> str:
    config = AutoConfig.for_model(kind, **sizes)
    (build_encoder(config) if kind in ("mt5", "m2m_100", "bert") else build_decoder(config)).save_pretrained(
        folder
    )
    if tokenizer:
        words = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", *"abcdefgh"])}
        backend = Tokenizer(models.WordLevel(words, unk_token="a"))
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        fast = PreTrainedTokenizerFast(
            tokenizer_object=backend, eos_token="</s>", pad_token="<pad>", bos_token="<s>"
        )
        fast.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def config(tmp_path: Path) -> ModelConfig:
    torch.manual_seed(1)
    return ModelConfig(
        encoder=write_backbone(tmp_path / "enc", "mt5", ENCODERS["mt5"]),
        decoder=write_backbone(tmp_path / "dec", "llama", SMALL),
        precision="fp32",
    )


def trained(config: ModelConfig) -> LayAlign:
    model = LayAlign.build(config, config.bridge(2))
    with torch.no_grad():
        for value in model.trainable().values():
            value.normal_(std=0.3)
    return model


def test_a_saved_bridge_gives_the_same_loss_and_text(tmp_path: Path, config: ModelConfig) -> None:
    model, batch = trained(config), make_batch()
    model.save_pretrained(tmp_path / "bridge")
    again, tokenizers = (
        LayAlign.from_pretrained(tmp_path / "bridge"),
        store.saved_tokenizers(tmp_path / "bridge"),
    )
    assert again.origin == config
    assert again.loss(batch, 64)[0].item() == model.loss(batch, 64)[0].item()
    empty = make_batch(answers=False)
    assert again.answer(empty, max_new_tokens=5).tolist() == model.answer(empty, max_new_tokens=5).tolist()
    assert tokenizers.decoder.decode(tokenizers.decoder("b c")["input_ids"]) == "b c"


def test_a_saved_bridge_holds_no_frozen_weight(tmp_path: Path, config: ModelConfig) -> None:
    model = trained(config)
    model.save_pretrained(tmp_path / "bridge")
    assert set(load_file(tmp_path / "bridge" / store.WEIGHTS)) == set(model.trainable())
    assert json.loads((tmp_path / "bridge" / store.CONFIG).read_text())["model"]["encoder"] == config.encoder


def test_whatever_finds_no_room_for_a_bridge_is_an_error_that_names_a_file(
    tmp_path: Path, config: ModelConfig
) -> None:
    model, tokenizers, disk = trained(config), store.load_tokenizers(config), tmp_path / "disk"
    disk.mkdir()
    found = []
    for pages in range(1, 60):  # weights, tokenizers (whose library knows no OSError), config, backbones
        mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * pages}k", "none", disk]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("only root may mount")
        try:
            store.save_bridge(disk / "bridge", model, tokenizers)
            break
        except OSError as error:
            found.append((error.errno, str(error.filename)[: len(str(disk))]))
        finally:
            subprocess.run(["umount", disk], check=True)
    assert set(found) == {(errno.ENOSPC, str(disk))}
    assert 10 < len(found) < 59


def test_an_nllb_encoder_loads_without_its_decoder(tmp_path: Path, config: ModelConfig) -> None:
    M2M100Model(M2M100Config(**ENCODERS["m2m_100"])).save_pretrained(tmp_path / "nllb")
    model = LayAlign.build(replace(config, encoder=str(tmp_path / "nllb")), config.bridge(2))
    assert not any("decoder" in name for name, _ in model.encoder.named_parameters())
    assert model.loss(make_batch(), 64)[1] == 15


def test_another_methods_bridge_is_refused(tmp_path: Path, config: ModelConfig) -> None:
    trained(config).save_pretrained(tmp_path / "bridge")
    other = replace(config, method="mindmerger")
    with pytest.raises(ValueError, match="does not fit this method"):
        store.load_weights(LayAlign.build(other, other.bridge(2)), tmp_path / "bridge")


def test_a_folder_without_a_bridge_is_named(tmp_path: Path, config: ModelConfig) -> None:
    with pytest.raises(ValueError, match="holds no bridge"):
        LayAlign.from_pretrained(tmp_path)


def test_a_model_without_a_tokenizer_is_named(tmp_path: Path, config: ModelConfig) -> None:
    bare = write_backbone(tmp_path / "bare", "llama", SMALL, tokenizer=False)
    with pytest.raises(ValueError, match=r"bare has no tokenizer"):
        store.load_tokenizers(replace(config, decoder=bare))


def test_the_importer_reads_pytorch_model_bin_without_running_code(
    tmp_path: Path, config: ModelConfig
) -> None:
    model = trained(config)
    ours = {name: value.detach() for name, value in model.trainable().items()}
    state = {theirs: ours[name] for theirs, name in NAMES.items() if name in ours}
    state["mapping.end_boundary"] = state["mapping.end_boundary"][None, None]
    for layer, gate in enumerate(ours["gates.value"]):
        state[f"model_llm.model.model.layers.{layer}.self_attn.adaption_gate"] = gate[None]
    torch.save(state, tmp_path / "pytorch_model.bin")
    read = read_official(tmp_path / "pytorch_model.bin")
    assert all(torch.equal(read[name], value) for name, value in ours.items())
    torch.save({"x": Path()}, tmp_path / "evil.bin")
    with pytest.raises(Exception, match="weights_only"):
        read_official(tmp_path / "evil.bin")


def test_a_file_that_is_no_layalign_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.bin")
    with pytest.raises(ValueError, match="no checkpoint of the official"):
        read_official(tmp_path / "other.bin")


def test_weights_that_changed_after_they_were_written_are_refused(
    tmp_path: Path, config: ModelConfig
) -> None:
    trained(config).save_pretrained(tmp_path / "bridge")
    path = tmp_path / "bridge" / store.WEIGHTS
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"bridge\.safetensors has changed since it was written"):
        LayAlign.from_pretrained(tmp_path / "bridge")
    (tmp_path / "bridge" / store.CONFIG).unlink()
    store.load_weights(LayAlign.build(config, config.bridge(2)), tmp_path / "bridge")


def test_no_bit_of_what_stands_beside_the_weights_is_believed_unread(
    tmp_path: Path, config: ModelConfig
) -> None:
    trained(config).save_pretrained(tmp_path / "bridge")
    path = tmp_path / "bridge" / store.CONFIG
    content, told = path.read_bytes(), store.read_bridge(tmp_path / "bridge")
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 7
        path.write_bytes(flipped)
        with contextlib.suppress(ValueError):
            assert store.read_bridge(tmp_path / "bridge") == told, place
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is damaged"):
        store.load_weights(LayAlign.build(config, config.bridge(2)), tmp_path / "bridge")
