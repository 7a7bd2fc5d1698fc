"""Faults that take a long history: found by walks, and told in few calls."""

from collections.abc import Callable
from functools import partial
from heapq import heapify, heappop

import pytest

import models.walks
from jsm import _heap
from jsm._heap import KeyHeap
from jsm.machine import Machine
from models.check_result import VIOLATED
from models.explorer import explore
from models.finding import find_fault
from models.scope import SCOPES
from models.walks_run import Trip, run_walk
from models.walks_shrink import counterexample_of
from tests.long_faults import SIMPLE, TIMEOUTS, WRAP, CountsDrift, IdsWrap, TotalForgets, codes_of

LARGE = SCOPES["large"]
walk = partial(models.walks.walk, share_states_max=0)


@pytest.mark.parametrize(
    ("machine", "name", "most"),
    [
        (IdsWrap, "ids_strictly_increase", WRAP),
        (CountsDrift, "statistics_equal_a_recount", 2 * TIMEOUTS + 20),
        (TotalForgets, "totals", 64),
    ],
)
def test_what_shows_late_is_found_and_made_short(machine: type[Machine], name: str, most: int) -> None:
    result = walk(SIMPLE, walks=10, steps=2_000, make_machine=machine)
    assert result.verdict == VIOLATED
    assert result.failed_steps > 100
    shown = result.counterexample
    assert shown is not None
    assert len(shown.calls) <= most
    assert name in f"{shown.finding.name} {shown.finding.found}"
    assert find_fault(shown.calls, make_machine=machine) is not None
    assert find_fault(shown.calls[:-1], make_machine=machine) is None
    assert find_fault(shown.calls) is None


def drops_a_live_key(stale_min: int) -> Callable[[KeyHeap, int], None]:
    """`KeyHeap.remove` as it is, but for one key too many that goes with the stale ones."""

    def remove(self: KeyHeap, key: int) -> None:
        keys = self.keys
        if keys[0] == key:
            heappop(keys)
            while self.stale and keys and keys[0] in self.stale:
                self.stale.remove(heappop(keys))
            return
        stale = self.stale = set() if self.stale is None else self.stale
        stale.add(key)
        if len(stale) > stale_min and 2 * len(stale) > len(keys):
            keys[:] = [each for each in keys if each not in stale][: max(len(keys) - len(stale) - 1, 1)]
            heapify(keys)
            stale.clear()

    return remove


@pytest.mark.parametrize(
    ("stale_min", "walks", "steps"),
    [(6, 20, 2_000), pytest.param(_heap.STALE_MIN, 30, 10_000, marks=pytest.mark.slow)],
)
def test_a_compaction_that_drops_a_live_key_is_found(
    monkeypatch: pytest.MonkeyPatch, stale_min: int, walks: int, steps: int
) -> None:
    monkeypatch.setattr(KeyHeap, "remove", drops_a_live_key(stale_min))
    result = walk(LARGE, walks=walks, steps=steps)
    assert result.verdict == VIOLATED
    assert result.failed_steps > stale_min
    assert result.counterexample is not None
    assert stale_min < len(result.counterexample.calls) < 6 * stale_min + 60


def test_the_explorer_sees_none_of_it() -> None:
    world = SCOPES["tiny"].but(delays=(0,), timeouts=(None,), late=False, ahead=False)
    for machine in (IdsWrap, CountsDrift):
        assert explore(world, make_machine=machine).verdict == "holds"


def test_a_short_search_is_an_answer_too() -> None:
    fault = run_walk(Trip(SIMPLE, IdsWrap, 0, 2_000), 0).fault
    assert fault is not None
    quick = counterexample_of(fault, SIMPLE, make_machine=IdsWrap, steps_max=len(codes_of(fault)) * 12)
    assert WRAP <= len(quick.calls) < len(codes_of(fault))
    assert find_fault(quick.calls, make_machine=IdsWrap) is not None
