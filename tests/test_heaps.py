"""The seed's containers: four total orders, handles that can't be misused, counts that don't drift."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jsm.errors import (
    BadValueError,
    ContainerEmptyError,
    EntryExistsError,
    EntryMissingError,
    InvalidIndexError,
    MismatchJobEntryError,
)
from jsm.heaps import (
    JobEntry,
    JobHeap,
    JobIndex,
    new_buried_jobs,
    new_delayed_jobs,
    new_job_index,
    new_priority_jobs,
    new_reserved_jobs,
)
from jsm.job import JobID, JobView, TubeName
from jsm.states import JobState

CONSTRUCTORS: tuple[Callable[[], JobHeap], ...] = (
    new_priority_jobs,
    new_delayed_jobs,
    new_reserved_jobs,
    new_buried_jobs,
)


def job(
    job_id: int,
    *,
    priority: int = 0,
    ready_at: int = 0,
    expires_at: int = 0,
    buried_at: int = 0,
    tube: str = "default",
) -> JobView:
    return JobView(
        id=JobID(job_id),
        tube=TubeName(tube),
        body=b"",
        priority=priority,
        delay_seconds=0,
        ttr_seconds=1,
        state=JobState.READY,
        created_at=0,
        ready_at=ready_at,
        expires_at=expires_at,
        buried_at=buried_at,
        reserved_by=None,
        reserves=0,
        timeouts=0,
        releases=0,
        buries=0,
        kicks=0,
    )


def drain(heap: JobHeap) -> list[int]:
    return [heap.dequeue().id for _ in range(len(heap))]


def filled(heap: JobHeap, *jobs: JobView) -> JobHeap:
    for one in jobs:
        heap.enqueue(one)
    return heap


def test_priority_jobs_come_by_priority_then_id() -> None:
    heap = filled(new_priority_jobs(), job(3, priority=1), job(2, priority=2), job(1, priority=1))
    assert drain(heap) == [1, 3, 2]


def test_delayed_jobs_come_by_ready_instant_then_id_whatever_the_priority() -> None:
    heap = filled(
        new_delayed_jobs(), job(3, ready_at=5, priority=0), job(2, ready_at=5, priority=9), job(1, ready_at=6)
    )
    assert drain(heap) == [2, 3, 1]


def test_reserved_jobs_come_by_expiry_then_id() -> None:
    heap = filled(new_reserved_jobs(), job(3, expires_at=5), job(2, expires_at=5), job(1, expires_at=6))
    assert drain(heap) == [2, 3, 1]


def test_buried_jobs_come_by_burial_and_those_of_one_instant_in_order_of_enqueuing() -> None:
    heap = filled(new_buried_jobs(), job(1, buried_at=6), job(3, buried_at=5), job(2, buried_at=5))
    assert drain(heap) == [3, 2, 1]


def test_instants_beyond_64_bits_keep_the_order() -> None:
    heap = filled(new_reserved_jobs(), job(2**64 - 1, expires_at=2**70), job(1, expires_at=2**70 + 1))
    assert drain(heap) == [2**64 - 1, 1]


@pytest.mark.parametrize("make", CONSTRUCTORS)
def test_an_empty_heap_gives_nothing(make: Callable[[], JobHeap]) -> None:
    heap = make()
    assert len(heap) == 0
    with pytest.raises(ContainerEmptyError):
        heap.dequeue()
    with pytest.raises(ContainerEmptyError):
        heap.peek()
    assert heap.job_count_by_tube("default") == 0


@pytest.mark.parametrize("make", CONSTRUCTORS)
def test_one_id_stands_in_a_heap_once(make: Callable[[], JobHeap]) -> None:
    heap = filled(make(), job(1))
    with pytest.raises(EntryExistsError, match="job 1"):
        heap.enqueue(job(1, priority=5, ready_at=5, expires_at=5, buried_at=5))
    assert (len(heap), heap.job_count_by_tube("default")) == (1, 1)


@pytest.mark.parametrize("job_id", [0, -1, 2**64])
def test_an_id_that_no_job_can_have_is_refused(job_id: int) -> None:
    with pytest.raises(BadValueError, match=r"job\.id"):
        new_priority_jobs().enqueue(job(job_id))


def test_peek_shows_the_first_and_leaves_it() -> None:
    heap = new_priority_jobs()
    entry = heap.enqueue(job(1))
    assert heap.peek() is entry
    assert heap.peek().job == job(1)
    assert len(heap) == 1


def test_a_handle_of_another_heap_is_refused() -> None:
    heap, other = new_priority_jobs(), new_priority_jobs()
    heap.enqueue(job(1))
    entry = other.enqueue(job(1))
    with pytest.raises(MismatchJobEntryError):
        heap.remove_at(entry)
    assert (len(heap), len(other)) == (1, 1)


def test_a_stale_handle_is_refused_also_when_its_job_came_back() -> None:
    heap = new_priority_jobs()
    entry = heap.enqueue(job(1))
    assert heap.remove_at(entry) is entry
    with pytest.raises(InvalidIndexError):
        heap.remove_at(entry)
    again = heap.enqueue(job(1))
    with pytest.raises(InvalidIndexError):
        heap.remove_at(entry)
    assert heap.peek() is again


def test_a_handle_goes_stale_by_dequeue() -> None:
    heap = new_priority_jobs()
    entry = heap.enqueue(job(1))
    heap.dequeue()
    with pytest.raises(InvalidIndexError):
        heap.remove_at(entry)


def test_a_forged_handle_is_refused() -> None:
    heap = new_priority_jobs()
    entry = heap.enqueue(job(1))
    with pytest.raises(InvalidIndexError):
        heap.remove_at(JobEntry(entry.job, heap, entry.key))


def test_a_removed_job_comes_back_once_in_its_new_place() -> None:
    heap = filled(new_priority_jobs(), job(1, priority=1), job(2, priority=2))
    low = heap.enqueue(job(3, priority=3))
    heap.remove_at(low)
    heap.enqueue(job(3, priority=0))
    assert drain(heap) == [3, 1, 2]


def test_removals_leave_no_garbage_behind() -> None:
    heap = new_priority_jobs()
    heap.enqueue(job(1))
    for job_id in range(2, 5_000):
        heap.remove_at(heap.enqueue(job(job_id, priority=job_id)))
    assert len(heap._keys.keys) < 200


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_every_order_equals_a_sort(rows: list[tuple[int, int]]) -> None:
    jobs = [
        job(place + 1, priority=a, ready_at=b, expires_at=a + b, buried_at=a)
        for place, (a, b) in reversed(list(enumerate(rows)))
    ]
    assert drain(filled(new_priority_jobs(), *jobs)) == [j.id for j in sorted(jobs, key=lambda j: (j.priority, j.id))]
    assert drain(filled(new_delayed_jobs(), *jobs)) == [j.id for j in sorted(jobs, key=lambda j: (j.ready_at, j.id))]
    assert drain(filled(new_reserved_jobs(), *jobs)) == [j.id for j in sorted(jobs, key=lambda j: (j.expires_at, j.id))]
    assert drain(filled(new_buried_jobs(), *jobs)) == [j.id for j in sorted(jobs, key=lambda j: j.buried_at)]


class HeapAgainstList(RuleBasedStateMachine):
    """Any sequence of calls gives what a sorted list gives."""

    @initialize()
    def start(self) -> None:
        self.heap = new_delayed_jobs()
        self.entries: list[JobEntry] = []
        self.gone: list[JobEntry] = []

    @rule(job_id=st.integers(1, 30), ready_at=st.integers(0, 5), tube=st.sampled_from("ab"))
    def enqueue(self, job_id: int, ready_at: int, tube: str) -> None:
        new = job(job_id, ready_at=ready_at, tube=tube)
        if any(entry.job.id == job_id for entry in self.entries):
            with pytest.raises(EntryExistsError):
                self.heap.enqueue(new)
        else:
            self.entries.append(self.heap.enqueue(new))

    @precondition(lambda self: self.entries)
    @rule()
    def dequeue(self) -> None:
        first = min(self.entries, key=lambda entry: (entry.job.ready_at, entry.job.id))
        assert self.heap.dequeue() is first.job
        self.entries.remove(first)
        self.gone.append(first)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def remove_at(self, data: st.DataObject) -> None:
        entry = self.entries.pop(data.draw(st.integers(0, len(self.entries) - 1)))
        assert self.heap.remove_at(entry) is entry
        self.gone.append(entry)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def remove_stale(self, data: st.DataObject) -> None:
        with pytest.raises(InvalidIndexError):
            self.heap.remove_at(data.draw(st.sampled_from(self.gone)))

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.heap) == len(self.entries)
        counts = Counter(str(entry.job.tube) for entry in self.entries)
        for tube in "abc":
            assert self.heap.job_count_by_tube(tube) == counts[tube]
        if self.entries:
            assert self.heap.peek() is min(self.entries, key=lambda entry: (entry.job.ready_at, entry.job.id))


TestHeapAgainstList = HeapAgainstList.TestCase
TestHeapAgainstList.settings = settings(deadline=None, max_examples=50)


def test_an_index_tells_where_a_job_stands() -> None:
    heap, index = new_buried_jobs(), new_job_index()
    entry = heap.enqueue(job(7))
    noted = index.add(entry)
    assert index.get(JobID(7)) is noted
    assert (noted.job, noted.entry, noted.heap) == (job(7), entry, heap)
    noted.heap.remove_at(noted.entry)
    assert index.remove(JobID(7)) is noted
    assert (len(index), 7 in index, len(heap)) == (0, False, 0)


def test_an_index_lists_ids_in_order_of_adding() -> None:
    heap, index = new_priority_jobs(), JobIndex()
    for job_id in (3, 1, 2):
        index.add(heap.enqueue(job(job_id)))
    assert list(index) == [3, 1, 2]
    assert 1 in index


def test_an_index_holds_an_id_once_and_knows_what_it_misses() -> None:
    index = new_job_index()
    index.add(new_priority_jobs().enqueue(job(1)))
    with pytest.raises(EntryExistsError, match="job 1"):
        index.add(new_delayed_jobs().enqueue(job(1)))
    with pytest.raises(EntryMissingError, match="job 2"):
        index.get(JobID(2))
    with pytest.raises(EntryMissingError, match="job 2"):
        index.remove(JobID(2))
