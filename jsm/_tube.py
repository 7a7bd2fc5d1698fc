"""A tube as the machine keeps it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from jsm._heap import KeyHeap

if TYPE_CHECKING:
    from jsm._client import Client
    from jsm._job import Job
    from jsm.job import TubeName


class Tube:
    """A named queue: its jobs by state, the clients that wait on it, its pause, its counters."""

    __slots__ = (
        "buried",
        "delayed",
        "deletes",
        "name",
        "pause_ends_at",
        "pause_seconds",
        "pauses",
        "ready",
        "reserved",
        "serial",
        "total_jobs",
        "urgent",
        "using",
        "waiters",
        "watching",
    )

    def __init__(self, name: TubeName, serial: int) -> None:
        self.name = name
        self.serial = serial  # grows in order of creation; never shown
        self.ready = KeyHeap()  # priority, job id
        self.delayed = KeyHeap()  # ready instant, job id
        # Ordered dicts, since a plain dict that is drained from its front scans its holes: quadratic.
        self.buried: OrderedDict[int, Job] = OrderedDict()  # by job id, in order of burial
        self.waiters: OrderedDict[int, Client] = OrderedDict()  # by ask number, in order of asking
        self.reserved = 0  # jobs
        self.urgent = 0  # ready jobs with a priority below 1024
        self.using = 0  # clients
        self.watching = 0  # clients
        self.pause_seconds = 0
        self.pause_ends_at: int | None = None  # None: not paused
        self.total_jobs = 0
        self.deletes = 0
        self.pauses = 0

    @property
    def in_use(self) -> bool:
        """Whether the tube holds a job in any state or a client refers to it."""
        return bool(
            self.reserved
            or self.ready.keys
            or self.using
            or self.watching
            or self.waiters
            or self.delayed.keys
            or self.buried
        )

    @property
    def matchable(self) -> bool:
        """Whether a waiting client and a ready job coexist here and no pause keeps them apart."""
        return bool(self.waiters and self.ready.keys and self.pause_ends_at is None)
