"""Estimates: by hand and by scipy where numbers are known, and by how often intervals cover where truth is known."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import inf, log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim.estimates import (
    Interval,
    batch_means,
    enough,
    mean_interval,
    mser5,
    paired_difference,
    pooled_quantile_interval,
    quantile_interval,
    share_interval,
    von_neumann_p,
)

Floats = NDArray[np.float64]

LOAD = 0.5
MEAN_WAIT = 1.0  # of M/M/1 with service rate 1: LOAD / (1 - LOAD)
TRIALS = 1500
COVERED = (0.93, 0.97)


@lru_cache(maxsize=1)  # two neighbours look at the same queues
def waits(lanes: int, customers: int, seed: int) -> Floats:
    """M/M/1 waiting times by Lindley's recursion, stationary from the first: a row for each independent queue."""
    chance = np.random.Generator(np.random.PCG64(seed))
    wait = chance.exponential(1 / (1 - LOAD), lanes) * (chance.random(lanes) < LOAD)
    rows = np.empty((customers, lanes))
    for customer in range(customers):
        rows[customer] = wait
        wait = np.maximum(wait + chance.exponential(1.0, lanes) - chance.exponential(1 / LOAD, lanes), 0.0)
    return np.ascontiguousarray(rows.T)


def quantile_of_wait(q: float) -> float:
    """P(W > x) = LOAD·exp(-(1 - LOAD)x)."""
    return log(LOAD / (1 - q)) / (1 - LOAD)


def coverage(made: Callable[[int], Interval], truth: float, trials: int = TRIALS) -> float:
    return sum(interval.low <= truth <= interval.high for interval in map(made, range(trials))) / trials


# ---------------------------------------------------------------------- by hand, and by scipy


def test_the_mean_of_1_2_3_4_is_within_2_057_of_2_5() -> None:
    found = mean_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446305 * sqrt(5 / 3) / 2  # t(0.975, 3) from a printed table
    assert (found.estimate, found.count) == (2.5, 4)
    assert found.half_width == pytest.approx(half, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-9)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_the_mean_interval_is_scipys(confidence: float) -> None:
    values = np.random.Generator(np.random.PCG64(1)).exponential(3.0, 17).tolist()
    low, high = stats.t.interval(confidence, 16, float(np.mean(values)), stats.sem(values))
    found = mean_interval(values, confidence)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_one_value_says_nothing_of_the_interval_and_none_is_refused() -> None:
    assert mean_interval([3.0]) == Interval(3.0, -inf, inf, 1)
    with pytest.raises(ValueError, match="one or more"):
        mean_interval([])


@pytest.mark.parametrize(
    ("count", "q", "low", "high"),
    [
        (10, 0.5, 2, 9),  # P(B ≤ 1) = 11/1024 ≤ 0.025 < 56/1024: the printed table of the sign test
        (20, 0.5, 6, 15),
        (6, 0.5, 1, 6),
        (5, 0.5, None, None),  # 2/32 > 0.05: five values can't say so much
        (100, 0.9, 84, 96),
        (100, 0.99, 97, None),
    ],
)
def test_the_ranks_of_a_quantile_interval(count: int, q: float, low: int | None, high: int | None) -> None:
    found = quantile_interval([float(rank) for rank in range(count, 0, -1)], q)
    assert (found.low, found.high) == (-inf if low is None else low, inf if high is None else high)
    assert found.estimate == max(1, -int(-Fraction(str(q)) * count // 1))


def test_five_values_hold_their_median_with_exactly_15_of_16() -> None:
    found = quantile_interval([1.0, 2.0, 3.0, 4.0, 5.0], 0.5, 15 / 16)
    assert (found.low, found.high) == (1.0, 5.0)


@pytest.mark.parametrize("count", [7, 50, 333])
@pytest.mark.parametrize("q", [0.1, 0.5, 0.75, 0.95])
def test_the_quantile_interval_is_the_shortest_that_gives_each_tail_its_half(count: int, q: float) -> None:
    found = quantile_interval([float(rank) for rank in range(1, count + 1)], q)
    law = stats.binom(count, q)
    low = 0 if found.low == -inf else int(found.low)
    high = count + 1 if found.high == inf else int(found.high)
    assert low == 0 or law.cdf(low - 1) <= 0.025
    assert law.cdf(low) > 0.025
    assert high == count + 1 or law.sf(high - 1) <= 0.025
    assert law.sf(high - 2) > 0.025


def test_a_share_by_hand() -> None:
    found = share_interval([1.0, 3.0, 2.0], [4.0, 4.0, 4.0])
    half = 4.302652730 * 0.25 / sqrt(3)  # shares 1/4, 3/4, 1/2: of equal sizes it is the interval of their mean
    assert found.estimate == 0.5
    assert found.half_width == pytest.approx(half, rel=1e-9)
    uneven = share_interval([1.0, 6.0], [4.0, 8.0])  # 7/12; residuals ∓ 4/3; t(0.975, 1) = 12.7062
    assert uneven.estimate == 7 / 12
    assert uneven.half_width == pytest.approx(12.706204736 * sqrt(2 * 2 * 16 / 9) / 12, rel=1e-9)


def test_a_pooled_quantile_lies_between_the_quantiles_of_its_share() -> None:
    found = pooled_quantile_interval(0.5, [49.0, 51.0, 50.0], [100.0] * 3, lambda q: 1000 * q)
    half = 4.302652730 * 0.01 / sqrt(3)
    assert (found.low, found.estimate, found.high) == pytest.approx((500 - 1000 * half, 500, 500 + 1000 * half))
    assert pooled_quantile_interval(0.99, [90.0, 100.0], [100.0] * 2, lambda q: q).high == inf
    assert pooled_quantile_interval(0.01, [0.0, 9.0], [100.0] * 2, lambda q: q).low == -inf


def test_a_pooled_quantile_beyond_which_too_few_values_lie_has_an_open_end() -> None:
    def ends(q: float, size: float) -> tuple[float, float]:
        found = pooled_quantile_interval(q, [size, size], [size, size], lambda share: share)
        return found.low, found.high

    assert ends(0.9, 49.0) == (0.9, inf)
    assert ends(0.9, 51.0) == (0.9, 0.9)  # the share is 1 in both: what they hold is one value
    assert ends(0.1, 49.0) == (-inf, 0.1)


def test_mser_by_hand() -> None:
    batches = [9.0, 9.0, *([1.0, 3.0] * 8)]
    found = mser5([value for value in batches for _ in range(5)])
    # 16 batches of variance 1 remain, 16·1 / 16²; one 9 more: (7² · 16/17 + 16) / 17² = 0.215
    assert (found.cut, found.is_settled) == (10, True)
    assert found.statistic == pytest.approx(1 / 16)


def test_mser_is_the_definition() -> None:
    values = (np.random.Generator(np.random.PCG64(3)).normal(5, 1, 403) + 8 * np.exp(-np.arange(403) / 30)).tolist()
    means = [sum(values[start : start + 5]) / 5 for start in range(0, 400, 5)]
    naive = [float(np.var(means[cut:])) / (len(means) - cut) for cut in range(75)]
    found = mser5(values)
    assert found.cut == 5 * naive.index(min(naive))
    assert found.statistic == pytest.approx(min(naive))
    assert 40 <= found.cut <= 200


def test_mser_cuts_nothing_of_what_is_level_and_says_when_a_run_is_too_short() -> None:
    assert mser5([7.0] * 50) == mser5([7.0] * 54)
    assert mser5([7.0] * 50).cut == 0
    assert not mser5([float(-value) for value in range(200)]).is_settled
    with pytest.raises(ValueError, match="50 or more"):
        mser5([1.0] * 49)


def test_von_neumann_by_hand() -> None:
    # 1 … 8: steps² 7, squares 42, so 1 - 7/84 = 11/12; variance 6/63
    assert von_neumann_p([float(value) for value in range(1, 9)]) == pytest.approx(
        stats.norm.sf(11 / 12 / sqrt(6 / 63)), rel=1e-9
    )
    assert von_neumann_p([1.0, -1.0] * 10) > 0.999
    assert von_neumann_p([2.0] * 8) == 1.0


def test_von_neumann_rejects_as_often_as_it_says() -> None:
    rows = np.random.Generator(np.random.PCG64(5)).normal(size=(2000, 30)).tolist()
    assert sum(von_neumann_p(row) < 0.1 for row in rows) / 2000 == pytest.approx(0.1, abs=0.02)


def test_batch_means_by_hand() -> None:
    values = [99.0, *(value for mean in (1, 5, 2, 6, 3, 7, 4, 8) for value in (mean - 0.5, mean + 0.5))]
    found = batch_means(values, batches=8)
    assert (found.batch, found.left_out, found.is_independent) == (2, 1, True)
    assert found.interval == mean_interval([1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0])
    assert not batch_means([float(value) for value in range(300)]).is_independent
    for wrong in ({"batches": 7}, {"batches": 151}, {"batches": 0}):
        with pytest.raises(ValueError, match="8 batches or more"):
            batch_means(values * 17, **wrong)


def test_a_paired_difference_by_hand() -> None:
    found = paired_difference([1.0, 2.0, 3.0], [2.0, 3.0, 5.0])
    assert found.interval == mean_interval([1.0, 1.0, 2.0])
    assert found.correlation == pytest.approx(stats.pearsonr([1, 2, 3], [2, 3, 5]).statistic)
    assert found.variance_ratio == pytest.approx((1 / 3) / (1 + 7 / 3))
    assert paired_difference([1.0, 1.0], [1.0, 1.0]).correlation is None
    with pytest.raises(ValueError, match="as many on both sides"):
        paired_difference([1.0], [1.0, 2.0])


def test_the_sequential_rule_at_its_borders() -> None:
    just = Interval(100.0, 98.0, 102.0, 10)
    assert enough([just], 0.02)
    assert not enough([just], 0.0199)
    assert not enough([Interval(100.0, 98.0, 102.0, 9)], 0.02)
    assert not enough([just, Interval(1.0, 0.9, 1.1, 10)], 0.02)
    assert not enough([Interval(1.0, -inf, inf, 10)], 0.02)
    assert enough([Interval(0.0, 0.0, 0.0, 10)], 0.02)


# ---------------------------------------------------------------------- how often they cover


def test_the_quantile_of_independent_values_is_covered() -> None:
    rows = waits(TRIALS * 400, 1, seed=12).reshape(TRIALS, 400).tolist()
    share = coverage(lambda trial: quantile_interval(rows[trial], 0.9), quantile_of_wait(0.9))
    assert COVERED[0] <= share <= COVERED[1]


def test_the_mean_of_replications_is_covered() -> None:
    means = waits(TRIALS * 20, 400, seed=11).mean(axis=1).reshape(TRIALS, 20).tolist()
    assert COVERED[0] <= coverage(lambda trial: mean_interval(means[trial]), MEAN_WAIT) <= COVERED[1]


def test_the_quantile_of_dependent_values_is_covered() -> None:
    rows = waits(TRIALS * 20, 400, seed=11).reshape(TRIALS, 20, 400)

    def made(trial: int) -> Interval:
        return pooled(rows[trial], 0.9)

    assert COVERED[0] <= coverage(made, quantile_of_wait(0.9)) <= COVERED[1]


def pooled(replications: Floats, q: float) -> Interval:
    ordered = np.sort(replications, axis=None)

    def quantile(share: float) -> float:
        return float(ordered[max(int(np.ceil(share * len(ordered))) - 1, 0)])

    hits: Sequence[float] = (replications <= quantile(q)).sum(axis=1).tolist()
    return pooled_quantile_interval(q, hits, [replications.shape[1]] * len(replications), quantile)


def test_the_mean_of_one_long_run_is_covered() -> None:
    rows = waits(TRIALS, 6000, seed=14)
    made = [batch_means(row) for row in rows]
    assert COVERED[0] <= coverage(lambda trial: made[trial].interval, MEAN_WAIT) <= COVERED[1]
    assert sum(each.is_independent for each in made) / TRIALS > 0.8
    short = [batch_means(row[:90]) for row in rows[:300]]
    assert sum(each.is_independent for each in short) / 300 < 0.5


def test_a_paired_difference_is_covered_and_shorter_than_that_of_independent_runs() -> None:
    slow = waits(TRIALS * 10, 100, seed=15).mean(axis=1).reshape(TRIALS, 10)
    noise = np.random.Generator(np.random.PCG64(16)).normal(0.25, 0.1, (TRIALS, 10))
    fast = slow - noise  # the same chance, a quarter less to wait
    pairs = [paired_difference(before, after) for before, after in zip(slow.tolist(), fast.tolist(), strict=True)]
    assert COVERED[0] <= coverage(lambda trial: pairs[trial].interval, -0.25) <= COVERED[1]
    assert all(pair.variance_ratio is not None and pair.variance_ratio < 0.5 for pair in pairs)


def test_a_run_that_stops_by_the_rule_is_covered() -> None:
    means = waits(500 * 80, 400, seed=17).mean(axis=1).reshape(500, 80).tolist()

    def made(trial: int) -> Interval:
        for count in range(10, 80):
            interval = mean_interval(means[trial][:count])
            if enough([interval], 0.1):
                return interval
        return mean_interval(means[trial])

    assert coverage(made, MEAN_WAIT, 500) >= 0.90  # such a rule is known to stay a little below (Law, 9.4.1)
