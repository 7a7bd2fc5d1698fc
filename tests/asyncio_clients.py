"""A server in the test's own loop, and clients that talk to it there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from jsm.machine import Machine
from jsm.wire import Broker
from jsm.wire.clocks import Clock, RealClock
from jsm.wire.server import Server

UNITS = 1_000_000


class Client:
    """A connection to the server, in the same loop; reads wait for at most five seconds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, command: bytes) -> bytes:
        self.send(command + b"\r\n")
        return await self.line()

    async def line(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readline()

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readexactly(size)

    async def read_end(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def is_silent(self, seconds: float = 0.05) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.reader.readline()
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self.writer.transport.abort()


class Served:
    """A server, and clients of it that are closed with it."""

    def __init__(self, server: Server, address: Any) -> None:
        self.server = server
        self.address = address
        self.clients: list[Client] = []

    async def client(self) -> Client:
        if isinstance(self.address, str):
            client = Client(*await asyncio.open_unix_connection(self.address))
        else:
            client = Client(*await asyncio.open_connection(*self.address))
        self.clients.append(client)
        return client

    def machine(self) -> Machine:
        machine = self.server.broker.machine
        assert isinstance(machine, Machine)
        return machine

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def served(
    clock: Clock | None = None, *, machine: Any = None, where: Any = ("127.0.0.1", 0), **settings: Any
) -> AsyncIterator[Served]:
    clock = RealClock(units_per_second=UNITS) if clock is None else clock
    limits = {name: settings.pop(name) for name in ("input_limit", "output_limit") if name in settings}
    server = Server(
        Broker(Machine(units_per_second=UNITS) if machine is None else machine, **limits), clock, **settings
    )
    running = Served(server, await server.start(where))
    try:
        yield running
    finally:
        for client in running.clients:
            client.close()
        await server.stop()
        await server.serve()


LOOPS: tuple[Callable[[], asyncio.AbstractEventLoop], ...] = (asyncio.new_event_loop, uvloop.new_event_loop)


def run(conversation: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Hold a conversation on each of the loops that a server may run on."""
    for make_loop in LOOPS:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(conversation())
