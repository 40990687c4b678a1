"""Times and memory as people and Slurm write them: the only reader of either.

`parse_...` reads what somebody asks for, and refuses what it cannot read; `..._s` and `..._mb` read what Slurm tells,
which may be nothing: `Unknown`, `N/A`, `UNLIMITED`.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from cluster.errors import ClusterError

LETTERS = {"d": 1440.0, "h": 60.0, "m": 1.0, "s": 1 / 60}
WHOLE, PART = r"\d{1,12}", r"\d{1,12}(?:\.\d{1,12})?"
"""Numbers that somebody may mean: longer ones would overflow what is counted with them."""
MEGABYTES = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024}


def parse_time(text: str) -> int:
    """Minutes, rounded up, of `3h`, `1d12h`, `90` (minutes), or Slurm's `12:00:00`, `30:00` and `1-12:00:00`.

    Source: https://slurm.schedmd.com/sbatch.html, `--time`.

    Raises:
        ClusterError: it is none of these, or no time at all.
    """
    minutes = _letters(text.strip()) or (_clock_s(text.strip()) or 0) / 60
    if not minutes:
        raise ClusterError(
            f"time {text!r} is no time above 0; write 3h, 1d12h, 12:00:00, 1-12:00:00, or 90 for minutes"
        )
    return math.ceil(minutes - 1e-9)


def _letters(text: str) -> float | None:
    parts = re.fullmatch(rf"(?:({PART})d)?(?:({PART})h)?(?:({PART})m(?:in)?)?(?:({PART})s)?", text)
    if not parts or not any(parts.groups()):
        return None
    return sum(float(number) * LETTERS[letter] for number, letter in zip(parts.groups(), LETTERS) if number)


def _clock_s(text: str) -> float | None:
    """Seconds of minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]]."""
    whole = re.fullmatch(rf"(?:({WHOLE})-)?({WHOLE})(?::({WHOLE}))?(?::({WHOLE}))?", text)
    if not whole:
        return None
    days, *clock = (int(number) for number in whole.groups(default="0"))
    if whole[1] or whole[4]:
        hours, minutes, seconds = clock
    else:
        hours, (minutes, seconds) = 0, clock[:2]
    return days * 86400 + hours * 3600 + minutes * 60.0 + seconds


def duration_s(text: str) -> float | None:
    """Seconds of a time that has passed or may, as sacct, sinfo and scontrol write it: `1-02:03:04`, `02:03.456`.

    Returns:
        None where there is none: `UNLIMITED`, `infinite`, `INVALID`.
    """
    clock = re.fullmatch(r"([\d:-]+:[\d]+)(\.\d{1,12})?", text.strip())
    whole = _clock_s(clock[1]) if clock else None
    return None if whole is None or not clock else whole + float(clock[2] or 0)


def epoch_s(text: object) -> float | None:
    """A moment as Slurm (local: `2026-11-21T09:50:41`) or our records (UTC) write it, in seconds since 1970.

    Returns:
        None where there is none: `None`, `Unknown`, `N/A`.
    """
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError):  # the year 1, in a zone that is ahead
        return None


def parse_memory(text: str) -> int:
    """MB of `64G`, `64000M`, `1T` or, as Slurm reads a bare number, `64000`.

    Raises:
        ClusterError: it is none of these.
    """
    parts = re.fullmatch(rf"({PART})([KMGT]?)B?", text.strip().upper())
    size = math.ceil(float(parts[1]) * MEGABYTES[parts[2]]) if parts else 0
    if not size:
        raise ClusterError(f"memory {text!r} is no size above 0; write 64G, or 64000M")
    return size


def memory_mb(text: str) -> float | None:
    """MB of memory that was given or used, as sacct writes it: `208744K`, `1.5G`, `2Gn`, or bytes.

    Returns:
        None where there is none.
    """
    number = re.fullmatch(r"(\d{1,18}(?:\.\d{1,12})?)([KMGT]?)[nc]?", text.strip())
    if not number:
        return None
    return float(number[1]) * (MEGABYTES[number[2]] if number[2] else 1 / 2**20)


def slurm_time(minutes: int) -> str:
    """`1-12:00:00`, as `--time` takes it."""
    days, rest = divmod(minutes, 1440)
    clock = f"{rest // 60:02d}:{rest % 60:02d}:00"
    return f"{days}-{clock}" if days else clock


def human_time(minutes: float) -> str:
    """`3 h`, `45 min`, `7 d`, `1 d 12 h`."""
    whole = round(minutes)
    parts = ((whole // 1440, "d"), (whole % 1440 // 60, "h"), (whole % 60, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


def short_time(minutes: int) -> str:
    """`24h`, or minutes where it is no whole number of hours; `parse_time` reads it back."""
    return f"{minutes // 60}h" if minutes % 60 == 0 else str(minutes)


def human_memory(mb: int) -> str:
    """`124G`, or MB where it is no whole number of GB; can be given back as `mem`."""
    return f"{mb // 1024}G" if mb % 1024 == 0 else f"{mb}M"
