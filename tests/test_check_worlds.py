"""Several worlds explored: one after the other or side by side, with the same results in the same order."""

import pickle
from contextlib import closing
from typing import Any

import pytest

from jsm.engines import open_engine
from jsm.job import ClientID, JobID
from jsm.machine import Machine
from models import check_worlds
from models.check_result import Bounds, CheckResult
from models.check_worlds import World, explored
from models.explorer import explore
from models.liveness import LivenessResult, check_liveness
from models.scope import DEFAULT_SCOPES, SCOPES

MOST = SCOPES["tiny"].but(delays=(0,), timeouts=(None,), pauses=(1,), late=False, operations=("put", "kick_n", "tick"))
FEW = MOST.but(operations=("put", "tick"))
LASSOS = SCOPES["promises"].but(clients=1, ttrs=(1,), timeouts=(None,), late=False)
WORLDS = [World("most", MOST), World("few", FEW, invariants=False), World("lassos", LASSOS, lassos=True)]


def documents(**how: Any) -> list[tuple[str, dict[str, Any]]]:
    """What comes out of the worlds, without what a clock measured."""
    found = []
    for world, result in explored(WORLDS, bounds=Bounds(), **how):
        document = result.document()
        for measured in ("seconds", "states_per_second", "bytes_per_state"):
            document.pop(measured, None)
        found.append((world.name, document))
    return found


def test_side_by_side_or_one_after_the_other_the_same_comes_out_in_the_same_order() -> None:
    in_a_row = documents(processes=1)
    assert [name for name, _ in in_a_row] == ["most", "few", "lassos"]
    assert [document["verdict"] for _, document in in_a_row] == ["holds"] * 3
    assert "open" in in_a_row[2][1]
    assert documents(processes=2) == in_a_row


def test_worlds_are_side_by_side_when_they_are_as_many_as_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    spread: list[int] = []

    def opened(*, processes: int) -> Any:
        asked.append(processes)
        return open_engine()

    monkeypatch.setattr(check_worlds, "open_engine", opened)
    monkeypatch.setattr(check_worlds, "explore", lambda scope, *, processes, **_: spread.append(processes))
    list(explored(WORLDS, bounds=Bounds(), processes=3))
    assert (asked, spread) == ([3], [1, 1])
    list(explored(WORLDS, bounds=Bounds(), processes=4))
    assert (asked, spread) == ([3], [1, 1, 4, 4])


def test_bounds_and_checks_are_those_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(check_worlds, "explore", lambda scope, **how: given.append(how))
    world = World("x", FEW, lockstep=False, invariants=False, allow_unfired=("put",))
    list(explored([world], bounds=Bounds(states=7), processes=1, progress=lambda name: lambda done, known: None))
    assert given[0].pop("progress")(1, 2) is None
    assert given == [
        {
            "lockstep": False,
            "invariants": False,
            "bounds": Bounds(states=7),
            "allow_unfired": ("put",),
            "processes": 1,
        }
    ]
    [(_, result)] = explored([World("x", FEW, lassos=True)], bounds=Bounds(states=1), processes=1)
    assert result.verdict == "undetermined"


def test_who_has_enough_stops_the_others() -> None:
    with closing(explored(WORLDS, bounds=Bounds(), processes=2)) as results:
        world, result = next(results)
    assert (world.name, result.verdict) == ("most", "holds")
    assert list(results) == []


class NeverReleases(Machine):
    """A release is not heard."""

    __slots__ = ()

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """Do nothing at all."""


def test_results_go_from_one_process_to_another() -> None:
    for result in (explore(SCOPES["tiny"], make_machine=NeverReleases), check_liveness(LASSOS)):
        assert isinstance(result, CheckResult | LivenessResult)
        assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.slow
def test_the_worlds_that_are_explored_by_default_meet_everything() -> None:
    edges, pairs, fired = set(), set(), set()
    worlds = [World(name, SCOPES[name]) for name in DEFAULT_SCOPES]
    for _, result in explored(worlds, bounds=Bounds(), processes=2):
        assert isinstance(result, CheckResult)
        assert result.verdict == "holds"
        edges |= set(result.coverage.edges)
        pairs |= result.coverage.edge_pairs
        fired |= set(result.coverage.fired)
    assert (len(edges), len(pairs), len(fired)) == (19, 67, 18)
