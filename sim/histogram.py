"""Histograms over whole time units that take arrays: latencies of a whole run, and of each bucket of time.

Log-linear, as HdrHistogram's: below `2 ** (bits + 1)` every value has a bin of its own, above it every octave is
cut into `2 ** bits` equal bins, so that a bin is never wider than `2 ** -bits` of the values in it. Counts, sums,
minima and maxima are exact. Why not the package: `reports/decisions/0004-latency-histogram.md`.

A quantile is the inverse of the empirical distribution: the smallest recorded value v such that at least q·n of
the n values are ≤ v. A histogram knows v's bin only; it answers with the middle of the bin, kept within the exact
minimum and maximum, so the answer is off by at most `2 ** -(bits + 1)` of v. All results are integers and do not
depend on the order in which values come, nor on how they are cut into arrays.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from struct import error as struct_error
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

RUN_BITS = 10
"""Of a whole run's histograms: a quantile is within 1/2048 of the true value."""

BUCKET_BITS = 6
"""Of the histograms by bucket of time: a quantile is within 1/128 of the true value."""

_SAFE = 2**62  # a sum that stays below it never leaves int64


def bin_of(values: Integers, *, bits: int) -> Integers:
    """The bins of non-negative values; bins are in the values' order."""
    # frexp gives the bit length. A value past 2^53 may be rounded up to a power of two: its 53 highest bits are ones,
    # so it is in the last bin below that power, and the wider shift gives the same number.
    shift = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    shift -= bits + 1
    np.maximum(shift, 0, out=shift)
    bins: Integers = values >> shift
    shift <<= bits
    bins += shift
    return bins


def bounds_of(index: int, *, bits: int) -> tuple[int, int]:
    """The lowest and the highest value of a bin."""
    shift = max((index >> bits) - 1, 0)
    low = (index - (shift << bits)) << shift
    return low, low + (1 << shift) - 1


def exact_sum(values: Integers) -> int:
    """The sum as a Python integer, which never wraps around."""
    if len(values) == 0:
        return 0
    if int(np.abs(values).max()) * len(values) < _SAFE:
        return int(values.sum())
    return sum(values.tolist())


class ExactSums:
    """A row of sums that never wrap around: int64 as long as that is safe, Python integers from then on."""

    __slots__ = ("_bound", "sums")

    def __init__(self, size: int) -> None:
        self.sums: NDArray[Any] = np.zeros(size, np.int64)
        self._bound = 0  # no sum is larger in size

    def add(self, where: Integers, values: Integers) -> None:
        """Add each value to the sum at its index; an index may occur many times."""
        if len(values) == 0:
            return
        self.raise_bound(int(np.abs(values).max()) * len(values))
        np.add.at(self.sums, where, values)

    def raise_bound(self, by: int) -> None:
        """Say that sums may grow by so much in size, before they do."""
        self._bound += by
        if self._bound >= _SAFE and self.sums.dtype != np.object_:
            self.sums = self.sums.astype(np.object_)


def packed(values: Sequence[int]) -> Integers:
    """A list of Python integers as an array that can't be written to. Raises `OverflowError` past int64.

    `struct` does it in under half the time of `numpy.array`, and half of the cost of metrics is such lists.
    """
    try:
        return np.frombuffer(pack(f"{len(values)}q", *values), np.int64)
    except struct_error:
        raise OverflowError("an instant lies past 2^63 - 1 time units; use fewer units per second") from None


class Histogram:
    """The distribution of non-negative whole numbers."""

    __slots__ = ("_counts", "bits", "count", "max", "min", "total")

    def __init__(self, *, bits: int = RUN_BITS) -> None:
        self.bits = bits
        self.count = 0
        self.total = 0  # the exact sum of the values
        self.min: int | None = None
        self.max: int | None = None
        self._counts: Integers = np.zeros(0, np.int64)

    def record(self, values: Integers) -> None:
        """Add an array of values. Raises `ValueError` at a negative one and then adds none. O(n) plus growth."""
        if len(values) == 0:
            return
        low, high = int(values.min()), int(values.max())
        if low < 0:
            raise ValueError(f"value {low} is negative; a histogram takes 0 and more")
        bins = bin_of(values, bits=self.bits)
        self._reserve(int(bins.max()) + 1)
        np.add.at(self._counts, bins, 1)
        self._widen(low, high)
        self.count += len(values)
        self.total += exact_sum(values)

    def merge(self, other: "Histogram") -> None:
        """Add everything that `other` holds. Raises `ValueError` when its bins are cut differently."""
        if other.bits != self.bits:
            raise ValueError(f"bits {other.bits} and {self.bits}: only histograms with the same bins can be merged")
        if other.min is None or other.max is None:
            return
        self._reserve(len(other._counts))
        self._counts[: len(other._counts)] += other._counts
        self._widen(other.min, other.max)
        self.count += other.count
        self.total += other.total

    def mean(self) -> Fraction | None:
        """The exact mean; None when empty."""
        return Fraction(self.total, self.count) if self.count else None

    def quantile(self, q: float | Fraction) -> int | None:
        """The q-quantile, 0 ≤ q ≤ 1; None when empty. O(bins)."""
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Sequence[float | Fraction]) -> list[int | None]:
        """Quantiles as the module's text defines them; None when empty. O(bins) for all together.

        `q` is taken as the decimal number that a person wrote: 0.1 is a tenth, not the float next to it.
        """
        if self.min is None or self.max is None:
            return [None] * len(qs)
        cumulated = np.cumsum(self._counts)
        ranks = np.array([rank_of(q, self.count) for q in qs], np.int64)
        low, high = self.min, self.max
        found = np.searchsorted(cumulated, ranks, side="left").tolist()
        return [
            high if rank == self.count else low if rank == 1 else middle_of(index, self.bits, low, high)
            for rank, index in zip(ranks.tolist(), found, strict=True)
        ]

    def count_up_to(self, value: int) -> int:
        """How many values lie in the bin of `value` or in one before it. O(bins)."""
        place = int(bin_of(np.array([value], np.int64), bits=self.bits)[0])
        return int(self._counts[: place + 1].sum())

    def _reserve(self, bins: int) -> None:
        """Make room for so many bins."""
        if bins > len(self._counts):
            # by whole octaves, so that a slowly growing maximum copies rarely
            octaves = -(-bins >> self.bits)
            grown = np.zeros(max(octaves, 2) << self.bits, np.int64)
            grown[: len(self._counts)] = self._counts
            self._counts = grown

    def _widen(self, low: int, high: int) -> None:
        self.min = low if self.min is None else min(self.min, low)
        self.max = high if self.max is None else max(self.max, high)


def rank_of(q: float | Fraction, count: int) -> int:
    """The rank, 1 … count, of the q-quantile of `count` values. Raises `ValueError` unless 0 ≤ q ≤ 1."""
    if not 0 <= q <= 1:
        raise ValueError(f"q = {q}: expected a fraction from 0 to 1")
    exact = q if isinstance(q, Fraction) else Fraction(repr(float(q)))
    return max(1, ceil(exact * count))


def middle_of(index: int, bits: int, low: int, high: int) -> int:
    """The middle of a bin, kept within `low` and `high`."""
    first, last = bounds_of(index, bits=bits)
    return min(max((first + last) // 2, low), high)


class HistogramRows:
    """A coarse histogram for each of a fixed number of rows; rows can be merged in pairs."""

    __slots__ = ("_counts", "_max", "_min", "_sums", "bits")

    def __init__(self, rows: int, *, bits: int = BUCKET_BITS) -> None:
        self.bits = bits
        self._counts: Integers = np.zeros((rows, 2 << bits), np.int64)
        self._sums = ExactSums(rows)
        self._min: Integers = np.full(rows, np.iinfo(np.int64).max, np.int64)
        self._max: Integers = np.full(rows, -1, np.int64)

    def record(self, rows: Integers, values: Integers) -> None:
        """Add each value, non-negative, to its row."""
        if len(values) == 0:
            return
        bins = bin_of(values, bits=self.bits)
        needed = int(bins.max()) + 1
        have = self._counts.shape[1]
        if needed > have:
            octaves = -(-needed >> self.bits)
            self._counts = np.pad(self._counts, ((0, 0), (0, (octaves << self.bits) - have)))
        # one flat index: numpy adds by two several times slower
        np.add.at(self._counts.reshape(-1), rows * self._counts.shape[1] + bins, 1)
        self._sums.add(rows, values)
        np.minimum.at(self._min, rows, values)
        np.maximum.at(self._max, rows, values)

    def merge_pairs(self) -> None:
        """Rows 2i and 2i + 1 become row i; the upper half becomes empty."""
        half = len(self._counts) // 2
        for table in (self._counts, self._sums.sums):
            table[:half] = table[0::2] + table[1::2]
            table[half:] = 0
        self._min[:half] = np.minimum(self._min[0::2], self._min[1::2])
        self._min[half:] = np.iinfo(np.int64).max
        self._max[:half] = np.maximum(self._max[0::2], self._max[1::2])
        self._max[half:] = -1

    def merge_down(self, row: int) -> None:
        """Row `row` is added to the one before it and becomes empty."""
        for table in (self._counts, self._sums.sums):
            table[row - 1] += table[row]
            table[row] = 0
        self._min[row - 1] = min(self._min[row - 1], self._min[row])
        self._max[row - 1] = max(self._max[row - 1], self._max[row])

    def count(self, row: int) -> int:
        """How many values the row holds."""
        return int(self._counts[row].sum())

    def mean(self, row: int) -> Fraction | None:
        """The exact mean of the row's values; None when it is empty."""
        count = self.count(row)
        return Fraction(int(self._sums.sums[row]), count) if count else None

    def quantiles(self, row: int, qs: Sequence[float | Fraction]) -> list[int | None]:
        """Quantiles of the row's values, as of `Histogram`; None when it is empty."""
        cumulated = np.cumsum(self._counts[row])
        count = int(cumulated[-1])
        if count == 0:
            return [None] * len(qs)
        low, high = int(self._min[row]), int(self._max[row])
        ranks = np.array([rank_of(q, count) for q in qs], np.int64)
        found = np.searchsorted(cumulated, ranks, side="left").tolist()
        return [
            high if rank == count else low if rank == 1 else middle_of(index, self.bits, low, high)
            for rank, index in zip(ranks.tolist(), found, strict=True)
        ]
