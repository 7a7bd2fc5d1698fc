"""Measure what metrics cost a record, and histograms a value, and write the report.

    python -m tests.benchmarks.bench_metrics [--out reports] [--quick]

With the package `hdrhistogram` on the path (`uv run --with hdrhistogram …`) its histogram is measured beside ours.
Times are processor time of this process; the best round counts. Records are made right before they are consumed, as
in a simulation, and their making is not timed.
"""

import argparse
import gc
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from platform import machine as architecture
from platform import python_implementation, python_version
from time import process_time

import numpy as np

from jsm.records import TransitionRecord
from jsm.states import JobState, Trigger
from sim.histogram import Histogram, HistogramRows, Integers
from sim.metrics import Metrics
from sim.run_result import Outcome, PoolInfo

COMMAND = "python -m tests.benchmarks.bench_metrics"
CHUNK = 4096
SEED = 1
LOADS = (
    ("short lives: put, reserve, delete, 10 live jobs", 10, 1, False),
    ("a backlog: the same with 100,000 live jobs", 100_000, 1, False),
    ("20 classes, 10 live jobs", 10, 20, False),
    ("each job also touched, released, buried and kicked", 10, 1, True),
)


def chunks(count: int, live: int, *, long_life: bool) -> Iterator[list[TransitionRecord]]:
    """Chunks of records in which about `live` jobs are in the machine, put in order and served in order."""
    new, ready, reserved, buried, gone = (
        JobState.NEW,
        JobState.READY,
        JobState.RESERVED,
        JobState.BURIED,
        JobState.DELETED,
    )
    middle = (
        (ready, Trigger.RESERVE, reserved),
        (reserved, Trigger.TOUCH, reserved),
        (reserved, Trigger.RELEASE, ready),
        (ready, Trigger.RESERVE, reserved),
        (reserved, Trigger.BURY, buried),
        (buried, Trigger.KICK, ready),
    )
    made: list[TransitionRecord] = []
    seq = at = job = 0

    def add(number: int, source: JobState, trigger: Trigger, target: JobState) -> None:
        nonlocal seq, at
        seq += 1
        at += 37 * (seq % 3)
        made.append(TransitionRecord(seq, at, number, "default", source, trigger, target, None))

    while count:
        job += 1
        add(job, new, Trigger.PUT, ready)
        if job > live:
            for edge in middle if long_life else ():
                add(job - live, *edge)
            add(job - live, ready, Trigger.RESERVE, reserved)
        if job > live + 5:
            add(job - live - 5, reserved, Trigger.DELETE, gone)
        if len(made) >= CHUNK:
            yield made
            made = []
            count -= 1


def nanoseconds_a_record(count: int, live: int, classes: int, *, long_life: bool) -> float:
    """Processor time of `Metrics.consume` a record, once the live jobs are there."""
    metrics = Metrics(units_per_second=1_000_000, classes=[str(n) for n in range(classes)], pools=())
    fill = live // CHUNK + 2
    seconds, records = 0.0, 0
    for number, chunk in enumerate(chunks(fill + count, live, long_life=long_life)):
        if classes > 1:
            metrics.class_of.update((r.job, r.job % classes) for r in chunk if r.source is JobState.NEW)
        began = process_time()
        metrics.consume(chunk)
        if number >= fill:
            seconds += process_time() - began
            records += len(chunk)
    return seconds / records * 1e9


def nanoseconds_of_the_bare_loop(count: int) -> float:
    """Processor time of taking a record apart and doing nothing with it."""
    seconds, records = 0.0, 0
    for chunk in chunks(count, 10, long_life=False):
        began = process_time()
        for _, _at, _job, _, _source, _trigger, _target, _ in chunk:
            pass
        seconds += process_time() - began
        records += len(chunk)
    return seconds / records * 1e9


def nanoseconds_a_piece(count: int) -> float:
    """Processor time of `Metrics.work` a piece of work, folding included."""
    metrics = Metrics(units_per_second=1_000_000, classes=(), pools=(PoolInfo("all", 10),))
    began = process_time()
    for number in range(count):
        metrics.work(0, number % 10, number * 100, number * 100 + 900, Outcome.DONE)
    return (process_time() - began) / count * 1e9


def nanoseconds_a_value(values: Integers, record: Callable[[Integers], None]) -> float:
    """Processor time of recording a value, given by the chunk."""
    began = process_time()
    for begin in range(0, len(values), CHUNK):
        record(values[begin : begin + CHUNK])
    return (process_time() - began) / len(values) * 1e9


def histograms(count: int, rounds: int) -> list[tuple[str, float]]:
    """What each histogram costs a value; lognormal durations in microseconds."""
    values = np.random.default_rng(SEED).lognormal(13, 1.5, count).astype(np.int64) + 1
    rows = np.arange(CHUNK) % 512

    def by_bucket() -> Callable[[Integers], None]:
        table = HistogramRows(512)
        return lambda part: table.record(rows[: len(part)], part)

    made: list[tuple[str, Callable[[], Callable[[Integers], None]]]] = [
        ("`Histogram`, a whole run", lambda: Histogram().record),
        ("`HistogramRows`, 512 buckets of time", by_bucket),
    ]
    if importlib.util.find_spec("hdrh") is not None:
        package = importlib.import_module("hdrh.histogram")

        def one_by_one() -> Callable[[Integers], None]:
            record = package.HdrHistogram(1, 10**13, 3).record_value

            def record_all(part: Integers) -> None:
                for value in part.tolist():
                    record(value)

            return record_all

        made.append((f"`hdrhistogram` {version('hdrhistogram')}, 3 digits, a call a value", one_by_one))
    return [(name, min(nanoseconds_a_value(values, make()) for _ in range(rounds))) for name, make in made]


def report(*, quick: bool) -> str:
    """Everything, as Markdown."""
    count, rounds = (8, 1) if quick else (60, 5)
    gc.collect()
    lines = [
        "# What metrics cost",
        "",
        f"`{COMMAND}` at commit {_commit()}, seed {SEED}, {python_implementation()} {python_version()}, "
        f"numpy {np.__version__}, {architecture()}; processor time, best of {rounds}.",
        "",
        "| `Metrics.consume` | ns a record |",
        "| --- | ---: |",
    ]
    for name, live, classes, long_life in LOADS:
        best = min(nanoseconds_a_record(count, live, classes, long_life=long_life) for _ in range(rounds))
        lines.append(f"| {name} | {best:.0f} |")
    best = min(nanoseconds_a_piece(count * 2000) for _ in range(rounds))
    floor = min(nanoseconds_of_the_bare_loop(count) for _ in range(rounds))
    lines.append(f"| for scale: a loop that only takes the records apart | {floor:.0f} |")
    lines += ["", "| `Metrics.work` | ns a piece |", "| --- | ---: |", f"| 10 workers | {best:.0f} |"]
    lines += ["", "| histogram | ns a value |", "| --- | ---: |"]
    lines += [f"| {name} | {cost:.0f} |" for name, cost in histograms(count * 3000, rounds)]
    return "\n".join(lines) + "\n"


def _commit() -> str:
    """The commit that is measured."""
    command = ("git", "rev-parse", "--short", "HEAD")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Print the report, and write it as `metrics-cost.md` where `--out` says."""
    parser = argparse.ArgumentParser(description="Measure what metrics cost a record.")
    parser.add_argument("--out", type=Path, help="the folder for metrics-cost.md")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a second")
    arguments = parser.parse_args()
    text = report(quick=arguments.quick)
    sys.stdout.write(text)
    if arguments.out is not None:
        (arguments.out / "metrics-cost.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
