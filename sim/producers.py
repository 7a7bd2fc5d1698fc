"""What puts jobs: an alarm that goes off at every arrival, or a SimPy process that replays a log."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, repeat
from math import fsum
from typing import TYPE_CHECKING, Any

from simpy.events import URGENT, Event, Timeout

from jsm.job import ClientID, JobID, TubeName
from sim.arrivals import put_gaps
from sim.distributions import probability_sampler, units_sampler
from sim.environment import Alarm

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from sim.contexts import PutContext
    from sim.scenario_models import Producer
    from sim.streams import Streams
    from sim.traces import TraceJobs


@dataclass(frozen=True, slots=True)
class _Kind:
    """What holds for all jobs of one class of a producer."""

    put: partial[JobID]  # takes the instant
    work: Iterator[int] | None
    ttr: int  # units
    class_index: int


class JobSource:
    """One producer of a scenario at work."""

    def __init__(self, producer: Producer, context: PutContext, streams: Streams, trace: TraceJobs | None) -> None:
        self._producer = producer
        self._context = context
        self._trace = trace
        self._units_per_second = context.driver.machine.units_per_second
        self._gaps = put_gaps(producer, streams, self._units_per_second)
        self._body = bytes(producer.body_bytes)
        self._takes_notes = context.takes_notes
        self._env = context.driver.env
        self._settle = context.driver.settle
        self._works = [self._work_of(kind, streams) for kind in producer.kinds]
        self._choice: Iterator[float] | None = None
        if producer.classes is not None:
            weights = [each.weight for each in producer.classes]
            self._bounds = list(accumulate(weight / fsum(weights) for weight in weights))[:-1]
            self._choice = probability_sampler(streams.stream(f"producers/{producer.name}/class"))

    def _work_of(self, kind: Producer, streams: Streams) -> Iterator[int] | None:
        """The work of one class, from a stream of its own: `producers/NAME/work`, or `producers/NAME/CLASS/work`."""
        if kind.work is None or not self._context.keeps_work:
            return None
        cause = "work" if self._producer.classes is None else f"{kind.class_name}/work"
        return units_sampler(kind.work, streams.stream(f"producers/{kind.name}/{cause}"), self._units_per_second)

    def start(self) -> Event:
        """Begin to put jobs; the event happens after the last one, unless the run's end comes first."""
        env = self._context.driver.env
        if self._trace is not None:
            return env.process(self._replay(self._trace))
        self._is_over = Event(env)
        Alarm(env, self._appear).set(0, URGENT)
        return self._is_over

    def _appear(self, _: Event) -> None:
        producer = self._producer
        tubes = {kind.tube for kind in producer.kinds}
        if len(tubes) == 1 and isinstance(producer.kinds[0].tube, str):  # whoever puts into several uses none for long
            self._context.driver.machine.use_tube(ClientID(producer.name), TubeName(producer.kinds[0].tube))
        self._kinds = [self._kind(kind, work) for kind, work in zip(producer.kinds, self._works, strict=True)]
        self._only = self._kinds[0]
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

    def _kind(self, kind: Producer, work: Iterator[int] | None) -> _Kind:
        assert isinstance(kind.tube, str)  # only a trace maps its tubes and its priorities
        assert isinstance(kind.priority, int)
        put = partial(
            self._context.driver.machine.put,
            priority=kind.priority,
            delay_seconds=kind.delay_seconds,
            ttr_seconds=kind.ttr_seconds,
            body=bytes(kind.body_bytes),
            tube=TubeName(kind.tube),
        )
        class_index = self._context.class_index.get(kind.class_name or "", 0)
        return _Kind(put, work, kind.ttr_seconds * self._units_per_second, class_index)

    def _put_one(self) -> None:
        kind = self._only if self._choice is None else self._kinds[bisect_right(self._bounds, next(self._choice))]
        job_id = kind.put(self._env.now)
        if self._takes_notes:
            self._note(job_id, None if kind.work is None else next(kind.work), kind.ttr, kind.class_index)
        self._settle()

    def _replay(self, trace: TraceJobs) -> Generator[Event, Any, None]:
        driver, producer = self._context.driver, self._producer
        env, put = driver.env, driver.machine.put
        work: Iterator[int | None] = repeat(None)
        if self._context.keeps_work and (trace.work is not None or self._works[0] is not None):
            work = iter(trace.work) if trace.work is not None else iter(self._works[0] or ())
        index = self._context.class_index
        ttr = producer.ttr_seconds * self._units_per_second
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
            self._note(job_id, units, ttr, index[class_name])
            driver.settle()

    def _note(self, job_id: JobID, work: int | None, ttr: int, class_index: int) -> None:
        """Keep what the machine doesn't know of a job, before anything can happen to it."""
        context = self._context
        if work is not None:
            context.book.work[job_id] = work
        if context.keeps_ttr:
            context.book.ttr[job_id] = ttr
        if context.class_of is not None:
            context.class_of[job_id] = class_index
