"""The miniature: a world of word problems small enough to train its backbones in minutes, without downloads.

Names such as `mini://encoder` stand in a recipe where a hub name would. They point below one folder per
world, `<root>/world-<fingerprint>/`, which `layalign.mini.build.build` fills. This file imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from layalign.config import RunConfig

MINI = "mini://"
VERSION = 1
"""Raise when the same settings come to mean other files."""
CONTENTS = ("encoder", "decoder", "pairs", "math.jsonl", "data")
"""What a world's folder holds, each file or folder a name after `mini://`."""

Report = Callable[[str, int, int, float], None]
"""Told the phase (`encoder` or `decoder`), the steps done, the steps in all, and the mean loss since then."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides what a world holds. The defaults are the world of the demonstration."""

    seed: int = 0
    pairs: int = 1280
    """Translations into English per language: 200 batches of 32 over the five languages."""
    tasks: int = 640
    """Solved problems per language: 100 batches of 32."""
    problems: int = 200
    """Problems of the benchmark, the same in every language."""
    decoder_width: int = 96
    decoder_layers: int = 3
    decoder_steps: int = 1000
    encoder_width: int = 64
    encoder_layers: int = 4
    encoder_steps: int = 600
    batch: int = 64
    """Sentences of one pretraining step, for both backbones."""
    lr: float = 3e-3

    @classmethod
    def tiny(cls) -> Settings:
        """A world of the same form built in seconds; its backbones have learned next to nothing."""
        return cls(
            pairs=32,
            tasks=32,
            problems=8,
            decoder_width=32,
            decoder_layers=2,
            decoder_steps=30,
            encoder_width=16,
            encoder_layers=2,
            encoder_steps=30,
            batch=16,
        )

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that differ between worlds."""
        told = json.dumps({**dataclasses.asdict(self), "version": VERSION}, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:8]


def default_root() -> Path:
    """Where worlds are kept: `$LAYALIGN_CACHE/mini`, or `~/.cache/layalign/mini`."""
    cache = os.environ.get("LAYALIGN_CACHE")
    return (Path(cache) if cache else Path.home() / ".cache" / "layalign") / "mini"


def folder(root: Path, settings: Settings) -> Path:
    """The folder of one world, whether it is built or not."""
    return root / f"world-{settings.fingerprint}"


def is_mini(name: str) -> bool:
    """Whether a model or a data set of a recipe belongs to the miniature."""
    return name.startswith(MINI)


def resolved(config: RunConfig, root: Path, settings: Settings) -> RunConfig:
    """A run's config with the parts of a world by their paths."""

    def path(name: str) -> str:
        return str(resolve(name, root, settings)) if is_mini(name) else name

    model, data = config.model, config.data
    return dataclasses.replace(
        config,
        model=dataclasses.replace(model, encoder=path(model.encoder), decoder=path(model.decoder)),
        data=dataclasses.replace(
            data,
            path=path(data.path),
            replay=data.replay and dataclasses.replace(data.replay, path=path(data.replay.path)),
        ),
    )


def resolve(name: str, root: Path, settings: Settings | None = None) -> Path:
    """The path that a `mini://` name stands for in the world of `settings` (None: of the demonstration).

    Raises:
        ValueError: the world has no such part.
    """
    assert is_mini(name), name
    part = name.removeprefix(MINI)
    if part not in CONTENTS:
        names = ", ".join(MINI + known for known in CONTENTS)
        raise ValueError(f"{name!r} is no part of the miniature; its parts are {names}")
    return folder(root, settings or Settings()) / part
