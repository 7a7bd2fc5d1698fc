"""A job as the machine keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsm.job import JobID, JobView
from jsm.states import JobState

if TYPE_CHECKING:
    from jsm._client import Client
    from jsm._tube import Tube


@dataclass(slots=True, eq=False)
class Job:
    """One live job; only `State.move` assigns `state`. Instants that don't apply to the state are 0."""

    id: JobID
    tube: Tube
    body: bytes
    priority: int
    delay_seconds: int
    ttr_seconds: int
    created_at: int
    state: JobState = JobState.NEW
    ready_at: int = 0
    expires_at: int = 0
    buried_at: int = 0
    bury_number: int = 0  # its place in the order of burials: unique, unlike `buried_at`
    owner: Client | None = None
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0

    def view(self) -> JobView:
        """The job as everybody else sees it."""
        return JobView(
            self.id,
            self.tube.name,
            self.body,
            self.priority,
            self.delay_seconds,
            self.ttr_seconds,
            self.state,
            self.created_at,
            self.ready_at,
            self.expires_at,
            self.buried_at,
            None if self.owner is None else self.owner.id,
            self.reserves,
            self.timeouts,
            self.releases,
            self.buries,
            self.kicks,
        )
