"""What the broker does when the machine refuses what no client asked for, or a command that can't be written."""

from collections.abc import Iterable

import pytest

from tests.wire_by_hand import PUT, SECOND, Refusing, Wire


@pytest.mark.parametrize(
    ("operation", "lines", "reply"),
    [
        ("put", PUT, "OUT_OF_MEMORY|"),
        ("delete", ["delete 1"], "INTERNAL_ERROR|"),
        ("release_with", ["release 1 0 0"], "INTERNAL_ERROR|"),
        ("bury", ["bury 1 0"], "INTERNAL_ERROR|"),
        ("touch", ["touch 1"], "INTERNAL_ERROR|"),
        ("use_tube", ["use t", "list-tube-used"], "INTERNAL_ERROR|USING default|"),
        ("watch_tube", ["watch t", "watch u"], "INTERNAL_ERROR|INTERNAL_ERROR|"),
        ("append_reservation", ["reserve", "list-tube-used"], "INTERNAL_ERROR|USING default|"),
        ("reserve_job", ["reserve-job 2"], "INTERNAL_ERROR|"),
        ("kick", ["kick-job 1"], "INTERNAL_ERROR|"),
        ("kick_n", ["kick 1"], "INTERNAL_ERROR|"),
        ("pause_tube", ["pause-tube default 1"], "INTERNAL_ERROR|"),
        ("count_command", ["use default", "list-tubes"], "INTERNAL_ERROR|INTERNAL_ERROR|"),
    ],
)
def test_a_command_that_cannot_be_written_is_refused(operation: str, lines: Iterable[str], reply: str) -> None:
    machine = Refusing()
    wire = Wire(machine)
    wire(1, *PUT, *PUT, "reserve")
    machine.names = {operation}
    assert wire(1, *lines) == reply
    assert wire(1, "peek 1") == "FOUND 1 1|a|"
    machine.names = set()
    assert wire(1, "delete 1", *PUT) == "DELETED|INSERTED 3|"


def test_a_tick_that_cannot_be_written_is_tried_again() -> None:
    machine = Refusing("tick")
    wire = Wire(machine)
    wire(1, "put 0 1 60 1", "a")
    assert wire(2, "reserve") == ""
    wire.now = SECOND
    wire.broker.tick(SECOND)
    assert wire.broker.next_tick_at() == 2 * SECOND  # in a second, not at once
    wire.now += SECOND // 2
    machine.calls.clear()
    assert wire(1, "list-tube-used", "peek-delayed") == "USING default|FOUND 1 1|a|"
    assert machine.calls.count("tick") >= 1
    assert wire.broker.next_tick_at() == 2.5 * SECOND
    machine.names = set()
    wire.at(2.5)
    assert wire(2) == "RESERVED 1 1|a|"
    assert wire.broker.next_tick_at() == 62.5 * SECOND


def test_an_end_that_cannot_be_written_is_tried_again() -> None:
    machine = Refusing("close_client")
    wire = Wire(machine)
    wire(1, *PUT, "reserve")
    wire.leave(1)
    assert wire.stats("current-connections", "current-jobs-reserved") == ["1", "1"]
    assert wire.broker.next_tick_at() == SECOND
    wire.at(1)
    assert wire.broker.next_tick_at() == 2 * SECOND
    machine.names = set()
    wire.at(2)
    assert wire.stats("current-jobs-reserved", "current-jobs-ready") == ["0", "1"]
    assert wire.broker.next_tick_at() is None


@pytest.mark.parametrize("operation", ["use_tube", "watch_tube"])
def test_a_beginning_that_cannot_be_written_is_tried_again(operation: str) -> None:
    machine = Refusing(operation)
    wire = Wire(machine)
    assert wire(1, *PUT, "reserve", "delete 1") == "INSERTED 1|RESERVED 1 1|a|DELETED|"
    machine.names = set()
    assert wire(1, "use t", "watch u") == "USING t|WATCHING 2|"
    assert wire(1, "list-tubes") == "OK 22|---\n- default\n- t\n- u\n|"
    assert wire.stats("cmd-use", "cmd-watch") == ["1", "1"]
    machine.names = {operation}
    wire.connect(3)
    wire.leave(3)
    machine.names = set()
    assert "current-using: 1\ncurrent-watching: 2\n" in wire(1, "stats-tube default")  # c2 is gone, c99 is there


def test_a_wait_whose_end_cannot_be_written_ends_later() -> None:
    machine = Refusing()
    wire = Wire(machine)
    wire(1, "reserve", "reserve", "list-tube-used")
    machine.names = {"cancel_reservation"}
    wire.eof(1)
    assert wire(1) == ""
    assert wire.broker.next_tick_at() == SECOND
    machine.names = set()
    wire.at(1)
    assert wire(1) == "TIMED_OUT|TIMED_OUT|USING default|"
    assert wire.sessions[1].is_closing
    assert wire.broker.next_tick_at() is None


def test_a_job_that_comes_while_the_end_of_a_wait_cannot_be_written_is_given_back() -> None:
    machine = Refusing()
    wire = Wire(machine)
    wire(1, "reserve")
    machine.names = {"cancel_reservation"}
    wire.eof(1)
    wire(2, *PUT)
    assert wire(1) == "RESERVED 1 1|a|"
    assert wire.sessions[1].is_closing
    assert wire(2, "peek-ready") == "FOUND 1 1|a|"
