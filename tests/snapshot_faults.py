"""Entries of snapshots that no machine can have, and a part of what a restore says to each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jsm.interface import JobRecord
from jsm.job import ClientID, JobID, TubeName
from jsm.reservations import Reservation, ReservationStatus
from jsm.states import JobState
from tests.machines import Parts
from tests.refusals import BURIED, CLOCK, DELAYED, HELD, READY

Spoil = Callable[[Parts], Parts]


def header(**changes: Any) -> Spoil:
    """Change fields of the header."""
    return lambda parts: parts._replace(header=replace(parts.header, **changes))


def job(job_id: int, /, bury_number: int | None = None, **changes: Any) -> Spoil:
    """Change fields of a job."""

    def spoil(parts: Parts) -> Parts:
        place = job_id - 1
        old = parts.jobs[place]
        number = old.bury_number if bury_number is None else bury_number
        new = JobRecord(old.job._replace(**changes), number)
        return parts._replace(jobs=[*parts.jobs[:place], new, *parts.jobs[place + 1 :]])

    return spoil


def client(client_id: str, /, **changes: Any) -> Spoil:
    """Change fields of a client."""
    return lambda parts: parts._replace(
        clients=[replace(each, **changes) if each.client_id == client_id else each for each in parts.clients]
    )


def buried_twice(parts: Parts) -> Parts:
    """Two jobs with one place in the order of burials."""
    old = parts.jobs[READY - 1].job._replace(state=JobState.BURIED, buried_at=1)
    return parts._replace(jobs=[JobRecord(old, 1) if each.job.id == READY else each for each in parts.jobs])


def tube_again(parts: Parts) -> Parts:
    """A tube twice."""
    return header(tubes=(*parts.header.tubes, parts.header.tubes[1]))(parts)


def tube(**changes: Any) -> Spoil:
    """Change fields of the tube `t`."""

    def spoil(parts: Parts) -> Parts:
        tubes = (replace(each, **changes) if each.name == "t" else each for each in parts.header.tubes)
        return header(tubes=tuple(tubes))(parts)

    return spoil


def tube_unused(parts: Parts) -> Parts:
    """A tube that nothing refers to."""
    return header(tubes=(*parts.header.tubes, replace(parts.header.tubes[1], name=TubeName("lonely"))))(parts)


OWED = Reservation("r", ClientID("b"), ReservationStatus.MATCHED, JobID(5), b"x")
SPOILT: dict[str, tuple[str, Spoil]] = {
    "job twice": ("unique and in order", lambda p: p._replace(jobs=[p.jobs[0], *p.jobs])),
    "jobs out of order": ("unique and in order", lambda p: p._replace(jobs=p.jobs[::-1])),
    "job missing": ("5", lambda p: p._replace(jobs=p.jobs[1:])),
    "job id 0": ("positive", job(HELD, id=0)),
    "job id no number": ("positive", job(HELD, id="1")),
    "job id bool": ("positive", job(HELD, id=True)),
    "id from the future": ("next_job_id", lambda p: header(next_job_id=5, total_jobs=4)(p)),
    "unknown state": ("unknown state", job(READY, state="lost")),
    "ended state": ("unknown state", job(READY, state=JobState.DELETED)),
    "owner but not reserved": ("reserved_by", job(READY, reserved_by="a")),
    "reserved but no owner": ("reserved_by", job(HELD, reserved_by=None)),
    "reserved but no expiry": ("expires_at", job(HELD, expires_at=0)),
    "expiry but not reserved": ("expires_at", job(READY, expires_at=99)),
    "delayed but no instant": ("ready_at", job(DELAYED, ready_at=0)),
    "instant but not delayed": ("ready_at", job(READY, ready_at=99)),
    "buried but no number": ("bury_number", job(BURIED, bury_number=0)),
    "number but not buried": ("bury_number", job(READY, bury_number=1)),
    "bury number again": ("bury_number 1 again", buried_twice),
    "bury number from the future": ("next_bury_number", job(BURIED, bury_number=2)),
    "buried instant but not buried": ("buried_at", job(READY, buried_at=1)),
    "buried in the future": ("buried_at", job(BURIED, buried_at=CLOCK + 1)),
    "created in the future": ("created_at", job(READY, created_at=CLOCK + 1)),
    "priority too big": ("priority", job(READY, priority=2**32)),
    "delay too big": ("delay_seconds", job(READY, delay_seconds=2**32)),
    "ttr 0": ("ttr_seconds", job(READY, ttr_seconds=0)),
    "body no bytes": ("body", job(READY, body="x")),
    "body too big": ("max_job_size", header(max_job_size=0)),
    "counter negative": ("counter", job(READY, kicks=-1)),
    "owner empty": ("client_id|reserved_by", job(HELD, reserved_by="")),
    "job's tube unknown": ("nowhere", job(READY, tube="nowhere")),
    "client's use unknown": ("nowhere", client("w", uses="nowhere")),
    "client's watch unknown": ("nowhere", client("w", watches=("nowhere",))),
    "waits on an unknown tube": ("nowhere", client("b", watched_tubes=("nowhere",))),
    "client twice": ("comes twice", lambda p: p._replace(clients=[*p.clients, p.clients[-1]])),
    "owner not offered": (
        "'a': holds a job", lambda p: header(clients=4)(
            p._replace(clients=[each for each in p.clients if each.client_id != "a"]))),
    "client missing": ("clients", lambda p: p._replace(clients=p.clients[:-1])),
    "clients out of order": ("out of order", lambda p: p._replace(clients=p.clients[::-1])),
    "waiting before owed": ("out of order", lambda p: p._replace(clients=[p.clients[1], p.clients[0], *p.clients[2:]])),
    "waits and is owed": ("at once", client("b", owed=OWED)),
    "owed to another": ("another client", client("c", owed=OWED)),
    "owed but not matched": (
        "no match", client("c", owed=Reservation("r", ClientID("c"), ReservationStatus.TIMEOUT))),
    "waits on nothing": ("client 'b'", client("b", watched_tubes=())),
    "waits on a tube twice": ("twice", client("b", watched_tubes=("q", "q"))),
    "watches a tube twice": ("twice", client("w", watches=("only", "only"))),
    "deadline but no wait": ("does not wait", client("a", deadline_at=99)),
    "deadline no instant": ("deadline_at", client("b", deadline_at=-1)),
    "client without a name": ("client", client("w", client_id="")),
    "jobs counted wrong": ("declares 6", header(jobs=6)),
    "clients counted wrong": ("declares 4", header(clients=4)),
    "no default tube": ("default", lambda p: header(tubes=p.header.tubes[1:])(p)),
    "tube twice": ("named twice", tube_again),
    "tube unused": ("lonely", tube_unused),
    "clock negative": ("clock", header(clock=-1)),
    "clock rate 0": ("units_per_second", header(units_per_second=0)),
    "more puts than ids": ("total_jobs", header(total_jobs=6)),
    **{f"{field} negative": (f"{field} = -1 is not a count", header(**{field: -1})) for field in (
        "max_job_size", "record_seq", "total_jobs", "job_timeouts", "jobs", "clients", "next_job_id",
        "next_bury_number")},
    "clock no number": ("clock = '1' is not a count", header(clock="1")),
    "clock rate negative": ("units_per_second", header(units_per_second=-1)),
    "no id left": ("start at 1", header(next_job_id=0, total_jobs=0)),
    "no bury number left": ("start at 1", header(next_bury_number=0)),
    "as many puts as ids": ("total_jobs", lambda p: header(total_jobs=p.header.next_job_id)(p)),
    "a command counted negative": ("commands", lambda p: header(commands={**p.header.commands, "put": -1})(p)),
    "commands in another order": (
        "commands", lambda p: header(commands=dict(reversed(p.header.commands.items())))(p)),
    "tube without a name": ("tube = ''", tube(name="")),
    "pause too long": ("pause_seconds", tube(pause_seconds=2**32, pause_ends_at=99)),
    "pause ends before all time": ("no instant", tube(pause_seconds=1, pause_ends_at=-1)),
    "pause without an end": ("without a pause", tube(pause_ends_at=None)),
    **{f"tube's {field} negative": ("a counter is not a count", tube(**{field: -1}))
       for field in ("total_jobs", "deletes", "pauses")},
    **{f"job's {field} negative": ("a counter is not a count", job(READY, **{field: -1}))
       for field in ("reserves", "timeouts", "releases", "buries")},
    "ttr too big": ("ttr_seconds", job(READY, ttr_seconds=2**32)),
    "created before all time": ("created_at", job(READY, created_at=-1)),
    "id at the next": ("next_job_id", lambda p: header(next_job_id=6, total_jobs=0)(job(5, id=6)(p))),
    "expiry no number": ("no instant", job(HELD, expires_at="99")),
    "instant no number": ("no instant", job(DELAYED, ready_at="99")),
    "buried instant no number": ("no instant", job(BURIED, buried_at=-1)),
    "bury number no number": ("no instant", job(BURIED, bury_number=-1)),
    "owner no text": ("client_id = 5", job(HELD, reserved_by=5)),
    "request id no text": ("not a string", client("b", request_id=5)),
    "others before waiting": (
        "out of order", lambda p: p._replace(clients=[p.clients[0], *p.clients[2:], p.clients[1]])),
    "tubes but no wait": ("does not wait", client("a", watched_tubes=("t",))),
    "tick but no wait": ("does not wait", client("a", tick_at=99)),
    "request but no wait": ("does not wait", client("a", request_id="r")),
    "owed a job before all": (
        "no match", client("c", owed=Reservation("r", ClientID("c"), ReservationStatus.MATCHED, JobID(-1)))),
    "waits on a bad name": ("tube = '-'", client("b", watched_tubes=("-",))),
    "no command counters": ("commands", header(commands={})),
}  # fmt: skip
"""What is wrong → a part of the message, and how to make it wrong."""
