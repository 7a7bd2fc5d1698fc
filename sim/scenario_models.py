"""The keys of a scenario file: every table, key, unit, default and bound, and nothing else.

The published reference, `sim/scenarios/scenario.schema.json`, is generated from these classes. Checks that need
two tables at once, files and overrides are in `sim.scenario`.

Durations are seconds: whole where the protocol has whole seconds (delay, ttr, reserve timeout), else floats that
become whole time units once, rounded to the nearest.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PositiveFloat,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from jsm.errors import BadValueError
from jsm.limits import DEFAULT_TUBE, MAX_JOB_SIZE, PRIORITY_MAX, SECONDS_MAX, TTR_SECONDS_MIN, check_tube_name
from sim.arrival_models import Arrivals, AtStartArrivals, BatchSize, TraceArrivals
from sim.distributions import (
    BoundedPareto,
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    HyperExponential,
    Lognormal,
    NonNegative,
    Uniform,
)
from sim.settings import Settings

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Names of scenarios, producers and pools: they become parts of `--set` paths and of stream names."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Priority = Annotated[int, Field(ge=0, le=PRIORITY_MAX)]
WholeSeconds = Annotated[int, Field(ge=0, le=SECONDS_MAX)]


# --- the run and the machine -------------------------------------------------------------------------------


class Run(Settings):
    """How long, with which seed, in which units."""

    seed: int = Field(
        default=1, ge=0, description="the seed of all random streams, a whole number of 0 or more; default 1"
    )
    duration_seconds: PositiveFloat | None = Field(
        default=None,
        description="the simulated seconds after which arrivals stop; may be left out when every producer ends by "
        "itself (a trace, at-start, or one with jobs)",
    )
    stop: Literal["drained", "duration"] = Field(
        default="drained",
        description="when the run ends: 'drained', after the arrivals when no job can make progress any more, or "
        "'duration', at duration_seconds whatever is left; default 'drained'",
    )
    warmup_seconds: NonNegative = Field(
        default=0.0, description="the first seconds of the run, which waits and utilisation leave out; default 0"
    )
    units_per_second: int = Field(
        default=1_000_000, ge=1, le=1_000_000_000, description="the whole time units a second; default 1000000"
    )
    max_simulated_seconds: PositiveFloat = Field(
        default=1e9,
        le=4e9,
        description="the simulated seconds at which the run ends in any case, a bound for jobs that never finish; "
        "default 1e9, about 32 years",
    )


class MachineSettings(Settings):
    """The job state machine."""

    max_job_size: int = Field(
        default=MAX_JOB_SIZE,
        ge=0,
        le=2**30,
        description=f"the greatest length of a body in bytes; default {MAX_JOB_SIZE}",
    )


# --- producers ---------------------------------------------------------------------------------------------


class Bin(Settings):
    """One step of `bins`."""

    up_to: float = Field(description="the greatest value of the log's field that falls into this bin")
    to: str | int = Field(description="the tube, priority or class of this bin")


class FieldMapping(Settings):
    """A tube, priority or class that each job of a trace takes from a field of its line.

    One of `template`, `table` and `bins`; none of them takes the field's value as it is.
    """

    from_: str = Field(
        alias="from",
        min_length=1,
        description="the field of the log: user, group, processors, queue, partition, executable, status, "
        "requested_processors, requested_seconds of an swf log, or a column of a csv log",
    )
    template: str | None = Field(
        default=None, description="the text with {value} in place of the field's value, such as 'user-{value}'"
    )
    table: dict[str, str | int] | None = Field(
        default=None, description="the value for each value of the field, such as {1 = 'normal', 2 = 'system'}"
    )
    bins: tuple[Bin, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="the bins, by growing up_to, such as [{up_to = 8, to = 100}, {up_to = 32, to = 200}]; the first "
        "one that is not exceeded counts",
    )
    default: str | int | None = Field(
        default=None,
        description="the value for a field that is unknown in the log, not in table, or above the last bin; without it "
        "such a line is an error (an unknown value in a template reads 'unknown')",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("template", "table", "bins") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one of them")
        if self.template is not None and "{value}" not in self.template:
            raise ValueError("template holds no {value}; write it where the field's value goes")
        if self.bins is not None and any(a.up_to >= b.up_to for a, b in zip(self.bins, self.bins[1:], strict=False)):
            raise ValueError("bins are not by growing up_to; put them in order")
        return self


def _is_mapping(value: Any) -> str:
    return "mapping" if isinstance(value, dict | FieldMapping) else "plain"


TubeOrMapping = Annotated[
    Annotated[str, Tag("plain")] | Annotated[FieldMapping, Tag("mapping")], Discriminator(_is_mapping)
]
PriorityOrMapping = Annotated[
    Annotated[Priority, Tag("plain")] | Annotated[FieldMapping, Tag("mapping")], Discriminator(_is_mapping)
]
ClassOrMapping = Annotated[
    Annotated[Name, Tag("plain")] | Annotated[FieldMapping, Tag("mapping")], Discriminator(_is_mapping)
]


class JobClass(Settings):
    """One of several kinds of jobs of a producer; what it leaves out is the producer's."""

    name: Name = Field(description="the name of the class, under which waits are reported, unique in the producer")
    weight: PositiveFloat = Field(
        description="the weight of the class among the producer's, above 0; a job is of it with weight / sum of weights"
    )
    tube: str | None = Field(default=None, description="the tube of its jobs; default the producer's")
    priority: Priority | None = Field(default=None, description="the priority of its jobs; default the producer's")
    delay_seconds: WholeSeconds | None = Field(
        default=None, description="the whole seconds until its jobs become ready; default the producer's"
    )
    ttr_seconds: int | None = Field(
        default=None,
        ge=TTR_SECONDS_MIN,
        le=SECONDS_MAX,
        description="the whole seconds that a worker may hold a job of it, at least 1; default the producer's",
    )
    body_bytes: int | None = Field(
        default=None, ge=0, description="the length of its bodies in bytes; default the producer's"
    )
    work: Distribution | None = Field(
        default=None, description="the seconds of work of its jobs, drawn at the put; default the producer's"
    )

    @field_validator("tube")
    @classmethod
    def _legal_tube(cls, tube: str | None) -> str | None:
        return tube if tube is None else _checked_tube(tube)


class Producer(Settings):
    """A source of jobs."""

    name: Name = Field(default="jobs", description="the name of the producer, unique; default 'jobs'")
    arrivals: Arrivals = Field(description="the arrivals: when jobs are put")
    jobs: int | None = Field(
        default=None, ge=1, description="the greatest number of jobs that the producer puts; default no limit"
    )
    tube: TubeOrMapping = Field(
        default=DEFAULT_TUBE, description="the tube that jobs are put into; a mapping with a trace; default 'default'"
    )
    priority: PriorityOrMapping = Field(
        default=1024,
        description="the priority of the jobs, 0 (most urgent) to 4294967295; a mapping with a trace; default 1024",
    )
    delay_seconds: WholeSeconds = Field(
        default=0, description="the whole seconds from the put until a job becomes ready; default 0"
    )
    ttr_seconds: int = Field(
        default=60,
        ge=TTR_SECONDS_MIN,
        le=SECONDS_MAX,
        description="the whole seconds that a worker may hold a job, at least 1; default 60",
    )
    body_bytes: int = Field(default=0, ge=0, description="the length of each body in bytes; default 0")
    batch: BatchSize | None = Field(
        default=None, description="the number of jobs that come with each arrival, at the same instant; default one"
    )
    work: Distribution | None = Field(
        default=None,
        description="the seconds of work of each job, drawn at the put; used by pools with service kind 'job'",
    )
    class_: ClassOrMapping | None = Field(
        default=None,
        alias="class",
        description="the class under which waits are reported; a mapping with a trace; default the producer's name",
    )
    classes: tuple[JobClass, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="the classes among which each job is drawn by weight, each with its own tube, priority, work …; "
        "default one class",
    )

    @field_validator("tube")
    @classmethod
    def _legal_tube(cls, tube: str | FieldMapping) -> str | FieldMapping:
        return tube if isinstance(tube, FieldMapping) else _checked_tube(tube)

    @model_validator(mode="after")
    def _mappings_need_a_trace(self) -> Self:
        if not isinstance(self.arrivals, TraceArrivals):
            for key, value in (("tube", self.tube), ("priority", self.priority), ("class", self.class_)):
                if isinstance(value, FieldMapping):
                    raise ValueError(f'{key} is a mapping, which needs a log; give arrivals = {{kind = "trace", …}}')
        return self

    @model_validator(mode="after")
    def _classes_are_told_apart(self) -> Self:
        names = [each.name for each in self.classes or ()]
        if len(set(names)) < len(names):
            raise ValueError("two classes have one name; give each its own name")
        if names and self.class_ is not None:
            raise ValueError("class and classes exclude each other; keep one of them")
        if names and isinstance(self.arrivals, TraceArrivals):
            raise ValueError(
                "classes are drawn, and the jobs of a log are as they are; leave classes out, map its fields"
            )
        return self

    @property
    def kinds(self) -> "tuple[Producer, ...]":
        """One producer for each class, with what holds for the jobs of that class, or this one alone."""
        if self.classes is None:
            return (self,)
        own = ("tube", "priority", "delay_seconds", "ttr_seconds", "body_bytes", "work")
        return tuple(
            self.model_copy(
                update={key: getattr(each, key) for key in own if getattr(each, key) is not None}
                | {"class_": each.name, "classes": None}
            )
            for each in self.classes
        )

    @property
    def ends_by_itself(self) -> bool:
        """Whether the producer stops without `run.duration_seconds`."""
        return self.jobs is not None or isinstance(self.arrivals, AtStartArrivals | TraceArrivals)

    @property
    def class_name(self) -> str | None:
        """The class of all its jobs, or None when each takes it from the log; with `classes`, see `kinds`."""
        if self.class_ is None:
            return self.name
        return None if isinstance(self.class_, FieldMapping) else self.class_


# --- workers -----------------------------------------------------------------------------------------------


class JobService(Settings):
    """The work that the job itself carries: from the log, or drawn by its producer."""

    kind: Literal["job"] = Field(description="the kind of service")


Service = Annotated[
    Exponential | Constant | Uniform | Lognormal | Erlang | HyperExponential | BoundedPareto | Empirical | JobService,
    Field(discriminator="kind"),
]


class ReleasePolicy(Settings):
    """Release the job, with a delay that grows with every failure of the job."""

    kind: Literal["release"] = Field(description="the kind of policy")
    backoff_seconds: WholeSeconds = Field(
        default=0, description="the delay after the first failure, whole seconds; default 0"
    )
    backoff_factor: float = Field(
        default=1.0,
        ge=1,
        le=1e6,
        description="the factor by which the delay grows with each further failure; default 1",
    )
    backoff_max_seconds: WholeSeconds = Field(
        default=SECONDS_MAX, description="the greatest delay, whole seconds; default 4294967295"
    )
    jitter: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="the share of the delay that is drawn: 1 = all of it, evenly from 0 on, 0.5 = the upper half; a "
        "herd of failures comes back spread; default none",
    )
    bury_after_failures: int | None = Field(
        default=None,
        ge=1,
        description="the number of failures of a job at which it is buried instead, counted over all workers (with "
        "max_attempts, attempts that ended in any other way count too); default no limit",
    )
    priority: Priority | None = Field(default=None, description="the priority from then on; default the job's own")

    def delay_seconds(self, failures: int, chance: float = 1.0) -> int:
        """The delay after the job's failure number `failures` (1, 2 …), rounded to whole seconds.

        `min(backoff_max_seconds, backoff_seconds * backoff_factor ** (failures - 1))`, times
        `1 - jitter * (1 - chance)` for a chance drawn from [0, 1).
        """
        delay = float(self.backoff_seconds)
        for _ in range(failures - 1):
            delay *= self.backoff_factor
            if delay >= self.backoff_max_seconds or self.backoff_factor == 1.0 or delay == 0.0:
                break
        if self.jitter is not None:
            return round(min(delay, self.backoff_max_seconds) * (1 - self.jitter * (1 - chance)))
        return min(round(delay), self.backoff_max_seconds)


class BuryPolicy(Settings):
    """Bury the job."""

    kind: Literal["bury"] = Field(description="the kind of policy")
    priority: Priority | None = Field(default=None, description="the priority from then on; default the job's own")


class TtrPolicy(Settings):
    """Forget the job: its ttr runs out and the machine makes it ready again."""

    kind: Literal["ttr"] = Field(description="the kind of policy")


Policy = Annotated[ReleasePolicy | BuryPolicy | TtrPolicy, Field(discriminator="kind")]


class Failure(Settings):
    """Attempts that fail at the end of their work."""

    probability: float = Field(ge=0, le=1, description="the probability that an attempt fails, 0 to 1")
    policy: Policy = Field(description="the policy: what a worker does with the job after a failed attempt")


class Crash(Settings):
    """Workers that die: the connection closes, the held job becomes ready again, a restart follows."""

    mean_seconds_between: PositiveFloat = Field(
        description="the mean seconds from a worker's start to its next crash, exponential, above 0"
    )
    restart_seconds: Distribution = Field(description="the seconds until the worker is back")


class Pool(Settings):
    """Workers that are alike."""

    name: Name = Field(default="workers", description="the name of the pool, unique; default 'workers'")
    count: int = Field(
        default=1, ge=1, le=1_000_000, description="the number of workers in the pool, at least 1; default 1"
    )
    watch: tuple[str, ...] = Field(
        default=(DEFAULT_TUBE,),
        strict=False,
        min_length=1,
        description="the tubes that the workers watch; 'mail-*' stands for all tubes of the run that fit; default "
        "['default']",
    )
    service: Service = Field(description="the seconds of work of an attempt")
    redraw: Literal["each-attempt", "once"] = Field(
        default="each-attempt",
        description="when work is drawn: for 'each-attempt' anew, or 'once' for a job, whoever tries it again; default "
        "'each-attempt'",
    )
    reserve_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=SECONDS_MAX,
        description="the whole seconds that a reserve waits before the worker asks again; default for ever",
    )
    gives_up_at_ttr: bool = Field(
        default=False,
        description="whether a worker stops working when the job's ttr runs out; false: it works to the end, late, for "
        "nothing; default false",
    )
    touch_every_seconds: PositiveFloat | None = Field(
        default=None, description="the seconds from one touch to the next while working; default no touches"
    )
    failure: Failure | None = Field(default=None, description="the attempts that fail; default none")
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        description="the greatest number of attempts of a job: a worker whose attempt number max_attempts fails buries "
        "the job, and so does one, without working, that reserves a job which was reserved that often already; default "
        "no limit",
    )
    crash: Crash | None = Field(default=None, description="the crashes of workers; default none")
    start_at_seconds: NonNegative = Field(default=0.0, description="the second at which the workers start; default 0")

    @field_validator("watch")
    @classmethod
    def _legal_tubes(cls, watch: tuple[str, ...]) -> tuple[str, ...]:
        for tube in watch:
            _checked_tube(tube.replace("*", "x"))  # no legal name holds a star, so a star is always a pattern
        return tuple(dict.fromkeys(watch))


# --- the whole ---------------------------------------------------------------------------------------------


def _as_list(value: Any) -> Any:
    """One table stands for a list of one."""
    return (value,) if isinstance(value, dict) else value


class Scenario(Settings):
    """What is simulated."""

    name: Name = Field(description="the name of the scenario, letters, digits, - and _")
    description: str = Field(default="", description="the purpose of the scenario in a sentence or two; default none")
    run: Run = Field(default=Run(), description="the run: its length, seed and units")
    machine: MachineSettings = Field(default=MachineSettings(), description="the job state machine")
    producers: Annotated[
        tuple[Producer, ...], BeforeValidator(_as_list, json_schema_input_type=Producer | list[Producer])
    ] = Field(strict=False, min_length=1, description="the producers, a table for one or a list of tables")
    workers: Annotated[tuple[Pool, ...], BeforeValidator(_as_list, json_schema_input_type=Pool | list[Pool])] = Field(
        strict=False, min_length=1, description="the pools of workers, a table for one or a list of tables"
    )

    _directory: Path = PrivateAttr(default=Path())

    @property
    def job_kinds(self) -> tuple[Producer, ...]:
        """The producers, one for each class of theirs."""
        return tuple(kind for producer in self.producers for kind in producer.kinds)

    @property
    def directory(self) -> Path:
        """The folder that relative file names start from: the scenario file's."""
        return self._directory

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults included, as plain data: what was run, and loadable again as JSON."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _checked_tube(tube: str) -> str:
    try:
        check_tube_name(tube)
    except BadValueError as error:
        raise ValueError(
            f"{tube!r} is no tube name; use 1 to 200 of A-Z a-z 0-9 - + / ; . $ _ ( ), no '-' first"
        ) from error
    return tube
