"""What steps and timers do to the world of the search, and the words for it.

The bounds of an instant come from the step's own window and from the job's own life, not from everything that was
placed before: so orders that differ only in what doesn't matter to each other lead to one state. That is a little less
than what is known; `models.linearizability_instants` makes it good.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from models.linearizability_steps import ID_STEP, NEVER, Part, Step
from models.linearizability_world import (
    BURIED,
    DELAYED,
    JOB_TIMER,
    PAUSE_TIMER,
    READY,
    RESERVED,
    STATE_NAMES,
    WAIT_TIMER,
    JobAt,
    Limits,
    PauseAt,
    WaitAt,
    World,
)

Way = tuple[int, ...] | int | None
"""How a step of several outcomes is placed.

The jobs that a kick_n kicks; the steps whose waits begin before one that times out; the job that a put or a reserve of
unknown outcome is about.
"""


WIDE: Final = 4
"""The part of a second above which an operation counts as one that took long."""

IN_TICK: Final = 1
"""`World.in_tick`: timers fired, what they made ready is not handed out yet, and more may fire before."""

IN_BURST: Final = 2
"""`World.in_tick`: several jobs were made ready by one operation, one by one (a deviation)."""


class Changes:
    """A world, and what the steps of one part do to it."""

    def __init__(self, part: Part, limits: Limits, *, one_by_one: bool) -> None:
        self.part = part
        self.one_by_one = one_by_one
        self._limit = NEVER  # of the step that is being placed
        self._wide = limits.second // WIDE  # windows above which bounds depend on all that was placed
        self.world = World(limits)
        self.limits = limits

    def pair(self) -> tuple[int, int] | None:
        """(priority, key) of the best ready job that somebody waits for: it is handed out before anything else."""
        world = self.world
        found: tuple[int, int] | None = None
        for wait in world.waits.values():
            best = world.best(self.part.by_number[wait.step].tubes)
            if best is not None and (found is None or best < found):
                found = best
        return found

    def place(self, step: Step, way: Way, limit: int) -> None:
        """Do what the step does, at `limit` at the latest; `ways` gave the way."""
        world = self.world
        self._limit = limit
        if step.kind == "timeout" and step.blocking:
            wait = world.waits[step.client]
            world.advance(max(step.call, wait.low + (step.timeout or 0) - self.limits.earliness))
            self._end_wait(step.client)
            return
        if step.kind == "warned":
            world.advance(max(step.call, world.margin(step.client)[0]))
            return
        world.advance(step.call, in_tick=IN_BURST if step.kind == "reserve" and world.in_tick == IN_BURST else 0)
        if step.expect is not None and step.kind != "begin":
            return
        if step.kind == "begin":
            self._begin(step, [self.part.by_number[each] for each in way] if isinstance(way, tuple) else [])
            return
        change = _CHANGES.get(step.kind)
        if change is not None:
            change(self, step, way)
        if self.one_by_one and step.kind in ("kick_n", "close_client"):
            world.advance(world.now, in_tick=IN_BURST)

    def fire(self, kind: int, key: int) -> None:
        """Let a timer end: a delay, a ttr, a pause, a wait of unknown outcome."""
        world = self.world
        if kind == JOB_TIMER:
            job = world.jobs[key]
            length = job.mark if job.state == DELAYED else job.ttr
            low, high = self._fired(PauseAt(job.low, job.high, length))
            world.set_job(key, job._replace(state=READY, low=low, high=high, mark=0))
        elif kind == PAUSE_TIMER:
            pause = world.pauses[key]
            low = pause.low if self.may_vanish(key) else self._fired(pause)[0]
            world.set_pause(key, None)
        else:
            wait = world.waits[key]
            timeout = self.part.by_number[wait.step].timeout
            low = min(world.margin(key)[0], NEVER if timeout is None else wait.low + timeout - self.limits.earliness)
            self._end_wait(key)
        world.advance(low, in_tick=0 if self.pair() is None else IN_TICK)

    def _fired(self, timer: PauseAt) -> tuple[int, int]:
        """Bounds of the instant at which a timer fires."""
        low = timer.low + timer.length - self.limits.earliness
        high = min(timer.high + timer.length + self.limits.lateness, NEVER)
        return low, high

    def _bounds(self, step: Step, since: int) -> tuple[int, int]:
        """Bounds of the instant of a step whose job was as it is since `since`."""
        low, high = max(step.call, since), step.sure_end
        if high - low > self._wide:  # a reserve, say, that waited for a pause to end
            return max(low, self.world.now), min(high, self._limit)
        return low, high

    def start_of(self, step: Step) -> int:
        """The instant before which the step surely can't happen, as far as the state says."""
        if step.kind == "warned":
            low = self.world.margin(step.client)[0]
            return step.call if low == NEVER else max(step.call, low)
        wait = self.world.waits.get(step.client) if step.kind == "timeout" else None
        if wait is None or step.timeout is None:
            return step.call
        return max(step.call, wait.low + step.timeout - self.limits.earliness)

    def latest_of(self, kind: int, key: int) -> int:
        """The instant by which a timer of a job or a pause has fired."""
        if kind == PAUSE_TIMER:
            _, high, length = self.world.pauses[key]
        else:
            job = self.world.jobs[key]
            if job.state == RESERVED and self.limits.lost_expiries:
                return NEVER
            high, length = job.high, job.mark if job.state == DELAYED else job.ttr
        return high + length + self.limits.lateness

    def _begin(self, step: Step, before: Sequence[Step]) -> None:
        """Begin waits: even numbers of the order are shared by clients that will get a job, odd ones by the others."""
        world = self.world
        order = world.asks + world.asks % 2 if before else world.asks
        for other in before:
            world.advance(other.call)
            world.set_wait(other.client, WaitAt(order, other.number, *self._bounds(other, 0)))
        order += 1 - order % 2
        world.set_wait(step.client, WaitAt(order, step.number, *self._bounds(step, 0)))
        self._count(asks=order)

    def _end_wait(self, client: int) -> None:
        """End a wait; the order of asking starts anew when nobody waits."""
        self.world.set_wait(client, None)
        if not self.world.waits:
            self._count(asks=0)

    def _count(self, *, asks: int | None = None, burials: int = 0, last_job: int | None = None) -> None:
        world = self.world
        world.set_counters(
            now=world.now,
            last_job=world.last_job if last_job is None else last_job,
            burials=world.burials + burials,
            asks=world.asks if asks is None else asks,
            in_tick=world.in_tick,
        )

    def _put(self, step: Step, way: Way) -> None:
        key = step.job or (way if isinstance(way, int) else 0)
        low, high = self._bounds(step, 0)
        state = DELAYED if step.delay else READY
        job = JobAt(state, step.priority or 0, low, high, step.delay, step.tube, step.ttr, step.body)
        self.world.set_job(key, job)
        self._count(last_job=key)

    def _take(self, step: Step, way: Way) -> None:
        """Reserve a job."""
        world = self.world
        key = way if isinstance(way, int) else step.job
        job = world.jobs[key]
        wait = world.waits.get(step.client)
        if wait is not None and wait.step == step.number:
            self._end_wait(step.client)
        low, high = self._bounds(step, job.low)
        world.set_job(key, job._replace(state=RESERVED, low=low, high=high, mark=step.client))

    def _delete(self, step: Step, way: Way) -> None:
        self.world.set_job(step.job, None)

    def _release(self, step: Step, way: Way) -> None:
        job = self.world.jobs[step.job]
        low, high = self._bounds(step, job.low)
        priority = job.priority if step.priority is None else step.priority
        state = DELAYED if step.delay else READY
        changed = job._replace(state=state, priority=priority, low=low, high=high, mark=step.delay)
        self.world.set_job(step.job, changed)

    def _touch(self, step: Step, way: Way) -> None:
        job = self.world.jobs[step.job]
        low, high = self._bounds(step, job.low)
        self.world.set_job(step.job, job._replace(low=low, high=high))

    def _bury(self, step: Step, way: Way) -> None:
        job = self.world.jobs[step.job]
        low, high = self._bounds(step, job.low)
        changed = job._replace(
            state=BURIED, priority=step.priority or 0, low=low, high=high, mark=self.world.burials + 1
        )
        self.world.set_job(step.job, changed)
        self._count(burials=1)

    def _kick(self, step: Step, way: Way) -> None:
        for key in way if isinstance(way, tuple) else (step.job,):
            job = self.world.jobs[key]
            low, high = self._bounds(step, job.low)
            self.world.set_job(key, job._replace(state=READY, low=low, high=high, mark=0))

    def _pause(self, step: Step, way: Way) -> None:
        low, high = self._bounds(step, 0)
        self.world.set_pause(step.tube, PauseAt(low, high, step.delay) if step.delay else None)

    def _close(self, step: Step, way: Way) -> None:
        world = self.world
        if step.client in world.waits:
            self._end_wait(step.client)
        for key in sorted(world.held.get(step.client, ())):
            job = world.jobs[key]
            low, high = self._bounds(step, job.low)
            world.set_job(key, job._replace(state=READY, low=low, high=high, mark=0))

    # ------------------------------------------------------------------ timers

    def may_fire(self, kind: int, key: int, limit: int) -> bool:
        """Whether the pause or the wait may end by `limit`; timers of jobs are looked up in `World.earliest`."""
        world = self.world
        if kind == PAUSE_TIMER:
            pause = world.pauses[key]
            return self.may_vanish(key) or pause.low + pause.length - self.limits.earliness <= limit
        wait = world.waits[key]
        step = self.part.by_number[wait.step]
        if not step.optional:
            return False
        timeout = NEVER if step.timeout is None else wait.low + step.timeout - self.limits.earliness
        return min(timeout, world.margin(key)[0]) <= limit

    def may_vanish(self, tube: int) -> bool:
        """Whether the tube may be gone, and its pause with it; who uses or watches it, a history doesn't say."""
        return tube != 0 and not self.world.crowd.get(tube, 0)

    # ------------------------------------------------------------------ words

    def job_text(self, key: int) -> str:
        """A job and its state in a few words."""
        job = self.world.jobs.get(key)
        name = self.job_name(key)
        if job is None:
            return f"{name} is not there"
        owner = f" by {self.part.clients[job.mark]}" if job.state == RESERVED else ""
        return f"{name} is {STATE_NAMES[job.state]}{owner}"

    def timer_text(self, latest: int, kind: int, key: int) -> str:
        """What must have happened by an instant."""
        if kind == PAUSE_TIMER:
            return f"the pause of tube {self.part.tubes[key]!r} must have ended by {latest}"
        what = "delay" if self.world.jobs[key].state == DELAYED else "ttr"
        return f"the {what} of {self.job_name(key)} must have ended by {latest}"

    def fire_text(self, kind: int, key: int) -> str:
        """The end of a timer in a few words."""
        if kind == PAUSE_TIMER:
            return f"the pause of tube {self.part.tubes[key]!r} ends"
        if kind == WAIT_TIMER:
            return f"the wait of {self.part.clients[key]} ends, and nobody sees how"
        what = "delay" if self.world.jobs[key].state == DELAYED else "ttr"
        return f"the {what} of {self.job_name(key)} ends"

    def job_name(self, key: int) -> str:
        """The job's id, as far as it is known."""
        return f"job {key // ID_STEP}" if key % ID_STEP == 0 else "a job whose put never returned"


_CHANGES: Final[Mapping[str, Callable[[Changes, Step, Way], None]]] = {
    "put": Changes._put,
    "reserve": Changes._take,
    "reserve_job": Changes._take,
    "delete": Changes._delete,
    "release": Changes._release,
    "release_with": Changes._release,
    "touch": Changes._touch,
    "bury": Changes._bury,
    "kick": Changes._kick,
    "kick_n": Changes._kick,
    "pause_tube": Changes._pause,
    "close_client": Changes._close,
}
