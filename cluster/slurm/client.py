"""The one place that runs Slurm's commands: in an environment of ours, with a limit of time, and one way to fail.

What a `.bashrc` or another job has set for a command changes what it asks and how it answers: with
`SQUEUE_STATES=RUNNING` a waiting job is nowhere, with `SLURM_TIME_FORMAT` no time can be read, with `SBATCH_WAIT`
sbatch returns when the job is over. The pages of the commands (slurm.schedmd.com) list them. submitit could call sbatch
too; it only writes the script (`cluster.slurm.script`).
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Command = Literal["sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun", "sshare"]
PATIENCE_S = 60.0
"""How long a command may take, where its caller does not say."""
CONFIG_S = 15.0
"""The same for the name of the cluster: without it heartbeats decide."""
TIMEOUT = "/usr/bin/timeout"
"""Of the GNU core utilities."""
KILL_S = 5
"""After this a command that its limit has not ended is killed."""
TIMED_OUT = (124, 137, -9)
"""Exit status of timeout(1) where the limit was reached, and where the command had to be killed."""
KEPT = ("SLURM_CONF", "SLURM_JWT", "SLURM_SACK_SOCKET")
"""They say which cluster this is, and who asks (slurm.schedmd.com/jwt.html; a job of ours forgets the token).
`SLURM_CLUSTERS` does not stay: ids would be of another cluster than the one asked."""
FOR_SLURM = re.compile(
    r"S(?:LURM|LURMD|BATCH|ALLOC|RUN|QUEUE|ACCT|ACCTMGR|CONTROL|INFO|CANCEL|SHARE|PRIO|STAT|REPORT|DIAG)_"
    r"|SUBMITIT_|PMIX?_"
)
OURS = {"SLURM_BITSTR_LEN": "0", "LC_ALL": "C"}
"""Lists of array elements are not cut after 64 bytes, and messages are the ones that we look for."""
STARTERS = ("sbatch", "srun")
"""Commands whose environment becomes that of a job: nothing is added to it."""


@dataclass(frozen=True)
class Answer:
    """What became of a command."""

    status: int
    """Its exit status; a shell's for one that is missing (127) or was too slow (124)."""
    out: str
    err: str
    fault: Literal["", "missing", "slow"] = ""
    """Why it did not answer at all."""

    @property
    def ok(self) -> bool:
        """It did what it was to do."""
        return self.status == 0

    @property
    def said(self) -> str:
        """Its complaint, in a line."""
        return " ".join((self.err or self.out).split()) or f"exit status {self.status}"


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without what another job, or a `.bashrc`, has set for Slurm.

    `SBATCH_*` would go before the script, `SLURM_CPU_BIND` and the like would reach the tasks.
    """
    return {name: value for name, value in environ.items() if name in KEPT or not FOR_SLURM.match(name)}


def installed(command: Command) -> bool:
    """Whether this machine has a command."""
    return shutil.which(command) is not None


def run(command: Command, *words: str, timeout_s: float | None = None, cwd: Path | None = None) -> Answer:
    """Run a command and hear what it says; that it is missing or too slow is a failure like others.

    Args:
        command: its name.
        words: its arguments.
        timeout_s: how long it may take; None is `PATIENCE_S`.
        cwd: the folder that it runs in, which becomes that of a job.
    """
    limit_s = PATIENCE_S if timeout_s is None else timeout_s
    try:
        ran = subprocess.run(
            [command, *words],
            cwd=cwd,
            env=_environment(command, os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # names of others may be anything
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError:
        return Answer(127, "", f"there is no {command} on this machine", "missing")
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"{command} timed out: no answer within {limit_s:.0f} s", "slow")
    except OSError as error:
        return Answer(126, "", f"{command} cannot be run: {error.strerror}", "missing")
    return Answer(ran.returncode, ran.stdout, ran.stderr)


def run_bounded(command: Command, *words: str, timeout_s: float, cwd: Path) -> Answer:
    """Run a command that changes something: it may outlive this process, and never its limit of time.

    timeout(1) stands between the two, in a process group of its own: neither Ctrl-C nor the end of a login, and not
    even a SIGKILL of this process, keeps the command from ending by itself or the limit from ending it.

    Args:
        command: its name.
        words: its arguments.
        timeout_s: how long it may take.
        cwd: the folder that it runs in, which becomes that of a job.
    """
    limit = [TIMEOUT, f"--kill-after={KILL_S}", f"{timeout_s:.0f}"]
    if not installed(command):
        return Answer(127, "", f"there is no {command} on this machine", "missing")
    process = subprocess.Popen(
        [*limit, command, *words],
        cwd=cwd,
        env=_environment(command, os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    out, err = process.communicate()
    if process.returncode in TIMED_OUT:
        return Answer(124, out, f"{command} timed out: no answer within {timeout_s:.0f} s", "slow")
    return Answer(process.returncode, out, err)


def ask(command: Command, *words: str, timeout_s: float | None = None) -> str | None:
    """What a command prints; None if it is not there, fails, or does not answer in time."""
    answer = run(command, *words, timeout_s=timeout_s)
    return answer.out if answer.ok else None


def show(command: Command, *words: str, environ: Mapping[str, str], cwd: Path) -> int:
    """Run a command that prints to the terminal, for as long as it takes; its exit status.

    Args:
        command: its name.
        words: its arguments.
        environ: of the process, with what its job is to know.
        cwd: the folder that it runs in.
    """
    try:
        return subprocess.run(
            [command, *words], cwd=cwd, env=_environment(command, environ), check=False
        ).returncode
    except OSError:
        return 127


def this_cluster() -> str | None:
    """The name of the cluster that the commands speak of, as Slurm has it; None if nobody tells. Asked for once."""
    if os.environ.get("SLURM_JOB_ID") and (told := os.environ.get("SLURM_CLUSTER_NAME")):
        return told
    return _cluster_of(os.environ.get("SLURM_CONF"), os.environ.get("PATH"))


@functools.cache
def _cluster_of(conf: str | None, path: str | None) -> str | None:
    """What the controller says; its arguments are what its answer hangs on."""
    told = ask("scontrol", "show", "config", timeout_s=CONFIG_S) or ""
    found = re.search(r"^ClusterName\s*=\s*(\S+)", told, re.MULTILINE)
    return found[1] if found else None


def line(command: Command, *words: str) -> str:
    """A command as a user would type it."""
    return shlex.join([command, *words])


def _environment(command: Command, environ: Mapping[str, str]) -> dict[str, str]:
    return {**scrubbed(environ), **({} if command in STARTERS else OURS)}
