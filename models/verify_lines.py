"""The lines of a trace to check: what its header adds to that of `jsm.trace`, and records that lack declared fields."""

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jsm.limits import MAX_JOB_SIZE
from jsm.records import Record, TransitionRecord
from jsm.trace import TRACE_FORMAT, TraceError, decode_record, read_trace

if TYPE_CHECKING:
    from collections.abc import Mapping

ABSENT: Final = ("seq", "at", "client", "statistics")
"""What a header may declare that a trace's records don't have."""


class TraceHeader(NamedTuple):
    """What the first line of a trace says."""

    units_per_second: int
    max_job_size: int
    begins_in_the_middle: bool
    without: tuple[str, ...]


def format_of(line: str | bytes) -> object:
    """What a first line says its format is; None when it says none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value.get("format") if isinstance(value, dict) else None


def header_of(line: str | bytes, number: int = 1) -> TraceHeader:
    """Read a first line. Raises `TraceError`."""
    if not line:
        raise TraceError(number, "text", "", f'a header, {{"format":"{TRACE_FORMAT}", …}}: the trace is empty')
    units = _read(line, number)
    fields: Mapping[str, Any] = json.loads(line)
    size = fields.get("max_job_size", MAX_JOB_SIZE)
    if type(size) is not int or size < 0:
        raise TraceError(number, "max_job_size", size, "a number of bytes of at least 0")
    begins = fields.get("begins", "empty")
    if begins not in ("empty", "middle"):
        raise TraceError(number, "begins", begins, '"empty" (the default) or "middle"')
    without = fields.get("without", [])
    if type(without) is not list or not all(type(name) is str and name in ABSENT for name in without):
        raise TraceError(number, "without", without, f"a list of {', '.join(ABSENT)}")
    return TraceHeader(units, size, begins == "middle", tuple(name for name in ABSENT if name in without))


def _read(line: str | bytes, number: int) -> int:
    """The time units, once the format and the version are right."""
    try:
        return read_trace([line]).units_per_second
    except TraceError as error:
        raise whole(error, line) from None


def whole(error: TraceError, line: str | bytes) -> TraceError:
    """The error of a line that can't be read; of one without a line feed, which ends a trace, that it is cut off."""
    end: str | bytes = b"\n" if isinstance(line, bytes) else "\n"
    if error.field != "text" or line.endswith(end):  # type: ignore[arg-type]  # both are of one type
        return error
    return TraceError(error.line, "text", error.value, "a whole line; the trace is cut off here")


class PartialReader:
    """Reads the records of a trace whose header declares that fields are absent; they come out filled in."""

    __slots__ = ("_at", "_fills", "_seq", "_without")

    def __init__(self, without: tuple[str, ...], *, at: int = 0) -> None:
        self._without = tuple(name for name in without if name != "statistics")
        self._seq = 0  # of the last transition
        self._at = at  # of the last record

    def record(self, line: str | bytes, number: int) -> Record:
        """The record of a line. Raises `TraceError`."""
        try:
            if not self._without:
                return decode_record(line, number)
            return self._filled(line, number)
        except TraceError as error:
            raise whole(error, line) from None

    def _filled(self, line: str | bytes, number: int) -> Record:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            return decode_record(line, number)  # it says what is wrong
        if type(fields) is not dict:
            return decode_record(line, number)
        for name in self._without:
            if name in fields:
                raise TraceError(number, name, fields[name], "no such field: the header's without names it")
        args = fields.get("args")
        now = args.get("now") if type(args) is dict else None
        outcome = fields.get("outcome")
        accepted = type(outcome) is dict and "ok" in outcome
        at = max(now, self._at) if type(now) is int and accepted else self._at
        values = {"seq": self._seq + ("job" in fields), "at": at, "client": None}
        fill = "".join(f'"{name}":{json.dumps(values[name])},' for name in self._without)
        text = line.decode() if isinstance(line, bytes) else line
        record = decode_record(text.replace("{", f"{{{fill}", 1), number)
        if isinstance(record, TransitionRecord):
            self._seq = record.seq
        elif "client" in self._without and type(record.args.get("client_id")) is str:
            record = record._replace(client=record.args["client_id"])
        self._at = max(self._at, record.at)
        return record
