"""D: a job is an immutable tuple in a dict, replaced when anything changes; orders as in B."""

from collections.abc import Hashable, Sequence
from typing import Final, TypeAlias, cast

from jsm._heap import ID_BITS, ID_MASK, KeyHeap
from tests.benchmarks.representations.subset import BURIED, DELAYED, READY, RESERVED, Record

Counters: TypeAlias = tuple[int, int, int, int, int]  # reserves, timeouts, releases, buries, kicks


Birth: TypeAlias = tuple[int, str, bytes, int, int]  # what a put fixes: id, tube, body, ttr, created_at

# birth, priority, delay, state, at, bury_number, owner, counters; `at` is the instant of the state: delayed, when
# ready; reserved, when it expires; buried, since when; else 0. Plain tuples, since a named one costs 0.2 µs to make.
Job: TypeAlias = tuple[Birth, int, int, int, int, int, str | None, Counters]

TTR: Final = 3  # its place in a birth
STATE: Final = 3  # these two: in a job
OWNER: Final = 6

Orders: TypeAlias = tuple[list[tuple[str, list[int]]], list[int], list[int]]
Snapshot: TypeAlias = tuple[int, int, int, dict[int, Job], Orders]


class TuplesPacked:
    """See the module."""

    def __init__(self, units_per_second: int = 1) -> None:
        self._units = units_per_second
        self.clock = 0
        self._next_id = 1
        self._burials = 0
        self._jobs: dict[int, Job] = {}
        self._ready: dict[str, KeyHeap] = {}
        self._delays = KeyHeap()
        self._expiries = KeyHeap()

    def put(self, now: int, tube: str, priority: int, delay: int, ttr: int, body: bytes) -> int:
        self.clock = now
        job_id = self._next_id
        self._next_id += 1
        self._wait((job_id, tube, body, ttr, now), priority, delay, (0, 0, 0, 0, 0))
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
        job_id = best & ID_MASK
        self._hold(self._jobs[job_id], client)
        return job_id

    def reserve_job(self, now: int, job_id: int, client: str) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job[STATE] == RESERVED:
            return False
        self.clock = now
        self._hold(job, client)
        return True

    def delete(self, now: int, job_id: int, client: str) -> bool:
        job = self._jobs.get(job_id)
        if job is None or (job[STATE] == RESERVED and job[OWNER] != client):
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
        birth, *_, (reserves, timeouts, releases, buries, kicks) = job
        self._wait(birth, priority, delay, (reserves, timeouts, releases + 1, buries, kicks))
        return True

    def bury(self, now: int, job_id: int, client: str, priority: int) -> bool:
        job = self._owned(job_id, client)
        if job is None:
            return False
        self.clock = now
        self._leave(job)
        self._burials += 1
        birth, _, delay, _, _, _, _, (reserves, timeouts, releases, buries, kicks) = job
        counters = (reserves, timeouts, releases, buries + 1, kicks)
        self._enter((birth, priority, delay, BURIED, now, self._burials, None, counters))
        return True

    def kick(self, now: int, job_id: int) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job[STATE] not in (BURIED, DELAYED):
            return False
        self.clock = now
        self._leave(job)
        birth, priority, delay, _, _, _, _, (reserves, timeouts, releases, buries, kicks) = job
        counters = (reserves, timeouts, releases, buries, kicks + 1)
        self._enter((birth, priority, delay, READY, 0, 0, None, counters))
        return True

    def touch(self, now: int, job_id: int, client: str) -> bool:
        job = self._owned(job_id, client)
        if job is None:
            return False
        self.clock = now
        self._leave(job)
        birth, priority, delay, _, _, _, _, counters = job
        self._enter((birth, priority, delay, RESERVED, now + birth[TTR] * self._units, 0, client, counters))
        return True

    def tick(self, now: int) -> list[int]:
        self.clock = now
        moved = []
        not_due = (now + 1) << ID_BITS
        while self._delays.keys and self._delays.keys[0] < not_due:
            job = self._jobs[self._delays.keys[0] & ID_MASK]
            self._leave(job)
            birth, priority, delay, _, _, _, _, counters = job
            self._enter((birth, priority, delay, READY, 0, 0, None, counters))
            moved.append(birth[0])
        while self._expiries.keys and self._expiries.keys[0] < not_due:
            job = self._jobs[self._expiries.keys[0] & ID_MASK]
            self._leave(job)
            birth, priority, delay, _, _, _, _, (reserves, timeouts, releases, buries, kicks) = job
            counters = (reserves, timeouts + 1, releases, buries, kicks)
            self._enter((birth, priority, delay, READY, 0, 0, None, counters))
            moved.append(birth[0])
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
        return [
            (
                *(job_id, tube, body, priority, delay, ttr, created_at, state),
                at if state == DELAYED else 0,
                at if state == RESERVED else 0,
                at if state == BURIED else 0,
                bury_number,
                owner,
                *counters,
            )
            for (job_id, tube, body, ttr, created_at), priority, delay, state, at, bury_number, owner, counters in (
                self._jobs.values()
            )
        ]

    def snapshot(self) -> Snapshot:
        ready = [(tube, list(keys)) for tube, keys in self._ready.items()]
        orders = (ready, list(self._delays), list(self._expiries))
        return self.clock, self._next_id, self._burials, self._jobs.copy(), orders

    def restore(self, snapshot: object) -> None:
        self.clock, self._next_id, self._burials, jobs, (ready, delays, expiries) = cast("Snapshot", snapshot)
        self._jobs = jobs.copy()
        self._ready = {tube: KeyHeap(keys) for tube, keys in ready}
        self._delays = KeyHeap(delays)
        self._expiries = KeyHeap(expiries)

    def key(self) -> Hashable:
        clock = self.clock
        parts = []
        buried = []
        for place, (birth, priority, delay, state, at, bury_number, owner, _) in enumerate(self._jobs.values()):
            if state == BURIED:
                buried.append((bury_number, place))
                at = 0
            parts.append((birth[1], priority, delay, birth[TTR], state, at and at - clock, owner))
        return tuple(parts), tuple([place for _, place in sorted(buried)])

    def _owned(self, job_id: int, client: str) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job is not None and job[OWNER] == client else None

    def _wait(self, birth: Birth, priority: int, delay: int, counters: Counters) -> None:
        if delay:
            self._enter((birth, priority, delay, DELAYED, self.clock + delay * self._units, 0, None, counters))
        else:
            self._enter((birth, priority, delay, READY, 0, 0, None, counters))

    def _hold(self, job: Job, client: str) -> None:
        self._leave(job)
        birth, priority, delay, _, _, _, _, (reserves, timeouts, releases, buries, kicks) = job
        counters = (reserves + 1, timeouts, releases, buries, kicks)
        self._enter((birth, priority, delay, RESERVED, self.clock + birth[TTR] * self._units, 0, client, counters))

    def _enter(self, job: Job) -> None:
        """Keep the job, and put its id into the container of its state."""
        (job_id, tube, _, _, _), priority, _, state, at, _, _, _ = job
        self._jobs[job_id] = job
        if state == READY:
            ready = self._ready.get(tube)
            if ready is None:
                ready = self._ready[tube] = KeyHeap()
            ready.push(priority << ID_BITS | job_id)
        elif state == RESERVED:
            self._expiries.push(at << ID_BITS | job_id)
        elif state == DELAYED:
            self._delays.push(at << ID_BITS | job_id)

    def _leave(self, job: Job) -> None:
        """Take the job's id out of the container of its state."""
        (job_id, tube, _, _, _), priority, _, state, at, _, _, _ = job
        if state == READY:
            self._ready[tube].remove(priority << ID_BITS | job_id)
        elif state == RESERVED:
            self._expiries.remove(at << ID_BITS | job_id)
        elif state == DELAYED:
            self._delays.remove(at << ID_BITS | job_id)
