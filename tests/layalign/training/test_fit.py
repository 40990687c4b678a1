from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from layalign.data.batching import BatchPlan
from layalign.training.checkpoint import Checkpoints
from layalign.training.distributed import Processes
from layalign.training.engine import LossModule
from layalign.training.engines import engine_for
from layalign.training.fit import TrainingDiverged
from layalign.training.schedule import lr_at
from tests.layalign.training.toy import WORDS, Log, Toy, distance, toy_config, toy_data, train, weights

pytestmark = pytest.mark.core


def reference(steps: int, gate_scale: float = 1.0) -> dict[str, torch.Tensor]:
    """The training written anew: whole batches, mean over their answer tokens, AdamW, clip, cosine."""
    model, data, config = Toy("fp64"), toy_data(), toy_config()
    trained = model.trainable()
    gates = [p for name, p in trained.items() if name.startswith("gates")]
    rest = [p for name, p in trained.items() if not name.startswith("gates")]
    optimizer = torch.optim.AdamW(
        [{"params": rest}, {"params": gates}], betas=(0.8, 0.999), eps=1e-8, weight_decay=3e-7
    )
    plan = BatchPlan(data.lengths[data.train], 8, 0, 2)
    for step in range(steps):
        rows = data.train[plan.batch(*divmod(step, plan.steps_per_epoch))]
        loss, tokens = model.loss(data.batch(rows), 100)
        (loss / tokens).backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        for group, scale in zip(optimizer.param_groups, (1.0, gate_scale)):
            group["lr"] = scale * lr_at(step, steps, config.warmup, config.lr, "cosine")
        optimizer.step()
        optimizer.zero_grad()
    return {name: p.detach() for name, p in trained.items()}


@pytest.mark.parametrize("gate_scale", [1.0, 10.0])
def test_equals_a_plain_training_on_whole_batches(tmp_path, gate_scale):
    result = train(tmp_path, precision="fp64", epochs=2, gate_lr_scale=gate_scale)
    assert (result.finished, result.step) == (True, 12)
    assert distance(weights(tmp_path), reference(12, gate_scale)) < 1e-12


@pytest.mark.parametrize(
    "cut", [{"micro_batch": 1}, {"micro_batch": 8}, {"micro_batch": 8, "micro_tokens": 30}]
)
def test_micro_batches_change_nothing(tmp_path, cut):
    train(tmp_path / "a", precision="fp64", max_steps=9)
    train(tmp_path / "b", precision="fp64", max_steps=9, **cut)
    assert distance(weights(tmp_path / "a"), weights(tmp_path / "b")) < 1e-12


def test_the_loss_falls_and_frozen_weights_stay(tmp_path):
    model, log = Toy(), Log()
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    train(tmp_path, model=model, log=log, epochs=25)
    losses = [record["loss"] for record in log.steps]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)


def test_records_say_what_was_done(tmp_path):
    log, data = Log(), toy_data()
    train(tmp_path, log=log, data=data, epochs=2)
    assert [r["step"] for r in log.steps] == list(range(1, 13))
    assert [r["epoch"] for r in log.steps] == [0] * 6 + [1] * 6
    for epoch in (log.steps[:6], log.steps[6:]):
        assert sum(r["tokens"] for r in epoch) == data.answers[data.train].sum()
        assert sum(r["input_tokens"] for r in epoch) == data.lengths[data.train].sum()
        assert len({r["digest"] for r in epoch}) == 6
    assert all(r["padded_tokens"] >= r["input_tokens"] for r in log.steps)
    assert log.steps[-1]["eta_s"] == 0
    assert [r["step"] for r in log.devs] == [5, 10, 12]
    assert [facts["step"] for kind, facts in log.events if kind == "saved"][-1] == 12


def test_the_dev_loss_is_weighted_by_tokens_and_the_best_is_kept(tmp_path):
    log, data = Log(), toy_data()
    result = train(tmp_path, log=log, data=data, precision="fp64", epochs=4)
    best = Checkpoints(tmp_path).best()
    assert best.step == result.best.step == min(log.devs, key=lambda r: r["dev_loss"])["step"]
    model = Toy("fp64")
    model.load_state_dict(best.weights, strict=False)
    per_row = [model.loss(data.batch(np.array([row])), 9) for row in data.dev]
    loss = sum(loss.item() for loss, _ in per_row) / sum(tokens for _, tokens in per_row)
    record = next(r for r in log.devs if r["step"] == best.step)
    assert record["dev_loss"] == pytest.approx(loss, rel=1e-12)
    assert record["dev_ppl"] == pytest.approx(math.exp(loss))
    assert record["best"]


def test_without_a_dev_set_the_last_is_all_there_is(tmp_path):
    result = train(tmp_path, data=toy_data(dev=0), max_steps=3)
    assert result.best is None
    assert Checkpoints(tmp_path).newest()[0].step == 3


def test_no_steps_leave_the_model_and_the_folder_as_they_were(tmp_path):
    model, log = Toy(), Log()
    before = {name: p.clone() for name, p in model.named_parameters()}
    result = train(tmp_path, model=model, max_steps=0, log=log)
    assert (result.finished, result.step, result.total, result.best) == (True, 0, 0, None)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert Checkpoints(tmp_path).steps() == log.steps == log.devs == []


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, dropout):
    whole = Log()
    train(tmp_path / "whole", dropout=dropout, log=whole)
    parts = []
    for stop in (1, 5, 6, 11, None):
        log = Log(stop=stop)
        result = train(tmp_path / "parts", dropout=dropout, log=log)
        assert result.finished == (stop is None)
        assert result.reason == (None if stop is None else "asked in a test")
        parts += log.steps
    assert [(r["step"], r["digest"], r["loss"]) for r in parts] == [
        (r["step"], r["digest"], r["loss"]) for r in whole.steps
    ]
    assert distance(weights(tmp_path / "whole"), weights(tmp_path / "parts")) == 0
    a, b = (Checkpoints(tmp_path / name).newest()[0] for name in ("whole", "parts"))
    assert distance(a.moments.exp_avg, b.moments.exp_avg) == 0
    assert distance(a.moments.exp_avg_sq, b.moments.exp_avg_sq) == 0
    assert (a.rng, a.best, a.plan) == (b.rng, b.best, b.plan)


def test_a_finished_run_does_nothing_more(tmp_path):
    first = train(tmp_path, max_steps=4)
    log = Log()
    assert train(tmp_path, max_steps=4, log=log) == first
    assert [kind for kind, _ in log.events] == ["resumed"]


def test_a_stop_before_the_first_step_leaves_nothing(tmp_path):
    log = Log()
    log.asked = "too early"
    assert not train(tmp_path, log=log).finished
    assert Checkpoints(tmp_path).steps() == []


class StopInDev(Log):
    """Asks to stop in the evaluation after step 5."""

    def poll(self):
        self.late = getattr(self, "late", 0) + (len(self.steps) == 5)
        return "in the evaluation" if self.late == 3 else super().poll()


def test_an_evaluation_is_abandoned_on_a_stop_and_done_again(tmp_path):
    train(tmp_path / "whole", log=(whole := Log()))
    first, second = StopInDev(), Log()
    assert train(tmp_path / "parts", log=first).reason == "in the evaluation"
    assert first.devs == []
    assert [kind for kind, _ in first.events][-3:] == ["dev_abandoned", "saved", "stopping"]
    train(tmp_path / "parts", log=second)
    assert second.devs == whole.devs
    assert distance(weights(tmp_path / "whole"), weights(tmp_path / "parts")) == 0


def test_a_damaged_checkpoint_costs_only_the_steps_since_the_one_before(tmp_path):
    train(tmp_path / "whole", log=(whole := Log()))
    train(tmp_path / "parts", log=Log(stop=14))
    (tmp_path / "parts" / "step-00000014" / "optimizer.safetensors").write_bytes(b"cut")
    train(tmp_path / "parts", log=(log := Log()))
    assert [kind for kind, _ in log.events][:2] == ["passed_over", "resumed"]
    assert "step-00000014" in log.events[0][1]["fault"]
    assert [r["digest"] for r in log.steps] == [r["digest"] for r in whole.steps[12:]]
    assert distance(weights(tmp_path / "whole"), weights(tmp_path / "parts")) == 0


def test_a_loss_that_is_no_number_names_step_and_rows_and_saves_nothing(tmp_path):
    row = int(BatchPlan(toy_data().lengths[:41], 8, 0, 2).batch(0, 4)[3])  # of a window with one batch
    data = toy_data(poisoned=(row,))
    with pytest.raises(TrainingDiverged, match=r"loss is nan in step 5, rows \[.*lower training.lr") as error:
        train(tmp_path, data=data, model=Toy(poison=WORDS - 1), log=(log := Log()))
    assert row in error.value.rows
    assert len(error.value.rows) <= 3
    assert error.value.step == len(log.steps) + 1 == 5
    assert Checkpoints(tmp_path).newest()[0].step == 4


def test_another_order_of_samples_is_refused(tmp_path):
    train(tmp_path, max_steps=4)
    with pytest.raises(ValueError, match=r"of a training with seed 0, this one has 1"):
        train(tmp_path, max_steps=4, seed=1)
    with pytest.raises(ValueError, match=r"of a training with batch_size 8, this one has 4"):
        train(tmp_path, max_steps=4, batch_size=4)
    with pytest.raises(ValueError, match=r"of a training with data"):
        train(tmp_path, max_steps=4, data=toy_data(poisoned=(1,)))


def test_another_model_is_refused(tmp_path):
    train(tmp_path, max_steps=4)
    other = Toy()
    other.adapter[0].bias = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match=r"of another model: adapter.0.bias"):
        train(tmp_path, max_steps=4, model=other)


def test_one_engine_for_several_processes_is_refused():
    model, config = Toy(), toy_config(engine="single")
    with pytest.raises(ValueError, match=r"training.engine is single but there are 2 processes"):
        engine_for(LossModule(model, 9), model.trainable(), config, Processes(world=2), None)
