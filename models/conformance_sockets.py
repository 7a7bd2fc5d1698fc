"""Playing conversations with a server on a socket, in real time, or in the time of a server whose clock is manual."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from models.conformance_corpus import EOF_MARK
from models.conformance_match import reply_length
from models.conformance_player import CannotPlay, PlayerError

PATIENCE_SECONDS: Final = 3.0
"""How long a reply is waited for that has to come."""
QUIET_SECONDS: Final = 0.06
"""How long nothing must come for a server to count as quiet."""

_PENDING_MAX: Final = 1 << 24  # bytes that nobody asked for: such a server is not listened to any longer


class Address(NamedTuple):
    """Where a server listens: a host and a port, or the path of a Unix socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def connect(address: Address, *, timeout: float = PATIENCE_SECONDS) -> socket.socket:
    """A connection. Raises `OSError`."""
    if address.path:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(address.path)
        except OSError:
            connection.close()
            raise
        return connection
    connection = socket.create_connection((address.host, address.port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class ManualClock:
    """The clock of a server of this project with `--clock manual`, through its control port."""

    def __init__(self, host: str, port: int) -> None:
        """Connect, once the server listens there too. Raises `PlayerError`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._socket = socket.create_connection((host, port), timeout=PATIENCE_SECONDS)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise PlayerError(f"{host}:{port}: {error.strerror}: no manual clock is there") from None
            time.sleep(0.01)
        self._file = self._socket.makefile("rb")

    def advance(self, seconds: int) -> None:
        """Let time pass. Raises `PlayerError` when the clock doesn't."""
        try:
            self._socket.sendall(b"advance %d\n" % seconds)
            answer = self._file.readline()
        except OSError as error:
            raise PlayerError(f"the manual clock gave no answer: {error}") from None
        if not answer.startswith(b"OK"):
            raise PlayerError(f"the manual clock did not advance: {answer.decode('latin-1').strip() or 'no answer'}")

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()


class _Connection:
    """A socket, with what has come and nobody read."""

    __slots__ = ("buffer", "ended", "sent_unread", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.buffer = bytearray()
        self.ended = False

    def receive(self, seconds: float) -> bool:
        """Take in what comes within so many seconds; whether anything came, the end included."""
        if self.ended or not select.select([self.socket], [], [], max(seconds, 0.0))[0]:
            return False
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""  # reset: the server closed while there was still something to read
        self.buffer += data
        self.ended = not data
        return True

    def send(self, data: bytes) -> None:
        """Send all, taking in meanwhile what comes: neither side may wait for the other with full buffers."""
        view = memoryview(data)
        deadline = time.monotonic() + PATIENCE_SECONDS + len(data) / 1e6
        while view and not self.ended:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 0.2)
            if readable:
                self.receive(0)
            if writable:
                try:
                    view = view[self.socket.send(view[: 1 << 16]) :]
                except OSError:
                    return  # the server has closed: what it said stands in the buffer
            if time.monotonic() > deadline:
                raise PlayerError("the server takes no more bytes")

    def replies(self) -> Iterator[int]:
        """The ends of the whole replies in the buffer, in order."""
        end = 0
        while end < len(self.buffer) and (length := reply_length(self.buffer, end)) is not None:
            end += length
            yield end


class SocketPlayer:
    """A player of a server on a socket. See `models.conformance_player.Player`."""

    def __init__(
        self,
        address: Address,
        *,
        first: socket.socket | None = None,
        drain: Callable[[], None] | None = None,
        clock: ManualClock | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        """`first` is a connection that is already open, and becomes the one that is used first."""
        self._address = address
        self._first = first
        self._drain = drain
        self._clock = clock
        self._patience = PATIENCE_SECONDS if patience_seconds is None else patience_seconds
        self._connections: dict[int, _Connection] = {}

    def send(self, connection: int, data: bytes) -> None:
        """Send bytes on a connection."""
        self._connection(connection).send(data)

    def read(self, connection: int, replies: int, *, to_the_end: bool = False) -> bytes:
        """The next replies, fewer if no more come in time; with `to_the_end` all there are, and `EOF_MARK`."""
        link = self._connection(connection)
        deadline = time.monotonic() + self._patience
        while not link.ended and (to_the_end or sum(1 for _ in link.replies()) < replies):
            if not link.receive(deadline - time.monotonic()) and time.monotonic() >= deadline:
                break
        if to_the_end:
            end = len(link.buffer)
        else:
            ends = [end for end, _ in zip(link.replies(), range(replies), strict=False)]
            end = ends[-1] if len(ends) == replies and ends else len(link.buffer)
        got = bytes(link.buffer[:end])
        del link.buffer[:end]
        return got + EOF_MARK if to_the_end and link.ended else got

    def pending(self, connection: int, *, at_least: int = 0) -> bytes:
        """Everything that the server has sent there and nobody read, once it is quiet."""
        link = self._connection(connection)
        deadline = time.monotonic() + self._patience
        while not link.ended and sum(1 for _ in link.replies()) < at_least and time.monotonic() < deadline:
            link.receive(deadline - time.monotonic())
        while link.receive(QUIET_SECONDS) and not link.ended and time.monotonic() < deadline:
            if len(link.buffer) > _PENDING_MAX:
                break
        return bytes(link.buffer) + (EOF_MARK if link.ended else b"")

    def wait(self, seconds: int, slack_seconds: float) -> None:
        """Let time pass: on the server's manual clock, or really, with the slack."""
        if self._clock is not None:
            time.sleep(QUIET_SECONDS)  # what was sent must have arrived before the clock goes on
            self._clock.advance(seconds)
        else:
            time.sleep(seconds + slack_seconds)

    def pause(self, seconds: float) -> None:
        """Let what was sent arrive."""
        time.sleep(min(seconds, 1.0))

    def close(self, connection: int) -> None:
        """Close a connection, and let the server notice."""
        self._connection(connection).socket.close()
        del self._connections[connection]
        time.sleep(QUIET_SECONDS)

    def shut(self, connection: int) -> None:
        """Close a connection for sending, and let the server notice."""
        try:
            self._connection(connection).socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the server has closed it already
        time.sleep(QUIET_SECONDS)

    def drain(self) -> None:
        """Tell the server to take no more jobs."""
        if self._drain is None:
            raise CannotPlay(
                "draining takes a signal to the server's process, which --spawn starts and --server doesn't"
            )
        self._drain()
        time.sleep(2 * QUIET_SECONDS)

    def end(self) -> None:
        """Close all connections."""
        for link in self._connections.values():
            link.socket.close()
        self._connections.clear()
        if self._first is not None:
            self._first.close()
            self._first = None

    def _connection(self, number: int) -> _Connection:
        link = self._connections.get(number)
        if link is None:
            connected, self._first = self._first, None
            if connected is None:
                try:
                    connected = connect(self._address)
                except OSError as error:
                    raise PlayerError(
                        f"{self._address}: {error.strerror or error}: the server takes no connection"
                    ) from None
            link = self._connections[number] = _Connection(connected)
        return link


@contextmanager
def playing(player: SocketPlayer) -> Iterator[SocketPlayer]:
    """The player, whose connections are closed in the end."""
    try:
        yield player
    finally:
        player.end()
