"""Numbers from records: a watcher that folds transition records and pieces of work into latencies, counts and times.

Memory grows with the number of live jobs only: of a deleted job nothing is kept but its share in the sums. The
result is the same however the records are cut into chunks.

What is measured over what:

- waiting time: put to first reserve (by a worker's reserve or by id; a delay counts). Total time: put to delete.
  Both leave out the jobs that were put before `warmup_at`.
- counts of triggers, throughput, utilisation and the mean numbers of jobs: the window [warmup_at, end]. Work that
  reaches into the window counts with the part inside it; a piece of work counts as done when it ended inside.
- the timeline, the edges, puts, deletes, and everything that is checked: the whole run, the warm-up included.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final

import numpy as np

from jsm.errors import InvariantViolation
from jsm.records import TransitionRecord
from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import transitions
from sim.balance import Books, LittleSides, checks_of
from sim.histogram import ExactSums, Histogram, Integers
from sim.run_result import (
    ALL_CLASSES,
    COUNTED,
    Outcome,
    PoolInfo,
    RunResult,
    TimelineResult,
    TransitionCounts,
)
from sim.timeline import Bucket, Timeline
from sim.worker_times import WorkerTimes

_EDGES: Final = tuple(transitions())
_KINDS: Final = len(_EDGES) + 4  # the timeline's kinds: the edges' numbers, then those of the workers
_WORK_BEGAN, _WORK_ENDED, _ABSENCE_BEGAN, _ABSENCE_ENDED = range(len(_EDGES), _KINDS)
_WAIT: Final = 0  # the timeline's measures
_TOTAL: Final = 1
_PIECES_MAX = 8_192  # of work, and of latencies, kept until they are folded

_AT = itemgetter(1)


class _Latency:
    """One measure: put to first reserve, or put to delete."""

    __slots__ = ("at", "by_class", "classes", "measure", "put_at")

    def __init__(self, measure: int, classes: int) -> None:
        self.measure = measure
        self.at: list[int] = []
        self.put_at: list[int] = []
        self.classes: list[int] = []  # stays empty when there is one class only
        self.by_class = [Histogram() for _ in range(classes)]

    def fold(self, timeline: Timeline, warmup_at: int) -> None:
        """Empty the buffers into the timeline (all jobs) and the histograms (jobs put after the warm-up)."""
        at = np.array(self.at, np.int64)
        put_at = np.array(self.put_at, np.int64)
        values = at - put_at
        timeline.values(self.measure, at, values)
        counted = put_at >= warmup_at
        if len(self.by_class) == 1:
            self.by_class[0].record(values[counted])
        else:
            classes = np.array(self.classes, np.int64)
            for index in np.unique(classes).tolist():
                self.by_class[index].record(values[counted & (classes == index)])
        for buffer in (self.at, self.put_at, self.classes):
            buffer.clear()

    def named(self, names: Sequence[str]) -> dict[str, Histogram]:
        """The histograms by class name, all classes together first."""
        together = Histogram()
        for histogram in self.by_class:
            together.merge(histogram)
        return {ALL_CLASSES: together, **dict(zip(names, self.by_class, strict=True))}


class Metrics:
    """Consumes a run's records and pieces of work; `finish` gives the numbers."""

    def __init__(
        self, *, units_per_second: int, classes: Sequence[str], pools: Sequence[PoolInfo], warmup_at: int = 0
    ) -> None:
        self.class_of: dict[int, int] = {}  # job → index into `classes`; producers fill it when there is a choice
        self._units_per_second = units_per_second
        self._classes = tuple(classes) or ("default",)
        self._pools = tuple(pools)
        self._warmup_at = warmup_at
        self._timeline = Timeline(kinds=_KINDS, measures=2, units_per_second=units_per_second)
        self._workers = WorkerTimes(self._pools)
        self._pieces: list[tuple[int, int, int, int, int]] = []
        self._absences: list[tuple[int, int, int, int]] = []
        # The lives of single jobs: since when each job has been in its state, and its put, before and after the
        # first reserve.
        self._since: dict[JobState, dict[int, int]] = {state: {} for state in LIVE_STATES}
        self._unreserved: dict[int, int] = {}
        self._reserved: dict[int, int] = {}
        self._edge_rows = {
            source: {edge.trigger: (code, edge.target) for code, edge in enumerate(_EDGES) if edge.source is source}
            for source in JobState
        }
        self._wait = _Latency(_WAIT, len(self._classes))
        self._total = _Latency(_TOTAL, len(self._classes))
        self._edges: Integers = np.zeros(len(_EDGES), np.int64)
        self._window_edges: Integers = np.zeros(len(_EDGES), np.int64)
        self._stays = ExactSums((len(_EDGES),))  # by the edge that ends a visit: the sum of the visits' durations
        self._window_instants = ExactSums((len(_EDGES),))  # the sum of max(instant, warmup_at)
        self._latest = 0
        self._records = 0
        self._first_seq = 0
        self._last_seq = 0

    def consume(self, records: Sequence[TransitionRecord]) -> None:
        """Fold the next records, which come in order and each once. O(1) a record.

        Raises `InvariantViolation` at a record that is no edge of the table, or does not fit its job's past.
        """
        if not records:
            return
        codes, stays = self._live(records)
        count = len(records)
        at = np.fromiter(map(_AT, records), np.int64, count)
        if at[0] < self._latest or bool((at[1:] < at[:-1]).any()):
            raise InvariantViolation("time_goes_forward", f"records up to number {records[-1].seq} go back in time")
        self._latest = int(at[-1])
        code = np.array(codes, np.int64)
        self._timeline.events(at, code)
        self._edges += np.bincount(code, minlength=len(_EDGES))
        self._stays.add((code,), np.array(stays, np.int64))
        inside = int(np.searchsorted(at, self._warmup_at))
        self._window_edges += np.bincount(code[inside:], minlength=len(_EDGES))
        self._window_instants.add((code,), np.maximum(at, self._warmup_at))
        self._first_seq = self._first_seq or records[0].seq
        self._last_seq = records[-1].seq
        self._records += count
        for latency in (self._wait, self._total):
            if len(latency.at) >= _PIECES_MAX:
                latency.fold(self._timeline, self._warmup_at)

    def work(self, pool: int, worker: int, began_at: int, ended_at: int, outcome: Outcome) -> None:
        """Add a piece of work; at the end of a run also those that it cuts off, as `Outcome.UNFINISHED`."""
        self._pieces.append((pool, worker, began_at, ended_at, outcome))
        if len(self._pieces) >= _PIECES_MAX:
            self._fold_work()

    def absent(self, pool: int, worker: int, began_at: int, ended_at: int) -> None:
        """Add an absence of a worker, crashed and not yet back; at the end of a run also those that it cuts off."""
        self._absences.append((pool, worker, began_at, ended_at))
        if len(self._absences) >= _PIECES_MAX:
            self._fold_work()

    def finish(self, at: int, left: Mapping[JobState, int], *, watched: TransitionCounts | None = None) -> RunResult:
        """The numbers of a run that ended at `at`; call it once.

        `left` says how many jobs of each state the machine holds, by the machine's own counts, and `watched` what the
        graph's watcher counted. A broken balance does not raise: it is a check that does not hold.
        """
        self._fold_work()
        for latency in (self._wait, self._total):
            latency.fold(self._timeline, self._warmup_at)
        buckets = self._timeline.close(at)
        timeline = self._timeline_result(buckets)
        edges = dict(zip(_EDGES, self._edges.tolist(), strict=True))
        little = {
            state: LittleSides(
                area=sum(timeline.jobs[state]),
                stays=self._stays_in(state, at),
                visits=sum(n for edge, n in edges.items() if edge.target is state and edge.source is not state),
            )
            for state in LIVE_STATES
        }
        books = Books(
            units_per_second=self._units_per_second,
            ended_at=at,
            edges=edges,
            left={state: left.get(state, 0) for state in LIVE_STATES},
            little=little,
            records=self._records,
            seq_span=self._last_seq - self._first_seq + 1 if self._records else 0,
            watched_edges=None if watched is None else watched.edges,
            worker_overdrafts=self._workers.overdrafts(at),
        )
        window_at = min(self._warmup_at, at)
        return RunResult(
            units_per_second=self._units_per_second,
            ended_at=at,
            warmup_at=window_at,
            edges=edges,
            window_edges=dict(zip(_EDGES, self._window_edges.tolist(), strict=True)),
            left=books.left,
            wait=self._wait.named(self._classes),
            total=self._total.named(self._classes),
            mean_jobs={state: self._window_area(state, max(at, self._warmup_at)) for state in LIVE_STATES},
            little=little,
            workers=self._workers.results(at - window_at),
            pools=self._pools,
            timeline=timeline,
            watched=watched,
            checks=checks_of(books),
        )

    def _live(self, records: Sequence[TransitionRecord]) -> tuple[list[int], list[int]]:
        """Follow single jobs; the edge of each record, and the duration of the visit that it ends (0: none)."""
        codes: list[int] = []
        stays: list[int] = []
        rows, since = self._edge_rows, self._since
        unreserved, reserved = self._unreserved, self._reserved
        new, gone, touch = JobState.NEW, JobState.DELETED, Trigger.TOUCH
        held = JobState.RESERVED
        wait_jobs: list[int] = []
        total_jobs: list[int] = []
        try:
            for _, at, job, _, source, trigger, target, _ in records:
                code, expected = rows[source][trigger]
                if target is not expected:
                    raise KeyError(target)
                codes.append(code)
                if source is new:
                    stays.append(0)
                    unreserved[job] = at
                    since[target][job] = at
                    continue
                if trigger is touch:
                    stays.append(0)
                    since[held][job]  # the touched job must be there
                    continue
                stays.append(at - since[source].pop(job))
                if target is gone:
                    put_at = unreserved.pop(job, None)
                    if put_at is None:
                        put_at = reserved.pop(job)
                    total_jobs.append(job)
                    self._total.at.append(at)
                    self._total.put_at.append(put_at)
                    continue
                since[target][job] = at
                if target is held:
                    put_at = unreserved.pop(job, None)
                    if put_at is not None:
                        reserved[job] = put_at
                        wait_jobs.append(job)
                        self._wait.at.append(at)
                        self._wait.put_at.append(put_at)
        except KeyError:
            raise InvariantViolation(
                "records_fit_the_past",
                f"at {at}: job {job} went from {source} to {target} by {trigger}, which is no edge of the table "
                f"or not where the earlier records left the job",
            ) from None
        if len(self._classes) > 1:
            self._classify(wait_jobs, total_jobs)
        return codes, stays

    def _classify(self, wait_jobs: Sequence[int], total_jobs: Sequence[int]) -> None:
        """Note the classes of the jobs whose latencies came in, and forget those of the deleted."""
        class_of = self.class_of
        try:
            self._wait.classes.extend(map(class_of.__getitem__, wait_jobs))
            self._total.classes.extend(map(class_of.pop, total_jobs))
        except KeyError as error:
            raise InvariantViolation("each_job_has_a_class", f"job {error} has no entry in class_of") from None

    def _fold_work(self) -> None:
        if self._pieces:
            flat = np.fromiter(chain.from_iterable(self._pieces), np.int64, 5 * len(self._pieces))
            pieces = flat.reshape(-1, 5)
            self._workers.work(pieces, self._warmup_at)
            self._timeline.events(pieces[:, 2], np.full(len(pieces), _WORK_BEGAN))
            self._timeline.events(pieces[:, 3], np.full(len(pieces), _WORK_ENDED))
            self._pieces.clear()
        if self._absences:
            flat = np.fromiter(chain.from_iterable(self._absences), np.int64, 4 * len(self._absences))
            absences = flat.reshape(-1, 4)
            self._workers.absence(absences, self._warmup_at)
            self._timeline.events(absences[:, 2], np.full(len(absences), _ABSENCE_BEGAN))
            self._timeline.events(absences[:, 3], np.full(len(absences), _ABSENCE_ENDED))
            self._absences.clear()

    def _stays_in(self, state: JobState, ended_at: int) -> int:
        """The sum of all visits' durations, unfinished ones up to the end, from the lives of single jobs."""
        sums = self._stays.sums.tolist()
        ended = sum(total for edge, total in zip(_EDGES, sums, strict=True) if edge.source is state)
        since = self._since[state]
        return int(ended) + ended_at * len(since) - sum(since.values())

    def _window_area(self, state: JobState, ended_at: int) -> int:
        """The integral of the number of jobs in the state over the window."""
        return sum(
            change * (ended_at * count - int(instants))
            for change, count, instants in zip(
                _changes(state), self._edges.tolist(), self._window_instants.sums.tolist(), strict=False
            )
        )

    def _timeline_result(self, buckets: Sequence[Bucket]) -> TimelineResult:
        timeline = self._timeline
        working, missing = [0] * _KINDS, [0] * _KINDS
        working[_WORK_BEGAN], working[_WORK_ENDED] = 1, -1
        missing[_ABSENCE_BEGAN], missing[_ABSENCE_ENDED] = 1, -1
        workers = sum(pool.count for pool in self._pools)
        absent = timeline.integrals(missing, buckets)
        return TimelineResult(
            buckets=buckets,
            counts={
                name: timeline.counts([n for n, edge in enumerate(_EDGES) if edge.trigger in triggers], len(buckets))
                for name, triggers in COUNTED.items()
            },
            jobs={state: timeline.integrals(_changes(state), buckets) for state in LIVE_STATES},
            busy=timeline.integrals(working, buckets),
            present=[
                workers * (bucket.ends_at - bucket.begins_at) - away
                for bucket, away in zip(buckets, absent, strict=True)
            ],
            wait=timeline.measures[_WAIT],
            total=timeline.measures[_TOTAL],
        )


def _changes(state: JobState) -> list[int]:
    """By how much each kind of event changes the number of jobs in the state."""
    changes = [(edge.target is state) - (edge.source is state) for edge in _EDGES]
    return changes + [0] * (_KINDS - len(_EDGES))
