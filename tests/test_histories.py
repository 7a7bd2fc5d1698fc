"""Histories: their form, what a bad line is told, and the recorder around real clients."""

import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from jsm.trace import TraceError
from models.histories import (
    OPERATIONS,
    REFUSALS,
    HistoryRecorder,
    Operation,
    encode_history,
    make_history,
    read_history,
)
from tests.client_histories import Habits, client_history

HEADER = '{"format":"jsm-history","version":1,"units_per_second":1000}'
DATA = Path(__file__).parent / "data" / "histories"


def line(**changes: Any) -> str:
    """A line that is right but for the changes."""
    fields = {
        "client": "a",
        "called_at": 1,
        "returned_at": 3,
        "op": "delete",
        "args": {"job_id": 7},
        "outcome": {"ok": None},
    }
    return json.dumps({**fields, **changes})


def test_what_is_written_is_read_again() -> None:
    history = client_history(3, Habits(crash=0.05))
    lines = list(encode_history(history))
    again = read_history(lines)
    assert [str(each) for each in again.operations] == [str(each) for each in history.operations]
    assert list(encode_history(again)) == lines
    assert all(text.isascii() and "\n" not in text for text in lines)


def test_lines_may_stand_in_any_order_and_know_more() -> None:
    later = line(called_at=9, returned_at=9, note="seen by a proxy")
    history = read_history([HEADER.encode() + b"\r\n", later + "\n", line()])
    assert [operation.called_at for operation in history.operations] == [1, 9]
    assert [operation.line for operation in history.operations] == [3, 2]


def test_an_operation_is_shown_in_one_line() -> None:
    history = read_history([HEADER, line(), line(client="b", returned_at=None, outcome=None)])
    assert str(history.operations[0]) == "a: delete(job_id=7) → null [1, 3]"
    assert str(history.operations[1]) == "b: delete(job_id=7) → never returned [1, …]"
    refused = history.operations[0]._replace(outcome={"refused": "not-found"})
    assert str(refused) == "a: delete(job_id=7) → not-found [1, 3]"


def test_every_operation_has_its_refusals() -> None:
    assert set(REFUSALS) == set(OPERATIONS)


RESERVE = {"tubes": ["t"], "timeout_seconds": 1}
PUT = {"tube": "t", "priority": 0, "delay_seconds": 0, "ttr_seconds": 1}

BAD_LINES = [
    (line(client=""), "client = ''"),
    (line(client=3), "client = 3"),
    (line(called_at=-1), "called_at = -1: expected an integer of at least 0"),
    (line(called_at=1.5), "called_at = 1.5"),
    (line(returned_at=0), "returned_at = 0: expected an integer of at least called_at, 1, or null"),
    (line(op="remove"), "op = 'remove': expected one of put, reserve"),
    (line(args=None), "args = None: expected an object"),
    (line(args={}), "args.job_id = None: expected an integer of at least 1"),
    (line(args={"job_id": True}), "args.job_id = True"),
    (line(args={"job_id": 0}), "args.job_id = 0"),
    (line(outcome=None), "outcome = None: expected null when, and only when, returned_at is null"),
    (line(returned_at=None), "outcome = {'ok': None}: expected null when"),
    (line(outcome={}), "outcome = {}: expected an object with either ok or refused in it"),
    (line(outcome={"ok": None, "refused": "missing"}), "either ok or refused"),
    (line(outcome={"refused": "timeout"}), "outcome.refused = 'timeout': expected one of not-found"),
    (line(outcome={"ok": 1}), "outcome.ok = 1: expected null"),
    (line(op="put", args=PUT, outcome={"ok": 0}), "outcome.ok = 0: expected an integer of at least 1"),
    (line(op="put", args={**PUT, "priority": -1}), "args.priority = -1"),
    (line(op="put", args={**PUT, "tube": ""}), "args.tube = ''"),
    (line(op="put", args={**PUT, "body": "é€"}, outcome={"ok": 1}), "args.body = 'é€': expected a text of the code"),
    (line(op="reserve", args={"tubes": ["t"]}, outcome={"refused": "timeout"}), "args.timeout_seconds = None"),
    (line(op="reserve", args={**RESERVE, "tubes": []}), "args.tubes = []: expected a list of at least one text"),
    (line(op="reserve", args={**RESERVE, "tubes": "t"}), "args.tubes = 't'"),
    (line(op="reserve", args=RESERVE, outcome={"ok": 7}), "outcome.ok = 7: expected an object with the job's job_id"),
    (line(op="reserve", args=RESERVE, outcome={"ok": {"body": ""}}), "outcome.ok.job_id = None"),
    (line(op="reserve", args=RESERVE, outcome={"ok": {"job_id": 1, "body": 5}}), "outcome.ok.body = 5"),
    ("", "text = ''"),
    ("[]", "text = '[]': expected one JSON object"),
    ('{"client":1,"client":2}', "stands in it twice"),
    (b"\xff", "text"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_LINES)
def test_a_bad_line_is_told_what_is_wrong(bad: str | bytes, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        read_history([HEADER, line(), bad])
    told = caught.value.in_file("queue.jsonl")
    assert str(told).startswith("queue.jsonl, line 3: ")
    assert message in str(told)
    assert "\n" not in str(told)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "line 1: text"),
        ('{"format":"jsm-trace","version":1,"units_per_second":1}', "format = 'jsm-trace'"),
        ('{"format":"jsm-history","version":2,"units_per_second":1}', "version = 2: expected 1"),
        ('{"format":"jsm-history","version":true,"units_per_second":1}', "version = True"),
        ('{"format":"jsm-history","version":1,"units_per_second":0}', "units_per_second = 0"),
    ],
)
def test_a_bad_header_is_told_what_is_wrong(header: str, message: str) -> None:
    with pytest.raises(TraceError, match="line 1") as caught:
        read_history([header])
    assert message in str(caught.value)


def test_a_client_does_nothing_after_its_close() -> None:
    close = line(op="close_client", args={}, returned_at=None, outcome=None)
    with pytest.raises(TraceError, match=r"line 3: client = 'a'.*close_client \(line 2\)"):
        read_history([HEADER, close, line(called_at=5, returned_at=6)])


def test_a_client_has_one_reserve_under_way() -> None:
    first = line(op="reserve", args=RESERVE, returned_at=9, outcome={"refused": "timeout"})
    second = line(op="reserve", args=RESERVE, called_at=8, returned_at=9, outcome={"refused": "timeout"})
    with pytest.raises(TraceError, match=r"line 3: called_at = 8.*line 2 returned, which it did at 9"):
        read_history([HEADER, first, second])
    lost = line(op="reserve", args=RESERVE, returned_at=None, outcome=None)
    with pytest.raises(TraceError, match="which it did never"):
        read_history([HEADER, lost, second])


def test_the_unit_of_a_made_history_is_checked() -> None:
    with pytest.raises(TraceError, match="units_per_second = 0"):
        make_history([], units_per_second=0)


class TimedOut(Exception):
    """What a client library raises."""


class Lost(Exception):
    """Another thing that it raises."""


class StepClock:
    """A clock that every look moves on."""

    def __init__(self) -> None:
        self.now = 100

    def __call__(self) -> int:
        self.now += 1
        return self.now


def test_the_recorder_notes_values_refusals_and_losses() -> None:
    recorder = HistoryRecorder(StepClock(), units_per_second=10, refusals={TimedOut: "timeout"})
    assert recorder.record("a", "put", PUT, lambda: 17, lambda value: {"ok": value}) == 17

    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(TimedOut):
        recorder.record("b", "reserve", RESERVE, lambda: fail(TimedOut()))
    with pytest.raises(Lost):
        recorder.record("a", "delete", {"job_id": 17}, lambda: fail(Lost()))
    recorder.close("a")
    history = recorder.history()
    assert history.units_per_second == 10
    assert [(o.client, o.op, o.called_at, o.returned_at, o.outcome) for o in history.operations] == [
        ("a", "put", 1, 2, {"ok": 17}),
        ("b", "reserve", 3, 4, {"refused": "timeout"}),
        ("a", "delete", 5, None, None),
        ("a", "close_client", 7, None, None),
    ]


def test_what_can_be_no_history_is_told_when_it_is_asked_for() -> None:
    recorder = HistoryRecorder(StepClock(), units_per_second=1)
    recorder.record("a", "remove", {}, lambda: None)
    with pytest.raises(TraceError, match="op = 'remove'"):
        recorder.history()


def test_threads_share_a_recorder() -> None:
    recorder = HistoryRecorder(StepClock(), units_per_second=1)

    def work(client: str) -> None:
        for _ in range(200):
            recorder.record(client, "delete", {"job_id": 1}, lambda: None)

    threads = [Thread(target=work, args=(f"c{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorder.history().operations) == 800


@pytest.mark.parametrize("path", sorted(DATA.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_example_files_are_histories(path: Path) -> None:
    with path.open("rb") as lines:
        history = read_history(lines)
    assert history.operations
    assert isinstance(history.operations[0], Operation)
