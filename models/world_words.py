"""What a call changed, and where two worlds are apart: in words, and nothing that stayed as it was."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from models.call_words import name_of, short
from models.differing import narrowed
from models.spec_world import Job

World = Mapping[str, Any]
"""A state, as `models.calls.state_of_machine` and `state_of_spec` describe it, with the instant of the next tick."""

_COUNTERS: Final = {
    "reserve": "reserves",
    "reserve-job": "reserves",
    "ttr-expired": "timeouts",
    "release": "releases",
    "release-delayed": "releases",
    "bury": "buries",
    "kick": "kicks",
}
"""The counter that a transition counts: said only when it does not."""

_OF_STATE: Final = ("state", "ready_at", "expires_at", "buried_at", "reserved_by", "bury_number")
"""The fields that are said along with the state, or need not be."""


def changes(before: World | None, after: World | None, records: Sequence[Any]) -> Iterator[str]:
    """What a call changed, in words: jobs by id, then clients, then tubes."""
    if before is None or after is None:
        return
    yield from _job_changes(before, after, records)
    yield from _client_changes(before, after)
    yield from _tube_changes(before, after)


def _job_changes(before: World, after: World, records: Sequence[Any]) -> Iterator[str]:
    old, new = _jobs(before), _jobs(after)
    for job_id in sorted({**old, **new}):
        was, now = old.get(job_id), new.get(job_id)
        ways = [(str(record[5]), str(record[6])) for record in records if record[2] == job_id]
        if was is None and now is not None:
            yield f"job {job_id}: new → {_state(now)}"
        elif was is not None and now is None:
            yield f"job {job_id}: {was.state} → deleted"
        elif was is not None and now is not None and (was != now or ways):
            parts = list(_field_changes(was, now, ways))
            if parts:
                yield f"job {job_id}: {', '.join(parts)}"


def _field_changes(was: Job, now: Job, ways: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What became of one job, on its way by the triggers to the targets of `ways`."""
    if was.state != now.state or len(ways) > 1:
        states = [str(was.state), *(target for _, target in ways[:-1]), _state(now)]
        said = [trigger for trigger, _ in ways if trigger in _SAID]
        yield " → ".join(states) + (f" ({', '.join(said)})" if said else "")
    else:
        for field in ("ready_at", "expires_at", "buried_at", "reserved_by"):
            if getattr(was, field) != getattr(now, field):
                yield f"{_FIELD_WORDS[field]} {_plain(getattr(was, field))} → {_plain(getattr(now, field))}"
    implied = [_COUNTERS[trigger] for trigger, _ in ways if trigger in _COUNTERS]
    for field in Job._fields:
        old, new = getattr(was, field), getattr(now, field)
        by = implied.count(field)
        if field in _OF_STATE or (by and new == old + by):
            continue
        if old != new:
            yield f"{_FIELD_WORDS.get(field, field)} {_plain(old)} → {_plain(new)}"
        elif by:
            yield f"{field} stays {_plain(old)}"


_SAID: Final = ("delay-elapsed", "ttr-expired")
"""The triggers that the call itself doesn't tell."""

_FIELD_WORDS: Final = {
    "ready_at": "ready at",
    "expires_at": "expires at",
    "buried_at": "buried at",
    "reserved_by": "owner",
    "delay_seconds": "delay",
    "ttr_seconds": "ttr",
}


def _state(job: Job) -> str:
    """A job's state with what belongs to it."""
    match job.state:
        case "delayed":
            return f"delayed, ready at {job.ready_at}"
        case "reserved":
            return f"reserved by {_plain(job.reserved_by)}, expires at {job.expires_at}"
        case _:
            return job.state


def _plain(value: object) -> str:
    if value is None:
        return "nobody"
    return name_of(value) if isinstance(value, str) else short(value)


def _jobs(world: World) -> dict[int, Job]:
    """The jobs by id. The views of both worlds have the same fields in the same order."""
    return {view[0]: Job._make((*view, number)) for view, number in world["jobs"]}


def _client_changes(before: World, after: World) -> Iterator[str]:
    old_waits = {wait[0]: wait for wait in before["waiting"]}
    new_waits = {wait[0]: wait for wait in after["waiting"]}
    old_owed, new_owed = ({answer[1]: answer[3] for answer in world["owed"]} for world in (before, after))
    old, new = ({name: (uses, watches) for name, uses, watches in world["clients"]} for world in (before, after))
    for client in dict.fromkeys((*old, *new)):
        parts = []
        if client not in new:
            yield f"client {name_of(client)}: forgotten"
            continue
        if client in new_waits and old_waits.get(client) != new_waits[client]:
            parts.append(_wait(new_waits[client]))
        if client in old_waits and client not in new_waits:
            parts.append("waits no longer")
        if client in new_owed and client not in old_owed:
            parts.append(f"owed the answer that it gets job {new_owed[client]}")
        if client in old_owed and client not in new_owed:
            parts.append("owed no answer any more")
        uses, watches = new[client]
        was_uses, was_watches = old.get(client, (None, ()))
        if uses != was_uses:
            parts.append(f"uses tube {name_of(uses)}")
        if watches != was_watches:
            parts.append(f"watches {', '.join(map(name_of, watches)) or 'no tube'}")
        if parts:
            yield f"client {name_of(client)}: {', '.join(parts)}"


def _wait(wait: Sequence[Any]) -> str:
    """A wait: for what, and when it is answered at the latest."""
    _, _, tubes, deadline_at, tick_at = wait
    until = "" if deadline_at is None else f" until {deadline_at}"
    soon = f", to be warned at {tick_at}" if tick_at is not None and tick_at != deadline_at else ""
    return f"waits for {', '.join(map(name_of, tubes))}{until}{soon}"


def _tube_changes(before: World, after: World) -> Iterator[str]:
    old, new = ({tube[0]: tube for tube in world["tubes"]} for world in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"tube {name_of(name)}: gone"
        elif name not in old:
            yield f"tube {name_of(name)}: made"
        if name in new and new[name][2] != old.get(name, new[name])[2]:
            ends_at = new[name][2]
            yield f"tube {name_of(name)}: {'pause ends' if ends_at is None else f'paused until {ends_at}'}"


# ---------------------------------------------------------------------- where two worlds are apart


def apart(machine: World, spec: World) -> Iterator[str]:
    """Where the specification's state is not the machine's: its value, then the machine's."""
    mine, theirs = _jobs(machine), _jobs(spec)
    for job_id in sorted({**mine, **theirs}):
        one, other = mine.get(job_id), theirs.get(job_id)
        if one is None or other is None:
            there, not_there = f"{_plain((one or other or _NO_JOB).state)}", "not in the machine"
            yield _both(f"job {job_id}", not_there if other is None else there, there if other is None else not_there)
            continue
        for field in Job._fields:
            if getattr(one, field) != getattr(other, field):
                word = _FIELD_WORDS.get(field, field.replace("_", " "))
                yield _both(f"job {job_id}: {word}", _plain(getattr(other, field)), _plain(getattr(one, field)))
    if machine["next_tick_at"] != spec["next_tick_at"]:
        yield _both("next tick due at", _due(spec["next_tick_at"]), _due(machine["next_tick_at"]))
    for what in ("waiting", "owed", "clients", "tubes", "numbers", "totals", "clock"):
        if machine[what] != spec[what]:
            found = narrowed(f"state {what}", machine[what], spec[what])
            yield _both("", found.spec, found.machine)


_NO_JOB: Final = Job(0, "", b"", 0, 0, 0, "nowhere", 0)


def _both(what: str, spec: str, machine: str) -> str:
    return f"{what} {spec}; the machine: {machine}".strip()


def _due(at: object) -> str:
    return "never" if at is None else f"{at}"
