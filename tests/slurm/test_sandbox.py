"""A sandbox comes up like a cluster, touches nothing else, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

import launch
from cluster.errors import ClusterError
from cluster.profile.load import load_profile
from cluster.sandbox import network as net
from cluster.sandbox import sandbox as slurm
from cluster.sandbox.shape import shape_of
from tests.slurm.conftest import Sandbox, new_root


def traces(root: Path) -> dict[str, list[str]]:
    """All that the machine still shows of a sandbox."""
    prefix = net.prefix_of(root)
    lines = {
        "mounts": Path("/proc/mounts").read_text().splitlines(),
        "namespaces": [path.name for path in net.NAMESPACES.glob("*")],
        "links": [path.name for path in Path("/sys/class/net").iterdir()],
        "cgroups": [str(path) for path in net.CGROUPS.glob("*/*")],
        "folders": [str(root)] if root.exists() else [],
        "processes": [],
    }
    for pid in Path("/proc").glob("[0-9]*"):
        try:
            about = (pid / "cmdline").read_bytes() + (pid / "environ").read_bytes()
        except OSError:
            continue
        lines["processes"].append(about.replace(b"\0", b" ").decode(errors="replace"))
    words = (str(root), prefix)
    found = {
        key: [line for line in value if any(word in line for word in words)] for key, value in lines.items()
    }
    return {key: value for key, value in found.items() if value}


@pytest.fixture
def root(able):
    root = new_root("other")
    yield root
    slurm.down(root)


@pytest.fixture
def bare(shape):
    """Up in half a second."""
    return dataclasses.replace(shape, accounting=False)


def test_down_leaves_nothing_behind(root, shape):
    hosts, folders = Path("/etc/hosts").read_text(), set(Path("/dev/shm").iterdir())
    slurm.up(root, shape)
    sandbox = Sandbox(root)
    sandbox.submit("-N2", "--wrap", "srun sleep 60")
    sandbox.submit("--wrap", "trap '' TERM; sleep 60")
    assert set(traces(root)) >= {"namespaces", "links", "folders", "processes"}
    assert slurm.down(root)
    assert not traces(root)
    assert set(Path("/dev/shm").iterdir()) <= folders
    assert Path("/etc/hosts").read_text() == hosts
    assert not slurm.down(root)


@pytest.mark.parametrize("moment", ["namespaces", "munge/socket", "slurmd"])
def test_next_start_mends_what_a_crash_left(root, bare, moment):
    code = (
        "import dataclasses, pathlib; from cluster.profile.load import load_profile\n"
        "from cluster.sandbox.sandbox import up\n"
        "from cluster.sandbox.shape import shape_of\n"
        f"up(pathlib.Path({str(root)!r}), shape_of(load_profile('sandbox'), accounting=False))"
    )
    starting = subprocess.Popen([sys.executable, "-c", code], cwd=launch.ROOT, stderr=subprocess.PIPE)
    prefix = net.prefix_of(root)
    reached = {
        "namespaces": lambda: len(list(net.NAMESPACES.glob(f"{prefix}-*"))) > 2,
        "munge/socket": (root / moment).exists,
        "slurmd": lambda: "node1" in net.processes(prefix).values(),
    }[moment]
    while not reached():
        assert starting.poll() is None, starting.stderr.read()
    starting.kill()
    starting.communicate()
    assert slurm.status(root).startswith("half a sandbox")
    slurm.up(root, bare)
    assert set(Sandbox(root).nodes().values()) == {"idle"}
    slurm.down(root)
    assert not traces(root)


def test_crash_is_removed_by_down(root, bare):
    slurm.up(root, bare)
    (root / "env.sh").unlink()
    assert slurm.down(root)
    assert not traces(root)


def test_start_that_fails_says_why_and_leaves_nothing(root, bare):
    wrong = dataclasses.replace(bare, max_array=-1)
    with pytest.raises(
        ClusterError, match=r"slurmctld of the sandbox did not start; its log ends with:\n.*Array"
    ):
        slurm.up(root, wrong)
    assert not any(root.iterdir())
    slurm.down(root)
    assert not traces(root)


def test_other_slurm_of_the_machine_is_not_touched(sandbox, root, bare):
    job = sandbox.submit("-N2", "--wrap", "srun sleep 60")
    sandbox.wait(job, "RUNNING")
    time.sleep(1)
    before = net.processes(net.prefix_of(sandbox.root))
    slurm.up(root, bare)
    assert Sandbox(root).run("srun", "-N2", "hostname").stdout.split()
    slurm.down(root)
    assert net.processes(net.prefix_of(sandbox.root)) == before
    assert sandbox.job(job)["JobState"] == "RUNNING"


def test_folder_in_use_is_refused(sandbox, shape):
    with pytest.raises(ClusterError, match="a sandbox is up in"):
        slurm.up(sandbox.root, shape)
    assert set(sandbox.nodes().values()) == {"idle"}


def test_folder_of_something_else_is_refused(able, tmp_path, shape):
    root = Path("/dev/shm", tmp_path.parent.name)
    root.mkdir()
    (root / "thesis.tex").write_text("...")
    try:
        for work in (lambda: slurm.up(root, shape), lambda: slurm.down(root)):
            with pytest.raises(ClusterError, match="holds something else"):
                work()
        assert (root / "thesis.tex").exists()
    finally:
        (root / "thesis.tex").unlink()
        root.rmdir()


def test_path_that_is_too_long_for_sockets_is_refused(able, shape):
    with pytest.raises(ClusterError, match="at most 60 characters"):
        slurm.up(Path("/dev/shm", "x" * 60), shape)


def test_without_accounting_a_partition_is_urgent_and_the_signal_can_be_asked_for(root, bare, tmp_path):
    slurm.up(root, dataclasses.replace(bare, warn_preempted=True))
    sandbox = Sandbox(root)
    log = tmp_path / "log"
    script = f"trap 'echo told >> {log}; exit 0' USR1; echo ready > {log}; while :; do sleep 0.1; done"
    sandbox.submit("-w", "node1", "--exclusive", "--signal=B:USR1@60", "--wrap", script)
    while not log.exists():
        time.sleep(0.1)
    sandbox.wait(sandbox.submit("-w", "node1", "--exclusive", "-p", "urgent", "--wrap", "true"), "COMPLETED")
    assert log.read_text().split()[:2] == ["ready", "told"]
    assert "accounting storage is disabled" in sandbox.run("sacct", check=False).stderr


def test_unknown_node_is_named(sandbox):
    with pytest.raises(ClusterError, match="has no node 'node9'; it has: node1, "):
        sandbox.kill_node("node9")


@pytest.mark.parametrize(
    ("name", "gpu"), [("trillium", "4"), ("nibi", "nvidia_h100_80gb_hbm3_1g.10gb:1"), ("tamia", "h200:8")]
)
def test_sandbox_like_a_cluster_has_its_gpus_accounts_and_times(root, name, gpu):
    profile = load_profile(name, environ={})
    shape = shape_of(profile, nodes=1)
    slurm.up(root, shape)
    sandbox = Sandbox(root)
    words = [
        "sbatch",
        "--test-only",
        f"--account={shape.accounts[0]}",
        f"--gpus-per-node={gpu}",
        "--wrap=true",
    ]
    longest = profile.walltime.longest
    assert "to start at" in sandbox.run(*words, f"--time={longest}").stderr
    assert "time limit is invalid" in sandbox.run(*words, f"--time={longest + 1}", check=False).stderr


def test_front_door_tells_of_the_sandbox(sandbox, monkeypatch, capsys):
    monkeypatch.setenv("LAYALIGN_SANDBOX", str(sandbox.root))
    assert launch.main(["sandbox", "status"]) == 0
    printed = capsys.readouterr().out
    assert f"sandbox like sandbox in {sandbox.root}" in printed
    assert f". {sandbox.root}/env.sh" in printed
    assert "node4 idle" in printed
    assert launch.main(["sandbox", "up"]) == 2
    assert "error: a sandbox is up" in capsys.readouterr().err


def test_front_door_without_a_sandbox_says_so(root, monkeypatch, capsys):
    monkeypatch.setenv("LAYALIGN_SANDBOX", str(root))
    assert launch.main(["sandbox", "down"]) == 0
    assert capsys.readouterr().out == f"no sandbox in {root}\n"
    with pytest.raises(ClusterError, match="start one with: "):
        slurm.sandbox_environment(root)
