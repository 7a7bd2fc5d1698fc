"""Faults of clients and tubes: what a close leaves behind, what keeps a tube, what a pause is."""

from jsm._heap import ID_BITS
from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.states import Trigger
from tests.mutants.exhibit import ask, call, exhibit, put, take
from tests.mutants.planting import accepts, client_of, tube_of


@exhibit(
    "33",
    "a job does not keep its tube",
    source="beanstalkd 60c0cb7 (2008)",
    clauses="S19",
    calls=[call("use_tube", "a", "t"), put(tube="t"), call("use_tube", "a", "u")],
)
class JobDoesNotKeepItsTube(Machine):
    """A tube that its last user leaves is gone, whatever it holds."""

    __slots__ = ()

    def use_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        used = None if client is None else client.uses
        super().use_tube(client_id, tube, now=now)
        if used is not None and not used.using and used.name != "default":
            self._state.tubes.pop(used.name, None)


@exhibit(
    "J48",
    "a close counts a release",
    clauses="S15",
    calls=[put(), take(0, 1, "a"), call("close_client", "a")],
)
class CloseCountsARelease(Machine):
    """A close counts as a release of each job that the client held."""

    __slots__ = ()

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        held = [job for job in self._state.jobs.values() if job.owner is not None and job.owner.id == client_id]
        super().close_client(client_id, now=now)
        for job in held:
            job.releases += 1


@exhibit(
    "J49",
    "a closed client's jobs stay reserved",
    clauses="S5 S7",
    calls=[put(), take(0, 1, "a"), call("close_client", "a")],
)
class CloseLeavesJobs(Machine):
    """A close does not look at what the client holds."""

    __slots__ = ()

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        if client is not None and not client.ask and accepts(self, self.clock if now is None else now):
            client.held.keys.clear()
        super().close_client(client_id, now=now)


@exhibit(
    "J50",
    "a closed client still gets the answer that it was owed",
    clauses="S7 SPEC 4",
    calls=[ask(0, "a"), put(), ask(0, "b"), call("close_client", "a")],
)
class CloseLeavesTheAnswer(Machine):
    """A close keeps the answer that the client is owed, and the client for it; the next tick hands it out."""

    __slots__ = ()

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        state = self._state
        before = dict(state.owed)
        super().close_client(client_id, now=now)
        if client_id in before:
            state.client_named(client_id)
        state.owed.update(before)


@exhibit(
    "J51",
    "a close leaves the client's place in the line",
    clauses="S7",
    calls=[ask(0, "a"), call("close_client", "a")],
)
class CloseLeavesThePlace(Machine):
    """A close leaves the client's number among those who wait on the tube."""

    __slots__ = ()

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        ask_number, tubes = (0, []) if client is None else (client.ask, client.waits_on)
        super().close_client(client_id, now=now)
        for tube in tubes if ask_number else ():
            tube.waiters.push(ask_number)


@exhibit(
    "J52",
    "jobs of a closed client come back in the order of their expiry, not of their ids",
    clauses="SPEC 6",
    calls=[put(ttr=2), put(ttr=1), take(0, 1, "a"), take(0, 2, "a"), call("close_client", "a")],
)
class CloseBySoonestExpiry(Machine):
    """A close releases the soonest first: the job that expires first before all others."""

    __slots__ = ()

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        if client is not None and client.held.keys and accepts(self, self.clock if now is None else now):
            state = self._state
            self.get_tubes(now=now)
            first = state.jobs[client.held.keys[0] & ((1 << ID_BITS) - 1)]
            state.move(first, Trigger.CLOSE, client_id)
        super().close_client(client_id, now=now)


@exhibit(
    "J53",
    "a tube vanishes with a client that waits in it",
    clauses="S19",
    calls=[ask(0, "a", "t"), put(tube="t", delay=1), call("delete", 1, "b")],
)
class TubeVanishesWithItsWaiter(Machine):
    """When its last job is deleted, a tube that nobody uses or watches is gone, even if a client waits on it."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = self._state.jobs.get(job_id)
        super().delete(job_id, client_id, now=now)
        if job is not None and job.tube.waiters.keys and job.tube.name != "default":
            users = (
                job.tube.using + job.tube.watching + sum(each.tube is job.tube for each in self._state.jobs.values())
            )
            if not users:
                del self._state.tubes[job.tube.name]


@exhibit(
    "J54",
    "a tube stays when its last user leaves",
    clauses="S19",
    calls=[call("use_tube", "a", "t"), call("close_client", "a")],
)
class TubeOutlivesItsUser(Machine):
    """A close does not take back the client's use of a tube."""

    __slots__ = ()

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        if client is not None and accepts(self, self.clock if now is None else now):
            client.uses = None
        super().close_client(client_id, now=now)


@exhibit(
    "J55",
    "a tube that is watched twice counts twice",
    clauses="S30 S6",
    calls=[call("watch_tube", "a", "t"), call("watch_tube", "a", "t")],
)
class WatchedTwice(Machine):
    """A watch of a tube that the client watches already counts once more."""

    __slots__ = ()

    def watch_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        again = client is not None and tube in client.watches
        super().watch_tube(client_id, tube, now=now)
        self._state.tubes[tube].watching += again


@exhibit(
    "J56",
    "the last watched tube can be ignored",
    clauses="S30",
    calls=[call("watch_tube", "a", "t"), call("ignore_tube", "a", "t")],
)
class LastTubeIgnored(Machine):
    """An ignore of a client's only watched tube is accepted, and leaves the list as it is."""

    __slots__ = ()

    def ignore_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        client = client_of(self, client_id)
        if client is None or list(client.watches) != [tube] or not accepts(self, self.clock if now is None else now):
            super().ignore_tube(client_id, tube, now=now)


@exhibit(
    "J57",
    "a second pause does not replace the first",
    clauses="SPEC 3 pause_tube",
    calls=[call("pause_tube", 0, "default", 2), call("pause_tube", 0, "default", 1)],
)
class FirstPauseWins(Machine):
    """A pause of a paused tube that would end sooner leaves the end where it was."""

    __slots__ = ()

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        home = tube_of(self, tube)
        before = None if home is None else home.pause_ends_at
        super().pause_tube(now, tube, seconds)
        if home is not None and before is not None and before > (home.pause_ends_at or 0):
            self._state.start_pause(home, seconds, before)


@exhibit(
    "J58",
    "pause 0 lets an append take a job before the tick",
    clauses="SPEC 3 pause_tube",
    calls=[call("pause_tube", 0, "default", 0)],
)
class PauseZeroEndsAtOnce(Machine):
    """A pause of 0 seconds is over when the call returns."""

    __slots__ = ()

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        super().pause_tube(now, tube, seconds)
        if not seconds:
            self._state.end_pause(self._state.tubes[tube])
