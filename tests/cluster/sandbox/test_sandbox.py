"""What a sandbox is told to be; tests/slurm has the sandbox itself."""

from __future__ import annotations

import os

import pytest

from cluster.errors import ClusterError
from cluster.profile.load import PROFILES, load_profile
from cluster.sandbox import network as net
from cluster.sandbox import sandbox as slurm
from cluster.sandbox.conf import Places, conf_files
from cluster.sandbox.shape import Rack, shape_of


@pytest.fixture
def files(tmp_path):
    """The files of a sandbox that is like a cluster."""

    def files(name, *overrides, users=("root",), cgroups=True, **options):
        shape = shape_of(load_profile(name, overrides, {}), **options)
        return conf_files(shape, Places(tmp_path, "198.18.7", "here"), users, cgroups)

    return files


def test_shape_has_few_nodes_of_each_kind_and_one_of_slices():
    shape = shape_of(load_profile("nibi", environ={}), nodes=2)
    whole, sliced, amd = shape.racks
    assert whole == Rack(count=2, cpus=112, memory_mb=2048000, gpus=(("h100", 8),))
    assert (sliced.count, sliced.gpus[0]) == (1, ("nvidia_h100_80gb_hbm3_1g.10gb", 8))
    assert amd.gpus == (("mi300a", 4),)
    assert [name for name, _ in shape.nodes()] == ["node1", "node2", "node3", "node4", "node5"]
    assert (shape.max_time_min, shape.max_submitted) == (7 * 24 * 60, 1000)


def test_shape_has_the_account_of_the_profile():
    assert shape_of(load_profile("narval", ["cluster.account=def-me"], {})).accounts[0] == "def-me"
    assert shape_of(load_profile("narval", environ={})).accounts == (
        "def-sandbox",
        "def-sandbox_cpu",
        "def-sandbox_gpu",
    )
    assert shape_of(load_profile("tamia", environ={})).accounts[0].startswith("aip-")


def test_machine_without_queue_has_no_shape():
    with pytest.raises(ClusterError, match="local has no queue"):
        shape_of(load_profile("local", environ={}))


def test_texts_hold_the_facts_of_the_profile(files, tmp_path):
    text = files("narval")["slurm.conf"]
    assert (
        "\nNodeName=node1 NodeAddr=198.18.7.3 CPUs=48 CoresPerSocket=48 RealMemory=510000 Gres=gpu:a100:4\n"
        in text
    )
    assert "MaxTime=10080 " in text
    assert f"socket={tmp_path}/munge/socket" in text
    assert "proctrack/cgroup" in text
    hosts = files("narval")["hosts"].splitlines()
    assert "198.18.7.1 login here" in hosts  # Slurm 24 looks up where srun was called
    assert hosts[-1] == "198.18.7.7 node5"
    gres = files("fir")["gres.conf"].splitlines()
    devices = ",".join(f"{tmp_path}/dev/nvidia{number}" for number in range(4, 8))
    assert (
        f"NodeName=node5 Name=gpu Type=nvidia_h100_80gb_hbm3_2g.20gb File={devices} Flags=nvidia_gpu_env"
        in gres
    )


def test_site_without_memory_requests_tracks_none(files):
    assert "SelectTypeParameters=CR_Core\n" in files("trillium")["slurm.conf"]
    assert "SelectTypeParameters=CR_Core_Memory\n" in files("narval")["slurm.conf"]


def test_limits_and_users_are_in_the_accounting(files):
    trillium = files("trillium", users=("root", "ada"))
    assert "MaxJobsPerUser=150 MaxSubmitJobsPerUser=500" in trillium["qos"]
    assert trillium["accounts"].count("User - 'ada'") == 3


def test_without_accounting_urgent_is_a_partition(files):
    bare = files("sandbox", accounting=False, warn_preempted=True, cgroups=False)
    assert "PartitionName=urgent PriorityTier=100" in bare["slurm.conf"]
    assert "preempt_send_user_signal" in bare["slurm.conf"]
    assert "OverMemoryKill" in bare["slurm.conf"]
    assert not {"accounts", "qos", "slurmdbd.conf"} & set(bare)


def test_what_is_missing_comes_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in slurm.missing()
    with pytest.raises(ClusterError, match="sudo"):
        slurm.down(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(net, "SYSTEM_PATH", str(tmp_path))
    assert slurm.missing().startswith("slurmctld, slurmd, munged, ")
    assert "apt-get install -y --no-install-recommends slurmctld slurmd" in slurm.missing()
    assert "mariadbd" not in slurm.missing(accounting=False).partition(" not found")[0]
    with pytest.raises(ClusterError, match="on Debian or Ubuntu: apt-get update"):
        slurm.up(tmp_path, shape_of(load_profile("sandbox", environ={})))


def test_two_folders_have_names_of_their_own(tmp_path):
    assert net.prefix_of(tmp_path / "a") != net.prefix_of(tmp_path / "b")
    assert len(net.prefix_of(tmp_path)) <= 15


def test_folder_is_that_of_the_environment(tmp_path):
    assert slurm.sandbox_root({}) == slurm.Path(slurm.DEFAULT_ROOT)
    assert slurm.sandbox_root({"LAYALIGN_SANDBOX": f"{tmp_path}/a/../b"}) == tmp_path / "b"
    assert slurm.status(tmp_path) == f"no sandbox in {tmp_path}"


def test_partitions_are_those_that_the_kinds_name(files, tmp_path):
    text = (PROFILES / "sandbox.yaml").read_text()
    kind = text[text.index("    - gpu: a100") : text.index("      slices")]
    named = f"{kind}      partition: GPU.Q_1\n{kind.replace('a100', 'v100')}      partition: old\n      longest: 20\n"
    path = tmp_path / "ours.yaml"
    path.write_text(text[: text.index("    - gpu: a100")] + named + text[text.index("\nwalltime") :])
    conf = files(str(path), accounting=False, nodes=1)["slurm.conf"].splitlines()
    partitions = [line.split(" GraceTime")[0] for line in conf if line.startswith("PartitionName")]
    assert partitions == [
        "PartitionName=GPU.Q_1 Default=YES PriorityTier=1 Nodes=node1 MaxTime=60 DefaultTime=60",
        "PartitionName=old PriorityTier=1 Nodes=node2 MaxTime=20 DefaultTime=20",
        "PartitionName=urgent PriorityTier=100 PreemptMode=OFF Nodes=ALL MaxTime=60 DefaultTime=60",
    ]
