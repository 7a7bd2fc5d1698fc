"""What the transition watcher costs a record: `python -m tests.benchmarks.bench_watcher`.

The load is the main one of a simulation: put, reserve, delete, with 1,000 jobs waiting, in chunks of 4,096.
"""

import sys
from time import perf_counter

from jsm.records import TransitionRecord
from jsm.states import JobState, Trigger
from models.watcher import TransitionWatcher

RECORDS, CHUNK, WAITING, ROUNDS = 200_000, 4096, 1000, 9


def history() -> list[TransitionRecord]:
    """Puts, and reserves and deletes of the jobs that were put `WAITING` puts before."""
    steps = (
        (0, JobState.NEW, Trigger.PUT, JobState.READY),
        (WAITING, JobState.READY, Trigger.RESERVE, JobState.RESERVED),
        (WAITING + 10, JobState.RESERVED, Trigger.DELETE, JobState.DELETED),
    )
    records: list[TransitionRecord] = []
    newest = 0
    while len(records) < RECORDS:
        newest += 1
        for behind, source, trigger, target in steps:
            if newest > behind:
                seq = len(records) + 1
                records.append(TransitionRecord(seq, 50 * seq, newest - behind, "t", source, trigger, target, "c"))
    return records


def main() -> None:
    """Print the best of the rounds, in microseconds a record."""
    records = history()
    chunks = [records[start : start + CHUNK] for start in range(0, len(records), CHUNK)]
    best = float("inf")
    for _ in range(ROUNDS):
        watcher = TransitionWatcher()
        start = perf_counter()
        for chunk in chunks:
            watcher.consume(chunk)
        best = min(best, perf_counter() - start)
    sys.stdout.write(f"{best / len(records) * 1e6:.3f} µs a record\n")


if __name__ == "__main__":
    main()
