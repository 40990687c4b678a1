"""What answers: a bridge and its backbones by their content, and how they generate. Light: nothing is loaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cluster.hub.cache import is_folder
from cluster.run.run_folder import RunFolder
from jobs.cell.cell import outcomes
from layalign.config import RunConfig
from layalign.data.files import checksum

WEIGHTS = "bridge.safetensors"
SAMPLED = 1 << 16
"""Bytes at both ends of a file that stand for a backbone's, which has gigabytes; bridges are read whole."""
OF_A_MODEL = ("*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.jinja")
"""What of a model's folder decides how it answers."""
KEPT = 12
FILES = "files "
"""How a backbone is told that lies in a folder."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """A model as it answers, a word for each part: `decoder`, `encoder`, `bridge`, `settings`."""

    parts: Mapping[str, str]
    seen: tuple[int, int] | None
    """Size and time of the bridge's file, by which it is known again without reading it."""

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits for all parts."""
        return _short(json.dumps(dict(self.parts), sort_keys=True))

    def record(self) -> dict[str, Any]:
        """For `DONE`."""
        return {"setup": self.fingerprint, "answered_with": dict(self.parts), "bridge_seen": self.seen}


def setup_of(run: RunFolder, config: RunConfig) -> Setup | None:
    """What a run answers with as it lies there; None without a bridge, or with one that is damaged.

    Args:
        run: whose bridge it is.
        config: of the run.
    """
    model, bridge = config.model, config.bridge
    parts = {"decoder": _backbone(model.decoder, model.decoder_revision)}
    reads = config.reads
    settings = {**_unlike_default(bridge), "precision": model.precision}
    settings |= {"max_prompt": reads.max_prompt} if bridge.text else {}
    if not bridge.trains:
        return Setup({**parts, "settings": _short(json.dumps(settings, sort_keys=True))}, None)
    weights, completion = run.bridge / WEIGHTS, run.completion()
    if completion.fault or not weights.is_file():
        return None
    seen = (weights.stat().st_size, weights.stat().st_mtime_ns)
    if bridge.reads_encoder:
        parts["encoder"] = _backbone(model.encoder, model.encoder_revision)
        settings["max_source"] = reads.max_source
    parts["bridge"] = _known_bridge(run, seen) or _checksum(weights, seen)
    told = completion.told or {}
    if not told.get("sha256", "").startswith(parts["bridge"]) and completion.damage():
        return None
    return Setup({**parts, "settings": _short(json.dumps(settings, sort_keys=True))}, seen)


def answered_setup(run: RunFolder, config: RunConfig) -> Setup | None:
    """`setup_of` a run whose answers say what made them; None where there is nothing to compare with.

    A backbone in a folder that this machine lacks, as where only the results are, is taken for what it was.
    """
    recorded = next((one["answered_with"] for one in _outcomes(run) if "answered_with" in one), None)
    setup = setup_of(run, config) if recorded else None
    if recorded is None or setup is None:
        return None
    names = {"encoder": config.model.encoder, "decoder": config.model.decoder}
    gone = {
        part: recorded[part]
        for part, name in names.items()
        if recorded.get(part, "").startswith(FILES) and not is_folder(name)
    }
    return dataclasses.replace(setup, parts={**setup.parts, **gone})


def _outcomes(run: RunFolder) -> Iterator[Mapping[str, Any]]:
    """All that `DONE` files of a run's evaluations tell."""
    return (outcome for cell in run.all_cells() for outcome in outcomes(cell.outcome()))


def _known_bridge(run: RunFolder, seen: tuple[int, int]) -> str | None:
    """The checksum of a bridge that was read before, and has not been written since."""
    for outcome in _outcomes(run):
        if outcome.get("bridge_seen") == list(seen):
            return outcome["answered_with"]["bridge"]
    return None


@cache
def _checksum(path: Path, seen: tuple[int, int]) -> str:
    """Of a file as it is; `seen` makes another of one that was written since."""
    return checksum(path)[:KEPT]


def _backbone(name: str, revision: str | None) -> str:
    """A model on the hub by its name and commit, one in a folder by its files, wherever it lies."""
    if not is_folder(name):
        return f"{name}@{revision}" if revision else name
    return FILES + _folder(Path(name).expanduser())


def _folder(folder: Path) -> str:
    paths = {path.name: path for pattern in OF_A_MODEL for path in folder.glob(pattern) if path.is_file()}
    return _short("".join(f"{name}\0{_sample(paths[name])}\0" for name in sorted(paths)))


def _sample(path: Path) -> str:
    """Length, beginning and end of a file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(SAMPLED)
        file.seek(max(len(head), size - SAMPLED))
        return f"{size} {hashlib.sha256(head + file.read(SAMPLED)).hexdigest()}"


def _unlike_default(switches: Any) -> dict[str, Any]:
    """The fields that differ from their defaults: a switch that a later version adds changes no fingerprint."""
    return {
        field.name: getattr(switches, field.name)
        for field in dataclasses.fields(switches)
        if getattr(switches, field.name) != field.default
    }


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two setups, in words: `bridge (was 12ab, is 34cd)`."""
    told = [
        f"{key} (was {before.get(key)}, is {now.get(key)})"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    ]
    return " and ".join(told)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:KEPT]
