"""Text as it lies on disk: found, counted, read line by line, with errors that name file, line and rule."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from layalign.data.faults import Fault

_SPACE = re.compile(r"\s*")
_ARRAY = re.compile(r'\s*(\{\s*"data"\s*:\s*)?\[')
_OF_RUST = re.compile(r"\(os error ([0-9]+)\)")
_HEAD = 4096
_UTF8 = "data files are UTF-8"
_JSON = "a row is one JSON object"


def locate(path: str, folder: Path | None) -> Path:
    """A file or folder of data, absolute or below the data folder.

    Raises:
        ValueError: it does not exist, or it is relative and there is no data folder.
    """
    place = Path(path).expanduser()
    if not place.is_absolute():
        if folder is None:
            raise ValueError(
                f"data.path {path!r} is relative, but there is no data folder: "
                "give --data FOLDER or set LAYALIGN_DATA"
            )
        place = folder / place
    if not place.exists():
        raise ValueError(f"{place} does not exist; data.path is below --data or $LAYALIGN_DATA, or absolute")
    return place


def named_by(place: Path, word: str, fits: Callable[[str], bool]) -> Path:
    """The one path that a pattern stands for.

    Args:
        place: a path in which `word` stands for something, in one part or more.
        word: that is replaced.
        fits: whether it may stand for a text.

    Raises:
        ValueError: there is no such path, or more than one.
    """
    found = [Path(place.anchor)]
    for part in place.parts[1:]:
        if word in part:
            pattern = re.compile(re.escape(part).replace(re.escape(word), "(.+)", 1))
            inside = [path for folder in found if folder.is_dir() for path in listing(folder)]
            found = [path for path in inside if (told := pattern.fullmatch(path.name)) and fits(told[1])]
        else:
            found = [folder / part for folder in found if (folder / part).exists()]
    return one_file(found, place, "one path must be named so")


def one_file(candidates: list[Path], folder: Path, rule: str) -> Path:
    """The only candidate.

    Raises:
        ValueError: there is none or more than one.
    """
    if len(candidates) == 1:
        return candidates[0]
    found = ", ".join(sorted(path.name for path in candidates)) or "none"
    raise ValueError(f"{folder}: {rule}; found {found}")


def listing(folder: Path) -> list[Path]:
    """What a folder holds, by name, without what is hidden: systems and editors leave `._train.sw` and the like.

    Raises:
        ValueError: it is no folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; this reader wants the one that holds a file per language")
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def count_lines(path: Path) -> int:
    """Lines of a file, an unfinished last one included."""
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            count, last = count + block.count(b"\n"), block
    return count + (not last.endswith(b"\n"))


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses inside is an error that names a file, whichever library wrote.

    What goes wrong while writing names none, and tokenizers tell it as an `Exception` with the words of Rust.

    Args:
        path: what is written, or the folder of it; named where the error names nothing.

    Raises:
        OSError: instead of both.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    except Exception as error:
        if not (told := _OF_RUST.search(str(error))):
            raise
        number = int(told[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def to_disk(path: Path) -> None:
    """Put a file's content, or the names in a folder, on the disk: a rename is only safe after that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with writing(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def each_line(path: Path, head: int = 0) -> Iterator[tuple[int, str | Fault]]:
    """Number (from 1) and text of each line, without its end; a fault where it is not UTF-8.

    Only a line feed ends a line. A file that ends in `.gz` is unpacked. `head` is how many bytes of it are read, 0
    all: the last line may be a part of one.
    """
    with _opened(path, head) as file:
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield number, Fault(path, number, f"byte {error.start + 1} is not UTF-8", _UTF8)
                continue
            if number == 1 and "\r" in text and not raw.endswith(b"\n"):
                yield (
                    number,
                    Fault(path, number, "no line feed but carriage returns", "a line feed ends a line"),
                )
            else:
                yield number, text


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """As `each_line`.

    Raises:
        ValueError: a line is not UTF-8.
    """
    for number, line in each_line(path):
        if isinstance(line, Fault):
            raise ValueError(str(line))
        yield number, line


def objects(path: Path, head: int = 0) -> Iterator[tuple[int, dict[str, Any] | Fault | None]]:
    """Line and content of each JSON object of a list, of `{"data": list}`, or of a file with one per line.

    What is no UTF-8, no JSON or no object is a fault in its place; a blank line is None. A list ends with the
    first item that is no JSON: where the next one begins is not known. `head` is as in `each_line`.
    """
    yield from _items(path, head) if is_list(path) else _json_lines(path, head)


def is_list(path: Path) -> bool:
    """Whether a JSON file is a list, or `{"data": list}`."""
    with _opened(path, _HEAD) as file:
        return bool(_ARRAY.match(file.read().decode("utf-8-sig", errors="replace")))


class _Twice(dict[str, Any]):
    """An object in which a key stands twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(made)


_decoder = json.JSONDecoder(object_pairs_hook=_once)


def _object(path: Path, line: int, value: Any) -> dict[str, Any] | Fault:
    if isinstance(value, _Twice):
        return Fault(path, line, "a key that stands twice", "an object has each key once")
    return value if isinstance(value, dict) else Fault(path, line, f"found {type(value).__name__}", _JSON)


@contextlib.contextmanager
def _opened(path: Path, head: int = 0) -> Iterator[BinaryIO]:
    unpacked = gzip.open if path.suffix == ".gz" else open
    try:
        with cast(BinaryIO, unpacked(path, "rb")) as file:
            yield BytesIO(file.read(head)) if head else file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}; copy it again") from None


def _json_lines(path: Path, head: int) -> Iterator[tuple[int, dict[str, Any] | Fault | None]]:
    for number, line in each_line(path, head):
        if isinstance(line, Fault):
            yield number, line
        elif not line.strip():
            yield number, None
        else:
            try:
                yield number, _object(path, number, _decoder.decode(line))
            except json.JSONDecodeError as error:
                what = f"invalid JSON, {error.msg} at column {error.colno}"
                yield number, Fault(path, number, what, _JSON)
            except (ValueError, RecursionError) as error:
                yield number, Fault(path, number, f"invalid JSON, {error}", _JSON)


def _items(path: Path, head: int) -> Iterator[tuple[int, dict[str, Any] | Fault]]:
    """Items of a list one by one: the text is in memory, never all of its objects."""
    with _opened(path, head) as file:
        raw = file.read()
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(raw, final=not head)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        yield line, Fault(path, line, "text that is not UTF-8", _UTF8)
        return
    opening = _ARRAY.match(text)
    assert opening is not None
    line, counted = 1, 0
    position = _skip(text, opening.end())
    while text[position : position + 1] != "]":
        line += text.count("\n", counted, position)
        counted = position
        try:
            row, position = _decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            yield error.lineno, Fault(path, error.lineno, f"invalid JSON, {error.msg}", _JSON)
            return
        except (ValueError, RecursionError) as error:
            yield line, Fault(path, line, f"invalid JSON, {error}", _JSON)
            return
        yield line, _object(path, line, row)
        position = _skip(text, position)
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)
        elif text[position : position + 1] != "]":
            rule = "rows of a list are separated by commas"
            yield line, Fault(path, line, "invalid JSON after this row", rule)
            return
    after = text[_skip(text, position + 1) :]
    if after and not (opening[1] and after[0] in "},"):
        line += text.count("\n", counted, position)
        yield line, Fault(path, line, f"text after the list: {after[:20]!r}", "a file holds one list")


def _skip(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    assert space is not None
    return space.end()
