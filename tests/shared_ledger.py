"""What the clients of a tube that they share know together: less than of a tube of one's own, but with waits,
expiries and jobs that go from hand to hand.

Nobody knows in which order a server ran commands of different connections, only that a command sent after another's
answer came later. Each job has at most one command about it in flight, so what a killed server may have made of it
is one of two things, besides a reservation that nobody was told of.

Shares no code with the machine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.tube_ledger import COUNTERS, Found, Unexpected

_COUNTER: Final = {"release": "releases", "bury": "buries", "kick-job": "kicks"}


@dataclass
class SharedJob:
    """A job as all its clients together know it. Its priority and its delay never change."""

    id: int
    body: bytes
    priority: int
    delay_seconds: int
    ttr_seconds: int
    expires: bool  # its ttr may run out
    state: str = "up"  # ready or delayed: that is a matter of time
    holder: object = None
    in_flight: str = ""  # the command
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    bury_sent: int = 0
    bury_answered: int = 0


class SharedLedger:
    """The jobs of the tube. `instant` is a count of all that was sent and answered."""

    def __init__(self, tube: str) -> None:
        self.tube = tube
        self.jobs: dict[int, SharedJob] = {}
        self.gone: set[int] = set()
        self.puts: dict[bytes, SharedJob] = {}  # in flight, with no id yet
        self.reserving = 0  # reserves in flight
        self.instant = 0

    def put_answered(self, body: bytes, number: int) -> None:
        """A put has its id. Somebody may have reserved the job before that was read, or even have deleted it."""
        job = self.puts.pop(body, None)
        if job is not None:
            job.id = number
            self.jobs[number] = job
        elif number not in self.gone and (number not in self.jobs or self.jobs[number].body != body):
            raise Unexpected(f"{self.tube}: {body!r} was put as {number}; known is {self.jobs.get(number)}")

    def reserved(self, number: int, body: bytes, holder: object) -> None:
        """A reserve was answered."""
        self.reserving -= 1
        job = self.jobs.get(number)
        if job is None and body in self.puts:
            self.put_answered(body, number)
            job = self.jobs[number]
        if job is None or number in self.gone or job.body != body:
            raise Unexpected(f"{self.tube}: job {number} was reserved with the body {body!r}; known is {job}")
        job.counts["reserves"] += 1
        job.state, job.holder = "reserved", holder

    def send(self, job: SharedJob, word: str) -> None:
        """A command about a job leaves."""
        self.instant += 1
        job.in_flight = word
        if word == "bury":
            job.bury_sent, job.bury_answered = self.instant, 0

    def answered(self, job: SharedJob, client: object, word: str, reply: bytes) -> None:
        """A command about a job was answered. Raises `Unexpected`."""
        self.instant += 1
        job.in_flight = ""
        is_mine = job.holder is client
        if is_mine and word != "touch":
            job.holder = None
        if reply == b"NOT_FOUND" and job.expires:
            if job.state == "reserved":
                job.state = "up" if is_mine else job.state
            return
        done = {"delete": b"DELETED", "release": b"RELEASED", "bury": b"BURIED", "kick-job": b"KICKED"}
        if reply != done.get(word, b"TOUCHED"):
            raise Unexpected(f"{self.tube}: {word} was answered {reply!r}; known is {job}")
        if word in _COUNTER:
            job.counts[_COUNTER[word]] += 1
        if word == "delete":
            del self.jobs[job.id]
            self.gone.add(job.id)
        elif word == "bury":
            job.state, job.bury_answered = "buried", self.instant
        elif (word == "release" and is_mine) or (word == "kick-job" and job.state == "buried"):
            job.state = "up"

    def dropped(self, client: object) -> None:
        """A client closed its connection, with nothing in flight: what it held is up again."""
        for job in self.jobs.values():
            if job.holder is client:
                job.holder = None
                job.state = "up"

    def survive(self, found: Mapping[int, Found]) -> None:
        """Compare with what a restarted server shows, and go on with that. Raises `Unexpected`."""
        for job in found.values():
            if job.body in self.puts:
                self.put_answered(job.body, job.id)
        self.puts.clear()
        unknown = found.keys() - self.jobs.keys()
        if unknown:
            raise Unexpected(f"{self.tube}: jobs {sorted(unknown)} are there, of which {unknown & self.gone} were gone")
        untold = 0
        for job in list(self.jobs.values()):
            seen = found.get(job.id)
            if seen is None:
                if job.in_flight != "delete":
                    raise Unexpected(f"{self.tube}: {job} is missing")
                del self.jobs[job.id]
                self.gone.add(job.id)
                continue
            untold += self._survive(job, seen)
        if untold > self.reserving:
            raise Unexpected(f"{self.tube}: {untold} reservations that nobody was told of, {self.reserving} in flight")
        self.reserving = 0

    def _survive(self, job: SharedJob, seen: Found) -> int:
        """One job; returns how often it was reserved without a word of it."""
        fixed = (job.body, job.priority, job.delay_seconds, job.ttr_seconds)
        if fixed != (seen.body, seen.priority, seen.delay_seconds, seen.ttr_seconds) or seen.state == "reserved":
            raise Unexpected(f"{self.tube}: {job} is now {seen}")
        more = dict(zip(COUNTERS, seen.counts, strict=True))
        untold = more["reserves"] - job.counts["reserves"]
        counter = _COUNTER.get(job.in_flight, "")
        was_done = bool(counter) and more[counter] == job.counts[counter] + 1
        buried = job.state == "buried"
        if was_done:
            buried = job.in_flight == "bury"
        for name, value in more.items():
            least = job.counts[name] + (was_done and name == counter)
            is_free = name == "reserves" or (job.expires and name == "timeouts")
            if value < least or (value > least and not is_free):
                raise Unexpected(f"{self.tube}: {name} = {value} of {job}, which is now {seen}")
        if buried != (seen.state == "buried") and not job.expires:
            raise Unexpected(f"{self.tube}: {job} is now {seen}")
        if job.in_flight == "bury" and was_done:
            self.instant += 1
            job.bury_answered = self.instant
        job.state = "buried" if seen.state == "buried" else "up"
        job.holder, job.in_flight, job.counts = None, "", more
        return untold

    def expect_order(self, buried: Iterable[int]) -> None:
        """Compare with the order in which a server has its buried jobs. Raises `Unexpected`."""
        order = [self.jobs[number] for number in buried]
        if {job.id for job in order} != {job.id for job in self.jobs.values() if job.state == "buried"}:
            raise Unexpected(f"{self.tube}: {[job.id for job in order]} are buried")
        latest = 0
        for job in order:
            if job.bury_answered < latest:
                raise Unexpected(f"{self.tube}: job {job.id} was buried before one that stands before it")
            latest = max(latest, job.bury_sent)

    def kicked(self, number: int) -> None:
        """A buried job was kicked."""
        self.jobs[number].counts["kicks"] += 1
        self.jobs[number].state = "up"
