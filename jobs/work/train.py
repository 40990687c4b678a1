"""A training job: one stage of one recipe, as each of its processes runs it."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from cluster.files import sha256_of, sync_folder, sync_tree
from cluster.full_disk import patience, with_room
from cluster.job.interrupt import Interrupts
from cluster.job.unit import find_unit
from cluster.records import awaited
from cluster.run.run_folder import FOLDER, RunFolder
from jobs.cell.card import write_card
from jobs.recipe.weights import check_signature
from jobs.reliability.rate import Rate, rate_in
from jobs.work.progress import TrainingProgress
from jobs.work.start import data_folder, refuse_older_gemma, started, within_reach
from jobs.work.training_data import training_data
from layalign.config import BRIDGE_WEIGHTS, RunConfig
from layalign.model.comparison import compare, note_missing
from layalign.model.layalign import LayAlign
from layalign.model.limits import check_lengths
from layalign.model.probe import digest_of
from layalign.model.record import read_record, record_of
from layalign.model.store import Tokenizers, load_tokenizers, load_weights, put_weights, save_bridge
from layalign.positions import TARGET
from layalign.training.checkpoint import Checkpoints
from layalign.training.distributed import Processes
from layalign.training.fit import Callbacks, fit


def run(told: dict[str, Any], interrupts: Interrupts, group: Processes | None = None) -> dict[str, Any]:
    """Train a run to its end or to the next safe point after a signal.

    With `training.max_steps` 0 the weights that it starts from are its result, and no data are read.

    Args:
        told: `run` (folder), `config` (of `RunConfig.to_dict`), `data` (data folder or None), `parent` (bridge to
            start from or None), in a unit on Slurm `terms` (`cluster.job.unit.terms`), else `command` (what goes on
            with it).
        interrupts: signals as flags, already installed.
        group: the processes, where they were joined before (`jobs.grid.slot`).

    Returns:
        `step` of `total`, and `interrupted` with the name of the signal if there was one.
    """
    folder, config = RunFolder(Path(told["run"])), RunConfig.from_dict(told["config"])
    unit = find_unit(told, os.environ)
    typed = {"command": told["command"]} if "command" in told else {}
    with started(folder, "train", config, unit, group, **typed) as processes:
        check_signature(folder, config, told["parent"])
        local = within_reach(config, processes)
        tokenizers = load_tokenizers(local.model)
        checkpoints = Checkpoints(folder.checkpoints, patience, folder.check_holder)
        processes.on_first(lambda: _check_parent(told["parent"]))
        processes.on_first(lambda: _check_weights(config, told["parent"], checkpoints))
        if config.training.max_steps == 0:
            model = _model(local, told["parent"], tokenizers, processes)
            processes.on_first(lambda: _hand_on(folder, model, tokenizers, step=0))
            return {"step": 0, "total": 0, "interrupted": None}
        check_lengths(local, TARGET)
        data = training_data(local, data_folder(told, config), tokenizers, processes, folder)
        model = _model(local, told["parent"], tokenizers, processes)
        processes.on_first(lambda: _same_as_begun(folder, model, tokenizers, checkpoints))
        progress = TrainingProgress(folder, config.training, unit)
        mtbf_s = processes.on_first(lambda: _mtbf_s(folder, config))
        result = fit(
            model,
            data,
            config.training,
            seed=config.seed,
            processes=processes,
            checkpoints=checkpoints,
            callbacks=Callbacks(
                progress.on_step, progress.on_dev, progress.on_event, lambda: interrupts.cause
            ),
            mtbf_s=mtbf_s,
        )
        progress.close()
        if result.finished:
            processes.on_first(lambda: _hand_on_trained(folder, local, model, tokenizers, checkpoints))
    return {"step": result.step, "total": result.total, "interrupted": result.reason}


def _mtbf_s(run: RunFolder, config: RunConfig) -> float:
    """What `save_every: auto` is chosen by, as of the start; all runs are looked through for that alone."""
    if config.training.save_every != "auto":
        return Rate(0, 0.0).mtbf_s
    rate = rate_in(run)
    print(f"checkpoints after the first step, then as often as is best for {rate}", flush=True)
    return rate.mtbf_s


def _model(config: RunConfig, parent: str | None, tokenizers: Tokenizers, processes: Processes) -> LayAlign:
    """The model on this process's device, with the weights that the stage starts from.

    Raises:
        ValueError: models or weights that cannot be used, or not the same on every process.
    """
    model = LayAlign.build(config.model, config.bridge, config.seed, processes.device)
    if parent:
        bridge = Path(parent)
        if FOLDER.fullmatch(bridge.parent.name) and read_record(bridge) is None:
            refuse_older_gemma(RunFolder(bridge.parent), model.backbones["decoder"].kind)
        load_weights(model, bridge, tokenizers, start=True)
    digests = {part: processes.gather(backbone.weights) for part, backbone in model.backbones.items()}
    for part, every in digests.items():
        if len(set(every)) > 1:
            raise ValueError(
                f"the processes have loaded different weights for the {part} {getattr(config.model, part)}: digests "
                f"{', '.join(every)} by rank; its folder is not the same on all nodes: copy it again"
            )
    return model


def _check_parent(parent: str | None) -> None:
    """Refuse a finished run's bridge that is not what was written."""
    folder = Path(parent).parent if parent else None
    if folder and FOLDER.fullmatch(folder.name):
        RunFolder(folder).check_bridge()


def _check_weights(config: RunConfig, parent: str | None, checkpoints: Checkpoints) -> None:
    """Refuse to begin with weights that have changed since the run was planned: its signature stands for those of then.

    A training that goes on has its weights in its checkpoints, less those that it does not train.
    """
    checksum = config.training.init_checksum
    begun = config.bridge.train != "lora" and checkpoints.newest()[0]
    if checksum is None or parent is None or begun:
        return
    path = Path(parent) / BRIDGE_WEIGHTS
    now = sha256_of(path) if path.is_file() else "gone"
    if now != checksum:
        raise ValueError(
            f"the weights in {path} are not those that this run was planned with: their SHA-256 is {now}, it was "
            f"{checksum}; give the train command again, which makes a run of its own for them"
        )


def _same_as_begun(run: RunFolder, model: LayAlign, tokenizers: Tokenizers, checkpoints: Checkpoints) -> None:
    """Refuse to go on with other models, libraries or tokens than those that the checkpoints were made with."""
    where, kind = f"the run whose checkpoints are in {checkpoints.folder}", model.backbones["decoder"].kind
    where_begun, still = checkpoints.folder, _still(model)
    begun = awaited(lambda: read_record(where_begun), where_begun) if checkpoints.steps() else None
    if begun:
        compare(begun, model, tokenizers, where)
        if begun.still != still:
            raise ValueError(
                f"the bridge that {where} goes on with is not the one that it began with, and it does not train it: "
                "the run of the stage before was trained anew; give --force, which moves this run aside and begins anew"
            )
        return
    if checkpoints.steps():
        refuse_older_gemma(run, kind)
        note_missing(where, kind)
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    record = dataclasses.replace(record_of(model, tokenizers), still=still)
    with_room(lambda: record.write(checkpoints.folder))


def _still(model: LayAlign) -> str | None:
    """Digest of what of the bridge is not trained; None if all of it is."""
    still = [value for value in model.weights().values() if not value.requires_grad]
    return digest_of(still, torch.float32) if still else None


def _hand_on_trained(
    folder: RunFolder, config: RunConfig, model: LayAlign, tokenizers: Tokenizers, checkpoints: Checkpoints
) -> None:
    """Hand on the best or the last checkpoint, as the recipe says."""
    state = (
        checkpoints.best()
        if config.training.select == "best" and config.data.dev
        else checkpoints.newest()[0]
    )
    assert state is not None
    put_weights(model, state.weights, str(folder.checkpoints), model.trainable())
    best = {"best_step": state.best.step, "best_dev_loss": state.best.dev_loss} if state.best else {}
    _hand_on(folder, model, tokenizers, step=state.step, **best)


def _hand_on(folder: RunFolder, model: LayAlign, tokenizers: Tokenizers, **facts: Any) -> None:
    """Write the bridge that the run is about, then that it is done."""
    draft = folder.bridge.with_name(f".{folder.bridge.name}-{os.getpid()}")

    def write() -> None:
        shutil.rmtree(draft, ignore_errors=True)
        save_bridge(draft, model, tokenizers)
        sync_tree(draft)

    with_room(write)
    folder.check_holder()
    folder.done.unlink(missing_ok=True)  # one that has outlived its bridge: it tells of another
    shutil.rmtree(folder.bridge, ignore_errors=True)
    draft.rename(folder.bridge)
    write_card(folder, RunConfig.from_dict(folder.read_config()))
    sync_folder(folder.path)
    folder.finish(**facts)
