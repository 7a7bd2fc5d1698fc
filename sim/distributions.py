"""Distributions of durations: what a scenario may say, and how whole time units are drawn from it.

Each kind is one class: its keys, its mean and variance (for tests and reports), and `draw`, which gives seconds
as floats. `units_sampler` turns any of them into an endless iterator of whole units. To add a kind: write its
class here, add it to `DISTRIBUTIONS` and to the union `Distribution`, regenerate the schema
(`python -m sim.scenario`), and add its row to `tests/test_distributions.py`.

Exactly: a draw of x seconds is `rint(x * units_per_second)` units, halves to even, at most 2^62. Draws come in
chunks, but the sequence doesn't depend on the size of a chunk: it is that of one long call of `draw`.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import chain, repeat
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, ValidationInfo, field_validator, model_validator

from sim.settings import Settings

Seconds = NDArray[np.float64]

UNITS_MAX = 2**62
"""The longest duration in units; what is drawn beyond is cut to it."""

CHUNK_FIRST = 64
CHUNK_MAX = 4096
"""Draws a chunk: small at first, since a scenario may have thousands of workers, then doubling."""

NonNegative = Annotated[float, Field(ge=0)]


class Exponential(Settings):
    """Exponential with the given mean: memoryless."""

    kind: Literal["exponential"] = Field(description="the kind of distribution")
    mean_seconds: PositiveFloat = Field(description="the mean in seconds, above 0")

    def mean(self) -> float:
        """In seconds."""
        return self.mean_seconds

    def variance(self) -> float:
        """In seconds squared."""
        return self.mean_seconds**2

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` values in seconds."""
        return rng.exponential(self.mean_seconds, count)


class Constant(Settings):
    """Always the same."""

    kind: Literal["constant"] = Field(description="the kind of distribution")
    seconds: NonNegative = Field(description="the value in seconds, 0 or more")

    def mean(self) -> float:
        """In seconds."""
        return self.seconds

    def variance(self) -> float:
        """0."""
        return 0.0

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` times the value; draws nothing."""
        return np.full(count, self.seconds)


class Uniform(Settings):
    """Every value between two bounds alike."""

    kind: Literal["uniform"] = Field(description="the kind of distribution")
    low_seconds: NonNegative = Field(description="the lower bound in seconds, 0 or more")
    high_seconds: NonNegative = Field(description="the upper bound in seconds, not below low_seconds")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.high_seconds < self.low_seconds:
            raise ValueError(
                f"high_seconds = {self.high_seconds} lies below low_seconds = {self.low_seconds}; raise it"
            )
        return self

    def mean(self) -> float:
        """In seconds."""
        return (self.low_seconds + self.high_seconds) / 2

    def variance(self) -> float:
        """In seconds squared."""
        return (self.high_seconds - self.low_seconds) ** 2 / 12

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` values in seconds."""
        return rng.uniform(self.low_seconds, self.high_seconds, count)


class Lognormal(Settings):
    """The exponential of a normal: many short, few very long. Either mean and cv, or mu and sigma."""

    kind: Literal["lognormal"] = Field(description="the kind of distribution")
    mean_seconds: PositiveFloat | None = Field(default=None, description="the mean in seconds, above 0; goes with cv")
    cv: NonNegative | None = Field(
        default=None, description="the coefficient of variation, standard deviation / mean; goes with mean_seconds"
    )
    mu: float | None = Field(default=None, description="the mean of the logarithm of the seconds; goes with sigma")
    sigma: NonNegative | None = Field(
        default=None, description="the standard deviation of the logarithm of the seconds; goes with mu"
    )

    @model_validator(mode="after")
    def _one_pair(self) -> Self:
        given = tuple(name for name in ("mean_seconds", "cv", "mu", "sigma") if getattr(self, name) is not None)
        if given not in {("mean_seconds", "cv"), ("mu", "sigma")}:
            raise ValueError(
                f"it has {' and '.join(given) or 'no parameter'}; give either mean_seconds and cv, or mu and sigma"
            )
        return self

    def log_moments(self) -> tuple[float, float]:
        """(mu, sigma): mean and standard deviation of the logarithm."""
        if self.mean_seconds is not None and self.cv is not None:
            variance = math.log1p(self.cv**2)
            return math.log(self.mean_seconds) - variance / 2, math.sqrt(variance)
        assert self.mu is not None
        assert self.sigma is not None
        return self.mu, self.sigma

    def mean(self) -> float:
        """In seconds."""
        mu, sigma = self.log_moments()
        return math.exp(mu + sigma**2 / 2)

    def variance(self) -> float:
        """In seconds squared."""
        mu, sigma = self.log_moments()
        return math.expm1(sigma**2) * math.exp(2 * mu + sigma**2)

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` values in seconds."""
        return rng.lognormal(*self.log_moments(), count)


class Erlang(Settings):
    """The sum of `stages` exponentials that are alike: steadier than exponential, the more so the more stages.

    Mean m and variance m^2 / stages (Erlang 1917; Kleinrock, Queueing Systems I, 1975, section 4.2).
    """

    kind: Literal["erlang"] = Field(description="the kind of distribution")
    stages: int = Field(ge=1, le=1_000_000, description="the number of exponential stages, at least 1")
    mean_seconds: PositiveFloat = Field(description="the mean of the whole in seconds, above 0")

    def mean(self) -> float:
        """In seconds."""
        return self.mean_seconds

    def variance(self) -> float:
        """In seconds squared."""
        return self.mean_seconds**2 / self.stages

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` values in seconds, as gamma variates."""
        return rng.gamma(self.stages, self.mean_seconds / self.stages, count)


class Phase(Settings):
    """One of the exponentials of a hyper-exponential."""

    weight: PositiveFloat = Field(description="the weight of the phase, above 0; the weights need not sum to 1")
    mean_seconds: PositiveFloat = Field(description="the mean of the phase in seconds, above 0")


class HyperExponential(Settings):
    """One of several exponentials, chosen by weight: more variable than exponential. Phases, or mean and cv.

    With shares p and means m the mean is sum(p m), the variance 2 sum(p m^2) - mean^2. From mean and cv come two
    phases with balanced means, p1 m1 = p2 m2 (Whitt, Approximating a point process by a renewal process I,
    Operations Research 30, 1982).
    """

    kind: Literal["hyper-exponential"] = Field(description="the kind of distribution")
    phases: tuple[Phase, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="the exponentials, such as [{weight = 9, mean_seconds = 0.1}, {weight = 1, mean_seconds = 5}]",
    )
    mean_seconds: PositiveFloat | None = Field(default=None, description="the mean in seconds, above 0; goes with cv")
    cv: float | None = Field(
        default=None,
        ge=1,
        le=1e6,
        description="the coefficient of variation, standard deviation / mean, 1 or more; goes with mean_seconds",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = tuple(name for name in ("phases", "mean_seconds", "cv") if getattr(self, name) is not None)
        if given not in {("phases",), ("mean_seconds", "cv")}:
            raise ValueError(
                f"it has {' and '.join(given) or 'no parameter'}; give either phases, or mean_seconds and cv"
            )
        return self

    @cached_property
    def shares(self) -> tuple[tuple[float, float], ...]:
        """(probability, mean in seconds) of each phase."""
        if self.phases is not None:
            total = math.fsum(phase.weight for phase in self.phases)
            return tuple((phase.weight / total, phase.mean_seconds) for phase in self.phases)
        assert self.mean_seconds is not None
        assert self.cv is not None
        squared = self.cv**2
        rare = 1 / ((squared + 1) * (1 + math.sqrt((squared - 1) / (squared + 1))))  # no cancellation at a large cv
        return tuple((share, self.mean_seconds / (2 * share)) for share in (1 - rare, rare))

    def mean(self) -> float:
        """In seconds."""
        return math.fsum(share * mean for share, mean in self.shares)

    def variance(self) -> float:
        """In seconds squared."""
        return math.fsum(2 * share * mean**2 for share, mean in self.shares) - self.mean() ** 2

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` values in seconds; two uniforms each, one for the phase and one, inverted, for its length."""
        bounds = np.cumsum([share for share, _ in self.shares])[:-1]
        means = np.array([mean for _, mean in self.shares])
        uniforms = rng.random((count, 2))
        drawn: Seconds = means[np.searchsorted(bounds, uniforms[:, 0], side="right")] * -np.log1p(-uniforms[:, 1])
        return drawn


BOUNDED_PARETO_RATIO_MAX = 1e12


class BoundedPareto(Settings):
    """A power law between two bounds: most of the work is in a few giants, and yet every moment is finite.

    P(X > x) falls like x^-shape. With L = low, H = high, a = shape the moment of order n is
    a L^a / (1 - (L/H)^a) * (H^(n-a) - L^(n-a)) / (n - a), at n = a the limit with ln(H/L) (Harchol-Balter, Crovella
    and Murta, On choosing a task assignment policy for a distributed server system, JPDC 59, 1999).
    """

    kind: Literal["bounded-pareto"] = Field(description="the kind of distribution")
    shape: float = Field(gt=0, le=1e3, description="the exponent of the tail, above 0; 1 to 2 is a heavy tail")
    low_seconds: PositiveFloat = Field(description="the lower bound in seconds, above 0")
    high_seconds: PositiveFloat = Field(description="the upper bound in seconds, above low_seconds")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        low, high = self.low_seconds, self.high_seconds
        if high <= low:
            raise ValueError(f"high_seconds = {high} is not above low_seconds = {low}; raise it")
        if high / low > BOUNDED_PARETO_RATIO_MAX:
            raise ValueError(f"high_seconds = {high} is more than 1e12 times low_seconds = {low}; lower it")
        return self

    def moment(self, order: int) -> float:
        """The mean of x^order, in seconds^order."""
        span, excess = math.log(self.high_seconds / self.low_seconds), order - self.shape
        integral = span if excess == 0 else math.expm1(excess * span) / excess
        return self.shape * self.low_seconds**order * integral / -math.expm1(-self.shape * span)

    def mean(self) -> float:
        """In seconds."""
        return self.moment(1)

    def variance(self) -> float:
        """In seconds squared."""
        return self.moment(2) - self.moment(1) ** 2

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` values in seconds, by inversion of one uniform each."""
        missing = math.expm1(-self.shape * math.log(self.high_seconds / self.low_seconds))  # (L/H)^a - 1
        drawn = self.low_seconds * np.exp(-np.log1p(rng.random(count) * missing) / self.shape)
        return np.minimum(drawn, self.high_seconds)


class Empirical(Settings):
    """One of the given values, each as likely as the others; repeat a value to weigh it."""

    kind: Literal["empirical"] = Field(description="the kind of distribution")
    values_seconds: tuple[NonNegative, ...] = Field(
        default=(), strict=False, description="the values in seconds, 0 or more each; or give file"
    )
    file: str | None = Field(
        default=None,
        description="the text file with one value in seconds a line (blank lines and lines with # don't count), "
        "relative to the scenario file; beside values_seconds it only says where they come from",
    )

    @model_validator(mode="before")
    @classmethod
    def _values_of_file(cls, data: Any, info: ValidationInfo) -> Any:
        """Read the file once, so that the resolved scenario is complete in itself."""
        read_values = (info.context or {}).get("read_values")
        if isinstance(data, dict) and not data.get("values_seconds") and isinstance(data.get("file"), str):
            if read_values is None:
                raise ValueError(f"file = {data['file']!r} can only be read when a scenario file is loaded")
            return {**data, "values_seconds": read_values(data["file"])}
        return data

    @field_validator("values_seconds")
    @classmethod
    def _some_values(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values:
            raise ValueError("there is no value to draw from; give values_seconds or file")
        return values

    @cached_property
    def array(self) -> Seconds:
        """The values as an array, made once."""
        return np.array(self.values_seconds, dtype=np.float64)

    def mean(self) -> float:
        """In seconds."""
        return math.fsum(self.values_seconds) / len(self.values_seconds)

    def variance(self) -> float:
        """In seconds squared."""
        mean = self.mean()
        return math.fsum((value - mean) ** 2 for value in self.values_seconds) / len(self.values_seconds)

    def draw(self, rng: np.random.Generator, count: int) -> Seconds:
        """`count` values in seconds, drawn with replacement."""
        return self.array[(rng.random(count) * len(self.array)).astype(np.intp)]


DISTRIBUTIONS = (Exponential, Constant, Uniform, Lognormal, Erlang, HyperExponential, BoundedPareto, Empirical)
"""The registry: every kind of distribution that a scenario may name."""

Distribution = Annotated[
    Exponential | Constant | Uniform | Lognormal | Erlang | HyperExponential | BoundedPareto | Empirical,
    Field(discriminator="kind"),
]


def to_units(seconds: Seconds, units_per_second: int) -> NDArray[np.int64]:
    """Float seconds as whole units: rounded, halves to even, at most `UNITS_MAX`."""
    return np.minimum(np.rint(seconds * units_per_second), float(UNITS_MAX)).astype(np.int64)


def units_sampler(distribution: Distribution, rng: np.random.Generator, units_per_second: int) -> Iterator[int]:
    """An endless iterator of whole units drawn from the distribution, in the order of one long `draw`.

    About 0.03 µs a step beside the draw itself: the steps run through lists in C.
    """
    if isinstance(distribution, Constant):
        return repeat(int(to_units(np.array([distribution.seconds]), units_per_second)[0]))
    return chain.from_iterable(_unit_chunks(distribution, rng, units_per_second))


def probability_sampler(rng: np.random.Generator) -> Iterator[float]:
    """An endless iterator of floats, uniform on [0, 1): an event of probability p happens when one is below p."""
    return chain.from_iterable(_probability_chunks(rng))


def unit_exponential_sampler(rng: np.random.Generator) -> Iterator[float]:
    """An endless iterator of exponential floats of mean 1."""
    return chain.from_iterable(rng.standard_exponential(count).tolist() for count in _chunk_sizes())


def _unit_chunks(distribution: Distribution, rng: np.random.Generator, units_per_second: int) -> Iterator[list[int]]:
    for count in _chunk_sizes():
        yield to_units(distribution.draw(rng, count), units_per_second).tolist()


def _probability_chunks(rng: np.random.Generator) -> Iterator[list[float]]:
    for count in _chunk_sizes():
        yield rng.random(count).tolist()


def _chunk_sizes() -> Iterator[int]:
    count = CHUNK_FIRST
    while True:
        yield count
        count = min(2 * count, CHUNK_MAX)
