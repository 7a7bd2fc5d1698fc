"""Machines that go wrong only after a long history: what an exploration, which makes each state anew, can't see."""

from array import array
from typing import Any

from jsm.job import JobID
from jsm.machine import Machine
from jsm.reservations import Reservation
from models.scope import Scope
from models.walks_run import Fault

SIMPLE = Scope(jobs=3, priorities=(0, 1), delays=(0,), timeouts=(None, 0), pauses=(1,), late=False, ahead=False)
"""A world in which walks come to their faults soon."""

WRAP = 40
"""The id after which `IdsWrap` begins again."""

TIMEOUTS = 30
"""The timeouts after which `CountsDrift` counts wrongly."""


class IdsWrap(Machine):
    """Ids begin again at 1 when there have been so many."""

    __slots__ = ()

    def put(self, *args: Any, **words: Any) -> JobID:
        """Put, and wrap the counter."""
        job_id = super().put(*args, **words)
        if self._state.next_job_id > WRAP:
            self._state.next_job_id = JobID(1)
        return job_id


class CountsDrift(Machine):
    """After many timeouts each tick counts an urgent job too many."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Tick, and count."""
        answers = super().tick(now)
        if self._state.job_timeouts > TIMEOUTS:
            self._state.urgent += 1
        return answers


class TotalForgets(Machine):
    """The number of all jobs that ever were is kept in six bits: no invariant of one step is sampled there."""

    __slots__ = ()

    def put(self, *args: Any, **words: Any) -> JobID:
        """Put, and cut the total."""
        job_id = super().put(*args, **words)
        self._state.total_jobs &= 63
        return job_id


def codes_of(fault: Fault) -> list[int]:
    """The steps of a fault."""
    codes = array("L")
    codes.frombytes(fault.steps)
    return list(codes)
