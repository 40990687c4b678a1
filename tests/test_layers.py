"""The direction of imports (DESIGN: rooms), and a front door that answers at once."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
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
ROOMS = [
    "layalign",
    "layalign/tasks",
    "layalign/data",
    "layalign/model",
    "layalign/training",
    "layalign/evaluation/reading",
    "layalign/evaluation",
    "layalign/analysis",
    "layalign/mini",
    "layalign/use",
    "cluster",
    "cluster/profile",
    "cluster/run",
    "cluster/slurm",
    "cluster/job",
    "cluster/logs",
    "cluster/hub",
    "cluster/site",
    "cluster/storage",
    "cluster/launch",
    "cluster/sandbox",
    "jobs/cell",
    "jobs/reliability",
    "jobs/recipe",
    "jobs/data",
    "jobs/work",
    "jobs/board",
    "jobs/results",
    "jobs/diagnosis",
    "jobs/keeping",
    "jobs/launch",
    "jobs/grid",
    "jobs/cli",
]
"""What a room imports stands above it, and in a house that `MAY_IMPORT` allows it. A new room is a line here."""
GROUND = {
    "layalign": {
        "bounds",
        "config",
        "families",
        "languages",
        "licences",
        "methods",
        "positions",
        "prompts",
        "recipe",
        "replay",
        "strict",
        "tabular",
        "training_sets",
    },
    "cluster": {
        "commands",
        "docstrings",
        "errors",
        "escapes",
        "files",
        "full_disk",
        "permissions",
        "provenance",
        "quantities",
        "quota",
        "records",
        "secret",
    },
    "jobs": set(),
}
"""Files that stand in no room below their house: what every room of it may need."""
HEAVY = {"torch", "transformers", "datasets", "peft", "deepspeed", "submitit", "matplotlib"}
CORE = HEAVY - {"submitit"}
WORKERS = {
    f"jobs/{name}.py"
    for name in (
        "work/train",
        "work/training_data",
        "work/translate",
        "work/evaluate",
        "work/generate",
        "work/model",
        "work/start",
        "cli/demo",
    )
}
"""What runs in jobs alone."""
PROGRAMS = {"cluster/site/login.py", "layalign/model/convert.py"}
"""What is started by `python -m`, besides the front door."""
LIGHT = [
    "launch.py",
    "cluster/**/*.py",
    "jobs/**/*.py",
    "layalign/__init__.py",
    "layalign/bounds.py",
    "layalign/config.py",
    "layalign/recipe.py",
    "layalign/analysis/curves.py",
    "layalign/strict.py",
    "layalign/tabular.py",
    "layalign/languages.py",
    "layalign/prompts.py",
    "layalign/methods.py",
    "layalign/families.py",
    "layalign/licences.py",
    "layalign/data/check.py",
    "layalign/data/counts.py",
    "layalign/data/unknown.py",
    "layalign/positions.py",
    "layalign/evaluation/scoring.py",
    "layalign/evaluation/reading/*.py",
    "layalign/evaluation/benchmarks.py",
    "layalign/evaluation/items.py",
    "layalign/data/layouts.py",
    "layalign/tasks/*.py",
    "layalign/evaluation/compare.py",
    "layalign/evaluation/table.py",
    "layalign/data/files.py",
    "layalign/training/interval.py",
    "layalign/mini/__init__.py",
]


def sources(room):
    path = ROOT / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


EVERY = [(room, path) for room in MAY_IMPORT for path in sources(room)]


def modules(root, houses):
    """Files by the name under which they are imported; a package is its `__init__.py`."""
    files = [path.relative_to(root) for house in houses for path in sorted((root / house).rglob("*.py"))]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def needed(root, known, name):
    """Which of the known modules one imports, anywhere in its file: also in functions, and for types alone."""
    path, found = known[name], set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse((root / path).read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found.update(inner & known.keys() or {base})
    return found & known.keys()


@functools.cache
def graph(root, houses):
    """What each module needs of the others, and of that what each room needs of other rooms."""
    known = modules(root, houses)
    files = {name: needed(root, known, name) for name in known}
    rooms = {}
    for name, others in files.items():
        here = known[name].parent.as_posix()
        for there in (known[other].parent.as_posix() for other in others):
            if there != here:
                rooms.setdefault(here, set()).add(there)
    return files, rooms


def circle(needs):
    """One circle as the names along it, or None."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def may_need(room, other):
    """Whether the table lets one room import another."""
    house, there = room.partition("/")[0], other.partition("/")[0]
    return there in MAY_IMPORT[house] and (there != house or ROOMS.index(other) <= ROOMS.index(room))


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


def test_no_file_and_no_room_is_in_a_circle():
    files, rooms = graph(ROOT, tuple(GROUND))
    assert circle(files) is None
    assert circle(rooms) is None


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_rooms_above_it(room):
    _, rooms = graph(ROOT, tuple(GROUND))
    assert not [other for other in rooms.get(room, ()) if not may_need(room, other)]


def test_every_file_is_in_a_room_or_named_as_ground():
    known = modules(ROOT, GROUND)
    assert {path.parent.as_posix() for path in known.values()} - {"jobs"} == set(ROOMS)
    for house, names in GROUND.items():
        assert {path.stem for path in (ROOT / house).glob("*.py")} == names | {"__init__"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from house.b.two import x", "from house.a.one import y"),
        ("import house.b.two", "def f():\n    from house.a import one"),
        ("from house.b import two", "if TYPE_CHECKING:\n    from house.a.one import Y"),
        ("from ..b.two import x", "try:\n    from ..a import one\nexcept ImportError:\n    one = None"),
    ],
    ids=["plain", "in a function", "for types", "relative"],
)
def test_circles_are_found_wherever_the_import_stands(tmp_path, first, second):
    for room, name, text in (("a", "one", first), ("b", "two", second)):
        (tmp_path / "house" / room).mkdir(parents=True)
        (tmp_path / "house" / room / f"{name}.py").write_text(text)
        (tmp_path / "house" / room / "__init__.py").write_text("")
    files, rooms = graph(tmp_path, ("house",))
    assert set(circle(files)) == {"house.a.one", "house.b.two"}
    assert set(circle(rooms)) == {"house/a", "house/b"}


SLURM = re.compile(
    r"(?:sacct|sacctmgr|salloc|sattach|sbatch|sbcast|scancel|scontrol|scrontab|sdiag|sinfo|sprio|squeue|sreport|srun"
    r"|sshare|sstat|strigger)(?=\s|$)"
)
CLIENT = {"run", "ask", "show", "line", "installed"}
"""Functions of `cluster.slurm.client`: what they are told first is a command of Slurm."""
PROCESSES = {"subprocess", "os", "asyncio", "pty", "multiprocessing"}


def starts_processes(tree):
    """Whether a module could run a command by itself."""
    names = set(imported(tree, "")) & (PROCESSES - {"os"})
    calls = {getattr(node.func, "attr", "") for node in ast.walk(tree) if isinstance(node, ast.Call)}
    commands = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "cluster.commands"
        for alias in node.names
    }
    return bool(
        names
        or commands
        or any(
            name in ("system", "popen") or name.startswith(("exec", "spawn", "posix_spawn")) for name in calls
        )
    )


def slurm_words(tree):
    """Lines of the texts that are, or begin with, a command of Slurm, and are not told to its client."""
    told = {
        id(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLIENT
        and getattr(node.func.value, "id", "") == "client"
        and node.args
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in told else None
        if isinstance(text, str) and SLURM.match(text):
            yield node.lineno, text


OUTSIDE = [
    path for _, path in EVERY if path != ROOT / "cluster/slurm/client.py" and "sandbox" not in path.parts
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.stem)
def test_only_the_client_runs_a_command_of_slurm(path):
    """Anywhere else such a command would hear what the user's environment says to it (`SQUEUE_STATES`)."""
    tree = ast.parse(path.read_text())
    if starts_processes(tree):
        assert list(slurm_words(tree)) == []


def test_a_command_of_slurm_outside_of_its_client_is_found():
    assert list(slurm_words(ast.parse("import subprocess\nsubprocess.run(['squeue', '-h'])"))) == [
        (2, "squeue")
    ]
    assert list(slurm_words(ast.parse("S = ('sinfo -h',)"))) == [(1, "sinfo -h")]
    assert list(slurm_words(ast.parse("client.run('srun', 'x')\n'squeueing'"))) == []
    for code in (
        "import subprocess",
        "import os\nos.system('x')",
        "os.execvp('x', [])",
        "from cluster.commands import ask",
    ):
        assert starts_processes(ast.parse(code))
    assert not starts_processes(ast.parse("import os\nfrom cluster.slurm import client"))


@pytest.mark.parametrize("path", sources("layalign"), ids=lambda path: path.stem)
def test_core_knows_nothing_of_slurm(path):
    assert "SLURM" not in path.read_text().upper()


@pytest.mark.parametrize("path", sources("layalign"), ids=lambda path: path.stem)
def test_package_files_are_empty(path):
    if path.name == "__init__.py" and path.parent.name not in ("mini", "use"):
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


def test_what_is_typed_stops_at_the_front_door():
    """Past `jobs/cli` nobody knows argparse: requests are made there. Programs of their own parse their own words."""
    found = set()
    for _, path in EVERY:
        name, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())
        nodes = list(ast.walk(tree))
        if "argparse" in set(imported(tree, "")):
            found.add(name)
        if name.startswith("jobs/"):
            words = {node.arg for node in nodes if isinstance(node, ast.arg)}
            words |= {node.id for node in nodes if isinstance(node, ast.Name)}
            words |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            assert not words & {"args", "Namespace"}, f"{name} passes on what was parsed"
    cli = {f"jobs/cli/{name}.py" for name in ("command_page", "command_table", "options", "parser")}
    assert found == {*cli, *PROGRAMS}


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
