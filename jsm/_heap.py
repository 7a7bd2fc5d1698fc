"""A heap of integers from which any can be removed: the one ordered container of the machine."""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final

ID_BITS: Final = 64
"""A key is `order << ID_BITS | id`: it sorts by (order, id), and comparing two integers costs a third of
comparing two tuples (`reports/decisions/0001-inner-representation.md`)."""

ID_MASK: Final = (1 << ID_BITS) - 1
"""`key & ID_MASK` is the id, `key >> ID_BITS` the order."""


class KeyHeap:
    """A min-heap of distinct integers. Push, pop and removal of any key: O(log n) amortised; the rest O(1).

    A key that is removed below the top stays in the list as *stale* until it reaches the top or more than
    half of the list is stale. Three things hold between calls: `keys` is a heap of the live and the stale,
    no key stands in it twice, and `keys[0]` is live. So `if heap.keys` tells whether there is a live key, and
    `heap.keys[0]` is the lowest.
    """

    __slots__ = ("_stale", "keys")

    def __init__(self, keys: Iterable[int] = ()) -> None:
        self.keys = list(keys)
        heapify(self.keys)
        self._stale: set[int] = set()

    def __len__(self) -> int:
        return len(self.keys) - len(self._stale)

    def __iter__(self) -> Iterator[int]:
        """The live keys, in no useful order."""
        stale = self._stale
        return (key for key in self.keys if key not in stale)

    def push(self, key: int) -> None:
        """Add a key that is not in the heap; one that is stale comes back to life and stands there once."""
        if self._stale and key in self._stale:
            self._stale.remove(key)
        else:
            heappush(self.keys, key)

    def pop(self) -> int:
        """Remove and return the lowest key. Raises `IndexError` when empty."""
        key = heappop(self.keys)
        if self._stale:
            self._drop_stale_top()
        return key

    def remove(self, key: int) -> None:
        """Remove a key that is in the heap."""
        if self.keys[0] == key:
            heappop(self.keys)
            if self._stale:
                self._drop_stale_top()
            return
        self._stale.add(key)
        if 2 * len(self._stale) > len(self.keys):
            self.keys = list(self)
            heapify(self.keys)
            self._stale.clear()

    def _drop_stale_top(self) -> None:
        keys, stale = self.keys, self._stale
        while keys and keys[0] in stale:
            stale.remove(heappop(keys))
