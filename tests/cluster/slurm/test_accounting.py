"""What is read out of sacct's rows; those below are of a real Slurm 22.05, in the order of our fields."""

from __future__ import annotations

import getpass
import os

import pytest

from cluster.slurm.accounting import FIELDS, parse_usage, usage, user_name

MEMORY = "cpu=00:00:02,energy=0,fs/disk=1690046,mem=62328K,pages=1,vmem=143016K"
ROWS = f"""\
1|COMPLETED|0:0|5|10|billing=1,cpu=1,gres/gpu:a100=1,gres/gpu=1,mem=500M,node=1||00:03.367|1|1||node1|2026-11-25T18:02:12|2026-11-25T18:02:17|
1.batch|COMPLETED|0:0|5||cpu=1,gres/gpu:a100=1,gres/gpu=1,mem=500M,node=1|12224K|00:00.020|1|1|1|node1|2026-11-25T18:02:12|2026-11-25T18:02:17|
1.0|COMPLETED|0:0|5||cpu=1,gres/gpu:a100=1,gres/gpu=1,mem=500M,node=1|208744K|00:03.346|1|1|1|node1|2026-11-25T18:02:12|2026-11-25T18:02:17|
3|FAILED|1:0|1|5|billing=1,cpu=1,mem=100M,node=1||00:00.400|1|1||node1|2026-11-25T18:02:12|2026-11-25T18:02:13|
3.batch|FAILED|1:0|1||cpu=1,mem=100M,node=1|1096K|00:00.020|1|1|1|node1|2026-11-25T18:02:12|2026-11-25T18:02:13|
3.0|OUT_OF_MEMORY|0:125|1||cpu=1,mem=100M,node=1|816K|00:00.379|1|1|1|node1|2026-11-25T18:02:12|2026-11-25T18:02:13|
4|CANCELLED by {os.getuid()}|0:0|14|5|billing=1,cpu=1,mem=100M,node=1||00:00.004|1|1||node1|2026-11-25T18:02:12|2026-11-25T18:02:26|
7|REQUEUED|0:0|6|10|billing=4,cpu=4,gres/gpu:a100=4,gres/gpu=4,mem=1000M,node=2||00:06.820|4|2||node[1-2]|2026-11-25T18:04:18|2026-11-25T18:04:24|
7.1|CANCELLED|0:15|8||cpu=4,gres/gpu:a100=4,gres/gpu=4,mem=1000M,node=2|62448K|00:06.783|4|2|4|node[1-2]|2026-11-25T18:04:18|2026-11-25T18:04:26|
8|CANCELLED|0:0|0|5|||00:00:00|1|1||None assigned|2026-11-25T18:04:24|2026-11-25T18:04:24|
7|COMPLETED|0:0|9|10|billing=4,cpu=4,gres/gpu:a100=4,gres/gpu=4,mem=1000M,node=2||00:08.622|4|2||node[1-2]|2026-11-25T18:04:33|2026-11-25T18:04:42|
7.0|COMPLETED|0:0|0||cpu=4,gres/gpu:a100=4,gres/gpu=4,mem=1000M,node=2|820K|00:00.007|4|2|2|node[1-2]|2026-11-25T18:04:33|2026-11-25T18:04:33|
7.1|COMPLETED|0:0|9||cpu=4,gres/gpu:a100=4,gres/gpu=4,mem=1000M,node=2|62328K|00:08.589|4|2|4|node[1-2]|2026-11-25T18:04:33|2026-11-25T18:04:42|{MEMORY}
"""  # noqa: E501


@pytest.fixture
def rows():
    return parse_usage(ROWS)


def test_a_row_for_each_start_of_each_job(rows):
    assert [(row.id, row.state) for row in rows] == [
        ("1", "COMPLETED"),
        ("3", "OUT_OF_MEMORY"),
        ("4", "CANCELLED"),
        ("7", "REQUEUED"),
        ("8", "CANCELLED"),
        ("7", "COMPLETED"),
    ]


def test_memory_is_that_of_the_largest_step_on_a_node(rows):
    first, _, _, requeued, _, again = rows
    assert first.used_mb == pytest.approx(208744 / 1024)
    assert first.mem_mb == 500
    assert again.used_mb == pytest.approx(2 * 62328 / 1024)  # four processes on two nodes
    assert again.mem_mb == 1000
    assert requeued.used_mb == pytest.approx(2 * 62448 / 1024)


def test_time_cores_and_gpus(rows):
    row = rows[-1]
    assert (row.elapsed_s, row.limit_min, row.cpus, row.nodes, row.gpus) == (9, 10, 4, 2, 4)
    assert row.cpu_s == pytest.approx(8.622)


def test_who_cancelled_and_what_never_began(rows):
    _, _, cancelled, _, never, _ = rows
    assert cancelled.by == "you"
    assert cancelled.began
    assert never.by == ""
    assert not never.began


def test_gpu_memory_where_a_site_records_it():
    told = ROWS.replace("mem=62328K", "gres/gpumem=14000M,gres/gpuutil=87,mem=62328K")
    assert parse_usage(told)[-1].gpu_mb == 14000


def test_rows_that_are_cut_short_or_of_another_format_are_passed_over():
    assert (
        parse_usage("5|COMPLETED\n\nslurm_persist_conn_open: failed\n" + ROWS.splitlines()[0] + "\n")[0].id
        == "1"
    )
    assert parse_usage("9.0|COMPLETED" + "|" * (len(FIELDS) - 2)) == []  # a step without its job


def test_names_of_users():
    assert user_name(str(os.getuid())) == "you"
    assert user_name("4294967294") in ("user 4294967294", "nobody")
    assert user_name("root") == "root"
    assert getpass.getuser()


def test_one_call_for_any_number_of_jobs(slurm):
    slurm.set("accounting", ROWS)
    assert len(usage(["1", "7", "1"])) == 6
    (asked,) = slurm.lines("asked")
    assert "--jobs=1,7" in asked
    assert usage([]) == []
    assert len(slurm.lines("asked")) == 1


def test_no_accounting(slurm):
    assert usage(["1"]) is None


def test_accountings_own_word_is_nobodys_name():
    """As Slurm 22.05 told of a job whose output could not be opened, so that it never began."""
    row = (
        "1|FAILED|0:53|0||billing=8,cpu=8,mem=6000M,node=2||00:00:00|8|2||node1|2026-11-28T03:22:37|"
        "2026-11-28T03:22:37||2026-11-28T03:22:36|{}|"
    )
    assert [parse_usage(row.format(name))[0].name for name in ("allocation", "f")] == ["", "f"]
