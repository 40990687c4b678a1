from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from cluster.job.rendezvous import Rank, alone, expand_nodes, export, rendezvous, reserve_port

SRUN = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "11",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_JOB_NODELIST": "ng[30101-30102],ng07",
    "SLURM_TASKS_PER_NODE": "4(x2),3",
    "SLURM_JOB_ID": "123456",
}
SUBMITIT = {
    "SUBMITIT_LOCAL_GLOBALID": "1",
    "SUBMITIT_LOCAL_NTASKS": "2",
    "SUBMITIT_LOCAL_LOCALID": "1",
    "MASTER_PORT": "4000",
}


def test_srun_tells_rank_node_and_address():
    assert rendezvous(SRUN) == Rank(5, 11, 1, 4, 1, "ng30101", 15000 + 123456 % 17000)
    last = {**SRUN, "SLURM_PROCID": "8", "SLURM_LOCALID": "0", "SLURM_NODEID": "2"}
    assert rendezvous(last) == Rank(8, 11, 0, 3, 2, "ng30101", rendezvous(SRUN).port)


def test_step_on_fewer_nodes_than_its_job_meets_on_its_own():
    step = {**SRUN, "SLURM_STEP_NODELIST": "ng[30102],ng07", "SLURM_STEP_TASKS_PER_NODE": "4,7"}
    assert rendezvous(step).address == "ng30102"
    assert rendezvous(step).local_world == 7


def test_submitit_inside_an_allocation_comes_before_srun():
    assert rendezvous({**SRUN, **SUBMITIT}) == Rank(1, 2, 1, 2, 0, "127.0.0.1", 4000)


def test_what_is_told_outright_comes_first_and_is_what_export_tells():
    rank = Rank(5, 8, 1, 4, 1, "host", 4321)
    environ = {**SRUN, **SUBMITIT}
    export(rank, environ)
    assert rendezvous(environ) == rank


def test_half_of_torchruns_variables_tell_nothing():
    assert rendezvous({"RANK": "3", "WORLD_SIZE": "4"}).world == 1


def test_alone_is_one_process_with_a_free_port():
    rank = alone()
    assert replace(rank, port=0) == Rank(0, 1, 0, 1, 0, "127.0.0.1", 0)
    with socket.socket() as free:
        free.bind((rank.address, rank.port))


def test_reserved_port_is_given_to_nobody_and_still_serves_rank_0():
    with reserve_port() as first:
        port = first.getsockname()[1]
        others = [reserve_port() for _ in range(200)]
        assert port not in {other.getsockname()[1] for other in others}
        for other in others:
            other.close()
        with socket.socket() as server, socket.socket() as client:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("", port))
            server.listen()
            client.connect(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("a", ["a"]),
        ("a,b-1.c", ["a", "b-1.c"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[008-010,7],m", ["n008", "n009", "n010", "n7", "m"]),
        ("r[1-2]n[3,5]", ["r1n3", "r1n5", "r2n3", "r2n5"]),
        ("n[1]x", ["n1x"]),
    ],
)
def test_node_lists_expand(text, nodes):
    assert expand_nodes(text) == nodes


@pytest.mark.parametrize("text", ["", "n[1-2", "n]1[", "n[a-b]", "a,,b", "n[]", "a;b"])
def test_no_node_list_is_an_error(text):
    with pytest.raises(ValueError, match="no list of Slurm nodes"):
        expand_nodes(text)
