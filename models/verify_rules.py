"""The rules that a trace is held to, by name, and the check of a transition record against a ledger.

The first eight are those of `models.watcher`, whose fast loop serves simulations; here they are checked one by one
over a ledger that can also adopt jobs whose beginning was not recorded, and go on after a violation. A test holds both
to the same verdicts.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from jsm.records import CommandRecord, TransitionRecord
from jsm.states import JobState, Trigger
from jsm.transitions import Transition
from models.finding import WATCHER_RULES
from models.graph import OPERATIONS, edges_of, transition_graph
from models.verify_ledger import Ledger


class Rule(NamedTuple):
    """A property that a trace must have."""

    name: str
    clause: str  # of INVARIANTS or SPEC
    text: str  # the property in one sentence
    about: str  # what it is checked on: "record", "transition", "call" (repeated), "own" (not repeated), "history"


RULES: Final = (
    *(
        Rule(name, clause, f"{text}.", "record" if name == "time_never_goes_back" else "transition")
        for name, (clause, text) in WATCHER_RULES.items()
    ),
    Rule(
        "the_client_is_the_owner",
        "S4",
        "A reserve names the client that gets the job, what happens to a reserved job its owner, a delete whoever"
        " deletes; a put, a kick and the end of a delay name nobody.",
        "transition",
    ),
    Rule("calls_end_as_specified", "SPEC 3", "Each call has the outcome that the specification gives it.", "call"),
    Rule(
        "calls_make_the_specified_transitions",
        "SPEC 2",
        "Each call is preceded by exactly the transitions that it makes.",
        "call",
    ),
    Rule("the_clock_is_the_calls_instant", "S22", "An accepted call sets the clock to its now.", "call"),
    Rule("a_call_names_its_client", "", "A call's client is the one in its arguments.", "call"),
    Rule("a_call_counts_its_transitions", "", "A call's seq is the number of the last transition.", "call"),
    Rule(
        "a_call_makes_only_its_own_transitions",
        "SPEC 2",
        "What precedes a call are transitions that its operation makes, of its job, for its client, at its instant.",
        "own",
    ),
)
"""All rules, in the order of reports."""

LINEARIZABLE: Final = Rule(
    "history_is_linearizable",
    "SPEC 3-5",
    "Some order of the operations, each at an instant between its call and its return, is one that SPEC allows.",
    "history",
)
"""The one rule of histories, which `models.linearizability` checks."""

RULE_NAMED: Final[Mapping[str, Rule]] = {rule.name: rule for rule in (*RULES, LINEARIZABLE)}

_EDGES: Final = tuple(edges_of(transition_graph()))
_KNOWN: Final = frozenset(_EDGES)  # for membership only
_NOBODY: Final = (Trigger.PUT, Trigger.PUT_DELAYED, Trigger.KICK, Trigger.DELAY_ELAPSED)
_ANY_NUMBER_OF_JOBS: Final = (Trigger.DELAY_ELAPSED, Trigger.TTR_EXPIRED, Trigger.RESERVE, Trigger.CLOSE)


class Broken(NamedTuple):
    """A rule that does not hold, and what was expected instead."""

    rule: str
    expected: str


def broken_by_transition(
    ledger: Ledger, record: TransitionRecord, *, adopting: bool, clients_known: bool
) -> Broken | None:
    """The first rule that a transition breaks; None: it is allowed. O(1).

    `adopting`: jobs that were put before the trace began are taken as they come. Without `clients_known` the clients
    are not compared.
    """
    seq, at, job, tube, source, trigger, target, _ = record
    if ledger.next_seq is not None and seq != ledger.next_seq:
        return Broken("records_are_numbered_without_a_gap", f"transition {ledger.next_seq}")
    if at < ledger.clock:
        return broken_time(ledger)
    if (source, trigger, target) not in _KNOWN:
        return Broken("every_transition_is_an_edge", ways_from(source))
    known = ledger.jobs.get(job)
    if source is JobState.NEW:
        if known is not None or job <= ledger.last_id:
            return Broken("ids_strictly_increase", f"an id greater than {ledger.last_id}")
    elif known is None:
        if not (adopting and (ledger.first_put is None or job < ledger.first_put)):
            return _broken_by_unknown(ledger, job)
    elif source is not known.state:
        return Broken("a_job_continues_where_it_was", ways_from(known.state))
    elif tube != known.tube:
        return Broken("a_job_keeps_its_tube", f"tube {known.tube!r}, where the job was put")
    return _broken_by_client(ledger, record) if clients_known else None


def broken_time(ledger: Ledger) -> Broken:
    """What a record says that lies before the one in front of it."""
    return Broken("time_never_goes_back", f"an instant from {ledger.clock} on")


def _broken_by_unknown(ledger: Ledger, job: int) -> Broken:
    if ledger.state_of(job) is JobState.DELETED:
        return Broken("nothing_follows_a_delete", "no record of a job that is not in the machine any more")
    return Broken("a_life_begins_with_a_put", ways_from(JobState.NEW))


def _broken_by_client(ledger: Ledger, record: TransitionRecord) -> Broken | None:
    """Whether the record names whom it must name."""
    client = record.client
    if record.trigger in _NOBODY:
        expected = None if client is None else "null: no client is involved"
    elif not client:
        expected = "the id of a client"
    else:
        known = ledger.jobs.get(record.job)
        owner = None if known is None else known.owner
        held = record.source is JobState.RESERVED and owner is not None
        expected = f"client {owner!r}, who holds the job" if held and client != owner else None
    return None if expected is None else Broken("the_client_is_the_owner", expected)


def broken_by_own(call: CommandRecord, transitions: list[TransitionRecord], *, clients_known: bool) -> str | None:
    """What is wrong with the transitions before a call that can't be repeated, as an expectation; None: nothing is."""
    if "refused" in call.outcome:
        return None if not transitions else "no transition, since the call was refused"
    job, client = call.args.get("job_id"), call.args.get("client_id")
    for record in transitions:
        if call.op not in OPERATIONS[record.trigger]:
            return f"no transition but {_triggers_of(call.op)}"
        if record.at != call.at:
            return f"transitions at {call.at}, the call's instant"
        own_client = record.trigger not in _NOBODY and call.op not in ("tick", "append_reservation")
        if clients_known and own_client and record.client != client:
            return f"transitions for client {client!r}, who called"
        if record.trigger not in _ANY_NUMBER_OF_JOBS and call.op not in ("put", "kick_n") and record.job != job:
            return f"transitions of job {job}, which was named"
    if call.op in ("put", "delete", "release", "release_with", "touch", "bury", "kick", "reserve_job"):
        return None if len(transitions) == 1 else f"one transition by {_triggers_of(call.op)}"
    if call.op == "kick_n" and len(transitions) != call.outcome["ok"]:
        return f"as many transitions by kick as the call returned, {call.outcome['ok']!r}"
    return None


def _triggers_of(op: str) -> str:
    triggers = [str(trigger) for trigger, operations in OPERATIONS.items() if op in operations]
    return " or ".join(triggers) or "none"


def edges() -> tuple[Transition, ...]:
    """The diagram's edges, in the order of reports."""
    return _EDGES


def ways_from(state: JobState) -> str:
    """The edges that lead out of a state, in words."""
    ways = [f"{edge.trigger} to {edge.target}" for edge in _EDGES if edge.source is state]
    return f"from {state}: {', '.join(ways) or 'nothing'}"
