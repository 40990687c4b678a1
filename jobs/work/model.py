"""The model of a run, as it answers: for evaluations and for what a user asks."""

from __future__ import annotations

from pathlib import Path

import torch

from cluster.run.run_folder import RunFolder
from jobs.work.start import refuse_older_gemma
from layalign.config import RunConfig
from layalign.model.record import read_record
from layalign.model.store import Tokenizers
from layalign.use.model import Model, assembled


def opened(run: Path, config: RunConfig, device: torch.device, tokenizers: Tokenizers) -> Model:
    """The models of a run, by its folder, on a device, with its weights where it has trained some.

    Raises:
        ValueError: as `assembled`, or a bridge of before that this version of transformers reads otherwise.
    """
    trained = RunFolder(run) if config.bridge.trains else None
    model = assembled(config, trained.bridge if trained else None, device, tokenizers)
    if trained and read_record(trained.bridge) is None:
        refuse_older_gemma(trained, model.model.backbones["decoder"].kind)
    return model
