"""The direction of imports (DESIGN: rooms), and a front door that answers at once."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"layalign", "cluster", "jobs", "launch", "tests"}
MAY_IMPORT = {
    "layalign": {"layalign"},
    "cluster": {"cluster"},
    "jobs": {"jobs", "layalign", "cluster"},
    "launch.py": {"jobs", "layalign", "cluster"},
}
HEAVY = {"torch", "transformers", "datasets", "peft", "deepspeed", "submitit", "matplotlib"}
CORE = HEAVY - {"submitit"}
WORKERS = {"jobs/work/train.py", "jobs/work/evaluate.py", "jobs/work/start.py", "jobs/cli/demo.py"}
"""What runs in jobs alone."""
LIGHT = [
    "launch.py",
    "cluster/**/*.py",
    "jobs/**/*.py",
    "layalign/__init__.py",
    "layalign/config.py",
    "layalign/strict.py",
    "layalign/languages.py",
    "layalign/prompts.py",
    "layalign/methods.py",
    "layalign/evaluation/scoring.py",
    "layalign/evaluation/benchmarks.py",
    "layalign/evaluation/table.py",
    "layalign/mini/__init__.py",
]


def sources(room):
    path = ROOT / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


EVERY = [(room, path) for room in MAY_IMPORT for path in sources(room)]


def imported(tree, room):
    """Top-level names of all imports, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield room if node.level else node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            yield from (n.value.partition(".")[0] for n in node.args if isinstance(n, ast.Constant))


def modules_after(code, **environ):
    """Top-level names of the modules that a fresh interpreter has loaded after `code`."""
    code += "\nimport sys; print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=True
    )
    return set(ran.stdout.rpartition("\n\n")[2].split() or ran.stdout.split())


@pytest.mark.parametrize(
    ("room", "path"), EVERY, ids=lambda value: value if isinstance(value, str) else value.stem
)
def test_room_imports_only_what_lies_below_it(room, path):
    names = set(imported(ast.parse(path.read_text()), room))
    assert names & OURS <= MAY_IMPORT[room]
    if room == "cluster":
        assert not names & CORE
    if room == "layalign":
        assert "submitit" not in names


@pytest.mark.parametrize("path", sources("layalign"), ids=lambda path: path.stem)
def test_core_knows_nothing_of_slurm(path):
    assert "SLURM" not in path.read_text().upper()


@pytest.mark.parametrize("path", sources("layalign"), ids=lambda path: path.stem)
def test_package_files_are_empty(path):
    if path.name == "__init__.py" and path.parent.name != "mini":
        assert path.read_text() == ""


@pytest.mark.parametrize("pattern", LIGHT)
def test_light_file_loads_nothing_heavy(pattern):
    every = [path.relative_to(ROOT) for path in ROOT.glob(pattern)]
    files = [path for path in every if path.as_posix() not in WORKERS]
    assert files, f"{pattern} names no file"
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert not modules_after(f"import {', '.join(modules)}") & HEAVY


def test_front_door_loads_next_to_nothing():
    loaded = modules_after("import launch")
    assert not loaded & (HEAVY | {"yaml", "rich", "numpy", "pandas", "layalign", "jobs", "cluster"})


def test_help_loads_next_to_nothing():
    code = "import launch\ntry:\n    launch.main(['train', '--help'])\nexcept SystemExit:\n    pass"
    assert not modules_after(code) & (HEAVY | {"yaml", "rich", "numpy", "pandas"})


def test_wheel_holds_the_core_alone():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["packages"]["find"]["include"] == ["layalign*"]
    assert "py-modules" not in settings


@pytest.fixture
def decoys(tmp_path):
    """Installed packages of our names, as another project may bring them."""
    for name in ("cluster", "jobs"):
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "__init__.py").write_text("raise ImportError('decoy')")
    return tmp_path / "site"


@pytest.mark.parametrize("flags", [[], ["-P"]])
def test_front_door_uses_its_own_rooms_whatever_is_installed(decoys, tmp_path, flags):
    command = [sys.executable, *flags, str(ROOT / "launch.py"), "train", "--stage", "1", "--recipe", "none"]
    environ = {**os.environ, "PYTHONPATH": str(decoys)}
    ran = subprocess.run(command, cwd=decoys, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: there is no recipe 'none'")


def test_job_uses_the_rooms_of_the_front_door_whatever_is_installed(decoys, tmp_path):
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(ROOT)!r})\n"
        "from cluster.profile.load import load_profile; from cluster.run.run_folder import RunFolder\n"
        "from cluster.launch.local import submit_local; from jobs.work.call import JobCall\n"
        "run = RunFolder(pathlib.Path(sys.argv[1], 'a-s1-00000001'))\n"
        "submit_local(JobCall('tests.jobs.echo', {}), run, load_profile('local'))\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(decoys)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=decoys, env=environ, check=True)
