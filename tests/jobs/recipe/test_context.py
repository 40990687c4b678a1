"""What a command works with: made once from what was typed, and never changed."""

from __future__ import annotations

import dataclasses
import os

import pytest

from cluster.errors import ClusterError
from jobs.recipe.context import Context, How, Where, context_again, context_of, profile_of
from jobs.recipe.plan import load_recipe
from tests.login import at_home, empty_recipe


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)


def submission(profile, account):
    """As far as it says where something was submitted."""
    told = dataclasses.make_dataclass("Asked", ["account"])(account)
    return dataclasses.make_dataclass("Told", ["profile", "origin", "resources"])(profile, profile, told)


def test_folders_are_what_was_typed_else_what_the_environment_says_else_here(tmp_path):
    assert Where().root() == tmp_path / "runs"
    os.environ.update(LAYALIGN_RUNS=str(tmp_path / "elsewhere"), LAYALIGN_DATA=str(tmp_path))
    assert Where().root() == tmp_path / "elsewhere"
    assert Where(runs="~/mine").root() == tmp_path / "mine"
    assert context_of(Where(), How()).data == tmp_path
    (tmp_path / "own").mkdir()
    assert context_of(Where(data="own"), How()).data == tmp_path / "own"
    with pytest.raises(ClusterError, match="none does not exist; name another with --data"):
        context_of(Where(data="none"), How())


def test_overrides_go_to_the_profile_or_to_the_recipe_and_the_last_of_a_key_counts():
    where = Where(
        cluster="narval", overrides=("cluster.gpu=a100", "seed=3", "cluster.gpu=a100_3g.20gb", "seed=4")
    )
    context = context_of(where, How())
    assert (context.profile.name, context.profile.gpu) == ("narval", "a100_3g.20gb")
    assert context.overrides == ("seed=3", "seed=4")


def test_a_context_is_not_changed_but_made_anew(tmp_path):
    context = context_of(Where(overrides=("seed=3",)), How())
    more = context.with_overrides("training.lr=1e-4")
    assert (context.overrides, more.overrides) == (("seed=3",), ("seed=3", "training.lr=1e-4"))
    assert (more.runs, more.profile) == (context.runs, context.profile)
    for one, name in ((context, "runs"), (Where(), "runs"), (How(), "yes")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, None)
    recipe = load_recipe(str(empty_recipe(tmp_path)))
    assert context.pinned(recipe) == context
    assert isinstance(context.pinned(recipe), Context)


@pytest.mark.parametrize(
    ("where", "how", "told"),
    [
        (Where(cluster="narval"), How(inline=True), "narval has a queue: leave one out"),
        (Where(overrides=("cluster.tasks=2",)), How(inline=True), "cluster.tasks is 2: leave one out"),
        (Where(), How(test_only=True), "local has none: name a cluster by --cluster"),
        (Where(cluster="lokal"), How(), "did you mean local"),
    ],
)
def test_what_excludes_each_other_is_refused(where, how, told):
    with pytest.raises(ClusterError, match=told):
        context_of(where, how)


def test_without_a_sandbox_only_a_dry_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYALIGN_SANDBOX", str(tmp_path / "none"))
    monkeypatch.delenv("SLURM_CONF", raising=False)
    where = Where(cluster="sandbox")
    assert profile_of(where, How(dry_run=True)).name == "sandbox"
    for how in (How(), How(test_only=True)):
        with pytest.raises(ClusterError, match="there is no sandbox in"):
            profile_of(where, how)


def test_what_was_submitted_goes_on_where_it_was_unless_another_cluster_is_named():
    def again(where, told):
        profile = context_again(where, How(), told).profile
        return profile.name, getattr(profile, "account", None)

    before = submission("narval", "def-then")
    assert again(Where(), None) == ("local", None)
    assert again(Where(), before) == ("narval", "def-then")
    assert again(Where(overrides=("cluster.account=def-now",)), before) == ("narval", "def-now")
    assert again(Where(cluster="fir"), before) == ("fir", None)
    assert again(Where(), submission("local", None)) == ("local", None)


@pytest.mark.parametrize("place", ["/proc/x/y", "/sys/x"])
def test_a_folder_of_runs_that_cannot_be_made_is_refused_before_anything(place):
    with pytest.raises(ClusterError, match="takes no files of yours"):
        context_of(Where(cluster="local", runs=place), How(dry_run=True))
