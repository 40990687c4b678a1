"""A recipe of any number of stages: which there are, what each starts from, and what its signature stands for."""

from pathlib import Path
from typing import Any

import pytest

from layalign.config import RunConfig
from layalign.methods import METHODS, bridge_of, start_obstacle
from layalign.recipe import read_recipe, resolve, stages_of
from tests.layalign.test_config import RECIPE, RECIPES


def recipe(stages: Any) -> dict[str, Any]:
    return {**RECIPE, "stages": stages}


FOUR = recipe({1: {}, 2: {"model": {"text": False}}, 3: None, 4: {"training": {"lr": 1e-5}}})


def starts(told: dict[str, Any], *overrides: str) -> list[int | None]:
    return [resolve(told, stage, overrides).starts_from for stage in stages_of(told)]


@pytest.mark.parametrize(
    ("stages", "known"),
    [
        (None, (1, 2)),
        ({1: {}}, (1,)),
        ({2: {}}, (1, 2)),
        ({1: {}, 2: {}, 3: None}, (1, 2, 3)),
        ({number: {} for number in range(1, 13)}, tuple(range(1, 13))),
    ],
)
def test_the_stages_of_a_recipe(stages: Any, known: tuple) -> None:
    assert stages_of(recipe(stages)) == known
    assert [resolve(recipe(stages), stage).last_stage for stage in known] == [known[-1]] * len(known)


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ({1: {}, 3: {}}, "stages has 1, 3: they must be the numbers from 1 to 2"),
        ({0: {}, 1: {}}, "none left out"),
        ({"one": {}, 1: {}}, "none left out"),
        ({"1": {}, "2": {}}, "none left out"),
        ({1: [2]}, "must hold 1, 2, ..."),
        ([1, 2], "must hold 1, 2, ..."),
    ],
)
def test_stages_that_are_none_are_refused(stages: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resolve(recipe(stages), 1)


def test_each_stage_starts_from_the_one_before_unless_it_is_told_otherwise() -> None:
    assert starts(FOUR) == [None, 1, 2, 3]
    assert starts(FOUR, "stages.3.training.init=none") == [None, 1, None, 3]
    assert starts(FOUR, "stages.2.training.init=/some/bridge") == [None, None, 2, 3]
    assert starts(FOUR, "model.method=merlin") == [None, 1, 2, 3]
    assert starts(FOUR, "model.method=llm") == [None] * 4
    assert starts(FOUR, "model.method=sft") == [None] * 4
    always = recipe({1: {}, 2: {}, 3: {}})
    assert starts(always, "model.method=sft", "model.train=lora") == [None, 1, 2]


def test_the_first_of_several_stages_has_no_text_and_the_others_have() -> None:
    assert [resolve(FOUR, stage).bridge.text for stage in stages_of(FOUR)] == [False, False, True, True]
    assert resolve(recipe({1: {}}), 1).bridge.text


@pytest.mark.parametrize(
    "wrong", ["stages.5.training.lr=1", "stages.0.seed=1", "stages.x.seed=1", "stages.01.seed=1"]
)
def test_an_override_of_a_stage_that_there_is_not_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="the stages are 1, 2, 3 and 4"):
        resolve(FOUR, 2, [wrong])


@pytest.mark.parametrize("stage", [0, 5, -1])
def test_a_stage_that_there_is_not_is_refused(stage: int) -> None:
    with pytest.raises(ValueError, match="the stages are 1, 2, 3 and 4"):
        resolve(FOUR, stage)


@pytest.mark.parametrize("wrong", ["stage=2", "last_stage=3"])
def test_which_stage_it_is_is_no_override(wrong: str) -> None:
    with pytest.raises(ValueError, match="the command tells the stage"):
        resolve(FOUR, 1, [wrong])


def test_a_runs_own_config_is_resolved_again_as_what_it_is() -> None:
    for stage in stages_of(FOUR):
        config = resolve(FOUR, stage, ["model.method=merlin"])
        assert resolve(config.to_dict(), stage) == config == RunConfig.from_dict(config.to_dict())
    told = resolve(RECIPE, 2).to_dict()
    del told["last_stage"]
    for key in ("lora", "lora_modules", "lora_rank", "lora_alpha", "lora_dropout", "train"):
        del told["model"][key]  # as the version before wrote it
    assert RunConfig.from_dict(told) == resolve(RECIPE, 2) == resolve(told, 2)


def test_stages_that_compute_the_same_are_one_run_whatever_comes_after_them() -> None:
    two, three = recipe({1: {}, 2: {}}), recipe({1: {}, 2: {}, 3: {}})
    for stage in (1, 2):
        plain = resolve(two, stage, ["model.method=mindmerger"]).signature()
        merlin = ["model.method=merlin", "model.lora_rank=4"]
        assert resolve(three, stage, ["model.method=mindmerger"]).signature() == plain
        assert resolve(three, stage, merlin).signature() == plain
    assert resolve(three, 3, merlin).signature() != resolve(three, 3, merlin[:1]).signature()


def test_what_is_trained_and_how_is_part_of_a_signature() -> None:
    three, base = recipe({1: {}, 2: {}, 3: {}}), "model.method=merlin"
    found = {
        resolve(three, 3, [base, *more]).signature()
        for more in (
            (), ("model.lora=lora",), ("model.lora_rank=4",), ("model.lora_alpha=8",), ("model.train=both",),
            ("model.lora_modules=[q_proj]",), ("model.lora_dropout=0.1",), ("model.encoder_states=softmax",),
        )
    }  # fmt: skip
    assert len(found) == 8
    assert resolve(three, 3, [base, "model.lora=dora", "model.train=lora"]).signature() in found


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.lora_rank=0", "model.lora_rank is 0: it must be at least 1"),
        ("model.lora_alpha=-1", "model.lora_alpha is -1.0: it must be above 0"),
        ("model.lora_dropout=1", "model.lora_dropout is 1.0: it is a share"),
        ("model.lora_modules=[]", "must name a linear layer"),
        ("model.lora=qlora", "must be one of none, lora, dora"),
        ("model.train=llm", "must be one of bridge, lora, both"),
    ],
)
def test_low_rank_weights_that_there_cannot_be_are_refused(override: str, words: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        resolve(recipe({1: {}, 2: {}, 3: {}}), 3, ["model.method=merlin", override])
    assert words in str(error.value)


def test_what_zero_3_would_cut_up_is_refused() -> None:
    deepspeed = ["training.engine=deepspeed", "training.zero_stage=3"]
    with pytest.raises(
        ValueError, match=r"cuts up weights that model\.lora is dora reads whole: .*zero_stage=2"
    ):
        resolve(RECIPE, 2, ["model.method=merlin", *deepspeed])
    with pytest.raises(ValueError, match="token_softmax reads whole"):
        resolve(RECIPE, 2, ["model.encoder_states=token_softmax", *deepspeed])
    assert resolve(RECIPE, 1, ["model.method=merlin", *deepspeed]).training.zero_stage == 3
    assert resolve(RECIPE, 2, ["model.method=merlin", "training.engine=deepspeed"]).bridge.lora == "dora"


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["model.method=mindmerger", "model.encoder_states=softmax"], None),
        (["model.method=layalign", "model.encoder_states=token_softmax"], None),
        (["model.method=merlin", "model.encoder_states=token_softmax"], None),
        (["model.method=mindmerger", "model.encoder_states=mean"], "no aligner"),
        (["model.method=llm", "model.encoder_states=softmax"], "nothing of the method reads the encoder"),
        (["model.method=sft", "model.encoder_states=softmax"], "nothing of the method reads the encoder"),
        (["model.encoder_states=softmax", "model.compat=official"], "official code does not have"),
    ],
)
def test_where_a_learned_mean_makes_sense(words: list[str], refusal: str | None) -> None:
    if refusal is None:
        assert resolve(RECIPE, 2, words).bridge.encoder_states in ("softmax", "token_softmax")
        return
    with pytest.raises(ValueError, match=refusal):
        resolve(RECIPE, 2, words)


def test_what_was_trained_in_the_llm_is_not_lost_on_the_way() -> None:
    plain, dora = bridge_of("mindmerger", 2, {}), bridge_of("merlin", 2, {})
    assert start_obstacle(plain, dora) == start_obstacle(dora, dora) == start_obstacle(plain, plain) == ""
    assert "model.lora was 'dora' and is 'none'" in start_obstacle(dora, plain)
    assert "model.lora_rank was 16 and is 8" in start_obstacle(dora, bridge_of("merlin", 2, {"lora_rank": 8}))
    assert start_obstacle(dora, bridge_of("merlin", 2, {"train": "both", "lora_dropout": 0.1})) == ""


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("method", METHODS)
def test_every_shipped_recipe_serves_every_method(path: Path, method: str) -> None:
    told = read_recipe(path)
    configs = [resolve(told, stage, [f"model.method={method}"]) for stage in stages_of(told)]
    assert [config.stage for config in configs] == list(stages_of(told))
    assert configs[-1].bridge.trains == (method != "llm")


def test_merlins_recipe_marks_what_its_paper_does_not_state() -> None:
    path = RECIPES / "merlin.yaml"
    told = read_recipe(path)
    assert [resolve(told, stage).bridge.train for stage in stages_of(told)] == ["bridge"] * 3 + ["lora"]
    assert [resolve(told, stage).bridge.text for stage in stages_of(told)] == [False, False, True, True]
    assert path.read_text().count("# not stated") >= 20
