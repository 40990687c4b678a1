import os

# Before torch is imported anywhere: two threads on busy cores wait for each other more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tests.world import recipe, world  # noqa: F401
