"""How often a training saves: the optimum, that it is kept to, and that it changes nothing but when."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
import yaml

from layalign.config import RunConfig
from layalign.recipe import resolve
from layalign.training import fit as fit_module
from layalign.training.interval import MOST, best_interval, overhead
from tests.layalign.training.toy import Log, distance, run_all, train, weights

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("save_s", "step_s", "mtbf_s", "steps"),
    [
        (0.8, 2.1, 9000, 57),  # 120 s of work
        (0.8, 2.1, 3600, 36),
        (10.0, 10.0, 3600, 27),
        (60.0, 10.0, 3600, 120),  # not the 66 of the optimum: at most 5 % of the time
        (1.0, 1000.0, 3600, 1),
        (0.0, 2.0, 3600, 1),
    ],
)
def test_the_interval_is_that_of_young_within_its_bound(save_s, step_s, mtbf_s, steps):
    assert best_interval(save_s, step_s, mtbf_s) == steps
    assert save_s / (steps * step_s) <= MOST + 1e-9


@pytest.mark.parametrize("save_s", [0.01, 0.8, 7.0])
@pytest.mark.parametrize("step_s", [0.3, 2.0])
@pytest.mark.parametrize("mtbf_s", [3600.0, 86400.0])
def test_no_other_number_of_steps_costs_less(save_s, step_s, mtbf_s):
    best = best_interval(save_s, step_s, mtbf_s)
    costs = {steps: overhead(steps, save_s, step_s, mtbf_s) for steps in range(1, 20000)}
    assert costs[best] <= min(costs.values()) * (1 + 1 / best)
    assert costs[best] == pytest.approx(math.sqrt(2 * save_s / mtbf_s), rel=0.2) or best == 1


def saved(log: Log) -> list[int]:
    return [facts["step"] for kind, facts in log.events if kind == "saved"]


def test_auto_saves_after_the_first_step_and_then_at_the_optimum(tmp_path, monkeypatch):
    asked: list[tuple[float, float, float]] = []

    def fixed(*told: float) -> int:
        asked.append(told)
        return 3

    monkeypatch.setattr(fit_module, "best_interval", fixed)
    log = Log()
    train(tmp_path, log=log, save_every="auto", eval_every=100, epochs=2, mtbf_s=1800.0)
    assert saved(log) == [1, 4, 7, 10, 12]
    assert all(save_s > 0 and step_s > 0 and mtbf_s == 1800.0 for save_s, step_s, mtbf_s in asked)
    assert all(facts["seconds"] > 0 for kind, facts in log.events if kind == "saved")
    again = Log(stop=8)
    train(tmp_path / "parts", log=again, save_every="auto", eval_every=100, epochs=2)
    goes_on = Log()
    train(tmp_path / "parts", log=goes_on, save_every="auto", eval_every=100, epochs=2)
    assert saved(again) == [1, 4, 7, 8]
    assert saved(goes_on) == [9, 12]


@pytest.mark.parametrize("save_every", [1, 3, 1000, "auto"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_when_it_saves_changes_no_weight(tmp_path, save_every, dropout):
    train(tmp_path / "a", save_every=4, epochs=3, dropout=dropout)
    train(tmp_path / "b", save_every=save_every, epochs=3, dropout=dropout, mtbf_s=1e-3)
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_fixed_number_counts_from_the_first_step_whatever_was_saved_between(tmp_path):
    log = Log()
    train(tmp_path, log=log, save_every=4, eval_every=7, epochs=4)
    best = {r["step"] for r in log.devs if r["best"]}
    assert saved(log) == sorted({4, 8, 12, 16, 20, 24} | best)


def test_two_processes_agree_on_when_to_save(tmp_path):
    changes: dict[str, Any] = {"precision": "fp64", "epochs": 3, "save_every": "auto", "eval_every": 50}
    run_all(2, [{"folder": str(tmp_path / "two"), **changes}])
    train(tmp_path / "one", **changes)
    lines = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    steps = [told["step"] for told in map(json.loads, lines) if told.get("event") == "saved"]
    assert (steps[0], steps[-1]) == (1, 18)
    assert distance(weights(tmp_path / "two" / "checkpoints"), weights(tmp_path / "one")) < 1e-9


RECIPE: dict[str, Any] = {
    "name": "x",
    "model": {"encoder": "e", "decoder": "d"},
    "data": {"reader": "math", "path": "p", "languages": ["sw"], "max_source": 8, "max_target": 8},
    "training": {"lr": 1.0},
}


def configured(value: str) -> RunConfig:
    return resolve(RECIPE, 1, [f"training.save_every={value}"])


def test_a_recipe_may_say_auto_and_stays_the_same_run():
    auto = configured("auto")
    assert auto.training.save_every == "auto"
    assert RunConfig.from_dict(yaml.safe_load(yaml.safe_dump(auto.to_dict()))) == auto
    assert auto.signature() == configured("7").signature()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "often", "true", "null", "Auto", "'7'", "[auto]"])
def test_what_is_neither_a_number_nor_auto_is_refused(value):
    with pytest.raises(
        ValueError, match=r"training\.save_every is .*: it must be (a whole number or auto|at least 1)"
    ):
        configured(value)
