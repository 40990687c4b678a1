#!/usr/bin/env python3
"""The first thing a job runs: names in one line what is wrong with its environment, and what to do about it.

`check.py --no-gpu` leaves out the GPU that a job was given. Exit status 0 or 1. Any Python 3 can read this file and
it needs no package, so that it can say that the Python itself is the wrong one.
"""

import importlib
import importlib.util
import os
import re
import socket
import sys

OLDEST_PYTHON = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REBUILD = "build the environment anew: python launch.py env --cluster NAME --build"
if os.environ.get("LAYALIGN_VENV"):  # the user's own, which nothing of ours builds
    REBUILD = f"put into it what is missing: {sys.executable} -m pip install -r envs/cluster.txt"
MODULES = {"pyyaml": "yaml", "protobuf": "google.protobuf"}
"""Import names that differ from the name of the package."""


class Wrong(Exception):
    """What is wrong, and the next step."""


def main(words: list) -> int:
    """Check everything, in an order in which each step needs only the ones before."""
    try:
        python()
        needed = requirements(os.path.join(ROOT, "pyproject.toml"))
        versions(needed)
        pydantic()
        arrow()
        for package in needed:
            present(MODULES.get(package, package))
        if "--no-gpu" not in words and gpus_given(os.environ):
            gpu()
    except Wrong as wrong:
        print(f"error: environment on {socket.gethostname()}: {wrong}", file=sys.stderr)
        return 1
    return 0


def python() -> None:
    """A Python that the project runs on."""
    if sys.version_info < OLDEST_PYTHON:
        found, wanted = (".".join(map(str, version)) for version in (sys.version_info[:3], OLDEST_PYTHON))
        raise Wrong(
            f"Python is {found} ({sys.executable}), {wanted} or newer is needed: load the python module before the "
            "environment is activated (envs/<cluster>.sh does)"
        )


def requirements(path: str) -> dict:
    """Packages that the project depends on, with the bounds of their versions: {"torch": [(">=", "2.6")]}."""
    import tomllib

    with open(path, "rb") as file:
        told = tomllib.load(file)["project"]["dependencies"]
    return {re.split("[<>=!~ ]", line)[0].lower(): re.findall("(>=|<)([0-9.]+)", line) for line in told}


def versions(needed: dict) -> None:
    """Every package in a version that the project admits. Reads what is written down, imports nothing."""
    for package, bounds in needed.items():
        found = installed(package)
        if found is None:
            raise Wrong(f"package {package} is missing: {REBUILD}")
        for sign, bound in bounds:
            newer = numbers(found) >= numbers(bound)
            if newer != (sign == ">="):
                raise Wrong(f"{package} is {found}, the project needs {sign}{bound}")


def pydantic() -> None:
    """deepspeed needs pydantic 2 since 0.17: with version 1 its import fails for want of `model_validator`."""
    speed, found = installed("deepspeed"), installed("pydantic")
    if speed and numbers(speed) >= (0, 17) and found and numbers(found) < (2,):
        raise Wrong(
            f"pydantic is {found}, deepspeed {speed} needs version 2: pip install --no-index 'pydantic>=2'"
        )


def arrow() -> None:
    """The wheelhouse's pyarrow is a dummy: the real one comes with the arrow module."""
    try:
        importlib.import_module("pyarrow.lib")
    except Exception as error:
        raise Wrong(
            f"pyarrow cannot be imported ({first_line(error)}): load gcc and the arrow module before the "
            "environment is activated (envs/<cluster>.sh does)"
        ) from error


def present(module: str) -> None:
    """A module that is there to be imported; importing them all would take every node half a minute."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # the package above it
        found = None
    if found is None:
        raise Wrong(f"module {module} is missing though its package is installed: {REBUILD}")


def gpus_given(environ: dict) -> bool:
    """Whether Slurm gave this job a GPU."""
    return environ.get("SLURM_GPUS_ON_NODE", "0") != "0" or bool(environ.get("SLURM_JOB_GPUS"))


def gpu() -> None:
    """A torch that computes on the GPUs of this node."""
    try:
        import torch
    except Exception as error:
        raise Wrong(f"torch cannot be imported: {first_line(error)}: {REBUILD}") from error
    build = f"torch {torch.__version__} (CUDA {torch.version.cuda})"
    if torch.version.cuda is None:
        raise Wrong(f"torch {torch.__version__} is built without CUDA, but this job has a GPU: {REBUILD}")
    if not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise Wrong(
            f"{build} sees no GPU (CUDA_VISIBLE_DEVICES={visible}); is its driver older? See nvidia-smi"
        )
    try:
        torch.ones(8, device="cuda").sum().item()
    except RuntimeError as error:
        name, built_for = torch.cuda.get_device_name(), " ".join(torch.cuda.get_arch_list())
        raise Wrong(
            f"{build} cannot compute on {name}; it is built for {built_for}: {first_line(error)}"
        ) from error


def installed(package: str):  # noqa: ANN201 (str or None, in a syntax that old Pythons read)
    """The version of a package that is written down in the environment, or None."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple:
    """`2.11.0+computecanada` as (2, 11, 0)."""
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*", version).group().split("."))


def first_line(error: Exception) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
