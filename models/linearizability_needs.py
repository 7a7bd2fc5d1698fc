"""What has to be tried now, and what can wait until something needs it.

The ends of timers and the operations that never returned could happen at almost any instant, and trying them everywhere
would be hopeless. But what they do can be put off until just before an operation that sees the difference: one that
names the job, one that looks at the ready jobs of its tube, one that counts the delayed or the buried ones; or before
another of their kind that is needed itself and would take the chance away, as a close does that gives all jobs of the
client back. And a ttr that can't run on any longer gives no time to put off what else may end it.

For timers that is exact. Of the operations that never returned it finds most orders, fast, but not all: where it finds
none, the search has to be made once more with all of them (`patient`).
"""

from collections.abc import Callable, Sequence
from typing import Final

from models.linearizability_rules import Rules
from models.linearizability_steps import NEVER, Step
from models.linearizability_world import DELAYED, JOB_TIMER, PAUSE_TIMER, READY, RESERVED

_LOOKERS: Final = frozenset({"reserve", "begin", "timeout", "warned", "peek_ready_job"})
_COUNTERS: Final = frozenset({"kick_n", "peek_delayed_job", "peek_buried_job"})


class Needs:
    """What some steps that may be placed next could see: which timers and which steps that never returned."""

    def __init__(
        self,
        rules: Rules,
        steps: Sequence[Step],
        limit: int,
        latest_of: Callable[[int, int], int],
        *,
        patient: bool,
    ) -> None:
        self._rules = rules
        self._world = rules.world
        self._latest_of = latest_of
        required = [step for step in steps if patient or not step.optional]
        self._anything = patient and any(step.kind == "reserve" and step.optional for step in steps)
        self._named = {step.job for step in required}
        self._waiting = {step.client for step in required if step.yields or step.kind in ("begin", "timeout")}
        self._looked = {tube for step in required if step.kind in _LOOKERS for tube in (step.tubes or (step.tube,))}
        self._watched = {tube for step in required if step.kind == "reserve" for tube in step.tubes}
        self._counted = {step.tube for step in required if step.kind in _COUNTERS}
        self._kicked = {step.tube for step in required if step.kind == "kick_n"}
        self._crowded = {step.tube for step in required if step.kind == "kick_n" and self._is_crowded(step)}
        self._in_the_way = {key for step in required if step.kind == "peek_delayed_job" for key in self._before(step)}
        self._filled = {step.tube for step in steps if step.kind == "put"}
        self._puts = any(step.kind == "put" for step in required)
        self.due: list[tuple[int, int, int]] = []  # the timers that may end by `limit`: (from when on, kind, key)
        self.useful: set[tuple[int, int]] = set()  # those of them whose end can make a difference to the steps
        self.optional: set[int] = set()  # the steps that never returned and can make a difference
        self.top = max((rules.start_of(step) for step in required), default=0)  # what ends before holds them up
        for timer in rules.world.earliest:
            if timer[0] > limit:
                break
            self.due.append(timer)
        if patient:
            self.optional.update(step.number for step in steps if step.optional)
        self._find([step for step in steps if step.optional and not patient])

    def vanishing(self, tube: int) -> bool:
        """Whether a pause has to vanish with its tube now, before jobs are put into it."""
        return tube in self._filled

    def _find(self, left: list[Step]) -> None:
        """Find what is needed, and what that needs, until nothing is added."""
        while True:
            for low, kind, key in self.due:
                if (kind, key) not in self.useful and self._is_useful(kind, key):
                    self.useful.add((kind, key))
                    self.top = max(self.top, low)
            found = [step for step in left if self._makes_a_difference(step)]
            if not found:
                return
            for step in found:
                self.optional.add(step.number)
                self._involve(step)
            left = [step for step in left if step.number not in self.optional]

    def _is_useful(self, kind: int, key: int) -> bool:
        """Whether the end of a timer can make a difference."""
        if kind == PAUSE_TIMER:
            return key in self._watched
        if self._anything:
            return True
        job = self._world.jobs[key]
        if key in self._named:
            return True
        if job.state == DELAYED:
            return key in self._in_the_way or job.tube in self._crowded
        return job.mark in self._waiting

    def _is_crowded(self, step: Step) -> bool:
        """Whether more jobs are delayed than a kick_n kicked, so that which of them are makes a difference."""
        world = self._world
        return not world.buried.get(step.tube) and len(world.delayed.get(step.tube, ())) > step.count

    def _before(self, step: Step) -> list[int]:
        """The jobs whose delays have to end before a peek: all that come before what it saw, one after the other.

        One is enough where nobody waits for them: they all have to go, and in which order makes no difference.
        """
        world = self._world
        seen = world.jobs.get(step.job)
        until = NEVER if seen is None or seen.state != DELAYED else seen.high + seen.mark
        jobs = world.jobs
        order = sorted((jobs[key].low + jobs[key].mark, key) for key in world.delayed.get(step.tube, ()))
        found = [key for low, key in order if low <= until and key != step.job]
        return found if world.waits else found[:1]

    def _involve(self, step: Step) -> None:
        """Take in what a step that is needed depends on, or changes beside what it is needed for."""
        world = self._world
        match step.kind:
            case "put":
                pass
            case "reserve":
                self._looked.update(step.tubes)
                self._watched.update(step.tubes)
                best = world.best(step.tubes)
                self._named.update(() if best is None else (best[1],))
            case "close_client":
                self._named.update(world.held.get(step.client, ()))
            case "kick_n":
                self._counted.add(step.tube)
                self._named.update(self._kickable(step.tube))
            case "pause_tube":
                self._looked.add(step.tube)
            case _:
                self._named.add(step.job)

    def _makes_a_difference(self, step: Step) -> bool:
        """Whether a step that never returned can make a difference now."""
        world = self._world
        match step.kind:
            case "put":
                if self._rules.next_id() in step.orphans:
                    return self._puts or self._rules.next_id() in self._named
                return bool(step.delay) and step.tube in self._kicked
            case "reserve":
                best = world.best(step.tubes)
                return best is not None and (best[1] in self._named or not self._looked.isdisjoint(step.tubes))
            case "close_client":
                return step.client in world.waits or self._is_named(world.held.get(step.client, ()))
            case "pause_tube":
                return step.tube in self._looked
            case "kick_n":
                return step.tube in self._counted or self._is_named(self._kickable(step.tube))
        job = world.jobs.get(step.job)
        if job is None:
            return False
        if step.job in self._named:
            return True
        if job.state == READY:
            return job.tube in self._looked
        if job.state == RESERVED:
            latest = self._latest_of(JOB_TIMER, step.job)
            return latest < self.top or self._is_named(world.held.get(job.mark, ()))
        return job.tube in self._counted or (job.state == DELAYED and self._is_overdue(step.job))

    def _is_overdue(self, key: int) -> bool:
        return self._latest_of(JOB_TIMER, key) < self.top

    def _is_named(self, keys: Sequence[int] | dict[int, None]) -> bool:
        return any(key in self._named for key in keys)

    def _kickable(self, tube: int) -> list[int]:
        """The jobs that a kick_n might move."""
        world = self._world
        return [*world.delayed.get(tube, ()), *(key for _, key in world.buried.get(tube, ()))]
