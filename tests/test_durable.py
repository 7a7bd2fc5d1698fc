"""A durable machine answers as a machine does, and what it answered is there after every end of its process."""

import json
from pathlib import Path
from typing import Any

import pytest

from jsm.errors import BadValueError, InvariantViolation, SnapshotError, StoppedError
from jsm.job import ClientID, JobID, TubeName
from jsm.journal import DurableMachine, JournalError
from jsm.journal.recovery import CHANGING_OPERATIONS
from jsm.machine import Machine
from jsm.records import CommandRecord, TransitionRecord
from jsm.states import JobState
from models.calls import Call
from tests.journalled import HISTORY, IN_VAIN, ask, made, opened, put, recovered_state, restart, state_of
from tests.machines import Notes, Parts, random_history
from tests.simulated_disk import SimulatedDisk

DEFAULT = TubeName("default")


def test_the_history_has_each_operation_of_the_journal() -> None:
    assert {call.op for call in HISTORY} == CHANGING_OPERATIONS


def test_it_answers_as_a_machine_and_recovers_as_one() -> None:
    disk, machine = SimulatedDisk(), Machine()
    durable = opened(disk)
    for call in HISTORY:
        assert made(durable, call) == made(machine, call), call
        durable.before_replies()
    assert state_of(durable) == state_of(machine)
    again = opened(disk.survivor())
    assert state_of(again) == recovered_state(HISTORY)
    assert again.warnings == ()


@pytest.mark.parametrize("seed", range(12))
def test_random_histories_are_answered_alike_and_recovered(seed: int) -> None:
    disk, machine = SimulatedDisk(), Machine(units_per_second=4)
    durable = opened(disk, units_per_second=4, file_size=20_000)
    calls = random_history(seed, calls=400, second=4)
    for call in calls:
        assert made(durable, call) == made(machine, call), call
        durable.before_replies()
    assert state_of(durable) == state_of(machine)
    again = opened(disk.survivor(), units_per_second=4, file_size=20_000)
    assert state_of(again) == restart(machine)
    assert len(machine.snapshot().header().tubes) > 1


# ---------------------------------------------------------------------- what is written


def written(disk: SimulatedDisk) -> list[dict[str, Any]]:
    """The lines of the last journal file."""
    name = max(name for name in disk.seen if name.startswith("journal."))
    return [json.loads(line) for line in bytes(disk.seen[name].seen).rstrip(b"\0").splitlines()]


def test_only_calls_that_change_something_are_written() -> None:
    disk = SimulatedDisk()
    durable = opened(disk, file_size=100_000)
    for call in HISTORY:
        made(durable, call)
    ops = [line["op"] for line in written(disk)[1:]]
    assert ops == [call.op for call in HISTORY if call not in IN_VAIN]
    before = disk.calls
    for look in (
        Call("tick", (21,)),  # nothing is due
        Call("peek_ready_job", ("t",)),
        Call("peek_delayed_job", ("t",)),
        Call("peek_buried_job", ("default",)),
        Call("get_job", (5,)),
        Call("check_client_state", (["e"],)),
        Call("get_tubes"),
        Call("get_stats_job_as_yaml", (22, 5)),
        Call("get_stats_tube_as_yaml", (22, "t")),
        Call("get_stats_as_yaml", (22,)),
        Call("count_command", ("list-tubes",)),
        Call("next_tick_at"),
        Call("count_jobs", ("t",)),
    ):
        assert made(durable, look)[0] in ("ok", "NoJobInStateError"), look
    assert disk.calls == before
    assert (durable.clock, durable.units_per_second, durable.max_job_size) == (22, 1, 65_535)


def test_a_tick_that_is_due_and_an_answer_that_took_a_job_are_written() -> None:
    """An append that serves an earlier waiter changes something, whatever its own answer."""
    disk = SimulatedDisk()
    durable = opened(disk, file_size=100_000)
    for call in (ask(0, "a"), put(0), ask(0, "b", until=0)):
        made(durable, call)
    assert [line["op"] for line in written(disk)[1:]] == ["append_reservation", "put", "append_reservation"]
    assert [answer.job_id for answer in durable.tick(0)] == [1]
    assert written(disk)[-1]["op"] == "tick"


def test_every_body_comes_back_byte_for_byte() -> None:
    disk = SimulatedDisk()
    durable = opened(disk, file_size=10_000)
    bodies = [bytes([value]) for value in range(256)]
    bodies += [bytes(range(256)), "\N{SNOWMAN}\U0001f40d".encode(), b'"},"crc":"00000000"}', b"\r\n", b""]
    for body in bodies:
        durable.put(0, priority=0, delay_seconds=0, ttr_seconds=1, body=body, tube=DEFAULT)
    again = opened(disk.survivor())
    assert [again.get_job(JobID(number)).body for number in range(1, len(bodies) + 1)] == bodies


def test_ids_of_any_characters_come_back() -> None:
    disk = SimulatedDisk()
    durable = opened(disk, file_size=10_000)
    durable.put(0, priority=0, delay_seconds=0, ttr_seconds=1, body=b"", tube=DEFAULT)
    durable.append_reservation(
        0, ClientID('\N{SNOWMAN}\0"\n'), request_id="\U0001f40d\\", tubes=[DEFAULT], deadline_at=None
    )
    durable.delete(JobID(1), ClientID('\N{SNOWMAN}\0"\n'))
    assert opened(disk.survivor()).count_jobs()[JobState.READY] == 0
    for half in ("\ud83d", "\ud83d\ude00"):
        with pytest.raises(BadValueError, match="whole characters: the journal keeps UTF-8"):
            durable.close_client(ClientID(half))


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None, b"1", [1]])
def test_what_the_machine_refuses_for_its_type_is_refused_in_its_words(wrong: Any) -> None:
    disk = SimulatedDisk()
    durable, machine = opened(disk), Machine()
    for call in HISTORY[:20]:
        assert made(durable, call) == made(machine, call)
    for call in HISTORY:
        for place in range(len(call.args)):
            spoilt = call._replace(args=(*call.args[:place], wrong, *call.args[place + 1 :]))
            if type(wrong) is not type(call.args[place]):
                assert made(durable, spoilt) == made(machine, spoilt), spoilt
        for name in call.kwargs:
            spoilt = call._replace(kwargs={**call.kwargs, name: wrong})
            if type(wrong) is not type(call.kwargs[name]):
                assert made(durable, spoilt) == made(machine, spoilt), spoilt
    assert state_of(durable) == state_of(machine)
    assert state_of(opened(disk.survivor())) == restart(machine)


def test_buffers_and_iterators_are_copied() -> None:
    disk, machine = SimulatedDisk(), Machine()
    durable = opened(disk)
    for body in (bytearray(b"ab"), memoryview(b"cd")):
        for each in (durable, machine):
            each.put(0, priority=0, delay_seconds=0, ttr_seconds=1, body=body, tube=DEFAULT)  # type: ignore[arg-type]  # buffers are taken too
    answers = [
        each.append_reservation(0, ClientID("a"), request_id="", tubes=iter([DEFAULT, DEFAULT]), deadline_at=0)
        for each in (durable, machine)
    ]
    assert answers[0] == answers[1]
    assert answers[0].body == b"ab"
    assert opened(disk.survivor()).get_job(JobID(2)).body == b"cd"


def test_limits_are_refused_in_the_machines_words() -> None:
    disk = SimulatedDisk()
    durable, machine = opened(disk, max_job_size=3), Machine(max_job_size=3)
    for call in (
        put(0, b"four"),
        put(0, b"", priority=2**32),
        put(0, b"", tube="-"),
        Call("bury", (0, 1, ""), {"priority": 0}),
        Call("kick_n", ("t", -1)),
        Call("append_reservation", (0, "a"), {"request_id": "", "tubes": [], "deadline_at": 0}),
        Call("append_reservation", (0, "a"), {"request_id": "", "tubes": ["t"], "deadline_at": -1}),
    ):
        assert made(durable, call) == made(machine, call), call
        assert made(durable, call)[0] != "ok"
    assert len(written(disk)) == 1
    before = disk.calls
    made(durable, put(0, b"four"))
    assert disk.calls == before, "what is too big is not written first"
    put_at_5 = put(5, b"")
    assert made(durable, put_at_5) == made(machine, put_at_5)
    for call in (put(4, b""), Call("tick", (4,)), ask(4, "a"), Call("touch", (4, 1, "a"))):
        assert made(durable, call) == made(machine, call), call
        assert made(durable, call)[0] == "TimeBackwardsError"


def test_a_machine_that_accepts_what_was_not_written_is_a_bug() -> None:
    durable = opened(SimulatedDisk())

    class Careless(Machine):
        __slots__ = ()

        def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
            """Accept anything."""

    durable.inner = Careless()
    with pytest.raises(InvariantViolation, match="the_journal_holds_every_accepted_call: delete accepted"):
        durable.delete(JobID(True), ClientID("a"))


# ---------------------------------------------------------------------- what goes with it


def test_a_snapshot_is_read_and_not_restored() -> None:
    durable = opened(SimulatedDisk())
    made(durable, put(0))
    made(durable, ask(0, "a"))
    snapshot = durable.snapshot()
    parts = Parts(snapshot.header(), list(snapshot.snapshot_jobs()), list(snapshot.snapshot_clients()))
    with pytest.raises(SnapshotError, match="the journal would not know"):
        snapshot.restore_header(parts.header)
    with pytest.raises(SnapshotError, match="nothing to restore"):
        snapshot.restore_jobs(parts.jobs)
    with pytest.raises(SnapshotError, match="nothing to restore"):
        snapshot.restore_clients(parts.clients)
    snapshot.cancel_restore()
    with pytest.raises(SnapshotError, match="nothing to restore"):
        snapshot.finalize_restore()
    assert state_of(durable).jobs == parts.jobs


def test_an_observer_sees_calls_and_transitions_from_the_start_on() -> None:
    disk = SimulatedDisk()
    with opened(disk, file_size=100_000) as durable:
        for call in HISTORY:
            made(durable, call)
    notes = Notes()
    again = opened(disk.survivor(), observer=notes)
    assert notes.records == []
    seq = again.record_seq
    made(again, put(30, b"new"))
    made(again, ask(31, "w"))
    assert [type(record).__name__ for record in notes.records] == [
        "TransitionRecord", "CommandRecord", "TransitionRecord", "CommandRecord"
    ]  # fmt: skip
    assert notes.records[0].seq == seq + 1


def test_an_observers_error_does_not_take_a_record_back() -> None:
    class Full:
        def transition(self, record: TransitionRecord) -> None:
            """Fail as a trace file does."""
            raise JournalError(Path("trace"), "can't write the trace", OSError("No space left on device"))

        def command(self, record: CommandRecord) -> None:
            """Never comes to it."""

    disk = SimulatedDisk()
    durable = opened(disk, observer=Full())
    with pytest.raises(JournalError, match="trace"):
        made_or_raised(durable, put(0, b"kept"))
    assert opened(disk.survivor()).get_job(JobID(1)).body == b"kept"


def made_or_raised(durable: DurableMachine, call: Call) -> None:
    """Make a call."""
    getattr(durable, call.op)(*call.args, **call.kwargs)


def test_what_is_stopped_or_closed_refuses() -> None:
    disk = SimulatedDisk()
    durable = opened(disk)
    made(durable, put(0))
    durable.stop()
    with pytest.raises(StoppedError):
        made_or_raised(durable, put(0))
    with pytest.raises(StoppedError):
        durable.tick(5)
    assert len(state_of(opened(disk.survivor())).jobs) == 1
    closed = opened(disk.survivor())
    closed.close()
    closed.close()
    with pytest.raises(JournalError, match="the journal is closed"):
        made_or_raised(closed, put(0))
    assert closed.count_jobs()[JobState.READY] == 1
    closed.before_replies()


def test_the_statistics_are_those_of_the_journal() -> None:
    disk = SimulatedDisk()
    durable = opened(disk, file_size=100_000)
    assert durable.statistics() == {
        "binlog-oldest-index": 1,
        "binlog-current-index": 1,
        "binlog-records-migrated": 0,
        "binlog-records-written": 0,
        "binlog-max-size": 100_000,
    }
    for call in HISTORY:
        made(durable, call)
    durable.compact()
    made(durable, put(30))
    assert durable.statistics() == {
        "binlog-oldest-index": 2,
        "binlog-current-index": 2,
        "binlog-records-migrated": len(state_of(durable).jobs) - 1,
        "binlog-records-written": len(HISTORY) - len(IN_VAIN) + 1,
        "binlog-max-size": 100_000,
    }
    text = durable.get_stats_as_yaml(30, durable.statistics())
    assert b"binlog-current-index: 2\n" in text
