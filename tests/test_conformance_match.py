"""Comparing replies: masks, tolerances, the framing of replies."""

import pytest

from models.conformance_match import (
    difference,
    matches,
    reply_length,
    shown,
    split_replies,
    without_quotes,
)


def ok(body: str) -> bytes:
    return f"OK {len(body)}\r\n{body}\r\n".encode()


@pytest.mark.parametrize(
    ("stream", "length"),
    [
        (b"INSERTED 1\r\nx", 12),
        (b"INSERTED 1\r", None),
        (b"RESERVED 1 3\r\na\r\n\r\n", 19),
        (b"RESERVED 1 3\r\na\r\n\r", None),
        (b"FOUND 7 0\r\n\r\n", 13),
        (b"OK 4\r\n---\n\r\nmore", 12),
        (b"OK x\r\n", 6),
        (b"OK -1\r\n", 7),
        (b"RESERVED 1 99999999999\r\n", 24),
        (b"", None),
        (b"x" * 600, 600),
    ],
)
def test_the_length_of_a_reply(stream: bytes, length: int | None) -> None:
    assert reply_length(stream) == length
    assert reply_length(b"HELLO\r\n" + stream, 7) == length


def test_a_stream_is_cut_into_replies() -> None:
    stream = b"USING a\r\nRESERVED 1 2\r\n\r\n\r\nOK 4\r\n---\n\r\nTIM"
    assert split_replies(stream) == [b"USING a\r\n", b"RESERVED 1 2\r\n\r\n\r\n", b"OK 4\r\n---\n\r\n", b"TIM"]


@pytest.mark.parametrize("got", [b"", b"TIMED_OUT\r", b"TIMED_OUT\r\n\r\n", b"timed_out\r\n"])
def test_without_masks_every_byte_counts(got: bytes) -> None:
    assert matches(b"TIMED_OUT\r\n", b"TIMED_OUT\r\n")
    assert not matches(b"TIMED_OUT\r\n", got)
    assert not matches(b"TIMED_OUT\r\n", got, {"age": 1})


def test_masks_stand_for_numbers_and_the_rest_of_a_line() -> None:
    expected = b"OK {{n}}\r\n---\npid: {{n}}\nversion: {{volatile}}\nid: 1\n\r\n"
    assert matches(expected, ok('---\npid: 12345\nversion: "1.12"\nid: 1\n'))
    assert matches(expected, ok("---\npid: 1\nversion: \nid: 1\n"))
    assert not matches(expected, ok("---\npid: x\nversion: 1\nid: 1\n"))
    assert not matches(expected, ok("---\npid: 1\nversion: 1\nid: 2\n"))
    assert not matches(expected, ok("---\npid: 1\nversion: 1\nmore: 1\nid: 1\n"))
    assert matches(b"INSERTED {{n}}\r\n", b"INSERTED 77\r\n")
    assert not matches(b"INSERTED {{n}}\r\n", b"INSERTED -1\r\n")


@pytest.mark.parametrize(("age", "does"), [(8, False), (9, True), (10, True), (11, True), (12, False)])
def test_a_tolerance_is_kept_to_both_sides(age: int, does: bool) -> None:
    expected = ok("---\nid: 1\nage: 10\n")
    assert matches(expected, ok(f"---\nid: 1\nage: {age}\n"), {"age": 1}) is does
    assert not matches(expected, ok(f"---\nid: 2\nage: {age}\n"), {"age": 1})


def test_the_byte_count_follows_the_number_of_digits_and_nothing_else() -> None:
    expected = ok("---\nage: 9\n")
    assert matches(expected, b"OK 12\r\n---\nage: 10\n\r\n", {"age": 1})
    assert not matches(expected, b"OK 11\r\n---\nage: 10\n\r\n", {"age": 1})
    assert not matches(expected, b"OK 13\r\n---\nage: 10\n\r\n", {"age": 1})
    assert not matches(expected, b"OK 12\r\n---\nage: 9\n\r\n", {"age": 1})


def test_a_tolerance_of_a_negative_number() -> None:
    expected = ok("---\ntime-left: 0\n")
    assert matches(expected, ok("---\ntime-left: -1\n"), {"time-left": 1})
    assert not matches(expected, ok("---\ntime-left: -2\n"), {"time-left": 1})


def test_several_replies_are_compared_one_by_one() -> None:
    expected = b"USING a\r\n" + ok("---\nage: 1\n")
    assert matches(expected, b"USING a\r\n" + ok("---\nage: 2\n"), {"age": 1})
    assert not matches(expected, ok("---\nage: 2\n"), {"age": 1})


def test_names_without_quotes() -> None:
    assert without_quotes(ok('---\nname: "a"\nx: "b"\n')) == ok('---\nname: a\nx: "b"\n')
    assert without_quotes(b'FOUND 1 9\r\nname: "a"\r\n') == b'FOUND 1 9\r\nname: "a"\r\n'


def test_differences_are_shown_line_by_line() -> None:
    assert difference(b"OK 1\r\na\nb\n", b"OK 1\r\na\nc\n") == ("  OK 1\\r\\n", "  a\\n", "- b\\n", "+ c\\n")
    assert sorted(difference(b"", b"x\r\n")) == ["+ x\\r\\n", "- (nothing)"]
    assert shown(b"'\"\\\xff") == "'\"\\\\\\xff"
    assert len(shown(b"x" * 10_000)) < 120
