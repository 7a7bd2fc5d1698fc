"""What the numbers of a run are, before anything is rounded, named for a table or written.

Instants and durations are in time units, integrals in job·units; all are exact integers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

from jsm.states import JobState, Trigger
from jsm.transitions import Transition
from sim.balance import Check, LittleSides
from sim.histogram import Histogram, HistogramRows
from sim.timeline import Bucket

COUNTED: Final[Mapping[str, tuple[Trigger, ...]]] = {
    "puts": (Trigger.PUT, Trigger.PUT_DELAYED),
    "reserves": (Trigger.RESERVE, Trigger.RESERVE_JOB),
    "deletes": (Trigger.DELETE,),
    "timeouts": (Trigger.TTR_EXPIRED,),
    "releases": (Trigger.RELEASE, Trigger.RELEASE_DELAYED),
    "buries": (Trigger.BURY,),
    "kicks": (Trigger.KICK,),
    "touches": (Trigger.TOUCH,),
    "closes": (Trigger.CLOSE,),
    "delays_elapsed": (Trigger.DELAY_ELAPSED,),
}
"""The counts of summaries and tables by name, and the triggers that each adds up."""


ALL_CLASSES = ""
"""The name under which a latency of all classes together is filed."""


class Outcome(IntEnum):
    """How a piece of work ended."""

    DONE = 0
    FAILED = 1  # the work failed and the worker did what its policy says
    LATE = 2  # the job was gone when the work was finished
    GAVE_UP = 3  # the worker stopped before the work was finished
    CRASHED = 4  # the worker went away
    UNFINISHED = 5  # the run ended


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool of workers: its name and how many it has."""

    name: str
    count: int


class TransitionCounts(Protocol):
    """What is needed of the graph's watcher (`models.watcher.TransitionReport` has it): all of the whole run."""

    @property
    def checked(self) -> int:
        """How many records were looked at."""

    @property
    def illegal(self) -> int:
        """How many of them were no edge of the diagram, or did not follow from the job's last."""

    @property
    def edges(self) -> Mapping[Transition, int]:
        """How often each edge was taken."""

    @property
    def edge_pairs(self) -> Mapping[Any, int]:
        """How often a job took two edges in a row; a key is a pair of `Transition`."""


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """One worker's window: times in units."""

    pool: str
    worker: int
    busy: int
    present: int
    outcomes: Mapping[Outcome, int]


@dataclass(frozen=True, slots=True)
class TimelineResult:
    """The whole run by bucket of time; integrals are exact, in job·units and worker·units."""

    buckets: Sequence[Bucket]
    counts: Mapping[str, Sequence[int]]  # by the plural that the table's column has
    jobs: Mapping[JobState, Sequence[int]]  # integrals of the numbers of jobs
    busy: Sequence[int]
    present: Sequence[int]
    wait: HistogramRows
    total: HistogramRows


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a summary says about a run beside its numbers."""

    scenario: str
    description: str
    seed: int
    interrupted: bool = False
    notes: Sequence[str] = ()  # what every report must show, such as about the log of arrivals
    input: Mapping[str, Any] | None = None  # of a trace: lines read, used, rejected with reasons; JSON values
    invariants: Mapping[str, Any] | None = None  # how much was checked, and what each had to look at; JSON values
    more: Mapping[str, Any] | None = None  # further keys, appended to the summary; JSON values


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything that a run's numbers say; instants and durations in units."""

    units_per_second: int
    ended_at: int
    warmup_at: int
    edges: Mapping[Transition, int]  # whole run, all 19 edges in the table's order
    window_edges: Mapping[Transition, int]  # the same from warmup_at on
    left: Mapping[JobState, int]
    wait: Mapping[str, Histogram]  # by class; `ALL_CLASSES` first
    total: Mapping[str, Histogram]
    mean_jobs: Mapping[JobState, int]  # the integral over the window
    little: Mapping[JobState, LittleSides]
    workers: Sequence[WorkerResult]
    pools: Sequence[PoolInfo]
    timeline: TimelineResult
    watched: TransitionCounts | None  # None: no watcher ran
    checks: Sequence[Check]

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)
