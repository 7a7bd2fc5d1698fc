r"""The form of a journal file: lines out, lines in. Pure.

A journal file is UTF-8 text, JSON Lines: a header, then a record for each call that changed the machine, written
*before* the machine made it. Each line ends in a checksum of all lines of the file so far (of this example the
checksums are made up):

    {"format":"jsm-journal","version":1,"number":1,"units_per_second":1,…,"follows":"00000000","crc":"4b1c0e2f"}
    {"after":0,"op":"put","args":{"now":0,"priority":0,…,"body":"a","tube":"default"},"crc":"9d0f35aa"}

`README.md` beside this says what the fields mean. Behind the last line a file may hold zero bytes: room that is kept
in reserve. No line has a zero byte in it, since JSON escapes them.

Source of the checksum: CRC-32 of ISO 3309, as in `zlib`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn
from zlib import crc32

from jsm.journal.errors import JournalDamagedError

JOURNAL_FORMAT: Final = "jsm-journal"
JOURNAL_VERSION: Final = 1

_SEAL: Final = re.compile(rb',"crc":"[0-9a-f]{8}"\}')  # in no text of JSON: there the quotes would be escaped
_SEAL_BYTES: Final = 18
_RECORD: Final = b'{"after":'
_HEADER: Final = b'{"format":"jsm-journal",'
_CRC: Final = re.compile(r"[0-9a-f]{8}")


class JournalHeader(NamedTuple):
    """The first line of a journal file."""

    number: int  # of the file: 1, 2, 3 …, as in its name
    units_per_second: int
    max_job_size: int  # bytes; that of the machine while the file was written
    clock: int  # time units: an instant of the machine …
    wall_nanoseconds: int | None  # … and of the world, since 1970; None: the clock stands while nobody serves
    follows: int  # the checksum in the last line of the file before; 0 where there was none


class JournalRecord(NamedTuple):
    """A call that was about to be made."""

    after: int  # the number of the machine's last transition before it
    op: str  # the method's name
    args: dict[str, Any]  # by parameter name; a body is text of the code points 0 to 255, one a byte


def seal(text: str, crc: int) -> tuple[bytes, int]:
    """The line of a JSON object without its closing brace, and the checksum of all lines up to it.

    `crc` is that of the lines before. Raises `UnicodeEncodeError` for half a character.
    """
    content = text.encode()
    crc = crc32(content, crc)
    return b'%b,"crc":"%08x"}\n' % (content, crc), crc


def encode_header(header: JournalHeader) -> tuple[bytes, int]:
    """The first line of a file, and its checksum."""
    wall = "null" if header.wall_nanoseconds is None else header.wall_nanoseconds
    return seal(
        f'{{"format":"{JOURNAL_FORMAT}","version":{JOURNAL_VERSION},"number":{header.number},'
        f'"units_per_second":{header.units_per_second},"max_job_size":{header.max_job_size},'
        f'"clock":{header.clock},"wall_nanoseconds":{wall},"follows":"{header.follows:08x}"',
        0,
    )


class JournalReader:
    """Reads a journal file whose bytes it is given: at once its header, the records as they are asked for.

    Raises `JournalDamagedError` for whatever is neither a line, nor the torn end of one, nor room in reserve.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data
        self._content_end = len(data.rstrip(b"\0"))
        self.end = 0  # of the last line that was read, in bytes
        self.crc = 0  # of the last line that was read
        self.is_torn = False  # whether an unfinished line stands behind it
        line = self._next_line()
        self.header: JournalHeader | None = None if line is None else self._header(line)
        """None: the file was being made when its writer died, and holds nothing."""

    @property
    def is_bare(self) -> bool:
        """Whether no byte stands behind the header."""
        return self.header is None or (self.end >= self._content_end and not self.is_torn)

    def records(self) -> Iterator[tuple[int, JournalRecord]]:
        """The records, each with the offset of its line."""
        while True:
            offset = self.end
            line = self._next_line()
            if line is None:
                return
            after, op, args = line.get("after"), line.get("op"), line.get("args")
            if type(after) is not int or type(op) is not str or type(args) is not dict:
                self._refuse("the line is no record", "use the program that wrote it", offset)
            yield offset, JournalRecord(after, op, args)

    def _next_line(self) -> dict[str, Any] | None:
        """The object of the next line; None at the end, and before a torn line."""
        start = self.end
        if start >= self._content_end:
            return None
        feed = self._data.find(b"\n", start, self._content_end)
        if feed < 0 or not self._is_sealed(start, feed):
            self._expect_torn(start, feed)
            self.is_torn = True
            return None
        try:
            value = json.loads(self._data[start : feed - _SEAL_BYTES] + b"}")
        except (ValueError, RecursionError) as error:
            self._refuse(f"no JSON text stands in the line ({error})", "use the program that wrote it")
        self.crc = crc32(self._data[start : feed - _SEAL_BYTES], self.crc)
        self.end = feed + 1
        line: dict[str, Any] = value  # what ends in a brace and is JSON text is an object
        return line

    def _is_sealed(self, start: int, feed: int) -> bool:
        """Whether the checksum at the end of a line is that of all lines up to it."""
        content_end = feed - _SEAL_BYTES
        if content_end < start or _SEAL.fullmatch(self._data, content_end, feed) is None:
            return False
        return int(self._data[feed - 10 : feed - 2], 16) == crc32(self._data[start:content_end], self.crc)

    def _expect_torn(self, start: int, feed: int) -> None:
        """Raise unless what stands from `start` on is what a write leaves that didn't come to its end.

        That is a beginning of a line, or, since a disk may keep the later part of a write and lose the earlier, the
        last line of the file with zero bytes in it.
        """
        tail = self._data[start : self._content_end]
        if feed >= 0 and feed + 1 < self._content_end:
            self._refuse("the checksum does not fit: this line or one before it was changed, moved, doubled or lost")
        hole = tail.find(b"\0")
        if hole >= 0 and _SEAL.search(tail, 0, hole) is None:
            return
        if feed >= 0 or hole >= 0:
            self._refuse("the checksum does not fit: this line was changed")
        begin = _RECORD if start else _HEADER
        sealed = _SEAL.search(tail)
        if not tail.startswith(begin[: len(tail)]) or (sealed is not None and sealed.end() < len(tail)):
            self._refuse("the file ends in what is no beginning of a line")

    def _header(self, line: dict[str, Any]) -> JournalHeader:
        if line.get("format") != JOURNAL_FORMAT:
            self._refuse(f"format = {line.get('format')!r}: expected {JOURNAL_FORMAT!r}", "name a journal file", 0)
        if line.get("version") != JOURNAL_VERSION:
            version = line.get("version")
            self._refuse(f"version = {version!r}: expected {JOURNAL_VERSION}", "use the program that wrote it", 0)
        follows, wall = line.get("follows"), line.get("wall_nanoseconds")
        numbers = [line.get(name) for name in ("number", "units_per_second", "max_job_size", "clock")]
        if (
            any(type(each) is not int or each < 0 for each in numbers)
            or type(follows) is not str
            or _CRC.fullmatch(follows) is None
            or not (wall is None or type(wall) is int)
        ):
            self._refuse("the line is no header", "use the program that wrote it", 0)
        number, units_per_second, max_job_size, clock = (int(each or 0) for each in numbers)
        return JournalHeader(number, units_per_second, max_job_size, clock, wall, int(follows, 16))

    def _refuse(self, problem: str, remedy: str | None = None, offset: int | None = None) -> NoReturn:
        """Raise an error about what stands at an offset: the first byte not read yet, unless another is named."""
        at = self.end if offset is None else offset
        raise JournalDamagedError(self._path, at, problem, give_up_remedy(self._path, at) if remedy is None else remedy)


def give_up_remedy(path: Path, offset: int) -> str:
    """What to do about damage."""
    if not offset:
        return "put a good copy of it in its place"
    return (
        f"put a good copy of it in its place, or give up this line and all later ones: truncate -s {offset} {path},"
        " and remove the journal files behind it"
    )
