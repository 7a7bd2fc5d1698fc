"""Measure the explorer against SPIN on the same world, side by side in one run, and write the report.

    python -m tests.benchmarks.bench_spin [--out reports] [--jobs 4] [--rounds 2]

SPIN explores a model of the machine, compiled to C for this one world; the explorer runs the machine itself, in
Python, with lock-step and invariants off. Both visit the same states by the same operations, in turns; the best round
of each counts. The explorer visits one state of those that differ in the names of clients only, and counts what each
stands for: the numbers of states and transitions have to be SPIN's. It runs in one process, and on all cores. Quote
the ratio: the times are this machine's.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from platform import python_implementation, python_version
from subprocess import run
from tempfile import TemporaryDirectory
from typing import NamedTuple

from models.explorer import explore
from models.promela import WORLDS, EngineError, EngineMissingError, build, search
from tests.bounded_world import scope_of

COMMAND = "python -m tests.benchmarks.bench_spin"
TARGET = 0.1
"""The share of SPIN's states a second that the explorer is to reach."""


class Speed(NamedTuple):
    """The best round of a contestant."""

    states: int
    transitions: int
    visited: int  # states that were looked at
    seconds: float  # of the search
    bytes_a_state: float

    @property
    def states_per_second(self) -> float:
        """Distinct states a second."""
        return self.states / self.seconds


def measure(jobs: int, rounds: int) -> tuple[Speed, Speed, Speed]:
    """The best rounds of SPIN, of the explorer, and of it on all cores. Raises `EngineMissingError`, `EngineError`."""
    world = replace(WORLDS["first"], jobs=jobs)
    scope = scope_of(world).but(symmetry=True)
    rows: tuple[list[Speed], list[Speed], list[Speed]] = ([], [], [])
    with TemporaryDirectory() as folder:
        program = build(world, Path(folder), check=False, optimise=2)
        for _ in range(rounds):
            count = search(program)
            memory = 1e6 * count.megabytes / count.states
            rows[0].append(Speed(count.states, count.transitions, count.states, max(count.seconds, 0.01), memory))
            for row, processes in zip(rows[1:], (1, 0), strict=True):
                result = explore(scope, lockstep=False, invariants=False, processes=processes)
                apart = (result.states_apart, result.transitions_apart, result.states)
                row.append(Speed(*apart, result.seconds, result.bytes_per_state))
    spin, one, all_cores = (min(row, key=lambda speed: speed.seconds) for row in rows)
    return spin, one, all_cores


def report(jobs: int, rounds: int, spin: Speed, one: Speed, all_cores: Speed) -> str:
    """The table of all, and the ratios."""
    version = run(["spin", "-V"], capture_output=True, encoding="utf-8", check=True).stdout.strip()
    compiler = run(["gcc", "--version"], capture_output=True, encoding="utf-8", check=True).stdout.splitlines()[0]
    cores = os.cpu_count()
    rows = [
        f"| {name} | {speed.states:,} | {speed.visited:,} | {speed.transitions:,} | {speed.seconds:.2f} | "
        f"{speed.states_per_second:,.0f} | {speed.states_per_second / spin.states_per_second:.3f} | "
        f"{speed.bytes_a_state:,.0f} |"
        for name, speed in (("SPIN", spin), ("explorer", one), (f"explorer, {cores} processes", all_cores))
    ]
    share = max(one.states_per_second, all_cores.states_per_second) / spin.states_per_second
    lines = [
        "# Speed of the explorer",
        "",
        f"Written by `{COMMAND} --jobs {jobs} --rounds {rounds} --out reports`; {python_implementation()} "
        f"{python_version()}, {version}, {compiler}. Time of the search on the wall, best of {rounds} rounds in turn.",
        "",
        f"The world is `first` of [decision 0006](decisions/0006-foreign-engine.md) with {jobs} jobs. SPIN runs a "
        "model in C (`-O2 -DSAFETY -DNOREDUCE`, no assertions); the explorer runs the machine itself, lock-step and "
        "invariants off. It looks at one state of those that differ in the names of clients only (*visited*), and the "
        "states and transitions that these stand for are SPIN's to the last one. SPIN's memory is that of its whole "
        "process, hash table and stack included; the explorer's is a state that it visited.",
        "",
        "| engine | states | visited | transitions | seconds | states/s | of SPIN's | bytes a state |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        "",
        f"The explorer makes {share:.3f} of SPIN's states a second at best: one to {1 / share:.1f}. "
        f"The target is {TARGET}.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print or write its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="write explorer-speed.md into this folder")
    parser.add_argument("--jobs", type=int, default=4, choices=range(1, 6), help="puts in all")
    parser.add_argument("--rounds", type=int, default=2, help="how often each runs")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1")
    try:
        spin, *ours = measure(options.jobs, options.rounds)
    except (EngineMissingError, EngineError) as error:
        parser.error(str(error))
    for speed in ours:
        if spin[:2] != speed[:2]:
            sys.exit(f"not the same world: SPIN has {spin[:2]} states and transitions, the explorer {speed[:2]}")
    text = report(options.jobs, options.rounds, spin, *ours)
    sys.stdout.write(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "explorer-speed.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
