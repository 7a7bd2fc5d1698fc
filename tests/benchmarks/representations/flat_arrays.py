"""E: struct of arrays. A job is a slot, a field a column, a free slot is used again; orders as in B."""

from array import array
from collections.abc import Hashable, Sequence
from typing import TypeAlias, cast

from jsm._heap import ID_BITS, ID_MASK, KeyHeap
from tests.benchmarks.representations.subset import BURIED, DELAYED, READY, RESERVED, Record

Lists: TypeAlias = tuple[dict[int, int], list[int], list[str], list[bytes], list[str | None]]
Snapshot: TypeAlias = tuple[
    tuple[int, int, int], Lists, "list[array[int]]", list[tuple[str, list[int]]], tuple[list[int], list[int]]
]


class FlatArrays:
    """See the module. 64-bit columns hold ids and instants, 32-bit ones what the protocol limits to 32 bits."""

    def __init__(self, units_per_second: int = 1) -> None:
        self._units = units_per_second
        self.clock = 0
        self._next_id = 1
        self._burials = 0
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._tube: list[str] = []
        self._body: list[bytes] = []
        self._owner: list[str | None] = []
        self._priority = array("I")
        self._delay = array("I")
        self._ttr = array("I")
        self._created_at = array("q")
        self._state = array("b")
        self._due = array("q")  # delayed: when ready; reserved: when it expires; else 0
        self._buried_at = array("q")
        self._bury_number = array("q")
        self._reserves = array("I")
        self._timeouts = array("I")
        self._releases = array("I")
        self._buries = array("I")
        self._kicks = array("I")
        self._ready: dict[str, KeyHeap] = {}
        self._delays = KeyHeap()
        self._expiries = KeyHeap()

    def _make(self, job_id: int, tube: str, body: bytes, priority: int, delay: int, ttr: int, created_at: int) -> int:
        """The slot of a new job, in no state yet."""
        if self._free:
            slot = self._free.pop()
            self._tube[slot] = tube
            self._body[slot] = body
            self._priority[slot] = priority
            self._delay[slot] = delay
            self._ttr[slot] = ttr
            self._created_at[slot] = created_at
            self._reserves[slot] = self._timeouts[slot] = self._releases[slot] = 0
            self._buries[slot] = self._kicks[slot] = 0
        else:
            slot = len(self._state)
            self._tube.append(tube)
            self._body.append(body)
            self._owner.append(None)
            self._priority.append(priority)
            self._delay.append(delay)
            self._ttr.append(ttr)
            self._created_at.append(created_at)
            self._state.append(READY)
            self._due.append(0)
            self._buried_at.append(0)
            self._bury_number.append(0)
            self._reserves.append(0)
            self._timeouts.append(0)
            self._releases.append(0)
            self._buries.append(0)
            self._kicks.append(0)
        self._slots[job_id] = slot
        return slot

    def put(self, now: int, tube: str, priority: int, delay: int, ttr: int, body: bytes) -> int:
        self.clock = now
        job_id = self._next_id
        self._next_id += 1
        self._wait(job_id, self._make(job_id, tube, body, priority, delay, ttr, now), delay)
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
        self._hold(job_id, self._slots[job_id], client)
        return job_id

    def reserve_job(self, now: int, job_id: int, client: str) -> bool:
        slot = self._slots.get(job_id)
        if slot is None or self._state[slot] == RESERVED:
            return False
        self.clock = now
        self._hold(job_id, slot, client)
        return True

    def delete(self, now: int, job_id: int, client: str) -> bool:
        slot = self._slots.get(job_id)
        if slot is None or (self._state[slot] == RESERVED and self._owner[slot] != client):
            return False
        self.clock = now
        self._leave(job_id, slot)
        self._body[slot] = b""
        self._free.append(slot)
        del self._slots[job_id]
        return True

    def release(self, now: int, job_id: int, client: str, priority: int, delay: int) -> bool:
        slot = self._owned(job_id, client)
        if slot is None:
            return False
        self.clock = now
        self._leave(job_id, slot)
        self._priority[slot] = priority
        self._delay[slot] = delay
        self._releases[slot] += 1
        self._wait(job_id, slot, delay)
        return True

    def bury(self, now: int, job_id: int, client: str, priority: int) -> bool:
        slot = self._owned(job_id, client)
        if slot is None:
            return False
        self.clock = now
        self._leave(job_id, slot)
        self._priority[slot] = priority
        self._buries[slot] += 1
        self._buried_at[slot] = now
        self._burials += 1
        self._bury_number[slot] = self._burials
        self._enter(job_id, slot, BURIED)
        return True

    def kick(self, now: int, job_id: int) -> bool:
        slot = self._slots.get(job_id)
        if slot is None or self._state[slot] not in (BURIED, DELAYED):
            return False
        self.clock = now
        self._leave(job_id, slot)
        self._kicks[slot] += 1
        self._enter(job_id, slot, READY)
        return True

    def touch(self, now: int, job_id: int, client: str) -> bool:
        slot = self._owned(job_id, client)
        if slot is None:
            return False
        self.clock = now
        self._expiries.remove(self._due[slot] << ID_BITS | job_id)
        due = self._due[slot] = now + self._ttr[slot] * self._units
        self._expiries.push(due << ID_BITS | job_id)
        return True

    def tick(self, now: int) -> list[int]:
        self.clock = now
        moved = []
        not_due = (now + 1) << ID_BITS
        while self._delays.keys and self._delays.keys[0] < not_due:
            job_id = self._delays.keys[0] & ID_MASK
            slot = self._slots[job_id]
            self._leave(job_id, slot)
            self._enter(job_id, slot, READY)
            moved.append(job_id)
        while self._expiries.keys and self._expiries.keys[0] < not_due:
            job_id = self._expiries.keys[0] & ID_MASK
            slot = self._slots[job_id]
            self._leave(job_id, slot)
            self._timeouts[slot] += 1
            self._enter(job_id, slot, READY)
            moved.append(job_id)
        return moved

    def next_tick_at(self) -> int | None:
        delays = self._delays.keys
        expiries = self._expiries.keys
        if not delays:
            return expiries[0] >> ID_BITS if expiries else None
        return (delays[0] if not expiries or delays[0] < expiries[0] else expiries[0]) >> ID_BITS

    def ids(self) -> list[int]:
        return list(self._slots)

    def records(self) -> list[Record]:
        return [
            (
                job_id,
                self._tube[slot],
                self._body[slot],
                self._priority[slot],
                self._delay[slot],
                self._ttr[slot],
                self._created_at[slot],
                self._state[slot],
                self._due[slot] if self._state[slot] == DELAYED else 0,
                self._due[slot] if self._state[slot] == RESERVED else 0,
                self._buried_at[slot],
                self._bury_number[slot],
                self._owner[slot],
                self._reserves[slot],
                self._timeouts[slot],
                self._releases[slot],
                self._buries[slot],
                self._kicks[slot],
            )
            for job_id, slot in self._slots.items()
        ]

    def snapshot(self) -> Snapshot:
        return (
            (self.clock, self._next_id, self._burials),
            (self._slots.copy(), self._free[:], self._tube[:], self._body[:], self._owner[:]),
            [column[:] for column in self._columns()],
            [(tube, list(keys)) for tube, keys in self._ready.items()],
            (list(self._delays), list(self._expiries)),
        )

    def restore(self, snapshot: object) -> None:
        numbers, (slots, free, tube, body, owner), columns, ready, (delays, expiries) = cast("Snapshot", snapshot)
        self.clock, self._next_id, self._burials = numbers
        self._slots = slots.copy()
        self._free[:] = free
        self._tube[:] = tube
        self._body[:] = body
        self._owner[:] = owner
        for column, saved in zip(self._columns(), columns, strict=True):
            column[:] = saved
        self._ready = {tube: KeyHeap(keys) for tube, keys in ready}
        self._delays = KeyHeap(delays)
        self._expiries = KeyHeap(expiries)

    def _columns(self) -> tuple["array[int]", ...]:
        return (
            self._priority,
            self._delay,
            self._ttr,
            self._created_at,
            self._state,
            self._due,
            self._buried_at,
            self._bury_number,
            self._reserves,
            self._timeouts,
            self._releases,
            self._buries,
            self._kicks,
        )

    def key(self) -> Hashable:
        clock = self.clock
        parts = []
        buried = []
        for place, slot in enumerate(self._slots.values()):
            state = self._state[slot]
            due = self._due[slot] and self._due[slot] - clock
            owner = self._owner[slot]
            parts.append(
                (self._tube[slot], self._priority[slot], self._delay[slot], self._ttr[slot], state, due, owner)
            )
            if state == BURIED:
                buried.append((self._bury_number[slot], place))
        return tuple(parts), tuple([place for _, place in sorted(buried)])

    def _owned(self, job_id: int, client: str) -> int | None:
        slot = self._slots.get(job_id)
        return slot if slot is not None and self._owner[slot] == client else None

    def _wait(self, job_id: int, slot: int, delay: int) -> None:
        if delay:
            self._due[slot] = self.clock + delay * self._units
            self._enter(job_id, slot, DELAYED)
        else:
            self._enter(job_id, slot, READY)

    def _hold(self, job_id: int, slot: int, client: str) -> None:
        self._leave(job_id, slot)
        self._owner[slot] = client
        self._reserves[slot] += 1
        self._due[slot] = self.clock + self._ttr[slot] * self._units
        self._enter(job_id, slot, RESERVED)

    def _enter(self, job_id: int, slot: int, state: int) -> None:
        """Put the job into the container of the state; what the container is ordered by is set already."""
        self._state[slot] = state
        if state == READY:
            tube = self._tube[slot]
            ready = self._ready.get(tube)
            if ready is None:
                ready = self._ready[tube] = KeyHeap()
            ready.push(self._priority[slot] << ID_BITS | job_id)
        elif state == RESERVED:
            self._expiries.push(self._due[slot] << ID_BITS | job_id)
        elif state == DELAYED:
            self._delays.push(self._due[slot] << ID_BITS | job_id)

    def _leave(self, job_id: int, slot: int) -> None:
        """Take the job out of the container of its state, and clear what belongs to that state alone."""
        state = self._state[slot]
        if state == READY:
            self._ready[self._tube[slot]].remove(self._priority[slot] << ID_BITS | job_id)
        elif state == RESERVED:
            self._expiries.remove(self._due[slot] << ID_BITS | job_id)
            self._due[slot] = 0
            self._owner[slot] = None
        elif state == DELAYED:
            self._delays.remove(self._due[slot] << ID_BITS | job_id)
            self._due[slot] = 0
        else:
            self._buried_at[slot] = self._bury_number[slot] = 0
