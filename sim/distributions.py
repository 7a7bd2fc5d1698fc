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


DISTRIBUTIONS = (Exponential, Constant, Uniform, Lognormal, Empirical)
"""The registry: every kind of distribution that a scenario may name."""

Distribution = Annotated[
    Exponential | Constant | Uniform | Lognormal | Empirical,
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
