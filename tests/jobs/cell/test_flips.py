"""No bit of what a finished cell or run keeps is believed unread: the right value, or it is asked again or named."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys

import pytest

from cluster.files import CHECKSUM, read_jsonl, write_json_atomic
from cluster.run.run_folder import RunFolder
from jobs.cell.answers import Reading, add_answers, answers_of, outcome_of, read_answers
from jobs.cell.asked import Asked, AskedItem
from jobs.cell.cell import Cell
from jobs.cell.mending import mend
from tests.jobs.synthetic_results import answers
from tests.warm import ROOT

ITEMS = 4


@pytest.fixture
def cell(tmp_path):
    return made_cell(tmp_path)


def made_cell(root):
    """A cell of four items that is done."""
    run = RunFolder.at(root, "math", 2, "0123abcd")
    run.create({})
    folder = run.cell("mgsm", "sw", 0)
    records = answers("mgsm", "sw", [True, False, True, True])
    items = tuple(AskedItem(r["id"], f"{n:012x}", r["gold"]) for n, r in enumerate(records))
    asked = Asked("mgsm_sw.tsv", "0123456789ab", 250, items)
    cell = Cell(
        job="evaluate", run=str(run.path), benchmark="mgsm", language="sw", items=ITEMS, max_new_tokens=512,
        questions=asked.questions, setup="5e70b",
    )  # fmt: skip
    asked.write(folder)
    told = [{**record, "question": item.question} for record, item in zip(records, items)]
    add_answers(folder, 512, "5e70b", told)
    reading = Reading(512, asked, asked.questions, "5e70b")
    folder.finish(**outcome_of(cell, reading, read_answers(folder)), setup="5e70b")
    assert cell.done()
    assert not folder.damage()
    return cell


def flips(path, tries):
    """A file with one bit after another turned, spread over all of it."""
    content, draw = path.read_bytes(), random.Random(11)
    places = range(len(content) * 8)
    for place in places if len(places) <= tries else draw.sample(places, tries):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        yield place
    path.write_bytes(content)


def test_an_answer_with_a_turned_bit_is_the_same_or_none(cell):
    before = {record["id"]: record for record in answers_of([cell])}
    assert len(before) == ITEMS
    noticed = 0
    for place in flips(cell.folder.answers, 600):
        read = {record["id"]: record for record in answers_of([cell])}
        assert all(
            all(before[id_][key] == record[key] for key in before[id_]) for id_, record in read.items()
        )
        noticed += len(read) < ITEMS
        if len(read) < ITEMS:
            assert cell.folder.damage(), place
    assert noticed > 500


def test_old_answers_without_checksums_never_break_a_reader(cell):
    lines = [{k: v for k, v in line.items() if k != CHECKSUM} for line in read_jsonl(cell.folder.answers)]
    cell.folder.answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(answers_of([cell])) == ITEMS
    for _ in flips(cell.folder.answers, 600):
        answers_of([cell])


def test_done_with_a_turned_bit_is_not_done_or_says_the_same(cell):
    outcome = cell.folder.outcome()
    for place in flips(cell.folder.done, 1500):
        completion = cell.folder.completion()
        assert cell.done() == completion.holds
        if completion.holds:
            assert {key: completion.outcome[key] for key in outcome} == outcome, place
        else:
            assert completion.fault.startswith("DONE is damaged")
            assert cell.folder.state() == "interrupted"


def test_what_was_asked_is_the_same_or_not_known(cell):
    (path,) = cell.folder.path.glob("asked-*.json")
    before, right = Asked.read(cell.folder, cell.questions), answers_of([cell])
    for _ in flips(path, 800):
        read = Asked.read(cell.folder, cell.questions)
        assert read in (None, before)
        assert answers_of([cell]) == ([] if read is None else right)


@pytest.mark.parametrize("content", [b"", b"\0" * 300, b"[]", b"{}\n", b"null", b"\xff\xfe", b"{" * 5000])
@pytest.mark.parametrize("name", ["DONE", "answers.jsonl", "asked"])
def test_what_is_left_after_a_power_cut_is_no_answer(cell, name, content):
    path = cell.folder.path / name if name != "asked" else cell.folder.asked(cell.questions)
    path.write_bytes(content)
    assert answers_of([cell]) == [] or name == "DONE"
    told = mend([cell])
    assert len(told) == (0 if content == b"{}\n" and name == "DONE" else 1)
    assert not cell.done()


def test_a_lost_answer_leaves_the_others_of_its_cell_and_what_was_asked_before(cell):
    folder = cell.folder
    told = [{**line, "max_new_tokens": 64} for line in read_answers(folder)[:2]]
    for line in told:
        add_answers(folder, 64, "5e70b", [line])
    short = {**folder.outcome(), "items": 2, "max_new_tokens": 64}
    folder.write_done({**folder.outcome(), "earlier": [short]})
    lines = folder.answers.read_bytes().splitlines(keepends=True)
    folder.answers.write_bytes(b"".join([*lines[:2], lines[2].replace(b"sw-0003", b"sw-0009"), *lines[3:]]))
    assert cell.done(), "its size is the same"
    (line,) = mend([cell])
    assert "its answers are damaged" in line
    assert not cell.done()
    assert [one["items"] for one in (folder.outcome(), *folder.outcome()["earlier"])] == [2, 2]
    assert dataclasses.replace(cell, items=2).done()
    assert dataclasses.replace(cell, items=2, max_new_tokens=64).done()
    assert mend([cell]) == [], "said once"


def test_a_done_of_an_earlier_version_is_taken_unless_its_result_is_empty(cell):
    write_json_atomic(cell.folder.done, {"items": ITEMS, "max_new_tokens": 512})
    assert cell.done()
    assert not cell.folder.damage()
    os.truncate(cell.folder.answers, 0)
    assert not cell.done()
    cell.folder.answers.unlink()
    assert not cell.folder.damage(), "nothing tells that there ever were any"
    cell.folder.start()
    assert cell.folder.damage() == "its answers are missing"


def test_answers_may_be_added_under_done(cell):
    add_answers(cell.folder, 64, "other", [{**read_answers(cell.folder)[0]}])
    assert cell.done()
    assert not cell.folder.damage()


def test_a_bridge_with_a_turned_bit_is_found_and_no_longer_done(tmp_path):
    run = RunFolder.at(tmp_path, "math", 1, "0123abcd")
    run.create({})
    run.bridge.mkdir()
    weights = run.bridge / "bridge.safetensors"
    weights.write_bytes(random.Random(2).randbytes(64))
    run.finish(step=9)
    for _ in flips(weights, 512):
        assert run.damage().startswith("its bridge is damaged")
    assert not run.damage()
    for size in (0, 63):
        os.truncate(weights, size)
        assert not run.is_done()
        assert run.state() == "interrupted"
    weights.unlink()
    assert run.completion().fault == "its bridge is missing"


ENDS = """
import os, sys
from pathlib import Path
from cluster import files
from cluster.run import completion
from cluster.run.run_folder import RunFolder

synced = []
real = os.fsync
def fsync(descriptor):
    synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    real(descriptor)
os.fsync = fsync
def write(path, value):
    print("\\n".join(synced), flush=True)
    os.kill(os.getpid(), 9)
completion.write_record = write
RunFolder(Path(sys.argv[1])).finish(step=9)
"""


def test_all_that_done_stands_for_is_on_disk_before_it(tmp_path):
    run = RunFolder.at(tmp_path, "math", 1, "0123abcd")
    run.create({})
    run.bridge.mkdir()
    (run.bridge / "bridge.safetensors").write_bytes(b"weights")
    told = subprocess.run(
        [sys.executable, "-c", ENDS, run.path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == -9, told.stderr
    assert {str(run.bridge / "bridge.safetensors"), str(run.bridge)} <= set(told.stdout.splitlines())
    assert not run.done.exists()
    assert run.state() == "new"
    run.finish(step=9)
    assert run.is_done()
