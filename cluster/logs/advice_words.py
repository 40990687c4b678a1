"""What helps, in the words that the tables of patterns share; `{name}` is a fact of the run."""

from __future__ import annotations

AGAIN = "give the launch command again with"
RETRY = "{again}"
GOES_ON = RETRY + ": it goes on from the last checkpoint"
MORE_MEMORY = "{again_with_more_memory}"
ASKED = "python launch.py efficiency {run}: what it had asked for, and what it used"
ERRORS = "python launch.py logs {run} --errors"
EXCLUDE = AGAIN + " -o 'cluster.extra=[--exclude={node}]'"
PREFETCH = "on a login node: python launch.py prefetch --recipe RECIPE; then " + RETRY
REBUILD = "on a login node: {rebuild}; then " + RETRY
DOCTOR = "python launch.py doctor --compute"
QUOTA = "diskusage_report; python launch.py clean; then " + RETRY
