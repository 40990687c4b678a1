from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, MT5EncoderModel

from layalign.data.sums import SUMS
from layalign.mini import CONTENTS, Settings, folder
from layalign.mini.build import BACKBONES, build
from layalign.mini.world import HIGH, LANGUAGES, LOW, NAMES, World
from tests.warm import children, running
from tests.world import start_builder, until

TINY = Settings.tiny()


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    root = tmp_path_factory.mktemp("worlds")
    builder = start_builder(root)
    assert builder.wait() == 0, builder.told
    return root, [json.loads(line) for line in builder.told.splitlines()]


@pytest.fixture(scope="module")
def tiny(builder):
    return folder(builder[0], TINY)


@pytest.fixture(scope="module")
def told(builder):
    return builder[1]


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_the_folder_holds_what_the_names_promise(tiny):
    assert sorted(path.name for path in tiny.iterdir()) == sorted([*CONTENTS, SUMS])
    assert not list(tiny.parent.glob(".*"))


def test_progress_names_phase_step_total_and_loss(tiny, told):
    assert {phase for phase, *_ in told} == {"encoder", "decoder"}
    for phase in ("encoder", "decoder"):
        assert [(step, total) for p, step, total, _ in told if p == phase] == [(10, 30), (20, 30), (30, 30)]
    assert all(0 < loss < 10 for *_, loss in told)


def test_a_built_world_is_not_built_again(tiny):
    def report(*record):
        raise AssertionError(record)

    assert build(tiny.parent, TINY, report) == tiny


def test_the_models_load_as_hugging_face_models(tiny):
    decoder = AutoModelForCausalLM.from_pretrained(tiny / "decoder")
    tokenizer = AutoTokenizer.from_pretrained(tiny / "decoder")
    assert decoder.config.vocab_size == len(tokenizer)
    assert decoder.generation_config.eos_token_id == tokenizer.eos_token_id
    assert AutoConfig.from_pretrained(tiny / "encoder").model_type == "mt5"
    encoder, told = MT5EncoderModel.from_pretrained(tiny / "encoder", output_loading_info=True)
    assert not any(told.values())
    ids = AutoTokenizer.from_pretrained(tiny / "encoder")("ta has 47 pens .", return_tensors="pt")
    assert len(encoder(**ids, output_hidden_states=True).hidden_states) == TINY.encoder_layers + 1


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_the_tokenizers_load_as_they_were_saved(tiny, kind):
    tokenizer = AutoTokenizer.from_pretrained(tiny / kind)
    for text in lines(tiny / "pairs" / "train.sw") + lines(tiny / "pairs" / "train.de"):
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_line_n_of_the_pairs_is_one_problem(tiny):
    files = {language: lines(tiny / "pairs" / f"train.{language}") for language in LANGUAGES}
    assert {len(said) for said in files.values()} == {TINY.pairs}
    for same in zip(*files.values()):
        assert len({tuple(word for word in text.split() if word.isdigit()) for text in same}) == 1


def test_the_task_has_every_language_but_english(tiny):
    rows = [json.loads(line) for line in lines(tiny / "math.jsonl")]
    assert [row["lang"] for row in rows] == [name for name in NAMES.values() for _ in range(TINY.tasks)]
    assert len({(row["lang"], row["query"]) for row in rows}) == len(rows)


def test_the_benchmark_has_one_answer_per_problem(tiny):
    columns = []
    for language in LANGUAGES:
        rows = [line.split("\t") for line in lines(tiny / "data" / "mini" / f"mini_{language}.tsv")]
        assert len(rows) == TINY.problems
        columns.append([answer for _, answer in rows])
    assert all(column == columns[0] for column in columns)


def test_no_problem_is_both_trained_on_and_tested(tiny):
    tested = {line.split("\t")[0] for line in lines(tiny / "data" / "mini" / "mini_sw.tsv")}
    trained = set(lines(tiny / "pairs" / "train.sw"))
    trained |= {json.loads(line)["query"] for line in lines(tiny / "math.jsonl")}
    assert not tested & trained


def test_a_failing_report_leaves_nothing(tmp_path):
    builder = start_builder(tmp_path, fails=True)
    assert builder.wait() != 0
    assert "KeyboardInterrupt" in builder.told
    assert not list(tmp_path.iterdir())


def test_a_failing_backbone_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="decoder ended with exit code 1"):
        build(tmp_path, TINY, print)
    assert not list(tmp_path.iterdir())


def test_a_killed_builder_leaves_no_half_world(tmp_path):
    endless = {"encoder_steps": 10**6, "decoder_steps": 10**6}
    builder = start_builder(tmp_path, **endless)
    until(lambda: "\n" in builder.told)
    backbones = children(builder.pid)
    assert len(backbones) == len(BACKBONES)
    builder.kill()
    builder.wait()
    assert not folder(tmp_path, dataclasses.replace(TINY, **endless)).exists()
    (left,) = tmp_path.iterdir()
    until(lambda: not any(map(running, backbones)))

    young = tmp_path / ".world-of-a-living-builder"
    young.mkdir()
    os.utime(left, (0, 0))
    assert start_builder(tmp_path).wait() == 0
    built = folder(tmp_path, TINY)
    assert set(tmp_path.iterdir()) == {built, young}, "what was left a day ago is taken away"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_builders_make_one_world(tmp_path):
    builders = [start_builder(tmp_path) for _ in range(2)]
    assert [builder.wait() for builder in builders] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == [folder(tmp_path, TINY).name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The world of the demonstration: `$LAYALIGN_CACHE` keeps it from one run to the next."""
    cache = os.environ.get("LAYALIGN_CACHE")
    root = Path(cache) / "mini" if cache else tmp_path_factory.mktemp("whole")
    return build(root, Settings(), lambda *record: None)


def solved(world, language, before=lambda row: ""):
    """Share of a language's problems that the LLM solves; `before(row)` is put before problem `row`."""
    tokenizer = AutoTokenizer.from_pretrained(world / "decoder")
    model = AutoModelForCausalLM.from_pretrained(world / "decoder")
    rows = [line.split("\t") for line in lines(world / "data" / "mini" / f"mini_{language}.tsv")]
    inputs = tokenizer(
        [f"{before(place)} {question}" for place, (question, _) in enumerate(rows)],
        padding=True,
        return_tensors="pt",
    )
    output = model.generate(**inputs, do_sample=False, max_new_tokens=12)[:, inputs.input_ids.shape[1] :]
    told = [text.split()[-1:] for text in tokenizer.batch_decode(output, skip_special_tokens=True)]
    return sum(last == [answer] for last, (_, answer) in zip(told, rows)) / len(rows)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_llm_alone_solves_the_languages_it_knows(whole):
    accuracy = {language: solved(whole, language) for language in LANGUAGES}
    print(accuracy)
    assert all(accuracy[language] > 0.9 for language in HIGH)
    assert all(accuracy[language] < 0.3 for language in LOW)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_llm_joins_a_gist_with_a_text_it_cannot_read(whole):
    english = [line.split("\t")[0] for line in lines(whole / "data" / "mini" / "mini_en.tsv")]

    def gist(row):
        return " ".join("some" if word.isdigit() else word for word in english[row].split())

    accuracy = {language: solved(whole, language, gist) for language in LOW}
    print(accuracy)
    assert all(share > 0.8 for share in accuracy.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_encoder_gives_translations_one_meaning(whole):
    """Verbs of every other language, told by the nearest mean of English verbs; chance is 1 in 12."""
    tokenizer = AutoTokenizer.from_pretrained(whole / "encoder")
    encoder = MT5EncoderModel.from_pretrained(whole / "encoder")
    words = World(Settings().seed).words

    def verbs(language):
        said = lines(whole / "pairs" / f"train.{language}")
        ids = tokenizer(said, return_tensors="pt").input_ids
        states = encoder(input_ids=ids).last_hidden_state
        found = [(ids == token) for token in tokenizer.convert_tokens_to_ids(list(words[language][:12]))]
        return torch.cat([states[f] for f in found]), torch.cat(
            [torch.full((int(f.sum()),), v) for v, f in enumerate(found)]
        )

    with torch.no_grad():
        states, verb = verbs("en")
        means = torch.stack([states[verb == v].mean(0) for v in range(12)])
        accuracy = {}
        for language in LANGUAGES[1:]:
            states, verb = verbs(language)
            accuracy[language] = (torch.cdist(states, means).argmin(1) == verb).float().mean().item()
    print(accuracy)
    assert all(share > 0.5 for share in accuracy.values())


def test_a_damaged_world_is_built_anew_and_is_the_same(tiny, tmp_path, capsys, monkeypatch):
    def pretrain(draft, settings, report):
        for name in BACKBONES:  # as they were trained before: it takes half a minute
            shutil.copytree(tiny / name, draft / name, dirs_exist_ok=True)

    monkeypatch.setattr("layalign.mini.build._pretrain", pretrain)
    done = tmp_path / tiny.name
    shutil.copytree(tiny, done)
    for name in (*BACKBONES, "math.jsonl", "data", SUMS):
        path = done / name
        path = next(one for one in sorted(path.rglob("*")) if one.is_file()) if path.is_dir() else path
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert build(tmp_path, TINY, lambda *record: None) == done
        assert "it is built anew" in capsys.readouterr().err
        assert (done / SUMS).read_text() == (tiny / SUMS).read_text()
    assert [path.name for path in tmp_path.iterdir()] == [done.name]
