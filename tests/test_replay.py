"""The calls of a journal or trace, made again: nothing differs, or it is said where."""

import json
import re
from pathlib import Path

import pytest

from jsm import __main__ as door
from jsm.journal import SYNC_NEVER, open_journal, read_trace_file, write_snapshot_file
from jsm.journal.form import seal
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord
from jsm.trace import TraceWriter
from models.replay import JournalReplay, replay_trace
from models.verify import verify_trace
from tests.journalled import HISTORY, IN_VAIN, made
from tests.machines import random_history


def journal(folder: Path, *, compact_after: int = 0) -> Path:
    """A folder with the history in it."""
    with open_journal(folder, sync=SYNC_NEVER) as machine:
        for place, call in enumerate(HISTORY, 1):
            made(machine, call)
            if place == compact_after:
                machine.compact()
    return folder


def trace_of(calls: int) -> list[str]:
    """The lines of a trace of a random history."""
    lines: list[str] = []
    machine = ObservedMachine(observer=TraceWriter(lines.append, units_per_second=2), units_per_second=2)
    for call in random_history(4, calls=calls, second=2):
        made(machine, call)
    return lines


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The exit code, what was printed, what was said on standard error."""
    code = door.main(["replay", *map(str, arguments)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


# ---------------------------------------------------------------------- journals


@pytest.mark.parametrize("compact_after", [0, 20])
def test_a_journal_is_made_again_and_nothing_is_written(tmp_path: Path, compact_after: int) -> None:
    journal(tmp_path, compact_after=compact_after)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replay = JournalReplay(tmp_path)
    records = list(replay.records())
    machine = Machine()
    for call in HISTORY:
        made(machine, call)
    result = replay.result
    assert result.verdict == "holds"
    assert result.calls == (len(HISTORY) - len(IN_VAIN) if not compact_after else 17)
    assert result.jobs == {str(state): count for state, count in machine.count_jobs().items()}
    assert sum(isinstance(record, CommandRecord) for record in records) == result.calls
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_journal_becomes_a_trace_that_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    journal(folder)
    code, shown, _ = run(capsys, folder, "--trace", tmp_path / "trace.jsonl")
    assert code == 0
    assert re.match(
        rf"{folder}: holds\n  \d+ calls made again, with an empty machine; the clock is 20\n  jobs: ", shown
    )
    with (tmp_path / "trace.jsonl").open("rb") as lines:
        assert verify_trace(lines).verdict == "holds"
    calls = [
        record for record in read_trace_file(tmp_path / "trace.jsonl").records if isinstance(record, CommandRecord)
    ]
    assert [call.op for call in calls] == [call.op for call in HISTORY if call not in IN_VAIN]


def test_a_file_stands_for_all_up_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal(tmp_path)
    with open_journal(tmp_path) as machine:
        made(machine, HISTORY[-2])
    code, shown, _ = run(capsys, tmp_path / "journal.0000000001.jsonl", "--json")
    first = json.loads(shown)
    code, shown, _ = run(capsys, tmp_path, "--json")
    both = json.loads(shown)
    assert (code, first["verdict"], both["verdict"]) == (0, "holds", "holds")
    assert first["calls"] < both["calls"]
    assert sum(both["jobs"].values()) == sum(first["jobs"].values()) + 1


def test_a_call_that_comes_at_another_place_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As if the machine that wrote it had decided otherwise."""
    path = journal(tmp_path) / "journal.0000000001.jsonl"
    crc, lines = 0, []
    for line in path.read_bytes().splitlines():
        text = line[:-18].decode()
        sealed, crc = seal(text.replace('"after":2,', '"after":3,'), crc)
        lines.append(sealed)
    path.write_bytes(b"".join(lines))
    code, shown, _ = run(capsys, tmp_path)
    assert code == 1
    offset = len(b"".join(lines[:5]))
    assert f"{path}, byte {offset}: the first difference\n  call     a call of append_reservation(" in shown
    assert "\n  written  made after transition 3\n  machine  has made 2 transitions before it\n" in shown
    code, shown, _ = run(capsys, tmp_path, "--json")
    assert json.loads(shown)["finding"]["written"] == "made after transition 3"


def test_a_journal_that_is_damaged_missing_or_torn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, tmp_path)
    assert (code, error) == (
        2, f"jsm replay: {tmp_path}: holds no journal file; name the folder of a journal, or a trace\n"
    )  # fmt: skip
    path = journal(tmp_path) / "journal.0000000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    code, shown, _ = run(capsys, tmp_path)
    assert code == 0
    assert f"  note: {path}, byte " in shown
    path.write_bytes(whole.replace(b"kick", b"kcik", 1))
    code, _, error = run(capsys, tmp_path)
    assert code == 2
    assert error.startswith(f"jsm replay: {path}, byte ")
    assert error.count("\n") == 1
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    assert run(capsys, tmp_path, "--quiet") == (3, "", "")


# ---------------------------------------------------------------------- traces


def test_a_trace_is_made_again() -> None:
    lines = trace_of(500)
    result = replay_trace("trace", lines)
    assert result.verdict == "holds"
    assert result.calls == 500


def test_the_first_difference_of_a_trace_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = trace_of(300)
    puts = [place for place, line in enumerate(lines) if '"op":"put"' in line and '"ok":' in line]
    place = puts[10]
    lines[place] = re.sub(r'"ok":\d+', '"ok":99', lines[place])
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(lines))
    code, shown, _ = run(capsys, path)
    assert code == 1
    assert f"{path}, line {place + 1}: the first difference\n  call     a call of put(" in shown
    assert "\n  written  99\n  machine  the answer 11\n" in shown
    finding = json.loads(run(capsys, path, "--json")[1])["finding"]
    assert finding["place"] == f"{path}, line {place + 1}"


def test_a_trace_that_begins_in_the_middle_needs_its_snapshot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    machine = ObservedMachine(observer=TraceWriter(lines.append, units_per_second=1))
    for call in HISTORY[:20]:
        made(machine, call)
    write_snapshot_file(tmp_path / "snapshot", machine.snapshot())
    del lines[1:]
    for call in HISTORY[20:]:
        made(machine, call)
    lines[0] = lines[0].replace("}", ',"begins":"middle"}')
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(lines))
    code, _, error = run(capsys, path)
    assert code == 2
    problem = "begins = 'middle': expected a snapshot of the machine where the trace begins: use --snapshot"
    assert error == f"jsm replay: {path}:1: {problem}\n"
    code, shown, _ = run(capsys, path, "--snapshot", tmp_path / "snapshot")
    assert (code, shown.split("\n")[0]) == (0, f"{path}: holds")


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal(tmp_path)
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(trace_of(3)))
    history = tmp_path / "history.jsonl"
    history.write_text('{"format":"jsm-history"}\n')
    cases = [
        ((tmp_path, "--snapshot", trace), "--snapshot is for traces, and this is a journal"),
        ((trace, "--trace", tmp_path / "out"), "--trace is for journals, and this is a trace already"),
        ((trace, "--snapshot", tmp_path / "none"), "--snapshot: "),
        ((history,), "is a history, which has no calls of a machine; jsm verify checks it"),
        ((tmp_path / "none",), "none: No such file or directory; name a trace that can be read"),
        ((tmp_path, "--trace", tmp_path / "none" / "x"), "can't write the trace: No such file or directory"),
    ]
    for arguments, problem in cases:
        code, shown, error = run(capsys, *arguments)
        assert (code, shown) == (2, ""), arguments
        assert problem in error
        assert error.startswith("jsm replay: ")
        assert error.count("\n") == 1


def test_transitions_alone_are_no_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in trace_of(50) if '"op"' not in line]
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(lines))
    code, shown, _ = run(capsys, path)
    assert code == 3
    assert "note: the trace holds transitions only: there is no call to make; jsm verify checks them" in shown
