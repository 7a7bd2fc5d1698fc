"""The clocks that a server runs on: real time, real time at another pace, and time that moves when it is told to.

Instants are integers in the machine's time units. A clock starts at a given instant, so that a machine that was
recovered goes on where it stood. It never goes backwards: real time is the system's monotonic clock.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from time import monotonic_ns
from typing import Final, Protocol

from jsm.errors import BadValueError

_NS_PER_SECOND: Final = 1_000_000_000
FACTOR_MAX: Final = 1_000_000  # of a scaled clock: at a million, eleven days pass in a second
ADVANCE_SECONDS_MAX: Final = 2**33  # beyond any delay, ttr and pause of the protocol


class Clock(Protocol):
    """What a server asks: the instant, and how long to sleep until another."""

    @property
    def units_per_second(self) -> int:
        """Time units a second, those of the machine."""

    def now(self) -> int:
        """The instant, in time units; never less than an earlier answer."""

    def seconds_until(self, at: int) -> float | None:
        """Real seconds until the instant `at`, 0 when it has come; None when time doesn't pass by itself."""


class ScaledClock:
    """Real time, `factor` times as fast: a ttr of a minute ends after a second at a factor of 60."""

    __slots__ = ("_denominator", "_numerator", "_origin_ns", "_read_ns", "_start_at", "factor", "units_per_second")

    def __init__(
        self,
        factor: int | Fraction,
        *,
        units_per_second: int,
        start_at: int = 0,
        read_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        if not 0 < factor <= FACTOR_MAX:
            raise BadValueError("factor", factor, f"a number above 0, at most {FACTOR_MAX}")
        self.factor = Fraction(factor)
        self.units_per_second = units_per_second
        units_per_ns = self.factor * units_per_second / _NS_PER_SECOND
        self._numerator, self._denominator = units_per_ns.numerator, units_per_ns.denominator
        self._start_at = start_at
        self._read_ns = read_ns
        self._origin_ns = read_ns()

    def now(self) -> int:
        """See `Clock.now`."""
        return self._start_at + (self._read_ns() - self._origin_ns) * self._numerator // self._denominator

    def seconds_until(self, at: int) -> float:
        """See `Clock.seconds_until`."""
        left = at - self.now()
        return left * self._denominator / (self._numerator * _NS_PER_SECOND) if left > 0 else 0.0


class RealClock(ScaledClock):
    """Real time."""

    __slots__ = ()

    def __init__(self, *, units_per_second: int, start_at: int = 0, read_ns: Callable[[], int] = monotonic_ns) -> None:
        super().__init__(1, units_per_second=units_per_second, start_at=start_at, read_ns=read_ns)


class ManualClock:
    """Time that stands still until it is told to advance."""

    __slots__ = ("_now", "units_per_second")

    def __init__(self, *, units_per_second: int, start_at: int = 0) -> None:
        self.units_per_second = units_per_second
        self._now = start_at

    def now(self) -> int:
        """See `Clock.now`."""
        return self._now

    def seconds_until(self, at: int) -> float | None:
        """0 when the instant has come, else None: only `advance` makes it come."""
        return 0.0 if at <= self._now else None

    def advance(self, seconds: float, next_due_at: Callable[[], int | None]) -> Iterator[int]:
        """Move on by `seconds`, rounded to whole units, and give each instant at which something is due on the way.

        The clock shows the instant while the caller does what is due; `next_due_at` is asked again after it. The last
        instant given is where the clock ends, due or not, so that a caller can tick at each. What stays due at an
        instant that was given (a tick that was refused) isn't given twice.

        Raises `BadValueError`.
        """
        if not 0 <= seconds <= ADVANCE_SECONDS_MAX:  # refuses what is not a number, too
            raise BadValueError("seconds", seconds, f"a number from 0 to {ADVANCE_SECONDS_MAX}")
        return self._stops(self._now + round(seconds * self.units_per_second), next_due_at)

    def _stops(self, end: int, next_due_at: Callable[[], int | None]) -> Iterator[int]:
        while (due := next_due_at()) is not None and self._now < due < end:
            self._now = due
            yield due
        self._now = end
        yield end
