"""Records on disk, each of its kind: what was written, or a refusal by name, and no command that breaks on it."""

from __future__ import annotations

import contextlib
import io
import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.errors import ClusterError
from cluster.files import (
    CHECKSUM,
    append_jsonl,
    decoded,
    read_json,
    read_jsonl,
    read_record,
    sealed,
    write_record,
)
from cluster.quantities import epoch_s
from cluster.run.grid_folder import GridFolder
from cluster.run.lease import Lease
from cluster.run.run_folder import all_runs
from cluster.slurm.queue import Look
from cluster.slurm.submission import Submission
from jobs.board.grid_files import GridFiles
from jobs.board.status import Collector, Wishes
from jobs.cell.answers import answers_of
from jobs.cell.cell import Worklist
from jobs.cli import documents
from jobs.cli.json_output import print_json
from tests.cluster.test_records import NAMES, kinds, outcome
from tests.fuzz.values import JSON, TEXTS, changed, damaged
from tests.jobs.cell import test_flips
from tests.jobs.synthetic import make_runs

OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A file of each kind with its content, and what it says."""
    made = kinds(tmp_path_factory.mktemp("records"))
    return {name: (kind, kind.path.read_bytes(), kind.read()) for name, kind in made.items()}


@given(st.sampled_from(NAMES), st.data())
def test_a_damaged_record_is_noticed(records, name, draw):
    """Whatever has happened to its bytes, it is what was written, or refused by the name of its file."""
    kind, content, right = records[name]
    spoilt = draw.draw(damaged(content))
    try:
        told = decoded(spoilt)
        unsealed_ = not isinstance(told, dict) or CHECKSUM not in told
    except ValueError:
        unsealed_ = False
    found = outcome(kind, right, spoilt)
    kind.path.write_bytes(content)
    assert found in ("right", "noticed") or (unsealed_ and found == "wrong"), (
        "another version has no checksum"
    )


def use(name: str, found: object, path: Path) -> None:
    """Do with a record what commands do with it."""
    if isinstance(found, Submission):
        assert math.isfinite(found.in_flight_s() + found.age.total_seconds())
        assert (found.rows(Look()), found.may_be_queued(Look()), found.last, found.ours) is not None
        assert json.dumps(asdict(found))
    elif name == "lease":
        lease = Lease(path.parent, path.parent / "beat", "run x")
        holder = lease.living_holder()
        assert holder is None or lease.refusal(holder)
    elif name == "plan":
        files = GridFiles.read(GridFolder(path.parents[2], path.parent.name))
        assert all(isinstance(label, str) for label in files.labels.values())
    elif isinstance(found, Worklist):
        for one in found.cells:
            assert one.name
            assert one.folder.state(lambda job: None)
    elif name == "heartbeat":
        assert all(math.isfinite(n) for key, n in found.items() if key != "time")
        assert "time" not in found or epoch_s(found["time"])


@given(st.sampled_from([name for name in NAMES if name != "config"]), st.booleans(), st.data())
def test_a_record_of_another_shape_is_refused_or_can_be_used(records, name, seals, draw):
    """As an earlier version, or somebody's editor, may have written it: without a checksum, or with the right one."""
    kind, content, _ = records[name]
    told = {key: value for key, value in json.loads(content).items() if key != CHECKSUM}
    spoilt = draw.draw(changed(told) | OBJECTS)
    kind.path.write_text(json.dumps(sealed(spoilt) if seals and isinstance(spoilt, dict) else spoilt))
    copy = kind.path.parent / "slurm" / kind.path.name
    copy.unlink(missing_ok=True)
    try:
        use(name, kind.read(), kind.path)
    except ClusterError as error:
        assert str(kind.path) in str(error) or name == "work list"
    finally:
        kind.path.write_bytes(content)


@given(st.lists(OBJECTS, max_size=5))
def test_what_is_written_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("written")
    rows = [row for row in rows if not any(len(str(n)) > 18 for n in numbers(row))]
    for row in rows:
        append_jsonl(folder / "lines", row)
        write_record(folder / "record", row)
        assert json.dumps(read_record(folder / "record")) == json.dumps(
            {key: value for key, value in row.items() if key != CHECKSUM}
        )
    assert json.dumps(read_jsonl(folder / "lines")) == json.dumps(rows)


def numbers(value: object) -> list[int]:
    """Whole numbers in JSON."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**18 else []
    return [*own, *(one for part in inner for one in numbers(part))]


@given(st.lists(OBJECTS, min_size=2, max_size=4), st.data())
@example([{}, {}], None)
def test_lines_that_are_damaged_spoil_no_others(tmp_path_factory, rows, draw):
    path = tmp_path_factory.mktemp("lines") / "events.jsonl"
    rows = [{"n": n, "text": "x" * n} for n, _ in enumerate(rows)]
    for row in rows:
        append_jsonl(path, row)
    _, rest = path.read_bytes().split(b"\n", 1)
    other = draw.draw(st.binary(max_size=40)).replace(b"\n", b"") if draw else b"[" * 100_000
    path.write_bytes(other + b"\n" + rest)
    assert read_jsonl(path)[-(len(rows) - 1) :] == rows[1:]


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"9" * 5000)
@example(b'{"a": ' + b"9" * 400 + b"}")
def test_any_bytes_are_an_object_or_none(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "a.json"
    path.write_bytes(content)
    assert isinstance(read_json(path), dict | None)
    assert all(isinstance(line, dict) for line in read_jsonl(path))
    with contextlib.suppress(ClusterError):
        assert isinstance(read_record(path), dict)


@given(
    st.sampled_from(
        ["7.json", "0000007.json", "1٣.json", "00000.json", "000001 (copy).json", "9" * 60 + ".json"]
    )
)
def test_litter_beside_leases_is_no_lease(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("lease")
    (folder / "lease").mkdir()
    (folder / "lease" / name).write_text("{}")
    lease = Lease(folder / "lease", folder / "beat", "run x")
    if name[0] == "9":  # a number of a lease, whoever may have come so far: it is looked at, and is damaged
        assert lease.living_holder()
        return
    with lease:
        assert lease.number == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A cell that is done, with its files and what they held."""
    made = test_flips.made_cell(tmp_path_factory.mktemp("cell"))
    files = [path for path in made.folder.path.iterdir() if path.is_file()]
    return made, {path: path.read_bytes() for path in files}


@given(st.data())
def test_a_cell_whose_files_are_of_another_shape_is_read(finished, draw):
    made, files = finished
    path = draw.draw(st.sampled_from(sorted(files)))
    lines = [json.loads(line) for line in files[path].splitlines()] if path.suffix == ".jsonl" else []
    if lines:
        at = draw.draw(st.integers(0, len(lines) - 1))
        lines[at] = draw.draw(changed({key: value for key, value in lines[at].items() if key != CHECKSUM}))
        text = "".join(json.dumps(line) + "\n" for line in lines)
    else:
        told = json.loads(files[path])
        text = json.dumps(draw.draw(changed({key: value for key, value in told.items() if key != CHECKSUM})))
    path.write_text(text)
    try:
        assert made.folder.state() in ("done", "interrupted", "failed")
        assert isinstance(made.folder.damage(), str)
        assert made.folder.history() is not None
        assert all(math.isfinite(record["gold"]) for record in answers_of([made]))
    finally:
        path.write_bytes(files[path])


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A folder of runs in every state, and each of its records."""
    root = tmp_path_factory.mktemp("board") / "runs"
    make_runs(root, 26)
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix in (".json", ".jsonl", "")]
    return root, {path: path.read_bytes() for path in sorted(files)}


@given(st.data())
def test_no_file_breaks_the_board(board, draw):
    """`status` shows what it can, and leaves out by name what it cannot."""
    root, files = board
    kind = draw.draw(
        st.sampled_from(sorted({path.name if len(path.name) < 30 else "other" for path in files}))
    )
    path = draw.draw(
        st.sampled_from([p for p in files if p.name == kind or (kind == "other" and len(p.name) >= 30)])
    )
    path.write_bytes(draw.draw(spoilt(files[path])))
    try:
        status = Collector(root, Wishes(), {"HOME": "/nowhere", "LAYALIGN_SANDBOX": "/nowhere"}).collect()
        with contextlib.redirect_stdout(io.StringIO()):
            print_json(documents.status_document(status))
        for run in all_runs(root):
            assert isinstance(run.history(), list)
    except ClusterError as error:
        assert str(path) in str(error) or path.name in str(error)
    finally:
        path.write_bytes(files[path])


@st.composite
def spoilt(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with bytes that are damaged, or with other values."""
    try:
        lines = [json.loads(line) for line in content.splitlines()]
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = draw(changed({key: value for key, value in lines[at].items() if key != CHECKSUM}))
        return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    except (ValueError, AttributeError):
        pass
    try:
        told = json.loads(content)
        return json.dumps(draw(changed({k: v for k, v in told.items() if k != CHECKSUM}))).encode()
    except (ValueError, AttributeError):
        return draw(damaged(content))
