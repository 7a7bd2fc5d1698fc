"""The trace of a server: every call and every transition as a line that `jsm verify` reads."""

from collections.abc import Callable
from pathlib import Path

from jsm.errors import BadValueError
from jsm.journal import JournalError, TraceFile
from jsm.records import CommandRecord, TransitionRecord
from jsm.trace import encode_header


class ServerTrace:
    """An observer that writes to a file of its own, which `begin` makes.

    A disk that takes no more ends the trace, which `say` tells, and not the server.
    """

    def __init__(self, path: str, say: Callable[[int, str], object]) -> None:
        self._path = Path(path)
        self._say = say
        self._file: TraceFile | None = None
        if self._path.exists():
            raise BadValueError("--trace", path, "a file that isn't there yet; name another one, or remove it")

    def begin(self, *, units_per_second: int, max_job_size: int, in_the_middle: bool) -> None:
        """Make the file; `in_the_middle` says that jobs may have been put before. Raises `JournalError`."""
        more = {"begins": "middle"} if in_the_middle else {}
        header = encode_header(units_per_second, max_job_size=max_job_size, **more)
        try:
            with self._path.open("x", encoding="ascii", newline="\n") as file:
                file.write(f"{header}\n")
        except OSError as error:
            raise JournalError(self._path, "can't open the trace", error) from error
        self._file = TraceFile(self._path, units_per_second=units_per_second)

    def transition(self, record: TransitionRecord) -> None:
        """Write a transition record."""
        if self._file is not None:
            try:
                self._file.transition(record)
            except JournalError as error:
                self._give_up(error)

    def command(self, record: CommandRecord) -> None:
        """Write a command record."""
        if self._file is not None:
            try:
                self._file.command(record)
            except JournalError as error:
                self._give_up(error)

    def close(self) -> None:
        """Force everything to the disk."""
        if self._file is not None:
            try:
                self._file.close()
            except JournalError as error:
                self._give_up(error)
            self._file = None

    def _give_up(self, error: JournalError) -> None:
        self._file = None
        self._say(0, f"{error}; the trace ends here")
