"""A server in its event loop, from open sockets to the signal that ends it."""

import asyncio
import gc
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from jsm.errors import JsmError
from jsm.wire.broker import Broker
from jsm.wire.clock_port import ClockPort
from jsm.wire.host import process_values
from jsm.wire.listeners import show_address
from jsm.wire.options import Address, ServeOptions
from jsm.wire.server import Say, Server

if TYPE_CHECKING:
    from jsm.wire.serving import Parts


def run_in_loop(parts: "Parts", options: ServeOptions, say: Say) -> int:
    """Serve until a signal comes; returns the exit code: 0 after SIGTERM, 130 after SIGINT."""
    with asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner:
        return runner.run(_serve(parts, options, say))


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop of that name; `auto`: the faster one, if it is installed."""
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name != "auto":
                raise
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


async def _serve(parts: "Parts", options: ServeOptions, say: Say) -> int:
    """Serve until a signal comes; returns the exit code."""
    journal = parts.journal
    values = process_values(None if journal is None else journal.statistics)
    server = Server(Broker(parts.machine, process=values), parts.clock, journal=journal, say=say, talk=options.talk)
    clock_port = ClockPort(server, parts.clock)
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        server.end()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end, 0)
    loop.add_signal_handler(signal.SIGINT, end, 130)
    loop.add_signal_handler(signal.SIGUSR1, server.drain)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    say(1, f"the loop is {type(loop).__module__}")
    try:
        address = await server.start(parts.listener)
        clock_address = None if parts.clock_listener is None else await clock_port.start(parts.clock_listener)
        _calm_collector()
        _announce(address, clock_address, options)
        await server.serve()
    except JsmError as error:  # no refusal gets past the broker: a fault of the program, not of its user
        raise RuntimeError("an unexpected refusal ended the server") from error
    finally:
        await clock_port.stop()
        await server.stop()
    say(1, "stopped")
    return codes[0]


def _calm_collector() -> None:
    """Let the garbage collector look at the young, and at what is there now never again.

    Jobs are in no cycles. A collection of a million of them would stop every client for a quarter of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _announce(address: Address, clock_address: Address | None, options: ServeOptions) -> None:
    """Say at once where the server listens."""
    if options.quiet:
        return
    if options.json:
        lines = [json.dumps(_description(address, clock_address), ensure_ascii=False)]
    else:
        lines = [f"listening on {show_address(address)}"]
        if clock_address is not None:
            lines.append(f"clock on {show_address(clock_address)}")
    with suppress(OSError, ValueError):  # standard output is closed: nobody wants to know
        print("\n".join(lines), flush=True)


def _description(address: Address, clock_address: Address | None) -> dict[str, object]:
    host, port = address if isinstance(address, tuple) else (None, None)
    return {
        "address": show_address(address),
        "host": host,
        "port": port,
        "clock_address": None if clock_address is None else show_address(clock_address),
        "clock_port": clock_address[1] if isinstance(clock_address, tuple) else None,
        "pid": os.getpid(),
    }
