"""Which process of a job the others wait for in vain: told from what torch's watchdog says in the log of each.

Messages: torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp. A process that is stuck outside of the collective, or gone,
says nothing of a time-out, or is at an earlier collective than the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cluster.logs.read import LogPart, host_of

TAIL = 1 << 18
WATCHDOG = re.compile(r"\[Rank (\d+)\] Watchdog caught collective operation timeout: WorkNCCL\(SeqNum=(\d+)")
ENQUEUED = re.compile(r"last enqueued NCCL work: (\d+)")
APART_S = 60.0
"""Logs of processes that work in step end within as many seconds of each other."""


@dataclass(frozen=True)
class Suspect:
    """A process that the others seem to wait for."""

    rank: int
    node: str
    why: str


def suspects(logs: Mapping[int, LogPart], world: int) -> list[Suspect]:
    """The processes that are behind the others, by the surest sign there is; none where all look alike.

    Args:
        logs: what each process printed, by rank.
        world: number of processes.
    """
    absent = [
        rank for rank in range(world) if rank not in logs or logs[rank].span()[0] == logs[rank].span()[1]
    ]
    if absent and logs:
        return [Suspect(rank, "", "has no log: it never started") for rank in absent]
    texts = {rank: _tail(part) for rank, part in logs.items()}
    waiting = {rank: int(found[2]) for rank, text in texts.items() if (found := WATCHDOG.search(text))}
    if waiting:
        mute = [rank for rank in logs if rank not in waiting]
        if mute and len(mute) <= len(waiting):
            why = (
                f"says nothing of the time-out that {_ranks(len(waiting))} tell of: gone, or stuck elsewhere"
            )
            return [Suspect(rank, host_of(logs[rank]), why) for rank in mute]
        reached = {r: _last(ENQUEUED, text, waiting.get(r, 0)) for r, text in texts.items() if r in waiting}
        least, most = min(reached.values()), max(reached.values())
        behind = [rank for rank, number in reached.items() if number == least]
        if least < most and len(behind) < len(reached):
            why = f"is at collective {least}, the others at {most}"
            return [Suspect(rank, host_of(logs[rank]), why) for rank in behind]
    return _silent(logs)


def _silent(logs: Mapping[int, LogPart]) -> list[Suspect]:
    """The processes whose log ended long before those of the others."""
    ends = {rank: part.modified() for rank, part in logs.items()}
    if len(ends) < 2:
        return []
    first, last = min(ends.values()), max(ends.values())
    if last - first < APART_S:
        return []
    early = [rank for rank, end in ends.items() if end - first < APART_S]
    if len(early) > len(ends) // 2:
        return []
    when, later = datetime.fromtimestamp(first), (last - first) / 60
    why = f"printed nothing after {when:%H:%M:%S}, others until {later:.0f} min later"
    return [Suspect(rank, host_of(logs[rank]), why) for rank in early]


def _tail(part: LogPart) -> str:
    begin, end = part.span()
    return part.read(max(begin, end - TAIL), end).decode(errors="replace")


def _last(pattern: re.Pattern[str], text: str, default: int) -> int:
    found = pattern.findall(text)
    return int(found[-1]) if found else default


def _ranks(count: int) -> str:
    return "the other one" if count == 1 else f"{count} others"
