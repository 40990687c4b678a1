"""What Slurm says is read right, and each difference from a profile names the line to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.errors import ClusterError
from cluster.profile.load import PROFILES, load_profile
from cluster.quota import parse_quotas
from cluster.site.doctor import compare, examine, where
from cluster.site.live import Live, Shape, module_lines, parse_config, parse_sinfo

CONFIG = """Configuration data as of 2026-11-21T09:59:38
AccountingStorageTRES   = cpu,mem,energy,node,billing,fs/disk,vmem,pages,gres/gpu,gres/gpu:a100
ClusterName             = narval
JobRequeue              = 1
MaxArraySize            = 1001
PreemptType             = preempt/none
ResumeProgram           = (null)
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at login is UP
"""
SINFO = """159|48|510000|gpu:a100:4(S:0-1)|gpubase_bygpu_b5|7-00:00:00
159|48|510000|gpu:a100:4(S:0-1)|gpubase_bygpu_b1*|3:00:00
2|48+|510000+|gpu:a100_1g.5gb:8,gpu:a100_2g.10gb:4,gpu:a100_3g.20gb:4(S:0-1)|gpubase_b1|3:00:00
1145|64|257000|(null)|cpubase_b5|infinite
"""
NODES = parse_sinfo(SINFO)


@pytest.fixture
def narval():
    return replace(load_profile("narval"), account="def-prof")


@pytest.fixture
def environ(tmp_path):
    for name in ("scratch", "projects/def-prof"):
        (tmp_path / name).mkdir(parents=True)
    return {"HOME": str(tmp_path), "SCRATCH": str(tmp_path / "scratch"), "PROJECT": str(tmp_path)}


def lines(profile, live, environ):
    return [finding.line(profile.name) for finding in compare(profile, live, environ)]


def differences(profile, live, environ):
    return [finding for finding in compare(profile, live, environ) if finding.mark == "differs"]


def test_config_is_read_by_name():
    told = parse_config(CONFIG)
    assert told["MaxArraySize"] == "1001"
    assert told["ResumeProgram"] == ""
    assert told["AccountingStorageTRES"].endswith("gres/gpu:a100")


def test_nodes_are_read_with_their_gpus():
    assert NODES[0] == Shape(159, 48, 510000, {"a100": 4}, "gpubase_bygpu_b5", 10080)
    assert NODES[1].partition == "gpubase_bygpu_b1"
    assert NODES[2].gpus == {"a100_1g.5gb": 8, "a100_2g.10gb": 4, "a100_3g.20gb": 4}
    assert NODES[2].cores == 48
    assert NODES[3].gpus == {}
    assert NODES[3].longest_min is None


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:4(S:0-1)", {"": 4}),
        ("gpu:4", {"": 4}),
        ("gpu:h100:4(S:0-1)", {"h100": 4}),
        ("gpu:a100:4(S:0-1),gpu:a100_3g.20gb:8", {"a100": 4, "a100_3g.20gb": 8}),
        ("gpu:a100:4(S:0,2-3),gpu:1g.5gb:7(S:1)", {"a100": 4, "1g.5gb": 7}),
        ("nvme:1,gpu:a100:4(IDX:0-3),shard:gpu:9", {"a100": 4}),
        ("gpu:a100:no_consume:4,gpu:no_consume:2", {"a100": 4, "": 2}),
        ("gpu:a100:1K", {"a100": 1024}),
        ("gpu:a100:2(S:0),gpu:a100:2(S:1)", {"a100": 4}),
        ("(null)", {}),
    ],
)
def test_gpus_as_sinfo_writes_them(gres, gpus):
    (shape,) = parse_sinfo(f"2|48|510000|{gres}|b1|3:00:00\n")
    assert shape.gpus == gpus


@pytest.mark.parametrize(
    ("number", "value"),
    [("1K", 1024), ("1.50K", 1536), ("1.5K", 1536), ("159", 159), ("48+", 48), ("1.50K+", 1536)],
)
def test_numbers_as_sinfo_writes_them(number, value):
    (shape,) = parse_sinfo(f"{number}|{number}|{number}|(null)|b1|n/a\nWelcome|to|n|a|r|val\n")
    assert (shape.nodes, shape.cores, shape.mem_mb, shape.longest_min) == (value, value, value, None)


def test_a_site_without_words_for_its_gpus_is_compared_by_number(environ):
    live = Live(shapes=tuple(parse_sinfo("63|96|767000|gpu:4(S:0-1)|compute|1-00:00:00")))
    assert not [
        one for one in differences(load_profile("trillium"), live, environ) if one.key.startswith("hardware")
    ]
    told = [one.key for one in differences(load_profile("narval"), live, environ)]
    assert "hardware.typed" in told
    assert "hardware.kinds" not in told


def test_what_no_page_says_is_learnt(narval, environ):
    told = lines(narval, Live(config=parse_config(CONFIG), shapes=tuple(NODES)), environ)
    number = (PROFILES / "narval.yaml").read_text().splitlines().index("  array: unknown") + 1
    assert (
        "differs  limits.array: the profile says unknown, the cluster 1001; "
        f"change cluster/profiles/narval.yaml:{number}"
    ) in told
    assert any(
        line.startswith("differs  continuation.requeue: the profile says unknown, the cluster yes")
        for line in told
    )


def test_nodes_as_in_the_profile_are_the_same(narval, environ):
    slices = {one.word: 4 for kind in narval.hardware.kinds for one in kind.slices}
    shapes = (*NODES, replace(NODES[2], gpus=slices))
    found = differences(narval, Live(shapes=shapes, accounts=("def-prof",)), environ)
    assert [finding.key for finding in found] == []


def test_other_nodes_are_told(narval, environ):
    fewer = replace(NODES[0], cores=64, mem_mb=498000, gpus={"a100": 2, "h100": 2}, longest_min=1440)
    found = {finding.key: finding.text for finding in differences(narval, Live(shapes=(fewer,)), environ)}
    assert found["hardware.kinds[0].gpus"] == "the profile says 4, the cluster 2"
    assert found["hardware.kinds[0].cores"] == "the profile says 48, the cluster 64"
    assert found["hardware.kinds[0].mem_mb"] == "the profile says 510000, a node has 498000"
    assert found["hardware.kinds"] == "the cluster has a GPU 'h100', 318 of them, the profile none"
    assert "no partition allows more than 1440" in found["walltime.longest"]


def test_gpu_of_another_name_is_told(narval, environ):
    renamed = replace(NODES[0], gpus={"nvidia_a100": 4})
    texts = [finding.text for finding in differences(narval, Live(shapes=(renamed,)), environ)]
    assert "the profile says a100, no node has it" in texts


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        (("def-prof",), "same     account: def-prof"),
        (("rrg-x", "def-x"), "told     account: def-prof is not yours; you have rrg-x, def-x; set it"),
        ((), "you have none"),
        (None, "unknown  account: sacctmgr does not answer"),
    ],
)
def test_account_is_compared(narval, environ, accounts, expected):
    assert any(expected in line for line in lines(narval, Live(accounts=accounts), environ))


def test_quotas_are_compared_but_for_rounding(narval, environ):
    report = """                             Description                Space           # of files
                     /home (user me)            20GiB/  50GiB        208K/ 500K
                  /scratch (user me)           148GiB/  10TiB        418K/1000K
           /project (project def-prof)       956G/1000G            226k/500k
    """
    found = {
        finding.key: finding for finding in compare(narval, Live(quotas=tuple(parse_quotas(report))), environ)
    }
    assert found["storage.home.quota_gb"].mark == "same"
    assert found["storage.scratch.quota_gb"].text == "the profile says 20000, the cluster 10995"
    assert found["storage.project.files"].mark == "same"


def test_modules_that_cannot_be_loaded_are_told(narval, environ):
    told = lines(narval, Live(modules="error: cannot load arrow/99"), environ)
    assert any(
        line.startswith("differs  software.modules: error: cannot load arrow/99; change") for line in told
    )


def test_compute_node_is_compared(narval, environ):
    seen = {"scontrol": "yes", "internet": "yes", "tmpdir": "tmpfs"}
    found = {finding.key: finding.text for finding in differences(narval, Live(compute=seen), environ)}
    assert found["network.internet"] == "the profile says no, the cluster yes"
    assert found["storage.local"] == "the profile says disk, the cluster memory"
    assert "continuation.scontrol_in_job" in found


def test_job_that_cannot_run_is_no_end_of_the_rest(narval, monkeypatch, tmp_path):
    for name, text in {
        "scontrol": "echo MaxArraySize = 1001",
        "srun": "echo srun: error: Invalid account >&2; exit 1",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = {finding.key: finding for finding in examine(narval, {}, compute=True)}
    assert found["limits.array"].mark == "differs"
    told = found["compute nodes"].line("narval")
    assert told.startswith(
        "unknown  compute nodes: the job that looks at one did not run: srun: error: Invalid account; srun "
    )


def test_line_of_the_second_kind_is_its_own():
    lines = (PROFILES / "tamia.yaml").read_text().splitlines()
    at = int(where("tamia", "hardware.kinds[1].cores").rpartition(":")[2])
    assert lines[at - 1].strip() == "cores: 64"
    assert "h200" in "".join(lines[at - 8 : at])


def test_without_slurm_the_next_step_is_told(narval, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="run the doctor on a login node of narval"):
        examine(narval, {}, compute=False)


def test_what_single_users_report_is_told_and_refuses_nothing(environ):
    fir = load_profile("fir")
    told = [line for line in lines(fir, Live(), environ) if "reported: " in line]
    assert "told     reported: MaxArraySize is 10000" in told
    assert fir.limits.array is None


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (
            "24.0.0|25.0.0",
            ["arrow/24.0.0 cuda/12.6 python/3.11 load", "arrow/25.0.0 cuda/12.9 python/3.11 load too"],
        ),
        (
            "25.0.0",
            [
                "cuda/12.6 python/3.11 cannot be loaded: error: cannot load",
                "to take them: -o cluster.software.modules=",
            ],
        ),
        ("99", ["cannot be loaded: error: cannot load", "none of the choices of the profile loads"]),
    ],
)
def test_the_modules_of_a_profile_are_a_choice_that_is_tried(narval, tmp_path, there, told, monkeypatch):
    (tmp_path / ".bash_profile").write_text(
        f'module() {{ [[ "$*" == *load*arrow/* && ! "$*" =~ arrow/({there}) ]] || return 0; '
        "echo no such arrow >&2; return 1; }\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    printed = "\n".join(module_lines(narval, {"HOME": str(tmp_path)}))
    for text in told:
        assert text in printed
