"""The bounded worlds: which bounds are taken, what they are called, and which calls are made in them."""

import inspect
import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

import models.check_cli
from jsm.machine import Machine
from jsm.observed import OPERATIONS as CALLABLE
from jsm.relative_key import NOW
from models.bad_values import BAD_VALUES, TTR_RAISED
from models.calls import Call
from models.scope import DEFAULT_SCOPES, OPERATIONS, SCOPES, Scope

TIMED = ("put", "release_with", "touch", "reserve_job", "append_reservation", "pause_tube")
"""The operations of which the result depends on their instant."""

BIG = Scope(jobs=2, clients=2, tubes=3, kick_counts=(1, 5))


# ---------------------------------------------------------------------- which bounds are taken


@pytest.mark.parametrize(
    "bounds",
    [
        {"jobs": 1, "clients": 1, "tubes": 1},
        {"jobs": 6, "clients": 5, "tubes": 4},
        {"priorities": (0, 2**32 - 1), "delays": (0, 99), "pauses": (0, 99), "timeouts": (0, 99, None)},
        {"ttrs": (1, 99), "kick_counts": (0, 99), "step": 99, "puts": 99},
        {"step": 1, "puts": 1, "kick_counts": None, "timeouts": (None,)},
        {"operations": ("tick",)},
    ],
)
def test_bounds_up_to_the_greatest_are_taken(bounds: dict[str, Any]) -> None:
    assert {name: getattr(Scope(**bounds), name) for name in bounds} == bounds


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        *(("jobs", value, "expected a whole number from 1 to 6") for value in (0, 7, True, 1.0, "1", None)),
        *(("clients", value, "expected a whole number from 1 to 5") for value in (0, 6, True)),
        *(("tubes", value, "expected a whole number from 1 to 4") for value in (0, 5, True)),
        *(
            ("priorities", value, "expected whole numbers from 0 to 4294967295")
            for value in ((), (-1,), (0, 2**32), (True,))
        ),
        *(("delays", value, "expected whole numbers from 0 to 99") for value in ((), (-1,), (100,), (0.5,))),
        *(("pauses", value, "expected whole numbers from 0 to 99") for value in ((), (-1,), (100,), (None,))),
        *(("ttrs", value, "expected whole numbers from 1 to 99") for value in ((), (0,), (1, 100))),
        *(
            ("timeouts", value, "expected None or whole numbers up to 99")
            for value in ((), (-1,), (None, 100), (True,))
        ),
        *(("kick_counts", value, "expected None, or whole numbers up to 99") for value in ((), (-1,), (100,))),
        *(("step", value, "expected a whole number from 1 to 99") for value in (0, 100, None)),
        *(("puts", value, "expected None or a whole number from 1 to 99") for value in (0, 100, True)),
    ],
)
def test_other_bounds_are_refused_by_the_name_of_the_field(field: str, value: object, said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the whole text is compared
        Scope(**{field: value})  # type: ignore[arg-type]
    assert str(refused.value) == f"{field} = {value!r}: {said}"


@pytest.mark.parametrize(("names", "unknown"), [(("put", "fly", "swim"), "fly, swim"), ((), "")])
def test_operations_are_those_that_there_are(names: tuple[str, ...], unknown: str) -> None:
    with pytest.raises(ValueError, match=f"^operations: there is no {unknown}; expected some of put, delete, "):
        Scope(operations=names)


def test_a_scope_is_changed_by_making_another_which_is_checked_too() -> None:
    one = Scope()
    assert one.but(jobs=3) == Scope(jobs=3)
    assert one == Scope()
    with pytest.raises(ValueError, match=r"^jobs = 9: expected"):
        one.but(jobs=9)
    with pytest.raises(FrozenInstanceError):
        one.jobs = 3  # type: ignore[misc]


# ---------------------------------------------------------------------- names and texts


def test_clients_and_tubes_have_names_and_watch_lists_are_all_that_are_not_empty() -> None:
    assert BIG.client_names == ("a", "b")
    assert BIG.tube_names == ("default", "t", "u")
    assert BIG.watch_lists == [
        ("default",), ("t",), ("u",), ("default", "t"), ("default", "u"), ("t", "u"), ("default", "t", "u"),
    ]  # fmt: skip
    assert len(Scope(tubes=4).watch_lists) == 15


def test_the_bounds_are_said_in_words() -> None:
    assert SCOPES["small"].text() == (
        "at most 2 live jobs, any number of puts, 2 clients, 1 tube, priorities 1023, 1024, delays 0, 1 s, ttrs 2 s, "
        "timeouts none s, pauses 1 s, ticks on time"
    )
    assert SCOPES["tiny"].but(puts=3).text() == (
        "at most 1 live job, 3 puts in all, 1 client, 1 tube, priorities 0, delays 0, 1 s, ttrs 1 s, "
        "timeouts none, 1 s, pauses 0, 1 s, ticks on time or late"
    )


@pytest.mark.parametrize("name", SCOPES)
def test_the_document_holds_all_bounds(name: str) -> None:
    found = json.loads(json.dumps(SCOPES[name].document()))
    bounds: dict[str, Any] = {
        field: tuple(value) if isinstance(value, list) else value for field, value in found.items()
    }
    assert Scope(**bounds) == SCOPES[name]


def test_the_command_names_all_worlds_and_those_that_it_takes_by_itself() -> None:
    told = models.check_cli._SCOPE_HELP
    assert f"may be repeated: {', '.join(SCOPES)}. " in told
    assert f"Default: {', '.join(DEFAULT_SCOPES)}; " in told
    assert set(DEFAULT_SCOPES) < set(SCOPES)


def test_the_worlds_of_the_command_make_every_operation() -> None:
    made = {name for world in DEFAULT_SCOPES for name in SCOPES[world].operations}
    assert made == set(OPERATIONS)


# ---------------------------------------------------------------------- which calls are made


def _calls(scope: Scope, op: str | None = None) -> list[Call]:
    return [call for call in scope.calls() if op in (None, call.op)]


def _instant(call: Call) -> int | None:
    """When a call is made; None: at the clock."""
    if "now" in call.kwargs:
        return int(call.kwargs["now"])
    names = list(inspect.signature(getattr(Machine, call.op)).parameters)[1:] if call.op != "reload" else []
    return int(call.args[names.index("now")]) if "now" in names and names.index("now") < len(call.args) else None


def test_every_operation_that_changes_a_machine_can_be_explored() -> None:
    looks = {name for name in CALLABLE if name.startswith(("get_", "peek_", "check_", "count_", "stop"))}
    assert set(OPERATIONS) - {"reload"} == set(CALLABLE) - looks
    assert {call.op for call in BIG.calls()} == set(OPERATIONS)


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_world_of_one_operation_makes_no_other(op: str) -> None:
    calls = _calls(Scope(operations=(op,), late=False))
    assert calls
    assert {call.op for call in calls} == {op}
    assert len(calls) == len({str(call) for call in calls})


@pytest.mark.parametrize("name", SCOPES)
def test_calls_fit_the_machine(name: str) -> None:
    for call in SCOPES[name].calls():
        if call.op != "reload":
            inspect.signature(getattr(Machine, call.op)).bind(None, *call.args, **call.kwargs)
        assert call in BAD_VALUES or _instant(call) in (None, NOW, NOW + SCOPES[name].step)


def test_what_reckons_with_its_instant_is_made_now_and_a_step_later() -> None:
    world = Scope(step=3)
    for op in OPERATIONS:
        instants = {_instant(call) for call in _calls(world, op)}
        if op in TIMED or op == "tick":
            assert instants == {NOW, NOW + 3}, op
        else:
            assert instants <= {None, NOW, NOW + 3 if op == "kick_n" else NOW}, op
    for op in TIMED:
        assert {_instant(call) for call in _calls(world.but(ahead=False), op)} == {NOW}


def test_a_deadline_is_as_far_from_its_instant_when_it_is_asked_for_later() -> None:
    calls = _calls(Scope(timeouts=(None, 0, 2)), "append_reservation")
    waits = {(_instant(call), call.kwargs["deadline_at"]) for call in calls}
    assert waits == {(at, until) for at in (NOW, NOW + 1) for until in (None, at, at + 2)}


def test_bad_values_are_tried_where_they_are_asked_for() -> None:
    plain, more = _calls(Scope()), _calls(Scope(bad_values=True))
    missing = [Call("get_job", (4,)), Call("get_stats_job_as_yaml", (NOW, 4))]
    assert more == [*plain, *BAD_VALUES, *missing, TTR_RAISED]
    assert _calls(Scope(bad_values=True, ttrs=(2,)))[-2:] == missing


def test_time_passes_without_a_tick_only_where_ticks_are_late() -> None:
    passing = Call("kick_n", ("default", 0), {"now": NOW + 1})
    assert passing in _calls(Scope())
    assert passing not in _calls(Scope(late=False))
    assert passing not in _calls(Scope(operations=("put",)))


def test_where_every_operation_is_settled_a_tick_lets_a_step_pass_and_nothing_else_does() -> None:
    calls = _calls(Scope(settled=True, late=False))
    assert [call for call in calls if call.op == "tick"] == [Call("tick", (NOW + 1,))]
    assert {_instant(call) for call in calls if call.op != "tick"} == {None, NOW}


def test_jobs_are_all_that_may_live_and_two_that_do_not() -> None:
    assert [call.args for call in _calls(Scope(jobs=2), "kick")] == [(1,), (2,), (3,), (4,)]


def test_kicks_ask_for_up_to_all_jobs_or_for_what_is_said() -> None:
    assert [call.args[1] for call in _calls(Scope(jobs=3, late=False), "kick_n")] == [1, 2, 3]
    assert [call.args[1] for call in _calls(Scope(kick_counts=(0, 9), late=False), "kick_n")] == [0, 9]
    assert {call.args[0] for call in _calls(BIG, "kick_n")} == {"default", "t", "u"}


def test_every_value_meets_every_other() -> None:
    world = Scope(tubes=2, priorities=(0, 7), delays=(0, 2), ttrs=(1, 3), ahead=False)
    puts = [call.kwargs for call in _calls(world, "put")]
    assert len(puts) == 16
    for field, values in (("priority", {0, 7}), ("delay_seconds", {0, 2}), ("ttr_seconds", {1, 3})):
        assert {put[field] for put in puts} == values
    assert {(c.kwargs["priority"], c.kwargs["delay_seconds"]) for c in _calls(world, "release_with")} == {
        (0, 0), (0, 2), (7, 0), (7, 2),
    }  # fmt: skip
    assert {call.kwargs["priority"] for call in _calls(world, "bury")} == {0, 7}
    assert {call.args[1:] for call in _calls(world, "pause_tube")} == {(t, s) for t in ("default", "t") for s in (0, 1)}
    assert {call.args for call in _calls(world, "watch_tube")} == {(c, t) for c in "ab" for t in ("default", "t")}
