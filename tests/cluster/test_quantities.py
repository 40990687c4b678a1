from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from cluster.errors import ClusterError
from cluster.quantities import (
    duration_s,
    epoch_s,
    human_memory,
    human_time,
    memory_mb,
    parse_memory,
    parse_time,
    short_time,
    slurm_time,
)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("3h", 180),
        ("1.5h", 90),
        ("45m", 45),
        ("45min", 45),
        ("90s", 2),
        ("7d", 10080),
        ("1d12h", 2160),
        ("12:00:00", 720),
        ("30:00", 30),
        ("0:61", 2),
        ("1-0", 1440),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("1-12:00:00", 2160),
    ],
)
def test_time_reads_as_slurm_reads_it(text, minutes):
    assert parse_time(text) == minutes


@pytest.mark.parametrize(
    "text", ["", "0", "-3h", "3x", "h", "1:2:3:4", "1-", "soon", "1..5h", "0:00:00", "30:00.5"]
)
def test_no_time_is_refused(text):
    with pytest.raises(ClusterError, match="write 3h, 1d12h, 12:00:00"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "mb"), [("64G", 65536), ("64000M", 64000), ("64000", 64000), ("1.5gb", 1536)]
)
def test_memory_reads_as_slurm_reads_it(text, mb):
    assert parse_memory(text) == mb


@pytest.mark.parametrize("text", ["", "0", "-4G", "lots", "4 GiB of"])
def test_no_memory_is_refused(text):
    with pytest.raises(ClusterError, match="write 64G, or 64000M"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00:03.367", 3.367),
        ("02:03:04", 7384),
        ("1-02:03:04", 93784),
        ("30:00", 1800),
        ("00:00:00", 0),
        ("7-00:00:00", 604800),
        *(
            (text, None)
            for text in ("", "INVALID", "UNLIMITED", "infinite", "n/a", "Partition_Limit", "NOT_SET")
        ),
    ],
)
def test_durations_that_slurm_tells(text, value):
    assert duration_s(text) == (None if value is None else pytest.approx(value))


def test_moments_that_slurm_and_records_tell():
    now = int(time.time())
    assert epoch_s(time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now))) == now
    assert epoch_s(datetime.fromtimestamp(now, UTC).isoformat()) == now
    assert [epoch_s(text) for text in ("None", "Unknown", "N/A", "", None, 12)] == [None] * 6


@pytest.mark.parametrize(
    ("text", "value"),
    [("1024K", 1), ("1.5G", 1536), ("500M", 500), ("0", 0), ("", None), ("x", None), ("2Gn", 2048)],
)
def test_memory_that_slurm_tells(text, value):
    assert memory_mb(text) == value


def test_quantities_read_back():
    for minutes in (1, 59, 60, 90, 1440, 2190, 10080):
        assert parse_time(slurm_time(minutes)) == minutes
        assert parse_time(short_time(minutes)) == minutes
    for mb in (1, 1024, 510000, 524288):
        assert parse_memory(human_memory(mb)) == mb


def test_time_is_told_in_its_units():
    assert [human_time(m) for m in (45, 180, 1440, 2190, 0)] == [
        "45 min",
        "3 h",
        "1 d",
        "1 d 12 h 30 min",
        "0 min",
    ]
