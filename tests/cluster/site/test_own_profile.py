"""What a Slurm tells of itself becomes a profile that is read back, planned with, and equal to its cluster."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import launch
from cluster.errors import ClusterError
from cluster.profile.load import load_profile
from cluster.profile.profile_file import ProfileFile
from cluster.profile.resources import plan_resources
from cluster.profile.rules import partition_of
from cluster.profile.write import profile_yaml
from cluster.site.doctor import compare
from cluster.site.environment import rebuilt_by
from cluster.site.live import Live, parse_config, parse_sinfo
from cluster.site.own_profile import profile_of_slurm, write_own_profile
from cluster.site.partitions import Slurm, parse_partitions
from tests.world import ROOT

CONFIG = """ClusterName             = weird
AccountingStorageEnforce = associations,limits
JobRequeue              = 1
MaxArraySize            = 501
PreemptType             = preempt/none
SelectTypeParameters    = CR_Core_Memory
DefMemPerCPU            = 256
SLURM_VERSION           = 24.11.5
"""
SINFO = """3|32|256000|gpu:V100-SXM2:8(S:0-1)|GPU.Q_1*|2-00:00:00
3|32|256000|gpu:V100-SXM2:8(S:0-1)|gpu-long|7-00:00:00
2|128|1000000|gpu:nvidia_a100-sxm4-80gb:4|deep_learning@x|1-00:00:00
9|64|500000|gpu:h100:4|closed|7-00:00:00
10|64|128000|(null)|cpu|infinite
"""
PARTITIONS = """
PartitionName=GPU.Q_1 AllowGroups=ALL AllowAccounts=ALL Default=YES MaxNodes=UNLIMITED MaxTime=2-00:00:00 State=UP
PartitionName=gpu-long AllowGroups=ALL Default=NO MaxNodes=2 MaxTime=7-00:00:00 State=UP MaxMemPerCPU=4000
PartitionName=deep_learning@x AllowGroups=staff,us Default=NO MaxNodes=4 MaxTime=1-00:00:00 State=UP
PartitionName=closed AllowGroups=ALL AllowAccounts=them Default=NO MaxNodes=2 MaxTime=7-00:00:00 State=UP
PartitionName=cpu AllowGroups=ALL Default=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP
"""
DAY = date(2026, 11, 28)


def slurm(config=CONFIG, sinfo=SINFO, partitions=PARTITIONS, accounts=("prof",), groups=("us",)):
    told = parse_partitions(partitions, accounts or (), groups)
    return Slurm(
        config=parse_config(config),
        shapes=tuple(parse_sinfo(sinfo)),
        partitions={one.name: one for one in told},
        accounts=accounts,
    )


def written(profile, notes):
    """What `--cluster` reads from the file that is written."""
    found = load_profile(ProfileFile("/x/weird.yaml", profile_yaml(profile, "head", notes)), (), {})
    assert replace(found, file=None) == profile
    return found


def test_gpus_partitions_and_limits_are_those_of_the_cluster():
    profile = written(*profile_of_slurm("weird", slurm(), {}, "Slurm", DAY))
    v100, a100 = profile.hardware.kinds
    assert (v100.gpu, v100.gpus, v100.cores, v100.mem_mb, v100.count) == ("V100-SXM2", 8, 32, 256000, 3)
    assert (v100.partition, v100.longest, v100.cores_per_gpu) == ("gpu-long", None, 4)
    assert v100.mem_per_gpu_mb == 16000, "MaxMemPerCPU for 4 cores"
    assert (a100.gpu, a100.partition, a100.longest) == ("nvidia_a100-sxm4-80gb", "deep_learning@x", 1440)
    assert profile.walltime.longest == 10080
    assert (profile.limits.array, profile.limits.nodes) == (501, 4)
    assert (profile.account, profile.accounts.needed, profile.hardware.memory) == ("prof", True, True)
    assert (profile.continuation.requeue, profile.continuation.preemption) == (True, False)


def test_jobs_can_be_planned_with_it():
    profile = written(*profile_of_slurm("weird", slurm(), {}, "Slurm", DAY))
    resources = plan_resources(profile, 8, accounts=lambda: ["prof"])
    assert (resources.nodes, resources.gpus_per_node, resources.gpu) == (1, 8, "V100-SXM2")
    assert partition_of(profile, "nvidia_a100-sxm4-80gb") == "deep_learning@x"
    with pytest.raises(ClusterError, match="with nvidia_a100-sxm4-80gb runs for at most 1 d"):
        plan_resources(profile, 4, gpu="nvidia_a100-sxm4-80gb", time="2d")


def test_the_doctor_finds_no_difference(tmp_path):
    open_to_us = slurm(sinfo="\n".join(SINFO.splitlines()[:3]))
    profile = written(*profile_of_slurm("weird", open_to_us, {}, "Slurm", DAY))
    live = Live(config=open_to_us.config, shapes=open_to_us.shapes, accounts=("prof",))
    found = compare(profile, live, {"HOME": str(tmp_path)})
    assert [one for one in found if one.mark == "differs"] == []


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        (
            {"accounts": None, "config": CONFIG.replace("associations,limits", "none")},
            "accounts.needed",
            False,
        ),
        ({"accounts": ("a", "b")}, "account", None),
        ({"config": CONFIG.replace("CR_Core_Memory", "CR_Core")}, "hardware.memory", False),
        ({"config": CONFIG.replace("MaxArraySize", "Max")}, "limits.array", None),
        ({"sinfo": "4|64|128000|(null)|cpu*|infinite\n"}, "walltime.longest", 525600),
        ({"sinfo": "4|64|128000|(null)|cpu*|infinite\n"}, "hardware.typed", False),
        ({"sinfo": "4|64|128000|gpu:4|cpu*|1-00:00:00\n"}, "hardware.typed", False),
        ({"partitions": ""}, "walltime.longest", 10080),
    ],
)
def test_sites_of_all_shapes(change, key, value):
    found = written(*profile_of_slurm("weird", slurm(**change), {}, "Slurm", DAY))
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_gpus_without_a_word_are_asked_for_by_number():
    profile = written(
        *profile_of_slurm("weird", slurm(sinfo="4|64|128000|gpu:4|cpu*|1-00:00:00\n"), {}, "Slurm", DAY)
    )
    (kind,) = profile.hardware.kinds
    assert (kind.gpu, kind.gpus, profile.hardware.typed) == ("gpu", 4, False)


def test_nothing_open_to_the_user_is_told():
    with pytest.raises(ClusterError, match=r"no partition of this Slurm is open to you \(closed\)"):
        profile_of_slurm("weird", slurm(sinfo=SINFO.splitlines()[3]), {}, "Slurm", DAY)


def test_storage_is_where_the_sites_variables_say(tmp_path):
    environ = {"HOME": str(tmp_path), "WORK": str(tmp_path), "SCRATCH": str(tmp_path / "nowhere")}
    profile, _ = profile_of_slurm("weird", slurm(), environ, "Slurm", DAY)
    assert (profile.storage.scratch.path, profile.storage.project.path) == ("$WORK", "$HOME")


def test_without_slurm_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="no Slurm answers here"):
        write_own_profile(tmp_path / "weird.yaml", {})
    with pytest.raises(ClusterError, match=r"must be NAME.yaml"):
        write_own_profile(tmp_path / "weird", {})
    assert list(tmp_path.iterdir()) == []


def test_an_environment_of_the_users_own_is_mended_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert launch.main(["init", "cluster", "there.yaml", "--yes"]) == 0
    page = Path("there.yaml")
    page.write_text(re.sub(r"environment: \S+", "environment: /opt/my env", page.read_text()))
    capsys.readouterr()
    assert launch.main(["env", "--cluster", "there.yaml", "--build"]) == 2
    command = f"'/opt/my env/bin/python' -m pip install -r {ROOT}/envs/cluster.txt"
    assert command in capsys.readouterr().err
    own, shipped = (load_profile(at).origin for at in (str(page.absolute()), "narval"))
    assert rebuilt_by(own) == command
    assert rebuilt_by(shipped) == "python launch.py env --cluster narval --build"
