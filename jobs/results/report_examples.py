"""Example answers for a report: the same few questions of each language, as every method has answered them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.results.collect import Sheet
from layalign.languages import language

LONGEST = 320
"""Characters of an answer that are shown: its beginning and its end."""
KINDS = {"mixed": "methods disagree", "wrong": "all wrong", "right": "all right"}
SHARES = {"mixed": 2, "wrong": 1, "right": 1}
"""Questions of each kind and language, if there are such."""

Answer = tuple[str, Mapping[str, Any]]
"""A method and its record."""


def examples(sheet: Sheet, rule: str) -> str:
    """Questions of every language with what each method answered first of all its seeds; empty without answers."""
    chosen = [found for code in sheet.columns for found in _of_language(sheet, code, rule)]
    if not chosen:
        return ""
    names = {code: language(code).name for code in sheet.columns}
    options = "".join(f'<option value="{code}">{html.escape(name)}</option>' for code, name in names.items())
    kinds = "".join(f'<option value="{kind}">{text}</option>' for kind, text in KINDS.items())
    texts = {id_: text for m in sheet.methods for a in m.answered for id_, text in a.texts.items()}
    return (
        '<div class="examples"><div class="pick">'
        f'<label>Language<select><option value="">all</option>{options}</select></label>'
        f'<label>Answers<select><option value="">all</option>{kinds}</select></label></div>'
        f"{''.join(_article(kind, answers, rule, texts) for kind, answers in chosen)}</div>"
    )


def _of_language(sheet: Sheet, code: str, rule: str) -> list[tuple[str, list[Answer]]]:
    """Some questions of a language, in the order of the benchmark; first those that most methods have answered."""
    by_id: dict[str, list[Answer]] = {}
    for method in sheet.methods:
        for id_, record in method.answered[0].samples.items():
            if record["language"] == code:
                by_id.setdefault(id_, []).append((method.label, record))
    most = max(map(len, by_id.values()), default=0)
    chosen: list[tuple[str, list[Answer]]] = []
    for id_ in sorted(by_id):
        kind = _kind([bool(record.get(f"{rule}_correct")) for _, record in by_id[id_]])
        if len(by_id[id_]) == most and [k for k, _ in chosen].count(kind) < SHARES[kind]:
            chosen.append((kind, by_id[id_]))
    return chosen


def _kind(right: Sequence[bool]) -> str:
    return "right" if all(right) else "mixed" if any(right) else "wrong"


def _article(kind: str, answers: Sequence[Answer], rule: str, texts: Mapping[str, str]) -> str:
    """One question with all answers."""
    record = answers[0][1]
    code = record["language"]
    asked = html.escape(texts.get(record["id"], ""))
    question = f'<p class="asked" dir="auto" lang="{html.escape(code)}">{asked}</p>' if asked else ""
    rows = "".join(_row(label, told, rule) for label, told in answers)
    return (
        f'<article data-language="{html.escape(code)}" data-kind="{kind}">'
        f"<p><b>{html.escape(record['id'])}</b> <span class=soft>{html.escape(language(code).name)}, "
        f"right answer</span> <b>{_told(record['gold'])}</b></p>{question}"
        '<table class="text"><thead><tr><th>Method</th><th></th><th>Number read</th><th>Answer</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></article>"
    )


def _row(label: str, record: Mapping[str, Any], rule: str) -> str:
    right = bool(record.get(f"{rule}_correct"))
    mark = '<td class="yes">✓ right</td>' if right else '<td class="no">✗ wrong</td>'
    read = _told(record.get(rule))
    return (
        f"<tr><td>{html.escape(label)}</td>{mark}<td>{read}</td>"
        f'<td dir="auto" lang="{html.escape(record["language"])}">{html.escape(_short(record["output"]))}</td></tr>'
    )


def _told(answer: float | str | None) -> str:
    """What was read, or is right: a number, an option or a text."""
    return (
        "none"
        if answer is None
        else html.escape(_short(answer))
        if isinstance(answer, str)
        else f"{answer:g}"
    )


def _short(text: str) -> str:
    """A text on one line, without its middle if it is long."""
    text = " ↵ ".join(text.splitlines())
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]} […] {text[-LONGEST // 2 :]}"
