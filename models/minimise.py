"""Counterexamples made as short and as plain as they can be, with the same finding.

First calls are left out: all of a job, a client or a tube; then runs of calls, by halves down to single ones; then
pairs, and a call once another one is exchanged or moved. Then arguments are made smaller (`models.shrinking`). All is
repeated until nothing helps, so in the end no single call can be left out, and no pair where the calls are few. Job
ids are renumbered when a put is left out. Nothing is random: the same counterexample always becomes the same.

Leaving out runs by halves is after Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from jsm.machine import Machine
from models.calls import Call
from models.finding import Counterexample, Finding, find_fault
from models.named_calls import canonical, named, put_ids, renumbered
from models.shrinking import History, exchanges, histories, weight

ATTEMPTS_MAX: Final = 5000
"""How many histories are tried at most; what is left then is the answer, if not the plainest one."""

_PAIRS_MAX: Final = 20  # calls of which all pairs are tried: 190 attempts
_EXCHANGED_MAX: Final = 8  # calls of which all exchanges are tried: some hundred attempts

Judge = Callable[[Counterexample], Finding | None]
"""Says what a counterexample's calls show; None: nothing."""


def minimise(
    counterexample: Counterexample,
    *,
    make_machine: Callable[..., Machine] = Machine,
    judge: Judge | None = None,
    attempts_max: int = ATTEMPTS_MAX,
) -> Counterexample:
    """The shortest and plainest counterexample that can be found with a finding of the same name.

    `judge` defaults to `find_fault` on what `make_machine` makes. A loop that repeats for ever can't be judged by
    that, so without a judge of its own such a counterexample is returned as it is. Raises `ValueError` when the judge
    doesn't see the finding. Mostly O(calls · log calls) attempts for the first part, at worst O(calls²), each of
    O(calls) calls; at most `attempts_max`.

    Most of `find_fault`'s time goes into looks, so those checks that don't matter for the finding are left out at
    first; what they would have said is asked in the end, and if it is another finding, all is done again with them.
    """
    if judge is not None:
        return _searched(counterexample, judge, attempts_max)
    if counterexample.loop_start is not None:
        return counterexample
    whole = _judge(make_machine)
    for lockstep, invariants, looks in _CHEAPER:
        quick = _judge(make_machine, lockstep=lockstep, invariants=invariants, looks=looks)
        if _same(quick(counterexample), counterexample.finding):
            found = _searched(counterexample, quick, attempts_max)
            finding = whole(found)
            if finding is not None and _same(finding, found.finding):
                return replace(found, finding=finding)
    return _searched(counterexample, whole, attempts_max)


_CHEAPER: Final = ((False, True, False), (True, False, False), (False, True, True))
"""Which of lock-step, invariants and looks to judge by, the quickest first."""


def _judge(
    make_machine: Callable[..., Machine], *, lockstep: bool = True, invariants: bool = True, looks: bool = True
) -> Judge:
    """`find_fault` on some machine, with some of its checks."""

    def judge(tried: Counterexample) -> Finding | None:
        return find_fault(
            tried.calls,
            make_machine=make_machine,
            units_per_second=tried.units_per_second,
            lockstep=lockstep,
            invariants=invariants,
            looks=looks,
        )

    return judge


def _same(one: Finding | None, other: Finding) -> bool:
    return one is not None and (one.name, one.step) == (other.name, other.step)


def _searched(start: Counterexample, judge: Judge, attempts_max: int) -> Counterexample:
    search = _Search(start, judge, attempts_max)
    search.run()
    return search.best


class _Search:
    """The best counterexample so far, and what was tried already."""

    def __init__(self, start: Counterexample, judge: Judge, attempts_max: int) -> None:
        self._judge = judge
        self._left = attempts_max
        self._tried: set[str] = set()  # for membership only
        self._name = start.finding.name
        seen = self._shown(start)
        if seen is None:
            raise ValueError(f"these calls do not show the finding {self._name!r}")
        self.best = seen

    def run(self) -> None:
        """Leave out and make smaller until neither helps."""
        self._try(tuple(map(canonical, self.best.calls)), self.best.units_per_second)
        before = None
        while before != self.best:
            before = self.best
            self._leave_out_groups()
            self._leave_out_runs()
            self._leave_out_pairs()
            self._exchange()
            while self._make_smaller():
                pass

    def _leave_out_groups(self) -> None:
        """Leave out all calls about one job, one client or one tube."""
        while any(self._without(places) for places in _groups(self.best.calls)):
            pass

    def _leave_out_runs(self) -> None:
        """Leave out runs of calls, from the last to the first, of half the length each time that none can go."""
        length = len(self.best.calls) // 2
        while length:
            start = len(self.best.calls) - length
            gone = False
            while start > -length:
                places = range(max(start, 0), start + length)
                gone = self._without(places) or gone
                start = min(start, len(self.best.calls)) - length
            if not gone or length > 1:
                length //= 2

    def _leave_out_pairs(self) -> None:
        """Leave out two calls at once, such as a bury and its kick; only where there are few."""
        found = len(self.best.calls) <= _PAIRS_MAX
        while found:
            places = range(len(self.best.calls))
            found = any(self._without(pair) for pair in combinations(places, 2))

    def _exchange(self) -> None:
        """Put one call in another's place, or elsewhere, when that saves a third; only where there are few."""
        found = len(self.best.calls) <= _EXCHANGED_MAX
        while found:
            found = any(
                len(calls) > 1 and self._without((place,), calls)
                for calls in exchanges(self.best.calls)
                for place in range(len(calls))
            )

    def _make_smaller(self) -> bool:
        """Try smaller arguments until one helps; whether one did."""
        history = History(self.best.calls, self.best.units_per_second)
        now = weight(history)
        return any(weight(each) < now and self._try(each.calls, each.units_per_second) for each in histories(history))

    def _without(self, places: Collection[int], calls: tuple[Call, ...] | None = None) -> bool:
        """Try the calls (those of the best, if none are given) without some of them."""
        calls, start = self.best.calls if calls is None else calls, self.best.loop_start
        kept = [place for place in range(len(calls)) if place not in places]
        if not kept or (start is not None and kept[-1] < start):
            return False
        left = renumbered(calls, kept)
        loop_start = None if start is None else sum(place < start for place in kept)
        return self._try(tuple(left), self.best.units_per_second, loop_start)

    def _try(self, calls: tuple[Call, ...], units_per_second: int, loop_start: int | None = None) -> bool:
        """Take the calls for the best, if they show the finding and were not tried before."""
        start = self.best.loop_start if loop_start is None else loop_start
        key = repr((calls, units_per_second, start))
        if key in self._tried or self._left <= 0:
            return False
        self._tried.add(key)
        self._left -= 1
        tried = replace(self.best, calls=calls, units_per_second=units_per_second, loop_start=start)
        shown = self._shown(tried)
        if shown is None:
            return False
        self.best = shown
        return True

    def _shown(self, tried: Counterexample) -> Counterexample | None:
        """What is tried, cut after the call that shows the finding; None: it doesn't."""
        finding = self._judge(tried)
        if finding is None or finding.name != self._name:
            return None
        calls = tried.calls if tried.loop_start is not None else tried.calls[: finding.step + 1]
        return replace(tried, calls=calls, finding=finding)


def _groups(calls: Sequence[Call]) -> list[list[int]]:
    """The places of the calls about each job (its put included), each client, each tube; large groups first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, (call, made) in enumerate(zip(calls, put_ids(calls), strict=True)):
        args = {} if (found := named(call)) is None else found.args
        subjects = {"job": args.get("job_id", made), "client": args.get("client_id"), "tube": args.get("tube")}
        for kind, subject in subjects.items():
            if subject is not None:
                groups.setdefault((kind, repr(subject)), []).append(place)
    return sorted(groups.values(), key=len, reverse=True)
