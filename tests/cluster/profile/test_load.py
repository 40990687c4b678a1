from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.profile.load import PROFILES, SlurmProfile, detect, load_profile, profile_names
from cluster.profile.overrides import split_overrides

CLUSTERS = tuple(sorted({path.stem for path in PROFILES.glob("*.yaml")} - {"local"}))
"""All that have a queue."""


@pytest.fixture
def mine(tmp_path):
    """Writes the user's file; returns an environment that names it."""

    def write(text: str) -> dict[str, str]:
        path = tmp_path / "profiles.yaml"
        path.write_text(text)
        return {"LAYALIGN_PROFILES": str(path)}

    return write


def test_every_profile_loads():
    assert profile_names({}) == sorted([*CLUSTERS, "local"])
    for name in CLUSTERS:
        profile = load_profile(name, environ={})
        assert isinstance(profile, SlurmProfile)
        assert profile.name == name


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_section_has_a_source_and_a_day(name):
    sections = load_profile(name, environ={}).sections()
    assert set(sections) >= {
        "hardware",
        "walltime",
        "limits",
        "accounts",
        "network",
        "storage",
        "continuation",
    }
    for section in sections.values():
        assert len(section.source) > 5
        assert datetime.date(2025, 1, 1) < datetime.date.fromisoformat(section.checked)


@pytest.mark.parametrize("name", CLUSTERS)
def test_fair_shares_fit_into_the_node(name):
    for kind in load_profile(name, environ={}).hardware.kinds:
        assert (kind.cores_per_gpu or 0) * kind.gpus <= kind.cores
        assert (kind.mem_per_gpu_mb or 0) * kind.gpus <= kind.mem_mb
        for part in kind.slices:
            assert part.memory_gb < kind.gpu_memory_gb if kind.gpu_memory_gb else True
            assert part.cores <= kind.cores // kind.gpus


def test_text_of_a_profile_keeps_its_meaning(mine):
    environ = mine("narval: {account: def-prof, time: 12:00:00, mail: no}\n")
    profile = load_profile("narval", environ=environ)
    assert (profile.account, profile.time, profile.mail) == ("def-prof", "12:00:00", "no")


def test_local_is_one_process():
    profile = load_profile("local")
    assert (profile.executor, profile.tasks) == ("local", 1)
    assert profile.threads() == len(os.sched_getaffinity(0))


def test_override_changes_the_profile():
    profile = load_profile("local", ["cluster.tasks=2", "cluster.cpus=7"])
    assert (profile.tasks, profile.cpus, profile.threads()) == (2, 7, 3)


def test_override_reaches_into_a_section():
    overrides = ["cluster.storage.scratch.path=/big", "cluster.extra=[--tmp=370G]", "cluster.hours=2.5"]
    profile = load_profile("rorqual", overrides, {})
    assert profile.storage.scratch.path == "/big"
    assert profile.storage.home.path == "$HOME"
    assert (profile.extra, profile.hours) == (("--tmp=370G",), 2.5)


@pytest.mark.parametrize(
    ("cluster", "override", "message"),
    [
        ("local", "cluster.task=2", r"unknown key cluster.task; did you mean cluster.tasks\?"),
        ("local", "cluster.tasks=two", "cluster.tasks is 'two': it must be a whole number"),
        ("local", "cluster.tasks=0", "at least 1"),
        ("local", "cluster.tasks=true", "'true'"),
        ("local", "cluster.tasks", "cluster.key=value"),
        ("local", "cluster.xyzzy=1", "valid keys: name, executor, tasks"),
        ("local", "cluster.account=def-prof", "account is for a queue, and local has none"),
        ("narval", "cluster.acount=def-prof", r"did you mean cluster.account\?"),
        ("narval", "cluster.tasks=2", "is for processes on this machine.*--gpus"),
        ("narval", "cluster.name=fir", "choose the cluster by --cluster fir"),
        (
            "narval",
            "cluster.walltime.longst=60",
            r"unknown key cluster.walltime.longst; .*walltime.longest\?",
        ),
        ("narval", "cluster.walltime=60", "cluster.walltime is '60': it must be a section"),
        ("narval", "cluster.walltime.brackets=[60, 30]", "rising"),
        ("narval", "cluster.walltime.longest=60", "none above walltime.longest"),
        ("narval", "cluster.network.wandb=on", "one of online, offline"),
        ("narval", "cluster.hardware.typed=maybe", "yes or no"),
        ("narval", "cluster.hardware.kinds=[]", "at least one kind of node"),
        ("narval", "cluster.hours=-1", "a number above 0"),
        ("narval", "cluster.extra=--tmp=1G", "it must be a list"),
        ("narval", "cluster.extra=[", "is no YAML"),
        (
            "narval",
            "cluster.continuation.mode=requeue",
            "not known to allow it: take chain, or set .*JobRequeue",
        ),
    ],
)
def test_wrong_override_says_what_is_right(cluster, override, message):
    with pytest.raises(ClusterError, match=message) as error:
        load_profile(cluster, [override], {})
    assert "\n" not in str(error.value)


def test_requeue_where_the_site_allows_it():
    allowed = ["cluster.continuation.requeue=yes", "cluster.continuation.mode=requeue"]
    assert load_profile("narval", allowed, {}).continuation.mode == "requeue"


def test_unknown_cluster_names_those_that_exist():
    with pytest.raises(ClusterError, match=r"no cluster 'locl'; did you mean local.* clusters are: .*local"):
        load_profile("locl")


def test_detected_cluster_has_a_profile():
    assert detect({}) == "local"
    assert detect({"CC_CLUSTER": "atlantis"}) == "local"
    for name in ("local", *CLUSTERS):
        assert detect({"CC_CLUSTER": name}) == name


@pytest.mark.parametrize(
    ("old", "new", "since"),
    [
        ("cedar", "fir", "2025-09-12"),
        ("graham", "nibi", "2025-09-01"),
        ("beluga", "rorqual", "2026"),
        ("niagara", "trillium", "2025-09-30"),
        ("mist", "trillium", "2025-09-16"),
    ],
)
def test_retired_cluster_says_where_to_go(old, new, since):
    for ask in (lambda: detect({"CC_CLUSTER": old}), lambda: load_profile(old, environ={})):
        with pytest.raises(
            ClusterError, match=f"{old} is retired .*{since}.*--cluster {new} .*Infrastructure"
        ):
            ask()


def test_user_file_lies_over_the_profile(mine):
    environ = mine("narval: {account: def-prof, mail: me@example.org, storage: {scratch: {path: /nfs}}}\n")
    profile = load_profile("narval", ["cluster.mail=you@example.org"], environ)
    assert (profile.account, profile.mail, profile.storage.scratch.path) == (
        "def-prof",
        "you@example.org",
        "/nfs",
    )
    assert profile.storage.scratch.purge_days == 60
    assert load_profile("fir", environ=environ).account is None


def test_user_file_is_found_below_the_home_folder(tmp_path):
    path = tmp_path / ".config" / "layalign" / "profiles.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("fir: {account: def-prof}\n")
    assert load_profile("fir", environ={"HOME": str(tmp_path)}).account == "def-prof"
    assert load_profile("fir", environ={"XDG_CONFIG_HOME": str(path.parents[1])}).account == "def-prof"


def test_own_cluster_inherits(mine):
    environ = mine("ours: {like: fir, title: Ours, account: us}\ntheirs: {like: ours, account: them}\n")
    assert {"ours", "theirs"} < set(profile_names(environ))
    profile = load_profile("theirs", environ=environ)
    assert (profile.name, profile.title, profile.account) == ("theirs", "Ours", "them")
    assert profile.hardware == load_profile("fir", environ={}).hardware
    assert profile.replaces == ()
    assert detect({**environ, "CC_CLUSTER": "ours"}) == "ours"


def test_own_cluster_can_be_written_whole(mine):
    text = (PROFILES / "vulcan.yaml").read_text()
    indented = "\n".join(f"  {line}" for line in text.splitlines())
    profile = load_profile("ours", environ=mine(f"ours:\n{indented}\n"))
    assert profile.hardware == load_profile("vulcan", environ={}).hardware


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("ours: {account: us}", "ours", "no known cluster.*add `like: narval`"),
        ("ours: {executor: slurm}", "ours", r"profiles.yaml:1: ours.title is missing"),
        ("ours: {like: narvl}", "ours", "like 'narvl', and there is no such cluster"),
        ("a: {like: b}\nb: {like: a}", "a", "end the circle"),
        ("narval: def-prof", "narval", "must be a section"),
        ("- narval", "narval", "must hold `name: value` lines"),
        ("narval: {", "narval", "profiles.yaml is no YAML"),
    ],
)
def test_wrong_user_file_says_what_is_right(mine, text, name, message):
    with pytest.raises(ClusterError, match=message):
        load_profile(name, environ=mine(text))


def test_named_user_file_must_exist(tmp_path):
    with pytest.raises(ClusterError, match=r"nowhere\.yaml cannot be read: No such file"):
        load_profile("narval", environ={"LAYALIGN_PROFILES": str(tmp_path / "nowhere.yaml")})


def test_account_of_the_shell_is_the_default():
    environ = {"SBATCH_ACCOUNT": "def-shell"}
    assert load_profile("narval", environ=environ).account == "def-shell"
    assert load_profile("narval", ["cluster.account=def-told"], environ).account == "def-told"
    assert load_profile("local", environ=environ).name == "local"


def test_storage_is_where_the_environment_says():
    storage = load_profile("rorqual", environ={}).storage
    assert storage.project.folder({"HOME": "/home/me"}, "def-prof") == Path(
        "/home/me/links/projects/def-prof"
    )
    with pytest.raises(ClusterError, match="give --account"):
        storage.project.folder({"HOME": "/home/me"}, None)
    with pytest.raises(ClusterError, match=r"\$SCRATCH is not set here"):
        load_profile("trillium", environ={}).storage.scratch.folder({}, None)


def test_overrides_part_into_cluster_and_recipe():
    assert split_overrides(["cluster.tasks=2", "training.lr=1", "clusters=3"]) == (
        ["cluster.tasks=2"],
        ["training.lr=1", "clusters=3"],
    )
