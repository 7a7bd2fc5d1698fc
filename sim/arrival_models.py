"""The keys of a producer's arrivals: when jobs are put, and how many at once.

`sim.arrivals` turns them into instants; the means here are for reports and tests.
"""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from sim.distributions import NonNegative
from sim.settings import Settings

STAY_SECONDS_MAX = 1e12
STATES_MAX = 64
DAY_SECONDS = 86_400
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class PoissonArrivals(Settings):
    """Independent arrivals at a constant rate: exponential gaps."""

    kind: Literal["poisson"] = Field(description="the kind of arrivals")
    rate_per_second: PositiveFloat = Field(description="the mean number of puts a second, above 0")


class ConstantArrivals(Settings):
    """One put every interval, the first after one interval."""

    kind: Literal["constant"] = Field(description="the kind of arrivals")
    interval_seconds: PositiveFloat = Field(description="the seconds from one put to the next, above 0")


class AtStartArrivals(Settings):
    """All at the start: a backlog."""

    kind: Literal["at-start"] = Field(description="the kind of arrivals")
    jobs: int = Field(ge=1, description="the number of jobs that are put at second 0, at least 1")


class OnOffArrivals(Settings):
    """Poisson arrivals while on, none while off; both last an exponential time. The run starts in either.

    The mean rate is rate_per_second * mean_on / (mean_on + mean_off): the interrupted Poisson process (Kuczura, The
    interrupted Poisson process as an overflow process, Bell System Technical Journal 52, 1973).
    """

    kind: Literal["on-off"] = Field(description="the kind of arrivals")
    rate_per_second: PositiveFloat = Field(description="the mean number of puts a second while on, above 0")
    mean_on_seconds: float = Field(
        gt=0, le=STAY_SECONDS_MAX, description="the mean seconds that it stays on, exponential, above 0"
    )
    mean_off_seconds: float = Field(
        gt=0, le=STAY_SECONDS_MAX, description="the mean seconds that it stays off, exponential, above 0"
    )

    def modulated(self) -> "MarkovModulatedArrivals":
        """The same as two states."""
        on = ArrivalState(rate_per_second=self.rate_per_second, mean_seconds=self.mean_on_seconds)
        off = ArrivalState(rate_per_second=0.0, mean_seconds=self.mean_off_seconds)
        return MarkovModulatedArrivals(kind="markov-modulated", states=(on, off))


class ArrivalState(Settings):
    """One state of Markov-modulated arrivals."""

    rate_per_second: NonNegative = Field(description="the mean number of puts a second in this state, 0 or more")
    mean_seconds: float = Field(
        gt=0, le=STAY_SECONDS_MAX, description="the mean seconds that a stay lasts, exponential, above 0"
    )
    next: tuple[NonNegative, ...] | None = Field(
        default=None,
        strict=False,
        description="the weight of each state, in their order, to be the next one; 0 for this state itself; default "
        "the following state, after the last one the first",
    )


class MarkovModulatedArrivals(Settings):
    """Poisson arrivals whose rate is that of a state, which changes like a Markov chain. The start is stationary.

    With two states of rates a and b, left at rates r and s, the counts in a time t have the mean
    (a s + b r) t / (r + s) and the variance mean + 2 (a - b)^2 r s / (r + s)^4 * ((r + s) t - 1 + exp(-(r + s) t))
    (Fischer and Meier-Hellstern, The Markov-modulated Poisson process cookbook, Performance Evaluation 18, 1993).
    """

    kind: Literal["markov-modulated"] = Field(description="the kind of arrivals")
    states: tuple[ArrivalState, ...] = Field(
        strict=False,
        min_length=1,
        max_length=STATES_MAX,
        description="the states, such as [{rate_per_second = 20, mean_seconds = 60}, {rate_per_second = 1, "
        "mean_seconds = 600}], at most 64",
    )

    @model_validator(mode="after")
    def _chain_is_whole(self) -> Self:
        for place, state in enumerate(self.states):
            if state.next is None:
                continue
            if len(state.next) != len(self.states):
                raise ValueError(
                    f"states[{place}].next has {len(state.next)} weights for {len(self.states)} states; give one each"
                )
            if state.next[place]:
                raise ValueError(f"states[{place}] follows itself; give it a 0 in its next and a longer mean_seconds")
            if not any(state.next):
                raise ValueError(f"states[{place}].next has no weight above 0; say which state follows")
        for start in range(len(self.states)):
            missed = set(range(len(self.states))) - self._reached_from(start)
            if missed:
                raise ValueError(f"states[{min(missed)}] never follows states[{start}]; connect all states by next")
        if not any(state.rate_per_second for state in self.states):
            raise ValueError("no state has arrivals; give one a rate_per_second above 0")
        return self

    def _reached_from(self, start: int) -> set[int]:
        reached, found = {start}, [start]
        while found:
            row = self.moves[found.pop()]
            new = [state for state, chance in enumerate(row) if chance and state not in reached]
            reached.update(new)
            found += new
        return reached

    @cached_property
    def moves(self) -> tuple[tuple[float, ...], ...]:
        """The probability of each next state, a row for each state."""
        count = len(self.states)
        rows = []
        for place, state in enumerate(self.states):
            weights = state.next or tuple(float(other == (place + 1) % count) for other in range(count))
            rows.append(tuple(weight / sum(weights) for weight in weights))
        return tuple(rows)

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """The share of time in each state in the long run.

        By elimination without subtractions, so that no digit is lost (Grassmann, Taksar and Heyman, Regenerative
        analysis and steady state distributions for Markov chains, Operations Research 33, 1985). O(states^3).
        """
        rows = [list(row) for row in self.moves]
        for last in range(len(rows) - 1, 0, -1):
            leaving = sum(rows[last][:last])
            for row in rows[:last]:
                row[last] /= leaving
                for column in range(last):
                    row[column] += row[last] * rows[last][column]
        visits = [1.0]
        for state in range(1, len(rows)):
            visits.append(sum(visits[other] * rows[other][state] for other in range(state)))
        times = [visit * state.mean_seconds for visit, state in zip(visits, self.states, strict=True)]
        return tuple(time / sum(times) for time in times)

    def mean_rate(self) -> float:
        """Puts a second in the long run."""
        return sum(share * state.rate_per_second for share, state in zip(self.shares, self.states, strict=True))


class ProfileArrivals(Settings):
    """Poisson arrivals whose rate follows the hour of the day and the day of the week.

    At each instant the rate is rate_per_second times the factor of the day's part times that of the weekday. Drawn
    by thinning (Lewis and Shedler, Simulation of nonhomogeneous Poisson processes by thinning, Naval Research
    Logistics Quarterly 26, 1979).
    """

    kind: Literal["profile"] = Field(description="the kind of arrivals")
    rate_per_second: PositiveFloat = Field(description="the mean number of puts a second at a factor of 1, above 0")
    day: tuple[NonNegative, ...] = Field(
        default=(1.0,),
        strict=False,
        min_length=1,
        max_length=1440,
        description="the factors of the equal parts of a day from midnight on, 24 for hours; default [1.0]",
    )
    week: tuple[NonNegative, ...] = Field(
        default=(1.0,) * 7,
        strict=False,
        min_length=7,
        max_length=7,
        description="the seven factors of the days from Monday on; default [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]",
    )
    starts_on: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        default="monday", description="the weekday of second 0; default 'monday'"
    )
    starts_at_seconds: float = Field(
        default=0.0, ge=0, lt=DAY_SECONDS, description="the second of the day at second 0 of the run; default 0"
    )

    @model_validator(mode="after")
    def _some_arrivals(self) -> Self:
        if not self.peak():
            raise ValueError("every factor is 0, nothing would ever be put; raise one of day and one of week")
        return self

    @cached_property
    def factors(self) -> tuple[float, ...]:
        """The factor of each part of the week, from the first of Monday on."""
        return tuple(of_week * of_day for of_week in self.week for of_day in self.day)

    def peak(self) -> float:
        """The greatest factor."""
        return max(self.factors)

    def starts_after_seconds(self) -> float:
        """The seconds from Monday 0:00 to second 0 of the run."""
        return WEEKDAYS.index(self.starts_on) * DAY_SECONDS + self.starts_at_seconds

    def mean_rate(self) -> float:
        """Puts a second over a whole week."""
        return self.rate_per_second * sum(self.factors) / len(self.factors)


class CsvColumns(Settings):
    """Which column of a CSV log is what; every other column can be named by a mapping's `from`."""

    submit: str = Field(
        description="the column with the instant of the put, in seconds or as an ISO 8601 date and time"
    )
    work: str | None = Field(
        default=None,
        description="the column with the seconds of work; without it the producer's work or the pool's service",
    )


class TraceArrivals(Settings):
    """The jobs of a log: submit time = put, run time = work."""

    kind: Literal["trace"] = Field(description="the kind of arrivals")
    format: Literal["swf", "csv"] = Field(
        description="the format of the log: 'swf', the Standard Workload Format, or 'csv', with a line of column names"
    )
    file: str = Field(
        min_length=1,
        description="the log, plain or gzipped, relative to the scenario file; 'bundled:NAME' is one that is installed "
        "with the simulator",
    )
    columns: CsvColumns | None = Field(
        default=None, description='the columns of a csv log, such as {submit = "time", work = "seconds"}; csv only'
    )
    delimiter: str = Field(
        default=",",
        min_length=1,
        max_length=1,
        description="the character between the columns of a csv log; default ','",
    )
    origin: Literal["first-job", "log"] = Field(
        default="first-job",
        description="what second 0 is: 'first-job', the earliest submit time of the log, or 'log', second 0 of the "
        "log; default 'first-job'",
    )
    time_scale: PositiveFloat = Field(
        default=1.0,
        description="the factor by which submit times are multiplied, 0.5 = twice the load; work is left as it is; "
        "default 1",
    )
    keep_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="the share of the jobs to use, above 0 to 1, drawn for each by itself at its own instant; what a "
        "share keeps, a greater one keeps too; default all of them",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        description="the number of jobs to use, the earliest ones of those that keep_share keeps; default all of them",
    )

    @model_validator(mode="after")
    def _columns_fit_format(self) -> Self:
        if self.format == "csv" and self.columns is None:
            raise ValueError('format = "csv" needs to know its columns; add columns = {submit = "…", work = "…"}')
        if self.format == "swf" and self.columns is not None:
            raise ValueError('columns go with format = "csv"; the columns of "swf" are fixed, leave columns out')
        return self


Arrivals = Annotated[
    PoissonArrivals
    | ConstantArrivals
    | AtStartArrivals
    | OnOffArrivals
    | MarkovModulatedArrivals
    | ProfileArrivals
    | TraceArrivals,
    Field(discriminator="kind"),
]


# --- how many at once --------------------------------------------------------------------------------------


class FixedBatch(Settings):
    """Always as many."""

    kind: Literal["fixed"] = Field(description="the kind of batch size")
    jobs: int = Field(ge=1, le=1_000_000, description="the number of jobs of an arrival, at least 1")

    def mean(self) -> float:
        """In jobs."""
        return float(self.jobs)

    def variance(self) -> float:
        """0."""
        return 0.0


class UniformBatch(Settings):
    """Every number between two bounds alike: mean (low + high) / 2, variance ((high - low + 1)^2 - 1) / 12."""

    kind: Literal["uniform"] = Field(description="the kind of batch size")
    low: int = Field(ge=1, description="the smallest number of jobs of an arrival, at least 1")
    high: int = Field(ge=1, le=1_000_000, description="the greatest number of jobs of an arrival, not below low")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.high < self.low:
            raise ValueError(f"high = {self.high} lies below low = {self.low}; raise it")
        return self

    def mean(self) -> float:
        """In jobs."""
        return (self.low + self.high) / 2

    def variance(self) -> float:
        """In jobs squared."""
        return ((self.high - self.low + 1) ** 2 - 1) / 12


class GeometricBatch(Settings):
    """1, 2, 3 ... jobs, each further one with the same probability 1 - 1 / mean: variance mean (mean - 1)."""

    kind: Literal["geometric"] = Field(description="the kind of batch size")
    mean_jobs: float = Field(ge=1, le=1e6, description="the mean number of jobs of an arrival, 1 or more")

    def mean(self) -> float:
        """In jobs."""
        return self.mean_jobs

    def variance(self) -> float:
        """In jobs squared."""
        return self.mean_jobs * (self.mean_jobs - 1)


BatchSize = Annotated[FixedBatch | UniformBatch | GeometricBatch, Field(discriminator="kind")]
