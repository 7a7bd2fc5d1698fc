"""A beanstalkd in a thread whose time stands still: for the tests of programs that talk to one.

`BeanstalkdServer` listens on a port of the loopback. Only `advance` lets time pass, so that a test of a worker's ttr,
a delay, a pause or a timeout takes milliseconds and always ends alike. What the server does is recorded and checked:
the invariants while it runs, the trace in the end (`finding`). The pytest fixture `beanstalkd_server` is one.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from jsm.errors import BadValueError, InvariantViolation
from jsm.limits import MAX_JOB_SIZE
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord, TransitionRecord
from jsm.wire.broker import Broker
from jsm.wire.clocks import ManualClock
from jsm.wire.host import process_values
from jsm.wire.server import Server
from models.invariants import InvariantChecker
from models.recorder import TraceRecorder

R = TypeVar("R")

HOST: Final = "127.0.0.1"
UNITS_PER_SECOND: Final = 1_000_000
ENTRIES_A_CALL: Final = 64
"""How many jobs, clients and tubes the invariants look at for each call; of a larger machine they see fewer calls."""

_REAL_SECONDS_MAX: Final = 60.0  # for what takes the server milliseconds


class BeanstalkdServer:
    """A beanstalkd on a free port of the loopback, from `start` (or the beginning of a `with` block) to `stop`.

    `make_machine` is `Machine` or a subclass.
    """

    def __init__(self, *, max_job_size: int = MAX_JOB_SIZE, make_machine: Callable[..., Machine] = Machine) -> None:
        self.trace = TraceRecorder(units_per_second=UNITS_PER_SECOND, max_job_size=max_job_size)
        self._watch = _Watch(self.trace)
        machine = ObservedMachine(
            observer=self._watch,
            units_per_second=UNITS_PER_SECOND,
            max_job_size=max_job_size,
            make_machine=make_machine,
        )
        self._watch.checker.attach(machine.machine)
        self._clock = ManualClock(units_per_second=UNITS_PER_SECOND)
        self._broker = Broker(machine, process=process_values())
        self._server = Server(self._broker, self._clock)
        self._address: tuple[str, int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # while it takes calls
        self._loop_lock = threading.Lock()
        self._has_started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="beanstalkd_server", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as clients want them. Raises `RuntimeError` before `start`."""
        if self._address is None:
            raise RuntimeError("the server has not been started: use it in a with block, or call start()")
        return self._address

    @property
    def now(self) -> float:
        """The seconds that `advance` has let pass."""
        return self._clock.now() / UNITS_PER_SECOND

    @property
    def violation(self) -> InvariantViolation | None:
        """The first invariant that did not hold; None: so far all do."""
        return self._watch.violation

    def start(self) -> Self:
        """Listen; returns itself. A second start raises `RuntimeError`, as a thread's does."""
        self._thread.start()
        self._has_started.wait(_REAL_SECONDS_MAX)
        if self._failure is not None:
            raise self._failure
        return self

    def advance(self, seconds: float) -> float:
        """Let seconds pass and return `now`; the server ticks at each instant at which something is due on the way.

        What clients have sent before is done first. When it returns, the replies of all that fell due are sent.
        Raises `BadValueError`, and what a fault of the server raised.
        """
        return self._call(self._server.advance(seconds)) / UNITS_PER_SECOND

    def wait_for_waiting(self, clients: int = 1, *, real_seconds_max: float = 5.0) -> None:
        """Return once at least so many clients wait in a reserve: a worker in a thread has then come to it.

        Raises `TimeoutError` after so many seconds of real time.
        """
        self._call(self._waiting(clients, monotonic() + real_seconds_max))

    def drain(self) -> None:
        """Refuse every later put with `DRAINING`."""
        self._call(self._drain())

    def stop(self) -> None:
        """Close all connections and end the thread; no effect when it is not running. Raises what a fault raised."""
        self._submit(self._server.stop())
        if self._thread.is_alive():
            self._thread.join(_REAL_SECONDS_MAX)
        if self._failure is not None:
            raise self._failure

    def finding(self) -> str | None:
        """What does not hold of all that the server has done so far, in words; None: it holds. O(1) a record."""
        return str(self.violation) if self.violation is not None else self.trace.finding()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._has_started.set()

    async def _serve(self) -> None:
        address = await self._server.start((HOST, 0))
        if isinstance(address, tuple):
            self._address = address
        self._loop = asyncio.get_running_loop()
        self._has_started.set()
        try:
            await self._server.serve()
        finally:
            with self._loop_lock:
                self._loop = None
            await self._server.stop()  # after a fault too: clients must not wait for a server that is no more
            await asyncio.sleep(0)  # what was submitted before becomes a task, which is cancelled and so answered

    def _submit(self, coroutine: Coroutine[Any, Any, R]) -> "Future[R] | None":
        """Run something in the server's thread; None: that takes no calls (any more)."""
        with self._loop_lock:
            if self._loop is not None:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        return None

    def _call(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run something in the server's thread and return its result."""
        answer = self._submit(coroutine)
        if answer is not None:
            with suppress(CancelledError):
                return answer.result(_REAL_SECONDS_MAX)
        if self._thread.is_alive():
            self._thread.join(_REAL_SECONDS_MAX)
        raise self._failure or RuntimeError("the server is not running")

    async def _waiting(self, clients: int, until: float) -> None:
        if type(clients) is not int or clients < 0:
            raise BadValueError("clients", clients, "a whole number of clients")
        while (found := sum(session.is_waiting for session in self._broker.sessions.values())) < clients:
            if monotonic() > until:
                raise TimeoutError(f"{found} clients wait in a reserve, not {clients}")
            await asyncio.sleep(0.001)

    async def _drain(self) -> None:
        self._server.drain()


class _Watch:
    """An observer that keeps the records, checks the invariants, and notes what does not hold: the server goes on."""

    def __init__(self, trace: TraceRecorder) -> None:
        self.checker = InvariantChecker(entries_a_call=ENTRIES_A_CALL)
        self.violation: InvariantViolation | None = None
        self._trace = trace

    def transition(self, record: TransitionRecord) -> None:
        """Keep a transition."""
        self._trace.transition(record)
        self.checker.transition(record)

    def command(self, record: CommandRecord) -> None:
        """Keep a call, and look at what it did."""
        self._trace.command(record)
        try:
            self.checker.command(record)
        except InvariantViolation as violation:
            self.violation = self.violation or violation
            self.checker.detach()
