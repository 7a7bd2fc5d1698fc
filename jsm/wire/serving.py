"""A server from its options: listen, drop rights, recover, serve until a signal comes, close.

Sockets come first, so that a port below 1024 can be opened before `-u` gives up the right to it, and before a journal
is touched. What fails on the way is one line on standard error and exit code 2.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.wire.broker import Broker
from jsm.wire.clock_port import ClockPort
from jsm.wire.clocks import Clock, ManualClock, RealClock, ScaledClock
from jsm.wire.host import HostError, become_user, process_values, raise_file_limit, version_text
from jsm.wire.listeners import Listener, open_listener, show_address, take_handed_over
from jsm.wire.options import Address, ServeOptions
from jsm.wire.server import Say, Server

if TYPE_CHECKING:
    from jsm.interface import JSM
    from jsm.journal import DurableMachine
    from jsm.wire.tracing import ServerTrace

UNITS_PER_SECOND: Final = 1_000_000
"""The units of a server's machine: microseconds."""

MakeLoop = Callable[[], asyncio.AbstractEventLoop]


class _Parts(NamedTuple):
    """What a server is made of, once everything is open."""

    listener: Listener
    clock_listener: Listener | None  # where a manual clock is moved
    machine: "JSM"
    journal: "DurableMachine | None"
    clock: Clock
    make_loop: MakeLoop


def run_server(options: ServeOptions, *, program: str) -> int:
    """Serve until a signal comes; returns the exit code: 0 after SIGTERM, 130 after SIGINT, 2 if it can't be done."""
    say = partial(_say, program, options.talk)
    for warning in options.warnings:
        say(0, warning)
    say(1, f"process {os.getpid()}")
    try:
        with ExitStack() as closing:
            parts = _prepare(options, say, closing)
            with asyncio.Runner(loop_factory=parts.make_loop) as runner:
                return runner.run(_serve(parts, options, say))
    except JsmError as error:
        say(0, str(error))
        return 2
    except KeyboardInterrupt:  # before the loop took the signal over
        return 130


def _say(program: str, talk: int, level: int, line: str) -> None:
    if level <= talk:
        with suppress(OSError):  # nobody reads it
            print(f"{program}: {' '.join(line.split())}", file=sys.stderr, flush=True)


# ---------------------------------------------------------------------- before


def _prepare(options: ServeOptions, say: Say, closing: ExitStack) -> _Parts:
    """Open everything, in an order in which nothing is left half done. Raises `JsmError`."""
    make_loop = _loop_factory(options.loop)
    say(1, f"{raise_file_limit()} files may be open")
    trace = None
    if options.trace is not None:
        from jsm.wire.tracing import ServerTrace

        trace = ServerTrace(options.trace, say)
        closing.callback(trace.close)
    listener = _listen(options.address, say)
    closing.callback(listener.close)
    clock_listener = None
    if options.clock_port is not None:
        host = options.address[0] if isinstance(options.address, tuple) else "127.0.0.1"
        clock_listener = open_listener((host, options.clock_port))
        closing.callback(clock_listener.close)
    if options.folder is not None:
        import_module("jsm.journal")
    if options.user is not None:
        version_text()  # as the import: what it reads may be closed to the user
        become_user(options.user)
    journal = None
    machine: JSM
    if options.folder is None:
        start_at = 0
        machine = _new_machine(options, trace)
    else:
        machine = journal = _open_journal(options, options.folder, trace)
        closing.callback(journal.close)
        start_at = journal.resumes_at
        for warning in journal.warnings:
            say(0, warning)
        say(1, f"{options.folder}: {sum(journal.count_jobs().values())} jobs recovered")
    if trace is not None:
        trace.begin(
            units_per_second=UNITS_PER_SECOND,
            max_job_size=options.max_job_size,
            in_the_middle=journal is not None and journal.record_seq > 0,
        )
    return _Parts(listener, clock_listener, machine, journal, _make_clock(options, start_at), make_loop)


def _loop_factory(name: str) -> MakeLoop:
    """What makes the event loop of that name."""
    if name == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        if name == "auto":
            return asyncio.new_event_loop
        raise HostError(
            "--loop = 'uvloop': it is not installed; install it with: pip install 'beanstalk-jsm[serve]', "
            "or leave the option out"
        ) from None
    return uvloop.new_event_loop


def _listen(address: Address, say: Say) -> Listener:
    """Where systemd says, or at the address."""
    handed_over = take_handed_over(os.environ)
    if handed_over is None:
        return open_listener(address)
    listener, count = handed_over
    say(0, f"a socket was handed over ({show_address(listener.address)}): -l and -p do nothing")
    if count > 1:
        say(0, f"LISTEN_FDS = {count}: only the first socket is used")
    return listener


def _new_machine(options: ServeOptions, trace: "ServerTrace | None") -> "JSM":
    if trace is None:
        return Machine(units_per_second=UNITS_PER_SECOND, max_job_size=options.max_job_size)
    from jsm.observed import ObservedMachine

    return ObservedMachine(observer=trace, units_per_second=UNITS_PER_SECOND, max_job_size=options.max_job_size)


def _open_journal(options: ServeOptions, folder: str, trace: "ServerTrace | None") -> "DurableMachine":
    """The machine that a folder's journal describes; time went on meanwhile if the clock is the world's."""
    from jsm.journal import SYNC_NEVER, JournalError, SyncPolicy, open_journal

    try:
        return open_journal(
            folder,
            units_per_second=UNITS_PER_SECOND,
            max_job_size=options.max_job_size,
            sync=SYNC_NEVER if options.sync_ms is None else SyncPolicy(options.sync_ms / 1000),
            file_size=options.file_size,
            observer=trace,
            wall_nanoseconds=time.time_ns() if options.factor == 1 else None,
        )
    except JournalError as error:
        if not isinstance(error.__cause__, OSError):
            raise  # it says what to do
        raise HostError(f"-b = {folder!r}: {error}; give a folder that is there and may be written to") from error


def _make_clock(options: ServeOptions, start_at: int) -> Clock:
    if options.factor is None:
        return ManualClock(units_per_second=UNITS_PER_SECOND, start_at=start_at)
    if options.factor == 1:
        return RealClock(units_per_second=UNITS_PER_SECOND, start_at=start_at)
    return ScaledClock(options.factor, units_per_second=UNITS_PER_SECOND, start_at=start_at)


# ---------------------------------------------------------------------- serving


async def _serve(parts: _Parts, options: ServeOptions, say: Say) -> int:
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
