"""For every invariant a planted fault that breaks exactly it: a doctored step, or a machine that does wrong.

A step is played on a genuine machine first, where it holds; then one thing of what is seen of it is changed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jsm.interface import TubeEntry
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from jsm.snapshot import MachineSnapshot
from jsm.states import JobState
from models.calls import Call
from models.invariants import InvariantChecker, check_looks, check_restore, check_same
from models.invariants_worlds import Notebook
from models.picture import Looks, looks_of
from tests.scenes import (
    Scene,
    Stage,
    ask,
    bury,
    call,
    put,
    scene,
    take,
    tick,
    with_client,
    with_job,
    with_tube,
    without_job,
)

HELD: Final = (put(ttr=2), take(1))
"""Client `a` holds job 1 until 2."""


def refused(*calls: Call) -> Scene:
    """A call that is refused, as if it had been accepted."""
    return scene(*calls)._replace(outcome={"ok": None})


def accepted(category: str, *calls: Call) -> Scene:
    """A call that is accepted, as if it had been refused."""
    return scene(*calls).undone()._replace(outcome={"refused": category})


def after(change: Callable[[Any], Any], *calls: Call) -> Scene:
    """A step after which another picture is seen."""
    last = scene(*calls)
    return last._replace(after=change(last.after))


def before(change: Callable[[Any], Any], *calls: Call) -> Scene:
    """A step before which another picture was seen."""
    last = scene(*calls)
    return last._replace(before=change(last.before))


def told(answers: Callable[[Any], Any], *calls: Call) -> Scene:
    """A step whose answer was another."""
    last = scene(*calls)
    return last._replace(outcome={"ok": answers(last.outcome["ok"])})


def records(change: Callable[[Any], Any], *calls: Call) -> Scene:
    """A step with other records."""
    last = scene(*calls)
    return last._replace(records=change(list(last.records)))


def undone(*calls: Call, clock: int | None = None, ok: Any = None) -> Scene:
    """A step that did nothing and said so."""
    return scene(*calls).undone(clock=clock)._replace(outcome={"ok": ok})


def state(change: Callable[[Any], Any], *calls: Call) -> Scene:
    """A look (which may see anything that stood before, too), so that only the picture after it is wrong."""
    last = scene(*calls, call("get_tubes"))
    doctored = change(last.after)
    return last._replace(before=doctored, after=doctored)


STATES: Final[Mapping[str, Callable[[], Scene]]] = {
    "each_job_is_in_a_live_state": lambda: state(lambda p: with_job(p, 1, ready_at=5), put()),
    "ids_lie_below_the_next_one": lambda: state(lambda p: p._replace(next_job_id=1), put()),
    "reserved_means_owned": lambda: state(lambda p: with_job(p, 1, reserved_by=None), *HELD),
    "numbers_are_within_their_limits": lambda: state(lambda p: with_job(p, 1, priority=2**32), put()),
    "no_body_exceeds_the_limit": lambda: state(lambda p: p._replace(max_job_size=0), put()),
    "no_past_event_lies_ahead": lambda: state(lambda p: with_job(p, 1, created_at=9), put()),
    "burials_are_numbered_in_order": lambda: state(lambda p: p._replace(bury_numbers={}), *HELD, bury(1)),
    "no_time_left_exceeds_its_length": lambda: state(lambda p: with_job(p, 1, expires_at=3), *HELD),
    "tube_names_are_legal": lambda: state(lambda p: p._replace(tubes={**p.tubes, "a b": TubeEntry("a b")}), put()),
    "watch_lists_name_each_tube_once": lambda: state(lambda p: with_client(p, "a", watches=("t", "t")), ask("a", "t")),
    "a_tube_exists_while_it_is_held": lambda: state(lambda p: with_client(p, "a", watched_tubes=("u",)), ask("a", "t")),
    "nobody_waits_twice": lambda: state(lambda p: with_client(p, "a", deadline_at=7), *HELD),
    "each_job_in_exactly_one_container": lambda: state(
        lambda p: p._replace(counts={**p.counts, JobState.BURIED: 1}), put()
    ),
    "each_wait_knows_its_instant": lambda: state(lambda p: with_client(p, "a", tick_at=7), ask("a", until=5)),
    "next_tick_at_names_the_soonest_timer": lambda: state(lambda p: p._replace(next_tick_at=None), put(delay=3)),
}

WAITS: Final[Mapping[str, Callable[[], Scene]]] = {
    "an_expired_job_leaves_its_owner": lambda: undone(*HELD, tick(2), clock=2, ok=[]),
    "an_elapsed_delay_ends": lambda: undone(put(delay=2), tick(2), clock=2, ok=[]),
    "an_ended_pause_lets_go": lambda: undone(call("pause_tube", 0, "default", 2), tick(2), clock=2, ok=[]),
    "nothing_moves_before_its_time": lambda: before(lambda p: with_job(p, 1, ready_at=5), put(delay=2), tick(2)),
    "zero_never_blocks": lambda: told(
        lambda answer: answer._replace(status=ReservationStatus.QUEUED), ask("a", until=0)
    ),
    "a_ready_job_is_given_at_once": lambda: undone(
        put(),
        ask("a", until=0),
        ok=Reservation("a0", "a", ReservationStatus.TIMEOUT),
    ),
    "a_paused_tube_gives_no_job": lambda: before(
        lambda p: with_tube(p, "t", pause_seconds=9, pause_ends_at=9), put("t"), ask("a", "t")
    ),
    "waiters_are_served_in_order_of_asking": lambda: before(
        lambda p: p._replace(waiting=p.waiting[::-1]), ask("a"), ask("b"), put(), tick(0)
    ),
    "the_best_ready_job_goes_first": lambda: before(
        lambda p: with_job(p, 2, priority=0), put(pri=1), put(pri=2), ask("a")
    ),
    "no_ready_job_beside_its_waiter": lambda: undone(ask("a"), put(), tick(0), ok=[]),
    "deadline_soon_only_in_the_margin": lambda: after(
        lambda p: with_job(p, 1, expires_at=9), *HELD, ask("a", "t"), tick(1)
    ),
    "a_timeout_comes_at_its_deadline": lambda: before(
        lambda p: with_client(p, "a", deadline_at=9), ask("a", until=5), tick(5)
    ),
    "a_wait_ends_by_its_deadline": lambda: undone(ask("a", until=5), tick(5), clock=5, ok=[]),
    "answers_come_in_order": lambda: told(
        lambda answers: answers[::-1], ask("a", until=5), ask("b", "t", until=5), tick(5)
    ),
    "each_wait_gets_one_answer": lambda: told(lambda answers: answers * 2, ask("a", until=5), tick(5)),
    "every_reservation_is_announced": lambda: told(lambda answer: answer._replace(body=b"other"), put(), ask("a")),
    "a_second_tick_does_nothing": lambda: after(lambda p: p._replace(next_tick_at=3), put(delay=9), tick(3)),
}

CALLS: Final[Mapping[str, Callable[[], Scene]]] = {
    "the_clock_is_the_calls": lambda: after(lambda p: p._replace(clock=0), put(at=3)),
    "each_command_counts_once": lambda: after(lambda p: p._replace(commands={**p.commands, "touch": 1}), put()),
    "a_put_keeps_what_it_was_given": lambda: after(lambda p: with_job(p, 1, priority=7), put()),
    "a_look_changes_nothing": lambda: after(lambda p: with_job(p, 1, kicks=1), put(), call("get_job", 1)),
    "a_kick_takes_buried_jobs_else_delayed": lambda: told(lambda n: n + 1, put(delay=3), call("kick_n", "default", 5)),
    "buried_jobs_are_kicked_oldest_first": lambda: before(
        lambda p: p._replace(bury_numbers={1: 2, 2: 1}),
        *(put(), put(), take(1), take(2), bury(1), bury(2), call("kick_n", "default", 1)),
    ),
    "delayed_jobs_come_by_due_time": lambda: before(
        lambda p: with_job(p, 2, ready_at=1), put(delay=3), put(delay=9), call("kick_n", "default", 1)
    ),
    "a_step_moves_a_job_at_most_twice": lambda: records(lambda each: each * 2, put(delay=3), call("kick", 1)),
    "each_call_moves_what_it_may": lambda: records(lambda each: [], put(delay=3), call("kick", 1)),
    "priority_and_delay_become_what_was_said": lambda: after(
        lambda p: with_job(p, 1, priority=0), *HELD, bury(1, pri=5)
    ),
    "a_closed_client_holds_nothing": lambda: undone(*HELD, call("close_client", "a")),
    "clients_come_and_go_by_their_calls": lambda: after(lambda p: p._replace(clients={}), *HELD, put()),
    "references_change_by_their_commands": lambda: after(
        lambda p: with_client(p, "a", uses=None), call("use_tube", "a", "t")
    ),
    "a_pause_lasts_as_asked": lambda: after(
        lambda p: with_tube(p, "default", pause_ends_at=8), call("pause_tube", 0, "default", 9)
    ),
    "a_new_tube_starts_afresh": lambda: after(lambda p: with_tube(p, "t", pauses=3), put("t")),
    "tube_counters_count_their_events": lambda: after(
        lambda p: with_tube(p, "default", deletes=0), put(), call("delete", 1, "a")
    ),
    "a_refused_call_changes_nothing": lambda: after(lambda p: p._replace(clock=3), call("kick", 9, now=3)),
    "a_restored_machine_is_the_same": lambda: Scene(
        (last := scene(put())).after, Call("reload"), {"ok": None}, [], with_job(last.after, 1, reserves=1)
    ),
}

SPANS: Final[Mapping[str, Callable[[], Scene]]] = {
    "time_never_goes_back": lambda: records(lambda each: [each[0]._replace(seq=7)], put()),
    "puts_are_deletes_plus_live_jobs": lambda: after(lambda p: without_job(p, 1), put(), put()),
    "a_job_goes_by_delete_only": lambda: after(
        lambda p: without_job(p, 2)._replace(jobs={1: scene(put()).after.jobs[1]}),
        *(put(), put(), call("delete", 1, "a")),
    ),
    "ids_strictly_increase": lambda: after(lambda p: p._replace(next_job_id=9), put()),
    "states_change_along_the_edges": lambda: after(
        lambda p: with_job(p, 1, state=JobState.BURIED), put(delay=3), call("kick", 1)
    ),
    "counters_count_their_events": lambda: after(lambda p: with_job(p, 1, kicks=0), put(delay=3), call("kick", 1)),
    "totals_count_their_events": lambda: after(lambda p: p._replace(total_jobs=0), put()),
    "what_was_put_stays": lambda: after(lambda p: with_job(p, 1, body=b"y"), put(delay=3), call("kick", 1)),
    "priority_and_delay_change_by_release_and_bury_only": lambda: after(
        lambda p: with_job(p, 1, delay_seconds=0), put(delay=3), call("kick", 1)
    ),
    "timers_and_owners_stand_still": lambda: after(lambda p: with_job(p, 1, ready_at=4), put(delay=3), put()),
    "a_reservation_lasts_a_whole_ttr": lambda: after(
        lambda p: with_job(p, 1, expires_at=4), *HELD, call("touch", 1, 1, "a")
    ),
    "a_delay_lasts_as_long_as_said": lambda: after(
        lambda p: with_job(p, 1, ready_at=4), *HELD, call("release_with", 0, 1, "a", priority=0, delay_seconds=3)
    ),
    "burials_queue_up": lambda: after(lambda p: p._replace(next_bury_number=9), *HELD, bury(1)),
}

REFUSALS: Final[Mapping[str, Callable[[], Scene]]] = {
    "a_call_from_the_past_is_refused": lambda: refused(put(at=3), tick(2)),
    "values_of_a_wrong_type_are_refused": lambda: refused(call("tick", 1.0)),
    "numbers_out_of_range_are_refused": lambda: refused(put(pri=-1)),
    "illegal_tube_names_are_refused": lambda: accepted("bad-value", put("a-b")),
    "bodies_too_big_are_refused": lambda: refused(put(body=b"x" * 65536)),
    "an_ask_for_the_past_is_refused": lambda: accepted("bad-value", ask("a", until=0)),
    "an_empty_watch_list_is_refused": lambda: refused(
        call("append_reservation", 0, "a", request_id="", tubes=(), deadline_at=None)
    ),
    "the_last_watched_tube_stays": lambda: refused(call("watch_tube", "a", "t"), call("ignore_tube", "a", "t")),
    "an_empty_client_is_refused": lambda: refused(*HELD, call("release", 1, "")),
    "a_job_that_is_gone_is_missing": lambda: refused(put(), call("delete", 1, "a"), call("kick", 1)),
    "a_tube_that_is_gone_is_missing": lambda: refused(call("pause_tube", 0, "t", 1)),
    "a_peek_finds_what_is_there": lambda: accepted("missing", put(), call("peek_ready_job", "default")),
    "a_reserved_job_is_not_reserved_again": lambda: refused(*HELD, take(1, "b")),
    "a_pause_hinders_nothing_else": lambda: accepted("missing", put(), call("pause_tube", 0, "default", 5), take(1)),
    "a_kick_takes_buried_or_delayed_only": lambda: refused(put(), call("kick", 1)),
    "only_a_reserved_job_is_given_back": lambda: refused(put(), bury(1)),
    "only_the_owner_has_a_reserved_job": lambda: refused(*HELD, call("delete", 1, "b")),
    "anyone_deletes_what_is_not_reserved": lambda: accepted("wrong-state", put(delay=3), call("delete", 1, "b")),
    "one_wait_a_client": lambda: accepted("wrong-state", *HELD, ask("a")),
    "only_these_refusals": lambda: accepted("wrong-state", tick(1)),
}


def looks(change: Callable[[Looks], Looks]) -> None:
    """Looks at a waiting client, a job and the statistics, of which one is wrong."""
    stage = Stage()
    for each in (put("t", delay=3), put("t"), ask("w")):
        stage.play(each)
    seen = looks_of(stage.machine, stage.picture)
    check_looks(stage.picture, seen)
    check_looks(stage.picture, change(seen))


LOOKS: Final[Mapping[str, Callable[[], None]]] = {
    "statistics_equal_a_recount": lambda: looks(
        lambda seen: seen._replace(stats={**seen.stats, "current-jobs-urgent": 0})
    ),
    "tube_statistics_equal_a_recount": lambda: looks(
        lambda seen: seen._replace(tubes={**seen.tubes, "t": {**seen.tubes["t"], "current-waiting": 1}})
    ),
    "job_statistics_equal_the_job": lambda: looks(
        lambda seen: seen._replace(jobs={**seen.jobs, 1: {**seen.jobs[1], "time-left": -1}})
    ),
    "a_look_at_a_job_shows_it": lambda: looks(lambda seen: seen._replace(views={**seen.views, 2: None})),
    "peeks_show_what_comes_next": lambda: looks(lambda seen: seen._replace(peeks={**seen.peeks, "t": (None,) * 3})),
    "every_client_is_in_one_state": lambda: looks(
        lambda seen: seen._replace(clients=seen.clients._replace(waiting=[]))
    ),
}


class CountsSnapshots(Machine):
    """A machine that a snapshot changes."""

    __slots__ = ()

    def snapshot(self) -> MachineSnapshot:
        """Count a command that nobody gave."""
        self._state.commands["touch"] += 1
        return super().snapshot()


class LosesDelays(Machine):
    """A machine whose restored delays are not in its timers."""

    __slots__ = ()

    def next_tick_at(self) -> int | None:
        """Of everything but delays."""
        keys, self._state.delays.keys = self._state.delays.keys, []
        try:
            return super().next_tick_at()
        finally:
            self._state.delays.keys = keys


def _snapshots_that_count() -> None:
    stage = Stage(CountsSnapshots())
    check_restore(stage.machine)


def _delays_that_sleep() -> None:
    stage = Stage()
    stage.play(put(delay=3))
    check_restore(stage.machine)
    check_restore(stage.machine, make_machine=LosesDelays)


def _moods() -> None:
    made: list[Machine] = []

    def moody(observer: Notebook) -> Machine:
        made.append((Machine, LosesDelays)[len(made)](observer=observer))
        return made[-1]

    check_same([put(), put(delay=3)])
    check_same([put(), put(delay=3)], make_machine=moody)


def _goes_on_after_a_stop() -> None:
    checker = InvariantChecker()
    stage = Stage()
    checker.attach(stage.machine)
    stage.machine.stop()
    checker.step(call("stop"), {"ok": None})
    checker.step(tick(0), {"refused": "stopped"})
    checker.step(tick(0), {"ok": []})


SCENES: Final = {**STATES, **WAITS, **CALLS, **SPANS, **REFUSALS}
FAULTS: Final[Mapping[str, Callable[[], None]]] = {
    **{name: (lambda make=make: make().check()) for name, make in SCENES.items()},
    **LOOKS,
    "a_snapshot_changes_nothing": _snapshots_that_count,
    "a_restored_machine_goes_on": _delays_that_sleep,
    "the_same_calls_do_the_same": _moods,
    "a_stopped_machine_refuses": _goes_on_after_a_stop,
}
"""By the invariant's name, what has to break it and nothing else before it."""
