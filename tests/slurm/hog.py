"""A job for tests: one of its ranks takes more memory than there is."""

from __future__ import annotations

import os
import time
from typing import Any

from cluster.job.interrupt import Interrupts
from cluster.job.rendezvous import rendezvous


def run(config: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    if rendezvous(os.environ).rank == config["dies"]:
        taken = [bytearray(os.urandom(1 << 20)) * 16 for _ in range(64)]
        print(len(taken))
    time.sleep(60)
    return {"interrupted": interrupts.cause}
