"""Which examples are set aside: through the readers, as a recipe would."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from unicodedata import normalize

import datasets
import pytest

from layalign.config import DataConfig
from layalign.data.batching import groups, split_dev
from layalign.data.dev import split
from layalign.data.sources import read

pytestmark = pytest.mark.core

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[3].parent / "shared/data")
LABELS = ("entailment", "neutral", "contradiction")


class Set:
    """Examples, split."""

    def __init__(self, reader, path, languages, folder=None, dev=10, seed=0, rule="question", **fields):
        data = DataConfig(
            reader=reader, path=str(path), languages=languages, max_source=9, max_target=9, **fields
        )
        examples = [asdict(example) for example in read(data, folder, text=False)]
        self.dataset = datasets.Dataset.from_list(examples)
        self.split = split(self.dataset, dev, seed, lambda row: examples[row]["target"], rule)
        self.train = [examples[row] for row in self.split.train]
        self.dev = [examples[row] for row in self.split.dev]

    def straddling(self, *names):
        """What stands in train and in dev."""
        train, dev = ({tuple(row[name] for name in names) for row in part} for part in (self.train, self.dev))
        return train & dev


def jsonl(path, rows):
    rows = [dict(zip(("src", "tgt", "language", "group"), row)) for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("reader", ["jsonl", "tsv", "pairs"])
def test_a_dev_set_holds_no_whole_class(tmp_path, reader, seed):
    rows = [(f"swali {n}", LABELS[n % 3]) for n in range(600)]
    if reader == "jsonl":
        path = jsonl(tmp_path / "rows.jsonl", rows)
    elif reader == "tsv":
        path = tmp_path
        write(path / "sw.tsv", map("\t".join, rows))
    else:
        path = tmp_path
        write(path / "train.sw", (source for source, _ in rows))
        write(path / "train.en", (target for _, target in rows))
    told = Set(reader, path, ("sw",), seed=seed)
    assert len(told.dev) == 10
    assert set(Counter(row["target"] for row in told.train)) == set(LABELS)
    assert len({row["target"] for row in told.dev}) > 1
    assert told.split.told["same"] == "source"
    assert "10 of 600 examples, 10 of 600 groups with the same source: sw 10" in told.split.line()
    assert all(f"{label!r} " in told.split.line() for label in {row["target"] for row in told.dev})


def test_parallel_questions_stay_together_where_the_target_is_a_label(tmp_path):
    codes, rows = ("sw", "yo", "ha", "en"), []
    for code in codes:
        rows += [(f"{code} {n}", random.Random(n).choice(LABELS), code) for n in range(300)]
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), codes, dev=40)
    assert len(told.dev) == 40
    assert told.straddling("place") == set()
    assert Counter(row["language"] for row in told.dev) == dict.fromkeys(codes, 10)
    assert told.split.told["same"] == "source or place in their languages"


def test_a_language_in_another_order_does_not_spoil_those_that_are_parallel(tmp_path):
    codes, rows = ("sw", "yo", "ha", "ln"), []
    for code in codes:
        of = [random.Random(n).choice(LABELS) for n in range(300)]
        if code == "ln":
            random.Random(0).shuffle(of)
        rows += [(f"{code} {n}", label, code) for n, label in enumerate(of)]
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), codes, dev=30)
    dev = {(row["language"], row["place"]) for row in told.dev}
    parallel = [{place for code, place in dev if code == spoken} for spoken in ("sw", "yo", "ha")]
    assert parallel[0] == parallel[1] == parallel[2] != {place for code, place in dev if code == "ln"}


def test_questions_that_are_not_parallel_are_split_one_by_one(tmp_path):
    draw = random.Random(1)
    rows = [(f"{code} {n}", draw.choice(LABELS), code) for code in ("sw", "yo") for n in range(300)]
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw", "yo"))
    assert len(told.dev) == 10
    assert told.split.told["same"] == "source"


def test_a_repeated_source_and_a_shared_english_side_never_straddle(tmp_path):
    draw, lines = random.Random(0), {}
    for code in ("sw", "yo", "ha"):
        pairs = [(f"{code} {draw.randrange(3000)}", f"english {draw.randrange(3000)}") for _ in range(600)]
        pairs += draw.sample(pairs, 60)
        lines[code] = pairs
        write(tmp_path / f"en-{code}/train.{code}", (source for source, _ in pairs))
        write(tmp_path / f"en-{code}/train.en", (target for _, target in pairs))
    told = Set("lego", tmp_path, tuple(lines), dev=100)
    assert told.straddling("source") == told.straddling("target") == set()
    assert 100 <= len(told.dev) <= 110
    assert told.split.told["same"] == "source or target"
    old = Set("lego", tmp_path, tuple(lines), dev=100, rule="target")
    assert old.straddling("source") != set()


def test_the_old_rule_is_the_old_split(tmp_path):
    rows = [(f"sw {n % 70}", f"english {n}") for n in range(300)]
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",), rule="target")
    train, dev = split_dev(groups(told.dataset), 10, 0)
    assert told.split.train.tolist() == train.tolist()
    assert told.split.dev.tolist() == dev.tolist()


def test_where_no_source_is_repeated_the_split_is_the_old_one(tmp_path):
    rows = [(f"{code} {n}", f"english {n}", code) for code in ("sw", "yo") for n in range(300)]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    new, old = (Set("jsonl", path, ("sw", "yo"), rule=rule) for rule in ("question", "target"))
    assert new.split.dev.tolist() == old.split.dev.tolist()


def test_a_group_of_the_file_counts_before_the_target(tmp_path):
    rows = [(f"sw {n}", f"english {n}", "sw", n // 4) for n in range(200)]
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",))
    assert told.straddling("group") == set()
    assert len(told.dev) == 12
    assert told.split.told["same"] == "source or group of the file"


def test_the_last_question_of_an_answer_stays_in_training(tmp_path):
    rows = [(f"sw {n}", "yes" if n % 2 else "no") for n in range(60)] + [("sw rare", "maybe")]
    for seed in range(30):
        told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",), dev=40, seed=seed)
        assert {row["target"] for row in told.train} == {"yes", "no", "maybe"}
        assert told.split.told["answers"]["maybe"] == [1, 0]
    with pytest.raises(
        ValueError, match=r"data.dev is 59, but of 61 examples in 61 groups only 58 can be set aside"
    ):
        Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",), dev=59)


def test_even_two_questions_of_each_label_are_told_from_a_translation(tmp_path):
    for seed in range(5):
        rows = [(f"sw {n}", LABELS[n % 3]) for n in range(6)]
        told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",), dev=2, seed=seed)
        assert len(told.dev) == 2
        assert {row["target"] for row in told.train} == set(LABELS)


def test_a_source_is_the_same_whichever_way_its_accents_are_written(tmp_path):
    forms = ("NFC", "NFD")
    rows = [(normalize(forms[k], f"swáli é{n}"), f"english {n} {k}") for n in range(100) for k in (0, 1)]
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",), dev=20)
    assert {normalize("NFC", row["source"]) for row in told.train}.isdisjoint(
        normalize("NFC", row["source"]) for row in told.dev
    )


def test_a_common_answer_among_many_others_is_split_by_question(tmp_path):
    rows = [(f"sw {n}", "yes" if n % 3 == 0 else f"answer {n}") for n in range(900)]
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",), dev=90)
    assert len(told.dev) == 90
    assert 10 < Counter(row["target"] for row in told.dev)["yes"] < 60


def test_a_sentence_that_is_everywhere_does_not_fill_the_dev_set(tmp_path):
    rows = [(f"sw {n // 250 if n < 250 else n}", f"english {n}") for n in range(1000)]
    for seed in range(10):
        told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw",), dev=50, seed=seed)
        assert len(told.dev) == 50
        assert "sw 0" not in {row["source"] for row in told.dev}


def test_without_a_dev_set_nothing_is_told(tmp_path):
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", [("moja", "one")]), ("sw",), dev=0)
    assert (told.split.told, told.split.line(), len(told.train)) == ({}, "", 1)


@pytest.mark.skipif(
    not (DATA / "nllb_bitext_africa").is_dir(), reason=f"no NLLB in {DATA}; set LAYALIGN_DATA"
)
def test_no_line_of_nllb_stands_on_both_sides():
    codes = tuple("am ee fr ha ig lg ln om rw sn st sw tw wo xh yo zu".split())  # noqa: SIM905
    for seed in range(3):
        told = Set("lego", "nllb_bitext_africa", codes, DATA, dev=100, seed=seed)
        assert told.straddling("source") == told.straddling("target") == set()
        assert 100 <= len(told.dev) < 117
    assert Set("lego", "nllb_bitext_africa", codes, DATA, dev=100, rule="target").straddling("source")


@pytest.mark.skipif(not (DATA / "mgsm").is_dir(), reason=f"no MGSM in {DATA}; set LAYALIGN_DATA")
def test_translations_of_a_problem_with_a_number_as_its_target_stay_together():
    told = Set("tsv", "mgsm", ("bn", "th", "sw", "de"), DATA, dev=40)
    assert told.straddling("place") == set()
    assert 40 <= len(told.dev) < 44


@pytest.mark.skipif(not (DATA / "xcopa").is_dir(), reason=f"no XCOPA in {DATA}; set LAYALIGN_DATA")
def test_a_real_question_of_two_choices_loses_no_class(tmp_path):
    rows = []
    for code in ("sw", "th", "vi"):
        for line in (DATA / f"xcopa/test.{code}.jsonl").read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            rows.append((f"{told['premise']} {told['choice1']} {told['choice2']}", str(told["label"]), code))
    told = Set("jsonl", jsonl(tmp_path / "rows.jsonl", rows), ("sw", "th", "vi"), dev=150)
    assert 150 <= len(told.dev) < 153
    assert told.straddling("place") == set()
    assert min(Counter(row["target"] for row in told.dev).values()) > 30
