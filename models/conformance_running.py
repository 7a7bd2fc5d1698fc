"""Playing with a server that runs already, and is not started anew for each conversation.

The corpus was recorded with a fresh server each: ids from 1, counters from 0. Here ids and the counters of the tube
`default` are shifted: what is sent by as much as the server has counted before, what comes back by as much the other
way. Afterwards every job that was put is deleted. Only a server that nobody else uses can be played with, and none that
holds jobs: the conversations reserve and delete what they find.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from models.conformance_corpus import EOF_MARK
from models.conformance_match import split_replies
from models.conformance_player import CannotPlay, PlayerError
from models.conformance_sockets import QUIET_SECONDS, Address, SocketPlayer, playing

_COUNTERS: Final = ("total-jobs", "cmd-delete", "cmd-pause-tube")
"""The cumulative counters of a tube: those of `default`, which never vanishes, go on into the next conversation."""

_ID_LINE: Final = re.compile(
    rb"^(delete|release|bury|touch|peek|kick-job|reserve-job|stats-job) ([1-9][0-9]{0,8})((?: [0-9]+)*\r\n)$"
)
_ID_REPLY: Final = re.compile(rb"^(INSERTED|RESERVED|FOUND) ([0-9]+)(?=[ \r])")
_MONITOR: Final = 0
_SETTLE_SECONDS: Final = 2.0


def shift_ids(data: bytes, by: int) -> bytes:
    """What is sent, with the ids of well-formed commands raised. Bodies of puts are left alone."""
    pieces = []
    rest = data
    while rest:
        line, end, rest = rest.partition(b"\r\n")
        whole = line + end
        words = line.split(b" ")
        if words[0] == b"put" and len(words) == 5 and words[4].isdigit() and end:
            size = int(words[4]) + 2
            pieces.append(whole + rest[:size])
            rest = rest[size:]
            continue
        found = _ID_LINE.match(whole)
        pieces.append(b"%s %d%s" % (found[1], int(found[2]) + by, found[3]) if found else whole)
    return b"".join(pieces)


def unshift(stream: bytes, by: int, counters: Mapping[str, int]) -> bytes:
    """What came back, with ids and the counters of `default` lowered to what a fresh server would have said."""
    mark = EOF_MARK if stream.endswith(EOF_MARK) else b""
    replies = split_replies(stream.removesuffix(EOF_MARK))
    return b"".join(_unshift_one(reply, by, counters) for reply in replies) + mark


def _unshift_one(reply: bytes, by: int, counters: Mapping[str, int]) -> bytes:
    found = _ID_REPLY.match(reply)
    if found is not None:
        return b"%s %d" % (found[1], int(found[2]) - by) + reply[found.end() :]
    if not reply.startswith(b"OK "):
        return reply
    _, _, body = reply.partition(b"\r\n")
    lines = body.split(b"\n")
    is_default = lines[1:2] in ([b'name: "default"'], [b"name: default"])
    for number, line in enumerate(lines):
        key, _, value = line.partition(b": ")
        if key == b"id" and number == 1 and value.isdigit():
            lines[number] = b"id: %d" % (int(value) - by)
        elif is_default and value.isdigit() and key.decode("latin-1") in counters:
            lines[number] = key + b": %d" % (int(value) - counters[key.decode("latin-1")])
    shifted = b"\n".join(lines)
    return b"OK %d\r\n" % (len(shifted) - 2) + shifted


class RunningPlayer:
    """A player of a server that runs already: `SocketPlayer` with ids and counters shifted."""

    def __init__(self, player: SocketPlayer, *, by: int, counters: Mapping[str, int]) -> None:
        self._player = player
        self._by = by
        self._counters = counters
        self.wait = player.wait
        self.pause = player.pause
        self.close = player.close
        self.shut = player.shut
        self.drain = player.drain

    def send(self, connection: int, data: bytes) -> None:
        """Send bytes on a connection, ids raised."""
        self._player.send(connection, shift_ids(data, self._by))

    def read(self, connection: int, replies: int, *, to_the_end: bool = False) -> bytes:
        """The next replies, ids lowered."""
        got = self._player.read(connection, replies, to_the_end=to_the_end)
        return unshift(got, self._by, self._counters)

    def pending(self, connection: int, *, at_least: int = 0) -> bytes:
        """Everything that came and nobody read, ids lowered."""
        return unshift(self._player.pending(connection, at_least=at_least), self._by, self._counters)


@contextmanager
def running(address: Address, arguments: tuple[str, ...] = ()) -> Iterator[RunningPlayer]:
    """Play with the server at the address, and delete afterwards what was put.

    Raises `CannotPlay` for an entry that needs a server of its own, `PlayerError` for a server that is in use.
    """
    if arguments:
        raise CannotPlay(f"it needs a server started with {' '.join(arguments)}; --spawn starts one")
    with _monitor(address) as monitor:
        _check_unused(monitor, address)
        by = _last_id(monitor)
        counters = _counters(monitor)
    try:
        with playing(SocketPlayer(address)) as player:
            yield RunningPlayer(player, by=by, counters=counters)
    finally:
        with _monitor(address) as monitor:
            _wait_until_alone(monitor)
            for job_id in range(by + 1, _last_id(monitor)):
                _ask(monitor, b"delete %d\r\n" % job_id)
            _ask(monitor, b"pause-tube default 0\r\n")


@contextmanager
def _monitor(address: Address) -> Iterator[SocketPlayer]:
    with playing(SocketPlayer(address)) as player:
        yield player
    time.sleep(QUIET_SECONDS)  # the server has to notice the end before it counts its connections


def _ask(monitor: SocketPlayer, command: bytes) -> bytes:
    monitor.send(_MONITOR, command)
    return monitor.read(_MONITOR, 1)


def _values(monitor: SocketPlayer, command: bytes) -> dict[str, str]:
    lines = _ask(monitor, command).decode("latin-1").split("\n")
    return {key: value for key, _, value in (line.partition(": ") for line in lines) if value}


def _check_unused(monitor: SocketPlayer, address: Address) -> None:
    _wait_until_alone(monitor)
    values = _values(monitor, b"stats\r\n")
    if not values.get("current-connections", "").isdigit():
        raise PlayerError(f"{address}: it does not answer `stats` as a beanstalkd does")
    jobs = sum(int(values.get(f"current-jobs-{state}", "0")) for state in ("ready", "reserved", "delayed", "buried"))
    if jobs:
        raise PlayerError(f"{address}: it holds {jobs} jobs, which would be lost; name a server without jobs")
    others = int(values["current-connections"]) - 1
    if others:
        raise PlayerError(f"{address}: {others} other connections use it; name a server that nobody uses")
    if values.get("draining", "false") != "false":
        raise PlayerError(f"{address}: it is draining and takes no jobs; start it anew")


def _wait_until_alone(monitor: SocketPlayer) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while _values(monitor, b"stats\r\n").get("current-connections") not in ("1", None):
        if time.monotonic() > deadline:
            return
        time.sleep(QUIET_SECONDS)


def _last_id(monitor: SocketPlayer) -> int:
    """The highest id so far: that of a job put and deleted for the purpose."""
    reply = _ask(monitor, b"put 0 4294967295 1 0\r\n\r\n").split()
    if len(reply) != 2 or reply[0] != b"INSERTED" or not reply[1].isdigit():
        raise PlayerError(f"a put is answered {b' '.join(reply).decode('latin-1') or 'not at all'}, not INSERTED")
    _ask(monitor, b"delete %d\r\n" % int(reply[1]))
    return int(reply[1])


def _counters(monitor: SocketPlayer) -> dict[str, int]:
    values = _values(monitor, b"stats-tube default\r\n")
    return {key: int(values[key]) for key in _COUNTERS if values.get(key, "").isdigit()}
