"""A job as the machine keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsm._heap import ID_BITS
from jsm.job import JobID, JobView
from jsm.states import NEW, JobState

if TYPE_CHECKING:
    from jsm._client import Client
    from jsm._tube import Tube


@dataclass(slots=True, eq=False)
class Job:
    """One live job; only `State.move` assigns `state`."""

    id: JobID
    tube: Tube
    body: bytes
    priority: int
    delay_seconds: int
    ttr_seconds: int
    created_at: int
    state: JobState = NEW
    key: int = 0  # in the heap of its state: priority, ready instant, expiry or bury number, and its id
    buried_at: int = 0
    owner: Client | None = None
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0

    @property
    def bury_number(self) -> int:
        """Its place in the order of burials, unlike `buried_at` unique; 0 unless buried."""
        return self.key >> ID_BITS if self.state is JobState.BURIED else 0

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
            due if state is JobState.DELAYED else 0,
            due if state is JobState.RESERVED else 0,
            self.buried_at,
            None if self.owner is None else self.owner.id,
            self.reserves,
            self.timeouts,
            self.releases,
            self.buries,
            self.kicks,
        )
