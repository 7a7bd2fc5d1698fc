"""Whether a reply is the recorded one, up to its masks and tolerances; and where the two part, for people.

The framing of replies is written here a second time, on purpose apart from the project's codec: what judges a server
shares no mistake with it. Source: beanstalkd `doc/protocol.txt`, the replies that carry a body.
"""

import re
from collections.abc import Mapping
from difflib import ndiff
from functools import lru_cache
from typing import Final

from models.conformance_corpus import EOF_MARK

VOLATILE: Final = b"{{volatile}}"
"""In an expected reply: any text up to the end of the line."""
NUMBER: Final = b"{{n}}"
"""In an expected reply: any decimal number."""

_SIZE_LAST: Final = (b"RESERVED ", b"FOUND ", b"OK ")
_MASKS: Final = {VOLATILE: rb"[^\n]*", NUMBER: rb"[0-9]+"}
_LINE_MAX: Final = 512  # of a reply's first line: 224 bytes are the longest that the protocol has
_QUOTED: Final = re.compile(rb'^(name|tube): "([^"\n]*)"$', re.MULTILINE)
_OK: Final = re.compile(rb"^OK [0-9]+\r\n")


def reply_length(stream: bytes | bytearray, start: int = 0) -> int | None:
    """The bytes of the reply that begins there, its body included; None while it is not whole.

    What is no reply of the protocol counts as one of a line, or of everything that has come once that is too long.
    """
    end = stream.find(b"\r\n", start)
    if end < 0:
        return len(stream) - start if len(stream) - start > _LINE_MAX else None
    line = bytes(stream[start:end])
    length = end + 2 - start
    if line.startswith(_SIZE_LAST):
        size = line.rpartition(b" ")[2]
        if size.isdigit() and len(size) <= 10:
            length += int(size) + 2
            if start + length > len(stream):
                return None
    return length


def split_replies(stream: bytes) -> list[bytes]:
    """The replies of a stream, one by one; what is left of an unfinished one is the last."""
    replies = []
    start = 0
    while start < len(stream):
        length = reply_length(stream, start) or len(stream) - start
        replies.append(stream[start : start + length])
        start += length
    return replies


def matches(expected: bytes, got: bytes, tolerance: Mapping[str, int] | None = None) -> bool:
    """Whether `got` is `expected`, up to masks, and up to `tolerance` at each of its keys.

    Where a masked or tolerated value changes its number of digits, the byte count of OK follows.
    """
    if expected == got:
        return True
    tolerance = tolerance or {}
    if not tolerance and not any(mask in expected for mask in _MASKS):
        return False
    pattern, allowed = _pattern(expected, tuple(sorted(tolerance.items())))
    found = pattern.fullmatch(got)
    return (
        found is not None
        and all(abs(int(text) - value) <= most for text, (value, most) in zip(found.groups(), allowed, strict=True))
        and all(map(_is_whole, split_replies(got)))
    )


def _is_whole(reply: bytes) -> bool:
    """Whether a reply's byte count is that of its body."""
    return reply == EOF_MARK or (reply_length(reply) == len(reply) and reply.endswith(b"\r\n"))


@lru_cache(maxsize=256)
def _pattern(
    expected: bytes, tolerance: tuple[tuple[str, int], ...]
) -> tuple["re.Pattern[bytes]", tuple[tuple[int, int], ...]]:
    """What the reply has to look like, with a group for each number that may differ."""
    most = {key.encode("latin-1"): value for key, value in tolerance}
    allowed: list[tuple[int, int]] = []
    lines = expected.split(b"\n")
    texts = []
    for line, next_line in zip(lines, [*lines[1:], b""], strict=True):
        key, _, value = line.partition(b": ")
        if next_line == b"---" and re.fullmatch(rb"OK ([0-9]+|\{\{n\}\}|\{\{volatile\}\})\r", line):
            texts.append(rb"OK [0-9]+\r")
        elif key in most and re.fullmatch(rb"-?[0-9]{1,20}", value):
            allowed.append((int(value), most[key]))
            texts.append(re.escape(key) + rb": (-?[0-9]{1,20})")
        else:
            texts.append(_with_masks(line))
    return re.compile(rb"\n".join(texts)), tuple(allowed)


def _with_masks(line: bytes) -> bytes:
    pieces = re.split(rb"(\{\{volatile\}\}|\{\{n\}\})", line)
    return b"".join(_MASKS.get(piece, re.escape(piece)) for piece in pieces)


def without_quotes(stream: bytes) -> bytes:
    """The replies with the names in their statistics unquoted, as beanstalkd printed them up to release 1.12."""
    replies = []
    for reply in split_replies(stream):
        if not _OK.match(reply):
            replies.append(reply)
            continue
        body = _QUOTED.sub(rb"\1: \2", _OK.sub(b"", reply))
        counted = body.removesuffix(EOF_MARK)
        replies.append(b"OK %d\r\n" % (len(counted) - 2) + body)
    return b"".join(replies)


def difference(expected: bytes, got: bytes) -> tuple[str, ...]:
    """The lines of both, `-` expected and `+` got, lines that agree with two blanks; long lines are cut."""
    wanted = _lines(expected)
    given = _lines(got)
    return tuple(line.rstrip("\n") for line in ndiff(wanted, given) if not line.startswith("?"))


def _lines(stream: bytes) -> list[str]:
    if not stream:
        return ["(nothing)\n"]
    return [f"{shown(line)}\n" for line in stream.splitlines(keepends=True)[:200]]


def shown(data: bytes, *, most: int = 100) -> str:
    r"""Bytes as people read them: \r\n visible, what can't be printed escaped, long ones cut in the middle."""
    if len(data) > most:
        half = most // 2 - 10
        return f"{_escaped(data[:half])} … {len(data)} bytes … {_escaped(data[-half:])}"
    return _escaped(data)


def _escaped(data: bytes) -> str:
    return repr(data)[2:-1].replace("\\'", "'").replace('\\"', '"')
