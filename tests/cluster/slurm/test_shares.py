"""Which account starts jobs soonest, as sshare tells it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.slurm.shares import Share, parse_shares, share_note

ROWS = """\
  def-prof_cpu|me|0.9|3.0
  def-prof_gpu|me|0.123456|0.5
  rrg-prof_gpu|me|0.55|1.25
  other_gpu||0.99|9
Welcome to the cluster
"""


def test_accounts_are_told_by_the_share_of_their_gpus():
    assert parse_shares(ROWS) == [Share("rrg-prof", 0.55), Share("def-prof", 0.123456)]
    assert parse_shares(ROWS, gpu=False) == [Share("def-prof", 0.9)]


def test_level_counts_where_no_place_is_shown():
    assert parse_shares("a|me||inf\nb|me||0.5\n") == [Share("a", float("inf")), Share("b", 0.5)]


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ("def-prof", "fair share: rrg-prof 0.55, def-prof 0.123; the best is --account rrg-prof"),
        (None, "fair share: rrg-prof 0.55, def-prof 0.123; the best is --account rrg-prof"),
        ("rrg-prof", "fair share: rrg-prof 0.55, def-prof 0.123; rrg-prof starts soonest"),
    ],
)
def test_the_best_is_named(account, told):
    assert share_note(parse_shares(ROWS), account) == told


@pytest.mark.parametrize(
    "rows", ["", "a|me|0.5|1\n", "a|me|0.5|1\nb|me|0.5|2\n", "nonsense", "a|me|x|y\nb|me|nan|\n"]
)
def test_where_there_is_no_choice_nothing_is_said(rows):
    assert share_note(parse_shares(rows), "a") is None


@given(st.text(alphabet="ab_cpugpu|0.9 inf\n-", max_size=80))
def test_whatever_it_prints_is_read(text):
    share_note(parse_shares(text), "a")
