"""The jobs of a log as a producer puts them: instants, work, tube, priority and class of each.

Everything that a scenario needs from files is read here, before a run starts and before anything is written.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jsm.errors import BadValueError
from jsm.limits import PRIORITY_MAX, check_tube_name
from sim.arrival_models import TraceArrivals
from sim.csv_log import read_csv
from sim.input_errors import LogError, ScenarioError
from sim.logs import LogTable, log_path
from sim.scenario_checks import NEVER_DONE_REMEDY, always_gives_up, may_serve
from sim.scenario_models import FieldMapping, JobService, Producer, Scenario
from sim.streams import Streams
from sim.swf import read_swf

CLASS_LENGTH_MAX = 64

T = TypeVar("T", str, int)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_START_TIME = re.compile(
    r"[A-Z][a-z]{2} +(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) +(?P<time>\d\d:\d\d:\d\d)( +\S+)? +(?P<year>\d{4})"
)


@dataclass(frozen=True, slots=True, eq=False)
class TraceJobs:
    """The jobs of one trace producer in the order of their puts; the lists are equally long."""

    put_at: list[int]  # time units
    work: list[int] | None  # time units; None: the log knows no work
    tubes: list[str]
    priorities: list[int]
    classes: list[str]
    log: LogTable
    left_out: Mapping[str, int]  # usable jobs that the scenario leaves out, by reason

    def __len__(self) -> int:
        """The number of jobs that are put."""
        return len(self.put_at)

    def summary(self) -> dict[str, Any]:
        """What became of the log's lines, for reports: read = used + left out + rejected."""
        return {
            "file": self.log.name,
            "lines_read": self.log.lines_read,
            "used": len(self),
            "left_out": dict(self.left_out),
            "rejected": [dict(row) for row in self.log.rejected],
            "out_of_order": self.log.out_of_order,
        }


def read_traces(scenario: Scenario, replication: int = 0) -> dict[str, TraceJobs]:
    """The jobs of every trace producer, by the producer's name. Raises `LogError`, `ScenarioError`.

    The replication matters to a trace of which a share is drawn, from the stream `producers/NAME/thinning`.
    """
    streams = Streams(scenario.run.seed, replication)
    duration = scenario.run.duration_seconds
    units = scenario.run.units_per_second
    end_at = None if duration is None else round(duration * units)
    traces: dict[str, TraceJobs] = {}
    for producer in scenario.producers:
        if isinstance(producer.arrivals, TraceArrivals):
            chance = streams.stream(f"producers/{producer.name}/thinning")
            jobs = read_trace(producer, scenario.directory, units_per_second=units, end_at=end_at, thinning=chance)
            _check_ttr(scenario, producer, jobs)
            traces[producer.name] = jobs
    return traces


def read_trace(
    producer: Producer, directory: Path, *, units_per_second: int, end_at: int | None, thinning: np.random.Generator
) -> TraceJobs:
    """The jobs of one trace producer, those up to `end_at` (inclusive). Raises `LogError`."""
    arrivals = producer.arrivals
    assert isinstance(arrivals, TraceArrivals)
    whole = _read_log(producer, arrivals, directory, units_per_second)
    log = whole if arrivals.keep_share is None else _thinned(whole, arrivals.keep_share, thinning)
    submit = log.submit - whole.submit[0] if arrivals.origin == "first-job" else log.submit
    put_at = submit if arrivals.time_scale == 1.0 else np.rint(submit * arrivals.time_scale).astype(np.int64)
    in_time = len(put_at) if end_at is None else int(np.searchsorted(put_at, end_at, side="right"))
    limits = [limit for limit in (arrivals.limit, producer.jobs) if limit is not None]
    used = min([in_time, *limits])
    after_limit = len(put_at) - min([len(put_at), *limits])
    left_out = {
        "not in the share that is kept": len(whole) - len(log),
        "beyond the limit": after_limit,
        "after run.duration_seconds": len(put_at) - used - after_limit,
    }
    class_setting = producer.name if producer.class_ is None else producer.class_
    return TraceJobs(
        put_at=put_at[:used].tolist(),
        work=None if log.work is None else log.work[:used].tolist(),
        tubes=_values(producer.tube, "tube", _tube, log, used),
        priorities=_values(producer.priority, "priority", _priority, log, used),
        classes=_values(class_setting, "class", _class_name, log, used),
        log=whole,
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def trace_notes(scenario: Scenario, traces: Mapping[str, TraceJobs]) -> tuple[str, ...]:
    """What a report must say about the logs: their headers' notes, what was not used or moved, work beyond the ttr."""
    notes: list[str] = []
    for producer in scenario.producers:
        jobs = traces.get(producer.name)
        if jobs is None:
            continue
        log = jobs.log
        notes += log.notes
        notes += [
            f"{log.name}: lines not used: {row['count']} of {log.lines_read}, {row['reason']}; "
            f"the first is line {row['first_line']}"
            for row in log.rejected
        ]
        notes += [f"{log.name}: jobs left out: {count}, {reason}" for reason, count in jobs.left_out.items()]
        if log.out_of_order:
            notes.append(f"{log.name}: lines out of the order of their submit times, sorted: {log.out_of_order}")
        too_long = _longer_than_ttr(scenario, producer, jobs)
        if too_long:
            notes.append(f"{log.name}: jobs with more work than their ttr of {producer.ttr_seconds} s: {too_long}")
    return tuple(dict.fromkeys(notes))


def wall_clock_start(scenario: Scenario, traces: Mapping[str, TraceJobs]) -> datetime | None:
    """When second 0 of the run was on the clock on the wall where the only log was written; None: nobody knows.

    An SWF header gives it as `StartTime`, local time with the name of a zone, such as `Fri Oct 01 00:00:03 PDT 1993`.
    """
    producers = [producer for producer in scenario.producers if producer.name in traces]
    if len(producers) != 1:
        return None
    arrivals, log = producers[0].arrivals, traces[producers[0].name].log
    found = _START_TIME.fullmatch(" ".join(log.header.get("StartTime", ())).strip())
    if found is None or not isinstance(arrivals, TraceArrivals) or arrivals.time_scale != 1.0:
        return None
    try:
        month = _MONTHS.index(found["month"]) + 1
        hour, minute, second = map(int, found["time"].split(":"))
        at = datetime(int(found["year"]), month, int(found["day"]), hour, minute, second)  # noqa: DTZ001 (local time)
    except ValueError:
        return None
    if arrivals.origin == "log":
        return at
    return at + timedelta(seconds=int(log.submit[0]) // scenario.run.units_per_second)


def produced_tubes(scenario: Scenario, traces: Mapping[str, TraceJobs]) -> tuple[str, ...]:
    """Every tube that a job of the run is put into, in the order of the producers and of first use."""
    tubes: dict[str, None] = {}
    for producer in scenario.job_kinds:
        if isinstance(producer.tube, FieldMapping):
            tubes.update(dict.fromkeys(traces[producer.name].tubes))
        else:
            tubes[producer.tube] = None
    return tuple(tubes)


def watch_lists(scenario: Scenario, traces: Mapping[str, TraceJobs]) -> dict[str, tuple[str, ...]]:
    """The tubes that each pool watches, patterns replaced by the run's tubes, by the pool's name.

    Raises `ScenarioError` when a pool would watch none of the tubes that jobs are put into.
    """
    tubes = produced_tubes(scenario, traces)
    lists: dict[str, tuple[str, ...]] = {}
    for pool in scenario.workers:
        watched: dict[str, None] = {}
        for name in pool.watch:
            watched.update(
                dict.fromkeys([tube for tube in tubes if fnmatchcase(tube, name)] if "*" in name else [name])
            )
        if not any(tube in watched for tube in tubes):
            raise ScenarioError(
                scenario.name,
                f"workers.{pool.name}.watch",
                str(list(pool.watch)),
                "no job is ever put into these tubes",
                f"watch one of {', '.join(tubes[:20])}",
            )
        lists[pool.name] = tuple(watched)
    return lists


def _check_ttr(scenario: Scenario, producer: Producer, jobs: TraceJobs) -> None:
    too_long = _longer_than_ttr(scenario, producer, jobs)
    works_it_off = any(isinstance(pool.service, JobService) for pool in scenario.workers if may_serve(pool, producer))
    if too_long and works_it_off and always_gives_up(scenario, producer):
        problem = f"{too_long} jobs of {jobs.log.name} would never be done, their work is longer"
        field = f"producers.{producer.name}.ttr_seconds"
        raise ScenarioError(scenario.name, field, str(producer.ttr_seconds), problem, NEVER_DONE_REMEDY)


def _longer_than_ttr(scenario: Scenario, producer: Producer, jobs: TraceJobs) -> int:
    """How many jobs carry more work than their ttr."""
    ttr = producer.ttr_seconds * scenario.run.units_per_second
    return sum(1 for work in jobs.work or () if work > ttr)


def _read_log(producer: Producer, arrivals: TraceArrivals, directory: Path, units_per_second: int) -> LogTable:
    path = log_path(arrivals.file, directory)
    name = Path(path).name
    mappings = (producer.tube, producer.priority, producer.class_)
    fields = [mapping.from_ for mapping in mappings if isinstance(mapping, FieldMapping)]
    if arrivals.columns is None:
        return read_swf(path, name=name, fields=fields, units_per_second=units_per_second)
    return read_csv(
        path,
        name=name,
        submit=arrivals.columns.submit,
        work=arrivals.columns.work,
        fields=fields,
        units_per_second=units_per_second,
        delimiter=arrivals.delimiter,
    )


def _thinned(log: LogTable, share: float, rng: np.random.Generator) -> LogTable:
    """The jobs whose number from the stream, one for each job of the log, lies below the share."""
    kept = np.flatnonzero(rng.random(len(log)) < share)
    if not len(kept):
        problem = f"keeps none of the {len(log)} jobs"
        raise LogError(log.name, "keep_share", f"{share:g}", problem, "raise it, or take another seed")
    return replace(
        log,
        submit=log.submit[kept],
        work=None if log.work is None else log.work[kept],
        line=log.line[kept],
        fields={name: tuple(column[row] for row in kept) for name, column in log.fields.items()},
    )


def _values(
    setting: T | FieldMapping, key: str, checked: Callable[[str | int], T], log: LogTable, used: int
) -> list[T]:
    """The setting for each of the first `used` jobs; a mapping is worked out once for each value of its field."""
    if not isinstance(setting, FieldMapping):
        return [setting] * used
    column = log.fields[setting.from_][:used]
    results: dict[str, T] = {}
    for value in Counter(column):
        try:
            results[value] = checked(_mapped(setting, value))
        except (ValueError, BadValueError) as error:
            line = int(log.line[column.index(value)])
            shown = value if value else "(unknown)"
            problem = f"gives no {key}: {error}"
            remedy = f"change {key}'s template, table or bins, or give its default"
            raise LogError(log.name, f"line {line}: {setting.from_}", shown, problem, remedy) from error
    return [results[value] for value in column]


def _mapped(mapping: FieldMapping, value: str) -> str | int:
    """What the mapping makes of one value of its field; "" is unknown. Raises `ValueError` when it makes nothing."""
    if mapping.template is not None and (value or mapping.default is None):
        return mapping.template.replace("{value}", value or "unknown")
    if mapping.table is not None and value in mapping.table:
        return mapping.table[value]
    if mapping.bins is not None and value:
        number = float(value)
        for step in mapping.bins:
            if number <= step.up_to:
                return step.to
    if value and mapping.template is None and mapping.table is None and mapping.bins is None:
        return value
    if mapping.default is None:
        raise ValueError("the value is unknown, or has no place in the mapping")
    return mapping.default


def _tube(value: str | int) -> str:
    check_tube_name(str(value))
    return str(value)


def _priority(value: str | int) -> int:
    priority = int(value)
    if not 0 <= priority <= PRIORITY_MAX:
        raise ValueError(f"{priority} is not from 0 to {PRIORITY_MAX}")
    return priority


def _class_name(value: str | int) -> str:
    name = str(value)
    if not 1 <= len(name) <= CLASS_LENGTH_MAX or not name.isprintable():
        raise ValueError(f"a class is 1 to {CLASS_LENGTH_MAX} printable characters")
    return name
