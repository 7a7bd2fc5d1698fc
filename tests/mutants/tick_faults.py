"""Faults of ticks: what is done too late, in the wrong order, or twice."""

from contextlib import ExitStack

from jsm._heap import ID_BITS, ID_MASK
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from tests.mutants.exhibit import ask, call, exhibit, put, take, tick
from tests.mutants.planting import (
    accepts,
    everything,
    forget_margin,
    held_back,
    instant_of,
    never_due,
    waiting,
)

MATCHED = ReservationStatus.MATCHED
DEADLINE_SOON = ReservationStatus.DEADLINE_SOON
TIMEOUT = ReservationStatus.TIMEOUT


@exhibit(
    "KB-2",
    "after DEADLINE_SOON the old timeout of the reserve stays; its tick drops the connection from the timer",
    source="beanstalkd HEAD; PR #174, 3213587",
    clauses="L1 S21",
    calls=[put(ttr=2), take(0, 1, "a"), ask(0, "a", until=2), tick(1), tick(2)],
)
class LeftoverTimeout(Machine):
    """A warned client's deadline stays in the timer; when it comes, what the client holds is taken out of its own."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        state = self._state
        asked = {client.id: client.ask for client in waiting(self)}
        for key in [key for key in state.wait_deadlines if accepts(self, now) and instant_of(key) <= now]:
            if key & ID_MASK not in state.waiting:
                state.wait_deadlines.remove(key)
                for client in state.clients.values():
                    if not client.ask and client.deadline_at == instant_of(key):
                        never_due(state.expiries, list(client.held).__contains__)
        answers = super().tick(now)
        for answer in answers:
            client = state.clients[answer.client_id]
            if answer.status is DEADLINE_SOON and client.deadline_at is not None:
                state.wait_deadlines.push(client.deadline_at << ID_BITS | asked[client.id])
        return answers


@exhibit(
    "55",
    "TIMED_OUT and DEADLINE_SOON are never delivered",
    source="coolbeans #16, 6d35c8f, 4f6acff",
    clauses="L3",
    calls=[ask(0, "a", until=1), tick(1)],
)
class OnlyMatchesDelivered(Machine):
    """A tick returns the answers that bring a job, and drops the others."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        return [answer for answer in super().tick(now) if answer.status is MATCHED]


@exhibit(
    "26",
    "`timeouts` of a job is not counted",
    source="beanstalkd #69 (2011)",
    clauses="S15",
    calls=[put(ttr=1), take(0, 1, "a"), tick(1)],
)
class TimeoutsNotCounted(Machine):
    """A tick leaves every job's `timeouts` as it was."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        before = {job.id: job.timeouts for job in self._state.jobs.values()}
        answers = super().tick(now)
        for job_id, timeouts in before.items():
            self._state.jobs[job_id].timeouts = timeouts
        return answers


@exhibit(
    "J1",
    "the margin is compared with < instead of <=",
    clauses="SPEC 5.4",
    calls=[put(ttr=2), take(0, 1, "a"), ask(0, "a"), tick(1)],
)
class MarginTooNarrow(Machine):
    """A tick does not see a margin that begins at its instant."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        state = self._state
        if accepts(self, now):
            for client in waiting(self):
                if client.margin and instant_of(client.margin) == now + state.units_per_second:
                    forget_margin(self, client)
        answers = super().tick(now)
        for client in waiting(self):
            state.update_margin(client)
        return answers


@exhibit(
    "J3",
    "a late tick moves one delayed job and leaves the others for the next",
    clauses="L2",
    calls=[put(delay=1), put(delay=1), tick(1)],
)
class OneDelayedJobATick(Machine):
    """Of the delayed jobs that are due, a tick sees the first only."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        late = sorted(key for key in self._state.delays if accepts(self, now) and instant_of(key) <= now)[1:]
        with held_back(self._state.delays, late.__contains__):
            return super().tick(now)


@exhibit(
    "J4",
    "delays end after the matching: a waiter gets a worse job than the one that became ready with the tick",
    clauses="SPEC 5",
    calls=[put(delay=1), ask(0, "a"), put(pri=1), tick(1)],
)
class DelaysEndAfterMatching(Machine):
    """A tick does all its other steps first, then ends delays and matches again."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        if not accepts(self, now):
            return super().tick(now)
        with held_back(self._state.delays, lambda key: instant_of(key) <= now):
            answers = super().tick(now)
        return answers + super().tick(now)


@exhibit(
    "J5",
    "inside the margin TIMED_OUT beats DEADLINE_SOON",
    clauses="S20",
    calls=[put(ttr=2), take(0, 1, "a"), ask(0, "a", until=1), tick(1)],
)
class TimeoutBeatsWarning(Machine):
    """A tick warns no client whose deadline has come."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        if accepts(self, now):
            for client in waiting(self):
                if client.deadline_at is not None and client.deadline_at <= now:
                    forget_margin(self, client)
        return super().tick(now)


@exhibit(
    "J6",
    "a client is warned of a job that the same tick has taken from it",
    clauses="SPEC 5.4",
    calls=[
        put(ttr=2),
        take(0, 1, "a"),
        ask(0, "a", "u"),
        tick(2),
    ],
)
class WarningForAnExpiredJob(Machine):
    """A tick picks whom it warns before ttrs expire."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        late = [client for client in waiting(self) if client.held.keys and instant_of(client.held.keys[0]) <= now]
        answers = super().tick(now)
        for client in late:
            if client.ask:
                self._state.end_wait(client)
                answers.append(Reservation(client.request_id, client.id, DEADLINE_SOON))
        return answers


@exhibit(
    "J7",
    "a wait goes on after TIMED_OUT and is answered a second time",
    clauses="S20",
    calls=[ask(0, "a", until=1), tick(1)],
)
class TimedOutWaitGoesOn(Machine):
    """A client that a tick answers with TIMEOUT waits on, for ever."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        tubes = {client.id: tuple(tube.name for tube in client.waits_on) for client in waiting(self)}
        answers = super().tick(now)
        for answer in answers:
            if answer.status is TIMEOUT:
                client = self._state.clients[answer.client_id]
                self._state.start_wait(client, client.request_id, tubes[client.id], None)
        return answers


@exhibit(
    "J8",
    "an answer that is owed is dropped",
    clauses="S8 SPEC 4",
    calls=[ask(0, "a"), put(), ask(0, "b"), tick(0)],
)
class OwedAnswerDropped(Machine):
    """A tick forgets the answers that are owed instead of handing them out."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        if accepts(self, now):
            self._state.owed.clear()
        return super().tick(now)


@exhibit(
    "J9",
    "a tube whose pause ended never wakes those who wait on it",
    clauses="L5",
    calls=[ask(0, "a"), put(), call("pause_tube", 0, "default", 1), tick(1)],
)
class PausedTubeStaysAsleep(Machine):
    """Ready jobs of a tube whose pause a tick ends are not seen by its matching, and not noted as matchable."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        with ExitStack() as stack:
            for tube in self._state.paused.values() if accepts(self, now) else ():
                if tube.pause_ends_at is not None and tube.pause_ends_at <= now and tube.waiters.keys:
                    stack.enter_context(held_back(tube.ready, everything))
            return super().tick(now)
