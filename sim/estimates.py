"""Estimates with intervals, out of plain numbers: what a simulation's output says, and how sure that is.

Every function is pure, and each names its source. `sim/METHODS.md` says which one answers which question.

Sources, by the names used below:

- Conover: W. J. Conover, Practical Nonparametric Statistics, 3rd edition, Wiley 1999.
- Cochran: W. G. Cochran, Sampling Techniques, 3rd edition, Wiley 1977.
- Fishman: G. S. Fishman, Grouping observations in digital simulation, Management Science 24 (1978) 510-521.
- Law: A. M. Law, Simulation Modeling and Analysis, 5th edition, McGraw-Hill 2015.
- Schmeiser: B. Schmeiser, Batch size effects in the analysis of simulation output, Operations Research 30 (1982)
  556-568.
- White: K. P. White, An effective truncation heuristic for bias reduction in simulation output, Simulation 69 (1997)
  323-334; in batches of five: K. P. White, M. J. Cobb, S. C. Spratt, A comparison of five steady-state truncation
  heuristics for simulation, Winter Simulation Conference 2000, 755-760.
- Woodruff: R. S. Woodruff, Confidence intervals for medians and other position measures, Journal of the American
  Statistical Association 47 (1952) 635-646.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum, inf, sqrt
from typing import Final

import numpy as np
from scipy import special

CONFIDENCE: Final = 0.95
MSER_BATCH: Final = 5
BATCHES: Final = 30
"""Of one long run: more than 30 batches add little to what an interval is worth (Schmeiser)."""

INDEPENDENCE_LEVEL: Final = 0.1
REPLICATIONS_MIN: Final = 10
"""Before a sequential rule looks for the first time: an earlier look stops too often by luck (Law, 9.4.1)."""

BEYOND_MIN: Final = 10
"""Values that must lie beyond a pooled quantile for the end of its interval there: fewer say nothing of a share."""

_MSER_TAIL: Final = 5  # batches at the end where the statistic is small by chance


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval around it; an end is infinite where the data say nothing of it."""

    estimate: float
    low: float
    high: float
    count: int  # of the independent numbers that it rests on
    confidence: float = CONFIDENCE

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2

    def is_within(self, relative: float) -> bool:
        """Whether the half-width is at most this share of the estimate; an estimate of 0 needs an interval of length 0.

        The estimate is then off the true value by at most relative / (1 - relative) of that (Law, 9.4.1), as often as
        the confidence says.
        """
        return self.half_width <= relative * abs(self.estimate)


@dataclass(frozen=True, slots=True)
class Truncation:
    """Where a warm-up ends."""

    cut: int  # how many values go
    statistic: float  # the least value of MSER
    is_settled: bool  # False: the minimum lies past the middle, so the run is too short to tell


@dataclass(frozen=True, slots=True)
class BatchMeans:
    """The mean of one long run, and whether its batches may be taken for independent."""

    interval: Interval
    batch: int  # values in each
    left_out: int  # values at the beginning that fill no batch
    p_value: float  # of von Neumann's test against positive correlation
    is_independent: bool


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Second minus first, replication by replication."""

    interval: Interval
    correlation: float | None  # of the pairs; None where one side doesn't vary
    variance_ratio: float | None  # of the difference to that of independent runs: below 1 common chance has helped


def mser5(values: Sequence[float]) -> Truncation:
    """The cut that makes the squared standard error of the rest, as if independent, least: MSER-5 (White).

    The values are taken in batches of five, an incomplete last one is left out. The last five batches are no
    candidates: among so few, the statistic is small by chance. Of equal minima the first counts. Raises `ValueError`
    for fewer than ten batches. O(n).
    """
    count = len(values) // MSER_BATCH
    if count < 2 * _MSER_TAIL:
        raise ValueError(f"{len(values)} values: MSER-5 needs {2 * _MSER_TAIL * MSER_BATCH} or more")
    data = np.asarray(values[: count * MSER_BATCH], np.float64).reshape(count, MSER_BATCH)
    means = data.mean(axis=1)
    means -= means[-_MSER_TAIL:].mean()  # so that little is lost where squares are subtracted
    left = np.arange(count, 0, -1)
    sums, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    statistic = np.maximum(squares - sums**2 / left, 0.0) / left**2
    best = int(np.argmin(statistic[: count - _MSER_TAIL]))
    return Truncation(best * MSER_BATCH, float(statistic[best]), best <= count // 2)


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student's interval of the mean of independent numbers, such as one for each replication (Law, 4.5).

    Infinite for a single one. Raises `ValueError` for none. O(n).
    """
    count = len(values)
    if not count:
        raise ValueError("no values: a mean needs one or more")
    mean = fsum(values) / count
    if count == 1:
        return Interval(mean, -inf, inf, 1, confidence)
    deviation = sqrt(fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = _t(confidence, count - 1) * deviation / sqrt(count)
    return Interval(mean, mean - half, mean + half, count, confidence)


def quantile_interval(values: Sequence[float], q: float, confidence: float = CONFIDENCE) -> Interval:
    """The interval of the q-quantile, 0 < q < 1, of independent numbers between two of them in order (Conover, 3.2).

    It holds for every distribution, with at least the confidence: how many of n values lie below the quantile is
    binomial, and each tail gets half of what the confidence leaves. The estimate is the ⌈q·n⌉-th value. An end is
    infinite where n is too small. Latencies of one run depend on each other: see `pooled_quantile_interval`.
    O(n log n). Raises `ValueError` for no values.
    """
    count = len(values)
    if not count or not 0 < q < 1:
        raise ValueError(f"{count} values, q = {q}: expected one or more values and 0 < q < 1")
    ordered = sorted(values)
    tail = (1 - confidence) / 2
    ranks = np.arange(count + 1)
    below = special.bdtr(ranks, count, q)  # P(at most so many values lie below the quantile)
    low = int(np.searchsorted(below, tail, side="right"))  # the r-th value: P(at most r - 1) ≤ tail
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1  # the s-th: P(s or more) ≤ tail
    place = min(max(int(np.ceil(round(q * count, 9))), 1), count)
    return Interval(
        ordered[place - 1],
        ordered[low - 1] if low else -inf,
        ordered[high - 1] if high <= count else inf,
        count,
        confidence,
    )


def share_interval(hits: Sequence[float], sizes: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The interval of Σhits / Σsizes, where each pair is of one replication: Cochran's ratio of sums (6.4).

    What is counted within a replication may depend on each other in any way. Raises `ValueError` for sizes that add
    up to nothing. O(n).
    """
    count, total = len(sizes), fsum(sizes)
    if total <= 0:
        raise ValueError("the sizes add up to nothing: a share needs something to be a share of")
    share = fsum(hits) / total
    if count == 1:
        return Interval(share, -inf, inf, 1, confidence)
    residuals = fsum((hit - share * size) ** 2 for hit, size in zip(hits, sizes, strict=True))
    half = _t(confidence, count - 1) * sqrt(residuals * count / (count - 1)) / total
    return Interval(share, share - half, share + half, count, confidence)


def pooled_quantile_interval(
    q: float,
    hits: Sequence[float],
    sizes: Sequence[float],
    quantile: Callable[[float], float],
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of a quantile of all replications' values together (Woodruff): no quantiles are averaged.

    `hits` are each replication's values at or below the pooled q-quantile, `sizes` all of its values; `quantile`
    gives pooled quantiles. The share below the quantile is q ± h by the replications' shares, and the interval lies
    between the pooled quantiles of q - h and q + h. An end is infinite when it is beyond 0 or 1, or when fewer than
    `BEYOND_MIN` values are expected there: if none lies above, all replications agree and know nothing. Raises as
    `share_interval`.
    """
    total = fsum(sizes)
    half = share_interval(hits, sizes, confidence).half_width
    low = quantile(q - half) if q - half > 0 and q * total >= BEYOND_MIN else -inf
    high = quantile(q + half) if q + half < 1 and (1 - q) * total >= BEYOND_MIN else inf
    return Interval(quantile(q), low, high, len(sizes), confidence)


def batch_means(values: Sequence[float], confidence: float = CONFIDENCE, *, batches: int = BATCHES) -> BatchMeans:
    """The mean of one long run, its interval from the means of consecutive batches (Law, 9.5.3; Schmeiser).

    The values must be free of the warm-up; as many at the beginning as fill no batch are left out. Where
    `is_independent` is False the batches are too short and the interval too narrow: run longer. Raises `ValueError`
    for fewer values than twice the batches, and for fewer than 8 batches. O(n).
    """
    size = len(values) // batches if batches else 0
    if batches < 8 or size < 2:
        raise ValueError(f"{len(values)} values in {batches} batches: expected 8 batches or more of 2 values or more")
    left_out = len(values) - size * batches
    means = np.asarray(values[left_out:], np.float64).reshape(batches, size).mean(axis=1).tolist()
    p_value = von_neumann_p(means)
    return BatchMeans(mean_interval(means, confidence), size, left_out, p_value, p_value >= INDEPENDENCE_LEVEL)


def von_neumann_p(values: Sequence[float]) -> float:
    """The chance of so much positive correlation of neighbours if the values were independent: a test of that.

    1 - Σ(y[i+1] - y[i])² / 2Σ(y[i] - mean)² is close to normal with mean 0 and variance (n - 2)/(n² - 1) (Fishman,
    after J. von Neumann, Annals of Mathematical Statistics 12 (1941) 367-395). 1 where nothing varies. Raises
    `ValueError` for fewer than 8 values. O(n).
    """
    count = len(values)
    if count < 8:
        raise ValueError(f"{count} values: the test needs 8 or more")
    mean = fsum(values) / count
    squares = fsum((value - mean) ** 2 for value in values)
    if not squares:
        return 1.0
    steps = fsum((after - before) ** 2 for before, after in pairwise(values))
    score = (1 - steps / squares / 2) / sqrt((count - 2) / (count**2 - 1))
    return float(special.ndtr(-score))


def paired_difference(
    first: Sequence[float], second: Sequence[float], confidence: float = CONFIDENCE
) -> PairedDifference:
    """The mean difference of two scenarios whose r-th replications share their chance (Law, 10.2.1 and 11.2).

    Student's interval of the differences; that the pairs are alike makes it shorter, and it holds in any case. Raises
    `ValueError` for sides of different lengths or without values. O(n).
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values: pairs need as many on both sides")
    differences = [after - before for before, after in zip(first, second, strict=True)]
    interval = mean_interval(differences, confidence)
    if len(first) < 2:
        return PairedDifference(interval, None, None)
    one, other, both = _variance(first), _variance(second), _variance(differences)
    correlation = (one + other - both) / (2 * sqrt(one * other)) if one and other else None
    return PairedDifference(interval, correlation, both / (one + other) if one + other else None)


def enough(intervals: Sequence[Interval], relative: float, *, replications_min: int = REPLICATIONS_MIN) -> bool:
    """Whether a sequential run may stop: each interval rests on enough replications and is narrow enough (Law, 9.4.1).

    To be asked after every replication, in their order, so that the answer doesn't depend on who made them.
    """
    return all(
        interval.count >= replications_min and interval.half_width < inf and interval.is_within(relative)
        for interval in intervals
    )


def _t(confidence: float, freedom: int) -> float:
    """Student's quantile for a two-sided interval."""
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def _variance(values: Sequence[float]) -> float:
    mean = fsum(values) / len(values)
    return fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
