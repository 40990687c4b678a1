"""What a command works with, made once from what was typed about where it works and how."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.hub.cache import use_storage
from cluster.permissions import check_readable
from cluster.profile.load import Profile, SlurmProfile, detect, load_profile
from cluster.profile.overrides import split_overrides
from cluster.profile.profile_file import SECTION, Cluster
from cluster.run.run_folder import runs_root
from cluster.slurm.submission import Submission
from layalign.mini import is_mini


@dataclass(frozen=True, kw_only=True)
class Where:
    """What was typed about where a command works."""

    cluster: Cluster | None = None
    """Name of a profile, or its file; None is the cluster that this machine belongs to, else `local`."""
    overrides: tuple[str, ...] = ()
    """`cluster.gpu=a100` of the profile, `training.lr=1e-4` of the recipe; of one key the last counts."""
    data: str | None = None
    """Data folder; None is `$LAYALIGN_DATA`, if that is set."""
    task_pages: str | None = None
    """Folder of the user's pages; None is `$LAYALIGN_TASKS`, else `tasks` in the data folder if there is one."""
    runs: str | None = None
    """Folder of all runs; None is `$LAYALIGN_RUNS`, else `runs` in the working directory."""

    def split(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The overrides of the profile, and those of the recipe."""
        ours, recipe = split_overrides(self.overrides)
        return tuple(ours), tuple(recipe)

    def typed(self) -> frozenset[str]:
        """The keys of the profile that were typed: `mem` of `cluster.mem=64G`."""
        return frozenset(one.removeprefix(SECTION).partition("=")[0].strip() for one in self.split()[0])

    def last(self, key: str) -> str | None:
        """What was typed last for a key of the profile: `64G` of `cluster.mem=64G`."""
        pairs = (one.removeprefix(SECTION).partition("=") for one in self.split()[0])
        return {name.strip(): value for name, _, value in pairs}.get(key)

    def data_folder(self) -> Path | None:
        """The data folder, if one is named.

        Raises:
            ClusterError: there is no such folder.
        """
        given = self.data or os.environ.get("LAYALIGN_DATA")
        data = Path(given).expanduser().absolute() if given else None
        if data and not data.is_dir():
            raise ClusterError(
                f"data folder {data} does not exist; name another with --data or LAYALIGN_DATA"
            )
        return data

    def root(self) -> Path:
        """The folder of all runs; it need not exist.

        Raises:
            ClusterError: no folder can be there, or it is another user's who keeps it private.
        """
        root = Path(self.runs).expanduser().absolute() if self.runs else runs_root(os.environ)
        check_readable(root)
        there = next(path for path in (root, *root.parents) if os.path.lexists(path))
        if not os.path.isdir(there):
            raise ClusterError(
                f"the folder of all runs {root} cannot be written: Not a directory: {there}; "
                "choose another place with --runs FOLDER or $LAYALIGN_RUNS"
            )
        return root

    def root_to_write(self) -> Path:
        """The same, where it can be made and written.

        Raises:
            ClusterError: as `root`, or nobody lets this user write there.
        """
        root = self.root()
        there = next(path for path in (root, *root.parents) if os.path.lexists(path))
        if (
            not os.access(there, os.W_OK | os.X_OK) or not os.statvfs(there).f_blocks
        ):  # as /proc, whoever asks
            raise ClusterError(
                f"the folder of all runs {root} cannot be written: {there} takes no files of yours; "
                "choose another place with --runs FOLDER or $LAYALIGN_RUNS"
            )
        return root


@dataclass(frozen=True, kw_only=True)
class How:
    """What was typed about how a command goes about it."""

    dry_run: bool = False
    """Tell what would run and what stands in the way; start and write nothing."""
    test_only: bool = False
    """Have Slurm say whether and when it would start; submit nothing."""
    inline: bool = False
    """Work in this process."""
    yes: bool = False
    """Ask nothing: the user has agreed."""
    script: bool = False
    """Of a dry run: also what sbatch gets."""

    def __post_init__(self) -> None:
        if self.script and not self.dry_run:
            raise ClusterError("--script shows what sbatch would get: add --dry-run")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a command works with."""

    profile: Profile
    runs: Path
    """Folder of all runs."""
    data: Path | None
    """Data folder."""
    data_named: bool = True
    """It was named by the user; otherwise it is `$LAYALIGN_DATA`, which is of real data."""
    overrides: tuple[str, ...] = ()
    """Of the recipe."""

    def asked_of(self, decoder: str) -> Context:
        """The same with the data folder that an LLM is asked from: the miniature has its own unless one is named."""
        return replace(self, data=None) if is_mini(decoder) and not self.data_named else self

    def with_overrides(self, *overrides: str) -> Context:
        """The same with further overrides of the recipe, which count more."""
        return replace(self, overrides=(*self.overrides, *overrides))

    def pinned(self, recipe: Mapping[str, Any]) -> Context:
        """The same with models and data of the recipe pinned to the commits that `prefetch` brought.

        Raises:
            ValueError: the recipe or an override is wrong.
        """
        from jobs.recipe.prefetch import pins  # who only looks at runs need not wait for what reads recipes

        return self.with_overrides(*pins(recipe, self.overrides, os.environ))


def profile_of(where: Where, how: How = How()) -> Profile:
    """The profile that is meant; its cache, or its sandbox, is made known to all that asks the environment.

    Raises:
        ClusterError: no such cluster, a wrong override, or no sandbox, without which only a dry run can do.
    """
    profile = load_profile(where.cluster or detect(os.environ), where.split()[0])
    os.environ.update(use_storage(profile, os.environ))
    if profile.name == "sandbox" and "SLURM_CONF" not in os.environ:
        from cluster.sandbox.sandbox import sandbox_environment, sandbox_root

        with contextlib.suppress(*[ClusterError] if how.dry_run else []):
            os.environ.update(sandbox_environment(sandbox_root(os.environ)))
    return profile


def context_of(where: Where, how: How) -> Context:
    """What a command works with.

    Raises:
        ClusterError: as `profile_of`, options that exclude each other, or no such folder.
    """
    profile = profile_of(where, how)
    slurm = isinstance(profile, SlurmProfile)
    if how.inline and slurm:
        raise ClusterError(f"--inline is this process, but {profile.name} has a queue: leave one out")
    if how.inline and profile.tasks != 1:
        raise ClusterError(
            f"--inline is this one process, but cluster.tasks is {profile.tasks}: leave one out"
        )
    if how.test_only and not slurm:
        raise ClusterError(
            f"--test-only asks a Slurm, and {profile.name} has none: name a cluster by --cluster"
        )
    if how.script and not slurm:
        raise ClusterError(
            f"--script shows what sbatch gets, and {profile.name} has no queue: name a cluster by --cluster"
        )
    return Context(
        profile=profile,
        runs=where.root_to_write(),
        data=where.data_folder(),
        data_named=where.data is not None,
        overrides=where.split()[1],
    )


def context_again(where: Where, how: How, submission: Submission | None) -> Context:
    """What a command about an earlier submission works with: where that was, unless the user names another cluster.

    Raises:
        ClusterError: as `context_of`.
    """
    if submission and not where.cluster:
        where = replace(where, cluster=submission.origin)
    context = context_of(where, how)
    profile = context.profile
    if not (submission and isinstance(profile, SlurmProfile)):
        return context
    if profile.name == submission.profile and profile.account is None:
        return replace(context, profile=replace(profile, account=submission.resources.account))
    return context
