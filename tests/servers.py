"""Servers on a free port of the loopback, as a client's tests want them: `jsm serve` and Debian's beanstalkd."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
START_SECONDS_MAX: Final = 20.0
LATE_SECONDS: Final = 0.05
"""How much longer than asked for the wait for a real clock is, so that what is due has happened."""


@dataclass
class ServerUnderTest:
    """A server's process, where it listens, and a way to let time pass: by its manual clock if it has one."""

    process: subprocess.Popen[bytes]
    port: int
    unix_path: Path | None
    clock_port: int | None  # of the manual clock; None: the server's clock is the real one

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return HOST, self.port

    @property
    def has_manual_clock(self) -> bool:
        """Whether its time stands still unless a test lets it pass."""
        return self.clock_port is not None

    def advance(self, seconds: int) -> None:
        """Let seconds pass for the server: at once by a manual clock, else by sleeping."""
        if self.clock_port is None:
            time.sleep(seconds + LATE_SECONDS)
            return
        with socket.create_connection((HOST, self.clock_port), timeout=10) as control:
            control.sendall(f"advance {seconds}\n".encode())
            answer = control.makefile("rb").readline()
        if not answer.startswith(b"OK "):
            raise ValueError(f"advance {seconds}: the clock answered {answer!r}")

    def drain(self) -> None:
        """Let it refuse puts from now on."""
        self.process.send_signal(signal.SIGUSR1)


def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def debians_beanstalkd(*options: str, unix_path: Path | None = None) -> Iterator[ServerUnderTest]:
    """Debian's beanstalkd."""
    port = free_port()
    where = ["-l", HOST, "-p", str(port)] if unix_path is None else ["-l", f"unix:{unix_path}"]
    with _running(["beanstalkd", *where, *options], port, unix_path, None) as server:
        yield server


@contextmanager
def jsm_serve(*options: str, unix_path: Path | None = None) -> Iterator[ServerUnderTest]:
    """`jsm serve` with a manual clock."""
    port, clock_port = free_port(), free_port()
    where = ["-l", HOST, "-p", str(port)] if unix_path is None else ["-l", f"unix:{unix_path}"]
    clock = ["--clock", "manual", "--clock-port", str(clock_port)]
    command = [sys.executable, "-m", "jsm", "serve", *where, *clock, *options]
    with _running(command, port, unix_path, clock_port) as server:
        yield server


@contextmanager
def _running(
    command: list[str], port: int, unix_path: Path | None, clock_port: int | None
) -> Iterator[ServerUnderTest]:
    """A process that is waited for until it takes connections, and stopped in the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(process, port, unix_path)
        yield ServerUnderTest(process, port, unix_path, clock_port)
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(process: subprocess.Popen[bytes], port: int, unix_path: Path | None) -> None:
    """Return once the server takes connections. Raises `RuntimeError` when it has ended, or takes too long."""
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            if unix_path is None:
                socket.create_connection((HOST, port), timeout=1).close()
            else:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(unix_path))
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{process.args!r} takes no connections") from None
            time.sleep(0.01)
        else:
            return
