import os
import signal

# Before torch is imported anywhere: two threads on busy cores wait for each other more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # started in the background: what a test starts would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

from tests.world import recipe, shared, trained_folder, world  # noqa: F401
