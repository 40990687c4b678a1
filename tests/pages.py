"""Pages that a test makes known are forgotten after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from layalign import languages, training_sets
from layalign.tasks import pages


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    known: list[dict[Any, Any]] = [
        languages._BY_NAME,
        pages.PAGES,
        pages.BROKEN,
        pages.BENCHMARKS,
        pages._PAGE_OF,
    ]
    known.append(training_sets.SETS)
    before = [dict(one) for one in known]
    yield
    for one, was in zip(known, before):
        one.clear()
        one.update(was)
