"""Looks at every edge of an exploration: the machine beside the specification, and the invariants of the step.

The two have the same state before the call, made from one description, so whatever differs after it comes from this
call. What is compared: the answer or the category of the refusal, the transition records, the whole state as a
snapshot shows it, the counters, the next tick, and the containers inside the machine against a recount.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from jsm.containers import containers_agree
from jsm.errors import InvariantViolation, JsmError
from jsm.image import COUNTERS, Description, body_of, request_of
from jsm.machine import Machine
from jsm.records import TransitionRecord
from jsm.relative_key import NOW
from jsm.statistics import COMMAND_NAMES
from models.calls import Call, plain, run_spec
from models.invariants import check_looks, check_state, check_step, new_tally
from models.named_calls import RELOAD
from models.picture import Looks, Picture, differences, looks_of, picture_of
from models.spec import Spec
from models.spec_world import Answer, Client, Job, Refused, Tube, Wait

if TYPE_CHECKING:
    from models.invariants_rule import Tally


class EdgeFault(Exception):
    """An edge is wrong; the text says in which respect."""


class EdgeChecks:
    """Checks the calls that are made on one state after the other."""

    def __init__(self, machine: Machine, *, lockstep: bool, invariants: bool) -> None:
        self._machine = machine
        self._lockstep = lockstep
        self._invariants = invariants
        self._spec = Spec()
        self._before: Picture | None = None
        self._last: Picture | None = None  # after the last call, and the specification there
        self._twin = self._spec
        self._known: set[bytes] = set()
        self.tally: Tally = new_tally()

    def enter(self, described: Description) -> None:
        """Begin with a state that the machine was just put into, and give it a past. Raises `EdgeFault`."""
        _give_past(self._machine)
        self._before = picture_of(self._machine)
        if self._lockstep:
            self._spec = spec_of(described)
            _compare(self._before, self._spec)

    def accepted(
        self,
        call: Call,
        answer: object,
        records: Sequence[TransitionRecord],
        key: bytes | None,
        *,
        follows: bool = False,
    ) -> None:
        """Check a call that the machine has accepted and that led to the state with the key. Raises `EdgeFault`.

        `follows`: it was made right after the last one that was checked. Without a key, another one will follow.
        """
        before = self._last if follows else self._before
        after = self._last = picture_of(self._machine)
        if not containers_agree(self._machine):
            raise EdgeFault("the containers disagree with the jobs")
        twin = self._twin = self._twin if follows else twin_of(self._spec)
        told = len(twin.records)
        if self._lockstep:
            try:
                expected = None if call.op == RELOAD else run_spec(twin, call)
            except Refused as refused:
                raise EdgeFault(f"the specification refuses it: {refused.category}") from None
            if plain(answer) != expected:
                raise EdgeFault("another answer")
            if [tuple(record) for record in records] != [(_SEQ + seq, *rest) for seq, *rest in twin.records[told:]]:
                raise EdgeFault("other transitions")
            _compare(after, twin)
        if self._invariants:
            assert before is not None  # a state was entered
            self._hold(lambda: check_step(before, call, {"ok": answer}, records, after, self.tally))
        if key is not None and key not in self._known:  # what holds of one state with a key holds of all
            self._known.add(key)
            self._look(after, twin)

    def _look(self, after: Picture, twin: Spec) -> None:
        """Check a state that was not met before, and all that can be seen of it."""
        looks = looks_of(self._machine, after)
        for what, old, new in differences(after, picture_of(self._machine), apart_from=("commands",)):
            raise EdgeFault(f"a look has changed {what} from {old!r} to {new!r}")
        if self._invariants:
            self._hold(lambda: check_state(after, self.tally))
            self._hold(lambda: check_looks(after, looks, self.tally))
        if self._lockstep:
            _compare_looks(looks, twin)

    def refused(self, call: Call, error: JsmError, unchanged: Callable[[], bool]) -> None:
        """Check a call that the machine has refused. Raises `EdgeFault`."""
        if not unchanged():
            raise EdgeFault("a refused call has changed the state")
        if self._lockstep:
            twin = twin_of(self._spec)
            try:
                run_spec(twin, call)
            except Refused as refused:
                if refused.category != str(error.refusal):
                    raise EdgeFault(f"the specification refuses it otherwise: {refused.category}") from None
                commands = self._machine._state.commands
                if commands != twin.commands:
                    raise EdgeFault(f"another state: {_first_difference(commands, twin.commands)}") from None
                return
            raise EdgeFault("the specification accepts it")

    def _hold(self, check: Callable[[], None]) -> None:
        try:
            check()
        except InvariantViolation as violation:
            raise EdgeFault(str(violation)) from None


def _give_past(machine: Machine) -> None:
    """Let all counters and instants that no later call depends on be such that their loss, or a mix-up, shows."""
    state = machine._state
    state.seq = _SEQ
    state.commands = dict(_COMMANDS)
    for tube in state.tubes.values():
        tube.total_jobs += _DELETES
        tube.deletes, tube.pauses = _DELETES, _PAUSES
        if tube.pause_ends_at is not None:
            tube.pause_seconds += _PAUSED
    for job in state.jobs.values():
        job.created_at = job.id
        job.buried_at = _BURIED_AT if job.bury_number else 0  # several at one instant, so that it orders none


_SEQ: Final = 70
_COMMANDS: Final = {name: place for place, name in enumerate(COMMAND_NAMES, 30)}
_DELETES: Final = 6
_PAUSES: Final = 8
_PAUSED: Final = 3  # seconds of a pause that are over
_BURIED_AT: Final = NOW // 2
"""The past of every state that is entered: no two alike, none 0."""


def spec_of(described: Description) -> Spec:
    """The specification in the described state, with the counters of `jsm.image.load` and `_give_past`."""
    spec = Spec()
    spec.clock = described.clock
    spec.next_job_id = described.next_job_id
    spec.total_jobs = described.next_job_id - 1
    spec.commands = dict(_COMMANDS)
    reserves, timeouts, releases, buries, kicks = COUNTERS
    spec.job_timeouts = timeouts * len(described.jobs)
    totals: dict[str, int] = {}
    for part in described.jobs:
        state = str(part.state)
        totals[part.tube] = totals.get(part.tube, 0) + 1
        spec.jobs[part.id] = Job(
            part.id,
            part.tube,
            body_of(part.id),
            part.priority,
            part.delay_seconds,
            part.ttr_seconds,
            state=state,
            created_at=part.id,
            ready_at=part.due if state == "delayed" else 0,
            expires_at=part.due if state == "reserved" else 0,
            buried_at=_BURIED_AT if state == "buried" else 0,
            reserved_by=part.owner,
            reserves=reserves,
            timeouts=timeouts,
            releases=releases,
            buries=buries,
            kicks=kicks,
            bury_number=part.due if state == "buried" else 0,
        )
        if state == "buried":
            spec.next_bury_number = max(spec.next_bury_number, part.due + 1)
    spec.tubes = [
        Tube(
            name,
            0 if ends_at is None else max(ends_at - described.clock, 0) + _PAUSED,
            ends_at,
            totals.get(name, 0) + _DELETES,
            _DELETES,
            _PAUSES,
        )
        for name, ends_at in described.tubes
    ]
    spec.clients = {part.id: Client(part.uses, part.watches) for part in described.clients}
    waiting = sorted((part.place, part) for part in described.clients if part.place)
    spec.waiting = [Wait(part.id, request_of(part.id), part.waits_on, part.deadline_at) for _, part in waiting]
    spec.owed = [Answer(request_of(client), client, "matched", job, body_of(job)) for client, job in described.owed]
    return spec


def twin_of(spec: Spec) -> Spec:
    """A copy that can go its own way: all that a specification holds is immutable but for its lists and dicts."""
    twin = object.__new__(Spec)
    own = twin.__dict__
    own.update(spec.__dict__)
    own["commands"] = dict(spec.commands)
    own["jobs"] = dict(spec.jobs)
    own["tubes"] = list(spec.tubes)
    own["clients"] = dict(spec.clients)
    own["waiting"] = list(spec.waiting)
    own["owed"] = list(spec.owed)
    own["records"] = []
    return twin


def _compare(seen: Picture, spec: Spec) -> None:
    """Raise `EdgeFault` unless a picture of the machine shows the specification's state."""
    _equal("clock", seen.clock, spec.clock)
    _equal("next_tick_at", seen.next_tick_at, spec.next_tick_at())
    _equal("next_job_id", seen.next_job_id, spec.next_job_id)
    _equal("next_bury_number", seen.next_bury_number, spec.next_bury_number)
    _equal("record_seq", seen.record_seq, _SEQ + len(spec.records))
    _equal("totals", (seen.total_jobs, seen.job_timeouts), (spec.total_jobs, spec.job_timeouts))
    _equal("commands", seen.commands, spec.commands)
    _equal("jobs", [tuple(view) for view in seen.jobs.values()], [spec.jobs[job][:-1] for job in sorted(spec.jobs)])
    _equal(
        "bury_numbers", seen.bury_numbers, {job.id: job.bury_number for job in spec.jobs.values() if job.bury_number}
    )
    tubes = [(t.name, t.pause_seconds, t.pause_ends_at, t.total_jobs, t.deletes, t.pauses) for t in seen.tubes.values()]
    _equal("tubes", tubes, [tuple(tube) for tube in spec.tubes])
    clients = {name: (entry.uses, entry.watches) for name, entry in seen.clients.items()}
    _equal("clients", clients, {name: tuple(client) for name, client in spec.clients.items()})
    waiting = [(w.client_id, w.request_id, w.watched_tubes, w.deadline_at) for w in seen.waiting]
    _equal("waiting", waiting, [tuple(wait) for wait in spec.waiting])
    _equal("owed", [plain(answer) for answer in seen.owed], [tuple(answer) for answer in spec.owed])


def _compare_looks(looks: Looks, spec: Spec) -> None:
    """Raise `EdgeFault` unless the specification answers the same, asked in the same order."""
    now = spec.clock
    stats = spec.stats(now)
    _equal("stats", {key: looks.stats.get(key) for key in stats}, stats)
    _equal("stats-tube", looks.tubes, {tube.name: spec.stats_tube(now, tube.name) for tube in spec.tubes})
    _equal("stats-job", looks.jobs, {job: spec.stats_job(now, job) for job in sorted(spec.jobs)})
    peeks = (spec.peek_ready_job, spec.peek_delayed_job, spec.peek_buried_job)
    for tube in spec.tubes:
        for peek, seen in zip(peeks, looks.peeks[tube.name], strict=True):
            try:
                expected = peek(tube.name)[:-1]
            except Refused:
                expected = None
            _equal(f"{peek.__name__} of {tube.name}", seen if seen is None else tuple(seen), expected)


def _first_difference(seen: Mapping[str, int], expected: Mapping[str, int]) -> str:
    name = next(name for name in expected if seen.get(name) != expected[name])
    return f"cmd-{name} is {seen.get(name)}, the specification says {expected[name]}"


def _equal(what: str, machine: object, spec: object) -> None:
    if machine != spec:
        raise EdgeFault(f"another state: {what} is {machine!r}, the specification says {spec!r}")
