"""Whether a data set can be read, found out on a login node before anything is queued. Light: no torch, no `datasets`.

A small data set is read as a training would. Of a large one only what is quick is looked at: parallel files are
counted and searched to their ends for lines that are blank on one side, of JSON the first rows and the end are read.
A stretch that is not on disk (zeros, where a file is sparse) is left to the training.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from os import SEEK_END
from pathlib import Path

from layalign.config import DataConfig
from layalign.data.faults import Fault, Faults
from layalign.data.files import count_lines, is_list, objects
from layalign.data.left_out import LeftOut
from layalign.data.parallel import check_lengths
from layalign.data.rows import LANGUAGE, Row
from layalign.data.sources import READERS, asked_languages, object_row, seen, unusable, used_rows

WHOLE = 2 << 20
"""Bytes of a data set that is read as in a training."""
BLOCK = 1 << 18
"""Bytes that are read at a time: they stay in the processor's cache."""
HEAD = 1 << 16
"""Bytes of a large file of objects that are read at its beginning."""
END = 1 << 14
"""Bytes that are read at its end."""
_ODD = re.compile(rb"\n[ \r]*(?=[\n\t])|\t[ \r]*(?=[\n\t])")
"""Where a line of a TSV is blank, or a cell."""


@dataclass(frozen=True)
class DataCheck:
    """What was found."""

    obstacles: tuple[str, ...] = ()
    """Why a training would be refused."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows that would be used, by the code of their language, where they are counted."""
    passed_over: int = 0
    """Rows that are blank on both sides."""
    repeated: int = 0
    """Rows that `data.deduplicate` leaves out, where they are counted."""

    def __str__(self) -> str:
        blank = f", and {self.passed_over:,} blank on both sides" if self.passed_over else ""
        again = f", and {self.repeated:,} repeated and left out" if self.repeated else ""
        return ", ".join(f"{code} {count:,}" for code, count in self.rows.items()) + blank + again


def check_data(data: DataConfig, folder: Path | None) -> DataCheck:
    """Look at the files that a training would read; once, as long as they stay as they are.

    Args:
        data: of the recipe. What comes from the hub is not looked into: which of its files are meant, `datasets` knows.
        folder: the data folder.
    """
    try:
        codes = [entry.code for entry in asked_languages(data)]
    except ValueError as error:
        return DataCheck((str(error),))
    if data.reader == "hub":
        return DataCheck()
    apart = data.reader in ("lego", "pairs", "tsv") or LANGUAGE in data.path
    parts = [(code,) for code in codes] if apart else [tuple(codes)]
    found = [_part(dataclasses.replace(data, languages=part), folder, WHOLE // len(parts)) for part in parts]
    return DataCheck(
        tuple(dict.fromkeys(obstacle for check in found for obstacle in check.obstacles)),
        {code: count for check in found for code, count in check.rows.items()},
        sum(check.passed_over for check in found),
        sum(check.repeated for check in found),
    )


def _part(data: DataConfig, folder: Path | None, whole: int) -> DataCheck:
    """One language that has files of its own, or a file of several."""
    reader = READERS[data.reader]
    try:
        files = tuple(reader.files(reader.place(data, folder), asked_languages(data)))
        facts = [path.stat() for path in files]
        return _looked(data, folder, files, tuple((fact.st_size, fact.st_mtime_ns) for fact in facts), whole)
    except ValueError as error:
        return DataCheck((str(error),))
    except OSError as error:
        return DataCheck((f"{error.filename} cannot be read: {error.strerror}",))


@lru_cache(maxsize=256)
def _looked(
    data: DataConfig, folder: Path | None, files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...], whole: int
) -> DataCheck:  # fmt: skip
    """What is found in files of these sizes and times.

    Raises:
        ValueError: the obstacle.
    """
    if sum(size for size, _ in stamps) <= whole:
        return _read(data, folder)
    if data.reader == "tsv":
        return _table(data, folder, files[0])
    if len(files) == 2:
        return _twins(data, (files[0], files[1]))
    return _objects(data, files[0])


def _read(data: DataConfig, folder: Path | None) -> DataCheck:
    left_out = LeftOut()
    rows = Counter(row.language.code for row, _ in used_rows(data, folder, left_out))
    return DataCheck((), rows, left_out.blank.total(), left_out.repeated.total())


def _twins(data: DataConfig, files: tuple[Path, Path]) -> DataCheck:
    (count, no_source), (other, no_target) = (_scan(path) for path in files)
    check_lengths(files, (count, other))
    blank = no_source & no_target
    last = count if data.limit is None or data.deduplicate != "none" else min(count, data.limit + len(blank))
    faults = Faults()
    for line in sorted(no_source ^ no_target):
        if line <= last:
            side, path = ("source", files[0]) if line in no_source else ("target", files[1])
            faults.add(Fault(path, line, f"empty {side}", "source and target must have text"))
    faults.check()
    return _counted(data, files[0], count - len(blank), len(blank))


def _scan(path: Path) -> tuple[int, set[int]]:
    """Lines of a file, and the numbers of those that are blank: no line becomes an object that lasts."""
    with path.open("rb", buffering=BLOCK) as file:
        blank = bytes(map(bytes.isspace, file))
    return len(blank), {found.start() + 1 for found in re.finditer(b"\1", blank)}


def _table(data: DataConfig, folder: Path | None, path: Path) -> DataCheck:
    """Where each line has as many tabs and no cell is blank, the first row is read, else all are."""
    raw, count = path.read_bytes(), count_lines(path)
    if raw.count(b"\t") % count or raw.count(b"\t") < count or _ODD.search(b"\n" + raw + b"\n"):
        return _read(data, folder)
    next(used_rows(dataclasses.replace(data, limit=1), folder, LeftOut()))
    return _counted(data, path, count, 0)


def _counted(data: DataConfig, path: Path, count: int, blank: int) -> DataCheck:
    """The rows of one language."""
    if not count:
        name = asked_languages(data)[0].name
        raise ValueError(f"{path} has no rows for {name}; take them off data.languages")
    if data.deduplicate != "none":  # how many rows are left, nobody knows who has not read them
        return DataCheck((), {}, blank)
    used = count if data.limit is None else min(count, data.limit)
    return DataCheck((), {data.languages[0]: used}, blank)


def _objects(data: DataConfig, path: Path) -> DataCheck:
    faults, languages = Faults(), asked_languages(data)
    for line, record in [*objects(path, HEAD)][:-1]:  # the last one may be cut
        row = object_row(path, line, record, data, languages)
        if isinstance(row, Fault):
            faults.add(row)
        elif isinstance(row, Row) and row.language in languages and (seen(row.source) or seen(row.target)):
            bad = unusable(row)
            if bad:
                faults.add(bad)
    faults.check()
    _check_end(path)
    return DataCheck()


def _check_end(path: Path) -> None:
    """Raises ValueError where a file of objects breaks off."""
    with path.open("rb") as file:
        file.seek(-END, SEEK_END)
        end = file.read().rstrip()
    _, begins, last = end.rpartition(b"\n")
    if is_list(path):
        whole = end[-1:] in (b"]", b"}")
    else:
        whole = not begins or _is_object(last)
    if end and not whole and not end.endswith(b"\0"):
        raise ValueError(f"{path} breaks off: its last row is no whole JSON object; copy it again")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
