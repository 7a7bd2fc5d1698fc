"""SimPy processes that put jobs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from simpy.events import Timeout

from jsm.job import ClientID, JobID, TubeName
from sim.distributions import Exponential, to_units, units_sampler
from sim.scenario_models import AtStartArrivals, ConstantArrivals, PoissonArrivals, Producer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from simpy.events import Event

    from sim.book import JobBook
    from sim.driver import Driver
    from sim.streams import Streams
    from sim.traces import TraceJobs


@dataclass(frozen=True, slots=True)
class PutContext:
    """What all producers of a run share."""

    driver: Driver
    book: JobBook
    keeps_work: bool  # some pool works off what a job carries
    keeps_ttr: bool  # some pool stops at a job's ttr
    class_of: dict[int, int] | None  # by job id; None: there is one class only
    class_index: dict[str, int]
    end_at: int | None  # no put later than this

    @property
    def takes_notes(self) -> bool:
        """Whether anything at all is kept of a job."""
        return self.keeps_work or self.keeps_ttr or self.class_of is not None


class JobSource:
    """One producer of a scenario at work."""

    def __init__(self, producer: Producer, context: PutContext, streams: Streams, trace: TraceJobs | None) -> None:
        self._producer = producer
        self._context = context
        self._trace = trace
        self._units_per_second = context.driver.machine.units_per_second
        self._gaps = self._gaps_from(streams)
        self._work: Iterator[int] | None = None
        if producer.work is not None and context.keeps_work:
            rng = streams.stream(f"producers/{producer.name}/work")
            self._work = units_sampler(producer.work, rng, self._units_per_second)
        self._body = bytes(producer.body_bytes)
        self._class = context.class_index.get(producer.class_name or "", 0)

    def run(self) -> Generator[Event, Any, None]:
        """The process: puts jobs until the producer's own end or the run's."""
        if self._trace is not None:
            yield from self._replay(self._trace)
            return
        machine, producer, body = self._context.driver.machine, self._producer, self._body
        assert isinstance(producer.tube, str)  # only a trace maps its tubes and its priorities
        assert isinstance(producer.priority, int)
        put, tube = machine.put, TubeName(producer.tube)
        priority, delay_seconds, ttr_seconds = producer.priority, producer.delay_seconds, producer.ttr_seconds
        machine.use_tube(ClientID(producer.name), tube)
        env, settle = self._context.driver.env, self._context.driver.settle
        takes_notes = self._context.takes_notes
        end_at = self._context.end_at
        limit = self._producer.jobs
        for count, gap in enumerate(self._gaps):
            if count == limit or (end_at is not None and env.now + gap > end_at):
                return
            if gap:
                yield Timeout(env, gap)
            job_id = put(
                env.now,
                priority=priority,
                delay_seconds=delay_seconds,
                ttr_seconds=ttr_seconds,
                body=body,
                tube=tube,
            )
            if takes_notes:
                self._note(job_id, None if self._work is None else next(self._work), self._class)
            settle()

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

    def _gaps_from(self, streams: Streams) -> Iterator[int]:
        """The units from each put to the next, the first from the start on."""
        arrivals = self._producer.arrivals
        if isinstance(arrivals, PoissonArrivals):
            rng = streams.stream(f"producers/{self._producer.name}/arrivals")
            gaps = Exponential(kind="exponential", mean_seconds=1 / arrivals.rate_per_second)
            return units_sampler(gaps, rng, self._units_per_second)
        if isinstance(arrivals, ConstantArrivals):
            return repeat(int(to_units(np.array([arrivals.interval_seconds]), self._units_per_second)[0]))
        if isinstance(arrivals, AtStartArrivals):
            return repeat(0, arrivals.jobs)
        return iter(())
