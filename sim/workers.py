"""SimPy processes that reserve jobs and work on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from simpy.events import Timeout
from simpy.exceptions import Interrupt

from jsm.errors import JsmError
from jsm.job import ClientID, JobID, TubeName
from jsm.reservations import Reservation, ReservationStatus
from sim.distributions import Exponential, probability_sampler, units_sampler
from sim.run_result import Outcome
from sim.scenario_models import BuryPolicy, JobService, Pool, ReleasePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from simpy.events import Event

    from sim.book import JobBook
    from sim.driver import Driver
    from sim.streams import Streams

_DONE = Outcome.DONE  # a plain name: see `jsm.states.READY`


class Drain(Protocol):
    """What wants to know, once arrivals are over, that a job was deleted or buried."""

    is_on: bool

    def job_ended(self) -> None:
        """Called after each such job; does nothing before `is_on`."""


@dataclass(frozen=True, slots=True)
class WorkContext:
    """What all workers of a run share; the two callables are `Metrics.work` and `Metrics.absent`, or None."""

    driver: Driver
    book: JobBook
    keeps_book: bool  # something is noted of some jobs
    work: Callable[[int, int, int, int, Outcome], None] | None
    absent: Callable[[int, int, int, int], None] | None
    drain: Drain


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
        self._chance: Iterator[float] | None = None
        if pool.failure is not None:
            self._chance = probability_sampler(streams.stream(f"{name}/failure"))
            self._failure_probability = pool.failure.probability
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
        self._is_plain = (
            self._service is not None
            and pool.redraw == "each-attempt"
            and not pool.gives_up_at_ttr
            and pool.touch_every_seconds is None
            and pool.max_attempts is None
        )
        self._env = context.driver.env
        self._delete = context.driver.machine.delete
        self._working_since: int | None = None
        self._absent_since: int | None = None

    def run(self) -> Generator[Event, Any, None]:
        """The process; it ends with the run."""
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
        driver, service = self._context.driver, self._service
        env, reserve = driver.env, driver.reserve
        client_id, tubes, timeout = self._client_id, self._tubes, self._timeout
        matched, deadline_soon = ReservationStatus.MATCHED, ReservationStatus.DEADLINE_SOON
        report, (pool_index, number) = self._context.work, self._place
        is_plain, finish = self._is_plain, self._finish
        while True:
            answer: Any = reserve(client_id, tubes, timeout)
            if type(answer) is not Reservation:
                answer = yield answer
            if answer.status is not matched:
                if answer.status is deadline_soon:
                    # It holds a job that it gave up on; asking again before that expires gets the same answer.
                    yield Timeout(env, self._units_per_second)
                continue
            began_at = self._working_since = env.now
            if is_plain and service is not None:
                yield Timeout(env, next(service))
                outcome = finish(answer.job_id)
            else:
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
                return self._bury(job_id, None)
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
                return self._finish(job_id)
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

    def _finish(self, job_id: JobID) -> Outcome:
        """Delete the job whose work is done, or do what the policy says when it failed."""
        if self._chance is not None and next(self._chance) < self._failure_probability:
            return self._fail(job_id)
        try:
            self._delete(job_id, self._client_id, now=self._env.now)
        except JsmError:
            return Outcome.LATE  # its ttr ran out and somebody else holds it or has finished it
        context = self._context
        if context.keeps_book:
            context.book.forget(job_id)
        if context.drain.is_on:
            context.drain.job_ended()
        return _DONE

    def _fail(self, job_id: JobID) -> Outcome:
        failure, driver = self._pool.failure, self._context.driver
        assert failure is not None
        try:
            view = driver.machine.get_job(job_id, now=driver.env.now)
            failures = self._context.book.fail(job_id)
            if self._pool.max_attempts is not None and view.reserves >= self._pool.max_attempts:
                return self._bury(job_id, None)
            match failure.policy:
                case ReleasePolicy() as policy:
                    driver.machine.release_with(
                        driver.env.now,
                        job_id,
                        self._client_id,
                        priority=view.priority if policy.priority is None else policy.priority,
                        delay_seconds=policy.delay_seconds(failures),
                    )
                    driver.settle()
                case BuryPolicy() as policy:
                    return self._bury(job_id, policy.priority)
                case _:
                    pass  # the ttr is to run out
        except JsmError:
            return Outcome.LATE
        return Outcome.FAILED

    def _bury(self, job_id: JobID, priority: int | None) -> Outcome:
        driver = self._context.driver
        try:
            if priority is None:
                priority = driver.machine.get_job(job_id, now=driver.env.now).priority
            driver.machine.bury(driver.env.now, job_id, self._client_id, priority=priority)
        except JsmError:
            return Outcome.LATE
        self._context.drain.job_ended()
        return Outcome.FAILED

    def _end_work(self, outcome: Outcome) -> None:
        if self._working_since is not None:
            if self._context.work is not None:
                self._context.work(*self._place, self._working_since, self._env.now, outcome)
            self._working_since = None

    def _end_absence(self, at: int) -> None:
        if self._absent_since is not None and self._context.absent is not None:
            self._context.absent(*self._place, self._absent_since, at)
        self._absent_since = None
