"""Makes every call of a scope on one state after the other, and says what came of it.

An `Expander` owns one machine. It gives back plain values, so that several can work side by side in processes of
their own; nothing is remembered from state to state but plans of which calls are made on states of one shape.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jsm.containers import containers_agree
from jsm.errors import JsmError
from jsm.image import Image, body_of, load, request_of, restart
from jsm.relative_key import NOW
from jsm.states import JobState
from jsm.transitions import Transition
from models.calls import Call
from models.check_result import EDGE_CODES, Refusal
from models.edge_checks import EdgeChecks, EdgeFault
from models.named_calls import RELOAD, named, unnamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jsm.image import Description
    from jsm.machine import Machine
    from jsm.records import TransitionRecord
    from models.scope import Scope

_child = tuple.__new__  # half the price of calling a named tuple's class

_MOVING: Final = frozenset(
    (
        *("put", "delete", "release", "release_with", "touch", "bury", "kick", "kick_n", "reserve_job"),
        *("append_reservation", "cancel_reservation", "tick"),
    )
)
"""The operations that change nothing but jobs and waits, unless time passes."""

IN_STATE: Final = -1
"""The code of a fault that a state shows before any call is made on it."""


class Fault(NamedTuple):
    """A call is wrong, or a state is."""

    code: int  # of the call; `IN_STATE`
    text: str


class Child(NamedTuple):
    """What an accepted call led to."""

    code: int  # of the call
    key: bytes
    arrivals: tuple[tuple[int, int], ...] = ()  # for each job that moved and is still there: its place, its last edge
    jobs: tuple[int, ...] = ()  # by place in the new state: the place in the old one; a new job has the one after all
    moves: int = 0  # transitions of the call


class Expansion(NamedTuple):
    """Everything that calls on one state came to, up to the first fault."""

    children: list[Child]
    departures: tuple[int, ...]  # by job: the edges by which it left the state, as bits
    edges: Counter[int]  # by code, all of all calls
    pairs: set[tuple[int, int]]  # edges that followed one another on a job within a call
    fired: Counter[str]  # accepted calls by operation
    refusals: Counter[Refusal]
    fault: Fault | None


class Op(NamedTuple):
    """A call, ready to be made on the machine."""

    code: int
    call: Call
    run: Callable[[], Any]
    job: int  # 0: it names none
    client: str
    passes: bool  # time passes
    moves: bool  # nothing but jobs and waits changes, unless time passes


class _Records(list["TransitionRecord"]):
    """An observer that keeps the transitions."""

    transition = list.append


class Expander:
    """One machine that is put into states and called."""

    def __init__(
        self,
        scope: Scope,
        make_machine: Callable[..., Machine],
        *,
        lockstep: bool,
        invariants: bool,
        follow: bool = False,
    ) -> None:
        """`follow`: say of each call's jobs where they are in the new state, also when nothing is checked."""
        self.scope = scope
        self.make_machine = make_machine
        self.records = _Records()
        self.machine = make_machine(observer=self.records)
        self.keys = scope.keys()
        self.ops = [self._op(code, call) for code, call in enumerate(scope.calls())]
        self._pristine = dict(vars(self.machine)) if hasattr(self.machine, "__dict__") else None
        self._checks: EdgeChecks | None = None
        if lockstep or invariants:
            self._checks = EdgeChecks(self.machine, lockstep=lockstep, invariants=invariants)
        self._follows = follow
        self._plans: dict[Any, list[Op]] = {}

    def root(self) -> bytes:
        """The key of an empty machine."""
        return self.keys.of(self.make_machine())

    def expand(self, key: bytes) -> Expansion:
        """Make every call on a state; stop at the first that is wrong."""
        found = Expansion([], (), Counter(), set(), Counter(), Counter(), None)
        described = self.keys.description(key)
        leaving = [0] * described.next_job_id
        op: Op | None = None
        try:
            image = self._enter(described)
            plan = self._plan(described)
            if self._checks is None and not self._follows:
                self._race(plan, described, image, found)
                return found
            for op in plan:
                self._call(op, described, image, found, leaving)
        except Exception as error:  # whatever a faulty machine raises
            text = str(error) if isinstance(error, EdgeFault) else repr(error)
            return found._replace(fault=Fault(IN_STATE if op is None else op.code, text))
        return found._replace(departures=tuple(leaving))

    def _enter(self, described: Description) -> Image:
        """Put the machine into a state."""
        if self._pristine is not None:
            own = vars(self.machine)
            own.clear()
            own.update(self._pristine)
        load(self.machine, described, has_past=self._checks is not None)
        if self._checks is not None:
            self._checks.enter(described)
        return Image(self.machine)

    def _call(self, op: Op, described: Description, image: Image, found: Expansion, leaving: list[int]) -> None:
        """Make one call, note what it led to, and put the machine back."""
        records, machine, checks = self.records, self.machine, self._checks
        records.clear()
        try:
            answer = op.run()
        except JsmError as error:
            found.refusals[_cell(op, described, error)] += 1
            if checks is not None:
                checks.refused(op.call, error, image.is_still)
                image.put_back()  # the counters of commands
            return
        call, first = op.call, len(records)
        if self.scope.settled:
            if checks is not None:
                checks.accepted(call, answer, records, None)
            call = Call("tick", (machine.clock,))
            answer = machine.tick(machine.clock)
        found.fired[op.call.op] += 1
        key, names = self.keys.of_names(machine)
        if checks is not None and self.scope.settled:
            checks.accepted(call, answer, records[first:], key, follows=True)
        elif checks is not None:
            checks.accepted(call, answer, records, key)
        elif not containers_agree(machine):
            raise EdgeFault("the containers disagree with the jobs")
        arrivals = self._follow(found, leaving, names.jobs)
        found.children.append(Child(op.code, key, arrivals, tuple(names.jobs), len(records)))
        image.put_back()

    def _race(self, plan: list[Op], described: Description, image: Image, found: Expansion) -> None:
        """Make the calls of a plan and check nothing: the loop that the explorer's speed without checks comes from."""
        records, machine, keys, tick = self.records, self.machine, self.keys, None
        if self.scope.settled:
            tick = machine.tick
        put_back, add, forget, of, after = image.put_back, found.children.append, records.clear, keys.of, keys.after
        before = keys.before(machine)
        for op in plan:
            code, _, run, _, _, passes, moves = op
            forget()
            try:
                run()
            except JsmError as error:
                found.refusals[_cell(op, described, error)] += 1
                continue  # of a refused call only the counters of commands stay, which no key has
            if tick is not None:
                tick(machine.clock)
            key = of(machine) if passes or before is None or not moves else after(machine, before, records)
            add(_child(Child, (code, key, (), (), 0)))
            put_back()
        found.fired.update([self.ops[child.code].call.op for child in found.children])

    def _follow(self, found: Expansion, leaving: list[int], jobs: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Count the edges of a call; by which edge each job left the state, and by which it came to the next."""
        if not self.records:
            return ()
        last: dict[int, int] = {}
        for record in self.records:
            code = EDGE_CODES[Transition(record.source, record.trigger, record.target)]
            found.edges[code] += 1
            if record.job in last:
                found.pairs.add((last[record.job], code))
            elif record.job < len(leaving):
                leaving[record.job] |= 1 << code
            last[record.job] = code
        return tuple((place, last[job]) for place, job in enumerate(jobs, 1) if job in last)

    def _plan(self, described: Description) -> list[Op]:
        """The calls that the scope makes on a state, which depend on its shape only."""
        may_pass = self._may_pass()
        shape = (
            described.next_job_id,
            may_pass,
            tuple([(part.id, part.state, part.owner, part.tube) for part in described.jobs]),
            tuple([(part.id, bool(part.place)) for part in described.clients]),
            tuple(described.owed),
            tuple([name for name, _ in described.tubes]),
        )
        plan = self._plans.get(shape)
        if plan is None:
            made = [op for op in self.ops if self._is_made(op, described, may_pass)]
            plan = self._plans[shape] = list(_without_repetitions(made, described, self.scope))
        return plan

    def _may_pass(self) -> tuple[bool, bool]:
        """Whether a step may pass until a tick, and until another call: everywhere, unless ticks are on time."""
        if self.scope.late:
            return True, True
        due = self.machine.next_tick_at()
        return (True, True) if due is None else (due > NOW, due > NOW + self.scope.step)

    def _is_made(self, op: Op, described: Description, may_pass: tuple[bool, bool]) -> bool:
        name, scope = op.call.op, self.scope
        if op.passes and not may_pass[name != "tick"]:
            return False
        if name == "put":
            put = described.next_job_id - 1
            return len(described.jobs) < scope.jobs if scope.puts is None else put < scope.puts
        if op.job > described.next_job_id:
            return False  # one job that doesn't exist stands for all
        return scope.refusals or _is_possible(op, described, scope)

    def real(self, call: Call, machine: Machine) -> Call:
        """A call on a state of the exploration as a call on the machine that came to that state by itself."""
        _, (jobs, clients) = self.keys.of_names(machine)
        found = named(call)
        assert found is not None  # the scope makes calls that the signatures take
        given = dict(found.args)
        for name, value in found.args.items():
            if name in ("now", "deadline_at") and value is not None:
                given[name] = machine.clock + value - NOW
            elif name == "job_id":
                given[name] = jobs[value - 1] if value <= len(jobs) else machine.snapshot().header().next_job_id
            elif name == "client_id" and value:
                given[name] = clients[self.scope.client_names.index(value)]
                if "request_id" in given:
                    given["request_id"] = request_of(given[name])
            elif name == "body" and value == b"":
                given[name] = body_of(machine.snapshot().header().next_job_id)
        return unnamed(found.with_args(**given))

    def _op(self, code: int, call: Call) -> Op:
        found = named(call)
        given = {} if found is None else found.args
        if call.op == RELOAD:
            run = partial(restart, self.machine, partial(self.make_machine, observer=self.records))
        else:
            run = partial(getattr(self.machine, call.op), *call.args, **call.kwargs)
        passes = type(given.get("now")) is int and given["now"] > NOW
        return Op(code, call, run, given.get("job_id", 0), given.get("client_id", ""), passes, call.op in _MOVING)


def _cell(op: Op, described: Description, error: JsmError) -> Refusal:
    """The cell of a refusal: the state of the job that the call names, and whose it is."""
    state, by = "-", "-"
    if op.job:
        part = next((part for part in described.jobs if part.id == op.job), None)
        state = "missing" if part is None else str(part.state)
        if part is not None and part.owner is not None and op.client:
            by = "owner" if part.owner == op.client else "other"
    return Refusal(state, op.call.op, by, str(error.refusal))


def _without_repetitions(ops: Iterable[Op], described: Description, scope: Scope) -> Iterator[Op]:
    """Calls that are to be refused but once each, whatever priority, delay or deadline they name."""
    seen = set()
    live = {part.id for part in described.jobs}
    for op in ops:
        name = op.call.op
        if (op.job or name == "append_reservation") and not _is_possible(op, described, scope):
            call: tuple[object, ...] = (name, op.job, op.client)
            if op.passes:
                call = (name,)  # a step later, one of each operation will do
            elif op.job and op.job not in live:
                call = (name, op.job)  # whoever asks for it
            if call in seen:
                continue
            seen.add(call)
        yield op


def _is_possible(op: Op, described: Description, scope: Scope) -> bool:
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
    return name in ("put", "tick", "reload") or free
