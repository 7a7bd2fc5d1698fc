"""A job as the machine keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsm._heap import ID_BITS
from jsm.job import JobID, JobView
from jsm.states import BURIED, DELAYED, NEW, RESERVED, JobState

if TYPE_CHECKING:
    from jsm._client import Client
    from jsm._tube import Tube


class Job:
    """One live job; only `State.move`, and a restore, assign `state`."""

    __slots__ = (
        "body",
        "buried_at",
        "buries",
        "created_at",
        "delay_seconds",
        "id",
        "key",
        "kicks",
        "owner",
        "priority",
        "releases",
        "reserves",
        "state",
        "timeouts",
        "ttr_seconds",
        "tube",
    )

    def __init__(
        self,
        job_id: JobID,
        tube: Tube,
        body: bytes,
        priority: int,
        delay_seconds: int,
        ttr_seconds: int,
        created_at: int,
    ) -> None:
        self.id = job_id
        self.tube = tube
        self.body = body
        self.priority = priority
        self.delay_seconds = delay_seconds
        self.ttr_seconds = ttr_seconds
        self.created_at = created_at
        self.state: JobState = NEW
        self.key = 0  # in the heap of its state: priority, ready instant, expiry or bury number, and its id
        self.owner: Client | None = None  # set while it is reserved
        self.buried_at = 0
        self.reserves = 0
        self.timeouts = 0
        self.releases = 0
        self.buries = 0
        self.kicks = 0

    @property
    def bury_number(self) -> int:
        """Its place in the order of burials, unlike `buried_at` unique; 0 unless buried."""
        return self.key >> ID_BITS if self.state is BURIED else 0

    def view(self) -> JobView:
        """The job as everybody else sees it."""
        state = self.state
        due = self.key >> ID_BITS
        return JobView(
            self.id,
            self.tube.name,
            self.body,
            self.priority,
            self.delay_seconds,
            self.ttr_seconds,
            state,
            self.created_at,
            due if state is DELAYED else 0,
            due if state is RESERVED else 0,
            self.buried_at,
            None if self.owner is None else self.owner.id,
            self.reserves,
            self.timeouts,
            self.releases,
            self.buries,
            self.kicks,
        )
