"""Distributions: moments and shape against theory, and the one rounding to whole units."""

from itertools import islice
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import integrate, stats

from sim.distributions import (
    CHUNK_FIRST,
    CHUNK_MAX,
    DISTRIBUTIONS,
    UNITS_MAX,
    BoundedPareto,
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    HyperExponential,
    Lognormal,
    Phase,
    Uniform,
    probability_sampler,
    to_units,
    units_sampler,
)
from sim.streams import Streams

DRAWS = 100_000
UNITS = 1_000_000
Z = stats.norm.ppf(1 - 0.0005)  # two-sided 0.1 %; the seeds are fixed, so a test that passes keeps passing
KOLMOGOROV = stats.kstwobign.ppf(0.999)


class Mixture:
    """Exponentials with shares and means: what theory says, computed apart from the module under test."""

    def __init__(self, *phases: tuple[float, float]) -> None:
        self.phases = phases

    def mean(self) -> float:
        return sum(share * mean for share, mean in self.phases)

    def var(self) -> float:
        """Between the phases' means, and within the phases."""
        return sum(share * ((mean - self.mean()) ** 2 + mean**2) for share, mean in self.phases)

    def std(self) -> float:
        return float(np.sqrt(self.var()))

    def cdf(self, x: NDArray[np.float64]) -> Any:
        return sum(share * stats.expon(scale=mean).cdf(x) for share, mean in self.phases)


CONTINUOUS: list[tuple[Distribution, Any]] = [
    (Exponential(kind="exponential", mean_seconds=2.5), stats.expon(scale=2.5)),
    (Uniform(kind="uniform", low_seconds=1.0, high_seconds=4.0), stats.uniform(1.0, 3.0)),
    (
        Lognormal(kind="lognormal", mean_seconds=1.0, cv=2.0),
        stats.lognorm(s=1.2686362411795196, scale=np.exp(-0.8047189562170501)),
    ),
    (Lognormal(kind="lognormal", mu=0.5, sigma=0.75), stats.lognorm(s=0.75, scale=np.exp(0.5))),
    (Erlang(kind="erlang", stages=4, mean_seconds=2.0), stats.erlang(4, scale=0.5)),
    (
        HyperExponential(
            kind="hyper-exponential",
            phases=(
                Phase(weight=6, mean_seconds=0.1),
                Phase(weight=3, mean_seconds=5.0),
                Phase(weight=1, mean_seconds=1.0),
            ),
        ),
        Mixture((0.6, 0.1), (0.3, 5.0), (0.1, 1.0)),
    ),
    # cv^2 = 3: the shares are (1 +- sqrt(2 / 4)) / 2, and each phase makes half of the mean
    (
        HyperExponential(kind="hyper-exponential", mean_seconds=2.0, cv=3**0.5),
        Mixture((0.5 + 8**-0.5, 1 / (0.5 + 8**-0.5)), (0.5 - 8**-0.5, 1 / (0.5 - 8**-0.5))),
    ),
    (
        BoundedPareto(kind="bounded-pareto", shape=1.5, low_seconds=0.1, high_seconds=20.0),
        stats.truncpareto(1.5, 200.0, scale=0.1),
    ),
]
WEIGHTED = Empirical(kind="empirical", values_seconds=(1.0, 1.0, 2.0, 5.0))
ALL = [pair[0] for pair in CONTINUOUS] + [Constant(kind="constant", seconds=0.25), WEIGHTED]


def _sampler(distribution: Distribution, name: str = "test") -> list[int]:
    return list(islice(units_sampler(distribution, Streams(11).stream(name), UNITS), DRAWS))


def test_every_registered_kind_is_in_the_union_and_tested_here() -> None:
    union = get_args(get_args(Distribution)[0])
    assert set(union) == set(DISTRIBUTIONS) == {type(distribution) for distribution in ALL}


@pytest.mark.parametrize(("distribution", "exact"), CONTINUOUS, ids=lambda value: getattr(value, "kind", ""))
def test_moments_and_shape_are_those_of_theory(distribution: Distribution, exact: Any) -> None:
    assert distribution.mean() == pytest.approx(exact.mean())
    assert distribution.variance() == pytest.approx(exact.var())
    seconds = np.array(_sampler(distribution)) / UNITS
    assert abs(seconds.mean() - exact.mean()) <= Z * exact.std() / np.sqrt(DRAWS)
    distance = stats.ks_1samp(seconds, exact.cdf).statistic
    assert distance <= KOLMOGOROV / np.sqrt(DRAWS) + 1 / UNITS  # the rounding moves a value by half a unit


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 3.0, 50.0, 1000.0])
def test_moments_of_a_bounded_pareto_are_the_integrals_whatever_the_shape(shape: float) -> None:
    """1 and 2 are the shapes at which a moment is a logarithm; with both bounds 1 and e it is easy by hand."""
    pareto = BoundedPareto(kind="bounded-pareto", shape=shape, low_seconds=1.0, high_seconds=np.e)

    def power(order: int, x: float) -> float:
        return float(np.exp((order - shape) * x))

    whole = -np.expm1(-shape) / shape
    for order in (1, 2):
        exact = integrate.quad(lambda x, order=order: power(order, x), 0, 1, epsabs=0, epsrel=1e-12, points=[0.01])[0]
        assert pareto.moment(order) == pytest.approx(exact / whole, rel=1e-9)
    assert pareto.variance() == pytest.approx(pareto.moment(2) - pareto.mean() ** 2)
    steps = np.diff(np.sort(pareto.draw(Streams(1).stream("p"), 1000)))
    assert (steps >= 0).all()
    assert pareto.draw(Streams(1).stream("p"), 1000).max() <= np.e


def test_special_cases_are_exponential() -> None:
    exact = stats.expon(scale=2.0)
    for distribution in (
        Erlang(kind="erlang", stages=1, mean_seconds=2.0),
        HyperExponential(kind="hyper-exponential", mean_seconds=2.0, cv=1.0),
        HyperExponential(kind="hyper-exponential", phases=(Phase(weight=0.3, mean_seconds=2.0),)),
    ):
        assert (distribution.mean(), distribution.variance()) == pytest.approx((2.0, 4.0))
        seconds = np.array(_sampler(distribution)) / UNITS
        assert stats.ks_1samp(seconds, exact.cdf).statistic <= KOLMOGOROV / np.sqrt(DRAWS) + 1 / UNITS


@pytest.mark.parametrize("cv", [1.0, 1.5, 30.0, 1e6])
def test_balanced_means_give_the_cv_that_was_asked_for(cv: float) -> None:
    made = HyperExponential(kind="hyper-exponential", mean_seconds=0.25, cv=cv)
    assert made.mean() == pytest.approx(0.25, rel=1e-12)
    assert made.variance() == pytest.approx((0.25 * cv) ** 2, rel=1e-9)
    (first, one), (second, other) = made.shares
    assert first * one == pytest.approx(second * other)


def test_empirical_draws_each_value_alike() -> None:
    assert WEIGHTED.mean() == pytest.approx(2.25)
    assert WEIGHTED.variance() == pytest.approx(np.var([1, 1, 2, 5]))
    values, counts = np.unique(_sampler(WEIGHTED), return_counts=True)
    assert values.tolist() == [1 * UNITS, 2 * UNITS, 5 * UNITS]
    assert stats.chisquare(counts, [DRAWS / 2, DRAWS / 4, DRAWS / 4]).pvalue > 0.001


def test_constant_is_always_the_same_and_draws_nothing() -> None:
    rng = Streams(1).stream("constant")
    constant = Constant(kind="constant", seconds=0.25)
    assert list(islice(units_sampler(constant, rng, UNITS), 3)) == [250_000] * 3
    assert rng.random() == Streams(1).stream("constant").random()
    assert (constant.mean(), constant.variance(), constant.draw(rng, 2).tolist()) == (0.25, 0.0, [0.25, 0.25])


@pytest.mark.parametrize("distribution", ALL, ids=lambda distribution: distribution.kind)
def test_chunks_give_the_sequence_of_one_long_draw_as_plain_integers(distribution: Distribution) -> None:
    count = CHUNK_FIRST + 3 * CHUNK_MAX
    whole = to_units(distribution.draw(Streams(11).stream("test"), count), UNITS).tolist()
    sampled = _sampler(distribution)
    assert sampled[:count] == whole
    assert {type(units) for units in sampled} == {int}


def test_rounding_is_to_the_nearest_unit_halves_to_even_and_cut_at_the_bound() -> None:
    seconds = np.array([0.0, 0.49, 0.5, 0.51, 1.5, 2.5, 1e300])
    assert to_units(seconds, 1).tolist() == [0, 0, 0, 1, 2, 2, UNITS_MAX]
    assert to_units(np.array([0.1, 2e-7]), UNITS).tolist() == [100_000, 0]


def test_probabilities_are_uniform_and_those_of_one_long_draw() -> None:
    drawn = list(islice(probability_sampler(Streams(3).stream("p")), DRAWS))
    assert drawn == Streams(3).stream("p").random(DRAWS).tolist()
    assert min(drawn) >= 0
    assert max(drawn) < 1


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (Exponential, {"kind": "exponential", "mean_seconds": 0.0}),
        (Constant, {"kind": "constant", "seconds": -1.0}),
        (Uniform, {"kind": "uniform", "low_seconds": 2.0, "high_seconds": 1.0}),
        (Lognormal, {"kind": "lognormal", "mean_seconds": 1.0}),
        (Lognormal, {"kind": "lognormal", "mean_seconds": 1.0, "cv": 1.0, "mu": 0.0, "sigma": 1.0}),
        (Lognormal, {"kind": "lognormal", "mu": float("inf"), "sigma": 1.0}),
        (Erlang, {"kind": "erlang", "stages": 0, "mean_seconds": 1.0}),
        (Erlang, {"kind": "erlang", "stages": 1.5, "mean_seconds": 1.0}),
        (HyperExponential, {"kind": "hyper-exponential"}),
        (HyperExponential, {"kind": "hyper-exponential", "phases": []}),
        (HyperExponential, {"kind": "hyper-exponential", "mean_seconds": 1.0, "cv": 0.99}),
        (HyperExponential, {"kind": "hyper-exponential", "phases": [{"weight": 0.0, "mean_seconds": 1.0}]}),
        (HyperExponential, {"kind": "hyper-exponential", "mean_seconds": 1.0}),
        (BoundedPareto, {"kind": "bounded-pareto", "shape": 1.0, "low_seconds": 1.0, "high_seconds": 1.0}),
        (BoundedPareto, {"kind": "bounded-pareto", "shape": 0.0, "low_seconds": 1.0, "high_seconds": 2.0}),
        (BoundedPareto, {"kind": "bounded-pareto", "shape": 1.0, "low_seconds": 1e-9, "high_seconds": 1e4}),
        (Empirical, {"kind": "empirical"}),
        (Empirical, {"kind": "empirical", "values_seconds": [1.0, -1.0]}),
        (Empirical, {"kind": "empirical", "file": "values.txt"}),
    ],
)
def test_impossible_parameters_are_refused(kind: type[Exponential], keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(keys)
