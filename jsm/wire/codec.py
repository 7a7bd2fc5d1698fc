"""The protocol's bytes: commands and replies, both ways, at any boundary of the pieces in which they arrive.

The server's side: `CommandReader` makes commands out of bytes, the `encode_…` functions make replies. The client's
side: `encode_command` and `ReplyReader`. Nothing here knows what a command does.

Numbers are decimal ASCII digits and nothing else, words are parted by one blank each. A line of more than 224 bytes
and a body that is too big are skipped as they arrive, never kept.

Source: beanstalkd `doc/protocol.txt`; where it and the C server disagree,
`reports/decisions/0007-wire.md` says what holds.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from jsm.errors import BadValueError
from jsm.job import TubeName
from jsm.limits import MAX_JOB_SIZE, PRIORITY_MAX, SECONDS_MAX, check_tube_name

LINE_BYTES_MAX = 224  # of a command, its carriage return and line feed included
JOB_ID_MAX = 2**64 - 1
KICK_MAX = 2**64 - 1
BODY_BYTES_MAX = 2**32 - 1  # what a put may announce; whether it is too big is another question
TIMEOUT_SECONDS_MAX = 2**31 - 1  # of reserve-with-timeout

CRLF: Final = b"\r\n"

_ID = (JOB_ID_MAX,)
_NUMBERS: Final[dict[str, tuple[int, ...]]] = {
    "put": (PRIORITY_MAX, SECONDS_MAX, SECONDS_MAX, BODY_BYTES_MAX),
    "reserve": (),
    "reserve-with-timeout": (TIMEOUT_SECONDS_MAX,),
    "reserve-job": _ID,
    "delete": _ID,
    "release": (JOB_ID_MAX, PRIORITY_MAX, SECONDS_MAX),
    "bury": (JOB_ID_MAX, PRIORITY_MAX),
    "touch": _ID,
    "peek": _ID,
    "peek-ready": (),
    "peek-delayed": (),
    "peek-buried": (),
    "kick": (KICK_MAX,),
    "kick-job": _ID,
    "stats": (),
    "stats-job": _ID,
    "list-tubes": (),
    "list-tube-used": (),
    "list-tubes-watched": (),
    "quit": (),
}
_TUBE_AND_NUMBERS: Final[dict[str, tuple[int, ...]]] = {
    "use": (),
    "watch": (),
    "ignore": (),
    "stats-tube": (),
    "pause-tube": (SECONDS_MAX,),
}

COMMANDS: Final = (*_NUMBERS, *_TUBE_AND_NUMBERS)
"""The words that begin a command."""

_PUT = re.compile(rb"put [0-9]+ [0-9]+ [0-9]+ [0-9]+")
_WORD = re.compile(r"[^\t-\r ]*")  # up to the first character that ASCII counts as white space


_NO_TUBE = TubeName("")


class Command(NamedTuple):
    """A command as a client sent it, its numbers and its tube within the limits of their fields.

    A put's numbers are priority, delay, ttr and the body's length; a release's are id, priority and delay.
    """

    name: str
    numbers: tuple[int, ...] = ()
    tube: TubeName = _NO_TUBE
    body: bytes = b""


class BadLine(NamedTuple):
    """What was sent instead of a command, or a put whose body can't be taken."""

    reply: bytes  # with its carriage return and line feed
    counts: str = ""  # the command that `stats` counts nevertheless, since its line was understood


BAD_FORMAT: Final = BadLine(b"BAD_FORMAT\r\n")
UNKNOWN_COMMAND: Final = BadLine(b"UNKNOWN_COMMAND\r\n")
JOB_TOO_BIG: Final = BadLine(b"JOB_TOO_BIG\r\n", "put")
EXPECTED_CRLF: Final = BadLine(b"EXPECTED_CRLF\r\n", "put")


def parse_line(line: bytes) -> Command | BadLine:
    """The command in a line without its carriage return and line feed. O(length)."""
    command = _PLAIN.get(line)
    if command is not None:
        return command
    words = line.decode("latin-1").split(" ")
    name = words[0]
    limits = _NUMBERS.get(name)
    if limits is _ID and len(words) == 2 and words[1].isdecimal():  # most lines; see below
        number = int(words[1])
        return _command(Command, (name, (number,), _NO_TUBE, b"")) if number <= JOB_ID_MAX else BAD_FORMAT
    tube = _NO_TUBE
    if limits is None:
        limits = _TUBE_AND_NUMBERS.get(name)
        if limits is None:
            return _no_command(line)
        if len(words) < 2:
            return BAD_FORMAT
        tube = TubeName(words.pop(1))
        try:
            check_tube_name(tube)
        except BadValueError:
            return BAD_FORMAT
    if len(words) != len(limits) + 1:
        return BAD_FORMAT
    if not limits:
        return Command(name, (), tube)
    del words[0]
    # In Latin-1 only 0 to 9 are decimal; `int` alone would take "+1", "1_0" and " 1".
    if not "".join(words).isdecimal():
        return BAD_FORMAT
    try:
        numbers = tuple(map(int, words))
    except ValueError:  # an empty word, between two blanks
        return BAD_FORMAT
    for number, limit in zip(numbers, limits, strict=True):
        if number > limit:
            return BAD_FORMAT
    return Command(name, numbers, tube)


_PLAIN: Final = {name.encode("ascii"): Command(name) for name, limits in _NUMBERS.items() if not limits}
_command = tuple.__new__  # half the price of calling a named tuple's class
_parse_often = lru_cache(maxsize=1024)(parse_line)  # for lines that come again and again, as a producer's puts do


def _too_big_with_more_behind(line: bytes, max_job_size: int) -> Command | None:
    """The put in a line that has too much behind its four numbers, if its body is too big: then that is skipped.

    Otherwise the line is refused at once, and what follows it is read as commands.
    """
    match = _PUT.match(line)
    put = None if match is None else parse_line(match[0])
    return put if isinstance(put, Command) and put.numbers[3] > max_job_size else None


def _no_command(line: bytes) -> BadLine:
    """What a line deserves whose first word, up to a blank, is no command."""
    if b"\0" in line:
        return BAD_FORMAT
    word = _WORD.match(line.decode("latin-1"))
    if word is not None and (word[0] in _NUMBERS or word[0] in _TUBE_AND_NUMBERS):
        return BAD_FORMAT  # a tab or the like follows it
    return UNKNOWN_COMMAND


class CommandReader:
    """Makes commands out of a connection's bytes, in order, however these are cut into pieces.

    `feed` takes what arrived, `take` gives the next command. Who doesn't take leaves the bytes where they are:
    `size` tells how many. Of a body that is on its way at most `max_job_size` + 2 bytes are kept beside them.
    """

    __slots__ = ("_at", "_body", "_data", "_in_long_line", "_is_unfinished", "_put", "_skip", "max_job_size")

    def __init__(self, max_job_size: int = MAX_JOB_SIZE) -> None:
        self.max_job_size = max_job_size
        self._data = b""
        self._at = 0  # what lies before it is taken
        self._is_unfinished = False  # one of the next three is in use
        self._put: Command | None = None  # whose body is on its way
        self._skip = 0  # bytes of a body that is too big
        self._in_long_line = False
        self._body = bytearray()

    @property
    def size(self) -> int:
        """How many bytes wait to be taken, those of an unfinished body not counted."""
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Add what arrived. O(length + bytes that wait)."""
        if self._at == len(self._data):
            self._data = data
        else:
            self._data = self._data[self._at :] + data
        self._at = 0

    def take(self) -> Command | BadLine | None:
        """The next command or what came instead of it; None: it is not there as a whole yet. O(its length)."""
        if self._is_unfinished:
            return self._take_unfinished()
        data = self._data
        at = self._at
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at >= LINE_BYTES_MAX:
                self._is_unfinished = self._in_long_line = True
                self._skip_long_line()
            elif at:  # an idle connection keeps no more than the beginning of a line
                self._data = data[at:]
                self._at = 0
            return None
        self._at = end + 2
        if end - at > LINE_BYTES_MAX - 2:
            return BAD_FORMAT
        if data.startswith(b"put ", at):
            put = _parse_often(data[at:end])
            if type(put) is Command:
                return self._take_put(put)
            too_big = _too_big_with_more_behind(data[at:end], self.max_job_size)
            return BAD_FORMAT if too_big is None else self._take_put(too_big)
        return parse_line(data[at:end])

    def _take_put(self, put: Command) -> Command | BadLine | None:
        """A put whose line is taken, with its body."""
        data = self._data
        at = self._at
        size = put.numbers[3]
        end = at + size
        if size > self.max_job_size:
            self._skip = size + 2
        elif len(data) < end + 2:
            self._put = put
            self._body += data[at:]
            self._data = b""
            self._at = 0
        else:
            self._at = end + 2
            if data.startswith(b"\r\n", end):
                return _command(Command, ("put", put.numbers, _NO_TUBE, data[at:end]))
            return EXPECTED_CRLF
        self._is_unfinished = True
        return self._take_unfinished()

    def _take_unfinished(self) -> Command | BadLine | None:
        """What `take` gives in the middle of a body or of a line that is too long."""
        if self._in_long_line:
            if not self._skip_long_line():
                return None
            self._is_unfinished = self._in_long_line = False
            return BAD_FORMAT
        if self._skip:
            skipped = min(self._skip, self.size)
            self._at += skipped
            self._skip -= skipped
            if self._skip:
                return None
            self._is_unfinished = False
            return JOB_TOO_BIG
        put = self._put
        if put is None:
            raise AssertionError("an unfinished command is one of three")
        size = put.numbers[3]
        part = self._data[self._at : self._at + size + 2 - len(self._body)]
        self._at += len(part)
        self._body += part
        if len(self._body) < size + 2:
            return None
        body = self._body
        self._body = bytearray()
        self._put = None
        self._is_unfinished = False
        if not body.endswith(b"\r\n"):
            return EXPECTED_CRLF
        del body[size:]
        return Command("put", put.numbers, _NO_TUBE, bytes(body))

    def _skip_long_line(self) -> bool:
        """Drop the line's bytes; whether its end was there. A carriage return at the end may be half of it."""
        end = self._data.find(b"\r\n", self._at)
        if end >= 0:
            self._at = end + 2
            return True
        self._data = b"\r" if self._data.endswith(b"\r") else b""
        self._at = 0
        return False


# ---------------------------------------------------------------------- replies


def encode_job(word: bytes, job_id: int, body: bytes) -> bytes:
    """The reply `RESERVED` or `FOUND` with a job."""
    return b"%b %d %d\r\n%b\r\n" % (word, job_id, len(body), body)


def encode_ok(body: bytes) -> bytes:
    """The reply `OK` with a body, as statistics and lists have it."""
    return b"OK %d\r\n%b\r\n" % (len(body), body)


def encode_tubes(tubes: Iterable[str]) -> bytes:
    """The reply to a list command: the names as a YAML list, without quotes."""
    return encode_ok(("---\n" + "".join(f"- {tube}\n" for tube in tubes)).encode("ascii"))


# ---------------------------------------------------------------------- the client's side


def encode_command(name: str, *words: int | str, body: bytes | None = None) -> bytes:
    """A command's bytes; of a put the body's length follows the words.

    Nothing is checked, so that tests can send what no client should.
    """
    parts = [name, *map(str, words)]
    if body is None:
        return " ".join(parts).encode("latin-1") + CRLF
    parts.append(str(len(body)))
    return b"%b\r\n%b\r\n" % (" ".join(parts).encode("latin-1"), body)


class Reply(NamedTuple):
    """A server's reply."""

    word: str  # such as "INSERTED"
    args: tuple[str, ...] = ()
    body: bytes | None = None

    @property
    def raw(self) -> bytes:
        """The bytes as the server sent them."""
        line = " ".join((self.word, *self.args)).encode("latin-1") + CRLF
        return line if self.body is None else line + self.body + CRLF


_WITH_BODY: Final = {"RESERVED": 2, "FOUND": 2, "OK": 1}  # the number of words behind; the last is the length
_REPLY_LINE_BYTES_MAX = 4096


class ReplyReader:
    """Makes replies out of a server's bytes, in order, however these are cut into pieces."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def size(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Add what arrived. O(length)."""
        self._data += data

    def take(self) -> Reply | None:
        """The next reply; None: it is not there as a whole yet. O(its length).

        Raises `BadValueError` for bytes that begin no reply.
        """
        data = self._data
        end = data.find(b"\r\n")
        if end < 0:
            if len(data) > _REPLY_LINE_BYTES_MAX:
                raise BadValueError("reply", bytes(data[:40]), "a line with its carriage return and line feed")
            return None
        word, *args = data[:end].decode("latin-1").split(" ")
        body = None
        after = end + 2
        if word in _WITH_BODY:
            if len(args) != _WITH_BODY[word] or not args[-1].isdecimal():
                raise BadValueError("reply", bytes(data[:end]), "the length of the body as the last word")
            after += int(args[-1])
            if len(data) < after + 2:
                return None
            if not data.startswith(b"\r\n", after):
                raise BadValueError("reply", bytes(data[:end]), "a body that is as long as its line says")
            body = bytes(data[end + 2 : after])
            after += 2
        del data[:after]
        return Reply(word, tuple(args), body)
