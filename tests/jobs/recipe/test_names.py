"""What names mean: runs, grids and cells, and how names are refused that nothing or too much is called by."""

from __future__ import annotations

import os

import pytest

from cluster.errors import ClusterError
from cluster.files import write_json_atomic
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from jobs.cell.cell import Cell, Worklist
from jobs.recipe.names import Names, chosen
from tests.jobs.stories import Story

KINDS = ("run", "run_or_grid", "find")
"""What takes the name of a run."""


@pytest.fixture
def make(tmp_path):
    def make(name, stage=1, signature="00000001", root=tmp_path / "runs", at=None):
        run = RunFolder.at(root, name, stage, signature)
        run.create({"name": name})
        if at is not None:
            os.utime(run.path, (at, at))
        return run

    return make


@pytest.fixture
def names(tmp_path):
    return Names(tmp_path / "runs")


def make_grid(run, name="g", shares=()):
    grid = GridFolder(run.root, name)
    grid.create()
    cells = [
        Cell(job="evaluate", run=str(run.path), benchmark="mgsm", language=code, items=5) for code in shares
    ]
    path = grid.write_list(Worklist(cells=tuple(cells), runs={}).to_dict())
    point = {"label": "a", "seed": 0, "runs": {"2": str(run.path)}, "evaluated": str(run.path)}
    write_json_atomic(grid.wanted, {"name": name, "points": [point], "list": path.name})
    return grid


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_by_folder_path_signature_and_name_and_stage_2_comes_first(make, names, kind, monkeypatch):
    first, second = make("my math", 1, "00000001"), make("my math", 2, "00000002")
    find = getattr(names, kind)
    for name in (
        "my math",
        "my math-s2",
        "00000002",
        second.path.name,
        f"{second.path.name}/",
        str(second.path),
    ):
        assert find(name).path == second.path
    for name in ("my math-s1", "00000001", first.path.name):
        assert find(name).path == first.path
    monkeypatch.chdir(names.root.parent)
    assert find(f"runs/{first.path.name}").path == first.path
    monkeypatch.chdir(second.path)
    assert find(f"../{first.path.name}").path == first.path


def test_a_path_leads_out_of_the_folder_of_all_runs_a_name_stays_in_it(make, names, tmp_path, monkeypatch):
    ours, other = make("math"), make("math", root=tmp_path / "elsewhere")
    monkeypatch.chdir(other.root)
    assert names.run(str(other.path)).path == names.run(f"./{other.path.name}").path == other.path
    assert names.run(ours.path.name).path == ours.path


def test_a_link_to_the_folder_of_all_runs_is_that_folder(make, names, tmp_path):
    run = make("math")
    (tmp_path / "link").symlink_to(names.root)
    assert names.run(str(tmp_path / "link" / run.path.name)).path == run.path


def test_a_folder_comes_before_a_grid_of_its_name_and_a_grid_before_other_names_of_runs(make, names):
    run = make("g", 2)
    grid = make_grid(run)
    make_grid(run, run.path.name)
    assert isinstance(names.run_or_grid(run.path.name), RunFolder)
    assert names.run_or_grid("g").path == grid.path
    assert names.run("g").path == run.path
    assert [one.path for one in names.each(["g", run.path.name, "g", run.signature])] == [grid.path, run.path]


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_of_several_runs_lists_their_folders_newest_first(make, names, kind):
    for number in range(1, 4):
        make("math", 2, f"0000000{number}", at=number)
    make("math", 1)
    told = r"^'math' names 3 runs; give one of these folders, newest first:(?s:.*)0003  new\n.*0002  new\n.*0001  new$"
    with pytest.raises(ClusterError, match=told):
        getattr(names, kind)("math")


def test_of_very_many_runs_of_one_name_ten_are_listed(make, names, monkeypatch):
    for number in range(30):
        make("math", 2, f"000000{number:02}", at=number)
    asked = []
    state = RunFolder.state
    monkeypatch.setattr(RunFolder, "state", lambda run: asked.append(run) or state(run))
    with pytest.raises(ClusterError, match=r"names 30 runs;(?s:.*)and 20 more$"):
        names.run("math")
    assert len(asked) == 10


@pytest.mark.parametrize(
    ("kind", "what"),
    [("run", "run"), ("find", "run or grid"), ("run_or_grid", "run or grid"), ("grid", "grid")],
)
def test_a_name_that_nothing_has_is_refused_in_the_same_words_everywhere(make, tmp_path, kind, what):
    def refusal(name):
        with pytest.raises(ClusterError) as raised:
            getattr(Names(tmp_path / "runs"), kind)(name)
        words = f"there is no {what} {name!r} below {tmp_path}/runs; "
        assert str(raised.value).startswith(words)
        return str(raised.value).removeprefix(words)

    kinds = ("grids", "ablate") if kind == "grid" else ("runs", "train")
    empty = "it holds no {}: make one with {}, or say where they are with --runs FOLDER".format(*kinds)
    assert refusal("math") == empty
    make("maths", 2)
    make("maths", 1, "00000003")
    make_grid(make("other", 2, "00000004"), "ablations")
    if kind != "grid":
        assert refusal("Math").startswith("did you mean maths-s2-00000001")
        assert refusal("maht-s1").startswith("did you mean maths-s1-00000003")
    if kind != "run":
        assert refusal("ablatoins") == f"did you mean {'' if kind == 'grid' else 'the grid '}ablations?"
    assert refusal("qqqq").startswith("it holds ")
    assert ("ablations" in refusal("qqqq")) == ("grid" in what)
    for name in ("", "/", "~nobody/x", "x" * 300, "\0"):
        assert refusal(name)


@pytest.mark.parametrize("job", ["4711", "4711_3"])
def test_the_number_of_a_job_says_what_it_is_of(tmp_path, names, job):
    run = Story(tmp_path / "runs").submitted("4711").run
    for kind in KINDS:
        with pytest.raises(ClusterError, match=f"job {job} is of {run.path.name}: give that name"):
            getattr(names, kind)(job)
    with pytest.raises(ClusterError, match="it holds"):
        names.find("4712")


def test_the_name_of_another_kind_is_told_as_what_it_is(make, names):
    make_grid(make("math", 2), "parts")
    with pytest.raises(ClusterError, match=r"no run 'parts' below .*, only a grid; .*status --grid parts"):
        names.run("parts")
    with pytest.raises(ClusterError, match=r"no grid 'math' below .*, only a run; it holds parts"):
        names.grid("math")


def test_a_cell_is_one_that_was_begun_or_that_a_grid_wants(make, names):
    run = make("my math", 2)
    run.cell("mgsm", "sw", 1).path.mkdir(parents=True)
    make_grid(run, shares=("sw", "en"))
    for name in ("my math mgsm/sw-0", f"{run.path.name}/mgsm/en-0", f"{run.path}/results/mgsm/sw-1/"):
        cell = names.find(name)
        assert (cell.run.path, cell.benchmark) == (run.path, "mgsm")
    assert names.find("my math mgsm/sw-1").shard == 1
    told = rf"no cell 'mgsm/swa-0' of run {run.path.name}; did you mean mgsm/sw-0 or mgsm/sw-1"
    with pytest.raises(ClusterError, match=told):
        names.find("my math mgsm/swa-0")
    with pytest.raises(ClusterError, match=r"it holds mgsm/sw-1, mgsm/sw-0, mgsm/en-0"):
        names.find("my math xcopa/qu-7")
    with pytest.raises(ClusterError, match="there is no run 'your meth'"):
        names.find("your meth mgsm/sw-0")


def test_a_cell_of_a_run_that_answers_nothing_says_so(make, names):
    make("math", 2)
    with pytest.raises(ClusterError, match=r"no cell 'mgsm/sw-0' of .*begin with evaluate --run"):
        names.find("math mgsm/sw-0")


def test_names_of_grids_stand_for_their_runs_and_nothing_for_all(make, tmp_path):
    run, other = make("a", 2), make("b", 2)
    grid = make_grid(run)
    assert [[one.path for one in found] for found in chosen(run.root, ["g"])] == [[run.path], [grid.path]]
    runs, grids = chosen(run.root, [])
    assert {one.path for one in runs} == {run.path, other.path}
    assert [one.path for one in grids] == [grid.path]


def test_a_folder_is_found_without_a_look_at_the_others(make, names, monkeypatch):
    run = make("math")
    monkeypatch.setattr("jobs.recipe.names.all_runs", lambda root: pytest.fail("all runs were listed"))
    for name in (run.path.name, str(run.path), f"{run.path.name}/"):
        assert names.run(name).path == names.find(name).path == names.run_or_grid(name).path == run.path


def test_no_config_is_read_to_find_a_run(make, names, monkeypatch):
    for number in range(1, 4):
        make("math", 1, f"0000000{number}")
    monkeypatch.setattr(RunFolder, "read_config", lambda run: pytest.fail("a config was read"))
    assert names.run("00000002").signature == "00000002"
    with pytest.raises(ClusterError):
        names.run("math")


@pytest.mark.parametrize("kind", KINDS)
def test_the_beginning_of_a_name_will_do_where_it_begins_no_other(make, names, kind):
    make("my math", 1, "0abc0001")
    second, other = make("my math", 2, "0abd0002"), make("my logic", 2, "1abc0003")
    find = getattr(names, kind)
    for begun in ("my m", "my math-s2-", "0abd"):
        assert find(begun).path == second.path
    assert find("my l").path == find("1abc").path == other.path
    for begun, both in (("my", "my logic, my math"), ("my math-s", "my math-s1, my math-s2"), ("0ab", None)):
        with pytest.raises(ClusterError) as raised:
            find(begun)
        if both:
            told = str(raised.value)
            assert told.startswith(f"{begun!r} begins 2 names; give more of one: ")
            assert sorted(told.partition("one: ")[2].split(", ")) == both.split(", ")


def test_a_whole_name_comes_before_what_it_begins(make, names):
    math = make("math", 2)
    make("math-long", 2, "00000002")
    grid = make_grid(math, "g")
    make_grid(math, "g-long")
    assert names.run("math").path == names.find("math").path == math.path
    assert names.grid("g").path == names.find("g").path == grid.path
    with pytest.raises(ClusterError, match="begins 2 names"):
        names.find("mat")


def test_a_beginning_that_runs_and_grids_have_names_both(make, names):
    grid = make_grid(make("mini-layalign", 2), "mini-ablations")
    with pytest.raises(
        ClusterError, match=r"'mini' begins 2 names; give more of one: mini-layalign, mini-abl"
    ):
        names.find("mini")
    assert names.grid("mini").path == names.run_or_grid("mini-a").path == grid.path
    assert names.run("mini").name == "mini-layalign"


def test_a_miniature_twin_stands_for_the_grid_that_was_not_made(make, names):
    run = make("mini-layalign", 2)
    twin = make_grid(run, "mini-ablations")
    for name in ("ablations", "abl"):
        assert names.grid(name).path == names.find(name).path == names.run_or_grid(name).path == twin.path
    make_grid(run, "ablations")
    assert Names(run.root).grid("ablations").name == "ablations"


def test_the_beginning_of_a_share_will_do(make, names):
    run = make("my math", 2)
    make_grid(run, shares=("sw", "en"))
    for name in ("my math mgsm/sw", "my math/mgsm/s", f"{run.path.name}/mgsm/sw-"):
        assert names.find(name).path == run.path / "results/mgsm/sw-0"
    with pytest.raises(ClusterError, match=r"begins 2 names; give more of one: mgsm/sw-0, mgsm/en-0"):
        names.find("my math mgsm")


@pytest.mark.parametrize("kind", ["run", "run_or_grid"])
def test_a_cell_where_a_run_is_needed_is_told_as_what_it_is(make, names, kind):
    run = make("math", 2)
    make_grid(run, shares=("sw",))
    with pytest.raises(ClusterError, match=rf"only a cell of {run.path.name}, which may be named instead"):
        getattr(names, kind)("math mgsm/sw-0")
