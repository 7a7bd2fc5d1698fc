"""Which check finds which mutant, each check asked alone."""

import contextlib

from jsm.errors import JsmError
from models.finding import find_fault
from models.lockstep import Lockstep, difference_of
from models.watcher import TransitionViolation, TransitionWatcher
from tests.mutants.exhibit import Exhibit
from tests.mutants.scopes import ROOM_OF, UNEXPLORED, exploration


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
    """Room, finding, and the length of the history that the explorer gives; None where it has nothing to find."""
    if exhibit.number in UNEXPLORED:
        return None
    found = exploration(exhibit, exhibit.machine)
    example = found.counterexample
    if example is None:
        return None
    calls = f"{len(example.calls)} call{'s' if len(example.calls) > 1 else ''}"
    return f"{ROOM_OF[exhibit.number]}: {example.finding.name}, {calls}"
