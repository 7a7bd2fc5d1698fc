"""Random walks through a world that is too large to be visited completely: a swarm of long histories, each checked.

An exploration looks at every state, but at each as it is made from its key. A walk looks at few states, but at one
machine that has lived long: its heaps with their stale keys, its ids and counters as they grow, a restore now and
then. A walk proves nothing: the verdict is `violated` or `undetermined`, never `holds`.

Walk number i of a seed is the same on every machine and in any number of processes, and so is what is made of all
walks: they are taken in by number, up to the first that found a fault.
"""

from __future__ import annotations

from array import array
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

from jsm.machine import Machine
from models.check_result import UNDETERMINED, VIOLATED, Coverage
from models.engines import open_engine
from models.walks_run import Trip, Walked, run_walk
from models.walks_share import share_of
from models.walks_shrink import counterexample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from models.finding import Counterexample, Finding
    from models.scope import Scope
    from models.walks_share import Share

WALKS: Final = 20
STEPS: Final = 10_000
"""How many walks, of how many steps, are made when nobody says: some seconds a core."""


@dataclass(slots=True)
class WalksResult:
    """What a swarm of walks came to."""

    scope: Scope
    seed: int
    steps_each: int
    verdict: str = UNDETERMINED
    walks: int = 0  # that are taken in
    steps: int = 0
    accepted: int = 0
    lives: int = 0  # how often a walk began with an empty machine
    seconds: float = 0.0
    workers: int = 1
    checked: Counter[str] = field(default_factory=Counter)  # steps by dear check
    coverage: Coverage = field(default_factory=Coverage)
    states: set[int] = field(default_factory=set)  # fingerprints of those that were visited
    edges: set[int] = field(default_factory=set)  # of the pairs of states that followed one another
    never_fired: tuple[str, ...] = ()
    share: Share | None = None
    failed: int | None = None  # the number of the walk that found a fault
    failed_steps: int = 0  # how many steps it had taken by then
    found: Finding | None = None  # as the walk saw it
    counterexample: Counterexample | None = None

    @property
    def steps_per_second(self) -> float:
        """Of all workers together, checks included."""
        return self.steps / self.seconds if self.seconds else 0.0

    def document(self) -> dict[str, Any]:
        """For machines, apart from the counterexample; the keys of an exploration mean the same here."""
        kept = 8 * (len(self.states) + len(self.edges))
        return {
            "verdict": self.verdict,
            "why": "" if self.verdict == VIOLATED else "random walks prove nothing",
            "scope": self.scope.document(),
            "states": len(self.states),
            "transitions": self.accepted,
            "refused": self.steps - self.accepted,
            "depth": self.steps_each,
            "states_per_second": round(len(self.states) / self.seconds, 1) if self.seconds else 0.0,
            "bytes_per_state": round(kept / max(len(self.states), 1), 1),
            "seconds": round(self.seconds, 3),
            "coverage": self.coverage.document(),
            "never_fired": list(self.never_fired),
            "walks": {
                "seed": self.seed,
                "walks": self.walks,
                "steps": self.steps,
                "lives": self.lives,
                "steps_per_second": round(self.steps_per_second, 1),
                "checked_closely": dict(sorted(self.checked.items())),
                "state_edges": len(self.edges),
                "share": None if self.share is None else self.share.document(),
                "failed": self.failed,
                "failed_steps": self.failed_steps,
                "finding": None if self.found is None else self.found._asdict(),
            },
        }


def walk(
    scope: Scope,
    *,
    walks: int = WALKS,
    steps: int = STEPS,
    seed: int = 0,
    only: int | None = None,
    make_machine: Callable[..., Machine] = Machine,
    processes: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WalksResult:
    """Walk through the scope, in lock-step with the specification and under the invariants. O(walks × steps).

    Walks 0 to `walks` - 1 are made, or the walk `only`, by `processes` of this machine (0: one a core) or on a Dask
    `cluster`; other processes get the machine's class by its name, so it has to be defined in a module. `progress` is
    told how many walks are done, and of how many. Raises `EngineError` when the cluster can't be used.
    """
    trip = Trip(scope, make_machine, seed, steps)
    numbers: Iterable[int] = range(walks) if only is None else (only,)
    result = WalksResult(scope, seed, steps)
    began = perf_counter()
    with open_engine(processes=processes, cluster=cluster) as engine:
        result.workers = engine.workers
        run = cast("Generator[Walked]", engine.run(run_walk, ((trip, number) for number in numbers)))
        with closing(run) as walked:
            for each in walked:
                _take_in(result, each)
                if progress is not None:
                    progress(result.walks, walks if only is None else 1)
                if each.fault is not None:
                    result.failed, result.failed_steps, result.found = each.index, each.steps, each.fault.finding
                    break
    result.seconds = perf_counter() - began
    fired = result.coverage.fired
    result.never_fired = tuple(name for name in scope.operations if not fired[name])
    if result.failed is None:
        result.share = share_of(scope, make_machine, result.states, result.edges)
    elif each.fault is not None:
        result.verdict = VIOLATED
        result.counterexample = counterexample_of(each.fault, scope, make_machine=make_machine)
    return result


def _take_in(result: WalksResult, walked: Walked) -> None:
    """Add what a walk came to."""
    result.walks += 1
    result.steps += walked.steps
    result.accepted += walked.accepted
    result.lives += walked.lives
    result.checked.update(walked.checked)
    coverage, met = result.coverage, walked.coverage
    coverage.edges.update(met.edges)
    coverage.edge_pairs |= met.edge_pairs
    coverage.refusals.update(met.refusals)
    coverage.fired.update(met.fired)
    for mine, its in ((result.states, walked.states), (result.edges, walked.edges)):
        prints = array("Q")
        prints.frombytes(its)
        mine.update(prints)
