"""`make demo`, whole: it learns, draws, and does it without DeepSpeed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from matplotlib.image import imread

from jobs.cli.demo import means
from layalign.evaluation.table import Score, Summary
from tests.world import ROOT

CODE = "import sys, launch; status = launch.main(sys.argv[1:]); assert 'deepspeed' not in sys.modules; sys.exit(status)"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_learns_what_the_llm_alone_cannot(tmp_path):
    words = ["demo", "--runs", str(tmp_path / "runs")]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0
    out = tmp_path / "runs" / "demo"
    cells = json.loads((out / "table-seed0.json").read_text())["cells"]
    low = {c["method"]: c["accuracy"] for c in cells if (c["rule"], c["column"]) == ("strict", "Lrl")}
    high = {c["method"]: c["accuracy"] for c in cells if (c["rule"], c["column"]) == ("strict", "Hrl")}
    for method in ("mindmerger", "layalign"):
        assert low[method] > low["llm"] + 20
        assert high[method] > 90
    for name in ("accuracy", "loss", "bridge"):
        assert imread(out / f"{name}.png").std() > 0.01


def test_several_seeds_are_means_with_paired_differences():
    def summary(right: int) -> Summary:
        return Summary(
            "mini", {code: Score(right, right, 100) for code in ("bn", "th", "sw", "de", "es", "en")}
        )

    seeds = [
        {m: summary(base + seed) for m, base in (("mindmerger", 50), ("layalign", 55))} for seed in (0, 1, 2)
    ]
    text = means(seeds)
    assert text.startswith("| 3 seeds, strict, % | Avg | Lrl | Hrl |\n| --- | ---: | ---: | ---: |\n")
    assert "| mindmerger | 51.0 ± 1.0 [48.5, 53.5]" in text
    assert "| layalign - mindmerger | 5.0 ± 0.0 [5.0, 5.0]" in text


def test_an_average_that_lacks_an_item_of_a_seed_is_none():
    def summary(missing: int) -> Summary:
        codes = ("bn", "th", "sw", "de", "es", "en")
        return Summary("mini", {code: Score(50, 50, 100, missing) for code in codes})

    seeds = [{"mindmerger": summary(0), "layalign": summary(seed)} for seed in (0, 1)]
    text = means(seeds)
    assert "| mindmerger | 50.0 ± 0.0 [50.0, 50.0]" in text
    assert "| layalign | – | – | – |" in text
    assert "| layalign - mindmerger | – | – | – |" in text
