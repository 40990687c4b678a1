"""A recipe on the smallest world of the miniature, which is made in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.recipe.plan import Plan, plan_run
from layalign.mini import Settings
from layalign.mini.build import build

RECIPE = Path(__file__).parents[1] / "jobs/recipes/mini.yaml"


def tiny_plan(folder: Path, **training: Any) -> Plan:
    """Stage 1 of the miniature's recipe; its run lies below `folder`.

    Args:
        folder: for world and runs.
        training: what is changed in the recipe's `training`; runs that differ in more than how are of their own.
    """
    import yaml

    world = build(folder / "worlds", Settings.tiny(), lambda *_: None)
    recipe = yaml.safe_load(RECIPE.read_text().replace("mini://", f"{world}/"))
    recipe["training"] |= {"batch_size": 16, "micro_batch": 16, "epochs": 1000}
    recipe["stages"][1]["training"] |= training
    recipe["stages"][1]["data"]["dev"] = 16
    plan = plan_run(recipe, 1, (), folder / "runs")
    plan.run.create(plan.config.to_dict())
    return plan
