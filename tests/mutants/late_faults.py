"""Faults that show at a bound of time only: a second too early or too late, or when a tick is overdue."""

from jsm._heap import ID_BITS
from jsm.errors import NotOwnerError
from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from tests.mutants.exhibit import ask, call, exhibit, put, release_with, take, tick
from tests.mutants.planting import accepts, client_of, forget_margin, held_back, instant_of, job_of, waiting
from tests.mutants.reserve_faults import QUEUED, Appender

DEADLINE_SOON = ReservationStatus.DEADLINE_SOON
TIMEOUT = ReservationStatus.TIMEOUT


@exhibit(
    "J71",
    "DEADLINE_SOON is answered two seconds ahead, not one",
    clauses="S21",
    calls=[put(ttr=2), take(0, 1, "a"), ask(0, "a")],
)
class WarnedTwoSecondsAhead(Appender):
    """An append does not let a client wait whose first job expires within two seconds."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        answer = super().append(now, client_id, request_id, tubes, until)
        client = client_of(self, client_id)
        held = [] if client is None or answer.status is not QUEUED else client.held.keys
        if client is not None and held and instant_of(held[0]) - now <= 2 * self.units_per_second:
            self._state.end_wait(client)
            return Reservation(request_id, client_id, DEADLINE_SOON)
        return answer


@exhibit(
    "J72",
    "who holds a job that is overdue is not warned",
    clauses="S21 SPEC 4",
    calls=[put(ttr=1), take(0, 1, "a"), ask(2, "a")],
)
class OverdueIsNoMargin(Appender):
    """An append takes a margin for over when the job's expiry has passed, and lets the client wait."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        answer = super().append(now, client_id, request_id, tubes, until)
        client = client_of(self, client_id)
        if answer.status is DEADLINE_SOON and client is not None and instant_of(client.held.keys[0]) < now:
            if until == now:
                return Reservation(request_id, client_id, TIMEOUT)
            self._state.start_wait(client, request_id, tuple(dict.fromkeys(tubes)), until)
            forget_margin(self, client)
            return Reservation(request_id, client_id, QUEUED)
        return answer


@exhibit(
    "J73",
    "a reserve that is to wait for a second does not wait",
    clauses="S20 SPEC 4",
    calls=[ask(0, "a", until=1)],
)
class LastSecondIsOver(Appender):
    """An append answers TIMED_OUT when its deadline is within a second."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        answer = super().append(now, client_id, request_id, tubes, until)
        client = client_of(self, client_id)
        waits = answer.status is QUEUED and until is not None
        if client is not None and waits and (until or 0) - now <= self.units_per_second:
            self._state.end_wait(client)
            return Reservation(request_id, client_id, TIMEOUT)
        return answer


@exhibit(
    "J74",
    "a wait ends at the tick after its deadline",
    clauses="L3 SPEC 5",
    calls=[ask(0, "a", until=1), tick(1)],
)
class DeadlineStrictlyPassed(Machine):
    """A tick does not see the waits whose deadline is its instant."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        timer = self._state.wait_deadlines
        due = [client for client in waiting(self) if client.deadline_at == now] if accepts(self, now) else []
        for client in due:
            timer.remove(now << ID_BITS | client.ask)
            client.deadline_at = None
        answers = super().tick(now)
        for client in due:
            if client.ask:
                timer.push(now << ID_BITS | client.ask)
                client.deadline_at = now
        return answers


@exhibit(
    "J75",
    "when a reserved job is overdue, anyone may delete it",
    clauses="S4 S11 SPEC 1",
    calls=[put(ttr=1), take(0, 1, "a"), call("delete", 1, "b", now=1)],
)
class OverdueIsAnybodys(Machine):
    """A delete takes a job whose expiry is reached for one that nobody holds."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        at = self.clock if now is None else now
        if job is not None and job.owner is not None and accepts(self, at) and instant_of(job.key) <= at:
            client_id = job.owner.id
        super().delete(job_id, client_id, now=now)


@exhibit(
    "J76",
    "a job that is overdue can't be touched any more",
    clauses="S18 SPEC 1",
    calls=[put(ttr=1), take(0, 1, "a"), call("touch", 2, 1, "a")],
)
class OverdueCannotBeTouched(Machine):
    """A touch is refused to the owner when the expiry has passed, though no tick has ended the reservation."""

    __slots__ = ()

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        job = job_of(self, job_id)
        if job is not None and job.owner is not None and accepts(self, now) and instant_of(job.key) < now:
            raise NotOwnerError(job_id, client_id)
        super().touch(now, job_id, client_id)


@exhibit(
    "J77",
    "the delay of a release runs from the call before",
    clauses="S10 SPEC 1",
    calls=[put(ttr=2), take(0, 1, "a"), release_with(1, 1, "a", delay=1)],
)
class ReleaseDelaysFromTheLastCall(Machine):
    """A release with a delay counts it from the clock, before the clock is set to the call's instant."""

    __slots__ = ()

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        before = self.clock
        super().release_with(now, job_id, client_id, priority=priority, delay_seconds=delay_seconds)
        job, early = self._state.jobs[job_id], before + delay_seconds * self.units_per_second << ID_BITS | job_id
        if delay_seconds and early != job.key:
            for heap in (self._state.delays, job.tube.delayed):
                heap.remove(job.key)
                heap.push(early)
            job.key = early


@exhibit(
    "J78",
    "while a job is held, the deadline of a wait is no reason to wake the driver",
    clauses="L3 SPEC 3 next_tick_at",
    calls=[put(ttr=3), take(0, 1, "a"), ask(0, "a", until=1)],
)
class NextTickForgetsDeadlines(Machine):
    """The next tick is looked for among the deadlines of waits only when no job is reserved."""

    __slots__ = ()

    def next_tick_at(self) -> int | None:
        if not self._state.expiries.keys:
            return super().next_tick_at()
        with held_back(self._state.wait_deadlines, lambda key: key > 0):
            return super().next_tick_at()


@exhibit(
    "J79",
    "a match does not say which request it answers",
    clauses="S20 S26",
    calls=[ask(0, "a", until=1), put(), tick(0)],
)
class MatchForgetsTheRequest(Machine):
    """A tick leaves out the request id of a match whose client waited with a deadline."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        timed = [client.id for client in self._state.clients.values() if client.ask and client.deadline_at is not None]
        return [
            answer._replace(request_id="") if answer.job_id and answer.client_id in timed else answer
            for answer in super().tick(now)
        ]
