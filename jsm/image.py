"""Exact copies of a small machine's state, taken and put back in a few microseconds: what an explorer needs.

A snapshot (`jsm.snapshot`) is a machine's state for everybody, checked and portable; an image is for whoever calls
one machine hundreds of thousands of times from the same few states. It holds the containers themselves and is good
for the machine that it was taken of only. `built` makes a state from a plain description, as an explorer keeps it.
"""

from __future__ import annotations

from heapq import heappush
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from jsm._heap import ID_BITS, KeyHeap
from jsm._job import Job
from jsm._state import State
from jsm.job import ClientID, JobID, TubeName
from jsm.reservations import Reservation, ReservationStatus
from jsm.states import BURIED, READY, RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jsm.machine import Machine
    from jsm.states import JobState

_DICTS = ("jobs", "tubes", "clients", "owed", "waiting", "matchable", "paused")
_HEAPS = ("delays", "expiries", "pause_ends", "wait_deadlines", "margins")
_FIXED = ("units_per_second", "max_job_size", "observer", "margin_key")

# Read all of what may change of a part in one go; `Image.put_back` writes it in the same order.
_JOB_VALUES = attrgetter(
    "buried_at", "buries", "delay_seconds", "key", "kicks", "owner", "priority", "releases", "reserves", "state",
    "timeouts", "ttr_seconds",
)  # fmt: skip
_TUBE_VALUES = attrgetter(
    "reserved", "urgent", "using", "watching", "pause_seconds", "pause_ends_at", "total_jobs", "deletes", "pauses",
)  # fmt: skip
_CLIENT_VALUES = attrgetter("uses", "ask", "request_id", "waits_on", "deadline_at", "margin")


class JobPart(NamedTuple):
    """A job of a description; the instants are the machine's."""

    id: int
    tube: str
    state: JobState
    priority: int
    delay_seconds: int
    ttr_seconds: int
    due: int  # delayed: when it becomes ready; reserved: when it expires; buried: its place in the order of burials
    owner: str | None


class ClientPart(NamedTuple):
    """A client of a description."""

    id: str
    uses: str | None
    watches: tuple[str, ...]
    waits_on: tuple[str, ...]  # empty: it doesn't wait
    deadline_at: int | None
    place: int  # in the order of asking, from 1 on; 0: it doesn't wait


class Description(NamedTuple):
    """A state without what no later call depends on."""

    clock: int
    next_job_id: int
    tubes: Sequence[tuple[str, int | None]]  # in order of creation: the name, and the end of its pause
    jobs: Sequence[JobPart]  # by id
    clients: Sequence[ClientPart]
    owed: Sequence[tuple[str, int]]  # client and job, in the order in which they were matched


def load(machine: Machine, described: Description, *, has_past: bool = True) -> None:
    """Give a machine the described state. O(n log n) for n jobs, tubes and clients.

    Bodies, request ids and counters are such that a mix-up shows (`body_of`, `request_of`, `COUNTERS`), and the ready
    heaps have the stale keys that reserves by id leave behind, unless there is to be no past. For descriptions that a
    machine's own state was read into: they are not checked.
    """
    old = machine._state
    state = State(old.units_per_second, old.max_job_size, old.observer)
    state.clock = described.clock
    state.next_job_id = JobID(described.next_job_id)
    state.total_jobs = described.next_job_id - 1
    state.job_timeouts = COUNTERS[1] * len(described.jobs)
    for name, pause_ends_at in described.tubes:
        tube = state.tube_named(TubeName(name))
        if pause_ends_at is not None:
            state.start_pause(tube, max(pause_ends_at - described.clock, 0), pause_ends_at)
    for part in described.jobs:
        tube = state.tubes[TubeName(part.tube)]
        tube.total_jobs += 1
        body = body_of(part.id)
        job = Job(JobID(part.id), tube, body, part.priority, part.delay_seconds, part.ttr_seconds, 0)
        job.reserves, job.timeouts, job.releases, job.buries, job.kicks = COUNTERS
        job.state = part.state
        order = part.priority if part.state is READY else part.due
        job.key = order << ID_BITS | part.id
        if part.state is RESERVED:
            job.owner = state.client_named(ClientID(part.owner or ""))
        elif part.state is BURIED:
            state.next_bury_number = max(state.next_bury_number, part.due + 1)
        state.jobs[part.id] = job
    for client in described.clients:
        known = state.client_named(ClientID(client.id))
        if client.uses is not None:
            known.uses = state.tubes[TubeName(client.uses)]
            known.uses.using += 1
        for name in client.watches:
            watched = known.watches[TubeName(name)] = state.tubes[TubeName(name)]
            watched.watching += 1
    for client in sorted((client for client in described.clients if client.place), key=attrgetter("place")):
        names = tuple(map(TubeName, client.waits_on))
        state.start_wait(state.clients[ClientID(client.id)], request_of(client.id), names, client.deadline_at)
    for owner, job_id in described.owed:
        matched = (ReservationStatus.MATCHED, JobID(job_id), body_of(job_id))
        answer = Reservation(request_of(owner), ClientID(owner), *matched)
        state.owed[answer.client_id] = answer
    state.index_jobs()
    for job in state.jobs.values() if has_past else ():
        if job.state is not READY:
            _leave_stale(job.tube.ready, job.priority << ID_BITS | job.id)
    for tube in state.tubes.values():
        if tube.matchable:
            state.matchable[tube.serial] = tube
    machine._state = state


def _leave_stale(heap: KeyHeap, key: int) -> None:
    """Let a heap look as if the key had been removed from below its top."""
    if heap.keys and heap.keys[0] < key:
        heappush(heap.keys, key)
        heap.stale = {*(heap.stale or ()), key}


def restart(machine: Machine, make_machine: Callable[[], Machine]) -> None:
    """Give a machine the state of a new one that was restored from its snapshot. O(n log n)."""
    source = machine.snapshot()
    heir = make_machine()
    target = heir.snapshot()
    target.restore_header(source.header())
    target.restore_jobs(source.snapshot_jobs())
    target.restore_clients(source.snapshot_clients())
    target.finalize_restore()
    machine._state = heir._state


COUNTERS: Final = (20, 2, 3, 4, 5)
"""The reserves, timeouts, releases, buries and kicks of every job of a described state: no two alike, none 0."""


def body_of(job_id: int) -> bytes:
    """The body of a job of a described state."""
    return b"body of job %d" % job_id


def request_of(client: str) -> str:
    """The request id of a client's reservations in a described state."""
    return f"request of {client}"


class Image:
    """The state of one machine at one instant; `put_back` makes it the machine's again. O(jobs + tubes + clients)."""

    __slots__ = (
        "_clients",
        "_commands",
        "_dicts",
        "_heaps",
        "_jobs",
        "_machine",
        "_numbers",
        "_state",
        "_tubes",
        "_vars",
    )

    def __init__(self, machine: Machine) -> None:
        state = self._state = machine._state
        self._machine = machine
        self._dicts = [(name, dict(getattr(state, name))) for name in _DICTS]
        self._commands = dict(state.commands)
        tubes, clients = list(state.tubes.values()), list(state.clients.values())
        heaps = [getattr(state, name) for name in _HEAPS]
        heaps += [heap for tube in tubes for heap in (tube.ready, tube.delayed, tube.buried, tube.waiters)]
        heaps += [client.held for client in clients]
        self._heaps = [(heap, list(heap.keys), set(heap.stale) if heap.stale else None) for heap in heaps]
        taken = {"commands", *_DICTS, *_HEAPS, *_FIXED}
        self._numbers = {name: value for name, value in vars(state).items() if name not in taken}
        self._jobs = [(job, _JOB_VALUES(job)) for job in state.jobs.values()]
        self._tubes = [(tube, _TUBE_VALUES(tube)) for tube in tubes]
        self._clients = [(client, _CLIENT_VALUES(client), dict(client.watches)) for client in clients]
        self._vars = dict(vars(machine)) if hasattr(machine, "__dict__") else None  # of a subclass

    def is_still(self) -> bool:
        """Whether nothing has happened to the machine since, its `cmd-*` counters apart."""
        attributes = self._state.__dict__
        return (
            self._machine._state is self._state
            and all(attributes[name] == content for name, content in self._dicts)
            and all(attributes[name] == value for name, value in self._numbers.items())
            and all(heap.keys == keys and (heap.stale or None) == stale for heap, keys, stale in self._heaps)
            and all(_JOB_VALUES(job) == values for job, values in self._jobs)
            and all(_TUBE_VALUES(tube) == values for tube, values in self._tubes)
            and all(
                _CLIENT_VALUES(client) == values and client.watches == watches
                for client, values, watches in self._clients
            )
        )

    def put_back(self) -> None:
        """Undo everything that happened to the machine since the image was taken."""
        state = self._machine._state = self._state
        attributes = state.__dict__
        for name, content in self._dicts:
            if attributes[name] != content:
                attributes[name] = content.copy()
        attributes["commands"] = self._commands.copy()
        attributes.update(self._numbers)
        for heap, keys, stale in self._heaps:
            if heap.keys != keys:
                heap.keys[:] = keys
            if heap.stale or stale:
                heap.stale = set(stale) if stale else None
        for job, values in self._jobs:
            (
                job.buried_at,
                job.buries,
                job.delay_seconds,
                job.key,
                job.kicks,
                job.owner,
                job.priority,
                job.releases,
                job.reserves,
                job.state,
                job.timeouts,
                job.ttr_seconds,
            ) = values
        for tube, numbers in self._tubes:
            (
                tube.reserved,
                tube.urgent,
                tube.using,
                tube.watching,
                tube.pause_seconds,
                tube.pause_ends_at,
                tube.total_jobs,
                tube.deletes,
                tube.pauses,
            ) = numbers
        for client, (uses, ask, request_id, waits_on, deadline_at, margin), watches in self._clients:
            client.uses = uses
            client.ask = ask
            client.request_id = request_id
            client.waits_on = waits_on
            client.deadline_at = deadline_at
            client.margin = margin
            if client.watches != watches:
                client.watches = watches.copy()
        if self._vars is not None:
            own = vars(self._machine)
            own.clear()
            own.update(self._vars)
