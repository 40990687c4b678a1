"""The command that asks a run questions: here, or in a short job that its user waits for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from cluster.hub.cache import model_folder
from cluster.hub.model_files import read_config
from cluster.profile.load import SlurmProfile
from jobs.cli.requests import GenerateRequest
from jobs.recipe.check import model_obstacles
from jobs.recipe.context import profile_of
from jobs.recipe.describe import refused
from jobs.recipe.names import Names
from jobs.recipe.plan import evaluated_config, unusable
from layalign.config import RunConfig
from layalign.data.files import lines
from layalign.languages import language
from layalign.positions import GENERATED

TOLD_LANGUAGE = ("m2m_100",)
"""Encoders whose tokenizers are told which language they read."""


def generate_command(request: GenerateRequest) -> int:
    """Answer questions with a run."""
    profile = profile_of(request.where)
    run = Names(request.where.root()).run(request.run)
    config = evaluated_config(run, request.where.split()[1])
    if request.language:
        language(request.language)  # the run's own are known now
    against = model_obstacles(config, os.environ, GENERATED)
    if config.bridge.trains and (what := unusable(run)):
        against.insert(0, f"run {run.path.name} {what}")
    further = (_language_obstacle(request, config), _file_obstacle(request.file) if request.file else None)
    against += [text for text in further if text]
    if against:
        return refused(against)
    told = {
        "run": str(run.path),
        "config": config.to_dict(),
        "questions": list(request.questions),
        "file": str(request.file) if request.file else None,
        "language": request.language,
        "prompt": request.prompt,
        "talk": not request.questions and not request.file and sys.stdin.isatty(),
        "stream": sys.stdout.isatty(),
        "json": request.json_lines,
    }
    if isinstance(profile, SlurmProfile):
        return _on_a_node(told, profile, request)
    if request.dry_run:
        print(f"{run.path.name} would answer here; nothing stands in the way")
        return 0
    from jobs.work.generate import answer

    answer(told)
    return 0


def _on_a_node(told: dict[str, Any], profile: SlurmProfile, request: GenerateRequest) -> int:
    """Have a job answer, which reads and writes where this process does."""
    from cluster.profile.resources import summary
    from jobs.launch.interactive import least_resources, run_interactively
    from jobs.launch.site_checks import Site

    site = Site.of(profile, request.where.root(), request.dry_run)
    resources = least_resources(site.profile, site.accounts)
    if site.obstacles:
        return refused(list(site.obstacles))
    if request.dry_run:
        print(
            f"srun would be asked for a job that answers; nothing stands in the way\n{summary(resources, site.profile)}"
        )
        return 0
    command = ["python", "-m", "jobs.work.generate", json.dumps(told)]
    return run_interactively(command, resources, site.profile, "generate")


def _file_obstacle(path: Path) -> str | None:
    """Why a file of questions cannot be read, or that it holds none."""
    try:
        found = any(text.strip() for _, text in lines(path))
    except (OSError, ValueError) as error:
        return f"the questions in {path} cannot be read: {error}"
    return None if found else f"{path} holds no question: it must have one a line"


def _language_obstacle(request: GenerateRequest, config: RunConfig) -> str | None:
    """Why the language of the questions must be said, as far as that can be seen without the models."""
    if request.language:
        return None
    model = config.model
    told = read_config(model_folder(model.encoder, model.encoder_revision, os.environ)) or {}
    if config.bridge.reads_encoder and told.get("model_type") in TOLD_LANGUAGE:
        return f"the encoder {model.encoder} reads each language its own way: say which it is, e.g. --language sw"
    return None
