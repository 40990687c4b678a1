from __future__ import annotations

import pytest

from layalign.evaluation.compare import bootstrap, compare, mcnemar, spread, student_p, t_95
from tests.timing import cpu_seconds


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (5, 0, 2 / 32),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (2, 8, 112 / 1024),
        (1, 0, 1.0),
    ],
)
def test_mcnemar_is_the_two_sided_binomial(first, second, p):
    assert mcnemar(first, second) == pytest.approx(p)


def test_mcnemar_of_many_pairs_neither_overflows_nor_is_zero():
    assert 0 < mcnemar(1500, 1000) < 1e-22
    assert mcnemar(1250, 1250) == 1.0


def test_spread_is_students():
    told = spread([51.0, 50.0, 52.0])
    assert (told.mean, told.sd) == (51.0, 1.0)
    assert (told.low, told.high) == pytest.approx((51 - 4.303 / 3**0.5, 51 + 4.303 / 3**0.5))


def test_one_value_has_no_spread():
    told = spread([40.0])
    assert (told.mean, told.sd, told.low, told.high) == (40.0, None, None, None)


@pytest.mark.parametrize(("values", "t"), [(2, 12.706), (10, 2.262), (11, 2.228), (21, 2.086), (101, 1.984)])
def test_students_t_goes_on_beyond_its_table(values, t):
    assert t_95(values) == pytest.approx(t, abs=0.001)


def test_bootstrap_interval_is_near_the_normal_one():
    """40 of 250 gained and 10 lost: mean 0.12, sd of the mean sqrt((0.2 - 0.0144) / 250) = 0.02725."""
    low, high, p = bootstrap([1] * 40 + [-1] * 10 + [0] * 200)
    assert low == pytest.approx(0.12 - 1.96 * 0.02725, abs=0.006)
    assert high == pytest.approx(0.12 + 1.96 * 0.02725, abs=0.006)
    assert p == pytest.approx(2 / 2001)


def test_bootstrap_of_nothing_but_ties_is_certain_of_no_difference():
    assert bootstrap([0.0] * 50) == (0.0, 0.0, 1.0)
    low, high, p = bootstrap([0.1, -0.1] * 40)
    assert low < 0 < high
    assert p > 0.9


def test_the_same_seed_gives_the_same_interval():
    values = [1, 0, 0, -1, 1, 0, 0, 0]
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)


def outcomes(**languages):
    return {code: {f"{n:04d}": float(c) for n, c in enumerate(text)} for code, text in languages.items()}


def test_one_language_is_tested_by_mcnemar_on_paired_items():
    told = compare(outcomes(sw="1111110000"), outcomes(sw="0000010001"), ["sw"])
    assert (told.mean, told.test, told.items) == (pytest.approx(40.0), "McNemar", 10)
    assert told.p == pytest.approx(mcnemar(5, 1))
    assert told.low < 40 < told.high


def test_items_pair_by_problem_and_only_where_both_answered():
    first = {"sw": {"0003": 1.0, "0001": 0.0, "0009": 1.0}}
    second = {"sw": {"0001": 0.0, "0002": 1.0, "0003": 0.0}}
    told = compare(first, second, ["sw"])
    assert (told.mean, told.items) == (50.0, 2)


def test_languages_weigh_the_same_whatever_their_size():
    first, second = outcomes(sw="1" * 10, de="0" * 90), outcomes(sw="0" * 10, de="0" * 90)
    assert compare(first, second, ["sw", "de"]).mean == pytest.approx(50.0)


def test_a_language_without_pairs_leaves_no_average():
    assert compare(outcomes(sw="1"), outcomes(sw="0"), ["sw", "de"]) is None
    assert compare(outcomes(sw="1"), {"sw": {}}, ["sw"]) is None


def test_the_same_problems_in_more_languages_are_no_more_certain():
    """Languages that agree on every problem carry the interval of one of them."""
    a, b = "1" * 40 + "0" * 60, "0" * 25 + "1" * 20 + "0" * 55
    one = compare(outcomes(sw=a), outcomes(sw=b), ["sw"])
    three = compare(outcomes(sw=a, bn=a, th=a), outcomes(sw=b, bn=b, th=b), ["sw", "bn", "th"])
    assert three.mean == pytest.approx(one.mean)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert three.test == "bootstrap"


def test_means_over_seeds_are_not_counted_as_pairs():
    told = compare({"sw": {"1": 0.5, "2": 1.0}}, {"sw": {"1": 0.0, "2": 0.5}}, ["sw"])
    assert (told.mean, told.test) == (50.0, "bootstrap")


@pytest.mark.parametrize(("p", "mark"), [(0.05, ""), (0.049, "†"), (0.0099, "‡")])
def test_marks(p, mark):
    told = compare(outcomes(sw="1"), outcomes(sw="0"), ["sw"])
    assert type(told)(told.mean, told.low, told.high, p, told.test, told.items).mark == mark


def test_ten_languages_of_a_thousand_problems_take_little_of_the_processor():
    languages = [f"l{n}" for n in range(10)]
    first = {
        code: {str(k): float((k * 7 + n) % 5 < 3) for k in range(1000)} for n, code in enumerate(languages)
    }
    second = {
        code: {str(k): float((k * 3 + n) % 5 < 3) for k in range(1000)} for n, code in enumerate(languages)
    }
    assert compare(first, second, languages).items == 10_000
    assert cpu_seconds(compare, first, second, languages) < 2


@pytest.mark.parametrize(
    ("t", "df", "p"),
    [
        (12.706, 1, 0.05),
        (4.303, 2, 0.05),
        (3.182, 3, 0.05),
        (2.776, 4, 0.05),
        (2.228, 10, 0.05),
        (9.925, 2, 0.01),
        (4.032, 5, 0.01),
        (0.0, 7, 1.0),
    ],
)
def test_p_of_students_t_is_that_of_the_tables(t, df, p):
    values = df + 1
    assert student_p(t / values**0.5, 1.0, values) == pytest.approx(p, rel=0.002)
    assert student_p(-t / values**0.5, 1.0, values) == pytest.approx(p, rel=0.002)


def test_p_of_students_t_agrees_with_its_interval():
    told = spread([1.0, 2.0, 3.0, 4.0])
    edge = spread([value - told.low for value in (1.0, 2.0, 3.0, 4.0)])
    assert edge.p == pytest.approx(0.05, abs=1e-4)
    assert (spread([1.0, 1.0]).p, spread([0.0, 0.0]).p, spread([3.0]).p) == (0.0, 1.0, None)
