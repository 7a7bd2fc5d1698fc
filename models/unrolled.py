"""The calls of a loop, some rounds of them: each round later, and with its own jobs."""

from typing import Any

from models.calls import Call
from models.finding import Counterexample
from models.named_calls import INSTANTS, named, put_ids, unnamed


def unrolled(counterexample: Counterexample, rounds: int, period: int) -> tuple[Call, ...]:
    """The calls before the loop, then the loop's, `rounds` times; each round `period` time units after the other.

    A job that is put within the loop is another one in each round; a job from before it stays the same.
    """
    start = counterexample.loop_start
    if start is None:
        return counterexample.calls
    made = put_ids(counterexample.calls)
    first = 1 + sum(each is not None for each in made[:start])
    a_round = sum(each is not None for each in made[start:])
    calls = list(counterexample.calls[:start])
    for number in range(rounds):
        calls += [_moved(call, number * period, first, number * a_round) for call in counterexample.calls[start:]]
    return tuple(calls)


def _moved(call: Call, later: int, first: int, further: int) -> Call:
    """A call of a later round."""
    found = named(call)
    if found is None or not (later or further):
        return call
    changed: dict[str, Any] = {}
    for name, value in found.args.items():
        if type(value) is int and name in INSTANTS:
            changed[name] = value + later
        elif type(value) is int and name == "job_id" and value >= first:
            changed[name] = value + further
    return unnamed(found.with_args(**changed))
