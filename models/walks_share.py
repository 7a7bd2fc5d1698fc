"""How much of a small world random walks have come to: the share of all its states, and of the steps between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from models.expander import Expander
from models.walks_run import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from jsm.machine import Machine
    from models.scope import Scope

STATES_MAX: Final = 10_000
"""Worlds with more states than this are not closed for the share alone: it takes longer than the walks."""


@dataclass(frozen=True, slots=True)
class Share:
    """What walks have visited of a world, and all that there is."""

    states: int
    states_all: int
    edges: int  # pairs of states of which one call leads from the first to the second
    edges_all: int

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "states": {"met": self.states, "all": self.states_all},
            "edges": {"met": self.edges, "all": self.edges_all},
        }


def share_of(
    scope: Scope,
    make_machine: Callable[..., Machine],
    states: Set[int],
    edges: Set[int],
    *,
    states_max: int = STATES_MAX,
) -> Share | None:
    """Visit every state of the world and count those among the fingerprints; None: there are more than `states_max`.

    O(states × calls).
    """
    if len(states) > states_max:
        return None
    expander = Expander(scope, make_machine, lockstep=False, invariants=False, follow=True)
    order = [expander.root()]
    known = set(order)
    pairs: set[int] = set()
    for key in order:
        if len(order) > states_max:
            return None
        expansion = expander.expand(key)
        if expansion.fault is not None:
            return None
        for child in expansion.children:
            pairs.add(fingerprint(key, child.key))
            if child.key not in known:
                known.add(child.key)
                order.append(child.key)
    everywhere = set(map(fingerprint, order))
    return Share(len(everywhere & states), len(everywhere), len(pairs & edges), len(pairs))
