"""Put a job of a run into the queue, once: whatever happens in between, it is found again and never doubled.

An intent is recorded before sbatch is called. It names a script that no other submission has, so that a job whose id
got lost (sbatch timed out after the controller had accepted it, the launcher was killed) is found again. The script
does all that has to be done after sbatch: nothing is left for the launcher.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import write_atomic
from cluster.job.rendezvous import TORCHRUN
from cluster.launch.local import Call
from cluster.permissions import check_writers, shell_check, umask_of
from cluster.profile.load import SlurmProfile
from cluster.profile.resources import Resources
from cluster.run.lease import Lease
from cluster.run.run_folder import RunFolder
from cluster.run.snapshot import Snapshot
from cluster.run.work_folder import JobHome
from cluster.secret import first_secret
from cluster.site.environment import job_lines
from cluster.slurm import client
from cluster.slurm.sbatch import UNSURE, is_refusal, job_of, sbatch
from cluster.slurm.script import script, signal_seconds
from cluster.slurm.submission import Submission, forget_record, submission_state

CHECKPOINT_BYTES = 34_000_000 * 12
"""Of the paper's bridge: fp32 weights and two moments of each."""
SAID = 300
"""Characters of an answer that are told."""
LOOKS_S = (0.0, 2.0, 5.0)
"""How long to wait before each look for a job that sbatch may have submitted."""
ARRAY_ID = "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"
"""submitit's name for a job, as the shell finds it out."""
CALL = "call-"
"""How the name of a pickled call begins; the beginning of its SHA-256 follows, then the number of its user."""
CHECK_CALL = (
    "bash -c '"
    '[ "$(sha256sum < "$1" | cut -c 1-12)" = "$2" ] || '
    '{ echo "job call $1 is damaged or gone: give the same command again, which writes it anew" >&2; exit 1; }'
    "' check"
)
"""Takes the pickle and what its name says of it: nothing is loaded that is not what was written."""
FULFILLABLE = "--kill-on-invalid-dep=yes"
"""A job that waits for one that has failed leaves the queue, on every site."""


@dataclass(frozen=True, kw_only=True)
class PreparedJob:
    """A job that can be submitted. Making one writes nothing and asks nobody."""

    home: JobHome
    """Takes script, pickle and logs."""
    record: Path
    """Where the submission is recorded."""
    name: str
    pickle: bytes
    snapshot: Snapshot
    profile: SlurmProfile
    resources: Resources
    dependency: str | None
    text: str
    """What sbatch gets."""
    cells: str | None = None
    """Name of the work list of a slot."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What a job is told beside its config, for the record."""


def prepare_job(
    call: Call,
    home: JobHome,
    profile: SlurmProfile,
    resources: Resources,
    record: Path,
    *,
    name: str,
    signal_s: int,
    dependency: str | None = None,
    environ: Mapping[str, str] = os.environ,
    requeue: bool | None = None,
    cells: str | None = None,
    told: Mapping[str, Any] | None = None,
    snapshot: Snapshot | None = None,
) -> PreparedJob:
    """A job for a run, or slots for a grid.

    Args:
        call: what every task runs; must pickle by name.
        home: folder of the run or grid.
        profile: of the cluster.
        resources: of one unit, and the number of units.
        record: where the submission is recorded.
        name: of the job, `math-layalign-s2`; what Slurm might misread is replaced.
        signal_s: seconds before the end of a unit at which it is told to stop (`signal_of`).
        dependency: when it may start, as `sbatch --dependency` takes it.
        environ: says where the caches are.
        requeue: see `cluster.slurm.script.slurm_executor`.
        cells: name of the work list of slots, for the record.
        told: what the job is told beside its config, for the record: `retry` tells it again.
        snapshot: of the code, where it was taken for other jobs already.

    Raises:
        ClusterError: the folder's name cannot be told to Slurm, others can write where the pickle is to lie, or code
            or call hold a secret.
    """
    snapshot, pickle = snapshot or Snapshot.of(home.root), _pickle(call, resources)
    name = re.sub(r"[^\w.+-]", "-", name)
    check_writers(home.slurm, home.root)
    fulfillable = dependency is not None and "afterok" in dependency
    extra = (*resources.extra, FULFILLABLE) if fulfillable else resources.extra
    text = script(
        home.slurm,
        replace(resources, extra=extra),
        profile,
        name=name,
        comment=home.path.name,
        setup=setup_lines(_pickle_path(home, pickle), snapshot, profile, resources, environ),
        python="python",
        dependency=dependency,
        signal_s=signal_s,
        requeue=requeue,
    )
    told_of = {f"the script of {name}": text.encode(), f"what {name} is told": pickle}
    if obstacle := first_secret(told_of) or snapshot.secret:
        raise ClusterError(obstacle)
    return PreparedJob(
        home=home,
        record=record,
        name=name,
        pickle=pickle,
        snapshot=snapshot,
        profile=profile,
        resources=resources,
        dependency=dependency,
        text=text,
        cells=cells,
        told=told or {},
    )


def signal_of(run: RunFolder, resources: Resources) -> int:
    """Seconds before the end of a unit at which it must be told to stop, to write a checkpoint.

    Its size is that of the largest there is, else of the paper's.
    """
    sizes = [
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        for path in run.checkpoints.glob("step-*")
    ]
    return signal_seconds(max(sizes, default=CHECKPOINT_BYTES), resources.time_min)


SHELL = ("CDPATH", "TAR_OPTIONS", "LAYALIGN_STEP", "SLURM_JWT", "BASH_ENV")
"""What a user's shell may have exported, and a script of ours would obey."""
FUNCTIONS = (
    "POSIXLY_CORRECT=1; unset -f builtin compgen; for _f in $(compgen -A function); do case $_f in "
    "module|ml|_*) ;; *) unset -f $_f ;; esac; done; unset POSIXLY_CORRECT _f"
)
"""Forgets the functions that a user's shell has exported (`cd`, `ln`, `srun`), which come before commands of that name.

Those of the module system stay: a site may have it nowhere else. In POSIX mode no function comes before `unset`.
"""


def setup_lines(
    pickle: Path,
    snapshot: Snapshot,
    profile: SlurmProfile,
    resources: Resources,
    environ: Mapping[str, str],
) -> list[str]:
    """Shell lines of a job's script before its tasks start: pickle, code, Python.

    Args:
        pickle: of the call, beside which submitit looks for one of its own name.
        snapshot: of the code.
        profile: of the cluster.
        resources: of the job.
        environ: says where the caches are.
    """
    root = snapshot.archive.parents[1]
    return [
        FUNCTIONS,
        f"umask {umask_of(root):04o}",
        f"unset {' '.join((*TORCHRUN, *SHELL))}",
        f"{CHECK_CALL} {shlex.quote(str(pickle))} {pickle.stem.removeprefix(CALL).partition('-')[0]} || exit 1",
        f'ln -sfn {pickle.name} {shlex.quote(str(pickle.parent))}/"{ARRAY_ID}_submitted.pkl" || exit 1',
        *snapshot.lines(resources.nodes),
        *job_lines(profile, environ),
        # After the modules, some of which put themselves first.
        'export PYTHONPATH="$code${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1',
        shell_check(pickle, root),
    ]


def submit_slurm(prepared: PreparedJob) -> Submission:
    """Put a job into the queue, unless an earlier submission of the same record is there already.

    Returns:
        The submission, or the earlier one.

    Raises:
        ClusterError: Slurm refuses it, or does not answer: then the same call goes on where this one stopped.
    """
    home = prepared.home
    submitting = home.slurm / "submitting"
    with Lease(submitting, submitting, f"the submission of {home.title}") as lease:
        standing = submission_state(prepared.record)
        if standing and standing.alive:
            return standing.submission
        prepared.snapshot.write()
        write_atomic(_pickle_path(home, prepared.pickle), prepared.pickle)
        path = home.slurm / f"{prepared.name}-{uuid.uuid4().hex[:8]}.sh"
        write_atomic(path, prepared.text)
        intent = _intent(prepared, path)
        lease.check()
        intent.write(prepared.record)
        submission = intent.accepted(_sbatch(intent, prepared.record), prepared.record)
    home.event("submitted", job=submission.job, units=submission.units, tree=submission.tree)
    return submission


def ask_controller(prepared: PreparedJob) -> str:
    """What the controller says of the very script: when and where it would start.

    Raises:
        ClusterError: it would refuse it, or does not answer.
    """
    existing = next(path for path in prepared.home.slurm.parents if path.is_dir())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "script.sh")
        path.write_text(prepared.text)
        answer = sbatch(existing, "--test-only", str(path))
    said = answer.said.replace("sbatch: ", "")
    if not answer.ok:
        what = "does not say whether it would take" if UNSURE.search(said) or answer.fault else "would refuse"
        raise ClusterError(f"Slurm {what} {prepared.name}: {said}")
    if "to start" not in said:
        return (
            f"Slurm would take it, and does not say when it would start{f' ({said})' if answer.err else ''}"
        )
    return re.sub(r"\bJob \d+ to start", "it would start", said)  # the id is used up, and no job has it


def _pickle(call: Call, resources: Resources) -> bytes:
    """As submitit writes it itself. Time-outs, which it counts, are not its business here."""
    import cloudpickle
    from submitit.core.utils import DelayedSubmission

    delayed = DelayedSubmission(call)
    delayed.set_timeout(resources.time_min, 0)
    return cloudpickle.dumps(delayed)


def _pickle_path(home: JobHome, pickle: bytes) -> Path:
    """Of this user's own: in a group's folder nobody writes, or loads, that of another."""
    return home.slurm / f"{CALL}{hashlib.sha256(pickle).hexdigest()[:12]}-{os.getuid()}.pkl"


def _intent(prepared: PreparedJob, path: Path) -> Submission:
    snapshot = prepared.snapshot
    return Submission(
        job=None,
        name=prepared.name,
        script=str(path),
        units=prepared.resources.units,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        profile=prepared.profile.name,
        resources=prepared.resources,
        dependency=prepared.dependency,
        tree=snapshot.tree,
        archive=str(snapshot.archive),
        commit=snapshot.commit,
        dirty=snapshot.dirty,
        cells=prepared.cells,
        told=dict(prepared.told),
        uid=os.getuid(),
        cluster=client.this_cluster(),
        file=prepared.profile.file,
    )


def _sbatch(intent: Submission, record: Path) -> str:
    """The id of the job that the script of an intent becomes."""
    path = Path(intent.script)
    answer = sbatch(path.parent, "--parsable", str(path))
    if job := job_of(answer):
        return job
    if is_refusal(answer):
        if found := intent.look_up():
            return found
        forget_record(record)
        path.unlink()
        raise ClusterError(f"Slurm refuses {intent.name}: {answer.said}")
    for wait in LOOKS_S:
        time.sleep(wait)
        with contextlib.suppress(ClusterError):
            if found := intent.look_up():
                return found
    raise ClusterError(
        f"sbatch gave no id ({answer.said[:SAID]}), and no job of {intent.name} is seen in the queue or in "
        "accounting; give the same command again: it looks for the job first and never submits it twice"
    )
