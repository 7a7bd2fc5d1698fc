"""The server: clients that wait, time that comes, a journal that is asked first, faults that are noticed."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from jsm.errors import BadValueError, JsmError
from jsm.machine import Machine
from jsm.wire import Broker
from jsm.wire.clocks import ManualClock, RealClock, ScaledClock
from jsm.wire.listeners import Listener, open_listener
from jsm.wire.server import Server, _milliseconds_up
from tests.asyncio_clients import UNITS, run, served


def test_a_job_goes_through_its_life() -> None:
    async def conversation() -> None:
        async with served() as here:
            client = await here.client()
            assert await client.ask(b"put 1 0 60 5\r\nhello") == b"INSERTED 1\r\n"
            assert await client.ask(b"reserve") == b"RESERVED 1 5\r\n"
            assert await client.line() == b"hello\r\n"
            assert await client.ask(b"delete 1") == b"DELETED\r\n"

    run(conversation)


def test_a_waiting_client_gets_a_job_as_soon_as_it_is_put() -> None:
    async def conversation() -> None:
        async with served() as here:
            worker, producer = await here.client(), await here.client()
            worker.send(b"reserve\r\n")
            await here.until(lambda: here.machine().check_client_state(["c1"]).waiting == ["c1"])  # type: ignore[list-item]
            assert await producer.ask(b"put 1 0 60 1\r\na") == b"INSERTED 1\r\n"
            assert await worker.line() == b"RESERVED 1 1\r\n"

    run(conversation)


def test_time_comes_by_itself() -> None:
    async def conversation() -> None:
        async with served(ScaledClock(50, units_per_second=UNITS)) as here:
            first, second = await here.client(), await here.client()
            begin = asyncio.get_running_loop().time()
            assert await first.ask(b"put 1 1 1 1\r\na") == b"INSERTED 1\r\n"
            assert await first.ask(b"reserve") == b"RESERVED 1 1\r\n"  # once the delay has passed
            assert await second.ask(b"reserve-with-timeout 60") == b"RESERVED 1 1\r\n"  # once the ttr has
            assert await first.line() == b"a\r\n"
            assert await first.ask(b"watch empty") == b"WATCHING 2\r\n"
            assert await first.ask(b"ignore default") == b"WATCHING 1\r\n"
            assert await first.ask(b"reserve-with-timeout 1") == b"TIMED_OUT\r\n"
            assert asyncio.get_running_loop().time() - begin > 0.05

    run(conversation)


def test_what_is_due_sooner_comes_sooner() -> None:
    async def conversation() -> None:
        async with served(ScaledClock(50, units_per_second=UNITS)) as here:
            client = await here.client()
            assert await client.ask(b"put 1 1000 1 1\r\na") == b"INSERTED 1\r\n"
            assert await client.ask(b"put 1 1 1 1\r\nb") == b"INSERTED 2\r\n"
            assert await client.ask(b"reserve") == b"RESERVED 2 1\r\n"

    run(conversation)


def test_a_loop_that_knows_milliseconds_only_wakes_late_rather_than_early() -> None:
    assert [_milliseconds_up(seconds) for seconds in (0.0, 0.0001, 0.001, 2.5, 2.50001)] == [
        0,
        0.001,
        0.001,
        2.5,
        2.501,
    ]


def test_manual_time_comes_when_it_is_told_to() -> None:
    async def conversation() -> None:
        async with served(ManualClock(units_per_second=UNITS)) as here:
            first, second = await here.client(), await here.client()
            assert await first.ask(b"put 1 3 2 1\r\na") == b"INSERTED 1\r\n"
            first.send(b"reserve\r\n")
            second.send(b"reserve-with-timeout 6\r\n")
            assert await here.server.advance(2.999999) == 2_999_999
            assert await first.is_silent()
            # The job is ready at 3, is the first one's until 5, then the second one's.
            assert await here.server.advance(2.5) == 5_499_999
            assert await first.line() == b"RESERVED 1 1\r\n"
            assert await second.line() == b"RESERVED 1 1\r\n"
            assert here.machine().get_job(1).expires_at == 7_000_000  # type: ignore[arg-type]

    run(conversation)


def test_what_was_sent_before_time_moves_is_read_first() -> None:
    async def conversation() -> None:
        async with served(ManualClock(units_per_second=UNITS)) as here:
            clients = [socket.create_connection(here.address, timeout=5) for _ in range(10)]  # not accepted yet
            for client in clients:
                client.sendall(8000 * b"use default\r\n" + b"reserve-with-timeout 5\r\n")  # more than one read takes
            await here.server.advance(5)
            for client in clients:
                with client, client.makefile("rb") as file:
                    replies = await asyncio.get_running_loop().run_in_executor(None, file.read, 8000 * 15 + 11)
                assert replies.endswith(b"TIMED_OUT\r\n")

    run(conversation)


def test_only_a_manual_clock_is_advanced() -> None:
    async def conversation() -> None:
        async with served() as here:
            with pytest.raises(BadValueError, match=r"^clock = 'RealClock': expected a ManualClock"):
                await here.server.advance(1)

    run(conversation)


def test_a_clock_has_the_machines_units() -> None:
    with pytest.raises(BadValueError, match=r"^clock = '1 units a second': expected the machine's 1000000$"):
        Server(Broker(Machine(units_per_second=UNITS)), ManualClock(units_per_second=1))


class FullListener:
    """A listening socket whose `accept` fails for want of descriptors while `is_full`."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self.is_full = False
        self.calls = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.calls += 1
        if self.is_full:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.listening.accept()

    def fileno(self) -> int:
        return self.listening.fileno()

    def close(self) -> None:
        self.listening.close()


def test_without_descriptors_connections_wait_and_nothing_spins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsm.wire.server._ACCEPT_AGAIN_SECONDS", 1000.0)

    async def conversation() -> None:
        said: list[str] = []
        real = open_listener(("127.0.0.1", 0))
        full = FullListener(real.socket)
        listener: Any = Listener(full, real.address)  # type: ignore[arg-type]
        async with served(where=listener, say=lambda level, line: said.append(line)) as here:
            client, leaving = await here.client(), await here.client()
            assert await client.ask(b"use a") == b"USING a\r\n"
            assert await leaving.ask(b"use a") == b"USING a\r\n"
            full.is_full = True
            full.calls = 0
            late = await here.client()  # the system connects it, the server doesn't know it yet
            late.send(b"use b\r\n")
            await here.until(lambda: bool(said))
            for _ in range(50):
                assert await client.ask(b"use a") == b"USING a\r\n"
            assert full.calls == 1
            full.is_full = False
            assert await late.is_silent()
            leaving.close()
            assert await late.line() == b"USING b\r\n"
        assert said == ["can't accept connections for now: Too many open files; 2 are open"]

    run(conversation)


def test_without_descriptors_it_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsm.wire.server._ACCEPT_AGAIN_SECONDS", 0.02)

    async def conversation() -> None:
        real = open_listener(("127.0.0.1", 0))
        full = FullListener(real.socket)
        full.is_full = True
        listener: Any = Listener(full, real.address)  # type: ignore[arg-type]
        async with served(where=listener) as here:
            client = await here.client()
            await here.until(lambda: full.calls > 1)
            full.is_full = False
            assert await client.ask(b"use a") == b"USING a\r\n"

    run(conversation)


class Disk:
    """A journal that notes what it is asked, and can fail."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails = False
        self.wishes = 0  # how often it still wants to be called though nothing happens

    def before_replies(self) -> None:
        self.calls += 1
        self.wishes = max(0, self.wishes - 1)
        if self.fails:
            raise JsmError("the disk is broken")

    def keep_clock(self, now: int) -> None:
        pass

    def next_sync_in(self) -> float | None:
        return 0.01 if self.wishes else None


def test_clients_who_are_served_together_wait_for_the_disk_together() -> None:
    async def conversation() -> None:
        disk = Disk()
        async with served(journal=disk) as here:
            clients = [socket.create_connection(here.address, timeout=5) for _ in range(20)]
            await here.until(lambda: here.server.connections == 20)
            disk.calls = 0
            for client in clients:
                client.sendall(b"put 1 0 60 1\r\na\r\n" * 10)
            replies = b""
            for client in clients:
                replies += await asyncio.get_running_loop().run_in_executor(None, client.recv, 9999)
            assert replies.count(b"INSERTED") == 200
            assert 1 <= disk.calls <= 5  # not one a put, nor one a client
            for client in clients:
                client.close()

    run(conversation)


def test_no_answer_leaves_when_the_disk_fails() -> None:
    async def conversation() -> None:
        disk = Disk()
        said: list[str] = []
        async with served(journal=disk, say=lambda level, line: said.append(line)) as here:
            writing, idle = await here.client(), await here.client()
            assert await idle.ask(b"use a") == b"USING a\r\n"
            disk.fails = True
            assert await writing.ask(b"put 1 0 60 1\r\na") == b""
            disk.fails = False
            assert await idle.ask(b"use b") == b"USING b\r\n"
        assert said[:1] == ["the disk is broken; closing the connections that wait for an answer"]

    run(conversation)


def test_the_disk_is_asked_again_when_it_wants_to_be() -> None:
    async def conversation() -> None:
        disk = Disk()
        async with served(journal=disk) as here:
            client = await here.client()
            disk.wishes = 4
            disk.calls = 0
            assert await client.ask(b"use a") == b"USING a\r\n"
            await here.until(lambda: disk.calls == 4)
            await asyncio.sleep(0.03)
            assert disk.calls == 4

    run(conversation)


class Refusing(Machine):
    """A machine whose ticks are refused while `refuses`, as a full disk does it."""

    __slots__ = ("refused", "refuses")

    def __init__(self) -> None:
        super().__init__(units_per_second=UNITS)
        self.refuses = False
        self.refused = 0

    def tick(self, now: int) -> Any:
        if self.refuses:
            self.refused += 1
            raise JsmError("no room")
        return super().tick(now)


def test_a_tick_that_is_refused_is_tried_again_without_haste() -> None:
    async def conversation() -> None:
        machine = Refusing()
        async with served(ScaledClock(5, units_per_second=UNITS), machine=machine) as here:
            client = await here.client()
            assert await client.ask(b"put 1 1 60 1\r\na") == b"INSERTED 1\r\n"
            client.send(b"reserve\r\n")
            machine.refuses = True
            loop = asyncio.get_running_loop()
            begin = loop.time()
            await here.until(lambda: machine.refused > 0)
            await asyncio.sleep(0.1)
            assert machine.refused <= 2 + 5 * (loop.time() - begin)  # after a second of the clock, and not before
            machine.refuses = False
            assert await client.line() == b"RESERVED 1 1\r\n"

    run(conversation)


class Faulty(Machine):
    """A machine with a fault."""

    def get_tubes(self, *, now: int | None = None) -> Any:
        raise ZeroDivisionError


def test_a_fault_of_the_program_ends_the_server() -> None:
    async def conversation() -> None:
        server = Server(Broker(Faulty(units_per_second=UNITS)), RealClock(units_per_second=UNITS))
        address = await server.start(("127.0.0.1", 0))
        assert isinstance(address, tuple)
        _, writer = await asyncio.open_connection(*address)
        writer.write(b"list-tubes\r\n")
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(5):
                await server.serve()
        writer.transport.abort()
        await server.stop()

    run(conversation)


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "jsm.sock"

    async def conversation() -> None:
        async with served(where=str(path)) as here:
            assert here.address == str(path)
            client = await here.client()
            assert await client.ask(b"use a") == b"USING a\r\n"
        assert await client.read_end() == b""

    run(conversation)
    assert list(tmp_path.iterdir()) == []


def test_several_addresses_at_once() -> None:
    async def conversation() -> None:
        async with served() as here:
            first = await here.client()
            here.address = await here.server.start(("127.0.0.1", 0))
            second = await here.client()
            assert await first.ask(b"put 1 0 60 1\r\na") == b"INSERTED 1\r\n"
            assert await second.ask(b"reserve") == b"RESERVED 1 1\r\n"

    run(conversation)


def test_draining_refuses_puts_only() -> None:
    async def conversation() -> None:
        async with served() as here:
            client = await here.client()
            assert await client.ask(b"put 1 0 60 1\r\na") == b"INSERTED 1\r\n"
            here.server.drain()
            assert await client.ask(b"put 1 0 60 1\r\nb") == b"DRAINING\r\n"
            assert await client.ask(b"reserve") == b"RESERVED 1 1\r\n"

    run(conversation)


def test_who_comes_and_goes_is_told_if_asked_for() -> None:
    async def conversation() -> None:
        said: list[tuple[int, str]] = []
        async with served(say=lambda level, line: said.append((level, line)), talk=2) as here:
            client = await here.client()
            host, port = client.writer.get_extra_info("sockname")
            assert await client.ask(b"use a") == b"USING a\r\n"
            client.send(b"quit\r\n")
            assert await client.read_end() == b""
            assert said == [(2, f"c1 comes from {host}:{port}"), (2, "c1 is gone")]

    run(conversation)


def test_a_server_that_never_listened_has_nothing_to_serve_or_stop() -> None:
    async def conversation() -> None:
        server = Server(Broker(Machine(units_per_second=UNITS)), RealClock(units_per_second=UNITS))
        await server.serve()
        await server.stop()
        server.end()

    run(conversation)
