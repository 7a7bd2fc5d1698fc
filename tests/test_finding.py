"""The judge of calls: what it finds, with which values, and that it never raises for a fault of the machine."""

from jsm.job import JobID
from jsm.machine import Machine
from models.calls import Call
from models.finding import CRASH, find_fault

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
