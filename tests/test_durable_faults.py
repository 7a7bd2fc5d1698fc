"""Calls of the system that fail: what can't be written is refused and changes nothing, and the rest goes on."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from jsm.errors import JsmError
from jsm.journal import (
    SYNC_ALWAYS,
    SYNC_NEVER,
    JournalError,
    NotDurableError,
    SyncPolicy,
)
from jsm.machine import Machine
from jsm.states import JobState
from models.calls import Call
from tests.journalled import HISTORY, ask, made, opened, put, restart, state_of
from tests.simulated_disk import SimulatedDisk

Fails = Callable[[int, str], bool]


class Run:
    """A history on a disk some of whose calls fail, beside a machine that makes the calls that were accepted."""

    def __init__(self, fails: Fails, *, error: int, sync: SyncPolicy = SYNC_ALWAYS, partly: bool = False) -> None:
        self.disk = SimulatedDisk()
        self.seconds = 0.0
        self.durable = opened(self.disk, sync=sync, file_size=1_000, monotonic=lambda: self.seconds)
        self.start = self.disk.calls
        self.machine = Machine()
        self.accepted: list[Call] = []
        self.acknowledged = 0
        self.refused = 0
        self.lost = 0  # batches whose replies must not leave

        def fail(disk: SimulatedDisk, call: str) -> None:
            if fails(disk.calls - self.start, call):
                raise OSError(error, os.strerror(error))

        if partly:
            self.disk.in_write = fail
        else:
            self.disk.before_call = fail

    def make(self, calls: list[Call]) -> None:
        """Make calls, each a batch of its own."""
        for call in calls:
            self.seconds += 1.0
            ended = made(self.durable, call)
            if ended[0] == "JournalError":
                self.refused += 1
                assert state_of(self.durable) == state_of(self.machine), call
            else:
                assert ended == made(self.machine, call), call
                self.accepted.append(call)
            try:
                self.durable.before_replies()
            except NotDurableError:
                self.lost += 1
            else:
                if self.durable.next_sync_in() is None:  # it is not waiting for the disk to work again
                    self.acknowledged = len(self.accepted)
        assert state_of(self.durable) == state_of(self.machine)

    def check_killed(self, what: str) -> None:
        """What was accepted is there after the end of the process."""
        assert state_of(opened(self.disk.survivor())) == restart(_copy(self.machine)), what

    def check_without_power(self, random: Random, what: str) -> None:
        """What was acknowledged is there after a loss of power, and perhaps what was accepted after it."""
        state = state_of(opened(self.disk.after_power_loss(random)))
        machine = Machine()
        for call in self.accepted[: self.acknowledged]:
            made(machine, call)
        possible = [restart(_copy(machine))]
        for call in self.accepted[self.acknowledged :]:
            made(machine, call)
            possible.append(restart(_copy(machine)))
        assert state in possible, what


def _copy(machine: Machine) -> Machine:
    """A machine of the same state."""
    copy = Machine()
    target, source = copy.snapshot(), machine.snapshot()
    target.restore_header(source.header())
    target.restore_jobs(source.snapshot_jobs())
    target.restore_clients(source.snapshot_clients())
    target.finalize_restore()
    return copy


def calls_of(history: list[Call]) -> int:
    """How many calls of the system a history takes."""
    run = Run(lambda _number, _call: False, error=errno.EIO)
    run.make(history)
    return run.disk.calls - run.start


# ---------------------------------------------------------------------- one call fails


@pytest.mark.parametrize(("error", "partly"), [(errno.ENOSPC, False), (errno.EIO, False), (errno.EIO, True)])
def test_one_call_of_the_system_fails(error: int, partly: bool) -> None:
    total = calls_of(HISTORY)
    assert total > 100
    refused = 0
    for failing in range(1, total + 1):
        run = Run(lambda number, _call, failing=failing: number == failing, error=error, partly=partly)  # type: ignore[misc]  # a default binds it
        run.make(HISTORY)
        refused += run.refused
        run.check_killed(f"killed after the failure of call {failing}")
        run.check_without_power(Random(failing), f"no power after the failure of call {failing}")
        assert run.acknowledged == len(run.accepted), failing  # it was made up for, at the latest by the next batch
    assert refused > (10 if not partly else 0)


# ---------------------------------------------------------------------- many calls fail


@pytest.mark.parametrize("sync", [SYNC_ALWAYS, SyncPolicy(2.5), SYNC_NEVER])
@pytest.mark.parametrize("seed", range(15))
def test_calls_of_the_system_fail_now_and_then(seed: int, sync: SyncPolicy) -> None:
    random = Random(seed)
    share = random.choice([0.02, 0.1, 0.4, 0.8])
    run = Run(lambda _number, _call: random.random() < share, error=errno.EIO, sync=sync)
    run.make(HISTORY)
    run.make([put(30 + place) for place in range(20)])
    run.check_killed("killed")
    if sync == SYNC_ALWAYS:
        run.check_without_power(Random(seed), "no power")


KINDS = ["write", "allocate", "truncate", "sync", "sync_folder", "create", "rename", "remove", "close"]


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), KINDS])
def test_a_kind_of_calls_fails_for_a_while(kinds: list[str]) -> None:
    """What was refused meanwhile is refused, what was accepted is there, and then it goes on."""
    broken = False
    run = Run(lambda _number, call: broken and call in kinds, error=errno.EIO)
    run.make(HISTORY[:10])
    broken = True
    run.make(HISTORY[10:])
    run.make([put(30 + place) for place in range(10)])
    run.check_killed("while it is broken")
    run.check_without_power(Random(1), "while it is broken")
    assert run.durable.get_tubes() == run.machine.get_tubes()
    broken = False
    run.make([put(50), put(51)])
    accepted = len(run.accepted)
    run.make([put(60), ask(60, "z"), Call("delete", (1, "y"))])
    assert len(run.accepted) == accepted + 3
    assert run.acknowledged == len(run.accepted)
    run.check_killed("once it works")
    run.check_without_power(Random(2), "once it works")


def test_what_a_failed_sync_covers_is_not_told_and_nothing_more_is_taken() -> None:
    broken = False
    run = Run(lambda _number, call: broken and call in ("sync", "sync_folder"), error=errno.EIO)
    run.make([put(0, b"told")])
    broken = True
    durable = run.durable
    made(durable, put(1, b"not told"))
    with pytest.raises(
        NotDurableError, match=r"journal\.0000000001\.jsonl: can't force the records to the disk: Input/"
    ):
        durable.before_replies()
    assert durable.next_sync_in() == 1.0
    refused = made(durable, put(2, b"refused"))
    assert refused == (
        "JournalError",
        "/simulated/journal.0000000001.jsonl: an earlier record could not be forced to the disk: Input/output error",
    )
    durable.before_replies()  # nothing was made since: other replies may leave
    assert durable.count_jobs()[JobState.READY] == 2
    broken = False
    durable.before_replies()
    assert made(durable, put(2, b"too early"))[0] == "JournalError"
    run.seconds += 1.0
    durable.before_replies()
    assert durable.next_sync_in() is None
    assert made(durable, put(3, b"goes on"))[0] == "ok"
    durable.before_replies()
    bodies = [record.job.body for record in state_of(opened(run.disk.after_power_loss(Random(0)))).jobs]
    assert bodies == [b"told", b"not told", b"goes on"]


@pytest.mark.parametrize("working", [(), ("sync", "sync_folder")])
def test_a_broken_disk_is_tried_once_a_second_and_gathers_nothing(
    working: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether no file can be begun, or no snapshot."""
    broken: tuple[str, ...] = ()
    run = Run(lambda _number, call: call in broken, error=errno.EIO)
    made(run.durable, put(0))
    broken = ("sync", "sync_folder")
    create = run.disk.create

    def create_but_parts(path: Path) -> int:
        nonlocal broken
        broken = tuple(call for call in ("sync", "sync_folder") if call not in working)
        if path.suffix == ".part":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return create(path)

    monkeypatch.setattr(run.disk, "create", create_but_parts)
    with pytest.raises(NotDurableError):
        run.durable.before_replies()
    opened_files = len(run.disk.open_files)
    attempts = []
    for _ in range(8):
        run.seconds += 0.5
        before = run.disk.calls
        run.durable.before_replies()
        attempts.append(run.disk.calls > before)
        assert len(run.disk.open_files) == opened_files
        assert run.durable.next_sync_in() == (1.0 if attempts[-1] else 0.5)
    assert attempts == [False, True] * 4


def test_compacting_by_hand_does_not_believe_a_file_whose_sync_failed() -> None:
    broken = False
    run = Run(lambda _number, call: broken and call in ("sync", "sync_folder", "rename"), error=errno.EIO)
    made(run.durable, put(0, b"a"))
    broken = True
    with pytest.raises(NotDurableError):
        run.durable.before_replies()
    with pytest.raises(JournalError):
        run.durable.compact()
    broken = False
    run.durable.compact()
    assert made(run.durable, put(0, b"b"))[0] == "ok"
    run.durable.before_replies()
    statistics = run.durable.statistics()
    assert statistics["binlog-oldest-index"] == statistics["binlog-current-index"]
    assert len(state_of(opened(run.disk.after_power_loss(Random(1)))).jobs) == 2
    run.durable.close()
    with pytest.raises(JournalError, match="the journal is closed"):
        run.durable.compact()


def test_a_failed_sync_that_a_snapshot_makes_up_for_is_not_noticed() -> None:
    failed: list[int] = []

    def fails(number: int, call: str) -> bool:
        if call == "sync" and len(failed) < 1:
            failed.append(number)
            return True
        return False

    run = Run(fails, error=errno.EIO)
    run.make([put(0, b"a"), put(1, b"b")])
    assert failed
    assert (run.lost, run.acknowledged) == (0, 2)
    run.check_without_power(Random(0), "no power")
    assert run.durable.statistics()["binlog-oldest-index"] == 2


def test_a_record_that_can_not_be_removed_does_not_hide_the_ones_before_it() -> None:
    """In one batch: a put, a put that fails in the middle, whose rest stays. The first becomes durable."""
    broken = False
    run = Run(lambda _number, call: broken and call in ("write", "truncate"), error=errno.EIO)
    assert made(run.durable, put(0, b"told"))[0] == "ok"
    broken = True
    run.disk.in_write, run.disk.before_call = run.disk.before_call, lambda _disk, call: _fail_if(call == "truncate")
    assert made(run.durable, put(0, b"refused"))[0] == "JournalError"
    assert made(run.durable, put(0, b"refused too"))[1].endswith(
        "can't remove the rest of a record that failed: Input/output error"
    )
    run.durable.before_replies()
    for crash in (run.disk.survivor(), run.disk.after_power_loss(Random(1))):
        assert [record.job.body for record in state_of(opened(crash)).jobs] == [b"told"]


def _fail_if(fails: bool) -> None:
    if fails:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_failed_close_tells_and_lets_go() -> None:
    broken = False
    run = Run(lambda _number, call: broken and call == "sync", error=errno.EIO)
    made(run.durable, put(0))
    broken = True
    with pytest.raises(JournalError, match="can't force the journal to the disk: Input/output error"):
        run.durable.close()
    run.durable.close()
    assert run.disk.open_files == {}
    broken = False
    assert opened(run.disk).count_jobs()[JobState.READY] == 1


def test_an_opening_that_fails_lets_go_of_the_folder_and_loses_nothing() -> None:
    source = Run(lambda _number, _call: False, error=errno.EIO)
    source.make(HISTORY)
    expected = state_of(opened(source.disk.survivor()))
    tried = 0
    while True:
        disk = source.disk.survivor()
        failing = tried + 1

        def fail(of: SimulatedDisk, _call: str, failing: int = failing) -> None:
            if of.calls == failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        disk.before_call = fail
        with _perhaps(JsmError):
            opened(disk).close()
        assert state_of(opened(disk.survivor())) == expected, f"after the failure of call {failing}"
        if disk.calls < failing:
            break
        tried += 1
    assert tried > 15


@contextmanager
def _perhaps(error: type[Exception]) -> Iterator[None]:
    """Let an error pass."""
    try:
        yield
    except error:
        return
