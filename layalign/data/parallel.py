"""Parallel text in two files, of which line n of one is the translation of line n of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from layalign.data.faults import Fault
from layalign.data.files import count_lines, each_line, listing, one_file
from layalign.data.rows import Found, Row
from layalign.languages import Language, find, language

ENGLISH = language("English")
Twins = tuple[Path, Path]
"""The files of source and target."""


def lego_twins(place: Path, entry: Language) -> Twins:
    """Those in the language's own folder, `en-sw/`.

    Raises:
        ValueError: as `pair_twins`, or not exactly one such folder.
    """
    named = [path for path in listing(place) if path.name[:3] == "en-" and find(path.name[3:]) is entry]
    return pair_twins(one_file(named, place, f"one folder must be named en-{entry.code}"), entry)


def pair_twins(folder: Path, entry: Language) -> Twins:
    """Two files of one stem that end in codes of the language and of English: `train.sw` and `train.en`.

    Raises:
        ValueError: not exactly one such pair.
    """
    paths = listing(folder)
    rule = f"one file must end in a code of {entry.name}, e.g. .{entry.code}"
    first = one_file([path for path in paths if find(path.suffix[1:]) is entry], folder, rule)
    rule = f"{first.name} must have one twin that ends in a code of {ENGLISH.name}, e.g. .{ENGLISH.code}"
    same_stem = [path for path in paths if path.stem == first.stem and find(path.suffix[1:]) is ENGLISH]
    return first, one_file(same_stem, folder, rule)


def check_lengths(twins: Twins, counts: tuple[int, int]) -> None:
    """Raises ValueError where two files have other numbers of lines."""
    if counts[0] != counts[1]:
        raise ValueError(
            f"{twins[0]} has {counts[0]} lines, {twins[1]} has {counts[1]}; "
            "line n of one must be the translation of line n of the other"
        )


def twin_rows(twins: Twins, entry: Language) -> Iterator[Found]:
    """The rows of two files.

    Raises:
        ValueError: they have other numbers of lines.
    """
    source, target = twins
    check_lengths(twins, (count_lines(source), count_lines(target)))
    for (number, foreign), (_, english) in zip(each_line(source), each_line(target), strict=True):
        if isinstance(foreign, Fault):
            yield foreign
        elif isinstance(english, Fault):
            yield english
        else:
            yield Row(source, number, entry, _sentence(foreign), _sentence(english), targets=target)


def _sentence(line: str) -> str:
    """A line less the one zero byte that ends a text in C, as in rows 1790 and 7347 of the NLLB pairs en-fr that
    AfriMindMerger published; a stretch of them is no text but a damaged copy, and stays to be refused."""
    return line[:-1] if line.endswith("\0") and not line.endswith("\0\0") else line
