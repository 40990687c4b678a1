"""A grid through a cluster's queue, or on this machine: show what is missing, ask, submit just that."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.errors import INTERRUPTED, ClusterError
from cluster.job.unit import terms
from cluster.launch.submit import CHECKPOINT_BYTES, PreparedJob, ask_controller, prepare_job, submit_slurm
from cluster.profile.load import SlurmProfile
from cluster.profile.resources import difference
from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from cluster.run.snapshot import Snapshot
from cluster.run.state import OPEN, STOPPED, State
from cluster.slurm.limits import Association
from cluster.slurm.queue import Look, cancel, still_queued
from cluster.slurm.queue_cache import forget
from cluster.slurm.script import SIGNAL_S, signal_seconds
from cluster.slurm.submission import Submission, forget_record, readable
from jobs.cell.cell import Cell, Worklist
from jobs.grid.array_options import ArrayOptions
from jobs.grid.arrays import SlotArray, check_parents, plan_arrays
from jobs.grid.offer import offer_of
from jobs.grid.reconcile import Reconciled, reconcile
from jobs.grid.show import tell_failed, tell_standstill
from jobs.launch.queue import WATCH
from jobs.launch.site_checks import Site
from jobs.recipe.context import Context, How
from jobs.recipe.describe import agreed, refused, uneven_batch, warn
from jobs.recipe.meter import many
from jobs.work.call import JobCall


@dataclass(frozen=True, kw_only=True)
class GridQueue:
    """How one command brings the cells of a grid about."""

    folder: GridFolder
    wanted: Worklist
    """All cells that are wanted, whatever of them is there."""
    context: Context
    how: How
    options: ArrayOptions
    unasked: bool = False
    """It is small, and submitted without asking unless it turns out not to be."""
    record: Callable[[], None] | None = None
    """Writes the plan down, where it is a new one: called when everything is granted, before anything begins."""

    @property
    def profile(self) -> SlurmProfile:
        assert isinstance(self.context.profile, SlurmProfile)
        return self.context.profile

    def look(self) -> Reconciled:
        """The grid as it is, by one look at the queue; a dry run may be where there is none.

        Raises:
            ClusterError: squeue does not answer.
        """
        if not isinstance(self.context.profile, SlurmProfile):
            return reconcile(self.folder, self.wanted.cells, Look())
        try:
            queue = Look.now()
        except ClusterError as error:
            if not self.how.dry_run:
                raise
            print(f"shown as if nothing were queued: {error}".partition("\n")[0], file=sys.stderr)
            queue = Look()
        return reconcile(self.folder, self.wanted.cells, queue)

    def submit(self, found: Reconciled, obstacles: Iterable[str] = ()) -> int:
        """Queue what is missing.

        Args:
            found: as `look` gives it.
            obstacles: why the missing cells would be refused.

        Returns:
            The exit status.
        """
        site = Site.of(self.profile, self.folder.root, self.how.dry_run)
        tell_failed(self.folder, found)
        tell_standstill(found)
        arrays = plan_arrays(found, self.wanted.runs, site.profile, site.associations, self.options)
        offer = offer_of(self.folder, self.wanted, arrays, site.profile, self.options)
        if arrays:
            notes = site.notes(self.folder.root, offer.asked) if self.how.dry_run else ()
            replace(offer, notes=notes).show()
        for text in self._changes(found, arrays, site.associations):
            print(text)
        for text in dict.fromkeys(note for array in arrays if (note := self._uneven(array))):
            print(text)
        status = refused([*site.obstacles, *obstacles] if arrays else [])
        if self.how.dry_run or (self.how.test_only and not status):
            self._rehearse(arrays)
        if status or self.how.dry_run or self.how.test_only:
            return status
        if offer.doubt and self.how.yes:
            warn(offer)
        quiet = self.how.yes or (self.unasked and not offer.doubt)
        if (arrays or found.unwanted) and not agreed(self._question(arrays, found), quiet):
            return 0
        self.folder.create()
        with self.folder.lease():
            self._check_alone(found)
            check_parents(arrays, found)
            self._prepare(found)
            self._submit_all(arrays)
        if not arrays:
            print("nothing to submit")
            return 0
        print(f"watch: python launch.py watch --grid {self.folder.name}, or {WATCH}")
        return 0

    def _changes(
        self, found: Reconciled, arrays: Sequence[SlotArray], known: Sequence[Association] | None
    ) -> list[str]:
        """What is asked for instead of what it would be without `--more-mem`."""
        if self.options.more_memory == 1:
            return []
        plain = replace(self.options, more_memory=1.0)
        before = plan_arrays(found, self.wanted.runs, self.profile, known, plain)
        pairs = (
            (array.name, difference(old.resources, array.resources)) for old, array in zip(before, arrays)
        )
        return [f"  {name}: {told}" for name, told in dict(pairs).items() if told]

    def _uneven(self, array: SlotArray) -> str | None:
        """What becomes of the batch of a training on processes that do not divide it."""
        if array.cells[0].job != "train":
            return None
        training = self.wanted.runs[array.cells[0].run]["config"]["training"]
        return uneven_batch(training["batch_size"], training["micro_batch"], array.resources.tasks)

    def _question(self, arrays: Sequence[SlotArray], found: Reconciled) -> str:
        asked = []
        if arrays:
            jobs = sum(array.resources.units for array in arrays)
            asked.append(f"submit {many(len(arrays), 'array')}, {many(jobs, 'job')} in all")
        if found.unwanted:
            asked.append(f"take {many(len(found.unwanted), 'cell')} back that nobody wants any more")
        return " and ".join(asked)

    def _check_alone(self, found: Reconciled) -> None:
        """Refuse to go on where another command has submitted since the look; forget what was never accepted."""
        if frozenset(self.folder.records()) != found.records:
            raise ClusterError(
                f"another command has submitted jobs of {self.folder.title} meanwhile: give this one again to see "
                "what is left to do"
            )
        for record in found.records:
            submission = unless_damaged(Submission.read, record)
            if submission and submission.job is None:  # it was looked for, and is nowhere
                forget_record(record)

    def _prepare(self, found: Reconciled) -> None:
        """Bring the folders into the state in which slots may begin, and take back what nobody wants."""
        if self.record:
            self.record()
        withdraw(self.folder, found)
        for cell in found.missing():
            run = RunFolder(Path(cell.run))
            cell.folder.forgive(found.asked)
            if cell.job == "train" or not run.config.exists():
                run.create(self.wanted.runs[cell.run]["config"])

    def _submit_all(self, arrays: Sequence[SlotArray]) -> None:
        """Submit arrays in order; each waits for those before it that it needs."""
        snapshot, wave, jobs = Snapshot.of(self.folder.root), uuid.uuid4().hex[:8], list[str]()
        for array in arrays:
            try:
                after = [*(jobs[place] for place in array.after), *still_queued(array.after_jobs)]
                self.folder.check_holder()  # this command may have been stopped for long
                submission = submit_slurm(self._prepared(array, after, wave, snapshot))
            except ClusterError as error:
                raise ClusterError(
                    f"{error}\n{len(jobs)} of {len(arrays)} arrays are queued, and none of them twice: give the same "
                    "command again to submit the rest"
                ) from None
            assert submission.job
            jobs.append(submission.job)
            forget(self.folder.root)
            waits = f", after {' '.join(after)}" if after else ""
            print(
                f"queued: job {submission.job} {submission.name}, {many(array.resources.units, 'slot')}{waits}"
            )

    def _rehearse(self, arrays: Sequence[SlotArray]) -> None:
        """Make the scripts, which may be refused, and show them or have the controller look at them."""
        snapshot = Snapshot.of(self.folder.root)
        for number, array in enumerate(arrays, 1):
            after = [*(f"JOB-OF-ARRAY-{place + 1}" for place in array.after), *array.after_jobs]
            if self.how.test_only:
                prepared = self._prepared(array, [], "test", snapshot)
                print(f"array {number}, {prepared.name}: {ask_controller(prepared)}")
                continue
            text = self._prepared(array, after, "dry", snapshot).text
            if self.how.script:
                print(f"array {number}: what sbatch gets\n{text}")

    def _prepared(self, array: SlotArray, after: Sequence[str], wave: str, snapshot: Snapshot) -> PreparedJob:
        keep = self.folder.list_path if wave in ("dry", "test") else self.folder.write_list
        path = keep(self.wanted.of(array.cells).to_dict())
        resources = replace(array.resources, parallel=self.options.throttle or array.resources.units)
        trains = array.cells[0].job == "train"
        signal_s = (
            signal_seconds(CHECKPOINT_BYTES, resources.time_min)
            if trains
            else min(SIGNAL_S, resources.time_min * 30)
        )
        told = {
            "root": str(self.folder.root),
            "grid": self.folder.name,
            "list": str(path),
            "first": array.first,
            "slots": array.slots,
            "terms": terms(self.profile, resources, signal_s, wave),
        }
        return prepare_job(
            JobCall("slot", told),
            self.folder,
            self.profile,
            resources,
            self.folder.new_record(),
            name=f"{self.folder.name}-{array.name}",
            signal_s=signal_s,
            dependency=f"afterany:{':'.join(after)}" if after else None,
            requeue=True,
            cells=path.name,
            snapshot=snapshot,
        )

    def run_here(self, found: Reconciled) -> int:
        """Do what is missing on this machine, one cell after another; a dry run only names it.

        Returns:
            The exit status.
        """
        tell_failed(self.folder, found)
        if self.how.dry_run:
            print("".join(f"to be done here: {cell.name}\n" for cell in found.missing()), end="")
            return 0
        missing = found.missing()
        if missing and not agreed(
            f"do {many(len(missing), 'cell')} on this machine", self.how.yes or self.unasked
        ):
            return 0
        self.folder.create()
        with self.folder.lease():
            self._prepare(found)
            return self._run_cells(missing)

    def _run_cells(self, missing: Sequence[Cell]) -> int:
        """Trainings, then evaluations, each kind as one slot."""
        from cluster.launch.local import run_inline, submit_local

        for job in ("train", "evaluate"):
            cells = [cell for cell in missing if cell.job == job]
            if not cells:
                continue
            path = self.folder.write_list(self.wanted.of(cells).to_dict())
            told = {"root": str(self.folder.root), "grid": self.folder.name, "list": str(path)}
            call = JobCall("slot", {**told, "first": 0, "slots": 1})
            inline = self.how.inline
            result = run_inline(call) if inline else submit_local(call, self.folder, self.context.profile)
            if result.get("interrupted"):
                print(f"interrupted by {result['interrupted']}; the same command goes on")
                return INTERRUPTED
        return self._conclude_here()

    def _conclude_here(self) -> int:
        left = self.look()
        lost = left.of(*STOPPED, *OPEN, State.BLOCKED, State.RUNNING)
        for cell in lost:
            reason = _held(cell) or cell.cause() or "waits for a run that has failed"
            print(f"not done: {cell.name}: {reason}", file=sys.stderr)
        return 1 if lost else 0


def _held(cell: Cell) -> str | None:
    """By whom else a cell is worked on; whose lease is damaged is told so."""
    lease = cell.folder.lease()
    holder = lease.living_holder()
    return lease.refusal(holder) if holder else None


def withdraw(folder: GridFolder, found: Reconciled) -> None:
    """Take back what nobody wants any more: waiting cells are passed over, running ones and empty arrays cancelled."""
    unwanted = {cell.name for cell in found.unwanted}
    before = unless_damaged(folder.withdrawn) or set()
    folder.withdraw(unwanted | (before - set(found.stands)))
    if not unwanted:
        return
    wanted = set(found.stands)
    for array in found.arrays:
        assert array.submission.job
        if wanted.isdisjoint(array.cells):
            cancel(array.submission.job)
            print(
                f"cancelled: job {array.submission.job} {array.submission.name}, of which nothing is wanted"
            )
    for cell in found.unwanted:
        holder = cell.folder.lease().living_holder()
        if holder and holder.job and found.look.rows_of(holder):  # its id may be another cluster's
            cancel(holder.job)
            print(f"cancelled: job {holder.job}, which worked on {cell.name}")


def last_submission(folder: GridFolder) -> Submission | None:
    """What was submitted last for a grid."""
    return next(reversed(readable(folder.records())), None)
