"""What an exploration came to: its verdict, its size, what it has met."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from jsm.transitions import Transition, transitions
from models.finding import Counterexample
from models.graph import EdgePair, edge_name, edge_pairs, pair_name, transition_graph
from models.scope import Scope

HOLDS: Final = "holds"
VIOLATED: Final = "violated"
UNDETERMINED: Final = "undetermined"

EDGE_CODES: Final = {edge: code for code, edge in enumerate(transitions())}
"""The edges of the state diagram by their place in the table."""


class Refusal(NamedTuple):
    """A cell of what was refused."""

    state: str  # of the job that the call names; "missing", or "-" for a call that names none
    op: str
    by: str  # "owner", "other", "-"
    kind: str  # the category


@dataclass(slots=True)
class Coverage:
    """What the calls of an exploration have met."""

    edges: Counter[Transition] = field(default_factory=Counter)
    edge_pairs: set[tuple[int, int]] = field(default_factory=set)
    refusals: Counter[Refusal] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)  # accepted calls by operation

    def document(self) -> dict[str, Any]:
        """For machines; every edge and pair is listed, with its zeros."""
        pairs = edge_pairs(transition_graph())
        met = {pair_name(pair): self._has(pair) for pair in pairs}
        return {
            "edges": {edge_name(edge): self.edges[edge] for edge in EDGE_CODES},
            "edge_pairs": {
                "met": sum(met.values()),
                "all": len(met),
                "missing": [n for n, is_met in met.items() if not is_met],
            },
            "refusals": [{**cell._asdict(), "count": count} for cell, count in sorted(self.refusals.items())],
            "fired": dict(sorted(self.fired.items())),
        }

    def _has(self, pair: EdgePair) -> bool:
        return (EDGE_CODES[pair.first], EDGE_CODES[pair.second]) in self.edge_pairs


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What an exploration came to."""

    scope: Scope
    verdict: str
    states: int
    transitions: int  # accepted calls, over all states
    refused: int  # refused calls
    depth: int  # calls of the shortest history to the farthest state
    seconds: float
    bytes_per_state: float
    coverage: Coverage
    never_fired: tuple[str, ...]  # operations of the scope that were never accepted
    counterexample: Counterexample | None
    why: str = ""  # undetermined: which bound was hit
    states_apart: int = 0  # states and transitions if clients were told apart: what the visited ones stand for
    transitions_apart: int = 0

    @property
    def states_per_second(self) -> float:
        """Of the exploration, checks included."""
        return self.states / self.seconds if self.seconds else 0.0

    def document(self) -> dict[str, Any]:
        """For machines, apart from the counterexample."""
        return {
            "verdict": self.verdict,
            "why": self.why,
            "scope": self.scope.document(),
            "states": self.states,
            "transitions": self.transitions,
            "states_apart": self.states_apart,
            "transitions_apart": self.transitions_apart,
            "refused": self.refused,
            "depth": self.depth,
            "states_per_second": round(self.states_per_second, 1),
            "bytes_per_state": round(self.bytes_per_state, 1),
            "seconds": round(self.seconds, 3),
            "coverage": self.coverage.document(),
            "never_fired": list(self.never_fired),
        }


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where an exploration gives up: its verdict is then undetermined. None: nowhere."""

    states: int | None = None
    depth: int | None = None
    seconds: float | None = None
