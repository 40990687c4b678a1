"""Planned outages of a cluster, from a calendar (`.ics`, RFC 5545) that a user names by URL or file.

Read are `VEVENT`s with `DTSTART`, `DTEND` or `DURATION`, `SUMMARY`, `DESCRIPTION` and `STATUS`; one that repeats counts
once. A URL is fetched by curl within seconds and at most every few hours, so that no command hangs on a network that
login nodes may not have. vectorinstitute.github.io/drac-outage-calendar/outages.ics is one of the Alliance's outages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from cluster.commands import ask
from cluster.quantities import human_time

FETCH_S = 4
"""How long a calendar may take."""
MOST_BYTES = 16_000_000
DAYS = 30
"""How far ahead outages are told."""
SHOWN = 3
URLS = ("https://", "http://", "webcal://")
VALUE = r'(?:"[^"]*"|[^",;:]*)'
LINE = re.compile(rf"([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+={VALUE}(?:,{VALUE})*)*):(.*)", re.DOTALL)
"""A property: its name, its parameters, its value."""
PARAMETER = re.compile(rf";([A-Za-z0-9-]+)=({VALUE})")
LENGTH = re.compile(
    r"P(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,8})S)?)?"
)
EVERYBODYS = ("drac", "alliance", "ccdb", "all", "all clusters")
"""What a calendar of all clusters puts into brackets where it means no one of them."""


@dataclass(frozen=True)
class Outage:
    """One event of a calendar."""

    start: float
    """Seconds since 1970."""
    end: float
    title: str
    text: str = ""
    """Its description."""

    def told(self) -> str:
        """`Tue 1 Dec 08:00 to Wed 2 Dec 17:00: [Narval] Maintenance`, in the time of this machine."""
        return f"{_clock(self.start)} to {_clock(self.end)}: {self.title}"

    def concerns(self, cluster: str, others: Iterable[str]) -> bool:
        """Whether a cluster is meant: it is named, or no other is.

        Args:
            cluster: its name; empty is any.
            others: names of other clusters.
        """
        if not cluster:
            return True
        bracket = re.match(r"\s*\[([^]]*)\]", self.title)
        inside = bracket[1].strip().lower() if bracket else ""
        if _names(self.title, cluster):
            return True
        if bracket and inside not in EVERYBODYS:
            return False
        if any(_names(self.title, other) for other in others):
            return False
        return _names(self.text, cluster) or not bracket


def read_calendar(place: str, fetch: Callable[[str], str | None]) -> str | None:
    """The text of a calendar; None where it cannot be had.

    Args:
        place: URL or path.
        fetch: brings what a URL stands for.
    """
    if place.startswith(URLS):
        return fetch(place.replace("webcal://", "https://", 1))
    try:
        with Path(place).expanduser().open("rb") as file:
            return file.read(MOST_BYTES).decode(errors="replace")
    except (OSError, ValueError, RuntimeError):
        return None


def fetch(url: str) -> str | None:
    """What a URL stands for; None where it does not answer in time."""
    limits = ("--max-time", str(FETCH_S), "--connect-timeout", "2", "--max-filesize", str(MOST_BYTES))
    return ask("curl", "--silent", "--fail", "--location", *limits, "--", url, timeout_s=FETCH_S + 1)


def parse_calendar(text: str) -> list[Outage]:
    """The events of a calendar, by their start; what has no start, no sound time, or is cancelled is left out."""
    found = [outage for event in _events(text) if (outage := _outage(event))]
    return sorted(found, key=lambda one: (one.start, one.end, one.title))


def planned(text: str, cluster: str, others: Iterable[str], now: float) -> list[Outage]:
    """The outages of a cluster that are under way or soon will be.

    Args:
        text: of a calendar.
        cluster: name of its profile; empty is any.
        others: names of other clusters.
        now: seconds since 1970.
    """
    names = [name for name in others if name != cluster]
    soon = (one for one in parse_calendar(text) if one.end > now and one.start < now + DAYS * 86400)
    return [one for one in soon if one.concerns(cluster, names)]


def outage_notes(outages: Iterable[Outage], now: float, longest_min: int | None = None) -> list[str]:
    """What to tell of outages, and of jobs that would run into them.

    Args:
        outages: by their start.
        now: seconds since 1970.
        longest_min: of one unit that is about to be submitted; None where there is none.
    """
    every, notes = list(outages), list[str]()
    for one in every[:SHOWN]:
        if one.start <= now:
            notes.append(f"outage under way, {one.told()}")
            continue
        before_min = (one.start - now) / 60
        told = f"planned outage, {one.told()}"
        if longest_min is not None and longest_min > before_min:
            told += f"; a unit of {human_time(longest_min)} would run into it, so that it starts when that is over"
            told += f", one of --time {_shorter(before_min)} could before" if before_min >= 10 else ""
        elif longest_min is not None:
            latest = one.start - longest_min * 60
            told += f"; a unit of {human_time(longest_min)} that has not started by {_clock(latest)} waits for its end"
        notes.append(told)
    if every[SHOWN:]:
        notes.append(f"{len(every) - SHOWN} more outages within {DAYS} days")
    return notes


def _shorter(minutes: float) -> str:
    """A time that ends before, in whole hours where there are some."""
    return f"{int(minutes // 60)}h" if minutes >= 60 else f"{int(minutes)}"


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).strftime("%a %-d %b %H:%M")


def _names(text: str, cluster: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(cluster)}(?!\w)", text, re.IGNORECASE) is not None


def _events(text: str) -> Iterator[dict[str, tuple[Mapping[str, str], str]]]:
    """The properties of each VEVENT by name, with their parameters; those of what is nested in it are left out."""
    event: dict[str, tuple[Mapping[str, str], str]] | None = None
    inner = 0
    for line in re.sub(r"\r?\n[ \t]", "", text.replace("\r\n", "\n")).replace("\r", "\n").split("\n"):
        parts = LINE.fullmatch(line)
        if not parts:
            continue
        name, value = parts[1].upper(), parts[3]
        if name == "BEGIN" and value.strip().upper() == "VEVENT":
            event, inner = {}, 0
        elif event is None:
            continue
        elif name == "END" and value.strip().upper() == "VEVENT":
            yield event
            event = None
        elif name in ("BEGIN", "END"):
            inner += 1 if name == "BEGIN" else -1
        elif inner == 0:
            told = {one[1].upper(): one[2].strip('"') for one in PARAMETER.finditer(parts[2])}
            event.setdefault(name, (told, value))


def _outage(event: Mapping[str, tuple[Mapping[str, str], str]]) -> Outage | None:
    nothing: tuple[Mapping[str, str], str] = ({}, "")
    if event.get("STATUS", nothing)[1].strip().upper() == "CANCELLED" or "DTSTART" not in event:
        return None
    try:
        start = _moment(*event["DTSTART"])
        end = _moment(*event["DTEND"]) if "DTEND" in event else start + _length(event, start)
        if isinstance(end, datetime) != isinstance(start, datetime):
            return None
        first, last = (_seconds(one) for one in (start, end))
    except (ValueError, OverflowError, OSError):
        return None
    title = " ".join(_plain(event.get("SUMMARY", nothing)[1]).split()) or "outage"
    return Outage(first, last, title, _plain(event.get("DESCRIPTION", nothing)[1])) if last >= first else None


def _moment(told: Mapping[str, str], value: str) -> datetime | date:
    """A day, or a moment: of UTC, of a zone that is named, or of this machine where it is not known."""
    text = value.strip()
    if re.fullmatch(r"\d{8}", text):
        return datetime.strptime(text, "%Y%m%d").date()
    if not re.fullmatch(r"\d{8}T\d{6}Z?", text):
        raise ValueError(f"{text!r} is no moment")
    if text.endswith("Z"):
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=_zone(told.get("TZID", "")))


def _zone(name: str) -> tzinfo | None:
    """A zone by its name, also where a program has put something before it: `/mozilla.org/20070129/Europe/Berlin`."""
    for known in (name, "/".join(name.split("/")[-2:])):
        try:
            return ZoneInfo(known)
        except (ValueError, OSError, KeyError):  # no such name, a folder, or no zones on this machine
            continue
    return None


def _length(event: Mapping[str, tuple[Mapping[str, str], str]], start: datetime | date) -> timedelta:
    """Of an event without an end: what it says, else a day where it starts on one, else nothing."""
    if "DURATION" not in event:
        return timedelta() if isinstance(start, datetime) else timedelta(days=1)
    parts = LENGTH.fullmatch(event["DURATION"][1].strip().lstrip("+"))
    if not parts or not any(parts.groups()):
        raise ValueError("no length")
    return timedelta(**{unit: int(number) for unit, number in parts.groupdict().items() if number})


def _seconds(moment: datetime | date) -> float:
    whole = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
    return whole.timestamp()


def _plain(text: str) -> str:
    """A text as it was before its commas, colons and lines were escaped."""
    return re.sub(r"\\([nN\\;,:])", lambda found: " " if found[1] in "nN" else found[1], text)
