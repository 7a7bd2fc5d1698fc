"""What the workers, and what the producers, of a run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.book import JobBook
    from sim.driver import Driver
    from sim.run_result import Outcome


class Drain(Protocol):
    """What wants to know, once arrivals are over, that a job was deleted or buried."""

    is_on: bool

    def job_ended(self) -> None:
        """Called after each such job; does nothing before `is_on`."""


@dataclass(frozen=True, slots=True)
class WorkContext:
    """What all workers of a run share; the two callables are `Metrics.work` and `Metrics.absent`, or None."""

    driver: Driver
    book: JobBook
    keeps_book: bool  # something is noted of some jobs
    work: Callable[[int, int, int, int, Outcome], None] | None
    absent: Callable[[int, int, int, int], None] | None
    drain: Drain


@dataclass(frozen=True, slots=True)
class PutContext:
    """What all producers of a run share."""

    driver: Driver
    book: JobBook
    keeps_work: bool  # some pool works off what a job carries
    keeps_ttr: bool  # some pool stops at a job's ttr
    class_of: dict[int, int] | None  # by job id; None: there is one class only
    class_index: dict[str, int]
    end_at: int | None  # no put later than this

    @property
    def takes_notes(self) -> bool:
        """Whether anything at all is kept of a job."""
        return self.keeps_work or self.keeps_ttr or self.class_of is not None
