"""The whole mutable state of a machine, with the steps that keep its containers in agreement.

`State` knows no argument checks and no refusals: `Machine` has done them before it calls. That all of it
hangs on one object is what lets a restore replace it at once.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from jsm._client import Client
from jsm._heap import ID_BITS, ID_MASK, KeyHeap
from jsm._tube import Tube
from jsm.errors import IllegalTransitionError
from jsm.job import JobID
from jsm.limits import DEFAULT_TUBE, URGENT_PRIORITY_LIMIT
from jsm.records import TransitionObserver, TransitionRecord
from jsm.reservations import Reservation, ReservationStatus
from jsm.states import DELAYED, DELETED, NEW, READY, RESERVED, JobState, Trigger
from jsm.statistics import COMMAND_NAMES
from jsm.transitions import TRANSITIONS

if TYPE_CHECKING:
    from jsm._job import Job
    from jsm.job import ClientID, TubeName

_ROWS = {state: dict(row) for state, row in TRANSITIONS.items()}  # the table itself, read twice as fast
_RESERVE = Trigger.RESERVE
_MATCHED = ReservationStatus.MATCHED
_record = _answer = tuple.__new__  # half the price of calling a named tuple's class


class State:
    """Jobs, tubes, clients, timers, counters. All orders are total, so nothing depends on hashing."""

    def __init__(self, units_per_second: int, max_job_size: int, observer: TransitionObserver | None) -> None:
        self.units_per_second = units_per_second
        self.max_job_size = max_job_size
        self.observer = observer
        self.clock = 0
        self.changes = 0  # how often an accepted call changed anything; open snapshot streams compare it
        self.next_job_id = JobID(1)
        self.seq = 0  # of the last transition record
        self.next_bury_number = 1
        self.next_ask = 1
        self.next_tube_serial = 0
        self.total_jobs = 0
        self.job_timeouts = 0
        self.urgent = 0  # ready jobs with a priority below 1024
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
        self.margin_key = units_per_second << ID_BITS  # how far before its key a margin is due
        self.tube_named(DEFAULT_TUBE)  # type: ignore[arg-type]  # the one name that needs no caller

    @property
    def ready(self) -> int:
        """How many jobs are ready: those that are nothing else."""
        return len(self.jobs) - len(self.delays) - len(self.expiries) - self.buried

    def move(self, job: Job, trigger: Trigger, who: ClientID | None = None, due: int = 0) -> None:
        """Take a job through one cell of the table: the only code that assigns `job.state`.

        `who` is the client that the record names, and the new owner where the target is reserved; `due` the new
        ready instant or expiry, in units, where the target has one. A missing cell raises
        `IllegalTransitionError` before anything changes.
        """
        source = job.state
        target = _ROWS[source].get(trigger)
        if target is None:
            raise IllegalTransitionError(job.id, source, trigger)
        tube = job.tube
        if source is READY:
            ready = tube.ready
            if ready.stale or ready.keys[0] != job.key:
                ready.remove(job.key)
            else:
                heappop(ready.keys)
            if job.priority < URGENT_PRIORITY_LIMIT:
                tube.urgent -= 1
                self.urgent -= 1
            if self.matchable and not ready.keys:
                self.matchable.pop(tube.serial, None)
        elif source is RESERVED:
            self._take_from_owner(job)
        elif source is not NEW:
            self._take_out(job, source)
        job.state = target
        if target is READY:
            key = job.key = job.priority << ID_BITS | job.id
            ready = tube.ready
            if ready.stale:
                ready.push(key)
            else:
                heappush(ready.keys, key)
            if job.priority < URGENT_PRIORITY_LIMIT:
                tube.urgent += 1
                self.urgent += 1
            if tube.waiters.keys and tube.pause_ends_at is None:
                self.matchable[tube.serial] = tube
        elif target is RESERVED:
            assert who is not None  # every trigger that leads here names the owner
            self._give_to_owner(job, self.clients[who], due)
        elif target is DELETED:
            del self.jobs[job.id]
        else:
            self._put_in(job, target, due)
        self.seq += 1
        if self.observer is not None:
            self.observer.transition(
                _record(TransitionRecord, (self.seq, self.clock, job.id, tube.name, source, trigger, target, who))
            )

    def _give_to_owner(self, job: Job, owner: Client, due: int) -> None:
        """Add a job to what a client holds, until it expires at `due`."""
        job.owner = owner
        key = job.key = due << ID_BITS | job.id
        job.tube.reserved += 1
        expiries = self.expiries
        if expiries.stale:
            expiries.push(key)
        else:
            heappush(expiries.keys, key)
        if owner.held.keys:
            owner.held.push(key)
        else:  # most clients hold one job at a time
            owner.held.keys.append(key)
        if owner.ask:
            self.update_margin(owner)

    def _take_from_owner(self, job: Job) -> None:
        """Remove a reserved job from what its owner holds."""
        owner = job.owner
        assert owner is not None  # a reserved job has one
        job.owner = None
        key = job.key
        job.tube.reserved -= 1
        expiries = self.expiries
        if expiries.stale or expiries.keys[0] != key:
            expiries.remove(key)
        else:
            heappop(expiries.keys)
        held = owner.held.keys
        if len(held) == 1:
            held.clear()
        else:
            owner.held.remove(key)
        if owner.ask:
            self.update_margin(owner)

    def _take_out(self, job: Job, source: JobState) -> None:
        """Remove a delayed or buried job from the heaps of its state."""
        if source is DELAYED:
            self.delays.remove(job.key)
            job.tube.delayed.remove(job.key)
        else:
            job.tube.buried.remove(job.key)
            self.buried -= 1
            job.buried_at = 0

    def _put_in(self, job: Job, target: JobState, due: int) -> None:
        """Add a job that becomes delayed or buried to the heaps of its state."""
        if target is DELAYED:
            job.key = due << ID_BITS | job.id
            self.delays.push(job.key)
            job.tube.delayed.push(job.key)
        else:
            job.buried_at = self.clock
            job.key = self.next_bury_number << ID_BITS | job.id
            self.next_bury_number += 1
            job.tube.buried.push(job.key)
            self.buried += 1

    def index_jobs(self) -> None:
        """Fill the empty heaps and counts from `jobs`, whose keys and owners are set: for a restore. O(n)."""
        for job in self.jobs.values():
            tube, key = job.tube, job.key
            if job.state is READY:
                tube.ready.keys.append(key)
                if job.priority < URGENT_PRIORITY_LIMIT:
                    tube.urgent += 1
                    self.urgent += 1
            elif job.state is RESERVED:
                assert job.owner is not None  # a reserved job has one
                job.owner.held.keys.append(key)
                self.expiries.keys.append(key)
                tube.reserved += 1
            elif job.state is DELAYED:
                tube.delayed.keys.append(key)
                self.delays.keys.append(key)
            else:
                tube.buried.keys.append(key)
                self.buried += 1
        by_tube = [heap for tube in self.tubes.values() for heap in (tube.ready, tube.delayed, tube.buried)]
        for heap in (*by_tube, *(client.held for client in self.clients.values()), self.delays, self.expiries):
            heapify(heap.keys)
        for client in self.waiting.values():
            self.update_margin(client)

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
        client.waits_on = tubes = [self.tubes.get(name) or self.tube_named(name) for name in names]
        for tube in tubes:
            tube.waiters.keys.append(ask)  # a push: it is higher than all that came before
        self.waiting[ask] = client
        if deadline_at is not None:
            self.wait_deadlines.push(deadline_at << ID_BITS | ask)
        if client.held.keys:
            self.update_margin(client)

    def end_wait(self, client: Client) -> None:
        """Take a client out of everything that its wait is in."""
        ask = client.ask
        client.ask = 0
        del self.waiting[ask]
        if client.deadline_at is not None:
            self.wait_deadlines.remove(client.deadline_at << ID_BITS | ask)
        if client.margin:
            self.margins.remove(client.margin)
            client.margin = 0
        for tube in client.waits_on:
            waiters = tube.waiters
            if waiters.stale or waiters.keys[0] != ask:
                waiters.remove(ask)
            else:
                heappop(waiters.keys)
            if not waiters.keys:
                if self.matchable:
                    self.matchable.pop(tube.serial, None)
                if not tube.watching:
                    self.drop_if_unused(tube)

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
        best = 0  # no key is 0, since no id is
        for name in names:
            tube = self.tubes.get(name)
            if tube is not None and tube.ready.keys and tube.pause_ends_at is None:
                key = tube.ready.keys[0]
                if key < best or not best:
                    best = key
        return self.jobs[best & ID_MASK] if best else None

    def reserve(self, job: Job, client: Client, trigger: Trigger, request_id: str) -> Reservation:
        """Give a job to a client; the answer says so."""
        job.reserves += 1
        self.move(job, trigger, client.id, self.clock + job.ttr_seconds * self.units_per_second)
        return _answer(Reservation, (request_id, client.id, _MATCHED, job.id, job.body, None))

    def end_delays(self, below: int) -> None:
        """Make the delayed jobs ready whose keys lie below, in order of (ready instant, id)."""
        keys = self.delays.keys
        while keys and keys[0] < below:
            self.move(self.jobs[keys[0] & ID_MASK], Trigger.DELAY_ELAPSED)

    def end_pauses(self, below: int) -> None:
        """End the pauses whose keys lie below."""
        keys = self.pause_ends.keys
        while keys and keys[0] < below:
            self.end_pause(self.paused[keys[0] & ID_MASK])

    def expire(self, below: int) -> None:
        """Make the reserved jobs ready whose keys lie below, in order of (expiry, id): each counts a timeout."""
        keys = self.expiries.keys
        while keys and keys[0] < below:
            job = self.jobs[keys[0] & ID_MASK]
            assert job.owner is not None  # a reserved job has one
            job.timeouts += 1
            self.job_timeouts += 1
            self.move(job, Trigger.TTR_EXPIRED, job.owner.id)

    def answer_waiters(self, timer: KeyHeap, below: int, status: ReservationStatus) -> list[Reservation]:
        """End the waits whose keys in a timer lie below, in the timer's order, with an answer without a job."""
        answers = []
        while timer.keys and timer.keys[0] < below:
            client = self.waiting[timer.keys[0] & ID_MASK]
            answers.append(Reservation(client.request_id, client.id, status))
            self.end_wait(client)
        return answers

    def match(self) -> list[Reservation]:
        """Serve waiting clients until no (waiting client, ready job) pair is left. O(w + log n) a client.

        The job with the lowest (priority, id) of all pairs goes first, to the client of its tube that asked first.
        """
        answers = []
        matchable = self.matchable
        if len(matchable) == 1:  # serving makes no other tube matchable
            ((serial, tube),) = matchable.items()
            while serial in matchable:
                answers.append(self._serve_first_waiter(tube))
            return answers
        candidates = [(tube.ready.keys[0], serial) for serial, tube in matchable.items()]
        heapify(candidates)
        while candidates:
            serial = candidates[0][1]
            if serial in matchable:
                answers.append(self._serve_first_waiter(matchable[serial]))
            if serial in matchable:
                heapreplace(candidates, (matchable[serial].ready.keys[0], serial))
            else:  # no job is left in it, or its last waiter was served from another tube
                heappop(candidates)
        return answers

    def _serve_first_waiter(self, tube: Tube) -> Reservation:
        """Give the best job of a matchable tube to the client that waits on it longest."""
        client = self.waiting[tube.waiters.keys[0]]
        self.end_wait(client)
        return self.reserve(self.jobs[tube.ready.keys[0] & ID_MASK], client, _RESERVE, client.request_id)
