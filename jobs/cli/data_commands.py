"""`data`: what data there is, what is in it, and whether a training may read it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from cluster.errors import FAILED, ClusterError
from cluster.hub.cache import hub_cache
from cluster.hub.fetch import fetch
from cluster.profile.load import Profile, SlurmProfile
from cluster.site.environment import ROOT
from cluster.slurm import client
from jobs.cli.documents import DataDocument
from jobs.cli.json_output import print_json
from jobs.cli.requests import DataRequest
from jobs.data.check import check_benchmark, check_training
from jobs.data.models import can_measure, models_of
from jobs.data.pages import (
    broken_pages,
    data_of,
    download_of,
    every_page,
    find_page,
    shown_page,
    training_data,
    within_reach,
)
from jobs.data.report import DataReport, PageEntry
from jobs.data.show import show_page, show_pages, show_report
from jobs.recipe.checked import keep_checked
from jobs.recipe.context import How, context_of, profile_of
from jobs.recipe.describe import refused
from jobs.recipe.plan import load_recipe
from jobs.recipe.prefetch import pins, srun_words
from layalign.config import RunConfig
from layalign.recipe import resolve, stages_of
from layalign.tasks.pages import BENCHMARKS
from layalign.training_sets import SETS


def data_command(request: DataRequest) -> int:
    """List, show, check or fetch."""
    actions = {"list": _list, "show": _show, "check": _check, "fetch": _fetch, "translate": _translate}
    return actions[request.action](request)


def _list(request: DataRequest) -> int:
    entries = tuple(every_page())
    if request.json:
        _print(pages=entries)
    else:
        show_pages(entries, broken_pages())
    return 0


def _show(request: DataRequest) -> int:
    assert request.name
    profile_of(request.where)
    entry = shown_page(find_page(request.name), request.where.data_folder(), os.environ)
    if request.json:
        _print(pages=(entry,))
    else:
        show_page(entry)
    return 0


def _fetch(request: DataRequest) -> int:
    assert request.name
    profile_of(request.where)
    download = download_of(find_page(request.name))
    print(f"cache: {hub_cache(os.environ)}")
    fetch([download], dict(os.environ), request.update, print)
    return 0


def _translate(request: DataRequest) -> int:
    """Questions of a page into other languages, by jobs of their own."""
    from jobs.launch.translate import Translation, translate

    asked, page = request.translation, find_page(request.name or "")
    if page.name not in SETS:
        raise ClusterError(f"{page.name} is no training set: only the questions of one are translated")
    assert asked.out
    chosen = {"model": asked.model, "limit": asked.limit, "beams": asked.beams, "slots": asked.slots}
    told = {key: value for key, value in chosen.items() if value is not None}
    wish = Translation(page=page.name, to=asked.to, out=asked.out, **told)  # type: ignore[arg-type]
    how = How(dry_run=asked.dry_run, yes=asked.yes)
    return translate(wish, context_of(request.where, how), how)


def _check(request: DataRequest) -> int:
    """Read all rows, here, or on a compute node where tokens are counted and this Python cannot."""
    profile = profile_of(request.where)
    if request.recipe and not can_measure():
        return _check_in_job(request, profile)
    reports = tuple(_reports(request))
    if request.json:
        _print(checks=reports)
    else:
        for report in reports:
            show_report(report, Console(highlight=False))
    status = refused(text for report in reports for text in report.obstacles)
    return status or (0 if all(report.sound for report in reports) else FAILED)


def _check_in_job(request: DataRequest, profile: Profile) -> int:
    """The same command on a compute node, whose Python has transformers."""
    if not isinstance(profile, SlurmProfile):
        raise ClusterError(
            f"lengths in tokens need transformers, which {sys.executable} lacks: leave --recipe out, or name a "
            "cluster by --cluster, on whose compute nodes it is"
        )
    command = _words(request)
    if not request.json:
        print(f"on a compute node, which has transformers: {shlex.join(command)}", flush=True)
    words = srun_words(command, profile, os.environ, "layalign-data")
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return client.show("srun", *words, environ=offline, cwd=ROOT)


def _words(request: DataRequest) -> list[str]:
    """The command as it may be given anywhere, for this machine's own processes."""
    recipe, folder, pages = request.recipe or "", request.where.data_folder(), request.where.task_pages
    is_path = recipe.endswith((".yaml", ".yml")) or "/" in recipe
    words = ["python", "launch.py", "data", "check", *([request.name] if request.name else [])]
    for option, value in (
        ("--cluster", "local"),
        ("--recipe", str(Path(recipe).expanduser().absolute()) if is_path else recipe),
        ("--stage", request.stage),
        ("--data", str(folder) if folder else None),
        ("--task-pages", str(Path(pages).expanduser().absolute()) if pages else None),
        ("--against", ",".join(request.against) if request.against is not None else None),
    ):
        words += [option, str(value)] if value is not None else []
    for override in request.where.split()[1]:
        words += ["-o", override]
    return [*words, *(["--json"] if request.json else [])]


def _reports(request: DataRequest) -> Iterator[DataReport]:
    """A page, or what the stages of a recipe read."""
    against = request.against if request.against is not None else _every_benchmark()
    page, folder = find_page(request.name) if request.name else None, request.where.data_folder()
    if page and page.name not in (*BENCHMARKS, *SETS):
        raise ClusterError(f"{page.name} is a page of languages, which has no rows")
    if not request.recipe:
        assert page
        if page.name in BENCHMARKS:
            yield check_benchmark(page.name, folder)
        else:
            yield _of_set(page.name, folder, against)
        return
    recipe, (_, overrides) = load_recipe(request.recipe), request.where.split()
    named = [f"data.set={page.name}"] if page and page.name in SETS else []
    pinned = pins(recipe, [*overrides, *named], os.environ)
    for stage in request.stages(stages_of(recipe)):
        config = resolve(recipe, stage, [*overrides, *named, *pinned])
        if page and page.name in BENCHMARKS:
            yield check_benchmark(page.name, folder, config.reads, models_of(config))
            return
        yield from _of_stage(page.name if page else None, config, folder, against)


def _every_benchmark() -> tuple[str, ...]:
    """All that ask something else: those that differ from another by their prompt alone do not."""
    return tuple(name for name, known in BENCHMARKS.items() if name == known.page)


def _of_set(name: str, folder: Path | None, against: Sequence[str]) -> DataReport:
    return check_training(name, training_data(name), folder, text=True, against=against, page=SETS[name])


def _of_stage(
    name: str | None, config: RunConfig, folder: Path | None, against: Sequence[str]
) -> Iterator[DataReport]:
    """What a stage reads, or a set in its place, in tokens of its models; and what it replays."""
    models, folder = models_of(config), data_of(config, folder)
    called = name or f"{config.name}, stage {config.stage}"
    for data, told in zip(config.reads.every, (called, f"{called}: replay")):
        report = check_training(
            told,
            within_reach(data, config.seed),
            folder,
            text=config.bridge.text,
            models=models,
            against=against,
            page=SETS.get(told),
        )
        if told == called and report.files and not report.obstacles:
            keep_checked(config, report.checked())
        yield report


def _print(pages: tuple[PageEntry, ...] = (), checks: tuple[DataReport, ...] = ()) -> None:
    print_json(DataDocument(pages=pages, broken=broken_pages(), checks=checks))
