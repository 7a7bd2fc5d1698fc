"""Calls that fit the present state of a history: mostly plausible ones, sometimes not.

The arguments of a call are chosen one by one, in the order of the mapping's author, so each looks at what is chosen
already (`drawn` of the machine).
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hypothesis import strategies as st

from models.job_queue_words import OPERATIONS

if TYPE_CHECKING:
    from models.job_queue_machine import JobQueueMachine


T = TypeVar("T")


class Job:
    """A job as the queue under test names it, and as programs print it."""

    __slots__ = ("handle", "id", "name")

    def __init__(self, job_id: int, handle: object) -> None:
        self.id = job_id  # the specification's
        self.handle = handle  # the queue's
        self.name = f"job_{job_id - 1}"  # as Hypothesis counts

    def __repr__(self) -> str:
        return self.name


_MOODS: Final = (1, 3, 0)
"""An operation may be usual, frequent or never made in a history: some faults need many of a kind, or none between."""

_CROWD: Final = 5
"""The number of jobs from which on few are added."""

_PLAUSIBLE: Final = 4
"""How many times more often one of the plausible is chosen than any."""

_ALWAYS: Final = ("put", "reserve", "tick", "advance")
"""The operations without which little happens."""


class Choice:
    """A call that is to be made next."""

    __slots__ = ("arguments", "name", "op")

    def __init__(self, op: str, name: str, arguments: Mapping[str, Any]) -> None:
        self.op = op
        self.name = name  # as the mapping calls it
        self.arguments = arguments

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """A call that is likely to matter now, and its arguments."""
    machine: JobQueueMachine = draw(st.runner())
    if not machine.moods:
        machine.moods = draw(_moods(tuple(machine.arguments_of)))
    weights = {op: _weight(machine, op) * machine.moods[op] for op in machine.possible()}
    likely = [op for op, weight in weights.items() for _ in range(weight)]
    op = draw(st.sampled_from(likely or list(weights)))
    arguments = {name: draw(strategy) for name, strategy in machine.arguments_of[op].items()}
    return Choice(op, machine.name_of(op), arguments)


@cache
def _moods(ops: tuple[str, ...]) -> st.SearchStrategy[dict[str, int]]:
    """A mood for each operation: one choice for all, the digits of a number, since a choice costs as much as a step."""
    base = len(_MOODS)

    def decoded(number: int) -> dict[str, int]:
        digits = [number // base**place % base for place in range(len(ops))]
        return {op: _MOODS[digit] or int(op in _ALWAYS) for op, digit in zip(ops, digits, strict=True)}

    return st.integers(0, base ** len(ops) - 1).map(decoded)


def _weight(machine: "JobQueueMachine", op: str) -> int:
    """How likely an operation should be in the present state: what can do something comes before what is refused."""
    oracle = machine.oracle
    states = [job.state for job in oracle.jobs.values()]
    match op:
        case "put":
            return 5 if len(states) < _CROWD else 1
        case "reserve":
            return 8 if "ready" in states else 4
        case "tick" | "advance":
            due = oracle.next_tick_at()
            if due is None:
                return 1
            return 4 if (due <= machine.now) == (op == "tick") else 2
        case "release" | "bury" | "touch":
            return 6 if any(oracle.held(client) for client in machine.clients_for(op)) else 1
        case "kick" | "kick_n":
            return 3 if "buried" in states or "delayed" in states else 1
        case "reload":
            return 4 if states.count("buried") > 1 else 2
    return 2


@st.composite
def job_of(draw: st.DrawFn, op: str) -> Job:
    """A job for an operation: mostly in a state that it is for, and the client's own where it takes an owner."""
    machine: JobQueueMachine = draw(st.runner())
    operation, live = OPERATIONS[op], machine.oracle.jobs
    client = machine.drawn.get("client")
    jobs = machine.jobs_for(op)
    fitting = [job for job in jobs if machine.oracle.state_of(job.id) in operation.states]
    if operation.owners and client is not None:
        fitting = [job for job in fitting if live[job.id].reserved_by in (None, client)] or fitting
    chosen = draw(_mostly(fitting, jobs))
    machine.drawn["job"] = chosen
    return chosen


@st.composite
def client_of(draw: st.DrawFn, op: str) -> str:
    """A client for an operation: mostly the job's owner, or one that holds a job, where it takes an owner."""
    machine: JobQueueMachine = draw(st.runner())
    live = machine.oracle.jobs
    clients = machine.clients_for(op)
    fitting = clients
    if OPERATIONS[op].owners:
        job = machine.drawn.get("job")
        owners = [live[job.id].reserved_by] if job is not None and job.id in live else []
        owners = owners or [each.reserved_by for each in live.values()]
        fitting = [client for client in clients if client in owners] or clients
    chosen = draw(_mostly(fitting, clients))
    machine.drawn["client"] = chosen
    return chosen


def _mostly(fitting: list[T], everything: list[T]) -> st.SearchStrategy[T]:
    """Mostly one of the fitting, if there are any."""
    often = _PLAUSIBLE * len(everything) // len(fitting) if fitting else 0
    return st.sampled_from(fitting * often + everything)


@st.composite
def tube_of(draw: st.DrawFn, op: str) -> str:
    """A tube that the operation may be tried on."""
    machine: JobQueueMachine = draw(st.runner())
    return draw(st.sampled_from(machine.tubes_for(op)))


@st.composite
def passing(draw: st.DrawFn) -> int:
    """Seconds, mostly up to the next instant at which something is due, or one less or more."""
    machine: JobQueueMachine = draw(st.runner())
    due = machine.oracle.next_tick_at()
    gaps = [] if due is None else [due - machine.now + off for off in (0, -1, 1)]
    patience = machine.patience()
    return draw(st.sampled_from([each for each in dict.fromkeys([*gaps, 1, 2]) if 0 < each <= patience]))


def body_of() -> st.SearchStrategy[Any]:
    """A body that no other job has."""
    return st.runner().map(lambda machine: machine.next_body())
