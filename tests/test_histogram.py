"""Histograms keep counts, sums and extremes exactly, and quantiles within the promised error."""

from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.histogram import (
    BUCKET_BITS,
    RUN_BITS,
    ExactSums,
    Histogram,
    HistogramRows,
    bin_of,
    bounds_of,
    exact_sum,
    packed,
    rank_of,
)

VALUE_MAX = 2**63 - 1
values_lists = st.lists(st.integers(0, VALUE_MAX) | st.integers(0, 5000), min_size=1, max_size=60)
EDGES = sorted({max(0, 2**power + by) for power in range(63) for by in (-1, 0, 1)} | {VALUE_MAX})


def _of(values: list[int], bits: int = RUN_BITS) -> Histogram:
    histogram = Histogram(bits=bits)
    histogram.record(np.array(values, np.int64))
    return histogram


def _true_quantile(values: list[int], q: Fraction) -> int:
    """The smallest value whose rank is at least q·n, by sorting."""
    return sorted(values)[max(1, ceil(q * len(values))) - 1]


@pytest.mark.parametrize("bits", [0, 1, BUCKET_BITS, RUN_BITS])
def test_bins_hold_the_values_that_their_bounds_say(bits: int) -> None:
    bins = bin_of(np.array(EDGES, np.int64), bits=bits).tolist()
    assert bins == sorted(bins)
    for value, index in zip(EDGES, bins, strict=True):
        low, high = bounds_of(index, bits=bits)
        assert low <= value <= high
        assert high - low <= low * Fraction(1, 2**bits)


@pytest.mark.parametrize("bits", [1, BUCKET_BITS, RUN_BITS])
def test_bins_join_without_gap_or_overlap(bits: int) -> None:
    bounds = [bounds_of(index, bits=bits) for index in range(40 << bits if bits < RUN_BITS else 5 << bits)]
    assert bounds[0][0] == 0
    assert all(before[1] + 1 == after[0] for before, after in pairwise(bounds))


@given(values_lists, st.sampled_from([Fraction(n, 1000) for n in (0, 1, 100, 500, 900, 990, 999, 1000)]))
def test_quantile_is_the_inverse_of_the_empirical_distribution(values: list[int], q: Fraction) -> None:
    true = _true_quantile(values, q)
    for bits in (BUCKET_BITS, RUN_BITS):
        found = _of(values, bits).quantile(q)
        assert found is not None
        assert abs(found - true) <= true * Fraction(1, 2 ** (bits + 1))


@given(values_lists)
def test_as_many_values_as_a_quantile_says_lie_up_to_it(values: list[int]) -> None:
    histogram = _of(values)
    for q in (Fraction(1, 10), Fraction(1, 2), Fraction(99, 100)):
        at = histogram.quantile(q)
        assert at is not None
        highest = bounds_of(int(bin_of(np.array([at], np.int64), bits=histogram.bits)[0]), bits=histogram.bits)[1]
        assert histogram.count_up_to(at) == sum(1 for value in values if value <= highest) >= q * len(values)


@given(values_lists)
def test_count_sum_and_extremes_are_exact(values: list[int]) -> None:
    histogram = _of(values)
    assert (histogram.count, histogram.total) == (len(values), sum(values))
    assert (histogram.min, histogram.max) == (min(values), max(values))
    assert (histogram.quantile(0), histogram.quantile(1)) == (min(values), max(values))
    assert histogram.mean() == Fraction(sum(values), len(values))


@given(values_lists, st.integers(0, 60))
def test_order_and_cuts_do_not_matter(values: list[int], cut: int) -> None:
    whole, cuts = _of(values), Histogram()
    shuffled = sorted(values, key=lambda value: (value * 7919) % 1009)
    cuts.record(np.array(shuffled[:cut], np.int64))
    cuts.record(np.array(shuffled[cut:], np.int64))
    assert _facts(cuts) == _facts(whole)


@given(values_lists, values_lists)
def test_merge_is_recording_both(first: list[int], second: list[int]) -> None:
    merged = _of(first)
    merged.merge(_of(second))
    merged.merge(Histogram())
    assert _facts(merged) == _facts(_of(first + second))


def test_small_values_are_exact_quantiles() -> None:
    histogram = _of(list(range(1, 101)))
    assert histogram.quantiles((0.1, 0.5, 0.505, 0.99)) == [10, 50, 51, 99]


def test_a_tenth_is_a_tenth() -> None:
    # 0.1 as a float lies above a tenth: taken exactly, the rank among 10 would be 2
    assert rank_of(0.1, 10) == 1
    assert rank_of(Fraction(1, 10) + Fraction(1, 10**9), 10) == 2


def test_empty_histogram_has_no_numbers() -> None:
    histogram = Histogram()
    histogram.record(np.zeros(0, np.int64))
    assert histogram.quantiles((0.5, 1)) == [None, None]
    assert (histogram.count, histogram.total, histogram.min, histogram.max) == (0, 0, None, None)
    assert histogram.mean() is None


def test_refusals() -> None:
    histogram = _of([5])
    with pytest.raises(ValueError, match="value -1 is negative"):
        histogram.record(np.array([3, -1], np.int64))
    assert histogram.count == 1
    with pytest.raises(ValueError, match="same bins"):
        histogram.merge(_of([5], bits=3))
    for q in (-0.1, 1.1):
        with pytest.raises(ValueError, match="fraction from 0 to 1"):
            histogram.quantile(q)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2**45)), max_size=60))
def test_rows_are_histograms_of_their_own_and_merge_in_pairs(pairs: list[tuple[int, int]]) -> None:
    rows = HistogramRows(8)
    for cut in (pairs[:20], pairs[20:]):
        rows.record(np.array([row for row, _ in cut], np.int64), np.array([value for _, value in cut], np.int64))
    by_row = [[value for at, value in pairs if at == row] for row in range(8)]
    assert [_row_facts(rows, row) for row in range(8)] == [_list_facts(values) for values in by_row]
    rows.merge_pairs()
    merged = [
        by_row[0] + by_row[1],
        by_row[2] + by_row[3],
        by_row[4] + by_row[5],
        by_row[6] + by_row[7],
        [],
        [],
        [],
        [],
    ]
    assert [_row_facts(rows, row) for row in range(8)] == [_list_facts(values) for values in merged]
    rows.record(
        np.array([5, 5], np.int64), np.array([130, 140], np.int64)
    )  # nothing is left of the row's former values
    assert _row_facts(rows, 5) == _list_facts([130, 140])
    rows.merge_down(1)
    assert _row_facts(rows, 0) == _list_facts(merged[0] + merged[1])


def test_sums_never_wrap_around() -> None:
    big = np.full(9, VALUE_MAX, np.int64)
    assert exact_sum(big) == 9 * VALUE_MAX
    histogram = Histogram()
    histogram.record(big)
    assert histogram.total == 9 * VALUE_MAX
    sums = ExactSums(2)
    for _ in range(3):
        sums.add(np.array([1, 1], np.int64), np.array([2**61, 2**61], np.int64))
    assert sums.sums.tolist() == [0, 6 * 2**61]
    rows = HistogramRows(2)
    rows.record(np.ones(9, np.int64), big)
    assert rows.mean(1) == VALUE_MAX


def test_packed_takes_what_fits_and_says_what_does_not() -> None:
    assert packed([0, -5, VALUE_MAX]).tolist() == [0, -5, VALUE_MAX]
    assert packed([]).tolist() == []
    with pytest.raises(OverflowError, match="fewer units per second"):
        packed([VALUE_MAX + 1])


def _facts(histogram: Histogram) -> tuple[object, ...]:
    grid = [Fraction(n, 97) for n in range(98)]
    return histogram.count, histogram.total, histogram.min, histogram.max, histogram.quantiles(grid)


def _row_facts(rows: HistogramRows, row: int) -> tuple[object, ...]:
    return rows.count(row), rows.mean(row), rows.quantiles(row, (0, 0.5, 0.9, 1))


def _list_facts(values: list[int]) -> tuple[object, ...]:
    if not values:
        return 0, None, [None] * 4
    histogram = _of(values, BUCKET_BITS)
    return histogram.count, histogram.mean(), histogram.quantiles((0, 0.5, 0.9, 1))
