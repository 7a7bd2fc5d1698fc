"""A job as everybody but the machine sees it, and the identifiers."""

from typing import NamedTuple, NewType

from jsm.states import JobState

JobID = NewType("JobID", int)
"""1, 2, 3 … in the order of the puts; never used again, also not after a restore."""

ClientID = NewType("ClientID", str)
"""Whoever reserves; chosen by the caller, not empty."""

TubeName = NewType("TubeName", str)
"""1 to 200 characters of `A-Z a-z 0-9 - + / ; . $ _ ( )`, not starting with `-`."""


class JobView(NamedTuple):
    """What the machine shows of a job: a copy that nothing can change, of the instant of the call.

    Durations are whole seconds, instants are in the machine's time units. An instant that does not apply to
    the job's state is 0, as in the seed's interface.
    """

    id: JobID
    tube: TubeName
    body: bytes
    priority: int
    delay_seconds: int
    ttr_seconds: int
    state: JobState
    created_at: int
    ready_at: int  # delayed: when the delay elapses
    expires_at: int  # reserved: when the ttr runs out
    buried_at: int  # buried: when it was buried
    reserved_by: ClientID | None  # reserved: the owner
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int

    @property
    def body_size(self) -> int:
        """The length of the body in bytes."""
        return len(self.body)
