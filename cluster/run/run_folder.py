"""Run folders: one stage of one recipe with its overrides. `RunFolder` alone knows the names of their files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.escapes import without_escapes
from cluster.files import (
    DamagedFile,
    UnreadableFile,
    append_jsonl,
    read_jsonl,
    read_record,
    read_whole,
    write_atomic,
    write_record,
)
from cluster.permissions import may_look_into
from cluster.run.below import Below
from cluster.run.completion import Result
from cluster.run.folder_names import FOLDER as FOLDER
from cluster.run.folder_names import runs_root as runs_root
from cluster.run.work_folder import JobHome, WorkFolder, now

CELL = re.compile(r".+-[0-9]+", re.DOTALL)
"""Name of a share's folder: language and number."""
SEAL = "# checksum: "
"""Begins the last line of a config, which no reader of YAML sees."""
BEGIN_ANEW = "put it back from a copy, or give the train command with --force, which moves the run aside"
CONFIG_AGAIN = "give the train command that made the run again, which writes it anew"


class RunFolder(JobHome):
    """`runs/<name>-s<stage>-<signature>/`: every file of a run, each with one writer at a time.

    Raises:
        ClusterError: the path has no such name.
    """

    config = Below("config.yaml")
    metrics = Below("metrics.jsonl")
    data = Below("data.json")
    """What its training reads and how: files, counts, dev split."""
    checkpoints = Below("checkpoints")
    bridge = Below("bridge")
    """Finished weights."""
    results = Below("results")
    trackers = Below("trackers")
    """Files of TensorBoard and W&B."""
    submission = Below("submission.json")
    """Its training in a queue (`cluster.slurm.submission.Submission`)."""
    rivals = Below("rivals")
    """Records of others that race with it (`cluster.job.race`)."""

    def __init__(self, path: Path) -> None:
        match = FOLDER.fullmatch(path.name)
        if not match:
            raise ClusterError(f"{path} is no run folder: its name must be <name>-s<stage>-<signature>")
        super().__init__(path, f"run {path.name}", path.parent)
        self.name = match["name"]
        self.stage = int(match["stage"])
        self.signature = match["signature"]

    @property
    def result(self) -> Result:
        """The finished weights."""
        return Result("its bridge is", self.bridge / "bridge.safetensors", beside="bridge.json")

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
            text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
            write_atomic(self.config, f"{text}{SEAL}{_checksum(text)}\n")
            self.forgive()
        except OSError as error:
            raise self.unwritable(error) from None

    def read_config(self, whole: bool = True) -> dict[str, Any]:
        """The resolved config as plain data.

        Args:
            whole: whether it must be what was written here; an import holds it to its signature instead.

        Raises:
            ClusterError: the folder holds none.
            DamagedFile: it is not what was written. One of an earlier version has no checksum, and is taken as it is.
        """
        import yaml

        try:
            text = read_whole(self.config).decode()
            if whole and not _is_sound(text):
                raise DamagedFile(self.config, "its content is not what its checksum says", CONFIG_AGAIN)
            values = yaml.safe_load(text)
        except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError, yaml.YAMLError):
            values = None
        except OSError as error:
            raise UnreadableFile(self.config, error) from None
        except (TypeError, KeyError, AttributeError):  # as PyYAML fails at a value that is not of its tag
            values = None
        if not isinstance(values, dict):
            raise ClusterError(
                f"{self.config} holds no config: {self.path} is no run, or its creation was cut short"
            )
        return values

    def command(self, unknown: str = "the train command that began it") -> str:
        """What goes on with it: `retry` where it was queued, else as its latest start on this machine was typed."""
        if self.submission.exists():
            return f"python launch.py retry {self.path.name}"
        starts = read_jsonl(self.starts)
        told = starts[-1].get("command") if starts else None
        return without_escapes(told) if isinstance(told, str) else unknown

    def has_config(self, config: Mapping[str, Any]) -> bool:
        """Whether its config is this one, also in what its signature does not stand for."""
        import yaml

        try:
            return self.read_config() == yaml.safe_load(yaml.safe_dump(dict(config)))
        except ClusterError:
            return False

    def read_data(self) -> dict[str, Any] | None:
        """What its training reads and how: `rule` and `files` at least; None if that was never recorded.

        Raises:
            DamagedFile: nobody can tell how the training began to read.
        """
        told = read_record(self.data, BEGIN_ANEW)
        if told is not None and not (isinstance(told.get("rule"), str) and "files" in told):
            raise DamagedFile(self.data, "it does not say what is read", BEGIN_ANEW)
        return told

    def write_data(self, told: Mapping[str, Any]) -> None:
        """Keep what its training reads and how."""
        write_record(self.data, told)

    def cell(self, benchmark: str, language: str, shard: int) -> CellFolder:
        """The folder of one share of an evaluation."""
        return CellFolder(self.results / benchmark / f"{language}-{shard}", self)

    def cells(self, benchmark: str, but: Container[str] = ()) -> list[CellFolder]:
        """The shares of an evaluation that somebody has begun, less some by the names of their folders.

        Other folders beside them, as somebody may have moved one aside, are nobody's.
        """
        found = sorted(
            path for path in (self.results / benchmark).glob("*-[0-9]*") if CELL.fullmatch(path.name)
        )
        return [CellFolder(path, self) for path in found if path.name not in but and path.is_dir()]

    def all_cells(self) -> list[CellFolder]:
        """The shares of all evaluations that somebody has begun."""
        return [cell for folder in sorted(self.results.glob("*/")) for cell in self.cells(folder.name)]

    def progress(self) -> int:
        """The last step of which there is a checkpoint."""
        steps = [path.name.removeprefix("step-") for path in self.checkpoints.glob("step-*")]
        return max((int(step) for step in steps if step.isdecimal()), default=0)

    def log_metrics(self, record: dict[str, Any]) -> None:
        """Add one record of training, with the time; a step that is replayed after a crash is recorded again."""
        append_jsonl(self.metrics, {"time": now(), **record})

    def check_bridge(self) -> None:
        """Look at all of the finished weights, which somebody is about to use.

        Raises:
            ClusterError: they are not those that `DONE` stands for; the run is then no longer done.
        """
        if fault := self.withdraw_damaged():
            raise ClusterError(f"{self.title}: {fault}; give the command that trains it again")

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


class CellFolder(WorkFolder):
    """`results/<benchmark>/<language>-<shard>/` of a run: the answers to some items of one language."""

    answers = Below("answers.jsonl")

    def __init__(self, path: Path, run: RunFolder) -> None:
        super().__init__(path, f"cell {path.parent.name}/{path.name} of run {run.path.name}")
        self.run = run
        self.benchmark = path.parent.name
        language, _, shard = path.name.rpartition("-")
        self.language = language
        self.shard = int(shard)

    def progress(self) -> int:
        """Bytes of answers."""
        return self.answers.stat().st_size if self.answers.exists() else 0

    @property
    def result(self) -> Result:
        """The answers, to which others may come."""
        return Result("its answers are", self.answers, grows=True)

    def asked(self, questions: str) -> Path:
        """What was asked here, by the fingerprint of all its questions."""
        return self.path / f"asked-{questions}.json"


def _is_sound(text: str) -> bool:
    """Whether a config is what its last line says; that tells twice what it is, as a part of it may be damaged."""
    before, _, last = text.removesuffix("\n").rpartition("\n")
    sealed = f"\n{SEAL}" in text or last.startswith("#") or "checksum" in last
    return not sealed or last == f"{SEAL}{_checksum(before + chr(10))}"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def begun_here(work: WorkFolder) -> bool:
    """Whether its latest start was on this machine, in no job of a queue; and it was put into none."""
    starts = read_jsonl(work.starts)
    queued = isinstance(work, RunFolder) and work.submission.exists()
    return bool(starts) and not starts[-1].get("job") and not queued


def all_runs(root: Path) -> list[RunFolder]:
    """The runs below `root`, newest first."""
    if not root.is_dir():
        return []
    found = [RunFolder(path) for path in root.iterdir() if FOLDER.fullmatch(path.name) and path.is_dir()]
    found = [run for run in found if may_look_into(run.path)]
    return sorted(found, key=lambda run: (-run.path.stat().st_mtime_ns, run.path.name))


class RunIndex:
    """The runs below a folder by what they compute, as of one look."""

    def __init__(self, root: Path) -> None:
        self._runs: dict[tuple[int, str], list[RunFolder]] = {}
        for run in all_runs(root):
            self._runs.setdefault((run.stage, run.signature), []).append(run)

    def find(self, stage: int, signature: str) -> RunFolder | None:
        """The run of a stage with this signature, whatever its name: it computes the same. A finished one first."""
        same = self._runs.get((stage, signature), [])
        return min(same, key=lambda run: not run.is_done(), default=None)

    def add(self, run: RunFolder) -> None:
        """Count a run in that is about to be made."""
        self._runs.setdefault((run.stage, run.signature), []).append(run)
