"""Small worlds in which the explorer finds the mutants: each as small as the faults in it allow.

A `Room` is a scope with more in it than the explorer's own have: calls that are to be refused for their values, looks,
values that only a faulty machine lets in. `restoring` makes a machine that is restored from its own snapshot after
every call, so that the exploration of any scope is one of restores, too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Final

from jsm._heap import KeyHeap
from jsm.limits import PRIORITY_MAX, URGENT_PRIORITY_LIMIT
from jsm.machine import Machine
from jsm.observed import OPERATIONS
from jsm.relative_key import NOW, RelativeKeys
from models.calls import Call
from models.check_result import CheckResult
from models.explorer import explore
from models.finding import reloaded
from models.invariants import check_looks
from models.picture import looks_of, picture_of
from models.scope import Scope
from models.walks import WalksResult, walk
from tests.mutants.exhibit import RELOAD, Exhibit


@dataclass(frozen=True, slots=True)
class Room(Scope):
    """A scope with further calls in every state, and other names of clients and tubes."""

    further: tuple[Call, ...] = ()
    names: tuple[str, ...] = ("a", "b", "c")
    tubes_named: tuple[str, ...] = ("default", "t", "u")

    @property
    def client_names(self) -> tuple[str, ...]:
        return self.names[: self.clients]

    @property
    def tube_names(self) -> tuple[str, ...]:
        return self.tubes_named[: self.tubes]

    def calls(self) -> Iterator[Call]:
        yield from Scope.calls(self)
        yield from self.further

    def keys(self) -> RelativeKeys:
        """Keys that also know what only a faulty machine lets in."""
        return RelativeKeys(
            tubes=self.tube_names,
            clients=self.client_names,
            priorities=(*self.priorities, PRIORITY_MAX),
            delays=self.delays,
            ttrs=(*self.ttrs, 0),
            watch_lists=self.watch_lists,
            exchange_clients=self.symmetry,
        )


_BAD_PUT: Final = {"priority": -1, "delay_seconds": 0, "ttr_seconds": 1, "body": b"", "tube": "default"}
_VALUES: Final = (
    Call("put", (NOW,), _BAD_PUT),
    Call("put", (NOW,), {**_BAD_PUT, "priority": 0, "ttr_seconds": 0}),
    Call("put", (NOW,), {**_BAD_PUT, "priority": 0, "body": b"x"}),
    Call("kick_n", ("default", -1)),
    Call("kick_n", ("default", 0)),
    Call("delete", (True, "a")),
    Call("tick", (NOW - 1,)),
    Call("touch", (NOW + 1, 1, "a")),
)

ROOMS: Final[Mapping[str, Room]] = {
    # one job, all that can happen to it, on time and late
    "life": Room(
        jobs=1,
        clients=2,
        priorities=(0, 1),
        timeouts=(None,),
        operations=(
            "put", "delete", "release", "release_with", "touch", "bury", "kick", "kick_n", "reserve_job",
            "append_reservation", "cancel_reservation", "tick", "close_client",
        ),
    ),
    # two jobs in one order or the other
    "order": Room(
        jobs=2,
        clients=1,
        priorities=(0,),
        late=False,
        operations=("put", "bury", "kick", "kick_n", "reserve_job", "tick", "delete"),
    ),
    "delays": Room(jobs=2, clients=1, delays=(1, 2), operations=("put", "kick_n", "tick")),
    "two": Room(
        jobs=2,
        clients=1,
        priorities=(0,),
        ttrs=(1, 2),
        timeouts=(0,),
        operations=("put", "reserve_job", "append_reservation", "close_client", "tick"),
    ),
    # who waits, who is warned
    "margin": Room(
        jobs=1,
        clients=1,
        priorities=(0,),
        delays=(0,),
        ttrs=(1, 2, 3),
        timeouts=(None, 1, 2, 4),
        operations=("put", "reserve_job", "append_reservation", "tick", "release"),
    ),
    "waits": Room(
        jobs=1,
        clients=3,
        priorities=(0,),
        delays=(0,),
        timeouts=(None, 1),
        late=False,
        operations=("put", "append_reservation", "cancel_reservation", "tick", "close_client", "delete"),
    ),
    "best": Room(
        jobs=2,
        clients=1,
        tubes=2,
        delays=(0, 1),
        timeouts=(None,),
        late=False,
        operations=("put", "append_reservation", "tick", "kick"),
    ),
    "across": Room(
        jobs=1,
        clients=2,
        tubes=2,
        priorities=(0,),
        timeouts=(None, 0),
        late=False,
        operations=("put", "append_reservation", "kick_n", "tick"),
    ),
    "urgent": Room(
        jobs=1,
        clients=1,
        priorities=(URGENT_PRIORITY_LIMIT - 1, URGENT_PRIORITY_LIMIT),
        late=False,
        operations=("put", "delete", "tick"),
    ),
    # tubes: what keeps them, what a pause is
    "tubes": Room(
        jobs=1,
        clients=1,
        tubes=2,
        priorities=(0,),
        timeouts=(None,),
        late=False,
        operations=(
            "put", "delete", "append_reservation", "tick", "use_tube", "watch_tube", "ignore_tube", "close_client",
        ),
        tubes_named=("default", "a-b"),
    ),
    "pauses": Room(
        jobs=1,
        clients=1,
        priorities=(0,),
        delays=(0,),
        timeouts=(None,),
        pauses=(0, 1, 2),
        operations=("put", "append_reservation", "reserve_job", "pause_tube", "tick"),
    ),
    # what is taken and what is refused
    "values": Room(
        jobs=1,
        clients=2,
        names=("a", ""),
        symmetry=False,
        priorities=(0,),
        timeouts=(0,),
        late=False,
        operations=("put", "delete", "reserve_job", "release", "kick_n", "tick"),
        further=_VALUES,
    ),
    "looks": Room(
        jobs=1,
        clients=1,
        priorities=(0,),
        operations=("put", "kick", "tick"),
        further=(Call("peek_delayed_job", ("default",)),),
    ),
}  # fmt: skip
"""The rooms by name. Every one of them holds for the machine itself."""


_IN_ROOM: Final = {
    "looks": "18 47 51 J12 J17 J31 J33 J88 J92",
    "values": "KB-1 KB-8 21 25 26 34 39 44b 49 52 J14 J18 J23 J29 J59 J64 J67 J68 J69 J70 J82 J83 J84 J85",
    "pauses": "19 29 42 55 J1 J2 J6 J9 J10 J11 J40 J41 J44 J45 J46 J57 J58 J60 J81 J86 J89 J97",
    "margin": "KB-2 13 40 J5 J7 J61 J71 J72 J73 J74 J78 J79",
    "waits": "KB-12 15 J8 J27 J37 J42 J43 J47 J48 J49 J50 J51 J62 J63",
    "two": "KB-11 54 J3 J4 J36 J52",
    "tubes": "33 58 J53 J54 J55 J56 J66 J90 J96",
    "best": "23 32 J16 J20 J32 J38 J39 J93",
    "across": "J91 J94 J95",
    "urgent": "J80",
    "order": "44a J19 J21 J22 J34 J65 J87",
    "delays": "45",
    "life": "56 J13 J24 J25 J26 J28 J30 J75 J76 J77",
}
ROOM_OF: Final[Mapping[str, str]] = {number: room for room, numbers in _IN_ROOM.items() for number in numbers.split()}
"""By the number of an exhibit, the room in which the explorer finds it."""

UNEXPLORED: Final[Mapping[str, str]] = {
    "J15": "In an explored world a second is a time unit; with four units a second the lock-step finds it.",
    "J35": "What it goes by, how often a job was released, is in no state's key; a walk finds it.",
}
"""The exhibits that no exploration finds, and why."""

WALKED: Final[Mapping[str, Room]] = {
    "J35": Room(
        jobs=2,
        clients=1,
        priorities=(0,),
        delays=(0,),
        timeouts=(0,),
        late=False,
        operations=("put", "reserve_job", "release", "append_reservation", "tick", "delete"),
    ),
}
"""The exhibits that a random walk finds, and the world in which it walks."""

WALK_STEPS: Final = 200

_SHOWN_BY_LOOKS: Final = ("J31", "J55")
"""The exhibits that only statistics show, of which the explorer takes none."""


def explored_machine(exhibit: Exhibit, machine: type[Machine]) -> type[Machine]:
    """The machine as it is explored for an exhibit: restored or looked at after every call where that is the point."""
    if RELOAD in exhibit.calls:
        return restoring(machine)
    return looking(machine) if exhibit.number in _SHOWN_BY_LOOKS else machine


def walked(exhibit: Exhibit, make_machine: type[Machine]) -> WalksResult:
    """A walk through the exhibit's world with a machine."""
    return walk(WALKED[exhibit.number], walks=1, steps=WALK_STEPS, make_machine=make_machine)


def exploration(exhibit: Exhibit, make_machine: type[Machine]) -> CheckResult:
    """The exploration of the exhibit's room with a machine."""
    room = ROOMS[ROOM_OF[exhibit.number]]
    return explore(room, make_machine=explored_machine(exhibit, make_machine))


def restoring(machine: type[Machine]) -> type[Machine]:
    """A subclass that is restored from a snapshot of itself after every call that it accepts."""

    def restore(self: Machine) -> None:
        state = self._state
        heir = reloaded(self, lambda: machine(observer=state.observer))
        own = vars(state)
        for field, value in vars(heir._state).items():
            if isinstance(value, KeyHeap):  # the machine's own containers stay the containers
                own[field].keys[:], own[field].stale = value.keys, value.stale
            else:
                own[field] = value

    return _followed(machine, "Restored", restore)


def looking(machine: type[Machine]) -> type[Machine]:
    """A subclass that compares its statistics, peeks and views with a recount after every call that it accepts."""

    def look(self: Machine) -> None:
        commands = dict(self._state.commands)
        picture = picture_of(self)
        check_looks(picture, looks_of(self, picture))
        self._state.commands = commands

    return _followed(machine, "Looking", look)


def _followed(machine: type[Machine], prefix: str, then: Callable[[Machine], None]) -> type[Machine]:
    """A subclass of which every call that changes the machine and is accepted is followed by something."""

    def followed(name: str) -> Any:
        operation = getattr(machine, name)

        def call(self: Machine, *args: Any, **kwargs: Any) -> Any:
            answer = operation(self, *args, **kwargs)
            then(self)
            return answer

        return update_wrapper(call, operation)

    own = {name: followed(name) for name in OPERATIONS if not name.startswith(_LOOKS)}
    return type(f"{prefix}{machine.__name__}", (machine,), {"__slots__": (), "__doc__": machine.__doc__, **own})


_LOOKS: Final = ("get_", "peek_", "check_", "stop", "count_")
