"""Replications: which chance each has, what all say together, when there are enough of them."""

from functools import cache

import numpy as np
import pytest
from scipy import stats

from jsm.engines import open_engine
from sim.check_mode import CheckMode
from sim.estimates import mean_interval
from sim.histogram import Histogram
from sim.replications import (
    MEASURES,
    PRECISE,
    Replicate,
    estimate,
    estimates,
    is_measure,
    kept_of,
    replicate,
    replications,
    until_precise,
)
from sim.run import Simulation
from sim.scenario import load_scenario

SHORT = ["run.duration_seconds=200.0", "run.warmup_seconds=10.0"]


@cache
def made(count: int) -> tuple[Replicate, ...]:
    with open_engine() as engine:
        return tuple(replications(engine, load_scenario("mm1", SHORT), range(count)))


def test_a_replication_is_the_run_with_its_number() -> None:
    scenario = load_scenario("mm1", SHORT)
    simulation = Simulation(scenario, replication=1)
    simulation.run()
    assert replicate(scenario, 1, CheckMode.OFF).values == kept_of(simulation.result(), 1).values == made(2)[1].values
    assert made(2)[0].values != made(2)[1].values


def test_the_first_replication_is_what_a_single_run_says() -> None:
    simulation = Simulation(load_scenario("mm1", SHORT))
    simulation.run()
    result = simulation.result()
    (alone,) = made(2)[:1]
    assert alone.values["wait.mean"] == pytest.approx(result.wait[""].total / result.wait[""].count / 1e6)
    assert alone.values["counts.deletes"] == sum(
        n for edge, n in result.window_edges.items() if edge.trigger == "delete"
    )
    assert alone.failing == ()


def test_means_are_of_the_replications_and_quantiles_of_all_latencies() -> None:
    runs = made(6)
    assert estimate(runs, "wait.mean") == mean_interval([run.values["wait.mean"] or 0 for run in runs])
    pooled = Histogram()
    for run in runs:
        pooled.merge(run.latencies["wait"])
    found = estimate(runs, "wait.p90")
    assert found is not None
    assert found.estimate == (pooled.quantile(0.9) or 0) / 1e6
    averaged = sum((run.latencies["wait"].quantile(0.9) or 0) / 1e6 for run in runs) / 6
    assert found.estimate != pytest.approx(averaged, rel=1e-3)
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize(("name", "ends"), [("wait.p45", (10.0, 20.0, 20.0)), ("wait.p55", (20.0, 20.0, 30.0))])
def test_the_interval_of_a_quantile_by_hand(name: str, ends: tuple[float, float, float]) -> None:
    runs = [_with([10, 20, 30, 40] * 5), _with([10, 10, 20, 50] * 5)]
    found = estimate(runs, name, 0.5)
    # shares at or below 20: 10 and 15 of 20 each, 5/8 ± t(0.75, 1)·√(2·2·6.25)/40, which is ± 1/8: 5 ranks of 40
    assert float(stats.t.ppf(0.75, 1)) == pytest.approx(1.0)
    assert found is not None
    assert (found.low, found.estimate, found.high) == ends


def _with(waits: list[int]) -> Replicate:
    histogram = Histogram()
    histogram.record(np.array(waits, np.int64))
    return Replicate(0, 1, dict.fromkeys(MEASURES), {"wait": histogram, "total": Histogram()}, ())


def test_what_was_not_measured_is_none() -> None:
    runs = [_with([1]), _with([2])]
    assert estimate(runs, "utilisation") is None
    assert estimate(runs, "total.p99") is None
    told = estimates(runs)
    assert list(told) == list(MEASURES)
    assert told["throughput"] is None
    assert told["wait.p99"] == {"estimate": 2.0, "low": None, "high": None, "count": 2}


@pytest.mark.parametrize(
    ("name", "known"), [("wait.p75", True), ("total.p9999", True), ("wait.p5", False), ("p99", False)]
)
def test_names_of_measures(name: str, known: bool) -> None:
    assert is_measure(name) is known
    assert set(PRECISE) <= set(MEASURES)


def test_replications_go_on_until_they_are_precise() -> None:
    scenario = load_scenario("mm1", SHORT)
    with open_engine() as engine:
        runs, reached = until_precise(engine, scenario, 0.9, replications_max=60)
    assert reached
    assert 10 <= len(runs) < 60
    intervals = [estimate(runs, name) for name in PRECISE]
    assert all(interval is not None and interval.is_within(0.9) for interval in intervals)
    before = [estimate(runs[:-1], name) for name in PRECISE]
    assert len(runs) == 10 or not all(interval is not None and interval.is_within(0.9) for interval in before)
    assert [run.number for run in runs] == list(range(len(runs)))
    assert runs[0].values == made(6)[0].values


def test_a_bound_on_the_replications_is_kept() -> None:
    with open_engine() as engine:
        runs, reached = until_precise(engine, load_scenario("mm1", SHORT), 0.01, replications_max=8, first=made(6))
    assert ([run.number for run in runs], reached) == (list(range(8)), False)
