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

from jsm.engines import open_engine
from jsm.machine import Machine
from models.check_result import UNDETERMINED, VIOLATED, Coverage
from models.walks_run import Trip, run_walk
from models.walks_share import STATES_MAX, share_of
from models.walks_shrink import counterexample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from models.finding import Counterexample, Finding
    from models.scope import Scope
    from models.walks_run import Fault, Walked
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
    share: Share | None = None
    failed: int | None = None  # the number of the walk that found a fault
    failed_steps: int = 0  # how many steps it had taken by then
    found: Finding | None = None  # as the walk saw it
    counterexample: Counterexample | None = None

    @property
    def never_fired(self) -> tuple[str, ...]:
        """The operations of the scope that were never accepted."""
        return tuple(name for name in self.scope.operations if not self.coverage.fired[name])

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


class WalksInterrupted(KeyboardInterrupt):
    """Somebody wants no more; what was finished by then is kept."""

    def __init__(self, result: WalksResult) -> None:
        super().__init__()
        self.result = result


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
    share_states_max: int = STATES_MAX,
    progress: Callable[[int, int], None] | None = None,
) -> WalksResult:
    """Walk through the scope, in lock-step with the specification and under the invariants. O(walks × steps).

    Walks 0 to `walks` - 1 are made, or the walk `only`, by `processes` of this machine (0: one a core) or on a Dask
    `cluster`; other processes get the machine's class by its name, so it has to be defined in a module. `progress` is
    told how many walks are done, and of how many. Of a world of at most `share_states_max` states it is said in the end
    which share of it the walks have visited. Raises `EngineError` when the cluster can't be used, and
    `WalksInterrupted` with what was finished.
    """
    trip = Trip(scope, make_machine, seed, steps)
    numbers: Iterable[int] = range(walks) if only is None else (only,)
    result = WalksResult(scope, seed, steps)
    began = perf_counter()
    fault: Fault | None = None
    try:
        with open_engine(processes=processes, cluster=cluster) as engine:
            result.workers = engine.workers
            run = cast("Generator[Walked]", engine.run(run_walk, ((trip, number) for number in numbers)))
            with closing(run) as walked:
                for each in walked:
                    fault = _take_in(result, each)
                    if progress is not None:
                        progress(result.walks, walks if only is None else 1)
                    if fault is not None:
                        break
        result.seconds = perf_counter() - began
        if fault is None:
            result.share = share_of(scope, make_machine, result.states, result.edges, states_max=share_states_max)
        else:
            result.counterexample = counterexample_of(fault, scope, make_machine=make_machine)
    except KeyboardInterrupt:
        result.seconds = result.seconds or perf_counter() - began
        raise WalksInterrupted(result) from None
    return result


def _take_in(result: WalksResult, walked: Walked) -> Fault | None:
    """Add what a walk came to; the fault, if it found one."""
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
    if walked.fault is not None:
        result.verdict = VIOLATED
        result.failed, result.failed_steps, result.found = walked.index, walked.steps, walked.fault.finding
    return walked.fault
