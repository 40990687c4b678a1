from collections import Counter

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layalign.data.batching import BatchPlan, answer_tokens, groups, lengths, micro_batches, split_dev

pytestmark = pytest.mark.core

few = settings(max_examples=100, deadline=None, database=None)
token_counts = st.lists(st.integers(1, 300), min_size=1, max_size=150).map(np.array)


def skewed(n):
    """Lengths of real sentences: many short, few long."""
    return np.random.default_rng(0).lognormal(3, 0.7, n).astype(np.int64) + 1


@few
@given(token_counts, st.integers(1, 40), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
def test_every_row_is_drawn_once_per_epoch(counts, batch_size, window, seed, epoch):
    plan = BatchPlan(counts, batch_size, seed, window)
    batches = [plan.batch(epoch, step) for step in range(plan.steps_per_epoch)]
    assert sorted(np.concatenate(batches)) == list(range(len(counts)))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert 0 < len(batches[-1]) <= batch_size


@few
@given(token_counts, st.integers(1, 40), st.integers(1, 5), st.data())
def test_a_batch_depends_on_seed_epoch_and_step_alone(counts, batch_size, window, data):
    used, fresh = (BatchPlan(counts, batch_size, 7, window) for _ in range(2))
    for _ in range(3):
        epoch, step = data.draw(st.integers(0, 3)), data.draw(st.integers(0, used.steps_per_epoch - 1))
        used.batch(epoch, step)
    assert used.batch(epoch, step).tolist() == fresh.batch(epoch, step).tolist()


def test_seeds_and_epochs_give_other_orders():
    orders = {
        tuple(BatchPlan(np.ones(50), 50, seed, 1).batch(epoch, 0)) for seed in range(3) for epoch in range(3)
    }
    assert len(orders) == 9


def test_window_one_is_a_plain_permutation():
    counts = skewed(1000)
    plan = BatchPlan(counts, 128, 3, window=1)
    drawn = np.concatenate([plan.batch(2, step) for step in range(plan.steps_per_epoch)])
    assert drawn.tolist() == np.random.Generator(np.random.PCG64([3, 2])).permutation(1000).tolist()


def test_a_window_only_rearranges_the_rows_of_its_batches():
    counts = skewed(1000)
    plain, sorted_ = (BatchPlan(counts, 100, 0, window) for window in (1, 4))
    for steps in (range(4), range(4, 8), range(8, 10)):
        rows = [{row for step in steps for row in plan.batch(0, step)} for plan in (plain, sorted_)]
        assert rows[0] == rows[1]


def test_sorting_in_a_window_saves_padding():
    counts = skewed(128 * 40)

    def waste(window):
        plan = BatchPlan(counts, 128, 0, window)
        passes = [
            counts[part.rows]
            for step in range(plan.steps_per_epoch)
            for part in micro_batches(plan.batch(0, step), counts, 8, None, 1)[0]
        ]
        padded = sum(len(part) * part.max() for part in passes)
        return 1 - counts.sum() / padded

    assert waste(4) < 0.06 < 0.08 < waste(1) < 0.2


@few
@given(
    token_counts,
    st.integers(1, 12),
    st.none() | st.integers(1, 2000),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_micro_batches_cover_a_batch_once_on_any_number_of_processes(
    counts, micro_batch, micro_tokens, processes, random
):
    rows = np.array(random.sample(range(len(counts)), random.randint(1, len(counts))))
    ranks = micro_batches(rows, counts, micro_batch, micro_tokens, processes)
    assert len(ranks) == processes
    assert len({len(parts) for parts in ranks}) == 1
    parts = [part for rank in ranks for part in rank]
    assert sorted(row for part in parts if part.weight for row in part.rows) == sorted(rows)
    assert {part.weight for part in parts} <= {0, 1}
    for part in parts:
        assert 0 < len(part.rows) <= micro_batch
        assert (
            micro_tokens is None
            or len(part.rows) == 1
            or len(part.rows) * counts[part.rows].max() <= micro_tokens
        )
    if any(part.weight == 0 for part in parts):
        assert all(len(part.rows) == 1 for part in parts)
        assert sum(part.weight == 0 for part in parts) < processes


def test_processes_that_run_together_have_passes_of_like_size():
    counts = skewed(128)
    ranks = micro_batches(np.arange(128), counts, 8, None, 4)
    sizes = np.array([[len(part.rows) * counts[part.rows].max() for part in parts] for parts in ranks])
    flat = sizes.T.reshape(-1)
    assert (np.diff(flat) <= 0).all()


def test_too_few_rows_leave_processes_idle_in_step():
    ranks = micro_batches(np.array([4, 2]), np.arange(1, 9), 8, None, 3)
    assert [[(part.rows.tolist(), part.weight) for part in parts] for parts in ranks] == [
        [([4], 1)],
        [([2], 1)],
        [([2], 0)],
    ]


@few
@given(st.lists(st.sampled_from("abcdefgh"), min_size=9, max_size=60), st.integers(0, 20), st.integers(0, 5))
def test_groups_never_straddle_the_dev_split(names, dev, seed):
    try:
        train, held = split_dev(names, dev, seed)
    except ValueError:
        assert dev > len(names) - max(Counter(names).values())
        return
    assert sorted([*train, *held]) == list(range(len(names)))
    assert {names[row] for row in train}.isdisjoint(names[row] for row in held)
    assert len(held) >= dev
    sizes = Counter(names[row] for row in held)
    assert dev == len(held) == 0 or len(held) - max(sizes.values()) < dev


def test_the_dev_split_depends_on_groups_and_seed_not_on_order_of_rows():
    names = [f"problem {n % 50}" for n in range(200)]
    chosen = {names[row] for row in split_dev(names, 20, 0)[1]}
    assert {names[::-1][row] for row in split_dev(names[::-1], 20, 0)[1]} == chosen
    assert {names[row] for row in split_dev(names, 20, 1)[1]} != chosen
    assert len(chosen) == 5


def test_a_dev_split_must_leave_something_to_train_on():
    with pytest.raises(ValueError, match=r"data.dev is 3, which takes all 4 examples \(2 groups\)"):
        split_dev(["a", "a", "b", "b"], 3, 0)


def test_lengths_are_read_from_a_data_set_and_from_a_selection_of_it():
    rows = {
        "source_ids": [[1, 2], [3], [4, 5, 6]],
        "prompt_ids": [[], [1, 2, 3, 4], []],
        "target_ids": [[7], [8, 9], [1]],
        "group": ["a", "b", "a"],
    }
    dataset = datasets.Dataset.from_dict(rows)
    assert lengths(dataset).tolist() == [3, 7, 4]
    assert answer_tokens(dataset).tolist() == [1, 2, 1]
    assert groups(dataset).tolist() == ["a", "b", "a"]
    assert lengths(dataset.select([2, 0])).tolist() == [4, 3]
