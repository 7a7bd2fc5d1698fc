"""The machine and all its sessions: a server without sockets and without a clock.

A driver (an asyncio server, a simulation, a test) tells the broker what arrives and when, takes the sessions that
have changed (`take_changed`), sends their output, and calls `tick` when `next_tick_at` comes. Every `now` is an
instant in the machine's time units and never lies before the one of an earlier call.

Before anything else at `now`, what is due at `now` happens; and what a command makes due, such as a put that a
client waits for, happens before the next command.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from jsm.errors import BadValueError, JsmError, TimeBackwardsError
from jsm.job import ClientID
from jsm.wire.codec import BadLine
from jsm.wire.commands import Commands, encode_reservation
from jsm.wire.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jsm.interface import JSM
    from jsm.statistics import ProcessValue

INPUT_LIMIT = 65_536  # bytes of commands that wait behind a reserve
OUTPUT_LIMIT = 262_144  # bytes of replies that the client doesn't read


class Broker:
    """A machine and the sessions of its clients. One command costs what the machine's operation costs.

    `process` gives the values of `stats` that only the process knows (`jsm.statistics.PROCESS_KEYS`); connections,
    producers, workers and draining are known here. `input_limit` and `output_limit` bound what a connection may
    leave unprocessed and unread, in bytes: one beyond them is not read from until it is below. Each can be passed
    by one piece of input and by one reply. A body on its way may take `max_job_size` bytes besides.

    Of a machine that was restored all clients have to be closed first: their ids would be given anew.

    A refusal of the machine is a reply. One that a tick or the end of a client meets (a full disk) is tried again at
    every later call, and by `next_tick_at` after a second.
    """

    __slots__ = (
        "_changed",
        "_commands",
        "_duties",
        "_now",
        "_process",
        "_retry_at",
        "_runnable",
        "_sessions",
        "_total_connections",
        "_units_per_second",
        "_waiting",
        "_woken",
        "input_limit",
        "machine",
        "output_limit",
    )

    def __init__(
        self,
        machine: JSM,
        *,
        process: Callable[[], Mapping[str, ProcessValue]] | None = None,
        input_limit: int = INPUT_LIMIT,
        output_limit: int = OUTPUT_LIMIT,
    ) -> None:
        for field, limit in (("input_limit", input_limit), ("output_limit", output_limit)):
            if type(limit) is not int or limit < 1:
                raise BadValueError(field, limit, "a number of bytes of at least 1")
        self.machine = machine
        self.input_limit = input_limit
        self.output_limit = output_limit
        self._process = process
        self._now = machine.clock
        self._units_per_second = machine.units_per_second
        self._sessions: dict[ClientID, Session] = {}
        self._changed: dict[Session, None] = {}
        self._runnable: deque[Session] = deque()  # may go on with commands that have arrived already
        self._woken: list[Session] = []  # were answered just now, and come before those
        self._duties: dict[tuple[str, ClientID], None] = {}  # refused by the machine, to be tried again
        self._retry_at: int | None = None  # when to try again what was refused
        self._waiting = 0  # sessions that wait for a reservation
        self._total_connections = 0
        self._commands = Commands(machine, self._process_values)

    # ------------------------------------------------------------------ the driver's side

    @property
    def sessions(self) -> Mapping[ClientID, Session]:
        """The sessions that are connected, by client id, in order of connection."""
        return self._sessions

    @property
    def draining(self) -> bool:
        """Whether puts are answered with `DRAINING`."""
        return self._commands.draining

    def connect(self, now: int) -> Session:
        """Begin a session, which uses and watches `default`. Its client id is "c1", "c2" … in order of connection."""
        self._begin(now)
        self._total_connections += 1
        session = Session(
            ClientID(f"c{self._total_connections}"),
            max_job_size=self.machine.max_job_size,
            input_limit=self.input_limit,
            output_limit=self.output_limit,
            on_drained=self._drained,
        )
        self._sessions[session.client_id] = session
        self._do("open", session.client_id, now)
        self._settle(now)
        return session

    def receive(self, now: int, session: Session, data: bytes) -> None:
        """Run the commands that `data` completes. O(commands), besides what the machine's operations cost.

        Those behind a reserve that waits stay where they are, as do those behind too much output. What arrives
        after `quit` is dropped.
        """
        self._begin(now)
        if not (session.is_closing or session.has_eof):
            session.reader.feed(data)
            self._run(session, now)
            if session.is_waiting and not session.is_reading:
                self._changed[session] = None
        if self._woken or self._runnable:
            self._settle(now)

    def receive_eof(self, now: int, session: Session) -> None:
        """The client sends no more: what it has sent is still answered, then the session closes.

        A wait ends with `TIMED_OUT` at once, as do later ones.
        """
        self._begin(now)
        if not (session.is_closing or session.has_eof):
            session.has_eof = True
            if session.is_waiting:
                self._do("cancel", session.client_id, now)
            self._run(session, now)
            self._changed[session] = None
        self._settle(now)

    def disconnect(self, now: int, session: Session) -> None:
        """The connection is gone, or has been closed: no effect when the session had ended already."""
        self._begin(now)
        session.output.clear()
        self._close(session, now)
        self._changed.pop(session, None)
        self._settle(now)

    def tick(self, now: int) -> None:
        """Do what is due at `now`, and what a session that was held back has to go on with."""
        self._begin(now)
        self._settle(now)

    def next_tick_at(self) -> int | None:
        """When `tick` would do something, in time units, never before the last call; None: never. O(1) amortised.

        After `Session.take_output` it may be at once: a session that was held back goes on.
        """
        if self._runnable:
            return self._now
        if self._retry_at is not None:
            return self._retry_at
        due = self.machine.next_tick_at()
        return self._now if due is not None and due < self._now else due

    def take_changed(self) -> list[Session]:
        """The sessions that have output, are to be closed or began or ceased to read since this was called last."""
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def drain(self) -> None:
        """Answer every later put with `DRAINING`."""
        self._commands.draining = True

    # ------------------------------------------------------------------ what is due, and whose turn it is

    def _begin(self, now: int) -> None:
        """What every call begins with: everything that is due at `now`."""
        if now < self._now:
            raise TimeBackwardsError(now, self._now)
        self._now = now
        if self._retry_at is not None:
            self._retry_at = None
            self._do_duties(now)
        self._tick_if_due(now)
        if self._woken or self._runnable:
            self._settle(now)

    def _settle(self, now: int) -> None:
        """What every call ends with: sessions go on that no longer have to wait.

        Whoever was answered last goes on first, and whoever answered it after that. So it makes no difference whether
        commands arrive together or one by one, and no chain of answers is too long.
        """
        while self._woken or self._runnable:
            if self._woken:
                self._runnable.extendleft(reversed(self._woken))
                self._woken.clear()
            session = self._runnable.popleft()
            if session.client_id in self._sessions:
                self._run(session, now)
                self._changed[session] = None

    def _run(self, session: Session, now: int) -> None:
        """Run the commands that have arrived, until one has to wait."""
        take = session.reader.take
        output = session.output
        handlers = self._commands.handlers
        while not (session.is_waiting or session.is_held or session.is_closing):
            command = take()
            if command is None:
                if session.has_eof:
                    self._close(session, now)
                break
            try:
                if isinstance(command, BadLine):
                    if command.counts:
                        self.machine.count_command(command.counts)
                    reply = command.reply
                else:
                    reply = handlers[command.name](session, command, now)
            except JsmError as error:
                reply = error.wire_reply.encode("ascii") + b"\r\n"
            output += reply
            if len(output) >= session.output_limit:
                session.is_held = True
            if not reply:
                self._go_silent(session, now)
            elif self._waiting or command[0] == "pause-tube":  # a pause of 0 seconds ends at once, whoever waits
                self._tick_if_due(now)
                if self._woken:
                    self._runnable.appendleft(session)
                    break
        if output:
            self._changed[session] = None

    def _drained(self, session: Session) -> None:
        """A session's output was taken: it is no longer held."""
        self._changed[session] = None
        if session.client_id in self._sessions:
            self._runnable.append(session)

    def _tick_if_due(self, now: int) -> None:
        due = self.machine.next_tick_at()
        if due is None or due > now:
            return
        try:
            answers = self.machine.tick(now)
        except JsmError:
            self._retry_at = now + self._units_per_second
            return
        for answer in answers:
            session = self._sessions.get(answer.client_id)
            if session is not None and session.is_waiting:
                self._end_wait(session, encode_reservation(answer))

    def _go_silent(self, session: Session, now: int) -> None:
        """A command without a reply: a wait began, or the session ends. Who has sent its last byte doesn't wait."""
        if session.is_closing:
            self._close(session, now)
            return
        self._waiting += 1
        if session.has_eof:
            self._do("cancel", session.client_id, now)

    def _end_wait(self, session: Session, reply: bytes) -> None:
        """Answer the reserve that a session waits for; its later commands have their turn soon."""
        session.is_waiting = False
        self._waiting -= 1
        session.output += reply
        self._changed[session] = None
        self._woken.append(session)

    def _close(self, session: Session, now: int) -> None:
        """End a session: its jobs become ready, its references go."""
        session.is_closing = True
        self._changed[session] = None
        if self._sessions.pop(session.client_id, None) is None:
            return
        if session.is_waiting:
            session.is_waiting = False
            self._waiting -= 1
        self._commands.producers -= session.is_producer
        self._commands.workers -= session.is_worker
        self._duties.pop(("open", session.client_id), None)
        self._duties.pop(("cancel", session.client_id), None)
        self._do("close", session.client_id, now)
        if self._waiting:
            self._tick_if_due(now)

    # ------------------------------------------------------------------ what no command asks for

    def _do(self, what: str, client_id: ClientID, now: int) -> None:
        """Tell the machine of a client; what it refuses (a journal may) is kept and tried again."""
        session = self._sessions.get(client_id)
        try:
            if what == "close":
                self.machine.close_client(client_id, now=now)
            elif session is None:
                pass
            elif what == "open":
                self._open(session, now)
            elif session.is_waiting:
                self.machine.cancel_reservation(client_id, now=now)
                self._end_wait(session, b"TIMED_OUT\r\n")
        except JsmError:
            self._duties[what, client_id] = None
            self._retry_at = now + self._units_per_second

    def _do_duties(self, now: int) -> None:
        duties = list(self._duties)
        self._duties.clear()
        for what, client_id in duties:
            self._do(what, client_id, now)

    def _open(self, session: Session, now: int) -> None:
        """The references to tubes that a session has, by default or by what it asked for since."""
        self.machine.use_tube(session.client_id, session.tube, now=now)
        self._commands.own_uses += 1
        for tube in session.watched:
            self.machine.watch_tube(session.client_id, tube, now=now)
            self._commands.own_watches += 1

    def _process_values(self) -> dict[str, ProcessValue]:
        """What `stats` tells of the process and its connections."""
        given = {} if self._process is None else self._process()
        return {
            **given,
            "current-connections": len(self._sessions),
            "total-connections": self._total_connections,
        }
