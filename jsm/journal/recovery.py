"""From a folder to the machine that its files describe: the newest snapshot, and the calls after it made again."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from jsm.errors import JsmError
from jsm.journal.disk import Disk
from jsm.journal.errors import JournalDamagedError, JournalError, JournalUnfitError
from jsm.journal.form import JournalHeader, JournalReader, JournalRecord, give_up_remedy
from jsm.machine import Machine
from jsm.snapshot_codec import SnapshotFormatError, restore_snapshot

CHANGING_OPERATIONS: Final = frozenset(
    {
        "put",
        "delete",
        "release",
        "release_with",
        "touch",
        "bury",
        "kick",
        "kick_n",
        "append_reservation",
        "reserve_job",
        "cancel_reservation",
        "tick",
        "pause_tube",
        "use_tube",
        "watch_tube",
        "ignore_tube",
        "close_client",
    }
)
"""The operations that a journal holds: those after which another call may be answered otherwise."""

_JOURNAL: Final = re.compile(r"journal\.([0-9]{10})\.jsonl")
_SNAPSHOT: Final = re.compile(r"snapshot\.([0-9]{10})")
_PART: Final = re.compile(r"snapshot\.[0-9]{10}\.part")
_FOREIGN: Final = re.compile(r"binlog\.[0-9]+")


def journal_path(folder: Path, number: int) -> Path:
    """Where the journal file of that number is."""
    return folder / f"journal.{number:010}.jsonl"


def snapshot_path(folder: Path, number: int) -> Path:
    """Where the snapshot is that the journal file of that number goes on from."""
    return folder / f"snapshot.{number:010}"


def part_path(folder: Path, number: int) -> Path:
    """Where the snapshot of that number is while it is being written."""
    return folder / f"snapshot.{number:010}.part"


class Listing(NamedTuple):
    """What a folder holds, each by number, ascending."""

    journals: list[int]
    snapshots: list[int]
    parts: list[str]  # names of snapshots that were never finished


class Start(NamedTuple):
    """Where calls are made again from."""

    machine: Machine
    snapshot: int  # the number of the one that was restored; 0: there was none
    numbers: list[int]  # of the journal files behind it
    snapshot_bytes: int
    warnings: tuple[str, ...]


class Recovered(NamedTuple):
    """A machine, and what is known of the files that it came from."""

    machine: Machine
    first: int  # the number of the first journal file; 1 for an empty folder
    last: int  # the number of the last one that counts; one less than `first` when none does
    header: JournalHeader | None  # of the last one
    crc: int  # what the next file follows
    journal_bytes: int  # of all that were read
    snapshot_bytes: int
    records: int  # how many calls were made again
    cut: tuple[Path, int] | None  # the file behind whose last record something stands, and where
    leftovers: tuple[Path, ...]  # what is to be removed
    warnings: tuple[str, ...]


def list_folder(disk: Disk, folder: Path) -> Listing:
    """What a folder holds. Raises `JournalError`."""
    try:
        names = disk.names(folder)
    except OSError as error:
        raise JournalError(folder, "can't read the folder", error) from error
    for name in names:
        if _FOREIGN.fullmatch(name):
            problem = f"holds {name}, a file of beanstalkd's own binlog, which can't be read here"
            raise JournalUnfitError(folder, problem, "name another folder")
    return Listing(
        [int(found[1]) for name in names if (found := _JOURNAL.fullmatch(name))],
        [int(found[1]) for name in names if (found := _SNAPSHOT.fullmatch(name))],
        [name for name in names if _PART.fullmatch(name)],
    )


def recover(disk: Disk, folder: Path, *, units_per_second: int, max_job_size: int) -> Recovered:
    """The machine that a folder's files describe, an empty one for an empty folder; nothing is written.

    Every client is still there, and every statistic. Raises `JournalError`. O(jobs + calls).
    """
    listing = list_folder(disk, folder)
    if not listing.journals and not listing.snapshots:
        machine = Machine(units_per_second=units_per_second, max_job_size=max_job_size)
        parts = tuple(folder / name for name in listing.parts)
        return Recovered(machine, 1, 0, None, 0, 0, 0, 0, None, parts, ())
    start = find_start(disk, folder, listing, units_per_second=units_per_second, max_job_size=max_job_size)
    return _replay(disk, folder, start, listing)


def find_start(disk: Disk, folder: Path, listing: Listing, *, units_per_second: int, max_job_size: int) -> Start:
    """The newest snapshot behind which all journal files are there, restored, or else an empty machine.

    A snapshot that is damaged is passed over if an older one and all calls after it are still there. Raises
    `JournalError`.
    """
    damage: JournalDamagedError | None = None
    newest = max([1, *listing.snapshots])
    for first in [*reversed(listing.snapshots), 0]:
        numbers = [number for number in listing.journals if number >= first]
        missing = _first_missing(numbers, max(first, 1), newest)
        if missing is not None:
            if damage is not None:
                continue
            path = journal_path(folder, missing)
            raise JournalDamagedError(path, 0, "the file is missing", "put it back: it holds calls of the journal")
        machine = Machine(units_per_second=units_per_second, max_job_size=max_job_size)
        try:
            snapshot_bytes = _read_snapshot(disk, snapshot_path(folder, first), machine) if first else 0
        except JournalDamagedError as error:
            damage = damage or error
            continue
        _expect_units(snapshot_path(folder, first), machine.units_per_second, units_per_second)
        warnings = () if damage is None else (f"{damage}; older files held all of it and were used",)
        return Start(machine, first, numbers, snapshot_bytes, warnings)
    assert damage is not None  # or the last turn had returned
    raise damage


def _first_missing(numbers: list[int], first: int, newest: int) -> int | None:
    """The first number that is missing between `first` and the last of the ascending `numbers`, or `newest`."""
    for wanted, number in enumerate(numbers, first):
        if wanted != number:
            return wanted
    end = first + len(numbers)
    return end if end <= newest else None


def read_files(
    disk: Disk, folder: Path, numbers: list[int]
) -> Iterator[tuple[Path, int, JournalHeader | None, JournalReader]]:
    """The journal files of those numbers, one after the other, each with its size and, if it counts, its header.

    Files don't count that hold no record and stand behind a torn line, or don't follow the file before them: they were
    begun when the disk failed, and never used. With a record in them they are damage: `JournalError`.
    """
    crc: int | None = None
    pending: JournalDamagedError | None = None
    for number in numbers:
        path = journal_path(folder, number)
        try:
            data = b"".join(disk.read(path))
        except OSError as error:
            raise JournalError(path, "can't read the journal", error) from error
        reader = JournalReader(path, data)
        header = reader.header
        if header is not None and header.number != number:
            raise JournalDamagedError(path, 0, f"it is number {header.number} of the journal", "rename it")
        if pending is None and header is None:
            pending = _damage(path, 0, "the header is not finished, and later files hold records")
        if pending is None and header is not None and crc is not None and header.follows != crc:
            pending = _damage(path, 0, f"it does not follow {journal_path(folder, number - 1).name} as that is now")
        if pending is not None and not reader.is_bare:
            raise pending
        yield path, len(data), header if pending is None else None, reader
        if pending is None:
            crc = reader.crc
            if reader.is_torn:
                pending = _damage(path, reader.end, "the line is not finished, and later files hold records")


def _damage(path: Path, offset: int, problem: str) -> JournalDamagedError:
    return JournalDamagedError(path, offset, problem, give_up_remedy(path, offset))


def repeat(machine: Machine, path: Path, offset: int, record: JournalRecord) -> None:
    """Make a call of the journal again, which may be refused as it was then. Raises `JournalDamagedError`."""
    if record.after != machine.record_seq:
        problem = f"the call was made after transition {record.after}, and the machine has made {machine.record_seq}"
        raise JournalDamagedError(path, offset, problem, "use the version of the program that wrote it")
    try:
        if record.op not in CHANGING_OPERATIONS:
            raise TypeError("unknown")
        args = record.args
        if record.op == "put":
            args = {**args, "body": args["body"].encode("latin-1")}
        operation = getattr(machine, record.op)
        operation(**args)
    except JsmError:  # a refusal changes nothing, now as then
        return
    except (TypeError, KeyError, AttributeError, UnicodeEncodeError) as error:
        problem = f"{record.op!r} with these arguments is no call ({error})"
        raise JournalDamagedError(path, offset, problem, "use the version of the program that wrote it") from error


def _replay(disk: Disk, folder: Path, start: Start, listing: Listing) -> Recovered:
    """Make the calls of the files again."""
    machine, numbers, warnings = start.machine, start.numbers, list(start.warnings)
    last, crc, journal_bytes, records = numbers[0] - 1, 0, 0, 0
    last_header: JournalHeader | None = None
    cut: tuple[Path, int] | None = None
    leftovers = [folder / name for name in listing.parts]
    leftovers += [snapshot_path(folder, number) for number in listing.snapshots if number != start.snapshot]
    leftovers += [journal_path(folder, number) for number in listing.journals if number not in numbers]
    for path, size, header, reader in read_files(disk, folder, numbers):
        if header is None:
            leftovers.append(path)
            continue
        last, last_header = header.number, header
        _expect_units(path, header.units_per_second, machine.units_per_second)
        set_max_job_size(machine, header.max_job_size)
        for offset, record in reader.records():
            repeat(machine, path, offset, record)
            records += 1
        crc = reader.crc
        journal_bytes += reader.end
        cut = (path, reader.end) if size > reader.end else None
        if reader.is_torn:
            warnings.append(f"{path}, byte {reader.end}: the last record is not finished and was cut off")
    return Recovered(
        machine=machine,
        first=numbers[0],
        last=last,
        header=last_header,
        crc=crc,
        journal_bytes=journal_bytes,
        snapshot_bytes=start.snapshot_bytes,
        records=records,
        cut=cut,
        leftovers=tuple(leftovers),
        warnings=tuple(warnings),
    )


def _read_snapshot(disk: Disk, path: Path, machine: Machine) -> int:
    """Restore a machine from a snapshot file; its size."""
    size = 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        for piece in disk.read(path):
            size += len(piece)
            yield piece

    try:
        restore_snapshot(machine.snapshot(), pieces())
    except SnapshotFormatError as error:
        raise JournalDamagedError(path, error.offset, error.problem, error.remedy) from error
    except JsmError as error:
        raise JournalDamagedError(path, 0, str(error), "put a good copy of it in its place") from error
    except OSError as error:
        raise JournalError(path, "can't read the snapshot", error) from error
    return size


def _expect_units(path: Path, found: int, asked: int) -> None:
    if found != asked:
        problem = f"it counts {found} units a second, and units_per_second = {asked} is asked for"
        raise JournalUnfitError(path, problem, f"open the folder with {found}, or another folder")


def set_max_job_size(machine: Machine, max_job_size: int) -> None:
    """Let a machine refuse bodies from another size on; those that it holds stay."""
    machine._state.max_job_size = max_job_size


def forget_statistics(machine: Machine) -> None:
    """Begin the counts anew that a restart of a server begins anew; those of the jobs stay."""
    state = machine._state
    state.commands = dict.fromkeys(state.commands, 0)
    state.total_jobs = state.job_timeouts = 0
    for tube in state.tubes.values():
        tube.total_jobs = tube.deletes = tube.pauses = 0
