"""Repeated rows are counted as AFRICA.md counted them, and by the same rule left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from layalign.config import DataConfig
from layalign.data.left_out import LeftOut
from layalign.data.repeats import RepeatCounter, Repeats
from layalign.data.sources import used_rows

pytestmark = pytest.mark.core

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[3].parent / "shared/data")
NLLB = ["am", "ee", "fr", "ha", "ig", "lg", "ln", "om", "rw", "sn", "st", "sw", "tw", "wo", "xh", "yo", "zu"]
WHOLE = Path(os.environ.get("LAYALIGN_NLLB_9K", "/nowhere"))
"""`datas/african_bilingual_pairs` of davidguzmanr/LayAlign@321e2b6, 9,000 lines a language, where somebody has it."""
REPEATED = {
    "ee": 4472, "tw": 4178, "wo": 4093, "lg": 4062, "om": 3591, "am": 3449, "ln": 3243, "ig": 3143, "rw": 2929,
    "sn": 2013, "xh": 1965, "sw": 1678, "zu": 530, "fr": 441, "ha": 136, "st": 121, "yo": 103,
}  # fmt: skip
"""AFRICA.md, trap 6."""


def counted(place, deduplicate="none"):
    data = DataConfig(
        reader="lego", path=str(place), languages=NLLB, max_source=9, max_target=9, deduplicate=deduplicate
    )
    counter, left_out = RepeatCounter(), LeftOut()
    for row, _ in used_rows(data, None, left_out):
        counter.add(row.language.code, row.source, row.target)
    return counter.of, left_out


def test_repeats_are_rows_less_different_ones_by_language():
    counter = RepeatCounter()
    for language, source, target in [
        ("sw", "a", "x"), ("sw", "a", "y"), ("sw", "b", "x"), ("sw", "a", "x"), ("yo", "a", "x")
    ]:  # fmt: skip
        counter.add(language, source, target)
    assert counter.of == {"sw": Repeats(4, 2, 2, 1), "yo": Repeats(1, 0, 0, 0)}


def test_what_one_side_ends_with_is_not_what_the_other_begins_with():
    counter = RepeatCounter()
    counter.add("sw", "ab", "c")
    counter.add("sw", "a", "bc")
    assert counter.of == {"sw": Repeats(2, 0, 0, 0)}


@pytest.mark.skipif(not (DATA / "nllb_bitext_africa").is_dir(), reason="no real samples here")
def test_the_first_100_rows_of_nllb():
    of, _ = counted(DATA / "nllb_bitext_africa")
    for code, repeats in of.items():
        folder = DATA / f"nllb_bitext_africa/en-{code}"
        sources = (folder / f"train_9k.{code}").read_text(encoding="utf-8").split("\n")[:-1]
        targets = (folder / "train_9k.en").read_text(encoding="utf-8").split("\n")[:-1]
        different = [len(set(rows)) for rows in (sources, targets, zip(sources, targets))]
        assert repeats == Repeats(100, *(100 - count for count in different)), code
    left, left_out = counted(DATA / "nllb_bitext_africa", "source")
    assert {code: 100 - repeats.rows for code, repeats in left.items()} == {
        code: left_out.repeated[code] for code in NLLB
    }
    assert not any(repeats.source for repeats in left.values())


@pytest.mark.skipif(not WHOLE.is_dir(), reason="LAYALIGN_NLLB_9K names no folder")
def test_the_first_9000_rows_of_nllb_repeat_as_counted():
    of, _ = counted(WHOLE)
    assert {code: repeats.source for code, repeats in of.items()} == REPEATED
    _, left_out = counted(WHOLE, "source")
    assert left_out.repeated == REPEATED
