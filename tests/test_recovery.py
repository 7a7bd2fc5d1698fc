"""What is recovered from files, and what is refused: every cut, every changed byte, every file that is missing."""

import re
from pathlib import Path
from random import Random

import pytest

from jsm.errors import JsmError
from jsm.journal import JournalDamagedError, JournalError, JournalUnfitError
from jsm.journal.form import JournalReader, encode_header, seal
from jsm.journal.recovery import journal_path, list_folder, recover, snapshot_path
from models.calls import Call
from tests.journalled import FOLDER, HISTORY, made, opened, put, recovered_states, state_of
from tests.machines import Parts
from tests.simulated_disk import Inode, SimulatedDisk


@pytest.fixture(scope="module")
def states() -> list[Parts]:
    """What recovery gives after each number of calls."""
    return recovered_states(HISTORY)


def written(*, compact_after: int = 0) -> SimulatedDisk:
    """A disk with the history on it, closed."""
    disk = SimulatedDisk()
    durable = opened(disk, file_size=100_000)
    for place, call in enumerate(HISTORY, 1):
        made(durable, call)
        if place == compact_after:
            durable.compact()
    durable.close()
    return disk


def chained() -> SimulatedDisk:
    """A snapshot and several journal files behind it, closed."""
    disk = SimulatedDisk()
    durable = opened(disk, file_size=1_000)
    for place in range(40):
        made(durable, put(place, b"x" * 200))
    durable.compact()
    for place in range(25):
        made(durable, put(40 + place))
        durable.before_replies()
    durable.close()
    return disk


def names(disk: SimulatedDisk) -> list[str]:
    return sorted(name for name in disk.seen if name != "lock")


def changed(disk: SimulatedDisk, name: str, content: bytes | None) -> SimulatedDisk:
    """A disk on which a file has another content, or is missing."""
    copy = disk.survivor()
    if content is None:
        del copy.seen[name]
    else:
        copy.seen[name] = Inode(bytearray(content), content)
    return copy


def content(disk: SimulatedDisk, name: str) -> bytes:
    return bytes(disk.seen[name].seen)


JOURNAL = "journal.0000000001.jsonl"


def test_a_file_that_ends_anywhere_is_recovered_up_to_its_last_whole_record(states: list[Parts]) -> None:
    disk = written()
    whole = content(disk, JOURNAL)
    header = whole.index(b"\n") + 1
    feeds = [place for place, value in enumerate(whole) if value == 10]
    for end in sorted(
        {*range(0, len(whole), 29), *(feed + by for feed in feeds for by in (0, 1, 2))} - {len(whole) + 1}
    ):
        durable = opened(changed(disk, JOURNAL, whole[:end]))
        assert state_of(durable) in states, end
        torn = end > header and whole[end - 1 : end] != b"\n"
        assert bool(durable.warnings) is torn, end
        if torn:
            start = whole.rindex(b"\n", 0, end) + 1
            warning = f"/simulated/{JOURNAL}, byte {start}: the last record is not finished and was cut off"
            assert durable.warnings == (warning,)


def test_zero_bytes_behind_the_end_are_the_reserve(states: list[Parts]) -> None:
    disk = written()
    durable = opened(changed(disk, JOURNAL, content(disk, JOURNAL) + bytes(5_000)))
    assert durable.warnings == ()
    assert state_of(durable) == states[-1]


def test_any_changed_byte_is_refused_with_its_place() -> None:
    disk = written()
    whole = content(disk, JOURNAL)
    random = Random(1)
    for place in range(0, len(whole) - 1, 23):  # each byte: tests/test_form.py
        for value in {whole[place] ^ 1 << random.randrange(8), random.randrange(1, 256), 0x0A} - {whole[place]}:
            spoilt = changed(disk, JOURNAL, whole[:place] + bytes([value]) + whole[place + 1 :])
            with pytest.raises(JournalDamagedError) as refused:
                opened(spoilt)
            assert refused.value.offset <= place
            assert whole.count(b"\n", refused.value.offset, place) == 0, "the line is named"
            assert re.fullmatch(rf"/simulated/{JOURNAL}, byte \d+: .+; .+", str(refused.value))
            assert content(spoilt, JOURNAL) == whole[:place] + bytes([value]) + whole[place + 1 :], "nothing is changed"


def test_a_changed_last_byte_and_bytes_behind_it_are_refused() -> None:
    disk = written()
    whole = content(disk, JOURNAL)
    for spoilt in (whole[:-1] + b"x", whole + b"x", whole + b"\n", whole + b"\0x", whole + b"x\n"):
        if b"\0" in spoilt:
            assert opened(changed(disk, JOURNAL, spoilt)).warnings  # as a disk leaves a write that was not finished
            continue
        with pytest.raises(JournalDamagedError):
            opened(changed(disk, JOURNAL, spoilt))


def test_a_last_line_with_a_hole_is_torn_and_one_before_it_is_damage(states: list[Parts]) -> None:
    disk = written()
    whole = content(disk, JOURNAL)
    last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    durable = opened(changed(disk, JOURNAL, whole[: last + 5] + bytes(10) + whole[last + 15 :]))
    assert len(durable.warnings) == 1
    assert state_of(durable) in states
    with pytest.raises(JournalDamagedError, match=rf"byte {last}: the checksum does not fit.*truncate -s {last} "):
        opened(changed(disk, JOURNAL, whole[:last] + bytes(10) + b"\n" + whole[last:]))


def test_lines_that_are_lost_moved_or_doubled_are_refused() -> None:
    disk = written()
    lines = content(disk, JOURNAL).splitlines(keepends=True)
    for place in range(1, len(lines) - 1):
        for spoilt in (
            [*lines[:place], *lines[place + 1 :]],
            [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]],
            [*lines[:place], lines[place], *lines[place:]],
        ):
            with pytest.raises(JournalDamagedError, match=r"changed, moved, doubled or lost|was changed"):
                opened(changed(disk, JOURNAL, b"".join(spoilt)))


def test_giving_up_as_the_remedy_says_works(states: list[Parts]) -> None:
    disk = written()
    whole = content(disk, JOURNAL)
    spoilt = whole.replace(b'"op":"kick_n"', b'"op":"kick_m"')
    with pytest.raises(JournalDamagedError) as refused:
        opened(changed(disk, JOURNAL, spoilt))
    found = re.search(r"truncate -s (\d+) /simulated/journal.0000000001.jsonl", refused.value.remedy)
    assert found
    durable = opened(changed(disk, JOURNAL, spoilt[: int(found[1])]))
    assert state_of(durable) == states[HISTORY.index(Call("kick_n", ("default", 5), {"now": 6}))]


def test_a_missing_file_is_refused_and_named() -> None:
    disk = chained()
    journals, snapshots = list_folder(disk, FOLDER)[:2]
    assert len(journals) > 2
    assert len(snapshots) == 1
    for number in journals[:-1]:
        path = journal_path(FOLDER, number)
        with pytest.raises(JournalDamagedError, match=rf"{path.name}, byte 0: the file is missing; put it back"):
            opened(changed(disk, path.name, None))
    with pytest.raises(JournalDamagedError, match=r"journal\.0000000001\.jsonl, byte 0: the file is missing"):
        opened(changed(disk, snapshot_path(FOLDER, snapshots[0]).name, None))


def test_files_that_are_swapped_or_not_of_one_journal_are_refused() -> None:
    disk = chained()
    journals = list_folder(disk, FOLDER).journals
    first, second = (journal_path(FOLDER, number).name for number in journals[1:3])
    with pytest.raises(
        JournalDamagedError, match=rf"{first}, byte 0: it is number {journals[2]} of the journal; rename"
    ):
        opened(changed(disk, first, content(disk, second)))
    with pytest.raises(JournalDamagedError, match=rf"{second}, byte 0: it does not follow {first} as that is now"):
        opened(changed(disk, second, _resealed(disk, second)))


def _resealed(disk: SimulatedDisk, name: str) -> bytes:
    """The file with a header that follows something else, and records that fit it."""
    reader = JournalReader(Path(name), content(disk, name))
    assert reader.header is not None
    line, crc = encode_header(reader.header._replace(follows=1))
    lines = [line]
    for text in content(disk, name).splitlines()[1:]:
        sealed, crc = seal(text[:-18].decode(), crc)
        lines.append(sealed)
    return b"".join(lines)


def test_a_torn_line_with_records_in_later_files_is_damage() -> None:
    disk = chained()
    first = journal_path(FOLDER, list_folder(disk, FOLDER).journals[1]).name
    whole = content(disk, first)
    with pytest.raises(JournalDamagedError, match="the line is not finished, and later files hold records; put a good"):
        opened(changed(disk, first, whole[:-4]))
    with pytest.raises(JournalDamagedError, match="the header is not finished, and later files hold records"):
        opened(changed(disk, first, whole[:10]))
    with pytest.raises(JournalDamagedError, match="the header is not finished, and later files hold records"):
        opened(changed(disk, first, b""))


def test_a_damaged_snapshot_is_passed_over_where_older_files_hold_all_of_it(states: list[Parts]) -> None:
    """As after a crash before they were removed; else it is refused."""
    disk = SimulatedDisk()
    kept: dict[str, bytes] = {}
    durable = opened(disk, file_size=100_000)
    for place, call in enumerate(HISTORY, 1):
        made(durable, call)
        if place in (10, 20):
            kept |= {name: content(disk, name) for name in names(disk)}
            durable.compact()
    durable.close()
    newest = max(name for name in names(disk) if name.startswith("snapshot"))
    spoilt = changed(disk, newest, content(disk, newest).replace(b"job ", b"jab ", 1))
    with pytest.raises(JournalDamagedError, match=rf"{newest}, byte \d+: the checksum is .*; take another copy of the"):
        opened(spoilt)
    for name in [name for name in kept if name not in spoilt.seen]:
        spoilt.seen[name] = Inode(bytearray(kept[name].rstrip(b"\0")), kept[name])
    again = opened(spoilt)
    assert state_of(again) == states[-1]
    assert len(again.warnings) == 1
    assert again.warnings[0].endswith("; older files held all of it and were used")
    again.close()
    assert opened(spoilt).warnings == ()


def test_older_files_do_not_stand_for_a_journal_file_that_is_missing() -> None:
    """They end where the snapshot begins; what came after it would be lost without a word."""
    disk = SimulatedDisk()
    durable = opened(disk, file_size=100_000)
    made(durable, put(0))
    older = {name: content(disk, name).rstrip(b"\0") for name in names(disk)}
    durable.compact()
    made(durable, put(0))
    durable.close()
    newest = list_folder(disk, FOLDER).journals[-1]
    snapshot = snapshot_path(FOLDER, newest).name
    spoilt = changed(disk, snapshot, content(disk, snapshot)[:-9])
    for name, kept in older.items():
        spoilt.seen[name] = Inode(bytearray(kept), kept)
    assert len(state_of(opened(spoilt.survivor())).jobs) == 2
    del spoilt.seen[journal_path(FOLDER, newest).name]
    with pytest.raises(JournalDamagedError, match=rf"{journal_path(FOLDER, newest).name}, byte 0: the file is missing"):
        opened(spoilt)
    spoilt.seen[snapshot] = Inode(bytearray(content(disk, snapshot)))
    with pytest.raises(JournalDamagedError, match=rf"{journal_path(FOLDER, newest).name}, byte 0: the file is missing"):
        opened(spoilt)


def test_a_record_that_does_not_fit_the_machine_is_refused() -> None:
    """As when another version of the program decides otherwise than the one that wrote it."""
    disk = written()
    lines = content(disk, JOURNAL).splitlines()

    def spoilt(place: int, old: str, new: str) -> SimulatedDisk:
        crc, sealed = 0, []
        for number, line in enumerate(lines):
            text = line[:-18].decode()
            data, crc = seal(text.replace(old, new) if number == place else text, crc)
            sealed.append(data)
        return changed(disk, JOURNAL, b"".join(sealed))

    cases = [
        (
            4,
            '"after":1',
            '"after":2',
            "the call was made after transition 2, and the machine has made 1; use the version",
        ),
        (3, '"op":"put"', '"op":"get_job"', "'get_job' with these arguments is no call"),
        (3, '"op":"put"', '"op":"__init__"', "'__init__' with these arguments is no call"),
        (3, '"body"', '"bodies"', "'put' with these arguments is no call"),
        (3, '"tube":', '"pipe":', "'put' with these arguments is no call"),
        (3, "\\u0000", "\N{SNOWMAN}", "'put' with these arguments is no call"),
        (3, '"after"', '"before"', "the line is no record; use the program that wrote it"),
        (3, '"args":{', '"args":[{', "no JSON text stands in the line"),
        (0, '"version":1', '"version":2', "version = 2: expected 1; use the program that wrote it"),
        (0, '"jsm-journal"', '"jsm-trace"', "format = 'jsm-trace': expected 'jsm-journal'; name a journal file"),
        (0, '"clock":', '"cluck":', "the line is no header"),
        (0, '"follows":"0', '"follows":"x', "the line is no header"),
        (0, '"wall_nanoseconds":null', '"wall_nanoseconds":"x"', "the line is no header"),
    ]
    for place, old, new, problem in cases:
        with pytest.raises(JournalDamagedError, match=re.escape(problem)):
            opened(spoilt(place, old, new))


def test_nothing_is_written_by_a_recovery_that_is_refused_or_only_looks() -> None:
    disk = chained()
    before = {name: content(disk, name) for name in names(disk)}
    found = recover(disk, FOLDER, units_per_second=1, max_job_size=65_535)
    assert found.records > 5
    assert {name: content(disk, name) for name in names(disk)} == before


def test_what_can_not_be_read_is_named() -> None:
    disk = written(compact_after=15)

    def refuse(call: str) -> None:
        def fail(_disk: SimulatedDisk, made_call: str) -> None:
            if made_call == call:
                raise OSError(5, "Input/output error")

        disk.before_call = fail

    refuse("names")
    with pytest.raises(JournalError, match="/simulated: can't read the folder: Input/output error"):
        opened(disk)
    refuse("read")
    with pytest.raises(JournalError, match=r"snapshot\.0000000002: can't read the snapshot: Input/output error"):
        opened(disk)
    no_snapshot = written()
    no_snapshot.before_call = disk.before_call
    with pytest.raises(JournalError, match=r"journal\.0000000001\.jsonl: can't read the journal: Input/output error"):
        opened(no_snapshot)


def test_beanstalkds_own_files_are_not_taken_for_an_empty_folder() -> None:
    disk = SimulatedDisk()
    disk.seen["binlog.1"] = Inode()
    with pytest.raises(JournalUnfitError, match=r"holds binlog\.1, a file of beanstalkd's own binlog.*another folder"):
        opened(disk)
    assert names(disk) == ["binlog.1"]


def test_names_that_are_not_the_journals_are_left_alone() -> None:
    disk = SimulatedDisk()
    foreign = ["journal.1.jsonl", "journal.0000000001.jsonl.bak", "notes.txt", "snapshot.old"]
    for name in foreign:
        disk.seen[name] = Inode(bytearray(b"mine"))
    durable = opened(disk)
    made(durable, put(0))
    durable.compact()
    durable.close()
    assert [name for name in foreign if content(disk, name) == b"mine"] == foreign
    assert len(state_of(opened(disk)).jobs) == 1


def test_every_error_is_one_line_with_a_reply() -> None:
    error = JournalDamagedError(Path("a/journal"), 7, "it is wrong", "mend it")
    assert str(error) == "a/journal, byte 7: it is wrong; mend it"
    assert isinstance(error, JsmError)
    assert error.wire_reply == "INTERNAL_ERROR"
