"""Grid files: what they come to, everything that is refused, and the ones that ship."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jobs.grid.grid_file import GRIDS, Grid, Point, grid_names, load_grid
from jobs.recipe.plan import load_recipe
from jobs.results.paper import paper_row
from layalign.recipe import resolve
from tests.timing import cpu_seconds

RECIPE = {
    "name": "tiny",
    "seed": 5,
    "model": {"encoder": "e", "decoder": "d"},
    "data": {"reader": "math", "path": "m.json", "languages": ["sw"], "max_source": 8, "max_target": 8},
    "training": {"lr": 1e-3},
}
VARIANTS = {"LayAlign": None, "w/o Adapter": {"model.adapter": False}}


def write(folder: Path, told: dict | str, name: str = "tiny") -> Path:
    (folder / "tiny-recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    path = folder / f"{name}.yaml"
    if isinstance(told, dict):
        told = yaml.safe_dump({"recipe": "./tiny-recipe.yaml", **told}, sort_keys=False)
    path.write_text(told)
    return path


def load(folder: Path, **told: object) -> Grid:
    return load_grid(str(write(folder, told)))


def labels(grid: Grid) -> list[str]:
    return [point.label for point in grid.points]


def test_axes_variants_and_seeds_multiply_in_the_order_of_the_file(tmp_path):
    axes = {"model.gate": ["static", "none"], "training.lr": {"fast": 1e-2, "slow": 1e-4}}
    grid = load(tmp_path, axes=axes, variants=VARIANTS, seeds=[2, 0])
    assert labels(grid)[:8:2] == [
        "gate=static, fast, LayAlign",
        "gate=static, fast, w/o Adapter",
        "gate=static, slow, LayAlign",
        "gate=static, slow, w/o Adapter",
    ]
    assert [point.seed for point in grid.points] == [2, 0] * 8
    assert grid.points[3] == Point(
        label="gate=static, fast, w/o Adapter",
        seed=0,
        overrides=("model.gate=static", "training.lr=0.01", "model.adapter=false", "seed=0"),
        stages=(1, 2),
    )


def test_axes_alone_and_the_recipes_seed(tmp_path):
    grid = load(tmp_path, axes={"model.gate": ["static", "dynamic"]})
    assert [(p.label, p.seed) for p in grid.points] == [("gate=static", 5), ("gate=dynamic", 5)]


def test_axes_whose_keys_end_alike_are_told_apart(tmp_path):
    axes = {"stages.1.training.epochs": [1], "stages.2.training.epochs": [2], "model.gate": ["none"]}
    assert labels(load(tmp_path, axes=axes)) == ["1.training.epochs=1, 2.training.epochs=2, gate=none"]


def test_overrides_are_nested_or_dotted_and_the_nearer_one_counts(tmp_path):
    grid = load(
        tmp_path,
        common={"training": {"lr": 0.5, "clip": 2.0}, "model.decoder": "common"},
        axes={"training.lr": [0.25]},
        variants={"A": {"training.lr": 1e-9, "model": {"decoder": "null", "encoder_states": [0, 1]}}},
    )
    config = resolve(RECIPE, 2, grid.points[0].overrides)
    assert (config.training.lr, config.training.clip) == (1e-9, 2.0)
    assert (config.model.decoder, config.model.encoder_states) == ("null", (0, 1))
    assert [text.partition("=")[0] for text in grid.points[0].overrides] == [
        "training.clip",
        "training.lr",
        "model.decoder",
        "model.encoder_states",
        "seed",
    ]


def test_an_override_of_one_stage_does_not_outlive_a_later_one_of_all(tmp_path):
    common = {"stages": {2: {"training": {"lr": 7.0}}}}
    grid = load(tmp_path, common=common, variants={"A": {"training.lr": 8.0}, "B": {}})
    rates = [resolve(RECIPE, 2, point.overrides).training.lr for point in grid.points]
    assert rates == [8.0, 7.0]


def test_what_is_excluded_is_left_out_by_value_or_label(tmp_path):
    axes = {"model.gate": ["static", "none"], "training.lr": {"fast": 1e-2, "slow": 1e-4}}
    grid = load(
        tmp_path,
        axes=axes,
        variants=VARIANTS,
        seeds=[0, 1],
        exclude=[
            {"model.gate": "none", "variant": "w/o Adapter"},
            {"training.lr": "slow"},
            {"model.gate": "gate=none", "training.lr": 1e-2, "seed": 1},
        ],
    )
    assert [(p.label, p.seed) for p in grid.points] == [
        ("gate=static, fast, LayAlign", 0),
        ("gate=static, fast, LayAlign", 1),
        ("gate=static, fast, w/o Adapter", 0),
        ("gate=static, fast, w/o Adapter", 1),
        ("gate=none, fast, LayAlign", 0),
    ]


@pytest.mark.parametrize(
    ("variant", "stages"),
    [
        ({}, (1, 2)),
        ({"stages": [1, 2]}, (1, 2)),
        ({"stages": [1]}, (1,)),
        ({"stages": [2]}, (2,)),
        ({"training.init": "none"}, (2,)),
        ({"training.init": "none", "stages": [2]}, (2,)),
        ({"stages": [2], "stages.2.model.text": False}, (2,)),
        ({"model.method": "llm"}, ()),
        ({"model.method": "llm", "stages": []}, ()),
        ({"stages": {2: {"training": {"max_steps": 0}}}}, (1, 2)),
    ],
)
def test_the_stages_that_are_trained(tmp_path, variant, stages):
    (point,) = load(tmp_path, variants={"A": variant}).points
    assert point.stages == stages
    starts_from = resolve(RECIPE, 2, point.overrides).starts_from
    assert starts_from == (1 if 1 in stages else None)


def test_what_is_evaluated_and_what_the_paper_says(tmp_path):
    rows = {"LayAlign": "LayAlign"}
    grid = load(
        tmp_path,
        name="mine",
        title="Mine",
        variants=VARIANTS,
        evaluate={"benchmarks": ["mgsm", "mini"], "languages": ["Swahili", "en"], "limit": 7},
        paper={"mgsm": {"table": "table15", "section": "MGSM", "rows": rows}},
        twin="mini-ablations",
    )
    assert (grid.name, grid.title, grid.twin) == ("mine", "Mine", "mini-ablations")
    assert (grid.benchmarks, grid.languages, grid.limit) == (("mgsm", "mini"), ("sw", "en"), 7)
    assert grid.paper == {"mgsm": {"table": "table15", "section": "MGSM", "rows": rows}}
    assert Path(grid.recipe) == tmp_path / "tiny-recipe.yaml"


def test_what_is_not_said_is_the_recipes_or_the_files(tmp_path):
    recipe = {**RECIPE, "evaluation": {"benchmarks": ["mini"], "limit": 3}}
    path = write(tmp_path, {"variants": VARIANTS})
    (tmp_path / "tiny-recipe.yaml").write_text(yaml.safe_dump(recipe))
    grid = load_grid(str(path))
    assert (grid.name, grid.title, grid.twin, grid.paper) == ("tiny", "tiny", None, {})
    assert (grid.benchmarks, grid.languages, grid.limit) == (("mini",), None, 3)


def test_a_grid_is_named_or_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_grid("ablations").recipe == load_grid("ablations.yaml").recipe == "math"
    write(tmp_path, {"variants": VARIANTS}, name="ablations")
    assert labels(load_grid("ablations.yaml")) == list(VARIANTS)
    assert len(labels(load_grid("ablations"))) == 7
    write(tmp_path, {"variants": VARIANTS, "twin": "ablations.yaml"}, name="other")
    assert load_grid("./other.yaml").twin == str(tmp_path / "ablations.yaml")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"varients": {}}, "unknown key varients; did you mean variants?"),
        (
            {"variants": {"A": {"model.adaptr": 1}}},
            "'A': unknown key model.adaptr; did you mean model.adapter?",
        ),
        ({"variants": {"A": {"training.lr": "fast"}}}, "'A': training.lr is 'fast': it must be a number"),
        (
            {"variants": {"A": {"stages": {3: {"seed.x": 1}}}}},
            "'A': override 'stages.3.seed.x=1' names stage '3'",
        ),
        (
            {"variants": {"A": {"model.gate": {}}}},
            "variant 'A': model.gate is {}: it must be keys and values",
        ),
        ({"variants": {"A": [1]}}, "variant 'A': it is [1]: it must be keys and values"),
        ({"variants": {"A": {True: 1}}}, "variant 'A': key True is not text; quote it"),
        ({"variants": {"A": {"model.gate": "none", "model": {"gate": "none"}}}}, "model.gate stands twice"),
        ({"variants": {1: {}}}, "variants: the label 1 is not text; quote it"),
        ({"variants": {"A": {}, "B": {"model.adapter": True}}}, "'A' and 'B' are the same run"),
        ({"variants": {"A": {}, "B": {"training.micro_batch": 2}}}, "'A' and 'B' are the same run"),
        ({"variants": {"A": {"seed": 1}}}, "variant 'A': seed is not set here, but as `seeds: [0, 1]`"),
        ({"variants": {"A": {"stages": {2: {"seed": 1}}}}}, "stages.2.seed is not set here"),
        ({"common": {"evaluation": {"limit": 3}}, "variants": VARIANTS}, "as `evaluate: {limit: ...}`"),
        ({"variants": {"A": {"stages": [3]}}}, "variant 'A': stages is [3]: it must be [1], [2]"),
        ({"variants": {"A": {"stages": 2}}}, "variant 'A': stages is 2: it must be [1], [2]"),
        ({"variants": {"A": {"stages": []}}}, "'A': stages is [], but the method trains [1, 2]"),
        ({"variants": {"A": {"stages": [1], "model.method": "llm"}}}, "but the method trains []"),
        (
            {"variants": {"A": {"model.text": False, "model.method": "llm"}}},
            "'A': stage 2 of 'llm' gives the LLM",
        ),
        ({}, "it has no points: give axes, variants or both"),
        ({"variants": {}}, "it has no points"),
        ({"axes": {"model.gate": []}}, "axes.model.gate is empty"),
        (
            {"axes": {"model.gate": "none"}},
            "axes.model.gate is 'none': it must be a list of values, or labels",
        ),
        ({"axes": {"model.gate": ["none", "none"]}}, "axes.model.gate has 'gate=none' more than once"),
        ({"axes": {"model.gat": ["none"]}}, "'gat=none': unknown key model.gat; did you mean model.gate?"),
        ({"axes": {"variant": ["none"]}}, "'variant' cannot be an axis"),
        ({"axes": {"model.gate": ["none"]}, "exclude": [{}]}, "exclude, entry 1 is empty"),
        (
            {"variants": VARIANTS, "exclude": [{"varient": "LayAlign"}]},
            "no axis 'varient'; did you mean 'variant'?",
        ),
        (
            {"variants": VARIANTS, "exclude": [{"variant": "LayAling"}]},
            "'LayAling'; did you mean 'LayAlign'?",
        ),
        ({"variants": VARIANTS, "exclude": [{"seed": 4}]}, "exclude, entry 1, seed: there is no value 4"),
        ({"variants": {"A": {}}, "exclude": [{"variant": "A"}]}, "`exclude` leaves out all of them"),
        ({"variants": VARIANTS, "exclude": "A"}, "exclude is 'A'"),
        ({"variants": VARIANTS, "seeds": ["a"]}, "seeds is ['a']: it must be a list of a whole number"),
        ({"variants": VARIANTS, "seeds": [0.5]}, "seeds is [0.5]"),
        ({"variants": VARIANTS, "seeds": [True]}, "seeds is [True]"),
        ({"variants": VARIANTS, "seeds": []}, "seeds is empty"),
        ({"variants": VARIANTS, "seeds": [1, 1]}, "seeds has 1 more than once"),
        ({"variants": VARIANTS, "recipe": "mth"}, "there is no recipe 'mth'; did you mean math?"),
        ({"variants": VARIANTS, "recipe": "./no.yaml"}, "no.yaml cannot be read"),
        ({"variants": VARIANTS, "evaluate": {"benchmark": "mgsm"}}, "did you mean evaluate.benchmarks?"),
        ({"variants": VARIANTS, "evaluate": {"benchmarks": ["mgms"]}}, "did you mean mgsm?"),
        ({"variants": VARIANTS, "evaluate": {"benchmarks": []}}, "evaluate.benchmarks is empty"),
        ({"variants": VARIANTS, "evaluate": {"languages": ["Klingon"]}}, "Klingon"),
        (
            {"variants": VARIANTS, "evaluate": {"benchmarks": ["mini"], "languages": ["ja"]}},
            "has no Japanese",
        ),
        ({"variants": VARIANTS, "evaluate": {"limit": 0}}, "evaluate.limit is 0: it must be at least 1"),
        (
            {"variants": VARIANTS, "twin": "mini-ablation"},
            "twin: there is no grid 'mini-ablation'; did you mean",
        ),
        ({"variants": VARIANTS, "paper": {"msvamp": {}}}, "paper: there is no benchmark 'msvamp'"),
        ({"variants": VARIANTS, "paper": {"mgsm": {"table": "t"}}}, "paper.mgsm.section is missing"),
    ],
)
def test_a_mistake_names_the_file_and_what_is_wrong(tmp_path, told, said):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load(tmp_path, **told)
    assert str(error.value).startswith(f"grid {tmp_path / 'tiny.yaml'}: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"LayAling": "LayAlign"}, "paper.mgsm.rows: there is no label 'LayAling'; did you mean 'LayAlign'?"),
        ({"LayAlign": 3}, "paper.mgsm.rows.LayAlign is 3: it must be the name of a row"),
    ],
)
def test_rows_of_the_paper_belong_to_labels(tmp_path, rows, said):
    paper = {"mgsm": {"table": "table15", "section": "MGSM", "rows": rows}}
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load(tmp_path, variants=VARIANTS, paper=paper)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recipe: math\nvariants:\n  A:\n  A: {model.gate: none}\n", "key 'A' stands twice"),
        ("variants: {A: {}}\n", "recipe is missing: it must be set"),
        ("[]\n", "holds list, not keys and values"),
        ("a: [\n", "no valid YAML"),
        ("recipe: math\nvariants: {A: {data.path: 2024-01-01}}\n", "quote it"),
    ],
)
def test_a_file_that_is_no_grid_is_refused(tmp_path, text, said):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load_grid(str(write(tmp_path, text)))
    assert said in str(error.value)
    assert str(tmp_path / "tiny.yaml") in str(error.value)


def test_two_combinations_with_one_label_are_refused(tmp_path):
    axes = {"model.gate": {"a": "none", "a, b": "static"}, "training.clip": {"b, c": 1.0, "c": 2.0}}
    with pytest.raises(ValueError, match=r"two points have the label 'a, b, c'"):
        load(tmp_path, axes=axes)


def test_a_grid_that_is_not_there_is_told_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"no grid 'ablation'; did you mean ablations\?"):
        load_grid("ablation")
    with pytest.raises(
        ValueError, match=r"no grid '/none/zzz.yaml'; there are ablations, .*, or give a path"
    ):
        load_grid("/none/zzz.yaml")


STAGE_1 = {
    "africa": 6,
    "ablations": 3,
    "encoders": 4,
    "english": 2,
    "gate": 2,
    "inputs": 2,
    "inputs-english": 2,
    "layers": 6,
    "methods": 2,
    "size": 4,
    "mini-ablations": 6,
    "mini-encoders": 2,
    "mini-english": 2,
    "mini-gate": 2,
    "mini-inputs": 2,
    "mini-inputs-english": 2,
    "mini-layers": 6,
    "mini-merlin": 1,
    "mini-methods": 2,
    "mini-size": 4,
}
"""Distinct trainings of stage 1 that a grid needs: what is shared is trained once."""


def test_every_grid_that_ships_is_known_here():
    assert grid_names() == sorted(STAGE_1)


def parents(grid: Grid) -> set[str]:
    recipe = load_recipe(grid.recipe)
    return {resolve(recipe, 1, p.overrides).signature() for p in grid.points if 1 in p.stages}


@pytest.mark.parametrize("name", sorted(STAGE_1))
def test_a_shipped_grid_loads_and_shares_its_first_stages(name):
    grid = load_grid(name)
    assert grid.name == name
    assert len(parents(grid)) == STAGE_1[name]
    assert grid.title != name
    assert grid.title in (GRIDS / f"{name}.yaml").read_text()


@pytest.mark.parametrize(
    "name", [name for name in sorted(set(STAGE_1) - {"africa"}) if not name.startswith("mini-")]
)
def test_a_grid_of_the_paper_has_its_numbers_and_a_twin(name):
    grid = load_grid(name)
    assert set(grid.paper) == set(grid.benchmarks)
    for place in grid.paper.values():
        assert sorted(place["rows"]) == sorted(set(labels(grid)))
        for row in place["rows"].values():
            assert paper_row(place["table"], place["section"], row)["Avg"] > 0
    twin = load_grid(grid.twin)
    assert twin.name == f"mini-{name}"
    assert (twin.recipe, twin.paper, twin.twin) == ("mini", {}, None)
    assert [label for label in dict.fromkeys(labels(grid)) if label in labels(twin)] == list(
        dict.fromkeys(labels(twin))
    )
    assert {p.label: p.stages for p in twin.points}.items() <= {
        p.label: p.stages for p in grid.points
    }.items()


def test_the_african_grid_compares_six_methods_and_trains_what_they_share_once():
    grid = load_grid("africa")
    assert list(dict.fromkeys(labels(grid))) == [
        *("Gemma-2-9b-it", "LangBridge", "MindMerger", "LayAlign", "MERLIN", "SFT (LoRA)")
    ]
    recipe = load_recipe("africa")
    second = {
        p.label: resolve(recipe, 2, p.overrides).signature(resolve(recipe, 1, p.overrides).signature())
        for p in grid.points
        if p.seed == 0
    }
    assert second["MindMerger"] == second["MERLIN"] != second["LangBridge"]
    assert {p.label: p.stages for p in grid.points} == {
        "Gemma-2-9b-it": (),
        "LangBridge": (1, 2),
        "MindMerger": (1, 2),
        "LayAlign": (1, 2),
        "MERLIN": (1, 2, 3),
        "SFT (LoRA)": (3,),
    }


def test_the_ablations_are_the_papers_seven_and_share_what_they_can():
    grid, twin = load_grid("ablations"), load_grid("mini-ablations")
    assert len(grid.points) == 7
    assert [(p.label, p.seed) for p in twin.points] == [(p.label, s) for p in grid.points for s in (0, 1)]
    stages = {point.label: point.stages for point in grid.points}
    assert stages.pop("MetaMath") == ()
    assert stages.pop("w/o Translation Stage") == (2,)
    assert set(stages.values()) == {(1, 2)}
    recipe = load_recipe("math")
    first = {p.label: resolve(recipe, 1, p.overrides).signature() for p in grid.points}
    assert first["LayAlign"] == first["w/o LLM Input"] == first["w/o Task Stage"]
    assert len({first[label] for label in ("LayAlign", "w/o Adapter", "w/o Layer-Wise Aligner")}) == 3


def test_grids_share_runs_with_each_other():
    recipe = load_recipe("math")
    second = {
        name: {p.label: resolve(recipe, 2, p.overrides).signature() for p in load_grid(name).points}
        for name in ("methods", "ablations", "layers", "gate", "inputs", "inputs-english", "english", "size")
    }
    usual = [name for name in second if "english" not in name]
    assert len({second[name]["LayAlign"] for name in usual}) == 1
    assert second["methods"]["MindMerger"] == second["ablations"]["w/o Layer-Wise Aligner"]
    assert second["methods"]["MetaMath"] == second["ablations"]["MetaMath"]
    assert second["inputs"]["LayAlign - LLM Input at Task"] == second["ablations"]["w/o LLM Input"]
    assert (
        second["english"]["LayAlign"] == second["inputs-english"]["LayAlign"] != second["methods"]["LayAlign"]
    )


def test_a_thousand_points_are_loaded_in_a_moment(tmp_path):
    path = write(
        tmp_path,
        {
            "axes": {"training.lr": [i / 1e6 for i in range(1, 11)], "training.clip": list(range(1, 11))},
            "variants": VARIANTS,
            "exclude": [{"training.lr": i / 1e6, "training.clip": i, "seed": 9} for i in range(1, 11)],
            "seeds": [*range(5), 9],
        },
    )
    load_grid("gate")
    assert len(load_grid(str(path)).points) == 10 * 10 * 2 * 6 - 20
    assert cpu_seconds(load_grid, str(path)) < 3


@pytest.mark.parametrize(
    ("variant", "stages", "starts"),
    [
        ({}, (1, 2, 3), 2),
        ({"stages": [1, 2]}, (1, 2), 1),
        ({"stages": [2, 3]}, (2, 3), 2),
        ({"stages": [3]}, (3,), None),
        ({"stages.2.training.init": "none"}, (2, 3), 2),
        ({"model.method": "merlin"}, (1, 2, 3), 2),
        ({"model.method": "sft"}, (3,), None),
        ({"model.method": "llm"}, (), None),
    ],
)
def test_the_stages_of_a_longer_recipe(tmp_path, variant, stages, starts):
    recipe = {**RECIPE, "stages": {1: {}, 2: {}, 3: {}}}
    path = write(tmp_path, {"variants": {"A": variant}})
    (tmp_path / "tiny-recipe.yaml").write_text(yaml.safe_dump(recipe))
    (point,) = load_grid(str(path)).points
    assert point.stages == stages
    assert resolve(recipe, (stages or (3,))[-1], point.overrides).starts_from == starts


@pytest.mark.parametrize("stages", [[1, 3], [2, 1], [4], [1, 1], [True], ["1"], 2, [0]])
def test_stages_that_do_not_follow_each_other_are_refused(tmp_path, stages):
    path = write(tmp_path, {"variants": {"A": {"stages": stages}}})
    (tmp_path / "tiny-recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "stages": {1: {}, 2: {}, 3: {}}}))
    with pytest.raises(
        ValueError, match=r"variant 'A': stages is .*: it must be \[1\], \[2\], \[3\], several of these"
    ):
        load_grid(str(path))
