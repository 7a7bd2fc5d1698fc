"""Compares simulations with the exact values of `tests/data/analytic_cases.json`.

A case is simulated in R independent replications. Each gives one number for every expected value, and the exact
value must lie within t(0.9995, R-1)·s/√R of their mean, as the file's hint asks for. A quantile is compared by
the share of latencies at or below its exact value, whose expectation is the probability itself, where the mean of
sample quantiles would be biased. The half-width in seconds comes from the same interval: the pooled quantiles at
the probability ± the half-width of the share.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from jsm.machine import Machine
from jsm.states import JobState
from sim.histogram import Histogram, bin_of, bounds_of
from sim.run import Simulation
from sim.run_result import ALL_CLASSES, COUNTED, RunResult
from sim.scenario import load_scenario
from sim.scenario_models import Scenario

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case
    for case in json.loads((Path(__file__).parent / "data" / "analytic_cases.json").read_text())["cases"]
}

PRIORITY_CLASSES = ("urgent", "normal", "patient")
CONFIDENCE = 0.9995  # one-sided; the interval has 0.999


@dataclass(frozen=True, slots=True)
class Comparison:
    """One expected value against the replications."""

    name: str
    exact: float
    mean: float
    half_width: float
    relative_half_width: float  # of the exact value; for a quantile, in seconds

    @property
    def agrees(self) -> bool:
        """Whether the exact value lies inside the interval."""
        return abs(self.mean - self.exact) <= self.half_width

    def __str__(self) -> str:
        """One line for a failure's message or a report."""
        verdict = "agrees" if self.agrees else "DISAGREES"
        return (
            f"{self.name}: exact {self.exact:.6g}, simulated {self.mean:.6g} ± {self.half_width:.3g} "
            f"({100 * self.relative_half_width:.2g} % of the exact value): {verdict}"
        )


Sample = dict[str, tuple[float, float]]
"""By name: the exact value and what a replication gave."""


@dataclass(frozen=True, slots=True)
class Study:
    """The replications of one case."""

    comparisons: tuple[Comparison, ...]
    jobs: int

    @property
    def disagreements(self) -> list[str]:
        """What lies outside its interval, a line each."""
        return [str(comparison) for comparison in self.comparisons if not comparison.agrees]

    def wider_than(self, relative: float, *, names: str = "") -> list[str]:
        """The comparisons (whose names begin so) with a half-width above a share of the exact value."""
        return [str(c) for c in self.comparisons if c.name.startswith(names) and c.relative_half_width > relative]


@dataclass(frozen=True, slots=True)
class Replication:
    """What is kept of one run."""

    jobs: int
    sample: Sample
    wait: Histogram
    sojourn: Histogram


def study(
    case_id: str,
    scenario_name: str,
    *,
    replications: int,
    overrides: Sequence[str] = (),
    make_machine: Callable[..., Machine] = Machine,
    processes: int = 1,
) -> Study:
    """Simulate a bundled scenario, with overrides, against a case; `processes` change nothing in the result."""
    scenario = load_scenario(scenario_name, overrides)
    replicate = partial(_replicate, case_id, scenario, make_machine)
    if processes == 1:
        runs = [replicate(number) for number in range(replications)]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            runs = list(pool.map(replicate, range(replications)))
    pooled = {"wait": Histogram(), "sojourn": Histogram()}
    for run in runs:
        pooled["wait"].merge(run.wait)
        pooled["sojourn"].merge(run.sojourn)
    samples = [run.sample for run in runs]
    return Study(tuple(_comparisons(samples, pooled, scenario)), sum(run.jobs for run in runs))


def share_up_to(histogram: Histogram, value: float) -> float:
    """The share of recorded values at or below a value, a bin counted in proportion."""
    cumulated = np.cumsum(histogram._counts)
    index = int(bin_of(np.array([int(value)], np.int64), bits=histogram.bits)[0])
    if index >= len(cumulated):
        return 1.0
    low, high = bounds_of(index, bits=histogram.bits)
    before = int(cumulated[index - 1]) if index else 0
    inside = int(histogram._counts[index]) * (value - low) / (high + 1 - low)
    return (before + inside) / histogram.count


def zeros_of(histogram: Histogram) -> int:
    """How many recorded values are exactly 0."""
    return int(histogram._counts[0])


def _replicate(case_id: str, scenario: Scenario, make_machine: Callable[..., Machine], replication: int) -> Replication:
    simulation = Simulation(scenario, replication=replication, make_machine=make_machine)
    simulation.run()
    result = simulation.result()
    if not result.holds:
        raise AssertionError([check for check in result.checks if not check.holds])
    sample = dict(_values(result, CASES[case_id]["expect"]))
    return Replication(_puts(result), sample, result.wait[ALL_CLASSES], result.total[ALL_CLASSES])


def _puts(result: RunResult) -> int:
    return sum(count for edge, count in result.edges.items() if edge.source is JobState.NEW)


def _values(result: RunResult, expect: dict[str, Any]) -> Iterator[tuple[str, tuple[float, float]]]:
    """Every expected value that a run can be asked for, in the file's order."""
    units = result.units_per_second
    window = result.ended_at - result.warmup_at
    wait, total = result.wait[ALL_CLASSES], result.total[ALL_CLASSES]
    waiting = result.mean_jobs[JobState.READY] / window if window else 0.0
    held = result.mean_jobs[JobState.RESERVED] / window if window else 0.0
    counts = {
        name: sum(n for edge, n in result.window_edges.items() if edge.trigger in triggers)
        for name, triggers in COUNTED.items()
    }
    busy = sum(worker.busy for worker in result.workers)
    simple: dict[str, Callable[[], float]] = {
        "utilisation": lambda: busy / sum(worker.present for worker in result.workers),
        "busy_mean": lambda: busy / window,
        "p_wait": lambda: 1 - zeros_of(wait) / wait.count,
        "wq_mean": lambda: wait.total / wait.count / units,
        "wq_all": lambda: wait.total / wait.count / units,
        "wait_given_wait_mean": lambda: wait.total / (wait.count - zeros_of(wait)) / units,
        "sojourn_mean": lambda: total.total / total.count / units,
        "completion_mean": lambda: total.total / total.count / units,
        "lq_mean": lambda: waiting,
        "l_mean": lambda: waiting + held,
        "p_timeout_per_attempt": lambda: counts["timeouts"] / counts["reserves"],
        "attempts_mean": lambda: counts["reserves"] / counts["deletes"],
        "reserve_rate": lambda: counts["reserves"] / (window / units),
        "makespan_mean": lambda: result.ended_at / units,
    }
    for name, exact in expect.items():
        if name in simple:
            yield name, (exact, simple[name]())
        elif name == "makespan_var":
            yield name, (exact, (result.ended_at / units - expect["makespan_mean"]) ** 2)
        elif name == "wq_by_class":
            for class_name, value in zip(PRIORITY_CLASSES, exact, strict=True):
                by_class = result.wait[class_name]
                yield f"wq of {class_name}", (value, by_class.total / by_class.count / units)
        elif name.endswith("_quantiles"):
            histogram = wait if name.startswith("wait") else total
            measure = "wait" if name.startswith("wait") else "sojourn"
            for q, seconds in exact.items():
                yield f"{measure} quantile {q}", (seconds, share_up_to(histogram, seconds * units))


def _comparisons(samples: Sequence[Sample], pooled: dict[str, Histogram], scenario: Scenario) -> Iterator[Comparison]:
    count = len(samples)
    factor = float(stats.t.ppf(CONFIDENCE, count - 1)) / count**0.5
    units = scenario.run.units_per_second
    for name, (exact, _) in samples[0].items():
        values = np.array([sample[name][1] for sample in samples])
        mean, half = float(values.mean()), factor * float(values.std(ddof=1))
        if " quantile " not in name:
            yield Comparison(name, exact, mean, half, half / exact)
            continue
        measure, _, q = name.split()
        low, high = (
            _pooled_quantile(pooled[measure], mean_share) / units for mean_share in (float(q) - half, float(q) + half)
        )
        yield Comparison(name, float(q), mean, half, (high - low) / 2 / exact)


def _pooled_quantile(histogram: Histogram, q: float) -> float:
    if q >= 1:
        return float("inf")
    value = histogram.quantile(q)
    assert value is not None
    return float(value)
