"""A trace as the command line names it: a file, standard input (`-`), gzip or not, as bounded lines; and a snapshot."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from jsm.trace import TraceError

if TYPE_CHECKING:
    from jsm.interface import JSMSnapshot

STANDARD_INPUT: Final = "-"
LINE_BYTES_MAX: Final = 1 << 26
"""The longest line that is read; a body of the default size is 400,000 bytes when each has to be escaped."""

_GZIP: Final = b"\x1f\x8b"


class UnreadableError(Exception):
    """A trace or snapshot can't be read; the message is one line that names it, the place and the remedy."""


def name_of(trace: str) -> str:
    """What reports call a trace."""
    return "standard input" if trace == STANDARD_INPUT else trace


@contextmanager
def trace_lines(trace: str, progress: Callable[[int], None] | None = None) -> Iterator[Iterator[bytes]]:
    """The lines of a trace, lazily, unpacked where it is packed.

    `progress` is told how many bytes were read, now and then.

    Within the block, `TraceError` and what the system or the packing says become `UnreadableError`.
    """
    name = name_of(trace)
    try:
        if trace == STANDARD_INPUT:
            yield _lines(sys.stdin.buffer, progress)
        else:
            with Path(trace).open("rb") as file:
                yield _lines(file, progress)
    except TraceError as error:
        problem = str(error).removeprefix(f"line {error.line}: ")
        raise UnreadableError(f"{name}:{error.line}: {problem}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableError(f"{name}: the packed file is damaged ({error}); make it anew with gzip") from None
    except OSError as error:
        raise UnreadableError(f"{name}: {error.strerror or error}; name a trace that can be read, or -") from None


def read_snapshot(path: Path) -> "JSMSnapshot":
    """The snapshot of a machine that a file holds, given by `--snapshot`. Raises `UnreadableError`."""
    from jsm.errors import JsmError
    from jsm.journal import read_snapshot_file
    from jsm.machine import Machine

    machine = Machine()
    try:
        read_snapshot_file(path, machine.snapshot())
    except JsmError as error:
        raise UnreadableError(f"--snapshot: {error}") from None
    return machine.snapshot()


def _lines(file: IO[bytes], progress: Callable[[int], None] | None) -> Iterator[bytes]:
    buffered = file if isinstance(file, BufferedReader) else BufferedReader(file)  # type: ignore[type-var]
    is_packed = buffered.peek(2).startswith(_GZIP)
    unpacked = gzip.GzipFile(fileobj=buffered) if is_packed else buffered
    number = 0
    while line := unpacked.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise TraceError(number, "text", line[:40], f"a line of at most {LINE_BYTES_MAX} bytes")
        if progress is not None and number & 0x3FF == 0 and file.seekable():
            progress(file.tell())
        yield line
