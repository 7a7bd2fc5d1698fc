"""Every text that a refusal or a bad snapshot has, written down: `tests/data/error_texts.txt`.

    python -m tests.error_texts

writes the file anew. Its differences are to be read: they are what people will see.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from jsm.errors import JsmError, SnapshotError
from jsm.interface import JobRecord
from jsm.machine import Machine
from tests.machines import busy_machine, full_machine, outcome, parts_of, restore
from tests.refusals import TABLE, single_faults
from tests.snapshot_faults import SPOILT

TARGET: Final = Path(__file__).parent / "data" / "error_texts.txt"


def texts_of_refusals() -> list[str]:
    """What each operation says to each call that it refuses, each text once, then of a machine that is stopped."""
    machine, stopped = full_machine(), Machine()
    stopped.stop()
    lines: list[str] = []
    for op in TABLE:
        lines += [f"{op}: {': '.join(outcome(machine, spoilt.call))}" for spoilt in single_faults(op)]
        lines.append(f"{op}: {': '.join(outcome(stopped, next(iter(single_faults(op))).call))}")
    return list(dict.fromkeys(lines))


def texts_of_snapshots() -> list[str]:
    """What a restore says to each entry that no machine can have."""
    lines = []
    for fault, (_, spoil) in SPOILT.items():
        try:
            restore(busy_machine(), spoil(parts_of(full_machine())))
        except SnapshotError as error:
            lines.append(f"{fault}: {error}")
    return lines


def texts_of_use() -> list[str]:
    """What a snapshot says to whoever uses it in the wrong order."""
    machine = full_machine()
    parts, changed, restored = parts_of(machine), machine.snapshot(), Machine().snapshot()
    stream = changed.snapshot_jobs()
    machine.tick(machine.clock + 1)

    def cancelled() -> Iterator[JobRecord]:
        restored.cancel_restore()
        yield parts.jobs[0]

    restored.restore_header(parts.header)
    wrong = {
        "finalized without a header": Machine().snapshot().finalize_restore,
        "fed without a header": lambda: Machine().snapshot().restore_jobs([]),
        "cancelled while it is fed": lambda: restored.restore_jobs(cancelled()),
        "read while the machine changes": lambda: next(stream),
    }
    return [f"{name}: {_error_of(use)}" for name, use in wrong.items()]


def _error_of(use: Callable[[], object]) -> str:
    try:
        use()
    except JsmError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def all_texts() -> str:
    """The whole file."""
    return "".join(f"{line}\n" for line in [*texts_of_refusals(), "", *texts_of_snapshots(), "", *texts_of_use()])


if __name__ == "__main__":
    TARGET.write_text(all_texts(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.name}: {len(all_texts().splitlines())} lines\n")
