"""How a worker's work on a job ends."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

from jsm.errors import JsmError
from sim.distributions import probability_sampler
from sim.run_result import Outcome
from sim.scenario_models import BuryPolicy, Pool, ReleasePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsm.job import ClientID, JobID
    from sim.contexts import WorkContext
    from sim.streams import Streams

_DONE = Outcome.DONE  # a plain name: see `jsm.states.READY`


class Ending:
    """Ends a worker's jobs: deletes them, or does what the pool's policy says when the work failed."""

    __slots__ = ("_chance", "_client_id", "_context", "_delete", "_failure_probability", "_jitter", "_pool")

    def __init__(self, pool: Pool, client_id: ClientID, context: WorkContext, streams: Streams) -> None:
        self._pool = pool
        self._client_id = client_id
        self._context = context
        self._chance: Iterator[float] | None = None
        if pool.failure is not None:
            self._chance = probability_sampler(streams.stream(f"workers/{client_id}/failure"))
            self._failure_probability = pool.failure.probability
        self._jitter: Iterator[float] = repeat(1.0)
        if pool.failure is not None and isinstance(pool.failure.policy, ReleasePolicy) and pool.failure.policy.jitter:
            self._jitter = probability_sampler(streams.stream(f"workers/{client_id}/jitter"))
        self._delete = context.driver.machine.delete

    def finish(self, job_id: JobID, now: int) -> Outcome:
        """Delete the job whose work is done, or do what the policy says when it failed."""
        if self._chance is not None and next(self._chance) < self._failure_probability:
            return self._fail(job_id)
        try:
            self._delete(job_id, self._client_id, now=now)
        except JsmError:
            return Outcome.LATE  # its ttr ran out and somebody else holds it or has finished it
        context = self._context
        if context.keeps_book:
            context.book.forget(job_id)
        if context.drain.is_on:
            context.drain.job_ended()
        return _DONE

    def _fail(self, job_id: JobID) -> Outcome:
        failure, driver = self._pool.failure, self._context.driver
        assert failure is not None
        try:
            view = driver.machine.get_job(job_id, now=driver.env.now)
            failures = self._context.book.fail(job_id)
            if self._pool.max_attempts is not None and view.reserves >= self._pool.max_attempts:
                return self.bury(job_id, None)
            match failure.policy:
                case ReleasePolicy(bury_after_failures=limit) if limit is not None and failures >= limit:
                    return self.bury(job_id, None)
                case ReleasePolicy() as policy:
                    driver.machine.release_with(
                        driver.env.now,
                        job_id,
                        self._client_id,
                        priority=view.priority if policy.priority is None else policy.priority,
                        delay_seconds=policy.delay_seconds(failures, next(self._jitter)),
                    )
                    driver.settle()
                case BuryPolicy() as policy:
                    return self.bury(job_id, policy.priority)
                case _:
                    pass  # the ttr is to run out
        except JsmError:
            return Outcome.LATE
        return Outcome.FAILED

    def bury(self, job_id: JobID, priority: int | None) -> Outcome:
        """Bury the job, with its own priority when none is given."""
        driver = self._context.driver
        try:
            if priority is None:
                priority = driver.machine.get_job(job_id, now=driver.env.now).priority
            driver.machine.bury(driver.env.now, job_id, self._client_id, priority=priority)
        except JsmError:
            return Outcome.LATE
        self._context.drain.job_ended()
        return Outcome.FAILED
