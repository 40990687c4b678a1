"""What a cluster says of itself: its controller, its nodes, the user's accounts and quotas, its modules.

Formats: slurm.schedmd.com, pages scontrol, sinfo and sacctmgr; checked on outputs of Slurm 22.05.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cluster.commands import ask
from cluster.profile.load import SlurmProfile
from cluster.profile.rules import Accounts
from cluster.provenance import ROOT
from cluster.quantities import duration_s
from cluster.quota import Quota, read_quotas
from cluster.site.environment import job_lines
from cluster.slurm import client
from cluster.slurm.limits import Association, ask_associations
from cluster.slurm.shares import bare

SINFO = ("--noheader", "--noconvert", "--exact", "--format=%D|%c|%m|%G|%P|%l")
MODULES_S = 120.0
COMPUTE_S = 900.0
"""How long to wait for the one-minute job to have run."""
NOT_SEEN = "not seen"
PROBE = (
    "command -v scontrol > /dev/null && echo scontrol=yes || echo scontrol=no; "
    "timeout 10 bash -c 'exec 3<> /dev/tcp/huggingface.co/443' 2> /dev/null && echo internet=yes || echo internet=no; "
    'if [ -n "$SLURM_TMPDIR" ]; then echo "tmpdir=$(stat -f -c %T "$SLURM_TMPDIR")"; fi'
)
GPU = re.compile(
    r"(?:^|,)gpu(?::(?P<word>(?!no_consume)[^:,()]+))?(?::no_consume)?:(?P<count>\d+(?:\.\d+)?K?)(?=[(,]|$)"
)
"""One kind of GPU: `gpu:a100:4(S:0-1)`, or `gpu:4` where a site knows no words for them."""
UNTYPED = ""
"""The word for a GPU where a site knows none."""


@dataclass(frozen=True)
class Shape:
    """Nodes of one shape in one partition, as `sinfo` groups them."""

    nodes: int
    cores: int
    mem_mb: int
    gpus: Mapping[str, int]
    """Number of each word of GPU, on one node."""
    partition: str
    longest_min: int | None
    """Of the partition; None is no limit."""


@dataclass(frozen=True)
class Live:
    """What the cluster says of itself; None is what it does not say."""

    config: Mapping[str, str] | None = None
    shapes: tuple[Shape, ...] = ()
    accounts: tuple[str, ...] | None = None
    quotas: tuple[Quota, ...] = ()
    modules: str | None = None
    """Why the modules of the profile cannot be loaded; empty if they can; None where there is no module command."""
    compute: Mapping[str, str] = field(default_factory=dict)
    """What a compute node sees; `NOT_SEEN` alone, with why, where the job that looks did not run."""


def observe(profile: SlurmProfile, environ: Mapping[str, str], compute: bool) -> Live:
    """Ask the cluster."""
    config = client.ask("scontrol", "show", "config")
    return Live(
        config=parse_config(config) if config else None,
        shapes=tuple(parse_sinfo(client.ask("sinfo", *SINFO) or "")),
        accounts=user_accounts(),
        quotas=tuple(read_quotas()),
        modules=_modules(profile, environ),
        compute=_compute(profile) if compute else {},
    )


def parse_config(text: str) -> dict[str, str]:
    """`scontrol show config` by name; a value that is `(null)` counts as empty."""
    rows = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): "" if value.strip() == "(null)" else value.strip() for key, _, value in rows}


def parse_sinfo(text: str) -> list[Shape]:
    """Lines of `nodes|cores|memory|gres|partition|timelimit`, as `SINFO` asks for them."""
    shapes = []
    for line in text.splitlines():
        cells = line.strip().split("|")
        if len(cells) == 6:
            with contextlib.suppress(ValueError):  # a line of the site's that is none of sinfo's
                shapes.append(_shape(*cells))
    return shapes


def _shape(nodes: str, cores: str, mem: str, gres: str, partition: str, limit: str) -> Shape:
    gpus: Counter[str] = Counter()
    for found in GPU.finditer(gres):
        gpus[found["word"] or UNTYPED] += _number(found["count"])
    numbers = _number(nodes), _number(cores), _number(mem)
    return Shape(*numbers, dict(gpus), partition.rstrip("*"), _minutes(limit))


def user_accounts() -> tuple[str, ...] | None:
    """Accounts that the user may name in a job; None where Slurm has no accounting.

    Associations of the Alliance end in `_cpu` and `_gpu`, names to submit under do not
    (docs.alliancecan.ca, pages Running_jobs and Job_scheduling_policies).
    """
    known = ask_associations()
    return None if known is None else accounts_of(known)


def accounts_of(associations: Iterable[Association]) -> tuple[str, ...]:
    """Names to submit under."""
    return tuple(sorted({bare(one.account) for one in associations}))


def accounts_from(associations: Iterable[Association] | None) -> Accounts | None:
    """What tells the names; None where Slurm does not know of accounts."""
    if associations is None:
        return None
    names = accounts_of(associations)
    return lambda: names


def _modules(profile: SlurmProfile, environ: Mapping[str, str]) -> str | None:
    """Whether a fresh login shell can load the profile's modules."""
    if not profile.software.modules or ask("bash", "-lc", "type module") is None:
        return None
    lines = [f"cd {shlex.quote(str(ROOT))}", "export LAYALIGN_STEP=modules", *job_lines(profile, environ)]
    script = "\n".join(lines)
    told = ask(
        "bash", "-lc", f'said=$( (\n{script}\n) 2>&1 ) || printf %s "$said" | tail -1', timeout_s=MODULES_S
    )
    return (told or "").strip()


def loadable(profile: SlurmProfile, environ: Mapping[str, str]) -> list[tuple[tuple[str, ...], str | None]]:
    """Each choice of modules of a profile, with why it cannot be loaded here: empty if it can, None if nobody knows."""
    found = []
    for choice in (profile.software.modules, *profile.software.choices):
        fault = _modules(replace(profile, software=replace(profile.software, modules=choice)), environ)
        found.append((choice, fault))
        if fault is None:
            break
    return found


def module_lines(profile: SlurmProfile, environ: Mapping[str, str]) -> list[str]:
    """What `launch.py env` says of the modules: whether those of the profile load, else which to take instead."""
    known = loadable(profile, environ)
    names, fault = known[0]
    if not names or fault is None:
        return ["# modules: not looked at, there is no module command here"] if names else []
    lines = [f"# modules: {' '.join(names)} {f'cannot be loaded: {fault}' if fault else 'load'}"]
    for choice, other in known[1:]:
        if not other:
            take = "" if not fault else f"; to take them: -o cluster.software.modules='[{', '.join(choice)}]'"
            lines.append(f"# modules: {' '.join(choice)} load too{take}")
    if fault and len(lines) == 1:
        lines.append(
            "# modules: none of the choices of the profile loads: see `module spider`, and write your own"
        )
    return lines


def _compute(profile: SlurmProfile) -> dict[str, str]:
    """What a compute node sees, through a one-minute job."""
    kind = profile.hardware.kinds[0]
    options = [
        "--nodes=1",
        "--ntasks=1",
        f"--time={profile.walltime.shortest or 1}",
        "--job-name=layalign-doctor",
    ]
    if profile.account:
        options.append(f"--account={profile.account}")
    if profile.hardware.memory:
        options.append("--mem=500M")
    if kind.per_node and kind.gpu:
        options.append(
            f"--gpus-per-node={f'{kind.gpu}:' if profile.hardware.typed else ''}{min(kind.per_node)}"
        )
    words = (*options, "bash", "-c", PROBE)
    answer = client.run("srun", *words, timeout_s=COMPUTE_S)
    if not answer.ok:
        last = (answer.err.splitlines() or [answer.said])[-1]
        return {NOT_SEEN: f"{last}; {client.line('srun', *words)}"}
    return dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)


def _minutes(limit: str) -> int | None:
    """A partition's time limit; None is no limit."""
    seconds = duration_s(limit)
    return None if seconds is None else round(seconds / 60)


def _number(text: str) -> int:
    """`48`, `48+` where sinfo found more on some nodes, or `1.50K` of 1024 each where it converts."""
    number, thousands, _ = text.rstrip("+").partition("K")
    if not re.fullmatch(r"\d{1,15}(?:\.\d{1,15})?", number):
        raise ValueError(f"{text[:80]!r} is no number")
    return round(float(number) * (1024 if thousands else 1))
