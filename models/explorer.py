"""Visits every state of a bounded world over the real machine, breadth first, and checks every call in each.

A state is a key (`jsm.relative_key`): time and names are relative, so a world with unlimited puts and unlimited time is
finite. The machine is put into a state, everything that can be called is called, and after each call the machine is
put back; new keys join the queue. When the queue is empty, every history of any length has been looked at: what holds
on every edge holds for all of them.

Sound for the machine as it is between calls. What is outside the key is in one form in each state (`jsm.image.load`):
counters, bodies, ids (the last one always of a job that is gone), the layout of heaps and their stale keys. What a
subclass keeps in attributes of its own is as in a new machine.

Source of the symmetry of clients: E. A. Emerson and A. P. Sistla, "Symmetry and model checking", Formal Methods in
System Design 9 (1996) 105-131.
"""

from __future__ import annotations

import os
from array import array
from functools import lru_cache
from sys import getsizeof
from time import perf_counter
from typing import TYPE_CHECKING, Final

from jsm.machine import Machine
from models.check_result import EDGE_CODES, HOLDS, UNDETERMINED, VIOLATED, Bounds, CheckResult, Coverage
from models.expander import IN_STATE, Expander, Expansion, Fault
from models.explorer_way import counterexample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from models.finding import Counterexample
    from models.scope import Scope

_BATCH: Final = 32  # states that a process takes at a time
_CHUNK: Final = 16  # batches between two looks at the bounds
_FAST_CHUNK: Final = 128  # without checks
_EDGES: Final = tuple(EDGE_CODES)


def explore(
    scope: Scope,
    *,
    make_machine: Callable[..., Machine] = Machine,
    lockstep: bool = True,
    invariants: bool = True,
    bounds: Bounds | None = None,
    allow_unfired: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    processes: int = 1,
) -> CheckResult:
    """Visit all states of the scope. O(states × calls).

    Each call is checked in lock-step with the specification and by the invariants unless those are off. `progress` is
    told the states that are done and those that are known, now and then. The verdict is `holds`, `violated` (a
    counterexample shows why, or an operation never fired and is not among `allow_unfired`), or `undetermined`.

    `processes` work side by side (0: one a core); what they find doesn't depend on how many they are. They get the
    machine's class by its name, so it has to be defined in a module.
    """
    search = _Search(scope, make_machine, lockstep=lockstep, invariants=invariants)
    count = processes or os.cpu_count() or 1
    return search.run(bounds or Bounds(), tuple(allow_unfired), progress, count)


class _Search:
    """One exploration."""

    def __init__(self, scope: Scope, make_machine: Callable[..., Machine], *, lockstep: bool, invariants: bool) -> None:
        self.scope = scope
        self.make_machine = make_machine
        self.checks = (lockstep, invariants)
        self.expander = Expander(scope, make_machine, lockstep=lockstep, invariants=invariants)
        self.coverage = Coverage()
        self.seen: dict[bytes, int] = {}
        self.order: list[bytes] = []
        self.parents = array("L")
        self.codes = array("H")
        self.depths = array("H")
        self.transitions = 0
        self.apart = [0, 0]  # states and transitions, if clients were told apart
        # by state and job, as bits of edges: by which it came there, until the state is expanded; by which it leaves
        self.arrivals: dict[int, list[int]] = {}
        self.departures: dict[int, tuple[int, ...]] = {}

    def run(
        self,
        bounds: Bounds,
        allow_unfired: tuple[str, ...],
        progress: Callable[[int, int], None] | None,
        processes: int,
    ) -> CheckResult:
        """Explore until nothing is new, a bound is hit, or a call is wrong."""
        began = perf_counter()
        shown, why = None, ""
        self._add(self.expander.root(), 0, 0, 0)
        done = 0
        while done < len(self.order) and shown is None:
            why = self._hit(bounds, done, perf_counter() - began)
            if why:
                break
            end = min(len(self.order), done + _BATCH * (_CHUNK if any(self.checks) else _FAST_CHUNK))
            for expansion in self._expanded(self.order[done:end], processes):
                fault = self._merge(done, expansion)
                if fault is not None:
                    shown = self._counterexample(done, fault)
                    break
                done += 1
            if progress is not None:
                progress(done, len(self.order))
        never = tuple(name for name in self.scope.operations if not self.coverage.fired[name])
        verdict = VIOLATED if shown is not None or set(never) - set(allow_unfired) else HOLDS
        if why:
            verdict = UNDETERMINED
        return CheckResult(
            scope=self.scope,
            verdict=verdict,
            states=len(self.order),
            transitions=self.transitions,
            refused=sum(self.coverage.refusals.values()),
            depth=max(self.depths),
            seconds=perf_counter() - began,
            bytes_per_state=self._bytes() / len(self.order),
            coverage=self.coverage,
            never_fired=never,
            counterexample=shown,
            why=why,
            states_apart=self.apart[0],
            transitions_apart=self.apart[1],
        )

    def _hit(self, bounds: Bounds, done: int, seconds: float) -> str:
        """The bound that is hit, in words."""
        if bounds.states is not None and len(self.order) > bounds.states:
            return f"more than {bounds.states} states are known, {done} of them done"
        if bounds.depth is not None and self.depths[done] >= bounds.depth:
            return f"histories of {bounds.depth} calls are done and lead to more states"
        if bounds.seconds is not None and seconds > bounds.seconds:
            return f"{bounds.seconds:g} s have passed with {done} of {len(self.order)} known states done"
        return ""

    def _expanded(self, keys: list[bytes], processes: int) -> Iterable[Expansion]:
        """The expansions of some states, in their order."""
        if processes == 1 or len(keys) <= _BATCH:
            return map(self.expander.expand, keys)
        return self._spread(keys, processes)

    def _spread(self, keys: list[bytes], processes: int) -> Iterator[Expansion]:
        from joblib import Parallel, delayed

        batches = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
        with Parallel(n_jobs=processes, return_as="generator") as parallel:
            work = delayed(_expand_batch)
            for expansions in parallel(work(self.scope, self.make_machine, self.checks, batch) for batch in batches):
                yield from expansions

    def _merge(self, index: int, expansion: Expansion) -> Fault | None:
        """Take in what came of a state's calls; the fault, if there was one."""
        coverage, seen = self.coverage, self.seen
        depth = self.depths[index] + 1
        self.transitions += len(expansion.children)
        apart = self.expander.keys.arrangements(self.order[index])
        self.apart[0] += apart
        self.apart[1] += apart * len(expansion.children)
        for child in expansion.children:
            known = seen.get(child.key)
            if known is None:
                known = self._add(child.key, index, child.code, depth)
            if child.arrivals:
                self._arrive(known, child.arrivals)
        coverage.fired.update(expansion.fired)
        if any(self.checks):
            for code, count in expansion.edges.items():
                coverage.edges[_EDGES[code]] += count
            coverage.edge_pairs |= expansion.pairs
            self.departures[index] = expansion.departures
            for came, left in zip(self.arrivals.pop(index, ()), expansion.departures, strict=False):
                self._pair(came, left)
        coverage.refusals.update(expansion.refusals)
        return expansion.fault

    def _add(self, key: bytes, parent: int, code: int, depth: int) -> int:
        index = self.seen[key] = len(self.order)
        self.order.append(key)
        self.parents.append(parent)
        self.codes.append(code)
        self.depths.append(depth)
        return index

    def _arrive(self, index: int, arrivals: tuple[tuple[int, int], ...]) -> None:
        """Note by which edges jobs came to a state, and pair them with those by which they leave it, once known."""
        departures = self.departures.get(index)
        if departures is not None:
            for place, code in arrivals:
                self._pair(1 << code, departures[place])
            return
        came = self.arrivals.setdefault(index, [0] * (max(self.scope.jobs, self.scope.puts or 0) * 2 + 2))
        for place, code in arrivals:
            came[place] |= 1 << code

    def _pair(self, came: int, left: int) -> None:
        if came and left:
            firsts = [code for code in EDGE_CODES.values() if came >> code & 1]
            seconds = [code for code in EDGE_CODES.values() if left >> code & 1]
            self.coverage.edge_pairs.update((first, second) for first in firsts for second in seconds)

    def _counterexample(self, index: int, fault: Fault) -> Counterexample:
        """The calls from an empty machine to the fault."""
        way = [] if fault.code == IN_STATE else [fault.code]
        while index:
            way.append(self.codes[index])
            index = self.parents[index]
        return counterexample(self.expander, way[::-1], fault.text)

    def _bytes(self) -> int:
        """What the known states take: keys, the table and the queue of them, and the way to each."""
        kept = sum(map(getsizeof, self.order)) + sum(map(getsizeof, self.seen.values()))
        return kept + sum(map(getsizeof, (self.seen, self.order, self.parents, self.codes, self.depths)))


def _expand_batch(
    scope: Scope, make_machine: Callable[..., Machine], checks: tuple[bool, bool], keys: list[bytes]
) -> list[Expansion]:
    """What a process does: expand some states, up to the first fault."""
    expander = _expander(scope, make_machine, checks)
    expansions = []
    for key in keys:
        expansions.append(expander.expand(key))
        if expansions[-1].fault is not None:
            break
    return expansions


@lru_cache(maxsize=4)
def _expander(scope: Scope, make_machine: Callable[..., Machine], checks: tuple[bool, bool]) -> Expander:
    """A process makes one expander an exploration."""
    return Expander(scope, make_machine, lockstep=checks[0], invariants=checks[1])
