"""What a journal asks of the disk, call by call, so that a test can let each of them fail or be the last.

Every method raises `OSError` as the system does. Files are the system's descriptors; writing is by offset, so that a
write that failed leaves nothing behind that would move the next one.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

_CHUNK_BYTES: Final = 1 << 16
_NO_ALLOCATION: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class Disk(Protocol):
    """The calls."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted."""

    def read(self, path: Path) -> Iterator[bytes]:
        """The bytes of a file, in pieces. The file is closed when they end or are no longer wanted."""

    def create(self, path: Path) -> int:
        """Make a file, which must not be there, and open it for writing."""

    def open(self, path: Path) -> int:
        """Open a file for writing that is there."""

    def write(self, file: int, data: bytes, offset: int) -> int:
        """Write what fits, and return how many bytes that were."""

    def allocate(self, file: int, offset: int, size: int) -> None:
        """Make sure that writes to these bytes find room. The file ends behind them, filled with zero bytes."""

    def truncate(self, file: int, size: int) -> None:
        """Cut a file, and give back what was allocated behind."""

    def sync(self, file: int) -> None:
        """Force a file to the disk."""

    def sync_folder(self, folder: Path) -> None:
        """Force the names in a folder to the disk."""

    def close(self, file: int) -> None:
        """Close a file."""

    def rename(self, old: Path, new: Path) -> None:
        """Move a file to a place in the same folder, at once; what was there is gone."""

    def remove(self, path: Path) -> None:
        """Remove a file."""

    def lock(self, path: Path) -> int | None:
        """Open a file, which need not be there, for this process alone; None: another one has it."""


class SystemDisk:
    """The calls as the system has them."""

    __slots__ = ()

    # The one call that is made for every command is the system's own function.
    write = staticmethod(os.pwrite)

    def names(self, folder: Path) -> list[str]:
        """See `Disk.names`."""
        return sorted(os.listdir(folder))  # an iterator over paths would hide errors until it is used

    def read(self, path: Path) -> Iterator[bytes]:
        """See `Disk.read`."""
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_CHUNK_BYTES):
                yield piece

    def create(self, path: Path) -> int:
        """See `Disk.create`."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)

    def open(self, path: Path) -> int:
        """See `Disk.open`."""
        return os.open(path, os.O_RDWR)

    def allocate(self, file: int, offset: int, size: int) -> None:
        """See `Disk.allocate`. Where the system has no such call, zero bytes are written."""
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file, offset, size)
            except OSError as error:
                if error.errno not in _NO_ALLOCATION:
                    raise
            else:
                return
        end = offset + size
        while offset < end:
            offset += os.pwrite(file, bytes(min(_CHUNK_BYTES, end - offset)), offset)

    def truncate(self, file: int, size: int) -> None:
        """See `Disk.truncate`."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """See `Disk.sync`."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(file)
        else:
            os.fsync(file)

    def sync_folder(self, folder: Path) -> None:
        """See `Disk.sync_folder`."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self, file: int) -> None:
        """See `Disk.close`."""
        os.close(file)

    def rename(self, old: Path, new: Path) -> None:
        """See `Disk.rename`."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """See `Disk.remove`."""
        path.unlink()

    def lock(self, path: Path) -> int | None:
        """See `Disk.lock`. The system lets go of it when the process ends, however it ends."""
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        with suppress(OSError):  # for people who wonder whose it is; a full disk is no reason not to start
            os.ftruncate(file, 0)
            os.pwrite(file, b"%d\n" % os.getpid(), 0)
        return file


def write_all(disk: Disk, file: int, data: bytes, offset: int) -> None:
    """Write all of it, however many calls that takes."""
    written = disk.write(file, data, offset)
    while written < len(data):
        written += disk.write(file, data[written:], offset + written)
