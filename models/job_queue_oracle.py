"""The specification in the words of `models.job_queue_machine`: what an operation on a queue of any make should do.

It is `models.spec.Spec`, with one clock in whole seconds, and with two things that a queue may do without: the
warning before a job expires (DEADLINE_SOON) and the order of ready jobs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from models.job_queue_words import DEADLINE_SOON, WAITING, Told
from models.spec import Spec
from models.spec_world import UINT32_MAX, Answer, Job, Record, Refused, Wait

EVERYWHERE: Final = "default"
"""The tube of a queue that has only one."""

NEVER: Final = UINT32_MAX
"""The ttr of a queue without one: longer than any history."""

_STATUS: Final[Mapping[str, Told | None]] = {"queued": WAITING, "deadline-soon": DEADLINE_SOON, "timeout": None}


class Outcome(NamedTuple):
    """How an operation should end: with a value, or refused."""

    value: Any = None  # of a put, the job's id; of a reserve, a job's id, None or `Told`; of a kick_n, how many
    refused: str = ""  # the category, as SPEC 1 has it


class Oracle(Spec):
    """What should be. `now` is the queue's time, which may be later than the last accepted call's."""

    def __init__(self, *, margin: bool, max_job_size: int, tubes: Sequence[str], defaults: Mapping[str, int]) -> None:
        super().__init__(max_job_size=max_job_size)
        self.margin = margin
        self.now = 0
        self.tube_names = tuple(dict.fromkeys((*tubes, EVERYWHERE)))
        self.defaults = defaults
        self.ended: dict[int, Job] = {}  # the jobs that are gone, as they were

    def in_margin(self, client_id: str) -> bool:
        """See `World.in_margin`; a queue without the warning has no margin."""
        return self.margin and super().in_margin(client_id)

    def wait_ends_at(self, wait: Wait) -> int | None:
        """See `World.wait_ends_at`."""
        return super().wait_ends_at(wait) if self.margin else wait.deadline_at

    def run(self, op: str, words: Mapping[str, Any]) -> Outcome:
        """Do what the operation should do; a refusal is an outcome. `words` has ids for jobs."""
        before = dict(self.jobs)
        try:
            return Outcome(self._run(op, words))
        except Refused as refusal:
            return Outcome(refused=refusal.category)
        finally:
            self.ended |= {job_id: job for job_id, job in before.items() if job_id not in self.jobs}

    def take(self, client: str, job_id: int) -> Outcome:
        """Let a client reserve this ready job, whichever would come first."""
        self.clock = self.instant(self.now)
        return Outcome(self.reserve(self.jobs[job_id], "reserve", client, "").job_id)

    def settle(self) -> list[tuple[str, int | Told | None]]:
        """Do everything that is due by now, each at its own instant; the answers to waiting clients."""
        answers: list[tuple[str, int | Told | None]] = []
        while (due := self.next_tick_at()) is not None and due <= self.now:
            answers += [(answer.client, answer_of(answer)) for answer in self.tick(due)]
        return answers

    def watched(self, words: Mapping[str, Any]) -> list[str]:
        """The tubes that a reserve looks at: the ones that it names, or all."""
        named = [words["tube"]] if "tube" in words else words.get("tubes", self.tube_names)
        return list(named)

    def moved(self, since: int) -> list[Record]:
        """The transitions after the first `since` of them."""
        return self.records[since:]

    def state_of(self, job_id: int) -> str | None:
        """The state of a job; None: it is gone."""
        return self.jobs[job_id].state if job_id in self.jobs else None

    def statistics_of(self, job: Job) -> dict[str, Any]:
        """What `stats` may say of a live job."""
        ends_at = {"reserved": job.expires_at, "delayed": job.ready_at}.get(job.state, self.now)
        return {
            **{word: getattr(job, word) for word in ("state", "tube", "body", "priority")},
            **{word: getattr(job, word) for word in ("reserves", "timeouts", "releases", "buries", "kicks")},
            "delay": job.delay_seconds,
            "ttr": job.ttr_seconds,
            "owner": job.reserved_by,
            "age": self.now - job.created_at,
            "time_left": max(ends_at - self.now, 0),
        }

    def counts(self, tube: str | None) -> dict[str, int]:
        """How many jobs there are in each state, in all or in a tube, and clients waiting (for the tube)."""
        states = [job.state for job in self.jobs.values() if tube in (None, job.tube)]
        waiting = sum(tube is None or tube in wait.tubes for wait in self.waiting)
        found = {state: states.count(state) for state in ("ready", "delayed", "reserved", "buried")}
        return {**found, "waiting": waiting, "jobs": len(states)}

    def first(self, state: str, tube: str) -> int | None:
        """The job that a peek shows."""
        jobs = {"ready": self.ready([tube]), "delayed": self.delayed(tube), "buried": self.buried(tube)}[state]
        return jobs[0].id if jobs else None

    def _run(self, op: str, words: Mapping[str, Any]) -> Any:
        now, job, client = self.now, words.get("job", 0), words.get("client", "")
        tube = words.get("tube", EVERYWHERE)
        match op:
            case "put":
                return self.put(
                    now,
                    priority=words.get("priority", self.defaults.get("priority", 0)),
                    delay_seconds=words.get("delay", self.defaults.get("delay", 0)),
                    ttr_seconds=words.get("ttr", self.defaults.get("ttr", NEVER)),
                    body=words["body"],
                    tube=tube,
                )
            case "reserve":
                wait = words.get("timeout", 0)
                deadline_at = None if wait is None else now + wait
                tubes = self.watched(words)
                return answer_of(
                    self.append_reservation(now, client, request_id="", tubes=tubes, deadline_at=deadline_at)
                )
            case "reserve_job":
                self.reserve_job(now, job, client)
            case "release" if "priority" in words or "delay" in words:
                kept = self.jobs.get(job)
                priority = words.get("priority", kept.priority if kept is not None else 0)
                self.release_with(now, job, client, priority=priority, delay_seconds=words.get("delay", 0))
            case "bury":
                kept = self.jobs.get(job)
                self.bury(now, job, client, priority=words.get("priority", kept.priority if kept is not None else 0))
            case "touch":
                self.touch(now, job, client)
            case "delete":
                self.delete(job, client, now=now)
            case "release":
                self.release(job, client, now=now)
            case "kick":
                self.kick(job, now=now)
            case "kick_n":
                return self.kick_n(tube, words["n"], now=now)
            case "pause":
                self.pause_tube(now, tube, words["seconds"])
            case "cancel":
                self.cancel_reservation(client, now=now)
            case "close":
                self.close_client(client, now=now)
        return None


def answer_of(answer: Answer) -> int | Told | None:
    """What a client is told: a job's id, that it waits, that a job expires soon, or nothing."""
    return answer.job_id if answer.status == "matched" else _STATUS[answer.status]
