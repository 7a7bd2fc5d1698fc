"""What a check found, and the calls that show it.

A `Finding` names the property that does not hold, with the values; a `Counterexample` is a finding with the calls
that lead to it from an empty machine. `find_fault` is the one judge of both: it makes the calls anew, so whatever
it says can be seen again by anybody who has the calls.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from jsm.errors import InvariantViolation, JsmError, StoppedError
from jsm.interface import JSM
from jsm.machine import Machine
from jsm.records import TransitionRecord
from models.calls import Call
from models.differing import Differing, narrowed
from models.invariants import INVARIANTS, check_looks, check_state, check_step
from models.invariants_rule import BrokenInvariant
from models.lockstep import Difference, Lockstep, replay
from models.picture import Picture, looks_of, picture_of
from models.watcher import TransitionViolation, TransitionWatcher


class Finding(NamedTuple):
    """A property that does not hold."""

    name: str  # of an invariant, of a rule of the watcher, "lock-step …" or "crash"
    clause: str  # of INVARIANTS or of SPEC, such as "S1"; "" if none
    text: str  # the property in one sentence
    expected: str
    found: str
    step: int  # index of the call that showed it


@dataclass(frozen=True, slots=True)
class Counterexample:
    """Calls that show a finding."""

    calls: tuple[Call, ...]  # from an empty machine; the last one shows the fault
    finding: Finding
    units_per_second: int = 1
    loop_start: int | None = None  # liveness: the calls from that index on repeat for ever


CRASH: Final = "crash"
"""The name of the finding that a call raised something that is no refusal."""

WATCHER_RULES: Final[Mapping[str, tuple[str, str]]] = {
    "records_are_numbered_without_a_gap": ("SPEC 6", "Transition records are numbered 1, 2, 3 … without a gap"),
    "time_never_goes_back": ("S22", "No record's instant lies before that of the record before it"),
    "every_transition_is_an_edge": ("S2", "Only the 19 edges of the state diagram change a job's state"),
    "a_life_begins_with_a_put": ("S2", "The first that happens to a job is a put"),
    "ids_strictly_increase": ("S3", "Every put has an id greater than those of all puts before it"),
    "a_job_continues_where_it_was": ("S1", "A transition starts in the state in which the job's last one ended"),
    "nothing_follows_a_delete": ("S11", "Nothing happens to a job after its delete"),
    "a_job_keeps_its_tube": ("S1", "A job stays in the tube that it was put into"),
}
"""Clause and sentence of each rule of `models.watcher`."""

_SECTIONS: Final[Mapping[str, str]] = {
    "append_reservation": "SPEC 4",
    "tick": "SPEC 5",
    "get_stats_job_as_yaml": "SPEC 7",
    "get_stats_tube_as_yaml": "SPEC 7",
    "get_stats_as_yaml": "SPEC 7",
    "count_command": "SPEC 7",
    "reload": "SPEC 8",
}
"""Where SPEC says what an operation does; all others stand in section 3."""

_AFTER_STOP: Final = "a_stopped_machine_refuses"
_RELOAD: Final = "A restored machine behaves exactly as the one that its snapshot was taken of."


def find_fault(
    calls: Sequence[Call],
    *,
    make_machine: Callable[..., Machine] = Machine,
    units_per_second: int = 1,
    lockstep: bool = True,
    invariants: bool = True,
    looks: bool = True,
) -> Finding | None:
    """Make the calls on a new machine and return the first property that does not hold, or None.

    After each call come, in this order: whether it crashed, the watcher's rules, the invariants, the comparison with
    the specification. With `looks`, both of the latter ask for every peek, view and statistic, too, which takes most
    of the time. Never raises for a fault of the machine. A refused call is an answer like any other. Each call costs
    O(jobs + clients + tubes) beside itself, and 1 to 7 ms.
    """
    judge = Judge(make_machine, units_per_second, lockstep=lockstep, invariants=invariants, looks=looks)
    for step, call in enumerate(calls):
        finding = judge.do(call, step)
        if finding is not None:
            return finding
    return None


class Judge:
    """Makes calls one by one and looks after each whether all properties hold.

    The machine that is watched and the one in lock-step are two: their looks count commands, and must not disturb
    each other.
    """

    def __init__(
        self,
        make_machine: Callable[..., Machine],
        units_per_second: int,
        *,
        lockstep: bool,
        invariants: bool,
        looks: bool,
    ) -> None:
        self._make = make_machine
        self._settings = {"units_per_second": units_per_second}
        self._records: list[TransitionRecord] = []
        self._invariants = invariants
        self._looks = looks
        self._crash: Finding | None = None
        self._pair: _Lockstep | None = None
        self._watcher = TransitionWatcher(units_per_second=units_per_second)
        try:
            self._machine = make_machine(**self._settings, observer=self)
            self._before = self._picture()
            if lockstep:
                self._pair = _Lockstep(**self._settings, make_machine=make_machine, looks=looks)
        except Exception as error:  # whatever a faulty machine raises is a finding
            self._crash = _crash(error, 0)

    def transition(self, record: TransitionRecord) -> None:
        """Note what the machine says that happened."""
        self._records.append(record)

    def do(self, call: Call, step: int) -> Finding | None:
        """Make a call, the `step`-th; what it showed, or None."""
        if self._crash is not None:
            return self._crash
        self._records.clear()
        try:
            outcome = self._outcome(call)
            self._watcher.consume(self._records)
            if self._invariants:
                self._look(call, outcome)
        except InvariantViolation as violation:  # of this judge's, or of a machine that checks itself
            return _violation(violation, step)
        except Exception as error:
            return _crash(error, step)
        return self._compared(call, step)

    def _outcome(self, call: Call) -> dict[str, Any]:
        """How a call on the watched machine ended; what is no refusal is raised."""
        if call.op == "reload":
            self._machine = reloaded(self._machine, lambda: self._make(**self._settings, observer=self))
            return {"ok": None}
        try:
            return {"ok": getattr(self._machine, call.op)(*call.args, **call.kwargs)}
        except JsmError as error:
            return {"refused": str(error.refusal)}

    def _picture(self) -> Picture | None:
        """The machine as it is; None: nobody asked for it, or the machine is stopped."""
        try:
            return picture_of(self._machine) if self._invariants else None
        except StoppedError:
            return None

    def _look(self, call: Call, outcome: dict[str, Any]) -> None:
        """Check the invariants of a call that has just ended. Raises `InvariantViolation`."""
        before, after = self._before, self._picture()
        if before is None and outcome.get("refused") != "stopped":
            raise InvariantViolation(_AFTER_STOP, f"after a stop, {call.op} ended with {outcome}")
        if before is None or after is None:
            self._before = after
            return
        check_step(before, call, outcome, self._records, after)
        check_state(after)
        self._before = after
        if self._looks:
            check_looks(after, looks_of(self._machine, after))
            self._before = self._picture()  # once more: the looks have counted commands

    def _compared(self, call: Call, step: int) -> Finding | None:
        """What the comparison with the specification showed."""
        if self._pair is None:
            return None
        try:
            replay(self._pair, [call])
        except Difference as difference:
            return _difference(difference, self._pair.seen, call, step)
        except Exception as error:
            return _crash(error, step)
        return None


def reloaded(machine: Machine, make: Callable[[], Machine]) -> Machine:
    """A new machine, restored from a snapshot of this one. O(jobs + clients + tubes)."""
    source = machine.snapshot()
    heir = make()
    target = heir.snapshot()
    target.restore_header(source.header())
    target.restore_jobs(source.snapshot_jobs())
    target.restore_clients(source.snapshot_clients())
    target.finalize_restore()
    return heir


class _Lockstep(Lockstep):
    """A lock-step that remembers the two values that differed."""

    seen: tuple[Any, Any] = (None, None)

    def _compare(self, what: str, machine: Any, spec: Any) -> None:
        if machine != spec:
            self.seen = (machine, spec)
        super()._compare(what, machine, spec)


def _difference(difference: Difference, seen: tuple[Any, Any], call: Call, step: int) -> Finding:
    """A difference as a finding: its values cut down to the part that differs."""
    machine, spec = seen
    name, what = difference.what, difference.what
    if what.startswith("look "):
        name, what = what.partition("(")[0], what.removeprefix("look ").removesuffix(" ok").replace(" ok ", ": ")
    found: Differing = narrowed(what, machine, spec)
    crashed = machine.get("crashed") if isinstance(machine, dict) else None
    if crashed is not None and "look" not in name:
        return Finding(CRASH, "", _NO_CRASH, "an answer or a refusal", f"{call.op} raised {crashed}", step)
    return Finding(
        f"lock-step {name}",
        _SECTIONS.get(call.op, "SPEC 3"),
        f"Machine and specification agree; of {call.op} it says: {sentence_of(call.op)}",
        found.spec,
        found.machine,
        step,
    )


def sentence_of(op: str) -> str:
    """The first sentence of an operation's documentation, cost and signature left out."""
    if op == "reload":
        return _RELOAD
    first = " ".join((getattr(JSM, op, None).__doc__ or f"{op}.").partition("\n\n")[0].split())
    for cost in (" O(", " Raises "):
        first = first.partition(cost)[0]
    return first


_NO_CRASH: Final = "A call returns an answer or is refused; it raises nothing else"


def _crash(error: Exception, step: int) -> Finding:
    """An unexpected exception; says where it was raised by file name and function, without the machine's paths."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {PurePath(frames[-1].filename).name}, {frames[-1].name}" if frames else ""
    return Finding(CRASH, "", _NO_CRASH, "an answer or a refusal", f"{error!r} raised{where}", step)


def _transition(violation: TransitionViolation, step: int) -> Finding:
    record = violation.record
    who = "" if record.client is None else f" for {record.client}"
    found = (
        f"transition {record.seq}: job {record.job} in tube {record.tube!r} went from {record.source} "
        f"by {record.trigger} to {record.target}{who} at {record.at}"
    )
    clause, text = WATCHER_RULES[violation.name]
    return Finding(violation.name, clause, text, violation.expected, found, step)


def _violation(violation: InvariantViolation, step: int) -> Finding:
    """Any other named property; its message is all that is known of the values."""
    if isinstance(violation, TransitionViolation):
        return _transition(violation, step)
    if isinstance(violation, BrokenInvariant):
        return Finding(violation.name, violation.clause, violation.sentence, violation.expected, violation.found, step)
    described = INVARIANTS.get(violation.name)
    message = str(violation).removeprefix(f"{violation.name}: ")
    if described is None:
        return Finding(violation.name, "", violation.name, "", message, step)
    return Finding(violation.name, described.clause, described.sentence, described.sentence, message, step)
