"""Faults of a job's own operations: delete, release, touch, bury; and of the order in which ready jobs come."""

from collections.abc import Iterable
from contextlib import ExitStack

from jsm._heap import ID_MASK
from jsm.errors import NotOwnerError, UnknownJobError
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation
from jsm.states import BURIED, DELAYED, READY, Trigger
from tests.mutants.exhibit import ask, bury, call, exhibit, put, release_with, take
from tests.mutants.planting import accepts, held_back, job_of


@exhibit(
    "34",
    "delete refuses delayed jobs",
    source="beanstalkd b5a2049 (2011)",
    clauses="S11",
    calls=[put(delay=1), call("delete", 1, "a")],
)
class DeleteRefusesDelayed(Machine):
    """A delete finds no delayed job."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        if job is not None and job.state is DELAYED:
            raise UnknownJobError(job_id)
        super().delete(job_id, client_id, now=now)


@exhibit(
    "56",
    "release takes the priority for the delay",
    source="coolbeans #20, 81f247b",
    clauses="S17",
    calls=[put(), take(0, 1, "a"), release_with(0, 1, "a", delay=1)],
)
class ReleaseSwapsArguments(Machine):
    """A release swaps its new priority and its delay."""

    __slots__ = ()

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        super().release_with(now, job_id, client_id, priority=delay_seconds, delay_seconds=priority)


@exhibit(
    "J22",
    "a buried job that was deleted stays in the order of the buried",
    clauses="S1 S11",
    calls=[put(), take(0, 1, "a"), bury(0, 1, "a"), call("delete", 1, "a")],
)
class DeletedStaysBuried(Machine):
    """The delete of a buried job leaves its key in the tube's heap."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        buried = job is not None and job.state is BURIED
        super().delete(job_id, client_id, now=now)
        if job is not None and buried:
            job.tube.buried.push(job.key)


@exhibit(
    "J23",
    "a ready job that was reserved by id stays in the order of the ready",
    clauses="S1",
    calls=[put(), take(0, 1, "a")],
)
class ReservedStaysReady(Machine):
    """A reserve by id leaves the job's key in the heap of the ready."""

    __slots__ = ()

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        job = job_of(self, job_id)
        ready = None if job is None or job.state is not READY else job.key
        answer = super().reserve_job(now, job_id, client_id, request_id=request_id)
        if job is not None and ready is not None:
            job.tube.ready.push(ready)
        return answer


@exhibit(
    "J24",
    "release with delay 0 keeps the old delay",
    clauses="S17",
    calls=[put(delay=1), take(0, 1, "a"), release_with(0, 1, "a")],
)
class ReleaseKeepsTheDelay(Machine):
    """A release with a delay of 0 leaves the job's `delay` alone."""

    __slots__ = ()

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        job = job_of(self, job_id)
        before = 0 if job is None else job.delay_seconds
        super().release_with(now, job_id, client_id, priority=priority, delay_seconds=delay_seconds)
        if job is not None and not delay_seconds:
            job.delay_seconds = before


@exhibit(
    "J25",
    "bury keeps the old priority",
    clauses="S17",
    calls=[put(), take(0, 1, "a"), bury(0, 1, "a", pri=1)],
)
class BuryKeepsThePriority(Machine):
    """A bury ignores the priority that it is given."""

    __slots__ = ()

    def bury(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int) -> None:
        job = job_of(self, job_id)
        before = 0 if job is None else job.priority
        super().bury(now, job_id, client_id, priority=priority)
        if job is not None:
            job.priority = before


@exhibit(
    "J26",
    "whoever likes may release a job",
    clauses="S4",
    calls=[put(), take(0, 1, "a"), call("release", 1, "b")],
)
class ReleaseByAnyone(Machine):
    """A release is made in the name of the job's owner, whoever calls."""

    __slots__ = ()

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        if client_id and job is not None and job.owner is not None:
            client_id = job.owner.id
        super().release(job_id, client_id, now=now)


@exhibit(
    "J27",
    "whoever likes may delete a reserved job",
    clauses="S4 S11",
    calls=[put(), take(0, 1, "a"), call("delete", 1, "b")],
)
class DeleteByAnyone(Machine):
    """A delete is made in the name of the job's owner, whoever calls."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        if client_id and job is not None and job.owner is not None:
            client_id = job.owner.id
        super().delete(job_id, client_id, now=now)


@exhibit(
    "J28",
    "a stranger's touch of a job that is not reserved is refused for the wrong reason",
    clauses="SPEC 1",
    calls=[put(), call("touch", 0, 1, "a")],
)
class OwnerBeforeState(Machine):
    """A touch looks at the owner before it looks at the state."""

    __slots__ = ()

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        job = job_of(self, job_id)
        if accepts(self, now) and client_id and job is not None and job.owner is None:
            raise NotOwnerError(job_id, client_id)
        super().touch(now, job_id, client_id)


@exhibit(
    "J29",
    "a refused call moves the clock",
    clauses="S26 SPEC 1",
    calls=[call("touch", 1, 1, "a")],
)
class RefusalMovesTheClock(Machine):
    """A touch sets the clock before it is refused."""

    __slots__ = ()

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        if accepts(self, now):
            self._state.clock = now
        super().touch(now, job_id, client_id)


@exhibit(
    "J30",
    "a release is not counted",
    clauses="S15",
    calls=[put(), take(0, 1, "a"), release_with(0, 1, "a", delay=1)],
)
class DelayedReleaseNotCounted(Machine):
    """A release with a delay leaves the job's `releases` alone."""

    __slots__ = ()

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        super().release_with(now, job_id, client_id, priority=priority, delay_seconds=delay_seconds)
        self._state.jobs[job_id].releases -= bool(delay_seconds)


@exhibit(
    "J33",
    "looking at a job ends its delay",
    clauses="S31",
    calls=[put(delay=1), call("peek_delayed_job", "default", now=1)],
)
class LookEndsTheDelay(Machine):
    """A peek at a delayed job that is overdue makes it ready."""

    __slots__ = ()

    def peek_delayed_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        view = super().peek_delayed_job(tube, now=now)
        if view.ready_at <= self.clock:
            self._state.move(self._state.jobs[view.id], Trigger.DELAY_ELAPSED)
        return view


@exhibit(
    "J35",
    "a released job goes to the end of its priority",
    source='protocol.txt, taken by the letter: "received first"',
    clauses="S9",
    calls=[put(), take(0, 1, "a"), call("release", 1, "a"), put(), ask(0, "a")],
)
class ReleasedGoesLast(Machine):
    """An append prefers, of the jobs of a tube that have the best priority, those that were never released."""

    __slots__ = ()

    def append_reservation(
        self, now: int, client_id: ClientID, *, request_id: str, tubes: Iterable[TubeName], deadline_at: int | None
    ) -> Reservation:
        jobs = self._state.jobs
        with ExitStack() as stack:
            for home in self._state.tubes.values() if not self._state.waiting else ():
                ready = [jobs[key & ID_MASK] for key in home.ready]
                first = min(ready, key=lambda job: (job.priority, job.releases, job.id), default=None)
                if first is not None:
                    stack.enter_context(held_back(home.ready, first.key.__ne__))
            return super().append_reservation(
                now, client_id, request_id=request_id, tubes=tubes, deadline_at=deadline_at
            )
