"""What a job queue of any make may offer, in the words of `models.job_queue_machine`: operations, looks, parameters.

A mapping says what it has by what it names: a method is an operation or a look, a parameter is what its values
mean. What is not named does not exist: a `put` without `priority` is a queue without priorities.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final, NamedTuple


class Told(Enum):
    """What a reserve tells a client that gets no job, beside None: there is none."""

    WAITING = "the client waits"
    DEADLINE_SOON = "a job that the client holds expires within a second"

    def __repr__(self) -> str:
        return self.name


WAITING: Final = Told.WAITING
DEADLINE_SOON: Final = Told.DEADLINE_SOON


class Operation(NamedTuple):
    """An operation: the parameters that it may have, the ones that it must, and the states of a job that it is for."""

    words: tuple[str, ...]
    must: tuple[str, ...] = ()
    states: tuple[str, ...] = ()  # of the job, mostly; the others are tried as well, now and then
    owners: bool = False  # whether a reserved job's owner is meant to call it


OPERATIONS: Final[Mapping[str, Operation]] = {
    "put": Operation(("body", "priority", "delay", "ttr", "tube")),
    "reserve": Operation(("client", "tube", "tubes", "timeout")),
    "reserve_job": Operation(("job", "client"), ("job",), ("ready", "delayed", "buried")),
    "delete": Operation(("job", "client"), ("job",), ("reserved", "ready", "delayed", "buried"), owners=True),
    "release": Operation(("job", "client", "priority", "delay"), ("job",), ("reserved",), owners=True),
    "bury": Operation(("job", "client", "priority"), ("job",), ("reserved",), owners=True),
    "touch": Operation(("job", "client"), ("job",), ("reserved",), owners=True),
    "kick": Operation(("job",), ("job",), ("buried", "delayed")),
    "kick_n": Operation(("tube", "n"), ("n",)),
    "pause": Operation(("tube", "seconds"), ("seconds",)),
    "cancel": Operation(("client",)),
    "close": Operation(("client",)),
    "reload": Operation(()),
    "tick": Operation(()),
    "advance": Operation(("seconds",), ("seconds",)),
}
"""What happens to a queue. `tick` and `advance` are time: see `models.job_queue_machine`."""

LOOKS: Final[Mapping[str, Operation]] = {
    "state": Operation(("job",), ("job",)),
    "stats": Operation(("job",), ("job",)),
    "counts": Operation(("tube",)),
    "peek_ready": Operation(("tube",)),
    "peek_delayed": Operation(("tube",)),
    "peek_buried": Operation(("tube",)),
    "list_tubes": Operation(()),
    "answers": Operation(()),
}
"""What may be seen of a queue; called after every step, and compared. `answers` hands out what waiting clients got."""

ALWAYS: Final = "now"
"""The parameter that every method may have: the seconds since the queue was made."""

STATISTICS: Final = (
    *("state", "tube", "body", "priority", "delay", "ttr", "owner", "age", "time_left"),
    *("reserves", "timeouts", "releases", "buries", "kicks"),
)
"""The keys that `stats` may return."""

_HOOKS: Final = ("make", "teardown")


class Mapped(NamedTuple):
    """A method of a mapping."""

    name: str  # as the mapping's author calls it
    function: Callable[..., Any]
    parameters: Mapping[str, str]  # the author's word → what it means here, in the author's order


def mapped(owner: str, meaning: str, name: str, function: object, words: Mapping[str, str]) -> Mapped:
    """Read the method that stands for an operation or a look; raises `TypeError` with what to change."""
    where = f"{owner}.{name}"
    if not callable(function):
        raise TypeError(f"{where} = {function!r}: expected a method, or None where the queue has no {meaning}")
    known = {**OPERATIONS, **LOOKS}[meaning]
    found: dict[str, str] = {}
    for parameter in [*inspect.signature(function).parameters.values()][1:]:
        word = words.get(parameter.name, parameter.name)
        if word in (*known.words, ALWAYS):
            found[parameter.name] = word
        elif parameter.default is inspect.Parameter.empty:
            allowed = ", ".join((*known.words, ALWAYS))
            raise TypeError(
                f"{where} has a parameter {parameter.name!r}, which says nothing here: {meaning} may have {allowed}; "
                f"give it a default, or translate it: words = {{{parameter.name!r}: …}}"
            )
    for word in known.must:
        if word not in found.values():
            raise TypeError(f"{where} has no parameter {word!r}, which {meaning} needs")
    return Mapped(name, function, found)


def check_names(
    owner: str, namespace: Mapping[str, object], words: Mapping[str, str], attributes: Sequence[str]
) -> None:
    """Raise `TypeError` for a public name that is nothing here but looks like a slip of the pen."""
    known = {*OPERATIONS, *LOOKS, *_HOOKS, *words, *attributes}
    for name in namespace:
        if name.startswith("_") or name in known:
            continue
        near = get_close_matches(name, sorted(known), 1, 0.8)
        if near:
            raise TypeError(
                f"{owner}.{name} is no operation; is {near[0]!r} meant? Methods of your own begin with an underscore"
            )
