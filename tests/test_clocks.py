"""The clocks of the server: real time read as whole units, faster or slower, and time that is advanced by hand."""

from collections.abc import Callable
from fractions import Fraction
from math import ceil

import pytest

from jsm.errors import BadValueError
from jsm.wire.clocks import Clock, ManualClock, RealClock, ScaledClock


class Nanoseconds:
    """A system clock that a test sets."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def dues(*instants: int) -> tuple[list[int], Callable[[], int | None]]:
    """A list of instants at which something is due, and a look at the first; whoever ticks removes what is past."""
    left = list(instants)
    return left, lambda: left[0] if left else None


def test_real_time_begins_at_its_start_and_counts_whole_units() -> None:
    system = Nanoseconds(5_000_000_123)
    clock = RealClock(units_per_second=1_000_000, start_at=77, read_ns=system)
    assert clock.now() == 77
    system.at += 999
    assert clock.now() == 77
    system.at += 1
    assert clock.now() == 78
    system.at += 3_600_000_000_000
    assert clock.now() == 78 + 3_600_000_000


def test_real_time_says_how_long_to_sleep() -> None:
    system = Nanoseconds(0)
    clock = RealClock(units_per_second=1000, read_ns=system)
    assert clock.seconds_until(2500) == 2.5
    system.at = 2_000_000_000
    assert clock.seconds_until(2500) == 0.5
    assert clock.seconds_until(2000) == 0.0
    assert clock.seconds_until(1) == 0.0


def test_whoever_sleeps_as_long_as_it_says_wakes_when_it_is_due() -> None:
    system = Nanoseconds(17)
    clock = ScaledClock(Fraction(7, 3), units_per_second=1_000_000, start_at=5, read_ns=system)
    system.at += ceil(clock.seconds_until(1_000_000) * 10**9)
    assert 0 <= clock.now() - 1_000_000 <= 1


@pytest.mark.parametrize(
    ("factor", "after_a_second", "until_a_minute"), [(60, 60_000, 1.0), (Fraction(1, 2), 500, 120.0), (1, 1000, 60.0)]
)
def test_scaled_time_passes_faster_or_slower(
    factor: int | Fraction, after_a_second: int, until_a_minute: float
) -> None:
    system = Nanoseconds(10**18)
    clock = ScaledClock(factor, units_per_second=1000, read_ns=system)
    assert clock.seconds_until(60_000) == until_a_minute
    system.at += 10**9
    assert clock.now() == after_a_second


def test_real_clocks_read_the_systems_clock() -> None:
    clock: Clock = RealClock(units_per_second=1_000_000_000)
    before = clock.now()
    assert 0 <= before <= clock.now() < 60 * 10**9


@pytest.mark.parametrize("factor", [0, -1, 1_000_001, Fraction(-1, 2)])
def test_a_factor_out_of_bounds_is_refused(factor: int | Fraction) -> None:
    with pytest.raises(BadValueError, match=r"^factor = .*: expected a number above 0, at most 1000000$"):
        ScaledClock(factor, units_per_second=1)


def test_manual_time_stands_still() -> None:
    clock = ManualClock(units_per_second=10, start_at=3)
    assert clock.now() == 3
    assert clock.seconds_until(3) == 0.0
    assert clock.seconds_until(4) is None


def test_manual_time_stops_at_each_due_instant_on_its_way() -> None:
    clock = ManualClock(units_per_second=10, start_at=3)
    left, next_due_at = dues(5, 7, 23, 40)
    stops = []
    for instant in clock.advance(2.0, next_due_at):
        assert clock.now() == instant
        stops.append(instant)
        left[:] = [due for due in left if due > instant]
    assert stops == [5, 7, 23]
    assert clock.now() == 23
    assert left == [40]


def test_manual_time_stops_at_what_becomes_due_on_its_way() -> None:
    clock = ManualClock(units_per_second=1)
    left, next_due_at = dues(4)
    stops = []
    for instant in clock.advance(10, next_due_at):
        stops.append(instant)
        left[:] = [instant + 4]
    assert stops == [4, 8, 10]


def test_manual_time_gives_its_end_even_when_nothing_is_due() -> None:
    clock = ManualClock(units_per_second=4)
    assert list(clock.advance(0.5, lambda: None)) == [2]
    assert list(clock.advance(0, lambda: None)) == [2]


def test_manual_time_goes_on_though_a_tick_was_refused() -> None:
    clock = ManualClock(units_per_second=1)
    assert list(clock.advance(10, lambda: 4)) == [4, 10]
    assert list(clock.advance(10, lambda: 4)) == [20]


@pytest.mark.parametrize("seconds", [-1, -0.001, 2**33 + 1, float("nan"), float("inf")])
def test_an_advance_out_of_bounds_is_refused_and_moves_nothing(seconds: float) -> None:
    clock = ManualClock(units_per_second=1)
    with pytest.raises(BadValueError, match=r"^seconds = .*: expected a number from 0 to 8589934592$"):
        clock.advance(seconds, lambda: None)
    assert clock.now() == 0
