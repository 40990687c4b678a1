"""`data translate`: an English page into other languages by a tiny NLLB, killed, gone on, and read as data."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest
import sentencepiece
from transformers import AutoTokenizer, M2M100Config, M2M100ForConditionalGeneration, set_seed

from cluster.files import read_jsonl
from jobs.cell import translation
from layalign.config import DataConfig
from layalign.data.sources import read
from tests.jobs.work.test_train import processes_of_the_job
from tests.world import launch, until

CODES = ["eng_Latn", "swh_Latn", "yor_Latn", "gaz_Latn"]
WORDS = [
    "a",
    "boy",
    "has",
    "five",
    "red",
    "apples",
    "and",
    "two",
    "green",
    "ones",
    "how",
    "many",
    "are",
    "there",
    "in",
    "all",
]


@pytest.fixture(scope="module")
def nllb(tmp_path_factory):
    """A random model of NLLB's class with a tokenizer of NLLB's class."""
    made = tmp_path_factory.mktemp("nllb")
    dice = random.Random(0)
    (made / "text").write_text("\n".join(" ".join(dice.choices(WORDS, k=8)) for _ in range(400)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(made / "text"),
        model_prefix=str(made / "pieces"),
        vocab_size=60,
        model_type="bpe",
        minloglevel=2,
    )
    folder = made / "model"
    folder.mkdir()
    shutil.copy(made / "pieces.model", folder / "sentencepiece.bpe.model")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "NllbTokenizer", "additional_special_tokens": CODES})
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "m2m_100"}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    set_seed(0)
    M2M100ForConditionalGeneration(
        M2M100Config(
            vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=600,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=2,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture
def place(tmp_path):
    """A data folder with an English page of 40 questions."""
    dice = random.Random(1)
    rows = [
        {"query": " ".join(dice.choices(WORDS, k=6)), "response": f"answer {n}", "lang": "en"}
        for n in range(40)
    ]
    (tmp_path / "data/tasks").mkdir(parents=True)
    (tmp_path / "data/english.json").write_text(json.dumps(rows))
    (tmp_path / "data/tasks/english.yaml").write_text(
        "kind: training\ndata: {reader: math, path: english.json, languages: [en]}\n"
    )
    return tmp_path


def translate(place, nllb, *words, to="sw,yo", wait=True, **more):
    told = [
        "data",
        "translate",
        "english",
        "--to",
        to,
        "--out",
        "out.json",
        "--model",
        nllb,
        "--data",
        "data",
        "--yes",
    ]
    return launch(*told, *words, cwd=place, wait=wait, **more)


def half_of_a_cell(place) -> bool:
    return bool(cells(place)) and len(read_jsonl(cells(place)[0] / "answers.jsonl")) >= 16


def cells(place) -> list[Path]:
    return sorted(path.parent for path in place.glob("runs/translations/*/*/answers.jsonl"))


def test_a_translation_that_was_killed_goes_on_and_ends_as_one_that_was_not(place, nllb, tmp_path_factory):
    whole = tmp_path_factory.mktemp("whole")
    shutil.copytree(place / "data", whole / "data")
    done = translate(whole, nllb)
    assert done.returncode == 0, done.told
    process = translate(place, nllb, wait=False)
    until(lambda: half_of_a_cell(place) or process.poll() is not None)
    for pid in processes_of_the_job(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert not (place / "out.json").exists()
    before = sum(len(read_jsonl(cell / "answers.jsonl")) for cell in cells(place))
    again = translate(place, nllb)
    assert again.returncode == 0, again.told
    assert (place / "out.json").read_text() == (whole / "out.json").read_text()
    lines = [line for cell in cells(place) for line in read_jsonl(cell / "answers.jsonl")]
    assert len(lines) == 80, "none is translated twice"
    assert before >= 16
    rows = (place / "out.json").read_text().splitlines()
    told = json.loads(rows[0])
    assert set(told) == {"query", "response", "lang"}
    data = DataConfig(
        reader="math", path=str(place / "out.json"), languages=("sw", "yo"), max_source=9, max_target=9
    )
    assert len(list(read(data, None, False))) == len(rows)
    assert f"translated: {len(rows)} rows in " in again.told
    more = translate(place, nllb, to="sw,yo,om")
    assert "2 of 3 are done" in more.told
    assert more.returncode == 0, more.told
    (place / "out.json").unlink()
    assert "translated: " in translate(place, nllb, "--cluster", "narval", "-o", "cluster.account=x").told
    assert (place / "out.json").read_text() == (whole / "out.json").read_text()


def test_a_language_that_the_tokenizer_does_not_know_is_refused_before_anything_begins(place, nllb):
    for to, told in (
        ("sw,vai", "no token for Vai (no FLORES-200 code)"),
        ("zu", "no token for Zulu (zul_Latn), and calls none nearly so but"),
        ("sw,en", "English is what is translated"),
        ("swa_Latn", "unknown language 'swa_Latn'"),
    ):
        refused = translate(place, nllb, to=to)
        assert refused.returncode == 2, to
        assert told in refused.told, refused.told
    assert not (place / "runs/translations").exists()
    (place / "data/tasks/oromo.yaml").write_text(
        "kind: languages\nlanguages: {gax: {name: Borana, nllb: gax_Latn}}\n"
    )
    assert "no token for Borana (gax_Latn)" in translate(place, nllb, to="gax").told


def test_what_is_asked_for_is_told_and_nothing_begins(place, nllb):
    told = translate(
        place,
        nllb,
        "--dry-run",
        "--limit",
        "7",
        "--cluster",
        "narval",
        "--slots",
        "4",
        "-o",
        "cluster.account=x",
    )
    assert told.returncode == 0, told.told
    for line in ("translate 7 questions of english from English", "0 of 2 are done", "times 4"):
        assert line in told.told
    assert not (place / "runs/translations").exists()


def test_shares_have_a_size_of_their_own(monkeypatch, tmp_path):
    home = translation.TranslationFolder(tmp_path, "x")
    order = translation.Order(
        rows=501, checksum="", model="m", revision=None, source="en", languages=("sw", "yo"), declares={},
        max_new_tokens=1, beams=1,
    )  # fmt: skip
    assert [(c.code, c.first, c.count) for c in home.cells(order)] == [
        (code, first, count) for code in ("sw", "yo") for first, count in ((0, 250), (250, 250), (500, 1))
    ]
