from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.launch.submit import setup_lines
from cluster.profile.load import load_profile
from cluster.profile.resources import plan_resources
from cluster.run.snapshot import Snapshot
from cluster.slurm.script import script, signal_seconds, slurm_executor
from tests.cluster.profile.test_load import CLUSTERS

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDER = Path("/scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm")
CODE = FOLDER.parents[1] / ".code" / "00112233aabbccdd.tar"
SNAPSHOT = Snapshot(CODE, CODE.stem, "0123456789" * 4, True, {})
REGENERATE = "LAYALIGN_GOLDEN"
"""Set to 1 to write the golden texts anew; look at `git diff` before you commit them."""


def text_of(name: str, *overrides: str, folder: Path = FOLDER, gpus: int = 8, **job: str) -> str:
    profile = load_profile(name, [f"cluster.{text}" for text in overrides], {})
    resources = plan_resources(profile, gpus)
    told = {
        "name": "math-layalign-s2",
        "comment": "layalign math, stage 2 of 2",
        "setup": setup_lines(folder / "call-0123456789ab.pkl", SNAPSHOT, profile, resources, {}),
        "python": "python",
        **job,
    }
    return script(folder, resources, profile, **told).replace(sys.prefix, "/opt/env")


def options(text: str) -> dict[str, str | None]:
    """What sbatch reads of a script."""
    found = {}
    for line in re.findall(r"^#SBATCH (.*)$", text, re.MULTILINE):
        (word,) = shlex.split(line)
        key, equals, value = word.removeprefix("--").partition("=")
        found[key] = value if equals else None
    return found


def srun(text: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith("srun --unbuffered"))
    return shlex.split(line)


@pytest.mark.parametrize("name", CLUSTERS)
def test_script_is_the_golden_text(name):
    prefix = load_profile(name, environ={}).accounts.prefix or "def-"
    text = text_of(name, f"account={prefix}someprof", "mail=someone@example.org", "time=1h", "units=4")
    golden = GOLDEN / f"{name}.sh"
    if os.environ.get(REGENERATE) == "1":
        golden.write_text(text)
    kept = golden.read_text() if golden.exists() else "none yet"
    assert text == kept, f"{golden} differs; if that is meant, run once with {REGENERATE}=1"


def test_every_golden_text_has_its_profile():
    assert {path.stem for path in GOLDEN.glob("*.sh")} <= set(CLUSTERS)


@pytest.mark.parametrize("name", CLUSTERS)
def test_script_avoids_the_known_traps(name):
    text = text_of(name, "time=1h", "units=3")
    told, line = options(text), srun(text)
    assert "wckey" not in told
    assert "partition" not in told
    assert told["array"] == "0-2%1"
    assert told["open-mode"] == "append"
    assert told["signal"] == "USR2@120"
    assert told["no-requeue"] is None
    assert int(told["ntasks-per-node"]) * int(told["nodes"]) == 8
    assert told["gpus-per-node"].split(":")[-1] == told["ntasks-per-node"]
    assert f"--cpus-per-task={told['cpus-per-task']}" in line
    assert {"--kill-on-bad-exit=1", "--wait=60", "--open-mode=append"} < set(line)
    assert not {"gres", "gpus", "gpus-per-task", "mem-per-cpu"} & set(told)
    assert sys.executable not in text


def test_gpus_are_typed_where_the_site_knows_types():
    assert options(text_of("narval"))["gpus-per-node"] == "a100:4"
    assert options(text_of("nibi"))["gpus-per-node"] == "h100:8"
    assert options(text_of("trillium"))["gpus-per-node"] == "4"
    assert "mem" not in options(text_of("trillium"))
    word = "nvidia_h100_80gb_hbm3_1g.10gb"
    assert options(text_of("fir", f"gpu={word}", gpus=1))["gpus-per-node"] == f"{word}:1"


def test_one_unit_is_no_array():
    text = text_of("narval", "units=1")
    assert "array" not in options(text)
    assert "%j_0_log.out" in options(text)["output"]


def test_requeue_is_the_profiles():
    told = options(text_of("sandbox", "continuation.mode=requeue"))
    assert "requeue" in told
    assert "no-requeue" not in told


def test_what_is_not_asked_for_is_not_written():
    assert not {"account", "mail-user", "mail-type", "dependency", "comment-"} & set(
        options(text_of("narval"))
    )
    assert options(text_of("narval", dependency="afterok:12_3"))["dependency"] == "afterok:12_3"


def test_further_options_and_a_partition_of_the_users_own():
    told = options(text_of("rorqual", "extra=[--tmp=370G, --exclusive]", "hardware.partition=ours"))
    assert (told["tmp"], told["exclusive"], told["partition"]) == ("370G", None, "ours")


def test_paths_and_words_are_quoted():
    folder = Path("/scratch/some user/it's $HOME/slurm")
    text = text_of(
        "narval", folder=folder, comment='50 % of "math"; $(reboot)', python='"$SLURM_TMPDIR"/env/bin/python'
    )
    assert options(text)["output"] == f"{folder}/%j_0_log.out"
    assert options(text)["comment"] == '50 % of "math"; $(reboot)'
    assert srun(text)[srun(text).index("--output") + 1] == f"{folder}/%j_%t_log.out"
    assert srun(text)[-1] == str(folder)
    assert srun(text)[-5:-1] == ["$SLURM_TMPDIR/env/bin/python", "-u", "-m", "submitit.core._submit"]
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_pattern_of_slurm_in_a_folder_is_refused():
    with pytest.raises(ClusterError, match="has '%', which Slurm reads"):
        text_of("narval", folder=Path("/scratch/100%/slurm"))


def test_dry_run_needs_no_slurm_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    text_of("narval", folder=tmp_path / "slurm")
    assert list(tmp_path.iterdir()) == []


def test_signal_is_not_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("SUBMITIT_PREEMPT_SIGNAL", "TERM")
    assert options(text_of("narval"))["signal"] == "USR2@120"


@pytest.mark.parametrize("units", [1, 3])
def test_script_is_what_submitit_hands_to_sbatch(units, tmp_path, monkeypatch):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, body in {
        "sbatch": f'cp "$1" {tmp_path}/seen.sh; echo Submitted batch job 7',
        "srun": "true",
    }.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin_folder / name).chmod((bin_folder / name).stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    profile = load_profile("narval", ["cluster.account=def-prof"], {})
    resources = plan_resources(profile, 8, time="3h", units=units)
    told = {"name": "n", "comment": "c", "setup": ["cd /code"], "python": "env/bin/python", "signal_s": 300}
    executor = slurm_executor(tmp_path / "slurm", resources, profile, **told)
    executor.map_array(shlex.split, [["a"]] * units)
    assert (tmp_path / "seen.sh").read_text() == script(tmp_path / "slurm", resources, profile, **told)


def test_signal_leaves_time_to_write_the_checkpoint():
    assert signal_seconds(400_000_000) == 120
    assert signal_seconds(100_000_000_000) == 260
    assert signal_seconds(400_000_000, time_min=2) == 60
    assert signal_seconds(400_000_000, time_min=1440) == 120


COMMANDS = (
    *("cd", "ln", "srun", "bash", "sha256sum", "cut", "tar", "mkdir", "rm", "mv", "echo", "unset", "export", "exit"),
    *("builtin", "compgen", "command", "test", "[", ".", "source", "set", "eval", "python", "type", "read", "local"),
)  # fmt: skip
"""What a script of ours, and the files that it sources, take for granted."""
LIES = "\n".join(
    f'{name}() {{ /bin/echo "LIE {name}"; return 1; }}; export -f -- {name}'
    for name in COMMANDS
    if name != "export"
)


def test_functions_of_the_users_shell_reach_no_command_of_the_script(tmp_path):
    bin_folder, code, folder = tmp_path / "bin", tmp_path / "code", tmp_path / "runs" / "math" / "slurm"
    for made in (bin_folder, code / "envs", folder, tmp_path / "node"):
        made.mkdir(parents=True)
    (bin_folder / "srun").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/srun\n')
    (bin_folder / "srun").chmod(0o755)
    (code / "envs" / "narval.sh").write_text(f"module load x; echo $(type -t module) > {tmp_path}/module\n")
    pickle = b"a call"
    call = folder / f"call-{hashlib.sha256(pickle).hexdigest()[:12]}.pkl"
    call.write_bytes(pickle)
    profile = load_profile("narval", ["cluster.account=def-prof"], {})
    resources = plan_resources(profile, 4)
    snapshot = Snapshot.of(tmp_path / "runs", code)
    snapshot.write()
    setup = setup_lines(call, snapshot, profile, resources, {})
    text = script(folder, resources, profile, name="n", comment="c", setup=setup, python="python")
    (tmp_path / "job.sh").write_text(text)
    module = "module() { _raw ok; }; _raw() { /bin/true; }; export -f module _raw\n"
    begin = f'{module}{LIES}\nexport() {{ /bin/echo LIE; }}; builtin declare -fx export; exec /bin/bash "$0"'
    environ = {
        "PATH": f"{bin_folder}:/usr/bin:/bin", "SLURM_JOB_ID": "7", "SLURM_TMPDIR": str(tmp_path / "node"),
        "SLURMD_NODENAME": "n1", "HOME": str(tmp_path),
    }  # fmt: skip
    told = ["/bin/bash", "-c", begin.replace("builtin declare", "declare"), tmp_path / "job.sh"]
    ran = subprocess.run(told, env=environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert (folder / "7_submitted.pkl").resolve() == call
    assert (tmp_path / "module").read_text() == "function\n"
    assert "submitit.core._submit" in (tmp_path / "srun").read_text()
