"""The job state machine in memory: `jsm.interface.JSM` over one `State`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jsm._heap import ID_BITS, ID_MASK
from jsm._job import Job
from jsm._state import State
from jsm.errors import (
    BadValueError,
    BodyTooBigError,
    ClientIsWaitingError,
    IllegalTransitionError,
    InvalidReservationTimeoutError,
    LastWatchedTubeError,
    NoJobInStateError,
    NoReservationFoundError,
    NotOwnerError,
    StoppedError,
    TimeBackwardsError,
    UnknownJobError,
    UnknownTubeError,
)
from jsm.interface import ClientStates
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.limits import (
    MAX_JOB_SIZE,
    TTR_SECONDS_MIN,
    check_body,
    check_client_id,
    check_job_and_client,
    check_job_id,
    check_priority,
    check_put_numbers,
    check_seconds,
    check_tube_name,
    check_watch_list,
)
from jsm.reservations import Reservation, ReservationStatus
from jsm.snapshot import MachineSnapshot
from jsm.states import BURIED, DELAYED, LIVE_STATES, READY, RESERVED, JobState, Trigger
from jsm.statistics import (
    COMMAND_NAMES,
    MachineStatistics,
    ProcessValue,
    TubeStatistics,
    format_stats,
    format_stats_job,
    format_stats_tube,
)
from jsm.transitions import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jsm._tube import Tube
    from jsm.records import TransitionObserver

# Members of an enum as plain names, where a job's common path uses them (see `jsm.states.READY`).
_PUT, _RESERVE, _DELETE = Trigger.PUT, Trigger.RESERVE, Trigger.DELETE
_QUEUED, _DEADLINE_SOON, _TIMEOUT = (
    ReservationStatus.QUEUED,
    ReservationStatus.DEADLINE_SOON,
    ReservationStatus.TIMEOUT,
)

_NO_JOB = JobID(0)
_answer = tuple.__new__  # half the price of calling a named tuple's class


class Machine:
    """A job state machine: deterministic, with no clock, randomness, input or output of its own.

    `jsm.interface.JSM` documents the operations. Each first checks everything that it could be refused for, in
    the order of `jsm.errors.Refusal`, then sets the clock, then changes the state.

    An `observer` receives every transition; one that wants the calls too is attached with
    `jsm.observed.ObservedMachine`. Without one, records are not made.
    """

    __slots__ = ("_state", "_stopped")

    def __init__(
        self,
        *,
        units_per_second: int = 1,
        max_job_size: int = MAX_JOB_SIZE,
        observer: TransitionObserver | None = None,
    ) -> None:
        if type(units_per_second) is not int or units_per_second < 1:
            raise BadValueError("units_per_second", units_per_second, "an integer of at least 1")
        if type(max_job_size) is not int or max_job_size < 0:
            raise BadValueError("max_job_size", max_job_size, "a number of bytes of at least 0")
        self._state = State(units_per_second, max_job_size, observer)
        self._stopped = False

    @property
    def clock(self) -> int:
        """The instant of the last accepted call, in time units; 0 at first."""
        return self._state.clock

    @property
    def units_per_second(self) -> int:
        """Time units a second."""
        return self._state.units_per_second

    @property
    def max_job_size(self) -> int:
        """The greatest length of a body, in bytes."""
        return self._state.max_job_size

    @property
    def record_seq(self) -> int:
        """The number of the last transition; 0 before the first."""
        return self._state.seq

    def count_jobs(self, tube: TubeName | None = None) -> dict[JobState, int]:
        """How many jobs, of all or of one tube, are in each state of a live job. O(1).

        An internal look: counts as no command. A tube that doesn't exist holds none.
        """
        state = self._state
        counts = (state.ready, len(state.delays), len(state.expiries), state.buried)
        if tube is not None:
            home = state.tubes.get(tube)
            counts = (0, 0, 0, 0)
            if home is not None:
                counts = (len(home.ready), len(home.delayed), home.reserved, len(home.buried))
        return dict(zip(LIVE_STATES, counts, strict=True))

    # ------------------------------------------------------------------ jobs

    def put(
        self,
        now: int,
        *,
        priority: int,
        delay_seconds: int,
        ttr_seconds: int,
        body: bytes,
        tube: TubeName,
    ) -> JobID:
        """Make a job; see `jsm.interface.JSM.put`."""
        state = self._state
        if self._stopped or type(now) is not int or now < state.clock:
            self._check_now(now)
        check_put_numbers(priority, delay_seconds, ttr_seconds)
        home = state.tubes.get(tube) if type(tube) is str else None
        if home is None:
            check_tube_name(tube)
        if type(body) is not bytes or len(body) > state.max_job_size:
            body = self._checked_body(body)
        state.commands["put"] += 1
        state.clock = now
        state.changes += 1
        if home is None:
            home = state.tube_named(tube)
        job_id = state.next_job_id
        state.next_job_id = job_id + 1  # type: ignore[assignment]  # JobID(…) would be a call
        state.total_jobs += 1
        home.total_jobs += 1
        job = state.jobs[job_id] = Job(job_id, home, body, priority, delay_seconds, ttr_seconds or TTR_SECONDS_MIN, now)
        if delay_seconds:
            state.move(job, Trigger.PUT_DELAYED, due=now + delay_seconds * state.units_per_second)
        else:
            state.move(job, _PUT)
        return job_id

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """Remove a job; see `jsm.interface.JSM.delete`."""
        state = self._state
        if now is None:
            now = state.clock
        if self._stopped or type(now) is not int or now < state.clock:
            self._check_now(now)
        if type(job_id) is not int or type(client_id) is not str or not client_id:
            check_job_and_client(job_id, client_id)
        state.commands["delete"] += 1
        job = state.jobs.get(job_id)
        if job is None:
            raise UnknownJobError(job_id)
        if job.owner is not None and job.owner.id != client_id:
            raise NotOwnerError(job_id, client_id)
        state.clock = now
        state.changes += 1
        tube = job.tube
        tube.deletes += 1
        state.move(job, _DELETE, client_id)
        if not (tube.watching or tube.using):
            state.drop_if_unused(tube)

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """Put a reserved job back to ready; see `jsm.interface.JSM.release`."""
        now = self._instant(now)
        check_job_and_client(job_id, client_id)
        self._state.commands["release"] += 1
        job = self._own_job(job_id, client_id, Trigger.RELEASE)
        self._set_clock(now)
        job.releases += 1
        self._state.move(job, Trigger.RELEASE, client_id)

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        """Put a reserved job back with a new priority and delay; see `jsm.interface.JSM.release_with`."""
        self._check_now(now)
        check_priority(priority)
        check_seconds("delay_seconds", delay_seconds)
        check_job_and_client(job_id, client_id)
        state = self._state
        state.commands["release"] += 1
        trigger = Trigger.RELEASE_DELAYED if delay_seconds else Trigger.RELEASE
        job = self._own_job(job_id, client_id, trigger)
        self._set_clock(now)
        job.releases += 1
        job.priority = priority
        job.delay_seconds = delay_seconds
        state.move(job, trigger, client_id, now + delay_seconds * state.units_per_second)

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        """Start a reserved job's ttr again; see `jsm.interface.JSM.touch`."""
        self._check_now(now)
        check_job_and_client(job_id, client_id)
        state = self._state
        state.commands["touch"] += 1
        job = self._own_job(job_id, client_id, Trigger.TOUCH)
        self._set_clock(now)
        state.move(job, Trigger.TOUCH, client_id, now + job.ttr_seconds * state.units_per_second)

    def bury(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int) -> None:
        """Bury a reserved job; see `jsm.interface.JSM.bury`."""
        self._check_now(now)
        check_priority(priority)
        check_job_and_client(job_id, client_id)
        self._state.commands["bury"] += 1
        job = self._own_job(job_id, client_id, Trigger.BURY)
        self._set_clock(now)
        job.buries += 1
        job.priority = priority
        self._state.move(job, Trigger.BURY, client_id)

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        """Make a buried or delayed job ready; see `jsm.interface.JSM.kick`."""
        now = self._instant(now)
        check_job_id(job_id)
        job = self._job(job_id)
        _check_cell(job, Trigger.KICK)
        self._set_clock(now)
        self._kick(job)

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        """Make at most n jobs of a tube ready; see `jsm.interface.JSM.kick_n`."""
        now = self._instant(now)
        check_tube_name(tube)
        if type(n) is not int or n < 0:
            raise BadValueError("n", n, "an integer of at least 0")
        state = self._state
        state.commands["kick"] += 1
        self._set_clock(now)
        home = state.tubes.get(tube)
        if home is None:
            return 0
        kicked = 0
        heap = home.buried if home.buried.keys else home.delayed
        while heap.keys and kicked < n:
            self._kick(state.jobs[heap.keys[0] & ID_MASK])
            kicked += 1
        return kicked

    def peek_ready_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """The tube's next ready job; see `jsm.interface.JSM.peek_ready_job`."""
        return self._peek(tube, "peek-ready", now, READY)

    def peek_delayed_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """The tube's next delayed job; see `jsm.interface.JSM.peek_delayed_job`."""
        return self._peek(tube, "peek-delayed", now, DELAYED)

    def peek_buried_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """The tube's job that was buried first; see `jsm.interface.JSM.peek_buried_job`."""
        return self._peek(tube, "peek-buried", now, BURIED)

    def get_job(self, job_id: JobID, *, now: int | None = None) -> JobView:
        """A copy of the job; see `jsm.interface.JSM.get_job`."""
        now = self._instant(now)
        check_job_id(job_id)
        self._state.commands["peek"] += 1
        job = self._job(job_id)
        self._set_clock_to_look(now)
        return job.view()

    # ------------------------------------------------------------------ reserving

    def append_reservation(
        self,
        now: int,
        client_id: ClientID,
        *,
        request_id: str,
        tubes: Iterable[TubeName],
        deadline_at: int | None,
    ) -> Reservation:
        """Ask for a job; see `jsm.interface.JSM.append_reservation`."""
        state = self._state
        if self._stopped or type(now) is not int or now < state.clock:
            self._check_now(now)
        names = check_watch_list(tubes)
        if type(request_id) is not str:
            raise BadValueError("request_id", request_id, "a string")
        if deadline_at is not None:
            if type(deadline_at) is not int:
                raise BadValueError("deadline_at", deadline_at, "an instant in time units, or None")
            if deadline_at < now:
                raise InvalidReservationTimeoutError("deadline_at", deadline_at, f"now = {now} or later")
        if type(client_id) is not str or not client_id:
            check_client_id(client_id)
        state.commands["reserve" if deadline_at is None else "reserve-with-timeout"] += 1
        client = state.clients.get(client_id)
        if client is not None and (client.ask or client_id in state.owed):
            raise ClientIsWaitingError(client_id, "waits for a reservation, or is owed an answer, already")
        state.clock = now
        state.changes += 1
        if state.matchable:
            # Nobody overtakes who asked before: they own their jobs from here, the next tick tells them.
            for answer in state.match():
                state.owed[answer.client_id] = answer
        if client is None:
            client = state.client_named(client_id)
        job = state.best_ready(names)
        if job is not None:
            return state.reserve(job, client, _RESERVE, request_id)
        held = client.held.keys
        if held and (held[0] >> ID_BITS) - now <= state.units_per_second:
            return Reservation(request_id, client_id, _DEADLINE_SOON)
        if deadline_at == now:
            return Reservation(request_id, client_id, _TIMEOUT)
        state.start_wait(client, request_id, names, deadline_at)
        return _answer(Reservation, (request_id, client_id, _QUEUED, _NO_JOB, b"", None))

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        """Reserve a job by its id; see `jsm.interface.JSM.reserve_job`."""
        self._check_now(now)
        if type(request_id) is not str:
            raise BadValueError("request_id", request_id, "a string")
        check_job_and_client(job_id, client_id)
        job = self._job(job_id)
        if job.state is RESERVED:
            raise NoReservationFoundError(job_id)
        self._set_clock(now)
        client = self._state.client_named(client_id)
        return self._state.reserve(job, client, Trigger.RESERVE_JOB, request_id)

    def cancel_reservation(self, client_id: ClientID, *, now: int | None = None) -> None:
        """End a wait without a job; see `jsm.interface.JSM.cancel_reservation`."""
        now = self._instant(now)
        check_client_id(client_id)
        state = self._state
        if client_id in state.owed:
            raise ClientIsWaitingError(client_id, "is owed an answer; the next tick hands it out")
        self._set_clock(now)
        client = state.clients.get(client_id)
        if client is not None and client.ask:
            state.end_wait(client)

    def tick(self, now: int) -> list[Reservation]:
        """Do everything that is due; see `jsm.interface.JSM.tick`."""
        state = self._state
        if self._stopped or type(now) is not int or now < state.clock:
            self._check_now(now)
        state.clock = now
        state.changes += 1
        answers: list[Reservation] = []
        if state.owed:
            answers += state.owed.values()
            state.owed.clear()
        due_below = (now + 1) << ID_BITS  # keys below it have an instant <= now
        if state.delays.keys and state.delays.keys[0] < due_below:
            state.end_delays(due_below)
        if state.pause_ends.keys and state.pause_ends.keys[0] < due_below:
            state.end_pauses(due_below)
        if state.expiries.keys and state.expiries.keys[0] < due_below:
            state.expire(due_below)
        if state.matchable:
            answers += state.match()
        if state.margins.keys and state.margins.keys[0] < due_below + state.margin_key:
            answers += state.answer_waiters(state.margins, due_below + state.margin_key, _DEADLINE_SOON)
        if state.wait_deadlines.keys and state.wait_deadlines.keys[0] < due_below:
            answers += state.answer_waiters(state.wait_deadlines, due_below, _TIMEOUT)
        return answers

    def next_tick_at(self) -> int | None:
        """When a tick would next do something; see `jsm.interface.JSM.next_tick_at`."""
        if self._stopped:
            raise StoppedError
        state = self._state
        if state.matchable or state.owed:
            return state.clock
        soonest = None
        keys = state.expiries.keys
        if keys:
            soonest = keys[0]
        keys = state.delays.keys
        if keys and (soonest is None or keys[0] < soonest):
            soonest = keys[0]
        keys = state.wait_deadlines.keys
        if keys and (soonest is None or keys[0] < soonest):
            soonest = keys[0]
        keys = state.pause_ends.keys
        if keys and (soonest is None or keys[0] < soonest):
            soonest = keys[0]
        keys = state.margins.keys
        if keys and (soonest is None or keys[0] - state.margin_key < soonest):
            soonest = keys[0] - state.margin_key
        if soonest is None:
            return None
        due = soonest >> ID_BITS
        return due if due > state.clock else state.clock

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        """Match no job of a tube for a while; see `jsm.interface.JSM.pause_tube`."""
        self._check_now(now)
        check_tube_name(tube)
        check_seconds("seconds", seconds)
        state = self._state
        state.commands["pause-tube"] += 1
        home = self._tube(tube)
        self._set_clock(now)
        home.pauses += 1
        state.start_pause(home, seconds, now + seconds * state.units_per_second)

    # ------------------------------------------------------------------ clients

    def use_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """Move a client's use reference; see `jsm.interface.JSM.use_tube`."""
        now = self._instant(now)
        check_tube_name(tube)
        check_client_id(client_id)
        state = self._state
        state.commands["use"] += 1
        self._set_clock(now)
        client = state.client_named(client_id)
        used, client.uses = client.uses, state.tube_named(tube)
        client.uses.using += 1
        if used is not None:
            used.using -= 1
            state.drop_if_unused(used)

    def watch_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """Add a watch reference; see `jsm.interface.JSM.watch_tube`."""
        now = self._instant(now)
        check_tube_name(tube)
        check_client_id(client_id)
        state = self._state
        state.commands["watch"] += 1
        self._set_clock(now)
        client = state.client_named(client_id)
        if tube not in client.watches:
            watched = client.watches[tube] = state.tube_named(tube)
            watched.watching += 1

    def ignore_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """Drop a watch reference; see `jsm.interface.JSM.ignore_tube`."""
        now = self._instant(now)
        check_tube_name(tube)
        check_client_id(client_id)
        state = self._state
        state.commands["ignore"] += 1
        client = state.clients.get(client_id)
        watched = None if client is None else client.watches.get(tube)
        if client is not None and watched is not None and len(client.watches) == 1:
            raise LastWatchedTubeError("tube", tube, "a tube that is not the client's only watched one")
        self._set_clock(now)
        if client is not None and watched is not None:
            del client.watches[tube]
            watched.watching -= 1
            state.drop_if_unused(watched)

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        """Forget a client; see `jsm.interface.JSM.close_client`."""
        now = self._instant(now)
        check_client_id(client_id)
        state = self._state
        self._set_clock(now)
        client = state.clients.get(client_id)
        if client is None:
            return
        state.owed.pop(client_id, None)
        if client.ask:
            state.end_wait(client)
        for job_id in sorted(key & ID_MASK for key in client.held):
            state.move(state.jobs[job_id], Trigger.CLOSE, client_id)
        del state.clients[client_id]
        for tube in client.watches.values():
            tube.watching -= 1
            state.drop_if_unused(tube)
        if client.uses is not None:
            client.uses.using -= 1
            state.drop_if_unused(client.uses)

    def check_client_state(self, client_ids: Iterable[ClientID], *, now: int | None = None) -> ClientStates:
        """Partition client ids; see `jsm.interface.JSM.check_client_state`."""
        now = self._instant(now)
        if isinstance(client_ids, str) or not isinstance(client_ids, Iterable):
            raise BadValueError("client_ids", client_ids, "a sequence of client ids")
        states = ClientStates([], [], [])
        for client_id in client_ids:
            check_client_id(client_id)
            client = self._state.clients.get(client_id)
            if client is None:
                states.unknown.append(client_id)
            elif client.ask:
                states.waiting.append(client_id)
            else:
                states.not_waiting.append(client_id)
        self._set_clock_to_look(now)
        return states

    # ------------------------------------------------------------------ looks

    def get_tubes(self, *, now: int | None = None) -> list[TubeName]:
        """All tubes' names in order of creation; see `jsm.interface.JSM.get_tubes`."""
        self._set_clock_to_look(self._instant(now))
        return list(self._state.tubes)

    def get_stats_job_as_yaml(self, now: int, job_id: JobID) -> bytes:
        """The answer to `stats-job`; see `jsm.interface.JSM.get_stats_job_as_yaml`."""
        self._check_now(now)
        check_job_id(job_id)
        self._state.commands["stats-job"] += 1
        job = self._job(job_id)
        self._set_clock_to_look(now)
        return format_stats_job(now, job.view(), self._state.units_per_second)

    def get_stats_tube_as_yaml(self, now: int, tube: TubeName) -> bytes:
        """The answer to `stats-tube`; see `jsm.interface.JSM.get_stats_tube_as_yaml`."""
        self._check_now(now)
        check_tube_name(tube)
        self._state.commands["stats-tube"] += 1
        home = self._tube(tube)
        self._set_clock_to_look(now)
        statistics = TubeStatistics(
            name=home.name,
            urgent=home.urgent,
            ready=len(home.ready),
            reserved=home.reserved,
            delayed=len(home.delayed),
            buried=len(home.buried),
            total_jobs=home.total_jobs,
            using=home.using,
            watching=home.watching,
            waiting=len(home.waiters),
            deletes=home.deletes,
            pauses=home.pauses,
            pause_seconds=home.pause_seconds,
            pause_ends_at=home.pause_ends_at,
        )
        return format_stats_tube(now, statistics, self._state.units_per_second)

    def get_stats_as_yaml(self, now: int, process: Mapping[str, ProcessValue] | None = None) -> bytes:
        """The answer to `stats`; see `jsm.interface.JSM.get_stats_as_yaml`."""
        self._check_now(now)
        state = self._state
        statistics = MachineStatistics(
            urgent=state.urgent,
            ready=state.ready,
            reserved=len(state.expiries),
            delayed=len(state.delays),
            buried=state.buried,
            commands={**state.commands, "stats": state.commands["stats"] + 1},
            job_timeouts=state.job_timeouts,
            total_jobs=state.total_jobs,
            max_job_size=state.max_job_size,
            tubes=len(state.tubes),
            waiting=len(state.waiting),
        )
        text = format_stats(statistics, process)  # refuses a bad `process` before anything changes
        state.commands["stats"] += 1
        self._set_clock_to_look(now)
        return text

    def count_command(self, name: str) -> None:
        """Count a command that the machine can't see; see `jsm.interface.JSM.count_command`."""
        if self._stopped:
            raise StoppedError
        if type(name) is not str or name not in self._state.commands:
            raise BadValueError("name", name, f"one of {', '.join(COMMAND_NAMES)}")
        self._state.commands[name] += 1

    def snapshot(self) -> MachineSnapshot:
        """A handle to read the whole state out and to restore it; see `jsm.interface.JSM.snapshot`."""
        if self._stopped:
            raise StoppedError
        return MachineSnapshot(self)

    def stop(self) -> None:
        """Refuse every later call, this one too."""
        if self._stopped:
            raise StoppedError
        self._stopped = True

    # ------------------------------------------------------------------ inside

    def _check_now(self, now: int) -> None:
        """Raise when the machine is stopped, or `now` is no instant or lies before the clock."""
        if self._stopped:
            raise StoppedError
        if type(now) is not int:
            raise BadValueError("now", now, "an instant in whole time units")
        if now < self._state.clock:
            raise TimeBackwardsError(now, self._state.clock)

    def _instant(self, now: int | None) -> int:
        """The instant of a call whose `now` may be left out; raises as `_check_now`."""
        if now is None:
            now = self._state.clock
        self._check_now(now)
        return now

    def _set_clock(self, now: int) -> None:
        """Accept a call that may change the state."""
        state = self._state
        state.clock = now
        state.changes += 1

    def _set_clock_to_look(self, now: int) -> None:
        """Accept a call that changes nothing but, perhaps, the clock."""
        if now != self._state.clock:
            self._set_clock(now)

    def _checked_body(self, body: bytes) -> bytes:
        """A copy of the body; one that is too big counts as a put, since that command was understood."""
        try:
            return check_body(body, self._state.max_job_size)
        except BodyTooBigError:
            self._state.commands["put"] += 1
            raise

    def _job(self, job_id: JobID) -> Job:
        job = self._state.jobs.get(job_id)
        if job is None:
            raise UnknownJobError(job_id)
        return job

    def _own_job(self, job_id: JobID, client_id: ClientID, trigger: Trigger) -> Job:
        """The job, if the trigger can leave its state and the client holds it."""
        job = self._job(job_id)
        _check_cell(job, trigger)
        if job.owner is None or job.owner.id != client_id:
            raise NotOwnerError(job_id, client_id)
        return job

    def _tube(self, name: TubeName) -> Tube:
        tube = self._state.tubes.get(name)
        if tube is None:
            raise UnknownTubeError(name)
        return tube

    def _peek(self, name: TubeName, command: str, now: int | None, job_state: JobState) -> JobView:
        """The tube's job that comes first in a state."""
        now = self._instant(now)
        check_tube_name(name)
        state = self._state
        state.commands[command] += 1
        tube = self._tube(name)
        heap = {READY: tube.ready, DELAYED: tube.delayed, BURIED: tube.buried}[job_state]
        if not heap.keys:
            raise NoJobInStateError(name, job_state)
        self._set_clock_to_look(now)
        return state.jobs[heap.keys[0] & ID_MASK].view()

    def _kick(self, job: Job) -> None:
        job.kicks += 1
        self._state.move(job, Trigger.KICK)


def _check_cell(job: Job, trigger: Trigger) -> None:
    if target_of(job.state, trigger) is None:
        raise IllegalTransitionError(job.id, job.state, trigger)
