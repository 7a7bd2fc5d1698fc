"""Snapshots and traces as files of their own, each written by one call or by one observer.

What is written whole (`write_snapshot_file`, `write_trace_file`) is written beside its place first, forced to the
disk, and moved there at once: whoever looks sees the old file or the new one, never half of one, and an error
leaves the old one as it was and nothing beside it. What grows (`TraceFile`) is continued only behind a whole line.

Every error names the file: `JournalError` for what the system refuses, `SnapshotError` and `TraceError`
for what stands in the file.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from jsm.errors import SnapshotError
from jsm.interface import JSMSnapshot
from jsm.journal.errors import JournalError
from jsm.records import CommandRecord, Record, TransitionRecord
from jsm.snapshot_codec import SnapshotFormatError, encode_snapshot, restore_snapshot
from jsm.trace import (
    Trace,
    TraceError,
    encode_command,
    encode_header,
    encode_trace,
    encode_transition,
    read_trace,
)

_CHUNK_BYTES: Final = 1 << 16


def write_snapshot_file(path: str | os.PathLike[str], snapshot: JSMSnapshot) -> None:
    """Write a machine's snapshot, at once or (raising) not at all. O(jobs + clients).

    Raises `JournalError`, and `SnapshotError` as `encode_snapshot` does.
    """
    with _replaced(Path(path), "can't write the snapshot") as file:
        for line in encode_snapshot(snapshot):
            file.write(line)


def read_snapshot_file(path: str | os.PathLike[str], snapshot: JSMSnapshot) -> None:
    """Restore a machine from a snapshot file, at once or (raising) not at all. O((jobs + clients) log).

    Raises `JournalError`, and for a damaged file or one that the machine refuses `SnapshotError`, which says what is
    wrong and where.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            restore_snapshot(snapshot, iter(lambda: file.read(_CHUNK_BYTES), b""))
    except SnapshotFormatError as error:
        raise error.in_file(str(path)) from error
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error
    except OSError as error:
        raise JournalError(path, "can't read the snapshot", error) from error


def write_trace_file(path: str | os.PathLike[str], records: Iterable[Record], *, units_per_second: int) -> None:
    """Write a whole trace, at once or (raising) not at all. Raises `JournalError`."""
    with _replaced(Path(path), "can't write the trace") as file:
        for line in encode_trace(records, units_per_second=units_per_second):
            file.write(line.encode("ascii") + b"\n")


def read_trace_file(path: str | os.PathLike[str]) -> Trace:
    """Read a trace: at once its header, the records as they are asked for. The file is open until they end.

    Raises `JournalError`, `TraceError`; about the header at once, about a record when its turn comes.
    """
    path = Path(path)
    with _naming(path):
        trace = read_trace(_lines(path))
    return Trace(trace.units_per_second, _named_records(path, trace.records))


class TraceFile:
    """An observer that appends each record to a trace file, which it makes or continues. Close it, or use `with`.

    Records reach the disk when the file is closed, or earlier as the system likes. Raises `JournalError`; a file that
    can't be continued (another format, other units, an unfinished last line) raises `TraceError` and stays as it is.
    After a failed write the file is closed.
    """

    __slots__ = ("_file", "_path")

    def __init__(self, path: str | os.PathLike[str], *, units_per_second: int) -> None:
        self._path = Path(path)
        header = encode_header(units_per_second)
        with _naming(self._path, "can't open the trace"):
            new = not self._path.exists() or self._path.stat().st_size == 0
            if not new:
                _check_continues(self._path, units_per_second)
            self._file = self._path.open("a", encoding="ascii", newline="\n")
        if new:
            self._write(header)

    def transition(self, record: TransitionRecord) -> None:
        """Append a transition record."""
        self._write(encode_transition(record))

    def command(self, record: CommandRecord) -> None:
        """Append a command record. Raises `BadValueError` when an argument is no JSON value."""
        self._write(encode_command(record))

    def close(self) -> None:
        """Force everything to the disk and close the file. A second call does nothing."""
        if self._file.closed:
            return
        with _naming(self._path, "can't write the trace"), self._file as file:
            file.flush()
            os.fsync(file.fileno())

    def __enter__(self) -> "TraceFile":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _write(self, line: str) -> None:
        if self._file.closed:
            raise JournalError(self._path, "can't write the trace", OSError(errno.EBADF, "it is closed"))
        try:
            self._file.write(line + "\n")
        except OSError as error:
            with suppress(OSError):  # no more records: they would follow a gap
                self._file.close()
            raise JournalError(self._path, "can't write the trace", error) from error


def _check_continues(path: Path, units_per_second: int) -> None:
    """Raise `TraceError` unless records in these units may follow what stands in the file. O(1)."""
    with path.open("rb") as file:
        found = read_trace([file.readline()]).units_per_second
        if found != units_per_second:
            raise TraceError(
                1, "units_per_second", found, f"{units_per_second}, as the records to come; use another file"
            )
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.seek(0)
            lines = sum(1 for _ in file)
            raise TraceError(lines, "text", "an unfinished line", "a line feed at its end; complete or remove the line")


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, which is closed when they end or are no longer wanted."""
    with path.open("rb") as file:
        yield from file


def _named_records(path: Path, records: Iterator[Record]) -> Iterator[Record]:
    with _naming(path):
        yield from records


@contextmanager
def _naming(path: Path, doing: str = "can't read the trace") -> Iterator[None]:
    """Let errors from within name the file."""
    try:
        yield
    except TraceError as error:
        raise error.in_file(str(path)) from None
    except OSError as error:
        raise JournalError(path, doing, error) from error


@contextmanager
def _replaced(path: Path, doing: str) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of `path` when the block ends well, and vanishes otherwise."""
    part: Path | None = None
    try:
        place = path.resolve()  # behind a symbolic link, which stays one
        if place.exists() and not place.is_file():
            raise OSError(errno.EINVAL, "it is there and is no regular file")
        descriptor, part = _new_part(place.parent)
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
        _force_folder(place.parent)
    except BaseException as error:
        if part is not None:
            with suppress(OSError):
                part.unlink()
        if isinstance(error, OSError):
            raise JournalError(path, doing, error) from error
        raise


def _new_part(folder: Path) -> tuple[int, Path]:
    """A new file in a folder, open for writing, under a name that nobody else has."""
    number = 0
    while True:
        part = folder / f".jsm-{os.getpid()}-{number}.part"
        try:
            return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), part
        except FileExistsError:
            number += 1


def _force_folder(folder: Path) -> None:
    """Force a folder's entries to the disk: without it a crash may undo the move of a file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
