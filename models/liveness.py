"""What must happen in the end, in every history that goes on for ever with ticks in it: L1 to L7 of INVARIANTS.

A small world is explored completely, with the clients by name (exchanging them would join histories of different
clients into loops that nobody can go through). A promise is broken by a lasso: a history, and a loop in which seconds
pass and the promise is still open when it comes round. Loops are found as strongly connected components of the graph
whose nodes are states in which a promise to one job, client or tube is open, and whose edges are the calls that leave
it open. Histories in which time stands still, or no tick comes, promise nothing.

Components after R. Tarjan, "Depth-first search and linear graph algorithms", SIAM Journal on Computing 1 (1972).
"""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import networkx as nx

from jsm.machine import Machine
from jsm.relative_key import NOW
from jsm.states import JobState, Trigger
from models.check_result import EDGE_CODES, HOLDS, UNDETERMINED, VIOLATED
from models.expander import IN_STATE, Child, Expander
from models.explorer_way import counterexample
from models.finding import Counterexample, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jsm.image import Description
    from models.calls import Call
    from models.scope import Scope

Key = tuple[int, Any]
"""A state's number, and whom the promise in it is made to: a job's place, a client's or tube's name."""


class Promise(NamedTuple):
    """A property of this module."""

    clause: str
    sentence: str


PROMISES: Final[Mapping[str, Promise]] = MappingProxyType(
    {
        "a_reserved_job_is_left_by_its_deadline": Promise(
            "L1", "A job whose owner does nothing leaves it when its ttr has run out"
        ),
        "a_delay_ends": Promise("L2", "A delayed job becomes ready although nothing else happens"),
        "a_wait_with_a_deadline_is_answered": Promise("L3", "A reserve with a deadline is answered by then"),
        "no_job_waits_beside_a_waiting_client": Promise(
            "L4", "After a tick no ready job of an unpaused tube stands beside a client that waits on the tube"
        ),
        "a_pause_ends": Promise("L5", "A paused tube gives out jobs again when its pause has passed"),
        "every_call_ends": Promise("L6", "A call makes at most three transitions a job"),
        "a_live_worker_serves_all": Promise(
            "L7",
            "When one worker alone goes on to reserve and delete, every job that is not buried is deleted in the end",
        ),
    }
)
"""The properties by name."""


@dataclass(slots=True)
class LivenessResult:
    """What the search for lassos came to."""

    scope: Scope
    verdict: str
    states: int
    transitions: int
    open_promises: Counter[str] = field(default_factory=Counter)  # in how many states each property had something open
    counterexample: Counterexample | None = None
    why: str = ""

    def document(self) -> dict[str, Any]:
        """For machines, apart from the counterexample."""
        return {
            "verdict": self.verdict,
            "why": self.why,
            "scope": self.scope.document(),
            "states": self.states,
            "transitions": self.transitions,
            "open": {name: self.open_promises[name] for name in PROMISES},
        }


def check_liveness(
    scope: Scope, *, make_machine: Callable[..., Machine] = Machine, states_max: int | None = None
) -> LivenessResult:
    """Look for lassos in the scope, without symmetry. O(states × calls) calls and memory.

    Undetermined when more than `states_max` states are known.
    """
    return _Lassos(scope.but(symmetry=False), make_machine).run(states_max)


class _Lassos:
    """One search."""

    def __init__(self, scope: Scope, make_machine: Callable[..., Machine]) -> None:
        self.scope = scope
        self.make_machine = make_machine
        self.expander = Expander(scope, make_machine, lockstep=False, invariants=False, follow=True)
        self.numbers: dict[bytes, int] = {}
        self.order: list[bytes] = []
        self.ways: list[tuple[int, int]] = []  # by state: the one before, the code of the call
        self.edges: list[list[Child]] = []
        self.seconds = {
            op.code for op in self.expander.ops if op.call.op == "tick" and op.call.args[0] > NOW
        }  # the calls by which time passes with a tick
        self.result = LivenessResult(scope, HOLDS, 0, 0)
        self.broken: Counterexample | None = None

    def run(self, states_max: int | None) -> LivenessResult:
        """Explore, then look for each kind of lasso."""
        result = self.result
        self._add(self.expander.root(), 0, 0)
        while len(self.edges) < len(self.order):
            if states_max is not None and len(self.order) > states_max:
                result.why = f"more than {states_max} states are known"
                break
            index = len(self.edges)
            expansion = self.expander.expand(self.order[index])
            self.edges.append(expansion.children)
            result.transitions += len(expansion.children)
            if expansion.fault is not None:
                self._hidden(index, expansion.fault.code, expansion.fault.text)
                break
            for child in expansion.children:
                if child.key not in self.numbers:
                    self._add(child.key, index, child.code)
        result.states = len(self.order)
        searches = (self._each_tick, self._each_promise, self._each_worker)
        if self.broken is None and not result.why:
            any(search() for search in searches)  # up to the first that finds a lasso
        result.counterexample = self.broken
        if self.broken is not None:
            result.verdict = VIOLATED
        elif result.why:
            result.verdict = UNDETERMINED
        return result

    def _add(self, key: bytes, before: int, code: int) -> None:
        self.numbers[key] = len(self.order)
        self.order.append(key)
        self.ways.append((before, code))

    # ------------------------------------------------------------------ the promises

    def _each_tick(self) -> bool:
        """L4 and L6 need no loop: a single call breaks them."""
        most = 3 * max(self.scope.jobs, 1)
        for index, children in enumerate(self.edges):
            for child in children:
                call = self.expander.ops[child.code].call
                if child.moves > most:
                    found = f"{call.op} made {child.moves} transitions"
                    return self._break("every_call_ends", index, [child], found=found, loop=False)
                if call.op == "tick" or self.scope.settled:
                    pair = _standing(self.expander.keys.description(child.key))
                    if pair:
                        name = "no_job_waits_beside_a_waiting_client"
                        return self._break(name, index, [child], found=pair, loop=False)
        for key in self.order:
            described = self.expander.keys.description(key)
            self.result.open_promises["every_call_ends"] += 1
            self.result.open_promises["no_job_waits_beside_a_waiting_client"] += any(c.place for c in described.clients)
        return False

    def _each_promise(self) -> bool:
        """L1, L2, L3 and L5: a loop in which seconds pass and the promise stays open."""
        for name, opened in _OPEN.items():
            graph = self._graph(opened)
            self.result.open_promises[name] = graph.number_of_nodes()
            for component in nx.strongly_connected_components(graph):
                inside = graph.subgraph(component)
                passing = next(((u, v) for u, v, d in inside.edges(data=True) if d["seconds"] is not None), None)
                if passing is None:
                    continue
                first, second = passing
                back = nx.shortest_path(inside, second, first)
                loop = [inside.edges[first, second]["seconds"]]
                loop += [inside.edges[u, v]["child"] for u, v in itertools.pairwise(back)]
                whom = f"job {first[1]}" if isinstance(first[1], int) else first[1]
                passed = sum(child.code in self.seconds for child in loop)
                found = f"it is still open for {whom} after {passed} more seconds, and so on for ever"
                return self._break(name, first[0], loop, found=found, loop=True)
        return False

    def _graph(self, opened: Callable[[Description], Iterable[Any]]) -> nx.DiGraph[Key]:
        """States with an open promise, and the calls that leave it open."""
        graph: nx.DiGraph[Key] = nx.DiGraph()
        is_open = [set(opened(self.expander.keys.description(key))) for key in self.order]
        for index, whom in enumerate(is_open):
            graph.add_nodes_from((index, each) for each in whom)
            if not whom:
                continue
            for child in self.edges[index]:
                target = self.numbers[child.key]
                op = self.expander.ops[child.code]
                renewed = {place for place, edge in child.arrivals if op.call.op != "tick" or edge in _BY_TICK}
                for place, old in enumerate(child.jobs, 1):
                    if old in whom and place in is_open[target] and place not in renewed:
                        self._link(graph, (index, old), (target, place), child)
                for name in whom:
                    if isinstance(name, str) and name in is_open[target] and not _renews(op.call, name):
                        self._link(graph, (index, name), (target, name), child)
        return graph

    def _link(self, graph: nx.DiGraph[Key], source: Key, target: Key, child: Child) -> None:
        if graph.has_edge(source, target):
            edge = graph.edges[source, target]
            if edge["seconds"] is None and child.code in self.seconds:
                edge["seconds"] = child
        else:
            graph.add_edge(source, target, child=child, seconds=child if child.code in self.seconds else None)

    def _each_worker(self) -> bool:
        """L7: from every state, with one worker alone, follow its one history until all is served or it repeats."""
        name = "a_live_worker_serves_all"
        served: set[int] = set()
        for index in range(len(self.order)):
            self.result.open_promises[name] += 1
            path: list[Child] = []
            seen: dict[int, int] = {}
            at = index
            while at not in served and _unserved(self.expander.keys.description(self.order[at])):
                if at in seen:
                    prefix, loop = path[: seen[at]], path[seen[at] :]
                    left = _unserved(self.expander.keys.description(self.order[at]))
                    return self._break(name, index, prefix + loop, found=left, loop=True, prefix=len(prefix))
                seen[at] = len(path)
                child = self._next_of_worker(at)
                if child is None:
                    break  # the world has no such calls
                path.append(child)
                at = self.numbers[child.key]
            served.update(seen)
        return False

    def _next_of_worker(self, index: int) -> Child | None:
        """What the last client does when it alone goes on: delete, ask for all tubes, wait."""
        described = self.expander.keys.description(self.order[index])
        worker = self.scope.client_names[-1]
        held = [part.id for part in described.jobs if part.owner == worker]
        waits = next((part.waits_on for part in described.clients if part.id == worker and part.place), ())
        owed = any(client == worker for client, _ in described.owed)
        everything = self.scope.watch_lists[-1]

        def fits(call: Call) -> bool:
            if held:
                return call.op == "delete" and call.args == (held[0], worker)
            if waits and waits != everything:
                return call.op == "cancel_reservation" and call.args == (worker,)
            if not waits and not owed:
                asks = call.op == "append_reservation" and call.args[1] == worker
                return asks and call.kwargs["tubes"] == everything and call.kwargs["deadline_at"] is None
            return call.op == "tick" and call.args[0] > NOW

        children = self.edges[index]
        found = next((child for child in children if fits(self.expander.ops[child.code].call)), None)
        if found is None:  # where a tick is due before a second may pass
            ticks = (child for child in children if self.expander.ops[child.code].call.op == "tick")
            found = next(ticks, None)
        return found

    # ------------------------------------------------------------------ the lasso

    def _break(self, name: str, index: int, children: list[Child], *, found: str, loop: bool, prefix: int = 0) -> bool:
        """Write the calls to a state and those that follow as a counterexample."""
        machine = self.make_machine()
        codes = [*self._way(index), *(child.code for child in children)]
        calls = self._made(machine, codes)
        start = len(codes) - len(children) + prefix
        promise = PROMISES[name]
        finding = Finding(name, promise.clause, promise.sentence, "it comes to an end", found, len(calls) - 1)
        self.broken = Counterexample(tuple(calls), finding, loop_start=start if loop else None)
        return True

    def _way(self, index: int) -> list[int]:
        codes = []
        while index:
            index, code = self.ways[index]
            codes.append(code)
        return codes[::-1]

    def _made(self, machine: Machine, codes: Iterable[int]) -> list[Call]:
        calls = []
        for code in codes:
            call = self.expander.real(self.expander.ops[code].call, machine)
            calls.append(call)
            with suppress(Exception):
                getattr(machine, call.op)(*call.args, **call.kwargs)
        return calls

    def _hidden(self, index: int, code: int, text: str) -> None:
        """A call left the machine in a state that its key doesn't tell: go on with it alone, seconds passing."""
        machine = self.make_machine()
        calls = self._made(machine, [*self._way(index), *([code] if code != IN_STATE else [])])
        start = len(calls)
        overdue: list[str] = []
        for _ in range(_SECONDS_MAX):
            with suppress(Exception):
                machine.tick(machine.clock + 1)
            overdue = list(_overdue(machine))
        if not overdue:  # nothing that was promised is broken, but the call is wrong, or the state
            codes = [*self._way(index), *([code] if code != IN_STATE else [])]
            self.broken = counterexample(self.expander, codes, text)
            return
        from models.calls import Call as Made

        name, found = overdue[0].split(": ", 1)
        calls.append(Made("tick", (machine.clock - _SECONDS_MAX + 1,)))
        promise = PROMISES[name]
        finding = Finding(name, promise.clause, promise.sentence, "it comes to an end", found, start)
        self.broken = Counterexample(tuple(calls), finding, loop_start=start)


_BY_TICK: Final = {code for edge, code in EDGE_CODES.items() if edge.trigger is Trigger.RESERVE}
"""The edges by which a tick may begin a promise anew: another client's reservation."""

_SECONDS_MAX: Final = 250
"""How long a machine is followed whose state is not what it seems: longer than any duration of a scope."""


def _overdue(machine: Machine) -> Iterator[str]:
    """What is long overdue right after a tick."""
    snapshot = machine.snapshot()
    clock = machine.clock
    for record in snapshot.snapshot_jobs():
        job = record.job
        if job.state is JobState.RESERVED and job.expires_at < clock:
            late = clock - job.expires_at
            yield f"a_reserved_job_is_left_by_its_deadline: job {job.id} is reserved {late} s past its expiry"
        if job.state is JobState.DELAYED and job.ready_at < clock:
            yield f"a_delay_ends: job {job.id} is delayed {clock - job.ready_at} s past its delay"
    for client in snapshot.snapshot_clients():
        if client.is_waiting and client.deadline_at is not None and client.deadline_at < clock:
            late = clock - client.deadline_at
            yield f"a_wait_with_a_deadline_is_answered: client {client.client_id} waits {late} s past its deadline"
    unpaused = {tube.name for tube in snapshot.header().tubes if tube.pause_ends_at is None}
    ready = {record.job.tube for record in snapshot.snapshot_jobs() if record.job.state is JobState.READY}
    for client in snapshot.snapshot_clients():
        if client.is_waiting and ready & unpaused & set(client.watched_tubes):
            yield f"no_job_waits_beside_a_waiting_client: client {client.client_id} waits beside a ready job for ever"
    for tube in snapshot.header().tubes:
        if tube.pause_ends_at is not None and tube.pause_ends_at < clock:
            yield f"a_pause_ends: tube {tube.name} is paused {clock - tube.pause_ends_at} s past its pause"


def _reserved(described: Description) -> Iterator[int]:
    return (part.id for part in described.jobs if part.state is JobState.RESERVED)


def _delayed(described: Description) -> Iterator[int]:
    return (part.id for part in described.jobs if part.state is JobState.DELAYED)


def _waiting(described: Description) -> Iterator[str]:
    return (part.id for part in described.clients if part.place and part.deadline_at is not None)


def _paused(described: Description) -> Iterator[str]:
    return (f"tube {name}" for name, ends_at in described.tubes if ends_at is not None)


_OPEN: Final[Mapping[str, Callable[[Any], Iterable[Any]]]] = MappingProxyType(
    {
        "a_reserved_job_is_left_by_its_deadline": _reserved,
        "a_delay_ends": _delayed,
        "a_wait_with_a_deadline_is_answered": _waiting,
        "a_pause_ends": _paused,
    }
)
"""To whom a promise is open in a state."""


def _renews(call: Call, name: str) -> bool:
    """Whether a call makes a promise anew: a pause in place of a running one, another wait."""
    if call.op == "pause_tube":
        return name == f"tube {call.args[1]}"
    return call.op in ("append_reservation", "cancel_reservation", "close_client") and name in call.args


def _standing(described: Description) -> str:
    """A ready job beside a client that waits for it; empty if there is none."""
    paused = {name for name, ends_at in described.tubes if ends_at is not None}
    for part in described.jobs:
        if part.state is JobState.READY and part.tube not in paused:
            for client in described.clients:
                if client.place and part.tube in client.waits_on:
                    return f"job {part.id} is ready and client {client.id} waits on {part.tube}"
    return ""


def _unserved(described: Description) -> str:
    """The jobs that are not buried, in words; empty if there are none."""
    left = [f"job {part.id} is {part.state}" for part in described.jobs if part.state is not JobState.BURIED]
    return ", ".join(left)
