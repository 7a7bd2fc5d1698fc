"""Faults of asking for a job, and of who gets which."""

from collections.abc import Iterable
from contextlib import ExitStack

from jsm._heap import ID_MASK
from jsm.errors import ClientIsWaitingError, InvalidReservationTimeoutError, UnknownTubeError
from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from tests.mutants.exhibit import ask, call, exhibit, put, take
from tests.mutants.planting import (
    accepts,
    client_of,
    held_back,
    instant_of,
    job_of,
    tube_of,
)

MATCHED = ReservationStatus.MATCHED
QUEUED = ReservationStatus.QUEUED


class Appender(Machine):
    """A machine whose append is a method of few words, for its subclasses to change."""

    __slots__ = ()

    def append_reservation(
        self, now: int, client_id: ClientID, *, request_id: str, tubes: Iterable[TubeName], deadline_at: int | None
    ) -> Reservation:
        return self.append(now, client_id, request_id, tuple(tubes), deadline_at)

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        """What the machine itself does."""
        return super().append_reservation(now, client_id, request_id=request_id, tubes=tubes, deadline_at=until)


@exhibit(
    "KB-11",
    "DEADLINE_SOON is answered although a ready job is there",
    source="beanstalkd #646 (the text of the protocol, not the server)",
    clauses="S21",
    calls=[put(ttr=1), put(), take(0, 1, "a"), ask(0, "a")],
)
class WarningBeforeJob(Appender):
    """An append of a client that holds a job inside its margin looks at no tube that exists."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        client = client_of(self, client_id)
        held = client.held.keys if client is not None and accepts(self, now) else []
        if held and instant_of(held[0]) - now <= self.units_per_second:
            tubes = (TubeName("nowhere"),)
        return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "23",
    "priority is not respected across the watched tubes",
    source="beanstalkd 3427936 (2009)",
    clauses="S9",
    calls=[put(tube="t", pri=1), put(tube="u"), ask(0, "a", "t", "u")],
)
class FirstTubeWins(Appender):
    """An append looks at the first of its tubes that holds a ready job, and at no other."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        for name in tubes:
            home = tube_of(self, name)
            if home is not None and home.ready.keys and home.pause_ends_at is None and not home.waiters.keys:
                tubes = (name,)
                break
        return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "29",
    "a client that holds a job can't wait for another",
    source="beanstalkd 2c04048 (2007)",
    clauses="L4",
    calls=[put(), take(0, 1, "a"), ask(0, "a")],
)
class HolderCannotWait(Appender):
    """An append by a client that holds a job is refused as if it waited already."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        client = client_of(self, client_id)
        if client is not None and client.held.keys:
            raise ClientIsWaitingError(client_id, "holds a job")
        return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "40",
    "the timeout of a reserve wraps: a long wait is answered at once",
    source="beanstalkd #606, e53c270 (2021); #131",
    clauses="S24 S20",
    calls=[ask(0, "a", until=4)],
)
class TimeoutWraps(Appender):
    """An append keeps the low two bits of the time that it is to wait: 32 bits, in a world that is as much smaller."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        if type(until) is int and accepts(self, now) and until > now:
            until = now + (until - now) % 4
        return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "42",
    "commands are taken from a client that waits: a second reserve drops the first",
    source="beanstalkd #22, 5a74547 (2011)",
    clauses="S26 S20",
    calls=[ask(0, "a"), ask(0, "a")],
)
class SecondReserveWhileWaiting(Appender):
    """An append by a client that waits ends its wait, and asks anew."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        client = client_of(self, client_id)
        if client is not None and client.ask and accepts(self, now):
            self._state.end_wait(client)
        return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "54",
    "reserve-with-timeout 0 is an error",
    source="coolbeans #18, 1d176f5 (2020)",
    clauses="S20",
    calls=[ask(0, "a", until=0)],
)
class TimeoutZeroRefused(Appender):
    """An append refuses a deadline that equals its instant."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        if until == now and accepts(self, now):
            raise InvalidReservationTimeoutError("deadline_at", until, "an instant after now")
        return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "J36",
    "reserve-with-timeout 0 waits",
    clauses="S20",
    calls=[ask(0, "a", until=0)],
)
class TimeoutZeroWaits(Appender):
    """An append takes a deadline that equals its instant for one a second later."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        return super().append(
            now, client_id, request_id, tubes, until + self.units_per_second if until == now else until
        )


@exhibit(
    "J37",
    "a client overtakes one that asked before it",
    clauses="SPEC 4",
    calls=[ask(0, "a"), put(), ask(0, "b")],
)
class SecondWaiterOvertakes(Appender):
    """An append serves nobody who waits before it looks for a job of its own."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        state = self._state
        could = list(state.matchable.values())
        state.matchable.clear()
        try:
            return super().append(now, client_id, request_id, tubes, until)
        finally:
            state.matchable.update((tube.serial, tube) for tube in could if tube.matchable)


@exhibit(
    "J38",
    "the oldest job is taken, whatever its priority",
    clauses="S9",
    calls=[put(pri=1), put(), ask(0, "a")],
)
class PriorityIgnored(Appender):
    """An append that meets no waiter takes the ready job with the lowest id."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        with ExitStack() as stack:
            for home in self._state.tubes.values() if not self._state.waiting else ():
                oldest = min((key & ID_MASK for key in home.ready), default=0)
                stack.enter_context(held_back(home.ready, lambda key, oldest=oldest: key & ID_MASK != oldest))  # type: ignore[misc]
            return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "J41",
    "a pause keeps a job from being reserved by id",
    clauses="S29",
    calls=[put(), call("pause_tube", 0, "default", 1), take(0, 1, "a")],
)
class ReserveJobMindsThePause(Machine):
    """A reserve by id finds no job in a paused tube."""

    __slots__ = ()

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        job = job_of(self, job_id)
        if job is not None and job.tube.pause_ends_at is not None:
            raise UnknownTubeError(job.tube.name)
        return super().reserve_job(now, job_id, client_id, request_id=request_id)


@exhibit(
    "J45",
    "a reserve takes jobs out of a paused tube",
    clauses="S29",
    calls=[put(), call("pause_tube", 0, "default", 1), ask(0, "a")],
)
class AppendIgnoresThePause(Appender):
    """An append sees no pause."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        paused = [(tube, tube.pause_ends_at) for tube in self._state.paused.values()]
        for tube, _ in paused:
            tube.pause_ends_at = None
        try:
            return super().append(now, client_id, request_id, tubes, until)
        finally:
            for tube, ends_at in paused:
                tube.pause_ends_at = ends_at
