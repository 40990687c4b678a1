"""What can be told before anything is queued: whether the models of a run are there, whole, and of a checked type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.hub.cache import elsewhere, hub_cache, is_folder, model_folder
from cluster.hub.model_files import model_faults, read_config
from jobs.recipe.prefetch import absent
from layalign.config import RunConfig
from layalign.families import Role, modules_obstacle, quantised_obstacle, type_obstacle
from layalign.mini import is_mini
from layalign.positions import TARGET, Answer, source_obstacle, text_obstacle


def model_obstacles(config: RunConfig, environ: Mapping[str, str], answer: Answer = TARGET) -> list[str]:
    """Why the models and hub data sets of a run could not be used, with the next step for each reason.

    Args:
        config: of the run.
        environ: where the model cache is looked up.
        answer: whether texts are as long as in training or as in an evaluation.
    """
    return [
        *_absent(config, environ),
        *_broken(config),
        *_unchecked(config, environ),
        *_too_long(config, environ, answer),
    ]


def _models(config: RunConfig) -> Iterator[tuple[Role, str, str | None]]:
    """Role, name and revision of both; the miniature's are made by the job itself."""
    model = config.model
    for role, name, revision in (
        ("encoder", model.encoder, model.encoder_revision),
        ("decoder", model.decoder, model.decoder_revision),
    ):
        if not is_mini(name):
            yield role, name, revision  # type: ignore[misc]


def _absent(config: RunConfig, environ: Mapping[str, str]) -> list[str]:
    """What comes from the hub and is not, or not whole, where jobs look for it."""
    found, lines = [], []
    for one, files in absent(config, environ):
        what = f"{one.kind} {one.name} at {one.revision or 'main'}"
        if looks_like_path(one.name):
            found.append(f"{one.kind} {one.name}: there is no such folder")
        elif own := elsewhere(one.kind, one.name, one.revision, environ):
            found.append(
                f"{what} lies in {own}, but jobs look in {hub_cache(environ)}: prefetch it again, or set HF_HOME to "
                f"{own.parent} where jobs can read it"
            )
        else:
            shown = ", ".join(files[:4]) + (f" and {len(files) - 4} more" if len(files) > 4 else "")
            lines.append(f"{what}: {shown}")
    if lines:
        found.append(
            f"not in the cache, and no folder: {'; '.join(lines)}; where there is internet: python launch.py prefetch "
            "with the same --recipe or --grid and -o, or try the miniature, which needs no download: --recipe mini"
        )
    return found


def looks_like_path(name: str) -> bool:
    """Whether a name can only be a folder of this machine, and no `organisation/name` of the hub."""
    return name.startswith(("/", ".", "~")) or name.count("/") > 1


def _broken(config: RunConfig) -> list[str]:
    """Model folders of the user's that cannot be loaded."""
    found = []
    for role, name, _ in _models(config):
        faults = model_faults(Path(name).expanduser()) if is_folder(name) else []
        if faults:
            found.append(
                f"model.{role} {name} cannot be loaded: {'; '.join(faults)}; bring the folder anew, or give the "
                "model's name on the hub and prefetch it"
            )
    return found


def _too_long(config: RunConfig, environ: Mapping[str, str], answer: Answer) -> list[str]:
    """Sources or texts that the models have no positions for, as far as their configs say so."""
    told = {
        role: read_config(model_folder(name, revision, environ)) for role, name, revision in _models(config)
    }
    encoder, decoder = told.get("encoder"), told.get("decoder")
    found = [source_obstacle(config, encoder)] if encoder else []
    if decoder:
        found.append(text_obstacle(config, decoder, answer))
    return [text for text in found if text]


def _unchecked(config: RunConfig, environ: Mapping[str, str]) -> list[str]:
    """Model types on which the product has not been tested, and quantised models."""
    found = []
    for role, name, revision in _models(config):
        told = read_config(model_folder(name, revision, environ))
        model_type = told.get("model_type") if told else None
        if told and model_type and (obstacle := type_obstacle(role, told)):
            found.append(f"{name}: {obstacle}")
        if model_type and role == "decoder" and config.bridge.lora != "none":
            odd = modules_obstacle(model_type, config.bridge.lora_modules)
            found += [f"{name}: {odd}"] if odd else []
        if told and (obstacle := quantised_obstacle(name, told)):
            found.append(obstacle)
    return found
