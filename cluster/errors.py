"""The user's mistakes, as far as they concern where and how something runs."""

from __future__ import annotations

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
"""Exit statuses of `launch.py` besides 0."""


class ClusterError(Exception):
    """What happened, the value, the rule and the next step; `launch.py` prints it without a traceback."""


class JobFailed(ClusterError):
    """A job that was started did not reach its end; the message holds the last lines of its log."""
