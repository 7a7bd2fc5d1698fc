"""SPEC section 5 as hand-made histories: what happens when, to the unit.

See `tests/rules_jobs.py`. Every instant is tried one unit before, at, and one unit after; `d.second` is the number
of units in a second.
"""

from collections.abc import Callable

from tests.driver import Driver

TIME_RULES: list[Callable[[Driver], None]] = []


def rule(history: Callable[[Driver], None]) -> Callable[[Driver], None]:
    """List the history as a rule."""
    TIME_RULES.append(history)
    return history


# Instants


@rule
def a_delay_ends_at_its_instant(d: Driver) -> None:
    job_id = d.at(7).put(delay=3, pri=5)
    due = 7 + 3 * d.second
    assert (d.state(job_id), d.job(job_id).ready_at, d.call("next_tick_at")) == ("delayed", due, due)
    d.tick_at(due - 1)
    assert d.state(job_id) == "delayed"
    d.tick_at(due)
    job = d.job(job_id)
    assert (job.state, job.ready_at, job.delay_seconds, job.priority) == ("ready", 0, 3, 5)


@rule
def a_delay_ends_when_the_tick_is_one_unit_late(d: Driver) -> None:
    job_id = d.put(delay=3)
    d.tick_at(3 * d.second + 1)
    assert d.state(job_id) == "ready"


@rule
def a_delay_of_a_release_ends_at_its_instant(d: Driver) -> None:
    job_id = d.hold("a")
    d.call("release_with", 5, job_id, "a", priority=0, delay_seconds=2)
    d.tick_at(5 + 2 * d.second - 1)
    assert d.state(job_id) == "delayed"
    d.tick_at(5 + 2 * d.second)
    assert d.state(job_id) == "ready"


@rule
def only_a_tick_ends_a_delay(d: Driver) -> None:
    job_id = d.put(delay=1)
    d.at(9 * d.second)
    assert d.ask("a", until=d.now) == "timeout"
    assert d.state(job_id) == "delayed"
    assert d.call("next_tick_at") == d.now  # overdue, but never before the clock
    assert d.call("kick_n", "default", 1) == 1


@rule
def a_ttr_expires_at_its_instant(d: Driver) -> None:
    job_id = d.at(7).hold("a", ttr=3, pri=5)
    due = 7 + 3 * d.second
    assert (d.job(job_id).expires_at, d.call("next_tick_at")) == (due, due)
    d.tick_at(due - 1)
    assert d.state(job_id) == "reserved"
    d.tick_at(due)
    job = d.job(job_id)
    assert (job.state, job.expires_at, job.reserved_by, job.timeouts, job.releases) == ("ready", 0, None, 1, 0)
    assert (job.priority, d.stats()["job-timeouts"]) == (5, 1)


@rule
def a_ttr_expires_when_the_tick_is_one_unit_late(d: Driver) -> None:
    job_id = d.hold("a", ttr=3)
    d.tick_at(3 * d.second + 1)
    assert d.state(job_id) == "ready"


@rule
def an_overdue_job_stays_with_its_owner_until_the_tick(d: Driver) -> None:
    touched, released, deleted, buried = [d.hold("a", ttr=1) for _ in range(4)]
    d.at(5 * d.second)
    assert d.call("next_tick_at") == d.second  # no accepted call has moved the clock yet
    d.call("touch", d.now, touched, "a")
    d.call("release", released, "a")
    d.call("delete", deleted, "a")
    d.call("bury", d.now, buried, "a", priority=0)
    d.tick()
    assert d.job(touched).expires_at == 6 * d.second
    assert [d.state(job_id) for job_id in (touched, released, buried)] == ["reserved", "ready", "buried"]
    assert d.stats()["job-timeouts"] == 0


@rule
def touch_starts_the_ttr_again(d: Driver) -> None:
    job_id = d.hold("a", ttr=2)
    d.call("touch", 2 * d.second - 1, job_id, "a")
    due = 4 * d.second - 1
    d.tick_at(due - 1)
    assert d.state(job_id) == "reserved"
    d.tick_at(due)
    assert d.state(job_id) == "ready"


@rule
def a_pause_ends_at_its_instant(d: Driver) -> None:
    job_id = d.at(7).put("t")
    d.call("pause_tube", 7, "t", 3)
    end = 7 + 3 * d.second
    assert d.ask("a", "t") == "queued"
    assert d.call("next_tick_at") == end
    assert d.tick_at(end - 1) == []
    assert d.tick_at(end) == [f"a matched {job_id}"]
    assert d.stats("t")["pause"] == 0


@rule
def a_pause_ends_when_the_tick_is_one_unit_late(d: Driver) -> None:
    job_id = d.put("t")
    d.call("pause_tube", 0, "t", 3)
    assert d.ask("a", "t") == "queued"
    assert d.tick_at(3 * d.second + 1) == [f"a matched {job_id}"]


@rule
def only_a_tick_ends_a_pause(d: Driver) -> None:
    d.put("t")
    d.call("pause_tube", 0, "t", 1)
    d.at(2 * d.second)
    assert d.ask("a", "t", until=d.now) == "timeout"
    assert d.call("next_tick_at") == d.now
    pairs = d.stats("t")
    assert (pairs["pause"], pairs["pause-time-left"]) == (1, 0)
    d.tick()
    assert d.ask("a", "t", until=d.now) == "matched 1"


@rule
def a_new_pause_replaces_the_running_one(d: Driver) -> None:
    d.put("t")
    d.call("pause_tube", 0, "t", 100)
    d.call("pause_tube", 1, "t", 2)
    pairs = d.at(1).stats("t")
    assert (pairs["pause"], pairs["pause-time-left"], pairs["cmd-pause-tube"]) == (2, 2, 2)
    assert d.call("next_tick_at") == 1 + 2 * d.second
    assert d.ask("a", "t") == "queued"
    assert d.tick_at(1 + 2 * d.second) == ["a matched 1"]


@rule
def a_pause_of_0_ends_at_the_tick_that_is_due(d: Driver) -> None:
    d.put("t")
    d.call("pause_tube", 0, "t", 100)
    assert d.ask("a", "t") == "queued"
    d.call("pause_tube", 5, "t", 0)
    assert d.call("next_tick_at") == 5
    assert d.tick_at(5) == ["a matched 1"]


@rule
def a_pause_of_0_on_an_unpaused_tube_holds_until_the_tick(d: Driver) -> None:
    d.put("t")
    d.call("pause_tube", 0, "t", 0)
    assert d.call("next_tick_at") == 0
    assert d.ask("a", "t", until=0) == "timeout"
    d.tick()
    assert d.ask("a", "t", until=0) == "matched 1"


@rule
def a_paused_tube_hands_out_by_id_only(d: Driver) -> None:
    for _ in range(3):
        d.put("t")
    d.put("t", delay=9)
    d.call("pause_tube", 0, "t", 100)
    assert d.call("peek_ready_job", "t")[0] == 1
    d.call("delete", 1, "a")
    d.call("reserve_job", 0, 2, "a")
    d.call("kick", 4)
    assert d.ask("b", "t", until=0) == "timeout"


@rule
def a_wait_times_out_at_its_deadline(d: Driver) -> None:
    due = 3 * d.second
    assert d.ask("a", until=due) == "queued"
    assert d.call("next_tick_at") == due
    assert d.tick_at(due - 1) == []
    assert d.tick_at(due) == ["a timeout"]
    assert d.call("check_client_state", ["a"]) == ([], ["a"], [])


@rule
def a_wait_times_out_when_the_tick_is_one_unit_late(d: Driver) -> None:
    assert d.ask("a", until=3) == "queued"
    assert d.tick_at(4) == ["a timeout"]


@rule
def a_wait_without_deadline_waits_for_ever(d: Driver) -> None:
    assert d.ask("a") == "queued"
    assert d.call("next_tick_at") is None
    assert d.tick_at(10**9 * d.second) == []


@rule
def a_deadline_is_tried_against_now(d: Driver) -> None:
    d.at(10)
    assert d.ask("a", until=11) == "queued"
    assert d.ask("b", until=10) == "timeout"
    assert d.refusal("append_reservation", 10, "c", request_id="", tubes=["t"], deadline_at=9) == "bad-value"


@rule
def the_margin_begins_a_second_before_the_expiry(d: Driver) -> None:
    d.hold("a", ttr=5)
    margin = 4 * d.second
    assert d.ask("a") == "queued"
    assert d.call("next_tick_at") == margin
    assert d.tick_at(margin - 1) == []
    assert d.tick_at(margin) == ["a deadline-soon"]
    assert d.call("next_tick_at") == 5 * d.second  # the ttr goes on
    d.tick_at(5 * d.second)
    assert d.state(1) == "ready"


@rule
def the_margin_answers_when_the_tick_is_one_unit_late(d: Driver) -> None:
    d.hold("a", ttr=5)
    assert d.ask("a") == "queued"
    answers = d.tick_at(4 * d.second + 1)
    assert answers == (["a matched 1"] if d.second == 1 else ["a deadline-soon"])  # at 5 s it expires and comes back


@rule
def an_append_in_the_margin_is_answered_at_once(d: Driver) -> None:
    d.hold("a", ttr=5)
    d.at(4 * d.second - 1)
    assert d.ask("a", until=d.now) == "timeout"
    for now in (4 * d.second, 4 * d.second + 1, 5 * d.second, 5 * d.second + 1):  # overdue included
        d.at(now)
        assert d.ask("a", until=d.now) == "deadline-soon"  # and not timeout
        assert d.ask("a") == "deadline-soon"
    d.put("t")
    assert d.ask("a", "t") == "matched 2"  # a ready job comes before the warning


@rule
def a_touch_moves_the_margin(d: Driver) -> None:
    d.hold("a", ttr=5)
    assert d.ask("a") == "queued"
    d.call("touch", 3 * d.second, 1, "a")
    assert d.call("next_tick_at") == 7 * d.second
    assert d.tick_at(4 * d.second) == []
    assert d.tick_at(7 * d.second) == ["a deadline-soon"]


@rule
def the_margin_is_the_own_jobs_only(d: Driver) -> None:
    d.hold("b", ttr=1)
    assert d.ask("a", until=d.second * 9) == "queued"
    assert d.tick() == []


@rule
def a_margin_whose_job_expired_in_the_tick_sends_nothing(d: Driver) -> None:
    d.hold("a", "t", ttr=2)
    assert d.ask("a", "other", until=9 * d.second) == "queued"
    assert d.tick_at(2 * d.second) == []
    assert d.state(1) == "ready"
    assert d.call("check_client_state", ["a"])[0] == ["a"]


@rule
def a_job_reserved_by_id_while_waiting_brings_its_margin(d: Driver) -> None:
    job_id = d.put("t", ttr=1)
    assert d.ask("a") == "queued"
    assert d.call("reserve_job", 0, job_id, "a")[2] == "matched"
    assert d.call("next_tick_at") == 0
    assert d.tick() == ["a deadline-soon"]


# The clock


@rule
def accepted_calls_move_the_clock_and_refused_ones_do_not(d: Driver) -> None:
    assert d.refusal("get_job", 1, now=9) == "missing"
    assert d.refusal("tick", -1) == "time-backwards"
    d.call("get_tubes", now=5)
    assert d.refusal("tick", 4) == "time-backwards"
    assert d.refusal("delete", 1, "", now=4) == "time-backwards"
    d.at(5).put()
    d.call("get_job", 1, now=6)
    d.call("kick_n", "nowhere", 1, now=7)
    d.call("close_client", "nobody", now=8)
    d.call("cancel_reservation", "nobody", now=9)
    d.call("check_client_state", [], now=10)
    d.call("ignore_tube", "nobody", "t", now=11)
    d.call("peek_ready_job", "default", now=12)
    assert d.refusal("tick", 11) == "time-backwards"
    assert d.tick_at(12) == []


@rule
def seconds_are_floored_and_never_negative(d: Driver) -> None:
    job_id = d.put("t", delay=5)
    d.call("pause_tube", 0, "t", 5)
    for now, age, left in [(0, 0, 5), (d.second, 1, 4), (2 * d.second, 2, 3)]:
        pairs = d.at(now).call("get_stats_job_as_yaml", now, job_id)
        assert (pairs["age"], pairs["time-left"], d.stats("t")["pause-time-left"]) == (age, left, left)
    pairs = d.at(3 * d.second - 1).call("get_stats_job_as_yaml", 3 * d.second - 1, job_id)
    left = 3 if d.second == 1 else 2  # 2 s and a unit
    assert (pairs["age"], pairs["time-left"], d.stats("t")["pause-time-left"]) == (2, left, left)
    d.at(9 * d.second)
    pairs = d.call("get_stats_job_as_yaml", d.now, job_id)
    assert (pairs["age"], pairs["time-left"], d.stats("t")["pause-time-left"]) == (9, 0, 0)
    d.call("reserve_job", d.now, job_id, "a")
    assert d.call("get_stats_job_as_yaml", d.now + 1, job_id)["time-left"] == (60 * d.second - 1) // d.second
    assert d.call("get_stats_job_as_yaml", 999 * d.second, job_id)["time-left"] == 0
