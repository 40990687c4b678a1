"""What is known of a cluster: one dataclass for each section of a profile, with its source and the day it was read.

None stands for what no page says, or for what a site does not have. Memory is in MB as Slurm counts (1024 KiB
squared), disk in GB, time in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from cluster.errors import ClusterError


@dataclass(frozen=True, kw_only=True)
class Section:
    """Facts that were read together."""

    source: str
    """Page or file."""
    checked: str
    """Day of the page as it was read, YYYY-MM-DD."""

    def cite(self) -> str:
        """The source as it stands at the end of a refusal."""
        return f"({self.source}, {self.checked})"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A part of a GPU (MIG) that can be asked for by its own word."""

    word: str
    memory_gb: int
    """Memory of the slice."""
    cores: int
    """Recommended CPU cores beside it."""
    mem_mb: int
    """Recommended memory of the node beside it."""
    synonyms: tuple[str, ...] = ()
    """Other words for it on this cluster."""


@dataclass(frozen=True, kw_only=True)
class NodeKind:
    """Nodes of one shape."""

    gpu: str | None
    """Word by which Slurm knows the GPU; None has no GPU, and every task is one for the CPU."""
    model: str
    """GPU, or CPU, by its maker's name."""
    count: int
    """Nodes of this shape."""
    gpus: int | None
    """GPUs of a node; of one without GPUs its tasks at most, None is one for each core."""
    gpu_memory_gb: int | None
    """Memory of one GPU."""
    cores: int
    """CPU cores of a node, as Slurm counts them."""
    mem_mb: int
    """Memory of a node that jobs can have; where a page gives only the nominal size, that."""
    cores_per_gpu: int | None
    """Fair share of a node's cores for one GPU; None is an equal share."""
    mem_per_gpu_mb: int | None
    """Fair share of a node's memory for one GPU; None is an equal share of nine tenths of the nominal size."""
    local_disk_gb: int | None
    """Disk behind `$SLURM_TMPDIR`; None where it is unknown or memory."""
    per_node: tuple[int, ...] | None = None
    """Numbers of GPUs that a job may take of a node; None is any."""
    synonyms: tuple[str, ...] = ()
    slices: tuple[Slice, ...] = ()
    partition: str | None = None
    """To be named in a job for these nodes; None is that of all hardware."""
    longest: int | None = None
    """Longest time of a job on these nodes, where that is less than elsewhere on the cluster."""
    note: str | None = None

    @property
    def slots(self) -> int:
        """Tasks that a node takes: its GPUs, or its cores where it has none."""
        return self.gpus or self.cores

    def words(self) -> dict[str, str]:
        """Every word for a GPU or slice of these nodes, with the word that we ask for it by."""
        named = [(self.gpu, self.synonyms)] if self.gpu else []
        named += [(one.word, one.synonyms) for one in self.slices]
        return {word: name for name, others in named for word in (name, *others)}


@dataclass(frozen=True, kw_only=True)
class Hardware(Section):
    kinds: tuple[NodeKind, ...]
    """The first is what a recipe gets that asks for nothing."""
    typed: bool
    """GPUs are asked for by model and number; else by number alone."""
    memory: bool
    """Jobs say how much memory they need; else it comes with the node or GPU."""
    partition: str | None = None
    """To be named in a job. None on the Alliance, whose scheduler chooses."""


@dataclass(frozen=True, kw_only=True)
class Walltime(Section):
    brackets: tuple[int, ...] | None
    """Longest times of the site's partitions, rising: a shorter job may run in more places."""
    shortest: int | None
    """Shortest time of a job, tests included."""
    longest: int
    """Longest time of a job, in minutes."""


@dataclass(frozen=True, kw_only=True)
class Limits(Section):
    jobs: int | None
    """Jobs of one user, waiting and running; every element of an array counts."""
    running: int | None
    """Jobs of one user that run at once."""
    array: int | None
    """`MaxArraySize` of the controller."""
    nodes: int | None
    """Nodes of one job."""
    nodes_allocated: int | None
    """The same under an account of a resource allocation competition (rrg-, rpp-)."""


@dataclass(frozen=True, kw_only=True)
class Accounts(Section):
    prefix: str | None
    """How every account that may be used begins."""
    needed: bool = True
    """Jobs are charged to an account; `no` where Slurm keeps no accounts."""


@dataclass(frozen=True, kw_only=True)
class Network(Section):
    """What compute nodes reach of the world."""

    internet: Literal["yes", "no", "proxy"]
    """What compute nodes reach; `proxy`: listed sites only, through a proxy that is on by default."""
    wandb: Literal["online", "offline"]
    """What jobs are told as `WANDB_MODE`."""
    proxy_module: str | None
    """Module that opens a proxy for groups that the site has admitted to it."""
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Area:
    """One file system, as a user sees it."""

    path: str
    """May hold variables (`$SCRATCH`) and `{account}`."""
    quota_gb: int | None
    files: int | None
    """Most files."""
    purge_days: int | None
    """Age at which files are deleted."""
    writable: bool = True
    """From a compute node."""

    def folder(self, environ: Mapping[str, str], account: str | None) -> Path:
        """Where it is.

        Raises:
            ClusterError: a variable of the path is not set here, or no account is known.
        """
        if "{account}" in self.path and not account:
            raise ClusterError(f"{self.path} needs the account: give --account")
        try:
            return Path(Template(self.path.replace("{account}", account or "")).substitute(environ))
        except KeyError as missing:
            raise ClusterError(
                f"the profile says {self.path}, but ${missing.args[0]} is not set here; set it, or write the path "
                "into the `storage` of your own profiles (~/.config/layalign/profiles.yaml)"
            ) from missing


@dataclass(frozen=True, kw_only=True)
class Storage(Section):
    home: Area
    """Path, quota in GB and in files, days after which files are deleted; variables stay as they are."""
    project: Area
    """Storage that lasts, where `launch.py keep` copies to."""
    scratch: Area
    """Where caches of models and data lie."""
    local: Literal["disk", "memory"]
    """What `$SLURM_TMPDIR` is made of."""


@dataclass(frozen=True, kw_only=True)
class Continuation(Section):
    """How a training goes on after its walltime."""

    mode: Literal["chain", "requeue"]
    """Elements of an array, one at a time, or one job that requeues itself."""
    requeue: bool | None
    """The site lets a job requeue itself."""
    sbatch_in_job: bool | None
    """A job may submit jobs."""
    scontrol_in_job: bool | None
    """`scontrol` is found on compute nodes."""
    preemption: bool | None
    """Other jobs may push a running one out."""
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Software(Section):
    modules: tuple[str, ...]
    """What `module load` takes, in order; before the virtual environment is entered."""
    environment: str | None = None
    """Folder of a virtual environment that compute nodes see, which jobs use as it is; None is made by
    `launch.py env --build` from the Alliance's wheelhouse."""
    choices: tuple[tuple[str, ...], ...] = ()
    """What may be taken instead where a site no longer has those; `launch.py env` looks which of all load."""


@dataclass(frozen=True, kw_only=True)
class Retired(Section):
    """A cluster that another one has taken the place of."""

    name: str
    since: str
    """Its last day, or what is known of it."""
