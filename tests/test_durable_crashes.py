"""What was acknowledged is there after the process or the power ended, at every call of the system and within it."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import pytest

from jsm.journal import SYNC_ALWAYS, SYNC_NEVER, DurableMachine, JournalDamagedError, SyncPolicy
from models.calls import Call
from tests.journalled import FOLDER, HISTORY, IN_VAIN, made, opened, put, recovered_states, state_of
from tests.machines import Parts, random_history
from tests.simulated_disk import SimulatedDisk

Looks = Callable[[SimulatedDisk], SimulatedDisk]


class Crash(NamedTuple):
    """What a process finds that starts now."""

    where: str
    disk: SimulatedDisk
    acknowledged: int  # calls of the history
    begun: int  # calls of the history, one of which may be in flight


def killed(disk: SimulatedDisk) -> SimulatedDisk:
    """The end of the process."""
    return disk.survivor()


def crashes_of(
    calls: list[Call],
    look: Looks,
    *,
    sync: SyncPolicy = SYNC_ALWAYS,
    file_size: int = 1_500,
    batch: int = 1,
    compact_after: tuple[int, ...] = (),
    disk: SimulatedDisk | None = None,
) -> list[Crash]:
    """Make the calls, and look at the disk before, in and after each of its own calls."""
    disk = SimulatedDisk() if disk is None else disk
    found: list[Crash] = []
    acknowledged = begun = 0

    def note(of: SimulatedDisk, call: str) -> None:
        found.append(Crash(f"call {of.calls}, {call}", look(of), acknowledged, begun))

    disk.before_call = disk.in_write = note
    durable = opened(disk, sync=sync, file_size=file_size)
    for begun, call in enumerate(calls, 1):
        made(durable, call)
        if begun in compact_after:
            durable.compact()
        if begun % batch == 0:
            durable.before_replies()
            acknowledged = begun
    durable.close()
    note(disk, "the end")
    return found


def check(crashes: list[Crash], expected: list[Parts], *, goes_on: int = 5) -> list[int]:
    """Recover from each and compare, and go on from every so many. How many calls were there each time."""
    counts = []
    for place, crash in enumerate(crashes):
        before = crash.disk.survivor()
        durable = opened(crash.disk)
        state = state_of(durable)
        possible = range(crash.acknowledged, crash.begun + 1)
        found = [count for count in possible if state == expected[count]]
        assert found, f"{crash.where}: none of the states after {possible} calls"
        counts.append(found[-1])
        if place % goes_on == 0:
            assert state_of(opened(before.survivor())) == state, crash.where  # an opening that died is made up for
            check_goes_on(durable, crash.disk, crash.where)
    return counts


def check_goes_on(durable: DurableMachine, disk: SimulatedDisk, where: str) -> None:
    """A machine that was recovered is one that can be recovered."""
    job_id = durable.put(durable.clock, priority=0, delay_seconds=0, ttr_seconds=1, body=b"new", tube="default")  # type: ignore[arg-type]  # a name
    durable.before_replies()
    state = state_of(durable).jobs
    again = opened(disk.survivor())
    assert state_of(again).jobs == state, where
    assert again.get_job(job_id).body == b"new", where


@pytest.fixture(scope="module")
def expected() -> list[Parts]:
    """What recovery gives after each number of calls of the history."""
    return recovered_states(HISTORY)


@pytest.mark.parametrize("sync", [SYNC_ALWAYS, SYNC_NEVER])
def test_the_end_of_the_process_at_any_call(expected: list[Parts], sync: SyncPolicy) -> None:
    crashes = crashes_of(HISTORY, killed, sync=sync, file_size=1_000, compact_after=(12, 30))
    kinds = {crash.where.split()[-1] for crash in crashes}
    assert kinds >= {"create", "write", "allocate", "truncate", "sync", "sync_folder", "rename", "remove", "close"}
    counts = check(crashes, expected)
    assert len(set(counts)) > len(HISTORY) - len(IN_VAIN)  # each prefix was met


def test_the_end_of_the_process_while_a_recovery_goes_on(expected: list[Parts]) -> None:
    """Whatever a recovery does, the next one finds the same."""
    base = crashes_of(HISTORY, killed, file_size=1_000, compact_after=(20,))
    torn = [crash for crash in base if crash.where.endswith("write")][1::6]
    tried = 0
    for crash in torn:
        states = {id(state): state for state in (expected[crash.acknowledged], expected[crash.begun])}.values()
        for place, second in enumerate(crashes_of([], killed, disk=crash.disk.survivor())):
            durable = opened(second.disk, file_size=700)
            assert state_of(durable) in states, f"{crash.where}, then {second.where}"
            tried += 1
            if place % 9 == 0:
                check_goes_on(durable, second.disk, crash.where)
    assert tried > 200


@pytest.mark.parametrize("seed", range(6))
def test_a_loss_of_power_at_any_call(expected: list[Parts], seed: int) -> None:
    """With a sync before each reply: each page and each name that was not forced is there or not."""
    random = Random(seed)
    crashes = crashes_of(HISTORY, lambda disk: disk.after_power_loss(random), file_size=1_000, compact_after=(12, 30))
    check(crashes, expected, goes_on=7)


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_of_power_without_syncs_is_a_prefix_or_refused(expected: list[Parts], seed: int) -> None:
    random = Random(seed)
    long = [put(place, b"%d" % place * 100, tube="t") for place in range(120)]
    states = recovered_states(long)
    crashes = crashes_of(
        long, lambda disk: disk.after_power_loss(random), sync=SYNC_NEVER, file_size=9_000, compact_after=(70,)
    )
    ends = {"recovered": 0, "refused": 0}
    for crash in crashes[:: 3 if seed else 2]:
        try:
            state = state_of(opened(crash.disk))
        except JournalDamagedError as damage:
            assert damage.path.name == max(name for name in crash.disk.seen if name.startswith("journal."))  # noqa: PT017
            ends["refused"] += 1
            continue
        assert state in states[: crash.begun + 1], crash.where
        ends["recovered"] += 1
    assert ends["recovered"] > ends["refused"]


def test_a_batch_is_there_as_a_prefix(expected: list[Parts]) -> None:
    crashes = crashes_of(HISTORY, killed, batch=7)
    check(crashes, expected)
    random = Random(1)
    crashes = crashes_of(HISTORY, lambda disk: disk.after_power_loss(random), batch=7)
    check(crashes, expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_histories_end_anywhere(seed: int) -> None:
    random = Random(seed)
    calls = random_history(seed, calls=120)
    states = recovered_states(calls)
    check(crashes_of(calls, killed, file_size=2_000), states)
    check(crashes_of(calls, lambda disk: disk.after_power_loss(random), file_size=2_000), states)


def test_the_folder_holds_no_more_than_a_recovery_needs() -> None:
    disk = SimulatedDisk()
    durable = opened(disk, file_size=1_000)
    for place in range(400):
        made(durable, put(place))
        made(durable, Call("delete", (place + 1, "a")))
        durable.before_replies()
    assert len(disk.names(FOLDER)) <= 3
    durable.close()
    assert disk.used <= 3 * 4096
