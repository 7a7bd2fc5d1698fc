"""The whole square of states and triggers, by hand, so that a mistake in the one table has somebody to contradict it.

Nothing here is computed from `jsm.transitions`: the squares are written out after the protocol's text, and the
machine is held against them by calling its operations.
"""

from collections.abc import Callable
from typing import Any

import pytest

from jsm.errors import JsmError
from jsm.interface import JSMSnapshot
from jsm.machine import Machine
from jsm.records import TransitionRecord
from jsm.states import JobState, Trigger
from jsm.transitions import TRANSITIONS, Transition, target_of, transitions

SQUARE = """
from \\ by        new      ready     delayed   reserved  buried    deleted
put              ready    -         -         -         -         -
put-delayed      delayed  -         -         -         -         -
delay-elapsed    -        -         ready     -         -         -
reserve          -        reserved  -         -         -         -
reserve-job      -        reserved  reserved  -         reserved  -
touch            -        -         -         reserved  -         -
release          -        -         -         ready     -         -
release-delayed  -        -         -         delayed   -         -
bury             -        -         -         buried    -         -
kick             -        -         ready     -         ready     -
ttr-expired      -        -         -         ready     -         -
close            -        -         -         ready     -         -
delete           -        deleted   deleted   deleted   deleted   -
"""
"""(state, trigger) → target; - marks the 59 illegal cells."""

ATTEMPTS = """
job is    caller  delete        release       release-0     release-5     touch         bury          kick         reserve-job
unborn    any     missing       missing       missing       missing       missing       missing       missing      missing
ready     any     >deleted      wrong-state   wrong-state   wrong-state   wrong-state   wrong-state   wrong-state  >reserved
delayed   any     >deleted      wrong-state   wrong-state   wrong-state   wrong-state   wrong-state   >ready       >reserved
reserved  owner   >deleted      >ready        >ready        >delayed      >reserved     >buried       wrong-state  missing
reserved  other   unauthorized  unauthorized  unauthorized  unauthorized  unauthorized  unauthorized  wrong-state  missing
buried    any     >deleted      wrong-state   wrong-state   wrong-state   wrong-state   wrong-state   >ready       >reserved
deleted   any     missing       missing       missing       missing       missing       missing       missing      missing
"""  # noqa: E501 - a row is a state
"""What a client can attempt on one job: → the state it leads to, or the kind of the refusal.

`release-0` and `release-5` are `release_with` and its delay in seconds.
"""


def rows_of(square: str) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a square; its first line is cut at runs of spaces like all others."""
    head, *rows = [line.split() for line in square.strip().splitlines()]
    return head, rows


STATES = rows_of(SQUARE)[0][3:]
CELLS = {(state, row[0]): target for row in rows_of(SQUARE)[1] for state, target in zip(STATES, row[1:], strict=True)}
EDGES = {(state, trigger, target) for (state, trigger), target in CELLS.items() if target != "-"}

OPERATIONS = rows_of(ATTEMPTS)[0][3:]
ATTEMPTED = [
    (row[0], row[1], operation, outcome)
    for row in rows_of(ATTEMPTS)[1]
    for operation, outcome in zip(OPERATIONS, row[2:], strict=True)
]
REFUSED = [attempt for attempt in ATTEMPTED if not attempt[3].startswith(">")]


def test_the_square_is_whole() -> None:
    assert list(JobState) == STATES
    assert [row[0] for row in rows_of(SQUARE)[1]] == list(Trigger)
    assert len(CELLS) == 6 * 13
    assert len(EDGES) == 19


@pytest.mark.parametrize(("state", "trigger"), CELLS)
def test_cell(state: str, trigger: str) -> None:
    expected = CELLS[state, trigger]
    assert target_of(JobState(state), Trigger(trigger)) == (None if expected == "-" else expected)


def test_the_edges_are_the_19_of_the_square_each_once() -> None:
    listed = [(str(edge.source), str(edge.trigger), str(edge.target)) for edge in transitions()]
    assert len(listed) == 19
    assert set(listed) == EDGES


def test_67_pairs_of_edges_can_follow_one_another() -> None:
    assert sum(first[2] == second[0] for first in EDGES for second in EDGES) == 67
    edges = list(transitions())
    assert sum(first.target is second.source for first in edges for second in edges) == 67


def test_nobody_can_change_the_table() -> None:
    table: Any = TRANSITIONS
    with pytest.raises(TypeError):
        table[JobState.READY] = {}
    with pytest.raises(TypeError):
        table[JobState.READY][Trigger.TOUCH] = JobState.READY


# The machine against the squares.


class Scene:
    """A machine with one job, brought into a state by the operations alone."""

    def __init__(self) -> None:
        self.records: list[TransitionRecord] = []
        self.machine: Any = Machine(observer=self)

    def transition(self, record: TransitionRecord) -> None:
        self.records.append(record)

    def put(self, *, delay_seconds: int = 0) -> None:
        self.machine.put(0, priority=0, delay_seconds=delay_seconds, ttr_seconds=10, body=b"", tube="default")

    def reserve(self) -> None:
        self.machine.append_reservation(0, "owner", request_id="1", tubes=["default"], deadline_at=0)

    def bring(self, state: str) -> "Scene":
        if state != "unborn":
            self.put(delay_seconds=5 if state == "delayed" else 0)
        if state in ("reserved", "buried"):
            self.reserve()
        if state == "buried":
            self.machine.bury(0, 1, "owner", priority=0)
        if state == "deleted":
            self.machine.delete(1, "owner")
        self.records.clear()
        return self


def attempt(machine: Any, operation: str, client: str) -> None:
    """Call one of the operations on job 1."""
    calls: dict[str, Callable[[], object]] = {
        "delete": lambda: machine.delete(1, client),
        "release": lambda: machine.release(1, client),
        "release-0": lambda: machine.release_with(0, 1, client, priority=0, delay_seconds=0),
        "release-5": lambda: machine.release_with(0, 1, client, priority=0, delay_seconds=5),
        "touch": lambda: machine.touch(0, 1, client),
        "bury": lambda: machine.bury(0, 1, client, priority=0),
        "kick": lambda: machine.kick(1),
        "reserve-job": lambda: machine.reserve_job(0, 1, client),
    }
    calls[operation]()


def state_of(snapshot: JSMSnapshot) -> object:
    """All that a refusal must leave alone: everything but the counters of commands."""
    header = snapshot.header()
    fixed = {name: getattr(header, name) for name in header.__dataclass_fields__ if name != "commands"}
    return fixed, list(snapshot.snapshot_jobs()), list(snapshot.snapshot_clients())


def test_a_client_can_attempt_56_things_and_42_are_refused() -> None:
    assert len(ATTEMPTED) == 56
    assert len(REFUSED) == 42
    kinds = [outcome for *_, outcome in REFUSED]
    assert {kind: kinds.count(kind) for kind in kinds} == {"missing": 18, "wrong-state": 18, "unauthorized": 6}


@pytest.mark.parametrize(("state", "caller", "operation", "outcome"), ATTEMPTED)
def test_attempt(state: str, caller: str, operation: str, outcome: str) -> None:
    scene = Scene().bring(state)
    client = "other" if caller == "other" else "owner"
    before = state_of(scene.machine.snapshot())
    if outcome.startswith(">"):
        attempt(scene.machine, operation, client)
        assert [(record.source, record.target) for record in scene.records] == [(state, outcome[1:])]
    else:
        with pytest.raises(JsmError) as refusal:
            attempt(scene.machine, operation, client)
        assert refusal.value.refusal == outcome
        assert scene.records == []
        assert state_of(scene.machine.snapshot()) == before


RECIPES: dict[str, tuple[str, Callable[[Any], object]]] = {
    "new put ready": ("unborn", lambda scene: scene.put()),
    "new put-delayed delayed": ("unborn", lambda scene: scene.put(delay_seconds=5)),
    "delayed delay-elapsed ready": ("delayed", lambda scene: scene.machine.tick(5)),
    "delayed kick ready": ("delayed", lambda scene: scene.machine.kick(1)),
    "delayed reserve-job reserved": ("delayed", lambda scene: scene.machine.reserve_job(0, 1, "owner")),
    "delayed delete deleted": ("delayed", lambda scene: scene.machine.delete(1, "other")),
    "ready reserve reserved": ("ready", lambda scene: scene.reserve()),
    "ready reserve-job reserved": ("ready", lambda scene: scene.machine.reserve_job(0, 1, "owner")),
    "ready delete deleted": ("ready", lambda scene: scene.machine.delete(1, "other")),
    "reserved touch reserved": ("reserved", lambda scene: scene.machine.touch(0, 1, "owner")),
    "reserved release ready": ("reserved", lambda scene: scene.machine.release(1, "owner")),
    "reserved release-delayed delayed": (
        "reserved",
        lambda scene: scene.machine.release_with(0, 1, "owner", priority=0, delay_seconds=1),
    ),
    "reserved bury buried": ("reserved", lambda scene: scene.machine.bury(0, 1, "owner", priority=0)),
    "reserved delete deleted": ("reserved", lambda scene: scene.machine.delete(1, "owner")),
    "reserved ttr-expired ready": ("reserved", lambda scene: scene.machine.tick(10)),
    "reserved close ready": ("reserved", lambda scene: scene.machine.close_client("owner")),
    "buried kick ready": ("buried", lambda scene: scene.machine.kick_n("default", 1)),
    "buried reserve-job reserved": ("buried", lambda scene: scene.machine.reserve_job(0, 1, "other")),
    "buried delete deleted": ("buried", lambda scene: scene.machine.delete(1, "other")),
}
"""For each edge, a state and a call that goes along it."""


def test_there_is_a_recipe_for_each_edge() -> None:
    assert {tuple(edge.split()) for edge in RECIPES} == EDGES


@pytest.mark.parametrize("edge", RECIPES)
def test_the_machine_goes_along_every_edge_and_says_so(edge: str) -> None:
    state, call = RECIPES[edge]
    scene = Scene().bring(state)
    call(scene)
    assert [f"{record.source} {record.trigger} {record.target}" for record in scene.records] == [edge]
    source, trigger, target = edge.split()
    assert Transition(JobState(source), Trigger(trigger), JobState(target)) in list(transitions())
