"""A full disk: puts are refused first, what frees room goes on, and a snapshot makes room where it can."""

import resource
from pathlib import Path
from random import Random

import pytest

from jsm.job import JobID
from jsm.journal import SYNC_NEVER, DurableMachine, JournalError, open_journal
from jsm.machine import Machine
from jsm.states import JobState
from models.calls import Call
from tests.journalled import ask, made, opened, put, restart, state_of
from tests.machines import random_history
from tests.simulated_disk import SimulatedDisk


def filled(capacity: int, *, file_size: int, body: bytes = b"x" * 200) -> tuple[SimulatedDisk, DurableMachine, int]:
    """A disk on which no further put finds room, and how many did."""
    disk = SimulatedDisk(capacity=capacity)
    durable = opened(disk, file_size=file_size, sync=SYNC_NEVER)
    puts = refused = 0
    while refused < 2:  # after the first, a snapshot may make room for some more
        ended = made(durable, put(0, body))[0]
        durable.before_replies()
        puts += ended == "ok"
        refused = 0 if ended == "ok" else refused + 1
    return disk, durable, puts


def test_puts_are_refused_first_and_what_frees_room_goes_on() -> None:
    disk, durable, puts = filled(1 << 20, file_size=1 << 30)
    assert 1_400 < puts < 2_000  # the disk has room for 3,000 without what is kept for their ends
    before = state_of(durable)
    assert made(durable, put(0, b"x" * 200))[0] == "JournalError"
    assert state_of(durable) == before
    for number in range(1, 101):
        for call in (
            Call("reserve_job", (0, number, "w")),
            Call("touch", (0, number, "w")),
            Call("bury", (0, number, "w"), {"priority": 0}),
            Call("kick", (number,)),
            Call("reserve_job", (0, number, "w")),
            Call("release", (number, "w")),
        ):
            assert made(durable, call)[0] == "ok", call
            durable.before_replies()
    assert made(durable, put(0, b"x" * 200))[0] == "JournalError"
    refused = 0
    for number in range(1, puts + 1):
        ended = made(durable, Call("delete", (number, "z")))[0]
        refused += ended != "ok"
        durable.before_replies()
    assert refused == 0
    assert durable.count_jobs()[JobState.READY] == 0
    assert made(durable, put(1, b"again"))[0] == "ok"
    durable.compact()
    assert disk.used < 100_000
    again = opened(disk.survivor())
    assert [record.job.body for record in state_of(again).jobs] == [b"again"]


def test_a_reserve_that_is_used_up_refuses_all_but_looks() -> None:
    disk, durable, puts = filled(1 << 20, file_size=1 << 30)
    calls = 0
    while made(durable, Call("kick_n", ("t", 0)))[0] == "ok":  # no record is shorter
        calls += 1
    assert calls > 1_000
    before = state_of(durable)
    for call in (ask(0, "a"), Call("delete", (60, "z")), Call("close_client", ("w",)), put(0)):
        assert made(durable, call)[0] == "JournalError", call
    assert state_of(durable) == before
    assert durable.get_job(JobID(60)).body == b"x" * 200
    crash = disk.survivor()
    with pytest.raises(JournalError, match="can't begin the journal file: No space left on device"):
        opened(crash)
    crash.capacity += 4096
    assert len(state_of(opened(crash)).jobs) == puts
    disk.capacity = 2 << 20  # somebody makes room
    for call in (Call("close_client", ("w",)), put(0), Call("delete", (60, "z"))):
        assert made(durable, call)[0] == "ok", call


def test_a_full_disk_makes_room_by_a_snapshot_when_old_files_say_little() -> None:
    """Ten live jobs and a megabyte of their past: a refused put leads to a snapshot, the next finds room."""
    disk = SimulatedDisk(capacity=1 << 20)
    durable = opened(disk, file_size=1 << 30, sync=SYNC_NEVER)
    refused = 0
    for number in range(1, 10_001):
        ended = made(durable, put(0, b"x" * 200))[0]
        durable.before_replies()
        if ended != "ok":
            refused += 1
            assert made(durable, put(0, b"x" * 200))[0] == "ok"
        if number > 10:
            assert made(durable, Call("delete", (number - 10, "z")))[0] == "ok"
        durable.before_replies()
    assert 1 <= refused <= 10
    assert state_of(opened(disk.survivor())).jobs == state_of(durable).jobs


def test_a_disk_that_fills_and_empties_at_random_loses_nothing() -> None:
    random = Random(3)
    disk = SimulatedDisk(capacity=300_000)
    durable = opened(disk, file_size=40_000, sync=SYNC_NEVER)
    machine = Machine()
    refused = 0
    for call in [*random_history(5, calls=600), *(put(10_000, b"y" * 900) for _ in range(900))]:
        disk.capacity = random.choice([100_000, 300_000, 900_000]) if random.random() < 0.02 else disk.capacity
        ended = made(durable, call)
        if ended[0] == "JournalError":
            refused += 1
        else:
            assert ended == made(machine, call)
        durable.before_replies()
    assert refused > 10
    assert state_of(durable) == state_of(machine)
    disk.capacity = 1 << 30
    assert state_of(opened(disk.survivor())) == restart(machine)


def test_a_real_limit_of_the_system(tmp_path: Path) -> None:
    """`ulimit -f` refuses as a full disk does, and a crash afterwards loses nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    durable = open_journal(tmp_path, sync=SYNC_NEVER, file_size=1 << 30)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 22, hard))
    try:
        puts = 0
        while made(durable, put(0, b"x" * 60_000))[0] == "ok":
            puts += 1
        assert made(durable, put(0, b"x" * 60_000)) == (
            "JournalError", f"{tmp_path}/journal.0000000001.jsonl: no room for the record: File too large"
        )  # fmt: skip
        assert made(durable, Call("delete", (1, "a")))[0] == "ok"
        durable.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with open_journal(tmp_path) as again:
        assert again.count_jobs()[JobState.READY] == puts - 1 > 40
