"""Timers as buckets: the ids that share a due, and a heap of the distinct dues."""

from heapq import heappop, heappush


class Buckets:
    """Pairs (due, id), ordered by due and then by id.

    A due whose bucket went stays in `dues` until it is the top, or until such dues are over half of the heap; so
    `dues[0]` is the lowest due, and `dues` is empty when there is no pair.
    """

    __slots__ = ("_buckets", "dues")

    def __init__(self) -> None:
        self._buckets: dict[int, set[int]] = {}
        self.dues: list[int] = []

    def push(self, due: int, job_id: int) -> None:
        """Add a pair. O(log n)."""
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {job_id}
            heappush(self.dues, due)
        else:
            bucket.add(job_id)

    def ids(self, due: int) -> list[int]:
        """The ids of a due, lowest first."""
        return sorted(self._buckets[due])

    def remove(self, due: int, job_id: int) -> None:
        """Take out a pair that is there. O(log n) amortised."""
        bucket = self._buckets[due]
        bucket.remove(job_id)
        if bucket:
            return
        buckets, dues = self._buckets, self.dues
        del buckets[due]
        while dues and dues[0] not in buckets:
            heappop(dues)
        if len(dues) > 2 * len(buckets):
            self.dues = sorted({due for due in dues if due in buckets})  # a sorted list is a heap
