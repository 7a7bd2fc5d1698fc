"""Records, outcomes and differences of a trace in words, a line each."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from jsm.records import CommandRecord, Record, TransitionRecord

_SHOWN_MAX: Final = 240  # characters of a value


class Apart(NamedTuple):
    """The first place where two JSON values differ: its path, and both values there in words."""

    path: str
    expected: str
    found: str


def event_of(record: Record, units_per_second: int) -> str:
    """A record as a sentence without a full stop."""
    if isinstance(record, CommandRecord):
        who = "" if record.client is None else f"client {record.client!r} called "
        args = ", ".join(f"{name}={shown(value)}" for name, value in record.args.items())
        call = f"{who or 'a call of '}{record.op}({args}) at {instant(record.at, units_per_second)}"
        return f"{call}: {outcome_in_words(record.outcome)}"
    return f"{transition_in_words(record)} at {instant(record.at, units_per_second)}"


def transition_in_words(record: TransitionRecord) -> str:
    """What happened to which job, without the instant."""
    who = "" if record.client is None else f" for client {record.client!r}"
    what = f"from {record.source} by {record.trigger} to {record.target}"
    return f"transition {record.seq}: job {record.job} in tube {record.tube!r} went {what}{who}"


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def instant(at: int, units_per_second: int) -> str:
    """An instant in the trace's units, and in seconds where these are others."""
    return f"{at}" if units_per_second == 1 else f"{at} ({Decimal(at) / units_per_second:.9g} s)"


def outcome_in_words(outcome: Mapping[str, Any]) -> str:
    """How a call ended."""
    if "refused" in outcome:
        return f"refused, {outcome['refused']}"
    return "accepted" if outcome["ok"] is None else f"answered {shown(outcome['ok'])}"


def shown(value: object) -> str:
    """A JSON value in one line, cut where it is too long to be read."""
    try:
        text = json.dumps(value, ensure_ascii=True)
    except RecursionError:
        text = "a value that is nested too deep to be shown"
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"


def apart(expected: object, found: object, path: str = "") -> Apart | None:
    """The first difference of two JSON values, objects in the order of `expected`; None: they are the same. O(size).

    1, 1.0 and true are three values; the member of an enumeration of texts is its text.
    """
    same_type = type(expected) is type(found) or (isinstance(expected, str) and isinstance(found, str))
    if not same_type:
        return Apart(path, shown(expected), shown(found))
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in {**expected, **found}:
            place = f"{path}.{name}" if path else name
            if name not in found:
                return Apart(place, shown(expected[name]), "nothing")
            if name not in expected:
                return Apart(place, "nothing", shown(found[name]))
            inner = apart(expected[name], found[name], place)
            if inner is not None:
                return inner
        return None
    if isinstance(expected, list) and isinstance(found, list):
        for place, (mine, theirs) in enumerate(zip(expected, found, strict=False)):
            inner = apart(mine, theirs, f"{path}[{place}]")
            if inner is not None:
                return inner
        if len(expected) > len(found):
            return Apart(f"{path}[{len(found)}]", shown(expected[len(found)]), "nothing more")
        if len(found) > len(expected):
            return Apart(f"{path}[{len(expected)}]", "nothing more", shown(found[len(expected)]))
        return None
    return None if expected == found else Apart(path, shown(expected), shown(found))
