"""Where the time of trainings went, told from records that are written here by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

import launch
from cluster.files import write_json_atomic
from cluster.run.run_folder import RunFolder
from jobs.reliability.advice import better_interval
from jobs.reliability.ettr import effective_time, together
from jobs.reliability.rate import Rate, rate_of
from jobs.reliability.starts import starts_of
from jobs.reliability.table import ettr_table
from tests.jobs.stories import CONFIG

BEGIN = datetime(2026, 11, 20, tzinfo=UTC).timestamp()


def at(seconds: float) -> str:
    return datetime.fromtimestamp(BEGIN + seconds, UTC).isoformat(timespec="milliseconds")


class Told:
    """A run whose records are written one by one, with times in seconds since its begin."""

    def __init__(self, root, signature="00000001"):
        self.run = RunFolder.at(root, "math", 1, signature)
        self.run.slurm.mkdir(parents=True)
        self.run.config.write_text(json.dumps(CONFIG))

    def event(self, seconds, kind, /, **facts):
        with self.run.events.open("a") as file:
            file.write(json.dumps({"time": at(seconds), "event": kind, **facts}) + "\n")
        return self

    def started(self, began, seconds, job="14_0"):
        self.event(seconds, "started", job=job, log="x", log_from=0, began=at(began))
        with self.run.starts.open("a") as file:
            file.write(
                json.dumps({"time": at(seconds), "kind": "train", "job": job, "began": at(began)}) + "\n"
            )
        return self

    def began_here(self, began, seconds):
        with self.run.starts.open("a") as file:
            file.write(json.dumps({"time": at(seconds), "kind": "train", "began": at(began)}) + "\n")
        return self

    def metrics(self, *records):
        with self.run.metrics.open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
        return self

    def steps(self, first, last, since, each=10.0, **facts):
        """Steps one after another from a moment on; their records are written as they end."""
        for number, step in enumerate(range(first, last + 1), start=1):
            told = {
                "time": at(since + number * each),
                "step": step,
                "total": 100,
                "loss": 1.0,
                "seconds": each,
            }
            self.metrics({**told, **facts})
        return self

    def dev(self, seconds, step, took=5.0):
        return self.metrics({"time": at(seconds), "step": step, "dev_loss": 1.0, "seconds": took})

    def saved(self, seconds, step, took=1.0):
        return self.event(seconds, "saved", step=step, path="p", seconds=took)

    def done(self, seconds, step):
        self.event(seconds, "finished", step=step)
        write_json_atomic(self.run.done, {"time": at(seconds), "step": step})
        return self


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path / "runs")


def killed_once(told):
    """In a job since 0, first step at 100; killed at 215 in step 12, of which 10 are saved; the next one ends well."""
    told.started(0, 60).steps(1, 10, 100).saved(201, 10).steps(11, 11, 201)
    told.event(900, "interrupted", cause="node failure", state="NODE_FAIL", exit="0:0", ended=at(215))
    told.started(800, 900, "14_1").event(910, "resumed", step=10).steps(11, 15, 920).dev(975, 15)
    return told.saved(977, 15, took=2.0).done(980, 15)


def test_every_second_of_a_job_is_somewhere(told):
    one = effective_time(killed_once(told).run)
    assert (one.starts, one.wall_s) == (2, pytest.approx(215 + 180))  # not the queue between them
    assert one.steps_s == pytest.approx(150)  # each step once, the eleventh as it was done last
    assert one.dev_s == pytest.approx(5)
    assert one.redone_s == pytest.approx(10)
    assert one.saving_s == pytest.approx(3)
    assert one.loading_s == pytest.approx(100 + 120)
    assert one.first_step_s == pytest.approx(110)
    assert one.ettr == pytest.approx(155 / 395)
    (stop,) = one.interruptions
    assert (stop.cause, stop.count, stop.lost_steps) == ("node failure", 1, 1)


def test_where_accounting_did_not_tell_a_start_ends_with_its_last_record(told):
    told.started(0, 60).steps(1, 3, 100).event(140, "passed_over", fault="f")
    told.event(5000, "interrupted", cause="killed", state=None, exit=None, ended=None)
    told.started(4000, 5000).steps(1, 5, 5010).saved(5060, 5).done(5061, 5)
    one = effective_time(told.run)
    assert one.wall_s == pytest.approx(140 + 1061)
    assert [(stop.cause, stop.lost_steps) for stop in one.interruptions] == [("killed", 3)]


def test_a_signal_loses_nothing_and_is_named_by_its_cause(told):
    told.started(0, 0).steps(1, 4, 10).saved(51, 4).event(51, "stopping", step=4, reason="SIGUSR1")
    told.event(52, "interrupted", cause="walltime", signal="SIGUSR1", step=4)
    told.started(60, 60, "14_1").event(61, "resumed", step=4).steps(5, 6, 70).saved(91, 6).done(92, 6)
    one = effective_time(told.run)
    assert [(stop.cause, stop.count, stop.lost_steps) for stop in one.interruptions] == [("walltime", 1, 0)]
    assert one.ettr == pytest.approx(60 / (52 + 32))
    assert [start.unannounced for start in starts_of(told.run)] == [False, False]


def test_a_start_that_came_to_no_step_is_loading_and_the_loss_is_that_of_the_one_before(told):
    told.started(0, 0).steps(1, 8, 0).saved(51, 5)
    told.event(100, "interrupted", cause="killed", state="FAILED", ended=at(85))
    told.started(100, 100, "14_1").event(120, "resumed", step=5)
    told.event(200, "interrupted", cause="node failure", state="NODE_FAIL", ended=at(130))
    told.started(200, 200, "14_2").event(210, "resumed", step=5).steps(6, 8, 220).saved(251, 8).done(252, 8)
    one = effective_time(told.run)
    assert {stop.cause: stop.lost_steps for stop in one.interruptions} == {"killed": 3, "node failure": 0}
    assert one.loading_s == pytest.approx(0 + 30 + 20)
    assert one.ettr == pytest.approx(80 / (85 + 30 + 52))


def test_a_fall_back_to_an_earlier_checkpoint_loses_what_older_starts_did(told):
    """Both checkpoints damaged but the first: steps of two starts are done again."""
    told.started(0, 0).steps(1, 6, 0).saved(31, 3).event(61, "interrupted", cause="requeue", signal="SIGTERM")
    told.started(70, 70).event(71, "resumed", step=6).steps(7, 8, 71)
    told.event(200, "interrupted", cause="killed", state="FAILED", ended=at(95))
    told.started(200, 200).event(201, "resumed", step=3).steps(4, 8, 201).saved(252, 8).done(253, 8)
    one = effective_time(told.run)
    assert {stop.cause: stop.lost_steps for stop in one.interruptions} == {"requeue": 0, "killed": 5}
    assert one.redone_s == pytest.approx(50)
    assert one.steps_s == pytest.approx(80)


def test_what_will_be_done_again_is_lost_already_and_what_runs_counts_as_it_is(told):
    told.started(0, 0).steps(1, 8, 0).saved(51, 5)
    told.event(100, "interrupted", cause="killed", state="FAILED", ended=at(85))
    one = effective_time(told.run)
    assert (one.steps_s, one.redone_s) == (pytest.approx(50), pytest.approx(30))
    told.started(100, 100).event(101, "resumed", step=5).steps(6, 7, 110)
    with told.run.lease():
        assert effective_time(told.run).steps_s == pytest.approx(70)
    assert effective_time(told.run).steps_s == pytest.approx(50)  # it is gone, without a word


def test_a_run_that_is_done_may_have_a_start_at_work(told):
    """As after its bridge was found damaged; whether somebody lives is asked of the lease, not of the state."""
    killed_once(told).began_here(1000, 1001)
    assert starts_of(told.run)[-1].cause == "killed"
    with told.run.lease():
        assert starts_of(told.run)[-1].cause is None
    assert starts_of(told.run)[1].cause is None


def test_on_this_machine_starts_are_told_by_starts_alone(told):
    told.began_here(0, 5).steps(1, 3, 10).saved(41, 3).event(41, "stopping", step=3, reason="SIGTERM")
    told.began_here(100, 105).event(110, "resumed", step=3).steps(4, 5, 115)
    told.began_here(200, 205).event(210, "resumed", step=3).steps(4, 6, 215).saved(246, 6).done(247, 6)
    one = effective_time(told.run)
    assert one.wall_s == pytest.approx(41 + 35 + 47)
    assert {stop.cause: stop.lost_steps for stop in one.interruptions} == {"SIGTERM": 0, "killed": 2}
    assert [start.unannounced for start in starts_of(told.run)] == [False, True, False]


def test_a_unit_that_waits_for_the_one_before_does_not_take_its_records(told):
    told.started(0, 0).steps(1, 5, 0)  # it works until 50
    told.event(52, "interrupted", cause="walltime", signal="SIGUSR1").saved(51, 5)
    told.started(20, 60, "14_1").event(61, "resumed", step=5).steps(6, 7, 70).saved(91, 7).done(92, 7)
    one = effective_time(told.run)
    assert one.wall_s == pytest.approx(52 + 72)  # both jobs cost
    assert one.steps_s == pytest.approx(70)
    assert one.redone_s == 0


def test_a_failure_is_a_stop_of_its_own_and_no_interruption(told):
    told.started(0, 0).steps(1, 3, 0).event(31, "failed", reason="the loss is nan")
    one = effective_time(told.run)
    assert [(stop.cause, stop.lost_steps) for stop in one.interruptions] == [("failure", 3)]
    assert rate_of([told.run]).interruptions == 0


@pytest.mark.parametrize("cause", ["cancelled", "out of memory"])
def test_what_the_user_or_the_run_itself_caused_is_not_in_the_rate(told, cause):
    told.started(0, 0).event(31, "interrupted", cause=cause, state="CANCELLED", ended=at(31))
    assert rate_of([told.run]).interruptions == 0


def test_records_of_earlier_versions_give_a_dash_and_the_reason(tmp_path):
    root = tmp_path / "runs"
    old, older, new, none = (Told(root, f"0000000{number}") for number in range(4))
    old.event(0, "started", job="1").metrics({"step": 1, "total": 2, "loss": 1.0, "seconds": 3.0}).done(9, 1)
    killed_once(older).metrics({"time": at(979), "step": 16, "dev_loss": 1.0})
    killed_once(new)
    none.started(0, 5)
    times = [effective_time(one.run) for one in (old, older, new, none)]
    assert [one.ettr is None for one in times] == [True, True, False, True]
    assert times[0].wall_s is None
    assert times[1].wall_s == times[2].wall_s
    assert together(times) == times[2].ettr
    shown = ettr_table(times)
    assert [row.cells[1] for row in shown.rows] == ["–", "–", "0.392", "–"]
    notes = "\n".join(shown.notes)
    assert "ETTR of 1 training together: 0.392, 3 left out" in notes
    assert f"no ETTR of {old.run.path.name}: an earlier version wrote metrics without times" in notes
    assert (
        f"no ETTR of {older.run.path.name}: an earlier version wrote dev losses without their time" in notes
    )
    assert f"no ETTR of {none.run.path.name}: no step was done" in notes


def test_a_checkpoint_without_its_time_is_not_guessed(told):
    told.started(0, 0).steps(1, 2, 10).event(31, "saved", step=2, path="p").steps(3, 4, 31).saved(52, 4).done(
        60, 4
    )
    one = effective_time(told.run)
    assert one.saving_s is None
    assert one.ettr == pytest.approx(40 / 60)
    assert "saving is not told" in "\n".join(ettr_table([one]).notes)


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "7", '{"step": "x", "time": 3}', '{"step": 3}', '{"time": "x", "step": 3, "loss": 1}'],
)
def test_lines_that_are_no_records_break_nothing(told, line):
    killed_once(told)
    for path in (told.run.metrics, told.run.events, told.run.starts):
        with path.open("a") as file:
            file.write(line + "\n")
    one = effective_time(told.run)
    assert one.ettr is None or one.ettr == pytest.approx(155 / 395)
    assert (one.ettr is None) == bool(one.unknown)


def test_the_rate_is_one_an_hour_until_the_folder_tells_more():
    assert Rate(0, 0.0).an_hour == 1.0
    assert Rate(0, 99.0).mtbf_s == pytest.approx(360_000)
    assert Rate(9, 4.0).an_hour == pytest.approx(2.0)


def test_a_better_interval_is_told_where_it_gains_something(told):
    killed_once(told)
    better = better_interval(told.run, 2.0, Rate(1, 3.0))  # 500 in the recipe; a checkpoint of 1.5 s
    assert better
    assert better.steps == 73  # sqrt(2 * 1.5 * 7200) = 147 s
    assert "every 73 steps is best, you have 500" in better.told
    assert "0.5 unannounced interruptions an hour" in better.told
    assert better_interval(told.run, 0.3, Rate(1, 3.0)) is None  # 490 steps would be best
    assert better_interval(told.run, 0.0, Rate(1, 3.0)) is None


def test_efficiency_shows_it_and_tells_it_as_json(told, capsys):
    killed_once(told)
    where = ["--runs", str(told.run.root)]
    assert launch.main(["efficiency", *where]) == 0
    printed = capsys.readouterr().out
    assert "0.392" in printed
    assert "1 node failure: 1 step" in printed
    assert "-o training.save_every=auto: a checkpoint costs 1.5 s, a step 10 s" in printed
    assert max(map(len, printed.splitlines())) <= 120
    assert launch.main(["efficiency", "--json", *where]) == 0
    document = json.loads(capsys.readouterr().out)
    (training,) = document["trainings"]
    assert document["ettr"] == training["ettr"] == pytest.approx(155 / 395)
    assert training["interruptions"] == [{"cause": "node failure", "count": 1, "lost_steps": 1}]
    assert document["interruptions_an_hour"] == pytest.approx(2 / (1 + 395 / 3600))
