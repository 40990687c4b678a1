"""One sandbox for all tests of a session: a real Slurm with several nodes on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.profile.load import load_profile
from cluster.sandbox import sandbox as slurm
from cluster.sandbox.network import prefix_of
from cluster.sandbox.shape import Shape, shape_of

ROOTS = Path("/dev/shm")
OVER = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slurm)


class Sandbox:
    """A Slurm that is up, for one test session."""

    def __init__(self, root: Path):
        self.root = root
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH"))
        }
        self.environ = {**inherited, **slurm.sandbox_environment(root), "LAYALIGN_SANDBOX": str(root)}

    def run(self, *words: str, check: bool = True, **options) -> subprocess.CompletedProcess[str]:
        """Run a command that finds this Slurm."""
        options = {"env": self.environ, "cwd": self.root.parent, "timeout": 120, **options}
        ran = subprocess.run(words, capture_output=True, text=True, check=False, **options)
        assert not check or ran.returncode == 0, ran.stderr + ran.stdout
        return ran

    def submit(self, *words: str) -> str:
        """Submit by sbatch; gives the id of the job."""
        return self.run("sbatch", "--parsable", "--output=/dev/null", *words).stdout.strip()

    def job(self, job: str) -> dict[str, str]:
        """What the controller knows of a job."""
        text = self.run("scontrol", "--oneliner", "show", "job", job).stdout.split("\n")[0]
        return dict(re.findall(r"(\w+)=(\S*)", text))

    def wait(self, job: str, *states: str, seconds: float = 180) -> dict[str, str]:
        """Wait until a job is in one of these states (any end, if none is named)."""
        end = time.monotonic() + seconds
        while (found := self.job(job))["JobState"] not in (states or OVER):
            assert time.monotonic() < end, f"job {job} is still {found['JobState']} ({found.get('Reason')})"
            time.sleep(0.2)
        return found

    def nodes(self) -> dict[str, str]:
        """State of each node."""
        lines = self.run("sinfo", "-h", "-N", "-o", "%N %T").stdout.splitlines()
        return dict(line.split() for line in lines)

    def wait_idle(self, seconds: float = 180) -> None:
        """Wait until all nodes are up and free."""
        end = time.monotonic() + seconds
        while set(self.nodes().values()) != {"idle"}:
            assert time.monotonic() < end, str(self.nodes())
            time.sleep(0.2)

    def kill_node(self, node: str) -> None:
        slurm.kill_node(self.root, node)

    def cut_off(self, node: str, off: bool = True) -> None:
        """Take a node from the network, or put it back: all that runs there goes on."""
        space = f"{prefix_of(self.root)}-{node}"
        self.run("ip", "-n", space, "link", "set", "eth0", "down" if off else "up")

    def start_node(self, node: str) -> None:
        slurm.start_node(self.root, node)


def new_root(name: str) -> Path:
    """A folder for a sandbox of this process; those of processes that are gone are removed."""
    for old in ROOTS.glob("layalign-test-*"):
        if not Path("/proc", old.name.split("-")[2]).exists():
            slurm.down(old)
    return ROOTS / f"layalign-test-{os.getpid()}-{name}"


@pytest.fixture(scope="session")
def able() -> None:
    """Skip where no sandbox can be."""
    lacking = slurm.missing()
    if lacking:
        pytest.skip(f"no Slurm to test on: {lacking}")


@pytest.fixture(scope="session")
def shape() -> Shape:
    return shape_of(load_profile("sandbox"))


@pytest.fixture(scope="session")
def sandbox(able: None, shape: Shape) -> Iterator[Sandbox]:
    """A sandbox like `cluster/profiles/sandbox.yaml`, empty of jobs."""
    root = new_root("session")
    slurm.up(root, shape)
    try:
        yield Sandbox(root)
    finally:
        slurm.down(root)


@pytest.fixture(autouse=True)
def _empty_queue(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test finds all nodes up and free."""
    yield
    if "sandbox" in request.fixturenames:
        sandbox = request.getfixturevalue("sandbox")
        sandbox.run("scancel", "--user=root")
        sandbox.wait_idle()
