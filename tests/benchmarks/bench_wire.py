"""What the wire costs a command: `python -m tests.benchmarks.bench_wire`.

The same load four times, one round of each after the other, the best round of each kept: put, reserve and delete as
calls of the machine; as bytes to a broker, a command at a time, a put's line and body apart, and a hundred jobs at a
time. Every reply is taken out, as a server would. No sockets: those are measured with the server.
"""

import sys
from collections.abc import Callable, Iterator
from time import perf_counter

from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.wire import Broker

JOBS, ROUNDS, BATCH = 20_000, 7, 100
BODY = b"x" * 32
PUT_LINE, PUT_BODY, RESERVE = b"put 0 0 60 32\r\n", BODY + b"\r\n", b"reserve\r\n"
UNITS_PER_SECOND = 1_000_000


def calls() -> float:
    """Seconds for all jobs by the machine's own operations."""
    machine = Machine(units_per_second=UNITS_PER_SECOND)
    worker, tube = ClientID("c1"), TubeName("default")
    machine.use_tube(worker, tube)
    machine.watch_tube(worker, tube)
    watched = (tube,)
    start = perf_counter()
    for now in range(1, JOBS + 1):
        job = machine.put(now, priority=0, delay_seconds=0, ttr_seconds=60, body=BODY, tube=tube)
        machine.append_reservation(now, worker, request_id="", tubes=watched, deadline_at=None)
        machine.delete(JobID(job), worker, now=now)
    return perf_counter() - start


def by_the_piece(pieces: Callable[[], Iterator[bytes]]) -> float:
    """Seconds for all jobs when a client's bytes come to a broker in these pieces."""
    broker = Broker(Machine(units_per_second=UNITS_PER_SECOND))
    session = broker.connect(0)
    arriving = list(pieces())
    broker.take_changed()
    answered = 0
    start = perf_counter()
    for now, piece in enumerate(arriving, start=1):
        broker.receive(now, session, piece)
        for changed in broker.take_changed():
            answered += len(changed.take_output())
    seconds = perf_counter() - start
    assert answered > JOBS * len(b"INSERTED 1\r\nRESERVED 1 32\r\n\r\nDELETED\r\n")
    return seconds


def simple() -> Iterator[bytes]:
    """A command at a time."""
    for job in range(1, JOBS + 1):
        yield PUT_LINE + PUT_BODY
        yield RESERVE
        yield b"delete %d\r\n" % job


def parted() -> Iterator[bytes]:
    """A command at a time, the line and the body of a put apart."""
    for job in range(1, JOBS + 1):
        yield PUT_LINE
        yield PUT_BODY
        yield RESERVE
        yield b"delete %d\r\n" % job


def pipelined() -> Iterator[bytes]:
    """The commands of `BATCH` jobs at a time."""
    for first in range(1, JOBS + 1, BATCH):
        yield b"".join(PUT_LINE + PUT_BODY + RESERVE + b"delete %d\r\n" % job for job in range(first, first + BATCH))


def main() -> None:
    """Print the best of the rounds, in microseconds and thousands of commands a second."""
    kinds: dict[str, Callable[[], float]] = {
        "calls of the machine": calls,
        "wire, a command at a time": lambda: by_the_piece(simple),
        "wire, line and body of a put apart": lambda: by_the_piece(parted),
        f"wire, {BATCH} jobs at a time": lambda: by_the_piece(pipelined),
    }
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(ROUNDS):
        for name, measure in kinds.items():
            best[name] = min(best[name], measure())
    commands = 3 * JOBS
    lines = [f"{'':36}{'µs a command':>14}{'1,000 commands/s':>18}{'above calls':>13}"]
    for name, seconds in best.items():
        above = 1e6 * (seconds - best["calls of the machine"]) / commands
        lines.append(f"{name:36}{1e6 * seconds / commands:14.2f}{commands / seconds / 1000:18.0f}{above:13.2f}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
