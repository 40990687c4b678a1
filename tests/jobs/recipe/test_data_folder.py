"""Which data folder an evaluation reads: the one that is named, for the miniature too."""

from __future__ import annotations

import pytest

from jobs.recipe.context import How, Where, context_of
from jobs.recipe.plan import load_recipe
from jobs.work.start import data_folder
from layalign.recipe import resolve

MINI, REAL = "mini://decoder", "org/llm"


@pytest.mark.parametrize(
    ("typed", "decoder", "own"),
    [(True, MINI, False), (False, MINI, True), (True, REAL, False), (False, REAL, False)],
)
def test_the_variable_is_of_real_data_and_the_option_of_what_is_asked(
    tmp_path, monkeypatch, typed, decoder, own
):
    monkeypatch.setenv("LAYALIGN_DATA", str(tmp_path))
    where = Where(cluster="local", data=str(tmp_path) if typed else None)
    asked = context_of(where, How()).asked_of(decoder)
    assert asked.data == (None if own else tmp_path)


def test_a_job_on_the_miniature_reads_the_folder_that_it_is_told(tmp_path):
    config = resolve(load_recipe("mini"), 2, ())
    assert data_folder({"data": str(tmp_path)}, config) == tmp_path
    own = data_folder({"data": None}, config)
    assert own
    assert own.name == "data"
    assert own.parent.name.startswith("world-")
