"""Checks every transition that a machine reports against the state diagram, job by job, and counts.

The watcher sees records only. It keeps, for every live job, where it is in the graph and in which tube;
nothing of a deleted job. A record costs about a quarter of a microsecond in `consume`
(`tests/benchmarks/bench_watcher.py`), which a simulation calls with a few thousand at a time.

The rules, by name, and what they come from (INVARIANTS section 1):

| rule | says |
| --- | --- |
| `records_are_numbered_without_a_gap` | `seq` grows by one from record to record |
| `time_never_goes_back` | `at` is never less than before (S22) |
| `every_transition_is_an_edge` | source, trigger and target are an edge of the graph (S2) |
| `a_life_begins_with_a_put` | a job's first record is a put |
| `ids_strictly_increase` | a put's id is greater than that of every put before (S3) |
| `a_job_continues_where_it_was` | a record starts where the job's last one ended (S1) |
| `nothing_follows_a_delete` | a deleted job has no more records (S11) |
| `a_job_keeps_its_tube` | the tube never changes (S1) |
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsm.errors import InvariantViolation
from jsm.records import CommandRecord, TransitionRecord
from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import Transition
from models.graph import EdgePair, edge_name, edge_pairs, edges_of, transition_graph

if TYPE_CHECKING:
    import networkx as nx

    from jsm.interface import JSMSnapshot

# What a job may do next: trigger → (index of the counter, source, target, what it may do then; None: no more).
_Slot = tuple[int, JobState, JobState, "_Row | None"]
_Row = dict[Trigger, _Slot]


class TransitionViolation(InvariantViolation):
    """A record that the state diagram does not allow; says which job, from, trigger, to, when, and what was expected.

    `seconds` is None when the watcher does not know the time units.
    """

    def __init__(
        self, name: str, record: TransitionRecord, expected: str, *, units_per_second: int | None = None
    ) -> None:
        seq, at, job, tube, source, trigger, target, client = record
        self.record = record
        self.expected = expected
        self.seconds = None if units_per_second is None else at / units_per_second
        when = f"{at}" if self.seconds is None else f"{at} ({self.seconds:.9g} s)"
        who = "" if client is None else f" for client {client!r}"
        what = f"job {job} in tube {tube!r} went from {source} by {trigger} to {target}{who}"
        super().__init__(name, f"transition {seq} at {when}: {what}; expected {expected}")


@dataclass(frozen=True, slots=True)
class TransitionReport:
    """What a watcher has seen; every count includes its zeros and stands in the table's order."""

    checked: int  # records looked at, the illegal ones included
    illegal: int
    edges: Mapping[Transition, int]
    edge_pairs: Mapping[EdgePair, int]
    live: Mapping[JobState, int]  # jobs in the machine by state, as the records have it
    refusals: Mapping[tuple[str, str], int]  # by (operation, kind), sorted
    refused_cells: Mapping[tuple[str, str, str], int]  # by (state of the job, operation, kind), sorted

    @property
    def edges_never_seen(self) -> list[Transition]:
        """The edges that no record went along."""
        return [edge for edge, count in self.edges.items() if not count]

    @property
    def edge_pairs_never_seen(self) -> list[EdgePair]:
        """The edge pairs that no job went along."""
        return [pair for pair, count in self.edge_pairs.items() if not count]

    def summary(self) -> dict[str, Any]:
        """The report as a simulation's `summary.json` carries it under `transitions`."""
        return {
            "checked": self.checked,
            "illegal": self.illegal,
            "edges": {edge_name(edge): count for edge, count in self.edges.items()},
            "edges_never_seen": [edge_name(edge) for edge in self.edges_never_seen],
            "edge_pairs_seen": len(self.edge_pairs) - len(self.edge_pairs_never_seen),
            "edge_pairs": len(self.edge_pairs),
        }


class TransitionWatcher:
    """Checks records against the state diagram and counts edges, edge pairs and refusals.

    It begins at an empty machine, or at the state that is passed in: `initial` is the live jobs as
    id → (state, tube), `next_seq` the number of the next record, `clock` the machine's, `last_job_id` the
    greatest id so far (left out: the greatest in `initial`). `units_per_second` only serves messages.
    """

    def __init__(
        self,
        *,
        units_per_second: int | None = None,
        initial: Mapping[int, tuple[JobState, str]] | None = None,
        next_seq: int = 1,
        clock: int = 0,
        last_job_id: int | None = None,
        graph: "nx.MultiDiGraph[JobState] | None" = None,
    ) -> None:
        initial = {} if initial is None else initial
        graph = transition_graph() if graph is None else graph
        self._units_per_second = units_per_second
        self._edges = edges_of(graph)
        self._pairs = edge_pairs(graph)
        self._known = frozenset(self._edges)  # for membership only
        self._steps: list[tuple[Transition | None, Transition]] = []
        starts = self._compile()
        self._counts = [0] * len(self._steps)
        self._new = starts[JobState.NEW]
        self._rows = {job: starts[state] for job, (state, _) in initial.items()}
        self._tubes = {job: tube for job, (_, tube) in initial.items()}
        self._next_seq = next_seq
        self._clock = clock
        self._last_id = max(initial, default=0) if last_job_id is None else last_job_id
        self._illegal = 0
        self._refusals: dict[tuple[str, str], int] = {}
        self._refused_cells: dict[tuple[str, str, str], int] = {}

    @classmethod
    def from_snapshot(cls, snapshot: "JSMSnapshot") -> "TransitionWatcher":
        """A watcher that goes on from a machine's state, such as after a restore. O(jobs)."""
        header = snapshot.header()
        return cls(
            units_per_second=header.units_per_second,
            initial={entry.job.id: (entry.job.state, entry.job.tube) for entry in snapshot.snapshot_jobs()},
            next_seq=header.record_seq + 1,
            clock=header.clock,
            last_job_id=header.next_job_id - 1,
        )

    def _compile(self) -> dict[JobState, _Row]:
        """Lay the graph out for `consume`: a row for each edge (what may follow it) and each state to begin in."""
        rows: list[_Row] = [{} for _ in self._edges]
        starts: dict[JobState, _Row] = {state: {} for state in JobState}
        self._state_of_row = {id(row): state for state, row in starts.items()}
        self._state_of_row |= {id(row): edge.target for edge, row in zip(self._edges, rows, strict=True)}
        befores: list[tuple[Transition | None, _Row]] = [(None, row) for row in starts.values()]
        befores += zip(self._edges, rows, strict=True)
        for before, row in befores:
            for edge, after in zip(self._edges, rows, strict=True):
                if edge.source is self._state_of_row[id(row)]:
                    ends = edge.target is JobState.DELETED
                    row[edge.trigger] = (len(self._steps), edge.source, edge.target, None if ends else after)
                    self._steps.append((before, edge))
        return starts

    def consume(self, records: Iterable[TransitionRecord]) -> None:
        """Check a chunk of records; raise `TransitionViolation` at the first that is not allowed. O(1) a record.

        What came before the illegal record is counted; it and what comes after it are not.
        """
        remaining = iter(records)
        while (doubtful := self._consume_plain(remaining)) is not None:
            self.transition(doubtful)

    def _consume_plain(self, records: Iterator[TransitionRecord]) -> TransitionRecord | None:
        """Take records as long as they are plainly right; return the first that is not, itself not taken.

        The loop is the project's most travelled; locals, identity and one counter a record make it fast.
        """
        rows, tubes, counts, new = self._rows, self._tubes, self._counts, self._new
        row_of = rows.get
        seq, clock, last_id = self._next_seq, self._clock, self._last_id
        try:
            for number, at, job, tube, source, trigger, target, client in records:  # noqa: B007 (used after a break)
                row = row_of(job, new)
                slot = row.get(trigger)
                if slot is None or number != seq or at < clock:
                    break
                index, start, end, after = slot
                if start is not source or end is not target:
                    break
                if row is new:
                    if job <= last_id or after is None:
                        break
                    last_id = job
                    tubes[job] = tube
                    rows[job] = after
                elif tubes[job] != tube:
                    break
                elif after is None:
                    del rows[job], tubes[job]
                else:
                    rows[job] = after
                counts[index] += 1
                seq = number + 1
                clock = at
            else:
                return None
        finally:
            self._next_seq, self._clock, self._last_id = seq, clock, last_id
        return TransitionRecord(number, at, job, tube, source, trigger, target, client)

    def transition(self, record: TransitionRecord) -> None:
        """Check one record; raise `TransitionViolation` when it is not allowed. O(1).

        This is the definition; `consume` is its fast form.
        """
        broken = self._broken_rule(record)
        if broken is not None:
            self._illegal += 1
            name, expected = broken
            raise TransitionViolation(name, record, expected, units_per_second=self._units_per_second)
        job = record.job
        row = self._rows.get(job, self._new)
        index, _, _, after = row[record.trigger]
        if row is self._new:
            self._last_id = job
        if after is None:
            self._rows.pop(job, None)
            self._tubes.pop(job, None)
        else:
            self._rows[job] = after
            self._tubes[job] = record.tube
        self._counts[index] += 1
        self._next_seq = record.seq + 1
        self._clock = record.at

    def command(self, record: CommandRecord) -> None:
        """Count a refused call by its kind, and by its job's state where it names one. O(1).

        The job's state is the one after the records so far, so hand over transitions before the commands that
        follow them. An id that no put has had yet is `new`; one that is no longer live is `deleted`.
        """
        kind = record.outcome.get("refused")
        if kind is None:
            return
        refusal = (record.op, str(kind))
        self._refusals[refusal] = self._refusals.get(refusal, 0) + 1
        job = record.args.get("job_id")
        if type(job) is int:
            cell = (str(self._state_of(job)), *refusal)
            self._refused_cells[cell] = self._refused_cells.get(cell, 0) + 1

    def report(self) -> TransitionReport:
        """What was seen so far. O(live jobs)."""
        edges = dict.fromkeys(self._edges, 0)
        pairs = dict.fromkeys(self._pairs, 0)
        for (first, second), count in zip(self._steps, self._counts, strict=True):
            edges[second] += count
            if first is not None:
                pairs[EdgePair(first, second)] += count
        live = dict.fromkeys(LIVE_STATES, 0)
        for row in self._rows.values():
            live[self._state_of_row[id(row)]] += 1
        return TransitionReport(
            checked=sum(self._counts) + self._illegal,
            illegal=self._illegal,
            edges=edges,
            edge_pairs=pairs,
            live=live,
            refusals=dict(sorted(self._refusals.items())),
            refused_cells=dict(sorted(self._refused_cells.items())),
        )

    def _state_of(self, job: int) -> JobState:
        row = self._rows.get(job)
        if row is not None:
            return self._state_of_row[id(row)]
        return JobState.DELETED if 0 < job <= self._last_id else JobState.NEW

    def _broken_rule(self, record: TransitionRecord) -> tuple[str, str] | None:
        """The first rule that the record breaks, and what was expected instead; None: it is allowed."""
        seq, at, job, tube, source, trigger, target, _ = record
        if seq != self._next_seq:
            return "records_are_numbered_without_a_gap", f"transition {self._next_seq}"
        if at < self._clock:
            return "time_never_goes_back", f"an instant from {self._clock} on"
        if (source, trigger, target) not in self._known:
            return "every_transition_is_an_edge", self._ways_from(source)
        state = self._state_of(job)
        live = job in self._rows
        if source == JobState.NEW:
            if live or job <= self._last_id:
                return "ids_strictly_increase", f"an id greater than {self._last_id}"
            return None
        if not live:
            if state is JobState.DELETED:
                return "nothing_follows_a_delete", "no record of a job that is not in the machine any more"
            return "a_life_begins_with_a_put", self._ways_from(JobState.NEW)
        if source != state:
            return "a_job_continues_where_it_was", self._ways_from(state)
        if tube != self._tubes[job]:
            return "a_job_keeps_its_tube", f"tube {self._tubes[job]!r}, where the job was put"
        return None

    def _ways_from(self, state: JobState) -> str:
        """The edges that lead out of a state, in words."""
        ways = [f"{edge.trigger} to {edge.target}" for edge in self._edges if edge.source == state]
        return f"from {state}: {', '.join(ways) or 'nothing'}"
