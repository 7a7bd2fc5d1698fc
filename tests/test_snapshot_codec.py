"""A snapshot file gives back the machine, and any damage to it is refused."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jsm.errors import CancelledError, SnapshotChangedError, SnapshotError
from jsm.interface import JobRecord, SnapshotHeader, TubeEntry
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.machine import Machine
from jsm.reservations import ClientResvEntry, Reservation, ReservationStatus
from jsm.snapshot_codec import (
    SnapshotEntry,
    SnapshotFormatError,
    decode_snapshot,
    encode_snapshot,
    restore_snapshot,
)
from jsm.states import LIVE_STATES, JobState
from jsm.statistics import COMMAND_NAMES

DEFAULT = TubeName("default")
A, B, C = ClientID("a"), ClientID("b"), ClientID("c\u00e9\udc80")

HEADER = SnapshotHeader(
    units_per_second=10,
    max_job_size=65_535,
    clock=100,
    next_job_id=9,
    record_seq=50,
    next_bury_number=3,
    total_jobs=8,
    job_timeouts=1,
    commands={name: place for place, name in enumerate(COMMAND_NAMES)},
    tubes=(TubeEntry(DEFAULT), TubeEntry(TubeName("a-b"), 5, 150, 3, 2, 1)),
    jobs=3,
    clients=3,
)
READY = JobView(JobID(1), DEFAULT, b"a", 0, 0, 60, JobState.READY, 0, 0, 0, 0, None, 0, 0, 0, 0, 0)
JOBS = [
    JobRecord(READY),
    JobRecord(
        READY._replace(
            id=JobID(4),
            body=bytes(range(256)),
            priority=2**32 - 1,
            state=JobState.RESERVED,
            expires_at=700,
            reserved_by=C,
            reserves=2,
        )
    ),
    JobRecord(
        READY._replace(id=JobID(8), tube=TubeName("a-b"), body=b"", state=JobState.BURIED, buried_at=9, buries=1), 2
    ),
]
CLIENTS = [
    ClientResvEntry(B, owed=Reservation("r1", B, ReservationStatus.MATCHED, JobID(4), b'\r\n"\xff')),
    ClientResvEntry(A, DEFAULT, (DEFAULT, TubeName("a-b")), True, "r2", (TubeName("a-b"),), None, 690),
    ClientResvEntry(C, None, (), True, "", (DEFAULT,), 120, 120),
]
ENTRIES: list[SnapshotEntry] = [HEADER, *JOBS, *CLIENTS]


class FakeSnapshot:
    """Gives entries out and notes what it is offered, without a machine behind it."""

    def __init__(
        self,
        header: SnapshotHeader = HEADER,
        jobs: Iterable[JobRecord] = (),
        clients: Iterable[ClientResvEntry] = (),
    ) -> None:
        self._given = (header, list(jobs), list(clients))
        self.offered: list[SnapshotEntry] = []
        self.end = "open"
        self.refuse_id = 0
        self.cancel_at = 0

    def header(self) -> SnapshotHeader:
        return self._given[0]

    def snapshot_jobs(self) -> Iterator[JobRecord]:
        return iter(self._given[1])

    def snapshot_clients(self) -> Iterator[ClientResvEntry]:
        return iter(self._given[2])

    def restore_header(self, header: SnapshotHeader) -> None:
        self.offered.append(header)

    def restore_jobs(self, jobs: Iterable[JobRecord]) -> None:
        for record in jobs:
            if record.job.id == self.refuse_id:
                raise SnapshotError(f"job {record.job.id} is no good")
            if record.job.id == self.cancel_at:
                raise CancelledError("cancelled")
            self.offered.append(record)

    def restore_clients(self, clients: Iterable[ClientResvEntry]) -> None:
        self.offered.extend(clients)

    def cancel_restore(self) -> None:
        self.end = "cancelled"

    def finalize_restore(self) -> None:
        self.end = "finalized"


def encoded() -> list[bytes]:
    return list(encode_snapshot(FakeSnapshot(HEADER, JOBS, CLIENTS)))


def checked(*contents: bytes) -> bytes:
    """A file of lines with the right checksums, whatever they say."""
    crc, lines = 0, []
    for content in contents:
        crc = crc32(content + b" ", crc)
        lines.append(b"%b %08x\n" % (content, crc))
    return b"".join(lines)


def contents() -> list[bytes]:
    return [line[:-10] for line in encoded()]


def changed(line: int, old: bytes, new: bytes) -> bytes:
    """The small snapshot with a change in a line (from 1) and checksums to match."""
    lines = contents()
    assert lines[line - 1].count(old) >= 1
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    return checked(*lines)


def refused(data: bytes) -> SnapshotFormatError:
    with pytest.raises(SnapshotFormatError) as info:
        list(decode_snapshot([data]))
    return info.value


# ---------------------------------------------------------------------- form


def test_the_lines_are_as_documented() -> None:
    header, first, *_, last = encoded()
    assert header.startswith(b'jsm-snapshot {"version":1,"units_per_second":10,"max_job_size":65535,"clock":100,')
    assert first.startswith(b'job [1,"default","a",0,0,60,"ready",0,0,0,0,null,0,0,0,0,0,0] ')
    assert last.startswith(b'end {"jobs":3,"clients":3} ')
    assert all(re.fullmatch(rb"[\x20-\x7e]+ [0-9a-f]{8}\n", line) for line in encoded())
    assert b"".join(encoded()) == checked(*contents())


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_bytes_cut_anywhere_give_the_entries_back(size: int) -> None:
    data = b"".join(encoded())
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(decode_snapshot([b"", *pieces, b""])) == ENTRIES


def test_commands_and_tubes_keep_their_order() -> None:
    header = next(decode_snapshot(encoded()))
    assert isinstance(header, SnapshotHeader)
    assert list(header.commands) == list(COMMAND_NAMES)
    assert header.tubes == HEADER.tubes


def test_decoding_is_lazy() -> None:
    given: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        for line in encoded():
            given.append(line)
            yield line

    entries = decode_snapshot(chunks())
    next(entries)
    next(entries)
    assert len(given) == 2


counts = st.integers(0, 2**70)
names = st.text(st.characters(codec="utf-8"), max_size=5)
instants = st.none() | counts


@st.composite
def snapshots(draw: st.DrawFn) -> FakeSnapshot:
    jobs = st.builds(
        JobRecord,
        st.builds(
            JobView,
            *(counts, names, st.binary(max_size=9), counts, counts, counts, st.sampled_from(LIVE_STATES)),
            *(counts, counts, counts, counts, st.none() | names, counts, counts, counts, counts, counts),
        ),
        counts,
    )
    owed = st.builds(
        Reservation, names, names, st.sampled_from(ReservationStatus), counts, st.binary(max_size=9), st.none()
    )
    tubes = st.lists(names, max_size=3).map(tuple)
    clients = st.builds(
        ClientResvEntry,
        *(names, st.none() | names, tubes, st.booleans(), names, tubes, instants, instants, st.none() | owed),
    )
    job_list, client_list = draw(st.lists(jobs, max_size=3)), draw(st.lists(clients, max_size=3))
    tube_entries = st.builds(TubeEntry, names, counts, instants, counts, counts, counts)
    headers = st.builds(
        SnapshotHeader,
        *(counts for _ in range(8)),
        st.dictionaries(names, counts, max_size=3),
        st.lists(tube_entries, max_size=3).map(tuple),
        st.just(len(job_list)),
        st.just(len(client_list)),
    )
    return FakeSnapshot(draw(headers), job_list, client_list)


@settings(deadline=None, max_examples=50)
@given(snapshots())
def test_every_snapshot_comes_back_equal(snapshot: FakeSnapshot) -> None:
    entries = [snapshot.header(), *snapshot.snapshot_jobs(), *snapshot.snapshot_clients()]
    assert list(decode_snapshot(encode_snapshot(snapshot))) == entries


# ---------------------------------------------------------------------- damage


def test_every_flipped_bit_is_refused() -> None:
    data = b"".join(encoded())
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises(SnapshotFormatError):
                list(decode_snapshot([bytes(damaged)]))


def test_every_cut_is_refused_and_says_where() -> None:
    data = b"".join(encoded())
    for length in range(len(data)):
        error = refused(data[:length])
        assert error.line == data[:length].count(b"\n") + 1
        assert error.offset == data.rfind(b"\n", 0, length) + 1


def test_every_missing_byte_and_every_doubled_byte_is_refused() -> None:
    data = b"".join(encoded())
    for place in range(len(data)):
        refused(data[:place] + data[place + 1 :])
        refused(data[:place] + data[place : place + 1] + data[place:])


def test_lines_swapped_lost_or_doubled_are_refused() -> None:
    lines = encoded()
    for first in range(len(lines)):
        refused(b"".join(lines[:first] + lines[first + 1 :]))
        for second in range(len(lines) + 1):
            refused(b"".join([*lines[:second], lines[first], *lines[second:]]))
        for second in range(first + 1, len(lines)):
            swapped = list(lines)
            swapped[first], swapped[second] = swapped[second], swapped[first]
            refused(b"".join(swapped))


def test_equal_lines_can_not_be_doubled_or_lost_either() -> None:
    same = [JOBS[0]] * 3
    lines = list(encode_snapshot(FakeSnapshot(replace(HEADER, clients=0), same, [])))
    refused(b"".join(lines[:2] + lines[1:]))
    refused(b"".join(lines[:2] + lines[3:]))


def test_two_files_in_one_are_refused() -> None:
    data = b"".join(encoded())
    assert "goes on" in refused(data + data).problem
    assert "goes on" in refused(data + b"\n").problem


@pytest.mark.parametrize("data", [b"", b"\n", b"\x00" * 50, b"PK\x03\x04", b'{"format":"jsm-trace"}\n', b"end {} "])
def test_another_file_is_refused(data: bytes) -> None:
    assert refused(data).line == 1


def test_an_error_says_what_is_wrong_where_and_what_to_do() -> None:
    lines = encoded()
    lines[2] = lines[2].replace(b"4294967295", b"4294967294")
    error = refused(b"".join(lines))
    assert (error.line, error.offset) == (3, len(lines[0]) + len(lines[1]))
    found = lines[2][-9:-1].decode()
    assert re.fullmatch(
        rf"line 3, byte \d+: the checksum is b'{found}' where [0-9a-f]{{8}} belongs: this line or one before it was "
        r"changed, moved, doubled or lost; take another copy of the file",
        str(error),
    )
    assert str(error.in_file("x.snapshot")).startswith("x.snapshot, line 3, byte ")


# ---------------------------------------------------------------------- sense, with right checksums


@pytest.mark.parametrize(
    ("line", "old", "new", "named"),
    [
        (1, b'"version":1', b'"version":2', "version = 2"),
        (1, b'"version":1', b'"version":true', "version = True"),
        (1, b'"version":1,', b"", "version = None"),
        (1, b'"clock":100', b'"clock":-1', "clock = -1"),
        (1, b'"clock":100', b'"clock":1.5', "clock = 1.5"),
        (1, b'"clock"', b'"clocks"', "clock = None"),
        (1, b'"commands":{', b'"commands":5,"x":{', "commands = 5"),
        (1, b'"put":0', b'"put":"0"', "commands.put = '0'"),
        (1, b'"tubes":[', b'"tubes":5,"x":[', "tubes = 5"),
        (1, b'["default",0,null', b'["default",0', "tube = "),
        (1, b'["default",0,null', b'["default",0,-1', "tube.pause_ends_at = -1"),
        (1, b'["default",0,null', b"[5,0,null", "tube.name = 5"),
        (1, b'{"version":1', b'[{"version":1', "no JSON"),
        (2, b"job [1,", b"job [true,", "id = True"),
        (2, b"job [1,", b'job ["1",', "id = '1'"),
        (2, b"job [1,", b"job [", "job = "),
        (2, b"job [1,", b"job [1,1,", "job = "),
        (2, b'"default"', b"null", "tube = None"),
        (2, b'"a"', b'"\\u0100"', "body = "),
        (2, b'"a"', b"1", "body = 1"),
        (2, b'"ready"', b'"gone"', "state = 'gone'"),
        (2, b'"ready"', b'"new"', "state = 'new'"),
        (2, b'"ready"', b"[]", "state = []"),
        (2, b"null", b"5", "reserved_by = 5"),
        (2, b",0]", b",-1]", "bury_number = -1"),
        (2, b"0,0]", b"null,0]", "kicks = None"),
        (2, b"job ", b"tube ", "b'tube'"),
        (2, b"job ", b"jsm-snapshot ", "'jsm-snapshot'"),
        (2, b"job [1,", b"job [1e5,", "id = 100000.0"),
        (2, b"job [", b"job " + b"[" * 100_000, "no JSON"),
        (5, b'"b"', b"null", "client_id = None"),
        (5, b"false", b"0", "is_waiting = 0"),
        (5, b'"Matched"', b'"matched"', "owed.status = 'matched'"),
        (5, b'"Matched",4', b'"Matched",-4', "owed.job_id = -4"),
        (5, b'["r1"', b'[5,"r1"', "owed = "),
        (6, b'"default",["default"', b'5,["default"', "uses = 5"),
        (6, b'["default"', b'[5,"default"', "watches = 5"),
        (6, b'["default","a-b"]', b"null", "watches = None"),
        (6, b'"r2"', b"null", "request_id = None"),
        (6, b"690", b'"690"', "tick_at = '690'"),
        (7, b"120", b"-120", "deadline_at = -120"),
        (8, b'"jobs":3', b'"jobs":4', "the end line 4"),
        (8, b'"jobs":3', b'"jobs":"3"', "the end line '3'"),
        (8, b'"clients":3', b'"clients":3.0', "the end line 3.0"),
    ],
)
def test_a_wrong_value_is_refused_by_name_though_its_checksum_is_right(
    line: int, old: bytes, new: bytes, named: str
) -> None:
    error = refused(changed(line, old, new))
    assert error.line == line
    assert named in error.problem


def test_counts_of_header_and_lines_have_to_agree() -> None:
    lines = contents()
    assert "the file holds 2" in refused(checked(*lines[:2], *lines[3:])).problem
    assert "the file holds 2" in refused(checked(*lines[:-2], lines[-1])).problem


def test_jobs_come_before_clients() -> None:
    lines = contents()
    lines[2], lines[5] = lines[5], lines[2]
    assert "has no place here" in refused(checked(*lines)).problem


# ---------------------------------------------------------------------- encoding what can't be


def test_streams_that_do_not_hold_what_the_header_announces_are_not_written() -> None:
    for jobs, clients in ((JOBS[1:], CLIENTS), (JOBS, CLIENTS[1:])):
        with pytest.raises(SnapshotError, match="the header announces 3 jobs and 3 clients"):
            list(encode_snapshot(FakeSnapshot(HEADER, jobs, clients)))


def test_what_would_not_come_back_is_not_written() -> None:
    halves = ClientID("\ud83d\ude00")
    failed = Reservation("r", A, ReservationStatus.ERROR, error=OSError("disk"))
    for client in (ClientResvEntry(halves), ClientResvEntry(A, request_id=halves), ClientResvEntry(A, owed=failed)):
        with pytest.raises(SnapshotError, match="no file can hold"):
            list(encode_snapshot(FakeSnapshot(replace(HEADER, jobs=0, clients=1), [], [client])))
    owner = JobRecord(READY._replace(reserved_by=halves))
    with pytest.raises(SnapshotError, match="no file can hold"):
        list(encode_snapshot(FakeSnapshot(replace(HEADER, jobs=1, clients=0), [owner], [])))


# ---------------------------------------------------------------------- restoring


def test_a_restore_offers_everything_in_order_and_finalizes() -> None:
    target = FakeSnapshot()
    restore_snapshot(target, encoded())
    assert target.offered == ENTRIES
    assert target.end == "finalized"


def test_a_damaged_last_line_still_cancels_the_restore() -> None:
    target = FakeSnapshot()
    with pytest.raises(SnapshotFormatError):
        restore_snapshot(target, encoded()[:-1])
    assert target.end == "cancelled"


def test_an_entry_that_the_machine_refuses_is_located() -> None:
    target = FakeSnapshot()
    target.refuse_id = 4
    with pytest.raises(SnapshotFormatError, match=r"line 3, byte .* refuses the entry: job 4 is no good") as info:
        restore_snapshot(target, encoded())
    assert isinstance(info.value.__context__, SnapshotError)
    assert target.end == "cancelled"


def test_a_cancelled_restore_and_a_failing_source_drop_what_was_offered() -> None:
    target = FakeSnapshot()
    target.cancel_at = 4
    with pytest.raises(CancelledError):
        restore_snapshot(target, encoded())
    assert target.end == "cancelled"

    def broken() -> Iterator[bytes]:
        yield from encoded()[:3]
        raise OSError("the disk went away")

    target = FakeSnapshot()
    with pytest.raises(OSError, match="the disk went away"):
        restore_snapshot(target, broken())
    assert target.end == "cancelled"


def test_a_machine_that_leaves_entries_is_noticed() -> None:
    class Lazy(FakeSnapshot):
        def restore_jobs(self, jobs: Iterable[JobRecord]) -> None:
            next(iter(jobs))

    target = Lazy()
    with pytest.raises(SnapshotFormatError, match="the machine left this entry"):
        restore_snapshot(target, encoded())
    assert target.end == "cancelled"


def busy_machine() -> Machine:
    """Jobs in all four states, a waiting client, a paused tube, a client that is owed an answer."""
    machine = Machine(units_per_second=10)
    other = TubeName("other")
    for place in range(6):
        tube = DEFAULT if place < 5 else other
        delay = 30 if place == 4 else 0
        machine.put(place, priority=place % 3, delay_seconds=delay, ttr_seconds=5, body=bytes([place, 255]), tube=tube)
    machine.use_tube(A, other)
    machine.pause_tube(10, other, 20)
    for client in (A, B):
        machine.append_reservation(11, client, request_id="r", tubes=[DEFAULT], deadline_at=None)
    machine.bury(12, JobID(4), B, priority=9)
    machine.append_reservation(13, B, request_id="late", tubes=[other], deadline_at=100)
    machine.append_reservation(13, C, request_id="c", tubes=[TubeName("new")], deadline_at=None)
    machine.put(14, priority=0, delay_seconds=0, ttr_seconds=5, body=b"", tube=TubeName("new"))
    machine.append_reservation(14, ClientID("d"), request_id="d", tubes=[TubeName("new")], deadline_at=None)
    return machine


def test_a_machine_comes_back_and_goes_on_as_the_original() -> None:
    machine, copy = busy_machine(), Machine()
    data = b"".join(encode_snapshot(machine.snapshot()))
    restore_snapshot(copy.snapshot(), [data])
    assert b"".join(encode_snapshot(copy.snapshot())) == data
    for now in range(14, 400, 3):
        assert copy.next_tick_at() == machine.next_tick_at()
        assert copy.tick(now) == machine.tick(now)
    assert b"".join(encode_snapshot(copy.snapshot())) == b"".join(encode_snapshot(machine.snapshot()))


def test_a_damaged_file_leaves_the_machine_as_it_was() -> None:
    data = b"".join(encode_snapshot(busy_machine().snapshot()))
    machine = Machine()
    machine.put(3, priority=1, delay_seconds=0, ttr_seconds=1, body=b"mine", tube=DEFAULT)
    before = b"".join(encode_snapshot(machine.snapshot()))
    for length in range(0, len(data), 97):
        with pytest.raises(SnapshotError):
            restore_snapshot(machine.snapshot(), [data[:length]])
        assert b"".join(encode_snapshot(machine.snapshot())) == before


def test_a_machine_that_changes_meanwhile_is_not_written() -> None:
    machine = busy_machine()
    lines = encode_snapshot(machine.snapshot())
    next(lines)
    next(lines)
    machine.delete(JobID(1), A)
    with pytest.raises(SnapshotChangedError):
        list(lines)
