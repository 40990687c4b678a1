"""The pages name files and functions that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cluster.run.state import Cause, State

ROOT = Path(__file__).parents[1]
PAGES = ("docs/ARCHITECTURE.md", "docs/GLOSSARY.md", "CONTRIBUTING.md")


def names_in(page: str) -> list[tuple[str, str]]:
    """Files, each with the name that stands behind it, if one does: `jobs/grid/slot.py: Slot.candidates`."""
    text = re.sub(r"\s+", " ", (ROOT / page).read_text())
    return re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|yaml|txt|sh|md))(?:: (\w[\w.]*))?`", text)


def defined(path: Path) -> set[str]:
    """Functions, classes, their methods and fields, and constants of a file."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        found |= names_of(node, "")
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                found |= names_of(inner, f"{node.name}.")
    return found


def names_of(node: ast.stmt, before: str) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {before + node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {before + target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page):
    named = names_in(page)
    assert len(named) > 9
    for path, name in named:
        assert (ROOT / path).exists(), f"{page}: there is no {path}"
        assert not name or name in defined(ROOT / path), f"{page}: {path} has no {name}"


def test_the_walks_are_a_page_each():
    walks = (ROOT / "docs/ARCHITECTURE.md").read_text().split("\n## ")[1:]
    assert [len(walk.splitlines()) < 60 for walk in walks if not walk.startswith("Map")] == [True] * 3


@pytest.mark.parametrize(("title", "words"), [("States", State), ("Causes", Cause)])
def test_the_glossary_has_every_word_of_a_state_and_of_a_cause(title, words):
    section = (ROOT / "docs/GLOSSARY.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\| (.+?) \| .+ \|$", section, re.MULTILINE)
    assert told[1:] == [word.value for word in words]
