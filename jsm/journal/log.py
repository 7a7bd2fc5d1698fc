"""The journal file that grows, and the space that it keeps in reserve.

The file is allocated ahead of what is written, so that a write into it can't run into a full disk. Records that may
not use the reserve (puts) are refused first, while others still find room.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

from jsm.journal.disk import Disk, write_all
from jsm.journal.errors import JournalError
from jsm.journal.form import JournalHeader, encode_header

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK_BYTES: Final = 4096
_STEP_BYTES_MAX: Final = 1 << 20  # by how much a file is allocated ahead
_RESERVE_BYTES: Final = 1 << 16
_RESERVE_BYTES_A_JOB: Final = 256  # a reservation and a deletion
_RESERVE_BYTES_MAX: Final = 1 << 26


class Log:
    """A journal file to append to. `JournalError` means: not written, and the file is as it was."""

    __slots__ = (
        "_disk", "_end_before", "_file", "_is_dirty_before", "_limit", "_step", "_write", "crc", "crc_before", "end",
        "header", "is_dirty", "is_short", "jobs", "path", "records", "trouble",
    )  # fmt: skip

    def __init__(self, disk: Disk, path: Path, header: JournalHeader, *, file_bytes: int, jobs: int) -> None:
        """Make the file, whose name is durable when this returns; on an error nothing of it is left."""
        self._disk = disk
        self._write: Callable[[int, bytes, int], int] = disk.write
        self.path = path
        self.header = header
        self.jobs = jobs  # that live; whoever appends keeps it right
        self._step = min(max(file_bytes // 8, BLOCK_BYTES), _STEP_BYTES_MAX)
        self.records = 0  # that were appended
        self.is_dirty = False  # whether something was appended since the file was forced to the disk
        self.is_short = False  # whether a record was refused for want of room, and none found room since
        self.trouble: tuple[str, OSError] | None = None  # why nothing can be appended any more
        line, self.crc = encode_header(header)
        self.end = self._limit = len(line)  # of what is written, and of what is allocated
        self._keep()
        try:
            self._file = disk.create(path)
            try:
                write_all(disk, self._file, line, 0)
                disk.sync(self._file)
                disk.sync_folder(path.parent)
            except BaseException:
                with suppress(OSError):
                    disk.close(self._file)
                with suppress(OSError):
                    disk.remove(path)
                raise
        except OSError as error:
            raise JournalError(path, "can't begin the journal file", error) from error

    @property
    def reserve(self) -> int:
        """How many bytes a put must leave: enough to serve and delete every job that lives, up to a limit."""
        return min(_RESERVE_BYTES + self.jobs * _RESERVE_BYTES_A_JOB, _RESERVE_BYTES_MAX)

    def append(self, text: str, spare: int) -> None:
        """Append a record, given as a JSON object without its closing brace; `spare` bytes must be left behind it.

        Raises `UnicodeEncodeError` for half a character.
        """
        content = text.encode()
        crc = crc32(content, self.crc)
        line = b'%b,"crc":"%08x"}\n' % (content, crc)
        end = self.end
        size = len(line)
        if end + size + spare > self._limit:
            self._make_room(end + size, spare)
        try:
            written = self._write(self._file, line, end)
            if written != size:
                write_all(self._disk, self._file, line[written:], end + written)
        except OSError as error:
            self._cut()
            raise JournalError(self.path, "can't write the record", error) from error
        self._end_before = end
        self.crc_before = self.crc
        self._is_dirty_before = self.is_dirty
        self.end = end + size
        self.crc = crc
        self.records += 1
        self.is_dirty = True

    def take_back(self) -> None:
        """Remove the record that was appended last, unless it was forced. Where the system refuses that, it stays."""
        if self.end == self._end_before:
            return
        with suppress(OSError):
            write_all(self._disk, self._file, bytes(self.end - self._end_before), self._end_before)
            self.end = self._end_before
            self.crc = self.crc_before
            self.records -= 1
            self.is_dirty = self._is_dirty_before

    def sync(self) -> None:
        """Force what was appended to the disk. After an error nobody knows what is there: `OSError`."""
        self._disk.sync(self._file)
        self.is_dirty = False
        self._keep()

    def fill_reserve(self) -> None:
        """Allocate the reserve, or as much of it as there is room for."""
        limit = self.end + self.reserve
        size = limit - self._limit
        while self.trouble is None and self._limit < limit and size >= BLOCK_BYTES:
            try:
                self._allocate(min(self._limit + size, limit))
            except OSError:
                size //= 2

    def finish(self) -> None:
        """Give back what is allocated behind the last record, and force all to the disk. `OSError` as `sync`."""
        self._disk.truncate(self._file, self.end)
        self._limit = self.end
        self.sync()

    def close(self) -> None:
        """Close the file, as it is."""
        with suppress(OSError):
            self._disk.close(self._file)

    def discard(self) -> None:
        """Close the file and remove it, if the system lets us."""
        self.close()
        with suppress(OSError):
            self._disk.remove(self.path)

    def block(self, doing: str, error: OSError) -> None:
        """Refuse every further record, for that reason."""
        self.trouble = doing, error
        self._limit = -1

    def _keep(self) -> None:
        """Make what is written now what a record can be taken back to."""
        self._end_before, self.crc_before, self._is_dirty_before = self.end, self.crc, self.is_dirty

    def _make_room(self, end: int, spare: int) -> None:
        """Allocate up to `end` and `spare` bytes behind it, or raise. Ahead of that, as far as there is room."""
        if self.trouble is not None:
            raise JournalError(self.path, *self.trouble) from self.trouble[1]
        error: OSError | None = None
        plenty = end + self.reserve + self._step
        for wanted in (plenty, _whole_blocks(end + spare)):
            try:
                self._allocate(wanted)
            except OSError as refused:
                error = refused
            else:
                self.is_short = self.is_short and wanted < plenty
                return
        assert error is not None
        self.is_short = True
        raise JournalError(self.path, "no room for the record", error) from error

    def _allocate(self, limit: int) -> None:
        """Allocate up to `limit`, or raise `OSError`, with what was allocated before still there."""
        try:
            self._disk.allocate(self._file, self._limit, limit - self._limit)
        except OSError:
            with suppress(OSError):  # a part of it may be there
                self._disk.truncate(self._file, self._limit)
            raise
        self._limit = limit

    def _cut(self) -> None:
        """Remove what a failed write left."""
        try:
            self._disk.truncate(self._file, self.end)
        except OSError as error:
            self.block("can't remove the rest of a record that failed", error)
        else:
            self._limit = self.end


def _whole_blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
