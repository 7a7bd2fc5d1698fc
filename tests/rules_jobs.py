"""SPEC section 3 as hand-made histories: what the operations on jobs, tubes and clients do, apart from time.

Each rule is a history with the answers that SPEC gives. `tests/test_spec.py` runs them on the specification alone,
`tests/test_lockstep.py` on the machine in lock-step with it.
"""

from collections.abc import Callable

from tests.driver import Driver

JOB_RULES: list[Callable[[Driver], None]] = []


def rule(history: Callable[[Driver], None]) -> Callable[[Driver], None]:
    """List the history as a rule."""
    JOB_RULES.append(history)
    return history


@rule
def ids_count_puts_and_are_never_used_again(d: Driver) -> None:
    assert [d.put(), d.put("t")] == [1, 2]
    d.call("delete", 2, "a")
    assert d.refusal("put", d.now, priority=-1, delay_seconds=0, ttr_seconds=1, body=b"", tube="t") == "bad-value"
    assert d.put() == 3


@rule
def put_keeps_what_it_was_given(d: Driver) -> None:
    d.at(5)
    job = d.job(d.put("t", pri=4294967295, ttr=4294967295, body=b"\x00\r\n\xff"))
    assert (job.tube, job.priority, job.ttr_seconds, job.body) == ("t", 4294967295, 4294967295, b"\x00\r\n\xff")
    assert (job.state, job.created_at, job.ready_at, job.expires_at, job.buried_at) == ("ready", 5, 0, 0, 0)
    assert job.reserved_by is None


@rule
def a_ttr_of_0_becomes_1(d: Driver) -> None:
    assert d.job(d.put(ttr=0)).ttr_seconds == 1


@rule
def a_body_may_be_as_long_as_the_limit_and_no_longer(d: Driver) -> None:
    d.put(body=b"x" * 65535)
    too_big = {"priority": 0, "delay_seconds": 0, "ttr_seconds": 1, "body": b"x" * 65536, "tube": "t"}
    assert d.refusal("put", 0, **too_big) == "bad-value"
    assert d.stats()["cmd-put"] == 2  # understood, though too big
    assert d.refusal("put", 0, **{**too_big, "priority": -1}) == "bad-value"
    assert d.stats()["cmd-put"] == 2
    assert d.call("get_tubes") == ["default"]


@rule
def a_body_is_copied(d: Driver) -> None:
    body = bytearray(b"before")
    job_id = d.put(body=body)  # type: ignore[arg-type]  # anything made of bytes is taken
    body[:] = b"after!"
    assert d.job(job_id).body == b"before"


@rule
def delete_takes_jobs_of_every_state(d: Driver) -> None:
    ready, delayed, buried, held = d.put(), d.put(delay=9), d.hold("a"), d.hold("a")
    d.call("bury", d.now, buried, "a", priority=0)
    for job_id in (ready, delayed, buried):
        d.call("delete", job_id, "stranger")
        assert d.refusal("get_job", job_id) == "missing"
    assert d.refusal("delete", held, "b") == "unauthorized"
    d.call("delete", held, "a")
    assert d.refusal("delete", held, "a") == "missing"
    assert d.stats()["cmd-delete"] == 6
    assert d.stats("default")["cmd-delete"] == 4


@rule
def a_deleted_buried_job_leaves_the_order_of_burials(d: Driver) -> None:
    first, second = d.hold("a"), d.hold("a")
    for job_id in (first, second):
        d.call("bury", d.now, job_id, "a", priority=0)
    d.call("delete", first, "a")
    assert d.call("peek_buried_job", "default")[0] == second
    assert d.call("kick_n", "default", 5) == 1


@rule
def peek_ready_shows_the_lowest_priority_then_id(d: Driver) -> None:
    d.put(pri=9), d.put(pri=2), d.put(pri=2), d.put("t", pri=0)
    assert d.call("peek_ready_job", "default")[0] == 2
    d.call("delete", 2, "a")
    assert d.call("peek_ready_job", "default")[0] == 3


@rule
def peek_delayed_shows_the_soonest_then_the_lowest_id(d: Driver) -> None:
    d.put(delay=3, pri=0), d.put(delay=2, pri=20), d.put(delay=2, pri=10)
    assert d.call("peek_delayed_job", "default")[0] == 2


@rule
def peek_buried_shows_the_one_buried_first(d: Driver) -> None:
    held = [d.hold("a") for _ in range(3)]
    for job_id, priority in zip((3, 1, 2), (9, 0, 5), strict=True):  # in one instant: the number decides
        d.call("bury", d.now, job_id, "a", priority=priority)
    assert held == [1, 2, 3]
    assert d.call("peek_buried_job", "default")[0] == 3
    assert d.call("kick_n", "default", 2) == 2
    assert d.call("peek_buried_job", "default")[0] == 2


@rule
def a_job_buried_again_goes_to_the_end(d: Driver) -> None:
    first, second = d.hold("a"), d.hold("a")
    d.call("bury", d.now, first, "a", priority=0)
    d.call("bury", d.now, second, "a", priority=0)
    d.call("reserve_job", d.now, first, "a")
    d.call("bury", d.now, first, "a", priority=0)
    assert d.call("peek_buried_job", "default")[0] == second


@rule
def peeks_find_nothing_in_other_states_and_tubes(d: Driver) -> None:
    d.put()
    assert d.refusal("peek_ready_job", "nowhere") == "missing"
    assert d.refusal("peek_delayed_job", "default") == "missing"
    assert d.refusal("peek_buried_job", "default") == "missing"


@rule
def release_keeps_priority_and_delay(d: Driver) -> None:
    job_id = d.put(pri=7, delay=9)
    d.call("reserve_job", d.now, job_id, "a")
    d.call("release", job_id, "a")
    job = d.job(job_id)
    assert (job.state, job.priority, job.delay_seconds, job.ready_at, job.releases) == ("ready", 7, 9, 0, 1)


@rule
def release_with_changes_priority_and_delay(d: Driver) -> None:
    job_id = d.put(pri=7, delay=9)
    d.call("reserve_job", d.now, job_id, "a")
    d.call("release_with", d.now, job_id, "a", priority=3, delay_seconds=4)
    job = d.job(job_id)
    assert (job.state, job.priority, job.delay_seconds, job.ready_at) == ("delayed", 3, 4, 4 * d.second)
    d.call("reserve_job", d.now, job_id, "a")
    d.call("release_with", d.now, job_id, "a", priority=1, delay_seconds=0)
    job = d.job(job_id)
    assert (job.state, job.priority, job.delay_seconds, job.releases) == ("ready", 1, 0, 2)


@rule
def a_released_job_is_ahead_of_later_ids(d: Driver) -> None:
    first = d.put()
    d.put()
    assert d.ask("a") == f"matched {first}"
    d.call("release", first, "a")
    assert d.ask("b") == f"matched {first}"


@rule
def bury_sets_the_priority_and_the_instant(d: Driver) -> None:
    job_id = d.hold("a", pri=1)
    d.call("bury", 6, job_id, "a", priority=8)
    job = d.job(job_id)
    assert (job.state, job.priority, job.buried_at, job.buries, job.reserved_by) == ("buried", 8, 6, 1, None)


@rule
def touch_changes_the_expiry_and_nothing_else(d: Driver) -> None:
    job_id = d.hold("a", ttr=10)
    before = d.job(job_id)
    d.call("touch", 4 * d.second, job_id, "a")
    assert d.job(job_id) == before._replace(expires_at=14 * d.second)


@rule
def only_the_owner_releases_touches_and_buries(d: Driver) -> None:
    held, ready = d.hold("a"), d.put()
    calls: list[tuple[str, tuple[int, ...], dict[str, int]]] = [
        ("release", (), {}),
        ("release_with", (0,), {"priority": 0, "delay_seconds": 0}),
        ("touch", (0,), {}),
        ("bury", (0,), {"priority": 0}),
    ]
    for op, now, numbers in calls:
        assert d.refusal(op, *now, held, "b", **numbers) == "unauthorized"
        assert d.refusal(op, *now, held, "", **numbers) == "empty-client"
        assert d.refusal(op, *now, ready, "a", **numbers) == "wrong-state"
        assert d.refusal(op, *now, 99, "a", **numbers) == "missing"
    pairs = d.stats()
    assert (pairs["cmd-release"], pairs["cmd-touch"], pairs["cmd-bury"]) == (6, 3, 3)


@rule
def kick_takes_buried_and_delayed_jobs(d: Driver) -> None:
    delayed, buried, held, ready = d.put(delay=9, pri=4), d.hold("a"), d.hold("a"), d.put()
    d.call("bury", d.now, buried, "a", priority=6)
    d.call("kick", delayed)
    d.call("kick", buried)
    job = d.job(delayed)
    assert (job.state, job.delay_seconds, job.priority, job.kicks, job.ready_at) == ("ready", 9, 4, 1, 0)
    job = d.job(buried)
    assert (job.state, job.priority, job.kicks, job.buried_at) == ("ready", 6, 1, 0)
    assert d.refusal("kick", held) == "wrong-state"
    assert d.refusal("kick", ready) == "wrong-state"
    assert d.refusal("kick", 99) == "missing"
    assert d.stats()["cmd-kick"] == 0  # by id, it is no kick command


@rule
def kick_n_takes_buried_jobs_first_and_only(d: Driver) -> None:
    slow, soon = d.put(delay=9), d.put(delay=3)
    third, fourth = d.hold("a"), d.hold("a")
    d.call("bury", d.now, fourth, "a", priority=0)
    d.call("bury", d.now, third, "a", priority=0)
    assert d.call("kick_n", "default", 0) == 0
    assert d.call("kick_n", "default", 1) == 1
    assert (d.state(third), d.state(fourth)) == ("buried", "ready")
    assert d.call("kick_n", "default", 9) == 1  # the delayed stay while there was one buried
    assert (d.state(slow), d.state(soon)) == ("delayed", "delayed")
    assert d.call("kick_n", "default", 1) == 1
    assert (d.state(slow), d.state(soon)) == ("delayed", "ready")
    assert d.call("kick_n", "nowhere", 3) == 0
    assert d.refusal("kick_n", "default", -1) == "bad-value"
    assert d.stats()["cmd-kick"] == 5


@rule
def kick_n_looks_at_its_tube_only(d: Driver) -> None:
    d.put("t", delay=5)
    assert d.call("kick_n", "default", 3) == 0
    assert d.call("kick_n", "t", 3) == 1


@rule
def reserve_job_takes_all_states_but_reserved(d: Driver) -> None:
    ready, delayed, buried = d.put("t"), d.put("t", delay=9), d.hold("x", "t")
    d.call("bury", d.now, buried, "x", priority=0)
    d.call("pause_tube", d.now, "t", 100)
    d.at(1)
    for job_id in (ready, delayed, buried):
        answer = d.call("reserve_job", 1, job_id, "a", request_id="r")
        assert answer == ("r", "a", "matched", job_id, b"x")
        job = d.job(job_id)
        assert (job.state, job.reserved_by, job.expires_at) == ("reserved", "a", 1 + 60 * d.second)
        assert (job.ready_at, job.buried_at) == (0, 0)
    assert d.job(ready).reserves == 1
    assert d.job(buried).reserves == 2
    assert d.refusal("reserve_job", 1, ready, "b") == "missing"
    assert d.refusal("reserve_job", 1, 99, "b") == "missing"
    assert d.call("check_client_state", ["a", "b"]) == ([], ["a"], ["b"])
    assert d.stats()["cmd-reserve"] == 0


@rule
def a_tube_lives_while_it_is_needed(d: Driver) -> None:
    d.call("use_tube", "a", "used")
    d.call("watch_tube", "a", "watched")
    assert d.ask("a", "waited", "waited") == "queued"
    held = d.hold("b", "full")
    assert d.call("get_tubes") == ["default", "used", "watched", "waited", "full"]
    d.call("use_tube", "a", "default")
    d.call("watch_tube", "a", "other")
    d.call("ignore_tube", "a", "watched")
    d.call("cancel_reservation", "a")
    assert d.call("get_tubes") == ["default", "full", "other"]
    d.call("delete", held, "b")
    d.call("close_client", "a")
    assert d.call("get_tubes") == ["default"]


@rule
def a_tube_vanishes_with_its_pause_and_counters(d: Driver) -> None:
    job_id = d.put("t")
    d.call("pause_tube", d.now, "t", 50)
    d.call("delete", job_id, "a")
    assert d.refusal("get_stats_tube_as_yaml", d.now, "t") == "missing"
    assert d.refusal("pause_tube", d.now, "t", 1) == "missing"
    job_id = d.put("t")
    pairs = d.stats("t")
    assert (pairs["total-jobs"], pairs["cmd-delete"], pairs["cmd-pause-tube"], pairs["pause"]) == (1, 0, 0, 0)
    assert d.ask("a", "t") == f"matched {job_id}"


@rule
def default_keeps_its_counters(d: Driver) -> None:
    d.call("delete", d.put(), "a")
    assert d.stats("default")["total-jobs"] == 1
    assert d.stats("default")["cmd-delete"] == 1


@rule
def a_tube_named_in_a_reserve_lives_only_while_the_client_waits(d: Driver) -> None:
    d.put()
    assert d.ask("a", "default", "x") == "matched 1"
    assert d.call("get_tubes") == ["default"]
    assert d.ask("a", "x", until=0) == "timeout"
    assert d.call("get_tubes") == ["default"]
    assert d.ask("a", "x", until=1) == "queued"
    d.call("pause_tube", 0, "x", 9)
    assert d.tick_at(1) == ["a timeout"]
    assert d.call("get_tubes") == ["default"]


@rule
def references_count_in_the_statistics(d: Driver) -> None:
    d.call("use_tube", "a", "t"), d.call("use_tube", "b", "t"), d.call("use_tube", "b", "t")
    d.call("watch_tube", "a", "t"), d.call("watch_tube", "a", "t")
    assert d.ask("b", "t", "u") == "queued"
    pairs = d.stats("t")
    assert (pairs["current-using"], pairs["current-watching"], pairs["current-waiting"]) == (2, 1, 1)
    assert d.stats("u")["current-waiting"] == 1
    pairs = d.stats()
    assert (pairs["cmd-use"], pairs["cmd-watch"], pairs["current-waiting"], pairs["current-tubes"]) == (3, 2, 1, 3)
    d.call("close_client", "b")
    pairs = d.stats("t")
    assert (pairs["current-using"], pairs["current-waiting"]) == (1, 0)


@rule
def the_last_watched_tube_stays(d: Driver) -> None:
    d.call("ignore_tube", "a", "t")  # unknown client: nothing
    assert d.call("check_client_state", ["a"]) == ([], [], ["a"])
    d.call("use_tube", "a", "u")
    d.call("ignore_tube", "a", "t")  # a client that watches nothing: nothing
    d.call("watch_tube", "a", "t")
    d.call("ignore_tube", "a", "u")
    assert d.refusal("ignore_tube", "a", "t") == "bad-value"
    d.call("watch_tube", "a", "u")
    d.call("ignore_tube", "a", "t")
    assert d.refusal("ignore_tube", "a", "u") == "bad-value"
    assert d.stats()["cmd-ignore"] == 6


@rule
def close_gives_back_all_that_a_client_has(d: Driver) -> None:
    late, soon = d.hold("a", ttr=90, pri=5), d.hold("a", ttr=30, pri=5)
    assert d.ask("a", "t") == "queued"
    d.call("watch_tube", "a", "w")
    d.call("close_client", "a")
    for job_id in (late, soon):
        job = d.job(job_id)
        assert (job.state, job.priority, job.timeouts, job.releases, job.reserves) == ("ready", 5, 0, 0, 1)
        assert (job.expires_at, job.reserved_by) == (0, None)
    assert d.call("get_tubes") == ["default"]
    assert d.call("check_client_state", ["a"]) == ([], [], ["a"])
    d.call("close_client", "a")  # unknown by now
    assert d.tick() == []


@rule
def a_close_makes_a_tick_due_for_those_who_wait(d: Driver) -> None:
    job_id = d.hold("a")
    assert d.ask("b") == "queued"
    d.call("close_client", "a")
    assert d.call("next_tick_at") == 0
    assert d.tick() == [f"b matched {job_id}"]


@rule
def cancel_ends_a_wait_without_a_job(d: Driver) -> None:
    d.call("cancel_reservation", "a")
    assert d.call("check_client_state", ["a"]) == ([], [], ["a"])
    assert d.ask("a", until=5) == "queued"
    d.call("cancel_reservation", "a")
    d.call("cancel_reservation", "a")
    assert d.call("check_client_state", ["a"]) == ([], ["a"], [])
    d.put()
    assert d.tick_at(9) == []
    assert d.ask("a") == "matched 1"


@rule
def client_states_are_a_partition_in_the_order_asked(d: Driver) -> None:
    d.call("use_tube", "u", "t"), d.call("watch_tube", "w", "t")
    assert d.ask("q", "t") == "queued"
    d.hold("h", "z")
    assert d.call("check_client_state", ["w", "x", "q", "h", "u"]) == (["q"], ["w", "h", "u"], ["x"])
    d.call("close_client", "w")
    assert d.call("check_client_state", ["w"]) == ([], [], ["w"])


@rule
def a_stopped_machine_refuses_everything(d: Driver) -> None:
    d.put()
    d.call("stop")
    for op, args, kwargs in [
        ("put", (0,), {"priority": 0, "delay_seconds": 0, "ttr_seconds": 1, "body": b"", "tube": "t"}),
        ("delete", (1, ""), {}),  # stopped comes before the empty client
        ("tick", (-1,), {}),  # and before time going backwards
        ("get_job", (1,), {}),
        ("next_tick_at", (), {}),
        ("get_tubes", (), {}),
        ("count_command", ("list-tubes",), {}),
        ("get_stats_as_yaml", (0,), {}),
        ("stop", (), {}),
    ]:
        assert d.refusal(op, *args, **kwargs) == "stopped", op


@rule
def commands_that_the_machine_cant_see_are_counted(d: Driver) -> None:
    d.call("count_command", "list-tubes"), d.call("count_command", "put")
    assert d.refusal("count_command", "nonsense") == "bad-value"
    assert d.stats()["cmd-list-tubes"] == 1
    assert d.stats()["cmd-put"] == 1


@rule
def statistics_count_by_state_and_urgency(d: Driver) -> None:
    d.put("t", pri=1023), d.put("t", pri=1024), d.put("t", pri=0, delay=1)
    d.call("bury", 0, d.hold("a", "t"), "a", priority=0)
    d.hold("a", "t")
    names = ["urgent", "ready", "reserved", "delayed", "buried"]
    for pairs in (d.stats(), d.stats("t")):
        assert [pairs[f"current-jobs-{name}"] for name in names] == [1, 2, 1, 1, 1]
        assert pairs["total-jobs"] == 5
    assert d.stats("default")["total-jobs"] == 0


@rule
def reserve_counts_by_whether_it_has_a_deadline(d: Driver) -> None:
    assert d.ask("a", until=0) == "timeout"
    assert d.ask("a") == "queued"
    assert d.refusal("append_reservation", 0, "a", request_id="", tubes=["t"], deadline_at=None) == "wrong-state"
    assert d.refusal("append_reservation", 1, "b", request_id="", tubes=["t"], deadline_at=0) == "bad-value"
    pairs = d.stats()
    assert (pairs["cmd-reserve"], pairs["cmd-reserve-with-timeout"]) == (2, 1)


def looks_are_counted(d: Driver) -> None:
    """No rule of the list: a lock-step that looks around after each call counts its own looks too."""
    job_id = d.put("t")
    assert d.refusal("get_job", 99) == "missing"
    d.call("peek_ready_job", "t")
    assert d.refusal("peek_delayed_job", "t") == "missing"
    assert d.refusal("peek_buried_job", "nowhere") == "missing"
    assert d.refusal("peek_buried_job", "-") == "bad-value"
    assert d.refusal("peek_buried_job", "t", now=-1) == "time-backwards"
    d.call("get_stats_job_as_yaml", 0, job_id)
    assert d.refusal("get_stats_job_as_yaml", 0, 99) == "missing"
    assert d.refusal("get_stats_tube_as_yaml", 0, "nowhere") == "missing"
    d.stats()
    pairs = d.stats()
    names = ["peek", "peek-ready", "peek-delayed", "peek-buried", "stats-job", "stats-tube", "stats"]
    assert [pairs[f"cmd-{name}"] for name in names] == [1, 1, 1, 1, 2, 1, 2]
