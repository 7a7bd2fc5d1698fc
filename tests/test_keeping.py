"""When the files are forced to the disk, when new ones begin, and what that costs."""

import pytest

from jsm.errors import BadValueError
from jsm.journal import SYNC_ALWAYS, SYNC_NEVER, DurableMachine, SyncPolicy
from jsm.journal.recovery import list_folder
from models.calls import Call
from tests.journalled import FOLDER, ask, made, opened, put, state_of
from tests.simulated_disk import SimulatedDisk


class Counted:
    """A durable machine whose disk's calls are noted, with a clock that stands until it is moved."""

    def __init__(self, sync: SyncPolicy, *, file_size: int = 1 << 20) -> None:
        self.disk = SimulatedDisk()
        self.seconds = 100.0
        self.calls: list[str] = []
        self.durable: DurableMachine = opened(self.disk, sync=sync, file_size=file_size, monotonic=lambda: self.seconds)
        made(self.durable, put(0))  # from here on there is room allocated ahead
        self.durable.before_replies()
        self.seconds += 1.0
        self.durable.before_replies()
        self.disk.before_call = lambda _disk, call: self.calls.append(call)

    def take(self) -> list[str]:
        """The calls since the last look."""
        calls, self.calls = self.calls, []
        return calls


def test_always_forces_once_a_batch_and_only_what_was_written() -> None:
    world = Counted(SYNC_ALWAYS)
    world.durable.before_replies()
    assert world.take() == []
    for _ in range(3):
        made(world.durable, put(0))
    assert world.durable.next_sync_in() == 0.0
    assert world.take() == ["write", "write", "write"]
    world.durable.before_replies()
    world.durable.before_replies()
    assert world.take() == ["sync"]
    assert world.durable.next_sync_in() is None


def test_what_changes_nothing_needs_no_sync() -> None:
    world = Counted(SYNC_ALWAYS)
    made(world.durable, Call("delete", (1, "a")))
    world.durable.before_replies()
    world.take()
    made(world.durable, ask(0, "a", until=0))
    made(world.durable, Call("delete", (7, "a")))
    made(world.durable, Call("tick", (1,)))
    world.durable.before_replies()
    assert "sync" not in world.take()


def test_never_forces_nothing_until_the_end() -> None:
    world = Counted(SYNC_NEVER)
    made(world.durable, put(0))
    world.durable.before_replies()
    assert world.take() == ["write"]
    assert world.durable.next_sync_in() is None
    world.durable.close()
    assert world.take() == ["truncate", "sync", "close", "close"]


def test_an_interval_is_counted_from_the_first_batch_that_was_not_forced() -> None:
    world = Counted(SyncPolicy(0.05))
    assert world.durable.next_sync_in() is None
    made(world.durable, put(0))
    assert world.durable.next_sync_in() == 0.05
    world.durable.before_replies()
    world.seconds += 0.03
    made(world.durable, put(0))
    world.durable.before_replies()
    assert world.durable.next_sync_in() == pytest.approx(0.02)
    assert world.take() == ["write", "write"]
    world.seconds += 0.025
    assert world.durable.next_sync_in() == 0.0
    world.durable.before_replies()
    assert world.take() == ["sync"]
    assert world.durable.next_sync_in() is None
    made(world.durable, put(0))
    assert world.durable.next_sync_in() == 0.05


def test_a_file_ends_at_its_size_and_the_next_goes_on() -> None:
    world = Counted(SYNC_NEVER, file_size=5_000)
    for _ in range(60):
        made(world.durable, put(0, b"x" * 100))
    world.durable.compact()
    world.take()
    before = world.durable.statistics()["binlog-current-index"]
    for _ in range(40):
        made(world.durable, put(0))
        world.durable.before_replies()
    journals, snapshots, parts = list_folder(world.disk, FOLDER)
    assert journals == [before, int(str(before)) + 1]
    assert (snapshots, parts) == ([before], [])
    sizes = [len(bytes(world.disk.seen[f"journal.{number:010}.jsonl"].seen).rstrip(b"\0")) for number in journals]
    assert 5_000 <= sizes[0] < 5_200
    assert state_of(opened(world.disk.survivor())).jobs == state_of(world.durable).jobs


def test_snapshots_cost_no_more_than_what_is_written() -> None:
    """However many jobs live, what all snapshots hold is at most about what the journal held."""
    world = Counted(SYNC_NEVER, file_size=4_000)
    durable = world.durable
    for _ in range(300):
        made(durable, put(0, b"x" * 100))
        durable.before_replies()
    for number in range(1, 2_000):
        made(durable, Call("kick_n", ("default", 0)))
        made(durable, Call("reserve_job", (0, number % 300 + 1, "a")))
        made(durable, Call("release", (number % 300 + 1, "a")))
        durable.before_replies()
    statistics = durable.statistics()
    assert 300 < int(statistics["binlog-records-migrated"]) < int(statistics["binlog-records-written"])
    assert int(statistics["binlog-records-written"]) == 1 + 300 + 3 * 1_999
    assert len(list_folder(world.disk, FOLDER).journals) <= 8


def test_a_policy_says_what_it_is() -> None:
    assert (SyncPolicy(0), SyncPolicy(None)) == (SYNC_ALWAYS, SYNC_NEVER)
    with pytest.raises(BadValueError, match="a number of seconds of at least 0, or None for never"):
        SyncPolicy(-0.1)
