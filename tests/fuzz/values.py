"""What may stand in a file or a line: any JSON, texts with all that is awkward, bytes that something has damaged."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

MANY = settings.default.max_examples if settings.default else 20
FEW = settings(max_examples=max(5, MANY // 10))
"""Of what starts a process."""
AWKWARD = st.sampled_from(
    [
        *(
            "",
            " ",
            "\t",
            "\n",
            "\r",
            "\0",
            "'",
            '"',
            "\\",
            "$(id)",
            "`id`",
            ";",
            "&",
            "*",
            "~",
            "#",
            "%",
            "{",
            "[1-",
        ),
        *(
            "\x85",
            "\u2028",
            "\u202e",
            "\ufeff",
            "é",
            "e\u0301",
            "٣",
            "नमस्ते",
            "፼",
            "\U0001f600",
            "-",
            "--",
            "=",
            ":",
            ",",
        ),
        *(
            "nan",
            "inf",
            "-0",
            "1e999",
            "null",
            "true",
            "..",
            "/",
            "../..",
            "9" * 30,
            "N/A",
            "(null)",
            "Unknown",
        ),
    ]
)
TEXTS = st.text(max_size=12) | AWKWARD | st.lists(AWKWARD | st.text(max_size=4), max_size=5).map("".join)
NUMBERS = st.integers() | st.integers(10**17, 10**20) | st.just(10**400) | st.just(-(10**400)) | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS


def deep(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
) | st.integers(1, 200).map(deep)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes after an accident."""
    at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 64))
    other = draw(st.binary(max_size=16) | st.sampled_from([b"\n", b"{", b"}", b'"', b"9" * 40, b"\0" * 8]))
    flipped = bytearray(data)
    for bit in (
        draw(st.lists(st.integers(0, max(0, 8 * len(data) - 1)), min_size=1, max_size=3)) if data else ()
    ):
        flipped[bit // 8] ^= 1 << bit % 8
    kinds = {
        "flip": bytes(flipped),
        "cut": data[:at],
        "insert": data[:at] + other + data[at:],
        "lose": data[:at] + data[at + length :],
        "replace": data[:at] + other + data[at + len(other) :],
        "zeros": data[:at] + bytes(length) + data[at + length :],
        "twice": data[:at] + data[at : at + length] + data[at:],
        "other": other,
        "deep": b"[" * 100_000,
        "json": json.dumps(draw(JSON)).encode(),
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))]


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """JSON with another value, a key less or a key more in some place."""
    made = copy.deepcopy(value)
    places = list(_places(made))
    if not places:
        return draw(JSON)
    holder, key = draw(st.sampled_from(places))
    what = draw(st.sampled_from(["set", "set", "set", "lose", "add"]))
    if what == "set" or isinstance(holder, list):
        holder[key] = draw(JSON)
    elif what == "lose":
        del holder[key]
    else:
        holder[draw(TEXTS)] = draw(JSON)
    return made


def _places(value: Any) -> Any:
    pairs = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _places(inner)
