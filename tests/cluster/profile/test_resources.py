from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from cluster.errors import ClusterError
from cluster.profile.load import load_profile
from cluster.profile.resources import (
    account_obstacle,
    difference,
    folder_obstacle,
    gpu_hours,
    plan_resources,
    resources_again,
    summary,
)
from cluster.profile.rules import bracket, units_of
from tests.cluster.profile.test_load import CLUSTERS


def plan(cluster: str, gpus: int = 8, *overrides: str, **wanted: Any):
    return plan_resources(
        load_profile(cluster, [f"cluster.{text}" for text in overrides], {}), gpus, **wanted
    )


@pytest.mark.parametrize(
    ("cluster", "gpu", "shape", "cpus", "mem"),
    [
        ("narval", None, (2, 4, "a100"), 12, 507904),
        ("fir", None, (2, 4, "h100"), 12, 1146880),
        ("nibi", None, (1, 8, "h100"), 14, 2048000),
        ("rorqual", None, (2, 4, "h100"), 16, 507904),
        ("trillium", None, (2, 4, "h100"), 24, None),
        ("killarney", None, (2, 4, "l40s"), 16, 491520),
        ("killarney", "h100", (1, 8, "h100"), 6, 1966080),
        ("tamia", None, (2, 4, "h100"), 12, 471856),
        ("tamia", "h200", (1, 8, "h200"), 8, 943712),
        ("vulcan", None, (2, 4, "l40s"), 16, 471856),
        ("sandbox", None, (2, 4, "a100"), 1, 16000),
    ],
)
def test_eight_gpus_become_nodes(cluster, gpu, shape, cpus, mem):
    resources = plan(cluster, gpu=gpu)
    assert (resources.nodes, resources.gpus_per_node, resources.gpu) == shape
    assert (resources.cpus_per_task, resources.mem_mb) == (cpus, mem)
    assert resources.tasks == 8


def test_part_of_a_node_takes_its_fair_share():
    resources = plan("narval", 2)
    assert (resources.nodes, resources.tasks_per_node, resources.cpus_per_task) == (1, 2, 12)
    assert resources.mem_mb == 2 * 124 * 1024
    assert plan("trillium", 1).gpus_per_node == 1


def test_gpus_spread_over_the_nodes_asked_for():
    resources = plan("narval", 4, nodes=2)
    assert (resources.nodes, resources.gpus_per_node) == (2, 2)
    assert plan("narval", 6).gpus_per_node == 3


def test_slice_is_asked_for_by_its_word():
    resources = plan("narval", 1, gpu="a100_3g.20gb")
    assert (resources.gpu, resources.cpus_per_task, resources.mem_mb) == ("a100_3g.20gb", 6, 62 * 1024)
    for word in ("h100_1g.10gb", "h100_1.10", "h100_10gb", "nvidia_h100_80gb_hbm3_1g.10gb"):
        assert plan("nibi", 1, gpu=word).gpu == "nvidia_h100_80gb_hbm3_1g.10gb"
    assert plan("rorqual", 4, gpu="h100_80gb").gpu == "h100"


def test_nodes_without_gpu_take_tasks_for_the_cpu():
    kind = "gpu: none, model: EPYC, count: 2, gpus: none, gpu_memory_gb: none, cores: 8, mem_mb: 9000"
    shares = "cores_per_gpu: 4, mem_per_gpu_mb: 1000, local_disk_gb: none"
    resources = plan("narval", 2, f"hardware.kinds=[{{{kind}, {shares}}}]")
    assert (resources.nodes, resources.tasks_per_node, resources.gpus_per_node, resources.gpu) == (
        1,
        2,
        0,
        None,
    )
    assert (resources.cpus_per_task, resources.mem_mb) == (4, 2000)


def test_wishes_of_the_profile_count_unless_the_call_says_otherwise():
    wishes = (
        "gpus=4",
        "nodes=2",
        "time=3h",
        "mem=64G",
        "cpus_per_task=6",
        "account=def-prof",
        "mail=me@x.org",
    )
    resources = plan("narval", 8, *wishes)
    assert (resources.nodes, resources.gpus_per_node, resources.time_min) == (2, 2, 180)
    assert (resources.mem_mb, resources.cpus_per_task) == (65536, 6)
    assert (resources.account, resources.mail) == ("def-prof", "me@x.org")
    assert plan("narval", 8, *wishes, time="12h", nodes=1).time_min == 720


def test_time_left_open_is_the_bracket_that_holds_the_run():
    assert plan("narval", hours=2).time_min == 180
    assert plan("narval", hours=3).time_min == 720  # start-up does not fit into 3 h
    assert plan("narval", hours=100).time_min == 1440
    assert plan("narval").time_min == 1440
    assert plan("tamia", hours=2).time_min == 135
    assert plan("sandbox").time_min == 60
    assert plan("trillium", hours=0.05).time_min == 1440


def test_units_cover_the_run():
    assert plan("narval", time="3h", units="auto", hours=30).units == 11  # 30 h at 2 h 45 min each
    assert plan("narval", time="3h", hours=30).units == 11  # a chain is the default
    assert plan("narval", hours=100).units == 5
    assert plan("narval", time="3h").units == 1
    assert plan("narval", time="3h", units=10).units == 10
    assert plan("narval", 8, "units=4").units == 4
    assert plan("narval", 8, "hours=30", "units=auto", "time=3h").units == 11
    for time_min in (1, 10, 180, 1440):
        for minutes in (1, time_min, 10 * time_min):
            assert units_of(minutes, time_min) * (time_min - min(15, time_min / 10)) >= minutes - 1e-6


def test_requeue_needs_no_units():
    requeue = ("continuation.requeue=yes", "continuation.mode=requeue")
    assert plan("narval", 8, *requeue, time="3h", hours=30).units == 1


def test_bracket_of_a_time():
    narval, tamia = (load_profile(name, environ={}) for name in ("narval", "tamia"))
    assert [bracket(narval, minutes) for minutes in (1, 180, 181, 10080, 10081)] == [
        180,
        180,
        720,
        10080,
        None,
    ]
    assert bracket(tamia, 60) is None


def test_gpu_hours_count_every_unit():
    assert gpu_hours(plan("narval", time="3h", units=10)) == 240


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_summary_says_what_where_and_how_long(cluster):
    profile = load_profile(cluster, environ={})
    text = summary(plan_resources(profile, 8, time="1h", units=3), profile)
    assert re.search(r"where +\S", text)
    assert "3 units of 1 h" in text
    assert "at most 24 GPU-hours" in text


def test_only_account_is_taken():
    assert plan("narval", accounts=lambda: ["def-prof_gpu", "def-prof_cpu"]).account == "def-prof"
    assert plan("narval", accounts=list).account is None
    assert (
        plan("narval", 8, "account=rrg-prof", accounts=lambda: ["def-prof", "rrg-prof"]).account == "rrg-prof"
    )


def test_account_obstacle_is_the_refusal():
    profile = load_profile("narval", environ={})
    assert "give --account" in (account_obstacle(profile, lambda: ["def-a", "def-b"]) or "")
    assert account_obstacle(profile, lambda: ["def-a"]) is None


def test_folder_that_jobs_cannot_write(tmp_path):
    environ = {name: str(tmp_path / name) for name in ("HOME", "PROJECT", "SCRATCH")}
    trillium, narval = (load_profile(name, environ={}) for name in ("trillium", "narval"))
    for name in ("HOME", "PROJECT"):
        obstacle = folder_obstacle(trillium, tmp_path / name / "runs", environ) or ""
        assert re.search(rf"\${name} is read-only .*--runs \$SCRATCH/runs \(docs.*2026-05-17\)$", obstacle)
        assert folder_obstacle(narval, tmp_path / name / "runs", environ) is None
    assert folder_obstacle(trillium, tmp_path / "SCRATCH" / "runs", environ) is None
    assert folder_obstacle(trillium, tmp_path / "HOME", {}) is None


def test_competition_account_takes_more_nodes():
    assert plan("trillium", 100, "account=rrg-prof").nodes == 25


TWO = ["def-a_gpu", "def-a_cpu", "def-b_gpu"]
REFUSED = {
    # what is wrong: cluster, GPUs, overrides, keywords, the rule, the nearest legal request
    "5 GPUs on a node of 4": ("narval", 5, (), {"nodes": 1}, "has 4", "--gpus 4"),
    "5 GPUs anywhere": ("narval", 5, (), {}, "each node of a job gives the same", "--gpus 4 or --gpus 6"),
    "uneven over nodes": ("narval", 8, (), {"nodes": 3}, "8 x a100 on 3 nodes", "--gpus 6 or --gpus 9"),
    "no GPU at all": ("narval", 0, (), {}, "a node of narval has 4", "--gpus 1"),
    "no node": ("narval", 8, (), {"nodes": 0}, "8 x a100 on 0 nodes", "--nodes 2"),
    "9 GPUs on a node of 8": ("nibi", 9, (), {}, "has 8", "--gpus 8 or --gpus 10"),
    "part of an MI300A node": ("nibi", 1, (), {"gpu": "mi300a"}, "jobs take whole nodes", "--gpus 4"),
    "two slices": ("narval", 2, (), {"gpu": "a100_2g.10gb"}, "one MIG slice", "--gpu a100_3g.20gb --gpus 1"),
    "two of the largest slice": (
        "fir",
        2,
        (),
        {"gpu": "nvidia_h100_80gb_hbm3_3g.40gb"},
        "one MIG",
        "--gpu h100",
    ),
    "a slice on two nodes": ("nibi", 1, (), {"gpu": "h100_10gb", "nodes": 2}, "one MIG slice", "--gpus 1"),
    "another cluster's GPU": ("narval", 8, (), {"gpu": "h100"}, "no GPU 'h100', it has a100", "--gpu a100"),
    "a GPU of the past": ("narval", 8, (), {"gpu": "v100l"}, "no GPU 'v100l', it has a100", "--gpu a100"),
    "a misspelt GPU": ("tamia", 8, (), {"gpu": "H-200"}, "no GPU 'H-200'", "--gpu h200"),
    "Nibi's synonym on Fir": (
        "fir",
        1,
        (),
        {"gpu": "h100_1g.10gb"},
        "no GPU",
        "--gpu nvidia_h100_80gb_hbm3_1g.10gb",
    ),
    "a slice on Trillium": ("trillium", 1, (), {"gpu": "h100_1g.10gb"}, "no GPU", "--gpu h100"),
    "half a TamIA node": ("tamia", 2, (), {}, "jobs take whole nodes", "--gpus 4"),
    "half an H200 node": ("tamia", 4, (), {"gpu": "h200"}, "jobs take whole nodes", "--gpus 8"),
    "TamIA node and a half": ("tamia", 6, (), {}, "jobs take whole nodes", "--gpus 4 or --gpus 8"),
    "2 GPUs on Trillium": (
        "trillium",
        2,
        (),
        {},
        "jobs take 1 of one node, or whole nodes",
        "--gpus 1 or --gpus 4",
    ),
    "3 GPUs on Trillium": (
        "trillium",
        3,
        (),
        {},
        "jobs take 1 of one node, or whole nodes",
        "--gpus 1 or --gpus 4",
    ),
    "1 GPU on each of 2": (
        "trillium",
        2,
        (),
        {"nodes": 2},
        "jobs take 1 of one node, or whole nodes",
        "--gpus 8",
    ),
    "6 nodes on Trillium": ("trillium", 24, (), {}, "at most 5", "--nodes 5 --gpus 20"),
    "26 with a competition": ("trillium", 104, ("account=rpp-x",), {}, "at most 25", "--nodes 25 --gpus 100"),
    "more nodes than exist": ("fir", 1000, (), {}, "fir has 160", "--nodes 160 --gpus 640"),
    "8 days": ("narval", 8, (), {"time": "8d"}, "at most 7 d", "--time 168h --units 2"),
    "25 hours on Trillium": ("trillium", 8, (), {"time": "25h"}, "at most 1 d", "--time 24h --units 2"),
    "2 days on TamIA": ("tamia", 8, (), {"time": "2-00:00:00"}, "at most 1 d", "--time 24h --units 3"),
    "10 minutes on Trillium": ("trillium", 8, (), {"time": "10"}, "15 min or more", "--time 15"),
    "2 minutes on Narval": ("narval", 8, (), {"time": "2m"}, "5 min or more", "--time 5"),
    "no account of several": (
        "narval",
        8,
        (),
        {"accounts": lambda: TWO},
        "must name one",
        "--account def-a or def-b",
    ),
    "someone else's account": (
        "fir",
        8,
        ("account=def-c",),
        {"accounts": lambda: TWO},
        "yours",
        "--account def-",
    ),
    "account with its suffix": ("fir", 8, ("account=def-a_gpu",), {}, "bare name", "--account def-a"),
    "def- on a PAICE cluster": ("vulcan", 8, ("account=def-a",), {}, "begin with aip-", "--account aip-a"),
    "2000 units": ("narval", 8, (), {"units": 2000}, "counts as a job", "--units 1000"),
    "600 units on Trillium": ("trillium", 8, (), {"units": 600}, "takes 500", "--units 500"),
    "4000 hours in 3 h": (
        "rorqual",
        8,
        (),
        {"time": "3h", "hours": 4000.0},
        "1000 of one user",
        "longer --time",
    ),
    "units of what": ("narval", 8, (), {"units": "auto"}, "not known", "-o cluster.hours=30"),
    "no number of units": ("narval", 8, (), {"units": "some"}, "whole number", "--units 1"),
    "too many cores": ("narval", 8, ("cpus_per_task=13",), {}, "has 48", "cluster.cpus_per_task=12"),
    "too many for a slice": (
        "narval",
        1,
        ("cpus_per_task=12", "gpu=a100_1g.5gb"),
        {},
        "1 go with",
        "per_task=1",
    ),
    "too much memory": ("rorqual", 4, (), {"mem": "600G"}, "has 510000M", "cluster.mem=510000M"),
    "memory on Trillium": ("trillium", 8, (), {"mem": "64G"}, "ignores", "leave cluster.mem out"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_request_that_no_cluster_grants(wrong):
    cluster, gpus, overrides, wanted, rule, legal = REFUSED[wrong]
    with pytest.raises(ClusterError) as error:
        plan(cluster, gpus, *overrides, **wanted)
    message = str(error.value)
    assert "\n" not in message
    assert rule in message
    assert legal in message
    if "units" not in wanted or isinstance(wanted["units"], int):
        assert re.search(r"\(.*docs\.alliancecan\.ca/wiki/.*2026-05-17\)$", message), "source and day"


@pytest.mark.parametrize("time", ["-3h", "0", "soon", "12h:30", ""])
def test_time_that_is_none(time):
    with pytest.raises(ClusterError, match="write 3h, 1d12h, 12:00:00"):
        plan("narval", time=time)


@pytest.mark.parametrize("option", ["tmp=370G", "--time=3:00:00", "--gpus=a100:8", "-n 4", "--partition=gpu"])
def test_further_options_have_no_place_of_their_own(option):
    with pytest.raises(ClusterError, match="have a place of their own"):
        plan("narval", 8, f"extra=['{option}']")
    assert plan("rorqual", 8, "extra=[--tmp=370G, --exclusive]").extra == ("--tmp=370G", "--exclusive")


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("--export=NONE", "--export: a job needs the environment"),
        ("--export-file=/x", "--export-file: a job needs"),
        ("--get-user-env", "a job needs the environment"),
        ("--export NONE", "it is no option"),
        ("--exp=NONE", "--export: a job needs"),
        ("--outpu=/x", "--output: it has a place"),
        ("--open_mode=truncate", "--open-mode: it has a place"),
        ("--no_requeue", "--no-requeue: it has a place"),
        ("--kill-on-invalid-dep=no", "it has a place"),
        ("--chdir=/tmp", "a job begins beside its script"),
        ("--wrap=true", "a script of its own"),
        ("--wait", "the launcher reads what sbatch answers"),
        ("--parsable", "the launcher reads what sbatch answers"),
        ("--clusters=other", "among yours on this cluster"),
        ("--mem-per-gpu=1G", "it has a place"),
        ("--tmp=1G\n#SBATCH --export=NONE", "it is no option"),
        ("--", "it is no option"),
        *(
            (f"--{name}=x", f"--{name}: it has a place")
            for name in ("output", "error", "array", "signal", "job-name")
        ),
        *(
            (f"--{name}", f"--{name}: it has a place")
            for name in ("requeue", "no-requeue", "dependency", "nodes")
        ),
    ],
)
def test_options_that_jobs_rely_on_are_refused_with_the_rule(option, rule):
    profile = replace(load_profile("narval", ["cluster.account=def-prof"], {}), extra=(option,))
    with pytest.raises(ClusterError, match=re.escape(rule)) as refusal:
        plan_resources(profile, 8)
    assert repr(option) in str(refusal.value)


@pytest.mark.parametrize(
    "option",
    [
        "--hold",
        "--exclude=ng[1,3]",
        "--qos=high",
        "--time-min=1:00:00",
        "--wait-all-nodes=1",
        "--gres-flags=x",
    ],
)
def test_options_that_nothing_relies_on_are_handed_on(option):
    profile = replace(load_profile("narval", ["cluster.account=def-prof"], {}), extra=(option,))
    assert plan_resources(profile, 8).extra == (option,)


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_request_made_again_is_the_same_but_for_what_is_typed(cluster):
    account = "aip-prof" if cluster in ("killarney", "tamia", "vulcan") else "def-prof"
    before = plan(cluster, 4, f"account={account}", units="4", time="30m")
    profile = replace(load_profile(cluster, [], {}), account=account, mail="none@example.org")
    assert resources_again(before, profile, {"account"}) == replace(before, mail="none@example.org")
    assert resources_again(before, replace(profile, time="1h", mem="1G"), ()) is before
    longer = resources_again(before, replace(profile, time="1h"), {"time"})
    assert longer == replace(before, time_min=60, units=2, mail="none@example.org")
    assert difference(before, longer) == "1 h instead of 30 min, 2 units instead of 4 units"


def test_what_changes_the_shape_takes_a_fair_share_of_it():
    before = plan("narval", 4, "account=def-prof", time="3h", mem="300G")
    more = resources_again(before, replace(load_profile("narval", []), gpus=8, account="def-prof"), {"gpus"})
    assert (more.nodes, more.gpus_per_node, more.time_min) == (2, 4, 180)
    assert more.mem_mb == plan("narval", 8, "account=def-prof", time="3h").mem_mb
    assert "2 nodes instead of 1 node" in difference(before, more)


def test_a_request_made_again_keeps_to_the_rules_of_the_cluster():
    before = plan("narval", 1, "account=def-prof", time="3h")
    with pytest.raises(ClusterError, match="5000G"):
        resources_again(before, replace(load_profile("narval", []), mem="5000G"), {"mem"})
