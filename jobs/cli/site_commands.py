"""The commands before anything runs: models and data, environment, profile, sandbox, and what a shell completes."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster.errors import FAILED, ClusterError
from cluster.hub.cache import hub_cache
from cluster.profile.load import load_profile, slurm_only
from jobs.cli.json_output import print_json
from jobs.cli.requests import (
    DEFAULT_RECIPE,
    CompletionRequest,
    DoctorRequest,
    EnvRequest,
    PrefetchRequest,
    SandboxRequest,
)
from jobs.recipe.context import profile_of

FRONT_DOOR = Path(__file__).resolve().parents[2] / "launch.py"


def prefetch_command(request: PrefetchRequest) -> int:
    """Bring what a recipe needs from the hub into the cache that jobs read."""
    from jobs.recipe.prefetch import prefetch

    profile = profile_of(request.where)
    print(f"cache: {hub_cache(os.environ)}")
    for recipe, overrides in _fetched(request):
        prefetch(recipe, overrides, profile, dict(os.environ), request.update)
    return 0


def _fetched(request: PrefetchRequest) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """What is to be fetched: a recipe with its overrides, for a grid once for each set of models and data."""
    from jobs.grid.grid_file import load_grid
    from jobs.recipe.plan import load_recipe
    from jobs.recipe.prefetch import wanted
    from layalign.recipe import resolve, stages_of

    _, overrides = request.where.split()
    if not request.grid:
        yield load_recipe(request.recipe or DEFAULT_RECIPE), overrides
        return
    grid = load_grid(request.grid)
    recipe, seen = load_recipe(grid.recipe), set()
    for point in grid.points:
        configs = [resolve(recipe, stage, point.overrides) for stage in stages_of(recipe)]
        needs = frozenset(one for config in configs for one in wanted(config))
        if needs not in seen:
            seen.add(needs)
            yield recipe, (*point.overrides, *overrides)


def env_command(request: EnvRequest) -> int:
    """Tell how jobs come by their Python, or build it."""
    from cluster.site.environment import build, describe
    from cluster.site.live import module_lines

    profile = slurm_only(profile_of(request.where))
    if request.build:
        build(profile, os.environ)
    print(*describe(profile, os.environ), *module_lines(profile, os.environ), sep="\n")
    return 0


def doctor_command(request: DoctorRequest) -> int:
    """Compare a profile with its cluster, or write one of it."""
    if request.write:
        return _write_profile(request.write)
    from cluster.site.doctor import examine

    profile = slurm_only(profile_of(request.where))
    findings = examine(profile, os.environ, request.compute)
    if request.json:
        from jobs.cli import documents

        print_json(documents.doctor_document(profile.name, findings))
    else:
        print(*(finding.line(profile.origin) for finding in findings), sep="\n")
    return FAILED if any(finding.mark == "differs" for finding in findings) else 0


def _write_profile(path: Path) -> int:
    """Write a profile of the Slurm here, and tell what is to be looked at before it is used."""
    from cluster.site.own_profile import write_own_profile

    profile = write_own_profile(path, os.environ)
    name = shlex.quote(os.path.relpath(path))
    print(f"wrote {name}: {profile.title}")
    print("look it over: Slurm tells nothing of storage, network and quotas; then")
    print(f"  python launch.py doctor --cluster {name}")
    print(f"  python launch.py train --stage all --recipe mini --cluster {name} --dry-run")
    return 0


def sandbox_command(request: SandboxRequest) -> int:
    """Start or end a throwaway Slurm on this machine, or tell of it."""
    from cluster.sandbox import sandbox as slurm
    from cluster.sandbox.shape import shape_of

    root = slurm.sandbox_root(os.environ)
    if request.action == "down":
        print(f"removed: {root}" if slurm.down(root) else f"no sandbox in {root}")
        return 0
    if request.action == "up":
        profile = load_profile(request.like)
        slurm.up(root, shape_of(profile, request.nodes, not request.no_accounting, request.warn_preempted))
    print(slurm.status(root))
    return 0


def completion_command(request: CompletionRequest) -> int:
    """Print what a shell has to be told."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        raise ClusterError(
            "completion needs the package argcomplete, which this Python lacks: python -m pip install argcomplete"
        ) from None
    door = shlex.join([sys.executable, str(FRONT_DOOR)])
    fish, line = request.shell == "fish", f"{door} completion {request.shell}"
    print(
        f"# Completes ./launch.py, by whatever path it is typed. In the start-up file of {request.shell} stands:"
    )
    print(f"#   {line} | source" if fish else f'#   eval "$({line})"')
    asked = door if fish else None  # in fish argcomplete would ask the bare name, which is not on the PATH
    print(argcomplete.shellcode([FRONT_DOOR.name], shell=request.shell, argcomplete_script=asked))
    return 0
