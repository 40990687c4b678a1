"""A grid of results that nobody computed, in real folders: for tests, and for the picture of the report in docs.

python -m tests.jobs.synthetic_results FOLDER    makes the ablations of the paper's Table 15, 7 variants x 2 seeds
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.files import write_json_atomic
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from jobs.cell.asked import TEXTS, Asked, AskedItem
from jobs.cell.cell import Cell, Worklist
from jobs.recipe.plan import load_recipe, plan_run
from jobs.results.paper import paper_row
from layalign.evaluation.benchmarks import find_benchmark

VARIANTS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "LayAlign": ([], ("1", "2")),
    "w/o Adapter": (["model.adapter=false"], ("1", "2")),
    "w/o LLM Input": (["stages.2.model.text=false"], ("1", "2")),
    "w/o Layer-Wise Aligner": (["model.aligner=none"], ("1", "2")),
    "w/o Translation Stage": (["stages.2.training.init=none"], ("2",)),
    "w/o Task Stage": ([], ("1",)),
    "MetaMath": (["model.method=llm"], ()),
}
"""Overrides and trained stages of each row of Table 15."""
WORDS = {
    "bn": "প্রশ্ন অনুযায়ী হিসাব করি",
    "th": "คำนวณทีละขั้นตอน",
    "sw": "Tunahesabu hatua kwa hatua",
    "ja": "順番に計算します",
    "zh": "我们一步一步计算",
    "de": "Wir rechnen Schritt für Schritt",
    "fr": "Calculons étape par étape",
    "ru": "Считаем шаг за шагом",
    "es": "Calculamos paso a paso",
    "en": "We compute step by step",
}
PLACE = {"table": "table15", "section": "MGSM", "rows": {name: name for name in VARIANTS}}
TREE = {
    "commit": "0123456789abcdef",
    "dirty": False,
    "tree": "aaaa1111bbbb2222",
    "packages": {"torch": "2.9.1"},
}


def answers(
    benchmark: str,
    language: str,
    right: Sequence[bool],
    official: Sequence[bool] | None = None,
    tokens: int = 512,
    salt: str = "",
) -> list[dict[str, Any]]:
    """Records as a cell keeps them, right or wrong as told."""
    records = []
    for number, good in enumerate(right):
        gold = float(number % 90 + 7)
        said = gold if good else gold + random.Random(f"{salt} {language} {number}").choice((-3, 2, 5, 10))
        parts = [f"{said - 4:g} + 3 = {said - 1:g}", f"{said - 1:g} + 1 = {said:g}"]
        output = "\n".join(f"{WORDS.get(language, language)}: {part}." for part in parts) + f"\n#### {said:g}"
        records.append(
            {
                "id": f"{benchmark}-{language}-{number + 1:04d}",
                "language": language,
                "gold": gold,
                "output": output,
                "strict": said,
                "strict_correct": good,
                "official": said,
                "official_correct": (official or right)[number],
                "tokens": len(output) // 3,
                "truncated": False,
                "max_new_tokens": tokens,
            }
        )
    return records


def write_cell(
    cell: Cell, records: Sequence[Mapping[str, Any]], tree: Mapping[str, Any] = TREE, asked: bool = False
) -> None:
    """The files of a cell; `DONE` only if it has all of its answers; what it asked, if that is to be known."""
    folder = cell.folder
    folder.path.mkdir(parents=True)
    lines = [json.dumps(record) + "\n" for record in records]
    (folder.path / "answers.jsonl").write_text("".join(lines))
    start = {"time": "2026-11-20T10:00:00.000+00:00", **tree, "device": "cuda:0", "host": "ng10101"}
    folder.starts.write_text(json.dumps(start) + "\n")
    if asked:
        ask(cell)
    if len(records) >= cell.items:
        told = {"time": "2026-11-20T11:00:00.000+00:00", "items": cell.items, "seconds": 300.0}
        write_json_atomic(folder.done, {**told, "max_new_tokens": cell.max_new_tokens})


def ask(cell: Cell) -> None:
    """Keep what a cell asked."""
    every = [
        (f"{cell.benchmark}-{cell.language}-{number + 1:04d}", float(number % 90 + 7))
        for number in range(250)
    ]
    question = {id_: hashlib.sha256(id_.encode()).hexdigest()[:12] for id_, _ in every}
    items = tuple(AskedItem(id_, question[id_], gold) for id_, gold in every)
    texts = {
        id_: f"{WORDS.get(cell.language, cell.language)} ({id_}): {gold - 3:g} + 3 = ?" for id_, gold in every
    }
    Asked("mgsm.tsv", "c" * 12, 250, items, dict(list(texts.items())[:TEXTS])).write(cell.folder)


def write_training(
    run: RunFolder, steps: int, seed: int, floor: float, tree: Mapping[str, Any] = TREE
) -> None:
    """Start, losses and end of a training."""
    drawn = random.Random(f"{run.path.name} {seed}")
    start = {"time": f"2026-11-1{run.stage}T08:00:00.000+00:00", **tree, "kind": "train", "device": "cuda:0"}
    run.starts.write_text(json.dumps(start) + "\n")
    records = []
    for step in range(1, steps + 1):
        loss = floor + 2.2 * math.exp(-6 * step / steps) + drawn.gauss(0, 0.05)
        records.append(
            {"step": step, "total": steps, "loss": round(loss, 4), "lr": 3e-5, "tokens_per_s": 9000.0}
        )
        if step % max(1, steps // 12) == 0:
            dev = floor + 0.06 + 2.2 * math.exp(-6 * step / steps)
            records.append({"step": step, "dev_loss": round(dev, 4), "dev_ppl": math.exp(dev), "best": True})
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    write_json_atomic(run.done, {"time": "2026-11-19T08:00:00.000+00:00", "step": steps})


def make_grid(
    root: Path,
    name: str = "ablations",
    variants: Sequence[str] = tuple(VARIANTS),
    seeds: Sequence[int] = (0, 1),
    languages: Sequence[str] | None = None,
    items: int = 250,
    steps: int = 900,
    missing: Mapping[tuple[str, int, str], int] | None = None,
    trees: Mapping[tuple[str, int], Mapping[str, Any]] | None = None,
    asked: bool = False,
) -> GridFolder:
    """A grid on MGSM whose accuracies are near the paper's.

    Args:
        root: folder of all runs.
        name: of the grid.
        variants: rows of Table 15.
        seeds: of every variant.
        languages: codes; None is all.
        items: of each language.
        steps: of each training.
        missing: items that are there, by variant, seed and language; -1 is a cell that was never begun.
        trees: code of some (variant, seed).
        asked: whether cells keep what they asked.
    """
    recipe, points, cells = load_recipe("math"), [], []
    for label in variants:
        overrides, stages = VARIANTS[label]
        for seed in seeds:
            told = [*overrides, f"seed={seed}", "evaluation.benchmarks=[mgsm]"]
            plans = {stage: plan_run(recipe, int(stage), told, root) for stage in stages or ("2",)}
            tree = (trees or {}).get((label, seed), TREE)
            for stage, plan in plans.items():
                if not plan.run.config.exists():
                    plan.run.create(plan.config.to_dict())
                    if stage in stages:
                        floor = (0.9 if stage == "1" else 0.25) + 0.06 * list(variants).index(label)
                        write_training(plan.run, steps, seed, floor, tree)
            evaluated = plans[max(plans)].run
            runs = {stage: str(plans[stage].run.path) for stage in stages}
            points.append({"label": label, "seed": seed, "overrides": told, "runs": runs})
            points[-1]["evaluated"] = str(evaluated.path)
            cells += [Cell(job="train", run=path) for path in runs.values()]
            for code in languages or find_benchmark("mgsm").languages:
                cell = Cell(
                    job="evaluate",
                    run=str(evaluated.path),
                    benchmark="mgsm",
                    language=code,
                    items=items,
                    max_new_tokens=512,
                )
                cells.append(cell)
                there = (missing or {}).get((label, seed, code), items)
                if there >= 0:
                    write_cell(
                        cell,
                        answers("mgsm", code, _right(label, seed, code, items), salt=label)[:there],
                        tree,
                        asked,
                    )
    grid = GridFolder(root, name)
    grid.create()
    path = grid.write_list(Worklist(cells=tuple(dict.fromkeys(cells))).to_dict())
    wanted = {
        "name": name,
        "title": "made-up numbers",
        "recipe": "math",
        "points": points,
        "benchmarks": ["mgsm"],
        "languages": languages,
    }
    write_json_atomic(grid.wanted, {**wanted, "paper": {"mgsm": PLACE}, "list": path.name})
    return grid


def _right(label: str, seed: int, code: str, items: int) -> list[bool]:
    """Which problems are solved: as many as the paper says, give or take some; mostly the easier ones."""
    percent = paper_row("table15", "MGSM", label)[code.capitalize()]
    drawn, easy = random.Random(f"{label} {seed} {code}"), random.Random("problems")
    scores = [easy.random() + drawn.gauss(0, 0.25) for _ in range(items)]
    count = round(items * min(100.0, max(0.0, percent + drawn.gauss(0, 1.2))) / 100)
    best = set(sorted(range(items), key=scores.__getitem__)[:count])
    return [number in best for number in range(items)]


if __name__ == "__main__":
    holes = {
        ("w/o Task Stage", 1, "ru"): 96,
        ("w/o Task Stage", 1, "en"): -1,
        ("w/o Task Stage", 1, "es"): -1,
    }
    print(make_grid(Path(sys.argv[1]).absolute(), missing=holes, asked=True).path)
