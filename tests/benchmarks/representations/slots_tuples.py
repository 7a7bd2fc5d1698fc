"""A: slots objects; every order is a heap of tuples (rank, id), and an entry is stale when its job says otherwise.

A job that leaves and comes back unchanged may stand in a heap twice. That is harmless: it is served once, and what
is left of it is stale from then on.
"""

from collections.abc import Callable, Hashable, Sequence
from heapq import heappop, heappush

from tests.benchmarks.representations.objects import Job, relative_key
from tests.benchmarks.representations.subset import BURIED, DELAYED, READY, RESERVED, Record

NOWHERE = -1  # between two states


class LazyHeap:
    """Entries (rank, id), live or stale, and how many jobs they are meant for."""

    __slots__ = ("entries", "jobs")

    def __init__(self) -> None:
        self.entries: list[tuple[int, int]] = []
        self.jobs = 0

    def push(self, rank: int, job_id: int) -> None:
        heappush(self.entries, (rank, job_id))
        self.jobs += 1

    def discard(self, is_live: Callable[[tuple[int, int]], bool]) -> None:
        """Count one job less; its entry stays until it is the top or over half of the heap is stale."""
        self.jobs -= 1
        if len(self.entries) > 2 * self.jobs + 16:
            self.entries = sorted({entry for entry in self.entries if is_live(entry)})  # a sorted list is a heap


class SlotsTuples:
    """See the module."""

    def __init__(self, units_per_second: int = 1) -> None:
        self._units = units_per_second
        self._become(0, 1, 0, [])

    def _become(self, clock: int, next_id: int, burials: int, records: Sequence[Record]) -> None:
        self.clock = clock
        self._next_id = next_id
        self._burials = burials
        self._jobs: dict[int, Job] = {}
        self._ready: dict[str, LazyHeap] = {}
        self._delays = LazyHeap()
        self._expiries = LazyHeap()
        for record in records:
            job = Job(*record)
            self._jobs[job.id] = job
            self._enter(job, job.state)

    def put(self, now: int, tube: str, priority: int, delay: int, ttr: int, body: bytes) -> int:
        self.clock = now
        job_id = self._next_id
        self._next_id += 1
        job = self._jobs[job_id] = Job(job_id, tube, body, priority, delay, ttr, now)
        self._wait(job, delay)
        return job_id

    def reserve(self, now: int, client: str, tubes: Sequence[str]) -> int:
        self.clock = now
        best: LazyHeap | None = None
        for tube in tubes:
            if tube in self._ready:
                ready = self._ready[tube]
                while ready.entries and not self._is_ready(ready.entries[0]):
                    heappop(ready.entries)
                if ready.entries and (best is None or ready.entries[0] < best.entries[0]):
                    best = ready
        if best is None:
            return 0
        job_id = heappop(best.entries)[1]
        self._hold(self._jobs[job_id], client)
        return job_id

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
        job.bury_number = self._burials
        self._enter(job, BURIED)
        return True

    def kick(self, now: int, job_id: int) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.state not in (BURIED, DELAYED):
            return False
        self.clock = now
        self._leave(job)
        job.kicks += 1
        self._enter(job, READY)
        return True

    def touch(self, now: int, job_id: int, client: str) -> bool:
        job = self._owned(job_id, client)
        if job is None:
            return False
        self.clock = now
        self._leave(job)
        job.owner = client
        job.expires_at = now + job.ttr * self._units
        self._enter(job, RESERVED)
        return True

    def tick(self, now: int) -> list[int]:
        self.clock = now
        moved = []
        while (entry := self._next_delay()) is not None and entry[0] <= now:
            heappop(self._delays.entries)
            job = self._jobs[entry[1]]
            self._leave(job)
            self._enter(job, READY)
            moved.append(job.id)
        while (entry := self._next_expiry()) is not None and entry[0] <= now:
            heappop(self._expiries.entries)
            job = self._jobs[entry[1]]
            self._leave(job)
            job.timeouts += 1
            self._enter(job, READY)
            moved.append(job.id)
        return moved

    def next_tick_at(self) -> int | None:
        delay = self._next_delay()
        expiry = self._next_expiry()
        if delay is None:
            return None if expiry is None else expiry[0]
        return delay[0] if expiry is None or delay < expiry else expiry[0]

    def ids(self) -> list[int]:
        return list(self._jobs)

    def records(self) -> list[Record]:
        return [job.record() for job in self._jobs.values()]

    def snapshot(self) -> object:
        return self.clock, self._next_id, self._burials, self.records()

    def restore(self, snapshot: object) -> None:
        self._become(*snapshot)  # type: ignore[misc]

    def key(self) -> Hashable:
        return relative_key(self._jobs, self.clock)

    def _owned(self, job_id: int, client: str) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job is not None and job.owner == client else None

    def _wait(self, job: Job, delay: int) -> None:
        if delay:
            job.ready_at = self.clock + delay * self._units
            self._enter(job, DELAYED)
        else:
            self._enter(job, READY)

    def _hold(self, job: Job, client: str) -> None:
        self._leave(job)
        job.owner = client
        job.reserves += 1
        job.expires_at = self.clock + job.ttr * self._units
        self._enter(job, RESERVED)

    def _enter(self, job: Job, state: int) -> None:
        """Put the job into the container of the state; what the container is ordered by is set already."""
        job.state = state
        if state == READY:
            ready = self._ready.get(job.tube)
            if ready is None:
                ready = self._ready[job.tube] = LazyHeap()
            ready.push(job.priority, job.id)
        elif state == RESERVED:
            self._expiries.push(job.expires_at, job.id)
        elif state == DELAYED:
            self._delays.push(job.ready_at, job.id)

    def _leave(self, job: Job) -> None:
        """Make the job's entry stale, and clear what belongs to its state alone."""
        state, job.state = job.state, NOWHERE
        if state == READY:
            self._ready[job.tube].discard(self._is_ready)
        elif state == RESERVED:
            job.expires_at = 0
            job.owner = None
            self._expiries.discard(self._is_expiry)
        elif state == DELAYED:
            job.ready_at = 0
            self._delays.discard(self._is_delay)
        else:
            job.buried_at = job.bury_number = 0

    def _is_ready(self, entry: tuple[int, int]) -> bool:
        job = self._jobs.get(entry[1])
        return job is not None and job.state == READY and job.priority == entry[0]

    def _is_delay(self, entry: tuple[int, int]) -> bool:
        job = self._jobs.get(entry[1])
        return job is not None and job.ready_at == entry[0]

    def _is_expiry(self, entry: tuple[int, int]) -> bool:
        job = self._jobs.get(entry[1])
        return job is not None and job.expires_at == entry[0]

    def _next_delay(self) -> tuple[int, int] | None:
        entries = self._delays.entries
        while entries and not self._is_delay(entries[0]):
            heappop(entries)
        return entries[0] if entries else None

    def _next_expiry(self) -> tuple[int, int] | None:
        entries = self._expiries.entries
        while entries and not self._is_expiry(entries[0]):
            heappop(entries)
        return entries[0] if entries else None
