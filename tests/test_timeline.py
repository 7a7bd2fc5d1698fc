"""A timeline's counts and integrals are exact by bucket, however events are cut, ordered and merged."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jsm.errors import InvariantViolation
from sim.timeline import BUCKETS_MAX, Bucket, Timeline

CHANGES = (1, -1, 0)  # what the three kinds do to the level


def _made(events: list[tuple[int, int]], cuts: int = 1) -> Timeline:
    timeline = Timeline(kinds=3, measures=1, units_per_second=1)
    for number in range(cuts):
        part = events[number::cuts]
        at = np.array([at for at, _ in part], np.int64)
        timeline.events(at, np.array([kind for _, kind in part], np.int64))
        timeline.values(0, at, at * 3)
    return timeline


def _area(events: list[tuple[int, int]], bucket: Bucket) -> int:
    """The integral followed step by step."""
    area = level = clock = 0
    for at, kind in [*sorted(events), (bucket.ends_at, 2)]:
        area += level * max(0, min(at, bucket.ends_at) - max(clock, bucket.begins_at))
        clock = max(clock, at)
        level += CHANGES[kind]
    return area


def _facts(timeline: Timeline, ended_at: int) -> tuple[object, ...]:
    buckets = timeline.close(ended_at)
    rows = range(len(buckets))
    measure = timeline.measures[0]
    return (
        buckets,
        [timeline.counts([kind], len(buckets)) for kind in range(3)],
        timeline.integrals(CHANGES, buckets),
        [(measure.count(row), measure.mean(row), measure.quantiles(row, (0.5, 1))) for row in rows],
    )


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 2)), max_size=40),
    st.sampled_from([0, 1, 511, 512, 513, 1024, 5000]),
    st.integers(1, 4),
)
def test_counts_and_integrals_are_exact(events: list[tuple[int, int]], ended_at: int, cuts: int) -> None:
    events = [(min(at, ended_at), kind) for at, kind in events]
    timeline = _made(events, cuts)
    buckets = timeline.close(ended_at)
    assert 1 <= len(buckets) <= BUCKETS_MAX
    assert (buckets[0].begins_at, buckets[-1].ends_at) == (0, ended_at)
    assert all(first.ends_at == second.begins_at for first, second in pairwise(buckets))
    last = buckets[-1]
    for kind in range(3):
        assert timeline.counts([kind], len(buckets)) == [
            sum(1 for at, of in events if of == kind and b.begins_at <= at and (at < b.ends_at or b is last))
            for b in buckets
        ]
    assert timeline.integrals(CHANGES, buckets) == [_area(events, bucket) for bucket in buckets]


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 2)), min_size=1, max_size=60), st.integers(2, 9))
def test_order_and_cuts_do_not_matter(events: list[tuple[int, int]], cuts: int) -> None:
    shuffled = events[:]
    random.Random(cuts).shuffle(shuffled)
    assert _facts(_made(shuffled, cuts), 3000) == _facts(_made(events), 3000)


def test_width_doubles_when_the_run_outlives_the_buckets() -> None:
    for ended_at, width in ((511, 1), (512, 2), (1023, 2), (1024, 4), (100_000, 256)):
        timeline = Timeline(kinds=1, measures=0, units_per_second=1)
        timeline.cover(ended_at)
        assert timeline.width == width


def test_widths_from_a_second_on_are_whole_seconds() -> None:
    timeline = Timeline(kinds=1, measures=0, units_per_second=1_000_000)
    assert timeline.width == 15_625
    timeline.cover(3600 * 1_000_000)
    assert timeline.width == 8 * 1_000_000


def test_the_very_end_belongs_to_the_last_bucket() -> None:
    timeline = _made([(0, 0), (4, 0), (4, 1)])
    buckets = timeline.close(4)
    assert buckets == [Bucket(0, 1), Bucket(1, 2), Bucket(2, 3), Bucket(3, 4)]
    assert timeline.counts([0, 1], 4) == [1, 0, 0, 2]
    assert timeline.integrals(CHANGES, buckets) == [1, 1, 1, 1]
    assert [timeline.measures[0].count(row) for row in range(4)] == [1, 0, 0, 2]


def test_a_run_of_no_length_has_one_empty_bucket() -> None:
    timeline = _made([(0, 0), (0, 1)])
    buckets = timeline.close(0)
    assert buckets == [Bucket(0, 0)]
    assert timeline.integrals(CHANGES, buckets) == [0]


def test_an_event_after_the_end_is_refused() -> None:
    timeline = _made([(7, 0)])
    with pytest.raises(InvariantViolation, match=r"nothing_happens_after_the_end: an event at 7 .* end of the run, 6"):
        timeline.close(6)


def test_integrals_never_wrap_around() -> None:
    # each of the offsets fits, their sum does not
    end = 2**61
    timeline = _made([(end - 1 - number, 0) for number in range(3000)])
    buckets = timeline.close(end)
    assert sum(timeline.integrals(CHANGES, buckets)) == sum(1 + number for number in range(3000))
    early = _made([(0, 0)] * 3000)
    early.cover(end)
    assert sum(early.integrals(CHANGES, early.close(end))) == 3000 * end
