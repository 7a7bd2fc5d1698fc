"""Traces that are kept, verified and written."""

from pathlib import Path

import pytest

from jsm.errors import BadValueError
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord
from models.recorder import TraceRecorder
from models.verify import verify_trace
from tests.machines import driver_of
from tests.mutants.timer_faults import OneSecondLate


def recorded(make_machine: type[Machine], *, second: int = 1, max_job_size: int = 65535) -> TraceRecorder:
    """A short life with a delay, on a machine of a class."""
    recorder = TraceRecorder(units_per_second=second, max_job_size=max_job_size)
    settings = {"units_per_second": second, "max_job_size": max_job_size}
    machine = ObservedMachine(observer=recorder, make_machine=make_machine, **settings)
    d = driver_of(machine, second=second)
    d.put(delay=1)
    d.tick_at(second)
    return recorder


def test_a_trace_that_holds() -> None:
    recorder = recorded(Machine, second=4)
    assert len(recorder) == 4
    assert recorder.lines()[0] == '{"format":"jsm-trace","version":1,"units_per_second":4}'
    assert recorder.finding() is None


def test_a_trace_that_does_not_hold() -> None:
    recorder = recorded(OneSecondLate)
    found = recorder.finding()
    assert found is not None
    assert found.startswith("record 3, ")
    assert ": expected " in found
    recorder.is_checked = True
    assert recorder.finding() is None


def test_nothing_recorded_is_nothing_found() -> None:
    assert TraceRecorder().finding() is None


def test_the_file_can_be_verified(tmp_path: Path) -> None:
    recorder = recorded(Machine, max_job_size=1)
    path = tmp_path / "new" / "trace.jsonl"
    recorder.write(path)
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].endswith('"units_per_second":1,"max_job_size":1}')
    result = verify_trace(lines)
    assert (result.verdict, result.records) == ("holds", 4)


def test_what_is_no_json_is_refused_at_once() -> None:
    recorder = TraceRecorder()
    with pytest.raises(BadValueError):
        recorder.command(CommandRecord(0, 0, None, "tick", {"now": object()}, {"ok": None}))
    assert len(recorder) == 0
