"""What a share asked is kept with the text of its first questions, and records without texts are still read."""

from __future__ import annotations

import json

import pytest

from cluster.files import sealed
from cluster.run.run_folder import RunFolder
from jobs.cell.asked import TEXTS, Asked, asked_of
from layalign.evaluation.benchmarks import Item


@pytest.fixture
def asked(tmp_path):
    path = tmp_path / "mgsm_sw.tsv"
    path.write_text("Tatu?\t3\n")
    items = [
        Item(id=f"mgsm-sw-{n:04d}", language="sw", source=f"Swali {n}?", prompt=f"Jibu {n}", gold=float(n))
        for n in range(60)
    ]
    return asked_of([path], items, 0)


def test_the_first_questions_are_kept_as_the_encoder_reads_them(asked, tmp_path):
    assert len(asked.texts) == TEXTS
    assert asked.texts["mgsm-sw-0002"] == "Swali 2?"
    folder = RunFolder(tmp_path / "run-s2-0123abcd").cell("mgsm", "sw", 0)
    asked.write(folder)
    assert Asked.read(folder, asked.questions) == asked


@pytest.mark.parametrize(
    ("texts", "whole"), [(None, False), ({}, True), ("missing", True), ([1], False), (3, False)]
)
def test_records_without_texts_are_read_and_damaged_ones_hide_what_was_asked(asked, tmp_path, texts, whole):
    folder = RunFolder(tmp_path / "run-s2-0123abcd").cell("mgsm", "sw", 0)
    asked.write(folder)
    path = folder.asked(asked.questions)
    told = json.loads(path.read_text())
    told = {key: value for key, value in told.items() if key not in ("texts", "record_checksum")}
    if texts != "missing":
        told["texts"] = texts
    path.write_text(json.dumps(told))
    found = Asked.read(folder, asked.questions)
    assert (found is not None) == whole
    assert found is None or (found.items, found.texts) == (asked.items, {})


def test_a_record_of_before_is_read_as_it_was(asked, tmp_path):
    folder = RunFolder(tmp_path / "run-s2-0123abcd").cell("mgsm", "sw", 0)
    asked.write(folder)
    path = folder.asked(asked.questions)
    told = json.loads(path.read_text())
    before = {key: told[key] for key in ("file", "checksum", "of", "items")}
    path.write_text(json.dumps(sealed(before)))
    found = Asked.read(folder, asked.questions)
    assert found is not None
    assert (found.items, found.texts, found.questions) == (asked.items, {}, asked.questions)
