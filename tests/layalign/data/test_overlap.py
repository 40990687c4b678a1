"""Questions of a benchmark are found in training texts: the same, nearly the same, or inside longer ones."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layalign.data.overlap import LONG, NEAR, Questions, normal, pieces
from layalign.data.text import Text

pytestmark = pytest.mark.core

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[3].parent / "shared/data")
SWAHILI = (
    "Bata wa Janet hutaga mayai 16 kwa siku. Yeye hula matatu kwa kiamsha kinywa kila asubuhi na huwaokea marafiki "
    "zake maandazi kwa kutumia manne kila siku."
)
SHORT = "Tatu na moja ni ngapi?"


def questions(*sources):
    return Questions(
        Text(f"mgsm-sw-{at:04d}", "sw", source, None, "1") for at, source in enumerate(sources, 1)
    )


@pytest.mark.parametrize(
    "text",
    [
        SWAHILI,
        SWAHILI.upper(),
        SWAHILI.replace(" ", "  ").replace(".", " !"),
        f"\u200b«{SWAHILI}»\n",
        SWAHILI.replace("16", "１６"),
    ],
)
def test_the_same_question_whatever_its_case_spaces_and_punctuation(text):
    match = questions("Habari?", SWAHILI).find(text)
    assert (match.question.where, match.same, match.share) == ("mgsm-sw-0002", True, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        SWAHILI.replace("16", "18"),
        SWAHILI.replace("Janet", "Amina").replace("matatu", "mawili"),
        SWAHILI[:-20],
        f"Swali: {SWAHILI} Jibu:",
        f"{SHORT} {SWAHILI} {SWAHILI[::-1] * 3}",
    ],
)
def test_a_question_with_small_edits_or_inside_a_longer_text_is_near(text):
    match = questions(SHORT, SWAHILI).find(text)
    assert (match.question.where, match.same) == ("mgsm-sw-0002", False)
    assert NEAR <= match.share <= 1


def test_other_texts_of_the_language_are_not_near():
    known = questions(SHORT, SWAHILI, "Habari")
    for text in (
        "Ndege wa Janet hula nafaka kwa siku. Yeye huenda sokoni kila asubuhi na kuwauzia majirani zake matunda.",
        "Habari za asubuhi, ndugu yangu mpendwa",
        "Saba mara tisa ni kiasi gani?",
        "",
        "?",
    ):
        assert known.find(text) is None, text


def test_a_short_question_must_be_like_the_whole_text():
    assert questions(SHORT).find(f"{SHORT} Kisha uandike barua ndefu kwa rafiki yako wa zamani.") is None
    assert questions(SHORT).find(f"Je, {SHORT}") is not None


def test_questions_without_a_letter_are_no_question():
    assert questions("...", "?").find("...") is None


def test_the_nearest_of_several_is_told():
    known = questions(SWAHILI.replace("16", "12").replace("marafiki", "majirani"), SWAHILI)
    assert known.find(SWAHILI.replace("16", "18")).question.where == "mgsm-sw-0002"


KNOWN = ["bata", "mayai", "siku", "kila", "moja", "mbili", "wa", "na", "kwa", "ni", "gani"]
WORDS = st.lists(st.sampled_from(KNOWN), min_size=1)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8), WORDS)
def test_the_filter_loses_nothing(asked, text):
    sources, told = [" ".join(words) for words in asked], " ".join(text)

    def share(source):
        ours, theirs = pieces(normal(source)), pieces(told)
        return len(ours & theirs) / (len(ours) if len(ours) >= LONG else len(ours | theirs))

    best = max(map(share, sources))
    found = questions(*sources).find(told)
    assert (found is not None) == (best >= NEAR or told in sources)
    if found:
        assert found.share == best


@pytest.mark.skipif(not (DATA / "mgsm").is_dir(), reason="no real data here")
def test_real_questions_are_found_among_real_text_and_nothing_else_is():
    lines = (DATA / "mgsm/mgsm_sw.tsv").read_text(encoding="utf-8").splitlines()
    known = questions(*(line.split("\t")[0] for line in lines))
    for line in lines:
        match = known.find(line.split("\t")[0])
        assert match.same
    sw = (DATA / "nllb_bitext_africa/en-sw/train_9k.sw").read_text(encoding="utf-8").splitlines()
    thai = (DATA / "mgsm/mgsm_th.tsv").read_text(encoding="utf-8").splitlines()
    assert not [text for text in (*sw, *thai) if known.find(text)]
    dropped = random.Random(0)
    for line in lines[:60]:
        words = line.split("\t")[0].split()
        words.pop(dropped.randrange(len(words)))
        assert known.find(" ".join(words)).question.source == line.split("\t")[0]
