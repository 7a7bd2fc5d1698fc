"""The state diagram as a networkx graph, made from the one table, and what must hold of it.

The graph is what the transition watcher checks records against, what the diagrams draw and what coverage is
counted on. Its edges come from `jsm.transitions` and from nowhere else; what is written here is only what the
table does not say: in plain words, what a state means, who causes an edge and through which operations.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from jsm.errors import InvariantViolation
from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import Transition, transitions

if TYPE_CHECKING:
    import networkx as nx

MEANINGS = {
    JobState.NEW: "before its put: the job has no id yet",
    JobState.READY: "waits for a client that reserves it",
    JobState.DELAYED: "waits until its delay has elapsed",
    JobState.RESERVED: "is held by one client, at most for its ttr",
    JobState.BURIED: "is set aside until somebody kicks it",
    JobState.DELETED: "is gone; its id is never used again",
}

OPERATIONS = {
    Trigger.PUT: ("put",),
    Trigger.PUT_DELAYED: ("put",),
    Trigger.DELAY_ELAPSED: ("tick",),
    Trigger.RESERVE: ("append_reservation", "tick"),
    Trigger.RESERVE_JOB: ("reserve_job",),
    Trigger.TOUCH: ("touch",),
    Trigger.RELEASE: ("release", "release_with"),
    Trigger.RELEASE_DELAYED: ("release_with",),
    Trigger.BURY: ("bury",),
    Trigger.KICK: ("kick", "kick_n"),
    Trigger.TTR_EXPIRED: ("tick",),
    Trigger.CLOSE: ("close_client",),
    Trigger.DELETE: ("delete",),
}

OWNERS_TRIGGERS = (Trigger.TOUCH, Trigger.RELEASE, Trigger.RELEASE_DELAYED, Trigger.BURY, Trigger.CLOSE)
TIMES_TRIGGERS = (Trigger.DELAY_ELAPSED, Trigger.TTR_EXPIRED)


class EdgePair(NamedTuple):
    """Two edges that can follow one another on one job: the second starts where the first ends."""

    first: Transition
    second: Transition


def transition_graph() -> "nx.MultiDiGraph[JobState]":
    """The state diagram: a node a state, an edge a cell of the table, the edge's key its trigger.

    A node has `live` (is the job in the machine?) and `meaning`. An edge has `position` (its place in the
    table, the order of all reports), `operations` (the public operations that can cause it) and `by`:
    "anyone", "owner" (of the reserved job) or "time" (a tick).
    """
    import networkx as nx  # here, because it takes longer to load than the rest of the package together

    graph: nx.MultiDiGraph[JobState] = nx.MultiDiGraph(name="life of a job")
    for state in JobState:
        graph.add_node(state, live=state in LIVE_STATES, meaning=MEANINGS[state])
    for position, edge in enumerate(transitions()):
        graph.add_edge(
            edge.source,
            edge.target,
            key=edge.trigger,
            position=position,
            operations=OPERATIONS[edge.trigger],
            by=_caused_by(edge),
        )
    return graph


def edges_of(graph: "nx.MultiDiGraph[JobState]") -> list[Transition]:
    """The graph's edges in the table's order; edges that are not of the table come last, by name."""
    rows = [
        (data.get("position", len(graph.edges)), Transition(source, Trigger(key), target))
        for source, target, key, data in graph.edges(keys=True, data=True)
    ]
    return [edge for _, edge in sorted(rows)]


def edge_pairs(graph: "nx.MultiDiGraph[JobState]") -> list[EdgePair]:
    """Every pair of edges that can follow one another on one job, in the table's order."""
    edges = edges_of(graph)
    return [EdgePair(first, second) for first in edges for second in edges if first.target == second.source]


def edge_name(edge: Transition) -> str:
    """An edge as reports spell it, such as `reserved>ready by release`."""
    return f"{edge.source}>{edge.target} by {edge.trigger}"


def edge_named(name: str) -> Transition:
    """The table's edge that reports spell `name`; raises `KeyError` when there is none."""
    return {edge_name(edge): edge for edge in transitions()}[name]


def pair_name(pair: EdgePair) -> str:
    """An edge pair as reports spell it, such as `reserved>ready by release, ready>reserved by reserve`."""
    return f"{edge_name(pair.first)}, {edge_name(pair.second)}"


def graph_findings(graph: "nx.MultiDiGraph[JobState]") -> list[str]:
    """What is wrong with the shape of a life's graph, a sentence each; empty when it is sound."""
    return list(_findings(graph))


def check_graph(graph: "nx.MultiDiGraph[JobState]") -> None:
    """Raise `InvariantViolation` unless the graph is sound: see `graph_findings`."""
    findings = graph_findings(graph)
    if findings:
        raise InvariantViolation("transition_graph_is_sound", "; ".join(findings))


def _findings(graph: "nx.MultiDiGraph[JobState]") -> Iterator[str]:
    import networkx as nx

    absent = [state for state in JobState if state not in graph]
    if absent:
        yield f"states that are no node: {_names(absent)}"
        return
    reached = nx.descendants(graph, JobState.NEW) | {JobState.NEW}
    unreached = [state for state in JobState if state not in reached]
    if unreached:
        yield f"states that no job can reach: {_names(unreached)}"
    sinks = [state for state in JobState if graph.out_degree(state) == 0]
    if sinks != [JobState.DELETED]:
        yield f"the only end must be deleted, and the ends are: {_names(sinks)}"
    ending = nx.ancestors(graph, JobState.DELETED)
    stuck = [state for state in LIVE_STATES if state not in ending]
    if stuck:
        yield f"states from which no job can be deleted: {_names(stuck)}"
    if graph.in_degree(JobState.NEW) > 0:
        yield "an edge leads back to new, which would use an id twice"
    seen: set[tuple[JobState, Trigger]] = set()
    for edge in edges_of(graph):
        if (edge.source, edge.trigger) in seen:
            yield f"{edge.trigger} leads from {edge.source} to more than one state"
        seen.add((edge.source, edge.trigger))


def _names(states: Iterable[JobState]) -> str:
    return ", ".join(states) or "none"


def _caused_by(edge: Transition) -> str:
    if edge.trigger in TIMES_TRIGGERS:
        return "time"
    owners = edge.trigger in OWNERS_TRIGGERS or edge.source is JobState.RESERVED
    return "owner" if owners else "anyone"
