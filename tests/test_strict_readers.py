"""Profiles and recipes are read by two readers, since neither house may import the other: what they refuse is alike.

They differ where their files do: a profile's scalars are texts that the field's type converts (`12:00:00` is a time,
`unknown` is None), a recipe's are YAML's, and one value stands for a list of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
import yaml

from cluster.errors import ClusterError
from cluster.profile import schema
from layalign import strict


@dataclass(frozen=True)
class Inner:
    """A section."""

    length: float = 1.0
    kind: Literal["short", "long"] = "short"


@dataclass(frozen=True)
class Outer:
    """A file."""

    number: int
    inner: Inner = Inner()
    names: tuple[str, ...] = ()
    asked: bool = False


def profile(text: str) -> Any:
    return schema.build(Outer, schema.read_yaml(text, "the file"), "")


def recipe(text: str) -> Any:
    return strict.build(Outer, yaml.load(text, Loader=strict.loader()), "")


def refusal(read: Any, text: str) -> str:
    with pytest.raises((ClusterError, ValueError, yaml.YAMLError)) as caught:
        read(text)
    return " ".join(str(caught.value).split())


@pytest.mark.parametrize(
    "text",
    [
        "number: 3\ninner: {length: 1e-4, kind: long}\nnames: [a, b]\nasked: yes\n",
        "number: 3\ninner: {length: 2}\nasked: false\n",
        "number: 3\n",
    ],
)
def test_both_read_the_same_file_alike(text):
    assert profile(text) == recipe(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("number: 3\nnumber: 4\n", "key 'number' stands twice"),
        ("number: 3\ninner: {length: 1, length: 2}\n", "key 'length' stands twice"),
        ("number: 3\n? number\n: 4\n", "key 'number' stands twice"),
        ("numbr: 3\n", "unknown key numbr; did you mean number?"),
        ("NUMBER: 3\n", "unknown key NUMBER; did you mean number?"),
        ("number: 3\ninner: {lenght: 1}\n", "unknown key inner.lenght; did you mean inner.length?"),
        ("number: 3\nzzz: 1\n", "unknown key zzz; valid keys: number, inner, names, asked"),
        ("asked: yes\n", "number is missing"),
        ("number: 3\ninner: {kind: longer}\n", "inner.kind is 'longer': it must be one of short, long"),
        ("number: 3\ninner: 7\n", "inner is "),
        ("number: 3.0\n", "it must be a whole number"),
        ("number: yes\n", "it must be a whole number"),
        ("number: 3\nasked: 1\n", "asked is "),
        ("number: 3\ninner: {length: .nan}\n", "it must be a number"),
        ("number: 3\ninner: {length: nan}\n", "it must be a number"),
        ("number: 3\ninner: {length: .inf}\n", "it must be a number"),
        ("number: 3\ninner: {length: 1e999}\n", "it must be a number"),
        ("number: 3\nnames: [a, [b]]\n", "names[1] is ['b']"),
        ("number: 3\nnames: {a: b}\n", "names is {'a': 'b'}"),
    ],
)
def test_both_refuse_the_same_with_the_same_words(text, told):
    assert told in refusal(profile, text)
    assert told in refusal(recipe, text)


WORDS = ("model.gate", "evaluation.limit", "Narval", "fir", "seeds", "layer_wise", "rorqual")


@pytest.mark.parametrize("word", ["narvl", "FIR", "limit", "model.gates", "seed", "zzz", "layerwise", ""])
def test_both_have_the_same_nearest_word(word):
    assert schema.nearest(word, WORDS) == strict.nearest(word, WORDS)
