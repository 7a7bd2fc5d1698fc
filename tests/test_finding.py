"""The judge of calls: what it finds, with which values, and that it never raises for a fault of the machine."""

import re

import pytest

from jsm.job import JobID, TubeName
from jsm.machine import Machine
from models.calls import Call
from models.finding import CRASH, WATCHER_RULES, Finding, find_fault, sentence_of
from models.watcher import __doc__ as watcher_text
from tests.mutants.museum import EXHIBITS

PUT = Call("put", (0,), {"priority": 0, "delay_seconds": 0, "ttr_seconds": 2, "body": b"x", "tube": "default"})
TAKE = Call("reserve_job", (0, 1, "a"))


class KickTakesReady(Machine):
    """A kick of a job that can't be kicked is accepted."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        """Do nothing."""


class Crashes(Machine):
    """A kick raises what is no refusal."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        """Raise."""
        raise KeyError(job_id)


def test_a_machine_without_a_fault_shows_none() -> None:
    assert find_fault([PUT, TAKE, Call("kick", (1,)), Call("reload"), Call("stop"), Call("tick", (0,))]) is None


def test_a_difference_is_found_with_both_answers_and_its_step() -> None:
    found = find_fault([PUT, Call("kick", (1,)), TAKE], make_machine=KickTakesReady, invariants=False)
    assert found is not None
    assert found[:2] == ("lock-step outcome", "SPEC 3")
    assert (found.expected, found.found, found.step) == ("refused: wrong-state", "accepted", 1)


def test_an_invariant_is_named_before_the_difference_that_it_makes() -> None:
    found = find_fault([PUT, Call("kick", (1,)), TAKE], make_machine=KickTakesReady)
    assert found is not None
    assert found[:2] == ("a_kick_takes_buried_or_delayed_only", "S16")
    assert (found.expected, found.found, found.step) == ("a refusal as wrong-state", "the call was accepted", 1)


def test_without_lock_step_and_invariants_such_a_fault_is_not_seen() -> None:
    assert find_fault([PUT, Call("kick", (1,))], make_machine=KickTakesReady, lockstep=False, invariants=False) is None


def test_an_unexpected_exception_is_a_crash_and_says_where() -> None:
    found = find_fault([PUT, Call("kick", (1,))], make_machine=Crashes, lockstep=False)
    assert found is not None
    assert (found.name, found.found) == (CRASH, "KeyError(1) raised in test_finding.py, kick")


def shown(name: str, **checks: bool) -> Finding | None:
    """What the judge says of the museum's history of a mutant."""
    (exhibit,) = (each for each in EXHIBITS if each.name == name)
    return find_fault(exhibit.calls, make_machine=exhibit.machine, units_per_second=exhibit.units_per_second, **checks)


@pytest.mark.parametrize(
    ("name", "checks", "expected"),
    [
        ("NumbersWithAGap", {"lockstep": False, "invariants": False}, "records_are_numbered_without_a_gap"),
        ("KickStartsTheDelay", {}, "every_transition_is_an_edge"),
        ("ReservedStaysReady", {"lockstep": False, "looks": False}, "each_job_in_exactly_one_container"),
        ("FirstTubeWins", {"lockstep": False, "looks": False}, "the_best_ready_job_goes_first"),
        ("UrgentCountDrifts", {"lockstep": False}, "tube_statistics_equal_a_recount"),
        ("UrgentCountDrifts", {"invariants": False}, "lock-step look get_stats_tube_as_yaml"),
        ("UrgentCountDrifts", {"looks": False}, None),
        ("OwnersLost", {"lockstep": False}, "a_restored_machine_is_the_same"),
        ("OwnersLost", {"invariants": False}, "lock-step state jobs"),
    ],
)
def test_each_check_finds_its_fault(name: str, checks: dict[str, bool], expected: str | None) -> None:
    found = shown(name, **checks)
    assert (found and found.name) == expected


def test_a_statistic_that_differs_is_named_with_both_values() -> None:
    found = shown("UrgentCountDrifts", invariants=False)
    assert found is not None
    assert found.expected == "get_stats_tube_as_yaml(0, 'default'): current-jobs-urgent = 1"
    assert found.found == "get_stats_tube_as_yaml(0, 'default'): current-jobs-urgent = 0"


class Deaf(Machine):
    """A stop is not heard."""

    __slots__ = ()

    def stop(self) -> None:
        """Do as if."""
        super().stop()
        self._stopped = False


class TalksOn(Machine):
    """Lists its tubes even when it is stopped."""

    __slots__ = ()

    def get_tubes(self, *, now: int | None = None) -> list[TubeName]:
        """Say that there is one."""
        return [TubeName("default")]


class Unmade(Machine):
    """Can't be made."""

    __slots__ = ()

    def __init__(self, **settings: object) -> None:
        raise RuntimeError("no machine today")


def test_whatever_happens_is_a_finding() -> None:
    unmade = find_fault([PUT], make_machine=Unmade)
    assert unmade is not None
    assert unmade.found == "RuntimeError('no machine today') raised in test_finding.py, __init__"
    deaf = find_fault([Call("stop"), Call("get_tubes")], make_machine=Deaf)
    assert deaf is not None
    assert (deaf.expected, deaf.found, deaf.step) == ("refused: stopped", "answer = ['default']", 1)
    talks = find_fault([Call("stop"), Call("get_tubes")], make_machine=TalksOn)
    assert talks is not None
    assert (talks.name, talks.clause, talks.step) == ("a_stopped_machine_refuses", "SPEC 3", 1)


def test_every_rule_of_the_watcher_has_a_clause_and_a_sentence() -> None:
    assert watcher_text is not None
    assert list(WATCHER_RULES) == re.findall(r"^\| `(\w+)` \|", watcher_text, re.MULTILINE)


def test_an_operation_is_explained_in_one_sentence_without_costs() -> None:
    assert sentence_of("kick") == "Make one buried or delayed job ready; priority and delay unchanged."
    assert sentence_of("reload").startswith("A restored machine")
