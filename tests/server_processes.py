"""Servers in processes of their own, started as a user or a foreign test-suite starts them, and stopped in the end."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEANSTALKD = (sys.executable, "-m", "jsm.wire.beanstalkd")
SERVE = (sys.executable, "-m", "jsm", "serve")


class Peer:
    """A connection to a server or to its clock; a read waits for at most ten seconds."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10)
            try:
                self.socket.connect(address)
            except OSError:
                self.socket.close()
                raise
        else:
            self.socket = socket.create_connection(address, timeout=10)
        self.file = self.socket.makefile("rb")

    def ask(self, line: str) -> str:
        """Send a line; the first line of the reply."""
        self.socket.sendall(line.encode() + b"\r\n")
        return self.line()

    def line(self) -> str:
        """The next line, without its end; empty at the end of the connection."""
        return self.file.readline().decode().rstrip("\r\n")

    def close(self) -> None:
        """Close the connection."""
        self.file.close()
        self.socket.close()


class ServerProcess:
    """A server that says where it listens."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process = process
        self.lines = lines  # of standard output
        self.peers: list[Peer] = []

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens."""
        return _address(self.lines[0].removeprefix("listening on "))

    def connect(self) -> Peer:
        """A connection to it."""
        return self._peer(self.address)

    def clock(self) -> Peer:
        """A connection to its clock."""
        return self._peer(_address(self.lines[1].removeprefix("clock on ")))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, wait for the end: the exit code and what it said on standard error."""
        for peer in self.peers:
            peer.close()
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=20)
        return self.process.returncode, error

    def _peer(self, address: tuple[str, int] | str) -> Peer:
        peer = Peer(address)
        self.peers.append(peer)
        return peer


@contextmanager
def server_process(
    *options: str,
    command: Sequence[str] = (*BEANSTALKD, "-l", "127.0.0.1", "-p", "0"),
    lines: int = 1,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[ServerProcess]:
    """A running server that has said `lines` lines; killed in the end if it runs then."""
    process = subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        pass_fds=pass_fds,
    )
    try:
        assert process.stdout is not None
        running = ServerProcess(process, [process.stdout.readline().rstrip("\n") for _ in range(lines)])
        yield running
        for peer in running.peers:
            peer.close()
    finally:
        if process.poll() is None:
            process.kill()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def refused(*options: str, command: Sequence[str] = BEANSTALKD) -> str:
    """The one line that a server says which can't start. It exits with code 2 and prints nothing else."""
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    return line


def _address(text: str) -> tuple[str, int] | str:
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
