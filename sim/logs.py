"""A log of jobs as a table, and what all its formats share: opening, rejecting, sorting, reporting.

`sim.swf` and `sim.csv_log` read the formats. A line that can't be used is rejected: counted by reason with the
number of the first such line, and reported, never dropped in silence. A log that can't be read at all, or has
no usable line, raises `LogError`.
"""

import gzip
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, TypedDict

import numpy as np
from numpy.typing import NDArray

from sim.input_errors import LogError

BUNDLED_PREFIX = "bundled:"
_BUNDLED_LOGS = Path(__file__).parent / "data"
_GZIP_MAGIC = b"\x1f\x8b"

TIME_UNITS_MAX = 2**62
"""Instants and work of a log stay below it."""


class Rejected(TypedDict):
    """Lines that were not used, for one reason."""

    reason: str
    count: int
    first_line: int


@dataclass(frozen=True, slots=True, eq=False)
class LogTable:
    """The usable jobs of a log, by submit time; jobs of one instant in the order of their lines.

    Times are in time units, counted from the log's own second 0. An unknown value in `fields` is "".
    """

    name: str
    submit: NDArray[np.int64]
    work: NDArray[np.int64] | None  # None: the log has no column of work
    line: NDArray[np.int64]
    fields: Mapping[str, tuple[str, ...]]
    header: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]  # what the log's header says that a reader of the results must know
    lines_read: int
    out_of_order: int  # lines whose submit time lies before an earlier line's
    rejected: tuple[Rejected, ...]

    def __len__(self) -> int:
        """The number of usable jobs."""
        return len(self.submit)


class LogCollector:
    """Takes the lines of a log one by one and makes the table of them."""

    __slots__ = ("_fields", "_lines", "_rejected", "_submit", "_units_per_second", "_work", "lines_read", "name")

    def __init__(self, name: str, fields: tuple[str, ...], units_per_second: int) -> None:
        self.name = name
        self.lines_read = 0
        self._units_per_second = units_per_second
        self._submit: list[int] = []
        self._work: list[int] = []
        self._lines: list[int] = []
        self._fields: dict[str, list[str]] = {field: [] for field in fields}
        self._rejected: dict[str, Rejected] = {}

    def reject(self, reason: str, line: int) -> None:
        """Count a line that can't be used."""
        self._rejected.setdefault(reason, {"reason": reason, "count": 0, "first_line": line})["count"] += 1

    def accept(self, submit_seconds: float, work_seconds: float | None, fields: list[str], line: int) -> None:
        """Take a line over; rejects it when its times are no instants or durations.

        `fields` are the values of the fields that were asked for, in their order.
        """
        if not math.isfinite(submit_seconds) or not math.isfinite(work_seconds or 0.0):
            self.reject("a time is not a finite number", line)
            return
        if submit_seconds < 0:
            self.reject("the submit time is unknown or negative", line)
            return
        if work_seconds is not None and work_seconds < 0:
            self.reject("the run time is unknown or negative", line)
            return
        submit = round(submit_seconds * self._units_per_second)
        work = round((work_seconds or 0.0) * self._units_per_second)
        if submit >= TIME_UNITS_MAX or work >= TIME_UNITS_MAX:
            self.reject("a time is beyond 2^62 units", line)
            return
        self._submit.append(submit)
        self._work.append(work)
        self._lines.append(line)
        for column, value in zip(self._fields.values(), fields, strict=True):
            column.append(value)

    def table(self, *, has_work: bool, header: Mapping[str, tuple[str, ...]]) -> LogTable:
        """Everything that was taken over, sorted. Raises `LogError` when it is nothing."""
        rejected = tuple(self._rejected.values())
        if not self._submit:
            why = "; ".join(f"{row['reason']} ({row['count']}, first in line {row['first_line']})" for row in rejected)
            raise LogError(self.name, "", None, f"no line can be used: {why or 'the log is empty'}", "give another log")
        submit = np.array(self._submit, dtype=np.int64)
        order = np.argsort(submit, kind="stable")
        by_time = order.tolist()
        return LogTable(
            name=self.name,
            submit=submit[order],
            work=np.array(self._work, dtype=np.int64)[order] if has_work else None,
            line=np.array(self._lines, dtype=np.int64)[order],
            fields={name: tuple(column[row] for row in by_time) for name, column in self._fields.items()},
            header=header,
            notes=tuple(f"the header of {self.name} says: {note}" for note in header.get("Note", ())),
            lines_read=self.lines_read,
            out_of_order=int(np.count_nonzero(submit < np.maximum.accumulate(submit))),
            rejected=rejected,
        )


def log_path(file: str, directory: Path) -> Path:
    """Where a scenario's `file` is: `bundled:NAME`, or relative to the scenario's folder."""
    if file.startswith(BUNDLED_PREFIX):
        return _BUNDLED_LOGS / Path(file.removeprefix(BUNDLED_PREFIX)).name
    return directory / file


def bundled_logs() -> tuple[str, ...]:
    """The logs that are installed with the simulator, by name."""
    return tuple(sorted(path.name for path in _BUNDLED_LOGS.iterdir() if not path.name.startswith(("README", "."))))


@contextmanager
def opened_log(path: Path, name: str) -> Iterator[TextIO]:
    """The text of a log, unzipped when it is gzipped. Raises `LogError` with the remedy when it can't be read."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if zipped else raw
            # "replace": the comments of old logs are in any encoding, and only numbers are read
            with TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="") as text:
                yield text
    except FileNotFoundError as error:
        logs = ", ".join(BUNDLED_PREFIX + log for log in bundled_logs())
        remedy = f"give the path of a log, relative to the scenario file, or one of {logs}"
        raise LogError(name, "", None, "there is no such file", remedy) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = f"the gzip data is truncated or damaged ({error})"
        raise LogError(name, "", None, problem, "fetch the log again and compare its size or checksum") from error
    except OSError as error:
        problem = f"the log can't be read ({error.strerror or error})"
        raise LogError(name, "", None, problem, "give a readable file") from error
