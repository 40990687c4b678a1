"""A bridge opens with the models, libraries and tokenizers that it was trained with, and with no others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers

from layalign.config import ModelConfig
from layalign.languages import LANGUAGES
from layalign.mini.tokenizers import encoder_tokenizer
from layalign.mini.world import World
from layalign.model import record, store
from layalign.model.layalign import LayAlign
from layalign.model.sentences import COMMON, SENTENCES, fixed_sentences
from layalign.model.tokenizers import Tokenizers
from tests.layalign.model.folders import edit_json, edit_weights
from tests.layalign.model.test_architectures import DECODERS, ENCODERS, SMALL, make_batch
from tests.layalign.model.test_store import write_backbone

pytestmark = pytest.mark.core


@pytest.fixture(params=["llama", "gemma2"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def config(tmp_path: Path, kind: str) -> ModelConfig:
    torch.manual_seed(1)
    return ModelConfig(
        encoder=write_backbone(tmp_path / "enc", "mt5", ENCODERS["mt5"]),
        decoder=write_backbone(tmp_path / "dec", kind, SMALL | DECODERS[kind]),
        precision="fp32",
    )


@pytest.fixture
def bridge(config: ModelConfig, tmp_path: Path) -> Path:
    LayAlign.build(config, config.bridge(2)).save_pretrained(tmp_path / "bridge")
    return tmp_path / "bridge"


def open_again(config: ModelConfig, bridge: Path) -> LayAlign:
    """As stage 2 and an evaluation open it."""
    model = LayAlign.build(config, config.bridge(2))
    store.load_weights(model, bridge, store.load_tokenizers(config))
    return model


def nudge(name: str):
    def change(weights):
        weights[name].view(-1)[7] += 1e-3
        return weights

    return change


def test_a_bridge_opens_with_what_it_was_trained_with(config, bridge, recwarn):
    open_again(config, bridge)
    LayAlign.from_pretrained(bridge)
    assert not [warning for warning in recwarn if "record" in str(warning.message)]
    told = record.read_record(bridge)
    assert told.versions["transformers"] == transformers.__version__
    assert {"tokenizers", "torch"} < set(told.versions)
    assert (told.bos, told.end) == (1, 2)
    assert told.encoder.folder == config.encoder


def test_every_language_has_its_sentences_in_the_record(bridge):
    told = record.read_record(bridge)
    for language in LANGUAGES:
        own = [sentence for sentence in told.sentences if sentence.language == language.code]
        assert len(own) >= 2, language
        assert all(sentence.encoder and sentence.decoder for sentence in own)
    assert {sentence.text for sentence in told.sentences} > {*SENTENCES.values(), *COMMON}
    assert (bridge / record.RECORD).stat().st_size < 100_000


def test_models_may_lie_anywhere(config, bridge, tmp_path):
    moved = {}
    for part in ("encoder", "decoder"):
        moved[part] = str(shutil.move(getattr(config, part), tmp_path / f"elsewhere-{part}"))
    model = LayAlign.from_pretrained(bridge, **moved)
    assert (model.origin.encoder, model.origin.decoder) == (moved["encoder"], moved["decoder"])
    open_again(replace(config, **moved), bridge)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_models_that_are_nowhere_are_asked_for(config, bridge, part):
    shutil.rmtree(getattr(config, part))
    with pytest.raises(ValueError, match=rf"needs .*{getattr(config, part)} .*{part}=FOLDER"):
        LayAlign.from_pretrained(bridge)


CHANGED = [
    ("decoder", "model.layers.1.mlp.down_proj.weight", "the LLM"),
    ("decoder", "model.embed_tokens.weight", "the LLM"),
    ("encoder", "encoder.block.2.layer.0.SelfAttention.k.weight", "the encoder"),
]


@pytest.mark.parametrize(("part", "name", "what"), CHANGED)
def test_a_model_with_one_other_number_is_refused(config, bridge, part, name, what):
    edit_weights(Path(getattr(config, part)), nudge(name))
    for opening in (lambda: open_again(config, bridge), lambda: LayAlign.from_pretrained(bridge)):
        with pytest.raises(
            ValueError, match=rf"{what} is not the one that the bridge in {bridge} was trained with"
        ):
            opening()


def test_another_model_of_the_same_sizes_is_refused(config, bridge, tmp_path, kind):
    torch.manual_seed(5)
    other = write_backbone(tmp_path / "other", kind, SMALL | DECODERS[kind])
    with pytest.raises(ValueError, match=r"the LLM is not the one .* digest"):
        LayAlign.from_pretrained(bridge, decoder=other)


CONFIGS = [
    ("decoder", "rms_norm_eps", 1e-2, "1e-06 and is 0.01"),
    ("decoder", "rope_parameters", {"rope_type": "default", "rope_theta": 500.0}, "500.0"),
    ("encoder", "relative_attention_max_distance", 8, "128 and is 8"),
]


@pytest.mark.parametrize(("part", "key", "value", "said"), CONFIGS)
def test_a_config_that_computes_otherwise_is_refused_by_its_key(config, bridge, part, key, value, said):
    edit_json(Path(getattr(config, part), "config.json"), **{key: value})
    with pytest.raises(ValueError, match=rf"the config of the .* has changed .*{key} was") as refusal:
        open_again(config, bridge)
    assert said in str(refusal.value)


def test_what_a_config_says_of_its_maker_is_no_difference(config, bridge):
    told = {
        "transformers_version": "4.40.0",
        "_name_or_path": "elsewhere",
        "use_cache": False,
        "dtype": "bfloat16",
    }
    edit_json(Path(config.decoder, "config.json"), **told, max_position_embeddings=256, architectures=["X"])
    open_again(config, bridge)


def test_the_same_weights_under_another_arithmetic_are_refused(config, tmp_path):
    """Where the config does not tell: the same folder, computed otherwise by another version of a library."""
    edit_weights(Path(config.decoder), lambda w: {k: v * 20 if "_proj" in k else v for k, v in w.items()})
    bridge = tmp_path / "bridge"
    LayAlign.build(config, config.bridge(2)).save_pretrained(bridge)
    told = json.loads((bridge / record.RECORD).read_text())
    told["decoder"]["values"] = [value * 1.3 for value in told["decoder"]["values"]]
    (bridge / record.RECORD).write_text(json.dumps(told))
    with pytest.raises(ValueError, match="the LLM computes other numbers from the same weights"):
        open_again(config, bridge)


def test_small_differences_between_machines_are_none(config, bridge):
    told = json.loads((bridge / record.RECORD).read_text())
    for part in ("encoder", "decoder"):
        told[part]["values"] = [value * 1.001 for value in told[part]["values"]]
    (bridge / record.RECORD).write_text(json.dumps(told))
    open_again(config, bridge)


def test_a_library_that_scales_soft_tokens_otherwise_is_refused(config, bridge, kind, monkeypatch):
    """As transformers up to 5.3.0: the embedding does not scale, the model multiplies all that it is given."""
    if kind != "gemma2":
        pytest.skip("only Gemma scales")
    load = store.load_decoder

    def load_as_before(*args):
        model = load(*args)
        model.get_input_embeddings().embed_scale.fill_(1.0)

        def scale(_module, args, kwargs):
            ids, embeds = kwargs.pop("input_ids", None), kwargs.pop("inputs_embeds", None)
            found = embeds if embeds is not None else model.get_input_embeddings()(ids)
            return args, {**kwargs, "inputs_embeds": found * 32**0.5}

        model.base_model.register_forward_pre_hook(scale, with_kwargs=True)
        return model

    monkeypatch.setattr(store, "load_decoder", load_as_before)
    with pytest.raises(
        ValueError, match=r"the LLM multiplies the embeddings of tokens by 1, and by 5\.65\d* when"
    ):
        open_again(config, bridge)


def rewrite_tokenizer(folder: str | Path, **changes) -> None:
    edit_json(Path(folder, "tokenizer.json"), **changes)


TWO_ENDS = {
    "type": "TemplateProcessing",
    "single": [
        {"Sequence": {"id": "A", "type_id": 0}},
        *[{"SpecialToken": {"id": "</s>", "type_id": 0}}] * 2,
    ],
    "pair": [],
    "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}},
}


def test_another_end_of_the_encoders_text_is_refused_with_the_sentence(config, bridge):
    rewrite_tokenizer(config.encoder, post_processor=TWO_ENDS)
    with pytest.raises(ValueError, match=r"tokenizer of the encoder writes otherwise") as refusal:
        open_again(config, bridge)
    said = str(refusal.value)
    assert SENTENCES["bn"] in said
    assert "2, 2]" in said
    assert said.count(f"transformers {transformers.__version__}") == 2


def test_a_saved_tokenizer_that_another_version_opens_otherwise_is_refused(bridge):
    rewrite_tokenizer(bridge / store.ENCODER_TOKENIZER, post_processor=TWO_ENDS)
    with pytest.raises(ValueError, match=r"tokenizer of the encoder writes otherwise"):
        LayAlign.from_pretrained(bridge)


def test_another_normaliser_of_the_llm_is_refused(config, bridge):
    rewrite_tokenizer(
        config.decoder, normalizer={"type": "Replace", "pattern": {"String": "ọ"}, "content": " b "}
    )
    with pytest.raises(ValueError, match=r"tokenizer of the LLM writes otherwise .*\(vi\)"):
        open_again(config, bridge)


def test_special_tokens_that_training_does_not_use_are_no_difference(config, bridge):
    """The LLM's texts are written without special tokens: whether its tokenizer puts a start token is its affair."""
    rewrite_tokenizer(config.decoder, post_processor=TWO_ENDS)
    open_again(config, bridge)


def test_another_start_or_end_token_is_refused(config, bridge):
    edit_json(Path(config.decoder, "config.json"), bos_token_id=5)
    with pytest.raises(ValueError, match=r"the start token of the LLM was 1 .* and is 5 now"):
        open_again(config, bridge)
    edit_json(Path(config.decoder, "config.json"), bos_token_id=1)
    edit_json(Path(config.decoder, "tokenizer_config.json"), eos_token="h")
    with pytest.raises(ValueError, match=r"the end token of the LLM was 2 .* and is 10 now"):
        open_again(config, bridge)


def test_a_bridge_of_the_version_before_opens_with_a_note(config, bridge, kind):
    (bridge / record.RECORD).unlink()
    with pytest.warns(UserWarning, match="keeps no record") as noted:
        open_again(config, bridge)
    assert ("older than 5.4" in str(noted[0].message)) == (kind == "gemma2")
    with pytest.warns(UserWarning, match="keeps no record"):
        LayAlign.from_pretrained(bridge)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is damaged"), ("[]", "is damaged"), ("{}", "is damaged"), ('{"version": 9}', "format 9")],
)
def test_a_record_that_cannot_be_read_is_refused(config, bridge, content, said):
    (bridge / record.RECORD).write_text(content)
    with pytest.raises(ValueError, match=said):
        open_again(config, bridge)


def test_a_record_with_a_part_gone_is_damaged(config, bridge):
    told = json.loads((bridge / record.RECORD).read_text())
    del told["decoder"]["weights"]
    (bridge / record.RECORD).write_text(json.dumps(told))
    with pytest.raises(ValueError, match="is damaged"):
        open_again(config, bridge)


@pytest.mark.parametrize(("trained", "opened"), [("bf16", "fp32"), ("fp32", "bf16"), ("fp32", "fp64")])
def test_another_precision_of_the_same_weights_opens(config, tmp_path, trained, opened):
    one = replace(config, precision=trained)
    LayAlign.build(one, one.bridge(2)).save_pretrained(tmp_path / "bridge")
    model = LayAlign.from_pretrained(tmp_path / "bridge", precision=opened)
    assert model.loss(make_batch(), 64)[1] == 15
    edit_weights(Path(config.decoder), lambda w: {k: v * 1.01 for k, v in w.items()})
    if trained == "bf16":
        with pytest.raises(ValueError, match="digest"):
            LayAlign.from_pretrained(tmp_path / "bridge", precision=opened)


def test_a_model_of_the_hub_is_recorded_with_its_commit(config, tmp_path, monkeypatch):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--ours--encoder"
    shutil.copytree(config.encoder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    told = LayAlign.build(replace(config, encoder="ours/encoder"), config.bridge(2)).backbones["encoder"]
    assert (told.commit, told.folder) == (commit, str(repository / "snapshots" / commit))
    assert told.weights == LayAlign.build(config, config.bridge(2)).backbones["encoder"].weights


def test_the_side_on_which_texts_are_cut_is_part_of_the_sentences():
    tokenizer = encoder_tokenizer(World(0))
    seen = {}
    for side in ("right", "left"):
        tokenizer.truncation_side = side
        written = [
            record.written(Tokenizers(tokenizer, tokenizer), *sentence) for sentence in fixed_sentences()
        ]
        seen[side] = [sentence.encoder for sentence in written]
    assert seen["left"] != seen["right"]
    assert all(ids[-1] == tokenizer.eos_token_id for ids in seen["right"])


DAMAGED = {
    "no json": ("bridge.json", None, "holds no bridge"),
    "empty json": ("bridge.json", b"{}", "is damaged"),
    "half json": ("bridge.json", b'{"model": ', "is damaged"),
    "empty weights": ("bridge.safetensors", b"", "has changed since it was written"),
}


@pytest.mark.parametrize(("name", "content", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_bridge_is_refused_in_words(bridge, name, content, said):
    if content is None:
        (bridge / name).unlink()
    else:
        (bridge / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        LayAlign.from_pretrained(bridge)


def test_damaged_weights_with_nothing_beside_them_are_refused_in_words(config, bridge):
    (bridge / "bridge.json").unlink()
    (bridge / "bridge.safetensors").write_bytes(b"xx")
    with pytest.raises(ValueError, match="is damaged"):
        open_again(config, bridge)


def test_a_bridge_without_its_tokenizers_is_refused_in_words(bridge):
    shutil.rmtree(bridge / store.DECODER_TOKENIZER)
    with pytest.raises(ValueError, match="has no tokenizer that can be loaded"):
        LayAlign.from_pretrained(bridge)


def test_a_branch_that_moved_on_is_refused_and_the_commit_of_then_opened(config, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--ours--encoder"
    (repository / "refs").mkdir(parents=True)
    for commit in ("1" * 40, "2" * 40):
        shutil.copytree(config.encoder, repository / "snapshots" / commit)
    edit_weights(repository / "snapshots" / ("2" * 40), nudge("shared.weight"))
    (repository / "refs" / "main").write_text("1" * 40)
    hub = replace(config, encoder="ours/encoder")
    LayAlign.build(hub, hub.bridge(2)).save_pretrained(tmp_path / "bridge")
    (repository / "refs" / "main").write_text("2" * 40)
    with pytest.raises(ValueError, match=r"the encoder is not the one .*1111.*2222"):
        open_again(hub, tmp_path / "bridge")
    model = LayAlign.from_pretrained(tmp_path / "bridge")
    assert model.origin.encoder_revision == "1" * 40


def test_another_way_to_compute_attention_is_no_difference(bridge, kind):
    if kind == "gemma2":
        pytest.skip("is always eager")
    LayAlign.from_pretrained(bridge, attention="eager")
