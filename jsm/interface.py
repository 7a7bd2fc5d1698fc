"""The interface of the job state machine: the seed's operations as methods, and the ones beyond it.

Every `now` and `…_at` is an integer in the machine's time units (`units_per_second`), every `…_seconds` whole
seconds. Any accepted call advances the clock to its `now`; left out, `now` is the clock. A refused call raises
a `jsm.errors.JsmError` and changes nothing but the `cmd-*` counter of a command that was understood. Every
call may raise `StoppedError`, `TimeBackwardsError` and `BadValueError`, so the docstrings name the others only.

Complexities: n jobs in the tube or machine, w watched tubes.

Source: SPEC sections 3 to 5, after the Go package whose interface the seed documents, and beanstalkd's
`doc/protocol.txt`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.reservations import ClientResvEntry, Reservation
from jsm.statistics import ProcessValue


class ClientStates(NamedTuple):
    """A partition of client ids, each part in the order in which they were asked for."""

    waiting: list[ClientID]
    not_waiting: list[ClientID]
    unknown: list[ClientID]  # never seen, or closed


class JSM(Protocol):
    """A job state machine."""

    @property
    def clock(self) -> int:
        """The instant of the last accepted call, in time units; 0 at first."""

    @property
    def units_per_second(self) -> int:
        """Time units a second, fixed when the machine is made."""

    @property
    def max_job_size(self) -> int:
        """The greatest length of a body, in bytes."""

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        """Make a job, ready or (with a delay) delayed, and return its id. O(log n)."""

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """Remove a job: ready, delayed, buried for anyone, reserved for its owner. O(log n).

        Raises `UnknownJobError`, `NotOwnerError`.
        """

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """Put the owner's reserved job back to ready, priority and delay unchanged. O(log n).

        Raises `UnknownJobError`, `IllegalTransitionError`, `NotOwnerError`.
        """

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        """Put the owner's reserved job back to ready or delayed with a new priority and delay. O(log n).

        Raises `UnknownJobError`, `IllegalTransitionError`, `NotOwnerError`.
        """

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        """Start the ttr of the owner's reserved job again: it expires at `now` + ttr. O(log n).

        Raises `UnknownJobError`, `IllegalTransitionError`, `NotOwnerError`.
        """

    def bury(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int) -> None:
        """Bury the owner's reserved job with a new priority. O(log n).

        Raises `UnknownJobError`, `IllegalTransitionError`, `NotOwnerError`.
        """

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        """Make one buried or delayed job ready; priority and delay unchanged. O(log n).

        Raises `UnknownJobError`, `IllegalTransitionError`.
        """

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        """Make at most `n` jobs of a tube ready and return how many. O(log n) a job.

        Buried jobs, the one buried first first; only if the tube holds none, delayed jobs, the soonest first.
        0 for an unknown tube.
        """

    def peek_ready_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """The ready job with the lowest (priority, id). O(1). Raises `NoJobInStateError`, `UnknownTubeError`."""

    def peek_delayed_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """The delayed job with the lowest (ready instant, id). O(1). Raises as `peek_ready_job`."""

    def peek_buried_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """The job that was buried first. O(1). Raises as `peek_ready_job`."""

    def get_job(self, job_id: JobID, *, now: int | None = None) -> JobView:
        """The job, as a copy that nothing can change. O(1). Raises `UnknownJobError`."""

    def append_reservation(
        self,
        now: int,
        client_id: ClientID,
        *,
        request_id: str,
        tubes: Iterable[TubeName],
        deadline_at: int | None,
    ) -> Reservation:
        """Ask for the best ready job of the watched, unpaused tubes: the lowest (priority, id) of all. O(w + log n).

        The answer is `MATCHED`; else `DEADLINE_SOON` when the client holds a job that expires within a second;
        else `TIMEOUT` when the deadline is `now`; else `QUEUED`, and a later tick answers exactly once. A
        deadline of None waits for ever. Clients that asked earlier are served first, and their answers are owed
        to the next tick.

        Raises `ClientIsWaitingError`, `InvalidReservationTimeoutError` (a deadline before `now`).
        """

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        """Reserve one job by its id out of ready, delayed or buried, whatever a watch list or pause says. O(log n).

        Allowed while the client waits. Raises `UnknownJobError`, `NoReservationFoundError` (reserved already).
        """

    def cancel_reservation(self, client_id: ClientID, *, now: int | None = None) -> None:
        """End the client's wait without a job; no effect when it doesn't wait or is unknown. O(w).

        Raises `ClientIsWaitingError` while the client is owed an answer.
        """

    def tick(self, now: int) -> list[Reservation]:
        """Do everything that is due at `now` and return the answers to clients. O(log n) a job that moves.

        In this order: delays and pauses end; ttrs expire; waiting clients are matched with ready jobs; of those
        still waiting, holders of a job that expires within a second get `DEADLINE_SOON`, then those past their
        deadline `TIMEOUT`. A second tick with no call between does nothing.
        """

    def next_tick_at(self) -> int | None:
        """The next instant at which a tick would do something, never before the clock; None: never. O(1) amortised."""

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        """Match no job of the tube until `now` + `seconds`; replaces a running pause. O(log n).

        0 ends the pause at the tick that is then due. Raises `UnknownTubeError`.
        """

    def use_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """Move the client's use reference to the tube, which exists from then on. O(1)."""

    def watch_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """Add the tube to the client's watch references; no effect when it is there. O(1)."""

    def ignore_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """Drop the tube from the client's watch references; no effect when it is not there. O(1).

        Raises `LastWatchedTubeError`.
        """

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        """Forget a client: its wait ends, its reserved jobs become ready, its references go. O(log n) a job.

        An answer that it is owed is dropped. An unknown client has no effect.
        """

    def check_client_state(self, client_ids: Iterable[ClientID], *, now: int | None = None) -> ClientStates:
        """Which of the clients wait for a reservation, which don't, which are unknown. O(1) a client."""

    def get_tubes(self, *, now: int | None = None) -> list[TubeName]:
        """The names of all tubes in order of creation, `default` first. O(tubes)."""

    def get_stats_job_as_yaml(self, now: int, job_id: JobID) -> bytes:
        """The body of beanstalkd's answer to `stats-job`. O(1). Raises `UnknownJobError`."""

    def get_stats_tube_as_yaml(self, now: int, tube: TubeName) -> bytes:
        """The body of beanstalkd's answer to `stats-tube`. O(1). Raises `UnknownTubeError`."""

    def get_stats_as_yaml(self, now: int, process: Mapping[str, ProcessValue] | None = None) -> bytes:
        """The body of beanstalkd's answer to `stats`. O(1).

        `process` gives what the machine can't know (connections, pid, journal …; `jsm.statistics.PROCESS_KEYS`).
        """

    def count_command(self, name: str) -> None:
        """Count a command that the machine can't see (such as `list-tubes`) in the `cmd-*` statistics. O(1)."""

    def snapshot(self) -> "JSMSnapshot":
        """A handle to read the machine's whole state out and to restore it from such a reading. O(1)."""

    def stop(self) -> None:
        """Refuse every later call with `StoppedError`."""


@dataclass(frozen=True, slots=True)
class TubeEntry:
    """A tube as a snapshot's header carries it; its jobs and clients are in the streams."""

    name: TubeName
    pause_seconds: int = 0  # as asked for; 0 when not paused
    pause_ends_at: int | None = None  # in time units; None: not paused
    total_jobs: int = 0
    deletes: int = 0
    pauses: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """What of a machine is neither a job nor a client."""

    units_per_second: int
    max_job_size: int
    clock: int
    next_job_id: int
    record_seq: int
    next_bury_number: int
    total_jobs: int
    job_timeouts: int
    commands: Mapping[str, int]  # by name without "cmd-", in the order of `stats`
    tubes: tuple[TubeEntry, ...]  # in order of creation
    jobs: int  # how many entries the stream of jobs has
    clients: int  # how many entries the stream of clients has


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as a snapshot carries it: the view and its place in the order of burials (0: not buried)."""

    job: JobView
    bury_number: int = 0


class JSMSnapshot(Protocol):
    """Reads a machine's whole state out and restores it; the two sides may belong to different machines.

    Reading: `header`, `snapshot_jobs`, `snapshot_clients`. Streams are lazy; a change of the machine while one is
    open makes its next step raise `SnapshotChangedError`. Restoring: `restore_header`, `restore_jobs`,
    `restore_clients`, then `finalize_restore`, which alone replaces the machine's state, at once or not at all.
    """

    def header(self) -> SnapshotHeader:
        """What is neither a job nor a client. O(tubes)."""

    def snapshot_jobs(self) -> Iterator[JobRecord]:
        """All jobs, by id. O(1) a step."""

    def snapshot_clients(self) -> Iterator[ClientResvEntry]:
        """All clients: the owed in order of their answers, the waiting in order of asking, then the others."""

    def restore_header(self, header: SnapshotHeader) -> None:
        """Offer the header; it comes first. Raises `SnapshotError` when it can't be one."""

    def restore_jobs(self, jobs: Iterable[JobRecord]) -> None:
        """Offer jobs, by id, in one call or several. Raises `SnapshotError` at a bad entry."""

    def restore_clients(self, clients: Iterable[ClientResvEntry]) -> None:
        """Offer clients, in the stream's order, in one call or several. Raises `SnapshotError` at a bad entry."""

    def cancel_restore(self) -> None:
        """Drop what was offered; a restore that is being fed raises `CancelledError` at its next step."""

    def finalize_restore(self) -> None:
        """Replace the machine's state by what was offered, at once or (raising `SnapshotError`) not at all."""
