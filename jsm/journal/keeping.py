"""Keeps a folder of journal files for a machine: forces them to the disk, begins new ones, removes old ones.

Numbers grow. `snapshot.N` is the machine's state where `journal.N` begins; the newest snapshot and the journal files
from its number on are the machine. What is older is removed once the snapshot is durable.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jsm.errors import BadValueError
from jsm.journal.disk import Disk, write_all
from jsm.journal.errors import JournalError, NotDurableError
from jsm.journal.log import BLOCK_BYTES, Log
from jsm.journal.recovery import journal_path, list_folder, part_path, snapshot_path
from jsm.snapshot_codec import encode_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jsm.journal.form import JournalHeader
    from jsm.machine import Machine
    from jsm.observed import ObservedMachine

_PIECE_BYTES: Final = 1 << 16
_FILES_MAX: Final = 8  # behind a snapshot, before there is a new one
_TRY_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    """When what was written is forced to the disk, beside at the ends of files.

    `interval_seconds` is the time that may pass between a call and that: 0 means before its result may be told, None
    whenever the system likes. Whatever it is, what was told survives the end of the process, `kill -9` included; the
    policy says what survives a loss of power.
    """

    interval_seconds: float | None

    def __post_init__(self) -> None:
        interval = self.interval_seconds
        if interval is not None and not 0 <= interval < 1e9:
            raise BadValueError("interval_seconds", interval, "a number of seconds of at least 0, or None for never")


SYNC_ALWAYS: Final = SyncPolicy(0)
SYNC_NEVER: Final = SyncPolicy(None)


class Keeper:
    """The files of one machine. `log` is the one that grows."""

    def __init__(
        self,
        disk: Disk,
        folder: Path,
        machine: Machine | ObservedMachine,
        header: JournalHeader,
        *,
        lock: int,
        first: int,
        earlier_bytes: int,
        snapshot_bytes: int,
        sync: SyncPolicy,
        file_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin the journal file of that header. Raises `JournalError`."""
        self._disk = disk
        self._folder = folder
        self._machine = machine
        self._lock: int | None = lock
        self._interval = sync.interval_seconds
        self._file_bytes = file_bytes
        self._monotonic = monotonic
        self._first = first  # the number of the oldest journal file that a recovery needs
        self._earlier_bytes = earlier_bytes  # of the journal files from there to before `log`
        self._snapshot_bytes = snapshot_bytes
        self._part_bytes = self._part_jobs = 0
        self._migrated = 0
        self._written = 0  # records, into the files before `log`
        self._sync_due_at: float | None = None
        self._try_again_at = 0.0
        self._stray: tuple[int, int] | None = None  # number and checksum of a file behind `log` that was never used
        self.log = self._begin(header)
        self.log.fill_reserve()
        self._turn_at = file_bytes
        self._squeeze_at = 0  # at the first shortage, for nobody knows how much of the past is over
        self._squeezed_jobs = 0

    # ------------------------------------------------------------------ what a server calls

    def before_replies(self) -> None:
        """Make durable what the policy wants, and look after the files; see `DurableMachine.before_replies`."""
        log = self.log
        if log.is_dirty and self._interval is not None:
            if not self._interval:
                self._sync()
            else:
                now = self._monotonic()
                if self._sync_due_at is None:
                    self._sync_due_at = now + self._interval
                elif now >= self._sync_due_at:
                    self._sync()
            log = self.log
        if log.trouble is not None:
            if self._lock is not None:
                self._try_again()
        elif log.end >= self._turn_at:
            self._turn()
        elif log.is_short and (log.end >= self._squeeze_at or log.jobs * 8 < self._squeezed_jobs * 7):
            self._squeeze()

    def next_sync_in(self) -> float | None:
        """Seconds until `before_replies` wants to be called although no call was made; None: never."""
        if self._lock is None:
            return None
        if self.log.trouble is not None:
            return max(0.0, self._try_again_at - self._monotonic())
        if not self.log.is_dirty or self._interval is None:
            return None
        if self._sync_due_at is None:
            return self._interval
        return max(0.0, self._sync_due_at - self._monotonic())

    def statistics(self) -> dict[str, int]:
        """The values of `stats` about the journal, by key."""
        return {
            "binlog-oldest-index": self._first,
            "binlog-current-index": self.log.header.number,
            "binlog-records-migrated": self._migrated,
            "binlog-records-written": self._written + self.log.records,
            "binlog-max-size": self._file_bytes,
        }

    def compact(self) -> None:
        """Write the machine's state as a snapshot, begin a journal file behind it, remove what is older.

        Raises `JournalError`; then the files say the same as before, in more bytes.
        """
        trouble = self.log.trouble
        if trouble is not None:
            if self._lock is None:
                raise JournalError(self.log.path, *trouble) from trouble[1]
            self._begin_anew()
            return
        self._rotate()
        log = self.log
        if self._first == log.header.number:
            return  # the file was lost, and all was written anew
        try:
            self._write_part(log.header.number)
            self._publish(log.header.number)
        finally:
            log.fill_reserve()
        self._adopt_snapshot()

    def compact_if_worthwhile(self) -> bool:
        """`compact` when what stands behind the snapshot is long in comparison to it; whether it was. Raises as that.

        A snapshot is at most as long again as what it replaces, so that compacting costs no more than writing did.
        """
        journal_bytes = self._earlier_bytes + self.log.end
        files = self.log.header.number - self._first + 1
        if files < _FILES_MAX and journal_bytes < max(self._file_bytes, 2 * self._snapshot_bytes):
            return False
        self.compact()
        return True

    def close(self) -> None:
        """Force everything to the disk, and let go of the folder. A second call does nothing."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        log = self.log
        try:
            if log.trouble is None:
                log.finish()
        except OSError as error:
            raise JournalError(log.path, "can't force the journal to the disk", error) from error
        finally:
            log.block("can't write to it", OSError("the journal is closed"))
            log.is_dirty = False
            log.close()
            with suppress(OSError):
                self._disk.close(lock)

    # ------------------------------------------------------------------ to the disk, and if that fails

    def _sync(self) -> None:
        self._sync_due_at = None
        try:
            self.log.sync()
        except OSError as error:
            self._rescue(error)

    def _rescue(self, error: OSError) -> None:
        """After a failed sync nobody knows which of the records are on the disk: write the machine's state instead.

        If that fails too, no further record is taken, and the calls since the last sync must not be told.
        """
        log = self.log
        try:
            self._begin_anew()
        except JournalError:
            log.is_dirty = False
            log.block("an earlier record could not be forced to the disk", error)
            self._try_again_at = self._monotonic() + _TRY_AGAIN_SECONDS
            raise NotDurableError(log.path, "can't force the records to the disk", error) from error

    def _try_again(self) -> None:
        """Now and then, see whether the disk works again."""
        if self._monotonic() < self._try_again_at:
            return
        try:
            self._begin_anew()
        except JournalError:
            self._try_again_at = self._monotonic() + _TRY_AGAIN_SECONDS

    def _begin_anew(self) -> None:
        """Go on behind a snapshot of the machine's state, without a need of any older file."""
        new = self._begin_next()
        try:
            self._write_part(new.header.number)
        except JournalError:
            new.discard()
            raise
        # A move that failed may have taken place all the same, and the snapshot needs the file: it stays from here on.
        self._stray = new.header.number, new.crc
        try:
            self._publish(new.header.number)
        except JournalError:
            new.close()
            raise
        self._go_on_in(new)
        self._adopt_snapshot()
        new.fill_reserve()

    # ------------------------------------------------------------------ files that end and begin

    def _turn(self) -> None:
        """The file is long enough: begin another one, behind a snapshot if that is worth its while."""
        try:
            if not self.compact_if_worthwhile():
                self._rotate()
                self.log.fill_reserve()
        except NotDurableError:
            raise
        except JournalError:  # no room: the old files go on
            self._turn_at = self.log.end + self._file_bytes

    def _squeeze(self) -> None:
        """The disk is full: try to say the same in fewer bytes, for which the reserve is given up meanwhile."""
        try:
            self.compact()
        except NotDurableError:
            raise
        except JournalError:
            self._set_squeeze()

    def _set_squeeze(self) -> None:
        """Not again before enough was written, or an eighth of the jobs has ended, so that it may help."""
        self._squeeze_at = self.log.end + max(self.log.reserve // 8, BLOCK_BYTES)
        self._squeezed_jobs = self.log.jobs

    def _rotate(self) -> None:
        """Go on in a new file. Raises `JournalError` when there is none; the old one goes on."""
        old = self.log
        try:
            old.finish()
        except OSError as error:
            self._rescue(error)
            return
        try:
            new = self._begin_next()
        except JournalError:
            old.fill_reserve()
            raise
        self._earlier_bytes += old.end
        self._go_on_in(new)

    def _begin_next(self) -> Log:
        """The next journal file, with the settings of the present one."""
        old = self.log
        number, crc = self._stray or (old.header.number, old.crc)
        return self._begin(old.header._replace(number=number + 1, follows=crc))

    def _begin(self, header: JournalHeader) -> Log:
        """The journal file of that header."""
        path = journal_path(self._folder, header.number)
        with suppress(OSError):  # of an attempt that failed
            self._disk.remove(path)
        jobs = sum(self._machine.count_jobs().values())
        return Log(self._disk, path, header, file_bytes=self._file_bytes, jobs=jobs)

    def _go_on_in(self, new: Log) -> None:
        old, self.log = self.log, new
        self._stray = None
        old.close()
        self._written += old.records
        self._sync_due_at = None
        self._turn_at = self._file_bytes
        self._set_squeeze()

    # ------------------------------------------------------------------ snapshots

    def _write_part(self, number: int) -> None:
        """Write the machine's state beside its place, durably, or (raising `JournalError`) not at all."""
        disk, part = self._disk, part_path(self._folder, number)
        size = jobs = 0
        try:
            with suppress(FileNotFoundError):
                disk.remove(part)
            file = disk.create(part)
            try:
                pieces: list[bytes] = []
                held = 0
                for line in encode_snapshot(self._machine.snapshot()):
                    pieces.append(line)
                    held += len(line)
                    jobs += line.startswith(b"job ")
                    if held >= _PIECE_BYTES:
                        write_all(disk, file, b"".join(pieces), size)
                        size += held
                        held = 0
                        pieces.clear()
                write_all(disk, file, b"".join(pieces), size)
                size += held
                disk.sync(file)
            finally:
                with suppress(OSError):
                    disk.close(file)
        except OSError as error:
            with suppress(OSError):
                disk.remove(part)
            raise JournalError(part, "can't write the snapshot", error) from error
        self._part_bytes, self._part_jobs = size, jobs

    def _publish(self, number: int) -> None:
        """Move what `_write_part` wrote to its place, durably."""
        path = snapshot_path(self._folder, number)
        try:
            self._disk.rename(part_path(self._folder, number), path)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise JournalError(path, "can't move the snapshot to its place", error) from error

    def _adopt_snapshot(self) -> None:
        """Count from the snapshot that was published, and remove what is older."""
        self._first = self.log.header.number
        self._earlier_bytes = 0
        self._snapshot_bytes = self._part_bytes
        self._migrated += self._part_jobs
        with suppress(JournalError):
            listing = list_folder(self._disk, self._folder)
            old = [journal_path(self._folder, number) for number in listing.journals if number < self._first]
            old += [snapshot_path(self._folder, number) for number in listing.snapshots if number < self._first]
            for path in old:
                with suppress(OSError):  # the next one removes it
                    self._disk.remove(path)
