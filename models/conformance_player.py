"""Playing conversations: what a player of them can do, and the steps of a conversation played by one.

A player is a server that was just started, as a client sees it. `models.conformance_virtual` plays with the sessions
of this project in a time of its own; `models.conformance_sockets` with any server, in real time or its manual clock's.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from models.conformance_corpus import (
    DRAIN,
    EOF_MARK,
    PARTIAL,
    Conversation,
    MalformedInput,
    Step,
    StepOp,
)
from models.conformance_match import split_replies


class PlayerError(Exception):
    """The server can't be played with: it doesn't start, or can't be told to do what the script asks for."""


class CannotPlay(PlayerError):
    """This entry is not for this player: the reason why it is left out."""


class Player(Protocol):
    """A fresh server and the connections to it, which are opened at first use."""

    def send(self, connection: int, data: bytes) -> None:
        """Send bytes on a connection and let the server act on them. One that it has closed takes them in vain."""

    def read(self, connection: int, replies: int, *, to_the_end: bool = False) -> bytes:
        """The next replies, fewer if no more come; with `to_the_end` all there are, and `EOF_MARK` at the end."""

    def pending(self, connection: int, *, at_least: int = 0) -> bytes:
        """Everything that the server has sent there and nobody read, once it is quiet; it stays unread.

        A slow server is given time for `at_least` so many replies.
        """

    def wait(self, seconds: int, slack_seconds: float) -> None:
        """Let time pass; the slack only where time really passes."""

    def pause(self, seconds: float) -> None:
        """Let so much time pass that what was sent has arrived."""

    def close(self, connection: int) -> None:
        """Close a connection."""

    def shut(self, connection: int) -> None:
        """Close a connection for sending; what the server still has to say can be read."""

    def drain(self) -> None:
        """Tell the server to take no more jobs. Raises `CannotPlay` where that is not possible."""


MakePlayer = Callable[[tuple[str, ...]], AbstractContextManager[Player]]
"""Starts a server with these arguments of beanstalkd's, such as ("-z", "10"). Raises `CannotPlay`, `PlayerError`."""


class Played(NamedTuple):
    """A step that was played, with what came back."""

    step: Step
    got: bytes


class PlayedInput(NamedTuple):
    """What came back to an input, and to the probe after it."""

    got: bytes
    probe_got: bytes


class Leftover(NamedTuple):
    """What a server sent and no step asked for."""

    connection: int
    got: bytes


PARTIAL_PUT: Final = b"put 0 0 9 30\r\nab"
"""The unfinished put of `PARTIAL`."""

_SETUP_CONNECTION: Final = 2
_INPUT_CONNECTION: Final = 1


def play(conversation: Conversation, player: Player) -> tuple[list[Played], list[Leftover]]:
    """Play every step; what each got, and what was left unread at the end."""
    played = [Played(step, _play_step(step, player)) for step in conversation.steps]
    closed = {step.connection for step in conversation.steps if step.op is StepOp.CLOSE}
    used = {step.connection for step in conversation.steps if step.connection} - closed
    left = [Leftover(connection, player.pending(connection)) for connection in sorted(used)]
    return played, [each for each in left if each.got.removesuffix(EOF_MARK)]


def _play_step(step: Step, player: Player) -> bytes:
    if step.wait_seconds:
        player.wait(step.wait_seconds, step.slack_seconds)
    match step.op:
        case StepOp.SEND:
            player.send(step.connection, step.send)
        case StepOp.CLOSE:
            player.close(step.connection)
        case StepOp.SHUT:
            player.shut(step.connection)
        case StepOp.DRAIN:
            player.drain()
        case StepOp.NONE:
            return player.pending(step.connection)
        case StepOp.RECV:
            pass
    if step.op not in (StepOp.SEND, StepOp.RECV):
        return b""
    if not step.reply:
        return player.pending(step.connection)
    return player.read(step.connection, step.replies, to_the_end=step.reply.endswith(EOF_MARK))


def play_input(given: MalformedInput, player: Player) -> PlayedInput:
    """Set the scene, send the input, then the probe on the same connection."""
    for part in given.setup:
        if part == DRAIN:
            player.drain()
        elif part == PARTIAL:
            player.send(_SETUP_CONNECTION + 1, PARTIAL_PUT)
        else:
            player.send(_SETUP_CONNECTION, part)
            player.pending(_SETUP_CONNECTION)
    player.send(_INPUT_CONNECTION, given.send)
    half_closed = False
    for op in given.ops:
        if op.op == "send":
            player.send(_INPUT_CONNECTION, op.data)
        elif op.op == "shut":
            player.shut(_INPUT_CONNECTION)
            half_closed = True
        else:
            player.pause(op.seconds)
    awaited = [each for each in (given.expect_doc, given.observed) if each]
    unread = 0  # how much of what comes with the reply to the probe was there before
    if any(each.endswith(EOF_MARK) for each in awaited):
        got = player.read(_INPUT_CONNECTION, 0, to_the_end=True)
    else:
        got = player.pending(_INPUT_CONNECTION, at_least=min((_count(each) for each in awaited), default=0))
        unread = len(got)
    if got.endswith(EOF_MARK) or half_closed or not given.probe:
        return PlayedInput(got, b"")
    player.send(_INPUT_CONNECTION, given.probe)
    awaited_count = (_count(got) if unread else 0) + (1 if given.probe_observed or given.expect_doc else 0)
    return PlayedInput(got, player.pending(_INPUT_CONNECTION, at_least=awaited_count)[unread:])


def _count(stream: bytes) -> int:
    return len(split_replies(stream.removesuffix(EOF_MARK)))
