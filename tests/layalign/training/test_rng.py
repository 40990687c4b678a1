from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from layalign.training.rng import rng_state, set_rng_state

pytestmark = pytest.mark.core


def test_random_numbers_go_on_where_they_were():
    def draw() -> tuple:
        return random.random(), np.random.normal(), np.random.normal(), torch.rand(2).tolist()

    random.gauss(0, 1)
    np.random.normal()
    before = rng_state()
    first = draw()
    set_rng_state(before)
    assert draw() == first
