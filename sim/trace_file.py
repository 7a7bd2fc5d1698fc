"""The trace of a run on its way to the result folder: streamed to a file beside it, never held in memory."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jsm.trace import TraceWriter
from sim.results import OutputError

TRACE_FILE = "trace.jsonl"


class TraceFile(NamedTuple):
    """The observer that writes, and what moves the finished file into a result folder."""

    recorder: TraceWriter
    move_into: Callable[[Path], None]


@contextmanager
def trace_file(out: Path, *, units_per_second: int) -> Iterator[TraceFile]:
    """A trace that ends up in `out` when `move_into` is called, and leaves nothing behind when it is not.

    Raises `OutputError` in place of an `OSError` of the file's.
    """
    path = _near(out) / f".{out.resolve().name}.trace-{os.getpid()}"
    try:
        with path.open("w", encoding="ascii", newline="\n") as file:

            def write(line: str) -> None:
                try:
                    file.write(line)
                except OSError as error:
                    raise _explained(error, out) from error

            def move_into(folder: Path) -> None:
                file.close()
                path.replace(folder / TRACE_FILE)

            yield TraceFile(TraceWriter(write, units_per_second=units_per_second), move_into)
    except OSError as error:
        raise _explained(error, out) from error
    finally:
        path.unlink(missing_ok=True)


def _near(out: Path) -> Path:
    """The closest folder above `out` that exists: on the same disk, and nothing has to be made."""
    return next(folder for folder in out.resolve().parents if folder.is_dir())


def _explained(error: OSError, out: Path) -> OutputError:
    problem = f"the trace can't be written: {error.strerror or error}; nothing was left behind"
    return OutputError(
        str(out), "", None, problem, "name a folder on a disk with room with --out, or leave out --trace"
    )
