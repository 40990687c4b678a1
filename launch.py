#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""The front door: parse, make a request of it, call one function. Starts without torch, transformers or datasets.

Its commands: `python launch.py --help`, and docs/COMMANDS.md.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
if sys.path[0] != str(ROOT):  # `cluster` and `jobs` are those of this checkout, whatever is installed
    sys.path.insert(0, str(ROOT))

PACKAGES = ("yaml", "submitit", "rich", "cloudpickle", "huggingface_hub")
"""What the launcher needs beyond Python itself (envs/launcher.txt)."""


def main(words: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    from cluster.errors import FAILED, INTERRUPTED, MISTAKE, ClusterError, JobFailed, system_error
    from jobs.cli.command_table import COMMANDS, SET_UP
    from jobs.cli.parser import parse

    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next
        from jobs.cli.completion import answer_shell

        answer_shell()
    name, typed = parse(sys.argv[1:] if words is None else words)

    try:
        from cluster.permissions import umask, umask_of
        from jobs.cli import requests
        from jobs.cli.parse import request_of

        command = COMMANDS[name]
        request = request_of(getattr(requests, command.request), typed)
        module = importlib.import_module(f"jobs.cli.{command.module}")
        work = getattr(module, f"{name}_command")
        if command.group == SET_UP:  # models and environments may be others' too, by the user's own umask
            return int(work(request))
        with umask(umask_of(request.where.root())):  # type: ignore[attr-defined]
            return int(work(request))
    except (ClusterError, ValueError) as error:
        from cluster.escapes import without_escapes

        print(f"error: {without_escapes(str(error))}", file=sys.stderr)
        return FAILED if isinstance(error, JobFailed) else MISTAKE
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        launcher = "make an environment that has it with: sh envs/bootstrap"
        print(f"error: {sys.executable} has no package {error.name}; {launcher}", file=sys.stderr)
        return MISTAKE
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print(f"error: {system_error(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    STATUS = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C finds Python leaving
    sys.exit(STATUS)
