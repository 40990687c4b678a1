"""A throwaway multi-node Slurm on this machine, shaped like a cluster: for rehearsals and for tests.

It needs root and the packages of Slurm, no systemd. Everything lies in one folder, in network namespaces and
cgroups of its own; a Slurm that this machine may have is never touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import read_json, write_atomic, write_json_atomic
from cluster.sandbox import network as net
from cluster.sandbox.boot import boot, run, start_slurmd
from cluster.sandbox.conf import Places, conf_files, gpu_files
from cluster.sandbox.shape import Shape

DEFAULT_ROOT = "/dev/shm/layalign-sandbox"
MAX_NODES = 250
"""What one /24 network holds."""
CLIENTS = ["sacct", "sacctmgr", "salloc", "sbatch", "scancel", "scontrol", "sinfo", "sprio", "squeue"]
CLIENTS += ["srun", "sshare", "sstat"]
DAEMONS = ["slurmctld", "slurmd", "munged"]
ACCOUNTING = ["slurmdbd", "mariadbd", "mariadb", "mariadb-install-db"]
TOOLS = ["ip", "nsenter", "unshare", "setsid"]
INSTALL = (
    "apt-get update && apt-get install -y --no-install-recommends "
    "slurmctld slurmd slurm-client slurmdbd munge mariadb-server iproute2"
)
NEEDS_ROOT = (
    "a sandbox has network namespaces and device files, so it needs root: put sudo before the command"
)
COMMAND = "python launch.py sandbox"
MARK = "sandbox.json"
LONGEST = 60
"""Characters of the folder's path: a socket's may have 107."""
NVIDIA = 195
"""Major number of NVIDIA's devices."""


def sandbox_root(environ: Mapping[str, str]) -> Path:
    """The folder of the sandbox: `$LAYALIGN_SANDBOX`, else one in memory."""
    return Path(environ.get("LAYALIGN_SANDBOX") or DEFAULT_ROOT).resolve()


def sandbox_environment(root: Path) -> dict[str, str]:
    """What the clients of Slurm need to speak to a sandbox: SLURM_CONF and PATH.

    Raises:
        ClusterError: no sandbox is up there.
    """
    if not (root / "env.sh").exists():
        raise ClusterError(f"there is no sandbox in {root}; start one with: {COMMAND} up")
    return {"SLURM_CONF": str(root / "etc" / "slurm.conf"), "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}


def missing(accounting: bool = True) -> str | None:
    """What this machine lacks for a sandbox, and how to get it; None if it lacks nothing."""
    if os.geteuid() != 0:
        return NEEDS_ROOT
    needed = DAEMONS + TOOLS + ["sbatch"] + (ACCOUNTING if accounting else [])
    lacking = [name for name in needed if not shutil.which(name, path=net.SYSTEM_PATH)]
    if lacking:
        return f"{', '.join(lacking)} not found; on Debian or Ubuntu: {INSTALL}"
    return None


def up(root: Path, shape: Shape) -> None:
    """Start a sandbox and wait until all its nodes are idle; what a crash left of an earlier one goes first.

    Raises:
        ClusterError: something is missing, a sandbox is up there already, the folder holds anything else, or a
            daemon does not start (nothing is left then).
    """
    lacking = missing(shape.accounting)
    if lacking:
        raise ClusterError(lacking)
    nodes = [name for name, _ in shape.nodes()]
    if not 1 <= len(nodes) <= MAX_NODES:
        raise ClusterError(
            f"a sandbox of {len(nodes)} nodes: it must have from 1 to {MAX_NODES}; choose --nodes"
        )
    with _open_to_all(), _hold(root):
        prefix = net.prefix_of(root)
        if (root / "env.sh").exists() and net.processes(prefix):
            raise ClusterError(f"a sandbox is up in {root}; end it with: {COMMAND} down")
        _clear(root)
        try:
            write_json_atomic(root / MARK, {"like": shape.name, "nodes": nodes})
            places = Places(root, net.free_subnet(prefix), socket.gethostname())
            net.lay_out(prefix, places, nodes)
            _write(shape, places, net.make_cgroups(prefix))
            boot(shape, places)
            _write_environment(root)
        except BaseException:
            _clear(root)
            raise


def down(root: Path) -> bool:
    """End a sandbox and remove all of it, also one that a crash left half made; False if there was none."""
    prefix = net.prefix_of(root)
    if not root.exists() and not net.remains(prefix):
        return False
    with _hold(root):
        _clear(root)
        root.rmdir()
    return True


def status(root: Path) -> str:
    """A sandbox in words: what it is like, and the state of its nodes."""
    known = read_json(root / MARK)
    if not known:
        return f"no sandbox in {root}"
    if not (root / "env.sh").exists():
        return f"half a sandbox in {root}; if nobody is starting it, remove it with: {COMMAND} down"
    nodes = run(root, "sinfo", "-N", "-o", "%N %T %c cores, %m MB, %G %E")
    if nodes.returncode:
        return (
            f"the sandbox in {root} does not answer: {nodes.stderr.strip()}; remove it with: {COMMAND} down"
        )
    return f"sandbox like {known['like']} in {root}; to use it: . {root / 'env.sh'}\n{nodes.stdout.strip()}"


def kill_node(root: Path, node: str) -> None:
    """Take a node's power away: slurmd and all that runs there end at once."""
    net.kill(net.prefix_of(root), _known(root, node))


def start_node(root: Path, node: str) -> None:
    """Switch a node on."""
    start_slurmd(root, _known(root, node))


def _known(root: Path, node: str) -> str:
    nodes = (read_json(root / MARK) or {}).get("nodes", [])
    if node not in nodes:
        raise ClusterError(
            f"the sandbox in {root} has no node {node!r}; it has: {', '.join(nodes) or 'none'}"
        )
    return node


@contextlib.contextmanager
def _hold(root: Path) -> Iterator[None]:
    """Keep others from starting or ending the same sandbox meanwhile; makes the folder.

    Raises:
        ClusterError: another does, or the folder cannot be a sandbox's.
    """
    if os.geteuid() != 0:
        raise ClusterError(NEEDS_ROOT)
    if len(str(root)) > LONGEST or not re.fullmatch(r"[\w./-]+", str(root), re.ASCII):
        raise ClusterError(
            f"{root} cannot hold a sandbox: sockets lie in it, so its path must have at most {LONGEST} characters, "
            "none of them special; choose another by LAYALIGN_SANDBOX"
        )
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if any(root.iterdir()) and not (root / MARK).exists():
            raise ClusterError(
                f"{root} holds something else than a sandbox; empty it, or choose another by LAYALIGN_SANDBOX"
            )
        yield
    except BlockingIOError:
        raise ClusterError(
            f"the sandbox in {root} is being started or ended by another process; wait"
        ) from None
    finally:
        os.close(handle)


@contextlib.contextmanager
def _open_to_all() -> Iterator[None]:
    """What is made meanwhile, and by the daemons, is readable by all users."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _clear(root: Path) -> None:
    """End and remove all but the folder; the mark goes last, so that a crash here is mended by the next try."""
    prefix = net.prefix_of(root)
    net.kill(prefix)
    net.clear(prefix)
    for path in root.iterdir():
        if path.name != MARK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / MARK).unlink(missing_ok=True)


def _write(shape: Shape, places: Places, cgroups: bool) -> None:
    """The files of a sandbox: open to all users, but for its secrets."""
    folders = ("etc", "log", "run", "state", "spool", "munge", "dev", "bin", "scratch", "disk")
    for name in folders:
        (places.root / name).mkdir()
    users = dict.fromkeys(["root", os.environ.get("SUDO_USER") or "root"])
    for name, text in conf_files(shape, places, users, cgroups).items():
        path = places.etc / name
        path.write_text(text)
        if name == "slurmdbd.conf" or text.startswith("#!"):
            path.chmod(0o755 if text.startswith("#!") else 0o600)
    (places.etc / "munge.key").touch(mode=0o400)
    (places.etc / "munge.key").write_bytes(secrets.token_bytes(128))
    for number, path in enumerate(
        dict.fromkeys(path for *_, paths in gpu_files(shape, places) for path in paths)
    ):
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(NVIDIA, number))
    for name in CLIENTS:
        if found := shutil.which(name, path=net.SYSTEM_PATH):
            (places.root / "bin" / name).symlink_to(found)


def _write_environment(root: Path) -> None:
    """Its presence says that the sandbox is up."""
    conf, path = root / "etc" / "slurm.conf", root / "bin"
    write_atomic(root / "env.sh", f"export SLURM_CONF={conf}\nexport PATH={path}:$PATH\n")
