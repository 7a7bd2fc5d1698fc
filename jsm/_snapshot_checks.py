"""Checks of a snapshot's entries, one by one, before a restore believes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from jsm.errors import JsmError, SnapshotError
from jsm.limits import (
    DEFAULT_TUBE,
    TTR_SECONDS_MIN,
    check_body,
    check_client_id,
    check_priority,
    check_seconds,
    check_tube_name,
    check_watch_list,
)
from jsm.reservations import ReservationStatus
from jsm.states import LIVE_STATES, JobState
from jsm.statistics import COMMAND_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsm.interface import JobRecord, SnapshotHeader
    from jsm.reservations import ClientResvEntry

P = ParamSpec("P")
T = TypeVar("T")


def require(holds: bool, where: str, problem: str) -> None:
    """Raise `SnapshotError` unless a condition holds."""
    if not holds:
        raise SnapshotError(f"{where}: {problem}")


def _is_count(*values: object) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def check_header(header: SnapshotHeader) -> None:
    """Raise `SnapshotError` unless the header can be one."""
    where = "header"
    require(
        _is_count(header.units_per_second) and header.units_per_second > 0, where, "units_per_second is not positive"
    )
    for field in (
        "max_job_size", "clock", "record_seq", "total_jobs", "job_timeouts", "jobs", "clients",
        "next_job_id", "next_bury_number",
    ):  # fmt: skip
        require(_is_count(getattr(header, field)), where, f"{field} = {getattr(header, field)!r} is not a count")
    require(header.next_job_id >= 1 and header.next_bury_number >= 1, where, "ids and bury numbers start at 1")
    require(header.total_jobs < header.next_job_id, where, "total_jobs is not below next_job_id")
    require(
        tuple(header.commands) == COMMAND_NAMES and _is_count(*header.commands.values()),
        where,
        "commands do not count each command of `stats`, in its order",
    )
    names = [tube.name for tube in header.tubes]
    require(names[:1] == [DEFAULT_TUBE], where, "the first tube is not 'default'")
    require(len(set(names)) == len(names), where, "a tube is named twice")
    for tube in header.tubes:
        _checked(where, check_tube_name, tube.name)
        at = f"header, tube {tube.name!r}"
        _checked(at, check_seconds, "pause_seconds", tube.pause_seconds)
        require(_is_count(tube.total_jobs, tube.deletes, tube.pauses), at, "a counter is not a count")
        require(tube.pause_ends_at is None or _is_count(tube.pause_ends_at), at, "pause_ends_at is no instant")
        require(tube.pause_ends_at is not None or not tube.pause_seconds, at, "pause_seconds without a pause")


def check_job_record(record: JobRecord, header: SnapshotHeader, last_id: int) -> None:
    """Raise `SnapshotError` unless the job can stand in a machine with the header, after the job `last_id`."""
    job = record.job
    where = f"job {job.id!r}"
    require(type(job.id) is int and job.id >= 1, where, "the id is not a positive integer")
    require(job.id > last_id, where, f"comes after job {last_id}: jobs are unique and in order of id")
    require(job.id < header.next_job_id, where, f"the id is not below next_job_id = {header.next_job_id}")
    require(job.state in LIVE_STATES, where, f"unknown state {job.state!r}")
    _checked(where, check_priority, job.priority)
    _checked(where, check_seconds, "delay_seconds", job.delay_seconds)
    _checked(where, check_seconds, "ttr_seconds", job.ttr_seconds)
    require(job.ttr_seconds >= TTR_SECONDS_MIN, where, "ttr_seconds is 0")
    _checked(where, check_body, job.body, header.max_job_size)
    require(
        _is_count(job.reserves, job.timeouts, job.releases, job.buries, job.kicks), where, "a counter is not a count"
    )
    require(_is_count(job.created_at) and job.created_at <= header.clock, where, "created_at lies after the clock")
    for state, field, value in (
        (JobState.RESERVED, "reserved_by", job.reserved_by),
        (JobState.RESERVED, "expires_at", job.expires_at),
        (JobState.DELAYED, "ready_at", job.ready_at),
        (JobState.BURIED, "bury_number", record.bury_number),
    ):
        require(bool(value) == (job.state is state), where, f"{field} = {value!r} in state {job.state}")
    require(job.state is JobState.BURIED or job.buried_at == 0, where, f"buried_at in state {job.state}")
    require(_is_count(job.expires_at, job.ready_at, job.buried_at, record.bury_number), where, "no instant")
    require(job.buried_at <= header.clock, where, "buried_at lies after the clock")
    require(record.bury_number < header.next_bury_number, where, "bury_number is not below next_bury_number")
    if job.reserved_by is not None:
        _checked(where, check_client_id, job.reserved_by)


def check_client_entry(entry: ClientResvEntry) -> None:
    """Raise `SnapshotError` unless the client's parts agree with each other."""
    where = f"client {entry.client_id!r}"
    _checked(where, check_client_id, entry.client_id)
    require(len(set(entry.watches)) == len(entry.watches), where, "watches a tube twice")
    require(type(entry.request_id) is str, where, "the request id is not a string")
    if entry.is_waiting:
        names = _checked(where, check_watch_list, entry.watched_tubes)
        require(names == tuple(entry.watched_tubes), where, "waits on a tube twice")
        deadline_at = entry.deadline_at
        require(deadline_at is None or _is_count(deadline_at), where, "deadline_at is no instant")
        require(entry.owed is None, where, "waits and is owed an answer at once")
    else:
        idle = not entry.watched_tubes and entry.deadline_at is None and entry.tick_at is None and not entry.request_id
        require(idle, where, "has a reservation's fields but does not wait")
    if entry.owed is not None:
        require(entry.owed.client_id == entry.client_id, where, "the owed answer names another client")
        require(
            entry.owed.status is ReservationStatus.MATCHED and _is_count(entry.owed.job_id), where, "owed is no match"
        )


def _checked(where: str, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a check of an argument; its refusal becomes a `SnapshotError` that says where."""
    try:
        return check(*args, **kwargs)
    except JsmError as refusal:
        raise SnapshotError(f"{where}: {refusal}") from refusal
