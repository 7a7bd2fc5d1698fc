"""Instants of the events of a linearization, kept possible one event at a time.

The search knows instants up to bounds only, each bound for itself. Here the events are one system of differences: none
before the one that it follows, the end of a timer so long after its start, nothing while a timer is overdue beyond the
lateness. `Instants` keeps the least and the greatest solution of such a system while it grows and shrinks again; it has
none when some least instant comes after the greatest (Dechter, Meiri & Pearl, "Temporal constraint networks", 1991).
`Timing` says what each move of a search requires.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from models.linearizability_steps import NEVER
from models.linearizability_world import DELAYED, JOB_TIMER, PAUSE_TIMER, RESERVED, JobAt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.linearizability_changes import Changes, Way
    from models.linearizability_search import Move
    from models.linearizability_steps import Step
    from models.linearizability_world import WaitAt

PUSHES_MAX: Final = 100_000
"""How many instants one new event may push; a system that needs more counts as impossible."""


class Instants:
    """Instants between bounds, what is required of their differences, and the least and greatest that fit."""

    def __init__(self) -> None:
        self.least: list[int] = []
        self.greatest: list[int] = []
        self._later: list[list[tuple[int, int]]] = []  # from each: (other, by how much later at least)
        self._sooner: list[list[tuple[int, int]]] = []  # from each: (other, by how much sooner at least)
        self._trail: list[tuple[list[Any], int, Any]] = []

    def __len__(self) -> int:
        return len(self.least)

    def add(self, low: int, high: int) -> int:
        """A new instant between two bounds; its number."""
        self.least.append(low)
        self.greatest.append(high)
        self._later.append([])
        self._sooner.append([])
        return len(self.least) - 1

    def after(self, event: int, other: int, by: int = 0) -> bool:
        """Require the event at least so much after the other; says whether that is possible."""
        self._later[other].append((event, by))
        self._sooner[event].append((other, by))
        self._trail.append((self._later[other], -1, self._sooner[event]))
        return self._push(self.least, self._later, other, 1) and self._push(self.greatest, self._sooner, event, -1)

    def within(self, event: int, other: int, of: int) -> bool:
        """Require the event at most so much after the other; says whether that is possible."""
        if self.greatest[event] <= self.least[other] + of:
            return True  # and it stays so: least instants only grow, greatest only shrink
        return self.after(other, event, -of)

    def mark(self) -> tuple[int, int]:
        """What `undo` takes."""
        return len(self._trail), len(self.least)

    def undo(self, mark: tuple[int, int]) -> None:
        """Take back everything since the mark."""
        trail = self._trail
        while len(trail) > mark[0]:
            values, place, old = trail.pop()
            if place < 0:
                values.pop()
                old.pop()
            else:
                values[place] = old
        del self.least[mark[1] :], self.greatest[mark[1] :], self._later[mark[1] :], self._sooner[mark[1] :]

    def _push(self, values: list[int], edges: list[list[tuple[int, int]]], start: int, sign: int) -> bool:
        """Push what depends on `start`; `sign` is 1 for least instants, -1 for greatest."""
        queue = deque([start])
        left = PUSHES_MAX
        while queue:
            event = queue.popleft()
            at = values[event]
            for other, by in edges[event]:
                pushed = at + sign * by
                if (pushed - values[other]) * sign > 0:
                    left -= 1
                    if left < 0:
                        return False
                    self._trail.append((values, other, values[other]))
                    values[other] = pushed
                    if self.least[other] > self.greatest[other]:
                        return False
                    queue.append(other)
        return True


class Timing:
    """What the moves of one search require of the instants."""

    def __init__(self, changes: Changes, instants: Instants) -> None:
        self.changes = changes
        self.limits = changes.limits
        self.instants = instants
        self.last = -1  # the last event
        self.set_at: dict[tuple[int, int], int] = {}  # (table of the world, key) → the event that set its timer
        self._trail: list[tuple[tuple[int, int], int | None]] = []
        self._marks: list[tuple[tuple[int, int], int, int]] = []

    def before(self, move: Move) -> bool:
        """Make the move's event, before the world changes; says whether it is possible."""
        instants, world, step = self.instants, self.changes.world, move.step
        self._marks.append((instants.mark(), len(self._trail), self.last))
        last, self.last = self.last, len(instants)
        if step is None:
            event = instants.add(0, move.limit)
        else:
            event = instants.add(max(each.call for each in self._waits(move)), min(step.end, move.limit))
        fits = instants.least[event] <= instants.greatest[event]
        if last >= 0:
            fits = fits and instants.after(event, last)
            if world.waits and self.changes.pair() is not None:
                fits = fits and instants.within(event, last, 0)
        for low, kind, key in world.earliest:  # nothing happens while a timer is overdue beyond the lateness
            if low > move.limit or not fits:
                break
            table = 2 if kind == PAUSE_TIMER else 0
            fits = instants.within(event, self.set_at[table, key], self._overdue(kind, key))
        return fits and (step is None or self._conditions(move, event))

    def after(self, move: Move, changed: Sequence[tuple[int, int, Any]], *, vanishing: bool) -> bool:
        """Tie the event to the timers that it ended, and remember those that it set; says whether it is possible."""
        event, world = self.last, self.changes.world
        fits = True
        firsts = {(table, key): old for table, key, old in reversed(changed) if table != 3}
        for (table, key), old in firsts.items():
            timer = old is not None and (table != 0 or old.state in (DELAYED, RESERVED))
            if timer:
                fits = fits and self._end(move, event, table, key, old, vanishing=vanishing)
            now: Any = (world.jobs, world.waits, world.pauses)[table].get(key)
            set_now = now is not None and (table != 0 or now.state in (DELAYED, RESERVED))
            if timer or set_now:
                self._trail.append(((table, key), self.set_at.pop((table, key), None)))
            if set_now:
                self.set_at[table, key] = event
        return fits

    def undo(self) -> None:
        """Take back the last move."""
        mark, length, self.last = self._marks.pop()
        self.instants.undo(mark)
        while len(self._trail) > length:
            name, old = self._trail.pop()
            self.set_at.pop(name, None)
            if old is not None:
                self.set_at[name] = old

    def box(self) -> tuple[tuple[int, ...], ...]:
        """The bounds of the present and of the starts of all timers, as far as they can matter later."""
        least, greatest = self.instants.least, self.instants.greatest
        now = (self.last, least[self.last], greatest[self.last])
        return (now[1:], *sorted((*name, least[at], greatest[at]) for name, at in self.set_at.items()))

    # ------------------------------------------------------------------ requirements

    def _conditions(self, move: Move, event: int) -> bool:
        """What a step requires of the timers that run before it."""
        step, world, instants = move.step, self.changes.world, self.instants
        assert step is not None
        if step.kind in ("begin", "timeout"):  # no warning was due
            return all(
                instants.within(event, self.set_at[0, key], world.jobs[key].ttr - self.limits.second - 1)
                for each in self._waits(move)
                for key in world.held.get(each.client, ())
            )
        if step.kind == "warned":
            return self._warn(event, step.client, move.way)
        if step.kind == "peek_delayed_job" and step.expect is None:
            return self._order_delays(step.tube, (step.job,))
        if step.kind == "kick_n" and isinstance(move.way, tuple) and not world.buried.get(step.tube):
            return self._order_delays(step.tube, move.way)
        return True

    def _waits(self, move: Move) -> list[Step]:
        """The move's step, and those that begin to wait before it."""
        assert move.step is not None
        others = move.way if move.step.kind == "begin" and isinstance(move.way, tuple) else ()
        return [move.step, *(self.changes.part.by_number[each] for each in others)]

    def _warn(self, event: int, client: int, way: Way = None) -> bool:
        """Require that a job of the client expires within a second: this one, or the one that may expire first."""
        _, soonest = self._warned_from(client)
        if isinstance(way, int):
            soonest = way
        length = self.changes.world.jobs[soonest].ttr - self.limits.second - self.limits.earliness
        return self.instants.after(event, self.set_at[0, soonest], length)

    def _warned_from(self, client: int) -> tuple[int, int]:
        """When the client may be warned first, and of which job; (`NEVER`, 0) when it holds none."""
        jobs, least = self.changes.world.jobs, self.instants.least
        margin = self.limits.second + self.limits.earliness
        held = self.changes.world.held.get(client, ())
        return min(((least[self.set_at[0, key]] + jobs[key].ttr - margin, key) for key in held), default=(NEVER, 0))

    def _order_delays(self, tube: int, firsts: Sequence[int]) -> bool:
        """Require that the delays of these jobs end before those of the tube's others."""
        jobs = self.changes.world.jobs
        for key in firsts:
            job = jobs[key]
            for other in self.changes.world.delayed[tube]:
                rival = jobs[other]
                if other in firsts or job.high + job.mark < rival.low + rival.mark:
                    continue
                lead = rival.mark - job.mark - (1 if key > other else 0)
                if not self.instants.within(self.set_at[0, key], self.set_at[0, other], lead):
                    return False
        return True

    def _end(self, move: Move, event: int, table: int, key: int, old: Any, *, vanishing: bool) -> bool:
        """Tie the end of a timer to its start; that it is not overdue, `before` has required."""
        instants, set_at = self.instants, self.set_at[table, key]
        early = self.limits.earliness
        if table == 1:
            return self._end_wait(move, event, key, set_at, old)
        if move.step is not None or vanishing:
            return True
        length = old.length if table == 2 else _length(old)
        return instants.after(event, set_at, length - early)

    def _end_wait(self, move: Move, event: int, client: int, begun: int, wait: WaitAt) -> bool:
        """Tie the end of a wait to its begin."""
        step, late = move.step, self.limits.lateness
        if step is not None:
            fits = step.timeout is None or self.instants.within(event, begun, step.timeout + late)
            if step.kind == "timeout" and step.timeout is not None:
                return fits and self.instants.after(event, begun, step.timeout - self.limits.earliness)
            jobs = self.changes.world.jobs
            return fits and all(
                self.instants.within(event, self.set_at[0, key], jobs[key].ttr - self.limits.second + late)
                for key in self.changes.world.held.get(client, ())
                if key != move.way
            )
        # Nobody saw how it ended: by its deadline or by a warning, whichever may come first.
        timeout = self.changes.part.by_number[wait.step].timeout
        up = NEVER if timeout is None else timeout - self.limits.earliness
        if timeout is None or self._warned_from(client)[0] < self.instants.least[begun] + up:
            return self._warn(event, client)
        return self.instants.after(event, begun, up)

    def latest_of(self, kind: int, key: int) -> int:
        """The instant by which a timer has fired, as far as all that was placed says."""
        set_at = self.set_at[2 if kind == PAUSE_TIMER else 0, key]
        return self.instants.greatest[set_at] + self._overdue(kind, key)

    def _overdue(self, kind: int, key: int) -> int:
        """How long after its start a timer must have ended."""
        if kind != JOB_TIMER:
            return self.changes.world.pauses[key].length + self.limits.lateness
        job = self.changes.world.jobs[key]
        if job.state == RESERVED and self.limits.lost_expiries:
            return NEVER
        return _length(job) + self.limits.lateness


def _length(job: JobAt) -> int:
    """The length of the job's timer."""
    return job.mark if job.state == DELAYED else job.ttr
