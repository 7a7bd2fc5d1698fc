"""Ways to keep the jobs of a machine, each the same subset of it: prototypes to measure, not to import elsewhere.

Each stands alone, although much of their text is equal, because how one reads is part of what is compared.
`reports/decisions/0001-inner-representation.md` says which one the machine follows.
"""

from typing import Final

from tests.benchmarks.representations.flat_arrays import FlatArrays
from tests.benchmarks.representations.slots_buckets import SlotsBuckets
from tests.benchmarks.representations.slots_keyed import SlotsKeyed
from tests.benchmarks.representations.slots_lazy import SlotsLazy
from tests.benchmarks.representations.slots_packed import SlotsPacked
from tests.benchmarks.representations.slots_tuples import SlotsTuples
from tests.benchmarks.representations.subset import Prototype
from tests.benchmarks.representations.tuples_packed import TuplesPacked

PROTOTYPES: Final[dict[str, type[Prototype]]] = {
    "A": SlotsTuples,
    "B": SlotsPacked,
    "C": SlotsBuckets,
    "D": TuplesPacked,
    "E": FlatArrays,
    "F": SlotsLazy,
    "G": SlotsKeyed,
}
