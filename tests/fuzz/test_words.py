"""Words of Slurm and of users: times, memory, lists of nodes, ids of arrays, rows of squeue, sacct and sinfo."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.errors import ClusterError
from cluster.job.rendezvous import expand_nodes
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
from cluster.quota import parse_quotas
from cluster.site.live import parse_config, parse_sinfo
from cluster.slurm import client
from cluster.slurm.accounting import FIELDS, parse_usage
from cluster.slurm.queue import EndedJob, Look, ended
from cluster.slurm.queued_job import TAB, QueuedJob, counted, parse_rows
from tests.fuzz.values import AWKWARD, TEXTS

DIGITS = st.text("0123456789", min_size=1, max_size=30) | st.just("9" * 400) | st.just("9" * 5000)
PIECES = st.lists(DIGITS | AWKWARD | st.sampled_from([*"dhms:-.KMGTnc%[]_,", "min"]), max_size=8).map("".join)
MINUTES = st.integers(1, 10**7)


@given(PIECES | TEXTS)
@example("9" * 400)
@example("9" * 5000)
@example("9" * 400 + "h")
@example("1-" + "9" * 400)
@example("1.5.5h")
def test_a_time_is_minutes_or_refused(text):
    try:
        assert 0 < parse_time(text) < 10**19
    except ClusterError as error:
        assert "is no time" in str(error)


@given(MINUTES)
def test_a_time_that_is_written_is_read(minutes):
    assert parse_time(slurm_time(minutes)) == minutes
    assert parse_time(short_time(minutes)) == minutes
    assert duration_s(slurm_time(minutes)) == 60 * minutes
    assert parse_time(human_time(minutes).replace(" ", "")) == minutes


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_clock_is_what_it_says(days, hours, minutes, seconds):
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert duration_s(f"{days}-{hours:02d}:{minutes:02d}:{seconds:02d}") == whole
    if whole:
        assert parse_time(f"{days}-{hours:02d}:{minutes:02d}:{seconds:02d}") == math.ceil(whole / 60)
        assert parse_time(f"{days}d{hours}h{minutes}m{seconds}s") == math.ceil(round(whole / 60, 9))


@given(PIECES | TEXTS)
@example("9" * 400)
@example("9" * 400 + "G")
def test_memory_is_megabytes_or_refused(text):
    try:
        assert 0 < parse_memory(text) < 10**20
    except ClusterError as error:
        assert "is no size" in str(error)


@given(st.integers(1, 10**9))
def test_memory_that_is_written_is_read(megabytes):
    assert parse_memory(human_memory(megabytes)) == megabytes
    assert memory_mb(f"{megabytes}M") == megabytes


@given(PIECES | TEXTS)
@example("9" * 400 + ":00")
@example("9" * 5000 + ":00")
@example("9" * 400)
def test_what_slurm_tells_is_a_number_or_none(text):
    for read in (duration_s, memory_mb, epoch_s):
        value = read(text)
        assert value is None or math.isfinite(value)


@st.composite
def node_lists(draw):
    """A list as Slurm writes it, and the nodes that it stands for."""
    written, meant = [], []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.text("abcxyz-", min_size=1, max_size=5))
        if draw(st.booleans()):
            written.append(name + str(number := draw(st.integers(0, 99))))
            meant.append(f"{name}{number}")
            continue
        parts, width = [], draw(st.integers(1, 4))
        for _ in range(draw(st.integers(1, 3))):
            first = draw(st.integers(0, 10**width - 1))
            last = draw(st.integers(first, min(first + 9, 10**width - 1)))
            numbers = [str(number).zfill(width) for number in range(first, last + 1)]
            parts.append(f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else numbers[0])
            meant += [name + number for number in numbers]
        written.append(f"{name}[{','.join(parts)}]")
    return ",".join(written), meant


@given(node_lists())
def test_a_list_of_nodes_is_the_nodes(told):
    assert expand_nodes(told[0]) == told[1]


@given(PIECES | TEXTS)
@example("n[3-1]")
@example("n[0-99999999]")
@example("n[1-9999][1-9999][1-9999]")
@example("n[0-9],m[" + "9" * 30 + "]")
def test_no_other_list_of_nodes_is_one(text):
    try:
        assert 0 < len(expand_nodes(text)) <= 1 << 16
    except ValueError as error:
        assert "Slurm" in str(error)


@st.composite
def elements(draw):
    """A list of elements as squeue writes it, and their numbers."""
    written, meant = [], set()
    for _ in range(draw(st.integers(1, 4))):
        first, more, step = draw(st.integers(0, 10**6)), draw(st.integers(0, 20)), draw(st.integers(1, 4))
        last = first + more * step
        meant |= set(range(first, last + 1, step))
        written.append(str(first) if not more else f"{first}-{last}" + (f":{step}" if step > 1 else ""))
    return ",".join(written), meant


@given(st.integers(1, 10**9), elements(), st.sampled_from(["", "%1", "%40"]), st.integers(0, 10**6))
def test_an_array_that_waits_is_its_elements(job, told, throttle, other):
    row = QueuedJob(f"{job}_[{told[0]}{throttle}]", str(job), "PENDING", "Priority")
    assert not row.cut
    assert len(told[1]) <= row.elements
    assert all(row.holds(f"{job}_{element}") for element in told[1])
    assert row.holds(str(job))
    assert row.holds(f"{job}_{other}") == (other in told[1])
    assert not row.holds(f"{job + 1}_{min(told[1])}")


@given(PIECES | TEXTS, PIECES | TEXTS)
@example("1_[0-" + "9" * 30 + "]", "1_" + "9" * 5000)
@example("1_[0-" + "9" * 5000 + "]", "1_0")
@example("1_2", "1_٣")
def test_any_id_is_answered(id_, asked):
    row = QueuedJob(id_, "1", "PENDING", "Priority")
    assert row.elements >= 1
    assert counted([row])
    assert row.holds(asked) in (True, False)


STATES = st.sampled_from(["PENDING", "RUNNING", "COMPLETING", "REQUEUE_HOLD", "SPECIAL_EXIT"])
NAMES = TEXTS.map(lambda text: text.replace("\n", ""))


@given(
    st.lists(st.tuples(st.integers(1, 10**8), STATES, NAMES, NAMES), max_size=6), st.lists(NAMES, max_size=3)
)
def test_rows_of_squeue_are_found_among_banners(jobs, banners):
    rows = [
        QueuedJob(str(job), str(job), state, "Priority", name, command.replace(TAB, ""), "N/A")
        for job, state, name, command in jobs
    ]
    lines = [TAB.join((r.id, r.job, r.state, r.reason, r.name, r.command, r.start)) for r in rows]
    mixed = [*lines, *(f"* {banner}" for banner in banners)]
    random.Random(len(mixed)).shuffle(mixed)
    found = parse_rows("\n".join(mixed))
    assert sorted(found, key=repr) == sorted(rows, key=repr)
    look = Look(tuple(found), 1.0)
    for row in rows:
        assert row in look.by_job[row.job]
        assert row in look.by_command[row.command]
        assert row.reasons
        assert str(row)


@given(st.lists(PIECES | TEXTS, max_size=8).map(TAB.join))
def test_any_row_of_squeue_is_one_or_none(line):
    for row in parse_rows(line):
        assert row.elements >= 1
        assert isinstance(row.reasons, tuple)
        assert isinstance(str(row), str)
        assert (row.hopeless and row.ending) is False


@given(st.lists(st.tuples(st.integers(1, 10**8), NAMES, NAMES), min_size=1, max_size=5))
@example([(7, "a\u2028b", "sbatch /r/x.sh")])
@example([(7, "a\x85b", "sbatch /r/x.sh")])
def test_what_accounting_lists_is_found_whatever_its_name(jobs):
    """A job that is not found is submitted again: its row may not be lost by what its name has in it."""
    rows = [(str(job), name.replace(TAB, ""), line.replace(TAB, "")) for job, name, line in jobs]
    told = "".join(TAB.join((job, "COMPLETED", "0:0", name, line)) + "\n" for job, name, line in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "ask", lambda *_, **__: told)
        found = ended(["1"])
    assert found == [EndedJob(job, job, "COMPLETED", "0:0", name, line) for job, name, line in rows]


@given(st.lists(PIECES | TEXTS, min_size=len(FIELDS), max_size=len(FIELDS)), st.integers(1, 10**6))
def test_any_row_of_sacct_is_usage(cells, job):
    cells = [cell.replace("|", "").replace("\n", "") for cell in cells]
    text = "\n".join("|".join((id_, *cells[1:])) for id_ in (str(job), f"{job}.batch", f"{job}.0"))
    (usage,) = parse_usage(text)
    assert len(usage.steps) == 2
    for number in (usage.elapsed_s, usage.cpus, usage.cpu_s, usage.mem_mb or 0.0, usage.used_mb or 0.0):
        assert math.isfinite(number)


@given(st.lists(PIECES | TEXTS, min_size=4, max_size=7))
@example(["9" * 400, "1", "1", "gpu:4", "p", "1:00"])
@example(["1", "inf", "1", "gpu:" + "9" * 400, "p", "1:00"])
@example(["1", "nan", "1", "", "p", "9" * 400 + ":00"])
def test_any_line_of_sinfo_is_a_shape_or_none(cells):
    for shape in parse_sinfo("|".join(cells)):
        assert math.isfinite(shape.nodes + shape.cores + shape.mem_mb + sum(shape.gpus.values()))


@given(st.dictionaries(st.text("abcXYZ", min_size=1), st.text("abc=/ 1", max_size=9)))
def test_the_configuration_is_what_scontrol_says(config):
    told = "".join(f"{key:<24}= {value}\n" for key, value in config.items())
    assert parse_config(told) == {key: value.strip() for key, value in config.items()}


@given(st.lists(DIGITS | st.sampled_from(["1.5.5", "148", "1.", ".5", "nan"]), min_size=4, max_size=4))
@example(["1.5.5", "2", "3", "4"])
@example(["9" * 400, "2", "3", "4"])
def test_any_row_of_quotas_is_one_or_none(numbers):
    used, most, files, most_files = numbers
    row = f"/scratch (user me)   {used}GiB/ {most}GiB   {files}K/ {most_files}K"
    for quota in parse_quotas(row):
        assert quota.used >= 0
