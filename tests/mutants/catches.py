"""Which check finds which mutant, each check asked alone."""

import contextlib
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jsm.errors import JsmError
from models.finding import Counterexample, find_fault
from models.lockstep import Lockstep, difference_of, replay
from models.watcher import TransitionViolation, TransitionWatcher
from tests.mutants.exhibit import Exhibit
from tests.mutants.scopes import ROOM_OF, UNEXPLORED, WALKED, exploration, walked
from tests.test_lockstep import STEPS, call_of


def by_lockstep(exhibit: Exhibit) -> str | None:
    """What machine and specification first disagree on in the exhibit's history; None: nothing."""
    made = Lockstep(make_machine=exhibit.machine, units_per_second=exhibit.units_per_second)
    found = difference_of(made, exhibit.calls)
    return None if found is None else found.what


def by_invariants(exhibit: Exhibit) -> str | None:
    """The invariant, or the rule of the watcher, that the exhibit's history breaks, without the specification."""
    units = exhibit.units_per_second
    found = find_fault(exhibit.calls, make_machine=exhibit.machine, units_per_second=units, lockstep=False)
    return None if found is None else found.name


def by_watcher(exhibit: Exhibit) -> str | None:
    """The rule on transition records that the exhibit's history breaks; None: none."""
    watcher = TransitionWatcher(units_per_second=exhibit.units_per_second)
    machine = exhibit.machine(units_per_second=exhibit.units_per_second, observer=watcher)
    try:
        for call in exhibit.calls:
            if call.op != "reload":
                with contextlib.suppress(JsmError):
                    getattr(machine, call.op)(*call.args, **call.kwargs)
    except TransitionViolation as violation:
        return violation.name
    return None


def by_explorer(exhibit: Exhibit) -> str | None:
    """What the explorer finds in the exhibit's room, or a walk in its world; None where they have nothing to find."""
    if exhibit.number in WALKED:
        return explored("walk", walked(exhibit, exhibit.machine).counterexample)
    if exhibit.number in UNEXPLORED:
        return None
    return explored(ROOM_OF[exhibit.number], exploration(exhibit, exhibit.machine).counterexample)


def explored(world: str, example: Counterexample | None) -> str | None:
    """A world, and the finding and the length of the history that was found in it; None: nothing was."""
    if example is None:
        return None
    calls = f"{len(example.calls)} call{'s' if len(example.calls) > 1 else ''}"
    return f"{world}: {example.finding.name}, {calls}"


EXAMPLES: Final = 100
"""How many histories Hypothesis tries."""


class _Found(Exception):
    """A history has shown the fault."""


def by_hypothesis(exhibit: Exhibit) -> str | None:
    """Whether histories that Hypothesis makes up, 15 to 50 calls each, show the fault in lock-step."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 1, 2, 5]), STEPS), min_size=15, max_size=50))
    def search(steps: list[tuple[int, tuple[Any, ...]]]) -> None:
        now = 0
        lockstep = Lockstep(make_machine=exhibit.machine, units_per_second=exhibit.units_per_second)
        for passed, step in steps:
            now += passed
            try:
                replay(lockstep, [call_of(step, lockstep.spec, now)])
            except Exception:  # a difference, or a crash in a look
                raise _Found from None

    try:
        search()
    except _Found:
        return "found"
    return None
