"""Distributions: moments and shape against theory, and the one rounding to whole units."""

from itertools import islice
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from sim.distributions import (
    CHUNK_FIRST,
    CHUNK_MAX,
    DISTRIBUTIONS,
    UNITS_MAX,
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Lognormal,
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

CONTINUOUS = [
    (Exponential(kind="exponential", mean_seconds=2.5), stats.expon(scale=2.5)),
    (Uniform(kind="uniform", low_seconds=1.0, high_seconds=4.0), stats.uniform(1.0, 3.0)),
    (
        Lognormal(kind="lognormal", mean_seconds=1.0, cv=2.0),
        stats.lognorm(s=1.2686362411795196, scale=np.exp(-0.8047189562170501)),
    ),
    (Lognormal(kind="lognormal", mu=0.5, sigma=0.75), stats.lognorm(s=0.75, scale=np.exp(0.5))),
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
        (Empirical, {"kind": "empirical"}),
        (Empirical, {"kind": "empirical", "values_seconds": [1.0, -1.0]}),
        (Empirical, {"kind": "empirical", "file": "values.txt"}),
    ],
)
def test_impossible_parameters_are_refused(kind: type[Exponential], keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(keys)
