"""Data sets of the hub, from the cache. `datasets` says which files are a split; text formats are read here.

Its own readers guess types (`None`, `007`, dates and numbers are no longer the text that the file has) and take a
field that begins with a quotation mark for a quoted one. Other formats, Parquet above all, have types of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from layalign.config import DataConfig
from layalign.data.delimited import records
from layalign.data.faults import Fault
from layalign.data.files import objects
from layalign.data.rows import LANGUAGE, Blank, Fields, Found, named_row
from layalign.data.tsv import AGAIN
from layalign.languages import Language, find

Told = tuple[Path, int, Mapping[str, Any] | Fault | None]
"""File, line and fields of a record; None for a blank line."""
PANDAS = {
    "quotechar": '"',
    "quoting": 0,
    "escapechar": None,
    "skiprows": None,
    "comment": None,
    "encoding": None,
}
"""What a card may say of a CSV and is not followed here, with the values that are."""


def snapshot(data: DataConfig, folder: Path | None) -> Path:
    """The folder in the hub's cache that holds one commit of a data set.

    Raises:
        ValueError: it is not there.
    """
    found = find_snapshot(data.path, data.revision)
    if found is None:
        raise ValueError(
            f"hub data set {data.path} at revision {data.revision or 'main'} is not in the cache; "
            "fetch it with `prefetch` where there is internet"
        )
    return found


def find_snapshot(name: str, revision: str | None) -> Path | None:
    """The folder in the hub's cache that holds one commit of a data set; None if it is not there."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None


def hub_files(place: Path, languages: Sequence[Language]) -> list[Path]:
    """All files of a snapshot."""
    return sorted(path for path in place.rglob("*") if path.is_file())


def hub_rows(place: Path, data: DataConfig, languages: Sequence[Language]) -> Iterator[Found]:
    """The rows of a split, configuration by configuration where each language has its own.

    Raises:
        ValueError: there is no such configuration or split, or a file cannot be opened.
    """
    for name, spoken in _configurations(place, data, languages):
        fields = Fields(*data.columns, prompt="prompt", group="group")
        for path, line, record in _split(place, data, name):
            if record is None:
                yield Blank(path, line)
            elif isinstance(record, Fault):
                yield record
            else:
                yield named_row(path, line, record, fields, spoken)


def _configurations(
    place: Path, data: DataConfig, languages: Sequence[Language]
) -> Iterator[tuple[str | None, Sequence[Language]]]:
    """Each configuration that is read, and the languages that its rows may have."""
    if data.config is None or LANGUAGE not in data.config:
        yield data.config, languages
        return
    pattern = re.compile(re.escape(data.config).replace(re.escape(LANGUAGE), "(.+)"))
    known = _names(place)
    for entry in languages:
        matches = {name: pattern.fullmatch(name) for name in known}
        named = [name for name, match in matches.items() if match and find(match[1]) is entry]
        if len(named) != 1:
            raise ValueError(
                f"hub data set {data.path} has {len(named)} configurations {data.config} for {entry.name}; "
                f"it has {', '.join(known)}"
            )
        yield named[0], [entry]


def _split(place: Path, data: DataConfig, name: str | None) -> Iterator[Told]:
    """The records of the split of one configuration."""
    config = _described(place, data, name)
    splits = {str(split): paths for split, paths in (config.data_files or {}).items()}
    if data.split not in splits:
        known = ", ".join(splits)
        raise ValueError(f"hub data set {data.path} has no split {data.split}; data.split may be {known}")
    paths = [Path(path) for path in splits[data.split]]
    endings = {_ending(path) for path in paths}
    if endings <= {".json", ".jsonl", ".ndjson"} and getattr(config, "field", None) in (None, "data"):
        yield from (told for path in paths for told in _opened(path, objects(path)))
    elif endings <= {".csv", ".tsv"}:
        yield from (told for path in paths for told in _opened(path, _table(path, config)))
    elif hasattr(config, "sep"):
        raise ValueError(f"{paths[0]} is a packed table, which is not read; give its rows as jsonl instead")
    else:
        yield from _loaded(place, data, name)


def _described(place: Path, data: DataConfig, name: str | None) -> Any:
    """What `datasets` makes of the card and the names of the files."""
    import datasets

    try:
        return datasets.load_dataset_builder(str(place), name).config
    except ValueError:
        known = ", ".join(_names(place))
        asked = f"no configuration {name}" if name else "several configurations"
        raise ValueError(f"hub data set {data.path} has {asked}; data.config names one of {known}") from None
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"hub data set {data.path}: {str(error)[:200]}; give its rows as jsonl instead"
        ) from None


def _names(place: Path) -> list[str]:
    import datasets

    return list(datasets.get_dataset_config_names(str(place)))


def _ending(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _opened(path: Path, found: Iterator[tuple[int, Any]]) -> Iterator[Told]:
    """What is found in a file, which may turn out to be none."""
    try:
        for line, record in found:
            yield path, line, record
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def _table(path: Path, config: Any) -> Iterator[tuple[int, Mapping[str, Any] | Fault | None]]:
    """The records of a CSV or TSV with the names of its header, or those that the card gives."""
    odd = [f"{key} {getattr(config, key)!r}" for key in PANDAS if getattr(config, key) != PANDAS[key]]
    if odd:
        raise ValueError(f"{path} is declared to have {', '.join(odd)}; give its rows as jsonl instead")
    names = config.names or config.column_names
    for line, cells in records(path, "\t" if _ending(path) == ".tsv" else config.delimiter or config.sep):
        if isinstance(cells, Fault):
            yield line, cells
        elif not cells:
            yield line, None
        elif names is None:
            names = cells
        elif len(set(names)) < len(names) or len(names) != len(cells):
            yield line, Fault(path, line, f"{len(cells)} column(s)", f"they are called {', '.join(names)}")
        elif cells == names:
            yield line, Fault(path, line, "the header once more", AGAIN)
        else:
            yield line, dict(zip(names, cells))


def _loaded(place: Path, data: DataConfig, name: str | None) -> Iterator[Told]:
    """Streamed from the files of the snapshot, so that no second copy comes to be in a cache."""
    import datasets

    try:
        rows = datasets.load_dataset(str(place), name, split=data.split, streaming=True)
        yield from ((Path(data.path), line, row) for line, row in enumerate(rows, 1))
    except (OSError, ValueError, RuntimeError) as error:  # as Arrow fails at a table that is cut or damaged
        told = " ".join(str(error).split())[:200]
        raise ValueError(
            f"hub data set {data.path} cannot be read: {told}; delete {place} and fetch it with `prefetch` again"
        ) from None
