"""A tube as the machine keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsm._heap import KeyHeap

if TYPE_CHECKING:
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
        self.ready = KeyHeap()  # priority, job id; like all keys, one integer
        self.delayed = KeyHeap()  # ready instant, job id
        self.buried = KeyHeap()  # bury number, job id
        self.waiters = KeyHeap()  # ask number of a waiting client
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
            or self.waiters.keys
            or self.delayed.keys
            or self.buried.keys
        )

    @property
    def matchable(self) -> bool:
        """Whether a waiting client and a ready job coexist here and no pause keeps them apart."""
        return bool(self.waiters.keys and self.ready.keys and self.pause_ends_at is None)
