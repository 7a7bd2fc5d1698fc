"""What `jsm check` says: in a line what has been proved, and a document for machines, for each verdict."""

from pathlib import Path
from typing import Any

import pytest

from jsm.job import ClientID, JobID
from jsm.machine import Machine
from jsm.reservations import Reservation
from models.check_report import options_of, summary, told, told_of_lassos
from models.check_result import Bounds
from models.explorer import explore
from models.liveness import check_liveness
from models.scope import SCOPES

WORLD = SCOPES["tiny"].but(delays=(0,), timeouts=(None,), pauses=(1,), late=False, operations=("put", "delete", "tick"))
LASSOS = SCOPES["promises"].but(clients=1, ttrs=(1,), timeouts=(None,), late=False)
BOUNDS = (
    "at most 1 live job, any number of puts, 1 client, 1 tube, priorities 0, delays 0 s, ttrs 1 s, timeouts none s, "
    "pauses 1 s, ticks on time"
)


class DeletesNothing(Machine):
    """A delete is not heard."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """Do nothing, if there is such a job."""
        if job_id not in self._state.jobs:
            super().delete(job_id, client_id, now=now)


class NeverExpires(Machine):
    """A tick forgets when reserved jobs expire."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Tick without that timer."""
        self._state.expiries.keys.clear()
        return super().tick(now)


def lines_of(document: dict[str, Any]) -> list[str]:
    """The text for people."""
    return str(document["text"]).splitlines()


def test_what_holds_is_said_in_a_line() -> None:
    document = told("w", explore(WORLD), None)
    first, calls, speed, coverage = lines_of(document)
    assert (
        first
        == f"w: holds: every history of any length with {BOUNDS} keeps the protocol (2 states, 7 transitions, depth 1)"
    )
    assert calls.startswith("calls:    7 accepted, ")
    assert " states/s, " in speed
    assert coverage.startswith("coverage: 2 of 19 edges, 1 of 67 edge pairs, ")
    assert (document["world"], document["verdict"], document["counterexample"]) == ("w", "holds", None)


def test_a_bound_proves_nothing() -> None:
    first, *_ = lines_of(told("w", explore(WORLD, bounds=Bounds(states=1)), None))
    size = "2 states, 4 transitions, depth 1"
    why = "more than 1 states are known, 1 of them done"
    assert first == f"w: undetermined: {why} ({size}); nothing is proved of {BOUNDS}"


def test_what_is_never_accepted_is_named() -> None:
    first, *_, last = lines_of(told("w", explore(WORLD.but(operations=("put", "touch", "tick"))), None))
    assert first.startswith("w: violated: never accepted in 2 states, ")
    assert last == "never accepted: touch"


def test_a_violation_is_told_with_its_history_and_written(tmp_path: Path) -> None:
    document = told("w", explore(WORLD, make_machine=DeletesNothing), tmp_path / "made")
    first, second, *rest = lines_of(document)
    assert first.startswith("w: violated: ")
    assert second.endswith(" is broken by 2 calls")
    written = [line.removeprefix("wrote ") for line in rest if line.startswith("wrote ")]
    assert sorted(written) == sorted(str(path) for path in (tmp_path / "made").iterdir())
    assert len(written) == 4
    assert [call.partition("(")[0] for call in document["counterexample"]["calls"]] == ["put", "delete"]


def test_promises_are_told_with_what_was_open() -> None:
    result = check_liveness(LASSOS)
    first, second = lines_of(told_of_lassos("l", result, None))
    assert first.startswith("l: holds: in every history that goes on with ticks, with at most 1 live job, ")
    assert first.endswith(" states, " + f"{result.transitions:,} transitions, no symmetry)")
    assert second.startswith("promises: a_reserved_job_is_left_by_its_deadline (")


def test_promises_of_which_too_little_was_seen_are_not_proved() -> None:
    first, *_ = lines_of(told_of_lassos("l", check_liveness(LASSOS, states_max=3), None))
    assert first.startswith("l: undetermined: more than 3 states are known (")


def test_a_broken_promise_is_a_history_and_a_loop(tmp_path: Path) -> None:
    document = told_of_lassos("l", check_liveness(LASSOS, make_machine=NeverExpires), tmp_path)
    assert lines_of(document)[0].startswith("l: violated: a_reserved_job_is_left_by_its_deadline after ")
    assert document["counterexample"]["loop_start"] is not None
    assert len(list(tmp_path.iterdir())) == 4


def test_worlds_are_added_up() -> None:
    few = told("few", explore(WORLD), None)
    more = told("more", explore(WORLD.but(operations=("put", "reserve_job", "tick"))), None)
    whole = summary("holds", [few, more], [])
    assert whole["states"] == few["states"] + more["states"]
    assert whole["transitions"] == few["transitions"] + more["transitions"]
    assert whole["depth"] == max(few["depth"], more["depth"])
    edges = whole["coverage"]["edges"]
    assert edges["new>ready by put"] == sum(each["coverage"]["edges"]["new>ready by put"] for each in (few, more))
    pairs = whole["coverage"]["edge_pairs"]
    assert pairs["met"] + len(pairs["missing"]) == pairs["all"] == 67
    assert pairs["met"] > max(each["coverage"]["edge_pairs"]["met"] for each in (few, more))
    for cell in whole["coverage"]["refusals"]:
        alike = [
            each["count"]
            for world in (few, more)
            for each in world["coverage"]["refusals"]
            if {**each, "count": 0} == {**cell, "count": 0}
        ]
        assert cell["count"] == sum(alike)


@pytest.mark.parametrize("name", SCOPES)
def test_the_options_make_the_world(name: str) -> None:
    assert options_of(name, SCOPES[name]) == ""
    assert options_of(name, SCOPES[name].but(timeouts=(None, 3))) == " --timeouts none,3"
