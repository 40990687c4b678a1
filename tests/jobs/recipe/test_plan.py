from __future__ import annotations

import pytest

from cluster.run.run_folder import RunFolder
from jobs.recipe.plan import load_recipe, plan_run

DATA = {"reader": "math", "path": "m.json", "languages": ["sw"], "max_source": 8, "max_target": 8}
RECIPE = {
    "name": "tiny",
    "model": {"encoder": "e", "decoder": "d"},
    "data": DATA,
    "training": {"lr": 1e-3},
}


def test_stage_2_starts_from_stage_1_of_the_same_recipe_and_overrides(tmp_path):
    overrides = ["stages.1.training.lr=2e-3", "seed=3"]
    first, second = (plan_run(RECIPE, stage, overrides, tmp_path) for stage in (1, 2))
    assert first.parent is first.weights is None
    assert second.parent.path == first.run.path
    assert second.weights == first.run.bridge
    assert first.run.signature == first.config.signature()
    assert second.run.signature == second.config.signature(first.run.signature)


def test_change_of_stage_1_changes_stage_2_and_not_the_other_way(tmp_path):
    plans = {}
    for stage in (1, 2):
        for changed in (0, 1, 2):
            override = [f"stages.{changed}.training.lr=9e-3"] if changed else []
            plans[stage, changed] = plan_run(RECIPE, stage, override, tmp_path).run.signature
    assert plans[1, 0] == plans[1, 2] != plans[1, 1]
    assert len({plans[2, 0], plans[2, 1], plans[2, 2]}) == 3


def test_stage_2_of_its_own_weights_has_no_parent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plan_run(RECIPE, 2, ["training.init=none"], tmp_path).weights is None
    given = plan_run(RECIPE, 2, ["training.init=my bridge"], tmp_path)
    assert given.parent is None
    assert given.weights == tmp_path / "my bridge"


def test_method_without_training_has_no_parent(tmp_path):
    assert plan_run(RECIPE, 2, ["model.method=llm"], tmp_path).parent is None


def test_runs_that_compute_the_same_share_a_folder_whatever_their_name(tmp_path):
    run = plan_run(RECIPE, 1, [], tmp_path).run
    run.create({})
    same = plan_run({**RECIPE, "name": "other"}, 1, ["training.micro_batch=2"], tmp_path).run
    assert same.path == run.path
    assert plan_run({**RECIPE, "name": "other"}, 2, [], tmp_path).parent.path == run.path


def test_new_run_is_named_by_recipe_stage_and_signature(tmp_path):
    run = plan_run(RECIPE, 1, [], tmp_path).run
    assert isinstance(run, RunFolder)
    assert run.path.name == f"tiny-layalign-s1-{run.signature}"
    assert not run.path.exists()


def test_recipe_is_named_or_a_path(tmp_path):
    assert load_recipe("math")["name"] == "math"
    (tmp_path / "x.yaml").write_text("name: x")
    assert load_recipe(str(tmp_path / "x.yaml")) == {"name": "x"}
    with pytest.raises(ValueError, match=r"no recipe 'mat'; did you mean math\?"):
        load_recipe("mat")
