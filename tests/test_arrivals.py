"""Arrivals: counts, gaps and batches against theory, streams of their own, and the calendar."""

from itertools import accumulate, islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim.arrivals import HORIZON_SECONDS, put_gaps
from sim.distributions import Exponential, units_sampler
from sim.run import Simulation
from sim.scenario_models import Producer
from sim.streams import Streams
from tests.simulated import SECOND, Recorder, at_start, pool, recorded, scenario

Z = stats.norm.ppf(1 - 0.0005)
DAY = 86_400


def _producer(arrivals: dict[str, Any], **settings: Any) -> Producer:
    return Producer.model_validate({"name": "web", "arrivals": arrivals, **settings})


def _instants(
    arrivals: dict[str, Any], *, seconds: float, replication: int = 0, **settings: Any
) -> NDArray[np.float64]:
    """The instants of the puts up to a second."""
    gaps = put_gaps(_producer(arrivals, **settings), Streams(5, replication), SECOND)
    found = []
    for at in accumulate(gaps):
        if at > seconds * SECOND:
            break
        found.append(at / SECOND)
    return np.array(found)


# ------------------------------------------------------------------ on and off, and states

ON_OFF = {"kind": "on-off", "rate_per_second": 8.0, "mean_on_seconds": 2.0, "mean_off_seconds": 3.0}


def test_gaps_of_on_off_arrivals_are_hyper_exponential() -> None:
    """Exactly (Kuczura 1973): a renewal process, once the first put has come."""
    rate, off_rate, on_rate = 8.0, 1 / 2.0, 1 / 3.0  # left when on, left when off
    root = np.sqrt((rate + off_rate + on_rate) ** 2 - 4 * rate * on_rate)
    fast, slow = (rate + off_rate + on_rate + root) / 2, (rate + off_rate + on_rate - root) / 2
    share = (rate - slow) / (fast - slow)
    count = 50_000
    gaps = np.array(list(islice(put_gaps(_producer(ON_OFF), Streams(1), SECOND), count + 1))[1:]) / SECOND

    def cdf(x: Any) -> Any:
        return 1 - share * np.exp(-fast * x) - (1 - share) * np.exp(-slow * x)

    assert stats.ks_1samp(gaps, cdf).statistic < stats.kstwobign.ppf(0.999) / np.sqrt(count) + 1 / SECOND
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(count)


def test_counts_of_two_states_have_the_mean_and_the_variance_of_theory_from_the_start_on() -> None:
    """From the start on: the first state is drawn by its share of time, so that nothing has to warm up."""
    (a, b), (stay_a, stay_b), seconds, runs = (10.0, 1.0), (1.0, 4.0), 3.0, 4_000
    r, s = 1 / stay_a, 1 / stay_b
    mean = (a * s + b * r) * seconds / (r + s)
    grown = (r + s) * seconds - 1 + np.exp(-(r + s) * seconds)
    variance = mean + 2 * (a - b) ** 2 * r * s / (r + s) ** 4 * grown
    states = [{"rate_per_second": a, "mean_seconds": stay_a}, {"rate_per_second": b, "mean_seconds": stay_b}]
    arrivals = {"kind": "markov-modulated", "states": states}
    assert _producer(arrivals).arrivals.mean_rate() == pytest.approx(mean / seconds)  # type: ignore[union-attr]
    counts = np.array([len(_instants(arrivals, seconds=seconds, replication=run)) for run in range(runs)])
    assert abs(counts.mean() - mean) < Z * np.sqrt(variance / runs)
    spread = np.std((counts - counts.mean()) ** 2) / np.sqrt(runs)
    assert abs(counts.var() - variance) < Z * spread


def test_a_state_is_followed_by_those_that_its_weights_name() -> None:
    """Three states with rates far apart, so that each can be told by its counts."""
    states = [
        {"rate_per_second": 0.0, "mean_seconds": 10.0, "next": [0, 3, 1]},
        {"rate_per_second": 2.0, "mean_seconds": 20.0, "next": [1, 0, 0]},
        {"rate_per_second": 50.0, "mean_seconds": 5.0, "next": [1, 0, 0]},
    ]
    arrivals = {"kind": "markov-modulated", "states": states}
    model = _producer(arrivals).arrivals
    shares = (
        np.array([10.0 * 4, 20.0 * 3, 5.0 * 1]) / 105
    )  # of 8 moves 4 lead to the first state, 3 and 1 to the others
    assert model.shares == pytest.approx(shares)  # type: ignore[union-attr]
    seconds = 100_000
    count = len(_instants(arrivals, seconds=seconds))
    assert count == pytest.approx(seconds * (shares @ [0.0, 2.0, 50.0]), rel=0.06)


def test_one_state_is_poisson_and_a_rare_one_ends_with_the_longest_run() -> None:
    one = {"kind": "markov-modulated", "states": [{"rate_per_second": 4.0, "mean_seconds": 3.0}]}
    gaps = np.array(list(islice(put_gaps(_producer(one), Streams(2), SECOND), 20_000))) / SECOND
    assert stats.ks_1samp(gaps, stats.expon(scale=0.25).cdf).statistic < stats.kstwobign.ppf(0.999) / np.sqrt(20_000)
    rare = {"kind": "on-off", "rate_per_second": 1e-30, "mean_on_seconds": 1e8, "mean_off_seconds": 1e8}
    assert list(put_gaps(_producer(rare), Streams(2), SECOND)) == []
    assert sum(put_gaps(_producer({**rare, "rate_per_second": 1e-7}), Streams(2), SECOND)) <= HORIZON_SECONDS * SECOND


# ------------------------------------------------------------------ a week


def test_a_flat_profile_gives_the_very_arrivals_of_a_poisson_process() -> None:
    flat = put_gaps(_producer({"kind": "profile", "rate_per_second": 3.0}), Streams(4), SECOND)
    poisson = put_gaps(_producer({"kind": "poisson", "rate_per_second": 3.0}), Streams(4), SECOND)
    assert list(islice(flat, 5_000)) == list(islice(poisson, 5_000))


def test_counts_follow_the_parts_of_the_day_and_the_days_of_the_week() -> None:
    day, week, rate, weeks = [0.2, 1.0, 2.0, 0.5], [1, 1, 1.5, 1, 0.8, 0.3, 0.0], 0.02, 3
    arrivals = {"kind": "profile", "rate_per_second": rate, "day": day, "week": week}
    instants = _instants(arrivals, seconds=7 * DAY * weeks)
    counts = np.bincount((instants % (7 * DAY) // (DAY / 4)).astype(int), minlength=28).astype(float)
    expected = np.outer(week, day).ravel() * rate * DAY / 4 * weeks
    model = _producer(arrivals).arrivals
    assert expected.sum() == pytest.approx(model.mean_rate() * 7 * DAY * weeks)  # type: ignore[union-attr]
    assert counts[expected == 0].sum() == 0
    busy = expected > 0
    statistic = ((counts[busy] - expected[busy]) ** 2 / expected[busy]).sum()
    assert stats.chi2(busy.sum()).sf(statistic) > 0.001


@pytest.mark.parametrize(
    ("starts_on", "starts_at_seconds", "first_second"),
    [("monday", 0.0, 33 * 3_600), ("tuesday", 8 * 3_600.0, 3_600), ("tuesday", 36_000.0, (7 * 24 - 1) * 3_600)],
)
def test_second_0_may_be_any_instant_of_the_week(starts_on: str, starts_at_seconds: float, first_second: int) -> None:
    """Jobs come on Tuesdays from 9 to 10 only."""
    arrivals = {
        "kind": "profile",
        "rate_per_second": 0.05,
        "day": [float(hour == 9) for hour in range(24)],
        "week": [0, 1, 0, 0, 0, 0, 0],
        "starts_on": starts_on,
        "starts_at_seconds": starts_at_seconds,
    }
    instants = _instants(arrivals, seconds=14 * DAY)
    since = (instants - first_second) % (7 * DAY)
    assert len(instants) > 200
    assert since.max() < 3_600
    assert instants[0] < first_second + 200


# ------------------------------------------------------------------ several at once


@pytest.mark.parametrize(
    ("batch", "exact"),
    [
        ({"kind": "fixed", "jobs": 3}, stats.rv_discrete(values=([3], [1.0]))),
        ({"kind": "uniform", "low": 2, "high": 5}, stats.randint(2, 6)),
        ({"kind": "geometric", "mean_jobs": 4.0}, stats.geom(0.25)),
        ({"kind": "geometric", "mean_jobs": 1.0}, stats.rv_discrete(values=([1], [1.0]))),
    ],
)
def test_batches_have_sizes_as_theory_says_and_instants_as_without(batch: dict[str, Any], exact: Any) -> None:
    poisson = {"kind": "poisson", "rate_per_second": 5.0}
    alone = _instants(poisson, seconds=1_000)
    together = _instants(poisson, seconds=1_000, batch=batch)
    instants, sizes = np.unique(together, return_counts=True)
    assert instants.tolist() == alone.tolist()
    model = _producer(poisson, batch=batch).batch
    assert model is not None
    assert (model.mean(), model.variance()) == pytest.approx((exact.mean(), exact.var()))
    assert abs(sizes.mean() - exact.mean()) <= Z * exact.std() / np.sqrt(len(sizes))
    assert (exact.pmf(sizes) > 0).all()
    assert len(np.unique(sizes)) >= min(4, exact.support()[1] - exact.support()[0] + 1)


def test_batches_wait_as_long_as_theory_says() -> None:
    """M^[X]/M/1 with batches of 3 at load 0.6: L = 0.6 (1 + 3) / (2 * 0.4) = 3, so 5 s from put to delete."""
    producer = {"arrivals": {"kind": "poisson", "rate_per_second": 0.2}, "batch": {"kind": "fixed", "jobs": 3}}
    made = scenario(
        producers={**producer, "ttr_seconds": 1_000_000},
        workers={"service": {"kind": "exponential", "mean_seconds": 1.0}},
        run={"duration_seconds": 60_000.0, "warmup_seconds": 500.0},
    )
    simulation = Simulation(made, watch=False)
    simulation.run()
    mean = simulation.result().total[""].mean()
    assert mean is not None
    assert float(mean) / SECOND == pytest.approx(5.0, rel=0.05)


def test_the_limit_of_jobs_cuts_a_batch() -> None:
    producer = {"arrivals": {"kind": "constant", "interval_seconds": 1.0}, "batch": {"kind": "fixed", "jobs": 3}}
    _, recorder, _ = recorded(scenario(producers={**producer, "jobs": 7}, workers=pool(0.0)))
    assert recorder.at("put") == [1, 1, 1, 2, 2, 2, 3]


# ------------------------------------------------------------------ streams


def test_each_cause_has_a_stream_of_its_own() -> None:
    """More time off moves the arrivals but not the numbers that they are made of."""
    rng = Streams(5).stream("producers/web/arrivals")
    first = next(units_sampler(Exponential(kind="exponential", mean_seconds=1 / 8.0), rng, SECOND))
    always_on = {**ON_OFF, "mean_on_seconds": 1e9, "mean_off_seconds": 1e-6}
    assert round(_instants(always_on, seconds=10)[0] * SECOND) == first


def test_old_kinds_are_as_they_were() -> None:
    recorder: Recorder = recorded(scenario(producers=at_start(3), workers=pool(1.0)))[1]
    assert recorder.at("put") == [0, 0, 0]
    assert _instants({"kind": "constant", "interval_seconds": 0.5}, seconds=2).tolist() == [0.5, 1, 1.5, 2]
