"""A rejected history in words: how far an order of its operations goes, and why it goes no farther."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.histories import Operation
from models.linearizability_rules import Rules
from models.linearizability_search import Move, Search
from models.linearizability_steps import NEVER, Step
from models.linearizability_world import BURIED, DELAYED, READY, JobAt

NOT_OPEN = "what had to come before it can't be placed either"
"""The reason of an operation that the search could not even try."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a history can't be linearized: the state in which the search got farthest, and why nothing could follow."""

    prefix: tuple[str, ...]  # the longest accepted beginning of an order, unseen events included, in words
    placed: int  # operations in it
    operation: Operation  # what returned first of what could not be placed
    reason: str  # why it could not
    state: tuple[str, ...]  # clock, jobs, waits and pauses after the prefix
    guards: tuple[tuple[str, str], ...]  # everything that could have come next, and why it could not

    def lines(self, *, last: int = 10) -> list[str]:
        """The rejection for people, with so many lines of the prefix's end."""
        left_out = max(len(self.prefix) - last, 0)
        shown = [f"{self.placed} operations can be put in order, the last of them:"]
        shown += [f"  … {left_out} before"] if left_out else []
        shown += [f"  {line}" for line in self.prefix[left_out:]]
        shown += ["then", *(f"  {line}" for line in self.state), "and nothing can follow:"]
        shown += [f"  {action}: {reason}" for action, reason in self.guards]
        return shown


def explain(search: Search, path: Sequence[Move]) -> Rejection:
    """The rejection of a path, of which the search, a fresh one, places every move once more."""
    prefix = []
    placed = 0
    rules = search.rules
    for move in path:
        prefix.append(_move_text(rules, move))
        placed += move.step is not None and move.step.kind != "begin"
        search.do(move)
    steps, limit = search.open_steps()
    pair = rules.pair()
    guards = []
    for step in steps:
        ways = rules.ways(step, limit, steps) if pair is None else rules.hand_out(step, limit, pair)
        followed = "it could follow, but then nothing leads on" if not isinstance(ways, str) else ways
        guards.append((str(step), followed))
    for low, kind, key in rules.world.earliest:
        if low <= limit:
            guards.append((rules.fire_text(kind, key), f"it may, from {low} on, but then nothing leads on"))
        else:
            guards.append((rules.fire_text(kind, key), f"not before {low}, and something had returned at {limit}"))
    blamed = _blamed(search)
    return Rejection(
        prefix=tuple(prefix),
        placed=placed,
        operation=blamed.operation,
        reason=next((reason for step, reason in guards if step == str(blamed)), NOT_OPEN),
        state=tuple(_state_lines(rules)),
        guards=tuple(guards),
    )


def _blamed(search: Search) -> Step:
    """The step that has to be placed next, since it returned first of all that have to be."""
    left = [step for step in search.part.steps if not step.optional and not search.is_placed(step)]
    return min(left, key=lambda step: (step.sure_end, step.number))


def _move_text(rules: Rules, move: Move) -> str:
    """A move in a line."""
    if move.step is None:
        return rules.fire_text(move.kind, move.key)
    if move.step.kind == "begin" and isinstance(move.way, tuple) and move.way:
        before = ", ".join(rules.part.clients[rules.part.by_number[each].client] for each in move.way)
        return f"{move.step}, after those of {before}"
    if move.step.optional and isinstance(move.way, int):
        return f"{move.step}: {rules.job_name(move.way)}"
    return str(move.step)


def _state_lines(rules: Rules) -> list[str]:
    """Clock, jobs, waits and pauses, a line each."""
    world, part = rules.world, rules.part
    lines = [f"the clock is at {world.now} at least"]
    for key, job in sorted(world.jobs.items()):
        lines.append(f"{rules.job_text(key)}: tube {part.tubes[job.tube]!r}, priority {job.priority}{_timer(job)}")
    for client, wait in sorted(world.waits.items(), key=lambda item: item[1].order):
        tubes = ", ".join(repr(part.tubes[tube]) for tube in part.by_number[wait.step].tubes)
        lines.append(f"{part.clients[client]} waits on {tubes} since {_between(wait.low, wait.high)}")
    for tube, pause in sorted(world.pauses.items()):
        until = _between(pause.low + pause.length, pause.high + pause.length)
        lines.append(f"tube {part.tubes[tube]!r} is paused until {until}")
    return lines


def _timer(job: JobAt) -> str:
    """What is known of the end of the job's timer."""
    if job.state in (READY, BURIED):
        return ""
    length = job.mark if job.state == DELAYED else job.ttr
    return f", {'ready' if job.state == DELAYED else 'expires'} at {_between(job.low + length, job.high + length)}"


def _between(low: int, high: int) -> str:
    """An instant as far as it is known."""
    if low == high:
        return str(low)
    return f"{low} … {high}" if high < NEVER else f"{low} or later"
