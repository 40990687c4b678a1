"""Makes a world's folder: tokenizers, data, and the two backbones in two processes at the same time.

world-<fingerprint>/
    encoder/  decoder/           models and tokenizers as `from_pretrained` reads them
    pairs/train.{en,es,...}      stage 1: line n says the same in every language
    math.jsonl                   stage 2: {"query", "response", "lang"}, without English
    data/mini/mini_{en,...}.tsv  benchmark: question TAB answer, the same problems in every language
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import layalign
from layalign.data import sums
from layalign.data.files import writing
from layalign.mini import Report, Settings, folder
from layalign.mini.tokenizers import decoder_tokenizer, encoder_tokenizer
from layalign.mini.world import LANGUAGES, NAMES, Problem, World

BACKBONES = ("decoder", "encoder")
STALE = 24 * 3600
"""Seconds after which what a killed builder left is taken away."""


def build(root: Path, settings: Settings, report: Report) -> Path:
    """The folder of the world, made if it is not there or is damaged: whole or not at all.

    Builders may run at the same time: the first that is done puts its world in place, the others drop theirs.

    Raises:
        RuntimeError: a backbone's process failed; what it said stands on standard error.
        OSError: the folder cannot be written.
    """
    done = folder(root, settings)
    if is_built(root, settings):
        return done
    with _draft(root, done.name) as draft, writing(draft):
        world = World(settings.seed)
        write_data(draft, world, settings)
        decoder_tokenizer(world).save_pretrained(draft / "decoder")
        encoder_tokenizer(world).save_pretrained(draft / "encoder")
        _pretrain(draft, settings, report)
        try:
            sums.seal(draft)
            sums.place(draft, done)
        except OSError:
            if not is_built(root, settings):
                raise
    return done


def is_built(root: Path, settings: Settings) -> bool:
    """Whether the folder of the world is there, and what was built; all of it is read."""
    done = folder(root, settings)
    if told := sums.fault(done):
        print(f"the miniature's world in {done} is damaged ({told}): it is built anew", file=sys.stderr)
    return done.exists() and not told


def write_data(target: Path, world: World, settings: Settings) -> None:
    """Both stages' training data and the benchmark; no problem stands in two of them."""
    draw = random.Random(f"data {settings.seed}")
    problems = world.problems(settings.pairs + settings.tasks + settings.problems, draw)
    pairs = problems[: settings.pairs]
    tasks = problems[settings.pairs : -settings.problems]
    tested = problems[-settings.problems :]
    for language in LANGUAGES:
        _write_lines(target / "pairs" / f"train.{language}", [world.say(p, language) for p in pairs])
        rows = [f"{world.say(p, language)}\t{p.result}" for p in tested]
        _write_lines(target / "data" / "mini" / f"mini_{language}.tsv", rows)
    _write_lines(target / "math.jsonl", [row for code in NAMES for row in _solved(world, tasks, code)])


def _solved(world: World, tasks: list[Problem], language: str) -> Iterator[str]:
    for problem in tasks:
        row = {"query": world.say(problem, language), "response": problem.answer, "lang": NAMES[language]}
        yield json.dumps(row)


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@contextmanager
def _draft(root: Path, name: str) -> Iterator[Path]:
    """A folder beside the final one that is gone afterwards, unless it was renamed."""
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(".world-*"):
        if time.time() - left.stat().st_mtime > STALE:
            shutil.rmtree(left, ignore_errors=True)
    draft = root.resolve() / f".{name}-{uuid.uuid4().hex[:8]}"
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _pretrain(draft: Path, settings: Settings, report: Report) -> None:
    """Both backbones, one process each; whatever ends this function ends them too."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as progress:
        workers = {name: _start(name, draft, settings, writing) for name in BACKBONES}
        os.close(writing)
        try:
            for line in progress:
                report(*json.loads(line))
                _check(workers, (None, 0))
            for worker in workers.values():
                worker.wait()
            _check(workers, (0,))
        finally:
            for worker in workers.values():
                worker.kill()
                worker.wait()


def _start(name: str, draft: Path, settings: Settings, progress: int) -> subprocess.Popen[bytes]:
    """A backbone's process. If ours is killed, its next line finds no reader and it ends too."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "layalign.mini.pretrain",
            name,
            str(draft / name),
            json.dumps(dataclasses.asdict(settings)),
        ],
        stdout=progress,
        stdin=subprocess.DEVNULL,
        cwd=Path(layalign.__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )


def _check(workers: dict[str, subprocess.Popen[bytes]], expected: tuple[int | None, ...]) -> None:
    for name, worker in workers.items():
        if worker.poll() not in expected:
            raise RuntimeError(
                f"pretraining of the miniature's {name} ended with exit code {worker.returncode}"
            )
