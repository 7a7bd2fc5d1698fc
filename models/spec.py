"""The specification as a program: a second, deliberately naive job state machine.

It is the oracle of the lock-step tests: the operations of SPEC sections 3 to 5 and 7 over the world of
`models.spec_world`, O(n) and worse. It is written from SPEC and shares nothing with `jsm`: no import, no table,
no name check. So a mistake must be made twice, in two different ways, before a test misses it.
"""

from collections.abc import Iterable

from models.spec_world import (
    COMMANDS,
    Answer,
    Client,
    Job,
    Refused,
    Wait,
    World,
    check_client,
    check_job_and_client,
    counts_by_state,
    is_body,
    is_tube_name,
    is_uint32,
    require,
)


class Spec(World):
    """The naive job state machine. The methods are those of `jsm.interface.JSM`; `records` has all transitions."""

    # Operations on jobs

    def put(self, now: int, *, priority: int, delay_seconds: int, ttr_seconds: int, body: bytes, tube: str) -> int:
        """Make a job, ready or delayed."""
        now = self.instant(now)
        require(is_uint32(priority) and is_uint32(delay_seconds) and is_uint32(ttr_seconds))
        require(is_body(body) and is_tube_name(tube))
        self.count("put")
        require(len(bytes(body)) <= self.max_job_size)
        self.clock = now
        self.make_tube(tube)
        self.change_tube(tube, total_jobs=self.tube(tube).total_jobs + 1)
        job = Job(
            self.next_job_id,
            tube,
            bytes(body),
            priority,
            delay_seconds,
            max(ttr_seconds, 1),
            state="new",
            created_at=now,
        )
        self.next_job_id += 1
        self.total_jobs += 1
        if delay_seconds == 0:
            self.move(job, "put", "ready", None)
        else:
            self.move(job, "put-delayed", "delayed", None, ready_at=now + delay_seconds * self.second)
        return job.id

    def delete(self, job_id: int, client_id: str, *, now: int | None = None) -> None:
        """Remove a job; a reserved one only for its owner."""
        now = self.instant_or_clock(now)
        check_job_and_client(job_id, client_id)
        self.count("delete")
        job = self.job(job_id)
        if job.state == "reserved" and job.reserved_by != client_id:
            raise Refused("unauthorized")
        self.clock = now
        self.change_tube(job.tube, deletes=self.tube(job.tube).deletes + 1)
        self.move(job, "delete", "deleted", client_id)
        del self.jobs[job_id]
        self.drop_tubes()

    def release(self, job_id: int, client_id: str, *, now: int | None = None) -> None:
        """Put the owner's job back to ready; priority and delay stay."""
        now = self.instant_or_clock(now)
        check_job_and_client(job_id, client_id)
        self.count("release")
        job = self.owned(job_id, client_id)
        self.clock = now
        self.move(job, "release", "ready", client_id, releases=job.releases + 1)

    def release_with(self, now: int, job_id: int, client_id: str, *, priority: int, delay_seconds: int) -> None:
        """Put the owner's job back to ready or delayed, with a new priority and delay."""
        now = self.instant(now)
        require(is_uint32(priority) and is_uint32(delay_seconds))
        check_job_and_client(job_id, client_id)
        self.count("release")
        job = self.owned(job_id, client_id)
        self.clock = now
        changed = job._replace(priority=priority, delay_seconds=delay_seconds, releases=job.releases + 1)
        if delay_seconds == 0:
            self.move(changed, "release", "ready", client_id)
        else:
            ready_at = now + delay_seconds * self.second
            self.move(changed, "release-delayed", "delayed", client_id, ready_at=ready_at)

    def touch(self, now: int, job_id: int, client_id: str) -> None:
        """The owner's job expires a ttr from now."""
        now = self.instant(now)
        check_job_and_client(job_id, client_id)
        self.count("touch")
        job = self.owned(job_id, client_id)
        self.clock = now
        expires_at = now + job.ttr_seconds * self.second
        self.move(job, "touch", "reserved", client_id, expires_at=expires_at, reserved_by=client_id)

    def bury(self, now: int, job_id: int, client_id: str, *, priority: int) -> None:
        """Bury the owner's job with a new priority."""
        now = self.instant(now)
        require(is_uint32(priority))
        check_job_and_client(job_id, client_id)
        self.count("bury")
        job = self.owned(job_id, client_id)
        self.clock = now
        changed = job._replace(priority=priority, buries=job.buries + 1)
        self.move(changed, "bury", "buried", client_id, buried_at=now, bury_number=self.next_bury_number)
        self.next_bury_number += 1

    def kick(self, job_id: int, *, now: int | None = None) -> None:
        """Make one buried or delayed job ready."""
        now = self.instant_or_clock(now)
        require(type(job_id) is int)
        job = self.job(job_id)
        if job.state not in ("buried", "delayed"):
            raise Refused("wrong-state")
        self.clock = now
        self.move(job, "kick", "ready", None, kicks=job.kicks + 1)

    def kick_n(self, tube: str, n: int, *, now: int | None = None) -> int:
        """Make at most n jobs of a tube ready: buried ones, or, if there is none, delayed ones."""
        now = self.instant_or_clock(now)
        require(is_tube_name(tube) and type(n) is int and n >= 0)
        self.count("kick")
        self.clock = now
        chosen = (self.buried(tube) or self.delayed(tube))[:n]
        for job in chosen:
            self.move(job, "kick", "ready", None, kicks=job.kicks + 1)
        return len(chosen)

    # Looks at jobs

    def peek_ready_job(self, tube: str, *, now: int | None = None) -> Job:
        """The ready job with the lowest (priority, id)."""
        now = self._look("peek-ready", tube, now)
        return self._first(self.ready([tube]), now)

    def peek_delayed_job(self, tube: str, *, now: int | None = None) -> Job:
        """The delayed job with the lowest (ready instant, id)."""
        now = self._look("peek-delayed", tube, now)
        return self._first(self.delayed(tube), now)

    def peek_buried_job(self, tube: str, *, now: int | None = None) -> Job:
        """The job that was buried first."""
        now = self._look("peek-buried", tube, now)
        return self._first(self.buried(tube), now)

    def get_job(self, job_id: int, *, now: int | None = None) -> Job:
        """The job with the id."""
        now = self.instant_or_clock(now)
        require(type(job_id) is int)
        self.count("peek")
        job = self.job(job_id)
        self.clock = now
        return job

    # Reservations and time

    def append_reservation(
        self, now: int, client_id: str, *, request_id: str, tubes: Iterable[str], deadline_at: int | None
    ) -> Answer:
        """Ask for a job (SPEC section 4)."""
        now = self.instant(now)
        require(not isinstance(tubes, str | bytes) and isinstance(tubes, Iterable))
        named = list(tubes)
        require(len(named) > 0 and all(is_tube_name(tube) for tube in named) and type(request_id) is str)
        require(deadline_at is None or (type(deadline_at) is int and deadline_at >= now))
        check_client(client_id)
        self.count("reserve" if deadline_at is None else "reserve-with-timeout")
        if self.is_waiting(client_id) or self.is_owed(client_id):
            raise Refused("wrong-state")

        self.clock = now
        self.clients.setdefault(client_id, Client())
        self.owed += self.match()  # nobody overtakes a client that asked before
        self.drop_tubes()
        watched = tuple(tube for place, tube in enumerate(named) if tube not in named[:place])
        ready = self.ready(self.unpaused(watched))
        if ready:
            return self.reserve(ready[0], "reserve", client_id, request_id)
        if self.in_margin(client_id):
            return Answer(request_id, client_id, "deadline-soon")
        if deadline_at == now:
            return Answer(request_id, client_id, "timeout")
        self.waiting.append(Wait(client_id, request_id, watched, deadline_at))
        for tube in watched:
            self.make_tube(tube)
        return Answer(request_id, client_id, "queued")

    def reserve_job(self, now: int, job_id: int, client_id: str, *, request_id: str = "") -> Answer:
        """Reserve a job by its id, out of any state but reserved."""
        now = self.instant(now)
        require(type(request_id) is str)
        check_job_and_client(job_id, client_id)
        job = self.job(job_id)
        if job.state == "reserved":
            raise Refused("missing")
        self.clock = now
        self.clients.setdefault(client_id, Client())
        return self.reserve(job, "reserve-job", client_id, request_id)

    def cancel_reservation(self, client_id: str, *, now: int | None = None) -> None:
        """End a wait without a job."""
        now = self.instant_or_clock(now)
        check_client(client_id)
        if self.is_owed(client_id):
            raise Refused("wrong-state")
        self.clock = now
        self.end_wait(client_id)
        self.drop_tubes()

    def tick(self, now: int) -> list[Answer]:
        """Do all that is due, in the order of SPEC section 5."""
        now = self.clock = self.instant(now)
        delayed = [job for job in self.jobs.values() if job.state == "delayed" and job.ready_at <= now]
        for job in sorted(delayed, key=lambda job: (job.ready_at, job.id)):
            self.move(job, "delay-elapsed", "ready", None)
        for tube in list(self.tubes):
            if tube.pause_ends_at is not None and tube.pause_ends_at <= now:
                self.change_tube(tube.name, pause_ends_at=None, pause_seconds=0)
        expired = [job for job in self.jobs.values() if job.state == "reserved" and job.expires_at <= now]
        for job in sorted(expired, key=lambda job: (job.expires_at, job.id)):
            self.move(job, "ttr-expired", "ready", job.reserved_by, timeouts=job.timeouts + 1)
            self.job_timeouts += 1
        answers = self.owed + self.match()
        self.owed = []

        margins = [wait for wait in self.waiting if self.in_margin(wait.client)]
        for wait in sorted(margins, key=lambda wait: self.soonest_expiry(wait.client) or 0):  # stable: then by asking
            answers.append(Answer(wait.request_id, wait.client, "deadline-soon"))
            self.end_wait(wait.client)
        late = [wait for wait in self.waiting if wait.deadline_at is not None and wait.deadline_at <= now]
        for wait in sorted(late, key=lambda wait: wait.deadline_at or 0):
            answers.append(Answer(wait.request_id, wait.client, "timeout"))
            self.end_wait(wait.client)
        self.drop_tubes()
        return answers

    def next_tick_at(self) -> int | None:
        """The next instant at which a tick would do something, not before the clock."""
        if self.stopped:
            raise Refused("stopped")
        instants = [job.ready_at for job in self.jobs.values() if job.state == "delayed"]
        instants += [job.expires_at for job in self.jobs.values() if job.state == "reserved"]
        instants += [tube.pause_ends_at for tube in self.tubes if tube.pause_ends_at is not None]
        for wait in self.waiting:
            due_at = self.wait_ends_at(wait)
            if due_at is not None:
                instants.append(due_at)
            if self.ready(self.unpaused(wait.tubes)):
                instants.append(self.clock)
        if self.owed:
            instants.append(self.clock)
        return max(min(instants), self.clock) if instants else None

    # Tubes and clients

    def pause_tube(self, now: int, tube: str, seconds: int) -> None:
        """Match no job of the tube until now + seconds."""
        now = self.instant(now)
        require(is_tube_name(tube) and is_uint32(seconds))
        self.count("pause-tube")
        pauses = self.tube(tube).pauses + 1
        self.clock = now
        self.change_tube(tube, pause_seconds=seconds, pause_ends_at=now + seconds * self.second, pauses=pauses)

    def use_tube(self, client_id: str, tube: str, *, now: int | None = None) -> None:
        """Move the client's use reference to the tube."""
        now = self._refer("use", client_id, tube, now)
        self.clock = now
        self.make_tube(tube)
        self.clients[client_id] = self.clients.get(client_id, Client())._replace(uses=tube)
        self.drop_tubes()

    def watch_tube(self, client_id: str, tube: str, *, now: int | None = None) -> None:
        """Add the tube to the client's watch references."""
        now = self._refer("watch", client_id, tube, now)
        self.clock = now
        self.make_tube(tube)
        client = self.clients.get(client_id, Client())
        watches = client.watches if tube in client.watches else (*client.watches, tube)
        self.clients[client_id] = client._replace(watches=watches)

    def ignore_tube(self, client_id: str, tube: str, *, now: int | None = None) -> None:
        """Drop the tube from the client's watch references; the last one stays."""
        now = self._refer("ignore", client_id, tube, now)
        client = self.clients.get(client_id, Client())
        require(client.watches != (tube,))
        self.clock = now
        if client_id in self.clients:
            watches = tuple(watched for watched in client.watches if watched != tube)
            self.clients[client_id] = client._replace(watches=watches)
        self.drop_tubes()

    def close_client(self, client_id: str, *, now: int | None = None) -> None:
        """Forget a client: its wait or owed answer, its jobs, its references."""
        now = self.instant_or_clock(now)
        check_client(client_id)
        self.clock = now
        self.end_wait(client_id)
        self.owed = [answer for answer in self.owed if answer.client != client_id]
        for job in self.held(client_id):
            self.move(job, "close", "ready", client_id)
        self.clients.pop(client_id, None)
        self.drop_tubes()

    def check_client_state(
        self, client_ids: Iterable[str], *, now: int | None = None
    ) -> tuple[list[str], list[str], list[str]]:
        """The clients that wait, that don't, and the unknown ones."""
        now = self.instant_or_clock(now)
        asked = list(client_ids)
        for client_id in asked:
            require(type(client_id) is str)
        for client_id in asked:
            check_client(client_id)
        self.clock = now
        waiting = [client_id for client_id in asked if self.is_waiting(client_id)]
        unknown = [client_id for client_id in asked if client_id not in self.clients]
        return waiting, [each for each in asked if each not in waiting and each not in unknown], unknown

    def get_tubes(self, *, now: int | None = None) -> list[str]:
        """The names of all tubes in order of creation."""
        self.clock = self.instant_or_clock(now)
        return [tube.name for tube in self.tubes]

    def stop(self) -> None:
        """Refuse every later call."""
        if self.stopped:
            raise Refused("stopped")
        self.stopped = True

    # Statistics

    def stats_job(self, now: int, job_id: int) -> dict[str, int | str]:
        """The pairs of `stats-job`."""
        now = self.instant(now)
        require(type(job_id) is int)
        self.count("stats-job")
        job = self.job(job_id)
        self.clock = now
        ends_at = {"reserved": job.expires_at, "delayed": job.ready_at}.get(job.state, now)
        return {
            "id": job.id,
            "tube": job.tube,
            "state": job.state,
            "pri": job.priority,
            "age": (now - job.created_at) // self.second,
            "delay": job.delay_seconds,
            "ttr": job.ttr_seconds,
            "time-left": max(ends_at - now, 0) // self.second,
            "file": 0,
            "reserves": job.reserves,
            "timeouts": job.timeouts,
            "releases": job.releases,
            "buries": job.buries,
            "kicks": job.kicks,
        }

    def stats_tube(self, now: int, tube: str) -> dict[str, int | str]:
        """The pairs of `stats-tube`."""
        now = self._look("stats-tube", tube, self.instant(now))
        found = self.tube(tube)
        self.clock = now
        left = 0 if found.pause_ends_at is None else max(found.pause_ends_at - now, 0)
        return {
            "name": tube,
            **counts_by_state([job for job in self.jobs.values() if job.tube == tube]),
            "total-jobs": found.total_jobs,
            "current-using": sum(client.uses == tube for client in self.clients.values()),
            "current-watching": sum(tube in client.watches for client in self.clients.values()),
            "current-waiting": sum(tube in wait.tubes for wait in self.waiting),
            "cmd-delete": found.deletes,
            "cmd-pause-tube": found.pauses,
            "pause": found.pause_seconds,
            "pause-time-left": left // self.second,
        }

    def stats(self, now: int) -> dict[str, int | str]:
        """The pairs of `stats` that are not of the server's process."""
        now = self.instant(now)
        self.count("stats")
        self.clock = now
        return {
            **counts_by_state(list(self.jobs.values())),
            **{f"cmd-{name}": count for name, count in self.commands.items()},
            "job-timeouts": self.job_timeouts,
            "total-jobs": self.total_jobs,
            "max-job-size": self.max_job_size,
            "current-tubes": len(self.tubes),
            "current-waiting": len(self.waiting),
        }

    def count_command(self, name: str) -> None:
        """Count a command that the machine can't see."""
        if self.stopped:
            raise Refused("stopped")
        require(name in COMMANDS)
        self.count(name)

    # The parts of calls that differ in one word

    def _look(self, command: str, tube: str, now: int | None) -> int:
        """Understand a look at a tube; the instant of the call."""
        at = self.instant_or_clock(now)
        require(is_tube_name(tube))
        self.count(command)
        return at

    def _first(self, jobs: list[Job], now: int) -> Job:
        """The first job; refuses when there is none."""
        if not jobs:
            raise Refused("missing")
        self.clock = now
        return jobs[0]

    def _refer(self, command: str, client_id: str, tube: str, now: int | None) -> int:
        """Understand a client's reference to a tube; the instant of the call."""
        at = self.instant_or_clock(now)
        require(is_tube_name(tube))
        check_client(client_id)
        self.count(command)
        return at
