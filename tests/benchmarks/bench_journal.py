"""What a journal costs a call, a start and a snapshot: `python -m tests.benchmarks.bench_journal`.

The load is put, reserve, delete with 1,000 jobs waiting. Processor time tells what the journal costs the process; the
time on the wall includes the disk, whose syncs are most of it where there are any.
"""

import argparse
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from platform import machine as architecture
from platform import python_implementation, python_version
from time import perf_counter, process_time

from jsm.job import ClientID, TubeName
from jsm.journal import SYNC_ALWAYS, SYNC_NEVER, DurableMachine, SyncPolicy, open_journal
from jsm.machine import Machine

COMMAND = "python -m tests.benchmarks.bench_journal"
UNITS, WAITING = 1_000_000, 1_000
DEFAULT, WORKER = TubeName("default"), ClientID("c1")
TEXT = b'{"to":"somebody@example.org","what":"a letter","tries":3}'
BINARY = bytes(range(256)) * 4
BODIES = {"57 bytes of JSON": TEXT, "1,024 bytes of all values": BINARY}


@contextmanager
def durable(sync: SyncPolicy, *, folder: str | None = None) -> Iterator[DurableMachine]:
    """A durable machine in a folder of its own, or in that one."""
    with (
        tempfile.TemporaryDirectory() as made,
        open_journal(folder or made, units_per_second=UNITS, sync=sync) as machine,
    ):
        yield machine


def cycles(
    machine: Machine | DurableMachine, count: int, body: bytes, *, batch: int = 1, before_replies: Callable[[], None]
) -> tuple[float, float]:
    """Microseconds a call, of processor time and on the wall, of put, reserve, delete."""
    for _ in range(WAITING):
        machine.put(0, priority=5, delay_seconds=0, ttr_seconds=60, body=body, tube=DEFAULT)
    gc.collect()
    used, start = process_time(), perf_counter()
    calls = 0
    for now in range(1, count + 1):
        machine.put(now, priority=5, delay_seconds=0, ttr_seconds=60, body=body, tube=DEFAULT)
        answer = machine.append_reservation(now, WORKER, request_id="", tubes=(DEFAULT,), deadline_at=None)
        machine.delete(answer.job_id, WORKER, now=now)
        calls += 3
        if calls % (3 * batch) == 0:
            before_replies()
    return (process_time() - used) / calls * 1e6, (perf_counter() - start) / calls * 1e6


def of_bare(count: int, body: bytes) -> tuple[float, float]:
    """A machine alone."""
    return cycles(Machine(units_per_second=UNITS), count, body, before_replies=lambda: None)


def of_policy(sync: SyncPolicy, batch: int) -> Callable[[int, bytes], tuple[float, float]]:
    """A durable machine."""

    def measure(count: int, body: bytes) -> tuple[float, float]:
        with durable(sync) as machine:
            return cycles(machine, count, body, batch=batch, before_replies=machine.before_replies)

    return measure


WAYS: list[tuple[str, Callable[[int, bytes], tuple[float, float]], int]] = [
    ("the machine alone", of_bare, 1),
    ("never forced to the disk", of_policy(SYNC_NEVER, 1), 1),
    ("every 50 ms", of_policy(SyncPolicy(0.05), 1), 1),
    ("before each reply, 3 calls at once", of_policy(SYNC_ALWAYS, 1), 50),
    ("before each reply, 300 calls at once", of_policy(SYNC_ALWAYS, 100), 2),
]
"""Name, measurement, and how much fewer calls are made since they wait for the disk."""


def table_of_calls(count: int, rounds: int) -> list[str]:
    """A row a way."""
    lines = ["| microseconds a call | " + " | ".join(f"{body}: processor | wall" for body in BODIES) + " |"]
    lines.append("| --- |" + " ---: | ---: |" * len(BODIES))
    for name, measure, fewer in WAYS:
        cells = []
        for body in BODIES.values():
            found = [measure(max(200, count // fewer), body) for _ in range(rounds)]
            cells += [f"{min(each[column] for each in found):.1f}" for column in (0, 1)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def table_of_starts(counts: list[int]) -> list[str]:
    """A row a number of live jobs: seconds of a snapshot and of starts."""
    lines = ["| live jobs | a snapshot | a start from the journal | a start from the snapshot | bytes of each |"]
    lines.append("| ---: | ---: | ---: | ---: | ---: |")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            with durable(SYNC_NEVER, folder=folder) as machine:
                for now in range(count):
                    machine.put(now, priority=now % 10, delay_seconds=0, ttr_seconds=60, body=TEXT, tube=DEFAULT)
            journal = bytes_in(folder)
            first = seconds_of(lambda folder=folder: open_once(folder))  # type: ignore[misc]  # a default binds it
            with durable(SYNC_NEVER, folder=folder) as machine:
                snapshot = seconds_of(machine.compact)
            size = bytes_in(folder)
            second = seconds_of(lambda folder=folder: open_once(folder))  # type: ignore[misc]
        cells = f"{snapshot:.2f} s | {first:.2f} s | {second:.2f} s | {journal:,} and {size:,}"
        lines.append(f"| {count:,} | {cells} |")
    return lines


def open_once(folder: str) -> None:
    """Open a folder and close it."""
    with durable(SYNC_NEVER, folder=folder):
        pass


def seconds_of(work: Callable[[], None]) -> float:
    """How long something takes."""
    gc.collect()
    start = perf_counter()
    work()
    return perf_counter() - start


def bytes_in(folder: str) -> int:
    """The sizes of the files in a folder."""
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name != "lock")


def report(*, quick: bool) -> str:
    """Everything, as Markdown."""
    command = ("git", "rev-parse", "--short", "HEAD")
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    count, rounds = (2_000, 1) if quick else (20_000, 5)
    return "\n".join(
        [
            "# What a journal costs",
            "",
            f"`{COMMAND}` at commit {commit}, {python_implementation()} {python_version()}, {architecture()}; best of "
            f"{rounds}. A third of the calls are puts, reservations and deletions each.",
            "",
            *table_of_calls(count, rounds),
            "",
            *table_of_starts([1_000] if quick else [10_000, 100_000]),
            "",
        ]
    )


def main() -> None:
    """Print the report, and write it as `journal.md` where `--out` says."""
    parser = argparse.ArgumentParser(description="Measure what a journal costs.")
    parser.add_argument("--out", type=Path, help="the folder for journal.md")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a second")
    arguments = parser.parse_args()
    text = report(quick=arguments.quick)
    sys.stdout.write(text)
    if arguments.out is not None:
        (arguments.out / "journal.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
