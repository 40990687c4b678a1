"""A job for tests: it does what its config says, without the training core."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.job.causes import peer_gone
from cluster.job.interrupt import Interrupts
from cluster.job.rendezvous import rendezvous
from jobs.work.call import leave

DEATHS = {"killed": signal.SIGKILL, "crash": signal.SIGSEGV}


def run(config: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    rank = rendezvous(os.environ)
    act = config.get("act", "tell")
    print(f"rank {rank.rank} of {rank.world}: {act}")
    if rank.rank == config.get("dies", 0):
        while (
            rank.rank and not Path(config["ready"], "0").exists()
        ):  # rank 0 has its lease, and writes the events
            time.sleep(0.05)
        if act == "raise":
            raise RuntimeError(f"rank {rank.rank} broke\n  in two lines")
        if act == "mistake":
            raise ClusterError("no such data: give\n  another")
        if act in DEATHS:
            resource.setrlimit(
                resource.RLIMIT_CORE, (0, 0)
            )  # it works in the checkout: leave no image of itself there
            os.kill(os.getpid(), DEATHS[act])
    if act in ("raise", "wait", *DEATHS):
        Path(config["ready"], str(rank.rank)).touch()
        for _ in range(600):
            if config.get("leaves") and Path(config["ready"], "1").exists():
                leave(error := RuntimeError("Connection closed by peer"), peer_gone(error), traced=False)
            if config.get("loses") and Path(config["ready"], "1").exists():
                raise RuntimeError(
                    "[gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.1.1.2]:4000"
                )
            if interrupts.cause and not config.get("deaf"):
                time.sleep(config.get("slow_s", 0))
                return {"interrupted": interrupts.cause}
            time.sleep(0.05)
    names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MASTER_PORT")
    told = {name: os.environ.get(name) for name in names}
    return {
        **told,
        "rank": rank.rank,
        "world": rank.world,
        "port": rank.port,
        "path": sys.path,
        "cwd": os.getcwd(),
    }
