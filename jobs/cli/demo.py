"""The whole main job in the miniature: both stages of every method, the bare LLM, the table and the plots."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from cluster.files import read_jsonl, write_atomic
from cluster.job.interrupt import Interrupts
from cluster.provenance import provenance
from cluster.run.run_folder import RunFolder
from jobs.recipe.plan import Plan, load_recipe, plan_run
from jobs.work import evaluate, train
from layalign.analysis.plots import Curve, accuracy_plot, bridge_plot, loss_plot
from layalign.evaluation import table
from layalign.evaluation.compare import spread
from layalign.evaluation.table import AVERAGES, Summary
from layalign.model.store import WEIGHTS
from layalign.tabular import NONE, Column, Row, Table

METHODS = ("llm", "langbridge", "mindmerger", "layalign")


def run(told: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    """Train and evaluate every method for every seed; what is done already is not done again.

    Args:
        told: `runs` (root folder), `seeds`, `out` (folder of tables and plots).
        interrupts: signals as flags, already installed.
    """
    began, recipe = time.monotonic(), load_recipe("mini")
    summaries: dict[int, dict[str, Summary]] = {}
    plans: dict[str, list[Plan]] = {}
    for seed in told["seeds"]:
        summaries[seed] = {}
        for method in METHODS:
            overrides = [f"model.method={method}", f"seed={seed}"]
            plans[method] = [plan_run(recipe, stage, overrides, Path(told["runs"])) for stage in (1, 2)]
            answered = _method(plans[method], method, seed, interrupts)
            if answered["interrupted"]:
                return answered
            summaries[seed] |= table.from_json(answered["summaries"]["mini"])
    out = Path(told["out"])
    out.mkdir(parents=True, exist_ok=True)
    seed = told["seeds"][-1]
    _show(summaries, out)
    accuracy_plot(summaries[seed], out / "accuracy.png")
    loss_plot(_curves(plans), out / "loss.png")
    bridge_plot(*_bridge(plans["layalign"][1].run), out / "bridge.png")
    print(f"table and plots (of seed {seed}): {out}, after {time.monotonic() - began:.0f} s")
    return {"interrupted": None}


def _method(plans: Sequence[Plan], method: str, seed: int, interrupts: Interrupts) -> dict[str, Any]:
    """Both stages of a method, then its answers; `llm` has only answers."""
    for plan in plans:
        if not plan.config.bridge.trains or plan.run.is_done():
            continue
        print(f"\n== {method}, stage {plan.config.stage}, seed {seed}", flush=True)
        plan.run.create(plan.config.to_dict())
        trained = train.run(plan.told_to_train(None), interrupts)
        if trained["interrupted"]:
            return trained
    print(f"\n== {method}, answers, seed {seed}", flush=True)
    plans[1].run.create(plans[1].config.to_dict())
    return evaluate.run({**plans[1].told(None), "benchmarks": ["mini"], "languages": None}, interrupts)


def _show(summaries: Mapping[int, Mapping[str, Summary]], out: Path) -> None:
    """One seed as a table with intervals; several as means over seeds."""
    from rich.console import Console

    told = {**provenance(), "recipe": "mini"}
    for seed, by_method in summaries.items():
        write_atomic(out / f"table-seed{seed}.json", table.to_json(by_method, told))
        write_atomic(out / f"table-seed{seed}.md", table.to_markdown(by_method, told))
    if len(summaries) == 1:
        table.to_screen(next(iter(summaries.values())), {"commit": told["commit"]}).show(Console())
        return
    text = means(list(summaries.values()))
    write_atomic(out / "table.md", text)
    print(text)


def means(by_seed: Sequence[Mapping[str, Summary]]) -> str:
    """Mean, standard deviation over seeds and a 95 % interval of each average, as Markdown.

    The difference between LayAlign and MindMerger is paired by seed, whose backbones and data they share.
    """
    values = {
        method: {
            group: [summaries[method].average("strict", group) for summaries in by_seed] for group in AVERAGES
        }
        for method in by_seed[0]
    }
    values["layalign - mindmerger"] = {
        group: [
            None if ours is None or theirs is None else ours - theirs
            for ours, theirs in zip(values["layalign"][group], values["mindmerger"][group])
        ]
        for group in AVERAGES
    }
    rows = [Row([name, *map(_spread, by_group.values())]) for name, by_group in values.items()]
    first = Column(f"{len(by_seed)} seeds, strict, %")
    return Table([first, *map(table.number_column, AVERAGES)], rows).markdown()


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return NONE
    told = spread(known)
    return f"{told.mean:.1f} ± {told.sd:.1f} [{told.low:.1f}, {told.high:.1f}]"


def _curves(plans: Mapping[str, Sequence[Plan]]) -> dict[str, dict[str, Curve]]:
    """Training and dev losses of each stage by method."""
    return {
        f"stage {stage}": {method: _curve(plans[method][stage - 1].run) for method in METHODS[1:]}
        for stage in (1, 2)
    }


def _curve(run: RunFolder) -> Curve:
    records = read_jsonl(run.metrics)
    losses = [[(r["step"], r[key]) for r in records if key in r] for key in ("loss", "dev_loss")]
    return Curve(*losses)


def _bridge(run: RunFolder) -> tuple[np.ndarray, np.ndarray]:
    weights = load_file(run.bridge / WEIGHTS)
    return weights["gates.value"], weights["aligner.mix.weight"]
