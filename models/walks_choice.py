"""What a random walk does next: calls of a scope, most of them calls that the specification accepts.

Of all calls of a scope nearly all are refused or do nothing in the state at hand, so a uniform choice idles. A walk
chooses an operation, then a target that the operation can do something to, then the other arguments. After Groce,
Zhang, Eide, Chen and Regehr, "Swarm testing" (ISSTA 2012), each walk has habits of its own: some operations it never
makes, the others it makes with weights of its own, so that the walks together come to what a single mixture hides.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jsm.image import body_of
from jsm.relative_key import NOW
from models.calls import Call
from models.named_calls import RELOAD, named, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from random import Random

    from models.scope import Scope
    from models.spec import Spec

PASS: Final = "pass"
"""The habit of letting a second pass without a tick, which is no operation of its own."""

_WEIGHTS: Final[Mapping[str, float]] = {
    "put": 6.0,
    "append_reservation": 6.0,
    "reserve_job": 2.0,
    "tick": 6.0,
    PASS: 1.5,
    "delete": 2.0,
    "touch": 1.5,
    "release": 1.5,
    "release_with": 1.5,
    "bury": 1.5,
}
"""How often an operation is made where it can do something, before a walk's own taste; all others: 1."""

_KEPT: Final = 0.7  # the share of the operations that a walk makes
_ALWAYS: Final = ("put", "tick")  # without these nothing happens at all
_WAYS_TO_A_JOB: Final = ("append_reservation", "reserve_job")
_RELOADS: Final = (0.0, 0.0005, 0.005, 0.02)
_MISUSES: Final = (0.01, 0.05, 0.2)
_HASTES: Final = (0.03, 0.2, 1.0)
_AHEADS: Final = (0.0, 0.1, 0.5)
_SPARING: Final = 0.5  # what stays at the top of a heap while others come and go makes stale keys pile up in it
_MOODS: Final = (30, 300, 3000)


class Steps:
    """The calls of a scope by number, and what each is about."""

    def __init__(self, scope: Scope) -> None:
        self.calls = list(scope.calls())
        self.reloads: list[int] = []  # the machine goes on from its own snapshot
        self.passes: list[int] = []  # a second passes without a tick
        self.now: list[int] = []  # ticks at the clock
        self.later: list[int] = []  # ticks a second later
        self.by_target: dict[str, dict[Any, list[int]]] = {}
        self.ahead: dict[str, dict[Any, list[int]]] = {}  # of calls that are made a second later than the last
        self._makers: list[Callable[[Spec], Call]] = []
        for code, call in enumerate(self.calls):
            self._makers.append(_maker(call))
            self._sort_in(code, call)

    def _sort_in(self, code: int, call: Call) -> None:
        """Note what a call is about: a job, a client, a tube, or two of them."""
        if call.op == "kick_n" and "now" in call.kwargs:
            self.passes.append(code)
            return
        if call.op == RELOAD:
            self.reloads.append(code)
            return
        if call.op == "tick":
            (self.later if call.args[0] > NOW else self.now).append(code)
            return
        found = named(call)
        assert found is not None  # the scope makes calls that the signatures take
        given = found.args
        if "job_id" in given and "client_id" in given:
            target: Any = (given["job_id"], given["client_id"])
        elif "job_id" in given or "client_id" in given:
            target = given.get("job_id") or given.get("client_id")
        else:
            target = given.get("tube")
        if call.op in ("use_tube", "watch_tube", "ignore_tube"):
            target = (given["client_id"], given["tube"])
        table = self.ahead if given.get("now", NOW) > NOW else self.by_target
        table.setdefault(call.op, {}).setdefault(target, []).append(code)

    def real(self, code: int, spec: Spec) -> Call:
        """The call on a world that came to its state by itself. O(live jobs)."""
        return self._makers[code](spec)


def _id_at(place: int, spec: Spec) -> int:
    """The id of the job at a place; behind the last: of one that is gone, then of one that never was."""
    ids = list(spec.jobs)
    if place <= len(ids):
        return ids[place - 1]
    gone = ids[0] - 1 if ids else spec.next_job_id - 1
    return gone if gone and place == len(ids) + 1 else spec.next_job_id


def _maker(call: Call) -> Callable[[Spec], Call]:
    """How to write a call for any clock and any ids."""
    if call.op == RELOAD:
        return lambda _: call
    places = list(signature_of(call.op).parameters)
    now_at = places.index("now") if "now" in places[: len(call.args)] else None
    job_at = places.index("job_id") if "job_id" in places[: len(call.args)] else None
    later = {name: call.kwargs[name] - NOW for name in ("now", "deadline_at") if call.kwargs.get(name) is not None}

    def make(spec: Spec) -> Call:
        args = list(call.args)
        if now_at is not None:
            args[now_at] += spec.clock - NOW
        if job_at is not None:
            args[job_at] = _id_at(args[job_at], spec)
        words = call.kwargs
        if later:
            words = {**words, **{name: spec.clock + units for name, units in later.items()}}
        if call.op == "put":  # so that a mix-up of bodies shows
            words = {**words, "body": body_of(spec.next_job_id)}
        return Call(call.op, tuple(args), words)

    return make


class Habits(NamedTuple):
    """What one walk is like."""

    ops: tuple[str, ...]
    weights: tuple[float, ...]  # of the operations
    misuse: float  # the share of calls that are chosen without a look at the state
    haste: float  # the share of ticks thought of that are made where one is due
    punctual: float  # the share of these that come at once
    ahead: float  # the share of the timed calls before which a second has passed
    spares: bool  # whether the oldest job, and the wait of the first client, are left alone


def habits_of(scope: Scope, random: Random) -> Habits:
    """The habits of a walk, drawn at random."""
    ops = [op for op in scope.operations if op != RELOAD and (op in _ALWAYS or random.random() < _KEPT)]
    ways = [op for op in scope.operations if op in _WAYS_TO_A_JOB]
    if ways and not any(op in ways for op in ops):
        ops.append(random.choice(ways))
    if scope.late and "tick" in scope.operations and random.random() < _KEPT:
        ops.append(PASS)
    weights = [_WEIGHTS.get(op, 1.0) * 2 ** random.uniform(-2, 2) for op in ops]
    return Habits(
        tuple(ops),
        tuple(weights),
        random.choice(_MISUSES) if scope.refusals else 0.0,
        random.choice(_HASTES),
        random.uniform(0.3, 1.0),
        random.choice(_AHEADS) if scope.ahead else 0.0,
        random.random() < _SPARING,
    )


class Chooser:
    """Chooses the steps of one walk. The same random numbers and the same world give the same step."""

    def __init__(self, scope: Scope, steps: Steps, random: Random) -> None:
        self._scope = scope
        self._steps = steps
        self._random = random
        self._reload = random.choice(_RELOADS) if steps.reloads else 0.0
        self._mood = random.choice(_MOODS)
        self._taken: dict[tuple[int, int], int] = {}
        self._take_up()

    def _take_up(self) -> None:
        """Take up other habits, and keep them for a while."""
        self.habits = habits_of(self._scope, self._random)
        self._left = self._mood
        self._sums = list(accumulate(self.habits.weights))
        self._misused = [op for op in self.habits.ops if op in self._steps.by_target]

    def next(self, spec: Spec, due: int | None, state: int) -> int:
        """The number of the next step; `due` is when a tick would do something. O(live jobs + clients + tubes).

        Of several that are thought of, it is the one that this walk has taken least often in this `state`.
        """
        self._left -= 1
        if not self._left:
            self._take_up()
        if self._random.random() < self._reload:
            return self._steps.reloads[0]
        taken = self._taken
        best = self._idea(spec, due)
        count = taken.get((state, best), 0)
        for _ in range(_IDEAS - 1):
            if not count:
                break
            code = self._idea(spec, due)
            if taken.get((state, code), 0) < count:
                best, count = code, taken.get((state, code), 0)
        taken[state, best] = count + 1
        return best

    def _idea(self, spec: Spec, due: int | None) -> int:
        """A step that may be worth taking."""
        random = self._random
        if random.random() < self.habits.misuse:
            op = random.choice(self._misused)
            codes = self._anything(op, spec, due)
            if codes:
                return random.choice(codes)
        for _ in range(_TRIES):
            op = random.choices(self.habits.ops, cum_weights=self._sums)[0]
            codes = self._fitting(op, spec, due)
            if codes:
                return random.choice(codes)
        return random.choice(self._ticks(spec, due) or self._steps.now or self._steps.later)

    def _anything(self, op: str, spec: Spec, due: int | None) -> list[int]:
        """The calls of an operation on a target that is chosen blindly; no more than the scope makes here."""
        if op == "put" and not self._has_room(spec):
            return []
        target = self._random.choice(list(self._steps.by_target[op]))
        job = target[0] if isinstance(target, tuple) else target
        return [] if isinstance(job, int) and job > len(spec.jobs) + 2 else self._at(op, target, spec, due)

    def _fitting(self, op: str, spec: Spec, due: int | None) -> list[int]:
        """The calls of an operation on a target to which it can do something; empty: there is none."""
        if op == "put":
            tube = self._random.choice(self._scope.tube_names)
            return self._at(op, tube, spec, due) if self._has_room(spec) else []
        if op == "tick":
            waits = due is not None and due <= spec.clock and self._random.random() > self.habits.haste
            return [] if waits else self._ticks(spec, due)
        if op == PASS:
            return self._steps.passes
        targets = list(_TARGETS[op](self._scope, spec))
        if self.habits.spares:
            targets = self._spared(op, targets, spec)
        return self._at(op, self._random.choice(targets), spec, due) if targets else []

    def _spared(self, op: str, targets: list[Any], spec: Spec) -> list[Any]:
        """The targets but for the oldest job, its tube where jobs are kicked, and the first client's wait."""
        if op == "kick_n":
            oldest = next(iter(spec.jobs.values()), None)
            return [tube for tube in targets if oldest is None or tube != oldest.tube]
        if op in ("cancel_reservation", "close_client"):
            return [name for name in targets if name != self._scope.client_names[0]]
        return [target for target in targets if (target[0] if isinstance(target, tuple) else target) != 1]

    def _at(self, op: str, target: Any, spec: Spec, due: int | None) -> list[int]:
        """The calls of an operation on a target: those at once, or those before which a second passes."""
        table = self._steps.by_target
        if op in self._steps.ahead and self._random.random() < self.habits.ahead:
            may_pass = self._scope.late or due is None or due > spec.clock + self._scope.step
            table = self._steps.ahead if may_pass else table
        return table[op].get(target, [])

    def _has_room(self, spec: Spec) -> bool:
        scope = self._scope
        return len(spec.jobs) < scope.jobs if scope.puts is None else spec.next_job_id <= scope.puts

    def _ticks(self, spec: Spec, due: int | None) -> list[int]:
        """A tick at once, mostly where one is due, or a second later, where the scope lets it pass."""
        is_due = due is not None and due <= spec.clock
        if not is_due:
            return self._steps.later
        at_once = self._steps.now
        if at_once and (not self._scope.late or self._random.random() < self.habits.punctual):
            return at_once
        return self._steps.later if self._scope.late else []


_IDEAS: Final = 3
_TRIES: Final = 20  # operations that are tried before a second passes


def _free(scope: Scope, spec: Spec) -> list[str]:
    """The clients that may do anything."""
    return [name for name in scope.client_names if scope.busy_waiters or not spec.is_waiting(name)]


def _held(scope: Scope, spec: Spec) -> Iterable[tuple[int, str]]:
    """Reserved jobs by place, with their owners."""
    free = _free(scope, spec)
    for place, job in enumerate(spec.jobs.values(), 1):
        if job.state == "reserved" and job.reserved_by in free:
            yield place, job.reserved_by or ""


def _unreserved(scope: Scope, spec: Spec) -> Iterable[tuple[int, str]]:
    free = _free(scope, spec)
    for place, job in enumerate(spec.jobs.values(), 1):
        if job.state != "reserved":
            yield from ((place, name) for name in free)


def _to_delete(scope: Scope, spec: Spec) -> Iterable[tuple[int, str]]:
    """Mostly held jobs: they have come the longest way."""
    yield from [*_held(scope, spec)] * 4
    yield from _unreserved(scope, spec)


def _kickable(scope: Scope, spec: Spec) -> Iterable[int]:
    return (place for place, job in enumerate(spec.jobs.values(), 1) if job.state in ("delayed", "buried"))


def _kickable_tubes(scope: Scope, spec: Spec) -> Iterable[str]:
    return (job.tube for job in spec.jobs.values() if job.state in ("delayed", "buried"))


def _askers(scope: Scope, spec: Spec) -> Iterable[str]:
    return (name for name in scope.client_names if not spec.is_waiting(name) and not spec.is_owed(name))


def _waiters(scope: Scope, spec: Spec) -> Iterable[str]:
    return (wait.client for wait in spec.waiting)


def _tubes(scope: Scope, spec: Spec) -> Iterable[str]:
    return (tube.name for tube in spec.tubes)


def _references(scope: Scope, spec: Spec) -> Iterable[tuple[str, str]]:
    return ((name, tube) for name in _free(scope, spec) for tube in scope.tube_names)


def _watches(scope: Scope, spec: Spec) -> Iterable[tuple[str, str]]:
    for name in _free(scope, spec):
        watches = spec.clients[name].watches if name in spec.clients else ()
        if len(watches) > 1:
            yield from ((name, tube) for tube in watches)


def _known(scope: Scope, spec: Spec) -> Iterable[str]:
    return [name for name in _free(scope, spec) if name in spec.clients]


_TARGETS: Final[Mapping[str, Callable[[Scope, Spec], Iterable[Any]]]] = {
    "delete": _to_delete,
    "release": _held,
    "release_with": _held,
    "touch": _held,
    "bury": _held,
    "kick": _kickable,
    "kick_n": _kickable_tubes,
    "reserve_job": _unreserved,
    "append_reservation": _askers,
    "cancel_reservation": _waiters,
    "pause_tube": _tubes,
    "use_tube": _references,
    "watch_tube": _references,
    "ignore_tube": _watches,
    "close_client": _known,
}
"""To what each operation can do something."""
