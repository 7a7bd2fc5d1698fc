"""How the cost of each operation grows with what is in the machine: `python -m tests.benchmarks.complexity --out DIR`.

Every number stands beside a baseline of the same run: the smallest machine, or one without the crowd. Times are
wall time per call, the least of several rounds, with the garbage collector off. Writes `complexity.json` and
`complexity.md`.
"""

import argparse
import gc
import json
import platform
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TUBE = TubeName("t")
WORKER = ClientID("worker")


def put(machine: Machine, *, tube: TubeName = TUBE, priority: int = 5, delay: int = 0) -> JobID:
    """Put a job at the clock that no ttr ends soon."""
    return machine.put(
        machine.clock, priority=priority, delay_seconds=delay, ttr_seconds=10**6, body=b"body", tube=tube
    )


def ask(machine: Machine, client: str, *tubes: str, wait: bool = False) -> None:
    """Ask for a job; without `wait`, answered at once."""
    machine.append_reservation(
        machine.clock,
        ClientID(client),
        request_id="r",
        tubes=tuple(TubeName(tube) for tube in tubes),
        deadline_at=None if wait else machine.clock,
    )


def filled(jobs: int) -> Machine:
    """A machine with so many ready jobs of mixed priorities in one tube."""
    machine = Machine()
    for number in range(jobs):
        put(machine, priority=1 + number * 7919 % 1000)  # 0 is left to the jobs that are measured
    return machine


def crowded(idle_tubes: int, waiting: int) -> Machine:
    """A machine with idle tubes that one client watches, and clients that wait, each on a tube of its own."""
    machine = Machine()
    for number in range(idle_tubes):
        machine.watch_tube(ClientID("watcher"), TubeName(f"idle{number}"))
    for number in range(waiting):
        ask(machine, f"w{number}", f"wait{number}", wait=True)
    return machine


def ns_each(run: Callable[[], object], calls: int) -> float:
    """Nanoseconds a call, where `run` makes so many."""
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / calls


def timed(machine: Machine, calls: int) -> dict[str, float]:
    """Nanoseconds of each operation; afterwards the machine holds what it held before."""
    found: dict[str, float] = {}
    ids: list[JobID] = []

    def measure(name: str, operation: Callable[[JobID], object], over: Iterable[JobID]) -> None:
        found[name] = ns_each(lambda: [operation(job_id) for job_id in over], calls)

    found["put"] = ns_each(lambda: ids.extend(put(machine, priority=0) for _ in range(calls)), calls)
    measure("append_reservation", lambda _: ask(machine, "worker", "t"), ids)
    measure("touch", lambda job_id: machine.touch(machine.clock, job_id, WORKER), ids)
    measure("release", lambda job_id: machine.release(job_id, WORKER), ids)
    measure("reserve_job", lambda job_id: machine.reserve_job(machine.clock, job_id, WORKER), ids)
    measure("bury", lambda job_id: machine.bury(machine.clock, job_id, WORKER, priority=0), ids)
    measure("kick", machine.kick, ids)
    measure("peek_ready_job", lambda _: machine.peek_ready_job(TUBE), ids)
    measure("get_stats_tube_as_yaml", lambda _: machine.get_stats_tube_as_yaml(machine.clock, TUBE), ids)
    measure("get_stats_as_yaml", lambda _: machine.get_stats_as_yaml(machine.clock), ids)
    measure("delete", lambda job_id: machine.delete(job_id, WORKER), ids)
    measure("next_tick_at", lambda _: machine.next_tick_at(), ids)
    measure("tick, nothing due", lambda _: machine.tick(machine.clock), ids)

    def one_due(_: JobID) -> None:
        job_id = put(machine, delay=1)
        machine.tick(machine.clock + 1)
        machine.delete(job_id, WORKER)

    measure("put, tick with it due, delete", one_due, ids)

    def idle_client(_: JobID) -> None:
        machine.use_tube(ClientID("passer"), TUBE)
        machine.close_client(ClientID("passer"))

    measure("use_tube, close_client", idle_client, ids)
    return found


def least(rounds: Iterable[dict[str, float]]) -> dict[str, float]:
    """The least of each number over several rounds."""
    every = list(rounds)
    return {name: min(each[name] for each in every) for name in every[0]}


def growth(sizes: Sequence[int], *, calls: int, rounds: int) -> dict[str, dict[str, float]]:
    """operation → jobs in the machine → nanoseconds."""
    table: dict[str, dict[str, float]] = {}
    for size in sizes:
        machine = filled(size)
        for name, ns in least(timed(machine, calls) for _ in range(rounds)).items():
            table.setdefault(name, {})[str(size)] = round(ns, 1)
    return table


def crowd(tubes: int, waiting: int, *, calls: int, rounds: int) -> dict[str, dict[str, float]]:
    """operation → nanoseconds in an empty and in a crowded machine; rounds alternate, so both see the same load."""
    machines = {"empty": Machine(), "crowded": crowded(tubes, waiting)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in machines}
    for _ in range(rounds):
        for name, machine in machines.items():
            found[name].append(timed(machine, calls))
    best = {name: least(each) for name, each in found.items()}
    return {op: {name: round(best[name][op], 1) for name in machines} for op in best["empty"]}


def many_held(held: int, calls: int) -> float:
    """Nanoseconds of an append, matched, by a client that holds so many jobs."""
    machine = filled(held + calls)
    for _ in range(held):
        ask(machine, "worker", "t")

    def asks() -> None:
        for _ in range(calls):
            ask(machine, "worker", "t")

    return ns_each(asks, calls)


def many_cancelled(waiters: int) -> float:
    """Nanoseconds of a cancel, for each waiter of one tube, the last that asked first."""
    machine = Machine()
    clients = [f"w{number}" for number in range(waiters)]
    for client in clients:
        ask(machine, client, "t", wait=True)

    def cancels() -> None:
        for client in reversed(clients):
            machine.cancel_reservation(ClientID(client))

    return ns_each(cancels, waiters)


def many_served(waiters: int) -> float:
    """Nanoseconds of a put and its tick, for each waiter of one tube."""
    machine = Machine()
    for number in range(waiters):
        ask(machine, f"w{number}", "t", wait=True)
    return ns_each(lambda: [(put(machine), machine.tick(machine.clock)) for _ in range(waiters)], waiters)


def many_served_at_once(waiters: int) -> float:
    """Nanoseconds a waiter of one tick that serves all the waiters of one tube."""
    machine = Machine()
    for number in range(waiters):
        ask(machine, f"w{number}", "t", wait=True)
    for _ in range(waiters):
        put(machine)
    return ns_each(lambda: machine.tick(machine.clock), waiters)


def many_kicked(jobs: int) -> float:
    """Nanoseconds a job of one kick_n of so many buried ones."""
    machine = filled(jobs)
    for job_id in range(1, jobs + 1):
        machine.reserve_job(0, JobID(job_id), WORKER)
        machine.bury(0, JobID(job_id), WORKER, priority=0)
    return ns_each(lambda: machine.kick_n(TUBE, jobs), jobs)


def many_closed(jobs: int) -> float:
    """Nanoseconds a job of closing a client that holds so many."""
    machine = filled(jobs)
    for _ in range(jobs):
        ask(machine, "worker", "t")
    return ns_each(lambda: machine.close_client(WORKER), jobs)


def masses(few: int, many: int, *, rounds: int) -> dict[str, dict[str, float]]:
    """What is done to many at once → nanoseconds for each of few and each of many."""
    calls = min(few, 1000)
    cases: dict[str, Callable[[int], float]] = {
        "append_reservation by a holder of N jobs": lambda n: many_held(n, calls),
        "cancel_reservation of N waiters of a tube": many_cancelled,
        "put and tick for N waiters of a tube": many_served,
        "one tick that serves N waiters of a tube": many_served_at_once,
        "kick_n of N buried jobs": many_kicked,
        "close_client of a holder of N jobs": many_closed,
    }
    return {
        name: {str(n): round(min(case(n) for _ in range(rounds)), 1) for n in (few, many)}
        for name, case in cases.items()
    }


def streaming(sizes: Iterable[int]) -> dict[str, dict[str, float]]:
    """Jobs in the machine → nanoseconds a job of reading the stream, and the most memory that it took, in bytes."""
    found = {}
    for size in sizes:
        machine = filled(size)
        ns = ns_each(lambda machine=machine: sum(1 for _ in machine.snapshot().snapshot_jobs()), size)  # type: ignore[misc]
        tracemalloc.start()
        count = sum(1 for _ in machine.snapshot().snapshot_jobs())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == size
        found[str(size)] = {"ns_a_job": round(ns, 1), "peak_bytes": peak}
    return found


def measure_all(
    sizes: Sequence[int] = SIZES, *, tubes: int = 100_000, waiting: int = 10_000, calls: int = 1000, rounds: int = 5
) -> dict[str, Any]:
    """All tables; the crowd has so many idle tubes and waiting clients, the masses are as many as the tubes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        return {
            "growth": growth(sizes, calls=calls, rounds=rounds),
            "crowd": crowd(tubes, waiting, calls=calls, rounds=rounds),
            "masses": masses(max(tubes // 100, 1), tubes, rounds=min(rounds, 3)),
            "streaming": streaming(sizes),
        }
    finally:
        if was_on:
            gc.enable()


def as_markdown(report: dict[str, Any]) -> str:
    """The tables as Markdown; a ratio is the last column over the first."""
    lines = ["# How the cost of each operation grows", ""]
    lines += [f"`{report['command']}`, commit {report['commit']}, Python {report['python']}, {report['machine']}.", ""]
    lines += ["Nanoseconds a call, the least of several rounds; the ratio is the last column over the first.", ""]
    for title, key, first in (
        ("By the number of ready jobs in the machine", "growth", "operation"),
        ("With idle tubes and clients that wait elsewhere", "crowd", "operation"),
        ("Much at once, a job or client", "masses", "what"),
    ):
        rows = report[key]
        columns = list(next(iter(rows.values())))
        lines += [f"## {title}", "", f"| {first} | {' | '.join(columns)} | ratio |"]
        lines.append("| --- |" + " ---: |" * (len(columns) + 1))
        for name, numbers in rows.items():
            values = [numbers[column] for column in columns]
            cells = " | ".join(f"{value:,.0f}" for value in values)
            lines.append(f"| {name} | {cells} | {values[-1] / values[0]:.2f} |")
        lines.append("")
    lines += ["## Reading a snapshot's jobs", "", "| jobs | ns a job | most memory, bytes |", "| ---: | ---: | ---: |"]
    lines += [f"| {n} | {row['ns_a_job']:,.0f} | {row['peak_bytes']:,} |" for n, row in report["streaming"].items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write both files into the folder that `--out` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--quick", action="store_true", help="a thousandth of the sizes, to try the tables")
    options = parser.parse_args(arguments)
    quick: dict[str, Any] = {"sizes": (10, 100), "tubes": 100, "waiting": 10, "calls": 10, "rounds": 1}
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    report = {
        "command": "python -m tests.benchmarks.complexity" + (" --quick" if options.quick else ""),
        "commit": commit.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {platform.system()}",
        **measure_all(**(quick if options.quick else {})),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "complexity.json").write_text(json.dumps(report, indent=1) + "\n")
    text = as_markdown(report)
    (options.out / "complexity.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
