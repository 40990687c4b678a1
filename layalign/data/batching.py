"""Which examples make up a global batch, and how a batch is cut for the processes. Knows rows and lengths only.

A batch is a function of seed, epoch and step alone: neither the number of processes nor a token budget changes
what is computed. Length sorting happens inside a window of batches, so that an epoch stays close to random.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class MicroBatch:
    """What one process reads in one forward pass."""

    rows: np.ndarray
    """Row indices `[count]`, shortest first."""
    weight: int
    """0 for a repetition whose loss does not count: it keeps a process in step that has no rows of its own."""


class BatchPlan:
    """The global batches of every epoch: each row once per epoch, in an order that only the seed decides.

    Args:
        lengths: tokens of each row `[n]`, by which the rows of a window are sorted.
        batch_size: rows of a global batch; the last one of an epoch may have fewer.
        seed: not negative.
        window: batches that are sorted together, after which their order is shuffled again. With 1 an epoch is
            a plain permutation cut into batches, the paper's sampling.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int, window: int) -> None:
        assert len(lengths) > 0
        assert batch_size > 0
        assert window > 0
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch."""
        return -(-len(self.lengths) // self.batch_size)

    def batch(self, epoch: int, step: int) -> np.ndarray:
        """Row indices `[batch_size]` of a step, both counted from 0, the step within its epoch."""
        assert 0 <= step < self.steps_per_epoch, (step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order, self._epoch = self._shuffled(epoch), epoch
        return self._order[step * self.batch_size : (step + 1) * self.batch_size]

    def _shuffled(self, epoch: int) -> np.ndarray:
        """All rows in the order of an epoch. The rows of a short last batch stay out of the windows."""
        rng = np.random.Generator(np.random.PCG64([self.seed, epoch]))
        order = rng.permutation(len(self.lengths))
        if self.window == 1:
            return order
        full = len(order) // self.batch_size * self.batch_size
        for start in range(0, full, self.window * self.batch_size):
            rows = order[start : min(start + self.window * self.batch_size, full)]
            by_length = rows[np.argsort(self.lengths[rows], kind="stable")]
            rows[:] = rng.permutation(by_length.reshape(-1, self.batch_size)).reshape(-1)
        return order


def split_dev(
    member_of: Sequence[str] | np.ndarray,
    dev: int,
    seed: int,
    kept: np.ndarray | None = None,
    largest: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Train and dev rows: whole groups, in an order of their hashes, until there are `dev` examples.

    Args:
        member_of: group of each row `[n]`.
        dev: examples to set aside at least; the last group may bring some more.
        seed: another seed chooses other groups.
        kept: a number of each row `[n]`, -1 for none: of each number some row stays in training.
        largest: rows of the largest group that may be set aside; None is any.

    Returns:
        Row indices of train and of dev, both ascending.

    Raises:
        ValueError: no row is left to train on, or what must stay leaves fewer than `dev`.
    """
    if dev == 0:
        return np.arange(len(member_of)), np.arange(0)
    names, member, counts = np.unique(np.asarray(member_of), return_inverse=True, return_counts=True)
    hashes = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in names]
    order = np.array(sorted(range(len(names)), key=hashes.__getitem__))
    if largest is not None:
        order = order[counts[order] <= largest]
    chosen = _chosen(order, member, counts, dev, kept)
    taken = int(counts[chosen].sum())
    in_dev = np.zeros(len(names), dtype=bool)
    in_dev[chosen] = True
    rows = in_dev[member]
    if rows.all():
        raise ValueError(
            f"data.dev is {dev}, which takes all {len(member_of)} examples ({len(names)} groups) and leaves none to "
            "train on; lower data.dev"
        )
    if (kept is not None or largest is not None) and taken < dev:
        raise ValueError(
            f"data.dev is {dev}, but of {len(member_of)} examples in {len(names)} groups only {taken} can be set "
            "aside: training keeps an example of every answer, and groups far larger than the others; lower data.dev"
        )
    return np.flatnonzero(~rows), np.flatnonzero(rows)


def _chosen(
    order: np.ndarray, member: np.ndarray, counts: np.ndarray, dev: int, kept: np.ndarray | None
) -> np.ndarray:
    """The first groups of an order that have `dev` rows, without those that hold the last row of what is kept."""
    if kept is None:
        return order[: int(np.searchsorted(np.cumsum(counts[order]), dev)) + 1]
    left = np.bincount(kept[kept >= 0], minlength=1)
    begins = np.concatenate([[0], np.cumsum(counts)])
    by_group = np.argsort(member, kind="stable")
    chosen, taken = [], 0
    for group in order:
        if taken >= dev:
            break
        inside = kept[by_group[begins[group] : begins[group + 1]]]
        held = np.bincount(inside[inside >= 0], minlength=len(left))
        if (held < left)[held > 0].all():
            chosen.append(group)
            left, taken = left - held, taken + int(counts[group])
    return np.array(chosen, dtype=np.int64)


def micro_batches(
    rows: np.ndarray, lengths: np.ndarray, micro_batch: int, micro_tokens: int | None, processes: int
) -> list[list[MicroBatch]]:
    """A global batch cut for its processes: similar lengths together, equally many forward passes for all.

    Args:
        rows: row indices of the global batch.
        lengths: tokens of every row of the data set `[n]`.
        micro_batch: most examples of one forward pass.
        micro_tokens: most padded tokens of one, examples x longest; None is no bound. A longer row stands alone.
        processes: how many share the batch. ZeRO needs all of them to run the same number of passes: passes are
            split until the processes divide them, and where a batch has too few rows for that, some repeat a
            pass with weight 0.

    Returns:
        The micro-batches of each process, longest first: passes that run at the same time are of like size, and
        what does not fit into memory fails at the first.
    """
    ordered = rows[np.argsort(lengths[rows], kind="stable")]
    pieces = _cut(ordered, lengths, micro_batch, micro_tokens)
    while len(pieces) % processes and any(len(piece) > 1 for piece in pieces):
        sizes = [_padded(piece, lengths) if len(piece) > 1 else 0 for piece in pieces]
        largest = int(np.argmax(sizes))
        half = len(pieces[largest]) // 2
        pieces[largest : largest + 1] = [pieces[largest][:half], pieces[largest][half:]]
    pieces.sort(key=lambda piece: -_padded(piece, lengths))
    counted = [MicroBatch(piece, 1) for piece in pieces]
    idle = -len(pieces) % processes
    counted += [MicroBatch(pieces[-1], 0)] * idle
    return [counted[rank::processes] for rank in range(processes)]


def _cut(
    rows: np.ndarray, lengths: np.ndarray, micro_batch: int, micro_tokens: int | None
) -> list[np.ndarray]:
    """Rows, shortest first, in consecutive pieces within both bounds."""
    pieces, start = [], 0
    for end in range(1, len(rows) + 1):
        count = end - start
        over = micro_tokens is not None and count * int(lengths[rows[end - 1]]) > micro_tokens
        if count > 1 and (count > micro_batch or over):
            pieces.append(rows[start : end - 1])
            start = end - 1
    return [*pieces, rows[start:]]


def _padded(rows: np.ndarray, lengths: np.ndarray) -> int:
    """Tokens of a piece with its padding."""
    return len(rows) * int(lengths[rows].max())


def lengths(dataset: Dataset) -> np.ndarray:
    """Tokens of source, prompt and target of each row together, `[n]`."""
    columns = ("source_ids", "prompt_ids", "target_ids")
    return np.sum([_token_counts(dataset, column) for column in columns], axis=0)


def answer_tokens(dataset: Dataset) -> np.ndarray:
    """Tokens of each row's target, `[n]`: what the loss of a global batch is divided by."""
    return _token_counts(dataset, "target_ids")


def groups(dataset: Dataset) -> np.ndarray:
    """Group of each row `[n]`, for `split_dev`."""
    column = dataset.select_columns("group").with_format("arrow")[:]["group"]
    return column.to_numpy().astype(str)


def _token_counts(dataset: Dataset, column: str) -> np.ndarray:
    """Read from the offsets of the Arrow lists, never from the lists."""
    import pyarrow.compute

    table = dataset.select_columns(column).with_format("arrow")[:]
    return pyarrow.compute.list_value_length(table[column]).to_numpy().astype(np.int64)
