"""The search for a linearization of one part of a history.

Wing & Gong's depth-first search ("Testing and verifying concurrent objects", 1993) with Lowe's memo of what was reached
before ("Testing for linearizability", 2017): a node is what was placed together with the state, and none is entered
twice. Of the steps that can be placed next, what returned first is tried first. What happens unseen, such as the end
of a ttr, is tried just in time: when some step that can be placed next may need it, or comes too late without it.

A step that changes nothing and needs no later instant than the present one is placed at once, without alternatives:
whatever could follow without it, can follow it. So is a delete of the client's own job that nothing else at the time
concerns.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from models.linearizability_changes import IN_TICK, Way
from models.linearizability_instants import Instants, Timing
from models.linearizability_needs import Needs
from models.linearizability_rules import Rules
from models.linearizability_steps import NEVER, Part, Step
from models.linearizability_world import PAUSE_TIMER, RESERVED, WAIT_TIMER, Limits

ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
UNKNOWN: Final = "unknown"

PLAIN: Final = "plain"
BOUNDS: Final = "bounds"
NONE: Final = "none"
"""What nodes the memo takes for the same: equal states; equal states and bounds of instants; no two."""


class Move(NamedTuple):
    """A step that is placed, or (without one) a timer that fires."""

    step: Step | None
    way: Way
    limit: int  # the first instant at which something that was not placed yet had returned
    kind: int = 0  # of the timer
    key: int = 0


class SearchResult(NamedTuple):
    """How a search ended."""

    verdict: str
    path: tuple[Move, ...]  # the linearization, or the one that placed most steps
    states: int


class Search:
    """The search of one part."""

    def __init__(self, part: Part, limits: Limits, *, any_waiter: bool, one_by_one: bool) -> None:
        self.part = part
        self.rules = Rules(part, limits, any_waiter=any_waiter, one_by_one=one_by_one)
        count = len(part.steps)
        self._places = {step.number: place for place, step in enumerate(part.steps)}
        self._next = [*range(1, count + 1), 0]  # a ring of what is not placed; the last one is its head
        self._previous = [count, *range(count)]
        self._placed: set[int] = set()
        self._code = 0
        self.required = sum(not step.optional for step in part.steps)
        self._timing: Timing | None = None
        self._eager = self._patient = False

    def again(self) -> "Search":
        """A fresh search of the same, with nothing placed."""
        rules = self.rules
        return Search(self.part, rules.limits, any_waiter=rules.any_waiter, one_by_one=rules.one_by_one)

    def keep_time(self, instants: Instants) -> None:
        """From now on let no move be done for which there are no instants."""
        self._timing = Timing(self.rules, instants)

    def is_placed(self, step: Step) -> bool:
        """Whether the step is placed."""
        return step.number in self._placed

    # ------------------------------------------------------------------ the search

    def run(self, max_states: int, *, memo: str = PLAIN, patient: bool = False) -> SearchResult:
        """Search until a linearization is found, or none is left, or so many states were seen.

        Being rejected proves something only if it was `patient`, or nothing is optional; and with `keep_time` only
        without a memo, since two nodes may count as the same of which only one has instants for what follows.
        """
        self._eager = self.rules.exact = memo == NONE
        self._patient = patient
        path: list[Move] = []
        marks: list[int] = []
        frames = [self.moves()]
        seen: set[object] = set()
        states = 0
        most: tuple[Move, ...] = ()
        most_placed = -1
        while frames:
            if not self.required:
                return SearchResult(ACCEPTED, tuple(path), states)
            move = next(frames[-1], None)
            if move is None:
                if len(self._placed) > most_placed:
                    most_placed, most = len(self._placed), tuple(path)
                frames.pop()
                if path:
                    self.undo(path.pop(), marks.pop())
                continue
            marks.append(len(self.rules.world.trail))
            path.append(move)
            fits = self.do(move)
            node: object = self.rules.world.number ^ self._code
            if self._timing is not None and memo == BOUNDS:
                node = (node, self._timing.box())
            if not fits or node in seen:
                self.undo(path.pop(), marks.pop())
                continue
            states += 1
            if states > max_states:
                return SearchResult(UNKNOWN, most, states)
            if memo != NONE:
                seen.add(node)
            frames.append(self.moves())
        return SearchResult(UNKNOWN if self.rules.cut_short else REJECTED, most, states)

    def do(self, move: Move) -> bool:
        """Place a step, or let a timer fire; says whether there are instants for it, which is known with a timing."""
        timing, world = self._timing, self.rules.world
        if timing is None:
            self._change(move)
            return True
        fits = timing.before(move)
        mark = len(world.trail)
        vanishing = move.step is None and move.kind == PAUSE_TIMER and self.rules.may_vanish(move.key)
        self._change(move)
        return timing.after(move, world.trail[mark:], vanishing=vanishing) and fits

    def _change(self, move: Move) -> None:
        """Change the world, and take out of the ring what is placed, or will have no answer any more."""
        ended = self._ended(move)
        if move.step is None:
            self.rules.fire(move.kind, move.key)
        else:
            self.rules.place(move.step, move.way, move.limit)
        if ended is None:
            return
        place = self._places[ended.number]
        before, after = self._previous[place], self._next[place]
        self._next[before], self._previous[after] = after, before
        self._placed.add(ended.number)
        self._code ^= ended.code
        self._count(ended, 1)

    def undo(self, move: Move, mark: int) -> None:
        """Take back the last move, before which the world's trail was `mark` long."""
        self.rules.world.undo(mark)
        if self._timing is not None:
            self._timing.undo()
        ended = self._ended(move)
        if ended is None:
            return
        place = self._places[ended.number]
        self._next[self._previous[place]] = self._previous[self._next[place]] = place
        self._placed.discard(ended.number)
        self._code ^= ended.code
        self._count(ended, -1)

    def _ended(self, move: Move) -> Step | None:
        """The step that the move ends, seen from the world before it."""
        if move.step is not None:
            return move.step
        return self.part.by_number[self.rules.world.waits[move.key].step] if move.kind == WAIT_TIMER else None

    def _count(self, step: Step, by: int) -> None:
        if step.optional:
            return
        self.required -= by
        if step.job and step.expect is None:
            if by > 0:
                del self.rules.left[step.job][step]
            else:
                self.rules.left[step.job][step] = None

    # ------------------------------------------------------------------ moves

    def open_steps(self) -> tuple[list[Step], int]:
        """What may be placed next, what returned first first, and the first instant at which any of it had returned."""
        steps = self.part.steps
        head = len(steps)
        found = []
        limit = NEVER
        place = self._next[head]
        while place != head:
            step = steps[place]
            if step.call > limit:
                break
            found.append(step)
            limit = min(limit, step.sure_end)
            place = self._next[place]
        after = self.part.after
        free = [
            step
            for step in found
            if step.call <= limit
            and (step.number not in after or all(each in self._placed for each in after[step.number]))
        ]
        free.sort(key=lambda step: (step.sure_end, step.number))
        return free, limit

    def moves(self) -> Iterator[Move]:
        """What can be done next. Lazy: between two steps of the iterator the state must be the same again."""
        rules, world, patient = self.rules, self.rules.world, self._patient
        steps, limit = self.open_steps()
        pair = rules.pair() if world.waits else None
        if pair is not None:
            for step in steps:
                ways = rules.hand_out(step, limit, pair)
                if not isinstance(ways, str):
                    for way in ways:
                        yield Move(step, way, limit)
            if world.in_tick == IN_TICK:
                yield from self._fires(steps, limit)
            return
        for step in steps:
            if step.call <= world.now and not world.in_tick and self._is_free(step):
                ways = rules.ways(step, limit)
                if not isinstance(ways, str):
                    yield Move(step, ways[0], limit)
                    return
        fired: set[tuple[int, int]] = set()
        needs = Needs(rules, steps, limit, self._latest_of, patient=self._patient)
        for step in steps:
            if step.optional and step.number not in needs.optional:
                continue  # it can wait
            ways = rules.ways(step, limit, steps)
            if not isinstance(ways, str):
                for way in ways:
                    yield Move(step, way, limit)
                continue
            # What returned first is served first, with whatever has to happen for it: that leaves most time to others.
            for move in self._fires([step], limit) if patient or not step.optional else ():
                fired.add((move.kind, move.key))
                yield move
        for move in self._fires(steps, limit):  # those that another of these may need
            if (move.kind, move.key) not in fired:
                yield move

    def _is_free(self, step: Step) -> bool:
        """Whether placing the step at once loses nothing."""
        kind = step.kind
        if kind == "delete" and step.expect is None:
            job = self.rules.world.jobs.get(step.job)
            return (
                step.alone
                and not self.part.wide
                and job is not None
                and job.state == RESERVED
                and job.mark == step.client
            )
        if kind == "timeout":
            return not step.blocking
        if kind in ("begin", "warned"):
            return False
        return step.expect is not None or kind in _LOOKS

    def _fires(self, steps: list[Step], limit: int) -> Iterator[Move]:
        """The timers whose end some of the steps may need, or which hold some of them up."""
        rules, world = self.rules, self.rules.world
        needs = Needs(rules, steps, limit, self._latest_of, patient=self._patient)
        moves = [
            (kind, key)
            for low, kind, key in needs.due
            if (self._eager or (kind, key) in needs.useful or self._latest_of(kind, key) < needs.top)
            and not self._is_held_up(max(low, world.now), rules.latest_of(kind, key))
        ]
        moves += [
            (PAUSE_TIMER, tube)
            for tube in sorted(world.pauses)
            if needs.vanishing(tube) and (PAUSE_TIMER, tube) not in moves and rules.may_fire(PAUSE_TIMER, tube, limit)
        ]
        moves += [(WAIT_TIMER, client) for client in sorted(world.waits) if rules.may_fire(WAIT_TIMER, client, limit)]
        for kind, key in moves:
            yield Move(None, None, limit, kind, key)

    def _latest_of(self, kind: int, key: int) -> int:
        """The instant by which a timer has fired, as exactly as it is known."""
        latest = self.rules.latest_of(kind, key)
        return latest if self._timing is None else min(latest, self._timing.latest_of(kind, key))

    def _is_held_up(self, start: int, latest: int) -> bool:
        """Whether another timer must have fired before `start`."""
        first = self.rules.world.latest
        return bool(first) and first[0][0] < min(start, latest)


_LOOKS: Final = frozenset({"peek_ready_job", "peek_delayed_job", "peek_buried_job", "get_job", "nothing"})
