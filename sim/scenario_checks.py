"""What a scenario must satisfy across its tables, and what a reader of its results should know.

`check_scenario` raises for what can't be run or can only be a mistake; `scenario_notes` says what is allowed but
easily overlooked.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase

from sim.arrival_models import (
    AtStartArrivals,
    ConstantArrivals,
    MarkovModulatedArrivals,
    OnOffArrivals,
    PoissonArrivals,
    ProfileArrivals,
    TraceArrivals,
)
from sim.distributions import Constant
from sim.input_errors import ScenarioError
from sim.logs import TIME_UNITS_MAX, log_path, opened_log
from sim.scenario_models import (
    BuryPolicy,
    FieldMapping,
    JobService,
    Pool,
    Producer,
    ReleasePolicy,
    Scenario,
)
from sim.swf import SWF_FIELDS

NEVER_DONE_REMEDY = 'raise ttr_seconds, give touch_every_seconds or max_attempts, or stop = "duration"'

Problem = tuple[str, str | None, str, str]
"""Field, value, problem, remedy."""


def check_scenario(scenario: Scenario, file: str) -> None:
    """Raise `ScenarioError` for the first problem; `LogError` for a log that isn't there."""
    for problem in _problems(scenario):
        raise ScenarioError(file, *problem)
    for producer in scenario.producers:
        if isinstance(producer.arrivals, TraceArrivals):
            path = log_path(producer.arrivals.file, scenario.directory)
            with opened_log(path, f'{file}: producers.{producer.name}.arrivals.file = "{producer.arrivals.file}"'):
                pass


def scenario_notes(scenario: Scenario) -> tuple[str, ...]:
    """Sentences for the report, in the order of the file."""
    return (*_unwatched(scenario), *_ttr_notes(scenario))


def may_serve(pool: Pool, producer: Producer) -> bool:
    """Whether the pool watches the producer's tube; true when that depends on a log."""
    return isinstance(producer.tube, FieldMapping) or any(
        fnmatchcase(producer.tube, watched) if "*" in watched else producer.tube == watched for watched in pool.watch
    )


def always_gives_up(scenario: Scenario, producer: Producer) -> bool:
    """Whether a job of the producer whose work is always longer than its ttr would be tried for ever.

    That is: the run waits for it, and all who may reserve it stop at the ttr, don't touch in time, have no limit.
    """
    pools = [pool for pool in scenario.workers if may_serve(pool, producer)]
    return scenario.run.stop == "drained" and all(
        pool.gives_up_at_ttr
        and pool.max_attempts is None
        and (pool.touch_every_seconds is None or pool.touch_every_seconds >= producer.ttr_seconds)
        for pool in pools
    )


def _problems(scenario: Scenario) -> Iterator[Problem]:
    yield from _name_problems(scenario)
    yield from _length_problems(scenario)
    for producer in scenario.producers:
        yield from _producer_problems(scenario, producer)
    for pool in scenario.workers:
        yield from _pool_problems(scenario, pool)


def _name_problems(scenario: Scenario) -> Iterator[Problem]:
    for kind, names in (
        ("producers", [producer.name for producer in scenario.producers]),
        ("workers", [pool.name for pool in scenario.workers]),
    ):
        for place, name in enumerate(names):
            if name in names[:place]:
                yield f"{kind}[{place}].name", f'"{name}"', "another one has this name", "give each its own name"


def _length_problems(scenario: Scenario) -> Iterator[Problem]:
    run = scenario.run
    duration = run.duration_seconds
    longest = TIME_UNITS_MAX // run.units_per_second
    if run.max_simulated_seconds > longest:
        yield (
            "run.max_simulated_seconds",
            f"{run.max_simulated_seconds:g}",
            f"must be at most {longest} with units_per_second = {run.units_per_second}",
            "give fewer seconds or coarser units",
        )
    if duration is None:
        for producer in scenario.producers:
            if not producer.ends_by_itself:
                remedy = f"give the seconds, or limit the jobs of producer {producer.name}"
                yield "run.duration_seconds", None, f"is missing, and producer {producer.name} never ends", remedy
        if run.stop == "duration":
            yield "run.duration_seconds", None, 'is missing, which stop = "duration" needs', "give the seconds"
        return
    if duration > run.max_simulated_seconds:
        yield (
            "run.duration_seconds",
            f"{duration:g}",
            f"must be at most run.max_simulated_seconds = {run.max_simulated_seconds:g}",
            "shorten the run or raise the bound",
        )
    if run.warmup_seconds >= duration:
        yield (
            "run.warmup_seconds",
            f"{run.warmup_seconds:g}",
            f"must be below run.duration_seconds = {duration:g}",
            "shorten the warm-up or lengthen the run",
        )


def _producer_problems(scenario: Scenario, producer: Producer) -> Iterator[Problem]:
    place = f"producers.{producer.name}"
    bodies = {f"{place}.body_bytes": producer.body_bytes}
    for number, each in enumerate(producer.classes or ()):
        bodies[f"{place}.classes[{number}].body_bytes"] = each.body_bytes or 0
    for key, length in bodies.items():
        if length > scenario.machine.max_job_size:
            bound = f"must be at most machine.max_job_size = {scenario.machine.max_job_size}"
            yield key, str(length), bound, "give fewer bytes or raise the limit"
    arrivals = producer.arrivals
    units = scenario.run.units_per_second
    yield from _rate_problems(producer, units)
    if producer.batch is not None and isinstance(arrivals, TraceArrivals | AtStartArrivals):
        problem = f'is given, but arrivals of kind "{arrivals.kind}" have their own number of jobs at each instant'
        yield f"{place}.batch", None, problem, "leave batch out"
    if not isinstance(arrivals, TraceArrivals):
        return
    if producer.work is not None and (arrivals.columns is None or arrivals.columns.work is not None):
        yield f"{place}.work", None, "is given, but the log has the work of each job", "leave work out"
    if arrivals.format == "swf":
        for key, mapping in (("tube", producer.tube), ("priority", producer.priority), ("class", producer.class_)):
            if isinstance(mapping, FieldMapping) and mapping.from_ not in SWF_FIELDS:
                near = get_close_matches(mapping.from_, SWF_FIELDS, n=1)
                remedy = f"did you mean {near[0]}? " if near else ""
                remedy += f"the fields are {', '.join(SWF_FIELDS)}"
                yield f"{place}.{key}.from", f'"{mapping.from_}"', "an swf log has no such field", remedy


def _rate_problems(producer: Producer, units: int) -> Iterator[Problem]:
    """Arrivals that would come faster than time units go by."""
    place = f"producers.{producer.name}.arrivals"
    rates: dict[str, float] = {}
    match producer.arrivals:
        case ConstantArrivals(interval_seconds=interval) if interval * units < 1:
            yield _too_fine(f"{place}.interval_seconds", interval, f"at least {1 / units:g}")
        case PoissonArrivals(rate_per_second=rate):
            rates = {"rate_per_second": rate}
        case OnOffArrivals() as arrivals:
            rates = {"rate_per_second": arrivals.rate_per_second}
            for key in ("mean_on_seconds", "mean_off_seconds"):
                if getattr(arrivals, key) * units < 1:
                    yield _too_fine(f"{place}.{key}", getattr(arrivals, key), f"at least {1 / units:g}")
        case ProfileArrivals() as arrivals:
            rates = {"rate_per_second": arrivals.rate_per_second * arrivals.peak()}
        case MarkovModulatedArrivals(states=states):
            rates = {f"states[{number}].rate_per_second": state.rate_per_second for number, state in enumerate(states)}
            for number, state in enumerate(states):
                if state.mean_seconds * units < 1:
                    yield _too_fine(
                        f"{place}.states[{number}].mean_seconds", state.mean_seconds, f"at least {1 / units:g}"
                    )
        case _:
            pass
    for key, rate in rates.items():
        if rate > units:
            yield _too_fine(f"{place}.{key}", rate, f"at most {units}")


def _too_fine(field: str, value: float, bound: str) -> Problem:
    """A process whose steps would be shorter than a time unit, so that time would hardly pass."""
    remedy = "make the steps longer or run.units_per_second greater"
    return field, f"{value:g}", f"must be {bound}, so that a step takes a time unit or more", remedy


def _pool_problems(scenario: Scenario, pool: Pool) -> Iterator[Problem]:
    place = f"workers.{pool.name}"
    served = [producer for producer in scenario.job_kinds if may_serve(pool, producer)]
    if not served:
        tubes = [producer.tube for producer in scenario.job_kinds if isinstance(producer.tube, str)]
        shown = "[" + ", ".join(f'"{tube}"' for tube in pool.watch) + "]"
        remedy = f"watch one of {', '.join(dict.fromkeys(tubes))}"
        yield f"{place}.watch", shown, "no producer puts jobs into these tubes", remedy
    if isinstance(pool.service, JobService):
        for producer in served:
            if not _carries_work(producer):
                remedy = f"give producers.{producer.name}.work, or the pool's service another kind"
                problem = f"the jobs of producer {producer.name} carry no work"
                yield f"{place}.service.kind", '"job"', problem, remedy
    failure = pool.failure
    never_done = (
        failure is not None
        and failure.probability == 1
        and not isinstance(failure.policy, BuryPolicy)
        and not (isinstance(failure.policy, ReleasePolicy) and failure.policy.bury_after_failures is not None)
    )
    if never_done and pool.max_attempts is None and scenario.run.stop == "drained":
        remedy = 'lower it, give max_attempts, or stop = "duration"'
        yield f"{place}.failure.probability", "1", "no job would ever be done, and the run never end", remedy
    units = scenario.run.units_per_second
    if pool.touch_every_seconds is not None and pool.touch_every_seconds * units < 1:
        yield _too_fine(f"{place}.touch_every_seconds", pool.touch_every_seconds, f"at least {1 / units:g}")
    if pool.crash is not None and pool.crash.mean_seconds_between * units < 1:
        between = pool.crash.mean_seconds_between
        yield _too_fine(f"{place}.crash.mean_seconds_between", between, f"at least {1 / units:g}")
    if isinstance(pool.service, Constant):
        for producer in served:
            if pool.service.seconds > producer.ttr_seconds and always_gives_up(scenario, producer):
                problem = f"no job of producer {producer.name} would ever be done, its ttr is shorter"
                yield f"{place}.service.seconds", f"{pool.service.seconds:g}", problem, NEVER_DONE_REMEDY


def _carries_work(producer: Producer) -> bool:
    arrivals = producer.arrivals
    from_log = isinstance(arrivals, TraceArrivals) and (arrivals.columns is None or arrivals.columns.work is not None)
    return from_log or producer.work is not None


def _unwatched(scenario: Scenario) -> Iterator[str]:
    tubes = dict.fromkeys(producer.tube for producer in scenario.job_kinds if isinstance(producer.tube, str))
    for tube in tubes:
        if not any(
            may_serve(pool, producer)
            for pool in scenario.workers
            for producer in scenario.job_kinds
            if producer.tube == tube
        ):
            yield f"no worker watches the tube {tube}: its jobs stay in the machine"


def _ttr_notes(scenario: Scenario) -> Iterator[str]:
    for pool in scenario.workers:
        ttrs = [producer.ttr_seconds for producer in scenario.job_kinds if may_serve(pool, producer)]
        ttr = min(ttrs)
        if pool.touch_every_seconds is not None and pool.touch_every_seconds >= ttr:
            yield (
                f"the workers of {pool.name} touch every {pool.touch_every_seconds:g} s, "
                f"not before a ttr of {ttr} s has run out"
            )
        if pool.touch_every_seconds is None and isinstance(pool.service, Constant) and pool.service.seconds > ttr:
            yield f"the work of {pool.name}, {pool.service.seconds:g} s, is longer than a ttr of {ttr} s"
