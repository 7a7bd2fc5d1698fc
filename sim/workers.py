"""SimPy processes that reserve jobs and work on them, touch them, give up, crash and come back.

Pools that need nothing of that have the cheaper workers of `sim.plain_workers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simpy.events import Event, Timeout
from simpy.exceptions import Interrupt

from jsm.errors import JsmError
from jsm.job import ClientID, JobID, TubeName
from jsm.reservations import ReservationStatus
from sim.distributions import Exponential, units_sampler
from sim.run_result import Outcome
from sim.scenario_models import JobService, Pool
from sim.work import Ending

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from simpy.events import Process

    from sim.contexts import WorkContext
    from sim.streams import Streams


class Worker:
    """One worker of a pool: reserve, work, delete; or fail, be late, crash."""

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
        units = self._units_per_second = context.driver.machine.units_per_second
        name = f"workers/{pool.name}/{number}"
        self._service: Iterator[int] | None = None
        if not isinstance(pool.service, JobService):
            self._service = units_sampler(pool.service, streams.stream(f"{name}/service"), units)
        self._lives: Iterator[int] | None = None
        self._restarts: Iterator[int] | None = None
        if pool.crash is not None:
            between = Exponential(kind="exponential", mean_seconds=pool.crash.mean_seconds_between)
            self._lives = units_sampler(between, streams.stream(f"{name}/crash"), units)
            self._restarts = units_sampler(pool.crash.restart_seconds, streams.stream(f"{name}/restart"), units)
        self._timeout = None if pool.reserve_timeout_seconds is None else pool.reserve_timeout_seconds * units
        self._touch_every = (
            None if pool.touch_every_seconds is None else max(round(pool.touch_every_seconds * units), 1)
        )
        self._env = context.driver.env
        self._ending = Ending(pool, self._client_id, context, streams)
        self._working_since: int | None = None
        self._absent_since: int | None = None

    def start(self) -> Process:
        """Start the process; it ends with the run."""
        return self._env.process(self._run())

    def _run(self) -> Generator[Event, Any, None]:
        start_at = round(self._pool.start_at_seconds * self._units_per_second)
        if start_at:
            yield from self._stay_away(start_at)
        env = self._context.driver.env
        while True:
            try:
                self._connect()
                if self._lives is not None:
                    env.process(self._doom(next(self._lives), env.active_process))
                yield from self._serve()
            except Interrupt:
                self._end_work(Outcome.CRASHED)
                self._context.driver.close(self._client_id)
                assert self._restarts is not None  # only a pool with crashes interrupts
                yield from self._stay_away(next(self._restarts))

    def finish(self, at: int) -> None:
        """Report the piece of work or the absence that the end of the run cuts off."""
        self._end_work(Outcome.UNFINISHED)
        self._end_absence(at)

    # ------------------------------------------------------------------ the steps of a life

    def _connect(self) -> None:
        driver = self._context.driver
        for tube in self._tubes:
            driver.machine.watch_tube(self._client_id, tube, now=driver.env.now)

    def _doom(self, units: int, process: Any) -> Generator[Event, Any, None]:
        """The process that ends this life of the worker."""
        yield self._context.driver.env.timeout(units)
        process.interrupt()

    def _stay_away(self, units: int) -> Generator[Event, Any, None]:
        env = self._context.driver.env
        self._absent_since = env.now
        yield env.timeout(units)
        self._end_absence(env.now)

    def _serve(self) -> Generator[Event, Any, None]:
        """Reserve and work for ever."""
        driver, env = self._context.driver, self._env
        report, (pool_index, number) = self._context.work, self._place
        while True:
            event = Event(env)
            answer: Any = driver.reserve(self._client_id, self._tubes, self._timeout, event.succeed)
            if answer is None:
                answer = yield event
            if answer.status is not ReservationStatus.MATCHED:
                if answer.status is ReservationStatus.DEADLINE_SOON:
                    # It holds a job that it gave up on; asking again before that expires gets the same answer.
                    yield Timeout(env, self._units_per_second)
                continue
            began_at = self._working_since = env.now
            outcome = yield from self._attempt(answer.job_id)
            self._working_since = None
            if report is not None:
                report(pool_index, number, began_at, env.now, outcome)

    def _attempt(self, job_id: JobID) -> Generator[Event, Any, Outcome]:
        """Work on a job with everything that a pool may ask for."""
        pool, driver = self._pool, self._context.driver
        env = driver.env
        if pool.max_attempts is not None:
            view = driver.machine.get_job(job_id, now=env.now)
            if view.reserves > pool.max_attempts:
                return self._ending.bury(job_id, None)
        done_at = env.now + self._work_of(job_id)
        ttr = self._context.book.ttr[job_id] if pool.gives_up_at_ttr else None
        expires_at = None if ttr is None else env.now + ttr
        while True:
            touch_at = None if self._touch_every is None else env.now + self._touch_every
            next_at = min(at for at in (done_at, expires_at, touch_at) if at is not None)
            yield env.timeout(next_at - env.now)
            if next_at == expires_at and done_at != next_at:
                return Outcome.GAVE_UP
            if next_at == done_at:
                return self._ending.finish(job_id, env.now)
            try:
                driver.machine.touch(env.now, job_id, self._client_id)
            except JsmError:
                continue  # the ttr ran out before the touch; the worker does not know and goes on
            driver.settle()
            expires_at = None if ttr is None else env.now + ttr

    def _work_of(self, job_id: JobID) -> int:
        """The units of work of this attempt."""
        book = self._context.book
        if self._service is None:
            return book.work[job_id]
        if self._pool.redraw == "each-attempt":
            return next(self._service)
        if job_id not in book.work:
            book.work[job_id] = next(self._service)
        return book.work[job_id]

    def _end_work(self, outcome: Outcome) -> None:
        if self._working_since is not None:
            if self._context.work is not None:
                self._context.work(*self._place, self._working_since, self._env.now, outcome)
            self._working_since = None

    def _end_absence(self, at: int) -> None:
        if self._absent_since is not None and self._context.absent is not None:
            self._context.absent(*self._place, self._absent_since, at)
        self._absent_since = None
