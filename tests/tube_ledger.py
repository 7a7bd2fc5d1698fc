"""What a client knows of a tube that it has for itself: after each command, and after a server that was killed.

The commands of one connection are run in their order, so a server that was killed has run a beginning of what was
sent: all that was answered and maybe more. `TubeLedger.survived` finds the beginning after which everything is as it
was found, counters and the order of burials included. Delays are chosen hours apart, so that no time passes.

Shares no code with the machine.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

COUNTERS: Final = ("reserves", "timeouts", "releases", "buries", "kicks")


class Command(NamedTuple):
    """A command and its numbers, in the order of the protocol's line."""

    word: str
    numbers: tuple[int, ...] = ()
    body: bytes = b""

    @property
    def sent(self) -> bytes:
        """Its bytes."""
        line = " ".join([self.word, *map(str, self.numbers)]).encode()
        return b"%b %d\r\n%b\r\n" % (line, len(self.body), self.body) if self.word == "put" else line + b"\r\n"


@dataclass
class LedgerJob:
    """A job as its client knows it."""

    id: int
    body: bytes
    priority: int
    delay_seconds: int
    ttr_seconds: int
    state: str
    buried: int = 0  # in which order
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))


class Found(NamedTuple):
    """A job as a server shows it."""

    id: int
    tube: str
    state: str
    body: bytes
    priority: int
    delay_seconds: int
    ttr_seconds: int
    counts: tuple[int, ...]  # in the order of `COUNTERS`


class Unexpected(AssertionError):
    """A server did what it must not."""


class TubeLedger:
    """The jobs of a tube that one connection uses and watches, it alone."""

    def __init__(self, tube: str) -> None:
        self.tube = tube
        self.jobs: dict[int, LedgerJob] = {}
        self.gone: set[int] = set()
        self._burials = 0

    def run(self, command: Command, put_id: int | None = None) -> bytes:
        """Change what is known as the command does; returns the reply. A put gets this id."""
        match command.word:
            case "put":
                assert put_id is not None
                priority, delay, ttr = command.numbers
                state = "delayed" if delay else "ready"
                self.jobs[put_id] = LedgerJob(put_id, command.body, priority, delay, ttr, state)
                return b"INSERTED %d" % put_id
            case "reserve-with-timeout":
                ready = [(job.priority, job.id) for job in self.jobs.values() if job.state == "ready"]
                return self._reserved(self.jobs[min(ready)[1]]) if ready else b"TIMED_OUT"
            case "kick":
                return b"KICKED %d" % self._kick(command.numbers[0])
        job = self.jobs.get(command.numbers[0])
        return b"NOT_FOUND" if job is None else self._change(job, command)

    def _change(self, job: LedgerJob, command: Command) -> bytes:
        """A command about a job that is there."""
        word, is_reserved = command.word, job.state == "reserved"
        if word == "delete":
            del self.jobs[job.id]
            self.gone.add(job.id)
            return b"DELETED"
        if word == "reserve-job" and not is_reserved:
            return self._reserved(job)
        if word == "kick-job" and job.state in ("buried", "delayed"):
            self._count(job, "kicks", "ready")
            return b"KICKED"
        if not is_reserved or word in ("reserve-job", "kick-job"):
            return b"NOT_FOUND"
        if word == "release":
            _, job.priority, job.delay_seconds = command.numbers
            self._count(job, "releases", "delayed" if job.delay_seconds else "ready")
            return b"RELEASED"
        if word == "bury":
            job.priority = command.numbers[1]
            self._burials += 1
            job.buried = self._burials
            self._count(job, "buries", "buried")
            return b"BURIED"
        assert word == "touch"
        return b"TOUCHED"

    def _reserved(self, job: LedgerJob) -> bytes:
        self._count(job, "reserves", "reserved")
        return b"RESERVED %d %d\r\n%b" % (job.id, len(job.body), job.body)

    def _kick(self, most: int) -> int:
        kicked = self.buried()[:most]
        if not kicked:
            delayed = [job for job in self.jobs.values() if job.state == "delayed"]
            kicked = sorted(delayed, key=lambda job: job.delay_seconds)[:most]
        for job in kicked:
            self._count(job, "kicks", "ready")
        return len(kicked)

    @staticmethod
    def _count(job: LedgerJob, counter: str, state: str) -> None:
        job.counts[counter] += 1
        job.state = state

    def buried(self) -> list[LedgerJob]:
        """The buried jobs, the one buried first first."""
        return sorted((job for job in self.jobs.values() if job.state == "buried"), key=lambda job: job.buried)

    def expected(self) -> dict[int, Found]:
        """What a restarted server shows."""
        return {
            job.id: Found(
                job.id,
                self.tube,
                "ready" if job.state == "reserved" else job.state,
                job.body,
                job.priority,
                job.delay_seconds,
                job.ttr_seconds,
                tuple(job.counts.values()),
            )
            for job in self.jobs.values()
        }

    def survived(self, in_flight: list[Command], found: Mapping[int, Found]) -> "TubeLedger":
        """The ledger to go on with after a restart that shows these jobs. Raises `Unexpected`.

        `in_flight` is what was sent and not answered.
        """
        id_of = {job.body: job.id for job in found.values()}
        if len(id_of) != len(found):
            raise Unexpected(f"{self.tube}: a body is there twice")
        ledger = copy.deepcopy(self)
        rest = list(in_flight)
        while (difference := _difference(ledger.expected(), found)) is not None:
            if not rest:
                break
            command = rest.pop(0)
            put_id = id_of.get(command.body) if command.word == "put" else None
            if command.word == "put" and put_id is None:
                break
            ledger.run(command, put_id)
        if difference is not None:
            answered = _difference(self.expected(), found)
            raise Unexpected(f"{self.tube}: no beginning of {in_flight} leads there; as answered: {answered}")
        for job in ledger.jobs.values():
            if job.state == "reserved":
                job.state = "ready"
        return ledger


def _difference(expected: Mapping[int, Found], found: Mapping[int, Found]) -> str | None:
    """The first job that is not as expected, in words."""
    for number in sorted(expected.keys() | found.keys()):
        if expected.get(number) != found.get(number):
            return f"job {number} is {found.get(number)}, expected {expected.get(number)}"
    return None
