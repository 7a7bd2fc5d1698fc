"""SPEC section 4 as hand-made histories: who gets which job, in which order, and what is owed to whom.

See `tests/rules_jobs.py`; `d.second` is the number of units in a second.
"""

from collections.abc import Callable

from tests.driver import Driver

RESERVE_RULES: list[Callable[[Driver], None]] = []


def rule(history: Callable[[Driver], None]) -> Callable[[Driver], None]:
    """List the history as a rule."""
    RESERVE_RULES.append(history)
    return history


# Who gets what


@rule
def the_best_job_of_all_watched_tubes_is_taken(d: Driver) -> None:
    d.put("t", pri=9), d.put("u", pri=1), d.put("v", pri=0)
    assert d.ask("a", "t", "u") == "matched 2"
    assert d.ask("b", "t", "u") == "matched 1"
    assert d.ask("c", "t", "u", until=0) == "timeout"


@rule
def equal_priorities_go_by_id_over_all_tubes(d: Driver) -> None:
    d.put("u"), d.put("t"), d.put("u")
    assert [d.ask(client, "t", "u") for client in "abc"] == ["matched 1", "matched 2", "matched 3"]


@rule
def a_reserved_job_says_whose_it_is(d: Driver) -> None:
    d.put(ttr=3)
    d.at(2)
    assert d.ask("a") == "matched 1"
    job = d.job(1)
    assert (job.reserved_by, job.expires_at, job.reserves) == ("a", 2 + 3 * d.second, 1)
    assert d.ask("a") == "queued"  # who holds a job may wait for another


@rule
def first_come_first_served(d: Driver) -> None:
    for client in "cab":
        assert d.ask(client) == "queued"
    for _ in range(3):
        d.put()
    assert d.call("next_tick_at") == 0
    assert d.tick() == ["c matched 1", "a matched 2", "b matched 3"]
    assert d.tick() == []


@rule
def the_best_job_is_served_first_and_to_who_asked_first(d: Driver) -> None:
    assert [d.ask("a", "t"), d.ask("b", "u", "t"), d.ask("c", "u")] == ["queued"] * 3
    d.put("t", pri=5), d.put("u", pri=1)
    assert d.tick() == ["b matched 2", "a matched 1"]
    d.put("u")
    assert d.tick() == ["c matched 3"]


@rule
def put_release_kick_and_expiry_wake_who_waits(d: Driver) -> None:
    put, released, kicked, expired = d.put(delay=1), d.hold("z"), d.hold("z"), d.hold("z", ttr=2)
    d.call("bury", 0, kicked, "z", priority=0)
    for client in "abcd":
        assert d.ask(client) == "queued"
    d.call("release", released, "z")
    assert (d.call("next_tick_at"), d.tick()) == (0, [f"a matched {released}"])
    d.call("kick", kicked)
    assert (d.call("next_tick_at"), d.tick()) == (0, [f"b matched {kicked}"])
    assert d.tick_at(d.second) == [f"c matched {put}"]
    assert d.tick_at(2 * d.second) == [f"d matched {expired}"]


@rule
def a_second_tick_does_nothing(d: Driver) -> None:
    d.put(delay=1), d.hold("z", ttr=1)
    assert [d.ask("a"), d.ask("b", "t", until=d.second), d.ask("c")] == ["queued"] * 3
    assert len(d.tick_at(d.second)) == 3
    assert d.tick() == []


@rule
def one_wait_at_a_time(d: Driver) -> None:
    assert d.ask("a") == "queued"
    again = {"request_id": "", "tubes": ["t"], "deadline_at": None}
    assert d.refusal("append_reservation", 0, "a", **again) == "wrong-state"
    assert d.call("get_tubes") == ["default"]


@rule
def a_tube_named_twice_counts_once(d: Driver) -> None:
    assert d.ask("a", "t", "u", "t") == "queued"
    assert d.stats("t")["current-waiting"] == 1
    d.put("t"), d.put("t")
    assert d.tick() == ["a matched 1"]


@rule
def a_matched_client_is_told_so_however_late(d: Driver) -> None:
    assert d.ask("a", until=3) == "queued"
    d.put(ttr=4)
    assert d.tick_at(50 * d.second) == ["a matched 1"]
    assert d.job(1).expires_at == 54 * d.second


@rule
def a_late_tick_moves_everything_in_order(d: Driver) -> None:
    d.put(delay=3, pri=1), d.put(delay=2, pri=2)
    d.hold("z", ttr=5, pri=0), d.hold("z", ttr=4, pri=3)
    assert [d.ask(client, until=1) for client in "abcde"] == ["queued"] * 5
    expected = ["a matched 3", "b matched 1", "c matched 2", "d matched 4", "e timeout"]
    assert d.tick_at(99 * d.second) == expected


@rule
def a_late_tick_may_expire_and_match_the_same_client(d: Driver) -> None:
    d.hold("a", ttr=1)
    assert d.ask("a", "t", until=9 * d.second) == "deadline-soon"
    d.call("delete", 1, "a")
    job_id = d.hold("a", ttr=3)
    assert d.ask("a") == "queued"
    assert d.tick_at(7 * d.second) == [f"a matched {job_id}"]
    job = d.job(job_id)
    assert (job.timeouts, job.reserves, job.expires_at) == (1, 2, 10 * d.second)


@rule
def warnings_come_before_timeouts_and_each_in_order(d: Driver) -> None:
    s = d.second
    d.hold("a", ttr=9), d.hold("b", ttr=8), d.hold("c", ttr=9)
    waits = [("d", 5), ("e", 4), ("c", 5), ("f", 4), ("a", 1), ("b", 7)]
    for client, until in waits:
        assert d.ask(client, "t", until=until * s) == "queued"
    margin = 8 * s - 1 if s > 1 else 7
    answers = d.tick_at(margin)
    assert answers == [
        "b deadline-soon",
        *([] if margin < 8 * s else ["c deadline-soon"]),
        "a timeout",
        "e timeout",
        "f timeout",
        "d timeout",
        "c timeout",
    ]


@rule
def equal_margins_go_by_asking(d: Driver) -> None:
    d.hold("a", ttr=2), d.hold("b", ttr=2)
    assert [d.ask("b", "t"), d.ask("a", "t")] == ["queued"] * 2
    assert d.tick_at(d.second) == ["b deadline-soon", "a deadline-soon"]


@rule
def the_soonest_of_several_held_jobs_warns(d: Driver) -> None:
    d.hold("a", ttr=9), d.hold("a", ttr=3), d.hold("a", ttr=6)
    assert d.ask("a", "t") == "queued"
    assert d.call("next_tick_at") == 2 * d.second
    d.call("delete", 2, "a")
    assert d.call("next_tick_at") == 5 * d.second
    assert d.tick_at(5 * d.second) == ["a deadline-soon"]


# Answers that are owed


@rule
def an_append_serves_the_earlier_clients_first(d: Driver) -> None:
    assert d.ask("a", until=9 * d.second) == "queued"
    d.put(ttr=3)
    assert d.ask("b", until=0) == "timeout"  # the job is a's already
    job = d.job(1)
    assert (job.reserved_by, job.expires_at, job.reserves) == ("a", 3 * d.second, 1)
    assert d.call("check_client_state", ["a", "b"]) == ([], ["a", "b"], [])
    assert d.stats()["current-waiting"] == 0
    assert d.call("next_tick_at") == 0
    assert d.tick() == ["a matched 1"]
    assert d.tick() == []


@rule
def an_append_takes_what_the_earlier_clients_leave(d: Driver) -> None:
    assert [d.ask("a", "t"), d.ask("b", "u"), d.ask("c", "t")] == ["queued"] * 3
    d.put("t", pri=3), d.put("t", pri=1), d.put("t", pri=2), d.put("u", pri=9)
    assert d.ask("d", "t", "u") == "matched 1"
    d.put("u")
    assert d.tick() == ["a matched 2", "c matched 3", "b matched 4"]


@rule
def owed_answers_come_first_even_if_the_job_has_left(d: Driver) -> None:
    assert [d.ask("a"), d.ask("b", until=5)] == ["queued"] * 2
    d.put(body=b"hello")
    assert d.ask("c", until=0) == "timeout"
    d.call("delete", 1, "a")
    d.put()
    answers = d.call("tick", 7)
    assert [answer[1:] for answer in answers] == [("a", "matched", 1, b"hello"), ("b", "matched", 2, b"x")]


@rule
def an_owed_answer_outlives_the_ttr(d: Driver) -> None:
    assert d.ask("a") == "queued"
    d.put("default", ttr=1)
    assert d.ask("b", until=99 * d.second) == "queued"
    assert d.tick_at(5 * d.second) == ["a matched 1", "b matched 1"]
    assert d.job(1).timeouts == 1


@rule
def who_is_owed_an_answer_cant_ask_or_cancel(d: Driver) -> None:
    assert d.ask("a") == "queued"
    d.put()
    assert d.ask("b", until=0) == "timeout"
    again = {"request_id": "", "tubes": ["t"], "deadline_at": None}
    assert d.refusal("append_reservation", 0, "a", **again) == "wrong-state"
    assert d.refusal("cancel_reservation", "a") == "wrong-state"
    d.call("release", 1, "a")
    assert d.tick() == ["a matched 1"]
    assert d.ask("a") == "matched 1"


@rule
def a_refused_append_serves_nobody(d: Driver) -> None:
    assert d.ask("a") == "queued"
    d.put()
    assert d.refusal("append_reservation", 0, "a", request_id="", tubes=["t"], deadline_at=None) == "wrong-state"
    assert d.refusal("append_reservation", 0, "b", request_id="", tubes=[], deadline_at=None) == "bad-value"
    assert d.state(1) == "ready"
    assert d.tick() == ["a matched 1"]


@rule
def close_drops_the_owed_answer_and_returns_the_job(d: Driver) -> None:
    assert [d.ask("a"), d.ask("b")] == ["queued"] * 2
    d.put()
    assert d.ask("c", until=0) == "timeout"
    d.call("close_client", "a")
    job = d.job(1)
    assert (job.state, job.reserves) == ("ready", 1)
    assert d.tick() == ["b matched 1"]


@rule
def an_append_serves_no_tube_that_a_pause_still_holds(d: Driver) -> None:
    assert d.ask("a", "t") == "queued"
    d.call("pause_tube", 0, "t", 1)
    d.put("t")
    assert d.at(3 * d.second).ask("b", "t", until=9 * d.second) == "queued"
    assert d.tick() == ["a matched 1"]


@rule
def a_wait_holds_its_tubes_until_it_is_served(d: Driver) -> None:
    assert d.ask("a", "x", "t") == "queued"
    d.call("pause_tube", 0, "x", 50)
    d.put("t")
    assert d.ask("b", "y", "x") == "queued"  # x went when a was served, with its pause, and came back
    assert d.call("get_tubes") == ["default", "t", "y", "x"]
    d.put("x")
    assert d.tick() == ["a matched 1", "b matched 2"]
