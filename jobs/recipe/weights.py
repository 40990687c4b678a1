"""Runs that start from the weights in a folder are told apart by these weights, not by the folder's path."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import read_jsonl, sha256_of
from cluster.run.run_folder import FOLDER, RunFolder, RunIndex, all_runs
from layalign.config import BRIDGE_WEIGHTS, RunConfig


def check_signature(run: RunFolder, config: RunConfig, bridge: str | None) -> None:
    """Refuse a config that is not the run's: the name of its folder ends in the signature of its config.

    Args:
        run: the run.
        config: that it is to be trained by.
        bridge: folder of the weights that it starts from, in the folder of their run; None is fresh ones.

    Raises:
        ValueError: it is another run's, or damaged.
    """
    parent = FOLDER.fullmatch(Path(bridge or "").parent.name) if config.starts_from else None
    signature = config.signature(parent["signature"] if parent else None)
    if (config.stage, signature) != (run.stage, run.signature):
        raise ValueError(
            f"the config that {run.title} is to be trained by is not its own: it has the signature {signature}, of "
            f"stage {config.stage}; it was damaged or changed: give the launch command again, which writes it anew"
        )


def signed_by_content(config: RunConfig, weights: Path, root: Path, known: RunIndex) -> RunConfig:
    """The config of a run with the checksum of the weights that it starts from.

    A run of the version before is signed by the path. It is taken for the same if these weights were there, as they
    are, before it began; else they may not be what it began with, and the run is another one. Where the weights are
    gone, a run that was made of them is still found.

    Args:
        config: of the run, as the recipe gives it.
        weights: the folder that `training.init` names.
        root: folder of all runs.
        known: the runs below it.
    """
    path = weights / BRIDGE_WEIGHTS
    if not path.is_file():
        return _made_before(config, root) or config
    signed = _signed(config, sha256_of(path))
    earlier = known.find(config.stage, config.signature())
    by_path = earlier and not known.find(config.stage, signed.signature())
    if earlier and by_path and _last_change(path) < _begin(earlier):
        return config
    return signed


def _signed(config: RunConfig, checksum: str) -> RunConfig:
    return dataclasses.replace(config, training=dataclasses.replace(config.training, init_checksum=checksum))


def _made_before(config: RunConfig, root: Path) -> RunConfig | None:
    """The config of a run that differs from this one in nothing but that the weights were still there."""
    for run in all_runs(root):
        try:
            told = run.read_config().get("training") or {}
        except ClusterError:
            continue
        if (
            run.stage == config.stage
            and told.get("init_checksum")
            and told.get("init") == config.training.init
        ):
            signed = _signed(config, told["init_checksum"])
            if signed.signature() == run.signature:
                return signed
    return None


def _last_change(path: Path) -> float:
    """When a file last became what it is: a copy may keep the time of its content, never that of its inode."""
    told = path.stat()
    return max(told.st_mtime, told.st_ctime)


def _begin(run: RunFolder) -> float:
    """When a run was first started, or else created."""
    starts = read_jsonl(run.starts)
    if starts:
        return datetime.fromisoformat(starts[0]["time"]).timestamp()
    return run.config.stat().st_mtime if run.config.exists() else 0.0
