"""One run of a scenario: the only place where machine, SimPy, producers, workers and watchers are wired together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jsm.errors import InvariantViolation
from jsm.job import TubeName
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.states import JobState
from models.invariants import InvariantChecker, InvariantSampler
from models.watcher import TransitionWatcher
from sim.book import JobBook
from sim.check_mode import CheckMode
from sim.contexts import PutContext, WorkContext
from sim.driver import Driver, RecordBuffer
from sim.environment import UnitEnvironment
from sim.metrics import Metrics
from sim.plain_workers import PlainWorker, is_plain
from sim.producers import JobSource
from sim.run_result import PoolInfo, RunInfo, RunResult
from sim.scenario_checks import scenario_notes
from sim.scenario_models import JobService, Scenario
from sim.streams import Streams
from sim.traces import TraceJobs, produced_tubes, read_traces, trace_notes, wall_clock_start, watch_lists
from sim.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Generator

    from simpy.events import Event

    from jsm.records import CommandRecord, Observer, TransitionRecord
    from sim.driver import AnyMachine

MakeMachine = Callable[..., Machine]

ENTRIES_A_CALL = 64
"""Of `--check all`: with more jobs, clients and tubes than this, not each call is checked, but each (n ÷ 64)-th."""


class Simulation:
    """A scenario, ready to run once.

    `measure` and `watch` turn the metrics and the graph's watcher on; both off is for benchmarks. `check` says how
    much the invariants look at. A `recorder` receives every transition and every call as they happen. `progress` is
    told the instant, in units, now and then.
    `make_machine` is `Machine` or what stands in for it.

    Raises `InputError` for what is wrong with a log or its mappings.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        replication: int = 0,
        measure: bool = True,
        watch: bool = True,
        check: CheckMode = CheckMode.OFF,
        recorder: Observer | None = None,
        progress: Callable[[int], None] | None = None,
        make_machine: MakeMachine = Machine,
    ) -> None:
        self.scenario = scenario
        self._traces = read_traces(scenario, replication)
        watched_tubes = watch_lists(scenario, self._traces)
        self._unwatched = _unwatched(scenario, self._traces, watched_tubes)
        classes = _class_names(scenario, self._traces)
        units = scenario.run.units_per_second
        pools = [PoolInfo(pool.name, pool.count) for pool in scenario.workers]
        self.metrics = (
            Metrics(
                units_per_second=units,
                classes=classes,
                pools=pools,
                warmup_at=round(scenario.run.warmup_seconds * units),
            )
            if measure
            else None
        )
        self.watcher = TransitionWatcher(units_per_second=units) if watch else None
        self._check = check
        checker = InvariantChecker(entries_a_call=ENTRIES_A_CALL) if check is CheckMode.ALL else None
        sampler = InvariantSampler() if check is CheckMode.SAMPLED else None
        self._checks = checker or sampler
        # Where calls are seen, each record and refusal goes to the watcher at once; else records go in chunks.
        callers = [observer for observer in (self.watcher, recorder, checker) if observer is not None]
        observers: list[Observer] = callers if recorder is not None or checker is not None else []
        watchers = (None if observers else self.watcher, self.metrics, sampler)
        consumers = [watcher.consume for watcher in watchers if watcher is not None]
        if progress is not None:
            consumers.append(lambda records: progress(records[-1].at))
        self._buffer = RecordBuffer(consumers)
        self.machine = _machine(scenario, self._buffer if consumers else None, observers, make_machine)
        if self._checks is not None:
            self._checks.attach(_inner(self.machine))
        self.env = UnitEnvironment()
        self.driver = Driver(self.env, self.machine, self._buffer)
        self._book = JobBook()
        self._drain = _Drain(self.driver, self.machine, self._unwatched)
        streams = Streams(scenario.run.seed, replication)
        self.workers = self._make_workers(watched_tubes, streams)
        self._sources = self._make_sources(classes, streams)

    def run(self) -> None:
        """Run to the end that the scenario names, or until `stop`.

        A violation that a watcher finds is raised, also when the run failed in another way after it.
        """
        started = [worker.start() for worker in self.workers]
        working = [process for process in started if process is not None]
        arrivals = [source.start() for source in self._sources]
        if self.scenario.run.stop == "drained":
            self.env.process(self._drain_after(arrivals))
        try:
            self.driver.run(self._horizon())
        except Exception as error:
            cause = _failure(working, arrivals) or error
            if not isinstance(cause, InvariantViolation):
                if self._checks is not None:
                    self._checks.detach()  # the machine may have failed in the middle of a call
                self._buffer.flush()  # a watcher that knows what went wrong first says so
            raise cause from None
        failure = _failure(working, arrivals)  # of the last step: a stopped run asks SimPy for no more
        if failure is not None:
            raise failure from None
        for worker in self.workers:
            worker.finish(self.env.now)
        self._buffer.flush()

    def stop(self) -> None:
        """Let `run` return before the next event, with everything so far accounted for."""
        self.driver.stop()

    def planned_end(self) -> int | None:
        """The instant, in units, at which the run or at least its arrivals end; None when that is not known."""
        run = self.scenario.run
        if run.duration_seconds is not None:
            return round(min(run.duration_seconds, run.max_simulated_seconds) * run.units_per_second)
        return max((trace.put_at[-1] for trace in self._traces.values() if trace.put_at), default=None)

    def result(self) -> RunResult:
        """The numbers of the finished run; needs `measure`."""
        assert self.metrics is not None  # asked for a result of a run that measures nothing
        watched = None if self.watcher is None else self.watcher.report()
        return self.metrics.finish(self.env.now, self.machine.count_jobs(), watched=watched)

    def info(self, *, interrupted: bool = False) -> RunInfo:
        """What a summary says beside the numbers."""
        inputs = {name: trace.summary() for name, trace in self._traces.items()}
        starts_at = wall_clock_start(self.scenario, self._traces)
        return RunInfo(
            scenario=self.scenario.name,
            description=self.scenario.description,
            seed=self.scenario.run.seed,
            interrupted=interrupted,
            notes=(*trace_notes(self.scenario, self._traces), *scenario_notes(self.scenario)),
            input=inputs or None,
            invariants={"mode": str(self._check), **({} if self._checks is None else self._checks.report())},
            more=None if starts_at is None else {"starts_at": starts_at.isoformat()},
        )

    # ------------------------------------------------------------------ inside

    def _horizon(self) -> int:
        run = self.scenario.run
        seconds = run.max_simulated_seconds
        if run.stop == "duration" and run.duration_seconds is not None:
            seconds = min(seconds, run.duration_seconds)
        return round(seconds * run.units_per_second)

    def _drain_after(self, arrivals: Sequence[Event]) -> Generator[Event, object, None]:
        """Wait for the last arrival; from then on the run ends as soon as no job can make progress."""
        yield self.env.all_of(arrivals)
        self._drain.is_on = True
        self._drain.job_ended()

    def _keeps_book(self) -> bool:
        """Whether any pool notes something of a job, or works off what its producer noted."""
        return any(
            isinstance(pool.service, JobService)
            or pool.redraw == "once"
            or pool.gives_up_at_ttr
            or pool.failure is not None
            for pool in self.scenario.workers
        )

    def _make_workers(self, watched_tubes: dict[str, tuple[str, ...]], streams: Streams) -> list[Worker | PlainWorker]:
        metrics = self.metrics
        context = WorkContext(
            driver=self.driver,
            book=self._book,
            keeps_book=self._keeps_book(),
            work=None if metrics is None else metrics.work,
            absent=None if metrics is None else metrics.absent,
            drain=self._drain,
        )
        return [
            (PlainWorker if is_plain(pool) else Worker)(
                pool,
                index,
                number,
                tubes=tuple(map(TubeName, watched_tubes[pool.name])),
                context=context,
                streams=streams,
            )
            for index, pool in enumerate(self.scenario.workers)
            for number in range(pool.count)
        ]

    def _make_sources(self, classes: Sequence[str], streams: Streams) -> list[JobSource]:
        run, pools = self.scenario.run, self.scenario.workers
        context = PutContext(
            driver=self.driver,
            book=self._book,
            keeps_work=any(isinstance(pool.service, JobService) for pool in pools),
            keeps_ttr=any(pool.gives_up_at_ttr for pool in pools),
            class_of=self.metrics.class_of if self.metrics is not None and len(classes) > 1 else None,
            class_index={name: index for index, name in enumerate(classes)},
            end_at=None if run.duration_seconds is None else round(run.duration_seconds * run.units_per_second),
        )
        return [
            JobSource(producer, context, streams, self._traces.get(producer.name))
            for producer in self.scenario.producers
        ]


class _Drain:
    """Stops the run when, after the last arrival, no job is left that can make progress."""

    __slots__ = ("_driver", "_machine", "_unwatched", "is_on")

    def __init__(self, driver: Driver, machine: AnyMachine, unwatched: Sequence[TubeName]) -> None:
        self._driver = driver
        self._machine = machine
        self._unwatched = unwatched  # tubes whose ready jobs nobody will ever reserve
        self.is_on = False

    def job_ended(self) -> None:
        if not self.is_on:
            return
        counts = self._machine.count_jobs()
        active = counts[JobState.READY] + counts[JobState.DELAYED] + counts[JobState.RESERVED]
        if active and self._unwatched:
            for tube in self._unwatched:
                stuck = self._machine.count_jobs(tube)
                active -= stuck[JobState.READY] + stuck[JobState.DELAYED]
        if not active:
            self._driver.stop()


class _Tee:
    """The observer of a run whose calls are seen: the watchers' buffer, and whoever wants each record at once."""

    __slots__ = ("_buffer", "_observers")

    def __init__(self, buffer: RecordBuffer, observers: Sequence[Observer]) -> None:
        self._buffer = buffer
        self._observers = observers

    def transition(self, record: TransitionRecord) -> None:
        for observer in self._observers:
            observer.transition(record)
        self._buffer.transition(record)  # last: what an observer rejects is in no number

    def command(self, record: CommandRecord) -> None:
        for observer in self._observers:
            observer.command(record)


def _machine(
    scenario: Scenario, buffer: RecordBuffer | None, observers: Sequence[Observer], make_machine: MakeMachine
) -> AnyMachine:
    settings = {
        "units_per_second": scenario.run.units_per_second,
        "max_job_size": scenario.machine.max_job_size,
    }
    if observers:
        tee = _Tee(buffer or RecordBuffer(()), observers)
        return ObservedMachine(observer=tee, make_machine=make_machine, **settings)
    return make_machine(observer=buffer, **settings)


def _inner(machine: AnyMachine) -> Machine:
    """The machine itself, whose looks nobody records."""
    return machine.machine if isinstance(machine, ObservedMachine) else machine


def _class_names(scenario: Scenario, traces: dict[str, TraceJobs]) -> list[str]:
    """The classes of all jobs, in the order of the producers, those of a log in the order of their names."""
    names: dict[str, None] = {}
    for producer in scenario.job_kinds:
        if producer.class_name is not None:
            names[producer.class_name] = None
        else:
            names.update(dict.fromkeys(sorted(set(traces[producer.name].classes))))
    return list(names)


def _unwatched(
    scenario: Scenario, traces: dict[str, TraceJobs], watched_tubes: dict[str, tuple[str, ...]]
) -> list[TubeName]:
    """The tubes that jobs are put into and nobody watches."""
    watched = {tube for tubes in watched_tubes.values() for tube in tubes}
    return [TubeName(tube) for tube in produced_tubes(scenario, traces) if tube not in watched]


def _failure(*groups: Sequence[Event]) -> BaseException | None:
    """What a process failed with, if one did: the error itself, since SimPy raises a copy, or fails to."""
    for process in (event for group in groups for event in group):
        if process.triggered and isinstance(process.value, BaseException):
            return process.value
    return None
