"""Python processes that have the heavy packages loaded: forks of a server, not seconds of imports for each.

What is started this way has a pid, a parent, signals, an environment, a working directory and an exit status of
its own, and so has every Python that it starts in turn: submitit's controller, the ranks of a job, the miniature's
backbones. What differs from a fresh start: modules are there already, `sys.flags` and the seed of hashes are the
server's, and a process that has no thread does not take Python apart at its end.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

ROOT = Path(__file__).parents[1]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "ROOM_FOR_ENVIRONMENTS": " " * 8192}
"""Of the server, whatever a test has changed since."""
_context = multiprocessing.get_context("forkserver")


@functools.cache
def _serve() -> None:
    """Start the server, once: meanwhile another thread would find its environment to be this process's."""
    with mock.patch.dict(os.environ, ENVIRON, clear=True):
        _context.set_forkserver_preload([__name__, "tests.loaded"])
        forkserver.ensure_running()


class Python:
    """`python WORDS`, used much as `subprocess.Popen` is; output and errors go to one file."""

    def __init__(self, *words: str | Path, cwd: Path, env: Mapping[str, str]) -> None:
        self._output = tempfile.NamedTemporaryFile()  # noqa: SIM115
        _serve()
        told = ([str(word) for word in words], dict(env), str(cwd), self._output.name)
        self._process = _context.Process(target=_begin, args=told, daemon=True)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status once it is over; where a signal ended it, the signal's number below zero."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """`returncode`."""
        return self.returncode

    def wait(self, timeout: float = 300) -> int:
        """The exit status, when it is over."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout, self.told)
        return self.returncode

    @property
    def told(self) -> str:
        """What it has said up to now."""
        return Path(self._output.name).read_text(errors="replace")

    def send_signal(self, number: int) -> None:
        """Nothing to one that is over."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it now."""
        self.send_signal(signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Processes that one has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _begin(words: list[str], environ: dict[str, str], folder: str, output: str) -> NoReturn:
    """In the forked process: be `python WORDS`."""
    subprocess.Popen = _Popen  # type: ignore[misc]
    os.chdir(folder)
    out = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    _become(words, environ, ())


class _Popen(subprocess.Popen):
    """Forks this process where it would start the same Python anew."""

    def __init__(self, args: Any, *more: Any, **told: Any) -> None:
        found = None if isinstance(args, str) else _python(args, told.get("env") or os.environ)
        if found:
            sys.stdout.flush()
            told["preexec_fn"] = functools.partial(_become, *found, tuple(told.get("pass_fds", ())))
        super().__init__(args, *more, **told)


def _python(args: Sequence[Any], environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]] | None:
    """Words and environment of this Python in a command, which may set the latter with env(1); None in any other."""
    words, environ = [os.fspath(word) for word in args], dict(environ)
    if words[0] == "env":
        del words[0]
        while words[0] == "-u" or "=" in words[0]:
            if words[0] == "-u":
                environ.pop(words[1], None)
                del words[:2]
            else:
                name, _, value = words.pop(0).partition("=")
                environ[name] = value
    return (words[1:], environ) if words[0] == sys.executable else None


def _become(words: list[str], environ: dict[str, str], kept: tuple[int, ...]) -> NoReturn:
    """What exec(2) and the start of Python do, imports excepted; then the program, and the end of Python."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in {int(fd) for fd in os.listdir("/proc/self/fd")} - {0, 1, 2, null, *kept}:
        os.dup2(null, fd, inheritable=False)  # closed, and nothing is written by who still knows the number
    os.environ.clear()
    os.environ.update(environ)
    _show(environ)
    gc.freeze()  # nobody looks for garbage among the objects of a thousand modules
    for name, fd in (("stdout", 1), ("stderr", 2)):
        unbuffered = words[0] == "-u" or fd == 2
        raw = io.FileIO(fd, "w", closefd=False)
        stream = io.TextIOWrapper(
            raw if unbuffered else io.BufferedWriter(raw), "utf-8", write_through=unbuffered
        )  # type: ignore[arg-type]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    status = _run(words[words[0] == "-u" :])
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # with torch, which few of these have loaded, leaving takes longer
    if len(os.listdir("/proc/self/task")) > 1:  # threads may be what goes wrong at the end of Python
        ctypes.pythonapi.Py_Exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)


def _run(words: list[str]) -> int:
    """The program's exit status."""
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            sys.modules.pop(words[1], None)
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        elif words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            exec(words[1], {"__name__": "__main__"})
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _show(environ: Mapping[str, str]) -> None:
    """Have /proc/PID/environ tell this environment: it shows the memory in which the first one was put."""
    begin, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[47:49])
    block = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in environ.items())
    assert len(block) < end - begin
    ctypes.memmove(begin, block.ljust(end - begin, b"\0"), end - begin)
