"""Counterexamples made short and plain: nothing can be left out, the finding stays, ids follow their puts."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from jsm.job import JobID
from jsm.machine import Machine
from models.calls import Call, run_spec
from models.finding import Counterexample, Finding, find_fault
from models.minimise import minimise
from models.named_calls import canonical, put_ids, renumbered
from models.shrinking import History, histories, smaller_numbers, weight
from models.spec import Spec
from tests.mutants.exhibit import RELOAD, ask, bury, call, put, take, tick
from tests.mutants.museum import EXHIBITS
from tests.random_calls import random_call

MACHINES = {exhibit.name: exhibit.machine for exhibit in EXHIBITS}


def found(calls: list[Call], make_machine: Callable[..., Machine], units_per_second: int = 1) -> Counterexample:
    """The counterexample that the calls are."""
    finding = find_fault(calls, make_machine=make_machine, units_per_second=units_per_second)
    assert finding is not None
    return Counterexample(tuple(calls), finding, units_per_second)


def walk(seed: int, length: int, units_per_second: int) -> list[Call]:
    """A random history."""
    random, spec, calls = Random(seed), Spec(units_per_second=units_per_second), list[Call]()
    while len(calls) < length:
        calls.append(random_call(random, spec))
        if calls[-1].op != "reload":
            try:
                run_spec(spec, calls[-1])
            except Exception:  # a refusal
                continue
    return calls


# Which fault, in which random history, and what must be left of it.
WALKS = [
    ("TtrLostOnTheDeadline", 0, 1_000_000, 1, [put(ttr=1, body=b""), ask(0, "a"), tick(1)]),
    ("FirstTubeWins", 0, 1, 1, [put(tube="t", ttr=1, body=b""), put(ttr=1, body=b""), ask(0, "a", "default", "t")]),
    ("TotalsNotRestored", 0, 1, 1, [put(ttr=1, body=b""), RELOAD]),
    (  # a fault that whole seconds hide
        "DelayInUnits",
        0,
        1_000_000,
        2,
        [put(ttr=1, body=b""), ask(0, "a"), call("release_with", 0, 1, "a", priority=0, delay_seconds=1)],
    ),
]


@pytest.mark.parametrize(("name", "seed", "units", "units_left", "left"), WALKS, ids=[walk[0] for walk in WALKS])
def test_a_random_history_is_cut_to_its_core(
    name: str, seed: int, units: int, units_left: int, left: list[Call]
) -> None:
    machine = MACHINES[name]
    shown = minimise(found(walk(seed, 150, units), machine, units), make_machine=machine)
    assert list(map(str, shown.calls)) == list(map(str, left))
    assert shown.units_per_second == units_left
    assert find_fault(shown.calls, make_machine=machine, units_per_second=units_left) == shown.finding


@pytest.mark.parametrize("exhibit", EXHIBITS[::4], ids=lambda exhibit: exhibit.name)
def test_nothing_can_be_left_out(exhibit) -> None:  # type: ignore[no-untyped-def]
    start = found(list(exhibit.calls), exhibit.machine, exhibit.units_per_second)
    shown = minimise(start, make_machine=exhibit.machine)
    assert shown.finding.name == start.finding.name
    assert len(shown.calls) <= len(exhibit.calls)
    for place in range(len(shown.calls)):
        kept = [each for each in range(len(shown.calls)) if each != place]
        left = renumbered(shown.calls, kept)
        again = find_fault(left, make_machine=exhibit.machine, units_per_second=shown.units_per_second)
        assert again is None or again.name != shown.finding.name


def test_twice_the_same_is_the_same_and_the_least_stays_as_it_is() -> None:
    machine = MACHINES["TtrLostOnTheDeadline"]
    start = found(walk(0, 60, 1), machine)
    once = minimise(start, make_machine=machine)
    assert once == minimise(start, make_machine=machine) == minimise(once, make_machine=machine)


def test_names_instants_and_lists_become_plain() -> None:
    machine = MACHINES["SecondReserveWhileWaiting"]
    calls = [ask(70, "the worker", "mail", "jobs", until=90), ask(75, "the worker", "mail", until=95)]
    assert minimise(found(calls, machine), make_machine=machine).calls == (ask(0, "a"), ask(0, "a"))


def test_an_instant_that_the_clock_gives_is_not_said() -> None:
    machine = MACHINES["KickTakesReady"]
    assert minimise(found([put(), call("kick", 1, now=7)], machine), make_machine=machine).calls[1:] == (
        call("kick", 1),
    )


def test_two_calls_that_only_go_together_go() -> None:
    finding = Finding("pairs", "", "", "", "", 2)

    def judge(tried: Counterexample) -> Finding | None:
        """Whether there is a tick last, and a use by a of t for a watch by b of u."""
        ops, args = [call.op for call in tried.calls], [call.args for call in tried.calls]
        whole = ops[-1] == "tick" and args.count(("a", "t")) == ops.count("use_tube") == ops.count("watch_tube")
        whole = whole and args.count(("b", "u")) == ops.count("watch_tube")
        return finding._replace(step=len(ops) - 1) if whole else None

    calls = (call("use_tube", "a", "t"), tick(0), call("watch_tube", "b", "u"), tick(0))
    assert minimise(Counterexample(calls, finding), judge=judge).calls == (tick(0),)


def test_a_call_moves_where_it_saves_another() -> None:
    machine = MACHINES["DeleteByAnyone"]
    calls = [ask(0, "a"), put(), tick(0), call("delete", 1, "b")]
    assert [each.op for each in minimise(found(calls, machine), make_machine=machine).calls] == [
        "put",
        "append_reservation",
        "delete",
    ]


class KickOfTheThird(Machine):
    """A kick of job 3 is accepted whatever its state."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        """Do nothing for the third."""
        if job_id != 3:
            super().kick(job_id, now=now)


def test_what_the_fault_needs_stays() -> None:
    calls = [put(), put(), put(pri=5), take(0, 2, "z"), bury(0, 2, "z"), call("kick", 3)]
    left = minimise(found(calls, KickOfTheThird), make_machine=KickOfTheThird).calls
    assert [call.op for call in left] == ["put", "put", "put", "kick"]
    assert left[-1].args == (3,)


def test_ids_follow_the_puts_that_are_left_out() -> None:
    calls = [put(), put(delay=5), call("put", -1), put(), take(0, 3, "a"), call("delete", 1, "a"), call("kick", 2)]
    assert put_ids(calls) == [1, 2, None, 3, None, None, None]
    left = renumbered(calls, [1, 3, 4, 5, 6])
    assert [call.args for call in left[2:]] == [(0, 2, "a"), (1, "a"), (1,)]


def test_a_call_that_no_signature_takes_stays_as_it_is() -> None:
    odd = Call("kick", (), {"job": 1})
    assert canonical(odd) == odd
    assert canonical(Call("tick", (), {"now": 3})) == tick(3)
    assert canonical(ask(0, "a")._replace(kwargs={"tubes": ["t"], "deadline_at": None, "request_id": "r"})) == Call(
        "append_reservation", (0, "a"), {"request_id": "r", "tubes": ("t",), "deadline_at": None}
    )


def test_smaller_numbers_reach_the_least_and_come_near() -> None:
    assert list(smaller_numbers(9, 1)) == [1, 5, 7, 8]
    assert list(smaller_numbers(0)) == []


def test_every_smaller_history_has_as_many_calls_and_none_is_the_same() -> None:
    history = History((put(3, tube="x", pri=4, delay=2), ask(7, "someone", "x", "y", until=9)), 10)
    smaller = [each for each in histories(history) if weight(each) < weight(history)]
    assert {len(each.calls) for each in smaller} == {2}
    assert any(each.units_per_second == 1 for each in smaller)
    assert any("'a'" in str(each.calls[1]) for each in smaller)


def test_calls_that_show_nothing_are_refused() -> None:
    finding = Finding("crash", "", "", "", "", 0)
    with pytest.raises(ValueError, match="do not show the finding 'crash'"):
        minimise(Counterexample((tick(0),), finding))


def test_a_loop_needs_a_judge_of_its_own() -> None:
    finding = Finding("every_delay_ends", "L2", "", "", "", 3)
    calls = (put(), put(delay=1), call("pause_tube", 0, "default", 1), call("get_tubes"))
    lasso = Counterexample(calls, finding, loop_start=2)
    assert minimise(lasso) == lasso

    def judge(tried: Counterexample) -> Finding | None:
        """Whether there is a delayed job before the loop, and a look in it."""
        assert tried.loop_start is not None
        prefix, loop = tried.calls[: tried.loop_start], tried.calls[tried.loop_start :]
        shown = any(call.kwargs.get("delay_seconds") for call in prefix) and any(c.op == "get_tubes" for c in loop)
        return finding if shown else None

    assert minimise(lasso, judge=judge) == replace(
        lasso, calls=(put(delay=1, ttr=1, body=b""), call("get_tubes")), loop_start=1
    )
