"""Faults of kicks, of one job and of a tube's."""

from jsm._heap import ID_BITS, ID_MASK
from jsm.job import JobID, TubeName
from jsm.limits import URGENT_PRIORITY_LIMIT
from jsm.machine import Machine
from jsm.records import TransitionRecord
from jsm.states import BURIED, DELAYED, READY, Trigger
from tests.mutants.exhibit import bury, call, exhibit, put, take
from tests.mutants.planting import accepts, instant_of, job_of, tube_of


@exhibit(
    "32",
    "kick-job takes jobs that are ready",
    source="beanstalkd 87f08a8 (2007), 03d92a0 (2012)",
    clauses="S11 S16",
    calls=[put(), call("kick", 1)],
)
class KickTakesReady(Machine):
    """A kick of a ready job is accepted, and does nothing."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        if job is None or job.state is not READY:
            super().kick(job_id, now=now)


@exhibit(
    "45",
    "delayed jobs are ordered by priority",
    source="beanstalkd #400",
    clauses="S10",
    calls=[put(pri=1, delay=1), put(delay=1), call("kick_n", "default", 1)],
)
class DelayedByPriority(Machine):
    """A kick of n delayed jobs takes them by (ready instant, priority, id)."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        home = tube_of(self, tube)
        delayed = [] if home is None or home.buried.keys else [self._state.jobs[key & ID_MASK] for key in home.delayed]
        if not delayed:
            return super().kick_n(tube, n, now=now)
        super().kick_n(tube, min(n, 0), now=now)
        chosen = sorted(delayed, key=lambda job: (instant_of(job.key), job.priority, job.id))[:n]
        for job in chosen:
            self.kick(job.id)
        return len(chosen)


@exhibit(
    "49",
    "kick of a tube never reaches delayed jobs",
    source="coolbeans `Kick`, `KickN`",
    clauses="S13",
    calls=[put(delay=1), call("kick_n", "default", 1)],
)
class KickNLeavesDelayed(Machine):
    """A kick of n jobs takes none where none is buried."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        home = tube_of(self, tube)
        return super().kick_n(tube, n if home is None or home.buried.keys else min(n, 0), now=now)


@exhibit(
    "J16",
    "kick of a delayed job moves another one: the soonest of its tube",
    clauses="S16",
    calls=[put(delay=2), put(delay=1), call("kick", 1)],
)
class KickMovesTheSoonest(Machine):
    """A kick of a delayed job kicks the one that its tube's order has first."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        if job is not None and job.state is DELAYED:
            job_id = JobID(job.tube.delayed.keys[0] & ID_MASK)
        super().kick(job_id, now=now)


@exhibit(
    "J17",
    "kick n takes one job too many",
    clauses="S13",
    calls=[put(delay=1), call("kick_n", "default", 0)],
)
class KickNOneTooMany(Machine):
    """A kick of n jobs kicks n + 1."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        return super().kick_n(tube, n + 1 if n >= 0 else n, now=now)


@exhibit(
    "J18",
    "kick n answers what it was asked for, not what it did",
    clauses="S13",
    calls=[call("kick_n", "default", 1)],
)
class KickNCountsWishes(Machine):
    """A kick of n jobs returns n."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        super().kick_n(tube, n, now=now)
        return n


@exhibit(
    "J19",
    "kick n goes on with delayed jobs when the buried ones are used up",
    clauses="S13",
    calls=[put(), take(0, 1, "a"), bury(0, 1, "a"), put(delay=1), call("kick_n", "default", 2)],
)
class KickNGoesOn(Machine):
    """A kick of n jobs kicks delayed ones in place of the buried ones that it missed."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        home = tube_of(self, tube)
        buried = 0 if home is None else len(home.buried)
        kicked = super().kick_n(tube, n, now=now)
        for key in sorted(home.delayed)[: n - kicked] if home is not None and buried else ():
            self.kick(JobID(key & ID_MASK))
            kicked += 1
        return kicked


@exhibit(
    "J20",
    "kick forgets the delay that the job was put with",
    clauses="S17",
    calls=[put(delay=1), call("kick", 1)],
)
class KickDropsTheDelay(Machine):
    """A kicked job's `delay` becomes 0."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        super().kick(job_id, now=now)
        self._state.jobs[job_id].delay_seconds = 0


@exhibit(
    "J21",
    "buried jobs are ordered by the instant, and those of one instant by id",
    source="the seed's `BuriedJobs`",
    clauses="S12",
    calls=[
        put(),
        put(),
        take(0, 1, "a"),
        take(0, 2, "a"),
        bury(0, 2, "a"),
        bury(0, 1, "a"),
        call("kick_n", "default", 1),
    ],
)
class BuriedByInstant(Machine):
    """A kick of n buried jobs takes them by (instant of the burial, id)."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        home = tube_of(self, tube)
        if home is None or not home.buried.keys or not accepts(self, self.clock if now is None else now):
            return super().kick_n(tube, n, now=now)
        super().kick_n(tube, min(n, 0), now=now)
        buried = [self._state.jobs[key & ID_MASK] for key in home.buried]
        chosen = sorted(buried, key=lambda job: (job.buried_at, job.id))[:n]
        for job in chosen:
            self.kick(job.id)
        return len(chosen)


@exhibit(
    "J31",
    "the count of urgent jobs drifts",
    clauses="S6",
    calls=[put(delay=1), call("kick", 1)],
)
class UrgentCountDrifts(Machine):
    """A kick does not count an urgent job as such in its tube's statistics."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        super().kick(job_id, now=now)
        job = self._state.jobs[job_id]
        job.tube.urgent -= job.priority < URGENT_PRIORITY_LIMIT


@exhibit(
    "J32",
    "transitions are numbered with a gap",
    clauses="SPEC 6",
    calls=[put(delay=1), call("kick", 1)],
)
class NumbersWithAGap(Machine):
    """A kick skips a number of the transition records."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        self._state.seq += job is not None and job.state in (BURIED, DELAYED)
        super().kick(job_id, now=now)


@exhibit(
    "J34",
    "an illegal edge: the kick of a buried job starts its delay anew",
    clauses="S2",
    calls=[put(delay=1), take(0, 1, "a"), bury(0, 1, "a"), call("kick", 1)],
)
class KickStartsTheDelay(Machine):
    """A kick of a buried job that was put with a delay makes it delayed."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        job, state = job_of(self, job_id), self._state
        if job is None or job.state is not BURIED or not job.delay_seconds:
            super().kick(job_id, now=now)
            return
        self.get_tubes(now=now)  # it sets the clock, or refuses
        job.tube.buried.remove(job.key)
        job.key = state.clock + job.delay_seconds * state.units_per_second << ID_BITS | job.id
        job.tube.delayed.push(job.key)
        state.delays.push(job.key)
        state.buried -= 1
        job.kicks, job.buried_at, job.state = job.kicks + 1, 0, DELAYED
        state.seq += 1
        if state.observer is not None:
            edge = (BURIED, Trigger.KICK, DELAYED)
            state.observer.transition(TransitionRecord(state.seq, state.clock, job.id, job.tube.name, *edge, None))
