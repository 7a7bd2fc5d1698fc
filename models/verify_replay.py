"""The calls of a trace repeated on the machine, and what they recorded compared with what they come to.

Each call is made at its recorded instant: with the `now` in its arguments, else with the record's `at`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jsm.errors import BadValueError
from jsm.job import TubeName
from jsm.limits import MAX_JOB_SIZE
from jsm.machine import Machine
from jsm.observed import OPERATIONS, apply
from jsm.records import CommandRecord, TransitionRecord
from models.verify_words import apart, outcome_in_words, shown, transition_in_words

if TYPE_CHECKING:
    from jsm.interface import JSMSnapshot

LOOKS: Final = tuple(op for op in OPERATIONS if op.startswith(("peek_", "get_", "check_", "count_")))
"""The operations after which a machine is as it was before, whatever they answer."""

_STATISTICS: Final = tuple(op for op in OPERATIONS if op.startswith("get_stats"))
_TAKES_NOW: Final = tuple(op for op, function in OPERATIONS.items() if "now" in signature(function).parameters)


class Repeated(NamedTuple):
    """What a call comes to."""

    call: CommandRecord  # as it was made: with its instant
    outcome: dict[str, Any]
    made: list[TransitionRecord]


class Fault(NamedTuple):
    """A rule that a call breaks."""

    rule: str
    expected: str
    found: str
    place: int | None = None  # index of the transition that differs, when it is about one
    job: int | None = None  # which job it is about


class Reference:
    """A machine on which calls are repeated, from the beginning or from a snapshot."""

    def __init__(
        self,
        *,
        units_per_second: int,
        max_job_size: int = MAX_JOB_SIZE,
        snapshot: "JSMSnapshot | None" = None,
    ) -> None:
        self._made: list[TransitionRecord] = []
        self.machine = Machine(units_per_second=units_per_second, max_job_size=max_job_size, observer=self)
        self._stopped = False
        if snapshot is not None:
            target = self.machine.snapshot()
            target.restore_header(snapshot.header())
            target.restore_jobs(snapshot.snapshot_jobs())
            target.restore_clients(snapshot.snapshot_clients())
            target.finalize_restore()

    def transition(self, record: TransitionRecord) -> None:
        """Note what the machine says that happened."""
        self._made.append(record)

    def repeat(self, record: CommandRecord) -> Repeated:
        """Make a recorded call. Raises `BadValueError` for what is no call of any operation."""
        call = record
        if record.op in _TAKES_NOW and record.args.get("now") is None:
            call = record._replace(args={**record.args, "now": record.at})
        self._made = []
        try:
            outcome = dict(apply(self.machine, call))
        except UnicodeEncodeError:
            body = record.args["body"]
            raise BadValueError("args.body", body, "text of the code points 0 to 255, one a byte") from None
        except RecursionError:
            raise BadValueError("args", record.op, "values that are not nested that deep") from None
        if record.op == "stop":
            self._stopped = True
        return Repeated(call, outcome, self._made)

    def tubes(self) -> list[TubeName]:
        """The tubes that exist; none once the machine is stopped."""
        return [] if self._stopped else self.machine.get_tubes()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which fields of a trace's records are there to be compared."""

    without: tuple[str, ...] = ()  # of "at", "client", "seq", "statistics"

    def faults(
        self,
        reference: Reference,
        repeated: Repeated,
        found: CommandRecord,
        recorded: Sequence[TransitionRecord] | None,
    ) -> list[Fault]:
        """The rules that a recorded call breaks, the most telling first.

        `recorded` is None when a trace has no transitions.
        """
        course = self._of_outcome(repeated, found)
        if ("ok" in found.outcome) is ("ok" in repeated.outcome):
            course = [*([] if recorded is None else self._of_transitions(repeated.made, recorded)), *course]
        return course or self._of_notes(reference, found)

    def _of_notes(self, reference: Reference, found: CommandRecord) -> list[Fault]:
        """The rules on how a call that took the right course was noted."""
        faults = []
        machine = reference.machine
        if "at" not in self.without and not _fits(found, machine.clock):
            faults.append(Fault("the_clock_is_the_calls_instant", f"at {machine.clock}", f"at {found.at}"))
        if "client" not in self.without:
            client = found.args.get("client_id")
            client = client if isinstance(client, str) else None
            if client != found.client:
                faults.append(Fault("a_call_names_its_client", _client(client), _client(found.client)))
        if "seq" not in self.without and found.seq != machine.record_seq:
            expected = f"seq {machine.record_seq}, the number of the last transition"
            faults.append(Fault("a_call_counts_its_transitions", expected, f"seq {found.seq}"))
        return faults

    def _of_transitions(self, made: Sequence[TransitionRecord], recorded: Sequence[TransitionRecord]) -> list[Fault]:
        rule = "calls_make_the_specified_transitions"
        for place, (mine, theirs) in enumerate(zip(made, recorded, strict=False)):
            if self._same(mine) != self._same(theirs):
                expected, found = transition_in_words(mine), transition_in_words(theirs)
                if mine.at != theirs.at:
                    expected, found = f"{expected} at {mine.at}", f"{found} at {theirs.at}"
                return [Fault(rule, expected, found, place, theirs.job)]
        place = min(len(made), len(recorded))
        if place < len(made):
            return [Fault(rule, transition_in_words(made[place]), "no further transition", None, made[place].job)]
        if place < len(recorded):
            found = transition_in_words(recorded[place])
            return [Fault(rule, "no further transition", found, place, recorded[place].job)]
        return []

    def _same(self, record: TransitionRecord) -> TransitionRecord:
        """The record without what the trace doesn't have."""
        if not self.without:
            return record
        seq = 0 if "seq" in self.without else record.seq
        at = 0 if "at" in self.without else record.at
        client = None if "client" in self.without else record.client
        return record._replace(seq=seq, at=at, client=client)

    def _of_outcome(self, repeated: Repeated, record: CommandRecord) -> list[Fault]:
        expected, found = repeated.outcome, record.outcome
        job = record.args.get("job_id")
        job = job if type(job) is int else None
        rule = "calls_end_as_specified"
        if "ok" not in expected or "ok" not in found:
            if expected.get("refused") == found.get("refused"):
                return []
            why = f": {expected['message']}" if "message" in expected else ""
            return [Fault(rule, outcome_in_words(expected) + why, outcome_in_words(found), job=job)]
        if "statistics" in self.without and record.op in _STATISTICS:
            return []
        different = None if expected["ok"] is found["ok"] else apart(expected["ok"], found["ok"])
        if different is None:
            return []
        path, mine, theirs = different
        place = f" at {path}" if path else ""
        return [Fault(rule, f"the answer {mine}{place}", f"{theirs}{place}", job=job or _job_in(expected["ok"]))]


def _fits(record: CommandRecord, clock: int) -> bool:
    """Whether a call's `at` is the clock after it; of a call that leaves the clock alone also its own instant."""
    if record.at == clock:
        return True
    if "ok" in record.outcome and record.op in _TAKES_NOW:
        return False
    now = record.args.get("now")
    return record.at > clock and (now is None or now == record.at)


def _client(client: str | None) -> str:
    return "null" if client is None else f"client {shown(client)}"


def _job_in(answer: object) -> int | None:
    """The job that an answer is about."""
    job = answer.get("job_id", answer.get("id")) if isinstance(answer, dict) else None
    return job if type(job) is int and job else None
