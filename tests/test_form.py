"""The lines of a journal file: what was written is read back, and whatever is not exactly so is refused."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from jsm.journal import JournalDamagedError
from jsm.journal.form import JournalHeader, JournalReader, encode_header, seal

PATH = Path("journal")
HEADER = JournalHeader(7, 1_000_000, 65_535, 12, 1_700_000_000_000_000_000, 0xABC)
RECORDS = [
    '{"after":0,"op":"put","args":{"now":0,"body":"a\\u0000\u00ff\U0001f40d"}',
    '{"after":1,"op":"tick","args":{"now":1}',
    '{"after":1,"op":"close_client","args":{"client_id":"},\\"crc\\":\\"00000000\\"}","now":1}',
]


def text(header: JournalHeader = HEADER) -> bytes:
    """A file."""
    line, crc = encode_header(header)
    lines = [line]
    for record in RECORDS:
        line, crc = seal(record, crc)
        lines.append(line)
    return b"".join(lines)


def read(data: bytes) -> tuple[JournalHeader | None, list[tuple[int, str, Any]], bool]:
    """The header, the records, and whether a torn line stands behind them."""
    reader = JournalReader(PATH, data)
    records = [(record.after, record.op, record.args) for _, record in reader.records()]
    return reader.header, records, reader.is_torn


def test_what_was_written_is_read_back() -> None:
    header, records, is_torn = read(text())
    assert header == HEADER
    assert [(after, op) for after, op, _ in records] == [(0, "put"), (1, "tick"), (1, "close_client")]
    assert records[0][2] == {"now": 0, "body": "a\0\u00ff\U0001f40d"}
    assert records[2][2] == {"client_id": '},"crc":"00000000"}', "now": 1}
    assert not is_torn


def test_offsets_end_and_checksum_are_those_of_the_lines() -> None:
    data = text()
    reader = JournalReader(PATH, data + bytes(100))
    starts = [place + 1 for place, value in enumerate(data) if value == 10]
    assert [offset for offset, _ in reader.records()] == starts[:-1]
    assert reader.end == len(data)
    assert f'"crc":"{reader.crc:08x}"}}\n'.encode() == data[-18:]


@pytest.mark.parametrize("wall", [None, 0, 1, -5])
def test_headers_are_read_back(wall: int | None) -> None:
    header = HEADER._replace(wall_nanoseconds=wall)
    line, crc = encode_header(header)
    reader = JournalReader(PATH, line)
    assert (reader.header, reader.crc, reader.is_bare) == (header, crc, True)


def test_every_beginning_is_the_whole_records_before_its_end() -> None:
    data = text()
    whole = read(data)[1]
    for end in range(len(data) + 1):
        for tail in (b"", bytes(3)):
            header, records, is_torn = read(data[:end] + tail)
            lines = data.count(b"\n", 0, end)
            assert header == (HEADER if lines else None)
            assert records == whole[: max(0, lines - 1)]
            assert is_torn is (end > 0 and data[end - 1] != 10)


def spoilt(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each byte changed, a few ways; the last line feed, which tells a whole line from a torn one, to a letter only."""
    random = Random(2)
    for place in range(len(data)):
        values = {data[place] ^ 1 << bit for bit in range(8)} | {random.randrange(1, 256), 10, 34}
        for value in sorted(values - {data[place], 0}):
            yield place, data[:place] + bytes([value]) + data[place + 1 :]


def test_every_changed_byte_is_refused() -> None:
    data = text()
    for place, changed in spoilt(data):
        with pytest.raises(JournalDamagedError) as refused:
            read(changed)
        assert refused.value.offset <= place


def test_a_byte_that_became_zero_is_a_hole_in_the_last_line_and_damage_before_it() -> None:
    data = text()
    last = data.rindex(b"\n", 0, -1) + 1
    for place in range(len(data)):
        changed = data[:place] + b"\0" + data[place + 1 :]
        if place >= last:
            assert read(changed)[2]
        else:
            with pytest.raises(JournalDamagedError):
                read(changed)


def test_a_file_that_is_none_is_refused_with_a_remedy() -> None:
    for data in (b"hello", b"hello\n", b"{}\n", b"\n", b"jsm-snapshot {} 00000000\n"):
        with pytest.raises(JournalDamagedError, match=r"journal, byte 0: .*; put a good copy of it in its place"):
            read(data)


@pytest.mark.parametrize("data", [b"", bytes(10), b"{", b'{"format":"jsm-jour', text()[:50], text()[:50] + bytes(10)])
def test_a_file_that_was_being_made_holds_nothing(data: bytes) -> None:
    reader = JournalReader(PATH, data)
    assert reader.header is None
    assert reader.is_bare
    assert list(reader.records()) == []


def test_a_file_with_a_torn_record_is_not_bare() -> None:
    header = text().index(b"\n") + 1
    assert JournalReader(PATH, text()[:header]).is_bare
    assert JournalReader(PATH, text()[:header] + bytes(9)).is_bare
    assert not JournalReader(PATH, text()[: header + 1]).is_bare


def test_json_that_is_none_is_refused_even_if_its_checksum_fits() -> None:
    line, crc = encode_header(HEADER)
    for record in ('{"after":0,,', '{"after":' + "[" * 100_000):
        with pytest.raises(JournalDamagedError, match="no JSON text stands in the line"):
            read(line + seal(record, crc)[0])


def test_half_a_character_can_not_be_sealed() -> None:
    with pytest.raises(UnicodeEncodeError):
        seal('{"after":"\ud83d"', 0)
