"""Visits every state of a bounded world over the real machine, breadth first, and checks every call in each.

A state is a key (`jsm.relative_key`): time and names are relative, so a world with unlimited puts and unlimited time is
finite. The machine is put into a state, everything that can be called is called, and after each call the machine is
put back; new keys join the queue. When the queue is empty, every history of any length has been looked at: what holds
on every edge holds for all of them.

Sound for the machine as it is between calls. Outside the key, and therefore only as each state is first made from its
key: the layout of heaps and their stale keys (`tests/test_heap.py` and the random walks have those), counters, ids.

Source of the symmetry of clients: E. A. Emerson and A. P. Sistla, "Symmetry and model checking", Formal Methods in
System Design 9 (1996) 105-131.
"""

from __future__ import annotations

from array import array
from contextlib import suppress
from functools import partial
from sys import getsizeof
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from jsm.errors import JsmError
from jsm.image import Image, load
from jsm.machine import Machine
from jsm.relative_key import NOW
from jsm.states import JobState
from jsm.transitions import Transition
from models.calls import Call
from models.check_result import EDGE_CODES, HOLDS, UNDETERMINED, VIOLATED, Bounds, CheckResult, Coverage, Refusal
from models.edge_checks import EdgeChecks, EdgeFault
from models.finding import Counterexample, Finding, find_fault
from models.named_calls import named, unnamed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jsm.image import Description
    from jsm.records import TransitionRecord
    from models.scope import Scope


class _Fault(Exception):
    """The call with this code is wrong; -1: the state is, before any call."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Op(NamedTuple):
    """A call, ready to be made on the machine."""

    code: int
    call: Call
    run: Callable[[], Any]
    job: int  # 0: it names none
    client: str


def explore(
    scope: Scope,
    *,
    make_machine: Callable[..., Machine] = Machine,
    lockstep: bool = True,
    invariants: bool = True,
    bounds: Bounds | None = None,
    allow_unfired: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> CheckResult:
    """Visit all states of the scope. O(states × calls).

    Each call is checked in lock-step with the specification and by the invariants unless those are off. `progress` is
    told the states that are done and those that are known, now and then. The verdict is `holds`, `violated` (a
    counterexample shows why, or an operation never fired and is not among `allow_unfired`), or `undetermined`.
    """
    search = _Search(scope, make_machine, lockstep=lockstep, invariants=invariants)
    return search.run(bounds or Bounds(), tuple(allow_unfired), progress)


class _Search:
    """One exploration."""

    def __init__(self, scope: Scope, make_machine: Callable[..., Machine], *, lockstep: bool, invariants: bool) -> None:
        self.scope = scope
        self.make_machine = make_machine
        self.records: list[TransitionRecord] = []
        self.machine = make_machine(observer=self)
        self.pristine = dict(vars(self.machine)) if hasattr(self.machine, "__dict__") else None
        self.keys = scope.keys()
        self.checks = (
            EdgeChecks(self.machine, lockstep=lockstep, invariants=invariants) if lockstep or invariants else None
        )
        self.coverage = Coverage()
        self.ops = [self._op(code, call) for code, call in enumerate(scope.calls())]
        self.tick = self.machine.tick
        self.plans: dict[Any, list[_Op]] = {}
        self.seen: dict[bytes, int] = {}
        self.order: list[bytes] = []
        self.parents = array("L")
        self.codes = array("H")
        self.depths = array("H")
        self.transitions = self.refused = 0
        # by state and job, as bits of edges: by which it came there, until the state is expanded; by which it leaves
        self.arrivals: dict[int, list[int]] = {}
        self.departures: dict[int, tuple[int, ...]] = {}

    def transition(self, record: TransitionRecord) -> None:
        """Note what the machine says that happened."""
        self.records.append(record)

    # ------------------------------------------------------------------ the search

    def run(
        self, bounds: Bounds, allow_unfired: tuple[str, ...], progress: Callable[[int, int], None] | None
    ) -> CheckResult:
        """Explore until nothing is new, a bound is hit, or a call is wrong."""
        began = perf_counter()
        counterexample, why = None, ""
        self._add(self.keys.of(self.machine), 0, 0, 0)
        index = 0
        try:
            while index < len(self.order):
                if index & 255 == 0:
                    why = self._hit(bounds, index, perf_counter() - began)
                    if why:
                        break
                    if progress is not None:
                        progress(index, len(self.order))
                if bounds.depth is not None and self.depths[index] >= bounds.depth:
                    why = f"depth {bounds.depth} was reached"
                    break
                self._expand(index)
                index += 1
        except _Fault as fault:
            counterexample = self._counterexample(index, fault)
        never = tuple(name for name in self.scope.operations if not self.coverage.fired[name])
        if counterexample is not None:
            verdict = VIOLATED
        elif why:
            verdict = UNDETERMINED
        else:
            verdict = VIOLATED if set(never) - set(allow_unfired) else HOLDS
        return CheckResult(
            scope=self.scope,
            verdict=verdict,
            states=len(self.order),
            transitions=self.transitions,
            refused=self.refused,
            depth=max(self.depths, default=0),
            seconds=perf_counter() - began,
            bytes_per_state=self._bytes() / len(self.order),
            coverage=self.coverage,
            never_fired=never,
            counterexample=counterexample,
            why=why,
        )

    def _hit(self, bounds: Bounds, index: int, seconds: float) -> str:
        if bounds.states is not None and len(self.order) > bounds.states:
            return f"more than {bounds.states} states are known, {index} of them done"
        if bounds.seconds is not None and seconds > bounds.seconds:
            return f"{bounds.seconds:g} s have passed with {index} of {len(self.order)} known states done"
        return ""

    def _add(self, key: bytes, parent: int, code: int, depth: int) -> int:
        index = self.seen[key] = len(self.order)
        self.order.append(key)
        self.parents.append(parent)
        self.codes.append(code)
        self.depths.append(depth)
        return index

    def _enter(self, key: bytes) -> Description:
        """Put the machine into a state."""
        described = self.keys.description(key)
        if self.pristine is not None:
            own = vars(self.machine)
            own.clear()
            own.update(self.pristine)
        load(self.machine, described)
        return described

    def _expand(self, index: int) -> None:
        """Make every call on a state; raise `_Fault` at the first that is wrong, with its code as the argument."""
        described = self._enter(self.order[index])
        if self.checks is not None:
            try:
                self.checks.enter(described)
            except EdgeFault as fault:
                raise _Fault(-1, str(fault)) from None
        image = Image(self.machine)
        depth = self.depths[index] + 1
        seen, records, machine, of = self.seen, self.records, self.machine, self.keys.of
        settled, checks, fired = self.scope.settled, self.checks, self.coverage.fired
        leaving = [0] * described.next_job_id
        for op in self._plan(described):
            records.clear()
            try:
                answer = op.run()
            except JsmError as error:
                self._refuse(op, described, error, image)
                continue
            except Exception as error:
                raise _Fault(op.code, repr(error)) from error
            if settled:
                self.tick(machine.clock)
            self.transitions += 1
            fired[op.call.op] += 1
            key = of(machine)
            child = seen.get(key)
            if child is None:
                child = self._add(key, index, op.code, depth)
            if checks is not None:
                try:
                    checks.accepted(op.call, answer, records)
                except EdgeFault as fault:
                    raise _Fault(op.code, str(fault)) from None
                self._cover(child, leaving)
            image.put_back()
        if checks is not None:
            self._leave(index, leaving)

    def _plan(self, described: Description) -> list[_Op]:
        """The calls that the scope makes on a state, which depend on its shape only."""
        shape = (
            described.next_job_id,
            tuple((part.id, part.state, part.owner, part.tube) for part in described.jobs),
            tuple((part.id, bool(part.place)) for part in described.clients),
            tuple(described.owed),
            tuple(name for name, _ in described.tubes),
        ) if not self.scope.refusals else (described.next_job_id, len(described.jobs), self._may_pass())  # fmt: skip
        plan = self.plans.get(shape)
        if plan is None:
            plan = self.plans[shape] = [op for op in self.ops if self._is_made(op, described)]
        return plan

    def _may_pass(self) -> bool:
        """Whether a second may pass now: always where ticks may be late, else only when nothing is due."""
        if self.scope.late:
            return True
        due = self.machine.next_tick_at()
        return due is None or due > self.machine.clock

    def _is_made(self, op: _Op, described: Description) -> bool:
        name, scope = op.call.op, self.scope
        if name == "put":
            put = described.next_job_id - 1
            return len(described.jobs) < scope.jobs if scope.puts is None else put < scope.puts
        if name == "tick" and op.call.args[0] > NOW and not self._may_pass():
            return False
        if op.job > described.next_job_id:
            return False  # one job that doesn't exist stands for all
        return scope.refusals or _is_possible(op, described, scope)

    def _refuse(self, op: _Op, described: Description, error: JsmError, image: Image) -> None:
        self.refused += 1
        state, by = "-", "-"
        if op.job:
            part = next((part for part in described.jobs if part.id == op.job), None)
            state = "missing" if part is None else str(part.state)
            if part is not None and part.owner is not None and op.client:
                by = "owner" if part.owner == op.client else "other"
        self.coverage.refusals[Refusal(state, op.call.op, by, str(error.refusal))] += 1
        if self.checks is not None:
            try:
                self.checks.refused(op.call, error, image.is_still)
            except EdgeFault as fault:
                raise _Fault(op.code, str(fault)) from None
            image.put_back()  # the counters of commands

    # ------------------------------------------------------------------ coverage

    def _cover(self, child: int, leaving: list[int]) -> None:
        """Count the edges of a call, and which edge of a job follows which."""
        if not self.records:
            return
        last: dict[int, int] = {}
        coverage, pairs = self.coverage, self.coverage.edge_pairs
        for record in self.records:
            edge = Transition(record.source, record.trigger, record.target)
            code = EDGE_CODES[edge]
            coverage.edges[edge] += 1
            if record.job in last:
                pairs.add((last[record.job], code))
            elif record.job < len(leaving):
                leaving[record.job] |= 1 << code
            last[record.job] = code
        jobs = self.keys.names(self.machine).jobs
        departures = self.departures.get(child)
        if departures is None:
            arrivals = self.arrivals.setdefault(child, [0] * (len(jobs) + 1))
            for place, job in enumerate(jobs, 1):
                if job in last:
                    arrivals[place] |= 1 << last[job]
            return
        for place, job in enumerate(jobs, 1):
            if job in last:
                self._pair(1 << last[job], departures[place])

    def _leave(self, index: int, leaving: list[int]) -> None:
        """Pair the edges by which jobs came to a state with those by which they left it."""
        self.departures[index] = tuple(leaving)
        for came, left in zip(self.arrivals.pop(index, ()), leaving, strict=False):
            self._pair(came, left)

    def _pair(self, came: int, left: int) -> None:
        if came and left:
            pairs = self.coverage.edge_pairs
            firsts = [code for code in EDGE_CODES.values() if came >> code & 1]
            seconds = [code for code in EDGE_CODES.values() if left >> code & 1]
            pairs.update((first, second) for first in firsts for second in seconds)

    # ------------------------------------------------------------------ the way to a fault

    def _counterexample(self, index: int, fault: _Fault) -> Counterexample:
        """The calls from an empty machine to the fault; the judge of all checks says what it is."""
        machine = self.make_machine()
        calls: list[Call] = []
        way = [fault.code] if fault.code >= 0 else []
        while index:
            way.append(self.codes[index])
            index = self.parents[index]
        for code in reversed(way):
            calls.append(self._real(self.ops[code].call, machine))
            if self.scope.settled:
                calls.append(Call("tick", (machine.clock,)))
            for call in calls[-1 - self.scope.settled :]:
                with suppress(Exception):
                    getattr(machine, call.op)(*call.args, **call.kwargs)
        finding = find_fault(calls, make_machine=self.make_machine)
        if finding is None:
            text = "The machine agrees with the specification, and its containers with its jobs"
            finding = Finding("explored_edge", "S1", text, "agreement", str(fault), len(calls) - 1)
        return Counterexample(tuple(calls[: finding.step + 1]), finding)

    def _real(self, call: Call, machine: Machine) -> Call:
        """A call on a state of the exploration as a call on the machine that came to that state by itself."""
        jobs, clients = self.keys.names(machine)
        found = named(call)
        assert found is not None  # the scope makes calls that the signatures take
        given = dict(found.args)
        for name, value in found.args.items():
            if name in ("now", "deadline_at") and value is not None:
                given[name] = machine.clock + value - NOW
            elif name == "job_id":
                given[name] = jobs[value - 1] if value <= len(jobs) else machine.snapshot().header().next_job_id
            elif name == "client_id":
                given[name] = clients[self.scope.client_names.index(value)]
        return unnamed(found.with_args(**given))

    def _bytes(self) -> int:
        """What the known states take: keys, the table and the queue of them, and the way to each."""
        kept = sum(map(getsizeof, self.order)) + sum(map(getsizeof, self.seen.values()))
        return kept + sum(map(getsizeof, (self.seen, self.order, self.parents, self.codes, self.depths)))

    def _op(self, code: int, call: Call) -> _Op:
        found = named(call)
        given = {} if found is None else found.args
        run = partial(getattr(self.machine, call.op), *call.args, **call.kwargs)
        return _Op(code, call, run, given.get("job_id", 0), given.get("client_id", ""))


def _is_possible(op: _Op, described: Description, scope: Scope) -> bool:
    """Whether the specification accepts a call, for scopes without refusals."""
    name = op.call.op
    waits = {part.id for part in described.clients if part.place}
    free = op.client not in waits or scope.busy_waiters
    if op.job:
        part = next((part for part in described.jobs if part.id == op.job), None)
        if part is None:
            return False
        held = part.state is JobState.RESERVED
        if name == "kick":
            return part.state in (JobState.DELAYED, JobState.BURIED)
        if name == "delete" and not held:
            return op.client == scope.client_names[0]  # whoever it is
        if name == "reserve_job":
            return not held and free
        return held and part.owner == op.client and free
    if name == "append_reservation":
        return op.client not in waits and op.client not in dict(described.owed)
    if name == "cancel_reservation":
        return op.client in waits
    if name in ("kick_n", "pause_tube"):
        tube = op.call.args[0 if name == "kick_n" else 1]
        if name == "pause_tube":
            return tube in dict(described.tubes)
        return any(part.tube == tube and part.state in (JobState.DELAYED, JobState.BURIED) for part in described.jobs)
    return name in ("put", "tick") or free
