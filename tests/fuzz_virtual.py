"""One script of the fuzz in virtual time: what must hold whatever is sent.

No exception; every connection's output is a stream of whole replies, each one that its command may get, one a command
in order; what is kept for a connection stays bounded; the machine's invariants hold; and no answer depends on how the
bytes were cut. With a machine that refuses now and then, as one with a full disk does, the same.
"""

import random
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.wire.broker import INPUT_LIMIT as INPUT_LIMIT_DEFAULT
from jsm.wire.broker import OUTPUT_LIMIT as OUTPUT_LIMIT_DEFAULT
from jsm.wire.broker import Broker
from models.checked import CheckedMachine
from models.conformance_match import reply_length, split_replies
from models.conformance_virtual import VirtualPlayer
from models.invariants import check_state
from models.picture import picture_of
from tests.fuzz_bytes import Action, Asked, commands_in

MAX_JOB_SIZE: Final = 500
INPUT_LIMIT: Final = 1000
OUTPUT_LIMIT: Final = 1000
REPLY_MAX: Final = 1500  # `stats` is the longest reply that this fuzz gets
UNITS_PER_SECOND: Final = 1000
PIECE_BYTES: Final = 3000  # at most what a session is given at a time
FEEDER: Final = 99  # a connection beside those of the script

_REPLY: Final = re.compile(
    rb"(INSERTED|KICKED|WATCHING) [0-9]+\r\n|(RESERVED|FOUND) [0-9]+ [0-9]+\r\n.*|OK [0-9]+\r\n---\n.*|USING [!-~]+\r\n"
    rb"|(DRAINING|JOB_TOO_BIG|EXPECTED_CRLF|BAD_FORMAT|UNKNOWN_COMMAND|NOT_FOUND|NOT_IGNORED|DELETED|RELEASED|BURIED"
    rb"|TOUCHED|KICKED|PAUSED|TIMED_OUT|DEADLINE_SOON|OUT_OF_MEMORY|INTERNAL_ERROR)\r\n",
    re.DOTALL,
)


T = TypeVar("T")


class FuzzError(AssertionError):
    """Something that must hold does not."""


class FullDiskError(JsmError):
    """What a machine says whose journal can't be written."""

    wire_reply = "INTERNAL_ERROR"


class RefusingMachine:
    """A machine that refuses changing calls now and then."""

    CHANGING: Final = frozenset(
        (
            *("put", "delete", "release", "release_with", "touch", "bury", "kick", "kick_n", "append_reservation"),
            *("reserve_job", "cancel_reservation", "tick", "pause_tube", "use_tube", "watch_tube", "ignore_tube"),
            "close_client",
        )
    )

    def __init__(self, machine: Machine, chance: float, rng: random.Random) -> None:
        self.machine = machine
        self.chance = chance
        self._random = rng

    def __getattr__(self, name: str) -> Any:
        """The machine's own, or one that refuses."""
        if name in self.CHANGING and self._random.random() < self.chance:
            return self._refuse
        return getattr(self.machine, name)

    def _refuse(self, *args: object, **kwargs: object) -> None:
        raise FullDiskError("the disk is full")


class FuzzPlayer(VirtualPlayer):
    """A virtual player whose clients may stop reading."""

    def __init__(self, broker: Broker, *, cuts: random.Random | None = None) -> None:
        super().__init__(broker, cuts=cuts, piece_bytes=PIECE_BYTES)
        self.stalled: set[int] = set()

    def stall(self, connection: int) -> None:
        """The client reads no more."""
        self.stalled.add(connection)

    def resume(self, connection: int) -> None:
        """The client reads again."""
        self.stalled.discard(connection)
        link = self._link(connection)
        if link.session is not None:
            self.broker._changed[link.session] = None  # its socket can be written to again
        self._settle()

    def _is_stalled(self, session: Any) -> bool:
        return any(self._links.get(number) is self._of_session.get(session) for number in self.stalled)

    def _take_over(self) -> bool:
        kept = [session for session in self.broker.take_changed() if not self._is_stalled(session)]
        for session in kept:
            self.broker._changed[session] = None
        return super()._take_over()


Played = dict[int, bytes]
"""What each connection received, by its number."""


def run(
    script: list[Action],
    *,
    cuts: random.Random | None = None,
    machine: str = "plain",
    seed: int = 0,
    limits: tuple[int, int] = (INPUT_LIMIT, OUTPUT_LIMIT),
) -> Played:
    """Play a script and check all that must hold; `machine` is plain, checked or refusing. Raises `FuzzError`."""
    make = CheckedMachine if machine == "checked" else Machine
    real: Any = make(units_per_second=UNITS_PER_SECOND, max_job_size=MAX_JOB_SIZE)
    refusing = RefusingMachine(real, 0.1, random.Random(seed)) if machine == "refusing" else None
    broker = Broker(refusing or real, input_limit=limits[0], output_limit=limits[1])
    player = FuzzPlayer(broker, cuts=cuts)
    sent: dict[int, bytearray] = {}
    for action in script:
        _act(player, action, sent)
        _check_bounds(broker)
        if refusing is None:
            _check_rest(broker, player.now)
            check_state(picture_of(real))
    received = {number: bytes(link.received) for number, link in player._links.items()}
    if refusing is not None:
        refusing.chance = 0.0
    _finish(player, sent, is_refusing=refusing is not None)
    check_state(picture_of(real))
    return received


def _act(player: FuzzPlayer, action: Action, sent: dict[int, bytearray]) -> None:
    number = action.connection
    match action.kind:
        case "send":
            sent.setdefault(number, bytearray()).extend(action.data)
            player.send(number, action.data)
        case "wait":
            player._advance(action.units)
        case "close":
            sent.pop(number, None)
            player.stalled.discard(number)
            player.close(number)
        case "shut":
            sent.setdefault(number, bytearray())
            player.shut(number)
        case "stall":
            player.stall(number)
        case "resume":
            player.resume(number)
        case "drain":
            player.drain()


def _check_bounds(broker: Broker) -> None:
    for session in broker.sessions.values():
        if session.output_size > broker.output_limit + REPLY_MAX:
            raise FuzzError(f"{session.client_id}: {session.output_size} bytes of output are kept")
        if session.reader.size > broker.input_limit + PIECE_BYTES:
            raise FuzzError(f"{session.client_id}: {session.reader.size} bytes of input are kept")


def _check_rest(broker: Broker, now: int) -> None:
    due = broker.next_tick_at()
    if due is not None and due <= now:
        raise FuzzError(f"something is left to do at {now}")


def _finish(player: FuzzPlayer, sent: dict[int, bytearray], *, is_refusing: bool) -> None:
    """Let all clients read and half-close: then each command has had one reply, and every session is closed."""
    player._advance(2 * UNITS_PER_SECOND)
    for number in list(player.stalled):
        player.resume(number)
    for number in sent:
        player.shut(number)
    _feed(player, sent)
    for number, data in sent.items():
        link = player._links[number]
        session = link.session
        is_whole = session is None
        if session is not None and not (player.broker.draining and session.is_waiting):
            raise FuzzError(f"connection {number} is still open after its end")
        asked = commands_in(bytes(data), MAX_JOB_SIZE)
        check_stream(asked, bytes(link.received), is_refusing=is_refusing, is_whole=is_whole)
    if player.broker.sessions.keys() - {link.session.client_id for link in player._links.values() if link.session}:
        raise FuzzError("a session is left without a connection")


def _feed(player: FuzzPlayer, sent: dict[int, bytearray]) -> None:
    """Give jobs to whoever waits with so much behind it that its end of sending has not been read yet."""
    for _ in range(1000):
        player._advance(3 * UNITS_PER_SECOND)
        sessions = [player._links[number].session for number in sent]
        waiting = [session for session in sessions if session is not None and session.is_waiting]
        if not waiting or player.broker.draining:
            return
        for session in waiting:
            tube = session.watched[0].encode()
            player.send(FEEDER, b"pause-tube %b 0\r\nuse %b\r\nput 0 0 1 0\r\n\r\n" % (tube, tube))


def check_stream(asked: list[Asked], received: bytes, *, is_refusing: bool = False, is_whole: bool = True) -> None:
    """Check that a stream is replies that fit their commands, one each (with `is_whole`). Raises `FuzzError`."""
    replies = split_replies(received)
    used = b"default"
    expected = [each for each in asked if each.name != "quit"]
    for number, (each, reply) in enumerate(zip(expected, replies, strict=False), start=1):
        if reply_length(reply) != len(reply) or not reply.endswith(b"\r\n") or not _REPLY.fullmatch(reply):
            raise FuzzError(f"reply {number} to {each.name!r} is malformed: {reply[:80]!r}")
        if is_refusing and reply in (b"INTERNAL_ERROR\r\n", b"OUT_OF_MEMORY\r\n"):
            continue
        if not reply.startswith(each.replies):
            raise FuzzError(f"reply {number} to {each.name!r} {each.argument!r} can't be {reply[:80]!r}")
        if each.name == "use":
            used = each.argument
        if each.name in ("use", "list-tube-used") and reply != b"USING %b\r\n" % used:
            raise FuzzError(f"reply {number}: {reply!r} while {used!r} is used")
    if len(replies) > len(expected) or (is_whole and len(replies) < len(expected)):
        raise FuzzError(f"{len(expected)} commands got {len(replies)} replies; the last ones are {replies[-2:]!r}")


def check_script(script: list[Action], seed: int, *, machine: str) -> None:
    """Check a script: with narrow limits, with a machine that refuses; then whole, byte by byte, in random pieces.

    Where a limit holds a connection back, pieces may make a difference: others have their turn meanwhile.
    """
    run(script, machine=machine, seed=seed)
    run(script, machine="refusing", seed=seed)
    wide = (INPUT_LIMIT_DEFAULT, OUTPUT_LIMIT_DEFAULT)
    whole = run(script, seed=seed, limits=wide)
    for cuts in (random.Random(seed), OneByOne()):
        pieces = run(script, cuts=cuts, seed=seed, limits=wide)
        if pieces != whole:
            number = next(each for each in whole if whole[each] != pieces.get(each))
            raise FuzzError(f"connection {number} receives other bytes when what is sent comes in pieces")


class OneByOne(random.Random):
    """Cuts everything into single bytes."""

    def choice(self, seq: Any) -> Any:
        """Always one."""
        return 1


def shortest(script: list[Action], fails: Callable[[list[Action]], bool]) -> list[Action]:
    """A script of which no action, and no line of what is sent, can be left out without it failing no more."""
    script = _without(script, fails)
    for at in range(len(script)):
        script = _with_fewer_lines(script, at, fails)
    return _without(script, fails)


def _with_fewer_lines(script: list[Action], at: int, fails: Callable[[list[Action]], bool]) -> list[Action]:
    lines = script[at].data.splitlines(keepends=True)
    return _sending(script, at, _without(lines, lambda kept: fails(_sending(script, at, kept))))


def _sending(script: list[Action], at: int, pieces: list[bytes]) -> list[Action]:
    """The script with other bytes in one action."""
    return [*script[:at], script[at]._replace(data=b"".join(pieces)), *script[at + 1 :]]


def _without(items: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """The items without those that a failure doesn't need: halves first, then smaller and smaller parts."""
    size = max(1, len(items) // 2)
    while True:
        at = 0
        cut = False
        while at < len(items):
            fewer = items[:at] + items[at + size :]
            if fails(fewer):
                items, cut = fewer, True
            else:
                at += size
        if size == 1 and not cut:
            return items
        size = max(1, size // 2)
