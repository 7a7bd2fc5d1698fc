"""From a walk of thousands of steps to a counterexample that can be read.

A step names jobs by their place and instants by their distance from the clock, so what is left of a walk when some of
its steps are left out is a walk again. Runs of steps are left out, by halves down to single ones, as long as the same
property breaks (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002); what is left
becomes calls, and `models.minimise` makes these plain, if the judge of all checks sees the fault, too.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from jsm.machine import Machine
from models.finding import Counterexample, Finding, find_fault
from models.minimise import minimise
from models.named_calls import named, rewritten
from models.walks_choice import Steps
from models.walks_run import Stumble, Walker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.calls import Call
    from models.scope import Scope
    from models.walks_run import Fault

STEPS_MAX: Final = 1_000_000
"""How many steps are taken at most, all attempts together: half a minute."""

_FRONTS: Final = (0.9, 0.5, 0.25, 0.125, 0.0625)  # of what is left, the shares that are tried to be left out at once

_JUDGED_MAX: Final = 1_000  # calls that the judge of all checks, at 1 to 7 ms a call, is asked about
_MINIMISED_MAX: Final = 30  # calls that the minimiser is given, which tries thousands of histories
_PLAINER_CALLS: Final = 100_000  # calls that are made at most to make longer ones plainer, all attempts together
_PLAIN: Final = (
    ("priority", 0),
    ("delay_seconds", 0),
    ("ttr_seconds", 1),
    ("seconds", 0),
    ("body", b""),
    ("deadline_at", None),
    ("request_id", ""),
)
"""Arguments and their plain values."""


def counterexample_of(
    fault: Fault,
    scope: Scope,
    *,
    make_machine: Callable[..., Machine] = Machine,
    steps_max: int = STEPS_MAX,
) -> Counterexample:
    """The shortest calls found that show a walk's fault. Nothing is random: the same fault becomes the same calls."""
    steps = array("L")
    steps.frombytes(fault.steps)
    search = _Search(scope, make_machine, fault, steps_max)
    codes = search.shortest(list(steps))
    calls, finding = search.calls_of(codes)
    calls, finding = search.plainer(calls, finding)
    shown = Counterexample(tuple(calls), finding)
    judged = find_fault(calls, make_machine=make_machine) if len(calls) <= _JUDGED_MAX else None
    if judged is not None:
        shown = Counterexample(tuple(calls[: judged.step + 1]), judged)
        return minimise(shown, make_machine=make_machine) if len(shown.calls) <= _MINIMISED_MAX else shown
    if len(calls) > _MINIMISED_MAX:
        return shown
    return minimise(shown, make_machine=make_machine, judge=lambda tried: search.finding_of(tried.calls))


class _Search:
    """Leaves out steps of one walk as long as it breaks the same property."""

    def __init__(self, scope: Scope, make_machine: Callable[..., Machine], fault: Fault, steps_max: int) -> None:
        self._scope = scope
        self._make_machine = make_machine
        self._name = fault.finding.name
        self._deep = fault.by
        self._left = steps_max
        self._steps = Steps(scope)

    def shortest(self, codes: list[int]) -> list[int]:
        """What is left when no run of steps, nor any single one, can be left out, or when time is up."""
        seen = self._shown(codes)
        if seen is None:  # the dear checks after each step look at more than the walk did: keep what the walk saw
            return codes
        codes = self._without_kinds(self._without_front(seen))
        size = len(codes) // 2
        while size and self._left > 0:
            codes, gone = self._without_runs(codes, size)
            if not gone or size > 1:
                size //= 2
        return codes

    def _without_front(self, codes: list[int]) -> list[int]:
        """Leave out what was long ago, as much at once as can go."""
        for share in _FRONTS:
            shown: list[int] | None = codes
            while shown is not None and self._left > 0:
                codes = shown
                start = int(len(codes) * share)
                shown = self._shown(codes[start:]) if start else None
        return codes

    def _without_kinds(self, codes: list[int]) -> list[int]:
        """Leave out all steps of an operation, then all that are the same call: what matters may be their number."""
        kinds: tuple[Callable[[int], Any], ...] = (lambda code: self._steps.calls[code].op, lambda code: code)
        for kind_of in kinds:
            for kind, _ in Counter(map(kind_of, codes)).most_common():
                kept = [code for code in codes[:-1] if kind_of(code) != kind]
                if len(kept) + 1 < len(codes) and self._left > 0:
                    codes = self._shown([*kept, codes[-1]]) or codes
        return codes

    def _without_runs(self, codes: list[int], size: int) -> tuple[list[int], bool]:
        """Leave out each run of so many steps, from the last to the first; whether one could go."""
        end, gone = len(codes) - 1, False  # the last step shows the fault
        while end > 0 and self._left > 0:
            start = max(end - size, 0)
            shown = self._shown(codes[:start] + codes[end:])
            if shown is not None:
                codes, gone = shown, True
                end = min(start, len(codes) - 1)
            else:
                end = start
        return codes, gone

    def _shown(self, codes: list[int]) -> list[int] | None:
        """The steps up to the one that breaks the property; None: it doesn't break."""
        walker = self._walker()
        if walker is None:
            return None
        for place, code in enumerate(codes):
            self._left -= 1
            try:
                walker.step(code, self._deep)
            except Stumble as stumble:
                return codes[: place + 1] if stumble.finding.name == self._name else None
        return None

    def _walker(self) -> Walker | None:
        try:
            return Walker(self._scope, self._make_machine, self._steps)
        except Stumble:
            return None

    def calls_of(self, codes: Sequence[int]) -> tuple[list[Call], Finding]:
        """The calls of some steps, and what the last one shows. Raises `ValueError` when they show nothing."""
        walker = Walker(self._scope, self._make_machine, self._steps)
        walker.calls = []
        for place, code in enumerate(codes, 1):
            try:
                walker.step(code, self._deep if place == len(codes) else ())
            except Stumble as stumble:
                return walker.calls, stumble.finding
        raise ValueError(f"these steps do not show the finding {self._name!r}")

    def plainer(self, calls: list[Call], finding: Finding) -> tuple[list[Call], Finding]:
        """As many calls, plain arguments in all, or by halves in some, as long as the last one shows the same."""
        left = _PLAINER_CALLS
        for name, value in _PLAIN:
            places = [place for place, call in enumerate(calls) if _differs(call, name, value)]
            parts = [places] if places else []
            while parts and left > 0:
                some = parts.pop()
                tried = list(calls)
                for place in some:
                    tried[place] = rewritten(calls[place], name, lambda _, value=value: value)  # type: ignore[misc]
                left -= len(calls)
                seen = self.finding_of(tried)
                if seen is not None and (seen.name, seen.step) == (finding.name, len(calls) - 1):
                    calls, finding = tried, seen
                elif len(some) > 1:
                    parts += [some[: len(some) // 2], some[len(some) // 2 :]]
        return calls, finding

    def finding_of(self, calls: Sequence[Call]) -> Finding | None:
        """What calls show, checked after each as the walk's last step was."""
        walker = self._walker()
        for call in calls if walker is not None else ():
            try:
                walker.make(call, self._deep)  # type: ignore[union-attr]
            except Stumble as stumble:
                return stumble.finding
        return None


def _differs(call: Call, name: str, value: object) -> bool:
    """Whether a call has the argument, and another value of it."""
    found = named(call)
    return found is not None and found.args.get(name, value) != value
