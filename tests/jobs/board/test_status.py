from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.files import write_json_atomic
from cluster.profile.resources import Resources
from cluster.run.grid_folder import GridFolder
from cluster.run.lease import this_process
from cluster.run.run_folder import RunFolder
from cluster.slurm.queued_job import OVER
from jobs.board.status import Collector, Wishes
from jobs.cell.cell import Cell, Worklist
from tests.jobs.synthetic import make_runs
from tests.timing import cpu_seconds

GONE = "job 12 is not in the queue, and accounting does not know it"
NODE = Resources(
    nodes=1,
    tasks_per_node=4,
    gpus_per_node=4,
    gpu="a100",
    cpus_per_task=12,
    mem_mb=None,
    time_min=720,
    units=3,
    account="def-prof",
    mail=None,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("synthetic") / "runs", 100)


@pytest.fixture
def asked(made, slurm):
    """The commands that answer with what belongs to the synthetic runs, and no memory of earlier answers."""
    made.write_answers(slurm.folder)
    for path in made.root.glob(".queue-*/*"):
        path.unlink()
    return slurm


def board(root, *names, **wishes):
    return Collector(root, Wishes(names, **wishes)).collect()


def trainings(status):
    return {row.run: row for row in status.rows if not row.share}


def ago(**span):
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="milliseconds")


class Case:
    """One run, told what has happened to it."""

    def __init__(self, root, name="math-s1-00000001"):
        self.run = RunFolder(root / name)
        self.run.path.mkdir()

    def submitted(self, job="12", units=3, profile="narval", dependency=None, **when):
        told = {"job": job, "name": "math-s1", "script": f"/r/{self.run.path.name}.sh", "units": units}
        facts = {"tree": "t", "archive": "a", "commit": None, "dirty": None, "dependency": dependency}
        when = {"time": ago(**(when or {"hours": 5})), "profile": profile}
        write_json_atomic(self.run.submission, {**told, **facts, **when, "resources": asdict(NODE)})
        return self

    def started(self, job="12_0", unit=0, **when):
        facts = {
            "kind": "train",
            "submission": job.partition("_")[0],
            "job": job,
            "unit": unit,
            "nodes": "n1",
        }
        when = when or {"hours": 4}
        with self.run.starts.open("a") as file:
            file.write(json.dumps({"time": ago(**when), "processes": 4, "device": "cuda:0", **facts}) + "\n")
        return self.event("started", restart=0, log="/l", log_from=0, **when, **facts)

    def event(self, what, /, hours=0, minutes=0, **facts):
        with self.run.events.open("a") as file:
            file.write(json.dumps({"time": ago(hours=hours, minutes=minutes), "event": what, **facts}) + "\n")
        return self

    def beat(self, seconds=5, **facts):
        self.run.heartbeat.write_text(json.dumps({"time": ago(seconds=seconds), **facts}))
        return self

    def held(self, job="12_0", **other):
        self.run.leases.mkdir(exist_ok=True)
        holder = {
            **asdict(this_process(job)),
            "boot": "another",
            "host": "n1",
            "since": ago(hours=4),
            **other,
        }
        (self.run.leases / "000001.json").write_text(json.dumps(holder))
        return self

    def row(self):
        return trainings(board(self.run.root))[self.run.path.name]


@pytest.fixture
def case(tmp_path, slurm):
    (tmp_path / "runs").mkdir()
    slurm.set("queue")
    slurm.set("accounting")
    return Case(tmp_path / "runs")


def queue(slurm, *rows, name="math-s1"):
    told = (
        "\t".join((id, id.partition("_")[0], state, reason, name, "/x", start))
        for id, state, reason, start in rows
    )
    slurm.set("queue", "".join(f"{line}\n" for line in told))


# Every state of the synthetic folder, and what it costs.


def test_every_run_is_in_the_state_that_it_was_made_in(made, asked):
    found = {name: row.state for name, row in trainings(board(made.root)).items()}
    assert found == made.states
    assert set(made.states.values()) == {
        *("done", "running", "queued", "new", "failed", "blocked", "interrupted", "cancelled")
    }


def test_any_number_of_runs_costs_one_squeue_and_one_sacct_and_nothing_within_a_minute(made, asked):
    board(made.root)
    assert [line.split()[0] for line in asked.lines("asked")] == ["squeue", "sacct"]
    board(made.root)
    board(made.root, "layalign")
    assert len(asked.lines("asked")) == 2


@pytest.mark.slow
def test_a_thousand_runs_are_read_in_seconds_of_our_own_time(tmp_path, slurm):
    made = make_runs(tmp_path / "runs", 1000)
    made.write_answers(slurm.folder)
    collector = Collector(made.root, Wishes())
    found = []
    assert (
        cpu_seconds(lambda: found.append(collector.collect())) < 4
    )  # 1.5 to 2.5 with 13,400 cells of evaluations
    (status,) = found
    assert len(trainings(status)) == 1000
    assert [line.split()[0] for line in slurm.lines("asked")] == ["squeue", "sacct"]


def test_without_slurm_files_alone_tell(made, monkeypatch, tmp_path):
    for path in made.root.glob(".queue-*/*"):
        path.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    status = board(made.root)
    assert status.unasked == "no Slurm here"
    assert status.look.time is None
    found = {name: row.state for name, row in trainings(status).items()}
    for name, state in made.states.items():
        if state in ("done", "failed", "new"):
            assert found[name] == state or (found[name], state) == ("blocked", "new")


def test_grids_are_summed_up_cell_by_cell(made, asked):
    status = board(made.root)
    for line in status.grids:
        folder = GridFolder(made.root, line.name)
        cells = Worklist.read(folder.path / folder.read_wanted()["list"]).cells
        assert line.cells == len(cells)
        assert line.states["done"] == sum(cell.done() for cell in cells)
        assert line.states["failed"] == sum(cell.folder.failed.exists() and not cell.done() for cell in cells)
        assert line.gpu_hours > 100
    names = [cell.name for cell in cells]
    assert [name.partition(" ")[0] for name in names] == [Path(cell.run).name for cell in cells]
    assert all(cell.run.endswith(f"/{cell.run_name}") for cell in cells)


def test_evaluations_are_one_row_for_each_benchmark_unless_the_run_is_asked_for(made, asked):
    status = board(made.root)
    done = next(row for row in status.rows if row.share == "msvamp" and row.state == "done")
    assert (done.note, done.step, done.total) == ("10/10 languages", 10_000, 10_000)
    busy = next(row for row in status.rows if row.share == "msvamp" and row.state == "running")
    assert busy.note.startswith("2/10 languages") or busy.note.startswith("3/10 languages")
    assert 2_500 < busy.step < busy.total == 10_000
    assert busy.gpu_mb == 21_000
    assert busy.eta_s == pytest.approx((10_000 - busy.step) / (2 * 1.3))
    broken = next(row for row in status.rows if row.share == "mgsm" and row.state == "failed")
    assert broken.note.startswith("1 failed: ")
    assert broken.note.endswith(("9/10 languages", "6/7 languages"))
    one = board(made.root, busy.run)
    shares = [row.share for row in one.rows if "/" in row.share]
    assert len(shares) == len(set(shares)) == 50
    assert {row.run for row in one.rows} == {busy.run}


# What to show.


def test_names_may_be_parts_of_names_of_grids_and_of_labels(made, asked):
    def chosen(*names, **wishes):
        return {row.run.partition("-seed")[0] for row in board(made.root, *names, **wishes).rows}

    assert chosen("gate") == {"dynamic-gate"}
    assert chosen("gate", "XGLM") == {"dynamic-gate", "encoder-xglm"}
    assert chosen("w/o adapter") == {"no-adapter"}
    assert chosen("ablations") == chosen(grid="ablations")
    assert len(chosen(grid="ablations")) == 4
    assert all("-seed1-" in row.run for row in board(made.root, "seed1", grid="states").rows)
    with pytest.raises(
        ClusterError, match=r"no run or grid below .* has nothing-like-it in its name; it holds 1\d\d runs"
    ):
        chosen("nothing-like-it")
    with pytest.raises(ClusterError, match=r"there is no grid 'ablatoin' below .*; did you mean ablations"):
        chosen(grid="ablatoin")


def test_states_can_be_chosen(made, asked):
    rows = board(made.root, states=("failed", "interrupted")).rows
    assert {row.state for row in rows} == {"failed", "interrupted"}
    with pytest.raises(ClusterError, match="there is no state 'runing'; did you mean running"):
        Wishes(states=("runing",))


def test_what_needs_attention_comes_first_and_what_is_done_last(made, asked):
    order = [row.state for row in board(made.root).rows]
    assert order == sorted(
        order,
        key=[
            "failed",
            "running",
            "interrupted",
            "blocked",
            "queued",
            "new",
            "cancelled",
            "done",
        ].index,
    )
    starts = [row.start for row in board(made.root, states=("queued",)).rows]
    known = [start for start in starts if start]
    assert known == sorted(known)
    assert starts[: len(known)] == known


def test_a_run_is_called_by_its_signature_only_where_it_must(tmp_path, slurm):
    for name in ("math-s1-00000001", "math-s2-00000002", "math-s2-00000003"):
        (tmp_path / name).mkdir()
    assert {row.title for row in board(tmp_path).rows} == {"math-s1", "math-s2-00000002", "math-s2-00000003"}


# One run, from nothing to done.


def test_a_run_that_nobody_submitted_is_new(case):
    assert (case.row().state, case.row().note) == ("new", "not submitted")


def test_a_job_that_waits_says_why_and_until_when(case, slurm):
    later = datetime.now() + timedelta(hours=3)
    queue(slurm, ("12_[0-2%1]", "PENDING", "Resources", f"{later:%Y-%m-%dT%H:%M:%S}"))
    row = case.submitted().row()
    assert (row.state, row.note, row.unit, row.units) == ("queued", "waits for room", 1, 3)
    assert abs(row.start - later.timestamp()) < 2


def test_a_job_submitted_after_the_last_look_is_not_lost(case, slurm):
    Case(case.run.root, "math-s2-00000002").submitted("11")
    case.row()
    case.submitted(seconds=0)
    assert case.row().state == "queued"
    assert len([line for line in slurm.lines("asked") if line.startswith("squeue")]) == 1


def test_an_id_that_is_another_jobs_on_another_cluster_is_not_ours(case, slurm):
    queue(slurm, ("12", "RUNNING", "None", "N/A"), name="somebody-else")
    slurm.set("accounting", "12_0\tNODE_FAIL\t1:0\tmath-s1\tx\n")
    assert case.submitted().row().state == "interrupted"


def test_a_job_of_somebody_else_is_not_lost_because_squeue_does_not_show_it(case, slurm):
    record = case.submitted().run.submission
    record.write_text(json.dumps({**json.loads(record.read_text()), "uid": 0 if os.getuid() else 1}))
    row = case.row()
    assert row.state == "queued"
    assert row.note.startswith("submitted by ")
    case.started().held(uid=0 if os.getuid() else 1).beat(step=5)
    assert case.row().state == "running"


@pytest.mark.parametrize(
    ("element", "state", "reason", "expected"),
    [
        ("12_[0-2%1]", "PENDING", "job requeued in held state", ("queued", "held")),
        ("12_[0-2%1]", "PENDING", "launch_failed_requeued_held", ("queued", "held")),
        ("12_0", "SPECIAL_EXIT", "job requeued in special exit state", ("queued", "held")),
        ("12_0", "REQUEUE_HOLD", "JobHeldUser", ("queued", "held")),
        ("12_0", "REQUEUED", "None", ("queued", "begins later")),
        ("12_[0-2%1]", "PENDING", "JobHeldUser,Priority", ("queued", "held, waits its turn")),
        ("12_[0-2%1]", "PENDING", "QOSMaxGRESPerJob", ("blocked", "too large: it will never start")),
        ("12_[0-2%1]", "PENDING", "PartitionTimeLimit", ("blocked", "time too long: it will never start")),
        ("12_[0-2%1]", "PENDING", "QOSMaxGRESPerJob,Priority", ("queued", "too large, waits its turn")),
        ("12_0", "CONFIGURING", "None", ("running", "nodes boot")),
        ("12_0", "SUSPENDED", "None", ("running", "suspended")),
        ("12_0", "STOPPED", "None", ("running", "suspended")),
        ("12_0", "STAGE_OUT", "None", ("running", "ends")),
        ("12_0", "RESIZING", "None", ("running", "being resized")),
        ("12_0", "SIGNALING", "None", ("running", "being signalled")),
        ("12_0", "LAUNCH_FAILED", "None", ("queued", "could not be started")),
        ("12_0", "EXPEDITING", "None", ("queued", "being looked at")),
        ("12_0", "RUNNING", "None", ("running", "gets ready on its nodes")),
        *(("12_0", state, "None", ("interrupted", GONE)) for state in OVER),
    ],
)
def test_every_state_and_reason_is_told_as_what_it_is(case, slurm, element, state, reason, expected):
    queue(slurm, (element, state, reason, "N/A"))
    row = case.submitted().row()
    assert (row.state, row.note) == expected


def rival(case, number=0, **facts):
    """One more submission of a race, as it is recorded."""
    case.run.rivals.mkdir(exist_ok=True)
    told = json.loads(case.run.submission.read_text())
    (case.run.rivals / f"{number}.json").write_text(json.dumps({**told, **facts}))


def test_a_run_is_told_of_by_all_that_was_submitted_for_it(case, slurm):
    rival(case.submitted(), job="15", script="/r/second.sh")
    queue(slurm, ("15_[0-2%1]", "PENDING", "Priority", "N/A"))
    assert (case.row().state, case.row().note) == ("queued", "waits its turn")
    fresh(case, slurm, ("15_0", "SUSPENDED", "None", "N/A"))
    assert (case.row().state, case.row().note) == ("running", "suspended")
    fresh(
        case,
        slurm,
        ("12_[0-2%1]", "PENDING", "PartitionTimeLimit", "N/A"),
        ("15_[0-2%1]", "PENDING", "Priority", ""),
    )
    assert case.row().state == "queued"
    case.run.submission.unlink()  # the first one was refused, and its record forgotten
    assert case.row().state == "queued"


def test_a_run_one_of_whose_rivals_cannot_be_read_is_told_of_by_the_folder_of_its_script(case, slurm):
    rival(case.submitted(), job="15", script="/r/second.sh")
    (case.run.rivals / "0.json").write_text("{")
    case.run.slurm.mkdir()
    row = f"15\t15\tPENDING\tPriority\tmath-s1\t{case.run.slurm / 'second.sh'}\tN/A\n"
    slurm.set("queue", row)
    assert case.row().state == "queued"


def fresh(case, slurm, *rows):
    """Other rows, and no memory of those before."""
    queue(slurm, *rows)
    for path in case.run.root.glob(".queue-*/*"):
        path.unlink()


def test_a_run_that_waits_for_a_rival_of_its_parent_says_so(case, slurm):
    rival(case.submitted(), job="15")
    child = Case(case.run.root, "math-s2-00000002").submitted("16", dependency="afterok:12_2?afterok:15_2")
    rows = (("15_[0-2%1]", "PENDING", "Priority", "N/A"), ("16_[0-2%1]", "PENDING", "Dependency", "N/A"))
    queue(slurm, *rows)
    assert child.row().note == "waits for math-s1"


def test_a_job_of_another_cluster_is_neither_lost_nor_found_here(case, slurm, monkeypatch):
    monkeypatch.setenv("CC_CLUSTER", "fir")
    queue(slurm, ("12_0", "RUNNING", "None", "N/A"))
    slurm.set("accounting", "12_0\tFAILED\t1:0\tmath-s1\tx\n")
    assert case.submitted().row().state == "queued"
    assert case.row().note == "job 12 is on narval, which cannot be asked from here"
    case.started()
    assert (case.row().state, case.row().note) == ("interrupted", case.row().note)
    assert "on narval" in case.row().note
    case.held(cluster="narval").beat(step=5)
    assert case.row().state == "running"
    silent = time.time() - 3600
    for path in (case.run.heartbeat, case.run.leases / "000001.json"):
        os.utime(path, (silent, silent))
    assert case.row().state == "interrupted"
    case.submitted(days=31)
    assert case.row().state == "interrupted"


def test_where_there_is_no_accounting_a_cancel_is_told_by_its_event(case, slurm):
    slurm.forget("accounting")
    case.submitted().event("cancelled", jobs=["12"], uid=os.getuid())
    assert (case.row().state, case.row().note) == ("cancelled", "job 12: cancelled by you")
    other = Case(case.run.root, "math-s2-00000002").submitted("16").event("cancelled", jobs=["15"], uid=7)
    assert other.row().state == "interrupted"
    begun = Case(case.run.root, "math-s1-00000003").submitted("20").started("20_0", hours=3)
    assert begun.row().state == "interrupted"
    assert begun.event("cancelled", jobs=["20"], uid=os.getuid()).row().state == "cancelled"
    assert begun.started("20_1").row().state == "interrupted"  # a start after it is another one


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("12_0\tFAILED\t1:0\tvasp\tsbatch vasp.sh\t2024-01-01T00:00:00", GONE),
        ("12_0\tFAILED\t1:0\tmath-s1\t\t2024-01-01T00:00:00", GONE),
        ("12_0\tFAILED\t1:0\tmath-s1\t\t", "job 12_0: FAILED, exit 1:0"),
        (
            "12_0\tRUNNING\t0:0\tmath-s1\t\t",
            "job 12_0 is not in the queue, though accounting has it as RUNNING still",
        ),
    ],
)
def test_accounting_is_believed_of_our_own_job_and_of_one_that_is_over(case, slurm, row, note):
    slurm.set("accounting", f"{row}\n")
    row = case.submitted().started().row()
    assert (row.state, row.note) == ("interrupted", note.replace("12 ", "12_0 ") if note == GONE else note)


def test_a_run_at_work_whose_job_is_suspended_says_so(case, slurm):
    queue(slurm, ("12_0", "SUSPENDED", "None", "N/A"))
    row = case.submitted().started().held().beat(seconds=700, step=5).row()
    assert (row.state, row.note, row.silent) == ("running", "suspended", True)


def test_a_job_that_gets_ready_runs(case, slurm):
    queue(slurm, ("12_0", "RUNNING", "None", "N/A"))
    row = case.submitted().row()
    assert (row.state, row.note, row.unit) == ("running", "gets ready on its nodes", 1)


def test_a_job_whose_process_is_gone_is_not_said_to_work(case, slurm):
    queue(slurm, ("12_0", "RUNNING", "None", "N/A"))
    case.submitted().started().held(boot=this_process().boot, started=1)
    assert (case.row().state, case.row().note) == ("running", "its process is gone, its job is not")
    case.event("interrupted", cause="walltime")
    assert case.row().note == "ends"


def test_a_job_at_work_tells_its_progress_from_heartbeat_and_metrics(case, slurm):
    queue(slurm, ("12_1", "RUNNING", "None", "N/A"), ("12_[2%1]", "PENDING", "JobArrayTaskLimit", "N/A"))
    case.submitted().started().event("interrupted", hours=2, cause="walltime").started("12_1", 1, hours=1)
    case.event("saved", minutes=9, step=500).held("12_1")
    case.beat(
        step=500, total=900, loss=0.5, tokens_per_s=9.0, eta_s=40.0, gpu_mb=100, gpu_total_mb=400, rss_mb=70
    )
    case.run.metrics.write_text(
        json.dumps({"step": 520, "total": 900, "loss": 0.4, "tokens_per_s": 10.0, "eta_s": 38.0}) + "\n"
        '{"step": 520, "dev_loss": 1.0, "dev_ppl": 2.7, "best": true}\n{"step": 52'
    )
    row = case.row()
    assert (row.state, row.note, row.unit, row.units, row.restarts) == ("running", "saved 500", 2, 3, 1)
    assert (row.step, row.total, row.loss, row.tokens_per_s, row.eta_s) == (520, 900, 0.4, 10.0, 38.0)
    assert (row.gpu_mb, row.gpu_total_mb, row.rss_mb, row.silent) == (100, 400, 70, False)


def test_a_job_whose_heartbeat_is_old_is_said_to_be_silent(case, slurm):
    queue(slurm, ("12_0", "RUNNING", "None", "N/A"))
    row = case.submitted().started().held().beat(seconds=700, step=5, loss=0.1).row()
    assert (row.state, row.silent) == ("running", True)


def test_a_job_that_began_after_the_last_look_is_believed(case, slurm):
    queue(slurm, ("12_[0-2%1]", "PENDING", "Priority", "N/A"))
    case.submitted().row()
    case.started(hours=0, minutes=0).held().beat(seconds=0, step=1, loss=1.0)
    later = time.time() + 3
    os.utime(case.run.heartbeat, (later, later))
    case.beat(seconds=-2, step=1, loss=1.0)
    assert case.row().state == "running"


def test_between_two_units_a_run_is_queued(case, slurm):
    queue(slurm, ("12_[1-2%1]", "PENDING", "BeginTime", "N/A"))
    row = case.submitted().started().event("interrupted", cause="walltime").row()
    assert (row.state, row.note, row.unit) == ("queued", "begins later", 2)


def test_a_run_that_nothing_will_go_on_with_is_interrupted(case):
    row = case.submitted().started().event("interrupted", hours=1, cause="walltime", step=300).row()
    assert (row.state, row.note) == ("interrupted", "walltime at 300")


@pytest.mark.parametrize(
    ("accounting", "state", "note"),
    [
        ("12_0\tNODE_FAIL\t1:0\tmath-s1\tx\n", "interrupted: node failure", "job 12_0: NODE_FAIL, exit 1:0"),
        ("12_0\tCANCELLED by 7\t0:0\tmath-s1\tx\n", "cancelled: cancelled", "job 12_0: CANCELLED"),
        (
            "12_0\tOUT_OF_MEMORY\t0:125\tmath-s1\tx\n",
            "failed: out of memory",
            "job 12_0: OUT_OF_MEMORY, exit 0:125",
        ),
        ("12_0\tFAILED\t0:9\tmath-s1\tx\n", "interrupted: killed", "job 12_0: FAILED, exit 0:9"),
        ("", "interrupted: unsure", "job 12_0 is not in the queue, and accounting does not know it"),
    ],
)
def test_a_run_whose_job_went_without_a_word_is_lost_and_accounting_is_asked_how(
    case, slurm, accounting, state, note
):
    slurm.set("accounting", accounting)
    row = case.submitted().started().held().beat(seconds=7200, step=5, loss=0.1).row()
    assert (f"{row.state}: {row.cause}", row.note) == (state, note)
    assert [line.split()[-1] for line in slurm.lines("asked")][1:] == ["--jobs=12_0"]


def test_a_job_cancelled_before_it_began_is_cancelled(case, slurm):
    slurm.set("accounting", "12_[0-2%1]\tCANCELLED by 7\t0:0\tmath-s1\tx\n")
    assert case.submitted().row().state == "cancelled"


def test_a_failure_is_told_in_its_first_line_and_a_cancelled_unit_is_no_failure(case):
    case.submitted().started().event("failed", reason="x")
    case.run.failed.write_text("out of memory: job 12_0\n  next: more\n")
    assert (case.row().state, case.row().note) == ("failed", "out of memory: job 12_0")
    case.run.failed.write_text("cancelled: unit 1 of 3, job 12_0\n")
    assert case.row().state == "cancelled"


def test_what_waits_for_a_failed_run_is_blocked_and_names_it(case, slurm):
    child = Case(case.run.root, "math-s2-00000002").submitted("13", 1, dependency="afterok:12_2")
    case.submitted()
    queue(slurm, ("12_[0-2%1]", "PENDING", "Priority", "N/A"), ("13", "PENDING", "Dependency", "N/A"))
    assert (child.row().state, child.row().note) == ("queued", "waits for math-s1")
    case.run.failed.write_text("no\n")
    assert (child.row().state, child.row().note) == ("blocked", "math-s1 has failed")


def test_a_job_that_can_never_start_is_blocked(case, slurm):
    queue(slurm, ("12_[0-2%1]", "PENDING", "DependencyNeverSatisfied", "N/A"))
    assert case.submitted().row().state == "blocked"


def test_a_process_of_this_machine_that_is_gone_leaves_an_interrupted_run(case):
    case.run.starts.write_text(json.dumps({"time": ago(hours=1), "kind": "train"}) + "\n")
    case.held(None, boot=this_process().boot, started=1)
    assert (case.row().state, case.row().note) == ("interrupted", "its process is gone")


def test_done_is_done_whatever_else_is_there(case, slurm):
    case.submitted().started().held().beat(step=900, total=900, loss=0.2, eta_s=0.0)
    case.run.done.write_text(json.dumps({"time": ago(hours=2), "step": 900}))
    row = case.row()
    assert (row.state, row.step, row.total, row.loss, row.eta_s) == ("done", 900, 900, 0.2, None)


def test_a_silent_controller_costs_nothing_but_the_knowledge(case, slurm):
    slurm.set("silent")
    case.submitted().started().held().beat(step=5, loss=0.1)
    status = board(case.run.root)
    assert status.look.fault.startswith("slurm_load_jobs error: Unable to contact")
    assert trainings(status)[case.run.path.name].state == "running"  # its heartbeat is fresh


def test_where_nothing_is_submitted_nobody_is_asked(case, slurm):
    assert board(case.run.root).unasked == "nothing is submitted"
    case.submitted()
    case.run.done.write_text(json.dumps({"time": ago(hours=2), "step": 900}))
    assert board(case.run.root).unasked == "nothing is submitted"
    assert slurm.lines("asked") == []


# Grids.


def cell(run, job="train", **facts):
    return Cell(job=job, run=str(run.path), **facts)


def test_the_cells_of_a_grid_wait_for_slots_and_for_each_other(case, slurm):
    grid = GridFolder(case.run.root, "abl")
    grid.create()
    one, two = (RunFolder(case.run.root / f"abl-s{stage}-0000000{stage}") for stage in (1, 2))
    cells = [
        cell(one),
        cell(two, needs=(str(one.path),)),
        *(
            cell(
                two,
                "evaluate",
                needs=(str(two.path),),
                benchmark="mgsm",
                language=code,
                items=250,
                max_new_tokens=9,
            )
            for code in ("bn", "sw")
        ),
    ]
    path = grid.write_list(Worklist(cells=tuple(cells)).to_dict())
    points = [
        {
            "label": "w/o X",
            "seed": 3,
            "runs": {"1": str(one.path), "2": str(two.path)},
            "evaluated": str(two.path),
        }
    ]
    write_json_atomic(grid.wanted, {"list": path.name, "points": points})
    case.submitted("44", 2)
    record = json.loads(case.run.submission.read_text())
    case.run.submission.unlink()
    queue(slurm, ("44_0", "RUNNING", "None", "N/A"), ("44_[1%1]", "PENDING", "JobArrayTaskLimit", "N/A"))
    assert {row.state for row in board(case.run.root, grid="abl").rows} == {"new"}
    write_json_atomic(grid.arrays / "a.json", {**record, "cells": path.name})
    rows = {row.name: row for row in board(case.run.root, grid="abl").rows}
    assert {name: row.state for name, row in rows.items()} == dict.fromkeys(
        ("abl-s1", "abl-s2", "abl-s2 mgsm"), "queued"
    )
    assert rows["abl-s1"].note == "waits for one of 1 slots that work"
    assert rows["abl-s2 mgsm"].note == "0/2 languages, waits for abl-s2"
    one.path.mkdir()
    one.failed.write_text("no room\n")
    rows = {row.name: row for row in board(case.run.root, "w/o x seed 3").rows}
    assert [rows[name].state for name in ("abl-s1", "abl-s2")] == ["failed", "blocked"]
    assert board(case.run.root).grids[0].states == {"failed": 1, "blocked": 1, "queued": 2}
    grid.withdraw([two.path.name])
    assert board(case.run.root).grids[0].cells == 4


def test_gpu_hours_are_those_that_starts_held(case, slurm):
    from jobs.board.run_state import Facts, gpu_hours

    case.started(hours=10).event("interrupted", hours=8, cause="walltime").started("12_1", 1, hours=7)
    case.event("failed", hours=4, reason="x")
    facts = Facts.of(case.run)
    assert gpu_hours(facts, {"12": 8}, time.time()) == pytest.approx(8 * (2 + 3), rel=0.01)
    assert gpu_hours(facts, {}, time.time()) == pytest.approx(
        4 * (2 + 3), rel=0.01
    )  # as the starts have counted


# Storage, and the sandbox.


def test_a_purge_is_told_two_weeks_before(tmp_path, slurm, monkeypatch):
    case = Case(tmp_path)
    case.run.done.write_text(json.dumps({"time": ago(days=50), "step": 9}))
    monkeypatch.setenv("CC_CLUSTER", "narval")
    monkeypatch.setenv("LAYALIGN_PROFILES", str(tmp_path / "profiles.yaml"))
    told = "narval: {storage: {scratch: {path: %s, purge_days: %d}}}"
    (tmp_path / "profiles.yaml").write_text(told % (tmp_path, 60))
    assert board(tmp_path).warnings == ()
    (tmp_path / "profiles.yaml").write_text(told % (tmp_path, 9))
    (warning,) = board(tmp_path).warnings
    assert warning == (
        "scratch deletes what is not touched for 9 days: run math-s1-00000001 in 9 days; to save it: "
        "python launch.py keep math-s1-00000001"
    )


def test_runs_in_a_sandboxs_queue_are_looked_for_there_and_often(case, slurm, tmp_path, monkeypatch):
    (tmp_path / "box" / "bin").mkdir(parents=True)
    (tmp_path / "box" / "env.sh").write_text("")
    environ = {"PATH": os.environ["PATH"], "LAYALIGN_SANDBOX": str(tmp_path / "box")}
    case.submitted(profile="sandbox")
    collector = Collector(case.run.root, Wishes(), environ)
    collector.collect()
    assert environ["SLURM_CONF"] == str(tmp_path / "box" / "etc" / "slurm.conf")
    assert collector.cache.every_s == 2
    elsewhere = {**environ, "SLURM_CONF": "/etc/slurm/slurm.conf"}
    collector = Collector(case.run.root, Wishes(), elsewhere)
    collector.collect()
    assert collector.cache.every_s == 60
