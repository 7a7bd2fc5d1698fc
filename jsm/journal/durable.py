"""A machine that survives its process: each call that changes it is in a journal before it is made."""

from __future__ import annotations

from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from jsm.errors import BadValueError, InvariantViolation, JsmError
from jsm.journal.arguments import bytes_of, names_text, tuple_of
from jsm.journal.errors import JournalError
from jsm.journal.reading import ReadOnlySnapshot
from jsm.reservations import ReservationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from jsm.interface import ClientStates
    from jsm.job import ClientID, JobID, JobView, TubeName
    from jsm.journal.keeping import Keeper
    from jsm.machine import Machine
    from jsm.observed import ObservedMachine
    from jsm.reservations import Reservation
    from jsm.states import JobState
    from jsm.statistics import ProcessValue

R = TypeVar("R")

_DEADLINE_SOON, _TIMEOUT = ReservationStatus.DEADLINE_SOON, ReservationStatus.TIMEOUT


class DurableMachine:
    """The operations of `jsm.interface.JSM`, each of which may also raise `JournalError`; see `open_journal`.

    `JournalError` means that a call could not be written, and that the machine is as it was. A put is refused when
    there is no room beside the reserve, other calls when there is none at all. What only looks is passed on, and so is
    what changes nothing but statistics and the clock: refused calls, ticks without effect, reservations that are
    answered Timeout or DeadlineSoon at once.

    Whoever tells others of results calls `before_replies` first.
    """

    __slots__ = ("_keeper", "folder", "inner", "resumes_at", "warnings")

    def __init__(
        self,
        inner: Machine | ObservedMachine,
        keeper: Keeper,
        *,
        folder: Path,
        resumes_at: int,
        warnings: tuple[str, ...],
    ) -> None:
        self.inner = inner
        self._keeper = keeper
        self.folder = folder
        self.resumes_at = resumes_at
        """The instant at which a clock that follows the world's goes on: the machine's, or later by the time that
        nobody served. In time units."""
        self.warnings = warnings
        """What `open_journal` found and mended."""

    # ------------------------------------------------------------------ the journal

    def before_replies(self) -> None:
        """Make what the calls so far have changed durable, as far as the policy wants it before they are told.

        A server calls it once for all calls of a batch, before the first byte of an answer leaves, and again when
        `next_sync_in` says so. It also begins new files, and removes old ones. O(1); O(jobs + clients) now and then,
        when a snapshot is written.

        Raises `NotDurableError` when the disk fails: no answer to a call since the last `before_replies` may leave, and
        closing the connections without one is right. From then on every call that changes something is refused, until
        a later `before_replies` finds that the disk works again.
        """
        self._keeper.before_replies()

    def next_sync_in(self) -> float | None:
        """Real seconds until `before_replies` wants to be called although no call was made; None: never."""
        return self._keeper.next_sync_in()

    def keep_clock(self, now: int) -> None:
        """Let the clock go on at `now` or later after a restart. Raises `JournalError`.

        For clocks that are moved by hand: what the journal doesn't hold, a restart would go back behind. No effect
        while something is due by then, which a tick has to do.
        """
        inner = self.inner
        due = inner.next_tick_at()
        if now > inner.clock and (due is None or due > now):
            self._append(f'{{"after":{inner.record_seq},"op":"tick","args":{{"now":{now}}}', self._keeper.log.reserve)
            inner.tick(now)

    def statistics(self) -> Mapping[str, ProcessValue]:
        """The values about the journal in the answer to `stats`, by key."""
        return self._keeper.statistics()

    def compact(self) -> None:
        """Replace what was written so far by a snapshot. O(jobs + clients). Raises `JournalError`; nothing is lost."""
        self._keeper.compact()

    def close(self) -> None:
        """Force all to the disk and let go of the folder; later calls that change something are refused."""
        self._keeper.close()

    def __enter__(self) -> DurableMachine:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # ------------------------------------------------------------------ jobs

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        """See `jsm.interface.JSM.put`."""
        inner = self.inner
        if type(body) is not bytes:
            body = bytes_of(body)
        if (
            type(now) is not int
            or now < inner.clock
            or type(priority) is not int
            or type(delay_seconds) is not int
            or type(ttr_seconds) is not int
            or type(body) is not bytes
            or len(body) > inner.max_job_size
            or type(tube) is not str
        ):
            numbers = {"priority": priority, "delay_seconds": delay_seconds, "ttr_seconds": ttr_seconds}
            self._expect_refusal(inner.put, {"now": now, **numbers, "body": body, "tube": tube})
        log = self._keeper.log
        self._append(
            f'{{"after":{inner.record_seq},"op":"put","args":{{"now":{now},"priority":{priority},'
            f'"delay_seconds":{delay_seconds},"ttr_seconds":{ttr_seconds},"body":{quoted(body.decode("latin-1"))},'
            f'"tube":{quoted(tube)}}}',
            log.reserve,
        )
        try:
            job_id = inner.put(
                now,
                priority=priority,
                delay_seconds=delay_seconds,
                ttr_seconds=ttr_seconds,
                body=body,
                tube=tube,
            )
        except JsmError as error:
            self._take_back(error)
            raise
        log.jobs += 1
        return job_id

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.delete`."""
        inner = self.inner
        if now is None:
            now = inner.clock
        if type(now) is not int or now < inner.clock or type(job_id) is not int or type(client_id) is not str:
            self._expect_refusal(inner.delete, {"job_id": job_id, "client_id": client_id, "now": now})
        self._append(
            f'{{"after":{inner.record_seq},"op":"delete","args":{{"job_id":{job_id},"client_id":{quoted(client_id)},'
            f'"now":{now}}}'
        )
        try:
            inner.delete(job_id, client_id, now=now)
        except JsmError as error:
            self._take_back(error)
            raise
        self._keeper.log.jobs -= 1

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.release`."""
        self._call(self.inner.release, {"job_id": job_id, "client_id": client_id, "now": self._at(now)})

    def release_with(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int, delay_seconds: int) -> None:
        """See `jsm.interface.JSM.release_with`."""
        arguments = {"priority": priority, "delay_seconds": delay_seconds}
        self._call(self.inner.release_with, {"now": now, "job_id": job_id, "client_id": client_id, **arguments})

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        """See `jsm.interface.JSM.touch`."""
        self._call(self.inner.touch, {"now": now, "job_id": job_id, "client_id": client_id})

    def bury(self, now: int, job_id: JobID, client_id: ClientID, *, priority: int) -> None:
        """See `jsm.interface.JSM.bury`."""
        arguments = {"now": now, "job_id": job_id, "client_id": client_id, "priority": priority}
        self._call(self.inner.bury, arguments)

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.kick`."""
        self._call(self.inner.kick, {"job_id": job_id, "now": self._at(now)})

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        """See `jsm.interface.JSM.kick_n`."""
        return self._call(self.inner.kick_n, {"tube": tube, "n": n, "now": self._at(now)})

    def pause_tube(self, now: int, tube: TubeName, seconds: int) -> None:
        """See `jsm.interface.JSM.pause_tube`."""
        self._call(self.inner.pause_tube, {"now": now, "tube": tube, "seconds": seconds})

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
        """See `jsm.interface.JSM.append_reservation`."""
        inner = self.inner
        if type(tubes) is not tuple:
            tubes = tuple_of(tubes)
        names = names_text(tubes)
        if (
            type(now) is not int
            or now < inner.clock
            or type(client_id) is not str
            or type(request_id) is not str
            or names is None
            or (deadline_at is not None and type(deadline_at) is not int)
        ):
            asked = {"request_id": request_id, "tubes": tubes, "deadline_at": deadline_at}
            self._expect_refusal(inner.append_reservation, {"now": now, "client_id": client_id, **asked})
        before = inner.record_seq
        self._append(
            f'{{"after":{before},"op":"append_reservation","args":{{"now":{now},"client_id":{quoted(client_id)},'
            f'"request_id":{quoted(request_id)},"tubes":{names},'
            f'"deadline_at":{"null" if deadline_at is None else deadline_at}}}'
        )
        try:
            answer = inner.append_reservation(
                now, client_id, request_id=request_id, tubes=tubes, deadline_at=deadline_at
            )
        except JsmError as error:
            self._take_back(error)
            raise
        status = answer.status
        if (status is _TIMEOUT or status is _DEADLINE_SOON) and inner.record_seq == before:
            self._keeper.log.take_back()  # who asks again and again in vain must not fill the disk
        return answer

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        """See `jsm.interface.JSM.reserve_job`."""
        arguments = {"now": now, "job_id": job_id, "client_id": client_id, "request_id": request_id}
        return self._call(self.inner.reserve_job, arguments)

    def cancel_reservation(self, client_id: ClientID, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.cancel_reservation`."""
        self._call(self.inner.cancel_reservation, {"client_id": client_id, "now": self._at(now)})

    def tick(self, now: int) -> list[Reservation]:
        """See `jsm.interface.JSM.tick`."""
        inner = self.inner
        if type(now) is not int or now < inner.clock:
            self._expect_refusal(inner.tick, {"now": now})
        due = inner.next_tick_at()
        if due is None or due > now:
            return inner.tick(now)  # the clock goes on, and nothing else happens
        self._append(f'{{"after":{inner.record_seq},"op":"tick","args":{{"now":{now}}}')
        return inner.tick(now)

    # ------------------------------------------------------------------ clients

    def use_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.use_tube`."""
        self._call(self.inner.use_tube, {"client_id": client_id, "tube": tube, "now": self._at(now)})

    def watch_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.watch_tube`."""
        self._call(self.inner.watch_tube, {"client_id": client_id, "tube": tube, "now": self._at(now)})

    def ignore_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.ignore_tube`."""
        self._call(self.inner.ignore_tube, {"client_id": client_id, "tube": tube, "now": self._at(now)})

    def close_client(self, client_id: ClientID, *, now: int | None = None) -> None:
        """See `jsm.interface.JSM.close_client`."""
        self._call(self.inner.close_client, {"client_id": client_id, "now": self._at(now)})

    # ------------------------------------------------------------------ looks

    @property
    def clock(self) -> int:
        """See `jsm.interface.JSM.clock`."""
        return self.inner.clock

    @property
    def units_per_second(self) -> int:
        """See `jsm.interface.JSM.units_per_second`."""
        return self.inner.units_per_second

    @property
    def max_job_size(self) -> int:
        """See `jsm.interface.JSM.max_job_size`."""
        return self.inner.max_job_size

    @property
    def record_seq(self) -> int:
        """See `jsm.machine.Machine.record_seq`."""
        return self.inner.record_seq

    def count_jobs(self, tube: TubeName | None = None) -> dict[JobState, int]:
        """See `jsm.machine.Machine.count_jobs`."""
        return self.inner.count_jobs(tube)

    def next_tick_at(self) -> int | None:
        """See `jsm.interface.JSM.next_tick_at`."""
        return self.inner.next_tick_at()

    def peek_ready_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """See `jsm.interface.JSM.peek_ready_job`."""
        return self.inner.peek_ready_job(tube, now=now)

    def peek_delayed_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """See `jsm.interface.JSM.peek_delayed_job`."""
        return self.inner.peek_delayed_job(tube, now=now)

    def peek_buried_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """See `jsm.interface.JSM.peek_buried_job`."""
        return self.inner.peek_buried_job(tube, now=now)

    def get_job(self, job_id: JobID, *, now: int | None = None) -> JobView:
        """See `jsm.interface.JSM.get_job`."""
        return self.inner.get_job(job_id, now=now)

    def check_client_state(self, client_ids: Iterable[ClientID], *, now: int | None = None) -> ClientStates:
        """See `jsm.interface.JSM.check_client_state`."""
        return self.inner.check_client_state(client_ids, now=now)

    def get_tubes(self, *, now: int | None = None) -> list[TubeName]:
        """See `jsm.interface.JSM.get_tubes`."""
        return self.inner.get_tubes(now=now)

    def get_stats_job_as_yaml(self, now: int, job_id: JobID) -> bytes:
        """See `jsm.interface.JSM.get_stats_job_as_yaml`."""
        return self.inner.get_stats_job_as_yaml(now, job_id)

    def get_stats_tube_as_yaml(self, now: int, tube: TubeName) -> bytes:
        """See `jsm.interface.JSM.get_stats_tube_as_yaml`."""
        return self.inner.get_stats_tube_as_yaml(now, tube)

    def get_stats_as_yaml(self, now: int, process: Mapping[str, ProcessValue] | None = None) -> bytes:
        """See `jsm.interface.JSM.get_stats_as_yaml`. Values about the journal are the caller's to give, as others."""
        return self.inner.get_stats_as_yaml(now, process)

    def count_command(self, name: str) -> None:
        """See `jsm.interface.JSM.count_command`."""
        self.inner.count_command(name)

    def snapshot(self) -> ReadOnlySnapshot:
        """A handle to read the machine's state out. To restore one would leave the journal behind: it is refused."""
        return ReadOnlySnapshot(self.inner.snapshot())

    def stop(self) -> None:
        """See `jsm.interface.JSM.stop`. The journal doesn't hold it: what it describes can be opened again."""
        self.inner.stop()

    # ------------------------------------------------------------------ inside

    def _call(self, operation: Callable[..., R], arguments: dict[str, Any]) -> R:
        """Write a call with these arguments, `now` among them, and make it."""
        inner = self.inner
        now = arguments["now"]
        parts = []
        for name, value in arguments.items():
            if type(value) is int:
                parts.append(f'"{name}":{value}')
            elif type(value) is str:
                parts.append(f'"{name}":{quoted(value)}')
            else:
                self._expect_refusal(operation, arguments)
        if type(now) is not int or now < inner.clock:
            self._expect_refusal(operation, arguments)
        self._append(f'{{"after":{inner.record_seq},"op":"{operation.__name__}","args":{{{",".join(parts)}}}')
        try:
            return operation(**arguments)
        except JsmError as error:
            self._take_back(error)
            raise

    def _at(self, now: int | None) -> int:
        """The instant of a call whose `now` may be left out: a journal doesn't hold each step of the clock."""
        return self.inner.clock if now is None else now

    def _append(self, text: str, spare: int = 0) -> None:
        """Write a record; nothing happened if that raises."""
        try:
            self._keeper.log.append(text, spare)
        except UnicodeEncodeError as error:
            half = error.object[error.start : error.end]
            raise BadValueError("text", half, "whole characters: the journal keeps UTF-8") from None

    def _take_back(self, error: JsmError) -> None:
        """Remove the record of a refused call: it changed nothing. An observer's error is no refusal."""
        if not isinstance(error, JournalError):
            self._keeper.log.take_back()

    def _expect_refusal(self, operation: Callable[..., object], arguments: Mapping[str, Any]) -> NoReturn:
        """Make a call that the machine refuses for its arguments, so that it says why."""
        operation(**arguments)
        raise InvariantViolation(
            "the_journal_holds_every_accepted_call", f"{operation.__name__} accepted {arguments!r}"
        )
