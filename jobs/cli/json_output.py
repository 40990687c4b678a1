"""What a command says as one JSON object: a document of `jobs.cli.documents`, as plain data."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = 1
"""Of all documents: a key is added without a new number, never renamed or taken away."""


def print_json(document: Any) -> None:
    """Print a document."""
    print(json.dumps({"schema": SCHEMA, **_plain(document)}, ensure_ascii=False, indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    """Dataclasses and mappings as objects, sequences as lists, paths as text; what is no number is null."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
