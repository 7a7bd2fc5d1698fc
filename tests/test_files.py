"""Files are written whole or not at all, and every error names its file."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jsm.errors import BadValueError, SnapshotError
from jsm.job import ClientID, TubeName
from jsm.journal import (
    JournalError,
    TraceFile,
    read_snapshot_file,
    read_trace_file,
    write_snapshot_file,
    write_trace_file,
)
from jsm.machine import Machine
from jsm.records import CommandRecord, Observer, Record, TransitionRecord
from jsm.snapshot_codec import SnapshotFormatError, encode_snapshot
from jsm.states import JobState, Trigger
from jsm.trace import TraceError, encode_trace

DEFAULT = TubeName("default")
PUT = TransitionRecord(1, 0, 1, "default", JobState.NEW, Trigger.PUT, JobState.READY, None)
CALL = CommandRecord(1, 0, None, "put", {"body": "\u00ff"}, {"ok": 1})
RECORDS: list[Record] = [PUT, CALL]


def machine_of(jobs: int) -> Machine:
    machine = Machine(units_per_second=5)
    for place in range(jobs):
        machine.put(place, priority=place, delay_seconds=place % 2, ttr_seconds=1, body=b"\xff\n", tube=DEFAULT)
    machine.use_tube(ClientID("a"), DEFAULT)
    return machine


def bytes_of(machine: Machine) -> bytes:
    return b"".join(encode_snapshot(machine.snapshot()))


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """A real refusal of the system in the middle of a write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ---------------------------------------------------------------------- snapshots


def test_a_snapshot_file_gives_the_machine_back(tmp_path: Path) -> None:
    machine, copy = machine_of(20), Machine()
    write_snapshot_file(tmp_path / "a.snapshot", machine.snapshot())
    assert names_in(tmp_path) == ["a.snapshot"]
    assert (tmp_path / "a.snapshot").read_bytes() == bytes_of(machine)
    read_snapshot_file(str(tmp_path / "a.snapshot"), copy.snapshot())
    assert bytes_of(copy) == bytes_of(machine)


def test_a_file_larger_than_a_chunk_is_read(tmp_path: Path) -> None:
    machine, copy = machine_of(2_000), Machine()
    write_snapshot_file(tmp_path / "a.snapshot", machine.snapshot())
    assert (tmp_path / "a.snapshot").stat().st_size > 100_000
    read_snapshot_file(tmp_path / "a.snapshot", copy.snapshot())
    assert bytes_of(copy) == bytes_of(machine)


def test_a_snapshot_replaces_the_one_before_also_behind_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "a.snapshot", tmp_path / "latest"
    link.symlink_to(path.name)
    write_snapshot_file(path, machine_of(5).snapshot())
    write_snapshot_file(link, machine_of(2).snapshot())
    assert path.read_bytes() == bytes_of(machine_of(2))
    assert link.is_symlink()
    assert names_in(tmp_path) == ["a.snapshot", "latest"]


def test_a_foreign_part_file_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / f".jsm-{os.getpid()}-0.part"
    foreign.write_bytes(b"mine")
    write_snapshot_file(tmp_path / "a.snapshot", machine_of(1).snapshot())
    assert foreign.read_bytes() == b"mine"
    assert names_in(tmp_path) == [foreign.name, "a.snapshot"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    path.write_bytes(b"old")
    machine = machine_of(500)
    with files_limited_to(20_000), pytest.raises(JournalError) as refused:
        write_snapshot_file(path, machine.snapshot())
    assert str(refused.value).startswith(f"{path}: can't write the snapshot: ")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.snapshot"]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_an_error_of_any_step_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "a.snapshot"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(Path, "replace", fail)
        with pytest.raises(JournalError, match="Input/output error"):
            write_snapshot_file(path, machine_of(3).snapshot())
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.snapshot"]


def test_the_file_and_then_its_folder_are_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[tuple[str, list[str]]] = []

    def fsync(descriptor: int) -> None:
        forced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, names_in(tmp_path)))

    monkeypatch.setattr(os, "fsync", fsync)
    write_snapshot_file(tmp_path / "a.snapshot", machine_of(1).snapshot())
    part = f".jsm-{os.getpid()}-0.part"
    assert forced == [(part, [part]), (tmp_path.name, ["a.snapshot"])]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SnapshotError])
def test_a_snapshot_that_ends_early_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    machine = machine_of(3)
    snapshot = machine.snapshot()

    class Broken:
        def __getattr__(self, name: str) -> object:
            if name == "snapshot_clients":
                raise error
            return getattr(snapshot, name)

    with pytest.raises(error):
        write_snapshot_file(tmp_path / "a.snapshot", Broken())  # type: ignore[arg-type]  # it lacks them on purpose
    assert names_in(tmp_path) == []


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(JournalError, match="no regular file"):
            write_snapshot_file(path, machine_of(1).snapshot())
    assert not Path("/dev/null").is_file()


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.snapshot"
    with pytest.raises(JournalError, match=rf"{path}: can't write the snapshot: No such file or directory"):
        write_snapshot_file(path, machine_of(1).snapshot())
    with pytest.raises(JournalError, match=rf"{path}: can't read the snapshot: No such file or directory"):
        read_snapshot_file(path, Machine().snapshot())
    with pytest.raises(JournalError, match="can't read the snapshot: Is a directory"):
        read_snapshot_file(tmp_path, Machine().snapshot())


def test_a_truncated_file_is_refused_by_name_and_the_machine_stays(tmp_path: Path) -> None:
    path, machine = tmp_path / "a.snapshot", machine_of(2)
    path.write_bytes(bytes_of(machine_of(9))[:-20])
    before = bytes_of(machine)
    with pytest.raises(SnapshotFormatError, match=rf"{path}, line \d+, byte \d+: ") as refused:
        read_snapshot_file(path, machine.snapshot())
    assert refused.value.file == str(path)
    assert bytes_of(machine) == before


def test_what_the_machine_refuses_at_the_end_names_the_file_too(tmp_path: Path) -> None:
    machine = machine_of(2)
    path = tmp_path / "a.snapshot"
    write_snapshot_file(path, machine.snapshot())

    class Refusing:
        def __getattr__(self, name: str) -> object:
            if name == "finalize_restore":
                raise SnapshotError("two owners")
            return getattr(snapshot, name)

    snapshot = machine.snapshot()
    with pytest.raises(SnapshotError, match=rf"{path}: two owners"):
        read_snapshot_file(path, Refusing())  # type: ignore[arg-type]  # it lacks them on purpose


# ---------------------------------------------------------------------- traces


def test_a_trace_file_gives_the_records_back(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    write_trace_file(path, RECORDS, units_per_second=7)
    assert path.read_text("ascii").splitlines() == list(encode_trace(RECORDS, units_per_second=7))
    trace = read_trace_file(str(path))
    assert trace.units_per_second == 7
    assert list(trace.records) == RECORDS
    assert names_in(tmp_path) == ["trace.jsonl"]


def test_a_trace_whose_records_fail_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadValueError, match=r"args\.body"):
        write_trace_file(tmp_path / "t", [PUT, CALL._replace(args={"body": b""})], units_per_second=1)
    assert names_in(tmp_path) == []


def test_a_trace_file_observes_and_continues(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceFile(path, units_per_second=7) as first:
        observer: Observer = first
        observer.transition(PUT)
    with TraceFile(path, units_per_second=7) as second:
        second.command(CALL)
        second.close()
    trace = read_trace_file(path)
    assert (trace.units_per_second, list(trace.records)) == (7, RECORDS)


def test_an_empty_file_is_begun_and_an_unused_one_holds_its_header(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.touch()
    for _ in range(2):
        TraceFile(path, units_per_second=3).close()
    assert path.read_text("ascii").splitlines() == list(encode_trace([], units_per_second=3))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"format":"jsm-trace","version":1,"units_per_second":8}\n', "line 1: units_per_second = 8: expected 7"),
        ('{"format":"jsm-trace","version":1,"units_per_second":7}\n{"seq":1', "line 2: text = 'an unfinished line'"),
        ('{"format":"jsm-trace","version":1,"units_per_second":7}', "line 1: text = 'an unfinished line'"),
        ("hello\n", "line 1: text = "),
    ],
)
def test_what_can_not_be_continued_stays_as_it_is(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(text)
    with pytest.raises(TraceError) as refused:
        TraceFile(path, units_per_second=7)
    assert str(refused.value).startswith(f"{path}, {problem}")
    assert path.read_text() == text


def test_a_machine_writes_its_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceFile(path, units_per_second=1) as file:
        machine = Machine(observer=file)
        machine.put(0, priority=0, delay_seconds=0, ttr_seconds=1, body=b"", tube=DEFAULT)
    assert list(read_trace_file(path).records) == [PUT]


def test_a_full_disk_is_named_and_no_record_follows_the_lost_ones(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    file = TraceFile(path, units_per_second=1)

    def write_much() -> None:
        for _ in range(1_000):
            file.transition(PUT)

    with files_limited_to(20_000), pytest.raises(JournalError, match=rf"{path}: can't write the trace: File too large"):
        write_much()
    with pytest.raises(JournalError, match="it is closed"):
        file.transition(PUT)
    file.close()
    assert path.stat().st_size == 20_000


def test_what_does_not_reach_the_disk_at_the_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    file = TraceFile(path, units_per_second=1)
    file.transition(PUT)
    with files_limited_to(10), pytest.raises(JournalError, match=rf"{path}: can't write the trace: File too large"):
        file.close()
    file.close()


def test_a_bad_line_names_file_and_line_when_its_turn_comes(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    write_trace_file(path, RECORDS, units_per_second=7)
    path.write_bytes(path.read_bytes() + b"\xff\n")
    records = read_trace_file(path).records
    assert [next(records), next(records)] == RECORDS
    with pytest.raises(TraceError, match=rf"{path}, line 4: text = "):
        next(records)


def test_a_bad_header_and_a_missing_trace_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with pytest.raises(JournalError, match=rf"{path}: can't read the trace: No such file or directory"):
        read_trace_file(path)
    with pytest.raises(JournalError, match=r"can't open the trace: No such file or directory"):
        TraceFile(tmp_path / "none" / "t", units_per_second=1)
    path.write_text("{}\n")
    with pytest.raises(TraceError, match=rf"{path}, line 1: format = nothing"):
        read_trace_file(path)


def test_a_trace_that_is_not_read_to_its_end_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    write_trace_file(path, RECORDS, units_per_second=7)
    before = len(list(Path("/proc/self/fd").iterdir()))
    records = read_trace_file(path).records
    next(records)
    del records
    assert len(list(Path("/proc/self/fd").iterdir())) == before
