from __future__ import annotations

import pytest
import torch
from transformers.optimization import get_cosine_schedule_with_warmup

from layalign.training.schedule import lr_at

pytestmark = pytest.mark.core


def test_is_the_official_cosine_at_every_step():
    optimizer = torch.optim.AdamW([torch.zeros(1)], lr=3e-5)
    theirs = get_cosine_schedule_with_warmup(optimizer, int(70 * 0.05), 70)
    for step in range(70):
        assert lr_at(step, 70, 0.05, 3e-5, "cosine") == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_constant_stays_at_the_base_after_the_warm_up():
    rates = [lr_at(step, 20, 0.2, 1.0, "constant") for step in range(20)]
    assert rates == [0, 0.25, 0.5, 0.75] + [1.0] * 16


def test_one_step_without_warm_up_has_the_base_rate():
    assert lr_at(0, 1, 0.05, 2.0, "cosine") == 2.0
