"""What `logs`, `why` and `efficiency` tell of jobs that a real Slurm has run, held and ended."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace

import pytest

import launch
from cluster.run.run_folder import RunFolder
from cluster.slurm.submission import Submission
from jobs.diagnosis import why
from jobs.diagnosis.evidence import Diagnosis
from jobs.diagnosis.usage import Records, consumption
from tests.jobs.stories import Story
from tests.slurm.chains import Chain, clients_of, follow, shell_of, submit


def record(chain: Chain, template: Submission, name: str) -> RunFolder:
    """What the launcher would have recorded of a chain."""
    replace(template, job=chain.job, name=name, units=chain.units, profile="sandbox").write(
        chain.run.submission
    )
    return chain.run


@pytest.fixture
def template(tmp_path) -> Submission:
    found = Submission.read(Story(tmp_path / "other").submitted().run.submission)
    assert found
    return found


def evidence(found: Diagnosis) -> str:
    return "\n".join(f"{name}: {text}" for name, text in found.evidence)


def ended(chain: Chain) -> None:
    follow(
        chain,
        lambda chain: not chain.sandbox.run("squeue", "-h", "-j", chain.job, check=False).stdout.strip(),
    )
    follow(chain, accounted)


def accounted(chain: Chain) -> bool:
    """Whether accounting, which lags, has an end of every start; elements may come into it one by one."""
    told = chain.sandbox.run(
        "sacct", "-X", "-D", "-n", "-P", "-j", chain.job, "-o", "jobid,state", check=False
    ).stdout
    states = dict(line.split("|") for line in told.splitlines() if line.strip())
    began = {event["job"] for event in chain.run.history() if event["event"] == "started"}
    return (
        bool(states)
        and began <= states.keys()
        and not {state.split()[0] for state in states.values()} & {"PENDING", "RUNNING", "COMPLETING"}
    )


def test_a_rank_that_breaks(sandbox, tmp_path, template, capsys):
    (tmp_path / "ready").mkdir()
    told = {"act": "raise", "dies": 1, "ready": str(tmp_path / "ready")}
    chain = submit(
        sandbox,
        tmp_path / "world",
        tmp_path / "a",
        units=2,
        job="tests.jobs.echo",
        change=lambda t: t.update(told),
    )
    follow(chain, lambda chain: chain.run.failed.exists())
    ended(chain)
    run = record(chain, template, "a")
    with clients_of(sandbox):
        found = why.diagnose(run)
        assert launch.main(["logs", str(run.path), "--errors"]) == 0
    assert (found.state, found.cause) == ("failed", "an exception")
    assert found.told == "RuntimeError: rank 1 broke"
    assert "rank 1 on node" in evidence(found)
    assert f"job {chain.job}_0 FAILED" in evidence(found)
    printed = capsys.readouterr().out
    assert "rank 1 on node" in printed
    assert "RuntimeError: rank 1 broke\n  in two lines" in printed
    assert re.search(r'echo\.py", line \d+', printed)


def test_a_rank_that_takes_too_much_memory(sandbox, tmp_path, template):
    chain = submit(
        sandbox, tmp_path / "world", tmp_path / "b", units=2, mem_mb=400, job="tests.slurm.hog",
        change=lambda told: told.update(dies=1),
    )  # fmt: skip
    ended(chain)
    run = record(chain, template, "b")
    with clients_of(sandbox):
        found = why.diagnose(run)
        (row,) = consumption(run, Records.of([run]))
    assert found.cause == "out of memory", found
    assert "task 1 on node" in found.told
    assert "OUT_OF_MEMORY" in evidence(found)
    assert "--more-mem" in found.advice[0]
    assert row.starts >= 1
    assert row.elapsed_s > 0
    assert row.used_mb


def test_a_rank_that_crashes(sandbox, tmp_path, template, capsys):
    (tmp_path / "ready").mkdir()
    told = {"act": "crash", "dies": 1, "ready": str(tmp_path / "ready")}
    chain = submit(
        sandbox, tmp_path / "world", tmp_path / "d", units=1, job="tests.jobs.echo",
        change=lambda t: t.update(told),
    )  # fmt: skip
    ended(chain)
    run = record(chain, template, "d")
    with clients_of(sandbox):
        found = why.diagnose(run)
        assert launch.main(["logs", str(run.path), "--errors"]) == 0
    assert found.cause == "crashed", found
    assert "task 1 on node" in found.told
    assert "Segmentation fault" in found.told
    assert "Segmentation fault" in capsys.readouterr().out


def test_a_batch_shell_that_is_killed_was_not_cancelled(sandbox, tmp_path, template):
    (tmp_path / "ready").mkdir()
    told = {"act": "wait", "ready": str(tmp_path / "ready")}
    chain = submit(
        sandbox, tmp_path / "world", tmp_path / "e", units=1, job="tests.jobs.echo",
        change=lambda t: t.update(told),
    )  # fmt: skip
    follow(chain, lambda chain: (tmp_path / "ready" / "1").exists())
    os.kill(shell_of(chain.running()["JobId"]), signal.SIGKILL)
    ended(chain)
    run = record(chain, template, "e")
    with clients_of(sandbox):
        found = why.diagnose(run)
    assert found.cause == "killed", (found, chain.log(), chain.causes(), chain.states())
    assert "cancelled" not in chain.causes()
    assert not run.failed.exists()


def test_a_job_whose_output_cannot_be_written(sandbox, tmp_path, template):
    chain = submit(
        sandbox, tmp_path / "world", tmp_path / "f", units=1, job="tests.jobs.echo", extra=("--hold",),
    )  # fmt: skip
    run = record(chain, template, "f")
    run.slurm.rename(tmp_path / "elsewhere")
    run.slurm.touch()  # a folder that is only gone is made again by Slurm 24.11
    sandbox.run("scontrol", "release", chain.job)
    ended(chain)
    with clients_of(sandbox):
        found = why.diagnose(run)
    assert found.cause == "output file not written", found
    assert "exit 0:53" in evidence(found)


def test_a_job_that_is_held_and_then_cancelled(sandbox, tmp_path, template):
    told = {"act": "tell"}
    chain = submit(
        sandbox, tmp_path / "world", tmp_path / "c", units=1, job="tests.jobs.echo", extra=("--hold",),
        change=lambda t: t.update(told),
    )  # fmt: skip
    run = record(chain, template, "c")
    with clients_of(sandbox):
        found = why.diagnose(run)
        assert (found.state, found.cause) == ("queued", "held")
        assert found.advice == [f"scontrol release {chain.job}"]
        sandbox.run("scancel", chain.job)
        ended(chain)
        found = why.diagnose(run)
    assert (found.state, found.cause) == ("cancelled", "cancelled")
    assert "cancelled by you" in found.told or os.getuid() != 0
