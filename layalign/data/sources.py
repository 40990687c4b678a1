"""Readers: data sets as they lie on disk become examples. `DataConfig.reader` names one of these layouts.

- `lego`: `en-sw/train_100k.sw` and `en-sw/train_100k.en`, one folder per language, one sentence per line, any
  stem (Lego-MT as the official code keeps it; that code leaves the line feed on every sentence, we do not).
- `pairs`: the same kind of two files, all languages in one folder: the file that ends in a code of the
  language and its twin of the same stem that ends in a code of English (`train.sw`, `train.en`;
  `tatoeba.swh-eng.swh`, `tatoeba.swh-eng.eng`).
- `tsv`: one file per language in one folder, whose stem is a code or ends in one after `_`, `-` or `.`
  (`sw.tsv`, `train_sw.tsv`); each line is source TAB target. A header with the names in `columns` may have
  further columns; one of known words (`question TAB answer`, `sw TAB en`) is passed over.
- `jsonl`: one file of objects with source and target under the names in `columns` (`translation.sw` is the
  field `sw` of an object `translation`, `answers.0` the first of a list) and, where present, `language` (name or
  code; may be left out where only one language is read), `prompt` (the LLM's text in place of the translation
  prompt) and `group` (what parallel translations share).
  With `{language}` in its path, as in `mafand/en-{language}/train.json`, each language has a file of its own.
- `math`: one file of `{query, response, lang}` (MultilingualMath: a list, `{"data": list}`, or an object per
  line); `lang` as `language` above. The prompt is the math prompt.
- `hub`: a split (`train`, or `data.split`) of a hub data set that is in the cache, of its one configuration or
  of `data.config`, with the columns of `jsonl`. CSV, TSV and JSON are read as text (`layalign.data.delimited`).

The encoder reads the source, the LLM learns the target, which is English in the paper. `limit` takes the
first rows of each language in the order of the file; rows of languages not asked for are passed over, and so
are those that are blank on both sides and, where `deduplicate` says so, those that repeat an earlier row of their
language letter by letter: they count towards no limit. All rows that cannot be used are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from layalign.config import DataConfig
from layalign.data.example import Example, example_of
from layalign.data.faults import Fault
from layalign.data.files import checksum, listing, locate, named_by, objects, one_file
from layalign.data.hub import hub_files, hub_rows, snapshot
from layalign.data.left_out import LeftOut
from layalign.data.parallel import lego_twins, pair_twins, twin_rows
from layalign.data.repeats import Seen
from layalign.data.rows import LANGUAGE, Blank, Fields, Found, Row, named_row
from layalign.data.tsv import tsv_rows
from layalign.languages import Language, find, language
from layalign.prompts import math_prompt, translation_prompt

_BLANK = re.compile(r"[\s\u00ad\u200b-\u200f\u2060\ufeff]*")
"""Spaces, and what has no width."""


class Reader(NamedTuple):
    """One layout."""

    place: Callable[[DataConfig, Path | None], Path]
    """The file or folder that is read."""
    files: Callable[[Path, list[Language]], list[Path]]
    """All files whose bytes decide what is read, in a fixed order."""
    rows: Callable[[Path, DataConfig, list[Language]], Iterator[Found]]
    prompt: Callable[[Row], str]
    """What the LLM reads where a row brings no prompt of its own."""


def read(
    data: DataConfig, folder: Path | None, text: bool, left_out: LeftOut | None = None
) -> Iterator[Example]:
    """The examples of a data set, language by language or in the order of the file.

    Args:
        data: layout, place, languages, limit, and whether repeated rows are left out.
        folder: the data folder that a relative path is below.
        text: whether the LLM reads the prompt as text too.
        left_out: is told what is not used.

    Raises:
        ValueError: a missing file, an unknown language, a language without rows; after the last row, and with no
            example after the first of them, all rows that are malformed or blank on one side.
    """
    told = left_out or LeftOut()
    prompt = prompt_of(data) if text else None
    for row, place in used_rows(data, folder, told):
        if not told.faults.count:
            yield example_of(row, prompt, place)


def used_rows(data: DataConfig, folder: Path | None, left_out: LeftOut) -> Iterator[tuple[Row, int]]:
    """The rows of a data set that are whole and wanted, each with its place in its language, counted from 1.

    Args:
        data: as in `read`.
        folder: the data folder.
        left_out: is told what is not used.

    Raises:
        ValueError: as `read`, after the last row.
    """
    reader, languages = READERS[data.reader], asked_languages(data)
    place, faults, known = reader.place(data, folder), left_out.faults, Seen()
    used = {entry.code: 0 for entry in languages}
    places = dict(used)
    for row in reader.rows(place, data, languages):
        if isinstance(row, Fault):
            faults.add(row)
            continue
        code = row.language.code if isinstance(row, Row) else None
        if code and (code not in used or used[code] == data.limit):
            continue
        if code:
            places[code] += 1
        if isinstance(row, Blank) or not (seen(row.source) or seen(row.target)):
            left_out.add_blank(row)
        elif bad := unusable(row):
            faults.add(bad)
        elif known.repeats(data.deduplicate, row.language.code, row.source, row.target):
            left_out.repeated[row.language.code] += 1
        else:
            used[row.language.code] += 1
            yield row, places[row.language.code]
    faults.check()
    missing = [entry.name for entry in languages if not used[entry.code]]
    if missing:
        raise ValueError(f"{place} has no rows for {', '.join(missing)}; take them off data.languages")


def prompt_of(data: DataConfig) -> Callable[[Row], str]:
    """What makes the LLM's text of a row that brings none."""
    return PROMPTS.get(data.prompt or "", READERS[data.reader].prompt)


def checksums(data: DataConfig, folder: Path | None) -> list[str]:
    """SHA-256 of each file that `read` reads, wherever the data folder lies.

    Raises:
        ValueError: a missing file, an unknown language.
    """
    reader, languages = READERS[data.reader], asked_languages(data)
    return [checksum(path) for path in reader.files(reader.place(data, folder), languages)]


def asked_languages(data: DataConfig) -> list[Language]:
    """The languages of a config, once each.

    Raises:
        ValueError: one is unknown, stands twice, or is English beside pairs with English.
    """
    languages = [language(name) for name in data.languages]
    for entry in languages:
        if languages.count(entry) > 1:
            raise ValueError(f"data.languages names {entry.name} more than once")
    if language("English") in languages and data.reader in ("lego", "pairs"):
        raise ValueError(f"data.languages names English, but {data.reader} pairs are translated into English")
    return languages


def seen(text: str) -> bool:
    """Whether a text has anything but spaces, those without width among them."""
    return not _BLANK.fullmatch(text)


def unusable(row: Row) -> Fault | None:
    """What is wrong with a row that has text on one side at least."""
    sides = (("source", row.source, row.path), ("target", row.target, row.targets or row.path))
    for side, text, path in sides:
        if not seen(text):
            return Fault(path, row.line, f"empty {side}", "source and target must have text")
        if "\0" in text:
            return Fault(path, row.line, f"a zero byte in the {side}", "it is no text: copy the file again")
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            return Fault(path, row.line, f"half a character in the {side}", "text is valid Unicode")
    for word, more in (("prompt", row.prompt), ("group", row.group)):
        if more and any("\ud800" <= letter <= "\udfff" for letter in more):
            return Fault(row.path, row.line, f"half a character in the {word}", "text is valid Unicode")
    return None


def _locate(data: DataConfig, folder: Path | None) -> Path:
    return locate(data.path, folder)


def _file(data: DataConfig, folder: Path | None) -> Path:
    """One file, or the pattern of one for each language."""
    parts = Path(data.path).parts
    first = next((at for at, part in enumerate(parts) if LANGUAGE in part), None)
    if first is not None and data.reader == "jsonl":
        return locate(str(Path(*parts[:first])), folder).joinpath(*parts[first:])
    place = locate(data.path, folder)
    if not place.is_file():
        raise ValueError(f"{place} is no file; data.path of reader {data.reader} is one file")
    return place


def _twin_files(find_twins: Callable[[Path, Language], tuple[Path, Path]]) -> Reader:
    """The reader of two files per language, however they are found."""

    def files(place: Path, languages: list[Language]) -> list[Path]:
        return [path for entry in languages for path in find_twins(place, entry)]

    def rows(place: Path, data: DataConfig, languages: list[Language]) -> Iterator[Found]:
        for entry in languages:
            yield from twin_rows(find_twins(place, entry), entry)

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


def _tsv_rows(place: Path, data: DataConfig, languages: list[Language]) -> Iterator[Found]:
    for entry in languages:
        yield from tsv_rows(_tsv(place, entry), entry, data.columns)


def _single(place: Path, languages: list[Language]) -> list[Path]:
    return [path for path, _ in _files_of_objects(place, languages)]


def _files_of_objects(place: Path, languages: list[Language]) -> list[tuple[Path, list[Language]]]:
    """Files of objects, each with the languages that its rows may have."""
    if LANGUAGE not in str(place):
        return [(place, languages)]

    def path_of(entry: Language) -> Path:
        try:
            return named_by(place, LANGUAGE, lambda name: find(name) is entry)
        except ValueError as error:
            raise ValueError(f"{error}, for {entry.name} ({entry.code})") from None

    return [(path_of(entry), [entry]) for entry in languages]


def named_fields(data: DataConfig) -> Fields:
    """What the objects of a `jsonl` or `math` file call the parts of a row."""
    if data.reader == "math":
        return Fields("query", "response", "lang")
    return Fields(*data.columns, prompt="prompt", group="group")


def _object_rows(path: Path, data: DataConfig, languages: list[Language]) -> Iterator[Found]:
    for file, spoken in _files_of_objects(path, languages):
        for line, record in objects(file):
            yield object_row(file, line, record, data, spoken)


def object_row(
    path: Path, line: int, record: dict[str, Any] | Fault | None, data: DataConfig, languages: list[Language]
) -> Found:
    """What an object of a `jsonl` or `math` file is."""
    if isinstance(record, Fault):
        return record
    if record is None:
        return Blank(path, line)
    return named_row(path, line, record, named_fields(data), languages)


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
    "lego": _twin_files(lego_twins),
    "pairs": _twin_files(pair_twins),
    "tsv": Reader(_locate, _tsv_files, _tsv_rows, _translation),
    "jsonl": Reader(_file, _single, _object_rows, _translation),
    "math": Reader(_file, _single, _object_rows, _math),
    "hub": Reader(snapshot, hub_files, hub_rows, _translation),
}
