"""Independent replications of a scenario: each a run with chance of its own, and what all of them say together.

Replication r draws from the streams keyed by (r, name) and from nothing else, so it gives the same numbers wherever
and in whatever company it is made. `sim/METHODS.md` says how the intervals are made.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import count as numbers
from itertools import islice
from math import isfinite
from typing import Any, Final

from jsm.engines import Engine
from jsm.states import LIVE_STATES
from sim.check_mode import CheckMode
from sim.estimates import CONFIDENCE, REPLICATIONS_MIN, Interval, enough, mean_interval, pooled_quantile_interval
from sim.histogram import Histogram
from sim.interrupts import leave_interrupts_to_the_parent
from sim.run import Simulation
from sim.run_result import ALL_CLASSES, COUNTED, RunResult
from sim.scenario_models import Scenario

QUANTILES: Final = ("p50", "p90", "p99", "p999")
MEASURES: Final = (
    *("wait.mean", *(f"wait.{q}" for q in QUANTILES)),
    *("total.mean", *(f"total.{q}" for q in QUANTILES)),
    *("throughput", "utilisation"),
    *(f"mean_jobs.{state}" for state in LIVE_STATES),
    *(f"counts.{name}" for name in COUNTED),
)
"""What every estimate of a scenario lists: seconds, jobs a second, shares, mean numbers of jobs, events a run."""

PRECISE: Final = ("wait.mean", "wait.p99", "total.mean", "total.p99")
"""What a half-width that is asked for holds for."""

_QUANTILE: Final = re.compile(r"(wait|total)\.p([0-9]{2,6})")


@dataclass(frozen=True, slots=True)
class Replicate:
    """What is kept of one run."""

    number: int
    units_per_second: int
    values: Mapping[str, float | None]  # the measures that are one number for each run; None: nothing to measure
    latencies: Mapping[str, Histogram]  # wait and total, in units
    failing: tuple[str, ...]  # checks that don't hold


def replicate(scenario: Scenario, number: int, check: CheckMode) -> Replicate:
    """Make one replication. Raises `InputError` for a bad log, `InvariantViolation` when one is found."""
    leave_interrupts_to_the_parent()
    simulation = Simulation(scenario, replication=number, check=check)
    simulation.run()
    return kept_of(simulation.result(), number)


def kept_of(result: RunResult, number: int) -> Replicate:
    """What of a run's numbers the estimates need."""
    units, window = result.units_per_second, result.ended_at - result.warmup_at
    wait, total = result.wait[ALL_CLASSES], result.total[ALL_CLASSES]
    counts = {
        name: sum(n for edge, n in result.window_edges.items() if edge.trigger in triggers)
        for name, triggers in COUNTED.items()
    }
    present = sum(worker.present for worker in result.workers)
    values: dict[str, float | None] = {
        "wait.mean": wait.total / wait.count / units if wait.count else None,
        "total.mean": total.total / total.count / units if total.count else None,
        "throughput": counts["deletes"] * units / window if window else None,
        "utilisation": sum(worker.busy for worker in result.workers) / present if present else None,
    }
    values |= {f"mean_jobs.{state}": result.mean_jobs[state] / window if window else None for state in LIVE_STATES}
    values |= {f"counts.{name}": float(counted) for name, counted in counts.items()}
    failing = tuple(f"{check.name}: {check.left} is not {check.right}" for check in result.checks if not check.holds)
    return Replicate(number, units, values, {"wait": wait, "total": total}, failing)


def replications(
    engine: Engine, scenario: Scenario, begun: Iterable[int], *, check: CheckMode = CheckMode.OFF
) -> Iterator[Replicate]:
    """The replications of these numbers, in their order, each as soon as it and those before it are there."""
    return engine.run(replicate, ((scenario, number, check) for number in begun))


def until_precise(
    engine: Engine,
    scenario: Scenario,
    relative: float | None,
    *,
    replications_max: int,
    check: CheckMode = CheckMode.OFF,
    first: Sequence[Replicate] = (),
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda number: None,
) -> tuple[list[Replicate], bool]:
    """Replicate until the half-widths of `PRECISE` are this share of the estimates; and whether that was reached.

    It is asked after each replication in its order, so the number of processes changes nothing. Without a share, or
    until `stopped` says so, there will be `replications_max`. `progress` is told how many there are.
    """
    runs = list(first)
    if stopped():
        return runs, False
    left = islice(numbers(len(runs)), max(replications_max - len(runs), 0))
    with closing(replications(engine, scenario, left, check=check)) as made:  # type: ignore[type-var]
        for run in made:
            runs.append(run)
            progress(len(runs))
            if relative is not None and _is_precise(runs, relative):
                return runs, True
            if stopped():
                break
    return runs, False


def is_measure(name: str) -> bool:
    """Whether `estimate` knows the name: one of `MEASURES`, or a quantile such as wait.p75 or total.p9999."""
    return name in MEASURES or _QUANTILE.fullmatch(name) is not None


def estimate(runs: Sequence[Replicate], name: str, confidence: float = CONFIDENCE) -> Interval | None:
    """A measure of all replications together; None when there is nothing to measure. `KeyError`: no measure."""
    quantile = _QUANTILE.fullmatch(name)
    if quantile is None:
        values = [value for run in runs if (value := run.values[name]) is not None]
        return mean_interval(values, confidence) if values else None
    histograms = [run.latencies[quantile[1]] for run in runs]
    pooled = Histogram()
    for histogram in histograms:
        pooled.merge(histogram)
    if not pooled.count:
        return None
    units = runs[0].units_per_second
    q = Fraction(int(quantile[2]), 10 ** len(quantile[2]))
    at = pooled.quantile(q) or 0
    return pooled_quantile_interval(
        float(q),
        [histogram.count_up_to(at) for histogram in histograms],
        [histogram.count for histogram in histograms],
        lambda share: (pooled.quantile(share) or 0) / units,
        confidence,
    )


def estimates(runs: Sequence[Replicate], names: Iterable[str] = MEASURES) -> dict[str, Any]:
    """Each measure as JSON data: null where nothing was measured; an end is null where the data don't reach."""
    return {name: told(estimate(runs, name)) for name in names}


def told(interval: Interval | None) -> dict[str, Any] | None:
    """An interval as JSON data."""
    if interval is None:
        return None
    return {
        "estimate": interval.estimate,
        "low": interval.low if isfinite(interval.low) else None,
        "high": interval.high if isfinite(interval.high) else None,
        "count": interval.count,
    }


def _is_precise(runs: Sequence[Replicate], relative: float) -> bool:
    if len(runs) < REPLICATIONS_MIN:
        return False
    intervals = [interval for name in PRECISE if (interval := estimate(runs, name)) is not None]
    return bool(intervals) and enough(intervals, relative)
