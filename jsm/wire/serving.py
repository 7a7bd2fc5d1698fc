"""A server from its options: listen, drop rights, recover, serve until a signal comes, close.

Sockets come first, so that a port below 1024 can be opened before `-u` gives up the right to it, and before a journal
is touched. What fails on the way is one line on standard error and exit code 2.

The event loop comes last: it takes as long to import as the rest, and clients can connect meanwhile. Test-suites that
start a beanstalkd give it a tenth of a second.
"""

import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.wire.clocks import Clock, ManualClock, RealClock, ScaledClock
from jsm.wire.host import HostError, become_user, raise_file_limit
from jsm.wire.listeners import Listener, open_listener, show_address, take_handed_over
from jsm.wire.options import Address, ServeOptions

if TYPE_CHECKING:
    from jsm.interface import JSM
    from jsm.journal import DurableMachine
    from jsm.wire.server import Say
    from jsm.wire.tracing import ServerTrace

UNITS_PER_SECOND: Final = 1_000_000
"""The units of a server's machine: microseconds."""


class Parts(NamedTuple):
    """What a server is made of, once everything is open."""

    listener: Listener
    clock_listener: Listener | None  # where a manual clock is moved
    machine: "JSM"
    journal: "DurableMachine | None"
    clock: Clock


def run_server(options: ServeOptions, *, program: str) -> int:
    """Serve until a signal comes; returns the exit code: 0 after SIGTERM, 130 after SIGINT, 2 if it can't be done."""
    say = partial(_say, program, options.talk)
    for warning in options.warnings:
        say(0, warning)
    say(1, f"process {os.getpid()}")
    try:
        with ExitStack() as closing:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # it waits until the loop can take it
            parts = _prepare(options, say, closing)
            from jsm.wire.looping import run_in_loop

            return run_in_loop(parts, options, say)
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


def _prepare(options: ServeOptions, say: "Say", closing: ExitStack) -> Parts:
    """Open everything, in an order in which nothing is left half done. Raises `JsmError`."""
    if options.loop == "uvloop" and find_spec("uvloop") is None:
        raise HostError(
            "--loop = 'uvloop': it is not installed; install it with: pip install 'beanstalk-jsm[serve]', "
            "or leave the option out"
        )
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
        from jsm.wire.looping import loop_factory

        loop_factory(options.loop)  # imports what may be closed to the user, as all of the above
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
    return Parts(listener, clock_listener, machine, journal, _make_clock(options, start_at))


def _listen(address: Address, say: "Say") -> Listener:
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
