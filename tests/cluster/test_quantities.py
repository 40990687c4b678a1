from __future__ import annotations

import pytest

from cluster.errors import ClusterError
from cluster.quantities import human_memory, human_time, parse_memory, parse_time, short_time, slurm_time


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


@pytest.mark.parametrize("text", ["", "0", "-3h", "3x", "h", "1:2:3:4", "1-", "soon", "1..5h", "0:00:00"])
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
