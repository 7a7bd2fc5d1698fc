"""The job state machine, mapped as if it were a stranger's queue: it moves by its own tick, and warns of expiries."""

from collections.abc import Callable
from typing import Any

from jsm.errors import JsmError
from jsm.job import JobID
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from models.calls import parse_statistics
from models.job_queue_machine import DEADLINE_SOON, WAITING, JobQueueMachine
from models.job_queue_words import Told


def _told(reservation: Reservation) -> int | Told | None:
    match reservation.status:
        case ReservationStatus.MATCHED:
            return reservation.job_id
        case ReservationStatus.QUEUED:
            return WAITING
        case ReservationStatus.DEADLINE_SOON:
            return DEADLINE_SOON
        case _:
            return None


class MachineAsQueue(JobQueueMachine):
    """All operations of `Machine`."""

    kind: Callable[..., Machine] = Machine
    refusals = (JsmError,)
    margin = True
    words = {"pri": "priority", "time-left": "time_left"}  # noqa: RUF012

    def make(self) -> Machine:
        return type(self).kind()

    def put(self, now: int, body: bytes, priority: int, delay: int, ttr: int, tube: str) -> int:
        made: int = self.queue.put(now, priority=priority, delay_seconds=delay, ttr_seconds=ttr, body=body, tube=tube)
        return made

    def reserve(self, now: int, client: str, tubes: list[str], timeout: int | None) -> int | Told | None:
        until = None if timeout is None else now + timeout
        return _told(self.queue.append_reservation(now, client, request_id="r", tubes=tubes, deadline_at=until))

    def reserve_job(self, now: int, job: JobID, client: str) -> None:
        self.queue.reserve_job(now, job, client)

    def delete(self, now: int, job: JobID, client: str) -> None:
        self.queue.delete(job, client, now=now)

    def release(self, now: int, job: JobID, client: str, priority: int, delay: int) -> None:
        self.queue.release_with(now, job, client, priority=priority, delay_seconds=delay)

    def bury(self, now: int, job: JobID, client: str, priority: int) -> None:
        self.queue.bury(now, job, client, priority=priority)

    def touch(self, now: int, job: JobID, client: str) -> None:
        self.queue.touch(now, job, client)

    def kick(self, now: int, job: JobID) -> None:
        self.queue.kick(job, now=now)

    def kick_n(self, now: int, tube: str, n: int) -> Any:
        return self.queue.kick_n(tube, n, now=now)

    def pause(self, now: int, tube: str, seconds: int) -> None:
        self.queue.pause_tube(now, tube, seconds)

    def cancel(self, now: int, client: str) -> None:
        self.queue.cancel_reservation(client, now=now)

    def close(self, now: int, client: str) -> None:
        self.queue.close_client(client, now=now)

    def tick(self, now: int) -> list[tuple[str, int | Told | None]]:
        return [(each.client_id, _told(each)) for each in self.queue.tick(now)]

    def reload(self) -> None:
        source, self.queue = self.queue.snapshot(), self.make()
        target = self.queue.snapshot()
        target.restore_header(source.header())
        target.restore_jobs(source.snapshot_jobs())
        target.restore_clients(source.snapshot_clients())
        target.finalize_restore()

    def stats(self, job: JobID) -> dict[str, Any]:
        found = parse_statistics(self.queue.get_stats_job_as_yaml(self.queue.clock, job))
        return {key: value for key, value in found.items() if key not in ("id", "file", "age", "time-left")}

    def counts(self, tube: str) -> dict[str, int]:
        return {str(state): count for state, count in self.queue.count_jobs(tube).items()}

    def list_tubes(self) -> Any:
        return self.queue.get_tubes()

    def peek_ready(self, tube: str) -> Any:
        return self.queue.peek_ready_job(tube).id

    def peek_delayed(self, tube: str) -> Any:
        return self.queue.peek_delayed_job(tube).id

    def peek_buried(self, tube: str) -> Any:
        return self.queue.peek_buried_job(tube).id
