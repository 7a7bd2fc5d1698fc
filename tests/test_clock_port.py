"""The port on which a manual clock is moved: a line, a reply."""

import asyncio

import pytest

from jsm.machine import Machine
from jsm.wire import Broker
from jsm.wire.clock_port import ClockPort, show_seconds
from jsm.wire.clocks import Clock, ManualClock, RealClock
from jsm.wire.listeners import open_listener
from jsm.wire.server import Server
from tests.asyncio_clients import UNITS, Client, run


def clock_port(clock: Clock) -> ClockPort:
    return ClockPort(Server(Broker(Machine(units_per_second=UNITS)), clock), clock)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("now", "7.5"),
        ("advance 2", "OK 9.5"),
        ("  advance   0.000001 ", "OK 7.500001"),
        ("advance 0", "OK 7.5"),
        ("advance", "ERROR expected one of: advance SECONDS, now"),
        ("", "ERROR expected one of: advance SECONDS, now"),
        ("advance 1 2", "ERROR expected one of: advance SECONDS, now"),
        ("advance -1", "ERROR seconds = '-1': expected a number of seconds in digits, as in: advance 10"),
        ("advance 1e9", "ERROR seconds = '1e9': expected a number of seconds in digits, as in: advance 10"),
        ("advance 9999999999", "ERROR seconds = 9999999999.0: expected a number from 0 to 8589934592"),
    ],
)
def test_lines(line: str, reply: str) -> None:
    port = clock_port(ManualClock(units_per_second=UNITS, start_at=7_500_000))
    assert asyncio.run(port.answer(line)) == reply


def test_a_clock_that_goes_by_itself_is_not_moved() -> None:
    port = clock_port(RealClock(units_per_second=UNITS))
    assert asyncio.run(port.answer("advance 1")).startswith("ERROR clock = 'RealClock': expected a ManualClock")


def test_a_connection_says_as_many_lines_as_it_likes() -> None:
    async def conversation() -> None:
        port = clock_port(ManualClock(units_per_second=UNITS))
        address = await port.start(open_listener(("127.0.0.1", 0)))
        assert isinstance(address, tuple)
        client = Client(*await asyncio.open_connection(*address))
        client.send(b"now\nadvance 10\r\nnow\n\xff\n")
        assert [await client.line() for _ in range(4)] == [
            b"0\n",
            b"OK 10\n",
            b"10\n",
            b"ERROR expected one of: advance SECONDS, now\n",
        ]
        client.send(5000 * b"x")
        assert await client.line() == b"ERROR the line is too long\n"
        assert await client.read_end() == b""
        other = Client(*await asyncio.open_connection(*address))
        other.send(b"now\n")
        assert await other.line() == b"10\n"
        await port.stop()
        assert await other.read_end() == b""
        other.close()
        client.close()

    run(conversation)


@pytest.mark.parametrize(
    ("units", "units_per_second", "text"),
    [(0, 1, "0"), (90, 10, "9"), (95, 10, "9.5"), (1_000_001, 1_000_000, "1.000001"), (1, 3, "0.333333333")],
)
def test_instants_as_seconds(units: int, units_per_second: int, text: str) -> None:
    assert show_seconds(units, units_per_second) == text
