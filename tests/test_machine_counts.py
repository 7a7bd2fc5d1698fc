"""Counts of jobs by tube and state, and what a server says of itself."""

import pytest

from jsm.errors import BadValueError, BodyTooBigError, LastWatchedTubeError
from jsm.job import ClientID, TubeName
from jsm.machine import Machine
from jsm.states import LIVE_STATES
from tests.machines import driver_of, full_machine


def test_jobs_are_counted_by_tube_and_state() -> None:
    machine = Machine()
    d = driver_of(machine)
    for tube, held in (("t", 3), ("u", 1)):
        for client in range(held):
            d.hold(f"{tube}{client}", tube)
        d.call("bury", 0, d.hold("z", tube), "z", priority=0)
        d.put(tube, delay=5)
    d.put("t")
    d.put("t")
    by_tube = {"t": (2, 1, 3, 1), "u": (0, 1, 1, 1), "default": (0, 0, 0, 0), "nowhere": (0, 0, 0, 0)}
    for tube, counts in by_tube.items():
        assert machine.count_jobs(TubeName(tube)) == dict(zip(LIVE_STATES, counts, strict=True))
    assert machine.count_jobs() == dict(zip(LIVE_STATES, (2, 2, 4, 2), strict=True))
    assert list(machine.count_jobs()) == list(LIVE_STATES)


@pytest.mark.parametrize(("priority", "urgent"), [(1023, 1), (1024, 0), (1025, 0)])
def test_a_ready_job_is_urgent_below_1024(priority: int, urgent: int) -> None:
    d = driver_of(Machine())
    job = d.put("t", pri=priority)
    d.put("t", pri=priority + 1)  # which keeps the tube
    counts = [d.stats()["current-jobs-urgent"], d.stats("t")["current-jobs-urgent"]]
    d.call("delete", job, "a")
    counts += [d.stats()["current-jobs-urgent"], d.stats("t")["current-jobs-urgent"]]
    rest = 1 if priority + 1 < 1024 else 0
    assert counts == [urgent + rest, urgent + rest, rest, rest]


@pytest.mark.parametrize("size", [0, 1])
def test_a_machine_may_take_the_smallest_bodies_only(size: int) -> None:
    machine = Machine(max_job_size=size)
    d = driver_of(machine)
    assert d.put(body=bytes(size)) == 1
    with pytest.raises(BodyTooBigError, match=f"at most max_job_size = {size} bytes$"):
        d.put(body=bytes(size + 1))


def test_what_a_server_says_of_itself_is_shown() -> None:
    text = Machine().get_stats_as_yaml(0, {"pid": 77, "hostname": "here"})
    assert b"\npid: 77\n" in text
    assert b"here" in text


@pytest.mark.parametrize("given", ["ab", 5, None])
def test_client_ids_are_a_sequence(given: object) -> None:
    with pytest.raises(BadValueError, match=f"^client_ids = {given!r}: expected a sequence of client ids$"):
        Machine().check_client_state(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["ab", b"ab", 5, None])
def test_tubes_are_a_sequence(given: object) -> None:
    with pytest.raises(BadValueError) as refused:
        Machine().append_reservation(0, ClientID("a"), request_id="r", tubes=given, deadline_at=None)  # type: ignore[arg-type]
    assert str(refused.value) == f"tubes = {given!r}: expected a sequence of tube names"


def test_the_last_watched_tube_is_named() -> None:
    machine = Machine()
    machine.watch_tube(ClientID("a"), TubeName("t"))
    with pytest.raises(LastWatchedTubeError) as refused:
        machine.ignore_tube(ClientID("a"), TubeName("t"))
    assert str(refused.value) == "tube = 't': expected a tube that is not the client's only watched one"


def test_commands_that_the_machine_cannot_see_are_counted_each_time() -> None:
    machine = Machine()
    for _ in range(3):
        machine.count_command("list-tubes")
    assert machine.snapshot().header().commands["list-tubes"] == 3


def test_all_that_can_be_seen_of_a_full_machine_is_counted() -> None:
    machine = full_machine()
    assert sum(machine.count_jobs().values()) == sum(1 for _ in machine.snapshot().snapshot_jobs())
