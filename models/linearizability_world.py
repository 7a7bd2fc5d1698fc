"""The state that the search for a linearization walks through: jobs, waits and pauses, with what each change undoes.

Nothing is copied: every change goes through one of four assignments, which keep the orders (ready, delayed, buried,
held, timers) and a 128-bit number of the whole state, and which `undo` takes back. Two states with one number are
taken for the same: with a million states the odds of a mistake are 1 : 10^26 (Zobrist, "A new hashing method with
application for game playing", 1970).

Instants are not known, only bounds. Each timer carries the bounds of the instant at which it was set; it may fire from
the lower one + its length on, and has fired by the upper one + its length + the lateness of the server.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from random import Random
from typing import Any, Final, NamedTuple

from models.linearizability_steps import NEVER

READY, DELAYED, RESERVED, BURIED = range(4)
STATE_NAMES: Final = ("ready", "delayed", "reserved", "buried")

JOB_TIMER, PAUSE_TIMER, WAIT_TIMER = range(3)
"""What may happen unseen: a delay or a ttr ends, a pause ends, a wait of unknown outcome ends."""


class Limits(NamedTuple):
    """What is known of the server's clock, in time units."""

    second: int
    lateness: int  # by how much a timer may fire late
    earliness: int  # and early
    lost_expiries: bool  # whether an expiry may never come (KB-1)


class JobAt(NamedTuple):
    """A live job."""

    state: int
    priority: int
    low: int  # bounds of the instant at which it came into its state or its timer was set, in units
    high: int
    mark: int  # delayed: the delay in units; reserved: the owner; buried: the number of the burial
    tube: int
    ttr: int  # in units
    body: int


class WaitAt(NamedTuple):
    """A reserve that waits."""

    order: int  # of asking
    step: int
    low: int
    high: int


class PauseAt(NamedTuple):
    """A tube's pause."""

    low: int
    high: int
    length: int  # in units


class World:
    """The state, with the orders that guards ask for."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.jobs: dict[int, JobAt] = {}
        self.waits: dict[int, WaitAt] = {}  # by client
        self.pauses: dict[int, PauseAt] = {}  # by tube
        self.now = 0  # not before this instant
        self.last_job = 0  # the greatest key so far
        self.burials = 0
        self.asks = 0
        self.in_tick = (
            0  # whether what was made ready just now is not handed out yet, see `models.linearizability_changes`
        )
        self.number = 0  # of the whole state, see above
        self.ready: dict[int, list[tuple[int, int]]] = {}  # tube → (priority, key), best first
        self.delayed: dict[int, dict[int, None]] = {}  # tube → keys
        self.buried: dict[int, list[tuple[int, int]]] = {}  # tube → (number of the burial, key)
        self.held: dict[int, dict[int, None]] = {}  # client → keys
        self.crowd: dict[int, int] = {}  # tube → live jobs
        self.earliest: list[tuple[int, int, int]] = []  # (instant, kind, key) from which each timer may fire
        self.latest: list[tuple[int, int, int]] = []  # and by which it has fired
        self.trail: list[tuple[int, int, Any]] = []
        self._codes: dict[tuple[Any, ...], int] = {}
        self._random = Random(1)

    # Changes

    def set_job(self, key: int, job: JobAt | None) -> None:
        """Let the job be this; None: gone."""
        self.trail.append((0, key, self.jobs.get(key)))
        self._put_job(key, job)

    def set_wait(self, client: int, wait: WaitAt | None) -> None:
        """Let the client's wait be this; None: it does not wait."""
        self.trail.append((1, client, self.waits.get(client)))
        self._put_wait(client, wait)

    def set_pause(self, tube: int, pause: PauseAt | None) -> None:
        """Let the tube's pause be this; None: it is not paused."""
        self.trail.append((2, tube, self.pauses.get(tube)))
        self._put_pause(tube, pause)

    def set_counters(self, *, now: int, last_job: int, burials: int, asks: int, in_tick: int) -> None:
        """Let the numbers be these."""
        counters = (self.now, self.last_job, self.burials, self.asks, self.in_tick)
        new = (now, last_job, burials, asks, in_tick)
        if new != counters:
            self.trail.append((3, 0, counters))
            self._put_counters(new)

    def advance(self, now: int, *, in_tick: int = 0) -> None:
        """Let no instant before `now` follow."""
        if now > self.now or in_tick != self.in_tick:
            self.set_counters(
                now=max(now, self.now),
                last_job=self.last_job,
                burials=self.burials,
                asks=self.asks,
                in_tick=in_tick,
            )

    def undo(self, mark: int) -> None:
        """Take back all changes since the trail was `mark` long."""
        trail = self.trail
        while len(trail) > mark:
            table, key, old = trail.pop()
            if table == 0:
                self._put_job(key, old)
            elif table == 1:
                self._put_wait(key, old)
            elif table == 2:
                self._put_pause(key, old)
            else:
                self._put_counters(old)

    def _code(self, *part: Any) -> int:
        found = self._codes.get(part)
        if found is None:
            found = self._codes[part] = self._random.getrandbits(128)
        return found

    def _put_job(self, key: int, job: JobAt | None) -> None:
        old = self.jobs.pop(key, None)
        if old is not None:
            self.number ^= self._code(0, key, old)
            self._file(key, old, into=False)
        if job is not None:
            self.jobs[key] = job
            self.number ^= self._code(0, key, job)
            self._file(key, job, into=True)

    def _file(self, key: int, job: JobAt, *, into: bool) -> None:
        """Put the job into the orders, or take it out."""
        tube = job.tube
        self.crowd[tube] = self.crowd.get(tube, 0) + (1 if into else -1)
        if job.state == READY:
            _place(self.ready.setdefault(tube, []), (job.priority, key), into=into)
        elif job.state == BURIED:
            _place(self.buried.setdefault(tube, []), (job.mark, key), into=into)
        else:
            delayed = job.state == DELAYED
            group = self.delayed.setdefault(tube, {}) if delayed else self.held.setdefault(job.mark, {})
            if into:
                group[key] = None
            else:
                del group[key]
            length = job.mark if delayed else job.ttr
            self._time(
                JOB_TIMER,
                key,
                PauseAt(job.low, job.high, length),
                into=into,
                fires=delayed or not self.limits.lost_expiries,
            )

    def _time(self, kind: int, key: int, timer: PauseAt, *, into: bool, fires: bool = True) -> None:
        """Put a timer into the orders of timers, or take it out; one that may be lost has no latest instant."""
        low, high, length = timer
        _place(self.earliest, (low + length - self.limits.earliness, kind, key), into=into)
        latest = high + length + self.limits.lateness
        if fires and latest < NEVER:
            _place(self.latest, (latest, kind, key), into=into)

    def _put_wait(self, client: int, wait: WaitAt | None) -> None:
        old = self.waits.pop(client, None)
        if old is not None:
            self.number ^= self._code(1, client, old)
        if wait is not None:
            self.waits[client] = wait
            self.number ^= self._code(1, client, wait)

    def _put_pause(self, tube: int, pause: PauseAt | None) -> None:
        old = self.pauses.pop(tube, None)
        if old is not None:
            self.number ^= self._code(2, tube, old)
            self._time(PAUSE_TIMER, tube, old, into=False)
        if pause is not None:
            self.pauses[tube] = pause
            self.number ^= self._code(2, tube, pause)
            self._time(PAUSE_TIMER, tube, pause, into=True)

    def _put_counters(self, counters: tuple[int, int, int, int, int]) -> None:
        self.number ^= self._code(3, self.now, self.last_job, self.burials, self.asks, self.in_tick)
        self.now, self.last_job, self.burials, self.asks, self.in_tick = counters
        self.number ^= self._code(3, *counters)

    # Questions

    def best(self, tubes: Iterable[int]) -> tuple[int, int] | None:
        """(priority, key) of the best ready job of those of the tubes that are not paused."""
        found: tuple[int, int] | None = None
        for tube in tubes:
            queue = self.ready.get(tube)
            if queue and tube not in self.pauses and (found is None or queue[0] < found):
                found = queue[0]
        return found

    def margin(self, client: int) -> tuple[int, int]:
        """Bounds of the instant from which on the client is warned of an expiry; `NEVER` when it holds no job."""
        low = high = NEVER
        for key in self.held.get(client, ()):
            job = self.jobs[key]
            low = min(low, job.low + job.ttr - self.limits.second - self.limits.earliness)
            high = min(high, job.high + job.ttr - self.limits.second)
        return low, high


def _place(order: list[Any], entry: Any, *, into: bool) -> None:
    """Put an entry into a sorted list, or take it out. O(log n) and a move of memory."""
    if into:
        insort(order, entry)
    else:
        del order[bisect_left(order, entry)]
