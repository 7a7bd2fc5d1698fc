"""One connection: what it uses and watches, whether it waits, its bytes in and its bytes out.

A session never touches a socket and knows no time. Its broker gives it input and runs its commands; the driver
takes the output and asks whether to go on reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsm.job import TubeName
from jsm.limits import DEFAULT_TUBE
from jsm.wire.codec import CommandReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from jsm.job import ClientID


class Session:
    """A client's connection as its broker keeps it."""

    __slots__ = (
        "_on_drained",
        "client_id",
        "has_eof",
        "input_limit",
        "is_closing",
        "is_held",
        "is_producer",
        "is_waiting",
        "is_worker",
        "output",
        "output_limit",
        "reader",
        "tube",
        "watched",
    )

    def __init__(
        self,
        client_id: ClientID,
        *,
        max_job_size: int,
        input_limit: int,
        output_limit: int,
        on_drained: Callable[[Session], None],
    ) -> None:
        self.client_id = client_id
        self.tube = TubeName(DEFAULT_TUBE)  # what it uses
        self.watched: tuple[TubeName, ...] = (self.tube,)
        self.is_waiting = False  # for a reservation; commands behind it wait too
        self.is_held = False  # too much output is unread: no command is run until the driver has taken it
        self.is_closing = False  # to be closed once the output is sent
        self.has_eof = False  # the client sends no more
        self.is_producer = False  # has put
        self.is_worker = False  # has reserved
        self.reader = CommandReader(max_job_size)
        self.output = bytearray()
        self.input_limit = input_limit
        self.output_limit = output_limit
        self._on_drained = on_drained

    @property
    def output_size(self) -> int:
        """How many bytes wait to be sent."""
        return len(self.output)

    @property
    def is_reading(self) -> bool:
        """Whether the driver should read on; False while too much output or input waits, and at the end."""
        return not (self.is_held or self.is_closing or self.has_eof or self.reader.size >= self.input_limit)

    def take_output(self, limit: int | None = None) -> bytes:
        """Take what is to be sent, at most `limit` bytes of it. O(length).

        May end a hold: then the broker has something to do at once, and `Broker.next_tick_at` says so.
        """
        output = self.output
        if limit is None or limit >= len(output):
            data = bytes(output)
            output.clear()
        else:
            data = bytes(output[:limit])
            del output[:limit]
        if self.is_held and 2 * len(output) <= self.output_limit:
            self.is_held = False
            self._on_drained(self)
        return data

    def watch(self, tube: TubeName) -> None:
        """Add a tube that is not watched yet."""
        self.watched = (*self.watched, tube)

    def ignore(self, tube: TubeName) -> None:
        """Drop a watched tube; the last one takes its place, as in beanstalkd's lists."""
        watched = list(self.watched)
        at = watched.index(tube)
        watched[at] = watched[-1]
        watched.pop()
        self.watched = tuple(watched)
