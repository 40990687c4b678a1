"""Ten times the cells cost at most ten times as much to plan and to look at, in hardly more memory."""

from __future__ import annotations

import pytest

from tests.load import Load, plan

SMALL, LARGE = 204, 2040


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_grid_of_thousands_is_planned_and_shown_in_proportion(world, tmp_path):
    taken = {}
    for cells in (SMALL, LARGE):
        load = Load(tmp_path / str(cells), cells, world)
        found = {"plan": load.ablate("--dry-run")}
        plan(load)
        assert load.finish(0.1) == cells
        found |= {"status": load.run("status"), "missing": load.run("missing", "load")}
        found["grid"] = load.run("status", "--grid", "load")
        assert all(one.status == 0 for one in found.values()), [one.told for one in found.values()]
        assert f"{cells // 10:,}/{cells:,} cells" in found["grid"].told
        taken[cells] = found
    for name, small in taken[SMALL].items():
        large = taken[LARGE][name]
        assert large.cpu_s < 12 * small.cpu_s, name
        assert large.peak_mb < 1.5 * small.peak_mb, name
