"""Checkpoints: one format for every engine and number of processes, written whole or not at all.

    checkpoints/step-00000200/bridge.safetensors      the trained weights
                              optimizer.safetensors   AdamW's two moments of each
                              state.json              step, dev loss so far, random number generators, plan
                              manifest.json           size and SHA-256 of the others; written last
    checkpoints/best.json                             the step of the lowest dev loss

A folder is written under a hidden name, synced, then renamed. The last two and the best are kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from layalign.data.files import to_disk

KEPT = 2
CONTENT = ("bridge.safetensors", "optimizer.safetensors", "state.json")


class CorruptCheckpoint(ValueError):
    """A checkpoint that is not what its manifest says."""


@dataclass(frozen=True)
class Best:
    """The lowest dev loss so far and the step that has it."""

    step: int
    dev_loss: float


@dataclass(frozen=True)
class Moments:
    """AdamW's state of each trained weight, in full, on the CPU."""

    exp_avg: dict[str, Tensor]
    exp_avg_sq: dict[str, Tensor]


@dataclass(frozen=True)
class TrainState:
    """All that a training continues from. Data position and learning rate follow from `step`."""

    step: int
    """Optimizer steps done."""
    weights: dict[str, Tensor]
    moments: Moments
    evaluated: int = 0
    """The last step whose dev loss is known."""
    best: Best | None = None
    rng: dict[str, Any] = field(default_factory=dict)
    """Of `layalign.training.rng` on rank 0; every process of a resumed training takes it."""
    plan: dict[str, int] = field(default_factory=dict)
    """What the order of the samples follows from; a resumed training must have the same."""


class Checkpoints:
    """The one owner of the names in a folder of checkpoints. Rank 0 alone uses it.

    Args:
        folder: where they lie.
        again: asked when one cannot be written: whether to try again, as there may be room now.
        check: called right before something is written or removed; raises where another process does so now.
    """

    def __init__(
        self,
        folder: Path,
        again: Callable[[OSError], bool] = lambda _: False,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self.folder = folder
        self.again = again
        self.check = check

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, complete or not, in rising order; what was moved aside there is none."""
        names = [path.name.removeprefix("step-") for path in self.folder.glob("step-*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is."""
        return self.folder / f"step-{step:08d}"

    def save(self, state: TrainState, best: bool) -> Path:
        """Write a checkpoint, then remove what is no longer kept.

        Args:
            state: to be written.
            best: whether its dev loss is the lowest so far.

        Raises:
            ValueError: it could not be written (disk full, quota). Earlier checkpoints are untouched.
        """
        files = _encode(state)
        while True:
            try:
                self._save(state, files, best)
            except OSError as error:
                self.clean()
                if not self.again(error):
                    told = self._no_room(state.step, sum(map(len, files.values())), error)
                    raise ValueError(told) from error
            else:
                break
        self._prune(state)
        return self.path(state.step)

    def _save(self, state: TrainState, files: dict[str, bytes], best: bool) -> None:
        self.check()
        self.clean()
        draft = self.folder / f".draft-{self.path(state.step).name}"
        draft.mkdir(parents=True)
        for name, content in files.items():
            _write(draft / name, content)
        to_disk(draft)
        self.check()  # writing took its time
        self._put(draft, self.path(state.step))
        if best:
            self._point(state.best)

    def resume(self) -> tuple[TrainState | None, list[str]]:
        """As `newest`, by the process that will go on writing here: tidies what a killed one left.

        Raises:
            ValueError: the folder cannot be used.
        """
        try:
            self.clean()
            state, faults = self.newest()
            self._point(state.best if state else None)
        except OSError as error:
            raise ValueError(f"{self.folder} cannot be used for checkpoints: {error}") from error
        return state, faults

    def newest(self) -> tuple[TrainState | None, list[str]]:
        """The newest complete checkpoint, and what is wrong with each damaged one that was passed over.

        A best checkpoint that turns out damaged is forgotten: the next dev loss starts the search anew.
        """
        faults: list[str] = []
        for step in reversed(self.steps()):
            try:
                state = self.read(step)
            except CorruptCheckpoint as error:
                faults.append(str(error))
                continue
            if state.best and state.best.step != step:
                try:
                    self.read(state.best.step)
                except CorruptCheckpoint as error:
                    faults.append(str(error))
                    state = dataclasses.replace(state, best=None)
            return state, faults
        return None, faults

    def best(self) -> TrainState:
        """The checkpoint of the lowest dev loss.

        Raises:
            ValueError: there is none, or it is damaged.
        """
        pointer = self.folder / "best.json"
        if not pointer.exists():
            raise ValueError(
                f"{self.folder} has no best checkpoint: the training had no dev set or did not end"
            )
        return self.read(json.loads(pointer.read_text())["step"])

    def read(self, step: int) -> TrainState:
        """One checkpoint, checked against its manifest.

        Raises:
            CorruptCheckpoint: a file is missing, cut short or changed.
        """
        path = self.path(step)
        try:
            manifest = json.loads((path / "manifest.json").read_bytes())
            sums = {name: (manifest[name]["bytes"], manifest[name]["sha256"]) for name in CONTENT}
            files = {name: (path / name).read_bytes() for name in CONTENT}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptCheckpoint(f"checkpoint {path} is incomplete: {error!r}") from None
        for name, content in files.items():
            size, checksum = sums[name]
            if len(content) != size:
                raise CorruptCheckpoint(
                    f"checkpoint {path}: {name} has {len(content)} bytes instead of {size}"
                )
            if hashlib.sha256(content).hexdigest() != checksum:
                raise CorruptCheckpoint(
                    f"checkpoint {path}: {name} does not have the checksum of its manifest"
                )
        return _decode(files)

    def clean(self) -> None:
        """Remove what a killed process left half done; put back what it was replacing."""
        for path in self.folder.glob(".replaced-*"):
            target = self.folder / path.name.removeprefix(".replaced-")
            if not target.exists():
                path.rename(target)
        for pattern in (".draft-*", ".gone-*", ".replaced-*"):
            for path in self.folder.glob(pattern):
                shutil.rmtree(path)

    def _put(self, draft: Path, target: Path) -> None:
        replaced = target.with_name(f".replaced-{target.name}")
        if target.exists():
            target.rename(replaced)
        draft.rename(target)
        to_disk(self.folder)
        shutil.rmtree(replaced, ignore_errors=True)

    def _point(self, best: Best | None) -> None:
        pointer, draft = self.folder / "best.json", self.folder / ".best.json"
        if best is None:
            pointer.unlink(missing_ok=True)
            return
        _write(draft, json.dumps(dataclasses.asdict(best)).encode())
        draft.rename(pointer)
        to_disk(self.folder)

    def _prune(self, state: TrainState) -> None:
        """Steps beyond the present one are damaged ones of a trajectory that was given up."""
        past = [step for step in self.steps() if step <= state.step]
        kept = {*past[-KEPT:], state.best.step if state.best else state.step}
        for step in set(self.steps()) - kept:
            gone = self.folder / f".gone-{step}"
            self.path(step).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _no_room(self, step: int, needed: int, error: OSError) -> str:
        free = shutil.disk_usage(self.folder).free if self.folder.exists() else 0
        return (
            f"the checkpoint of step {step} could not be written to {self.folder}: {error.strerror} "
            f"({needed / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free on the disk). Earlier checkpoints are "
            "intact: free space or quota there and run the same command again"
        )


def _encode(state: TrainState) -> dict[str, bytes]:
    """The files of a checkpoint, the manifest last."""
    moments = {f"exp_avg.{name}": value for name, value in state.moments.exp_avg.items()}
    moments |= {f"exp_avg_sq.{name}": value for name, value in state.moments.exp_avg_sq.items()}
    facts = {
        "step": state.step,
        "evaluated": state.evaluated,
        "best": dataclasses.asdict(state.best) if state.best else None,
        "plan": state.plan,
        "rng": state.rng,
    }
    files = dict(zip(CONTENT, (save(state.weights), save(moments), json.dumps(facts).encode())))
    manifest = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }
    return {**files, "manifest.json": json.dumps(manifest, indent=1).encode()}


def _decode(files: Mapping[str, bytes]) -> TrainState:
    facts = json.loads(files[CONTENT[2]])
    moments = load(files[CONTENT[1]])
    halves = [
        {name.removeprefix(half): value for name, value in moments.items() if name.startswith(half)}
        for half in ("exp_avg.", "exp_avg_sq.")
    ]
    best = Best(**facts.pop("best")) if facts["best"] else facts.pop("best")
    return TrainState(weights=load(files[CONTENT[0]]), moments=Moments(*halves), best=best, **facts)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
