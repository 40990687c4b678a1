"""Readers: data sets as they lie on disk become examples. `DataConfig.reader` names one of these layouts.

- `lego`: `en-sw/train_100k.sw` and `en-sw/train_100k.en`, one folder per language, one sentence per line, any
  stem (Lego-MT as the official code keeps it; that code leaves the line feed on every sentence, we do not).
- `pairs`: the same kind of two files, all languages in one folder: the file that ends in a code of the
  language and its twin of the same stem that ends in a code of English (`train.sw`, `train.en`;
  `tatoeba.swh-eng.swh`, `tatoeba.swh-eng.eng`).
- `tsv`: one file per language in one folder, whose stem is a code or ends in one after `_`, `-` or `.`
  (`sw.tsv`, `train_sw.tsv`); each line is source TAB target.
- `jsonl`: one file of objects with source and target under the names in `columns` and, where present,
  `language` (name or code; may be left out where only one language is read), `prompt` (the LLM's text in
  place of the translation prompt) and `group` (what parallel translations share, in place of the target).
- `math`: one file of `{query, response, lang}` (MultilingualMath: a list, `{"data": list}`, or an object per
  line); `lang` as `language` above. The prompt is the math prompt.
- `hub`: the split `train` of a hub data set that is in the cache, with the columns of `jsonl`.

The encoder reads the source, the LLM learns the target, which is English in the paper. `limit` takes the
first rows of each language in the order of the file; rows of languages not asked for are passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from layalign.config import DataConfig
from layalign.data.files import checksum, fault, lines, listing, locate, objects, one_file, twins
from layalign.languages import Language, find, language
from layalign.prompts import math_prompt, translation_prompt

ENGLISH = language("English")


@dataclass(frozen=True)
class Example:
    """One pair to learn from."""

    source: str
    """What the encoder reads."""
    target: str
    """What the LLM learns to answer."""
    prompt: str | None
    """What the LLM reads as text; None where the bridge is all that it gets."""
    language: str
    """Code of the source's language."""
    group: str
    """Equal for parallel translations of one sentence or problem, so that a dev split keeps them together."""


class Row(NamedTuple):
    """A row and where it stands."""

    path: Path
    line: int
    language: Language
    source: str
    target: str
    prompt: str | None = None
    group: str | None = None


class Reader(NamedTuple):
    """One layout."""

    place: Callable[[DataConfig, Path | None], Path]
    """The file or folder that is read."""
    files: Callable[[Path, list[Language]], list[Path]]
    """All files whose bytes decide what is read, in a fixed order."""
    rows: Callable[[Path, DataConfig, list[Language]], Iterator[Row]]
    prompt: Callable[[Row], str]
    """What the LLM reads where a row brings no prompt of its own."""


def read(data: DataConfig, folder: Path | None, text: bool) -> Iterator[Example]:
    """The examples of a data set, language by language or in the order of the file.

    Args:
        data: layout, place, languages and limit.
        folder: the data folder that a relative path is below.
        text: whether the LLM reads the prompt as text too.

    Raises:
        ValueError: a missing file, an unknown language, a malformed or empty row, a language without rows.
    """
    reader, languages = READERS[data.reader], _languages(data)
    place = reader.place(data, folder)
    counts = {entry.code: 0 for entry in languages}
    for row in reader.rows(place, data, languages):
        code = row.language.code
        if code not in counts or counts[code] == data.limit:
            continue
        counts[code] += 1
        yield _example(row, PROMPTS.get(data.prompt or "", reader.prompt) if text else None)
    missing = [entry.name for entry in languages if not counts[entry.code]]
    if missing:
        raise ValueError(f"{place} has no rows for {', '.join(missing)}; take them off data.languages")


def checksums(data: DataConfig, folder: Path | None) -> list[str]:
    """SHA-256 of each file that `read` reads, wherever the data folder lies.

    Raises:
        ValueError: a missing file, line counts that differ, an unknown language.
    """
    reader, languages = READERS[data.reader], _languages(data)
    return [checksum(path) for path in reader.files(reader.place(data, folder), languages)]


def _languages(data: DataConfig) -> list[Language]:
    """The languages of a config, once each."""
    languages = [language(name) for name in data.languages]
    for entry in languages:
        if languages.count(entry) > 1:
            raise ValueError(f"data.languages names {entry.name} more than once")
    if ENGLISH in languages and data.reader in ("lego", "pairs"):
        raise ValueError(f"data.languages names English, but {data.reader} pairs are translated into English")
    return languages


def _example(row: Row, prompt: Callable[[Row], str] | None) -> Example:
    for side, value in (("source", row.source), ("target", row.target)):
        if not value.strip():
            raise fault(row.path, row.line, f"empty {side}", "source and target must have text")
    group = row.group or " ".join(row.target.split())
    return Example(
        source=row.source,
        target=row.target,
        prompt=(row.prompt or prompt(row)) if prompt else None,
        language=row.language.code,
        group=hashlib.blake2b(group.encode(), digest_size=8).hexdigest(),
    )


def _locate(data: DataConfig, folder: Path | None) -> Path:
    return locate(data.path, folder)


def _file(data: DataConfig, folder: Path | None) -> Path:
    place = locate(data.path, folder)
    if not place.is_file():
        raise ValueError(f"{place} is no file; data.path of reader {data.reader} is one file")
    return place


def _snapshot(data: DataConfig, folder: Path | None) -> Path:
    """The folder in the hub's cache that holds one commit of a data set."""
    from huggingface_hub import snapshot_download

    try:
        told = snapshot_download(
            data.path, repo_type="dataset", revision=data.revision, local_files_only=True
        )
    except (OSError, ValueError):
        raise ValueError(
            f"hub data set {data.path} at revision {data.revision or 'main'} is not in the cache; "
            "fetch it with `prefetch` where there is internet"
        ) from None
    return Path(told)


def _lego_twins(place: Path, entry: Language) -> tuple[Path, Path]:
    named = [path for path in listing(place) if path.name[:3] == "en-" and find(path.name[3:]) is entry]
    return twins(one_file(named, place, f"one folder must be named en-{entry.code}"), entry, ENGLISH)


def _pair_twins(place: Path, entry: Language) -> tuple[Path, Path]:
    return twins(place, entry, ENGLISH)


def _twin_files(find_twins: Callable[[Path, Language], tuple[Path, Path]]) -> Reader:
    """The reader of two files per language, however they are found."""

    def files(place: Path, languages: list[Language]) -> list[Path]:
        return [path for entry in languages for path in find_twins(place, entry)]

    def rows(place: Path, data: DataConfig, languages: list[Language]) -> Iterator[Row]:
        for entry in languages:
            source, target = find_twins(place, entry)
            for (number, foreign), (_, english) in zip(lines(source), lines(target), strict=True):
                blamed = target if foreign.strip() else source
                yield Row(blamed, number, entry, foreign, english)

    return Reader(_locate, files, rows, _translation)


def _tsv(place: Path, entry: Language) -> Path:
    named = []
    for path in listing(place):
        stem = path.stem
        last = stem.replace("-", "_").replace(".", "_").rpartition("_")[2]
        if path.suffix == ".tsv" and entry in (find(stem), find(last)):
            named.append(path)
    return one_file(named, place, f"one file must be named after {entry.name}, e.g. {entry.code}.tsv")


def _tsv_files(place: Path, languages: list[Language]) -> list[Path]:
    return [_tsv(place, entry) for entry in languages]


def _tsv_rows(place: Path, data: DataConfig, languages: list[Language]) -> Iterator[Row]:
    for entry in languages:
        path = _tsv(place, entry)
        for number, line in lines(path):
            cells = line.split("\t")
            if len(cells) != 2:
                raise fault(path, number, f"{len(cells)} column(s)", "a line is source TAB target")
            yield Row(path, number, entry, cells[0], cells[1])


def _single(place: Path, languages: list[Language]) -> list[Path]:
    return [place]


class Fields(NamedTuple):
    """What a file calls the parts of a row."""

    source: str
    target: str
    language: str
    prompt: str | None = None
    group: str | None = None


def _jsonl_rows(place: Path, data: DataConfig, languages: list[Language]) -> Iterator[Row]:
    fields = Fields(*data.columns, "language", "prompt", "group")
    for number, row in objects(place):
        yield _row(place, number, row, fields, languages)


def _math_rows(place: Path, data: DataConfig, languages: list[Language]) -> Iterator[Row]:
    fields = Fields("query", "response", "lang")
    for number, row in objects(place):
        yield _row(place, number, row, fields, languages)


def _hub_rows(place: Path, data: DataConfig, languages: list[Language]) -> Iterator[Row]:
    """Streamed from the files of the snapshot, so that no second copy comes to be in a cache."""
    import datasets

    fields = Fields(*data.columns, "language", "prompt", "group")
    for number, row in enumerate(datasets.load_dataset(str(place), split="train", streaming=True), 1):
        yield _row(Path(data.path), number, row, fields, languages)


def _hub_files(place: Path, languages: list[Language]) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def _row(path: Path, line: int, row: Mapping[str, Any], fields: Fields, languages: list[Language]) -> Row:
    """A row of a file with named fields."""
    spoken = _text(path, line, row, fields.language)
    if spoken is None and len(languages) > 1:
        rule = "it may be left out only where one language is read"
        raise fault(path, line, f"no `{fields.language}`", rule)
    entry = languages[0] if spoken is None else find(spoken)
    if entry is None:
        raise fault(path, line, f"unknown language {spoken!r}", "layalign/languages.py lists them")
    source, target = (_text(path, line, row, key) for key in (fields.source, fields.target))
    if source is None or target is None:
        missing = fields.target if target is None else fields.source
        rule = f"a row has the texts `{fields.source}` and `{fields.target}`"
        raise fault(path, line, f"no `{missing}`", rule)
    prompt, group = (key and _text(path, line, row, key) for key in (fields.prompt, fields.group))
    return Row(path, line, entry, source, target, prompt, group)


def _text(path: Path, line: int, row: Mapping[str, Any], key: str) -> str | None:
    """A field, or None where the row has none."""
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise fault(path, line, f"`{key}` is {value!r}", "it must be text")
    return value


def _translation(row: Row) -> str:
    return translation_prompt(row.source, row.language.name)


def _math(row: Row) -> str:
    return math_prompt(row.source)


PROMPTS: dict[str, Callable[[Row], str]] = {
    "math": _math,
    "translation": _translation,
    "source": lambda row: row.source,
}
READERS: dict[str, Reader] = {
    "lego": _twin_files(_lego_twins),
    "pairs": _twin_files(_pair_twins),
    "tsv": Reader(_locate, _tsv_files, _tsv_rows, _translation),
    "jsonl": Reader(_file, _single, _jsonl_rows, _translation),
    "math": Reader(_file, _single, _math_rows, _math),
    "hub": Reader(_snapshot, _hub_files, _hub_rows, _translation),
}
