"""Every way in which a cluster ends a training: it goes on by itself and ends as if nothing had been."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.files import read_jsonl
from cluster.job.lifecycle import settle
from jobs.reliability.ettr import effective_time
from tests.jobs.work.test_train import events, train, trajectory, weights
from tests.slurm.chains import (
    EPOCHS,
    STEP,
    Chain,
    clients_of,
    follow,
    kill_rank,
    kill_shell,
    lose_node,
    preempt,
    requeue,
    send_term,
    slow_down,
    stopped,
    submit,
    trains,
)
from tests.world import write_recipe

pytestmark = pytest.mark.timeout(1200)
PATIENCE_S = 900


@dataclass(frozen=True)
class Case:
    name: str
    cause: str
    act: Callable[[Chain], None] | None
    mode: str = "chain"
    facts: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}-{self.mode}"


KINDS = [
    Case(
        "walltime",
        "walltime",
        None,
        facts=(("units", 12), ("minutes", 1), ("change", slow_down)),
    ),
    Case("preemption", "preemption", preempt),
    Case("requeue", "requeue", requeue, facts=(("extra", ("--requeue",)),)),
    Case("node", "node failure", lose_node),
    Case("signal", "scancel --signal", send_term),
    Case("kill", "killed", kill_rank),
    Case("shell", "killed", kill_shell),
]
CASES = [
    pytest.param(
        Case(kind.name, kind.cause, kind.act, mode, kind.facts),
        id=f"{kind.name}-{mode}",
        marks=[pytest.mark.slow] if mode == "requeue" and kind.name not in ("walltime", "preemption") else [],
    )
    for mode in ("chain", "requeue")
    for kind in KINDS
]


def chosen(request: pytest.FixtureRequest) -> list[Case]:
    """The cases that this test session is going to look at, each once."""
    found = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    return list(dict.fromkeys(case for case in found if isinstance(case, Case)))


@pytest.fixture(scope="module")
def chains(sandbox, world, tmp_path_factory, request) -> dict[str, Chain]:
    """All cases at once, each on two nodes of its own; each is disturbed when it is on its way."""
    base = tmp_path_factory.mktemp("chains")
    found = {
        str(case): submit(sandbox, world, base / str(case), mode=case.mode, **dict(case.facts))
        for case in chosen(request)
    }
    acts = {str(case): case.act for case in chosen(request)}
    end = time.monotonic() + PATIENCE_S
    while not all(chain.over() for chain in found.values()) and time.monotonic() < end:
        for name, chain in found.items():
            act = acts[name]
            if act and not chain.disturbed and len(trajectory(chain.run.path)) >= STEP and chain.unit():
                chain.disturbed = True
                act(chain)
            for node in chain.lost[:]:
                if chain.sandbox.nodes()[node].startswith("down"):
                    chain.sandbox.start_node(node)
                    chain.lost.remove(node)
        time.sleep(0.2)
    end = time.monotonic() + 60  # the queue is emptied after each test
    while time.monotonic() < end and not all(chain.after.exists() for chain in found.values()):
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory) -> Path:
    """The same training by one process, without interruption."""
    recipe = write_recipe(world, tmp_path_factory.mktemp("undisturbed"), EPOCHS)
    told = train(recipe, "--stage", "1", "--inline")
    assert told.returncode == 0, told.told
    (run,) = (recipe.parent / "runs").glob("*-s1-*")
    return run


@pytest.mark.parametrize("case", CASES)
def test_its_time_in_jobs_is_told_and_a_signal_loses_a_step_at_most(case: Case, chains):
    chain = chains[str(case)]
    one = effective_time(chain.run)
    stops = {stop.cause: stop for stop in one.interruptions}
    assert one.ettr is not None, one
    assert 0 < one.ettr < 1
    told = {"SIGTERM"} if case.act is kill_shell else set()  # which the step gets then, and takes heed of
    assert stops.keys() & {case.cause, *told}
    if case.act in (None, send_term):
        assert stops[case.cause].lost_steps <= stops[case.cause].count
    rows = chain.sandbox.run("sacct", "-X", "-D", "-n", "-P", "-o", "ElapsedRaw", "-j", chain.job).stdout
    elapsed_s = sum(map(int, rows.split()))
    assert one.wall_s == pytest.approx(elapsed_s, abs=10 * one.starts), rows


@pytest.mark.parametrize("case", CASES)
def test_the_run_goes_on_by_itself(case: Case, chains, undisturbed):
    chain = chains[str(case)]
    assert chain.run.done.exists(), chain.log()[-6000:] + chain.run.reason()
    assert case.cause in chain.causes()
    assert trajectory(chain.run.path) == trajectory(undisturbed)
    for name, value in weights(undisturbed).items():
        assert (weights(chain.run.path)[name] - value).abs().max() < 1e-9, name
    chain.states()
    end = time.monotonic() + 30
    while not chain.after.exists():
        assert time.monotonic() < end, chain.states()
        time.sleep(0.2)


def test_too_much_memory_stops_the_chain_and_says_what_to_change(sandbox, world, tmp_path):
    chain = submit(sandbox, world, tmp_path / "memory", mem_mb=200)
    assert len(events(chain.run.path, "started") if stopped(chain) else []) <= 1
    told = chain.run.failed.read_text()
    assert told.startswith("out of memory: job ")
    assert "cluster.mem=" in told
    assert "exit code" in told
    assert len(told.splitlines()) < 40


def break_data(told: dict) -> None:
    """A row that is no example, in a file of the user's."""
    folder = Path(told["config"]["data"]["path"])
    broken = Path(told["run"]).parents[1] / "data"
    shutil.copytree(folder, broken)
    path = next(broken.glob("*.sw"))
    path.write_bytes(path.read_bytes().replace(b" ", b"\xff", 1))
    told["config"]["data"]["path"] = str(broken)


def diverge(told: dict) -> None:
    told["config"]["training"].update(lr=1e200, clip=1e300)


@pytest.mark.parametrize(("change", "said"), [(diverge, "rows ["), (break_data, ".sw:1: ")])
def test_an_error_stops_the_chain_with_a_diagnosis(change, said, sandbox, world, tmp_path):
    chain = submit(sandbox, world, tmp_path / "broken", change=change, units=3)
    states = stopped(chain)
    assert set(states) == {"FAILED"}
    told = chain.run.failed.read_text()
    assert said in told
    assert "next: " in told
    assert "exit code: 1" in told
    assert len(told.splitlines()) < 40
    assert len(events(chain.run.path, "started")) == 1
    assert "does not start" in chain.log()


def test_a_process_says_itself_why_it_failed_while_rank_0_waits_for_it(sandbox, world, tmp_path):
    def breaks(told: dict) -> None:
        told |= {"act": "raise", "dies": 1, "ready": str(tmp_path)}

    chain = submit(sandbox, world, tmp_path / "rank", job="tests.jobs.echo", change=breaks, units=2)
    assert chain.states() == ["FAILED", "FAILED"]
    (failed,) = events(chain.run.path, "failed")
    assert (failed["rank"], failed["reason"]) == (1, "RuntimeError: rank 1 broke")
    assert len(events(chain.run.path, "started")) == 1
    assert not chain.after.exists()


def test_a_cancelled_run_is_over_and_can_be_taken_up_again(sandbox, world, tmp_path):
    chain = submit(sandbox, world, tmp_path / "cancelled")
    follow(chain, trains)
    assert (
        "step "
        in chain.running()["Comment"] + sandbox.run("squeue", "-h", "-j", chain.unit(), "-o", "%k").stdout
    )
    sandbox.run("scancel", chain.job)
    assert set(chain.states()) == {"CANCELLED"}
    assert not chain.after.exists()
    follow(chain, lambda chain: chain.run.lease().living_holder() is None)
    with clients_of(sandbox):
        settle(chain.run)
    assert chain.causes() == ["cancelled"]
    assert chain.run.reason().startswith("cancelled: ")
    again = submit(sandbox, world, tmp_path / "cancelled")
    assert again.run.path == chain.run.path
    follow(again, lambda chain: chain.run.done.exists())
    assert events(chain.run.path, "resumed")


def test_one_cancelled_unit_ends_the_chain(sandbox, world, tmp_path):
    chain = submit(sandbox, world, tmp_path / "one", units=3)
    follow(chain, trains)
    sandbox.run("scancel", chain.unit())
    assert stopped(chain)[0] == "CANCELLED"
    assert chain.run.reason().startswith("cancelled: ")


def test_the_last_unit_fails_if_there_is_work_left_and_the_next_submission_goes_on(sandbox, world, tmp_path):
    chain = submit(sandbox, world, tmp_path / "short", units=2)
    for unit in range(2):
        follow(
            chain, lambda chain, unit=unit: len(events(chain.run.path, "resumed")) == unit and trains(chain)
        )
        send_term(chain)
        follow(chain, lambda chain, unit=unit: len(chain.causes()) == unit + 1)
    assert chain.states() == ["COMPLETED", "FAILED"]
    assert "submit again with more units" in chain.log()
    assert chain.run.state() == "interrupted"
    assert not chain.after.exists()


def test_three_starts_without_progress_stop_the_chain(sandbox, world, tmp_path):
    def unsaved(told: dict) -> None:
        told["config"]["training"].update(save_every=10000, eval_every=10000, micro_batch=1)

    chain = submit(sandbox, world, tmp_path / "fruitless", units=6, change=unsaved)
    for start in range(3):
        follow(chain, lambda chain, start=start: len(events(chain.run.path, "started")) == start + 1)
        steps = len(read_jsonl(chain.run.metrics))
        follow(chain, lambda chain, steps=steps: len(read_jsonl(chain.run.metrics)) > steps)
        kill_rank(chain)
        follow(chain, lambda chain, start=start: len(chain.causes()) == start + 1)
    stopped(chain)
    assert chain.causes() == ["killed"] * 3
    assert "3 starts without progress" in chain.run.reason()
