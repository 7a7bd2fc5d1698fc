"""What the museum says about a mutant, and short words for the histories that show one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from jsm.machine import Machine
from models.calls import Call


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A machine with one planted fault, where the fault comes from, and the shortest history that shows it."""

    number: str  # of a row of INVARIANTS section 2, or J… for a class of faults that the museum adds
    machine: type[Machine]
    source: str  # who had the fault
    bug: str
    clauses: str  # of INVARIANTS section 1, or of SPEC
    calls: tuple[Call, ...]  # from an empty machine; the last one shows the fault, and none can be left out
    units_per_second: int

    @property
    def name(self) -> str:
        """The class's name."""
        return self.machine.__name__

    @property
    def planted(self) -> str:
        """How the fault is put into the machine: what the class says about itself."""
        return " ".join((self.machine.__doc__ or "").split())


MUSEUM: Final[list[Exhibit]] = []
"""All exhibits, in the order in which their modules are imported; `tests.mutants.museum` imports all."""


def exhibit(
    number: str,
    bug: str,
    *,
    clauses: str,
    calls: Iterable[Call],
    source: str = "",
    units_per_second: int = 1,
) -> Callable[[type[Machine]], type[Machine]]:
    """Put a class into the museum. Left out, `source` is the museum itself."""

    def enter(machine: type[Machine]) -> type[Machine]:
        shown = Exhibit(number, machine, source or "-", bug, clauses, tuple(calls), units_per_second)
        MUSEUM.append(shown)
        return machine

    return enter


# Short words for histories. Instants are in units, which are seconds unless an exhibit says otherwise.


def put(now: int = 0, *, tube: str = "default", pri: int = 0, delay: int = 0, ttr: int = 2, body: bytes = b"x") -> Call:
    """A put; jobs are numbered 1, 2, 3 … in the order of the puts."""
    numbers = {"priority": pri, "delay_seconds": delay, "ttr_seconds": ttr}
    return Call("put", (now,), {**numbers, "body": body, "tube": tube})


def ask(now: int, client: str, *tubes: str, until: int | None = None) -> Call:
    """An append of a reservation, for `default` when no tube is named."""
    wanted: dict[str, Any] = {"request_id": "r", "tubes": tubes or ("default",), "deadline_at": until}
    return Call("append_reservation", (now, client), wanted)


def take(now: int, job: int, client: str) -> Call:
    """A reserve by id."""
    return Call("reserve_job", (now, job, client))


def tick(now: int) -> Call:
    """A tick."""
    return Call("tick", (now,))


def release_with(now: int, job: int, client: str, *, pri: int = 0, delay: int = 0) -> Call:
    """A release with a new priority and delay."""
    return Call("release_with", (now, job, client), {"priority": pri, "delay_seconds": delay})


def bury(now: int, job: int, client: str, *, pri: int = 0) -> Call:
    """A bury."""
    return Call("bury", (now, job, client), {"priority": pri})


def call(op: str, *args: Any, **kwargs: Any) -> Call:
    """Any other operation, as it is."""
    return Call(op, args, kwargs)


RELOAD: Final = Call("reload")
"""The machine's snapshot restored into a new machine of the same class, which goes on in its place."""
