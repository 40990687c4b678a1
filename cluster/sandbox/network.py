"""Machines of a sandbox: a network namespace each, joined by a bridge that lies in the controller's.

Whatever runs in these namespaces belongs to the sandbox and nothing else does: that is how its processes are
known, also after a crash in the middle of starting it. The machine itself gets one link and no rule, route or file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from cluster.errors import ClusterError
from cluster.sandbox.conf import CONTROLLER, Places

NAMESPACES = Path("/run/netns")
CGROUPS = Path("/sys/fs/cgroup")
HIERARCHIES = ("freezer", "memory")
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
END_S = 20.0
RANGE = "198.18.0.0/15"
"""Reserved for tests inside one network (RFC 2544), so no real host is hidden."""


def prefix_of(root: Path) -> str:
    """What the names of a sandbox's namespaces, link and cgroups begin with; one per root folder."""
    return "lay" + hashlib.sha256(str(root).encode()).hexdigest()[:8]


def free_subnet(prefix: str) -> str:
    """The first three numbers of a /24 network that this machine has no route to.

    Raises:
        ClusterError: there is none.
    """
    routes = json.loads(_ip("-j", "-4", "route", "show", "table", "all"))
    taken = [IPv4Network(r["dst"], strict=False) for r in routes if r["dst"][0].isdecimal()]
    every = list(IPv4Network(RANGE).subnets(new_prefix=24))
    first = int(prefix.removeprefix("lay"), 16) % len(every)
    for subnet in every[first:] + every[:first]:
        if not any(subnet.overlaps(route) for route in taken):
            return str(subnet).rpartition(".")[0]
    raise ClusterError(
        f"this machine has routes to all of {RANGE}, where sandboxes live; remove one (ip route)"
    )


def lay_out(prefix: str, places: Places, nodes: Iterable[str]) -> None:
    """Make the namespaces of the controller and of the nodes, and join them and this machine."""
    hub = _space(prefix, CONTROLLER)
    _ip("netns", "add", hub)
    _batch(hub, "link set lo up", "link add bridge type bridge", *_up("bridge", places.controller))
    _ip("link", "add", prefix, "type", "veth", "peer", "name", "login", "netns", hub)
    _batch(None, *_up(prefix, places.login))
    _batch(hub, "link set login master bridge up")
    for node in nodes:
        _ip("netns", "add", _space(prefix, node))
        _batch(
            hub,
            f"link add {node} type veth peer name eth0 netns {_space(prefix, node)}",
            f"link set {node} master bridge up",
        )
        _batch(_space(prefix, node), "link set lo up", *_up("eth0", places.node(node)))


def make_cgroups(prefix: str) -> bool:
    """A folder for the sandbox in the cgroup hierarchies (version 1) that limit memory; False without them."""
    folders = [CGROUPS / hierarchy for hierarchy in HIERARCHIES]
    if not all((folder / "tasks").exists() and os.access(folder, os.W_OK) for folder in folders):
        return False
    for folder in folders:
        (folder / prefix).mkdir(exist_ok=True)
    return True


def environment(etc: Path) -> dict[str, str]:
    """Of everything that a sandbox runs: nothing of the caller's, who may be a job of another Slurm."""
    return {"PATH": SYSTEM_PATH, "SLURM_CONF": str(etc / "slurm.conf"), "LC_ALL": "C.UTF-8"}


def start(prefix: str, machine: str, etc: Path, command: Sequence[str], log: Path) -> None:
    """Start a daemon on a machine of the sandbox; it outlives this process.

    Args:
        prefix: of the sandbox.
        machine: a node's name, or the controller's.
        etc: folder of the configuration.
        command: the daemon, which stays in the foreground.
        log: file that gets what it prints.
    """
    group = prefix if (CGROUPS / HIERARCHIES[0] / prefix).exists() else ""
    space = NAMESPACES / _space(prefix, machine)
    # Nothing is left behind to enter the namespace later, when the sandbox may have been cleared: fork inside it.
    inside = ["nsenter", f"--net={space}", "setsid", "--fork", "unshare", "--uts", "--mount", "--"]
    enter = [str(etc / "enter"), machine, str(etc / "hosts"), group]
    with log.open("ab") as out:
        subprocess.run(
            [*inside, *enter, *command],
            env=environment(etc),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            check=True,
        )


def processes(prefix: str, machine: str = "") -> dict[int, str]:
    """Living processes of a sandbox, or of one machine of it: process id and machine."""
    spaces = _spaces(prefix)
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    found = {pid: where for pid in pids if (where := _machine_of(pid, spaces))}
    return {pid: where for pid, where in found.items() if machine in ("", where)}


def kill(prefix: str, machine: str = "") -> None:
    """End all processes of a sandbox, or of one machine of it, as a power cut would.

    Raises:
        ClusterError: some are still there after twenty seconds.
    """
    spaces, end = _spaces(prefix), time.monotonic() + END_S
    while living := processes(prefix, machine):
        _thaw(prefix, machine)
        for pid, where in living.items():
            with contextlib.suppress(ProcessLookupError), _handle(pid) as handle:
                if _machine_of(pid, spaces) == where:  # its number may have passed to another meanwhile
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
        if time.monotonic() > end:
            raise ClusterError(f"processes {sorted(living)} of the sandbox do not end; look at them with ps")
        time.sleep(0.02)


def remains(prefix: str) -> bool:
    """Whether anything of a sandbox is there."""
    folders = [CGROUPS / hierarchy / prefix for hierarchy in HIERARCHIES]
    return bool(_spaces(prefix)) or any(path.exists() for path in [*folders, Path("/sys/class/net") / prefix])


def clear(prefix: str) -> None:
    """Remove the namespaces, the link and the cgroups of a sandbox, however far it had come."""
    for path in NAMESPACES.glob(f"{prefix}-*"):
        _ip("netns", "delete", path.name)
    # The other end vanishes with its namespace, a little later.
    subprocess.run(["ip", "link", "delete", prefix], stderr=subprocess.DEVNULL, check=False)
    for hierarchy in HIERARCHIES:
        folder = CGROUPS / hierarchy / prefix
        for path in sorted(folder.glob("**/"), reverse=True):
            _remove_cgroup(path)


def _thaw(prefix: str, machine: str) -> None:
    """Suspended processes do not even take SIGKILL."""
    folder = CGROUPS / "freezer" / prefix / (f"slurm_{machine}" if machine else "")
    for path in folder.glob("**/freezer.state"):
        with contextlib.suppress(OSError):
            path.write_text("THAWED")


def _remove_cgroup(path: Path) -> None:
    end = time.monotonic() + END_S
    while True:
        try:
            path.rmdir()
            return
        except OSError:  # busy until the kernel has buried the last process
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[int]:
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def _space(prefix: str, machine: str) -> str:
    return f"{prefix}-{machine}"


def _spaces(prefix: str) -> dict[tuple[int, int], str]:
    """The network namespaces of a sandbox: identity and machine."""
    paths = NAMESPACES.glob(f"{prefix}-*")
    return {_identity(path): path.name.removeprefix(f"{prefix}-") for path in paths}


def _machine_of(pid: int, spaces: dict[tuple[int, int], str]) -> str | None:
    try:
        return spaces.get(_identity(Path(f"/proc/{pid}/ns/net")))
    except OSError:  # it has ended; a zombie has no namespace either
        return None


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _up(link: str, address: str) -> list[str]:
    return [f"address add {address}/24 dev {link}", f"link set {link} up"]


def _batch(space: str | None, *commands: str) -> None:
    """Commands of ip(8) in a namespace, or on this machine."""
    inside = ["-n", space] if space else []
    _ip(*inside, "-batch", "-", given="\n".join(commands) + "\n")


def _ip(*words: str, given: str | None = None) -> str:
    ran = subprocess.run(["ip", *words], input=given, capture_output=True, text=True, check=False)
    if ran.returncode:
        command = " ".join(["ip", *words])
        raise ClusterError(
            f"a network of the sandbox cannot be made: {command} says {ran.stderr.strip()!r}; it needs root with "
            "the rights to make network namespaces (in a container: --privileged)"
        )
    return ran.stdout
