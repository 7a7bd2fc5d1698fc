"""A ledger that follows a trace knows what a snapshot of the machine would say."""

import contextlib

import pytest

from jsm.errors import JsmError
from jsm.observed import ObservedMachine
from models.verify_ledger import Ledger
from models.verify_records import TraceVerifier
from tests.machines import Notes, driver_of, random_history


def _seen(ledger: Ledger) -> tuple[object, ...]:
    waits = [*ledger.waits.items(), *ledger.owed.items()]
    return dict(sorted(ledger.jobs.items())), waits, ledger.pauses, ledger.last_id, ledger.next_seq, ledger.clock


@pytest.mark.parametrize("kind", ["both", "calls"])
@pytest.mark.parametrize("seed", [1, 2])
def test_after_every_call_it_is_the_ledger_of_the_snapshot(seed: int, kind: str) -> None:
    notes, verifier = Notes(), TraceVerifier()
    machine = ObservedMachine(observer=notes)
    for call in random_history(seed, calls=250):
        with contextlib.suppress(JsmError):
            getattr(machine, call.op)(*call.args, **call.kwargs)
        for record in notes.records[-1:] if kind == "calls" else notes.records:
            verifier.take(record)
        notes.records.clear()
        assert not verifier.is_done
        followed, expected = verifier._ledger, Ledger.from_snapshot(machine.snapshot())
        followed.keep_pauses(expected.pauses)  # which of them exist is asked of the machine
        assert _seen(followed) == _seen(expected)


def test_records_can_be_taken_back() -> None:
    machine = ObservedMachine(observer=Notes())
    machine.put(0, priority=1, delay_seconds=0, ttr_seconds=1, body=b"", tube="t")  # type: ignore[arg-type]
    ledger = Ledger.from_snapshot(machine.snapshot())
    before = _seen(ledger)
    notes = Notes()
    other = ObservedMachine(observer=notes)
    for call in random_history(3, calls=60):
        with contextlib.suppress(JsmError):
            getattr(other, call.op)(*call.args, **call.kwargs)
    for record in notes.records:
        if len(record) == 8:
            ledger.take(record)
    assert _seen(ledger) != before
    ledger.roll_back()
    assert _seen(ledger) == before


def test_who_is_served_next_is_as_the_specification_has_it() -> None:
    """The best job goes first, to who asked first for its tube; nobody is served twice."""
    machine = ObservedMachine(observer=Notes())
    d = driver_of(machine)
    for client, *tubes in (("a", "t", "u"), ("b", "u"), ("c", "t", "v")):
        d.ask(client, *tubes)
    d.put("u", pri=1)
    d.put("u", pri=0)
    d.put("t", pri=2)
    ledger = Ledger.from_snapshot(machine.snapshot())
    assert ledger.ready() == [2, 1, 3]
    assert ledger.matches(ledger.ready()) == {2: "a", 1: "b", 3: "c"}
    assert d.tick() == ["a matched 2", "b matched 1", "c matched 3"]
