"""G: as B, and a job keeps the key under which it stands in the order of its state, instead of three instants."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jsm._heap import ID_BITS, ID_MASK, KeyHeap
from tests.benchmarks.representations.subset import BURIED, DELAYED, READY, RESERVED, Record

Fields: TypeAlias = tuple[int, str, bytes, int, int, int, int, int, int, int, str | None, int, int, int, int, int]


@dataclass(slots=True, eq=False)
class Job:
    """One live job; the rank in its key is the priority, ready instant, expiry or bury number, as its state says."""

    id: int
    tube: str
    body: bytes
    priority: int
    delay: int
    ttr: int
    created_at: int
    state: int = READY
    key: int = 0
    buried_at: int = 0
    owner: str | None = None
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0

    def fields(self) -> Fields:
        """All fields, in order."""
        return (
            self.id,
            self.tube,
            self.body,
            self.priority,
            self.delay,
            self.ttr,
            self.created_at,
            self.state,
            self.key,
            self.buried_at,
            self.owner,
            self.reserves,
            self.timeouts,
            self.releases,
            self.buries,
            self.kicks,
        )

    def record(self) -> Record:
        """The fields as the other prototypes have them."""
        fields = self.fields()
        state, rank = self.state, self.key >> ID_BITS
        ready_at, expires_at, bury_number = (rank if state == of else 0 for of in (DELAYED, RESERVED, BURIED))
        return (*fields[:8], ready_at, expires_at, self.buried_at, bury_number, *fields[10:])


class SlotsKeyed:
    """See the module."""

    def __init__(self, units_per_second: int = 1) -> None:
        self._units = units_per_second
        self._become(0, 1, 0, [])

    def _become(self, clock: int, next_id: int, burials: int, jobs: Sequence[Fields]) -> None:
        self.clock = clock
        self._next_id = next_id
        self._burials = burials
        self._jobs: dict[int, Job] = {}
        self._ready: dict[str, KeyHeap] = {}
        self._delays = KeyHeap()
        self._expiries = KeyHeap()
        for fields in jobs:
            job = Job(*fields)
            self._jobs[job.id] = job
            self._enter(job, job.state, job.key >> ID_BITS)

    def put(self, now: int, tube: str, priority: int, delay: int, ttr: int, body: bytes) -> int:
        self.clock = now
        job_id = self._next_id
        self._next_id += 1
        job = self._jobs[job_id] = Job(job_id, tube, body, priority, delay, ttr, now)
        self._wait(job, delay)
        return job_id

    def reserve(self, now: int, client: str, tubes: Sequence[str]) -> int:
        self.clock = now
        best = None
        for tube in tubes:
            if tube in self._ready:
                keys = self._ready[tube].keys
                if keys and (best is None or keys[0] < best):
                    best = keys[0]
        if best is None:
            return 0
        job = self._jobs[best & ID_MASK]
        self._hold(job, client)
        return job.id

    def reserve_job(self, now: int, job_id: int, client: str) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.state == RESERVED:
            return False
        self.clock = now
        self._hold(job, client)
        return True

    def delete(self, now: int, job_id: int, client: str) -> bool:
        job = self._jobs.get(job_id)
        if job is None or (job.state == RESERVED and job.owner != client):
            return False
        self.clock = now
        self._leave(job)
        del self._jobs[job_id]
        return True

    def release(self, now: int, job_id: int, client: str, priority: int, delay: int) -> bool:
        job = self._owned(job_id, client)
        if job is None:
            return False
        self.clock = now
        self._leave(job)
        job.priority = priority
        job.delay = delay
        job.releases += 1
        self._wait(job, delay)
        return True

    def bury(self, now: int, job_id: int, client: str, priority: int) -> bool:
        job = self._owned(job_id, client)
        if job is None:
            return False
        self.clock = now
        self._leave(job)
        job.priority = priority
        job.buries += 1
        job.buried_at = now
        self._burials += 1
        self._enter(job, BURIED, self._burials)
        return True

    def kick(self, now: int, job_id: int) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.state not in (BURIED, DELAYED):
            return False
        self.clock = now
        self._leave(job)
        job.kicks += 1
        self._enter(job, READY, job.priority)
        return True

    def touch(self, now: int, job_id: int, client: str) -> bool:
        job = self._owned(job_id, client)
        if job is None:
            return False
        self.clock = now
        self._expiries.remove(job.key)
        job.key = (now + job.ttr * self._units) << ID_BITS | job.id
        self._expiries.push(job.key)
        return True

    def tick(self, now: int) -> list[int]:
        self.clock = now
        moved = []
        not_due = (now + 1) << ID_BITS
        while self._delays.keys and self._delays.keys[0] < not_due:
            job = self._jobs[self._delays.keys[0] & ID_MASK]
            self._leave(job)
            self._enter(job, READY, job.priority)
            moved.append(job.id)
        while self._expiries.keys and self._expiries.keys[0] < not_due:
            job = self._jobs[self._expiries.keys[0] & ID_MASK]
            self._leave(job)
            job.timeouts += 1
            self._enter(job, READY, job.priority)
            moved.append(job.id)
        return moved

    def next_tick_at(self) -> int | None:
        delays = self._delays.keys
        expiries = self._expiries.keys
        if not delays:
            return expiries[0] >> ID_BITS if expiries else None
        return (delays[0] if not expiries or delays[0] < expiries[0] else expiries[0]) >> ID_BITS

    def ids(self) -> list[int]:
        return list(self._jobs)

    def records(self) -> list[Record]:
        return [job.record() for job in self._jobs.values()]

    def snapshot(self) -> object:
        return self.clock, self._next_id, self._burials, [job.fields() for job in self._jobs.values()]

    def restore(self, snapshot: object) -> None:
        self._become(*snapshot)  # type: ignore[misc]

    def key(self) -> Hashable:
        clock = self.clock
        parts = []
        buried = []
        for place, job in enumerate(self._jobs.values()):
            state = job.state
            due = (job.key >> ID_BITS) - clock if DELAYED <= state <= RESERVED else 0
            parts.append((job.tube, job.priority, job.delay, job.ttr, state, due, job.owner))
            if state == BURIED:
                buried.append((job.key, place))
        return tuple(parts), tuple([place for _, place in sorted(buried)])

    def _owned(self, job_id: int, client: str) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job is not None and job.owner == client else None

    def _wait(self, job: Job, delay: int) -> None:
        if delay:
            self._enter(job, DELAYED, self.clock + delay * self._units)
        else:
            self._enter(job, READY, job.priority)

    def _hold(self, job: Job, client: str) -> None:
        self._leave(job)
        job.owner = client
        job.reserves += 1
        self._enter(job, RESERVED, self.clock + job.ttr * self._units)

    def _enter(self, job: Job, state: int, rank: int) -> None:
        """Put the job into the container of the state, under (rank, id)."""
        job.state = state
        key = job.key = rank << ID_BITS | job.id
        if state == READY:
            ready = self._ready.get(job.tube)
            if ready is None:
                ready = self._ready[job.tube] = KeyHeap()
            ready.push(key)
        elif state == RESERVED:
            self._expiries.push(key)
        elif state == DELAYED:
            self._delays.push(key)

    def _leave(self, job: Job) -> None:
        """Take the job out of the container of its state, and clear what belongs to that state alone."""
        state = job.state
        if state == READY:
            self._ready[job.tube].remove(job.key)
        elif state == RESERVED:
            self._expiries.remove(job.key)
            job.owner = None
        elif state == DELAYED:
            self._delays.remove(job.key)
        else:
            job.buried_at = 0
