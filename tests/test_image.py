"""Images and descriptions: what is put back is what was there, inside and out; what disagrees is noticed."""

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from jsm.containers import containers_agree
from jsm.errors import JsmError
from jsm.image import Image, load, restart
from jsm.job import JobID, TubeName
from jsm.machine import Machine
from jsm.relative_key import NOW
from jsm.reservations import Reservation
from models.calls import Call
from models.edge_checks import spec_of
from models.scope import SCOPES
from tests.machines import file_of, full_machine, random_history


class WithMemory(Machine):
    """A subclass with attributes of its own."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.ticks = 0

    def tick(self, now: int) -> list[Reservation]:
        self.ticks += 1
        return super().tick(now)


def make(machine: Machine, call: Call) -> None:
    """Make a call; refusals don't matter."""
    with suppress(JsmError):
        getattr(machine, call.op)(*call.args, **call.kwargs)


def stale_keys(machine: Machine) -> list[list[int]]:
    """The removed keys that still stand in the heaps of the machine's state, those of tubes and clients included."""
    state = machine._state
    heaps = [state.delays, state.expiries, state.pause_ends, state.wait_deadlines, state.margins]
    heaps += [heap for tube in state.tubes.values() for heap in (tube.ready, tube.delayed, tube.buried, tube.waiters)]
    heaps += [client.held for client in state.clients.values()]
    return [sorted(heap.stale or ()) for heap in heaps]


@pytest.mark.parametrize("kind", [Machine, WithMemory])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_put_back_is_what_was_there(kind: type[Machine], seed: int) -> None:
    machine, random = kind(), Random(seed)
    for call in random_history(seed, calls=120):
        image, file, stale = Image(machine), file_of(machine), stale_keys(machine)
        for _ in range(random.randint(1, 3)):  # what else could have come
            make(machine, Call("put", (machine.clock + 1,), PUT))
            make(machine, call)
            make(machine, Call("tick", (machine.clock + random.randint(0, 3),)))
            make(machine, Call("close_client", (random.choice("abcd"),)))
        image.put_back()
        assert image.is_still()
        assert (file_of(machine), stale_keys(machine)) == (file, stale)
        make(machine, call)
        assert containers_agree(machine)


PUT = {"priority": 0, "delay_seconds": 1, "ttr_seconds": 2, "body": b"", "tube": "t"}


def test_attributes_of_a_subclass_are_put_back() -> None:
    machine = WithMemory()
    image = Image(machine)
    machine.tick(1)
    image.put_back()
    assert machine.ticks == 0


def test_a_restart_can_be_put_back() -> None:
    machine = full_machine()
    file = file_of(machine)
    image = Image(machine)
    restart(machine, Machine)
    machine.tick(machine.clock + 99)
    assert not image.is_still()
    image.put_back()
    assert file_of(machine) == file


@pytest.mark.parametrize(
    "change",
    [
        lambda machine: machine.tick(machine.clock + 1),
        lambda machine: machine.use_tube("a", "t"),
        lambda machine: machine.watch_tube("w", "u"),
        lambda machine: machine.pause_tube(machine.clock, "t", 9),
        lambda machine: machine.cancel_reservation("b"),
        lambda machine: machine.put(machine.clock, **PUT),
        lambda machine: machine.touch(machine.clock + 1, JobID(1), "a"),
        lambda machine: machine.kick_n("t", 1),
    ],
)
def test_any_change_is_noticed(change: Callable[[Machine], object]) -> None:
    machine = full_machine()
    image = Image(machine)
    assert image.is_still()
    change(machine)
    assert not image.is_still()


T = TubeName("t")
FAULTS: dict[str, Callable[[Machine], object]] = {
    "a delay is forgotten": lambda machine: machine._state.delays.keys.clear(),
    "an expiry is there twice": lambda machine: machine._state.expiries.keys.append(max(machine._state.expiries.keys)),
    "a wait has no deadline any more": lambda machine: setattr(
        next(iter(machine._state.waiting.values())), "deadline_at", 99
    ),
    "a tube counts a job too many": lambda machine: setattr(machine._state.tubes[T], "reserved", 7),
    "a tube counts an urgent job too few": lambda machine: setattr(machine._state.tubes[T], "urgent", 0),
    "the machine counts a buried job too many": lambda machine: setattr(machine._state, "buried", 2),
    "a pause is forgotten": lambda machine: machine._state.paused.clear(),
    "a tube is matchable without a job": lambda machine: machine._state.matchable.update(
        {0: machine._state.tubes[TubeName("default")]}
    ),
    "a job is in a tube that is gone": lambda machine: machine._state.tubes.pop(T),
    "a job is held by somebody who is gone": lambda machine: machine._state.clients.pop("a"),  # type: ignore[call-overload]
    "a ready job has another priority than its key": lambda machine: setattr(machine._state.jobs[2], "priority", 5),
    "a job has another id than its place": lambda machine: setattr(machine._state.jobs[2], "id", 9),
    "a watch is not counted": lambda machine: setattr(machine._state.tubes[TubeName("only")], "watching", 0),
}


@pytest.mark.parametrize("what", FAULTS)
def test_containers_that_disagree_are_noticed(what: str) -> None:
    machine = full_machine()
    assert containers_agree(machine)
    FAULTS[what](machine)
    assert not containers_agree(machine)


@pytest.mark.parametrize("name", ["tiny", "small", "tubes"])
@pytest.mark.parametrize("has_past", [True, False])
def test_a_described_state_is_the_one_that_the_description_was_read_from(name: str, has_past: bool) -> None:
    scope = SCOPES[name]
    keys, calls, random = scope.keys(), [call for call in scope.calls() if call.op != "reload"], Random(7)
    machine = Machine()
    key = keys.of(machine)
    for _ in range(300):
        described = keys.description(key)
        load(machine, described, has_past=has_past)
        assert keys.of(machine) == key
        assert machine.clock == NOW
        assert containers_agree(machine)
        assert machine.next_tick_at() == spec_of(described).next_tick_at()
        make(machine, random.choice(calls))
        if sum(machine.count_jobs().values()) <= scope.jobs:
            key = keys.of(machine)


def test_a_described_state_has_a_past_that_shows_mixups() -> None:
    machine, scope = Machine(), SCOPES["small"]
    keys = scope.keys()
    for priority in scope.priorities:
        machine.put(
            0, priority=priority, delay_seconds=0, ttr_seconds=scope.ttrs[0], body=b"", tube=TubeName("default")
        )
    machine.reserve_job(0, JobID(2), "a")  # type: ignore[arg-type]
    load(machine, keys.description(keys.of(machine)))
    jobs = [record.job for record in machine.snapshot().snapshot_jobs()]
    assert len({job.body for job in jobs}) == 2
    assert all(job.timeouts and job.kicks and job.buries and job.releases for job in jobs)
    assert any(stale_keys(machine)), "the key that a reserve by id left behind"
    assert machine.snapshot().header().next_job_id == 4, "somebody had the last id, and is gone"
