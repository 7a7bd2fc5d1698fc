"""The subset of the machine that every prototype implements, and nothing else.

Durations are whole seconds, instants integer units. An operation that the machine would refuse returns False (or 0)
here and changes nothing, so that the loads measure representations and not exceptions. A job carries every field
of the real one, because a job's size is one of the three questions.
"""

from collections.abc import Hashable, Sequence
from typing import Final, Protocol, TypeAlias

READY: Final = 0
DELAYED: Final = 1
RESERVED: Final = 2
BURIED: Final = 3

# id, tube, body, priority, delay, ttr, created_at, state, ready_at, expires_at, buried_at, bury_number, owner,
# reserves, timeouts, releases, buries, kicks
Record: TypeAlias = tuple[
    int, str, bytes, int, int, int, int, int, int, int, int, int, str | None, int, int, int, int, int
]


class Prototype(Protocol):
    """A machine reduced to the operations that a representation can make faster, smaller or simpler."""

    clock: int

    def __init__(self, units_per_second: int = 1) -> None: ...

    def put(self, now: int, tube: str, priority: int, delay: int, ttr: int, body: bytes) -> int:
        """Make a job, ready or delayed, and return its id."""

    def reserve(self, now: int, client: str, tubes: Sequence[str]) -> int:
        """Reserve the ready job with the lowest (priority, id) of all the tubes; 0 when there is none."""

    def reserve_job(self, now: int, job_id: int, client: str) -> bool:
        """Reserve one job out of ready, delayed or buried: it leaves the middle of a heap."""

    def delete(self, now: int, job_id: int, client: str) -> bool:
        """Remove a job; a reserved one only for its owner."""

    def release(self, now: int, job_id: int, client: str, priority: int, delay: int) -> bool:
        """Owner's release with a new priority and delay."""

    def bury(self, now: int, job_id: int, client: str, priority: int) -> bool:
        """Owner's bury with a new priority."""

    def kick(self, now: int, job_id: int) -> bool:
        """A buried or delayed job becomes ready."""

    def touch(self, now: int, job_id: int, client: str) -> bool:
        """The owner's job expires at `now` + ttr."""

    def tick(self, now: int) -> list[int]:
        """End the delays, then the ttrs that are due, each in the order (due, id); the ids that moved."""

    def next_tick_at(self) -> int | None:
        """The soonest due; None when no job is delayed or reserved."""

    def ids(self) -> list[int]:
        """The ids of the live jobs, lowest first."""

    def records(self) -> list[Record]:
        """Every job in full, by id: what the prototypes are compared by."""

    def snapshot(self) -> object:
        """All that `restore` needs, unaffected by later operations."""

    def restore(self, snapshot: object) -> None:
        """Become the machine that the snapshot was taken of."""

    def key(self) -> Hashable:
        """What decides the future, the same for all worlds that differ by a shift of time, ids or counters.

        Jobs stand in the order of their ids, with dues relative to the clock; then the places of the buried ones in
        the order of their burials.
        """
