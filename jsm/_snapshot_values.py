"""Entries of a snapshot as JSON values, and back: what stands in the lines of `jsm.snapshot_codec`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from jsm.errors import BadValueError, SnapshotError
from jsm.interface import JobRecord, SnapshotHeader, TubeEntry
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.reservations import ClientResvEntry, Reservation, ReservationStatus
from jsm.states import LIVE_STATES

_HEADER_NUMBERS: Final = (
    "units_per_second",
    "max_job_size",
    "clock",
    "next_job_id",
    "record_seq",
    "next_bury_number",
    "total_jobs",
    "job_timeouts",
    "jobs",
    "clients",
)
_JOB_FIELDS: Final = (*JobView._fields, "bury_number")
_TUBE, _BODY, _STATE, _OWNER = (_JOB_FIELDS.index(name) for name in ("tube", "body", "state", "reserved_by"))
_JOB_NUMBERS: Final = tuple(place for place in range(len(_JOB_FIELDS)) if place not in (_TUBE, _BODY, _STATE, _OWNER))
_STATES: Final = {str(state): state for state in LIVE_STATES}
_STATUSES: Final = {str(status): status for status in ReservationStatus}
_SURROGATE_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def header_to_json(header: SnapshotHeader) -> dict[str, object]:
    """The header by the names of its fields."""
    return {
        **{name: getattr(header, name) for name in _HEADER_NUMBERS},
        "commands": dict(header.commands),
        "tubes": [
            [tube.name, tube.pause_seconds, tube.pause_ends_at, tube.total_jobs, tube.deletes, tube.pauses]
            for tube in header.tubes
        ],
    }


def job_to_json(record: JobRecord) -> list[object]:
    """A job's values in the order of `JobView`, and its bury number."""
    job = record.job
    if job.reserved_by is not None:
        _check_text(job.reserved_by)
    values: list[object] = [*job, record.bury_number]
    values[_BODY] = job.body.decode("latin-1")
    return values


def client_to_json(entry: ClientResvEntry) -> list[object]:
    """A client's values in the order of `ClientResvEntry`."""
    _check_text(entry.client_id)
    _check_text(entry.request_id)
    return [
        entry.client_id,
        entry.uses,
        list(entry.watches),
        entry.is_waiting,
        entry.request_id,
        list(entry.watched_tubes),
        entry.deadline_at,
        entry.tick_at,
        None if entry.owed is None else _owed_to_json(entry.owed),
    ]


def _owed_to_json(answer: Reservation) -> list[object]:
    if answer.error is not None:
        raise SnapshotError(f"client {answer.client_id!r} is owed an error, {answer.error!r}, which no file can hold")
    _check_text(answer.request_id)
    _check_text(answer.client_id)
    return [answer.request_id, answer.client_id, str(answer.status), answer.job_id, answer.body.decode("latin-1")]


def _check_text(text: str) -> None:
    """Raise `SnapshotError` for the one text that JSON's escapes don't give back."""
    if not text.isascii() and _SURROGATE_PAIR.search(text):
        raise SnapshotError(f"{text!r} holds two halves of a character side by side, which no file can hold")


def header_from_json(fields: Mapping[str, Any]) -> SnapshotHeader:
    """The header. Raises `BadValueError` for a field that is missing or of another type."""
    commands = fields.get("commands")
    if not isinstance(commands, dict):
        raise BadValueError("commands", commands, "an object of counts")
    tubes = fields.get("tubes")
    if not isinstance(tubes, list):
        raise BadValueError("tubes", tubes, "a list of tubes")
    return SnapshotHeader(
        **{name: _count(name, fields.get(name)) for name in _HEADER_NUMBERS},
        commands={name: _count(f"commands.{name}", count) for name, count in commands.items()},
        tubes=tuple(_tube(tube) for tube in tubes),
    )


def _tube(value: Any) -> TubeEntry:
    name, pause_seconds, pause_ends_at, total_jobs, deletes, pauses = _row("tube", value, 6)
    return TubeEntry(
        TubeName(_text("tube.name", name)),
        _count("tube.pause_seconds", pause_seconds),
        None if pause_ends_at is None else _count("tube.pause_ends_at", pause_ends_at),
        _count("tube.total_jobs", total_jobs),
        _count("tube.deletes", deletes),
        _count("tube.pauses", pauses),
    )


def job_from_json(value: Any) -> JobRecord:
    """A job. Raises `BadValueError` for a value of another type."""
    values = list(_row("job", value, len(_JOB_FIELDS)))
    for place in _JOB_NUMBERS:
        number = values[place]
        if type(number) is not int or number < 0:
            raise BadValueError(_JOB_FIELDS[place], number, "an integer of at least 0")
    values[_TUBE] = _text("tube", values[_TUBE])
    values[_BODY] = _body("body", values[_BODY])
    state = values[_STATE]
    if type(state) is not str or state not in _STATES:
        raise BadValueError("state", state, f"one of {', '.join(_STATES)}")
    values[_STATE] = _STATES[state]
    if values[_OWNER] is not None:
        values[_OWNER] = _text("reserved_by", values[_OWNER])
    return JobRecord(JobView(*values[:-1]), values[-1])


def client_from_json(value: Any) -> ClientResvEntry:
    """A client. Raises `BadValueError` for a value of another type."""
    row = _row("client", value, 9)
    client_id, uses, watches, is_waiting, request_id, watched_tubes, deadline_at, tick_at, owed = row
    if type(is_waiting) is not bool:
        raise BadValueError("is_waiting", is_waiting, "true or false")
    return ClientResvEntry(
        ClientID(_text("client_id", client_id)),
        None if uses is None else TubeName(_text("uses", uses)),
        _tubes("watches", watches),
        is_waiting,
        _text("request_id", request_id),
        _tubes("watched_tubes", watched_tubes),
        None if deadline_at is None else _count("deadline_at", deadline_at),
        None if tick_at is None else _count("tick_at", tick_at),
        None if owed is None else _owed(owed),
    )


def _owed(value: Any) -> Reservation:
    request_id, client_id, status, job_id, body = _row("owed", value, 5)
    if type(status) is not str or status not in _STATUSES:
        raise BadValueError("owed.status", status, f"one of {', '.join(_STATUSES)}")
    return Reservation(
        _text("owed.request_id", request_id),
        ClientID(_text("owed.client_id", client_id)),
        _STATUSES[status],
        JobID(_count("owed.job_id", job_id)),
        _body("owed.body", body),
    )


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise BadValueError(name, value, "an integer of at least 0")
    return value


def _text(name: str, value: Any) -> str:
    if type(value) is not str:
        raise BadValueError(name, value, "a text")
    return value


def _body(name: str, value: Any) -> bytes:
    try:
        return _text(name, value).encode("latin-1")
    except UnicodeEncodeError:
        raise BadValueError(name, value, "a text of the code points 0 to 255") from None


def _row(name: str, value: Any, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise BadValueError(name, value, f"a list of {length} values")
    return value


def _tubes(name: str, value: Any) -> tuple[TubeName, ...]:
    if not isinstance(value, list):
        raise BadValueError(name, value, "a list of tube names")
    return tuple(TubeName(_text(name, tube)) for tube in value)
