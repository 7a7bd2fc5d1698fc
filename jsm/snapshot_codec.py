r"""The file form of a snapshot: bytes out, bytes in, entry by entry. Pure; `jsm.journal` writes files.

A snapshot file is ASCII text. Each line is a word that says what it holds, a JSON text and a checksum, separated
by single spaces, and ends in a line feed (of this example the header is cut and the checksums are made up):

    jsm-snapshot {"version":1,"units_per_second":1,"max_job_size":65535,…} 4b1c0e2f
    job [1,"default","a",0,0,60,"ready",0,0,0,0,null,0,0,0,0,0,0] 9d0f35aa
    client ["c1","default",["default"],false,"",[],null,null,null] 0c77f1e3
    end {"jobs":1,"clients":1} 5a1b2c3d

- The header comes first, then the jobs, then the clients, then the end; nothing follows.
- A job's values are those of `JobView` and its bury number, in order; its body is a text of the code points 0 to
  255, one a byte. A client's are those of `ClientResvEntry`; an owed answer is `[request, client, status, job, body]`.
- The checksum is the CRC-32, in eight lower-case hexadecimal digits, of the words and JSON texts (each with the
  space behind it) of *all* lines so far. So a line that is moved, doubled or lost spoils the checksum of the one
  that stands in its place, and a line that is shortened or changed its own.

Whatever is not exactly so is refused, with the line, the byte, what is wrong and what to do. Whether the
entries fit together (an owner without a reserved job …) the machine that restores them decides.

Source of the checksum: CRC-32 of ISO 3309, as in `zlib`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NoReturn, TypeVar
from zlib import crc32

from jsm._snapshot_values import (
    client_from_json,
    client_to_json,
    header_from_json,
    header_to_json,
    job_from_json,
    job_to_json,
)
from jsm.errors import BadValueError, SnapshotError
from jsm.interface import JobRecord, JSMSnapshot, SnapshotHeader
from jsm.reservations import ClientResvEntry

SNAPSHOT_VERSION: Final = 1

SnapshotEntry = SnapshotHeader | JobRecord | ClientResvEntry

T = TypeVar("T")
E = TypeVar("E", JobRecord, ClientResvEntry)

_HEADER: Final = b"jsm-snapshot"
_JOB: Final = b"job"
_CLIENT: Final = b"client"
_END: Final = b"end"
_ANOTHER_COPY: Final = "take another copy of the file"
_WRITER: Final = "repair whatever wrote the file"
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


class SnapshotFormatError(SnapshotError):
    """A snapshot file can't be read: where, what is wrong, what to do."""

    def __init__(self, line: int, offset: int, problem: str, remedy: str, *, file: str | None = None) -> None:
        where = f"line {line}, byte {offset}"
        super().__init__(f"{where if file is None else f'{file}, {where}'}: {problem}; {remedy}")
        self.file = file
        self.line = line
        self.offset = offset  # of the line's first byte, from 0
        self.problem = problem
        self.remedy = remedy

    def in_file(self, file: str) -> "SnapshotFormatError":
        """The same error, naming the file too."""
        return SnapshotFormatError(self.line, self.offset, self.problem, self.remedy, file=file)


def encode_snapshot(snapshot: JSMSnapshot) -> Iterator[bytes]:
    """The file form of a snapshot, a line at a time. O(1) a job and client.

    Raises `SnapshotError` when the streams don't hold what the header announces, or hold what would not come
    back: an answer with an error, a client id of two halves of a character.
    """
    header = snapshot.header()
    line, crc = _encode_line(_HEADER, {"version": SNAPSHOT_VERSION, **header_to_json(header)}, 0)
    yield line
    jobs = clients = 0
    for record in snapshot.snapshot_jobs():
        line, crc = _encode_line(_JOB, job_to_json(record), crc)
        jobs += 1
        yield line
    for entry in snapshot.snapshot_clients():
        line, crc = _encode_line(_CLIENT, client_to_json(entry), crc)
        clients += 1
        yield line
    if (jobs, clients) != (header.jobs, header.clients):
        announced = f"{header.jobs} jobs and {header.clients} clients"
        raise SnapshotError(f"the header announces {announced}, the streams gave {jobs} and {clients}")
    yield _encode_line(_END, {"jobs": jobs, "clients": clients}, crc)[0]


def decode_snapshot(chunks: Iterable[bytes]) -> Iterator[SnapshotEntry]:
    """The entries of a snapshot file, lazily: its header, its jobs, its clients. O(1) an entry.

    `chunks` are the file's bytes, cut anywhere. Raises `SnapshotFormatError` at the first thing that is wrong; what
    came before may be used only if the iteration ends without one.
    """
    return _Decoder(chunks).entries()


def restore_snapshot(snapshot: JSMSnapshot, chunks: Iterable[bytes]) -> None:
    """Restore a machine from the bytes of a snapshot file, at once or (raising) not at all.

    Raises `SnapshotFormatError` for a damaged file and for an entry that the machine refuses, naming its line; any
    other `SnapshotError` or `CancelledError` of the machine as it is. After an error nothing is offered any more.
    """
    feed = _Feed(chunks)
    try:
        try:
            snapshot.restore_header(feed.header())
            snapshot.restore_jobs(feed.entries_of(JobRecord))
            snapshot.restore_clients(feed.entries_of(ClientResvEntry))
        except SnapshotFormatError:
            raise
        except SnapshotError as error:
            feed.decoder.refuse(f"the machine refuses the entry: {error}", _WRITER)
        feed.expect_end()
        snapshot.finalize_restore()
    except BaseException:
        snapshot.cancel_restore()
        raise


# ---------------------------------------------------------------------- encoding


def _encode_line(word: bytes, values: object, crc: int) -> tuple[bytes, int]:
    """A line, and the checksum of all lines up to it, given that of those before it."""
    content = b"%b %b " % (word, _ENCODER.encode(values).encode("ascii"))
    crc = crc32(content, crc)
    return b"%b%08x\n" % (content, crc), crc


# ---------------------------------------------------------------------- decoding


class _Decoder:
    """Reads the lines of a snapshot file and knows where it is."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.line = 0
        self.offset = 0  # of the line's first byte
        self._next_offset = 0
        self._crc = 0
        self._lines = _split(chunks)

    def refuse(self, problem: str, remedy: str = _ANOTHER_COPY) -> NoReturn:
        """Raise an error about the present line."""
        raise SnapshotFormatError(self.line, self.offset, problem, remedy)

    def entries(self) -> Iterator[SnapshotEntry]:
        """All entries; returns only after the end line was there, right, and the last."""
        _, value = self._next_line()  # it makes sure that the first is a header
        header = self._header(value)
        yield header
        jobs = clients = 0
        while True:
            word, value = self._next_line()
            if word == _JOB and not clients:
                jobs += 1
                yield self._entry(job_from_json, value)
            elif word == _CLIENT:
                clients += 1
                yield self._entry(client_from_json, value)
            elif word == _END:
                break
            else:
                self.refuse(f"a line {word.decode()!r} has no place here", "jobs come before clients, one header first")
        self._end(value, header, jobs, clients)

    def _next_line(self) -> tuple[bytes, Any]:
        """The word and the value of the next line, once its checksum is right."""
        raw = next(self._lines, b"")
        self.line += 1
        self.offset = self._next_offset
        self._next_offset += len(raw)
        if not raw:
            self.refuse("the file ends here, without its end line" if self.line > 1 else "the file is empty")
        if not raw.startswith(_HEADER + b" ") and self.line == 1:
            self.refuse(f"the file starts with {_excerpt(raw)}", "give a file that starts with 'jsm-snapshot'")
        if not raw.endswith(b"\n"):
            self.refuse(f"the file ends inside the line {_excerpt(raw)}")
        content, found = raw[:-9], raw[-9:-1]
        self._crc = crc32(content, self._crc)
        expected = b"%08x" % self._crc
        if found != expected:
            self.refuse(
                f"the checksum is {_excerpt(found)} where {expected.decode()} belongs: this line or one before it was"
                " changed, moved, doubled or lost"
            )
        word, _, text = content.partition(b" ")
        if word not in (_HEADER, _JOB, _CLIENT, _END):
            self.refuse(f"a line begins with {_excerpt(word)}", f"write version {SNAPSHOT_VERSION} of the format")
        try:
            return word, json.loads(text)
        except (ValueError, RecursionError) as error:
            self.refuse(f"no JSON text stands between the word and the checksum ({error})")

    def _entry(self, parse: Callable[[Any], T], value: Any) -> T:
        """The entry of a line, whose value the line's checksum vouches for, but not for its sense."""
        try:
            return parse(value)
        except BadValueError as error:
            self.refuse(str(error), _WRITER)

    def _header(self, value: Any) -> SnapshotHeader:
        fields = value if isinstance(value, dict) else {}
        version = fields.get("version")
        if type(version) is not int or version != SNAPSHOT_VERSION:
            self.refuse(f"version = {_excerpt(version)}: expected {SNAPSHOT_VERSION}", "use the program that wrote it")
        return self._entry(header_from_json, fields)

    def _end(self, value: Any, header: SnapshotHeader, jobs: int, clients: int) -> None:
        """Check the end line and that nothing follows it."""
        fields = value if isinstance(value, dict) else {}
        for name, seen, announced in (("jobs", jobs, header.jobs), ("clients", clients, header.clients)):
            count = fields.get(name)
            if type(count) is not int or not count == seen == announced:
                self.refuse(
                    f"the header announces {announced} {name}, the end line {_excerpt(count)}, the file holds {seen}",
                    _WRITER,
                )
        rest = next(self._lines, b"")
        if rest:
            self.line += 1
            self.offset = self._next_offset
            self.refuse(f"the file goes on behind its end line with {_excerpt(rest)}")


class _Feed:
    """Deals the entries of a snapshot file out by their kinds."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.decoder = _Decoder(chunks)
        self._entries = self.decoder.entries()
        self._current: SnapshotEntry | None = None

    def header(self) -> SnapshotHeader:
        """The header. What follows it is read when the first entry is asked for."""
        header = next(self._entries)
        if not isinstance(header, SnapshotHeader):  # `entries` makes sure of it
            raise TypeError(f"{type(header).__name__} where the header belongs")
        return header

    def entries_of(self, kind: type[E]) -> Iterator[E]:
        """The entries of a kind that come next; the machine has taken one in when it asks for the next."""
        if self._current is None:
            self._current = next(self._entries, None)
        while isinstance(self._current, kind):
            yield self._current
            self._current = next(self._entries, None)

    def expect_end(self) -> None:
        """Raise `SnapshotFormatError` unless every entry was taken."""
        if self._current is not None:
            self.decoder.refuse("the machine left this entry", "repair the machine that restores")


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their line feeds out of chunks that are cut anywhere; the last may lack it."""
    pieces: list[bytes] = []
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            pieces += (end, b"\n")
            yield b"".join(pieces)
            pieces.clear()
        if rest:
            pieces.append(rest)
    if pieces:
        yield b"".join(pieces)


def _excerpt(value: object) -> str:
    """The beginning of what stands there, on one line."""
    text = repr(value[:40] if isinstance(value, bytes | str) else value)
    return text if len(text) <= 60 else f"{text[:57]}…"
