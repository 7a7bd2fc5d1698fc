"""A client's socket under asyncio's loop: bytes in, bytes out, held back in both directions.

The loop watches the socket itself, without asyncio's streams and transports between: no task, no future and no second
buffer is made for a connection or a command.
"""

import asyncio
import socket
from typing import Final, Protocol

from jsm.wire.session import Session

_READ_BYTES: Final = 65_536  # for larger pieces the allocator asks the system each time: longer than all else takes
_WRITE_BYTES: Final = 262_144


class Keeper(Protocol):
    """Whoever has the connections."""

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

    __slots__ = ("_file", "_keeper", "_loop", "_reads", "_recv", "_send", "_socket", "_unsent", "session")

    def __init__(self, keeper: Keeper, client: socket.socket, session: Session) -> None:
        self.session = session
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._socket = client
        self._file = client.fileno()
        self._recv = client.recv
        self._send = client.send
        self._reads = True
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
            self._reads = not self._reads
            if self._reads:
                self._loop.add_reader(self._file, self._readable)
            else:
                self._loop.remove_reader(self._file)
        if session.is_closing and self._unsent is None and not session.output:
            self._keeper.forget(self)

    def close(self) -> None:
        """Close the socket. A second call does nothing."""
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            self._loop.remove_writer(self._file)
            self._file = -1
            self._socket.close()

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
