"""Smaller arguments for the calls of a counterexample: which there are to try, and what smaller means.

Each function yields whole histories that might show the same fault; `models.minimise` tries them. All are smaller by
`weight`, which no endless sequence can descend, or are dropped there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from models.calls import Call
from models.named_calls import DURATIONS, INSTANTS, NamedCall, is_optional, named, unnamed


class History(NamedTuple):
    """Calls, and how many time units a second has for them."""

    calls: tuple[Call, ...]
    units_per_second: int


Weight = tuple[Any, ...]

DEFAULT: Final = "default"
_REQUEST: Final = "r"
_LISTS: Final = ("tubes", "client_ids")
_FROM_ONE: Final = ("ttr_seconds", "job_id")
_PARAMETERS: Final = {"client": ("client_id", "client_ids"), "tube": ("tube", "tubes")}
_LETTERS: Final = {"client": "abcdefghijklm", "tube": "tuvwxyz"}


def weight(history: History) -> Weight:
    """What is compared to decide which of two histories is smaller: a total order without endless descents."""
    found = (named(call) for call in history.calls)
    return (len(history.calls), history.units_per_second, tuple(map(_weight_of_call, found)))


def _weight_of_call(call: NamedCall | None) -> Weight:
    return () if call is None else tuple(_rank(name, value) for name, value in call.args.items())


def _rank(name: str, value: object) -> Weight:
    """A place for a value among those that its parameter may have: none, numbers by size, names by length."""
    match value:
        case None:
            return (0,)
        case str() if name == "tube" or name in _LISTS:
            return (1, value != DEFAULT, len(value), value)
        case str() if name in ("client_id", "request_id"):
            return (1, value != _REQUEST and name == "request_id", len(value), value)
        case bytes():
            return (1, len(value), value)
        case int() if type(value) is int:
            if name == "ttr_seconds" and value in (0, 1):  # 0 is raised to 1, which is the plainer of the two
                value = 1 - value
            return (1, value) if value >= 0 else (2, -value)
        case tuple():
            return (1, len(value), tuple(_rank(name, each) for each in value))
        case _:
            return (3, repr(value))


def smaller_numbers(value: int, least: int = 0) -> Iterator[int]:
    """Numbers from `least` up to below `value`, each nearer to it by half: log₂ of the distance many."""
    distance = value - least
    while distance > 0:
        yield value - distance
        distance //= 2


def histories(history: History) -> Iterator[History]:
    """All smaller histories of as many calls, those that change the most first."""
    yield from _coarser_time(history)
    for kind in _PARAMETERS:
        yield from _fewer_names(history, kind)
    yield from _plain_names(history)
    yield from _narrower_gaps(history)
    yield from _shorter_durations(history)
    for place, call in enumerate(history.calls):
        found = named(call)
        if found is not None:
            for each in _smaller_calls(history, found):
                yield _with(history, place, each)


def _with(history: History, place: int, call: NamedCall) -> History:
    calls = history.calls
    return history._replace(calls=(*calls[:place], unnamed(call), *calls[place + 1 :]))


def _changed(history: History, change: Callable[[str, Any], Any]) -> History:
    """Every argument of every call that can be named, changed by its parameter's name and its value."""
    result = []
    for call in history.calls:
        found = named(call)
        if found is not None:
            args = {name: change(name, value) for name, value in found.args.items()}
            call = unnamed(NamedCall(found.op, args))
        result.append(call)
    return history._replace(calls=tuple(result))


# ---------------------------------------------------------------------- other calls


def exchanges(calls: tuple[Call, ...]) -> Iterator[tuple[Call, ...]]:
    """Histories that may need a call less: a reserve by id for an ask or a tick, a put without delay elsewhere."""
    names = [found.args.get("client_id") for found in map(named, calls) if found is not None]
    clients = list(dict.fromkeys(name for name in names if isinstance(name, str) and name))
    jobs = range(1, 1 + sum(call.op == "put" for call in calls))
    for place, call in enumerate(calls):
        found = named(call)
        if found is None:
            continue
        now = found.args.get("now")
        before, after = calls[:place], calls[place + 1 :]
        if call.op in ("append_reservation", "tick"):
            yield from (
                (*before, Call("reserve_job", (now, job, client)), *after) for job in jobs for client in clients
            )
        if call.op == "put":
            rest = (*before, *after)
            for there in range(len(rest) + 1):
                moved = found.with_args(delay_seconds=0, now=_clock_before(rest, there))
                yield (*rest[:there], unnamed(moved), *rest[there:])


def _clock_before(calls: Sequence[Call], place: int) -> int:
    """The greatest instant that the calls before a place name."""
    return max(_instants(History(tuple(calls[:place]), 1), ("now",)), default=0)


# ---------------------------------------------------------------------- time


def _instants(history: History, names: Sequence[str] = INSTANTS) -> list[int]:
    """The instants that are named, in order, each once."""
    seen = _values(history, names)
    return sorted({value for value in seen if type(value) is int and value >= 0})


def _values(history: History, names: Sequence[str]) -> Iterator[Any]:
    """The values of some parameters, in order of the calls."""
    for call in history.calls:
        found = named(call)
        if found is not None:
            yield from (value for name, value in found.args.items() if name in names)


def _coarser_time(history: History) -> Iterator[History]:
    """Fewer time units a second, all instants in proportion."""
    old = history.units_per_second
    for new in (1, 2, 10, 1000):
        if new < old:
            scaled = _changed(history, lambda name, value, new=new: _scaled(name, value, new, old))  # type: ignore[misc]
            yield scaled._replace(units_per_second=new)


def _scaled(name: str, value: Any, new: int, old: int) -> Any:
    return value * new // old if name in INSTANTS and type(value) is int else value


def _earlier(history: History, since: int, by: int) -> History:
    """All instants from `since` on, moved towards 0."""
    return _changed(
        history,
        lambda name, value: value - by if name in INSTANTS and type(value) is int and value >= since else value,
    )


def _narrower_gaps(history: History) -> Iterator[History]:
    """Each pause between two instants shortened, with all that comes after it."""
    before = 0
    for instant in _instants(history):
        for gap in smaller_numbers(instant - before):
            yield _earlier(history, instant, instant - before - gap)
        before = instant


def _shorter_durations(history: History) -> Iterator[History]:
    """A duration shortened wherever it stands, and with it the time that passes from some instant on."""
    instants = _instants(history)
    seen = _values(history, DURATIONS)
    for old in sorted({value for value in seen if type(value) is int}):
        for new in smaller_numbers(old):
            shorter = _changed(
                history,
                lambda name, value, old=old, new=new: new if name in DURATIONS and value == old else value,  # type: ignore[misc]
            )
            yield shorter
            by = (old - new) * history.units_per_second
            for before, instant in zip([0, *instants], instants, strict=False):
                if instant - before >= by:
                    yield _earlier(shorter, instant, by)


# ---------------------------------------------------------------------- names


def _names(history: History, kind: str) -> list[str]:
    """The names of one kind, in order of appearance."""
    found: dict[str, None] = {}
    for value in _values(history, _PARAMETERS[kind]):
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, str) and each:
                found[each] = None
    return list(found)


def _renamed(history: History, kind: str, names: Mapping[str, str]) -> History:
    """Names of one kind replaced in all calls."""
    keys = _PARAMETERS[kind]

    def change(name: str, value: Any) -> Any:
        if name not in keys:
            return value
        if isinstance(value, tuple):
            return tuple(names.get(each, each) if isinstance(each, str) else each for each in value)
        return names.get(value, value) if isinstance(value, str) else value

    return _changed(history, change)


def _fewer_names(history: History, kind: str) -> Iterator[History]:
    """One client or tube put in another's place, in all calls."""
    names = _names(history, kind)
    into = [DEFAULT, *names] if kind == "tube" else names
    for gone in reversed(names):
        for other in into:
            if other != gone:
                yield _renamed(history, kind, {gone: other})


def _plain_names(history: History) -> Iterator[History]:
    """Clients a, b, c … and tubes t, u, v … in order of appearance."""
    for kind, letters in _LETTERS.items():
        names = [name for name in _names(history, kind) if kind == "client" or name != DEFAULT]
        if len(names) <= len(letters):
            yield _renamed(history, kind, dict(zip(names, letters, strict=False)))


# ---------------------------------------------------------------------- one call at a time


def _smaller_calls(history: History, call: NamedCall) -> Iterator[NamedCall]:
    """One call with one argument smaller, or without it."""
    for name, value in call.args.items():
        if is_optional(call, name):
            yield call.without(name)
        for each in _smaller_values(history, name, value):
            yield call.with_args(**{name: each})


def _smaller_values(history: History, name: str, value: Any) -> Iterator[Any]:
    """Values that are smaller, mostly: `weight` has the last word."""
    match value:
        case int() if type(value) is int:
            if name == "deadline_at":
                yield None
            if name == "ttr_seconds" and value == 0:
                yield 1
            yield from smaller_numbers(value, 1 if name in _FROM_ONE else 0)
            yield from (-each for each in smaller_numbers(-value, 1))
        case bytes():
            yield from (b"x" * length for length in smaller_numbers(len(value)))
            yield b"x" * len(value)
        case tuple():
            yield from (value[:place] + value[place + 1 :] for place in reversed(range(len(value))))
        case str() if name == "request_id":
            yield _REQUEST
        case str():
            for kind, keys in _PARAMETERS.items():
                if name in keys:
                    yield from [DEFAULT, *_names(history, kind)] if kind == "tube" else _names(history, kind)
