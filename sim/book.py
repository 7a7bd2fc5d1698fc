"""What the simulation knows of a job and the machine doesn't: its work, its ttr in units, its failures."""

from __future__ import annotations


class JobBook:
    """Facts about live jobs, kept only where a pool asks for them; `forget` when a job is deleted."""

    __slots__ = ("failures", "ttr", "work")

    def __init__(self) -> None:
        self.work: dict[int, int] = {}  # units
        self.ttr: dict[int, int] = {}  # units
        self.failures: dict[int, int] = {}  # attempts whose work failed

    def fail(self, job_id: int) -> int:
        """Count a failure of the job and return how many it has had."""
        failures = self.failures.get(job_id, 0) + 1
        self.failures[job_id] = failures
        return failures

    def forget(self, job_id: int) -> None:
        """Drop everything about a job."""
        self.work.pop(job_id, None)
        self.ttr.pop(job_id, None)
        self.failures.pop(job_id, None)
