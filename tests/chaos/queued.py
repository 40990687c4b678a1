"""A grid that goes through the queue of a sandbox, disturbed and judged as one on this machine is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from cluster.files import read_jsonl
from cluster.sandbox import network as net
from cluster.slurm.submission import Submission
from jobs.cell.cell import wanted_cells
from tests.chaos.place import RUNS_AGAIN, Place
from tests.chaos.processes import Command
from tests.slurm.conftest import Sandbox

QUEUE_S = 600.0


class Queued:
    """A command that submits, and the jobs that it has submitted: over when nothing of the grid is in the queue.

    Used as the process of a command on this machine is; a fault on a cluster does not ask for its pid.
    """

    def __init__(self, place: QueuedPlace, process: Command) -> None:
        self.place, self.process, self.pid = place, process, process.pid

    def poll(self) -> int | None:
        """None while it submits, or something is in the queue."""
        status = self.process.poll()
        return None if status is None or self.place.jobs() else status

    def wait(self, timeout: float) -> int:
        """The command's status, when it is over."""
        deadline = time.monotonic() + QUEUE_S
        status = self.process.wait(timeout)
        while self.place.jobs():
            self.place.mend()
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.place.jobs()), QUEUE_S)
            time.sleep(0.3)
        return status

    @property
    def told(self) -> str:
        """What the command has said."""
        return self.process.told


class QueuedPlace(Place):
    """A place whose grid is submitted to a sandbox.

    Args:
        base: the folder, which is made.
        world: the tiny world.
        sandbox: it.
        nodes: of each job, which has a process on each.
        minutes: of each unit.
    """

    def __init__(self, base: Path, world: Path, sandbox: Sandbox, nodes: int = 1, minutes: int = 5) -> None:
        super().__init__(base, world, nodes)
        self.sandbox, self.minutes = sandbox, minutes
        self.lost: list[str] = []
        """Nodes without power."""

    def start(self, *changes: str) -> Queued:
        """Submit; goes on as long as the jobs do."""
        self.mend()
        return Queued(self, self.submit(*changes))

    def submit(self, *changes: str) -> Command:
        """Submit; goes on until that is done."""
        return super().start(*changes)

    def finish(self) -> list[str]:
        """Submit again until nothing is left to do.

        Returns:
            What is wrong: it does not come to its end, or something of it stays in the queue.
        """
        for _ in range(RUNS_AGAIN):
            status = self.end(self.start())
            if not status and self.whole():
                again = self.end(self.start())
                told = self.said[-1]
                return [] if not again and "nothing to submit" in told else [f"not at rest: {told[-600:]}"]
        return [f"not done after {RUNS_AGAIN} starts: {self.said[-1][-600:]}\n{self.logs()[-1500:]}"]

    def whole(self) -> bool:
        """Whether every cell is done, and the tables are written."""
        cells = wanted_cells(self.grid)
        return bool(cells) and all(cell.done() for cell in cells) and any(self.grid.results.glob("*.csv"))

    def jobs(self) -> list[str]:
        """What of the grid is in the queue, as squeue names it."""
        told = [one for record in self.grid.records() if (one := Submission.read(record))]
        if not told:
            return []
        names = ",".join({one.name for one in told})
        return self.sandbox.run("squeue", "-h", "-r", "-n", names, "-o", "%i", check=False).stdout.split()

    def working(self) -> dict[str, dict[str, str]]:
        """Jobs that run, as the controller shows them."""
        told = [self.sandbox.job(job) for job in self.jobs()]
        return {one["JobId"]: one for one in told if one.get("JobState") == "RUNNING"}

    def mend(self) -> None:
        """Switch nodes on again that the controller has noticed to be gone."""
        for node in self.lost[:]:
            if self.sandbox.nodes().get(node, "").startswith("down"):
                self.sandbox.start_node(node)
                self.lost.remove(node)

    def causes(self) -> list[str]:
        """What ended the starts of its cells, as they tell."""
        folders = {cell.folder.path: cell.folder for cell in wanted_cells(self.grid)}
        every = [event for folder in folders.values() for event in read_jsonl(folder.events)]
        return [event["cause"] for event in every if event["event"] == "interrupted"]

    def logs(self) -> str:
        """What the jobs have printed."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.runs.rglob("*_log.out")))

    def clear(self) -> None:
        """Leave nothing in the queue and all nodes up."""
        self.sandbox.run("scancel", "--user=root", check=False)
        deadline = time.monotonic() + QUEUE_S
        while set(self.sandbox.nodes().values()) != {"idle"} and time.monotonic() < deadline:
            self.mend()
            time.sleep(0.2)

    def _where(self) -> list[str]:
        words = ["--cluster", "sandbox", "--time", str(self.minutes), "--throttle", "2"]
        if self.tasks > 1:
            words += ["--nodes", str(self.tasks), "--gpus", str(self.tasks)]
        return words

    @property
    def _environ(self) -> dict[str, str]:
        told = {name: self.sandbox.environ[name] for name in ("SLURM_CONF", "PATH")}
        return {"LAYALIGN_CHAOS": str(self.base), **told}

    def _processes(self) -> Iterator[str]:
        mark = str(self.base).encode()
        for pid in net.processes(net.prefix_of(self.sandbox.root)):
            try:
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    yield f"process {pid}"
            except OSError:
                continue
        yield from super()._processes()
