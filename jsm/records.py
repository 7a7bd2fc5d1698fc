"""What the machine tells its observers: one format with many uses.

Two kinds of records, plain and versioned. A *transition record* says that a job went through one cell of
the table; a *command record* says that an operation was called and how it ended. As JSON Lines they are a
trace (`jsm.trace`), as Parquet the columns that reports are made from.

Records are named tuples, not frozen dataclasses: one is made for every transition of a simulation, and a
tuple costs a third of a frozen dataclass (`reports/decisions/0003-records-are-named-tuples.md`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jsm.states import JobState, Trigger

RECORD_VERSION = 1
"""The version of the record format; a trace names it in its first line."""


class TransitionRecord(NamedTuple):
    """A cell of the table that happened."""

    seq: int  # 1, 2, 3 … over the machine's life, without a gap
    at: int  # the machine's clock, in time units
    job: int  # the job's id
    tube: str  # the job's tube
    source: JobState
    trigger: Trigger
    target: JobState
    client: (
        str | None
    )  # who reserved, holds or lost the job, or deleted it; None: nobody did (put, kick, delay-elapsed)


class CommandRecord(NamedTuple):
    """A call of a public operation, and how it ended."""

    seq: int  # the number of the machine's last transition when the call returned, its own included
    at: int  # the machine's clock when the call returned, in time units
    client: str | None  # the calling client; None for operations without one
    op: str  # the method's name, such as "put" or "append_reservation"
    args: Mapping[str, Any]  # by parameter name; values are JSON's, a body is text of code points 0–255
    outcome: Mapping[str, Any]  # {"ok": value} or {"refused": kind, "error": class, "message": text}


Record = TransitionRecord | CommandRecord


class TransitionObserver(Protocol):
    """Whoever wants to see every transition. It receives records and never the machine."""

    def transition(self, record: TransitionRecord, /) -> None:
        """Called once a transition, right after it happened; an exception stops the machine's caller."""


class CommandObserver(Protocol):
    """Whoever wants to see every call, refusals and looks included (see `jsm.observed`)."""

    def command(self, record: CommandRecord, /) -> None:
        """Called once a call, after it returned or was refused and after its transitions."""


class Observer(TransitionObserver, CommandObserver, Protocol):
    """Whoever wants both kinds, in the order in which they happen."""
