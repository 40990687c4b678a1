"""Recipes, overrides and signatures: strict, and the same for what computes the same."""

from pathlib import Path

import pytest
import yaml

from layalign.config import RunConfig
from layalign.languages import language
from layalign.recipe import parse_override, read_recipe, resolve

RECIPES = Path(__file__).parents[2] / "jobs/recipes"
RECIPE = {
    "name": "x",
    "model": {"encoder": "a", "decoder": "b"},
    "data": {"reader": "pairs", "path": "p", "languages": ["sw"], "max_source": 9, "max_target": 9},
    "training": {"lr": 1e-4},
    "stages": {1: {"training": {"lr": 4e-5}}, 2: {"training": {"init": "none"}}},
}


def signature(stage: int = 1, *overrides: str, parent: str | None = None) -> str:
    return resolve(RECIPE, stage, overrides).signature(parent)


def test_the_stage_lies_over_the_common_part_and_overrides_over_both() -> None:
    assert [resolve(RECIPE, stage).training.lr for stage in (1, 2)] == [4e-5, 1e-4]
    assert resolve(RECIPE, 1, ["training.lr=1e-3"]).training.lr == 1e-3
    only = ["stages.2.training.lr=5e-3"]
    assert [resolve(RECIPE, stage, only).training.lr for stage in (1, 2)] == [4e-5, 5e-3]


def test_a_config_comes_back_from_plain_data() -> None:
    config = resolve(RECIPE, 2, ["model.encoder_states=[0, 3]", "data.limit=5"])
    assert RunConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainin.lr=3", "unknown key trainin; did you mean training?"),
        ("training.warm=3", "unknown key training.warm; did you mean training.warmup?"),
        ("training.lr=abc", "training.lr is 'abc': it must be a number"),
        ("training.lr=true", "training.lr is True: it must be a number"),
        ("training.epochs=1.5", "training.epochs is 1.5: it must be a whole number"),
        ("training.batch_size=0", "training.batch_size is 0: it must be at least 1"),
        ("training.max_steps=-1", "training.max_steps is -1: it must not be negative"),
        ("training.zero_stage=4", "must be one of 0, 1, 2, 3"),
        ("training.betas=[0.9]", "training.betas is [0.9]"),
        ("model.aligner=foo", "must be one of none, linear, silu, mlp"),
        ("model.method=layaling", "the methods are llm, langbridge"),
        ("model=7", "model is 7: it must be keys and values"),
        ("data.languages=[]", "must name a language"),
        ("stages.3.training.lr=1", "the stages are 1 and 2"),
        ("evaluation.limit=0", "evaluation.limit is 0"),
        ("lr", "is not of the form section.key=value"),
        ("a=[", "no valid YAML"),
    ],
)
def test_what_does_not_fit_is_named(override: str, said: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        resolve(RECIPE, 1, [override])
    assert said in str(error.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ValueError, match="data is missing"):
        resolve({key: value for key, value in RECIPE.items() if key != "data"}, 1)


def test_only_what_changes_the_result_changes_the_signature() -> None:
    assert signature(1, "name=y", "training.micro_batch=2", "training.engine=ddp", "gpus=1") == signature()
    for override in ("seed=1", "training.lr=1", "data.limit=3", "model.gate=none", "training.window=4"):
        assert signature(1, override) != signature()


def test_what_only_refuses_is_no_part_of_a_signature_and_a_later_key_is_one_when_it_is_set() -> None:
    assert signature(1, "data.max_prompt_cut=1", "data.max_unknown=1") == signature()
    hub = ("data.reader=hub",)
    assert signature(1, *hub, "data.split=train") == signature(1, *hub)
    for override in ("data.split=test", "data.config=sw", "data.max_prompt=99"):
        assert signature(1, *hub, override) != signature(1, *hub)


@pytest.mark.parametrize(
    ("name", "known"), [("math", ("21491c28", "6019004c")), ("mini", ("c58378eb", "5f86fc13"))]
)
def test_shipped_recipes_are_the_runs_that_they_were(name: str, known: tuple[str, str]) -> None:
    recipe = read_recipe(RECIPES / f"{name}.yaml")
    assert tuple(resolve(recipe, stage).signature() for stage in (1, 2)) == known


def test_a_prompt_has_its_own_limit_but_that_of_the_source_under_compat_official() -> None:
    own, official, said = (
        resolve(RECIPE, 1, words).reads
        for words in ([], ["model.compat=official"], ["model.compat=official", "data.max_prompt=7"])
    )
    assert (own.max_prompt, own.max_prompt_cut) == (2048, 0.01)
    assert (official.max_prompt, official.max_prompt_cut) == (9, 1.0)
    assert said.max_prompt == 7


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("data.max_prompt=0", "must be at least 1"),
        ("data.limit=0", "must be at least 1"),
        ("data.max_prompt_cut=2", "is a share, 0 to 1"),
        ("data.max_unknown=-1", "is a share, 0 to 1"),
        ("data.split=test", "is of reader hub alone"),
        ("data.config=sw", "is of reader hub alone"),
    ],
)
def test_limits_and_names_that_mean_nothing_are_refused(override: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        resolve(RECIPE, 1, [override])


def test_weights_that_a_run_starts_from_count_by_their_content() -> None:
    given = signature(1, "training.init=/somewhere/bridge")
    assert given != signature(1, "training.init=/elsewhere/bridge")
    one = f"training.init_checksum={'a' * 64}"
    assert (
        signature(1, "training.init=/somewhere/bridge", one)
        == signature(1, "training.init=/elsewhere/bridge", one)
        != signature(1, "training.init=/somewhere/bridge", f"training.init_checksum={'b' * 64}")
    )
    assert resolve(RECIPE, 1, ["training.init=~/b"]).weights == Path.home() / "b"
    assert resolve(RECIPE, 1).weights is resolve(RECIPE, 2).weights is None
    with pytest.raises(ValueError, match=r"init_checksum is set, but training\.init is 'previous'"):
        signature(1, one)


def test_signatures_of_runs_made_before_are_what_they_were() -> None:
    """As of the version before: their folders carry them."""
    assert signature(1) == "6ebfe547"
    assert signature(2) == "3b08667d"
    assert signature(2, "training.init=previous", parent="0" * 8) == "11ed5199"
    assert signature(1, "training.init=/somewhere/bridge") == "61846aee"


def test_a_switch_left_to_its_method_counts_as_the_methods_value() -> None:
    assert signature(1, "model.adapter=true", "model.aligner=linear") == signature()
    assert signature(1, "model.method=langbridge") == signature(1, "model.method=mindmerger")
    assert signature(2, "model.method=langbridge") != signature(2, "model.method=mindmerger")


def test_the_parent_is_part_of_the_signature() -> None:
    assert signature(2, parent="0" * 8) != signature(2, parent="1" * 8)


def test_a_second_stage_starts_from_the_first_unless_it_is_told_otherwise() -> None:
    previous = "training.init=previous"
    assert resolve(RECIPE, 2, [previous]).starts_from == 1
    assert resolve(RECIPE, 1, [previous]).starts_from is None
    assert resolve(RECIPE, 2).starts_from is None
    assert resolve(RECIPE, 2, [previous, "model.method=llm"]).starts_from is None


def test_numbers_in_scientific_notation_are_numbers() -> None:
    assert parse_override("training.lr=1e-4") == ("training.lr", "1e-4")
    assert resolve(RECIPE, 1, ["training.lr=1e-4"]).training.lr == 1e-4


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_resolve(recipe: Path) -> None:
    for stage in (1, 2):
        assert resolve(read_recipe(recipe), stage).stage == stage


def test_the_math_recipe_is_the_papers() -> None:
    first, second = (resolve(read_recipe(RECIPES / "math.yaml"), stage) for stage in (1, 2))
    for config in (first, second):
        training = config.training
        assert (training.batch_size, training.epochs, training.warmup, training.clip) == (128, 3, 0.05, 1.0)
        assert (training.betas, training.eps, training.weight_decay) == ((0.8, 0.999), 1e-8, 3e-7)
        assert (config.model.encoder, config.model.precision, config.seed) == ("google/mt5-xl", "bf16", 0)
        assert training.window == 1
    assert (first.training.lr, second.training.lr) == (4e-5, 3e-5)
    assert (first.data.limit, second.data.limit) == (100_000, 30_000)
    assert (first.data.max_source, second.data.max_source) == (200, 512)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[1, 2]", "not keys and values"), ("a: [", "no valid YAML"), ("a: 1\na: 2", "key 'a' stands twice")],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize("typed", ["Amharic,Hausa", "Amharic, Hausa", "[Amharic, Hausa]", "am,ha,"])
def test_a_list_may_be_typed_with_commas(typed):
    recipe = yaml.safe_load((Path(__file__).parents[2] / "jobs/recipes/mini.yaml").read_text())
    config = resolve(recipe, 1, [f"data.languages={typed}"])
    assert len(config.data.languages) == 2
    assert {language(name).code for name in config.data.languages} == {"am", "ha"}
