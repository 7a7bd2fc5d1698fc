"""A snapshot of a machine that must not be restored behind its journal's back."""

from collections.abc import Iterable, Iterator
from typing import NoReturn

from jsm.errors import SnapshotError
from jsm.interface import JobRecord, JSMSnapshot, SnapshotHeader
from jsm.reservations import ClientResvEntry


class ReadOnlySnapshot:
    """A handle that reads, and refuses to restore; see `jsm.interface.JSMSnapshot`."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: JSMSnapshot) -> None:
        self._snapshot = snapshot

    def header(self) -> SnapshotHeader:
        """See `JSMSnapshot.header`."""
        return self._snapshot.header()

    def snapshot_jobs(self) -> Iterator[JobRecord]:
        """See `JSMSnapshot.snapshot_jobs`."""
        return self._snapshot.snapshot_jobs()

    def snapshot_clients(self) -> Iterator[ClientResvEntry]:
        """See `JSMSnapshot.snapshot_clients`."""
        return self._snapshot.snapshot_clients()

    def restore_header(self, header: SnapshotHeader) -> NoReturn:
        """Raises `SnapshotError`."""
        raise SnapshotError("the journal would not know what is restored here: restore into a machine without one")

    def restore_jobs(self, jobs: Iterable[JobRecord]) -> NoReturn:
        """Raises `SnapshotError`."""
        raise SnapshotError("nothing to restore: the header was refused")

    def restore_clients(self, clients: Iterable[ClientResvEntry]) -> NoReturn:
        """Raises `SnapshotError`."""
        raise SnapshotError("nothing to restore: the header was refused")

    def cancel_restore(self) -> None:
        """There is none."""

    def finalize_restore(self) -> NoReturn:
        """Raises `SnapshotError`."""
        raise SnapshotError("nothing to restore: the header was refused")
