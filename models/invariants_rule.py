"""What an invariant is: a function with a name, a clause and a sentence; and what is said when one is broken.

A rule looks at what it is given and returns whether there was anything to look at, so that those who call it can
count how often each was more than vacuously true. It raises `Broken` with what it found and what it expected.
"""

from collections.abc import Callable, Iterable, MutableMapping
from typing import Final, Generic, NamedTuple, TypeVar

from jsm.errors import InvariantViolation

T = TypeVar("T")

Tally = MutableMapping[str, int]
"""How often each invariant had something to look at, by name."""


class Broken(Exception):
    """A rule does not hold: the values that were found, and what was expected in their place."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected


class BrokenInvariant(InvariantViolation):
    """A named invariant does not hold; says which, by which clause, the values, what was expected, and when."""

    def __init__(
        self, rule: "Described", broken: Broken, *, at: int, units_per_second: int = 1, doing: str = ""
    ) -> None:
        when = f"at {at}" if units_per_second == 1 else f"at {at} ({at / units_per_second:.9g} s)"
        after = f", after {_short(doing)}" if doing else ""
        what = f"{_short(broken.found)}; expected {_short(broken.expected)}"
        super().__init__(rule.name, f"{when}{after}: {what} ({rule.clause}: {rule.sentence})")
        self.clause = rule.clause
        self.sentence = rule.sentence
        self.found = broken.found
        self.expected = broken.expected
        self.at = at


def _short(text: str) -> str:
    """The text, cut so that a message with a long body or a long queue in it can still be read."""
    return text if len(text) <= 400 else f"{text[:399]}…"


class Described(NamedTuple):
    """An invariant's name, its clause of INVARIANTS or of SPEC, and what it says in one sentence."""

    name: str
    clause: str
    sentence: str


class Rule(Generic[T]):
    """An invariant that can be checked on a `T`."""

    __slots__ = ("check", "described", "name", "ops")

    def __init__(self, described: Described, check: Callable[[T], bool], ops: tuple[str, ...]) -> None:
        self.described = described
        self.name = described.name
        self.check = check  # returns whether there was anything to look at; raises `Broken`
        self.ops = ops  # the operations after which it is to be checked; none: after each


def clause(text: str, *ops: str) -> Callable[[Callable[[T], bool]], Rule[T]]:
    """Make a rule of a function: its name is the invariant's, the first line of its docstring the sentence."""

    def make(check: Callable[[T], bool]) -> Rule[T]:
        sentence = (check.__doc__ or "").partition("\n")[0].removesuffix(".")
        return Rule(Described(check.__name__, text, sentence), check, ops)

    return make


def first_broken(rules: Iterable[Rule[T]], value: T, tally: Tally) -> tuple[Described, Broken] | None:
    """Check rules in their order, counting those that had something to look at; the first that is broken, or None."""
    rule = None
    try:
        for rule in rules:
            if rule.check(value):
                tally[rule.name] += 1
    except Broken as broken:
        assert rule is not None  # it raised
        tally[rule.name] += 1
        return rule.described, broken
    return None


LIVE: Final = ("ready", "delayed", "reserved", "buried")
"""The four states of a job in the machine, written out once more: nothing here is taken from the machine."""

UINT32_MAX: Final = 4_294_967_295
"""The greatest priority, delay, ttr and pause."""
