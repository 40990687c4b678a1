"""What there is to choose from, one line each, told from the code's own docstrings and the comments of its files."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from cluster.docstrings import field_texts, sentence
from jobs.cli.documents import Entry, ListDocument, Listing
from jobs.cli.json_output import print_json
from jobs.cli.options import KINDS
from jobs.cli.requests import ListRequest
from layalign.strict import describe, plain

MADE = ("stage", "last_stage", "training.init_checksum")
"""Keys of a run's config that no recipe has: what makes the run puts them there."""
ROOT = Path(__file__).resolve().parents[2]


def list_command(request: ListRequest) -> int:
    """Tell what there is of a kind; without one, how much of each."""
    kinds = (request.kind,) if request.kind else KINDS
    runs = request.where.root()
    listings = tuple(Listing(kind=kind, entries=tuple(_entries(kind, runs))) for kind in kinds)
    if request.json:
        print_json(ListDocument(listings=listings))
    elif request.kind:
        _show(listings[0])
    else:
        for one in listings:
            names = [entry.name for entry in one.entries]
            shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
            print(f"{one.kind:<12}{len(names):>4}  {shown}")
        print("\none line of each: python launch.py list KIND")
    return 0


def _show(listing: Listing) -> None:
    """The entries of one kind, a line each; on a terminal that is too narrow for them with the text below."""
    if not listing.entries:
        print(f"there are no {listing.kind} yet")
        return
    rows = [_columns(entry) for entry in listing.entries]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths)), row[-1]]).rstrip()
        for row in rows
    ]
    room = shutil.get_terminal_size().columns
    if sys.stdout.isatty() and max(map(len, lines)) > room:
        lines = [line for row in rows for line in _folded(row, room)]
    print("\n".join(lines))


def _folded(row: Sequence[str], room: int) -> list[str]:
    """An entry in lines of at most `room` columns."""
    name, *facts, told = row
    head = f"{name} ({', '.join(facts)})" if facts else name
    return [
        *textwrap.wrap(head, room, subsequent_indent="  "),
        *textwrap.indent(textwrap.fill(told, room - 4), "    ").split("\n"),
    ]


def _columns(entry: Entry) -> list[str]:
    """What is shown of an entry."""
    if entry.type is None:
        return [entry.name, entry.told]
    return [entry.name, entry.type, "required" if entry.default is None else entry.default, entry.told]


def _entries(kind: str, runs: Path) -> Iterable[Entry]:
    """What there is of a kind."""
    found: dict[str, Callable[[], Iterable[Entry]]] = {
        "recipes": lambda: _yaml_files(ROOT / "jobs" / "recipes"),
        "grids": lambda: _yaml_files(ROOT / "jobs" / "grids"),
        "clusters": _clusters,
        "models": _models,
        "readers": _readers,
        "benchmarks": _benchmarks,
        "languages": _languages,
        "keys": recipe_keys,
        "runs": lambda: _runs(runs),
    }
    return found[kind]()


def _yaml_files(folder: Path) -> Iterable[Entry]:
    """The files of a folder by their names, with the first sentence of the comment at their head."""
    for path in sorted(folder.glob("*.yaml")):
        yield Entry(name=path.stem, told=_head(path.read_text(encoding="utf-8")))


def _head(text: str) -> str:
    """The first sentence of the comment at the head of a YAML file."""
    lines = list[str]()
    for line in text.splitlines():
        if not line.startswith("#") or not line.strip("# "):
            break
        lines.append(line.lstrip("# ").rstrip())
    return sentence(" ".join(lines))


def _clusters() -> Iterable[Entry]:
    from cluster.profile.load import PROFILES, load_profile, profile_names

    for name in profile_names():
        path = PROFILES / f"{name}.yaml"
        title = getattr(load_profile(name), "title", "")
        yield Entry(
            name=name, told=title or (_head(path.read_text(encoding="utf-8")) if path.is_file() else "")
        )


def _models() -> Iterable[Entry]:
    from layalign.families import DECODERS, ENCODERS

    for name in dict.fromkeys((*ENCODERS, *DECODERS)):
        roles = [role for role, known in (("encoder", ENCODERS), ("LLM", DECODERS)) if name in known]
        yield Entry(name=name, told=f"model type that is checked as {' and as '.join(roles)}")


def _readers() -> Iterable[Entry]:
    """The layouts as the docstring of `layalign.data.sources` has them."""
    source = (ROOT / "layalign/data/sources.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source)) or ""
    listed = text.partition("\n- ")[2].partition("\n\n")[0]
    for item in re.split(r"\n- ", listed):
        name, _, told = item.partition("`: ")
        yield Entry(name=name.strip("`"), told=sentence(told))


def _benchmarks() -> Iterable[Entry]:
    from layalign.tasks.pages import BENCHMARKS

    for one in BENCHMARKS.values():
        extra = f", when asked for also {', '.join(one.extra)}" if one.extra else ""
        yield Entry(name=one.name, told=f"{', '.join(one.languages)}{extra}; files {' or '.join(one.files)}")


def _languages() -> Iterable[Entry]:
    from layalign.languages import known

    for one in known():
        group = f", {one.group}" if one.group else ""
        yield Entry(name=one.code, told=f"{one.name}{group}; also {', '.join(one.names[2:]) or one.name}")


def _runs(root: Path) -> Iterable[Entry]:
    from cluster.run.grid_folder import all_grids
    from cluster.run.run_folder import all_runs

    yield from (Entry(name=grid.name, told="grid") for grid in all_grids(root))
    yield from (Entry(name=run.path.name, told=f"run, {run.state()}") for run in all_runs(root))


def recipe_keys() -> Iterable[Entry]:
    """Every key of a recipe, in the order of `layalign.config`."""
    from layalign.config import RunConfig

    texts = field_texts(ROOT / "layalign/config.py", ROOT / "layalign/methods.py")
    return _keys_of(RunConfig, "", texts)


def _keys_of(cls: type, before: str, texts: dict[str, str]) -> Iterable[Entry]:
    types = get_type_hints(cls)
    for field in fields(cls):
        name, kind = f"{before}{field.name}", types[field.name]
        if name in MADE:
            continue
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _keys_of(kind, f"{name}.", texts)
            continue
        default = None if field.default is MISSING else _shown(field.default)
        told = texts.get(f"{cls.__name__}.{field.name}") or texts.get(f"Bridge.{field.name}", "")
        yield Entry(name=name, told=sentence(told), type=describe(kind), default=default)


def _shown(value: Any) -> str:
    """A default as it would be written in YAML."""
    told = plain(value)
    words = {None: "null", True: "true", False: "false"}
    if told is None or isinstance(told, bool):
        return words[told]
    return f"[{', '.join(map(str, told))}]" if isinstance(told, list) else str(told)
