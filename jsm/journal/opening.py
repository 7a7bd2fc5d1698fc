"""From a folder to a machine that goes on where the last one there ended."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jsm.errors import BadValueError
from jsm.journal.disk import Disk, SystemDisk
from jsm.journal.durable import DurableMachine
from jsm.journal.errors import JournalError, JournalUnfitError, NotDurableError
from jsm.journal.form import JournalHeader
from jsm.journal.keeping import SYNC_ALWAYS, Keeper, SyncPolicy
from jsm.journal.recovery import Recovered, forget_statistics, recover, set_max_job_size
from jsm.limits import MAX_JOB_SIZE
from jsm.observed import ObservedMachine

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from jsm.machine import Machine
    from jsm.records import Observer

FILE_BYTES: Final = 10_485_760
"""The size of a journal file from which on a new one is begun, unless another is asked for."""

_LOCK_NAME: Final = "lock"
_NANOSECONDS: Final = 1_000_000_000


def open_journal(
    folder: str | os.PathLike[str],
    *,
    units_per_second: int = 1,
    max_job_size: int = MAX_JOB_SIZE,
    sync: SyncPolicy = SYNC_ALWAYS,
    file_size: int = FILE_BYTES,
    observer: Observer | None = None,
    wall_nanoseconds: int | None = None,
    disk: Disk | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> DurableMachine:
    """A machine with the jobs that a folder's journal describes, which it goes on writing. O(jobs + calls).

    All clients are closed, so that what was reserved is ready; statistics begin at 0, but for those of the jobs. Ids,
    priorities, delays, the order of burials and pauses of tubes that hold jobs are as they were.

    `wall_nanoseconds` is the time of the world (since 1970) at which the machine goes on; `resumes_at` then tells the
    instant that it is there, as the last start measured it. None for a clock that stands while nobody serves. The
    `observer` gets what happens from then on. `file_size` is in bytes; a file may become longer by a record, or as the
    disk is full. `disk` and `monotonic` are for tests.

    A torn last record is cut off, which `DurableMachine.warnings` tells. Any other damage is refused: `JournalError`
    names file, place and remedy, and nothing is changed. One process at a time may have the folder.
    """
    if type(file_size) is not int or file_size < 1:
        raise BadValueError("file_size", file_size, "a number of bytes of at least 1")
    place = Path(folder)
    disk = SystemDisk() if disk is None else disk
    lock = _lock(disk, place)
    try:
        found = recover(disk, place, units_per_second=units_per_second, max_job_size=max_job_size)
        machine = found.machine
        if found.header is not None and found.header.max_job_size > max_job_size:
            _expect_bodies_fit(place, machine, max_job_size)
        set_max_job_size(machine, max_job_size)
        forget_statistics(machine)
        resumes_at = _resumes_at(found, wall_nanoseconds)
        _mend(disk, found)
        keeper = Keeper(
            disk,
            place,
            machine,
            JournalHeader(found.last + 1, units_per_second, max_job_size, resumes_at, wall_nanoseconds, found.crc),
            lock=lock,
            first=found.first,
            earlier_bytes=found.journal_bytes,
            snapshot_bytes=found.snapshot_bytes,
            sync=sync,
            file_bytes=file_size,
            monotonic=monotonic,
        )
    except BaseException:
        with suppress(OSError):
            disk.close(lock)
        raise
    durable = DurableMachine(machine, keeper, folder=place, resumes_at=resumes_at, warnings=found.warnings)
    try:
        for client_id in [entry.client_id for entry in machine.snapshot().snapshot_clients()]:
            durable.close_client(client_id)
        _compact(keeper)
        durable.before_replies()
    except BaseException:
        with suppress(JournalError):
            durable.close()
        raise
    if observer is not None:
        durable.inner = _observed(machine, observer)
    return durable


def _lock(disk: Disk, folder: Path) -> int:
    """Take the folder for this process, until the descriptor is closed."""
    path = folder / _LOCK_NAME
    try:
        lock = disk.lock(path)
    except OSError as error:
        raise JournalError(folder, "can't use the folder", error) from error
    if lock is not None:
        return lock
    owner = b""
    with suppress(OSError):
        owner = b"".join(disk.read(path)).strip()
    process = f" (process {owner.decode()})" if owner.isdigit() else ""
    raise JournalUnfitError(folder, f"another server{process} has the folder", "stop it, or name another folder")


def _mend(disk: Disk, found: Recovered) -> None:
    """Remove what a crash left: first the files that nothing needs, then what stands behind the last record."""
    for path in found.leftovers:
        with suppress(OSError):  # it does no harm
            disk.remove(path)
    if found.cut is None:
        return
    path, end = found.cut
    try:
        file = disk.open(path)
        try:
            disk.truncate(file, end)
            disk.sync(file)
        finally:
            disk.close(file)
    except OSError as error:
        raise JournalError(path, "can't cut off what stands behind the last record", error) from error


def _compact(keeper: Keeper) -> None:
    """Compact if that is worth its while and there is room; without room, jobs have to be served first."""
    try:
        keeper.compact_if_worthwhile()
    except NotDurableError:
        raise
    except JournalError:
        return


def _resumes_at(found: Recovered, wall_nanoseconds: int | None) -> int:
    """The instant that it is by the world's clock, if the last start measured it; never before the machine's."""
    machine, header = found.machine, found.header
    if wall_nanoseconds is None or header is None or header.wall_nanoseconds is None:
        return machine.clock
    passed = (wall_nanoseconds - header.wall_nanoseconds) * machine.units_per_second // _NANOSECONDS
    return max(machine.clock, header.clock + passed)


def _expect_bodies_fit(folder: Path, machine: Machine, max_job_size: int) -> None:
    """A machine's snapshot must not hold a body that it would refuse."""
    size, job_id = max(
        ((len(record.job.body), record.job.id) for record in machine.snapshot().snapshot_jobs()), default=(0, 0)
    )
    if size > max_job_size:
        problem = f"job {job_id} has {size} bytes, and max_job_size is {max_job_size}"
        raise JournalUnfitError(folder, problem, f"ask for a max_job_size of at least {size}, or delete the job first")


def _observed(machine: Machine, observer: Observer) -> ObservedMachine:
    """The machine, which tells an observer of every call and transition from now on."""
    machine._state.observer = observer
    return ObservedMachine(observer=observer, make_machine=lambda **_settings: machine)
