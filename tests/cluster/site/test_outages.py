"""What a calendar says of outages: the right moments, of the right cluster, or nothing; never an error."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster.profile.load import profile_names
from cluster.site.outages import outage_notes, parse_calendar, planned, read_calendar

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC).timestamp()
DAY = 86400.0


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setenv("TZ", "America/Toronto")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def event(*lines):
    return "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR", ""])


def utc(*when):
    return datetime(*when, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (["DTSTART:20261202T130000Z", "DTEND:20261202T150000Z"], utc(2026, 12, 2, 13), utc(2026, 12, 2, 15)),
        (
            ["DTSTART;TZID=America/Vancouver:20261202T080000", "DTEND;TZID=America/Toronto:20261202T170000"],
            utc(2026, 12, 2, 16),
            utc(2026, 12, 2, 22),
        ),
        (
            ['DTSTART;TZID="Europe/Paris";X-A="b:c,d":20260702T080000', "DURATION:PT90M"],
            utc(2026, 7, 2, 6),
            utc(2026, 7, 2, 7, 30),
        ),
        (
            ["DTSTART;TZID=/mozilla.org/2007/Europe/Paris:20261202T080000", "DURATION:P1DT1H"],
            utc(2026, 12, 2, 7),
            utc(2026, 12, 3, 8),
        ),
        (
            ["DTSTART;VALUE=DATE:20261202", "DTEND;VALUE=DATE:20261204"],
            utc(2026, 12, 2, 5),
            utc(2026, 12, 4, 5),
        ),
        (["dtstart;value=date:20261202"], utc(2026, 12, 2, 5), utc(2026, 12, 3, 5)),
        (["DTSTART:20261202T080000", "DURATION:P1W"], utc(2026, 12, 2, 13), utc(2026, 12, 9, 13)),
        (["DTSTART;TZID=No/Such:20261202T080000"], utc(2026, 12, 2, 13), utc(2026, 12, 2, 13)),
        (
            ["DTST", " ART:2026", "\t1202T130000Z", "DTEND:20261202T150", " 000Z"],
            utc(2026, 12, 2, 13),
            utc(2026, 12, 2, 15),
        ),
        (
            [
                "BEGIN:VALARM",
                "DTSTART:19990101T000000Z",
                "END:VALARM",
                "DTSTART:20261202T130000Z",
                "DTEND:20261202T150000Z",
            ],
            utc(2026, 12, 2, 13),
            utc(2026, 12, 2, 15),
        ),
    ],
)
def test_moments_are_those_of_the_calendar(lines, start, end):
    (found,) = parse_calendar(event(*lines))
    assert (found.start, found.end) == (start, end)


@pytest.mark.parametrize(
    "lines",
    [
        ["SUMMARY:no start"],
        ["DTSTART:20261332T000000Z"],
        ["DTSTART:tomorrow"],
        ["DTSTART:20261202T130000Z", "DTEND:20261201T130000Z"],
        ["DTSTART:20261202T130000Z", "DTEND;VALUE=DATE:20261203"],
        ["DTSTART:20261202T130000Z", "DURATION:P"],
        ["DTSTART:20261202T130000Z", "DURATION:-PT1H"],
        ["DTSTART:99991231T235959Z", "DURATION:P9W"],
        ["DTSTART:20261202T130000Z", "DTEND:20261202T150000Z", "STATUS:cancelled"],
    ],
)
def test_what_says_no_time_is_left_out(lines):
    assert parse_calendar(event(*lines)) == []


def test_titles_are_plain_text():
    (found,) = parse_calendar(
        event("DTSTART:20261202T130000Z", "SUMMARY:[Fir] Cooling\\, power\\; and\\n mo", " re")
    )
    assert found.title == "[Fir] Cooling, power; and more"


@pytest.mark.parametrize(
    ("summary", "text", "ours"),
    [
        ("[Narval] Maintenance", "", True),
        ("[narval] x", "", True),
        ("[Fir] Maintenance", "also Narval", False),
        ("[Arbutus] cloud", "", False),
        ("[DRAC] Power at Fir", "", False),
        ("[DRAC] Planned Outage", "Narval will be down", True),
        ("[DRAC] Planned Outage", "Graham will be down", False),
        ("[DRAC] Narval and Fir", "", True),
        ("Maintenance", "", True),
        ("Maintenance of Fir", "", False),
        ("Narvalous", "", True),
        ("[Narvalous]", "", False),
    ],
)
def test_outages_of_other_clusters_are_not_told(summary, text, ours):
    calendar = event(
        "DTSTART:20261202T130000Z", "DTEND:20261202T150000Z", f"SUMMARY:{summary}", f"DESCRIPTION:{text}"
    )
    assert bool(planned(calendar, "narval", profile_names({}), NOW)) == ours


def test_only_what_is_under_way_or_soon_is_told():
    days = {"past": -2, "now": 0, "soon": 3, "late": 60}
    calendar = "".join(
        event(
            f"DTSTART:{datetime.fromtimestamp(NOW + day * DAY - 3600, UTC):%Y%m%dT%H%M%SZ}",
            "DURATION:PT2H",
            f"SUMMARY:{name}",
        )
        for name, day in days.items()
    )
    assert [one.title for one in planned(calendar, "narval", (), NOW)] == ["now", "soon"]


def test_a_job_that_would_run_into_an_outage_is_told_of():
    calendar = event("DTSTART:20261202T120000Z", "DTEND:20261203T120000Z", "SUMMARY:[Narval] Upgrade")
    outages = planned(calendar, "narval", (), NOW)
    (short,) = outage_notes(outages, NOW, 180)
    assert short.endswith("a unit of 3 h that has not started by Wed 2 Dec 04:00 waits for its end")
    (long,) = outage_notes(outages, NOW, 2880)
    assert "a unit of 2 d would run into it, so that it starts when that is over" in long
    assert "one of --time 24h could before" in long
    assert outage_notes(outages, NOW) == [
        "planned outage, Wed 2 Dec 07:00 to Thu 3 Dec 07:00: [Narval] Upgrade"
    ]
    assert outage_notes(outages, NOW + 1.5 * DAY)[0].startswith("outage under way, ")


def test_a_file_that_is_not_there_is_no_calendar(tmp_path):
    assert read_calendar(str(tmp_path / "none"), str) is None
    assert read_calendar(str(tmp_path), str) is None
    assert read_calendar("a\0b", str) is None
    assert read_calendar("webcal://x/y.ics", str) == "https://x/y.ics"
    (tmp_path / "odd.ics").write_bytes(b"\xff\xfe" + event("DTSTART:20261202T130000Z").encode())
    assert len(parse_calendar(read_calendar(str(tmp_path / "odd.ics"), str))) == 1


LINES = st.one_of(
    st.sampled_from(
        [
            "BEGIN:VEVENT",
            "END:VEVENT",
            "BEGIN:VALARM",
            "END:VALARM",
            "DTSTART",
            "DTEND",
            "DURATION",
            " ",
            "\r",
        ]
    ),
    st.from_regex(r"(DTSTART|DTEND|DURATION|SUMMARY)(;TZID=[\w/\"]{0,9})?:[0-9TZPDHMW\\,+-]{0,18}"),
    st.text(max_size=30),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES, max_size=20))
@example(["BEGIN:VEVENT", "DTSTART:00010101T000000Z", "END:VEVENT"])
@example(["BEGIN:VEVENT", "DTSTART;TZID=..:20261202T130000", "END:VEVENT"])
@example(["BEGIN:VEVENT", "DTSTART;TZID=/etc/passwd:20261202T130000", "END:VEVENT"])
@example(["BEGIN:VEVENT", "DTSTART;VALUE=DATE:00010101", "END:VEVENT"])
@example(["X;a=" + "b,c" * 40])
def test_whatever_a_calendar_holds_it_is_read(lines):
    found = parse_calendar("\n".join(lines))
    assert all(one.end >= one.start for one in found)
    outage_notes(planned("\n".join(lines), "narval", ("fir",), NOW), NOW, 60)
