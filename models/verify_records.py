"""The check of a trace, record by record: transitions by rule, calls by repetition on the machine."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jsm.limits import MAX_JOB_SIZE
from jsm.records import CommandRecord, Record, TransitionRecord
from jsm.states import Trigger
from models.graph import edge_name
from models.verify_guards import Action, actions_on_fault, actions_on_job
from models.verify_ledger import Ledger
from models.verify_replay import LOOKS, Comparison, Fault, Reference, Repeated
from models.verify_result import TraceFinding, VerifyResult
from models.verify_rules import RULES, Broken, broken_by_own, broken_by_transition, broken_time, edges
from models.verify_words import counted, event_of, transition_in_words

if TYPE_CHECKING:
    from jsm.interface import JSMSnapshot

FINDINGS_MAX: Final = 100
"""How many findings are kept when the check goes on after the first; the others are counted."""

_SPECIFIED: Final = "calls_make_the_specified_transitions"
_OWN: Final = "a_call_makes_only_its_own_transitions"


class _Pending(NamedTuple):
    """A transition whose call has not come yet, and where it stands."""

    record: TransitionRecord
    number: int
    line: int
    line_before: int


class TraceVerifier:
    """Takes records one by one, and is an observer too: of an `ObservedMachine` it checks every call as it is made.

    It begins at an empty machine; at a `snapshot`; or, with `from_middle`, anywhere. `without` names fields that the
    records don't have. After the first violation it takes no more, unless `go_on`. O(1) a record beside the call that
    is repeated.

    Raises `BadValueError` for a call that no operation takes.
    """

    def __init__(
        self,
        *,
        units_per_second: int = 1,
        max_job_size: int = MAX_JOB_SIZE,
        snapshot: "JSMSnapshot | None" = None,
        from_middle: bool = False,
        without: Iterable[str] = (),
        go_on: bool = False,
    ) -> None:
        self._units = units_per_second
        self._comparison = Comparison(tuple(without))
        self._go_on = go_on
        self._ledger = Ledger(units_per_second=units_per_second) if snapshot is None else Ledger.from_snapshot(snapshot)
        self._adopting = from_middle and snapshot is None
        if self._adopting or "seq" in self._comparison.without:
            self._ledger.next_seq = None
        self._ledger.begin()
        self._reference: Reference | None = None
        if not self._adopting:
            self._reference = Reference(units_per_second=units_per_second, max_job_size=max_job_size, snapshot=snapshot)
        self._pairs_calls = True  # transitions are kept until their call comes
        self._pending: list[_Pending] = []
        self._pending_max = 0
        self._silent_line = 0  # of the first call that made transitions, of which the trace has none
        self._records = self._transitions = self._calls = self._refused = 0
        self._repeated = self._compared = self._own = self._adopted = 0
        self._line = self._line_before = 1
        self._edges = dict.fromkeys(edges(), 0)
        self._findings: list[TraceFinding] = []
        self._violations = 0
        self._notes: list[str] = []

    @property
    def is_done(self) -> bool:
        """Whether further records would not be looked at."""
        return bool(self._findings) and not self._go_on

    def transition(self, record: TransitionRecord) -> None:
        """Take a transition record as it happens."""
        self.take(record)

    def command(self, record: CommandRecord) -> None:
        """Take a call's record as it happens."""
        self.take(record)

    def take(self, record: Record, line: int | None = None) -> None:
        """Take the next record, which stands in a line of its trace (left out: one line a record, after a header)."""
        if self.is_done:
            return
        self._records += 1
        self._line_before, self._line = self._line, self._records + 1 if line is None else line
        if isinstance(record, TransitionRecord):
            self._transitions += 1
            self._take_transition(record)
        else:
            self._calls += 1
            self._refused += "refused" in record.outcome
            self._take_call(record)

    # ------------------------------------------------------------------ transitions

    def _take_transition(self, record: TransitionRecord) -> None:
        ledger = self._ledger
        clients_known = "client" not in self._comparison.without
        broken = broken_by_transition(ledger, record, adopting=self._adopting, clients_known=clients_known)
        if broken is None and self._silent_line:
            before = f"the transitions of the calls before it too, from line {self._silent_line} on"
            broken = Broken(_SPECIFIED, before)
        if broken is not None:
            self._reject(record, broken.rule, broken.expected, _found(broken.rule, record))
            self._stop_pairing("after a transition that broke a rule")
        else:
            self._edges[record[4:7]] += 1  # type: ignore[index]  # an edge is these three
            if record.source != "new" and record.job not in ledger.jobs:
                self._adopted += 1
                self._pending_max += 2
        if self._pairs_calls:
            self._keep(record)
        ledger.take(record)
        if not self._pairs_calls:
            ledger.begin()

    def _keep(self, record: TransitionRecord) -> None:
        """Keep a transition until its call comes; no call makes more than a put's, or two of each live job."""
        if not self._pending:
            self._pending_max = 1 + 2 * len(self._ledger.jobs)
        self._pending.append(_Pending(record, self._records, self._line, self._line_before))
        if len(self._pending) > self._pending_max and self._reference is not None:
            if self._calls:
                expected = f"a call after at most {self._pending_max} transitions: two of each live job, and a put's"
                self._reject(record, _SPECIFIED, expected, transition_in_words(record))
            self._stop_pairing("after transitions without their call" if self._calls else "")

    def _stop_pairing(self, why: str) -> None:
        """From here on calls are not checked any more; what for is a note, unless no call is expected."""
        if self._pairs_calls and why and self._go_on:
            self._notes.append(f"Calls were not checked from line {self._line} on, {why}.")
        self._pairs_calls = False
        self._pending.clear()

    # ------------------------------------------------------------------ calls

    def _take_call(self, record: CommandRecord) -> None:
        ledger = self._ledger
        if record.at < ledger.clock:
            broken = broken_time(ledger)
            self._reject(record, broken.rule, broken.expected, f"at {record.at}")
            if not self._go_on:
                return
        if not self._pairs_calls:
            if self._transitions and self._calls == 1:
                expected = "each call right after the transitions that it made"
                found = f"{counted(self._transitions, 'transition')} in front of the first call"
                self._reject(record, _SPECIFIED, expected, found)
        elif self._reference is None:
            self._take_own(record)
        else:
            self._take_repeated(record, self._reference)

    def _take_own(self, record: CommandRecord) -> None:
        """Compare a call that can't be repeated with its own transitions."""
        if self._transitions:
            self._own += 1
            transitions = [pending.record for pending in self._pending]
            clients_known = "client" not in self._comparison.without
            expected = broken_by_own(record, transitions, clients_known=clients_known)
            if expected is not None:
                found = "; ".join(map(transition_in_words, transitions[:3])) or "none"
                more = f"; and {len(transitions) - 3} more" if len(transitions) > 3 else ""
                self._reject(record, _OWN, expected, found + more)
        self._pending.clear()
        self._ledger.clock = max(self._ledger.clock, record.at)
        self._ledger.begin()

    def _take_repeated(self, record: CommandRecord, reference: Reference) -> None:
        repeated = reference.repeat(record)
        recorded = [pending.record for pending in self._pending] if self._transitions else None
        if recorded is None and repeated.made and not self._silent_line:
            self._silent_line = self._line
        faults = self._comparison.faults(reference, repeated, record, recorded)
        if faults:
            self._reject_call(record, repeated, faults)
            if not self._pairs_calls:
                return
        self._repeated += 1
        self._compared += len(self._pending)
        ledger = self._ledger
        if recorded is None or self._comparison.without or faults:
            ledger.roll_back()
            for transition in repeated.made:
                ledger.take(transition)
        self._pending.clear()
        ledger.settle(repeated.call, repeated.outcome, repeated.made)
        if ledger.pauses:
            ledger.keep_pauses(reference.tubes())

    def _reject_call(self, record: CommandRecord, repeated: Repeated, faults: list[Fault]) -> None:
        """Report a call, or one of its transitions, as seen from where it left the machine's course."""
        ledger = self._ledger
        for fault in faults:
            self._return_to(record, repeated, fault)
            event: CommandRecord | _Pending = record if fault.place is None else self._pending[fault.place]
            client = record.client if isinstance(event, CommandRecord) else event.record.client
            actions = actions_on_fault(ledger, repeated, record, fault, client)
            self._reject(event, fault.rule, fault.expected, fault.found, actions)
            if not self._go_on:
                break
        ledger.roll_back()
        rules = {fault.rule for fault in faults}
        same_state = record.op in LOOKS or ("refused" in record.outcome and "refused" in repeated.outcome)
        if _SPECIFIED in rules or ("calls_end_as_specified" in rules and not same_state):
            for pending in self._pending:
                ledger.take(pending.record)
            ledger.begin()
            self._stop_pairing("after a call that took another course than the machine's")

    def _return_to(self, record: CommandRecord, repeated: Repeated, fault: Fault) -> None:
        """Take the ledger back to where a call left the machine's course."""
        ledger, made = self._ledger, repeated.made
        ledger.roll_back()
        if fault.rule == _SPECIFIED:
            made = made[: self._agreeing(made)]
        elif record.op == "tick":  # answers come after everything that time does
            made = [each for each in made if each.trigger in (Trigger.DELAY_ELAPSED, Trigger.TTR_EXPIRED)]
        else:
            made = []
        for transition in made:
            ledger.take(transition)
            if transition.client is not None and transition.trigger is Trigger.RESERVE:
                ledger.waits.pop(transition.client, None)
        if record.op == "tick":
            ledger.end_pauses(max(record.at, ledger.clock))

    def _agreeing(self, made: list[TransitionRecord]) -> int:
        """How many transitions the trace and the machine agree on before they differ."""
        pairs = zip(made, self._pending, strict=False)
        differing = (place for place, (mine, theirs) in enumerate(pairs) if mine[2:] != theirs.record[2:])
        return next(differing, min(len(made), len(self._pending)))

    # ------------------------------------------------------------------ reporting

    def _reject(
        self,
        record: Record | _Pending,
        rule: str,
        expected: str,
        found: str,
        actions: tuple[Action, ...] | None = None,
    ) -> None:
        """Note a violation; of a transition, with what its job could have done."""
        self._violations += 1
        if len(self._findings) == FINDINGS_MAX:
            return
        number, line, line_before = self._records, self._line, self._line_before
        if isinstance(record, _Pending):
            record, number, line, line_before = record
        if actions is None:
            actions = ()
            if isinstance(record, TransitionRecord):
                at = max(record.at, self._ledger.clock)
                actions = actions_on_job(self._ledger, record.job, record.client, at)
        event = event_of(record, self._units)
        self._findings.append(TraceFinding(rule, line, number, line_before, event, expected, found, actions))

    def result(self) -> VerifyResult:
        """The verdict on the records so far."""
        about = {
            "record": self._records,
            "transition": self._transitions,
            "call": self._repeated,
            "own": self._own,
        }
        return VerifyResult(
            lines=self._line,
            records=self._records,
            transitions=self._transitions,
            calls=self._calls,
            refused=self._refused,
            repeated=self._repeated,
            compared=self._compared,
            adopted=self._adopted,
            live=len(self._ledger.jobs),
            edges={edge_name(edge): count for edge, count in self._edges.items()},
            checks={rule.name: about[rule.about] for rule in RULES},
            findings=tuple(self._findings),
            unreported=self._violations - len(self._findings),
            notes=tuple(self._notes + list(self._closing_notes())),
        )

    def _closing_notes(self) -> Iterator[str]:
        if not self._records:
            yield "The trace has a header and no record."
        if self._adopting and self._calls:
            what = "beside their own transitions only" if self._transitions else "not at all"
            remedy = "a trace from the middle needs a snapshot of its beginning"
            yield f"Calls were checked {what}, {self._calls:,} of them: {remedy}."
        if self._calls and self._pending and not self.is_done:
            last = counted(len(self._pending), "transition")
            yield f"Not compared, since the trace ends before their call: the last {last}."
        if self._comparison.without and self._records:
            yield f"Not compared, since the trace doesn't have it: {', '.join(self._comparison.without)}."


def verify_records(records: Iterable[Record], **settings: Any) -> VerifyResult:
    """Check records that are at hand; `settings` are those of `TraceVerifier`."""
    verifier = TraceVerifier(**settings)
    for record in records:
        verifier.take(record)
    return verifier.result()


def _found(rule: str, record: TransitionRecord) -> str:
    """What of a transition breaks the rule."""
    found = {
        "records_are_numbered_without_a_gap": f"transition {record.seq}",
        "time_never_goes_back": f"at {record.at}",
        "ids_strictly_increase": f"id {record.job}",
        "a_job_keeps_its_tube": f"tube {record.tube!r}",
        "the_client_is_the_owner": "null" if record.client is None else f"client {record.client!r}",
    }
    return found.get(rule, f"from {record.source}: {record.trigger} to {record.target}")
