"""Text of others for a terminal: what models and jobs have written moves no cursor, clears no screen, rings no bell."""

from __future__ import annotations

import re

ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC and the like: titles, links
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""Control sequences of ECMA-48, and single control characters but for tab and the end of a line."""


def without_escapes(text: str) -> str:
    """The same text without what a terminal would obey."""
    return ESCAPES.sub("", text)
