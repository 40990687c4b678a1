"""A short job that its user waits for: srun, whose terminal is the user's."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cluster.errors import ClusterError
from cluster.profile.load import SlurmProfile
from cluster.profile.resources import Resources, plan_resources, summary
from cluster.profile.rules import Accounts, fewest_gpus
from cluster.provenance import ROOT
from cluster.site.environment import in_environment
from cluster.slurm import client
from cluster.slurm.script import request_of

TIME = "30m"
"""Of such a job, where its user does not say."""


def least_resources(profile: SlurmProfile, accounts: Accounts | None) -> Resources:
    """One process with one GPU, or with the fewest that the cluster gives.

    Raises:
        ClusterError: the cluster would not grant it.
    """
    alone = replace(profile, gpus=None, nodes=1, units=None, hours=None, time=profile.time or TIME)
    planned = plan_resources(alone, fewest_gpus(alone, alone.gpu), accounts=accounts)
    cores = planned.cpus_per_task * planned.tasks_per_node
    return replace(planned, units=1, tasks_per_node=1, cpus_per_task=cores)


def srun_words(
    command: Sequence[str], resources: Resources, profile: SlurmProfile, environ: Mapping[str, str], name: str
) -> list[str]:
    """What srun is told to run a command in the cluster's environment, with every line shown as it is written."""
    asked = request_of(resources, profile)
    left_out = ("array_parallelism", "mail_user", "mail_type")
    options = [
        f"--{key.replace('_', '-')}={value}"
        for key, value in asked.items()
        if value is not None and key not in left_out
    ]
    extra = [f"--job-name=layalign-{name}", "--unbuffered", *resources.extra]
    return [*options, *extra, *in_environment(command, profile, environ)]


def run_interactively(command: Sequence[str], resources: Resources, profile: SlurmProfile, name: str) -> int:
    """Ask for such a job, wait for it and for its end; its exit status.

    Raises:
        ClusterError: there is no srun.
    """
    if not client.installed("srun"):
        raise ClusterError(f"there is no srun here: give the command on a login node of {profile.name}")
    told = f"asking Slurm for a job; Ctrl-C gives up\n{summary(resources, profile)}"
    print(told, file=sys.stderr, flush=True)
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    words = srun_words(command, resources, profile, offline, name)
    return client.show("srun", *words, environ=offline, cwd=ROOT)
