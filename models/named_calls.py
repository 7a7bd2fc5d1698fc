"""Calls with their arguments by name: what to read them in and to rewrite them by."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter, Signature, signature
from typing import Any, Final, NamedTuple

from jsm.interface import JSM
from models.calls import Call, run_spec
from models.spec import Spec

INSTANTS: Final = ("now", "deadline_at")
"""The parameters that are instants, in time units."""

DURATIONS: Final = ("delay_seconds", "ttr_seconds", "seconds")
"""The parameters that are whole seconds."""

RELOAD: Final = "reload"
"""The call that is no operation: a snapshot restored into a new machine, which goes on."""


class NamedCall(NamedTuple):
    """An operation and its arguments by parameter name, in the order of the signature."""

    op: str
    args: Mapping[str, Any]

    def with_args(self, **changed: Any) -> "NamedCall":
        """The same operation with other values of some arguments."""
        return NamedCall(self.op, {**self.args, **changed})

    def without(self, name: str) -> "NamedCall":
        """The same operation with an argument left out."""
        return NamedCall(self.op, {field: value for field, value in self.args.items() if field != name})


@cache
def signature_of(op: str) -> Signature:
    """An operation's parameters without `self`. Raises `AttributeError` for an operation that doesn't exist."""
    found = signature(getattr(JSM, op))
    return found.replace(parameters=list(found.parameters.values())[1:])


def named(call: Call) -> NamedCall | None:
    """The call by names; None: it is none that the signature takes, and stays as it is."""
    if call.op == RELOAD:
        return NamedCall(RELOAD, {})
    try:
        return NamedCall(call.op, signature_of(call.op).bind(*call.args, **call.kwargs).arguments)
    except (AttributeError, TypeError):
        return None


def unnamed(call: NamedCall) -> Call:
    """The call in the form in which people write it: by place what the signature lets stand by place."""
    if call.op == RELOAD:
        return Call(RELOAD)
    places, words = [], {}
    for name, parameter in signature_of(call.op).parameters.items():
        if name not in call.args:
            continue
        if parameter.kind is Parameter.KEYWORD_ONLY:
            words[name] = call.args[name]
        else:
            places.append(call.args[name])
    return Call(call.op, tuple(places), words)


def canonical(call: Call) -> Call:
    """The same call in the form of `unnamed`, watch lists as tuples; one that no signature takes, as it is."""
    found = named(call)
    if found is None:
        return call
    lists = {name: tuple(value) for name, value in found.args.items() if isinstance(value, list)}
    return unnamed(found.with_args(**lists))


def is_optional(call: NamedCall, name: str) -> bool:
    """Whether the argument may be left out."""
    return signature_of(call.op).parameters[name].default is not Parameter.empty


def renumbered(calls: Sequence[Call], kept: Sequence[int]) -> list[Call]:
    """The calls at the places `kept`, with job ids changed as the puts that are left out change them.

    Ids are those that the specification gives. A job whose put is left out keeps its id: whoever names it now names
    nothing, or another job. O(calls²), as the specification is naive.
    """
    before = put_ids(calls)
    spec, ids, result = Spec(), dict[int, int](), list[Call]()
    for place in kept:
        call = rewritten(calls[place], "job_id", lambda value: ids.get(value, value) if type(value) is int else value)
        result.append(call)
        made, old = _made(spec, call), before[place]
        if made is not None and old is not None:
            ids[old] = made
    return result


def put_ids(calls: Sequence[Call]) -> list[int | None]:
    """For each call, the id that it gave to a job, if it is a put that is accepted."""
    spec = Spec()
    return [_made(spec, call) for call in calls]


def rewritten(call: Call, name: str, change: Callable[[Any], Any]) -> Call:
    """The call with one argument changed, if it has it."""
    found = named(call)
    if found is None or name not in found.args:
        return call
    return unnamed(found.with_args(**{name: change(found.args[name])}))


def _made(spec: Spec, call: Call) -> int | None:
    """Make a call on the specification; the id, if it made a job."""
    if call.op == RELOAD:
        return None
    try:
        value = run_spec(spec, call)
    except Exception:  # a refusal, or a call that the specification can't take: neither makes a job
        return None
    return value if call.op == "put" else None
