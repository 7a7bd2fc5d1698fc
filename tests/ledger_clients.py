"""Clients that keep ledgers, several at once on plain sockets, against a server that is killed under their load."""

import selectors
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final, Self

from tests.shared_ledger import SharedJob, SharedLedger
from tests.tube_ledger import COUNTERS, Command, Found, TubeLedger, Unexpected

_SILENCE_SECONDS: Final = 30.0  # after which a server counts as stuck
_WITH_BODY: Final = (b"RESERVED ", b"FOUND ", b"OK ")
_BODY_BYTES: Final = (0, 1, 20, 200, 3000)

Address = tuple[str, int]


class Conversation:
    """A connection: bytes out, whole replies in."""

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address, timeout=_SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send; a server that is gone will be noticed by reading."""
        with suppress(OSError):
            self.socket.sendall(data)

    def receive(self) -> list[bytes] | None:
        """The replies that have come, a body behind its line; None: the connection has ended."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            return None
        self._read += data
        return list(self._replies()) if data else None

    def ask(self, commands: Iterable[bytes]) -> list[bytes]:
        """Send commands and wait for a reply to each."""
        sent, replies = 0, []
        for command in commands:
            self.send(command)
            sent += 1
            if sent - len(replies) >= 100:  # so that neither side has to keep much
                replies += self._some()
        while len(replies) < sent:
            replies += self._some()
        return replies

    def _some(self) -> list[bytes]:
        replies = self.receive()
        if replies is None:
            raise Unexpected("the server closed the connection")
        return replies

    def _replies(self) -> Iterator[bytes]:
        while (feed := self._read.find(b"\r\n")) >= 0:
            end = feed
            if self._read.startswith(_WITH_BODY):
                end = feed + 2 + int(self._read[:feed].rpartition(b" ")[2])
                if len(self._read) < end + 2:
                    return
            yield self._read[:end]
            self._read = self._read[end + 2 :]


@dataclass
class Book:
    """What all clients share: their ledgers, what was given out, how much was done."""

    random: Random
    shared: SharedLedger = field(default_factory=lambda: SharedLedger("shared"))
    tubes: dict[str, TubeLedger] = field(default_factory=dict)
    answers: int = 0
    bodies: int = 0
    latest_id: int = 0  # of those that were told
    done: dict[bytes, int] = field(default_factory=dict)  # answers by their first word
    is_over: bool = False  # nothing more is sent
    in_flight: dict[str, list[Command]] = field(default_factory=dict)  # by tube of one's own, at the end of a round

    def body(self) -> bytes:
        """A body that no other job has."""
        self.bodies += 1
        filling = self.random.choice((b"\r\n", b"\0", b"\xff", b"ab"))
        return b"%d:%b" % (self.bodies, filling * (self.random.choice(_BODY_BYTES) // 2))

    def take_id(self, reply: bytes, before: int) -> int:
        """The id of a put that was sent when `before` was the latest."""
        word, _, number = reply.partition(b" ")
        if word != b"INSERTED" or int(number) <= before:
            raise Unexpected(f"a put after job {before} was answered {reply!r}")
        self.latest_id = max(self.latest_id, int(number))
        return int(number)


class TubeClient:
    """One client, one tube, many commands in flight: each answer is compared with the ledger's."""

    def __init__(
        self,
        address: Address,
        book: Book,
        tube: str,
        *,
        at_once: Sequence[int] = (1, 1, 2, 5, 30),
        refusals: Collection[bytes] = (),
    ) -> None:
        """`at_once` is how many commands may be in flight; a command with such a refusal has changed nothing."""
        self.conversation = Conversation(address)
        self._at_once = at_once
        self._refusals = refusals
        self.tube = tube
        self._book = book
        self._ledger = book.tubes.setdefault(tube, TubeLedger(tube))
        self.in_flight: deque[tuple[Command, int]] = deque()  # with the latest id when it was sent
        wanted = [b"USING %b" % tube.encode(), b"WATCHING 2", b"WATCHING 1"]
        for command, done in zip((b"use %b\r\n", b"watch %b\r\n", b"ignore default\r\n"), wanted, strict=True):
            while (reply := self.conversation.ask([command.replace(b"%b", tube.encode())])[0]) != done:
                if reply not in refusals:
                    raise Unexpected(f"{command!r} was answered {reply!r}")

    def close(self) -> None:
        """Close the connection."""
        self.conversation.socket.close()

    def begin(self) -> None:
        """Send a few commands."""
        count = self._book.random.choice(self._at_once)
        commands = [self._command() for _ in range(count)]
        self.in_flight.extend((command, self._book.latest_id) for command in commands)
        self.conversation.send(b"".join(command.sent for command in commands))

    def take(self, reply: bytes) -> None:
        """Take in a reply, and go on when it was the last."""
        command, before = self.in_flight.popleft()
        if reply not in self._refusals:
            put_id = self._book.take_id(reply, before) if command.word == "put" else None
            expected = self._ledger.run(command, put_id)
            if reply != expected:
                raise Unexpected(f"{self.tube}: {command} was answered {reply!r}, expected {expected!r}")
        if not self.in_flight and not self._book.is_over:
            self.begin()

    def _command(self) -> Command:
        random, jobs = self._book.random, list(self._ledger.jobs)
        kind = random.random()
        if kind < (0.4 if len(jobs) < 60 else 0.1) or not jobs:
            return Command("put", (self._priority(), self._delay(), random.randint(1000, 9999)), self._book.body())
        if kind < 0.55:
            return Command("reserve-with-timeout", (0,))
        number = random.choice(jobs)
        match random.choice(("delete", "release", "bury", "bury", "touch", "kick", "kick-job", "reserve-job")):
            case "release":
                return Command("release", (number, self._priority(), self._delay()))
            case "bury":
                return Command("bury", (number, self._priority()))
            case "kick":
                return Command("kick", (random.randint(1, 3),))
            case word:
                return Command(word, (number,))

    def _priority(self) -> int:
        return self._book.random.choice((0, 1, 1023, 1024, 2**32 - 1, self._book.random.randrange(2**32)))

    def _delay(self) -> int:
        """None, or one that no other has: hours from each."""
        if self._book.random.random() < 0.6:
            return 0
        self._book.bodies += 1
        return 20_000 * self._book.bodies


class SharedClient:
    """Puts into, works on, or kicks in the tube that all share; one command at a time."""

    def __init__(self, address: Address, book: Book, role: str) -> None:
        self._address = address
        self._book = book
        self._role = role
        self._sent: tuple[str, SharedJob | bytes | None, int] = ("", None, 0)
        self._held: list[SharedJob] = []
        self.wants_new = False
        self.conversation = self._connect()

    def _connect(self) -> Conversation:
        conversation = Conversation(self._address)
        conversation.ask([b"use shared\r\n", b"watch shared\r\n", b"ignore default\r\n"])
        return conversation

    def close(self) -> None:
        """Close the connection."""
        self.conversation.socket.close()

    def begin(self) -> None:
        """Send a command."""
        ledger, random = self._book.shared, self._book.random
        if self._role == "kick":
            buried = [job for job in ledger.jobs.values() if job.state == "buried" and not job.in_flight]
            if buried:
                self._send("kick-job", random.choice(buried))
                return
        if self._role != "work":
            body = self._book.body()
            expires = random.random() < 0.3
            delay, ttr = random.choice((0, 0, 0, 1)), 1 if expires else 1000
            job = SharedJob(0, body, random.randrange(5), delay, ttr, expires)
            ledger.puts[body] = job
            self._sent = ("put", body, self._book.latest_id)
            self.conversation.send(Command("put", (job.priority, delay, ttr), body).sent)
            return
        mine = [job for job in self._held if job.holder is self and not job.in_flight]
        if len(mine) > random.randrange(3):
            word = random.choices(("delete", "release", "bury", "touch"), (3, 2, 2, 1))[0]
            self._send(word, mine[0])
            return
        self._held = mine
        ledger.reserving += 1
        self._sent = ("reserve", None, 0)
        self.conversation.send(random.choice((b"reserve\r\n", b"reserve-with-timeout 1\r\n")))

    def _send(self, word: str, job: SharedJob) -> None:
        self._sent = (word, job, 0)
        self._book.shared.send(job, word)
        more = {"release": (job.priority, job.delay_seconds), "bury": (job.priority,)}.get(word, ())
        self.conversation.send(Command(word, (job.id, *more)).sent)

    def take(self, reply: bytes) -> None:
        """Take in a reply, and go on when it was the last."""
        word, about, before = self._sent
        ledger = self._book.shared
        if word == "put":
            assert isinstance(about, bytes)
            ledger.put_answered(about, self._book.take_id(reply, before))
        elif word == "reserve":
            if reply in (b"TIMED_OUT", b"DEADLINE_SOON"):
                ledger.reserving -= 1
            else:
                line, _, body = reply.partition(b"\r\n")
                number = int(line.split()[1])
                ledger.reserved(number, body, self)
                self._held.append(ledger.jobs[number])
        else:
            assert isinstance(about, SharedJob)
            ledger.answered(about, self, word, reply)
        self._sent = ("", None, 0)
        if not self._book.is_over:
            self._go_on()

    def _go_on(self) -> None:
        """Begin again; now and then on a new connection, so that what it holds is there for others."""
        if self._role == "work" and self._book.random.random() < 0.02:
            self._book.shared.dropped(self)
            self._held.clear()
            self.wants_new = True
        else:
            self.begin()

    def renew(self) -> None:
        """Close the connection, and begin on another."""
        self.wants_new = False
        self.close()
        self.conversation = self._connect()
        self.begin()


def run_until_killed(
    process: subprocess.Popen[str],
    clients: Sequence[TubeClient | SharedClient],
    book: Book,
    is_time: Callable[[], bool],
) -> None:
    """Let the clients talk until it is time, kill the process, and read what it has still answered."""
    book.is_over = False
    with selectors.DefaultSelector() as selector, ExitStack() as closing:
        for client in clients:
            closing.callback(client.close)
            selector.register(client.conversation.socket, selectors.EVENT_READ, client)
            client.begin()
        while selector.get_map():
            ready = selector.select(_SILENCE_SECONDS)
            if not ready:
                raise Unexpected("the server says nothing more")
            for key, _ in ready:
                _read(selector, key, book)
            if not book.is_over and is_time():
                process.send_signal(signal.SIGKILL)
                book.is_over = True
    book.in_flight = {
        client.tube: [command for command, _ in client.in_flight]
        for client in clients
        if isinstance(client, TubeClient)
    }


def _read(selector: selectors.BaseSelector, key: selectors.SelectorKey, book: Book) -> None:
    """Let a client take in what has come for it."""
    client: TubeClient | SharedClient = key.data
    replies = client.conversation.receive()
    if replies is None:
        if not book.is_over:
            raise Unexpected("the server closed a connection")
        selector.unregister(key.fileobj)
        return
    for reply in replies:
        word = reply.split(maxsplit=1)[0]
        book.done[word] = book.done.get(word, 0) + 1
        book.answers += 1
        client.take(reply)
    if isinstance(client, SharedClient) and client.wants_new:
        selector.unregister(key.fileobj)
        client.renew()
        selector.register(client.conversation.socket, selectors.EVENT_READ, client)


def found_jobs(conversation: Conversation, last_id: int) -> dict[int, Found]:
    """All jobs with ids up to `last_id`, as a server shows them."""
    numbers = range(1, last_id + 1)
    shown = conversation.ask(b"stats-job %d\r\n" % number for number in numbers)
    there = [number for number, reply in zip(numbers, shown, strict=True) if reply != b"NOT_FOUND"]
    peeked = conversation.ask(b"peek %d\r\n" % number for number in there)
    bodies = dict(zip(there, peeked, strict=True))
    jobs = {}
    for number in there:
        values = _yaml(shown[number - 1])
        line, _, body = bodies[number].partition(b"\r\n")
        if line != b"FOUND %d %d" % (number, len(body)) or values["id"] != str(number):
            raise Unexpected(f"job {number} is {line!r} and {values}")
        jobs[number] = Found(
            number,
            values["tube"].strip('"'),
            values["state"],
            body,
            int(values["pri"]),
            int(values["delay"]),
            int(values["ttr"]),
            tuple(int(values[name]) for name in COUNTERS),
        )
    return jobs


def stats(conversation: Conversation, command: bytes = b"stats\r\n") -> dict[str, str]:
    """The values of a reply to `stats` and the like."""
    return _yaml(conversation.ask([command])[0])


def _yaml(reply: bytes) -> dict[str, str]:
    if not reply.startswith(b"OK "):
        raise Unexpected(f"statistics were answered {reply!r}")
    lines = reply.decode().replace("\r\n", "\n").splitlines()[2:]
    return dict(line.split(": ", 1) for line in lines)
