"""Makes histories of transition records by random walks over the table, and counts in them the slow, obvious way."""

import random
from collections.abc import Sequence

from jsm.records import TransitionRecord
from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import Transition, target_of, transitions

_NEXT = {state: [edge for edge in transitions() if edge.source is state] for state in LIVE_STATES}
_PUTS = [edge for edge in transitions() if edge.source is JobState.NEW]


def history(seed: int, *, steps: int = 600, step_max: int = 50) -> list[TransitionRecord]:
    """Random but legal: about a quarter of the steps are puts; every edge occurs soon; some share an instant."""
    chance = random.Random(seed)
    records: list[TransitionRecord] = []
    live: dict[int, JobState] = {}
    at, jobs = 0, 0
    for seq in range(1, steps + 1):
        at += chance.choice((0, 1, chance.randrange(step_max)))
        if not live or chance.random() < 0.25:
            jobs += 1
            job, edge = jobs, chance.choice(_PUTS)
        else:
            job = chance.choice(list(live))
            edge = chance.choice(_NEXT[live[job]])
        if edge.target is JobState.DELETED:
            del live[job]
        else:
            live[job] = edge.target
        records.append(TransitionRecord(seq, at, job, "default", *edge, None))
    return records


def record(seq: int, at: int, job: int, source: JobState, trigger: Trigger) -> TransitionRecord:
    """A legal record."""
    target = target_of(source, trigger)
    if target is None:
        raise ValueError(f"no transition {trigger} from {source}")
    return TransitionRecord(seq, at, job, "default", source, trigger, target, None)


def renumbered(records: Sequence[TransitionRecord]) -> list[TransitionRecord]:
    """The same with sequence numbers from 1, so that nothing shows by them."""
    return [record._replace(seq=seq) for seq, record in enumerate(records, start=1)]


def left_of(records: Sequence[TransitionRecord]) -> dict[JobState, int]:
    """How many jobs of each state a machine would hold after the records."""
    state = {record.job: record.target for record in records}
    return {live: sum(1 for at in state.values() if at is live) for live in LIVE_STATES}


def area_of(records: Sequence[TransitionRecord], state: JobState, begin: int, end: int) -> int:
    """The integral of the number of jobs in the state from `begin` to `end`, followed step by step."""
    area = level = 0
    clock = 0
    for at, change in [(r.at, (r.target is state) - (r.source is state)) for r in records] + [(end, 0)]:
        area += level * max(0, min(at, end) - max(clock, begin))
        clock = at
        level += change
    return area


def edge_counts(records: Sequence[TransitionRecord], begin: int = 0) -> dict[Transition, int]:
    """How often each edge was taken from `begin` on, all 19 in the table's order."""
    taken = [Transition(r.source, r.trigger, r.target) for r in records if r.at >= begin]
    return {edge: taken.count(edge) for edge in transitions()}


def waits_of(records: Sequence[TransitionRecord], begin: int = 0) -> list[tuple[int, int, int]]:
    """(job, instant, duration) of the first reserve of each job that was put from `begin` on."""
    put_at = {r.job: r.at for r in records if r.source is JobState.NEW}
    seen: dict[int, tuple[int, int, int]] = {}
    for r in records:
        if r.trigger in (Trigger.RESERVE, Trigger.RESERVE_JOB) and put_at[r.job] >= begin:
            seen.setdefault(r.job, (r.job, r.at, r.at - put_at[r.job]))
    return list(seen.values())


def totals_of(records: Sequence[TransitionRecord], begin: int = 0) -> list[tuple[int, int, int]]:
    """(job, instant, duration) of the delete of each job that was put from `begin` on."""
    put_at = {r.job: r.at for r in records if r.source is JobState.NEW}
    return [
        (r.job, r.at, r.at - put_at[r.job]) for r in records if r.target is JobState.DELETED and put_at[r.job] >= begin
    ]
