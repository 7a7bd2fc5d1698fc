"""Makes the calls of a journal or of a trace again on a machine, and says where that differs from what is written.

A journal's records have no outcomes; each has the number of the machine's last transition before it, which must be that
of the machine that makes the calls now. A trace's calls have outcomes and, perhaps, transitions: both are compared.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsm.errors import BadValueError
from jsm.interface import JSMSnapshot
from jsm.journal.disk import SystemDisk
from jsm.journal.errors import JournalDamagedError, JournalUnfitError
from jsm.journal.form import JournalReader
from jsm.journal.recovery import find_start, journal_path, list_folder, read_files, set_max_job_size
from jsm.limits import MAX_JOB_SIZE
from jsm.machine import Machine
from jsm.observed import ObservedMachine, apply
from jsm.records import CommandRecord, Record, TransitionRecord
from jsm.trace import TraceError
from models.verify_lines import PartialReader, header_of
from models.verify_replay import Comparison, Reference
from models.verify_words import event_of


@dataclass(slots=True)
class Replay:
    """What came of it."""

    name: str  # of the journal or trace
    begins: str  # in words
    calls: int = 0
    clock: int = 0
    jobs: dict[str, int] = field(default_factory=dict)  # live ones, by state
    finding: dict[str, Any] | None = None  # where it differs first
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`holds`, `violated`, or `undetermined` when there was no call to make."""
        if self.finding is not None:
            return "violated"
        return "holds" if self.calls else "undetermined"

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "verdict": self.verdict,
            "name": self.name,
            "begins": self.begins,
            "calls": self.calls,
            "clock": self.clock,
            "jobs": self.jobs,
            "finding": self.finding,
            "notes": self.notes,
        }

    def settle(self, machine: Machine) -> None:
        """Note how the machine stands in the end."""
        counts = machine.count_jobs()
        self.clock = machine.clock
        self.jobs = {str(state): count for state, count in counts.items()}


class _Kept:
    """An observer that keeps what the present call gave."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def transition(self, record: TransitionRecord) -> None:
        """Keep it."""
        self.records.append(record)

    def command(self, record: CommandRecord) -> None:
        """Keep it."""
        self.records.append(record)


class JournalReplay:
    """The calls of a folder's journal, made again. `records` makes them; what came of it is in `result` afterwards.

    The folder may be in use; nothing is written. `last` is the number of the last file to read; None: all of them.
    Raises `jsm.journal.JournalError`.
    """

    def __init__(self, folder: Path, *, last: int | None = None) -> None:
        disk = SystemDisk()
        listing = list_folder(disk, folder)
        if not listing.journals:
            raise JournalUnfitError(folder, "holds no journal file", "name the folder of a journal, or a trace")
        if last is not None:
            listing = listing._replace(
                journals=[number for number in listing.journals if number <= last],
                snapshots=[number for number in listing.snapshots if number <= last],
            )
        self.units_per_second = _units_of(disk, journal_path(folder, listing.journals[0]))
        start = find_start(disk, folder, listing, units_per_second=self.units_per_second, max_job_size=MAX_JOB_SIZE)
        self._disk, self._folder, self._start = disk, folder, start
        begins = f"behind snapshot {start.snapshot}" if start.snapshot else "with an empty machine"
        self.result = Replay(str(folder), begins, notes=list(start.warnings))

    @property
    def begins_with_jobs(self) -> bool:
        """Whether the machine holds jobs before the first call."""
        return self._start.snapshot > 0

    def records(self) -> Iterator[Record]:
        """Make the calls, and give what each gave: its transitions, then its command record. Ends where it differs."""
        machine, result, kept = self._start.machine, self.result, _Kept()
        machine._state.observer = kept
        observed = ObservedMachine(observer=kept, make_machine=lambda **_settings: machine)
        for path, _size, header, reader in read_files(self._disk, self._folder, self._start.numbers):
            if header is None:
                continue
            set_max_job_size(machine, header.max_job_size)
            for offset, record in reader.records():
                if record.after != machine.record_seq:
                    call = event_of(CommandRecord(0, machine.clock, None, record.op, record.args, {"ok": None}), 1)
                    result.finding = {
                        "place": f"{path}, byte {offset}",
                        "call": call.removesuffix(": accepted"),
                        "written": f"made after transition {record.after}",
                        "machine": f"has made {machine.record_seq} transitions before it",
                    }
                    result.settle(machine)
                    return
                try:
                    apply(observed, CommandRecord(0, 0, None, record.op, record.args, {}))
                except (BadValueError, UnicodeEncodeError) as error:
                    raise JournalDamagedError(path, offset, str(error), "use the program that wrote it") from None
                result.calls += 1
                yield from kept.records
                kept.records.clear()
            if reader.is_torn:
                result.notes.append(f"{path}, byte {reader.end}: the last record is not finished")
        result.settle(machine)


def replay_trace(name: str, lines: Iterable[str | bytes], *, snapshot: JSMSnapshot | None = None) -> Replay:
    """The calls of a trace, made again up to the first that differs. O(1) a line beside the call.

    `snapshot` is that of the machine where the trace begins. Raises `jsm.trace.TraceError`.
    """
    numbered = enumerate(lines, start=1)
    number, first = next(numbered, (1, ""))
    header = header_of(first, number)
    if header.begins_in_the_middle and snapshot is None:
        raise TraceError(1, "begins", "middle", "a snapshot of the machine where the trace begins: use --snapshot")
    if snapshot is not None and snapshot.header().units_per_second != header.units_per_second:
        units = snapshot.header().units_per_second
        raise TraceError(1, "units_per_second", header.units_per_second, f"{units}, as in the snapshot")
    reference = Reference(units_per_second=header.units_per_second, max_job_size=header.max_job_size, snapshot=snapshot)
    reader = PartialReader(header.without, at=reference.machine.clock)
    comparison = Comparison(header.without)
    result = Replay(name, "with an empty machine" if snapshot is None else "behind the snapshot")
    recorded: list[TransitionRecord] = []
    has_transitions = False
    for number, line in numbered:
        record = reader.record(line, number)
        if isinstance(record, TransitionRecord):
            recorded.append(record)
            has_transitions = True
            continue
        with _naming_line(number):
            repeated = reference.repeat(record)
        result.calls += 1
        faults = comparison.faults(reference, repeated, record, recorded if has_transitions else None)
        if faults:
            result.finding = {
                "place": f"{name}, line {number}",
                "call": event_of(record, header.units_per_second),
                "written": faults[0].found,
                "machine": faults[0].expected,
            }
            break
        recorded.clear()
    if recorded and result.finding is None and not result.calls:
        result.notes.append("the trace holds transitions only: there is no call to make; jsm verify checks them")
    result.settle(reference.machine)
    return result


@contextmanager
def _naming_line(number: int) -> Iterator[None]:
    """Let a value that is no call's say on which line it stands."""
    try:
        yield
    except TraceError:
        raise
    except BadValueError as error:
        raise TraceError(number, error.field, error.value, error.expected) from None


def _units_of(disk: SystemDisk, path: Path) -> int:
    """The time units of a journal, as its first file says them."""
    header = JournalReader(path, b"".join(disk.read(path))).header
    return 1 if header is None else header.units_per_second
