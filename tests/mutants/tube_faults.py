"""Faults of several tubes: which of them is looked at, what keeps one, whose waiters are served."""

from jsm.job import ClientID, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from tests.mutants.exhibit import ask, call, exhibit, put
from tests.mutants.planting import accepts, client_of, tube_of
from tests.mutants.reserve_faults import Appender


@exhibit(
    "J93",
    "of jobs of one priority the first watched tube's is taken, not the oldest",
    clauses="S9",
    calls=[put(tube="u"), put(tube="t"), ask(0, "a", "t", "u")],
)
class TieToTheFirstTube(Appender):
    """An append looks at the first of its tubes alone, if none of the others has a better priority."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        homes = [tube_of(self, name) for name in tubes]
        ready = [home for home in homes if home is not None and home.ready.keys and home.pause_ends_at is None]
        if ready and not any(home.waiters.keys for home in ready):
            best = min(ready, key=lambda home: self._state.jobs[home.ready.keys[0] & (1 << 64) - 1].priority)
            tubes = (best.name,)
        return super().append(now, client_id, request_id, tubes, until)


@exhibit(
    "J94",
    "who waits on other tubes than an append asks for is overtaken",
    clauses="SPEC 4",
    calls=[ask(0, "a", "t"), put(tube="t"), ask(0, "b", "u")],
)
class OthersAreNotServedFirst(Appender):
    """An append serves the earlier waiters of its own tubes first, and nobody else."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        matchable = self._state.matchable
        others = {serial: tube for serial, tube in matchable.items() if tube.name not in tubes}
        for serial in others:
            del matchable[serial]
        try:
            return super().append(now, client_id, request_id, tubes, until)
        finally:
            matchable.update({serial: tube for serial, tube in others.items() if tube.matchable})


@exhibit(
    "J95",
    "a reserve that is answered TIMED_OUT at once leaves a tube behind",
    clauses="S19",
    calls=[ask(0, "a", "t", until=0)],
)
class TimeoutMakesTheTube(Appender):
    """An append makes the tubes that it asks for, whether it waits or not."""

    __slots__ = ()

    def append(
        self, now: int, client_id: ClientID, request_id: str, tubes: tuple[TubeName, ...], until: int | None
    ) -> Reservation:
        answer = super().append(now, client_id, request_id, tubes, until)
        if answer.status is ReservationStatus.TIMEOUT:
            for name in tubes:
                self._state.tube_named(name)
        return answer


@exhibit(
    "J96",
    "delayed jobs do not keep their tube",
    clauses="S19",
    calls=[ask(0, "a", "t"), put(tube="t", delay=1), call("close_client", "a")],
)
class DelayedDoNotKeepTheirTube(Machine):
    """A tube that the last of its clients leaves is gone when it holds delayed jobs alone."""

    __slots__ = ()

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        left = [] if client is None or not client.ask else list(client.waits_on)
        super().close_client(client_id, now=now)
        for tube in left:
            delayed, tube.delayed.keys = tube.delayed.keys, []
            if delayed:
                self._state.drop_if_unused(tube)
            tube.delayed.keys = delayed


@exhibit(
    "J97",
    "pause 0 does nothing",
    clauses="SPEC 3 pause_tube",
    calls=[call("pause_tube", 0, "default", 1), call("pause_tube", 0, "default", 0)],
)
class PauseZeroIgnored(Machine):
    """A pause of 0 seconds leaves a running one as it is."""

    __slots__ = ()

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        home = tube_of(self, tube)
        running = None if home is None else home.pause_ends_at
        asked = 0 if home is None else home.pause_seconds
        super().pause_tube(now, tube, seconds)
        if home is not None and running is not None and seconds == 0 and accepts(self, now):
            self._state.start_pause(home, asked, running)
