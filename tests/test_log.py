"""The file that grows: what is appended, taken back, refused, and how much room is kept."""

import errno
import os
from pathlib import Path

import pytest

from jsm.journal import JournalError
from jsm.journal.form import JournalHeader, JournalReader
from jsm.journal.log import Log
from tests.simulated_disk import SimulatedDisk

PATH = Path("/simulated/journal.0000000001.jsonl")
HEADER = JournalHeader(1, 1, 65_535, 0, None, 0)
RESERVE = 65_536


def record(number: int, size: int = 0) -> str:
    return f'{{"after":{number},"op":"tick","args":{{"now":0,"x":"{"x" * size}"}}'


def log_on(disk: SimulatedDisk, *, jobs: int = 0) -> Log:
    return Log(disk, PATH, HEADER, file_bytes=40_000, jobs=jobs)


def content(disk: SimulatedDisk) -> bytes:
    return bytes(disk.seen[PATH.name].seen)


def numbers(disk: SimulatedDisk) -> list[int]:
    """Which records stand in the file."""
    return [record.after for _, record in JournalReader(PATH, content(disk)).records()]


def test_the_file_is_forced_before_its_name_is() -> None:
    disk = SimulatedDisk()
    calls: list[str] = []
    disk.before_call = lambda _disk, call: calls.append(call)
    log_on(disk)
    assert calls == ["create", "write", "sync", "sync_folder"]


def test_records_follow_each_other_and_are_taken_back_one_deep() -> None:
    disk = SimulatedDisk()
    log = log_on(disk)
    for number in range(3):
        log.append(record(number), 0)
    assert (log.records, log.is_dirty) == (3, True)
    log.take_back()
    log.take_back()  # there is no second
    assert numbers(disk) == [0, 1]
    log.append(record(7, 40), 0)
    log.append(record(8), 0)
    assert numbers(disk) == [0, 1, 7, 8]
    assert log.records == 4
    assert JournalReader(PATH, content(disk)[: log.end]).is_bare is False


def test_what_was_taken_back_leaves_nothing_to_force_but_what_was_there_before() -> None:
    disk = SimulatedDisk()
    log = log_on(disk)
    log.append(record(0), 0)
    log.take_back()
    assert bool(log.is_dirty) is False
    log.append(record(1), 0)
    log.append(record(2), 0)
    log.take_back()
    assert bool(log.is_dirty) is True
    log.sync()
    log.take_back()
    assert numbers(disk) == [1]


def test_a_record_that_can_not_be_taken_back_stays() -> None:
    disk = SimulatedDisk()
    log = log_on(disk)
    log.append(record(0), 0)

    def fail(_disk: SimulatedDisk, call: str) -> None:
        if call == "write":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.before_call = fail
    log.take_back()
    disk.before_call = lambda _disk, _call: None
    log.append(record(1), 0)
    assert numbers(disk) == [0, 1]


def test_the_reserve_grows_with_the_jobs_up_to_a_limit() -> None:
    disk = SimulatedDisk()
    log = log_on(disk, jobs=10)
    assert log.reserve == RESERVE + 10 * 256
    log.jobs = 1_000_000
    assert log.reserve == 64 << 20
    log.jobs = 0
    log.fill_reserve()
    assert len(content(disk)) == log.end + RESERVE


def test_a_reserve_that_finds_no_room_is_filled_as_far_as_it_goes() -> None:
    disk = SimulatedDisk(capacity=50_000)
    log = log_on(disk)
    log.fill_reserve()
    assert 40_000 < len(content(disk)) <= 50_000
    disk.capacity = 1 << 20
    log.fill_reserve()
    assert len(content(disk)) == log.end + RESERVE


def test_what_must_leave_the_reserve_is_refused_first_and_shortness_is_known() -> None:
    disk = SimulatedDisk(capacity=RESERVE + 3 * 4096)
    log = log_on(disk)
    log.fill_reserve()
    appended = 0
    while log.end + RESERVE + 1_100 < disk.capacity:
        log.append(record(appended, 1_000), log.reserve)
        appended += 1
    with pytest.raises(JournalError, match="no room for the record: No space left on device"):
        log.append(record(appended, 5_000), log.reserve)
    assert appended > 1
    assert log.is_short is True
    while content(disk)[log.end + 1_200 :]:
        log.append(record(appended, 1_000), 0)
        appended += 1
    disk.capacity += 4096
    log.append(record(appended, 1_000), 0)  # a piece is allocated for it alone
    assert log.is_short is True
    disk.capacity = 1 << 20
    log.append(record(appended + 1, 1_000), log.reserve)
    assert bool(log.is_short) is False
    assert numbers(disk) == list(range(appended + 2))


def test_a_part_that_a_failed_allocation_left_is_given_back() -> None:
    class Leaving(SimulatedDisk):
        def allocate(self, file: int, offset: int, size: int) -> None:
            """Allocate a half, and fail."""
            super().allocate(file, offset, size // 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    disk = Leaving()
    log = log_on(disk)
    with pytest.raises(JournalError, match="no room"):
        log.append(record(0), 0)
    assert len(content(disk)) == log.end


def test_after_a_failed_write_room_is_allocated_again() -> None:
    disk = SimulatedDisk()
    log = log_on(disk)
    log.append(record(0), 0)
    calls: list[str] = []

    def fail_once(_disk: SimulatedDisk, call: str) -> None:
        calls.append(call)
        if calls == ["write"]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.before_call = fail_once
    with pytest.raises(JournalError, match="can't write the record: Input/output error"):
        log.append(record(1), 0)
    assert len(content(disk)) == log.end
    log.append(record(2), 0)
    assert calls == ["write", "truncate", "allocate", "write"]
    assert numbers(disk) == [0, 2]


def test_a_blocked_file_refuses_each_time_with_an_error_of_its_own() -> None:
    """One that is raised again and again would gather the places where it was."""
    log = log_on(SimulatedDisk())
    log.block("can't", OSError(errno.EIO, "Input/output error"))
    errors = []
    for _ in range(2):
        with pytest.raises(JournalError, match="can't: Input/output error") as refused:
            log.append(record(0), 0)
        errors.append(refused.value)
    assert errors[0] is not errors[1]


def test_a_file_that_can_not_be_begun_leaves_nothing() -> None:
    for failing in ("create", "write", "sync", "sync_folder"):
        disk = SimulatedDisk()

        def fail(_disk: SimulatedDisk, call: str, failing: str = failing) -> None:
            if call == failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        disk.before_call = fail
        with pytest.raises(JournalError, match="can't begin the journal file: No space left on device"):
            log_on(disk)
        assert disk.seen == {}
        assert disk.open_files == {}
