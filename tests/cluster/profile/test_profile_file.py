"""A cluster in a file of the user's own: it stands for itself, its mistakes have a line, and a run remembers it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.errors import ClusterError
from cluster.profile.load import PROFILES, SlurmProfile, load_profile
from cluster.profile.profile_file import ProfileFile
from cluster.profile.resources import plan_resources
from cluster.profile.rules import partition_of
from cluster.profile.schema import line_of
from cluster.profile.write import profile_yaml

TEXT = (PROFILES / "sandbox.yaml").read_text()


@pytest.fixture
def ours(tmp_path):
    def write(*changes: tuple[str, str]):
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "ours.yaml"
        path.write_text(text)
        return path

    return write


def test_a_file_is_a_cluster_of_its_own_name(ours):
    path = ours(("title: the sandbox", "title: ours"))
    profile = load_profile(str(path), ["cluster.account=us"], {})
    assert (profile.name, profile.account, profile.word) == ("ours", "us", str(path))
    assert profile.title.startswith("ours")


def test_a_file_can_be_like_a_cluster(tmp_path):
    path = tmp_path / "narval.yaml"
    path.write_text("like: narval\nwalltime: {longest: 10080}\naccount: def-us\n")
    profile, narval = load_profile(str(path), (), {}), load_profile("narval", (), {})
    assert (profile.account, profile.hardware) == ("def-us", narval.hardware)


def test_what_was_read_is_loaded_again_though_the_file_is_gone(ours):
    path = ours()
    profile = load_profile(str(path), (), {})
    path.unlink()
    again = load_profile(profile.origin, (), {})
    assert again == profile
    assert load_profile("narval").origin == "narval"


def test_what_was_mended_in_a_file_counts(ours):
    path = ours()
    before = load_profile(str(path), (), {}).file
    path.write_text(TEXT.replace("longest: 60", "longest: 90"))
    assert load_profile(before.latest(), (), {}).walltime.longest == 90
    path.unlink()
    assert before.latest() == before


@pytest.mark.parametrize(
    ("change", "at", "told"),
    [
        (("cores: 4", "coers: 4"), "coers", r"unknown key hardware.kinds\[0\].coers; did you mean .*cores\?"),
        (("gpus: 4", "gpus: four"), "four", r"hardware.kinds\[0\].gpus is 'four': it must be a whole number"),
        (("      mem_mb: 16000\n", ""), "- gpu", r"hardware.kinds\[0\].mem_mb is missing; it must be said"),
        (("  running: none\n", ""), "limits:", r"limits.running is missing; write `running: unknown`"),
        (("brackets: [5, 15, 60]", "brackets: [15, 5]"), "brackets", "walltime.brackets is .*rising"),
        (
            ("wandb: offline", "wandb: off"),
            "wandb",
            "network.wandb is 'off': it must be one of online, offline",
        ),
        (
            ("local: disk\n", "local: disk\n\nhardwear: {}\n"),
            "hardwear",
            "unknown key hardwear; did you mean hard",
        ),
        (("memory: yes\n", "memory: yes\n  tasks: 1\n"), "  tasks", "unknown key hardware.tasks"),
        (("login: none", "login: none\ntasks: 2"), "tasks:", "tasks is for processes on this machine"),
        (
            ("mode: chain", "mode: chains"),
            "chains",
            "continuation.mode is 'chains': it must be one of chain, req",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_rule(ours, change, at, told):
    path = ours(change)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if at in text)
    with pytest.raises(ClusterError, match=told) as error:
        load_profile(str(path), (), {})
    assert str(error.value).startswith(f"{path}:{line}: "), error.value
    assert "cluster." not in str(error.value), "keys are told as they stand in the file"


def test_an_override_that_is_wrong_is_not_the_files_fault(ours):
    path = ours()
    with pytest.raises(ClusterError, match=r"^unknown key cluster.acount; did you mean cluster.account"):
        load_profile(str(path), ["cluster.acount=x"], {})


def test_a_mistake_in_the_users_profiles_has_a_line_too(tmp_path):
    path = tmp_path / "profiles.yaml"
    path.write_text("fir: {account: us}\nnarval:\n  account: us\n  walltime:\n    longst: 1\n")
    environ = {"LAYALIGN_PROFILES": str(path)}
    with pytest.raises(
        ClusterError, match=r"profiles.yaml:5: unknown key narval.walltime.longst; did you mean"
    ):
        load_profile("narval", (), environ)
    assert load_profile("fir", (), environ).account == "us"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("ours.yaml", None, "cannot be read: No such file"),
        ("ours.yaml", b"\xff\xfe", "is not UTF-8"),
        ("ours.yaml", b"- a\n", "must hold `name: value` lines"),
        ("ours.yaml", b"a: {", "is no YAML"),
        ("ours.yaml", b"", "says too little for a new one"),
        ("ours.yaml", b"like: narvl\n", "there is no such cluster"),
        ("my cluster.yaml", TEXT.encode(), "rename it"),
        (".yaml", TEXT.encode(), "rename it"),
        ("sandbox.yaml", TEXT.encode(), "means the throwaway Slurm of this machine; rename it"),
        ("ours.yaml", b"? [a]\n: b\n", "ours.yaml"),
        ("ours.yaml", b"? {a: b}\n: b\n", "ours.yaml"),
        ("ours.yaml", b"like: [narval]\n", "it must be the name of one cluster"),
        ("ours.yaml", b"like: narval\nwalltime: 3\n", "it must be a section"),
        ("ours.yaml", b"like: narval\nhardware: {kinds: {a: 1}}\n", "it must be a list"),
        ("ours.yaml", b"like: narval\nhardware: {kinds: [1]}\n", "it must be a section"),
        ("ours.yaml", b"a: *b\n", "is no YAML"),
        ("ours.yaml", b"a: &a [*a]\nexecutor: slurm\n", "is no YAML"),
        ("ours.yaml", b"executor: slrm\n", "executor is 'slrm': it must be one of local, slurm"),
        ("ours.yaml", b"executor: slurm\nfile: x\n", "unknown key file"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path, name, content, told):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClusterError, match=told) as error:
        load_profile(str(path), (), {})
    assert str(path) in str(error.value)


def test_a_file_that_was_meant_by_its_name_is_offered(ours, monkeypatch):
    monkeypatch.chdir(ours().parent)
    with pytest.raises(ClusterError, match=r"did you mean --cluster ours\.yaml"):
        load_profile("ours", (), {})
    assert load_profile("ours.yaml", (), {}).name == "ours"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_is_written_as_it_is_read(path):
    profile = load_profile(path.stem, (), {})
    if isinstance(profile, SlurmProfile):
        text = profile_yaml(
            replace(profile, replaces=()), "head", {"limits.jobs": "a note: of {odd} #characters"}
        )
        again = load_profile(ProfileFile(f"/x/{path.name}", text), (), {})
        assert replace(again, file=None) == replace(profile, replaces=())


def test_each_kind_of_node_has_its_partition_and_its_time(ours):
    second = TEXT[TEXT.index("    - gpu: a100") : TEXT.index("\nwalltime")]
    second = second.replace("gpu: a100", "gpu: v100").replace("a100_1g.5gb", "v100_1")
    path = ours(("\nwalltime:", f"{second}      partition: old@q\n      longest: 15\n\nwalltime:"))
    profile = load_profile(str(path), ["cluster.account=us"], {})
    assert (partition_of(profile, None), partition_of(profile, "v100")) == (None, "old@q")
    assert plan_resources(profile, 4, gpu="v100").time_min == 15
    assert plan_resources(profile, 4, gpu="a100").time_min == 60
    with pytest.raises(ClusterError, match=r"a job on ours with v100 runs for at most 15 min; .* --time 15"):
        plan_resources(profile, 4, gpu="v100", time="20")


def test_lines_are_found_by_key():
    text = "a:\n  b:\n    - {c: 1}\n    - c: 2\n      d: 3\n"
    assert [line_of(text, key) for key in ("a", "a.b[0].c", "a.b[1].d", "a.b[1].x", "z")] == [
        1,
        3,
        5,
        4,
        None,
    ]
