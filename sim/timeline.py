"""What happened when: counts, exact time integrals and latencies in at most 512 buckets of equal width.

The width starts fine and doubles, merging the buckets in pairs, whenever the run outlives the last bucket. It
depends on the latest instant only, so the result does not depend on how the events are cut into chunks, nor on
their order; memory does not grow with the run.

A level (how many jobs are ready, how many workers work) is not sampled and not followed step by step: each kind
of event changes it by a constant, so the level's integral over a bucket of width w, at whose begin it is N, is
N·w + the sum of change·(w - offset) over the bucket's events. It is enough to keep, by bucket and kind, the count of
events and the sum of their offsets from the bucket's begin; both can be added up and merged exactly.
"""

from collections.abc import Sequence
from math import gcd
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jsm.errors import InvariantViolation
from sim.histogram import ExactSums, HistogramRows, Integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUCKETS_MAX = 512

_FINEST_PER_SECOND = 64  # a power of two, so that widths from a second on are whole seconds: 1, 2, 4 …


class Bucket(NamedTuple):
    """A bucket of time: [begins_at, ends_at), the last one with its end."""

    begins_at: int
    ends_at: int


class Timeline:
    """Events of a few kinds, and values of a few measures, by bucket of time."""

    __slots__ = ("_counts", "_kinds", "_latest", "_offsets", "measures", "width")

    def __init__(self, *, kinds: int, measures: int, units_per_second: int) -> None:
        self.width = units_per_second // gcd(units_per_second, _FINEST_PER_SECOND)
        self._kinds = kinds
        self._latest = 0
        self._counts: Integers = np.zeros((BUCKETS_MAX, kinds), np.int64)
        self._offsets = ExactSums(BUCKETS_MAX * kinds)  # as `_counts`, row by row
        self.measures = tuple(HistogramRows(BUCKETS_MAX) for _ in range(measures))

    def events(self, at: Integers, kinds: Integers) -> None:
        """Add events: the instant and the kind of each, in any order."""
        if len(at) == 0:
            return
        self.cover(int(at.max()))
        rows = at // self.width
        cells = rows * self._kinds + kinds  # one flat index: numpy adds by two several times slower
        np.add.at(self._counts.reshape(-1), cells, 1)
        self._offsets.add(cells, at - rows * self.width)

    def values(self, measure: int, at: Integers, values: Integers) -> None:
        """Add values of a measure, each to the bucket of its instant."""
        if len(at) == 0:
            return
        self.cover(int(at.max()))
        self.measures[measure].record(at // self.width, values)

    def cover(self, at: int) -> None:
        """Make the buckets reach past the instant."""
        self._latest = max(self._latest, at)
        while self._latest >= self.width * BUCKETS_MAX:
            self._merge_pairs()

    def close(self, ended_at: int) -> list[Bucket]:
        """The buckets of a run that ended at `ended_at`; call it once, after all events.

        What happened at the very end belongs to the last bucket, also when a new one would begin there. Raises
        `InvariantViolation` when an event came later than the end.
        """
        if self._latest > ended_at:
            raise InvariantViolation(
                "nothing_happens_after_the_end", f"an event at {self._latest} lies after the end of the run, {ended_at}"
            )
        self.cover(ended_at)
        last = ended_at // self.width
        if last and last * self.width == ended_at:
            self._merge_down(last)
            last -= 1
        begins = [row * self.width for row in range(last + 1)]
        return [Bucket(begin, min(begin + self.width, ended_at)) for begin in begins]

    def counts(self, kinds: Sequence[int], buckets: int) -> list[int]:
        """How many events of these kinds each of the first buckets saw."""
        counts: list[int] = self._counts[:buckets, list(kinds)].sum(axis=1).tolist()
        return counts

    def integrals(self, changes: Sequence[int], buckets: Sequence[Bucket]) -> list[int]:
        """The exact integral by bucket of the level that is 0 at first and that kind k changes by `changes[k]`."""
        change = self._counts[: len(buckets)].tolist()
        offset = self._offset_rows()[: len(buckets)].tolist()
        level, integrals = 0, []
        for bucket, counts, offsets in zip(buckets, change, offset, strict=True):
            width = bucket.ends_at - bucket.begins_at
            area = level * width
            for kind, by in enumerate(changes):
                if by:
                    area += by * (counts[kind] * width - offsets[kind])
                    level += by * counts[kind]
            integrals.append(area)
        return integrals

    def _offset_rows(self) -> "NDArray[Any]":
        """The sums of offsets by bucket and kind: int64, or Python integers when they might not fit."""
        return self._offsets.sums.reshape(BUCKETS_MAX, self._kinds)

    def _merge_pairs(self) -> None:
        half = BUCKETS_MAX // 2
        counts = self._counts
        # Offsets in the second bucket of a pair grow by the width: they count from the first one's begin.
        self._offsets.raise_bound(self.width * int(counts.sum()))
        offsets = self._offset_rows()
        moved = counts[1::2].astype(offsets.dtype) * self.width
        offsets[:half] = offsets[0::2] + offsets[1::2] + moved
        offsets[half:] = 0
        counts[:half] = counts[0::2] + counts[1::2]
        counts[half:] = 0
        for measure in self.measures:
            measure.merge_pairs()
        self.width *= 2

    def _merge_down(self, row: int) -> None:
        """The bucket that begins at the very end is added to the one before it."""
        self._offsets.raise_bound(self.width * int(self._counts.sum()))
        offsets = self._offset_rows()
        offsets[row - 1] += offsets[row] + self._counts[row].astype(offsets.dtype) * self.width
        self._counts[row - 1] += self._counts[row]
        offsets[row] = 0
        self._counts[row] = 0
        for measure in self.measures:
            measure.merge_down(row)
