"""`launch.py generate` on the tiny world: from arguments, a file, the standard input."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from unittest import mock

import pytest

import launch

QUESTIONS = ["a b c", "tom", "a b a b"]


@pytest.fixture
def ask(trained_folder: Path, monkeypatch, capsys):
    """`launch.py generate` in this process: its status, its output and its messages."""
    monkeypatch.setenv("LAYALIGN_RUNS", str(trained_folder / "runs"))
    monkeypatch.setenv("LAYALIGN_CACHE", str(trained_folder / "cache"))

    def ask(*words: str | Path, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        with mock.patch.dict(os.environ):  # a job sets its rank there
            try:
                status = launch.main(["generate", *map(str, words)])
            except SystemExit as left:
                status = left.code
        return status, *capsys.readouterr()

    return ask


def objects(told: tuple[int, str, str]) -> list[dict]:
    assert told[0] == 0, told
    return [json.loads(line) for line in told[1].splitlines()]


def test_questions_come_from_arguments_a_file_or_the_standard_input(ask, tmp_path):
    first = objects(ask("--run", "tiny-layalign", "--json-lines", *QUESTIONS))
    assert [one["question"] for one in first] == QUESTIONS
    assert set(first[0]) == {"question", "answer", "tokens", "finish", "truncated"}
    (tmp_path / "q.txt").write_text("\n".join([QUESTIONS[0], "", *QUESTIONS[1:]]) + "\n")
    assert objects(ask("--run", "tiny", "--json-lines", "--file", tmp_path / "q.txt")) == first
    assert objects(ask("--run", "tiny", "--json-lines", typed="\n".join(QUESTIONS))) == first
    assert ask("--run", "tiny", QUESTIONS[1])[1] == first[1]["answer"] + "\n"


def test_on_a_terminal_words_are_shown_as_they_come(ask, monkeypatch):
    (one,) = objects(ask("--run", "tiny", "--json-lines", "tom"))
    typed = io.StringIO("tom\n\nnever read\n")
    typed.isatty = lambda: True
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with mock.patch("io.StringIO", return_value=typed):
        status, out, messages = ask("--run", "tiny")
    assert (status, out.split()) == (0, one["answer"].split())
    assert messages.startswith("a question a line; an empty line ends\n> ")


@pytest.mark.parametrize(("words", "said"), [
    (("--run", "tinny", "a"), "there is no run 'tinny'"),
    (("--run", "tiny", "a", "--language", "Swahilli"), "unknown language 'Swahilli'"),
    (("--run", "tiny", "a", "--file", "x"), "--file has the questions"),
    (("--run", "tiny", " "), "a question is empty"),
    (("--run", "tiny", "--file", "none.txt"), "none.txt cannot be read: "),
    (("--run", "tiny", "a", "-o", "model.method=llm"), "the overrides would make another run"),
    (("--run", "tiny", "a", "--prompt", "maths"), "did you mean math?"),
    (("--run", "tiny"), "there is no question"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(ask, words, said):
    status, out, messages = ask(*words, typed="\n \n")
    assert status == 2
    assert said in out + messages


def test_an_encoder_that_is_told_its_language_is_seen_before_anything_is_queued(
    ask, trained_folder, monkeypatch
):
    monkeypatch.setattr("jobs.cli.generate_command.read_config", lambda _: {"model_type": "m2m_100"})
    status, out, messages = ask("--run", "tiny", "a", "--dry-run")
    assert status == 2
    assert "say which it is, e.g. --language sw" in out + messages
    assert ask("--run", "tiny", "a", "--dry-run", "--language", "sw")[0] == 0


def test_what_was_cut_is_told(ask):
    status, _, messages = ask("a b " * 40, "--run", "tiny", "-o", "evaluation.max_new_tokens=1")
    assert "question 1 was cut: the encoder reads 64 tokens" in messages
    assert "answer 1 ends at 1 tokens" in messages
    assert status == 0


def test_a_cluster_is_asked_for_one_gpu_for_half_an_hour(ask):
    status, out, _ = ask("--run", "tiny", "a", "--cluster", "narval", "--account", "def-prof", "--dry-run")
    assert status == 0
    assert "1 x a100" in out
    assert "30 min" in out
