"""The museum of mutants: every planted fault is found, and the machine without one passes the same."""

import pytest

from jsm.machine import Machine
from models.check_result import HOLDS, UNDETERMINED, VIOLATED
from models.explorer import explore
from models.finding import WATCHER_RULES, Finding, find_fault
from models.invariants import INVARIANTS
from models.lockstep import Lockstep, difference_of
from reports.tools.mutants import TARGET
from tests.mutants.catches import explored
from tests.mutants.exhibit import Exhibit
from tests.mutants.museum import EXHIBITS, OUT_OF_REACH, OUTSIDE, ROWS, of_row
from tests.mutants.scopes import (
    ROOM_OF,
    ROOMS,
    UNEXPLORED,
    WALKED,
    exploration,
    explored_machine,
    looking,
    restoring,
    walked,
)

RESTORED = ("looks", "values", "pauses", "margin", "waits", "order")
"""The rooms in which a machine is restored after every call."""

NAMED = [pytest.param(exhibit, id=f"{exhibit.number}-{exhibit.name}") for exhibit in EXHIBITS]
EXPLORED = [named for exhibit, named in zip(EXHIBITS, NAMED, strict=True) if exhibit.number not in UNEXPLORED]

REPORT = TARGET.read_text("utf-8")
STALE = "reports/mutants.md is stale; write it anew: python -m reports.tools.mutants"


def lockstep_of(exhibit: Exhibit, make_machine: type[Machine]) -> Lockstep:
    """The specification beside a machine with the exhibit's time units."""
    return Lockstep(make_machine=make_machine, units_per_second=exhibit.units_per_second)


@pytest.mark.parametrize("exhibit", NAMED)
def test_the_shortest_history_shows_the_fault(exhibit: Exhibit) -> None:
    assert difference_of(lockstep_of(exhibit, Machine), exhibit.calls) is None, "the machine itself has the fault"
    found = difference_of(lockstep_of(exhibit, exhibit.machine), exhibit.calls)
    assert found is not None, "no check catches the mutant"
    assert found.calls == list(exhibit.calls), "the fault shows before the last call"
    for place in range(len(exhibit.calls)):
        fewer = [*exhibit.calls[:place], *exhibit.calls[place + 1 :]]
        assert difference_of(lockstep_of(exhibit, exhibit.machine), fewer) is None, f"call {place} can be left out"


@pytest.mark.parametrize("exhibit", NAMED)
def test_a_named_property_is_broken_without_the_specification(exhibit: Exhibit) -> None:
    def finding(make_machine: type[Machine]) -> Finding | None:
        units = exhibit.units_per_second
        return find_fault(exhibit.calls, make_machine=make_machine, units_per_second=units, lockstep=False)

    assert finding(Machine) is None
    found = finding(exhibit.machine)
    assert found is not None, "no invariant and no rule of the watcher catches the mutant"
    assert found.name in INVARIANTS or found.name in WATCHER_RULES
    assert found.step == len(exhibit.calls) - 1
    [row] = [line for line in REPORT.splitlines() if line.startswith(f"| {exhibit.number} | {exhibit.bug} |")]
    assert f"| `{found.name}` |" in row, STALE


@pytest.mark.parametrize("exhibit", EXPLORED)
def test_the_explorer_finds_the_mutant(exhibit: Exhibit) -> None:
    result = exploration(exhibit, exhibit.machine)
    assert result.verdict == VIOLATED
    found = explored(ROOM_OF[exhibit.number], result.counterexample)
    assert found is not None, "an operation never fired, and nothing else is wrong"
    assert f"| {exhibit.number} | {exhibit.bug} | {exhibit.clauses} | `{found}` |" in REPORT, STALE


@pytest.mark.parametrize("exhibit", [each for each in EXHIBITS if each.number in WALKED], ids=lambda each: each.name)
def test_a_walk_finds_the_mutant(exhibit: Exhibit) -> None:
    found = explored("walk", walked(exhibit, exhibit.machine).counterexample)
    assert found is not None
    assert f"| {exhibit.number} | {exhibit.bug} | {exhibit.clauses} | `{found}` |" in REPORT, STALE
    assert walked(exhibit, Machine).verdict == UNDETERMINED


@pytest.mark.parametrize(
    ("room", "variant"),
    [
        *((room, Machine) for room in ROOMS),
        *((room, restoring(Machine)) for room in RESTORED),
        *((room, looking(Machine)) for room in ("looks", "tubes")),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_the_machine_itself_passes_in_every_room(room: str, variant: type[Machine]) -> None:
    result = explore(ROOMS[room], make_machine=variant)
    assert (result.verdict, result.counterexample) == (HOLDS, None)


def test_every_exhibit_is_explored_or_it_is_said_why_not() -> None:
    numbers = {exhibit.number for exhibit in EXHIBITS}
    assert {*ROOM_OF, *UNEXPLORED} == numbers
    assert not set(ROOM_OF) & set(UNEXPLORED)
    assert {exploration_name(exhibit) for exhibit in EXHIBITS if exhibit.number in ROOM_OF} <= {
        *((room, "") for room in ROOMS),
        *((room, "Restored") for room in RESTORED),
        *((room, "Looking") for room in ("looks", "tubes")),
    }


def exploration_name(exhibit: Exhibit) -> tuple[str, str]:
    """The room of an exhibit, and how its machine is varied there."""
    return ROOM_OF[exhibit.number], explored_machine(exhibit, Machine).__name__.removesuffix("Machine")


def test_every_row_is_in_the_museum_or_said_to_be_out_of_reach() -> None:
    missing = [row for row in ROWS if not of_row(row) and row not in OUT_OF_REACH]
    assert missing == []
    assert [row for row in OUT_OF_REACH if of_row(row)] == []


def test_what_is_of_the_wire_or_the_journal_has_its_test_there() -> None:
    assert set(OUT_OF_REACH) <= set(OUTSIDE) <= set(ROWS)
    for fault, test in OUTSIDE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (TARGET.parents[1] / "tests" / file).read_text("utf-8"), name
        assert f"| {fault} | `tests/{test}` |" in REPORT, STALE


def test_every_exhibit_has_a_number_and_a_name_of_its_own_and_says_how_it_is_planted() -> None:
    numbers = [exhibit.number for exhibit in EXHIBITS]
    assert len(set(numbers)) == len(numbers)
    assert len({exhibit.name for exhibit in EXHIBITS}) == len(numbers)
    assert [exhibit.name for exhibit in EXHIBITS if not exhibit.planted.endswith(".") or not exhibit.clauses] == []
    own = [number for number in numbers if number.startswith("J")]
    assert sorted(own) == sorted(f"J{place}" for place in range(1, len(own) + 1))
    assert {number.rstrip("ab") for number in numbers} - set(own) <= set(ROWS)
