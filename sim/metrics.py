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
from operator import itemgetter
from typing import Final

import numpy as np

from jsm.errors import InvariantViolation
from jsm.records import TransitionRecord
from jsm.states import LIVE_STATES, JobState
from jsm.transitions import transitions
from sim.balance import Books, LittleSides, checks_of
from sim.histogram import ExactSums, Histogram, Integers, packed
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
_PIECES_MAX: Final = 8_192  # of work, kept until they are folded
_LATENCIES_MAX: Final = 16_384  # so that a fold by class pays for its many small steps

_IS_DELETE: Final = np.array([edge.trigger in COUNTED["deletes"] for edge in _EDGES])
_IS_MEASURED: Final = np.array([edge.trigger in COUNTED["reserves"] for edge in _EDGES]) | _IS_DELETE
_NO_CLASSES: Final[Integers] = np.zeros(0, np.int64)
_AT = itemgetter(1)
_JOB = itemgetter(2)


class _Latency:
    """One measure: put to first reserve, or put to delete."""

    __slots__ = ("_buffer", "_buffered", "_by_class", "_measure")

    def __init__(self, measure: int, classes: int) -> None:
        self._measure = measure
        self._by_class = [Histogram() for _ in range(classes)]
        self._buffer: list[tuple[Integers, Integers, Integers]] = []
        self._buffered = 0

    def add(self, at: Integers, put_at: Integers, classes: Integers) -> None:
        """Add jobs: the instant that ends the latency, the put, and the class unless there is only one."""
        self._buffer.append((at, put_at, classes))
        self._buffered += len(at)

    def fold(self, timeline: Timeline, warmup_at: int, *, from_size: int = 0) -> None:
        """Empty a buffer of that size into the timeline (all jobs) and the histograms (put after the warm-up)."""
        if not self._buffer or self._buffered < from_size:
            return
        at, put_at, classes = (np.concatenate(columns) for columns in zip(*self._buffer, strict=True))
        values = at - put_at
        timeline.values(self._measure, at, values)
        counted = put_at >= warmup_at
        if len(self._by_class) == 1:
            self._by_class[0].record(values[counted])
        else:
            for index in np.unique(classes).tolist():
                self._by_class[index].record(values[counted & (classes == index)])
        self._buffer.clear()
        self._buffered = 0

    def named(self, names: Sequence[str]) -> dict[str, Histogram]:
        """The histograms by class name, all classes together first."""
        together = Histogram()
        for histogram in self._by_class:
            together.merge(histogram)
        return {ALL_CLASSES: together, **dict(zip(names, self._by_class, strict=True))}


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
        self._pieces: list[int] = []  # five numbers a piece: a flat list is filled and packed fastest
        self._absences: list[int] = []  # four an absence
        # The lives of single jobs, by state: job → (in the state since, put at). Once a job was reserved, its put
        # is kept as the complement, which is negative: only the first reserve ends a waiting time.
        self._lives: dict[JobState, dict[int, tuple[int, int]]] = {state: {} for state in LIVE_STATES}
        # source → trigger → (edge, target, where the job leaves from, where it goes to; an empty one for the two ends)
        outside: dict[int, tuple[int, int]] = {}
        self._rows = {
            source: {
                edge.trigger: (
                    code,
                    edge.target,
                    self._lives.get(source, outside),
                    self._lives.get(edge.target, outside),
                )
                for code, edge in enumerate(_EDGES)
                if edge.source is source
            }
            for source in JobState
        }
        self._wait = _Latency(_WAIT, len(self._classes))
        self._total = _Latency(_TOTAL, len(self._classes))
        self._edges: Integers = np.zeros(len(_EDGES), np.int64)
        self._window_edges: Integers = np.zeros(len(_EDGES), np.int64)
        self._stays = ExactSums(len(_EDGES))  # by the edge that ends a visit: the sum of the visits' durations
        self._window_instants = ExactSums(len(_EDGES))  # the sum of max(instant, warmup_at)
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
        count = len(records)
        codes, begins, puts = self._live(records)
        at = packed(list(map(_AT, records)))
        if at[0] < self._latest or bool((at[1:] < at[:-1]).any()):
            raise InvariantViolation("time_goes_forward", f"records up to number {records[-1].seq} go back in time")
        self._latest = int(at[-1])
        code = np.frombuffer(codes, np.uint8).astype(np.int64)
        self._timeline.events(at, code)
        self._edges += np.bincount(code, minlength=len(_EDGES))
        self._stays.add(code, at - packed(begins))
        inside = int(np.searchsorted(at, self._warmup_at))
        self._window_edges += np.bincount(code[inside:], minlength=len(_EDGES))
        self._window_instants.add(code, np.maximum(at, self._warmup_at))
        self._first_seq = self._first_seq or records[0].seq
        self._last_seq = records[-1].seq
        self._records += count
        self._add_latencies(records, at, code, packed(puts))

    def work(self, pool: int, worker: int, began_at: int, ended_at: int, outcome: Outcome) -> None:
        """Add a piece of work; at the end of a run also those that it cuts off, as `Outcome.UNFINISHED`."""
        pieces = self._pieces
        pieces += (pool, worker, began_at, ended_at, outcome)
        if len(pieces) >= 5 * _PIECES_MAX:
            self._fold_work()

    def absent(self, pool: int, worker: int, began_at: int, ended_at: int) -> None:
        """Add an absence of a worker, crashed and not yet back; at the end of a run also those that it cuts off."""
        self._absences += (pool, worker, began_at, ended_at)
        if len(self._absences) >= 4 * _PIECES_MAX:
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

    def _live(self, records: Sequence[TransitionRecord]) -> tuple[bytearray, list[int], list[int]]:
        """Follow single jobs: the edge of each record, the begin of the visit that it ends, the puts of the measured.

        An edge that ends no visit has its own instant as the begin. The measured are the reserves and deletes.
        """
        codes = bytearray()
        begins: list[int] = []
        puts: list[int] = []
        add_code, add_begin, add_put = codes.append, begins.append, puts.append
        rows, new, gone, held = self._rows, JobState.NEW, JobState.DELETED, JobState.RESERVED
        try:
            for _, at, job, _, source, trigger, target, _ in records:
                code, expected, leaves, enters = rows[source][trigger]
                if target is not expected:
                    raise KeyError(target)
                add_code(code)
                if source is new:
                    add_begin(at)
                    enters[job] = at, at
                    continue
                if leaves is enters:  # a touch, and the visit goes on
                    add_begin(at)
                    leaves[job]
                    continue
                begin, put_at = leaves.pop(job)
                add_begin(begin)
                if target is held:
                    add_put(put_at)
                    enters[job] = at, put_at if put_at < 0 else ~put_at
                elif target is gone:
                    add_put(put_at)
                else:
                    enters[job] = at, put_at
        except KeyError:
            raise InvariantViolation(
                "records_fit_the_past",
                f"at {at}: job {job} went from {source} to {target} by {trigger}, which is no edge of the table "
                f"or not where the earlier records left the job",
            ) from None
        return codes, begins, puts

    def _add_latencies(self, records: Sequence[TransitionRecord], at: Integers, code: Integers, puts: Integers) -> None:
        """Note the latencies that end in a chunk; `puts` are those of its reserves and deletes, as in `_lives`."""
        where = np.flatnonzero(_IS_MEASURED[code])
        ends, is_delete = at[where], _IS_DELETE[code[where]]
        totals = np.flatnonzero(is_delete)
        waits = np.flatnonzero(~is_delete & (puts >= 0))
        wait_classes = total_classes = _NO_CLASSES
        if len(self._classes) > 1:
            jobs = packed(list(map(_JOB, records)))[where]
            wait_classes, total_classes = self._classify(jobs[waits].tolist(), jobs[totals].tolist())
        self._wait.add(ends[waits], puts[waits], wait_classes)
        ended = puts[totals]
        self._total.add(ends[totals], np.where(ended < 0, ~ended, ended), total_classes)
        for latency in (self._wait, self._total):
            latency.fold(self._timeline, self._warmup_at, from_size=_LATENCIES_MAX)

    def _classify(self, waited: Sequence[int], deleted: Sequence[int]) -> tuple[Integers, Integers]:
        """The classes of the jobs whose latencies came in; those of the deleted are forgotten."""
        class_of = self.class_of
        try:
            return (
                np.fromiter(map(class_of.__getitem__, waited), np.int64, len(waited)),
                np.fromiter(map(class_of.pop, deleted), np.int64, len(deleted)),
            )
        except KeyError as error:
            raise InvariantViolation("each_job_has_a_class", f"job {error} has no entry in class_of") from None

    def _fold_work(self) -> None:
        # copied to columns, which numpy reads faster
        if self._pieces:
            pieces = packed(self._pieces).reshape(-1, 5).T.copy()
            self._pieces.clear()
            self._workers.work(pieces, self._warmup_at)
            self._span(pieces, _WORK_BEGAN, _WORK_ENDED)
        if self._absences:
            absences = packed(self._absences).reshape(-1, 4).T.copy()
            self._absences.clear()
            self._workers.absence(absences, self._warmup_at)
            self._span(absences, _ABSENCE_BEGAN, _ABSENCE_ENDED)

    def _span(self, columns: Integers, began: int, ended: int) -> None:
        """Note the two ends of each piece in the timeline."""
        self._timeline.events(columns[2], np.full(columns.shape[1], began))
        self._timeline.events(columns[3], np.full(columns.shape[1], ended))

    def _stays_in(self, state: JobState, ended_at: int) -> int:
        """The sum of all visits' durations, unfinished ones up to the end, from the lives of single jobs."""
        sums = self._stays.sums.tolist()
        ended = sum(total for edge, total in zip(_EDGES, sums, strict=True) if edge.source is state)
        begins = [begin for begin, _ in self._lives[state].values()]
        return int(ended) + ended_at * len(begins) - sum(begins)

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
