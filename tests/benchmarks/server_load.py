"""What a benchmark's client says to a beanstalkd: plain sockets, one process, the same bytes to every server.

Each load returns how many commands were answered. Replies are checked as they come. `python -m
tests.benchmarks.server_load HOST PORT COUNT` holds idle connections until its standard input ends.
"""

import re
import socket
import sys
from collections.abc import Sequence
from typing import Final

BODY: Final = b"x" * 100
PUT: Final = b"put 0 0 120 %d\r\n%b\r\n" % (len(BODY), BODY)
RESERVE: Final = b"reserve\r\n"
BATCH: Final = 100
READ_BYTES: Final = 65_536

_RESERVED: Final = re.compile(rb"RESERVED (\d+) ")


def connect(address: tuple[str, int]) -> socket.socket:
    """A connection that sends at once."""
    connection = socket.create_connection(address, timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(connection: socket.socket, command: bytes, wanted: bytes) -> bytes:
    """Send a command and return its reply, of one line. Raises `ValueError` when it doesn't begin as wanted."""
    connection.sendall(command)
    return _lines(connection, 1, wanted)


def simple(connections: Sequence[socket.socket], cycles: int) -> int:
    """Put, reserve, delete: one command a connection at a time, all connections at once."""
    for _ in range(cycles):
        _all(connections, PUT, 1, b"INSERTED ")
        reserved = _all(connections, RESERVE, 2, b"RESERVED ")
        for connection, reply in zip(connections, reserved, strict=True):
            connection.send(b"delete " + reply[9 : reply.index(b" ", 9)] + b"\r\n")
        for connection in connections:
            _lines(connection, 1, b"DELETED")
    return 3 * cycles * len(connections)


def pipelined(connections: Sequence[socket.socket], cycles: int) -> int:
    """`BATCH` puts, as many reserves, as many deletes: each in one piece, all connections at once."""
    for _ in range(cycles // BATCH):
        _all(connections, PUT * BATCH, BATCH, b"INSERTED ")
        reserved = _all(connections, RESERVE * BATCH, 2 * BATCH, b"RESERVED ")
        for connection, replies in zip(connections, reserved, strict=True):
            ids = _RESERVED.findall(replies)
            connection.sendall(b"".join([b"delete " + job_id + b"\r\n" for job_id in ids]))
        for connection in connections:
            _lines(connection, BATCH, b"DELETED")
    return 3 * (cycles // BATCH) * BATCH * len(connections)


def rare_tube(connections: Sequence[socket.socket], cycles: int, tubes: Sequence[bytes]) -> int:
    """Use, put, reserve, delete: each job in another tube of all that the connection watches."""
    [connection] = connections
    for cycle in range(cycles):
        tube = tubes[(cycle * 7919) % len(tubes)]
        ask(connection, b"use " + tube + b"\r\n", b"USING ")
        simple(connections, 1)
    return 4 * cycles


def fill(connection: socket.socket, jobs: int) -> None:
    """Put jobs and leave them there."""
    for _ in range(jobs // BATCH):
        connection.sendall(PUT * BATCH)
        _lines(connection, BATCH, b"INSERTED ")


def make_tubes(connection: socket.socket, tubes: Sequence[bytes]) -> None:
    """Let each tube hold a delayed job, so that it stays."""
    for first in range(0, len(tubes), BATCH):
        part = tubes[first : first + BATCH]
        connection.sendall(b"".join(b"use " + tube + b"\r\nput 0 86400 1 1\r\na\r\n" for tube in part))
        _lines(connection, 2 * len(part), b"USING ")
    ask(connection, b"use default\r\n", b"USING default")


def watch_tubes(connection: socket.socket, tubes: Sequence[bytes]) -> None:
    """Watch all tubes."""
    for first in range(0, len(tubes), BATCH):
        part = tubes[first : first + BATCH]
        connection.sendall(b"".join(b"watch " + tube + b"\r\n" for tube in part))
        _lines(connection, len(part), b"WATCHING ")


def hold(address: tuple[str, int], count: int) -> None:
    """Connect so many times, say so, and hold the connections until standard input ends."""
    held = [connect(address) for _ in range(count)]
    ask(held[-1], b"list-tube-used\r\n", b"USING default")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


def _all(connections: Sequence[socket.socket], commands: bytes, lines: int, wanted: bytes) -> list[bytes]:
    for connection in connections:
        connection.sendall(commands)
    return [_lines(connection, lines, wanted) for connection in connections]


def _lines(connection: socket.socket, lines: int, wanted: bytes) -> bytes:
    """What the server sends until so many lines have ended; bodies are lines here."""
    replies = connection.recv(READ_BYTES)
    missing = lines - replies.count(b"\n")
    if missing:
        parts = [replies]
        while missing:
            part = connection.recv(READ_BYTES)
            if not part:
                raise ValueError("the server closed the connection")
            parts.append(part)
            missing -= part.count(b"\n")
        replies = b"".join(parts)
    if not replies.startswith(wanted):
        raise ValueError(f"the server said {replies[:60]!r}, not {wanted!r}")
    return replies


if __name__ == "__main__":
    hold((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]))
