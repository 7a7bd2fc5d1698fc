"""A counterexample told call by call: how each ended, and what it changed, on the machine and by the specification.

Both worlds are described in the same words (`models.calls`), so what the specification says to the last call can be
set beside what the machine did.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.records import TransitionRecord
from models.call_words import call_in_words, outcome_in_words
from models.calls import Call, plain, run_spec, state_of_machine, state_of_spec
from models.finding import Counterexample, reloaded
from models.named_calls import named
from models.spec import Spec
from models.spec_world import Refused
from models.world_words import World, apart, changes


@dataclass(frozen=True, slots=True)
class Step:
    """A call that was made."""

    number: int  # from 1
    call: Call
    at: int  # the clock after it, in time units
    outcome: Mapping[str, Any]  # {"ok": value}, {"refused": category} or {"crashed": text}
    changes: tuple[str, ...]  # in words

    @property
    def words(self) -> str:
        """What was asked for, with its instant where that is not the clock's."""
        found = named(self.call)
        now = None if found is None else found.args.get("now")
        return call_in_words(self.call) + ("" if now is None or now == self.at else f", now = {now!r}")

    @property
    def answer(self) -> str:
        """How it ended."""
        return outcome_in_words(self.call.op, self.outcome)


@dataclass(frozen=True, slots=True)
class Story:
    """All calls of a counterexample, and what the specification says to the last one."""

    steps: tuple[Step, ...]
    expected: Step  # the last call on the specification
    apart: tuple[str, ...]  # where the two worlds differ at the end, in words


def retell(counterexample: Counterexample, make_machine: Callable[..., Machine] = Machine) -> Story:
    """Make the calls on a new machine and on the specification, and tell what happened. O(calls × world).

    Raises `ValueError` for a counterexample without calls.
    """
    if not counterexample.calls:
        raise ValueError("a counterexample has at least one call")
    units = counterexample.units_per_second
    actual = [made for made, _ in play(counterexample.calls, make_machine, units)]
    for made, _ in play_by_specification(counterexample.calls, units):
        expected = made
    steps = tuple(_step(number, made) for number, made in enumerate(actual, start=1))
    world, by_specification = actual[-1].after, expected.after
    unseen = world is None or by_specification is None
    return Story(
        steps,
        _step(len(steps), expected),
        () if unseen else tuple(apart(world, by_specification)),  # type: ignore[arg-type]
    )


def _step(number: int, made: "Made") -> Step:
    changed = tuple(changes(made.before, made.after, made.records))
    return Step(number, made.call, made.clock, made.outcome, changed)


class Made(NamedTuple):
    """A call that was made on one of the two."""

    call: Call
    outcome: Mapping[str, Any]  # {"ok": value}, {"refused": category} or {"crashed": text}
    before: World | None
    after: World | None
    records: Sequence[Any]  # the transitions
    clock: int


class _Collector(list[TransitionRecord]):
    """An observer that keeps the transitions."""

    def transition(self, record: TransitionRecord) -> None:
        self.append(record)


def play(calls: Sequence[Call], make_machine: Callable[..., Machine], units: int) -> Iterator[tuple[Made, Machine]]:
    """Make the calls on a new machine that may be faulty in any way; after each, what came of it and the machine."""
    records = _Collector()
    machine = make_machine(units_per_second=units, observer=records)
    world = _world(machine)
    clock = 0
    for call in calls:
        records.clear()
        outcome: dict[str, Any]
        try:
            if call.op == "reload":
                machine = reloaded(machine, lambda: make_machine(units_per_second=units, observer=records))
                outcome = {"ok": None}
            else:
                outcome = {"ok": plain(getattr(machine, call.op)(*call.args, **call.kwargs))}
        except JsmError as error:
            outcome = {"refused": str(error.refusal)}
        except Exception as error:  # a crash is an outcome, too
            outcome = {"crashed": repr(error)}
        before, world = world, _world(machine)
        clock = clock if world is None else world["clock"][1]
        yield Made(call, outcome, before, world, tuple(records), clock), machine


def play_by_specification(calls: Sequence[Call], units: int) -> Iterator[tuple[Made, Spec]]:
    """Make the calls on a new specification; after each, what came of it and the specification."""
    spec = Spec(units_per_second=units)
    world = _spec_world(spec)
    for call in calls:
        known = len(spec.records)
        outcome: dict[str, Any] = {"ok": None}
        try:
            if call.op != "reload":
                outcome = {"ok": run_spec(spec, call)}
        except Refused as refusal:
            outcome = {"refused": refusal.category}
        except Exception as error:  # a call that no implementation takes
            outcome = {"crashed": repr(error)}
        before, world = world, _spec_world(spec)
        yield Made(call, outcome, before, world, tuple(spec.records[known:]), spec.clock), spec


def _world(machine: Machine) -> World | None:
    """What there is to see of a machine; None: it shows nothing."""
    try:
        return {**state_of_machine(machine), "next_tick_at": machine.next_tick_at()}
    except Exception:  # stopped, or too broken to be seen
        return None


def _spec_world(spec: Spec) -> World | None:
    return None if spec.stopped else {**state_of_spec(spec), "next_tick_at": spec.next_tick_at()}
