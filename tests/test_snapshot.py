"""Snapshot and restore: a twin that goes on exactly as the original, streams that are lazy, damage that is refused."""

import tracemalloc
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from jsm.errors import CancelledError, SnapshotChangedError, SnapshotError, StoppedError
from jsm.interface import JobRecord
from jsm.machine import Machine
from jsm.statistics import COMMAND_NAMES
from models.calls import Call, state_of_machine
from tests.machines import (
    Notes,
    busy_machine,
    driver_of,
    file_of,
    full_machine,
    machine_from,
    outcome,
    parts_of,
    random_history,
    restore,
)
from tests.refusals import CLOCK, good_calls


class Step(NamedTuple):
    """What a machine showed when a call was made."""

    outcome: tuple[str, Any]
    records: int
    next_tick_at: int | None
    file: bytes


def run(machine: Machine, notes: Notes, calls: list[Call]) -> list[Step]:
    """Make the calls; everything that could be seen after each."""
    return [
        Step(outcome(machine, call), len(notes.records), machine.next_tick_at(), file_of(machine)) for call in calls
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_restored_machine_goes_on_as_the_original_from_every_step(seed: int) -> None:
    second = (1, 1000)[seed % 2]
    notes = Notes()
    calls = random_history(1000 + seed, calls=60, second=second)
    machine = Machine(units_per_second=second, observer=notes)
    before = file_of(machine)
    steps = run(machine, notes, calls)
    for k in range(len(calls) + 1):
        file, seen = (before, 0) if k == 0 else (steps[k - 1].file, steps[k - 1].records)
        twins = Notes()
        twin = machine_from([file], observer=twins)
        assert file_of(twin) == file
        assert twin.next_tick_at() == (None if k == 0 else steps[k - 1].next_tick_at)
        rest = [step._replace(records=step.records - seen) for step in steps[k:]]
        assert run(twin, twins, calls[k:]) == rest, f"restored after call {k} of seed {seed}"
        assert twins.records == notes.records[seen:]


# ---------------------------------------------------------------------- restoring


def test_a_restore_replaces_the_state_that_was_there() -> None:
    source, target = full_machine(), busy_machine()
    restore(target, parts_of(source))
    assert state_of_machine(target) == state_of_machine(source)
    assert file_of(target) == file_of(source)


def test_a_restore_onto_another_clock_rate_and_limit_takes_those_of_the_snapshot() -> None:
    target = Machine(units_per_second=1000, max_job_size=3)
    restore(target, parts_of(full_machine()))
    assert (target.units_per_second, target.max_job_size) == (1, 65535)


def test_the_header_counts_what_the_streams_hold() -> None:
    machine = full_machine()
    header, jobs, clients = parts_of(machine)
    assert (header.jobs, header.clients) == (len(jobs), len(clients)) == (5, 5)
    assert (header.next_job_id, header.next_bury_number, header.total_jobs, header.clock) == (6, 2, 5, CLOCK)
    assert header.record_seq == machine.record_seq == 9
    assert header.job_timeouts == 0
    assert tuple(header.commands) == COMMAND_NAMES
    assert {name: n for name, n in header.commands.items() if n} == {
        "put": 5, "reserve": 2, "reserve-with-timeout": 1, "bury": 1, "watch": 1, "pause-tube": 1,
    }  # fmt: skip
    assert [tube.name for tube in header.tubes] == ["default", "t", "o", "q", "only"]
    assert (header.tubes[1].pause_seconds, header.tubes[1].pause_ends_at) == (7, CLOCK + 7)


def test_clients_come_as_owed_then_waiting_in_order_of_asking_then_the_others_by_id() -> None:
    machine = full_machine()
    driver_of(machine).at(CLOCK).ask("aa", "q")
    assert [entry.client_id for entry in parts_of(machine).clients] == ["c", "b", "aa", "a", "d", "w"]


def test_timers_fire_in_a_restored_machine() -> None:
    machine = Machine()
    d = driver_of(machine)
    held, delayed = d.hold("a", "t", ttr=5), d.put("u", delay=3)
    d.ask("w", "v", until=9)
    twin = machine_from([file_of(machine)])
    e = driver_of(twin)
    assert twin.next_tick_at() == 3
    assert (e.tick_at(3), e.state(delayed)) == ([], "ready")
    assert twin.next_tick_at() == 5
    assert (e.tick_at(5), e.state(held), e.job(held).timeouts) == ([], "ready", 1)
    assert twin.next_tick_at() == 9
    assert e.tick_at(9) == ["w timeout"]
    assert twin.next_tick_at() is None


def test_an_owed_answer_survives_a_restore() -> None:
    twin = machine_from([file_of(full_machine())])
    assert twin.next_tick_at() == CLOCK
    assert driver_of(twin).tick_at(CLOCK) == ["c matched 5"]
    assert driver_of(twin).tick_at(CLOCK) == []


def test_a_pause_survives_a_restore_and_its_end_wakes_the_waiting() -> None:
    machine = Machine()
    d = driver_of(machine)
    d.put("t")
    d.call("pause_tube", 0, "t", 4)
    assert d.ask("w", "t") == "queued"
    twin = machine_from([file_of(machine)])
    e = driver_of(twin)
    assert (twin.next_tick_at(), e.tick_at(3), e.tick_at(4)) == (4, [], ["w matched 1"])


def test_ids_are_not_used_again_after_a_delete_and_a_restore() -> None:
    machine = Machine()
    d = driver_of(machine)
    last = [d.put(), d.put()][-1]
    d.call("delete", last, "a")
    assert driver_of(machine_from([file_of(machine)])).put() == last + 1


def test_a_restore_in_several_calls_is_one_restore() -> None:
    source, target = full_machine(), Machine()
    header, jobs, clients = parts_of(source)
    snapshot = target.snapshot()
    snapshot.restore_header(header)
    for job in jobs:
        snapshot.restore_jobs([job])
    snapshot.restore_jobs([])
    for client in clients:
        snapshot.restore_clients([client])
    snapshot.finalize_restore()
    assert file_of(target) == file_of(source)


def test_finalize_without_a_header_is_refused() -> None:
    machine = busy_machine()
    before = file_of(machine)
    with pytest.raises(SnapshotError, match="nothing to restore"):
        machine.snapshot().finalize_restore()
    for feed in ("restore_jobs", "restore_clients"):
        with pytest.raises(SnapshotError, match="header first"):
            getattr(machine.snapshot(), feed)([])
    assert file_of(machine) == before


def test_a_stopped_machine_can_neither_be_read_nor_restored() -> None:
    machine = full_machine()
    snapshot, parts = machine.snapshot(), parts_of(machine)
    stream = snapshot.snapshot_jobs()
    snapshot.restore_header(parts.header)
    machine.stop()
    for use in (snapshot.header, snapshot.snapshot_jobs, snapshot.snapshot_clients, snapshot.finalize_restore):
        with pytest.raises(StoppedError):
            use()
    with pytest.raises(StoppedError):
        next(stream)


# ---------------------------------------------------------------------- streams


def test_streams_are_lazy() -> None:
    """A job is made when it is asked for and taken when it comes: source and target walk in step."""
    source, target = Machine(), Machine()
    d = driver_of(source)
    for _ in range(500):
        d.put()
    reader, writer = source.snapshot(), target.snapshot()
    stream = reader.snapshot_jobs()
    assert iter(stream) is stream
    fed = 0

    def counted() -> Iterator[JobRecord]:
        nonlocal fed
        for record in stream:
            fed += 1
            yield record

    writer.restore_header(reader.header())
    half = counted()
    writer.restore_jobs(record for record, _ in zip(half, range(250), strict=False))
    assert fed == 251  # zip takes one more before it sees that the numbers end
    next(stream)


def test_reading_many_jobs_takes_no_more_memory_than_reading_few() -> None:
    peaks = []
    for jobs in (100, 5_000):
        machine = Machine()
        d = driver_of(machine)
        for _ in range(jobs):
            d.put()
        tracemalloc.start()
        assert sum(1 for _ in machine.snapshot().snapshot_jobs()) == jobs
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2_000


CHANGES = [good.call for good in good_calls() if good.call.op not in {
    "peek_ready_job", "peek_delayed_job", "peek_buried_job", "get_job", "get_tubes", "check_client_state",
    "get_stats_job_as_yaml", "get_stats_tube_as_yaml", "get_stats_as_yaml", "count_command",
}]  # fmt: skip
LOOKS = [good.call for good in good_calls() if good.call not in CHANGES and good.call.op != "count_command"]


@pytest.mark.parametrize("call", CHANGES, ids=lambda call: call.op)
@pytest.mark.parametrize("stream", ["snapshot_jobs", "snapshot_clients"])
def test_a_change_while_a_stream_is_open_makes_its_next_step_raise(call: Call, stream: str) -> None:
    machine = full_machine()
    opened = getattr(machine.snapshot(), stream)()
    next(opened)
    assert outcome(machine, call)[0] == "ok"
    with pytest.raises(SnapshotChangedError):
        next(opened)


@pytest.mark.parametrize("call", LOOKS, ids=lambda call: call.op)
def test_a_look_leaves_a_stream_open(call: Call) -> None:
    machine = full_machine()
    opened = machine.snapshot().snapshot_jobs()
    first = next(opened)
    assert outcome(machine, call)[0] == "ok"
    assert [first, *opened] == parts_of(machine).jobs


def test_a_look_that_moves_the_clock_is_a_change() -> None:
    machine = full_machine()
    opened = machine.snapshot().snapshot_jobs()
    machine.get_tubes(now=CLOCK + 1)
    with pytest.raises(SnapshotChangedError):
        next(opened)


def test_a_restore_is_a_change() -> None:
    machine = full_machine()
    opened = machine.snapshot().snapshot_jobs()
    restore(machine, parts_of(machine))
    with pytest.raises(SnapshotChangedError):
        next(opened)


# ---------------------------------------------------------------------- cancelling


@pytest.mark.parametrize("offered", ["header", "jobs", "clients"])
def test_a_cancelled_restore_leaves_the_old_state_and_can_begin_anew(offered: str) -> None:
    source, target = full_machine(), busy_machine()
    before, parts = file_of(target), parts_of(source)
    snapshot = target.snapshot()
    snapshot.cancel_restore()  # nothing to cancel: no effect
    snapshot.restore_header(parts.header)
    if offered != "header":
        snapshot.restore_jobs(parts.jobs)
    if offered == "clients":
        snapshot.restore_clients(parts.clients)
    snapshot.cancel_restore()
    with pytest.raises(SnapshotError, match="nothing to restore"):
        snapshot.finalize_restore()
    assert file_of(target) == before
    snapshot.restore_header(parts.header)
    snapshot.restore_jobs(parts.jobs)
    snapshot.restore_clients(parts.clients)
    snapshot.finalize_restore()
    assert file_of(target) == file_of(source)


@pytest.mark.parametrize("part", ["jobs", "clients"])
def test_a_restore_that_is_cancelled_while_it_is_fed_raises_at_its_next_step(part: str) -> None:
    target = busy_machine()
    before, parts = file_of(target), parts_of(full_machine())
    snapshot = target.snapshot()
    snapshot.restore_header(parts.header)
    entries: list[Any] = getattr(parts, part)
    taken: list[int] = []

    def cancelling() -> Iterator[Any]:
        for place, entry in enumerate(entries):
            if place == 2:
                snapshot.cancel_restore()
            taken.append(place)
            yield entry

    if part == "clients":
        snapshot.restore_jobs(parts.jobs)
    with pytest.raises(CancelledError):
        getattr(snapshot, f"restore_{part}")(cancelling())
    assert taken == [0, 1, 2]
    with pytest.raises(SnapshotError, match="nothing to restore"):
        snapshot.finalize_restore()
    assert file_of(target) == before
