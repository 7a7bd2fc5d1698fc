"""Measure what a record costs to make and to read, in five forms.

python -m tests.benchmarks.bench_records
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from platform import python_implementation, python_version
from timeit import repeat

from jsm.records import TransitionRecord
from jsm.states import JobState, Trigger

ROUNDS = 9
MADE = 200_000
READ = 4_096  # records a pass, as many as a watcher gets at once
PASSES = 50

_SOURCE, _TRIGGER, _TARGET = JobState.RESERVED, Trigger.DELETE, JobState.DELETED


@dataclass(slots=True)
class SlotsRecord:
    """A record as a slots dataclass."""

    seq: int
    at: int
    job: int
    tube: str
    source: JobState
    trigger: Trigger
    target: JobState
    client: str | None


@dataclass(frozen=True, slots=True)
class FrozenRecord:
    """A record as a frozen slots dataclass."""

    seq: int
    at: int
    job: int
    tube: str
    source: JobState
    trigger: Trigger
    target: JobState
    client: str | None


def makers() -> dict[str, Callable[[], object]]:
    """A function that makes one record, by form."""
    new = tuple.__new__
    return {
        "plain tuple": lambda: (1, 2, 3, "mail", _SOURCE, _TRIGGER, _TARGET, "w"),
        "named tuple by `tuple.__new__`": lambda: new(
            TransitionRecord, (1, 2, 3, "mail", _SOURCE, _TRIGGER, _TARGET, "w")
        ),
        "named tuple": lambda: TransitionRecord(1, 2, 3, "mail", _SOURCE, _TRIGGER, _TARGET, "w"),
        "slots dataclass": lambda: SlotsRecord(1, 2, 3, "mail", _SOURCE, _TRIGGER, _TARGET, "w"),
        "frozen slots dataclass": lambda: FrozenRecord(1, 2, 3, "mail", _SOURCE, _TRIGGER, _TARGET, "w"),
    }


def readers() -> dict[str, Callable[[], None]]:
    """A function that reads the records of a chunk, by way."""
    tuples = [TransitionRecord(1, 2, 3, "mail", _SOURCE, _TRIGGER, _TARGET, "w") for _ in range(READ)]
    frozen = [FrozenRecord(1, 2, 3, "mail", _SOURCE, _TRIGGER, _TARGET, "w") for _ in range(READ)]

    def unpack() -> None:
        for _seq, _at, _job, _tube, _source, _trigger, _target, _client in tuples:
            pass

    def fields_of_tuples() -> None:
        for record in tuples:
            _ = (record.at, record.job, record.source, record.trigger, record.target)

    def fields_of_frozen() -> None:
        for record in frozen:
            _ = (record.at, record.job, record.source, record.trigger, record.target)

    return {
        "all eight of a named tuple, unpacked": unpack,
        "five of a named tuple, by name": fields_of_tuples,
        "five of a frozen slots dataclass, by name": fields_of_frozen,
    }


def main() -> None:
    """Print two tables; the best of the rounds counts."""
    lines = [f"{python_implementation()} {python_version()}, best of {ROUNDS}", "", "| made | ns | bytes |"]
    lines.append("| --- | --- | --- |")
    for name, make in makers().items():
        best = min(repeat(make, number=MADE, repeat=ROUNDS)) / MADE
        lines.append(f"| {name} | {best * 1e9:.0f} | {sys.getsizeof(make())} |")
    lines += ["", "| read | ns |", "| --- | --- |"]
    for name, read in readers().items():
        best = min(repeat(read, number=PASSES, repeat=ROUNDS)) / PASSES / READ
        lines.append(f"| {name} | {best * 1e9:.0f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
