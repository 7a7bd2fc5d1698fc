"""Measure the prototypes of the inner representation against three loads, and write the report.

    python -m tests.benchmarks.bench_representations [--out reports] [--quick]

Times are processor time of this process, so that other work on the machine disturbs them less; prototypes take turns
in every round, and the best round counts. Memory is measured in a process of its own for every number.
"""

import argparse
import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from pathlib import Path
from platform import machine as architecture
from platform import python_implementation, python_version
from random import Random
from time import process_time
from typing import Any

from tests.benchmarks.representations import PROTOTYPES
from tests.benchmarks.representations.explore import Explored, explore
from tests.benchmarks.representations.loads import (
    FiringLoad,
    Load,
    SteadyLoad,
    loaded,
    loaded_delayed,
    operation_costs,
)
from tests.benchmarks.representations.objects import Job
from tests.benchmarks.representations.report import as_markdown

COMMAND = "python -m tests.benchmarks.bench_representations"
EXPLORED_JOBS = 3
PARTS = {"A": ("objects",), "B": ("objects",), "C": ("objects", "buckets"), "F": ("objects",)}  # beside the module
LAZY = ("A", "F")  # these have no `KeyHeap`
POPULATIONS: dict[str, Callable[[str, int], object]] = {
    "ready": lambda name, jobs: loaded(PROTOTYPES[name], jobs),
    "delayed": lambda name, jobs: loaded_delayed(PROTOTYPES[name], jobs),
}


def throughput(load: Load, resident: int, rounds: int) -> dict[str, float]:
    """Cycles a second of every prototype with `resident` ready jobs; all must end in the same state."""
    machines = {name: (loaded(made, resident, load.units_per_second), [0] * 10) for name, made in PROTOTYPES.items()}
    gc.collect()
    gc.freeze()  # else every collection walks the resident jobs, and the first prototype pays for the others
    try:
        best = _take_turns(rounds, {name: _runner(load, *pair) for name, pair in machines.items()})
    finally:
        gc.unfreeze()
    ends = [(machine.next_tick_at(), machine.records(), held) for machine, held in machines.values()]
    if any(end != ends[0] for end in ends):
        raise AssertionError(f"the prototypes differ after {load} with {resident} jobs")
    return {name: load.cycles / seconds for name, seconds in best.items()}


def _runner(load: Load, machine: Any, held: list[int]) -> Callable[[], None]:
    return lambda: load.run(machine, held)


def exploring(rounds: int) -> tuple[Explored, dict[str, float]]:
    """The size of the small world, and states a second of every prototype."""
    found: dict[str, Explored] = {}

    def explorer(name: str) -> Callable[[], None]:
        def run() -> None:
            found[name] = explore(PROTOTYPES[name](), EXPLORED_JOBS)

        return run

    best = _take_turns(rounds, {name: explorer(name) for name in PROTOTYPES})
    sizes = set(found.values())
    if len(sizes) != 1:
        raise AssertionError(f"the prototypes count different worlds: {found}")
    size = sizes.pop()
    return size, {name: size.states / seconds for name, seconds in best.items()}


def _take_turns(rounds: int, runs: dict[str, Callable[[], None]]) -> dict[str, float]:
    """The best processor time of each run; every round starts with another one."""
    names = list(runs)
    best = dict.fromkeys(names, float("inf"))
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            started = process_time()
            runs[name]()
            best[name] = min(best[name], process_time() - started)
    return best


def bytes_a_job(name: str, population: str, jobs: int, meter: str) -> float:
    """Measure in a fresh interpreter, since memory that was freed once is not given back."""
    arguments = [sys.executable, "-m", "tests.benchmarks.bench_representations", "--memory", name, population, meter]
    run = subprocess.run([*arguments, str(jobs)], check=True, capture_output=True, text=True)
    return float(run.stdout)


def measure_memory(name: str, population: str, meter: str, jobs: int) -> float:
    """Bytes a job of `jobs` jobs with one shared empty body: as allocated, or as the process grew."""
    build = POPULATIONS[population]
    build(name, 10)  # so that what is loaded once is not counted
    gc.collect()
    if meter == "tracemalloc":
        tracemalloc.start()
        kept = build(name, jobs)
        grown = tracemalloc.get_traced_memory()[0]
    else:
        before = _resident_bytes()
        kept = build(name, jobs)
        grown = _resident_bytes() - before
    del kept
    return grown / jobs


def _resident_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def primitives(resident: int) -> dict[str, float]:
    """Nanoseconds of what no representation can avoid, the best of several batches of 10,000."""
    rng = Random(resident)
    numbers = [rng.getrandbits(32) for _ in range(resident)]
    packed = [number << 64 | place for place, number in enumerate(numbers)]
    pairs = [(number, place) for place, number in enumerate(numbers)]
    heapify(packed)
    heapify(pairs)
    fresh = [rng.getrandbits(32) for _ in range(10_000)]
    jobs: dict[int, Job] = {}
    job = Job(1, "default", b"", 0, 0, 60, 0)

    def push_and_pop_packed() -> None:
        for number in fresh:
            heappush(packed, number << 64 | number)
            heappop(packed)

    def push_and_pop_pairs() -> None:
        for number in fresh:
            heappush(pairs, (number, number))
            heappop(pairs)

    def make() -> None:
        for number in fresh:
            Job(number, "default", b"", number, 0, 60, number)

    def keep_and_drop() -> None:
        for number in fresh:
            jobs[number] = job
            del jobs[number]

    runs = {
        "push and pop, packed integers": push_and_pop_packed,
        "push and pop, tuples": push_and_pop_pairs,
        "make a Job of 18 slots": make,
        "set and delete in a dict": keep_and_drop,
    }
    return {name: seconds / len(fresh) * 1e9 for name, seconds in _take_turns(8, runs).items()}


def lines_of(name: str) -> int:
    """Lines that are not blank of a prototype, its job and its containers, docstrings included."""
    root = Path(__file__).parent
    module = PROTOTYPES[name].__module__.rpartition(".")[2]
    files = [root / "representations" / f"{part}.py" for part in (module, *PARTS.get(name, ()))]
    if name not in LAZY:
        files.append(root.parent.parent / "jsm" / "_heap.py")
    return sum(1 for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


def measure(*, quick: bool) -> dict[str, Any]:
    """The whole comparison as one JSON document."""
    rounds = 2 if quick else 8
    cycles = 2_000 if quick else 20_000
    sizes = (1_000, 10_000) if quick else (1_000, 100_000, 1_000_000)
    jobs = 10_000 if quick else 1_000_000
    loads: dict[str, Load] = {
        "steady": SteadyLoad(1, cycles),
        "firing": FiringLoad(2, cycles),
        "firing, whole seconds": FiringLoad(2, cycles, units_per_second=1),
    }
    cycles_a_second = []
    for name, load in loads.items():
        for resident in sizes if name == "steady" else sizes[:2]:
            _say(f"{name}, {resident:,} resident")
            cycles_a_second.append(
                {"load": name, "resident": resident, "cycles_per_second": throughput(load, resident, rounds)}
            )
    _say("exploring")
    world, states_a_second = exploring(rounds)
    memory = []
    for population in POPULATIONS:
        for meter in ("tracemalloc", "resident set"):
            _say(f"memory, {population} jobs, {meter}")
            sizes_found = {name: bytes_a_job(name, population, jobs, meter) for name in PROTOTYPES}
            memory.append({"jobs": jobs, "state": population, "meter": meter, "bytes_per_job": sizes_found})
    _say("single operations")
    costs = [
        {"prototype": name, "resident": resident, "nanoseconds": operation_costs(loaded(made, resident), 20)._asdict()}
        for resident in sizes[:2]
        for name, made in PROTOTYPES.items()
    ]
    return {
        "format": 1,
        "command": COMMAND + (" --quick" if quick else ""),
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
        "python": f"{python_implementation()} {python_version()}",
        "machine": f"{architecture()}, {_processor()}",
        "method": f"processor time, prototypes in turns, best of {rounds} rounds of {cycles:,} cycles",
        "prototypes": {
            name: {"what": (sys.modules[made.__module__].__doc__ or "").splitlines()[0][3:], "lines": lines_of(name)}
            for name, made in PROTOTYPES.items()
        },
        "throughput": cycles_a_second,
        "exploring": {"jobs": EXPLORED_JOBS, **world._asdict(), "states_per_second": states_a_second},
        "memory": memory,
        "operations": costs,
        "primitives": [{"resident": resident, "nanoseconds": primitives(resident)} for resident in sizes],
    }


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return next((line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line), "unknown")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> None:
    """Measure and write, or (with --memory) measure one number for the process that asked."""
    parser = argparse.ArgumentParser(description="Measure the prototypes of the inner representation.")
    parser.add_argument("--out", type=Path, default=Path("reports"), help="the folder of the two report files")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--memory", nargs=4, metavar=("PROTOTYPE", "STATE", "METER", "JOBS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        name, population, meter, jobs = options.memory
        sys.stdout.write(str(measure_memory(name, population, meter, int(jobs))))
        return
    report = measure(quick=options.quick)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "representations.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (options.out / "representations.md").write_text(as_markdown(report), encoding="utf-8")


if __name__ == "__main__":
    main()
