"""A trace gives back what was written, and names line, field and value of what it can't read."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jsm.errors import BadValueError
from jsm.records import CommandRecord, Observer, Record, TransitionRecord
from jsm.states import JobState, Trigger
from jsm.trace import (
    TraceError,
    TraceWriter,
    decode_record,
    encode_command,
    encode_header,
    encode_record,
    encode_trace,
    read_trace,
)

HEADER = '{"format":"jsm-trace","version":1,"units_per_second":1000}'
TRANSITION = (
    '{"seq":3,"at":7,"job":2,"tube":"a-b","source":"reserved","trigger":"release-delayed","target":"delayed",'
    '"client":"c\\u00e9"}'
)
COMMAND = '{"seq":3,"at":7,"client":null,"op":"put","args":{"now":7,"body":"\\u00ff\\u0000"},"outcome":{"ok":2}}'
REFUSED = (
    '{"seq":3,"at":7,"client":"","op":"delete","args":{"job_id":2,"client_id":""},'
    '"outcome":{"refused":"empty-client","error":"EmptyClientError","message":"client_id is empty"}}'
)

TRANSITION_RECORD = TransitionRecord(
    3, 7, 2, "a-b", JobState.RESERVED, Trigger.RELEASE_DELAYED, JobState.DELAYED, "c\u00e9"
)
COMMAND_RECORD = CommandRecord(3, 7, None, "put", {"now": 7, "body": "\u00ff\u0000"}, {"ok": 2})
REFUSED_RECORD = CommandRecord(
    3,
    7,
    "",
    "delete",
    {"job_id": 2, "client_id": ""},
    {"refused": "empty-client", "error": "EmptyClientError", "message": "client_id is empty"},
)
RECORDS: list[Record] = [TRANSITION_RECORD, COMMAND_RECORD, REFUSED_RECORD]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
transition_records = st.builds(
    TransitionRecord,
    st.integers(1),
    st.integers(0),
    st.integers(1),
    st.text(min_size=1),
    st.sampled_from(JobState),
    st.sampled_from(Trigger),
    st.sampled_from(JobState),
    st.none() | st.text(),
)
command_records = st.builds(
    CommandRecord,
    st.integers(0),
    st.integers(0),
    st.none() | st.text(),
    st.text(min_size=1),
    st.dictionaries(st.text(), json_values, max_size=4),
    st.fixed_dictionaries({"ok": json_values})
    | st.fixed_dictionaries(
        {"refused": st.sampled_from(["missing", "unauthorized"])}, optional={"error": st.text(), "message": st.text()}
    ),
)


def test_lines_have_the_fields_in_the_documented_order() -> None:
    assert encode_header(1000) == HEADER
    assert [encode_record(record) for record in RECORDS] == [TRANSITION, COMMAND, REFUSED]


def test_lines_come_back_as_records() -> None:
    trace = read_trace([HEADER, TRANSITION, COMMAND, REFUSED])
    assert trace.units_per_second == 1000
    assert list(trace.records) == RECORDS


def test_states_and_triggers_come_back_as_enum_members() -> None:
    record = decode_record(TRANSITION)
    assert isinstance(record, TransitionRecord)
    assert record.source is JobState.RESERVED
    assert record.trigger is Trigger.RELEASE_DELAYED
    assert record.target is JobState.DELAYED


@settings(deadline=None, max_examples=60)
@given(st.lists(transition_records | command_records, max_size=4), st.integers(1, 10**9))
def test_every_trace_comes_back_equal_and_in_ascii(records: list[Record], units: int) -> None:
    lines = list(encode_trace(records, units_per_second=units))
    assert all(line.isascii() and "\n" not in line for line in lines)
    for form in (lines, [line + "\n" for line in lines], [f"{line}\r\n".encode() for line in lines]):
        trace = read_trace(form)
        assert trace.units_per_second == units
        assert list(trace.records) == records


def test_fields_are_read_in_any_order_and_further_ones_are_ignored() -> None:
    line = (
        '{"client": null, "thread": 5, "target": "ready", "trigger": "put", "source": "new", '
        '"tube": "default", "job": 1, "at": 0, "seq": 1}'
    )
    header = '{"version": 1, "units_per_second": 1, "program": "other", "format": "jsm-trace"}'
    assert list(read_trace([header, line]).records) == [
        TransitionRecord(1, 0, 1, "default", JobState.NEW, Trigger.PUT, JobState.READY, None)
    ]


def test_an_illegal_transition_is_no_matter_of_form() -> None:
    record = TransitionRecord(9, 0, 1, "default", JobState.DELETED, Trigger.KICK, JobState.NEW, None)
    assert decode_record(encode_record(record)) == record


def test_a_writer_observes_and_writes_line_by_line() -> None:
    lines: list[str] = []
    observer: Observer = TraceWriter(lines.append, units_per_second=1000)
    assert lines == [HEADER + "\n"]
    observer.transition(TRANSITION_RECORD)
    observer.command(REFUSED_RECORD)
    assert lines == [HEADER + "\n", TRANSITION + "\n", REFUSED + "\n"]


def test_records_are_read_lazily_up_to_the_first_bad_line() -> None:
    records = read_trace([HEADER, TRANSITION, "{", TRANSITION]).records
    assert next(records) == TRANSITION_RECORD
    with pytest.raises(TraceError, match="line 3"):
        next(records)


@pytest.mark.parametrize("units", [0, -1, True, 1.0])
def test_a_header_needs_whole_units(units: int) -> None:
    with pytest.raises(BadValueError, match="units_per_second"):
        encode_header(units)


@pytest.mark.parametrize(
    ("first", "field"),
    [
        ("", "text"),
        (TRANSITION, "format"),
        (HEADER.replace("jsm-trace", "jsm"), "format"),
        (HEADER.replace(':1,"', ':2,"'), "version"),
        (HEADER.replace(':1,"', ':"1","'), "version"),
        (HEADER.replace(':1,"', ':true,"'), "version"),
        (HEADER.replace('"version":1,', ""), "version"),
        (HEADER.replace("1000", "0"), "units_per_second"),
        (HEADER.replace("1000", "1.5"), "units_per_second"),
        (HEADER.replace(',"units_per_second":1000', ""), "units_per_second"),
    ],
)
def test_a_bad_header_is_refused_at_once(first: str, field: str) -> None:
    with pytest.raises(TraceError) as refused:
        read_trace([first, TRANSITION])
    assert (refused.value.line, refused.value.field) == (1, field)


def test_an_empty_trace_lacks_its_header() -> None:
    with pytest.raises(TraceError, match="line 1"):
        read_trace([])


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("", "text"),
        ("\n", "text"),
        ("[1]", "text"),
        ("{", "text"),
        (TRANSITION[:-1], "text"),
        (TRANSITION + TRANSITION, "text"),
        ("\ufeff" + TRANSITION, "text"),
        (b"\xff{}", "text"),
        (TRANSITION.replace('"at":7', '"at":7,"at":8'), "text"),
        (COMMAND.replace('"now":7', '"now":NaN'), "text"),
        (COMMAND.replace('"now":7', '"now":1e999'), "text"),
        (COMMAND.replace('"now":7', '"now":' + "9" * 5000), "text"),
        ("[" * 100_000, "text"),
        ("{}", "record"),
        (TRANSITION.replace('"job"', '"Job"'), "record"),
        (TRANSITION.replace('"job":2', '"job":2,"op":"put"'), "op"),
        (TRANSITION.replace('"seq":3,', ""), "seq"),
        (TRANSITION.replace('"seq":3', '"seq":0'), "seq"),
        (TRANSITION.replace('"seq":3', '"seq":3.0'), "seq"),
        (TRANSITION.replace('"at":7', '"at":-1'), "at"),
        (TRANSITION.replace('"at":7', '"at":true'), "at"),
        (TRANSITION.replace('"job":2', '"job":"2"'), "job"),
        (TRANSITION.replace('"job":2', '"job":0'), "job"),
        (TRANSITION.replace('"a-b"', '""'), "tube"),
        (TRANSITION.replace('"a-b"', "null"), "tube"),
        (TRANSITION.replace('"reserved"', '"RESERVED"'), "source"),
        (TRANSITION.replace('"reserved"', "[]"), "source"),
        (TRANSITION.replace('"release-delayed"', '"release_delayed"'), "trigger"),
        (TRANSITION.replace('"delayed"', '"gone"'), "target"),
        (TRANSITION.replace(',"client":"c\\u00e9"', ""), "client"),
        (TRANSITION.replace('"c\\u00e9"', "5"), "client"),
        (COMMAND.replace('"seq":3', '"seq":-1'), "seq"),
        (COMMAND.replace('"op":"put"', '"op":""'), "op"),
        (COMMAND.replace('"op":"put"', '"op":5'), "op"),
        (COMMAND.replace('"client":null,', ""), "client"),
        (COMMAND.replace('"args"', '"arguments"'), "args"),
        (COMMAND.replace('{"ok":2}', "2"), "outcome"),
        (COMMAND.replace('{"ok":2}', "{}"), "outcome"),
        (COMMAND.replace('{"ok":2}', '{"ok":2,"refused":"missing"}'), "outcome"),
        (REFUSED.replace("empty-client", "forbidden"), "outcome.refused"),
        (REFUSED.replace('"empty-client"', "null"), "outcome.refused"),
        (REFUSED.replace('"EmptyClientError"', "5"), "outcome.error"),
        (REFUSED.replace('"client_id is empty"', "[]"), "outcome.message"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_field(line: str | bytes, field: str) -> None:
    with pytest.raises(TraceError) as refused:
        list(read_trace([HEADER, TRANSITION, line]).records)
    assert (refused.value.line, refused.value.field) == (3, field)
    message = str(refused.value)
    assert message.startswith(f"line 3: {field} = ")
    assert "\n" not in message
    assert len(message) < 400


def test_a_missing_field_is_called_missing() -> None:
    with pytest.raises(TraceError, match=r"line 5: tube = nothing \(the field is missing\): expected a text"):
        decode_record(TRANSITION.replace('"tube"', '"tub"'), 5)


def test_an_error_can_name_its_file() -> None:
    with pytest.raises(TraceError) as refused:
        decode_record("{}", 5)
    named = refused.value.in_file("a.jsonl")
    assert str(named).startswith("a.jsonl, line 5: record = ")
    assert (named.line, named.field, named.file) == (5, "record", "a.jsonl")


@pytest.mark.parametrize(
    "args", [{"body": b"x"}, {"n": float("nan")}, {"n": [float("inf")]}, {"n": {1: 2}}, {"n": {3}}, {"n": object()}]
)
def test_a_value_that_would_not_come_back_is_not_written(args: Mapping[str, Any]) -> None:
    with pytest.raises(BadValueError, match=r"args\."):
        encode_command(COMMAND_RECORD._replace(args=args))


def test_an_endless_value_is_not_written() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(BadValueError, match=r"outcome\.ok"):
        encode_command(COMMAND_RECORD._replace(outcome={"ok": loop}))


def test_a_tuple_is_written_as_a_list() -> None:
    line = encode_command(COMMAND_RECORD._replace(args={"tubes": ("a", "b")}))
    assert decode_record(line) == COMMAND_RECORD._replace(args={"tubes": ["a", "b"]})
