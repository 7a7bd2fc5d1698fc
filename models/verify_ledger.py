"""What a trace has said so far: where each live job is, who waits, what is paused.

The ledger is what the rules of `models.verify_rules` compare a record with, and what explanations are made from. It
holds live jobs only. What a trace doesn't tell is None: transition records alone know no ttr, delay or priority.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jsm.records import CommandRecord, TransitionRecord
from jsm.states import JobState, Trigger

if TYPE_CHECKING:
    from jsm.interface import JSMSnapshot


class Known(NamedTuple):
    """What is known of a live job."""

    state: JobState
    tube: str
    owner: str | None = None  # of a reserved job; None: not known
    due_at: int | None = None  # delayed: when the delay ends; reserved: when the ttr does, in time units
    priority: int | None = None
    ttr_seconds: int | None = None


class Wait(NamedTuple):
    """A client that waits for a reservation."""

    tubes: tuple[str, ...]
    deadline_at: int | None  # in time units; None: for ever


class Ledger:
    """The state of a machine as far as a trace tells it; instants in the trace's time units.

    Records since the last `settle` or `begin` can be taken back with `roll_back`: a call's transitions stand before
    the call, so a wrong call is explained from where it began.
    """

    def __init__(self, *, units_per_second: int = 1) -> None:
        self.units_per_second = units_per_second
        self.jobs: dict[int, Known] = {}
        self.waits: dict[str, Wait] = {}  # in order of asking
        self.owed: dict[str, int] = {}  # clients that the next tick tells of their job
        self.pauses: dict[str, int] = {}  # by tube: until when
        self.clock = 0
        self.next_seq: int | None = 1  # None: any number may come next
        self.last_id = 0
        self.first_put: int | None = None  # the first id whose put was recorded
        self.stopped = False
        self._before: dict[int, Known | None] = {}
        self._began: tuple[int, int | None, int] = (0, 1, 0)

    @classmethod
    def from_snapshot(cls, snapshot: "JSMSnapshot") -> "Ledger":
        """The ledger of a machine's present state. O(jobs + clients)."""
        header = snapshot.header()
        ledger = cls(units_per_second=header.units_per_second)
        ledger.clock, ledger.next_seq, ledger.last_id = header.clock, header.record_seq + 1, header.next_job_id - 1
        for entry in snapshot.snapshot_jobs():
            job = entry.job
            due_at = job.ready_at or job.expires_at or None
            ledger.jobs[job.id] = Known(job.state, job.tube, job.reserved_by, due_at, job.priority, job.ttr_seconds)
        for client in snapshot.snapshot_clients():
            if client.is_waiting:
                ledger.waits[client.client_id] = Wait(tuple(client.watched_tubes), client.deadline_at)
            if client.owed is not None:
                ledger.owed[client.client_id] = client.owed.job_id
        ledger.pauses = {tube.name: tube.pause_ends_at for tube in header.tubes if tube.pause_ends_at is not None}
        ledger.begin()
        return ledger

    def state_of(self, job: int) -> JobState:
        """Where a job is; an id that no put has had yet is `new`, one that is no longer live `deleted`."""
        known = self.jobs.get(job)
        if known is not None:
            return known.state
        return JobState.DELETED if 0 < job <= self.last_id else JobState.NEW

    def held_by(self, client: str) -> Iterator[tuple[int, Known]]:
        """The jobs that a client holds. O(live jobs)."""
        return ((job, known) for job, known in self.jobs.items() if known.owner == client)

    def ready(self) -> list[int]:
        """The ready jobs of tubes that are not paused, the best first. O(live jobs log).

        Jobs whose priority the trace doesn't tell come last.
        """
        keys = [
            (known.priority is None, known.priority or 0, job)
            for job, known in self.jobs.items()
            if known.state is JobState.READY and known.tube not in self.pauses
        ]
        return [job for *_, job in sorted(keys)]

    def matches(self, ready: Iterable[int]) -> dict[int, str]:
        """Which of the ready jobs, the best first, would go to which waiting client. O(ready jobs + waits)."""
        queues: dict[str, list[str]] = {}
        for client, wait in reversed(self.waits.items()):
            for tube in wait.tubes:
                queues.setdefault(tube, []).append(client)  # who asked first stands last
        served: dict[str, int] = {}
        for job in ready:
            queue = queues.get(self.jobs[job].tube, [])
            while queue:
                client = queue.pop()
                if client not in served:
                    served[client] = job
                    break
        return {job: client for client, job in served.items()}

    def end_pauses(self, now: int) -> None:
        """Forget the pauses that a tick at `now` ends."""
        if self.pauses:
            self.pauses = {tube: until for tube, until in self.pauses.items() if until > now}

    # ------------------------------------------------------------------ taking records

    def begin(self) -> None:
        """From here on `roll_back` goes."""
        self._before.clear()
        self._began = (self.clock, self.next_seq, self.last_id)

    def roll_back(self) -> None:
        """Take the records back that came since the last `begin` or `settle`."""
        for job, known in self._before.items():
            if known is None:
                self.jobs.pop(job, None)
            else:
                self.jobs[job] = known
        self.clock, self.next_seq, self.last_id = self._began
        self._before.clear()

    def take(self, record: TransitionRecord) -> None:
        """Note a transition, whether or not it is allowed. O(1)."""
        seq, at, job, tube, source, _, target, client = record
        known = self.jobs.get(job)
        if job not in self._before:
            self._before[job] = known
        if source is JobState.NEW:
            self.last_id = max(self.last_id, job)
            if self.first_put is None:
                self.first_put = job
        if target is JobState.DELETED:
            self.jobs.pop(job, None)
        else:
            owner = due_at = priority = ttr = None
            if known is not None:
                priority, ttr = known.priority, known.ttr_seconds
            if target is JobState.RESERVED:
                owner = client
                due_at = None if ttr is None else at + ttr * self.units_per_second
            self.jobs[job] = Known(target, tube, owner, due_at, priority, ttr)
        self.next_seq = seq + 1
        self.clock = at

    def settle(self, record: CommandRecord, outcome: Mapping[str, Any], made: Iterable[TransitionRecord]) -> None:
        """Note what a call says beside its transitions, which were taken, and begin anew. O(1) a transition.

        `outcome` and `made` are what the call should have come to.
        """
        self.clock = max(self.clock, record.at)
        if "ok" in outcome:
            for transition in made:
                if transition.trigger is Trigger.RESERVE and transition.client is not None:
                    self._end_wait(transition.client, transition.job)
            note = _NOTES.get(record.op)
            if note is not None:
                note(self, record.args, outcome["ok"])
        self.begin()

    def _end_wait(self, client: str, job: int) -> None:
        """A client gets a job; one that waited is told by the next tick."""
        if self.waits.pop(client, None) is not None:
            self.owed[client] = job

    def keep_pauses(self, tubes: Iterable[str]) -> None:
        """Forget the pauses of tubes that don't exist any more."""
        existing = set(tubes)  # for membership only
        self.pauses = {tube: until for tube, until in self.pauses.items() if tube in existing}

    def change(self, job: int, **changes: Any) -> None:
        """Replace some of what is known of a job, if it is live."""
        known = self.jobs.get(job)
        if known is not None:
            self.jobs[job] = known._replace(**changes)


def _note_put(ledger: Ledger, args: Mapping[str, Any], job: int) -> None:
    delay_seconds = args["delay_seconds"]
    due_at = ledger.clock + delay_seconds * ledger.units_per_second if delay_seconds else None
    ledger.change(job, due_at=due_at, priority=args["priority"], ttr_seconds=max(args["ttr_seconds"], 1))


def _note_release_with(ledger: Ledger, args: Mapping[str, Any], _: object) -> None:
    delay_seconds = args["delay_seconds"]
    due_at = ledger.clock + delay_seconds * ledger.units_per_second if delay_seconds else None
    ledger.change(args["job_id"], due_at=due_at, priority=args["priority"])


def _note_bury(ledger: Ledger, args: Mapping[str, Any], _: object) -> None:
    ledger.change(args["job_id"], priority=args["priority"])


def _note_ask(ledger: Ledger, args: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    if answer["status"] == "Queued":
        ledger.waits[args["client_id"]] = Wait(tuple(dict.fromkeys(args["tubes"])), args["deadline_at"])


def _note_tick(ledger: Ledger, args: Mapping[str, Any], answers: Iterable[Mapping[str, Any]]) -> None:
    for answer in answers:
        if answer["status"] != "Matched":  # a match has ended the wait already, and another may have begun
            ledger.waits.pop(answer["client_id"], None)
    ledger.owed.clear()
    ledger.end_pauses(args["now"])


def _note_end_of_wait(ledger: Ledger, args: Mapping[str, Any], _: object) -> None:
    ledger.waits.pop(args["client_id"], None)
    ledger.owed.pop(args["client_id"], None)


def _note_pause(ledger: Ledger, args: Mapping[str, Any], _: object) -> None:
    ledger.pauses[args["tube"]] = args["now"] + args["seconds"] * ledger.units_per_second


def _note_stop(ledger: Ledger, *_: object) -> None:
    ledger.stopped = True


_NOTES: Mapping[str, Callable[[Ledger, Mapping[str, Any], Any], None]] = {
    "put": _note_put,
    "release_with": _note_release_with,
    "bury": _note_bury,
    "append_reservation": _note_ask,
    "tick": _note_tick,
    "cancel_reservation": _note_end_of_wait,
    "close_client": _note_end_of_wait,
    "pause_tube": _note_pause,
    "stop": _note_stop,
}
