"""Every run checks itself: what must balance in the numbers of a run, whatever the scenario.

The two sides of a check come from different sources: counts over time against the lives of single jobs, records
against the machine's own counts. All sides are exact integers, so a check holds or does not; there is no tolerance.
A check that fails makes the run end with exit 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import Transition


@dataclass(frozen=True, slots=True)
class Check:
    """Two numbers that must be equal, and whether they are."""

    name: str
    holds: bool
    left: int
    right: int
    text: str  # the claim in words, with the numbers that a reader wants beside it


@dataclass(frozen=True, slots=True)
class LittleSides:
    """Both sides of Little's law for one state, over the whole run."""

    area: int  # the integral over time of the number of jobs in the state, from the counts over time
    stays: int  # the sum of all visits' durations, from the lives of single jobs; unfinished visits up to the end
    visits: int


@dataclass(frozen=True, slots=True)
class Books:
    """What the checks of one run read; all of the whole run, the warm-up included."""

    units_per_second: int
    ended_at: int
    edges: Mapping[Transition, int]  # how often each edge was taken, from the records
    left: Mapping[JobState, int]  # the jobs in the machine at the end, from the machine's own counts
    little: Mapping[JobState, LittleSides]
    records: int  # how many were consumed
    seq_span: int  # how many the first and the last sequence number promise
    watched_edges: Mapping[Transition, int] | None  # what the graph's watcher counted, when one ran
    worker_overdrafts: int  # workers that worked longer than they were present


def checks_of(books: Books) -> tuple[Check, ...]:
    """All checks of a run, in the order in which reports list them."""
    checks = [_little(books, state) for state in LIVE_STATES]
    checks += [_machine_count(books, state) for state in LIVE_STATES]
    checks += [_puts(books), _reserves(books), _records(books), _workers(books)]
    if books.watched_edges is not None:
        checks.append(_watched(books, books.watched_edges))
    return tuple(checks)


def failed(checks: Iterable[Check]) -> list[Check]:
    """The checks that do not hold."""
    return [check for check in checks if not check.holds]


def taken(
    edges: Mapping[Transition, int],
    *,
    sources: Sequence[JobState] | None = None,
    triggers: Sequence[Trigger] | None = None,
    target: JobState | None = None,
) -> int:
    """How often edges with such ends and triggers were taken; None: any."""
    return sum(
        count
        for edge, count in edges.items()
        if (sources is None or edge.source in sources)
        and (triggers is None or edge.trigger in triggers)
        and (target is None or edge.target is target)
    )


def _check(name: str, left: int, right: int, text: str) -> Check:
    return Check(name=name, holds=left == right, left=left, right=right, text=text)


def _little(books: Books, state: JobState) -> Check:
    """Little's law: L = λ·W, here multiplied by the run's length so that both sides are integers."""
    sides = books.little[state]
    seconds = books.ended_at / books.units_per_second
    mean_jobs = sides.area / books.ended_at if books.ended_at else 0.0
    rate = sides.visits / seconds if seconds else 0.0
    visit = sides.stays / books.units_per_second / sides.visits if sides.visits else 0.0
    return _check(
        f"littles_law_{state}",
        sides.area,
        sides.stays,
        f"the time integral of the number of {state} jobs is the sum of all visits to {state}: "
        f"L = {mean_jobs:.6g} jobs, λ = {rate:.6g} visits/s, W = {visit:.6g} s",
    )


def _machine_count(books: Books, state: JobState) -> Check:
    records = taken(books.edges, target=state) - taken(books.edges, sources=(state,))
    return _check(
        f"{state}_count_is_the_machines",
        records,
        books.left[state],
        f"the records leave as many {state} jobs as the machine counts",
    )


def _puts(books: Books) -> Check:
    puts = taken(books.edges, sources=(JobState.NEW,))
    deletes = taken(books.edges, target=JobState.DELETED)
    left = sum(books.left[state] for state in LIVE_STATES)
    return _check(
        "puts_are_deletes_plus_left",
        puts,
        deletes + left,
        f"no job is lost: {puts} puts = {deletes} deletes + {left} jobs left in the machine",
    )


def _reserves(books: Books) -> Check:
    edges = books.edges
    reserves = taken(edges, triggers=(Trigger.RESERVE, Trigger.RESERVE_JOB))
    out = (JobState.RESERVED,)
    deletes = taken(edges, sources=out, triggers=(Trigger.DELETE,))
    releases = taken(edges, sources=out, triggers=(Trigger.RELEASE, Trigger.RELEASE_DELAYED))
    buries = taken(edges, sources=out, triggers=(Trigger.BURY,))
    timeouts = taken(edges, sources=out, triggers=(Trigger.TTR_EXPIRED,))
    closes = taken(edges, sources=out, triggers=(Trigger.CLOSE,))
    held = books.left[JobState.RESERVED]
    return _check(
        "reserves_are_accounted_for",
        reserves,
        deletes + releases + buries + timeouts + closes + held,
        f"{reserves} reserves = {deletes} deletes of reserved jobs + {releases} releases + {buries} buries "
        f"+ {timeouts} timeouts + {closes} returned by close + {held} held at the end",
    )


def _records(books: Books) -> Check:
    return _check(
        "records_without_gap",
        books.records,
        books.seq_span,
        "as many records came as their sequence numbers promise",
    )


def _workers(books: Books) -> Check:
    return _check(
        "workers_work_while_present",
        books.worker_overdrafts,
        0,
        "no worker worked longer than it was present",
    )


def _watched(books: Books, watched: Mapping[Transition, int]) -> Check:
    differing = sum(1 for edge in books.edges if books.edges[edge] != watched.get(edge, 0))
    differing += sum(1 for edge in watched if edge not in books.edges and watched[edge])
    return _check(
        "watcher_saw_the_same_edges",
        differing,
        0,
        "the transition watcher counted every edge as often as the metrics did",
    )
