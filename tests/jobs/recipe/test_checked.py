"""What a check has found is told again as long as it is of the files and models that there are."""

from __future__ import annotations

import os

import pytest

from jobs.recipe.checked import Checked, FileState, checked_before, files_of, keep_checked
from jobs.recipe.plan import load_recipe
from layalign.recipe import resolve


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYALIGN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "sw.tsv").write_text("moja\tone\n")
    return tmp_path


def config(*overrides, stage=1):
    told = ["data.reader=tsv", "data.path=.", "data.languages=[sw]", *overrides]
    return resolve(load_recipe("math"), stage, told)


def keep(data, of):
    states = tuple(map(FileState.of, files_of(of.data, data)))
    found = Checked(
        files=states, unknown={"source": (1, 50)}, cut={"source": (0, 1)}, against=("mgsm (sw)",), near=2
    )
    keep_checked(of, found)


def test_it_is_told_for_the_same_files_models_and_limits(data):
    assert checked_before(config(), data) is None
    keep(data, config())
    assert str(checked_before(config(), data)) == (
        "unknown tokens: source 2 %; cut: source none; 0 rows hold a question of mgsm (sw), 2 nearly"
    )
    assert checked_before(config("training.lr=1e-3"), data) is not None
    for change in ("model.decoder=a/b", "data.max_source=7", "data.deduplicate=source", "data.limit=3"):
        assert checked_before(config(change), data) is None, change


def test_a_file_is_known_by_its_content(data):
    keep(data, config())
    os.utime(data / "sw.tsv", (1, 1))
    assert checked_before(config(), data) is not None
    elsewhere = data / "copy"
    elsewhere.mkdir()
    (elsewhere / "sw.tsv").write_text("moja\tone\n")
    assert checked_before(config(), elsewhere) is not None
    (data / "sw.tsv").write_text("moja\tten\n")
    assert checked_before(config(), data) is None
    (data / "sw.tsv").unlink()
    assert checked_before(config(), data) is None


def test_a_damaged_record_is_none(data):
    keep(data, config())
    (record,) = (data / "cache/checks").iterdir()
    record.write_text(record.read_text().replace('"near": 2', '"near": 3'))
    assert checked_before(config(), data) is None
