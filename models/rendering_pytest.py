"""A counterexample as a test: the calls on the public API, and one assertion that the faulty machine fails.

What is asserted is what the specification says: of the last call's answer if that differs, else of the first thing
in which the two worlds can be told apart from outside. What the test looks at is tried here first, in the very words
that are written down. Where nothing differs, the machine that was given shows no fault, and the test asserts what the
specification says of the last call's answer.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from textwrap import wrap
from typing import Any, Final

from jsm.errors import BadValueError
from jsm.machine import Machine
from models.calls import Call
from models.finding import Counterexample
from models.named_calls import RELOAD
from models.observations import Observation, literal, observations
from models.rendering_steps import headline
from models.retelling import Made, play, play_by_specification
from models.unrolled import unrolled

MACHINE: Final = "jsm:Machine"
"""Where a test finds a machine if nothing else is said: module and name."""

_ROUNDS: Final = 3
"""How often a loop is repeated in search of a difference; a fault that needs more rounds has a longer loop."""

_WIDTH: Final = 110
_TARGET: Final = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")

_STATUS: Final = {"queued": "QUEUED", "matched": "MATCHED", "deadline-soon": "DEADLINE_SOON", "timeout": "TIMEOUT"}
_ANSWER: Final = ("request_id", "client_id", "status", "job_id", "body")
_STATISTICS: Final = ("get_stats_job_as_yaml", "get_stats_tube_as_yaml", "get_stats_as_yaml")

_RESTORED: Final = '''\
def restored(machine):
    """A new machine, restored from a snapshot."""
    source, heir = machine.snapshot(), {make}
    target = heir.snapshot()
    target.restore_header(source.header())
    target.restore_jobs(source.snapshot_jobs())
    target.restore_clients(source.snapshot_clients())
    target.finalize_restore()
    return heir
'''
_SAME_HEADER: Final = "assert machine.snapshot().header() == header"
_RECORDS: Final = '''\
class Records(list):
    """An observer that keeps the transitions."""

    def transition(self, record):
        self.append(tuple(record))
'''


def target_of_maker(make_machine: Callable[..., Machine]) -> str:
    """Where a test can import what makes the machine, as `module:name`; `jsm:Machine` where there is no such place."""
    module, name = getattr(make_machine, "__module__", ""), getattr(make_machine, "__qualname__", "")
    target = f"{module}:{name}"
    if make_machine is Machine or module == "__main__" or not _TARGET.fullmatch(target):
        return MACHINE
    return target


def as_test(counterexample: Counterexample, make_machine: Callable[..., Machine], target: str) -> str:
    """The test's source, which imports what makes the machine from `target`, as `module:name`.

    Raises `BadValueError` for a target of another form.
    """
    place = _TARGET.fullmatch(target)
    if place is None:
        raise BadValueError("target", target, "a module and a name in it, such as jsm:Machine")
    cut = _cut(counterexample, make_machine)
    test = _Test(cut, make_machine, f"from {place[1]} import {place[2]} as make_machine")
    return test.source()


def _cut(counterexample: Counterexample, make_machine: Callable[..., Machine]) -> Counterexample:
    """A loop as some rounds of it, up to the call that the specification answers otherwise, if there is one."""
    if counterexample.loop_start is None:
        return counterexample
    units = counterexample.units_per_second
    clocks = [made.clock for made, _ in play_by_specification(counterexample.calls, units)]
    start = counterexample.loop_start
    period = clocks[-1] - (clocks[start - 1] if start else 0)
    calls = unrolled(counterexample, _ROUNDS, period)
    both = zip_longest(play(calls, make_machine, units), play_by_specification(calls, units))
    for place, ((made, _), (expected, _)) in enumerate(both):
        if not _alike(made, expected):
            calls = calls[: place + 1]
            break
    return replace(counterexample, calls=calls)


def _alike(made: Made, expected: Made) -> bool:
    """Whether two calls ended alike and left alike worlds."""
    return _answers_alike(made.call, made.outcome, expected.outcome) and made.after == expected.after


def _answers_alike(call: Call, outcome: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    if call.op in _STATISTICS and "ok" in outcome and "ok" in expected:
        return all(outcome["ok"].get(key) == value for key, value in expected["ok"].items())
    return outcome.items() == expected.items()


class _Test:
    """The parts of a test, put together."""

    def __init__(self, counterexample: Counterexample, make_machine: Callable[..., Machine], imported: str) -> None:
        self._counterexample = counterexample
        self._make_machine = make_machine
        self._imported = imported
        self._units = counterexample.units_per_second
        self._made = [made for made, _ in self._play()]
        for expected, spec in play_by_specification(counterexample.calls, self._units):
            self._expected: Made = expected
            self._spec = spec
        self._body: list[str] = []
        self._records = False

    def source(self) -> str:
        """The whole file."""
        *before, last = self._made
        for made in before:
            self._body += _statement(made)
        self._body += self._last(last)
        make = self._maker()
        names = sorted(set(re.findall(r"\b(?:[A-Z]\w+Error|JsmError|ReservationStatus)\b", "\n".join(self._body))))
        imports = [f"from jsm import {', '.join(names)}"] if names else []
        if any("pytest." in line for line in self._body):
            imports = ["import pytest", "", *imports]
        helpers = ""
        if any("restored(" in line for line in self._body):
            helpers += f"\n\n{_RESTORED.replace('{make}', make)}"
        if self._records:
            helpers += f"\n\n{_RECORDS}"
        body = "\n".join(f"    {line}" if line else "" for line in [*self._first(make), *self._body])
        head = "\n".join([*imports, self._imported])
        return f"{self._docstring()}\n\n{head}\n{helpers}\n\ndef {test_name(self._counterexample)}() -> None:\n{body}\n"

    def _play(self) -> Iterator[tuple[Made, Machine]]:
        return play(self._counterexample.calls, self._make_machine, self._units)

    def _maker(self) -> str:
        """The expression that makes a machine."""
        settings = [] if self._units == 1 else [f"units_per_second={self._units}"]
        return f"make_machine({', '.join([*settings, *(['observer=records'] if self._records else [])])})"

    def _first(self, make: str) -> list[str]:
        return [*(["records = Records()"] if self._records else []), f"machine = {make}"]

    def _docstring(self) -> str:
        finding = self._counterexample.finding
        lines = [headline(self._counterexample) + ".", "", *_wrapped(f"{finding.text}."), ""]
        lines += [*_wrapped(f"Found: {finding.found}"), *_wrapped(f"Expected: {finding.expected}")]
        if self._counterexample.loop_start is not None:
            lines += ["", "The last calls repeat for ever; here they are some rounds of them."]
        text = "\n".join(lines).replace("\\", "\\\\").replace('"', '\\"' if '"""' in "".join(lines) else '"')
        return f'"""{text}\n"""'

    def _last(self, made: Made) -> list[str]:
        """The last call and the assertion."""
        expected = self._expected
        counted = dict(self._spec.commands)  # before anybody looks at anything, which counts
        if not _answers_alike(made.call, made.outcome, expected.outcome):
            return _asserted(made.call, made.outcome, expected.outcome)
        found = self._difference()
        if found is not None:
            return [*_statement(made), "", *_observed(found)]
        records = [tuple(record) for record in expected.records]
        if [tuple(record) for record in made.records] != records:
            self._records = True
            return [*_statement(made, "records.clear()"), "", *_assert("records", [_texts(each) for each in records])]
        commands = self._machine().snapshot().header().commands
        for name in counted:
            if commands.get(name) != counted[name] and made.call.op != RELOAD:
                count = f'machine.snapshot().header().commands["{name}"]'
                return [*_statement(made), "", *_assert(count, counted[name])]
        if made.call.op == RELOAD:  # nothing that can be asked for shows it: counters of commands do not count looks
            return ["header = machine.snapshot().header()", "machine = restored(machine)", "", _SAME_HEADER]
        return _asserted(made.call, made.outcome, expected.outcome)

    def _difference(self) -> Observation | None:
        """The first observation that the machine does not pass, seen right after the last call."""
        if self._spec.stopped or "crashed" in self._made[-1].outcome:
            return None
        for tried in observations(self._spec):
            if not tried.holds(self._machine()):
                return tried
        return None

    def _machine(self) -> Machine:
        """A machine after all calls, on which nobody has looked at anything."""
        for _, machine in self._play():
            last = machine
        return last


def _wrapped(text: str) -> list[str]:
    return wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def test_name(counterexample: Counterexample) -> str:
    """The name of the test function, after the finding."""
    name = re.sub(r"\W+", "_", counterexample.finding.name.lower()).strip("_")
    return f"test_{name or 'counterexample'}"


def _texts(record: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(str(part) if isinstance(part, str) else part for part in record)


def _call(call: Call) -> str:
    """The call as an expression."""
    parts = [*map(literal, call.args), *(f"{name}={literal(value)}" for name, value in call.kwargs.items())]
    return f"machine.{call.op}({', '.join(parts)})"


def _statement(made: Made, before: str = "") -> list[str]:
    """A call whose answer is as it should be."""
    call, outcome = made.call, made.outcome
    head = [before] if before else []
    if call.op == RELOAD:
        return [*head, "machine = restored(machine)"]
    if "refused" in outcome:
        return [*head, f"with pytest.raises(JsmError):  # {outcome['refused']}", *_broken(f"    {_call(call)}")]
    lines = _broken(_call(call))
    if call.op == "put":
        lines[-1] += f"  # job {outcome.get('ok')}"
    return [*head, *lines]


def _asserted(call: Call, outcome: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """The call with an assertion of what the specification answers."""
    text = _call(call)
    if call.op == RELOAD:
        return ["machine = restored(machine)"]
    if "refused" in expected:
        return [
            "with pytest.raises(JsmError) as refused:",
            *_broken(f"    {text}"),
            f"assert refused.value.refusal == {literal(expected['refused'])}",
        ]
    value, found = expected.get("ok"), outcome.get("ok")
    if call.op == "tick" and isinstance(value, list):
        return _told(text, value, found)
    if call.op in ("append_reservation", "reserve_job") and isinstance(value, tuple):
        fields = [field for field, right, wrong in zip_longest(_ANSWER, value, found or ()) if right != wrong]
        kept = [field for field in _ANSWER if field in fields or field in ("status", "job_id")]
        values = dict(zip(_ANSWER, value, strict=True))
        seen = ", ".join(f"answer.{field}" for field in kept)
        return [*_broken(f"answer = {text}"), f"assert ({seen}) == ({', '.join(_field(f, values[f]) for f in kept)})"]
    if isinstance(value, Mapping):
        key, right = next((pair for pair in value.items() if (found or {}).get(pair[0]) != pair[1]), ("", ""))
        return [f"assert {literal(f'{key}: {right}'.encode())} in {text}.splitlines()"]
    if value is None:
        return _broken(text) if "ok" not in outcome else _assert(text, None)
    return _assert(text, value)


def _told(text: str, value: list[Any], found: object) -> list[str]:
    """A tick whose answers are asserted, by client, status and job, and by the rest where only that differs."""
    known: Sequence[str] = ("client_id", "status", "job_id")
    places = [_ANSWER.index(field) for field in known]
    wrong = found if isinstance(found, list) else []
    if [[each[place] for place in places] for each in value] == [[each[place] for place in places] for each in wrong]:
        known = _ANSWER
        places = list(range(len(_ANSWER)))
    seen = ", ".join(f"answer.{field}" for field in known)
    answers = [
        f"({', '.join(_field(field, each[place]) for field, place in zip(known, places, strict=True))})"
        for each in value
    ]
    return [f"answers = {text}", *_listed(f"assert [({seen}) for answer in answers] == ", answers)]


def _field(name: str, value: Any) -> str:
    return f"ReservationStatus.{_STATUS[value]}" if name == "status" else literal(value)


def _observed(found: Observation) -> list[str]:
    """The assertion of an observation."""
    if isinstance(found.expected, type):
        return [f"with pytest.raises({found.expected.__name__}):", f"    {found.expression}"]
    if found.expected is True:
        return [f"assert {found.expression}"]
    return _assert(found.expression, found.expected)


def _assert(text: str, value: object) -> list[str]:
    """An assertion of equality."""
    if value is None:
        return [f"assert {text} is None"]
    if isinstance(value, list):
        return _listed(f"assert {text} == ", list(map(literal, value)))
    return _broken(f"assert {text} == {literal(value)}")


def _listed(head: str, entries: Sequence[str]) -> list[str]:
    """A line that ends in a list, one entry a line where it would be too long."""
    line = f"{head}[{', '.join(entries)}]"
    return [line] if len(line) + 4 <= _WIDTH else [f"{head}[", *(f"    {entry}," for entry in entries), "]"]


def _broken(line: str) -> list[str]:
    """A line, broken after an opening parenthesis where it is too long to be read."""
    if len(line) + 4 <= _WIDTH or "(" not in line or not line.endswith(")"):
        return [line]
    head, _, rest = line.partition("(")
    indent = " " * (len(line) - len(line.lstrip()))
    return [f"{head}(", f"{indent}    {rest[:-1]}", f"{indent})"]
