"""Languages, and what data files call them: ours (`tasks/languages.yaml`), and those that a user's page declares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from layalign.strict import build, plain, read_mapping

Group = Literal["Lrl", "Hrl"]
FILE = Path(__file__).parent / "tasks" / "languages.yaml"
DECLARE = "a language that is missing is declared in a page of yours: docs/YOUR_OWN.md#language"
"""What to do about one that is not known."""


@dataclass(frozen=True)
class Language:
    """One language. `None` where a resource lacks it."""

    name: str
    """English name, as prompts and the official data spell it."""
    code: str
    """The one code that results and cells use: ISO 639-1 where it exists."""
    nllb: str | None = None
    """Token of NLLB's tokenizer, `swh_Latn`."""
    flores: str | None = None
    """Name of the FLORES-101 file, `swh`."""
    group: Group | None = None
    """Low- or high-resource in the paper's math benchmarks."""
    aliases: tuple[str, ...] = ()
    """Further names and codes."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that `language` understands, in lower case."""
        codes = [self.name, self.code, self.nllb, self.nllb and self.nllb[:3], self.flores, *self.aliases]
        return tuple(dict.fromkeys(code.lower() for code in codes if code))


def languages_of(values: Mapping[str, Any], where: str) -> tuple[Language, ...]:
    """Languages of a page, by their codes: `so: {name: Somali, nllb: som_Latn}`.

    Raises:
        ValueError: an unknown key, a wrong type, or a code that no folder could be called by.
    """
    found = []
    for code, told in values.items():
        if not (isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum()):
            raise ValueError(f'{where}.{code} is no code of a language: it must be letters such as "so"')
        if isinstance(told, Mapping) and "code" in told:
            raise ValueError(f"unknown key {where}.{code}.code; the code is {code} already")
        inner = {**told, "code": code} if isinstance(told, Mapping) else told
        found.append(build(Language, inner, f"{where}.{code}."))
    return tuple(found)


LANGUAGES: tuple[Language, ...] = languages_of(read_mapping(FILE, "the page")["languages"], "languages")
"""Ours, in the order of the page."""
_BY_NAME = {name: entry for entry in LANGUAGES for name in entry.names}


def declare(languages: Iterable[Language]) -> None:
    """Make further languages known to this process; one that was declared before is as it was declared last.

    Raises:
        ValueError: another language has that code or one of the names.
    """
    for entry in languages:
        others = {_BY_NAME[name] for name in entry.names if name in _BY_NAME} - {entry}
        other = next((one for one in others if one.code != entry.code or one in LANGUAGES), None)
        if other:
            raise ValueError(
                f"language {entry.code} is declared as {entry.name} ({', '.join(entry.names)}), but {other.name} "
                f"({', '.join(other.names)}) is known already: use {other.code}, or take the shared name away"
            )
        for one in others:
            for name in one.names:
                _BY_NAME.pop(name, None)
        _BY_NAME.update(dict.fromkeys(entry.names, entry))


def declarations(names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
    """How a page declares those of the named languages that are not ours; None where all are."""
    spoken = [entry for name in names if (entry := find(name)) and entry not in LANGUAGES]
    told = {
        entry.code: {
            one.name: plain(value)
            for one in fields(entry)
            if one.name != "code" and (value := getattr(entry, one.name)) not in (None, ())
        }
        for entry in spoken
    }
    return told or None


def known() -> tuple[Language, ...]:
    """All languages: ours, then those that were declared."""
    return tuple(dict.fromkeys(_BY_NAME.values()))


def find(name: str) -> Language | None:
    """The language of a name or code (`Swahili`, `sw`, `swh`, `swh_Latn`), or None."""
    return _BY_NAME.get(name.lower())


def language(name: str) -> Language:
    """The language of a name or code.

    Raises:
        ValueError: no language has that name; the nearest ones are named.
    """
    found = find(name)
    if found is None:
        raise ValueError(f"unknown language {name!r}; {unknown_hint(name)}")
    return found


def unknown_hint(name: str) -> str:
    """What somebody may have meant by a name that no language has, and how it becomes one."""
    near = difflib.get_close_matches(name.lower(), _BY_NAME, n=3, cutoff=0.75)
    names = dict.fromkeys(f"{_BY_NAME[key].name} ({_BY_NAME[key].code})" for key in near)
    meant = f"did you mean {' or '.join(names)}? " if names else ""
    return f"{meant}{DECLARE}"
