"""Machines with one fault each, of kinds that an exploration could pass by: each shows only to who looks there."""

from typing import Final

from jsm._heap import ID_BITS, ID_MASK
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from jsm.snapshot import MachineSnapshot
from models.scope import Scope


class ReusesIds(Machine):
    """A put takes the id after the greatest live one."""

    __slots__ = ()

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        self._state.next_job_id = JobID(max(self._state.jobs, default=0) + 1)
        return super().put(
            now, priority=priority, delay_seconds=delay_seconds, ttr_seconds=ttr_seconds, body=body, tube=tube
        )


class TouchesFromTheLastCall(Machine):
    """A touch counts the ttr from the instant of the call before."""

    __slots__ = ()

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        before = self.clock
        super().touch(now, job_id, client_id)
        state = self._state
        job = state.jobs[job_id]
        assert job.owner is not None
        late = before + job.ttr_seconds << ID_BITS | job_id
        for heap in (state.expiries, job.owner.held):
            heap.remove(job.key)
            heap.push(late)
        job.key = late


class PausesFromTheLastCall(Machine):
    """A pause counts from the instant of the call before."""

    __slots__ = ()

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        before = self.clock
        super().pause_tube(now, tube, seconds)
        self._state.start_pause(self._state.tubes[tube], seconds, before + seconds)


class MixesBodiesUp(Machine):
    """Clients that one tick serves get one another's bodies."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        answers = super().tick(now)
        bodies = [answer.body for answer in answers if answer.status is ReservationStatus.MATCHED]
        return [a._replace(body=bodies.pop()) if a.status is ReservationStatus.MATCHED else a for a in answers]


class ForgetsTheRequest(Machine):
    """A timeout does not say which request it answers."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        answers = super().tick(now)
        return [a._replace(request_id="") if a.status is ReservationStatus.TIMEOUT else a for a in answers]


class PeeksById(Machine):
    """A peek shows the delayed job with the lowest id."""

    __slots__ = ()

    def peek_delayed_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        super().peek_delayed_job(tube, now=now)
        state = self._state
        return state.jobs[min(key & ID_MASK for key in state.tubes[tube].delayed)].view()


class MiscountsTwoBuried(Machine):
    """The statistics of a tube take two buried jobs for one."""

    __slots__ = ()

    def get_stats_tube_as_yaml(self, now: int, tube: TubeName) -> bytes:
        return super().get_stats_tube_as_yaml(now, tube).replace(b"jobs-buried: 2", b"jobs-buried: 1")


class LooksChangeWhatTheySee(Machine):
    """A look at a job that was buried before makes it urgent."""

    __slots__ = ()

    def get_job(self, job_id: JobID, *, now: int | None = None) -> JobView:
        view = super().get_job(job_id, now=now)
        job = self._state.jobs[job_id]
        job.ttr_seconds += job.owner is not None
        return view


class DelaysReleasesAgain(Machine):
    """A release of a job that was delayed once delays it again."""

    __slots__ = ()

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = self._state.jobs.get(job_id) if type(job_id) is int else None
        at = self.clock if now is None else now
        if job is None or not job.delay_seconds:
            super().release(job_id, client_id, now=now)
        else:
            self.release_with(at, job_id, client_id, priority=job.priority, delay_seconds=job.delay_seconds)


class TimesOutOnce(Machine):
    """Only the first timeout of a job counts."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        before = {job.id: job.timeouts for job in self._state.jobs.values()}
        answers = super().tick(now)
        for job in self._state.jobs.values():
            job.timeouts = min(job.timeouts, max(before[job.id], 1))
        return answers


class WakesAtRestore(Machine):
    """A restore ends all pauses."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no pause."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            state = self._machine._state
            for tube in list(state.paused.values()):
                state.end_pause(tube)

    def snapshot(self) -> MachineSnapshot:
        return self.Snapshot(self)


_ONE: Final = Scope(jobs=1, clients=1, priorities=(0,), delays=(0,), timeouts=(None, 1), keep_delays=False)
_TWO: Final = _ONE.but(jobs=2, clients=2, late=False)


def _operations(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FAULTS: Final = {
    ReusesIds: (_ONE.but(operations=_operations("put delete")), 3),
    TouchesFromTheLastCall: (_ONE.but(operations=_operations("put reserve_job touch tick")), 3),
    PausesFromTheLastCall: (_ONE.but(operations=_operations("pause_tube tick")), 1),
    MixesBodiesUp: (_TWO.but(operations=_operations("put append_reservation tick")), 5),
    ForgetsTheRequest: (_ONE.but(operations=_operations("append_reservation tick")), 2),
    PeeksById: (_TWO.but(clients=1, delays=(1, 2), operations=_operations("put tick")), 2),
    MiscountsTwoBuried: (_TWO.but(clients=1, operations=_operations("put reserve_job bury tick")), 6),
    LooksChangeWhatTheySee: (_ONE.but(operations=_operations("put reserve_job tick")), 2),
    DelaysReleasesAgain: (_ONE.but(delays=(0, 1), operations=_operations("put reserve_job release tick")), 4),
    TimesOutOnce: (_ONE.but(operations=_operations("put reserve_job tick")), 5),
    WakesAtRestore: (_ONE.but(operations=_operations("pause_tube tick reload"), pauses=(1,)), 2),
}
"""By machine: a world in which the fault shows, and in how many calls."""
