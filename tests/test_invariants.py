"""The invariants: none is broken by the machine, each is exercised, each notices its planted fault."""

import inspect
from typing import Any

import pytest

from jsm.errors import InvariantViolation
from jsm.interface import JSM
from jsm.machine import Machine
from jsm.observed import OPERATIONS, to_json
from models.calls import Call, plain
from models.invariants import (
    INVARIANTS,
    InvariantChecker,
    check_looks,
    check_restore,
    check_same,
    check_span,
    check_state,
    new_tally,
)
from models.invariants_refusals import REFUSALS
from models.invariants_rule import BrokenInvariant, Tally
from models.invariants_step import LOOKS, POSITIONAL
from models.picture import looks_of, picture_of
from tests.invariant_faults import FAULTS, SCENES
from tests.machines import full_machine, random_history
from tests.refusals import TABLE, double_faults, good_calls, single_faults
from tests.scenes import Scene, Stage, ask, bury, call, outcome_of, put, scene, take, tick, with_job


@pytest.mark.parametrize("name", INVARIANTS)
def test_a_planted_fault_breaks_exactly_its_invariant(name: str) -> None:
    with pytest.raises(BrokenInvariant) as broken:
        FAULTS[name]()
    assert broken.value.name == name, broken.value
    described = INVARIANTS[name]
    assert (broken.value.clause, broken.value.sentence) == (described.clause, described.sentence)
    assert broken.value.found in str(broken.value)
    assert broken.value.expected in str(broken.value)


def test_every_invariant_has_a_planted_fault_and_every_fault_an_invariant() -> None:
    assert FAULTS.keys() == INVARIANTS.keys()


@pytest.mark.parametrize("described", INVARIANTS.values(), ids=INVARIANTS)
def test_an_invariant_has_a_clause_and_a_sentence(described: Any) -> None:
    assert described.name == described.name.lower()
    assert all(part[0] in "SL" for part in described.clause.split() if not part.isdigit())
    assert described.sentence
    assert described.sentence[0].isupper() or described.sentence.startswith("`")
    assert not described.sentence.endswith(".")


def test_every_clause_that_a_machine_can_break_has_an_invariant() -> None:
    clauses = {part for described in INVARIANTS.values() for part in described.clause.split()}
    assert {f"S{number}" for number in range(1, 35)} - clauses == {"S32"}, "a server's: see models.invariants"
    assert {f"L{number}" for number in range(1, 8)} - clauses == {"L7"}, "of infinite histories"


# ---------------------------------------------------------------------- the machine breaks none


def watch(history: list[Call], tally: Tally, *, second: int = 1, every: int = 10) -> None:
    """Play a history and check all of it; every so many calls the looks and a restore too."""
    stage = Stage()
    stage.machine = Machine(units_per_second=second, max_job_size=65535, observer=stage.notebook)
    stage.picture = picture_of(stage.machine)
    first, records = stage.picture, []
    for number, each in enumerate(history):
        played = stage.play(each)
        played.check(tally)
        records += played.records
        if number % every == 0:
            check_looks(stage.picture, looks_of(stage.machine, stage.picture), tally)
            stage.picture = picture_of(stage.machine)
            check_restore(stage.machine, tally)
    check_span(first, records, stage.picture, tally)


def refusals(tally: Tally) -> None:
    """Every way in which a call can be refused, and each call as it is not."""
    for op in TABLE:
        stage = Stage(full_machine())
        for spoilt in [*single_faults(op), *double_faults(op)]:
            stage.play(spoilt.call).check(tally)
    for good in good_calls():
        full_stage().play(good.call).check(tally)


def full_stage() -> Stage:
    """A machine with jobs in all states, whose records are kept."""
    stage = Stage()
    heir, source = stage.machine.snapshot(), full_machine().snapshot()
    heir.restore_header(source.header())
    heir.restore_jobs(source.snapshot_jobs())
    heir.restore_clients(source.snapshot_clients())
    heir.finalize_restore()
    stage.picture = picture_of(stage.machine)
    return stage


def test_the_machine_breaks_none_and_each_is_exercised() -> None:
    tally = new_tally()
    for seed in range(4):
        watch(random_history(seed, calls=250, second=1 + seed % 2 * 2), tally, second=1 + seed % 2 * 2)
    check_same(random_history(9, calls=50), tally)
    refusals(tally)
    for calls in (
        (put(), call("peek_buried_job", "default")),
        (put(body=b"x" * 65536),),
        (*(put(), take(1), bury(1)), call("kick_n", "default", -1)),
    ):
        stage = Stage()
        for each in calls:
            stage.play(each).check(tally)
    reloaded(tally)
    stopped(tally)
    assert [name for name in INVARIANTS if not tally[name]] == [], "never had anything to look at"


def reloaded(tally: Tally) -> None:
    """A restore is a step, too."""
    picture = full_stage().picture
    Scene(picture, Call("reload"), {"ok": None}, [], picture).check(tally)


def stopped(tally: Tally) -> None:
    """A stop ends all."""
    checker = InvariantChecker()
    checker.tally = tally
    machine = Machine()
    checker.attach(machine)
    for each in (call("stop"), tick(0)):
        checker.step(each, outcome_of(machine, each))


@pytest.mark.slow
def test_the_machine_breaks_none_in_long_histories() -> None:
    tally = new_tally()
    for seed in range(100, 160):
        second = 1 + seed % 3
        watch(random_history(seed, calls=400, second=second), tally, second=second, every=40)
    assert tally["the_best_ready_job_goes_first"] > 1000


@pytest.mark.parametrize("op", TABLE)
def test_a_refusal_that_is_missing_breaks_an_invariant_of_refusals(op: str) -> None:
    stage = Stage(full_machine())
    for spoilt in [*single_faults(op), *double_faults(op)]:
        played = stage.play(spoilt.call)
        with pytest.raises(BrokenInvariant) as broken:
            played._replace(outcome={"ok": None}).check()
        assert broken.value.name in REFUSALS, spoilt
        wrong = {"missing": "unauthorized"}.get(spoilt.category, "missing")
        with pytest.raises(BrokenInvariant) as broken:
            played._replace(outcome={"refused": wrong}).check()
        assert broken.value.name in REFUSALS, spoilt


@pytest.mark.parametrize("category", ["bad-value", "missing", "wrong-state", "unauthorized", "empty-client"])
def test_a_refusal_without_a_reason_breaks_an_invariant_of_refusals(category: str) -> None:
    for good in good_calls():
        with pytest.raises(BrokenInvariant) as broken:
            full_stage().play(good.call)._replace(outcome={"refused": category}).check()
        assert broken.value.name in REFUSALS, good


# ---------------------------------------------------------------------- forms and tables


@pytest.mark.parametrize("form", ["own", "plain", "json"])
def test_an_outcome_may_have_the_form_of_the_machine_of_the_models_or_of_a_record(form: str) -> None:
    change: dict[str, Any] = {"own": lambda value: value, "plain": plain, "json": to_json}
    for last in (
        scene(put(), ask("a")),
        scene(put(delay=1), take(1)),
        scene(ask("a", until=3), ask("b"), put(), tick(3)),
        scene(put(ttr=1), take(1), ask("a", "t"), tick(0)),
    ):
        value = last.outcome["ok"]
        value = [change[form](each) for each in value] if isinstance(value, list) else change[form](value)
        last._replace(outcome={"ok": value}).check()


def test_the_table_of_parameters_is_the_interfaces() -> None:
    assert POSITIONAL.keys() == OPERATIONS.keys()
    for op, names in POSITIONAL.items():
        parameters = list(inspect.signature(getattr(JSM, op)).parameters.values())[1:]
        placed = tuple(each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
        assert names == placed, op
    assert set(LOOKS) - {"next_tick_at"} < POSITIONAL.keys()


def test_arguments_may_be_given_by_name() -> None:
    for last in (scene(put(), ask("a")), scene(put(delay=1), call("kick", 1)), scene(tick(3))):
        by_name = {**dict(zip(POSITIONAL[last.call.op], last.call.args, strict=True)), **last.call.kwargs}
        last._replace(call=Call(last.call.op, (), by_name)).check()


def test_a_violation_says_name_clause_values_and_when() -> None:
    last = scene(put(ttr=2), take(1), tick(2)).undone(clock=2)._replace(outcome={"ok": []})
    with pytest.raises(InvariantViolation) as broken:
        last.check()
    assert str(broken.value) == (
        "an_expired_job_leaves_its_owner: at 2, after tick(2): job 1 is still reserved, its ttr was over at 2; "
        "expected no longer "
        "(L1 S14: After a tick no job is reserved whose ttr is over, whether its owner speaks or not)"
    )


def test_a_violation_says_seconds_where_units_are_finer() -> None:
    machine = Machine(units_per_second=1000)
    machine.put(1500, priority=0, delay_seconds=0, ttr_seconds=1, body=b"", tube="default")
    with pytest.raises(BrokenInvariant, match=r"at 1500 \(1\.5 s\): job 1 "):
        check_state(with_job(picture_of(machine), 1, kicks=-1))


def test_a_span_holds_over_many_calls_and_notices_what_is_lost() -> None:
    stage = Stage()
    first = stage.picture
    records = [record for each in random_history(3, calls=200) for record in stage.play(each).records]
    check_span(first, records, stage.picture)
    job = next(iter(stage.picture.jobs))
    with pytest.raises(BrokenInvariant, match="counters_count_their_events"):
        check_span(first, records, with_job(stage.picture, job, timeouts=99))


def test_scenes_hold_before_they_are_doctored() -> None:
    assert len(SCENES) > 80  # `scene` checks every step of each as it is, before anything is changed
