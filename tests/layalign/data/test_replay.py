"""Replay: a share of another set, drawn by the seed alone, among the rows of a stage."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jobs.recipe.plan import load_recipe
from jobs.recipe.prefetch import wanted
from layalign.config import RunConfig
from layalign.data.replay import drawn
from layalign.recipe import resolve

pytestmark = pytest.mark.core

REPLAY = "data.replay={set: metamath-africa, share: 0.25}"


@pytest.mark.parametrize(
    ("share", "among", "rows"), [(0.1, 900, 100), (0.5, 10, 10), (0.25, 300, 100), (0.001, 9, 1)]
)
def test_the_share_is_of_all_examples(share, among, rows):
    pool = np.arange(5, 505)
    found = drawn(pool, among, share, 0)
    assert len(found) == len(set(found.tolist())) == rows
    assert set(found.tolist()) <= set(pool.tolist())
    assert (np.diff(found) > 0).all()


def test_the_seed_alone_decides():
    pool = np.arange(1000)
    first = drawn(pool, 100, 0.5, 3)
    assert np.array_equal(first, drawn(pool, 100, 0.5, 3))
    assert not np.array_equal(first, drawn(pool, 100, 0.5, 4))


def test_too_large_a_share_is_refused_with_one_that_will_do():
    with pytest.raises(
        ValueError, match=r"is 100 rows, and there are 60 to replay: set data.replay.share to 0.375"
    ) as said:
        drawn(np.arange(60), 100, 0.5, 0)
    share = float(str(said.value).partition("share to ")[2].split()[0])
    assert len(drawn(np.arange(60), 100, share, 0)) <= 60


def test_a_recipe_names_what_is_replayed_and_limits_are_those_of_the_stage():
    recipe = load_recipe("math")
    plain, config = resolve(recipe, 1), resolve(recipe, 1, [f"stages.1.{REPLAY}"])
    assert resolve(recipe, 2, [f"stages.1.{REPLAY}"]) == resolve(recipe, 2)
    replayed = config.reads.replayed
    assert (replayed.reader, replayed.path, len(replayed.languages)) == (
        "math",
        "african_query_translation/math.json",
        17,
    )
    assert (replayed.max_source, replayed.max_prompt, replayed.max_target) == (200, 2048, 200)
    assert (replayed.limit, replayed.dev, replayed.replay) == (None, 0, None)
    assert RunConfig.from_dict(config.to_dict()) == config
    assert "set" not in config.to_dict()["data"]["replay"]
    assert config.signature() != plain.signature()
    other = resolve(recipe, 1, [f"stages.1.{REPLAY}", "stages.1.data.replay.share=0.5"])
    assert other.signature() not in (plain.signature(), config.signature())
    languages = resolve(recipe, 1, [REPLAY, "data.replay.languages=[sw]"]).data.replay.languages
    assert languages == ("sw",)
    hub = resolve(recipe, 1, ["data.replay={set: opus-100, share: 0.1}"])
    assert "Helsinki-NLP/opus-100" in {one.name for one in wanted(hub)}


@pytest.mark.parametrize(
    ("replay", "told"),
    [
        ("{set: metamath-afrika, share: 0.1}", "did you mean metamath-africa?"),
        ("{set: metamath-africa}", "data.replay.share is missing"),
        ("{set: metamath-africa, share: 1}", "data.replay.share is 1.0: it must be above 0 and below 1"),
        ("{set: metamath-africa, share: 0}", "must be above 0"),
        (
            "{set: metamath-africa, share: 0.1, lmit: 3}",
            "unknown key data.replay.lmit; did you mean data.replay.limit?",
        ),
        ("{set: metamath-africa, share: 0.1, languages: []}", "data.replay.languages"),
        ("{set: metamath-africa, share: 0.1, replay: {share: 1}}", "unknown key data.replay.replay"),
        ("metamath-africa", "must be keys and values or null"),
    ],
)
def test_a_replay_that_cannot_be_is_refused(replay, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        resolve(load_recipe("math"), 1, [f"data.replay={replay}"])
