"""One script of the fuzz with a server on a socket, compared with the sessions of this project in virtual time.

The scripts are plain: nothing in them depends on how fast a server is, nor on what beanstalkd is known to do otherwise
(the order of several waiting clients and of `list-tubes`, ids of refused puts, loose numbers).
"""

from typing import Final

from models.conformance_match import matches, reply_length, split_replies, without_quotes
from models.conformance_player import Player, PlayerError
from models.conformance_spawn import check_command, spawned
from models.conformance_virtual import VirtualPlayer, make_broker
from tests.fuzz_bytes import CONNECTIONS, Action

TOLERANCE: Final = {"age": 2, "time-left": 2}
BARRIER: Final = CONNECTIONS + 1
"""A connection that asks for something harmless: a server that answers it has seen all that was sent before."""


def words_of(command: str) -> tuple[str, ...]:
    """The words of a command that starts a server. Raises `BadValueError`."""
    return check_command(command)


def difference(script: list[Action], words: tuple[str, ...]) -> str:
    """Where the server's replies differ from the sessions', or nothing."""
    ours = VirtualPlayer(make_broker())
    try:
        with spawned(words) as theirs:
            for player in (ours, theirs):
                _barrier(player)
            for number, action in enumerate(script, start=1):
                for player in (ours, theirs):
                    _act(player, action)
                ours.pause(0.001)  # what is delayed later by the same time comes later
                told = _compare(ours, theirs, action.connection) if action.kind != "close" else ""
                if told:
                    return f"action {number}: {told}"
            for connection in {action.connection for action in script} - _closed(script):
                ours.pause(0.001)  # what is delayed later by the same time comes later
                told = _compare(ours, theirs, connection) or _surplus(theirs, connection)
                if told:
                    return f"at the end: {told}"
    except PlayerError as error:
        return f"PlayerError: {error}"
    return ""


def _closed(script: list[Action]) -> set[int]:
    return {action.connection for action in script if action.kind == "close"}


def _act(player: Player, action: Action) -> None:
    if action.kind == "send":
        player.send(action.connection, action.data)
    elif action.kind == "shut":
        player.shut(action.connection)
    elif action.kind == "close":
        player.close(action.connection)
    if action.kind != "send":
        _barrier(player)


def _barrier(player: Player) -> None:
    player.send(BARRIER, b"list-tube-used\r\n")
    player.read(BARRIER, 1)


def _compare(ours: VirtualPlayer, theirs: Player, connection: int) -> str:
    """Compare what came on a connection: as many replies as the sessions gave."""
    expected = bytes(ours._link(connection).received)
    count = len(split_replies(expected))
    ours.read(connection, count)
    got = theirs.read(connection, count) if count else b""
    for each, reply in zip(split_replies(expected), split_replies(got), strict=False):
        if not matches(each, reply, TOLERANCE) and not matches(without_quotes(each), reply, TOLERANCE):
            return f"connection {connection}: expected {each!r}, got {reply!r}"
    if len(split_replies(got)) != count:
        return f"connection {connection}: expected {expected!r}, got {got!r}"
    return ""


def _surplus(theirs: Player, connection: int) -> str:
    _barrier(theirs)
    left = theirs.pending(connection).removesuffix(b"<EOF>")
    return f"connection {connection}: nobody asked for {left!r}" if left and reply_length(left) else ""
