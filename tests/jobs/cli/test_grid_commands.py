"""Grids on a login node whose Slurm only remembers what it was told: what is planned, submitted, taken back."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import yaml

import cluster.launch.submit
import launch
from cluster.files import read_json, write_json_atomic
from cluster.run.grid_folder import GridFolder
from cluster.run.lease import this_process
from cluster.run.run_folder import RunFolder, all_runs
from cluster.slurm.submission import IN_FLIGHT, Submission
from jobs.cell.cell import Worklist, wanted_cells
from layalign.evaluation.benchmarks import find_benchmark
from tests.cluster.launch.test_submit import sent_before
from tests.cluster.slurm.test_script import options
from tests.login import at_home, empty_recipe
from tests.timing import slowness

VARIANTS = {
    "LayAlign": None,
    "MindMerger": {"model.method": "mindmerger"},
    "no text": {"stages": {2: {"model.text": False}}},
    "LLM": {"model.method": "llm"},
}
ROW = "{job}{tail}\t{job}\t{state}\t{reason}\t{name}\t{script}\tN/A"


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)
    empty_recipe(tmp_path)
    (tmp_path / "data" / "mgsm").mkdir()
    for code in find_benchmark("mgsm").languages:
        (tmp_path / "data" / "mgsm" / f"mgsm_{code}.tsv").write_text("How many?\t8\n" * 260)


@pytest.fixture
def write(tmp_path):
    """Write the grid file, with something changed."""

    def write(**changes):
        told = {
            "name": "parts",
            "title": "What the parts are worth",
            "recipe": str(tmp_path / "tiny.yaml"),
            "variants": VARIANTS,
            "seeds": [0, 1],
            "evaluate": {"benchmarks": ["mgsm"], "languages": ["sw", "en"]},
            **changes,
        }
        (tmp_path / "parts.yaml").write_text(yaml.safe_dump(told, sort_keys=False))

    write()
    return write


@pytest.fixture
def go(tmp_path, capsys, write):
    """Run a command; gives its status and what it printed."""

    def go(command, *words, cluster="narval", account="def-prof", yes=True):
        words = ["--grid", str(tmp_path / "parts.yaml"), *words] if command == "ablate" else [*words]
        words += ["--cluster", cluster, *(["--account", account] if account else [])]
        words += ["--data", str(tmp_path / "data"), *(["--yes"] if yes else [])]
        status = launch.main([command, *words])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


@pytest.fixture
def grid(tmp_path):
    return GridFolder(tmp_path / "runs", "parts")


def submissions(grid):
    return [Submission.read(record) for record in grid.records()]


def cells(grid, submission):
    return Worklist.read(grid.path / submission.cells).cells


def complete(cell):
    cell.folder.path.mkdir(parents=True, exist_ok=True)
    cell.folder.finish(items=cell.items, max_new_tokens=cell.max_new_tokens, seconds=1.0)


def calls(slurm):
    return [word for name in ("calls", "asked", "cancelled") for word in slurm.lines(name)]


def test_one_command_queues_trainings_that_are_shared_and_what_follows_them(go, slurm, grid):
    status, printed = go("ablate")
    assert status == 0, printed
    assert "trained once: 2 runs that serve 4 points" in printed
    names = [(one.name, one.units, one.dependency) for one in submissions(grid)]
    assert names == [
        ("parts-s1", 4, None),
        ("parts-s1", 1, "afterany:7"),
        ("parts-eval", 1, None),
        ("parts-eval", 1, "afterany:9"),
        ("parts-s2", 6, "afterany:8"),
        ("parts-s2", 2, "afterany:11"),
        ("parts-eval", 1, "afterany:12"),
        ("parts-eval", 1, "afterany:13"),
    ]
    assert {cell.job for cell in cells(grid, submissions(grid)[0])} == {"train"}
    assert [run.stage for run in all_runs(grid.root)].count(1) == 4
    assert len(wanted_cells(grid)) == 4 + 6 + 8 * 4
    scripts = [options(path.read_text()) for path in grid.slurm.glob("parts-s2-*.sh")]
    assert {told["array"] for told in scripts} == {"0-5%6", "0-1%2"}
    assert {(told["gpus-per-node"], "requeue" in told) for told in scripts} == {("a100:4", True)}


def test_again_submits_nothing_and_one_look_is_enough(go, slurm, grid):
    go("ablate")
    before = len(slurm.lines("calls"))
    slurm.forget("asked")
    status, printed = go("ablate")
    assert (status, len(slurm.lines("calls"))) == (0, before)
    assert "nothing to submit" in printed
    assert "42 queued" in printed
    assert len(slurm.lines("asked")) == 1


def test_only_what_is_missing_is_submitted(go, slurm, grid):
    go("ablate")
    slurm.set("queue")
    every = wanted_cells(grid)
    for cell in every:
        complete(cell)
    assert "nothing to submit" in go("ablate")[1]
    lost = every[-1]
    lost.folder.done.unlink()
    before = len(submissions(grid))
    go("ablate")
    new = submissions(grid)[before:]
    assert [[cell.name for cell in cells(grid, one)] for one in new] == [[lost.name]] * 2


def test_where_nothing_is_left_to_do_the_tables_are_made_that_a_dying_job_left_unmade(go, slurm, grid):
    go("ablate")
    slurm.set("queue")
    assert not (grid.results / "report.html").exists()
    for cell in wanted_cells(grid):
        complete(cell)
    status, printed = go("ablate")
    assert status == 0
    assert "report: " in printed
    made = (grid.results / "report.html").stat().st_mtime_ns
    assert "report: " not in go("ablate")[1]
    assert (grid.results / "report.html").stat().st_mtime_ns == made
    (grid.results / "report.html").unlink()
    assert "report: " in go("missing", "--submit", "parts")[1]


def test_a_changed_variant_submits_its_own_cells(go, slurm, grid, write):
    go("ablate")
    slurm.set("queue")
    for cell in wanted_cells(grid):
        complete(cell)
    before = len(submissions(grid))
    write(variants={**VARIANTS, "LLM": {"model.method": "langbridge", "training.lr": 1e-5}})
    status, printed = go("ablate")
    assert status == 0, printed
    assert "4 new" not in printed
    new = {cell.name for one in submissions(grid)[before:] for cell in cells(grid, one)}
    assert len(new) == 2 + 2 + 2 * 4
    assert all("llm" in name for name in new)


def test_a_removed_variant_is_taken_back_and_its_running_job_cancelled(go, slurm, grid, write):
    go("ablate")
    gone = [cell for cell in wanted_cells(grid) if "mindmerger" in cell.name]
    runs = dict.fromkeys(cell.run for cell in gone)
    holder = {**this_process("7_1").__dict__, "boot": "elsewhere", "host": "node1"}
    leases = RunFolder(
        next(iter(runs.keys()).__iter__()) and __import__("pathlib").Path(next(iter(runs)))
    ).leases
    leases.mkdir(parents=True)
    write_json_atomic(leases / "000001.json", holder)
    slurm.set(
        "queue",
        "\n".join(
            [
                *slurm.lines("queue"),
                ROW.format(
                    job=7,
                    tail="_1",
                    state="RUNNING",
                    reason="None",
                    name="parts-s1",
                    script=submissions(grid)[0].script,
                ),
            ]
        )
        + "\n",
    )
    write(variants={name: value for name, value in VARIANTS.items() if name != "MindMerger"})
    status, printed = go("ablate")
    assert status == 0, printed
    assert f"no longer wanted: {len(gone)} cells" in printed
    assert grid.withdrawn() == {cell.name for cell in gone}
    assert slurm.lines("cancelled") == ["7_1"]
    assert "no longer wanted" not in go("ablate")[1]
    write()
    go("ablate")
    assert grid.withdrawn() == set()


def test_an_array_of_which_nothing_is_wanted_is_cancelled(go, slurm, grid, write):
    write(variants={"LLM": VARIANTS["LLM"]})
    go("ablate")
    assert [one.name for one in submissions(grid)] == ["parts-eval", "parts-eval"]
    write(variants={"LayAlign": None})
    go("ablate")
    assert slurm.lines("cancelled") == ["7", "8"]


def test_a_failure_blocks_what_needs_it_until_retry(go, slurm, grid):
    go("ablate")
    slurm.set("queue")
    first = wanted_cells(grid)[0]
    run = first.folder
    run.fail("out of memory: job 7_0\n  next: more")
    before = len(submissions(grid))
    status, printed = go("ablate")
    assert status == 0, printed
    assert "1 failed" in printed
    assert " blocked" in printed
    assert first.name not in {cell.name for one in submissions(grid)[before:] for cell in cells(grid, one)}
    slurm.set("queue")
    memory = submissions(grid)[0].resources.mem_mb
    before = len(submissions(grid))
    status, printed = go("retry", "--failed", "--more-mem")
    assert status == 0, printed
    assert "out of memory: job 7_0" in printed
    new = submissions(grid)[before:]
    assert first.name in {cell.name for cell in cells(grid, new[0])}
    assert new[0].resources.mem_mb == min(memory * 3 // 2, 510000)
    assert not run.failed.exists()


def test_cancelled_cells_are_submitted_again(go, slurm, grid):
    go("ablate")
    slurm.set("queue")
    wanted_cells(grid)[0].folder.fail("cancelled: job 7_0\n")
    assert "1 failed" not in go("ablate")[1]


FULL = "OSError: [Errno 28] No space left on device: '/scratch/a'\n  next: give the same command again\n"


@pytest.mark.parametrize("command", [("ablate",), ("missing", "--submit", "--yes")])
def test_what_may_be_over_is_taken_up_by_the_same_command_with_what_waits_for_it(go, slurm, grid, command):
    go("ablate")
    slurm.set("queue")
    first = wanted_cells(grid)[0]
    first.folder.fail(FULL)
    before = len(submissions(grid))
    status, printed = go(*command)
    assert status == 0, printed
    assert "taken up again: 1 cell" in printed
    assert not first.folder.failed.exists()
    new = {cell.name for one in submissions(grid)[before:] for cell in cells(grid, one)}
    assert new == {cell.name for cell in wanted_cells(grid)}


def test_an_answering_cell_is_taken_up_too_also_while_its_array_is_in_the_queue(go, slurm, grid):
    go("ablate")
    last = wanted_cells(grid)[-1]
    last.folder.path.mkdir(parents=True)
    last.folder.fail(FULL)
    before = len(submissions(grid))
    assert "taken up again: 1 cell" in go("ablate")[1]
    assert {cell.name for one in submissions(grid)[before:] for cell in cells(grid, one)} == {last.name}
    assert not last.folder.failed.exists()
    assert "nothing to submit" in go("ablate")[1]


def test_what_needs_a_change_is_told_with_the_command_that_takes_it_up(go, slurm, grid):
    go("ablate")
    slurm.set("queue")
    first = wanted_cells(grid)[0]
    first.folder.fail("FloatingPointError: the loss is nan in step 7\n  next: x\n")
    for command in (("ablate",), ("missing", "--submit", "--yes")):
        printed = " ".join(go(*command)[1].split())
        assert f"failed: {first.name}: FloatingPointError: the loss is nan in step 7" in printed
        assert f"python launch.py retry {grid.name}" in printed
        assert first.folder.failed.exists()


def test_a_cause_that_strikes_three_times_waits_for_retry(go, slurm, grid):
    for number in range(3):
        assert ("taken up again" in go("ablate")[1]) == (number > 0)
        slurm.set("queue")
        wanted_cells(grid)[0].folder.fail(FULL)
    status, printed = go("ablate")
    assert "3 times in a row without progress" in printed
    assert wanted_cells(grid)[0].folder.failed.exists()
    status, printed = go("retry", grid.name)
    assert status == 0, printed
    assert not wanted_cells(grid)[0].folder.failed.exists()
    slurm.set("queue")
    wanted_cells(grid)[0].folder.fail(FULL)
    assert "taken up again" in go("ablate")[1]


def test_retry_takes_up_also_what_the_same_command_would(go, slurm, grid):
    go("ablate")
    slurm.set("queue")
    wanted_cells(grid)[0].folder.fail(FULL)
    status, printed = go("retry", grid.name)
    assert status == 0, printed
    assert "No space left on device" in printed
    assert not wanted_cells(grid)[0].folder.failed.exists()


def launched(tmp_path, slurm):
    """The same command in a process of its own, whose first sbatch is on its way."""
    slurm.set("slow", "4")
    words = ["ablate", "--grid", str(tmp_path / "parts.yaml"), "--cluster", "narval", "--account", "def-prof"]
    words += ["--data", str(tmp_path / "data"), "--yes"]
    command = [sys.executable, launch.__file__, *words]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while not slurm.lines("flying"):
        assert time.monotonic() < end
        time.sleep(0.05)
    slurm.forget("slow")
    return process


def test_an_array_whose_launcher_was_killed_is_waited_for_and_taken_over(go, slurm, grid, tmp_path):
    launched(tmp_path, slurm).kill()
    for command in (("ablate",), ("missing", "--submit"), ("retry", grid.name)):
        status, printed = go(*command)
        assert status == 2, printed
        assert "sbatch may still be in flight: parts-s1 was sent at" in printed
        assert len(slurm.lines("calls")) == 1
    end = time.monotonic() + 20
    while not slurm.lines("queue"):
        assert time.monotonic() < end
        time.sleep(0.05)
    status, printed = go("ablate")
    assert status == 0, printed
    first, *rest = submissions(grid)
    assert first.job == "7"
    assert len(slurm.lines("queue")) == len(slurm.lines("calls")) == 1 + len(rest)
    others = {cell.name for one in rest for cell in cells(grid, one)}
    assert others.isdisjoint(cell.name for cell in cells(grid, first))
    assert "nothing to submit" in go("ablate")[1]


def test_another_grid_is_not_kept_waiting_by_what_it_does_not_share(go, slurm, write, grid):
    go("ablate")
    (one, *_) = grid.records()
    told = Submission.read(one)
    slurm.set("queue")
    replace(told, job=None).write(one)
    write(name="others", seeds=[7], variants={"MindMerger": VARIANTS["MindMerger"]})
    assert go("ablate")[0] == 0
    write(name="shares")
    status, printed = go("ablate")
    assert (status, "may still be in flight" in printed) == (2, True)


def test_a_lost_answer_is_found_and_a_refusal_leaves_the_rest_for_the_next_call(go, slurm, grid):
    slurm.set("mode", "accept-and-lose")
    assert go("ablate")[0] == 0
    assert len(slurm.lines("queue")) == 8
    assert [one.job for one in submissions(grid)] == [str(number) for number in range(7, 15)]
    assert "nothing to submit" in go("ablate")[1]


def test_a_refusal_in_the_middle_tells_what_is_queued(go, slurm, grid, monkeypatch):
    from jobs.grid import queue as grid_queue

    submit, seen = grid_queue.submit_slurm, []

    def limited(draft):
        seen.append(draft)
        if len(seen) == 3:
            slurm.set("mode", "refuse")
        return submit(draft)

    monkeypatch.setattr(grid_queue, "submit_slurm", limited)
    status, printed = go("ablate")
    assert status == 2
    assert "Slurm refuses parts-eval" in printed
    assert "2 of 8 arrays are queued" in printed
    slurm.set("mode")
    monkeypatch.setattr(grid_queue, "submit_slurm", submit)
    assert go("ablate")[0] == 0
    every = [cell.name for one in submissions(grid) for cell in cells(grid, one)]
    assert set(every) == {cell.name for cell in wanted_cells(grid)}
    assert len({one.script for one in submissions(grid)}) == 8
    after = {one.dependency for one in submissions(grid) if one.name == "parts-s2"}
    assert "afterany:7:8" in after or "afterany:8" in after


def test_nothing_is_submitted_while_the_queue_is_silent(go, slurm, grid):
    slurm.set("silent")
    status, printed = go("ablate")
    assert (status, slurm.lines("calls")) == (2, [])
    assert "squeue does not answer" in printed
    assert go("ablate", "--dry-run")[0] == 0


def test_a_question_needs_somebody_to_answer(go, slurm):
    status, printed = go("ablate", yes=False)
    assert (status, slurm.lines("calls")) == (2, [])
    assert "submit 8 arrays, 17 jobs in all" in printed
    assert "add --yes" in printed


def test_a_dry_run_shows_the_scripts_and_writes_nothing(go, slurm, tmp_path):
    assert "#!/bin/bash" not in go("ablate", "--dry-run")[1]
    status, printed = go("ablate", "--dry-run", "--script")
    assert (status, slurm.lines("calls")) == (0, [])
    assert printed.count("#!/bin/bash") == 8
    assert "--dependency=afterany:JOB-OF-ARRAY-2" in printed
    assert not (tmp_path / "runs").exists()


def test_the_controller_looks_at_every_script(go, slurm, tmp_path):
    status, printed = go("ablate", "--test-only")
    assert (status, printed.count("it would start at noon")) == (0, 8)
    assert not slurm.lines("queue")


def test_obstacles_are_told_once_before_anything_is_queued(go, slurm):
    status, printed = go("ablate", "-o", "model.encoder=google/none", "--gpus", "5")
    assert (status, slurm.lines("calls")) == (2, [])
    assert "5 x a100" in printed
    status, printed = go("ablate", "-o", "model.encoder=google/none")
    assert printed.count("not in the cache, and no folder: model google/none") == 1
    assert not slurm.lines("calls")


def test_a_grid_that_shares_runs_with_another_in_the_queue_waits_for_it(go, slurm, grid, tmp_path, write):
    go("ablate")
    write(name="other", variants={"LayAlign": None}, evaluate={"benchmarks": ["mgsm"], "languages": ["de"]})
    status, printed = go("ablate")
    assert status == 0, printed
    other = GridFolder(tmp_path / "runs", "other")
    first, spare = submissions(other)
    assert (first.name, spare.dependency) == ("other-eval", f"afterany:{first.job}")
    assert first.dependency == "afterany:12"


@pytest.mark.parametrize("done", [True, False])
def test_what_left_the_queue_while_the_user_was_asked_is_not_waited_for(
    go, slurm, grid, tmp_path, write, monkeypatch, done
):
    go("ablate")
    write(name="other", variants={"LayAlign": None}, evaluate={"benchmarks": ["mgsm"], "languages": ["de"]})
    before = len(slurm.lines("calls"))

    def answer(*_):
        slurm.set("queue")
        for cell in wanted_cells(grid):
            if done and cell.job == "train":
                complete(cell)
        return True

    monkeypatch.setattr("jobs.grid.queue.agreed", answer)
    status, printed = go("ablate", yes=False)
    other = GridFolder(tmp_path / "runs", "other")
    if done:
        assert (status, submissions(other)[0].dependency) == (0, None)
    else:
        assert (status, len(slurm.lines("calls"))) == (2, before)
        assert "has left the queue meanwhile and is not done: give this command again" in printed


def test_a_grid_waits_for_all_rivals_of_a_run_it_needs(go, slurm, grid, write):
    write(variants={"LayAlign": None}, seeds=[0])
    recipe = yaml.safe_load((grid.root.parent / "parts.yaml").read_text())["recipe"]
    words = ("--recipe", recipe, "--cluster", "killarney", "--account", "aip-prof", "--gpus", "4")
    data = ("--data", str(grid.root.parent / "data"), "--race", "gpu=h100,l40s")
    assert launch.main(["train", "--stage", "all", *words, *data]) == 0
    assert go("ablate", cluster="killarney", account="aip-prof")[0] == 0
    assert submissions(grid)[0].dependency == "afterany:9:10"


def test_answers_share_a_gpu_or_take_a_slice_where_that_is_asked(go, slurm, grid):
    assert go("ablate", "--per-gpu", "3", "--answer-gpu", "a100")[0] == 0
    asked = {one.name: one.resources for one in submissions(grid)}
    assert (asked["parts-eval"].tasks, asked["parts-eval"].gpus_per_node) == (3, 1)
    assert asked["parts-eval"].cpus_per_task == 4
    assert asked["parts-s1"].tasks == 8
    slurm.set("queue")
    before = len(submissions(grid))
    assert go("ablate", "--answer-gpu", "a100_3g.20gb")[0] == 0
    asked = {one.name: one.resources for one in submissions(grid)[before:]}
    assert (asked["parts-eval"].gpu, asked["parts-s1"].gpu) == ("a100_3g.20gb", "a100")
    slurm.set("queue")
    status, printed = go("ablate", "--per-gpu", "13")
    assert status == 2
    assert "the nearest is --per-gpu 12" in printed


def test_missing_lists_and_queues_just_that(go, slurm, grid, tmp_path):
    go("ablate")
    slurm.set("queue")
    every = wanted_cells(grid)
    for cell in every[:-2]:
        complete(cell)
    every[-1].folder.path.mkdir(parents=True)
    every[-1].folder.fail("KeyError: 'x'\n")
    status, _ = go("missing", "parts", "--csv", str(tmp_path / "missing.csv"))
    lines = (tmp_path / "missing.csv").read_text().splitlines()
    assert (status, len(lines)) == (0, 3)
    assert lines[2].endswith(",KeyError: 'x'")
    before = len(submissions(grid))
    assert go("missing", "--submit")[0] == 0
    new = submissions(grid)[before:]
    assert {cell.name for one in new for cell in cells(grid, one)} == {every[-2].name}


def test_cancel_takes_a_whole_grid_with_one_call(go, slurm, grid, capsys, tmp_path):
    go("ablate")
    slurm.forget("asked")
    assert launch.main(["cancel", "parts", "--cluster", "narval", "--yes"]) == 0
    assert slurm.lines("cancelled") == [str(number) for number in range(7, 15)]
    assert len(slurm.lines("asked")) == 2  # what is there, and what scancel has left
    assert not slurm.lines("queue")


def test_pipeline_is_a_grid_of_one_point_whose_runs_have_the_names_of_train(go, slurm, tmp_path):
    status, printed = go("pipeline", "--recipe", str(tmp_path / "tiny.yaml"))
    assert status == 0, printed
    pipeline = GridFolder(tmp_path / "runs", "tiny-layalign")
    assert {one.name for one in submissions(pipeline)} == {
        f"tiny-layalign-{part}" for part in ("s1", "s2", "eval")
    }
    assert {run.name for run in all_runs(tmp_path / "runs")} == {"tiny-layalign"}
    assert "nothing to submit" in go("pipeline", "--recipe", str(tmp_path / "tiny.yaml"))[1]


def test_retry_of_a_run_that_a_chain_trained(go, slurm, tmp_path, capsys):
    words = ["--recipe", str(tmp_path / "tiny.yaml"), "--stage", "1", "--units", "3", "--time", "3h"]
    words += ["--cluster", "narval", "--account", "def-prof", "--data", str(tmp_path / "data")]
    assert launch.main(["train", *words]) == 0
    (run,) = all_runs(tmp_path / "runs")
    assert "is in the queue" in go("retry", run.path.name)[1]
    slurm.set("queue")
    run.fail("out of memory: job 7_0\n")
    first = Submission.read(run.submission)
    for given, told in (
        (["--dry-run"], "offer: train"),
        (["--dry-run", "--script"], "#!/bin/bash"),
        (["--test-only"], "it would start at noon"),
    ):
        status, printed = go("retry", run.path.name, *given)
        assert (status, told in printed, Submission.read(run.submission)) == (0, True, first)
    assert go("retry", run.path.name, "--more-mem")[0] == 0
    again = Submission.read(run.submission)
    assert (again.job, again.units, again.told) == ("8", 3, first.told)
    assert first.told == {"data": str(tmp_path / "data"), "parent": None}
    assert again.resources.mem_mb == first.resources.mem_mb * 3 // 2 or again.resources.mem_mb == 510000
    assert not run.failed.exists()
    slurm.set("queue")
    run.fail("out of time: job 8_2\n")
    (tmp_path / "moved").mkdir()
    moved = ["--data", str(tmp_path / "moved"), "--runs", str(tmp_path / "runs"), "--yes"]
    assert launch.main(["retry", run.path.name, "--time", "6h", "--mem", "64G", *moved]) == 0
    printed = capsys.readouterr().out
    assert "64G instead of" in printed
    assert "6 h instead of 3 h" in printed
    last = Submission.read(run.submission)
    assert (last.resources.mem_mb, last.resources.time_min, last.units) == (65536, 360, 2)
    assert last.told["data"] == str(tmp_path / "moved")
    slurm.set("queue")
    for words, told in (
        (("-o", "training.lr=1e-4"), "changes the recipe"),
        (("--throttle", "2"), "is no grid"),
        (("--mem", "9000G"), "9000G"),
    ):
        status, printed = go("retry", run.path.name, *words)
        assert (status, told in printed, Submission.read(run.submission)) == (2, True, last), printed


def test_a_thousand_cells_are_few_calls_and_little_work(write, slurm, tmp_path, grid):
    rates = [number * 1e-5 for number in range(1, 8)]
    axes = {"training.lr": rates, "training.weight_decay": [0.0, 0.1, 0.2, 0.3]}
    write(
        axes=axes,
        variants=None,
        seeds=[0, 1, 2],
        evaluate={"benchmarks": ["mgsm"], "languages": ["sw", "en", "de", "fr", "es"]},
    )
    words = ["ablate", "--grid", str(tmp_path / "parts.yaml"), "--cluster", "narval", "--account", "def-prof"]
    words += ["--data", str(tmp_path / "data"), "--yes"]
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import launch\n"
        "status = launch.main(sys.argv[2:]); used = os.times(); print(status, used.user + used.system)"
    )
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", code, str(launch.ROOT), *words],
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        status, used_s = ran.stdout.splitlines()[-1].split()
        assert status == "0", ran.stdout + ran.stderr
        assert float(used_s) / slowness() < 4, (
            "own work, a plan and its submission; 0.6 to 1.2 s were measured"
        )
    assert "nothing to submit" in ran.stdout
    assert len(wanted_cells(grid)) == 84 * 12
    assert len(slurm.lines("calls")) == len(submissions(grid)) == 6
    assert len(slurm.lines("asked")) == 2


def test_work_lists_and_what_is_wanted_are_plain_data(go, slurm, grid):
    go("ablate")
    told = read_json(grid.wanted)
    assert [point["label"] for point in told["points"][::2]] == list(VARIANTS)
    assert set(told["points"][0]["runs"]) == {"1", "2"}
    assert told["points"][-1]["runs"] == {}
    assert json.loads((grid.path / told["list"]).read_text())["cells"]


def test_arrays_larger_than_the_site_allows_are_split(go, slurm, grid):
    assert go("ablate", "-o", "cluster.limits.array=4")[0] == 0
    trained = [one for one in submissions(grid) if one.name == "parts-s2"]
    assert [one.units for one in trained] == [4, 2, 2]
    first, second, spare = trained
    assert first.dependency == second.dependency
    assert spare.dependency == f"afterany:{first.job}:{second.job}"
    waits = [one.dependency for one in submissions(grid) if one.name == "parts-eval"]
    assert f"afterany:{spare.job}" in waits


def test_a_grid_takes_no_more_jobs_than_there_is_room_for_and_its_slots_do_the_rest(go, slurm, grid):
    status, printed = go("ablate", "-o", "cluster.limits.jobs=12")
    assert status == 0, printed
    assert sum(one.units for one in submissions(grid)) <= 12
    covered = {cell.name for one in submissions(grid) for cell in cells(grid, one)}
    assert covered == {cell.name for cell in wanted_cells(grid)}


def test_a_grid_for_which_there_is_no_room_says_so_and_queues_nothing(go, slurm, grid):
    status, printed = go("ablate", "-o", "cluster.limits.jobs=7")
    assert (status, slurm.lines("calls")) == (2, [])
    assert "and 0 are there, so that 7 can be added; ask for 7 at most" in printed


def test_short_trainings_are_packed_several_to_a_job_and_long_ones_go_on_in_further_rounds(go, slurm, grid):
    go("ablate", "--hours", "0.25")
    assert [one.units for one in submissions(grid) if one.name == "parts-s2"] == [2, 1]
    slurm.set("queue")
    before = len(submissions(grid))
    go("ablate", "--hours", "30", "--time", "12h")
    assert [one.units for one in submissions(grid)[before:] if one.name == "parts-s2"] == [6, 6, 6, 2]


def test_two_commands_at_once_do_not_submit_the_same_cells(go, slurm, grid, monkeypatch):
    from jobs.grid import queue as grid_queue

    asked = []

    def while_the_other_submits(question, yes):
        asked.append(question)
        return len(asked) > 1 or go("ablate")[0] == 0

    monkeypatch.setattr(grid_queue, "agreed", while_the_other_submits)
    status, printed = go("ablate")
    assert status == 2
    assert "another command has submitted jobs of grid parts meanwhile" in printed
    assert len(slurm.lines("calls")) == len(submissions(grid)) == 8


def test_an_intent_that_became_no_job_is_forgotten(go, slurm, grid, monkeypatch):
    monkeypatch.setattr(cluster.launch.submit, "LOOKS_S", (0.0, 0.0))
    slurm.set("mode", "lose")
    status, printed = go("ablate")
    assert status == 2
    assert "0 of 8 arrays are queued, and none of them twice" in printed
    assert [one.job for one in submissions(grid)] == [None]
    slurm.set("mode")
    status, printed = go("ablate")
    assert (status, "sbatch may still be in flight" in printed) == (2, True)
    sent_before(grid.records()[0], IN_FLIGHT)
    assert go("ablate")[0] == 0
    assert len(submissions(grid)) == 8
    assert None not in [one.job for one in submissions(grid)]


def test_a_grid_that_another_cluster_may_work_on_is_not_queued_here_too(go, slurm, grid, monkeypatch):
    go("ablate")
    slurm.set("queue")
    monkeypatch.setenv("CC_CLUSTER", "fir")
    sent = len(slurm.lines("calls"))
    for command in (["ablate"], ["missing", "--submit"], ["retry", "parts"]):
        status, printed = go(*command, cluster="fir")
        assert (status, "was submitted on narval" in printed) == (2, True), command
    assert launch.main(["cancel", "parts", "--cluster", "fir", "--yes"]) == 2
    for cell in wanted_cells(grid):  # what is done there is done
        complete(cell)
    status, printed = go("ablate", cluster="fir")
    assert (status, "nothing to submit" in printed, len(slurm.lines("calls"))) == (0, True, sent), printed


def test_arrays_that_do_not_start_by_themselves_are_told_of(go, slurm):
    go("ablate")
    rows = "".join(f"{line}\n" for line in slurm.lines("queue"))
    slurm.set("queue", rows.replace("Priority", "PartitionTimeLimit"))
    printed = go("ablate")[1]
    assert (
        "queued, but it does not start: job 7 name (PENDING, PartitionTimeLimit): it asks for more time"
        in printed
    )
    slurm.set("queue", rows.replace("Priority", "JobHeldUser"))
    assert "you hold it back: it does not start until it is released: scontrol release 7" in go("ablate")[1]
    slurm.set("queue", rows)
    assert "does not start" not in go("ablate")[1]


def test_what_is_taken_back_ends_no_job_of_another_cluster(go, slurm, grid, write, monkeypatch):
    go("ablate")
    cell = next(cell for cell in wanted_cells(grid) if cell.language == "en")
    leases = cell.folder.leases
    leases.mkdir(parents=True)
    told = {**dataclasses.asdict(this_process("8_0")), "host": "n1", "boot": "b", "cluster": "fir"}
    (leases / "000001.json").write_text(json.dumps(told))
    slurm.set(
        "queue",
        "".join(f"{line}\n" for line in slurm.lines("queue")) + "8_0\t8\tRUNNING\tNone\tvasp\t/x\tN/A\n",
    )
    write(evaluate={"benchmarks": ["mgsm"], "languages": ["sw"]})
    go("ablate")
    assert "8_0" not in slurm.lines("cancelled")
