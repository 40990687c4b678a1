"""The stories behind the pictures of `why` and `logs --errors`: a few runs and a Slurm that knows of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from tests.cluster.fake_slurm import FakeSlurm
from tests.jobs.stories import START, Story

STUCK, ERROR, WAITS = "math-no-adapter", "math-layalign", "math-mindmerger"
CODE = "/localscratch/me.5210031.0/code"
WATCHDOG = (
    "[rank{rank}]:[E1125 03:12:46.118 ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught collective operation "
    "timeout: WorkNCCL(SeqNum=48213, OpType=ALLREDUCE, NumelIn=33572448, NumelOut=33572448, Timeout(ms)=600000) ran "
    "for 600042 milliseconds before timing out.\n"
)
FRAMES = f"""\
Traceback (most recent call last):
  File "{CODE}/jobs/call.py", line 59, in _work_as_unit
    result = self._work(interrupts)
  File "{CODE}/jobs/train.py", line 44, in run
    result = fit(
  File "{CODE}/layalign/training/fit.py", line 88, in _loop
    record = train_step(run)
  File "{CODE}/layalign/training/step.py", line 100, in train_step
    loss = run.engine.backward(batch.to(run.processes.device), scale, last=number == len(share))
"""
MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.95 GiB. GPU 2 has a total capacity of 39.39 GiB "
    "of which 1.02 GiB is free. Including non-PyTorch memory, this process has 38.36 GiB memory in use.\n"
)
PEER = "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1250, remote process exited\n"


def tell(root: Path, slurm: FakeSlurm) -> None:
    """The stories behind the pictures: one run that is stuck, one without memory, one that waits."""
    stuck = Story(root, 2, STUCK, "b81c02fd").submitted(
        "5210028", nodes=2, gpus_per_node=4, tasks_per_node=4, mem_mb=507904
    )
    stuck.started(640, "5210028_0", "ng20304,ng31101", processes=8).trained(2080, 6258).event(
        "saved", 25, step=2000
    )
    _logs(stuck, "5210028_0", {rank: WATCHDOG.format(rank=rank) if rank != 6 else "" for rank in range(8)})
    stuck.failed(f"DistBackendError: {WATCHDOG.format(rank=0)}  next: wait\n", 10, rank=0, job="5210028_0")
    times = "2026-11-25T03:00:00|2026-11-25T13:30:00"
    slurm.set(
        "accounting",
        f"5210028_0|FAILED|1:0|37800|720|cpu=96,gres/gpu=8,mem=992G,node=2||99:00:00|96|2||ng[1-2]|{times}|\n"
        f"5210028_0.0|FAILED|1:0|37800||cpu=96|11900M|99:00:00|96|2|8|ng[1-2]|{times}|\n",
    )
    waits = Story(root, 1, WAITS, "41d7e90a").submitted("5210040", nodes=2, gpus_per_node=4)
    start = datetime.now() + timedelta(hours=5, minutes=20, seconds=20)
    waits.queued(slurm, "5210040_[0-2%1]", "PENDING", "AssocGrpGRES", f"{start:%Y-%m-%dT%H:%M:%S}")
    short = Story(root, 2, ERROR, "7c3f5a16").submitted("5210031", nodes=2, gpus_per_node=4, tasks_per_node=4)
    short.started(40, "5210031_0", "ng10107,ng10212", processes=8)
    _logs(short, "5210031_0", {rank: FRAMES + (MEMORY if rank == 2 else PEER) for rank in range(8)})
    short.failed(f"{MEMORY.removeprefix('torch.')}  next: less\n", 12, rank=2, job="5210031_0")


def _logs(story: Story, job: str, texts: dict[int, str]) -> None:
    """What eight ranks on two nodes printed."""
    nodes = str(story.run.events.read_text()).split('"nodes": "')[1].partition('"')[0].split(",")
    for rank, text in texts.items():
        steps = "".join(f"step {n}/6258  loss 0.61\n" for n in (2060, 2080)) if rank == 0 else ""
        start = START.format(job=job, node=nodes[rank // 4])
        (story.run.slurm / f"{job}_{rank}_log.out").write_text(start + steps + text)
