"""What would have been possible at a point of a trace: each action with the guard that refuses it, or none.

An explanation of a rejected record lists, for its job, all triggers of the state diagram, and for a client that asks or
waits the four answers. Everything comes from a ledger, so where a trace doesn't tell enough, the action is open
(`possible` is None) and the guard says what it depends on. A test holds the explanations against a machine.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import TRANSITIONS
from models.graph import OWNERS_TRIGGERS
from models.verify_ledger import Known, Ledger, Wait
from models.verify_replay import LOOKS, Fault, Repeated

if TYPE_CHECKING:
    from jsm.records import CommandRecord


class Action(NamedTuple):
    """Something that could be done, or could not."""

    name: str
    possible: bool | None  # None: the trace doesn't tell
    guard: str  # what refuses it, or what it depends on; what it would do where it is possible

    def __str__(self) -> str:
        verdict = {True: "possible", False: "refused", None: "open"}[self.possible]
        return f"{self.name}: {verdict}, {self.guard}"


def actions_on_job(ledger: Ledger, job: int, client: str | None, at: int) -> tuple[Action, ...]:
    """Every trigger of the state diagram for a job, as `client` (None: nobody in particular) at an instant.

    What only the owner may do is listed for the client, and for the owner too where that is another.
    """
    if ledger.stopped:
        return (Action("every call", False, "the machine was stopped"),)
    known = ledger.jobs.get(job)
    if known is None:
        return tuple(_actions_on_none(ledger, job))
    return tuple(_actions_on_known(ledger, job, known, client, at))


def answers_to_client(ledger: Ledger, client: str, wait: Wait, at: int) -> tuple[Action, ...]:
    """The four answers to a client that asks, or waits, at an instant, with the guard of each. O(live jobs)."""
    if ledger.stopped:
        return (Action("every answer", False, "the machine was stopped"),)
    return tuple(_answers(ledger, client, wait, at))


def actions_on_fault(
    ledger: Ledger, repeated: Repeated, record: "CommandRecord", fault: Fault, client: str | None
) -> tuple[Action, ...]:
    """What a call could have done: to the fault's job as `client`, and for the client that asks or waits.

    Empty for looks, and for a fault in how the call was noted.
    """
    if fault.rule not in ("calls_make_the_specified_transitions", "calls_end_as_specified") or record.op in LOOKS:
        return ()
    at = max(record.at, ledger.clock)
    actions = () if fault.job is None else actions_on_job(ledger, fault.job, client, at)
    if "ok" not in repeated.outcome:
        return actions
    wait = None
    if record.op == "append_reservation":
        args = repeated.call.args
        client, wait = args["client_id"], Wait(tuple(dict.fromkeys(args["tubes"])), args["deadline_at"])
    elif record.op == "tick":
        client = _client_apart(repeated.outcome["ok"], record.outcome.get("ok"))
        wait = ledger.waits.get(client or "")
    if client is None or wait is None:
        return actions
    return actions + answers_to_client(ledger, client, wait, at)


def _client_apart(expected: list[dict[str, Any]], found: object) -> str | None:
    """The client of the first answer that differs."""
    recorded = found if isinstance(found, list) else []
    for place, answer in enumerate(expected):
        if place == len(recorded) or answer != recorded[place]:
            return str(answer["client_id"])
    if len(recorded) > len(expected) and isinstance(recorded[len(expected)], dict):
        return str(recorded[len(expected)].get("client_id"))
    return None


def _actions_on_none(ledger: Ledger, job: int) -> Iterator[Action]:
    """The actions on an id that no live job has."""
    new = job > ledger.last_id
    missing = f"no put has had the id {job} yet" if new else f"no live job has the id {job}"
    ids = f"the greatest id so far is {ledger.last_id}"
    for trigger in Trigger:
        if trigger in TRANSITIONS[JobState.NEW]:
            yield Action(str(trigger), new, ids if new else f"{ids}, and ids are never used again")
        else:
            yield Action(str(trigger), False, missing)


def _actions_on_known(ledger: Ledger, job: int, known: Known, client: str | None, at: int) -> Iterator[Action]:
    state = known.state
    for trigger in Trigger:
        target = TRANSITIONS[state].get(trigger)
        by = trigger in OWNERS_TRIGGERS or (trigger is Trigger.DELETE and state is JobState.RESERVED)
        named = by or trigger in (Trigger.RESERVE_JOB, Trigger.DELETE)
        name = f"{trigger} by {client!r}" if client is not None and named else str(trigger)
        if target is None:
            yield Action(name, False, f"job {job} is {state}, {_wants(trigger)}")
        elif by:
            yield from _by_owner(trigger, job, known, client, target)
        elif trigger in (Trigger.DELAY_ELAPSED, Trigger.TTR_EXPIRED):
            yield _when_due(trigger, job, known, at)
        elif trigger is Trigger.RESERVE:
            yield from _reserve(ledger, job, known, client)
        else:
            yield Action(name, True, f"it leads to {target}")


def _by_owner(trigger: Trigger, job: int, known: Known, client: str | None, target: JobState) -> Iterator[Action]:
    """What only the owner of the reserved job may do."""
    if known.owner is None:
        yield Action(f"{trigger} by {client!r}" if client is not None else str(trigger), None, "the owner is not known")
        return
    if client not in (None, known.owner):
        yield Action(f"{trigger} by {client!r}", False, _is(job, known))
    yield Action(f"{trigger} by {known.owner!r}", True, f"it leads to {target}")


def _when_due(trigger: Trigger, job: int, known: Known, at: int) -> Action:
    """What a tick does once an instant is reached."""
    what = "delay" if trigger is Trigger.DELAY_ELAPSED else "ttr"
    if known.due_at is None:
        return Action(str(trigger), None, f"the trace doesn't tell when the {what} ends")
    if at < known.due_at:
        return Action(str(trigger), False, f"{_is(job, known)}, and it is {at}")
    return Action(str(trigger), True, f"the {what} ended at {known.due_at}: a tick at {at} makes the job ready")


def _reserve(ledger: Ledger, job: int, known: Known, client: str | None) -> Iterator[Action]:
    """Who gets a ready job: the client that waits longest for it, else one that asks now."""
    name = str(Trigger.RESERVE)
    by_client = name if client is None else f"{name} by {client!r}"
    paused = _paused(ledger, known.tube)
    if paused or known.priority is None:
        guard = paused or "the trace doesn't tell the priorities of the ready jobs"
        yield Action(by_client, False if paused else None, guard)
        return
    ready = ledger.ready()
    matches = ledger.matches(ready)
    first = matches.get(job)
    if first is not None:
        if client not in (None, first):
            yield Action(by_client, False, f"client {first!r} waits for it, and asked first")
        yield Action(f"{name} by {first!r}", True, "no client that waits comes before it, and no job before this one")
        return
    if client in ledger.waits or client in ledger.owed:
        guard = (
            f"it waits for {_named(ledger.waits[client].tubes)}" if client in ledger.waits else "it is owed an answer"
        )
        yield Action(by_client, False, guard)
        return
    better = next((each for each in ready if each not in matches and ledger.jobs[each].tube == known.tube), job)
    if better == job:
        yield Action(by_client, True, f"a client that asks for tube {known.tube!r} alone gets the job")
    else:
        priority = ledger.jobs[better].priority
        yield Action(by_client, False, f"job {better} with priority {priority} comes before it, of {known.priority}")


def _answers(ledger: Ledger, client: str, wait: Wait, at: int) -> Iterator[Action]:
    ready = ledger.ready()
    matches = ledger.matches(ready)
    mine = client if client in ledger.waits else None  # who waits is served in turn, who asks gets what is left
    best = next((job for job in ready if matches.get(job) == mine and ledger.jobs[job].tube in wait.tubes), None)
    tubes = _named(wait.tubes)
    if any(ledger.jobs[job].priority is None for job in ready):
        yield Action("Matched", None, "the trace doesn't tell the priorities of the ready jobs")
    elif best is not None:
        yield Action("Matched", True, f"job {best} is the best that is ready for it in {tubes}")
    else:
        paused = "".join(f"; {reason}" for reason in (_paused(ledger, tube) for tube in wait.tubes) if reason)
        yield Action("Matched", False, f"no job is ready for it in {tubes}{paused}")
    held = [(known.due_at, job) for job, known in ledger.held_by(client) if known.due_at is not None]
    soonest, job = min(held, default=(None, 0))
    matched = f"job {best} is ready for it" if best is not None else ""
    soon = soonest is not None and soonest - at <= ledger.units_per_second
    if soonest is None:
        yield Action("DeadlineSoon", False, matched or f"client {client!r} holds no job that the trace tells of")
    else:
        guard = f"job {job}, which {client!r} holds, expires at {soonest}, and it is {at}"
        yield Action("DeadlineSoon", soon and not matched, matched or guard)
    before = matched or (f"job {job}, which {client!r} holds, expires at {soonest}" if soon else "")
    ends = "it waits for ever" if wait.deadline_at is None else f"its deadline is {wait.deadline_at}, and it is {at}"
    late = wait.deadline_at is not None and wait.deadline_at <= at
    yield Action("Timeout", late and not before, before or ends)
    yield Action("Queued", not late and not before, before or ends)


def _paused(ledger: Ledger, tube: str) -> str:
    """Why a tube's jobs are not matched; empty: they are."""
    return f"tube {tube!r} is paused until a tick at {ledger.pauses[tube]} or later" if tube in ledger.pauses else ""


def _named(tubes: Iterable[str]) -> str:
    return ", ".join(map(repr, tubes))


def _is(job: int, known: Known) -> str:
    """Where a job is, in words."""
    until = "" if known.due_at is None else f" until {known.due_at}"
    owner = "" if known.owner is None else f" by {known.owner!r}"
    return f"job {job} is {known.state}{owner}{until}"


def _wants(trigger: Trigger) -> str:
    """From which states a trigger leads on, in words."""
    states = [str(state) for state in LIVE_STATES if trigger in TRANSITIONS[state]]
    return f"not {' or '.join(states)}" if states else "and put already"
