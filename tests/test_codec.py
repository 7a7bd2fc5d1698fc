"""The bytes of commands and replies, in pieces of every size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsm.errors import BadValueError
from jsm.job import TubeName
from jsm.wire.codec import (
    BAD_FORMAT,
    COMMANDS,
    EXPECTED_CRLF,
    JOB_TOO_BIG,
    LINE_BYTES_MAX,
    UNKNOWN_COMMAND,
    BadLine,
    Command,
    CommandReader,
    Reply,
    ReplyReader,
    encode_command,
    encode_job,
    encode_ok,
    encode_tubes,
    parse_line,
)

U32, U64, I31 = 2**32 - 1, 2**64 - 1, 2**31 - 1

GOOD = {
    b"put 1 2 3 4": Command("put", (1, 2, 3, 4)),
    b"put 4294967295 4294967295 4294967295 4294967295": Command("put", (U32, U32, U32, U32)),
    b"reserve": Command("reserve"),
    b"reserve-with-timeout 0": Command("reserve-with-timeout", (0,)),
    b"reserve-with-timeout 2147483647": Command("reserve-with-timeout", (I31,)),
    b"reserve-job 18446744073709551615": Command("reserve-job", (U64,)),
    b"delete 0": Command("delete", (0,)),
    b"delete 007": Command("delete", (7,)),
    b"release 18446744073709551615 4294967295 4294967295": Command("release", (U64, U32, U32)),
    b"bury 1 4294967295": Command("bury", (1, U32)),
    b"touch 1": Command("touch", (1,)),
    b"use a": Command("use", (), TubeName("a")),
    b"watch (x)": Command("watch", (), TubeName("(x)")),
    b"ignore " + b"b" * 200: Command("ignore", (), TubeName("b" * 200)),
    b"peek 1": Command("peek", (1,)),
    b"peek-ready": Command("peek-ready"),
    b"peek-delayed": Command("peek-delayed"),
    b"peek-buried": Command("peek-buried"),
    b"kick 18446744073709551615": Command("kick", (U64,)),
    b"kick-job 1": Command("kick-job", (1,)),
    b"stats": Command("stats"),
    b"stats-job 1": Command("stats-job", (1,)),
    b"stats-tube a": Command("stats-tube", (), TubeName("a")),
    b"list-tubes": Command("list-tubes"),
    b"list-tube-used": Command("list-tube-used"),
    b"list-tubes-watched": Command("list-tubes-watched"),
    b"pause-tube a 4294967295": Command("pause-tube", (U32,), TubeName("a")),
    b"quit": Command("quit"),
}

NUMBERED = {  # by command: its words, and the greatest value of each
    "put": (U32, U32, U32, U32),
    "reserve-with-timeout": (I31,),
    "reserve-job": (U64,),
    "delete": (U64,),
    "release": (U64, U32, U32),
    "bury": (U64, U32),
    "touch": (U64,),
    "peek": (U64,),
    "kick": (U64,),
    "kick-job": (U64,),
    "stats-job": (U64,),
    "pause-tube default": (U32,),
}
NO_NUMBERS = ["", "-1", "+1", "1_0", "1x", "0x1", "1.0", "1e3", "٣", "²", "one", "\t1", "1\t", "1\0", "9" * 100]


def taken(reader: CommandReader) -> list[Command | BadLine]:
    """All that can be taken."""
    found = []
    while (command := reader.take()) is not None:
        found.append(command)
    return found


def read(data: bytes, *, max_job_size: int = 65_535) -> list[Command | BadLine]:
    """What a reader makes of bytes that arrive at once."""
    reader = CommandReader(max_job_size)
    reader.feed(data)
    return taken(reader)


# ---------------------------------------------------------------------- lines


@pytest.mark.parametrize("line", GOOD, ids=repr)
def test_a_line_is_a_command(line: bytes) -> None:
    assert parse_line(line) == GOOD[line]


def test_every_command_has_its_line() -> None:
    assert {command.name for command in GOOD.values()} == set(COMMANDS)
    assert len(COMMANDS) == 25


@pytest.mark.parametrize("text", NO_NUMBERS, ids=repr)
def test_numbers_are_decimal_digits_and_nothing_else(text: str) -> None:
    for words, limits in NUMBERED.items():
        for at in range(len(limits)):
            numbers = ["1"] * len(limits)
            numbers[at] = text
            for encoding in ("latin-1", "utf-8"):
                try:
                    line = " ".join([words, *numbers]).encode(encoding)
                except UnicodeEncodeError:
                    continue
                assert parse_line(line) is BAD_FORMAT, line


@pytest.mark.parametrize("words", NUMBERED)
def test_numbers_end_at_their_limits(words: str) -> None:
    limits = NUMBERED[words]
    best = parse_line(" ".join([words, *map(str, limits)]).encode())
    assert isinstance(best, Command)
    assert best.numbers == limits
    for at, limit in enumerate(limits):
        numbers = list(limits)
        numbers[at] = limit + 1
        assert parse_line(" ".join([words, *map(str, numbers)]).encode()) is BAD_FORMAT


@pytest.mark.parametrize("name", ["", "-", "-a", "a,b", "a:b", "a\tb", "a\nb", "a\rb", "caf\xe9", "b" * 201], ids=repr)
def test_tubes_have_legal_names(name: str) -> None:
    for line in (f"use {name}", f"watch {name}", f"ignore {name}", f"stats-tube {name}", f"pause-tube {name} 1"):
        assert parse_line(line.encode("latin-1")) is BAD_FORMAT
        assert parse_line(line.encode("utf-8")) is BAD_FORMAT


@pytest.mark.parametrize("line", GOOD, ids=repr)
def test_words_are_parted_by_one_blank_and_counted(line: bytes) -> None:
    words = line.split(b" ")
    bad = [line + b" ", line + b" 1", line + b"\t", line + b"\n", line + b" \0", words[0] + b"\t1"]
    if len(words) > 1:
        bad += [words[0], words[0] + b" ", line.replace(b" ", b"  ", 1), line.replace(b" ", b"\t", 1)]
        bad += [line.rsplit(b" ", 1)[0]]
    assert {each: parse_line(each) for each in bad} == dict.fromkeys(bad, BAD_FORMAT)


@pytest.mark.parametrize("line", GOOD, ids=repr)
def test_a_word_that_is_no_command_is_unknown(line: bytes) -> None:
    for bad in (b" " + line, line.upper(), b"x" + line, line.split(b" ")[0] + b"x"):
        assert parse_line(bad) is UNKNOWN_COMMAND, bad


@pytest.mark.parametrize("line", [b"\0", b"sta\0ts", b"stats\0", b"x\0", b"use a\0b 1"])
def test_a_nul_is_bad_format(line: bytes) -> None:
    assert parse_line(line) is BAD_FORMAT


@pytest.mark.parametrize("line", [b"", b" ", b"\t", b"\r", b"\n", b"statsx", b"reserve-", b"pause-tubea 1", b"\xff"])
def test_other_lines_are_unknown(line: bytes) -> None:
    assert parse_line(line) is UNKNOWN_COMMAND


# ---------------------------------------------------------------------- the stream


def test_a_line_has_at_most_224_bytes() -> None:
    assert LINE_BYTES_MAX == 224
    assert read(b"x" * 222 + b"\r\n") == [UNKNOWN_COMMAND]
    for length in (223, 224, 225, 500, 10_000):
        line = b"x" * length
        assert read(line + b"\r\nstats\r\n") == [BAD_FORMAT, Command("stats")], length


def test_a_line_that_is_too_long_is_answered_at_its_end_and_never_kept() -> None:
    reader = CommandReader()
    for _ in range(1000):
        reader.feed(b"x" * 1000)
        assert reader.take() is None
        assert reader.size <= 1
    reader.feed(b"\r")
    assert reader.take() is None
    reader.feed(b"x\r")
    assert reader.take() is None
    reader.feed(b"\nstats\r\n")
    assert taken(reader) == [BAD_FORMAT, Command("stats")]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\n\r", b""])
def test_only_carriage_return_and_line_feed_end_a_line(end: bytes) -> None:
    reader = CommandReader()
    reader.feed(b"stats" + end)
    assert reader.take() is None
    reader.feed(b"\r\n")
    assert taken(reader) == [BAD_FORMAT if end else Command("stats")]


def test_a_put_takes_its_body_as_it_is() -> None:
    for body in (b"", b"a", b"\r\n", b"stats\r\n", b"\0\xff" * 50):
        data = b"put 1 2 3 %d\r\n%b\r\nstats\r\n" % (len(body), body)
        assert read(data) == [Command("put", (1, 2, 3, len(body)), TubeName(""), body), Command("stats")]


def test_a_body_that_does_not_end_as_announced_is_refused_and_its_length_consumed() -> None:
    assert read(b"put 0 0 1 1\r\nabc\r\n") == [EXPECTED_CRLF, UNKNOWN_COMMAND]
    assert read(b"put 0 0 1 5\r\nabc\r\nstats\r\n") == [EXPECTED_CRLF, UNKNOWN_COMMAND]
    assert read(b"put 0 0 1 3\r\nabc\rxstats\r\n") == [EXPECTED_CRLF, Command("stats")]
    assert EXPECTED_CRLF.counts == "put"


def test_a_body_that_is_too_big_is_skipped_whatever_follows_it() -> None:
    for end in (b"\r\n", b"xx"):
        data = b"put 0 0 1 11\r\n" + b"x" * 11 + end + b"stats\r\n"
        assert read(data, max_job_size=10) == [JOB_TOO_BIG, Command("stats")]
    assert read(b"put 0 0 1 10\r\n" + b"x" * 10 + b"\r\n", max_job_size=10)[0] == Command(
        "put", (0, 0, 1, 10), TubeName(""), b"x" * 10
    )
    assert JOB_TOO_BIG.counts == "put"


def test_a_body_that_is_too_big_is_never_kept() -> None:
    reader = CommandReader(10)
    reader.feed(b"put 0 0 1 1000000\r\n")
    for _ in range(1000):
        reader.feed(b"x" * 1000)
        assert reader.take() is None
        assert reader.size == 0
    reader.feed(b"\r")
    assert reader.take() is None
    reader.feed(b"\nstats\r\n")
    assert taken(reader) == [JOB_TOO_BIG, Command("stats")]


def test_a_put_with_more_behind_it_is_refused_and_its_body_skipped_if_too_big() -> None:
    assert read(b"put 0 0 1 5 x\r\nstats\r\n") == [BAD_FORMAT, Command("stats")]
    for more in (b" x", b"x", b" ", b"_0"):
        assert read(b"put 0 0 1 11" + more + b"\r\n" + b"x" * 13 + b"stats\r\n", max_job_size=10) == [
            JOB_TOO_BIG,
            Command("stats"),
        ]
    assert read(b"put 4294967296 0 1 11 x\r\nstats\r\n", max_job_size=10) == [BAD_FORMAT, Command("stats")]


def test_a_reader_keeps_no_more_than_it_must() -> None:
    reader = CommandReader()
    reader.feed(b"stats\r\n" * 1000 + b"sta")
    assert reader.size == 7003
    assert len(taken(reader)) == 1000
    assert reader.size == 3
    assert reader._data == b"sta"


FRAGMENTS = st.one_of(
    st.sampled_from([line + b"\r\n" for line in GOOD if not line.startswith(b"put")]),
    st.binary(max_size=30).map(lambda body: b"put 1 2 3 %d\r\n%b\r\n" % (len(body), body)),
    st.integers(0, 30).map(lambda size: b"put 1 2 3 %d\r\n%b" % (size, b"y" * 17)),
    st.sampled_from([b"\r\n", b"\r", b"\n", b"put 0 0 1 x\r\n", b"x" * 300, b"put 0 0 1 99999\r\n", b"\0"]),
    st.binary(max_size=40),
)


@given(st.lists(FRAGMENTS, max_size=12), st.lists(st.integers(0, 2000), max_size=40))
def test_pieces_of_any_size_give_the_same_commands(fragments: list[bytes], cuts: list[int]) -> None:
    data = b"".join(fragments)
    whole = CommandReader(20)
    whole.feed(data)
    expected = taken(whole)
    pieces = CommandReader(20)
    found = []
    for start, end in pairwise(sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})):
        pieces.feed(data[start:end])
        found += taken(pieces)
        assert pieces.size < LINE_BYTES_MAX
        assert len(pieces._body) <= 22
    assert found == expected
    one_by_one = CommandReader(20)
    found = []
    for at in range(len(data)):
        one_by_one.feed(data[at : at + 1])
        found += taken(one_by_one)
    assert found == expected


# ---------------------------------------------------------------------- replies


def test_replies_are_the_servers() -> None:
    assert encode_job(b"RESERVED", 3, b"a\r\nb") == b"RESERVED 3 4\r\na\r\nb\r\n"
    assert encode_ok(b"---\n") == b"OK 4\r\n---\n\r\n"
    assert encode_tubes(["default", "a"]) == b"OK 18\r\n---\n- default\n- a\n\r\n"


def test_commands_are_encoded() -> None:
    assert encode_command("reserve") == b"reserve\r\n"
    assert encode_command("release", 1, 2, 3) == b"release 1 2 3\r\n"
    assert encode_command("use", "caf\xe9") == b"use caf\xe9\r\n"
    assert encode_command("put", 1, 2, 3, body=b"ab") == b"put 1 2 3 2\r\nab\r\n"
    assert encode_command("put", 1, 2, 3, body=b"") == b"put 1 2 3 0\r\n\r\n"


REPLIES = [
    Reply("INSERTED", ("1",)),
    Reply("RESERVED", ("1", "4"), b"a\r\nb"),
    Reply("FOUND", ("18446744073709551615", "0"), b""),
    Reply("OK", ("8",), b"---\n- a\n"),
    Reply("TIMED_OUT"),
    Reply("USING", ("a",)),
    Reply("KICKED", ("7",)),
    Reply("KICKED"),
]


@given(st.lists(st.sampled_from(REPLIES), max_size=10), st.integers(1, 40))
def test_pieces_of_any_size_give_the_same_replies(replies: list[Reply], size: int) -> None:
    data = b"".join(reply.raw for reply in replies)
    reader = ReplyReader()
    found = []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        while (reply := reader.take()) is not None:
            found.append(reply)
    assert found == replies
    assert reader.size == 0


@pytest.mark.parametrize(
    "data",
    [
        b"RESERVED 1\r\n",
        b"OK\r\n",
        b"OK -1\r\n",
        b"OK +1\r\n",
        b"OK x\r\n",
        b"FOUND 1 2 3\r\n",
        b"OK 1\r\nabc\r\n",
        b"x" * 5000,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    reader = ReplyReader()
    reader.feed(data)
    with pytest.raises(BadValueError, match="reply = "):
        reader.take()
