"""Instants for a linearization: the proof that its order fits the windows of all operations and all timers."""

from collections.abc import Sequence
from typing import NamedTuple

from models.histories import Operation
from models.linearizability_instants import Instants
from models.linearizability_search import Move, Search
from models.linearizability_steps import Step, put_order


class Event(NamedTuple):
    """Something that happened, at one instant."""

    at: int  # in units
    what: str
    operation: Operation | None  # None: nobody saw it


def schedule_of(steps: Sequence[Step], paths: Sequence[tuple[Search, Sequence[Move]]]) -> tuple[Event, ...] | None:
    """The least instants for what the paths of all parts place, in order; None when none fit.

    What ties the parts together is required here: ids grow, and a client does one thing after the other.
    """
    instants = Instants()
    words: list[tuple[str, Operation | None]] = []
    placed: dict[int, int] = {}  # step → event
    follows: list[tuple[int, int]] = []  # (event, one that comes before it)
    for search, path in paths:
        search.keep_time(instants)
        first = len(instants)
        for move in path:
            words.append(_words(search, move))
            event = len(instants)
            if event > first:
                follows.append((event, event - 1))
            if move.step is not None:
                placed[move.step.number] = event
            if not search.do(move):
                return None
    for step in steps:
        if step.number not in placed and not step.optional:  # what concerns no job, and so is in no part
            placed[step.number] = instants.add(step.call, step.end)
            words.append((step.operation.op, step.operation))
    ties = [(step, each) for step in steps for each in step.after]
    ties += [(second, first) for first, second in put_order(steps)]
    for later, sooner in ties:
        if later.number in placed and sooner.number in placed:
            follows.append((placed[later.number], placed[sooner.number]))
    order = _order(len(instants), follows)
    if order is None or not all(instants.after(event, before) for event, before in follows):
        return None
    ranks = {event: rank for rank, event in enumerate(order)}
    order.sort(key=lambda event: (instants.least[event], ranks[event]))
    return tuple(Event(instants.least[event], *words[event]) for event in order)


def _order(count: int, follows: Sequence[tuple[int, int]]) -> list[int] | None:
    """The events in an order in which each comes after those before it; None when they go round in a circle."""
    later: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for event, before in follows:
        later[before].append(event)
        missing[event] += 1
    order = [event for event in range(count) if not missing[event]]
    for event in order:  # grows while it is read
        for other in later[event]:
            missing[other] -= 1
            if not missing[other]:
                order.append(other)
    return order if len(order) == count else None


def _words(search: Search, move: Move) -> tuple[str, Operation | None]:
    """What a move is, in a few words."""
    if move.step is None:
        return search.rules.fire_text(move.kind, move.key), None
    begins = move.step.kind == "begin"
    return "begins to wait" if begins else move.step.operation.op, move.step.operation
