"""One random walk: one real machine beside the specification, from an empty world through a long history.

The machine is never rebuilt from a key, so its heaps keep their stale keys, its counters and ids grow, as in
production. After every step are compared: how the call ended, its records, the clock, the counts, the next tick. The
dear checks (`DEEP`) are made after a random sample of the steps and after the last; what they look at doesn't heal by
itself, so a fault that is there stays there until one of them sees it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jsm.containers import containers_agree
from jsm.errors import InvariantViolation, JsmError
from jsm.snapshot_codec import encode_snapshot, restore_snapshot
from jsm.transitions import Transition
from models.calls import Call, plain, run_spec, state_of_machine, state_of_spec
from models.check_result import EDGE_CODES, Coverage, Refusal
from models.differing import narrowed
from models.finding import CRASH, Finding
from models.invariants import check_looks, check_state, check_step
from models.named_calls import RELOAD, named
from models.picture import Picture, looks_of, picture_of
from models.spec import Spec
from models.spec_world import Refused
from models.walks_choice import Chooser, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from jsm.machine import Machine
    from jsm.records import TransitionRecord
    from models.scope import Scope
    from models.spec_world import Record

STATE: Final = "state"
CONTAINERS: Final = "containers"
INVARIANTS: Final = "invariants"
LOOKS: Final = "looks"
DEEP: Final = (STATE, CONTAINERS, INVARIANTS, LOOKS)
"""The dear checks: the snapshot against the specification's world, the containers inside the machine against a
recount, the invariants of the step and of the state, every view and statistic."""

_SAMPLED: Final = ((LOOKS, 0.005), (INVARIANTS, 0.1), (STATE, 0.2), (CONTAINERS, 0.25))
"""After which share of the steps each is made."""

CONTAINERS_AGREE: Final = "containers_agree_with_the_jobs"


class Stumble(Exception):
    """A step showed a fault."""

    def __init__(self, finding: Finding, by: tuple[str, ...]) -> None:
        super().__init__(finding.name)
        self.finding = finding
        self.by = by  # the dear check that saw it; empty: what is compared after every step


class Cut(list["Record"]):
    """The specification's records without those that were compared already; its length counts them all the same."""

    gone = 0

    def __len__(self) -> int:
        return self.gone + super().__len__()

    def take(self) -> list[tuple[Any, ...]]:
        """The records since the last time, as plain tuples."""
        taken = [tuple(record) for record in self]
        self.gone += len(taken)
        self.clear()
        return taken


class Walker:
    """A machine and a specification that take the same steps."""

    def __init__(
        self, scope: Scope, make_machine: Callable[..., Machine], steps: Steps, *, units_per_second: int = 1
    ) -> None:
        self.scope = scope
        self.steps = steps
        self.records: list[TransitionRecord] = []
        self.calls: list[Call] | None = None  # those that were made, if anybody wants them
        self._settings = {"units_per_second": units_per_second}
        self._make_machine = make_machine
        self.begin()

    def begin(self) -> None:
        """Begin anew with an empty machine."""
        self.due: int | None = None  # when a tick would do something
        self.spec = Spec(**self._settings)
        self._cut = Cut()
        self.spec.records = self._cut
        self.records.clear()
        self.made = 0
        self._by: tuple[str, ...] = ()
        self.machine = self.guarded("start", self._new)

    def _new(self) -> Machine:
        return self._make_machine(**self._settings, observer=self)

    def transition(self, record: TransitionRecord) -> None:
        """Note what the machine says that happened."""
        self.records.append(record)

    def step(self, code: int, deep: Collection[str]) -> str | None:
        """Take a step; the category, if it was refused. Raises `Stumble`, whatever a faulty machine does."""
        call = self.steps.real(code, self.spec)
        refused = self.make(call, deep)
        if self.scope.settled and call.op not in ("tick", RELOAD) and refused is None:
            records = self.records[:]
            self.make(Call("tick", (self.spec.clock,)), deep)
            self.records[:0] = records
        return refused

    def make(self, call: Call, deep: Collection[str]) -> str | None:
        """Make a call on both and compare; the category, if both refused it. Raises `Stumble`."""
        self.made += 1
        if self.calls is not None:
            self.calls.append(call)
        self._by = (INVARIANTS,) if INVARIANTS in deep else ()
        before = self.guarded("look", lambda: picture_of(self.machine)) if INVARIANTS in deep else None
        self.records.clear()
        self._by = ()
        if call.op == RELOAD:
            self.guarded(RELOAD, self._reload)
            outcome: dict[str, Any] = {"ok": None}
        else:
            outcome = self._outcome(call)
        self.guarded("look", lambda: self._look(call, outcome, before, deep))
        return outcome.get("refused")

    def _outcome(self, call: Call) -> dict[str, Any]:
        """How a call ended on both. Raises `Stumble` where it ended differently."""
        try:
            expected: dict[str, Any] = {"ok": run_spec(self.spec, call)}
        except Refused as refusal:
            expected = {"refused": refusal.category}
        try:
            outcome: dict[str, Any] = {"ok": getattr(self.machine, call.op)(*call.args, **call.kwargs)}
            found = {"ok": plain(outcome["ok"])}
        except JsmError as error:
            found = outcome = {"refused": str(error.refusal)}
        except InvariantViolation as violation:  # of a machine that checks itself
            raise self._violation(violation) from None
        except Exception as error:
            raise self._stumble(CRASH, "an answer or a refusal", f"{call.op} raised {error!r}") from None
        self._agree("outcome", found, expected)
        return outcome

    def _reload(self) -> None:
        """Go on with a new machine, by way of the file form of a snapshot."""
        file = b"".join(encode_snapshot(self.machine.snapshot()))
        heir = self._new()
        restore_snapshot(heir.snapshot(), [file])
        self.machine = heir

    def _look(self, call: Call, outcome: dict[str, Any], before: Picture | None, deep: Collection[str]) -> None:
        """Look whether all is as it should be."""
        machine, spec = self.machine, self.spec
        records = self._cut.take()
        if records or self.records:
            self._agree("records", [tuple(record) for record in self.records], records)
        self.due = spec.next_tick_at()
        self._agree("next_tick_at", machine.next_tick_at(), self.due)
        self._agree("state clock", machine.clock, spec.clock)
        if CONTAINERS in deep:
            self._by = (CONTAINERS,)
            if not containers_agree(machine):
                text = "every heap, timer and count is what a recount over jobs and clients gives"
                raise self._stumble(CONTAINERS_AGREE, text, f"after {call.op} one is not")
        if before is not None:
            self._by = (INVARIANTS,)
            after = picture_of(machine)
            check_step(before, call, outcome, self.records, after)
            check_state(after)
        if STATE in deep or call.op == RELOAD:
            self._by = (STATE,)
            worlds = state_of_machine(machine), state_of_spec(spec)
            for part, wanted in worlds[1].items():
                self._agree(f"state {part}", worlds[0][part], wanted)
        if LOOKS in deep:
            self._by = (LOOKS,)
            commands = dict(spec.commands)
            picture = picture_of(machine)
            check_looks(picture, looks_of(machine, picture))
            heir = picture_of(machine).commands  # the looks have counted: the specification counts with them
            spec.commands.update({name: count for name, count in heir.items() if name in commands})

    def guarded(self, what: str, action: Callable[[], Any]) -> Any:
        """Do something; whatever a faulty machine raises is a finding."""
        try:
            return action()
        except Stumble:
            raise
        except InvariantViolation as violation:
            raise self._violation(violation) from None
        except Exception as error:
            raise self._stumble(CRASH, "no exception", f"a {what} raised {error!r}") from None

    def _agree(self, what: str, machine: Any, spec: Any) -> None:
        if machine != spec:
            found = narrowed(what, machine, spec)
            raise self._stumble(f"lock-step {what}", found.spec, found.machine)

    def _violation(self, violation: InvariantViolation) -> Stumble:
        found = str(violation).removeprefix(f"{violation.name}: ")
        return self._stumble(violation.name, "the invariant holds", found)

    def _stumble(self, name: str, expected: str, found: str) -> Stumble:
        clause, text = _TEXTS.get(name, ("", "Machine and specification agree, and every invariant holds"))
        return Stumble(Finding(name, clause, text, expected, found, self.made - 1), self._by)


_TEXTS: Final = {
    CONTAINERS_AGREE: ("S1", "Every container inside the machine holds exactly the jobs and clients that belong there"),
    CRASH: ("", "A call returns an answer or is refused; it raises nothing else"),
}


class Fault(NamedTuple):
    """What a walk stumbled over: the steps since the machine was empty, and what the last one showed."""

    steps: bytes  # an `array("L")`
    finding: Finding
    by: tuple[str, ...]  # the dear check that saw it; empty: what is compared after every step


@dataclass(slots=True)
class Walked:
    """What one walk came to."""

    index: int
    accepted: int = 0
    steps: int = 0
    lives: int = 1  # how often it began with an empty machine
    checked: Counter[str] = field(default_factory=Counter)  # steps by dear check
    coverage: Coverage = field(default_factory=Coverage)
    states: bytes = b""  # fingerprints of the states that it visited, an `array("Q")`
    edges: bytes = b""  # of the pairs of states that followed one another
    fault: Fault | None = None


class Trip(NamedTuple):
    """The settings of all walks of a check."""

    scope: Scope
    make_machine: Callable[..., Machine]
    seed: int
    steps: int


def run_walk(trip: Trip, index: int) -> Walked:
    """Walk number `index`: it depends on the scope, the seed and the number alone. O(steps × live)."""
    return _Walk(trip, index).run()


def fingerprint(*parts: bytes) -> int:
    """64 bits of a state's key, or of two that follow one another."""
    return int.from_bytes(blake2b(b"".join(parts), digest_size=8).digest())


class _Walk:
    """One walk."""

    def __init__(self, trip: Trip, index: int) -> None:
        seed = int.from_bytes(sha256(f"walk {index} of seed {trip.seed}".encode()).digest())
        self._trip = trip
        self._sampler = Random(seed + 1)  # which steps are looked at closely changes nothing about the walk
        self._walked = Walked(index)
        self._steps = Steps(trip.scope)
        self._chooser = Chooser(trip.scope, self._steps, Random(seed))
        self._keys = trip.scope.keys()
        self._history = array("L")
        self._last: dict[int, int] = {}  # by live job: the edge by which it came to where it is
        self._about = [_about(call) for call in self._steps.calls]
        self._edges: list[int] = [0] * len(EDGE_CODES)

    def run(self) -> Walked:
        """Take all steps, or those up to the first fault."""
        walked, trip = self._walked, self._trip
        states: set[int] = set()
        edges: set[int] = set()
        deep: Collection[str] = DEEP
        try:
            walker = Walker(trip.scope, trip.make_machine, self._steps)
            key = self._keys.of(walker.machine)
            self._state = fingerprint(key)
            states.add(self._state)
            for place in range(trip.steps):
                deep = DEEP if place + 1 == trip.steps else self._deep()
                accepted = self._step(walker, deep)
                before, key = key, walker.guarded("look", lambda: self._keys.of(walker.machine))
                self._state = fingerprint(key)
                states.add(self._state)
                if accepted:
                    edges.add(fingerprint(before, key))
                if self._is_over(walker):
                    walker.begin()
                    walked.lives += 1
                    self._history = array("L")
                    self._last.clear()
                    key = self._keys.of(walker.machine)
        except Stumble as stumble:
            walked.fault = Fault(self._history.tobytes(), stumble.finding, stumble.by)
        walked.states = array("Q", sorted(states)).tobytes()
        walked.edges = array("Q", sorted(edges)).tobytes()
        for edge, code in EDGE_CODES.items():
            walked.coverage.edges[edge] = self._edges[code]
        return walked

    def _deep(self) -> list[str]:
        """Which dear checks follow on the next step."""
        draw = self._sampler.random()
        return [part for part, share in _SAMPLED if draw < share]

    def _is_over(self, walker: Walker) -> bool:
        """Whether nothing can happen any more: in worlds of so many puts in all."""
        puts = self._trip.scope.puts
        return puts is not None and walker.spec.next_job_id > puts and not walker.spec.jobs

    def _step(self, walker: Walker, deep: Collection[str]) -> bool:
        """Choose a step, take it, and note what it has met; whether it was accepted."""
        walked, spec = self._walked, walker.spec
        code = self._chooser.next(spec, walker.due, self._state)
        self._history.append(code)
        walked.steps += 1
        walked.checked.update(deep)
        cell = self._cell(code, spec)
        refused = walker.step(code, deep)
        if refused is not None:
            walked.coverage.refusals[Refusal(*cell, refused)] += 1
            return False
        walked.accepted += 1
        walked.coverage.fired[self._steps.calls[code].op] += 1
        if walker.records:
            self._follow(walker.records)
        return True

    def _cell(self, code: int, spec: Spec) -> tuple[str, str, str]:
        """The cell of a refusal, should it be one: the state of the job, the operation, whose the job is."""
        op, place, client = self._about[code]
        if not place:
            return "-", op, "-"
        if place > len(spec.jobs):
            return "missing", op, "-"
        job = list(spec.jobs.values())[place - 1]
        if job.reserved_by is None or not client:
            return job.state, op, "-"
        return job.state, op, "owner" if job.reserved_by == client else "other"

    def _follow(self, records: Sequence[TransitionRecord]) -> None:
        """Count the edges of a step, and the pairs of edges that follow one another on a job."""
        last, pairs = self._last, self._walked.coverage.edge_pairs
        for record in records:
            code = EDGE_CODES[Transition(record.source, record.trigger, record.target)]
            self._edges[code] += 1
            if record.job in last:
                pairs.add((last[record.job], code))
            last[record.job] = code
            if record.target == "deleted":
                del last[record.job]


def _about(call: Call) -> tuple[str, int, str]:
    """The operation, the place of the job that it names (0: none), the client that it names."""
    found = named(call)
    given = {} if found is None else found.args
    return call.op, given.get("job_id", 0), given.get("client_id", "")
