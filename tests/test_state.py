"""What the machine's state has to get right more than once: counters past one, timers that share an instant."""

from collections.abc import Callable

import pytest

from jsm.errors import IllegalTransitionError, NoJobInStateError, SnapshotChangedError, SnapshotError
from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.states import Trigger
from tests.driver import Driver
from tests.machines import Notes, driver_of, file_of, full_machine, machine_from, parts_of

DEFAULT = TubeName("default")


def test_every_counter_of_a_job_goes_past_one() -> None:
    d = driver_of(Machine())
    job = d.put(ttr=1)
    for now in (1, 2, 3):
        d.at(now).call("reserve_job", now, job, "a")
        d.call("release", job, "a")
        d.call("reserve_job", now, job, "a")
        d.call("bury", now, job, "a", priority=0)
        d.call("kick", job)
        d.call("reserve_job", now, job, "a")
        d.tick_at(now + 1)
    found = d.job(job)
    assert (found.reserves, found.releases, found.buries, found.kicks, found.timeouts) == (9, 3, 3, 3, 3)
    assert d.stats()["job-timeouts"] == 3


def test_every_count_of_jobs_goes_past_one_after_a_restore() -> None:
    machine = Machine()
    d = driver_of(machine)
    for client in "abc":
        d.hold(client, "t")
        d.call("bury", 0, d.hold(client, "t"), client, priority=0)
        d.put("t")
        d.put("t", delay=5)
    before = d.stats("t"), d.stats(), machine.count_jobs()
    heir = machine_from([file_of(machine)])
    after = driver_of(heir).stats("t"), driver_of(heir).stats(), heir.count_jobs()
    states = ("urgent", "ready", "reserved", "delayed", "buried")
    for was, found in zip(before[:2], after[:2], strict=True):
        assert [was[f"current-jobs-{state}"] for state in states] == [3] * 5
        assert [found[f"current-jobs-{state}"] for state in states] == [3] * 5
    assert after[2] == before[2]


def test_two_clients_watch_a_tube() -> None:
    d = driver_of(Machine())
    for client in "ab":
        d.call("watch_tube", client, "t")
    assert d.stats("t")["current-watching"] == 2
    d.call("close_client", "a")
    assert d.stats("t")["current-watching"] == 1


def test_a_pause_keeps_apart_what_was_to_be_matched() -> None:
    machine = Machine()
    d = driver_of(machine)
    assert d.ask("a") == "queued"
    d.put(ttr=60)
    assert machine.next_tick_at() == 0
    d.call("pause_tube", 0, "default", 9)
    assert machine.next_tick_at() == 9
    assert d.tick() == []
    assert d.tick_at(9) == ["a matched 1"]


def test_a_pause_that_ends_a_unit_later_goes_on() -> None:
    d = driver_of(Machine())
    d.put("t")
    d.call("pause_tube", 0, "t", 5)
    d.call("pause_tube", 0, "default", 6)
    d.tick_at(5)
    assert (d.stats("t")["pause"], d.stats("default")["pause"]) == (0, 6)


def test_a_tick_serves_the_best_job_of_all_tubes_again_and_again() -> None:
    d = driver_of(Machine())
    for client in "abcdef":
        assert d.ask(client, "t", "u") == "queued"
    for tube, priority in (("t", 1), ("u", 2), ("t", 3), ("u", 4), ("t", 5), ("u", 6), ("u", 7)):
        d.put(tube, pri=priority)
    assert d.tick() == [f"{client} matched {place}" for place, client in enumerate("abcdef", 1)]


def test_a_tick_matches_one_and_warns_another_and_tells_a_third_that_time_is_up() -> None:
    d = driver_of(Machine())
    d.hold("b", "held", ttr=5)
    assert d.ask("a", "t") == "queued"
    assert d.ask("b", "u") == "queued"
    assert d.ask("c", "u", until=4) == "queued"
    d.put("t")
    assert d.tick_at(4) == ["a matched 2", "b deadline-soon", "c timeout"]


CHANGES: dict[str, Callable[[Driver], object]] = {
    "ask": lambda d: d.ask("a", "t", until=d.now),
    "delete": lambda d: d.call("delete", 1, "a"),
    "put": lambda d: d.put(),
    "tick": lambda d: d.tick(),
    "use": lambda d: d.call("use_tube", "a", "t"),
}


@pytest.mark.parametrize("first", CHANGES)
@pytest.mark.parametrize("second", CHANGES)
def test_two_changes_do_not_hide_each_other_from_an_open_stream(first: str, second: str) -> None:
    machine = Machine()
    d = driver_of(machine)
    for _ in range(3):
        d.put()
    stream = machine.snapshot().snapshot_jobs()
    next(stream)
    CHANGES[first](d)
    if second != first:
        CHANGES[second](d)
    with pytest.raises(SnapshotChangedError):
        next(stream)


@pytest.mark.parametrize("change", CHANGES)
def test_the_second_change_of_a_machines_life_is_seen_by_an_open_stream(change: str) -> None:
    machine = Machine()
    d = driver_of(machine)
    d.put()
    stream = machine.snapshot().snapshot_jobs()
    CHANGES[change](d)
    with pytest.raises(SnapshotChangedError):
        next(stream)


def test_a_move_that_the_table_does_not_have_changes_nothing_and_says_which() -> None:
    machine, notes = Machine(), Notes()
    d = driver_of(machine)
    job_id = JobID(d.put())
    before, machine._state.observer = file_of(machine), notes
    with pytest.raises(IllegalTransitionError) as refused:
        machine._state.move(machine._state.jobs[job_id], Trigger.TOUCH, ClientID("a"), 9)
    assert (refused.value.job_id, refused.value.state, refused.value.trigger) == (job_id, "ready", "touch")
    assert (file_of(machine), notes.records) == (before, [])


@pytest.mark.parametrize("state", ["ready", "delayed", "buried"])
def test_a_peek_that_finds_nothing_says_where_and_what(state: str) -> None:
    with pytest.raises(NoJobInStateError, match=rf"^tube 'default' holds no {state} job$"):
        getattr(Machine(), f"peek_{state}_job")(DEFAULT)


def test_a_bad_entry_leaves_nothing_to_feed_or_to_finalize() -> None:
    parts = parts_of(full_machine())
    snapshot = Machine().snapshot()
    snapshot.restore_header(parts.header)
    with pytest.raises(SnapshotError, match="unique"):
        snapshot.restore_jobs([parts.jobs[0], parts.jobs[0]])
    with pytest.raises(SnapshotError, match="offer the header first"):
        snapshot.restore_jobs(parts.jobs[1:])
    with pytest.raises(SnapshotError, match="nothing to restore"):
        snapshot.finalize_restore()


def test_a_client_that_waited_is_known_as_not_waiting() -> None:
    machine = Machine()
    a = ClientID("a")
    driver_of(machine).ask("a")
    machine.cancel_reservation(a)
    assert machine.check_client_state([a]) == ([], [a], [])
    machine.put(0, priority=0, delay_seconds=0, ttr_seconds=1, body=b"", tube=DEFAULT)
    assert machine.tick(0) == []
    assert machine.get_job(JobID(1)).reserved_by is None
