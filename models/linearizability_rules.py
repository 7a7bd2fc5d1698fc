"""The rules of the job state machine over the world of the search: what may happen now, and what it changes.

For each step `ways` gives the ways in which it can be placed now, as the client saw it, or the reason why it can't.
The rules are SPEC's, sections 3 to 5, with instants known up to bounds. Tests hold them against `models.spec`.

A step comes with `limit`, the first instant at which something that is not placed yet had returned: whatever is
placed next happens at it at the latest.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Final

from models.linearizability_changes import IN_BURST, Changes, Way
from models.linearizability_steps import ID_STEP, NEVER, NO_BODY, Part, Step
from models.linearizability_world import BURIED, DELAYED, READY, RESERVED, JobAt, Limits

ONE_WAY: Final[Sequence[Way]] = (None,)
NOBODY_BEFORE: Final[Sequence[Way]] = ((),)
YIELDING_MAX: Final = 9
"""The most clients of which any set is tried to have waited longer than one that timed out."""

WAYS_MAX: Final = 64
"""The most sets of jobs that a kick_n is tried with, where the order of delays is not known."""


class Rules(Changes):
    """The rules over one world, for the steps of one part."""

    def __init__(self, part: Part, limits: Limits, *, any_waiter: bool, one_by_one: bool) -> None:
        super().__init__(part, limits, one_by_one=one_by_one)
        self.any_waiter = any_waiter
        self.left = {job: dict.fromkeys(users) for job, users in part.users.items()}  # still to be placed
        self.exact = False  # whether to tell ways apart that differ in their instants only
        self.cut_short = False  # whether some ways were left out, so that "no way" proves nothing

    # ------------------------------------------------------------------ may it be placed?

    def ways(self, step: Step, limit: int, others: Sequence[Step] = ()) -> Sequence[Way] | str:
        """How the step can be placed now; a text says why it can't. `others` are the steps that are open too."""
        world = self.world
        start = max(world.now, step.call)
        if start > limit:
            return f"it can't have happened before {start}, and something else had returned at {limit}"
        if world.latest and world.latest[0][0] < start:
            return f"{self.timer_text(*world.latest[0])} first"
        if step.kind == "begin":
            return self._begin_ways(step, start, others)
        return _WAYS[step.kind](self, step, limit, start)

    def hand_out(self, step: Step, limit: int, best: tuple[int, int]) -> Sequence[Way] | str:
        """How the step can be placed while a ready job and a client that waits for it are together."""
        world = self.world
        if step.kind != "reserve" or not step.blocking:
            return f"{self.job_text(best[1])} and has to be given to a waiting client first"
        key = step.job or best[1]
        job = world.jobs.get(key)
        if job is None or job.state != READY:
            return f"{self.job_text(key)} is not ready"
        if key != best[1] and not (self.one_by_one and self._is_awaited(job.tube)):
            return f"{self.job_text(best[1])} comes first"
        if job.tube not in step.tubes:
            return f"it does not watch tube {self.part.tubes[job.tube]!r}"
        if not self.any_waiter:
            waits = [wait for wait in world.waits.values() if job.tube in self._step(wait.step).tubes]
            first = min(waits, key=lambda wait: wait.order)
            own = world.waits.get(step.client)
            if own is None or own.step != step.number or own.order > first.order:
                return f"{self._name(self._step(first.step))} has waited longer for {self.job_name(key)}"
        start = max(world.now, step.call)
        if start > limit:
            return "it was not called yet"
        if world.latest and world.latest[0][0] < start:
            return f"{self.timer_text(*world.latest[0])} first"
        if step.client in world.waits and start > self._answered_by(step):
            return f"its wait must have been answered otherwise by {self._answered_by(step)}"
        return self._body(step, job) or (key,)

    def _answered_by(self, step: Step) -> int:
        """The instant by which the wait of a client has been answered by a timeout or a warning."""
        wait = self.world.waits[step.client]
        up = NEVER if step.timeout is None else wait.high + step.timeout
        return min(up, self.world.margin(step.client)[1]) + self.limits.lateness

    def _is_awaited(self, tube: int) -> bool:
        return tube not in self.world.pauses and any(
            tube in self._step(wait.step).tubes for wait in self.world.waits.values()
        )

    def _put_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        world = self.world
        following = self.next_id()
        if step.job:
            if step.job <= world.last_job:
                return f"its id is not above {world.last_job // ID_STEP}, the last one that was given"
            if step.job != following:
                return f"{self.job_name(following)} has to be put before, as ids grow"
            return ONE_WAY
        if following in step.orphans:
            return (following, world.last_job + 1)
        return (world.last_job + 1,)  # an id that nobody saw

    def next_id(self) -> int:
        """Key of the next job of those whose ids somebody saw."""
        ids = self.part.ids
        place = bisect_right(ids, self.world.last_job)
        return ids[place] if place < len(ids) else NEVER

    def _reserve_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        world = self.world
        if step.client in world.waits:
            if world.waits[step.client].step == step.number:
                return "it waits, and no job that it could have is ready"
            return "the client waits already"
        best = world.best(step.tubes)
        if best is None:
            return self._not_ready(step) if step.job else "no job is ready that it could have"
        if not step.job:
            return (best[1],)
        job = world.jobs.get(step.job)
        if step.job != best[1] and not (job is not None and self._in_burst(step, job)):
            if job is None or job.state != READY or job.tube not in step.tubes or job.tube in world.pauses:
                return self._not_ready(step)
            return f"{self.job_text(best[1])} too, and comes before {self.job_name(step.job)}"
        assert job is not None
        return self._body(step, job) or ONE_WAY

    def _in_burst(self, step: Step, job: JobAt) -> bool:
        """Whether the job may have been handed out before better ones of a kick_n or a close were ready."""
        world = self.world
        ready = job.state == READY and job.tube in step.tubes and job.tube not in world.pauses
        return ready and step.blocking and world.in_tick == IN_BURST

    def _not_ready(self, step: Step) -> str:
        """Why the job of a reserve can't be had."""
        job = self.world.jobs.get(step.job)
        if job is not None and job.state == READY:
            if job.tube not in step.tubes:
                return f"{self.job_text(step.job)}, but in tube {self.part.tubes[job.tube]!r}, which it does not watch"
            return f"{self.job_text(step.job)}, but its tube {self.part.tubes[job.tube]!r} is paused"
        return self.job_text(step.job)

    def _begin_ways(self, step: Step, start: int, others: Sequence[Step]) -> Sequence[Way] | str:
        """A wait begins, after those of some others that will get a job: whoever may be served before it has to.

        When exactly a wait of those began matters only in that. So nothing is lost by beginning them here, and among
        each other without order: the order in which they are served is one in which they may have begun.
        """
        why_not = self._idle(step, start)
        if why_not is not None:
            return why_not
        if self.any_waiter:
            return NOBODY_BEFORE
        world = self.world
        latest = world.latest[0][0] if world.latest else NEVER
        left = [
            other
            for other in others
            if other.yields
            and other.client not in world.waits
            and other.call <= latest
            and self._idle(other, max(start, other.call)) is None
        ]
        may: list[int] = []
        watched = set(step.tubes)
        while True:  # whoever shares a tube with it, or with one that does
            sharing = [other for other in left if not watched.isdisjoint(other.tubes)]
            if not sharing:
                break
            may += [other.number for other in sharing]
            watched.update(tube for other in sharing for tube in other.tubes)
            left = [other for other in left if other not in sharing]
        if len(may) > YIELDING_MAX:
            self.cut_short = True
            return [tuple(may[:count]) for count in range(len(may), -1, -1)]
        return [each for count in range(len(may), -1, -1) for each in combinations(may, count)]

    def _timeout_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        world, limits = self.world, self.limits
        if not step.blocking:
            return self._idle(step, start) or ONE_WAY
        if step.timeout is None:
            return "a wait without limit can't time out"
        wait = world.waits.get(step.client)
        if wait is None:
            return "it does not wait"
        start = max(start, wait.low + step.timeout - limits.earliness)
        if start > limit:
            return f"its time is not up before {start}, and something else had returned at {limit}"
        if world.now > wait.high + step.timeout + limits.lateness:
            return f"its time was up at {wait.high + step.timeout} at the latest, {limits.lateness} later is too late"
        if world.latest and world.latest[0][0] < start:
            return f"{self.timer_text(*world.latest[0])} first"
        if world.margin(step.client)[1] <= start:
            return "a job of the client expires within a second, so that the answer had to be DEADLINE_SOON"
        return ONE_WAY

    def _warned_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        world = self.world
        best = world.best(step.tubes)
        if best is not None:
            return f"{self.job_text(best[1])}, so that the answer had to be that job"
        low, _ = world.margin(step.client)
        if low == NEVER:
            return "the client holds no job, so that nothing expires soon"
        if max(low, start) > limit:
            return f"no job of the client comes within a second of its expiry before {low}"
        if world.latest and world.latest[0][0] < low:
            return f"{self.timer_text(*world.latest[0])} first"
        if not self.exact:
            return ONE_WAY
        margin = self.limits.second + self.limits.earliness
        return [key for key in world.held[step.client] if world.jobs[key].low + world.jobs[key].ttr - margin <= limit]

    def _idle(self, step: Step, start: int) -> str | None:
        """Why a reserve would be answered at once by something else than a timeout; None: it would not."""
        world = self.world
        if step.client in world.waits:
            return "the client waits already"
        best = world.best(step.tubes)
        if best is not None:
            return f"{self.job_text(best[1])}, so that the answer had to be that job"
        if world.margin(step.client)[1] <= start:
            return "a job of the client expires within a second, so that the answer had to be DEADLINE_SOON"
        return None

    def _job_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        """Operations on one job by its id."""
        job = self.world.jobs.get(step.job)
        refusal = _refusal_of(step, job)
        if step.expect is not None:
            if refusal is None:
                return f"{self.job_text(step.job)}, so that it had to succeed"
            if step.expect not in (refusal, "not-found"):
                return f"{self.job_text(step.job)}, so that it had to be refused with {refusal}"
            return ONE_WAY
        if refusal is not None or job is None:
            return f"{self.job_text(step.job)}, so that it had to be refused with {refusal}"
        if step.kind == "delete":
            for other in self.left.get(step.job, ()):
                if other is not step and other.call <= limit:  # later ones have their own turn to fail
                    return f"{self.job_name(step.job)} is needed first by {other}"
        return self._body(step, job) or ONE_WAY

    def _peek_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        """The peeks at a tube."""
        world = self.world
        if step.kind == "peek_delayed_job":
            firsts = self._first_delayed(step.tube)
        else:
            queue = (world.ready if step.kind == "peek_ready_job" else world.buried).get(step.tube)
            firsts = [queue[0][1]] if queue else []
        if step.expect is not None:
            if firsts:
                return f"{self.job_text(firsts[0])}, so that it had to be seen"
            return ONE_WAY if step.expect in ("missing", "not-found") else "it can be refused as missing only"
        if step.job not in firsts:
            first = self.job_name(firsts[0]) if firsts else "no job"
            return f"{first} is first there, and {self.job_text(step.job)}"
        return self._body(step, world.jobs[step.job]) or ONE_WAY

    def _first_delayed(self, tube: int) -> list[int]:
        """The jobs that may be the one whose delay ends first."""
        order = self._by_delay(tube)
        if not order:
            return []
        latest = min((high, key) for _, high, key in order)
        return [key for low, _, key in order if (low, key) <= latest]

    def _by_delay(self, tube: int) -> list[tuple[int, int, int]]:
        """(earliest end, latest end, key) of the delayed jobs of a tube, in order."""
        jobs = self.world.jobs
        keys = self.world.delayed.get(tube, ())
        return sorted((jobs[key].low + jobs[key].mark, jobs[key].high + jobs[key].mark, key) for key in keys)

    def _kick_n_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        world = self.world
        buried = world.buried.get(step.tube)
        there = len(buried) if buried else len(world.delayed.get(step.tube, ()))
        kicked = min(step.rank, there)
        if not step.optional and step.count != kicked:
            return f"{kicked} jobs were there to be kicked, not {step.count}"
        if buried:
            return (tuple(key for _, key in buried[:kicked]),)
        if kicked == there:
            return (tuple(key for _, _, key in self._by_delay(step.tube)),)
        return self._choices(self._by_delay(step.tube), kicked)

    def _choices(self, order: list[tuple[int, int, int]], kicked: int) -> Sequence[Way]:
        """The sets of so many jobs that may be those whose delays end first."""
        lows = sorted((low, key) for low, _, key in order)
        highs = sorted((high, key) for _, high, key in order)
        sure, open_ = [], []
        for low, high, key in order:
            if bisect_left(lows, (high, key)) - (low < high) < kicked:  # so many may come before, itself left out
                sure.append(key)
            elif bisect_left(highs, (low, key)) < kicked:  # so many surely come before
                open_.append(key)
        found: list[Way] = []
        for chosen in combinations(open_, kicked - len(sure)):
            if len(found) == WAYS_MAX:
                self.cut_short = True
                break
            found.append((*sure, *chosen))
        return found

    def _pause_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        if step.expect is None:
            return ONE_WAY  # whether clients use or watch the tube, a history doesn't say
        if step.expect not in ("missing", "not-found"):
            return "it can be refused as missing only"
        name = repr(self.part.tubes[step.tube])
        if step.tube == 0 or self.world.crowd.get(step.tube, 0):
            return f"tube {name} is there, so that it had to succeed"
        if any(step.tube in self._step(wait.step).tubes for wait in self.world.waits.values()):
            return f"a client waits on tube {name}, so that it had to succeed"
        return ONE_WAY

    def _free_ways(self, step: Step, limit: int, start: int) -> Sequence[Way] | str:
        """What is never refused."""
        return ONE_WAY

    def _body(self, step: Step, job: JobAt) -> str | None:
        """Why the body can't be what the client saw; None: it can."""
        if step.body in (job.body, NO_BODY) or job.body == NO_BODY:
            return None
        return f"the body of job {step.job // ID_STEP} is {self.part.bodies[job.body]!r}"

    def _step(self, number: int) -> Step:
        return self.part.by_number[number]

    def _name(self, step: Step) -> str:
        return self.part.clients[step.client]


def _refusal_of(step: Step, job: JobAt | None) -> str | None:
    """How an operation on one job is refused; None: it succeeds."""
    if job is None:
        return "missing"
    match step.kind:
        case "delete":
            return "unauthorized" if job.state == RESERVED and job.mark != step.client else None
        case "kick":
            return None if job.state in (BURIED, DELAYED) else "wrong-state"
        case "reserve_job":
            return "missing" if job.state == RESERVED else None
        case "get_job":
            return None
    if job.state != RESERVED:
        return "wrong-state"
    return None if job.mark == step.client else "unauthorized"


_WAYS: Final[Mapping[str, Callable[[Rules, Step, int, int], Sequence[Way] | str]]] = {
    "put": Rules._put_ways,
    "reserve": Rules._reserve_ways,
    "timeout": Rules._timeout_ways,
    "warned": Rules._warned_ways,
    "reserve_job": Rules._job_ways,
    "delete": Rules._job_ways,
    "release": Rules._job_ways,
    "release_with": Rules._job_ways,
    "touch": Rules._job_ways,
    "bury": Rules._job_ways,
    "kick": Rules._job_ways,
    "get_job": Rules._job_ways,
    "kick_n": Rules._kick_n_ways,
    "peek_ready_job": Rules._peek_ways,
    "peek_delayed_job": Rules._peek_ways,
    "peek_buried_job": Rules._peek_ways,
    "pause_tube": Rules._pause_ways,
    "close_client": Rules._free_ways,
    "nothing": Rules._free_ways,
}
