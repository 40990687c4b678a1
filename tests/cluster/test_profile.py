from __future__ import annotations

import os

import pytest

from cluster.errors import ClusterError
from cluster.profile import detect, load_profile, profile_names, split_overrides


def test_every_profile_loads():
    assert "local" in profile_names()
    for name in profile_names():
        assert load_profile(name).name == name


def test_local_is_one_process():
    profile = load_profile("local")
    assert (profile.executor, profile.tasks) == ("local", 1)
    assert profile.threads() == len(os.sched_getaffinity(0))


def test_override_changes_the_profile():
    profile = load_profile("local", ["cluster.tasks=2", "cluster.cpus=7"])
    assert (profile.tasks, profile.cpus, profile.threads()) == (2, 7, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cluster.task=2", r"unknown key cluster.task; did you mean cluster.tasks\?"),
        ("cluster.tasks=two", "cluster.tasks is 'two': it must be a whole number"),
        ("cluster.tasks=0", "at least 1"),
        ("cluster.tasks=true", "True"),
        ("cluster.tasks", "cluster.key=value"),
        ("cluster.xyzzy=1", "valid keys: name, executor, tasks"),
    ],
)
def test_wrong_override_says_what_is_right(override, message):
    with pytest.raises(ClusterError, match=message):
        load_profile("local", [override])


def test_unknown_cluster_names_those_that_exist():
    with pytest.raises(ClusterError, match=r"no cluster 'locl'; did you mean local.* clusters are: .*local"):
        load_profile("locl")


def test_detected_cluster_has_a_profile():
    assert detect({}) == "local"
    assert detect({"CC_CLUSTER": "atlantis"}) == "local"
    assert detect({"CC_CLUSTER": "local"}) == "local"


def test_overrides_part_into_cluster_and_recipe():
    assert split_overrides(["cluster.tasks=2", "training.lr=1", "clusters=3"]) == (
        ["cluster.tasks=2"],
        ["training.lr=1", "clusters=3"],
    )
