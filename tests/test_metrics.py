"""Metrics say what a slow count over the same records says, however the records are cut, and refuse what can't be."""

import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from jsm.errors import InvariantViolation
from jsm.records import TransitionRecord
from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import Transition, transitions
from sim.histogram import Histogram
from sim.metrics import Metrics
from sim.run_result import ALL_CLASSES, COUNTED, Outcome, PoolInfo, RunResult
from tests.made_records import (
    area_of,
    edge_counts,
    history,
    left_of,
    record,
    totals_of,
    waits_of,
)

POOLS = (PoolInfo("slow", 2), PoolInfo("fast", 1))


def _run(
    records: Sequence[TransitionRecord],
    *,
    chunk: int = 4096,
    warmup_at: int = 0,
    classes: Sequence[str] = ("only",),
    end: int | None = None,
) -> RunResult:
    metrics = Metrics(units_per_second=10, classes=classes, pools=POOLS, warmup_at=warmup_at)
    if len(classes) > 1:
        metrics.class_of.update({r.job: r.job % len(classes) for r in records})
    for begin in range(0, len(records), chunk):
        metrics.consume(records[begin : begin + chunk])
    return metrics.finish(_end(records) if end is None else end, left_of(records))


def _end(records: Sequence[TransitionRecord]) -> int:
    return records[-1].at + 7


def _spread(histogram: Histogram) -> tuple[object, ...]:
    qs = [n / 20 for n in range(21)]
    return histogram.count, histogram.total, histogram.min, histogram.max, histogram.quantiles(qs)


def _spread_of(values: list[int]) -> tuple[object, ...]:
    ranked = sorted(values)
    quantiles = [ranked[max(1, -(-n * len(ranked) // 20)) - 1] for n in range(21)] if ranked else [None] * 21
    return len(ranked), sum(ranked), min(ranked, default=None), max(ranked, default=None), quantiles


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("warmup_at", [0, 1, 2500])
def test_numbers_are_those_of_a_slow_count(seed: int, warmup_at: int) -> None:
    # durations stay below 2048 units, where every value has its own bin and quantiles are exact
    records = history(seed, step_max=14)
    end = _end(records)
    result = _run(records, warmup_at=warmup_at)
    assert result.holds, result.checks
    assert result.edges == edge_counts(records)
    assert min(result.edges.values()) > 0  # the history reached every edge
    assert result.window_edges == edge_counts(records, warmup_at)
    assert list(result.edges) == list(transitions())
    waits, totals = waits_of(records, warmup_at), totals_of(records, warmup_at)
    assert _spread(result.wait[ALL_CLASSES]) == _spread_of([wait for _, _, wait in waits])
    assert _spread(result.total["only"])[:4] == _spread_of([total for _, _, total in totals])[:4]
    for state in LIVE_STATES:
        assert result.mean_jobs[state] == area_of(records, state, min(warmup_at, end), end)
        entries = [r for r in records if r.target is state and r.source is not state]
        assert result.little[state].visits == len(entries)
        assert result.little[state].area == result.little[state].stays == area_of(records, state, 0, end)


@pytest.mark.parametrize("seed", range(2))
def test_timeline_is_that_of_a_slow_count(seed: int) -> None:
    records = history(seed, step_max=40)
    timeline = _run(records, warmup_at=900).timeline
    last = timeline.buckets[-1]
    waits, totals = waits_of(records), totals_of(records)  # the warm-up included
    for row, bucket in enumerate(timeline.buckets):
        stop = bucket.ends_at + (bucket is last)
        inside = [r for r in records if bucket.begins_at <= r.at < stop]
        for name, triggers in COUNTED.items():
            assert timeline.counts[name][row] == sum(1 for r in inside if r.trigger in triggers)
        for state in LIVE_STATES:
            assert timeline.jobs[state][row] == area_of(records, state, *bucket)
        for measure, jobs in ((timeline.wait, waits), (timeline.total, totals)):
            values = [value for _, at, value in jobs if bucket.begins_at <= at < stop]
            assert measure.count(row) == len(values)
            assert (measure.mean(row) or 0) * len(values) == sum(values)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_chunks_do_not_matter(chunk: int) -> None:
    records = history(5, steps=400)
    kinds = ("a", "b", "c")
    cut = _run(records, chunk=chunk, classes=kinds, warmup_at=1000)
    assert _facts(cut) == _facts(_run(records, classes=kinds, warmup_at=1000))


def test_latencies_by_class() -> None:
    records = history(6, step_max=14)
    result = _run(records, classes=("even", "odd"))
    for remainder, name in enumerate(("even", "odd")):
        waits = [wait for job, _, wait in waits_of(records) if job % 2 == remainder]
        totals = [total for job, _, total in totals_of(records) if job % 2 == remainder]
        assert waits
        assert totals
        assert _spread(result.wait[name]) == _spread_of(waits)
        assert _spread(result.total[name])[:4] == _spread_of(totals)[:4]
    assert list(result.wait) == [ALL_CLASSES, "even", "odd"]
    assert _spread(result.wait[ALL_CLASSES]) == _spread_of([wait for _, _, wait in waits_of(records)])


def test_classes_of_deleted_jobs_are_forgotten() -> None:
    records = history(7)
    metrics = Metrics(units_per_second=1, classes=("a", "b"), pools=())
    metrics.class_of.update({r.job: 0 for r in records})
    metrics.consume(records)
    assert len(metrics.class_of) == sum(left_of(records).values())


def test_a_job_without_a_class_is_refused() -> None:
    metrics = Metrics(units_per_second=1, classes=("a", "b"), pools=())
    records = [
        record(1, 0, 1, JobState.NEW, Trigger.PUT),
        record(2, 0, 1, JobState.READY, Trigger.RESERVE),
    ]
    with pytest.raises(InvariantViolation, match="job 1 has no entry in class_of"):
        metrics.consume(records)


def test_warmup_leaves_out_jobs_put_before_it() -> None:
    def life(job: int, put_at: int, seq: int) -> Iterator[TransitionRecord]:
        yield record(seq, put_at, job, JobState.NEW, Trigger.PUT)
        yield record(seq + 1, put_at, job, JobState.READY, Trigger.RESERVE)
        yield record(seq + 2, put_at, job, JobState.RESERVED, Trigger.DELETE)

    records = [*life(1, 99, 1), *life(2, 100, 4), *life(3, 101, 7)]
    result = _run(records, warmup_at=100)
    assert result.wait[ALL_CLASSES].count == result.total[ALL_CLASSES].count == 2
    put = Transition(JobState.NEW, Trigger.PUT, JobState.READY)
    assert (result.window_edges[put], result.edges[put]) == (2, 3)


def test_a_warmup_longer_than_the_run_measures_nothing() -> None:
    records = history(1)
    result = _run(records, warmup_at=10**9)
    assert result.holds
    assert result.warmup_at == result.ended_at
    assert set(result.mean_jobs.values()) == {0}
    assert {worker.present for worker in result.workers} == {0}
    assert sum(result.window_edges.values()) == 0


def test_a_run_without_records_has_numbers_too() -> None:
    result = _run([], end=100)
    assert result.holds
    assert sum(result.edges.values()) == 0


@pytest.mark.parametrize("warmup_at", [0, 40])
def test_workers_times(warmup_at: int) -> None:
    metrics = Metrics(units_per_second=1, classes=(), pools=POOLS, warmup_at=warmup_at)
    metrics.work(0, 0, 10, 30, Outcome.DONE)
    metrics.work(0, 0, 30, 50, Outcome.LATE)
    metrics.work(0, 1, 35, 60, Outcome.CRASHED)
    metrics.absent(0, 1, 60, 80)
    metrics.work(1, 0, 90, 100, Outcome.UNFINISHED)
    result = metrics.finish(100, dict.fromkeys(LIVE_STATES, 0))
    assert result.holds
    first, second, fast = result.workers
    assert (first.pool, first.worker, fast.pool, fast.worker) == ("slow", 0, "fast", 0)
    assert [worker.busy for worker in result.workers] == ([40, 25, 10] if warmup_at == 0 else [10, 20, 10])
    assert [worker.present for worker in result.workers] == [100 - warmup_at, 80 - warmup_at, 100 - warmup_at]
    assert first.outcomes[Outcome.DONE] == (1 if warmup_at == 0 else 0)
    assert first.outcomes[Outcome.LATE] == second.outcomes[Outcome.CRASHED] == fast.outcomes[Outcome.UNFINISHED] == 1
    timeline = result.timeline
    assert sum(timeline.busy) == 75
    assert sum(timeline.present) == 300 - 20
    buckets = list(timeline.buckets)
    assert [timeline.busy[row] for row, bucket in enumerate(buckets) if bucket.begins_at == 36] == [2]
    assert [timeline.present[row] for row, bucket in enumerate(buckets) if bucket.begins_at in (59, 60, 79, 80)] == [
        *(3, 2, 2, 3)
    ]


def test_many_pieces_of_work_are_all_counted() -> None:
    metrics = Metrics(units_per_second=1, classes=(), pools=(PoolInfo("one", 1),))
    for number in range(20_000):
        metrics.work(0, 0, number, number + 1, Outcome.DONE)
        metrics.absent(0, 0, number, number)
    result = metrics.finish(20_000, {})
    assert result.workers[0].busy == sum(result.timeline.busy) == result.workers[0].outcomes[Outcome.DONE] == 20_000


@pytest.mark.parametrize(
    ("position", "change"),
    [
        (1, {"source": JobState.BURIED, "trigger": Trigger.KICK, "target": JobState.READY}),  # was not buried
        (1, {"target": JobState.BURIED}),  # no edge leads there
        (1, {"source": JobState.RESERVED}),  # no edge has this trigger from there
        (1, {"source": JobState.DELETED}),
        (1, {"source": JobState.RESERVED, "trigger": Trigger.TOUCH}),  # touched while ready
        (2, {"job": 9}),  # never put
    ],
)
def test_a_record_that_does_not_fit_the_past_is_refused(position: int, change: dict[str, Any]) -> None:
    records = [
        record(1, 3, 1, JobState.NEW, Trigger.PUT),
        record(2, 4, 1, JobState.READY, Trigger.RESERVE),
        record(3, 5, 1, JobState.RESERVED, Trigger.DELETE),
    ]
    records[position] = records[position]._replace(**change)
    at, job = records[position].at, records[position].job
    with pytest.raises(InvariantViolation, match=f"records_fit_the_past: at {at}: job {job} went from"):
        _run(records)


def test_time_that_goes_back_is_refused() -> None:
    records = [record(1, 3, 1, JobState.NEW, Trigger.PUT), record(2, 2, 2, JobState.NEW, Trigger.PUT)]
    for chunk in (1, 2):
        with pytest.raises(InvariantViolation, match="time_goes_forward"):
            _run(records, chunk=chunk)


def test_memory_does_not_grow_with_the_number_of_jobs() -> None:
    def chunks(count: int) -> Iterator[list[TransitionRecord]]:
        for number in range(count):
            lives = []
            for job in range(number * 500 + 1, number * 500 + 501):
                at = job * 1000
                lives.append(record(1, at, job, JobState.NEW, Trigger.PUT))
                lives.append(record(1, at + 5, job, JobState.READY, Trigger.RESERVE))
                lives.append(record(1, at + 9, job, JobState.RESERVED, Trigger.DELETE))
            yield lives

    def feed(count: int) -> int:
        metrics = Metrics(units_per_second=1_000_000, classes=("a", "b"), pools=())
        for chunk in chunks(count):
            metrics.class_of.update((r.job, r.job % 2) for r in chunk)
            metrics.consume(chunk)
        return tracemalloc.get_traced_memory()[0]

    feed(1)  # what is made once in a process
    tracemalloc.start()
    try:
        early, late = feed(35), feed(70)  # both past a fold of the buffers of latencies
    finally:
        tracemalloc.stop()
    assert late < early + 500_000  # 17,500 more jobs; kept, they would take over two megabytes


def _facts(result: RunResult) -> tuple[object, ...]:
    timeline = result.timeline
    rows = range(len(timeline.buckets))
    return (
        *(result.edges, result.window_edges, result.mean_jobs, result.little, result.checks, result.left),
        [(name, _spread(histogram)) for name, histogram in result.wait.items()],
        [(name, _spread(histogram)) for name, histogram in result.total.items()],
        *(timeline.buckets, timeline.counts, timeline.jobs, timeline.busy, timeline.present),
        [(timeline.wait.mean(row), timeline.wait.quantiles(row, (0.5, 0.9, 0.99))) for row in rows],
        [(timeline.total.mean(row), timeline.total.quantiles(row, (0.5, 0.9, 0.99))) for row in rows],
    )
