"""Records as JSON Lines: a trace, which people read and other implementations write.

Pure: lines in, records out, and back. The first line names the format, its version and the time units; every
other line is one record, whose fields are those of `jsm.records` and nothing else:

    {"format":"jsm-trace","version":1,"units_per_second":1}
    {"seq":1,"at":0,"job":1,"tube":"default","source":"new","trigger":"put","target":"ready","client":null}
    {"seq":1,"at":0,"client":null,"op":"put","args":{"now":0,"body":"a"},"outcome":{"ok":1}}

A record with `op` is a command, one with `job` a transition. Bodies are texts of the code points 0 to 255, one a
byte. Lines are written in ASCII, fields in the order above, arguments in the order in which they came; they are
read as UTF-8, fields in any order.

Reading is strict about what it knows and tolerant about what it doesn't. Every field is required, so a misspelt
one is noticed as missing; further fields are ignored, so that others may note more and later versions may
say more: a header's `max_job_size`, `begins` and `without`, for `jsm verify`, are such (`models.verify` describes
them). What changes the meaning of a known field raises the version, and another version is refused. Whether a
trace obeys the state diagram is not a matter of its form: `jsm verify` tells.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, NamedTuple

from jsm.errors import BadValueError, Refusal
from jsm.records import RECORD_VERSION, CommandRecord, Record, TransitionRecord
from jsm.states import JobState, Trigger

TRACE_FORMAT: Final = "jsm-trace"

_STATES: Final = {str(state): state for state in JobState}
_TRIGGERS: Final = {str(trigger): trigger for trigger in Trigger}
_REFUSALS: Final = frozenset(str(kind) for kind in Refusal)
_DEPTH_MAX: Final = 32  # of lists and objects in arguments: far beyond any call's, far below what a stack bears


class TraceError(BadValueError):
    """A line of a trace can't be read: which line, which field, what stands there, what should."""

    def __init__(self, line: int, field: str, value: object, expected: str, *, file: str | None = None) -> None:
        where = f"line {line}" if file is None else f"{file}, line {line}"
        super().__init__(f"{where}: {field}", value, expected)
        self.file = file
        self.line = line
        self.field = field

    def in_file(self, file: str) -> "TraceError":
        """The same error, naming the file too."""
        return TraceError(self.line, self.field, self.value, self.expected, file=file)


class Trace(NamedTuple):
    """A trace that is being read."""

    units_per_second: int
    records: Iterator[Record]  # lazy: an error in a line is raised when its turn comes


class TraceWriter:
    """An observer that writes each record as a line, the header first, into what the caller gives.

    `write` takes one line at a time, line feed included: a text file's `write`, or a list's `append`.
    """

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[str], object], *, units_per_second: int) -> None:
        self._write = write
        write(encode_header(units_per_second) + "\n")

    def transition(self, record: TransitionRecord) -> None:
        """Write a transition record."""
        self._write(encode_transition(record) + "\n")

    def command(self, record: CommandRecord) -> None:
        """Write a command record. Raises `BadValueError` when an argument is no JSON value."""
        self._write(encode_command(record) + "\n")


def encode_header(units_per_second: int, **more: object) -> str:
    """The first line of a trace, without a line feed; `more` are further fields of it, such as `max_job_size`."""
    if type(units_per_second) is not int or units_per_second < 1:
        raise BadValueError("units_per_second", units_per_second, "an integer of at least 1")
    fields = {"format": TRACE_FORMAT, "version": RECORD_VERSION, "units_per_second": units_per_second, **more}
    return json.dumps(fields, separators=(",", ":"))


def encode_record(record: Record) -> str:
    """The line of a record, without a line feed. Raises `BadValueError` when an argument is no JSON value."""
    if isinstance(record, TransitionRecord):
        return encode_transition(record)
    return encode_command(record)


def encode_transition(record: TransitionRecord) -> str:
    """The line of a transition record, without a line feed."""
    client = "null" if record.client is None else quoted(record.client)
    return (
        f'{{"seq":{record.seq},"at":{record.at},"job":{record.job},"tube":{quoted(record.tube)},'
        f'"source":"{record.source}","trigger":"{record.trigger}","target":"{record.target}","client":{client}}}'
    )


def encode_command(record: CommandRecord) -> str:
    """The line of a command record, without a line feed. Raises `BadValueError` when a value is not JSON's."""
    client = "null" if record.client is None else quoted(record.client)
    return (
        f'{{"seq":{record.seq},"at":{record.at},"client":{client},"op":{quoted(record.op)},'
        f'"args":{_encode_object("args", record.args)},"outcome":{_encode_object("outcome", record.outcome)}}}'
    )


def encode_trace(records: Iterable[Record], *, units_per_second: int) -> Iterator[str]:
    """The lines of a whole trace, header first, without line feeds. Lazy."""
    yield encode_header(units_per_second)
    for record in records:
        yield encode_record(record)


def read_trace(lines: Iterable[str | bytes]) -> Trace:
    """Read a trace line by line; at once its header, the records as they are asked for.

    Lines may end in a line feed, or in a carriage return and a line feed. Raises `TraceError` at the first line
    that is no record; reading can't go on after it.
    """
    numbered = enumerate(lines, start=1)
    number, first = next(numbered, (1, ""))
    header = _parse(number, first)
    if header.get("format") != TRACE_FORMAT:
        raise TraceError(number, "format", header.get("format", _NOTHING), f'"{TRACE_FORMAT}", in the first line')
    version = _integer(number, header, "version", 1)
    if version != RECORD_VERSION:
        raise TraceError(
            number, "version", version, f"{RECORD_VERSION}, the one that this program reads; convert the trace"
        )
    units = _integer(number, header, "units_per_second", 1)
    return Trace(units, (decode_record(line, number) for number, line in numbered))


def decode_record(line: str | bytes, number: int = 1) -> Record:
    """The record of one line, which is the trace's `number`-th. Raises `TraceError`."""
    fields = _parse(number, line)
    if "op" in fields and "job" in fields:
        raise TraceError(number, "op", fields["op"], "either op (a command) or job (a transition), not both")
    if "op" in fields:
        return _command(number, fields)
    if "job" in fields:
        return _transition(number, fields)
    raise TraceError(number, "record", fields, "a record with the field op (a command) or job (a transition)")


def _transition(number: int, fields: dict[str, Any]) -> TransitionRecord:
    """A transition record from the fields of a line."""
    return TransitionRecord(
        _integer(number, fields, "seq", 1),
        _integer(number, fields, "at", 0),
        _integer(number, fields, "job", 1),
        _text(number, fields, "tube"),
        _STATES[_word(number, fields, "source", _STATES)],
        _TRIGGERS[_word(number, fields, "trigger", _TRIGGERS)],
        _STATES[_word(number, fields, "target", _STATES)],
        _client(number, fields),
    )


def _command(number: int, fields: dict[str, Any]) -> CommandRecord:
    """A command record from the fields of a line."""
    return CommandRecord(
        _integer(number, fields, "seq", 0),
        _integer(number, fields, "at", 0),
        _client(number, fields),
        _text(number, fields, "op"),
        _object(number, fields, "args"),
        _outcome(number, fields),
    )


def _outcome(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a command: {"ok": value}, or {"refused": kind} with an optional error and message."""
    outcome = _object(number, fields, "outcome")
    if ("ok" in outcome) is ("refused" in outcome):
        raise TraceError(number, "outcome", outcome, "either ok or refused in it")
    if "refused" in outcome:
        kind = outcome["refused"]
        if type(kind) is not str or kind not in _REFUSALS:
            raise TraceError(number, "outcome.refused", kind, f"one of {', '.join(Refusal)}")
        for name in ("error", "message"):
            if type(outcome.get(name, "")) is not str:
                raise TraceError(number, f"outcome.{name}", outcome[name], "a text")
    return outcome


class _Nothing:
    """What an error shows as the value of a field that is not there."""

    def __repr__(self) -> str:
        return "nothing (the field is missing)"


_NOTHING: Final = _Nothing()


def _integer(number: int, fields: dict[str, Any], name: str, least: int) -> int:
    value = fields.get(name, _NOTHING)
    if type(value) is not int or value < least:
        raise TraceError(number, name, value, f"an integer of at least {least}")
    return value


def _text(number: int, fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, _NOTHING)
    if type(value) is not str or not value:
        raise TraceError(number, name, value, "a text that is not empty")
    return value


def _word(number: int, fields: dict[str, Any], name: str, words: Mapping[str, object]) -> str:
    value = fields.get(name, _NOTHING)
    if type(value) is not str or value not in words:
        raise TraceError(number, name, value, f"one of {', '.join(words)}")
    return value


def _client(number: int, fields: dict[str, Any]) -> str | None:
    """A client id; the empty one of a refused call included."""
    value = fields.get("client", _NOTHING)
    if value is None:
        return None
    if type(value) is not str:
        raise TraceError(number, "client", value, "a text, or null where no client is involved")
    return value


def _object(number: int, fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name, _NOTHING)
    if type(value) is not dict:
        raise TraceError(number, name, value, "an object")
    return value


def _parse(number: int, line: str | bytes) -> dict[str, Any]:
    """The fields of a line, which is one JSON object."""
    text = line
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise TraceError(
                number, "text", line, f"UTF-8 ({error.reason} at byte {error.start} of the line)"
            ) from None
    if not text.strip():
        raise TraceError(number, "text", text, "one JSON object; remove empty lines")
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise TraceError(number, "text", text, f"one JSON object ({error})") from None
    if type(value) is not dict:
        raise TraceError(number, "text", text, "one JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ: of two equal ones JSON doesn't say which counts."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} stands in it twice")
    return fields


def _no_constant(name: str) -> None:
    """Python reads NaN and the infinities; JSON has none."""
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """A number with a fraction or exponent; one beyond the range would come back as infinity."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


def _encode_object(field: str, value: Mapping[str, Any]) -> str:
    """A mapping as JSON text."""
    return _ENCODER.encode(_json_value(field, value, _DEPTH_MAX))


def _json_value(field: str, value: object, depth: int) -> object:
    """The value if reading gives it back (a tuple as a list); raises `BadValueError` for any other."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth:
        if isinstance(value, list | tuple):
            return [_json_value(field, item, depth - 1) for item in value]
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return {name: _json_value(f"{field}.{name}", item, depth - 1) for name, item in value.items()}
    raise BadValueError(
        field, value, f"a JSON value, at most {_DEPTH_MAX} deep; a body is a text of the code points 0 to 255"
    )
