"""What the fuzz sends: random scripts of well-formed and malformed commands on several connections.

Everything follows from a seed. A script is a list of actions; what its bytes ask for, command by command, is worked
out by `commands_in`, a plain reading of the protocol that shares nothing with the project's codec.
"""

import random
import re
from typing import Final, NamedTuple

CONNECTIONS: Final = 6
TUBES: Final = ("default", "t", "a-b", "z" * 200)


class Action(NamedTuple):
    """One thing that a client, the clock or an operator does."""

    kind: str  # send, shut, close, stall (its client reads no more), resume, wait, drain
    connection: int = 0
    data: bytes = b""
    units: int = 0  # milliseconds


class Asked(NamedTuple):
    """A command in a stream of bytes, and the replies that it may get."""

    name: str  # "" for what is no command
    argument: bytes  # the first word behind the name
    replies: tuple[bytes, ...]  # the beginnings of lines


_ID = rb"([0-9]+)"
_U32 = rb"([0-9]+)"
_TUBE = rb"([A-Za-z0-9+/;.$_()][-A-Za-z0-9+/;.$_()]{0,199})"
_GRAMMAR: Final[dict[str, tuple[bytes, tuple[int, ...], tuple[bytes, ...]]]] = {
    "put": (b" ".join([b"put", _U32, _U32, _U32, _U32]), (32, 32, 32, 32), (b"INSERTED ", b"DRAINING\r\n")),
    "use": (b"use " + _TUBE, (), (b"USING ",)),
    "reserve": (b"reserve", (), (b"RESERVED ", b"DEADLINE_SOON\r\n", b"TIMED_OUT\r\n")),
    "reserve-with-timeout": (
        b"reserve-with-timeout " + _U32,
        (31,),
        (b"RESERVED ", b"DEADLINE_SOON\r\n", b"TIMED_OUT\r\n"),
    ),
    "reserve-job": (b"reserve-job " + _ID, (64,), (b"RESERVED ", b"NOT_FOUND\r\n")),
    "delete": (b"delete " + _ID, (64,), (b"DELETED\r\n", b"NOT_FOUND\r\n")),
    "release": (b" ".join([b"release", _ID, _U32, _U32]), (64, 32, 32), (b"RELEASED\r\n", b"NOT_FOUND\r\n")),
    "bury": (b" ".join([b"bury", _ID, _U32]), (64, 32), (b"BURIED\r\n", b"NOT_FOUND\r\n")),
    "touch": (b"touch " + _ID, (64,), (b"TOUCHED\r\n", b"NOT_FOUND\r\n")),
    "watch": (b"watch " + _TUBE, (), (b"WATCHING ",)),
    "ignore": (b"ignore " + _TUBE, (), (b"WATCHING ", b"NOT_IGNORED\r\n")),
    "peek": (b"peek " + _ID, (64,), (b"FOUND ", b"NOT_FOUND\r\n")),
    "peek-ready": (b"peek-ready", (), (b"FOUND ", b"NOT_FOUND\r\n")),
    "peek-delayed": (b"peek-delayed", (), (b"FOUND ", b"NOT_FOUND\r\n")),
    "peek-buried": (b"peek-buried", (), (b"FOUND ", b"NOT_FOUND\r\n")),
    "kick": (b"kick " + _U32, (64,), (b"KICKED ",)),
    "kick-job": (b"kick-job " + _ID, (64,), (b"KICKED\r\n", b"NOT_FOUND\r\n")),
    "stats-job": (b"stats-job " + _ID, (64,), (b"OK ", b"NOT_FOUND\r\n")),
    "stats-tube": (b"stats-tube " + _TUBE, (), (b"OK ", b"NOT_FOUND\r\n")),
    "stats": (b"stats", (), (b"OK ",)),
    "list-tubes": (b"list-tubes", (), (b"OK ",)),
    "list-tube-used": (b"list-tube-used", (), (b"USING ",)),
    "list-tubes-watched": (b"list-tubes-watched", (), (b"OK ",)),
    "pause-tube": (b"pause-tube " + _TUBE + b" " + _U32, (), (b"PAUSED\r\n", b"NOT_FOUND\r\n")),
    "quit": (b"quit", (), ()),
}
_COMPILED: Final = {name: re.compile(pattern) for name, (pattern, _, _) in _GRAMMAR.items()}
_LOOSE_PUT: Final = re.compile(rb"put ([0-9]+) ([0-9]+) ([0-9]+) ([0-9]+)")
_REFUSED: Final = (b"BAD_FORMAT\r\n", b"UNKNOWN_COMMAND\r\n")


def commands_in(stream: bytes, max_job_size: int) -> list[Asked]:
    """Every whole command of a connection's bytes, in order; nothing behind a `quit`."""
    found = []
    at = 0
    while (end := stream.find(b"\r\n", at)) >= 0:
        line = stream[at:end]
        at = end + 2
        if len(line) > 222:
            found.append(Asked("", b"", (b"BAD_FORMAT\r\n",)))
            continue
        asked, body = _command_in(line, max_job_size)
        if body is not None:
            if len(stream) < at + body + 2:
                return found
            trailer = stream[at + body : at + body + 2]
            at += body + 2
            if body > max_job_size:
                asked = Asked("put", b"", (b"JOB_TOO_BIG\r\n",))
            elif trailer != b"\r\n":
                asked = Asked("put", b"", (b"EXPECTED_CRLF\r\n",))
        found.append(asked)
        if asked.name == "quit":
            break
    return found


def _command_in(line: bytes, max_job_size: int) -> tuple[Asked, int | None]:
    """The command of a line, and how long the body is that follows it."""
    for name, pattern in _COMPILED.items():
        match = pattern.fullmatch(line)
        if match is None:
            continue
        numbers = [int(word) for word in match.groups() if word.isdigit()] if _GRAMMAR[name][1] else []
        if name == "pause-tube":
            numbers = [int(match[2])]
        bits = (32,) if name == "pause-tube" else _GRAMMAR[name][1]
        if any(number >= 1 << most for number, most in zip(numbers, bits, strict=True)):
            break
        asked = Asked(name, match[1] if match.groups() else b"", _GRAMMAR[name][2])
        return asked, numbers[3] if name == "put" else None
    loose = _LOOSE_PUT.match(line)  # the recorded server looks at the size before it looks behind it
    if loose and all(int(word) < 1 << 32 for word in loose.groups()) and int(loose[4]) > max_job_size:
        return Asked("put", b"", ()), int(loose[4])
    return Asked("", b"", _REFUSED), None


# ---------------------------------------------------------------------- what is sent


class Writer:
    """Writes random scripts. `is_plain`: only what beanstalkd answers in the same way at any speed."""

    def __init__(self, seed: int, *, is_plain: bool = False) -> None:
        self.random = random.Random(seed)
        self.is_plain = is_plain
        self._puts = 0
        self._delays = self.random.sample(range(100, 40_000, 10), 3_000)  # all others: no two end at one instant

    def script(self, length: int) -> list[Action]:
        """So many actions, in random order, for connections that may still do them."""
        actions = []
        closed: set[int] = set()
        shut: set[int] = set()
        stalled: set[int] = set()
        for _ in range(length):
            action = self._action()
            number = action.connection
            if number in closed or (number in shut and action.kind in ("send", "shut")):
                continue
            if action.kind == "close":
                closed.add(number)
            elif action.kind == "shut":
                shut.add(number)
            elif action.kind == "stall":
                stalled.add(number)
            elif action.kind == "resume" and number not in stalled:
                continue
            actions.append(action)
        return actions

    def _action(self) -> Action:
        draw = self.random.random()
        number = self.random.randint(1, CONNECTIONS)
        if self.is_plain:
            if draw < 0.02:
                return Action(self.random.choice(("close", "shut")), number)
            return Action("send", number, b"".join(self._plain() for _ in range(self.random.choice((1, 1, 2, 5)))))
        if draw < 0.12:
            return Action("wait", units=self.random.choice((1, 999, 1000, 1001, 2000, 5000, 100_000)))
        if draw < 0.14:
            return Action("close", number)
        if draw < 0.16:
            return Action("shut", number)
        if draw < 0.22:
            return Action("stall", number)
        if draw < 0.24:
            return Action("resume", number)
        if draw < 0.243:
            return Action("drain")
        pieces = [self._command() for _ in range(self.random.choice((1, 1, 1, 2, 3, 8, 30)))]
        data = b"".join(pieces)
        if self.random.random() < 0.1:
            data = data[: self.random.randint(0, len(data))]  # the rest is never sent: what comes next is glued to it
        return Action("send", number, data)

    def _plain(self) -> bytes:
        if self.random.random() < 0.1:
            wrong = (b"delete x\r\n", b"peek -1\r\n", b"nonsense\r\n", b"use \r\n", b"release 1 2\r\n", b"\r\n")
            return self.random.choice(wrong)
        while True:
            command = self._well_formed()
            if not command.startswith((b"list-tubes\r", b"stats\r", b"reserve\r", b"reserve-with", b"pause", b"quit")):
                return command
            if command.startswith(b"reserve") and self.random.random() < 0.7:
                return b"reserve-with-timeout 0\r\n"

    def _command(self) -> bytes:
        draw = self.random.random()
        if draw < 0.75:
            return self._well_formed()
        return self._mutated(self._well_formed()) if draw < 0.92 else self._strange()

    def _well_formed(self) -> bytes:
        pick = self.random.choice
        job = self.random.randint(1, max(1, self._puts + 1))
        tube = pick(TUBES)
        priority = pick((0, 1, 1023, 1024, 4294967295))
        seconds = pick((100, 1000) if self.is_plain else (0, 1, 2, 5, 100))
        delay = pick((0, 0, self._delays.pop()) if self.is_plain else (0, 0, 0, 1, 2))
        ttr = pick((1000, 4000) if self.is_plain else (0, 1, 1, 2, 3, 10))
        commands = (
            "put", "put", "put", "reserve", "reserve", "reserve-with-timeout", "reserve-job", "delete", "delete",
            "release", "release", "bury", "bury", "touch", "use", "watch", "ignore", "peek", "kick", "kick-job",
            "stats-job", "stats-tube", "pause-tube",
            pick(("peek-ready", "peek-delayed", "peek-buried", "stats", "list-tubes", "list-tube-used",
                  "list-tubes-watched", "quit" if self.random.random() < 0.1 else "list-tube-used")),
        )  # fmt: skip
        name = pick(commands)
        match name:
            case "put":
                self._puts += 1
                body = bytes(pick(b"ab\r\n\0\xff") for _ in range(pick((0, 1, 2, 10, 100))))
                return b"put %d %d %d %d\r\n%b\r\n" % (priority, delay, ttr, len(body), body)
            case "use" | "watch" | "ignore" | "stats-tube":
                return f"{name} {tube}\r\n".encode()
            case "pause-tube":
                return f"{name} {tube} {pick((0, 1, 2))}\r\n".encode()
            case "reserve-with-timeout":
                return f"{name} {pick((0, 0, 1, 2, seconds))}\r\n".encode()
            case "release":
                return f"{name} {job} {priority} {delay}\r\n".encode()
            case "bury":
                return f"{name} {job} {priority}\r\n".encode()
            case "kick":
                return f"{name} {pick((0, 1, 2, 100))}\r\n".encode()
            case "reserve-job" | "delete" | "touch" | "peek" | "kick-job" | "stats-job":
                return f"{name} {job}\r\n".encode()
        return f"{name}\r\n".encode()

    def _mutated(self, command: bytes) -> bytes:
        """A command with one thing wrong."""
        data = bytearray(command)
        at = self.random.randrange(len(data))
        match self.random.randrange(6):
            case 0:
                del data[at]
            case 1:
                data[at] = self.random.randrange(256)
            case 2:
                data[at:at] = self.random.choice((b" ", b"\0", b"\r", b"\n", b"\t", b"-", b"9", b"\r\n", b"\xc3"))
            case 3:
                data[at:at] = data[: self.random.randrange(20)]
            case 4:
                return bytes(data).upper()
            case 5:
                return re.sub(rb"[0-9]+", lambda match: self._number(), bytes(data), count=1)
        return bytes(data)

    def _number(self) -> bytes:
        numbers = (0, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**64 - 1, 2**64, 10**40)
        return self.random.choice(
            (b"-1", b"+1", b"1_0", b"0x1", b"1e3", b"", b"00000001", str(self.random.choice(numbers)).encode())
        )

    def _strange(self) -> bytes:
        """Bytes at the protocol's limits, or far from it."""
        pick = self.random.choice
        size = pick((499, 500, 501, 502, 3000))
        return pick(
            (
                b"\r\n",
                b"\0\r\n",
                b"\r\r\n\n",
                bytes(self.random.randrange(256) for _ in range(self.random.randrange(300))) + b"\r\n",
                b"x" * pick((221, 222, 223, 224, 225, 500, 5000)) + b"\r\n",
                b"use " + b"y" * pick((199, 200, 201, 218, 219)) + b"\r\n",
                b"put 0 0 1 %d\r\n%b\r\n" % (size, b"s" * size),
                b"put 0 0 1 %d x\r\n%b\r\n" % (size, b"s" * size),
                b"put 0 0 1 3\r\nabcd\r\n",
                b"put 0 0 1 5\r\nabc\r\n",
                b"put 0 0 1 3\r\nabc\rx",
                b"put 0 0 1 40000\r\n" if self.random.random() < 0.1 else b"put 0 0 1 -1\r\n",
                b"delete\r\nrelease\r\nput\r\n",
            )
        )
