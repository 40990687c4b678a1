"""What a recipe needs from the hub, brought into the cache on a login node and pinned to commits.

Encoders are converted (`layalign.model.convert`) in a process of their own.
"""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.errors import ClusterError
from cluster.hub.cache import COMMIT, is_folder, missing_files, read_pin
from cluster.hub.fetch import Download, fetch
from cluster.profile.load import Profile, SlurmProfile
from cluster.profile.rules import find_memory
from cluster.site.environment import ROOT, in_environment
from cluster.slurm import client
from layalign.config import RunConfig
from layalign.mini import is_mini
from layalign.recipe import resolve, stages_of

CONVERT_MIN = 60
"""Minutes of the job that converts: reading 15 GB from shared storage is most of them."""
CONVERT_MB = 32_000


def wanted(config: RunConfig) -> list[Download]:
    """Models and data sets of the hub that a run reads; folders and the miniature are none."""
    model, data = config.model, config.data
    models = [(model.encoder, model.encoder_revision), (model.decoder, model.decoder_revision)]
    found = [Download("model", *one) for one in models if not is_mini(one[0]) and not is_folder(one[0])]
    sets = [one for one in data.every if one.reader == "hub" and not is_mini(one.path)]
    return found + [Download("dataset", one.path, one.revision) for one in sets]


def absent(config: RunConfig, environ: Mapping[str, str]) -> list[tuple[Download, list[str]]]:
    """What is not in the cache: each model and data set, with its missing or broken files."""
    looked_at = [(one, missing_files(one.kind, one.name, one.revision, environ)) for one in wanted(config)]
    return [(one, files) for one, files in looked_at if files]


def pins(recipe: Mapping[str, Any], overrides: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Overrides that name the commits which `prefetch` brought, so that a run says what it was made of.

    Raises:
        ValueError: the recipe or an override is wrong.
    """
    found = []
    for stage in stages_of(recipe):
        config = resolve(recipe, stage, overrides)
        fields = {
            "model.encoder_revision": (config.model.encoder, config.model.encoder_revision),
            "model.decoder_revision": (config.model.decoder, config.model.decoder_revision),
        }
        for key, data in zip(("data", "data.replay"), config.data.every):
            if data.reader == "hub":
                fields[f"{key}.revision"] = (data.path, data.revision)
        for key, (name, revision) in fields.items():
            pin = read_pin("dataset" if key.startswith("data.") else "model", name, revision, environ)
            if pin and pin.commit != revision:
                found.append(f"stages.{stage}.{key}={pin.commit}")
    return found


def prefetch(
    recipe: Mapping[str, Any],
    overrides: Sequence[str],
    profile: Profile,
    environ: dict[str, str],
    update: bool,
) -> None:
    """Fetch what all stages of a recipe need, then convert its encoder.

    Args:
        recipe: as `load_recipe` gives it.
        overrides: of the recipe.
        profile: where jobs will run; its account and memory serve the conversion.
        environ: says where the cache is.
        update: move on from commits that were fetched before.

    Raises:
        ValueError: the recipe or an override is wrong.
        ClusterError: what cannot be fetched or converted, and the next step.
    """
    configs = [resolve(recipe, stage, overrides) for stage in stages_of(recipe)]
    every = sorted({one for config in configs for one in wanted(config)}, key=str)
    if not every:
        print("nothing of this recipe comes from the hub")
        return
    fetch(every, environ, update, print)
    pinned = resolve(recipe, 1, [*overrides, *pins(recipe, overrides, environ)])
    model = pinned.model
    if model.precision == "bf16" and COMMIT.fullmatch(model.encoder_revision or ""):
        assert model.encoder_revision is not None
        _convert(model.encoder, model.encoder_revision, profile, environ)


def _convert(name: str, commit: str, profile: Profile, environ: dict[str, str]) -> None:
    """In this Python where it has torch, else as a job: a launcher has none, and a login node little memory."""
    told = ["-m", "layalign.model.convert", name, "--revision", commit]
    offline = {**environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    here = importlib.util.find_spec("torch") is not None
    if not here and not isinstance(profile, SlurmProfile):
        raise ClusterError(f"{name} is fetched; converting it needs torch, which {sys.executable} lacks")
    print(f"converting the encoder half of {name} to bf16, once", flush=True)
    if here or not isinstance(profile, SlurmProfile):
        command = [sys.executable, *told]
        line = shlex.join(command)
        status = subprocess.run(command, cwd=ROOT, env=client.scrubbed(offline), check=False).returncode
    else:
        words = srun_words(["python", *told], profile, environ, "layalign-convert")
        line = client.line("srun", *words)
        status = client.show("srun", *words, environ=offline, cwd=ROOT)
    if status:
        raise ClusterError(
            f"{name} is fetched, but could not be converted (exit status {status}): jobs then load it whole, "
            f"which is slower; to try again: {line}"
        )


def srun_words(command: list[str], profile: SlurmProfile, environ: Mapping[str, str], job: str) -> list[str]:
    """What srun is told to run a command in the cluster's environment; `job` is the name of the job."""
    kind = profile.hardware.kinds[0]
    options = ["--nodes=1", "--ntasks=1", f"--time={CONVERT_MIN}", f"--job-name={job}"]
    if profile.account:
        options.append(f"--account={profile.account}")
    if profile.hardware.memory:
        wish = profile.mem or f"{min(CONVERT_MB, kind.mem_mb)}M"
        options.append(f"--mem={find_memory(profile, kind, None, 1, wish)}M")
    if kind.per_node and kind.gpu:  # nodes that are given by GPU: take the fewest
        options.append(
            f"--gpus-per-node={f'{kind.gpu}:' if profile.hardware.typed else ''}{min(kind.per_node)}"
        )
    return [*options, *in_environment(command, profile, environ)]
