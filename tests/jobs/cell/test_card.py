"""The card of a bridge: written with it, again with its results, and never without one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from cluster.run.run_folder import RunFolder
from jobs.cell.card import card, write_card
from layalign.config import RunConfig
from layalign.licences import licence_of
from layalign.recipe import resolve


@pytest.fixture
def run(trained_folder: Path, tmp_path: Path) -> RunFolder:
    (found,) = trained_folder.glob("runs/tiny-layalign-s2-*")
    return RunFolder(Path(shutil.copytree(found, tmp_path / found.name)))


def config_of(run: RunFolder, *overrides: str) -> RunConfig:
    return resolve(run.read_config(), run.stage, overrides)


def head(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_a_bridge_has_its_card_and_the_config_that_says_how_it_reads(run):
    text = (run.bridge / "README.md").read_text()
    assert head(text)["library_name"] == "layalign"
    assert head(text)["language"] == ["es", "de", "bn", "th", "sw"]
    assert f"# {run.path.name}" in text
    assert "Swahili (sw)" in text
    assert "sw 32" in text
    assert "Trained with transformers" in text
    assert "None yet." in text
    assert (run.bridge / "config.yaml").read_text() == run.config.read_text()


def test_results_are_taken_up_when_they_come(run):
    (run.results / "mini").mkdir(parents=True)
    (run.results / "mini" / "table.md").write_text(
        "| Method | sw |\n|---|---|\n| layalign | 50.0 [40.0, 60.0] |\n"
    )
    write_card(run, config_of(run))
    text = (run.bridge / "README.md").read_text()
    assert "### mini" in text
    assert "50.0 [40.0, 60.0]" in text
    assert "None yet." not in text


def test_terms_of_both_models_are_told_and_the_stricter_names_the_licence(run):
    names = ("model.encoder=facebook/nllb-200-distilled-600M", "model.decoder=google/gemma-2-9b-it")
    text = card(run, config_of(run, *names))
    assert head(text)["license"] == "cc-by-nc-4.0"
    assert head(text)["base_model"] == ["facebook/nllb-200-distilled-600M", "google/gemma-2-9b-it"]
    assert "**Non-commercial use only**" in text
    assert "Gemma Terms of Use" in text
    bare = card(run, config_of(run, *names, "model.method=llm"))
    assert head(bare)["license"] == "other"
    assert "nllb" not in bare


def test_without_a_bridge_nothing_is_written(run):
    shutil.rmtree(run.bridge)
    write_card(run, config_of(run))
    assert not run.bridge.exists()


@pytest.mark.parametrize(("name", "terms"), [
    ("google/mt5-xl", "Apache-2.0"), ("/models/facebook/nllb-200-3.3B/", "CC BY-NC 4.0: non-commercial use only"),
    ("castorini/afriteva_v2_large", "Apache-2.0"), ("CohereLabs/aya-101", "Apache-2.0"),
    ("meta-llama/Llama-3.1-8B", "Llama 3.1 Community License"), ("org/unheard-of", None),
])  # fmt: skip
def test_terms_go_by_the_last_part_of_the_name(name, terms):
    assert licence_of(name) == terms
