"""The networkx graph: that it is the table, and that its checks find what they are for."""

import networkx as nx
import pytest

from jsm.errors import InvariantViolation
from jsm.machine import Machine
from jsm.states import JobState, Trigger
from jsm.transitions import Transition, transitions
from models.graph import (
    EdgePair,
    check_graph,
    edge_name,
    edge_named,
    edge_pairs,
    edges_of,
    graph_findings,
    pair_name,
    transition_graph,
)


def test_the_graph_is_the_table() -> None:
    graph = transition_graph()
    assert type(graph) is nx.MultiDiGraph
    assert list(graph) == list(JobState)
    assert edges_of(graph) == list(transitions())
    assert {(source, Trigger(key), target) for source, target, key in graph.edges(keys=True)} == set(transitions())


def test_the_graph_is_sound() -> None:
    graph = transition_graph()
    check_graph(graph)
    assert graph_findings(graph) == []


def test_edge_pairs_are_the_edges_of_the_line_graph() -> None:
    graph = transition_graph()
    pairs = edge_pairs(graph)
    assert len(pairs) == len(set(pairs)) == 67
    # networkx reckons the same thing its own way: a node of the line graph is an edge (from, to, key).
    line = {(first[0], first[2], first[1], *second) for first, second in nx.line_graph(graph).edges()}
    assert line == {(*pair.first, pair.second.source, pair.second.target, pair.second.trigger) for pair in pairs}


def test_nodes_and_edges_tell_readers_what_they_are() -> None:
    graph = transition_graph()
    assert [state for state, live in graph.nodes(data="live") if live] == ["ready", "delayed", "reserved", "buried"]
    assert all(graph.nodes[state]["meaning"] for state in graph)
    by = {edge_name(edge): graph.edges[edge.source, edge.target, edge.trigger]["by"] for edge in edges_of(graph)}
    assert [name for name, who in by.items() if who == "time"] == [
        "delayed>ready by delay-elapsed",
        "reserved>ready by ttr-expired",
    ]
    assert [name for name, who in by.items() if who == "owner"] == [
        "reserved>reserved by touch",
        "reserved>ready by release",
        "reserved>delayed by release-delayed",
        "reserved>buried by bury",
        "reserved>deleted by delete",
        "reserved>ready by close",
    ]


def test_every_operation_that_an_edge_names_is_one_of_the_machine() -> None:
    for _, _, data in transition_graph().edges(data=True):
        operations = data["operations"]
        assert operations
        assert all(callable(getattr(Machine, name)) for name in operations)


def test_names_of_edges_and_pairs() -> None:
    release = Transition(JobState.RESERVED, Trigger.RELEASE, JobState.READY)
    delete = Transition(JobState.READY, Trigger.DELETE, JobState.DELETED)
    assert edge_name(release) == "reserved>ready by release"
    assert pair_name(EdgePair(release, delete)) == "reserved>ready by release, ready>deleted by delete"
    assert [edge_named(edge_name(edge)) for edge in transitions()] == list(transitions())
    with pytest.raises(KeyError):
        edge_named("ready>ready by touch")


def test_each_fault_of_shape_is_found() -> None:
    graph = transition_graph()
    graph.remove_edge(JobState.RESERVED, JobState.BURIED, Trigger.BURY)
    assert graph_findings(graph) == ["states that no job can reach: buried"]

    graph = transition_graph()
    for _, target, trigger in list(graph.out_edges(JobState.BURIED, keys=True)):
        graph.remove_edge(JobState.BURIED, target, trigger)
    assert graph_findings(graph) == [
        "the only end must be deleted, and the ends are: buried, deleted",
        "states from which no job can be deleted: buried",
    ]

    graph = transition_graph()
    graph.add_edge(JobState.DELETED, JobState.NEW, key=Trigger.PUT)
    assert graph_findings(graph) == [
        "the only end must be deleted, and the ends are: none",
        "an edge leads back to new, which would use an id twice",
    ]

    graph = transition_graph()
    graph.add_edge(JobState.READY, JobState.DELAYED, key=Trigger.RESERVE)
    assert graph_findings(graph) == ["reserve leads from ready to more than one state"]

    graph = transition_graph()
    graph.remove_node(JobState.BURIED)
    with pytest.raises(InvariantViolation, match="transition_graph_is_sound: states that are no node: buried"):
        check_graph(graph)
