"""SPIN, plain tuples and the real machine come to the same states and transitions, and notice planted faults."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from jsm.job import ClientID, JobID
from jsm.machine import Machine
from models import promela
from models.explorer import explore as explore_scope
from models.promela import (
    MODEL,
    WORLDS,
    Count,
    EngineError,
    EngineMissingError,
    World,
    build,
    count_states,
    invariants,
    parse,
    search,
)
from models.scope import SCOPES
from tests.bounded_world import Explored, RealWorld, abstract_step, explore, scope_of

FIRST = WORLDS["first"]
STATED = {2: 993, 3: 14_040, 4: 205_541}
"""Distinct states of the first world by number of jobs, on which SPIN, TLC and two explorers agreed before."""

SPIN_OUTPUT = """
pan:1: assertion violated ((1==0)||(left[0]<=2)||(3==0)) (at depth 7)
State-vector 28 byte, depth reached 557, errors: 0
      993 states, stored
     7737 states, matched
     8730 transitions (= stored+matched)
   41.448\ttotal actual memory usage
pan: elapsed time 0.5 seconds
sum of transitions: 1165058855
"""

Counter = Callable[[World], Count]


@pytest.fixture(scope="session")
def spin() -> Counter:
    """SPIN, which counts each world once; every test that needs it asks for it by this name."""
    return cache(count_states)


def tuples(world: World) -> Explored:
    """The exploration over plain tuples."""
    return explore(world, lambda state, operation: abstract_step(world, state, operation))


def counted(count: Count) -> Explored:
    """What two explorations have to agree on; nothing may have been violated."""
    assert count.violated is None
    assert count.sum_of_transitions is not None
    return Explored(count.states, count.transitions, count.sum_of_transitions)


# ---------------------------------------------------------------------- the same numbers


def test_spin_and_tuples_agree_on_the_first_world_of_two_jobs(spin: Counter) -> None:
    found = counted(spin(FIRST))
    assert found.states == STATED[2]
    assert found == tuples(FIRST)


def test_tuples_and_machine_agree_on_a_world_of_one_job_with_everything_but_tubes() -> None:
    world = replace(WORLDS["everything"], jobs=1, tubes=1)
    assert tuples(world) == RealWorld(world).explore()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 3, 4])
def test_spin_and_tuples_agree_on_the_first_world(spin: Counter, jobs: int) -> None:
    world = replace(FIRST, jobs=jobs)
    found = counted(spin(world))
    assert found.states == STATED.get(jobs, found.states)
    assert found == tuples(world)


@pytest.mark.slow
def test_spin_counts_the_first_world_of_five_jobs() -> None:
    assert count_states(replace(FIRST, jobs=5), check=False, optimise=2).states == 3_136_048


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "jobs", "states"),
    [
        ("first", 2, 993),
        ("first", 3, 14_040),
        ("tubes", 1, 670),
        ("tubes", 2, 17_543),
        ("pause", 2, 3_443),
        ("deadlines", 2, 2_777),
        ("by id", 2, 1_553),
        ("three clients", 2, 12_919),
        ("everything", 1, 6_816),
    ],
)
def test_spin_tuples_and_machine_agree(spin: Counter, name: str, jobs: int, states: int) -> None:
    world = replace(WORLDS[name], jobs=jobs)
    found = counted(spin(world))
    assert found.states == states
    assert found == tuples(world) == RealWorld(world).explore()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "jobs", "states"),
    [("pause", 3, 52_200), ("deadlines", 3, 30_576), ("everything", 2, 143_506)],
)
def test_spin_and_tuples_agree_on_larger_worlds(spin: Counter, name: str, jobs: int, states: int) -> None:
    world = replace(WORLDS[name], jobs=jobs)
    found = counted(spin(world))
    assert found.states == states
    assert found == tuples(world)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("first", 3),
        ("tubes", 2),
        ("pause", 2),
        ("deadlines", 2),
        ("by id", 2),
        ("three clients", 2),
        ("everything", 1),
    ],
)
def test_spin_and_the_explorer_agree(spin: Counter, name: str, jobs: int) -> None:
    world = replace(WORLDS[name], jobs=jobs)
    found = counted(spin(world))
    result = explore_scope(scope_of(world), lockstep=False, invariants=False)
    assert (result.verdict, result.states, result.transitions) == ("holds", found.states, found.transitions)


def test_the_explorer_has_the_first_world_as_a_scope() -> None:
    result = explore_scope(SCOPES["spin"].but(jobs=2, puts=2), lockstep=False, invariants=False)
    assert (result.verdict, result.states) == ("holds", STATED[2])


@pytest.mark.slow
def test_keeping_priorities_leaves_out_transitions_but_no_state(spin: Counter) -> None:
    world = replace(FIRST, new_priorities=False)
    found = counted(spin(world))
    assert found == tuples(world) == RealWorld(world).explore()
    assert (found.states, found.transitions < counted(spin(FIRST)).transitions) == (993, True)


# ---------------------------------------------------------------------- planted faults


class ForgetfulTouch(Machine):
    """Touch doesn't start the ttr again: as many states as before, but other transitions."""

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        """Do nothing."""


class EagerClose(Machine):
    """Close deletes the client's jobs instead of giving them back."""

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        """Delete what it holds."""
        for record in list(self.snapshot().snapshot_jobs()):
            if record.job.reserved_by == client_id:
                self.delete(record.job.id, client_id)
        super().close_client(client_id, now=now)


@pytest.mark.parametrize(
    ("faulty", "world", "same_states"), [(ForgetfulTouch, FIRST, True), (EagerClose, WORLDS["by id"], True)]
)
def test_a_machine_with_a_fault_comes_to_other_numbers(
    faulty: Callable[[], Machine], world: World, same_states: bool
) -> None:
    small = replace(world, jobs=1)
    right, wrong = tuples(small), RealWorld(small, faulty).explore()
    assert right == RealWorld(small).explore()
    assert (wrong.states == right.states) is same_states
    assert wrong.sum_of_transitions != right.sum_of_transitions


FAULTS = {
    "each_job_in_exactly_one_place": ("first", "state[j] = GONE; pri[j] = 0; left[j] = 0;", "state[j] = GONE;"),
    "reserved_iff_owned": ("first", "state[j] = READY; left[j] = 0; owner[j] = 0", "state[j] = READY; left[j] = 0"),
    "nothing_is_overdue": ("first", "left[i] > 1 -> left[i]--", "left[i] > 1 -> left[i]++"),
    "buried_in_order": ("first", "-> rank[k]--", "-> skip"),
    "waiting_in_order": ("first", "-> asked[k]--", "-> skip"),
    "no_lost_wake_up": ("first", "STEP(SOME_KICKABLE(t), kick_one(t))", "UNSETTLED(SOME_KICKABLE(t), kick_one(t))"),
    "every_wait_is_answered_in_time": ("deadlines", "deadline[i] == 0 -> end_wait(i)", "deadline[i] == 9 -> skip"),
    "no_wait_in_the_margin": ("deadlines", "left[k] <= 1 -> found = 1", "left[k] < 1 -> found = 1"),
    "a_pause_needs_its_tube": ("everything", ":: !EXISTS(1) -> pause[1] = 0", ":: !EXISTS(1) -> skip"),
}
"""By the invariant that notices it: the world, and what of the model is replaced by what."""


def planted(name: str, right: str, wrong: str) -> str:
    """The model with a fault; the margin's own check keeps its right look."""
    text = MODEL.read_text("utf-8")
    assert right in text, name
    faulty = text.replace(right, wrong, 1)
    if name == "no_wait_in_the_margin":  # the check must not look through the same faulty glasses
        faulty = faulty.replace("HOLDS(NO_WAIT_IN_THE_MARGIN, !found", f"{MARGIN} HOLDS(NO_WAIT_IN_THE_MARGIN, !found")
    return faulty.replace("#define STEP", f"{UNSETTLED}\n\n#define STEP", 1)


MARGIN = """found = 0; for (k : 0 .. JOBS - 1) {
    if :: state[k] == RESERVED && owner[k] == i + 1 && left[k] <= 1 -> found = 1 :: else fi };"""
UNSETTLED = "#define UNSETTLED(guard, effect)  :: d_step { guard -> effect; check() }"


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_spin_names_the_invariant_that_a_planted_fault_breaks(spin: Counter, name: str) -> None:
    world, right, wrong = FAULTS[name]
    assert count_states(WORLDS[world], source=planted(name, right, wrong)).violated == name


def test_every_invariant_of_the_model_has_a_planted_fault() -> None:
    assert list(invariants().values()) == list(FAULTS)


@pytest.mark.slow
def test_spin_says_what_is_violated_in_its_own_words_when_it_is_no_invariant(spin: Counter) -> None:
    text = MODEL.read_text("utf-8").replace("to_ready(best)\n", "to_ready(best); assert(best > 7)\n", 1)
    assert count_states(replace(FIRST, jobs=1), source=text).violated == "assertion violated (best>7)"


@pytest.mark.slow
def test_a_ttr_that_never_ends_keeps_the_count_and_moves_the_sum(spin: Counter) -> None:
    text = MODEL.read_text("utf-8")
    right = ":: left[i] == 1 -> to_ready(i)"
    assert right in text
    stuck = count_states(FIRST, source=text.replace(right, ":: left[i] == 1 && state[i] != RESERVED -> to_ready(i)"))
    sound = spin(FIRST)
    assert (stuck.states, stuck.transitions) == (sound.states, sound.transitions)
    assert stuck.sum_of_transitions != sound.sum_of_transitions


# ---------------------------------------------------------------------- running the engine


@pytest.mark.slow
def test_a_search_that_was_cut_is_made_again_with_more_depth(
    spin: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = build(FIRST, tmp_path, check=False, optimise=0)
    monkeypatch.setattr(promela, "DEPTH_FIRST", 40)
    assert search(program).states == spin(FIRST).states
    monkeypatch.setattr(promela, "LAST_DEPTH", 40)
    with pytest.raises(EngineError, match="paths are longer than 40 steps; take a smaller world"):
        search(program)


def test_a_missing_program_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineMissingError) as caught:
        count_states(FIRST)
    assert str(caught.value) == (
        "spin and gcc: not installed, and without them SPIN can count nothing; install: apt-get install spin gcc"
    )


def test_a_model_that_spin_refuses_is_an_error_with_its_last_line(spin: Counter) -> None:
    with pytest.raises(EngineError, match="spin: "):
        count_states(FIRST, source="active proctype world() { nonsense }\n")


def test_the_output_is_read() -> None:
    assert parse(SPIN_OUTPUT) == Count(993, 8_729, 1_165_058_855, 557, 0.5, 41.448, None)
    assert parse(SPIN_OUTPUT).states_per_second == 1_986
    assert parse(SPIN_OUTPUT.replace("errors: 0", "errors: 1")).violated == "nothing_is_overdue"
    assert parse(SPIN_OUTPUT.replace("sum of", "")).sum_of_transitions is None
    with pytest.raises(EngineError, match="no result in its output: out of memory"):
        parse("State-vector 28 byte\nout of memory\n")


@pytest.mark.parametrize(
    ("field", "value", "most"),
    [
        ("jobs", 0, "1 to 5"),
        ("jobs", 6, "1 to 5"),
        ("jobs", True, "1 to 5"),
        ("clients", 1, "2 to 3"),
        ("tubes", 3, "1 to 2"),
        ("pause_seconds", -1, "0 to 2"),
        ("deadline_seconds", -1, "0 to 2"),
        ("deadline_seconds", 3, "0 to 2"),
    ],
)
def test_bounds_that_the_model_lacks_are_refused(field: str, value: int, most: str) -> None:
    with pytest.raises(ValueError, match=f"{field} = {value}: the model has {most}"):
        replace(FIRST, **{field: value})  # type: ignore[arg-type]


def test_every_macro_of_a_world_is_described_in_the_model() -> None:
    head = MODEL.read_text("utf-8").partition("*/")[0]
    macros = WORLDS["everything"].macros()
    assert [name for name in (*macros, "CHECK", "SUM") if f" {name} " not in head] == []


def test_the_model_shares_nothing_with_the_machine() -> None:
    program = "import models.promela, sys; sys.exit(any(name.split('.')[0] == 'jsm' for name in sys.modules))"
    subprocess.run([sys.executable, "-c", program], check=True)
