"""Measure `put → reserve → work → delete` against the same queue without a state machine, and write the report.

    python -m tests.benchmarks.bench_throughput [--out reports] [--quick]

All contestants take turns in one process (A B C … A B C …); the best round of each counts, in processor time. Quote
the ratios: the times are this machine's.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from importlib.metadata import version
from pathlib import Path
from platform import python_implementation, python_version
from time import process_time
from typing import TYPE_CHECKING

from sim.run import Simulation
from sim.scenario import load_scenario
from tests.benchmarks.skeletons import BareQueue, Load, run_ciw, run_resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sim.scenario_models import Scenario

COMMAND = "python -m tests.benchmarks.bench_throughput"
ROUNDS = 8
TTR_SECONDS = 100_000_000  # never fires
LOADS = {
    "10 workers, 80 % load": Load(jobs=40_000, workers=10, arrival_rate=8.0),
    "10 workers, always busy": Load(jobs=40_000, workers=10, arrival_rate=12.0),
    "M/M/4, 80 % load": Load(jobs=40_000, workers=4, arrival_rate=3.2),
}
FOREIGN = "M/M/4, 80 % load"
"""The load that SimPy's Resource and Ciw run too."""


def scenario_of(load: Load) -> Scenario:
    """The scenario whose arrivals and work are those of the load, unit for unit."""
    return load_scenario(
        "mm4",
        [
            f"workers.count={load.workers}",
            f"producers.arrivals.rate_per_second={load.arrival_rate}",
            f"producers.jobs={load.jobs}",
            f"producers.ttr_seconds={TTR_SECONDS}",
            "run.warmup_seconds=0.0",
            f"run.duration_seconds={10.0 * load.jobs}",
        ],
    )


def contestants(name: str, load: Load) -> dict[str, Callable[[], object]]:
    """What takes turns on a load; the first is the baseline."""
    scenario = scenario_of(load)
    racers: dict[str, Callable[[], object]] = {
        "bare SimPy with a deque": lambda: BareQueue(load).run(),
        "watcher and metrics off": lambda: Simulation(scenario, measure=False, watch=False).run(),
        "watcher on": lambda: Simulation(scenario, measure=False).run(),
        "watcher and metrics on": lambda: Simulation(scenario).run(),
    }
    if name == FOREIGN:
        racers["SimPy Resource"] = lambda: run_resource(load)
        racers["Ciw"] = lambda: run_ciw(load)
    return racers


def best_times(racers: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of processor time of each racer's best round, the racers taking turns."""
    best = dict.fromkeys(racers, float("inf"))
    for _ in range(rounds):
        for name, race in racers.items():
            gc.collect()
            started = process_time()
            race()
            best[name] = min(best[name], process_time() - started)
    return best


def measure(*, rounds: int, shrink: int) -> dict[str, dict[str, dict[str, float]]]:
    """Microseconds a job and the ratio to the baseline, by load and contestant."""
    results = {}
    for name, full in LOADS.items():
        load = Load(jobs=full.jobs // shrink, workers=full.workers, arrival_rate=full.arrival_rate)
        best = best_times(contestants(name, load), rounds)
        baseline = next(iter(best.values()))
        results[name] = {
            racer: {"microseconds_a_job": round(1e6 * seconds / load.jobs, 2), "ratio": round(seconds / baseline, 2)}
            for racer, seconds in best.items()
        }
    return results


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print or write its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="write throughput.json and throughput.md into this folder")
    parser.add_argument("--quick", action="store_true", help="two short rounds, to see that it works")
    options = parser.parse_args(arguments)
    rounds, shrink = (2, 10) if options.quick else (ROUNDS, 1)
    results = measure(rounds=rounds, shrink=shrink)
    lines = [
        "# Throughput of the simulator",
        "",
        f"Written by `{COMMAND} --out reports`; {python_implementation()} {python_version()}, "
        f"simpy {version('simpy')}, ciw {version('ciw')}. Processor time, best of {rounds} rounds in turn.",
    ]
    for name, rows in results.items():
        lines += ["", f"## {name}", "", "| what | µs a job | ratio |", "| --- | ---: | ---: |"]
        lines += [f"| {racer} | {row['microseconds_a_job']} | {row['ratio']} |" for racer, row in rows.items()]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "throughput.md").write_text(text, encoding="utf-8")
        (options.out / "throughput.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
