"""The invariants of the job state machine, by recount: what must hold of every picture and of every step.

Each clause S and L of INVARIANTS, and the rules of SPEC 4 and 5 on who is served first, has one or more names here
(`INVARIANTS`). All is worked out anew from pictures (`models.picture`), calls and records, in the plainest way: no
helper, table or order is shared with the machine, nor with `models.spec`. `check_state` looks at one picture,
`check_step` at a call between two, `check_span` at any number of calls between two, `check_looks` at what the machine
answers, `check_restore` and `check_same` at two machines. Each raises `BrokenInvariant`, an `InvariantViolation`.

Not expressible on the machine alone, and checked elsewhere:

| clause | why | where |
| --- | --- | --- |
| S23, S24 on the wire | digits, line lengths, `BAD_FORMAT`; here: what reaches the machine | the codec's tests |
| S26, one reply a command | a session's; here: a refusal changes nothing | the session's tests |
| S32 draining | a server's mode, which the machine doesn't know | the server's tests |
| L3 half-close | a socket's; here: every wait ends by its deadline | the server's tests |
| L7 all served after faults | of infinite histories; here: nothing is overdue after a tick | the explorer's lassos |
| S6 a restart resets totals | the server's; a restore of the machine keeps them | the server's tests |
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from jsm.errors import StoppedError
from jsm.machine import Machine
from jsm.records import CommandRecord, TransitionRecord
from models.calls import Call
from models.invariants_jobs import (
    CALL_RULES,
    a_refused_call_changes_nothing,
    a_restored_machine_is_the_same,
    each_command_counts_once,
)
from models.invariants_looks import LOOK_RULES, Shown
from models.invariants_refusals import REFUSALS, Unfounded, check_refusal
from models.invariants_rule import Broken, BrokenInvariant, Described, Rule, Tally, first_broken
from models.invariants_span import SPAN_RULES
from models.invariants_state import STATE_RULES
from models.invariants_step import POSITIONAL, Step, arguments
from models.invariants_waits import WAIT_RULES
from models.invariants_worlds import WORLDS, Notebook
from models.invariants_worlds import check_restore as _check_restore
from models.invariants_worlds import check_same as _check_same
from models.picture import Looks, Picture, Seen, picture_of

_STEP_RULES: Final[tuple[Rule[Step], ...]] = (*WAIT_RULES, *CALL_RULES, *SPAN_RULES)
_RULES_OF: Final[Mapping[str, tuple[Rule[Step], ...]]] = {
    op: tuple(rule for rule in _STEP_RULES if not rule.ops or op in rule.ops) for op in (*POSITIONAL, "next_tick_at")
}
_REFUSED_RULES: Final[tuple[Rule[Step], ...]] = (a_refused_call_changes_nothing, each_command_counts_once)
_AFTER_STOP: Final = Described("a_stopped_machine_refuses", "SPEC 3", "After a stop every call is refused")

INVARIANTS: Final[Mapping[str, Described]] = {
    described.name: described
    for described in (
        *(rule.described for rule in STATE_RULES),
        *(rule.described for rule in _STEP_RULES),
        *(rule.described for rule in (a_refused_call_changes_nothing, a_restored_machine_is_the_same)),
        *REFUSALS.values(),
        _AFTER_STOP,
        *(rule.described for rule in LOOK_RULES),
        *WORLDS,
    )
}
"""Every invariant by its name, with its clause and its sentence."""


def new_tally() -> Tally:
    """A fresh count of how often each invariant had something to look at."""
    return defaultdict(int)


def check_state(picture: Picture, tally: Tally | None = None) -> None:
    """Check everything that holds between any two calls. O(jobs + clients × their tubes)."""
    broken = first_broken(STATE_RULES, picture, new_tally() if tally is None else tally)
    if broken is not None:
        raise _violation(*broken, picture)


def check_step(
    before: Picture,
    call: Call,
    outcome: Mapping[str, Any],
    records: Sequence[TransitionRecord],
    after: Picture,
    tally: Tally | None = None,
) -> None:
    """Check one call: what it was refused or accepted for, what it did, and what it left alone.

    `outcome` is `{"ok": value}` or `{"refused": category}`; the value is the machine's own, or that value by
    `models.calls.plain` or as a command record has it. A call of `reload` is a restore of the machine's own snapshot.
    An iterator among the arguments can't be read twice: give sequences.
    """
    tally = new_tally() if tally is None else tally
    step = Step(before, call.op, arguments(call.op, call.args, call.kwargs), outcome, records, after)
    try:
        tally[check_refusal(step)] += 1
    except Unfounded as unfounded:
        raise _violation(REFUSALS[unfounded.name], unfounded, after, call) from None
    if step.op == "reload":
        rules: tuple[Rule[Step], ...] = (a_restored_machine_is_the_same,)
    else:
        rules = _RULES_OF[step.op] if step.refused is None else _REFUSED_RULES
    found = first_broken(rules, step, tally)
    if found is not None:
        raise _violation(*found, after, call)


def check_span(
    before: Picture, records: Sequence[TransitionRecord], after: Picture, tally: Tally | None = None
) -> None:
    """Check what must hold between two pictures with all records between them, whatever was called."""
    step = Step(before, "", {}, {}, records, after)
    found = first_broken(SPAN_RULES, step, new_tally() if tally is None else tally)
    if found is not None:
        raise _violation(*found, after)


def check_looks(picture: Picture, looks: Looks, tally: Tally | None = None) -> None:
    """Check the statistics, peeks and views that were taken right after the picture. O(tubes × jobs)."""
    found = first_broken(LOOK_RULES, Shown(picture, looks), new_tally() if tally is None else tally)
    if found is not None:
        raise _violation(*found, picture)


def check_restore(
    machine: Machine, tally: Tally | None = None, *, make_machine: Callable[..., Machine] = Machine
) -> None:
    """Check that a machine restored from a snapshot is the same and goes on, timers included. O(n log n)."""
    tally = new_tally() if tally is None else tally

    def check_tick(
        before: Picture, call: Call, outcome: dict[str, Any], records: list[TransitionRecord], after: Picture
    ) -> None:
        check_step(before, call, outcome, records, after)
        check_state(after)

    _check_restore(machine, check_tick, tally, make_machine=make_machine)


def check_same(
    calls: Iterable[Call],
    tally: Tally | None = None,
    *,
    make_machine: Callable[[Notebook], Machine] = lambda observer: Machine(observer=observer),
) -> None:
    """Check that two new machines agree on every call: answers, records, state."""
    _check_same(calls, new_tally() if tally is None else tally, make_machine=make_machine)


class InvariantChecker:
    """An observer of `ObservedMachine` that checks the invariants after its calls.

    Attach it to the machine before the first call. `every` is 1 for each call, k for each k-th. A picture costs some
    microseconds an entry (job, client or tube), so with `entries_a_call` a machine that holds more entries than that
    is looked at more rarely, each (entries ÷ `entries_a_call`)-th call, and the cost of a call stays bounded. Which
    calls are checked depends on the calls alone. Raises `BrokenInvariant`.

    Transition records of unchecked calls are forgotten; each checked call is seen with the pictures right before and
    right after it.
    """

    def __init__(self, *, every: int = 1, entries_a_call: int | None = None) -> None:
        self.every = every
        self.entries_a_call = entries_a_call
        self.calls = 0
        self.checked = 0
        self.tally: Tally = new_tally()
        self._look: Callable[[], Picture] | None = None
        self._before: Picture | None = None  # of the machine as it is, when the next call is to be checked
        self._left = 0  # unchecked calls until the next that is checked
        self._records: list[TransitionRecord] = []
        self._stopped = False

    def attach(self, machine: Seen) -> None:
        """Look at this machine from now on; at its present state first."""
        self._look = lambda: picture_of(machine)
        self._before = self._look()
        check_state(self._before, self.tally)
        self._left = 0

    def detach(self) -> None:
        """Look no more, such as at a machine that failed in the middle of a call."""
        self._look = None

    def transition(self, record: TransitionRecord) -> None:
        """Keep the record for the call that it belongs to."""
        if not self._left:
            self._records.append(record)

    def command(self, record: CommandRecord) -> None:
        """Check the call, or count it as unchecked."""
        args, outcome = dict(record.args), record.outcome
        # In a record a body is a text; only the refusal of a text that was no body tells the two apart.
        no_bytes = outcome.get("error") == "BadValueError" and str(outcome.get("message")).startswith("body = ")
        if record.op == "put" and isinstance(args.get("body"), str) and not no_bytes:
            args["body"] = args["body"].encode("latin-1")
        self.step(Call(record.op, (), args), outcome)

    def step(self, call: Call, outcome: Mapping[str, Any]) -> None:
        """Check a call that has just ended, with the records that came since the last one."""
        look = self._look
        if look is None:
            return
        self.calls += 1
        if self._stopped:
            self.tally[_AFTER_STOP.name] += 1
            if outcome.get("refused") != "stopped":
                assert self._before is not None  # of the call of stop
                broken = Broken(f"the call ended with {outcome}", "a refusal as stopped")
                raise _violation(_AFTER_STOP, broken, self._before, call)
            return
        if self._left:
            self._left -= 1
            if not self._left:
                self._before = look()
            return
        records, self._records = self._records, []
        before = self._before
        assert before is not None  # looked at when the call's turn was near
        try:
            after = look()
        except StoppedError:
            self._stopped = True
            return
        check_step(before, call, outcome, records, after, self.tally)
        check_state(after, self.tally)
        self.checked += 1
        self._before = after
        self._left = self._gap(after) - 1

    def report(self) -> dict[str, Any]:
        """What was checked: how many calls came, how many were checked, and what each invariant had to look at."""
        names = [*_names(STATE_RULES), *_names(_STEP_RULES), a_refused_call_changes_nothing.name, *REFUSALS]
        return {
            "calls": self.calls,
            "calls_checked": self.checked,
            "evaluated": {name: self.tally.get(name, 0) for name in names},
        }

    def _gap(self, picture: Picture) -> int:
        """Every how many calls one is checked, as the machine is now."""
        if self.entries_a_call is None:
            return self.every
        return max(self.every, _entries(picture) // self.entries_a_call)


class InvariantSampler:
    """A watcher of a long run that checks a sample of it, at next to no cost.

    It is given the records a chunk at a time, between calls. Now and then it takes a picture before a chunk and one
    after it, and checks what must hold of the second and of the span between them. The first chunk is checked, and
    from then on one after at least `records_min` records and `records_an_entry` for each job, client and tube, so that
    the price stays a fixed small share of the run, whatever the machine holds. Raises `BrokenInvariant`.
    """

    def __init__(self, *, records_min: int = 131_072, records_an_entry: int = 1_000) -> None:
        self.records = 0
        self.records_checked = 0
        self.tally: Tally = new_tally()
        self._look: Callable[[], Picture] | None = None
        self._records_min = records_min
        self._records_an_entry = records_an_entry
        self._gap = 0
        self._since = 0
        self._before: Picture | None = None

    def attach(self, machine: Seen) -> None:
        """Look at this machine from now on; the first chunk of records is checked."""
        self._look = lambda: picture_of(machine)
        self._before = self._look()

    def detach(self) -> None:
        """Look no more, such as at a machine that failed in the middle of a call."""
        self._look = None

    def consume(self, records: Sequence[TransitionRecord]) -> None:
        """Take all records since the last time; the machine must be as the last of them left it."""
        look = self._look
        if look is None:
            return
        self.records += len(records)
        if self._before is None:
            self._since += len(records)
            if self._since >= self._gap:
                self._before = look()
            return
        after = look()
        check_span(self._before, records, after, self.tally)
        check_state(after, self.tally)
        self.records_checked += len(records)
        self._gap = max(self._records_min, self._records_an_entry * _entries(after))
        self._since = 0
        self._before = None

    def report(self) -> dict[str, Any]:
        """What was checked: how many records came, how many were checked, what each invariant had to look at."""
        return {
            "records": self.records,
            "records_checked": self.records_checked,
            "evaluated": {name: self.tally.get(name, 0) for name in (*_names(STATE_RULES), *_names(SPAN_RULES))},
        }


def _names(rules: Iterable[Rule[Any]]) -> list[str]:
    return [rule.name for rule in rules]


def _entries(picture: Picture) -> int:
    return len(picture.jobs) + len(picture.clients) + len(picture.tubes)


def _violation(rule: Described, broken: Broken, picture: Picture, call: Call | None = None) -> BrokenInvariant:
    doing = "" if call is None else str(call)
    return BrokenInvariant(rule, broken, at=picture.clock, units_per_second=picture.units_per_second, doing=doing)
