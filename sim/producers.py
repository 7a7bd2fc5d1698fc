"""What puts jobs: an alarm that goes off at every arrival, or a SimPy process that replays a log."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from simpy.events import URGENT, Event, Timeout

from jsm.job import ClientID, JobID, TubeName
from sim.arrivals import put_gaps
from sim.distributions import units_sampler
from sim.environment import Alarm

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sim.contexts import PutContext
    from sim.scenario_models import Producer
    from sim.streams import Streams
    from sim.traces import TraceJobs


class JobSource:
    """One producer of a scenario at work."""

    def __init__(self, producer: Producer, context: PutContext, streams: Streams, trace: TraceJobs | None) -> None:
        self._producer = producer
        self._context = context
        self._trace = trace
        self._units_per_second = context.driver.machine.units_per_second
        self._gaps = put_gaps(producer, streams, self._units_per_second)
        self._work: Iterator[int] | None = None
        if producer.work is not None and context.keeps_work:
            rng = streams.stream(f"producers/{producer.name}/work")
            self._work = units_sampler(producer.work, rng, self._units_per_second)
        self._body = bytes(producer.body_bytes)
        self._class = context.class_index.get(producer.class_name or "", 0)
        self._takes_notes = context.takes_notes
        self._env = context.driver.env
        self._settle = context.driver.settle

    def start(self) -> Event:
        """Begin to put jobs; the event happens after the last one, unless the run's end comes first."""
        env = self._context.driver.env
        if self._trace is not None:
            return env.process(self._replay(self._trace))
        self._is_over = Event(env)
        Alarm(env, self._appear).set(0, URGENT)
        return self._is_over

    def _appear(self, _: Event) -> None:
        machine, producer = self._context.driver.machine, self._producer
        assert isinstance(producer.tube, str)  # only a trace maps its tubes and its priorities
        assert isinstance(producer.priority, int)
        tube = TubeName(producer.tube)
        machine.use_tube(ClientID(producer.name), tube)
        self._put = partial(
            machine.put,
            priority=producer.priority,
            delay_seconds=producer.delay_seconds,
            ttr_seconds=producer.ttr_seconds,
            body=self._body,
            tube=tube,
        )
        self._left = -1 if producer.jobs is None else producer.jobs
        self._alarm = Alarm(self._env, self._arrive)
        self._await_next()

    def _await_next(self) -> None:
        """Set the alarm for the next job; jobs at this very instant are put at once."""
        end_at = self._context.end_at
        for gap in self._gaps:
            if not self._left or (end_at is not None and self._env.now + gap > end_at):
                break
            self._left -= 1
            if gap:
                self._alarm.set(gap)
                return
            self._put_one()
        self._is_over.succeed()

    def _arrive(self, _: Event) -> None:
        self._put_one()
        self._await_next()

    def _put_one(self) -> None:
        job_id = self._put(self._env.now)
        if self._takes_notes:
            self._note(job_id, None if self._work is None else next(self._work), self._class)
        self._settle()

    def _replay(self, trace: TraceJobs) -> Generator[Event, Any, None]:
        driver, producer = self._context.driver, self._producer
        env, put = driver.env, driver.machine.put
        work: Iterator[int | None] = repeat(None)
        if self._context.keeps_work and (trace.work is not None or self._work is not None):
            work = iter(trace.work) if trace.work is not None else iter(self._work or ())
        index = self._context.class_index
        rows = zip(trace.put_at, work, trace.tubes, trace.priorities, trace.classes, strict=False)
        for put_at, units, tube, priority, class_name in rows:
            if put_at > env.now:
                yield Timeout(env, put_at - env.now)
            job_id = put(
                env.now,
                priority=priority,
                delay_seconds=producer.delay_seconds,
                ttr_seconds=producer.ttr_seconds,
                body=self._body,
                tube=TubeName(tube),
            )
            self._note(job_id, units, index[class_name])
            driver.settle()

    def _note(self, job_id: JobID, work: int | None, class_index: int) -> None:
        """Keep what the machine doesn't know of a job, before anything can happen to it."""
        context = self._context
        if work is not None:
            context.book.work[job_id] = work
        if context.keeps_ttr:
            context.book.ttr[job_id] = self._producer.ttr_seconds * self._units_per_second
        if context.class_of is not None:
            context.class_of[job_id] = class_index
