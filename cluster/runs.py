"""Run folders: one stage of one recipe with its overrides. `RunFolder` alone knows the names of their files."""

from __future__ import annotations

import difflib
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cluster.errors import ClusterError
from cluster.files import (
    append_jsonl,
    create_atomic,
    read_json,
    read_jsonl,
    write_atomic,
    write_json_atomic,
)
from cluster.lease import Lease
from cluster.provenance import provenance

State = Literal["new", "running", "interrupted", "failed", "done"]
FOLDER = re.compile(r"(?P<name>.+)-s(?P<stage>[12])-(?P<signature>[0-9a-f]{8})", re.DOTALL)
HEARTBEAT_S = 30.0
"""At most one heartbeat in this many seconds: a training step is shorter, and file servers are shared."""


class RunFolder:
    """`runs/<name>-s<stage>-<signature>/`: every file of a run, each with one writer at a time.

    Raises:
        ClusterError: the path has no such name.
    """

    def __init__(self, path: Path) -> None:
        match = FOLDER.fullmatch(path.name)
        if not match:
            raise ClusterError(f"{path} is no run folder: its name must be <name>-s<stage>-<signature>")
        self.path = path
        self.name = match["name"]
        self.stage = int(match["stage"])
        self.signature = match["signature"]
        self.config = path / "config.yaml"
        self.starts = path / "starts.jsonl"
        self.events = path / "events.jsonl"
        self.metrics = path / "metrics.jsonl"
        self.heartbeat = path / "heartbeat.json"
        self.leases = path / "lease"
        self.checkpoints = path / "checkpoints"
        self.bridge = path / "bridge"
        """Finished weights."""
        self.results = path / "results"
        self.trackers = path / "trackers"
        """Files of TensorBoard and W&B."""
        self.slurm = path / "slurm"
        """Scripts and logs of jobs."""
        self.submission = path / "submission.json"
        """Its training in a queue (`cluster.slurm.Submission`)."""
        self.evaluation = path / "evaluation.json"
        """Its latest evaluation in a queue, likewise."""
        self.done = path / "DONE"
        self.failed = path / "FAILED"
        self._beaten = 0.0

    @classmethod
    def at(cls, root: Path, name: str, stage: int, signature: str) -> RunFolder:
        """The folder of a run below `root`; it need not exist.

        Raises:
            ClusterError: a name that cannot be part of a folder's.
        """
        if not name or name.startswith(".") or re.search(r"[/%\x00-\x1f]", name) or len(name.encode()) > 200:
            raise ClusterError(
                f"{name!r} cannot name a run: at most 200 bytes, no slash, percent sign, control character "
                "or leading dot; choose another with --name"
            )
        return cls(root / f"{name}-s{stage}-{signature}")

    def create(self, config: Mapping[str, Any]) -> None:
        """Make the folder and write its resolved config; a `FAILED` of an earlier start is taken back.

        Raises:
            ClusterError: the folder cannot be written.
        """
        import yaml

        try:
            self.slurm.mkdir(parents=True, exist_ok=True)
            write_atomic(self.config, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
            if self.failed.exists():
                self.event("retried", reason=self.reason())
                self.failed.unlink()
        except OSError as error:
            raise self._unwritable(error) from None

    def read_config(self) -> dict[str, Any]:
        """The resolved config as plain data.

        Raises:
            ClusterError: the folder holds none.
        """
        import yaml

        try:
            values = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            values = None
        if not isinstance(values, dict):
            raise ClusterError(
                f"{self.config} holds no config: {self.path} is no run, or its creation was cut short"
            )
        return values

    def start(self, **facts: Any) -> None:
        """Record that a process starts to work here: code, versions, machine, and what the caller adds."""
        append_jsonl(self.starts, {"time": _now(), **provenance(), **facts})

    def event(self, kind: str, /, **facts: Any) -> None:
        """Record what happened to the run, with the time."""
        append_jsonl(self.events, {"time": _now(), "event": kind, **facts})

    def log_metrics(self, record: dict[str, Any]) -> None:
        """Add one record of training; a step that is replayed after a crash is recorded again."""
        append_jsonl(self.metrics, record)

    def beat(self, **facts: Any) -> None:
        """Give a sign of life. To be called as often as is convenient: it writes at most every 30 seconds."""
        if time.monotonic() - self._beaten >= HEARTBEAT_S:
            write_json_atomic(self.heartbeat, {"time": _now(), **facts})
            self._beaten = time.monotonic()

    def lease(
        self,
        job: str | None = None,
        unit: int = 0,
        job_is_alive: Callable[[str], bool | None] | None = None,
        wait_s: float = 0.0,
    ) -> Lease:
        """The right to work on this run, held inside `with`; `cluster.lease.Lease` has the arguments.

        Raises:
            ClusterError: on entering, when another process works on the run.
        """
        return Lease(self.leases, self.heartbeat, f"run {self.path.name}", job, unit, job_is_alive, wait_s)

    def finish(self, **outcome: Any) -> None:
        """The run is over: record it, and write `DONE` last."""
        self.event("finished", **outcome)
        self.failed.unlink(missing_ok=True)
        write_json_atomic(self.done, {"time": _now(), **outcome})

    def fail(self, told: str, **facts: Any) -> bool:
        """The run cannot go on: later units of its chain see it and stop at once.

        Any process of a job may call it, as the one that writes the events may be stuck; the first to do so is heard.

        Args:
            told: the reason in its first line, then what helps.
            facts: for the record.

        Returns:
            Whether this is the first reason.
        """
        first = create_atomic(self.failed, told)
        if first:
            self.event("failed", reason=told.partition("\n")[0], **facts)
        return first

    def reason(self) -> str:
        """Why it failed, in a line; empty if it did not."""
        try:
            return self.failed.read_text(encoding="utf-8").partition("\n")[0]
        except FileNotFoundError:
            return ""

    def state(self) -> State:
        """What the files say."""
        if self.done.exists():
            return "done"
        if self.lease().living_holder():
            return "running"
        if self.failed.exists():
            return "failed"
        return "interrupted" if read_jsonl(self.starts) else "new"

    def outcome(self) -> dict[str, Any]:
        """What `DONE` holds; empty if the run is not over."""
        return read_json(self.done) or {}

    def new_job_folder(self) -> Path:
        """Make a folder for the logs of one local job. Process numbers come again, so they alone name none.

        Raises:
            ClusterError: it cannot be written.
        """
        folder = self.slurm / f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise self._unwritable(error) from None
        return folder

    def _unwritable(self, error: OSError) -> ClusterError:
        return ClusterError(
            f"run folder {self.path} cannot be written: {error.strerror}; "
            "choose another place with --runs FOLDER or $LAYALIGN_RUNS"
        )

    def move_aside(self) -> Path:
        """Rename the folder, so that the run can be made anew; nothing is deleted. Returns the new path.

        Raises:
            ClusterError: somebody works on the run.
        """
        lease = self.lease()
        holder = lease.living_holder()
        if holder:
            raise ClusterError(lease.refusal(holder))
        aside = self.path.with_name(f"{self.path.name}.replaced-{datetime.now():%Y%m%d-%H%M%S}")
        return self.path.rename(aside)


def runs_root(environ: Mapping[str, str]) -> Path:
    """Where runs are: `$LAYALIGN_RUNS`, else `runs` in the working directory."""
    return Path(environ.get("LAYALIGN_RUNS") or "runs").expanduser().absolute()


def all_runs(root: Path) -> list[RunFolder]:
    """The runs below `root`, newest first."""
    if not root.is_dir():
        return []
    found = [RunFolder(path) for path in root.iterdir() if FOLDER.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda run: (-run.path.stat().st_mtime_ns, run.path.name))


def find_signature(root: Path, stage: int, signature: str) -> RunFolder | None:
    """The run of a stage with this signature, whatever its name: it computes the same. A finished one first."""
    same = [run for run in all_runs(root) if run.stage == stage and run.signature == signature]
    return min(same, key=lambda run: not run.done.exists(), default=None)


def find_run(root: Path, name: str) -> RunFolder:
    """A run by the path or name of its folder, its signature, or the recipe's name (stage 2 before stage 1).

    Raises:
        ClusterError: there is none (the nearest names are told), or there are several (all are told).
    """
    given = Path(name).expanduser()
    if FOLDER.fullmatch(given.name) and given.is_dir():
        return RunFolder(given.absolute())
    runs = all_runs(root)
    exact = [run for run in runs if name in (run.path.name, run.signature)]
    named = exact or [run for run in runs if name in (run.name, f"{run.name}-s{run.stage}")]
    latest = [run for run in named if run.stage == max(run.stage for run in named)]
    if len(latest) > 1:
        listing = "".join(f"\n  {run.path.name}  {run.state()}" for run in latest)
        raise ClusterError(
            f"{name!r} names {len(latest)} runs; give one of these folders, newest first:{listing}"
        )
    if not latest:
        raise ClusterError(f"there is no run {name!r} below {root}; {_nearest(runs, name)}")
    return latest[0]


def _nearest(runs: list[RunFolder], name: str) -> str:
    if not runs:
        return "it holds no runs: make one with train, or say where they are with --runs FOLDER"
    names = [run.path.name for run in runs]
    short = {run.name: run.path.name for run in reversed(runs)}
    near = difflib.get_close_matches(name, [*names, *short], n=3)
    if near:
        return "did you mean " + " or ".join(dict.fromkeys(short.get(n, n) for n in near)) + "?"
    return "it holds " + ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
