"""Histories: what the clients of a queue saw, with the instants of each call and each return.

A history is what can be noted from outside: of any server, in any language, without a look into it. It starts with an
empty queue. The first line names the format; every other line is one operation of one client:

    {"format":"jsm-history","version":1,"units_per_second":1000}
    {"client":"a","called_at":0,"returned_at":2,"op":"put","args":{"tube":"t","priority":0,"delay_seconds":0,
     "ttr_seconds":5,"body":"x"},"outcome":{"ok":1}}
    {"client":"b","called_at":1,"returned_at":3,"op":"reserve","args":{"tubes":["t"],"timeout_seconds":1},
     "outcome":{"ok":{"job_id":1,"body":"x"}}}
    {"client":"b","called_at":4,"returned_at":null,"op":"delete","args":{"job_id":1},"outcome":null}

(each on one line). Instants are whole time units of one clock that all observers share: `called_at` not after the
first byte of the command was sent, `returned_at` not before the last byte of the reply was there. A `returned_at` and
an outcome of null: the operation never returned; it may have taken effect at any instant since its call, or not at all.

`OPERATIONS` lists the operations with their arguments, named as those of the machine; a reserve lasts until it is
answered. An outcome is {"ok": value} or {"refused": kind}. The value: of put the job's id; of reserve, reserve_job,
get_job and the peeks {"job_id": …, "body": …}; of kick_n the number of jobs; else null. The kinds: `missing`,
`wrong-state`, `unauthorized`, or `not-found` where the client can't tell which; of a reserve `timeout` and
`deadline-soon`; and `bad-value` and `failed`, by which the server says that nothing happened. A body may be left out
everywhere; it is a text of the code points 0 to 255. Further fields are ignored. Lines may stand in any order.

Jobs from before the history are written as puts; a connection that was closed or lost as a `close_client`, which never
returns unless the client knows when the server noticed. A client is one connection: after its close it does nothing
more. It may have several operations under way, but one reserve only.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from jsm.trace import TraceError

HISTORY_FORMAT: Final = "jsm-history"
HISTORY_VERSION: Final = 1

T = TypeVar("T")


class Operation(NamedTuple):
    """One operation of one client, as it saw it."""

    client: str
    called_at: int  # in time units of the observers' clock
    returned_at: int | None  # None: it never returned
    op: str
    args: Mapping[str, Any]
    outcome: Mapping[str, Any] | None  # {"ok": value} or {"refused": kind}; None: it never returned
    line: int = 0  # in its file; 0: not from a file

    def __str__(self) -> str:
        args = ", ".join(f"{name}={_text_of(value)}" for name, value in self.args.items())
        match self.outcome:
            case None:
                ended = "never returned"
            case {"refused": kind}:
                ended = str(kind)
            case outcome:
                ended = _text_of(outcome["ok"])
        until = "…" if self.returned_at is None else str(self.returned_at)
        return f"{self.client}: {self.op}({args}) → {ended} [{self.called_at}, {until}]"


@dataclass(frozen=True, slots=True)
class History:
    """The operations of all clients of one queue, by the instant of their calls."""

    units_per_second: int
    operations: tuple[Operation, ...]


_INTEGER, _POSITIVE, _SECONDS, _TEXT, _TEXTS, _BODY = range(6)

OPERATIONS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "put": {
            "tube": _TEXT,
            "priority": _INTEGER,
            "delay_seconds": _INTEGER,
            "ttr_seconds": _INTEGER,
            "body": _BODY,
        },
        "reserve": {"tubes": _TEXTS, "timeout_seconds": _SECONDS},
        "reserve_job": {"job_id": _POSITIVE},
        "delete": {"job_id": _POSITIVE},
        "release": {"job_id": _POSITIVE},
        "release_with": {"job_id": _POSITIVE, "priority": _INTEGER, "delay_seconds": _INTEGER},
        "touch": {"job_id": _POSITIVE},
        "bury": {"job_id": _POSITIVE, "priority": _INTEGER},
        "kick": {"job_id": _POSITIVE},
        "kick_n": {"tube": _TEXT, "n": _INTEGER},
        "peek_ready_job": {"tube": _TEXT},
        "peek_delayed_job": {"tube": _TEXT},
        "peek_buried_job": {"tube": _TEXT},
        "get_job": {"job_id": _POSITIVE},
        "pause_tube": {"tube": _TEXT, "seconds": _INTEGER},
        "close_client": {},
    }
)
"""The operations with their arguments: a name, and what its value must be."""

_EXPECTED: Final = {
    _INTEGER: "an integer of at least 0",
    _POSITIVE: "an integer of at least 1",
    _SECONDS: "an integer of at least 0, or null: no limit",
    _TEXT: "a text that is not empty",
    _TEXTS: "a list of at least one text",
    _BODY: "a text of the code points 0 to 255, or nothing",
}
_JOB_ANSWERS: Final = frozenset(
    {"reserve", "reserve_job", "peek_ready_job", "peek_delayed_job", "peek_buried_job", "get_job"}
)
_NUMBER_ANSWERS: Final = {"put": 1, "kick_n": 0}
_ANYWHERE: Final = ("bad-value", "failed")
REFUSALS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **{
            op: ("not-found", "missing", "wrong-state", "unauthorized", *_ANYWHERE)
            for op in OPERATIONS
            if op not in ("put", "reserve", "kick_n", "close_client")
        },
        "put": _ANYWHERE,
        "kick_n": _ANYWHERE,
        "close_client": _ANYWHERE,
        "reserve": ("timeout", "deadline-soon", *_ANYWHERE),
    }
)
"""How each operation may be refused."""


def make_history(operations: Iterable[Operation], *, units_per_second: int) -> History:
    """A history of these operations, checked, in order of their calls. Raises `TraceError`."""
    if type(units_per_second) is not int or units_per_second < 1:
        raise TraceError(1, "units_per_second", units_per_second, "an integer of at least 1")
    checked = []
    for number, operation in enumerate(operations, start=1):
        line = operation.line or number
        fields = operation._asdict()
        checked.append(_operation(line, fields))
    ordered = sorted(checked, key=lambda operation: operation.called_at)
    _check_clients(ordered)
    return History(units_per_second, tuple(ordered))


def read_history(lines: Iterable[str | bytes]) -> History:
    """Read a history whole. Raises `TraceError`, whose `in_file` adds the file's name, at the first bad line."""
    numbered = enumerate(lines, start=1)
    number, first = next(numbered, (1, ""))
    header = _parse(number, first)
    if header.get("format") != HISTORY_FORMAT:
        raise TraceError(number, "format", header.get("format"), f'"{HISTORY_FORMAT}", in the first line')
    if header.get("version") != HISTORY_VERSION or type(header["version"]) is not int:
        raise TraceError(
            number, "version", header.get("version"), f"{HISTORY_VERSION}, the one that this program reads"
        )
    units = header.get("units_per_second")
    if type(units) is not int or units < 1:
        raise TraceError(number, "units_per_second", units, "an integer of at least 1")
    operations = [_operation(number, _parse(number, line)) for number, line in numbered]
    operations.sort(key=lambda operation: operation.called_at)
    _check_clients(operations)
    return History(units, tuple(operations))


def encode_history(history: History) -> Iterator[str]:
    """The lines of a history, header first, without line feeds. Lazy."""
    header = {"format": HISTORY_FORMAT, "version": HISTORY_VERSION, "units_per_second": history.units_per_second}
    yield json.dumps(header, separators=(",", ":"))
    for operation in history.operations:
        fields = operation._asdict()
        del fields["line"]
        fields["args"] = dict(operation.args)
        yield json.dumps(fields, separators=(",", ":"), allow_nan=False)


# ---------------------------------------------------------------------- recording


class HistoryRecorder:
    """Notes what the clients of a queue do, from any number of threads.

    `clock` gives whole time units that never go back, the same for all threads, such as `time.monotonic_ns` with
    1,000,000,000 units a second. `refusals` says which of a client library's exceptions mean which refusal.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        units_per_second: int,
        refusals: Mapping[type[BaseException], str] | None = None,
    ) -> None:
        self._clock = clock
        self._units_per_second = units_per_second
        self._refusals = dict(refusals or {})
        self._start = clock()
        self._lock = threading.Lock()
        self._operations: list[Operation] = []

    def record(
        self,
        client: str,
        op: str,
        args: Mapping[str, Any],
        run: Callable[[], T],
        outcome: Callable[[T], Mapping[str, Any]] = lambda _: {"ok": None},
    ) -> T:
        """Run a client's operation and note it; gives back what it returned, or raises what it raised.

        `outcome` says what a returned value means. An exception that `refusals` knows is noted as that refusal, any
        other as an operation that never returned.
        """
        called_at = self._clock() - self._start
        try:
            value = run()
        except BaseException as error:
            returned_at = self._clock() - self._start
            kind = next((kind for known, kind in self._refusals.items() if isinstance(error, known)), None)
            if kind is None:
                self._note(Operation(client, called_at, None, op, args, None))
            else:
                self._note(Operation(client, called_at, returned_at, op, args, {"refused": kind}))
            raise
        returned_at = self._clock() - self._start
        self._note(Operation(client, called_at, returned_at, op, args, outcome(value)))
        return value

    def close(self, client: str) -> None:
        """Note, before it happens, that a client's connection closes; the server will notice at some later instant."""
        self._note(Operation(client, self._clock() - self._start, None, "close_client", {}, None))

    def history(self) -> History:
        """What has ended so far. Raises `TraceError` when something that was noted can't be part of a history."""
        with self._lock:
            noted = list(self._operations)
        return make_history(noted, units_per_second=self._units_per_second)

    def _note(self, operation: Operation) -> None:
        with self._lock:
            self._operations.append(operation)


# ---------------------------------------------------------------------- reading


def _operation(line: int, fields: Mapping[str, Any]) -> Operation:
    """An operation from the fields of a line."""
    client = fields.get("client")
    if type(client) is not str or not client:
        raise TraceError(line, "client", client, "a text that is not empty")
    called_at = fields.get("called_at")
    if type(called_at) is not int or called_at < 0:
        raise TraceError(line, "called_at", called_at, "an integer of at least 0, in time units")
    returned_at = fields.get("returned_at")
    if returned_at is not None and (type(returned_at) is not int or returned_at < called_at):
        raise TraceError(line, "returned_at", returned_at, f"an integer of at least called_at, {called_at}, or null")
    op = fields.get("op")
    if type(op) is not str or op not in OPERATIONS:
        raise TraceError(line, "op", op, f"one of {', '.join(OPERATIONS)}")
    args = fields.get("args")
    if not isinstance(args, Mapping):
        raise TraceError(line, "args", args, "an object")
    known = OPERATIONS[op]
    for name, form in known.items():
        _check_argument(line, f"args.{name}", args.get(name), form, there=name in args)
    outcome = fields.get("outcome")
    if (outcome is None) is not (returned_at is None):
        raise TraceError(line, "outcome", outcome, "null when, and only when, returned_at is null")
    if outcome is not None:
        _check_outcome(line, op, outcome)
    kept = {name: args[name] for name in known if name in args}
    return Operation(client, called_at, returned_at, op, kept, outcome, line)


def _check_argument(line: int, field: str, value: object, form: int, *, there: bool) -> None:
    """Raise unless the value has the form."""
    match form:
        case 0 | 1:
            fits = type(value) is int and value >= form
        case 2:
            fits = there and (value is None or (type(value) is int and value >= 0))
        case 3:
            fits = type(value) is str and value != ""
        case 4:
            fits = isinstance(value, list | tuple) and len(value) > 0 and all(type(each) is str for each in value)
        case _:
            fits = value is None or (type(value) is str and all(ord(each) < 256 for each in value))
    if not fits:
        raise TraceError(line, field, value, _EXPECTED[form])


def _check_outcome(line: int, op: str, outcome: object) -> None:
    """Raise unless it is a possible outcome of the operation."""
    if not isinstance(outcome, Mapping) or ("ok" in outcome) is ("refused" in outcome):
        raise TraceError(line, "outcome", outcome, "an object with either ok or refused in it")
    if "refused" in outcome:
        if outcome["refused"] not in REFUSALS[op]:
            raise TraceError(line, "outcome.refused", outcome["refused"], f"one of {', '.join(REFUSALS[op])}")
        return
    value = outcome["ok"]
    if op in _NUMBER_ANSWERS:
        _check_argument(line, "outcome.ok", value, _NUMBER_ANSWERS[op], there=True)
    elif op in _JOB_ANSWERS:
        if not isinstance(value, Mapping):
            raise TraceError(line, "outcome.ok", value, "an object with the job's job_id and body")
        _check_argument(line, "outcome.ok.job_id", value.get("job_id"), _POSITIVE, there=True)
        _check_argument(line, "outcome.ok.body", value.get("body"), _BODY, there=True)
    elif value is not None:
        raise TraceError(line, "outcome.ok", value, "null")


def _check_clients(operations: Iterable[Operation]) -> None:
    """Raise when a client does anything after its close, or has two reserves under way."""
    closed: dict[str, Operation] = {}
    reserving: dict[str, Operation] = {}
    for operation in operations:  # by their calls
        client = operation.client
        if client in closed:
            raise TraceError(
                operation.line,
                "client",
                client,
                f"no operation after its close_client (line {closed[client].line}): give each connection its own name",
            )
        if operation.op == "close_client":
            closed[client] = operation
        elif operation.op == "reserve":
            last = reserving.get(client)
            if last is not None and (last.returned_at is None or last.returned_at > operation.called_at):
                raise TraceError(
                    operation.line,
                    "called_at",
                    operation.called_at,
                    f"a reserve after the client's one of line {last.line} returned, which it did "
                    + ("never" if last.returned_at is None else f"at {last.returned_at}"),
                )
            reserving[client] = operation


def _parse(line: int, text: str | bytes) -> dict[str, Any]:
    """The fields of a line, which is one JSON object."""
    try:
        shown = text.decode() if isinstance(text, bytes) else text
        value = json.loads(shown, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise TraceError(line, "text", text, f"one JSON object in UTF-8 ({error})") from None
    if type(value) is not dict:
        raise TraceError(line, "text", text, "one JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} stands in it twice")
    return fields


def _text_of(value: object) -> str:
    """A value in a line for people, cut where it is long."""
    text = json.dumps(value) if isinstance(value, Mapping | list | tuple) or value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
