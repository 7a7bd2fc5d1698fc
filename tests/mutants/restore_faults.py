"""Faults of snapshots and restores: what is left out, and what does not wake up again."""

from collections.abc import Iterator
from dataclasses import replace

from jsm._heap import ID_BITS
from jsm.interface import JobRecord, SnapshotHeader
from jsm.job import JobID
from jsm.machine import Machine
from jsm.reservations import ClientResvEntry
from jsm.snapshot import MachineSnapshot
from jsm.states import BURIED
from tests.mutants.exhibit import RELOAD, ask, bury, call, exhibit, put, take
from tests.mutants.planting import Spoilt, everything, never_due, wait_again, waiting


@exhibit(
    "25",
    "after a restart there are more jobs than there ever were",
    source="beanstalkd #81, e50ec07",
    clauses="S6",
    calls=[put(), RELOAD],
)
class TotalsNotRestored(Spoilt):
    """A restore takes it that no job was ever put."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no count of all jobs."""

        __slots__ = ()

        def restore_header(self, header: SnapshotHeader) -> None:
            super().restore_header(replace(header, total_jobs=0))


@exhibit(
    "44a",
    "buried jobs are not persisted",
    source="beanstalkd f305a98, db7c863 (2009-2011)",
    clauses="S27",
    calls=[put(), take(0, 1, "a"), bury(0, 1, "a")],
)
class BuriedNotSaved(Spoilt):
    """A snapshot has all jobs but the buried."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Without the buried."""

        __slots__ = ()

        def header(self) -> SnapshotHeader:
            return replace(super().header(), jobs=sum(1 for _ in self.snapshot_jobs()))

        def snapshot_jobs(self) -> Iterator[JobRecord]:
            return (record for record in super().snapshot_jobs() if record.job.state is not BURIED)


@exhibit(
    "44b",
    "reserved jobs come back reserved by nobody",
    source="beanstalkd f305a98, db7c863 (2009-2011)",
    clauses="S27 S5",
    calls=[put(), take(0, 1, "a"), RELOAD],
)
class OwnersLost(Spoilt):
    """A restore leaves reserved jobs without their owner."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no owner."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            for job in self._machine._state.jobs.values():
                job.owner = None


@exhibit(
    "47",
    "after a restore delayed jobs sleep until the next delayed put",
    source="coolbeans `FinalizeRestore`",
    clauses="L2 S27",
    calls=[put(delay=1), RELOAD],
)
class DelaysSleepAfterRestore(Spoilt):
    """A restore arms no timer of a delay."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no timer of a delay."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            never_due(self._machine._state.delays, everything)


@exhibit(
    "J59",
    "a ttr that ran before a restore never ends after it",
    clauses="L1 S27",
    calls=[put(), take(0, 1, "a"), RELOAD],
)
class TtrsSleepAfterRestore(Spoilt):
    """A restore arms no timer of a ttr."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no timer of a ttr."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            never_due(self._machine._state.expiries, everything)


@exhibit(
    "J60",
    "a pause is lost in a restore",
    clauses="S27",
    calls=[call("pause_tube", 0, "default", 1), RELOAD],
)
class PauseLostInRestore(Spoilt):
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


@exhibit(
    "J61",
    "a wait's deadline is lost in a restore",
    clauses="L3 S27",
    calls=[ask(0, "a", until=1), RELOAD],
)
class DeadlinesSleepAfterRestore(Spoilt):
    """A restore arms no timer of a wait."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no timer of a wait."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            never_due(self._machine._state.wait_deadlines, everything)


@exhibit(
    "J62",
    "a restore turns the line of those who wait around",
    clauses="S27 SPEC 8",
    calls=[ask(0, "a"), ask(0, "b"), RELOAD],
)
class LineTurnedAround(Spoilt):
    """After a restore, who asked last is served first."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores the waits in the opposite order."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            machine = self._machine
            assert isinstance(machine, Machine)
            wait_again(machine, waiting(machine)[::-1])


@exhibit(
    "J63",
    "an owed answer is lost in a restore",
    clauses="S8 S27",
    calls=[ask(0, "a"), put(), ask(0, "b"), RELOAD],
)
class OwedLostInRestore(Spoilt):
    """A restore drops the answers that are owed."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no owed answer."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            self._machine._state.owed.clear()


@exhibit(
    "J64",
    "ids are used again after a restore",
    clauses="S3 S27",
    calls=[put(), call("delete", 1, "a"), RELOAD],
)
class IdsReusedAfterRestore(Spoilt):
    """A restore goes on with the id after that of the last live job."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores no id that is spent."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            state = self._machine._state
            state.next_job_id = JobID(max(state.jobs, default=0) + 1)


@exhibit(
    "J65",
    "the order of burials is lost in a restore",
    clauses="S12 S27",
    calls=[put(), put(), take(0, 1, "a"), take(0, 2, "a"), bury(0, 2, "a"), bury(0, 1, "a"), RELOAD],
)
class BurialsByIdAfterRestore(Spoilt):
    """A restore orders the buried jobs by id."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Restores the buried in order of id."""

        __slots__ = ()

        def finalize_restore(self) -> None:
            super().finalize_restore()
            buried = [job for job in self._machine._state.jobs.values() if job.state is BURIED]
            for job, number in zip(buried, sorted(job.bury_number for job in buried), strict=True):
                job.tube.buried.remove(job.key)
                job.key = number << ID_BITS | job.id
            for job in buried:
                job.tube.buried.push(job.key)


@exhibit(
    "J66",
    "a client's watch list is lost in a snapshot",
    clauses="S27 S30",
    calls=[call("watch_tube", "a", "default"), call("watch_tube", "a", "t")],
)
class WatchListNotSaved(Spoilt):
    """A snapshot has the first tube of each watch list only."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """With watch lists of one tube."""

        __slots__ = ()

        def snapshot_clients(self) -> Iterator[ClientResvEntry]:
            return (replace(entry, watches=entry.watches[:1]) for entry in super().snapshot_clients())
