"""The shortest program that shows a difference: steps left out, and arguments made plain, as long as there is one.

Hypothesis could shrink too, but works on the choices behind the steps: it takes a minute where this takes a fraction
of a second, and keeps first steps for the choices that hang on them. Here steps are data, made anew on new queues.

Leaving out runs by halves is after Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise, permutations
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from models.job_queue_draws import Job
from models.job_queue_judge import QueueDifference

if TYPE_CHECKING:
    from models.job_queue_machine import JobQueueMachine

ATTEMPTS_MAX: Final = 3000
"""How many histories are tried at most."""

_PAIRS_MAX: Final = 14  # steps of which all pairs are tried: 91 attempts

_CHANGED_MAX: Final = 8  # steps of which each is left out with each change of another: some hundred attempts


class Step(NamedTuple):
    """A step of a history, to be made again."""

    op: str
    arguments: Mapping[str, Any]  # by the mapping's own words
    puts: int  # the id of the job that it makes, if it makes one


History = Sequence[Step]


class _Shown(NamedTuple):
    """What a history shows: the steps that were made, up to the one that differs."""

    steps: tuple[Step, ...]
    difference: QueueDifference


def shortest(kind: type["JobQueueMachine"], steps: History, found: QueueDifference) -> QueueDifference:
    """The difference of the shortest and plainest history that can be found; any difference will do.

    `found` itself, if the steps do not show one when they are made again: such a queue depends on something else.
    Nothing is random. O(steps · log steps) attempts mostly, at most `ATTEMPTS_MAX`, each on a new queue.
    """
    search = _Search(kind)
    shown = search.run(steps)
    if shown is None:
        return found
    while True:
        smaller = search.smaller(shown)
        if smaller is None:
            return shown.difference
        shown = smaller


class _Search:
    """Tries histories on new queues."""

    def __init__(self, kind: type["JobQueueMachine"]) -> None:
        self._kind = kind
        self._left = ATTEMPTS_MAX

    def run(self, steps: History) -> _Shown | None:
        """Make the steps on a new queue, those left out that can't be made; None: there is no difference."""
        self._left -= 1
        machine = self._kind()
        made: dict[int, Job] = {}
        try:
            for step in steps:
                arguments = {
                    name: made.get(value.id) if isinstance(value, Job) else value
                    for name, value in step.arguments.items()
                }
                if None in [arguments[name] for name, value in step.arguments.items() if isinstance(value, Job)]:
                    continue  # its put was left out
                result = machine.repeat(step.op, arguments)
                if isinstance(result, Job):
                    made[step.puts] = result
        except QueueDifference as difference:
            return _Shown(tuple(machine.steps), difference)
        return None

    def smaller(self, shown: _Shown) -> _Shown | None:
        """A smaller history with a difference; None: there is none, or no attempt left."""
        for candidates in (_without_runs, _without_pairs, _merged, self._renamed, self._plainer, self._without_but):
            for candidate in candidates(shown.steps):
                if self._left <= 0:
                    return None
                found = self.run(candidate)
                if found is not None and self._weight(found.steps) < self._weight(shown.steps):
                    return found
        return None

    def _weight(self, steps: History) -> tuple[int, list[int]]:
        """What is compared: the number of steps, then how plain the arguments are."""
        return len(steps), [
            len(self._values(step, name))
            for step in steps
            for name, value in step.arguments.items()
            if not isinstance(value, Job)
        ]

    def _values(self, step: Step, name: str) -> list[Any]:
        """The values of an argument from the plainest to the present one."""
        value = step.arguments[name]
        choices = self._kind.plain_values(step.op, name)
        if value in choices:
            return choices[: choices.index(value) + 1]
        if step.op == "advance":
            return [*range(1, value), value]
        return [*choices, value]

    def _renamed(self, steps: History) -> Iterator[History]:
        """Clients and tubes named in the order in which they come up."""
        for word, names in (("client", self._kind.client_names), ("tube", self._kind.tube_names)):
            seen = list(dict.fromkeys(name for step in steps for name in self._names_in(step, word) if name in names))
            renaming = dict(zip(seen, names, strict=False))
            yield [self._with_names(step, word, renaming) for step in steps]

    def _names_in(self, step: Step, word: str) -> list[Any]:
        found: list[Any] = []
        for name, value in step.arguments.items():
            if self._kind.meaning_of(step.op, name) in (word, f"{word}s"):
                found += value if isinstance(value, list) else [value]
        return found

    def _with_names(self, step: Step, word: str, renaming: Mapping[Any, Any]) -> Step:
        changed = {}
        for name, value in step.arguments.items():
            if self._kind.meaning_of(step.op, name) in (word, f"{word}s"):
                value = (
                    [renaming.get(each, each) for each in value]
                    if isinstance(value, list)
                    else renaming.get(value, value)
                )
            changed[name] = value
        return step._replace(arguments=changed)

    def _plainer(self, steps: History) -> Iterator[History]:
        """One argument plainer."""
        for place, step in enumerate(steps):
            for name, value in step.arguments.items():
                if isinstance(value, Job):
                    continue
                for plainer in self._values(step, name)[:-1]:
                    yield _exchanged(steps, place, {**step.arguments, name: plainer})

    def _without_but(self, steps: History) -> Iterator[History]:
        """Without a step, but with another argument in another step, where there are few."""
        if len(steps) > _CHANGED_MAX:
            return
        for left, place in permutations(range(len(steps)), 2):
            for name, value in steps[place].arguments.items():
                if isinstance(value, Job):
                    continue
                for other in self._kind.plain_values(steps[place].op, name):
                    if other != value:
                        changed = _exchanged(steps, place, {**steps[place].arguments, name: other})
                        yield [*changed[:left], *changed[left + 1 :]]


def _exchanged(steps: History, place: int, arguments: Mapping[str, Any]) -> History:
    return [*steps[:place], steps[place]._replace(arguments=arguments), *steps[place + 1 :]]


def _without_runs(steps: History) -> Iterator[History]:
    """Without each run of steps, long ones first."""
    length = len(steps) // 2
    while length:
        for start in range(0, len(steps) - length + 1, max(length // 2, 1)):
            yield [*steps[:start], *steps[start + length :]]
        length //= 2


def _without_pairs(steps: History) -> Iterator[History]:
    """Without any two steps, where there are few."""
    if len(steps) <= _PAIRS_MAX:
        for first, second in combinations(range(len(steps)), 2):
            yield [step for place, step in enumerate(steps) if place not in (first, second)]


def _merged(steps: History) -> Iterator[History]:
    """Without a passing of time, all of which passes at the next or the one before."""
    passings = [place for place, step in enumerate(steps) if step.op == "advance"]
    for first, second in pairwise(passings):
        (name,) = (name for name, value in steps[first].arguments.items() if type(value) is int)
        total = {**steps[first].arguments, name: steps[first].arguments[name] + steps[second].arguments[name]}
        for kept, left in ((second, first), (first, second)):
            changed = _exchanged(steps, kept, total)
            yield [*changed[:left], *changed[left + 1 :]]
