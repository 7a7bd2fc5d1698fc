"""A machine that is checked at every call: quiet while all holds, loud at the first thing that does not."""

import contextlib
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import pytest

from jsm.errors import BadValueError, InvariantViolation, JsmError
from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.records import CommandRecord, TransitionRecord
from jsm.reservations import Reservation
from jsm.snapshot_codec import encode_snapshot, restore_snapshot
from models.calls import Call, plain
from models.checked import SHOWN_CALLS_MAX, CheckedMachine, spec_of
from models.spec_world import Refused
from tests.driver import Driver
from tests.machines import Notes, full_machine, parts_of, restore
from tests.mutants.exhibit import RELOAD, Exhibit, put, take, tick
from tests.mutants.museum import EXHIBITS
from tests.random_calls import random_call
from tests.rules_jobs import JOB_RULES
from tests.rules_reserve import RESERVE_RULES
from tests.rules_time import TIME_RULES

if TYPE_CHECKING:
    from jsm.interface import JSM


def do(machine: CheckedMachine, call: Call) -> object:
    """Make a call; a restore of the machine's own snapshot, too."""
    if call == RELOAD:
        source = Machine()
        restore(source, parts_of(machine.observed.machine))
        snapshot = machine.snapshot()
        parts = parts_of(source)
        snapshot.restore_header(parts.header)
        snapshot.restore_jobs(iter(parts.jobs))
        snapshot.restore_clients(iter(parts.clients))
        snapshot.finalize_restore()
        return None
    try:
        return plain(getattr(machine, call.op)(*call.args, **call.kwargs))
    except JsmError as error:
        raise Refused(str(error.refusal)) from error


@pytest.mark.parametrize("second", [1, 4])
@pytest.mark.parametrize("history", [*JOB_RULES, *RESERVE_RULES, *TIME_RULES], ids=lambda history: history.__name__)
def test_rule(history: Callable[[Driver], None], second: int) -> None:
    machine = CheckedMachine(units_per_second=second)
    history(Driver(lambda call: do(machine, call), second=second))
    assert machine.violation is None


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: f"{exhibit.number}-{exhibit.name}")
def test_a_planted_fault_is_noticed_at_its_call(exhibit: Exhibit) -> None:
    """As far as calls show it; what only looks show is not asked for here."""
    machine = CheckedMachine(make_machine=exhibit.machine, units_per_second=exhibit.units_per_second)
    quiet: list[Call] = []
    for call in exhibit.calls:
        with contextlib.suppress(Refused, InvariantViolation):
            do(machine, call)
        if machine.violation is not None:
            break
        quiet.append(call)
    shown_by_looks = {"J22", "J23", "J31", "J51", "J55", "J80"}
    if exhibit.number in shown_by_looks:
        assert machine.violation is None or quiet == list(exhibit.calls[:-1])
    else:
        assert quiet == list(exhibit.calls[:-1])


def test_the_whole_interface_is_there() -> None:
    machine: JSM = CheckedMachine(units_per_second=3, max_job_size=9)
    assert isinstance(machine, CheckedMachine)
    assert (machine.clock, machine.units_per_second, machine.max_job_size, machine.record_seq) == (0, 3, 9, 0)
    do(machine, put(3, delay=1))
    assert (machine.clock, machine.record_seq, machine.next_tick_at()) == (3, 1, 6)
    assert machine.count_jobs(TubeName("default")) == {"ready": 0, "delayed": 1, "reserved": 0, "buried": 0}
    assert machine.calls == [put(3, delay=1)]


class Rude(Machine):
    """A machine that crashes, or says nonsense, when it is asked for statistics."""

    __slots__ = ()

    def get_stats_tube_as_yaml(self, now: int, tube: TubeName) -> bytes:
        raise ZeroDivisionError

    def get_stats_job_as_yaml(self, now: int, job_id: JobID) -> bytes:
        super().get_stats_job_as_yaml(now, job_id)
        return b"none"


def test_a_crash_is_a_violation_too() -> None:
    machine = CheckedMachine(make_machine=Rude)
    with pytest.raises(ZeroDivisionError):
        machine.get_stats_tube_as_yaml(0, TubeName("default"))
    assert machine.violation is not None
    assert str(machine.violation).startswith("crash: get_stats_tube_as_yaml raised ZeroDivisionError()")


def test_statistics_that_are_none_are_a_violation() -> None:
    machine = CheckedMachine(make_machine=Rude)
    do(machine, put())
    with pytest.raises(InvariantViolation, match="the first line is 'none'"):
        machine.get_stats_job_as_yaml(0, JobID(1))


class Late(Machine):
    """A machine that forgets to answer."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        super().tick(now)
        return []


def test_the_first_violation_stays_when_it_is_swallowed() -> None:
    machine = CheckedMachine(make_machine=Late)
    for client in "ab":
        machine.append_reservation(
            0, ClientID(client), request_id="r", tubes=iter([TubeName("t")]), deadline_at=machine.clock + 1
        )
    with pytest.raises(InvariantViolation) as found:
        machine.tick(1)
    with contextlib.suppress(InvariantViolation):
        machine.tick(1)
    assert machine.violation is found.value
    assert found.value.__notes__[0].startswith("the calls:\n  append_reservation(0, 'a', request_id='r', tubes=('t',)")


def test_a_violation_shows_the_last_calls() -> None:
    machine = CheckedMachine(make_machine=Late)
    for now in range(SHOWN_CALLS_MAX):
        machine.tick(now)
    do(machine, Call("append_reservation", (11, "a"), {"request_id": "r", "tubes": ["t"], "deadline_at": 12}))
    with pytest.raises(InvariantViolation) as found:
        machine.tick(12)
    head, *shown = found.value.__notes__[0].splitlines()
    assert head == "the last 12 of 14 calls:"
    assert [line.split("(")[0].strip() for line in shown] == ["tick"] * 10 + ["append_reservation", "tick"]


def test_an_observer_sees_both_kinds_of_records() -> None:
    notes = Notes()
    machine = CheckedMachine(observer=notes)
    do(machine, put())
    with pytest.raises(Refused):
        do(machine, take(0, 2, "a"))
    kinds = [type(record) for record in notes.records]
    assert kinds == [TransitionRecord, CommandRecord, CommandRecord]


def test_statistics_of_the_process_are_the_callers_own() -> None:
    machine = CheckedMachine()
    machine.get_stats_as_yaml(0, {"pid": 7})
    machine.get_stats_as_yaml(now=1, process={"pid": 7})
    with pytest.raises(BadValueError):
        machine.get_stats_as_yaml(2, {"no such key": 7})
    machine.tick(1)
    assert machine.violation is None


def test_a_stopped_machine_is_checked_too() -> None:
    machine = CheckedMachine()
    machine.stop()
    with pytest.raises(Refused, match="stopped"):
        do(machine, tick(1))
    assert machine.violation is None


def test_a_restore_is_followed() -> None:
    file = b"".join(encode_snapshot(full_machine().snapshot()))
    machine = CheckedMachine()
    do(machine, put())
    restore_snapshot(machine.snapshot(), [file])
    assert b"".join(encode_snapshot(machine.snapshot())) == file
    random, spec = Random(5), spec_of(machine.observed.machine)
    for _ in range(60):
        call = random_call(random, spec)
        with contextlib.suppress(Refused):
            do(machine, call)
        spec = spec_of(machine.observed.machine)
    assert machine.violation is None


def test_a_cancelled_restore_changes_nothing() -> None:
    machine = CheckedMachine()
    do(machine, put())
    snapshot = machine.snapshot()
    snapshot.restore_header(full_machine().snapshot().header())
    snapshot.cancel_restore()
    do(machine, take(0, 1, "a"))
    assert machine.violation is None
