from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest

from cluster.run.run_folder import RunFolder
from jobs.recipe.plan import evaluated_config, load_recipe, plan_run, training_obstacles
from jobs.recipe.weights import check_signature
from layalign.config import RunConfig
from layalign.recipe import resolve

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


def bridge(folder, content=b"weights"):
    folder.mkdir(exist_ok=True)
    (folder / "bridge.safetensors").write_bytes(content)
    return folder


def planned(tmp_path, folder):
    return plan_run(RECIPE, 1, [f"training.init={folder}"], tmp_path / "runs")


def started(run, at=None):
    """As a job leaves it: created, begun, done."""
    run.create({})
    (run.starts).write_text(json.dumps({"time": at or datetime.now(UTC).isoformat()}) + "\n")
    run.done.write_text("{}")


def test_weights_are_the_same_wherever_they_lie(tmp_path):
    one, two = bridge(tmp_path / "one"), bridge(tmp_path / "two")
    assert planned(tmp_path, one).run.path == planned(tmp_path, two).run.path
    assert planned(tmp_path, one).weights == one


def test_four_changed_bytes_are_another_run(tmp_path):
    folder = bridge(tmp_path / "one")
    before = planned(tmp_path, folder)
    before.run.create(before.config.to_dict())
    bridge(folder, b"waights")
    after = planned(tmp_path, folder)
    assert after.run.path != before.run.path
    bridge(folder, b"weights")
    assert planned(tmp_path, folder).run.path == before.run.path


def test_a_run_keeps_its_signature_where_its_weights_are_not(tmp_path):
    plan = planned(tmp_path, bridge(tmp_path / "one"))
    plan.run.create(plan.config.to_dict())
    shutil.rmtree(tmp_path / "one")
    assert RunConfig.from_dict(plan.run.read_config()).signature() == plan.run.signature
    assert evaluated_config(plan.run, ["evaluation.limit=3"]).evaluation.limit == 3
    assert planned(tmp_path, tmp_path / "one").run.path == plan.run.path
    assert planned(tmp_path, tmp_path / "none").run.path != plan.run.path


def by_path(tmp_path, folder):
    """A run as the version before made it: signed by the path."""
    signature = resolve(RECIPE, 1, [f"training.init={folder}"]).signature()
    return RunFolder.at(tmp_path / "runs", "tiny-layalign", 1, signature)


def test_a_run_signed_by_the_path_is_found_if_its_weights_are_older(tmp_path):
    folder = bridge(tmp_path / "one")
    run = by_path(tmp_path, folder)
    started(run)
    plan = planned(tmp_path, folder)
    assert plan.run.path == run.path
    assert plan.config.training.init_checksum is None
    assert plan.config.signature() == run.signature


def test_a_run_signed_by_the_path_is_not_taken_for_one_of_newer_weights(tmp_path):
    folder = bridge(tmp_path / "one")
    started(by_path(tmp_path, folder), at=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    plan = planned(tmp_path, folder)
    assert plan.run.path != by_path(tmp_path, folder).path
    assert plan.config.training.init_checksum


def test_changed_bytes_that_kept_their_time_are_newer_all_the_same(tmp_path):
    folder = bridge(tmp_path / "one")
    run = by_path(tmp_path, folder)
    started(run)
    file = folder / "bridge.safetensors"
    was = file.stat().st_mtime
    time.sleep(0.05)
    file.write_bytes(b"waights")
    os.utime(file, (was, was))
    assert planned(tmp_path, folder).run.path != run.path


def test_a_run_of_before_that_only_waits_in_the_queue_is_found_too(tmp_path):
    folder = bridge(tmp_path / "one")
    run = by_path(tmp_path, folder)
    run.create({})
    assert planned(tmp_path, folder).run.path == run.path


def test_a_folder_without_weights_is_an_obstacle(tmp_path):
    for folder, said in (
        (tmp_path / "none", "no such folder"),
        (tmp_path, "bridge.safetensors is not in it"),
    ):
        obstacles = training_obstacles(planned(tmp_path, folder), None, {}, False, "train")
        assert any(said in text for text in obstacles), obstacles


def test_a_config_is_held_to_the_signature_of_its_folder(tmp_path):
    recipe = load_recipe("math")
    first, second = (plan_run(recipe, stage, [], tmp_path) for stage in (1, 2))
    for plan in (first, second):
        bridge = str(plan.weights) if plan.weights else None
        check_signature(plan.run, plan.config, bridge)
        assert RunConfig.from_dict(plan.config.to_dict()) == plan.config
        told = plan.config.to_dict()
        told["training"]["lr"] *= 1.5
        for run, config, parent in (
            (plan.run, RunConfig.from_dict(told), bridge),
            (plan.run, (second if plan is first else first).config, bridge),
            (RunFolder.at(tmp_path, "math", plan.config.stage, "00000001"), plan.config, bridge),
        ):
            with pytest.raises(ValueError, match="is not its own: it has the signature"):
                check_signature(run, config, parent)
    with pytest.raises(ValueError, match="is not its own"):
        check_signature(second.run, second.config, str(tmp_path / "other-s1-00000001" / "bridge"))
