"""The machine against the specification, call by call: hand-made, random and searched histories, and all refusals."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jsm.job import ClientID, JobID
from jsm.machine import Machine
from models.calls import Call, run_spec
from models.lockstep import Difference, Lockstep, difference_of, replay, shortest
from models.spec import Spec
from models.spec_world import Refused
from tests.driver import Driver
from tests.random_calls import CLIENTS, TUBES, random_call
from tests.refusals import TABLE, Spoilt, build, check, double_faults, good_calls, single_faults
from tests.rules_jobs import JOB_RULES, looks_are_counted
from tests.rules_reserve import RESERVE_RULES
from tests.rules_time import TIME_RULES


@pytest.mark.parametrize("second", [1, 4])
@pytest.mark.parametrize("history", [*JOB_RULES, *RESERVE_RULES, *TIME_RULES], ids=lambda history: history.__name__)
def test_rule(history: Callable[[Driver], None], second: int) -> None:
    history(Driver(Lockstep(units_per_second=second).do, second=second))


def test_looks_are_counted() -> None:
    looks_are_counted(Driver(Lockstep(looks=False).do, second=1))


def run_random(make: Callable[[], Lockstep], *, seed: int, calls: int) -> Lockstep:
    """A random history in lock-step; a difference is reported with the shortest history that shows it."""
    random, lockstep = Random(seed), make()
    try:
        for _ in range(calls):
            replay(lockstep, [random_call(random, lockstep.spec)])
    except Difference:
        raise shortest(make, lockstep.calls) from None
    return lockstep


@pytest.mark.parametrize("seed", range(80))
def test_random_history(seed: int) -> None:
    second = (1, 1, 3, 1_000_000)[seed % 4]
    run_random(lambda: Lockstep(units_per_second=second), seed=seed, calls=80)


def test_random_histories_make_every_edge_and_every_answer() -> None:
    """The histories above are only as good as what they reach."""
    edges, answers, refused, owed = set(), set(), set(), 0
    for seed in range(80):
        lockstep = run_random(lambda: Lockstep(looks=False), seed=seed, calls=80)
        edges |= {(record.source, record.trigger) for record in lockstep.records}
        spec = Spec()
        for call in lockstep.calls:
            if call.op == "reload":
                continue
            try:
                answer = run_spec(spec, call)
            except Refused as refusal:
                refused.add((call.op, refusal.category))
                continue
            if call.op == "append_reservation":
                answers.add(("append", answer[2]))
            elif call.op == "tick":
                answers |= {("tick", each[2]) for each in answer}
            owed = max(owed, len(spec.owed))
    assert len(edges) == 19
    assert answers == {
        *(("append", status) for status in ("matched", "deadline-soon", "timeout", "queued")),
        *(("tick", status) for status in ("matched", "deadline-soon", "timeout")),
    }
    assert owed >= 2
    # Bad values and empty clients are the work of the table of refusals.
    assert {category for _, category in refused} >= {"time-backwards", "missing", "wrong-state", "unauthorized"}


@pytest.mark.parametrize("op", TABLE)
def test_refusals(op: str) -> None:
    lockstep = Lockstep(looks=False)
    build(Driver(lockstep.do, second=1))
    for spoilt in [*single_faults(op), *double_faults(op)]:
        check(spoilt, lockstep.do)
    lockstep.do(Call("stop"))
    for spoilt in single_faults(op):
        check(spoilt._replace(category="stopped"), lockstep.do)


@pytest.mark.parametrize("good", list(good_calls()), ids=lambda good: good.call.op)
def test_the_good_calls_of_the_table_of_refusals(good: Spoilt) -> None:
    lockstep = Lockstep(looks=False)
    build(Driver(lockstep.do, second=1))
    lockstep.do(good.call)
    lockstep.reload()
    lockstep.do(Call("tick", (10**6,)))


@pytest.mark.parametrize("history", [*JOB_RULES, *RESERVE_RULES, *TIME_RULES], ids=lambda history: history.__name__)
def test_rule_with_a_restore_after_every_call(history: Callable[[Driver], None]) -> None:
    lockstep = Lockstep(looks=False)

    def do(call: Call) -> Any:
        try:
            return lockstep.do(call)
        finally:
            if not lockstep.spec.stopped:
                lockstep.reload()

    history(Driver(do, second=1))


SMALL = st.integers(0, 3)
CLIENT = st.sampled_from(CLIENTS[:3])
TUBE = st.sampled_from(TUBES[:2])
FITTING = {
    "delete": ["reserved", "buried", "delayed", "ready"],
    "reserve_job": ["delayed", "buried", "ready"],
    "kick": ["buried", "delayed"],
}
"""The states out of which an operation takes a job; the others: reserved."""
STEPS = st.one_of(
    st.tuples(st.just("put"), SMALL, SMALL, TUBE, st.sampled_from([0, 0, 1, 2])),
    st.tuples(st.just("append_reservation"), CLIENT, st.lists(TUBE, min_size=1, max_size=2), st.none() | SMALL),
    st.tuples(st.just("tick")),
    st.tuples(st.sampled_from(["delete", "release", "touch", "bury", "reserve_job"]), SMALL, CLIENT, st.booleans()),
    st.tuples(st.just("release_with"), SMALL, CLIENT, st.booleans(), SMALL, SMALL),
    st.tuples(st.just("kick"), SMALL),
    st.tuples(st.just("kick_n"), TUBE, SMALL),
    st.tuples(st.just("pause_tube"), TUBE, SMALL),
    st.tuples(st.sampled_from(["use_tube", "watch_tube", "ignore_tube"]), CLIENT, TUBE),
    st.tuples(st.sampled_from(["close_client", "cancel_reservation"]), CLIENT),
    st.tuples(st.just("reload")),
)


def job_and_client(spec: Spec, op: str, place: int, client: str, *, stranger: bool) -> tuple[int, str]:
    """The job at a place among those that the operation fits, and its owner, unless a stranger is wanted."""
    fitting = [job for job in spec.jobs.values() if job.state in FITTING.get(op, ["reserved"])]
    if not fitting:
        return place, client
    job = fitting[place % len(fitting)]
    return job.id, client if stranger or job.reserved_by is None else job.reserved_by


def call_of(step: tuple[Any, ...], spec: Spec, now: int) -> Call:
    """The call that a searched step stands for in the present world."""
    match step:
        case ("put", priority, ttr, tube, delay):
            numbers = {"priority": priority, "delay_seconds": delay, "ttr_seconds": ttr}
            return Call("put", (now,), {**numbers, "body": b"", "tube": tube})
        case ("append_reservation", client, tubes, wait):
            deadline_at = None if wait is None else now + wait
            wanted = {"request_id": "r", "tubes": tubes, "deadline_at": deadline_at}
            return Call("append_reservation", (now, client), wanted)
        case ("delete" | "release" as op, place, client, stranger):
            return Call(op, job_and_client(spec, op, place, client, stranger=stranger), {"now": now})
        case ("touch" | "reserve_job" as op, place, client, stranger):
            return Call(op, (now, *job_and_client(spec, op, place, client, stranger=stranger)))
        case ("bury", place, client, stranger):
            job_id, owner = job_and_client(spec, "bury", place, client, stranger=stranger)
            return Call("bury", (now, job_id, owner), {"priority": place})
        case ("release_with", place, client, stranger, priority, delay):
            job_id, owner = job_and_client(spec, "release", place, client, stranger=stranger)
            return Call("release_with", (now, job_id, owner), {"priority": priority, "delay_seconds": delay})
        case ("kick", place):
            return Call("kick", job_and_client(spec, "kick", place, "a", stranger=True)[:1], {"now": now})
        case ("tick" | "pause_tube" as op, *arguments):
            return Call(op, (now, *arguments))
        case ("reload",):
            return Call("reload")
        case (op, *arguments):
            return Call(op, tuple(arguments), {"now": now})
    raise AssertionError(f"no call for {step}")


@settings(
    max_examples=400,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 1, 2, 5]), STEPS), min_size=15, max_size=50))
def test_searched_history(steps: list[tuple[int, tuple[Any, ...]]]) -> None:
    now, lockstep = 0, Lockstep()
    for passed, step in steps:
        now += passed
        replay(lockstep, [call_of(step, lockstep.spec, now)])


class Forgetful(Machine):
    """A machine with a planted fault: a buried job loses its priority."""

    def bury(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int) -> None:
        """Bury with priority 0, whatever was asked for."""
        super().bury(now, job_id, client_id, priority=0 * priority)


def test_a_planted_fault_is_found_and_cut_to_its_core() -> None:
    with pytest.raises(Difference) as found:
        run_random(lambda: Lockstep(make_machine=Forgetful), seed=1, calls=300)
    assert found.value.what == "state jobs"
    calls = found.value.calls
    assert calls[-1].op == "bury"
    assert {call.op for call in calls[:-1]} <= {"put", "append_reservation", "reserve_job", "tick"}
    for place in range(len(calls)):  # nothing is left that could be left out
        without = calls[:place] + calls[place + 1 :]
        assert difference_of(Lockstep(make_machine=Forgetful), without) is None


def test_calls_without_a_difference_have_no_shortest() -> None:
    with pytest.raises(ValueError, match="no difference"):
        shortest(Lockstep, [Call("tick", (1,))])
