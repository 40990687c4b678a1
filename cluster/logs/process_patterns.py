"""What exceptions and bare lines say of a process itself: that it crashed, or may not have more files or threads."""

from __future__ import annotations

from cluster.logs.advice_words import ERRORS, EXCLUDE, GOES_ON, RETRY
from cluster.logs.pattern import log_pattern

SUFFICED = "whether /dev/shm, memory and disk sufficed: ask for more memory (--mem)"
LIMIT_SIGNS = (
    log_pattern(
        "too many open files",
        r"Too many open files|\[Errno (?:23|24)\]|received 0 items of ancdata|os error 24\b",
        "a process has as many files open as it may",
        "put `ulimit -n 65536` where the job's environment is made, or read with fewer workers; then "
        + RETRY,
    ),
    log_pattern(
        "too many processes",
        r"can't start new thread|pthread_create failed|blas_thread_init|BlockingIOError: \[Errno 11\]"
        r"|fork: (?:retry: )*Resource temporarily unavailable",
        "a process may start no more threads or processes",
        "`ulimit -u` on the node says how many; fewer of them: OMP_NUM_THREADS, tokenising with fewer; then "
        + RETRY,
    ),
)
CRASH_SIGNS = (
    log_pattern(
        "crashed",
        r"Fatal Python error: (?P<how>Bus error)",
        "a process ended by: {how}: a file that it had mapped was cut or unreadable, or /dev/shm or a disk was full",
        ERRORS,
        SUFFICED,
        EXCLUDE + ", if it happens there only",
        bare=True,
        passing=True,
    ),
    log_pattern(
        "crashed",
        r"Fatal Python error: (?P<how>Segmentation fault|Illegal instruction|Floating point exception)"
        r"|(?P<heap>double free or corruption|(?:free|munmap_chunk|malloc|realloc)\(\): (?:invalid|corrupt|unaligned)"
        r"|corrupted size vs|stack smashing detected|malloc_consolidate)",
        "a process broke: {how}{heap}",
        ERRORS,
        EXCLUDE + ", if it happens there only",
        GOES_ON,
        bare=True,
        passing=True,
    ),
)
