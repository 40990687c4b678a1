"""The user's mistakes, as far as they concern where and how something runs."""

from __future__ import annotations

import errno
import os
import traceback

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
"""Exit statuses of `launch.py` besides 0."""


class ClusterError(Exception):
    """What happened, the value, the rule and the next step; `launch.py` prints it without a traceback."""


class JobFailed(ClusterError):
    """A job that was started did not reach its end; the message holds the last lines of its log."""


REMEDIES = {
    errno.ENOSPC: "make room there (python launch.py clean; df -h and df -i tell whether space or inodes are short)",
    errno.EDQUOT: "make room there (python launch.py clean; diskusage_report tells how much of a quota is used)",
    errno.EACCES: "ask its owner for access, or choose another folder with --runs FOLDER",
    errno.EPERM: "ask its owner for access, or choose another folder with --runs FOLDER",
    errno.EROFS: "its file system is read-only here: choose another folder with --runs FOLDER",
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ESHUTDOWN, errno.ENOTCONN, errno.EREMOTEIO),
        "the file system is in trouble: wait, and look at the site's status page",
    ),
    errno.ENOENT: "it was moved or deleted meanwhile: put it back, or give the command the new place",
    errno.ENOTDIR: "a part of its path is a file: choose another folder with --runs FOLDER",
    errno.EISDIR: "a folder has the name of a file that is to be written: move it away",
    errno.ENAMETOOLONG: "choose a shorter name or folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n 4096)",
    errno.ENFILE: "this machine has too many open files: try another login node",
    errno.ENOMEM: "this machine is short of memory: try another login node",
    errno.EAGAIN: "this machine allows no more processes or threads (ulimit -u): end some, or try another login node",
}
"""What helps, by the system's number of an error."""


def system_error(error: OSError) -> str:
    """An error of the operating system in a line: the file, what is wrong, the next step."""
    what = os.fspath(error.filename) if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
    name = what.decode(errors="replace") if isinstance(what, bytes) else what
    return f"{name or 'a file or connection'}: {error.strerror or error}; {remedy(error)}"


def remedy(error: OSError) -> str:
    """What helps against an error of the operating system."""
    unknown = "the file system may be in trouble: wait, and look at the site's status page"
    return f"{REMEDIES.get(error.errno or 0, unknown)}; then give the same command again"


def trace_of(error: BaseException) -> str:
    """What a log shows of an error: its traceback, but one line where the user or the system alone is to blame."""
    from cluster.secret import hidden

    if isinstance(error, ClusterError):
        return hidden(str(error))
    if isinstance(error, OSError) and error.errno in REMEDIES and error.filename:
        return system_error(error)
    return hidden("".join(traceback.format_exception(error)).rstrip())
