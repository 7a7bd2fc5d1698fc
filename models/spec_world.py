"""The world of the specification: what there is, and the questions and changes that its operations are made of.

The operations themselves are in `models.spec`. Everything is a tuple, a dict or a list; every question is answered
by looking at all jobs, tubes and clients; nothing is kept that could be computed. States, triggers, answers and
refusals are plain text, spelt as SPEC spells them. Instants are in time units.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

UINT32_MAX = 4294967295
NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+/;.$_()"
COMMANDS = (
    "put",
    "peek",
    "peek-ready",
    "peek-delayed",
    "peek-buried",
    "reserve",
    "reserve-with-timeout",
    "delete",
    "release",
    "use",
    "watch",
    "ignore",
    "bury",
    "kick",
    "touch",
    "stats",
    "stats-job",
    "stats-tube",
    "list-tubes",
    "list-tube-used",
    "list-tubes-watched",
    "pause-tube",
)


class Refused(Exception):
    """A refused call; `category` is one of SPEC section 1, in its order of precedence."""

    def __init__(self, category: str) -> None:
        super().__init__(category)
        self.category = category


class Job(NamedTuple):
    """A live job. Instants that don't apply to its state are 0."""

    id: int
    tube: str
    body: bytes
    priority: int
    delay_seconds: int
    ttr_seconds: int
    state: str
    created_at: int
    ready_at: int = 0
    expires_at: int = 0
    buried_at: int = 0
    reserved_by: str | None = None
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0
    bury_number: int = 0


class Tube(NamedTuple):
    """What a tube has of its own; its jobs and clients are found by looking at all of them."""

    name: str
    pause_seconds: int = 0
    pause_ends_at: int | None = None
    total_jobs: int = 0
    deletes: int = 0
    pauses: int = 0


class Client(NamedTuple):
    """A client's references to tubes, the watched ones in order of watching."""

    uses: str | None = None
    watches: tuple[str, ...] = ()


class Wait(NamedTuple):
    """A reservation that waits for a job."""

    client: str
    request_id: str
    tubes: tuple[str, ...]
    deadline_at: int | None


class Answer(NamedTuple):
    """The answer to a reservation: queued, matched, deadline-soon or timeout."""

    request_id: str
    client: str
    status: str
    job_id: int = 0
    body: bytes = b""


class Record(NamedTuple):
    """A transition that happened."""

    seq: int
    at: int
    job: int
    tube: str
    source: str
    trigger: str
    target: str
    client: str | None


class World:
    """The state of the specification, and the steps that several operations share."""

    def __init__(self, *, units_per_second: int = 1, max_job_size: int = 65535) -> None:
        self.second = units_per_second
        self.max_job_size = max_job_size
        self.clock = 0
        self.stopped = False
        self.next_job_id = 1
        self.next_bury_number = 1
        self.total_jobs = 0
        self.job_timeouts = 0
        self.commands = dict.fromkeys(COMMANDS, 0)
        self.jobs: dict[int, Job] = {}
        self.tubes: list[Tube] = [Tube("default")]  # in order of creation
        self.clients: dict[str, Client] = {}
        self.waiting: list[Wait] = []  # in order of asking
        self.owed: list[Answer] = []  # in the order in which they were made
        self.records: list[Record] = []

    # Refusals, in SPEC's order of precedence

    def instant(self, now: int | None) -> int:
        """The instant of a call; refuses when stopped, then when time goes backwards, then what is no instant."""
        if self.stopped:
            raise Refused("stopped")
        require(type(now) is int)
        assert now is not None
        if now < self.clock:
            raise Refused("time-backwards")
        return now

    def instant_or_clock(self, now: int | None) -> int:
        """The instant of a call whose `now` may be left out."""
        return self.instant(self.clock if now is None else now)

    def count(self, command: str) -> None:
        """Count a command: from here on it is understood, whether it succeeds or not."""
        self.commands[command] += 1

    def job(self, job_id: int) -> Job:
        """The live job; refuses when there is none."""
        if job_id not in self.jobs:
            raise Refused("missing")
        return self.jobs[job_id]

    def owned(self, job_id: int, client_id: str) -> Job:
        """The job that the client has reserved; refuses when missing, then by state, then by owner."""
        job = self.job(job_id)
        if job.state != "reserved":
            raise Refused("wrong-state")
        if job.reserved_by != client_id:
            raise Refused("unauthorized")
        return job

    def tube(self, name: str) -> Tube:
        """The tube; refuses when there is none."""
        for tube in self.tubes:
            if tube.name == name:
                return tube
        raise Refused("missing")

    # Questions

    def ready(self, tubes: Iterable[str]) -> list[Job]:
        """The ready jobs of some tubes, best first."""
        named = list(tubes)
        found = [job for job in self.jobs.values() if job.state == "ready" and job.tube in named]
        return sorted(found, key=lambda job: (job.priority, job.id))

    def delayed(self, tube: str) -> list[Job]:
        """The delayed jobs of a tube, soonest first."""
        found = [job for job in self.jobs.values() if job.state == "delayed" and job.tube == tube]
        return sorted(found, key=lambda job: (job.ready_at, job.id))

    def buried(self, tube: str) -> list[Job]:
        """The buried jobs of a tube, in the order in which they were buried."""
        found = [job for job in self.jobs.values() if job.state == "buried" and job.tube == tube]
        return sorted(found, key=lambda job: job.bury_number)

    def held(self, client_id: str) -> list[Job]:
        """The jobs that a client has reserved, by id."""
        return sorted(job for job in self.jobs.values() if job.reserved_by == client_id)

    def soonest_expiry(self, client_id: str) -> int | None:
        """When the first of the client's jobs expires."""
        return min((job.expires_at for job in self.held(client_id)), default=None)

    def in_margin(self, client_id: str) -> bool:
        """Whether a job of the client expires within a second, or is overdue."""
        soonest = self.soonest_expiry(client_id)
        return soonest is not None and soonest - self.clock <= self.second

    def unpaused(self, tubes: Iterable[str]) -> list[str]:
        """The named tubes without those that a pause, which only a tick ends, still holds."""
        paused = [tube.name for tube in self.tubes if tube.pause_ends_at is not None]
        return [tube for tube in tubes if tube not in paused]

    def is_waiting(self, client_id: str) -> bool:
        """Whether the client waits for a job."""
        return any(wait.client == client_id for wait in self.waiting)

    def is_owed(self, client_id: str) -> bool:
        """Whether the client has a job but was not told so yet."""
        return any(answer.client == client_id for answer in self.owed)

    def wait_ends_at(self, wait: Wait) -> int | None:
        """When a tick answers the wait if no job comes; None: never."""
        instants = [] if wait.deadline_at is None else [wait.deadline_at]
        soonest = self.soonest_expiry(wait.client)
        if soonest is not None:
            instants.append(soonest - self.second)
        return min(instants, default=None)

    # Changes

    def move(self, job: Job, trigger: str, target: str, client: str | None, **instants: Any) -> None:
        """Put the job into its new state, with the instants and the owner that apply there and no other."""
        source = job.state
        fresh = {"ready_at": 0, "expires_at": 0, "buried_at": 0, "bury_number": 0, "reserved_by": None}
        self.jobs[job.id] = job._replace(**{**fresh, **instants, "state": target})
        seq = len(self.records) + 1
        self.records.append(Record(seq, self.clock, job.id, job.tube, source, trigger, target, client))

    def reserve(self, job: Job, trigger: str, client_id: str, request_id: str) -> Answer:
        """Give the job to the client until its ttr has passed."""
        expires_at = self.clock + job.ttr_seconds * self.second
        changed = job._replace(reserves=job.reserves + 1)
        self.move(changed, trigger, "reserved", client_id, expires_at=expires_at, reserved_by=client_id)
        return Answer(request_id, client_id, "matched", job.id, job.body)

    def match(self) -> list[Answer]:
        """Serve the best (waiting client, ready job) pair until none is left (step 3 of a tick)."""
        answers: list[Answer] = []
        while True:
            pairs = [
                (job.priority, job.id, order)
                for order, wait in enumerate(self.waiting)
                for job in self.ready(self.unpaused(wait.tubes))
            ]
            if not pairs:
                return answers
            _, job_id, order = min(pairs)
            wait = self.waiting.pop(order)
            answers.append(self.reserve(self.jobs[job_id], "reserve", wait.client, wait.request_id))

    def end_wait(self, client_id: str) -> None:
        """Let the client wait no longer."""
        self.waiting = [wait for wait in self.waiting if wait.client != client_id]

    def make_tube(self, name: str) -> None:
        """Make the tube, as the youngest, unless it is there."""
        if all(tube.name != name for tube in self.tubes):
            self.tubes.append(Tube(name))

    def change_tube(self, name: str, **changes: Any) -> None:
        """Replace some of what the tube has of its own."""
        self.tubes = [tube._replace(**changes) if tube.name == name else tube for tube in self.tubes]

    def drop_tubes(self) -> None:
        """Forget the tubes that hold no job and that no client uses, watches or waits on."""
        wanted = ["default"]
        wanted += [job.tube for job in self.jobs.values()]
        wanted += [client.uses for client in self.clients.values() if client.uses is not None]
        wanted += [tube for client in self.clients.values() for tube in client.watches]
        wanted += [tube for wait in self.waiting for tube in wait.tubes]
        self.tubes = [tube for tube in self.tubes if tube.name in wanted]


def require(condition: bool) -> None:
    """Refuse a bad value unless the condition holds."""
    if not condition:
        raise Refused("bad-value")


def is_uint32(number: int) -> bool:
    """Whether it is an integer (no bool, no float) from 0 to 2^32 - 1."""
    return type(number) is int and 0 <= number <= UINT32_MAX


def is_tube_name(name: str) -> bool:
    """Whether it is 1 to 200 of the allowed characters and does not start with a dash."""
    if type(name) is not str or not 1 <= len(name) <= 200 or name[0] == "-":
        return False
    return all(character in NAME_CHARACTERS for character in name)


def is_body(body: object) -> bool:
    """Whether it is made of bytes."""
    return isinstance(body, bytes | bytearray | memoryview)


def check_client(client_id: str) -> None:
    """Refuse what is no text, then the empty text."""
    require(type(client_id) is str)
    if client_id == "":
        raise Refused("empty-client")


def check_job_and_client(job_id: int, client_id: str) -> None:
    """Refuse what is no job id, then what is no client id."""
    require(type(job_id) is int)
    check_client(client_id)


def counts_by_state(jobs: list[Job]) -> dict[str, int]:
    """The first lines of `stats` and `stats-tube`, by recount."""
    states = [job.state for job in jobs]
    return {
        "current-jobs-urgent": sum(job.state == "ready" and job.priority < 1024 for job in jobs),
        "current-jobs-ready": states.count("ready"),
        "current-jobs-reserved": states.count("reserved"),
        "current-jobs-delayed": states.count("delayed"),
        "current-jobs-buried": states.count("buried"),
    }
