"""What runs asked for and used, told from accounting and from their own files, and what is advised."""

from __future__ import annotations

import json

import pytest

import launch
from cluster.files import write_json_atomic
from jobs.diagnosis.efficiency import table
from jobs.diagnosis.request_advice import advice_lines
from jobs.diagnosis.usage import Records, consumption, spans_of
from tests.jobs.stories import Story, ago
from tests.jobs.synthetic import make_runs
from tests.test_layers import HEAVY, modules_after

TIMES = "2026-11-25T08:00:00|2026-11-25T10:24:00"


def rows_of(job: str, elapsed: int, rss_mb: int, cpu: str = "10:00:00", gpu_mb: int | None = None) -> str:
    """What sacct says of a job on two nodes with two tasks and 24 cores each."""
    most = f"gres/gpumem={gpu_mb}M,mem={rss_mb}M" if gpu_mb else f"mem={rss_mb}M"
    return (
        f"{job}|COMPLETED|0:0|{elapsed}|720|cpu=48,gres/gpu=4,mem=128G,node=2||{cpu}|48|2||ng[1-2]|{TIMES}|\n"
        f"{job}.batch|COMPLETED|0:0|{elapsed}||cpu=24|12M|00:01|24|1|1|ng1|{TIMES}|\n"
        f"{job}.0|COMPLETED|0:0|{elapsed}||cpu=48|{rss_mb}M|{cpu}|48|2|4|ng[1-2]|{TIMES}|{most}\n"
    )


@pytest.fixture
def story(tmp_path):
    return Story(tmp_path / "runs")


def measured(*stories):
    runs = [story.run for story in stories]
    records = Records.of(runs)
    return [row for run in runs for row in consumption(run, records)]


def done(story, minutes=1.0):
    write_json_atomic(story.run.done, {"time": ago(minutes), "step": 1000})
    return story


def beat(work, **facts):
    work.path.mkdir(parents=True, exist_ok=True)
    write_json_atomic(work.heartbeat, {"time": ago(10), **facts})


def test_time_memory_cores_and_cost_from_accounting(story, slurm):
    slurm.set("accounting", rows_of("14_0", 8640, 4500))
    done(story.submitted(units=1).started(job="14_0").trained(1000, seconds=8.0))
    (row,) = measured(story)
    assert (row.kind, row.state, row.starts, row.tasks) == ("train", "done", 1, 4)
    assert row.elapsed_s == row.longest_s == 8640
    assert row.gpu_hours == pytest.approx(9.6)
    assert row.used_mb == 9000  # two tasks on each node
    assert row.cores == pytest.approx(12 * 36000 / (8640 * 48))
    assert row.outside == pytest.approx(1 - 8000 / 8640)


def test_less_memory_and_a_shorter_bracket_are_advised(story, slurm):
    slurm.set("accounting", rows_of("14", 8640, 4500))
    done(story.submitted(units=1).started(job="14").trained(1000, seconds=8.0))
    lines = "\n".join(advice_lines(measured(story)))
    assert "--mem 12G: asked for 64 GB of a node, used 8.79" in lines
    assert "--time 3h: asked for 12 h, took 2.4 h; it would start sooner" in lines
    assert story.folder in lines


def test_memory_that_was_nearly_full_gets_more(story, slurm):
    slurm.set("accounting", rows_of("14", 30000, 32000))
    done(story.submitted(units=1).started(job="14"))
    assert any(
        line.startswith("- --mem 96G") and "close to the end" in line
        for line in advice_lines(measured(story))
    )


def test_a_chain_is_not_advised_a_shorter_time(story, slurm):
    slurm.set(
        "accounting", rows_of("14_0", 43200, 30000, "300:00:00") + rows_of("14_1", 3600, 30000, "25:00:00")
    )
    done(story.submitted(units=2).started(900, "14_0").started(70, "14_1"))
    (row,) = measured(story)
    assert (row.starts, row.longest_s, row.elapsed_s) == (2, 43200, 46800)
    assert not any("--time" in line for line in advice_lines([row]))


def test_a_slice_would_do_for_one_gpu(story, slurm):
    story.submitted(units=1, nodes=1, gpus_per_node=1, tasks_per_node=1).started(60, "14").event(
        "finished", 1
    )
    beat(story.run, peak_rss_mb=7000, gpu_mb=7500, gpu_total_mb=40339, gpu_util=93)
    (row,) = measured(story)
    assert row.gpu_mb == 7500
    assert any(
        line.startswith("- --gpu a100_2g.10gb: used 7.32 of the 39 GB") for line in advice_lines([row])
    )


def test_several_gpus_with_room_get_larger_micro_batches(story, slurm):
    slurm.set("accounting", rows_of("14", 8640, 30000, gpu_mb=14000))
    story.submitted(units=1).started(60, "14")
    beat(story.run, gpu_mb=13000, gpu_total_mb=81920, gpu_util=34)
    (row,) = measured(story)
    assert row.gpu_mb == 14000  # accounting saw more than torch's own tensors
    lines = advice_lines([row])
    assert any("-o training.micro_batch=16: used 13.7 of the 80 GB" in line for line in lines)


def test_idle_cores_and_idle_gpus_are_said(story, slurm):
    slurm.set("accounting", rows_of("14", 8640, 30000, "01:00:00"))
    story.submitted(units=1).started(60, "14")
    done(story)
    beat(story.run, gpu_mb=39000, gpu_total_mb=40000, gpu_util=34)
    lines = "\n".join(advice_lines(measured(story)))
    assert "cluster.cpus_per_task=2: asked for 12 cores of a task, 0.1 were busy" in lines
    assert "a GPU was busy for 34 % of its time" in lines


def test_time_that_goes_to_no_step_is_said(story, slurm):
    slurm.set("accounting", rows_of("14_0", 10800, 30000) + rows_of("14_1", 10800, 30000))
    story.submitted(units=2, time_min=180).started(400, "14_0").started(200, "14_1").trained(
        1000, seconds=8.0
    )
    lines = "\n".join(advice_lines(measured(story)))
    assert "longer units (--time), fewer of them: 63 % of the time went to no step" in lines


def test_without_accounting_the_runs_own_files_tell(story, slurm):
    story.submitted(units=2).started(300, "14_0").event("interrupted", 240, cause="walltime", job="14_0")
    story.started(120, "14_1").event("finished", 90).trained(1000)
    beat(story.run, peak_rss_mb=5000)
    (row,) = measured(done(story))
    assert row.elapsed_s == pytest.approx(90 * 60, abs=1)
    assert row.longest_s == pytest.approx(3600, abs=1)
    assert row.used_mb == 10000
    assert row.cores is None


def test_a_run_of_this_machine(story):
    with story.run.starts.open("w") as file:
        file.write(json.dumps({"time": ago(70), "processes": 2, "device": "cpu"}) + "\n")
    write_json_atomic(story.run.done, {"time": ago(10), "step": 100})
    (row,) = measured(story)
    assert row.resources is None
    assert not row.gpu
    assert row.gpu_hours == pytest.approx(2.0, abs=0.01)
    assert advice_lines([row]) == []


def test_what_has_no_end_goes_to_its_last_sign_of_life(story):
    story.started(60)
    beat(story.run, step=3)
    assert spans_of(story.run) == [pytest.approx(50 * 60, abs=1)]


def test_time_in_the_queue_until_somebody_finds_out_what_ended_a_start_is_nobodys(story):
    story.event("started", 60, job="14_0", log="x", log_from=0, began=ago(62))
    story.event("interrupted", 10, cause="node failure", state="NODE_FAIL", exit="0:0", ended=ago(40))
    assert spans_of(story.run) == [pytest.approx(22 * 60, abs=1)]


def test_an_evaluation_stands_beside_its_training(story, slurm):
    done(story.submitted().started(300, "14_0").event("finished", 100))
    for language in ("bn", "sw"):
        cell = story.run.cell("mgsm", language, 0)
        story.started(60, "15_0", work=cell).event("finished", 30, cell)
        beat(cell, gpu_mb=21000, gpu_total_mb=40339)
        write_json_atomic(cell.done, {"time": ago(30), "items": 250})
    train, evaluation = measured(story)
    assert (train.kind, evaluation.kind, evaluation.state) == ("train", "evaluate", "done")
    assert evaluation.starts == 2
    assert evaluation.gpu_hours == pytest.approx(1.0, abs=0.01)


def test_what_is_shown(story, tmp_path, slurm, capsys):
    slurm.set("accounting", rows_of("14", 8640, 4500))
    done(story.submitted(units=1).started(job="14").trained(1000, seconds=8.0))
    assert launch.main(["efficiency", "math", "--runs", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "2.4 h/12 h" in printed
    assert "8.8/64" in printed
    assert "9.6 GPU-hours in all" in printed
    assert "1,000 steps of training are done" in printed
    assert "8.6 s" in printed, "on the clock, whatever the number of GPUs"
    assert "as accounting (sacct) has them" in printed
    assert len(slurm.lines("asked")) == 1
    assert max(map(len, printed.splitlines())) <= 100


def test_nothing_to_measure_is_a_mistake(story, tmp_path, capsys):
    assert launch.main(["efficiency", "--runs", str(tmp_path / "runs")]) == 2
    assert "has begun yet" in capsys.readouterr().err


def test_all_runs_are_asked_about_at_once(tmp_path, slurm):
    made = make_runs(tmp_path / "runs", count=52)
    made.write_answers(slurm.folder)
    assert launch.main(["efficiency", "--runs", str(made.root)]) == 0
    asked = [line.split()[0] for line in slurm.lines("asked")]
    assert asked == [
        "sacct",
        "squeue",
        "sacct",
    ]  # what they used; who is at work, and how they ended, as `status` asks
    assert table([]).columns[0].heading == "run"


def test_a_run_has_the_state_that_status_tells(tmp_path, slurm, capsys):
    made = make_runs(tmp_path / "runs", count=30)
    made.write_answers(slurm.folder)
    told = {}
    for command in ("status", "efficiency"):
        assert launch.main([command, "--runs", str(made.root), "--json"]) == 0
        told[command] = json.loads(capsys.readouterr().out)
    shown = {row["run"]: row["state"] for row in told["status"]["rows"] if not row["share"]}
    used = {use["run"]: use["state"] for use in told["efficiency"]["uses"] if use["kind"] == "train"}
    assert used
    assert {name: shown[name] for name in used} == used
    assert len(set(used.values())) > 1


@pytest.mark.parametrize("module", ["logs", "why", "efficiency"])
def test_nothing_heavy_is_loaded(module):
    assert not modules_after(f"import jobs.diagnosis.{module}") & HEAVY
