"""The machine's heap against a sorted list, with removals, resurrections and compactions."""

from heapq import heappush
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jsm import _heap
from jsm._heap import KeyHeap

STEPS = st.lists(st.tuples(st.sampled_from(["push", "push", "remove"]), st.integers(0, 15)), max_size=120)


def check(heap: KeyHeap, live: list[int]) -> None:
    """Raise `AssertionError` unless the heap is what the sorted list says."""
    assert len(heap) == len(live)
    assert sorted(heap) == live
    assert bool(heap.keys) == bool(live)
    if live:
        assert heap.keys[0] == live[0]
    assert len(set(heap.keys)) == len(heap.keys)
    assert all(heap.keys[(place - 1) // 2] < key for place, key in enumerate(heap.keys) if place)


def run(heap: KeyHeap, steps: list[tuple[str, int]], stale_min: int) -> int:
    """Make the steps that are allowed, check after each, drain; returns how many compactions there were."""
    live: list[int] = sorted(heap)
    compactions = 0
    with patch.object(_heap, "STALE_MIN", stale_min):
        for step, key in steps:
            before = len(heap.keys)
            if step == "push" and key not in live:
                heap.push(key)
                live = sorted([*live, key])
            elif step == "remove" and live:
                key = live[key % len(live)]
                top = heap.keys[0]
                heap.remove(key)
                live.remove(key)
                compactions += key != top and len(heap.keys) < before
            check(heap, live)
        while live:
            heap.remove(live.pop(0))
            check(heap, live)
    return compactions


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(st.sets(st.integers(0, 15)), STEPS, st.sampled_from([0, 1, 3, 64]))
def test_any_history_agrees_with_a_sorted_list(first: set[int], steps: list[tuple[str, int]], stale_min: int) -> None:
    run(KeyHeap(sorted(first, reverse=True)), steps, stale_min)


RESURRECTED_THEN_COMPACTED = [
    *(("push", key) for key in range(8)),
    ("remove", 5),  # stale: 5
    ("push", 5),  # it is live again
    ("remove", 7),
    *(("remove", 1) for _ in range(6)),
]
"""Removing place 5 and 7 of 0 … 7, then the second lowest again and again: all but the top become stale."""


def test_a_stale_key_comes_back_once_and_compaction_keeps_it() -> None:
    assert run(KeyHeap(), RESURRECTED_THEN_COMPACTED, 1) >= 2


class PushedTwice(KeyHeap):
    """The planted fault: a stale key that comes back stands in the list a second time."""

    __slots__ = ()

    def push(self, key: int) -> None:
        """Push without looking whether the key is still there."""
        if self.stale:
            self.stale.discard(key)
        heappush(self.keys, key)


class StaysStale(KeyHeap):
    """The planted fault: a key that comes back is still counted stale."""

    __slots__ = ()

    def push(self, key: int) -> None:
        """Push and leave the stale alone."""
        heappush(self.keys, key)


@pytest.mark.parametrize("broken", [PushedTwice, StaysStale])
def test_a_heap_that_pushes_a_stale_key_again_is_caught(broken: type[KeyHeap]) -> None:
    with pytest.raises(AssertionError):
        run(broken(), RESURRECTED_THEN_COMPACTED, 1)


def test_few_stale_keys_are_not_worth_a_compaction_however_few_the_live() -> None:
    heap = KeyHeap(range(_heap.STALE_MIN + 4))
    for key in range(4, _heap.STALE_MIN + 4):
        heap.remove(key)
    assert (len(heap.keys), len(heap)) == (_heap.STALE_MIN + 4, 4)
    heap.remove(3)
    assert heap.keys == [0, 1, 2]


def test_many_stale_keys_are_compacted_when_they_are_more_than_the_live() -> None:
    heap = KeyHeap(range(200))
    for key in range(199, 99, -1):
        heap.remove(key)
    assert (len(heap.keys), len(heap)) == (200, 100)
    heap.remove(99)
    assert (sorted(heap.keys), len(heap)) == (list(range(99)), 99)


def test_a_compaction_makes_a_heap_of_what_is_left() -> None:
    low, high = iter(range(1, 128)), iter(range(1_000, 1_127))
    levels = [0]  # by level, all that is low on the left and all that is high on the right
    for width in (1, 2, 4, 8, 16, 32, 64):
        levels += [next(low) for _ in range(width)] + [next(high) for _ in range(width)]
    heap = KeyHeap()
    heap.keys = levels
    for key in (1, 2, *range(1_001, 1_127)):  # 1000 moves up, above what is lower
        heap.remove(key)
    left = []
    while heap.keys:
        left.append(heap.keys[0])
        heap.remove(heap.keys[0])
    assert left == [0, *range(3, 128), 1_000]


def test_removing_the_top_uncovers_the_next_live_key() -> None:
    heap = KeyHeap([3, 1, 2, 4])
    for key in (2, 3, 1):
        heap.remove(key)
    assert (heap.keys, len(heap), list(heap)) == ([4], 1, [4])


def test_an_empty_heap_is_empty() -> None:
    heap = KeyHeap()
    assert (len(heap), list(heap), heap.keys) == (0, [], [])
