"""Which process of how many this one is, and where they meet. No command is run to find out.

Sources: torchrun's variables (docs.pytorch.org/docs/stable/elastic/run.html, "Environment Variables"),
submitit's local executor, srun's variables (slurm.schedmd.com/srun.html, "OUTPUT ENVIRONMENT VARIABLES").
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

LOCALHOST = "127.0.0.1"
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
NODES = r"(?:[\w.-]|\[\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*\])+"
"""One entry of a Slurm node list, such as `node[01-03,7]`."""
MOST = 1 << 16
"""Nodes of a list that Slurm itself takes (hostlist.h, `MAX_RANGE`)."""


@dataclass(frozen=True)
class Rank:
    """A process among those of its job."""

    rank: int
    world: int
    local_rank: int
    local_world: int
    node: int
    address: str
    """Host of rank 0."""
    port: int


def rendezvous(environ: Mapping[str, str]) -> Rank:
    """Find this process's rank: told outright, by submitit's local executor, by srun, or alone.

    Raises:
        ValueError: a list of Slurm nodes that cannot be read.
    """
    if all(environ.get(name) for name in TORCHRUN):
        return _told(environ)
    if "SUBMITIT_LOCAL_GLOBALID" in environ:
        return _submitit(environ)
    if "SLURM_PROCID" in environ:
        return _srun(environ)
    return alone()


def alone() -> Rank:
    """A process with no others."""
    with reserve_port() as reserved:
        return Rank(0, 1, 0, 1, 0, LOCALHOST, reserved.getsockname()[1])


def export(rank: Rank, environ: MutableMapping[str, str]) -> None:
    """Tell torch.distributed and DeepSpeed, in the variables that both read."""
    environ["RANK"] = str(rank.rank)
    environ["WORLD_SIZE"] = str(rank.world)
    environ["LOCAL_RANK"] = str(rank.local_rank)
    environ["LOCAL_WORLD_SIZE"] = str(rank.local_world)
    environ["GROUP_RANK"] = str(rank.node)
    environ["MASTER_ADDR"] = rank.address
    environ["MASTER_PORT"] = str(rank.port)


def reserve_port() -> socket.socket:
    """A port of this machine that stays ours as long as the socket is open.

    The kernel gives it to nobody else who asks for any port; rank 0 can still listen on it, as it names it
    and both sockets allow reuse (socket(7), SO_REUSEADDR: only a *listening* socket stands in the way).
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((LOCALHOST, 0))
    return reserved


def expand_nodes(text: str) -> list[str]:
    """The nodes of a Slurm list: `a[01-03,7],b` is a01, a02, a03, a7, b.

    Raises:
        ValueError: no such list.
    """
    if not re.fullmatch(f"{NODES}(?:,{NODES})*", text):
        raise ValueError(f"{text!r} is no list of Slurm nodes, such as node[01-03,7]")
    nodes: list[str] = []
    for entry in re.findall(NODES, text):
        names = [""]
        for plain, ranges in re.findall(r"([^\[\]]+)|\[([^\[\]]+)\]", entry):
            tails = [number for part in ranges.split(",") for number in _range(part)] if ranges else [plain]
            if len(nodes) + len(names) * len(tails) > MOST:
                raise ValueError(f"{text[:80]!r} is more than {MOST} nodes, which no list of Slurm is")
            names = [name + tail for name in names for tail in tails]
        nodes += names
    return nodes


def _range(text: str) -> list[str]:
    first, _, last = text.partition("-")
    numbers = range(int(first), int(last or first) + 1)
    if not 0 < len(numbers) <= MOST:
        raise ValueError(f"{text!r} is no range of Slurm nodes: it rises, to {MOST} of them at most")
    return [str(n).zfill(len(first)) for n in numbers]


def _told(environ: Mapping[str, str]) -> Rank:
    rank, world = int(environ["RANK"]), int(environ["WORLD_SIZE"])
    local_world = int(environ.get("LOCAL_WORLD_SIZE", world))
    node = int(environ.get("GROUP_RANK", rank // local_world))
    local = int(environ["LOCAL_RANK"])
    return Rank(rank, world, local, local_world, node, environ["MASTER_ADDR"], int(environ["MASTER_PORT"]))


def _submitit(environ: Mapping[str, str]) -> Rank:
    rank, world = int(environ["SUBMITIT_LOCAL_GLOBALID"]), int(environ["SUBMITIT_LOCAL_NTASKS"])
    local = int(environ["SUBMITIT_LOCAL_LOCALID"])
    return Rank(rank, world, local, world, 0, LOCALHOST, int(environ["MASTER_PORT"]))


def _srun(environ: Mapping[str, str]) -> Rank:
    """srun's own list of nodes comes first: a step may use fewer than its job."""
    node = int(environ.get("SLURM_NODEID", 0))
    world = int(environ["SLURM_NTASKS"])
    nodes = expand_nodes(environ.get("SLURM_STEP_NODELIST") or environ["SLURM_JOB_NODELIST"])
    counts = _counts(
        environ.get("SLURM_STEP_TASKS_PER_NODE") or environ.get("SLURM_TASKS_PER_NODE", str(world))
    )
    # Below the range from which the kernel draws (ip_local_port_range), so that no other program sits there.
    port = 15000 + int(environ["SLURM_JOB_ID"]) % 17000
    local = int(environ["SLURM_LOCALID"])
    return Rank(int(environ["SLURM_PROCID"]), world, local, counts[node], node, nodes[0], port)


def _counts(text: str) -> list[int]:
    """Slurm's tasks per node: `4(x2),3` is 4, 4, 3."""
    return [int(n) for n, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text) for _ in range(int(times or 1))]
