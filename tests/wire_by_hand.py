"""A broker driven by hand: lines in, replies out, at instants that a test chooses."""

from typing import Any

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.wire import Broker, Session

SECOND = 1000  # units


class Wire:
    """A broker, the clients by number, and what each has been sent; the time stands still until `at` moves it."""

    def __init__(self, machine: Any = None, **options: Any) -> None:
        self.machine = Machine(units_per_second=SECOND) if machine is None else machine
        self.broker = Broker(self.machine, **options)
        self.now = 0
        self.sessions: dict[int, Session] = {}

    def connect(self, *numbers: int) -> None:
        """Connect clients."""
        for number in numbers:
            self.sessions[number] = self.broker.connect(self.now)

    def __call__(self, number: int, *lines: str) -> str:
        """What a client is sent after it sent these lines; without any, what it is sent anyhow."""
        if number not in self.sessions:
            self.connect(number)
        if lines:
            self.broker.receive(self.now, self.sessions[number], "".join(f"{line}\r\n" for line in lines).encode())
        return self.sessions[number].take_output().decode("latin-1").replace("\r\n", "|")

    def at(self, seconds: float) -> None:
        """Move the time, stopping at each instant that is due."""
        end = int(seconds * SECOND)
        while (due := self.broker.next_tick_at()) is not None and due <= end:
            self.now = due
            self.broker.tick(due)
        self.now = end

    def eof(self, number: int) -> None:
        """A client sends no more."""
        self.broker.receive_eof(self.now, self.sessions[number])

    def leave(self, number: int) -> None:
        """A client is gone."""
        self.broker.disconnect(self.now, self.sessions[number])

    def state(self, number: int) -> str:
        """What of a session's state its driver has to know."""
        session = self.sessions[number]
        names = ("is_reading", "is_waiting", "is_held", "is_closing", "has_eof")
        return " ".join(name for name in names if getattr(session, name))

    def stats(self, *keys: str) -> list[str]:
        """Values of `stats`, by a client of its own that stays."""
        lines = dict(line.split(": ", 1) for line in self(99, "stats").split("\n") if ": " in line)
        return [lines[key] for key in keys]


class Refusing:
    """A machine whose operations are refused while they are named, as those of a full disk are."""

    def __init__(self, *names: str) -> None:
        self.machine = Machine(units_per_second=SECOND)
        self.names = set(names)
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        if name in self.names:
            return self._refuse
        return getattr(self.machine, name)

    def _refuse(self, *_: Any, **__: Any) -> None:
        raise DiskIsFull


class DiskIsFull(JsmError):
    """As a journal raises it."""

    wire_reply = "INTERNAL_ERROR"


PUT = ("put 0 0 60 1", "a")
