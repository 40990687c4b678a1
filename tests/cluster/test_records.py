"""No bit of a record can change without being noticed, and no other JSON is taken for one.

    python -m tests.cluster.test_records

flips every bit of every kind, and prints what came of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ClusterError
from cluster.files import CHECKSUM, DamagedFile, read_record, write_record
from cluster.hub.cache import Pin, lock_path, read_pin, write_pin
from cluster.launch.submit import CALL, CHECK_CALL
from cluster.profile.resources import Resources
from cluster.records import awaited, read_as, typed
from cluster.run import lease as leases
from cluster.run.grid_folder import GridFolder, read_work_list
from cluster.run.lease import Lease
from cluster.run.run_folder import RunFolder
from cluster.run.snapshot import Snapshot
from cluster.slurm.queue_cache import QueueCache
from cluster.slurm.submission import Submission
from jobs.cell.cell import Cell, Worklist

SAMPLE = 250
"""Bits of a kind that are tried every day."""
UNREADABLE = (b"", b"\0" * 64, b"{", b"[]", b"7", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000)
SHAPES = ({}, {"job": 7}, {"list": 7}, {"cells": 7, "runs": 7}, {"main": 7}, {"model": {"a": {"main": [1]}}})


@dataclass
class Kind:
    """A file, and how it is believed; what is read as `none` is noticed, and made anew."""

    path: Path
    read: Callable[[], Any]
    none: Any = dataclasses.field(default_factory=object)


def submission(folder: Path) -> Submission:
    asked = Resources(
        nodes=2, tasks_per_node=4, gpus_per_node=4, gpu="a100", cpus_per_task=12, mem_mb=507904, time_min=60,
        units=4, account="def-prof", mail=None, extra=("--tmp=1G",),
    )  # fmt: skip
    return Submission(
        job="14", name="math-s2", script=str(folder / "slurm" / "math-s2-0a.sh"), units=4, uid=os.getuid(),
        time="2026-11-27T10:00:00+00:00", profile="narval", resources=asked, dependency=None, tree="t",
        archive="/a.tar", commit="c", dirty=False, told={"data": "/data", "parent": None},
    )  # fmt: skip


def kinds(folder: Path) -> dict[str, Kind]:
    """One file of each kind."""
    run = RunFolder.at(folder, "math", 2, "0123abcd")
    run.create({"name": "math", "training": {"lr": 0.002, "init": "ünï"}})
    submission(run.path).write(run.submission)
    (run.slurm / "submission.json").unlink()
    with run.lease():
        pass
    run.beat(step=7, total=900, loss=0.5)
    grid = GridFolder(folder, "g")
    grid.create()
    cells = (Cell(job="train", run=str(run.path)),)
    listed = grid.write_list(Worklist(cells=cells, runs={str(run.path): {"config": {"lr": 0.002}}}).to_dict())
    points = [{"label": "a", "seed": 0, "runs": {"2": str(run.path)}, "evaluated": str(run.path)}]
    grid.write_wanted({"list": listed.name, "points": points})
    grid.withdraw(["a mgsm/sw-0", "b"])
    hub = {"HF_HOME": str(folder / "hf")}
    write_pin("model", "org/name", None, Pin("0" * 40, {"config.json": 7}), hub)
    cache = QueueCache(folder)
    row = ["14_2", "14", "RUNNING", "None", "math", "/r/x.sh", "N/A"]
    cache._write("squeue", {"jobs": [row], "seen": 1.5e9, "fault": "", "times": 1})
    return {
        "submission": Kind(run.submission, lambda: Submission.read(run.submission)),
        "lease": Kind(next(run.leases.glob("*.json")), lambda: run.lease()._latest()[1], "unknown"),
        "heartbeat": Kind(run.heartbeat, run.last_beat, {}),
        "config": Kind(run.config, run.read_config),
        "plan": Kind(grid.wanted, grid.read_wanted),
        "work list": Kind(listed, lambda: Worklist.read(listed)),
        "withdrawn": Kind(grid.taken_back, grid.withdrawn),
        "hub lock": Kind(lock_path(hub), lambda: read_pin("model", "org/name", None, hub)),
        "queue cache": Kind(folder / cache.folder / "squeue.json", lambda: cache._read("squeue"), {}),
    }


NAMES = (
    *(
        "submission",
        "lease",
        "heartbeat",
        "config",
        "plan",
        "work list",
        "withdrawn",
        "hub lock",
        "queue cache",
    ),
)


def flips(data: bytes, bits: list[int]) -> Iterator[bytes]:
    for bit in bits:
        yield data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def outcome(kind: Kind, right: Any, content: bytes) -> str:
    """`right`, `noticed`, or `wrong` if something else was believed."""
    kind.path.write_bytes(content)
    try:
        found = kind.read()
    except ClusterError as error:
        return "noticed" if str(kind.path) in str(error) else "not named"
    none = found == kind.none or (kind.none == "unknown" and found.host == leases.UNKNOWN)
    return "right" if found == right else "noticed" if none else "wrong"


@pytest.mark.parametrize("name", NAMES)
def test_no_bit_changes_what_is_believed(name, tmp_path):
    kind = kinds(tmp_path)[name]
    data, right = kind.path.read_bytes(), kind.read()
    chance = random.Random(f"records {name}")
    bits = sorted(chance.sample(range(8 * len(data)), min(SAMPLE, 8 * len(data))))
    counts = Counter(outcome(kind, right, content) for content in flips(data, bits))
    assert counts["wrong"] + counts["not named"] == 0
    assert counts["noticed"] > 0.5 * len(bits), "a name alone may be as right in other letters"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_is_taken_for_a_record(name, tmp_path):
    kind = kinds(tmp_path)[name]
    data, right = kind.path.read_bytes(), kind.read()
    shapes = [json.dumps(shape).encode() for shape in SHAPES if name not in ("heartbeat", "config")]
    for content in (*UNREADABLE, *shapes, data[: len(data) // 2]):
        assert outcome(kind, right, content) in ("noticed", "right"), content[:80]


@pytest.mark.parametrize("name", ["submission", "lease"])
def test_a_record_of_another_shape_is_damaged_whichever_key_it_is(name, tmp_path):
    """As an earlier version would have written it: without a checksum that tells."""
    kind = kinds(tmp_path)[name]
    told, right = json.loads(kind.path.read_bytes()), kind.read()
    del told[CHECKSUM]
    for key in told:
        for value in (7.5, [1], {"a": 1}, "x\0", True, -1, None):
            kind.path.write_text(json.dumps({**told, key: value}))
            with contextlib.suppress(DamagedFile):
                dataclasses.replace(kind.read())
        assert outcome(kind, right, json.dumps({k: told[k] for k in told if k != key}).encode()) != "x"
    assert outcome(kind, right, json.dumps(told).encode()) == "right", "an earlier version wrote none"
    assert outcome(kind, right, json.dumps({**told, "later": 1}).encode()) == "noticed"


def test_a_record_of_a_later_version_is_understood(tmp_path):
    kind = kinds(tmp_path)["submission"]
    right = kind.read()
    told = json.loads(kind.path.read_bytes())
    del told[CHECKSUM]
    write_record(kind.path, {**told, "later": 1})
    assert kind.read() == right


def test_a_damaged_submission_is_told_by_its_copy(tmp_path):
    run = RunFolder.at(tmp_path, "math", 2, "0123abcd")
    run.create({})
    written = submission(run.path)
    written.write(run.submission)
    data = run.submission.read_bytes()
    for content in (*UNREADABLE, *flips(data, list(range(0, 8 * len(data), 97)))):
        run.submission.write_bytes(content)
        assert Submission.read(run.submission) == written
    run.submission.unlink()
    assert Submission.read(run.submission) is None


def test_work_lists_of_earlier_versions_are_held_to_their_names(tmp_path):
    grid = GridFolder(tmp_path, "g")
    grid.create()
    told = {"cells": [], "runs": {"/r": {"config": {"lr": 0.002}}}}
    path = grid.list_path(told)
    path.write_text(json.dumps(told, indent=2) + "\n")
    assert read_work_list(path) == told
    path.write_text(path.read_text().replace("0.002", "0.003"))
    with pytest.raises(DamagedFile, match="its content is not that which its name stands for"):
        read_work_list(path)
    assert grid.write_list(told) == path, "the same command mends it"
    assert read_work_list(path) == told
    carried = grid.path / "cells-0123456789ab.json"
    carried.write_text(json.dumps(told, indent=1) + "\n")
    assert read_work_list(carried) == told, "an import changes paths and no names"


def test_archives_and_calls_are_checked_before_anything_of_them_runs(tmp_path):
    snapshot = Snapshot(tmp_path / ".code" / "aa.tar", "aa", None, None, {"launch.py": b"x = 1\n" * 50})
    snapshot.write()
    data = snapshot.archive.read_bytes()
    script = "\n".join(snapshot.lines(1))
    environ = {"PATH": os.environ["PATH"], "SLURMD_NODENAME": "n1", "SLURM_TMPDIR": str(tmp_path / "disk")}
    for content in flips(data, random.Random(1).sample(range(8 * len(data)), 20)):
        snapshot.archive.write_bytes(content)
        ran = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=False)
        told = f"code archive {snapshot.archive} is damaged or gone: give the same command again"
        assert (ran.returncode, ran.stderr.startswith(told)) == (1, True)
        assert not (tmp_path / "disk").exists()
        snapshot.write()
        assert snapshot.archive.read_bytes() == data, "the same command mends it"
    pickle = tmp_path / "it's" / f"{CALL}2d711642b726.pkl"
    pickle.parent.mkdir()
    for content, status in ((b"x", 0), (b"y", 1), (b"", 1), (None, 1)):
        pickle.unlink() if content is None else pickle.write_bytes(content)
        words = [*CHECK_CALL.split(" ", 1), ""]
        assert words[0] == "bash"
        line = f'{CHECK_CALL} "$1" 2d711642b726'
        ran = subprocess.run(
            ["bash", "-c", line, "x", str(pickle)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == status
        assert (f"job call {pickle} is damaged or gone" in ran.stderr) == bool(status)


@dataclass(frozen=True)
class Thing:
    name: str
    size: float = 1.0
    flags: tuple[int, ...] = ()
    more: dict[str, Any] | None = None


@pytest.mark.parametrize(
    "value",
    [
        *(
            [],
            {"name": 7},
            {"name": "a", "size": "b"},
            {"name": "a", "size": True},
            {"name": "a", "flags": 7},
        ),
        *({"name": "a", "flags": ["x"]}, {"name": "a", "more": []}, {"size": 1.0}, {"name": "a", "other": 1}),
    ],
)
def test_a_field_is_of_its_type(value):
    with pytest.raises(ValueError, match=r"it (holds|has)|its "):
        typed(Thing, value)


def test_what_json_holds_becomes_what_it_was(tmp_path):
    thing = Thing("a", 2, (1, 2), {"b": None})
    write_record(tmp_path / "a", dataclasses.asdict(thing))
    assert read_as(Thing, tmp_path / "a", "") == thing
    assert read_as(Thing, tmp_path / "b", "") is None


def test_a_lease_whose_release_is_damaged_is_given_up_after_silence(tmp_path):
    lease = Lease(tmp_path / "lease", tmp_path / "beat", "run x")
    with lease:
        path = next((tmp_path / "lease").iterdir())
        path.write_bytes(path.read_bytes()[:50])
        with (
            pytest.raises(ClusterError, match="an unknown process"),
            Lease(lease.folder, lease.heartbeat, "run x"),
        ):
            pass


def main() -> None:
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            kind = kinds(Path(folder))[name]
            data, right = kind.path.read_bytes(), kind.read()
            every = flips(data, list(range(8 * len(data))))
            counts = Counter(outcome(kind, right, content) for content in every)
            print(f"{name}: {8 * len(data)} bits, {dict(counts)}", flush=True)


def test_a_name_that_comes_late_is_waited_for_and_one_that_never_comes_is_none(tmp_path):
    path = tmp_path / "data.json"
    comes = threading.Timer(0.2, write_record, (path, {"a": 1}))
    comes.start()
    assert awaited(lambda: read_record(path), tmp_path) == {"a": 1}
    comes.join()
    assert awaited(lambda: read_record(tmp_path / "none.json"), tmp_path) is None


if __name__ == "__main__":
    main()
