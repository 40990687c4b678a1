"""One spelling for what answers spell in many ways: digits, signs, spaces, LaTeX, markup. Light."""

from __future__ import annotations

import re
import unicodedata

from layalign.evaluation.reading.numerals import as_digits

MINUSES = "−﹣‐‑"
GROUP = "'"
"""Stands between groups of thousands, whatever stood there."""
BOX, BOX_END = "⟦", "⟧"
r"""Stand for `\boxed{` and its brace."""

_SPACES = "\u00a0\u202f\u2009\u2007\u2008\u2006"
_GROUPED = re.compile(rf"(?<=[0-9])(?:[{_SPACES}'’٬]|\\[,;:! ])(?=[0-9]{{3}}(?![0-9]))")
_SUPERSCRIPTS = re.compile("(?<=10)⁻?[⁰¹²³⁴-⁹]+")
_TIMES_TEN = re.compile(r"(?<=[0-9])\s?[×x*·]\s?10\s?\^\s?([+-]?[0-9]{1,3})(?![0-9])")
_FRACTION = re.compile(
    r"\\[dtc]?frac\s?(?:\{\s?(-?[0-9.,']+)\s?\}\s?\{\s?([0-9.,']+)\s?\}|([0-9])\s?([0-9]))"
)
_WRAPPED = re.compile(r"\\(?:text[a-z]*|math[a-z]+|mbox|boldsymbol|bm|operatorname)\s?\{([^{}]*)\}")
_COMMANDS = {
    **dict.fromkeys(("times", "cdot", "ast"), "×"),
    **dict.fromkeys(("approx", "simeq", "sim"), "≈"),
    **dict.fromkeys(("left", "right", "displaystyle", "limits"), ""),
    **dict.fromkeys(("quad", "qquad"), " "),
    **dict.fromkeys(("circ", "degree"), "°"),
    "div": "/",
    "ldots": "...",
    "dots": "...",
    "implies": "=>",
    "Rightarrow": "=>",
}
_COMMAND = re.compile(rf"\\({'|'.join(_COMMANDS)})(?![a-zA-Z])")
_MARKUP = re.compile(r"\*\*|__|`|\\[()\[\]]")
_SHILLINGS = re.compile(r"(?<=[0-9])\s?/[=-](?![0-9])")


def plain(text: str) -> str:
    """A text with digits 0-9, `-`, `/` and `'` in their places, without markup, accents of Latin and capitals.

    Numbers in native digits, Han or Ethiopic numerals, with thin spaces or LaTeX between thousands, as `½` or
    `\\frac{1}{2}`, become what `reading.numbers` knows. A currency sign before a number vanishes.
    """
    text = re.sub(r"\^\{\s?([^{}]{1,9})\s?\}", r"^\1", text.replace("{,}", ","))
    text = _latex(text) if "\\" in text else text
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", _GROUPED.sub(GROUP, text))
    text = _SUPERSCRIPTS.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    text = "".join(map(_character, folded(text)))
    text = _GROUPED.sub(GROUP, text)
    text = re.sub(r"(?<=[0-9])\s?\*\*\s?(?=[0-9])", "^", text)
    text = _TIMES_TEN.sub(r"e\1", _MARKUP.sub("", text))
    text = re.sub(r"(?<![0-9])\$\s?", "", _SHILLINGS.sub(" ", text))
    text = re.sub(r"(?<![\w)\]%])(?<![0-9] )–(?=[0-9.])", "-", text)
    text = re.sub(r"(?<=[0-9])\s?/\s?(?=[0-9])", "/", text)
    return as_digits(text)


def folded(text: str) -> str:
    """Lower case without the accents of Latin, Greek and Cyrillic letters."""
    apart = re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", apart).casefold()


def _character(char: str) -> str:
    if char < "\u0080":
        return char
    if "\uff01" <= char <= "\uff5e":  # fullwidth
        return chr(ord(char) - 0xFEE0)
    if char in MINUSES:
        return "-"
    if char in _SAME:
        return _SAME[char]
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if kind in ("Zs", "Cf", "Sc"):
        return {"Zs": " ", "Cf": "", "Sc": "$"}[kind]
    spelt = unicodedata.normalize("NFKC", char)
    return spelt.replace("⁄", "/") if "⁄" in spelt else char


_SAME = {
    **dict.fromkeys("÷⁄∕", "/"),
    **dict.fromkeys("٫．", "."),
    **dict.fromkeys("〜～∼", "~"),
    **dict.fromkeys("—―", "—"),
    "，": ",",
    "،": ",",
    "٪": "%",
    "፡": " ",
    "፦": ":",
    "’": "'",
    "٬": GROUP,
}


def _latex(text: str) -> str:
    """LaTeX as what it prints."""
    text = text.replace(r"\$", "$").replace(r"\%", "%").replace(r"\#", "#")
    text = text.replace("\\boxed", "\\fbox").replace("\\fbox ", "\\fbox")
    text = _GROUPED.sub(GROUP, text)
    for _ in range(2):
        text = _WRAPPED.sub(r" \1 ", text)
    text = re.sub(r"(?<=\d)(?=\\[dtc]?frac)", " ", text)
    text = _FRACTION.sub(lambda found: f"{found[1] or found[3]}/{found[2] or found[4]}", text)
    text = _COMMAND.sub(lambda found: _COMMANDS[found[1]], text)
    text = _boxes(text)
    return re.sub(r"\\[,;:! ]", " ", text.replace("{", "").replace("}", ""))


def _boxes(text: str) -> str:
    """Boxes by their two signs; a box that is never closed ends with the text."""
    parts, closing, depth = [], list[int](), 0
    for part in re.split(r"(\\fbox\{|[{}])", text):
        if part == "\\fbox{":
            closing.append(depth)
        if part in ("\\fbox{", "{"):
            depth += 1
        elif part == "}":
            depth -= 1
        if part == "}" and closing and closing[-1] == depth:
            closing.pop()
            part = BOX_END
        parts.append(BOX if part == "\\fbox{" else part)
    return "".join(parts) + BOX_END * len(closing)
