"""Files of a folder, by the names that they have in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Below:
    """The path of a file in a folder, made when it is first asked for: a board looks at thousands of folders."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    def __get__(self, folder: Any, owner: type) -> Path:
        made: Path = folder.path / self.name
        folder.__dict__[self.attribute] = made
        return made
