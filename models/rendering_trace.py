"""A counterexample as a trace: JSON Lines that `jsm.trace` reads, and that give the counterexample back.

The header carries one field more than a trace's, which readers of traces ignore:

    "counterexample": {"finding": {…}, "loop_start": null, "reloads": [2], "crashed": null}

`reloads` are the places among the calls at which a machine was restored from a snapshot, which is no operation and
has no record; `crashed` is the last call if it neither returned nor was refused, which no record can say.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.observed import ObservedMachine, to_json
from jsm.records import CommandRecord, Record
from jsm.trace import TraceError, encode_header, encode_record, read_trace
from models.calls import Call
from models.finding import Counterexample, Finding, reloaded
from models.named_calls import RELOAD, NamedCall, named, signature_of, unnamed

_FIELD: Final = "counterexample"


class _Records(list[Record]):
    """An observer that keeps records of both kinds."""

    def transition(self, record: Record) -> None:
        self.append(record)

    command = transition


def trace(counterexample: Counterexample, make_machine: Callable[..., Machine]) -> str:
    """The calls on a new machine, as lines of a trace. A loop is recorded once."""
    records = _Records()
    machine = ObservedMachine(
        observer=records, units_per_second=counterexample.units_per_second, make_machine=make_machine
    )
    crashed: Mapping[str, Any] | None = None
    for call in counterexample.calls:
        try:
            if call.op == RELOAD:
                machine.machine = reloaded(
                    machine.machine,
                    lambda: make_machine(units_per_second=counterexample.units_per_second, observer=records),
                )
            else:
                getattr(machine, call.op)(*call.args, **call.kwargs)
        except JsmError:
            continue  # recorded as refused
        except Exception:
            crashed = {"op": call.op, "args": _arguments(call)}
            break
    lines = [_header(counterexample, crashed), *map(encode_record, records)]
    return "\n".join(lines) + "\n"


def counterexample_of(lines: Iterable[str]) -> Counterexample:
    """The counterexample that a trace of one carries. Raises `TraceError` when it is none, or not well formed."""
    lines = list(lines)
    units, records = read_trace(lines)
    note = json.loads(lines[0]).get(_FIELD)
    if not isinstance(note, dict):
        raise TraceError(1, _FIELD, note, "the finding, as a counterexample's trace carries it")
    try:
        finding = Finding(**note["finding"])
        loop_start, reloads, crashed = note["loop_start"], list(note["reloads"]), note["crashed"]
        calls = [_call(record.op, record.args) for record in records if isinstance(record, CommandRecord)]
        if crashed is not None and crashed["op"] != RELOAD:
            calls.append(_call(crashed["op"], crashed["args"]))
        for place in reloads:
            calls.insert(place, Call(RELOAD))
    except (KeyError, TypeError) as error:
        raise TraceError(1, _FIELD, note, f"a finding with all its fields ({error})") from None
    return Counterexample(tuple(calls), finding, units, loop_start)


def _header(counterexample: Counterexample, crashed: Mapping[str, Any] | None) -> str:
    """The first line: a trace's, and what makes it a counterexample."""
    note = {
        "finding": counterexample.finding._asdict(),
        "loop_start": counterexample.loop_start,
        "reloads": [place for place, call in enumerate(counterexample.calls) if call.op == RELOAD],
        "crashed": crashed,
    }
    return encode_header(counterexample.units_per_second, **{_FIELD: note})


def _arguments(call: Call) -> Mapping[str, Any]:
    found = named(call)
    args = call.kwargs if found is None else found.args
    return {name: to_json(value) for name, value in args.items()}


def _call(op: str, args: Mapping[str, Any]) -> Call:
    """A recorded call: a body is bytes again, and what lists names is a tuple."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in args.items()}
    body = values.get("body")
    if op == "put" and isinstance(body, str):
        values["body"] = body.encode("latin-1")
    try:
        signature_of(op).bind(**values)
    except (AttributeError, TypeError):
        return Call(op, (), values)
    return unnamed(NamedCall(op, values))
