"""Command records: of every call, in order, and enough to repeat a history exactly."""

import contextlib
from itertools import pairwise
from typing import Any

import pytest

from jsm.errors import BadValueError, JsmError
from jsm.job import TubeName
from jsm.machine import Machine
from jsm.observed import OPERATIONS, ObservedMachine, apply
from jsm.records import CommandRecord, TransitionRecord
from jsm.trace import encode_trace, read_trace
from models.calls import Call
from tests.machines import Notes, driver_of, file_of, outcome, random_history
from tests.refusals import CLOCK, build, good_calls, single_faults

GOOD = {good.call.op: good.call for good in good_calls()}


def built() -> tuple[ObservedMachine, Notes]:
    """A machine in the world of the table of refusals, and an observer that starts afresh."""
    notes = Notes()
    machine = ObservedMachine(observer=notes)
    build(driver_of(machine))
    notes.records.clear()
    return machine, notes


def test_the_table_of_calls_has_every_recorded_operation() -> None:
    assert set(OPERATIONS) == {*GOOD, "stop"}


@pytest.mark.parametrize("call", GOOD.values(), ids=lambda call: call.op)
def test_every_operation_is_recorded_after_its_transitions(call: Call) -> None:
    machine, notes = built()
    assert outcome(machine, call)[0] == "ok"
    *transitions, command = notes.records
    assert isinstance(command, CommandRecord)
    assert all(isinstance(record, TransitionRecord) for record in transitions)
    assert (command.op, command.seq, command.at) == (call.op, machine.record_seq, CLOCK)
    assert command.client == call.kwargs.get("client_id")
    assert list(command.outcome) == ["ok"]
    assert set(command.args) == set(call.kwargs)
    if transitions:
        assert transitions[-1].seq == command.seq


@pytest.mark.parametrize("op", GOOD)
def test_every_refusal_is_recorded_with_its_category_class_and_message(op: str) -> None:
    for spoilt in single_faults(op):
        machine, notes = built()
        with pytest.raises(JsmError) as refused:
            getattr(machine, op)(**spoilt.call.kwargs)
        (command,) = notes.records
        assert isinstance(command, CommandRecord)
        assert command.outcome == {
            "refused": spoilt.category,
            "error": type(refused.value).__name__,
            "message": str(refused.value),
        }
        assert (command.op, command.at) == (op, CLOCK)


def test_stop_is_recorded_and_so_is_what_is_refused_after_it() -> None:
    machine, notes = built()
    machine.stop()
    with pytest.raises(JsmError):
        machine.tick(CLOCK)
    told = [(record.op, next(iter(record.outcome))) for record in notes.records if isinstance(record, CommandRecord)]
    assert told == [("stop", "ok"), ("tick", "refused")]


def test_seq_counts_transitions_without_a_gap_and_a_command_names_the_last_one() -> None:
    notes = Notes()
    machine = ObservedMachine(observer=notes)
    for call in random_history(7, calls=120):
        outcome(machine, call)
    last = 0
    for record in notes.records:
        if isinstance(record, TransitionRecord):
            assert record.seq == last + 1
            last = record.seq
        else:
            assert record.seq == last
    assert last == machine.record_seq > 50
    assert all(before.at <= after.at for before, after in pairwise(notes.records))


def test_an_iterator_as_watch_list_is_recorded_and_used() -> None:
    machine, notes = built()
    machine.append_reservation(CLOCK, "e", request_id="r", tubes=iter(["x", "t"]), deadline_at=CLOCK)  # type: ignore[arg-type]
    command = notes.records[-1]
    assert isinstance(command, CommandRecord)
    assert command.args["tubes"] == ["x", "t"]
    assert command.outcome["ok"]["status"] == "Matched"


@pytest.mark.parametrize("seed", range(8))
def test_repeating_the_recorded_calls_gives_the_same_history(seed: int) -> None:
    second = (1, 1000)[seed % 2]
    notes = Notes()
    machine = ObservedMachine(observer=notes, units_per_second=second)
    for call in random_history(2000 + seed, calls=150, second=second):
        outcome(machine, call)
    lines = encode_trace(notes.records, units_per_second=second)
    from_file = list(read_trace(list(lines)).records)
    assert from_file == notes.records
    for records in (notes.records, from_file):
        repeated = Notes()
        twin = ObservedMachine(observer=repeated, units_per_second=second)
        for record in records:
            if isinstance(record, CommandRecord):
                assert apply(twin, record) == record.outcome
        assert repeated.records == notes.records
        assert file_of(twin) == file_of(machine)


@pytest.mark.parametrize("seed", range(4))
def test_an_observer_changes_nothing(seed: int) -> None:
    alone, watched, told = Machine(), Machine(observer=Notes()), ObservedMachine(observer=Notes())
    for call in random_history(3000 + seed, calls=100):
        assert outcome(alone, call) == outcome(watched, call) == outcome(told, call)
        assert file_of(alone) == file_of(watched) == file_of(told)
        assert alone.next_tick_at() == watched.next_tick_at() == told.next_tick_at()


def test_a_body_of_any_bytes_is_repeated_exactly() -> None:
    notes = Notes()
    machine = ObservedMachine(observer=notes)
    body = b" \n" + bytes(range(256)) + b"\r\n "
    job_id = driver_of(machine).put(body=body)
    command = notes.records[-1]
    assert isinstance(command, CommandRecord)
    twin = Machine()
    apply(twin, command)
    assert [record.body for record in (twin.get_job(job_id), machine.get_job(job_id))] == [body, body]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("op", "args", "field"),
    [("explode", {}, "op"), ("_tell", {}, "op"), ("tick", {}, "args"), ("tick", {"now": 1, "extra": 2}, "args")],
)
def test_a_call_that_does_not_exist_is_refused(op: str, args: dict[str, int], field: str) -> None:
    machine = Machine()
    with pytest.raises(BadValueError) as refused:
        apply(machine, CommandRecord(0, 0, None, op, args, {"ok": None}))
    assert refused.value.field == field
    assert machine.clock == 0


def test_internal_looks_are_not_recorded() -> None:
    machine, notes = built()
    machine.next_tick_at()
    machine.count_jobs()
    list(machine.snapshot().snapshot_jobs())
    assert notes.records == []


def test_an_observer_that_raises_stops_the_caller() -> None:
    class Full(Notes):
        def command(self, record: CommandRecord) -> None:
            raise OSError("no space left")

    machine = ObservedMachine(observer=Full())
    with pytest.raises(OSError, match="no space"):
        machine.tick(0)
    with contextlib.suppress(OSError):
        machine.tick(1)
    assert machine.clock == 1


def test_operations_of_a_subclass_are_the_recorded_ones() -> None:
    class Deaf(Machine):
        def put(self, now: int, **fields: Any) -> Any:
            return super().put(now, **{**fields, "priority": 7})

    notes = Notes()
    machine = ObservedMachine(observer=notes, make_machine=Deaf)
    job_id = machine.put(0, priority=1, delay_seconds=0, ttr_seconds=1, body=b"", tube=TubeName("default"))
    assert machine.get_job(job_id).priority == 7
