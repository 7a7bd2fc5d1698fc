"""Servers started for one conversation each, and their end."""

import random
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from models.conformance_corpus import CorpusError
from models.conformance_player import PlayerError
from models.conformance_sockets import Address, ManualClock, SocketPlayer, connect, playing

START_SECONDS: Final = 15.0
"""How long a server may take until it listens."""
_STOP_SECONDS: Final = 5.0
_HOST: Final = "127.0.0.1"
_PORTS: Final = range(20_000, 30_000)
_CHOICE: Final = random.SystemRandom()
_ATTEMPTS: Final = 3
"""How often a server that ends at once is started: another program may have taken its port in between."""


class _EndedEarlyError(PlayerError):
    """The server ended before it listened."""


class _Started(NamedTuple):
    """A server that listens, and the first connection to it."""

    process: "subprocess.Popen[bytes]"
    address: Address
    first: socket.socket
    clock_port: int
    output: IO[bytes]


def check_command(command: str) -> tuple[str, ...]:
    """The words of a command for `spawned`. Raises `CorpusError` unless it has a place for the port."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise CorpusError("--spawn", command, f"a command line ({error})") from None
    if not any("{port}" in word for word in words):
        raise CorpusError("--spawn", command, "a command with {port} where the port goes, as in 'beanstalkd -p {port}'")
    return words


@contextmanager
def spawned(words: tuple[str, ...], arguments: tuple[str, ...] = ()) -> Iterator[SocketPlayer]:
    """Start a server with these arguments added, play with it, and stop it.

    `{port}` in the words is a free port; `{clock_port}`, if there is one, that of a manual clock. Raises `PlayerError`.
    """
    for attempt in range(_ATTEMPTS):
        try:
            started = _started(words, arguments)
            break
        except _EndedEarlyError:
            if attempt == _ATTEMPTS - 1:
                raise
    with started.output:
        clock = None
        try:
            if any("{clock_port}" in word for word in words):
                clock = ManualClock(_HOST, started.clock_port)

            def drain() -> None:
                started.process.send_signal(signal.SIGUSR1)

            with playing(SocketPlayer(started.address, first=started.first, drain=drain, clock=clock)) as player:
                yield player
            code = started.process.poll()
            if code not in (None, 0):
                raise PlayerError(f"{words[0]} ended with exit code {code}{_said(started.output)}")
        finally:
            if clock is not None:
                clock.close()
            _stop(started.process)


def _started(words: tuple[str, ...], arguments: tuple[str, ...]) -> _Started:
    """Start a server on a free port and connect to it. Raises `PlayerError`."""
    port, clock_port = _free_ports(2)
    places = {"{port}": str(port), "{clock_port}": str(clock_port)}
    command = [*(_filled(word, places) for word in words), *arguments]
    output = tempfile.TemporaryFile()  # noqa: SIM115 - it is handed on
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    except OSError as error:
        output.close()
        raise PlayerError(f"{command[0]}: {error.strerror}; --spawn takes a command that starts a server") from None
    address = Address(_HOST, port)
    try:
        return _Started(process, address, _connected(command[0], process, address, output), clock_port, output)
    except BaseException:
        _stop(process)
        output.close()
        raise


def _filled(word: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, below those that systems give to clients: the server can still have them in a moment."""
    found: list[int] = []
    for port in _CHOICE.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise PlayerError(f"no port from {_PORTS[0]} to {_PORTS[-1]} is free")


def _connected(name: str, process: "subprocess.Popen[bytes]", address: Address, output: IO[bytes]) -> socket.socket:
    """The first connection, which waits until the server listens; it is the one that the player uses first."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        code = process.poll()
        if code is not None:
            raise _EndedEarlyError(f"{name} ended with exit code {code} before it listened{_said(output)}")
        try:
            return connect(address, timeout=1.0)
        except OSError:
            if time.monotonic() > deadline:
                raise PlayerError(
                    f"{name} does not listen on {address} after {START_SECONDS:.0f} s{_said(output)}"
                ) from None
        time.sleep(0.01)


def _said(output: IO[bytes]) -> str:
    """The last line that the server printed."""
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {last}" if last else ""


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
