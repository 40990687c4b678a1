"""What a user writes: profiles, recipes, grids, overrides. It is what was meant, or an error names it."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.errors import ClusterError
from cluster.profile.load import load_profile
from cluster.profile.resources import plan_resources
from cluster.profile.schema import read_mapping as read_profile
from jobs.grid.grid_file import load_grid
from jobs.recipe.context import Where
from layalign.config import RunConfig
from layalign.recipe import parse_override, read_recipe, resolve
from tests.fuzz.values import JSON, TEXTS, changed, damaged
from tests.jobs.grid.test_grid_file import RECIPE

REFUSED = (ClusterError, ValueError)
TAGGED = (
    *(
        "!!timestamp x",
        "!!bool x",
        "!!int x",
        "!!float x",
        "2024-99-99",
        "0b_",
        "0x_",
        "!!set {a}",
        "!!omap [1]",
    ),
    *(
        "? [a]\n: 1",
        "a: &x [*x]",
        "a: &x {<<: *x}",
        "!!python/object:os.system x",
        "!!null {}",
        "1e999999",
        "a: *x",
    ),
    *("[" * 100_000, "- " * 100_000, "{a: " * 100_000, "\ud800", "\0", "&x a", "<<: 1", "!!binary x"),
    "a: &a [x,x,x,x,x,x,x,x]\n"
    + "\n".join(f"{b}: &{b} [{f'*{a},' * 8}]" for a, b in zip("abcdefgh", "bcdefghi")),
)
GRID = {
    "recipe": "./recipe.yaml",
    "title": "t",
    "common": {"training.epochs": 1},
    "axes": {"model.gate": ["static", "none"], "training.lr": {"fast": 0.01, "slow": 0.001}},
    "variants": {"LayAlign": None, "w/o Adapter": {"model.adapter": False}, "s2": {"stages": [2]}},
    "exclude": [{"model.gate": "none", "variant": "s2"}],
    "seeds": [0, 1],
    "evaluate": {"benchmarks": ["mgsm"], "languages": ["sw", "en"], "limit": 100},
    "paper": {"mgsm": {"table": "table15", "section": "MGSM", "rows": {}}},
}
FULL = {**RECIPE, "gpus": 2, "stages": {1: {"training": {"lr": 0.1}}, 2: {"data": {"limit": 7}}}}


@functools.cache
def narval() -> dict:
    return read_profile(Path("cluster/profiles/narval.yaml").absolute())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("yaml")
    (made / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return made


def named(path: Path, read, refused: tuple[type[Exception], ...] = REFUSED) -> object:
    """What is read, or None where it is refused by an error that names the file or a key of it."""
    try:
        return read()
    except refused as error:
        assert not isinstance(error, UnicodeError), "an error of Python's names no file"
        assert str(path) in str(error), error
        return None


@st.composite
def texts(draw: st.DrawFn, told: dict) -> bytes:
    """A file after a slip of the keyboard, of an editor, or of the disk."""
    whole = yaml.safe_dump(told, sort_keys=False, allow_unicode=True).encode()
    if draw(st.booleans()):
        return draw(damaged(whole))
    lines = whole.decode().split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    lines.insert(at, draw(st.sampled_from(TAGGED) | TEXTS))
    return "\n".join(lines).encode(errors="surrogatepass")


@given(texts(FULL))
def test_any_file_is_a_recipe_or_is_named(folder, content):
    path = folder / "any.yaml"
    path.write_bytes(content)
    told = named(path, lambda: read_recipe(path))
    assert told is None or json.loads(json.dumps(told, default=str)) is not None


@given(st.sampled_from(TAGGED))
@example(TAGGED[-1])
def test_any_value_of_yaml_is_read_or_refused(folder, text):
    path = folder / "value.yaml"
    for written in (text, f"name: {text}", f"name: [{text}]"):
        path.write_bytes(written.encode(errors="surrogatepass"))
        named(path, lambda: read_recipe(path))
        named(path, lambda: read_profile(path))
        with pytest.raises(REFUSED):
            raise_or_refuse(lambda written=written: parse_override(f"a={written}"))


def raise_or_refuse(read) -> None:
    """Refuses what is read, so that both ends are one."""
    raise ValueError(str(read())[:80])


@given(changed(FULL))
@example({**FULL, "stages": [1]})
@example({**FULL, "stages": {1: "x"}})
@example({**FULL, "stages": {2: [1]}})
@example({**FULL, "training": {"lr": 10**400}})
def test_any_recipe_is_a_run_or_is_refused(recipe):
    for stage in (1, 2):
        try:
            config = resolve(recipe, stage)
        except ValueError as error:
            assert str(error)
            continue
        assert RunConfig.from_dict(config.to_dict()) == config
        assert config.signature() == RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))).signature()


@given(changed(GRID))
def test_any_grid_is_points_or_is_refused(folder, told):
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8", errors="surrogatepass")
    grid = named(path, lambda: load_grid(str(path)))
    if grid is not None:
        assert len({(point.label, point.seed) for point in grid.points}) == len(grid.points)


@given(texts(GRID))
def test_any_file_is_a_grid_or_is_named(folder, content):
    path = folder / "any-grid.yaml"
    path.write_bytes(content)
    named(path, lambda: load_grid(str(path)))


@given(st.text("abc.", min_size=1), JSON.filter(lambda value: "\\ud" not in json.dumps(value)))
def test_an_override_of_json_is_its_value(key, value):
    """YAML has all of JSON, less numbers that no float holds, and what is too deep for anybody."""
    try:
        read = parse_override(f"{key}={json.dumps(value)}")
    except ValueError as error:
        assert "is no valid YAML" in str(error)
        return
    assert read[0] == key
    if isinstance(value, bool | str | None):
        assert read[1] == value


@given(
    TEXTS
    | st.tuples(st.sampled_from(["training.lr", "stages.1.x", "", "model", "cluster.mem", "a."]), TEXTS).map(
        "=".join
    )
)
@example("a=" + "[" * 100_000)
@example("a=!!bool x")
@example("stages.1=x")
@example("model=x")
def test_any_override_is_taken_or_refused(text):
    ours, recipe = Where(overrides=(text,)).split()
    try:
        load_profile("narval", ours, {"HOME": "/nowhere"})
        resolve(RECIPE, 1, recipe)
    except REFUSED as error:
        assert not isinstance(error, UnicodeError)
        assert str(error)


@given(changed(narval()))
@example({"like": ["narval"]})
@example({"like": {"a": "b"}})
@example({"like": "narval", "walltime": {"longest": "9" * 5000}})
@example({"like": "narval", "time": "9" * 400, "account": "def-prof"})
@example({"like": "narval", "mem": "9" * 400, "account": "def-prof"})
@example({"like": "narval", "gpus": "9" * 15, "account": "def-prof"})
@example({"like": "narval", "hours": "1e300", "account": "def-prof"})
def test_any_profile_gives_resources_or_is_refused(folder, told):
    path = folder / "profiles.yaml"
    path.write_text(yaml.safe_dump({"ours": told}), encoding="utf-8", errors="surrogatepass")
    environ = {"LAYALIGN_PROFILES": str(path), "HOME": "/nowhere"}
    try:
        profile = load_profile("ours", ["cluster.account=def-prof"], environ)
        plan_resources(profile, 4)
    except ClusterError as error:
        assert str(error)


@given(texts({"narval": {"account": "def-prof"}, "ours": {"like": "narval", "time": "3h"}}))
def test_any_file_is_profiles_or_is_named(folder, content):
    path = folder / "any-profiles.yaml"
    path.write_bytes(content)
    named(path, lambda: read_profile(path), (ClusterError,))
