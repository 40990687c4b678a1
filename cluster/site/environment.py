"""How a job's Python comes to be on a cluster: the lines its script begins with, and the build on the login node.

The shell of it is in `envs/`: `<cluster>.sh` is sourced by jobs, `build.sh` builds. This module finds out what the
wheelhouse lacks and says how things stand.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.commands import ask
from cluster.errors import ClusterError
from cluster.hub.cache import CACHE_VARIABLES
from cluster.profile.load import SlurmProfile, load_profile
from cluster.profile.profile_file import Cluster, word_of
from cluster.provenance import ROOT

ENVS = "envs"
OTHER = "other.sh"
REQUIREMENTS = ROOT / ENVS / "cluster.txt"
PYTHON = "3.11"
"""Version of the wheels, that of the module."""
HANDED_ON = (*CACHE_VARIABLES, "LAYALIGN_CACHE", "LAYALIGN_ENV_HOME")
WHEELS_S = 300.0


def job_lines(profile: SlurmProfile, environ: Mapping[str, str]) -> list[str]:
    """Shell lines that a job's script begins with, run in the folder of the code: modules, Python, settings, check.

    Variables that name secrets are never among them.
    """
    told = {name: environ[name] for name in HANDED_ON if environ.get(name)}
    told |= {"LAYALIGN_MODULES": " ".join(profile.software.modules), "WANDB_MODE": profile.network.wandb}
    if profile.name == "sandbox":
        told["LAYALIGN_VENV"] = environ.get("LAYALIGN_VENV") or sys.prefix
    elif profile.software.environment:
        told["LAYALIGN_VENV"] = profile.software.environment
    if profile.name != "sandbox" and script(profile) == OTHER:
        lies_ready = profile.storage.local == "memory" or profile.software.environment
        kind = "folder" if lies_ready else "node"
        told |= {"LAYALIGN_CLUSTER": profile.name, "LAYALIGN_KIND": kind}
    exports = [f"export {name}={shlex.quote(value)}" for name, value in told.items()]
    return [*exports, f". {ENVS}/{script(profile)} || exit 1"]


def in_environment(command: Sequence[str], profile: SlurmProfile, environ: Mapping[str, str]) -> list[str]:
    """A command as srun gets it: run in the folder of the code, in the environment of the cluster's jobs."""
    lines = [f"cd {shlex.quote(str(ROOT))}", *job_lines(profile, environ), shlex.join(command)]
    return ["bash", "-c", "\n".join(lines)]


def script(profile: SlurmProfile) -> str:
    """The file in `envs` that a cluster's jobs source; those of the user's own share one."""
    name = f"{profile.name}.sh"
    return name if (ROOT / ENVS / name).is_file() else OTHER


def home(profile: SlurmProfile, environ: Mapping[str, str]) -> Path:
    """The folder that holds what was built for a cluster, or that its profile says to use as it is."""
    if profile.software.environment:
        return Path(profile.software.environment)
    given = environ.get("LAYALIGN_ENV_HOME")
    base = Path(environ.get("HOME") or Path.home(), ".local", "share", "layalign", "envs")
    return Path(given) if given else base / profile.name


def state(profile: SlurmProfile, environ: Mapping[str, str]) -> str:
    """`ready`, or what a job would find instead, in a few words."""
    folder = home(profile, environ)
    if profile.software.environment:
        return "ready" if (folder / "bin" / "python").exists() else "there is no bin/python in it"
    built = next((folder / name for name in ("env.tar.zst", "venv") if (folder / name).exists()), None)
    if built is None:
        wheels = "nothing is built: each node installs from the wheelhouse, which takes minutes"
        return "nothing is built: jobs will refuse" if profile.storage.local == "memory" else wheels
    stamp = folder / "built-from"
    if not stamp.is_file() or stamp.read_text().strip() != _stamp():
        return f"{built} is built from other requirements than {REQUIREMENTS.name}: build it anew"
    return "ready"


def describe(profile: SlurmProfile, environ: Mapping[str, str]) -> list[str]:
    """What `launch.py env` prints: the lines of a job, where its Python comes from, and what is next."""
    if profile.name == "sandbox":
        return [
            *job_lines(profile, environ),
            "# the sandbox uses $LAYALIGN_VENV, else the Python of the launcher",
        ]
    now = state(profile, environ)
    lines = [*job_lines(profile, environ), f"# requirements: {REQUIREMENTS}"]
    lines += [f"# environment: {home(profile, environ)}: {now}"]
    if now != "ready" and not profile.software.environment:
        lines.append(f"# to build it, on a login node: python launch.py env --cluster {profile.word} --build")
    return lines


def rebuilt_by(cluster: Cluster) -> str:
    """The command that mends the environment of a cluster's jobs."""
    word = shlex.quote(word_of(cluster))
    try:
        profile = load_profile(cluster)
    except ClusterError:
        profile = None
    if isinstance(profile, SlurmProfile) and profile.software.environment:
        return into(profile.software.environment)
    return f"python launch.py env --cluster {word} --build"


def into(environment: str) -> str:
    """The command that puts into an environment of the user's own what jobs need."""
    python = shlex.quote(str(Path(environment) / "bin" / "python"))
    return f"{python} -m pip install -r {shlex.quote(str(REQUIREMENTS))}"


def build(profile: SlurmProfile, environ: Mapping[str, str]) -> None:
    """Build a cluster's environment on its login node, wheels that the wheelhouse lacks fetched before.

    Raises:
        ClusterError: the wheelhouse lacks a wheel that is not pure Python, or the build failed.
    """
    if profile.name == "sandbox":
        raise ClusterError(
            "the sandbox uses $LAYALIGN_VENV, else the Python of the launcher: there is nothing to build"
        )
    if profile.software.environment:
        raise ClusterError(
            f"jobs on {profile.name} use {profile.software.environment} as it is: there is nothing to build; to put "
            f"there what is missing: {into(profile.software.environment)}; without software.environment in its "
            "profile one is built from the Alliance's wheelhouse"
        )
    folder = home(profile, environ)
    wheels = folder / "wheels"
    for requirement in lacking(REQUIREMENTS):
        print(f"the wheelhouse lacks {requirement}: fetching it", flush=True)
        fetch_wheel(requirement, wheels)
    lines = [*job_lines(profile, {**environ, "LAYALIGN_ENV_HOME": str(folder)})[:-1]]
    lines += [f"cd {shlex.quote(str(ROOT))}", f"exec {ENVS}/build.sh {script(profile)}"]
    ran = subprocess.run(["bash", "-lc", "\n".join(lines)], env=_outside(environ), check=False)
    if ran.returncode:
        raise ClusterError(f"the build failed (exit status {ran.returncode}); its last lines say why")


def lacking(requirements: Path) -> list[str]:
    """Requirements that the wheelhouse cannot meet; none where `avail_wheels` is not there to ask.

    `avail_wheels --not-available` prints a table in which such a package has a name and nothing else. It is run
    outside any environment: it uses the pip it finds, and a newer one breaks it.

    Raises:
        ClusterError: it is there and fails.
    """
    told = _avail_wheels(requirements)
    if told is None:
        return []
    names = {line.split()[0].lower() for line in told.splitlines()[2:] if len(line.split()) == 1}
    lines = [line.partition("#")[0].strip() for line in requirements.read_text().splitlines()]
    return [line for line in lines if line and _package(line) in {_package(name) for name in names}]


def fetch_wheel(requirement: str, folder: Path) -> None:
    """Download a wheel of pure Python, the only kind that fits a wheelhouse of other libraries.

    Raises:
        ClusterError: there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    only = ["--no-deps", "--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *only]
    command += [f"--python-version={PYTHON}", f"--dest={folder}", requirement]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ClusterError(
            f"{requirement} is not in the wheelhouse, and no pure-Python wheel of it can be had: change its version "
            f"in {REQUIREMENTS} (avail_wheels {_package(requirement)} --all-versions), or ask the support for it\n"
            f"{ran.stderr.strip()}"
        )


def _avail_wheels(requirements: Path) -> str | None:
    path = _outside(os.environ)["PATH"]
    command = ("env", "-u", "VIRTUAL_ENV", f"PATH={path}", "avail_wheels")
    if ask(*command, "-h", timeout_s=WHEELS_S) is None:
        return None
    asked = ("-r", str(requirements), "--python", PYTHON, "--not-available")
    told = ask(*command, *asked, timeout_s=WHEELS_S)
    if told is None:
        raise ClusterError(f"avail_wheels {' '.join(asked)} fails: run it to see why")
    return told


def _outside(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the virtual environment that this process runs in."""
    ours = str(Path(sys.prefix) / "bin")
    parts = [part for part in environ.get("PATH", "").split(os.pathsep) if part != ours]
    return {**{k: v for k, v in environ.items() if k != "VIRTUAL_ENV"}, "PATH": os.pathsep.join(parts)}


def _package(requirement: str) -> str:
    """`torch==2.11.0` as `torch`, and all spellings of a name as one."""
    for sign in "<>=!~[; ":
        requirement = requirement.partition(sign)[0]
    return requirement.strip().lower().replace("_", "-").replace(".", "-")


def _stamp() -> str:
    """What `cksum` says of the requirements, as build.sh writes it down."""
    return (
        subprocess.run(["cksum"], input=REQUIREMENTS.read_bytes(), capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )
