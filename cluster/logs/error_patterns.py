"""What lines in logs say of why a job broke: one table of patterns, each with what it means and what helps.

Messages of torch, NCCL, gloo, CUDA, Hugging Face, Python, shells and the C library as they print them; of several that
a text holds, the first in the table counts, so that causes stand before what follows from them. What Slurm prints has a
grammar of its own: `cluster.job.slurm_messages`.
"""

from __future__ import annotations

from cluster.logs.advice_words import AGAIN
from cluster.logs.environment_patterns import ENVIRONMENT_SIGNS
from cluster.logs.file_patterns import ADDRESS_SIGNS, FETCH_SIGNS, FILE_SIGNS
from cluster.logs.memory_patterns import GPU_SIGNS, MEMORY_SIGNS
from cluster.logs.network_patterns import NETWORK_SIGNS, WAITING_SIGNS
from cluster.logs.pattern import log_pattern
from cluster.logs.process_patterns import CRASH_SIGNS, LIMIT_SIGNS

TRAINING_SIGNS = (
    log_pattern(
        "diverged",
        r"the (?P<what>loss|dev loss|gradient's norm) is (?P<value>-?(?:nan|inf)) in step (?P<step>\d+)",
        "the {what} is {value} in step {step}; the last checkpoint is from before",
        AGAIN + " -o training.lr={half_lr} (another run: half the learning rate)",
        "look at the rows of the data that the message names",
    ),
    log_pattern(
        "no progress",
        r"starts without progress",
        "start after start ended before the next checkpoint was written",
        AGAIN + " a longer --time, or -o training.save_every={half_save}",
        AGAIN + " a longer --time: a unit has to come to its first checkpoint",
    ),
    log_pattern(
        "another worker",
        r"is being worked on by process (?P<pid>\d+) on (?P<node>[\w.-]+)(?P<whose>, job (?P<job>\S+?))?, since "
        r"(?P<since>\S+?):",
        "process {pid} on {node}{whose} has worked on it since {since}",
        "wait until it ends, or end it: scancel {job}",
        passing=True,
    ),
)
PATTERNS = (
    *TRAINING_SIGNS,
    *LIMIT_SIGNS,
    *MEMORY_SIGNS,
    *FILE_SIGNS,
    *FETCH_SIGNS,
    *NETWORK_SIGNS,
    *ADDRESS_SIGNS,
    *GPU_SIGNS,
    *ENVIRONMENT_SIGNS,
    *CRASH_SIGNS,
    *WAITING_SIGNS,
)
BARE = tuple(one for one in PATTERNS if one.bare)
