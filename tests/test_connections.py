"""A client's socket: answers in one piece, bounds in both directions, half-closed and lost connections."""

import asyncio
import socket

from jsm.wire.listeners import open_listener
from tests.asyncio_clients import run, served


def test_commands_that_come_together_are_answered_in_one_piece() -> None:
    async def conversation() -> None:
        async with served() as here:
            host, port = here.address
            with socket.create_connection((host, port), timeout=5) as client:
                loop = asyncio.get_running_loop()
                client.sendall(b"put 1 0 60 1\r\na\r\n" * 3 + b"reserve\r\ndelete 1\r\nquit\r\n")
                wanted = b"INSERTED 1\r\nINSERTED 2\r\nINSERTED 3\r\nRESERVED 1 1\r\na\r\nDELETED\r\n"
                assert await loop.run_in_executor(None, client.recv, 1000) == wanted
                assert await loop.run_in_executor(None, client.recv, 1000) == b""

    run(conversation)


def test_who_sends_no_more_is_still_answered() -> None:
    async def conversation() -> None:
        async with served() as here:
            client = await here.client()
            client.send(b"put 1 0 60 1\r\na\r\nreserve\r\nreserve\r\n")
            client.writer.write_eof()
            assert await client.read_end() == b"INSERTED 1\r\nRESERVED 1 1\r\na\r\nTIMED_OUT\r\n"
            assert here.server.connections == 0

    run(conversation)


def test_the_jobs_of_a_client_that_vanishes_are_ready_again() -> None:
    async def conversation() -> None:
        async with served() as here:
            client, other = await here.client(), await here.client()
            assert await client.ask(b"put 1 0 60 1\r\na") == b"INSERTED 1\r\n"
            assert await client.ask(b"reserve") == b"RESERVED 1 1\r\n"
            other.send(b"reserve\r\n")
            client.close()  # without reading the rest, so the connection is reset
            assert await other.line() == b"RESERVED 1 1\r\n"
            await here.until(lambda: here.server.connections == 1)

    run(conversation)


def test_a_reader_who_does_not_read_is_held_back_and_then_gets_everything() -> None:
    async def conversation() -> None:
        async with served(output_limit=100_000) as here:
            slow, other = await here.client(), await here.client()
            assert await other.ask(b"put 1 0 60 50000\r\n" + 50_000 * b"x") == b"INSERTED 1\r\n"
            slow.send(2000 * b"peek 1\r\n" + b"quit\r\n")  # a hundred megabytes
            session = here.server.broker.sessions["c1"]  # type: ignore[index]
            await here.until(lambda: not session.is_reading)
            for _ in range(20):
                assert await other.ask(b"peek-buried") == b"NOT_FOUND\r\n"
                assert session.output_size < 100_000 + 60_000
            for _ in range(2000):
                assert await slow.line() == b"FOUND 1 50000\r\n"
                assert len(await slow.read(50_002)) == 50_002
            assert await slow.read_end() == b""

    run(conversation)


def test_a_reply_that_the_system_takes_in_many_pieces_comes_whole() -> None:
    async def conversation() -> None:
        listener = open_listener(("127.0.0.1", 0))
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what accepted sockets inherit
        async with served(where=listener) as here:
            body = b"".join(b"%9d" % number for number in range(7000))
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.settimeout(5)
                client.connect(here.address)
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, client.sendall, b"put 1 0 60 63000\r\n" + body + b"\r\n")
                await loop.run_in_executor(None, client.sendall, 3 * b"peek 1\r\n" + b"quit\r\n")
                await here.until(lambda: not here.server.broker.sessions)
                got = b""
                while piece := await loop.run_in_executor(None, client.recv, 1000):
                    got += piece
                assert got == b"INSERTED 1\r\n" + 3 * (b"FOUND 1 63000\r\n" + body + b"\r\n")

    run(conversation)


def test_what_comes_behind_a_reserve_that_waits_is_bounded() -> None:
    async def conversation() -> None:
        async with served(input_limit=1000) as here:
            eager, other = await here.client(), await here.client()
            eager.send(b"reserve\r\n" + 50_000 * b"use default\r\n")
            session = here.server.broker.sessions["c1"]  # type: ignore[index]
            await here.until(lambda: not session.is_reading)
            for _ in range(20):
                assert await other.ask(b"use default") == b"USING default\r\n"
                assert session.reader.size < 1000 + 65_536
            assert await other.ask(b"put 1 0 60 1\r\na") == b"INSERTED 1\r\n"
            assert await eager.line() == b"RESERVED 1 1\r\n"
            assert await eager.line() == b"a\r\n"
            for _ in range(50_000):
                assert await eager.line() == b"USING default\r\n"

    run(conversation)


def test_who_vanishes_behind_too_much_is_noticed() -> None:
    async def conversation() -> None:
        async with served(input_limit=1000) as here:
            host, port = here.address
            with socket.create_connection((host, port), timeout=5) as eager:
                await here.until(lambda: here.server.connections == 1)
                session = here.server.broker.sessions["c1"]  # type: ignore[index]
                eager.setblocking(False)
                eager.send(b"reserve\r\n" + 7000 * b"use default\r\n")
                await here.until(lambda: not session.is_reading)
            await here.until(lambda: here.server.connections == 0)

    run(conversation)


def test_who_sends_no_more_behind_too_much_is_answered() -> None:
    async def conversation() -> None:
        async with served(input_limit=1000) as here:
            eager, other = await here.client(), await here.client()
            eager.send(b"reserve\r\n" + 7000 * b"use default\r\n")
            session = here.server.broker.sessions["c1"]  # type: ignore[index]
            await here.until(lambda: not session.is_reading)
            eager.writer.write_eof()
            assert await eager.line() == b"TIMED_OUT\r\n"
            assert await eager.read_end() == 7000 * b"USING default\r\n"
            assert await other.ask(b"list-tube-used") == b"USING default\r\n"

    run(conversation)


def test_who_goes_on_reading_after_a_wait_is_watched_no_more() -> None:
    async def conversation() -> None:
        async with served(input_limit=1000) as here:
            eager, other = await here.client(), await here.client()
            session = here.server.broker.sessions["c1"]  # type: ignore[index]
            for number in (b"1", b"2"):
                eager.send(b"reserve\r\n" + 1000 * b"use default\r\n")
                await here.until(lambda: not session.is_reading)
                assert await other.ask(b"put 1 0 60 1\r\na") == b"INSERTED " + number + b"\r\n"
                assert await eager.line() == b"RESERVED " + number + b" 1\r\n"
                assert await eager.line() == b"a\r\n"
                assert await eager.read(15_000) == 1000 * b"USING default\r\n"
            assert await eager.ask(b"delete 1") == b"DELETED\r\n"
            eager.close()
            await here.until(lambda: here.server.connections == 1)

    run(conversation)
