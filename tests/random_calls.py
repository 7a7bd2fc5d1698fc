"""Seeded random histories: calls that are mostly plausible in the present world, and sometimes not."""

from random import Random
from typing import Any

from models.calls import Call
from models.spec import Spec

CLIENTS = ["a", "b", "c", "d"]
TUBES = ["default", "t", "u"]
WEIGHTS = {
    "put": 16,
    "append_reservation": 16,
    "tick": 16,
    "delete": 4,
    "release": 3,
    "release_with": 4,
    "touch": 3,
    "bury": 4,
    "kick": 3,
    "kick_n": 3,
    "reserve_job": 4,
    "pause_tube": 4,
    "use_tube": 2,
    "watch_tube": 2,
    "ignore_tube": 2,
    "close_client": 3,
    "cancel_reservation": 2,
    "reload": 1,
    "get_stats_job_as_yaml": 1,
    "count_command": 1,
}


def random_call(random: Random, spec: Spec) -> Call:
    """One call, for the world that the specification is in."""
    op = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if op == "put" and sum(job.state == "ready" for job in spec.jobs.values()) >= random.randint(0, 6):
        op = "append_reservation"  # jobs are scarce now and then, so that clients have to wait
    now = _instant(random, spec)
    later: dict[str, Any] = {"now": now} if random.random() < 0.5 else {}
    client, tube = random.choice(CLIENTS), random.choice(TUBES)
    match op:
        case "put":
            return Call(
                op,
                (now,),
                {"priority": random.choice([0, 1, 1023, 1024]), "body": b"x", "tube": tube, **_times(random)},
            )
        case "append_reservation":
            client = _asker(random, spec)
            wait = random.choice([None, 0, 1, spec.second, 2 * spec.second, 7 * spec.second])
            tubes = random.choices(TUBES, k=random.randint(1, 3))
            deadline_at = None if wait is None else now + wait
            return Call(
                op, (now, client), {"request_id": str(len(spec.records)), "tubes": tubes, "deadline_at": deadline_at}
            )
        case "tick":
            due = spec.next_tick_at()
            return Call(op, (now if due is None or random.random() < 0.4 else due,))
        case "kick":
            return Call(op, (_job(random, spec, ["buried", "delayed"]),), later)
        case "kick_n":
            kickable = [job.tube for job in spec.jobs.values() if job.state in ("buried", "delayed")]
            return Call(op, (random.choice([*kickable, tube]), random.randint(0, 4)), later)
        case "reserve_job":
            return Call(op, (now, _job(random, spec, ["ready", "delayed", "buried"]), client))
        case "pause_tube":
            return Call(op, (now, tube, random.choice([0, 1, 3])))
        case "use_tube" | "watch_tube" | "ignore_tube":
            return Call(op, (client, tube), later)
        case "close_client" | "cancel_reservation":
            return Call(op, (client,), later)
        case "get_stats_job_as_yaml":
            return Call(op, (now, _job(random, spec, ["reserved", "delayed"])))
        case "count_command":
            return Call(op, ("list-tubes",))
        case "reload":
            return Call(op)
    return _owners_call(random, spec, op, now)


def _owners_call(random: Random, spec: Spec, op: str, now: int) -> Call:
    """One of the calls that mostly the owner of a job makes."""
    job_id = _job(random, spec, ["reserved"])
    owner = spec.jobs[job_id].reserved_by if job_id in spec.jobs else None
    client = random.choice(CLIENTS) if owner is None or random.random() < 0.1 else owner
    later = {"now": now} if random.random() < 0.5 else {}
    match op:
        case "delete" | "release":
            return Call(op, (job_id, client), later)
        case "touch":
            return Call(op, (now, job_id, client))
        case "bury":
            return Call(op, (now, job_id, client), {"priority": random.randint(0, 3)})
        case _:
            delay_seconds = random.choice([0, 0, 1, 2])
            return Call(op, (now, job_id, client), {"priority": random.randint(0, 3), "delay_seconds": delay_seconds})


def _asker(random: Random, spec: Spec) -> str:
    """Mostly a client that may ask, and often one that holds a job, so that warnings come."""
    free = [client for client in CLIENTS if not spec.is_waiting(client) and not spec.is_owed(client)]
    holders = [client for client in free if spec.held(client)]
    groups = [group for group in (free, holders, holders) if group]
    return random.choice(random.choice(groups) if groups and random.random() < 0.9 else CLIENTS)


def _times(random: Random) -> dict[str, int]:
    return {"delay_seconds": random.choice([0, 0, 0, 1, 3]), "ttr_seconds": random.choice([0, 2, 3, 5, 10])}


def _job(random: Random, spec: Spec, states: list[str]) -> int:
    """Mostly a job in one of the states, else any id that was or will be."""
    fitting = [job.id for job in spec.jobs.values() if job.state in states]
    if fitting and random.random() < 0.9:
        return random.choice(fitting)
    return random.randint(1, spec.next_job_id)


def _instant(random: Random, spec: Spec) -> int:
    """Mostly the clock; else around the next instant at which something is due; rarely long after it, or too early."""
    kind = random.random()
    if kind < 0.55:
        return spec.clock
    if kind < 0.9:
        due = spec.next_tick_at()
        return max(spec.clock, (spec.clock if due is None else due) + random.choice([-1, 0, 0, 0, 1]))
    if kind < 0.99:
        return spec.clock + random.choice([1, spec.second, 5 * spec.second])
    return spec.clock - 1
