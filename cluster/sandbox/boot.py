"""Start the daemons of a sandbox, in the order in which they need each other."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from cluster.errors import ClusterError
from cluster.sandbox.conf import CONTROLLER, DATABASE, Places
from cluster.sandbox.network import environment, prefix_of, processes, start
from cluster.sandbox.shape import Shape

DBD_PORT = 6819
WAIT_S = 60.0
SLOW_START_S = 5.0
"""A daemon that is not there after this has ended."""
POLL_S = 0.05
LAST_LINES = 5


def boot(shape: Shape, places: Places) -> None:
    """Start everything and wait until all nodes are idle.

    Raises:
        ClusterError: a daemon does not come up; with the last lines of its log.
    """
    _start_munge(places)
    if shape.accounting:
        _start_database(places)
    _start(places, "slurmctld", "-D", "-i")
    for node, _ in shape.nodes():
        start_slurmd(places.root, node)
    _wait("slurmctld", places, lambda: _runs(places, "scontrol", "ping"))
    if shape.accounting:
        _add_accounts(places)
    _wait_idle(places, {name for name, _ in shape.nodes()})


def start_slurmd(root: Path, node: str) -> None:
    """Start the daemon of a node."""
    log = root / "log" / f"slurmd.{node}.log"
    start(prefix_of(root), node, root / "etc", ["slurmd", "-D", "-N", node], log)


def _start(places: Places, *command: str) -> None:
    """Start a daemon next to the controller; what it prints joins its log."""
    start(prefix_of(places.root), CONTROLLER, places.etc, command, places.log / f"{command[0]}.log")


def _start_munge(places: Places) -> None:
    files = {
        "key-file": places.etc / "munge.key",
        "socket": places.munge,
        "pid-file": places.root / "run" / "munged.pid",
        "log-file": places.log / "munged.log",
        "seed-file": places.root / "munge" / "seed",
    }
    _start(places, "munged", "--foreground", "--force", *(f"--{key}={value}" for key, value in files.items()))
    _wait("munged", places, lambda: _runs(places, "munge", "-n", "-S", str(places.munge)))


def _start_database(places: Places) -> None:
    folder, sock = places.root / "mysql", places.root / "run" / "mysql.sock"
    common = ["--no-defaults", "--user=root", f"--datadir={folder}"]
    install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
    _check(places, *install)
    sizes = [
        "--innodb-buffer-pool-size=64M",
        "--innodb-log-file-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
    ]
    quiet = [
        "--innodb-lock-wait-timeout=900",
        "--performance-schema=OFF",
        "--skip-log-bin",
        "--skip-name-resolve",
    ]
    reach = [f"--socket={sock}", "--bind-address=127.0.0.1", f"--pid-file={places.root}/run/mariadbd.pid"]
    _start(places, "mariadbd", *common, *reach, *sizes, *quiet)
    sql = ["mariadb", "--no-defaults", "-uroot", f"--socket={sock}", "-e"]
    _wait("mariadbd", places, lambda: _runs(places, *sql, "select 1"))
    _check(
        places,
        *sql,
        f"create database {DATABASE}; create user slurm@'127.0.0.1' identified by 'slurm'; "
        f"grant all on {DATABASE}.* to slurm@'127.0.0.1'",
    )
    _start(places, "slurmdbd", "-D")
    _wait("slurmdbd", places, lambda: _listens(places.controller, DBD_PORT))


def _add_accounts(places: Places) -> None:
    """After the controller, which registers the GPUs that limits may name."""
    _check(places, "sacctmgr", "-i", given=(places.etc / "qos").read_text())
    _check(places, "sacctmgr", "-i", "load", f"file={places.etc / 'accounts'}")


def _wait(daemon: str, places: Places, ready: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not ready():
        waited = time.monotonic() - started
        if waited > WAIT_S or (waited > SLOW_START_S and not _lives(daemon, places)):
            raise ClusterError(f"{daemon} of the sandbox did not start; {_end_of(places, daemon)}")
        time.sleep(POLL_S)


def _wait_idle(places: Places, nodes: set[str]) -> None:
    command = ["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"]
    started = time.monotonic()
    while waiting := sorted(nodes - set(run(places.root, *command).stdout.split())):
        if time.monotonic() - started > WAIT_S:
            raise ClusterError(
                f"{', '.join(waiting)} did not start; {_end_of(places, f'slurmd.{waiting[0]}')}"
            )
        time.sleep(POLL_S)


def _end_of(places: Places, log: str) -> str:
    path = places.log / f"{log}.log"
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "its log ends with:\n" + "\n".join(lines[-LAST_LINES:])


def _lives(daemon: str, places: Places) -> bool:
    for pid in processes(prefix_of(places.root), CONTROLLER):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == daemon:
                return True
    return False


def _listens(address: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((address, port)) == 0


def run(root: Path, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """A command of Slurm, on a sandbox."""
    environ = environment(root / "etc")
    return subprocess.run(command, env=environ, input=given, capture_output=True, text=True, check=False)


def _runs(places: Places, *command: str) -> bool:
    return run(places.root, *command).returncode == 0


def _check(places: Places, *command: str, given: str | None = None) -> None:
    ran = run(places.root, *command, given=given)
    if ran.returncode:
        raise ClusterError(f"{command[0]} of the sandbox failed: {(ran.stderr or ran.stdout).strip()}")
