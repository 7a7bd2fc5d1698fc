"""What an explanation calls possible a machine does, and what it calls refused a machine refuses."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.records import TransitionRecord
from jsm.states import Trigger
from models.verify_guards import Action, actions_on_job, answers_to_client
from models.verify_ledger import Ledger, Wait
from tests.machines import Notes, driver_of, file_of, machine_from, random_history
from tests.random_calls import CLIENTS, TUBES
from tests.recorded import check, only_finding, rows, short_story

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "touch": ("touch", {}),
    "release": ("release", {}),
    "release-delayed": ("release_with", {"priority": 0, "delay_seconds": 1}),
    "bury": ("bury", {"priority": 0}),
    "kick": ("kick", {}),
    "delete": ("delete", {}),
    "reserve-job": ("reserve_job", {}),
}
NEWCOMER = "newcomer"


def machines(seed: int, *, every: int) -> Iterator[Machine]:
    """A machine now and then in a random history."""
    machine = Machine()
    for number, call in enumerate(random_history(seed, calls=240)):
        with contextlib.suppress(JsmError):
            getattr(machine, call.op)(*call.args, **call.kwargs)
        if number % every == 0:
            yield machine


def made_by(file: bytes, op: str, **args: Any) -> tuple[Any, list[TransitionRecord]]:
    """What a call on a twin answers, and which transitions it makes; None and none: it is refused."""
    notes = Notes()
    twin = machine_from([file], observer=notes)
    try:
        answer = getattr(twin, op)(**args)
    except JsmError:
        return None, []
    return answer, [record for record in notes.records if isinstance(record, TransitionRecord)]


def happens(file: bytes, action: Action, job: int, clock: int) -> bool:
    """Whether the machine does the action."""
    name, _, quoted = action.name.partition(" by ")
    client = quoted.strip("'") or None
    if name in CALLS:
        op, more = CALLS[name]
        args: dict[str, Any] = {"job_id": job, "now": clock, **more}
        if op != "kick":
            args["client_id"] = client
        _, made = made_by(file, op, **args)
    elif name == "close":
        _, made = made_by(file, "close_client", client_id=client)
    elif name in ("delay-elapsed", "ttr-expired"):
        _, made = made_by(file, "tick", now=clock)
    elif name == "reserve":
        ledger = Ledger.from_snapshot(machine_from([file]).snapshot())
        tube = ledger.jobs[job].tube if job in ledger.jobs else "nobody"
        ask: dict[str, Any] = {"now": clock, "request_id": "", "tubes": [tube], "deadline_at": clock}
        if client in ledger.waits:  # whose turn it is shows as soon as anybody asks
            asker, ask["tubes"] = "stranger", ["nobody"]
        else:
            asker = client or "stranger"
        _, made = made_by(file, "append_reservation", client_id=asker, **ask)
    else:
        return False  # a put of a given id: only ever a new one
    return any(
        record.job == job and record.trigger == name and (name != "reserve" or record.client == client)
        for record in made
    )


@pytest.mark.parametrize("seed", [1])
def test_every_action_on_a_job_is_as_the_machine_has_it(seed: int) -> None:
    seen: dict[str, set[bool | None]] = {str(trigger): set() for trigger in Trigger}
    for machine in machines(seed, every=21):
        file, clock = file_of(machine), machine.clock
        ledger = Ledger.from_snapshot(machine.snapshot())
        for job in [*ledger.jobs, ledger.last_id + 1, *([1] if 1 not in ledger.jobs else [])]:
            for client in (*CLIENTS[:2], NEWCOMER):
                actions = actions_on_job(ledger, job, client, clock)
                assert {action.name.partition(" by ")[0] for action in actions} == set(Trigger)
                for action in actions:
                    name = action.name.partition(" by ")[0]
                    seen[name].add(action.possible)
                    if name.startswith("put"):
                        assert action.possible is (job > ledger.last_id)
                    else:
                        assert action.possible is happens(file, action, job, clock), (job, action)
    assert [name for name, verdicts in seen.items() if verdicts != {True, False}] == []


def test_exactly_one_answer_is_possible_and_the_machine_gives_it() -> None:
    given: set[str] = set()
    for seed in range(3):
        for machine in machines(seed, every=16):
            file, clock = file_of(machine), machine.clock
            ledger = Ledger.from_snapshot(machine.snapshot())
            for client in CLIENTS:
                for tubes in (TUBES[:1], TUBES[1:]):
                    for deadline_at in (None, clock, clock + 3):
                        ask = {"request_id": "", "tubes": tubes, "deadline_at": deadline_at}
                        answer, _ = made_by(file, "append_reservation", now=clock, client_id=client, **ask)
                        if answer is None:
                            continue  # it waits already
                        actions = answers_to_client(ledger, client, Wait(tuple(tubes), deadline_at), clock)
                        assert [action.name for action in actions if action.possible] == [str(answer.status)]
                        given.add(str(answer.status))
    assert given == {"Matched", "DeadlineSoon", "Timeout", "Queued"}


def test_what_a_trace_does_not_tell_is_open() -> None:
    """Transitions alone know neither ttr nor priority."""
    records = rows("1 0 1 t new put ready -", "2 0 1 t ready reserve reserved a", "3 0 1 t reserved kick ready -")
    actions = {action.name: action.possible for action in only_finding(check(records)).actions}
    assert actions["ttr-expired"] is None
    assert actions["touch by 'a'"] is True
    assert actions["kick"] is False
    ready = rows("1 0 1 t new put ready -", "2 0 1 t ready bury buried a")
    actions = {action.name: action.possible for action in only_finding(check(ready)).actions}
    assert actions["reserve by 'a'"] is None


def test_a_rejection_says_what_would_have_been_legal() -> None:
    """Somebody who doesn't hold the job releases it: nobody but the owner may, and only until its ttr runs out."""
    story = short_story()
    place = next(i for i, each in enumerate(story) if len(each) == 6 and each[3] == "touch")
    story[place] = story[place]._replace(client="b", args={"now": 0, "job_id": 1, "client_id": "b"})  # type: ignore[call-arg]
    shown = [str(action) for action in only_finding(check(story)).actions]
    assert "touch by 'b': refused, job 1 is reserved by 'a' until 5" in shown
    assert "touch by 'a': possible, it leads to reserved" in shown
    assert "reserve-job by 'b': refused, job 1 is reserved, not ready or delayed or buried" in shown
    assert "ttr-expired: refused, job 1 is reserved by 'a' until 5, and it is 0" in shown


def test_a_wrong_answer_of_a_tick_is_explained_by_the_wait() -> None:
    story = short_story()
    place = next(i for i, each in enumerate(story) if len(each) == 6 and each[3] == "tick" and each[1] == 2)
    answers = [{"request_id": "b@1", "client_id": "b", "status": "Timeout", "job_id": 0}]
    story[place] = story[place]._replace(outcome={"ok": answers})  # type: ignore[call-arg]
    finding = only_finding(check(story))
    assert (finding.expected, finding.found) == ('the answer "Matched" at [0].status', '"Timeout" at [0].status')
    assert [str(action) for action in finding.actions] == [
        "Matched: possible, job 3 is the best that is ready for it in 't'",
        "DeadlineSoon: refused, job 3 is ready for it",
        "Timeout: refused, job 3 is ready for it",
        "Queued: refused, job 3 is ready for it",
    ]


def test_a_tick_ends_pauses_before_it_matches() -> None:
    story = short_story()
    place = next(i for i, each in enumerate(story) if len(each) == 6 and each[3] == "tick" and each[1] == 7)
    missing = [*story[: place - 1], story[place]]
    finding = only_finding(check(missing))
    assert finding.expected.endswith("from ready by reserve to reserved for client 'b'")
    best = "no client that waits comes before it, and no job before this one"
    assert f"reserve by 'b': possible, {best}" in [str(action) for action in finding.actions]


def test_who_waits_or_is_owed_an_answer_can_not_ask() -> None:
    machine = Machine()
    d = driver_of(machine)
    d.ask("a", "t")
    d.ask("b", "u")
    d.put("t")
    d.ask("c", "v")  # nobody overtakes a, who is owed an answer from here
    d.put("t")
    ledger = Ledger.from_snapshot(machine.snapshot())
    for client, guard in (("a", "it is owed an answer"), ("b", "it waits for 'u'")):
        (action,) = [each for each in actions_on_job(ledger, 2, client, 0) if each.name == f"reserve by {client!r}"]
        assert (action.possible, action.guard) == (False, guard)


def test_after_a_stop_nothing_is_possible() -> None:
    ledger = Ledger()
    ledger.stopped = True
    assert [str(action) for action in actions_on_job(ledger, 1, "a", 0)] == [
        "every call: refused, the machine was stopped"
    ]
    assert [action.possible for action in answers_to_client(ledger, "a", Wait(("t",), None), 0)] == [False]
