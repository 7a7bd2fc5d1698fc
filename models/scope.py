"""What an exploration looks at: a small world, and everything that can be done in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product
from types import MappingProxyType
from typing import Any, Final

from jsm.image import request_of
from jsm.limits import PRIORITY_MAX, TTR_SECONDS_MIN, URGENT_PRIORITY_LIMIT
from jsm.relative_key import NOW, RelativeKeys
from models.bad_values import BAD_VALUES, TTR_RAISED
from models.calls import Call

OPERATIONS: Final = (
    "put",
    "delete",
    "release",
    "release_with",
    "touch",
    "bury",
    "kick",
    "kick_n",
    "reserve_job",
    "append_reservation",
    "cancel_reservation",
    "tick",
    "pause_tube",
    "use_tube",
    "watch_tube",
    "ignore_tube",
    "close_client",
    "reload",
)
"""What changes a state, and a restore of the machine from its own snapshot; what only looks is asked in every state."""

_TUBES: Final = ("default", "t", "u", "v")
_CLIENTS: Final = ("a", "b", "c", "d", "e")
_VALUE_MAX: Final = 99


def _is_number(value: object, least: int, most: int = _VALUE_MAX) -> bool:
    return type(value) is int and least <= value <= most


@dataclass(frozen=True, slots=True)
class Scope:
    """The bounds of a world, in seconds that are the machine's time units. Raises `ValueError`, which names the field.

    The world is explored completely: histories of any length, with any number of puts, as long as no more than `jobs`
    are live at a time. With `late`, time may also pass without the tick that is due.
    """

    jobs: int = 2
    clients: int = 2
    tubes: int = 1
    priorities: tuple[int, ...] = (0, 1)
    delays: tuple[int, ...] = (0, 1)
    ttrs: tuple[int, ...] = (1,)
    timeouts: tuple[int | None, ...] = (None, 0, 1)  # of a reserve
    pauses: tuple[int, ...] = (0, 1)
    kick_counts: tuple[int, ...] | None = None  # how many jobs a kick may ask for; None: 1 to `jobs`
    step: int = 1  # seconds that pass at a time
    late: bool = True
    operations: tuple[str, ...] = OPERATIONS
    refusals: bool = True  # also make the calls that are to be refused
    puts: int | None = None  # so many in all, and ids are told apart by their numbers
    settled: bool = False  # a tick follows every operation at once
    busy_waiters: bool = True  # a waiting client may do anything but ask again
    keep_delays: bool = True  # states are told apart by a delay that is over
    keep_strangers: bool = True  # a client that was never seen is not one that has nothing
    symmetry: bool = True  # clients are exchangeable
    ahead: bool = True  # calls that reckon with their instant are also made a step after the last call
    bad_values: bool = False  # also make the calls that are to be refused for their values, of all operations

    def __post_init__(self) -> None:
        for field, least, most in (("jobs", 1, 6), ("clients", 1, len(_CLIENTS)), ("tubes", 1, len(_TUBES))):
            value = getattr(self, field)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{field} = {value!r}: expected a whole number from {least} to {most}")
        for field, least in (("priorities", 0), ("delays", 0), ("ttrs", 1), ("pauses", 0)):
            values, most = getattr(self, field), PRIORITY_MAX if field == "priorities" else _VALUE_MAX
            if not values or not all(_is_number(each, least, most) for each in values):
                raise ValueError(f"{field} = {values!r}: expected whole numbers from {least} to {most}")
        if not self.timeouts or any(each is not None and not _is_number(each, 0) for each in self.timeouts):
            raise ValueError(f"timeouts = {self.timeouts!r}: expected None or whole numbers up to {_VALUE_MAX}")
        if self.kick_counts is not None and not (self.kick_counts and all(_is_number(n, 0) for n in self.kick_counts)):
            raise ValueError(f"kick_counts = {self.kick_counts!r}: expected None, or whole numbers up to {_VALUE_MAX}")
        if not _is_number(self.step, 1):
            raise ValueError(f"step = {self.step!r}: expected a whole number from 1 to {_VALUE_MAX}")
        if self.puts is not None and not _is_number(self.puts, 1):
            raise ValueError(f"puts = {self.puts!r}: expected None or a whole number from 1 to {_VALUE_MAX}")
        unknown = [name for name in self.operations if name not in OPERATIONS]
        if unknown or not self.operations:
            raise ValueError(f"operations: there is no {', '.join(unknown)}; expected some of {', '.join(OPERATIONS)}")

    @property
    def tube_names(self) -> tuple[str, ...]:
        """The tubes, `default` first."""
        return _TUBES[: self.tubes]

    @property
    def client_names(self) -> tuple[str, ...]:
        """The clients."""
        return _CLIENTS[: self.clients]

    @property
    def watch_lists(self) -> list[tuple[str, ...]]:
        """Every set of tubes that a client may ask for."""
        names = self.tube_names
        return [chosen for size in range(1, len(names) + 1) for chosen in combinations(names, size)]

    def keys(self) -> RelativeKeys:
        """How the states of this world are told apart."""
        return RelativeKeys(
            tubes=self.tube_names,
            clients=self.client_names,
            priorities=self.priorities,
            delays=self.delays,
            ttrs=self.ttrs,
            watch_lists=self.watch_lists,
            exchange_clients=self.symmetry,
            keep_ids=self.puts is not None,
            keep_delays=self.keep_delays,
            keep_strangers=self.keep_strangers,
        )

    def calls(self) -> Iterator[Call]:
        """Everything that can be called on a state whose clock is `NOW` and whose jobs are numbered from 1 on.

        Two jobs stand for all that don't exist: one that is gone, and one that never was. A kick of no job sets the
        clock and does nothing else: so seconds pass without a tick.
        """
        for name in self.operations:
            yield from _CALLS[name](self)
        if self.ahead and not self.settled:
            for name in self.operations:
                if name in _TIMED:
                    yield from (_a_step_later(call, self.step) for call in _CALLS[name](self))
        if "tick" in self.operations and self.late:
            yield Call("kick_n", ("default", 0), {"now": NOW + self.step})
        if self.bad_values:
            yield from BAD_VALUES
            yield Call("get_job", (self.jobs + 2,))  # none of that id
            yield Call("get_stats_job_as_yaml", (NOW, self.jobs + 2))
            if TTR_SECONDS_MIN in self.ttrs:
                yield TTR_RAISED

    def text(self) -> str:
        """The bounds in words."""
        puts = "any number of puts" if self.puts is None else f"{self.puts} puts in all"
        live = f"at most {_counted(self.jobs, 'live job')}"
        values = (
            f"priorities {_listed(self.priorities)}, delays {_listed(self.delays)} s, ttrs {_listed(self.ttrs)} s, "
            f"timeouts {_listed(self.timeouts)} s, pauses {_listed(self.pauses)} s"
        )
        ticks = "ticks on time or late" if self.late else "ticks on time"
        who = f"{_counted(self.clients, 'client')}, {_counted(self.tubes, 'tube')}"
        return f"{live}, {puts}, {who}, {values}, {ticks}"

    def document(self) -> dict[str, Any]:
        """The bounds for machines."""
        return {name: getattr(self, name) for name in self.__slots__}

    def but(self, **changes: Any) -> "Scope":
        """This scope with some bounds replaced."""
        return replace(self, **changes)


_JOBS_ALONE: Final[Mapping[str, Any]] = {
    "operations": tuple(name for name in OPERATIONS if name not in ("use_tube", "watch_tube", "ignore_tube")),
    "keep_delays": False,
    "keep_strangers": False,
}
"""Worlds without references to tubes, of which `tubes` is about: each client would have a dozen more states."""

_TUBES_ALONE: Final[Mapping[str, Any]] = {
    "jobs": 1,
    "clients": 1,
    "tubes": 2,
    "priorities": (0,),
    "delays": (1,),
    "timeouts": (None,),
    "late": False,
    "operations": tuple(
        name for name in OPERATIONS if name not in ("release", "release_with", "touch", "kick", "pause_tube")
    ),
}
"""A world of references to tubes."""

SCOPES: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        "tiny": Scope(jobs=1, clients=1, priorities=(0,), timeouts=(None, 1)),
        "small": Scope(
            priorities=(URGENT_PRIORITY_LIMIT - 1, URGENT_PRIORITY_LIMIT),
            ttrs=(2,),  # so that a job can be held while time passes
            timeouts=(None,),
            pauses=(1,),
            kick_counts=(0, 1, 2),
            late=False,
            **_JOBS_ALONE,
        ),
        "late": Scope(priorities=(0,), timeouts=(None,), pauses=(1,), ahead=False, **_JOBS_ALONE),
        "tubes": Scope(**_TUBES_ALONE),
        "pauses": Scope(
            clients=1,
            tubes=2,
            priorities=(0,),
            timeouts=(None,),
            late=False,
            ahead=False,
            operations=(
                "put", "delete", "kick_n", "append_reservation", "cancel_reservation", "tick", "pause_tube", "reload",
            ),
            keep_delays=False,
            keep_strangers=False,
        ),
        "waits": Scope(
            jobs=1, priorities=(0,), ttrs=(2,), timeouts=(None, 0, 1, 2), pauses=(0, 2), **_JOBS_ALONE
        ),
        "best": Scope(
            tubes=2,
            delays=(0,),
            timeouts=(None, 0),
            late=False,
            ahead=False,
            bad_values=True,
            operations=("put", "append_reservation", "cancel_reservation", "tick", "reload"),
            keep_delays=False,
        ),
        "line": Scope(
            clients=3,
            priorities=(0,),
            delays=(0,),
            timeouts=(None, 1),
            late=False,
            ahead=False,
            operations=(
                "put", "delete", "append_reservation", "cancel_reservation", "tick", "close_client", "reload",
            ),
            keep_delays=False,
        ),
        "timers": Scope(
            clients=1,
            priorities=(0,),
            delays=(0, 1, 2),
            ttrs=(1, 3),
            timeouts=(None,),
            ahead=False,
            operations=(
                "put", "touch", "kick_n", "reserve_job", "append_reservation", "tick", "close_client", "reload",
            ),
            keep_delays=False,
            keep_strangers=False,
        ),
        "promises": Scope(
            jobs=1, priorities=(0,), ttrs=(1, 2), timeouts=(None, 2), refusals=False, ahead=False, **_JOBS_ALONE
        ),
        "medium": Scope(timeouts=(None, 0, 1), pauses=(1,), **_JOBS_ALONE),
        "large": Scope(jobs=3, ttrs=(1, 2), timeouts=(None, 0, 1, 2), pauses=(0, 1, 2)),
        "spin": Scope(
            jobs=4,
            puts=4,
            delays=(0, 2),
            ttrs=(4,),
            timeouts=(None,),
            kick_counts=(1,),
            step=2,  # so no job is ever a second from its expiry, and nobody is warned
            late=False,
            refusals=False,
            settled=True,
            busy_waiters=False,
            keep_delays=False,
            keep_strangers=False,
            symmetry=False,
            operations=(
                "put", "delete", "release", "release_with", "touch", "bury", "kick", "kick_n", "append_reservation",
                "cancel_reservation", "tick",
            ),
        ),
    }
)  # fmt: skip
"""The worlds that have a name."""

DEFAULT_SCOPES: Final = ("small", "tubes", "pauses", "waits", "best", "line", "timers")
"""What `jsm check` explores when no world is named."""


def _put(scope: Scope) -> Iterator[Call]:
    for tube, priority, delay, ttr in product(scope.tube_names, scope.priorities, scope.delays, scope.ttrs):
        numbers = {"priority": priority, "delay_seconds": delay, "ttr_seconds": ttr}
        yield Call("put", (NOW,), {**numbers, "body": b"", "tube": tube})


def _jobs(scope: Scope) -> range:
    return range(1, scope.jobs + 3)  # and one that is gone, and one that never was


def _by_owner(op: str) -> Any:
    def calls(scope: Scope) -> Iterator[Call]:
        for job, client in product(_jobs(scope), scope.client_names):
            if op == "reserve_job":
                yield Call(op, (NOW, job, client), {"request_id": request_of(client)})
            else:
                yield Call(op, (NOW, job, client)) if op in _TIMED else Call(op, (job, client))

    return calls


def _release_with(scope: Scope) -> Iterator[Call]:
    for job, client, priority, delay in product(_jobs(scope), scope.client_names, scope.priorities, scope.delays):
        yield Call("release_with", (NOW, job, client), {"priority": priority, "delay_seconds": delay})


def _bury(scope: Scope) -> Iterator[Call]:
    for job, client, priority in product(_jobs(scope), scope.client_names, scope.priorities):
        yield Call("bury", (NOW, job, client), {"priority": priority})


def _kick(scope: Scope) -> Iterator[Call]:
    for job in _jobs(scope):
        yield Call("kick", (job,))


def _kick_n(scope: Scope) -> Iterator[Call]:
    for tube, count in product(scope.tube_names, scope.kick_counts or range(1, scope.jobs + 1)):
        yield Call("kick_n", (tube, count))


def _append(scope: Scope) -> Iterator[Call]:
    for client, tubes, timeout in product(scope.client_names, scope.watch_lists, scope.timeouts):
        deadline_at = None if timeout is None else NOW + timeout
        asked = {"request_id": request_of(client)}
        yield Call("append_reservation", (NOW, client), {**asked, "tubes": tubes, "deadline_at": deadline_at})


def _of_client(op: str) -> Any:
    def calls(scope: Scope) -> Iterator[Call]:
        for client in scope.client_names:
            yield Call(op, (client,))

    return calls


def _of_client_and_tube(op: str) -> Any:
    def calls(scope: Scope) -> Iterator[Call]:
        for client, tube in product(scope.client_names, scope.tube_names):
            yield Call(op, (client, tube))

    return calls


def _pause(scope: Scope) -> Iterator[Call]:
    for tube, seconds in product(scope.tube_names, scope.pauses):
        yield Call("pause_tube", (NOW, tube, seconds))


def _tick(scope: Scope) -> Iterator[Call]:
    if not scope.settled:
        yield Call("tick", (NOW,))
    yield Call("tick", (NOW + scope.step,))


def _reload(_: Scope) -> Iterator[Call]:
    yield Call("reload")


_CALLS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "put": _put,
        "delete": _by_owner("delete"),
        "release": _by_owner("release"),
        "release_with": _release_with,
        "touch": _by_owner("touch"),
        "bury": _bury,
        "kick": _kick,
        "kick_n": _kick_n,
        "reserve_job": _by_owner("reserve_job"),
        "append_reservation": _append,
        "cancel_reservation": _of_client("cancel_reservation"),
        "tick": _tick,
        "pause_tube": _pause,
        "use_tube": _of_client_and_tube("use_tube"),
        "watch_tube": _of_client_and_tube("watch_tube"),
        "ignore_tube": _of_client_and_tube("ignore_tube"),
        "close_client": _of_client("close_client"),
        "reload": _reload,
    }
)

_TIMED: Final = ("put", "release_with", "touch", "reserve_job", "append_reservation", "pause_tube")
"""The operations that reckon with their instant."""


def _a_step_later(call: Call, step: int) -> Call:
    """The same call, made when a step has passed since the last one."""
    deadline_at = call.kwargs.get("deadline_at")
    later = {} if deadline_at is None else {"deadline_at": deadline_at + step}
    return Call(call.op, (call.args[0] + step, *call.args[1:]), {**call.kwargs, **later})


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _listed(values: tuple[int | None, ...]) -> str:
    return ", ".join("none" if value is None else str(value) for value in values)
