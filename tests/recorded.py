"""Traces to verify: recorded on machines, spoilt record by record, as text."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord, Record, TransitionRecord
from jsm.states import JobState, Trigger
from jsm.trace import encode_record, encode_trace
from models.calls import Call
from models.verify import verify_trace
from models.verify_result import TraceFinding, VerifyResult
from tests.machines import Notes, driver_of, random_history


def recorded(calls: Iterable[Call], *, make_machine: Callable[..., Machine] = Machine, second: int = 1) -> list[Record]:
    """What a machine says of these calls."""
    notes = Notes()
    machine = ObservedMachine(observer=notes, make_machine=make_machine, units_per_second=second)
    for call in calls:
        with contextlib.suppress(JsmError):
            getattr(machine, call.op)(*call.args, **call.kwargs)
    return notes.records


def random_records(seed: int, *, calls: int, second: int = 1) -> list[Record]:
    """A recorded random history, refusals included."""
    return recorded(random_history(seed, calls=calls, second=second), second=second)


def short_story() -> list[Record]:
    """A recorded history of every trigger, of a wait, a pause and a refusal."""
    notes = Notes()
    d = driver_of(ObservedMachine(observer=notes))
    d.hold("a", ttr=5)
    d.call("touch", 0, 1, "a")
    d.call("release", 1, "a")
    d.put("u")
    d.put("t", pri=3, delay=2)
    d.ask("b", "t", "default")
    d.call("release_with", 0, 1, "b", priority=4, delay_seconds=1)
    d.at(1).tick()
    d.ask("b", "t", until=9)
    d.tick_at(2)
    with contextlib.suppress(JsmError):
        d.call("delete", 3, "c")
    d.call("bury", 2, 3, "b", priority=7)
    d.call("kick", 3)
    d.at(3).call("reserve_job", 3, 3, "a")
    d.call("pause_tube", 3, "t", 4)
    d.call("close_client", "a")
    d.call("peek_ready_job", "t")
    d.ask("b", "t", until=6)
    d.tick_at(7)
    d.tick_at(67)
    d.put(delay=1)
    d.call("kick_n", "default", 2)
    d.call("delete", 4, "c")
    d.call("get_tubes")
    return notes.records


def transitions_of(records: Iterable[Record]) -> list[Record]:
    """The transitions alone."""
    return [record for record in records if isinstance(record, TransitionRecord)]


def calls_of(records: Iterable[Record]) -> list[Record]:
    """The calls alone."""
    return [record for record in records if isinstance(record, CommandRecord)]


def lines_of(records: Iterable[Record], *, second: int = 1, **header: Any) -> list[str]:
    """A trace, with more in its header if wanted."""
    first, *rest = encode_trace(records, units_per_second=second)
    return [f"{json.dumps({**json.loads(first), **header})}\n", *(f"{line}\n" for line in rest)]


def check(records: Iterable[Record], *, second: int = 1, go_on: bool = False, **header: Any) -> VerifyResult:
    """The verdict on records, once they were written and read."""
    return verify_trace(lines_of(records, second=second, **header), go_on=go_on)


def only_finding(result: VerifyResult) -> TraceFinding:
    """The one finding of a trace that is violated."""
    assert result.verdict == "violated"
    (finding,) = result.findings
    return finding


def rows(*texts: str) -> list[Record]:
    """Transitions out of lines `seq at job tube source trigger target client`, `-` for nobody."""
    records: list[Record] = []
    for text in texts:
        seq, at, job, tube, source, trigger, target, client = text.split()
        edge = (JobState(source), Trigger(trigger), JobState(target))
        who = None if client == "-" else client
        records.append(TransitionRecord(int(seq), int(at), int(job), tube, *edge, who))
    return records


# ---------------------------------------------------------------------- single mutations


class Mutant(NamedTuple):
    """A trace in which one record is another than it was."""

    what: str
    lines: list[str]


def single_mutations(records: list[Record]) -> Iterator[Mutant]:
    """Every record left out, doubled, exchanged with the next, and with each of its fields changed."""
    header, *lines = lines_of(records)
    for place, record in enumerate(records):
        before, line, after = lines[:place], lines[place], lines[place + 1 :]
        where = f"record {place + 1} {'-'.join(_about(record))}"
        yield Mutant(f"{where} left out", [header, *before, *after])
        yield Mutant(f"{where} doubled", [header, *before, line, line, *after])
        if after and after[0] != line:
            yield Mutant(f"{where} exchanged", [header, *before, after[0], line, *after[1:]])
        for path, value in _changes(json.loads(encode_record(record)), ()):
            changed = json.loads(line)
            _set(changed, path, value)
            text = f"{json.dumps(changed)}\n"
            yield Mutant(f"{where} {'.'.join(map(str, path))} = {value!r}", [header, *before, text, *after])


def _about(record: Record) -> tuple[str, str]:
    if isinstance(record, CommandRecord):
        return record.op, next(iter(record.outcome))
    return str(record.trigger), str(record.job)


def _changes(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Other values for each part of a JSON value."""
    match value:
        case dict():
            for name, part in value.items():
                if path == ("outcome",) and name in ("error", "message"):
                    continue  # in words of its own
                yield from _changes(part, (*path, name))
        case list():
            if value:
                yield path, value[:-1]
                yield path, [*value, value[0]]
            for place, part in enumerate(value):
                yield from _changes(part, (*path, place))
        case None:
            yield path, "z"
            yield path, 1
        case bool():
            yield path, not value
        case int():
            yield path, value + 1
            yield path, value - 1
            yield path, None
        case str():
            words = [*JobState, *Trigger, "missing", "unauthorized", "wrong-state", "bad-value"]
            yield from ((path, str(word)) for word in words if path[-1] in _WORDS and word != value)
            yield path, f"{value}z"
            yield path, None


_WORDS = ("source", "trigger", "target", "refused", "state")


def _set(fields: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        fields = fields[step]
    fields[path[-1]] = value
