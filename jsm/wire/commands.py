"""What each command does: it asks the machine, and its answer becomes a reply.

A handler changes its session and nothing else of the broker's: what a command makes due, a wait that begins and a
session that ends are the broker's to see.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from jsm.errors import BadValueError, JsmError
from jsm.job import JobID
from jsm.reservations import Reservation, ReservationStatus
from jsm.wire.codec import Command, encode_job, encode_ok, encode_tubes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jsm.interface import JSM
    from jsm.statistics import ProcessValue
    from jsm.wire.session import Session

_MATCHED, _QUEUED, _DEADLINE_SOON, _TIMEOUT = (
    ReservationStatus.MATCHED,
    ReservationStatus.QUEUED,
    ReservationStatus.DEADLINE_SOON,
    ReservationStatus.TIMEOUT,
)

_OWN_COMMANDS: Final = re.compile(rb"^cmd-(use|watch): (\d+)$", re.MULTILINE)


class Commands:
    """The commands' handlers, by word, and what `stats` tells of the connections.

    A handler takes the session, the command and `now`, and returns the reply; nothing when a wait begins or the
    session ends. It raises what the machine refuses, as `JsmError`. `process` gives values of `stats`.
    """

    __slots__ = (
        "_machine",
        "_process",
        "_units_per_second",
        "draining",
        "handlers",
        "own_uses",
        "own_watches",
        "producers",
        "workers",
    )

    def __init__(self, machine: JSM, process: Callable[[], Mapping[str, ProcessValue]]) -> None:
        self._machine = machine
        self._process = process
        self._units_per_second = machine.units_per_second
        self.draining = False
        self.producers = 0
        self.workers = 0
        self.own_uses = 0  # of the machine's `use_tube`, without a client's command
        self.own_watches = 0
        self.handlers: Final[dict[str, Callable[[Session, Command, int], bytes]]] = {
            "put": self._put,
            "reserve": self._reserve,
            "reserve-with-timeout": self._reserve_with_timeout,
            "reserve-job": self._reserve_job,
            "delete": self._delete,
            "release": self._release,
            "bury": self._bury,
            "touch": self._touch,
            "use": self._use,
            "watch": self._watch,
            "ignore": self._ignore,
            "peek": self._peek,
            "peek-ready": self._peek_ready,
            "peek-delayed": self._peek_delayed,
            "peek-buried": self._peek_buried,
            "kick": self._kick,
            "kick-job": self._kick_job,
            "stats": self._stats,
            "stats-job": self._stats_job,
            "stats-tube": self._stats_tube,
            "list-tubes": self._list_tubes,
            "list-tube-used": self._list_tube_used,
            "list-tubes-watched": self._list_tubes_watched,
            "pause-tube": self._pause_tube,
            "quit": self._quit,
        }

    # ------------------------------------------------------------------ commands: jobs

    def _put(self, session: Session, command: Command, now: int) -> bytes:
        priority, delay_seconds, ttr_seconds, _ = command.numbers
        if not session.is_producer:
            session.is_producer = True
            self.producers += 1
        if self.draining:
            self._machine.count_command("put")
            return b"DRAINING\r\n"
        try:
            job_id = self._machine.put(
                now,
                priority=priority,
                delay_seconds=delay_seconds,
                ttr_seconds=ttr_seconds,
                body=command.body,
                tube=session.tube,
            )
        except JsmError as error:
            if error.wire_reply == "INTERNAL_ERROR":  # no room for it in a journal
                return b"OUT_OF_MEMORY\r\n"
            raise
        return b"INSERTED %d\r\n" % job_id

    def _delete(self, session: Session, command: Command, now: int) -> bytes:
        self._machine.delete(_job_id(command), session.client_id, now=now)
        return b"DELETED\r\n"

    def _release(self, session: Session, command: Command, now: int) -> bytes:
        job_id, priority, delay_seconds = command.numbers
        self._machine.release_with(
            now, JobID(job_id), session.client_id, priority=priority, delay_seconds=delay_seconds
        )
        return b"RELEASED\r\n"

    def _bury(self, session: Session, command: Command, now: int) -> bytes:
        job_id, priority = command.numbers
        self._machine.bury(now, JobID(job_id), session.client_id, priority=priority)
        return b"BURIED\r\n"

    def _touch(self, session: Session, command: Command, now: int) -> bytes:
        self._machine.touch(now, _job_id(command), session.client_id)
        return b"TOUCHED\r\n"

    def _kick(self, session: Session, command: Command, now: int) -> bytes:
        kicked = self._machine.kick_n(session.tube, command.numbers[0], now=now)
        return b"KICKED %d\r\n" % kicked

    def _kick_job(self, session: Session, command: Command, now: int) -> bytes:
        self._machine.kick(_job_id(command), now=now)
        return b"KICKED\r\n"

    # ------------------------------------------------------------------ commands: reserving

    def _reserve(self, session: Session, command: Command, now: int) -> bytes:
        return self._append(session, now, None)

    def _reserve_with_timeout(self, session: Session, command: Command, now: int) -> bytes:
        return self._append(session, now, now + command.numbers[0] * self._units_per_second)

    def _append(self, session: Session, now: int, deadline_at: int | None) -> bytes:
        if not session.is_worker:
            session.is_worker = True
            self.workers += 1
        answer = self._machine.append_reservation(
            now, session.client_id, request_id="", tubes=session.watched, deadline_at=deadline_at
        )
        if answer.status is not _QUEUED:
            return encode_reservation(answer)
        session.is_waiting = True
        return b""

    def _reserve_job(self, session: Session, command: Command, now: int) -> bytes:
        answer = self._machine.reserve_job(now, _job_id(command), session.client_id)
        if not session.is_worker:
            session.is_worker = True
            self.workers += 1
        return encode_reservation(answer)

    # ------------------------------------------------------------------ commands: tubes

    def _use(self, session: Session, command: Command, now: int) -> bytes:
        tube = command.tube
        if tube == session.tube:
            self._machine.count_command("use")
        else:
            self._machine.use_tube(session.client_id, tube, now=now)
            session.tube = tube
        return b"USING %b\r\n" % tube.encode("ascii")

    def _watch(self, session: Session, command: Command, now: int) -> bytes:
        tube = command.tube
        if tube in session.watched:
            self._machine.count_command("watch")
        else:
            self._machine.watch_tube(session.client_id, tube, now=now)
            session.watch(tube)
        return b"WATCHING %d\r\n" % len(session.watched)

    def _ignore(self, session: Session, command: Command, now: int) -> bytes:
        tube = command.tube
        if session.watched == (tube,):  # the machine may not know of it yet: it can refuse what a new session watches
            self._machine.count_command("ignore")
            return b"NOT_IGNORED\r\n"
        if tube in session.watched:
            self._machine.ignore_tube(session.client_id, tube, now=now)
            session.ignore(tube)
        else:
            self._machine.count_command("ignore")
        return b"WATCHING %d\r\n" % len(session.watched)

    def _pause_tube(self, session: Session, command: Command, now: int) -> bytes:
        self._machine.pause_tube(now, command.tube, command.numbers[0])
        return b"PAUSED\r\n"

    # ------------------------------------------------------------------ commands: looks

    def _peek(self, session: Session, command: Command, now: int) -> bytes:
        job = self._machine.get_job(_job_id(command), now=now)
        return encode_job(b"FOUND", job.id, job.body)

    def _peek_ready(self, session: Session, command: Command, now: int) -> bytes:
        job = self._machine.peek_ready_job(session.tube, now=now)
        return encode_job(b"FOUND", job.id, job.body)

    def _peek_delayed(self, session: Session, command: Command, now: int) -> bytes:
        job = self._machine.peek_delayed_job(session.tube, now=now)
        return encode_job(b"FOUND", job.id, job.body)

    def _peek_buried(self, session: Session, command: Command, now: int) -> bytes:
        job = self._machine.peek_buried_job(session.tube, now=now)
        return encode_job(b"FOUND", job.id, job.body)

    def _stats(self, session: Session, command: Command, now: int) -> bytes:
        process = {
            **self._process(),
            "current-producers": self.producers,
            "current-workers": self.workers,
            "draining": self.draining,
        }
        try:
            text = self._machine.get_stats_as_yaml(now, process)
        except BadValueError:  # what `process` gave can't be shown: no fault of the client's
            return b"INTERNAL_ERROR\r\n"
        return encode_ok(_OWN_COMMANDS.sub(self._without_own, text))

    def _without_own(self, line: re.Match[bytes]) -> bytes:
        """A line of `stats` without the calls that no command asked for."""
        own = self.own_uses if line[1] == b"use" else self.own_watches
        return b"cmd-%b: %d" % (line[1], max(int(line[2]) - own, 0))  # a machine may be recovered, and count anew

    def _stats_job(self, session: Session, command: Command, now: int) -> bytes:
        return encode_ok(self._machine.get_stats_job_as_yaml(now, _job_id(command)))

    def _stats_tube(self, session: Session, command: Command, now: int) -> bytes:
        return encode_ok(self._machine.get_stats_tube_as_yaml(now, command.tube))

    def _list_tubes(self, session: Session, command: Command, now: int) -> bytes:
        self._machine.count_command("list-tubes")
        return encode_tubes(self._machine.get_tubes(now=now))

    def _list_tube_used(self, session: Session, command: Command, now: int) -> bytes:
        self._machine.count_command("list-tube-used")
        return b"USING %b\r\n" % session.tube.encode("ascii")

    def _list_tubes_watched(self, session: Session, command: Command, now: int) -> bytes:
        self._machine.count_command("list-tubes-watched")
        return encode_tubes(session.watched)

    def _quit(self, session: Session, command: Command, now: int) -> bytes:
        session.is_closing = True
        return b""


def _job_id(command: Command) -> JobID:
    """The job that a command names with its first number."""
    return command.numbers[0]  # type: ignore[return-value]  # JobID(…) would be a call


def encode_reservation(answer: Reservation) -> bytes:
    """The reply to a reserve."""
    if answer.status is _MATCHED:
        return encode_job(b"RESERVED", answer.job_id, answer.body)
    if answer.status is _DEADLINE_SOON:
        return b"DEADLINE_SOON\r\n"
    if answer.status is _TIMEOUT:
        return b"TIMED_OUT\r\n"
    return b"INTERNAL_ERROR\r\n"
