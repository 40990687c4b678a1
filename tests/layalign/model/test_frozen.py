"""A frozen model whose weights are not all of its files is refused, by name and with the likely cause."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from layalign.model import convert
from layalign.model.decoder import load_decoder
from layalign.model.encoder import load_encoder
from tests.layalign.model.folders import (
    edit_json,
    edit_weights,
    renamed,
    without,
    write,
    write_decoder,
    write_encoder,
)
from tests.layalign.model.test_architectures import DECODERS, SMALL

pytestmark = pytest.mark.core

ENCODERS = {
    "mt5, whole": ("mt5", hf.MT5ForConditionalGeneration),
    "mt5, encoder": ("mt5", hf.MT5EncoderModel),
    "t5": ("t5", hf.T5ForConditionalGeneration),
    "umt5": ("umt5", hf.UMT5ForConditionalGeneration),
    "nllb": ("m2m_100", hf.M2M100ForConditionalGeneration),
    "m2m": ("m2m_100", hf.M2M100Model),
    "bert": ("bert", hf.BertModel),
    "bert, masked": ("bert", hf.BertForMaskedLM),
    "bert, pretraining": ("bert", hf.BertForPreTraining),
    "xlm-r": ("xlm-roberta", hf.XLMRobertaForMaskedLM),
    "xglm": ("xglm", hf.XGLMForCausalLM),
    "gpt2": ("gpt2", hf.GPT2LMHeadModel),
    "llama": ("llama", hf.LlamaForCausalLM),
    "qwen2": ("qwen2", hf.Qwen2ForCausalLM),
    "mistral": ("mistral", hf.MistralForCausalLM),
    "mmbert": ("modernbert", hf.ModernBertForMaskedLM),
    "eurobert": ("eurobert", hf.EuroBertForMaskedLM),
    "serengeti": ("electra", hf.ElectraForMaskedLM),
    "electra, discriminator": ("electra", hf.ElectraForPreTraining),
}
"""As they are published: heads and decoders that nobody here uses beside what is used."""


def decoder(folder: Path) -> hf.PreTrainedModel:
    return load_decoder(str(folder), None, torch.float32, "auto")


def encoder(folder: Path) -> torch.nn.Module:
    return load_encoder(str(folder), None, torch.float32)


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("tied", [True, False])
def test_every_llm_loads_tied_head_or_not(tmp_path, kind, tied):
    folder = write_decoder(tmp_path / "m", kind, tie_word_embeddings=tied)
    model = decoder(folder)
    saved = load_file(folder / "model.safetensors")
    prefix = "language_model." if kind == "gemma3" else ""
    assert all(
        torch.equal(value, saved[prefix + name] if prefix + name in saved else saved[name])
        for name, value in model.named_parameters()
    )


@pytest.mark.parametrize(("kind", "cls"), ENCODERS.values(), ids=ENCODERS)
def test_every_encoder_loads_as_it_is_published(tmp_path, kind, cls):
    folder = write_encoder(tmp_path / "m", kind, cls)
    saved = {value.numpy().tobytes() for value in load_file(folder / "model.safetensors").values()}
    model = encoder(folder)
    read = {name: value for name, value in model.named_parameters() if "pooler" not in name}
    assert read
    assert all(value.detach().numpy().tobytes() in saved for value in read.values())


def test_of_a_model_that_also_sees_the_llm_alone_is_taken(tmp_path):
    folder = write_decoder(tmp_path / "m", "gemma3")
    whole = hf.AutoModelForCausalLM.from_pretrained(folder)
    model = decoder(folder)
    assert type(model).__name__ == "Gemma3ForCausalLM"
    assert model.config.model_type == "gemma3_text"
    assert model.base_model.layers[0].self_attn.config is model.config
    assert not [name for name, _ in model.named_parameters() if "vision" in name or "projector" in name]
    ids = torch.randint(3, 80, (2, 20))
    torch.testing.assert_close(model(input_ids=ids).logits, whole(input_ids=ids).logits)
    assert model.generation_config.to_dict() == whole.generation_config.to_dict()
    decoder(edit_weights(folder, without("vision_tower.encoder.layers.0.mlp.fc1")))
    with pytest.raises(ValueError, match=r"no file has model\.language_model\.layers\.1\."):
        decoder(edit_weights(folder, without("layers.1.mlp")))


DAMAGE = {
    "ddp": (
        renamed(lambda name: f"module.{name}"),
        r"no file has lm_head\.weight, model\.embed_tokens\.weight.* and 27 more.*'module\.'.*DistributedDataParallel",
    ),
    "compile": (renamed(lambda name: f"_orig_mod.{name}"), r"'_orig_mod\.'.*torch\.compile"),
    "peft": (renamed(lambda name: f"base_model.model.{name}"), r"'base_model\.model\.'.*PEFT"),
    "trainer": (renamed(lambda name: f"llm.{name}"), r"'llm\.'.*something around the model"),
    "block": (
        without(".layers.1."),
        r"no file has model\.layers\.1\.input_layernorm\.weight.*and 6 more.*whole layers \(model\.layers\.1\).*copied",
    ),
    "one": (without("layers.2.mlp.up_proj"), r"no file has model\.layers\.2\.mlp\.up_proj\.weight"),
    "embedding": (without("embed_tokens"), r"no file has model\.embed_tokens\.weight"),
    "norm": (without("model.norm"), r"no file has model\.norm\.weight"),
    "head": (without("lm_head"), r"no file has lm_head\.weight.*Only the output layer.*tie_word_embeddings"),
    "gptq": (
        renamed(lambda name: name.replace("_proj.weight", "_proj.qweight")),
        r"no file has model\.layers\.0\.mlp\.down_proj\.weight.*quantised",
    ),
    "fp8": (
        lambda weights: {**weights, "model.layers.0.mlp.up_proj.weight_scale_inv": torch.ones(1)},
        r"no place for model\.layers\.0\.mlp\.up_proj\.weight_scale_inv.*quantised",
    ),
    "lora": (
        renamed(lambda name: name.replace("q_proj.weight", "q_proj.base_layer.weight")),
        r"adapter that is not merged.*merge_and_unload",
    ),
    "lora apart": (
        lambda weights: {**weights, "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight": torch.ones(2)},
        r"adapter that is not merged",
    ),
    "size": (
        lambda weights: {**weights, "model.layers.1.mlp.down_proj.weight": torch.ones(32, 47)},
        r"of another size is model\.layers\.1\.mlp\.down_proj\.weight \(32, 47\) instead of \(32, 48\).*config\.json",
    ),
    "bias": (
        lambda weights: {**weights, "model.layers.0.self_attn.q_proj.bias": torch.ones(32)},
        r"no place for model\.layers\.0\.self_attn\.q_proj\.bias",
    ),
    "head bias": (lambda weights: {**weights, "lm_head.bias": torch.ones(97)}, r"no place for lm_head\.bias"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_an_llm_whose_weights_are_not_its_own_is_refused(tmp_path, damage, said):
    folder = edit_weights(write_decoder(tmp_path / "m"), damage)
    with pytest.raises(ValueError, match=said) as refusal:
        decoder(folder)
    assert str(folder) in str(refusal.value)


def test_a_config_of_fewer_layers_than_the_files_is_refused(tmp_path):
    folder = write_decoder(tmp_path / "m")
    edit_json(folder / "config.json", num_hidden_layers=2)
    with pytest.raises(
        ValueError, match=r"no place for model\.layers\.2\..*know more of model\.layers\.2 than"
    ):
        decoder(folder)


def test_another_kinds_config_is_refused(tmp_path):
    folder = write_decoder(tmp_path / "m", "qwen3")
    edit_json(folder / "config.json", model_type="llama", architectures=["LlamaForCausalLM"])
    with pytest.raises(ValueError, match=r"no place for model\.layers\.0\.self_attn\.k_norm"):
        decoder(folder)


def test_what_older_libraries_left_behind_is_no_reason(tmp_path):
    def add(weights):
        more = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(4) for i in range(3)}
        return {**weights, **more, "v_head.summary.weight": torch.ones(1, 32)}

    decoder(edit_weights(write_decoder(tmp_path / "m"), add))


def test_a_tied_head_may_be_in_the_files_too(tmp_path):
    folder = write_decoder(tmp_path / "m", tie_word_embeddings=True)
    edit_weights(folder, lambda w: {**w, "lm_head.weight": w["model.embed_tokens.weight"].clone()})
    decoder(folder)


MT5, NLLB = hf.MT5ForConditionalGeneration, hf.M2M100ForConditionalGeneration
ENCODER_DAMAGE = {
    "ddp": ("mt5", MT5, renamed(lambda n: f"module.{n}"), r"'module\.'"),
    "block": ("mt5", MT5, without("encoder.block.1."), r"whole layers \(encoder\.block\.1\)"),
    "embedding": ("mt5", MT5, without("shared"), r"no file has encoder\.embed_tokens\.weight"),
    "nllb block": ("m2m_100", NLLB, without("encoder.layers.2."), r"encoder\.layers\.2"),
    "nllb embedding": ("m2m_100", NLLB, without("shared"), r"no file has"),
    "bert block": ("bert", hf.BertForMaskedLM, without("encoder.layer.0."), r"whole layers \(encoder\.layer\.0\)"),
    "bert positions": ("bert", hf.BertForMaskedLM, without("position_embeddings"), r"embeddings\.position_embeddings"),
    "gpt2 block": ("gpt2", hf.GPT2LMHeadModel, without(".h.1."), r"whole layers \(h\.1\)"),
    "xglm": ("xglm", hf.XGLMForCausalLM, renamed(lambda n: f"_orig_mod.{n}"), r"'_orig_mod\.model\.'"),
    "llama": ("llama", hf.LlamaForCausalLM, renamed(lambda n: f"module.{n}"), r"'module\.model\.'"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "cls", "damage", "said"), ENCODER_DAMAGE.values(), ids=ENCODER_DAMAGE)
def test_an_encoder_whose_weights_are_not_its_own_is_refused(tmp_path, kind, cls, damage, said):
    folder = edit_weights(write_encoder(tmp_path / "m", kind, cls), damage)
    with pytest.raises(ValueError, match=said):
        encoder(folder)


def test_a_damaged_decoder_half_of_an_encoder_is_nobodys_concern(tmp_path):
    for kind, cls in (
        ("m2m_100", NLLB),
        ("mt5", MT5),
    ):
        encoder(edit_weights(write_encoder(tmp_path / kind, kind, cls), without("decoder.")))


def test_leftovers_in_encoders_are_no_reason(tmp_path):
    extra = {
        "m2m_100": (NLLB, ["model.encoder.embed_positions.weights", "model.encoder.version"]),
        "bert": (hf.BertForMaskedLM, ["bert.embeddings.position_ids"]),
        "gpt2": (hf.GPT2LMHeadModel, ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"]),
        "xglm": (hf.XGLMForCausalLM, ["model.embed_positions.weights"]),
    }  # fmt: skip
    for kind, (cls, names) in extra.items():
        folder = write_encoder(tmp_path / kind, kind, cls)
        encoder(edit_weights(folder, lambda w, names=names: {**w, **{n: torch.ones(2) for n in names}}))


def sharded(folder: Path) -> Path:
    """The same model in several files."""
    model = hf.AutoModelForCausalLM.from_pretrained(write_decoder(folder / "whole"))
    model.save_pretrained(folder / "shards", max_shard_size="20KB")
    return folder / "shards"


def test_a_shard_that_is_not_there_is_named(tmp_path):
    folder = sharded(tmp_path)
    gone = sorted(folder.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(ValueError, match=rf"{gone.name}.*copy it again"):
        decoder(folder)


def test_an_index_that_leaves_a_shard_out_is_refused(tmp_path):
    folder = sharded(tmp_path)
    decoder(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    lost = sorted(set(index["weight_map"].values()))[1]
    index["weight_map"] = {k: v for k, v in index["weight_map"].items() if v != lost}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / lost).unlink()
    with pytest.raises(ValueError, match="no file has"):
        decoder(folder)


def test_a_file_that_was_cut_short_is_refused(tmp_path):
    folder = write_decoder(tmp_path / "m")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"cannot be read.*copy it again"):
        decoder(folder)


def test_a_pointer_instead_of_a_file_is_told(tmp_path):
    folder = write_decoder(tmp_path / "m")
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    with pytest.raises(ValueError, match=r"model\.safetensors: a Git LFS pointer"):
        decoder(folder)


def test_pickled_weights_are_read_without_running_code(tmp_path):
    folder = write_decoder(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert torch.equal(decoder(folder).lm_head.weight, weights["lm_head.weight"])
    torch.save(without("model.norm")(weights), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"no file has model\.norm\.weight"):
        decoder(folder)
    torch.save({**weights, "x": Path()}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="Weights only load failed"):
        decoder(folder)


def test_an_adapters_folder_is_told_from_a_model(tmp_path):
    peft = pytest.importorskip("peft")
    base = write_decoder(tmp_path / "base")
    tuned = peft.get_peft_model(
        hf.AutoModelForCausalLM.from_pretrained(base), peft.LoraConfig(r=2, target_modules=["q_proj"])
    )
    tuned.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"PEFT adapter.*merge_and_unload"):
        decoder(tmp_path / "adapter")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(base / name, tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"PEFT adapter.*merge_and_unload"):
        decoder(tmp_path / "adapter")


def test_a_quantised_model_is_refused_before_its_weights_are_read(tmp_path):
    folder = write_decoder(tmp_path / "m")
    edit_json(folder / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ValueError, match=r"is quantised \(gptq\)"):
        decoder(folder)


@pytest.mark.parametrize("name", ["/nowhere/model", "nobody/nothing"])
def test_a_model_that_is_nowhere_is_told_without_a_traceback(name, monkeypatch):
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # which reads the variable when it is imported
    for load in (decoder, encoder):
        with pytest.raises(ValueError, match=rf"{name} is no folder here.*prefetch"):
            load(Path(name)) if name[0] == "/" else load(name)


def test_an_empty_folder_and_one_without_weights_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty cannot be read"):
        decoder(tmp_path / "empty")
    folder = write_decoder(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no file named model\.safetensors"):
        decoder(folder)


def test_a_disk_that_fails_is_no_mistake_of_the_user(tmp_path, monkeypatch):
    folder = write_decoder(tmp_path / "m")

    def fail(*_args, **_kwargs):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(hf.LlamaForCausalLM, "from_pretrained", fail)
    with pytest.raises(OSError, match="Stale"):
        decoder(folder)


def test_a_converted_encoder_that_lost_weights_is_refused(tmp_path, monkeypatch, capsys):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    snapshot = tmp_path / "hub" / "models--ours--encoder" / "snapshots" / commit
    write_encoder(snapshot, "mt5", MT5)
    made = convert.convert("ours/encoder", commit)
    edit_weights(made, without("block.1."))
    assert convert.load_converted("ours/encoder", commit, torch.bfloat16) is None
    assert "is damaged" in capsys.readouterr().out
    (made / "SHA256SUMS").unlink()  # as earlier versions left it
    with pytest.raises(ValueError, match=r"whole layers \(encoder\.block\.1\)"):
        convert.load_converted("ours/encoder", commit, torch.bfloat16)
    shutil.rmtree(made)
    edit_weights(snapshot, without("block.1."))
    with pytest.raises(ValueError, match=r"whole layers"):
        convert.convert("ours/encoder", commit)
    assert not made.exists()


def test_a_head_of_other_sizes_that_nobody_uses_is_no_reason(tmp_path):
    config = hf.AutoConfig.for_model("llama", **SMALL)
    folder = write(tmp_path / "m", hf.LlamaForCausalLM(config))
    edit_weights(folder, lambda w: {**w, "lm_head.weight": torch.ones(50, 32)})
    encoder(folder)
    weights = load_file(folder / "model.safetensors")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lm_head\.weight \(50, 32\) instead of \(97, 32\)"):
        decoder(folder)


def test_a_folder_in_the_home_is_found_as_the_dry_run_finds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_decoder(tmp_path / "m")
    load_decoder("~/m", None, torch.float32, "auto")


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_codes_of_a_quantised_model_are_not_taken_for_numbers(tmp_path, dtype):
    """All names and shapes are right; what says that they are codes was lost."""
    folder = edit_weights(
        write_decoder(tmp_path / "m"), lambda w: {k: v.to(dtype) if v.ndim == 2 else v for k, v in w.items()}
    )
    with pytest.raises(ValueError, match=r"lm_head\.weight.* have 8 bits or are whole numbers.*quantised"):
        decoder(folder)


def test_a_file_of_another_tool_beside_the_weights_is_no_reason(tmp_path):
    folder = write_decoder(tmp_path / "m")
    (folder / "broken.safetensors").write_bytes(b"xx")
    decoder(folder)


def test_a_stale_file_that_goes_before_the_shards_is_refused(tmp_path):
    folder = sharded(tmp_path)
    whole = tmp_path / "whole" / "model.safetensors"
    shutil.copy(whole, folder)
    decoder(folder)
    edit_weights(folder, without(".layers.0."))
    with pytest.raises(ValueError, match=r"whole layers \(model\.layers\.0\)"):
        decoder(folder)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"model_type": "llama", "num_hidden_layers": "three"}', "{}"]
)
def test_a_config_that_is_none_is_refused_in_words(tmp_path, content):
    folder = write_decoder(tmp_path / "m")
    (folder / "config.json").write_text(content)
    for load in (decoder, encoder):
        with pytest.raises(ValueError, match=r"the model in folder .* cannot be read|not been checked"):
            load(folder)
