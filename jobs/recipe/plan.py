"""From a recipe to runs: which folders, in which order, from whose weights, and what stands in the way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.permissions import writers_obstacle
from cluster.run.lease import IsAlive
from cluster.run.run_folder import RunFolder, RunIndex
from cluster.secret import secret_obstacle
from jobs.recipe.check import model_obstacles
from jobs.recipe.weights import signed_by_content
from layalign.config import BRIDGE_WEIGHTS, RunConfig
from layalign.data.check import DataCheck, check_data
from layalign.evaluation.benchmarks import find_benchmark
from layalign.languages import language
from layalign.methods import start_obstacle
from layalign.mini import is_mini
from layalign.positions import GENERATED
from layalign.recipe import read_recipe, resolve, stages_of
from layalign.strict import nearest_page

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class Plan:
    """One run that is to be made or used."""

    config: RunConfig
    run: RunFolder
    parent: RunFolder | None = None
    """The run of the stage before, whose weights this one starts from."""
    behind: tuple[RunFolder, ...] = ()
    """The runs that the parent starts from in its turn, the nearest first."""

    def told(self, data: Path | None) -> dict[str, Any]:
        """What every job on the run is told; `data` is the data folder."""
        return {
            "run": str(self.run.path),
            "config": self.config.to_dict(),
            "data": str(data) if data else None,
        }

    def told_to_train(self, data: Path | None) -> dict[str, Any]:
        """What a training of the run is told."""
        return {**self.told(data), "parent": str(self.weights) if self.weights else None}

    @property
    def weights(self) -> Path | None:
        """The bridge that the run starts from; None is a fresh one."""
        return self.parent.bridge if self.parent else self.config.weights


def load_recipe(name: str) -> dict[str, Any]:
    """A recipe by its name below `jobs/recipes`, or by its path.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    path = Path(name).expanduser()
    if path.suffix not in (".yaml", ".yml") and "/" not in name:
        known = sorted(recipe.stem for recipe in RECIPES.glob("*.yaml"))
        if name not in known:
            near = nearest_page(name, known)
            hint = (
                f"did you mean {near}?" if near else f"there are {', '.join(known)}, or give a path to a YAML"
            )
            raise ValueError(f"there is no recipe {name!r}; {hint}")
        path = RECIPES / f"{name}.yaml"
    return read_recipe(path)


def plan_run(
    recipe: Mapping[str, Any],
    stage: int,
    overrides: Sequence[str],
    root: Path,
    name: str | None = None,
    known: RunIndex | None = None,
) -> Plan:
    """The run of one stage: its config, and its folder below `root`, found by signature or new.

    Args:
        recipe: as `load_recipe` gives it.
        stage: of the recipe.
        overrides: of the recipe.
        root: folder of all runs.
        name: of a new run; None is that of the recipe and its method, `math-layalign`.
        known: the runs that exist, where many are planned; None looks for itself.

    Raises:
        ValueError: the recipe or an override is wrong.
        ClusterError: the recipe's name cannot name a folder.
    """
    config, known = resolve(recipe, stage, overrides).self_contained(), known or RunIndex(root)
    parent: RunFolder | None = None
    behind: tuple[RunFolder, ...] = ()
    if config.starts_from:
        before = plan_run(recipe, config.starts_from, overrides, root, name, known)
        if obstacle := start_obstacle(before.config.bridge, config.bridge):
            raise ValueError(f"stage {stage} starts from stage {before.config.stage}: {obstacle}")
        parent = before.run
        behind = (before.parent, *before.behind) if before.parent else ()
    elif config.weights:
        config = signed_by_content(config, config.weights, root, known)
    signature = config.signature(parent.signature if parent else None)
    run = known.find(stage, signature) or RunFolder.at(
        root, name or f"{config.name}-{config.model.method}", stage, signature
    )
    return Plan(config, run, parent, behind)


def chain_of(
    recipe: Mapping[str, Any], overrides: Sequence[str], stage: int | None = None
) -> list[RunConfig]:
    """What a stage is trained by: its own config behind those of the stages that it starts from; none trains nothing.

    Args:
        recipe: as `load_recipe` gives it.
        overrides: of the recipe.
        stage: None is the last.

    Raises:
        ValueError: the recipe or an override is wrong, or a stage that another starts from has nothing to train.
    """
    config = resolve(recipe, stage or stages_of(recipe)[-1], overrides)
    if not config.bridge.trains:
        return []
    if not config.starts_from:
        return [config]
    before = chain_of(recipe, overrides, config.starts_from)
    if not before:
        raise ValueError(
            f"stage {config.starts_from} has nothing to train: give `stages: [{config.stage}]`, or a method that trains"
        )
    return [*before, config]


def chain_signature(chain: Iterable[RunConfig]) -> str:
    """The signature of the last of a chain."""
    signature: str | None = None
    for config in chain:
        signature = config.signature(signature)
    assert signature is not None
    return signature


def evaluated_config(run: RunFolder, overrides: Iterable[str]) -> RunConfig:
    """The config of a run that exists, with overrides that leave its result what it is.

    Raises:
        ClusterError: the folder holds no config.
        ValueError: an override is wrong, or asks for another run.
    """
    told = run.read_config()
    config = resolve(told, run.stage, overrides)
    if config.signature() != RunConfig.from_dict(told).signature():
        raise ValueError(
            f"the overrides would make another run than {run.path.name}: with --run only such keys as "
            "evaluation.* and training.micro_batch can change; give --recipe for another run"
        )
    return config


def training_obstacles(
    plan: Plan,
    data: Path | None,
    environ: Mapping[str, str],
    parent_first: bool,
    command: str,
    job_is_alive: IsAlive | None = None,
    leased: bool = True,
) -> list[str]:
    """Why a training would be refused, with the next step for each reason.

    Args:
        plan: the run.
        data: the data folder.
        environ: where the model cache is looked up.
        parent_first: the same command makes the parent before.
        command: the user's command less its stage.
        job_is_alive: asks the scheduler about the job of another process that works on the run.
        leased: whether such a process stands in the way; the slots of a grid pass over what others work on.
    """
    found = []
    if not plan.config.bridge.trains:
        found.append(_nothing_to_train(plan.config))
    if plan.parent and not parent_first and (what := unusable(plan.parent, "has not been run")):
        found.append(
            f"stage 2 starts from the weights of stage 1, run {plan.parent.path.name}, which {what}; "
            f"first run: {command} --stage 1"
        )
    if not plan.parent and plan.weights and not (plan.weights / BRIDGE_WEIGHTS).is_file():
        what = f"{BRIDGE_WEIGHTS} is not in it" if plan.weights.exists() else "no such folder"
        found.append(
            f"training.init is {plan.config.training.init!r}: {what}; name the folder `bridge` of a finished run"
        )
    return (
        found
        + model_obstacles(plan.config, environ)
        + list(data_check(plan.config, data).obstacles)
        + (_worker(plan.run, job_is_alive) if leased else [])
        + unsafe(plan)
    )


def _nothing_to_train(config: RunConfig) -> str:
    method, last = config.model.method, config.last_stage
    if config.stage < last and config.model.bridge(last, last).trains:
        return f"method {method} has nothing to train in stage {config.stage}: give --stage {last}, or model.train"
    return f"method {method} has nothing to train: use evaluate with the same recipe"


def evaluation_obstacles(
    plan: Plan,
    benchmarks: Sequence[str],
    data: Path | None,
    environ: Mapping[str, str],
    command: str,
    trained_first: bool = False,
    job_is_alive: IsAlive | None = None,
) -> list[str]:
    """Why an evaluation would be refused; arguments as in `training_obstacles`.

    With `trained_first` the run is in a queue before the evaluation.
    """
    found = []
    untrained = plan.config.bridge.trains and not plan.run.done.exists()  # one that is lost may not be needed
    if untrained and not trained_first and (what := unusable(plan.run)):
        found.append(f"run {plan.run.path.name} {what}; first run: {command}")
    for name in benchmarks:
        try:
            find_benchmark(name)
        except ValueError as error:
            found.append(str(error))
    if data is None and not is_mini(plan.config.model.decoder):
        found.append("the benchmarks need the data folder: give --data FOLDER or set LAYALIGN_DATA")
    worker = [] if trained_first else _worker(plan.run, job_is_alive)
    return found + model_obstacles(plan.config, environ, GENERATED) + worker + unsafe(plan)


def unsafe(plan: Plan) -> list[str]:
    """Why a run would not be safe: a secret that its files would tell, a job's call that others can write."""
    told = json.dumps(plan.config.to_dict(), ensure_ascii=False)
    found = (
        secret_obstacle(f"the recipe of {plan.run.name}, or an override,", told),
        secret_obstacle("the name of the run", plan.run.path.name),
        writers_obstacle(plan.run.slurm, plan.run.root),
    )
    return [text for text in found if text]


def unusable(run: RunFolder, unbegun: str = "has not been trained") -> str:
    """Why a run's bridge cannot be used, all of it read; empty if it can."""
    if fault := run.damage():
        return f"is not whole: {fault}"
    state = run.state()
    return "" if state == "done" else unbegun if state == "new" else f"is not finished ({state})"


def _worker(run: RunFolder, job_is_alive: IsAlive | None) -> list[str]:
    """The refusal if another process works on the run."""
    lease = run.lease(job_is_alive=job_is_alive)
    holder = lease.living_holder()
    return [lease.refusal(holder)] if holder else []


def data_check(config: RunConfig, folder: Path | None) -> DataCheck:
    """What there is of the data that a training reads; the miniature's are made when they are wanted.

    Raises:
        ValueError: a language that there is not.
    """
    for name in config.data.languages:
        language(name)
    unread = config.training.max_steps == 0
    read = [data for data in config.data.every if not (unread or is_mini(data.path))]
    checks = [check_data(data, folder) for data in read]
    own = checks[0] if checks and read[0] is config.data else DataCheck()
    return replace(own, obstacles=tuple(told for check in checks for told in check.obstacles))
