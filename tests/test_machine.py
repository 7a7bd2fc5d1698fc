"""The machine by itself: each trigger, the traps that real servers fell into, and what a refusal leaves alone."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from jsm.errors import (
    BadValueError,
    EmptyClientError,
    NotOwnerError,
    UnknownJobError,
)
from jsm.machine import Machine
from jsm.states import Trigger
from models.calls import Call
from tests.driver import Driver
from tests.machines import Notes, driver_of, file_of, full_machine, machine_from, state_but_commands
from tests.refusals import BURIED, CLOCK, DELAYED, HELD, READY


def fresh(*, second: int = 1) -> tuple[Driver, Machine, Notes]:
    """A new machine, its short words, and what it tells."""
    notes = Notes()
    machine = Machine(units_per_second=second, observer=notes)
    return driver_of(machine, second=second), machine, notes


# ---------------------------------------------------------------------- one test a trigger


def test_put_makes_a_ready_job() -> None:
    d, _, notes = fresh()
    job = d.at(4).job(d.put("t", pri=3, ttr=9, body=b"abc"))
    assert job[:8] == (1, "t", b"abc", 3, 0, 9, "ready", 4)
    assert notes.edges() == ["new put ready"]


def test_put_delayed_is_not_ready_before_its_instant() -> None:
    d, _, notes = fresh()
    job_id = d.at(4).put(delay=6)
    assert (d.state(job_id), d.job(job_id).ready_at) == ("delayed", 10)
    assert d.ask("a", until=4) == "timeout"
    assert notes.edges() == ["new put-delayed delayed"]


def test_delay_elapsed_makes_ready_and_counts_nothing() -> None:
    d, _, notes = fresh()
    job_id = d.put(delay=6)
    d.tick_at(6)
    job = d.job(job_id)
    assert (job.state, job.ready_at, job.reserved_by) == ("ready", 0, None)
    assert (job.reserves, job.timeouts, job.releases, job.buries, job.kicks) == (0, 0, 0, 0, 0)
    assert notes.edges()[-1] == "delayed delay-elapsed ready"


def test_reserve_gives_the_job_to_the_waiting_client_at_the_tick() -> None:
    d, _, notes = fresh()
    assert d.ask("a", "t") == "queued"
    job_id = d.at(3).put("t", ttr=5)
    assert d.tick() == [f"a matched {job_id}"]
    assert (d.job(job_id).reserved_by, d.job(job_id).expires_at, d.job(job_id).reserves) == ("a", 8, 1)
    assert notes.edges()[-1] == "ready reserve reserved"


@pytest.mark.parametrize("job_id", [READY, DELAYED, BURIED])
def test_reserve_job_takes_a_job_out_of_any_unreserved_state(job_id: int) -> None:
    d = driver_of(full_machine())
    d.call("reserve_job", CLOCK, job_id, "b")
    job = d.job(job_id)
    assert (job.state, job.reserved_by, job.ready_at, job.buried_at) == ("reserved", "b", 0, 0)


def test_touch_starts_the_ttr_again_from_now() -> None:
    d, _, notes = fresh()
    job_id = d.hold("a", ttr=10)
    d.call("touch", 7, job_id, "a")
    assert d.job(job_id).expires_at == 17
    assert notes.edges()[-1] == "reserved touch reserved"


def test_release_goes_back_to_ready_with_the_old_priority() -> None:
    d, _, notes = fresh()
    job_id = d.hold("a", pri=7)
    d.call("release", job_id, "a")
    job = d.job(job_id)
    assert (job.state, job.priority, job.reserved_by, job.releases, job.expires_at) == ("ready", 7, None, 1, 0)
    assert notes.edges()[-1] == "reserved release ready"


def test_release_with_delay_is_not_ready_before_its_instant() -> None:
    d, machine, notes = fresh()
    job_id = d.hold("a", ttr=60)
    d.call("release_with", 2, job_id, "a", priority=9, delay_seconds=5)
    job = d.job(job_id)
    assert (job.state, job.priority, job.delay_seconds, job.ready_at, job.releases) == ("delayed", 9, 5, 7, 1)
    assert machine.next_tick_at() == 7
    d.tick_at(6)
    assert d.state(job_id) == "delayed"
    assert notes.edges()[-1] == "reserved release-delayed delayed"


def test_bury_takes_a_job_out_of_circulation_with_its_new_priority() -> None:
    d, machine, notes = fresh()
    job_id = d.hold("a")
    d.call("bury", 3, job_id, "a", priority=8)
    job = d.job(job_id)
    assert (job.state, job.priority, job.buried_at, job.buries, job.reserved_by) == ("buried", 8, 3, 1, None)
    assert machine.next_tick_at() is None
    assert notes.edges()[-1] == "reserved bury buried"


@pytest.mark.parametrize("job_id", [DELAYED, BURIED])
def test_kick_makes_a_buried_or_delayed_job_ready_and_keeps_its_delay(job_id: int) -> None:
    d = driver_of(full_machine())
    delay = d.job(job_id).delay_seconds
    d.call("kick", job_id)
    job = d.job(job_id)
    assert (job.state, job.kicks, job.delay_seconds, job.ready_at) == ("ready", 1, delay, 0)


def test_ttr_expired_returns_the_job_and_counts_a_timeout_only() -> None:
    d, _, notes = fresh()
    job_id = d.hold("a", ttr=5, pri=4)
    d.tick_at(5)
    job = d.job(job_id)
    assert (job.state, job.priority, job.timeouts, job.releases, job.reserves) == ("ready", 4, 1, 0, 1)
    assert notes.edges()[-1] == "reserved ttr-expired ready"


def test_close_returns_the_jobs_and_counts_neither_timeout_nor_release() -> None:
    d, machine, notes = fresh()
    job_id = d.hold("a", ttr=5, pri=4)
    d.call("close_client", "a")
    job = d.job(job_id)
    assert (job.state, job.priority, job.timeouts, job.releases) == ("ready", 4, 0, 0)
    assert machine.next_tick_at() is None
    assert notes.edges()[-1] == "reserved close ready"


@pytest.mark.parametrize(
    ("job_id", "source"), [(HELD, "reserved"), (READY, "ready"), (DELAYED, "delayed"), (BURIED, "buried")]
)
def test_delete_takes_a_job_of_any_state_away_for_good(job_id: int, source: str) -> None:
    machine = full_machine()
    d = driver_of(machine)
    assert d.state(job_id) == source
    d.call("delete", job_id, "a")
    with pytest.raises(UnknownJobError):
        d.call("get_job", job_id)
    assert job_id not in [job[0][0] for job in state_but_commands(machine)["jobs"]]


def test_the_tests_above_name_every_trigger() -> None:
    names = " ".join(name.replace("_", "-") for name in globals() if name.startswith("test_"))
    words = {Trigger.RELEASE_DELAYED: "release-with-delay"}
    assert [trigger for trigger in Trigger if f"test-{words.get(trigger, trigger)}" not in names] == []


# ---------------------------------------------------------------------- the traps of SPEC section 10


def test_a_deleted_buried_job_leaves_the_order_of_burials() -> None:
    d, _, _ = fresh()
    first, second = d.hold("a"), d.hold("a")
    for job_id in (first, second):
        d.call("bury", 0, job_id, "a", priority=0)
    d.call("delete", first, "a")
    assert d.call("peek_buried_job", "default")[0] == second
    assert d.call("kick_n", "default", 5) == 1


def test_the_best_job_of_all_tubes_is_taken_and_not_the_first_tubes() -> None:
    d, _, _ = fresh()
    d.put("t", pri=9)
    best = d.put("u", pri=1)
    assert d.ask("a", "t", "u") == f"matched {best}"


def test_the_deadline_of_a_wait_does_not_hide_the_ttr() -> None:
    d, machine, _ = fresh()
    d.ask("a", "t", until=5)
    job_id = d.put("t", ttr=10)
    assert d.tick() == [f"a matched {job_id}"]
    assert machine.next_tick_at() == 10
    assert (d.tick_at(5), d.state(job_id)) == ([], "reserved")
    assert (d.tick_at(10), d.state(job_id)) == ([], "ready")


def test_the_ttr_runs_on_after_deadline_soon() -> None:
    d, machine, _ = fresh()
    short, long = d.hold("a", ttr=2), d.hold("a", ttr=5)
    assert d.ask("a", "t", until=3) == "queued"
    assert d.tick_at(1) == ["a deadline-soon"]
    d.call("delete", short, "a")
    assert machine.next_tick_at() == 5
    assert (d.tick_at(5), d.state(long)) == ([], "ready")


def test_counters_agree_with_a_recount_after_deletes_and_timeouts() -> None:
    d, _, _ = fresh()
    timed_out, deleted = d.hold("a", "t", ttr=1), d.hold("a", "t")
    d.put("t", pri=5000)
    d.call("delete", deleted, "a")
    d.tick_at(1)
    stats = d.stats("t")
    counts = {name: stats[f"current-jobs-{name}"] for name in ("urgent", "ready", "reserved", "delayed", "buried")}
    assert counts == {"urgent": 1, "ready": 2, "reserved": 0, "delayed": 0, "buried": 0}
    d.call("delete", timed_out, "a")
    assert d.stats("t")["current-jobs-urgent"] == 0


def test_a_pause_that_ends_wakes_the_waiting() -> None:
    d, machine, _ = fresh()
    job_id = d.put("t")
    d.call("pause_tube", 0, "t", 3)
    assert d.ask("a", "t") == "queued"
    assert (machine.next_tick_at(), d.tick_at(2), d.tick_at(3)) == (3, [], [f"a matched {job_id}"])


def test_kick_of_a_delayed_job_moves_that_job_and_no_other() -> None:
    d, _, _ = fresh()
    first, second = d.put(delay=3), d.put(delay=9)
    d.call("kick", second)
    assert (d.state(first), d.state(second)) == ("delayed", "ready")
    assert (d.tick_at(3), d.state(first)) == ([], "ready")


def test_ids_are_not_used_again_after_a_restore() -> None:
    d, machine, _ = fresh()
    d.call("delete", d.put(), "a")
    assert driver_of(machine_from([file_of(machine)])).put() == 2


def test_a_deadline_of_now_is_answered_at_once() -> None:
    d, machine, _ = fresh()
    assert d.ask("a", "t", until=0) == "timeout"
    assert machine.check_client_state(["a"]).waiting == []  # type: ignore[list-item]
    assert d.call("get_tubes") == ["default"]


def test_time_left_is_never_negative() -> None:
    d, _, _ = fresh()
    held, delayed = d.hold("a", ttr=1), d.put(delay=1)
    d.call("pause_tube", 0, "default", 1)
    assert [d.call("get_stats_job_as_yaml", 50, job_id)["time-left"] for job_id in (held, delayed)] == [0, 0]
    assert d.call("get_stats_tube_as_yaml", 50, "default")["pause-time-left"] == 0


def test_only_the_owner_releases() -> None:
    d, _, _ = fresh()
    job_id = d.hold("a")
    with pytest.raises(NotOwnerError):
        d.call("release", job_id, "b")
    assert d.job(job_id).reserved_by == "a"


def test_a_tube_with_a_waiting_client_stays() -> None:
    d, _, _ = fresh()
    d.ask("a", "t")
    d.call("delete", d.put("t"), "b")
    assert d.call("get_tubes") == ["default", "t"]
    job_id = d.put("t")
    assert d.tick() == [f"a matched {job_id}"]
    d.call("delete", job_id, "a")
    assert d.call("get_tubes") == ["default"]


def test_an_empty_client_is_nobodys_owner() -> None:
    d, _, _ = fresh()
    ready, held = d.put(), d.hold("a")
    for job_id, op in product((ready, held), ("delete", "release")):
        with pytest.raises(EmptyClientError):
            d.call(op, job_id, "")


# ---------------------------------------------------------------------- one before, at, one after


def due_delay(d: Driver) -> Callable[[], bool]:
    """A delay of 2 s."""
    job_id = d.put(delay=2)
    return lambda: d.state(job_id) == "ready"


def due_ttr(d: Driver) -> Callable[[], bool]:
    """A ttr of 2 s."""
    job_id = d.hold("a", ttr=2)
    return lambda: d.state(job_id) == "ready"


def due_pause(d: Driver) -> Callable[[], bool]:
    """A pause of 2 s before a job that a client waits for."""
    job_id = d.put("t")
    d.call("pause_tube", d.now, "t", 2)
    d.ask("a", "t")
    return lambda: d.state(job_id) == "reserved"


def due_wait(d: Driver) -> Callable[[], bool]:
    """A wait of 2 s."""
    d.ask("a", "t", until=d.now + 2 * d.second)
    return lambda: d.call("check_client_state", ["a"]) == ([], ["a"], [])


def due_margin(d: Driver) -> Callable[[], bool]:
    """A ttr of 3 s, whose margin begins after 2; a second later, the job is lost and nothing is left to warn of."""
    job_id = d.hold("a", ttr=3)
    d.ask("a", "t")
    return lambda: d.call("check_client_state", ["a"]) == ([], ["a"], []) or d.job(job_id).timeouts == 1


@pytest.mark.parametrize("second", [1, 1000])
@pytest.mark.parametrize("start", [due_delay, due_ttr, due_pause, due_wait, due_margin], ids=lambda s: s.__name__)
def test_what_is_due_happens_at_its_instant_and_not_one_unit_before(
    start: Callable[[Driver], Callable[[], bool]], second: int
) -> None:
    for off, happens in ((-1, False), (0, True), (1, True)):
        d, machine, _ = fresh(second=second)
        happened = start(d.at(7))
        due = 7 + 2 * second
        assert machine.next_tick_at() == due
        d.tick_at(due + off)
        assert happened() is happens, off


# ---------------------------------------------------------------------- borders


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_body_is_copied(kind: Callable[[Any], Any]) -> None:
    d, _, _ = fresh()
    outside = bytearray(b"abc")
    job_id = d.put(body=kind(outside))
    outside[0] = 0
    assert d.job(job_id).body == b"abc"
    assert type(d.job(job_id).body) is bytes


def test_a_view_is_of_the_instant_of_the_call_and_cant_be_changed() -> None:
    d, machine, _ = fresh()
    view = machine.get_job(d.put())  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        view.priority = 3  # type: ignore[misc]
    d.call("reserve_job", 0, 1, "a")
    assert (view.state, d.state(1)) == ("ready", "reserved")


def test_what_the_machine_returns_is_not_its_own() -> None:
    d, machine, _ = fresh()
    machine.get_tubes().clear()
    machine.count_jobs().clear()
    d.hold("a", "t")
    machine.tick(0).append(None)  # type: ignore[arg-type]
    assert (machine.get_tubes(), sum(machine.count_jobs().values())) == (["default", "t"], 1)


def test_a_watch_list_may_be_any_iterable_and_is_copied() -> None:
    d, _, _ = fresh()
    names = ["t", "u"]
    for client, tubes in (("a", names), ("b", iter(names)), ("c", dict.fromkeys(names))):
        d.call("append_reservation", 0, client, request_id="r", tubes=tubes, deadline_at=None)
    names.clear()
    jobs = [d.put("u") for _ in range(3)]
    assert d.tick() == [f"{client} matched {job}" for client, job in zip("abc", jobs, strict=True)]


def test_a_tube_lives_while_a_job_or_a_client_needs_it() -> None:
    d, _, _ = fresh()
    for enter, leave in (
        (Call("use_tube", ("a", "t")), Call("use_tube", ("a", "default"))),
        (Call("watch_tube", ("b", "t")), Call("close_client", ("b",))),
        (
            Call("append_reservation", (0, "c"), {"request_id": "", "tubes": ["t"], "deadline_at": None}),
            Call("cancel_reservation", ("c",)),
        ),
    ):
        d.call(enter.op, *enter.args, **enter.kwargs)
        assert d.call("get_tubes") == ["default", "t"], enter
        d.call(leave.op, *leave.args)
        assert d.call("get_tubes") == ["default"], leave
    job_id = d.hold("a", "t")
    assert d.call("get_tubes") == ["default", "t"]
    d.call("delete", job_id, "a")
    assert d.call("get_tubes") == ["default"]


def test_an_owed_answer_is_handed_out_once_by_the_next_tick() -> None:
    d, machine, _ = fresh()
    d.ask("a", "t")
    job_id = d.put("t")
    assert d.ask("b", "t", until=0) == "timeout"
    assert d.job(job_id).reserved_by == "a"
    assert machine.next_tick_at() == 0
    d.call("delete", job_id, "a")
    assert (d.tick(), d.tick()) == ([f"a matched {job_id}"], [])


@pytest.mark.parametrize(
    "settings",
    [{"units_per_second": bad} for bad in (0, -1, True, 1.0, None)]
    + [{"max_job_size": bad} for bad in (-1, True, 1.0, None)],
)
def test_a_machine_with_impossible_settings_is_not_made(settings: dict[str, Any]) -> None:
    with pytest.raises(BadValueError):
        Machine(**settings)
