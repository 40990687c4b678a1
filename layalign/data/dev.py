"""The dev split: which examples ask the same question, so that none is learned from and asked.

Rows belong together that have the same source, the same group of the file, or the same target: the translations of
a sentence into several languages have one target, and so have those of a problem. A target that many questions share
is an answer (a label, a letter, a number) and says nothing of the kind; then rows belong together that stand in the
same place in their languages, where those are parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from layalign.data.batching import groups, split_dev

if TYPE_CHECKING:
    from datasets import Dataset

SHARED = 3
"""Questions that a target has on average, from which on the targets of a data set are answers; of few targets 2."""
PARALLEL = 0.95
"""Share of a language's rows whose answer is that of their place, from which on it is parallel to the others."""
USUAL = 0.9
"""Share of the groups whose size is usual."""
FEW = 20
"""Answers that are few: they are told one by one."""


Rule = Literal["question", "target"]


@dataclass(frozen=True)
class Split:
    """Rows of a data set, and how they came to be chosen."""

    train: np.ndarray
    """Row numbers `[n]`, ascending."""
    dev: np.ndarray
    """Row numbers, possibly none."""
    told: dict[str, Any]
    """Plain data: `rule`, `same` (what the rows of a group share), `groups` and `dev_groups`, rows of `train` and `dev`
    by language, and, where few answers are shared by many questions, of `answers` too. Empty without a dev set."""

    def line(self) -> str:
        """What a user should know, in a line; empty without a dev set."""
        if not self.told:
            return ""
        told = self.told
        answers = "".join(
            f"; {text!r} {dev} (training keeps {train})"
            for text, (train, dev) in told.get("answers", {}).items()
        )
        return (
            f"dev: {len(self.dev)} of {len(self.dev) + len(self.train)} examples, {told['dev_groups']} of "
            f"{told['groups']} groups with the same {told['same']}: "
            + ", ".join(f"{code} {count}" for code, count in told["dev"].items())
            + answers
        )


def split(
    dataset: Dataset, dev: int, seed: int, answer_text: Callable[[int], str], rule: Rule = "question"
) -> Split:
    """Set examples aside, in whole groups.

    Args:
        dataset: as `tokenise.prepare` gives it.
        dev: examples at least; the last group may bring some more.
        seed: another seed chooses other groups.
        answer_text: the target of a row as text, for what is told.
        rule: `question`, or `target` as it was before: rows of one target (or group of the file) and nothing else.

    Raises:
        ValueError: there are not so many, or none would be left.
    """
    if dev == 0:
        return Split(np.arange(len(dataset)), np.arange(0), {})
    rows = _Rows.of(dataset)
    shared = _shared(rows)
    if rule == "target":
        names, same = rows.group_names, "target"
        train, held = split_dev(names, dev, seed)
    else:
        names, same = _groups(rows, shared)
        kept = np.where(shared, rows.answer, -1) if shared.any() else None
        train, held = split_dev(names, dev, seed, kept, _largest(names, rows, dev))
    told = {"rule": rule, "same": same, **_told(rows, names, train, held)}
    if shared.any() and len(set(rows.answer[shared])) <= FEW:
        told["answers"] = _told_of_answers(rows.answer, shared, held, answer_text)
    return Split(train, held, told)


class _Rows(NamedTuple):
    """Columns of a data set `[n]`; names are hashes, the others count them from 0."""

    group_names: np.ndarray
    question_names: np.ndarray
    group: np.ndarray
    question: np.ndarray
    answer: np.ndarray
    language: np.ndarray
    languages: list[str]
    place: np.ndarray
    explicit: np.ndarray
    """Whether the file says the group."""

    @classmethod
    def of(cls, dataset: Dataset) -> _Rows:
        names = ["group", "question", "answer", "language", "place"]
        table = dataset.select_columns(names).with_format("arrow")[:]
        coded = {name: table[name].combine_chunks().dictionary_encode() for name in names}
        codes = {name: column.indices.to_numpy() for name, column in coded.items()}
        texts = {name: np.asarray(column.dictionary.to_pylist()) for name, column in coded.items()}
        group_names, answer_names = groups(dataset), texts["answer"][codes["answer"]]
        return cls(
            group_names=group_names,
            question_names=texts["question"][codes["question"]],
            group=codes["group"],
            question=codes["question"],
            answer=codes["answer"],
            language=codes["language"],
            languages=texts["language"].tolist(),
            place=table["place"].to_numpy(),
            explicit=group_names != answer_names,
        )


def _shared(rows: _Rows) -> np.ndarray:
    """Whether a row's target is an answer that many questions share, `[n]`."""
    answers = int(rows.answer.max()) + 1
    questions = int(rows.question.max()) + 1
    spoken = np.unique(rows.language.astype(np.int64) * questions + rows.question)
    asked = np.bincount(spoken // questions)  # questions of each language
    beside = rows.language.astype(np.int64) * answers + rows.answer
    every = (
        np.unique(beside * questions + rows.question) // questions
    )  # a target of a language, once per question
    targets, counts = np.unique(every, return_counts=True)
    if len(spoken) >= (SHARED if answers > FEW else 2) * len(targets):
        return np.ones(len(rows.answer), dtype=bool)
    many = counts > np.maximum(SHARED - 1, np.sqrt(asked[targets // answers]))
    return np.isin(rows.answer, targets[many] % answers)


def _groups(rows: _Rows, shared: np.ndarray) -> tuple[np.ndarray, str]:
    """Name of each row's group `[n]`, and what its rows share.

    The name is the least of the old names, of groups or targets, in it: where no source joins two of them, all
    groups are called as before, and the same ones are chosen.
    """
    by_group = rows.explicit | ~shared
    places = _parallel(rows, ~by_group)
    member = _joined([rows.question, np.where(by_group, rows.group, -1), places])
    own = np.where(by_group, rows.group_names, rows.question_names)
    order = np.lexsort((own, member))
    first = np.concatenate([[True], np.diff(member[order]) != 0])
    names = own[order][first][np.cumsum(first) - 1]
    found = {
        "source": True,
        "group of the file": rows.explicit.any(),
        "target": (~rows.explicit & ~shared).any(),
        "place in their languages": (places >= 0).any(),
    }
    back = np.empty_like(names)
    back[order] = names
    return back, " or ".join(name for name, used in found.items() if used)


def _parallel(rows: _Rows, wanted: np.ndarray) -> np.ndarray:
    """The place of each row whose language is parallel to another one, with the same answer there; else -1. `[n]`."""
    places = np.full(len(wanted), -1)
    answers = int(rows.answer.max()) + 1
    pairs, count = np.unique((rows.place * np.int64(answers) + rows.answer)[wanted], return_counts=True)
    if not len(pairs):
        return places
    best = np.lexsort((-count, pairs // answers))
    _, first = np.unique(pairs[best] // answers, return_index=True)
    usual = dict(zip((pairs[best] // answers)[first].tolist(), (pairs[best] % answers)[first].tolist()))
    agrees = wanted & (rows.answer == np.array([usual.get(place, -1) for place in rows.place.tolist()]))
    total = np.maximum(np.bincount(rows.language[wanted], minlength=len(rows.languages)), 1)
    share = np.bincount(rows.language[agrees], minlength=len(rows.languages)) / total
    parallel = share >= PARALLEL
    if parallel.sum() > 1:
        chosen = agrees & parallel[rows.language]
        places[chosen] = rows.place[chosen]
    return places


def _joined(keys: Sequence[np.ndarray]) -> np.ndarray:
    """A number for each row `[n]`, equal where rows are joined by equal keys, step by step. A key of -1 joins none."""
    member = np.arange(len(keys[0]))
    while True:
        before = member
        for key in keys:
            lowest = np.full(int(key.max()) + 2, len(member))  # of key -1 in the last place
            np.minimum.at(lowest, key, member)
            member = np.where(key >= 0, lowest[key], member)
        if np.array_equal(before, member):
            return member


def _largest(names: np.ndarray, rows: _Rows, dev: int) -> int:
    """Rows of the largest group that may be set aside: one that is far larger would be most of the dev set."""
    _, sizes = np.unique(names, return_counts=True)
    return max(len(rows.languages), dev // 10, int(np.quantile(sizes, USUAL)))


def _told(rows: _Rows, names: np.ndarray, train: np.ndarray, held: np.ndarray) -> dict[str, Any]:
    def by_language(part: np.ndarray) -> dict[str, int]:
        counts = np.bincount(rows.language[part], minlength=len(rows.languages))
        return dict(zip(rows.languages, counts.tolist()))

    groups = {"groups": len(np.unique(names)), "dev_groups": len(np.unique(names[held]))}
    return {**groups, "train": by_language(train), "dev": by_language(held)}


def _told_of_answers(
    answer: np.ndarray, shared: np.ndarray, held: np.ndarray, answer_text: Callable[[int], str]
) -> dict[str, list[int]]:
    """Rows of train and dev of each answer, by its text."""
    total, inside = np.bincount(answer), np.bincount(answer[held], minlength=int(answer.max()) + 1)
    codes, first = np.unique(np.where(shared, answer, -1), return_index=True)
    return {
        answer_text(int(row)): [int(total[code] - inside[code]), int(inside[code])]
        for code, row in zip(codes.tolist(), first)
        if code >= 0
    }
