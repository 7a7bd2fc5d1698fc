"""What exploring costs: `python -m tests.benchmarks.bench_explorer [WORLD …]`.

For each world the states a second with every check, with lock-step alone, and with none, on one core, and the bytes
that a known state takes. SPIN on the same world: `python -m tests.benchmarks.bench_spin`.
"""

import sys
from time import process_time

from models.check_result import Bounds, CheckResult
from models.explorer import explore
from models.scope import SCOPES

WORLDS = ("tiny", "small", "late", "tubes", "spin")
STATES_MAX = 15_000
"""Where an exploration ends at the latest, so that the large worlds can be measured, too."""

CHECKS = {"all checks": (True, True), "lock-step": (True, False), "none": (False, False)}


def measured(name: str, lockstep: bool, invariants: bool) -> tuple[CheckResult, float]:
    """An exploration of a world and the processor time that it took, in seconds."""
    start = process_time()
    bounds = Bounds(states=STATES_MAX)
    result = explore(SCOPES[name], lockstep=lockstep, invariants=invariants, bounds=bounds)
    return result, process_time() - start


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    names = (sys.argv[1:] if arguments is None else arguments) or WORLDS
    unknown = [name for name in names if name not in SCOPES]
    if unknown:
        sys.exit(f"{unknown[0]}: there is no such world; one of {', '.join(SCOPES)}")
    heads = ["world", "states", "calls a state", *(f"states/s, {checks}" for checks in CHECKS), "bytes a state"]
    sys.stdout.write(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}\n")
    for name in names:
        cells = []
        for lockstep, invariants in CHECKS.values():
            result, seconds = measured(name, lockstep, invariants)
            cells.append(f"{result.states / seconds:,.0f}")
        calls = (result.transitions + result.refused) / result.states
        row = [name, f"{result.states:,}", f"{calls:.1f}", *cells, f"{result.bytes_per_state:.0f}"]
        sys.stdout.write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
