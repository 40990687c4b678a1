"""Compare a cluster's profile with the cluster itself, and say which line of the profile to change.

Reads `scontrol show config`, `sinfo`, `sacctmgr`, the disk quotas and the modules; with a one-minute job also what a
compute node can see. What a site hides (no accounting, no quota command) is said to be unknown, never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cluster.errors import ClusterError
from cluster.profile.facts import Area, NodeKind
from cluster.profile.load import PROFILES, SlurmProfile
from cluster.profile.profile_file import Cluster, ProfileFile
from cluster.profile.schema import line_of
from cluster.provenance import ROOT
from cluster.quota import Quota
from cluster.site.environment import home, state
from cluster.site.live import NOT_SEEN, UNTYPED, Live, Shape, observe

Mark = Literal["same", "differs", "unknown", "told"]


@dataclass(frozen=True)
class Finding:
    """One fact, as the profile has it and as the cluster does."""

    mark: Mark
    key: str
    """Key of the profile, or the name of what was looked at."""
    text: str

    def line(self, cluster: Cluster) -> str:
        """A line of the report; a difference names the line to change."""
        if self.mark != "differs":
            return f"{self.mark:<8} {self.key}: {self.text}"
        return f"{self.mark:<8} {self.key}: {self.text}; change {where(cluster, self.key)}"


def where(cluster: Cluster, key: str) -> str:
    """Where a key of a profile stands: `cluster/profiles/narval.yaml:43`."""
    path = PROFILES / f"{cluster}.yaml"
    known = isinstance(cluster, str) and path.is_file()
    file = ProfileFile(str(path), path.read_text(encoding="utf-8")) if known else cluster
    if isinstance(file, str):
        return f"{key} in your own profiles"
    name = str(path.relative_to(ROOT)) if file is not cluster else file.path
    return f"{name}:{line_of(file.text, key) or 1}"


def examine(profile: SlurmProfile, environ: Mapping[str, str], compute: bool) -> list[Finding]:
    """Everything that can be found out from here.

    Args:
        profile: of the cluster that this machine belongs to.
        environ: of the user.
        compute: also run a one-minute job.

    Raises:
        ClusterError: there is no Slurm here.
    """
    live = observe(profile, environ, compute)
    if live.config is None and not live.shapes:
        raise ClusterError(
            f"no Slurm answers here (scontrol, sinfo): run the doctor on a login node of {profile.name}"
        )
    return compare(profile, live, environ)


def compare(profile: SlurmProfile, live: Live, environ: Mapping[str, str]) -> list[Finding]:
    """The profile beside the cluster."""
    return [
        *_controller(profile, live.config or {}),
        *_nodes(profile, live.shapes),
        *_walltime(profile, live.shapes),
        *_account(profile, live.accounts),
        *_areas(profile, live.quotas, environ),
        *_software(profile, live.modules, environ),
        *_seen_from_compute(profile, live.compute),
        *(Finding("told", "reported", hint) for hint in profile.hints),
    ]


def _controller(profile: SlurmProfile, config: Mapping[str, str]) -> Iterable[Finding]:
    if not config:
        yield Finding("unknown", "limits.array", "scontrol show config does not answer")
        return
    yield Finding(
        "told", "Slurm", f"version {config.get('SLURM_VERSION')}, cluster {config.get('ClusterName')}"
    )
    if config.get("MaxArraySize", "").isdecimal():
        yield _check("limits.array", profile.limits.array, int(config["MaxArraySize"]))
    if "JobRequeue" in config:
        yield _check("continuation.requeue", profile.continuation.requeue, config["JobRequeue"] == "1")
    if "PreemptType" in config:
        preempts = config["PreemptType"] not in ("", "preempt/none")
        yield _check("continuation.preemption", profile.continuation.preemption, preempts)


def _nodes(profile: SlurmProfile, shapes: tuple[Shape, ...]) -> Iterable[Finding]:
    if not shapes:
        yield Finding("unknown", "hardware.kinds", "sinfo does not answer")
        return
    words = {word for kind in profile.hardware.kinds for word in kind.words()}
    if profile.hardware.typed and {word for shape in shapes for word in shape.gpus} == {UNTYPED}:
        yield Finding("differs", "hardware.typed", "the profile says yes, no GPU of the cluster has a word")
    for at, kind in enumerate(profile.hardware.kinds):
        yield from _kind(f"hardware.kinds[{at}]", kind, shapes)
    for word in sorted({word for shape in shapes for word in shape.gpus} - words - {UNTYPED}):
        nodes = sum(counts[word] for counts in _per_shape(shapes) if word in counts)
        yield Finding(
            "differs", "hardware.kinds", f"the cluster has a GPU {word!r}, {nodes} of them, the profile none"
        )


def _kind(key: str, kind: NodeKind, shapes: tuple[Shape, ...]) -> Iterable[Finding]:
    """Nodes of one kind against those that have its GPU; the most common shape counts."""
    if kind.gpu is None:
        return
    word = kind.gpu if any(kind.gpu in shape.gpus for shape in shapes) else UNTYPED
    having = [shape for shape in shapes if word in shape.gpus]
    if not having:
        yield Finding("differs", f"{key}.gpu", f"the profile says {kind.gpu}, no node has it")
        return
    ours = (kind.gpus, kind.cores) if word == UNTYPED else None  # which tell apart what has no word
    whole = max(having, key=lambda one: ((one.gpus[word], one.cores) == ours, one.gpus[word], one.nodes))
    yield _check(f"{key}.gpus", kind.gpus, whole.gpus[word])
    yield _check(f"{key}.cores", kind.cores, whole.cores)
    if whole.mem_mb < kind.mem_mb:
        yield Finding(
            "differs", f"{key}.mem_mb", f"the profile says {kind.mem_mb}, a node has {whole.mem_mb}"
        )
    for part in kind.slices:
        seen = any(word in shape.gpus for shape in shapes for word in (part.word, *part.synonyms))
        mark: Mark = "same" if seen else "differs"
        yield Finding(mark, f"{key}.slices", f"{part.word} {'is there' if seen else 'is on no node'}")


def _walltime(profile: SlurmProfile, shapes: tuple[Shape, ...]) -> Iterable[Finding]:
    ours = {kind.partition or profile.hardware.partition for kind in profile.hardware.kinds}
    limits = {shape.longest_min for shape in shapes if None in ours or shape.partition in ours}
    if not limits:
        return
    longest = None if None in limits else max(limit for limit in limits if limit is not None)
    if longest is not None and longest < profile.walltime.longest:
        text = f"the profile says {profile.walltime.longest} minutes, no partition allows more than {longest}"
        yield Finding("differs", "walltime.longest", text)
    else:
        yield Finding("same", "walltime.longest", f"{profile.walltime.longest} minutes")


def _account(profile: SlurmProfile, accounts: tuple[str, ...] | None) -> Iterable[Finding]:
    if not profile.accounts.needed:
        yield Finding("told", "account", "jobs name none")
    elif accounts is None:
        yield Finding("unknown", "account", "sacctmgr does not answer")
    elif profile.account in accounts:
        yield Finding("same", "account", str(profile.account))
    else:
        have = f"you have {', '.join(accounts) or 'none'}"
        text = "none is set" if profile.account is None else f"{profile.account} is not yours"
        yield Finding("told", "account", f"{text}; {have}; set it in your own profiles, or give --account")


def _areas(profile: SlurmProfile, quotas: tuple[Quota, ...], environ: Mapping[str, str]) -> Iterable[Finding]:
    """The quotas of the profile against those that the site reports, mount by mount."""
    for name in ("home", "project", "scratch"):
        area: Area = getattr(profile.storage, name)
        mine = [quota for quota in quotas if quota.mount.strip("/") == name]
        for quota in mine[:1] if name != "project" else [q for q in mine if q.owner == profile.account]:
            yield _close(f"storage.{name}.quota_gb", area.quota_gb, round(quota.most / 1e9))
            yield _close(f"storage.{name}.files", area.files, quota.most_files)
        yield from _folder(name, area, profile, environ)


def _folder(name: str, area: Area, profile: SlurmProfile, environ: Mapping[str, str]) -> Iterable[Finding]:
    try:
        folder = area.folder(environ, profile.account)
    except ClusterError as error:
        yield Finding("told", f"storage.{name}.path", str(error))
        return
    if not folder.is_dir():
        yield Finding("differs", f"storage.{name}.path", f"{folder} does not exist")
    elif not os.access(folder, os.W_OK):
        yield Finding("told", f"storage.{name}.path", f"{folder} cannot be written from here")
    else:
        yield Finding("same", f"storage.{name}.path", str(folder))


def _software(profile: SlurmProfile, modules: str | None, environ: Mapping[str, str]) -> Iterable[Finding]:
    names = " ".join(profile.software.modules)
    if modules is None:
        if names:
            yield Finding("unknown", "software.modules", "there is no module command here")
    elif modules:
        yield Finding("differs", "software.modules", modules)
    else:
        yield Finding("same", "software.modules", names)
    if profile.name != "sandbox":
        yield Finding("told", "environment", f"{home(profile, environ)}: {state(profile, environ)}")


def _seen_from_compute(profile: SlurmProfile, seen: Mapping[str, str]) -> Iterable[Finding]:
    if not seen:
        yield Finding("unknown", "compute nodes", "not looked at (--compute runs a one-minute job)")
        return
    if NOT_SEEN in seen:
        yield Finding("unknown", "compute nodes", f"the job that looks at one did not run: {seen[NOT_SEEN]}")
        return
    yield _check(
        "continuation.scontrol_in_job", profile.continuation.scontrol_in_job, seen["scontrol"] == "yes"
    )
    if profile.network.internet != "proxy":
        yield _check("network.internet", profile.network.internet, seen["internet"])
    if "tmpdir" in seen and profile.name != "sandbox":  # whose disks are pretended, as its GPUs are
        kind = "memory" if seen["tmpdir"] in ("tmpfs", "ramfs") else "disk"
        yield _check("storage.local", profile.storage.local, kind)


def _check(key: str, ours: object, theirs: object) -> Finding:
    """A fact of the profile beside that of the cluster."""
    if ours == theirs:
        return Finding("same", key, _say(ours))
    return Finding("differs", key, f"the profile says {_say(ours)}, the cluster {_say(theirs)}")


def _close(key: str, ours: int | None, theirs: int) -> Finding:
    """As `_check`, where pages and commands round: a tenth more or less is the same."""
    near = ours is not None and abs(ours - theirs) <= 0.1 * theirs
    return Finding("same", key, _say(ours)) if near else _check(key, ours, theirs)


def _say(value: object) -> str:
    if value is None:
        return "unknown"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _per_shape(shapes: tuple[Shape, ...]) -> Iterable[dict[str, int]]:
    """GPUs of each distinct shape; a node is in several partitions and counts once."""
    distinct = {
        (shape.nodes, shape.cores, shape.mem_mb, tuple(sorted(shape.gpus.items()))) for shape in shapes
    }
    for nodes, _, _, gpus in distinct:
        yield {word: nodes * count for word, count in gpus}
