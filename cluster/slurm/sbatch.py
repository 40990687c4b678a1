"""Calling sbatch, and what its answer means: a job, a refusal, or that nobody knows yet.

Sites wrap it and print banners (maestrowf#441, nipype#1330), and an answer may get lost after the controller has
accepted the job. What is neither a bare id nor a certain refusal has to be looked up in the queue.
"""

from __future__ import annotations

import re
from pathlib import Path

from cluster.errors import ClusterError
from cluster.slurm import client
from cluster.slurm.queued_job import JOB_ID

SBATCH_S = 180.0
"""How long it may take, also where its launcher is gone."""
UNSURE = re.compile(
    r"timed out|Unable to contact|Zero Bytes were transmitted|Unexpected message|Communication|Connection re"
    r"|Message (?:send|receive) failure"
)
"""What it says when the controller may have the job: the answer got lost on its way."""
REFUSED = re.compile(
    r"Batch job submission failed: |unrecognized option|invalid option|requires an argument"
    r"|sbatch: (?:error|fatal): (?:[Ii]nvalid |Unable to open file|This does not look like a batch script|Unable to "
    r"process|Batch script (?:is empty|contains)|.*is not valid)"
)
"""Words of sbatch's own, with which it ends before the controller has the job, or hears that it does not take it."""
ACCEPTED = re.compile(rf"^{JOB_ID}(?:;\S+)?\s*$|Submitted batch job", re.MULTILINE)
"""What is printed, among other things, for a job that the controller may have."""


def sbatch(cwd: Path, *words: str) -> client.Answer:
    """Call it in a folder that compute nodes know, since it becomes the job's own.

    Raises:
        ClusterError: it is not there.
    """
    answer = client.run_bounded("sbatch", *words, timeout_s=SBATCH_S, cwd=cwd)
    if answer.fault == "missing":
        raise ClusterError(f"{answer.said}: log in to the cluster first")
    return answer


def job_of(answer: client.Answer) -> str | None:
    """The id that `sbatch --parsable` gives: alone, or with the cluster, on one line.

    Returns:
        None for anything else: a number in a banner may mean anything.
    """
    found = re.fullmatch(rf"({JOB_ID})(?:;[\w.-]+)?", answer.out.strip()) if answer.ok else None
    return found[1] if found else None


def is_refusal(answer: client.Answer) -> bool:
    """Whether it says that there is no job; what may have ended it otherwise (137: a signal) says nothing of that."""
    told = answer.out + answer.err
    unsure = answer.status <= 0 or answer.fault or UNSURE.search(told) or ACCEPTED.search(told)
    return not unsure and bool(REFUSED.search(told))
