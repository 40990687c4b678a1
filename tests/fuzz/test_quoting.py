"""Names and values that reach a shell or sbatch arrive there as they were typed, or are refused."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from cluster.errors import ClusterError
from cluster.launch.submit import CALL, setup_lines
from cluster.profile.load import load_profile
from cluster.profile.resources import plan_resources
from cluster.profile.schema import UNKNOWN
from cluster.run.run_folder import RunFolder
from cluster.run.snapshot import Snapshot
from cluster.site.environment import HANDED_ON, job_lines
from tests.cluster.slurm.test_script import options, text_of
from tests.fuzz.values import FEW, TEXTS

VALUES = TEXTS.filter(lambda text: "\0" not in text and text.isprintable() | ("\n" in text)).filter(
    lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)
)


@FEW
@given(VALUES)
@example("a b'c\"$(touch pwned)`id`;&*~#")
@example("-rf")
@example("}")
@example("\u2028\x85")
def test_a_run_of_any_name_finds_its_call_and_its_code(tmp_path_factory, name):
    """The lines that a job's script begins with, in a real shell: up to those of the site."""
    root = tmp_path_factory.mktemp("runs")
    try:
        run = RunFolder.at(
            root / name.replace("/", "")[:60].strip(".") if name.strip("./") else root, name, 1, "0" * 8
        )
    except ClusterError as error:
        assert "cannot name a run" in str(error)
        return
    run.slurm.mkdir(parents=True)
    call = run.slurm / f"{CALL}2d711642b726.pkl"
    call.write_bytes(b"x")
    code = Snapshot(run.root / ".code" / "aa.tar", "aa", None, None, {"launch.py": b"x = 1\n"})
    code.write()
    profile = load_profile("narval", ["cluster.account=def-prof"], {})
    lines = setup_lines(call, code, profile, plan_resources(profile, 1), {})
    site = next(at for at, line in enumerate(lines) if line.startswith("export LAYALIGN_MODULES"))
    script = "\n".join([*lines[:site], 'pwd; cat launch.py; ls -A "$HOME"'])
    home = root / f"home-{uuid.uuid4().hex}"
    home.mkdir()
    environ = {"PATH": "/usr/bin:/bin", "SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7", "HOME": str(home)}
    ran = subprocess.run(["bash", "-c", script], env=environ, cwd=home, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.decode() == f"{run.root}/.code/code-aa\nx = 1\n"
    assert (run.slurm / "7_submitted.pkl").resolve() == call


@FEW
@given(st.lists(VALUES, min_size=1, max_size=3))
@example(["a'b", "$(id)", "x\ny"])
def test_what_is_handed_on_arrives(values):
    names = sorted(HANDED_ON)[: len(values)]
    told = dict(zip(names, values))
    lines = [one for one in job_lines(load_profile("narval", [], {}), told) if "_MODULES" not in one]
    shown = "".join(f"printf '%s\\0' \"${name}\"\n" for name in told)
    script = "\n".join([*lines[:-1], shown])
    ran = subprocess.run(
        ["bash", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False
    )
    assert ran.stdout.decode().split("\0")[:-1] == values


@given(TEXTS, st.sampled_from(["account", "mail", "hardware.partition"]))
@example("def-prof\nrm -rf ~", "account")
@example("a\nb", "mail")
@example("a\rb", "hardware.partition")
def test_a_word_of_the_profile_is_a_word_of_the_script(value, key):
    plain = text_of("narval", "account=def-prof", "mail=a@b", "hardware.partition=p")
    words = {"account": "account", "mail": "mail-user", "hardware.partition": "partition"}
    others = [f"{name}=x" for name in words if name != key and name != "account"]
    others += [] if key == "account" else ["account=def-prof"]
    try:
        text = text_of("narval", f"{key}={value}", *others)
    except ClusterError as error:
        assert str(error)
        return
    found = options(text)
    meant = value.strip()
    if meant.lower() not in UNKNOWN and meant[0] not in "[{":
        assert found[words[key]] == meant
        assert len(text.split("\n")) == len(plain.split("\n"))


@given(TEXTS)
@example("x\nrm -rf ~")
@example("50 % of \"math\"; $(reboot) 'x'")
def test_a_comment_is_one_line_of_the_script(comment):
    try:
        text = text_of("narval", "account=def-prof", comment=comment)
    except ClusterError as error:
        assert "would end its line" in str(error)
        return
    assert options(text)["comment"] == comment


@given(
    st.lists(
        TEXTS.map(lambda text: f"--{text}") | TEXTS | TEXTS.map(lambda text: f"--tmp={text}"), max_size=3
    )
)
@example(["--tmp=1\n2"])
@example(["--chdir=/x"])
@example(["--wr=x"])
def test_further_options_are_options_or_refused(extra):
    profile = replace(load_profile("narval", ["cluster.account=def-prof"], {}), extra=tuple(extra))
    try:
        asked = plan_resources(profile, 1)
    except ClusterError as error:
        assert "extra" in str(error)
        return
    assert all(one.startswith("--") and "\n" not in one for one in asked.extra)
