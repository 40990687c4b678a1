"""The ends and the tracebacks of logs, also of very large ones."""

from __future__ import annotations

import resource

import pytest

from cluster.logs.read import (
    BEGIN,
    LogPart,
    first_error,
    host_of,
    last_lines,
    last_start,
    last_words,
    places,
    tracebacks,
)

PLAIN = """\
Traceback (most recent call last):
  File "/code/jobs/train.py", line 44, in run
    result = fit(
ValueError: rows differ
  in two lines
"""
CHAIN = """\
Traceback (most recent call last):
  File "/lib/hub.py", line 470, in cached_files
    hf_hub_download(
huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the disk cache

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/code/layalign/model/store.py", line 150, in load
    AutoModel.from_pretrained(name)
OSError: We couldn't connect to 'https://huggingface.co' to load the files
Check your internet connection
"""
PEER = """\
[rank2]: Traceback (most recent call last):
[rank2]:   File "/code/layalign/training/step.py", line 80, in total
[rank2]:     dist.all_reduce(sums)
[rank2]: torch.distributed.DistBackendError: NCCL error: remote process exited or there was a network error
"""


def part(tmp_path, text, **span):
    path = tmp_path / "14_0_0_log.out"
    path.write_bytes(text.encode())
    return LogPart(path, **span)


def test_last_lines_tell_whether_they_are_all(tmp_path):
    log = part(tmp_path, "".join(f"step {n}\n" for n in range(1000)))
    assert last_lines(log, 3) == (["step 997", "step 998", "step 999"], False)
    assert last_lines(LogPart(log.path, log.path.stat().st_size - len("step 999\n")), 3) == (
        ["step 999"],
        True,
    )


def test_a_line_that_is_not_ended_a_bar_and_what_submitit_says(tmp_path):
    text = "submitit INFO (now) - Starting\n 10%|#\r 90%|#########\r100%|##########\nstill being"
    assert last_lines(part(tmp_path, text), 9) == (["100%|##########", "still being"], True)


def test_no_log_and_an_empty_one_have_no_lines(tmp_path):
    assert last_lines(LogPart(tmp_path / "none"), 5) == ([], True)
    assert last_lines(part(tmp_path, ""), 5) == ([], True)
    assert list(tracebacks(LogPart(tmp_path / "none"))) == []


def test_a_log_that_was_cut_short_is_read_from_its_beginning(tmp_path):
    assert last_lines(part(tmp_path, "a\nb\n", begin=100), 5) == (["a", "b"], True)


def test_a_traceback_ends_with_its_message_and_before_what_follows(tmp_path):
    log = part(tmp_path, f"step 1\n{PLAIN}ValueError: rows differ\n  exit code: 1\nsrun: error: node1\n")
    (trace,) = tracebacks(log)
    assert trace.errors == ["ValueError: rows differ\n  in two lines"]
    assert trace.frame == 'File "/code/jobs/train.py", line 44, in run'
    assert trace.lines[-1] == "  in two lines"


def test_linked_tracebacks_are_one(tmp_path):
    (trace,) = tracebacks(part(tmp_path, CHAIN + "\nsomething else\n"))
    assert [error.partition(":")[0].rpartition(".")[2] for error in trace.errors] == [
        "LocalEntryNotFoundError",
        "OSError",
    ]
    assert trace.lines[-1] == "Check your internet connection"
    assert not trace.lost_peer


def test_tracebacks_that_a_diagnosis_quotes_are_no_tracebacks(tmp_path):
    quoted = "".join(f"    {line}\n" for line in PLAIN.splitlines())
    assert (
        list(tracebacks(part(tmp_path, f"ValueError: rows differ\n  last lines of the log:\n{quoted}"))) == []
    )


def test_the_first_error_is_not_one_that_only_lost_a_peer(tmp_path):
    trace = first_error(part(tmp_path, PEER + "\n" + PLAIN + "\n" + CHAIN))
    assert trace.errors[0].startswith("ValueError")
    only = first_error(part(tmp_path, PEER))
    assert only.lost_peer
    assert only.lines[0] == "Traceback (most recent call last):"  # the label of the rank is taken off
    assert only.errors == [
        "torch.distributed.DistBackendError: NCCL error: remote process exited or there was a network error"
    ]


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/code/jobs/train.py", line 44, in run
  |     fit()
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/code/layalign/data/files.py", line 31, in locate
    |     open(path)
    | ValueError: rows differ
    |   in two lines
    +---------------- 2 ----------------
    | KeyError: 'labels'
    +------------------------------------
"""


@pytest.mark.parametrize("label", ["", "[rank3]: "])
def test_a_group_of_exceptions_says_what_the_first_of_them_says(tmp_path, label):
    text = "".join(f"{label}{line}\n" for line in GROUP.splitlines()) + "srun: error: node1: task 3\n"
    (trace,) = tracebacks(part(tmp_path, text))
    assert trace.errors == [
        "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)",
        "KeyError: 'labels'",
        "ValueError: rows differ\n  in two lines",
    ]
    assert trace.name == "ValueError"
    assert trace.frame == 'File "/code/layalign/data/files.py", line 31, in locate'
    assert trace.lines[-1] == "    +------------------------------------"


@pytest.mark.parametrize(
    "heading",
    [
        "Exception ignored in: <function f at 0x2b>",
        "Exception ignored in atexit callback: <function f at 0x2b>",
        "Exception in thread Thread-1 (f):",
        "--- Logging error ---",
        "[rank1]: Exception ignored in: <function f at 0x2b>",
    ],
)
def test_an_exception_that_ended_no_process_is_no_error(tmp_path, heading):
    label = "[rank1]: " if heading.startswith("[") else ""
    text = f"{heading}\n" + "".join(f"{label}{line}\n" for line in PLAIN.splitlines())
    log = part(tmp_path, f"step 1\n{text}")
    assert first_error(log) is None
    assert len(list(tracebacks(log, passed_over=True))) == 1
    assert first_error(part(tmp_path, text + CHAIN)).errors[-1].startswith("OSError")


def test_the_last_words_begin_behind_the_last_sign_of_progress(tmp_path):
    line = "step 40/900  loss 0.5521  lr 2.9e-05"
    log = part(tmp_path, f"a\u00e9\n{line}\nb\u00e9\n{line}\n{PLAIN}")
    begin, end = last_words(log).span()
    assert log.read(begin, end).decode() == PLAIN
    assert last_words(part(tmp_path, "a\nb\n")).span() == (0, 4)
    assert last_words(part(tmp_path, f"a\n{line}")).span() == (len(f"a\n{line}"), len(f"a\n{line}"))
    assert last_words(LogPart(tmp_path / "none")).span() == (0, 0)


def test_a_process_that_was_told_to_end_is_not_the_first_error(tmp_path):
    stopped = PLAIN.replace("ValueError: rows differ\n  in two lines", "KeyboardInterrupt")
    assert first_error(part(tmp_path, f"{stopped}\n{PLAIN}")).name == "ValueError"
    assert first_error(part(tmp_path, stopped)).name == "KeyboardInterrupt"


def test_a_reason_that_is_known_chooses_the_traceback(tmp_path):
    log = part(tmp_path, PLAIN + "\nstep 2\n" + CHAIN)
    assert (
        first_error(log, "OSError: We couldn't connect to 'https://huggingface.co'")
        .errors[-1]
        .startswith("OSError")
    )
    assert first_error(log, "something that nobody printed").errors == [
        "ValueError: rows differ\n  in two lines"
    ]


def test_what_lies_before_and_behind_a_part_is_not_seen(tmp_path):
    whole = PLAIN + "\nnext cell\n" + CHAIN
    log = part(tmp_path, whole, begin=len(PLAIN), end=len(PLAIN) + len("\nnext cell\n"))
    assert list(tracebacks(log)) == []
    assert last_lines(log, 9) == (["", "next cell"], True)


def test_a_mark_is_found_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("cluster.logs.read.BLOCK", 7)
    text = "x" * 20 + PLAIN + "y" * 5 + "\n" + PLAIN
    assert len(list(places(part(tmp_path, text), b"Traceback (most recent"))) == 2


def test_the_node_and_the_last_start_of_a_process(tmp_path):
    start = (
        "submitit INFO (2026-11-25 18:05:07,383)"
        + BEGIN.decode()
        + "job_id={}, hostname={}, local_rank=0(1))\n"
    )
    first, second = start.format(14, "ng10101"), start.format(14, "ng30202")
    log = part(tmp_path, first + "step 1\n" + second + "step 2\n")
    at = len(first) + len("step 1\n")
    assert last_start(log.path) == at
    assert host_of(log) == "ng10101"
    assert host_of(LogPart(log.path, at)) == "ng30202"


def test_of_a_large_log_only_the_end_is_read(tmp_path):
    path = tmp_path / "14_0_log.out"
    with path.open("wb") as file:
        file.truncate(300 * 2**20)
        file.seek(0, 2)
        file.write(b"\nthe end\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = []
    lines, whole = last_lines(Counting(path, read), 3)
    assert lines[-1] == "the end"
    assert not whole
    assert sum(read) < 8 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


class Counting(LogPart):
    """Notes how much of the file is read."""

    def __init__(self, path, read):
        super().__init__(path)
        object.__setattr__(self, "sizes", read)

    def read(self, begin, end):
        data = super().read(begin, end)
        self.sizes.append(len(data))
        return data
