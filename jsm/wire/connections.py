"""A client's socket under asyncio's loop: bytes in, bytes out, held back in both directions.

The loop watches the socket itself, without asyncio's streams and transports between: no task, no future and no second
buffer is made for a connection or a command.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Final, Protocol

from jsm.wire.session import Session

_READ_BYTES: Final = 65_536  # for larger pieces the allocator asks the system each time: longer than all else takes
_WRITE_BYTES: Final = 262_144


class EndWatch:
    """Notices that a client whose socket is not read from has sent its last byte.

    That takes Linux's epoll; elsewhere such a client is noticed when it is answered.
    """

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._calls: dict[int, Callable[[], object]] = {}

    def watch(self, file: int, call: Callable[[], object]) -> None:
        """Call when the end comes, once, if `forget` doesn't come first."""
        if not hasattr(select, "EPOLLRDHUP"):
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._notice)
        self._calls[file] = call
        self._epoll.register(file, select.EPOLLRDHUP)

    def forget(self, file: int) -> None:
        """Call no more; no effect when it isn't watched."""
        if self._epoll is not None and self._calls.pop(file, None) is not None:
            self._epoll.unregister(file)

    def close(self) -> None:
        """Watch nothing more."""
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        self._calls.clear()

    def _notice(self) -> None:
        if self._epoll is not None:
            for file, _ in self._epoll.poll(0):
                call = self._calls.get(file)
                self.forget(file)
                if call is not None:
                    call()


class Keeper(Protocol):
    """Whoever has the connections."""

    ends: EndWatch

    def receive(self, session: Session, data: bytes) -> None:
        """Something arrived; nothing: the client sends no more."""

    def go_on(self, connection: "Connection") -> None:
        """A connection has room again."""

    def lose(self, connection: "Connection") -> None:
        """A client is gone, as reading or writing shows."""

    def forget(self, connection: "Connection") -> None:
        """A connection is to be closed, while the keeper updates it."""


class Connection:
    """A client's socket and its session. The loop calls it when there is something to read, or room to write."""

    __slots__ = ("_file", "_has_end", "_keeper", "_loop", "_reads", "_recv", "_send", "_socket", "_unsent", "session")

    def __init__(self, keeper: Keeper, client: socket.socket, session: Session) -> None:
        self.session = session
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._socket = client
        self._file = client.fileno()
        self._recv = client.recv
        self._send = client.send
        self._reads = True
        self._has_end = False  # the client's last byte is on its way to us, and behind it nothing
        self._unsent: memoryview | None = None  # the rest of what the system took in part
        self._loop.add_reader(self._file, self._readable)

    def update(self) -> None:
        """Do what the session wants by now: send, cease or go on to read, close."""
        session = self.session
        if self._unsent is None and session.output:
            self._write()
            if self._file < 0:
                return
        if session.is_reading is not self._reads:
            self._read_or_not()
        if session.is_closing and self._unsent is None and not session.output:
            self._keeper.forget(self)

    def close(self) -> None:
        """Close the socket. A second call does nothing."""
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            self._loop.remove_writer(self._file)
            self._keeper.ends.forget(self._file)
            self._file = -1
            self._socket.close()

    def _read_or_not(self) -> None:
        """Read if the session wants to, or if it waits while its end has arrived: the end ends the wait."""
        session = self.session
        reads = session.is_reading or (self._has_end and session.is_waiting and not session.has_eof)
        if reads is self._reads:
            return
        self._reads = reads
        if reads:
            self._keeper.ends.forget(self._file)
            self._loop.add_reader(self._file, self._readable)
        else:
            self._loop.remove_reader(self._file)
            if not (session.has_eof or session.is_closing):
                self._keeper.ends.watch(self._file, self._end_arrived)

    def _end_arrived(self) -> None:
        self._has_end = True
        self._read_or_not()

    def _readable(self) -> None:
        try:
            data = self._recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # reset, or timed out: there is nobody any more
            self._keeper.lose(self)
            return
        self._keeper.receive(self.session, data)

    def _write(self) -> None:
        """Send output until there is none or the system takes no more."""
        while data := self.session.take_output(_WRITE_BYTES):
            sent = self._sent(data)
            if sent < 0:
                self._keeper.forget(self)
                return
            if sent < len(data):
                self._unsent = memoryview(data)[sent:]
                self._loop.add_writer(self._file, self._writable)
                return

    def _writable(self) -> None:
        unsent = self._unsent
        if unsent is not None:
            sent = self._sent(unsent)
            if sent < 0:
                self._keeper.lose(self)
                return
            if sent < len(unsent):
                self._unsent = unsent[sent:]
                return
            self._unsent = None
        self._loop.remove_writer(self._file)
        self._keeper.go_on(self)

    def _sent(self, data: bytes | memoryview) -> int:
        """How many bytes the system took; -1 when there is nobody any more."""
        try:
            return self._send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return -1
