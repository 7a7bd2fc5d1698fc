"""Every refusal and every error of the package.

A refusal is normal: a `JsmError` with its fields as attributes, the category in which SPEC orders refusals
(`refusal`) and the reply that a server sends for it (`wire_reply`). The machine is untouched by it, except
for the `cmd-*` counter of a command that was understood. A broken invariant is a bug, not a refusal, and
stands outside this hierarchy (`InvariantViolation`).

The classes follow the seed's `Err…` variables; `jsm/README.md` maps each.
"""

from enum import StrEnum
from typing import ClassVar

from jsm.states import JobState, Trigger


class Refusal(StrEnum):
    """The categories of refusals, in order of precedence: the first that applies is raised."""

    STOPPED = "stopped"
    TIME_BACKWARDS = "time-backwards"
    BAD_VALUE = "bad-value"
    EMPTY_CLIENT = "empty-client"
    MISSING = "missing"
    WRONG_STATE = "wrong-state"
    UNAUTHORIZED = "unauthorized"


class JsmError(Exception):
    """The root of all refusals."""

    refusal: ClassVar[Refusal] = Refusal.BAD_VALUE
    wire_reply: ClassVar[str] = "BAD_FORMAT"


class StoppedError(JsmError):
    """The machine was stopped; every later call is refused."""

    refusal = Refusal.STOPPED
    wire_reply = "INTERNAL_ERROR"

    def __init__(self) -> None:
        super().__init__("the machine is stopped; make a new one, or restore a snapshot into a new one")


class TimeBackwardsError(JsmError):
    """`now` lies before the machine's clock."""

    refusal = Refusal.TIME_BACKWARDS
    wire_reply = "INTERNAL_ERROR"

    def __init__(self, now: int, clock: int) -> None:
        super().__init__(f"now = {now} lies before the clock, {clock}; pass the clock or later")
        self.now = now
        self.clock = clock


class BadValueError(JsmError, ValueError):
    """An argument has a wrong type or lies outside its limits."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field} = {_short(value)}: expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected


class BodyTooBigError(BadValueError):
    """A body is longer than the machine's `max_job_size`."""

    wire_reply = "JOB_TOO_BIG"


class LastWatchedTubeError(BadValueError):
    """A client's only watched tube can't be ignored: a watch list is never empty."""

    wire_reply = "NOT_IGNORED"


class InvalidReservationTimeoutError(BadValueError):
    """A reservation's deadline lies in the past (the seed's `ErrInvalidResvTimeout`)."""


class EmptyClientError(JsmError):
    """The client id is the empty string, which would match the owner of a job that has none."""

    refusal = Refusal.EMPTY_CLIENT
    wire_reply = "BAD_FORMAT"

    def __init__(self) -> None:
        super().__init__("client_id is empty; a client id has at least one character")


class EntryMissingError(JsmError, LookupError):
    """What was asked for is not there (the seed's `ErrEntryMissing`)."""

    refusal = Refusal.MISSING
    wire_reply = "NOT_FOUND"


class UnknownJobError(EntryMissingError):
    """No live job has the id."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"no live job has the id {job_id}")
        self.job_id = job_id


class UnknownTubeError(EntryMissingError):
    """No tube has the name: it holds no job, and no client uses, watches or waits on it."""

    def __init__(self, tube: str) -> None:
        super().__init__(f"no tube is named {tube!r}")
        self.tube = tube


class NoJobInStateError(EntryMissingError):
    """A peek found no job in the state that it looks at."""

    def __init__(self, tube: str, state: JobState) -> None:
        super().__init__(f"tube {tube!r} holds no {state} job")
        self.tube = tube
        self.state = state


class NoReservationFoundError(EntryMissingError):
    """A job can't be reserved by its id because it is reserved already (the seed's `ErrNoReservationFound`)."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"job {job_id} is reserved already")
        self.job_id = job_id


class InvalidOperationError(JsmError):
    """The state of the job or the client does not allow the operation (the seed's `ErrInvalidOperation`)."""

    refusal = Refusal.WRONG_STATE
    wire_reply = "NOT_FOUND"


class IllegalTransitionError(InvalidOperationError):
    """The table has no cell for the job's state and the trigger (the seed's `ErrInvalidJobTransition`)."""

    def __init__(self, job_id: int, state: JobState, trigger: Trigger) -> None:
        super().__init__(f"job {job_id} is {state}: no transition {trigger} from there")
        self.job_id = job_id
        self.state = state
        self.trigger = trigger


class ClientIsWaitingError(InvalidOperationError):
    """The client waits for a reservation, or is owed an answer (the seed's `ErrClientIsWaitingForReservation`)."""

    wire_reply = "INTERNAL_ERROR"

    def __init__(self, client_id: str, doing: str) -> None:
        super().__init__(f"client {client_id!r} {doing}")
        self.client_id = client_id


class NotOwnerError(JsmError):
    """The job is reserved by another client (the seed's `ErrUnauthorizedOperation`)."""

    refusal = Refusal.UNAUTHORIZED
    wire_reply = "NOT_FOUND"

    def __init__(self, job_id: int, client_id: str) -> None:
        super().__init__(f"job {job_id} is not reserved by client {client_id!r}")
        self.job_id = job_id
        self.client_id = client_id


class CancelledError(JsmError):
    """A restore was cancelled; what it was offered is dropped (the seed's `ErrCancel`)."""

    refusal = Refusal.WRONG_STATE
    wire_reply = "INTERNAL_ERROR"


class SnapshotError(JsmError):
    """A snapshot can't be read or restored; the message says what is wrong and where."""

    wire_reply = "INTERNAL_ERROR"


class SnapshotChangedError(SnapshotError):
    """The machine changed while a stream of its snapshot was open."""

    refusal = Refusal.WRONG_STATE


class ContainerEmptyError(EntryMissingError):
    """A container has no entry to give (the seed's `ErrContainerEmpty`)."""


class EntryExistsError(InvalidOperationError):
    """A container holds the entry already (the seed's `ErrEntryExists`)."""


class InvalidIndexError(EntryMissingError):
    """A handle refers to an entry that left its container (the seed's `ErrInvalidIndex`)."""


class MismatchJobEntryError(InvalidOperationError):
    """A handle belongs to another container (the seed's `ErrMismatchJobEntry`)."""


class ResultError(Exception):
    """A failure on its way to the client that asked, with its cause.

    `__cause__` is the wrapped error, as Go's `Unwrap` gives it, so `raise` and `traceback` show both.
    """

    def __init__(self, request_id: str, error_code: int, error: Exception) -> None:
        super().__init__(f"request {request_id!r} failed with code {error_code}: {error}")
        self.request_id = request_id
        self.error_code = error_code
        self.error = error
        self.__cause__ = error


class InvariantViolation(AssertionError):
    """A named invariant does not hold: a bug. Never caught inside the project except to report it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


def _short(value: object) -> str:
    """`repr`, cut so that an error message stays one readable line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
