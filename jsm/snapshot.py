"""Reading a machine's whole state out, and restoring it: the seed's `JSMSnapshot`.

A restore builds a second `State` from what it is offered and checks each entry as it comes, so that a
million jobs never stand twice in memory beside the streams; `finalize_restore` swaps the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from jsm._heap import ID_BITS
from jsm._job import Job
from jsm._snapshot_checks import check_client_entry, check_header, check_job_record, require
from jsm._state import State
from jsm.errors import CancelledError, SnapshotChangedError, SnapshotError, StoppedError
from jsm.interface import JobRecord, SnapshotHeader, TubeEntry
from jsm.job import JobID
from jsm.limits import DEFAULT_TUBE
from jsm.reservations import ClientResvEntry
from jsm.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jsm._client import Client
    from jsm.job import TubeName
    from jsm.records import TransitionObserver

T = TypeVar("T")


class StateHolder(Protocol):
    """What a snapshot is taken of: a machine, of which it needs no more than this."""

    _state: State
    _stopped: bool


class MachineSnapshot:
    """A handle on a machine, for its snapshot or its restore; see `jsm.interface.JSMSnapshot`."""

    __slots__ = ("_machine", "_offer")

    def __init__(self, machine: StateHolder) -> None:
        self._machine = machine
        self._offer: _Offer | None = None

    # ------------------------------------------------------------------ reading

    def header(self) -> SnapshotHeader:
        """What is neither a job nor a client. O(tubes)."""
        state = self._state()
        return SnapshotHeader(
            units_per_second=state.units_per_second,
            max_job_size=state.max_job_size,
            clock=state.clock,
            next_job_id=state.next_job_id,
            record_seq=state.seq,
            next_bury_number=state.next_bury_number,
            total_jobs=state.total_jobs,
            job_timeouts=state.job_timeouts,
            commands=dict(state.commands),
            tubes=tuple(
                TubeEntry(tube.name, tube.pause_seconds, tube.pause_ends_at, tube.total_jobs, tube.deletes, tube.pauses)
                for tube in state.tubes.values()
            ),
            jobs=len(state.jobs),
            clients=len(state.clients),
        )

    def snapshot_jobs(self) -> Iterator[JobRecord]:
        """All jobs, by id. O(1) a step; `SnapshotChangedError` once the machine changed."""
        state = self._state()
        return self._guarded(state, (JobRecord(job.view(), job.bury_number) for job in state.jobs.values()))

    def snapshot_clients(self) -> Iterator[ClientResvEntry]:
        """All clients: the owed in order of their answers, the waiting in order of asking, the others by id."""
        state = self._state()
        owed = [state.clients[client_id] for client_id in state.owed]
        others = sorted(client_id for client_id, client in state.clients.items() if not client.ask)
        rest = (state.clients[client_id] for client_id in others if client_id not in state.owed)
        ordered = (client for part in (owed, state.waiting.values(), rest) for client in part)
        return self._guarded(state, (_client_entry(state, client) for client in ordered))

    # ------------------------------------------------------------------ restoring

    def restore_header(self, header: SnapshotHeader) -> None:
        """Offer the header, which comes first and drops what was offered before."""
        state = self._state()
        check_header(header)
        self._offer = _Offer(header, state.observer)

    def restore_jobs(self, jobs: Iterable[JobRecord]) -> None:
        """Offer jobs, by id, in one call or several. O(log n) a job."""
        self._feed(jobs, _Offer.add_job)

    def restore_clients(self, clients: Iterable[ClientResvEntry]) -> None:
        """Offer clients, in the order of `snapshot_clients`, in one call or several."""
        self._feed(clients, _Offer.add_client)

    def cancel_restore(self) -> None:
        """Drop what was offered; a restore that is being fed raises `CancelledError` at its next step."""
        self._offer = None

    def finalize_restore(self) -> None:
        """Replace the machine's state by what was offered, at once or not at all."""
        old = self._state()
        offer, self._offer = self._offer, None
        if offer is None:
            raise SnapshotError("nothing to restore: offer a header, jobs and clients first")
        new = offer.finished()
        new.changes = old.changes + 1
        self._machine._state = new

    # ------------------------------------------------------------------ inside

    def _state(self) -> State:
        if self._machine._stopped:
            raise StoppedError
        return self._machine._state

    def _guarded(self, state: State, stream: Iterator[T]) -> Iterator[T]:
        """The stream, each step of which first makes sure that the machine is as it was when it was opened."""
        return self._steps(state, state.changes, stream)

    def _steps(self, state: State, changes: int, stream: Iterator[T]) -> Iterator[T]:
        while True:
            if self._state() is not state or state.changes != changes:
                raise SnapshotChangedError("the machine changed while its snapshot was read; take a new one")
            try:
                entry = next(stream)
            except StopIteration:
                return
            yield entry

    def _feed(self, entries: Iterable[T], add: Callable[[_Offer, T], None]) -> None:
        """Offer entries until they end, one is bad, or the restore is cancelled."""
        self._state()
        offer = self._offer
        if offer is None:
            raise SnapshotError("offer the header first, with restore_header")
        try:
            for entry in entries:
                if self._offer is not offer:
                    raise CancelledError("the restore was cancelled; what it was offered is dropped")
                add(offer, entry)
        except SnapshotError:
            self._offer = None
            raise


class _Offer:
    """The state that a restore builds, entry by entry."""

    def __init__(self, header: SnapshotHeader, observer: TransitionObserver | None) -> None:
        self.header = header
        self.last_job_id = 0
        self.bury_numbers: set[int] = set()
        self.clients_seen: set[str] = set()
        self.client_rank = 0
        state = self.state = State(header.units_per_second, header.max_job_size, observer)
        state.clock = header.clock
        state.next_job_id = JobID(header.next_job_id)
        state.seq = header.record_seq
        state.next_bury_number = header.next_bury_number
        state.total_jobs = header.total_jobs
        state.job_timeouts = header.job_timeouts
        state.commands = dict(header.commands)
        for entry in header.tubes:
            tube = state.tube_named(entry.name)
            tube.total_jobs, tube.deletes, tube.pauses = entry.total_jobs, entry.deletes, entry.pauses
            if entry.pause_ends_at is not None:
                state.start_pause(tube, entry.pause_seconds, entry.pause_ends_at)

    def add_job(self, record: JobRecord) -> None:
        check_job_record(record, self.header, self.last_job_id)
        view, state = record.job, self.state
        self._require_tube(f"job {view.id}", view.tube)
        self.last_job_id = view.id
        if view.state is JobState.BURIED:
            number = record.bury_number
            require(number not in self.bury_numbers, f"job {view.id}", f"bury_number {number} again")
            self.bury_numbers.add(number)
        order = {
            JobState.READY: view.priority,
            JobState.DELAYED: view.ready_at,
            JobState.RESERVED: view.expires_at,
            JobState.BURIED: record.bury_number,
        }[view.state]
        job = Job(
            view.id,
            state.tubes[view.tube],
            view.body,
            view.priority,
            view.delay_seconds,
            view.ttr_seconds,
            view.created_at,
        )
        job.state = view.state
        job.key = order << ID_BITS | view.id
        job.buried_at = view.buried_at
        job.owner = None if view.reserved_by is None else state.client_named(view.reserved_by)
        job.reserves = view.reserves
        job.timeouts = view.timeouts
        job.releases = view.releases
        job.buries = view.buries
        job.kicks = view.kicks
        state.jobs[view.id] = job

    def add_client(self, entry: ClientResvEntry) -> None:
        where = f"client {entry.client_id!r}"
        check_client_entry(entry)
        require(entry.client_id not in self.clients_seen, where, "comes twice")
        rank = 0 if entry.owed is not None else 1 if entry.is_waiting else 2
        require(rank >= self.client_rank, where, "is out of order: the owed, the waiting, the others")
        self.client_rank = rank
        self.clients_seen.add(entry.client_id)
        for name in (*entry.watches, *entry.watched_tubes, *(() if entry.uses is None else (entry.uses,))):
            self._require_tube(where, name)
        state = self.state
        client = state.client_named(entry.client_id)
        if entry.uses is not None:
            client.uses = state.tubes[entry.uses]
            client.uses.using += 1
        for name in entry.watches:
            client.watches[name] = state.tubes[name]
            client.watches[name].watching += 1
        if entry.is_waiting:
            state.start_wait(client, entry.request_id, tuple(entry.watched_tubes), entry.deadline_at)
        if entry.owed is not None:
            state.owed[client.id] = entry.owed

    def finished(self) -> State:
        """The state, once everything that spans entries is checked."""
        header, state = self.header, self.state
        for kind, found, declared in (
            ("jobs", len(state.jobs), header.jobs),
            ("clients", len(self.clients_seen), header.clients),
        ):
            require(found == declared, kind, f"{found} were offered, the header declares {declared}")
        for client_id in state.clients:
            require(client_id in self.clients_seen, f"client {client_id!r}", "holds a job but was not offered")
        state.index_jobs()
        for tube in state.tubes.values():
            used = tube.in_use or tube.name == DEFAULT_TUBE
            require(used, f"tube {tube.name!r}", "holds no job and no client refers to it")
            if tube.matchable:
                state.matchable[tube.serial] = tube
        return state

    def _require_tube(self, where: str, name: TubeName) -> None:
        require(name in self.state.tubes, where, f"names the tube {name!r}, which the header does not")


def _client_entry(state: State, client: Client) -> ClientResvEntry:
    owed = state.owed.get(client.id)
    deadline_at = client.deadline_at if client.ask else None
    dues = [] if deadline_at is None else [deadline_at]
    if client.margin:
        dues.append((client.margin >> ID_BITS) - state.units_per_second)
    return ClientResvEntry(
        client_id=client.id,
        uses=None if client.uses is None else client.uses.name,
        watches=tuple(client.watches),
        is_waiting=bool(client.ask),
        request_id=client.request_id if client.ask else "",
        watched_tubes=tuple(tube.name for tube in client.waits_on) if client.ask else (),
        deadline_at=deadline_at,
        tick_at=min(dues, default=None),
        owed=owed,
    )
