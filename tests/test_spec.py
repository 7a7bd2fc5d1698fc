"""The specification against hand-made histories, and against itself."""

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import pytest

from models.calls import Call, run_spec, state_of_spec
from models.spec import Spec
from models.spec_world import COMMANDS, Refused
from tests.driver import Driver
from tests.random_calls import random_call
from tests.refusals import PRECEDENCE, TABLE, build, check, double_faults, good_calls, single_faults
from tests.rules_jobs import JOB_RULES, looks_are_counted
from tests.rules_reserve import RESERVE_RULES
from tests.rules_time import TIME_RULES


@pytest.mark.parametrize("second", [1, 2, 1_000_000])
@pytest.mark.parametrize(
    "history", [*JOB_RULES, *RESERVE_RULES, *TIME_RULES, looks_are_counted], ids=lambda history: history.__name__
)
def test_rule(history: Callable[[Driver], None], second: int) -> None:
    spec = Spec(units_per_second=second)
    history(Driver(lambda call: run_spec(spec, call), second=second))


def world_of_refusals() -> Spec:
    spec = Spec()
    build(Driver(lambda call: run_spec(spec, call), second=1))
    return spec


def state_without_commands(spec: Spec) -> dict[str, Any]:
    return {name: value for name, value in state_of_spec(spec).items() if name != "commands"}


def test_the_good_calls_of_the_table_of_refusals_are_not_refused() -> None:
    start = world_of_refusals()
    for good in good_calls():
        spec = deepcopy(start)
        run_spec(spec, good.call)
        counted = {name for name in COMMANDS if spec.commands[name] != start.commands[name]}
        assert counted == ({good.command} if good.command else set()), good


@pytest.mark.parametrize("op", TABLE)
def test_refusals_change_nothing_but_a_counter_and_come_in_their_order(op: str) -> None:
    spec = world_of_refusals()
    before = state_without_commands(spec)
    for spoilt in [*single_faults(op), *double_faults(op)]:
        commands = dict(spec.commands)
        check(spoilt, lambda call: run_spec(spec, call))
        understood = PRECEDENCE.index(spoilt.category) >= PRECEDENCE.index("missing")
        if understood and spoilt.command:
            commands[spoilt.command] += 1
        assert spec.commands == commands, spoilt
        assert state_without_commands(spec) == before, spoilt
    spec.stop()
    for spoilt in single_faults(op):
        check(spoilt._replace(category="stopped"), lambda call: run_spec(spec, call))


def random_specs(seed: int, *, calls: int) -> Spec:
    """A specification after a random history."""
    random = Random(seed)
    spec = Spec(units_per_second=(1, 3)[seed % 2])
    for _ in range(calls):
        call = random_call(random, spec)
        if call.op == "reload":
            continue
        try:
            run_spec(spec, call)
        except Refused:
            continue
    return spec


def changed_by_tick(spec: Spec, now: int) -> bool:
    """Whether a tick does more than to move the clock."""
    ticked = deepcopy(spec)
    answers = ticked.tick(now)
    ticked.clock = spec.clock
    return bool(answers) or ticked.__dict__ != spec.__dict__


@pytest.mark.parametrize("seed", range(40))
def test_next_tick_at_is_the_first_instant_at_which_a_tick_does_something(seed: int) -> None:
    for calls in (10, 25, 60):
        spec = random_specs(seed, calls=calls)
        due = spec.next_tick_at()
        if due is None:
            assert not changed_by_tick(spec, spec.clock + 10**6)
            continue
        assert changed_by_tick(spec, due)
        if spec.clock < due:
            assert not changed_by_tick(spec, spec.clock)
            assert not changed_by_tick(spec, due - 1)
        spec.tick(due)
        assert not changed_by_tick(spec, due)  # a second tick does nothing
        later = spec.next_tick_at()
        assert later is None or later > due


EDGES = {
    ("new", "put", "ready"),
    ("new", "put-delayed", "delayed"),
    ("delayed", "delay-elapsed", "ready"),
    ("delayed", "kick", "ready"),
    ("delayed", "reserve-job", "reserved"),
    ("delayed", "delete", "deleted"),
    ("ready", "reserve", "reserved"),
    ("ready", "reserve-job", "reserved"),
    ("ready", "delete", "deleted"),
    ("reserved", "touch", "reserved"),
    ("reserved", "release", "ready"),
    ("reserved", "release-delayed", "delayed"),
    ("reserved", "bury", "buried"),
    ("reserved", "delete", "deleted"),
    ("reserved", "ttr-expired", "ready"),
    ("reserved", "close", "ready"),
    ("buried", "kick", "ready"),
    ("buried", "reserve-job", "reserved"),
    ("buried", "delete", "deleted"),
}
"""SPEC section 2, copied by hand: the specification must not lean on the table of `jsm`."""


def test_random_histories_make_the_19_edges_and_no_other() -> None:
    seen = set()
    for seed in range(40):
        records = random_specs(seed, calls=80).records
        assert [record.seq for record in records] == list(range(1, len(records) + 1))
        last: dict[int, str] = {}
        for record in records:
            assert record.source == last.get(record.job, "new")
            last[record.job] = record.target
            seen.add((record.source, record.trigger, record.target))
    assert seen == EDGES


def test_records_name_who_acted_or_lost_the_job() -> None:
    spec = Spec()
    d = Driver(lambda call: run_spec(spec, call), second=1)
    d.hold("a", ttr=1)
    d.put(delay=1)
    d.tick_at(1)
    d.call("reserve_job", 1, 1, "b")
    d.call("touch", 1, 1, "b")
    d.call("close_client", "b")
    d.call("delete", 1, "c")
    assert [(record.trigger, record.client) for record in spec.records] == [
        ("put", None),
        ("reserve-job", "a"),
        ("put-delayed", None),
        ("delay-elapsed", None),
        ("ttr-expired", "a"),
        ("reserve-job", "b"),
        ("touch", "b"),
        ("close", "b"),
        ("delete", "c"),
    ]
    assert spec.records[4][:4] == (5, 1, 1, "default")


def test_close_returns_the_jobs_by_id() -> None:
    spec = Spec()
    d = Driver(lambda call: run_spec(spec, call), second=1)
    for _ in range(3):
        d.put(ttr=9)
    for job_id in (3, 1, 2):
        d.call("reserve_job", 0, job_id, "a")
    d.call("close_client", "a")
    assert [record.job for record in spec.records[-3:]] == [1, 2, 3]


@pytest.mark.parametrize("name", ["a", "A9-+/;.$_()", "x" * 200, "9-", "$"])
def test_tube_names_that_are_allowed(name: str) -> None:
    run_spec(Spec(), Call("use_tube", ("a", name)))
