"""One job of a run on Slurm, as the job itself sees it: which unit of which chain, when it ends, what may be asked.

Variables: slurm.schedmd.com, pages sbatch and srun, "OUTPUT ENVIRONMENT VARIABLES". Slurm's commands may be missing on
compute nodes and slow anywhere: whatever is asked here may stay without an answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.profile.load import SlurmProfile
from cluster.profile.resources import Resources
from cluster.slurm import client
from cluster.slurm.script import SIGNAL_S

PATIENCE_S = 15.0
"""How long a job waits for an answer of Slurm."""
COMMENT_S = 600.0
"""Between two changes of a job's comment: the controller serves everybody."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One job of a run, one process of it."""

    job: str
    """As squeue lists it: `14_2`, an element of an array, or `15`. Its number alone may mean the whole array."""
    number: int
    """Its place in the chain, from 0."""
    units: int
    """Length of the chain."""
    restart: int
    """How often Slurm has started this very job anew."""
    rank: int
    nodes: str
    log: Path
    """What this process prints."""
    ends: float
    """When its time is up, in seconds since 1970, as far as it knows."""
    signal_s: int
    """Seconds before the end at which it is told to stop."""
    requeue: bool
    """It goes on by requeueing itself, not by the next unit."""
    scontrol: bool
    """It may try to use `scontrol`."""
    name: str = ""
    """Of the job, as accounting lists it."""
    wave: str | None = None
    """What slots have in common that were submitted together, in several arrays."""

    @property
    def submission(self) -> str:
        """What all units of one chain have in common: the id that sbatch gave; of slots, their wave."""
        return self.wave or self.job.partition("_")[0]

    @property
    def last(self) -> bool:
        """Nothing goes on after it."""
        return not self.requeue and self.number == self.units - 1

    def __str__(self) -> str:
        place = f"unit {self.number + 1} of {self.units}, " if self.units > 1 else ""
        return f"{place}job {self.job}"

    def facts(self) -> dict[str, Any]:
        """What a record of it says."""
        name = {"name": self.name} if self.name else {}
        return {"job": self.job, "unit": self.number, "restart": self.restart, "nodes": self.nodes, **name}

    def shown(self) -> dict[str, str] | None:
        """What the controller knows of it, by name; None where it cannot be asked."""
        told = self._scontrol("--oneliner", "show", "job", self.job)
        return dict(word.partition("=")[::2] for word in told.split() if "=" in word) if told else None

    def ask_requeue(self) -> bool:
        """Have Slurm start this job anew, unless it has since this start; False if it does not.

        After a node was lost the same job may run elsewhere: what is left of it here must not end that start.
        """
        if int((self.shown() or {}).get("Restarts", 0)) > self.restart:
            return True
        return self._scontrol("requeue", self.job) is not None

    def set_comment(self, text: str) -> bool:
        """What `squeue -o %k` shows; False if it cannot be set."""
        return self._scontrol("update", f"JobId={self.job}", f"Comment={text}") is not None

    def _scontrol(self, *words: str) -> str | None:
        return client.ask("scontrol", *words, timeout_s=PATIENCE_S) if self.scontrol else None


def terms(
    profile: SlurmProfile, resources: Resources, signal_s: int = SIGNAL_S, wave: str | None = None
) -> dict[str, Any]:
    """What a job has to know of its cluster and request; plain data, to be pickled with it under `terms`.

    A slot (its `wave` is given) requeues itself wherever that is allowed; a chain only where its profile prefers it.
    """
    allowed = profile.continuation
    return {
        "requeue": allowed.requeue is True if wave else allowed.mode == "requeue",
        "wave": wave,
        "scontrol": allowed.scontrol_in_job is not False,
        "time_min": resources.time_min,
        "signal_s": signal_s,
    }


def find_unit(told: Mapping[str, Any], environ: Mapping[str, str]) -> Unit | None:
    """The unit that this process belongs to; None where the job was not submitted to Slurm.

    Args:
        told: what was pickled.
        environ: of the process.
    """
    facts = told.get("terms")
    if not facts:
        return None
    array = environ.get("SLURM_ARRAY_JOB_ID")
    number = int(environ.get("SLURM_ARRAY_TASK_ID", 0))
    job = f"{array}_{number}" if array else environ["SLURM_JOB_ID"]
    rank = int(environ.get("SLURM_PROCID", 0))
    return Unit(
        job=job,
        number=number,
        units=int(environ.get("SLURM_ARRAY_TASK_MAX", 0)) + 1,
        restart=int(environ.get("SLURM_RESTART_COUNT", 0)),
        rank=rank,
        name=environ.get("SLURM_JOB_NAME", ""),
        nodes=environ.get("SLURM_JOB_NODELIST", ""),
        log=Path(environ.get("SUBMITIT_FOLDER", "."), f"{job}_{rank}_log.out"),
        ends=float(environ.get("SLURM_JOB_END_TIME") or time.time() + 60 * facts["time_min"]),
        signal_s=facts["signal_s"],
        requeue=facts["requeue"],
        scontrol=facts["scontrol"],
        wave=facts.get("wave"),
    )
