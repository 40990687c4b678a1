"""Pages that a test makes known are forgotten after it."""

from __future__ import annotations

import pytest

from layalign import languages
from layalign.tasks import pages


@pytest.fixture(autouse=True)
def forgotten():
    known = [languages._BY_NAME, pages.PAGES, pages.BROKEN, pages.BENCHMARKS]
    before = [dict(one) for one in known]
    yield
    for one, was in zip(known, before):
        one.clear()
        one.update(was)
