"""Faults of waits: who is served when a job comes, and what ends a wait."""

from contextlib import ExitStack

from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from tests.mutants.exhibit import ask, call, exhibit, put, take, tick
from tests.mutants.planting import (
    accepts,
    client_of,
    everything,
    held_back,
    job_of,
    wait_again,
    waiting,
)

MATCHED = ReservationStatus.MATCHED
QUEUED = ReservationStatus.QUEUED


@exhibit(
    "KB-12",
    "a waiter that leaves swaps the last one into its place: the order of waiting is lost",
    source="beanstalkd `ms_take`",
    clauses="L4 SPEC 4",
    calls=[ask(0, "a"), ask(0, "b"), ask(0, "c"), call("cancel_reservation", "a")],
)
class LastWaiterJumpsAhead(Machine):
    """When the first of several waiting clients cancels, the one that asked last takes its place."""

    __slots__ = ()

    def cancel_reservation(self, client_id: ClientID, *, now: int | None = None) -> None:
        order = waiting(self)
        super().cancel_reservation(client_id, now=now)
        if order and order[0].id == client_id and len(order) > 2:
            wait_again(self, [order[-1], *order[1:-1]])


@exhibit(
    "J39",
    "a tick serves tube by tube, not the best job first",
    clauses="S9 SPEC 4",
    calls=[ask(0, "a", "t", "u"), put(tube="t", pri=1), put(tube="u"), tick(0)],
)
class TickServesTubeByTube(Machine):
    """A tick matches the first tube to the end before it looks at the ready jobs of the others."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        if not accepts(self, now):
            return super().tick(now)
        later = list(self._state.matchable.values())[1:]
        with ExitStack() as stack:
            for tube in later:
                stack.enter_context(held_back(tube.ready, everything))
                self._state.matchable.pop(tube.serial)
                tube.using += 1  # it stays, though it seems empty
            answers = super().tick(now)
        for tube in later:
            tube.using -= 1
        for tube in self._state.tubes.values():
            if tube.matchable:
                self._state.matchable[tube.serial] = tube
        return answers + super().tick(now)


@exhibit(
    "J40",
    "a reserve by id ends the client's wait",
    clauses="S20 L3",
    calls=[ask(0, "a", "u"), put(), take(0, 1, "a")],
)
class ReserveJobEndsTheWait(Machine):
    """A client that reserves a job by id waits no longer, and is never answered."""

    __slots__ = ()

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        answer = super().reserve_job(now, job_id, client_id, request_id=request_id)
        client = self._state.clients[client_id]
        if client.ask:
            self._state.end_wait(client)
        return answer


@exhibit(
    "J42",
    "a wait can be cancelled while its answer is owed: a job that nobody knows of",
    clauses="S8 SPEC 3",
    calls=[ask(0, "a"), put(), ask(0, "b"), call("cancel_reservation", "a")],
)
class OwedIsCancelled(Machine):
    """A cancel drops the answer that the client is owed, and leaves it the job."""

    __slots__ = ()

    def cancel_reservation(self, client_id: ClientID, *, now: int | None = None) -> None:
        if client_id in self._state.owed and accepts(self, self.clock if now is None else now):
            del self._state.owed[client_id]
        super().cancel_reservation(client_id, now=now)


@exhibit(
    "J43",
    "an owed answer goes with its job",
    clauses="S8 SPEC 4",
    calls=[ask(0, "a"), put(), ask(0, "b"), call("delete", 1, "a")],
)
class OwedGoesWithItsJob(Machine):
    """A delete drops the answer that names the deleted job."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        super().delete(job_id, client_id, now=now)
        owed = self._state.owed.get(client_id)
        if owed is not None and owed.job_id == job_id:
            del self._state.owed[client_id]


@exhibit(
    "J44",
    "a reservation out of a wait is not counted",
    clauses="S8 S15",
    calls=[ask(0, "a"), put(), tick(0)],
)
class MatchNotCounted(Machine):
    """A tick leaves `reserves` of the jobs that it hands out as it was."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        answers = super().tick(now)
        for answer in answers:
            job = job_of(self, answer.job_id)
            if job is not None:
                job.reserves -= 1
        return answers


@exhibit(
    "J46",
    "a job put into a paused tube goes to who waits there",
    clauses="S29",
    calls=[ask(0, "a"), call("pause_tube", 0, "default", 1), put()],
)
class PutForgetsThePause(Machine):
    """A put into a tube with a waiter notes the tube as one to match, paused or not."""

    __slots__ = ()

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        numbers = {"priority": priority, "delay_seconds": delay_seconds, "ttr_seconds": ttr_seconds}
        job_id = super().put(now, **numbers, body=body, tube=tube)
        home = self._state.tubes[tube]
        if home.waiters.keys and home.ready.keys:
            self._state.matchable[home.serial] = home
        return job_id


@exhibit(
    "J47",
    "a client that cancels its wait forgets what it holds",
    clauses="S5 S14",
    calls=[put(ttr=1), take(0, 1, "a"), call("cancel_reservation", "a"), ask(0, "a")],
)
class CancelForgetsTheJobs(Machine):
    """A cancel empties the set of jobs that the client holds."""

    __slots__ = ()

    def cancel_reservation(self, client_id: ClientID, *, now: int | None = None) -> None:
        super().cancel_reservation(client_id, now=now)
        client = client_of(self, client_id)
        if client is not None:
            client.held.keys.clear()
