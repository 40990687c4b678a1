"""`data`: pages are listed and shown, and a check tells what is in their rows, in words and as JSON."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from layalign.tasks.pages import BENCHMARKS, BROKEN, PAGES
from layalign.training_sets import SETS
from tests.hub import Hub
from tests.world import ROOT, launch_anew

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[3].parent / "shared/data")
QUESTION = "Bata wa Janet hutaga mayai 16 kwa siku na hula matatu kwa kiamsha kinywa kila asubuhi."


@pytest.fixture
def pages(tmp_path, monkeypatch):
    """A data folder with a training set, a benchmark, and pages of the user's for them."""
    monkeypatch.delenv("LAYALIGN_DATA", raising=False)
    before = [(registry, dict(registry)) for registry in (PAGES, SETS, BENCHMARKS, BROKEN)]
    folder = tmp_path / "data"
    write(
        folder / "ours/train.sw",
        "Habari za asubuhi",
        "Habari za asubuhi",
        "",
        f"Swali: {QUESTION}",
        "Kwaheri",
    )
    write(folder / "ours/train.en", "Good morning", "Good day", "", "A question", "Goodbye")
    write(folder / "mgsm/mgsm_sw.tsv", f"{QUESTION}\t18", "Tatu na moja?\t4")
    write(
        folder / "tasks/ours.yaml",
        "kind: training",
        "about: pairs of ours",
        "licence: CC0",
        "notes: ['made up']",
        "counts: {sw: 6}",
        "data: {reader: pairs, path: ours, languages: [sw]}",
    )
    yield folder
    for registry, held in before:
        registry.clear()
        registry.update(held)


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def run(capsys, *words):
    status = launch.main(["data", *map(str, words)])
    said = capsys.readouterr()
    return status, said.out, said.err


def checked(capsys, *words):
    status, out, err = run(capsys, "check", *words, "--json")
    (report,) = json.loads(out)["checks"]
    return status, report, err


def test_pages_of_ours_and_of_the_user_are_listed(capsys, pages):
    status, out, _ = run(capsys, "list", "--data", pages)
    assert status == 0
    for name in (*PAGES, "ours"):
        assert any(line.startswith(f"{name} ") for line in out.splitlines()), name
    assert f"CC0 (yours: {pages}/tasks/ours.yaml)" in out
    entries = json.loads(run(capsys, "list", "--data", pages, "--json")[1])["pages"]
    assert {entry["name"]: entry["kind"] for entry in entries}["ours"] == "training"
    assert next(entry for entry in entries if entry["name"] == "mgsm")["languages"][-1] == "te"


def test_a_broken_page_is_told_and_its_name_refused(capsys, pages):
    write(pages / "tasks/theirs.yaml", "kind: training", "data: {reader: pairs, path: ours, language: [sw]}")
    assert "broken: " in run(capsys, "list", "--data", pages)[1]
    status, _, err = run(capsys, "check", "theirs", "--data", pages)
    assert status == 2
    assert "theirs.yaml" in err
    assert "data.languages is missing" in err
    write(
        pages / "tasks/theirs.yaml",
        "kind: training",
        "data: {reader: pairs, path: ours, languages: [sw], lmit: 3}",
    )
    assert (
        "unknown key data.lmit; did you mean data.limit?" in run(capsys, "show", "theirs", "--data", pages)[2]
    )
    write(
        pages / "tasks/theirs.yaml",
        "kind: training",
        "counts: {yo: 1}",
        "data: {reader: tsv, path: a, languages: [sw]}",
    )
    assert (
        "counts names 'yo', which is not among data.languages: sw" in run(capsys, "list", "--data", pages)[1]
    )


def test_a_page_is_shown_with_its_files_rows_and_notes(capsys, pages):
    status, out, _ = run(capsys, "show", "ours", "--data", pages)
    assert status == 0
    for told in (
        "about: pairs of ours",
        f"read from   {pages}/ours/train.sw",
        "rows        sw 4",
        "note        made up",
    ):
        assert told in out
    status, out, _ = run(capsys, "show", "mgsm", "--data", pages)
    assert f"read from   {pages}/mgsm/mgsm_sw.tsv" in out
    assert "rows        sw 2" in out
    assert "not there   bn: benchmark mgsm has no file for Bengali" in out
    assert "does not exist; data.path is below" in run(capsys, "show", "lego-mt", "--data", pages)[1]


def test_a_check_counts_rows_repeats_and_questions_of_benchmarks(capsys, pages):
    status, report, _ = checked(capsys, "ours", "--data", pages)
    (row,) = report["rows"]
    assert row == {
        "language": "sw", "rows": 4, "blank": 1, "left_out": 0, "repeated_source": 1, "repeated_target": 0,
        "repeated_pairs": 0, "same": 0, "near": 1,
    }  # fmt: skip
    assert status == 0
    assert report["against"] == ["mgsm (sw)"]
    (found,) = report["overlaps"]
    assert (found["where"], found["side"], found["question"]) == ("ours/train.sw:4", "source", "mgsm-sw-0001")
    assert len(report["shown"]) == 4
    assert "sw has 5 rows, the page says 6" in report["findings"]
    assert any("data.deduplicate=source" in told for told in report["findings"])
    status, out, _ = run(capsys, "check", "ours", "--data", pages)
    assert "ours/train.sw:4, source: 100% of mgsm-sw-0001" in out
    assert "not compared: msvamp, mini, " in out


def test_a_question_word_for_word_fails_the_check(capsys, pages):
    write(pages / "ours/train.sw", "Habari", QUESTION.upper())
    write(pages / "ours/train.en", "Hello", "A question")
    status, report, _ = checked(capsys, "ours", "--data", pages)
    assert (status, report["overlaps"][0]["same"]) == (1, True)
    assert checked(capsys, "ours", "--data", pages, "--against", "mini")[0] == 0


def test_rows_that_cannot_be_used_are_told_with_all_that_can(capsys, pages):
    write(pages / "ours/train.sw", "Habari", "", "Kwaheri")
    write(pages / "ours/train.en", "Hello", "Empty", "Goodbye")
    status, report, err = checked(capsys, "ours", "--data", pages)
    assert status == 2
    assert report["rows"][0]["rows"] == 2
    assert "train.sw:2: empty source" in err
    assert "train.sw:2: empty source" in report["obstacles"][0]


def test_the_rows_that_are_shown_are_the_same_each_time(capsys, pages):
    write(pages / "ours/train.sw", *(f"sentensi {n}" for n in range(500)))
    write(pages / "ours/train.en", *(f"sentence {n}" for n in range(500)))
    first, second = (checked(capsys, "ours", "--data", pages)[1]["shown"] for _ in range(2))
    assert first == second
    places = [int(one["where"].rpartition(":")[2]) for one in first]
    assert len(set(places)) == 10
    assert max(places) > 200


def test_a_benchmark_is_checked_as_well(capsys, pages):
    status, report, _ = checked(capsys, "mgsm", "--data", pages)
    assert (status, report["kind"], [row["language"] for row in report["rows"]]) == (0, "benchmark", ["sw"])
    assert report["rows"][0]["rows"] == 2
    assert {one["encoder"] for one in report["shown"]} == {QUESTION, "Tatu na moja?"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check"], "name a page, or give --recipe"),
        (["show"], "data show what? name a page"),
        (["fetch", "mgsm"], "mgsm does not come from the hub"),
        (["check", "mgms"], "did you mean mgsm?"),
        (["check", "mgsm", "--stage", "2"], "--stage is of a recipe: add --recipe"),
        (["list", "mgsm"], "data list takes no name: data show mgsm"),
        (["show", "mgsm", "--against", "mini"], "are of data check"),
        (["check", "mgsm", "--against", "mimi"], "did you mean mini?"),
        (["check", "mgsm", "--update"], "--update is of data fetch"),
        (["check", "mgsm", "--data", "/nowhere"], "data folder /nowhere does not exist"),
    ],
)
def test_what_cannot_be_is_refused_with_the_next_step(capsys, words, told):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert told in err


def test_a_recipe_may_name_a_set_and_its_own_keys_count_more(pages):
    launch.main(["data", "list", "--data", str(pages)])
    from jobs.recipe.plan import load_recipe
    from layalign.config import RunConfig
    from layalign.recipe import resolve

    recipe = load_recipe("math")
    plain = resolve(recipe, 1)
    config = resolve(recipe, 1, ["data.dev=0", "data.set=ours"])
    assert (config.data.reader, config.data.path, config.data.languages) == ("pairs", "ours", ("sw",))
    assert (config.data.dev, config.data.max_source) == (0, plain.data.max_source)
    assert resolve(recipe, 1, ["data.languages=[yo]", "data.set=ours"]).data.languages == ("yo",)
    assert "set" not in config.to_dict()["data"]
    assert RunConfig.from_dict(config.to_dict()) == config
    same = {"data.reader": "pairs", "data.path": "ours", "data.languages": "[sw]", "data.dev": "0"}
    by_hand = resolve(recipe, 1, [f"{key}={value}" for key, value in same.items()])
    assert config.signature() == by_hand.signature()
    in_file = {
        **recipe,
        "stages": {**recipe["stages"], 1: {"data": {"set": "ours", "max_source": 9, "max_target": 9}}},
    }
    assert resolve({**in_file, "training": {**recipe["training"], "lr": 1e-4}}, 1).data.path == "ours"
    with pytest.raises(ValueError, match="unknown training set 'our'; did you mean ours"):
        resolve(recipe, 1, ["data.set=our"])
    with pytest.raises(ValueError, match="must be the name of a training set"):
        resolve(recipe, 1, ["data.set=3"])


@pytest.mark.skipif(not (DATA / "nllb_bitext_africa").is_dir(), reason="no real samples here")
def test_the_samples_of_the_fork_are_checked_as_they_lie(capsys, tmp_path):
    (tmp_path / "african_bilingual_pairs").symlink_to(DATA / "nllb_bitext_africa")
    (tmp_path / "mgsm").symlink_to(DATA / "mgsm")
    status, report, _ = checked(capsys, "nllb-africa", "--data", tmp_path)
    assert status == 0
    assert [row["rows"] for row in report["rows"]] == [100] * 17
    assert sum(row["same"] + row["near"] for row in report["rows"]) == 0
    assert report["against"] == ["mgsm (fr, sw, en)"]
    assert "am has 100 rows, the page says 9,000" in report["findings"]


def test_tokens_are_counted_in_those_of_a_recipes_models(world, recipe, tmp_path):
    words = [sys.executable, "launch.py", "data", "check", "--recipe", str(recipe), "--json"]
    ran = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, "LAYALIGN_DATA": str(world / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    one, two = json.loads(ran.stdout)["checks"]
    assert ran.returncode in (0, 1), ran.stderr
    assert {token["kind"] for token in one["tokens"]} == {"source", "target"}
    assert {token["kind"] for token in two["tokens"]} == {"source", "prompt", "target"}
    for token in (*one["tokens"], *two["tokens"]):
        assert 0 < token["median"] <= token["p95"] <= token["longest"] <= token["limit"]
        assert token["cut"] == 0
        assert token["texts"] == 32


def test_a_dry_run_tells_what_a_check_has_found(world, pages, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LAYALIGN_CACHE", str(tmp_path / "cache"))
    model = f"model: {{encoder: {world}/encoder, decoder: {world}/decoder, precision: fp32}}"
    write(
        tmp_path / "ours.yaml",
        "{name: ours, gpus: 1, training: {lr: 1.0e-3},",
        f" {model},",
        " data: {set: ours, max_source: 90, max_target: 90, max_unknown: 1}}",
    )
    words = ["--recipe", str(tmp_path / "ours.yaml"), "--stage", "1", "--data", str(pages)]
    dry = ["train", *words, "--runs", str(tmp_path / "runs"), "--dry-run"]
    assert launch.main(dry) == 0
    assert "checked" not in capsys.readouterr().out
    assert launch.main(["data", "check", *words]) == 0
    assert "tokens: source in those of" in capsys.readouterr().out
    assert launch.main(dry) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[0] == "checked"]
    assert "unknown tokens: source" in told
    assert told.endswith("0 rows hold a question of mgsm (sw), 1 nearly")


def test_a_launcher_without_transformers_has_a_compute_node_do_it(
    pages, world, tmp_path, capsys, monkeypatch
):
    from jobs.cli import data_commands

    model = f"model: {{encoder: {world}/encoder, decoder: {world}/decoder, precision: fp32}}"
    write(
        tmp_path / "o.yaml",
        f"{{name: o, gpus: 1, training: {{lr: 1.0e-3}}, {model},",
        "data: {set: ours, max_source: 90, max_target: 90}}",
    )
    monkeypatch.setenv("LAYALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    words = ["check", "--recipe", "./o.yaml", "--stage", "1", "-o", "data.max_unknown=1", "--against", "mgsm"]
    monkeypatch.setattr(data_commands, "can_measure", lambda: False)
    assert "need transformers" in run(capsys, *words, "--data", "data", "--cluster", "local")[2]
    started = []
    monkeypatch.setattr(data_commands.client, "show", lambda *told, **_: started.append(told) or 0)
    mine = ["-o", "cluster.account=def-x"]
    assert run(capsys, *words, "--data", "data", "--cluster", "narval", *mine, "--json")[:2] == (0, "")
    (told,) = started
    assert told[0] == "srun"
    assert {"--account=def-x", "--job-name=layalign-data", "--ntasks=1"} <= set(told)
    command = shlex.split(told[-1].splitlines()[-1])
    assert command[:4] == ["python", "launch.py", "data", "check"]
    monkeypatch.undo()
    monkeypatch.chdir("/")
    assert launch.main(command[2:]) == 0
    (report,) = json.loads(capsys.readouterr().out)["checks"]
    assert report["rows"][0]["rows"] == 4
    assert report["tokens"]
    assert report["against"] == ["mgsm (sw)"]


def test_a_page_of_the_hub_is_fetched_and_then_there(pages, tmp_path):
    hub = Hub()
    hub.add("us/pairs", {"train.jsonl": b'{"src": "moja", "tgt": "one"}\n'}, kind="datasets")
    write(
        pages / "tasks/theirs.yaml", "kind: training", "data: {reader: hub, path: us/pairs, languages: [sw]}"
    )

    def data(*words):
        environ = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.url}
        return launch_anew("data", *words, "--data", pages, cwd=tmp_path, **environ)

    assert "not in the cache" in data("show", "theirs").stdout
    fetched = data("fetch", "theirs")
    assert fetched.returncode == 0, fetched.stdout
    assert "not there" not in data("show", "theirs").stdout
    hub.close()
    told = data("check", "theirs", "--against", "mini", "--json").stdout
    report = json.loads(told)["checks"][0]
    assert (report["rows"][0]["rows"], report["obstacles"]) == (1, [])
