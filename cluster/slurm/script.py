"""The text that sbatch gets, written by submitit without submitting.

submitit is transport: it pickles the job, writes the script and starts the tasks; it never submits. What it would get
wrong on these clusters is set here: a GPU's model, srun's own `--cpus-per-task` (not inherited since Slurm 22.05), the
`wckey` and the signal that it writes of itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import ClusterError
from cluster.profile.load import SlurmProfile
from cluster.profile.resources import Resources
from cluster.profile.rules import partition_of

if TYPE_CHECKING:
    from submitit import SlurmExecutor

SIGNAL = "USR2"
"""Sent to every task before the walltime; `cluster.job.interrupt` makes it a flag."""
SIGNAL_S = 120
STEP_S = 60
"""To reach the end of an optimizer step."""
BYTES_PER_S = 0.5e9
"""What a checkpoint is written at where the file system is busy."""
MAIL = "END,FAIL"
WAIT_S = 60
"""How long the other tasks may live after one has ended."""


def signal_seconds(checkpoint_bytes: int, time_min: int | None = None) -> int:
    """Seconds before the end of a unit at which it is told to stop: enough to write a checkpoint.

    Args:
        checkpoint_bytes: size of one.
        time_min: length of the unit, of which half at most is given to stopping.
    """
    needed = max(SIGNAL_S, STEP_S + math.ceil(checkpoint_bytes / BYTES_PER_S))
    return needed if time_min is None else min(needed, time_min * 30)


def slurm_executor(
    folder: Path,
    resources: Resources,
    profile: SlurmProfile,
    *,
    name: str,
    comment: str,
    setup: Sequence[str],
    python: str,
    dependency: str | None = None,
    signal_s: int = SIGNAL_S,
    requeue: bool | None = None,
) -> SlurmExecutor:
    """submitit's executor for jobs of these resources; it neither looks for Slurm nor writes anything yet.

    Args:
        folder: where script, pickle and logs go; must be writable on compute nodes.
        resources: of one unit, and the number of units.
        profile: of the cluster.
        name: of the job, shown by squeue.
        comment: shown by `squeue -o %k`.
        setup: shell lines that run once, on the first node, before the tasks.
        python: shell words that start the interpreter of the tasks; not quoted, so `$SLURM_TMPDIR/env/bin/python`
            is read on the node.
        dependency: when the job may start, as `--dependency` takes it.
        signal_s: seconds before the walltime at which tasks are told to stop.
        requeue: whether Slurm may start the job anew, as after a node failure; None is as the profile prefers.

    Raises:
        ClusterError: the folder has a `%` or a backslash, of which Slurm makes patterns, or what no table holds; or a
            word that has a control character.
    """
    from submitit import SlurmExecutor

    if odd := re.search(r"[%\\\x00-\x1f\x7f]", str(folder)):
        raise ClusterError(
            f"folder {str(folder)!r} has {odd[0]!r}, which Slurm reads as part of a pattern or of its tables: take "
            "another name with --runs FOLDER"
        )

    request = request_of(resources, profile)
    for key, value in {**request, "job_name": name, "comment": comment, "dependency": dependency}.items():
        if isinstance(value, str) and (odd := re.search(r"[\x00-\x1f\x7f]", value)):
            raise ClusterError(
                f"{key} {value!r} has {odd[0]!r}, which would end its line of the script: leave it out"
            )

    class Anywhere(SlurmExecutor):
        """submitit refuses to exist where there is no srun; a dry run writes the script on a laptop too."""

        @classmethod
        def affinity(cls) -> int:
            return 1

    executor = Anywhere(folder, python=python)
    executor.update_parameters(
        job_name=name,
        comment=comment,
        setup=list(setup),
        dependency=dependency,
        **request,
        **_habits(
            resources, signal_s, profile.continuation.mode == "requeue" if requeue is None else requeue
        ),
    )
    return executor


def script(folder: Path, resources: Resources, profile: SlurmProfile, **job: Any) -> str:
    """The text that sbatch would get, exactly; arguments as of `slurm_executor`."""
    executor = slurm_executor(folder, resources, profile, **job)
    if resources.units > 1:
        executor.parameters["map_count"] = resources.units  # as submitit's map_array does
    return executor._make_submission_file_text(executor._submitit_command_str, "")


def request_of(resources: Resources, profile: SlurmProfile) -> dict[str, Any]:
    """What the job asks for."""
    gpus = str(resources.gpus_per_node)
    return {
        "account": resources.account,
        "partition": partition_of(profile, resources.gpu),
        "time": resources.time_min,
        "nodes": resources.nodes,
        "ntasks_per_node": resources.tasks_per_node,
        "cpus_per_task": resources.cpus_per_task,
        "gpus_per_node": (f"{resources.gpu}:{gpus}" if profile.hardware.typed else gpus)
        if resources.gpu
        else None,
        "mem": f"{resources.mem_mb}M" if resources.mem_mb else None,
        "mail_user": resources.mail,
        "mail_type": MAIL if resources.mail else None,
        "array_parallelism": resources.parallel,
    }


def _habits(resources: Resources, signal_s: int, requeue: bool) -> dict[str, Any]:
    """How the job lives and dies."""
    options: dict[str, Any] = {
        "signal": f"{SIGNAL}@{signal_s}",
        "requeue" if requeue else "no-requeue": True,
    }
    for option in resources.extra:
        key, equals, value = option.removeprefix("--").partition("=")
        options[key] = value if equals else True
    return {
        "wckey": None,
        "stderr_to_stdout": True,
        "additional_parameters": options,
        "srun_args": [
            f"--cpus-per-task={resources.cpus_per_task}",
            "--open-mode=append",
            "--kill-on-bad-exit=1",
            f"--wait={WAIT_S}",
        ],
    }
