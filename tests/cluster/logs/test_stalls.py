"""Which process the others wait for, told from their logs."""

from __future__ import annotations

import os

from cluster.logs.read import LogPart
from cluster.logs.stalls import suspects

START = "submitit INFO (now) - Starting with JobEnvironment(job_id=14, hostname={node}, local_rank=0(1), node=0(2))\n"
TIMED_OUT = (
    "[rank{rank}]:[E1125 17:02:08.408 ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught collective operation "
    "timeout: WorkNCCL(SeqNum={number}, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600042 "
    "milliseconds before timing out.\n"
)
DETECTED = (
    "[rank{rank}]:[E1125 17:02:08.409 ProcessGroupNCCL.cpp:1785] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Exception "
    "(either an error or timeout) detected by watchdog at work: {number}, last enqueued NCCL work: {enqueued}, last "
    "completed NCCL work: 1.\n"
)


def logs(folder, texts, ages=None):
    """Logs of the ranks, two on a node, with what each printed."""
    found = {}
    for rank, text in texts.items():
        path = folder / f"14_{rank}_log.out"
        path.write_text(START.format(node=f"ng{rank // 2}") + text)
        os.utime(path, (1_800_000_000 - (ages or {}).get(rank, 0),) * 2)
        found[rank] = LogPart(path)
    return found


def timed_out(rank, number=7, enqueued=9):
    facts = {"rank": rank, "number": number, "enqueued": enqueued}
    return TIMED_OUT.format(**facts) + DETECTED.format(**facts)


def test_the_rank_that_tells_of_no_time_out(tmp_path):
    found = suspects(logs(tmp_path, {0: timed_out(0), 1: timed_out(1), 2: "step 3\n", 3: timed_out(3)}), 4)
    assert [(one.rank, one.node) for one in found] == [(2, "ng1")]
    assert "3 others" in found[0].why


def test_the_rank_that_is_behind(tmp_path):
    texts = {rank: timed_out(rank, 640 if rank == 3 else 961, 641 if rank == 3 else 962) for rank in range(4)}
    found = suspects(logs(tmp_path, texts), 4)
    assert [(one.rank, one.why) for one in found] == [(3, "is at collective 641, the others at 962")]


def test_the_rank_that_fell_silent_first(tmp_path):
    found = suspects(logs(tmp_path, dict.fromkeys(range(4), "step\n"), {1: 900}), 4)
    assert [one.rank for one in found] == [1]
    assert "15 min later" in found[0].why


def test_the_rank_that_never_started(tmp_path):
    found = suspects(logs(tmp_path, {0: "step\n", 1: "step\n"}), 3)
    assert [(one.rank, one.why) for one in found] == [(2, "has no log: it never started")]


def test_nobody_where_all_look_alike(tmp_path):
    assert suspects(logs(tmp_path, {rank: timed_out(rank) for rank in range(4)}), 4) == []
    assert suspects(logs(tmp_path, dict.fromkeys(range(4), "step\n"), {1: 20}), 4) == []
    assert suspects(logs(tmp_path, {0: "step\n"}), 1) == []
