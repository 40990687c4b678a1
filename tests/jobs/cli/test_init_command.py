"""`init`: a file to begin from, which is accepted as it is, says what its keys mean, and replaces nothing."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import pytest
import yaml

from cluster.profile.load import load_profile
from jobs.grid.grid_file import key_texts, load_grid
from jobs.recipe.plan import load_recipe
from layalign.recipe import resolve
from tests.jobs.finished import go, surroundings  # noqa: F401

NEXT = {
    "recipe": ["train", "--stage", "all", "--recipe"],
    "grid": ["ablate", "--grid"],
    "cluster": ["train", "--stage", "all", "--recipe", "mini", "--cluster"],
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def answers(monkeypatch):
    """What is typed at a terminal, answer by answer; too many questions fail."""

    def given(*lines: str):
        left = list(lines)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda question: left.pop(0))
        return left

    return given


@pytest.mark.parametrize("kind", NEXT)
def test_what_is_written_is_accepted_as_it_is(go, here, kind):
    status, printed = go("init", kind, "--yes")
    assert status == 0, printed
    typed = printed.partition("python launch.py ")[2].split()
    assert typed == [*NEXT[kind], f"{kind}.yaml", "--dry-run"]
    status, printed = go(*typed)
    assert status == 0, printed


@pytest.mark.parametrize("kind", NEXT)
def test_nothing_is_written_over(go, here, kind):
    path = here / f"{kind}.yaml"
    path.write_text("mine")
    status, printed = go("init", kind, "--yes")
    assert (status, path.read_text()) == (2, "mine")
    assert f"{path} is there already" in printed
    path.unlink()
    path.symlink_to("nowhere")
    assert go("init", kind, "--yes")[0] == 2
    assert not path.exists()


@pytest.mark.parametrize(
    "words", [("recipe", "ours"), ("grid", "ours.txt"), ("cluster", "my own.yaml"), ("grid", ".")]
)
def test_a_name_that_no_command_would_take_is_refused_before_a_question(go, here, answers, words):
    answers()
    status, printed = go("init", *words)
    assert (status, [path for path in here.iterdir() if path.is_file()]) == (2, []), printed


@pytest.mark.parametrize("kind", NEXT)
def test_a_path_of_ones_own_is_taken(go, here, kind):
    assert go("init", kind, "new folder/there.yaml", "--yes")[0] == 0
    text = (here / "new folder" / "there.yaml").read_text()
    assert text.count(" # ") > 5 or kind == "grid", "keys are told"
    assert max(map(len, text.splitlines())) <= 120


def test_a_recipe_is_asked_for_in_five_questions(go, here, answers):
    left = answers("math", "ours", "facebook/nllb-200-distilled-600M", "", "Swahili, amh")
    status, printed = go("init", "recipe", "mine.yaml")
    assert (status, left) == (0, []), printed
    made = resolve(load_recipe("./mine.yaml"), 2, ())
    assert (made.name, made.model.encoder) == ("ours", "facebook/nllb-200-distilled-600M")
    assert made.data.languages == ("Swahili", "Amharic")
    assert made.model.decoder == load_recipe("math")["model"]["decoder"]


def test_a_grid_is_asked_for_in_five_questions(go, here, answers):
    left = answers("", "llm, layalign", "0, 1", "all")
    assert go("init", "grid")[0] == 0
    grid = load_grid("./grid.yaml")
    assert left == []
    assert [(point.label, point.seed) for point in grid.points] == [
        (label, seed) for label in ("llm", "layalign") for seed in (0, 1)
    ]
    assert grid.limit is None


def test_a_grid_of_ones_own_recipe_in_another_folder(go, here, answers):
    assert go("init", "recipe", "a/r.yaml", "--yes")[0] == 0
    answers("a/r.yaml", "", "", "")
    assert go("init", "grid", "b/g.yaml")[0] == 0
    assert load_grid("b/g.yaml").recipe == str(here / "b" / ".." / "a" / "r.yaml")


def test_a_cluster_is_asked_for_in_five_questions(go, here, answers):
    left = answers("h100", "8", "96", "1T", "gpu@x")
    assert go("init", "cluster", "there.yaml")[0] == 0
    (kind,) = load_profile("there.yaml").hardware.kinds
    assert left == []
    assert (kind.gpu, kind.gpus, kind.cores, kind.mem_mb, kind.partition) == ("h100", 8, 96, 2**20, "gpu@x")


@pytest.mark.parametrize(
    ("kind", "lines", "told"),
    [
        ("recipe", ["maths"], "did you mean math"),
        ("recipe", ["", "", "", "", "Swahilli"], "Swahili"),
        ("recipe", ["", "", "", "", ","], "languages"),
        ("grid", ["mini", "layaling"], "layalign"),
        ("grid", ["mini", "layalign", "x"], "seeds"),
        ("grid", ["mini", "layalign", "0", "0"], "limit"),
        ("grid", ["none.yaml", "layalign", "0", "1"], "cannot be read"),
        ("cluster", ["a100", "four", "1", "1G", ""], "whole number"),
        ("cluster", ["a100", "4", "0", "1G", ""], "whole number"),
        ("cluster", ["none", "0", "1G", ""], "whole number"),
        ("cluster", ["a100", "0", "1", "1G", ""], "whole number"),
        ("cluster", ["a100", "4", "32", "much", ""], "memory"),
    ],
)
def test_an_answer_that_is_wrong_is_told_and_nothing_is_written(go, here, answers, kind, lines, told):
    answers(*lines, *[""] * (5 - len(lines)))
    status, printed = go("init", kind)
    assert (status, list(here.glob("*.yaml"))) == (2, []), printed
    assert told in printed


def test_every_key_of_a_grid_file_has_its_text():
    assert all(key_texts()[key] for key in ("recipe", "axes", "variants", "seeds", "evaluate"))


def test_a_recipe_keeps_its_values(go, here):
    assert go("init", "recipe", "--yes")[0] == 0
    shipped = load_recipe("mini")
    assert {**yaml.safe_load((here / "recipe.yaml").read_text()), "name": "mini"} == shipped
