"""One connection: its bytes out, whether it wants to read, its tubes."""

from typing import Any

import pytest

from jsm.job import ClientID, TubeName
from jsm.wire.session import Session


class Made:
    """A session with small limits, and the calls that it makes."""

    def __init__(self, **limits: Any) -> None:
        self.drained: list[Session] = []
        limits = {"max_job_size": 10, "input_limit": 8, "output_limit": 10, **limits}
        self.session = Session(ClientID("c1"), on_drained=self.drained.append, **limits)


def test_a_session_uses_and_watches_default_and_reads() -> None:
    session = Made().session
    assert (session.tube, session.watched) == ("default", ("default",))
    assert session.is_reading
    assert [session.is_waiting, session.is_held, session.is_closing, session.has_eof] == [False] * 4
    assert (session.output_size, session.take_output()) == (0, b"")


def test_output_is_taken_whole_or_by_the_piece() -> None:
    session = Made().session
    session.output += b"INSERTED 1\r\n"
    assert session.take_output(3) == b"INS"
    assert session.output_size == 9
    assert session.take_output(0) == b""
    assert session.take_output(100) == b"ERTED 1\r\n"
    session.output += b"x"
    assert session.take_output() == b"x"
    assert session.output_size == 0


def test_a_held_session_is_released_once_half_its_limit_is_left() -> None:
    made = Made()
    session = made.session
    session.output += b"0123456789"
    session.is_held = True
    session.take_output(4)
    assert made.drained == []
    session.take_output(1)
    assert made.drained == [session]
    assert (session.is_held, session.is_reading) == (False, True)
    session.take_output()
    assert made.drained == [session]


@pytest.mark.parametrize("end", ["is_held", "is_closing", "has_eof"])
def test_a_session_ceases_to_read(end: str) -> None:
    session = Made().session
    setattr(session, end, True)
    assert not session.is_reading


def test_a_session_reads_until_its_input_limit() -> None:
    session = Made().session
    session.reader.feed(b"1234567")
    assert session.is_reading
    session.reader.feed(b"8")
    assert [session.is_reading] == [False]


def test_watched_tubes_keep_their_order_but_for_the_last_that_fills_a_gap() -> None:
    session = Made().session
    for name in ("a", "b", "c"):
        session.watch(TubeName(name))
    assert list(session.watched) == ["default", "a", "b", "c"]
    session.ignore(TubeName("a"))
    assert list(session.watched) == ["default", "c", "b"]
    session.ignore(TubeName("b"))
    assert list(session.watched) == ["default", "c"]
