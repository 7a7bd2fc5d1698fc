"""A counterexample as a Mermaid sequence diagram, and a strict check of the little of Mermaid that it uses.

Source of the syntax: the documentation of Mermaid, "Sequence diagrams": one statement a line, `;` ends a statement,
`#` begins a character's code, and the word `end` closes a block wherever it stands alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from models.call_words import caller_of, name_of
from models.finding import Counterexample
from models.rendering_steps import headline, instant, round_length
from models.retelling import Step, Story

_SPECIAL: Final = re.compile(r'[;#<>{}"%\\`|\x00-\x1f\x7f]|(?<!\w)end(?!\w)', re.IGNORECASE)
_WIDTH: Final = 60
"""Characters of a note's line: a note as wide as a screen is not read."""

_MACHINE, _CALLER, _TIME = "M", "P", "T"
_TEXT: Final = r"(?:[^;#<>{}\"%\\`|\x00-\x1f\x7f]|#\d+;|<br/>)+"
_ID: Final = r"(?:M|P|T|C\d+)"
_STATEMENTS: Final = (
    ("begin", r"sequenceDiagram"),
    ("participant", rf"participant (?P<id>{_ID}) as {_TEXT}"),
    ("message", rf"(?P<from>{_ID})(?:->>|-->>)(?P<to>{_ID}): {_TEXT}"),
    ("note", rf"Note (?:over (?P<a>{_ID})(?:,(?P<b>{_ID}))?|right of (?P<c>{_ID})): {_TEXT}"),
    ("open", rf"(?:loop {_TEXT}|rect rgb\(\d{{1,3}}, \d{{1,3}}, \d{{1,3}}\))"),
    ("close", r"end"),
)


def mermaid(counterexample: Counterexample, story: Story) -> str:
    """The diagram, with a line feed at its end."""
    clients = dict.fromkeys(client for step in story.steps if (client := caller_of(step.call)) is not None)
    ids = {client: f"C{number}" for number, client in enumerate(clients, start=1)}
    lines = [
        "sequenceDiagram",
        *_participants(ids, story),
        *(f"    {line}" for line in _body(counterexample, story, ids)),
    ]
    text = "\n".join(lines) + "\n"
    check_diagram(text)
    return text


def escaped(text: str) -> str:
    """A text that Mermaid shows as it is: what means something to it is written as a character's code."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0][0])};{found[0][1:]}", text)


def check_diagram(text: str) -> None:
    """Raise `ValueError`, with the line, unless the text is a sequence diagram of the statements that are used here.

    Every participant is declared before it speaks, every block is closed, and no text holds what ends a statement.
    """
    declared: list[str] = []
    opened = 0
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        kind, found = _statement(number, line.strip(" "))
        if (kind == "begin") is not (number == 1):
            raise ValueError(f"line {number}: {line!r}: expected sequenceDiagram in the first line, and only there")
        if kind == "participant" and (opened or found["id"] in declared):
            raise ValueError(f"line {number}: {line!r}: expected each participant once, before all blocks")
        if kind == "participant":
            declared.append(found["id"])
        if kind in ("message", "note"):
            unknown = [each for each in found.groupdict().values() if each is not None and each not in declared]
            if unknown:
                raise ValueError(f"line {number}: {line!r}: expected a declared participant, not {unknown[0]}")
        opened += (kind == "open") - (kind == "close")
        if opened < 0:
            raise ValueError(f"line {number}: {line!r}: expected a block before its end")
    if opened:
        raise ValueError(f"line {len(lines)}: expected an end for each block; {opened} open")


def _statement(number: int, line: str) -> tuple[str, "re.Match[str]"]:
    """What kind of statement a line is."""
    for kind, pattern in _STATEMENTS:
        found = re.fullmatch(pattern, line)
        if found is not None and (kind == "close" or not re.search(r"(?<!\w)end(?!\w)", line, re.IGNORECASE)):
            return kind, found
    raise ValueError(
        f"line {number}: {line!r}: expected a statement of a sequence diagram, special characters as codes"
    )


def _participants(ids: dict[str, str], story: Story) -> Iterator[str]:
    """Whoever speaks, in order of appearance, the machine last."""
    callers = dict.fromkeys(_caller(step, ids) for step in story.steps)
    names = {identity: f"client {name_of(client)}" for client, identity in ids.items()}
    names |= {_CALLER: "producer or operator", _TIME: "time"}
    for caller in callers:
        yield f"    participant {caller} as {escaped(names[caller])}"
    yield f"    participant {_MACHINE} as machine"


def _caller(step: Step, ids: dict[str, str]) -> str:
    if step.call.op == "tick":
        return _TIME
    client = caller_of(step.call)
    return _CALLER if client is None else ids[client]


def _body(counterexample: Counterexample, story: Story, ids: dict[str, str]) -> Iterator[str]:
    """Messages there and back, notes of what changed, the last call in a frame with the finding."""
    last = len(story.steps) - 1
    for place, step in enumerate(story.steps):
        if place == counterexample.loop_start:
            later = round_length(counterexample, story)
            yield f"loop for ever{f', each round {later} later' if later else ''}"
        if place == last:
            yield "rect rgb(255, 228, 225)"
        caller = _caller(step, ids)
        at = instant(step.at, counterexample.units_per_second)
        asked = step.words.removeprefix(f"client {name_of(caller_of(step.call))} ")  # the arrow says who
        yield f"{caller}->>{_MACHINE}: {step.number}. at {at}: {escaped(asked)}"
        yield f"{_MACHINE}-->>{caller}: {escaped(step.answer)}"
        if step.changes:
            yield f"Note right of {_MACHINE}: {_note(step.changes)}"
    speakers = list(dict.fromkeys(_caller(step, ids) for step in story.steps))
    yield f"Note over {speakers[0]},{_MACHINE}: {_note(_verdict(counterexample, story))}"
    yield "end"
    if counterexample.loop_start is not None:
        yield "end"


def _verdict(counterexample: Counterexample, story: Story) -> Sequence[str]:
    """What is wrong, and what the specification answers if it is something else."""
    finding = counterexample.finding
    lines = [headline(counterexample), f"found: {finding.found}", f"expected: {finding.expected}"]
    last, should = story.steps[-1], story.expected
    if (last.answer, last.changes) != (should.answer, should.changes):
        lines += [f"by the specification: {should.answer}", *should.changes]
    return lines


def _note(lines: Sequence[str]) -> str:
    """Lines of a note, long ones broken between words."""
    shown: list[str] = []
    for line in lines:
        row = ""
        for word in line.split(" "):
            if row and len(row) + len(word) >= _WIDTH:
                shown.append(row)
                row = word
            else:
                row = f"{row} {word}" if row else word
        shown.append(row)
    return "<br/>".join(map(escaped, shown))
