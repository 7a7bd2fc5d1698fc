"""Faults of timers: what never comes due, or at another instant."""

from contextlib import ExitStack

from jsm.job import ClientID, JobID
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from tests.mutants.exhibit import ask, call, exhibit, put, release_with, take, tick
from tests.mutants.planting import (
    accepts,
    client_of,
    everything,
    held_back,
    instant_of,
    job_of,
    never_due,
    set_expiry,
)

MATCHED = ReservationStatus.MATCHED
DEADLINE_SOON = ReservationStatus.DEADLINE_SOON
TIMEOUT = ReservationStatus.TIMEOUT


@exhibit(
    "KB-1",
    "a ttr is lost when a tick falls exactly on the expiry",
    source="beanstalkd HEAD, `conn_timeout`; #262, #380; d8fbb52",
    clauses="L1 S14",
    calls=[put(ttr=1), take(0, 1, "a"), tick(1)],
)
class TtrLostOnTheDeadline(Machine):
    """A tick takes the expiries that equal its instant out of the timer before it looks for those that are due."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        if accepts(self, now):
            never_due(self._state.expiries, lambda key: instant_of(key) == now)
        return super().tick(now)


@exhibit(
    "13",
    "the timeout of a reserve stays set after its match, and the job's ttr never fires",
    source="beanstalkd PR #174, 3213587 (2013)",
    clauses="L1",
    calls=[ask(0, "a", until=1), put(ttr=1), tick(0)],
)
class TtrHiddenByTimeout(Machine):
    """A job that a tick gives to a client that waited with a deadline never expires."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        answers = super().tick(now)
        for answer in answers:
            client, job = client_of(self, answer.client_id), job_of(self, answer.job_id)
            if job is not None and client is not None and client.deadline_at is not None:
                never_due(self._state.expiries, job.key.__eq__)
        return answers


@exhibit(
    "15",
    "a bad index in the timer: taking out one client's entry removes that of another, who is never told TIMED_OUT",
    source="beanstalkd #78, 0db458b (2012); #104",
    clauses="L3",
    calls=[ask(0, "a", until=1), ask(0, "b"), call("cancel_reservation", "b")],
)
class WrongTimerRemoved(Machine):
    """The end of a wait that has no deadline takes the soonest deadline of all out of the timer."""

    __slots__ = ()

    def cancel_reservation(self, client_id: ClientID, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        untimed = client is not None and client.ask and client.deadline_at is None
        super().cancel_reservation(client_id, now=now)
        if untimed and self._state.wait_deadlines.keys:
            never_due(self._state.wait_deadlines, self._state.wait_deadlines.keys[0].__eq__)


@exhibit(
    "18",
    "deadline minus now underflows: a delay that is overdue lasts for 213 days",
    source="beanstalkd #118, ee671fa (2009)",
    clauses="L2",
    calls=[put(delay=1), tick(2)],
)
class OverdueDelayUnderflows(Machine):
    """A tick that comes after a delayed job's instant, not at it, leaves the job for good."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        if accepts(self, now):
            never_due(self._state.delays, lambda key: instant_of(key) < now)
        return super().tick(now)


@exhibit(
    "19",
    "time-left of a reserved job overflows, and the job is never released",
    source="beanstalkd #72 (2011)",
    clauses="L1 S14",
    calls=[put(ttr=1), take(0, 1, "a"), tick(2)],
)
class OverdueTtrUnderflows(Machine):
    """A tick that comes after an expiry, not at it, leaves the job with its owner for good."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        if accepts(self, now):
            never_due(self._state.expiries, lambda key: instant_of(key) < now)
        return super().tick(now)


@exhibit(
    "51",
    "`now > t` for `now >= t`: everything comes one second late",
    source="coolbeans `Tick`",
    clauses="S22 L1 L2",
    calls=[put(delay=1), tick(1)],
)
class OneSecondLate(Machine):
    """A tick does not see delays and expiries that equal its instant."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        with ExitStack() as stack:
            for timer in (self._state.delays, self._state.expiries) if accepts(self, now) else ():
                stack.enter_context(held_back(timer, lambda key: instant_of(key) == now))
            return super().tick(now)


@exhibit(
    "J2",
    "a job's ttr is lost once DEADLINE_SOON was sent",
    clauses="L1",
    calls=[put(ttr=2), take(0, 1, "a"), ask(0, "a"), tick(1)],
)
class TtrLostAfterWarning(Machine):
    """What a client holds never expires once a tick has warned it."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        answers = super().tick(now)
        for answer in answers:
            client = client_of(self, answer.client_id)
            for held in list(client.held) if client is not None and answer.status is DEADLINE_SOON else ():
                never_due(self._state.expiries, held.__eq__)
        return answers


@exhibit(
    "J10",
    "the end of a pause is no reason to wake the driver",
    clauses="L5",
    calls=[call("pause_tube", 0, "default", 1)],
)
class NextTickForgetsPauses(Machine):
    """`next_tick_at` does not look at the ends of pauses."""

    __slots__ = ()

    def next_tick_at(self) -> int | None:
        with held_back(self._state.pause_ends, everything):
            return super().next_tick_at()


@exhibit(
    "J11",
    "a margin is no reason to wake the driver",
    clauses="SPEC 3 next_tick_at",
    calls=[put(ttr=3), take(0, 1, "a"), ask(0, "a")],
)
class NextTickForgetsMargins(Machine):
    """`next_tick_at` does not look at the margins of waiting holders."""

    __slots__ = ()

    def next_tick_at(self) -> int | None:
        with held_back(self._state.margins, everything):
            return super().next_tick_at()


@exhibit(
    "J12",
    "the next tick lies in the past",
    clauses="SPEC 3 next_tick_at",
    calls=[put(delay=1), call("get_tubes", now=2)],
)
class NextTickInThePast(Machine):
    """`next_tick_at` returns an overdue delay's instant instead of the clock."""

    __slots__ = ()

    def next_tick_at(self) -> int | None:
        due = super().next_tick_at()
        delays = self._state.delays.keys
        return min(due, instant_of(delays[0])) if delays and due is not None else due


@exhibit(
    "J13",
    "a touch adds to the old deadline",
    source="beanstalkd before 157d88b",
    clauses="S18",
    calls=[put(ttr=1), take(0, 1, "a"), call("touch", 0, 1, "a")],
)
class TouchAddsToTheDeadline(Machine):
    """A touched job expires a ttr after it would have expired."""

    __slots__ = ()

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        job = job_of(self, job_id)
        before = 0 if job is None else instant_of(job.key)
        super().touch(now, job_id, client_id)
        assert job is not None
        set_expiry(self, job, before + job.ttr_seconds * self.units_per_second)


@exhibit(
    "J14",
    "the ttr runs from the put, not from the reservation",
    clauses="S14",
    calls=[put(), take(1, 1, "a")],
)
class TtrRunsFromThePut(Machine):
    """A job that is reserved by id expires a ttr after it was put."""

    __slots__ = ()

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        answer = super().reserve_job(now, job_id, client_id, request_id=request_id)
        job = self._state.jobs[job_id]
        set_expiry(self, job, job.created_at + job.ttr_seconds * self.units_per_second)
        return answer


@exhibit(
    "J15",
    "seconds are taken for time units",
    clauses="SPEC 1",
    units_per_second=4,
    calls=[put(), take(0, 1, "a"), release_with(0, 1, "a", delay=1)],
)
class DelayInUnits(Machine):
    """A release's delay of n seconds lasts n time units."""

    __slots__ = ()

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        state = self._state
        second, state.units_per_second = state.units_per_second, 1
        try:
            super().release_with(now, job_id, client_id, priority=priority, delay_seconds=delay_seconds)
        finally:
            state.units_per_second = second
