"""A training in the queue of a sandbox, and what a cluster may do to it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster.job.unit import terms
from cluster.profile.load import load_profile
from cluster.profile.resources import Resources
from cluster.run.run_folder import RunFolder
from cluster.slurm.script import slurm_executor
from jobs.recipe.plan import load_recipe, plan_run
from jobs.work.call import JobCall
from layalign.config import RunConfig
from tests.jobs.work.test_train import events, trajectory
from tests.slurm.conftest import Sandbox
from tests.world import ROOT, write_recipe

EPOCHS = 30
SIGNAL_S = 10
"""Slurm looks every 30 s and signals up to 30 s early: a unit of a minute has at least 20."""
STEP = 60
"""An interruption comes after this step at the earliest."""


@dataclass
class Chain:
    """A training in the queue of the sandbox, and a job that waits for its end."""

    sandbox: Sandbox
    run: RunFolder
    job: str
    units: int
    after: Path
    disturbed: bool = False
    lost: list[str] = field(default_factory=list)
    """Nodes that were switched off."""

    def over(self) -> bool:
        """Done, failed, or nothing of it is left in the queue."""
        if self.run.done.exists() or self.run.failed.exists():
            return True
        return not self.sandbox.run("squeue", "-h", "-j", self.job, check=False).stdout.strip()

    def unit(self) -> str:
        """The unit that runs, `14_2`; empty if none does."""
        return self.sandbox.run(
            "squeue", "-h", "-j", self.job, "-t", "R", "-o", "%i", check=False
        ).stdout.strip()

    def running(self) -> dict[str, str]:
        """The same as the controller shows it."""
        return self.sandbox.job(self.unit())

    def nodes(self) -> list[str]:
        names = self.running()["NodeList"]
        return self.sandbox.run("scontrol", "show", "hostnames", names).stdout.split()

    def causes(self) -> list[str]:
        return [event["cause"] for event in events(self.run.path, "interrupted")]

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.run.slurm.glob("*_log.out")))

    def states(self) -> list[str]:
        """State of each start of each unit, once accounting knows that all is over."""
        for _ in range(240):
            told = self.sandbox.run("sacct", "-X", "-D", "-n", "-P", "-j", self.job, "-o", "state").stdout
            states = [line.split()[0] for line in told.splitlines()]
            whole = len(states) >= self.units or "CANCELLED" in states
            if whole and not {"PENDING", "RUNNING", "COMPLETING"} & set(states):
                return states
            time.sleep(0.5)
        raise AssertionError(states)


def submit(
    sandbox: Sandbox,
    world: Path,
    folder: Path,
    *,
    units: int = 4,
    mode: str = "chain",
    nodes: int = 2,
    tasks: int = 1,
    minutes: int = 5,
    mem_mb: int = 3000,
    extra: tuple[str, ...] = (),
    job: str = "train",
    change: Callable[[dict], None] = lambda told: None,
) -> Chain:
    """Stage 1 on nodes of the sandbox, and behind it a job that runs only if it ends well."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = plan_run(load_recipe(str(write_recipe(world, folder, EPOCHS))), 1, [], folder / "runs")
    profile = load_profile("sandbox", [f"cluster.continuation.mode={mode}"], {})
    resources = Resources(
        nodes=nodes,
        tasks_per_node=tasks,
        gpus_per_node=tasks,
        gpu="a100",
        cpus_per_task=1,
        mem_mb=mem_mb,
        time_min=minutes,
        units=units if mode == "chain" else 1,
        account="def-someprof",
        mail=None,
        extra=("--exclusive", *extra),
    )
    told = {"run": str(plan.run.path), "config": plan.config.to_dict(), "data": None, "parent": None}
    told |= {"terms": terms(profile, resources, SIGNAL_S)}
    change(told)
    config = RunConfig.from_dict(told["config"])
    run = RunFolder.at(folder / "runs", plan.run.name, 1, config.signature())
    run.create(told["config"])
    told["run"] = str(run.path)
    executor = slurm_executor(
        run.slurm,
        resources,
        profile,
        name=folder.name,
        comment="waiting",
        setup=[f"cd {ROOT}", f"export OMP_NUM_THREADS=1 LAYALIGN_CACHE={world.parent}/tokens"],
        python=sys.executable,
        signal_s=SIGNAL_S,
    )
    with clients_of(sandbox):
        if resources.units > 1:
            with executor.batch():
                jobs = [executor.submit(JobCall(job, told)) for _ in range(units)]
        else:
            jobs = [executor.submit(JobCall(job, told))]
    after = folder / "after"
    words = [f"--dependency=afterok:{jobs[-1].job_id}", "--time=1", f"--wrap=touch {after}"]
    sandbox.submit(*words)
    return Chain(sandbox, run, jobs[0].job_id.partition("_")[0], resources.units, after)


@contextmanager
def clients_of(sandbox: Sandbox) -> Iterator[None]:
    """What runs in here finds Slurm's commands and the sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PATH", "SLURM_CONF"):
            patch.setenv(name, sandbox.environ[name])
        yield


def preempt(chain: Chain) -> None:
    chain.sandbox.submit(
        "-w", chain.nodes()[0], "--exclusive", "--qos=urgent", "--time=1", "--wrap", "sleep 1"
    )


def requeue(chain: Chain) -> None:
    chain.sandbox.run("scontrol", "requeue", chain.unit())


def lose_node(chain: Chain) -> None:
    chain.lost = chain.nodes()[1:]
    chain.sandbox.kill_node(chain.lost[0])


def send_term(chain: Chain) -> None:
    # Its status is not 0 where a step has just ended.
    chain.sandbox.run("scancel", "--signal=TERM", chain.unit(), check=False)


def slow_down(told: dict) -> None:
    """The same with smaller steps inside each step, and more done between them: longer than a minute anywhere."""
    told["config"]["training"].update(micro_batch=1, eval_every=1)


def kill_rank(chain: Chain) -> None:
    os.kill(process_of(chain.running()["JobId"], rank=1), signal.SIGKILL)


def kill_shell(chain: Chain) -> None:
    os.kill(shell_of(chain.running()["JobId"]), signal.SIGKILL)


class NotThere(AssertionError):
    """A process that a test looks for has not begun, or is over."""


def process_of(job: str, rank: int) -> int:
    """A process of the job on this very machine, where all nodes are."""
    wanted = {f"SLURM_JOB_ID={job}".encode(), f"SLURM_PROCID={rank}".encode()}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environ = set((path / "environ").read_bytes().split(b"\0"))
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if wanted <= environ and b"submitit" in command and b"srun" not in command:
            return int(path.name)
    raise NotThere(f"no rank {rank} of job {job}")


def shell_of(job: str) -> int:
    """The shell that runs the script of a job."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environ = set((path / "environ").read_bytes().split(b"\0"))
            if (
                f"SLURM_JOB_ID={job}".encode() in environ
                and b"slurm_script" in (path / "cmdline").read_bytes()
            ):
                return int(path.name)
        except OSError:
            continue
    raise NotThere(f"no shell of job {job}")


def follow(chain: Chain, until: Callable[[Chain], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not until(chain):
        assert time.monotonic() < end, chain.log()[-3000:]
        time.sleep(0.2)


def trains(chain: Chain) -> bool:
    return len(trajectory(chain.run.path)) >= STEP


def stopped(chain: Chain) -> list[str]:
    """The chain has stopped without another attempt: the states of its units."""
    follow(chain, lambda chain: chain.run.failed.exists())
    states = chain.states()
    assert not chain.run.done.exists()
    assert not chain.after.exists()
    return states
