"""Where two values differ, in the words of whoever reads a failure: the one field, not the two worlds around it.

The values are what `models.lockstep` compares: how a call ended, lists of records, the parts of a state.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from jsm.job import JobView
from jsm.records import TransitionRecord


class Differing(NamedTuple):
    """The smallest part that differs, as text: what the machine has there, and what the specification has."""

    machine: str
    spec: str


_ANSWER: Final = ("request_id", "client_id", "status", "job_id", "body")
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "records": TransitionRecord._fields,
    "state clock": ("of the snapshot", "of the machine"),
    "state settings": ("units_per_second", "units_per_second", "max_job_size", "max_job_size"),
    "state numbers": ("next_job_id", "record_seq", "next_bury_number"),
    "state totals": ("total_jobs", "job_timeouts"),
    "state counts": ("jobs", "clients"),
    "state jobs": ("", "bury_number"),
    "state owed": _ANSWER,
    "state waiting": ("client", "request_id", "watched_tubes", "deadline_at", "tick_at"),
    "state clients": ("client", "uses", "watches"),
    "state tubes": ("name", "pause_seconds", "pause_ends_at", "total_jobs", "deletes", "pauses"),
    "state commands": ("command", "count"),
}
"""What the fields of the tuples are called, by what is compared."""

_SINGULAR: Final = {
    "records": ("transition", 0),
    "state jobs": ("job", 0),
    "state owed": ("answer owed to", 1),
    "state waiting": ("wait of", 0),
    "state clients": ("client", 0),
    "state tubes": ("tube", 0),
    "state commands": ("cmd-", 0),
}
"""What one entry of a list is called, and which of its fields names it."""

_SHOWN_MAX: Final = 300  # characters of a value: enough for a job with all its fields


def narrowed(what: str, machine: Any, spec: Any) -> Differing:
    """Go down into two values as long as a single part of them differs. O(size)."""
    if isinstance(machine, Mapping) and isinstance(spec, Mapping):
        return _of_mappings(what, machine, spec)
    if isinstance(machine, list) and isinstance(spec, list):
        return _of_lists(what, machine, spec)
    if isinstance(machine, tuple) and isinstance(spec, tuple) and len(machine) == len(spec):
        return _of_tuples(what, "", machine, spec)
    name = what.removeprefix("state ")
    if what.startswith("outcome refused"):
        return Differing(f"refused: {machine}", f"refused: {spec}")
    if what.startswith("outcome"):
        return Differing(f"answer = {_shown(machine)}", f"answer = {_shown(spec)}")
    return Differing(f"{name} = {_shown(machine)}", f"{name} = {_shown(spec)}")


def _of_mappings(what: str, machine: Mapping[str, Any], spec: Mapping[str, Any]) -> Differing:
    """How a call or a look ended, or the pairs of a statistics body."""
    if machine.keys() != spec.keys() and ("ok" in spec or "refused" in spec):
        prefix = "" if what == "outcome" else f"{what} "
        return Differing(prefix + _ended(machine), prefix + _ended(spec))
    if "ok" in spec or "refused" in spec:
        (key,) = spec
        return narrowed(f"{what} {key}" if what == "outcome" else what, machine[key], spec[key])
    keys = [key for key in {**spec, **machine} if machine.get(key) != spec.get(key)]
    if not keys:
        return Differing(f"{what}: keys in the order {list(machine)}", f"{what}: keys in the order {list(spec)}")
    return Differing(
        f"{what}: {', '.join(f'{key} = {_shown(machine.get(key))}' for key in keys)}",
        f"{what}: {', '.join(f'{key} = {_shown(spec.get(key))}' for key in keys)}",
    )


def _of_lists(what: str, machine: list[Any], spec: list[Any]) -> Differing:
    """Entries in order: what is left when both ends that agree are cut off."""
    start = 0
    while start < min(len(machine), len(spec)) and machine[start] == spec[start]:
        start += 1
    end = 0
    while end < min(len(machine), len(spec)) - start and machine[-1 - end] == spec[-1 - end]:
        end += 1
    mine, theirs = machine[start : len(machine) - end], spec[start : len(spec) - end]
    if len(mine) == len(theirs) == 1 and isinstance(mine[0], tuple) and len(mine[0]) == len(theirs[0]):
        return _of_tuples(what, _entry_name(what, theirs[0]), mine[0], theirs[0])
    kept = [each for each in mine if each not in theirs], [each for each in theirs if each not in mine]
    if any(kept):  # not merely another order
        mine, theirs = kept
    elif all(isinstance(each, tuple) for each in mine):
        return Differing(_in_order(what, mine), _in_order(what, theirs))
    return Differing(_listed(what, mine), _listed(what, theirs))


def _of_tuples(what: str, name: str, machine: tuple[Any, ...], spec: tuple[Any, ...]) -> Differing:
    """The fields that differ, by their names."""
    fields = _fields(what, machine)
    if what == "state jobs" and len(machine) == 2 and machine[0] != spec[0]:
        return _of_tuples("job", name, machine[0], spec[0])
    pairs = [(field, mine, theirs) for field, mine, theirs in zip(fields, machine, spec, strict=True) if mine != theirs]
    head = f"{name}: " if name else "" if what.startswith("outcome") else f"{what.removeprefix('state ')}: "
    return Differing(
        head + ", ".join(f"{field} = {_shown(mine)}" for field, mine, _ in pairs),
        head + ", ".join(f"{field} = {_shown(theirs)}" for field, _, theirs in pairs),
    )


def _fields(what: str, value: Sequence[Any]) -> Sequence[str]:
    """What the fields of a tuple are called."""
    if len(value) == len(JobView._fields):
        return JobView._fields
    named = _FIELDS.get(what, _ANSWER)
    return named if len(named) == len(value) else [f"[{place}]" for place in range(len(value))]


def _entry_name(what: str, entry: tuple[Any, ...]) -> str:
    """What to call an entry of a list, such as `job 1`."""
    if what == "state jobs":
        return f"job {entry[0][0]}"
    word, key = _SINGULAR.get(what, ("answer to", 1))
    return f"{word}{'' if word.endswith('-') else ' '}{entry[key]}" if key < len(entry) else ""


def _listed(what: str, entries: list[Any]) -> str:
    """Entries of a list, each with its fields by name."""
    name = "answers" if what.startswith("outcome") else what.removeprefix("state ")
    if not entries:
        return f"{name}: none"
    return f"{name}: {', then '.join(_described(what, each) for each in entries)}"


def _in_order(what: str, entries: list[Any]) -> str:
    """Entries of which only the order matters, each by its name."""
    if what == "records":
        return _listed(what, entries)
    names = [_entry_name(what, each).rpartition(" ")[2] for each in entries]
    return f"{what.removeprefix('state ')} in the order {', '.join(names)}"


def _described(what: str, entry: Any) -> str:
    if not isinstance(entry, tuple):
        return _shown(entry)
    if what == "state jobs" and len(entry) == 2:
        view = entry[0]
        return f"job {view[0]} ({view[6]} in {view[1]!r})"
    if what == "records":
        seq, at, job, tube, source, trigger, target, client = entry
        who = "" if client is None else f" for {client}"
        return f"transition {seq}: job {job} in {tube!r} from {source} by {trigger} to {target}{who} at {at}"
    if len(entry) == len(_ANSWER) and _fields(what, entry) is _ANSWER:
        job = f" job {entry[3]}" if entry[3] else ""
        return f"{entry[1]} is told {entry[2]}{job}"
    pairs = zip(_fields(what, entry), entry, strict=True)
    return f"({', '.join(f'{field} = {_shown(value)}' for field, value in pairs)})"


def _ended(outcome: Mapping[str, Any]) -> str:
    """How a call ended, in words."""
    if "refused" in outcome:
        return f"refused: {outcome['refused']}"
    if "crashed" in outcome:
        return f"raised {outcome['crashed']}"
    value = outcome["ok"]
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return _listed("outcome", value)
    if isinstance(value, tuple) and len(value) == len(_ANSWER):
        return _described("outcome", value)
    return "accepted" if value is None else f"answer = {_shown(value)}"


def _shown(value: Any) -> str:
    """A value in one line, cut where it is too long to be read; text of an enumeration's member is its value."""
    if isinstance(value, str):
        text = repr(str(value))
    elif isinstance(value, tuple | list):
        inner = ", ".join(_shown(each) for each in value)
        text = f"[{inner}]"
    else:
        text = "none" if value is None else repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"
