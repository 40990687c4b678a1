"""DeepSpeed against one plain process."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from layalign.training.checkpoint import Checkpoints
from layalign.training.distributed import Processes
from layalign.training.engine import LossModule
from layalign.training.engines import engine_for
from tests.layalign.training.test_distributed import alone, every_sample_once, failing_hostname
from tests.layalign.training.toy import Log, Toy, distance, losses, real_model, run_all, toy_config, train

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(not importlib.util.find_spec("deepspeed"), reason="deepspeed is not installed"),
]


def zero(folder: Path, stage: int, **changes: Any) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "engine": "deepspeed",
        "zero_stage": stage,
        "zero3_persistence_threshold": 0,
        **changes,
    }


def same_training(folder: Path, whole: Path, theirs: list[float]) -> None:
    """Losses within 1e-5, moments as close as fp32 allows."""
    assert losses(folder) == pytest.approx(theirs, rel=1e-5)
    a, b = (Checkpoints(path / "checkpoints").newest()[0] for path in (folder, whole))
    assert a.step == b.step == len(theirs)
    assert distance(a.weights, b.weights) < 1e-4
    assert distance(a.moments.exp_avg, b.moments.exp_avg) < 1e-5
    assert distance(a.moments.exp_avg_sq, b.moments.exp_avg_sq) < 1e-6


def test_zero_2_stopped_goes_on_in_ddp_and_equals_one_process(tmp_path):
    folder = tmp_path / "zero"
    extensions = tmp_path / "extensions"
    environ = {**failing_hostname(tmp_path), "TORCH_EXTENSIONS_DIR": str(extensions)}
    run_all(2, [zero(folder, 2, stop=7), {"folder": str(folder)}], environ)
    assert not (tmp_path / "called").exists()
    assert not extensions.exists(), "no operator was compiled"
    same_training(folder, tmp_path / "whole", alone(tmp_path / "whole"))
    every_sample_once(folder)


@pytest.mark.slow
def test_every_stage_equals_one_process(tmp_path):
    theirs = alone(tmp_path / "whole")
    run_all(2, [zero(tmp_path / str(stage), stage) for stage in range(4)])
    for stage in range(4):
        same_training(tmp_path / str(stage), tmp_path / "whole", theirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "zeros"), [("layalign", (0, 1, 2, 3)), ("merlin", (0, 1, 2)), ("sft", (2,))]
)
def test_the_true_model_trains_the_same_everywhere(tmp_path, method, zeros):
    """With all recomputation; and without, on one process. ZeRO-3 is refused with LoRA."""
    changes = {"gradient_checkpointing": True, "max_steps": 8}
    theirs = alone(tmp_path / "whole", model=real_model(method), recompute_cross=False, max_steps=8)
    again = alone(tmp_path / "again", model=real_model(method), **changes)
    assert again == pytest.approx(theirs, rel=1e-6)
    ddp = {"folder": str(tmp_path / "ddp"), **changes, "real": method}
    stages = [zero(tmp_path / str(stage), stage, **changes, real=method) for stage in zeros]
    run_all(2, [ddp, *stages])
    for name in ("ddp", *map(str, zeros)):
        same_training(tmp_path / name, tmp_path / "whole", theirs)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_bf16_backbones_keep_an_fp32_bridge(tmp_path, stage):
    """One process: the very same bits. ZeRO-3 puts its own rounding into `linear`."""
    alone(tmp_path / "whole", precision="bf16")
    run_all(1, [zero(tmp_path / "zero", stage, precision="bf16")])
    a, b = (Checkpoints(tmp_path / name / "checkpoints").newest()[0] for name in ("zero", "whole"))
    assert distance(a.weights, b.weights) < 1e-6


@pytest.mark.slow
def test_checkpoints_load_in_each_other_and_on_one_two_and_three_processes(tmp_path):
    folder = tmp_path / "parts"
    run_all(2, [zero(folder, 3, stop=2), zero(folder, 1, stop=4), {"folder": str(folder), "stop": 6}])
    run_all(3, [zero(folder, 3, stop=8), {"folder": str(folder), "stop": 9}, zero(folder, 0, stop=11)])
    run_all(1, [zero(folder, 2, stop=12), {"folder": str(folder), "stop": 13}, zero(folder, 3, stop=15)])
    run_all(3, [zero(folder, 2, stop=16), zero(folder, 1)])
    assert json.loads((folder / "result-0.json").read_text())["finished"]
    same_training(folder, tmp_path / "whole", alone(tmp_path / "whole"))
    every_sample_once(folder)


@pytest.mark.slow
def test_loses_no_bit_between_loading_and_saving(tmp_path):
    """A stage that only evaluates and saves what it loaded."""
    train(tmp_path / "whole" / "checkpoints", max_steps=5, log=(log := Log(stop=5)))
    assert log.steps[-1]["step"] == 5
    before = Checkpoints(tmp_path / "whole" / "checkpoints").newest()[0]
    for stage in range(4):
        folder = tmp_path / str(stage)
        (folder / "checkpoints").mkdir(parents=True)
        saved = Checkpoints(folder / "checkpoints")
        saved.save(type(before)(**{**vars(before), "evaluated": 0, "best": None}), best=False)
    run_all(2, [zero(tmp_path / str(stage), stage, max_steps=5) for stage in range(4)])
    for stage in range(4):
        after = Checkpoints(tmp_path / str(stage) / "checkpoints").newest()[0]
        assert after.evaluated == 5
        assert distance(before.weights, after.weights) == 0
        assert distance(before.moments.exp_avg, after.moments.exp_avg) == 0
        assert distance(before.moments.exp_avg_sq, after.moments.exp_avg_sq) == 0


def test_fp64_is_refused():
    model = Toy("fp64")
    with pytest.raises(ValueError, match="deepspeed, which has no fp64: choose ddp"):
        engine_for(LossModule(model, 9), model.trainable(), toy_config(engine="deepspeed"), Processes(), None)
