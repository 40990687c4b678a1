"""What a process of a case becomes before it is `launch.py`; words of `become`, which its children inherit."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def become(word: str) -> None:
    """Change this process.

    Args:
        word: `blockable`, `network`, `shared`, `user=4242`, `tree=FOLDER`, `clock=FILE`.
    """
    name, _, value = word.partition("=")
    {
        "blockable": _blockable,
        "network": _alone_on_a_network,
        "shared": lambda: os.umask(0o002) and None,
        "user": lambda: _another_user(int(value)),
        "tree": lambda: _another_tree(value),
        "clock": lambda: _another_clock(Path(value)),
    }[name]()


def _blockable() -> None:
    """SIGTRAP is number 5, and its handler is sleep(3): amid Python, the lock is held for five seconds."""
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc.signal(signal.SIGTRAP, ctypes.cast(libc.sleep, ctypes.c_void_p))


def _alone_on_a_network() -> None:
    _unshare(CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _another_user(uid: int) -> None:
    """With no right that root has, in a group of the same number; Python stays readable where only root may look."""
    _unshare(CLONE_NEWNS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for prefix in {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()}:
        _let_through(prefix)
    os.umask(0o002)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    os.environ.update(HOME="/nonexistent", USER=str(uid))


def _let_through(folder: Path) -> None:
    """Put the folder below empty ones that everybody may pass, where one above it lets nobody through."""
    closed = next((one for one in reversed(folder.parents) if not one.stat().st_mode & 0o001), None)
    if closed is None:
        return
    held = os.open(folder, os.O_PATH)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", closed], check=True)
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-c", "--bind", f"/proc/self/fd/{held}", folder], check=True, pass_fds=[held])
    os.close(held)


def _another_tree(folder: str) -> None:
    """The product is that of another folder."""
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("cluster", "jobs", "layalign", "launch")
    ]:
        del sys.modules[name]
    sys.path.insert(0, folder)


def _another_clock(told: Path) -> None:
    """Its time is off by what a file says: a namespace shifts no time of day, and a library that does stops torch."""
    right = time.time
    time.time = lambda: right() + float(told.read_text() or 0)


def _unshare(flags: int) -> None:
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
