"""The whole mutable state of a machine, with the steps that keep its containers in agreement.

`State` knows no argument checks and no refusals: `Machine` has done them before it calls. That all of it
hangs on one object is what lets a restore replace it at once.
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING

from jsm._client import Client
from jsm._heap import ID_BITS, ID_MASK, KeyHeap
from jsm._tube import Tube
from jsm.errors import IllegalTransitionError
from jsm.limits import DEFAULT_TUBE, URGENT_PRIORITY_LIMIT
from jsm.records import TransitionObserver, TransitionRecord
from jsm.reservations import Reservation, ReservationStatus
from jsm.states import JobState, Trigger
from jsm.statistics import COMMAND_NAMES
from jsm.transitions import TRANSITIONS

if TYPE_CHECKING:
    from jsm._job import Job
    from jsm.job import ClientID, TubeName

URGENT_KEY_LIMIT = URGENT_PRIORITY_LIMIT << ID_BITS


class State:
    """Jobs, tubes, clients, timers, counters. All orders are total, so nothing depends on hashing."""

    def __init__(self, units_per_second: int, max_job_size: int, observer: TransitionObserver | None) -> None:
        self.units_per_second = units_per_second
        self.max_job_size = max_job_size
        self.observer = observer
        self.clock = 0
        self.changes = 0  # how often an accepted call changed anything; open snapshot streams compare it
        self.next_job_id = 1
        self.seq = 0  # of the last transition record
        self.next_bury_number = 1
        self.next_ask = 1
        self.next_tube_serial = 0
        self.total_jobs = 0
        self.job_timeouts = 0
        self.urgent = 0  # ready jobs with a priority below 1024
        self.ready = 0
        self.buried = 0
        self.commands = dict.fromkeys(COMMAND_NAMES, 0)
        self.jobs: dict[int, Job] = {}
        self.tubes: dict[TubeName, Tube] = {}  # in order of creation
        self.clients: dict[ClientID, Client] = {}
        self.owed: dict[ClientID, Reservation] = {}  # in order of matching; the next tick hands them out
        self.waiting: dict[int, Client] = {}  # by ask number, in order of asking
        self.matchable: dict[int, Tube] = {}  # by serial: exactly the tubes with `Tube.matchable`
        self.paused: dict[int, Tube] = {}  # by serial
        self.delays = KeyHeap()  # ready instant, job id
        self.expiries = KeyHeap()  # expiry, job id
        self.pause_ends = KeyHeap()  # pause end, tube serial
        self.wait_deadlines = KeyHeap()  # deadline, ask number
        self.margins = KeyHeap()  # soonest expiry of a waiting holder, ask number
        self.tube_named(DEFAULT_TUBE)  # type: ignore[arg-type]  # the one name that needs no caller

    def move(self, job: Job, trigger: Trigger, who: ClientID | None = None, due: int = 0) -> None:
        """Take a job through one cell of the table: the only code that assigns `job.state`.

        `who` is the client that the record names, and the new owner where the target is reserved; `due` the new
        ready instant or expiry, in units, where the target has one. A missing cell raises
        `IllegalTransitionError` before anything changes.
        """
        source = job.state
        target = TRANSITIONS[source].get(trigger)
        if target is None:
            raise IllegalTransitionError(job.id, source, trigger)
        self._take_out(job, source)
        job.state = target
        if target is JobState.RESERVED:
            assert who is not None  # every trigger that leads here names the owner
            job.owner = self.clients[who]
            job.expires_at = due
        elif target is JobState.DELAYED:
            job.ready_at = due
        elif target is JobState.BURIED:
            job.buried_at = self.clock
            job.bury_number = self.next_bury_number
            self.next_bury_number += 1
        self.put_in(job)
        self.seq += 1
        if self.observer is not None:
            self.observer.transition(
                TransitionRecord(self.seq, self.clock, job.id, job.tube.name, source, trigger, target, who)
            )

    def _take_out(self, job: Job, source: JobState) -> None:
        """Remove a job from the container of its state and from the timers that its state has."""
        tube = job.tube
        if source is JobState.READY:
            key = job.priority << ID_BITS | job.id
            tube.ready.remove(key)
            self.ready -= 1
            if key < URGENT_KEY_LIMIT:
                tube.urgent -= 1
                self.urgent -= 1
            if self.matchable and not tube.ready.keys:
                self.matchable.pop(tube.serial, None)
        elif source is JobState.RESERVED:
            owner = job.owner
            assert owner is not None  # a reserved job has one
            key = job.expires_at << ID_BITS | job.id
            self.expiries.remove(key)
            owner.held.remove(key)
            if owner.ask:
                self.update_margin(owner)
            tube.reserved -= 1
            job.expires_at = 0
            job.owner = None
        elif source is JobState.DELAYED:
            key = job.ready_at << ID_BITS | job.id
            self.delays.remove(key)
            tube.delayed.remove(key)
            job.ready_at = 0
        elif source is JobState.BURIED:
            del tube.buried[job.id]
            self.buried -= 1
            job.buried_at = 0
            job.bury_number = 0

    def put_in(self, job: Job) -> None:
        """Add a job to the container and the timers of its state, whose instants are set."""
        tube = job.tube
        state = job.state
        if state is JobState.READY:
            key = job.priority << ID_BITS | job.id
            tube.ready.push(key)
            self.ready += 1
            if key < URGENT_KEY_LIMIT:
                tube.urgent += 1
                self.urgent += 1
            if tube.waiters and tube.pause_ends_at is None:
                self.matchable[tube.serial] = tube
        elif state is JobState.RESERVED:
            owner = job.owner
            assert owner is not None  # a reserved job has one
            key = job.expires_at << ID_BITS | job.id
            self.expiries.push(key)
            owner.held.push(key)
            tube.reserved += 1
            if owner.ask:
                self.update_margin(owner)
        elif state is JobState.DELAYED:
            key = job.ready_at << ID_BITS | job.id
            self.delays.push(key)
            tube.delayed.push(key)
        elif state is JobState.BURIED:
            tube.buried[job.id] = job
            self.buried += 1
        else:
            del self.jobs[job.id]

    def tube_named(self, name: TubeName) -> Tube:
        """The tube, made when it doesn't exist."""
        tube = self.tubes.get(name)
        if tube is None:
            tube = self.tubes[name] = Tube(name, self.next_tube_serial)
            self.next_tube_serial += 1
        return tube

    def drop_if_unused(self, tube: Tube) -> None:
        """Let a tube vanish, with its pause and counters, when nothing holds it."""
        if not tube.in_use and tube.name != DEFAULT_TUBE:
            self.end_pause(tube)
            del self.tubes[tube.name]

    def client_named(self, client_id: ClientID) -> Client:
        """The client, made when it is seen for the first time."""
        client = self.clients.get(client_id)
        if client is None:
            client = self.clients[client_id] = Client(client_id)
        return client

    def start_pause(self, tube: Tube, seconds: int, ends_at: int) -> None:
        """Pause a tube for so many seconds, until an instant, in place of a running pause."""
        self.end_pause(tube)
        tube.pause_seconds = seconds
        tube.pause_ends_at = ends_at
        self.paused[tube.serial] = tube
        self.pause_ends.push(ends_at << ID_BITS | tube.serial)
        self.matchable.pop(tube.serial, None)

    def end_pause(self, tube: Tube) -> None:
        """End a tube's pause, if it has one."""
        if tube.pause_ends_at is None:
            return
        self.pause_ends.remove(tube.pause_ends_at << ID_BITS | tube.serial)
        del self.paused[tube.serial]
        tube.pause_seconds = 0
        tube.pause_ends_at = None
        if tube.matchable:
            self.matchable[tube.serial] = tube

    def start_wait(self, client: Client, request_id: str, names: tuple[TubeName, ...], deadline_at: int | None) -> None:
        """Let a client wait on tubes, which exist from then on; nothing ready in them may be unpaused."""
        ask = client.ask = self.next_ask
        self.next_ask += 1
        client.request_id = request_id
        client.deadline_at = deadline_at
        client.waits_on = tuple([self.tube_named(name) for name in names])
        for tube in client.waits_on:
            tube.waiters[ask] = client
        self.waiting[ask] = client
        if deadline_at is not None:
            self.wait_deadlines.push(deadline_at << ID_BITS | ask)
        self.update_margin(client)

    def end_wait(self, client: Client) -> None:
        """Take a client out of everything that its wait is in."""
        ask = client.ask
        del self.waiting[ask]
        if client.deadline_at is not None:
            self.wait_deadlines.remove(client.deadline_at << ID_BITS | ask)
        client.ask = 0
        if client.margin:
            self.margins.remove(client.margin)
            client.margin = 0
        for tube in client.waits_on:
            del tube.waiters[ask]
            if not tube.waiters:
                self.matchable.pop(tube.serial, None)
                self.drop_if_unused(tube)
        client.waits_on = ()
        client.request_id = ""
        client.deadline_at = None

    def update_margin(self, client: Client) -> None:
        """Keep the key of a waiting client in `margins` at its soonest expiry."""
        keys = client.held.keys
        margin = keys[0] >> ID_BITS << ID_BITS | client.ask if keys else 0
        if margin != client.margin:
            if client.margin:
                self.margins.remove(client.margin)
            if margin:
                self.margins.push(margin)
            client.margin = margin

    def best_ready(self, names: tuple[TubeName, ...]) -> Job | None:
        """The ready job with the lowest (priority, id) over the named, unpaused tubes. O(w)."""
        best = None
        for name in names:
            tube = self.tubes.get(name)
            if tube is not None and tube.pause_ends_at is None and tube.ready.keys:
                key = tube.ready.keys[0]
                if best is None or key < best:
                    best = key
        return None if best is None else self.jobs[best & ID_MASK]

    def reserve(self, job: Job, client: Client, trigger: Trigger, request_id: str) -> Reservation:
        """Give a job to a client; the answer says so."""
        job.reserves += 1
        self.move(job, trigger, client.id, self.clock + job.ttr_seconds * self.units_per_second)
        return Reservation(request_id, client.id, ReservationStatus.MATCHED, job.id, job.body)

    def match(self) -> list[Reservation]:
        """Serve waiting clients until no (waiting client, ready job) pair is left. O(w + log n) a client.

        The job with the lowest (priority, id) of all pairs goes first, to the client of its tube that asked first.
        """
        answers = []
        candidates = [(tube.ready.keys[0], serial) for serial, tube in self.matchable.items()]
        heapify(candidates)
        while candidates:
            key, serial = candidates[0]
            tube = self.matchable.get(serial)
            if tube is None:  # its last waiter was served from another tube
                heappop(candidates)
                continue
            client = next(iter(tube.waiters.values()))
            request_id = client.request_id
            self.end_wait(client)
            answers.append(self.reserve(self.jobs[key & ID_MASK], client, Trigger.RESERVE, request_id))
            if serial in self.matchable:
                heapreplace(candidates, (tube.ready.keys[0], serial))
            else:
                heappop(candidates)
        return answers
