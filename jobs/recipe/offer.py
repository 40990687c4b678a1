"""What a command would put into a queue, as an offer: what runs, for how long, at what cost in all, and why so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.profile.resources import Resources, gpu_hours
from cluster.quantities import human_memory, human_time
from jobs.recipe.meter import many

MANY = 100
"""From so many jobs on it is asked whether they are meant: a slip of `--hours` or `--time` makes hundreds."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One job, chain or array of an offer."""

    what: str
    """`stage 1`, `array 3`."""
    told: str
    """What it is, in a line."""
    resources: Resources
    """Of alternatives the dearest."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """All that one command would submit."""

    title: str
    """`train stage 1 and 2 of math on narval`."""
    parts: Sequence[Part]
    reasons: Mapping[str, str] = field(default_factory=dict)
    """What was asked for, what is a default, what an estimate, by the option that changes it."""
    notes: Sequence[str] = ()
    """What should be known before it is submitted."""

    @property
    def asked(self) -> tuple[Resources, ...]:
        """What each part asks for."""
        return tuple(part.resources for part in self.parts)

    @property
    def jobs(self) -> int:
        """Jobs in all, every unit and slot counted as Slurm does."""
        return sum(asked.units for asked in self.asked)

    @property
    def hours(self) -> float:
        """GPU-hours in all (where nodes have none: task-hours), if every job takes its whole time."""
        return sum(gpu_hours(part.resources) for part in self.parts)

    @property
    def cost(self) -> str:
        """`8 jobs, at most 192 GPU-hours`."""
        kind = "GPU-hours" if any(part.resources.gpu for part in self.parts) else "task-hours"
        return f"{many(self.jobs, 'job')}, at most {_number(self.hours)} {kind}"

    @property
    def doubt(self) -> str:
        """What is asked about, where so much may be a slip; else empty."""
        if self.jobs < MANY:
            return ""
        return f"{self.cost} (fewer: a longer --time, a smaller --hours, or --units and --slots)"

    def show(self) -> None:
        """Print it."""
        accounts = dict.fromkeys(part.resources.account or "your only account" for part in self.parts)
        print(f"offer: {self.title}")
        row("in all", f"{self.cost}, charged to {' or '.join(accounts)}")
        for part in self.parts:
            row(part.what, part.told)
        for option, text in self.reasons.items():
            row(option, text)
        row(
            "estimate", "what it costs if every job takes its whole time; one that is done earlier costs less"
        )
        for note in self.notes:
            row("note", note)
        if self.doubt:
            row("asks", f"whether so many are meant, as {self.jobs:,} are {MANY} or more; --yes answers")


def told(resources: Resources) -> str:
    """`4 units of 3 h, one after another, on 2 x (4 x a100, 496G): at most 96 GPU-hours`."""
    length = human_time(resources.time_min)
    units = f"{resources.units:,} units of {length}, one after another" if resources.units > 1 else length
    return f"{units}, on {shape(resources)}: {cost_of(resources)}"


def cost_of(resources: Resources) -> str:
    """`at most 96 GPU-hours`."""
    return f"at most {_number(gpu_hours(resources))} {'GPU-hours' if resources.gpu else 'task-hours'}"


def shape(resources: Resources) -> str:
    """`2 x (4 x a100, 496G)`: the nodes of one job, and what of each."""
    tasks = many(resources.tasks_per_node, "task")
    each = f"{resources.gpus_per_node} x {resources.gpu}" if resources.gpu else tasks
    memory = f", {human_memory(resources.mem_mb)}" if resources.mem_mb else ""
    return f"{resources.nodes} x ({each}{memory})"


def _number(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{round(hours, 1):g}"


def row(what: str, told: str) -> None:
    """One line of an offer."""
    print(f"  {what:<13} {told}")
