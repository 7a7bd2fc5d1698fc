"""A heap of integers from which any can be removed: the one ordered container of the machine."""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final

ID_BITS: Final = 64
"""A key is `order << ID_BITS | id`: it sorts by (order, id), and comparing two integers costs a third of
comparing two tuples (`reports/decisions/0001-inner-representation.md`)."""

ID_MASK: Final = (1 << ID_BITS) - 1
"""`key & ID_MASK` is the id, `key >> ID_BITS` the order."""

STALE_MIN: Final = 64
"""Stale keys that are never worth a compaction."""


class KeyHeap:
    """A min-heap of distinct integers. Push, pop and removal of any key: O(log n) amortised; the rest O(1).

    A key that is removed below the top stays in the list as *stale* until it reaches the top, or until the stale
    are many and more than the live. Three things hold between calls: `keys` is a heap of the live and the stale,
    no key stands in it twice, and `keys[0]` is live. So `if heap.keys` tells whether there is a live key, and
    `heap.keys[0]` is the lowest. While nothing is stale, `heappush(heap.keys, key)` is a push and `heappop(heap.keys)`
    a removal of the lowest: a job's common path does so and spares itself two calls in three.
    """

    __slots__ = ("keys", "stale")

    def __init__(self, keys: Iterable[int] = ()) -> None:
        self.keys = list(keys)
        heapify(self.keys)
        self.stale: set[int] | None = None  # made when it is first needed: most heaps of idle tubes never do

    def __len__(self) -> int:
        return len(self.keys) - len(self.stale) if self.stale else len(self.keys)

    def __iter__(self) -> Iterator[int]:
        """The live keys, in no useful order."""
        stale = self.stale or ()
        return (key for key in self.keys if key not in stale)

    def push(self, key: int) -> None:
        """Add a key that is not in the heap; one that is stale comes back to life and stands there once."""
        if self.stale and key in self.stale:
            self.stale.remove(key)
        else:
            heappush(self.keys, key)

    def remove(self, key: int) -> None:
        """Remove a key that is in the heap."""
        keys, stale = self.keys, self.stale
        if keys[0] == key:
            heappop(keys)
            if stale:
                while keys and keys[0] in stale:
                    stale.remove(heappop(keys))
            return
        if stale is None:
            stale = self.stale = set()
        stale.add(key)
        if len(stale) > STALE_MIN and 2 * len(stale) > len(keys):
            keys[:] = [key for key in keys if key not in stale]
            heapify(keys)
            stale.clear()
