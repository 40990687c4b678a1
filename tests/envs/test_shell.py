"""The shell that jobs begin with: modules, then Python, then settings; on every node, and with a reason if not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.profile.load import load_profile
from cluster.site.environment import REQUIREMENTS, job_lines, lacking
from tests.cluster.profile.test_load import CLUSTERS

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / "envs"


@pytest.fixture
def site(tmp_path):
    """A home, and a folder of commands that stand in for those of a cluster, each writing down its call."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "log").touch()
    for name in ("HOME", "SLURM_TMPDIR", "SCRATCH"):
        (tmp_path / name).mkdir()
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "HF_", "LAYALIGN"))
    }
    folders = {name: str(tmp_path / name) for name in ("HOME", "SLURM_TMPDIR", "SCRATCH")}
    environ = {
        **clean,
        **folders,
        "LOG": str(tmp_path / "log"),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }
    return tmp_path, environ


def command(site, name, body=""):
    path = site[0] / "bin" / name
    path.write_text(f'#!/bin/bash\necho "{name} $*" >> "$LOG"\n{body}\n')
    path.chmod(0o755)


def bash(site, script, **environ):
    module = 'module() { echo "module $*" >> "$LOG"; [[ "$*" != *none* ]]; }\n'
    return subprocess.run(
        ["bash", "-c", module + script],
        cwd=ROOT,
        env={**site[1], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def calls(site):
    return (site[0] / "log").read_text().splitlines()


def archive(site, home):
    """What `launch.py env --build` leaves: an environment in one file, whose Python only writes down its call."""
    inside = site[0] / "inside" / "bin"
    inside.mkdir(parents=True)
    (inside / "python").write_text('#!/bin/bash\necho "python $*" >> "$LOG"\n')
    (inside / "python").chmod(0o755)
    home.mkdir(parents=True)
    packed = ["tar", "-C", str(site[0] / "inside"), "-I", "zstd", "-cf", str(home / "env.tar.zst"), "."]
    subprocess.run(packed, check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="apt-get install shellcheck")
def test_shell_is_clean():
    scripts = sorted(ENVS.glob("*.sh"))
    subprocess.run(["shellcheck", *scripts, ENVS / "bootstrap"], check=True)


@pytest.mark.parametrize("name", [name for name in CLUSTERS if name != "sandbox"])
def test_file_alone_loads_the_modules_of_the_profile_in_their_order(site, name):
    ran = bash(site, f"LAYALIGN_STEP=modules . envs/{name}.sh; echo $LAYALIGN_CLUSTER $LAYALIGN_KIND")
    profile = load_profile(name)
    kind = "folder" if profile.storage.local == "memory" else "node"
    assert ran.stdout == f"{name} {kind}\n", ran.stderr
    assert calls(site) == ["module purge", "module load " + " ".join(profile.software.modules)]
    order = [module.partition("/")[0] for module in profile.software.modules]
    if "StdEnv" in order:  # the Alliance's
        assert order == ["StdEnv", "gcc", "arrow", "cuda", "python"]


@pytest.mark.skipif(not shutil.which("zstd"), reason="apt-get install zstd")
def test_every_node_unpacks_checks_and_sets(site):
    archive(site, site[0] / "HOME/.local/share/layalign/envs/narval")
    command(site, "srun", 'while [[ $1 == --* ]]; do shift; done; "$@"')
    shown = (
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING",
    )
    show = "echo " + " ".join(f"${name}" for name in (*shown, "OMP_NUM_THREADS", "HF_HOME"))
    script = f". envs/narval.sh || exit 1; {show}; command -v python"
    ran = bash(site, script, SLURM_NNODES="2", SLURM_CPUS_PER_TASK="12")
    folder = site[0] / "SLURM_TMPDIR" / "layalign-env"
    assert ran.stdout.splitlines()[1:] == [
        f"1 1 1 1 12 {site[0]}/SCRATCH/huggingface",
        f"{folder}/bin/python",
    ], ran.stderr
    each = "--nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=12 --export=ALL"
    assert calls(site)[2:] == [
        f"srun {each} bash {ENVS}/node.sh {folder} {site[0]}/HOME/.local/share/layalign/envs/narval",
        f"srun {each} python {ENVS}/check.py",
        f"python {ENVS}/check.py",
    ]


@pytest.mark.skipif(not shutil.which("zstd"), reason="apt-get install zstd")
@pytest.mark.parametrize("name", ["narval", "trillium", "sandbox", "other"])
def test_no_python_of_the_users_shell_goes_before_the_environment(site, name):
    """Modules are loaded after that: arrow puts its own site-packages on the path."""
    archive(site, site[0] / "HOME/.local/share/layalign/envs/narval")
    told = {"LAYALIGN_CLUSTER": "mine", "LAYALIGN_KIND": "folder", "LAYALIGN_MODULES": "arrow/1"}
    users = (
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONUSERBASE",
        "PYTHONOPTIMIZE",
        "PYTHONSTARTUP",
        "PYTHONWARNINGS",
    )
    module = 'module() { [ "$1" = load ] && export PYTHONPATH=/arrow/site${PYTHONPATH:+:$PYTHONPATH}; true; }'
    environ = {**told, "LAYALIGN_VENV": str(site[0] / "inside"), **dict.fromkeys(users, "/users/own")}
    ran = bash(site, f"{module}; . envs/{name}.sh > /dev/null || exit 1; env | grep ^PYTHON", **environ)
    assert ran.stdout == ("" if name == "sandbox" else "PYTHONPATH=/arrow/site\n"), ran.stderr


def test_node_builds_from_the_wheelhouse_where_nothing_is_packed(site):
    command(site, "virtualenv", f'mkdir -p "${{@: -1}}/bin" && cp {site[0]}/bin/fake "${{@: -1}}/bin/python"')
    command(site, "fake")
    ran = bash(site, ". envs/rorqual.sh", SLURM_NNODES="1")
    assert ran.returncode == 0, ran.stderr
    folder = site[0] / "SLURM_TMPDIR" / "layalign-env"
    pip = f"fake -m pip install --quiet --disable-pip-version-check --no-index -r {ENVS}/cluster.txt"
    assert calls(site)[2:4] == [f"virtualenv --quiet --no-download {folder}", pip]
    home = site[0] / "HOME/.local/share/layalign/envs/rorqual"
    (home / "wheels").mkdir(parents=True)
    (home / "pins.txt").touch()
    shutil.rmtree(folder)
    bash(site, ". envs/rorqual.sh", SLURM_NNODES="1")
    assert f"--no-index --find-links {home}/wheels -r {home}/pins.txt" in calls(site)[-2]


@pytest.mark.parametrize(
    ("name", "environ", "expected"),
    [
        (
            "narval",
            {"LAYALIGN_MODULES": "none/1.0"},
            "cannot load none/1.0: correct cluster/profiles/narval.yaml",
        ),
        ("trillium", {}, "python launch.py env --cluster trillium --build"),
        ("narval", {"SLURM_TMPDIR": ""}, "envs/narval.sh is for jobs"),
    ],
)
def test_what_is_wrong_ends_the_job_with_a_reason(site, name, environ, expected):
    ran = bash(site, f". envs/{name}.sh || exit 1; echo went on", **environ)
    assert ran.returncode == 1
    assert expected in ran.stderr
    assert "went on" not in ran.stdout


@pytest.mark.parametrize("name", CLUSTERS)
def test_lines_of_a_job_say_nothing_secret(name):
    environ = {"HF_TOKEN": "hf_x", "WANDB_API_KEY": "x", "HF_HOME": "/a b", "HOME": "/h"}
    lines = job_lines(load_profile(name), environ)
    assert "export HF_HOME='/a b'" in lines
    assert lines[-1] == f". envs/{name}.sh || exit 1"
    assert f"export WANDB_MODE={load_profile(name).network.wandb}" in lines
    assert not [line for line in lines if "TOKEN" in line or "KEY" in line]


def test_sandbox_uses_the_python_of_the_launcher(site):
    lines = job_lines(load_profile("sandbox"), {})
    ran = bash(site, "\n".join([*lines, "command -v python; echo $HF_HUB_OFFLINE"]), SLURM_GPUS_ON_NODE="4")
    assert ran.stdout.splitlines() == [f"{sys.prefix}/bin/python", "1"], ran.stderr


def test_cluster_of_the_users_own_needs_no_file(site, tmp_path):
    own = tmp_path / "profiles.yaml"
    own.write_text("ours: {like: narval, software: {modules: [python/3.12], source: me, checked: today}}\n")
    profile = load_profile("ours", (), {"LAYALIGN_PROFILES": str(own)})
    lines = job_lines(profile, {})
    assert lines[-1] == ". envs/other.sh || exit 1"
    bash(site, "\n".join(["export LAYALIGN_STEP=modules", *lines]))
    assert calls(site) == ["module purge", "module load python/3.12"]


TABLE = """name        version    python    arch
----------  ---------  --------  -------
torch       2.11.0     cp311     generic
sub_mitit
datasets    4.8.4      py3       generic
"""


def test_wheelhouse_is_asked_for_what_it_lacks(site, tmp_path, monkeypatch):
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("torch==2.11.0\nsub.mitit==1.5.4 # launcher\n# words\ndatasets==4.8.4\n")
    command(site, "avail_wheels", f"cat <<'E'\n{TABLE}E")
    for name, value in site[1].items():
        monkeypatch.setenv(name, value)
    assert lacking(wanted) == ["sub.mitit==1.5.4"]
    assert calls(site)[-1] == f"avail_wheels -r {wanted} --python 3.11 --not-available"


def test_without_a_wheelhouse_nothing_is_known_to_lack(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lacking(REQUIREMENTS) == []


@pytest.mark.skipif(not shutil.which("zstd"), reason="apt-get install zstd")
@pytest.mark.parametrize("local", ["disk", "memory"])
def test_build_leaves_pins_and_one_archive_or_folder(site, local):
    """On a cluster of the user's own without modules, whose Python only pretends to install."""
    made = 'mkdir -p "${@: -1}/bin" && cp "$(dirname "$0")/fake" "${@: -1}/bin/python"'
    command(site, "virtualenv", made)
    command(site, "fake", '[[ "$*" == *freeze* ]] && echo "torch==2.11.0+computecanada"; true')
    command(site, "avail_wheels", "echo name version; echo ----")
    (site[0] / "HOME" / ".bash_profile").write_text(
        f'PATH="{site[0]}/bin:$PATH"\n'
    )  # a login shell sets its own
    own = site[0] / "profiles.yaml"
    section = f"{{like: narval, software: {{modules: []}}, storage: {{local: {local}}}}}"
    own.write_text(f"ours: {section}\n")
    environ = {**site[1], "LAYALIGN_PROFILES": str(own)}
    words = [sys.executable, ROOT / "launch.py", "env", "--cluster", "ours"]
    before = subprocess.run(words, env=environ, capture_output=True, text=True, check=True).stdout
    assert "python launch.py env --cluster ours --build" in before
    ran = subprocess.run([*words, "--build"], env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    home = site[0] / "HOME/.local/share/layalign/envs/ours"
    assert f"# environment: {home}: ready" in ran.stdout
    assert (home / "pins.txt").read_text() == "torch==2.11.0+computecanada\n"
    kept = {path.name.partition("-2")[0] for path in home.iterdir()}
    assert kept == {"pins.txt", "built-from", *(["env.tar.zst"] if local == "disk" else ["venv"])}
    assert any(line.startswith("fake") and line.endswith("check.py --no-gpu") for line in calls(site))
    if local == "memory":
        again = subprocess.run([*words, "--build"], env=environ, capture_output=True, text=True, check=True)
        assert "when no job uses it any more: rm -r" in again.stdout or (home / "venv").is_symlink()
