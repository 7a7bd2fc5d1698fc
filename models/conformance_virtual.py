"""Playing conversations with this project's own sessions, in a time of their own: nothing sleeps, nothing is random.

`VirtualPlayer` is a driver of a `jsm.wire.Broker` as a server is one, without sockets: it hands over what clients
send, ticks at every due instant on the way, takes what there is to send, and keeps back what a session doesn't read.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jsm.machine import Machine
from jsm.wire.broker import Broker
from jsm.wire.session import Session
from models.conformance_corpus import EOF_MARK
from models.conformance_match import reply_length
from models.conformance_player import CannotPlay, PlayerError

UNITS_PER_SECOND: Final = 1000
PIECE_BYTES: Final = 65_536
"""How much a session is given at a time, as a server reads from a socket."""
_TICKS_MAX: Final = 10_000  # in one wait: far beyond what any conversation needs


class _Link:
    """A client's end of a session."""

    __slots__ = ("held", "received", "session", "shut")

    def __init__(self, session: Session) -> None:
        self.session: Session | None = session  # None: the server has closed it
        self.held = bytearray()  # what the client sent and the session doesn't read yet
        self.received = bytearray()  # what came and nobody read
        self.shut = False  # the client's end of sending has still to reach the session


class VirtualPlayer:
    """A player of a broker in virtual time. See `models.conformance_player.Player`.

    With `cuts` what is sent arrives in pieces of random lengths, else in pieces of at most `piece_bytes`.
    """

    def __init__(self, broker: Broker, *, cuts: random.Random | None = None, piece_bytes: int = PIECE_BYTES) -> None:
        self.broker = broker
        self.now = broker.machine.clock
        self._cuts = cuts
        self._piece_bytes = piece_bytes
        self._links: dict[int, _Link] = {}
        self._of_session: dict[Session, _Link] = {}

    def send(self, connection: int, data: bytes) -> None:
        """Send bytes on a connection and let the server act on them."""
        link = self._link(connection)
        for piece in self._pieces(data):
            link.held += piece
            self._settle()

    def read(self, connection: int, replies: int, *, to_the_end: bool = False) -> bytes:
        """The next replies, fewer if there are no more; with `to_the_end` all there are, and `EOF_MARK`."""
        link = self._link(connection)
        end = 0
        for _ in range(replies):
            length = reply_length(link.received, end)
            if length is None or end == len(link.received):
                end = len(link.received)
                break
            end += length
        end = len(link.received) if to_the_end else end
        got = bytes(link.received[:end])
        del link.received[:end]
        return got + EOF_MARK if to_the_end and link.session is None else got

    def pending(self, connection: int, *, at_least: int = 0) -> bytes:
        """Everything that came and nobody read."""
        link = self._link(connection)
        return bytes(link.received) + (EOF_MARK if link.session is None else b"")

    def wait(self, seconds: int, slack_seconds: float) -> None:
        """Let whole seconds pass."""
        self._advance(seconds * self.broker.machine.units_per_second)

    def pause(self, seconds: float) -> None:
        """Let a moment pass: everything has arrived already."""
        self._advance(round(seconds * self.broker.machine.units_per_second))

    def close(self, connection: int) -> None:
        """Close a connection."""
        link = self._links.pop(connection, None)
        if link is not None and link.session is not None:
            del self._of_session[link.session]
            self.broker.disconnect(self.now, link.session)
        self._settle()

    def shut(self, connection: int) -> None:
        """Close a connection for sending."""
        self._link(connection).shut = True
        self._settle()

    def drain(self) -> None:
        """Tell the broker to take no more jobs."""
        self.broker.drain()

    def end(self) -> None:
        """Close all connections."""
        for connection in list(self._links):
            self.close(connection)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if self._cuts is None:
            yield data
            return
        start = 0
        while start < len(data):
            length = self._cuts.choice((1, 1, 2, 3, 7, 50, 5000))
            yield data[start : start + length]
            start += length

    def _link(self, connection: int) -> _Link:
        link = self._links.get(connection)
        if link is None:
            session = self.broker.connect(self.now)
            link = self._links[connection] = self._of_session[session] = _Link(session)
            self._settle()
        return link

    def _advance(self, units: int) -> None:
        end = self.now + units
        for _ in range(_TICKS_MAX):
            due = self.broker.next_tick_at()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.broker.tick(self.now)
            self._settle()
        else:
            raise PlayerError(f"the broker ticks without end at {self.now}")
        self.now = end
        self.broker.tick(end)
        self._settle()

    def _settle(self) -> None:
        """Move bytes both ways until neither side has anything more to do at this instant."""
        for _ in range(_TICKS_MAX):
            moved = self._hand_over() | self._take_over()
            due = self.broker.next_tick_at()
            if due is not None and due <= self.now:
                self.broker.tick(self.now)
            elif not moved:
                return
        raise PlayerError(f"the broker comes to no rest at {self.now}")

    def _hand_over(self) -> bool:
        """Give each session what its client sent, as far as it reads."""
        moved = False
        for link in list(self._of_session.values()):
            session = link.session
            if session is None or not session.is_reading:
                continue
            if link.held:
                data = bytes(link.held[: self._piece_bytes])
                del link.held[: self._piece_bytes]
                self.broker.receive(self.now, session, data)
                moved = True
            elif link.shut:
                link.shut = False
                self.broker.receive_eof(self.now, session)
                moved = True
        return moved

    def _take_over(self) -> bool:
        """Take what sessions have to send, and close those that are done."""
        moved = False
        for session in self.broker.take_changed():
            link = self._of_session.get(session)
            if link is None:
                continue
            output = session.take_output()
            link.received += output
            moved = moved or bool(output)
            if session.is_closing and not session.output_size:
                del self._of_session[session]
                link.session = None
                self.broker.disconnect(self.now, session)
                moved = True
        return moved


def make_broker(arguments: tuple[str, ...] = ()) -> Broker:
    """A broker with a new machine, for the arguments that a conversation's server is started with.

    Raises `CannotPlay` for what only a process has.
    """
    match arguments:
        case ():
            return Broker(Machine(units_per_second=UNITS_PER_SECOND))
        case ("-z", size) if size.isdecimal():
            return Broker(Machine(units_per_second=UNITS_PER_SECOND, max_job_size=int(size)))
    raise CannotPlay(f"it needs a server started with {' '.join(arguments)}")


@contextmanager
def virtual(arguments: tuple[str, ...] = (), *, cuts: random.Random | None = None) -> Iterator[VirtualPlayer]:
    """A player of a new broker."""
    yield VirtualPlayer(make_broker(arguments), cuts=cuts)
