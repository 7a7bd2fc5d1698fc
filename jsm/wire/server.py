"""The server: sockets and the clock around a broker, on asyncio's loop or one that stands in for it.

Connections are sockets that the loop watches, without asyncio's streams and transports between: what arrives is
given to the broker in the same call, and what the broker answers leaves in one write before the loop goes on. No task
and no future is made for a connection or a command.

Both directions are bounded. Output that a client doesn't read stays in its session, which then reads no more
(`Session.is_reading`); what is kept here is the rest of one piece that the system took in part.

Time: the server sleeps until the broker's `next_tick_at`, with one timer armed.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final, Protocol

from jsm.errors import BadValueError, JsmError
from jsm.wire.broker import Broker
from jsm.wire.clocks import Clock, ManualClock
from jsm.wire.connections import Connection, EndWatch
from jsm.wire.listeners import Listener, open_listener, show_address
from jsm.wire.options import Address
from jsm.wire.session import Session

_READ_BYTES: Final = (
    65_536  # larger pieces make the allocator ask the system for memory at each read: four times slower
)
_WRITE_BYTES: Final = 262_144
_ACCEPTS_AT_ONCE: Final = 128  # so that a storm of connections leaves time for those that are there
_ACCEPT_AGAIN_SECONDS: Final = 1.0  # after the system refused to accept, for want of descriptors or memory
_TELL_AGAIN_SECONDS: Final = 60.0
_SLEEP_SECONDS_MAX: Final = 3600.0
_QUIET_PASSES_MAX: Final = 10_000

Say = Callable[[int, str], object]
"""Told what happens, a line each: 0 a trouble, 1 what the server does, 2 who comes and goes."""


class Journal(Protocol):
    """What a server asks of a machine that keeps a journal (`jsm.journal.DurableMachine`)."""

    def before_replies(self) -> None:
        """Make durable what the calls so far have changed; raises `JsmError` when no answer to them may leave."""

    def keep_clock(self, now: int) -> None:
        """Let a clock that was moved by hand go on at `now` after a restart; raises `JsmError` when it can't."""

    def next_sync_in(self) -> float | None:
        """Real seconds until it wants to be called although nothing happens; None: never."""


class Server:
    """A broker on sockets, under a clock with the machine's time units.

    `start` listens, `serve` waits until `end`, `stop` closes. An error that nobody expects ends the server: `serve`
    raises it, for whoever goes on after a fault can't know what it has broken.

    With a `journal`, no answer leaves before the journal says so. It is asked once for all that arrived in one pass of
    the loop, so that clients who are served together wait for the disk together.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        *,
        journal: Journal | None = None,
        say: Say = lambda level, line: None,
        talk: int = 0,
    ) -> None:
        if clock.units_per_second != broker.machine.units_per_second:
            raise BadValueError(
                "clock", f"{clock.units_per_second} units a second", f"the machine's {broker.machine.units_per_second}"
            )
        self.broker = broker
        self._clock = clock
        self._clock_now = clock.now
        self._now = broker.machine.clock  # of the last entry
        self._journal = journal
        self._flushes_soon = False  # the journal is asked at the end of the loop's pass
        self._sync_timer: asyncio.TimerHandle | None = None
        self._say = say
        self._names_clients = talk > 1
        self.ends = EndWatch()
        self._connections: dict[Session, Connection] = {}
        self._listeners: list[Listener] = []
        self._accepts_later: asyncio.TimerHandle | None = None
        self._told_at: float | None = None  # when it was last told that connections have to wait
        self._armed_at: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._events = 0  # reads and connections, to notice when nothing more arrives
        self._ended: asyncio.Future[None] | None = None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self, where: Address | Listener) -> Address:
        """Listen, here too, and return the address with the port that the system chose. Raises `ListenError`."""
        listener = where if isinstance(where, Listener) else open_listener(where)
        self._listeners.append(listener)
        loop = asyncio.get_running_loop()
        if self._ended is None:
            self._ended = loop.create_future()
        loop.add_reader(listener.socket, self._accept, listener)
        self._settle(self._clock_now())  # what a machine from a journal has to do
        return listener.address

    async def serve(self) -> None:
        """Wait until `end` or `stop` is called. Raises what a fault of the program raised."""
        if self._ended is not None:
            await asyncio.shield(self._ended)

    def end(self) -> None:
        """Let `serve` return."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def stop(self) -> None:
        """Listen no more and close all connections, once what is ready to be sent was offered to each."""
        if self._flushes_soon:
            self._flush_now()
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener.socket)
            listener.close()
        self._listeners.clear()
        for timer in (self._timer, self._sync_timer, self._accepts_later):
            if timer is not None:
                timer.cancel()
        self._timer = self._sync_timer = self._accepts_later = self._armed_at = None
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self.ends.close()
        self.end()

    async def advance(self, seconds: float) -> int:
        """Move a manual clock on, with a tick at each due instant on the way; returns where it is, in time units.

        What has been sent to the server before the call is read first, at the old instant; the replies of all that
        fell due have left when it returns. Raises `BadValueError`, for a clock of another kind too.
        """
        clock = self._clock
        if not isinstance(clock, ManualClock):
            raise BadValueError("clock", type(clock).__name__, "a ManualClock: only that one is advanced")
        stops = clock.advance(seconds, self.broker.next_tick_at)
        await self._quiet()
        for instant in stops:
            self._settle(instant)
            if self._flushes_soon:
                self._flush_now()
        if self._journal is not None:
            try:
                self._journal.keep_clock(clock.now())
                self._journal.before_replies()
            except JsmError as error:
                self._say(0, f"{error}; after a restart the clock may stand where it stood before")
        return clock.now()

    def drain(self) -> None:
        """Refuse every later put."""
        self.broker.drain()
        self._say(1, "draining: every put is refused from now on")

    # ------------------------------------------------------------------ entries: what the loop calls

    def receive(self, session: Session, data: bytes) -> None:
        """Something arrived; nothing: the client sends no more."""
        self._events += 1
        try:
            now = self._now = self._clock_now()
            if data:
                self.broker.receive(now, session, data)
            else:
                self.broker.receive_eof(now, session)
            self._flush(now)
        except BaseException as error:
            self._fail(error)

    def go_on(self, connection: Connection) -> None:
        """A connection has room again."""
        try:
            now = self._now = self._clock_now()
            if self._flushes_soon:  # its output is not released yet
                self._flush_now()
            connection.update()
            self._flush(now)
        except BaseException as error:
            self._fail(error)

    def lose(self, connection: Connection) -> None:
        """A client is gone."""
        try:
            self._now = self._clock_now()
            self.forget(connection)
            self._flush(self._now)
        except BaseException as error:
            self._fail(error)

    def forget(self, connection: Connection) -> None:
        """Close a connection and end its session."""
        session = connection.session
        connection.close()
        self._connections.pop(session, None)
        self.broker.disconnect(self._now, session)
        if self._names_clients:
            self._say(2, f"{session.client_id} is gone")
        if self._accepts_later is not None:
            self._accept_again()

    def _accept(self, listener: Listener) -> None:
        self._events += 1
        try:
            for _ in range(_ACCEPTS_AT_ONCE):
                try:
                    client, address = listener.socket.accept()
                except (BlockingIOError, InterruptedError):
                    break
                except ConnectionAbortedError:
                    continue
                except OSError as error:
                    self._accept_later(error)
                    break
                client.setblocking(False)
                self._now = self._clock_now()
                session = self.broker.connect(self._now)
                self._connections[session] = Connection(self, client, session)
                if self._names_clients:
                    place = show_address((address[0], address[1])) if address else "a Unix socket"
                    self._say(2, f"{session.client_id} comes from {place}")
            self._flush(self._now)
        except BaseException as error:
            self._fail(error)

    def _wake(self) -> None:
        self._timer = self._armed_at = None
        try:
            self._settle(self._clock_now())
        except BaseException as error:
            self._fail(error)

    # ------------------------------------------------------------------ what each entry ends with

    def _settle(self, now: int) -> None:
        """Do what is due at `now`."""
        self._now = now
        due = self.broker.next_tick_at()
        if due is not None and due <= now:
            self.broker.tick(now)
        self._flush(now)

    def _flush(self, now: int) -> None:
        """Let every session that changed have its way; with a journal, at the end of the loop's pass."""
        if self._journal is None:
            self._flush_all(now)
        elif not self._flushes_soon:
            self._flushes_soon = True
            asyncio.get_running_loop().call_soon(self._flush_soon)

    def _flush_soon(self) -> None:
        if self._flushes_soon:
            try:
                self._flush_now()
            except BaseException as error:
                self._fail(error)

    def _flush_now(self) -> None:
        self._flushes_soon = False
        self._flush_all(self._now)

    def _flush_all(self, now: int) -> None:
        """Let every session that changed have its way, then sleep until something is due."""
        broker = self.broker
        connections = self._connections
        while True:
            changed = broker.take_changed()
            if self._journal is not None and not self._is_released(self._journal, changed) and changed:
                continue  # the clients who were closed may have left something to others
            for session in changed:
                connection = connections.get(session)
                if connection is not None:
                    connection.update()
            due = broker.next_tick_at()
            if due is None:
                return
            if due > now:
                break
            broker.tick(now)  # a session that was held back goes on
        if self._armed_at is None or due < self._armed_at:
            self._arm(due)

    def _is_released(self, journal: Journal, changed: list[Session]) -> bool:
        """Whether answers may leave. Where they may not, clients learn nothing: their connections are closed."""
        try:
            journal.before_replies()
        except JsmError as error:
            self._say(0, f"{error}; closing the connections that wait for an answer")
            for session in changed:
                connection = self._connections.get(session)
                if connection is not None:
                    self.forget(connection)
            return False
        finally:
            seconds = journal.next_sync_in()
            if seconds is not None and self._sync_timer is None:
                self._sync_timer = asyncio.get_running_loop().call_later(_milliseconds_up(seconds), self._sync)
        return True

    def _sync(self) -> None:
        self._sync_timer = None
        try:
            self._flush_now()
        except BaseException as error:
            self._fail(error)

    def _arm(self, due: int) -> None:
        """Wake at `due`, in time units, rather than later. An armed timer that is too early stays: it does no harm."""
        seconds = self._clock.seconds_until(due)
        if seconds is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_at = due
        self._timer = asyncio.get_running_loop().call_later(
            _milliseconds_up(min(seconds, _SLEEP_SECONDS_MAX)), self._wake
        )

    def _accept_later(self, error: OSError) -> None:
        """Leave new connections where they are until one of ours ends, or a second has passed."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener.socket)
        now = loop.time()
        if self._told_at is None or now - self._told_at > _TELL_AGAIN_SECONDS:
            self._told_at = now
            self._say(0, f"can't accept connections for now: {error.strerror}; {len(self._connections)} are open")
        self._accepts_later = loop.call_later(_ACCEPT_AGAIN_SECONDS, self._accept_again)

    def _accept_again(self) -> None:
        if self._accepts_later is not None:
            self._accepts_later.cancel()
            self._accepts_later = None
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener.socket, self._accept, listener)

    async def _quiet(self) -> None:
        """Let the loop read until nothing more arrives: each pass looks at every socket at least once."""
        for _ in range(_QUIET_PASSES_MAX):
            seen = self._events
            for _ in range(3):
                await asyncio.sleep(0)
            if self._events == seen:
                return

    def _fail(self, error: BaseException) -> None:
        if self._ended is None or self._ended.done():
            raise error
        self._ended.set_exception(error)


def _milliseconds_up(seconds: float) -> float:
    """Whole milliseconds, rounded up: some loops know no smaller ones, and would wake too early again and again."""
    return math.ceil(seconds * 1000) / 1000
