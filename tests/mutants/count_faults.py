"""Faults of what nothing else depends on: counters, and what a restore loses of the past."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from jsm.errors import UnknownJobError
from jsm.interface import JobRecord, SnapshotHeader
from jsm.job import ClientID, JobID, TubeName
from jsm.limits import URGENT_PRIORITY_LIMIT
from jsm.machine import Machine
from jsm.reservations import ClientResvEntry
from jsm.snapshot import MachineSnapshot
from tests.mutants.exhibit import RELOAD, bury, call, exhibit, put, take, tick
from tests.mutants.planting import Spoilt, tube_of


@exhibit(
    "J80",
    "a job of priority 1024 is urgent",
    clauses="S6",
    calls=[put(pri=URGENT_PRIORITY_LIMIT)],
)
class UrgentAtTheLimit(Machine):
    """A put of a ready job counts it as urgent when its priority is the limit, too."""

    __slots__ = ()

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        job_id = super().put(
            now, priority=priority, delay_seconds=delay_seconds, ttr_seconds=ttr_seconds, body=body, tube=tube
        )
        if priority == URGENT_PRIORITY_LIMIT and not delay_seconds:
            self._state.urgent += 1
            self._state.jobs[job_id].tube.urgent += 1
        return job_id


@exhibit(
    "J81",
    "a pause of 0 seconds is not counted",
    clauses="SPEC 7",
    calls=[call("pause_tube", 0, "default", 0)],
)
class PauseZeroNotCounted(Machine):
    """A pause counts in its tube when it has a length."""

    __slots__ = ()

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        super().pause_tube(now, tube, seconds)
        if not seconds:
            self._state.tubes[tube].pauses -= 1


@exhibit(
    "J82",
    "a delete that finds no job is not counted",
    clauses="SPEC 7",
    calls=[call("delete", 1, "a")],
)
class MissingDeleteNotCounted(Machine):
    """A delete counts as a command when there is such a job."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        try:
            super().delete(job_id, client_id, now=now)
        except UnknownJobError:
            self._state.commands["delete"] -= 1
            raise


@exhibit(
    "J83",
    "a tube's deletes count jobs that were reserved only",
    clauses="SPEC 7",
    calls=[put(), call("delete", 1, "a")],
)
class ReadyDeleteNotCounted(Machine):
    """A delete counts in its tube when the job was reserved."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = self._state.jobs.get(job_id) if type(job_id) is int else None
        owner = None if job is None else job.owner
        super().delete(job_id, client_id, now=now)
        if job is not None and owner is None:
            job.tube.deletes -= 1


@exhibit(
    "J84",
    "transitions are numbered anew after a restore",
    clauses="S27 SPEC 8",
    calls=[put(), RELOAD],
)
class NumbersStartAnew(Spoilt):
    """A restore forgets how many transitions there were."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no number of the last record."""

        __slots__ = ()

        def restore_header(self, header: SnapshotHeader) -> None:
            super().restore_header(replace(header, record_seq=0))


@exhibit(
    "J85",
    "commands are counted anew after a restore",
    clauses="S6 S27",
    calls=[put(), RELOAD],
)
class CommandsStartAnew(Spoilt):
    """A restore forgets which commands there were."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no count of commands."""

        __slots__ = ()

        def restore_header(self, header: SnapshotHeader) -> None:
            super().restore_header(replace(header, commands=dict.fromkeys(header.commands, 0)))


@exhibit(
    "J86",
    "a tube's commands are counted anew after a restore",
    clauses="S6 S27",
    calls=[call("pause_tube", 0, "default", 0), RELOAD],
)
class TubesStartAnew(Spoilt):
    """A restore forgets how often each tube was paused, and how many of its jobs were deleted."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no deletes and no pauses."""

        __slots__ = ()

        def restore_header(self, header: SnapshotHeader) -> None:
            tubes = tuple(replace(tube, deletes=0, pauses=0) for tube in header.tubes)
            super().restore_header(replace(header, tubes=tubes))


@exhibit(
    "J87",
    "the instant of a burial is lost in a restore",
    clauses="S27",
    calls=[put(), take(0, 1, "a"), bury(1, 1, "a"), RELOAD],
)
class BurialsWithoutInstant(Spoilt):
    """A restore lets all jobs have been buried at instant 0."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no instant of a burial."""

        __slots__ = ()

        def restore_jobs(self, jobs: Iterable[JobRecord]) -> None:
            super().restore_jobs(replace(record, job=record.job._replace(buried_at=0)) for record in jobs)


@exhibit(
    "J88",
    "a job is younger after a restore",
    clauses="S27",
    calls=[put(), tick(1), RELOAD],
)
class BornAtTheRestore(Spoilt):
    """A restore takes its own instant for that of each put."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no instant of a put."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            state = self._machine._state
            for job in state.jobs.values():
                job.created_at = state.clock


@exhibit(
    "J89",
    "a pause that was running begins anew with a restore",
    clauses="S27 SPEC 8",
    calls=[call("pause_tube", 0, "default", 2), tick(1), RELOAD],
)
class PauseBeginsAnew(Spoilt):
    """A restore pauses a tube for the seconds that were asked for, from its own instant on."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores the length of a pause, not its end."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            state = self._machine._state
            for tube in list(state.paused.values()):
                seconds = tube.pause_seconds
                state.start_pause(tube, seconds, state.clock + seconds * state.units_per_second)


@exhibit(
    "J90",
    "a watch list is sorted in a snapshot",
    clauses="S27",
    calls=[call("watch_tube", "a", "t"), call("watch_tube", "a", "default")],
)
class WatchListSorted(Spoilt):
    """A snapshot has the watched tubes in the order of their names."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """With watch lists in order of names."""

        __slots__ = ()

        def snapshot_clients(self) -> Iterator[ClientResvEntry]:
            return (replace(entry, watches=tuple(sorted(entry.watches))) for entry in super().snapshot_clients())


@exhibit(
    "J91",
    "kick of a tube that is not there kicks jobs of another",
    clauses="S13 SPEC 3",
    calls=[put(delay=1), call("kick_n", "t", 1)],
)
class KickOfAnotherTube(Machine):
    """A kick of a tube that does not exist is one of `default`."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        return super().kick_n(tube if tube_of(self, tube) is not None else TubeName("default"), n, now=now)


@exhibit(
    "J92",
    "kick 0 kicks a job",
    clauses="S13",
    calls=[put(delay=1), call("kick_n", "default", 0)],
)
class KickZeroKicksOne(Machine):
    """A kick of no job is one of one job."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        return super().kick_n(tube, 1 if n == 0 else n, now=now)
