"""Workers that reserve, work and end jobs and do nothing else: callbacks in place of a SimPy process.

What `sim.workers` does with a process, without crashes, touches and giving up, for less: there is no
generator to resume and no event to make for each job. Most pools are plain; a worker of one and a process with the
same streams have the same history (`tests/test_plain_workers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpy.events import NORMAL, URGENT

from jsm.job import ClientID, JobID
from jsm.reservations import ReservationStatus
from sim.distributions import units_sampler
from sim.environment import Alarm
from sim.run_result import Outcome
from sim.scenario_models import JobService, Pool
from sim.work import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpy.events import Event

    from jsm.job import TubeName
    from jsm.reservations import Reservation
    from sim.contexts import WorkContext
    from sim.streams import Streams

_MATCHED = ReservationStatus.MATCHED  # a plain name: see `jsm.states.READY`


def is_plain(pool: Pool) -> bool:
    """Whether the workers of a pool only reserve, work and end jobs."""
    return (
        pool.crash is None
        and pool.touch_every_seconds is None
        and pool.max_attempts is None
        and pool.redraw == "each-attempt"
        and not pool.gives_up_at_ttr
    )


class PlainWorker:
    """One worker of a plain pool."""

    __slots__ = (
        "_alarm",
        "_began_at",
        "_client_id",
        "_context",
        "_end_job",
        "_env",
        "_job_id",
        "_place",
        "_pool",
        "_report",
        "_reserve",
        "_service",
        "_start_alarm",
        "_timeout",
        "_tubes",
        "_work",
    )

    def __init__(
        self,
        pool: Pool,
        pool_index: int,
        number: int,
        tubes: tuple[TubeName, ...],
        context: WorkContext,
        streams: Streams,
    ) -> None:
        self._pool = pool
        self._place = (pool_index, number)
        self._tubes = tubes
        self._context = context
        self._client_id = ClientID(f"{pool.name}/{number}")
        self._env = context.driver.env
        units = context.driver.machine.units_per_second
        self._service: Iterator[int] | None = None
        if not isinstance(pool.service, JobService):
            self._service = units_sampler(pool.service, streams.stream(f"workers/{self._client_id}/service"), units)
        self._work = context.book.work
        self._timeout = None if pool.reserve_timeout_seconds is None else pool.reserve_timeout_seconds * units
        self._reserve = context.driver.reserve
        self._end_job = Ending(pool, self._client_id, context, streams).finish
        self._report = context.work
        self._alarm = Alarm(self._env, self._done)
        self._start_alarm = Alarm(self._env, self._appear)
        self._job_id = JobID(0)
        self._began_at = -1  # -1: it doesn't work

    def start(self) -> None:
        """Let it appear when its pool says."""
        start_at = round(self._pool.start_at_seconds * self._context.driver.machine.units_per_second)
        self._start_alarm.set(start_at, NORMAL if start_at else URGENT)

    def finish(self, at: int) -> None:
        """Report the piece of work or the absence that the end of the run cuts off."""
        if self._began_at >= 0 and self._report is not None:
            self._report(*self._place, self._began_at, at, Outcome.UNFINISHED)
        start_at = round(self._pool.start_at_seconds * self._context.driver.machine.units_per_second)
        if at < start_at and self._context.absent is not None:
            self._context.absent(*self._place, 0, at)

    def _appear(self, _: Event) -> None:
        start_at = self._env.now
        if start_at and self._context.absent is not None:
            self._context.absent(*self._place, 0, start_at)
        machine = self._context.driver.machine
        for tube in self._tubes:
            machine.watch_tube(self._client_id, tube, now=start_at)
        self._ask()

    def _ask(self, _: Event | None = None) -> None:
        """Ask for a job; unless there is one at once, `_answered` hears of it."""
        answer = self._reserve(self._client_id, self._tubes, self._timeout, self._answered)
        if answer is not None:
            self._answered(answer)

    def _answered(self, answer: Reservation) -> None:
        """Begin to work, or ask again after an answer without a job."""
        if answer.status is not _MATCHED:
            again = Alarm(self._env, self._ask)
            # It holds a job that failed and is left to its ttr; before that expires it would hear the same again.
            soon = answer.status is ReservationStatus.DEADLINE_SOON
            again.set(self._context.driver.machine.units_per_second if soon else 0)
            return
        job_id = self._job_id = answer.job_id
        self._began_at = self._env.now
        service = self._service
        self._alarm.set(self._work[job_id] if service is None else next(service))

    def _done(self, _: Event) -> None:
        now = self._env.now
        outcome = self._end_job(self._job_id, now)
        report = self._report
        if report is not None:
            pool, number = self._place
            report(pool, number, self._began_at, now, outcome)
        self._began_at = -1
        self._ask()
