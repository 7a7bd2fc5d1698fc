"""Measure `jsm serve` beside Debian's beanstalkd, and write the report.

    python -m tests.benchmarks.bench_server [--out reports] [--quick]

One client process says the same to all servers, which take turns (A B C A B C …); the best round of each counts. The
servers share a processor and the client has another, if there are two. Quote the ratios: the times are this machine's.
On a machine with other work, `chrt -f 1` before the command (as root) lets it wait for nobody.
"""

import argparse
import gc
import json
import os
import pstats
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from platform import python_implementation, python_version
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, NamedTuple

from tests.benchmarks import bench_wire, server_load
from tests.servers import HOST, free_port, wait_for

COMMAND: Final = "python -m tests.benchmarks.bench_server"
DEBIANS: Final = "beanstalkd"
CONTESTANTS: Final = {
    DEBIANS: ["beanstalkd"],
    "jsm serve, asyncio": [sys.executable, "-m", "jsm", "serve", "--quiet", "--loop", "asyncio"],
    "jsm serve, uvloop": [sys.executable, "-m", "jsm", "serve", "--quiet", "--loop", "uvloop"],
}
IDLE: Final = 10_000
TUBES: Final = 10_000
JOBS: Final = 100_000
ROUNDS: Final = 5
LAYER_ROUNDS: Final = 7
WAITING: Final = "waiting"
OF_IMPORTS: Final = (
    "marshal.loads",
    "_imp.create_dynamic",
    "posix.stat",
    "builtins.compile",
    "builtins.exec",
    "builtins.__build_class__",
    "gc.collect",
)
STARTING: Final = "starting"  # imports above all, which take as long however long the server runs


class Running(NamedTuple):
    """A server's process and its address."""

    process: "subprocess.Popen[bytes]"
    address: tuple[str, int]

    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text("ascii").split()[0]) / 1e9

    def resident_bytes(self) -> int:
        """The memory that it holds."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()


class Measured(NamedTuple):
    """The best round of a server under a load."""

    commands_per_second: float
    cpu_microseconds: float  # of the server, a command


class Load(NamedTuple):
    """What is said to a server, over connections that were made before."""

    name: str
    connections: int
    run: Callable[[Sequence[socket.socket], int], int]
    cycles: int  # a connection and round
    watches_all: bool = False
    idle: int = 0
    tubes: int = 0


def tube_names(count: int) -> list[bytes]:
    """The names of the tubes that a load has beside `default`."""
    return [b"tube-%05d" % number for number in range(count)]


def loads(shrink: int) -> list[Load]:
    """Everything that is measured, in the report's order; `shrink` times smaller."""
    simple, pipelined = server_load.simple, server_load.pipelined
    idle, names = IDLE // shrink, tube_names(TUBES // shrink)

    def rare(connections: Sequence[socket.socket], cycles: int) -> int:
        return server_load.rare_tube(connections, cycles, names)

    def cycles(count: int) -> int:
        return max(count // shrink, server_load.BATCH)

    return [
        Load("simple, 1 connection", 1, simple, cycles(5_000)),
        Load("simple, 10 connections", 10, simple, cycles(800)),
        Load("pipelined, 1 connection", 1, pipelined, cycles(10_000)),
        Load("pipelined, 10 connections", 10, pipelined, cycles(1_500)),
        Load(f"simple, 1 connection, {idle:,} idle ones beside it", 1, simple, cycles(5_000), idle=idle),
        Load(f"simple, 1 connection, {len(names):,} tubes beside it", 1, simple, cycles(1_000), tubes=len(names)),
        Load(f"1 connection that watches {len(names):,} tubes", 1, rare, cycles(200), True, tubes=len(names)),
    ]


@contextmanager
def running(command: Sequence[str], *options: str) -> Iterator[Running]:
    """A server of its own port, on the servers' processor."""
    port = free_port()
    process = subprocess.Popen([*command, "-l", HOST, "-p", str(port), *options], stdout=subprocess.DEVNULL)
    try:
        wait_for(process, port, None)
        _stay_on(process.pid, 0)
        yield Running(process, (HOST, port))
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def idle_connections(server: Running, count: int) -> Iterator[None]:
    """Connections that a process of their own holds: one process may not have all servers' open."""
    words = [
        sys.executable,
        "-m",
        "tests.benchmarks.server_load",
        server.address[0],
        str(server.address[1]),
        str(count),
    ]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{count} connections to {server.address} could not be made")
        yield  # the end of the block closes its standard input


def measure(load: Load, rounds: int) -> dict[str, Measured]:
    """The best round of each server, the servers taking turns."""
    best = dict.fromkeys(CONTESTANTS, Measured(0.0, float("inf")))
    with ExitStack() as open_ones:
        ready = []
        for name, command in CONTESTANTS.items():
            server = open_ones.enter_context(running(command))
            ready.append((name, server, _connected(load, server, open_ones)))
        for _ in range(rounds):
            for name, server, connections in ready:
                best[name] = _better(best[name], _round(load, server, connections))
    return best


def _connected(load: Load, server: Running, open_ones: ExitStack) -> list[socket.socket]:
    """The load's connections, once everything beside them is there."""

    def connect() -> socket.socket:
        return open_ones.enter_context(server_load.connect(server.address))

    names = tube_names(load.tubes)
    if names:
        server_load.make_tubes(connect(), names)
    if load.idle:
        open_ones.enter_context(idle_connections(server, load.idle))
    connections = [connect() for _ in range(load.connections)]
    if load.watches_all:
        server_load.watch_tubes(connections[0], names)
    server_load.ask(connections[0], b"list-tube-used\r\n", b"USING default")
    return connections


def _round(load: Load, server: Running, connections: list[socket.socket]) -> Measured:
    gc.collect()
    cpu, start = server.cpu_seconds(), perf_counter()
    commands = load.run(connections, load.cycles)
    seconds = perf_counter() - start
    return Measured(commands / seconds, 1e6 * (server.cpu_seconds() - cpu) / commands)


def _better(one: Measured, other: Measured) -> Measured:
    return Measured(
        max(one.commands_per_second, other.commands_per_second), min(one.cpu_microseconds, other.cpu_microseconds)
    )


def memory(shrink: int) -> dict[str, dict[str, int]]:
    """Bytes that a server holds: at rest, for a waiting job, for an idle connection."""
    rows = {}
    for name, command in CONTESTANTS.items():
        with running(command) as server, ExitStack() as open_ones:
            producer = open_ones.enter_context(server_load.connect(server.address))
            server_load.ask(producer, b"list-tube-used\r\n", b"USING default")
            rest = server.resident_bytes()
            server_load.fill(producer, JOBS // shrink)
            filled = server.resident_bytes()
            open_ones.enter_context(idle_connections(server, IDLE // shrink))
            connected = server.resident_bytes()
        rows[name] = {
            "at_rest": rest,
            "a_job": (filled - rest) // (JOBS // shrink),
            "a_connection": (connected - filled) // (IDLE // shrink),
        }
    return rows


def layers(measured: dict[str, dict[str, Measured]]) -> dict[str, dict[str, float]]:
    """Microseconds of the server's processor a command, layer by layer, for simple and pipelined commands."""
    commands = 3 * bench_wire.JOBS
    machine = 1e6 * min(bench_wire.calls() for _ in range(LAYER_ROUNDS)) / commands
    rows = {}
    for kind, pieces in (("simple", bench_wire.simple), ("pipelined", bench_wire.pipelined)):
        broker = 1e6 * min(bench_wire.by_the_piece(pieces) for _ in range(LAYER_ROUNDS)) / commands
        row = {"machine": machine, "codec, session, broker": broker - machine}
        for loop in ("asyncio", "uvloop"):
            cpu = measured[f"{kind}, 1 connection"][f"jsm serve, {loop}"].cpu_microseconds
            row[f"sockets and loop, {loop}"] = cpu - broker
        rows[kind] = {layer: round(value, 2) for layer, value in row.items()}
    return rows


def profile(load: Load) -> list[tuple[str, float]]:
    """Each part's share of the profiled time of `jsm serve` on asyncio under a load, the largest first.

    A profiler slows calls of Python down and not those of the system: shares of what is called often look larger.
    """
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "profile"))
        server_command = CONTESTANTS["jsm serve, asyncio"]
        command = [server_command[0], "-m", "cProfile", "-o", path, *server_command[1:]]
        with running(command) as server, server_load.connect(server.address) as connection:
            load.run([connection], 2 * load.cycles)
        spent: defaultdict[str, float] = defaultdict(float)
        for (file, _, function), (_, _, own, _, _) in pstats.Stats(path).stats.items():  # type: ignore[attr-defined]
            spent[_part(file, function)] += own
    for part in (WAITING, STARTING):
        spent.pop(part, None)
    total = sum(spent.values())
    return sorted(((part, seconds / total) for part, seconds in spent.items()), key=lambda each: -each[1])


def _part(file: str, function: str) -> str:
    """The part of the server that a function belongs to."""
    if "'poll' of 'select.epoll'" in function:
        return WAITING
    if file == "~":
        named = re.search(r"method '(\w+)' of '([\w.]+)'|built-in method ([\w.]+)", function)
        name = function if named is None else named[3] or f"{named[2]}.{named[1]}"
        return STARTING if name in OF_IMPORTS else name
    path = Path(file)
    if path.parent.name == "wire":
        return f"jsm/wire/{path.name}"
    if path.parent.name == "jsm":
        return "the machine"
    if path.parent.name == "asyncio" or path.name == "selectors.py":
        return "asyncio"
    return STARTING


def _stay_on(process: int, processor: int) -> None:
    """Keep a process on one processor, if there are two."""
    if len(PROCESSORS) > 1:
        os.sched_setaffinity(process, {PROCESSORS[processor]})


PROCESSORS: Final = sorted(os.sched_getaffinity(0))


def report(results: dict[str, object], measured: dict[str, dict[str, Measured]], rounds: int) -> str:
    """The report as Markdown."""
    where = "servers and client each on a processor of its own" if len(PROCESSORS) > 1 else "one processor for all"
    command = f"{'chrt -f 1 ' if os.sched_getscheduler(0) == os.SCHED_FIFO else ''}{COMMAND} --out reports"
    version = subprocess.run(["beanstalkd", "-v"], capture_output=True, encoding="utf-8", check=True).stdout.strip()
    lines = [
        "# The server beside Debian's beanstalkd",
        "",
        f"Written by `{command}`; {version}, {python_implementation()} {python_version()}. One client in",
        f"Python, {where}; the servers take turns, best of {rounds} rounds. Load average at the start and the end: "
        f"{results['load_average']}.",
        "The client's own time is in commands a second; in the processor time it is not.",
        "",
    ]
    for name, rows in measured.items():
        base = rows[DEBIANS]
        lines += [f"## {name[0].upper()}{name[1:]}", ""]
        lines += ["| server | commands/s | ratio | processor, µs a command |", "| --- | ---: | ---: | ---: |"]
        lines += [
            f"| {server} | {row.commands_per_second:,.0f} | {row.commands_per_second / base.commands_per_second:.2f} "
            f"| {row.cpu_microseconds:.1f} |"
            for server, row in rows.items()
        ]
        lines.append("")
    memories: dict[str, dict[str, int]] = results["memory_bytes"]  # type: ignore[assignment]
    lines += ["## Memory", "", f"{JOBS:,} jobs of {len(server_load.BODY)} bytes, then {IDLE:,} idle connections.", ""]
    lines += ["| server | at rest, MB | bytes a job | bytes a connection |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {server} | {row['at_rest'] / 1e6:.1f} | {row['a_job']} | {row['a_connection']} |"
        for server, row in memories.items()
    ]
    lines += ["", "## Where the time goes", "", "Microseconds of the server's processor a command, by layer.", ""]
    layer_rows: dict[str, dict[str, float]] = results["layers"]  # type: ignore[assignment]
    names = list(layer_rows["simple"])
    lines += [f"| commands | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    lines += [f"| {kind} | {' | '.join(f'{row[name]:.1f}' for name in names)} |" for kind, row in layer_rows.items()]
    shares: dict[str, list[tuple[str, float]]] = results["profile"]  # type: ignore[assignment]
    for kind, parts in shares.items():
        lines += ["", f"Of a profile ({kind}, asyncio), which makes calls within Python look dearer than they are:", ""]
        lines += ["| part | share |", "| --- | ---: |"]
        lines += [f"| {part} | {share:.0%} |" for part, share in parts if share >= 0.01]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print or write its report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="write server.json and server.md into this folder")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    options = parser.parse_args(arguments)
    if shutil.which(DEBIANS) is None:
        parser.exit(2, "beanstalkd is not installed: apt-get install beanstalkd\n")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    rounds, shrink = (1, 20) if options.quick else (ROUNDS, 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the servers inherit it
    before = os.getloadavg()[0]
    _stay_on(os.getpid(), 1)
    measured = {load.name: measure(load, rounds) for load in loads(shrink)}
    results: dict[str, object] = {
        "measured": {name: {server: row._asdict() for server, row in rows.items()} for name, rows in measured.items()},
        "memory_bytes": memory(shrink),
        "layers": layers(measured),
        "profile": {load.name: profile(load) for load in loads(shrink) if load.name in PROFILED},
        "load_average": f"{before:.1f}, {os.getloadavg()[0]:.1f}",
    }
    text = report(results, measured, rounds)
    sys.stdout.write(text)
    if options.out is not None:
        (options.out / "server.md").write_text(text, encoding="utf-8")
        (options.out / "server.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


PROFILED: Final = ("simple, 1 connection", "pipelined, 1 connection")

if __name__ == "__main__":
    main()
