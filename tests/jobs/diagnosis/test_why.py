"""What `why` tells of runs in every state: the cause, the evidence, the next step; each of Slurm's commands once."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

import launch
from cluster.files import write_json_atomic
from cluster.job.lifecycle import CHANGED
from cluster.job.race import new_rival
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from cluster.slurm.queue import Look
from cluster.slurm.queued_job import OVER
from cluster.slurm.submission import Submission
from jobs.board.state import SILENT_S
from jobs.diagnosis import why
from jobs.diagnosis.attempts import needs_of
from jobs.diagnosis.evidence import Diagnosis
from tests.jobs.stories import START, Story, ago
from tests.jobs.synthetic import make_runs

SAME = "give the same launch command again: it goes on from the last checkpoint"
FRAME = (
    'Traceback (most recent call last):\n  File "/code/layalign/training/step.py", line 80, in train_step\n'
)
PEER = (
    FRAME
    + "torch.distributed.DistBackendError: NCCL error: remote process exited or there was a network error\n"
)
TIMED_OUT = (
    "[rank{rank}]:[E1125 17:02:08.408 ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught collective operation "
    "timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600042 "
    "milliseconds before timing out.\n"
)


@pytest.fixture
def story(tmp_path):
    return Story(tmp_path / "runs")


def told(found: Diagnosis) -> str:
    """All that a diagnosis says."""
    rows = [f"{name}: {text}" for name, text in found.evidence]
    return "\n".join([found.state, found.cause, found.told, *rows, *found.advice])


def broken(story: Story, text: str, rank: int = 0, reason: str | None = None) -> Diagnosis:
    """A run whose rank printed something and failed, the others lost it."""
    texts = dict.fromkeys(range(4), PEER) | {rank: "step 7\n" + text}
    story.started().printed(texts)
    last = [line for line in text.splitlines() if line and not line.startswith((" ", "Trace"))][-1]
    story.failed(f"{reason or last}\n  next: mend it\n", rank=rank, job="14_0")
    return why.diagnose(story.run)


# What has failed.


def test_gpu_memory(story):
    text = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.95 GiB. GPU 3 has a total capacity of 39.39"
    found = broken(story, f"{FRAME}{text} GiB of which 1 GiB is free.\n", rank=3)
    assert (found.state, found.cause) == ("failed", "out of GPU memory")
    assert "39.39 GiB" in found.told
    assert "rank 3 on ng2" in told(found)
    assert "training.micro_batch=4" in found.advice[0]


def test_host_memory_with_what_it_asked_for_and_used(story, slurm):
    mem = "billing=4,cpu=48,gres/gpu=4,mem=128G,node=2"
    rows = [
        f"14_0|FAILED|1:0|3600|720|{mem}||10:00:00|48|2||ng[1-2]|2026-11-25T08:00:00|2026-11-25T09:00:00|",
        "14_0.0|OUT_OF_MEMORY|0:125|3600||cpu=48|33000M|10:00:00|48|2|4|ng[1-2]|2026-11-25T08:00:00|2026-11-25T09:00:00|",
    ]
    slurm.set("accounting", "\n".join(rows) + "\n")
    story.submitted().started().trained(300)
    story.printed({0: PEER + "srun: error: ng2: task 3: Out Of Memory\n", 1: PEER, 2: PEER, 3: "step 7\n"})
    story.event("interrupted", 40, cause="out of memory", job="14_0").failed(
        f"out of memory: job 14_0\n  next: {SAME}\n", 40
    )
    found = why.diagnose(story.run)
    assert found.cause == "out of memory"
    assert "task 3 on ng2" in found.told
    assert "rank 3 on ng2" in told(found)
    assert "64.5 of 64.0 GB of memory" in told(found)
    assert "step 300 of 1000" in told(found)
    assert found.advice[0] == f"python launch.py retry {story.folder} --more-mem"
    assert [line.split()[0] for line in slurm.lines("asked")] == ["squeue", "sacct"]


def test_a_missing_model(story):
    text = (
        "OSError: We couldn't connect to 'https://huggingface.co' to load this file, couldn't find it in the cached "
        "files and it looks like google/mt5-xl is not the path to a directory containing a file named config.json.\n"
        "Checkout your internet connection"
    )
    found = broken(
        story, FRAME + text + "\n", reason="OSError: We couldn't connect to 'https://huggingface.co' to load"
    )
    assert found.cause == "model or data not in the cache"
    assert "google/mt5-xl (config.json)" in found.told
    assert "launch.py prefetch" in found.advice[0]


def test_a_missing_file(story):
    found = broken(
        story, f"{FRAME}FileNotFoundError: [Errno 2] No such file or directory: '/data/en.jsonl'\n"
    )
    assert (found.cause, found.told) == ("missing file", "there is no /data/en.jsonl")


def test_a_full_quota_with_whose_it_is(story, slurm):
    path = slurm.folder / "diskusage_report"
    path.write_text("#!/bin/bash\necho '  /scratch (user me)   19TiB/ 20TiB   1000K/ 1000K'\n")
    path.chmod(0o755)
    found = broken(story, f"{FRAME}OSError: [Errno 122] Disk quota exceeded: '/scratch/me/x.tmp'\n")
    assert found.cause == "disk quota exceeded"
    assert "/scratch (user me)" in told(found)
    assert "1000000 of 1000000 files" in told(found)
    assert "launch.py clean" in found.advice[0]


def test_a_loss_that_is_not_a_number(story):
    found = broken(
        story,
        FRAME + "TrainingDiverged: the loss is nan in step 120, rows [3] of the training data\n",
        rank=1,
    )
    assert found.cause == "diverged"
    assert "training.lr=2e-05" in found.advice[0]


def test_a_wrong_environment(story):
    found = broken(story, f"{FRAME}ModuleNotFoundError: No module named 'deepspeed'\n")
    assert found.cause == "wrong environment"
    assert "deepspeed" in found.told


def test_an_exception_that_no_table_knows_is_told_with_its_place(story):
    story.printed({0: ""})
    found = broken(story, f"{FRAME}KeyError: 'labels'\n", rank=2)
    assert (found.cause, found.told) == ("an exception", "KeyError: 'labels'")
    assert 'step.py", line 80' in told(found)
    assert "rank 2 on ng2" in told(found)
    assert "mend it" in found.advice[0]


def test_a_time_out_names_the_rank_that_is_missing_and_its_node(story):
    story.started().printed(
        {rank: TIMED_OUT.format(rank=rank) if rank < 2 else "step 7\n" for rank in range(3)}
    )
    story.printed({3: TIMED_OUT.format(rank=3)})
    story.failed(f"DistBackendError: {TIMED_OUT.format(rank=0)}  next: {SAME}\n", rank=0, job="14_0")
    found = why.diagnose(story.run)
    assert found.cause == "collective time-out"
    assert "rank 2 on ng2 is missing" in found.told
    assert "3 others" in told(found)
    assert "--exclude=ng2" in found.advice[0]


def test_a_cause_elsewhere_goes_before_a_time_out(story):
    story.started().printed(
        {0: TIMED_OUT.format(rank=0) + "srun: error: Node failure on ng2\n", 1: TIMED_OUT.format(rank=1)}
    )
    story.failed(f"DistBackendError: {TIMED_OUT.format(rank=0)}  next: {SAME}\n", rank=0, job="14_0")
    found = why.diagnose(story.run)
    assert (found.cause, found.told.partition(";")[0]) == (
        "node failure",
        "the node ng2 failed under the job",
    )


def test_a_failure_whose_logs_are_gone_is_told_from_what_is_written_down(story):
    story.started().failed(f"KeyError: 'labels'\n  next: {SAME}\n", rank=0, job="14_0")
    found = why.diagnose(story.run)
    assert (found.cause, found.told) == ("an exception", "KeyError: 'labels'")
    assert found.advice == [SAME]


def test_starts_without_progress(story):
    story.started().failed("3 starts without progress: each ended before the next checkpoint\n  next: wait\n")
    assert "save_every=250" in why.diagnose(story.run).advice[0]


# What has stopped.


def test_a_walltime_that_was_too_short_says_how_many_units_are_needed(story, slurm):
    story.submitted(units=2, time_min=180).trained(10_000, total=29_700).printed({0: ""}, "14_1")
    story.started(600, "14_0").event("interrupted", 420, cause="walltime", step=5000, job="14_0")
    story.started(410, "14_1", unit=1).event("resumed", 400, step=5000)
    story.event("interrupted", 230, cause="walltime", step=10_000, job="14_1")
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("interrupted", "walltime")
    assert "2 starts, interrupted by: walltime, walltime" in told(found)
    assert "--units 4: at 2 s a step a unit of 3 h does" in found.advice[0]
    assert "--time 12h" in found.advice[1]


def test_one_more_unit_of_the_same_is_a_retry(story, slurm):
    story.submitted().trained(900).started().printed({0: ""}).event(
        "interrupted", 30, cause="walltime", step=900, job="14_0"
    )
    assert (
        why.diagnose(story.run).advice[0].startswith(f"python launch.py retry {story.folder}: at 2 s a step")
    )


def test_who_cancelled_it(story, slurm):
    times = "2026-11-25T08:00:00|2026-11-25T08:01:00"
    slurm.set("accounting", f"14_0|CANCELLED by {os.getuid()}|0:0|60|720|mem=1G||00:01|1|1||ng1|{times}|\n")
    story.submitted().started().printed({0: ""}).event("interrupted", 30, cause="cancelled", job="14_0")
    found = why.diagnose(story.run)
    assert (found.cause, found.told) == ("cancelled", "you cancelled it (job 14_0)")
    assert f"python launch.py retry {story.folder}" in found.advice[0]


def test_a_node_that_failed_is_known_from_accounting_alone(story, slurm):
    slurm.set(
        "accounting",
        "14_0|NODE_FAIL|1:0|60|720|mem=1G||00:01|1|1||ng1|2026-11-25T08:00:00|2026-11-25T08:01:00|\n",
    )
    story.submitted().started().printed({0: "step 7\n"})
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("interrupted", "node failure")
    assert [line.split()[0] for line in slurm.lines("asked")] == ["squeue", "sacct"]


def test_killed_without_a_sign_of_memory(story, slurm):
    story.submitted().started().printed({0: "srun: error: ng2: task 3: Killed\n", 3: "step 7\n"})
    found = why.diagnose(story.run)
    assert found.cause == "killed"
    assert "task 3 on ng2" in found.told


def test_nothing_is_known(story, slurm):
    story.submitted().started().printed({0: "step 7\n"})
    found = why.diagnose(story.run)
    assert found.cause == "unsure"
    assert found.told.startswith("it ended, and nobody says how")
    assert "last words: rank 0: step 7" in told(found)
    assert found.advice[0].startswith(f"python launch.py logs {story.folder}")


def test_a_queue_that_does_not_answer_is_said(story, slurm):
    slurm.set("silent")
    story.submitted().started().printed({0: "step 7\n"}).event("interrupted", 9, cause="walltime", job="14_0")
    found = why.diagnose(story.run)
    assert found.cause == "walltime"
    assert "squeue does not answer" in told(found)


def test_a_job_that_broke_before_python(story, slurm):
    story.submitted().printed(
        {0: "error: environment on ng1: pydantic is 1.10, deepspeed 0.17 needs version 2\n"}
    )
    found = why.diagnose(story.run)
    assert found.cause == "wrong environment"


# What waits.


@pytest.mark.parametrize(
    ("reason", "cause", "helps"),
    [
        ("Priority", "waits its turn", "--time 3h with more --units"),
        ("Resources", "waits for room", "nothing to be done"),
        ("AssocGrpGRES", "the group's limit", "fewer --gpus"),
        ("QOSMaxJobsPerUserLimit", "too many jobs running", "once one of them ends"),
        ("ReqNodeNotAvail, Reserved for maintenance", "maintenance", "scontrol show reservation"),
        ("InvalidAccount", "account refused", "sacctmgr show assoc"),
        ("JobHeldUser", "held", "scontrol release 14"),
        ("PartitionTimeLimit", "time too long", "scancel 14"),
        ("QOSMaxGRESPerJob", "too large", "it will never start"),
        ("job requeued in held state", "held", "scontrol release 14"),
        ("launch_failed_requeued_held", "held", "scontrol release 14"),
        ("JobHeldUser,Priority", "held, waits its turn", "scontrol release 14"),
    ],
)
def test_a_reason_of_the_queue(story, slurm, reason, cause, helps):
    start = datetime.now() + timedelta(hours=2, minutes=5)
    story.submitted().queued(slurm, "14_[0-2%1]", "PENDING", reason, f"{start:%Y-%m-%dT%H:%M:%S}")
    found = why.diagnose(story.run)
    never = reason in ("InvalidAccount", "PartitionTimeLimit", "QOSMaxGRESPerJob")
    assert (found.state, found.cause) == ("blocked" if never else "queued", cause)
    assert helps in told(found)
    assert reason in told(found)
    assert "in 2 h" in told(found)
    assert "2 x 2 a100, 3 units of 12 h, account def-prof" in told(found)
    assert [line.split()[0] for line in slurm.lines("asked")] == ["squeue"]


@pytest.mark.parametrize(
    ("state", "expected", "helps"),
    [
        ("SPECIAL_EXIT", ("queued", "held"), "scontrol release 14"),
        ("REQUEUE_HOLD", ("queued", "held"), "scontrol release 14"),
        ("CONFIGURING", ("running", "nodes boot"), "it starts by itself"),
        ("SUSPENDED", ("running", "suspended"), "scontrol show job 14"),
        ("COMPLETING", ("running", "ends"), ": once it has ended"),
        ("RUNNING", ("running", "starting"), "logs"),
    ],
)
def test_a_state_of_the_queue(story, slurm, state, expected, helps):
    story.submitted().queued(slurm, "14_0", state, "None")
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == expected
    assert f"job 14_0, {state}" in told(found)
    assert helps in told(found)


def test_what_a_failure_advises_is_typed_as_it_is_printed(story, slurm):
    story.submitted().started().printed({0: "step 7\n"})
    story.failed(f"ValueError: odd\n  next: mend what the message says, then {CHANGED}\n", rank=0, job="14_0")
    (advice,) = why.diagnose(story.run).advice
    assert advice == f"mend what the message says, then python launch.py retry {story.folder}"


def test_a_worker_whose_job_is_suspended_is_not_silent(story, slurm):
    story.submitted().started(90).held("14_0", 2 * SILENT_S / 60).queued(slurm, "14_0", "SUSPENDED", "None")
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("running", "suspended")


def test_what_it_waits_for(story, slurm):
    story.submitted().trained(400).started().held("14_0").queued(slurm, "14_0", "RUNNING", "None")
    second = Story(story.root, 2).submitted("15", "afterok:14_2").queued(slurm, "15", "PENDING", "Dependency")
    found = why.diagnose(second.run)
    assert found.cause == "waits for another job"
    assert f"{story.folder}: running, step 400 of 1000, about 20 min left" in told(found)


@pytest.mark.parametrize("queued", [True, False])
def test_a_parent_that_failed_is_the_cause(story, slurm, queued):
    story.submitted().started().failed("KeyError: 'labels'\n  next: mend it\n")
    second = Story(story.root, 2).submitted("15", "afterok:14_2")
    if queued:
        second.queued(slurm, "15", "PENDING", "DependencyNeverSatisfied")
    found = why.diagnose(second.run)
    assert (found.state, found.cause) == ("blocked", "parent failed")
    assert "KeyError: 'labels'" in told(found)
    assert found.advice[0] == f"python launch.py why {story.folder}"


def test_a_job_that_was_cancelled_before_it_began(story, slurm):
    slurm.set(
        "accounting",
        "14|CANCELLED|0:0|0|720|||00:00:00|1|1||None assigned|2026-11-25T08:00:00|2026-11-25T08:00:00|\n",
    )
    found = why.diagnose(story.submitted().run)
    assert (found.state, found.cause) == ("cancelled", "cancelled")
    assert "before it could start" in found.told


def test_nobody_is_told_that_a_job_is_gone_while_the_queue_is_silent(story, slurm):
    run = story.submitted().run
    slurm.set("silent")
    found = why.diagnose(run)
    assert (found.state, found.cause) == ("queued", "queue not known")
    assert "may be in the queue" in found.told


def test_a_rival_in_a_race_is_in_the_queue_for_the_run(story, slurm):
    run = story.submitted().run
    first = Submission.read(run.submission)
    replace(first, job="15", script="/r/second.sh").write(new_rival(run))
    slurm.set("queue", "15\t15\tPENDING\tPriority\tname\t/r/second.sh\tN/A\n")
    assert why.diagnose(run).state == "queued"


def test_what_was_never_submitted_asks_nobody(story, slurm):
    assert why.diagnose(story.run).cause == "not submitted"
    assert slurm.lines("asked") == []


def test_a_cell_of_a_grid_waits_for_a_slot(story, slurm):
    second, grid = Story(story.root, 2), GridFolder(story.root, "ablations")
    grid.create()
    blank = {"benchmark": "", "language": "", "shard": 0, "items": 0, "max_new_tokens": 0}
    cells = [
        {"job": "train", "run": str(story.run.path), "needs": [], **blank},
        {"job": "train", "run": str(second.run.path), "needs": [str(story.run.path)], **blank},
    ]
    listed = grid.write_list({"cells": cells, "runs": {}})
    story.submitted("20", units=6)
    record = grid.new_record()
    submission = json.loads(story.run.submission.read_text())
    story.run.submission.unlink()
    record.write_text(json.dumps({**submission, "cells": listed.name}))
    script = str(story.run.slurm / "math-20.sh")
    rows = [("20_0", "RUNNING", "None"), ("20_[1-5%2]", "PENDING", "JobArrayTaskLimit")]
    slurm.set(
        "queue", "".join(f"{id}\t20\t{state}\t{why_}\tmath-s1\t{script}\tN/A\n" for id, state, why_ in rows)
    )
    found = why.diagnose(second.run)
    assert found.cause == "waits for a slot"
    assert "grid ablations: 1 slots run and 5 wait" in found.told
    assert f"waits for: {story.folder}: queued" in told(found)
    assert [run.path for run in needs_of(second.run)] == [story.run.path]
    slurm.set("queue")
    assert "launch.py missing ablations --submit" in why.diagnose(second.run).advice[0]


# What runs, and what is done.


def test_what_runs(story, slurm):
    story.submitted().started(30).trained(400).held("14_0").queued(slurm, "14_0", "RUNNING", "None")
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("running", "nothing is wrong")
    assert "about 20 min are left" in found.told


def test_time_that_will_not_do_is_said_while_it_runs(story, slurm):
    story.submitted(units=1, time_min=60).started(30).trained(400, total=9000).held("14_0")
    story.queued(slurm, "14_0", "RUNNING", "None")
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("running", "its time will not do")
    assert "of the 8600 steps left" in told(found)
    assert "--units 6" in found.advice[0]


def test_silence_names_the_node_whose_log_stopped_first(story, slurm):
    story.submitted().started(90).held("14_0", 2 * SILENT_S / 60).queued(slurm, "14_0", "RUNNING", "None")
    story.printed(dict.fromkeys(range(4), "step 7\n"), minutes={0: 1, 1: 1, 2: 19, 3: 1})
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("running", "silent")
    assert "20 min" in found.told
    assert "rank 2 on ng2 is missing" in found.told
    assert "scancel 14_0" in found.advice[-1]


def test_what_is_done(story):
    write_json_atomic(story.run.done, {"time": ago(60), "step": 1000})
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("done", "nothing is wrong")
    assert "1 h ago" in told(found)


def test_of_a_run_that_is_done_the_share_of_its_evaluation_that_failed(story):
    write_json_atomic(story.run.done, {"time": ago(60), "step": 1000})
    good, bad = story.run.cell("mgsm", "bn", 0), story.run.cell("mgsm", "sw", 0)
    good.path.mkdir(parents=True)
    write_json_atomic(good.done, {"time": ago(9), "items": 250, "max_new_tokens": 512})
    story.failed("OutOfMemoryError: CUDA out of memory.\n  next: less\n", 5, bad)
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("done", "evaluation failed")
    assert "the GPU's memory is full" in found.told
    assert "1 of 2 shares" in found.told
    assert found.advice[0] == f"python launch.py why {story.folder}/mgsm/sw-0"
    alone = why.diagnose(bad)
    assert alone.state == "failed"
    assert "evaluation.batch_size=16" in alone.advice[0]


# The command.


@pytest.mark.parametrize("width", [80, 120])
def test_the_command_draws_one_screen(story, tmp_path, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    story.started().printed({0: f"{FRAME}KeyError: 'labels'\n"}).failed(
        "KeyError: 'labels'\n  next: mend it\n"
    )
    assert launch.main(["why", "math", "--runs", str(tmp_path / "runs")]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= width
    assert lines[0].split() == ["run", story.folder, "failed"]
    assert "KeyError: 'labels'" in lines[1]


def test_runs_in_every_state_are_told_of(tmp_path, slurm):
    made = make_runs(tmp_path / "runs", count=52)
    made.write_answers(slurm.folder)
    look = Look.attempt()
    causes = {
        "gpu memory": "out of GPU memory",
        "host memory": "out of memory",
        "nccl time-out": "collective time-out",
        "missing file": "missing file",
        "disk quota": "disk quota exceeded",
        "walltime": "no progress",
        "not a number": "diverged",
    }
    states = {
        "done": {"done"},
        "queued": {"queued"},
        "running": {"running"},
        "failed": {"failed"},
        "blocked": {"blocked"},
        "interrupted": {"interrupted"},
        "cancelled": {"cancelled", "interrupted"},
        "new": {"new", "blocked"},
    }
    for name, state in made.states.items():
        run = RunFolder(made.root / name)
        if not run.path.exists():
            continue
        found = why.diagnose(run, look)
        assert found.state in states[state], (name, state, found)
        if name in made.kinds:
            assert found.cause == causes[made.kinds[name]], (name, found)


@pytest.mark.parametrize(
    ("said", "told_of"),
    [
        (
            "code archive /r/.code/t.tar is damaged or gone: give the same command again, which writes it anew\n",
            "t.tar",
        ),
        (
            "job call /r/slurm/call-1.pkl is damaged or gone: give the same command again, which writes it anew\n",
            "call-1",
        ),
        (
            START.format(job="20_0", node="n1") + "Traceback (most recent call last):\n"
            '  File "/c/jobs/grid/slot.py", line 5, in run\n    f()\n'
            "cluster.files.DamagedFile: /r/grids/g/cells-1.json is damaged: it is empty; scancel its jobs\n",
            "cells-1.json is damaged",
        ),
    ],
)
def test_a_cell_whose_array_broke_before_it_took_up_anything_says_why(said, told_of, story, slurm):
    grid = GridFolder(story.root, "ablations")
    grid.create()
    cells = [{"job": "train", "run": str(story.run.path), "needs": []}]
    listed = grid.write_list({"cells": cells, "runs": {}})
    story.submitted("20", units=2)
    submission = json.loads(story.run.submission.read_text())
    story.run.submission.unlink()
    grid.new_record().write_text(json.dumps({**submission, "cells": listed.name}))
    slurm.set("queue")
    log = grid.slurm / "20_0_0_log.out"
    log.write_text(said)
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("new", "damaged file")
    assert told_of in found.told
    assert found.advice[0] == "python launch.py missing ablations --submit"
    assert ("log", str(log)) in found.evidence
    log.write_text(f"{said}\n== another-s1-00000009\nstep 1/2\n")
    assert why.diagnose(story.run).cause == "not submitted", "a slot that worked broke over something else"


# Whose job, and who ended it.


def test_a_row_of_accounting_of_another_job_of_that_number_is_no_cause(story, slurm):
    times = "2024-01-01T08:00:00|2024-01-01T08:01:00"
    whose = "2024-01-01T07:00:00|vasp|sbatch vasp.sh"
    slurm.set("accounting", f"14_0|OUT_OF_MEMORY|0:125|60|720|mem=1G||00:01|1|1||ng1|{times}||{whose}\n")
    story.submitted().started().printed({0: "step 7\n"})
    found = why.diagnose(story.run)
    assert found.cause == "unsure"
    assert "OUT_OF_MEMORY" not in told(found)


def test_a_job_that_accounting_has_as_running_is_not_told_to_have_ended_so(story, slurm):
    times = "2026-11-25T08:00:00|Unknown"
    slurm.set("accounting", f"14_0|RUNNING|0:0|60|720|mem=1G||00:01|1|1||ng1|{times}|\n")
    story.submitted().started().printed({0: "step 7\n"})
    found = told(why.diagnose(story.run))
    assert "ended as RUNNING" not in found
    assert "job 14_0 is RUNNING in accounting still, though it is not in the queue" in found


def test_where_there_is_no_accounting_a_cancel_is_told_by_its_event(story, slurm):
    story.submitted().event("cancelled", 5, jobs=["14"], uid=os.getuid())
    found = why.diagnose(story.run)
    assert (found.state, found.cause) == ("cancelled", "cancelled")
    assert found.told == "its job 14 was cancelled by you before it could start"
    story.started(job="14_0").printed({0: "step 7\n"}).event("cancelled", 5, jobs=["14"], uid=os.getuid())
    assert why.diagnose(story.run).cause == "cancelled"
    slurm.set("accounting", "14_0|FAILED|0:11|60|720|mem=1G||00:01|1|1||ng1|2026-11-25T08:00:00|x|\n")
    assert why.diagnose(story.run).cause == "crashed"  # accounting would know


def test_a_job_of_another_cluster_may_be_in_its_queue(story, slurm, monkeypatch):
    monkeypatch.setenv("CC_CLUSTER", "fir")
    found = why.diagnose(story.submitted().run)
    assert (found.state, found.cause) == ("queued", "queue not known")
    assert "on narval, which cannot be asked from here" in found.told


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        *(("SIGNALING", "being signalled"), ("RESIZING", "being resized"), ("STAGE_OUT", "ends")),
        *(
            ("COMPLETING", "ends"),
            ("SUSPENDED", "suspended"),
            ("STOPPED", "suspended"),
            ("RUNNING", "starting"),
        ),
        *(("CONFIGURING", "nodes boot"), ("POWER_UP_NODE", "nodes boot"), ("UPDATE_DB", "starting")),
        *(
            ("REVOKED", "moved"),
            ("REQUEUE_HOLD", "held"),
            ("SPECIAL_EXIT", "held"),
            ("EXPEDITING", "being looked at"),
        ),
        *(("LAUNCH_FAILED", "could not be started"), ("RECONFIG_FAIL", "could not be started")),
        *(
            ("REQUEUED", "begins later"),
            ("REQUEUE_FED", "begins later"),
            ("RESV_DEL_HOLD", "reservation is gone"),
        ),
        *((state, "never started") for state in OVER),
    ],
)
def test_every_state_of_squeue_is_told_as_what_it_is(story, slurm, state, cause):
    story.submitted().queued(slurm, "14_0", state, "None")
    assert why.diagnose(story.run).cause == cause


def test_a_run_at_work_that_is_being_signalled_is_not_suspended(story, slurm):
    story.submitted().started().held("14_0").queued(slurm, "14_0", "SIGNALING", "None")
    assert why.diagnose(story.run).state == "running"
