"""Jobs on the sandbox meet what they meet on a cluster."""

from __future__ import annotations

import sys
import time

import pytest

from cluster.sandbox import network as net

MEETING = """
import os, socket, sys, time
if os.environ["SLURM_PROCID"] == "0":
    server = socket.create_server(("0.0.0.0", 20123))
    server.settimeout(60)
    server.accept()
    server.accept()
else:
    def answers(host):
        try:
            socket.create_connection((host, 20123), 5)
            return True
        except OSError:
            return False

    end = time.monotonic() + 60
    while not answers(sys.argv[1]) and time.monotonic() < end:
        time.sleep(0.1)
    for host in ("127.0.0.1", "192.0.2.1", sys.argv[1]):
        print(host, "answers" if answers(host) else "does not answer")
"""


def test_each_node_has_its_name(sandbox):
    assert sorted(sandbox.run("srun", "-N2", "hostname").stdout.split()) == ["node1", "node2"]


def test_nodes_share_no_localhost_and_see_no_other_network(sandbox):
    ran = sandbox.run("srun", "-w", "node1,node2", sys.executable, "-c", MEETING, "node1")
    assert ran.stdout.splitlines() == [
        "127.0.0.1 does not answer",
        "192.0.2.1 does not answer",
        "node1 answers",
    ]


def test_typed_gpus_are_visible(sandbox):
    words = ("--gpus-per-node=a100:2", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES $SLURM_GPUS_ON_NODE")
    assert sandbox.run("srun", *words).stdout.split() == ["0,1", "2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpus-per-node=h100:1"], "Requested node configuration is not available"),
        (["--gpus-per-node=a100:5"], "Requested node configuration is not available"),
        (["--account=def-nobody"], "Invalid account"),
        (["--qos=none"], "Invalid qos"),
        (["--time=8-0"], "Requested time limit is invalid"),
        (["--array=0-2000"], "Invalid job array specification"),
    ],
)
def test_what_a_cluster_refuses_is_refused(sandbox, words, message):
    ran = sandbox.run("sbatch", *words, "--wrap", "true", check=False)
    assert ran.returncode == 1
    assert message in ran.stderr


def test_job_has_a_disk_of_its_own_on_each_node(sandbox, tmp_path):
    script = "touch $SLURM_TMPDIR/mine; srun sh -c 'echo $SLURM_TMPDIR; ls $SLURM_TMPDIR'"
    job = sandbox.submit("-N2", f"--output={tmp_path}/log", "--wrap", script)
    sandbox.wait(job, "COMPLETED")
    lines = sorted((tmp_path / "log").read_text().splitlines())
    assert lines == [*2 * [f"{sandbox.root}/disk/{job}"], "mine"]
    end = time.monotonic() + 30
    while list((sandbox.root / "scratch").glob(f"*/{job}")):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_array_of_parallelism_one_runs_one_at_a_time(sandbox, tmp_path):
    log = tmp_path / "log"
    array = sandbox.submit("--array=0-2%1", "--wrap", f"echo + >> {log}; sleep 1; echo - >> {log}")
    for element in range(3):
        sandbox.wait(f"{array}_{element}", "COMPLETED")
    assert log.read_text().split() == ["+", "-"] * 3


def test_too_much_memory_is_told_apart(sandbox):
    job = sandbox.submit("--mem=100M", "--wrap", f"{sys.executable} -c 'x = bytearray(300 << 20)'")
    expected = (
        "OUT_OF_MEMORY" if (net.CGROUPS / "memory" / net.prefix_of(sandbox.root)).exists() else "FAILED"
    )
    assert sandbox.wait(job)["JobState"] == expected


def test_requeued_job_starts_again_within_seconds(sandbox, tmp_path):
    job = sandbox.submit("--wrap", f"echo $SLURM_RESTART_COUNT >> {tmp_path}/log; sleep 60")
    sandbox.wait(job, "RUNNING")
    time.sleep(1)
    sandbox.run("scontrol", "requeue", job)
    sandbox.wait(job, "PENDING")
    assert sandbox.wait(job, "RUNNING", seconds=30)["Restarts"] == "1"


def test_urgent_job_pushes_another_back_into_the_queue(sandbox):
    job = sandbox.submit("-w", "node1", "--exclusive", "--wrap", "sleep 300")
    sandbox.wait(job, "RUNNING")
    time.sleep(1)
    urgent = sandbox.submit("-w", "node1", "--exclusive", "--qos=urgent", "--wrap", "sleep 1")
    sandbox.wait(urgent, "COMPLETED")
    assert sandbox.wait(job, "RUNNING")["Restarts"] == "1"
    states = sandbox.run("sacct", "-X", "-D", "-n", "-P", "-j", job, "-o", "state").stdout.split()
    assert states[0] == "PREEMPTED"


def test_lost_node_ends_or_requeues_its_jobs(sandbox):
    stubborn = sandbox.submit("-w", "node3", "--no-requeue", "--wrap", "sleep 300")
    patient = sandbox.submit("-w", "node4", "--requeue", "--wrap", "sleep 300")
    for job in (stubborn, patient):
        sandbox.wait(job, "RUNNING")
    frozen = net.CGROUPS / "freezer" / net.prefix_of(sandbox.root) / f"slurm_node3/uid_0/job_{stubborn}"
    if frozen.exists():  # even processes that Slurm is about to kill go with their node
        (frozen / "freezer.state").write_text("FROZEN")
    for node in ("node3", "node4"):
        sandbox.kill_node(node)
        assert node not in net.processes(net.prefix_of(sandbox.root)).values()
    sandbox.wait(stubborn, "NODE_FAIL")
    sandbox.wait(patient, "PENDING")
    for node in ("node3", "node4"):
        sandbox.start_node(node)
    assert sandbox.wait(patient, "RUNNING")["Restarts"] == "1"
    sandbox.run("scancel", patient)
    sandbox.wait_idle()
