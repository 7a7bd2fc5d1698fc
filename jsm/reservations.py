"""A client's request for a job, and the answers to it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from jsm.job import ClientID, JobID, TubeName


class ReservationStatus(IntEnum):
    """How a reservation stands; the numbers are the seed's."""

    UNKNOWN = 0
    QUEUED = 1
    DEADLINE_SOON = 2
    MATCHED = 3
    TIMEOUT = 4
    ERROR = 5

    def __str__(self) -> str:
        """The seed's spelling, such as `DeadlineSoon`."""
        return "".join(word.capitalize() for word in self.name.split("_"))


class Reservation(NamedTuple):
    """An answer to a request for a job. `job_id` is 0 and `body` empty unless it is `MATCHED`."""

    request_id: str
    client_id: ClientID
    status: ReservationStatus
    job_id: JobID = JobID(0)
    body: bytes = b""
    error: Exception | None = None

    @property
    def body_size(self) -> int:
        """The length of the body in bytes."""
        return len(self.body)

    def __str__(self) -> str:
        """One line for logs; the body is given by its size alone."""
        text = f"Reservation(request={self.request_id!r} client={self.client_id!r} status={self.status}"
        if self.status is ReservationStatus.MATCHED:
            text += f" job={self.job_id} body_size={self.body_size}"
        if self.error is not None:
            text += f" error={self.error}"
        return text + ")"


@dataclass(frozen=True, slots=True)
class ClientResvEntry:
    """A client as a snapshot carries it: its references to tubes, its wait, the answer it is owed.

    The seed's `HeapIndex` has no counterpart: the order of asking is the order of the entries with
    `is_waiting`, and `tick_at` is derived from the deadline and the client's jobs.
    """

    client_id: ClientID
    uses: TubeName | None = None
    watches: tuple[TubeName, ...] = ()
    is_waiting: bool = False
    request_id: str = ""
    watched_tubes: tuple[TubeName, ...] = ()  # of the reservation that it waits for
    deadline_at: int | None = None  # in time units; None waits for ever
    tick_at: int | None = None  # when a tick owes it an answer if no job comes; None: never
    owed: Reservation | None = None  # the next tick hands it out
