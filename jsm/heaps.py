"""The seed's public containers: heaps of jobs in four orders, and an index of jobs by id.

The machine doesn't use them: its own containers know more (`jsm._tube`, `jsm._heap`). They are for whoever
builds an own driver or tool on the same orders. They hold `JobView`s, which nothing can change, so that no key
changes inside a heap: to change a job's place, remove its entry and enqueue the new view.

| constructor | first comes the job with the lowest |
| --- | --- |
| `new_priority_jobs` | (priority, id) |
| `new_delayed_jobs` | (ready instant, id) |
| `new_reserved_jobs` | (expiry, id) |
| `new_buried_jobs` | (instant of burial, order of enqueuing) |

Buried jobs are first in, first out by the burials themselves (SPEC 3, INVARIANTS S12). A view tells the instant of
a burial alone, so those of one instant keep the order in which they were enqueued; the seed, and only the seed,
orders them by id.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, NewType

from jsm._heap import ID_BITS, ID_MASK, KeyHeap
from jsm.errors import (
    BadValueError,
    ContainerEmptyError,
    EntryExistsError,
    EntryMissingError,
    InvalidIndexError,
    MismatchJobEntryError,
)
from jsm.job import JobID, JobView

Order = Callable[[JobView, int], int]
"""The key of a job, given how many were enqueued before it: the lowest comes first, no two are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class JobEntry:
    """A handle on a job in one heap, good until the job leaves it. Made by `JobHeap.enqueue` alone."""

    job: JobView
    heap: "JobHeap"
    key: int


class JobHeap:
    """Jobs in one total order, each at most once. Enqueue, dequeue, remove: O(log n) amortised; the rest O(1)."""

    __slots__ = ("_counts", "_enqueued", "_entries", "_ids", "_keys", "_order")

    def __init__(self, order: Order) -> None:
        self._order = order
        self._keys = KeyHeap()
        self._entries: dict[int, JobEntry] = {}  # by key
        self._ids: set[int] = set()
        self._counts: dict[str, int] = {}  # by tube, without zeros
        self._enqueued = 0

    def enqueue(self, job: JobView) -> JobEntry:
        """Add a job and return its handle. O(log n).

        Raises `EntryExistsError` when the heap holds a job of this id, `BadValueError` for an id outside
        1 … 2^64-1.
        """
        if not 1 <= job.id <= ID_MASK:
            raise BadValueError("job.id", job.id, "an integer from 1 to 18446744073709551615")
        if job.id in self._ids:
            raise EntryExistsError(f"the heap holds job {job.id} already; remove its entry first")
        entry = JobEntry(job, self, self._order(job, self._enqueued))
        self._keys.push(entry.key)
        self._enqueued += 1
        self._entries[entry.key] = entry
        self._ids.add(job.id)
        self._counts[job.tube] = self._counts.get(job.tube, 0) + 1
        return entry

    def dequeue(self) -> JobView:
        """Remove and return the first job. O(log n). Raises `ContainerEmptyError`."""
        entry = self.peek()
        self._keys.remove(entry.key)
        self._forget(entry)
        return entry.job

    def remove_at(self, entry: JobEntry) -> JobEntry:
        """Remove the job of a handle and return the handle, which is stale from then on. O(log n).

        Raises `MismatchJobEntryError` for a handle of another heap, `InvalidIndexError` for a stale one.
        """
        if entry.heap is not self:
            raise MismatchJobEntryError(f"the entry of job {entry.job.id} belongs to another heap")
        if self._entries.get(entry.key) is not entry:
            raise InvalidIndexError(f"the entry of job {entry.job.id} is stale: the job left the heap")
        self._keys.remove(entry.key)
        self._forget(entry)
        return entry

    def peek(self) -> JobEntry:
        """The handle of the first job, which stays. O(1). Raises `ContainerEmptyError`."""
        if not self._entries:
            raise ContainerEmptyError("the heap is empty")
        return self._entries[self._keys.keys[0]]

    def job_count_by_tube(self, tube: str) -> int:
        """How many of the heap's jobs belong to the tube; 0 for one that it has never seen. O(1)."""
        return self._counts.get(tube, 0)

    def __len__(self) -> int:
        return len(self._entries)

    def _forget(self, entry: JobEntry) -> None:
        """Drop what was noted about an entry whose key has left the order."""
        del self._entries[entry.key]
        self._ids.remove(entry.job.id)
        left = self._counts[entry.job.tube] - 1
        if left:
            self._counts[entry.job.tube] = left
        else:
            del self._counts[entry.job.tube]


PriorityJobs = NewType("PriorityJobs", JobHeap)
"""Jobs by (priority, id)."""

DelayedJobs = NewType("DelayedJobs", JobHeap)
"""Jobs by (ready instant, id)."""

ReservedJobs = NewType("ReservedJobs", JobHeap)
"""Jobs by (expiry, id)."""

BuriedJobs = NewType("BuriedJobs", JobHeap)
"""Jobs by (instant of burial, order of enqueuing)."""


def new_priority_jobs() -> PriorityJobs:
    """An empty heap whose first job has the lowest (priority, id)."""
    return PriorityJobs(JobHeap(lambda job, _number: job.priority << ID_BITS | job.id))


def new_delayed_jobs() -> DelayedJobs:
    """An empty heap whose first job has the lowest (ready instant, id)."""
    return DelayedJobs(JobHeap(lambda job, _number: job.ready_at << ID_BITS | job.id))


def new_reserved_jobs() -> ReservedJobs:
    """An empty heap whose first job has the lowest (expiry, id)."""
    return ReservedJobs(JobHeap(lambda job, _number: job.expires_at << ID_BITS | job.id))


def new_buried_jobs() -> BuriedJobs:
    """An empty heap whose first job has the earliest burial; of one instant, the one enqueued first."""
    return BuriedJobs(JobHeap(lambda job, number: job.buried_at << ID_BITS | number))


class IndexEntry(NamedTuple):
    """Where a job stands."""

    entry: JobEntry
    heap: JobHeap

    @property
    def job(self) -> JobView:
        """The job."""
        return self.entry.job


class JobIndex:
    """Where each of many jobs stands, by id. It doesn't touch the heaps. Every call is O(1)."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: Final[dict[JobID, IndexEntry]] = {}

    def add(self, entry: JobEntry) -> IndexEntry:
        """Note where the job of the entry stands. Raises `EntryExistsError` when its id is in the index."""
        if entry.job.id in self._entries:
            raise EntryExistsError(f"the index holds job {entry.job.id} already; remove it first")
        noted = IndexEntry(entry, entry.heap)
        self._entries[entry.job.id] = noted
        return noted

    def get(self, job_id: JobID) -> IndexEntry:
        """What is noted about a job. Raises `EntryMissingError`."""
        if job_id not in self._entries:
            raise EntryMissingError(f"the index holds no job {job_id}")
        return self._entries[job_id]

    def remove(self, job_id: JobID) -> IndexEntry:
        """Forget a job and return what was noted about it. Raises `EntryMissingError`."""
        noted = self.get(job_id)
        del self._entries[job_id]
        return noted

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[JobID]:
        """The ids in the order in which they were added."""
        return iter(self._entries)


def new_job_index() -> JobIndex:
    """An empty index."""
    return JobIndex()
