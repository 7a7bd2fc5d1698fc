"""When a producer's jobs are put: the units from each put to the next, whatever the kind of arrivals.

Each cause has a stream: `producers/NAME/arrivals`, and where they apply `.../states`, `.../thinning` and `.../batch`.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, assert_never

import numpy as np

from sim.arrival_models import (
    DAY_SECONDS,
    AtStartArrivals,
    BatchSize,
    ConstantArrivals,
    FixedBatch,
    GeometricBatch,
    MarkovModulatedArrivals,
    OnOffArrivals,
    PoissonArrivals,
    ProfileArrivals,
    TraceArrivals,
    UniformBatch,
)
from sim.distributions import (
    Exponential,
    probability_sampler,
    to_units,
    unit_exponential_sampler,
    units_sampler,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.scenario_models import Producer
    from sim.streams import Streams


HORIZON_SECONDS = 4e9
"""No run is longer (`run.max_simulated_seconds`); what would come later is not looked for."""


def put_gaps(producer: Producer, streams: Streams, units_per_second: int) -> Iterator[int]:
    """The units from each put to the next, the first from the start on; none for a log, which has instants.

    The jobs of a batch follow each other by 0.
    """
    gaps = _arrival_gaps(producer, streams, units_per_second)
    if producer.batch is None:
        return gaps
    return _in_batches(gaps, producer.batch, streams.stream(f"producers/{producer.name}/batch"))


def _arrival_gaps(producer: Producer, streams: Streams, units: int) -> Iterator[int]:
    name = f"producers/{producer.name}"
    match producer.arrivals:
        case PoissonArrivals(rate_per_second=rate):
            return _poisson_gaps(rate, streams.stream(f"{name}/arrivals"), units)
        case ConstantArrivals(interval_seconds=interval):
            return repeat(int(to_units(np.array([interval]), units)[0]))
        case AtStartArrivals(jobs=jobs):
            return repeat(0, jobs)
        case OnOffArrivals() as arrivals:
            return _modulated_gaps(arrivals.modulated(), name, streams, units)
        case MarkovModulatedArrivals() as arrivals:
            return _modulated_gaps(arrivals, name, streams, units)
        case ProfileArrivals() as arrivals:
            return _profile_gaps(arrivals, name, streams, units)
        case TraceArrivals():
            return iter(())
        case _ as never:
            assert_never(never)


def _poisson_gaps(rate_per_second: float, rng: np.random.Generator, units: int) -> Iterator[int]:
    return units_sampler(Exponential(kind="exponential", mean_seconds=1 / rate_per_second), rng, units)


def _modulated_gaps(arrivals: MarkovModulatedArrivals, name: str, streams: Streams, units: int) -> Iterator[int]:
    """Arrivals at the instants at which the integral of the rate has grown by another unit exponential.

    The instants are summed as floats and rounded once each, so that no error of rounding adds up.
    """
    rates = [state.rate_per_second for state in arrivals.states]
    stays = [state.mean_seconds for state in arrivals.states]
    bounds = [np.cumsum(row) for row in arrivals.moves]
    rng = streams.stream(f"{name}/states")
    state = _chosen(np.cumsum(arrivals.shares), rng.random())
    at = 0.0
    leaves_at = rng.exponential(stays[state])
    last = 0
    for missing in unit_exponential_sampler(streams.stream(f"{name}/arrivals")):
        left = missing
        while left > (offered := rates[state] * (leaves_at - at)):
            left -= offered
            at = leaves_at
            if at > HORIZON_SECONDS:
                return
            if len(stays) > 1:
                state = _chosen(bounds[state], rng.random())
            leaves_at = at + rng.exponential(stays[state])
        at += left / rates[state]
        if at > HORIZON_SECONDS:
            return
        instant = round(at * units)
        yield instant - last
        last = instant


def _chosen(bounds: np.ndarray, chance: float) -> int:
    """The place that a number from [0, 1) falls into, the bounds being cumulated probabilities."""
    return min(int(np.searchsorted(bounds, chance, side="right")), int(np.searchsorted(bounds, bounds[-1])))


def _profile_gaps(arrivals: ProfileArrivals, name: str, streams: Streams, units: int) -> Iterator[int]:
    """Candidates at the greatest rate, each kept with the share that the rate of its instant is of that."""
    peak = arrivals.peak()
    shares = [factor / peak for factor in arrivals.factors]
    parts, week = len(shares), 7 * DAY_SECONDS * units
    at = last = round(arrivals.starts_after_seconds() * units)
    candidates = _poisson_gaps(arrivals.rate_per_second * peak, streams.stream(f"{name}/arrivals"), units)
    for gap, chance in zip(candidates, probability_sampler(streams.stream(f"{name}/thinning")), strict=False):
        at += gap
        if chance < shares[at % week * parts // week]:
            yield at - last
            last = at


def _in_batches(gaps: Iterator[int], batch: BatchSize, rng: np.random.Generator) -> Iterator[int]:
    sizes = _batch_sizes(batch, rng)
    for gap in gaps:
        yield gap
        yield from repeat(0, next(sizes) - 1)


def _batch_sizes(batch: BatchSize, rng: np.random.Generator) -> Iterator[int]:
    match batch:
        case FixedBatch(jobs=jobs):
            yield from repeat(jobs)
        case UniformBatch(low=low, high=high):
            for chance in probability_sampler(rng):
                yield low + int(chance * (high - low + 1))
        case GeometricBatch(mean_jobs=mean):
            while True:
                yield int(rng.geometric(1 / mean))
        case _ as never:
            assert_never(never)
