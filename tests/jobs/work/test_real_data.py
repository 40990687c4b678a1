"""Real text in ten languages through the whole job: Tatoeba pairs for stage 1, all of MGSM for the answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import sentencepiece
import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM, MT5Config, MT5EncoderModel

from cluster.files import read_jsonl
from tests.world import ROOT, launch_anew

DATA = Path(os.environ.get("LAYALIGN_DATA") or ROOT.parent / "shared/data")
LANGUAGES = ["Bengali", "Thai", "Swahili", "Japanese", "Chinese", "German", "French", "Russian", "Spanish"]
VOCABULARY = 6000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "tatoeba").is_dir(), reason="needs the Tatoeba pairs and MGSM below $LAYALIGN_DATA"
    ),
]


def write_tokenizer(folder: Path, pieces: Path, **ends: bool) -> None:
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(pieces.read_bytes())
    told = {
        "tokenizer_class": "LlamaTokenizer",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "bos_token": "<s>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps({**told, "unk_token": "<unk>", **ends}))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """Backbones of some million random weights, with SentencePiece tokenizers made from the pairs."""
    base = tmp_path_factory.mktemp("real")
    files = sorted((DATA / "tatoeba").glob("tatoeba.*-eng.*"))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for path in files for line in path.read_text(encoding="utf-8").splitlines()),
        model_prefix=str(base / "pieces"),
        vocab_size=VOCABULARY,
        byte_fallback=True,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=3,
        num_threads=1,
        minloglevel=2,
    )
    write_tokenizer(base / "encoder", base / "pieces.model", add_bos_token=False, add_eos_token=True)
    write_tokenizer(base / "decoder", base / "pieces.model", add_bos_token=False, add_eos_token=False)
    torch.manual_seed(0)
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3}
    MT5EncoderModel(
        MT5Config(vocab_size=VOCABULARY, d_model=256, d_kv=64, d_ff=512, num_layers=4, num_heads=4)
    ).save_pretrained(base / "encoder")
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=256, intermediate_size=512, num_hidden_layers=4,
            num_attention_heads=4, **ends,
        )
    ).save_pretrained(base / "decoder")  # fmt: skip
    stage = {
        "reader": "pairs",
        "path": "tatoeba",
        "languages": LANGUAGES,
        "limit": 400,
        "max_source": 64,
        "max_target": 64,
    }
    told = {
        "name": "real",
        "model": {"encoder": str(base / "encoder"), "decoder": str(base / "decoder"), "precision": "fp32"},
        "training": {
            "lr": 1e-3,
            "batch_size": 64,
            "micro_batch": 64,
            "epochs": 1,
            "eval_every": 10,
            "window": 4,
        },
        "stages": {1: {"data": {**stage, "dev": 300}}, 2: {"data": {**stage, "dev": 300}}},
    }
    (base / "real.yaml").write_text(yaml.safe_dump(told))
    return base / "real.yaml"


def test_stage_1_learns_from_real_pairs_and_mgsm_runs_to_its_table(recipe: Path) -> None:
    common = ("--data", DATA, "--runs", "runs")
    told = launch_anew("train", "--recipe", recipe, "--stage", "1", *common, cwd=recipe.parent)
    assert told.returncode == 0, told.stdout
    (run,) = (recipe.parent / "runs").glob("real-layalign-s1-*")
    losses = [r["dev_loss"] for r in read_jsonl(run / "metrics.jsonl") if "dev_loss" in r]
    print(told.stdout[-600:])
    assert losses[-1] < losses[0] < 9.0

    words = ("-o", "evaluation.max_new_tokens=24", "evaluation.batch_size=100")
    told = launch_anew(
        "evaluate", "--run", "real-layalign", "--benchmark", "mgsm", *common, *words, cwd=recipe.parent
    )
    assert told.returncode == 0, told.stdout
    print(told.stdout[-1500:])
    answered = [record for path in run.glob("results/mgsm/*/answers.jsonl") for record in read_jsonl(path)]
    assert len(answered) == 2500
    assert len({record["id"] for record in answered}) == 2500
    summary = json.loads((run / "results/mgsm/table.json").read_text())["methods"]["layalign"]["scores"]
    assert {code: score["total"] for code, score in summary.items()} == dict.fromkeys(
        ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en"), 250
    )
