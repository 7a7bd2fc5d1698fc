"""SimPy's environment on whole time units, with alarms: events that are set again and again."""

from __future__ import annotations

from heapq import heappush
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from simpy.core import Environment
from simpy.events import NORMAL, Event

if TYPE_CHECKING:
    from collections.abc import Callable


class UnitEnvironment(Environment):
    """SimPy's environment on whole time units."""

    if TYPE_CHECKING:

        @property
        def now(self) -> int:
            """The instant, in units."""

    else:
        now = property(attrgetter("_now"), doc="The instant, in units.")  # in C; SimPy's own is in Python


class Alarm(Event):
    """An event of its owner's own: it calls one function when it goes off, and can then be set anew.

    It does what a process does that yields one timeout after the other, without a generator to resume and an event to
    make each time: less than half the price (`reports/decisions/0005-speed-of-the-simulator.md`).
    """

    def __init__(self, env: UnitEnvironment, ring: Callable[[Event], None]) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        self._ring = [ring]
        self._queue: list[Any] = env._queue
        self._numbers = env._eid

    def set(self, delay: int, priority: int = NORMAL) -> None:
        """Go off so many units from now; it must not be set already."""
        self.callbacks = self._ring
        heappush(self._queue, (self.env._now + delay, priority, next(self._numbers), self))
