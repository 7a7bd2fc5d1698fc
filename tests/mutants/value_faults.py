"""Faults of what is taken and what is refused: numbers, names, ids, bodies, instants."""

from jsm.errors import BadValueError
from jsm.job import ClientID, JobID, TubeName
from jsm.limits import PRIORITY_MAX, SECONDS_MAX
from jsm.machine import Machine
from jsm.reservations import Reservation
from tests.mutants.exhibit import call, exhibit, put, take, tick
from tests.mutants.planting import job_of


@exhibit(
    "KB-8",
    "`kick -1` kicks all",
    source="beanstalkd HEAD, OP_KICK",
    clauses="S24",
    calls=[call("kick_n", "default", -1)],
)
class KickCountWraps(Machine):
    """A kick of n jobs takes the low 32 bits of n, and no sign."""

    __slots__ = ()

    def kick_n(self, tube: TubeName, n: int, *, now: int | None = None) -> int:
        return super().kick_n(tube, n & 0xFFFFFFFF, now=now)


@exhibit(
    "21",
    "negative and too large numbers are accepted",
    source="beanstalkd d2d211b, c36b8de, c6c16b4 (2008)",
    clauses="S24",
    calls=[put(pri=-1)],
)
class NumbersWrap(Machine):
    """A put takes the low 32 bits of its priority, delay and ttr, and no sign."""

    __slots__ = ()

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        return super().put(
            now,
            priority=priority & PRIORITY_MAX,
            delay_seconds=delay_seconds & SECONDS_MAX,
            ttr_seconds=ttr_seconds & SECONDS_MAX,
            body=body,
            tube=tube,
        )


@exhibit(
    "39",
    "ids are taken loosely: what is no number hits a job",
    source="beanstalkd #464, 0235831 (2019)",
    clauses="S24",
    calls=[call("delete", True, "a")],
)
class LooseIds(Machine):
    """A delete makes an integer of whatever it is given as an id; `True` is job 1."""

    __slots__ = ()

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        super().delete(JobID(int(job_id)), client_id, now=now)


@exhibit(
    "52",
    "an empty client id passes as the owner of any job",
    source="coolbeans",
    clauses="S4",
    calls=[put(), take(0, 1, "a"), call("release", 1, "")],
)
class EmptyClientOwnsAll(Machine):
    """A release by the empty client id is made in the name of the job's owner."""

    __slots__ = ()

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        job = job_of(self, job_id)
        if client_id == "" and job is not None and job.owner is not None:
            client_id = job.owner.id
        super().release(job_id, client_id, now=now)


@exhibit(
    "58",
    "legal tube names are refused",
    source="coolbeans 545e945 (2022)",
    clauses="S23",
    calls=[call("use_tube", "a", "a-b")],
)
class NamesWithoutDashes(Machine):
    """A client can use no tube that has more in its name than letters, digits and underscores."""

    __slots__ = ()

    def use_tube(self, client_id: ClientID, tube: TubeName, *, now: int | None = None) -> None:
        if type(tube) is str and not tube.replace("_", "a").isalnum():
            raise BadValueError("tube", tube, "letters, digits and _")
        super().use_tube(client_id, tube, now=now)


@exhibit(
    "J67",
    "a ttr of 0 stays 0",
    clauses="SPEC 1",
    calls=[put(ttr=0)],
)
class TtrZeroStays(Machine):
    """A put with a ttr of 0 is not raised to 1."""

    __slots__ = ()

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        numbers = {"priority": priority, "delay_seconds": delay_seconds, "ttr_seconds": ttr_seconds}
        job_id = super().put(now, **numbers, body=body, tube=tube)
        self._state.jobs[job_id].ttr_seconds = ttr_seconds
        return job_id


@exhibit(
    "J68",
    "time may go back",
    clauses="S22",
    calls=[tick(1), tick(0)],
)
class TimeGoesBack(Machine):
    """A tick that comes before the clock is taken for one at the clock."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        return super().tick(max(now, self.clock))


@exhibit(
    "J69",
    "a refused put takes an id",
    source="beanstalkd HEAD, EXPECTED_CRLF and DRAINING",
    clauses="S3",
    calls=[put(pri=2**32)],
)
class RefusedPutTakesAnId(Machine):
    """A put takes its id before it looks at its numbers."""

    __slots__ = ()

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        numbers = {"priority": priority, "delay_seconds": delay_seconds, "ttr_seconds": ttr_seconds}
        try:
            return super().put(now, **numbers, body=body, tube=tube)
        except BadValueError:
            self._state.next_job_id = JobID(self._state.next_job_id + 1)
            raise


@exhibit(
    "J70",
    "the body's last byte is lost",
    clauses="S25",
    calls=[put(body=b"x")],
)
class BodyCutShort(Machine):
    """A put keeps all of the body but its last byte."""

    __slots__ = ()

    def put(
        self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: TubeName
    ) -> JobID:
        numbers = {"priority": priority, "delay_seconds": delay_seconds, "ttr_seconds": ttr_seconds}
        return super().put(now, **numbers, body=body[:-1], tube=tube)
