"""Why something was expected of a queue: the clause, in a sentence, with the job's own numbers.

Clauses are those of INVARIANTS (S1, L1 …) and of SPEC (SPEC 2 …), as `jsm/interface.py` and the models cite them.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from models.job_queue_oracle import Oracle
from models.spec_world import Job


class Reason(NamedTuple):
    """A clause and what it says."""

    clause: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.sentence} ({self.clause})"


NOTHING_MOVED: Final = Reason("S2", "no operation of this step changes the state of this job")
UNCHANGED: Final = Reason("S26", "a refused call leaves everything as it was")
GONE: Final = Reason("S11", "after its delete a job is gone, for every later call")
NEVER_AGAIN: Final = Reason("S3", "what names a job is never used for another, also after its delete")
HANDED_OUT_ONCE: Final = Reason("S8", "only a job that is ready can be handed out, and to one client")
KEPT: Final = Reason("S25", "a job that was put is the job that is handed out")
COUNTED: Final = Reason("S6", "counts are what counting the jobs gives")
LIVES_ON: Final = Reason("S19", "a tube exists as long as it holds a job, in whatever state, or a client waits on it")
RELOADED: Final = Reason("S27", "after a reload everything is as it was before")
MARGIN: Final = Reason("S21", "DEADLINE_SOON is for a client that holds a job with a second left, and finds none ready")
IN_TIME: Final = Reason("L3", "a client that waits is told when its timeout has passed")
ENDS: Final = Reason("S26", "each call has one answer: it does what it should, or is refused and does nothing")
ANSWERED_ONCE: Final = Reason("S20", "each reserve gets one answer, when it is due and not before")

BY_TRIGGER: Final[Mapping[str, Reason]] = {
    "put": Reason("SPEC 2", "a job that is put without a delay is ready at once"),
    "put-delayed": Reason("SPEC 2", "a job that is put with a delay is delayed until the delay has passed"),
    "delay-elapsed": Reason("L2", "a delayed job is ready once its delay has passed, the last second included"),
    "reserve": Reason("SPEC 4", "a job that is handed out is reserved by whoever got it"),
    "reserve-job": Reason("SPEC 3", "a ready, delayed or buried job can be reserved by naming it"),
    "touch": Reason("S18", "a touch gives the owner the whole ttr again, from now on"),
    "release": Reason("SPEC 2", "a released job is ready at once"),
    "release-delayed": Reason("SPEC 2", "a job that is released with a delay is delayed"),
    "bury": Reason("SPEC 2", "a buried job stays buried until it is kicked, reserved by name or deleted"),
    "kick": Reason("S13", "a kick makes a buried or delayed job ready"),
    "ttr-expired": Reason("L1", "a reserved job is ready again once its ttr has passed, however silent its owner"),
    "close": Reason("S7", "what a client held when it closed is ready again"),
    "delete": GONE,
}
"""Why a job is where it is, right after the trigger."""

BY_REFUSAL: Final[Mapping[str, Reason]] = {
    "missing": GONE,
    "unauthorized": Reason("S4", "only its owner can release, bury, touch or delete a reserved job"),
    "wrong-state": Reason("SPEC 2", "from this state no such step leads anywhere"),
    "bad-value": Reason("S24", "a value out of bounds is refused"),
}
"""Why a call is refused."""

BY_LOOK: Final[Mapping[str, Reason]] = {
    "peek_ready": Reason("S9", "the ready job that comes next has the lowest (priority, age)"),
    "peek_delayed": Reason(
        "S10", "the delayed job that comes next is the one that is due first, whatever its priority"
    ),
    "peek_buried": Reason("S12", "the buried job that comes next is the one that was buried first"),
    "counts": COUNTED,
    "list_tubes": LIVES_ON,
}
"""Why a look shows what it should."""

BY_STATISTIC: Final[Mapping[str, Reason]] = {
    "owner": Reason("S5", "a job has an owner exactly while it is reserved"),
    "tube": Reason("S1", "a job stays in its tube"),
    "body": Reason("S25", "a body is returned byte for byte"),
    "priority": Reason("S17", "only put, release with a priority, and bury set a job's priority"),
    "delay": Reason("S17", "only put and release with a delay set a job's delay"),
    "ttr": Reason("S17", "only put sets a job's ttr"),
    "age": Reason("SPEC 7", "age counts from the put"),
    "time_left": Reason("S14", "time left is what remains of the ttr or the delay, and never negative"),
    "reserves": Reason("S15", "reserves grows by one each time that the job is handed out"),
    "timeouts": Reason("S15", "timeouts grows by one each time that the ttr passes, and never otherwise"),
    "releases": Reason("S15", "releases grows by one each time that the owner releases, and never otherwise"),
    "buries": Reason("S15", "buries grows by one each time that the job is buried"),
    "kicks": Reason("S15", "kicks grows by one each time that the job is kicked"),
}
"""Why a statistic has the value that it should."""


def of_state(oracle: Oracle, job_id: int, since: int, *, op: str, refused: bool) -> Reason:
    """Why a job is in its state, after a step that began with `since` transitions."""
    if refused:
        return UNCHANGED
    if op == "reload":
        return RELOADED
    moves = [record for record in oracle.moved(since) if record.job == job_id]
    if moves:
        return BY_TRIGGER[moves[-1].trigger]
    job = oracle.jobs.get(job_id)
    if job is None:
        return GONE
    if job.state == "reserved" and op in ("advance", "tick"):
        return Reason("S14", f"a reserved job is its owner's until its ttr has passed, at {job.expires_at}")
    if job.state == "delayed" and op in ("advance", "tick"):
        return Reason("S22", f"a delayed job is not ready before its delay has passed, at {job.ready_at}")
    return NOTHING_MOVED


def of_allowed(op: str, before: Job | None, client: str) -> Reason:
    """Why a call is not refused; `before` is the job as it was."""
    if before is None:
        return Reason("SPEC 3", f"nothing stands against this {op}")
    held = before.state == "reserved" and op != "reserve_job"
    who = f"for {client!r}, who has reserved it" if held else "for anyone"
    return Reason("SPEC 2", f"a {before.state} job can have this {op}, {who}")


def of_best(oracle: Oracle, expected: int, found: int, tubes: Sequence[str], names: Mapping[int, str]) -> Reason:
    """Why a client gets this job and not that one. Both as they were before the step, in `oracle`'s jobs."""
    wrong = of_taken(oracle, found, tubes, names)
    if wrong is not None:
        return wrong
    best, other = oracle.jobs[expected], oracle.jobs[found]
    if best.priority != other.priority:
        return Reason(
            "S9",
            f"of all ready jobs that the client watches the one with the lowest priority comes first: "
            f"{names[expected]} has {best.priority}, {names[found]} has {other.priority}",
        )
    return Reason("S9", f"of equal priority, the job that was put first comes first, {names[expected]}")


def of_taken(oracle: Oracle, found: int, tubes: Sequence[str], names: Mapping[int, str]) -> Reason | None:
    """Why the job can't be handed out at all; None: it can."""
    name, job = names[found], oracle.jobs.get(found)
    if job is None:
        return Reason("S11", f"{name} is gone")
    if job.state == "reserved":
        return Reason("S8", f"{name} is reserved by {job.reserved_by!r}: a job is handed out to one client at a time")
    if job.state == "delayed":
        return Reason("L2", f"{name} is delayed until {job.ready_at}, and it is {oracle.now}")
    if job.state == "buried":
        return Reason("SPEC 2", f"{name} is buried")
    if job.tube not in tubes:
        return Reason("S9", f"{name} is in tube {job.tube!r}, at which the client does not look")
    if job.tube not in oracle.unpaused([job.tube]):
        return Reason("S29", f"tube {job.tube!r}, in which {name} is, is paused")
    return None


def of_missed(oracle: Oracle, expected: int, names: Mapping[int, str]) -> Reason:
    """Why a client does get a job."""
    job = oracle.ended.get(expected) or oracle.jobs[expected]
    return Reason("L4", f"{names[expected]} was ready in tube {job.tube!r}, and whoever looks there gets it")
